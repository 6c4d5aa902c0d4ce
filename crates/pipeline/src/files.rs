//! The pieces that files are kept in: apart from rows, and forgotten when no row names their file.
//!
//! Not here: what a piece is for (`webapi`), the row that a file begins to exist with (an update).

use crate::run::{Error, Pipeline, not_about_rows};
use model::{ColumnIndex, ColumnKind, TableId, TableKind, Timestamp, Uuid};
use store::Piece;

/// For how long an upload may go on before its pieces are forgotten, in seconds.
const UPLOAD_SECONDS: i64 = 86_400;

impl Pipeline {
    /// Keeps a piece of a file.
    pub async fn put_piece(&self, piece: Piece) -> Result<(), Error> {
        self.store().put_piece(piece).await.map_err(not_about_rows)
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
                let files = table.indexed_columns().filter(|(_, column)| {
                    matches!(column.kind, ColumnKind::File { .. } | ColumnKind::Image { .. })
                });
                files.map(|(index, _)| (table.id, index))
            })
            .collect();
        let before = Timestamp(now.0 - UPLOAD_SECONDS);
        self.store().forget_pieces(&catalog, &named_by, before).await.map_err(not_about_rows)
    }
}
