//! A connection with its prepared statements, and the count of what was run on it.
//!
//! Invariant: a lent statement is in nobody else's hands, and goes back reset and without parameters.

use lru::LruCache;
use rusqlite::{Connection, Statement};
use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");

/// Statements that a store has prepared and run so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementCounts {
    /// Texts that were parsed and planned.
    pub prepared: u64,
    /// Statements that were taken up to be run. One that is bound anew for each row counts once.
    pub used: u64,
    /// Transactions of the writer that were committed; one may hold a group of messages.
    pub commits: u64,
}

/// The running counts, shared by every connection of a store.
#[derive(Debug, Default)]
pub(super) struct Counts {
    prepared: AtomicU64,
    used: AtomicU64,
    commits: AtomicU64,
}

impl Counts {
    pub(super) fn now(&self) -> StatementCounts {
        StatementCounts {
            prepared: self.prepared.load(Ordering::Relaxed),
            used: self.used.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
        }
    }
}

/// A connection with its prepared statements.
pub(super) struct Session<'c> {
    conn: &'c Connection,
    statements: RefCell<LruCache<Box<str>, Statement<'c>>>,
    counts: Arc<Counts>,
}

impl<'c> Session<'c> {
    pub(super) fn new(conn: &'c Connection, counts: Arc<Counts>) -> Self {
        Self { conn, statements: RefCell::new(LruCache::new(STATEMENTS_MAX)), counts }
    }

    /// Lends the statement with this text.
    pub(super) fn statement(&self, sql: &str) -> rusqlite::Result<Lent<'_, 'c>> {
        self.counts.used.fetch_add(1, Ordering::Relaxed);
        let kept = self.statements.borrow_mut().pop_entry(sql);
        let (sql, statement) = match kept {
            Some(kept) => kept,
            None => {
                self.counts.prepared.fetch_add(1, Ordering::Relaxed);
                (sql.into(), self.conn.prepare(sql)?)
            }
        };
        Ok(Lent { session: self, entry: Some((sql, statement)) })
    }

    /// Runs a statement that has no parameters and no rows.
    pub(super) fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.statement(sql)?.raw_execute().map(|_| ())
    }

    /// Runs what is run once only, such as a change of a table.
    pub(super) fn run_once(&self, sql: &str) -> rusqlite::Result<()> {
        self.counts.prepared.fetch_add(1, Ordering::Relaxed);
        self.counts.used.fetch_add(1, Ordering::Relaxed);
        self.conn.execute_batch(sql)
    }

    /// Commits what the writer has written.
    pub(super) fn commit(&self) -> rusqlite::Result<()> {
        self.run("COMMIT")?;
        self.counts.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a transaction is open.
    pub(super) fn in_transaction(&self) -> bool {
        !self.conn.is_autocommit()
    }

    /// The bare connection.
    pub(super) fn conn(&self) -> &'c Connection {
        self.conn
    }
}

/// A statement in use; it goes back when this is dropped.
pub(super) struct Lent<'s, 'c> {
    session: &'s Session<'c>,
    entry: Option<(Box<str>, Statement<'c>)>,
}

impl<'c> Deref for Lent<'_, 'c> {
    type Target = Statement<'c>;

    fn deref(&self) -> &Statement<'c> {
        &self.entry.as_ref().expect("the statement goes back on drop only").1
    }
}

impl<'c> DerefMut for Lent<'_, 'c> {
    fn deref_mut(&mut self) -> &mut Statement<'c> {
        &mut self.entry.as_mut().expect("the statement goes back on drop only").1
    }
}

impl Drop for Lent<'_, '_> {
    fn drop(&mut self) {
        if let Some((sql, mut statement)) = self.entry.take() {
            statement.clear_bindings();
            self.session.statements.borrow_mut().push(sql, statement);
        }
    }
}
