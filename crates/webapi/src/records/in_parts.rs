//! A page that is written while it is read.
//!
//! In: a query. Out: an answer whose records were encoded part by part, the first ones while the store still
//! read the others. A long one leaves while it is made, where there is an outlet. Not here: pages of which
//! something must be known before their first record (`read`).
//! Invariant: the answer is that of `read`, byte for byte; what the engine says too late cuts it, and is never
//! an answer that looks whole.

use super::children;
use super::read;
use crate::api::{Attempt, Stop};
use crate::outlet::Outlet;
use crate::response;
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{TableKind, Value};
use query::odata::Parsed;
use wire::record::{self, PageFrame, Writer};

/// Rows that are encoded at once.
const PART_ROWS: usize = 250;
/// What leaves together. An answer that is shorter leaves as a whole, with its length.
const PIECE_BYTES: usize = 64 << 10;
/// What is set aside for the rest of a page at most; a page of long texts grows by itself.
const REST_BYTES_MAX: usize = 16 << 20;
/// What a value of a record takes in JSON, about, before any was seen.
const VALUE_BYTES: usize = 40;

/// Whether the records of a page can be written before all of them were read.
///
/// Not where their number comes before them, where annotations name what they point to, or where lists
/// stand inside them.
pub(super) fn suits(attempt: &Attempt<'_>, parsed: &Parsed) -> bool {
    parsed.query.table.kind == TableKind::Standard
        && parsed.query.count_max.is_none()
        && parsed.expanded.is_empty()
        && attempt.request.prefer.include_annotations.is_none()
}

/// Answers a page of records. `address` is that of the list, below the root.
pub(super) async fn list(
    attempt: &Attempt<'_>,
    parsed: &Parsed,
    address: &str,
) -> Result<Response<Bytes>, Stop> {
    let context = read::context(attempt, parsed);
    let mut frame = PageFrame { context: &context, ..PageFrame::default() };
    let mut body = Body::begin(children::plain_writer(attempt, parsed), &frame, parsed);
    let mut way = attempt.request.outlet.as_deref().map(|outlet| Way { outlet, begun: false });
    let take = &mut |cells: &[Value]| {
        for part in cells.chunks(body.width.saturating_mul(PART_ROWS)) {
            body.take(part, way.is_some());
            if let Some(way) = &mut way
                && body.bytes.len() >= PIECE_BYTES
            {
                way.send(body.piece(), |bytes| head(attempt, parsed, bytes));
            }
        }
    };
    let page = Box::pin(attempt.read_in_parts(parsed.query.clone(), take)).await?;
    let token = match page.more {
        true => parsed.token_after(&body.first, &body.last),
        false => None,
    };
    let next_link = match token {
        Some(token) => Some(read::next_link(attempt, address, &token)?),
        None => None,
    };
    frame.next_link = next_link.as_deref();
    let rest = body.end(&frame);
    match way {
        Some(Way { outlet, begun: true }) => {
            outlet.piece(rest.into());
            outlet.end();
            Ok(response::empty(StatusCode::OK))
        }
        _ => Ok(head(attempt, parsed, rest)),
    }
}

fn head(attempt: &Attempt<'_>, parsed: &Parsed, body: Vec<u8>) -> Response<Bytes> {
    let mut response = response::json(StatusCode::OK, body);
    read::put_applied(attempt, &mut response, parsed.query.paging.size);
    response
}

/// The way out of an answer that leaves before it is whole.
struct Way<'a> {
    outlet: &'a dyn Outlet,
    begun: bool,
}

impl Way<'_> {
    fn send(&mut self, piece: Vec<u8>, head: impl FnOnce(Vec<u8>) -> Response<Bytes>) {
        if self.begun {
            self.outlet.piece(piece.into());
        } else {
            self.begun = true;
            self.outlet.begin(head(piece));
        }
    }
}

/// The body of an answer, as far as it is written.
struct Body<'a> {
    writer: Writer<'a>,
    bytes: Vec<u8>,
    /// Values of a row.
    width: usize,
    /// Rows that the page may have.
    rows_max: usize,
    rows: usize,
    /// What a record of the last part took.
    row_bytes: usize,
    first: Vec<Value>,
    last: Vec<Value>,
}

impl<'a> Body<'a> {
    fn begin(writer: Writer<'a>, frame: &PageFrame<'_>, parsed: &Parsed) -> Self {
        let mut bytes = Vec::new();
        record::begin_page(&mut bytes, &writer, frame);
        Self {
            writer,
            bytes,
            width: parsed.query.columns.len().max(1),
            rows_max: usize::try_from(parsed.query.paging.size).unwrap_or(usize::MAX),
            rows: 0,
            row_bytes: 0,
            first: Vec::new(),
            last: Vec::new(),
        }
    }

    /// Appends some rows: to what is to be the whole answer, or to a piece of it.
    fn take(&mut self, cells: &[Value], in_pieces: bool) {
        // So that a long page is not moved again and again.
        self.bytes.reserve(match self.row_bytes {
            0 => cells.len().saturating_mul(VALUE_BYTES),
            row_bytes => {
                let page = self.rows_max.saturating_sub(self.rows);
                let rows = if in_pieces { page.min(PART_ROWS) } else { page };
                rows.saturating_mul(row_bytes.saturating_add(1)).min(REST_BYTES_MAX)
            }
        });
        let before = self.bytes.len();
        let rows = cells.chunks_exact(self.width);
        if let Some(last) = rows.clone().next_back() {
            self.last = last.to_vec();
        }
        if let (0, Some(first)) = (self.rows, rows.clone().next()) {
            self.first = first.to_vec();
        }
        self.rows += rows.len();
        let count = rows.len();
        record::write_rows(&mut self.bytes, &self.writer, rows);
        self.row_bytes = (self.bytes.len() - before).checked_div(count).unwrap_or(0);
    }

    /// What is written and has not left, but for its last byte, from which the writer sees that a comma is
    /// due.
    fn piece(&mut self) -> Vec<u8> {
        let last = self.bytes.split_off(self.bytes.len().saturating_sub(1));
        std::mem::replace(&mut self.bytes, last)
    }

    fn end(mut self, frame: &PageFrame<'_>) -> Vec<u8> {
        record::end_page(&mut self.bytes, frame);
        self.bytes
    }
}
