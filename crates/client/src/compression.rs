//! gzip and zstd around inputs and outputs.
//!
//! A name's last extension tells (`rows.csv.gz`, `rows.ndjson.zst`); an input whose name says nothing is told by its
//! first bytes. Not here: what is inside (`source`, `report`, `get`).
//! Invariant: memory does not depend on what is compressed; data that are cut off or damaged are an error that names
//! the input and the place, never a shorter input.

use crate::source::{Bytes, Error};
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{BufReader, BufWriter, Cursor, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip, perhaps in several members.
    Gzip,
    /// zstd, perhaps in several frames.
    Zstd,
}

/// The first bytes of each.
const MARKS: [(Compression, &[u8]); 2] =
    [(Compression::Gzip, &[0x1f, 0x8b]), (Compression::Zstd, &[0x28, 0xb5, 0x2f, 0xfd])];
/// What is remembered of a file that is gone on with, while it is copied.
const COPIED_BYTES: usize = 64 << 10;

impl Compression {
    /// The compression that a file name tells.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "gz" | "gzip" => Some(Self::Gzip),
            "zst" | "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn of_mark(start: &[u8]) -> Option<Self> {
        MARKS.iter().find(|(_, mark)| start.starts_with(mark)).map(|(this, _)| *this)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// A name without the extension of its compression.
pub fn plain_name(path: &Path) -> PathBuf {
    match Compression::of_path(path) {
        Some(_) => path.with_extension(""),
        None => path.to_owned(),
    }
}

/// The bytes that an input holds. `path` is its name; `-` is standard input.
pub fn unpacked(mut bytes: Bytes, path: &Path) -> Result<Bytes, Error> {
    let mut start = Vec::new();
    let longest = MARKS.iter().map(|(_, mark)| mark.len()).max().unwrap_or_default() as u64;
    let read = (&mut bytes).take(longest).read_to_end(&mut start);
    read.map_err(|err| Error::Read { line: 0, why: err.to_string() })?;
    let named = Compression::of_path(path);
    let marked = Compression::of_mark(&start);
    let name = match path.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => format!("`{}`", path.display()),
    };
    if let Some(named) = named
        && marked != Some(named)
    {
        let there = match (start.is_empty(), marked) {
            (true, _) => "it is empty".to_owned(),
            (_, Some(other)) => format!("it is {} data", other.word()),
            (_, None) => "it begins otherwise".to_owned(),
        };
        let why = format!("{name} is no {} data: {there}", named.word());
        return Err(Error::Read { line: 0, why });
    }
    let raw: Bytes = Box::new(Cursor::new(start).chain(bytes));
    let Some(compression) = marked else { return Ok(raw) };
    let raw = BufReader::new(Counting { inner: raw, read: 0 });
    let unreadable = |err: std::io::Error| Error::Read { line: 0, why: err.to_string() };
    let decoder = match compression {
        Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(raw))),
        Compression::Zstd => {
            let decoder = zstd::Decoder::with_buffer(raw).map_err(unreadable)?;
            Decoder::Zstd(Box::new(decoder))
        }
    };
    Ok(Box::new(Unpacking { decoder, name }))
}

type Raw = BufReader<Counting>;

enum Decoder {
    Gzip(Box<MultiGzDecoder<Raw>>),
    Zstd(Box<zstd::Decoder<'static, Raw>>),
}

impl Decoder {
    fn compression(&self) -> Compression {
        match self {
            Self::Gzip(_) => Compression::Gzip,
            Self::Zstd(_) => Compression::Zstd,
        }
    }

    /// How many compressed bytes were taken.
    fn taken(&self) -> u64 {
        let raw = match self {
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zstd(decoder) => decoder.get_ref(),
        };
        raw.get_ref().read.saturating_sub(raw.buffer().len() as u64)
    }
}

/// Says where data are bad, and of which input.
struct Unpacking {
    decoder: Decoder,
    name: String,
}

impl Read for Unpacking {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
        };
        read.map_err(|err| {
            // The medium's own failures have the system's number.
            if err.kind() == ErrorKind::Interrupted || err.raw_os_error().is_some() {
                return err;
            }
            let (name, word) = (&self.name, self.decoder.compression().word());
            let at = self.decoder.taken();
            let text = match err.kind() {
                ErrorKind::UnexpectedEof => {
                    format!("{name} is cut off: its {word} data end in the middle, after byte {at}")
                }
                _ => format!("{name} has damaged {word} data before byte {at}: {err}"),
            };
            std::io::Error::new(err.kind(), text)
        })
    }
}

struct Counting {
    inner: Bytes,
    read: u64,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

/// Where an output goes, compressed where its name says so. Whole only after [`Sink::finish`].
pub struct Sink(To);

enum To {
    Plain(Box<dyn Write + Send>),
    Gzip(Box<GzEncoder<Box<dyn Write + Send>>>),
    Zstd(Box<zstd::Encoder<'static, Box<dyn Write + Send>>>),
}

impl Sink {
    /// Writes to `out` as it is.
    pub fn plain(out: Box<dyn Write + Send>) -> Self {
        Self(To::Plain(out))
    }

    /// Writes to `out`, compressed as `path` says.
    pub fn over(out: Box<dyn Write + Send>, path: &Path) -> std::io::Result<Self> {
        Ok(Self(match Compression::of_path(path) {
            None => To::Plain(out),
            Some(Compression::Gzip) => {
                To::Gzip(Box::new(GzEncoder::new(out, flate2::Compression::default())))
            }
            Some(Compression::Zstd) => {
                let mut encoder = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                To::Zstd(Box::new(encoder))
            }
        }))
    }

    /// A new file.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        Self::over(Box::new(File::create(path)?), path)
    }

    /// A file to add to, and whether nothing is in it. A compressed one is written anew as far as it can be read:
    /// what was killed while it wrote has left an end that nothing can follow.
    pub fn append(path: &Path) -> std::io::Result<(Self, bool)> {
        let is_empty = |file: &File| file.metadata().map(|known| known.len() == 0);
        if Compression::of_path(path).is_none() {
            let file = File::options().create(true).append(true).open(path)?;
            let is_new = is_empty(&file)?;
            return Ok((Self::plain(Box::new(file)), is_new));
        }
        let old = match File::open(path) {
            Ok(old) if !is_empty(&old)? => old,
            Err(err) if err.kind() != ErrorKind::NotFound => return Err(err),
            _ => return Self::create(path).map(|sink| (sink, true)),
        };
        let old = unpacked(Box::new(old), path).map_err(std::io::Error::other)?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".part");
        let beside = PathBuf::from(beside);
        let mut sink = Self::over(Box::new(File::create(&beside)?), path)?;
        let copied = copy_lines(old, &mut sink)?;
        sink.flush()?;
        std::fs::rename(&beside, path)?;
        Ok((sink, copied == 0))
    }

    /// Writes the end.
    pub fn finish(self) -> std::io::Result<()> {
        let mut out = match self.0 {
            To::Plain(out) => out,
            To::Gzip(encoder) => encoder.finish()?,
            To::Zstd(encoder) => encoder.finish()?,
        };
        out.flush()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.0 {
            To::Plain(out) => out.write(bytes),
            To::Gzip(encoder) => encoder.write(bytes),
            To::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.0 {
            To::Plain(out) => out.flush(),
            To::Gzip(encoder) => encoder.flush(),
            To::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// Copies whole lines, as many as can be read.
fn copy_lines(mut from: Bytes, to: &mut impl Write) -> std::io::Result<u64> {
    let mut to = BufWriter::new(to);
    let (mut held, mut copied) = (Vec::new(), 0);
    let mut buffer = vec![0; COPIED_BYTES];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(err) if err.kind() == ErrorKind::Interrupted => continue,
            Err(err) if err.raw_os_error().is_some() => return Err(err),
            // Here it was killed.
            Err(_) => &[],
        };
        if read.is_empty() {
            to.flush()?;
            return Ok(copied);
        }
        held.extend_from_slice(read);
        if let Some(end) = held.iter().rposition(|byte| *byte == b'\n') {
            to.write_all(held.get(..=end).unwrap_or_default())?;
            copied += end as u64 + 1;
            held.drain(..=end);
        }
    }
}

#[cfg(test)]
mod tests;
