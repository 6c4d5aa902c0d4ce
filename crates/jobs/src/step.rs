//! One step of a job: look at its row, read a page of ids, delete them and count them in one message.
//!
//! Which rows: those that match and were made before the run, which is those with `createdon` before
//! its beginning, and those of the same second whose version is not above the one at the beginning. A
//! row that was only changed since is deleted, too. The page begins behind the last id that a
//! committed step has looked at, so a row that cannot be deleted is tried once a run, and ends where
//! the part of the table ends that is being looked at: [`part`].
//! Jobs that are runs of steps are made elsewhere: [`event`].
//! Rows of elastic tables lie in a store of their own and take two writes of the job: [`elastic`].

mod elastic;
mod event;
mod part;

use crate::Error;
use crate::row::{self, Detail, Loaded, Select, Values, compare, moment};
use crate::state::{self, LEASE_SECONDS, Next};
use elastic::{Place, Walk};
use event::Event;
use model::{
    Caller, DeleteAction, ErrorCode, Fault, LookupValue, MessageName, OneToMany, Table, TableKind,
    Target, TargetKey, Timestamp, Uuid, Value, code,
};
use part::Parts;
use pipeline::job::recurrence::Recurrence;
use pipeline::job::{self, Stage};
use pipeline::{Context, Message, Pipeline, Write};
use query::expression::{self, Bound};
use query::{Compare, Filter};
use std::sync::Arc;

/// Rows that one step deletes at most.
pub const STEP_ROWS_MAX: u32 = 1_000;
/// Rows that are looked at before the job's row says so, whether they match or not. A worker that is
/// killed looks at so many again.
const LOOK_ROWS_MAX: u32 = 20_000;
/// How far rows are counted that would follow a thousand. The count asks for all of them, so that no engine
/// walks through a table in the hope that one comes by soon: it looks them up.
const FOLLOWERS_MAX: u64 = 1_000_000;
/// Longest description of a failure, in characters.
const DESCRIPTION_CHARACTERS_MAX: usize = 512;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// There is more to do.
    On,
    /// There is more to do, but not yet.
    Later,
    /// The job is not this worker's any more: it has ended, waits, or somebody else has it.
    Left,
}

/// A job that this worker has claimed.
pub(crate) struct Run {
    pub(crate) id: Uuid,
    /// Its queries, and what they are bound to.
    queries: Option<Queries>,
    /// Rows that are to be deleted one by one, after their thousand failed.
    singles: Vec<Uuid>,
    /// Where it is in a standard table.
    parts: Parts,
    /// Where it is in an elastic table.
    walk: Walk,
    /// What became of the run of a step.
    event: Event,
}

/// The queries of a run.
struct Queries {
    /// Version of the definitions that they are bound to.
    catalog: u64,
    /// When the run began: relative dates count from there.
    started: Option<Timestamp>,
    bound: Bounds,
}

/// Bound queries, or why one cannot be bound.
type Bounds = Result<Arc<[Bound]>, String>;

/// What one write of a step came to.
enum Written {
    Yes,
    /// The rows to delete are at fault: nothing was kept.
    Rows(Box<Fault>),
    /// The job's own rows have changed: look again.
    Changed,
}

impl Run {
    pub(crate) fn new(id: Uuid) -> Self {
        let (parts, walk) = (Parts::default(), Walk::default());
        Self { id, queries: None, singles: Vec::new(), parts, walk, event: Event::default() }
    }

    /// Makes the next step.
    pub(crate) async fn step(
        &mut self,
        pipeline: &Pipeline,
        host: &str,
        now: Timestamp,
    ) -> Result<Stepped, Error> {
        let mut context = Context {
            catalog: pipeline.catalog(),
            caller: pipeline.organization().caller(),
            now,
            course: pipeline::Course::default(),
        };
        let Some(loaded) = row::load(pipeline, &context, self.id).await? else {
            return Ok(Stepped::Left);
        };
        if let Some(owner) = loaded.row.id("ownerid") {
            context.caller = Caller { user: owner, ..context.caller };
        }
        let at = At { pipeline, context, loaded };
        if at.loaded.job.is_event() {
            return self.event.step(&at, host).await;
        }
        match state::next(&at.loaded.job, host) {
            Next::Leave => Ok(Stepped::Left),
            Next::Begin => at.begin().await,
            // What was begun is counted before anything else is done.
            Next::Work | Next::Pause | Next::Cancel if at.has_pending() => self.work(&at).await,
            Next::Pause => {
                let mut values = released(None);
                values.extend(Stage::Waiting.values());
                at.stop(values, Stage::Waiting.values().to_vec()).await
            }
            Next::Cancel => {
                let mut values = released(Some(at.context.now));
                values.extend(Stage::Canceled.values());
                at.stop(values, Stage::Canceled.values().to_vec()).await
            }
            Next::Work => self.work(&at).await,
        }
    }

    async fn work(&mut self, at: &At<'_>) -> Result<Stepped, Error> {
        let Some(detail) = at.loaded.detail else {
            // Somebody has deleted the row that the work is counted in: that ends the work.
            let mut values = released(Some(at.context.now));
            values.extend(Stage::Canceled.values());
            return at.stop(values, Vec::new()).await;
        };
        let bound = match self.queries(at).await? {
            Ok(bound) => bound,
            Err(why) => return at.finish(detail, Some(why)).await,
        };
        if let Some(id) = self.singles.pop() {
            return self.single(at, detail, &bound, id).await;
        }
        let place = usize::try_from(detail.query).unwrap_or(0);
        let Some(query) = bound.get(place) else { return at.finish(detail, None).await };
        if query.table.kind == TableKind::Elastic {
            return self.walk.step(at, detail, query).await;
        }
        let end = self.parts.end(at, detail, query).await?;
        let ids = at.page(query, end).await?;
        let is_whole = ids.len() < STEP_ROWS_MAX as usize;
        // Of the last page of a part the rest of the part is looked at, too.
        let reached = if is_whole { end.or(ids.last().copied()) } else { ids.last().copied() };
        if ids.is_empty() {
            return match end {
                Some(_) => at.pass(detail, end).await,
                None => at.next_query(detail).await,
            };
        }
        if at.is_followed(&query.table, &ids).await? {
            self.singles = ids.into_iter().rev().collect();
            return Ok(Stepped::On);
        }
        let count = i32::try_from(ids.len()).unwrap_or(i32::MAX);
        let done = Detail { successes: detail.successes.saturating_add(count), ..detail };
        let delete = delete(&query.table, &ids);
        let reached = reached.map(Place::from);
        if let Written::Rows(_) = at.progress(done, reached.as_ref(), vec![delete]).await? {
            self.singles = ids.into_iter().rev().collect();
        }
        Ok(Stepped::On)
    }

    /// Deletes one row, or records why not.
    async fn single(
        &mut self,
        at: &At<'_>,
        detail: Detail,
        bound: &[Bound],
        id: Uuid,
    ) -> Result<Stepped, Error> {
        let Some(query) = usize::try_from(detail.query).ok().and_then(|place| bound.get(place))
        else {
            return Ok(Stepped::On);
        };
        let done = Detail { successes: detail.successes.saturating_add(1), ..detail };
        let delete = delete(&query.table, &[id]);
        let again = match at.progress(done, Some(&id.into()), vec![delete]).await {
            Ok(Written::Yes) => return Ok(Stepped::On),
            Ok(Written::Rows(fault)) if fault.code == code::OBJECT_DOES_NOT_EXIST => {
                // Somebody else was faster: the goal is met, and it is no success of ours.
                matches!(at.progress(detail, Some(&id.into()), Vec::new()).await?, Written::Changed)
            }
            Ok(Written::Rows(fault)) => {
                let done = Detail { failures: detail.failures.saturating_add(1), ..detail };
                let table = &query.table;
                let regarding = Value::Lookup(LookupValue { table: table.id, id });
                let failed = Failed { regarding, code: fault.code, text: fault.message };
                let failure = at.failures(detail, table, vec![failed])?;
                // The row may be gone by now; then the next try finds it so.
                !matches!(at.progress(done, Some(&id.into()), vec![failure]).await?, Written::Yes)
            }
            Ok(Written::Changed) => true,
            Err(error) => {
                self.singles.push(id);
                return Err(error);
            }
        };
        if again {
            self.singles.push(id);
        }
        Ok(Stepped::On)
    }

    /// The queries, bound to the present definitions; relative dates are those of the run's beginning.
    async fn queries(&mut self, at: &At<'_>) -> Result<Bounds, Error> {
        let version = at.context.catalog.version();
        let started = at.loaded.job.started;
        if let Some(known) = &self.queries
            && known.catalog == version
            && known.started == started
        {
            return Ok(known.bound.clone());
        }
        let text = row::data(at.pipeline, &at.context, self.id, "data").await?;
        let now = started.unwrap_or(at.context.now);
        let asked = at.pipeline.query_context(&at.context, now).await?;
        let bound = expression::parse(&text)
            .and_then(|queries| {
                let bind = |query| expression::bind(&at.context.catalog, query, &asked);
                queries.iter().map(bind).collect::<Result<Arc<[Bound]>, _>>()
            })
            .map_err(|error| error.to_string());
        self.queries = Some(Queries { catalog: version, started, bound: bound.clone() });
        Ok(bound)
    }
}

/// A record that could not be deleted.
struct Failed {
    /// The lookup to it, where there can be one.
    regarding: Value,
    code: ErrorCode,
    text: String,
}

/// A job at one moment.
struct At<'a> {
    pipeline: &'a Pipeline,
    context: Context,
    loaded: Loaded,
}

impl At<'_> {
    /// Removes the failures of the run before, then marks the beginning of this one.
    async fn begin(&self) -> Result<Stepped, Error> {
        if let Some(detail) = self.loaded.detail {
            let table = job::table(&self.context.catalog, job::FAILURE)?;
            let of_job =
                compare(table, "bulkdeleteoperationid", Compare::Equal, Value::Guid(detail.id));
            let columns = &["bulkdeletefailureid"];
            let wanted =
                Select { table, columns, filter: Some(of_job), after: None, size: STEP_ROWS_MAX };
            let old = row::select(self.pipeline, &self.context, wanted).await?;
            let ids: Vec<Uuid> =
                old.iter().filter_map(|row| row.id("bulkdeletefailureid")).collect();
            if !ids.is_empty() {
                let write = delete(table, &ids);
                self.write(vec![write], self.lease(), Vec::new()).await?;
                return Ok(Stepped::On);
            }
        }
        let mut values = self.lease();
        values.extend([
            ("startedon", Value::DateTime(self.context.now)),
            ("completedon", Value::Null),
            ("sheaf_startversion", Value::BigInt(self.loaded.job.version)),
            ("sheaf_position", Value::Null),
            ("sheaf_partition", Value::Null),
            ("sheaf_pending", Value::Null),
            ("errorcode", Value::Null),
            ("message", Value::Null),
            ("friendlymessage", Value::Null),
        ]);
        let counts = vec![
            ("successcount", Value::Integer(0)),
            ("failurecount", Value::Integer(0)),
            ("processingqeindex", Value::Integer(0)),
            ("nextrun", Value::Null),
        ];
        self.write(Vec::new(), values, counts).await?;
        Ok(Stepped::On)
    }

    /// The ids of the next rows of a query, up to a key.
    async fn page(&self, query: &Bound, end: Option<Uuid>) -> Result<Vec<Uuid>, Error> {
        let table = &query.table;
        let started = self.loaded.job.started.unwrap_or(self.context.now);
        let version = self.loaded.row.long("sheaf_startversion").unwrap_or(i64::MAX);
        let created = |how| compare(table, "createdon", how, Value::DateTime(started));
        let before = Filter::Or(vec![
            created(Compare::Less),
            Filter::And(vec![
                created(Compare::Equal),
                compare(table, "versionnumber", Compare::LessOrEqual, Value::BigInt(version)),
            ]),
        ]);
        let key = self.context.catalog.table_by_id(table.id).map(|table| table.primary_key);
        let Some(key) = key else { return Ok(Vec::new()) };
        let end = end.map(|end| Filter::Compare {
            column: key.into(),
            compare: Compare::LessOrEqual,
            value: Value::Guid(end),
        });
        let conditions = query.filter.iter().cloned().chain(end).chain([before]);
        let filter = Filter::And(conditions.collect());
        let query = query::BoundQuery {
            filter: Some(filter),
            paging: query::Paging {
                size: STEP_ROWS_MAX,
                after: self.loaded.row.id("sheaf_position").map(|id| vec![Value::Guid(id)]),
                skip: 0,
                look_ahead: false,
            },
            ..query::BoundQuery::by_key(&self.context.catalog, table)
        };
        let read = pipeline::Read { name: MessageName::RetrieveMultiple, query };
        let page = match self.pipeline.run(&self.context, Message::Read(read)).await? {
            pipeline::Reply::Page(page) => page,
            _ => return Err(Error::Malformed { why: "a read answered no page".to_owned() }),
        };
        Ok(page.cells.iter().filter_map(Value::as_id).collect())
    }

    /// Whether deletes of these rows reach further rows: then each row is a message of its own.
    ///
    /// Cost: a count by the lookup for each relationship that would follow, up to the first that does. A
    /// row that comes to be in between goes with its thousand.
    async fn is_followed(&self, table: &Table, ids: &[Uuid]) -> Result<bool, Error> {
        let catalog = &self.context.catalog;
        let follows = |link: &&Arc<OneToMany>| {
            matches!(link.cascade.delete, DeleteAction::Cascade | DeleteAction::RemoveLink)
        };
        for link in catalog.delete_links(&table.logical_name).filter(follows) {
            let Some(referencing) = catalog.table(&link.referencing_table) else { continue };
            let Some(lookup) = referencing.index_of(&link.referencing_column) else { continue };
            let query = query::BoundQuery {
                filter: Some(Filter::In {
                    column: lookup.into(),
                    values: ids.iter().copied().map(Value::Guid).collect(),
                    negated: false,
                }),
                paging: query::Paging::first(0),
                count_max: Some(FOLLOWERS_MAX),
                ..query::BoundQuery::by_key(catalog, referencing)
            };
            let read = Message::SystemRead(query);
            if let pipeline::Reply::Page(page) = self.pipeline.run(&self.context, read).await?
                && page.count != Some(0)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Nothing matches up to here: nobody looks here again, and the lease is renewed.
    async fn pass(&self, detail: Detail, end: Option<Uuid>) -> Result<Stepped, Error> {
        let end = end.map(Place::from);
        self.progress(detail, end.as_ref(), Vec::new()).await.map(|_| Stepped::On)
    }

    /// Every row of a query has been looked at.
    async fn next_query(&self, detail: Detail) -> Result<Stepped, Error> {
        let next = Detail { query: detail.query + 1, ..detail };
        self.progress(next, None, Vec::new()).await.map(|_| Stepped::On)
    }

    /// Writes what was done with how far the job is, all or nothing.
    async fn progress(
        &self,
        done: Detail,
        position: Option<&Place>,
        work: Vec<Write>,
    ) -> Result<Written, Error> {
        let mut values = self.lease();
        values.extend(elastic::position(position));
        let counts = vec![
            ("successcount", Value::Integer(done.successes)),
            ("failurecount", Value::Integer(done.failures)),
            ("processingqeindex", Value::Integer(done.query)),
        ];
        self.write(work, values, counts).await
    }

    fn lease(&self) -> Values {
        let until = Timestamp(self.context.now.0 + LEASE_SECONDS);
        vec![("sheaf_leaseuntil", Value::DateTime(until))]
    }

    /// Ends the worker's part.
    async fn stop(&self, of_job: Values, of_detail: Values) -> Result<Stepped, Error> {
        match self.write(Vec::new(), of_job, of_detail).await? {
            Written::Yes => Ok(Stepped::Left),
            Written::Rows(_) | Written::Changed => Ok(Stepped::On),
        }
    }

    /// Every query is done, or one cannot be run.
    async fn finish(&self, detail: Detail, invalid: Option<String>) -> Result<Stepped, Error> {
        let now = self.context.now;
        let verdict = match invalid {
            Some(_) => Stage::Failed,
            None => state::verdict(detail.successes, detail.failures),
        };
        let mut values = released(Some(now));
        if verdict == Stage::Failed {
            let error = job::signed(code::BULK_DELETE_RECORD_DELETION_FAILURE);
            let text = invalid.unwrap_or_else(|| {
                format!("None of {} records could be deleted.", detail.failures)
            });
            values.push(("errorcode", Value::Integer(error)));
            values.push(("message", Value::text(text.clone())));
            values.push(("friendlymessage", Value::text(text)));
        }
        let row = &self.loaded.row;
        let again = Recurrence::parse(row.text("recurrencepattern"))?.map(|recurrence| {
            let first = row.time("recurrencestarttime").or(row.time("createdon")).unwrap_or(now);
            recurrence.next(first, now)
        });
        let stage = if again.is_some() { Stage::Waiting } else { verdict };
        values.push(("postponeuntil", moment(again)));
        values.extend(stage.values());
        let mut of_detail = vec![("nextrun", moment(again))];
        of_detail.extend(stage.values());
        self.stop(values, of_detail).await
    }

    /// The rows of records that could not be deleted.
    fn failures(&self, detail: Detail, table: &Table, failed: Vec<Failed>) -> Result<Write, Error> {
        let failures = job::table(&self.context.catalog, job::FAILURE)?;
        let details = job::table(&self.context.catalog, job::BULK_DELETE)?;
        let ids = self.pipeline.new_ids(failed.len(), self.context.now);
        let row = |(failed, id): (Failed, Uuid)| {
            let text: String = failed.text.chars().take(DESCRIPTION_CHARACTERS_MAX).collect();
            let values = [
                (
                    "bulkdeleteoperationid",
                    Value::Lookup(LookupValue { table: details.id, id: detail.id }),
                ),
                ("errornumber", Value::Integer(job::signed(failed.code))),
                ("errordescription", Value::text(text)),
                ("orderedqueryindex", Value::Integer(detail.query)),
                ("regardingobjectid", failed.regarding),
                ("regardingobjecttypecode", Value::text(table.logical_name.clone())),
            ];
            job::target(failures, id, values, None)
        };
        let targets = failed.into_iter().zip(ids).map(row).collect();
        Ok(job::write(MessageName::Create, failures, targets))
    }

    /// Writes some work and both rows of the job in one message.
    async fn write(
        &self,
        work: Vec<Write>,
        of_job: Values,
        of_detail: Values,
    ) -> Result<Written, Error> {
        let of_work = work.len();
        let mut all = work;
        all.extend(row::writes(&self.context, &self.loaded, of_job, of_detail)?);
        match self.pipeline.run(&self.context, Message::System(all)).await {
            Ok(_) => Ok(Written::Yes),
            Err(pipeline::Error::Fault(fault)) if !is_passing(fault.code) => match fault.write {
                Some(place) if place < of_work => Ok(Written::Rows(fault)),
                Some(_) if is_about_the_job(fault.code) => Ok(Written::Changed),
                _ => Err(pipeline::Error::Fault(fault).into()),
            },
            Err(error) => Err(error.into()),
        }
    }
}

/// Faults of the store, not of a row: another try may pass.
fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        code::SERVER_BUSY
            | code::GENERIC_SQL_ERROR
            | code::SQL_TIMEOUT
            | code::COULD_NOT_OBTAIN_LOCK
            | code::UNEXPECTED
    )
}

/// The job's row was changed or deleted by somebody else.
fn is_about_the_job(code: ErrorCode) -> bool {
    matches!(code, code::CONCURRENCY_VERSION_MISMATCH | code::OBJECT_DOES_NOT_EXIST)
}

/// What the worker no longer holds.
fn released(completed: Option<Timestamp>) -> Values {
    let mut values = vec![
        ("hostid", Value::Null),
        ("sheaf_leaseuntil", Value::Null),
        ("sheaf_pending", Value::Null),
    ];
    if let Some(completed) = completed {
        values.push(("completedon", Value::DateTime(completed)));
    }
    values
}

fn delete(table: &Arc<Table>, ids: &[Uuid]) -> Write {
    let target = |id: &Uuid| Target { key: TargetKey::Id(*id), ..Target::default() };
    job::write(MessageName::Delete, table, ids.iter().map(target).collect())
}
