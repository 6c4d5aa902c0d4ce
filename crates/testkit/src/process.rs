//! Child processes that end with us.
//!
//! In: a command. Out: a [`Guarded`] child: killed when dropped, and also when we die without dropping it.
//! Not here: what the child is (`service`); PostgreSQL has a supervisor of its own (`postgres`).
//! Invariant: the guard never signals a process id after its process was waited for.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const POLL: Duration = Duration::from_millis(10);

/// A child process, and a shell that kills it when the pipe from us ends.
#[derive(Debug)]
pub struct Guarded {
    child: Child,
    watchdog: Option<Child>,
}

impl Guarded {
    /// Starts the command and its guard.
    pub fn spawn(command: &mut Command) -> Result<Guarded> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("could not start `{program}`"))?;
        let mut guarded = Guarded { child, watchdog: None };
        let script = "read -r _; kill -KILL \"$1\"";
        let watchdog = Command::new("/bin/sh")
            .args(["-c", script, "sheaf-watchdog", &guarded.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("could not start the watchdog")?;
        guarded.watchdog = Some(watchdog);
        Ok(guarded)
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit status, if it has ended.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.release();
        }
        Ok(status)
    }

    /// SIGKILL: no farewell. Returns when the process is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.release();
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, then waits for the end; kills and fails when that takes longer than `patience`.
    pub fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        let sent = Command::new("kill").args(["-TERM", &self.id().to_string()]).status()?;
        ensure!(sent.success(), "could not signal process {}", self.id());
        let polls = patience.as_millis() / POLL.as_millis();
        for _ in 0..polls {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            sleep(POLL);
        }
        self.kill()?;
        bail!("the process did not end within {} s of SIGTERM", patience.as_secs())
    }

    /// Waits for the end and returns the most memory the process ever held, in bytes, as Linux counts
    /// it (`VmHWM`), looked at every 10 ms.
    pub fn wait_with_peak_memory(&mut self) -> Result<(ExitStatus, u64)> {
        let path = format!("/proc/{}/status", self.id());
        let mut peak = 0;
        loop {
            if let Ok(status) = std::fs::read_to_string(&path) {
                peak = peak.max(peak_of(&status).unwrap_or(0));
            }
            if let Some(status) = self.try_wait()? {
                return Ok((status, peak));
            }
            sleep(POLL);
        }
    }

    /// The guard goes before the child does.
    fn release(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            let _killed = watchdog.kill();
            let _waited = watchdog.wait();
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _killed = self.kill();
    }
}

/// `VmHWM:     1234 kB` → bytes.
fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_of_memory_is_read_from_the_status_of_the_process() {
        assert_eq!(peak_of("VmPeak:\t  10 kB\nVmHWM:\t    2048 kB\n"), Some(2 * 1024 * 1024));
        assert_eq!(peak_of("Name:\tx\n"), None);
    }

    #[test]
    fn a_child_is_killed_on_drop_and_a_patient_one_ends_on_sigterm() {
        let mut child = Guarded::spawn(Command::new("sleep").arg("60")).unwrap();
        let status = child.terminate(Duration::from_secs(5)).unwrap();
        assert!(!status.success());
        let child = Guarded::spawn(Command::new("sleep").arg("60")).unwrap();
        let path = format!("/proc/{}", child.id());
        drop(child);
        assert!(!std::path::Path::new(&path).exists());
    }
}
