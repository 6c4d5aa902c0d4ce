//! Connections by name: where a service is and who calls, without the secrets.
//!
//! In: a file of profiles. Out: a [`Profile`], and from it an [`Address`]. Not here: arguments and questions (`cli`).
//! Invariant: the file holds no secret, only the place of one; it is there as a whole or not at all.

use crate::secret::{self, Place};
use crate::token::{Application, BadCertificate, Certificate, Credential, Issuer, Person, Proof};
use crate::transport::Address;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The form of the file.
const VERSION: u32 = 1;
/// A name has at most so many characters.
const NAME_MAX: usize = 100;

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// `http://host:port`, with or without `/api/data/vX.Y`.
    pub url: String,
    /// File with certificates of authorities that are trusted besides the system's, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Where tokens are asked for, where the service does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// The tenant, where the service does not say the right one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Who calls.
    pub identity: Identity,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Identity {
    /// Nobody in particular.
    Nobody,
    /// An application with a secret.
    ClientSecret {
        /// Its client id.
        client_id: String,
        /// Where the secret lies.
        secret: Place,
    },
    /// An application with a certificate.
    Certificate {
        /// Its client id.
        client_id: String,
        /// PEM file with certificate and key.
        file: PathBuf,
    },
    /// A person who signed in with a code.
    DeviceCode {
        /// The client id of the application that the person uses.
        client_id: String,
        /// Where the refresh token lies.
        secret: Place,
    },
    /// Whoever a command gives tokens for.
    Command {
        /// The command, for the system's shell.
        command: String,
    },
}

impl Identity {
    /// The kind, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::ClientSecret { .. } => "client-secret",
            Self::Certificate { .. } => "certificate",
            Self::DeviceCode { .. } => "device-code",
            Self::Command { .. } => "command",
        }
    }

    /// The client id, where there is one.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::ClientSecret { client_id, .. }
            | Self::Certificate { client_id, .. }
            | Self::DeviceCode { client_id, .. } => Some(client_id),
            Self::Nobody | Self::Command { .. } => None,
        }
    }

    /// Where its secret lies, where that is ours to keep.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::ClientSecret { secret, .. } | Self::DeviceCode { secret, .. } => Some(secret),
            Self::Nobody | Self::Certificate { .. } | Self::Command { .. } => None,
        }
    }
}

/// All connections that have a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profiles {
    version: u32,
    /// The one that counts where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// By name.
    pub profiles: BTreeMap<String, Profile>,
}

impl Default for Profiles {
    fn default() -> Self {
        Self { version: VERSION, default: None, profiles: BTreeMap::new() }
    }
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No profile of this name.
    #[error("there is no profile `{name}`{}; `sheaf auth login {name}` makes one", others(there))]
    Missing {
        /// As given.
        name: String,
        /// Those that are there.
        there: Vec<String>,
    },
    /// No name.
    #[error("`{0}` is no name for a profile: letters, digits, `-`, `_` and `.`, not first `.`")]
    BadName(String),
    /// The file of profiles.
    #[error("cannot use the file of profiles, `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of profiles is not ours.
    #[error("cannot read the file of profiles, `{path}`: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The secret.
    #[error("profile `{name}` has no secret to use; `sheaf auth login {name}` gives it one")]
    Secret {
        /// The profile.
        name: String,
        /// Why.
        source: secret::Error,
    },
    /// A file of authorities or a certificate.
    #[error("`{path}` cannot be read")]
    Beside {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificate.
    #[error("`{path}` is no certificate to call with")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BadCertificate,
    },
}

fn others(there: &[String]) -> String {
    if there.is_empty() { String::new() } else { format!(" (there is {})", there.join(", ")) }
}

/// Reads a certificate with its key.
pub fn certificate(path: &Path) -> Result<Arc<Certificate>, Error> {
    let failed = |source| Error::Beside { path: path.to_owned(), source };
    let pem = std::fs::read(path).map_err(failed)?;
    let certificate = Certificate::read(&pem);
    certificate.map(Arc::new).map_err(|source| Error::Certificate { path: path.to_owned(), source })
}

impl Profile {
    /// The way to its service; reads what lies beside it. `name` is what errors call it.
    pub fn address(&self, name: &str) -> Result<Address, Error> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| Error::Beside { path: path.clone(), source })
        };
        let authorities = self.ca.as_ref().map(read).transpose()?;
        let issuer = Issuer { token_url: self.token_url.clone(), tenant: self.tenant.clone() };
        let application = |client_id: &String, proof| {
            let client_id = client_id.clone();
            Credential::Application(Application { client_id, proof, issuer: issuer.clone() })
        };
        let credential = match &self.identity {
            Identity::Nobody => Credential::None,
            Identity::ClientSecret { client_id, secret } => {
                let secret = secret
                    .read()
                    .map_err(|source| Error::Secret { name: name.to_owned(), source })?;
                application(client_id, Proof::Secret(secret))
            }
            Identity::Certificate { client_id, file } => {
                application(client_id, Proof::Certificate(certificate(file)?))
            }
            Identity::DeviceCode { client_id, secret } => Credential::Person(Person {
                client_id: client_id.clone(),
                issuer: issuer.clone(),
                kept: secret.clone(),
            }),
            Identity::Command { command } => Credential::Command(command.clone()),
        };
        Ok(Address { url: self.url.clone(), credential, authorities })
    }
}

impl Profiles {
    /// Reads the file; none is the same as an empty one.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(Error::File { path: path.to_owned(), source }),
        };
        let unreadable = |why: String| Error::Unreadable { path: path.to_owned(), why };
        let profiles: Self =
            serde_json::from_str(&text).map_err(|err| unreadable(err.to_string()))?;
        match profiles.version {
            VERSION => Ok(profiles),
            other => Err(unreadable(format!("it has version {other}, known is {VERSION}"))),
        }
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|err| failed(io::Error::other(err)))?;
        text.push(b'\n');
        secret::write_private(path, &text).map_err(failed)
    }

    /// The profile of a name.
    pub fn find(&self, name: &str) -> Result<&Profile, Error> {
        self.profiles.get(name).ok_or_else(|| Error::Missing {
            name: name.to_owned(),
            there: self.profiles.keys().cloned().collect(),
        })
    }

    /// Refuses what is no name.
    pub fn check_name(name: &str) -> Result<(), Error> {
        let is_legal = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_good = !name.is_empty()
            && name.len() <= NAME_MAX
            && !name.starts_with('.')
            && name.chars().all(is_legal);
        is_good.then_some(()).ok_or_else(|| Error::BadName(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn profile(secret: Place) -> Profile {
        Profile {
            url: "https://org.example".to_owned(),
            ca: None,
            token_url: None,
            tenant: Some("t".to_owned()),
            identity: Identity::ClientSecret { client_id: "id".to_owned(), secret },
        }
    }

    #[test]
    fn profiles_are_kept_without_their_secrets() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("sheaf").join("profiles.json");
        assert_eq!(Profiles::read(&path).expect("none yet"), Profiles::default());
        let place = Place::File(home.path().join("secret"));
        place.write(&Secret::new("hush")).expect("written");
        let mut profiles = Profiles { default: Some("a".to_owned()), ..Profiles::default() };
        profiles.profiles.insert("a".to_owned(), profile(place.clone()));
        let command = Identity::Command { command: "print".to_owned() };
        let other = Profile { identity: command, ..profile(place.clone()) };
        profiles.profiles.insert("b".to_owned(), other);
        profiles.write(&path).expect("written");
        assert_eq!(Profiles::read(&path).expect("read"), profiles);
        let text = std::fs::read_to_string(&path).expect("there");
        assert!(!text.contains("hush"), "{text}");
        let address = profiles.find("a").expect("there").address("a").expect("usable");
        assert_eq!(format!("{:?}", address.credential), "application id");
        assert!(!format!("{address:?}").contains("hush"));
        let said = profiles.find("c").expect_err("missing").to_string();
        assert!(said.contains("there is a, b"), "{said}");
        place.forget().expect("gone");
        let error = profiles.find("a").expect("there").address("a").expect_err("no secret");
        assert!(error.to_string().contains("`sheaf auth login a`"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_file_of_profiles_is_refused() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("profiles.json");
        for text in ["", "{}", r#"{"version": 9, "profiles": {}}"#] {
            std::fs::write(&path, text).expect("written");
            assert!(matches!(Profiles::read(&path), Err(Error::Unreadable { .. })), "{text}");
        }
    }

    #[test]
    fn names_are_names_of_files() {
        for name in ["a", "prod-1", "a.b_c"] {
            assert!(Profiles::check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".a", "a b", "a/b", "a,b", "ä:", &"a".repeat(101)] {
            assert!(Profiles::check_name(name).is_err(), "{name}");
        }
    }
}
