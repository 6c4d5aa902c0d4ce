//! Answers that leave while their message still runs.
//!
//! In: what the Web API puts through its outlet. Out: the head as soon as there is one, and a body that
//! goes on behind it. Not here: which answers go this way.
//! Invariants: a body whose message did not end it breaks off, so that no client takes it for whole; nothing
//! here waits for the client, who at most has one page outstanding.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot};
use webapi::Outlet;

/// Pieces that are not sent yet: far more than the largest page makes.
const PIECES_MAX: usize = 1_024;

/// What goes on behind a head.
pub(crate) enum Piece {
    Data(Bytes),
    End,
}

/// The end of the message.
pub(crate) struct Entry {
    head: Mutex<Option<oneshot::Sender<Response<Bytes>>>>,
    /// None once a piece was lost: the body is never ended then.
    pieces: Mutex<Option<mpsc::Sender<Piece>>>,
}

/// The end of the connection.
pub(crate) struct Exit {
    pub(crate) head: oneshot::Receiver<Response<Bytes>>,
    pieces: mpsc::Receiver<Piece>,
}

/// A way for one answer.
pub(crate) fn way() -> (Entry, Exit) {
    let (head, early) = oneshot::channel();
    let (pieces, more) = mpsc::channel(PIECES_MAX);
    let entry = Entry { head: Mutex::new(Some(head)), pieces: Mutex::new(Some(pieces)) };
    (entry, Exit { head: early, pieces: more })
}

impl Entry {
    fn put(&self, piece: Piece) {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        if pieces.as_ref().is_some_and(|pieces| pieces.try_send(piece).is_err()) {
            *pieces = None;
        }
    }
}

impl Outlet for Entry {
    fn begin(&self, head: Response<Bytes>) {
        let first = self.head.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A client that has gone away hears nothing of it.
        drop(first.map(|early| early.send(head)));
    }

    fn piece(&self, piece: Bytes) {
        self.put(Piece::Data(piece));
    }

    fn end(&self) {
        self.put(Piece::End);
    }
}

impl Exit {
    /// The answer whose head was early: its first piece, and what follows.
    pub(crate) fn answer(self, head: Response<Bytes>) -> Response<Answer> {
        head.map(|first| Answer::Leaving { first: Some(first), pieces: self.pieces })
    }
}

/// The body of an answer.
pub(crate) enum Answer {
    Whole(Full<Bytes>),
    Leaving { first: Option<Bytes>, pieces: mpsc::Receiver<Piece> },
}

impl From<Bytes> for Answer {
    fn from(whole: Bytes) -> Self {
        Self::Whole(Full::new(whole))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(whole) => {
                let frame = ready!(Pin::new(whole).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Self::Leaving { first, pieces } => {
                if let Some(first) = first.take() {
                    return Poll::Ready(Some(Ok(Frame::data(first))));
                }
                Poll::Ready(match ready!(pieces.poll_recv(context)) {
                    Some(Piece::Data(piece)) => Some(Ok(Frame::data(piece))),
                    Some(Piece::End) => None,
                    None => Some(Err(io::Error::other("the message ended before its answer"))),
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Leaving { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Leaving { .. } => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn begun() -> (Entry, Answer) {
        let (entry, mut exit) = way();
        entry.begin(Response::new(Bytes::from_static(b"a")));
        let head = exit.head.try_recv().expect("the head is early");
        (entry, exit.answer(head).into_body())
    }

    #[tokio::test]
    async fn a_body_that_was_ended_is_all_its_pieces() {
        let (entry, body) = begun();
        entry.piece(Bytes::from_static(b"b"));
        entry.end();
        drop(entry);
        assert_eq!(body.collect().await.expect("a whole body").to_bytes(), "ab");
    }

    #[tokio::test]
    async fn a_body_that_was_not_ended_breaks_off() {
        let (entry, body) = begun();
        entry.piece(Bytes::from_static(b"b"));
        drop(entry);
        assert!(body.collect().await.is_err(), "half a body passed for a whole one");
    }
}
