//! A small catalog: crates and legs (standard), pings (elastic), and what their lookups point to.

use model::{
    AlternateKey, Cascade, Catalog, ChoiceOption, Column, ColumnId, ColumnIndex, ColumnKind,
    DateTimeBehavior, Decimal, DeleteAction, Label, LookupKind, LookupTarget, OneToMany, Ownership,
    RequiredLevel, Table, TableDefinition, TableId, TableKind, TextFormat, Uuid,
};
use std::sync::Arc;

pub(crate) const A: &str = "0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10";
pub(crate) const B: &str = "11111111-2222-4333-8444-555555555501";

pub(crate) fn id(text: &str) -> Uuid {
    text.parse().unwrap()
}

fn text(max_length: u32) -> ColumnKind {
    ColumnKind::Text { max_length, format: TextFormat::Text }
}

fn options() -> Vec<ChoiceOption> {
    let option = |value, label: &str| ChoiceOption {
        value,
        label: Label::english(label),
        state: None,
        default_status: None,
        ..ChoiceOption::default()
    };
    vec![option(1, "One"), option(2, "Two"), option(5, "Five")]
}

fn lookup(kind: LookupKind, targets: &[(&str, &str)]) -> ColumnKind {
    let targets = targets
        .iter()
        .map(|(table, navigation)| LookupTarget {
            table: (*table).into(),
            navigation: (*navigation).into(),
        })
        .collect();
    ColumnKind::Lookup { kind, targets }
}

fn table(
    number: u32,
    name: &str,
    set: &str,
    kind: TableKind,
    columns: Vec<(&str, ColumnKind)>,
    keys: &[(&str, &[&str])],
) -> Arc<Table> {
    let mut all = vec![(format!("{name}id"), ColumnKind::Guid)];
    all.extend(columns.into_iter().map(|(name, kind)| (name.to_owned(), kind)));
    all.push(("versionnumber".to_owned(), ColumnKind::BigInt));
    all.push((
        "createdon".to_owned(),
        ColumnKind::DateTime { behavior: DateTimeBehavior::UserLocal, with_time: true },
    ));
    let columns: Vec<Column> = all
        .into_iter()
        .enumerate()
        .map(|(place, (name, kind))| Column {
            id: ColumnId(place as u32 + 1),
            metadata_id: Uuid::from_u128(u128::from(number) << 32 | place as u128),
            display_name: Label::english(name.replace("ship_", "")),
            description: Label::default(),
            required: if place == 0 { RequiredLevel::SystemRequired } else { RequiredLevel::None },
            computed: None,
            is_custom: true,
            is_indexed: false,
            valid_for_create: name != "versionnumber",
            valid_for_update: name != "versionnumber",
            valid_for_read: true,
            settings: model::ColumnSettings::default(),
            schema_name: name.clone().into(),
            logical_name: name.into(),
            kind,
        })
        .collect();
    let place_of = |wanted: &str| {
        let place = columns.iter().position(|column| &*column.logical_name == wanted).unwrap();
        ColumnIndex(place as u16)
    };
    let keys = keys
        .iter()
        .enumerate()
        .map(|(place, (name, columns))| AlternateKey {
            id: place as u32 + 1,
            metadata_id: Uuid::from_u128(u128::from(number) << 64 | place as u128),
            logical_name: name.to_lowercase().into(),
            schema_name: (*name).into(),
            display_name: Label::english(*name),
            columns: columns.iter().map(|column| place_of(column)).collect(),
        })
        .collect();
    Arc::new(Table::new(TableDefinition {
        id: TableId(number),
        metadata_id: Uuid::from_u128(u128::from(number)),
        logical_name: name.into(),
        schema_name: name.into(),
        entity_set_name: set.into(),
        collection_schema_name: set.into(),
        display_name: Label::english(name),
        display_collection_name: Label::english(set),
        description: Label::default(),
        object_type_code: 10_000 + number as i32,
        ownership: Ownership::User,
        kind,
        is_custom: true,
        is_intersect: false,
        is_activity: false,
        has_notes: false,
        has_activities: false,
        change_tracking: true,
        optimistic_concurrency: true,
        settings: model::TableSettings::default(),
        primary_key: ColumnIndex(0),
        primary_name: Some(ColumnIndex(1)),
        columns,
        keys,
    }))
}

fn crate_columns() -> Vec<(&'static str, ColumnKind)> {
    let whole = || ColumnKind::Integer { min: i32::MIN, max: i32::MAX };
    vec![
        ("ship_label", text(100)),
        ("ship_weight", whole()),
        ("ship_trackingno", text(100)),
        ("ship_price", ColumnKind::Money { precision: 2, min: Decimal::MIN, max: Decimal::MAX }),
        ("ship_volume", ColumnKind::Decimal { precision: 3, min: Decimal::MIN, max: Decimal::MAX }),
        ("ship_ratio", ColumnKind::Double { precision: 5, min: f64::MIN, max: f64::MAX }),
        ("ship_serial", ColumnKind::BigInt),
        ("ship_uid", ColumnKind::Guid),
        (
            "ship_open",
            ColumnKind::Boolean {
                default: false,
                true_label: Label::english("Open"),
                false_label: Label::english("Closed"),
            },
        ),
        (
            "ship_at",
            ColumnKind::DateTime { behavior: DateTimeBehavior::UserLocal, with_time: true },
        ),
        (
            "ship_day",
            ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, with_time: false },
        ),
        ("ship_size", ColumnKind::Choice { options: options(), default: None }),
        ("ship_tags", ColumnKind::MultiChoice { options: options() }),
        ("ship_notes", ColumnKind::Memo { max_length: 2_000, json: false }),
        ("ship_holder", lookup(LookupKind::Plain, &[("account", "ship_Holder")])),
        (
            "ship_customer",
            lookup(
                LookupKind::Customer,
                &[("account", "ship_customer_account"), ("contact", "ship_customer_contact")],
            ),
        ),
        ("ownerid", lookup(LookupKind::Owner, &[("systemuser", "ownerid"), ("team", "ownerid")])),
    ]
}

/// Crates, legs, pings, accounts, contacts, users, teams.
pub(crate) fn catalog() -> Catalog {
    let standard = TableKind::Standard;
    let whole = ColumnKind::Integer { min: 0, max: 100 };
    let tables = vec![
        table(
            1,
            "ship_crate",
            "ship_crates",
            standard,
            crate_columns(),
            &[("ship_TrackingKey", &["ship_trackingno"]), ("ship_DayKey", &["ship_day"])],
        ),
        table(
            2,
            "leg",
            "legs",
            standard,
            vec![
                ("leg_crateno", text(100)),
                ("leg_number", whole),
                ("leg_crate", lookup(LookupKind::Plain, &[("ship_crate", "leg_Crate")])),
                (
                    "leg_cost",
                    ColumnKind::Decimal { precision: 2, min: Decimal::MIN, max: Decimal::MAX },
                ),
            ],
            &[
                ("leg_Key", &["leg_crateno", "leg_number"]),
                ("leg_CrateKey", &["leg_crate"]),
                ("leg_CostKey", &["leg_cost"]),
            ],
        ),
        table(
            3,
            "ship_ping",
            "ship_pings",
            TableKind::Elastic,
            vec![("ship_source", text(100)), ("partitionid", text(1_024))],
            &[("KeyForNoSqlEntityWithPKPartitionId", &["ship_pingid", "partitionid"])],
        ),
        table(
            4,
            "account",
            "accounts",
            standard,
            vec![("name", text(160)), ("accountnumber", text(20))],
            &[("account_number", &["accountnumber"])],
        ),
        table(5, "contact", "contacts", standard, vec![("fullname", text(160))], &[]),
        table(6, "systemuser", "systemusers", standard, vec![("fullname", text(160))], &[]),
        table(7, "team", "teams", standard, vec![("name", text(160))], &[]),
    ];
    let relationship = |name: &str, referenced: &str, referencing: &str, column: &str| {
        Arc::new(OneToMany {
            metadata_id: Uuid::from_u128(99),
            schema_name: name.into(),
            referenced_table: referenced.into(),
            referenced_column: format!("{referenced}id").into(),
            referencing_table: referencing.into(),
            referencing_column: column.to_lowercase().into(),
            referenced_navigation: name.into(),
            referencing_navigation: column.into(),
            cascade: Cascade::on_delete(DeleteAction::RemoveLink),
            is_custom: true,
            is_hierarchical: false,
            settings: model::RelationshipSettings::default(),
        })
    };
    let relationships = vec![
        relationship("leg_Crate_Legs", "ship_crate", "leg", "leg_Crate"),
        relationship("ship_Holder_Crates", "account", "ship_crate", "ship_Holder"),
    ];
    Catalog::new(1, tables, relationships)
}

pub(crate) fn table_of(catalog: &Catalog, name: &str) -> Arc<Table> {
    Arc::clone(catalog.table(name).unwrap())
}
