//! Runs that outlive their process: what was asked, what it was asked of, and the journal.
//!
//! In: a directory that holds one directory for each run, `run.json` and `journal` in it. Out: a run
//! that is begun, or taken up again with the rows that are left.
//! Not here: what a journal says (`journal::log`), sending (`sender`), arguments (`cli`).
//! Invariant: one process works on a run at a time; an input that has changed is not taken for the one
//! that the journal speaks of.

use crate::ids::Seed;
use crate::journal::Counts;
use crate::journal::Outcome;
use crate::journal::log::{Log, Past, State};
use crate::rows::Sent;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, UNIX_EPOCH};

/// As much of an input's start and of its end tells whether it is the same.
const BLOCK_BYTES: u64 = 64 << 10;
/// What was written is on the medium after this long.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Why a run cannot be worked on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is no name of a directory.
    #[error("`{0}` is no name for a run: letters, digits, `-`, `_` and `.`, not first `.`")]
    BadName(String),
    /// There is one already.
    #[error("there is a run `{0}` already: `sheaf run resume {0}` goes on with it")]
    Exists(String),
    /// There is none.
    #[error("there is no run `{0}`")]
    Missing(String),
    /// Another process works on it.
    #[error("another process is at work on run `{0}`")]
    Busy(String),
    /// The input is not the one that the run began with.
    #[error(
        "`{path}` has changed since the run began: {what}; `--force` goes on all the same, with rows \
         counted from the top"
    )]
    Changed {
        /// The input.
        path: PathBuf,
        /// In what.
        what: &'static str,
    },
    /// A file of the run.
    #[error("cannot use `{path}`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `run.json` is not ours.
    #[error("cannot read `{path}`: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// What a run was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this file.
    pub version: u32,
    /// The arguments that the run began with, without secrets.
    pub arguments: Vec<String>,
    /// The directory that paths among them are relative to.
    pub directory: PathBuf,
    /// The input.
    pub input: Fingerprint,
    /// What ids grow from: when it began, …
    pub started_ms: u64,
    /// … and chance.
    pub random: u64,
}

impl Manifest {
    /// What ids grow from.
    pub fn seed(&self) -> Seed {
        Seed { started_ms: self.started_ms, random: self.random }
    }
}

/// By what an input is known again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Where it lies.
    pub path: PathBuf,
    size: u64,
    modified_ms: u64,
    /// Of the first and the last block.
    hash: String,
}

impl Fingerprint {
    /// Looks at a file.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { path: path.to_owned(), source };
        let path = path.canonicalize().map_err(failed)?;
        let mut file = File::open(&path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let size = metadata.len();
        let mut block = Vec::new();
        (&mut file).take(BLOCK_BYTES).read_to_end(&mut block).map_err(failed)?;
        file.seek(SeekFrom::Start(size.saturating_sub(BLOCK_BYTES))).map_err(failed)?;
        file.take(BLOCK_BYTES).read_to_end(&mut block).map_err(failed)?;
        let hash = block.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let modified_ms = modified.map_or(0, |since| since.as_millis());
        let modified_ms = u64::try_from(modified_ms).unwrap_or(u64::MAX);
        Ok(Self { path, size, modified_ms, hash: format!("{hash:016x}") })
    }

    /// Says in what it differs from what the file was.
    fn difference(&self, earlier: &Self) -> Option<&'static str> {
        if self.size != earlier.size {
            Some("another size")
        } else if self.hash != earlier.hash {
            Some("another beginning or end")
        } else if self.modified_ms != earlier.modified_ms {
            Some("another time of change")
        } else {
            None
        }
    }
}

/// Where runs are kept.
#[derive(Clone, Debug)]
pub struct Runs {
    directory: PathBuf,
}

/// Which rows of a run are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Those without an outcome.
    Rest,
    /// Those that failed.
    Failed,
    /// Those that failed, and those that were skipped for want of a record that may be there by now.
    Undone,
}

/// What is to be done about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It is left out: it has ended.
    Skip,
    /// It is sent, perhaps once more.
    Send(Sent),
}

/// Says of every row whether it is still to be sent.
#[derive(Clone, Debug)]
pub struct Selection {
    past: Arc<Past>,
    wish: Wish,
}

impl Selection {
    /// Selects by what a journal says.
    pub fn new(past: Arc<Past>, wish: Wish) -> Self {
        Self { past, wish }
    }

    /// What is to be done about a row.
    pub fn take(&self, ordinal: u64) -> Take {
        match (self.wish, self.past.of(ordinal)) {
            (Wish::Rest, State::Unknown) => Take::Send(Sent::Perhaps),
            (Wish::Rest, State::Sent) => Take::Send(Sent::Yes),
            (Wish::Rest, State::Ended(_)) => Take::Skip,
            (Wish::Failed | Wish::Undone, State::Ended(Outcome::Failed))
            | (Wish::Undone, State::Ended(Outcome::Skipped)) => Take::Send(Sent::Again),
            (Wish::Failed | Wish::Undone, State::Unknown | State::Sent | State::Ended(_)) => {
                Take::Skip
            }
        }
    }

    /// The accounts of the rows that are left out.
    pub fn earlier(&self) -> Counts {
        self.past.counts(|outcome| match self.wish {
            Wish::Rest => true,
            Wish::Failed => outcome != Outcome::Failed,
            Wish::Undone => !matches!(outcome, Outcome::Failed | Outcome::Skipped),
        })
    }
}

/// A run that this process works on.
pub struct Run {
    /// Its name.
    pub name: String,
    /// What it was asked.
    pub manifest: Manifest,
    past: Arc<Past>,
    journal: File,
    // Whoever holds it works on the run.
    _lock: File,
}

/// A run as it stands, for lists and reports.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// What it was asked.
    pub manifest: Manifest,
    /// The rows that have ended.
    pub counts: Counts,
    /// Rows that were sent and have no outcome.
    pub open: u64,
}

impl Runs {
    /// Those in a directory, which need not be there yet.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Begins a run.
    pub fn begin(&self, name: &str, manifest: Manifest) -> Result<Run, Error> {
        let directory = self.directory_of(name)?;
        let failed = |source| Error::File { path: directory.clone(), source };
        fs::create_dir_all(&self.directory).map_err(failed)?;
        match fs::create_dir(&directory) {
            Ok(()) => {}
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Exists(name.to_owned()));
            }
            Err(err) => return Err(failed(err)),
        }
        let text =
            serde_json::to_string_pretty(&manifest).map_err(|err| failed(io::Error::other(err)))?;
        // Under another name first: a run is there as a whole or not at all.
        let path = directory.join("run.json");
        let beside = directory.join("run.json.new");
        let mut file = File::create(&beside).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&beside, &path).map_err(failed)?;
        self.open(name)
    }

    /// Takes a run up again.
    pub fn open(&self, name: &str) -> Result<Run, Error> {
        let directory = self.directory_of(name)?;
        let manifest = self.manifest(name)?;
        let path = directory.join("lock");
        let lock = File::create(&path).map_err(|source| Error::File { path, source })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy(name.to_owned())),
            Err(TryLockError::Error(source)) => {
                return Err(Error::File { path: directory.join("lock"), source });
            }
        }
        let path = directory.join("journal");
        let failed = |source| Error::File { path: path.clone(), source };
        let mut journal =
            File::options().create(true).append(true).read(true).open(&path).map_err(failed)?;
        let mut text = Vec::new();
        journal.read_to_end(&mut text).map_err(failed)?;
        let past = Arc::new(Past::read(&text));
        if past.ends_in_line() {
            journal.write_all(b"\n").map_err(failed)?;
        }
        Ok(Run { name: name.to_owned(), manifest, past, journal, _lock: lock })
    }

    /// How a run stands, whoever works on it.
    pub fn standing(&self, name: &str) -> Result<Standing, Error> {
        let manifest = self.manifest(name)?;
        let path = self.directory_of(name)?.join("journal");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(Error::File { path, source }),
        };
        let past = Past::read(&text);
        Ok(Standing {
            name: name.to_owned(),
            manifest,
            counts: past.counts(|_| true),
            open: past.open(),
        })
    }

    /// The names of all runs, in order.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let failed = |source| Error::File { path: self.directory.clone(), source };
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(err) => return Err(failed(err)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.path().join("run.json").is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn manifest(&self, name: &str) -> Result<Manifest, Error> {
        let path = self.directory_of(name)?.join("run.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                return Err(Error::Missing(name.to_owned()));
            }
            Err(source) => return Err(Error::File { path, source }),
        };
        let manifest: Manifest = serde_json::from_str(&text)
            .map_err(|err| Error::Unreadable { path: path.clone(), why: err.to_string() })?;
        if manifest.version != VERSION {
            let why = format!("it has version {}, known is {VERSION}", manifest.version);
            return Err(Error::Unreadable { path, why });
        }
        Ok(manifest)
    }

    fn directory_of(&self, name: &str) -> Result<PathBuf, Error> {
        let is_legal = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty()
            || name.len() > 100
            || name.starts_with('.')
            || !name.chars().all(is_legal)
        {
            return Err(Error::BadName(name.to_owned()));
        }
        Ok(self.directory.join(name))
    }
}

/// The form of `run.json`.
pub const VERSION: u32 = 1;

impl Run {
    /// Refuses an input that is not the one that the run began with.
    pub fn check_input(&self) -> Result<(), Error> {
        let earlier = &self.manifest.input;
        match Fingerprint::of(&earlier.path)?.difference(earlier) {
            None => Ok(()),
            Some(what) => Err(Error::Changed { path: earlier.path.clone(), what }),
        }
    }

    /// Which rows are left.
    pub fn selection(&self, wish: Wish) -> Selection {
        Selection::new(Arc::clone(&self.past), wish)
    }

    /// The journal, to go on with.
    pub fn log(&self) -> Result<Log, Error> {
        let failed = |source| Error::File { path: PathBuf::from(&self.name), source };
        let file = self.journal.try_clone().map_err(failed)?;
        Ok(Log::new(Box::new(Durable::new(file).map_err(failed)?)))
    }
}

/// A file whose bytes are brought to the medium every second by a thread of its own. What a process
/// has written outlives its end at once; the interval counts where the machine itself stops.
struct Durable {
    file: File,
    wake: Option<mpsc::SyncSender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Durable {
    fn new(file: File) -> io::Result<Self> {
        let other = file.try_clone()?;
        // One mark is enough: it says that something is new.
        let (wake, woken) = mpsc::sync_channel::<()>(1);
        let thread = std::thread::spawn(move || {
            while woken.recv().is_ok() {
                let ended =
                    woken.recv_timeout(SYNC_INTERVAL) == Err(RecvTimeoutError::Disconnected);
                // A medium that cannot be synced still holds what was written.
                drop(other.sync_data());
                if ended {
                    return;
                }
            }
        });
        Ok(Self { file, wake: Some(wake), thread: Some(thread) })
    }
}

impl Write for Durable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(wake) = &self.wake {
            match wake.try_send(()) {
                // A full channel has the mark already.
                Ok(()) | Err(mpsc::TrySendError::Full(())) => {}
                Err(mpsc::TrySendError::Disconnected(())) => self.file.sync_data()?,
            }
        }
        Ok(())
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(input: &Path) -> Manifest {
        Manifest {
            version: VERSION,
            arguments: vec!["set".to_owned()],
            directory: PathBuf::from("/"),
            input: Fingerprint::of(input).expect("it is there"),
            started_ms: 1,
            random: 2,
        }
    }

    #[test]
    fn a_run_is_begun_once_and_taken_up_with_what_is_left() {
        let home = tempfile::tempdir().expect("a directory");
        let input = home.path().join("in.csv");
        fs::write(&input, "a\n1\n").expect("written");
        let runs = Runs::new(home.path().join("runs"));
        assert_eq!(runs.names().expect("none yet"), Vec::<String>::new());
        assert!(matches!(runs.open("a"), Err(Error::Missing(_))));
        assert!(matches!(runs.begin("../a", manifest(&input)), Err(Error::BadName(_))));
        let run = runs.begin("a", manifest(&input)).expect("begun");
        assert!(matches!(runs.begin("a", manifest(&input)), Err(Error::Exists(_))));
        assert!(matches!(runs.open("a"), Err(Error::Busy(_))));
        let mut log = run.log().expect("a journal");
        (0..4).for_each(|ordinal| log.sent(ordinal));
        log.ended(0, Outcome::Created, 1);
        log.ended(1, Outcome::Failed, 1);
        log.ended(3, Outcome::Skipped, 1);
        log.write().expect("written");
        drop((log, run));
        let run = runs.open("a").expect("free again");
        let rest = run.selection(Wish::Rest);
        let takes: Vec<_> = [0, 1, 2, 9].map(|ordinal| rest.take(ordinal)).into();
        assert_eq!(
            takes,
            [Take::Skip, Take::Skip, Take::Send(Sent::Yes), Take::Send(Sent::Perhaps)]
        );
        assert_eq!(rest.earlier().to_string(), "3 rows: 1 created, 1 skipped, 1 failed");
        let failed = run.selection(Wish::Failed);
        let takes: Vec<_> = [0, 1, 2, 3, 9].map(|ordinal| failed.take(ordinal)).into();
        let again = Take::Send(Sent::Again);
        assert_eq!(takes, [Take::Skip, again, Take::Skip, Take::Skip, Take::Skip]);
        assert_eq!(failed.earlier().to_string(), "2 rows: 1 created, 1 skipped");
        let undone = run.selection(Wish::Undone);
        let takes: Vec<_> = [0, 1, 2, 3, 9].map(|ordinal| undone.take(ordinal)).into();
        assert_eq!(takes, [Take::Skip, again, Take::Skip, again, Take::Skip]);
        assert_eq!(undone.earlier().to_string(), "1 rows: 1 created");
        let standing = runs.standing("a").expect("it is there");
        assert_eq!((standing.open, standing.counts.read()), (1, 3));
        assert_eq!(runs.names().expect("a list"), ["a"]);
        assert_eq!(run.manifest.seed(), Seed { started_ms: 1, random: 2 });
    }

    #[test]
    fn an_input_that_has_changed_is_refused() {
        let home = tempfile::tempdir().expect("a directory");
        let input = home.path().join("in.csv");
        fs::write(&input, "a\n1\n").expect("written");
        let runs = Runs::new(home.path().join("runs"));
        let run = runs.begin("a", manifest(&input)).expect("begun");
        run.check_input().expect("the same");
        for (text, want) in [("a\n22\n", "another size"), ("a\n2\n", "another beginning or end")] {
            fs::write(&input, text).expect("written");
            let said = run.check_input().expect_err("changed").to_string();
            assert!(said.contains(want), "{said}");
        }
    }
}
