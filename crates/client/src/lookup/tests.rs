//! How many questions names cost that come a few at a time.

use super::*;
use crate::testing;
use crate::transport::{self, Request, Response, Transport};
use async_trait::async_trait;
use std::sync::Mutex;

/// A service with so many contacts, called `n0`, `n1` and so on, that keeps what was asked.
struct Contacts {
    count: usize,
    asked: Mutex<Vec<String>>,
}

fn contact(number: usize) -> String {
    let id = Uuid::from_u128(number as u128 + 1);
    format!("{{\"contactid\":\"{id}\",\"nickname\":\"n{number}\"}}")
}

#[async_trait]
impl Transport for Contacts {
    async fn send(&self, request: Request) -> Result<Response, transport::Error> {
        let path =
            percent_encoding::percent_decode_str(&request.path).decode_utf8_lossy().into_owned();
        let body = if let Some((_, values)) = path.split_once("PropertyValues=") {
            let numbers = values.split("\"n").skip(1).filter_map(|rest| {
                rest.split('"').next()?.parse::<usize>().ok().filter(|number| *number < self.count)
            });
            format!("{{\"value\":[{}]}}", numbers.map(contact).collect::<Vec<_>>().join(","))
        } else {
            let first: usize =
                path.split_once("from=").map_or(0, |(_, from)| from.parse().expect("a number"));
            let end = self.count.min(first + 5_000);
            let rows: Vec<String> = (first..end).map(contact).collect();
            let next = (end < self.count)
                .then(|| format!(",\"@odata.nextLink\":\"http://x/contacts?from={end}\""));
            format!("{{\"value\":[{}]{}}}", rows.join(","), next.unwrap_or_default())
        };
        self.asked.lock().expect("no panic").push(path);
        Ok(Response { status: 200, headers: Vec::new(), body: body.into() })
    }
}

fn lookups() -> Lookups {
    let (table, catalog) = testing::table();
    let aim = Aim { table: None, column: "nickname".to_owned() };
    let rules = Rules { aims: vec![("new_one".to_owned(), aim)], ..Rules::default() };
    Lookups::new(Described { table, catalog }, rules, 100, Vec::new()).expect("a lookup")
}

/// A row that names a contact.
pub(crate) fn draft(name: usize) -> Draft {
    let (table, _) = testing::table();
    let column = table.index_of("new_one").expect("a column");
    Draft { open: vec![(column, Open::Name(format!("n{name}").into()))], ..Draft::default() }
}

/// Lookups into a large table that know the first contacts.
pub(crate) async fn known_lookups() -> Lookups {
    let service = Service::new(Arc::new(Contacts { count: 6_000, asked: Mutex::default() }));
    let mut lookups = lookups();
    let mut drafts: Vec<Draft> = (0..10).map(draft).collect();
    lookups.settle(&service, &mut drafts).await.expect("answers");
    lookups
}

/// Looks names up window by window; the questions, and what was not found.
async fn questions(count: usize, windows: &[Vec<usize>]) -> (usize, usize) {
    let contacts = Arc::new(Contacts { count, asked: Mutex::default() });
    let service = Service::new(contacts.clone());
    let mut lookups = lookups();
    let mut missing = 0;
    for names in windows {
        let mut drafts: Vec<Draft> = names.iter().map(|name| draft(*name)).collect();
        let mut open: Vec<&mut Draft> = drafts.iter_mut().collect();
        let answers = lookups.resolve(&service, &mut open).await.expect("answers");
        missing += answers.iter().filter(|missing| !missing.is_empty()).count();
    }
    let asked = contacts.asked.lock().expect("no panic").len();
    (asked, missing)
}

#[tokio::test]
async fn names_that_come_a_few_at_a_time_are_few_questions_in_the_end() {
    let trickle: Vec<Vec<usize>> =
        (0..200).map(|window| vec![window * 7, window * 7 + 1]).collect();
    // A look at the size, four poor questions less the one that reads all, and its pages.
    assert_eq!(questions(20_000, &trickle).await, (1 + 3 + 4, 0));
    assert_eq!(questions(4_000, &trickle).await, (1, 0));
    // Names that nothing has are known as such, too.
    let nothing: Vec<Vec<usize>> = (0..50).map(|window| vec![30_000 + window]).collect();
    assert_eq!(questions(20_000, &nothing).await, (1 + 3 + 4, 50));
    // What is larger is tried once, and asked as often as names come.
    assert_eq!(questions(60_000, &trickle).await, (1 + 200 + PAGES_MAX, 0));
    // Full questions are no reason to read everything.
    let full: Vec<Vec<usize>> =
        (0..10).map(|window| (window * 100..window * 100 + 100).collect()).collect();
    assert_eq!(questions(20_000, &full).await, (1 + 10, 0));
}

#[tokio::test]
async fn names_count_as_unknown_once_and_only_where_they_would_be_a_question() {
    let (known, new) = (vec![draft(1), draft(1)], vec![draft(1), draft(2), draft(3), draft(3)]);
    for (count, want) in [(6_000, 2), (4_000, 0)] {
        let service = Service::new(Arc::new(Contacts { count, asked: Mutex::default() }));
        let mut lookups = lookups();
        let mut unknown = HashSet::new();
        // The first question comes at once: it may tell all names.
        lookups.note_unknown(&new, &mut unknown);
        assert_eq!(unknown.len(), 0);
        let mut drafts = known.clone();
        lookups.settle(&service, &mut drafts).await.expect("answers");
        lookups.note_unknown(&new, &mut unknown);
        assert_eq!(unknown.len(), want, "{count}");
    }
}
