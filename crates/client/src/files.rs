//! The bytes of file and image columns: sent, compared and got in blocks.
//!
//! In: what a row gives for such a column, or a record that holds a file. Out: requests and bytes on disk.
//! Not here: when a file is sent (`sender`), which columns a read shows (`get`).
//! Source: `client.md` 2.2. Invariant: at most one block of a file is in memory; what is got stands under
//! its name only when it is whole.

mod get;
mod send;
mod stored;

pub use get::{Found, download};
pub(crate) use send::send;
pub(crate) use stored::{Comparer, Either, Kept, by_value};

use crate::problem::shortened;
use model::{ColumnKind, Table, Uuid};
use std::path::{Path, PathBuf};

/// Bytes that travel at once.
pub const BLOCK_BYTES: usize = 4 << 20;

/// What a row gives for a file or image column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Nothing is to be there.
    Nothing,
    /// This file.
    At(Box<Path>),
    /// The file with this id, which lies in a folder of that name where a directory for files is known.
    Of(Uuid, Option<Box<Path>>),
}

impl Given {
    /// The file, if it can be read.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Nothing | Self::Of(_, None) => None,
            Self::At(path) | Self::Of(_, Some(path)) => Some(path),
        }
    }
}

/// Reads the text of a file column: `@path`, or the id of a folder under `directory` that holds one file.
///
/// Errors: what is wrong with the text, or with what it names. Cost: looks at the file, reads none.
pub fn given(text: &str, directory: Option<&Path>) -> Result<Given, String> {
    let word = text.trim();
    if word.is_empty() {
        return Ok(Given::Nothing);
    }
    if let Some(path) = word.strip_prefix('@') {
        return checked(PathBuf::from(path)).map(Given::At);
    }
    let id = Uuid::try_parse(word).map_err(|_| {
        format!("`{}` is neither `@` with a path nor the id of a file", shortened(word))
    })?;
    match directory {
        None => Ok(Given::Of(id, None)),
        Some(directory) => only_file(&directory.join(id.to_string()))
            .and_then(checked)
            .map(|path| Given::Of(id, Some(path))),
    }
}

fn checked(path: PathBuf) -> Result<Box<Path>, String> {
    match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(path.into()),
        Ok(_) => Err(format!("`{}` is no file", path.display())),
        Err(err) => Err(format!("`{}` cannot be read: {err}", path.display())),
    }
}

/// The one file in a folder.
fn only_file(folder: &Path) -> Result<PathBuf, String> {
    let failed = |err: std::io::Error| format!("`{}` cannot be read: {err}", folder.display());
    let mut found = None;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        if found.replace(entry.map_err(failed)?.path()).is_some() {
            return Err(format!("`{}` holds more than one file", folder.display()));
        }
    }
    found.ok_or_else(|| format!("`{}` holds no file", folder.display()))
}

/// The columns beside a file or image column: they come when asked for, and nobody writes them.
pub fn companions(kind: &ColumnKind) -> &'static [&'static str] {
    match kind {
        ColumnKind::File { .. } => &["_name"],
        ColumnKind::Image { .. } => &["id", "_timestamp", "_url"],
        _ => &[],
    }
}

/// The logical name of such a column, if `name` is one of the table's.
pub fn companion(table: &Table, name: &str) -> Option<String> {
    let name = name.trim().to_lowercase();
    let is_own = |column: &model::Column| {
        let rest = name.strip_prefix(&*column.logical_name);
        rest.is_some_and(|rest| companions(&column.kind).contains(&rest))
    };
    table.columns.iter().any(is_own).then_some(name)
}

/// Reads a block of a file that is open.
fn read_block(file: &mut std::fs::File) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut block = Vec::new();
    file.take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_path_or_by_the_folder_that_it_lies_in_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let id = Uuid::from_u128(7);
        let folder = home.path().join(id.to_string());
        let check = |text: &str, want: Result<Option<&Path>, &str>| {
            let got = given(text, Some(home.path()));
            match want {
                Ok(path) => assert_eq!(got.expect(text).path(), path, "{text}"),
                Err(part) => assert!(got.expect_err(text).contains(part), "{text}"),
            }
        };
        check("", Ok(None));
        check(&id.to_string(), Err("cannot be read"));
        std::fs::create_dir(&folder).expect("made");
        check(&id.to_string(), Err("no file"));
        let file = folder.join("a.txt");
        std::fs::write(&file, "a").expect("written");
        check(&id.to_string(), Ok(Some(&file)));
        check(&format!("@{}", file.display()), Ok(Some(&file)));
        check(&format!("@{}", folder.display()), Err("is no file"));
        check("@nowhere", Err("cannot be read"));
        check("a.txt", Err("neither"));
        std::fs::write(folder.join("b.txt"), "b").expect("written");
        check(&id.to_string(), Err("more than one"));
        assert_eq!(given(&id.to_string(), None), Ok(Given::Of(id, None)));
    }
}
