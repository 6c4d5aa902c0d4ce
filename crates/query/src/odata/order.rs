//! `$orderby`: sort keys, made total by the primary key. A lookup orders by the name of its record.

use super::{Options, limits};
use crate::scope::Scope;
use crate::{ColumnRef, Error, Order};
use model::{ColumnKind, Table, TableKind};

/// Ascending by primary key: the order when none is asked for.
///
/// On elastic tables the partition follows, because an id may be there once per partition.
pub(super) fn by_key(table: &Table) -> Vec<Order> {
    let mut order = vec![table.primary_key];
    order.extend(partition(table));
    order
        .into_iter()
        .map(|column| Order { column: ColumnRef::root(column), descending: false })
        .collect()
}

fn partition(table: &Table) -> Option<model::ColumnIndex> {
    (table.kind == TableKind::Elastic).then(|| table.index_of("partitionid")).flatten()
}

/// The sort keys; a column that stands twice counts where it stands first.
pub(super) fn parse(scope: &mut Scope, options: &Options) -> Result<Vec<Order>, Error> {
    let Some(text) = options.get("$orderby").filter(|text| !text.is_empty()) else {
        return Ok(by_key(&scope.table));
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
        let column = column(scope, name, &mut text_units)?;
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
    // Nothing after the primary key can still decide, but for the partition.
    let primary_key = ColumnRef::root(scope.table.primary_key);
    if let Some(place) = order.iter().position(|key| key.column == primary_key) {
        order.truncate(place + 1);
    }
    for key in by_key(&scope.table) {
        if !order.iter().any(|known| known.column == key.column) {
            order.push(key);
        }
    }
    Ok(order)
}

fn column(scope: &mut Scope, name: &str, text_units: &mut u32) -> Result<ColumnRef, Error> {
    let mut index = scope.path(name)?;
    if matches!(scope.column(index).kind, ColumnKind::Lookup { .. }) {
        index = scope.name_behind(index)?;
    }
    let what = match &scope.column(index).kind {
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
        ColumnKind::Image { .. } => "image",
        ColumnKind::Guid
        | ColumnKind::File { .. }
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
