//! `$batch` bodies: multipart/mixed with HTTP requests, and the answers to them, both directions.
//!
//! In reading order: the parts as plain data, `multipart` (boundaries, delimiters, part heads), `read`,
//! `write`, `reference` (`$1` in JSON bodies). Nothing is copied while reading: parts borrow the body.
//! Not here: what a part asks for, which parts run, statuses.
//! Invariants: no bytes make a reader panic; what a writer made, its reader reads back as it was.
//! Source: bulk.md 5, clients.md 7.

mod multipart;
mod read;
mod reference;
mod write;

pub use read::{read, read_response};
pub use reference::resolve;
pub use write::{ResponseWriter, content_type, encode, response_content_type};

/// Operations of one batch, those in change sets included.
pub const OPERATIONS_MAX: usize = 1_000;
/// Characters of the address of one part.
pub const PART_URL_CHARACTERS_MAX: usize = 65_536;
/// Headers of a part, and headers of the request or answer in it.
pub const HEADERS_MAX: usize = 64;
/// Characters of a boundary. (MIME allows 70; some callers use more.)
pub const BOUNDARY_CHARACTERS_MAX: usize = 250;

/// A part of a batch: one request or answer, or a change set of them. Change sets do not nest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<T> {
    /// A request or answer of its own.
    One(T),
    /// A change set. Of requests: all or nothing. Of answers: one per request, or the one error.
    ChangeSet(Vec<T>),
}

/// One request of a batch.
///
/// Line ends around the body do not belong to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation<'a> {
    /// The name under which later operations of the change set and the answer refer to it.
    pub content_id: Option<&'a str>,
    /// The verb: ASCII letters.
    pub method: &'a str,
    /// Absolute URL, absolute path, path below the service root, or `$1…`; may hold raw spaces.
    pub target: &'a str,
    /// The request's own headers.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body; empty for none.
    pub body: &'a [u8],
}

/// One answer of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer<'a> {
    /// That of the request, when it had one.
    pub content_id: Option<&'a str>,
    /// The HTTP status.
    pub status: u16,
    /// Its reason phrase: letters and blanks; means nothing.
    pub reason: &'a str,
    /// The answer's own headers.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body; empty for none.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The first value of a header; the name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value)
    }
}

impl<T> Part<T> {
    /// What is in the part, in order.
    pub fn items(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::ChangeSet(several) => several,
        }
    }
}
