//! Which way of sending rows is the quickest on a table: the four that a program may choose from, and ours.
//!
//! In each round every method creates the same number of rows of its own, updates them, upserts as many of which
//! half are new, and deletes them, each of it timed where it is asked for; then what is left is removed. Which
//! method comes first changes from round to round.
//! The four send one message after the other unless a width is given; ours learns width and size.
//! Not here: sending and removing (`own`).
//! Invariant: a method that the table does not have is told as missing and never replaced by another.

use super::own::{Course, Trial, Way};
use super::{Error, Spread};
use crate::controller::Setting;
use crate::ids::Seed;
use crate::rows::Operation;
use crate::service::Service;
use crate::set::Call;
use serde::Serialize;
use std::ops::Range;
use tokio::sync::watch;

/// A way of sending rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A request for each row.
    Single,
    /// A bulk message for each row.
    BulkOfOne,
    /// As few bulk messages as there can be.
    Bulk,
    /// As few `$batch` requests as there can be, each with a request for each of its rows.
    Batch,
    /// As `sheaf set` and `sheaf remove` send when nothing is said.
    Own,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Single, Self::BulkOfOne, Self::Bulk, Self::Batch, Self::Own];

    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::BulkOfOne => "bulk of one",
            Self::Bulk => "one bulk",
            Self::Batch => "one $batch",
            Self::Own => "sheaf",
        }
    }

    /// Whether it can do an operation where the table has these bulk messages.
    fn can(self, operation: Operation, has_bulk: [bool; Operation::ALL.len()]) -> bool {
        match self {
            Self::BulkOfOne | Self::Bulk => has_bulk[operation as usize],
            Self::Single | Self::Batch | Self::Own => true,
        }
    }
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table, by any of its names.
    pub table: String,
    /// Which operations.
    pub operations: Vec<Operation>,
    /// Which methods.
    pub methods: Vec<Method>,
    /// Rows in each operation of each method and round.
    pub rows: u64,
    /// How often all of it is done.
    pub rounds: u32,
    /// Requests in flight of the four methods.
    pub width: usize,
    /// Rows in a message of those with several; all of them, as far as the table takes them, where nothing
    /// is said.
    pub size: Option<usize>,
    /// Columns that rows give besides their name.
    pub columns: Vec<String>,
    /// What goes on every request.
    pub call: Call,
    /// What ids and texts grow from.
    pub seed: Seed,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            table: String::new(),
            operations: Operation::OF_RECORDS.to_vec(),
            methods: Method::ALL.to_vec(),
            rows: 1_000,
            rounds: 3,
            width: 1,
            size: None,
            columns: Vec::new(),
            call: Call::default(),
            seed: Seed { started_ms: 0, random: 0 },
        }
    }
}

/// One operation by one method in one round.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Rows that ended well.
    pub rows: u64,
    /// Rows that did not.
    pub failed: u64,
    /// Seconds from the start to the last answer.
    pub seconds: f64,
    /// Rows that ended well in a second.
    pub rows_per_second: f64,
    /// Requests sent.
    pub requests: u64,
    /// How often the service asked to slow down.
    pub throttles: u64,
}

/// What one method did in one operation.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// The operation.
    #[serde(serialize_with = "operation")]
    pub operation: Operation,
    /// The method.
    pub method: Method,
    /// The bulk message that the table does not have, so that nothing was sent.
    pub missing: Option<&'static str>,
    /// The rounds.
    pub rounds: Vec<Round>,
    /// Rows per second over the rounds in which no row failed.
    pub rows_per_second: Option<Spread>,
    /// The first failure.
    pub problem: Option<String>,
}

fn operation<S: serde::Serializer>(operation: &Operation, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(operation.as_str())
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Logical name of the table.
    pub table: String,
    /// Rows in each operation.
    pub rows: u64,
    /// Rows in a message of the methods with several.
    pub size: usize,
    /// Requests in flight of the four methods.
    pub width: usize,
    /// By operation, then method.
    pub cells: Vec<Cell>,
    /// It was stopped; rounds are missing.
    pub interrupted: bool,
}

/// What is ready to be measured; nothing was written yet.
pub struct Plan<'a> {
    trial: Trial<'a>,
    options: Options,
    size: usize,
}

/// Looks at the table; writes nothing.
pub async fn prepare<'a>(service: &'a Service, options: Options) -> Result<Plan<'a>, Error> {
    let Options { table, columns, call, seed, .. } = &options;
    let trial = Trial::prepare(service, table, columns, call, *seed).await?;
    let rows = usize::try_from(options.rows).unwrap_or(usize::MAX).max(1);
    let size = options.size.unwrap_or(rows).clamp(1, trial.size_max());
    Ok(Plan { trial, options, size })
}

impl Plan<'_> {
    /// Logical name of the table.
    pub fn table(&self) -> &str {
        self.trial.table()
    }

    /// Rows that will be created, and removed.
    pub fn rows(&self) -> u64 {
        let Options { rows, rounds, methods, operations, .. } = &self.options;
        let upserted = if operations.contains(&Operation::Upsert) { rows.div_ceil(2) } else { 0 };
        (rows + upserted) * u64::from(*rounds) * methods.len() as u64
    }

    /// Measures, and removes all rows of its own, also once `stop` has turned true.
    ///
    /// `observe` is told of every operation that is over.
    pub async fn run(
        mut self,
        stop: Option<watch::Receiver<bool>>,
        observe: &mut (dyn FnMut(&Cell) + Send),
    ) -> Result<Report, Error> {
        self.trial.stop_by(stop);
        let mut cells = self.cells();
        let mut error = None;
        'rounds: for round in 0..self.options.rounds as usize {
            let mut methods = self.options.methods.clone();
            let first = round % methods.len().max(1);
            methods.rotate_left(first);
            for method in methods {
                if self.trial.is_stopped() {
                    break 'rounds;
                }
                let done = self.cycle(method, &mut cells, observe).await.err();
                error = self.trial.clear(done).await.err();
                if error.is_some() {
                    break 'rounds;
                }
            }
        }
        for cell in &mut cells {
            let clean = cell.rounds.iter().filter(|round| round.failed == 0);
            cell.rows_per_second = Spread::of(clean.map(|round| round.rows_per_second));
        }
        match error {
            Some(error) => Err(error),
            None => Ok(Report {
                table: self.trial.table().to_owned(),
                rows: self.options.rows,
                size: self.size,
                width: self.options.width,
                cells,
                interrupted: self.trial.is_stopped(),
            }),
        }
    }

    fn cells(&self) -> Vec<Cell> {
        let has_bulk = self.trial.has_bulk();
        let mut cells = Vec::new();
        for operation in &self.options.operations {
            for method in &self.options.methods {
                let can = method.can(*operation, has_bulk);
                cells.push(Cell {
                    operation: *operation,
                    method: *method,
                    missing: (!can).then(|| operation.bulk().as_str()),
                    rounds: Vec::new(),
                    rows_per_second: None,
                    problem: None,
                });
            }
        }
        cells
    }

    /// The operations by one method, in the order of a row's life.
    async fn cycle(
        &mut self,
        method: Method,
        cells: &mut [Cell],
        observe: &mut (dyn FnMut(&Cell) + Send),
    ) -> Result<(), Error> {
        let is_measured = |cell: &Cell| cell.method == method && cell.missing.is_none();
        if !cells.iter().any(is_measured) {
            return Ok(());
        }
        let rows = self.trial.fresh(self.options.rows);
        let half = self.options.rows / 2;
        let upserted = rows.start + half..rows.end + half;
        // The rows beyond are nobody else's.
        let _ = self.trial.fresh(half);
        for (operation, pass) in Operation::OF_RECORDS.into_iter().zip(0..) {
            let place = cells.iter().position(|cell| {
                (cell.operation, cell.method) == (operation, method) && cell.missing.is_none()
            });
            let rows = if operation == Operation::Upsert { &upserted } else { &rows };
            match place.and_then(|place| cells.get_mut(place)) {
                Some(cell) => {
                    let way = self.way(method, operation);
                    let course = self.trial.send(operation, rows.clone(), pass, way).await?;
                    // What was stopped in its middle says nothing.
                    if self.trial.is_stopped() {
                        return Ok(());
                    }
                    cell.take(&course);
                    observe(cell);
                    if let Some(error) = course.summary.halt.as_ref().and_then(Error::of_halt) {
                        return Err(error);
                    }
                    if operation == Operation::Create && course.failed > 0 {
                        self.make(Operation::Upsert, rows.clone()).await?;
                    }
                }
                None if operation == Operation::Create => {
                    self.make(Operation::Create, rows.clone()).await?;
                }
                None => {}
            }
            if self.trial.is_stopped() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sees to it that rows are there, without a clock.
    async fn make(&mut self, operation: Operation, rows: Range<u64>) -> Result<(), Error> {
        let way = self.trial.own_way();
        let course = self.trial.send(operation, rows, 0, way).await?;
        match (course.summary.halt.as_ref().and_then(Error::of_halt), course.problem) {
            (Some(error), _) => Err(error),
            (None, Some(problem)) => Err(Error::Refused(problem)),
            (None, None) => Ok(()),
        }
    }

    fn way(&self, method: Method, operation: Operation) -> Way {
        let none = [false; Operation::ALL.len()];
        let mut only = none;
        only[operation as usize] = true;
        let of = |has_bulk, size| Way {
            width: Setting::Fixed(self.options.width),
            size: Setting::Fixed(size),
            has_bulk,
            is_strict: true,
        };
        match method {
            Method::Single => of(none, 1),
            Method::BulkOfOne => of(only, 1),
            Method::Bulk => of(only, self.size),
            Method::Batch => of(none, self.size),
            Method::Own => self.trial.own_way(),
        }
    }
}

impl Cell {
    fn take(&mut self, course: &Course) {
        self.rounds.push(Round {
            rows: course.well,
            failed: course.failed,
            seconds: course.took.as_secs_f64(),
            rows_per_second: course.rate(),
            requests: course.summary.requests,
            throttles: course.summary.throttles(),
        });
        if self.problem.is_none() {
            self.problem = course.problem.as_ref().map(ToString::to_string);
        }
    }
}
