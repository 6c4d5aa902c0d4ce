//! Which rows travel together: chunks by operation, count and bytes. Pure.
//!
//! In: rows in input order, and which rows have ended. Out: chunks in the order in which they filled.
//! Not here: sending (`sender`), splitting after a failure (`bisect`).
//! Invariant: two rows that name the same record are never out at the same time, and the one that
//! came first goes first; every row that went in comes out exactly once.

use crate::rows::{Operation, Row};
use std::collections::{HashMap, VecDeque};

/// How large a chunk may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Rows.
    pub rows_max: usize,
    /// Bytes of all bodies. One row alone may exceed it.
    pub bytes_max: usize,
}

/// Rows of one operation that travel in one message.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// What all of them turn into.
    pub operation: Operation,
    /// At least one.
    pub rows: Vec<Row>,
}

/// Cuts rows into chunks.
#[derive(Debug, Default)]
pub struct Planner {
    open: [Vec<Row>; Operation::ALL.len()],
    open_bytes: [usize; Operation::ALL.len()],
    full: VecDeque<Chunk>,
    /// The marks of rows that are out or in a chunk, each with the rows that wait for it.
    marks: HashMap<u64, VecDeque<Row>>,
    waiting: usize,
}

impl Planner {
    /// Takes a row in.
    pub fn push(&mut self, row: Row, bounds: Bounds) {
        if let Some(mark) = row.entry().mark {
            if let Some(queue) = self.marks.get_mut(&mark) {
                queue.push_back(row);
                self.waiting += 1;
                return;
            }
            self.marks.insert(mark, VecDeque::new());
        }
        self.add(row, bounds);
    }

    /// A row has ended: the next one that names the same record may go.
    pub fn ended(&mut self, row: &Row, bounds: Bounds) {
        let Some(mark) = row.entry().mark else { return };
        let Some(queue) = self.marks.get_mut(&mark) else { return };
        match queue.pop_front() {
            Some(next) => {
                self.waiting -= 1;
                self.add(next, bounds);
            }
            None => {
                self.marks.remove(&mark);
            }
        }
    }

    /// Takes in the second write of a row, which still holds its record's mark.
    pub fn push_follow_up(&mut self, row: Row, bounds: Bounds) {
        self.add(row, bounds);
    }

    /// The next full chunk.
    pub fn take_chunk(&mut self) -> Option<Chunk> {
        self.full.pop_front()
    }

    /// Makes chunks of whatever is there, so that nothing waits for rows that do not come.
    pub fn flush(&mut self) {
        for place in 0..Operation::ALL.len() {
            self.close(place);
        }
    }

    /// Puts the rows of full chunks, which were cut for smaller messages, together anew.
    pub fn regroup(&mut self, bounds: Bounds) {
        self.flush();
        for chunk in std::mem::take(&mut self.full) {
            for row in chunk.rows {
                self.add(row, bounds);
            }
        }
    }

    /// Rows in chunks that are not full yet.
    pub fn open(&self) -> usize {
        self.open.iter().map(Vec::len).sum()
    }

    /// Rows in full chunks.
    pub fn full(&self) -> usize {
        self.full.iter().map(|chunk| chunk.rows.len()).sum()
    }

    /// Rows that wait for another row of the same record.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Takes everything out, for the end of a run that stops early.
    pub fn drain(&mut self) -> Vec<Row> {
        self.flush();
        let chunks = self.full.drain(..).flat_map(|chunk| chunk.rows);
        let mut rows: Vec<Row> = chunks.collect();
        rows.extend(self.marks.drain().flat_map(|(_, queue)| queue));
        self.waiting = 0;
        rows
    }

    fn add(&mut self, row: Row, bounds: Bounds) {
        let alone = if row.operation().is_alone() { 1 } else { bounds.rows_max };
        let bounds = Bounds { rows_max: alone, ..bounds };
        let place = row.operation() as usize;
        let bytes = row.body().len() + 1;
        // What is on the head of a message holds for all of its rows.
        let head = |row: &Row| (row.entry().caller, row.may_be_bulk());
        if self.open[place].last().is_some_and(|last| head(last) != head(&row)) {
            self.close(place);
        }
        let rows = self.open[place].len();
        if rows > 0
            && (rows >= bounds.rows_max || self.open_bytes[place] + bytes > bounds.bytes_max)
        {
            self.close(place);
        }
        self.open[place].push(row);
        self.open_bytes[place] += bytes;
        if self.open[place].len() >= bounds.rows_max || self.open_bytes[place] >= bounds.bytes_max {
            self.close(place);
        }
    }

    fn close(&mut self, place: usize) {
        let rows = std::mem::take(&mut self.open[place]);
        self.open_bytes[place] = 0;
        if !rows.is_empty() {
            self.full.push_back(Chunk { operation: Operation::ALL[place], rows });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::test_row;

    #[test]
    fn rows_that_were_cut_for_smaller_messages_are_put_together_in_their_order() {
        let mut planner = Planner::default();
        for ordinal in 0..8 {
            planner.push(test_row(ordinal, Operation::Create, None, "{}"), BOUNDS);
        }
        planner.regroup(Bounds { rows_max: 6, bytes_max: 100 });
        let ordinals = |chunk: Chunk| -> Vec<u64> {
            chunk.rows.iter().map(|row| row.entry().ordinal).collect()
        };
        assert_eq!(planner.take_chunk().map(ordinals), Some((0..6).collect()));
        assert_eq!((planner.full(), planner.open()), (0, 2));
        planner.flush();
        assert_eq!(planner.take_chunk().map(ordinals), Some(vec![6, 7]));
    }
    use proptest::prelude::*;

    const BOUNDS: Bounds = Bounds { rows_max: 3, bytes_max: 100 };

    /// `0a 1b`: ordinals with marks; a digit alone has none. Gives the chunks after a flush.
    fn check(rows: &str, want: &str) {
        let mut planner = Planner::default();
        for text in rows.split_whitespace() {
            let (ordinal, mark) = text.split_at(1);
            let ordinal = ordinal.parse().expect("an ordinal");
            let mark = mark.bytes().next().map(u64::from);
            planner.push(test_row(ordinal, Operation::Upsert, mark, "{}"), BOUNDS);
        }
        let mut chunks = Vec::new();
        while planner.full() + planner.open() + planner.waiting() > 0 {
            planner.flush();
            let chunk = planner.take_chunk().expect("something is left");
            let ordinals: Vec<_> =
                chunk.rows.iter().map(|row| row.entry().ordinal.to_string()).collect();
            chunks.push(ordinals.join(","));
            for row in &chunk.rows {
                planner.ended(row, BOUNDS);
            }
        }
        assert_eq!(chunks.join(" "), want, "{rows}");
    }

    #[test]
    fn chunks_fill_in_input_order_and_the_last_may_be_short() {
        check("0 1 2 3 4 5 6", "0,1,2 3,4,5 6");
        check("", "");
    }

    #[test]
    fn rows_of_one_record_go_one_after_the_other_in_input_order() {
        check("0a 1a 2a", "0 1 2");
        check("0a 1b 2a 3c 4a", "0,1,3 2 4");
    }

    #[test]
    fn a_chunk_is_cut_by_bytes_and_a_huge_row_travels_alone() {
        let mut planner = Planner::default();
        let wide = "x".repeat(60);
        let huge = "x".repeat(500);
        for (ordinal, body) in [wide.as_str(), &wide, &huge, "{}"].into_iter().enumerate() {
            planner.push(test_row(ordinal as u64, Operation::Create, None, body), BOUNDS);
        }
        planner.flush();
        let sizes: Vec<_> =
            std::iter::from_fn(|| planner.take_chunk()).map(|c| c.rows.len()).collect();
        assert_eq!(sizes, [1, 1, 1, 1]);
    }

    proptest! {
        #[test]
        fn every_row_comes_out_once_and_no_record_is_out_twice(
            marks in proptest::collection::vec(proptest::option::of(0u64..5), 0..80),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 200),
        ) {
            let mut planner = Planner::default();
            for (ordinal, mark) in marks.iter().enumerate() {
                planner.push(test_row(ordinal as u64, Operation::Upsert, *mark, "{}"), BOUNDS);
            }
            let mut out: Vec<Chunk> = Vec::new();
            let mut order: HashMap<u64, Vec<u64>> = HashMap::new();
            let mut seen = Vec::new();
            for pick in picks {
                planner.flush();
                while let Some(chunk) = planner.take_chunk() {
                    out.push(chunk);
                }
                let mut in_flight = std::collections::HashSet::new();
                for row in out.iter().flat_map(|chunk| &chunk.rows) {
                    if let Some(mark) = row.entry().mark {
                        prop_assert!(in_flight.insert(mark));
                    }
                }
                if out.is_empty() { break }
                let chunk = out.swap_remove(pick.index(out.len()));
                for row in &chunk.rows {
                    seen.push(row.entry().ordinal);
                    if let Some(mark) = row.entry().mark {
                        order.entry(mark).or_default().push(row.entry().ordinal);
                    }
                    planner.ended(row, BOUNDS);
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..marks.len() as u64).collect::<Vec<_>>());
            prop_assert!(order.values().all(|ordinals| ordinals.is_sorted()));
        }
    }
}
