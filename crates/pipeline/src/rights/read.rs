//! What a caller sees of a query: every table in it is cut down to the rows that it may read.
//!
//! Not here: who may read what (the parent).
//! Invariant: each place where a query names a table is cut down here, and nowhere else.

use super::{Access, Shares, ends, load};
use crate::message::Reply;
use crate::privilege::Action;
use crate::run::{Context, Error, Pipeline, not_about_rows};
use model::{Table, TableKind, Uuid};
use query::{BoundQuery, ColumnRef, Exists, Filter, Join};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What becomes of a table that the caller may read nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The query is refused.
    Refused,
    /// It has no rows.
    Empty,
}

impl Pipeline {
    /// The query as its caller may ask it, and whether that is less than all.
    pub(crate) async fn readable(
        &self,
        context: &Context,
        access: &Access,
        mut query: BoundQuery,
        unreadable: Unreadable,
    ) -> Result<(BoundQuery, bool), Error> {
        let tables = tables_of(&query);
        if unreadable == Unreadable::Refused {
            for table in tables.values().filter(|table| !table.is_intersect) {
                access.require_on(table, Action::Read)?;
            }
        }
        let linked = tables.values().filter(|table| table.is_intersect);
        let linked: Vec<&Arc<Table>> =
            linked.flat_map(|table| ends(&context.catalog, table)).map(|(_, end)| end).collect();
        let all = tables.values().chain(linked.iter().copied());
        if all.clone().all(|table| !table.is_intersect && access.reaches_all(table, Action::Read)) {
            return Ok((query, false));
        }
        let restricted: Vec<&Arc<Table>> =
            all.filter(|table| !access.reaches_all(table, Action::Read)).collect();
        let shares = match query.table.kind {
            TableKind::Elastic => {
                self.shared_ids(context, access, &query.table, &[Action::Read]).await?
            }
            TableKind::Standard => self.shares(context, &restricted).await?,
        };
        let cut = Cut { context, access, shares: &shares };
        cut.query(&mut query);
        Ok((query, true))
    }

    /// Refuses when one of these rows is there and out of the reach of an action.
    pub(crate) async fn reach(
        &self,
        context: &Context,
        access: &Access,
        (table, action): (&Arc<Table>, Action),
        ids: &[Uuid],
    ) -> Result<(), Error> {
        access.require_on(table, action)?;
        match self.out_of_reach(context, access, (table, action), ids).await?.first() {
            Some(id) => Err(access.out_of_reach(table, action, *id).into()),
            None => Ok(()),
        }
    }

    /// Those of these rows that are there and out of the reach of an action.
    pub(crate) async fn out_of_reach(
        &self,
        context: &Context,
        access: &Access,
        (table, action): (&Arc<Table>, Action),
        ids: &[Uuid],
    ) -> Result<Vec<Uuid>, Error> {
        if ids.is_empty() || access.reaches_all(table, action) {
            return Ok(Vec::new());
        }
        let shares = match table.kind {
            TableKind::Elastic => self.shared_ids(context, access, table, &[action]).await?,
            TableKind::Standard => self.shares(context, &[table]).await?,
        };
        let allowed = access.filter(table, action, 0, &shares);
        let read = async |filter: Option<&Filter>| -> Result<BTreeSet<Uuid>, Error> {
            let query = store::check::allowed_query(&context.catalog, table, ids, filter);
            let Reply::Page(page) = self.answer(context, &query, None).await? else {
                return Ok(BTreeSet::new());
            };
            Ok(page.cells.iter().filter_map(model::Value::as_id).collect())
        };
        let (there, allowed) = (read(None).await?, read(allowed.as_ref()).await?);
        Ok(there.difference(&allowed).copied().collect())
    }

    /// Which of these tables have shared rows.
    pub(crate) async fn shares<'a>(
        &self,
        context: &'a Context,
        tables: &[&Arc<Table>],
    ) -> Result<Shares<'a>, Error> {
        let mut of = BTreeSet::new();
        // One small query per table, the first time only.
        for table in tables {
            if self.has_shares(&context.catalog, table).await? {
                of.insert(table.id);
            }
        }
        Ok(match context.catalog.table("principalobjectaccess") {
            Some(table) if !of.is_empty() => Shares::Rows { table, of },
            _ => Shares::None,
        })
    }

    /// The ids of the rows of a table that are shared with the caller, by right.
    pub(crate) async fn shared_ids(
        &self,
        context: &Context,
        access: &Access,
        table: &Arc<Table>,
        actions: &[Action],
    ) -> Result<Shares<'static>, Error> {
        let catalog = &context.catalog;
        let Some(shares) = catalog.table("principalobjectaccess") else { return Ok(Shares::None) };
        let limited = actions.iter().filter(|action| !access.reaches_all(table, **action));
        let limited: Vec<Action> = limited.copied().collect();
        if limited.is_empty() || !self.has_shares(catalog, table).await? {
            return Ok(Shares::None);
        }
        let mut by_right = BTreeMap::new();
        for action in limited {
            // Each of the two, where one acts for another, reaches a row in a way of its own.
            for rights in access.each() {
                if matches!(rights.scope(table, action), super::Scope::All) {
                    continue;
                }
                let filter = super::share_filter(shares, table, action, &rights.principals);
                let query = load::bound(catalog, shares, &["objectid"], filter);
                let rows = load::rows(self.store(), query).await.map_err(not_about_rows)?;
                let ids: BTreeSet<Uuid> =
                    rows.iter().filter_map(|row| load::id_at(row, 0)).collect();
                by_right.insert((action, rights.principal), ids.into_iter().collect());
            }
        }
        Ok(Shares::Ids(by_right))
    }
}

/// The tables that a query names anywhere.
fn tables_of(query: &BoundQuery) -> BTreeMap<model::TableId, Arc<Table>> {
    let mut found = BTreeMap::new();
    let mut add = |table: &Arc<Table>| {
        found.insert(table.id, Arc::clone(table));
    };
    add(&query.table);
    of_joins(&query.joins, &mut add);
    of_filter(query.filter.as_ref(), &mut add);
    found
}

fn of_joins(joins: &[Join], add: &mut dyn FnMut(&Arc<Table>)) {
    for join in joins {
        add(&join.table);
        of_filter(join.on.as_ref(), add);
    }
}

fn of_filter(filter: Option<&Filter>, add: &mut dyn FnMut(&Arc<Table>)) {
    match filter {
        Some(Filter::And(parts) | Filter::Or(parts)) => {
            parts.iter().for_each(|part| of_filter(Some(part), add));
        }
        Some(Filter::Exists(exists)) if !exists.of_service => {
            add(&exists.table);
            of_joins(&exists.joins, add);
            of_filter(exists.filter.as_ref(), add);
        }
        Some(Filter::Hierarchy(hierarchy)) if !hierarchy.of_service => add(&hierarchy.table),
        _ => {}
    }
}

/// What cuts a query down.
struct Cut<'a> {
    context: &'a Context,
    access: &'a Access,
    shares: &'a Shares<'a>,
}

impl Cut<'_> {
    fn query(&self, query: &mut BoundQuery) {
        self.filter(query.filter.as_mut());
        self.joins(&mut query.joins);
        query.filter = both(query.filter.take(), self.of_table(&query.table, 0));
    }

    fn joins(&self, joins: &mut [Join]) {
        for (source, join) in (1..).zip(joins) {
            self.filter(join.on.as_mut());
            join.on = both(join.on.take(), self.of_table(&join.table, source));
        }
    }

    fn filter(&self, filter: Option<&mut Filter>) {
        match filter {
            Some(Filter::And(parts) | Filter::Or(parts)) => {
                parts.iter_mut().for_each(|part| self.filter(Some(part)));
            }
            Some(Filter::Exists(exists)) if !exists.of_service => {
                self.filter(exists.filter.as_mut());
                self.joins(&mut exists.joins);
                exists.filter = both(exists.filter.take(), self.of_table(&exists.table, 0));
            }
            // What a hidden row points to is as hidden: a line of rows ends there.
            Some(Filter::Hierarchy(hierarchy)) if !hierarchy.of_service => {
                let seen = self.of_table(&hierarchy.table, 0);
                hierarchy.among = both(hierarchy.among.take(), seen);
            }
            _ => {}
        }
    }

    fn of_table(&self, table: &Table, source: u16) -> Option<Filter> {
        if !table.is_intersect {
            return self.access.filter(table, Action::Read, source, self.shares);
        }
        // A row that links two others is seen by those who see both.
        let ends = ends(&self.context.catalog, table);
        let seen = ends.into_iter().filter_map(|(column, end)| {
            let filter = self.access.filter(end, Action::Read, 0, self.shares)?;
            let to = ColumnRef { source, column };
            Some(Filter::from(Exists::new(end, end.primary_key, to).with(filter)))
        });
        let seen: Vec<Filter> = seen.collect();
        (!seen.is_empty()).then_some(Filter::And(seen))
    }
}

fn both(one: Option<Filter>, other: Option<Filter>) -> Option<Filter> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Filter::And(vec![one, other])),
        (one, other) => one.or(other),
    }
}
