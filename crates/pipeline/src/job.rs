//! Background jobs as rows: their stages, what a caller may do to one, and the rows of a new one. Pure.
//!
//! Not here: running jobs (the crate `jobs`), reading and writing the rows ([`crate::steer`]).
//! Source: `bulk.md` 6; of runs of steps, plugins.md 5.3: they have one row. Invariant: both rows of a bulk delete, `asyncoperation` and `bulkdeleteoperation`, are
//! written together and carry the same stage.

pub mod recurrence;

use crate::message::{Condition, Write};
use model::{
    Catalog, Cell, ErrorCode, Fault, LookupValue, MessageName, Table, Target, TargetKey, Timestamp,
    Uuid, Value, code,
};
use recurrence::Recurrence;
use std::sync::Arc;

/// The table of jobs of every kind.
pub const JOB: &str = "asyncoperation";
/// The table of what is particular to bulk deletes.
pub const BULK_DELETE: &str = "bulkdeleteoperation";
/// The table of rows that could not be deleted.
pub const FAILURE: &str = "bulkdeletefailure";
/// `operationtype` of a bulk delete.
pub const OPERATION_BULK_DELETE: i32 = 13;
/// `operationtype` of the run of an asynchronous step.
pub const OPERATION_EVENT: i32 = 1;
/// The column of what the run of a step gets; callers do not read it.
pub const RUN: &str = "sheaf_run";
/// Longest name of a job, in characters.
pub const NAME_CHARACTERS_MAX: usize = 256;
/// Longest list of records that a step is about to delete, in UTF-16 units.
pub const PENDING_UNITS_MAX: u32 = 1_048_576;

/// Where a job stands: the pair of `statecode` and `statuscode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// 0/0: any node may take it.
    Ready,
    /// 1/10: until `postponeuntil`, or until it is resumed where that is empty.
    Waiting,
    /// 2/20: a node runs it.
    Running,
    /// 2/21: it stops at its next step and waits.
    Pausing,
    /// 2/22: it stops at its next step for good.
    Canceling,
    /// 3/30
    Succeeded,
    /// 3/31
    Failed,
    /// 3/32
    Canceled,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 8] = [
        Self::Ready,
        Self::Waiting,
        Self::Running,
        Self::Pausing,
        Self::Canceling,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
    ];

    /// `statecode` and `statuscode`.
    pub fn pair(self) -> (i32, i32) {
        match self {
            Self::Ready => (0, 0),
            Self::Waiting => (1, 10),
            Self::Running => (2, 20),
            Self::Pausing => (2, 21),
            Self::Canceling => (2, 22),
            Self::Succeeded => (3, 30),
            Self::Failed => (3, 31),
            Self::Canceled => (3, 32),
        }
    }

    /// The stage with this `statuscode`.
    pub fn of_status(status: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.pair().1 == status)
    }

    /// The job has ended for good.
    pub fn is_completed(self) -> bool {
        self.pair().0 == 3
    }

    /// Its two values, by column.
    pub fn values(self) -> [(&'static str, Value); 2] {
        let (state, status) = self.pair();
        [("statecode", Value::Integer(state)), ("statuscode", Value::Integer(status))]
    }
}

/// What a caller asks of a job. `None`: the column is not in the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// `statecode`
    pub state: Option<i32>,
    /// `statuscode`
    pub status: Option<i32>,
    /// `postponeuntil`; null inside is no time.
    pub postpone: Option<Option<Timestamp>>,
}

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// The stage of both rows.
    pub stage: Stage,
    /// The new `postponeuntil`.
    pub postpone: Option<Timestamp>,
}

/// What a wish makes of a job; `None` leaves it as it is.
///
/// Errors: `0x8004023b` for every transition that is not documented.
/// Source: `bulk.md` 6.3.
pub fn steer(from: Stage, wish: Wish) -> Result<Option<Course>, Fault> {
    let course = |stage| Ok(Some(Course { stage, postpone: None }));
    match (wish, from) {
        (Wish { state: None, status: None, postpone: None }, _) => Ok(None),
        (Wish { state: Some(3), status: Some(32), postpone: None }, from) => match from {
            Stage::Ready | Stage::Waiting => course(Stage::Canceled),
            Stage::Running | Stage::Pausing => course(Stage::Canceling),
            Stage::Canceling => Ok(None),
            Stage::Succeeded | Stage::Failed | Stage::Canceled => Err(illegal(from)),
        },
        (Wish { state: Some(1), status: None | Some(10), postpone: None }, from) => match from {
            Stage::Running => course(Stage::Pausing),
            Stage::Pausing => Ok(None),
            _ => Err(illegal(from)),
        },
        (Wish { state: Some(0), status: None | Some(0), postpone: None | Some(None) }, from) => {
            match from {
                Stage::Waiting => course(Stage::Ready),
                _ => Err(illegal(from)),
            }
        }
        (
            Wish { state: None, status: None, postpone: Some(until) }
            | Wish { state: Some(1), status: None | Some(10), postpone: Some(until) },
            Stage::Ready | Stage::Waiting,
        ) => Ok(Some(match (until, from) {
            (None, Stage::Ready) => return Ok(None),
            (until, _) => Course { stage: Stage::Waiting, postpone: until },
        })),
        (_, from) => Err(illegal(from)),
    }
}

fn illegal(from: Stage) -> Fault {
    let (state, status) = from.pair();
    Fault::new(code::INVALID_OPERATION, "This state transition is not valid for the system job.")
        .with_hint(format!(
            "the job is at statecode {state}, statuscode {status}; a job is cancelled by {{\"statecode\":3,\"statuscode\":32}}, paused by {{\"statecode\":1}} while it runs, resumed by {{\"statecode\":0}} while it waits, and postponed by `postponeuntil` before it runs"
        ))
}

/// Reads what a caller asks of a job.
///
/// Errors: `0x8004023b` for any other column.
pub(crate) fn wish(table: &Table, target: &Target) -> Result<Wish, Fault> {
    let mut wish = Wish::default();
    let refused = |name: &str| {
        Fault::new(code::INVALID_OPERATION, "The system job cannot be changed in this way.")
            .with_hint(format!(
                "column `{name}`: only `statecode`, `statuscode` and `postponeuntil` may change"
            ))
    };
    if let Some(bind) = target.binds.first() {
        return Err(refused(&table.column(bind.column).logical_name));
    }
    for Cell { column, value } in &target.cells {
        let name = &*table.column(*column).logical_name;
        match (name, value) {
            ("statecode", Value::Integer(state)) => wish.state = Some(*state),
            ("statuscode", Value::Integer(status)) => wish.status = Some(*status),
            ("postponeuntil", Value::DateTime(until)) => wish.postpone = Some(Some(*until)),
            ("postponeuntil", Value::Null) => wish.postpone = Some(None),
            _ => return Err(refused(name)),
        }
    }
    Ok(wish)
}

/// A job to start.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// What it is called.
    pub name: Box<str>,
    /// When it starts; now, where that is past or not given.
    pub start: Option<Timestamp>,
    /// The import that it undoes, as the caller says; kept as `correlationid`, without effect.
    pub source: Option<Uuid>,
    /// How it comes again; empty for once.
    pub pattern: Box<str>,
    /// What it does, for the worker.
    pub data: Box<str>,
    /// The same as FetchXML, for the caller.
    pub queries: Box<str>,
    /// The table of its first query.
    pub table: Box<str>,
}

/// The two rows of a new job. `job` and `detail` are their ids.
pub(crate) fn rows(
    catalog: &Arc<Catalog>,
    now: Timestamp,
    (job, detail): (Uuid, Uuid),
    new: NewJob,
) -> Result<Vec<Write>, Fault> {
    if new.name.is_empty() || new.name.chars().count() > NAME_CHARACTERS_MAX {
        return Err(Fault::new(
            code::INVALID_ARGUMENT,
            format!("'JobName' must have 1 to {NAME_CHARACTERS_MAX} characters."),
        ));
    }
    let recurring = Recurrence::parse(&new.pattern)?;
    let later = new.start.filter(|start| *start > now);
    let stage = if later.is_some() { Stage::Waiting } else { Stage::Ready };
    let moment = |at: Option<Timestamp>| at.map_or(Value::Null, Value::DateTime);
    let jobs = table(catalog, JOB)?;
    let mut values = vec![
        ("name", Value::text(new.name.clone())),
        ("operationtype", Value::Integer(OPERATION_BULK_DELETE)),
        ("messagename", Value::text("BulkDelete")),
        ("primaryentitytype", Value::text(new.table)),
        ("retrycount", Value::Integer(0)),
        ("depth", Value::Integer(1)),
        ("postponeuntil", moment(later)),
        ("correlationid", new.source.map_or(Value::Null, Value::Guid)),
        ("recurrencepattern", Value::text(new.pattern)),
        ("data", Value::text(new.data)),
    ];
    values.extend(stage.values());
    if recurring.is_some() {
        values.push(("recurrencestarttime", Value::DateTime(new.start.unwrap_or(now))));
    }
    let mut details = vec![
        ("name", Value::text(new.name)),
        ("asyncoperationid", Value::Lookup(LookupValue { table: jobs.id, id: job })),
        ("successcount", Value::Integer(0)),
        ("failurecount", Value::Integer(0)),
        ("processingqeindex", Value::Integer(0)),
        ("isrecurring", Value::Boolean(recurring.is_some())),
        ("nextrun", moment(later)),
        ("orderedquerysetxml", Value::text(new.queries)),
    ];
    details.extend(stage.values());
    Ok(vec![write(MessageName::Create, jobs, vec![target(jobs, job, values, None)]), {
        let table = table(catalog, BULK_DELETE)?;
        write(MessageName::Create, table, vec![target(table, detail, details, None)])
    }])
}

/// A table that every organisation has.
pub fn table<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Arc<Table>, Fault> {
    catalog.table(name).ok_or_else(|| missing(name))
}

fn missing(what: &str) -> Fault {
    Fault::new(code::UNEXPECTED, "An unexpected error occurred.")
        .with_log(format!("the store has no `{what}`; it was made by an older version"))
}

/// A target from values by column; a column that the table has not is left out.
pub fn target(
    table: &Table,
    id: Uuid,
    values: impl IntoIterator<Item = (&'static str, Value)>,
    expected_version: Option<i64>,
) -> Target {
    let cells = values
        .into_iter()
        .filter_map(|(name, value)| Some(Cell { column: table.index_of(name)?, value }))
        .collect();
    Target { key: TargetKey::Id(id), cells, expected_version, ..Target::default() }
}

/// A write without a condition on its existence.
pub fn write(name: MessageName, table: &Arc<Table>, targets: Vec<Target>) -> Write {
    Write { name, table: table.clone(), targets, condition: Condition::Any }
}

/// A code as job rows carry it: the signed number.
pub fn signed(code: ErrorCode) -> i32 {
    code.0.cast_signed()
}

#[cfg(test)]
mod tests;
