//! Who the commands are for the service: each chunk gets one identity, and a token that stays fresh.
//!
//! A token that can be renewed is kept in a file for as long as commands run; they read it anew when they need one, so
//! that no command asks for tokens itself and none gets the secret. Programs that know no such file get the token of the
//! moment in a variable.
//! Invariant: the files can be read by their owner alone, and are gone when the call ends.

use crate::connection::Way;
use anyhow::Context;
use client::secret;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// What a command finds in its environment.
pub(super) type Variables = Vec<(&'static str, OsString)>;

/// So long after a failure a token is asked for again.
const AGAIN: Duration = Duration::from_secs(30);
/// Not more often than this, whatever the issuer says.
const INTERVAL_MIN: Duration = Duration::from_millis(500);

pub(super) struct Callers {
    ways: Vec<Way>,
    directory: TempDir,
}

impl Callers {
    pub(super) fn new(ways: Vec<Way>) -> std::io::Result<Self> {
        Ok(Self { ways, directory: tempfile::Builder::new().prefix("sheaf-").tempdir()? })
    }

    /// What the command of a chunk is given. Chunks are dealt out among the identities.
    pub(super) async fn variables(&self, chunk: u64) -> anyhow::Result<Variables> {
        let place = usize::try_from(chunk % self.ways.len() as u64)?;
        let way = &self.ways[place];
        let mut variables: Variables = vec![("SHEAF_URL", OsString::from(&way.url))];
        if let Some(ca) = &way.ca {
            variables.push(("SHEAF_CA", ca.into()));
        }
        if let Some(token) = way.http.token().await? {
            if way.http.token_renews_at().await.is_some() {
                let file = self.file(place);
                secret::write_private(&file, token.expose().as_bytes())
                    .context("the token cannot be handed on")?;
                variables.push(("SHEAF_TOKEN_FILE", file.into()));
            }
            variables.push(("SHEAF_TOKEN", token.expose().into()));
        }
        Ok(variables)
    }

    fn file(&self, place: usize) -> PathBuf {
        self.directory.path().join(format!("token-{place}"))
    }

    /// Renews the tokens ahead of their end, for commands that run for long; never ends.
    pub(super) async fn keep_fresh(&self) {
        let all = (0..self.ways.len()).map(|place| self.keep_one_fresh(place));
        futures_util::future::join_all(all).await;
        std::future::pending().await
    }

    async fn keep_one_fresh(&self, place: usize) {
        let way = &self.ways[place];
        loop {
            // Nothing is asked for before the first command needs it.
            let Some(at) = way.http.token_renews_at().await else {
                tokio::time::sleep(INTERVAL_MIN).await;
                continue;
            };
            tokio::time::sleep_until(at.max(Instant::now() + INTERVAL_MIN)).await;
            let written = match way.http.token().await {
                Ok(Some(token)) => {
                    secret::write_private(&self.file(place), token.expose().as_bytes()).is_ok()
                }
                Ok(None) | Err(_) => false,
            };
            // The next command that needs one says what is wrong.
            if !written {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}
