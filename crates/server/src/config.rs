//! The configuration file: TOML.
//!
//! ```toml
//! [unavailable]                      # messages that tables do not have, by logical name
//! account = ["CreateMultiple"]
//!
//! [auth]                             # who is let in: see `auth::settings`
//! ```
//!
//! Not here: what the names mean (`pipeline`). Invariant: a key that is not known refuses to start.

use crate::auth::settings::AuthConfig;
use crate::options::Error;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// What the configuration file says.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Per table, by logical name, the messages that are not available for it.
    pub unavailable: BTreeMap<String, Vec<String>>,
    /// Which tokens are accepted.
    pub auth: AuthConfig,
    /// Addresses of proxies whose `X-Forwarded-Proto` and `-Host` count, besides this machine.
    pub forwarded_from: Vec<IpAddr>,
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Unreadable { path: path.into(), source })?;
        toml::from_str(&text)
            .map_err(|source| Error::Configuration { path: path.into(), source: Box::new(source) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Result<&[(&str, &[&str])], &str>) {
        let read = toml::from_str::<Config>(text);
        match (read, want) {
            (Ok(config), Ok(want)) => {
                let want = want.iter().map(|(table, messages)| {
                    let messages = messages.iter().map(|name| (*name).to_owned()).collect();
                    ((*table).to_owned(), messages)
                });
                assert_eq!(config.unavailable, want.collect(), "{text}");
            }
            (Err(error), Err(want)) => {
                let error = error.to_string();
                assert!(error.contains(want), "{text}: {error}");
            }
            (read, want) => panic!("{text}: is {read:?}, should be {want:?}"),
        }
    }

    #[test]
    fn what_the_file_says_is_known_or_refused() {
        check("", Ok(&[]));
        check("[unavailable]", Ok(&[]));
        check(
            "[unavailable]\naccount = [\"CreateMultiple\", \"Create\"]",
            Ok(&[("account", &["CreateMultiple", "Create"])]),
        );
        check("unavailabel = 1", Err("unavailabel"));
        check("[unavailable]\naccount = \"Create\"", Err("sequence"));
        check("[unavailable", Err("TOML"));
    }
}
