//! The load test: a CSV file of many rows through `sheaf table create`, `sheaf set` and `sheaf get`.
//!
//! In: how many rows, which engine. Out: seconds, the client's peak memory, and success only if the rows
//! that come back are those of the file, in any order, and the client stayed below its memory.
//! Not here: the ways in which single rows can be wrong (the client's own tests).
//! Invariant: the file and what came back are the same rows (`shipments`).

#![expect(clippy::disallowed_methods, reason = "a load test measures time")]
#![expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use testkit::postgres::{Cluster, Durability};
use testkit::process::Guarded;
use testkit::service::{Options, Service, Store, find_binary};
use testkit::shipments::{Checksum, checksum, write_rows};

/// Loads rows from a CSV file into a fresh service and reads them back.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Rows of the file.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Which engines.
    #[arg(long, value_enum, default_value = "both")]
    engine: Engines,
    /// What the rows are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engines {
    Sqlite,
    Postgres,
    Both,
}

const CLIENT_MEMORY_MAX: u64 = 200 * 1024 * 1024;
const TABLE: &str = "new_shipment";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let directory = tempfile::Builder::new().prefix("sheaf-load-").tempdir()?;
    let file = directory.path().join("shipments.csv");
    write_rows(&file, arguments.rows, arguments.seed)?;
    let want = checksum(&file)?;
    let bytes = file.metadata()?.len();
    println!("{} rows, {} MB, checksum {:016x}", want.rows, bytes / 1_000_000, want.sum);
    if matches!(arguments.engine, Engines::Sqlite | Engines::Both) {
        let store = Store::Data(directory.path().join("data"));
        load("SQLite", store, directory.path(), &file, &want).context("SQLite")?;
    }
    if matches!(arguments.engine, Engines::Postgres | Engines::Both) {
        let cluster = Cluster::start_own(Durability::Disk)?;
        let store = Store::Postgres(cluster.create_database("sheaf_load")?);
        load("PostgreSQL", store, directory.path(), &file, &want).context("PostgreSQL")?;
    }
    Ok(())
}

fn load(engine: &str, store: Store, directory: &Path, file: &Path, want: &Checksum) -> Result<()> {
    let service = Service::start(Options::new(store, &directory.join("service.log"))?)?;
    let back = directory.join("back.csv");
    let path = |path: &Path| path.display().to_string();
    let steps: [(&str, Vec<String>); 3] = [
        (
            "table create",
            ["table", "create", TABLE, "--from", &path(file)].map(str::to_owned).to_vec(),
        ),
        ("set", ["set", TABLE, &path(file), "--create-only"].map(str::to_owned).to_vec()),
        (
            "get",
            ["get", TABLE, "-o", &path(&back), "--headers", "as-loaded"]
                .map(str::to_owned)
                .to_vec(),
        ),
    ];
    for (name, arguments) in steps {
        let started = Instant::now();
        let peak = run_client(&service, &arguments).with_context(|| format!("sheaf {name}"))?;
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{engine}: sheaf {name}: {seconds:.1} s, {:.0} rows/s, peak memory {:.0} MB",
            float(want.rows) / seconds,
            float(peak) / 1e6
        );
        ensure!(peak < CLIENT_MEMORY_MAX, "`sheaf {name}` held {peak} bytes of memory");
    }
    let got = checksum(&back)?;
    ensure!(got == *want, "the rows that came back are others: {got:?}, not {want:?}");
    println!("{engine}: {} rows came back equal, checksum {:016x}", got.rows, got.sum);
    service.stop().context("the last stop, by SIGTERM")
}

/// Runs a client verb to its end and returns its peak memory.
fn run_client(service: &Service, arguments: &[String]) -> Result<u64> {
    let mut command = Command::new(find_binary()?);
    command.args(arguments).args(["--url", service.url()]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let (status, peak) = Guarded::spawn(&mut command)?.wait_with_peak_memory()?;
    ensure!(status.success(), "`sheaf {}` ended with {status}", arguments.join(" "));
    Ok(peak)
}

fn float(number: u64) -> f64 {
    // Exact up to 2^32, far above what is counted here.
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
