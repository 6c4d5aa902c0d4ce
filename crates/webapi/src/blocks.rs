//! Files by messages: blocks up, blocks down, and deleting a file by its id.
//!
//! Source: webapi.md 15.4. A continuation token is the id of the file; what it may be used for is kept with
//! the file (`records::files`).
//! Invariant: a block is read only through the value that holds its file.

use crate::api::{Attempt, Stop};
use crate::fault::{self, Payload, Problem};
use crate::records::files::{self, Description, Session};
use crate::records::property_of;
use crate::response;
use crate::route::{Address, NAMESPACE};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use model::{ColumnIndex, MessageName, TargetKey, Uuid};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum BlockMessage {
    InitializeUpload,
    Upload,
    CommitUpload,
    InitializeDownload,
    Download,
    DeleteFile,
}

impl BlockMessage {
    /// The message of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "InitializeFileBlocksUpload" => Self::InitializeUpload,
            "UploadBlock" => Self::Upload,
            "CommitFileBlocksUpload" => Self::CommitUpload,
            "InitializeFileBlocksDownload" => Self::InitializeDownload,
            "DownloadBlock" => Self::Download,
            "DeleteFile" => Self::DeleteFile,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::InitializeUpload => "InitializeFileBlocksUpload",
            Self::Upload => "UploadBlock",
            Self::CommitUpload => "CommitFileBlocksUpload",
            Self::InitializeDownload => "InitializeFileBlocksDownload",
            Self::Download => "DownloadBlock",
            Self::DeleteFile => "DeleteFile",
        }
    }
}

/// Runs one of the messages.
pub(crate) async fn call(
    attempt: &Attempt<'_>,
    message: BlockMessage,
) -> Result<Response<Bytes>, Stop> {
    match attempt.request.method {
        Method::POST => {}
        Method::GET => return Err(Problem::no_resource(&attempt.request.uri).into()),
        _ => return Err(attempt.only("POST").into()),
    }
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
    match message {
        BlockMessage::InitializeUpload => begin_upload(attempt).await,
        BlockMessage::Upload => upload(attempt).await,
        BlockMessage::CommitUpload => commit(attempt).await,
        BlockMessage::InitializeDownload => begin_download(attempt).await,
        BlockMessage::Download => download(attempt).await,
        BlockMessage::DeleteFile => delete(attempt).await,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct BeginUpload {
    target: Value,
    file_name: String,
    file_attribute_name: String,
}

async fn begin_upload(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    let body: BeginUpload = read(attempt, BlockMessage::InitializeUpload)?;
    files::check_name(&body.file_name)?;
    let (address, column) = target(attempt, &body.target, &body.file_attribute_name)?;
    let place = files::place_of(attempt, &address, column).await?;
    let file = files::new_file(attempt);
    files::begin(attempt, file, &Session { place, name: body.file_name }).await?;
    Ok(answer(
        attempt,
        BlockMessage::InitializeUpload,
        &[("FileContinuationToken", json!(file.to_string()))],
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Upload {
    block_id: String,
    block_data: String,
    file_continuation_token: String,
}

async fn upload(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    let body: Upload = read(attempt, BlockMessage::Upload)?;
    let file = token(&body.file_continuation_token)?;
    files::session(attempt, file).await?;
    check_block_id(&body.block_id)?;
    let bytes = STANDARD
        .decode(body.block_data.as_bytes())
        .map_err(|_| Problem::argument("'BlockData' is not base64."))?;
    if bytes.len() > files::CHUNK_BYTES {
        let max = files::CHUNK_BYTES;
        return Err(Problem::argument(format!("A block has at most {max} bytes.")).into());
    }
    files::put(attempt, file, &files::data_name(&body.block_id), &bytes).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Commit {
    file_name: String,
    mime_type: Option<String>,
    block_list: Vec<String>,
    file_continuation_token: String,
}

async fn commit(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    let body: Commit = read(attempt, BlockMessage::CommitUpload)?;
    files::check_name(&body.file_name)?;
    let file = token(&body.file_continuation_token)?;
    let session = files::session(attempt, file).await?;
    let (address, column) =
        files::address_of(attempt, &session.place).ok_or_else(files::no_session)?;
    let sizes = attempt.pipeline.piece_sizes(file).await?;
    let mut pieces = Vec::with_capacity(body.block_list.len());
    for block in &body.block_list {
        let name = files::data_name(block);
        let size = sizes.iter().find(|(known, _)| **known == *name).map(|(_, size)| *size);
        let size = size.ok_or_else(|| {
            Problem::argument(format!("The block '{block}' in 'BlockList' was not uploaded."))
        })?;
        pieces.push((name, size));
    }
    let size = pieces.iter().map(|(_, size)| size).sum();
    files::check_size(&address.table, column, size)?;
    let (place, name) = (session.place, body.file_name);
    let mime = body.mime_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    let description = Description { place, name, mime, size, pieces };
    files::commit(attempt, &address, column, (file, &description)).await?;
    // An image got an id of its own.
    let held = property_of(attempt, &address, files::id_column(&address.table, column)).await?;
    let file = held.as_id().unwrap_or(file);
    Ok(answer(
        attempt,
        BlockMessage::CommitUpload,
        &[("FileId", json!(file.to_string())), ("FileSizeInBytes", json!(size))],
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct BeginDownload {
    target: Value,
    file_attribute_name: String,
}

async fn begin_download(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    let body: BeginDownload = read(attempt, BlockMessage::InitializeDownload)?;
    let (address, column) = target(attempt, &body.target, &body.file_attribute_name)?;
    let column = files::id_column(&address.table, column);
    let file = property_of(attempt, &address, column).await?.as_id().ok_or_else(no_file)?;
    // Of an image its thumbnail may be all that was kept.
    if attempt.pipeline.piece_sizes(file).await?.is_empty() {
        return Err(no_file().into());
    }
    let description = files::describe(attempt, file).await?;
    Ok(answer(
        attempt,
        BlockMessage::InitializeDownload,
        &[
            ("FileSizeInBytes", json!(description.size)),
            ("FileName", json!(description.name)),
            ("FileContinuationToken", json!(file.to_string())),
            ("IsChunkingSupported", json!(true)),
        ],
    ))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Download {
    offset: u64,
    block_length: u64,
    file_continuation_token: String,
}

async fn download(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    let body: Download = read(attempt, BlockMessage::Download)?;
    let file = token(&body.file_continuation_token)?;
    let description = held(attempt, file).await?;
    let length = body.block_length.min(description.size.saturating_sub(body.offset));
    if length == 0 || length > files::CHUNK_BYTES as u64 {
        return Err(Problem::argument(format!(
            "'Offset' and 'BlockLength' must ask for 1 to {} bytes of the {} that the file has.",
            files::CHUNK_BYTES,
            description.size
        ))
        .into());
    }
    let bytes = files::slice(attempt, file, &description, (body.offset, length)).await?;
    Ok(answer(attempt, BlockMessage::Download, &[("Data", json!(STANDARD.encode(bytes)))]))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DeleteFile {
    file_id: String,
}

async fn delete(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    let body: DeleteFile = read(attempt, BlockMessage::DeleteFile)?;
    let file = Uuid::try_parse(&body.file_id).map_err(|_| no_file())?;
    let description = held(attempt, file).await?;
    let (address, column) = files::address_of(attempt, &description.place).ok_or_else(no_file)?;
    files::set(attempt, &address, column, None)?.run(attempt).await
}

/// A file that its value still holds, and that the caller may read there.
async fn held(attempt: &Attempt<'_>, file: Uuid) -> Result<Description, Stop> {
    if attempt.pipeline.piece_sizes(file).await?.is_empty() {
        return Err(no_file().into());
    }
    let description = files::describe(attempt, file).await?;
    let (address, column) = files::address_of(attempt, &description.place).ok_or_else(no_file)?;
    let column = files::id_column(&address.table, column);
    let value = property_of(attempt, &address, column).await?;
    if value.as_id() == Some(file) { Ok(description) } else { Err(no_file().into()) }
}

fn no_file() -> Problem {
    Problem::no_file()
}

fn token(text: &str) -> Result<Uuid, Problem> {
    Uuid::try_parse(text).map_err(|_| files::no_session())
}

fn check_block_id(id: &str) -> Result<(), Problem> {
    const CHARACTERS_MAX: usize = 200;
    let fits = !id.is_empty() && id.len() <= CHARACTERS_MAX && STANDARD.decode(id).is_ok();
    let text = "'BlockId' must be base64 of at most 200 characters.";
    if fits { Ok(()) } else { Err(Problem::argument(text)) }
}

/// The parameters of a message.
fn read<T: DeserializeOwned>(attempt: &Attempt<'_>, message: BlockMessage) -> Result<T, Problem> {
    serde_json::from_slice(&attempt.request.body).map_err(|err| {
        let payload = Payload { message: MessageName::Update, table: "", set: message.name() };
        fault::of_wire(wire::Error::NotJson { detail: err.to_string() }, payload)
    })
}

/// `{"@odata.type":"Microsoft.Dynamics.CRM.account","accountid":"…"}` and the name of one of its columns.
fn target(
    attempt: &Attempt<'_>,
    target: &Value,
    column: &str,
) -> Result<(Address, ColumnIndex), Problem> {
    let bad = |what: &str| Problem::argument(format!("'Target' {what}."));
    let kind = target.get("@odata.type").and_then(Value::as_str);
    let kind = kind.ok_or_else(|| bad("has no '@odata.type'"))?;
    let name = kind.trim_start_matches('#');
    let name = name.strip_prefix(NAMESPACE).unwrap_or(name);
    let table = attempt.context.catalog.table(name);
    let table = table.ok_or_else(|| Problem::no_definition("entity", name))?;
    let id = target.get(table.primary_key_name()).and_then(Value::as_str);
    let id = id.and_then(|id| Uuid::try_parse(id).ok()).ok_or_else(|| bad("has no valid id"))?;
    let column = table.index_of(&column.to_lowercase());
    let column = column.filter(|column| files::is_file(&table.column(*column).kind));
    let column = column
        .ok_or_else(|| Problem::argument("'FileAttributeName' names no file or image column."))?;
    Ok((Address { table: table.clone(), key: TargetKey::Id(id) }, column))
}

fn answer(
    attempt: &Attempt<'_>,
    message: BlockMessage,
    members: &[(&str, Value)],
) -> Response<Bytes> {
    let root = &attempt.request.root;
    let name = message.name();
    let context = format!("{root}$metadata#Microsoft.Dynamics.CRM.{name}Response");
    let mut body = serde_json::Map::new();
    body.insert("@odata.context".to_owned(), json!(context));
    body.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    response::json(StatusCode::OK, Value::Object(body).to_string().into_bytes())
}
