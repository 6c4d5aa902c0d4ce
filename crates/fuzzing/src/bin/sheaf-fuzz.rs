//! Gives every parser and a whole service in memory many inputs, by hand: `sheaf-fuzz --cases 100000`.
//!
//! Prints what was taken and what was slow; ends at the first failure. With `--corpus DIR` it writes the
//! requests of `conformance/` as beginnings for cargo-fuzz instead.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;
use fuzzing::run::{self, Inputs, Report};
use fuzzing::seeds::Seeds;
use fuzzing::{READERS, grammar, ground};
use testkit::draw::Draw;
use tokio::runtime::Builder;

/// Requests that one service answers before another one takes its place.
const REQUESTS_PER_GROUND: usize = 500;

/// Random inputs for everything that reads what others send.
#[derive(Parser)]
struct Arguments {
    /// Inputs per parser, and requests.
    #[arg(long, default_value_t = 20_000)]
    cases: usize,
    /// Where the drawing begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this parser, or `request`.
    #[arg(long)]
    only: Option<String>,
    /// Write beginnings for cargo-fuzz below this directory, and do nothing else.
    #[arg(long)]
    corpus: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let seeds = Seeds::read();
    if let Some(directory) = &arguments.corpus {
        return write_corpus(directory, &seeds);
    }
    let is_wanted = |name: &str| arguments.only.as_deref().is_none_or(|only| only == name);
    for reader in READERS.iter().filter(|reader| is_wanted(reader.name)) {
        let report = run::reader(reader, &seeds.of(reader.name), arguments.seed, arguments.cases);
        print(reader.name, &report);
    }
    if is_wanted("request") {
        print("request", &requests(&seeds, arguments.seed, arguments.cases));
    }
    Ok(())
}

fn requests(seeds: &Seeds, seed: u64, cases: usize) -> Report {
    let seeds = seeds.requests();
    let write = |draw: &mut Draw| grammar::write(draw, "request").into_bytes();
    let inputs = Inputs { write: &write, seeds: &seeds };
    let mut draw = Draw::new(seed);
    let mut report = Report::default();
    let mut ground = None;
    for case in 0..cases {
        if case % REQUESTS_PER_GROUND == 0 {
            let runtime = Builder::new_current_thread().build().expect("a runtime starts");
            ground = Some(ground::Ground::new(ground::memory(), runtime));
        }
        let Some(ground) = &ground else { continue };
        let input = inputs.draw(&mut draw);
        if let Err(why) = run::one(&mut report, &input, &|bytes| ground.check(bytes)) {
            panic!("request: case {case} of seed {seed}: {why}\ninput: {}", input.escape_ascii());
        }
    }
    report
}

#[expect(clippy::print_stdout, reason = "a program that is run by hand")]
fn print(name: &str, report: &Report) {
    let Report { cases, taken, slowest, slowest_input } = report;
    let cut: String = slowest_input.escape_ascii().to_string().chars().take(200).collect();
    let length = slowest_input.len();
    println!("{name}: {cases} inputs, {taken} taken; slowest {slowest:?}, {length} bytes: {cut}");
}

fn write_corpus(directory: &Path, seeds: &Seeds) -> Result<()> {
    let write = |name: &str, inputs: Vec<Vec<u8>>| -> Result<()> {
        let directory = directory.join(name);
        fs::create_dir_all(&directory)?;
        for (number, input) in inputs.into_iter().enumerate() {
            let path = directory.join(format!("seed-{number:04}"));
            fs::write(&path, input).with_context(|| path.display().to_string())?;
        }
        Ok(())
    };
    for reader in READERS {
        write(reader.name, seeds.of(reader.name))?;
    }
    write("request", seeds.requests())
}
