//! Arguments of `sheaf plugin`.

use super::Connection;
use clap::{Args, Subcommand, ValueEnum};
use client::registration::NewImage;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Plugin {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Puts a plug-in into a service, and registers the types that it offers.
    Push(PluginPush),
    /// Registers, enables, disables and removes steps.
    Step(PluginStep),
    /// Lists assemblies, types and steps.
    List(PluginList),
    /// Shows which steps would run for a message, and in which order.
    Explain(PluginExplain),
    /// Shows what plug-ins have traced.
    Trace(PluginTrace),
}

/// Which service, and how it is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct At {
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Writes JSON to standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PluginPush {
    /// Component, or the core module that a compiler made: it becomes a component
    #[arg(value_name = "FILE.wasm")]
    pub(crate) file: PathBuf,
    /// Name of the assembly; one that is there is changed in place [default: the file's]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Version of the assembly; another major or minor version is another assembly [default: as it is, or 1.0.0.0]
    #[arg(long, value_name = "N.N.N.N")]
    pub(crate) assembly_version: Option<String>,
    /// Removes registered types that the component does not offer any more; those with steps stay, and stop it
    #[arg(long)]
    pub(crate) prune: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct PluginStep {
    #[command(subcommand)]
    pub(crate) command: PluginStepCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginStepCommand {
    /// Registers a step.
    Add(Box<PluginStepAdd>),
    /// Lets a step run again.
    Enable(PluginStepNamed),
    /// Keeps a step from running.
    Disable(PluginStepNamed),
    /// Takes a step and its images out.
    Remove(PluginStepNamed),
}

#[derive(Debug, Args)]
pub(crate) struct PluginStepAdd {
    /// Type that runs
    #[arg(long = "type", value_name = "NAME")]
    pub(crate) of_type: String,
    /// Name of its assembly, where several have such a type
    #[arg(long, value_name = "NAME")]
    pub(crate) assembly: Option<String>,
    /// Message: CreateMultiple, Update, …; a step for the bulk form runs once with all targets
    #[arg(long, value_name = "NAME")]
    pub(crate) message: String,
    /// Table: logical name, the same without its prefix, entity set or display name; none for every table
    #[arg(long)]
    pub(crate) table: Option<String>,
    /// When it runs: pre-validation (before the transaction), pre-operation (before the rows are written) or
    /// post-operation; 10, 20 and 40 mean the same
    #[arg(long, value_enum, default_value_t = Stage::PreOperation)]
    pub(crate) stage: Stage,
    /// Whether the message waits for it: async runs behind it, as a job, post-operation alone
    #[arg(long, value_enum, default_value_t = Mode::Sync)]
    pub(crate) mode: Mode,
    /// Order among the steps of its message and stage; the lowest goes first
    #[arg(long, default_value_t = 1, allow_hyphen_values = true)]
    pub(crate) rank: i32,
    /// Columns: an Update that has none of them does not run it
    #[arg(long, value_delimiter = ',', value_name = "a,b")]
    pub(crate) filter: Vec<String>,
    /// Rows as they were (pre), are (post) or both, several times if wished; without columns all of them, without an
    /// alias it is called like its kind
    #[arg(long, value_name = "pre|post|both[:ALIAS][=a,b]", value_parser = image)]
    pub(crate) image: Vec<NewImage>,
    /// Text that the plug-in is told
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) configuration: Option<String>,
    /// What the step is called [default: type, message and table]
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct PluginStepNamed {
    /// Id or name of the step
    pub(crate) step: String,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct PluginList {
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct PluginExplain {
    /// Message: CreateMultiple, Update, …
    pub(crate) message: String,
    /// Table: logical name, the same without its prefix, entity set or display name
    pub(crate) table: String,
    /// Columns that the targets would have: tells which steps wait for others
    #[arg(long, value_delimiter = ',', value_name = "a,b")]
    pub(crate) columns: Option<Vec<String>>,
    /// Targets of a bulk message
    #[arg(long, value_name = "N")]
    pub(crate) targets: Option<u32>,
    #[command(flatten)]
    pub(crate) at: At,
}

#[derive(Debug, Args)]
pub(crate) struct PluginTrace {
    /// Runs at most, the newest
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) top: u32,
    /// Runs of this type alone
    #[arg(long = "type", value_name = "NAME")]
    pub(crate) of_type: Option<String>,
    /// Runs that this request caused, by its correlation id
    #[arg(long, value_name = "GUID")]
    pub(crate) correlation: Option<String>,
    /// Runs that failed
    #[arg(long)]
    pub(crate) failed: bool,
    #[command(flatten)]
    pub(crate) at: At,
}

/// When a step runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    #[value(alias = "10")]
    PreValidation,
    #[value(alias = "20")]
    PreOperation,
    #[value(alias = "40")]
    PostOperation,
}

impl Stage {
    /// The number that rows of steps have.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::PreValidation => 10,
            Self::PreOperation => 20,
            Self::PostOperation => 40,
        }
    }
}

/// Whether the message waits for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Sync,
    Async,
}

fn image(text: &str) -> Result<NewImage, String> {
    let (head, columns) =
        text.split_once('=').map_or((text, ""), |(head, columns)| (head, columns));
    let (word, alias) = head.split_once(':').unwrap_or((head, head));
    let kind = match word {
        "pre" => 0,
        "post" => 1,
        "both" => 2,
        _ => return Err("give pre, post or both, then :ALIAS and =a,b if wished".to_owned()),
    };
    if alias.is_empty() || (text.contains('=') && columns.split(',').any(str::is_empty)) {
        return Err("an alias or a column is empty".to_owned());
    }
    let columns = columns.split(',').filter(|column| !column.is_empty()).map(str::to_owned);
    Ok(NewImage { alias: alias.to_owned(), kind, columns: columns.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_a_kind_an_alias_and_columns() {
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        for (text, alias, kind, names) in [
            ("pre", "pre", 0, &[][..]),
            ("post:after", "after", 1, &[]),
            ("both:b=name,revenue", "b", 2, &["name", "revenue"]),
            ("pre=name", "pre", 0, &["name"]),
        ] {
            let want = NewImage { alias: alias.to_owned(), kind, columns: columns(names) };
            assert_eq!(image(text), Ok(want), "{text}");
        }
        for text in ["", "before", "pre:", "pre=", "pre=a,,b"] {
            assert!(image(text).is_err(), "{text}");
        }
    }
}
