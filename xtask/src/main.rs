//! The house's own commands: `cargo xtask <command>`.
//!
//! In: arguments. Out: checks of the house's rules ([`tidy`], [`layers`]), the one gate ([`gate`]), and
//! engines and long programs built and started for a developer ([`programs`]),
//! released clients against the service ([`clients`]), and a real data set through it ([`flights`]).
//! Not here: what those programs do (crates `testkit` and `bench`).
//! Invariant: depends on nothing of the house and on little else, so that it builds in seconds.

#![expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]

mod clients;
mod flights;
mod gate;
mod layers;
mod programs;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  tidy                 the house's rules: layers, file sizes and headers, names, changelog fragments
  ci [STAGE…]          the whole gate, what CI runs, on any machine; or only the named stages of it
  soak [OPTIONS]       kills the service under a bulk load and looks for lost or half-written messages; then kills
                       the client behind a proxy that refuses and loses answers; then compares its memory
                       --kills N (100), --rows N (1000000), --load-rows N (1000000), --load-kills N (20),
                       --memory-rows N (10000000), --engine sqlite|postgres|both, --only client,memory,…,
                       --seed S, --engine-kills
  load [OPTIONS]       rows from a CSV file into a table and back, checksum and client memory
                       --rows N (1000000), --engine sqlite|postgres|both
  flights [OPTIONS]    a real data set of four tables through one `sheaf load`, twice, every record compared
                       --rows N (all 336,776); SHEAF_BINARY names a built service to use
  bench [OPTIONS]      the service against the bare engines, the client against others, in one run (--help lists the options)
  play URL [OPTIONS] [FILTER]
                       the scenarios of conformance/ over HTTP against a running service
                       --token T, --features batch,elastic,…, --prefix ship_
  clients [NAME…]      released clients of the Web API, unmodified, against a fresh service each;
                       SHEAF_BINARY names a built service to use
  pg -- COMMAND        starts PostgreSQL and runs COMMAND with SHEAF_TEST_POSTGRES set
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<ExitCode> {
    let house = House::find()?;
    let (command, rest) = arguments.split_first().map_or(("", arguments), |(c, rest)| (c, rest));
    match command {
        "tidy" => tidy::run(&house.root)?,
        "ci" => return gate::run(&house, rest),
        "soak" => programs::soak(&house, rest)?,
        "load" => programs::load(&house, rest)?,
        "flights" => flights::run(&house, rest)?,
        "bench" => programs::bench(&house, rest)?,
        "play" => programs::play(&house, rest)?,
        "clients" => clients::run(&house, rest)?,
        "pg" => programs::with_postgres(&house, rest)?,
        "" | "help" | "-h" | "--help" => println!("{USAGE}"),
        unknown => {
            println!("xtask: there is no command `{unknown}`\n\n{USAGE}");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the sources and the build's results are.
struct House {
    root: PathBuf,
    target: PathBuf,
}

impl House {
    fn find() -> Result<House> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask lies in the root of the house")?
            .to_path_buf();
        // `target/release/xtask`: the build directory of whoever built us is the one to use.
        let own = std::env::current_exe()?;
        let target = own.ancestors().nth(2).context("xtask was not built by cargo")?.to_path_buf();
        Ok(House { root, target })
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// A program that `cargo build --profile` has made. The profile `dev` lies in `debug`.
    fn program(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }
}

/// Runs a command to its end, its output straight to ours.
fn run_command(command: &mut Command) -> Result<()> {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let line = words.join(" ");
    println!("$ {line}");
    let status = command.status().with_context(|| format!("could not run `{line}`"))?;
    ensure!(status.success(), "`{line}` ended with {status}");
    Ok(())
}
