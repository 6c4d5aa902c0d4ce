//! Rows of jobs: read by column name, and the writes that change them.

use crate::Error;
use crate::state::Job;
use model::{MessageName, Table, Timestamp, Uuid, Value};
use pipeline::job::{self, Stage};
use pipeline::{Context, Message, Pipeline, Reply, Write};
use query::{BoundQuery, ColumnRef, Compare, Filter, Paging};
use std::sync::Arc;

/// Values of one row by column name.
pub(crate) struct Row {
    names: Arc<[&'static str]>,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn get(&self, name: &str) -> &Value {
        let place = self.names.iter().position(|known| *known == name);
        place.and_then(|place| self.values.get(place)).unwrap_or(&Value::Null)
    }

    pub(crate) fn id(&self, name: &str) -> Option<Uuid> {
        self.get(name).as_id()
    }

    pub(crate) fn number(&self, name: &str) -> Option<i32> {
        if let Value::Integer(number) = self.get(name) { Some(*number) } else { None }
    }

    pub(crate) fn long(&self, name: &str) -> Option<i64> {
        if let Value::BigInt(number) = self.get(name) { Some(*number) } else { None }
    }

    pub(crate) fn time(&self, name: &str) -> Option<Timestamp> {
        if let Value::DateTime(at) = self.get(name) { Some(*at) } else { None }
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        if let Value::Text(text) = self.get(name) { text } else { "" }
    }
}

/// What is read of a job, but for its queries, which may be long.
const JOB_COLUMNS: [&str; 18] = [
    "asyncoperationid",
    "statuscode",
    "versionnumber",
    "postponeuntil",
    "hostid",
    "sheaf_leaseuntil",
    "startedon",
    "completedon",
    "sheaf_startversion",
    "sheaf_position",
    "sheaf_partition",
    "sheaf_pending",
    "recurrencepattern",
    "recurrencestarttime",
    "createdon",
    "ownerid",
    "operationtype",
    "retrycount",
];

const DETAIL_COLUMNS: [&str; 4] =
    ["bulkdeleteoperationid", "successcount", "failurecount", "processingqeindex"];

/// A job with everything that a step needs, as its two rows say.
pub(crate) struct Loaded {
    pub(crate) job: Job,
    pub(crate) row: Row,
    /// The row of `bulkdeleteoperation`; none where a caller has deleted it.
    pub(crate) detail: Option<Detail>,
}

/// The second row of a job.
#[derive(Clone, Copy)]
pub(crate) struct Detail {
    pub(crate) id: Uuid,
    pub(crate) successes: i32,
    pub(crate) failures: i32,
    pub(crate) query: i32,
}

/// Which rows of a table, in which part.
pub(crate) struct Select<'a> {
    pub(crate) table: &'a Arc<Table>,
    pub(crate) columns: &'a [&'static str],
    pub(crate) filter: Option<Filter>,
    pub(crate) after: Option<Uuid>,
    pub(crate) size: u32,
}

/// Reads rows in the order of their primary keys.
pub(crate) async fn select(
    pipeline: &Pipeline,
    context: &Context,
    select: Select<'_>,
) -> Result<Vec<Row>, Error> {
    let Select { table, columns, filter, after, size } = select;
    let mut refs = Vec::with_capacity(columns.len());
    for name in columns {
        let why = || format!("table `{}` has no column `{name}`", table.logical_name);
        let column = table.index_of(name).ok_or_else(|| Error::Malformed { why: why() })?;
        refs.push(ColumnRef::root(column));
    }
    let query = BoundQuery {
        columns: refs,
        filter,
        paging: Paging {
            size,
            after: after.map(|id| vec![Value::Guid(id)]),
            skip: 0,
            look_ahead: false,
        },
        ..BoundQuery::by_key(&context.catalog, table)
    };
    let Reply::Page(page) = pipeline.run(context, Message::SystemRead(query)).await? else {
        return Err(Error::Malformed { why: "a read was not answered with a page".to_owned() });
    };
    let names: Arc<[&'static str]> = columns.into();
    let rows = page.rows(columns.len());
    Ok(rows.map(|values| Row { names: names.clone(), values: values.to_vec() }).collect())
}

/// A comparison by column name; holds for no row where the table has no such column.
pub(crate) fn compare(table: &Table, name: &str, compare: Compare, value: Value) -> Filter {
    match table.index_of(name) {
        Some(column) => Filter::Compare { column: ColumnRef::root(column), compare, value },
        None => Filter::Or(Vec::new()),
    }
}

/// The jobs that somebody should look at, oldest first.
pub(crate) async fn waiting(
    pipeline: &Pipeline,
    context: &Context,
    size: u32,
) -> Result<Vec<Job>, Error> {
    let table = job::table(&context.catalog, job::JOB)?;
    let equal =
        |name: &str, number: i32| compare(table, name, Compare::Equal, Value::Integer(number));
    let due = compare(table, "postponeuntil", Compare::LessOrEqual, Value::DateTime(context.now));
    let mut kinds = vec![equal("operationtype", job::OPERATION_BULK_DELETE)];
    if pipeline.runs_steps() {
        kinds.push(equal("operationtype", job::OPERATION_EVENT));
    }
    let filter = Filter::And(vec![
        Filter::Or(kinds),
        Filter::Or(vec![
            equal("statecode", 0),
            Filter::And(vec![equal("statecode", 1), due]),
            equal("statecode", 2),
        ]),
    ]);
    let columns = &JOB_COLUMNS;
    let rows = select(
        pipeline,
        context,
        Select { table, columns, filter: Some(filter), after: None, size },
    )
    .await?;
    Ok(rows.iter().filter_map(job_of).collect())
}

fn job_of(row: &Row) -> Option<Job> {
    Some(Job {
        id: row.id("asyncoperationid")?,
        operation: row.number("operationtype")?,
        stage: Stage::of_status(row.number("statuscode")?)?,
        version: row.long("versionnumber")?,
        postpone: row.time("postponeuntil"),
        host: Some(row.text("hostid")).filter(|host| !host.is_empty()).map(Into::into),
        lease: row.time("sheaf_leaseuntil"),
        started: row.time("startedon"),
        completed: row.time("completedon"),
    })
}

/// Both rows of a job; `None` where it is gone.
pub(crate) async fn load(
    pipeline: &Pipeline,
    context: &Context,
    id: Uuid,
) -> Result<Option<Loaded>, Error> {
    let table = job::table(&context.catalog, job::JOB)?;
    let by_id = |table: &Table, name| compare(table, name, Compare::Equal, Value::Guid(id));
    let wanted = Select {
        table,
        columns: &JOB_COLUMNS,
        filter: Some(by_id(table, "asyncoperationid")),
        after: None,
        size: 1,
    };
    let Some(row) = select(pipeline, context, wanted).await?.into_iter().next() else {
        return Ok(None);
    };
    let why = || Error::Malformed { why: format!("job {id} has no known status") };
    let job = job_of(&row).ok_or_else(why)?;
    let table = job::table(&context.catalog, job::BULK_DELETE)?;
    let wanted = Select {
        table,
        columns: &DETAIL_COLUMNS,
        filter: Some(by_id(table, "asyncoperationid")),
        after: None,
        size: 1,
    };
    let detail = select(pipeline, context, wanted).await?.into_iter().next();
    let detail = detail.and_then(|row| {
        Some(Detail {
            id: row.id("bulkdeleteoperationid")?,
            successes: row.number("successcount").unwrap_or(0),
            failures: row.number("failurecount").unwrap_or(0),
            query: row.number("processingqeindex").unwrap_or(0),
        })
    });
    Ok(Some(Loaded { job, row, detail }))
}

/// What the job does: the text that it was made with, in this column.
pub(crate) async fn data(
    pipeline: &Pipeline,
    context: &Context,
    id: Uuid,
    column: &'static str,
) -> Result<String, Error> {
    let table = job::table(&context.catalog, job::JOB)?;
    let filter = compare(table, "asyncoperationid", Compare::Equal, Value::Guid(id));
    let columns = &[column];
    let wanted = Select { table, columns, filter: Some(filter), after: None, size: 1 };
    let rows = select(pipeline, context, wanted).await?;
    Ok(rows.first().map_or(String::new(), |row| row.text(column).to_owned()))
}

/// Values by column.
pub(crate) type Values = Vec<(&'static str, Value)>;

/// Writes both rows, the job's only at the version that it was looked at.
pub(crate) fn writes(
    context: &Context,
    loaded: &Loaded,
    of_job: Values,
    of_detail: Values,
) -> Result<Vec<Write>, Error> {
    let mut writes = Vec::new();
    if let Some(detail) = loaded.detail {
        let table = job::table(&context.catalog, job::BULK_DELETE)?;
        let target = job::target(table, detail.id, of_detail, None);
        writes.push(job::write(MessageName::Update, table, vec![target]));
    }
    let table = job::table(&context.catalog, job::JOB)?;
    let target = job::target(table, loaded.job.id, of_job, Some(loaded.job.version));
    writes.push(job::write(MessageName::Update, table, vec![target]));
    Ok(writes)
}

/// A time, or nothing.
pub(crate) fn moment(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, Value::DateTime)
}
