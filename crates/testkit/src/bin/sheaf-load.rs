//! The load test: a CSV file of many rows through `sheaf table create`, `sheaf set` and `sheaf get`.
//!
//! In: how many rows, which engine. Out: seconds, the client's peak memory, and success only if the rows
//! that come back are those of the file, in any order, and the client stayed below its memory.
//! Not here: the ways in which single rows can be wrong (the client's own tests).
//! Invariant: the file and what came back are compared as text, cell by cell, by their columns' names.

#![expect(clippy::disallowed_methods, reason = "a load test measures time")]
#![expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]

use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::BufWriter;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use testkit::draw::Draw;
use testkit::postgres::{Cluster, Durability};
use testkit::process::Guarded;
use testkit::service::{Options, Service, Store, find_binary};

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
const HEADERS: [&str; 9] =
    ["Label", "Tracking No", "Weight", "Pieces", "Fragile", "Shipped", "Seen At", "City", "Remark"];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let directory = tempfile::Builder::new().prefix("sheaf-load-").tempdir()?;
    let file = directory.path().join("shipments.csv");
    write_rows(&file, &arguments)?;
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

/// Rows with what CSV files have: leading zeros, exact decimals, dates, quotes, line breaks, empty cells.
fn write_rows(file: &Path, arguments: &Arguments) -> Result<()> {
    let mut draw = Draw::new(arguments.seed);
    let mut out = csv::Writer::from_writer(BufWriter::new(File::create(file)?));
    out.write_record(HEADERS)?;
    for row in 0..arguments.rows {
        let remark = match draw.below(8) {
            0 => format!("said \"{}\", then left", draw.word(6)),
            1 => format!("two\nlines, {}", draw.word(5)),
            2 => format!("Zürich, Łódź, 東京 {}", draw.word(4)),
            3 => String::new(),
            _ => format!("{} {}", draw.word(12), draw.word(9)),
        };
        let day = 1 + draw.below(28);
        out.write_record([
            format!("Crate {row}"),
            format!("{:010}", draw.below(10_000_000_000)),
            format!("{}.{:02}", draw.below(5000), draw.below(100)),
            draw.below(100).to_string(),
            if draw.below(2) == 0 { "false" } else { "true" }.to_owned(),
            format!("2024-{:02}-{day:02}", 1 + draw.below(12)),
            format!(
                "2025-06-{day:02}T{:02}:{:02}:{:02}Z",
                draw.below(24),
                draw.below(60),
                draw.below(60)
            ),
            if draw.below(5) == 0 { String::new() } else { draw.word(8) },
            remark,
        ])?;
    }
    out.flush()?;
    Ok(())
}

/// The same for the same rows in any order.
#[derive(Debug, PartialEq, Eq)]
struct Checksum {
    rows: u64,
    sum: u64,
}

/// Adds up a hash of every row. Columns are taken in the order of [`HEADERS`], wherever they stand; other
/// columns do not count.
fn checksum(file: &Path) -> Result<Checksum> {
    let mut reader = csv::Reader::from_path(file)?;
    let headers = reader.headers()?.clone();
    let places: Vec<usize> = HEADERS
        .iter()
        .map(|wanted| {
            let place = headers.iter().position(|header| header == *wanted);
            place.with_context(|| {
                format!("{} has no column `{wanted}`: {headers:?}", file.display())
            })
        })
        .collect::<Result<_>>()?;
    let mut checksum = Checksum { rows: 0, sum: 0 };
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let mut hasher = DefaultHasher::new();
        for &place in &places {
            record.get(place).hash(&mut hasher);
        }
        checksum.rows += 1;
        checksum.sum = checksum.sum.wrapping_add(hasher.finish());
    }
    Ok(checksum)
}

fn float(number: u64) -> f64 {
    // Exact up to 2^32, far above what is counted here.
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Checksum {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        checksum(file.path()).unwrap()
    }

    #[test]
    fn the_checksum_knows_neither_order_of_rows_nor_of_columns_but_every_cell() {
        let head = HEADERS.join(",");
        let one = of(&format!("{head}\n1,2,3,4,5,6,7,8,9\na,b,c,d,e,f,g,h,i\n"));
        assert_eq!(one, of(&format!("{head}\na,b,c,d,e,f,g,h,i\n1,2,3,4,5,6,7,8,9\n")));
        let turned: Vec<&str> = HEADERS.iter().rev().copied().collect();
        let turned = turned.join(",");
        assert_eq!(one, of(&format!("x,{turned}\n0,9,8,7,6,5,4,3,2,1\n0,i,h,g,f,e,d,c,b,a\n")));
        assert_ne!(one, of(&format!("{head}\n1,2,3,4,5,6,7,8,0\na,b,c,d,e,f,g,h,i\n")));
    }
}
