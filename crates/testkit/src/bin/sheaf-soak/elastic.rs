//! Elastic rows under SIGKILL: what was acknowledged is there after the restart, row by row.
//!
//! In: how many kills. Out: what was sent, killed and found, or the first row that is not as it must be.
//! Not here: whole messages (`load`, `ledger`): an elastic message is no transaction, each row is its own.
//! Invariant: a worker has rows of its own, so that what it was answered last is what they must be; of an
//! unanswered message each row may be as before or as the message says, and what was seen once stays.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use testkit::draw::Draw;
use testkit::http::Api;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{House, WORKERS};

/// The load runs at least and at most this long before a kill.
const KILL_AFTER_MS: std::ops::Range<u64> = 20..500;
/// Rows of one worker that messages are about.
const ROWS: u64 = 1_500;
/// Rows of one message at most.
const ROWS_MAX: u64 = 150;
const PARTITIONS: u64 = 7;

/// A row: its worker and its number there.
type Number = (u64, u64);

/// The values that a row may have; `None`: it is absent.
type States = Vec<Option<u64>>;

/// Kills the service again and again under a load on an elastic table.
pub(crate) async fn soak(house: &House, kills: u32, seed: u64) -> Result<()> {
    let directory = tempfile::Builder::new().prefix("sheaf-soak-").tempdir()?;
    let mut service = house.service("sheaf_soak_elastic", directory.path())?;
    make_table(&Api::new(&service.api())?).await?;
    let mut workers: Vec<Worker> = (0..WORKERS).map(|number| Worker::new(number, seed)).collect();
    let mut draw = Draw::new(seed ^ 0xe1a5);
    let mut rows = 0;
    for kill in 1..=kills {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks: JoinSet<Result<Worker>> = JoinSet::new();
        for mut worker in workers {
            let api = Api::new(&service.api())?;
            let stop = Arc::clone(&stop);
            tasks.spawn(async move {
                worker.run(&api, &stop).await?;
                Ok(worker)
            });
        }
        let span = KILL_AFTER_MS.end - KILL_AFTER_MS.start;
        tokio::time::sleep(Duration::from_millis(KILL_AFTER_MS.start + draw.below(span))).await;
        service.ensure_running()?;
        service.kill()?;
        stop.store(true, Ordering::Relaxed);
        workers = Vec::new();
        while let Some(worker) = tasks.join_next().await {
            workers.push(worker??);
        }
        workers.sort_by_key(|worker| worker.number);
        house.restart(&mut service).await?;
        let found = read(&Api::new(&service.api())?).await?;
        rows = found.len();
        for worker in &mut workers {
            if let Err(error) = worker.settle(&found) {
                let kept = directory.keep();
                let text = format!("after kill {kill}; the data is in {}", kept.display());
                return Err(error.context(text));
            }
        }
    }
    let sum = |of: fn(&Worker) -> u64| workers.iter().map(of).sum::<u64>();
    let (acknowledged, unanswered) =
        (sum(|worker| worker.acknowledged), sum(|worker| worker.unanswered));
    println!(
        "{}: elastic: {kills} kills; {acknowledged} messages acknowledged and every row of them as it was answered, {unanswered} unanswered, {rows} rows",
        house.engine
    );
    ensure!(acknowledged > 0 || kills == 0, "nothing was acknowledged: the load did not run");
    service.stop().context("the last stop, by SIGTERM")
}

/// Every row by its number.
async fn read(api: &Api) -> Result<BTreeMap<Number, u64>> {
    let mut found = BTreeMap::new();
    let path = "soak_pings?$select=soak_worker,soak_number,soak_stamp";
    api.get_pages(path, |rows| {
        for row in rows {
            let number = |name: &str| {
                row.get(name).and_then(Value::as_u64).with_context(|| format!("no {name} in {row}"))
            };
            let place = (number("soak_worker")?, number("soak_number")?);
            let id = id_of(place).to_string();
            ensure!(row["soak_pingid"] == id.as_str(), "{row} should have the id {id}");
            let partition = partition_of(place);
            ensure!(row["partitionid"] == partition.as_str(), "{row} is not in {partition}");
            ensure!(found.insert(place, number("soak_stamp")?).is_none(), "{row} came twice");
        }
        Ok(())
    })
    .await
    .context("reading the rows back")?;
    Ok(found)
}

/// One connection's worth of load, and what its rows may be.
struct Worker {
    number: u64,
    draw: Draw,
    stamp: u64,
    /// The rows that are not certainly absent.
    rows: BTreeMap<u64, States>,
    acknowledged: u64,
    unanswered: u64,
}

impl Worker {
    fn new(number: u64, seed: u64) -> Self {
        let draw = Draw::new(seed ^ (number + 11).wrapping_mul(0x9e37_79b9));
        Self { number, draw, stamp: 0, rows: BTreeMap::new(), acknowledged: 0, unanswered: 0 }
    }

    /// Sends one message after another until it is told to stop or the service is gone.
    async fn run(&mut self, api: &Api, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let message = self.draw_message();
            let path = format!("soak_pings/Microsoft.Dynamics.CRM.{}", message.action);
            let answer = api.post(&path, self.body(&message)).await;
            let is_acknowledged = match &answer {
                Ok(answer) if answer.status == message.status => true,
                Ok(answer) if answer.status >= 500 => false,
                Ok(answer) => {
                    answer.expect(message.status)?;
                    bail!("{}: unexpected answer", message.action);
                }
                Err(_) => false,
            };
            self.note(&message, is_acknowledged);
            if !is_acknowledged {
                return Ok(());
            }
        }
        Ok(())
    }

    /// New rows where none are, changes and deletes of rows that are there. Every state is certain here.
    fn draw_message(&mut self) -> Message {
        self.stamp += 1;
        let first = self.draw.below(ROWS);
        let span = first..(first + 1 + self.draw.below(ROWS_MAX)).min(ROWS);
        let (there, absent): (Vec<u64>, Vec<u64>) =
            span.partition(|number| self.rows.contains_key(number));
        let stamp = Some(self.stamp);
        let of = |action, status, numbers, state| Message { action, status, numbers, state };
        match self.draw.below(6) {
            0 if !there.is_empty() => of("DeleteMultiple", 204, there, None),
            1 | 2 if !there.is_empty() => of("UpdateMultiple", 204, there, stamp),
            3 => of("UpsertMultiple", 204, there.into_iter().chain(absent).collect(), stamp),
            _ if !absent.is_empty() => of("CreateMultiple", 200, absent, stamp),
            _ => of("UpdateMultiple", 204, there, stamp),
        }
    }

    fn body(&self, message: &Message) -> String {
        let mut out = String::from(r#"{"Targets":["#);
        for (index, number) in message.numbers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let place = (self.number, *number);
            let (id, partition) = (id_of(place), partition_of(place));
            let write = write!(
                out,
                r#"{comma}{{"@odata.type":"Microsoft.Dynamics.CRM.soak_ping","soak_pingid":"{id}","partitionid":"{partition}""#
            );
            write.expect("a String takes everything");
            if let Some(stamp) = message.state {
                let worker = self.number;
                let write = write!(
                    out,
                    r#","soak_worker":{worker},"soak_number":{number},"soak_stamp":{stamp},"soak_name":"row {number}""#
                );
                write.expect("a String takes everything");
            }
            out.push('}');
        }
        out.push_str("]}");
        out
    }

    fn note(&mut self, message: &Message, is_acknowledged: bool) {
        *(if is_acknowledged { &mut self.acknowledged } else { &mut self.unanswered }) += 1;
        for number in &message.numbers {
            let states = self.rows.entry(*number).or_insert_with(|| vec![None]);
            if is_acknowledged {
                states.clear();
            }
            states.push(message.state);
            if states.iter().all(Option::is_none) {
                self.rows.remove(number);
            }
        }
    }

    /// Compares with what was found; that is what the rows are from now on.
    fn settle(&mut self, found: &BTreeMap<Number, u64>) -> Result<()> {
        for number in 0..ROWS {
            let seen = found.get(&(self.number, number)).copied();
            let may = self.rows.get(&number).map_or(&[None][..], Vec::as_slice);
            ensure!(
                may.contains(&seen),
                "row {number} of worker {} is {seen:?}; it may be one of {may:?}",
                self.number
            );
            match seen {
                Some(_) => self.rows.insert(number, vec![seen]),
                None => self.rows.remove(&number),
            };
        }
        Ok(())
    }
}

/// One message and what its rows are afterwards.
struct Message {
    action: &'static str,
    status: u16,
    numbers: Vec<u64>,
    state: Option<u64>,
}

fn id_of((worker, number): Number) -> Uuid {
    Uuid::from_u128((u128::from(worker + 1) << 64) | (0b10 << 62) | u128::from(number))
}

fn partition_of((worker, number): Number) -> String {
    format!("p{}", (worker + number) % PARTITIONS)
}

async fn make_table(api: &Api) -> Result<()> {
    let names = ["Worker", "Number", "Stamp"];
    api.post("EntityDefinitions", crate::load::table("soak_Ping", "Elastic", &names))
        .await?
        .expect(204)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_must_be_there_and_what_was_not_may_be() {
        let mut worker = Worker::new(0, 1);
        let message = |state, numbers: &[u64]| Message {
            action: "",
            status: 204,
            numbers: numbers.to_vec(),
            state,
        };
        worker.note(&message(Some(1), &[1, 2, 3]), true);
        worker.note(&message(Some(2), &[2, 3]), false);
        let found =
            |rows: &[(u64, u64)]| rows.iter().map(|(at, stamp)| ((0, *at), *stamp)).collect();
        assert!(worker.settle(&found(&[(2, 1), (3, 2)])).is_err(), "row 1 was answered");
        let mut other = Worker::new(0, 1);
        other.note(&message(Some(1), &[1]), true);
        other.note(&message(None, &[1]), false);
        other.settle(&found(&[(1, 1)])).expect("the delete may have been lost");
        assert!(other.settle(&found(&[])).is_err(), "what was seen once stays");
        worker.settle(&found(&[(1, 1), (2, 1), (3, 2)])).expect("as answered");
    }

    #[test]
    fn messages_name_rows_in_the_state_that_they_need() {
        let mut worker = Worker::new(1, 5);
        for _ in 0..200 {
            let message = worker.draw_message();
            let body: Value = serde_json::from_str(&worker.body(&message)).expect("JSON");
            assert_eq!(body["Targets"].as_array().map(Vec::len), Some(message.numbers.len()));
            let there = |number: &u64| worker.rows.contains_key(number);
            match message.action {
                "CreateMultiple" => assert!(!message.numbers.iter().any(there)),
                "UpsertMultiple" => {}
                _ => assert!(message.numbers.iter().all(there)),
            }
            worker.note(&message, true);
        }
    }
}
