//! From targets to the bytes of a body, for clients.
//!
//! Not here: which columns to send. Invariant: what is written decodes to the same targets against
//! the same catalog.

use crate::error::{Error, Result};
use crate::{etag, json, reference};
use model::{
    Catalog, Column, ColumnIndex, ColumnKind, LookupValue, MessageName, Table, Target, TargetKey,
    Value,
};

/// Appends the body of a bulk action.
///
/// `@odata.id` is written for alternate keys, `@odata.etag` for expected versions.
///
/// Errors: [`Error::NotEncodable`] when a lookup points to a table that is not in `catalog` or that
/// the column does not name; `out` then holds a part of the body.
pub fn encode(
    out: &mut Vec<u8>,
    table: &Table,
    catalog: &Catalog,
    message: MessageName,
    targets: &[Target],
) -> Result<()> {
    if !message.is_bulk() {
        return Err(Error::NotEncodable { why: format!("{message} has no list of targets") });
    }
    out.extend_from_slice(b"{\"Targets\":[");
    for (index, target) in targets.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"@odata.type\":\"Microsoft.Dynamics.CRM.");
        out.extend_from_slice(table.logical_name.as_bytes());
        out.push(b'"');
        if let TargetKey::Alternate(_) = target.key {
            let mut key = String::new();
            reference::write(&mut key, table, &target.key);
            out.extend_from_slice(b",\"@odata.id\":");
            json::text(out, &key);
        }
        if let Some(version) = target.expected_version {
            out.extend_from_slice(b",\"@odata.etag\":");
            json::text(out, &etag::write_for(table.kind, version));
        }
        members(out, table, catalog, target)?;
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    Ok(())
}

/// Appends the body of a single create or update.
///
/// An alternate key and an expected version are not written: they belong to the URL and the head.
pub fn encode_record(
    out: &mut Vec<u8>,
    table: &Table,
    catalog: &Catalog,
    target: &Target,
) -> Result<()> {
    out.push(b'{');
    members(out, table, catalog, target)?;
    out.push(b'}');
    Ok(())
}

fn members(out: &mut Vec<u8>, table: &Table, catalog: &Catalog, target: &Target) -> Result<()> {
    if let TargetKey::Id(id) = target.key {
        json::comma(out);
        json::name(out, table.primary_key_name());
        json::guid(out, id);
    }
    for cell in &target.cells {
        json::comma(out);
        let column = table.column(cell.column);
        match (&column.kind, &cell.value) {
            (ColumnKind::Lookup { .. }, Value::Lookup(lookup)) => {
                let LookupValue { table: pointed, id } = *lookup;
                let pointed = catalog.table_by_id(pointed).ok_or_else(|| unknown_table(column))?;
                bind(out, table, cell.column, pointed, &TargetKey::Id(id))?;
            }
            (ColumnKind::Lookup { targets, .. }, Value::Null) => {
                let navigation = targets.first().map(|target| &*target.navigation);
                json::name(out, &bind_name(navigation.ok_or_else(|| unknown_table(column))?));
                out.extend_from_slice(b"null");
            }
            (ColumnKind::Lookup { .. }, _) => return Err(unknown_table(column)),
            (kind, value) => {
                json::name(out, &column.logical_name);
                json::value(out, kind, value);
            }
        }
    }
    for given in &target.binds {
        json::comma(out);
        let key = TargetKey::Alternate(given.key.clone());
        bind(out, table, given.column, &given.table, &key)?;
    }
    Ok(())
}

fn bind(
    out: &mut Vec<u8>,
    table: &Table,
    column: ColumnIndex,
    pointed: &Table,
    key: &TargetKey,
) -> Result<()> {
    let column = table.column(column);
    let ColumnKind::Lookup { targets, .. } = &column.kind else {
        return Err(unknown_table(column));
    };
    let navigation = targets
        .iter()
        .find(|target| target.table == pointed.logical_name)
        .map(|target| &*target.navigation)
        .ok_or_else(|| unknown_table(column))?;
    json::name(out, &bind_name(navigation));
    let mut text = String::new();
    reference::write(&mut text, pointed, key);
    json::text(out, &text);
    Ok(())
}

fn bind_name(navigation: &str) -> String {
    format!("{navigation}@odata.bind")
}

fn unknown_table(column: &Column) -> Error {
    Error::NotEncodable {
        why: format!("lookup `{}` points to a table that is not known", column.logical_name),
    }
}
