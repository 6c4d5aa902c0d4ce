//! PostgreSQL alone: arrays into `unnest`, one statement and one commit a message, on several connections.
//!
//! In: images of rows, as the bytes of PostgreSQL's own binary format. Out: how long the engine took.
//! Not here: what is measured and when (`bulk`, `singles`).
//! Invariant: the copy lives in the same cluster, with the same settings, as the service's database.

use std::collections::HashMap;
use std::error::Error;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::{BufMut, BytesMut};
use testkit::postgres::Cluster;
use tokio::task::JoinSet;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::bare::{Keys, changed_columns};
use crate::report::Taken;

/// A value in binary format, whatever its type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Raw(Vec<u8>);

impl From<Uuid> for Raw {
    fn from(id: Uuid) -> Self {
        Raw(id.as_bytes().to_vec())
    }
}

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

type Image = Vec<Option<Raw>>;

pub(crate) struct BarePostgres {
    service: Client,
    own: Vec<Client>,
    own_url: String,
    table: String,
    columns: Vec<String>,
    types: Vec<String>,
    id: usize,
    key: usize,
    /// What follows `ON CONFLICT`.
    conflict: String,
    drivers: JoinSet<()>,
}

/// One statement and, for each message, its columns.
struct Work {
    sql: String,
    messages: Vec<Vec<Vec<Option<Raw>>>>,
}

impl BarePostgres {
    pub(crate) async fn tables_of(url: &str) -> Result<Vec<String>> {
        let mut drivers = JoinSet::new();
        let client = connect(url, &mut drivers).await?;
        let rows = client
            .query("SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace", &[])
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub(crate) async fn copy(cluster: &Cluster, url: &str, table: &str) -> Result<BarePostgres> {
        let own_url = cluster.create_database("bare")?;
        copy_schema(cluster, url, &own_url)?;
        let mut drivers = JoinSet::new();
        let service = connect(url, &mut drivers).await?;
        let own = vec![connect(&own_url, &mut drivers).await?];
        let described = own[0]
            .query(
                "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute \
                 WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                &[&table],
            )
            .await?;
        ensure!(!described.is_empty(), "table `{table}` has no columns");
        Ok(BarePostgres {
            service,
            own,
            own_url,
            table: table.to_owned(),
            columns: described.iter().map(|row| row.get(0)).collect(),
            types: described.iter().map(|row| row.get(1)).collect(),
            id: 0,
            key: 0,
            conflict: String::new(),
            drivers,
        })
    }

    pub(crate) async fn learn(&mut self, id: Uuid, code: &str) -> Result<()> {
        let raw = Some(Raw(id.as_bytes().to_vec()));
        let row = self
            .select(&self.service, "", &[])
            .await?
            .into_iter()
            .find(|row| row.contains(&raw))
            .context("the id that was sent is nowhere in the table")?;
        self.id = row.iter().position(|cell| *cell == raw).context("no id")?;
        let code = Some(Raw(code.as_bytes().to_vec()));
        let unique = self
            .service
            .query(
                "SELECT pg_get_indexdef(indexrelid) FROM pg_index \
                 WHERE indrelid = $1::text::regclass AND indisunique AND NOT indisprimary",
                &[&self.table],
            )
            .await?;
        for definition in &unique {
            let definition: String = definition.get(0);
            let (_, target) = definition.split_once(" USING btree ").context("a b-tree")?;
            let first =
                target.trim_start_matches('(').split([',', ')', ' ']).next().unwrap_or_default();
            let place = self.columns.iter().position(|column| column == first);
            if let Some(place) = place
                && row[place] == code
            {
                self.key = place;
                target.clone_into(&mut self.conflict);
                return Ok(());
            }
        }
        bail!("none of {} unique indexes is that of the alternate key", unique.len())
    }

    pub(crate) async fn read(&self, keys: &Keys) -> Result<Vec<Image>> {
        let (place, keys): (usize, Vec<Raw>) = match keys {
            Keys::Ids(ids) => (self.id, ids.iter().map(|id| Raw(id.as_bytes().to_vec())).collect()),
            Keys::Codes(codes) => {
                (self.key, codes.iter().map(|code| Raw(code.as_bytes().to_vec())).collect())
            }
        };
        let filter = format!("WHERE {} = ANY($1)", self.columns[place]);
        let rows = self.select(&self.service, &filter, &[&keys]).await?;
        let mut found: HashMap<Raw, Image> =
            rows.into_iter().filter_map(|row| row[place].clone().map(|key| (key, row))).collect();
        keys.iter()
            .map(|key| found.remove(key).context("a row that was sent is not stored"))
            .collect()
    }

    async fn select(
        &self,
        client: &Client,
        filter: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Image>> {
        let sql = format!("SELECT {} FROM {} {filter}", self.columns.join(", "), self.table);
        let rows = client.query(&sql, parameters).await?;
        Ok(rows
            .iter()
            .map(|row| (0..self.columns.len()).map(|index| row.get(index)).collect())
            .collect())
    }

    pub(crate) async fn insert(
        &mut self,
        messages: Vec<Vec<Image>>,
        connections: usize,
    ) -> Result<Taken> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let messages = messages.into_iter().map(|rows| columns_of(&rows, &all)).collect();
        self.run(Work { sql: self.insert_sql(), messages }, connections).await
    }

    pub(crate) async fn update(
        &mut self,
        before: &[Vec<Image>],
        after: Vec<Vec<Image>>,
        connections: usize,
    ) -> Result<Taken> {
        let mut picked = changed_columns(&self.columns, &before.concat(), &after.concat());
        let sets: Vec<String> =
            picked.iter().map(|&index| format!("{0} = u.{0}", self.columns[index])).collect();
        picked.push(self.id);
        let names: Vec<&str> = picked.iter().map(|&index| self.columns[index].as_str()).collect();
        let id = &self.columns[self.id];
        let sql = format!(
            "UPDATE {0} SET {1} FROM unnest({2}) AS u({3}) WHERE {0}.{id} = u.{id}",
            self.table,
            sets.join(", "),
            self.arrays(&picked),
            names.join(", ")
        );
        let messages = after.into_iter().map(|rows| columns_of(&rows, &picked)).collect();
        self.run(Work { sql, messages }, connections).await
    }

    pub(crate) async fn upsert(
        &mut self,
        before: &[Vec<Image>],
        mut after: Vec<Vec<Image>>,
        connections: usize,
    ) -> Result<Taken> {
        let existing: Vec<Image> = after
            .iter()
            .zip(before)
            .flat_map(|(after, before)| after.iter().take(before.len()).cloned())
            .collect();
        let changed = changed_columns(&self.columns, &before.concat(), &existing);
        let sets: Vec<String> = changed
            .iter()
            .map(|&index| format!("{0} = EXCLUDED.{0}", self.columns[index]))
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
                if let Some(Raw(id)) = &mut row[self.id] {
                    id.reverse();
                }
            }
        }
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let messages = after.iter().map(|rows| columns_of(rows, &all)).collect();
        self.run(Work { sql, messages }, connections).await
    }

    fn insert_sql(&self) -> String {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({})",
            self.table,
            self.columns.join(", "),
            self.arrays(&all)
        )
    }

    fn arrays(&self, picked: &[usize]) -> String {
        let arrays: Vec<String> = picked
            .iter()
            .enumerate()
            .map(|(place, &index)| format!("${}::{}[]", place + 1, self.types[index]))
            .collect();
        arrays.join(", ")
    }

    async fn run(&mut self, work: Work, connections: usize) -> Result<Taken> {
        while self.own.len() < connections {
            self.own.push(connect(&self.own_url, &mut self.drivers).await?);
        }
        let work = Arc::new(work);
        let mut statements = Vec::new();
        for client in &self.own[..connections] {
            statements.push(client.prepare(&work.sql).await?);
        }
        let started = Instant::now();
        // Each connection takes the messages of its turn, one after another.
        let runs = self.own[..connections].iter().zip(&statements).enumerate().map(
            |(turn, (client, statement))| {
                let work = Arc::clone(&work);
                async move {
                    for message in work.messages.iter().skip(turn).step_by(connections) {
                        let parameters: Vec<&(dyn ToSql + Sync)> =
                            message.iter().map(|column| column as &(dyn ToSql + Sync)).collect();
                        let rows = message.first().map_or(0, Vec::len) as u64;
                        let written = client.execute(statement, &parameters).await?;
                        ensure!(written == rows, "{written} of {rows} rows were written");
                    }
                    Ok(())
                }
            },
        );
        futures_util::future::try_join_all(runs).await?;
        Ok(Taken { wall: started.elapsed(), cpu: None })
    }
}

/// Rows turned into columns.
fn columns_of(rows: &[Image], picked: &[usize]) -> Vec<Vec<Option<Raw>>> {
    picked.iter().map(|&index| rows.iter().map(|row| row[index].clone()).collect()).collect()
}

async fn connect(url: &str, drivers: &mut JoinSet<()>) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    drivers.spawn(async move {
        // An error of the connection comes back to whoever uses its client, too.
        let _ended = connection.await;
    });
    Ok(client)
}

/// Every table, index and function of a database, without rows, through PostgreSQL's own tools.
fn copy_schema(cluster: &Cluster, from: &str, to: &str) -> Result<()> {
    let dump = Command::new(cluster.bin().join("pg_dump"))
        .args(["--schema-only", "--no-owner", "--no-privileges", "--dbname", from])
        .output()
        .context("could not run pg_dump")?;
    ensure!(dump.status.success(), "pg_dump: {}", String::from_utf8_lossy(&dump.stderr));
    let mut load = Command::new(cluster.bin().join("psql"))
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", to])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("could not run psql")?;
    load.stdin.take().ok_or_else(|| anyhow!("a pipe"))?.write_all(&dump.stdout)?;
    let load = load.wait_with_output()?;
    ensure!(load.status.success(), "psql: {}", String::from_utf8_lossy(&load.stderr));
    Ok(())
}

#[cfg(test)]
mod tests {
    use testkit::postgres::Durability;

    use super::*;

    #[tokio::test]
    async fn the_bare_side_ends_with_the_very_rows_of_the_service() {
        let cluster = Cluster::start_own(Durability::Process).unwrap();
        let url = cluster.create_database("service").unwrap();
        let mut drivers = JoinSet::new();
        let theirs = connect(&url, &mut drivers).await.unwrap();
        theirs
            .batch_execute(
                "CREATE TABLE t7 (c1 uuid NOT NULL PRIMARY KEY, c2 int8, c3 text, c3f text, c4 numeric(20, 2), c5 timestamptz);
                 CREATE UNIQUE INDEX k7_1 ON t7 (c3f);
                 CREATE INDEX i7_4 ON t7 (c4);",
            )
            .await
            .unwrap();
        let put = async |id: u128, version: i64, text: &str| {
            theirs
                .execute(
                    "INSERT INTO t7 VALUES ($1, $2, $3, lower($3), 12.50, now()) \
                     ON CONFLICT (c1) DO UPDATE SET c2 = EXCLUDED.c2, c4 = NULL",
                    &[&Uuid::from_u128(id), &version, &text],
                )
                .await
                .unwrap();
        };
        put(1, 1, "Ab").await;
        put(2, 2, "Cd").await;
        let mut bare = BarePostgres::copy(&cluster, &url, "t7").await.unwrap();
        bare.learn(Uuid::from_u128(1), "ab").await.unwrap();
        assert_eq!((bare.id, bare.key, bare.conflict.as_str()), (0, 3, "(c3f)"));

        let old = Keys::Ids(vec![Uuid::from_u128(1), Uuid::from_u128(2)]);
        let before = bare.read(&old).await.unwrap();
        bare.insert(vec![vec![before[0].clone()], vec![before[1].clone()]], 2).await.unwrap();
        put(1, 3, "Ab").await;
        put(2, 4, "Cd").await;
        let after = bare.read(&old).await.unwrap();
        bare.update(&[before], vec![after.clone()], 1).await.unwrap();
        put(2, 5, "Cd").await;
        put(3, 6, "Ef").await;
        let upserted = bare.read(&Keys::Codes(vec!["cd".into(), "ef".into()])).await.unwrap();
        bare.upsert(&[vec![after[1].clone()]], vec![upserted], 1).await.unwrap();

        let ours = bare.select(&bare.own[0], "ORDER BY c1", &[]).await.unwrap();
        let theirs = bare.select(&bare.service, "ORDER BY c1", &[]).await.unwrap();
        assert_eq!(ours.len(), 3);
        assert_eq!(ours, theirs);
    }
}
