//! What `sheaf get` takes.

use super::{Connection, Format, Headers, Look, Progress};
use clap::Args;
use client::zone::Zone;
use model::Uuid;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Table: logical name, the same without its prefix, entity set or display name
    #[arg(required_unless_present = "fetch")]
    pub(crate) table: Option<String>,
    /// CSV, NDJSON, JSON or Parquet whose rows name the records that are read, by `Id` or the primary key or by
    /// --match-on; `-` is standard input
    #[arg(
        value_name = "FILE",
        conflicts_with_all = ["filter", "exclude", "id", "exclude_id", "name", "active_only", "top"]
    )]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Output file, compressed where its name ends in .gz or .zst; `-` is standard output
    #[arg(short, long, default_value = "-", value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Format of the output; by default the file's extension tells (beneath .gz and .zst), and CSV without
    /// one
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Columns, in this order; by default all but system columns. `NAME:display` gives the
    /// text that people read, `NAME:raw` the value
    #[arg(short, long, value_delimiter = ',', value_name = "a,b:display")]
    pub(crate) columns: Vec<String>,
    /// Columns that are left out; it does not count beside --columns
    #[arg(long, value_delimiter = ',', value_name = "a,b")]
    pub(crate) exclude_columns: Vec<String>,
    /// System columns, too: owner, dates, version and the like; it does not count beside --columns
    #[arg(long)]
    pub(crate) system_columns: bool,
    /// Ids and names of files and images, too; it does not count beside --columns
    #[arg(long)]
    pub(crate) file_columns: bool,
    /// Saves the files of the file columns that are read, each in a folder of DIR called after its id, so
    /// that `sheaf set --file-directory DIR` takes them in again
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "count"])]
    pub(crate) file_directory: Option<PathBuf>,
    /// Names of the records that lookups point to, instead of their ids
    #[arg(long)]
    pub(crate) lookup_names: bool,
    /// Which rows: a JSON object, whose members must all hold, or an OData `$filter`; several are
    /// alternatives. `{"city":"Bonn"}`, `{"city":["Bonn","Ulm"]}`, `{"city":null}`,
    /// `{"revenue":{"operator":"gt","value":5}}`, `{"name:Like":"A%"}`, and the groups `and`, `or`,
    /// `not`, `xor`, each with a list of objects
    #[arg(long, visible_alias = "where", value_name = "JSON|EXPR")]
    pub(crate) filter: Vec<String>,
    /// Which rows not, in the same forms; a row that fulfils one of several is left out
    #[arg(long, value_name = "JSON|EXPR")]
    pub(crate) exclude: Vec<String>,
    /// Only rows that fulfil every --exclude are left out
    #[arg(long, requires = "exclude")]
    pub(crate) exclude_or: bool,
    /// Primary keys, several times if wished
    #[arg(long, value_name = "GUID", value_delimiter = ',')]
    pub(crate) id: Vec<Uuid>,
    /// Primary keys that are left out
    #[arg(long, value_name = "GUID", value_delimiter = ',')]
    pub(crate) exclude_id: Vec<Uuid>,
    /// Values of the column that names records, several times if wished
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Vec<String>,
    /// Only active rows, unless a filter speaks of the state itself
    #[arg(long)]
    pub(crate) active_only: bool,
    /// A query of FetchXML, or a file with one; it says itself which columns and rows, in which order
    #[arg(
        long,
        value_name = "FILE|XML",
        conflicts_with_all = [
            "file", "columns", "exclude_columns", "system_columns", "file_columns", "lookup_names",
            "filter", "exclude", "id", "exclude_id", "name", "active_only", "sort", "headers",
        ]
    )]
    pub(crate) fetch: Option<String>,
    /// Columns to sort by; a trailing `-` descends
    #[arg(long, value_delimiter = ',', value_name = "a-,b", allow_hyphen_values = true)]
    pub(crate) sort: Vec<String>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<u64>,
    /// Rows in a page
    #[arg(long, default_value_t = 5_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) page_size: u32,
    /// Pages that are asked for at a time, up to 52: the primary key is divided into ranges, each row comes once, in no
    /// order. Not with --sort, --fetch, FILE or elastic tables
    #[arg(
        short = 'j',
        long = "max-degree-of-parallelism",
        default_value_t = 1,
        value_name = "N",
        value_parser = clap::value_parser!(u8).range(1..=52)
    )]
    pub(crate) width: u8,
    /// Prints how many rows there are, and reads none: the service counts them
    #[arg(long, visible_alias = "record-count", conflicts_with_all = ["output", "count_also", "file"])]
    pub(crate) count: bool,
    /// Says on standard error how many rows there are before they are read
    #[arg(long, visible_alias = "verbose-record-count", conflicts_with = "file")]
    pub(crate) count_also: bool,
    /// Columns that the rows of FILE are matched by, in several lists if wished: the first that finds
    /// something counts. A row's primary key goes before them
    #[arg(long, value_name = "a,b", requires = "file")]
    pub(crate) match_on: Vec<String>,
    /// Reads every record that a row of FILE matches, instead of failing a row that matches several
    #[arg(long, requires = "file")]
    pub(crate) allow_multiple_matches: bool,
    #[command(flatten)]
    pub(crate) look: Look,
    /// Zone in which instants are written, with their offset, and of times in filter objects that have none:
    /// UTC, local, or a name such as Europe/Berlin [default: UTC]. Parquet has instants, in UTC
    #[arg(long, value_name = "ZONE", value_parser = super::values::zone)]
    pub(crate) timezone: Option<Zone>,
    /// Headers: as-loaded gives the headers and texts of the file that the table was made from;
    /// logical gives logical names, the primary key first. By default as-loaded for CSV of tables
    /// that users made, else logical
    #[arg(long, value_enum)]
    pub(crate) headers: Option<Headers>,
    /// Progress on standard error: auto is a bar on a terminal and nothing elsewhere
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    pub(crate) progress: Progress,
    /// Writes what the read cost to FILE, as a JSON object; `-` says it for people on standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
}
