//! Rows on their way: encoded once by the reader, then addressed by block and place.
//!
//! In: what `mapping` produced. Out: cheap handles that planner, sender and report share.
//! Not here: reading input (`source`), deciding anything.
//! Invariant: a [`Block`] never changes after it left the reader; every row of it has exactly one ordinal.

use crate::journal::Outcome;
use crate::problem::Problem;
use model::MessageName;
use std::sync::Arc;
use uuid::Uuid;

/// What a row turns into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// A new record.
    Create,
    /// A change of a record that must exist.
    Update,
    /// A change, or a new record where none exists.
    Upsert,
    /// A record less.
    Delete,
}

impl Operation {
    /// Every operation, in the order in which the planner looks at them.
    pub const ALL: [Self; 4] = [Self::Create, Self::Update, Self::Upsert, Self::Delete];

    /// The bulk message of this operation.
    pub fn bulk(self) -> MessageName {
        match self {
            Self::Create => MessageName::CreateMultiple,
            Self::Update => MessageName::UpdateMultiple,
            Self::Upsert => MessageName::UpsertMultiple,
            Self::Delete => MessageName::DeleteMultiple,
        }
    }

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }
}

/// Whether an earlier part of the run has sent a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sent {
    /// There is no earlier part.
    #[default]
    No,
    /// The journal does not say so; but it may have lost its last lines.
    Perhaps,
    /// It has, and how it ended was not seen.
    Yes,
}

/// A part of a block's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Whether nothing is there.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One row of a block.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its 0-based position in the input.
    pub ordinal: u64,
    /// The line in the input on which it starts, from 1.
    pub line: u64,
    /// What it turns into.
    pub operation: Operation,
    /// Its record as a member of `Targets`.
    pub body: Span,
    /// Its key as written between the brackets of a record's address; empty when it has none.
    pub address: Span,
    /// The row as it was read, in the form that [`crate::source`] understands.
    pub raw: Span,
    /// Its primary key, when known.
    pub id: Option<Uuid>,
    /// The primary key was made by this run, not by the input.
    pub id_is_ours: bool,
    /// Two rows with the same mark name the same record and must not be in flight together.
    pub mark: Option<u64>,
    /// Why it is not sent at all.
    pub problem: Option<Box<Problem>>,
    /// How it ends without being sent, when nothing is wrong with it.
    pub settled: Option<Outcome>,
    /// The record of an update that follows once the row's own write went well; empty for none.
    pub follow_up: Span,
    /// Whether an earlier part of the run has sent it.
    pub sent: Sent,
    /// How many entries its ordinal has: more than one where a row matches several records.
    pub parts: u16,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            ordinal: 0,
            line: 0,
            operation: Operation::Create,
            body: Span::default(),
            address: Span::default(),
            raw: Span::default(),
            id: None,
            id_is_ours: false,
            mark: None,
            problem: None,
            settled: None,
            follow_up: Span::default(),
            sent: Sent::No,
            parts: 1,
        }
    }
}

/// Rows that were read together; their texts lie in one arena.
#[derive(Debug, Default)]
pub struct Block {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl Block {
    /// A block is handed on when it holds this many rows, …
    pub const ROWS_MAX: usize = 256;
    /// … or this many bytes. One row may exceed it.
    pub const BYTES_MAX: usize = 1 << 20;

    /// An empty one with room for as many rows as it holds, of so many bytes together.
    pub fn with_room(bytes: usize) -> Self {
        Self { entries: Vec::with_capacity(Self::ROWS_MAX), bytes: Vec::with_capacity(bytes) }
    }

    /// The bytes of its rows together.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes into the arena and says where.
    ///
    /// Shape: a row is at most 64 MiB (`source::LINE_BYTES_MAX`), so that places fit 32 bits.
    pub fn write(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = place(self.bytes.len());
        fill(&mut self.bytes);
        Span { start, end: place(self.bytes.len()) }
    }

    /// Adds a row.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Whether it should be handed on.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= Self::ROWS_MAX || self.bytes.len() >= Self::BYTES_MAX
    }

    /// Its rows.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Handles to its rows, in input order.
    pub fn rows(self: &Arc<Self>) -> impl Iterator<Item = Row> + '_ {
        let places = 0..place(self.entries.len());
        places.map(|at| Row { block: Arc::clone(self), at, is_follow_up: false })
    }

    fn text(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }
}

/// A handle to one row. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Row {
    block: Arc<Block>,
    at: u32,
    is_follow_up: bool,
}

impl Row {
    /// What is known about it.
    pub fn entry(&self) -> &Entry {
        &self.block.entries[self.at as usize]
    }

    /// What is sent for it now.
    pub fn operation(&self) -> Operation {
        if self.is_follow_up { Operation::Update } else { self.entry().operation }
    }

    /// Its record as a member of `Targets`.
    pub fn body(&self) -> &[u8] {
        let entry = self.entry();
        self.block.text(if self.is_follow_up { entry.follow_up } else { entry.body })
    }

    /// The update that follows this write, if one does.
    pub fn follow_up(&self) -> Option<Self> {
        let follows = !self.is_follow_up && !self.entry().follow_up.is_empty();
        follows.then(|| Self { is_follow_up: true, ..self.clone() })
    }

    /// Whether this is the second write of its row.
    pub fn is_follow_up(&self) -> bool {
        self.is_follow_up
    }

    /// Its key as written between the brackets of a record's address.
    pub fn address(&self) -> &str {
        std::str::from_utf8(self.block.text(self.entry().address))
            .expect("addresses are written from text")
    }

    /// The row as it was read.
    pub fn raw(&self) -> &[u8] {
        self.block.text(self.entry().raw)
    }
}

fn place(len: usize) -> u32 {
    u32::try_from(len).expect("a block holds at most a few rows of at most 64 MiB")
}

/// A row of its own block, for tests of the rooms that handle rows.
#[cfg(test)]
pub(crate) fn test_row(ordinal: u64, operation: Operation, mark: Option<u64>, body: &str) -> Row {
    let mut block = Block::default();
    let body = block.write(|out| out.extend_from_slice(body.as_bytes()));
    let id = Uuid::from_u128(u128::from(ordinal) + 1);
    let address = block.write(|out| out.extend_from_slice(id.to_string().as_bytes()));
    block.push(Entry {
        ordinal,
        line: ordinal + 2,
        operation,
        body,
        address,
        id: Some(id),
        id_is_ours: true,
        mark,
        ..Entry::default()
    });
    Row { block: Arc::new(block), at: 0, is_follow_up: false }
}
