//! What `sheaf parallel` takes.

use super::{Connection, Format, seconds};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Parallel {
    /// The command that every chunk is given to, and its arguments. It gets the rows on standard input, one JSON
    /// object a line (empty CSV fields are left out), its number in SHEAF_CHUNK, and the way to the service in the
    /// variables that `sheaf` reads
    #[arg(last = true, required = true, num_args = 1.., value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    /// CSV or NDJSON with the rows; `-` is standard input
    #[arg(long, default_value = "-", value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Format of the input; by default the file's extension tells, or its first byte
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Rows in a chunk; the last may have fewer
    #[arg(
        long,
        default_value_t = 50,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub(crate) chunk_size: u32,
    /// Commands that run at a time [default: as many as there are processors]
    #[arg(
        short = 'j',
        long = "max-degree-of-parallelism",
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=1_024)
    )]
    pub(crate) width: Option<u16>,
    /// Seconds without a further row after which a chunk starts that is not full
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) flush_after: Option<Duration>,
    /// What commands write comes in the order of the chunks, kept until it is its turn
    #[arg(long)]
    pub(crate) ordered: bool,
    /// Starts no further chunk when so many have failed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_errors: Option<u64>,
    /// Writes the rows of failed chunks to FILE, as NDJSON
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Seconds that commands have to end after an interrupt
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) grace: Duration,
    /// Reads the input and says how it would be cut; runs nothing
    #[arg(short = 'n', long)]
    pub(crate) what_if: bool,
}
