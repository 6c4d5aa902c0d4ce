//! The tables that scenarios play on: made once per service, emptied before each file.
//!
//! In: the files `conformance/fixture/*.http`, played as they are where their table is missing.
//! Not here: any row; each file makes its own.
//! Invariant: only rows of these tables are deleted here, of no other.

use serde_json::Value;

use super::folder::File;
use super::parse::parse;
use super::play::{Client, Outcome, Request, Response};

/// A table of the fixture.
struct Table {
    set: &'static str,
    key: &'static str,
    /// The feature without which it is not there.
    need: Option<&'static str>,
}

/// In the order in which they can be emptied: rows that point to others first. A prefix is put before each.
const TABLES: [Table; 5] = [
    Table { set: "seals", key: "sealid", need: None },
    Table { set: "legs", key: "legid", need: None },
    Table { set: "crates", key: "crateid", need: None },
    Table { set: "ports", key: "portid", need: None },
    Table { set: "pings", key: "pingid", need: Some("elastic") },
];

/// What all names of the fixture begin with, as the files are written.
pub const PREFIX: &str = "ship_";

/// Whether a path below the service root names rows of a fixture table.
pub(super) fn is_ours(path: &str, prefix: &str) -> bool {
    path.starts_with(prefix)
}

/// Makes the tables that are not there. `files` are those of `conformance/fixture`.
///
/// Errors: what the service answered.
pub async fn prepare<S>(
    client: &Client<S>,
    files: &[File],
    features: &[String],
) -> Result<(), String>
where
    S: AsyncFn(Request) -> Result<Response, String>,
{
    for file in files {
        let place = &file.place;
        let scenario =
            parse(&file.text).map_err(|bad| format!("{place}:{}: {}", bad.line, bad.why))?;
        if scenario.needs.iter().any(|need| !features.contains(need)) {
            continue;
        }
        // A fixture file is named by the table that it makes.
        let table = file.stem().replace(PREFIX, &client.prefix);
        let path = format!("EntityDefinitions(LogicalName='{table}')?$select=LogicalName");
        let there = client.plain("GET", &path, "").await?;
        match there.status {
            200 => continue,
            404 => {}
            status => return Err(format!("{path} answered {status}: {}", there.body)),
        }
        if let Outcome::Failed(why) = client.steps(place, &scenario).await {
            return Err(why);
        }
    }
    Ok(())
}

/// Deletes every row of the fixture's tables.
///
/// Errors: what the service answered.
pub async fn wipe<S>(client: &Client<S>, features: &[String]) -> Result<(), String>
where
    S: AsyncFn(Request) -> Result<Response, String>,
{
    for table in &TABLES {
        match table.need {
            None => wipe_standard(client, table).await?,
            Some(need) if features.iter().any(|feature| feature == need) => {
                wipe_elastic(client, table).await?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

async fn rows<S>(client: &Client<S>, path: &str) -> Result<Vec<Value>, String>
where
    S: AsyncFn(Request) -> Result<Response, String>,
{
    let page = client.plain("GET", path, "").await?;
    let mut body: Value = serde_json::from_str(&page.body).unwrap_or_default();
    match body.get_mut("value").map(Value::take) {
        Some(Value::Array(rows)) => Ok(rows),
        _ => Err(format!("{path} answered {}: {}", page.status, page.body)),
    }
}

async fn wipe_standard<S>(client: &Client<S>, table: &Table) -> Result<(), String>
where
    S: AsyncFn(Request) -> Result<Response, String>,
{
    let (set, key) =
        (format!("{}{}", client.prefix, table.set), format!("{}{}", client.prefix, table.key));
    loop {
        let rows = rows(client, &format!("{set}?$select={key}")).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let path = format!("{set}({})", row[&key].as_str().unwrap_or_default());
            let gone = client.plain("DELETE", &path, "").await?;
            if gone.status != 204 && gone.status != 404 {
                return Err(format!("DELETE {path} answered {}: {}", gone.status, gone.body));
            }
        }
    }
}

async fn wipe_elastic<S>(client: &Client<S>, table: &Table) -> Result<(), String>
where
    S: AsyncFn(Request) -> Result<Response, String>,
{
    let (set, key) =
        (format!("{}{}", client.prefix, table.set), format!("{}{}", client.prefix, table.key));
    let kind = format!("Microsoft.Dynamics.CRM.{}", key.trim_end_matches("id"));
    loop {
        let rows = rows(client, &format!("{set}?$select={key},partitionid")).await?;
        if rows.is_empty() {
            return Ok(());
        }
        let targets: Vec<Value> = rows
            .into_iter()
            .map(|row| {
                serde_json::json!({
                    "@odata.type": kind, &key: row[&key], "partitionid": row["partitionid"],
                })
            })
            .collect();
        let path = format!("{set}/Microsoft.Dynamics.CRM.DeleteMultiple");
        let body = serde_json::json!({"Targets": targets}).to_string();
        let gone = client.plain("POST", &path, &body).await?;
        if gone.status != 204 {
            return Err(format!("{path} answered {}: {}", gone.status, gone.body));
        }
    }
}
