//! Reads a page: rows stream from the database into the page, which keeps only what it needs. Or the next
//! rows of a walk, in the order of the primary key's index.
//!
//! Pushed down are the partition, equality and lists of the primary key, and for pages by id within a
//! partition the place where they start. Everything else is evaluated here.
//! Invariant: rows whose time is over are not seen.

use super::connection::Connection;
use super::error::{Error, engine};
use super::statements;
use crate::codec::{Columns, decode};
use crate::error::malformed;
use crate::key::{escape, unescape};
use crate::scope::{first_id, ids_asked_for, is_by_id};
use futures_util::{TryStreamExt, pin_mut};
use model::{Catalog, Table, Timestamp, Uuid, Value};
use query::evaluate::complete;
use query::{BoundQuery, Page};
use std::borrow::Cow;
use store::elastic::{ElasticKey, ElasticWalk, Walked};
use store::elastic_page::{PageBuilder, WalkBuilder};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

const DOING: &str = "reading elastic rows";
/// Rows that are asked for at once where a filter may turn many of them down.
const ROWS_AT_ONCE: i64 = 1_000;

/// Rows of a walk that are asked for at once: few enough that the index is the cheapest way to them.
const WALK_ROWS_AT_ONCE: usize = 1_000;

/// A page in the making.
struct Reader<'q> {
    columns: Columns<'q>,
    page: PageBuilder<'q>,
}

pub(super) async fn page(
    connection: &mut Connection,
    query: &BoundQuery,
    partition: Option<&str>,
    now: Timestamp,
) -> Result<Page, Error> {
    let table = query.table.id;
    let mut reader = Reader { columns: Columns::of(&query.table), page: PageBuilder::new(query) };
    let Some(partition) = partition else {
        let statement = connection.prepared(&statements::scan(table)).await?;
        reader.stream(connection, &statement, &[&now.0]).await?;
        return Ok(reader.page.finish());
    };
    let partition = &*escape(partition);
    if let Some(ids) = ids_asked_for(query) {
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let statement = connection.prepared(&statements::by_ids(table)).await?;
        reader.stream(connection, &statement, &[&now.0, &partition, &ids]).await?;
    } else if is_by_id(query) {
        let statement = connection.prepared(&statements::from_id(table)).await?;
        reader.in_order(connection, &statement, query, partition, now).await?;
    } else {
        let statement = connection.prepared(&statements::partition(table)).await?;
        reader.stream(connection, &statement, &[&now.0, &partition]).await?;
    }
    Ok(reader.page.finish())
}

/// The rows with these keys: one statement for all of them.
pub(super) async fn rows(
    connection: &mut Connection,
    (catalog, table): (&Catalog, &Table),
    keys: &[ElasticKey],
    now: Timestamp,
) -> Result<Vec<Option<Vec<Value>>>, Error> {
    let columns = Columns::of(table);
    let partitions: Vec<Cow<'_, str>> = keys.iter().map(|key| escape(&key.partition)).collect();
    let ids: Vec<Uuid> = keys.iter().map(|key| key.id).collect();
    let statement = connection.prepared(&statements::by_keys(table.id)).await?;
    let params: [&(dyn ToSql + Sync); 3] = [&now.0, &partitions, &ids];
    let found = connection.client.query(&statement, &params).await;
    let mut rows = vec![None; keys.len()];
    for row in found.map_err(|error| Error::of(DOING, error))? {
        let read = || -> Result<(i64, Uuid, i64, &[u8]), tokio_postgres::Error> {
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
        };
        let (place, id, version, body) = read().map_err(|error| engine(DOING, error))?;
        // Places are counted from one.
        let place = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        if let Some(slot) = place.and_then(|place| rows.get_mut(place)) {
            *slot = Some(complete(catalog, table, &decode(&columns, id, version, body)?));
        }
    }
    Ok(rows)
}

/// The next rows of a walk.
pub(super) async fn walk(
    connection: &mut Connection,
    walk: &ElasticWalk,
    now: Timestamp,
) -> Result<Walked, Error> {
    let columns = Columns::of(&walk.table);
    let mut seen = WalkBuilder::new(walk);
    let mut after = walk.after.as_ref().map(|key| (escape(&key.partition).into_owned(), key.id));
    // So many rows at once, and as many flights as that takes: not one a row.
    while seen.left() > 0 {
        let at_once = seen.left().min(WALK_ROWS_AT_ONCE);
        let text = match &after {
            Some(_) => statements::walk(walk.table.id, at_once),
            None => statements::walk_from_start(walk.table.id, at_once),
        };
        let statement = connection.prepared(&text).await?;
        let params: Vec<&(dyn ToSql + Sync)> = match &after {
            Some((partition, id)) => vec![&now.0, partition, id],
            None => vec![&now.0],
        };
        let rows = connection.client.query(&statement, &params).await;
        let rows = rows.map_err(|error| Error::of(DOING, error))?;
        for row in &rows {
            let read = || -> Result<(Uuid, i64, &[u8], &str, bool), tokio_postgres::Error> {
                Ok((
                    row.try_get(0)?,
                    row.try_get(1)?,
                    row.try_get(2)?,
                    row.try_get(3)?,
                    row.try_get(4)?,
                ))
            };
            let (id, version, body, escaped, is_there) =
                read().map_err(|error| engine(DOING, error))?;
            let partition = unescape(escaped)
                .ok_or_else(|| Error::Store(malformed("a row's partition is none of ours")))?;
            let values = match is_there {
                true => Some(decode(&columns, id, version, body)?),
                false => None,
            };
            seen.push(ElasticKey { partition: partition.into(), id }, values.as_deref());
            after = Some((escaped.to_owned(), id));
        }
        if rows.len() < at_once {
            break;
        }
    }
    Ok(seen.finish())
}

impl Reader<'_> {
    /// Looks at every row of a statement; answers how many and the last id.
    async fn stream(
        &mut self,
        connection: &Connection,
        statement: &Statement,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<(i64, Option<Uuid>), Error> {
        let rows = connection.client.query_raw(statement, params.iter().copied()).await;
        let rows = rows.map_err(|error| Error::of(DOING, error))?;
        pin_mut!(rows);
        let (mut count, mut last) = (0, None);
        while let Some(row) = rows.try_next().await.map_err(|error| Error::of(DOING, error))? {
            last = Some(self.look_at(&row)?);
            count += 1;
        }
        Ok((count, last))
    }

    /// Looks at rows by id until the page has what it needs.
    async fn in_order(
        &mut self,
        connection: &Connection,
        statement: &Statement,
        query: &BoundQuery,
        partition: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        let size = i64::from(query.paging.size).saturating_add(2);
        let at_once = match (&query.filter, query.count_max) {
            (None, None) => size,
            _ => size.max(ROWS_AT_ONCE),
        };
        let mut from = first_id(query).unwrap_or(Uuid::nil());
        loop {
            let params: [&(dyn ToSql + Sync); 4] = [&now.0, &partition, &from, &at_once];
            let (count, last) = self.stream(connection, statement, &params).await?;
            let is_enough = self.page.is_full() && self.page.is_counted();
            let next = last.and_then(|id| id.as_u128().checked_add(1));
            match next {
                Some(next) if count == at_once && !is_enough => from = Uuid::from_u128(next),
                _ => return Ok(()),
            }
        }
    }

    fn look_at(&mut self, row: &Row) -> Result<Uuid, Error> {
        let read = || -> Result<(Uuid, i64, &[u8]), tokio_postgres::Error> {
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
        };
        let (id, version, body) = read().map_err(|error| engine(DOING, error))?;
        self.page.push(&decode(&self.columns, id, version, body)?);
        Ok(id)
    }
}
