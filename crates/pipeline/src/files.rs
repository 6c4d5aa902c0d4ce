//! The pieces that files are kept in: apart from rows, and forgotten when no row names their file.
//!
//! Not here: what a piece is for (`webapi`), the row that a file begins to exist with (an update).

use crate::images;
use crate::run::{Error, Pipeline, not_about_rows};
use model::{ColumnIndex, ColumnKind, TableId, TableKind, Timestamp, Uuid};
use serde::{Deserialize, Serialize};
use store::Piece;

/// For how long an upload may go on before its pieces are forgotten, in seconds.
const UPLOAD_SECONDS: i64 = 86_400;

/// Bytes of a chunk, and of a piece that is kept.
pub const CHUNK_BYTES: usize = 4_194_304;
/// The piece that describes a file.
pub const DESCRIPTION: &str = "file";
/// How the name of a piece with bytes begins.
pub const DATA: &str = "d:";

/// The value that holds a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The number of its table.
    pub table: u32,
    /// The bytes of the record's id; zeros where it is not known.
    pub record: [u8; 16],
    /// The number of its column.
    pub column: u32,
}

/// A file that is whole.
#[derive(Debug, Serialize, Deserialize)]
pub struct Description {
    /// Where it is held.
    pub place: Place,
    /// What it is called.
    pub name: String,
    /// The kind of its bytes.
    pub mime: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its pieces in order, with their sizes.
    pub pieces: Vec<(String, u64)>,
}

/// The name of the piece with these bytes.
pub fn data_name(name: &str) -> String {
    format!("{DATA}{name}")
}

impl Pipeline {
    /// Keeps pieces of files.
    pub async fn put_pieces(&self, pieces: Vec<Piece>) -> Result<(), Error> {
        self.store().put_pieces(pieces).await.map_err(not_about_rows)
    }

    /// The bytes of a piece; none if it is not there.
    pub async fn piece(&self, file: Uuid, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.store().piece(file, name).await.map_err(not_about_rows)
    }

    /// The names of all pieces of a file with their sizes, by name.
    pub async fn piece_sizes(&self, file: Uuid) -> Result<Vec<(Box<str>, u64)>, Error> {
        self.store().piece_sizes(file).await.map_err(not_about_rows)
    }

    /// Forgets the pieces of files that no row names, a day after they came. For the service's own clock.
    ///
    /// Errors: nothing is lost by them.
    pub async fn forget_pieces(&self, now: Timestamp) -> Result<(), Error> {
        let catalog = self.catalog();
        let standard = catalog.tables().iter().filter(|table| table.kind == TableKind::Standard);
        let named_by: Vec<(TableId, ColumnIndex)> = standard
            .flat_map(|table| {
                let files =
                    table.indexed_columns().filter_map(|(index, column)| match column.kind {
                        ColumnKind::File { .. } => Some(index),
                        ColumnKind::Image { .. } => images::id_column(table, index),
                        _ => None,
                    });
                files.map(|index| (table.id, index))
            })
            .collect();
        let before = Timestamp(now.0 - UPLOAD_SECONDS);
        self.store().forget_pieces(&catalog, &named_by, before).await.map_err(not_about_rows)
    }
}
