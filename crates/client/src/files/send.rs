//! A file on its way into its column: one request where it fits one block, else a session of blocks.
//!
//! Invariant: a file that was sent once more ends as if it had been sent once.

use super::{BLOCK_BYTES, read_block};
use crate::request::{Route, with_headers};
use crate::rows::Row;
use crate::service::escaped;
use crate::transport::{Error, Method, Request, Response, Transport};
use bytes::Bytes;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::headers::{FILE_NAME, TRANSFER_MODE};

/// Sends the file of a row, or empties its column. Answers what the service answered last: the first
/// refusal, or the success of the whole. `requests` is told of every request but the first.
pub(crate) async fn send(
    transport: &dyn Transport,
    identity: usize,
    route: &Route,
    row: &Row,
    requests: &AtomicU64,
) -> Result<Response, Error> {
    let upload = row.upload().expect("only a row with a file is sent here");
    let target = format!("{}({})/{}", route.set, row.address(), upload.column);
    let Some(path) = &upload.path else {
        let request =
            Request { method: Method::Delete, ..Request::get(route.with_options(target, None)) };
        return transport.send_as(identity, with_headers(request, route, Some(row))).await;
    };
    let (mut file, first, size) = match open(path).await {
        Ok(opened) => opened,
        Err(err) => return Ok(unreadable(path, &err)),
    };
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    // Heads carry plain text only; an address carries any.
    let is_plain = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let named = (!is_plain).then(|| format!("{FILE_NAME}={}", escaped(&name)));
    let patch = |path: String, body: Vec<u8>| {
        let request = Request {
            method: Method::Patch,
            path,
            headers: vec![("Content-Type", "application/octet-stream".to_owned())],
            body: Bytes::from(body),
        };
        let request = if is_plain { request.with_header(FILE_NAME, &*name) } else { request };
        with_headers(request, route, Some(row))
    };
    let target = route.with_options(target, named.as_deref());
    if first.len() as u64 == size && first.len() <= BLOCK_BYTES {
        return transport.send_as(identity, patch(target, first)).await;
    }
    let begin = patch(target, Vec::new()).with_header(TRANSFER_MODE, "chunked");
    let begun = transport.send_as(identity, begin).await?;
    if !begun.is_success() {
        return Ok(begun);
    }
    let Some(session) = begun.header("location").map(str::to_owned) else {
        return Ok(said(400, "the answer to the beginning of an upload names no session"));
    };
    let session = route.with_options(session, None);
    let mut block = first;
    let mut sent = 0;
    loop {
        let end = sent + block.len() as u64;
        let range = format!("bytes {sent}-{}/{size}", end - 1);
        let request = patch(session.clone(), block).with_header("Content-Range", range);
        requests.fetch_add(1, Ordering::Relaxed);
        let response = transport.send_as(identity, request).await?;
        if end == size || !response.is_success() {
            return Ok(response);
        }
        sent = end;
        let read = tokio::task::spawn_blocking(move || {
            let block = read_block(&mut file);
            (file, block)
        });
        let (back, read) = read.await.expect("reading does not panic");
        file = back;
        block = match read {
            Ok(block) if !block.is_empty() && sent + block.len() as u64 <= size => block,
            Ok(_) => return Ok(said(400, &format!("`{}` has changed", path.display()))),
            Err(err) => return Ok(unreadable(path, &err)),
        };
    }
}

/// The open file, its first block and its size.
async fn open(path: &Path) -> std::io::Result<(File, Vec<u8>, u64)> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let block = read_block(&mut file)?;
        Ok((file, block, size))
    });
    opened.await.expect("reading does not panic")
}

fn unreadable(path: &Path, err: &std::io::Error) -> Response {
    said(400, &format!("`{}` cannot be read: {err}", path.display()))
}

/// What goes wrong on this side ends the row as a refusal does.
fn said(status: u16, message: &str) -> Response {
    let body = serde_json::json!({"error": {"code": "", "message": message}});
    Response { status, headers: Vec::new(), body: body.to_string().into() }
}
