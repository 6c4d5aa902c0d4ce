//! `sheaf`: the one binary. Arguments in, the client or the service does the work, an exit code out.
//!
//! Not here: any behaviour of its own; see `client` and `server`.
//! Invariant: data goes to standard output, everything said about it to standard error.

#[cfg(not(feature = "serve"))]
mod absent;
mod args;
mod connection;
#[cfg(feature = "serve")]
mod demo;
mod get;
mod output;
mod plugin;
mod progress;
mod remove;
mod run;
#[cfg(feature = "serve")]
mod serve;
mod set;
mod signal;
mod table;
#[cfg(feature = "serve")]
mod user;

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
            exit_code_of(&err)
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
        Command::Get(args) => get::get(*args).await,
        Command::Remove(args) => remove::remove_with(*args, None).await,
        Command::Run(args) => run::run(args).await,
        Command::Table(args) => table::table(args).await,
        Command::Plugin(args) => plugin::plugin(args).await,
        Command::User(args) => user(args).await,
    }
}

/// A wrong call is 2, a refused caller 3, anything else that fails the run as a whole 7.
fn exit_code_of(err: &anyhow::Error) -> u8 {
    use client::{get, infer, registration, remove, service, set, source};
    fn of_service(err: &service::Error) -> u8 {
        match err {
            service::Error::NoTable { .. } => USAGE,
            service::Error::Refused { problem, .. } => match problem.class {
                client::problem::Class::Access => 3,
                _ => 1,
            },
            service::Error::Unreachable(_) | service::Error::Unreadable { .. } => 7,
        }
    }
    fn of_source(err: &source::Error) -> u8 {
        match err {
            source::Error::Open { .. }
            | source::Error::NoHeaders
            | source::Error::RepeatedHeader(_) => USAGE,
            source::Error::Read { .. } => 7,
        }
    }
    fn of_run(err: &client::run::Error) -> u8 {
        use client::run::Error;
        match err {
            Error::BadName(_) | Error::Exists(_) | Error::Missing(_) | Error::Busy(_) => USAGE,
            Error::Changed { .. } => USAGE,
            Error::File { .. } | Error::Unreadable { .. } => 7,
        }
    }
    for cause in err.chain() {
        if let Some(err) = cause.downcast_ref() {
            return of_run(err);
        }
        if cause.is::<args::Usage>() || cause.is::<infer::Error>() {
            return USAGE;
        }
        if let Some(err) = cause.downcast_ref() {
            return of_service(err);
        }
        if let Some(err) = cause.downcast_ref() {
            return of_source(err);
        }
        match cause.downcast_ref() {
            Some(registration::Error::Service(err)) => return of_service(err),
            Some(
                registration::Error::Missing { .. }
                | registration::Error::Several { .. }
                | registration::Error::Orphans(_),
            ) => return USAGE,
            None => {}
        }
        match cause.downcast_ref() {
            Some(set::Error::Service(err)) => return of_service(err),
            Some(set::Error::Source(err)) => return of_source(err),
            Some(set::Error::Headers(_) | set::Error::Wish(_)) => return USAGE,
            Some(set::Error::Report(_) | set::Error::Reader(_)) | None => {}
        }
        match cause.downcast_ref() {
            Some(get::Error::Service(err)) => return of_service(err),
            Some(get::Error::Source(err)) => return of_source(err),
            Some(
                get::Error::NoColumn { .. }
                | get::Error::Wish(_)
                | get::Error::Match(_)
                | get::Error::Headers(_),
            ) => return USAGE,
            Some(
                get::Error::TooMany(_)
                | get::Error::Page(_)
                | get::Error::Write(_)
                | get::Error::Writer(_),
            )
            | None => {}
        }
        match cause.downcast_ref() {
            Some(remove::Error::Service(err)) => return of_service(err),
            Some(remove::Error::Source(err)) => return of_source(err),
            Some(
                remove::Error::NoIdColumn(_) | remove::Error::Match(_) | remove::Error::Headers(_),
            ) => return USAGE,
            Some(remove::Error::Get(get::Error::Service(err))) => return of_service(err),
            Some(remove::Error::Get(get::Error::Wish(_))) => return USAGE,
            Some(remove::Error::Get(_) | remove::Error::Report(_) | remove::Error::Reader(_))
            | None => {}
        }
    }
    7
}
