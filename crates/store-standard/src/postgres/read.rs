//! Reads a page.
//!
//! One flight: the page, and behind it the version of the definitions. Versions only grow, so a version
//! that is still the bound one after the page was read held while it was read. Where a count goes with
//! the page, a read-only transaction gives both one snapshot, in the same flight.
//! Not here: the text of a query (`select`).

use super::connection::{Session, Step};
use super::decode;
use super::dialect::Postgres;
use super::encode::Bound;
use super::error::{Error, Fault, engine};
use super::transaction::VERSION;
use crate::select::{self, Output, Select};
use model::Value;
use query::{BoundQuery, Page};
use tokio_postgres::Row;

const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Reads the page that a query asks for. [`Error::Moved`] if it is bound to other definitions.
pub(super) async fn page(session: &mut Session, query: &BoundQuery) -> Result<Page, Error> {
    let page = select::page(query, &Postgres);
    let count = select::count(query, &Postgres);
    let in_transaction = count.is_some();
    let mut steps = Vec::with_capacity(5);
    if in_transaction {
        steps.push(Step::command(SNAPSHOT));
    }
    let page_place = steps.len();
    let outputs = page.outputs.clone();
    steps.push(step(page)?);
    if let Some(count) = count {
        steps.push(step(count)?);
    }
    steps.push(Step::run(VERSION, Vec::new()));
    let version_place = steps.len() - 1;
    if in_transaction {
        steps.push(Step::command("COMMIT"));
    }
    let answers = session.fly("reading a page", steps).await?;
    let unreadable = |fault: Fault| engine("reading a page", fault);
    let version = number(&answers[version_place]).map_err(unreadable)?;
    if i64::try_from(query.catalog.version()) != Ok(version) {
        return Err(Error::Moved);
    }
    let count = in_transaction.then(|| &answers[page_place + 1]);
    page_of(query, &outputs, &answers[page_place], count).map_err(unreadable)
}

/// The page of what a query and its count answered.
pub(super) fn page_of(
    query: &BoundQuery,
    outputs: &[Output],
    rows: &[Row],
    count: Option<&Vec<Row>>,
) -> Result<Page, Fault> {
    let count = count.map(|rows| number(rows)).transpose()?;
    let count = count.map(|count| u64::try_from(count).unwrap_or_default());
    let wanted = usize::try_from(query.paging.size).unwrap_or(usize::MAX);
    let kept = rows.len().min(wanted);
    let mut cells: Vec<Value> = Vec::with_capacity(kept * outputs.len());
    for row in &rows[..kept] {
        for output in outputs {
            cells.push(decode::output(row, *output)?);
        }
    }
    Ok(Page { cells, rows: kept, more: query.paging.look_ahead && rows.len() > kept, count })
}

/// A query as a step.
pub(super) fn step(select: Select) -> Result<Step, Error> {
    let params: Result<Vec<Bound>, Fault> = select.params.iter().map(Bound::param).collect();
    Ok(Step::run(select.sql, params.map_err(|fault| engine("encoding a query", fault))?))
}

fn number(rows: &[Row]) -> Result<i64, Fault> {
    decode::int8(rows.first().ok_or(Fault::Answer("a number is missing"))?, 0)
}
