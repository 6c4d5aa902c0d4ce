//! A group of calls against the rows there are: what each write does, and the batch of all.
//!
//! In: calls, encoded as far as they can be without knowing the rows. Out: an outcome per write, and one
//! batch with each touched row once.
//! Not here: queueing and syncing (`committer`), the rules (`store::elastic_rows`).
//! Invariant: a write sees the rows of the files with every earlier write of the group over them.

use super::Files;
use super::row::{StoredRow, header, stamp};
use crate::codec::{Columns, decode, encode};
use crate::error::engine;
use crate::key::{due_key, partition_of, row_key};
use fjall::{Keyspace, OwnedWriteBatch, UserValue};
use model::{Table, TableId, Timestamp};
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;
use store::Result;
use store::elastic::{ElasticAction, ElasticOutcome, ElasticReason, ElasticWrite};
use store::elastic_rows::{Change, Current, VersionClock, decide};

/// Longest key that the engine takes, in bytes.
const KEY_BYTES_MAX: usize = 32 << 10;
/// From so many neighbours on, one walk over the rows between them is cheaper than looking for each.
const NEIGHBOURS_MIN: usize = 8;

/// A call, prepared on its caller's thread.
pub(super) struct Call {
    table: Arc<Table>,
    now: Timestamp,
    writes: Vec<Prepared>,
    /// About what it adds to the files.
    pub(super) bytes: usize,
}

/// One write and the key of its row.
struct Prepared {
    key: Vec<u8>,
    work: Work,
}

enum Work {
    /// A new row: where none is there, this becomes of it.
    Insert(Result<NewRow, ElasticReason>),
    /// Anything that depends on the row that is there.
    Judge(ElasticWrite),
}

/// A row on its way into the files; its version is still to be stamped.
struct NewRow {
    bytes: Vec<u8>,
    expires_at: Option<Timestamp>,
}

impl Call {
    pub(super) fn prepare(table: &Arc<Table>, now: Timestamp, writes: Vec<ElasticWrite>) -> Self {
        let mut bytes = 0;
        let mut prepare = |write: ElasticWrite| {
            let key = row_key(&write.key);
            let work = match write.action {
                _ if key.len() > KEY_BYTES_MAX => Work::Insert(Err(ElasticReason::TooLarge)),
                ElasticAction::Insert { .. } => {
                    Work::Insert(decide(table, now, None, write).map(|change| match change {
                        Change::Put { values, expires_at, .. } => {
                            NewRow::encode(table, &values, expires_at)
                        }
                        Change::Delete => unreachable!("an insert does not delete"),
                    }))
                }
                ElasticAction::Update { .. }
                | ElasticAction::Replace { .. }
                | ElasticAction::Delete => Work::Judge(write),
            };
            bytes += key.len()
                + match &work {
                    Work::Insert(Ok(row)) => row.bytes.len(),
                    Work::Insert(Err(_)) => 0,
                    Work::Judge(write) => weight(write),
                };
            Prepared { key, work }
        };
        let writes = writes.into_iter().map(&mut prepare).collect();
        Self { table: table.clone(), now, writes, bytes }
    }
}

/// About the bytes of a write's cells.
fn weight(write: &ElasticWrite) -> usize {
    match &write.action {
        ElasticAction::Insert { cells }
        | ElasticAction::Update { cells }
        | ElasticAction::Replace { cells, .. } => cells
            .iter()
            .map(|cell| match &cell.value {
                model::Value::Text(text) => text.len(),
                _ => 16,
            })
            .sum(),
        ElasticAction::Delete => 0,
    }
}

impl NewRow {
    fn encode(table: &Table, values: &[model::Value], expires_at: Option<Timestamp>) -> Self {
        let mut bytes = header(expires_at);
        encode(table, values, &mut bytes);
        Self { bytes, expires_at }
    }
}

/// The rows that a group has touched.
pub(super) struct Group<'f> {
    files: &'f Files,
    versions: &'f mut VersionClock,
    tables: BTreeMap<TableId, TouchedTable>,
}

struct TouchedTable {
    keyspace: Keyspace,
    /// By key, because the engine's memory takes neighbours, one after the other, much faster than
    /// rows in any order.
    rows: BTreeMap<Vec<u8>, TouchedRow>,
}

struct TouchedRow {
    /// The row as the group has left it so far.
    current: Option<UserValue>,
    /// When the row in the files is over: its entry in the expiry index.
    indexed: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    is_changed: bool,
}

impl<'f> Group<'f> {
    pub(super) fn new(files: &'f Files, versions: &'f mut VersionClock) -> Self {
        Self { files, versions, tables: BTreeMap::new() }
    }

    /// Decides every write of a call, in order.
    ///
    /// Errors: the engine failed, or stored bytes do not read. Writes of the call before that one stay
    /// in the group.
    pub(super) fn judge(&mut self, call: Call) -> Result<Vec<ElasticOutcome>> {
        let Call { table, now, writes, bytes: _ } = call;
        let touched = match self.tables.entry(table.id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let keyspace = self.files.table_for_writes(table.id)?;
                entry.insert(TouchedTable { keyspace, rows: BTreeMap::new() })
            }
        };
        touched.walk(&writes)?;
        let columns = Columns::of(&table);
        let mut outcomes = Vec::with_capacity(writes.len());
        for Prepared { key, work } in writes {
            let row = touched.row(key)?;
            let is_there = match &row.current {
                Some(bytes) => StoredRow::read(bytes)?.is_there(now),
                None => false,
            };
            let judged = match work {
                Work::Insert(_) if is_there => Err(ElasticReason::Exists),
                Work::Insert(new) => new.map(Some),
                Work::Judge(write) => row.judge(&columns, now, is_there, write)?,
            };
            outcomes.push(match judged {
                Ok(new) => {
                    let version = self.versions.next(now);
                    let created = !is_there && new.is_some();
                    row.put(new, version);
                    ElasticOutcome::Written { created, version }
                }
                Err(reason) => ElasticOutcome::Refused(reason),
            });
        }
        Ok(outcomes)
    }

    /// What is to be written; nothing where every write was refused.
    pub(super) fn into_batch(self) -> Result<Option<OwnedWriteBatch>> {
        let rows = self.tables.values().map(|table| table.rows.len()).sum::<usize>();
        let mut batch = OwnedWriteBatch::with_capacity(self.files.database.clone(), rows + 1);
        for (id, table) in self.tables {
            for (key, row) in table.rows {
                if !row.is_changed {
                    continue;
                }
                if row.indexed != row.expires_at {
                    if let Some(at) = row.indexed {
                        batch.remove(&self.files.due, due_key(at, id, &key));
                    }
                    if let Some(at) = row.expires_at {
                        batch.insert(&self.files.due, due_key(at, id, &key), b"");
                    }
                }
                match row.current {
                    Some(bytes) => batch.insert(&table.keyspace, key, bytes),
                    None => batch.remove(&table.keyspace, key),
                }
            }
        }
        Ok((!batch.is_empty()).then_some(batch))
    }
}

impl TouchedTable {
    /// Reads the rows of a call whose keys ascend within one partition (ids that were made one after the
    /// other) by one walk over what lies between them. It ends after as many rows as the call has: what lies
    /// beyond is looked up key by key.
    fn walk(&mut self, writes: &[Prepared]) -> Result<()> {
        const DOING: &str = "looking up the rows of a call";
        let ([first, .., last], true) = (writes, writes.len() >= NEIGHBOURS_MIN) else {
            return Ok(());
        };
        let are_neighbours = partition_of(&first.key) == partition_of(&last.key)
            && last.key.len() <= KEY_BYTES_MAX
            && writes.is_sorted_by(|one, next| one.key < next.key);
        if !are_neighbours {
            return Ok(());
        }
        let mut there = self.keyspace.range(first.key.as_slice()..=last.key.as_slice());
        let mut wanted = writes.iter().map(|write| write.key.as_slice()).peekable();
        for _ in 0..writes.len() {
            let found =
                there.next().map(|row| row.into_inner().map_err(engine(DOING))).transpose()?;
            let (found, bytes) = match &found {
                Some((key, bytes)) => (Some(&key[..]), Some(bytes)),
                None => (None, None),
            };
            while let Some(key) = wanted.next_if(|key| found.is_none_or(|found| *key <= found)) {
                let current = bytes.filter(|_| found == Some(key)).cloned();
                if let Entry::Vacant(entry) = self.rows.entry(key.to_vec()) {
                    entry.insert(TouchedRow::found(current)?);
                }
            }
            if found.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The row with this key, read from the files where the group has not touched it yet.
    fn row(&mut self, key: Vec<u8>) -> Result<&mut TouchedRow> {
        Ok(match self.rows.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let current = match entry.key().len() {
                    0..=KEY_BYTES_MAX => {
                        self.keyspace.get(entry.key()).map_err(engine("looking up a row"))?
                    }
                    // Such a key is refused: there is no such row.
                    _ => None,
                };
                entry.insert(TouchedRow::found(current)?)
            }
        })
    }
}

impl TouchedRow {
    /// What the files hold for a key.
    fn found(current: Option<UserValue>) -> Result<Self> {
        let expires_at = match &current {
            Some(bytes) => StoredRow::read(bytes)?.expires_at,
            None => None,
        };
        Ok(Self { current, indexed: expires_at, expires_at, is_changed: false })
    }

    /// What becomes of the row: a new one, none, or a refusal.
    fn judge(
        &self,
        columns: &Columns<'_>,
        now: Timestamp,
        is_there: bool,
        write: ElasticWrite,
    ) -> Result<Result<Option<NewRow>, ElasticReason>> {
        let values;
        let current = match &self.current {
            Some(bytes) if is_there => {
                let stored = StoredRow::read(bytes)?;
                values = decode(columns, write.key.id, stored.version, stored.body)?;
                Some(Current { version: stored.version, values: &values })
            }
            _ => None,
        };
        Ok(decide(columns.table(), now, current, write).map(|change| match change {
            Change::Put { values, expires_at, .. } => {
                Some(NewRow::encode(columns.table(), &values, expires_at))
            }
            Change::Delete => None,
        }))
    }

    fn put(&mut self, new: Option<NewRow>, version: i64) {
        self.is_changed = true;
        self.expires_at = new.as_ref().and_then(|row| row.expires_at);
        self.current = new.map(|mut row| {
            stamp(&mut row.bytes, version);
            UserValue::from(row.bytes)
        });
    }
}
