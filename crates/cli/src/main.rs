//! `sheaf`: the one binary. Arguments in, the client or the service does the work, an exit code out.
//!
//! Not here: any behaviour of its own; see `client` and `server`.
//! Invariant: data goes to standard output, everything said about it to standard error.

#[cfg(not(feature = "serve"))]
mod absent;
mod args;
mod auth;
mod bench;
mod confirm;
mod connection;
#[cfg(feature = "serve")]
mod demo;
mod exit;
mod get;
mod load;
mod manual;
mod output;
mod parallel;
mod plugin;
mod progress;
mod remove;
mod run;
#[cfg(feature = "serve")]
mod serve;
mod set;
mod signal;
mod stats;
mod table;
#[cfg(feature = "serve")]
mod user;
mod verbose;

#[cfg(not(feature = "serve"))]
use absent::{demo, serve, user};

use args::{Command, Sheaf};
use clap::Parser;
#[cfg(feature = "serve")]
use demo::demo;
#[cfg(feature = "serve")]
use serve::serve;
use std::process::ExitCode;
#[cfg(feature = "serve")]
use user::user;

/// Half again as fast as the system's at the many small texts of a load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is wrong with the call itself.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let sheaf = match Sheaf::try_parse() {
        Ok(sheaf) => sheaf,
        Err(err) => {
            let is_help = !err.use_stderr();
            // Nothing can be said where even printing fails.
            drop(err.print());
            return ExitCode::from(if is_help { 0 } else { USAGE });
        }
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("SHEAF_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(err) => {
            output::note(&format!("sheaf: cannot start: {err}"));
            return ExitCode::from(7);
        }
    };
    let code = match runtime.block_on(run(sheaf.command)) {
        Ok(code) => code,
        Err(err) => {
            output::note(&format!("sheaf: {err:#}"));
            exit::code_of(&err)
        }
    };
    // A reader may hang on a terminal or pipe that gives nothing more.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn run(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Serve(args) => serve(args).await,
        Command::Demo(args) => demo(args).await,
        Command::Set(args) => set::set_with(*args, None).await,
        Command::Load(args) => Box::pin(load::load_with(*args, None)).await,
        Command::Get(args) => get::get(*args).await,
        Command::Remove(args) => remove::remove_with(*args, None).await,
        Command::Parallel(args) => parallel::parallel(*args).await,
        Command::Run(args) => run::run(args).await,
        Command::Bench(args) => bench::bench(*args).await,
        Command::Table(args) => table::table(args).await,
        Command::Plugin(args) => plugin::plugin(args).await,
        Command::Auth(args) => auth::auth(args).await,
        Command::User(args) => user(args).await,
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    }
}
