//! The command line: names that scripts rely on.
//!
//! Not here: what the options do. Invariant: an option that is not honoured does not exist, or is
//! refused by name.

mod auth;
mod bench;
mod loading;
mod moving;
mod parallel;
mod plugin;
mod reading;
mod removing;
mod values;

pub(crate) use auth::{Auth, AuthCommand, AuthList, AuthLogin, AuthTest, KeepIn};
pub(crate) use bench::{Bench, BenchCommand, BenchMethods, BenchRows, BenchTune};
pub(crate) use loading::Load;
pub(crate) use moving::{
    CallArgs, CareArgs, Keep, NewIds, RUNS_VARIABLE, Run, RunAgain, RunCommand, RunList, RunNamed,
};
pub(crate) use parallel::Parallel;
pub(crate) use plugin::{
    At, Mode, Plugin, PluginCommand, PluginExplain, PluginList, PluginPush, PluginStep,
    PluginStepAdd, PluginStepCommand, PluginTrace,
};
pub(crate) use reading::Get;
pub(crate) use removing::{Remove, Via};
pub(crate) use values::ValueArgs;

use clap::{Args, Parser, Subcommand, ValueEnum};
use client::controller::Setting;
use client::mapping::EmptyAs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The call itself is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Moves rows in bulk: a table service with the Dataverse Web API, and a client for any such service.
#[derive(Debug, Parser)]
#[command(name = "sheaf", version, propagate_version = true)]
pub(crate) struct Sheaf {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the table service.
    Serve(Serve),
    /// Shows the service and the client at work, in a temporary directory.
    Demo(Demo),
    /// Loads rows from CSV, NDJSON, JSON or Parquet into a table.
    Set(Box<Set>),
    /// Loads files of several tables, each after those that its lookups point to.
    Load(Box<Load>),
    /// Reads rows of a table as CSV, NDJSON, JSON or Parquet.
    Get(Box<Get>),
    /// Deletes rows of a table.
    Remove(Box<Remove>),
    /// Gives rows to a command, chunk by chunk, several at a time.
    Parallel(Box<Parallel>),
    /// Goes on with runs that were kept with `--run`, and shows them.
    Run(Run),
    /// Measures how fast a service takes rows, and which way of sending is the quickest there.
    Bench(Box<Bench>),
    /// Creates, lists and shows tables.
    Table(Table),
    /// Puts plug-ins into a service, registers their steps, and shows what runs.
    Plugin(Plugin),
    /// Keeps connections by name: where a service is and who calls.
    Auth(Auth),
    /// Manages the users of a service's store: who may ask for tokens.
    User(User),
    /// Writes completions of this command line for a shell to standard output.
    Completions(Completions),
    /// Writes pages of the manual: this command's to standard output, or all into a directory.
    Man(Man),
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Directory for a page of every command, such as /usr/local/share/man/man1
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Which service, and who calls.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// Connection by its name, of those that `sheaf auth` made. Several (`-p a,b`) share the work of `set`, `load`,
    /// `remove` and `parallel`, each with limits of its own [env: SHEAF_PROFILE] [default: the one of `sheaf auth use`]
    #[arg(short = 'p', long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) profile: Vec<String>,
    /// Address of the service [env: SHEAF_URL] [default: http://127.0.0.1:8080]
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Bearer token of the caller; it is not renewed [env: SHEAF_TOKEN]
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// Command that prints a token, run whenever one is needed [env: SHEAF_TOKEN_COMMAND]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) token_command: Option<String>,
    /// File in which somebody keeps a fresh token [env: SHEAF_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Client id of an application that asks for tokens itself [env: SHEAF_CLIENT_ID]
    #[arg(long, value_name = "GUID")]
    pub(crate) client_id: Option<String>,
    /// Its secret; better in the environment, where other users of the machine do not see it
    /// [env: SHEAF_CLIENT_SECRET]
    #[arg(long, value_name = "SECRET", allow_hyphen_values = true)]
    pub(crate) client_secret: Option<String>,
    /// Its certificate instead of a secret: PEM with the certificate and its RSA key [env: SHEAF_CERTIFICATE]
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Where to ask for tokens [env: SHEAF_TOKEN_URL] [default: where the service says]
    #[arg(long, value_name = "URL")]
    pub(crate) token_url: Option<String>,
    /// Tenant to ask for tokens, where the service does not say the right one [env: SHEAF_TENANT]
    #[arg(long, value_name = "GUID|DOMAIN")]
    pub(crate) tenant: Option<String>,
    /// Certificates of authorities to trust besides the system's, PEM [env: SHEAF_CA]
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port to listen on, several times if wished; port 0 picks a free one. They speak TLS
    /// where --tls is given and --listen-tls is not [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Vec<SocketAddr>,
    /// Address and port to listen on with TLS, several times if wished
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen_tls: Vec<SocketAddr>,
    /// Who is let in: off lets everybody in as administrator, on loopback alone; on wants a token with
    /// every request [default: off on loopback, on elsewhere]
    #[arg(long, value_enum)]
    pub(crate) auth: Option<LetIn>,
    /// Directory of the embedded database; it is created when missing [default: ./sheaf-data]
    #[arg(long, value_name = "DIR", conflicts_with = "store")]
    pub(crate) data: Option<PathBuf>,
    /// PostgreSQL database instead of the embedded one
    #[arg(long, value_name = "postgres://…")]
    pub(crate) store: Option<String>,
    /// Where rows of elastic tables live: a directory, or postgres://… [default: beside the others]
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) elastic_store: Option<String>,
    /// Configuration, TOML: `[auth]` says whose tokens are accepted, `[plugins]` what plug-ins may use,
    /// `[unavailable]` takes messages from tables
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Service protection limits: off, dataverse, or a TOML file; sizes and times hold under `off`, too
    #[arg(long, default_value = "off", value_name = "off|dataverse|FILE")]
    pub(crate) limits: String,
    /// TLS: off, dev (a development authority of its own, whose file clients can trust), or PEM files
    /// of certificate and key, which SIGHUP reads anew
    #[arg(long, default_value = "off", value_name = "off|dev|CERT,KEY", value_parser = tls)]
    pub(crate) tls: TlsChoice,
    /// Where the development authority is kept [default: tls in the data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) tls_dir: Option<PathBuf>,
    /// Name or address that the development certificate holds for besides localhost and those that are
    /// listened on, several times if wished
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_name: Vec<String>,
    /// Name of this node, where several share a store, each with its own: answers carry an affinity
    /// cookie, and the node takes back at once the jobs that it had when it was killed
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) node: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Ends after the figures instead of serving on until Ctrl-C
    #[arg(long)]
    pub(crate) exit: bool,
    /// Rows to load
    #[arg(long, default_value_t = 100_000)]
    pub(crate) rows: u64,
}

/// How much at once, how often, and what is said meanwhile.
#[derive(Clone, Debug, Args)]
pub(crate) struct Pace {
    /// Requests in flight at most: a number up to 52, or auto (learned, from the service's hint or 5 on)
    #[arg(
        short = 'j',
        long = "max-degree-of-parallelism",
        default_value = "auto",
        value_name = "N|auto",
        value_parser = setting
    )]
    pub(crate) width: Setting,
    /// Extra attempts for rows that failed for whatever reason
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) retries: u32,
    /// Seconds before the first extra attempt; doubled before each further one
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) initial_retry_delay: Duration,
    /// Progress on standard error: auto is a bar on a terminal and nothing elsewhere
    #[arg(long, value_enum, default_value_t = Progress::Auto)]
    pub(crate) progress: Progress,
    /// Requests in flight at most for all identities together, whatever the width [default: the width]
    #[arg(long, value_name = "N")]
    pub(crate) max_in_flight: Option<std::num::NonZeroUsize>,
}

/// What is told on standard error while rows move.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct VerboseArgs {
    /// Tells every row, what was read, waits, splits and changes of the pace on standard error; -vv also every
    /// request with its status and how long it took
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Tells requests as -vv does, with the bodies of both ways; secrets are masked and long values cut
    #[arg(long)]
    pub(crate) trace_bodies: bool,
}

/// Before the first extra attempt where nothing else is wished for.
pub(crate) const INITIAL_RETRY_DELAY: Duration = Duration::from_secs(5);

/// Keys in one question where nothing else is wished for.
pub(crate) const RETRIEVAL_SIZE: u16 = 500;

/// How records are looked for.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Look {
    /// Records that are looked for with one question; 1 asks for each alone
    #[arg(
        long,
        default_value_t = RETRIEVAL_SIZE,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=2_000)
    )]
    pub(crate) retrieval_batch_size: u16,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Set {
    /// Table: logical name, the same without its prefix, entity set or display name
    pub(crate) table: String,
    /// CSV, NDJSON, JSON or Parquet file, all but the last compressed where its name ends in .gz or .zst; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(crate) file: PathBuf,
    /// Primary key of the record, where the input is a single row; it goes before what the row itself gives
    #[arg(long, value_name = "GUID")]
    pub(crate) id: Option<model::Uuid>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Makes every row a new record; a record that exists is a failed row
    #[arg(long, conflicts_with_all = ["upsert", "match_on", "no_create", "update_all_columns"])]
    pub(crate) create_only: bool,
    /// Creates or updates, as the service finds; rows with neither key nor --match-on are created
    #[arg(long, conflicts_with_all = ["no_create", "no_update", "update_all_columns"])]
    pub(crate) upsert: bool,
    /// Columns that rows are matched by, in several lists if wished: the first that finds something
    /// counts. A row's primary key goes before them. With --upsert: an alternate key of the table
    #[arg(long, value_name = "a,b")]
    pub(crate) match_on: Vec<String>,
    /// Changes every record that a row matches, instead of failing a row that matches several
    #[arg(long)]
    pub(crate) allow_multiple_matches: bool,
    /// Sends all columns, changed or not; rows with a primary key are then updated without a look
    #[arg(long)]
    pub(crate) update_all_columns: bool,
    /// Leaves out rows whose record is not there
    #[arg(long)]
    pub(crate) no_create: bool,
    /// Leaves out rows whose record is there
    #[arg(long)]
    pub(crate) no_update: bool,
    /// Columns that only new records get
    #[arg(long, value_delimiter = ',', value_name = "a,b")]
    pub(crate) no_update_columns: Vec<String>,
    /// Looks a lookup's texts up in this column instead of the record's name, or in this column of one
    /// of its tables alone
    #[arg(long, value_name = "COLUMN=[TABLE.]COLUMN", value_parser = lookup)]
    pub(crate) lookup: Vec<(String, client::lookup::Aim)>,
    /// What a lookup's text that names nothing does: fails the row, empties the column, or makes a record with that name
    #[arg(long, value_enum, default_value_t = LookupMissing::Fail)]
    pub(crate) lookup_missing: LookupMissing,
    /// What a lookup's text that names several records does: fails the row, or means the newest
    #[arg(long, value_enum, default_value_t = LookupAmbiguous::Fail)]
    pub(crate) lookup_ambiguous: LookupAmbiguous,
    #[command(flatten)]
    pub(crate) new_ids: NewIds,
    /// Directory with folders that hold one file each: a file column then takes a folder's name, a GUID.
    /// `@PATH` means any other file
    #[arg(long, value_name = "DIR")]
    pub(crate) file_directory: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: Look,
    /// With --upsert: tells created records from updated ones. The bulk message does not say, so upserts travel as
    /// requests of their own in a `$batch`, each answered with its record, which takes longer
    #[arg(long, value_enum, requires = "upsert")]
    pub(crate) report: Option<Report>,
    /// Writes a JSON object for every row that ended well to standard output, with its id and outcome; with
    /// --upsert it costs what --report created does
    #[arg(long)]
    pub(crate) pass_thru: bool,
    /// Writes them in the order of the input; holds back as many rows as may be in flight and wait, and no more
    #[arg(long, requires = "pass_thru")]
    pub(crate) ordered: bool,
    #[command(flatten)]
    pub(crate) verbose: VerboseArgs,
    /// Rows in a message: 1 to 1000 (1 sends single requests), or auto (learned, from 100 on)
    #[arg(short, long, default_value = "auto", value_name = "N|auto", value_parser = setting)]
    pub(crate) batch_size: Setting,
    #[command(flatten)]
    pub(crate) pace: Pace,
    /// Writes rejected rows to FILE, in the input's format with the reasons as further columns
    #[arg(long, value_name = "FILE")]
    pub(crate) rejects: Option<PathBuf>,
    /// Writes everything known about failed rows to FILE, as NDJSON
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<PathBuf>,
    /// What an empty CSV field means: leave the column alone, clear it, or empty text (other columns
    /// than text are cleared)
    #[arg(long, value_enum, default_value_t = Empty::Absent)]
    pub(crate) empty_as: Empty,
    /// CSV fields with exactly this text clear their column
    #[arg(long, value_name = "TEXT")]
    pub(crate) null: Option<String>,
    #[command(flatten)]
    pub(crate) values: ValueArgs,
    #[command(flatten)]
    pub(crate) care: CareArgs,
    #[command(flatten)]
    pub(crate) call: CallArgs,
    #[command(flatten)]
    pub(crate) keep: Keep,
    /// Reads and checks everything, and writes nothing
    #[arg(short = 'n', long)]
    pub(crate) what_if: bool,
    /// Asks before each batch is sent: yes, no (its rows are skipped), all (asks no more) or quit. Needs a
    /// terminal, and rows from a FILE
    #[arg(short = 'i', long)]
    pub(crate) confirm: bool,
    /// Columns of the input that are left out
    #[arg(long, value_delimiter = ',', value_name = "a,b")]
    pub(crate) ignore: Vec<String>,
    /// Leaves out columns that the table does not have, with a warning for each
    #[arg(long)]
    pub(crate) ignore_unknown_columns: bool,
    /// Writes what the run cost to FILE, as a JSON object: rows, requests by kind and status, latencies,
    /// bytes, width, throttles, fallbacks, memory; `-` says it for people on standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
    /// Format of the input; by default the file's extension tells (beneath .gz and .zst), or its first byte
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
}

#[derive(Debug, Args)]
pub(crate) struct Table {
    #[command(subcommand)]
    pub(crate) command: TableCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TableCommand {
    /// Creates a table whose columns fit a CSV file.
    Create(TableCreate),
    /// Lists the tables that users made.
    List(TableList),
    /// Shows a table's columns and keys.
    Show(TableShow),
}

#[derive(Debug, Args)]
pub(crate) struct TableCreate {
    /// Name; without a prefix it gets one
    pub(crate) name: String,
    /// CSV file to fit, perhaps compressed; all of it is read, none of it is loaded
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) from: PathBuf,
    /// Makes an elastic table
    #[arg(long)]
    pub(crate) elastic: bool,
    /// Makes an alternate key over this column
    #[arg(long, value_name = "COLUMN")]
    pub(crate) key: Option<String>,
    /// Prefix of the names that are made
    #[arg(long, default_value = client::mapping::DEFAULT_PREFIX)]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct TableList {
    /// Tables of the system, too
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct TableShow {
    /// Table: logical name, the same without its prefix, entity set or display name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

#[derive(Debug, Args)]
pub(crate) struct User {
    #[command(subcommand)]
    pub(crate) command: UserCommand,
}

/// The store whose users are meant. A directory must not be in use by a running service.
#[derive(Clone, Debug, Args)]
pub(crate) struct UserStore {
    /// Directory of the embedded database [default: ./sheaf-data]
    #[arg(long, value_name = "DIR", conflicts_with = "store")]
    pub(crate) data: Option<PathBuf>,
    /// PostgreSQL database instead of the embedded one
    #[arg(long, value_name = "postgres://…")]
    pub(crate) store: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Makes an application user, and shows its first secret.
    Add(UserAdd),
    /// Makes, lists and removes secrets.
    Secret(UserSecret),
    /// Gives a user a role.
    Role(UserRole),
    /// Lists all users.
    List(UserStore),
    /// Keeps a user out.
    Disable(UserNamed),
    /// Lets a user in again.
    Enable(UserNamed),
}

#[derive(Debug, Args)]
pub(crate) struct UserAdd {
    /// What the user is called
    pub(crate) name: String,
    /// Its application id, which is its client id; a new one where nothing is said
    #[arg(long, value_name = "GUID")]
    pub(crate) application_id: Option<String>,
    /// Role that it gets, by name, several times if wished [default: System Administrator]
    #[arg(long, value_name = "NAME")]
    pub(crate) role: Vec<String>,
    /// Makes it a system administrator
    #[arg(long)]
    pub(crate) admin: bool,
    #[command(flatten)]
    pub(crate) store: UserStore,
}

#[derive(Debug, Args)]
pub(crate) struct UserNamed {
    /// Name, systemuserid or application id
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) store: UserStore,
}

#[derive(Debug, Args)]
pub(crate) struct UserRole {
    #[command(flatten)]
    pub(crate) named: UserNamed,
    /// Name of the role, several times if wished
    #[arg(long, value_name = "NAME", required_unless_present = "admin")]
    pub(crate) role: Vec<String>,
    /// Makes it a system administrator
    #[arg(long)]
    pub(crate) admin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UserSecret {
    #[command(subcommand)]
    pub(crate) command: UserSecretCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserSecretCommand {
    /// Makes a further secret, and shows it this once.
    Add(UserSecretAdd),
    /// Lists a user's secrets by id; the secrets themselves are not kept.
    List(UserNamed),
    /// Removes a secret, and the user's refresh tokens.
    Remove(UserSecretRemove),
}

#[derive(Debug, Args)]
pub(crate) struct UserSecretAdd {
    #[command(flatten)]
    pub(crate) named: UserNamed,
    /// Days after which it holds no longer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct UserSecretRemove {
    #[command(flatten)]
    pub(crate) named: UserNamed,
    /// Id of the secret
    #[arg(long, value_name = "GUID")]
    pub(crate) id: String,
}

/// Whether tokens count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LetIn {
    Off,
    On,
}

/// Which certificates there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TlsChoice {
    Off,
    Development,
    Files { certificates: PathBuf, key: PathBuf },
}

fn tls(text: &str) -> Result<TlsChoice, String> {
    match (text, text.split_once(',')) {
        ("off", _) => Ok(TlsChoice::Off),
        ("dev", _) => Ok(TlsChoice::Development),
        (_, Some((certificates, key))) if !certificates.is_empty() && !key.is_empty() => {
            Ok(TlsChoice::Files { certificates: certificates.into(), key: key.into() })
        }
        _ => Err("give off, dev, or the files of certificate and key with a comma between".into()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Progress {
    Auto,
    Plain,
    Json,
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[expect(clippy::enum_variant_names, reason = "the names are the flag's values")]
pub(crate) enum Empty {
    Absent,
    Clear,
    Empty,
}

impl From<Empty> for EmptyAs {
    fn from(empty: Empty) -> Self {
        match empty {
            Empty::Absent => Self::Absent,
            Empty::Clear => Self::Clear,
            Empty::Empty => Self::Empty,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    Csv,
    Ndjson,
    Json,
    Parquet,
}

impl From<Format> for client::source::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv,
            Format::Ndjson => Self::Ndjson,
            Format::Json => Self::Json,
            Format::Parquet => Self::Parquet,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Headers {
    AsLoaded,
    Logical,
}

impl From<Headers> for client::get::Headers {
    fn from(headers: Headers) -> Self {
        match headers {
            Headers::AsLoaded => Self::AsLoaded,
            Headers::Logical => Self::Logical,
        }
    }
}

fn setting(text: &str) -> Result<Setting, String> {
    if text == "auto" {
        return Ok(Setting::Auto);
    }
    match text.parse() {
        Ok(number @ 1..) => Ok(Setting::Fixed(number)),
        _ => Err("give a number from 1, or auto".to_owned()),
    }
}

/// What is told beyond what costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Report {
    Created,
}

/// What a lookup's text that names nothing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LookupMissing {
    Fail,
    Null,
    CreateStub,
}

/// What a lookup's text that names several records does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LookupAmbiguous {
    Fail,
    Newest,
}

fn lookup(text: &str) -> Result<(String, client::lookup::Aim), String> {
    let parts = text.split_once('=').filter(|(column, aim)| !column.is_empty() && !aim.is_empty());
    let (column, aim) = parts.ok_or("give COLUMN=COLUMN or COLUMN=TABLE.COLUMN")?;
    let (table, aim) = match aim.split_once('.') {
        Some((table, aim)) => (Some(table.to_owned()), aim),
        None => (None, aim),
    };
    Ok((column.to_owned(), client::lookup::Aim { table, column: aim.to_owned() }))
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "give a number of seconds".to_owned())
}

#[cfg(test)]
mod tests;
