//! Rows that ended, told in the order of the input.
//!
//! Not here: what is told of a row (the parent). Source: `client.md` 11.3.
//! Invariant: nothing is told before all rows in front of it have ended; how much may be held back is bounded by the
//! sender, which takes no further rows up while the head lags behind too far.

use crate::rows::Row;
use crate::run::{Selection, Take};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first row that has not ended yet, by its ordinal. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Head(Arc<AtomicU64>);

impl Head {
    /// All rows before this one have ended.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is held back.
pub(super) struct Ordered {
    head: Head,
    /// Rows that an earlier part of the run has ended do not come.
    selection: Option<Selection>,
    /// By ordinal: how many of its entries are to come, and what is told of the others.
    held: BTreeMap<u64, (u16, Vec<u8>)>,
}

impl Ordered {
    pub(super) fn new(head: Head, selection: Option<Selection>) -> Self {
        Self { head, selection, held: BTreeMap::new() }
    }

    /// Takes in what is told of a row, nothing perhaps; gives back what may be told now.
    pub(super) fn add(&mut self, row: &Row, text: &[u8]) -> Vec<u8> {
        let entry = row.entry();
        let (left, held) =
            self.held.entry(entry.ordinal).or_insert((entry.parts.max(1), Vec::new()));
        *left = left.saturating_sub(1);
        held.extend_from_slice(text);
        let mut out = Vec::new();
        let mut head = self.head.get();
        while let Some((first, (left, held))) = self.held.first_key_value() {
            if *first <= head {
                if *left > 0 {
                    break;
                }
                out.extend_from_slice(held);
                head = head.max(first + 1);
                self.held.pop_first();
            } else if self.selection.as_ref().is_some_and(|it| it.take(head) == Take::Skip) {
                head += 1;
            } else {
                break;
            }
        }
        self.head.0.store(head, Ordering::Relaxed);
        out
    }

    /// What is left when the run is over: rows behind some that were never taken up.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held).into_values().flat_map(|(_, text)| text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Operation, test_row};

    #[test]
    fn rows_are_told_in_input_order_as_soon_as_those_before_them_have_ended() {
        let mut ordered = Ordered::new(Head::default(), None);
        let mut end = |ordinal: u64| {
            let row = test_row(ordinal, Operation::Create, None, "{}");
            let out = ordered.add(&row, ordinal.to_string().as_bytes());
            String::from_utf8(out).expect("text")
        };
        assert_eq!([end(1), end(2), end(0), end(4)], ["", "", "012", ""]);
        assert_eq!(ordered.head.get(), 3);
        assert_eq!(ordered.rest(), b"4");
    }
}
