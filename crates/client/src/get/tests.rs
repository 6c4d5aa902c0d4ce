//! What reads ask for, request by request.

use super::*;
use crate::testing;
use crate::transport::{self, Transport};
use async_trait::async_trait;
use std::sync::Mutex;

/// A service that gives five rows in pages of the size that is asked for, and keeps what was asked.
#[derive(Default)]
struct Rows {
    asked: Mutex<Vec<String>>,
}

const ROWS: usize = 5;

#[async_trait]
impl Transport for Rows {
    async fn send(&self, request: Request) -> Result<Response, transport::Error> {
        let path =
            percent_encoding::percent_decode_str(&request.path).decode_utf8_lossy().into_owned();
        let size = request.headers.iter().find_map(|(_, value)| {
            let rest = value.strip_prefix("odata.maxpagesize=")?;
            rest.split(',').next()?.parse::<usize>().ok()
        });
        self.asked.lock().expect("no panic").push(format!("{path} size {size:?}"));
        let body = if path.contains("$apply") {
            format!("{{\"value\":[{{\"rows\":{ROWS}}}]}}")
        } else {
            let first =
                path.split_once("from=").map_or(0, |(_, from)| from.parse().expect("a number"));
            let size = size.expect("a page has a size");
            let end = ROWS.min(first + size);
            let rows: Vec<String> =
                (first..end).map(|row| format!("{{\"new_whole\":{row}}}")).collect();
            let next = (end < ROWS)
                .then(|| format!(",\"@odata.nextLink\":\"http://x/new_things?from={end}\""));
            format!("{{\"value\":[{}]{}}}", rows.join(","), next.unwrap_or_default())
        };
        Ok(Response { status: 200, headers: Vec::new(), body: body.into() })
    }
}

async fn ask_for(query: Query) -> (Vec<String>, Vec<String>, u64) {
    let rows = Arc::new(Rows::default());
    let service = Service::new(rows.clone());
    let (table, catalog) = testing::table();
    let reading = || {
        let described = Described { table: table.clone(), catalog: catalog.clone() };
        Reading::of(&service, described, &query, (None, None), Format::Csv).expect("it can be read")
    };
    let take = |all: &mut Vec<String>, texts: &[String]| all.push(texts.join(","));
    let (read, _) = reading().texts(Vec::new(), take, &mut |_| {}).await.expect("it reads");
    let pages = std::mem::take(&mut *rows.asked.lock().expect("no panic"));
    let count = reading().count().await.expect("it counts");
    let counted = rows.asked.lock().expect("no panic").len();
    assert_eq!(counted, 1, "a count reads no page");
    (read, pages, count)
}

#[tokio::test]
async fn pages_and_counts_are_asked_for_as_wished() {
    let query = |page_size, top| Query {
        columns: vec!["new_whole".to_owned()],
        sort: vec!["new_whole-".to_owned(), "new_name".to_owned()],
        wanted: Wanted { filters: vec!["new_whole ne 9".to_owned()], ..Wanted::default() },
        page_size,
        top,
        ..Query::default()
    };
    let first =
        "new_things?$select=new_whole&$filter=(new_whole ne 9)&$orderby=new_whole desc,new_name";
    let (read, pages, count) = ask_for(query(2, None)).await;
    assert_eq!(read, ["0", "1", "2", "3", "4"]);
    assert_eq!(
        pages,
        [
            format!("{first} size Some(2)"),
            "http://x/new_things?from=2 size Some(2)".to_owned(),
            "http://x/new_things?from=4 size Some(2)".to_owned(),
        ]
    );
    assert_eq!(count, 5);
    // What is enough is not read on.
    let (read, pages, count) = ask_for(query(2, Some(3))).await;
    assert_eq!((read.len(), pages.len(), count), (3, 2, 3));
    let (_, pages, _) = ask_for(query(5_000, Some(3))).await;
    assert_eq!(pages, [format!("{first}&$top=3 size Some(5000)")]);
}
