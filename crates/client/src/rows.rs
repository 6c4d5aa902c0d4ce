//! Rows on their way: encoded once by the reader, then addressed by block and place.
//!
//! In: what `mapping` produced. Out: cheap handles that planner, sender and report share.
//! Not here: reading input (`source`), deciding anything.
//! Invariant: a [`Block`] never changes after it left the reader; every row of it has exactly one ordinal.

use crate::journal::Outcome;
use crate::problem::Problem;
use model::MessageName;
use std::borrow::Cow;
use std::path::Path;
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
    /// A file into its column, or out of it.
    Upload,
    /// A pair of a many-to-many table.
    Associate,
    /// A pair less.
    Disassociate,
}

impl Operation {
    /// Every operation, in the order in which the planner looks at them.
    pub const ALL: [Self; 7] = [
        Self::Create,
        Self::Update,
        Self::Upsert,
        Self::Delete,
        Self::Upload,
        Self::Associate,
        Self::Disassociate,
    ];

    /// The operations on records, which may have bulk messages.
    pub const OF_RECORDS: [Self; 4] = [Self::Create, Self::Update, Self::Upsert, Self::Delete];

    /// The bulk message of this operation, or of the nearest one: files and pairs have none.
    pub fn bulk(self) -> MessageName {
        match self {
            Self::Create | Self::Associate => MessageName::CreateMultiple,
            Self::Update | Self::Upload => MessageName::UpdateMultiple,
            Self::Upsert => MessageName::UpsertMultiple,
            Self::Delete | Self::Disassociate => MessageName::DeleteMultiple,
        }
    }

    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
            Self::Upload => "upload",
            Self::Associate => "associate",
            Self::Disassociate => "disassociate",
        }
    }

    /// Whether it may have a bulk message.
    pub fn may_be_bulk(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Upsert | Self::Delete)
    }

    /// Whether a row of it travels alone, because it is more than one request.
    pub fn is_alone(self) -> bool {
        matches!(self, Self::Upload)
    }
}

/// What a file column of a record is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The column's logical name.
    pub column: Box<str>,
    /// The file; none empties the column.
    pub path: Option<Box<Path>>,
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
    /// It has, and the row failed or was left out; now it is to be tried once more.
    Again,
}

impl Sent {
    /// Whether an earlier part is known to have sent it.
    pub fn is_sure(self) -> bool {
        matches!(self, Self::Yes | Self::Again)
    }
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

/// Why a row is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its record is there.
    Exists,
    /// Its record is not there.
    Missing,
    /// Somebody was asked and said no.
    Declined,
}

impl Why {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::Missing => "missing",
            Self::Declined => "declined",
        }
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
    /// Why it is left out, when it is.
    pub why: Option<Why>,
    /// It has new records of other tables in it, which no bulk message takes.
    pub is_nested: bool,
    /// Files that are sent once the row's own write went well, or first where the row has no other write.
    pub uploads: Box<[Upload]>,
    /// The record of an update that follows once all of that went well; empty for none.
    pub follow_up: Span,
    /// Whether an earlier part of the run has sent it.
    pub sent: Sent,
    /// For whom it is written, where that is another than the run's caller.
    pub caller: Option<Uuid>,
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
            why: None,
            is_nested: false,
            uploads: Box::default(),
            follow_up: Span::default(),
            sent: Sent::No,
            caller: None,
            parts: 1,
        }
    }
}

/// Rows that were read together; their texts lie in one arena.
#[derive(Debug, Default)]
pub struct Block {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    /// So many rows were looked at together with its first one; told once.
    pub looked: usize,
}

impl Block {
    /// A block is handed on when it holds this many rows, …
    pub const ROWS_MAX: usize = 256;
    /// … or this many bytes. One row may exceed it.
    pub const BYTES_MAX: usize = 1 << 20;

    /// An empty one with room for as many rows as it holds, of so many bytes together.
    pub fn with_room(bytes: usize) -> Self {
        Self {
            entries: Vec::with_capacity(Self::ROWS_MAX),
            bytes: Vec::with_capacity(bytes),
            looked: 0,
        }
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
        places.map(|at| Row { block: Arc::clone(self), at, step: 0, made: None })
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
    /// How many of its writes have gone well.
    step: u16,
    /// The id that the service gave its record.
    made: Option<Uuid>,
}

/// One of the writes of a row.
enum Write<'a> {
    Own,
    Upload(&'a Upload),
    FollowUp,
}

impl Row {
    /// What is known about it.
    pub fn entry(&self) -> &Entry {
        &self.block.entries[self.at as usize]
    }

    /// The write that is due: its own, then its files, then what follows.
    fn write(&self) -> Option<Write<'_>> {
        let entry = self.entry();
        let has_own = entry.operation != Operation::Upload;
        let step = usize::from(self.step);
        if has_own && step == 0 {
            return Some(Write::Own);
        }
        let place = step - usize::from(has_own);
        match entry.uploads.get(place) {
            Some(upload) => Some(Write::Upload(upload)),
            None if place == entry.uploads.len() && !entry.follow_up.is_empty() => {
                Some(Write::FollowUp)
            }
            None => None,
        }
    }

    /// What is sent for it now.
    pub fn operation(&self) -> Operation {
        match self.write() {
            Some(Write::Own) | None => self.entry().operation,
            Some(Write::Upload(_)) => Operation::Upload,
            Some(Write::FollowUp) => Operation::Update,
        }
    }

    /// Whether it may travel in a bulk message, where there is one.
    pub fn may_be_bulk(&self) -> bool {
        !(self.entry().is_nested && matches!(self.write(), Some(Write::Own)))
    }

    /// Its record as a member of `Targets`; nothing where a file is sent.
    pub fn body(&self) -> Cow<'_, [u8]> {
        match (self.write(), self.made) {
            (Some(Write::Own), _) => self.block.text(self.entry().body).into(),
            (Some(Write::FollowUp), Some(id)) => {
                named(self.block.text(self.entry().follow_up), id).into()
            }
            (Some(Write::FollowUp), None) => self.block.text(self.entry().follow_up).into(),
            (Some(Write::Upload(_)) | None, _) => Cow::default(),
        }
    }

    /// Whether it makes a record whose id only the service knows.
    pub fn is_unnamed(&self) -> bool {
        let entry = self.entry();
        entry.operation == Operation::Create && entry.id.is_none() && self.made.is_none()
    }

    /// Whether the service gives its record an id.
    pub fn is_named_by_service(&self) -> bool {
        self.is_unnamed() || self.made.is_some()
    }

    /// The same row with the id that the service gave its record.
    #[must_use]
    pub fn made_as(&self, id: Uuid) -> Self {
        Self { made: Some(id), ..self.clone() }
    }

    /// Its primary key, when known.
    pub fn id(&self) -> Option<Uuid> {
        self.made.or(self.entry().id)
    }

    /// The record that its own write sends, whatever is sent now.
    pub fn own_body(&self) -> &[u8] {
        self.block.text(self.entry().body)
    }

    /// The file that is sent now, if one is.
    pub fn upload(&self) -> Option<&Upload> {
        match self.write() {
            Some(Write::Upload(upload)) => Some(upload),
            _ => None,
        }
    }

    /// The write that follows this one, if one does.
    pub fn follow_up(&self) -> Option<Self> {
        let next = Self { step: self.step + 1, ..self.clone() };
        next.write().is_some().then_some(next)
    }

    /// Whether an earlier write of its row went well.
    pub fn is_follow_up(&self) -> bool {
        self.step > 0
    }

    /// Its key as written between the brackets of a record's address.
    pub fn address(&self) -> Cow<'_, str> {
        match self.made {
            Some(id) => id.to_string().into(),
            None => std::str::from_utf8(self.block.text(self.entry().address))
                .expect("addresses are written from text")
                .into(),
        }
    }

    /// The row as it was read.
    pub fn raw(&self) -> &[u8] {
        self.block.text(self.entry().raw)
    }
}

/// A record that was written with no id in its first place for one, with this id there.
fn named(body: &[u8], id: Uuid) -> Vec<u8> {
    let nil = Uuid::nil().to_string();
    let mut body = body.to_vec();
    // The key stands before all columns.
    let at = body.windows(nil.len()).position(|part| part == nil.as_bytes());
    if let Some(place) = at.and_then(|at| body.get_mut(at..at + nil.len())) {
        place.copy_from_slice(id.to_string().as_bytes());
    }
    body
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
    let address = match operation {
        Operation::Associate | Operation::Disassociate => format!("{id}/{id}"),
        _ => id.to_string(),
    };
    let address = block.write(|out| out.extend_from_slice(address.as_bytes()));
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
    Row { block: Arc::new(block), at: 0, step: 0, made: None }
}
