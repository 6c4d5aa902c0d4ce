//! The page token: where a page ended, in the shape of the documented cookie.
//!
//! `<cookie pagenumber="2" pagingcookie="…" istracking="False" />`; the inner cookie, percent-encoded,
//! is `<cookie page="1" t="…"><accountid last="{…}" first="{…}" /></cookie>`. All that counts is in `t`:
//! base64url has no character that re-encoding, `+` for blanks, another case of hex digits or a slash
//! at the end could change. The token needs no state on any server.
//! Invariant: whatever text comes in, what comes out has one value of the right type per sort key.

#![warn(clippy::indexing_slicing, clippy::string_slice)]

use crate::scope::Scope;
use crate::{BoundQuery, Error, Order};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Column, ColumnKind, Date, DateTimeBehavior, Decimal, Timestamp, Uuid, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::str::FromStr;

/// First byte of every token: the layout of the rest.
const LAYOUT: u8 = 2;

/// What stands bare in a percent-encoded token.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'=');

/// Where a page ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SkipToken {
    /// Number of the page that is asked for.
    pub page: u32,
    /// The page size of the chain.
    pub size: u32,
    /// Which columns the rows are sorted by.
    pub order: Vec<Order>,
    /// The values of those columns in the last row.
    pub after: Vec<Value>,
    first_id: Uuid,
}

impl SkipToken {
    /// The token for the page after one that ended with this row.
    pub(crate) fn after_row(
        query: &BoundQuery,
        page_number: u32,
        key_place: usize,
        first: &[Value],
        last: &[Value],
    ) -> Option<Self> {
        let columns = &query.columns;
        let after = query.order.iter().map(|key| {
            let place = columns.iter().position(|column| *column == key.column)?;
            last.get(place).cloned()
        });
        Some(Self {
            page: page_number.saturating_add(1),
            size: query.paging.size,
            order: query.order.clone(),
            after: after.collect::<Option<_>>()?,
            first_id: first.get(key_place).and_then(Value::as_id)?,
        })
    }

    /// The token as the value of a URL option, percent-encoded.
    pub fn encode(&self, query: &BoundQuery) -> String {
        let inner = utf8_percent_encode(&self.inner(query), ENCODED).to_string();
        utf8_percent_encode(&outer(self.page, &inner), ENCODED).to_string()
    }

    /// The token as the annotation of a page of FetchXML: the inner cookie percent-encoded twice.
    pub(crate) fn annotation(&self, query: &BoundQuery) -> String {
        let once = utf8_percent_encode(&self.inner(query), ENCODED).to_string();
        outer(self.page, &utf8_percent_encode(&once, ENCODED).to_string())
    }

    /// The inner cookie: the page just served and what its last row was.
    fn inner(&self, query: &BoundQuery) -> String {
        let key = self.order.iter().position(|order| {
            order.column.source == 0 && order.column.column == query.table.primary_key
        });
        let last = key.and_then(|place| self.after.get(place)).and_then(Value::as_id);
        format!(
            "<cookie page=\"{}\" t=\"{}\"><{key} last=\"{{{}}}\" first=\"{{{}}}\" /></cookie>",
            self.page.saturating_sub(1),
            URL_SAFE_NO_PAD.encode(self.bytes(query)),
            last.unwrap_or(self.first_id),
            self.first_id,
            key = query.table.primary_key_name(),
        )
    }

    /// Reads a token, decoded as an option is, for a query with these tables and order.
    pub(crate) fn decode(scope: &Scope, order: &[Order], text: &str) -> Result<Self, Error> {
        let page = attribute(text, "pagenumber=\"").and_then(|page| page.parse().ok());
        let token = page.filter(|page| *page > 1).and_then(|page| {
            Self::read(scope, order, text).ok().map(|token| Self { page, ..token })
        });
        token.ok_or(Error::BadSkipToken)
    }

    /// Reads an inner cookie for a query with these tables and order.
    pub(crate) fn of_cookie(scope: &Scope, order: &[Order], text: &str) -> Result<Self, Unfit> {
        Self::read(scope, order, text)
    }

    fn read(scope: &Scope, order: &[Order], text: &str) -> Result<Self, Unfit> {
        let (page, payload) = payload(text).ok_or(Unfit::Malformed)?;
        let mut reader = Reader { rest: &payload };
        let this = reader.token(scope, order).ok_or(Unfit::Malformed)??;
        reader.rest.is_empty().then_some(Self { page, ..this }).ok_or(Unfit::Malformed)
    }

    fn bytes(&self, query: &BoundQuery) -> Vec<u8> {
        let mut bytes = vec![LAYOUT];
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.first_id.as_bytes());
        bytes.extend(query.table.id.0.to_le_bytes());
        bytes.push(u8::try_from(self.order.len()).expect("a query has few sort keys"));
        for (key, value) in self.order.iter().zip(&self.after) {
            bytes.extend(u32::from(key.column.source).to_le_bytes());
            bytes.extend(query.column(key.column).id.0.to_le_bytes());
            bytes.push(u8::from(key.descending));
            write_value(&mut bytes, value);
        }
        bytes
    }
}

/// Which page of groups is wanted: they are told apart by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupToken {
    /// Number of the page that is asked for, from 2.
    pub(crate) page: u32,
    /// The page size of the chain.
    pub(crate) size: u32,
}

impl GroupToken {
    /// The token as the value of a URL option, percent-encoded.
    pub(crate) fn encode(self) -> String {
        let before = self.page.saturating_sub(1);
        let inner = format!("<cookie page=\"{before}\" s=\"{}\"></cookie>", self.size);
        let inner = utf8_percent_encode(&inner, ENCODED).to_string();
        utf8_percent_encode(&outer(self.page, &inner), ENCODED).to_string()
    }

    /// Reads a token, decoded as an option is.
    pub(crate) fn decode(text: &str) -> Result<Self, Error> {
        let mut text = text.to_owned();
        for _ in 0..4 {
            if let Some(size) = attribute(&text, " s=\"") {
                let page = attribute(&text, "pagenumber=\"").and_then(|page| page.parse().ok());
                let size = size.parse().ok().filter(|size| *size > 0);
                let both = page.filter(|page| *page > 1).zip(size);
                return both.map(|(page, size)| Self { page, size }).ok_or(Error::BadSkipToken);
            }
            let decoded = percent_decode_str(&text).decode_utf8();
            text = decoded.map_err(|_| Error::BadSkipToken)?.into_owned();
        }
        Err(Error::BadSkipToken)
    }
}

/// Why a cookie cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It was not made by this service.
    Malformed,
    /// It belongs to a query with another order or of another table.
    OtherOrder,
}

/// The cookie around an inner one that is encoded already; nothing stands for none.
pub(crate) fn outer(page: u32, inner: &str) -> String {
    format!("<cookie pagenumber=\"{page}\" pagingcookie=\"{inner}\" istracking=\"False\" />")
}

/// The number of the next page and the payload of an inner cookie, which may be percent-encoded: a caller
/// may have encoded or decoded once more.
fn payload(text: &str) -> Option<(u32, Vec<u8>)> {
    let mut inner = text.to_owned();
    for _ in 0..4 {
        if let Some(payload) = attribute(&inner, " t=\"") {
            let page: u32 = attribute(&inner, "cookie page=\"")?.parse().ok()?;
            return Some((page.checked_add(1)?, URL_SAFE_NO_PAD.decode(payload).ok()?));
        }
        inner = percent_decode_str(&inner).decode_utf8().ok()?.into_owned();
    }
    None
}

/// The text between this opening and the next quote.
fn attribute<'a>(text: &'a str, opening: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(opening)?;
    rest.split_once('"').map(|(value, _)| value)
}

fn write_value(bytes: &mut Vec<u8>, value: &Value) {
    let mut tagged = |tag: u8, payload: &[u8]| {
        bytes.push(tag);
        bytes.extend(payload);
    };
    match value {
        Value::Text(text) => tagged(1, &sized(text)),
        Value::Integer(number) => tagged(2, &number.to_le_bytes()),
        Value::BigInt(number) => tagged(3, &number.to_le_bytes()),
        Value::Decimal(number) => tagged(4, &sized(&number.to_string())),
        Value::Double(number) => tagged(5, &number.to_bits().to_le_bytes()),
        Value::Boolean(yes) => tagged(6, &[u8::from(*yes)]),
        Value::DateTime(at) => tagged(7, &at.0.to_le_bytes()),
        Value::Date(day) => tagged(8, &day.0.to_le_bytes()),
        Value::Guid(id) => tagged(9, id.as_bytes()),
        // Lookups and lists are no sort keys; nothing stands for null.
        Value::Null | Value::Lookup(_) | Value::Choices(_) => tagged(0, &[]),
    }
}

fn sized(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a text column is far below 4 GB");
    [&length.to_le_bytes(), text.as_bytes()].concat()
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// Everything but the page's number. None: it cannot be read.
    fn token(&mut self, scope: &Scope, order: &[Order]) -> Option<Result<SkipToken, Unfit>> {
        let (layout, size, first_id) = (self.byte()?, self.number()?, self.guid()?);
        if layout != LAYOUT {
            return None;
        }
        let same = self.number()? == scope.table.id.0 && usize::from(self.byte()?) == order.len();
        if !same {
            return Some(Err(Unfit::OtherOrder));
        }
        let mut after = Vec::with_capacity(order.len());
        for key in order {
            let column = scope.column(key.column);
            let same = self.number()? == u32::from(key.column.source)
                && self.number()? == column.id.0
                && self.byte()? == u8::from(key.descending);
            if !same {
                return Some(Err(Unfit::OtherOrder));
            }
            after.push(self.value(column)?);
        }
        Some(Ok(SkipToken { page: 0, size, order: order.to_vec(), after, first_id }))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn guid(&mut self) -> Option<Uuid> {
        self.array().map(Uuid::from_bytes)
    }

    fn text(&mut self) -> Option<&str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        std::str::from_utf8(head).ok()
    }

    /// A value that the column can hold.
    fn value(&mut self, column: &Column) -> Option<Value> {
        let tag = self.byte()?;
        Some(match (tag, &column.kind) {
            (0, _) => Value::Null,
            (1, ColumnKind::Text { .. } | ColumnKind::TableName) => {
                match Value::text(self.text()?) {
                    Value::Null => return None,
                    text => text,
                }
            }
            (
                2,
                ColumnKind::Integer { .. }
                | ColumnKind::Choice { .. }
                | ColumnKind::State { .. }
                | ColumnKind::Status { .. },
            ) => Value::Integer(self.array().map(i32::from_le_bytes)?),
            (3, ColumnKind::BigInt) => Value::BigInt(self.array().map(i64::from_le_bytes)?),
            (
                4,
                ColumnKind::Decimal { precision, min, max }
                | ColumnKind::Money { precision, min, max },
            ) => {
                let number = Decimal::from_str(self.text()?).ok()?;
                let held = (*min..=*max).contains(&number)
                    && number.normalize().scale() <= u32::from(*precision);
                Value::Decimal(held.then_some(number)?)
            }
            (5, ColumnKind::Double { .. }) => {
                let number = self.array().map(|bits| f64::from_bits(u64::from_le_bytes(bits)))?;
                Value::Double(number.is_finite().then_some(number)?)
            }
            (6, ColumnKind::Boolean { .. }) => Value::Boolean(match self.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            }),
            (7, ColumnKind::DateTime { behavior, .. })
                if *behavior != DateTimeBehavior::DateOnly =>
            {
                let at = Timestamp(self.array().map(i64::from_le_bytes)?);
                Value::DateTime((Timestamp::MIN..=Timestamp::MAX).contains(&at).then_some(at)?)
            }
            (8, ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, .. }) => {
                let day = Date(self.array().map(i32::from_le_bytes)?);
                let range = Timestamp::MIN.date()..=Timestamp::MAX.date();
                Value::Date(range.contains(&day).then_some(day)?)
            }
            (9, ColumnKind::Guid | ColumnKind::File { .. }) => Value::Guid(self.guid()?),
            _ => return None,
        })
    }
}
