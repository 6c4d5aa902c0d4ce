//! The service against the bare engines, and our client against others, side by side in one run.
//!
//! In: which lines to measure and how long. Out: a table in Markdown: what is measured, the median ratio
//! with its spread, the target beside it. `RESULTS.md` keeps runs and describes the method.
//! Not here: absolute claims; the only numbers that mean anything are ratios of one run.
//! Invariant: the bare side stores the very rows that the service stored, in a table and indexes copied
//! from the service's own database, and reads from that database itself.

#![expect(clippy::disallowed_methods, reason = "a bench measures time")]
#![expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]

mod aggregates;
mod bad_rows;
mod bare;
mod bare_postgres;
mod bare_read;
mod bare_sqlite;
mod bulk;
mod definitions;
mod elastic;
mod elastic_service;
mod latency;
mod limits;
mod pages;
mod peers;
mod plugins;
mod report;
mod rows;
mod service;
mod singles;
mod tokens;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::report::Line;

/// Measures the service against the bare engines in alternating rounds.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Measured rounds of each line; one more runs first and is not counted.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Few rounds on small tables: to see that everything runs.
    #[arg(long)]
    quick: bool,
    /// Only the lines whose name contains one of these, e.g. `--only sqlite --only single`.
    #[arg(long)]
    only: Vec<String>,
    /// Only one engine, or only those of standard tables.
    #[arg(long, value_enum, default_value = "all")]
    engine: Engines,
    /// Rows in each table before its first round.
    #[arg(long, default_value_t = 100_000)]
    preload: usize,
    /// Where the answers come from when something draws a number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engines {
    Sqlite,
    Postgres,
    /// The LSM of elastic tables.
    Elastic,
    /// SQLite and PostgreSQL.
    Both,
    All,
}

/// One engine and how hard it is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
        }
    }
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.only.is_empty() || self.only.iter().any(|part| name.contains(&part.to_lowercase()))
    }

    fn wants_engine(&self, engine: Engine) -> bool {
        matches!(
            (self.engine, engine),
            (Engines::Both | Engines::All, _)
                | (Engines::Sqlite, Engine::Sqlite)
                | (Engines::Postgres, Engine::Postgres)
        )
    }

    fn wants_elastic(&self) -> bool {
        matches!(self.engine, Engines::Elastic | Engines::All)
    }

    fn quickened(mut self) -> Arguments {
        if self.quick {
            self.rounds = self.rounds.min(2);
            self.preload = self.preload.min(2_000);
        }
        self
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse().quickened();
    report::print_head(&arguments);
    let mut lines: Vec<Line> = Vec::new();
    for engine in [Engine::Sqlite, Engine::Postgres] {
        if arguments.wants_engine(engine) {
            let place = service::Place::prepare(engine).await?;
            bulk::measure(&arguments, &place, &mut lines).await?;
            singles::measure(&arguments, &place, &mut lines).await?;
            pages::measure(&arguments, &place, &mut lines).await?;
            aggregates::measure(&arguments, &place, &mut lines).await?;
        }
    }
    if arguments.wants_engine(Engine::Sqlite) {
        // None of them is about an engine.
        definitions::measure(&arguments, &mut lines).await?;
        tokens::measure(&arguments, &mut lines).await?;
        plugins::measure(&arguments, &mut lines).await?;
        tokio::task::block_in_place(|| bad_rows::measure(&arguments, &mut lines))?;
        peers::measure(&arguments, &mut lines).await?;
    }
    if arguments.wants_elastic() {
        elastic::measure(&arguments, &mut lines).await?;
        elastic_service::measure(&arguments, &mut lines).await?;
    }
    report::print_table(&lines);
    if arguments.wants(limits::NAME) {
        limits::measure();
    }
    Ok(())
}
