//! One command with one chunk.
//!
//! In: rows as lines of JSON on its standard input. Out: its lines, and how it ended.
//! Invariant: it never outlives its chunk: after an interrupt it has a while to end, and is then killed.

use super::callers::{Callers, Variables};
use crate::args::Usage;
use crate::connection;
use crate::output;
use client::parallel::Chunk;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

/// Last lines of standard error that stand in a failure.
const LAST_LINES: usize = 3;

/// What every command is given: one for each worker.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) command: Vec<OsString>,
    pub(super) callers: Arc<Callers>,
    /// Output is handed back instead of printed.
    pub(super) keeps_output: bool,
    pub(super) grace: Duration,
    pub(super) interrupted: watch::Receiver<bool>,
    /// Turns true when no further chunk is to start.
    pub(super) halt: Arc<watch::Sender<bool>>,
}

/// Why a chunk failed.
pub(super) struct Failed {
    pub(super) chunk: Chunk<Vec<u8>>,
    pub(super) why: String,
    /// The command cannot be started at all.
    pub(super) not_started: Option<Usage>,
    /// Nobody reads what is written.
    pub(super) is_unread: bool,
}

/// How a command ended.
enum Ended {
    By(ExitStatus),
    Killed,
}

/// Writes to standard output.
pub(super) fn print(bytes: &[u8]) -> std::io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Rows as lines.
pub(super) fn lines(rows: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::with_capacity(rows.iter().map(|row| row.len() + 1).sum());
    for row in rows {
        text.extend_from_slice(row);
        text.push(b'\n');
    }
    text
}

impl Step {
    /// Runs the command. What it wrote is printed as it comes, or handed back.
    pub(super) async fn run(&self, chunk: Chunk<Vec<u8>>) -> Result<Vec<u8>, Failed> {
        let variables = match self.callers.variables(chunk.number).await {
            Ok(variables) => variables,
            Err(error) => {
                return Err(failed(chunk, format!("there is no token for it: {error:#}")));
            }
        };
        let mut child = match self.start(&chunk, variables) {
            Ok(child) => child,
            Err(error) => return Err(self.not_started(chunk, &error)),
        };
        let number = chunk.number + 1;
        let input = lines(&chunk.items);
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut kept, mut last) = (Vec::new(), VecDeque::new());
        let mut is_unread = false;
        let emit = |bytes: &[u8]| {
            if self.keeps_output {
                kept.extend_from_slice(bytes);
            } else if !is_unread && print(bytes).is_err() {
                is_unread = true;
                self.halt.send_replace(true);
            }
        };
        let note = |bytes: &[u8]| {
            for line in String::from_utf8_lossy(bytes).lines() {
                output::note(&format!("chunk {number}: {line}"));
                if last.len() == LAST_LINES {
                    last.pop_front();
                }
                last.push_back(line.to_owned());
            }
        };
        let pipes = async {
            tokio::join!(feed(stdin, &input), whole_lines(stdout, emit), whole_lines(stderr, note));
        };
        let ended = self.watch(&mut child, pipes).await;
        let why = match ended {
            Ok(Ended::By(status)) if status.success() && !is_unread => return Ok(kept),
            Ok(Ended::By(status)) => match status.code() {
                Some(code) => format!("exit code {code}"),
                None => format!("{status}"),
            },
            Ok(Ended::Killed) => "it did not end after an interrupt, and was killed".to_owned(),
            Err(error) => error.to_string(),
        };
        let said = match last.is_empty() {
            true => String::new(),
            false => format!("; it said: {}", Vec::from(last).join(" / ")),
        };
        Err(Failed { is_unread, ..failed(chunk, why + &said) })
    }

    fn start(&self, chunk: &Chunk<Vec<u8>>, variables: Variables) -> std::io::Result<Child> {
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(ErrorKind::NotFound.into());
        };
        let mut command = Command::new(program);
        for variable in connection::VARIABLES.into_iter().chain(["SHEAF_PROFILE"]) {
            command.env_remove(variable);
        }
        command
            .args(arguments)
            .env("SHEAF_CHUNK", (chunk.number + 1).to_string())
            .envs(variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // An interrupt at the terminal reaches it through us alone, and so once.
        #[cfg(unix)]
        command.process_group(0);
        command.spawn()
    }

    /// Waits for its end, and passes an interrupt on.
    async fn watch(
        &self,
        child: &mut Child,
        pipes: impl Future<Output = ()>,
    ) -> std::io::Result<Ended> {
        let group = child.id();
        let mut interrupted = self.interrupted.clone();
        {
            let mut end = std::pin::pin!(async {
                let ((), status) = tokio::join!(pipes, child.wait());
                status
            });
            tokio::select! {
                status = &mut end => return status.map(Ended::By),
                Ok(_) = interrupted.wait_for(|stop| *stop) => {}
            }
            signal::interrupt(group);
            if let Ok(status) = tokio::time::timeout(self.grace, end).await {
                return status.map(Ended::By);
            }
        }
        signal::kill(group);
        child.kill().await?;
        Ok(Ended::Killed)
    }

    fn not_started(&self, chunk: Chunk<Vec<u8>>, error: &std::io::Error) -> Failed {
        let program = self.command.first().map(|program| program.to_string_lossy());
        let why = format!("cannot run `{}`: {error}", program.unwrap_or_default());
        let never = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied);
        let not_started = never.then(|| Usage(why.clone()));
        if never {
            self.halt.send_replace(true);
        }
        Failed { not_started, ..failed(chunk, why) }
    }
}

fn failed(chunk: Chunk<Vec<u8>>, why: String) -> Failed {
    Failed { chunk, why, not_started: None, is_unread: false }
}

/// Gives it its rows. One that does not want them all is no error.
async fn feed(stdin: Option<ChildStdin>, rows: &[u8]) {
    if let Some(mut stdin) = stdin {
        drop(stdin.write_all(rows).await);
        drop(stdin.shutdown().await);
    }
}

/// Hands on what comes, never cut within a line; a last line without an end gets one.
async fn whole_lines(pipe: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&[u8])) {
    let Some(pipe) = pipe else { return };
    let mut reader = BufReader::with_capacity(64 << 10, pipe);
    let mut open = Vec::new();
    while let Ok(bytes) = reader.fill_buf().await {
        if bytes.is_empty() {
            break;
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (lines, rest) = bytes.split_at(whole);
        if whole > 0 {
            open.extend_from_slice(lines);
            take(&open);
            open.clear();
        }
        open.extend_from_slice(rest);
        let length = bytes.len();
        reader.consume(length);
    }
    if !open.is_empty() {
        open.push(b'\n');
        take(&open);
    }
}

/// Signals to a command and what it has started.
#[cfg(unix)]
mod signal {
    use rustix::process::{Pid, Signal, kill_process_group};

    pub(super) fn interrupt(group: Option<u32>) {
        send(group, Signal::INT);
    }

    pub(super) fn kill(group: Option<u32>) {
        send(group, Signal::KILL);
    }

    fn send(group: Option<u32>, signal: Signal) {
        let group = group.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = group {
            // One that has ended meanwhile needs none.
            kill_process_group(group, signal).ok();
        }
    }
}

/// There is no interrupt to send: it ends by itself, or is killed when its time is over.
#[cfg(not(unix))]
mod signal {
    pub(super) fn interrupt(_: Option<u32>) {}

    pub(super) fn kill(_: Option<u32>) {}
}
