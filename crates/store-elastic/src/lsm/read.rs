//! Reads a page from a snapshot: some rows of a partition, a partition, or everything; or the rows with
//! some keys; or the next rows of a walk, in the order of the keys.
//!
//! Not here: filters, order, paging (`store::elastic_page`); which rows a query can be about
//! (`crate::scope`).
//! Invariant: rows whose time is over are not seen, and the rows of a page come from one snapshot.

use super::row::StoredRow;
use crate::codec::{Columns, decode};
use crate::error::{engine, malformed};
use crate::key::{id_of, partition_prefix, parts_of, row_key};
use crate::scope::{first_id, ids_asked_for, is_by_id};
use fjall::{Iter, Keyspace, Readable, Snapshot};
use model::{Catalog, Table, Timestamp, Uuid, Value};
use query::evaluate::complete;
use query::{BoundQuery, Page};
use std::ops::Bound;
use store::elastic::{ElasticKey, ElasticWalk, Walked};
use store::elastic_page::{PageBuilder, WalkBuilder};
use store::{Error, Result};

/// Rows between two looks at whether the page is still wanted.
const ROWS_PER_LOOK: usize = 1_024;
const DOING: &str = "reading rows";

/// What is read, and when.
pub(super) struct Scope<'s> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) keyspace: &'s Keyspace,
    pub(super) now: Timestamp,
}

impl Scope<'_> {
    pub(super) fn page(
        &self,
        query: &BoundQuery,
        partition: Option<&str>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Page> {
        let columns = Columns::of(&query.table);
        let mut page = PageBuilder::new(query);
        let Some(partition) = partition else {
            let rows = self.snapshot.iter(self.keyspace);
            return self.scan(rows, &columns, page, false, is_wanted);
        };
        if let Some(ids) = ids_asked_for(query) {
            for id in ids {
                let key = row_key(&ElasticKey { partition: partition.into(), id });
                if let Some(bytes) = self.snapshot.get(self.keyspace, key).map_err(engine(DOING))? {
                    self.look_at(&columns, id, &bytes, &mut page)?;
                }
            }
            return Ok(page.finish());
        }
        let prefix = partition_prefix(partition);
        let in_order = is_by_id(query);
        let rows = match first_id(query) {
            Some(first) => {
                let last = [&prefix, &Uuid::max().into_bytes()[..]].concat();
                let first = [&prefix, &first.into_bytes()[..]].concat();
                self.snapshot.range(self.keyspace, first..=last)
            }
            None => self.snapshot.prefix(self.keyspace, prefix),
        };
        self.scan(rows, &columns, page, in_order, is_wanted)
    }

    /// The rows with these keys.
    pub(super) fn rows(
        &self,
        catalog: &Catalog,
        table: &Table,
        keys: &[ElasticKey],
        is_wanted: impl Fn() -> bool,
    ) -> Result<Vec<Option<Vec<Value>>>> {
        let columns = Columns::of(table);
        let mut rows = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            if place % ROWS_PER_LOOK == ROWS_PER_LOOK - 1 && !is_wanted() {
                return Err(given_up());
            }
            let bytes = self.snapshot.get(self.keyspace, row_key(key)).map_err(engine(DOING))?;
            let row = match &bytes {
                Some(bytes) => self.there(&columns, key.id, bytes)?,
                None => None,
            };
            rows.push(row.map(|row| complete(catalog, table, &row)));
        }
        Ok(rows)
    }

    /// The next rows of a walk.
    pub(super) fn walk(&self, walk: &ElasticWalk) -> Result<Walked> {
        let columns = Columns::of(&walk.table);
        let mut seen = WalkBuilder::new(walk);
        let from =
            walk.after.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(row_key(key)));
        let rows = self.snapshot.range(self.keyspace, (from, Bound::Unbounded));
        for row in rows.take(walk.rows_max) {
            let (key, bytes) = row.into_inner().map_err(engine(DOING))?;
            let key = parts_of(&key).ok_or_else(|| malformed("a row's key is none of ours"))?;
            let stored = StoredRow::read(&bytes)?;
            let values = match stored.is_there(self.now) {
                true => Some(decode(&columns, key.id, stored.version, stored.body)?),
                false => None,
            };
            seen.push(key, values.as_deref());
        }
        Ok(seen.finish())
    }

    fn scan(
        &self,
        rows: Iter,
        columns: &Columns<'_>,
        mut page: PageBuilder<'_>,
        in_order: bool,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Page> {
        for (place, row) in rows.enumerate() {
            if in_order && page.is_full() && page.is_counted() {
                break;
            }
            if place % ROWS_PER_LOOK == ROWS_PER_LOOK - 1 && !is_wanted() {
                return Err(given_up());
            }
            let (key, bytes) = row.into_inner().map_err(engine(DOING))?;
            let id = id_of(&key).ok_or_else(|| malformed("a row's key is too short"))?;
            self.look_at(columns, id, &bytes, &mut page)?;
        }
        Ok(page.finish())
    }

    fn look_at(
        &self,
        columns: &Columns<'_>,
        id: Uuid,
        bytes: &[u8],
        page: &mut PageBuilder<'_>,
    ) -> Result<()> {
        if let Some(row) = self.there(columns, id, bytes)? {
            page.push(&row);
        }
        Ok(())
    }

    /// The values of a stored row, unless its time is over.
    fn there(&self, columns: &Columns<'_>, id: Uuid, bytes: &[u8]) -> Result<Option<Vec<Value>>> {
        let stored = StoredRow::read(bytes)?;
        match stored.is_there(self.now) {
            true => decode(columns, id, stored.version, stored.body).map(Some),
            false => Ok(None),
        }
    }
}

fn given_up() -> Error {
    Error::Engine { doing: DOING, source: "nobody waits for the rows any more".into() }
}
