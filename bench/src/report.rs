//! What is printed: medians of ratios with their spread, targets beside them.
//!
//! In: samples of rounds. Out: a table in Markdown.
//! Not here: measuring.
//! Invariant: a ratio is made within one round; rounds are never mixed.

use std::time::Duration;

use crate::Arguments;

/// One round: the same rows on both sides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) rows: usize,
    /// The side whose speed is judged.
    pub(crate) ours: Duration,
    /// What it is judged by.
    pub(crate) other: Duration,
    /// CPU time of the service while `ours` ran.
    pub(crate) service_cpu: Duration,
}

impl Sample {
    /// How many times as fast our side was.
    fn ratio(&self) -> f64 {
        self.other.as_secs_f64() / self.ours.as_secs_f64()
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
        "\n| Line | Ratio, median (lowest to highest) | Target | | Rows/s, ours | Rows/s, other | Service CPU, µs/row |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for line in lines {
        println!("{}", row(line));
    }
}

/// One line of the table, also printed as soon as it is known.
pub(crate) fn row(line: &Line) -> String {
    let rate = |pick: fn(&Sample) -> f64| {
        spread(line.samples.iter().map(pick).collect()).map_or(0.0, |(_, median, _)| median)
    };
    let ours = rate(|sample| per_second(sample.rows, sample.ours));
    let other = rate(|sample| per_second(sample.rows, sample.other));
    let cpu = rate(|sample| sample.service_cpu.as_secs_f64() * 1e6 / count(sample.rows));
    let Some((low, median, high)) = spread(line.samples.iter().map(Sample::ratio).collect()) else {
        return format!("| {} | not measured | | | | | |", line.name);
    };
    let (target, met) = match line.target {
        Some(target) => (format!("≥ {target}"), if median >= target { "met" } else { "missed" }),
        None => (String::new(), ""),
    };
    format!(
        "| {} | {median:.2} ({low:.2} to {high:.2}) | {target} | {met} | {ours:.0} | {other:.0} | {cpu:.1} |",
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
            ours: Duration::from_millis(200),
            other: Duration::from_millis(100),
            service_cpu: Duration::from_millis(50),
        });
        assert_eq!(
            row(&line),
            "| x | 0.50 (0.50 to 0.50) | ≥ 0.6 | missed | 5000 | 10000 | 50.0 |"
        );
    }
}
