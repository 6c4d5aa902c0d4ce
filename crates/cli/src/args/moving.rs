//! Options that the commands which write rows share: what goes on every request, what is done about
//! failures, and where a run is kept.
//!
//! Not here: what they do (`client`). Invariant: each of them is honoured by every command that has it.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use client::request::CALLER;
use client::sender::{BISECT_LIMIT, ErrorsMax};
use client::set::{Call, Care};
use std::path::PathBuf;
use std::time::Duration;

/// What is done about failures.
#[derive(Clone, Debug, Args)]
pub(crate) struct CareArgs {
    /// Stops once so many rows, or so many of a hundred, have failed; the rest is not attempted
    #[arg(long, value_name = "N|P%", value_parser = errors_max)]
    pub(crate) max_errors: Option<ErrorsMax>,
    /// Stops at the first row that fails
    #[arg(long, conflicts_with = "max_errors")]
    pub(crate) fail_fast: bool,
    /// Goes on though the service refuses whole messages for reasons that hit every row alike
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// After so many bad rows in one message its other rows travel in `$batch`
    #[arg(long, value_name = "N", default_value_t = BISECT_LIMIT)]
    pub(crate) bisect_limit: u32,
    /// Lets all rows of a refused message fail instead of finding the bad ones, for measuring
    #[arg(long)]
    pub(crate) no_fallback: bool,
    /// Stops when throttling goes on for longer than this [default: waits as long as it takes]
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    pub(crate) max_throttle_wait: Option<Duration>,
}

impl CareArgs {
    /// For the library.
    pub(crate) fn care(&self) -> Care {
        Care {
            bisect_limit: self.bisect_limit,
            no_fallback: self.no_fallback,
            keep_going: self.keep_going,
            errors_max: if self.fail_fast { Some(ErrorsMax::Rows(1)) } else { self.max_errors },
            throttle_max: self.max_throttle_wait,
            retry_ambiguous: false,
        }
    }
}

/// Who makes the ids of new records.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct NewIds {
    /// Lets the service make the ids of new records. A new record whose answer was lost then fails with class
    /// `ambiguous` instead of being sent once more
    #[arg(long)]
    pub(crate) server_ids: bool,
    /// Sends such a record once more; it may then be there twice
    #[arg(long, requires = "server_ids")]
    pub(crate) retry_ambiguous: bool,
}

/// Which custom logic is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bypass {
    CustomSync,
    CustomAsync,
}

/// What goes on every request for a row.
#[derive(Clone, Debug, Args)]
pub(crate) struct CallArgs {
    /// Id of the user for whom rows are written, who need not be the caller; or the column of the input
    /// that has such ids, where an empty field means the caller
    #[arg(long, value_name = "GUID|column:NAME", value_parser = caller)]
    pub(crate) caller_id: Option<Caller>,
    /// Custom logic that is left out; needs a privilege
    #[arg(long, value_enum, value_delimiter = ',', value_name = "custom-sync,custom-async")]
    pub(crate) bypass: Vec<Bypass>,
    /// A step of custom logic that is left out, several times if wished
    #[arg(long, value_name = "GUID", value_parser = guid)]
    pub(crate) bypass_step: Vec<String>,
    /// Starts no flows
    #[arg(long)]
    pub(crate) bypass_flows: bool,
    /// Text that custom logic sees
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) tag: Option<String>,
    /// Refuses rows that rules for duplicates find
    #[arg(long)]
    pub(crate) duplicate_detection: bool,
}

/// For whom rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// One user.
    Id(String),
    /// The user that this column names.
    Column(String),
}

fn caller(text: &str) -> Result<Caller, String> {
    match text.strip_prefix("column:").map(str::trim) {
        Some("") => Err("name the column".to_owned()),
        Some(name) => Ok(Caller::Column(name.to_owned())),
        None => guid(text).map(Caller::Id),
    }
}

impl CallArgs {
    /// The column that names callers.
    pub(crate) fn caller_column(&self) -> Option<&str> {
        match &self.caller_id {
            Some(Caller::Column(name)) => Some(name),
            Some(Caller::Id(_)) | None => None,
        }
    }

    /// For the library.
    pub(crate) fn call(&self) -> Call {
        let mut headers = Vec::new();
        if let Some(Caller::Id(caller)) = &self.caller_id {
            headers.push((CALLER, caller.clone()));
        }
        if !self.bypass.is_empty() {
            let kinds = self.bypass.iter().map(|kind| match kind {
                Bypass::CustomSync => "CustomSync",
                Bypass::CustomAsync => "CustomAsync",
            });
            let kinds = kinds.collect::<Vec<_>>().join(",");
            headers.push(("MSCRM.BypassBusinessLogicExecution", kinds));
        }
        if !self.bypass_step.is_empty() {
            let steps = self.bypass_step.join(",");
            headers.push(("MSCRM.BypassBusinessLogicExecutionStepIds", steps));
        }
        if self.bypass_flows {
            headers.push(("MSCRM.SuppressCallbackRegistrationExpanderJob", "true".to_owned()));
        }
        if self.duplicate_detection {
            headers.push(("MSCRM.SuppressDuplicateDetection", "false".to_owned()));
        }
        Call { headers, tag: self.tag.clone() }
    }
}

/// Says where runs are kept, for every call.
pub(crate) const RUNS_VARIABLE: &str = "SHEAF_RUNS";

/// Where a run is kept.
#[derive(Clone, Debug, Args)]
pub(crate) struct Keep {
    /// Keeps a journal under this name, so that `sheaf run resume NAME` can go on after whatever stops
    /// the run
    #[arg(long = "run", value_name = "NAME")]
    pub(crate) run: Option<String>,
    /// Where runs are kept; alone it keeps this one under a name of its own [default: the user's
    /// directory for states]
    #[arg(long, env = RUNS_VARIABLE, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(subcommand)]
    pub(crate) command: RunCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Goes on with a run: only rows without an outcome are sent.
    Resume(RunAgain),
    /// Sends the rows of a run that failed once more.
    Retry(RunAgain),
    /// Shows how a run stands.
    Report(RunNamed),
    /// Lists all runs.
    List(RunList),
}

#[derive(Debug, Args)]
pub(crate) struct RunAgain {
    /// Name of the run
    pub(crate) name: String,
    /// Goes on though the input has changed
    #[arg(long)]
    pub(crate) force: bool,
    /// Address of the service, where it is another than before
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Where runs are kept
    #[arg(long, env = RUNS_VARIABLE, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunNamed {
    /// Name of the run
    pub(crate) name: String,
    /// As a JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Where runs are kept
    #[arg(long, env = RUNS_VARIABLE, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunList {
    /// As JSON objects, one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Where runs are kept
    #[arg(long, env = RUNS_VARIABLE, value_name = "DIR")]
    pub(crate) journal: Option<PathBuf>,
}

fn errors_max(text: &str) -> Result<ErrorsMax, String> {
    let wrong = || "give a number of rows from 1, or a share such as 5%".to_owned();
    match text.strip_suffix('%') {
        Some(share) => match share.parse() {
            Ok(share) if (0.0..=100.0).contains(&share) => Ok(ErrorsMax::Percent(share)),
            _ => Err(wrong()),
        },
        None => match text.parse() {
            Ok(rows @ 1..) => Ok(ErrorsMax::Rows(rows)),
            _ => Err(wrong()),
        },
    }
}

pub(super) fn guid(text: &str) -> Result<String, String> {
    match model::Uuid::try_parse(text.trim()) {
        Ok(id) => Ok(id.to_string()),
        Err(_) => Err("give a unique identifier".to_owned()),
    }
}
