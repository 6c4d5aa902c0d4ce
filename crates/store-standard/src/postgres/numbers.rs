//! Numbers of auto-number columns: a sequence of the database for each counter.
//!
//! A sequence is no part of a transaction: nobody waits for another one's commit, and what was taken for a
//! message that fails is lost. What is taken is in the server's log before the commit of the rows that
//! have it, so a crash gives nothing twice.
//! Invariant: one statement per counter, whatever the number of numbers.

use super::connection::{Session, Step};
use super::decode;
use super::encode::Bound;
use super::error::{Error, Fault, engine};
use super::transaction::VERSION;
use crate::counters::{Changes, Place};
use store::Numbers;
use tokio_postgres::Row;

const DOING: &str = "taking numbers";

/// The name of a counter.
fn name((table, column): Place) -> String {
    format!("sheaf_number_{}_{}", table.0, column.0)
}

/// The commands that a change of definitions needs.
pub(super) fn changed(changes: &Changes) -> impl Iterator<Item = String> {
    let gone = changes.gone.iter().map(|place| format!("DROP SEQUENCE IF EXISTS {}", name(*place)));
    let made = changes.made.iter().map(|(place, seed)| {
        format!("CREATE SEQUENCE {} MINVALUE 0 START WITH {seed}", name(*place))
    });
    let restarted = changes
        .restarted
        .iter()
        .map(|(place, seed)| format!("ALTER SEQUENCE {} RESTART WITH {seed}", name(*place)));
    gone.chain(made).chain(restarted)
}

/// The steps that take numbers, one per counter.
pub(super) fn steps(wanted: &[Numbers]) -> Result<Vec<Step>, Error> {
    let step = |one: &Numbers| {
        let count = i64::try_from(one.count).map_err(|error| engine(DOING, error))?;
        let name = name((one.table, one.column));
        let text = format!("SELECT nextval('{name}') FROM generate_series(1::int8, $1::int8)");
        Ok(Step::run(text, vec![Bound::int8(count)]))
    };
    wanted.iter().map(step).collect()
}

/// The numbers that the steps have taken, ascending.
pub(super) fn taken(answers: &[Vec<Row>]) -> Result<Vec<Vec<i64>>, Error> {
    let numbers = |rows: &Vec<Row>| {
        let numbers = rows.iter().map(|row| decode::int8(row, 0));
        let mut numbers: Vec<i64> = numbers.collect::<Result<_, _>>()?;
        numbers.sort_unstable();
        Ok(numbers)
    };
    answers.iter().map(numbers).collect::<Result<_, Fault>>().map_err(|fault| engine(DOING, fault))
}

/// Takes numbers outside a transaction.
pub(super) async fn take(
    session: &mut Session,
    bound: i64,
    wanted: &[Numbers],
) -> Result<Vec<Vec<i64>>, Error> {
    let mut flight = vec![Step::run(VERSION, Vec::new())];
    flight.extend(steps(wanted)?);
    let answers = fly(session, bound, flight).await?;
    taken(&answers)
}

/// The number that a counter gives next.
pub(super) async fn next(session: &mut Session, bound: i64, place: Place) -> Result<i64, Error> {
    let text = format!("SELECT last_value + is_called::int4 FROM {}", name(place));
    let flight = vec![Step::run(VERSION, Vec::new()), Step::run(text, Vec::new())];
    let answers = fly(session, bound, flight).await?;
    let row = answers.first().and_then(|rows| rows.first());
    let row = row.ok_or_else(|| engine(DOING, Fault::Answer("a number is missing")))?;
    decode::int8(row, 0).map_err(|fault| engine(DOING, fault))
}

/// Sends steps behind the one that reads the version; answers theirs.
async fn fly(session: &mut Session, bound: i64, flight: Vec<Step>) -> Result<Vec<Vec<Row>>, Error> {
    let mut answers = session.fly(DOING, flight).await?;
    let version = answers.first().and_then(|rows| rows.first()).map(|row| decode::int8(row, 0));
    if version.transpose().map_err(|fault| engine(DOING, fault))? != Some(bound) {
        return Err(Error::Moved);
    }
    Ok(answers.split_off(1))
}
