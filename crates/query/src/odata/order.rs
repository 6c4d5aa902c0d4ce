//! `$orderby`: sort keys, made total by the primary key.

use super::{Options, limits};
use crate::{ColumnRef, Error, Order};
use model::{ColumnKind, Table, partition};

/// Ascending by primary key: the order when none is asked for. Records of an elastic table may share
/// one: their partition comes after it.
pub(super) fn by_key(table: &Table) -> Vec<Order> {
    let columns = [Some(table.primary_key), partition::column(table)];
    let order = |column| Order { column: ColumnRef { column }, descending: false };
    columns.into_iter().flatten().map(order).collect()
}

/// The sort keys; a column that stands twice counts where it stands first.
pub(super) fn parse(table: &Table, options: &Options) -> Result<Vec<Order>, Error> {
    let Some(text) = options.get("$orderby").filter(|text| !text.is_empty()) else {
        return Ok(by_key(table));
    };
    let mut order: Vec<Order> = Vec::new();
    let mut text_units = 0u32;
    for item in text.split(',') {
        let mut words = item.split_whitespace();
        let name = words.next().ok_or_else(|| bad(text))?;
        let descending = match words.next() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(bad(text)),
        };
        if words.next().is_some() {
            return Err(bad(text));
        }
        let name = match name.starts_with('@') {
            true => options.get(name).map(str::trim).ok_or_else(|| bad(text))?,
            false => name,
        };
        let column = ColumnRef { column: column(table, name, &mut text_units)? };
        if !order.iter().any(|known| known.column == column) {
            order.push(Order { column, descending });
        }
        if order.len() > limits::ORDER_KEYS_MAX {
            return Err(Error::refused(format!(
                "$orderby with more than {} columns",
                limits::ORDER_KEYS_MAX
            )));
        }
    }
    // Nothing after the primary key can still decide, but for the partition of an elastic record.
    if let Some(place) = order.iter().position(|key| key.column.column == table.primary_key) {
        order.truncate(place + 1);
    }
    for key in by_key(table) {
        if !order.iter().any(|known| known.column == key.column) {
            order.push(key);
        }
    }
    Ok(order)
}

fn column(table: &Table, name: &str, text_units: &mut u32) -> Result<model::ColumnIndex, Error> {
    if name.contains('/') {
        return Err(Error::refused(format!("navigation path `{name}` in $orderby")));
    }
    let index = table.index_of_value(name).ok_or_else(|| Error::UnknownColumn {
        table: table.logical_name.clone(),
        name: name.into(),
    })?;
    let what = match &table.column(index).kind {
        ColumnKind::Lookup { .. } => "lookup",
        ColumnKind::MultiChoice { .. } => "multi-select choice",
        ColumnKind::Memo { .. } => "memo",
        ColumnKind::Text { max_length, .. } => {
            *text_units = text_units.saturating_add(*max_length);
            if *text_units > limits::ORDER_TEXT_UNITS_MAX {
                return Err(Error::refused(format!(
                    "ordering by text columns that hold more than {} characters together",
                    limits::ORDER_TEXT_UNITS_MAX
                )));
            }
            return Ok(index);
        }
        ColumnKind::Guid
        | ColumnKind::Integer { .. }
        | ColumnKind::BigInt
        | ColumnKind::Decimal { .. }
        | ColumnKind::Double { .. }
        | ColumnKind::Money { .. }
        | ColumnKind::Boolean { .. }
        | ColumnKind::DateTime { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. }
        | ColumnKind::TableName => return Ok(index),
    };
    Err(Error::refused(format!("{what} column `{name}` in $orderby")))
}

fn bad(text: &str) -> Error {
    Error::BadOption { name: "$orderby".into(), value: text.into() }
}
