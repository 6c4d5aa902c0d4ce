//! What bad rows cost: loads of our client in which one row of a thousand is refused, against loads without.
//!
//! In: how many rows. Out: a line for rows with a value that is refused, one for rows whose key is there already.
//! Not here: other ways in which a row can be wrong (the client's own tests).
//! Invariant: both sides of a round load the same number of rows into fresh tables of the same service; all that was
//! refused is what was made to be, each with its own code, message, file and line, and everything else is there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use testkit::draw::Draw;
use testkit::service::{Options, Service, Store, find_binary};

use crate::Arguments;
use crate::report::{self, Line, Sample, Taken};

/// What the lines begin with.
pub(crate) const NAME: &str = "Loads with 0.1 % bad rows";
const ROWS: usize = 1_000_000;
const ROWS_QUICK: usize = 4_000;
/// One row of so many is bad.
const BAD_EVERY: usize = 1_000;
const ROUNDS_MAX: usize = 3;
/// Longer than the column takes; the client leaves that to the service.
const TOO_LONG: usize = 300;
/// What the service answers to it, …
const TOO_LONG_CODE: &str = "0x80044331";
/// … and to an alternate key that is there already.
const DUPLICATE_CODE: &str = "0x80060892";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bad {
    Nothing,
    Value,
    Key,
}

struct Place {
    directory: TempDir,
    service: Service,
    sheaf: PathBuf,
    rows: usize,
    tables: usize,
}

/// Adds the lines that were asked for.
pub(crate) fn measure(arguments: &Arguments, lines: &mut Vec<Line>) -> Result<()> {
    let kinds = [
        (Bad::Value, Line::new(format!("{NAME}, a value is wrong: against none"), Some(0.85))),
        (Bad::Key, Line::new(format!("{NAME}, a key is there already: against none"), Some(0.6))),
    ];
    let wanted: Vec<(Bad, Line)> =
        kinds.into_iter().filter(|(_, line)| arguments.wants(&line.name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut place = Place::prepare(arguments)?;
    for (bad, mut line) in wanted {
        let rounds = if arguments.quick { 1 } else { arguments.rounds.min(ROUNDS_MAX) };
        for round in 0..rounds {
            // Which side comes first changes: a store grows slower while it grows.
            let (ours, other) = if round % 2 == 0 {
                let ours = place.load(bad)?;
                (ours, place.load(Bad::Nothing)?)
            } else {
                let other = place.load(Bad::Nothing)?;
                (place.load(bad)?, other)
            };
            line.samples.push(Sample { rows: place.rows, ours, other });
        }
        println!("{}", report::row(&line));
        lines.push(line);
    }
    Ok(())
}

impl Place {
    fn prepare(arguments: &Arguments) -> Result<Place> {
        let directory = tempfile::Builder::new().prefix("sheaf-bench-bad-").tempdir()?;
        let store = Store::Data(directory.path().join("data"));
        let service = Service::start(Options::new(store, &directory.path().join("service.log"))?)?;
        let rows = if arguments.quick { ROWS_QUICK } else { ROWS };
        let place = Place { directory, service, sheaf: find_binary()?, rows, tables: 0 };
        place.write_files(arguments.seed)?;
        Ok(place)
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn write_files(&self, seed: u64) -> Result<()> {
        const HEAD: &str = "Name,Code,City,Count\n";
        let mut draw = Draw::new(seed);
        let [mut clean, mut value, mut key, mut taken] = [(); 4].map(|()| HEAD.to_owned());
        for row in 0..self.rows {
            let (name, city, count) = (draw.word(14), draw.word(10), draw.below(10_000));
            writeln!(clean, "{name},c{row},{city},{count}")?;
            if row % BAD_EVERY == BAD_EVERY / 2 {
                writeln!(value, "{name},c{row},{},{count}", draw.word(TOO_LONG))?;
                writeln!(key, "{name},taken{row},{city},{count}")?;
                writeln!(taken, "{name},taken{row},{city},{count}")?;
            } else {
                writeln!(value, "{name},c{row},{city},{count}")?;
                writeln!(key, "{name},c{row},{city},{count}")?;
            }
        }
        let files =
            [("clean.csv", clean), ("value.csv", value), ("key.csv", key), ("taken.csv", taken)];
        for (file, text) in files {
            fs::write(self.path(file), text)?;
        }
        Ok(())
    }

    /// Loads a file into a table of its own, into which the keys that are to be there were loaded before.
    fn load(&mut self, bad: Bad) -> Result<Taken> {
        let table = format!("bad_row{}", self.tables);
        self.tables += 1;
        let words = ["table", "create", &table, "--prefix", "bad_", "--key", "Code", "--from"];
        self.sheaf(0, &[&words[..], &[&self.path("clean.csv")]].concat())?;
        self.sheaf(0, &["set", &table, &self.path("taken.csv"), "--create-only"])?;
        let (file, code) = match bad {
            Bad::Nothing => ("clean.csv", 0),
            Bad::Value => ("value.csv", 1),
            Bad::Key => ("key.csv", 1),
        };
        let (path, errors) = (self.path(file), self.path("errors.ndjson"));
        let words = ["set", &table, &path, "--create-only", "-b", "1000", "--errors", &errors];
        let before = report::cpu_of_all_threads(self.service.id())?;
        let started = Instant::now();
        self.sheaf(code, &words)?;
        let wall = started.elapsed();
        let cpu = report::cpu_of_all_threads(self.service.id())?.saturating_sub(before);
        let taken = self.rows / BAD_EVERY;
        let refused = if bad == Bad::Nothing { 0 } else { taken };
        self.check_errors(bad, refused)?;
        let said = self.sheaf(0, &["get", &table, "--count"])?;
        let want = self.rows + taken - refused;
        ensure!(said.trim() == want.to_string(), "`{table}` has {said} rows, not {want}");
        Ok(Taken { wall, cpu: Some(cpu) })
    }

    /// That just the bad rows were told, each once, with its own code, message and line.
    fn check_errors(&self, bad: Bad, refused: usize) -> Result<()> {
        let text = fs::read_to_string(self.path("errors.ndjson"))?;
        let mut rows = BTreeSet::new();
        for line in text.lines() {
            let error: Value = serde_json::from_str(line)?;
            let number = error["line"].as_u64().context("a line")?;
            // The file begins with its header.
            let row = usize::try_from(number)?.checked_sub(2).context("not the header")?;
            let (code, words) = match bad {
                Bad::Nothing => bail!("a row was refused: {error}"),
                Bad::Value => (TOO_LONG_CODE, "bad_city"),
                Bad::Key => (DUPLICATE_CODE, "taken"),
            };
            let says = error["message"].as_str().is_some_and(|message| !message.is_empty());
            ensure!(error["code"] == code && says, "{error}, not {code}");
            ensure!(error.to_string().contains(words), "{error} does not say `{words}`");
            ensure!(row % BAD_EVERY == BAD_EVERY / 2, "row {row} is not bad: {error}");
            ensure!(rows.insert(row), "row {row} was told twice");
        }
        ensure!(rows.len() == refused, "{} rows were refused, not {refused}", rows.len());
        Ok(())
    }

    /// Runs our client, which ends with this code; what it wrote to standard output.
    fn sheaf(&self, code: i32, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.sheaf)
            .args(arguments)
            .env("SHEAF_URL", self.service.url())
            .env_remove("SHEAF_RUNS")
            .stdin(Stdio::null())
            .output()
            .context("could not run `sheaf`")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let line = arguments.join(" ");
        ensure!(output.status.code() == Some(code), "sheaf {line}: {}: {said}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
