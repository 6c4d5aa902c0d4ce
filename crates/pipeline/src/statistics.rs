//! How often each type of a component ran, and how it went: counted in memory, written now and then.
//!
//! Not here: when they are written (the workers of jobs do it every minute).
//! Source: plugins.md 5.5. Invariant: what could not be written is counted on, and a row is changed only as
//! it was read, so that several nodes add to one row and nothing is lost or counted twice.

use crate::job;
use crate::message::{Message, Write};
use crate::registration;
use crate::rights::load;
use crate::run::{Context, Error, Pipeline, not_about_rows};
use crate::step::StepFault;
use model::{Catalog, LookupValue, MessageName, Uuid, Value, code};
use std::collections::{HashMap, HashSet};
use std::ops::AddAssign;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The table.
pub(crate) const TABLE: &str = "plugintypestatistic";
/// How often rows are read anew when another node has written them.
const TRIES_MAX: usize = 4;

/// What was counted and is not written yet, by type.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    counted: Mutex<HashMap<Uuid, Count>>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    Failed,
    Crashed,
    OverTime,
    OverMemory,
}

impl Ended {
    pub(crate) fn of(fault: &StepFault) -> Self {
        match fault {
            StepFault::Crashed(_) => Self::Crashed,
            StepFault::MemoryLimit => Self::OverMemory,
            StepFault::TimeLimit => Self::OverTime,
            StepFault::Refused { .. }
            | StepFault::PassedOn(_)
            | StepFault::Unexpected(_)
            | StepFault::NotLoadable(_)
            | StepFault::TypeMissing
            | StepFault::NoneFree
            | StepFault::Disabled
            | StepFault::Webhook { .. } => Self::Failed,
        }
    }
}

/// Numbers of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    runs: i64,
    failures: i64,
    crashes: i64,
    over_time: i64,
    over_memory: i64,
    milliseconds: i64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.failures += other.failures;
        self.crashes += other.crashes;
        self.over_time += other.over_time;
        self.over_memory += other.over_memory;
        self.milliseconds += other.milliseconds;
    }
}

impl Counts {
    /// Counts one run of a type.
    pub(crate) fn add(&self, plugin_type: Uuid, ended: Ended, took: Duration) {
        let is = |wanted: &[Ended]| i64::from(wanted.contains(&ended));
        let count = Count {
            runs: 1,
            failures: i64::from(ended != Ended::Well),
            crashes: is(&[Ended::Crashed, Ended::OverTime, Ended::OverMemory]),
            over_time: is(&[Ended::OverTime]),
            over_memory: is(&[Ended::OverMemory]),
            milliseconds: i64::try_from(took.as_millis()).unwrap_or(i64::MAX / 2),
        };
        self.put(plugin_type, count);
    }

    fn put(&self, plugin_type: Uuid, count: Count) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.entry(plugin_type).or_default() += count;
    }

    fn take(&self) -> HashMap<Uuid, Count> {
        std::mem::take(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A row as it is stored.
struct Row {
    id: Uuid,
    version: i64,
    count: Count,
}

impl Pipeline {
    /// Writes what was counted, in one set. What cannot be written is counted on.
    pub async fn flush_statistics(&self, context: &Context) -> Result<(), Error> {
        let counted = self.statistics.take();
        if counted.is_empty() {
            return Ok(());
        }
        let mut done = Ok(());
        for _ in 0..TRIES_MAX {
            done = self.add_up(context, &counted).await;
            match &done {
                Ok(()) => return Ok(()),
                // Another node has written the same rows, or a type is gone: look again.
                Err(Error::Fault(fault)) if is_overtaken(fault.code) => {}
                Err(_) => break,
            }
        }
        counted.into_iter().for_each(|(id, count)| self.statistics.put(id, count));
        done
    }

    async fn add_up(&self, context: &Context, counted: &HashMap<Uuid, Count>) -> Result<(), Error> {
        let types = load::bound(
            &context.catalog,
            job::table(&context.catalog, registration::TYPE)?,
            &[],
            None,
        );
        let types = load::rows(self.store(), types).await.map_err(not_about_rows)?;
        let types: HashSet<Uuid> =
            types.iter().filter_map(|row| row.first().and_then(Value::as_id)).collect();
        let mut rows = self.statistic_rows(&context.catalog).await?;
        let mut made = HashSet::new();
        for (of, count) in counted.iter().filter(|(of, _)| types.contains(of)) {
            let row = rows.entry(*of).or_insert_with(|| {
                made.insert(*of);
                let id = Uuid::new_v5(of, TABLE.as_bytes());
                Row { id, version: 0, count: Count::default() }
            });
            row.count += *count;
        }
        let table = job::table(&context.catalog, TABLE)?;
        let of_types = job::table(&context.catalog, registration::TYPE)?.id;
        let crashes: i64 = rows.values().map(|row| row.count.crashes).sum();
        let (mut new, mut changed) = (Vec::new(), Vec::new());
        for (of, row) in &rows {
            // The share of crashes is one among all types: it may change with another's.
            if !counted.contains_key(of) && row.count.crashes == 0 {
                continue;
            }
            let is_new = made.contains(of);
            let lookup = Value::Lookup(LookupValue { table: of_types, id: *of });
            let mut values = columns(&row.count, crashes);
            values.push(("plugintypeid", lookup));
            let target = job::target(table, row.id, values, (!is_new).then_some(row.version));
            if is_new { new.push(target) } else { changed.push(target) }
        }
        let writes: Vec<Write> = [(MessageName::Create, new), (MessageName::Update, changed)]
            .into_iter()
            .filter(|(_, targets)| !targets.is_empty())
            .map(|(name, targets)| job::write(name, table, targets))
            .collect();
        if writes.is_empty() {
            return Ok(());
        }
        Box::pin(self.run(context, Message::System(writes))).await.map(drop)
    }

    /// All rows by type.
    async fn statistic_rows(&self, catalog: &Arc<Catalog>) -> Result<HashMap<Uuid, Row>, Error> {
        const COLUMNS: [&str; 9] = [
            "plugintypeid",
            "versionnumber",
            "executecount",
            "failurecount",
            "crashcount",
            "sheaf_timecount",
            "sheaf_memorycount",
            "sheaf_executemilliseconds",
            "plugintypestatisticid",
        ];
        let query = load::bound(catalog, job::table(catalog, TABLE)?, &COLUMNS, None);
        let found = load::rows(self.store(), query).await.map_err(not_about_rows)?;
        let number = |value: &Value| match value {
            Value::Integer(number) => i64::from(*number),
            Value::BigInt(number) => *number,
            _ => 0,
        };
        let row = |row: &Vec<Value>| {
            let count = Count {
                runs: number(&row[2]),
                failures: number(&row[3]),
                crashes: number(&row[4]),
                over_time: number(&row[5]),
                over_memory: number(&row[6]),
                milliseconds: number(&row[7]),
            };
            let (of, id) = (row[0].as_id()?, row[8].as_id()?);
            Some((of, Row { id, version: number(&row[1]), count }))
        };
        Ok(found.iter().filter_map(row).collect())
    }
}

fn is_overtaken(code: model::ErrorCode) -> bool {
    matches!(
        code,
        code::CONCURRENCY_VERSION_MISMATCH | code::DUPLICATE_RECORD | code::OBJECT_DOES_NOT_EXIST
    )
}

/// What a row shows. Shares are whole percents.
fn columns(count: &Count, crashes: i64) -> Vec<(&'static str, Value)> {
    let integer = |number: i64| Value::Integer(i32::try_from(number).unwrap_or(i32::MAX));
    let percent = |part: i64, whole: i64| integer((part * 100).checked_div(whole).unwrap_or(0));
    let other = count.crashes - count.over_time - count.over_memory;
    let average = count.milliseconds.checked_div(count.runs).unwrap_or(0);
    vec![
        ("executecount", integer(count.runs)),
        ("failurecount", integer(count.failures)),
        ("failurepercent", percent(count.failures, count.runs)),
        ("averageexecutetimeinmilliseconds", integer(average)),
        ("crashcount", integer(count.crashes)),
        ("crashpercent", percent(count.crashes, count.runs)),
        ("crashcontributionpercent", percent(count.crashes, crashes)),
        ("terminatecpucontributionpercent", percent(count.over_time, count.crashes)),
        ("terminatememorycontributionpercent", percent(count.over_memory, count.crashes)),
        ("terminatehandlescontributionpercent", integer(0)),
        ("terminateothercontributionpercent", percent(other, count.crashes)),
        ("sheaf_executemilliseconds", Value::BigInt(count.milliseconds)),
        ("sheaf_timecount", integer(count.over_time)),
        ("sheaf_memorycount", integer(count.over_memory)),
    ]
}
