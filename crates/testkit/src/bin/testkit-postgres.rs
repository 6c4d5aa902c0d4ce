//! Runs a command while a PostgreSQL of our own is up: `testkit-postgres -- COMMAND`.
//!
//! In: the command. Out: its exit code; it finds the server in `SHEAF_TEST_POSTGRES`.
//! `testkit-postgres --find` only tells where PostgreSQL's programs are, or fails.
//! Invariant: the server is gone when the command is.

#![expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use testkit::postgres::{self, Cluster, Durability, SERVER_VARIABLE};

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [find] if find == "--find" => {
            println!("PostgreSQL: {}", postgres::find_binaries()?.display());
            Ok(ExitCode::SUCCESS)
        }
        [dashes, program, rest @ ..] if dashes == "--" => {
            let cluster = Cluster::start_own(Durability::Process)?;
            println!("{SERVER_VARIABLE}={}", cluster.server_url());
            let status = Command::new(program)
                .args(rest)
                .env(SERVER_VARIABLE, cluster.server_url())
                .status()
                .with_context(|| format!("could not run `{program}`"))?;
            let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            Ok(ExitCode::from(code))
        }
        _ => bail!("usage: testkit-postgres --find | testkit-postgres -- COMMAND"),
    }
}
