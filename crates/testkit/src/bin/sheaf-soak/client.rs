//! The client under everything at once: a service that refuses and loses answers, and a client that is killed.
//!
//! In: rows and kills. Out: success only if the table equals the file by count and checksum once the run has come to its
//! end, with every row told once; and the peak memory of loads of one and of ten sizes.
//! Not here: kills of the service (`main`); rows that are refused (`bench`).
//! Invariant: the client is the built program, called as a user would; `sheaf run resume` is all that goes on.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::draw::Draw;
use testkit::process::Guarded;
use testkit::service::{Service, find_binary};
use testkit::shipments::{checksum, write_rows};

use crate::House;
use crate::faulty::Proxy;

/// How many rows are loaded, and how often the client is killed meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) rows: u64,
    pub(crate) kills: u32,
}

const TABLE: &str = "new_shipment";
/// Rows in a message: small enough that there are many requests to refuse.
const BATCH_SIZE: u64 = 100;
/// How often is looked whether so many requests have come that the client is killed.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// The most memory that a load may use.
const MEMORY_MAX: u64 = 256 * 1024 * 1024;
/// How much more it may be with ten times as many rows, …
const MEMORY_GROWTH_MAX: f64 = 1.10;
/// … where the larger load has so many; …
const ROWS_LONG: u64 = 10_000_000;
/// … a shorter one has hardly filled its buffers before it ends, and only tells growth with every row.
const MEMORY_GROWTH_MAX_SHORT: f64 = 2.0;
/// A peak is what the moment makes it: the smaller file is loaded so often, and the highest counts.
const SMALL_LOADS: usize = 3;

/// Creates rows through a faulty proxy under kills of the client.
pub(crate) async fn soak(house: &House, size: Size, seed: u64) -> Result<()> {
    let directory = tempfile::Builder::new().prefix("sheaf-soak-").tempdir()?;
    let home = directory.path();
    let service = house.service("sheaf_soak_client", home)?;
    let file = home.join("shipments.csv");
    write_rows(&file, size.rows, seed)?;
    let want = checksum(&file)?;
    call(home, service.url(), &words(&["table", "create", TABLE, "--from", "shipments.csv"]))?;
    let proxy = Proxy::start(service.url(), seed).await?;
    let started = Instant::now();
    // What blocks the thread must not be the runtime that relays.
    let looked = tokio::task::block_in_place(|| {
        let kills = run_under_kills(home, &proxy, size, seed)?;
        let report = call(home, proxy.url(), &words(&["run", "report", "soak", "--json"]))?;
        let report: serde_json::Value = serde_json::from_str(&report)?;
        ensure!(report["open"] == 0, "rows have no outcome: {report}");
        let created = report["outcomes"]["created"].as_u64();
        ensure!(created == Some(size.rows), "rows were told otherwise: {report}");
        call(
            home,
            service.url(),
            &words(&["get", TABLE, "-o", "back.csv", "--headers", "as-loaded"]),
        )?;
        let got = checksum(&home.join("back.csv"))?;
        ensure!(got == want, "the table has other rows: {got:?}, not {want:?}");
        Ok(kills)
    });
    let kills = match looked {
        Ok(kills) => kills,
        Err(error) => {
            let kept = directory.keep();
            return Err(error.context(format!("the data is in {}", kept.display())));
        }
    };
    let tally = &proxy.tally;
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{}: {} rows created once each, checksum {:016x}, after {kills} kills of the client: {} requests, {} refused, {} \
         cut after they were carried out; {:.1} s",
        house.engine,
        want.rows,
        want.sum,
        of(&tally.requests),
        of(&tally.refused),
        of(&tally.cut),
        started.elapsed().as_secs_f64()
    );
    service.stop().context("the last stop, by SIGTERM")
}

/// Starts, kills, resumes, and lets the last one come to its end. How many kills met a client at work.
///
/// A client is killed after as many requests as are drawn, at most twice the share of a kill in all that are
/// needed: the kills lie anywhere in the load, however fast the machine is.
fn run_under_kills(home: &Path, proxy: &Proxy, size: Size, seed: u64) -> Result<u32> {
    let mut draw = Draw::new(seed ^ 0x5eed);
    let share = size.rows / BATCH_SIZE / u64::from(size.kills + 1);
    let size_text = BATCH_SIZE.to_string();
    let begin = ["set", TABLE, "shipments.csv", "--create-only", "-b", &size_text, "--run", "soak"];
    let mut arguments = words(&begin);
    let mut met = 0;
    for _ in 0..size.kills {
        let until = proxy.tally.requests.load(Ordering::Relaxed) + draw.below(2 * share) + 1;
        let mut client =
            Guarded::spawn(command(home, proxy.url(), &arguments)?.stderr(Stdio::null()))?;
        while proxy.tally.requests.load(Ordering::Relaxed) < until && client.try_wait()?.is_none() {
            std::thread::sleep(LOOK_EVERY);
        }
        if client.try_wait()?.is_none() {
            client.kill()?;
            met += 1;
        }
        // A client that was killed before it had a run has none to go on with.
        if home.join("runs").join("soak").join("run.json").exists() {
            arguments = words(&["run", "resume", "soak"]);
        }
    }
    ensure!(met * 2 >= size.kills, "only {met} of {} kills met a client at work", size.kills);
    call(home, proxy.url(), &arguments)?;
    Ok(met)
}

/// Loads a file and one of ten times as many rows, and compares the peaks of memory. `rows` are those of the larger.
pub(crate) fn memory(house: &House, rows: u64, seed: u64) -> Result<()> {
    let mut small = 0;
    for _ in 0..SMALL_LOADS {
        small = small.max(peak(house, rows / 10, seed)?);
    }
    let large = peak(house, rows, seed)?;
    let growth = mebibytes(large) / mebibytes(small);
    println!("{}: ten times the rows take {growth:.3} times the memory", house.engine);
    let most = if rows >= ROWS_LONG { MEMORY_GROWTH_MAX } else { MEMORY_GROWTH_MAX_SHORT };
    ensure!(growth <= most, "memory grows with the rows: {small} and {large} bytes");
    Ok(())
}

/// The most memory that the client held while it loaded so many rows into a fresh service.
fn peak(house: &House, rows: u64, seed: u64) -> Result<u64> {
    let directory = tempfile::Builder::new().prefix("sheaf-soak-").tempdir()?;
    let home = directory.path();
    let service = house.service("sheaf_soak_memory", home)?;
    write_rows(&home.join("shipments.csv"), rows, seed)?;
    call(home, service.url(), &words(&["table", "create", TABLE, "--from", "shipments.csv"]))?;
    // Given, not learned: what is learned is another thing each time, and so is the memory in flight.
    let mut load = words(&["set", TABLE, "shipments.csv", "--create-only"]);
    load.extend(words(&["-b", "1000", "-j", "8", "--run", "memory"]));
    let started = Instant::now();
    let mut command = command(home, service.url(), &load)?;
    let (status, peak) = Guarded::spawn(&mut command)?.wait_with_peak_memory()?;
    ensure!(status.success(), "`sheaf set` ended with {status}");
    println!(
        "{}: {rows} rows in {:.1} s, peak memory of the client {:.1} MiB",
        house.engine,
        started.elapsed().as_secs_f64(),
        mebibytes(peak)
    );
    ensure!(peak <= MEMORY_MAX, "the client held {peak} bytes of memory");
    ensure!(counted(home, &service)? == rows, "rows are missing");
    service.stop().context("the last stop, by SIGTERM")?;
    Ok(peak)
}

fn counted(home: &Path, service: &Service) -> Result<u64> {
    let said = call(home, service.url(), &words(&["get", TABLE, "--count"]))?;
    said.trim().parse().with_context(|| format!("a count, not `{said}`"))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

fn command(home: &Path, url: &str, arguments: &[String]) -> Result<Command> {
    let mut command = Command::new(find_binary()?);
    command
        .args(arguments)
        .env("SHEAF_URL", url)
        .env("SHEAF_RUNS", home.join("runs"))
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Ok(command)
}

/// Calls the client to its end; what it wrote to standard output.
fn call(home: &Path, url: &str, arguments: &[String]) -> Result<String> {
    let line = arguments.join(" ");
    let mut command = command(home, url, arguments)?;
    let said = fs::File::create(home.join("said"))?;
    let output = command.stdout(Stdio::piped()).stderr(said).output()?;
    let said = fs::read_to_string(home.join("said"))?;
    ensure!(output.status.success(), "`sheaf {line}` ended with {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
