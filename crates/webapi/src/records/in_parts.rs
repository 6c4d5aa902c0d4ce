//! A page that is written while it is read.
//!
//! In: a query. Out: an answer whose records were encoded part by part, the first ones while the store still
//! read the others. Not here: pages of which something must be known before their first record (`read`).
//! Invariant: the answer is that of `read`, byte for byte; nothing of it leaves before all of it was read.

use super::children;
use super::read;
use crate::api::{Attempt, Stop};
use crate::response;
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{TableKind, Value};
use query::odata::Parsed;
use wire::record::{self, PageFrame, Writer};

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
    let take = &mut |cells: &[Value]| body.take(cells);
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
    let mut response = response::json(StatusCode::OK, body.end(&frame));
    read::put_applied(attempt, &mut response, parsed.query.paging.size);
    Ok(response)
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
            first: Vec::new(),
            last: Vec::new(),
        }
    }

    /// Appends some rows.
    fn take(&mut self, cells: &[Value]) {
        // So that a long page is not moved again and again.
        self.bytes.reserve(match self.bytes.len().checked_div(self.rows) {
            None => cells.len().saturating_mul(VALUE_BYTES),
            Some(row_bytes) => self
                .rows_max
                .saturating_sub(self.rows)
                .saturating_mul(row_bytes.saturating_add(1))
                .min(REST_BYTES_MAX),
        });
        let rows = cells.chunks_exact(self.width);
        if let Some(last) = rows.clone().next_back() {
            self.last = last.to_vec();
        }
        if let (0, Some(first)) = (self.rows, rows.clone().next()) {
            self.first = first.to_vec();
        }
        self.rows += rows.len();
        record::write_rows(&mut self.bytes, &self.writer, rows);
    }

    fn end(mut self, frame: &PageFrame<'_>) -> Vec<u8> {
        record::end_page(&mut self.bytes, frame);
        self.bytes
    }
}
