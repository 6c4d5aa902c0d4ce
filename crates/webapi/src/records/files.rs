//! The bytes of file and image columns: `/set(key)/column`.
//!
//! A file lies apart from its row, in pieces of at most [`CHUNK_BYTES`], with one more that describes it
//! and one that says which value an upload was begun for. It begins to exist with the update that puts its
//! id into the row; what no row names is forgotten after a day (`pipeline`). An image is written as a value of
//! its row, so that the pipeline makes its thumbnail; the picture itself is got with `?size=full`. Source: webapi.md 15, clients.md 9. Not here: block messages (`blocks`).
//! Invariant: an upload ends at the value that it was begun for; at most one piece more than what is
//! asked for is in memory.

use super::property;
use super::write::{Prepared, Shown, expected_version};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Problem};
use crate::request::Transfer;
use crate::response;
use crate::route::Address;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{Method, Response, StatusCode};
use model::{
    Cell, ColumnIndex, ColumnKind, MessageName, Table, TableKind, Target, TargetKey, Uuid, Value,
};
use pipeline::Piece;
pub(crate) use pipeline::files::{CHUNK_BYTES, Description, Place, data_name};
use pipeline::files::{DATA, DESCRIPTION};
use pipeline::images;
use serde::{Deserialize, Serialize};
use wire::headers;

/// Bytes that one answer holds at most; more is got by ranges.
const ANSWER_BYTES_MAX: u64 = 134_217_728;
/// Bytes of an image at most, whatever its column takes.
const IMAGE_BYTES_MAX: usize = 31_457_280;
/// The piece that says what an upload was begun for.
const SESSION: &str = "session";

/// An upload that was begun.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) place: Place,
    pub(crate) name: String,
}

/// Whether a column holds files or images.
pub(crate) fn is_file(kind: &ColumnKind) -> bool {
    matches!(kind, ColumnKind::File { .. } | ColumnKind::Image { .. })
}

/// `/set(key)/column`, and with `/$value`
pub(crate) async fn file(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
    raw: bool,
) -> Result<Response<Bytes>, Stop> {
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
    if address.table.kind == TableKind::Elastic {
        return Err(Problem::not_implemented("Files of elastic tables").into());
    }
    match attempt.request.method {
        Method::GET => download(attempt, address, column, raw).await,
        Method::PATCH | Method::PUT if !raw => upload(attempt, address, column).await,
        Method::DELETE if !raw => {
            let prepared = set(attempt, address, column, None)?;
            prepared.run(attempt).await
        }
        _ if raw => Err(attempt.only("GET, HEAD").into()),
        _ => Err(attempt.only("GET, HEAD, PATCH, PUT, DELETE").into()),
    }
}

async fn upload(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
) -> Result<Response<Bytes>, Stop> {
    let request = attempt.request;
    let transfer = &request.transfer;
    // The condition of the head is told before anything is kept.
    expected_version(attempt, &address.table)?;
    if let Some(token) = request.options.get("sessiontoken") {
        return chunk(attempt, address, column, token).await;
    }
    let name = transfer.file_name.as_deref().or(request.options.get("x-ms-file-name"));
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| {
        Problem::argument("The name of the file is missing: send the header 'x-ms-file-name'.")
    })?;
    check_name(name)?;
    let place = place_of(attempt, address, column).await?;
    let file = new_file(attempt);
    if transfer.chunked {
        begin(attempt, file, &Session { place, name: name.to_owned() }).await?;
        let address = address.absolute(&request.root);
        let column = &address_name(&request.uri);
        let mut response = response::empty(StatusCode::OK);
        let location = format!("{address}/{column}?sessiontoken={file}");
        response::put(&mut response, header::LOCATION, &location);
        response::put(&mut response, header::ACCEPT_RANGES, "bytes");
        put_chunk_size(&mut response);
        return Ok(response);
    }
    if is_image(&address.table, column) {
        return set_image(attempt, address, column, Some(&request.body))?.run(attempt).await;
    }
    check_size(&address.table, column, request.body.len() as u64)?;
    let mut pieces = Vec::new();
    // One piece after the other: each is durable before the next is sent.
    for (number, bytes) in request.body.chunks(CHUNK_BYTES).enumerate() {
        let name = data_name(&format!("{number:08}"));
        put(attempt, file, &name, bytes).await?;
        pieces.push((name, bytes.len() as u64));
    }
    let mime = transfer.mime();
    let description =
        Description { place, name: name.to_owned(), mime, size: request.body.len() as u64, pieces };
    commit(attempt, address, column, (file, &description)).await
}

/// One chunk of an upload that was begun.
async fn chunk(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
    token: &str,
) -> Result<Response<Bytes>, Stop> {
    let request = attempt.request;
    let file = Uuid::try_parse(token).map_err(|_| no_session())?;
    let session = session(attempt, file).await?;
    if session.place != place_of(attempt, address, column).await? {
        return Err(no_session().into());
    }
    if request.body.is_empty() {
        // Some callers send an empty chunk behind a file that ends with a whole one.
        let value = property::fetch_alone(attempt, address, column).await?;
        if value.as_id() == Some(file) {
            return Ok(response::empty(StatusCode::NO_CONTENT));
        }
    }
    let range = request.transfer.content_range.as_deref().and_then(content_range);
    let (from, to, total) = range.ok_or_else(|| {
        Problem::argument("A chunk needs the header 'Content-Range: bytes first-last/total'.")
    })?;
    check_size(&address.table, column, total)?;
    let chunk = CHUNK_BYTES as u64;
    let is_whole = to + 1 - from == chunk || to + 1 == total;
    let fits = to < total && from % chunk == 0 && is_whole;
    if !fits || to + 1 - from != request.body.len() as u64 {
        return Err(Problem::argument(format!(
            "The chunk 'bytes {from}-{to}/{total}' does not fit: each but the last has {chunk} bytes, and the body has as many as the header says."
        ))
        .into());
    }
    let name = data_name(&format!("{:08}", from / chunk));
    put(attempt, file, &name, &request.body).await?;
    let sizes = attempt.pipeline.piece_sizes(file).await?;
    let pieces: Vec<(String, u64)> = sizes
        .into_iter()
        .filter(|(name, _)| name.starts_with(DATA))
        .map(|(name, size)| (name.into(), size))
        .collect();
    if pieces.iter().map(|(_, size)| size).sum::<u64>() < total {
        let mut response = response::empty(StatusCode::PARTIAL_CONTENT);
        put_chunk_size(&mut response);
        return Ok(response);
    }
    let (place, name) = (session.place, session.name);
    let mime = request.transfer.mime();
    let description = Description { place, name, mime, size: total, pieces };
    commit(attempt, address, column, (file, &description)).await
}

async fn download(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
    raw: bool,
) -> Result<Response<Bytes>, Stop> {
    let Some(held) = held(attempt, address, column).await? else {
        return Ok(response::empty(StatusCode::NO_CONTENT));
    };
    let description = held.description();
    let asked = attempt.request.transfer.range.as_deref();
    let (from, length) = match asked.map(|range| byte_range(range, description.size)) {
        None => (0, description.size),
        Some(Some(range)) => range,
        Some(None) => return Err(Problem::range(description.size).into()),
    };
    if length > ANSWER_BYTES_MAX {
        return Err(Problem::argument(format!(
            "One answer holds at most {ANSWER_BYTES_MAX} bytes; the file has {}. Ask by the header 'Range'.",
            description.size
        ))
        .into());
    }
    let bytes = match &held {
        Held::File(file, description) => slice(attempt, *file, description, (from, length)).await?,
        Held::Thumbnail(bytes, _) => {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            bytes.get(place(from)..place(from + length)).unwrap_or_default().to_vec()
        }
    };
    let status = if asked.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = if raw {
        response::bytes(status, &description.mime, bytes)
    } else {
        let root = &attempt.request.root;
        let mut record = String::new();
        wire::reference::write(&mut record, &address.table, &address.key);
        let name = address.table.value_name(column);
        let body = serde_json::json!({
            "@odata.context": format!("{root}$metadata#{record}/{name}"),
            "value": STANDARD.encode(&bytes),
        });
        response::json(status, body.to_string().into_bytes())
    };
    let size = description.size.to_string();
    response::put_name(
        &mut response,
        HeaderName::from_static(headers::FILE_NAME),
        &description.name,
    );
    response::put(&mut response, HeaderName::from_static(headers::FILE_SIZE), &size);
    response::put(&mut response, HeaderName::from_static("mimetype"), &description.mime);
    let plain = description.name.replace(['"', '\\'], "_");
    let disposition = format!("attachment; filename=\"{plain}\"");
    response::put(&mut response, header::CONTENT_DISPOSITION, &disposition);
    if asked.is_some() {
        if length > 0 {
            let range = format!("bytes {from}-{}/{size}", from + length - 1);
            response::put(&mut response, header::CONTENT_RANGE, &range);
        }
        put_chunk_size(&mut response);
    }
    Ok(response)
}

/// What a value holds.
enum Held {
    File(Uuid, Description),
    Thumbnail(Vec<u8>, Description),
}

impl Held {
    fn description(&self) -> &Description {
        match self {
            Self::File(_, description) | Self::Thumbnail(_, description) => description,
        }
    }
}

/// What is asked for of a value: its file, the thumbnail of an image, or with `?size=full` the picture, if
/// it was kept.
async fn held(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
) -> Result<Option<Held>, Stop> {
    let table = &address.table;
    let size = attempt.request.options.get("size").filter(|size| !size.is_empty());
    let full = size.is_some_and(|size| size.eq_ignore_ascii_case("full"));
    if let Some(size) = size.filter(|_| !full) {
        return Err(Problem::argument(format!("'{size}' is no size: 'full' is.")).into());
    }
    if is_image(table, column) && !full {
        let Value::Text(text) = property::fetch_alone(attempt, address, column).await? else {
            return Ok(None);
        };
        let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| lost())?;
        let place = Place { table: table.id.0, record: [0; 16], column: 0 };
        let name = format!("{}.jpg", table.column(column).logical_name);
        let (mime, size) = (images::THUMBNAIL_MIME.to_owned(), bytes.len() as u64);
        let description = Description { place, name, mime, size, pieces: Vec::new() };
        return Ok(Some(Held::Thumbnail(bytes, description)));
    }
    let value = property::fetch_alone(attempt, address, id_column(table, column)).await?;
    let Some(file) = value.as_id() else { return Ok(None) };
    if is_image(table, column) && attempt.pipeline.piece(file, DESCRIPTION).await?.is_none() {
        return Ok(None);
    }
    Ok(Some(Held::File(file, describe(attempt, file).await?)))
}

/// The column that names the file of a file or image column.
pub(crate) fn id_column(table: &Table, column: ColumnIndex) -> ColumnIndex {
    match is_image(table, column) {
        true => images::id_column(table, column).unwrap_or(column),
        false => column,
    }
}

fn is_image(table: &Table, column: ColumnIndex) -> bool {
    matches!(table.column(column).kind, ColumnKind::Image { .. })
}

/// The bytes of a file from a place on.
pub(crate) async fn slice(
    attempt: &Attempt<'_>,
    file: Uuid,
    description: &Description,
    (from, length): (u64, u64),
) -> Result<Vec<u8>, Stop> {
    let end = from + length;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    let mut start = 0;
    // Piece by piece: that is what bounds the memory.
    for (name, size) in &description.pieces {
        let (piece_from, piece_to) = (start, start + size);
        start = piece_to;
        if piece_to <= from || piece_from >= end {
            continue;
        }
        let piece = attempt.pipeline.piece(file, name).await?.ok_or_else(lost)?;
        let place = |at: u64| usize::try_from(at.saturating_sub(piece_from)).unwrap_or(usize::MAX);
        let (first, last) = (place(from), place(end).min(piece.len()));
        bytes.extend_from_slice(piece.get(first..last).unwrap_or_default());
    }
    Ok(bytes)
}

/// Describes a file and puts it into its value. An image is put together first: its pieces were on the way
/// only.
pub(crate) async fn commit(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
    (file, description): (Uuid, &Description),
) -> Result<Response<Bytes>, Stop> {
    if is_image(&address.table, column) {
        let bytes = slice(attempt, file, description, (0, description.size)).await?;
        return set_image(attempt, address, column, Some(&bytes))?.run(attempt).await;
    }
    let text = serde_json::to_vec(description).expect("texts and numbers always serialise");
    put(attempt, file, DESCRIPTION, &text).await?;
    set(attempt, address, column, Some((file, &description.name)))?.run(attempt).await
}

/// The update that puts a file into its value, or takes it out.
pub(crate) fn set(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
    file: Option<(Uuid, &str)>,
) -> Result<Prepared, Problem> {
    let table = &address.table;
    if file.is_none() && is_image(table, column) {
        return set_image(attempt, address, column, None);
    }
    let id = file.map_or(Value::Null, |(id, _)| Value::Guid(id));
    let mut given = vec![Cell { column, value: id }];
    if let Some(column) = table.index_of(&format!("{}_name", table.column(column).logical_name)) {
        let value = file.map_or(Value::Null, |(_, name)| Value::text(name));
        given.push(Cell { column, value });
    }
    let expected_version = expected_version(attempt, table)?;
    let key = address.key.clone();
    let target = Target { key, given, expected_version, ..Target::default() };
    Ok(Prepared::of_one(table, MessageName::Update, target, Shown::Nothing))
}

/// The update that writes an image, or takes it out: as a value of its record.
fn set_image(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
    bytes: Option<&[u8]>,
) -> Result<Prepared, Problem> {
    let table = &address.table;
    if let Some(bytes) = bytes.filter(|bytes| bytes.len() > IMAGE_BYTES_MAX) {
        return Err(Problem::image(format!("the image has {} bytes", bytes.len())));
    }
    let value = match bytes {
        Some([]) => return Err(Problem::image("it is empty".to_owned())),
        Some(bytes) => Value::text(STANDARD.encode(bytes)),
        None => Value::Null,
    };
    let expected_version = expected_version(attempt, table)?;
    let (key, cells) = (address.key.clone(), vec![Cell { column, value }]);
    let target = Target { key, cells, expected_version, ..Target::default() };
    Ok(Prepared::of_one(table, MessageName::Update, target, Shown::Nothing))
}

/// Which value an address names. 404 if its record is not there.
pub(crate) async fn place_of(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
) -> Result<Place, Stop> {
    let table = &address.table;
    let id = property::fetch_alone(attempt, address, table.primary_key).await?;
    let record = id.as_id().ok_or_else(|| address.missing())?;
    let record = record.into_bytes();
    Ok(Place { table: table.id.0, record, column: table.column(column).id.0 })
}

/// The record and column that a place stands for; none if they are gone.
pub(crate) fn address_of(attempt: &Attempt<'_>, place: &Place) -> Option<(Address, ColumnIndex)> {
    let table = attempt.context.catalog.table_by_id(model::TableId(place.table))?;
    let (column, _) = table.indexed_columns().find(|(_, column)| column.id.0 == place.column)?;
    Some((
        Address { table: table.clone(), key: TargetKey::Id(Uuid::from_bytes(place.record)) },
        column,
    ))
}

/// Keeps what an upload is begun for.
pub(crate) async fn begin(
    attempt: &Attempt<'_>,
    file: Uuid,
    session: &Session,
) -> Result<(), Stop> {
    let text = serde_json::to_vec(session).expect("texts and numbers always serialise");
    put(attempt, file, SESSION, &text).await
}

/// What an upload was begun for.
pub(crate) async fn session(attempt: &Attempt<'_>, file: Uuid) -> Result<Session, Stop> {
    let text = attempt.pipeline.piece(file, SESSION).await?.ok_or_else(no_session)?;
    serde_json::from_slice(&text).map_err(|_| lost().into())
}

/// What a file is.
pub(crate) async fn describe(attempt: &Attempt<'_>, file: Uuid) -> Result<Description, Stop> {
    let text = attempt.pipeline.piece(file, DESCRIPTION).await?.ok_or_else(lost)?;
    serde_json::from_slice(&text).map_err(|_| lost().into())
}

pub(crate) async fn put(
    attempt: &Attempt<'_>,
    file: Uuid,
    name: &str,
    bytes: &[u8],
) -> Result<(), Stop> {
    let (bytes, at) = (bytes.to_vec(), attempt.context.now);
    let piece = Piece { file, name: name.into(), bytes, at };
    Ok(attempt.pipeline.put_pieces(vec![piece]).await?)
}

pub(crate) fn new_file(attempt: &Attempt<'_>) -> Uuid {
    let ids = attempt.pipeline.new_ids(1, attempt.context.now);
    ids.into_iter().next().unwrap_or_default()
}

/// Refuses a file that is too large for its column.
pub(crate) fn check_size(table: &Table, column: ColumnIndex, size: u64) -> Result<(), Problem> {
    match table.column(column).kind {
        ColumnKind::File { max_size_kb } if size > u64::from(max_size_kb) * 1_024 => {
            Err(Problem::file_too_large(max_size_kb))
        }
        ColumnKind::Image { max_size_kb, .. } if size > u64::from(max_size_kb) * 1_024 => {
            Err(Problem::image(format!("the image is larger than {max_size_kb} KB")))
        }
        _ => Ok(()),
    }
}

/// Refuses a name that the column beside the file cannot hold.
pub(crate) fn check_name(name: &str) -> Result<(), Problem> {
    const UNITS_MAX: usize = 255;
    let fits = name.encode_utf16().count() <= UNITS_MAX && !name.contains(char::is_control);
    if fits {
        return Ok(());
    }
    Err(Problem::argument(format!(
        "The name of the file is longer than {UNITS_MAX} characters, or has control characters."
    )))
}

fn put_chunk_size(response: &mut Response<Bytes>) {
    let size = CHUNK_BYTES.to_string();
    response::put(response, HeaderName::from_static("x-ms-chunk-size"), &size);
}

/// The last piece of an address: the column as the caller wrote it.
fn address_name(uri: &str) -> String {
    uri.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
}

pub(crate) fn no_session() -> Problem {
    Problem::argument("The upload is not known: its token is wrong, or it was begun too long ago.")
}

/// A file without its pieces.
pub(crate) fn lost() -> Problem {
    tracing::error!("a row names a file whose pieces are not there");
    Problem::unexpected()
}

/// `bytes 0-4194303/25870370`
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (from, to, total) =
        (from.trim().parse().ok()?, to.trim().parse().ok()?, total.trim().parse().ok()?);
    (from <= to).then_some((from, to, total))
}

/// `bytes=0-4194303`, `bytes=5-`, `bytes=-5`: where it begins and how long it is.
fn byte_range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (from, to) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = (from.trim(), to.trim());
    let first: Option<u64> = from.parse().ok();
    if first == Some(size) {
        // Some callers ask once more where a file ends with a chunk: there is nothing left.
        return Some((size, 0));
    }
    let last = size.checked_sub(1)?;
    let (from, to) = match (from, to) {
        ("", length) => (size.saturating_sub(length.parse::<u64>().ok()?), last),
        (from, "") => (from.parse().ok()?, last),
        (from, to) => (from.parse().ok()?, to.parse::<u64>().ok()?.min(last)),
    };
    (from <= to).then(|| (from, to - from + 1))
}

impl Transfer {
    /// The kind of the bytes that are sent.
    fn mime(&self) -> String {
        let kind = self.content_type.clone().filter(|kind| !kind.is_empty());
        kind.unwrap_or_else(|| "application/octet-stream".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_sent() {
        assert_eq!(content_range("bytes 0-4194303/25870370"), Some((0, 4_194_303, 25_870_370)));
        for bad in ["", "bytes", "bytes 0-1", "bytes 5-4/9", "bytes x-1/2", "0-1/2", "bytes 0-1/*"]
        {
            assert_eq!(content_range(bad), None, "{bad}");
        }
        assert_eq!(byte_range("bytes=0-3", 10), Some((0, 4)));
        assert_eq!(byte_range("bytes=8-99", 10), Some((8, 2)));
        assert_eq!(byte_range("bytes=4-", 10), Some((4, 6)));
        assert_eq!(byte_range("bytes=-3", 10), Some((7, 3)));
        assert_eq!(byte_range("bytes=10-19", 10), Some((10, 0)));
        for bad in ["bytes=11-", "bytes=5-4", "bytes=a-b", "items=0-1", "bytes=0-1,4-5", "bytes=-"]
        {
            assert_eq!(byte_range(bad, 10), None, "{bad}");
        }
        assert_eq!(byte_range("bytes=0-1", 0), Some((0, 0)));
    }
}
