//! Secrets: texts that nothing prints, and the places where they lie between two calls.
//!
//! Not here: what a secret is for (`token`), which connection has which (`profile`).
//! Invariant: a secret is shown by no `Debug` and no error; one that is kept in a file is in one that its owner alone can
//! read; no place takes the place of another by itself.

use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A text that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a text in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for where it is needed.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Strikes the secret out of a text that others wrote.
    pub(crate) fn struck_out(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "…") }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Where a secret lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In the key store of the operating system, under this name.
    Keystore(String),
    /// In a file that its owner alone can read.
    File(PathBuf),
    /// In an environment variable.
    Environment(String),
}

/// Why a secret is not to be had, or cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key store.
    #[error(
        "the operating system's key store cannot be used ({why}); `--keep-in file` keeps the secret in a \
         file that you alone can read, `--keep-in env:NAME` takes it from a variable"
    )]
    Keystore {
        /// What it says.
        why: String,
    },
    /// The key store does not have it.
    #[error("the key store has no secret under `{0}` (some lose theirs at a restart)")]
    NotInKeystore(String),
    /// The file.
    #[error("cannot use the file of the secret, `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file can be read by others.
    #[error(
        "`{0}` holds a secret and can be read by others: `chmod 600` it, and better change the secret"
    )]
    Open(PathBuf),
    /// There is no such file.
    #[error("the file of the secret, `{0}`, is not there")]
    NoFile(PathBuf),
    /// There is no such variable.
    #[error("the variable `{0}` is not set; it should hold the secret")]
    NoVariable(String),
    /// Nothing can be kept in a variable.
    #[error("what is to be kept cannot be kept in the variable `{0}`")]
    ReadOnly(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Keystore(_) => f.write_str("key store"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "variable {name}"),
        }
    }
}

impl Place {
    /// The secret.
    pub fn read(&self) -> Result<Secret, Error> {
        match self {
            Self::Keystore(name) => keystore::read(name),
            Self::File(path) => read_file(path),
            Self::Environment(name) => match std::env::var(name) {
                Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
                _ => Err(Error::NoVariable(name.clone())),
            },
        }
    }

    /// Keeps a secret, in place of the one before.
    pub fn write(&self, secret: &Secret) -> Result<(), Error> {
        match self {
            Self::Keystore(name) => keystore::write(name, secret),
            Self::File(path) => write_private(path, secret.expose().as_bytes())
                .map_err(|source| Error::File { path: path.clone(), source }),
            Self::Environment(name) => Err(Error::ReadOnly(name.clone())),
        }
    }

    /// Forgets the secret, where it is there and ours to forget.
    pub fn forget(&self) -> Result<(), Error> {
        match self {
            Self::Keystore(name) => keystore::forget(name),
            Self::File(path) => match std::fs::remove_file(path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    Err(Error::File { path: path.clone(), source })
                }
                _ => Ok(()),
            },
            Self::Environment(_) => Ok(()),
        }
    }
}

fn read_file(path: &Path) -> Result<Secret, Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => Error::NoFile(path.to_owned()),
        _ => Error::File { path: path.to_owned(), source },
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Error::Open(path.to_owned()));
        }
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

/// Writes a file that its owner alone can read: under another name first, so that it is there as a whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(directory) = directory {
        std::fs::create_dir_all(directory)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // A name for this write alone: others may write at the same time.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}.{write}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    // What a process of the same number left behind is nobody's.
    drop(std::fs::remove_file(&beside));
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let moved = written.and_then(|()| std::fs::rename(&beside, path));
    if moved.is_err() {
        drop(std::fs::remove_file(&beside));
    }
    moved
}

#[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows"))]
mod keystore {
    use super::{Error, Secret};
    use keyring::Entry;

    const SERVICE: &str = "sheaf";

    fn unusable(error: &keyring::Error) -> Error {
        // Its texts say what failed, never what was kept; `BadEncoding` would hold the bytes.
        let why = match error {
            keyring::Error::BadEncoding(_) => "what it holds is no text".to_owned(),
            error => error.to_string(),
        };
        Error::Keystore { why }
    }

    fn entry(name: &str) -> Result<Entry, Error> {
        Entry::new(SERVICE, name).map_err(|error| unusable(&error))
    }

    pub(super) fn read(name: &str) -> Result<Secret, Error> {
        match entry(name)?.get_password() {
            Ok(text) => Ok(Secret::new(text)),
            Err(keyring::Error::NoEntry) => Err(Error::NotInKeystore(name.to_owned())),
            Err(error) => Err(unusable(&error)),
        }
    }

    pub(super) fn write(name: &str, secret: &Secret) -> Result<(), Error> {
        let entry = entry(name)?;
        entry.set_password(secret.expose()).map_err(|error| unusable(&error))?;
        // A key store that forgets at once is none.
        match entry.get_password() {
            Ok(kept) if kept == secret.expose() => Ok(()),
            Ok(_) => Err(Error::Keystore { why: "it gives back something else".to_owned() }),
            Err(error) => Err(unusable(&error)),
        }
    }

    pub(super) fn forget(name: &str) -> Result<(), Error> {
        match entry(name)?.delete_credential() {
            Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
            Err(error) => Err(unusable(&error)),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "windows")))]
mod keystore {
    use super::{Error, Secret};

    fn none<T>() -> Result<T, Error> {
        Err(Error::Keystore { why: "none is known on this system".to_owned() })
    }

    pub(super) fn read(_: &str) -> Result<Secret, Error> {
        none()
    }

    pub(super) fn write(_: &str, _: &Secret) -> Result<(), Error> {
        none()
    }

    pub(super) fn forget(_: &str) -> Result<(), Error> {
        none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("hush");
        assert!(!format!("{secret:?}").contains("hush"));
        assert_eq!(secret.struck_out("no hush here"), "no … here");
        assert_eq!(Secret::new("").struck_out("text"), "text");
    }

    #[test]
    fn a_file_is_its_owners_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("deep").join("secret");
        let place = Place::File(path.clone());
        assert!(matches!(place.read(), Err(Error::NoFile(_))));
        for text in ["one", "two"] {
            place.write(&Secret::new(text)).expect("written");
            assert_eq!(place.read().expect("it is there"), Secret::new(text));
        }
        let names = std::fs::read_dir(path.parent().expect("a parent")).expect("a list").count();
        assert_eq!(names, 1, "nothing is left beside it");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |mode| std::fs::Permissions::from_mode(mode);
            assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, mode(0o640)).expect("changed");
            assert!(matches!(place.read(), Err(Error::Open(_))));
        }
        place.forget().expect("gone");
        place.forget().expect("twice is no error");
        assert!(matches!(place.read(), Err(Error::NoFile(_))));
    }

    #[test]
    fn a_variable_is_read_and_never_written() {
        let place = Place::Environment("SHEAF_NO_SUCH_VARIABLE".to_owned());
        assert!(matches!(place.read(), Err(Error::NoVariable(_))));
        let error = place.write(&Secret::new("hush")).expect_err("read alone").to_string();
        assert!(error.contains("SHEAF_NO_SUCH_VARIABLE") && !error.contains("hush"), "{error}");
        place.forget().expect("nothing to do");
    }

    /// A machine without a key store says so, and what to do instead; one that has one keeps what it is given.
    #[test]
    fn the_key_store_keeps_what_it_is_given_or_says_that_it_cannot() {
        let place = Place::Keystore(format!("test-{}", std::process::id()));
        match place.write(&Secret::new("hush")) {
            Ok(()) => {
                assert_eq!(place.read().expect("kept"), Secret::new("hush"));
                place.forget().expect("forgotten");
                assert!(matches!(place.read(), Err(Error::NotInKeystore(_))));
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("--keep-in file") && !text.contains("hush"), "{text}");
            }
        }
    }
}
