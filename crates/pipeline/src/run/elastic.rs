//! Runs messages on elastic tables: one call of the store per message, an outcome per target.
//!
//! Not here: planning (`crate::elastic`), which is pure.
//! Invariant: lookups are checked before the write, set by set; there is no transaction around both, so
//! a record that goes in between leaves a lookup to nothing, as it may on the platform.

use super::{Context, Error, Pipeline, not_about_rows};
use crate::available;
use crate::elastic::{self, Found, Wanted, bind_key};
use crate::fault;
use crate::message::{Definition, Partly, Reply, Walk, Write};
use crate::privilege::Action;
use crate::rights::{Access, Shares, Unreadable, guard};
use crate::write;
use model::{Bind, Failure, Fault, LookupValue, Table, TableKind, Uuid, Value, partition};
use query::{BoundQuery, ColumnRef, Compare, Filter, Paging};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use store::RowOutcome;
use store::alternate;
use store::elastic::{ElasticKey, ElasticOutcome, ElasticStore, ElasticWalk};

/// Ids that one query asks for.
const IDS_PER_QUERY: usize = 5_000;
/// Alternate keys that one query asks for.
const BINDS_PER_QUERY: usize = 100;

impl Pipeline {
    /// The state of the elastic tables behind the last write that this process was answered; none
    /// before the first. Never smaller than one that was told before.
    pub fn elastic_version(&self) -> Option<i64> {
        Some(self.elastic_version.load(Ordering::Acquire)).filter(|version| *version > 0)
    }

    pub(super) fn refuse_elastic_without_store(
        &self,
        definition: &Definition,
    ) -> Result<(), Error> {
        match definition {
            Definition::CreateTables(tables)
                if tables.iter().any(|table| table.kind == TableKind::Elastic) =>
            {
                self.elastic_store().map(drop)
            }
            _ => Ok(()),
        }
    }

    fn elastic_store(&self) -> Result<&dyn ElasticStore, Error> {
        self.elastic.as_deref().ok_or_else(|| fault::no_elastic_store().into())
    }

    /// Reads the records with these keys, one answer per key: all values of its row.
    pub(crate) async fn elastic_rows(
        &self,
        context: &Context,
        table: &Arc<Table>,
        keys: &[ElasticKey],
    ) -> Result<Vec<Option<Vec<Value>>>, Error> {
        let rows = self.elastic_store()?.rows(&context.catalog, table, keys, context.now).await;
        rows.map_err(not_about_rows)
    }

    /// Writes the targets, each for itself.
    pub(crate) async fn write_elastic(
        &self,
        context: &Context,
        access: &Access,
        message: Write,
    ) -> Result<Reply, Error> {
        available::refuse(&self.unavailable, &message)?;
        guard::privileges(access, &context.catalog, &message)?;
        let name = message.name;
        let outcomes = self.write_elastic_targets(context, access, message).await?;
        if outcomes.iter().all(Result::is_ok) {
            return Ok(Reply::Written(outcomes.into_iter().flatten().collect()));
        }
        if name.is_bulk() {
            return Ok(Reply::Partly(Partly { outcomes, ..Partly::default() }));
        }
        let failures = outcomes.into_iter().filter_map(Result::err).collect();
        Err(fault::of_failures(name, failures).into())
    }

    /// The same for a caller who may send the message; one outcome per target.
    pub(crate) async fn write_elastic_targets(
        &self,
        context: &Context,
        access: &Access,
        message: Write,
    ) -> Result<Vec<Result<RowOutcome, Failure>>, Error> {
        let table = Arc::clone(&message.table);
        let store = self.elastic_store()?;
        let named = write::named_principals(&message);
        let principals = self.principals(context, &named).await?;
        let mut drafts =
            elastic::plan(context, self.organization, &principals, &self.ids, message)?;
        let found = self.existing(context, &drafts.wanted()).await?;
        drafts.resolve(context, &found);
        self.limit_elastic(context, access, &mut drafts, &table, &named).await?;
        let writes = drafts.writes();
        let written = match writes.is_empty() {
            true => Vec::new(),
            false => store.write(&table, context.now, writes).await.map_err(not_about_rows)?,
        };
        let versions = written.iter().filter_map(|outcome| match outcome {
            ElasticOutcome::Written { version, .. } => Some(*version),
            ElasticOutcome::Refused(_) => None,
        });
        if let Some(version) = versions.max() {
            self.elastic_version.fetch_max(version, Ordering::AcqRel);
        }
        Ok(drafts.outcomes(access, &context.catalog, &written))
    }

    /// Gives writes the limits of their caller. Nothing is asked where it reaches everything.
    async fn limit_elastic(
        &self,
        context: &Context,
        access: &Access,
        drafts: &mut elastic::Drafts,
        table: &Arc<Table>,
        named: &[LookupValue],
    ) -> Result<(), Error> {
        const OWN: [Action; 5] =
            [Action::Create, Action::Write, Action::Delete, Action::Append, Action::Assign];
        let unable = self.unable_in(context, table, named).await?;
        let mut far = BTreeSet::new();
        for (target, ids) in drafts.wanted().by_table() {
            let Some(target) = context.catalog.table_by_id(target) else { continue };
            if !access.reaches_all(target, Action::AppendTo) {
                let out = self.out_of_reach(context, access, (target, Action::AppendTo), &ids);
                let out = out.await?;
                far.extend(out.into_iter().map(|id| LookupValue { table: target.id, id }));
            }
        }
        let limited = OWN.iter().find(|action| !access.reaches_all(table, **action));
        let shares = match limited {
            None => Shares::None,
            Some(_) => self.shared_ids(context, access, table, &OWN).await?,
        };
        drafts.limit(access, &context.catalog, &shares, (&unable, &far));
        Ok(())
    }

    /// Reads a page of one partition, or of all.
    pub(super) async fn read_elastic(
        &self,
        context: &Context,
        query: &BoundQuery,
        partition: Option<&str>,
    ) -> Result<Reply, Error> {
        refuse_shape(query)?;
        let page = self.elastic_store()?.read(query, partition, context.now).await;
        page.map(Reply::Page).map_err(not_about_rows)
    }

    /// Looks at the next records of a table, of those that the caller may read.
    pub(super) async fn walk_elastic(
        &self,
        context: &Context,
        access: &Access,
        Walk { table, filter, after, rows_max }: Walk,
    ) -> Result<Reply, Error> {
        let key = ColumnRef::root(table.primary_key);
        let query = query_of(context, &table, vec![key], Filter::And(Vec::new()), 1);
        let query = BoundQuery { filter, ..query };
        let (query, _) = self.readable(context, access, query, Unreadable::Refused).await?;
        refuse_shape(&query)?;
        let BoundQuery { catalog, filter, .. } = query;
        let walk = ElasticWalk { catalog, table, filter, after, rows_max };
        let walked = self.elastic_store()?.walk(&walk, context.now).await;
        walked.map(Reply::Walked).map_err(not_about_rows)
    }

    /// Which of the records exist that lookups point to. One query per table and [`IDS_PER_QUERY`]
    /// ids; one read per record of an elastic table, which few lookups point to.
    pub(crate) async fn existing(
        &self,
        context: &Context,
        wanted: &Wanted,
    ) -> Result<Found, Error> {
        let mut found = Found::default();
        for (table_id, ids) in wanted.by_table() {
            let Some(table) = context.catalog.table_by_id(table_id) else { continue };
            if table.kind == TableKind::Elastic {
                for id in ids {
                    if self.is_elastic_record(context, table, id).await? {
                        found.ids.insert(LookupValue { table: table_id, id });
                    }
                }
                continue;
            }
            for ids in ids.chunks(IDS_PER_QUERY) {
                let key = ColumnRef::root(table.primary_key);
                let values = ids.iter().copied().map(Value::Guid).collect();
                let filter = Filter::In { column: key, values, negated: false };
                let query = query_of(context, table, vec![key], filter, ids.len());
                let page = self.read_in(context, &query).await?;
                let ids = page.cells.iter().filter_map(Value::as_id);
                found.ids.extend(ids.map(|id| LookupValue { table: table_id, id }));
            }
        }
        let mut binds: Vec<&Bind> =
            wanted.binds.iter().filter(|bind| partition::column(&bind.table).is_none()).collect();
        let order = |bind: &&Bind| (bind.table.id, bind.key.key);
        binds.sort_by_key(order);
        for of_key in binds.chunk_by(|a, b| order(a) == order(b)) {
            for some in of_key.chunks(BINDS_PER_QUERY) {
                self.resolve_binds(context, some, &mut found).await?;
            }
        }
        Ok(found)
    }

    /// Finds the records that these binds name, all by one key of one table.
    async fn resolve_binds(
        &self,
        context: &Context,
        binds: &[&Bind],
        found: &mut Found,
    ) -> Result<(), Error> {
        let Some(first) = binds.first() else { return Ok(()) };
        let (table, key) = (&first.table, first.table.key(first.key.key));
        let equals = |bind: &&Bind| {
            let pairs = key.columns.iter().zip(&bind.key.values);
            let compare = pairs.map(|(column, value)| Filter::Compare {
                column: ColumnRef::root(*column),
                compare: Compare::Equal,
                value: value.as_id().map_or_else(|| value.clone(), Value::Guid),
            });
            Filter::And(compare.collect())
        };
        let filter = Filter::Or(binds.iter().map(equals).collect());
        let columns = std::iter::once(&table.primary_key).chain(&key.columns);
        let columns: Vec<_> = columns.map(|column| ColumnRef::root(*column)).collect();
        let width = columns.len();
        let query = query_of(context, table, columns, filter, binds.len());
        let page = self.read_in(context, &query).await?;
        for row in page.rows(width) {
            let (Some(id), values) = (row.first().and_then(Value::as_id), &row[1..]) else {
                continue;
            };
            let parts: Option<Vec<_>> = values.iter().map(alternate::part_of).collect();
            if let Some(parts) = parts {
                found.binds.insert((table.id, first.key.key, parts), id);
            }
        }
        debug_assert!(binds.iter().all(|bind| bind_key(bind).is_some()));
        Ok(())
    }

    /// Whether an elastic table has a record with this id and no partition.
    async fn is_elastic_record(
        &self,
        context: &Context,
        table: &Arc<Table>,
        id: Uuid,
    ) -> Result<bool, Error> {
        let key = ColumnRef::root(table.primary_key);
        let mut conditions =
            vec![Filter::Compare { column: key, compare: Compare::Equal, value: Value::Guid(id) }];
        if let Some(column) = partition::column(table) {
            conditions.push(Filter::IsNull { column: ColumnRef::root(column), negated: false });
        }
        let query = query_of(context, table, vec![key], Filter::And(conditions), 1);
        let own = ElasticKey::new(id, None).partition;
        let page = self.elastic_store()?.read(&query, Some(&own), context.now).await;
        Ok(page.map_err(not_about_rows)?.rows > 0)
    }
}

/// Refuses what a store of elastic tables cannot be asked.
fn refuse_shape(query: &BoundQuery) -> Result<(), Fault> {
    if query.table.kind != TableKind::Elastic {
        return Err(fault::no_partitions(&query.table));
    }
    if !query.joins.is_empty() {
        return Err(fault::no_links());
    }
    if query.shape.rows != query::Rows::Each {
        return Err(fault::no_groups());
    }
    query.filter.as_ref().and_then(not_about_one_value).map_or(Ok(()), Err)
}

/// Why an elastic table cannot be asked this: a condition there is about one value of its row.
fn not_about_one_value(filter: &Filter) -> Option<Fault> {
    match filter {
        Filter::And(all) | Filter::Or(all) => all.iter().find_map(not_about_one_value),
        Filter::CompareColumns { .. } => Some(fault::no_column_comparison()),
        Filter::Exists(_) | Filter::CompareOuter { .. } | Filter::Hierarchy(_) => {
            Some(fault::no_links())
        }
        Filter::Compare { .. }
        | Filter::IsNull { .. }
        | Filter::In { .. }
        | Filter::Text { .. }
        | Filter::Like { .. }
        | Filter::Ranges { .. }
        | Filter::Choices { .. } => None,
    }
}

fn query_of(
    context: &Context,
    table: &Arc<Table>,
    columns: Vec<ColumnRef>,
    filter: Filter,
    size: usize,
) -> BoundQuery {
    BoundQuery {
        columns,
        filter: Some(filter),
        paging: Paging::first(u32::try_from(size).unwrap_or(u32::MAX)),
        ..BoundQuery::by_key(&context.catalog, table)
    }
}
