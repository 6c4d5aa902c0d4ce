//! Whether a batch may leave: asked before its first request, and once.
//!
//! In: what is about to be sent. Out: yes, no, yes to all, or the end.
//! Not here: how somebody is asked (`cli`: the terminal), what is done about the answer (`sender::consent`).
//! Source: `client.md` 12.2. Invariant: with an [`Asker`] nothing is written that nobody agreed to.

use crate::rows::{Operation, Row};
use futures_util::future::BoxFuture;
use std::sync::Arc;

/// Keys that a question shows.
pub const SHOWN_MAX: usize = 3;

/// A batch that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What its rows turn into.
    pub operation: Operation,
    /// The table, by its logical name where that is known.
    pub table: Box<str>,
    /// Its rows.
    pub rows: usize,
    /// What the first of them are known by: the key, or the line in the input of a record that gets its key from us.
    pub first: Vec<String>,
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = if self.rows == 1 { "row" } else { "rows" };
        let more = if self.rows > self.first.len() { ", …" } else { "" };
        write!(
            f,
            "{} {} {rows} of table `{}` ({}{more})?",
            self.operation.as_str(),
            self.rows,
            self.table,
            self.first.join(", ")
        )
    }
}

/// The answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It may leave.
    Yes,
    /// Its rows are left out.
    No,
    /// It may leave, and so may all that come.
    All,
    /// Nothing more is sent.
    Quit,
}

/// Somebody who is asked. Clones ask the same one.
#[derive(Clone)]
pub struct Asker(Arc<dyn Fn(Question) -> BoxFuture<'static, Reply> + Send + Sync>);

impl Asker {
    /// Asks by calling `ask`; one question at a time.
    pub fn new(
        ask: impl Fn(Question) -> BoxFuture<'static, Reply> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(ask))
    }

    /// The answer, when it comes.
    pub(crate) fn ask(&self, question: Question) -> BoxFuture<'static, Reply> {
        (self.0)(question)
    }
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("somebody")
    }
}

/// What a row is known by to whoever reads the question.
pub(crate) fn name_of(row: &Row) -> String {
    let entry = row.entry();
    match entry.operation {
        Operation::Create if entry.id_is_ours && entry.line > 0 => format!("line {}", entry.line),
        Operation::Create if entry.id_is_ours => format!("row {}", entry.ordinal),
        _ => match (&*row.address(), entry.id) {
            ("", None) => format!("line {}", entry.line),
            ("", Some(id)) => id.to_string(),
            (address, _) => address.to_owned(),
        },
    }
}
