//! SQLite alone: one connection, one thread, prepared single-row statements re-bound per row.
//!
//! In: images of rows. Out: how long one transaction for each message took, on disk.
//! Not here: what is measured and when (`bulk`, `singles`).
//! Invariant: the settings are those of the service's writer, and `synchronous=FULL` is among them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use uuid::Uuid;

use crate::bare::{Keys, changed_columns};
use crate::report::{self, Taken};

type Image = Vec<Value>;

/// As the service's writer sets them; the page size is read from its file.
const CACHE_KIBIBYTES: i64 = 256 * 1024;
/// New pages in the log after which the service's checkpoint thread is woken.
const CHECKPOINT_PAGES: u64 = 8_192;

pub(crate) struct BareSqlite {
    service_file: PathBuf,
    own: Connection,
    checkpoints: Checkpoints,
    table: String,
    columns: Vec<String>,
    id: usize,
    key: usize,
    /// What follows `ON CONFLICT`.
    conflict: String,
}

impl BareSqlite {
    pub(crate) fn tables_of(file: &Path) -> Result<Vec<String>> {
        let connection = open_readonly(file)?;
        let mut statement =
            connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
        let names = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(names)
    }

    pub(crate) fn copy(file: &Path, table: &str, own_file: &Path) -> Result<BareSqlite> {
        let theirs = open_readonly(file)?;
        let mut own = Connection::open(own_file)?;
        let page_size: i64 = theirs.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        own.pragma_update(None, "page_size", page_size)?;
        own.pragma_update(None, "journal_mode", "WAL")?;
        own.pragma_update(None, "synchronous", "FULL")?;
        own.pragma_update(None, "cache_size", -CACHE_KIBIBYTES)?;
        own.pragma_update(None, "wal_autocheckpoint", 0)?;
        own.pragma_update(None, "temp_store", "MEMORY")?;
        let mut statement = theirs.prepare(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = ?1 AND sql IS NOT NULL \
             ORDER BY type = 'table' DESC, name",
        )?;
        for sql in statement.query_map([table], |row| row.get::<_, String>(0))? {
            own.execute_batch(&sql?)?;
        }
        let mut statement = own.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
        let columns: Vec<String> =
            statement.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        drop(statement);
        ensure!(!columns.is_empty(), "table `{table}` has no columns");
        let checkpoints = Checkpoints::start(&mut own, own_file)?;
        Ok(BareSqlite {
            service_file: file.to_path_buf(),
            own,
            checkpoints,
            table: table.to_owned(),
            columns,
            id: 0,
            key: 0,
            conflict: String::new(),
        })
    }

    pub(crate) fn learn(&mut self, id: Uuid, code: &str) -> Result<()> {
        let theirs = open_readonly(&self.service_file)?;
        let blob = Value::Blob(id.as_bytes().to_vec());
        let row = self
            .select(&theirs, "", [])?
            .into_iter()
            .find(|row| row.contains(&blob))
            .context("the id that was sent is nowhere in the table")?;
        self.id = row.iter().position(|cell| *cell == blob).context("no id")?;
        let mut statement = self.own.prepare(
            "SELECT sql FROM sqlite_schema WHERE tbl_name = ?1 AND type = 'index' AND sql LIKE 'CREATE UNIQUE%'",
        )?;
        let unique: Vec<String> =
            statement.query_map([&self.table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        drop(statement);
        let code = Value::Text(code.to_owned());
        for sql in &unique {
            let (_, target) = sql.split_once('(').context("an index has columns")?;
            let first = target.split([',', ')']).next().unwrap_or_default();
            let first = first.trim().trim_matches('"');
            let place = self.columns.iter().position(|column| column == first);
            if let Some(place) = place
                && row[place] == code
            {
                self.key = place;
                self.conflict = format!("({target}");
                return Ok(());
            }
        }
        bail!("none of {unique:?} is the index of the alternate key")
    }

    pub(crate) fn read(&self, keys: &Keys) -> Result<Vec<Image>> {
        let theirs = open_readonly(&self.service_file)?;
        rusqlite::vtab::array::load_module(&theirs)?;
        let (place, keys): (usize, Vec<Value>) = match keys {
            Keys::Ids(ids) => {
                (self.id, ids.iter().map(|id| Value::Blob(id.as_bytes().to_vec())).collect())
            }
            Keys::Codes(codes) => {
                (self.key, codes.iter().map(|code| Value::Text(code.clone())).collect())
            }
        };
        let filter = format!("WHERE {} IN rarray(?1)", self.columns[place]);
        let rows = self.select(&theirs, &filter, [Rc::new(keys.clone())])?;
        let mut found: HashMap<Vec<u8>, Image> =
            rows.into_iter().map(|row| (bytes_of(&row[place]), row)).collect();
        keys.iter()
            .map(|key| found.remove(&bytes_of(key)).context("a row that was sent is not stored"))
            .collect()
    }

    fn select(
        &self,
        connection: &Connection,
        filter: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<Image>> {
        let sql = format!("SELECT {} FROM {} {filter}", self.columns.join(", "), self.table);
        let width = self.columns.len();
        let mut statement = connection.prepare(&sql)?;
        let rows = statement
            .query_map(parameters, |row| (0..width).map(|index| row.get(index)).collect())?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }

    pub(crate) fn insert(&mut self, messages: &[Vec<Image>]) -> Result<Taken> {
        let sql = self.insert_sql();
        self.run(&sql, messages)
    }

    /// Every row is a statement and a commit of its own.
    pub(crate) fn insert_singly(&mut self, rows: &[Image]) -> Result<Taken> {
        let sql = self.insert_sql();
        let mut statement = self.own.prepare(&sql)?;
        let (started, cpu) = (Instant::now(), report::cpu_of(None)?);
        for row in rows {
            statement.execute(params_from_iter(row))?;
            self.checkpoints.after_commit();
        }
        let wall = started.elapsed();
        let taken = Taken { wall, cpu: Some(report::cpu_of(None)?.saturating_sub(cpu)) };
        self.checkpoints.settle();
        Ok(taken)
    }

    pub(crate) fn update(&mut self, before: &[Vec<Image>], after: &[Vec<Image>]) -> Result<Taken> {
        let changed = changed_columns(&self.columns, &before.concat(), &after.concat());
        let sets: Vec<String> =
            changed.iter().map(|&index| format!("{} = ?", self.columns[index])).collect();
        let sql = format!(
            "UPDATE {} SET {} WHERE {} = ?",
            self.table,
            sets.join(", "),
            self.columns[self.id]
        );
        let pick = |row: &Image| {
            changed.iter().chain([&self.id]).map(|&index| row[index].clone()).collect::<Image>()
        };
        let messages: Vec<Vec<Image>> =
            after.iter().map(|rows| rows.iter().map(pick).collect()).collect();
        self.run(&sql, &messages)
    }

    pub(crate) fn upsert(
        &mut self,
        before: &[Vec<Image>],
        mut after: Vec<Vec<Image>>,
    ) -> Result<Taken> {
        let existing: Vec<Image> = after
            .iter()
            .zip(before)
            .flat_map(|(after, before)| after.iter().take(before.len()).cloned())
            .collect();
        let changed = changed_columns(&self.columns, &before.concat(), &existing);
        let sets: Vec<String> = changed
            .iter()
            .map(|&index| format!("{0} = excluded.{0}", self.columns[index]))
            .collect();
        let sql = format!(
            "{} ON CONFLICT {} DO UPDATE SET {}",
            self.insert_sql(),
            self.conflict,
            sets.join(", ")
        );
        // Whoever upserts by another key does not know the id: a new one stands in for it.
        for (after, before) in after.iter_mut().zip(before) {
            for row in after.iter_mut().take(before.len()) {
                if let Value::Blob(id) = &mut row[self.id] {
                    id.reverse();
                }
            }
        }
        self.run(&sql, &after)
    }

    fn insert_sql(&self) -> String {
        let marks = vec!["?"; self.columns.len()].join(", ");
        format!("INSERT INTO {} ({}) VALUES ({marks})", self.table, self.columns.join(", "))
    }

    fn run(&mut self, sql: &str, messages: &[Vec<Image>]) -> Result<Taken> {
        let own = &self.own;
        let mut statement = own.prepare(sql)?;
        let (started, cpu) = (Instant::now(), report::cpu_of(None)?);
        for rows in messages {
            // A failure ends the bench: nothing needs to be rolled back.
            own.execute_batch("BEGIN IMMEDIATE")?;
            for row in rows {
                let written = statement.execute(params_from_iter(row))?;
                ensure!(written == 1, "`{sql}` wrote {written} rows");
            }
            own.execute_batch("COMMIT")?;
            self.checkpoints.after_commit();
        }
        let wall = started.elapsed();
        let taken = Taken { wall, cpu: Some(report::cpu_of(None)?.saturating_sub(cpu)) };
        self.checkpoints.settle();
        Ok(taken)
    }
}

/// Moves the log into the file on a thread and a connection of its own, as the service does: that is the
/// best way, so the bare side has it, too.
struct Checkpoints {
    wish: SyncSender<()>,
    /// Pages in the log after the last commit.
    pages: Arc<AtomicU64>,
    wished_at: AtomicU64,
    wished: AtomicU64,
    done: Arc<AtomicU64>,
}

impl Checkpoints {
    fn start(own: &mut Connection, file: &Path) -> Result<Checkpoints> {
        let pages = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&pages);
        own.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
            counted.store(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // One waiting wish is enough: it is about everything that is in the log by then.
        let (wish, wishes) = sync_channel(1);
        let done = Arc::new(AtomicU64::new(0));
        let finished = Arc::clone(&done);
        thread::spawn(move || {
            while wishes.recv().is_ok() {
                // Busy is no failure: the next wish comes.
                let _moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                finished.fetch_add(1, Ordering::Release);
            }
        });
        let (wished_at, wished) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Checkpoints { wish, pages, wished_at, wished, done })
    }

    fn after_commit(&self) {
        let pages = self.pages.load(Ordering::Relaxed);
        let wished_at = self.wished_at.load(Ordering::Relaxed);
        // The log starts anew after it was moved as a whole.
        let new = if pages < wished_at { pages } else { pages - wished_at };
        if new >= CHECKPOINT_PAGES && self.wish.try_send(()).is_ok() {
            self.wished_at.store(pages, Ordering::Relaxed);
            self.wished.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits for what was wished, so that it does not slow the other side.
    fn settle(&self) {
        while self.done.load(Ordering::Acquire) < self.wished.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn open_readonly(file: &Path) -> Result<Connection> {
    let connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::Blob(bytes) => bytes.clone(),
        Value::Text(text) => text.clone().into_bytes(),
        Value::Integer(number) => number.to_le_bytes().to_vec(),
        Value::Real(number) => number.to_le_bytes().to_vec(),
        Value::Null => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table such as the service makes: an id, a folded text beside its text, a version.
    fn database(directory: &Path) -> PathBuf {
        let file = directory.join("sheaf.sqlite");
        let connection = Connection::open(&file).unwrap();
        connection
            .execute_batch(
                "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;
                 CREATE TABLE t7 (c1 BLOB NOT NULL, c2 INTEGER, c3 TEXT, c3f TEXT, c4 TEXT);
                 CREATE UNIQUE INDEX p7 ON t7 (c1);
                 CREATE UNIQUE INDEX k7_1 ON t7 (c3f) WHERE c3f IS NOT NULL;
                 CREATE INDEX i7_4 ON t7 (c4);",
            )
            .unwrap();
        file
    }

    #[test]
    fn the_bare_side_ends_with_the_very_rows_of_the_service() {
        let directory = tempfile::tempdir().unwrap();
        let file = database(directory.path());
        let mut bare =
            BareSqlite::copy(&file, "t7", &directory.path().join("bare.sqlite")).unwrap();
        let theirs = Connection::open(&file).unwrap();
        let ids: Vec<Uuid> = (1..=4).map(Uuid::from_u128).collect();
        let put = |id: &Uuid, version: i64, text: &str| {
            theirs
                .execute(
                    "INSERT INTO t7 VALUES (?1, ?2, ?3, lower(?3), 'x') ON CONFLICT (c1) DO UPDATE SET c2 = excluded.c2, c4 = 'y'",
                    (id.as_bytes(), version, text),
                )
                .unwrap();
        };
        put(&ids[0], 1, "Ab");
        put(&ids[1], 2, "Cd");
        bare.learn(ids[0], "ab").unwrap();
        assert_eq!((bare.id, bare.key), (0, 3));
        assert_eq!(bare.conflict, "(c3f) WHERE c3f IS NOT NULL");

        let old = Keys::Ids(ids[..2].to_vec());
        let before = bare.read(&old).unwrap();
        bare.insert(std::slice::from_ref(&before)).unwrap();
        put(&ids[0], 3, "Ab");
        put(&ids[1], 4, "Cd");
        let after = bare.read(&old).unwrap();
        bare.update(std::slice::from_ref(&before), std::slice::from_ref(&after)).unwrap();
        put(&ids[1], 5, "Cd");
        put(&ids[2], 6, "Ef");
        let upserted = bare.read(&Keys::Codes(vec!["cd".into(), "ef".into()])).unwrap();
        bare.upsert(&[vec![after[1].clone()]], vec![upserted]).unwrap();
        put(&ids[3], 7, "Gh");
        let single = bare.read(&Keys::Ids(vec![ids[3]])).unwrap();
        bare.insert_singly(&single).unwrap();

        let ours = bare.select(&bare.own, "ORDER BY c1", []).unwrap();
        let theirs = bare.select(&theirs, "ORDER BY c1", []).unwrap();
        assert_eq!(ours.len(), 4);
        assert_eq!(ours, theirs);
    }
}
