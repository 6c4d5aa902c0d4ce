//! A FetchXML aggregate over many rows against the same SQL on the bare engine.
//!
//! In: a place with a service. Out: a line for each engine. On PostgreSQL the server's own log must name
//! one statement about the table for one request: no row travels but the groups.
//! Invariant: both sides answer the same groups with the same sums, or the line fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use testkit::draw::Draw;
use uuid::Uuid;

use crate::Arguments;
use crate::bare_read::{Reader, column_behind, column_of};
use crate::report::{self, Line, Sample, Taken};
use crate::rows::ROWS_PER_MESSAGE;
use crate::service::{Place, label};

const ROWS: usize = 1_000_000;
const ROWS_QUICK: usize = 20_000;
/// Choices of the column that is grouped by.
const KINDS: u64 = 8;
const CLIENTS: usize = 4;
/// Messages that are made before they are sent.
const MESSAGES_AT_ONCE: usize = 40;
const FETCH: &str = "<fetch aggregate='true'><entity name='bench_sale'>\
    <attribute name='bench_kind' groupby='true' alias='kind'/>\
    <attribute name='bench_amount' aggregate='sum' alias='amount'/>\
    <order alias='kind'/></entity></fetch>";
/// The log is written by another process.
const LOG_PATIENCE: Duration = Duration::from_millis(500);

/// Adds the line.
pub(crate) async fn measure(
    arguments: &Arguments,
    place: &Place,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let rows = if arguments.quick { ROWS_QUICK } else { ROWS };
    let engine = place.engine.name();
    let name = format!(
        "{engine}: a FetchXML aggregate (choice, sum of money) over {rows} rows against the same SQL"
    );
    if !arguments.wants(&name) {
        return Ok(());
    }
    let mut line = Line::new(name, None);
    let table = place.define(vec![("EntityDefinitions".to_owned(), definition())]).await?;
    let first = fill(arguments, place, rows).await?;
    place.settle().await?;
    let reader = Reader::open(&place.database).await?;
    let (kind, amount) = columns(&reader, &table, &first).await?;
    let sql = format!("SELECT {kind}, sum({amount}) FROM {table} GROUP BY {kind} ORDER BY {kind}");
    let answered = ask(place).await?;
    compare(&answered, &reader.texts(&sql, 2).await?)?;
    one_statement(place, &table).await?;
    for round in 0..=arguments.rounds {
        let cpu = place.cpu()?;
        let started = Instant::now();
        ask(place).await?;
        let wall = started.elapsed();
        let ours = Taken { wall, cpu: Some(place.cpu()?.saturating_sub(cpu)) };
        place.settle().await?;
        let (other, groups) = reader.repeat(&sql, 1).await?;
        ensure!(groups == answered.len(), "{groups} groups");
        if round > 0 {
            line.samples.push(Sample { rows, ours, other });
        }
    }
    println!("{}", report::row(&line));
    lines.push(line);
    Ok(())
}

/// Sum by choice, in hundredths.
type Sums = BTreeMap<u64, u128>;

async fn ask(place: &Place) -> Result<Sums> {
    let mut query = String::new();
    for byte in FETCH.bytes() {
        write!(query, "%{byte:02X}")?;
    }
    let answer = place.api.get(&format!("bench_sales?fetchXml={query}")).await?.expect(200)?;
    let groups = answer["value"].as_array().context("groups")?;
    let group = |group: &serde_json::Value| {
        let kind = group["kind"].as_u64().with_context(|| format!("a kind in {group}"))?;
        Ok((kind, hundredths(&group["amount"].to_string())?))
    };
    groups.iter().map(group).collect()
}

/// The engine's own sums are in scaled whole numbers on SQLite and in decimals on PostgreSQL.
fn compare(answered: &Sums, bare: &[Vec<Option<String>>]) -> Result<()> {
    ensure!(answered.len() == usize::try_from(KINDS)?, "{} groups", answered.len());
    ensure!(bare.len() == answered.len(), "{} groups, {} bare", answered.len(), bare.len());
    for ((kind, sum), row) in answered.iter().zip(bare) {
        let [Some(bare_kind), Some(bare_sum)] = row.as_slice() else {
            anyhow::bail!("{row:?} is no group");
        };
        let is_scaled = !bare_sum.contains('.');
        let bare_sum = hundredths(bare_sum)? / if is_scaled { 10_000 } else { 1 };
        ensure!(
            *bare_kind == kind.to_string() && bare_sum == *sum,
            "{kind}: {sum}, the engine says {row:?}"
        );
    }
    Ok(())
}

/// A number with a point as hundredths; more places must be zeros.
fn hundredths(text: &str) -> Result<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.trim_end_matches('0');
    ensure!(part.len() <= 2, "`{text}` has more than two places");
    Ok(whole.parse::<u128>()? * 100 + format!("{part:0<2}").parse::<u128>()?)
}

/// On PostgreSQL: one request is one statement about the table, and the groups come out of it.
async fn one_statement(place: &Place, table: &str) -> Result<()> {
    let Some(cluster) = &place.cluster else { return Ok(()) };
    let log = cluster.log().context("a server of our own has a log")?;
    let set = |value: &str| {
        // Not in one string: neither may run inside a transaction.
        cluster.sql("postgres", &format!("ALTER SYSTEM SET log_statement = '{value}'"))?;
        cluster.sql("postgres", "SELECT pg_reload_conf()")
    };
    set("all")?;
    tokio::time::sleep(LOG_PATIENCE).await;
    let before = fs::read_to_string(&log)?.len();
    ask(place).await?;
    tokio::time::sleep(LOG_PATIENCE).await;
    let text = fs::read_to_string(&log)?;
    set("none")?;
    let lines = text[before..].lines().filter(|line| line.contains("execute"));
    let about: Vec<&str> = lines.filter(|line| line.contains(table)).collect();
    ensure!(about.len() == 1, "one statement should be about `{table}`, not {about:?}");
    ensure!(about[0].contains("GROUP BY"), "{} has no groups", about[0]);
    Ok(())
}

/// A row that can be told from all others.
struct First {
    id: Uuid,
    note: String,
    kind: u64,
}

async fn columns(reader: &Reader, table: &str, first: &First) -> Result<(String, String)> {
    let columns = reader.columns(table).await?;
    let all = format!("SELECT {} FROM {table}", columns.join(", "));
    let rows = reader.texts(&all, columns.len()).await?;
    let id = Some(first.id.to_string());
    let row = rows.iter().find(|row| row.contains(&id)).context("the first row")?;
    // Name, note, choice and money were made one after another.
    let note = column_of(&columns, row, &first.note)?;
    let (kind, amount) = (column_behind(note, 1)?, column_behind(note, 2)?);
    let place = columns.iter().position(|column| *column == kind).context("the choice")?;
    ensure!(row[place] == Some(first.kind.to_string()), "`{kind}` is not the choice");
    ensure!(columns.contains(&amount), "`{table}` has no `{amount}`");
    Ok((kind, amount))
}

async fn fill(arguments: &Arguments, place: &Place, rows: usize) -> Result<First> {
    let mut draw = Draw::new(arguments.seed ^ 0xa66);
    let mut first = None;
    let mut count = 0;
    while count < rows {
        let mut bodies: Vec<Bytes> = Vec::new();
        while count < rows && bodies.len() < MESSAGES_AT_ONCE {
            let mut body = String::from(r#"{"Targets":["#);
            for row in 0..ROWS_PER_MESSAGE {
                count += 1;
                let id = draw.ordered_id(count as u64);
                let (kind, note) = (draw.below(KINDS) + 1, format!("{} {count}", draw.word(30)));
                let cents = draw.below(10_000_000);
                write!(
                    body,
                    r#"{}{{"@odata.type":"Microsoft.Dynamics.CRM.bench_sale","bench_saleid":"{id}","bench_name":"{}","bench_note":"{note}","bench_kind":{kind},"bench_amount":{}.{:02}}}"#,
                    if row == 0 { "" } else { "," },
                    draw.word(12),
                    cents / 100,
                    cents % 100
                )?;
                first.get_or_insert(First { id, note, kind });
            }
            body.push_str("]}");
            bodies.push(body.into());
        }
        let path = "bench_sales/Microsoft.Dynamics.CRM.CreateMultiple";
        place.send(&place.api, path, bodies, CLIENTS, 200).await?;
    }
    first.context("there are rows")
}

fn definition() -> String {
    let options: Vec<String> = (1..=KINDS)
        .map(|kind| format!(r#"{{"Value":{kind},"Label":{}}}"#, label(&format!("Kind {kind}"))))
        .collect();
    let column = |kind: &str, name: &str, rest: &str| {
        format!(
            r#"{{"@odata.type":"Microsoft.Dynamics.CRM.{kind}AttributeMetadata","SchemaName":"bench_{name}","DisplayName":{}{rest}}}"#,
            label(name)
        )
    };
    let columns = [
        column("String", "Name", r#","IsPrimaryName":true,"MaxLength":100"#),
        column("String", "Note", r#","MaxLength":100"#),
        column(
            "Picklist",
            "Kind",
            &format!(
                r#","OptionSet":{{"IsGlobal":false,"OptionSetType":"Picklist","Options":[{}]}}"#,
                options.join(",")
            ),
        ),
        column(
            "Money",
            "Amount",
            r#","Precision":2,"PrecisionSource":0,"MinValue":0,"MaxValue":1000000"#,
        ),
    ];
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"bench_Sale","EntitySetName":"bench_sales","DisplayName":{},"DisplayCollectionName":{},"OwnershipType":"UserOwned","HasActivities":false,"HasNotes":false,"Attributes":[{}]}}"#,
        label("Sale"),
        label("Sales"),
        columns.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_compared_in_hundredths() {
        assert_eq!(hundredths("12.3").unwrap(), 1_230);
        assert_eq!(hundredths("12.3400").unwrap(), 1_234);
        assert_eq!(hundredths("12").unwrap(), 1_200);
        assert!(hundredths("0.001").is_err());
        serde_json::from_str::<serde_json::Value>(&definition()).unwrap();
    }
}
