//! The rows of an elastic table, a thousand a step, in two writes of the job around one of the store.
//!
//! The job's row and the deleted rows lie in different stores, so that one message cannot hold both.
//! First the job's row names the records at hand (`sheaf_pending`), then they are deleted, then they are
//! counted and the list is emptied. A worker that finds a list it did not write itself deletes what is
//! left of it; what is gone by then was deleted by the step that was cut off, and counts.
//! The table is walked in the order of its store, a part at a time, so that a run reads each row once.
//! The job's row keeps how far the work has come: behind the last row of the last list that was counted,
//! or of a part in which nothing matched.
//! Not here: jobs over standard tables, and what both have in common ([`super`]).
//! Invariant: a record is counted once: with the write that empties the list which names it.

use super::{At, Failed, LOOK_ROWS_MAX, Stepped, Written, is_passing};
use crate::Error;
use crate::row::{Detail, Values, compare};
use model::{
    Cell, Failure, Fault, MessageName, Table, Target, TargetKey, Timestamp, Uuid, Value, code,
    partition,
};
use pipeline::job::{self, PENDING_UNITS_MAX};
use pipeline::{ElasticKey, Message, Reply, Walked, Write};
use query::expression::Bound;
use query::{Compare, Filter};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of a list of records, so that its column holds it.
const PENDING_BYTES_MAX: usize = PENDING_UNITS_MAX as usize / 2;

/// A record: its id, and its partition where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    id: Uuid,
    partition: Option<Box<str>>,
}

impl From<Uuid> for Place {
    fn from(id: Uuid) -> Self {
        Self { id, partition: None }
    }
}

impl From<ElasticKey> for Place {
    fn from(key: ElasticKey) -> Self {
        let own = ElasticKey::new(key.id, None).partition;
        let partition = (key.partition != own).then_some(key.partition);
        Self { id: key.id, partition }
    }
}

/// The last record that a committed step has looked at, as the job's row keeps it.
pub(super) fn position(place: Option<&Place>) -> Values {
    let partition = place.and_then(|place| place.partition.clone());
    vec![
        ("sheaf_position", place.map_or(Value::Null, |place| Value::Guid(place.id))),
        ("sheaf_partition", partition.map_or(Value::Null, Value::Text)),
    ]
}

/// What a worker remembers of its way through an elastic table. Without it the job goes on, too.
#[derive(Default)]
pub(super) struct Walk {
    /// How far the job's row said that the work has come when this was true of it; none: of no row yet.
    known: Option<Reached>,
    /// Records that were found behind it and are still to be named in the job's row.
    ahead: VecDeque<Place>,
    /// The last of the records that were named in the job's row.
    named: Option<Place>,
    /// Where the next look begins; none: at the first row.
    next: Option<Place>,
    /// There are no rows behind those that were looked at.
    is_at_end: bool,
    /// The list in the job's row is ours, and nothing of it has been tried.
    is_fresh: bool,
    /// What became of the list in the job's row, until that is counted.
    tried: Option<Vec<Outcome>>,
}

/// How far a job has come, as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reached {
    run: Option<Timestamp>,
    query: i32,
    place: Option<Place>,
}

/// What became of a record.
#[derive(Clone)]
enum Outcome {
    Deleted,
    /// Somebody else was faster: the goal is met, and it is no success of ours.
    Gone,
    Failed(Failure),
}

impl Walk {
    pub(super) async fn step(
        &mut self,
        at: &At<'_>,
        detail: Detail,
        query: &Bound,
    ) -> Result<Stepped, Error> {
        if at.has_pending() {
            return self.settle(at, detail, &query.table).await;
        }
        let reached = at.reached(detail, at.place());
        if self.known.as_ref() != Some(&reached) {
            // Another query, or somebody else worked on: what is remembered is of another place.
            (self.ahead, self.is_at_end) = (VecDeque::new(), false);
            self.next = reached.place.clone();
            self.known = Some(reached);
        }
        if self.ahead.is_empty() && !self.is_at_end {
            // Times are in seconds: the run begins when the second is over that it is dated in, so
            // that every record made before counts and none that is made later.
            if at.loaded.job.started.is_none_or(|started| at.context.now <= started) {
                return Ok(Stepped::Later);
            }
            match at.look(query, self.next.as_ref()).await {
                Ok(Walked { keys, next }) => {
                    self.ahead = keys.into_iter().map(Place::from).collect();
                    self.is_at_end = next.is_none();
                    self.next = next.map(Place::from);
                }
                Err(Error::Pipeline(pipeline::Error::Fault(fault))) if !is_passing(fault.code) => {
                    return at.finish(detail, Some(fault.text())).await;
                }
                Err(error) => return Err(error),
            }
        }
        if self.ahead.is_empty() && self.is_at_end {
            return at.next_query(detail).await;
        }
        if self.ahead.is_empty() {
            // Nothing here: the lease is renewed, and nobody looks here again.
            if let Written::Yes = at.progress(detail, self.next.as_ref(), Vec::new()).await? {
                self.known = Some(at.reached(detail, self.next.clone()));
            }
            return Ok(Stepped::On);
        }
        let list = list_of(&self.ahead);
        if let Written::Yes = at.name(detail, list.text).await? {
            self.named = self.ahead.drain(..list.count).next_back();
            (self.is_fresh, self.tried) = (true, None);
        }
        Ok(Stepped::On)
    }

    /// Deletes the records that the job's row names, and counts them.
    async fn settle(
        &mut self,
        at: &At<'_>,
        detail: Detail,
        table: &Arc<Table>,
    ) -> Result<Stepped, Error> {
        let places = parse(at.loaded.row.text("sheaf_pending"))?;
        let is_first = std::mem::take(&mut self.is_fresh);
        let outcomes = match self.tried.take() {
            Some(outcomes) if outcomes.len() == places.len() => outcomes,
            _ => at.delete_places(table, &places, is_first).await?,
        };
        let mut done = detail;
        let mut failed = Vec::new();
        for (place, outcome) in places.iter().zip(&outcomes) {
            match outcome {
                Outcome::Deleted => done.successes = done.successes.saturating_add(1),
                Outcome::Gone => {}
                Outcome::Failed(failure) => {
                    done.failures = done.failures.saturating_add(1);
                    failed.push(failed_of(place, failure));
                }
            }
        }
        let work = match failed.is_empty() {
            true => Vec::new(),
            false => vec![at.failures(detail, table, failed)?],
        };
        match at.settled(done, places.last(), work).await? {
            // What is remembered is behind our own list only.
            Written::Yes if self.named.as_ref() == places.last() => {
                self.known = Some(at.reached(done, self.named.take()));
            }
            Written::Yes => {}
            Written::Rows(_) | Written::Changed => self.tried = Some(outcomes),
        }
        Ok(Stepped::On)
    }
}

/// Lookups of standard tables do not reach records of elastic ones: the text says which it is.
fn failed_of(place: &Place, failure: &Failure) -> Failed {
    let partition = place.partition.as_deref();
    let partition = partition.map_or(String::new(), |name| format!(", partition '{name}'"));
    let text = format!("{} [{}{partition}]", failure.message, place.id);
    Failed { regarding: Value::Null, code: failure.code, text }
}

impl At<'_> {
    /// A step has named records that are not counted yet.
    pub(super) fn has_pending(&self) -> bool {
        !self.loaded.row.text("sheaf_pending").is_empty()
    }

    fn reached(&self, detail: Detail, place: Option<Place>) -> Reached {
        Reached { run: self.loaded.job.started, query: detail.query, place }
    }

    /// How far the work has come in the present query.
    fn place(&self) -> Option<Place> {
        let row = &self.loaded.row;
        let id = row.id("sheaf_position")?;
        let partition = match row.get("sheaf_partition") {
            Value::Text(partition) => Some(partition.clone()),
            _ => None,
        };
        Some(Place { id, partition })
    }

    /// Looks at the next rows: those that match and were made before the run.
    async fn look(&self, query: &Bound, after: Option<&Place>) -> Result<Walked, Error> {
        let table = &query.table;
        let started = self.loaded.job.started.unwrap_or(self.context.now);
        let before = compare(table, "createdon", Compare::LessOrEqual, Value::DateTime(started));
        let filter = Filter::And(query.filter.iter().cloned().chain([before]).collect());
        let walk = pipeline::Walk {
            table: table.clone(),
            filter: Some(filter),
            after: after.map(|place| ElasticKey::new(place.id, place.partition.as_deref())),
            rows_max: LOOK_ROWS_MAX as usize,
        };
        match self.pipeline.run(&self.context, Message::Walk(walk)).await? {
            Reply::Walked(walked) => Ok(walked),
            _ => Err(Error::Malformed { why: "a walk was not answered as one".to_owned() }),
        }
    }

    /// Names the records that are to be deleted next.
    async fn name(&self, detail: Detail, list: String) -> Result<Written, Error> {
        let mut values = self.lease();
        values.push(("sheaf_pending", Value::text(list)));
        let counts = vec![("processingqeindex", Value::Integer(detail.query))];
        self.write(Vec::new(), values, counts).await
    }

    /// Counts the records that were named, and what the job's row named is done.
    async fn settled(
        &self,
        done: Detail,
        last: Option<&Place>,
        work: Vec<Write>,
    ) -> Result<Written, Error> {
        let mut values = self.lease();
        values.extend(position(last));
        values.push(("sheaf_pending", Value::Null));
        let counts = vec![
            ("successcount", Value::Integer(done.successes)),
            ("failurecount", Value::Integer(done.failures)),
        ];
        self.write(work, values, counts).await
    }

    /// Deletes records in one message; one outcome per record. Where an earlier try may have deleted
    /// some, those that are gone are its.
    async fn delete_places(
        &self,
        table: &Arc<Table>,
        places: &[Place],
        is_first: bool,
    ) -> Result<Vec<Outcome>, Error> {
        let column = partition::column(table);
        let target = |place: &Place| {
            let cell = place.partition.clone().zip(column);
            let cell = cell.map(|(text, column)| Cell { column, value: Value::Text(text) });
            let cells = cell.into_iter().collect();
            Target { key: TargetKey::Id(place.id), cells, ..Target::default() }
        };
        let targets = places.iter().map(target).collect();
        let message = job::write(MessageName::DeleteMultiple, table, targets);
        let gone = if is_first { Outcome::Gone } else { Outcome::Deleted };
        let outcome = |outcome: Result<_, Failure>| match outcome {
            Ok(_) => Outcome::Deleted,
            Err(failure) if failure.code == code::OBJECT_DOES_NOT_EXIST => gone.clone(),
            Err(failure) => Outcome::Failed(failure),
        };
        match self.pipeline.run(&self.context, Message::Write(message)).await {
            Ok(Reply::Partly(partly)) => Ok(partly.outcomes.into_iter().map(outcome).collect()),
            Ok(_) => Ok(vec![Outcome::Deleted; places.len()]),
            Err(pipeline::Error::Fault(fault)) if !is_passing(fault.code) => {
                Ok(vec![Outcome::Failed(whole(*fault)); places.len()])
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A message that is refused as a whole is the failure of each of its records.
fn whole(fault: Fault) -> Failure {
    Failure { index: 0, column: None, id: None, code: fault.code, message: fault.message }
}

/// A list of records as the job's row keeps it, and how many it names.
struct List {
    text: String,
    count: usize,
}

/// The first records, as many as a step takes.
fn list_of(places: &VecDeque<Place>) -> List {
    let mut list = List { text: String::from("["), count: 0 };
    for place in places.iter().take(super::STEP_ROWS_MAX as usize) {
        let item = serde_json::json!([place.id.to_string(), place.partition]).to_string();
        if list.count > 0 {
            if list.text.len() + item.len() + 2 > PENDING_BYTES_MAX {
                break;
            }
            list.text.push(',');
        }
        list.text.push_str(&item);
        list.count += 1;
    }
    list.text.push(']');
    list
}

fn parse(list: &str) -> Result<Vec<Place>, Error> {
    let malformed = |why: String| Error::Malformed { why: format!("`sheaf_pending`: {why}") };
    let items: Vec<(String, Option<Box<str>>)> =
        serde_json::from_str(list).map_err(|error| malformed(error.to_string()))?;
    let place = |(id, partition): (String, Option<Box<str>>)| {
        let id = Uuid::parse_str(&id).map_err(|_| malformed(format!("`{id}` is no id")))?;
        Ok(Place { id, partition })
    };
    items.into_iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(id: u128, partition: Option<&str>) -> Place {
        Place { id: Uuid::from_u128(id), partition: partition.map(Box::from) }
    }

    #[test]
    fn a_list_gives_its_records_back() {
        let places = [place(1, None), place(2, Some("a\"b\\c\n")), place(2, Some(""))];
        let list = list_of(&places.iter().cloned().collect());
        assert_eq!(list.count, 3);
        assert_eq!(parse(&list.text).expect("our own"), places);
        assert!(parse("[[\"x\",null]]").is_err());
        assert!(parse("{}").is_err());
    }

    #[test]
    fn a_list_holds_a_steps_rows_and_fits_its_column() {
        let short: VecDeque<Place> = (0..1_500).map(|id| place(id, None)).collect();
        assert_eq!(list_of(&short).count, 1_000);
        let long = "\"".repeat(1_024);
        let long: VecDeque<Place> = (0..1_500).map(|id| place(id, Some(&long))).collect();
        let list = list_of(&long);
        assert!(list.count > 100 && list.count < 1_000, "{}", list.count);
        assert!(list.text.len() <= PENDING_BYTES_MAX);
        assert_eq!(parse(&list.text).expect("our own").len(), list.count);
    }
}
