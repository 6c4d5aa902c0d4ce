//! What is printed: medians of ratios with their spread, targets beside them.
//!
//! In: samples of rounds. Out: a table in Markdown.
//! Not here: measuring.
//! Invariant: a ratio is made within one round; rounds are never mixed.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Arguments;

/// How long one side of a round took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) wall: Duration,
    /// CPU time of what did the work, where it can be told: the service's process, or the thread that
    /// drives SQLite.
    pub(crate) cpu: Option<Duration>,
}

/// CPU time that all threads of a process have used, or of the calling thread: `/proc/…/schedstat`, in
/// nanoseconds.
pub(crate) fn cpu_of(process: Option<u32>) -> Result<Duration> {
    let Some(process) = process else {
        return nanoseconds("/proc/thread-self/schedstat");
    };
    let mut sum = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end between the listing and the look.
        let path = task?.path().join("schedstat");
        sum += nanoseconds(&path.to_string_lossy()).unwrap_or_default();
    }
    Ok(sum)
}

/// CPU time that a process has used, its ended threads included, in hundredths of a second: for what takes seconds.
pub(crate) fn cpu_of_all_threads(process: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program may hold anything but ends with the last parenthesis.
    let (_, fields) = text.rsplit_once(')').context("no name in stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let [user, system] =
        [11, 12].map(|place| fields.get(place).and_then(|field| field.parse().ok()));
    let ticks: u64 =
        user.zip(system).map(|(user, system): (u64, u64)| user + system).context("stat")?;
    Ok(Duration::from_millis(ticks * 10))
}

fn nanoseconds(path: &str) -> Result<Duration> {
    let text = fs::read_to_string(path)?;
    let first = text.split_whitespace().next().context("schedstat is empty")?;
    Ok(Duration::from_nanos(first.parse()?))
}

/// One round: the same rows on both sides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) rows: usize,
    /// The side whose speed is judged.
    pub(crate) ours: Taken,
    /// What it is judged by.
    pub(crate) other: Taken,
}

impl Sample {
    /// How many times as fast our side was.
    fn ratio(&self) -> f64 {
        self.other.wall.as_secs_f64() / self.ours.wall.as_secs_f64()
    }
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// `SQLite, 1 client: CreateMultiple against bare`.
    pub(crate) name: String,
    /// The least median that the design promises.
    pub(crate) target: Option<f64>,
    /// The measured rounds.
    pub(crate) samples: Vec<Sample>,
}

impl Line {
    pub(crate) fn new(name: impl Into<String>, target: Option<f64>) -> Line {
        Line { name: name.into(), target, samples: Vec::new() }
    }
}

/// The lowest, the median and the highest of some numbers; `None` without any.
fn spread(mut values: Vec<f64>) -> Option<(f64, f64, f64)> {
    values.sort_by(f64::total_cmp);
    let (first, last) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    };
    Some((first, median, last))
}

/// What was asked for, and on what machine.
pub(crate) fn print_head(arguments: &Arguments) {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!(
        "rounds: {}, rows before the first round: {}, seed: {}, cores: {cores}{}",
        arguments.rounds,
        arguments.preload,
        arguments.seed,
        if cfg!(debug_assertions) {
            "; DEBUG ASSERTIONS ARE ON: these numbers mean nothing"
        } else {
            ""
        }
    );
}

/// The whole table.
pub(crate) fn print_table(lines: &[Line]) {
    println!(
        "\n| Line | Ratio, median (lowest to highest) | Target | | Rows/s, ours | Rows/s, other | CPU, ours, µs/row | CPU, other |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for line in lines {
        println!("{}", row(line));
    }
}

/// One line of the table, also printed as soon as it is known.
pub(crate) fn row(line: &Line) -> String {
    let rate = |pick: fn(&Sample) -> f64| {
        spread(line.samples.iter().map(pick).collect()).map_or(0.0, |(_, median, _)| median)
    };
    let ours = rate(|sample| per_second(sample.rows, sample.ours.wall));
    let other = rate(|sample| per_second(sample.rows, sample.other.wall));
    let cpu = |pick: fn(&Sample) -> Taken| {
        let micros =
            |sample: &Sample| Some(pick(sample).cpu?.as_secs_f64() * 1e6 / count(sample.rows));
        spread(line.samples.iter().filter_map(micros).collect())
            .map_or_else(|| "–".to_owned(), |(_, median, _)| format!("{median:.1}"))
    };
    let (our_cpu, other_cpu) = (cpu(|sample| sample.ours), cpu(|sample| sample.other));
    let Some((low, median, high)) = spread(line.samples.iter().map(Sample::ratio).collect()) else {
        return format!("| {} | not measured | | | | | | |", line.name);
    };
    let (target, met) = match line.target {
        Some(target) => (format!("≥ {target}"), if median >= target { "met" } else { "missed" }),
        None => (String::new(), ""),
    };
    format!(
        "| {} | {median:.2} ({low:.2} to {high:.2}) | {target} | {met} | {ours:.0} | {other:.0} | {our_cpu} | {other_cpu} |",
        line.name
    )
}

fn per_second(rows: usize, duration: Duration) -> f64 {
    count(rows) / duration.as_secs_f64()
}

fn count(rows: usize) -> f64 {
    f64::from(u32::try_from(rows).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_has_the_middle_of_odd_and_the_mean_of_the_middles_of_even_numbers() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(spread(vec![4.0, 1.0, 2.0, 3.0]), Some((1.0, 2.5, 4.0)));
        assert_eq!(spread(Vec::new()), None);
    }

    #[test]
    fn a_line_shows_its_ratio_and_whether_the_target_is_met() {
        let mut line = Line::new("x", Some(0.6));
        line.samples.push(Sample {
            rows: 1000,
            ours: Taken { wall: Duration::from_millis(200), cpu: Some(Duration::from_millis(50)) },
            other: Taken { wall: Duration::from_millis(100), cpu: None },
        });
        assert_eq!(
            row(&line),
            "| x | 0.50 (0.50 to 0.50) | ≥ 0.6 | missed | 5000 | 10000 | 50.0 | – |"
        );
    }
}
