//! Whether a record already holds the file that a row gives.
//!
//! Invariant: two files are equal only when every byte was seen to be; when in doubt they differ.

use super::{BLOCK_BYTES, Given, read_block};
use crate::service::{self, Service};
use crate::transport::{Request, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use model::{ColumnIndex, ColumnKind, Table, Uuid, Value};
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

/// A question: is this what the column of that record holds?
pub(crate) struct Kept<'a> {
    pub(crate) id: Uuid,
    pub(crate) column: ColumnIndex,
    /// A file, or an image in base64.
    pub(crate) given: Either<'a>,
}

/// Where the bytes that a row gives are.
#[derive(Clone, Copy)]
pub(crate) enum Either<'a> {
    File(&'a Path),
    Base64(&'a str),
}

/// Asks for stored files.
pub(crate) struct Comparer<'a> {
    pub(crate) service: &'a Service,
    pub(crate) table: &'a Table,
    pub(crate) headers: &'a [(&'static str, String)],
    /// Questions at a time.
    pub(crate) width: usize,
}

impl Comparer<'_> {
    /// The places of those questions whose answer is yes. One read for each: the service has none for many.
    pub(crate) async fn equal(
        &self,
        questions: &[Kept<'_>],
    ) -> Result<HashSet<usize>, service::Error> {
        let asked = questions.iter().enumerate().map(|(place, question)| async move {
            Ok::<_, service::Error>(self.is_equal(question).await?.then_some(place))
        });
        let answers = stream::iter(asked).buffer_unordered(self.width.max(1));
        answers.try_filter_map(|place| async move { Ok(place) }).try_collect().await
    }

    async fn is_equal(&self, question: &Kept<'_>) -> Result<bool, service::Error> {
        let column = self.table.column(question.column);
        // Of an image only the picture as it was sent can be equal; not every column keeps it.
        let size = match column.kind {
            ColumnKind::Image { can_store_full_image: true, .. } => "?size=full",
            ColumnKind::Image { .. } => return Ok(false),
            _ => "",
        };
        let path = format!(
            "{}({})/{}/$value{size}",
            self.table.entity_set_name, question.id, column.logical_name
        );
        let mut source = match question.given {
            Either::File(path) => match Source::open(path).await {
                Some(source) => source,
                // It fails when it is sent, and says why.
                None => return Ok(false),
            },
            Either::Base64(text) => match STANDARD.decode(text.trim()) {
                Ok(bytes) => Source::Bytes(bytes, 0),
                Err(_) => return Ok(false),
            },
        };
        let total = source.size();
        let mut from = 0;
        loop {
            let last = from + BLOCK_BYTES as u64 - 1;
            let mut request =
                Request::get(path.clone()).with_header("Range", format!("bytes={from}-{last}"));
            request.headers.extend(self.headers.iter().cloned());
            let response = match self.service.ask(request, "a stored file").await {
                Ok(response) => response,
                Err(service::Error::Refused { .. }) => return Ok(false),
                Err(err) => return Err(err),
            };
            if response.status == 204 || stored_size(&response) != Some(total) {
                return Ok(false);
            }
            let block = source.next(response.body.len()).await;
            if block.as_deref() != Some(&response.body[..]) {
                return Ok(false);
            }
            from += response.body.len() as u64;
            if from >= total || response.body.is_empty() {
                return Ok(from == total);
            }
        }
    }
}

/// How large a stored file is, from the answer to a part of it.
pub(super) fn stored_size(response: &Response) -> Option<u64> {
    let range = response.header("content-range").and_then(|range| range.rsplit_once('/'));
    let size = range.map(|(_, size)| size).or_else(|| response.header(wire::headers::FILE_SIZE));
    match size {
        Some(size) => size.trim().parse().ok(),
        None => (response.status == 200).then_some(response.body.len() as u64),
    }
}

/// The bytes that a row gives, block by block.
enum Source {
    File(Option<File>, u64),
    Bytes(Vec<u8>, usize),
}

impl Source {
    async fn open(path: &Path) -> Option<Self> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let file = File::open(path)?;
            let size = file.metadata()?.len();
            Ok::<_, std::io::Error>(Self::File(Some(file), size))
        });
        opened.await.expect("opening does not panic").ok()
    }

    fn size(&self) -> u64 {
        match self {
            Self::File(_, size) => *size,
            Self::Bytes(bytes, _) => bytes.len() as u64,
        }
    }

    /// The next bytes; of a file a whole block, or what is left.
    async fn next(&mut self, length: usize) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes, from) => {
                let end = (*from + length).min(bytes.len());
                let block = bytes.get(*from..end).map(<[u8]>::to_vec);
                *from = end;
                block
            }
            Self::File(file, _) => {
                let mut open = file.take()?;
                let read = tokio::task::spawn_blocking(move || {
                    let block = read_block(&mut open);
                    (open, block)
                });
                let (open, block) = read.await.expect("reading does not panic");
                *file = Some(open);
                block.ok()
            }
        }
    }
}

/// Whether a value that was read settles it without a look at bytes: the same file by its id, the same
/// thumbnail, or nothing on both sides.
pub(crate) fn by_value(given: &Given, stored: Option<&Value>) -> Option<bool> {
    let stored = stored.filter(|value| !value.is_null());
    match (given, stored) {
        (Given::Nothing, stored) => Some(stored.is_none()),
        (Given::At(_) | Given::Of(..), None) => Some(false),
        (Given::Of(id, None), Some(stored)) => Some(stored.as_id() == Some(*id)),
        (Given::At(_) | Given::Of(_, Some(_)), Some(_)) => None,
    }
}
