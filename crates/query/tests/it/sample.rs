//! One table with a column of every kind and a tree of its rows; users and members of teams.

use model::{
    AlternateKey, Cascade, Catalog, ChoiceOption, Column, ColumnId, ColumnIndex, ColumnKind,
    DateTimeBehavior, Decimal, DeleteAction, Label, LookupKind, LookupTarget, OneToMany, Ownership,
    RequiredLevel, Table, TableDefinition, TableId, TableKind, TextFormat, Timestamp, Uuid,
};
use query::odata::Options;
use query::{Context, Settings};
use std::sync::Arc;

fn column(number: u32, name: &str, kind: ColumnKind) -> Column {
    Column {
        id: ColumnId(number),
        metadata_id: Uuid::from_u128(0xC0_0000 + u128::from(number)),
        logical_name: name.into(),
        schema_name: name.into(),
        display_name: Label::english(name),
        description: Label::default(),
        kind,
        required: RequiredLevel::None,
        computed: None,
        is_custom: true,
        is_indexed: false,
        valid_for_create: true,
        valid_for_update: true,
        valid_for_read: true,
        settings: model::ColumnSettings::default(),
    }
}

fn choices() -> Vec<ChoiceOption> {
    let option = |value: i32| ChoiceOption {
        value,
        label: Label::english(format!("option {value}")),
        state: None,
        default_status: None,
        ..ChoiceOption::default()
    };
    vec![option(1), option(2), option(3)]
}

fn columns() -> Vec<Column> {
    let money = |name: &str, number| {
        let (min, max) = (Decimal::from(-1_000_000), Decimal::from(1_000_000));
        column(number, name, ColumnKind::Money { precision: 2, min, max })
    };
    let decimal = |name: &str, number| {
        let (min, max) = (Decimal::from(-100_000), Decimal::from(100_000));
        column(number, name, ColumnKind::Decimal { precision: 2, min, max })
    };
    let text = |name: &str, number, max_length| {
        column(number, name, ColumnKind::Text { max_length, format: TextFormat::Text })
    };
    let date = |name: &str, number, behavior| {
        column(number, name, ColumnKind::DateTime { behavior, with_time: true })
    };
    let lookup = |name: &str, number, target: &str| {
        let targets = vec![LookupTarget { table: target.into(), navigation: name.into() }];
        column(number, name, ColumnKind::Lookup { kind: LookupKind::Plain, targets })
    };
    vec![
        column(1, "thingid", ColumnKind::Guid),
        text("name", 2, 100),
        column(3, "notes", ColumnKind::Memo { max_length: 2_000, json: false }),
        column(4, "size", ColumnKind::Integer { min: i32::MIN, max: i32::MAX }),
        column(5, "big", ColumnKind::BigInt),
        decimal("weight", 6),
        money("price", 7),
        column(8, "ratio", ColumnKind::Double { precision: 5, min: -1e11, max: 1e11 }),
        column(
            9,
            "done",
            ColumnKind::Boolean {
                default: false,
                true_label: Label::english("Yes"),
                false_label: Label::english("No"),
            },
        ),
        date("at", 10, DateTimeBehavior::UserLocal),
        date("day", 11, DateTimeBehavior::DateOnly),
        column(12, "color", ColumnKind::Choice { options: choices(), default: None }),
        column(13, "tags", ColumnKind::MultiChoice { options: choices() }),
        lookup("holder", 14, "thing"),
        column(15, "versionnumber", ColumnKind::BigInt),
        lookup("transactioncurrencyid", 16, "thing"),
        text("label", 17, 4_000),
        decimal("target", 18),
        column(19, "kind_of", ColumnKind::TableName),
        text("caption", 20, 4_000),
        column(
            21,
            "ownerid",
            ColumnKind::Lookup {
                kind: LookupKind::Plain,
                targets: ["thing", "systemuser"]
                    .map(|table| LookupTarget { table: table.into(), navigation: "ownerid".into() })
                    .into(),
            },
        ),
    ]
}

/// Columns: `thingid`, `name`, `notes`, `size`, `big`, `weight` (2 digits), `price` (money), `ratio`,
/// `done`, `at`, `day`, `color`, `tags`, `holder` (lookup), `versionnumber`, `transactioncurrencyid`,
/// `label` (text), `target` (weight's twin), `kind_of` (table name), `caption` (text), `ownerid` (lookup to things and users under one name).
pub(crate) fn catalog() -> (Arc<Catalog>, Arc<Table>) {
    let columns = columns();
    let table = Arc::new(Table::new(TableDefinition {
        id: TableId(7),
        metadata_id: Uuid::from_u128(7),
        logical_name: "thing".into(),
        schema_name: "Thing".into(),
        entity_set_name: "things".into(),
        collection_schema_name: "Things".into(),
        display_name: Label::english("Thing"),
        display_collection_name: Label::english("Things"),
        description: Label::default(),
        object_type_code: 10_000,
        ownership: Ownership::Organization,
        kind: TableKind::Standard,
        is_custom: true,
        is_intersect: false,
        is_activity: false,
        has_notes: false,
        has_activities: false,
        change_tracking: true,
        optimistic_concurrency: true,
        settings: model::TableSettings::default(),
        columns,
        primary_key: ColumnIndex(0),
        primary_name: Some(ColumnIndex(1)),
        keys: vec![AlternateKey {
            id: 1,
            metadata_id: Uuid::from_u128(8),
            logical_name: "key".into(),
            schema_name: "Key".into(),
            display_name: Label::english("Key"),
            columns: vec![ColumnIndex(1)],
        }],
    }));
    let lookup = |name: &str, number, target: &str| {
        let targets = vec![LookupTarget { table: target.into(), navigation: name.into() }];
        column(number, name, ColumnKind::Lookup { kind: LookupKind::Plain, targets })
    };
    let key = |name: &str| column(1, name, ColumnKind::Guid);
    let other = |number, name: &str, columns| {
        let mut other = table.definition().clone();
        other.id = TableId(number);
        other.metadata_id = Uuid::from_u128(number.into());
        other.logical_name = name.into();
        other.schema_name = name.into();
        other.entity_set_name = format!("{name}s").into();
        other.columns = columns;
        other.primary_name = None;
        other.keys = Vec::new();
        Arc::new(Table::new(other))
    };
    let user = vec![key("systemuserid"), lookup("parentsystemuserid", 2, "systemuser")];
    let guid = |name: &str, number| column(number, name, ColumnKind::Guid);
    let member = vec![key("teammembershipid"), guid("systemuserid", 2), guid("teamid", 3)];
    let tables =
        vec![Arc::clone(&table), other(8, "systemuser", user), other(9, "teammembership", member)];
    let held = OneToMany {
        metadata_id: Uuid::from_u128(10),
        schema_name: "thing_held".into(),
        referenced_table: "thing".into(),
        referenced_column: "thingid".into(),
        referencing_table: "thing".into(),
        referencing_column: "holder".into(),
        referenced_navigation: "held".into(),
        referencing_navigation: "holder".into(),
        cascade: Cascade::on_delete(DeleteAction::RemoveLink),
        is_custom: true,
        is_hierarchical: true,
        settings: model::RelationshipSettings::default(),
    };
    (Arc::new(Catalog::new(1, tables, vec![Arc::new(held)])), table)
}

/// A Sunday noon, for a user in UTC with quarters from January.
pub(crate) fn context() -> Context {
    let now = Timestamp::parse("2024-03-31T12:00:00Z").expect("an instant");
    Context::with(now, Uuid::from_u128(0xA11CE), Uuid::from_u128(0xB0), Settings::default())
}

/// OData options of a filter, asked for in that context.
pub(crate) fn options(filter: &str, more: &str) -> Result<Options, query::Error> {
    let filter = percent_encoding::utf8_percent_encode(filter, percent_encoding::NON_ALPHANUMERIC);
    let mut options = Options::parse(&format!("$filter={filter}&{more}"))?;
    options.context = context();
    Ok(options)
}
