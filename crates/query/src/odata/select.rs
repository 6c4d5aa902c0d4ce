//! `$select`: which columns an answer shows.

use crate::Error;
use model::{ColumnIndex, ColumnKind, Table, TableKind, partition};

/// The columns that `$select` names, each once, in its order; none when it is absent or empty.
pub(super) fn parse(table: &Table, text: Option<&str>) -> Result<Option<Vec<ColumnIndex>>, Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let mut columns = Vec::new();
    for term in text.split(',').map(str::trim) {
        if term.is_empty() {
            return Err(Error::BadTerm { term: term.into() });
        }
        if term.contains('/') {
            return Err(Error::refused(format!("path `{term}` in $select")));
        }
        // The bare name of a lookup is tolerated beside `_name_value`.
        let column =
            table.index_of_value(term).or_else(|| table.index_of(term)).ok_or_else(|| {
                Error::UnknownColumn { table: table.logical_name.clone(), name: term.into() }
            })?;
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    Ok(Some(columns))
}

/// Those of the named columns that the table has.
pub(super) fn known(table: &Table, text: &str) -> Vec<ColumnIndex> {
    let terms = text.split(',').map(str::trim);
    terms.filter_map(|term| table.index_of_value(term).or_else(|| table.index_of(term))).collect()
}

/// What is shown: the selected columns, the currency beside money, and always the primary key (on
/// elastic tables version, partition, owner and owning business unit, too); or
/// every readable column.
pub(super) fn shown(table: &Table, select: Option<&[ColumnIndex]>) -> Vec<ColumnIndex> {
    let Some(select) = select else {
        return table
            .indexed_columns()
            .filter(|(index, column)| column.is_shown_unasked() || *index == table.primary_key)
            .map(|(index, _)| index)
            .collect();
    };
    let mut columns = select.to_vec();
    let money =
        columns.iter().any(|column| matches!(table.column(*column).kind, ColumnKind::Money { .. }));
    let always = match table.kind {
        TableKind::Standard => &[][..],
        TableKind::Elastic => {
            &["versionnumber", partition::PARTITION, "ownerid", "owningbusinessunit"][..]
        }
    };
    let always = always.iter().filter_map(|name| table.index_of(name));
    let currency = money.then(|| table.index_of("transactioncurrencyid")).flatten();
    for column in currency.into_iter().chain([table.primary_key]).chain(always) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}
