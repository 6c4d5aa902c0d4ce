//! Columns, made the short way: what system tables, system columns and companions are built from.
//!
//! Not here: what a caller asks for ([`super::plan`] turns that into columns).

use model::{
    ChoiceOption, Column, ColumnId, ColumnIndex, ColumnKind, Computed, DateTimeBehavior, Decimal,
    Label, LookupKind, LookupTarget, RequiredLevel, TextFormat, Uuid,
};

pub(crate) use model::derived_id;

/// A column that callers may read and write; number and ids are given when it joins a table.
pub(crate) fn column(schema_name: &str, display_name: &str, kind: ColumnKind) -> Column {
    Column {
        id: ColumnId(0),
        metadata_id: Uuid::nil(),
        logical_name: schema_name.to_lowercase().into(),
        schema_name: schema_name.into(),
        display_name: Label::english(display_name),
        description: Label::default(),
        kind,
        required: RequiredLevel::None,
        computed: None,
        is_custom: false,
        is_indexed: false,
        valid_for_create: true,
        valid_for_update: true,
        valid_for_read: true,
        settings: model::ColumnSettings::default(),
    }
}

/// The same, but callers may only read it.
pub(crate) fn read_only(schema_name: &str, display_name: &str, kind: ColumnKind) -> Column {
    Column {
        valid_for_create: false,
        valid_for_update: false,
        ..column(schema_name, display_name, kind)
    }
}

/// A read-only column that is not stored.
pub(crate) fn computed(
    schema_name: &str,
    display_name: &str,
    kind: ColumnKind,
    from: Computed,
) -> Column {
    Column { computed: Some(from), ..read_only(schema_name, display_name, kind) }
}

pub(crate) fn text(max_length: u32) -> ColumnKind {
    ColumnKind::Text { max_length, format: TextFormat::Text }
}

pub(crate) fn memo(max_length: u32) -> ColumnKind {
    ColumnKind::Memo { max_length, json: false }
}

pub(crate) fn integer() -> ColumnKind {
    ColumnKind::Integer { min: i32::MIN, max: i32::MAX }
}

pub(crate) fn decimal(precision: u8) -> ColumnKind {
    let limit = Decimal::from(100_000_000_000_i64);
    // At ten digits the range that a scaled 64-bit integer holds is smaller.
    let limit = if precision > 7 { Decimal::from(100_000_000_i64) } else { limit };
    ColumnKind::Decimal { precision, min: -limit, max: limit }
}

pub(crate) fn double() -> ColumnKind {
    ColumnKind::Double { precision: 5, min: -100_000_000_000.0, max: 100_000_000_000.0 }
}

pub(crate) fn money() -> ColumnKind {
    let limit = Decimal::from(922_337_203_685_477_i64);
    ColumnKind::Money { precision: 2, min: -limit, max: limit }
}

pub(crate) fn boolean(default: bool) -> ColumnKind {
    ColumnKind::Boolean {
        default,
        true_label: Label::english("Yes"),
        false_label: Label::english("No"),
    }
}

pub(crate) fn date_time() -> ColumnKind {
    ColumnKind::DateTime { behavior: DateTimeBehavior::UserLocal, with_time: true }
}

pub(crate) fn date_only() -> ColumnKind {
    ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, with_time: false }
}

/// Options of a choice, numbered as given.
pub(crate) fn options(options: &[(i32, &str)]) -> Vec<ChoiceOption> {
    options.iter().map(|(value, label)| option(*value, label)).collect()
}

fn option(value: i32, label: &str) -> ChoiceOption {
    ChoiceOption { value, label: Label::english(label), ..ChoiceOption::default() }
}

pub(crate) fn choice(of: &[(i32, &str)]) -> ColumnKind {
    ColumnKind::Choice { options: options(of), default: None }
}

/// States: value, label, default status.
pub(crate) fn state(of: &[(i32, &str, i32)]) -> ColumnKind {
    let options = of
        .iter()
        .map(|(value, label, status)| ChoiceOption {
            default_status: Some(*status),
            ..option(*value, label)
        })
        .collect();
    ColumnKind::State { options }
}

/// Statuses: value, label, state.
pub(crate) fn status(of: &[(i32, &str, i32)]) -> ColumnKind {
    let options = of
        .iter()
        .map(|(value, label, state)| ChoiceOption { state: Some(*state), ..option(*value, label) })
        .collect();
    ColumnKind::Status { options }
}

/// A lookup: target tables with the navigation property that a writer uses for each.
pub(crate) fn lookup(kind: LookupKind, targets: &[(&str, &str)]) -> ColumnKind {
    let targets = targets
        .iter()
        .map(|(table, navigation)| LookupTarget {
            table: (*table).into(),
            navigation: (*navigation).into(),
        })
        .collect();
    ColumnKind::Lookup { kind, targets }
}

/// Adds a column to a table's columns: gives its number, its derived id and its place.
pub(crate) fn push(columns: &mut Vec<Column>, table: &str, mut column: Column) -> ColumnIndex {
    let place = u16::try_from(columns.len()).expect("at most 1,000 columns");
    let number = columns.iter().map(|column| column.id.0).max().unwrap_or(0) + 1;
    column.id = ColumnId(number);
    if column.metadata_id.is_nil() {
        column.metadata_id = derived_id(&format!("column {table} {}", column.logical_name));
    }
    columns.push(column);
    ColumnIndex(place)
}
