//! What every user asked for, by day: the platform counts entitlements so, and we only show them.
//!
//! Every target of a bulk message counts, and so does every part of a batch: sending many at once costs
//! no less. Kept in memory, of this process, since it started. Source: bulk.md 8.8.
//! Not here: limits (`limits`), who may look (`server`).
//! Invariant: what is kept is bounded; the oldest days are dropped first.

use model::{Date, Timestamp, Uuid};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Users and days that are kept: a month of a thousand users.
const ENTRIES_MAX: usize = 31_000;

/// What was asked for, since the start.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    days: Mutex<BTreeMap<(Date, Uuid), Day>>,
}

/// What one user asked for on one day.
#[derive(Clone, Copy, Debug, Default)]
struct Day {
    /// Messages: a bulk message is one.
    messages: u64,
    /// Every target of each message, and one for a message without targets.
    items: u64,
}

impl Usage {
    /// Counts one message. Cost: a short lock.
    pub(crate) fn count(&self, user: Uuid, now: Timestamp, items: u64) {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let day = days.entry((now.date(), user)).or_default();
        day.messages += 1;
        day.items += items;
        if days.len() > ENTRIES_MAX {
            days.pop_first();
        }
    }

    /// `{"value":[{"day":…,"user":…,"messages":…,"items":…}]}`, the latest day first.
    pub(crate) fn list(&self) -> Value {
        let days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let entries: Vec<Value> = days
            .iter()
            .rev()
            .map(|((date, user), day)| {
                json!({
                    "day": date.to_string(),
                    "user": user.to_string(),
                    "messages": day.messages,
                    "items": day.items,
                })
            })
            .collect();
        json!({"value": entries})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_summed_by_user_and_utc_day_with_the_latest_first() {
        let usage = Usage::default();
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let midnight = 86_400;
        usage.count(one, Timestamp(midnight - 1), 100);
        usage.count(one, Timestamp(midnight - 1), 1);
        usage.count(two, Timestamp(midnight - 1), 3);
        usage.count(one, Timestamp(midnight), 7);
        let entry = |day: &str, user: Uuid, messages: u64, items: u64| {
            let user = user.to_string();
            json!({"day": day, "user": user, "messages": messages, "items": items})
        };
        let want = json!({"value": [
            entry("1970-01-02", one, 1, 7),
            entry("1970-01-01", two, 1, 3),
            entry("1970-01-01", one, 2, 101),
        ]});
        assert_eq!(usage.list(), want);
    }

    #[test]
    fn the_oldest_day_makes_room() {
        let usage = Usage::default();
        for number in 0..=ENTRIES_MAX {
            let day = i64::try_from(number).expect("small");
            usage.count(Uuid::nil(), Timestamp(day * 86_400), 1);
        }
        let list = usage.list();
        let days = list.get("value").and_then(Value::as_array).expect("a list");
        assert_eq!(days.len(), ENTRIES_MAX);
        assert_eq!(days.last().and_then(|day| day.get("day")), Some(&json!("1970-01-02")));
    }
}
