//! The way to the service, the seed of a run, and inputs by their names.

use crate::args::{Connection, Usage};
use client::ids::Seed;
use client::service::Service;
use client::source::{self, Bytes, Format};
use client::transport::{Address, Http};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The service that the arguments name.
pub(crate) fn service(connection: &Connection) -> anyhow::Result<Service> {
    let address = Address { url: connection.url.clone(), token: connection.token.clone() };
    let http = Http::new(&address).map_err(|err| Usage(err.to_string()))?;
    Ok(Service::new(Arc::new(http)))
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

/// Opens an input and finds out how it is written.
pub(crate) fn open(path: &Path, format: Option<Format>) -> Result<(Bytes, Format), source::Error> {
    let bytes = source::open(path)?;
    match format.or_else(|| Format::of_path(path)) {
        Some(format) => Ok((bytes, format)),
        None => source::sniff(bytes).map(|(format, bytes)| (bytes, format)),
    }
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
