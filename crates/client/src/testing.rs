//! A table with a column of every kind, for tests.

use model::{
    AlternateKey, Catalog, ChoiceOption, Column, ColumnId, ColumnIndex, ColumnKind,
    DateTimeBehavior, Decimal, Label, LookupKind, LookupTarget, Ownership, RequiredLevel, Table,
    TableDefinition, TableId, TableKind, TextFormat, Uuid,
};
use std::sync::Arc;

/// `new_thing` with an alternate key over `new_code`; `contact` and `account` stand beside it.
pub(crate) fn table() -> (Arc<Table>, Arc<Catalog>) {
    let options = |first: i32| {
        ["Red", "2", "Blue"]
            .into_iter()
            .zip([first, 1, 3])
            .map(|(label, value)| ChoiceOption {
                value,
                label: Label::english(label),
                state: None,
                default_status: None,
                ..ChoiceOption::default()
            })
            .collect::<Vec<_>>()
    };
    let lookup = |targets: &[&str]| ColumnKind::Lookup {
        kind: LookupKind::Plain,
        targets: targets
            .iter()
            .map(|table| LookupTarget {
                table: (*table).into(),
                navigation: format!("new_N_{table}").into(),
            })
            .collect(),
    };
    let at = |behavior| ColumnKind::DateTime { behavior, with_time: true };
    let text = || ColumnKind::Text { max_length: 100, format: TextFormat::Text };
    let limit = Decimal::from(1_000_000);
    let thing = define(
        1,
        "new_thing",
        vec![
            column("new_thingid", "Thing", ColumnKind::Guid),
            column("new_name", "Full Name", text()),
            column("new_code", "Code", text()),
            column("new_whole", "Whole", ColumnKind::Integer { min: i32::MIN, max: i32::MAX }),
            column("new_big", "Big", ColumnKind::BigInt),
            column(
                "new_price",
                "Price",
                ColumnKind::Decimal { precision: 2, min: -limit, max: limit },
            ),
            column(
                "new_double",
                "Double",
                ColumnKind::Double { precision: 5, min: -1e9, max: 1e9 },
            ),
            column(
                "new_flag",
                "Flag",
                ColumnKind::Boolean {
                    default: false,
                    true_label: Label::english("Allowed"),
                    false_label: Label::english("Forbidden"),
                },
            ),
            column("new_color", "Color", ColumnKind::Choice { options: options(1), default: None }),
            column("new_colors", "Colors", ColumnKind::MultiChoice { options: options(1) }),
            column("new_day", "Day", at(DateTimeBehavior::DateOnly)),
            column("new_at", "At", at(DateTimeBehavior::UserLocal)),
            column("new_clock", "Clock", at(DateTimeBehavior::TimeZoneIndependent)),
            column("new_one", "One", lookup(&["contact"])),
            column("new_many", "Many", lookup(&["account", "contact"])),
            Column {
                valid_for_create: false,
                valid_for_update: false,
                ..column("createdon", "Created On", at(DateTimeBehavior::UserLocal))
            },
        ],
    );
    let contact = define(
        2,
        "contact",
        vec![
            column("contactid", "Contact", ColumnKind::Guid),
            column("nickname", "Nickname", text()),
        ],
    );
    let account = define(3, "account", vec![column("accountid", "Account", ColumnKind::Guid)]);
    let catalog = Catalog::new(1, vec![thing.clone(), contact, account], Vec::new());
    (thing, Arc::new(catalog))
}

fn column(name: &str, shown: &str, kind: ColumnKind) -> Column {
    Column {
        id: ColumnId(0),
        metadata_id: Uuid::nil(),
        logical_name: name.into(),
        schema_name: name.into(),
        display_name: Label::english(shown),
        description: Label::default(),
        kind,
        required: RequiredLevel::None,
        computed: None,
        is_custom: name.starts_with("new_"),
        is_indexed: false,
        valid_for_create: true,
        valid_for_update: true,
        valid_for_read: true,
        settings: model::ColumnSettings::default(),
    }
}

fn define(id: u32, name: &str, columns: Vec<Column>) -> Arc<Table> {
    let code = columns.iter().position(|column| &*column.logical_name == "new_code");
    let keys = code.map(|place| AlternateKey {
        id: 1,
        metadata_id: Uuid::nil(),
        logical_name: "new_code_key".into(),
        schema_name: "new_code_key".into(),
        display_name: Label::english("Code"),
        columns: vec![ColumnIndex(u16::try_from(place).expect("few columns"))],
    });
    Arc::new(Table::new(TableDefinition {
        id: TableId(id),
        metadata_id: Uuid::nil(),
        logical_name: name.into(),
        schema_name: name.into(),
        entity_set_name: format!("{name}s").into(),
        collection_schema_name: format!("{name}s").into(),
        display_name: Label::english(name),
        display_collection_name: Label::english(name),
        description: Label::default(),
        object_type_code: 10_000,
        ownership: Ownership::User,
        kind: TableKind::Standard,
        is_custom: name.starts_with("new_"),
        is_intersect: false,
        is_activity: false,
        has_notes: false,
        has_activities: false,
        change_tracking: false,
        optimistic_concurrency: true,
        settings: model::TableSettings::default(),
        columns,
        primary_key: ColumnIndex(0),
        primary_name: None,
        keys: keys.into_iter().collect(),
    }))
}
