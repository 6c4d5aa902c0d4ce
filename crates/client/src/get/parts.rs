//! One read side by side: ranges of the primary key, divided while they are read.
//!
//! In: a range, the first and the last key of a page of it, how many readers have nothing to do. Out: what is left of the
//! range, in parts. Keys come in clusters, as services and this program give ascending ones; where rows lie is not
//! known before. So the first page is read alone, and whenever a page ends while readers are free, what is beyond its last
//! row is divided: half of the bounds lie further and further away by the same factor, the first about a page as keys
//! lie there, which finds the end of a cluster; the other half at equal distances, which finds other clusters.
//! Not here: requests (`side_by_side`).
//! Invariant: parts of a range do not overlap and leave out nothing, whatever order the service gives its keys;
//! a wrong idea of that order costs balance alone.

use super::Error;
use uuid::Uuid;

/// Conditions of a range; one that has more is read to its end as it is.
const BOUNDS_MAX: usize = 16;
/// A part is longer than the one before it by this factor at least.
const RATIO_MIN: f64 = 1.5;

/// In which order a service may compare keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// By their bytes.
    Bytes,
    /// As SQL Server does: the last six bytes count most.
    LastFirst,
}

/// The orders that every page so far agrees with.
#[derive(Clone, Debug)]
pub(super) struct Orders(Vec<Order>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lower {
    After(Uuid),
    From(Uuid),
}

/// Keys that are read one page after the other: those that all bounds hold for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Range {
    lower: Vec<Lower>,
    upper: Vec<Uuid>,
}

/// A page as far as dividing needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) first: Uuid,
    pub(super) last: Uuid,
}

/// Into how many parts a range is divided while so many readers and parts are busy or waiting: two for each free one.
pub(super) fn parts_for(width: usize, busy: usize) -> usize {
    match width.saturating_sub(busy) {
        0 | 1 => 1,
        free => 2 * free,
    }
}

impl Order {
    const ALL: [Self; 2] = [Self::Bytes, Self::LastFirst];

    fn place(self, key: Uuid) -> u128 {
        match self {
            Self::Bytes => key.as_u128(),
            Self::LastFirst => u128::from_be_bytes(turned(*key.as_bytes())),
        }
    }

    fn key(self, place: u128) -> Uuid {
        match self {
            Self::Bytes => Uuid::from_u128(place),
            Self::LastFirst => Uuid::from_bytes(turned_back(place.to_be_bytes())),
        }
    }
}

/// The places of a key's bytes, the one that counts most first.
const TURNED: [usize; 16] = [10, 11, 12, 13, 14, 15, 8, 9, 7, 6, 5, 4, 3, 2, 1, 0];

fn turned(bytes: [u8; 16]) -> [u8; 16] {
    TURNED.map(|place| bytes[place])
}

fn turned_back(bytes: [u8; 16]) -> [u8; 16] {
    let mut back = [0; 16];
    for (byte, place) in bytes.into_iter().zip(TURNED) {
        back[place] = byte;
    }
    back
}

impl Orders {
    pub(super) fn all() -> Self {
        Self(Order::ALL.to_vec())
    }

    /// Drops orders in which these keys, as the service gave them, do not ascend.
    pub(super) fn learn(&mut self, keys: &[Uuid]) {
        self.0.retain(|order| keys.is_sorted_by_key(|key| order.place(*key)));
    }

    /// The greater of two keys, as far as is known.
    fn is_less(&self, one: Uuid, other: Uuid) -> bool {
        !self.0.is_empty() && self.0.iter().all(|order| order.place(one) <= order.place(other))
    }
}

impl Range {
    /// What is left behind a page, in `parts` parts at most. `most` is the greatest key there was at the start.
    pub(super) fn divide(
        mut self,
        ends: Ends,
        most: Uuid,
        parts: usize,
        orders: &Orders,
    ) -> Vec<Self> {
        // Whatever else was said of its start holds for every later row.
        self.lower = vec![Lower::After(ends.last)];
        let Some(order) = orders.0.first().filter(|_| self.upper.len() < BOUNDS_MAX) else {
            return vec![self];
        };
        let places = self.upper.iter().map(|key| order.place(*key));
        let end = places.min().unwrap_or(u128::MAX).min(order.place(most));
        let (first, last) = (order.place(ends.first), order.place(ends.last));
        let mut rest = self;
        let mut divided = Vec::with_capacity(parts);
        for place in pivots(first, last, end, parts.saturating_sub(1)) {
            let pivot = order.key(place);
            let mut one = rest.clone();
            one.upper.push(pivot);
            one.drop_needless(orders);
            divided.push(one);
            rest.lower.push(Lower::From(pivot));
        }
        rest.drop_needless(orders);
        divided.push(rest);
        divided
    }

    /// Drops bounds that others make needless in every order that may be.
    fn drop_needless(&mut self, orders: &Orders) {
        let key = |lower: &Lower| match lower {
            Lower::After(key) | Lower::From(key) => *key,
        };
        let all = self.lower.clone();
        let mut place = 0;
        self.lower.retain(|lower| {
            place += 1;
            // Of bounds that say the same the last one stays; `After` stands before all others.
            !all[place..].iter().any(|other| {
                let is_same = key(lower) == key(other);
                !is_same && orders.is_less(key(lower), key(other))
            })
        });
        let all = self.upper.clone();
        let mut place = 0;
        self.upper.retain(|upper| {
            place += 1;
            !all[place..].iter().any(|other| orders.is_less(*other, *upper))
        });
    }

    /// Its conditions on the key; none for everything.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let lower = self.lower.iter().map(|bound| match bound {
            Lower::After(id) => format!("{key} gt {id}"),
            Lower::From(id) => format!("{key} ge {id}"),
        });
        let upper = self.upper.iter().map(|id| format!("{key} lt {id}"));
        let all: Vec<String> = lower.chain(upper).collect();
        (!all.is_empty()).then(|| all.join(" and "))
    }
}

/// Up to `count` places between `last` and `end`, where a page went from `first` to `last`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "where exactly they are does not matter; the factors are positive"
)]
fn pivots(first: u128, last: u128, end: u128, count: usize) -> Vec<u128> {
    let (Some(gap), Some(span)) = (end.checked_sub(last), last.checked_sub(first)) else {
        return Vec::new();
    };
    let span = span.max(1) as f64;
    let pages = gap as f64 / span;
    let most = (pages.ln() / RATIO_MIN.ln()) as usize;
    let near = (count - count / 2).min(most.saturating_sub(1));
    let ratio = pages.powf(1.0 / (near as f64 + 1.0));
    let near_places = (1..=near).map(|step| (span * ratio.powf(step as f64)) as u128);
    // Parts that are shorter than two pages are not worth their requests.
    let far = (count / 2).min((pages / 2.0) as usize) as u128;
    let far_places = (1..=far).map(|step| gap / (far + 1) * step);
    let mut all: Vec<u128> = near_places
        .chain(far_places)
        .map(|place| last.saturating_add(place))
        .filter(|place| *place > last && *place < end)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Why a read cannot be divided.
pub(super) fn refuse(why: &str) -> Error {
    Error::Wish(format!("pages are not read side by side ({why}): leave out `-j`"))
}

#[cfg(test)]
mod tests;
