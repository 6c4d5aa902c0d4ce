//! `-v`: a line for each row and for whatever keeps rows from going on. `-vv`: also one for each request.
//!
//! Not here: what happens (`client::sender`). Source: `client.md` 12.3.
//! Invariant: nothing of what is sent is told but names of columns, unless bodies are wished for.

use crate::args::VerboseArgs;
use crate::output;
use client::journal::Outcome;
use client::problem::shortened;
use client::rows::Row;
use client::sender::Event;
use client::trace::Traced;
use client::transport::Transport;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Says what happens, as much as is wished for.
#[derive(Clone, Copy)]
pub(crate) struct Verbose {
    is_wished: bool,
}

impl Verbose {
    pub(crate) fn new(args: &VerboseArgs) -> Self {
        Self { is_wished: args.verbose > 0 }
    }

    pub(crate) fn take(self, event: &Event<'_>) {
        if !self.is_wished {
            return;
        }
        match event {
            Event::Ended { row, outcome, why, worker, id, .. } => {
                let said = match (outcome, why) {
                    // The reason is printed by itself.
                    (Outcome::Failed, _) => "failed".to_owned(),
                    (outcome, Some(why)) => format!("{} ({})", outcome.as_str(), why.as_str()),
                    (Outcome::Created | Outcome::Updated | Outcome::Written, None) => {
                        format!("{}{}{}", outcome.as_str(), key(row, *id), columns(row))
                    }
                    (outcome, None) => format!("{}{}", outcome.as_str(), key(row, *id)),
                };
                output::note(&format!("row {}{}: {said}", row.entry().ordinal, by(*worker)));
            }
            Event::Note(note) => output::note(&note.to_string()),
            Event::Status(_) => {}
        }
    }
}

/// Tells requests where that is wished for.
pub(crate) fn traced(args: &VerboseArgs, way: Arc<dyn Transport>) -> Arc<dyn Transport> {
    if args.verbose < 2 && !args.trace_bodies {
        return way;
    }
    Arc::new(Traced::new(way, Arc::new(output::note), args.trace_bodies))
}

fn by(worker: Option<usize>) -> String {
    worker.map(|worker| format!(", worker {worker}")).unwrap_or_default()
}

fn key(row: &Row, id: Option<model::Uuid>) -> String {
    match (id, &*row.address()) {
        (Some(id), _) => format!(" {id}"),
        (None, "") => String::new(),
        (None, address) => format!(" {}", shortened(address)),
    }
}

/// The columns that were sent.
fn columns(row: &Row) -> String {
    let members: BTreeMap<String, IgnoredAny> =
        serde_json::from_slice(row.own_body()).unwrap_or_default();
    let names: Vec<&str> = members
        .keys()
        .filter(|name| !name.starts_with('@'))
        .map(|name| name.split('@').next().unwrap_or_default())
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" ({})", shortened(&names.join(", "))),
    }
}
