//! The files that the records of a read hold, saved beside the output.
//!
//! Not here: their bytes (`files`). Invariant: a row is written only when its files are there.

use super::Error;
use super::columns::{From, Shown};
use super::output::Record;
use crate::files::{self, Found};
use crate::service::{Described, Service};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use model::{ColumnIndex, ColumnKind, Table};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};

/// Files that are got at a time.
const WIDTH: usize = 5;

/// Where files go, and of which columns.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    directory: PathBuf,
    columns: Vec<ColumnIndex>,
    /// The properties with their names, in the order of the columns.
    pub(super) names: Vec<String>,
    /// How many properties of a record stand before those.
    before: usize,
}

impl Saved {
    /// The file columns that are shown.
    ///
    /// Errors: where there is none.
    pub(super) fn of(table: &Table, directory: &Path, shown: &[Shown]) -> Result<Self, Error> {
        let column = |shown: &Shown| match shown.from {
            From::Column(index) if is_file(table, index) => Some(index),
            _ => None,
        };
        let columns: Vec<ColumnIndex> = shown.iter().filter_map(column).collect();
        if columns.is_empty() {
            let text = format!(
                "no file of table `{}` is read: name its file columns, or give `--file-columns`",
                table.logical_name
            );
            return Err(Error::Wish(text));
        }
        let name = |index: &ColumnIndex| format!("{}_name", table.column(*index).logical_name);
        Ok(Self {
            directory: directory.to_owned(),
            names: columns.iter().map(name).collect(),
            columns,
            before: shown.iter().filter(|one| !matches!(one.from, From::Column(_))).count(),
        })
    }

    /// Gets the files of a page.
    pub(super) async fn save(
        &self,
        service: &Service,
        described: &Described,
        records: &[Record],
    ) -> Result<(), Error> {
        let mut found = Vec::new();
        for record in records {
            for (place, column) in self.columns.iter().enumerate() {
                let cells = &record.read.cells;
                let value = cells.iter().find(|cell| cell.column == *column);
                let Some(id) = value.and_then(|cell| cell.value.as_id()) else { continue };
                let Some(key) = record.read.id else {
                    let text = "files are saved only where the primary key is read";
                    return Err(Error::Wish(text.to_owned()));
                };
                let table = &described.table;
                let name = record.properties.get(self.before + place).and_then(Json::as_str);
                found.push(Found {
                    address: format!(
                        "{}({key})/{}",
                        table.entity_set_name,
                        table.column(*column).logical_name
                    ),
                    id,
                    name: name.map(str::to_owned),
                });
            }
        }
        let saving = found.into_iter().map(|found| async move {
            files::download(service, &self.directory, found).await?.map_err(Error::Write)
        });
        stream::iter(saving).buffer_unordered(WIDTH).try_collect().await
    }
}

fn is_file(table: &Table, index: ColumnIndex) -> bool {
    matches!(table.column(index).kind, ColumnKind::File { .. })
}
