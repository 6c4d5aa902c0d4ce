//! Pieces of files, in a table of their own.
//!
//! Each is one statement and so one transaction: rows are not touched.

use super::connection::{Session, Step};
use super::decode;
use super::encode::Bound;
use super::error::{Error, Fault, engine};
use crate::names;
use model::{Catalog, ColumnIndex, TableId, Timestamp, Uuid};
use store::Piece;

/// The table; it is made with those of `follow`.
pub(super) const OBJECTS: &str = "\
CREATE TABLE IF NOT EXISTS sheaf_piece (
    file uuid NOT NULL, name text NOT NULL, at int8 NOT NULL, bytes bytea NOT NULL,
    PRIMARY KEY (file, name));";

/// Keeps pieces; no two of them are the same.
pub(super) async fn put(session: &mut Session, pieces: &[Piece]) -> Result<(), Error> {
    let text = "INSERT INTO sheaf_piece (file, name, at, bytes) \
        SELECT * FROM unnest($1, $2, $3, $4) \
        ON CONFLICT (file, name) DO UPDATE SET at = excluded.at, bytes = excluded.bytes";
    let params = vec![
        Bound::ids(pieces.iter().map(|piece| &piece.file)),
        Bound::texts(&pieces.iter().map(|piece| piece.name.to_string()).collect::<Vec<_>>()),
        Bound::numbers(&pieces.iter().map(|piece| piece.at.0).collect::<Vec<_>>()),
        Bound::byte_strings(pieces.iter().map(|piece| &*piece.bytes)),
    ];
    session.fly("keeping pieces of files", vec![Step::run(text, params)]).await.map(drop)
}

/// The bytes of a piece.
pub(super) async fn read(
    session: &mut Session,
    file: Uuid,
    name: &str,
) -> Result<Option<Vec<u8>>, Error> {
    const DOING: &str = "reading a piece of a file";
    let text = "SELECT bytes FROM sheaf_piece WHERE file = $1 AND name = $2";
    let step = Step::run(text, vec![Bound::id(file), Bound::text(name)]);
    let answers = session.fly(DOING, vec![step]).await?;
    let row = answers.first().and_then(|rows| rows.first());
    let bytes = row.map(|row| row.try_get::<_, Vec<u8>>(0)).transpose();
    bytes.map_err(|_| engine(DOING, Fault::Answer("a piece has no bytes")))
}

/// Names and sizes of the pieces of a file.
pub(super) async fn sizes(
    session: &mut Session,
    file: Uuid,
) -> Result<Vec<(Box<str>, u64)>, Error> {
    const DOING: &str = "reading the sizes of pieces";
    let text = "SELECT name, length(bytes)::int8 FROM sheaf_piece WHERE file = $1 \
        ORDER BY name COLLATE \"C\"";
    let answers = session.fly(DOING, vec![Step::run(text, vec![Bound::id(file)])]).await?;
    let unreadable = |fault: Fault| engine(DOING, fault);
    let rows = answers.first().into_iter().flatten().map(|row| {
        let name = decode::text(row, 0).map_err(unreadable)?;
        let size = decode::int8(row, 1).map_err(unreadable)?;
        Ok((name.into(), size.cast_unsigned()))
    });
    rows.collect()
}

/// Forgets old pieces of files that no row names.
pub(super) async fn forget(
    session: &mut Session,
    catalog: &Catalog,
    named_by: &[(TableId, ColumnIndex)],
    before: Timestamp,
) -> Result<(), Error> {
    let mut text = "DELETE FROM sheaf_piece AS p WHERE p.at < $1".to_owned();
    for (table, column) in named_by {
        if let Some(table) = catalog.table_by_id(*table) {
            text.push_str(&format!(
                " AND NOT EXISTS (SELECT 1 FROM {} AS t WHERE t.{} = p.file)",
                names::table(table.id),
                names::column(table.column(*column).id)
            ));
        }
    }
    let step = Step::run(text, vec![Bound::int8(before.0)]);
    session.fly("forgetting pieces of files", vec![step]).await.map(drop)
}
