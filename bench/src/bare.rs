//! The bare side: the rows that the service stored, stored again without it.
//!
//! In: a table of the service's own database. Out: the same table and indexes in a database of their own,
//! and how long the engine alone takes for the same rows.
//! Not here: SQL (`bare_sqlite`, `bare_postgres`).
//! Invariant: what is written are images read from the service's database: system columns, folded texts and
//! all; nothing is left out to make the bare side faster or added to make it slower.

use std::collections::BTreeSet;

use anyhow::Result;
use uuid::Uuid;

use crate::bare_postgres::BarePostgres;
use crate::bare_sqlite::BareSqlite;
use crate::report::Taken;
use crate::service::{Database, Place};

/// The copy of one table.
pub(crate) enum Bare {
    Sqlite(Box<BareSqlite>),
    Postgres(Box<BarePostgres>),
}

/// Rows of one message as the service has stored them, one list of cells a row.
pub(crate) enum Images {
    Sqlite(Vec<Vec<rusqlite::types::Value>>),
    Postgres(Vec<Vec<Option<crate::bare_postgres::Raw>>>),
}

/// How rows are found again.
#[derive(Debug, Clone)]
pub(crate) enum Keys {
    Ids(Vec<Uuid>),
    Codes(Vec<String>),
}

/// The names of the columns that differ between the images of rows before and after.
pub(crate) fn changed_columns<T: PartialEq>(
    columns: &[String],
    before: &[Vec<T>],
    after: &[Vec<T>],
) -> Vec<usize> {
    let mut changed = BTreeSet::new();
    for (before, after) in before.iter().zip(after) {
        changed.extend((0..columns.len()).filter(|&index| before[index] != after[index]));
    }
    changed.into_iter().collect()
}

impl Bare {
    /// Names of all tables of a database.
    pub(crate) async fn tables_of(database: &Database) -> Result<Vec<String>> {
        match database {
            Database::Sqlite(path) => BareSqlite::tables_of(path),
            Database::Postgres(url) => BarePostgres::tables_of(url).await,
        }
    }

    /// Copies the definition of a table, with its indexes and without rows.
    pub(crate) async fn copy(place: &Place, table: &str, number: usize) -> Result<Bare> {
        Ok(match (&place.database, &place.cluster) {
            (Database::Postgres(url), Some(cluster)) => {
                Bare::Postgres(Box::new(BarePostgres::copy(cluster, url, table).await?))
            }
            (Database::Sqlite(path), _) => {
                let own = place.directory.path().join(format!("bare{number}.sqlite"));
                Bare::Sqlite(Box::new(BareSqlite::copy(path, table, &own)?))
            }
            (Database::Postgres(_), None) => anyhow::bail!("PostgreSQL without a cluster"),
        })
    }

    /// Learns which columns hold the id and the alternate key, from a row that the service has stored.
    pub(crate) async fn learn(&mut self, id: Uuid, code: &str) -> Result<()> {
        match self {
            Bare::Sqlite(bare) => bare.learn(id, code),
            Bare::Postgres(bare) => bare.learn(id, code).await,
        }
    }

    /// Reads rows from the service's database, in the order of the keys.
    pub(crate) async fn read(&self, keys: &Keys) -> Result<Images> {
        Ok(match self {
            Bare::Sqlite(bare) => Images::Sqlite(tokio::task::block_in_place(|| bare.read(keys))?),
            Bare::Postgres(bare) => Images::Postgres(bare.read(keys).await?),
        })
    }

    /// Inserts messages, each in one transaction.
    pub(crate) async fn insert(
        &mut self,
        messages: Vec<Images>,
        connections: usize,
    ) -> Result<Taken> {
        match self {
            Bare::Sqlite(bare) => {
                let messages = sqlite(messages);
                tokio::task::block_in_place(|| bare.insert(&messages))
            }
            Bare::Postgres(bare) => bare.insert(postgres(messages), connections).await,
        }
    }

    /// Updates what changed between two images of the rows of each message, by id.
    pub(crate) async fn update(
        &mut self,
        before: Vec<Images>,
        after: Vec<Images>,
        connections: usize,
    ) -> Result<Taken> {
        match self {
            Bare::Sqlite(bare) => {
                let (before, after) = (sqlite(before), sqlite(after));
                tokio::task::block_in_place(|| bare.update(&before, &after))
            }
            Bare::Postgres(bare) => {
                bare.update(&postgres(before), postgres(after), connections).await
            }
        }
    }

    /// Inserts or updates by alternate key. `before` holds the rows that were there already, and they
    /// come first in each message of `after`.
    pub(crate) async fn upsert(
        &mut self,
        before: Vec<Images>,
        after: Vec<Images>,
        connections: usize,
    ) -> Result<Taken> {
        match self {
            Bare::Sqlite(bare) => {
                let (before, after) = (sqlite(before), sqlite(after));
                tokio::task::block_in_place(|| bare.upsert(&before, after))
            }
            Bare::Postgres(bare) => {
                bare.upsert(&postgres(before), postgres(after), connections).await
            }
        }
    }
}

fn sqlite(messages: Vec<Images>) -> Vec<Vec<Vec<rusqlite::types::Value>>> {
    messages
        .into_iter()
        .filter_map(|images| match images {
            Images::Sqlite(rows) => Some(rows),
            Images::Postgres(_) => None,
        })
        .collect()
}

fn postgres(messages: Vec<Images>) -> Vec<Vec<Vec<Option<crate::bare_postgres::Raw>>>> {
    messages
        .into_iter()
        .filter_map(|images| match images {
            Images::Postgres(rows) => Some(rows),
            Images::Sqlite(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_columns_that_differ_in_some_row_are_changed() {
        let columns = ["a", "b", "c"].map(str::to_owned);
        let before = vec![vec![1, 1, 1], vec![2, 2, 2]];
        let after = vec![vec![1, 1, 1], vec![2, 9, 2]];
        assert_eq!(changed_columns(&columns, &before, &after), [1]);
    }
}
