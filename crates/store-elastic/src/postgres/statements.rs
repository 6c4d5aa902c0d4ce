//! The texts of all statements, by table.
//!
//! A table is `elastic_<number>` with the primary key `(partitionid, id)` and nothing else unique, so that
//! it may be distributed by `partitionid` (Citus) or lie on any of PostgreSQL's kin. `partitionid` is the
//! effective partition, escaped as in `crate::key`, because a text of PostgreSQL has no zero character;
//! `expires_at` is in seconds since 1970; `body` is a row of `crate::codec`.
//! Invariant: rows that a statement locks are given in the order of their keys.

use model::TableId;

/// What stands before the number of a table.
pub(super) const PREFIX: &str = "elastic_";

/// All tables of ours in the database.
pub(super) const TABLES: &str = "SELECT c.relname::text FROM pg_catalog.pg_class c \
    WHERE c.relname LIKE 'elastic\\_%' AND c.relkind IN ('r', 'p') \
    AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1";

/// The database's clock in 100-ns ticks since year 1.
pub(super) const CLOCK: &str =
    "SELECT (extract(epoch FROM clock_timestamp()) * 10000000)::int8 + 621355968000000000";

pub(super) fn name(table: TableId) -> String {
    format!("{PREFIX}{}", table.0)
}

/// The number of one of our tables.
pub(super) fn number_of(name: &str) -> Option<TableId> {
    name.strip_prefix(PREFIX)?.parse().ok().map(TableId)
}

pub(super) fn create(table: TableId) -> String {
    let name = name(table);
    format!(
        "CREATE TABLE IF NOT EXISTS {name} (partitionid text COLLATE \"C\" NOT NULL, \
         id uuid NOT NULL, version int8 NOT NULL, expires_at int8, body bytea NOT NULL, \
         PRIMARY KEY (partitionid, id)); \
         CREATE INDEX IF NOT EXISTS {name}_due ON {name} (expires_at) \
         WHERE expires_at IS NOT NULL"
    )
}

pub(super) fn drop(table: TableId) -> String {
    format!("DROP TABLE IF EXISTS {}", name(table))
}

/// `$1` partitions, `$2` ids: the rows that are there, over or not.
pub(super) fn look_up(table: TableId) -> String {
    format!(
        "SELECT e.partitionid, e.id, e.version, e.expires_at, e.body \
         FROM unnest($1::text[], $2::uuid[]) AS k (partitionid, id) \
         JOIN {} e ON e.partitionid = k.partitionid AND e.id = k.id",
        name(table)
    )
}

/// `$2` partitions, `$3` ids: the rows that are there at `$1`, each with its place in the lists.
pub(super) fn by_keys(table: TableId) -> String {
    format!(
        "SELECT k.place, e.id, e.version, e.body \
         FROM unnest($2::text[], $3::uuid[]) WITH ORDINALITY AS k (partitionid, id, place) \
         JOIN {} e ON e.partitionid = k.partitionid AND e.id = k.id \
         WHERE e.expires_at IS NULL OR e.expires_at > $1::int8",
        name(table)
    )
}

/// New rows, over rows whose time is over at `$6`; answers those that were written.
pub(super) fn insert(table: TableId) -> String {
    format!(
        "INSERT INTO {} AS e (partitionid, id, version, expires_at, body) \
         SELECT * FROM unnest($1::text[], $2::uuid[], $3::int8[], $4::int8[], $5::bytea[]) \
         ON CONFLICT (partitionid, id) DO UPDATE SET \
         version = greatest(excluded.version, e.version + 1), \
         expires_at = excluded.expires_at, body = excluded.body \
         WHERE e.expires_at <= $6::int8 RETURNING e.partitionid, e.id, e.version",
        name(table)
    )
}

/// Rows that were not there when they were looked for; answers those that still were not.
pub(super) fn insert_absent(table: TableId) -> String {
    format!(
        "INSERT INTO {} AS e (partitionid, id, version, expires_at, body) \
         SELECT * FROM unnest($1::text[], $2::uuid[], $3::int8[], $4::int8[], $5::bytea[]) \
         ON CONFLICT (partitionid, id) DO NOTHING RETURNING e.partitionid, e.id",
        name(table)
    )
}

/// Rows that had the version `$6`; answers those that still have it.
pub(super) fn update_seen(table: TableId) -> String {
    format!(
        "UPDATE {} e SET version = n.version, expires_at = n.expires_at, body = n.body \
         FROM unnest($1::text[], $2::uuid[], $3::int8[], $4::int8[], $5::bytea[], $6::int8[]) \
         AS n (partitionid, id, version, expires_at, body, seen) \
         WHERE e.partitionid = n.partitionid AND e.id = n.id AND e.version = n.seen \
         RETURNING e.partitionid, e.id",
        name(table)
    )
}

/// Rows that had the version `$3`; answers those that still have it.
pub(super) fn delete_seen(table: TableId) -> String {
    format!(
        "DELETE FROM {} e USING unnest($1::text[], $2::uuid[], $3::int8[]) \
         AS n (partitionid, id, seen) \
         WHERE e.partitionid = n.partitionid AND e.id = n.id AND e.version = n.seen \
         RETURNING e.partitionid, e.id",
        name(table)
    )
}

/// Up to `$2` rows whose time is over at `$1`.
pub(super) fn expire(table: TableId) -> String {
    let name = name(table);
    format!(
        "WITH over AS (SELECT partitionid, id FROM {name} WHERE expires_at <= $1::int8 \
         ORDER BY expires_at LIMIT $2::int8) \
         DELETE FROM {name} e USING over o \
         WHERE e.partitionid = o.partitionid AND e.id = o.id AND e.expires_at <= $1::int8"
    )
}

/// Every row that is there at `$1`.
pub(super) fn scan(table: TableId) -> String {
    format!(
        "SELECT id, version, body FROM {} WHERE (expires_at IS NULL OR expires_at > $1::int8)",
        name(table)
    )
}

/// Every row of the partition `$2` that is there at `$1`.
pub(super) fn partition(table: TableId) -> String {
    format!("{} AND partitionid = $2::text", scan(table))
}

/// The rows of the partition `$2` with the ids `$3`.
pub(super) fn by_ids(table: TableId) -> String {
    format!("{} AND id = ANY($3::uuid[])", partition(table))
}

/// The first `$4` rows of the partition `$2` from the id `$3` on, by id.
pub(super) fn from_id(table: TableId) -> String {
    format!("{} AND id >= $3::uuid ORDER BY id LIMIT $4::int8", partition(table))
}

/// The first rows, by key, of those behind the id `$3` of the partition `$2`, and whether each is there
/// at `$1`.
///
/// The number stands in the text: a planner that does not know it may sort the whole table.
pub(super) fn walk(table: TableId, rows_max: usize) -> String {
    format!(
        "SELECT id, version, body, partitionid, (expires_at IS NULL OR expires_at > $1::int8) \
         FROM {} WHERE (partitionid, id) > ($2::text, $3::uuid) \
         ORDER BY partitionid, id LIMIT {rows_max}",
        name(table)
    )
}

/// The same from the first row on.
pub(super) fn walk_from_start(table: TableId, rows_max: usize) -> String {
    format!(
        "SELECT id, version, body, partitionid, (expires_at IS NULL OR expires_at > $1::int8) \
         FROM {} ORDER BY partitionid, id LIMIT {rows_max}",
        name(table)
    )
}
