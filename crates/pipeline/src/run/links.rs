//! One record of an elastic table with the records that its lookups lead to.
//!
//! An elastic store joins nothing, so each link of the record is a read of its own, of the store of the
//! other table. One record has few links, and a list of records is never read so.
//! Not here: one table alone ([`super::elastic`]). Source: `bulk.md` 7.9.
//! Invariant: every table is cut down to what the caller may read by itself, as it is for other reads.

use super::{Context, Error, Pipeline, is_of_root};
use crate::fault;
use crate::message::{Read, Reply};
use crate::rights::{Access, Unreadable};
use model::{MessageName, TableKind, Uuid, Value};
use query::{BoundQuery, ColumnRef, Compare, Filter, Join, JoinKind, Page, Paging};
use store::elastic::ElasticKey;

/// A record beside the first one, in the order of the query's links.
struct Link<'a> {
    join: &'a Join,
    /// Its sources in the query, its own first.
    sources: Vec<u16>,
}

impl Pipeline {
    /// Reads one record of an elastic table and what its links lead to.
    pub(super) async fn read_linked(
        &self,
        context: &Context,
        access: &Access,
        query: &BoundQuery,
        partition: Option<&str>,
    ) -> Result<Page, Error> {
        let links = links_of(query)?;
        let name = MessageName::Retrieve;
        let own = Read { name, query: without_links(query, &links) };
        let read = Box::pin(self.read_one_or_many(context, access, own, partition));
        let Reply::Page(page) = read.await? else { unreachable!("a read is answered with a page") };
        if page.rows == 0 {
            return Ok(page);
        }
        let mut own = page.cells.into_iter();
        let mut cells = vec![Value::Null; query.columns.len()];
        for (place, _) in query.columns.iter().enumerate().filter(|(_, column)| column.source == 0)
        {
            cells[place] = own.next().unwrap_or(Value::Null);
        }
        for (link, value) in links.iter().zip(own) {
            let id = match value {
                Value::Lookup(to) if to.table == link.join.table.id => to.id,
                _ => continue,
            };
            let Some(page) = self.read_link(context, access, (query, link), id).await? else {
                continue;
            };
            let mut found = page.cells.into_iter();
            for (place, column) in query.columns.iter().enumerate() {
                if link.sources.contains(&column.source) {
                    cells[place] = found.next().unwrap_or(Value::Null);
                }
            }
        }
        Ok(Page { cells, ..page })
    }

    /// Reads what a link leads to; nothing where it is not there, or not for the caller.
    async fn read_link(
        &self,
        context: &Context,
        access: &Access,
        (query, link): (&BoundQuery, &Link<'_>),
        id: Uuid,
    ) -> Result<Option<Page>, Error> {
        let query = query_of(query, link, id);
        let own = ElasticKey::new(id, None).partition;
        let partition = (query.table.kind == TableKind::Elastic).then_some(&*own);
        let page = if partition.is_some() && !query.joins.is_empty() {
            Box::pin(self.read_linked(context, access, &query, partition)).await?
        } else {
            let (query, _) = self.readable(context, access, query, Unreadable::Refused).await?;
            match self.answer(context, &query, partition).await? {
                Reply::Page(page) => page,
                _ => unreachable!("a query is answered with a page"),
            }
        };
        Ok(Some(page).filter(|page| page.rows > 0))
    }
}

/// The links of the query's own record. Errors: what is more than records that lookups lead to.
fn links_of(query: &BoundQuery) -> Result<Vec<Link<'_>>, Error> {
    let is_plain = |join: &Join| {
        join.kind == JoinKind::Outer && join.from == join.table.primary_key && join.on.is_none()
    };
    if !query.filter.as_ref().is_some_and(is_of_root) || !query.joins.iter().all(is_plain) {
        return Err(fault::no_links().into());
    }
    let mut links: Vec<Link<'_>> = Vec::new();
    for (source, join) in (1_u16..).zip(&query.joins) {
        match links.iter_mut().find(|link| link.sources.contains(&join.to.source)) {
            Some(link) => link.sources.push(source),
            None => links.push(Link { join, sources: vec![source] }),
        }
    }
    Ok(links)
}

/// The record alone: the columns that are asked for, and behind them those that links begin with.
fn without_links(query: &BoundQuery, links: &[Link<'_>]) -> BoundQuery {
    let own = query.columns.iter().filter(|column| column.source == 0).copied();
    BoundQuery {
        joins: Vec::new(),
        columns: own.chain(links.iter().map(|link| link.join.to)).collect(),
        order: query.order.iter().filter(|order| order.column.source == 0).copied().collect(),
        ..query.clone()
    }
}

/// The query for what a link leads to, with the links behind it.
fn query_of(query: &BoundQuery, link: &Link<'_>, id: Uuid) -> BoundQuery {
    let place = |source: u16| {
        let place = link.sources.iter().position(|known| *known == source);
        place.and_then(|place| u16::try_from(place).ok())
    };
    let moved = |column: &ColumnRef| {
        place(column.source).map(|source| ColumnRef { source, column: column.column })
    };
    let behind = link.sources.iter().skip(1).filter_map(|source| {
        let join = query.joins.get(usize::from(*source) - 1)?;
        Some(Join { to: moved(&join.to)?, ..join.clone() })
    });
    let key = ColumnRef::root(link.join.table.primary_key);
    let is_it = Filter::Compare { column: key, compare: Compare::Equal, value: Value::Guid(id) };
    BoundQuery {
        columns: query.columns.iter().filter_map(moved).collect(),
        filter: Some(is_it),
        paging: Paging::first(1),
        joins: behind.collect(),
        ..BoundQuery::by_key(&query.catalog, &link.join.table)
    }
}
