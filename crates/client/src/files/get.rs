//! A stored file on its way to disk.

use super::BLOCK_BYTES;
use super::stored::stored_size;
use crate::service::{self, Service};
use crate::transport::Request;
use bytes::Bytes;
use model::Uuid;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file that a record holds.
#[derive(Clone, Debug)]
pub struct Found {
    /// `set(key)/column`
    pub address: String,
    /// Its id, after which its folder is called.
    pub id: Uuid,
    /// Its name, where the record tells it.
    pub name: Option<String>,
}

/// Writes a file to a folder of its own under `directory`: `directory/<id>/<name>`.
///
/// Errors: the service's, or the disk's as the inner one. A file that is gone meanwhile leaves no folder.
pub async fn download(
    service: &Service,
    directory: &Path,
    found: Found,
) -> Result<std::io::Result<()>, service::Error> {
    let doing = "a stored file";
    let part = directory.join(format!(".{}.part", found.id));
    let mut out: Option<File> = None;
    let (mut from, mut name) = (0, found.name.clone());
    loop {
        let last = from + BLOCK_BYTES as u64 - 1;
        let request = Request::get(format!("{}/$value", found.address))
            .with_header("Range", format!("bytes={from}-{last}"));
        let response = service.ask(request, doing).await?;
        if response.status == 204 {
            return Ok(Ok(()));
        }
        let size = stored_size(&response).unwrap_or(0);
        if name.is_none() {
            name = response.header(wire::headers::FILE_NAME).map(str::to_owned);
        }
        from += response.body.len() as u64;
        let is_end = from >= size;
        if response.body.is_empty() && !is_end {
            let why = format!("it ends after {from} of {size} bytes");
            return Err(service::Error::Unreadable { doing: doing.to_owned(), why });
        }
        match append(out, part.clone(), response.body).await {
            Ok(file) => out = Some(file),
            Err(err) => return Ok(Err(err)),
        }
        if is_end {
            drop(out);
            let folder = directory.join(found.id.to_string());
            let name = safe(name.as_deref().unwrap_or_default());
            let moved = tokio::task::spawn_blocking(move || {
                std::fs::create_dir_all(&folder)?;
                std::fs::rename(&part, folder.join(name))
            });
            return Ok(moved.await.expect("moving does not panic"));
        }
    }
}

async fn append(out: Option<File>, path: PathBuf, bytes: Bytes) -> std::io::Result<File> {
    let written = tokio::task::spawn_blocking(move || {
        let mut file = match out {
            Some(file) => file,
            None => {
                if let Some(directory) = path.parent() {
                    std::fs::create_dir_all(directory)?;
                }
                File::create(&path)?
            }
        };
        file.write_all(&bytes)?;
        Ok(file)
    });
    written.await.expect("writing does not panic")
}

/// A name that stays in its folder, whatever the service says.
fn safe(name: &str) -> String {
    let is_bad = |letter: char| letter.is_control() || r#"/\:*?"<>|"#.contains(letter);
    let name: String =
        name.trim().chars().map(|letter| if is_bad(letter) { '_' } else { letter }).collect();
    match name.as_str() {
        "" | "." | ".." => "file".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for (name, want) in [
            ("plan.pdf", "plan.pdf"),
            ("Grüße 1.txt", "Grüße 1.txt"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("C:\\x", "C__x"),
            ("..", "file"),
            (" ", "file"),
        ] {
            assert_eq!(safe(name), want);
        }
    }
}
