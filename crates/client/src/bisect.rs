//! How the bad rows of a refused message are told from the good ones: pure.
//!
//! In: how many rows, and which the service blames. Out: what to set aside and what to send again.
//! Invariant: every place appears exactly once in the plan.
//! Cost: k bad rows of n need at most k further requests when the service names one bad row at a
//! time, one when it names all, and at most 2·k·⌈log2 n⌉ when it names none.

/// What to do with the rows of a refused message, by their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// These rows are bad; the others are sent again together (there may be none).
    SetAside {
        /// Ascending, without repeats.
        bad: Vec<usize>,
    },
    /// Send both halves on their own: the places before this one, and those from it on.
    Halves {
        /// At least 1, and less than the number of rows.
        middle: usize,
    },
}

/// Plans for a message of `rows` rows (at least one), of which `blamed` are named by the service.
pub fn plan(rows: usize, blamed: &[usize]) -> Plan {
    let mut bad: Vec<usize> = blamed.iter().copied().filter(|place| *place < rows).collect();
    bad.sort_unstable();
    bad.dedup();
    if !bad.is_empty() {
        return Plan::SetAside { bad };
    }
    if rows <= 1 { Plan::SetAside { bad: vec![0] } } else { Plan::Halves { middle: rows / 2 } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// What the simulated service names when it refuses.
    #[derive(Clone, Copy, Debug)]
    enum Names {
        None,
        First,
        All,
    }

    /// Isolates the bad rows and counts the requests after the first.
    fn isolate(rows: usize, bad: &BTreeSet<usize>, names: Names) -> (BTreeSet<usize>, usize) {
        let mut found = BTreeSet::new();
        let mut good = 0;
        let mut requests = 0usize;
        let mut queue = vec![(0..rows).collect::<Vec<_>>()];
        while let Some(piece) = queue.pop() {
            requests += 1;
            let failing: Vec<usize> =
                (0..piece.len()).filter(|place| bad.contains(&piece[*place])).collect();
            if failing.is_empty() {
                good += piece.len();
                continue;
            }
            let blamed = match names {
                Names::None => &[][..],
                Names::First => &failing[..1],
                Names::All => &failing[..],
            };
            match plan(piece.len(), blamed) {
                Plan::SetAside { bad } => {
                    let rest: Vec<_> = (0..piece.len())
                        .filter(|place| !bad.contains(place))
                        .map(|place| piece[place])
                        .collect();
                    found.extend(bad.iter().map(|place| piece[*place]));
                    if !rest.is_empty() {
                        queue.push(rest);
                    }
                }
                Plan::Halves { middle } => {
                    let (left, right) = piece.split_at(middle);
                    queue.push(right.to_vec());
                    queue.push(left.to_vec());
                }
            }
        }
        assert_eq!(good + found.len(), rows);
        (found, requests - 1)
    }

    proptest! {
        #[test]
        fn the_bad_rows_and_no_others_are_found_within_the_bound(
            rows in 1usize..1_200,
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let bad: BTreeSet<usize> = picks.iter().map(|pick| pick.index(rows)).collect();
            let depth = usize::BITS - (rows - 1).leading_zeros();
            for (names, bound) in [
                (Names::None, 2 * bad.len() * depth as usize),
                (Names::First, bad.len()),
                (Names::All, bad.len().min(1)),
            ] {
                let (found, requests) = isolate(rows, &bad, names);
                prop_assert_eq!(&found, &bad);
                prop_assert!(requests <= bound, "{:?}: {} requests, bound {}", names, requests, bound);
            }
        }
    }

    #[test]
    fn a_message_of_one_is_rejected_not_halved() {
        assert_eq!(plan(1, &[]), Plan::SetAside { bad: vec![0] });
    }

    #[test]
    fn a_blamed_place_outside_the_message_is_not_believed() {
        assert_eq!(plan(4, &[9]), Plan::Halves { middle: 2 });
        assert_eq!(plan(4, &[9, 2, 2]), Plan::SetAside { bad: vec![2] });
    }
}
