//! `--stats`: what a call cost, into a file or onto standard error.

use crate::output;
use anyhow::Context;
use client::sender::{Event, Summary};
use client::service::Service;
use client::stats::{Figures, Meter, Stats};
use client::transport::Transport;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What is counted, where somebody wants to know.
pub(crate) struct Counting {
    path: Option<PathBuf>,
    stats: Stats,
}

impl Counting {
    /// The way to the service, counted if wished.
    pub(crate) fn begin(way: Arc<dyn Transport>, path: Option<&Path>) -> (Service, Self) {
        let figures = Figures::default();
        let way = match path {
            None => way,
            Some(_) => Arc::new(Meter::new(way, figures.clone())),
        };
        (Service::new(way), Self { path: path.map(Path::to_owned), stats: Stats::new(figures) })
    }

    pub(crate) fn take(&mut self, event: &Event<'_>) {
        self.stats.take(event);
    }

    pub(crate) fn end(&mut self, summary: &Summary) {
        self.stats.end(summary);
    }

    /// So many rows were read.
    pub(crate) fn read(&mut self, rows: u64) {
        self.stats.read(rows);
    }

    /// Says it.
    pub(crate) fn tell(&self, command: &str, took: Duration) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        if path.as_os_str() == "-" {
            self.stats.lines(command, took).iter().for_each(|line| output::note(line));
            return Ok(());
        }
        let text = format!("{:#}\n", self.stats.json(command, took));
        std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
    }
}
