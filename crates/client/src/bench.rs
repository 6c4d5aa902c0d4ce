//! How fast a service takes rows, and which way of sending is the quickest there.
//!
//! [`methods`] sends the same rows in the ways that a program may choose from, and as this client would;
//! [`tune`] holds the width and size that are learned against a grid of given ones.
//! Both write rows of their own and remove them again (`own`), also where they are stopped or fail.
//! Not here: the bench of this project's service against engines and other clients; printing (`cli`).
//! Invariant: no row is touched that was not made here; what could not be removed is told.

pub mod methods;
mod own;
pub mod tune;

pub use own::NAME;

use crate::problem::Problem;
use crate::sender::Halt;
use crate::service;
use serde::Serialize;

/// Why a measurement failed as a whole. Its rows were removed where that was possible.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// What was asked does not fit the table.
    #[error("{0}")]
    Wish(Problem),
    /// The caller may not do it.
    #[error("the service refuses: {0}")]
    Refused(Problem),
    /// The service is gone.
    #[error("the service cannot be reached: {0}")]
    Unreachable(Problem),
    /// Rows of its own are still there.
    #[error(
        "{} rows of table `{table}` could not be removed again; the first has the id `{}`",
        left.len(),
        left.first().map(ToString::to_string).unwrap_or_default()
    )]
    Left {
        /// Its logical name.
        table: Box<str>,
        /// Their ids.
        left: Vec<uuid::Uuid>,
        /// What went wrong before, if anything.
        #[source]
        source: Option<Box<Error>>,
    },
}

impl Error {
    /// Where no further row can be sent.
    fn of_halt(halt: &Halt) -> Option<Self> {
        match halt {
            Halt::Refused(problem) if problem.class == crate::problem::Class::Access => {
                Some(Self::Refused(problem.clone()))
            }
            Halt::Unreachable(problem) => Some(Self::Unreachable(problem.clone())),
            Halt::Refused(_) | Halt::Interrupted | Halt::TooManyErrors | Halt::Journal(_) => None,
        }
    }
}

/// Rates of several rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The slowest.
    pub least: f64,
    /// The quickest.
    pub most: f64,
}

impl Spread {
    /// None without a round.
    pub fn of(rates: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut rates: Vec<f64> = rates.into_iter().collect();
        rates.sort_by(f64::total_cmp);
        let (least, most) = (*rates.first()?, *rates.last()?);
        let upper = rates.get(rates.len() / 2)?;
        let lower = rates.get((rates.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(*lower, *upper), least, most })
    }

    /// How far the rounds lie apart, as a share of the median.
    pub fn share(&self) -> f64 {
        if self.median > 0.0 { (self.most - self.least) / self.median } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_rounds_is_the_middle_and_both_ends() {
        let of = |rates: &[f64]| Spread::of(rates.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some(Spread { median: 3.0, least: 3.0, most: 3.0 }));
        let four = of(&[4.0, 1.0, 2.0, 8.0]).expect("rounds");
        assert_eq!(four, Spread { median: 3.0, least: 1.0, most: 8.0 });
        assert!((four.share() - 7.0 / 3.0).abs() < 1e-9);
    }
}
