//! Moves the write-ahead log into the database file, beside the writer.
//!
//! A passive checkpoint waits for nobody and stops nobody. Under steady writing it never reaches the
//! log's end, so that the log grows; at a limit the writer itself does the rest between two groups.
//! Invariant: the log stays near [`LOG_PAGES_MAX`], unless a reader holds an old snapshot.

use super::Synchronous;
use super::connection::open_checkpointer;
use super::error::engine;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use store::Result;

/// New pages in the log after which a checkpoint is wished for: 64 MiB.
const LOG_PAGES_WISHED: u32 = 8_192;
/// Pages in the log at which the writer checkpoints itself: 256 MiB.
const LOG_PAGES_MAX: u32 = 32_768;

/// The writer's view of the log.
pub(super) struct Checkpoints {
    wish: SyncSender<()>,
    /// Pages in the log after the last commit.
    pages: Arc<AtomicU32>,
    /// Pages in the log when a checkpoint was wished for last.
    wished_at: u32,
}

/// Starts the thread that checkpoints; it ends when the answer is dropped.
pub(super) fn start(
    file: &Path,
    synchronous: Synchronous,
    threads: &mut Vec<JoinHandle<()>>,
) -> Result<Checkpoints> {
    let conn = open_checkpointer(file, synchronous)?;
    // One waiting wish is enough: it is about everything that is in the log by then.
    let (wish, wishes) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("sqlite-checkpoint".into())
        .spawn(move || {
            while wishes.recv().is_ok() {
                checkpoint(&conn, "PASSIVE");
            }
        })
        .map_err(engine("starting the checkpoint thread"))?;
    threads.push(thread);
    Ok(Checkpoints { wish, pages: Arc::default(), wished_at: 0 })
}

impl Checkpoints {
    /// Counts the log's pages on every commit of this connection.
    pub(super) fn watch(&self, conn: &mut Connection) -> rusqlite::Result<()> {
        let pages = self.pages.clone();
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
            pages.store(u32::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
    }

    /// Looks at the log between two groups.
    pub(super) fn after_commit(&mut self, conn: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.wished_at {
            // The log has started anew.
            self.wished_at = 0;
        }
        if pages >= LOG_PAGES_MAX.max(self.wished_at.saturating_add(LOG_PAGES_WISHED)) {
            self.wished_at = pages;
            checkpoint(conn, "PASSIVE");
        } else if pages >= self.wished_at.saturating_add(LOG_PAGES_WISHED) {
            self.wished_at = pages;
            // A full channel holds a wish already; a closed one means that the thread has died,
            // and then the limit above takes over.
            if self.wish.try_send(()).is_err() {
                tracing::debug!("a checkpoint is wished for already");
            }
        }
    }

    /// Empties the log before the store closes.
    pub(super) fn finish(self, conn: &Connection) {
        drop(self.wish);
        checkpoint(conn, "TRUNCATE");
    }
}

fn checkpoint(conn: &Connection, mode: &str) {
    let done = conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
    if let Err(source) = done {
        // Nothing is lost: the log keeps what was not moved.
        tracing::warn!(error = %source, "checkpoint failed");
    }
}
