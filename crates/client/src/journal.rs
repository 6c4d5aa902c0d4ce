//! What became of every row: the accounts of a run, and the [`log`] that outlives it.
//!
//! A row is taken up before anything is sent for it, and closed once its outcome is known.
//! Invariant: the outcomes add up to the rows read; nothing is closed that is not open.

pub mod log;

use std::fmt;

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A new record.
    Created,
    /// A changed record.
    Updated,
    /// Created or updated: the bulk answer does not say which.
    Written,
    /// The record is as the row says already.
    Unchanged,
    /// The row was not to be written.
    Skipped,
    /// A record less.
    Deleted,
    /// There was no such record, and that is fine.
    Absent,
    /// It failed.
    Failed,
    /// The run stopped before it was sent.
    NotAttempted,
}

impl Outcome {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 9] = [
        Self::Created,
        Self::Updated,
        Self::Written,
        Self::Unchanged,
        Self::Skipped,
        Self::Deleted,
        Self::Absent,
        Self::Failed,
        Self::NotAttempted,
    ];

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Written => "upserted",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Deleted => "deleted",
            Self::Absent => "absent",
            Self::Failed => "failed",
            Self::NotAttempted => "not attempted",
        }
    }
}

/// The accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    read: u64,
    ended: [u64; Outcome::ALL.len()],
}

impl Counts {
    /// A row was read.
    pub fn take_up(&mut self) {
        self.read += 1;
    }

    /// A row that was taken up has ended.
    pub fn close(&mut self, outcome: Outcome) {
        assert!(self.open() > 0, "a row ended that was not taken up");
        self.ended[outcome as usize] += 1;
    }

    /// Adds rows that ended in an earlier part of the run.
    pub fn add(&mut self, outcome: Outcome, rows: u64) {
        self.read += rows;
        self.ended[outcome as usize] += rows;
    }

    /// Adds the accounts of an earlier part of the run.
    pub fn include(&mut self, earlier: &Self) {
        for outcome in Outcome::ALL {
            self.add(outcome, earlier.of(outcome));
        }
    }

    /// Rows read.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Rows that ended so.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.ended[outcome as usize]
    }

    /// Rows that have ended.
    pub fn closed(&self) -> u64 {
        self.ended.iter().sum()
    }

    /// Rows that have not ended.
    pub fn open(&self) -> u64 {
        self.read - self.closed()
    }
}

impl fmt::Display for Counts {
    /// `1000 rows: 998 created, 2 failed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows", self.read)?;
        let mut mark = ": ";
        for outcome in Outcome::ALL {
            if self.of(outcome) > 0 {
                write!(f, "{mark}{} {}", self.of(outcome), outcome.as_str())?;
                mark = ", ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_print_what_there_was() {
        let mut counts = Counts::default();
        assert_eq!(counts.to_string(), "0 rows");
        for outcome in [Outcome::Created, Outcome::Created, Outcome::Failed] {
            counts.take_up();
            counts.close(outcome);
        }
        assert_eq!(counts.to_string(), "3 rows: 2 created, 1 failed");
        assert_eq!((counts.read(), counts.open(), counts.of(Outcome::Created)), (3, 0, 2));
    }
}
