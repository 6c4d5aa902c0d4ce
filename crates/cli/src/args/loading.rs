//! What `sheaf load` takes.

use super::{CallArgs, CareArgs, Connection, Keep, Look, Pace, setting};
use clap::Args;
use client::controller::Setting;
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// Directory whose files are named after their tables (`airports.csv.gz`), or a manifest: a JSON
    /// file `{"tables": [{"table": …, "file": …, "options": ["--match-on", …]}]}` with options of
    /// `sheaf set`, and files beside it
    #[arg(value_name = "DIR|MANIFEST")]
    pub(crate) from: PathBuf,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) look: Look,
    /// Rows in a message: 1 to 1000 (1 sends single requests), or auto (learned, from 100 on)
    #[arg(short, long, default_value = "auto", value_name = "N|auto", value_parser = setting)]
    pub(crate) batch_size: Setting,
    #[command(flatten)]
    pub(crate) pace: Pace,
    #[command(flatten)]
    pub(crate) care: CareArgs,
    #[command(flatten)]
    pub(crate) call: CallArgs,
    /// Writes rejected rows into DIR, in files named as the inputs, with the reasons
    #[arg(long, value_name = "DIR")]
    pub(crate) rejects: Option<PathBuf>,
    /// Writes everything known about failed rows into DIR, as NDJSON files
    #[arg(long, value_name = "DIR")]
    pub(crate) errors: Option<PathBuf>,
    /// Writes what each pass over a file cost into DIR, as JSON files; `-` says it for people on
    /// standard error
    #[arg(long, value_name = "DIR")]
    pub(crate) stats: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keep: Keep,
    /// Goes on with the load that was kept with --run
    #[arg(long, requires = "run")]
    pub(crate) resume: bool,
    /// Reads and checks everything, and writes nothing; names of records that the load itself would
    /// bring are taken as good
    #[arg(short = 'n', long)]
    pub(crate) what_if: bool,
}
