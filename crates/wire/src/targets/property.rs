//! What a JSON property of a record means for a table.
//!
//! Not here: its value. Invariant: names are case-sensitive, but for the navigation property of a
//! bind that fits exactly one regardless of case.

use model::{Catalog, ColumnIndex, ColumnKind, Table};

/// What a property of a record means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Property {
    /// An annotation, or the read form of a lookup: not looked at.
    Ignored,
    /// `@odata.type`
    Type,
    /// `@odata.id`
    Id,
    /// `@odata.etag`
    Etag,
    /// The primary key column.
    PrimaryKey,
    /// A column that is no lookup.
    Column(ColumnIndex),
    /// `x@odata.bind` of a lookup column; the place in the column's targets.
    Bind(ColumnIndex, usize),
    /// The bare navigation property of a lookup column.
    Navigation(ColumnIndex, usize),
    /// The bare name of a collection-valued navigation property.
    Collection,
    /// `x@odata.bind` of a collection-valued navigation property.
    CollectionBind,
    /// `x@odata.bind` of nothing.
    UnknownNavigation,
    /// Nothing.
    Unknown,
}

/// Finds out what a property means. Cost: one to three hash lookups.
pub(super) fn classify(name: &str, table: &Table, catalog: &Catalog) -> Property {
    if let Some((base, annotation)) = name.split_once('@') {
        return match (base, annotation) {
            ("", "odata.type") => Property::Type,
            ("", "odata.id") => Property::Id,
            ("", "odata.etag") => Property::Etag,
            (_, "odata.bind") if !base.is_empty() => bind(base, table, catalog),
            _ => Property::Ignored,
        };
    }
    if let Some(index) = table.index_of_value(name) {
        return match table.column(index).kind {
            ColumnKind::Lookup { .. } => Property::Ignored,
            _ if index == table.primary_key => Property::PrimaryKey,
            _ => Property::Column(index),
        };
    }
    if let Some((index, place)) = table.navigation(name) {
        return Property::Navigation(index, place);
    }
    if is_collection(name, table, catalog) { Property::Collection } else { Property::Unknown }
}

fn bind(base: &str, table: &Table, catalog: &Catalog) -> Property {
    if let Some((index, place)) = table.navigation(base).or_else(|| any_case(base, table)) {
        Property::Bind(index, place)
    } else if is_collection(base, table, catalog) {
        Property::CollectionBind
    } else {
        Property::UnknownNavigation
    }
}

/// The one navigation property that differs in case only.
fn any_case(base: &str, table: &Table) -> Option<(ColumnIndex, usize)> {
    let mut found: Option<&str> = None;
    for column in &table.columns {
        let ColumnKind::Lookup { targets, .. } = &column.kind else { continue };
        for target in targets {
            if target.navigation.eq_ignore_ascii_case(base) {
                match found {
                    Some(other) if other != &*target.navigation => return None,
                    _ => found = Some(&target.navigation),
                }
            }
        }
    }
    table.navigation(found?)
}

fn is_collection(name: &str, table: &Table, catalog: &Catalog) -> bool {
    catalog
        .referencing(&table.logical_name)
        .any(|relationship| &*relationship.referenced_navigation == name)
        || catalog.many_to_many_by_navigation(&table.logical_name, name).is_some()
}
