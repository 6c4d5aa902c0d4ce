//! All files that a run leaves behind, filled from the sender's events.
//!
//! Not here: how each is written (the parent). Invariant: the first one that cannot be written is told at the end; the
//! run goes on.

use super::{Error, Errors, Head, PassThru, PassTo, Rejects};
use crate::journal::Outcome;
use crate::run::Selection;
use crate::sender::Event;
use crate::source::Format;
use std::path::Path;

/// Which files are wanted.
pub(crate) struct Wanted<'a> {
    pub(crate) rejects: Option<&'a Path>,
    pub(crate) errors: Option<&'a Path>,
    pub(crate) pass: Option<PassTo>,
    /// Rows that are passed on come in input order.
    pub(crate) head: Option<Head>,
    /// Which rows are sent, where a run goes on.
    pub(crate) selection: Option<Selection>,
}

/// The files.
pub(crate) struct Reports {
    rejects: Option<Rejects>,
    errors: Option<Errors>,
    pass: Option<PassThru>,
    failed: Option<Error>,
}

impl Reports {
    pub(crate) fn create(
        wanted: Wanted<'_>,
        table: &str,
        format: Format,
        headers: &[String],
    ) -> Result<Self, Error> {
        let Wanted { rejects, errors, pass, head, selection } = wanted;
        let goes_on = selection.is_some();
        let create = |path| Rejects::create(path, format, headers, goes_on);
        let rejects = rejects.map(create).transpose()?;
        let create = |path| Errors::create(path, table, format, headers, goes_on);
        let errors = errors.map(create).transpose()?;
        let pass = pass.map(|to| PassThru::new(to, format, headers)).map(|pass| match head {
            Some(head) => pass.in_order(head, selection),
            None => pass,
        });
        Ok(Self { rejects, errors, pass, failed: None })
    }

    pub(crate) fn take(&mut self, event: &Event<'_>) {
        let Event::Ended { row, outcome, problem, attempts, is_partial, .. } = event else {
            return;
        };
        let written = match problem {
            None => [self.pass.as_mut().map(|pass| pass.add(row, *outcome)), None, None],
            Some(problem) => [
                self.pass.as_mut().map(|pass| pass.add(row, Outcome::Failed)),
                self.rejects.as_mut().map(|file| file.add(row, problem)),
                self.errors.as_mut().map(|file| file.add(row, problem, *attempts, *is_partial)),
            ],
        };
        for written in written.into_iter().flatten() {
            if let Err(err) = written {
                self.failed.get_or_insert(err);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Option<Error> {
        if let Some(Err(err)) = self.pass.as_mut().map(PassThru::finish) {
            self.failed.get_or_insert(err);
        }
        let rejects = self.rejects.and_then(|file| file.finish().err());
        let errors = self.errors.and_then(|file| file.finish().err());
        self.failed.or(rejects).or(errors)
    }
}
