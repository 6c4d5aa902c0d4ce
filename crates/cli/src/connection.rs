//! The way to the service, the seed of a run, and inputs and outputs by their names.

use crate::args::{Connection, Usage};
use crate::progress::{Counted, Total};
use anyhow::Context;
use client::compression::{self, Sink};
use client::ids::Seed;
use client::service::Service;
use client::source::{self, Bytes, Format};
use client::token::{ClientSecret, Credential};
use client::transport::{Address, Http};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The service that the arguments name.
pub(crate) fn service(connection: &Connection) -> anyhow::Result<Service> {
    Ok(Service::new(Arc::new(http(connection)?)))
}

/// The way to it.
pub(crate) fn http(connection: &Connection) -> anyhow::Result<Http> {
    let authorities = connection.ca.as_ref().map(|file| {
        std::fs::read(file).map_err(|err| Usage(format!("`--ca {}`: {err}", file.display())))
    });
    let address = Address {
        url: connection.url.clone(),
        credential: credential(connection)?,
        authorities: authorities.transpose()?,
    };
    Ok(Http::new(&address).map_err(|err| Usage(err.to_string()))?)
}

fn credential(connection: &Connection) -> Result<Credential, Usage> {
    let Connection { token, client_id, client_secret, token_url, tenant, .. } = connection;
    let wrong = |text: &str| Err(Usage(text.to_owned()));
    match (token, client_id, client_secret) {
        (Some(_), Some(_), _) => wrong("give `--token` or `--client-id`, not both"),
        (Some(token), None, _) => Ok(Credential::Token(token.clone())),
        (None, None, None) if token_url.is_none() && tenant.is_none() => Ok(Credential::None),
        (None, Some(client_id), Some(client_secret)) => Ok(Credential::Secret(ClientSecret {
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            token_url: token_url.clone(),
            tenant: tenant.clone(),
        })),
        (None, Some(_), None) => wrong(
            "`--client-id` needs its secret: set SHEAF_CLIENT_SECRET, or give `--client-secret`",
        ),
        (None, None, _) => {
            wrong("`--client-secret`, `--token-url` and `--tenant` go with `--client-id`")
        }
    }
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

/// Opens an input, unpacks it and finds out how it is written.
pub(crate) fn open(path: &Path, format: Option<Format>) -> Result<Input, source::Error> {
    let (bytes, read) = Counted::new(source::open_packed(path)?);
    let total = match std::fs::metadata(path) {
        Ok(file) if file.is_file() => Total::Bytes(file.len(), read),
        _ => Total::Unknown,
    };
    let bytes = compression::unpacked(Box::new(bytes), path)?;
    let (format, bytes) = match format.or_else(|| Format::of_path(path)) {
        Some(format) => (format, bytes),
        None => source::sniff(bytes)?,
    };
    Ok(Input { bytes, format, total })
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

    fn check(flags: &str, want: Result<&str, &str>) {
        let line = format!("sheaf get account {flags}");
        let words = line.split(' ').filter(|word| !word.is_empty());
        let Command::Get(get) = Sheaf::try_parse_from(words).expect(flags).command else {
            panic!("{line} is another command");
        };
        let got = credential(&get.connection).map(|credential| format!("{credential:?}"));
        match (got, want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{flags}"),
            (Err(Usage(got)), Err(want)) => assert!(got.contains(want), "{flags}: {got}"),
            (got, want) => panic!("{flags}: is {got:?}, should be {want:?}"),
        }
    }

    #[test]
    fn who_calls_is_said_in_one_way() {
        check("", Ok("nobody"));
        check("--token t", Ok("the bearer of a token"));
        check("--client-id i --client-secret s --tenant t", Ok("application i"));
        check("--client-id i --client-secret s --token-url http://x", Ok("application i"));
        check("--client-id i", Err("SHEAF_CLIENT_SECRET"));
        check("--client-secret s", Err("--client-id"));
        check("--tenant t", Err("--client-id"));
        check("--token t --client-id i --client-secret s", Err("not both"));
    }
}
