//! The configuration file: TOML.
//!
//! ```toml
//! allowed-origins = ["https://app.example"]   # pages of these origins may call; "*" for all
//!
//! [unavailable]                      # messages that tables do not have, by logical name
//! account = ["CreateMultiple"]
//!
//! [auth]                             # who is let in: see `auth::settings`
//!
//! [plugins]                          # what plug-ins may use: see `plugins`
//! ```
//!
//! Not here: what the names mean (`pipeline`). Invariant: a key that is not known refuses to start.

use crate::auth::settings::AuthConfig;
use crate::options::Error;
use crate::plugins::PluginsConfig;
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
    /// Origins whose pages may call: `https://app.example`, or `*` for all.
    #[serde(rename = "allowed-origins")]
    pub allowed_origins: Vec<String>,
    /// Which tokens are accepted.
    pub auth: AuthConfig,
    /// Addresses of proxies whose `X-Forwarded-Proto` and `-Host` count, besides this machine.
    pub forwarded_from: Vec<IpAddr>,
    /// What plug-ins may use.
    pub plugins: PluginsConfig,
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Unreadable { path: path.into(), source })?;
        let config: Self = toml::from_str(&text).map_err(|source| Error::Configuration {
            path: path.into(),
            source: Box::new(source),
        })?;
        match config.allowed_origins.iter().find(|origin| !is_origin(origin)) {
            Some(origin) => Err(Error::Origin { path: path.into(), origin: origin.clone() }),
            None => Ok(config),
        }
    }
}

/// `*`, or scheme, host and port as browsers send them: lower case, without a path.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*"
        || rest.is_some_and(|host| {
            !host.is_empty() && !host.contains(['/', '?', '#', ' ']) && host == host.to_lowercase()
        })
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
    fn origins_are_written_as_browsers_send_them() {
        for origin in ["*", "https://app.example", "http://localhost:3000"] {
            assert!(is_origin(origin), "{origin}");
        }
        for other in ["", "app.example", "https://", "https://app.example/", "https://App.example"]
        {
            assert!(!is_origin(other), "{other}");
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
