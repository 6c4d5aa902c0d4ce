//! What `sheaf remove` takes.

use super::{CallArgs, CareArgs, Connection, Format, Keep, Look, Pace, VerboseArgs, setting};
use clap::{Args, ValueEnum};
use client::controller::Setting;
use model::Uuid;
use std::path::PathBuf;

/// How rows to delete travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Via {
    Auto,
    Batch,
    Multiple,
    Job,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Table: logical name, the same without its prefix, entity set or display name
    pub(crate) table: String,
    /// CSV, NDJSON, JSON or Parquet with the column `Id` or the primary key, for elastic tables also `partitionid`,
    /// or lines that are ids, or rows that are matched by --match-on; `-` is standard input
    #[arg(
        value_name = "FILE",
        required_unless_present_any = ["filter", "id"],
        conflicts_with_all = ["filter", "id"]
    )]
    pub(crate) file: Option<PathBuf>,
    /// Primary keys of the rows to delete, several times if wished
    #[arg(long, value_name = "GUID", value_delimiter = ',', conflicts_with = "filter")]
    pub(crate) id: Vec<Uuid>,
    /// Deletes every row that a filter names: an OData `$filter`, or a JSON object as `sheaf get` takes it
    #[arg(long, value_name = "JSON|EXPR")]
    pub(crate) filter: Option<String>,
    /// Columns that rows are matched by, in several lists if wished: the first that finds something
    /// counts. A row's primary key goes before them
    #[arg(long, value_name = "a,b", conflicts_with_all = ["filter", "id"])]
    pub(crate) match_on: Vec<String>,
    /// Deletes every record that a row matches, instead of failing a row that matches several
    #[arg(long, requires = "match_on")]
    pub(crate) allow_multiple_matches: bool,
    #[command(flatten)]
    pub(crate) look: Look,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// How rows travel: auto takes bulk messages where the table has them, else `$batch`; job hands
    /// --filter, a filter object, to a background job of the service, which reports late
    #[arg(long, value_enum, default_value_t = Via::Auto)]
    pub(crate) via: Via,
    /// Waits for the end of the job and tells its counts
    #[arg(long)]
    pub(crate) wait: bool,
    /// A row that does not exist is no failure
    #[arg(long)]
    pub(crate) if_exists: bool,
    /// Does not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Asks before each batch is sent instead of once: yes, no (its rows are skipped), all (asks no more) or quit.
    /// Needs a terminal
    #[arg(short = 'i', long, conflicts_with = "yes")]
    pub(crate) confirm: bool,
    /// Rows in a message: 1 to 1000 (1 sends single requests), or auto (learned, from 100 on)
    #[arg(short, long, default_value = "auto", value_name = "N|auto", value_parser = setting)]
    pub(crate) batch_size: Setting,
    #[command(flatten)]
    pub(crate) pace: Pace,
    #[command(flatten)]
    pub(crate) care: CareArgs,
    #[command(flatten)]
    pub(crate) call: CallArgs,
    #[command(flatten)]
    pub(crate) keep: Keep,
    /// Writes a JSON object for every row that ended well to standard output, with its id and outcome
    #[arg(long)]
    pub(crate) pass_thru: bool,
    /// Writes them in the order of the input; holds back as many rows as may be in flight and wait, and no more
    #[arg(long, requires = "pass_thru")]
    pub(crate) ordered: bool,
    #[command(flatten)]
    pub(crate) verbose: VerboseArgs,
    /// Reads and checks everything, and deletes nothing
    #[arg(short = 'n', long)]
    pub(crate) what_if: bool,
    /// Writes rows that could not be deleted to FILE, with the reasons
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Writes everything known about failed rows to FILE, as NDJSON
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<PathBuf>,
    /// Writes what the run cost to FILE, as a JSON object: rows, requests by kind and status, latencies,
    /// bytes, width, throttles, fallbacks, memory; `-` says it for people on standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
    /// Format of the input; by default the file's extension tells (beneath .gz and .zst), or its first byte
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
}
