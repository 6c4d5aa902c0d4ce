//! Which part of a standard table is looked at: so many rows by key, whatever matches there.
//!
//! An engine that is asked for the next thousand rows that match may read and sort the whole table for
//! them, or walk far to find them. Asked for those up to a key it reads a part; and no part is read by
//! more than a few steps.
//! Not here: which rows of a part match, and what becomes of them (the parent).
//! Invariant: an end that is remembered lies behind what the job's row says that was looked at. Without
//! what is remembered the job goes on, too.

use super::{At, LOOK_ROWS_MAX};
use crate::Error;
use crate::row::Detail;
use model::{Timestamp, Uuid, Value};
use pipeline::{Message, Reply};
use query::expression::Bound;
use query::{BoundQuery, Paging};

/// The part at hand.
#[derive(Default)]
pub(super) struct Parts {
    part: Option<Part>,
}

struct Part {
    /// Of which run and which of its queries.
    of: (Option<Timestamp>, i32),
    /// Its last key; none: it is the last part.
    end: Option<Uuid>,
}

impl Parts {
    /// The last key of the part that begins behind the job's place, or in which that lies; none: there
    /// are no rows behind the part.
    pub(super) async fn end(
        &mut self,
        at: &At<'_>,
        detail: Detail,
        query: &Bound,
    ) -> Result<Option<Uuid>, Error> {
        let of = (at.loaded.job.started, detail.query);
        let place = at.loaded.row.id("sheaf_position");
        let known = self.part.as_ref().filter(|part| part.of == of);
        let is_ahead = |part: &&Part| part.end.is_none_or(|end| place.is_none_or(|at| at < end));
        if let Some(part) = known.filter(is_ahead) {
            return Ok(part.end);
        }
        let end = at.end_of_part(query, place).await?;
        self.part = Some(Part { of, end });
        Ok(end)
    }
}

impl At<'_> {
    /// The key of the last row of a part that begins behind this one; of all rows, whoever may see them.
    async fn end_of_part(&self, query: &Bound, after: Option<Uuid>) -> Result<Option<Uuid>, Error> {
        let table = &query.table;
        let query = BoundQuery {
            paging: Paging {
                size: 1,
                after: after.map(|id| vec![Value::Guid(id)]),
                skip: LOOK_ROWS_MAX - 1,
                look_ahead: false,
            },
            ..BoundQuery::by_key(&self.context.catalog, table)
        };
        match self.pipeline.run(&self.context, Message::SystemRead(query)).await? {
            Reply::Page(page) => Ok(page.cells.first().and_then(Value::as_id)),
            _ => Err(Error::Malformed { why: "a read answered no page".to_owned() }),
        }
    }
}
