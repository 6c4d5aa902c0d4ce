//! References to records: `accounts(…)` in `@odata.bind`, `@odata.id` and URLs.
//!
//! Not here: the rest of a URL. Percent escapes: [`parse`] undoes them itself, [`parse_key`] expects
//! that the caller has done so; both undo them before quotes are looked at. Written keys are escaped.

use crate::error::{Error, Result, cut};
use crate::literal;
use model::{
    Catalog, ColumnIndex, ColumnKind, KeyValue, LookupValue, Table, TargetKey, Uuid, Value,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt::Write as _;
use std::sync::Arc;

/// What is escaped inside a quoted key text.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@').remove(b'!');

/// Reads a reference: `accounts(…)`, with a leading `/`, `/api/data/v9.2/` or a whole URL before it.
///
/// Errors: [`Error::UnknownSet`], [`Error::BadReference`], and those of [`parse_key`].
pub fn parse(text: &str, catalog: &Catalog) -> Result<(Arc<Table>, TargetKey)> {
    let bad = || Error::BadReference { index: None, text: cut(text) };
    let decoded = percent_decode_str(text.trim()).decode_utf8().map_err(|_| bad())?;
    let (path, rest) = decoded.split_once('(').ok_or_else(bad)?;
    let inside = rest.strip_suffix(')').ok_or_else(bad)?;
    let (base, set) = match path.rsplit_once('/') {
        Some((base, set)) => (base, set),
        None => ("", path),
    };
    if !is_service_root(base) || set.is_empty() {
        return Err(bad());
    }
    let table = catalog
        .table_of_set(set)
        .ok_or_else(|| Error::UnknownSet { index: None, segment: cut(set) })?;
    let key = parse_key(inside, table, catalog)?;
    Ok((Arc::clone(table), key))
}

/// Reads what stands between the parentheses of a record's address; percent escapes are undone
/// already.
///
/// Errors: [`Error::UndefinedKey`], or [`Error::BadLiteral`] for a value of the wrong type.
pub fn parse_key(inside: &str, table: &Table, catalog: &Catalog) -> Result<TargetKey> {
    let inside = inside.trim();
    if let Some(id) = literal::guid(unquoted(inside)) {
        return Ok(TargetKey::Id(id));
    }
    let undefined = || Error::UndefinedKey { index: None, table: table.logical_name.clone() };
    let mut columns = Vec::new();
    let mut literals = Vec::new();
    for part in split_outside_quotes(inside) {
        let (name, text) = part.split_once('=').ok_or_else(undefined)?;
        let column = key_column(table, name.trim()).ok_or_else(undefined)?;
        if columns.contains(&column) {
            return Err(undefined());
        }
        columns.push(column);
        literals.push(text.trim());
    }
    if let ([column], [text]) = (columns.as_slice(), literals.as_slice())
        && *column == table.primary_key
    {
        let id = literal::guid(unquoted(text));
        return id.map(TargetKey::Id).ok_or_else(|| bad_literal(table, *column, text));
    }
    let key = table.key_over(&columns).ok_or_else(undefined)?;
    let mut values = Vec::with_capacity(columns.len());
    for wanted in &table.key(key).columns {
        let given = columns.iter().zip(&literals).find(|(column, _)| *column == wanted);
        let (column, text) = given.ok_or_else(undefined)?;
        values.push(key_value(table, catalog, *column, text)?);
    }
    Ok(TargetKey::Alternate(KeyValue { key, values: values.into() }))
}

/// Writes what stands between the parentheses, percent-escaped; nothing for [`TargetKey::None`].
pub fn write_key(out: &mut String, table: &Table, key: &TargetKey) {
    match key {
        TargetKey::None => {}
        TargetKey::Id(id) => push_id(out, *id),
        TargetKey::Alternate(key) => {
            let columns = &table.key(key.key).columns;
            for (place, (column, value)) in columns.iter().zip(&key.values).enumerate() {
                if place > 0 {
                    out.push(',');
                }
                out.push_str(table.value_name(*column));
                out.push('=');
                push_literal(out, value);
            }
        }
    }
}

/// Writes `accounts(…)`.
pub fn write(out: &mut String, table: &Table, key: &TargetKey) {
    out.push_str(&table.entity_set_name);
    out.push('(');
    write_key(out, table, key);
    out.push(')');
}

fn push_id(out: &mut String, id: Uuid) {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    out.push_str(id.as_hyphenated().encode_lower(&mut buffer));
}

fn push_literal(out: &mut String, value: &Value) {
    let printed = match value {
        Value::Text(text) => {
            let doubled = text.replace('\'', "''");
            // Quotes stay readable; they are legal in a path.
            write!(out, "'{}'", utf8_percent_encode(&doubled, ESCAPED_BUT_QUOTES))
        }
        Value::Guid(id) | Value::Lookup(LookupValue { id, .. }) => {
            push_id(out, *id);
            Ok(())
        }
        Value::Integer(value) => write!(out, "{value}"),
        Value::BigInt(value) => write!(out, "{value}"),
        Value::Decimal(value) => write!(out, "{value}"),
        Value::Double(value) => write!(out, "{value}"),
        Value::Boolean(value) => write!(out, "{value}"),
        Value::DateTime(at) => write!(out, "{}", utf8_percent_encode(&at.to_string(), ESCAPED)),
        Value::Date(day) => write!(out, "{day}"),
        // Neither can be in a key; `null` makes such a reference unreadable instead of wrong.
        Value::Null | Value::Choices(_) => write!(out, "null"),
    };
    printed.expect("text always fits a growing buffer");
}

/// As [`ESCAPED`], but quotes stay.
const ESCAPED_BUT_QUOTES: &AsciiSet = &ESCAPED.remove(b'\'');

/// Nothing, `/api/data/v9.2`, or that after a scheme and a host.
fn is_service_root(base: &str) -> bool {
    let path = match base.split_once("://") {
        Some((scheme, rest)) => {
            if !matches!(scheme, "http" | "https" | "HTTP" | "HTTPS") {
                return false;
            }
            match rest.split_once('/') {
                Some((host, path)) if !host.is_empty() => path,
                _ => return false,
            }
        }
        None => match base.trim_start_matches('/') {
            "" => return true,
            path => path,
        },
    };
    // A service may live below a path of its own; what counts is `api/data/vN.N` at the end.
    let mut segments = path.rsplit('/');
    let version = segments.next().and_then(|segment| segment.strip_prefix('v'));
    version.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    }) && segments.next() == Some("data")
        && segments.next() == Some("api")
}

/// The column that a key names. Both spellings of the partition column are in use.
fn key_column(table: &Table, name: &str) -> Option<ColumnIndex> {
    let name = if name == "partitionId" { "partitionid" } else { name };
    table.index_of_value(name)
}

fn key_value(table: &Table, catalog: &Catalog, column: ColumnIndex, text: &str) -> Result<Value> {
    let kind = &table.column(column).kind;
    let quoted = text.starts_with('\'');
    let plain = unquoted(text);
    let value = match kind {
        ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::TableName => {
            quoted.then(|| unescaped(text)).flatten().map(Value::text)
        }
        ColumnKind::Guid => literal::guid(plain).map(Value::Guid),
        ColumnKind::Lookup { targets, .. } => match targets.as_slice() {
            [target] => literal::guid(plain).and_then(|id| {
                let table = catalog.table(&target.table)?.id;
                Some(Value::Lookup(LookupValue { table, id }))
            }),
            _ => {
                return Err(Error::Unsupported {
                    what: format!(
                        "a key with the lookup `{}`, which points to several tables",
                        table.column(column).logical_name
                    ),
                });
            }
        },
        ColumnKind::DateTime { behavior, .. } => literal::date_time(*behavior, plain),
        ColumnKind::Boolean { .. } => match text {
            "true" => Some(Value::Boolean(true)),
            "false" => Some(Value::Boolean(false)),
            _ => None,
        },
        ColumnKind::MultiChoice { .. } | ColumnKind::File { .. } | ColumnKind::Image { .. } => None,
        ColumnKind::Integer { .. }
        | ColumnKind::BigInt
        | ColumnKind::Decimal { .. }
        | ColumnKind::Double { .. }
        | ColumnKind::Money { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => {
            let numeric = |byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
            if text.bytes().all(numeric) { literal::from_number(kind, text) } else { None }
        }
    };
    value.filter(|value| !value.is_null()).ok_or_else(|| bad_literal(table, column, text))
}

fn bad_literal(table: &Table, column: ColumnIndex, text: &str) -> Error {
    Error::BadLiteral {
        index: None,
        property: table.value_name(column).to_owned(),
        literal: cut(unquoted(text)),
        edm_type: table.column(column).kind.edm_type(),
    }
}

/// The text between single quotes, doubled quotes made single.
fn unescaped(text: &str) -> Option<String> {
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let single = inner.replace("''", "\0");
    // A quote that is left over was not doubled; U+0000 cannot be stored and is refused with it.
    if single.contains('\'') || inner.contains('\0') {
        return None;
    }
    Some(single.replace('\0', "'"))
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(text)
}

/// Splits at commas that are not between single quotes.
fn split_outside_quotes(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |character| {
        if character == '\'' {
            quoted = !quoted;
        }
        character == ',' && !quoted
    })
}
