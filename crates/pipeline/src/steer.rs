//! What callers may do to job rows: read the row, let [`crate::job`] decide, write both rows.
//!
//! Not here: running jobs. Invariant: a decision is written only onto the version that it was made
//! for; who loses that race looks again.

use crate::job::{self, Stage};
use crate::message::{Condition, Reply, Write};
use crate::privilege::Action;
use crate::rights::{Access, guard};
use crate::run::{Authority, Context, Error, Pipeline};
use model::{Fault, MessageName, Target, TargetKey, Timestamp, Uuid, Value, code};
use query::{BoundQuery, ColumnRef, Compare, Filter, Paging};
use store::RowOutcome;

/// How often a caller's change of a running job looks again before the caller is told to come again.
const TRIES_MAX: usize = 64;

/// The messages that this file answers.
pub(crate) fn is_about_a_job(message: &Write) -> bool {
    let table = &*message.table.logical_name;
    let one = message.targets.len() == 1;
    let changes = matches!(message.name, MessageName::Update | MessageName::Upsert);
    one && match message.name {
        MessageName::Delete => table == job::JOB || table == job::BULK_DELETE,
        _ => changes && table == job::JOB,
    }
}

/// A job as it is looked at here.
struct Seen {
    stage: Stage,
    version: i64,
    /// Its `bulkdeleteoperation`.
    detail: Option<Uuid>,
}

impl Pipeline {
    /// Runs a caller's message about a job.
    pub(crate) async fn steer(
        &self,
        context: &Context,
        access: &Access,
        message: Write,
    ) -> Result<Reply, Error> {
        guard::privileges(access, &context.catalog, &message)?;
        let Some(target) = message.targets.first() else {
            return Ok(Reply::Written(Vec::new()));
        };
        let TargetKey::Id(id) = target.key else {
            let text = "Entity Id must be specified for Operation";
            return Err(Fault::new(code::OBJECT_DOES_NOT_EXIST, text).into());
        };
        let action = match message.name {
            MessageName::Delete => Action::Delete,
            _ => Action::Write,
        };
        self.reach(context, access, (&message.table, action), &[id]).await?;
        let outcome = || Ok(Reply::Written(vec![RowOutcome { id, created: false }]));
        let given_version = target.expected_version;
        if message.name == MessageName::Delete && *message.table.logical_name == *job::JOB {
            // A worker's next step does not find the row any more, and nothing of that step is kept.
            self.write(context, vec![message], Authority::System).await?;
            return outcome();
        }
        if message.condition != Condition::Any {
            let text = "A record with matching key values already exists.";
            return Err(Fault::new(code::DUPLICATE_RECORD, text).into());
        }
        for _ in 0..TRIES_MAX {
            let writes = if message.name == MessageName::Delete {
                self.delete_detail(context, id, target).await?
            } else {
                self.change(context, id, target).await?
            };
            if writes.is_empty() {
                return outcome();
            }
            match self.write(context, writes, Authority::System).await {
                Ok(_) => return outcome(),
                Err(Error::Fault(fault))
                    if fault.code == code::CONCURRENCY_VERSION_MISMATCH
                        && given_version.is_none() => {}
                Err(Error::Fault(fault)) => return Err(Fault { write: None, ..*fault }.into()),
                Err(stale) => return Err(stale),
            }
        }
        let text = "The system job is changing too fast; try again.";
        Err(Fault::new(code::SERVER_BUSY, text).into())
    }

    /// What a change of a job's row writes.
    async fn change(
        &self,
        context: &Context,
        id: Uuid,
        target: &Target,
    ) -> Result<Vec<Write>, Error> {
        let jobs = job::table(&context.catalog, job::JOB)?;
        let wish = job::wish(jobs, target)?;
        let seen = self.seen(context, id).await?;
        let Some(course) = job::steer(seen.stage, wish)? else { return Ok(Vec::new()) };
        let version = target.expected_version.unwrap_or(seen.version);
        let postpone = course.postpone.map_or(Value::Null, Value::DateTime);
        let mut values = vec![("postponeuntil", postpone.clone())];
        values.extend(course.stage.values());
        if course.stage.is_completed() {
            values.push(("completedon", Value::DateTime(context.now)));
        }
        let target = job::target(jobs, id, values, Some(version));
        let mut writes = vec![job::write(MessageName::Update, jobs, vec![target])];
        if let Some(detail) = seen.detail {
            let table = job::table(&context.catalog, job::BULK_DELETE)?;
            let mut values = vec![("nextrun", postpone)];
            values.extend(course.stage.values());
            let target = job::target(table, detail, values, None);
            writes.push(job::write(MessageName::Update, table, vec![target]));
        }
        Ok(writes)
    }

    /// What the delete of a `bulkdeleteoperation` writes: a live job is cancelled first.
    async fn delete_detail(
        &self,
        context: &Context,
        id: Uuid,
        target: &Target,
    ) -> Result<Vec<Write>, Error> {
        let details = job::table(&context.catalog, job::BULK_DELETE)?;
        let mut writes = Vec::new();
        let found = self.look(context, job::BULK_DELETE, "bulkdeleteoperationid", id).await?;
        let Some(found) = found else { return Err(gone(job::BULK_DELETE, id).into()) };
        if let Some(job) = found.get(3).and_then(Value::as_id)
            && let Ok(seen) = self.seen(context, job).await
            && !seen.stage.is_completed()
        {
            let jobs = job::table(&context.catalog, job::JOB)?;
            let mut values = vec![("completedon", completed(context.now))];
            values.extend(Stage::Canceled.values());
            let target = job::target(jobs, job, values, Some(seen.version));
            writes.push(job::write(MessageName::Update, jobs, vec![target]));
        }
        let target = Target {
            key: TargetKey::Id(id),
            expected_version: target.expected_version,
            ..Target::default()
        };
        writes.push(job::write(MessageName::Delete, details, vec![target]));
        Ok(writes)
    }

    async fn seen(&self, context: &Context, id: Uuid) -> Result<Seen, Error> {
        let row = self.look(context, job::JOB, "asyncoperationid", id).await?;
        let Some(row) = row else { return Err(gone(job::JOB, id).into()) };
        let stage = match row.get(1) {
            Some(Value::Integer(status)) => Stage::of_status(*status),
            _ => None,
        };
        let version = match row.get(2) {
            Some(Value::BigInt(version)) => *version,
            _ => 0,
        };
        let Some(stage) = stage else {
            return Err(Fault::new(
                code::INVALID_OPERATION,
                "The system job cannot be changed in this way.",
            )
            .into());
        };
        let detail = self.look(context, job::BULK_DELETE, "asyncoperationid", id).await?;
        let detail = detail.and_then(|row| row.first().and_then(Value::as_id));
        Ok(Seen { stage, version, detail })
    }

    /// Key, status, version and job of the first row whose `column` is `id`.
    async fn look(
        &self,
        context: &Context,
        table: &str,
        column: &str,
        id: Uuid,
    ) -> Result<Option<Vec<Value>>, Error> {
        let table = job::table(&context.catalog, table)?;
        let at = |name: &str| table.index_of(name).map(ColumnRef::root);
        let (Some(by), Some(status), Some(version), Some(job)) =
            (at(column), at("statuscode"), at("versionnumber"), at("asyncoperationid"))
        else {
            return Ok(None);
        };
        let key = ColumnRef::root(table.primary_key);
        let query = BoundQuery {
            columns: vec![key, status, version, job],
            filter: Some(Filter::Compare {
                column: by,
                compare: Compare::Equal,
                value: Value::Guid(id),
            }),
            paging: Paging::first(1),
            ..BoundQuery::by_key(&context.catalog, table)
        };
        let page = self.read(&query).await?;
        Ok(page.rows(4).next().map(<[Value]>::to_vec))
    }
}

fn completed(now: Timestamp) -> Value {
    Value::DateTime(now)
}

fn gone(table: &str, id: Uuid) -> Fault {
    Fault::new(code::OBJECT_DOES_NOT_EXIST, format!("{table} With Id = {id} Does Not Exist"))
}
