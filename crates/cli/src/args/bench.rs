//! What `sheaf bench` takes.
//!
//! Not here: what is measured (`client::bench`). Invariant: every option is honoured by the command that has it.

use super::{CallArgs, Connection, seconds};
use clap::{Args, Subcommand, ValueEnum};
use client::bench::methods::Method;
use client::controller::{SIZE_MAX, WIDTH_MAX};
use client::rows::Operation;
use std::time::Duration;

#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) command: BenchCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Compares the ways of sending rows: one by one, bulk messages of one, bulk messages, `$batch`, and as
    /// `sheaf set` sends.
    Methods(BenchMethods),
    /// Holds the width and batch size that are learned against a grid of given ones.
    Tune(BenchTune),
}

/// Which rows are made.
#[derive(Debug, Args)]
pub(crate) struct BenchRows {
    /// Table: logical name, the same without its prefix, entity set or display name. Rows are created in it
    /// and removed again
    pub(crate) table: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Columns that rows give besides their name: text, numbers, choices, yes or no
    #[arg(short, long, value_delimiter = ',', value_name = "a,b")]
    pub(crate) columns: Vec<String>,
    /// Does not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Writes the result as a JSON object to standard output
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) call: CallArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BenchMethods {
    #[command(flatten)]
    pub(crate) rows_of: BenchRows,
    /// Rows that each method writes in each operation and round
    #[arg(
        long,
        default_value_t = 1_000,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000)
    )]
    pub(crate) rows: u64,
    /// How often all of it is done
    #[arg(
        long,
        default_value_t = 3,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000)
    )]
    pub(crate) rounds: u32,
    /// Which operations
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "create,update,upsert,delete",
        value_name = "a,b"
    )]
    pub(crate) operations: Vec<BenchOperation>,
    /// Which methods
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "single,bulk-of-one,bulk,batch,own",
        value_name = "a,b"
    )]
    pub(crate) methods: Vec<BenchMethod>,
    /// Rows in a message of `bulk` and `batch`, up to 1000 [default: all rows, as far as the table takes
    /// them]
    #[arg(short, long, value_name = "N", value_parser = size)]
    pub(crate) batch_size: Option<usize>,
    /// Requests in flight, up to 52, of all methods but `own`, which learns
    #[arg(
        short = 'j',
        long = "max-degree-of-parallelism",
        default_value = "1",
        value_name = "N",
        value_parser = width
    )]
    pub(crate) width: usize,
}

#[derive(Debug, Args)]
pub(crate) struct BenchTune {
    #[command(flatten)]
    pub(crate) rows_of: BenchRows,
    /// Requests in flight that are tried, up to 52 each
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,2,4,8,16",
        value_name = "a,b",
        value_parser = width
    )]
    pub(crate) widths: Vec<usize>,
    /// Rows in a message that are tried, up to 1000 each; those that the table does not take are left out
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10,100,300,1000",
        value_name = "a,b",
        value_parser = size
    )]
    pub(crate) sizes: Vec<usize>,
    /// How long each setting is measured
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// How long the client may learn before it is measured
    #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) learn: Duration,
    /// How often all of it is done
    #[arg(
        long,
        default_value_t = 1,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000)
    )]
    pub(crate) rounds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchOperation {
    Create,
    Update,
    Upsert,
    Delete,
}

impl From<BenchOperation> for Operation {
    fn from(operation: BenchOperation) -> Self {
        match operation {
            BenchOperation::Create => Self::Create,
            BenchOperation::Update => Self::Update,
            BenchOperation::Upsert => Self::Upsert,
            BenchOperation::Delete => Self::Delete,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchMethod {
    /// A request for each row
    Single,
    /// A bulk message for each row
    BulkOfOne,
    /// As few bulk messages as there can be
    Bulk,
    /// As few `$batch` requests as there can be
    Batch,
    /// As `sheaf set` and `sheaf remove` send
    Own,
}

impl From<BenchMethod> for Method {
    fn from(method: BenchMethod) -> Self {
        match method {
            BenchMethod::Single => Self::Single,
            BenchMethod::BulkOfOne => Self::BulkOfOne,
            BenchMethod::Bulk => Self::Bulk,
            BenchMethod::Batch => Self::Batch,
            BenchMethod::Own => Self::Own,
        }
    }
}

fn within(text: &str, most: usize) -> Result<usize, String> {
    match text.trim().parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("give a number from 1 to {most}")),
    }
}

fn width(text: &str) -> Result<usize, String> {
    within(text, WIDTH_MAX)
}

fn size(text: &str) -> Result<usize, String> {
    within(text, SIZE_MAX)
}
