//! A running `sheaf serve`, as its own process, as a user would start it.
//!
//! In: where its rows lie. Out: its URL, and the means to stop, kill and start it again on the same rows.
//! Not here: requests; each test brings its own HTTP, so that a mistake is not shared with our client.
//! Invariant: [`Service::start`] returns only after the service has printed that it listens.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::process::Guarded;

/// Names the `sheaf` program to run; without it, the one that was built beside the running program.
pub const BINARY_VARIABLE: &str = "SHEAF_BINARY";

/// Recovery of a large write-ahead log on a slow disk is part of a start.
const START_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(60);
const READY: &str = "listening on ";

/// Where the rows lie.
#[derive(Debug, Clone)]
pub enum Store {
    /// `--data DIR`: SQLite.
    Data(PathBuf),
    /// `--store postgres://…`.
    Postgres(String),
}

/// How to start the service.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program.
    pub binary: PathBuf,
    /// Where the rows lie.
    pub store: Store,
    /// Further arguments of `sheaf serve`.
    pub arguments: Vec<String>,
    /// What it writes to standard error is appended here.
    pub log: PathBuf,
}

impl Options {
    /// The program of [`find_binary`], nothing besides.
    pub fn new(store: Store, log: &Path) -> Result<Options> {
        Ok(Options { binary: find_binary()?, store, arguments: Vec::new(), log: log.to_path_buf() })
    }
}

/// A running service. Killed when dropped, or when we die.
#[derive(Debug)]
pub struct Service {
    options: Options,
    url: String,
    process: Guarded,
}

impl Service {
    /// Starts the service on a free port of loopback and waits until it listens.
    pub fn start(options: Options) -> Result<Service> {
        let log = File::options().create(true).append(true).open(&options.log)?;
        let mut command = Command::new(&options.binary);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        match &options.store {
            Store::Data(directory) => command.arg("--data").arg(directory),
            Store::Postgres(url) => command.arg("--store").arg(url),
        };
        command.args(&options.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut process = Guarded::spawn(&mut command)?;
        let url = match wait_until_ready(&mut process) {
            Ok(url) => url,
            Err(error) => {
                let _killed = process.kill();
                let log = fs::read_to_string(&options.log).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(10)..].join("\n");
                return Err(error.context(format!("`sheaf serve` did not start; it said:\n{tail}")));
            }
        };
        Ok(Service { options, url, process })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The root of the Web API, with a slash at its end.
    #[must_use]
    pub fn api(&self) -> String {
        format!("{}/api/data/v9.2/", self.url)
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Fails, saying how, if the process has ended by itself.
    pub fn ensure_running(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("`sheaf serve` ended by itself with {status}"),
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// SIGTERM; the service must finish what is in flight and exit with 0.
    pub fn stop(mut self) -> Result<()> {
        let status = self.process.terminate(STOP_PATIENCE)?;
        ensure!(status.success(), "`sheaf serve` ended with {status} after SIGTERM");
        Ok(())
    }

    /// Starts the service again on the same rows, after [`Service::kill`]. Its URL changes.
    pub fn restart(&mut self) -> Result<()> {
        *self = Service::start(self.options.clone())?;
        Ok(())
    }
}

fn wait_until_ready(process: &mut Guarded) -> Result<String> {
    let output = process.child().stdout.take().context("standard output is a pipe")?;
    // One line is awaited; further ones are read and dropped, so that the service never blocks on them.
    let (sender, receiver) = sync_channel::<String>(1);
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            // Only what is awaited: another line must not take its place.
            if let Some(url) = line.strip_prefix(READY) {
                let _full_or_gone = sender.try_send(url.trim().to_owned());
            }
        }
    });
    match receiver.recv_timeout(START_PATIENCE) {
        Ok(url) => Ok(url),
        Err(RecvTimeoutError::Timeout) => {
            bail!("it did not listen within {} s", START_PATIENCE.as_secs())
        }
        Err(RecvTimeoutError::Disconnected) => {
            let status = process.child().wait()?;
            bail!("it ended with {status}")
        }
    }
}

/// `SHEAF_BINARY`, or `sheaf` in the build directory of the running program.
pub fn find_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY_VARIABLE) {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "{BINARY_VARIABLE} names {}, which is not there", path.display());
        return Ok(path);
    }
    // `target/<profile>/program` or, for tests, `target/<profile>/deps/program`.
    let own = std::env::current_exe()?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("sheaf"))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            anyhow!("`sheaf` is not built: `cargo build --bin sheaf`, or set {BINARY_VARIABLE}")
        })
}
