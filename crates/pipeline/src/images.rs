//! Images in records: base64 on the way in, a thumbnail as the value, the picture itself as a file beside.
//!
//! In: the targets of a message. Out: the same with thumbnails, ids and addresses, and the pieces of the
//! pictures that are kept. What is wrong with an image is told with the other values of its target.
//! Source: webapi.md 15.8. Not here: answering pictures (`webapi`), image columns (`define::images`).
//! Invariant: pictures are read on a thread of their own, and only where their size is bounded before.

use crate::files::{CHUNK_BYTES, DESCRIPTION, Description, Place, data_name};
use crate::ids::IdSource;
use crate::message::Write;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use model::{
    BadImage, Cell, ColumnIndex, ColumnKind, ErrorCode, MessageName, Table, Target, TargetKey,
    Timestamp, Uuid, Value, code,
};
use std::io::Cursor;
use store::Piece;

/// Width and height of a thumbnail at most.
const THUMBNAIL_PIXELS: u32 = 144;
/// Quality of a thumbnail, of 100.
const THUMBNAIL_QUALITY: u8 = 85;
/// The kind of a thumbnail.
pub const THUMBNAIL_MIME: &str = "image/jpeg";
/// Bytes that a picture may have in memory.
const PICTURE_BYTES_MAX: u64 = 268_435_456;
/// Width and height of a picture at most.
const PICTURE_PIXELS_MAX: u32 = 32_768;

/// The columns beside an image: its id, its time, its address.
struct Beside {
    id: Option<ColumnIndex>,
    timestamp: Option<ColumnIndex>,
    url: Option<ColumnIndex>,
}

/// The column that holds the id of the picture of an image column.
pub fn id_column(table: &Table, column: ColumnIndex) -> Option<ColumnIndex> {
    table.index_of(&format!("{}id", table.column(column).logical_name))
}

impl Beside {
    fn of(table: &Table, column: ColumnIndex) -> Self {
        let name = &table.column(column).logical_name;
        Self {
            id: id_column(table, column),
            timestamp: table.index_of(&format!("{name}_timestamp")),
            url: table.index_of(&format!("{name}_url")),
        }
    }

    fn give(&self, target: &mut Target, [id, timestamp, url]: [Value; 3]) {
        let columns = [(self.id, id), (self.timestamp, timestamp), (self.url, url)];
        for (column, value) in columns {
            target.given.extend(column.map(|column| Cell { column, value }));
        }
    }
}

/// An image as it came, and where.
pub(crate) struct Sent {
    write: usize,
    target: usize,
    column: ColumnIndex,
    text: Box<str>,
    bytes_max: usize,
    keeps_picture: bool,
}

/// An image that was read.
pub(crate) struct Made {
    thumbnail: String,
    /// What is kept of the picture: its bytes, its kind, the end of its name.
    picture: Option<(Vec<u8>, &'static str, &'static str)>,
}

/// Takes the images out of targets; empties what stands beside those that are cleared.
pub(crate) fn take(writes: &mut [Write]) -> Vec<Sent> {
    let mut sent = Vec::new();
    for (write, message) in writes.iter_mut().enumerate() {
        let (table, name) = (&message.table, message.name);
        let is_image =
            |column: ColumnIndex| matches!(table.column(column).kind, ColumnKind::Image { .. });
        if !table.indexed_columns().any(|(column, _)| is_image(column)) {
            continue;
        }
        for (number, target) in message.targets.iter_mut().enumerate() {
            let images: Vec<usize> = target
                .cells
                .iter()
                .enumerate()
                .filter(|(_, cell)| is_image(cell.column))
                .map(|(place, _)| place)
                .collect();
            for place in images {
                let cell = &mut target.cells[place];
                let column = cell.column;
                let ColumnKind::Image { max_size_kb, can_store_full_image, is_primary } =
                    table.column(column).kind
                else {
                    continue;
                };
                match std::mem::replace(&mut cell.value, Value::Null) {
                    Value::Text(text) if !text.is_empty() => {
                        let creates =
                            matches!(name, MessageName::Create | MessageName::CreateMultiple);
                        if creates && !is_primary {
                            refuse(target, column, not_primary(table, column));
                            continue;
                        }
                        sent.push(Sent {
                            write,
                            target: number,
                            column,
                            text,
                            bytes_max: usize::try_from(max_size_kb).unwrap_or(0) * 1_024,
                            keeps_picture: can_store_full_image,
                        });
                    }
                    _ => Beside::of(table, column).give(target, [(); 3].map(|()| Value::Null)),
                }
            }
        }
    }
    sent
}

/// Reads images. Cost: what decoding them costs; for a thread of its own.
pub(crate) fn make(sent: Vec<Sent>) -> Vec<(Sent, Result<Made, String>)> {
    sent.into_iter()
        .map(|mut sent| {
            let text = std::mem::take(&mut sent.text);
            let made = read(&text, &sent);
            (sent, made)
        })
        .collect()
}

/// Puts thumbnails and what stands beside them into the targets; answers the pieces of the pictures.
pub(crate) fn give(
    writes: &mut [Write],
    made: Vec<(Sent, Result<Made, String>)>,
    ids: &IdSource,
    now: Timestamp,
) -> Vec<Piece> {
    let mut fresh = ids.take(made.len(), now).into_iter();
    let mut pieces = Vec::new();
    for (sent, made) in made {
        let message = &mut writes[sent.write];
        let (table, column) = (message.table.clone(), sent.column);
        let target = &mut message.targets[sent.target];
        let id = fresh.next().expect("one id was taken per image");
        let Made { thumbnail, picture } = match made {
            Ok(made) => made,
            Err(reason) => {
                let message = format!("Error occured when processing image. Reason: {reason}");
                refuse(target, column, (code::PROCESS_IMAGE_FAILURE, message));
                continue;
            }
        };
        if let Some(cell) = target.cells.iter_mut().find(|cell| cell.column == column) {
            cell.value = Value::text(thumbnail);
        }
        let name = &table.column(column).logical_name;
        let full = if picture.is_some() { "&Full=true" } else { "" };
        let url = format!(
            "/Image/download.aspx?Entity={}&Attribute={name}&Id={id}&Timestamp={}{full}",
            table.logical_name, now.0
        );
        let beside = [Value::Guid(id), Value::BigInt(now.0), Value::text(url)];
        Beside::of(&table, column).give(target, beside);
        if let Some((bytes, mime, end)) = picture {
            let record = record_of(target, ids, now, message.name);
            let place = Place { table: table.id.0, record, column: table.column(column).id.0 };
            pieces.extend(pieces_of(id, &bytes, place, (format!("{name}.{end}"), mime), now));
        }
    }
    pieces
}

/// The id of a target's record; a new one gets it here. None of a record that is named by a key.
fn record_of(target: &mut Target, ids: &IdSource, now: Timestamp, name: MessageName) -> [u8; 16] {
    let creates = matches!(name, MessageName::Create | MessageName::CreateMultiple);
    if creates && target.key == TargetKey::None {
        target.key = ids.take(1, now).first().map_or(TargetKey::None, |id| TargetKey::Id(*id));
    }
    match target.key {
        TargetKey::Id(id) => id.into_bytes(),
        TargetKey::None | TargetKey::Alternate(_) => Uuid::nil().into_bytes(),
    }
}

fn pieces_of(
    file: Uuid,
    bytes: &[u8],
    place: Place,
    (name, mime): (String, &str),
    at: Timestamp,
) -> Vec<Piece> {
    let chunks = bytes.chunks(CHUNK_BYTES).enumerate();
    let mut pieces: Vec<Piece> = chunks
        .map(|(number, bytes)| {
            let name = data_name(&format!("{number:08}")).into();
            Piece { file, name, bytes: bytes.to_vec(), at }
        })
        .collect();
    let description = Description {
        place,
        name,
        mime: mime.to_owned(),
        size: bytes.len() as u64,
        pieces: pieces
            .iter()
            .map(|piece| (piece.name.to_string(), piece.bytes.len() as u64))
            .collect(),
    };
    let bytes = serde_json::to_vec(&description).expect("texts and numbers always serialise");
    pieces.push(Piece { file, name: DESCRIPTION.into(), bytes, at });
    pieces
}

/// Keeps the first refusal; the target then has no values.
fn refuse(target: &mut Target, column: ColumnIndex, (code, message): (ErrorCode, String)) {
    if target.bad_image.is_none() {
        target.bad_image = Some(BadImage { column, code, message: message.into() });
    }
}

fn not_primary(table: &Table, column: ColumnIndex) -> (ErrorCode, String) {
    let message = format!(
        "Non-primary image attribute {} of entity {} is not allowed to upload during Create operation.",
        table.column(column).logical_name,
        table.logical_name
    );
    (code::NON_PRIMARY_IMAGE_ON_CREATE, message)
}

fn read(text: &str, sent: &Sent) -> Result<Made, String> {
    let bytes = STANDARD.decode(text).map_err(|_| "the value is not base64".to_owned())?;
    if bytes.len() > sent.bytes_max {
        return Err(format!("the image is larger than {} KB", sent.bytes_max / 1_024));
    }
    let kinds = "gif, jpeg, tiff, bmp and png are taken";
    let format = image::guess_format(&bytes).map_err(|_| kinds.to_owned())?;
    let (mime, end) = kind_of(format).ok_or_else(|| kinds.to_owned())?;
    let mut reader = ImageReader::with_format(Cursor::new(&bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(PICTURE_BYTES_MAX);
    limits.max_image_width = Some(PICTURE_PIXELS_MAX);
    limits.max_image_height = Some(PICTURE_PIXELS_MAX);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| format!("the image cannot be read: {error}"))?;
    let thumbnail = thumbnail(&picture).ok_or("the image has no pixels")?;
    let picture = sent.keeps_picture.then_some((bytes, mime, end));
    Ok(Made { thumbnail: STANDARD.encode(thumbnail), picture })
}

fn kind_of(format: ImageFormat) -> Option<(&'static str, &'static str)> {
    Some(match format {
        ImageFormat::Gif => ("image/gif", "gif"),
        ImageFormat::Jpeg => ("image/jpeg", "jpg"),
        ImageFormat::Tiff => ("image/tiff", "tif"),
        ImageFormat::Bmp => ("image/bmp", "bmp"),
        ImageFormat::Png => ("image/png", "png"),
        _ => return None,
    })
}

/// The square in the middle, made smaller where it is too large, on white.
fn thumbnail(picture: &DynamicImage) -> Option<Vec<u8>> {
    let (width, height) = (picture.width(), picture.height());
    let side = width.min(height);
    let mut square = picture.crop_imm((width - side) / 2, (height - side) / 2, side, side);
    if side > THUMBNAIL_PIXELS {
        square = square.thumbnail_exact(THUMBNAIL_PIXELS, THUMBNAIL_PIXELS);
    }
    let pixels = square.to_rgba8();
    let flat = RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0.map(u32::from);
        let over = |color: u32| {
            u8::try_from((color * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX)
        };
        Rgb([over(red), over(green), over(blue)])
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, THUMBNAIL_QUALITY).encode_image(&flat).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage};

    fn sent(bytes_max: usize) -> Sent {
        let (text, column) = (Box::default(), ColumnIndex(0));
        Sent { write: 0, target: 0, column, text, bytes_max, keeps_picture: true }
    }

    fn encoded(width: u32, height: u32, format: ImageFormat) -> String {
        // Red in the middle third, clear around it.
        let picture = RgbaImage::from_fn(width, height, |x, _| match 3 * x / width.max(1) {
            1 => Rgba([255, 0, 0, 255]),
            _ => Rgba([0, 0, 0, 0]),
        });
        let mut bytes = Cursor::new(Vec::new());
        let picture = DynamicImage::from(picture);
        let picture = match format {
            ImageFormat::Jpeg => DynamicImage::from(picture.to_rgb8()),
            _ => picture,
        };
        picture.write_to(&mut bytes, format).expect("encodes");
        STANDARD.encode(bytes.into_inner())
    }

    fn check(text: &str, want: Result<(u32, u32), &str>) {
        let made = read(text, &sent(1_000_000));
        let size = made.as_ref().map_err(String::as_str).map(|made| {
            let bytes = STANDARD.decode(&made.thumbnail).expect("base64");
            assert_eq!(image::guess_format(&bytes).expect("an image"), ImageFormat::Jpeg);
            let picture = image::load_from_memory(&bytes).expect("an image");
            (picture.width(), picture.height())
        });
        assert_eq!(size, want);
    }

    #[test]
    fn a_thumbnail_is_a_square_of_at_most_144_pixels() {
        check(&encoded(300, 200, ImageFormat::Png), Ok((144, 144)));
        check(&encoded(10, 200, ImageFormat::Gif), Ok((10, 10)));
        check(&encoded(144, 145, ImageFormat::Bmp), Ok((144, 144)));
        check(&encoded(200, 200, ImageFormat::Jpeg), Ok((144, 144)));
        check(&encoded(1, 1, ImageFormat::Tiff), Ok((1, 1)));
    }

    #[test]
    fn what_is_clear_becomes_white_and_the_middle_stays() {
        let picture = DynamicImage::from(RgbaImage::from_fn(300, 100, |x, _| match x {
            100..200 => Rgba([255, 0, 0, 255]),
            _ => Rgba([0, 0, 255, 0]),
        }));
        let at = |picture: &DynamicImage| {
            let bytes = thumbnail(picture).expect("a thumbnail");
            image::load_from_memory(&bytes).expect("an image").to_rgb8().get_pixel(50, 50).0
        };
        let [red, green, blue] = at(&picture);
        assert!(red > 200 && green < 60 && blue < 60, "the middle third is all there is");
        let clear = DynamicImage::from(RgbaImage::from_pixel(100, 100, Rgba([0, 0, 0, 0])));
        assert!(at(&clear).iter().all(|color| *color > 250), "white");
    }

    #[test]
    fn what_is_no_image_is_refused_with_the_reason() {
        check("?", Err("the value is not base64"));
        let kinds = "gif, jpeg, tiff, bmp and png are taken";
        check(&STANDARD.encode("pixels"), Err(kinds));
        check(&STANDARD.encode(b"RIFF\x10\0\0\0WEBPVP8 "), Err(kinds));
        let small = sent(10);
        let large = read(&encoded(10, 10, ImageFormat::Png), &small);
        assert_eq!(large.err().as_deref(), Some("the image is larger than 0 KB"));
        let png = STANDARD.decode(encoded(10, 10, ImageFormat::Png)).expect("base64");
        let cut = STANDARD.encode(&png[..png.len() / 2]);
        let error = read(&cut, &sent(1_000_000)).err().expect("half an image is none");
        assert!(error.starts_with("the image cannot be read"), "{error}");
    }
}
