//! Ranges of keys, divided in every order and read like a service does.

use super::*;
use std::collections::HashMap;

/// A service's order that neither idea fits.
fn backwards(key: Uuid) -> u128 {
    u128::MAX - key.as_u128().rotate_left(40)
}

fn holds(range: &Range, key: Uuid, place: &dyn Fn(Uuid) -> u128) -> bool {
    let lower = range.lower.iter().all(|bound| match bound {
        Lower::After(bound) => place(key) > place(*bound),
        Lower::From(bound) => place(key) >= place(*bound),
    });
    lower && range.upper.iter().all(|bound| place(key) < place(*bound))
}

/// Reads all keys; how often each came, how many pages there were, and how many rounds they took.
fn read(
    keys: &[Uuid],
    page: usize,
    width: usize,
    orders: Orders,
    place: &dyn Fn(Uuid) -> u128,
) -> (HashMap<Uuid, usize>, usize, usize) {
    let mut orders = orders;
    let mut sorted = keys.to_vec();
    sorted.sort_by_key(|key| place(*key));
    let (mut seen, mut pages, mut rounds) = (HashMap::new(), 0, 0);
    let (mut reading, mut waiting) = (vec![Range::default()], Vec::new());
    while !reading.is_empty() {
        rounds += 1;
        let mut next = Vec::new();
        let mut running = reading.len();
        for range in reading {
            pages += 1;
            let there = sorted.iter().copied().filter(|key| holds(&range, *key, place));
            let there: Vec<Uuid> = there.take(page + 1).collect();
            let got = &there[..there.len().min(page)];
            for key in got {
                *seen.entry(*key).or_default() += 1;
            }
            orders.learn(got);
            running -= 1;
            if there.len() > page {
                let ends = Ends { first: got[0], last: got[page - 1] };
                let most = *sorted.last().expect("a key");
                let busy = running + next.len() + waiting.len();
                let mut parts = range.divide(ends, most, parts_for(width, busy), &orders);
                next.push(parts.remove(0));
                waiting.extend(parts);
            }
            while running + next.len() < width
                && let Some(part) = waiting.pop()
            {
                next.push(part);
            }
        }
        reading = next;
    }
    (seen, pages, rounds)
}

fn once(keys: &[Uuid], place: &dyn Fn(Uuid) -> u128, orders: Orders) -> (usize, usize) {
    let (seen, pages, rounds) = read(keys, 10, 4, orders, place);
    assert_eq!(seen.len(), keys.len());
    assert!(seen.values().all(|count| *count == 1));
    (pages, rounds)
}

fn mixed(seed: u128) -> Uuid {
    let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    bits ^= bits >> 67;
    Uuid::from_u128(bits.wrapping_mul(0xd6e8_feb8_6659_fd93_2b7e_1516_28ae_d2a7))
}

#[test]
fn every_key_is_read_once_in_any_order_of_the_service() {
    let scattered: Vec<Uuid> = (1..1_000).map(mixed).collect();
    let ascending: Vec<Uuid> =
        (0..1_000).map(|n| Uuid::from_u128(0x0190_0000_0000_7000 << 64 | n << 40)).collect();
    let late = (0..1_000).map(Uuid::from_u128);
    let clusters = ascending.iter().copied().chain(late).chain((1..50).map(mixed)).collect();
    let mut edges: Vec<Uuid> = (1..100).map(mixed).collect();
    edges.extend([Uuid::nil(), Uuid::max(), Uuid::from_u128(1), Uuid::from_u128(u128::MAX - 1)]);
    for keys in [scattered, ascending, clusters, edges] {
        let places: [&dyn Fn(Uuid) -> u128; 3] =
            [&|key| Order::Bytes.place(key), &|key| Order::LastFirst.place(key), &backwards];
        for place in places {
            once(&keys, place, Orders::all());
            // Nothing but balance depends on an idea that fits no page: then nothing is divided.
            once(&keys, place, Orders(Vec::new()));
        }
    }
}

#[test]
fn parts_of_a_range_leave_out_nothing_even_where_the_order_is_another() {
    let keys: Vec<Uuid> = (1..2_000).map(mixed).collect();
    for orders in [Orders::all(), Orders(vec![Order::Bytes])] {
        let place = |key: Uuid| match orders.0.len() {
            1 => Order::Bytes.place(key),
            _ => Order::LastFirst.place(key),
        };
        let mut sorted = keys.clone();
        sorted.sort_by_key(|key| place(*key));
        // With much room behind it by its bytes, too.
        let last = *sorted[..200].iter().min().expect("a key");
        let ends = Ends { first: Uuid::from_u128(last.as_u128() - (1 << 100)), last };
        let parts = Range::default().divide(ends, Uuid::max(), 8, &orders);
        assert!(parts.len() > 2, "{parts:?}");
        for key in &sorted {
            let homes = parts.iter().filter(|part| holds(part, *key, &place)).count();
            assert_eq!(homes, usize::from(place(*key) > place(ends.last)), "{key}");
        }
    }
}

#[test]
fn rows_that_lie_in_clusters_are_read_side_by_side_all_the_same() {
    let scattered: Vec<Uuid> = (1..4_000).map(mixed).collect();
    let cluster = |start: u128| (0..2_000).map(move |n| Uuid::from_u128(start << 80 | n << 40));
    let clusters: Vec<Uuid> = cluster(0x0190_1234_0000).chain(cluster(0x0191_1234_0000)).collect();
    for keys in [scattered, clusters] {
        let alone = keys.len().div_ceil(10);
        for order in Order::ALL {
            let (pages, rounds) = once(&keys, &|key| order.place(key), Orders::all());
            // Four readers: at best a quarter of the rounds, and not many pages more.
            assert!(rounds * 5 < alone * 2, "{order:?}: {rounds} rounds of {alone}");
            assert!(pages * 10 < alone * 13, "{order:?}: {pages} pages of {alone}");
        }
    }
}

#[test]
fn a_range_is_told_in_conditions_on_the_key() {
    let id = |n: u128| Uuid::from_u128(n);
    assert_eq!(Range::default().text("key"), None);
    let ends = Ends { first: id(1), last: id(10) };
    let parts = Range::default().divide(ends, id(100_000), 2, &Orders::all());
    let texts: Vec<String> = parts.iter().filter_map(|part| part.text("key")).collect();
    let [low, high] = texts.as_slice() else { panic!("{texts:?}") };
    assert!(low.starts_with(&format!("key gt {} and key lt ", id(10))), "{low}");
    let pivot = low.rsplit(' ').next().expect("a word");
    assert_eq!(high, &format!("key ge {pivot}"));
    // Where nothing is far enough away nothing is divided.
    assert_eq!(Range::default().divide(ends, id(12), 8, &Orders::all()).len(), 1);
}
