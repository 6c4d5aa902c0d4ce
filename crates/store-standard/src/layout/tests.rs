//! Definitions survive the way into text and back, whatever they hold; older and newer texts are read.

use super::*;
use model::{AlternateKey, TableDefinition};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = Box<str>> {
    "[a-z_\"\\\\äß\u{1f600}]{0,12}".prop_map(Into::into)
}

fn id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn a_label() -> impl Strategy<Value = Label> {
    prop::collection::vec((any::<u16>(), name()), 0..3).prop_map(|texts| Label {
        texts: texts.into_iter().map(|(language, text)| LocalizedText { language, text }).collect(),
    })
}

fn a_decimal() -> impl Strategy<Value = Decimal> {
    (any::<i64>(), 0..=10_u32).prop_map(|(number, scale)| Decimal::new(number, scale))
}

fn some_options() -> impl Strategy<Value = Vec<ChoiceOption>> {
    let one = (any::<i32>(), a_label(), any::<Option<i32>>(), any::<Option<i32>>()).prop_map(
        |(value, label, state, default_status)| ChoiceOption {
            value,
            label,
            state,
            default_status,
            description: Label::default(),
            color: None,
            external_value: None,
        },
    );
    prop::collection::vec(one, 0..3)
}

fn a_kind() -> impl Strategy<Value = ColumnKind> {
    let format = prop::sample::select(vec![
        TextFormat::Text,
        TextFormat::Email,
        TextFormat::Url,
        TextFormat::Phone,
        TextFormat::TextArea,
        TextFormat::TickerSymbol,
        TextFormat::Json,
        TextFormat::RichText,
    ]);
    let behavior = prop::sample::select(vec![
        DateTimeBehavior::UserLocal,
        DateTimeBehavior::DateOnly,
        DateTimeBehavior::TimeZoneIndependent,
    ]);
    let lookup =
        prop::sample::select(vec![LookupKind::Plain, LookupKind::Customer, LookupKind::Owner]);
    let finite = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL;
    prop_oneof![
        Just(ColumnKind::Guid),
        (any::<u32>(), format)
            .prop_map(|(max_length, format)| ColumnKind::Text { max_length, format }),
        (any::<u32>(), any::<bool>())
            .prop_map(|(max_length, json)| ColumnKind::Memo { max_length, json }),
        (any::<i32>(), any::<i32>()).prop_map(|(min, max)| ColumnKind::Integer { min, max }),
        Just(ColumnKind::BigInt),
        (any::<u8>(), a_decimal(), a_decimal())
            .prop_map(|(precision, min, max)| ColumnKind::Decimal { precision, min, max }),
        (any::<u8>(), finite, any::<f32>().prop_filter("not a number", |x| x.is_finite()))
            .prop_map(|(precision, min, max)| ColumnKind::Double {
                precision,
                min,
                max: max.into()
            }),
        (any::<u8>(), a_decimal(), a_decimal())
            .prop_map(|(precision, min, max)| ColumnKind::Money { precision, min, max }),
        (any::<bool>(), a_label(), a_label()).prop_map(|(default, true_label, false_label)| {
            ColumnKind::Boolean { default, true_label, false_label }
        }),
        (behavior, any::<bool>())
            .prop_map(|(behavior, with_time)| ColumnKind::DateTime { behavior, with_time }),
        (some_options(), any::<Option<i32>>())
            .prop_map(|(options, default)| ColumnKind::Choice { options, default }),
        some_options().prop_map(|options| ColumnKind::MultiChoice { options }),
        some_options().prop_map(|options| ColumnKind::State { options }),
        some_options().prop_map(|options| ColumnKind::Status { options }),
        (lookup, prop::collection::vec((name(), name()), 1..3)).prop_map(|(kind, targets)| {
            let targets = targets
                .into_iter()
                .map(|(table, navigation)| LookupTarget { table, navigation })
                .collect();
            ColumnKind::Lookup { kind, targets }
        }),
        Just(ColumnKind::TableName),
        any::<u32>().prop_map(|max_size_kb| ColumnKind::File { max_size_kb }),
        (any::<u32>(), any::<[bool; 2]>()).prop_map(|(max_size_kb, flags)| ColumnKind::Image {
            max_size_kb,
            can_store_full_image: flags[0],
            is_primary: flags[1],
        }),
    ]
}

fn a_computed() -> impl Strategy<Value = Option<Computed>> {
    let index = || any::<u16>().prop_map(ColumnIndex);
    prop::option::of(prop_oneof![
        (index(), index()).prop_map(|(first, last)| Computed::FullName { first, last }),
        (index(), name()).prop_map(|(owner, table)| Computed::OwnerIn { owner, table }),
        index().prop_map(|column| Computed::CopyOf { column }),
        Just(Computed::Nothing),
    ])
}

fn a_column() -> impl Strategy<Value = Column> {
    let required = prop::sample::select(vec![
        RequiredLevel::None,
        RequiredLevel::Recommended,
        RequiredLevel::ApplicationRequired,
        RequiredLevel::SystemRequired,
    ]);
    let names = (any::<u32>(), id(), name(), name(), a_label(), a_label());
    let flags = any::<[bool; 5]>();
    (names, a_kind(), required, a_computed(), flags).prop_map(
        |(names, kind, required, computed, flags)| Column {
            id: ColumnId(names.0),
            metadata_id: names.1,
            logical_name: names.2,
            schema_name: names.3,
            display_name: names.4,
            description: names.5,
            kind,
            required,
            computed,
            is_custom: flags[0],
            is_indexed: flags[1],
            valid_for_create: flags[2],
            valid_for_update: flags[3],
            valid_for_read: flags[4],
            settings: model::ColumnSettings::default(),
        },
    )
}

fn a_key() -> impl Strategy<Value = AlternateKey> {
    let columns = prop::collection::vec(any::<u16>().prop_map(ColumnIndex), 1..4);
    (any::<u32>(), id(), name(), name(), a_label(), columns).prop_map(
        |(id, metadata_id, logical_name, schema_name, display_name, columns)| AlternateKey {
            id,
            metadata_id,
            logical_name,
            schema_name,
            display_name,
            columns,
        },
    )
}

fn a_table(id_number: u32) -> impl Strategy<Value = TableDefinition> {
    let names = (id(), name(), name(), name(), name());
    let labels = (a_label(), a_label(), a_label());
    let ownership = prop::sample::select(vec![
        Ownership::User,
        Ownership::Organization,
        Ownership::Business,
        Ownership::None,
    ]);
    let kind = prop::sample::select(vec![TableKind::Standard, TableKind::Elastic]);
    let places = (any::<i32>(), any::<u16>(), any::<Option<u16>>());
    let parts = (prop::collection::vec(a_column(), 0..4), prop::collection::vec(a_key(), 0..3));
    (names, labels, ownership, kind, any::<[bool; 7]>(), places, parts).prop_map(
        move |(names, labels, ownership, kind, flags, places, parts)| TableDefinition {
            id: TableId(id_number),
            metadata_id: names.0,
            logical_name: names.1,
            schema_name: names.2,
            entity_set_name: names.3,
            collection_schema_name: names.4,
            display_name: labels.0,
            display_collection_name: labels.1,
            description: labels.2,
            object_type_code: places.0,
            ownership,
            kind,
            is_custom: flags[0],
            is_intersect: flags[1],
            is_activity: flags[2],
            has_notes: flags[3],
            has_activities: flags[4],
            change_tracking: flags[5],
            optimistic_concurrency: flags[6],
            settings: model::TableSettings::default(),
            columns: parts.0,
            primary_key: ColumnIndex(places.1),
            primary_name: places.2.map(ColumnIndex),
            keys: parts.1,
        },
    )
}

fn a_relationship() -> impl Strategy<Value = OneToMany> {
    let delete = prop::sample::select(vec![
        DeleteAction::Cascade,
        DeleteAction::RemoveLink,
        DeleteAction::Restrict,
        DeleteAction::NoCascade,
    ]);
    let names = (name(), name(), name(), name(), name(), name(), name());
    (id(), names, delete, any::<[bool; 2]>()).prop_map(|(metadata_id, names, delete, flags)| {
        OneToMany {
            metadata_id,
            schema_name: names.0,
            referenced_table: names.1,
            referenced_column: names.2,
            referencing_table: names.3,
            referencing_column: names.4,
            referenced_navigation: names.5,
            referencing_navigation: names.6,
            cascade: Cascade::on_delete(delete),
            is_custom: flags[0],
            is_hierarchical: flags[1],
            settings: model::RelationshipSettings::default(),
        }
    })
}

fn texts_of(tables: &[TableDefinition], relationships: &[OneToMany]) -> Texts {
    let mut texts = Texts::default();
    for table in tables {
        texts.tables.push(encode_table(table));
        texts.columns.extend(table.columns.iter().map(|each| (table.id, encode_column(each))));
        texts.keys.extend(table.keys.iter().map(|each| (table.id, encode_key(each))));
    }
    texts.relationships.extend(relationships.iter().map(encode_relationship));
    texts
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(
        first in a_table(1),
        second in a_table(2),
        relationships in prop::collection::vec(a_relationship(), 0..3),
    ) {
        let catalog = assemble(7, &texts_of(&[first.clone(), second.clone()], &relationships))
            .expect("own texts read");
        prop_assert_eq!(catalog.version(), 7);
        prop_assert_eq!(catalog.tables().len(), 2);
        prop_assert_eq!(catalog.tables()[0].definition(), &first);
        prop_assert_eq!(catalog.tables()[1].definition(), &second);
        let read: Vec<OneToMany> =
            catalog.relationships().iter().map(|each| (**each).clone()).collect();
        prop_assert_eq!(read, relationships);
    }
}

fn column(text: &str) -> Result<Column, Unreadable> {
    decode::<OwnedColumn>("a column", text).map(|OwnedColumn(column)| column)
}

#[test]
fn unknown_members_are_ignored_and_missing_ones_get_a_default() {
    let column = column(
        r#"{"id": 3, "metadata_id": "00000000-0000-0000-0000-000000000009", "logical_name": "x",
            "schema_name": "X", "kind": {"text": {"max_length": 100, "weight": 2}}, "later": {}}"#,
    )
    .unwrap();
    assert_eq!(column.kind, ColumnKind::Text { max_length: 100, format: TextFormat::Text });
    assert_eq!(column.required, RequiredLevel::None);
    assert_eq!(column.computed, None);
    assert_eq!(column.display_name, Label::default());
    assert!(column.valid_for_create && column.valid_for_update && column.valid_for_read);
    assert!(!column.is_custom && !column.is_indexed);
}

#[test]
fn an_unknown_kind_is_an_error_not_a_guess() {
    let error = column(
        r#"{"id": 3, "metadata_id": "00000000-0000-0000-0000-000000000009", "logical_name": "x",
            "schema_name": "X", "kind": {"hologram": {}}}"#,
    )
    .unwrap_err();
    assert!(error.to_string().contains("a column does not read"), "{error}");
}
