//! Pages of 5,000 records as JSON against the same rows read from the bare engine.
//!
//! In: a place with a service. Out: a line for each engine.
//! Not here: what a client makes of the JSON: bodies are read to their end and not parsed.
//! Invariant: both sides read the same rows, the same columns, in the same order, page by page.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::http::{Api, Pieces};
use uuid::Uuid;

use crate::bare_read::{Page, Reader, column_behind, column_of};
use crate::report::{self, Line, Sample, Taken};
use crate::rows::{Names, ROWS_PER_MESSAGE, Row, Source, create_multiple_body};
use crate::service::Place;
use crate::{Arguments, Engine};

/// Records of a page: the most that the service gives.
const PAGE_ROWS: usize = 5_000;
/// Pages of one round.
const PAGES: usize = 10;
/// Where the link to the next page stands, from the end.
const TAIL_BYTES: usize = 4_096;
const CLIENTS: usize = 4;

const COLUMNS: [&str; 10] = [
    "bench_name",
    "bench_code",
    "bench_city",
    "bench_note",
    "bench_count",
    "bench_points",
    "bench_price",
    "bench_paid",
    "bench_due",
    "_bench_account_value",
];

/// Adds the line.
pub(crate) async fn measure(
    arguments: &Arguments,
    place: &Place,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let engine = place.engine.name();
    let name = format!("{engine}: a page of 5,000 records as JSON against the bare rows");
    if !arguments.wants(&name) {
        return Ok(());
    }
    let target = (place.engine == Engine::Sqlite).then_some(0.60);
    let mut line = Line::new(name, target);
    let pages = if arguments.quick { 2 } else { PAGES };
    let (names, table) = place.new_names().await?;
    let mut source = Source::new(arguments.seed, place.accounts.clone());
    let path = format!("{}/Microsoft.Dynamics.CRM.CreateMultiple", names.set);
    // One page more than is read, so that every page has one behind it.
    let messages = (pages + 1) * PAGE_ROWS / ROWS_PER_MESSAGE;
    let mut first = None;
    for _ in 0..messages.div_ceil(CLIENTS) {
        let rows: Vec<Vec<Row>> = (0..CLIENTS).map(|_| source.fresh(ROWS_PER_MESSAGE)).collect();
        let bodies = rows.iter().map(|rows| create_multiple_body(&names, rows)).collect();
        place.send(&place.api, &path, bodies, CLIENTS, 200).await?;
        first = first.or_else(|| rows.first()?.first().cloned());
    }
    place.settle().await?;
    let reader = Reader::open(&place.database).await?;
    let page = page(place, &names, &table, &reader, &first.context("rows")?).await?;
    for round in 0..=arguments.rounds {
        let ours = read(place, &names, pages).await?;
        place.settle().await?;
        let other = reader.pages(&page, pages).await?;
        if round > 0 {
            line.samples.push(Sample { rows: pages * PAGE_ROWS, ours, other });
        }
    }
    println!("{}", report::row(&line));
    lines.push(line);
    Ok(())
}

/// The statement that reads the columns of a page: those that were asked for, the id and the version.
async fn page(
    place: &Place,
    names: &Names,
    table: &str,
    reader: &Reader,
    row: &Row,
) -> Result<Page> {
    let columns = reader.columns(table).await?;
    let record = place.api.get(&format!("{}({})?$select=bench_code", names.set, row.id)).await?;
    let record = record.expect(200)?;
    let tag = record["@odata.etag"].as_str().context("a record has an ETag")?;
    let version: String = tag.chars().filter(char::is_ascii_digit).collect();
    let all = format!("SELECT {} FROM {table}", columns.join(", "));
    let stored = reader.texts(&all, columns.len()).await?;
    let id = row.id.to_string();
    let stored = stored.iter().find(|stored| stored.contains(&Some(id.clone())));
    let stored = stored.context("the id that was sent is nowhere in the table")?;
    let id = column_of(&columns, stored, &id)?;
    let account = column_of(&columns, stored, &row.account.to_string())?;
    let version = column_of(&columns, stored, &version)?;
    // Nine columns were made one after another; that of the alternate key is the second of them.
    let code = column_of(&columns, stored, &row.code)?;
    let code = code.trim_end_matches('f');
    let name = format!("c{}", column_behind(code, 0)?[1..].parse::<u32>()? - 1);
    let mut wanted = vec![id.to_owned(), version.to_owned()];
    for behind in 0..9 {
        wanted.push(column_behind(&name, behind)?);
    }
    wanted.push(account.to_owned());
    for column in &wanted {
        ensure!(columns.contains(column), "`{table}` has no column `{column}`");
    }
    let sql = format!(
        "SELECT {} FROM {table} WHERE {id} > {{after}} ORDER BY {id} LIMIT {}",
        wanted.join(", "),
        PAGE_ROWS + 1
    );
    Ok(Page { sql, rows: PAGE_ROWS })
}

/// Reads pages on a thread of its own: a client that passes each piece of a body from thread to thread takes
/// longer for that than for receiving it.
async fn read(place: &Place, names: &Names, pages: usize) -> Result<Taken> {
    let url = format!("{}{}?$select={}", place.service.api(), names.set, COLUMNS.join(","));
    let api = place.api.anew()?;
    let cpu = place.cpu()?;
    let reading = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(follow(&api, url, pages))
    });
    let (wall, answers) = reading.await??;
    let cpu = place.cpu()?.saturating_sub(cpu);
    check(&answers)?;
    Ok(Taken { wall, cpu: Some(cpu) })
}

/// Reads pages, each by the link in the one before.
async fn follow(api: &Api, mut url: String, pages: usize) -> Result<(Duration, Vec<Pieces>)> {
    let prefer = format!("odata.maxpagesize={PAGE_ROWS}");
    let headers = [("Accept", "application/json"), ("Prefer", &*prefer)];
    let mut answers: Vec<Pieces> = Vec::with_capacity(pages);
    let started = Instant::now();
    for _ in 0..pages {
        let answer = api.pieces(&url, &headers).await?;
        ensure!(answer.status == 200, "{url}: {:?}", answer.tail(TAIL_BYTES));
        url = next_link(&answer.tail(TAIL_BYTES)).context("there is a page behind every page")?;
        answers.push(answer);
    }
    Ok((started.elapsed(), answers))
}

/// Every page is full, and no record comes twice.
fn check(answers: &[Pieces]) -> Result<()> {
    let mut last = Uuid::nil();
    for answer in answers {
        let page: serde_json::Value = serde_json::from_slice(&answer.body.concat())?;
        let records = page["value"].as_array().context("a page has records")?;
        ensure!(records.len() == PAGE_ROWS, "a page has {} records", records.len());
        for record in records {
            let record = record.as_object().context("a record is an object")?;
            let columns = COLUMNS.iter().all(|column| record.contains_key(*column));
            ensure!(columns, "{record:?} has not all columns");
            let id = record.iter().find(|(name, _)| name.ends_with("id") && name.contains("row"));
            let id: Uuid = id.and_then(|(_, id)| id.as_str()).context("an id")?.parse()?;
            ensure!(id > last, "{id} comes after {last}");
            last = id;
        }
    }
    Ok(())
}

/// The link to the next page, which stands at the end.
fn next_link(tail: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\"@odata.nextLink\":";
    let place = tail.windows(NAME.len()).rposition(|window| window == NAME)?;
    let text = tail.get(place + NAME.len()..)?;
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<String>();
    values.next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_at_the_end() {
        let body =
            br#"{"value":[{"a":"@odata.nextLink"}],"@odata.nextLink":"http://x/y?a=1\u0026b"}"#;
        assert_eq!(next_link(body).as_deref(), Some("http://x/y?a=1&b"));
        assert_eq!(next_link(br#"{"value":[]}"#), None);
    }
}
