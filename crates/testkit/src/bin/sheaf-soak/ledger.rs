//! What the service must hold, and whether it does.
//!
//! In: what was sent and answered; the rows as the service gives them back. Out: nothing, or the first
//! message that is not as it must be.
//! Not here: sending (`load`).
//! Invariant: once a message that was never acknowledged has been seen, present or absent, it must stay so.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use testkit::http::Api;
use uuid::Uuid;

use crate::load::{Sent, id_of};

/// All messages so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    messages: BTreeMap<u64, Expected>,
    /// The lowest message that was sent or changed since the last look.
    touched_from: Option<u64>,
    acknowledged: u64,
    unanswered: u64,
    unanswered_but_there: u64,
}

/// What may be found of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    rows: u64,
    /// The stamps that all its rows may have; `None`: the message may be absent.
    stamps: Vec<Option<u64>>,
}

/// What was found of one message.
#[derive(Debug, Default)]
struct Found {
    ids: HashSet<Uuid>,
    stamps: HashSet<u64>,
}

impl Ledger {
    /// Takes down what was sent, in the order of one worker.
    pub(crate) fn take(&mut self, sent: Vec<Sent>) {
        for sent in sent {
            if sent.is_acknowledged {
                self.acknowledged += 1;
            } else {
                self.unanswered += 1;
            }
            let lowest = self.touched_from.unwrap_or(sent.message);
            self.touched_from = Some(lowest.min(sent.message));
            let expected = self
                .messages
                .entry(sent.message)
                .or_insert_with(|| Expected { rows: sent.rows, stamps: vec![None] });
            if sent.is_acknowledged {
                expected.stamps.clear();
            }
            expected.stamps.push(Some(sent.stamp));
        }
    }

    /// Reads the rows back and compares. `is_full`: all of them; else only of messages touched lately.
    pub(crate) async fn check(&mut self, api: &Api, is_full: bool) -> Result<()> {
        let from = if is_full { 0 } else { self.touched_from.unwrap_or(0) };
        let path =
            format!("soak_rows?$select=soak_message,soak_stamp&$filter=soak_message ge {from}");
        let mut found: BTreeMap<u64, Found> = BTreeMap::new();
        api.get_pages(&path, |rows| rows.iter().try_for_each(|row| sort_in(row, &mut found)))
            .await
            .context("reading the rows back")?;
        for (message, found) in &found {
            ensure!(
                self.messages.contains_key(message),
                "message {message} was never sent: {found:?}"
            );
        }
        for (message, expected) in self.messages.range_mut(from..) {
            let was_open = expected.stamps.len() > 1;
            let seen = judge(*message, expected, found.get(message))?;
            if was_open && seen.is_some() && seen == expected.stamps.last().copied().flatten() {
                self.unanswered_but_there += 1;
            }
            expected.stamps = vec![seen];
        }
        self.touched_from = None;
        Ok(())
    }

    pub(crate) fn summary(&self) -> String {
        let rows: u64 = self
            .messages
            .values()
            .filter(|expected| expected.stamps != [None])
            .map(|expected| expected.rows)
            .sum();
        format!(
            "{} messages acknowledged and whole, {} unanswered ({} of them found whole, the others absent), {rows} rows",
            self.acknowledged, self.unanswered, self.unanswered_but_there
        )
    }
}

fn sort_in(row: &Value, found: &mut BTreeMap<u64, Found>) -> Result<()> {
    let number = |name: &str| {
        row.get(name).and_then(Value::as_u64).with_context(|| format!("no {name} in {row}"))
    };
    let id = row["soak_rowid"].as_str().with_context(|| format!("no id in {row}"))?;
    let id: Uuid = id.parse().with_context(|| format!("`{id}` is no id"))?;
    let message = found.entry(number("soak_message")?).or_default();
    ensure!(message.ids.insert(id), "row {id} came twice");
    message.stamps.insert(number("soak_stamp")?);
    Ok(())
}

/// The state that a message is in, if it is one that it may be in.
fn judge(message: u64, expected: &Expected, found: Option<&Found>) -> Result<Option<u64>> {
    let Some(found) = found else {
        ensure!(
            expected.stamps.contains(&None),
            "message {message} of {} rows was acknowledged and is gone",
            expected.rows
        );
        return Ok(None);
    };
    let stamps: Vec<u64> = found.stamps.iter().copied().collect();
    let [stamp] = stamps.as_slice() else {
        bail!("message {message} is half updated: its rows have the stamps {stamps:?}");
    };
    ensure!(
        found.ids.len() as u64 == expected.rows,
        "message {message} is half there: {} of {} rows",
        found.ids.len(),
        expected.rows
    );
    for index in 0..expected.rows {
        let id = id_of(message, index);
        ensure!(found.ids.contains(&id), "row {index} of message {message} has another id");
    }
    ensure!(
        expected.stamps.contains(&Some(*stamp)),
        "message {message} has the stamp {stamp}; it may have {:?}",
        expected.stamps
    );
    Ok(Some(*stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        stamps: &[Option<u64>],
        rows: u64,
        found: Option<(u64, &[u64])>,
        want: Result<Option<u64>, &str>,
    ) {
        let expected = Expected { rows, stamps: stamps.to_vec() };
        let found = found.map(|(rows, stamps)| Found {
            ids: (0..rows).map(|index| id_of(5, index)).collect(),
            stamps: stamps.iter().copied().collect(),
        });
        match (judge(5, &expected, found.as_ref()), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want),
            (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{got}"),
            (got, want) => panic!("{got:?}, not {want:?}"),
        }
    }

    #[test]
    fn an_acknowledged_message_must_be_whole_and_an_unanswered_one_whole_or_absent() {
        check(&[Some(0)], 3, Some((3, &[0])), Ok(Some(0)));
        check(&[Some(0)], 3, Some((2, &[0])), Err("half there"));
        check(&[Some(0)], 3, None, Err("is gone"));
        check(&[None, Some(0)], 3, None, Ok(None));
        check(&[None, Some(0)], 3, Some((3, &[0])), Ok(Some(0)));
        check(&[None, Some(0)], 3, Some((1, &[0])), Err("half there"));
    }

    #[test]
    fn an_update_is_in_all_rows_or_in_none_and_an_acknowledged_one_in_all() {
        check(&[Some(0), Some(4)], 2, Some((2, &[0])), Ok(Some(0)));
        check(&[Some(0), Some(4)], 2, Some((2, &[4])), Ok(Some(4)));
        check(&[Some(0), Some(4)], 2, Some((2, &[0, 4])), Err("half updated"));
        check(&[Some(4)], 2, Some((2, &[0])), Err("may have"));
    }

    #[test]
    fn the_ledger_keeps_the_last_acknowledged_state_and_what_may_have_followed() {
        let sent = |stamp, is_acknowledged| Sent { message: 5, rows: 2, stamp, is_acknowledged };
        let mut ledger = Ledger::default();
        ledger.take(vec![sent(0, true), sent(1, true), sent(2, false)]);
        assert_eq!(ledger.messages[&5].stamps, [Some(1), Some(2)]);
        assert_eq!(ledger.touched_from, Some(5));
    }
}
