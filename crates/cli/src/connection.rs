//! The way to the service, the seed of a run, and inputs and outputs by their names.
//!
//! Who calls is said by flags, else by variables, else by the profile that `sheaf auth use` chose. A profile is a whole: nothing of
//! it is mixed with what other flags say.

use crate::args::{Connection, Usage};
use crate::progress::{Counted, Total};
use anyhow::Context;
use client::compression::{self, Sink};
use client::controller::Setting;
use client::ids::Seed;
use client::pool::{Identity, Pool};
use client::profile::{self, Profile, Profiles};
use client::secret::Secret;
use client::service::Service;
use client::source::{self, Bytes, Format, Parquet};
use client::token::{Application, Credential, Issuer, Proof};
use client::transport::{Address, Http, Transport};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a service of one's own listens.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// Variables that say where the service is and who calls, but for `SHEAF_PROFILE`.
pub(crate) const VARIABLES: [&str; 10] = [
    "SHEAF_URL",
    "SHEAF_TOKEN",
    "SHEAF_TOKEN_FILE",
    "SHEAF_TOKEN_COMMAND",
    "SHEAF_CLIENT_ID",
    "SHEAF_CLIENT_SECRET",
    "SHEAF_CERTIFICATE",
    "SHEAF_TOKEN_URL",
    "SHEAF_TENANT",
    "SHEAF_CA",
];

/// The way to the service as one identity.
pub(crate) struct Way {
    /// The profile's name; empty without one.
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) http: Arc<Http>,
}

/// What the arguments choose.
enum Chosen {
    Profiles(Vec<String>),
    Said(Box<Connection>),
}

/// The service that the arguments name, for one identity.
pub(crate) fn service(connection: &Connection) -> anyhow::Result<Service> {
    Ok(Service::new(Arc::new(http(connection)?)))
}

/// The way to it.
pub(crate) fn http(connection: &Connection) -> anyhow::Result<Http> {
    match choose(connection, &variable)? {
        Chosen::Profiles(names) => match names.as_slice() {
            [name] => Ok(by_profile(name)?.1),
            _ => Err(Usage(
                "several profiles share the work of `set`, `load`, `remove` and `parallel` alone: give one `--profile`".to_owned(),
            )
            .into()),
        },
        Chosen::Said(said) => as_said(&said),
    }
}

/// The way for as many identities as are named, which share a width.
pub(crate) fn pool(connection: &Connection, width: Setting) -> anyhow::Result<Arc<dyn Transport>> {
    let mut ways = ways(connection)?;
    if ways.len() == 1 {
        return Ok(ways.remove(0).http);
    }
    if let Setting::Fixed(width) = width
        && width < ways.len()
    {
        let text = format!(
            "`-j {width}` leaves some of the {} profiles without a request: give at least as many, or fewer profiles",
            ways.len()
        );
        return Err(Usage(text).into());
    }
    let identities = ways.into_iter().map(|way| {
        let transport: Arc<dyn Transport> = way.http;
        Identity { name: way.name, transport }
    });
    let pool = Pool::new(identities.collect());
    Ok(Arc::new(pool.ok_or_else(|| Usage("give a profile".to_owned()))?))
}

/// The ways for all identities that are named.
pub(crate) fn ways(connection: &Connection) -> anyhow::Result<Vec<Way>> {
    match choose(connection, &variable)? {
        Chosen::Profiles(names) => names
            .into_iter()
            .map(|name| {
                let (profile, http) = by_profile(&name)?;
                let Profile { url, ca, .. } = profile;
                Ok(Way { name, url, ca, http: Arc::new(http) })
            })
            .collect(),
        Chosen::Said(said) => {
            let http = Arc::new(as_said(&said)?);
            let url = said.url.unwrap_or_else(|| DEFAULT_URL.to_owned());
            Ok(vec![Way { name: String::new(), url, ca: said.ca, http }])
        }
    }
}

/// The profiles that count though no flag names them, so that a run is gone on with as the same callers.
pub(crate) fn unnamed_profiles(connection: &Connection) -> anyhow::Result<Vec<String>> {
    match choose(connection, &variable)? {
        Chosen::Profiles(names) if connection.profile.is_empty() => Ok(names),
        Chosen::Profiles(_) | Chosen::Said(_) => Ok(Vec::new()),
    }
}

fn by_profile(name: &str) -> anyhow::Result<(Profile, Http)> {
    let profile = Profiles::read(&profiles_file()?)?.find(name)?.clone();
    let http = open_profile(name, &profile)?;
    Ok((profile, http))
}

/// The way to a profile's service.
pub(crate) fn open_profile(name: &str, profile: &Profile) -> anyhow::Result<Http> {
    let address = profile.address(name)?;
    Ok(Http::new(&address).map_err(|err| Usage(err.to_string()))?)
}

/// Where profiles are kept.
pub(crate) fn profiles_file() -> Result<PathBuf, Usage> {
    Ok(config_directory()?.join("profiles.json"))
}

/// Where the user's programs keep their settings.
pub(crate) fn config_directory() -> Result<PathBuf, Usage> {
    let of = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    of("SHEAF_CONFIG")
        .or_else(|| of("XDG_CONFIG_HOME").or_else(|| of("APPDATA")).map(|home| home.join("sheaf")))
        .or_else(|| of("HOME").map(|home| home.join(".config").join("sheaf")))
        .ok_or_else(|| Usage("nobody says where profiles are kept: set SHEAF_CONFIG".to_owned()))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn choose(flags: &Connection, variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Chosen> {
    if !flags.profile.is_empty() {
        if is_said(flags) {
            let text = "a profile says where the service is and who calls: `--profile` goes without \
                        `--url`, `--token` and the like";
            return Err(Usage(text.to_owned()).into());
        }
        return Ok(Chosen::Profiles(distinct(&flags.profile)?));
    }
    let set: Vec<&str> = VARIABLES.into_iter().filter(|name| variable(name).is_some()).collect();
    if !is_said(flags) {
        match (variable("SHEAF_PROFILE"), set.first()) {
            (Some(_), Some(other)) => {
                let text = format!(
                    "SHEAF_PROFILE and {other} are both set: unset one of them, or give `--profile`"
                );
                return Err(Usage(text).into());
            }
            (Some(names), None) => {
                let names: Vec<String> =
                    names.split(',').map(|name| name.trim().to_owned()).collect();
                return Ok(Chosen::Profiles(distinct(&names)?));
            }
            (None, Some(_)) => {}
            (None, None) => {
                if let Some(name) = default_profile()? {
                    return Ok(Chosen::Profiles(vec![name]));
                }
            }
        }
    }
    warn_of_secrets(flags);
    Ok(Chosen::Said(Box::new(fill(flags, variable))))
}

fn distinct(names: &[String]) -> Result<Vec<String>, Usage> {
    for (place, name) in names.iter().enumerate() {
        if names.iter().take(place).any(|other| other == name) {
            return Err(Usage(format!(
                "profile `{name}` is named twice: its limits are not more for that"
            )));
        }
    }
    Ok(names.to_vec())
}

fn default_profile() -> anyhow::Result<Option<String>> {
    match profiles_file() {
        Ok(file) => Ok(Profiles::read(&file)?.default),
        // Without a place for profiles there is none.
        Err(_) => Ok(None),
    }
}

/// Other users of the machine see the arguments of a process.
fn warn_of_secrets(flags: &Connection) {
    for (flag, value, better) in [
        ("--token", &flags.token, "SHEAF_TOKEN"),
        ("--client-secret", &flags.client_secret, "SHEAF_CLIENT_SECRET"),
    ] {
        if value.is_some() {
            crate::output::note(&format!(
                "warning: other users of this machine can see `{flag}`: better set {better}, or make a profile"
            ));
        }
    }
}

/// Whether flags say anything about the connection beside profiles.
fn is_said(flags: &Connection) -> bool {
    let Connection {
        profile: _,
        url,
        token,
        token_command,
        token_file,
        client_id,
        client_secret,
        certificate,
        token_url,
        tenant,
        ca,
    } = flags;
    let texts = [url, token, token_command, client_id, client_secret, token_url, tenant];
    texts.into_iter().any(Option::is_some)
        || [token_file, certificate, ca].into_iter().any(Option::is_some)
}

/// Flags, and variables where flags say nothing. A flag that says who calls leaves no room for variables that say it
/// otherwise.
fn fill(flags: &Connection, variable: &dyn Fn(&str) -> Option<String>) -> Connection {
    let mut all = flags.clone();
    let or = |flag: &mut Option<String>, name: &str| {
        if flag.is_none() {
            *flag = variable(name);
        }
    };
    let or_path = |flag: &mut Option<PathBuf>, name: &str| {
        if flag.is_none() {
            *flag = variable(name).map(PathBuf::from);
        }
    };
    or(&mut all.url, "SHEAF_URL");
    or_path(&mut all.ca, "SHEAF_CA");
    let says_who = flags.token.is_some()
        || flags.token_command.is_some()
        || flags.token_file.is_some()
        || flags.client_id.is_some();
    if !says_who {
        or_path(&mut all.token_file, "SHEAF_TOKEN_FILE");
        // `sheaf parallel` sets both: the file for `sheaf`, whose token is renewed, the other for programs that know no such file.
        if all.token_file.is_none() {
            or(&mut all.token, "SHEAF_TOKEN");
        }
        or(&mut all.token_command, "SHEAF_TOKEN_COMMAND");
        or(&mut all.client_id, "SHEAF_CLIENT_ID");
    }
    if !says_who || flags.client_id.is_some() {
        or(&mut all.token_url, "SHEAF_TOKEN_URL");
        or(&mut all.tenant, "SHEAF_TENANT");
        if flags.certificate.is_none() && flags.client_secret.is_none() {
            or(&mut all.client_secret, "SHEAF_CLIENT_SECRET");
            or_path(&mut all.certificate, "SHEAF_CERTIFICATE");
        }
    }
    all
}

fn as_said(said: &Connection) -> anyhow::Result<Http> {
    let authorities = said.ca.as_ref().map(|file| {
        std::fs::read(file).map_err(|err| Usage(format!("`--ca {}`: {err}", file.display())))
    });
    let address = Address {
        url: said.url.clone().unwrap_or_else(|| DEFAULT_URL.to_owned()),
        credential: credential(said)?,
        authorities: authorities.transpose()?,
    };
    Ok(Http::new(&address).map_err(|err| Usage(err.to_string()))?)
}

fn credential(said: &Connection) -> anyhow::Result<Credential> {
    let Connection { token, token_command, token_file, client_id, .. } = said;
    let wrong = |text: &str| Err(Usage(text.to_owned()).into());
    let ways =
        [token.is_some(), token_command.is_some(), token_file.is_some(), client_id.is_some()];
    if ways.into_iter().filter(|is_given| *is_given).count() > 1 {
        return wrong(
            "give one of `--token`, `--token-command`, `--token-file` and `--client-id`, not several",
        );
    }
    if client_id.is_none()
        && (said.client_secret.is_some()
            || said.certificate.is_some()
            || said.token_url.is_some()
            || said.tenant.is_some())
    {
        return wrong(
            "`--client-secret`, `--certificate`, `--token-url` and `--tenant` go with `--client-id`",
        );
    }
    if let Some(token) = token {
        return Ok(Credential::Token(Secret::new(token)));
    }
    if let Some(command) = token_command {
        return Ok(Credential::Command(command.clone()));
    }
    if let Some(file) = token_file {
        return Ok(Credential::File(file.clone()));
    }
    let Some(client_id) = client_id else { return Ok(Credential::None) };
    let proof = match (&said.client_secret, &said.certificate) {
        (Some(_), Some(_)) => return wrong("give `--client-secret` or `--certificate`, not both"),
        (Some(secret), None) => Proof::Secret(Secret::new(secret)),
        (None, Some(file)) => Proof::Certificate(profile::certificate(file)?),
        (None, None) => {
            return wrong(
                "`--client-id` needs its secret: set SHEAF_CLIENT_SECRET, or give `--certificate`",
            );
        }
    };
    Ok(Credential::Application(Application {
        client_id: client_id.clone(),
        proof,
        issuer: Issuer { token_url: said.token_url.clone(), tenant: said.tenant.clone() },
    }))
}

/// A new seed.
pub(crate) fn seed() -> Seed {
    #[expect(clippy::disallowed_methods, reason = "the rim that reads the clock for a run's ids")]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let started_ms = u64::try_from(since.as_millis()).unwrap_or_default();
    // The standard library's hash keys are the process's source of randomness.
    let random = RandomState::new().hash_one((started_ms, std::process::id()));
    Seed { started_ms, random }
}

/// An input that is open.
pub(crate) struct Input {
    pub(crate) bytes: Bytes,
    pub(crate) format: Format,
    /// Where its end is, as the file has it: a compressed one gives more bytes than it has.
    pub(crate) total: Total,
}

/// Opens an input, unpacks it and finds out how it is written. Parquet comes as NDJSON.
pub(crate) fn open(path: &Path, format: Option<Format>) -> Result<Input, source::Error> {
    let named = format.or_else(|| Format::of_path(path));
    if named == Some(Format::Parquet) {
        return open_parquet(path);
    }
    let (bytes, read) = Counted::new(source::open_packed(path)?);
    let total = match std::fs::metadata(path) {
        Ok(file) if file.is_file() => Total::Bytes(file.len(), read),
        _ => Total::Unknown,
    };
    let bytes = compression::unpacked(Box::new(bytes), path)?;
    let (format, bytes) = match named {
        Some(format) => (format, bytes),
        None => source::sniff(bytes)?,
    };
    match format {
        Format::Parquet => open_parquet(path),
        format => Ok(Input { bytes, format, total }),
    }
}

fn open_parquet(path: &Path) -> Result<Input, source::Error> {
    let parquet = Parquet::open(path)?;
    let total = Total::Rows(parquet.rows());
    Ok(Input { bytes: Box::new(parquet), format: Format::Ndjson, total })
}

/// Refuses reports that would not be what their names say.
pub(crate) fn refuse_parquet(output: Option<&Path>, flag: &str) -> Result<(), Usage> {
    match output {
        Some(output) if Format::of_path(output) == Some(Format::Parquet) => Err(Usage(format!(
            "`{flag}` is written row by row, which Parquet is not: give a file that ends in .ndjson, or in .csv for a CSV input"
        ))),
        _ => Ok(()),
    }
}

/// Opens an output, compressed where its name says so; `-` is standard output.
pub(crate) fn create(path: &Path) -> anyhow::Result<Sink> {
    if path.as_os_str() == "-" {
        return Ok(Sink::plain(Box::new(std::io::stdout())));
    }
    Sink::create(path).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Refuses to overwrite what is read.
pub(crate) fn refuse_same(input: &Path, output: Option<&Path>, flag: &str) -> Result<(), Usage> {
    match output {
        Some(output) if client::set::is_same_file(input, output) => {
            Err(Usage(format!("`{flag}` would overwrite the input `{}`", input.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, Sheaf};
    use clap::Parser;

    fn flags(line: &str) -> Connection {
        let line = format!("sheaf get account {line}");
        let words = line.split(' ').filter(|word| !word.is_empty());
        let Command::Get(get) = Sheaf::try_parse_from(words).expect("it parses").command else {
            panic!("{line} is another command");
        };
        get.connection
    }

    /// Who calls, by flags and by variables.
    fn check(line: &str, variables: &[(&str, &str)], want: Result<&str, &str>) {
        let variable = |name: &str| {
            let mut all = variables.iter();
            all.find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        let got = match choose(&flags(line), &variable) {
            Ok(Chosen::Profiles(names)) => Ok(format!("profiles {}", names.join(" "))),
            Ok(Chosen::Said(said)) => credential(&said).map(|credential| format!("{credential:?}")),
            Err(error) => Err(error),
        };
        match (got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{line}"),
            (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{line}: {got}"),
            (got, want) => panic!("{line}: is {got:?}, should be {want:?}"),
        }
    }

    #[test]
    fn who_calls_is_said_in_one_way() {
        let url = [("SHEAF_URL", "http://x")];
        check("", &url, Ok("nobody"));
        check("--token t", &url, Ok("the bearer of a token"));
        check("--client-id i --client-secret s --tenant t", &[], Ok("application i"));
        check("--client-id i --client-secret s --token-url http://x", &[], Ok("application i"));
        check("--token-command x", &[], Ok("whoever a command gives tokens for"));
        check("--token-file x", &[], Ok("whoever a file holds a token for"));
        check("--client-id i", &[], Err("SHEAF_CLIENT_SECRET"));
        check("--client-secret s", &[], Err("--client-id"));
        check("--tenant t", &[], Err("--client-id"));
        check("--token t --client-id i --client-secret s", &[], Err("not several"));
        check("--client-id i --client-secret s --certificate f", &[], Err("not both"));
        check("--client-id i --certificate /none", &[], Err("/none"));
    }

    #[test]
    fn flags_count_before_variables_and_these_before_the_profile_in_use() {
        let secret = [("SHEAF_CLIENT_ID", "v"), ("SHEAF_CLIENT_SECRET", "s")];
        check("", &secret, Ok("application v"));
        check("--client-id f", &secret, Ok("application f"));
        check("--token t", &secret, Ok("the bearer of a token"));
        let handed = [("SHEAF_TOKEN", "t"), ("SHEAF_TOKEN_FILE", "f")];
        check("", &handed, Ok("whoever a file holds a token for"));
        check("--token t", &handed, Ok("the bearer of a token"));
        check("-p a", &secret, Ok("profiles a"));
        check("--profile a --profile b,c", &[], Ok("profiles a b c"));
        check("", &[("SHEAF_PROFILE", "a, b")], Ok("profiles a b"));
        check("-p c", &[("SHEAF_PROFILE", "a")], Ok("profiles c"));
        check("--url http://y", &[("SHEAF_PROFILE", "a")], Ok("nobody"));
        check("-p a --url http://y", &[], Err("`--profile` goes without"));
        check("-p a,a", &[], Err("named twice"));
        check("", &[("SHEAF_PROFILE", "a"), ("SHEAF_URL", "x")], Err("both set"));
    }
}
