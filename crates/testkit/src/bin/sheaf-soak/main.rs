//! The crash test: kills the service under a bulk load and looks for lost or half-written messages; then
//! under a load on an elastic table, for lost rows; then in the middle of bulk deletes. At last the client is killed, behind a
//! proxy that refuses and loses answers, and its memory is looked at.
//!
//! In: how many kills, how many rows, which engine, a seed. Out: what was sent, killed and found; failure
//! with the first thing that is wrong, its seed and where the data lies.
//! Not here: what a message promises when nothing is killed (the conformance suites).
//! Invariant: after every restart each acknowledged message is whole, and every other one is whole or
//! absent.

#![expect(clippy::disallowed_methods, reason = "a crash test runs in real time")]
#![expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]

mod client;
mod elastic;
mod faulty;
mod ledger;
mod load;
mod purge;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use testkit::draw::Draw;
use testkit::http::Api;
use testkit::postgres::{Cluster, Durability};
use testkit::service::{Options, Service, Store};
use tokio::task::JoinSet;

use crate::ledger::Ledger;
use crate::load::Worker;

/// Kills the service with SIGKILL at random moments under a bulk load, restarts it and checks its rows.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Kills on each engine.
    #[arg(long, default_value_t = 100)]
    kills: u32,
    /// Rows of each table that a bulk delete is about; 0 leaves bulk deletes out.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Rows that the client creates while it is killed.
    #[arg(long, default_value_t = 1_000_000)]
    load_rows: u64,
    /// Kills of the client meanwhile.
    #[arg(long, default_value_t = 20)]
    load_kills: u32,
    /// Rows of the larger of two files whose loads are compared by their memory.
    #[arg(long, default_value_t = 10_000_000)]
    memory_rows: u64,
    /// Which engines.
    #[arg(long, value_enum, default_value = "both")]
    engine: Engines,
    /// Only these parts, separated by commas; all where none is named.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Kills in the middle of each bulk delete.
    #[arg(long, default_value_t = 5)]
    delete_kills: u64,
    /// Repeats the draws of a run; the moments of the kills are never quite the same.
    #[arg(long)]
    seed: Option<u64>,
    /// On PostgreSQL, kills the whole database server instead of the service every fifth time.
    #[arg(long)]
    engine_kills: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engines {
    Sqlite,
    Postgres,
    Both,
}

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A load on a standard table.
    Standard,
    /// A load on an elastic table.
    Elastic,
    /// A bulk delete of a standard table.
    DeleteStandard,
    /// A bulk delete of an elastic table.
    DeleteElastic,
    /// The client, in the middle of a load through a faulty proxy.
    Client,
    /// Nobody: the client's memory, on SQLite.
    Memory,
}

impl Arguments {
    fn has(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

/// Connections that send at once.
const WORKERS: u64 = 4;
/// The load runs at least and at most this long before a kill.
const KILL_AFTER_MS: std::ops::Range<u64> = 20..900;
/// All rows are read and compared after so many kills, and at the end; else only those of messages
/// that were touched since the last look.
const FULL_LOOK_EVERY: u32 = 20;
const ENGINE_KILL_EVERY: u32 = 5;
/// What the service is given to answer again after its database server came back.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let seed = arguments.seed.unwrap_or(u64::from(clock.subsec_nanos()));
    println!("seed {seed}");
    if matches!(arguments.engine, Engines::Sqlite | Engines::Both) {
        let mut house = House { engine: "SQLite", cluster: None };
        house.all(&arguments, seed).await.with_context(|| format!("SQLite, seed {seed}"))?;
    }
    if matches!(arguments.engine, Engines::Postgres | Engines::Both) {
        let cluster = Some(Cluster::start_own(Durability::Disk)?);
        let mut house = House { engine: "PostgreSQL", cluster };
        house.all(&arguments, seed).await.with_context(|| format!("PostgreSQL, seed {seed}"))?;
    }
    Ok(())
}

/// Where services keep their rows.
struct House {
    engine: &'static str,
    cluster: Option<Cluster>,
}

impl House {
    async fn all(&mut self, arguments: &Arguments, seed: u64) -> Result<()> {
        if arguments.has(Part::Standard) {
            soak(arguments, seed, self).await?;
        }
        if arguments.has(Part::Elastic) {
            elastic::soak(self, arguments.kills, seed).await.context("elastic rows")?;
        }
        let tables =
            [(Part::DeleteStandard, purge::STANDARD), (Part::DeleteElastic, purge::ELASTIC)];
        let tables = tables.into_iter().filter(|(part, _)| arguments.has(*part));
        let tables: Vec<_> = tables.map(|(_, table)| table).collect();
        if arguments.rows > 0 && !tables.is_empty() {
            let (rows, kills) = (arguments.rows, arguments.delete_kills);
            purge::soak(self, &tables, purge::Size { rows, kills })
                .await
                .context("bulk deletes")?;
        }
        if arguments.has(Part::Client) {
            let size = client::Size { rows: arguments.load_rows, kills: arguments.load_kills };
            client::soak(self, size, seed).await.context("the client")?;
        }
        // What the client holds does not depend on the engine.
        if arguments.has(Part::Memory) && self.cluster.is_none() {
            client::memory(self, arguments.memory_rows, seed).context("the client's memory")?;
        }
        Ok(())
    }

    /// A fresh service. Its name lets it take back at once what it had when it was killed.
    fn service(&self, name: &str, directory: &Path) -> Result<Service> {
        let store = match &self.cluster {
            None => Store::Data(directory.join("data")),
            Some(cluster) => Store::Postgres(cluster.create_database(name)?),
        };
        let mut options = Options::new(store, &directory.join("service.log"))?;
        options.arguments = ["--node", "soak"].map(str::to_owned).to_vec();
        Service::start(options)
    }

    async fn restart(&self, service: &mut Service) -> Result<()> {
        if let Some(cluster) = &self.cluster {
            wait_until_alone(cluster).await?;
        }
        service.restart()
    }
}

async fn soak(arguments: &Arguments, seed: u64, house: &mut House) -> Result<()> {
    let directory = tempfile::Builder::new().prefix("sheaf-soak-").tempdir()?;
    let engine = house.engine;
    let mut service = house.service("sheaf_soak", directory.path())?;
    load::make_table(&Api::new(&service.api())?).await?;
    let mut workers: Vec<Worker> =
        (0..WORKERS).map(|number| Worker::new(number, WORKERS, seed)).collect();
    let mut draw = Draw::new(seed);
    let mut ledger = Ledger::default();
    let mut tally = Tally::default();
    for kill in 1..=arguments.kills {
        let kills_engine =
            arguments.engine_kills && house.cluster.is_some() && kill % ENGINE_KILL_EVERY == 0;
        let span = KILL_AFTER_MS.end - KILL_AFTER_MS.start;
        let moment = Duration::from_millis(KILL_AFTER_MS.start + draw.below(span));
        let running = Running::start(&service, workers)?;
        tokio::time::sleep(moment).await;
        service.ensure_running()?;
        if kills_engine {
            house.cluster.as_mut().context("an engine to kill")?.crash_and_restart()?;
        } else {
            service.kill()?;
        }
        workers = running.stop().await?;
        let started = Instant::now();
        if kills_engine {
            wait_until_it_answers(&service).await?;
        } else {
            house.restart(&mut service).await?;
        }
        tally.slowest_start = tally.slowest_start.max(started.elapsed());
        let is_full = kill % FULL_LOOK_EVERY == 0 || kill == arguments.kills;
        for worker in &mut workers {
            ledger.take(worker.finished());
        }
        let looked = ledger.check(&Api::new(&service.api())?, is_full).await;
        if let Err(error) = looked {
            let kept = directory.keep();
            return Err(
                error.context(format!("after kill {kill}; the data is in {}", kept.display()))
            );
        }
        tally.kills += 1;
        if kill % 10 == 0 || kill == arguments.kills {
            println!("{engine}: {} kills; {}; {tally}", tally.kills, ledger.summary());
        }
    }
    service.stop().context("the last stop, by SIGTERM")?;
    Ok(())
}

/// Workers at work.
struct Running {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<Worker>>,
}

impl Running {
    fn start(service: &Service, workers: Vec<Worker>) -> Result<Running> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for mut worker in workers {
            // A client of its own, so a connection of its own.
            let api = Api::new(&service.api())?;
            let stop = Arc::clone(&stop);
            tasks.spawn(async move {
                worker.run(&api, &stop).await?;
                Ok(worker)
            });
        }
        Ok(Running { stop, tasks })
    }

    async fn stop(mut self) -> Result<Vec<Worker>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut workers = Vec::new();
        while let Some(worker) = self.tasks.join_next().await {
            workers.push(worker??);
        }
        workers.sort_by_key(|worker| worker.number);
        Ok(workers)
    }
}

/// A killed service's last transactions may still be running inside PostgreSQL.
async fn wait_until_alone(cluster: &Cluster) -> Result<()> {
    let others = "SELECT count(*) FROM pg_stat_activity \
                  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    for _ in 0..600 {
        if cluster.sql("postgres", others)? == "0" {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("transactions of the killed service are still open after 30 s")
}

async fn wait_until_it_answers(service: &Service) -> Result<()> {
    let api = Api::new(&service.api())?;
    let deadline = Instant::now() + RECOVERY_PATIENCE;
    loop {
        match api.get("soak_rows?$top=1").await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            _ if Instant::now() > deadline => {
                bail!("the service does not recover from a restart of its database server")
            }
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    slowest_start: Duration,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "slowest start {:.2} s", self.slowest_start.as_secs_f64())
    }
}
