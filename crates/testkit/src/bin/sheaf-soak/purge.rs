//! Bulk deletes through SIGKILL: the right rows are gone at the end, and the job's row says so.
//!
//! In: which tables, how many rows and kills. Out: what was deleted, killed and counted, how fast the first
//! and the last tenth went, how much memory the service had; or what is wrong.
//! Not here: what a job does when nothing is killed (tests of `jobs` and of the service).
//! Invariant: rows that no query names are seen by every read, before, during and after.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use testkit::http::Api;
use testkit::service::Service;
use uuid::Uuid;

use crate::House;

/// Rows of one message that makes them.
const MADE_AT_ONCE: u64 = 1_000;
/// Of so many rows one stays.
const STAYS_EVERY: u64 = 1_000;
/// Looks for the rows that stay, spread over the deletes: each reads a table.
const READS: u64 = 50;
/// A job that makes no progress for so long hangs.
const PATIENCE: Duration = Duration::from_secs(150);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A table whose rows are deleted.
#[derive(Clone, Copy)]
pub(crate) struct Purged {
    kind: &'static str,
    schema_name: &'static str,
    set: &'static str,
    table: &'static str,
}

pub(crate) const STANDARD: Purged =
    Purged { kind: "Standard", schema_name: "soak_Item", set: "soak_items", table: "soak_item" };
pub(crate) const ELASTIC: Purged =
    Purged { kind: "Elastic", schema_name: "soak_Mote", set: "soak_motes", table: "soak_mote" };

/// How much is deleted, through how many kills.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) rows: u64,
    pub(crate) kills: u64,
}

/// What a look at the job saw.
struct Look {
    successes: u64,
    failures: u64,
    state: u64,
    status: u64,
}

/// A bulk delete of each of these tables.
pub(crate) async fn soak(house: &House, tables: &[Purged], size: Size) -> Result<()> {
    let directory = tempfile::Builder::new().prefix("sheaf-soak-").tempdir()?;
    let mut service = house.service("sheaf_soak_purge", directory.path())?;
    for table in tables {
        let purged = purge(house, &mut service, *table, size).await;
        if let Err(error) = purged {
            let kept = directory.keep();
            let text = format!("{} table; the data is in {}", table.kind, kept.display());
            return Err(error.context(text));
        }
    }
    service.stop().context("the last stop, by SIGTERM")
}

async fn purge(house: &House, service: &mut Service, table: Purged, size: Size) -> Result<()> {
    let Size { rows, kills: kills_wanted } = size;
    let mut api = Api::new(&service.api())?;
    let definition = crate::load::table(table.schema_name, table.kind, &["Number", "Stays"]);
    api.post("EntityDefinitions", definition).await?.expect(204)?;
    make(&api, table, rows).await?;
    let staying: HashSet<Uuid> = (0..rows).filter(|row| stays(*row)).map(id_of).collect();
    let wanted = rows - staying.len() as u64;
    let answer = api.post("BulkDelete", job(table)).await?.expect(200)?;
    let id = answer["JobId"].as_str().context("the job has no id")?.to_owned();
    let started = Instant::now();
    let (mut kills, mut reads, mut memory_mb) = (0, 0, 0);
    let mut last = look(&api, &id).await?;
    let mut moved = Instant::now();
    let mut read_at = 0;
    let mut pace = Pace { wanted, moments: Vec::new() };
    while last.state != 3 {
        let due = (kills + 1) * wanted / (kills_wanted + 1);
        if kills < kills_wanted && last.successes >= due {
            service.ensure_running()?;
            memory_mb = memory_mb.max(peak_memory_mb(service)?);
            service.kill()?;
            kills += 1;
            house.restart(service).await?;
            api = Api::new(&service.api())?;
            (moved, read_at) = (Instant::now(), 0);
        }
        if last.successes >= read_at {
            read_those_that_stay(&api, table, staying.len()).await?;
            (reads, read_at) = (reads + 1, last.successes + wanted / READS);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        let next = look(&api, &id).await?;
        ensure!(
            next.successes >= last.successes && next.failures >= last.failures,
            "a count was taken back: {} after {}",
            next.successes,
            last.successes
        );
        if next.successes > last.successes {
            moved = Instant::now();
        }
        ensure!(moved.elapsed() < PATIENCE, "the job stands still at {}", next.successes);
        pace.note(next.successes, started.elapsed().as_secs_f64());
        last = next;
    }
    memory_mb = memory_mb.max(peak_memory_mb(service)?);
    let took = started.elapsed().as_secs_f64();
    ensure!(last.status == 30, "the job ended with the status {}", last.status);
    ensure!(kills == kills_wanted, "the job was over after {kills} kills: more rows are needed");
    ensure!(
        (last.successes, last.failures) == (wanted, 0),
        "the job counts {} deleted and {} failed of {wanted}",
        last.successes,
        last.failures
    );
    let mut found = HashSet::new();
    let path = format!("{}?$select=soak_number", table.set);
    api.get_pages(&path, |rows| {
        rows.iter().try_for_each(|row| {
            let id = row[format!("{}id", table.table)].as_str().context("a row without an id")?;
            ensure!(found.insert(id.parse::<Uuid>()?), "row {id} came twice");
            Ok(())
        })
    })
    .await?;
    ensure!(found == staying, "{} rows are left, {} should be", found.len(), staying.len());
    println!(
        "{}: bulk delete, {} table: {kills} kills; {wanted} rows deleted and counted, {} stayed and were seen by all of {reads} reads; {took:.1} s{pace}; the service had {memory_mb} MB at most",
        house.engine,
        table.kind.to_lowercase(),
        staying.len()
    );
    Ok(())
}

/// When how many rows were deleted.
struct Pace {
    wanted: u64,
    /// Rows deleted, seconds since the job was made.
    moments: Vec<(u64, f64)>,
}

impl Pace {
    fn note(&mut self, deleted: u64, seconds: f64) {
        if self.moments.last().is_none_or(|(last, _)| deleted > *last) {
            self.moments.push((deleted, seconds));
        }
    }

    /// Seconds between two shares of the rows, in tenths.
    fn seconds(&self, from: u64, to: u64) -> Option<f64> {
        let at = |tenths: u64| {
            let reached = |(deleted, _): &&(u64, f64)| *deleted >= self.wanted * tenths / 10;
            self.moments.iter().find(reached).map(|(_, seconds)| *seconds)
        };
        Some(at(to)? - at(from)?)
    }
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.seconds(1, 3), self.seconds(8, 10)) {
            (Some(early), Some(late)) => {
                write!(
                    f,
                    ", {early:.1} s of them for the second and third tenth, {late:.1} s for the last two"
                )
            }
            _ => Ok(()),
        }
    }
}

/// The most memory that the service had since it was started (`VmHWM`).
fn peak_memory_mb(service: &Service) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id()))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|line| line.trim().strip_suffix("kB"));
    let kilobytes: u64 = kilobytes.context("no VmHWM")?.trim().parse()?;
    Ok(kilobytes / 1_024)
}

fn stays(row: u64) -> bool {
    row % STAYS_EVERY == STAYS_EVERY / 2
}

fn id_of(row: u64) -> Uuid {
    // Scattered, so that the order of making is not that of deleting.
    let high = row.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Uuid::from_u128((u128::from(high) << 64) | (0b10 << 62) | u128::from(row))
}

async fn make(api: &Api, table: Purged, rows: u64) -> Result<()> {
    let path = format!("{}/Microsoft.Dynamics.CRM.CreateMultiple", table.set);
    let mut next = 0;
    while next < rows {
        let end = (next + MADE_AT_ONCE).min(rows);
        let mut body = String::from(r#"{"Targets":["#);
        for row in next..end {
            let comma = if row == next { "" } else { "," };
            let (name, id, stays) = (table.table, id_of(row), u8::from(stays(row)));
            let write = write!(
                body,
                r#"{comma}{{"@odata.type":"Microsoft.Dynamics.CRM.{name}","{name}id":"{id}","soak_number":{row},"soak_stays":{stays}"#
            );
            write.expect("a String takes everything");
            if table.kind == "Elastic" {
                let write = write!(body, r#","partitionid":"p{}""#, row % 11);
                write.expect("a String takes everything");
            }
            body.push('}');
        }
        body.push_str("]}");
        api.post(&path, body).await?.expect(200)?;
        next = end;
    }
    Ok(())
}

fn job(table: Purged) -> String {
    json!({
        "JobName": "Soak", "SendEmailNotification": false, "ToRecipients": [], "CCRecipients": [],
        "RecurrencePattern": "", "QuerySet": [{"EntityName": table.table, "Criteria": {
            "FilterOperator": "And", "Conditions": [{"AttributeName": "soak_stays",
            "Operator": "Equal", "Values": [{"Value": "0", "Type": "System.Int32"}]}]}}],
    })
    .to_string()
}

/// Reads go on while rows are deleted, and see every row that no query names.
async fn read_those_that_stay(api: &Api, table: Purged, count: usize) -> Result<()> {
    let path = format!("{}?$select=soak_number&$filter=soak_stays eq 1", table.set);
    let seen = api.get_pages(&path, |_| Ok(())).await?;
    ensure!(seen == count, "a read saw {seen} of {count} rows that stay");
    Ok(())
}

async fn look(api: &Api, id: &str) -> Result<Look> {
    let path = format!(
        "bulkdeleteoperations?$select=successcount,failurecount,statecode,statuscode&$filter=_asyncoperationid_value eq {id}"
    );
    let answer = api.get(&path).await?.expect(200)?;
    let row = &answer["value"][0];
    let number = |name: &str| row[name].as_u64().with_context(|| format!("no {name} in {answer}"));
    let look = Look {
        successes: number("successcount")?,
        failures: number("failurecount")?,
        state: number("statecode")?,
        status: number("statuscode")?,
    };
    if look.state == 3 && look.status != 30 {
        bail!("the job ended with the status {}: {answer}", look.status);
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_rows_stay_and_all_have_ids_of_their_own() {
        let ids: HashSet<Uuid> = (0..5_000).map(id_of).collect();
        assert_eq!(ids.len(), 5_000);
        assert_eq!((0..5_000).filter(|row| stays(*row)).count(), 5);
    }
}
