//! How the width and size that are learned compare with the best that could have been given.
//!
//! Rows are created at every point of a grid for some seconds, then for a while as the client learns; of the
//! latter only what comes behind the time to learn counts. All of it is done again in each round.
//! A rate is that of rows that ended well, up to the last answer: requests that are in flight when time is up
//! may finish.
//! Not here: how it is learned (`controller`), sending and removing (`own`).
//! Invariant: every point is measured alone, and its rows are gone before the next one.

use super::own::{Course, Trial, Way};
use super::{Error, Spread};
use crate::controller::{Setting, WIDTH_MAX};
use crate::ids::Seed;
use crate::rows::Operation;
use crate::service::Service;
use crate::set::Call;
use serde::Serialize;
use std::time::Duration;
use tokio::sync::watch;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table, by any of its names.
    pub table: String,
    /// Requests in flight.
    pub widths: Vec<usize>,
    /// Rows in a message; sizes that the table does not take are left out.
    pub sizes: Vec<usize>,
    /// How long each point is measured.
    pub measure: Duration,
    /// How long the client may learn before it is measured.
    pub learn: Duration,
    /// How often all of it is done.
    pub rounds: u32,
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
            widths: vec![1, 2, 4, 8, 16],
            sizes: vec![10, 100, 300, 1_000],
            measure: Duration::from_secs(5),
            learn: Duration::from_secs(30),
            rounds: 1,
            columns: Vec::new(),
            call: Call::default(),
            seed: Seed { started_ms: 0, random: 0 },
        }
    }
}

/// One measurement at one point.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Requests in flight; those that were learned, where they were.
    pub width: usize,
    /// Rows in a message.
    pub size: usize,
    /// Rows that ended well while it was measured.
    pub rows: u64,
    /// Rows that did not, at any time.
    pub failed: u64,
    /// Rows that ended well in a second.
    pub rows_per_second: f64,
    /// Requests sent, those of the time to learn included.
    pub requests: u64,
    /// How often the service asked to slow down.
    pub throttles: u64,
}

/// A point of the grid.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// Requests in flight.
    pub width: usize,
    /// Rows in a message.
    pub size: usize,
    /// The rounds.
    pub rounds: Vec<Round>,
    /// Rows per second over them.
    pub rows_per_second: Option<Spread>,
}

/// What was learned.
#[derive(Clone, Debug, Serialize)]
pub struct Learned {
    /// The rounds, each with the width and size that it ended with.
    pub rounds: Vec<Round>,
    /// Rows per second over them.
    pub rows_per_second: Option<Spread>,
    /// Its rate as a share of that of the best point.
    pub share_of_best: Option<f64>,
    /// How many points of the grid were quicker.
    pub quicker: usize,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Logical name of the table.
    pub table: String,
    /// The grid, by size, then width.
    pub grid: Vec<Point>,
    /// Which of the grid was the quickest.
    pub best: Option<usize>,
    /// What the client learned.
    pub learned: Learned,
    /// The first failure.
    pub problem: Option<String>,
    /// It was stopped; measurements are missing.
    pub interrupted: bool,
}

/// What is ready to be measured; nothing was written yet.
pub struct Plan<'a> {
    trial: Trial<'a>,
    options: Options,
    left_out: Vec<usize>,
}

/// Looks at the table; writes nothing.
pub async fn prepare<'a>(service: &'a Service, mut options: Options) -> Result<Plan<'a>, Error> {
    let Options { table, columns, call, seed, .. } = &options;
    let trial = Trial::prepare(service, table, columns, call, *seed).await?;
    let size_max = trial.size_max();
    let (sizes, left_out) =
        options.sizes.into_iter().partition(|size| (1..=size_max).contains(size));
    options.sizes = sizes;
    options.widths.retain(|width| (1..=WIDTH_MAX).contains(width));
    for list in [&mut options.sizes, &mut options.widths] {
        list.sort_unstable();
        list.dedup();
    }
    Ok(Plan { trial, options, left_out })
}

impl Plan<'_> {
    /// Logical name of the table.
    pub fn table(&self) -> &str {
        self.trial.table()
    }

    /// Sizes that were asked for and that the table does not take.
    pub fn left_out(&self) -> &[usize] {
        &self.left_out
    }

    /// Rows in a message that the table takes at most.
    pub fn size_max(&self) -> usize {
        self.trial.size_max()
    }

    /// Points of the grid.
    pub fn points(&self) -> usize {
        self.options.widths.len() * self.options.sizes.len()
    }

    /// How long rows are created for, without the time to remove them.
    pub fn lasts(&self) -> Duration {
        let Options { measure, learn, rounds, .. } = self.options;
        let points = u32::try_from(self.points()).unwrap_or(u32::MAX);
        (measure.saturating_mul(points.saturating_add(1)) + learn).saturating_mul(rounds)
    }

    /// Measures, and removes all rows of its own, also once `stop` has turned true.
    ///
    /// `observe` is told of every measurement that is over; whether it was of the learned point.
    pub async fn run(
        mut self,
        stop: Option<watch::Receiver<bool>>,
        observe: &mut (dyn FnMut(&Round, bool) + Send),
    ) -> Result<Report, Error> {
        self.trial.stop_by(stop);
        let mut report = self.empty();
        let error = self.fill(&mut report, observe).await.err();
        self.trial.clear(error).await?;
        report.interrupted = self.trial.is_stopped();
        report.conclude();
        Ok(report)
    }

    async fn fill(
        &mut self,
        report: &mut Report,
        observe: &mut (dyn FnMut(&Round, bool) + Send),
    ) -> Result<(), Error> {
        let measure = self.options.measure;
        for _ in 0..self.options.rounds {
            for place in 0..report.grid.len() {
                let Some(point) = report.grid.get(place) else { break };
                let way = self.way(point.width, point.size);
                let course = self.trial.create_for(Duration::ZERO, measure, way).await?;
                let Some(round) = self.taken(report, &course).await? else { return Ok(()) };
                observe(&round, false);
                report.grid.get_mut(place).into_iter().for_each(|point| {
                    point.rounds.push(round.clone());
                });
            }
            let way = self.trial.own_way();
            let course = self.trial.create_for(self.options.learn, measure, way).await?;
            let Some(round) = self.taken(report, &course).await? else { return Ok(()) };
            observe(&round, true);
            report.learned.rounds.push(round);
        }
        Ok(())
    }

    /// Removes the rows. None where it was stopped in the middle.
    async fn taken(
        &mut self,
        report: &mut Report,
        course: &Course,
    ) -> Result<Option<Round>, Error> {
        let is_stopped = self.trial.is_stopped();
        let halt = course.summary.halt.as_ref().and_then(Error::of_halt);
        self.trial.clear(halt).await?;
        if report.problem.is_none() {
            report.problem = course.problem.as_ref().map(ToString::to_string);
        }
        let round = Round {
            width: course.summary.point.width,
            size: course.summary.point.size,
            rows: course.well,
            failed: course.failed,
            rows_per_second: course.rate(),
            requests: course.summary.requests,
            throttles: course.summary.throttles(),
        };
        Ok((!is_stopped).then_some(round))
    }

    /// A message of one row is no bulk message, as in a load.
    fn way(&self, width: usize, size: usize) -> Way {
        let has_bulk =
            if size == 1 { [false; Operation::ALL.len()] } else { self.trial.has_bulk() };
        let (width, size) = (Setting::Fixed(width), Setting::Fixed(size));
        Way { width, size, has_bulk, is_strict: false }
    }

    fn empty(&self) -> Report {
        let mut grid = Vec::new();
        for size in &self.options.sizes {
            for width in &self.options.widths {
                let (width, size) = (*width, *size);
                grid.push(Point { width, size, rounds: Vec::new(), rows_per_second: None });
            }
        }
        let rounds = Vec::new();
        let learned = Learned { rounds, rows_per_second: None, share_of_best: None, quicker: 0 };
        Report {
            table: self.trial.table().to_owned(),
            grid,
            best: None,
            learned,
            problem: None,
            interrupted: false,
        }
    }
}

impl Report {
    fn conclude(&mut self) {
        let spread =
            |rounds: &[Round]| Spread::of(rounds.iter().map(|round| round.rows_per_second));
        for point in &mut self.grid {
            point.rows_per_second = spread(&point.rounds);
        }
        let rate_of = |point: &Point| point.rows_per_second.map(|rate| rate.median);
        let rates: Vec<Option<f64>> = self.grid.iter().map(rate_of).collect();
        let measured = rates.iter().enumerate().filter_map(|(place, rate)| Some((place, (*rate)?)));
        let best = measured.max_by(|one, other| one.1.total_cmp(&other.1));
        self.best = best.map(|(place, _)| place);
        self.learned.rows_per_second = spread(&self.learned.rounds);
        let Some(own) = self.learned.rows_per_second.map(|rate| rate.median) else { return };
        self.learned.quicker = rates.iter().flatten().filter(|rate| **rate > own).count();
        self.learned.share_of_best = best.and_then(|(_, rate)| (rate > 0.0).then_some(own / rate));
    }
}
