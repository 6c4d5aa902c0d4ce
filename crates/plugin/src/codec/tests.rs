//! What is written is read back the same, and what a guest may make of lists never does more than fail.

use super::read::{Error, Reader};
use super::write::{Sheet, Writer};
use super::{halves, joined};
use crate::bindings::sheaf::plugin::hand_over::PackedBatch;
use crate::bindings::sheaf::plugin::types::{
    Batch, Cell as FlatCell, Decimal as FlatDecimal, EntityRef, Guid, Payload, Row, Span,
    Value as Flat,
};
use model::{
    Catalog, Cell, Column, ColumnId, ColumnIndex, ColumnKind, ColumnSettings, Date,
    DateTimeBehavior, Decimal, Label, LookupKind, LookupTarget, LookupValue, Ownership,
    RequiredLevel, Table, TableDefinition, TableId, TableKind, TableSettings, Target, TargetKey,
    TextFormat, Timestamp, Uuid, Value,
};
use pipeline::step::{Parameter, ParameterValue, Record};
use proptest::prelude::*;
use std::sync::Arc;

fn column(number: u32, name: &str, kind: ColumnKind) -> Column {
    Column {
        id: ColumnId(number),
        metadata_id: Uuid::from_u128(u128::from(number)),
        logical_name: name.into(),
        schema_name: name.into(),
        display_name: Label::default(),
        description: Label::default(),
        kind,
        required: RequiredLevel::None,
        computed: None,
        is_custom: true,
        is_indexed: false,
        valid_for_create: true,
        valid_for_update: true,
        valid_for_read: true,
        settings: ColumnSettings::default(),
    }
}

fn kinds() -> Vec<(&'static str, ColumnKind)> {
    let (min, max) = (Decimal::MIN, Decimal::MAX);
    vec![
        ("crateid", ColumnKind::Guid),
        ("text", ColumnKind::Text { max_length: 100, format: TextFormat::Text }),
        ("memo", ColumnKind::Memo { max_length: 1_000, json: false }),
        ("integer", ColumnKind::Integer { min: i32::MIN, max: i32::MAX }),
        ("big", ColumnKind::BigInt),
        ("decimal", ColumnKind::Decimal { precision: 10, min, max }),
        ("money", ColumnKind::Money { precision: 4, min, max }),
        ("double", ColumnKind::Double { precision: 5, min: f64::MIN, max: f64::MAX }),
        (
            "flag",
            ColumnKind::Boolean {
                default: false,
                true_label: Label::default(),
                false_label: Label::default(),
            },
        ),
        ("at", ColumnKind::DateTime { behavior: DateTimeBehavior::UserLocal, with_time: true }),
        ("day", ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, with_time: false }),
        ("choice", ColumnKind::Choice { options: Vec::new(), default: None }),
        ("choices", ColumnKind::MultiChoice { options: Vec::new() }),
        ("other", ColumnKind::Guid),
        (
            "holder",
            ColumnKind::Lookup {
                kind: LookupKind::Plain,
                targets: vec![LookupTarget { table: "crate".into(), navigation: "holder".into() }],
            },
        ),
        ("versionnumber", ColumnKind::BigInt),
    ]
}

fn catalog() -> Catalog {
    let columns =
        kinds().into_iter().zip(1..).map(|((name, kind), number)| column(number, name, kind));
    let table = Table::new(TableDefinition {
        id: TableId(7),
        metadata_id: Uuid::from_u128(7),
        logical_name: "crate".into(),
        schema_name: "Crate".into(),
        entity_set_name: "crates".into(),
        collection_schema_name: "Crates".into(),
        display_name: Label::default(),
        display_collection_name: Label::default(),
        description: Label::default(),
        object_type_code: 10_000,
        ownership: Ownership::None,
        kind: TableKind::Standard,
        is_custom: true,
        is_intersect: false,
        is_activity: false,
        has_notes: false,
        has_activities: false,
        change_tracking: false,
        optimistic_concurrency: false,
        columns: columns.collect(),
        primary_key: ColumnIndex(0),
        primary_name: None,
        keys: Vec::new(),
        settings: TableSettings::default(),
    });
    Catalog::new(1, vec![Arc::new(table)], Vec::new())
}

fn value_of(column: usize) -> BoxedStrategy<Value> {
    let seconds = Timestamp::MIN.0..=Timestamp::MAX.0;
    let (first, last) = (Timestamp::MIN.date().0, Timestamp::MAX.date().0);
    let number = (any::<i64>(), 0..=28_u32).prop_map(|(units, scale)| {
        Value::Decimal(Decimal::from_i128_with_scale(i128::from(units), scale))
    });
    let some = match column {
        1 | 2 => ".{1,40}".prop_map(Value::text).boxed(),
        3 | 11 => any::<i32>().prop_map(Value::Integer).boxed(),
        4 => any::<i64>().prop_map(Value::BigInt).boxed(),
        5 | 6 => number.boxed(),
        7 => any::<f64>().prop_map(Value::Double).boxed(),
        8 => any::<bool>().prop_map(Value::Boolean).boxed(),
        9 => seconds.prop_map(|at| Value::DateTime(Timestamp(at))).boxed(),
        10 => (first..=last).prop_map(|day| Value::Date(Date(day))).boxed(),
        12 => proptest::collection::btree_set(any::<i32>(), 1..5)
            .prop_map(|set| Value::Choices(set.into_iter().collect()))
            .boxed(),
        13 => any::<u128>().prop_map(|id| Value::Guid(Uuid::from_u128(id))).boxed(),
        _ => any::<u128>()
            .prop_map(|id| {
                Value::Lookup(LookupValue { table: TableId(7), id: Uuid::from_u128(id) })
            })
            .boxed(),
    };
    prop_oneof![1 => Just(Value::Null), 4 => some].boxed()
}

fn record() -> impl Strategy<Value = Record> {
    let cells = proptest::sample::subsequence((1..=14_usize).collect::<Vec<_>>(), 0..=14)
        .prop_flat_map(|columns| {
            let cells: Vec<_> = columns
                .into_iter()
                .map(|column| {
                    let index = ColumnIndex(u16::try_from(column).unwrap());
                    value_of(column).prop_map(move |value| Cell { column: index, value })
                })
                .collect();
            cells
        });
    (cells, proptest::option::of(1..u128::MAX), proptest::option::of(1..i64::MAX)).prop_map(
        |(mut cells, id, version)| {
            let id = id.map(Uuid::from_u128);
            if let Some(id) = id {
                cells.push(Cell { column: ColumnIndex(0), value: Value::Guid(id) });
            }
            Record { id, key: None, cells: cells.into(), aliased: Vec::new(), version }
        },
    )
}

/// What a record is when a guest hands it on as an operand.
fn target_of(record: &Record) -> (TargetKey, Vec<Cell>, Option<i64>) {
    let cells = record.cells.iter().filter(|cell| cell.column != ColumnIndex(0)).cloned();
    let key = record.id.map_or(TargetKey::None, TargetKey::Id);
    (key, cells.collect(), record.version)
}

fn same(target: &Target, record: &Record) -> bool {
    let (key, cells, version) = target_of(record);
    target.key == key && target.cells == cells && target.expected_version == version
}

fn flat_value() -> impl Strategy<Value = Flat> {
    let span =
        || (0..64_u32, prop_oneof![0..64_u32, any::<u32>()]).prop_map(|(at, len)| Span { at, len });
    let guid = || any::<(u64, u64)>().prop_map(|(hi, lo)| Guid { hi, lo });
    let decimal =
        || any::<(i64, u64, u8)>().prop_map(|(hi, lo, scale)| FlatDecimal { hi, lo, scale });
    prop_oneof![
        Just(Flat::Null),
        any::<bool>().prop_map(Flat::Boolean),
        any::<i32>().prop_map(Flat::Integer),
        any::<i64>().prop_map(Flat::BigInteger),
        any::<f64>().prop_map(Flat::Double),
        decimal().prop_map(Flat::Decimal),
        decimal().prop_map(Flat::Money),
        span().prop_map(Flat::Text),
        any::<i64>().prop_map(Flat::DateTime),
        guid().prop_map(Flat::Id),
        any::<i32>().prop_map(Flat::Choice),
        span().prop_map(Flat::Choices),
        (0..20_u32, guid(), span()).prop_map(|(table, id, name)| Flat::Lookup(EntityRef {
            table,
            id,
            name
        })),
        span().prop_map(Flat::Bytes),
        (0..3_u32).prop_map(Flat::Rows),
    ]
}

fn payload() -> impl Strategy<Value = Payload> {
    let names: Vec<String> = kinds().iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut names = [names, vec!["crate".to_owned(), "nothing".to_owned(), String::new()]].concat();
    names.rotate_left(1);
    let number = || prop_oneof![8 => 0..8_u32, 1 => any::<u32>()];
    let row = (any::<bool>(), number(), number(), number(), number(), any::<u64>()).prop_map(
        |(has_id, first, count, first_key, key_count, row_version)| Row {
            id: Guid { hi: 0, lo: u64::from(has_id) },
            first,
            count,
            first_key,
            key_count,
            row_version,
        },
    );
    let cell = (0..21_u32, flat_value()).prop_map(|(column, value)| FlatCell { column, value });
    let batch = (
        prop_oneof![4 => Just(15_u32), 1 => 0..30_u32],
        proptest::collection::vec(row, 0..4),
        proptest::collection::vec(cell, 0..8),
    )
        .prop_map(|(table, rows, cells)| Batch { table, rows, cells });
    let arena = proptest::collection::vec(any::<u8>(), 0..80);
    (arena, proptest::collection::vec(batch, 0..3)).prop_map(move |(arena, batches)| Payload {
        names: names.clone(),
        arena,
        batches,
    })
}

proptest! {
    #[test]
    fn records_read_back_as_they_were_written(records in proptest::collection::vec(record(), 0..12)) {
        let catalog = catalog();
        let table = catalog.table("crate").unwrap();
        let mut writer = Writer::new(&catalog);
        writer.batch(table, records.iter().map(Some));
        let size = writer.size();
        let payload = writer.finish();
        let mut packer = Writer::<PackedBatch>::new(&catalog);
        packer.batch(table, records.iter().map(Some));
        prop_assert_eq!(packer.size(), size);
        let packed = packer.lists();
        prop_assert_eq!((&packed.names, &packed.arena), (&payload.names, &payload.arena));
        let slots = (packed.batches[0].rows.len() + packed.batches[0].cells.len()) as u64;
        let cells: usize = records.iter().map(|record| record.cells.len()).sum();
        let names: usize = payload.names.iter().map(String::len).sum();
        prop_assert_eq!(slots, 48 * (cells + records.len()) as u64);
        let slots = 48 * (cells + records.len());
        prop_assert_eq!(size, (slots + payload.arena.len() + names + 1_024) as u64);
        let (read, targets) = Reader::new(&catalog, &payload).targets(0).unwrap();
        prop_assert_eq!(read.id, table.id);
        prop_assert_eq!(targets.len(), records.len());
        for (target, record) in targets.iter().zip(&records) {
            prop_assert!(same(target, record), "{target:?} is not {record:?}");
        }
    }

    #[test]
    fn parameters_read_back_as_they_were_written(
        records in proptest::collection::vec(record(), 0..4),
        ids in proptest::collection::vec(any::<u128>(), 0..6),
        bytes in proptest::collection::vec(any::<u8>(), 0..20),
        number in any::<i32>(),
        value in (1..=14_usize).prop_flat_map(value_of),
    ) {
        let catalog = catalog();
        let table = catalog.table("crate").unwrap().clone();
        // A day is an instant where no column says otherwise.
        let one = match value {
            Value::Date(day) => Value::DateTime(Timestamp(i64::from(day.0) * 86_400)),
            other => other,
        };
        let values = [
            ParameterValue::One(one),
            ParameterValue::Ids(ids.into_iter().map(Uuid::from_u128).collect()),
            ParameterValue::Records(table, records),
            ParameterValue::Money(Decimal::from(number)),
            ParameterValue::Choice(number),
            ParameterValue::Bytes(bytes.into()),
        ];
        for value in values {
            let mut writer = Writer::new(&catalog);
            let flat = writer.parameter(&Parameter { name: "it".into(), value: value.clone() });
            let payload = writer.finish();
            let reader = Reader::new(&catalog, &payload);
            prop_assert_eq!(reader.name(flat.name), Ok("it"));
            prop_assert_eq!(reader.parameter(&flat.value), Ok(value));
        }
    }

    #[test]
    fn whatever_a_guest_makes_of_lists_is_read_or_refused(
        payload in payload(),
        value in flat_value(),
        column in 0..16_usize,
    ) {
        let catalog = catalog();
        let reader = Reader::new(&catalog, &payload);
        let table = catalog.table("crate").unwrap();
        // None of these may panic; what is read has what the lists say.
        for place in 0..4 {
            match reader.targets(place) {
                Ok((_, targets)) => prop_assert_eq!(targets.len(), payload.batches[place as usize].rows.len()),
                Err(Error::Malformed(_)) => {}
                Err(Error::Refused { index, .. }) => {
                    prop_assert!(index < payload.batches[place as usize].rows.len().max(1));
                }
            }
        }
        let column = &table.columns[column];
        if let Ok(Ok(Value::Text(text))) = reader.value(column, &value) {
            prop_assert!(!text.is_empty());
        }
        drop(reader.parameter(&value));
    }
}

#[test]
fn small_lists_that_unfold_to_large_ones_are_malformed() {
    let catalog = catalog();
    let text = Flat::Text(Span { at: 0, len: 1 << 20 });
    let mut payload = Payload {
        names: vec!["crate".to_owned(), "text".to_owned()],
        arena: vec![b'x'; 1 << 20],
        batches: vec![Batch { table: 0, rows: Vec::new(), cells: Vec::new() }],
    };
    payload.batches[0].cells.push(FlatCell { column: 1, value: text });
    let row = Row {
        id: halves(Uuid::nil()),
        first: 0,
        count: 1,
        first_key: 0,
        key_count: 0,
        row_version: 0,
    };
    payload.batches[0].rows = vec![row; 116];
    assert!(Reader::new(&catalog, &payload).targets(0).is_ok());
    payload.batches[0].rows = vec![row; 117];
    assert!(matches!(Reader::new(&catalog, &payload).targets(0), Err(Error::Malformed(_))));
}

/// The bytes of a cell of column 0x0102_0304, put together from what stands at which place.
#[track_caller]
fn packed(value: Flat, case: u8, held: &[(usize, &[u8])]) {
    let mut want = [0; 48];
    want[..4].copy_from_slice(&[4, 3, 2, 1]);
    want[8] = case;
    for (at, bytes) in held {
        want[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    let mut batch = PackedBatch::with_room(0, 0, 1);
    batch.cell(FlatCell { column: 0x0102_0304, value });
    assert_eq!(batch.cells, want, "{value:?}");
}

#[test]
fn cells_are_packed_as_the_world_lays_them_out() {
    let number = FlatDecimal { hi: -2, lo: 3, scale: 4 };
    let minus_two = (-2_i64).to_le_bytes();
    let decimal: [(usize, &[u8]); 3] = [(16, &minus_two), (24, &[3]), (32, &[4])];
    let span = Span { at: 0x100, len: 2 };
    let spanned: [(usize, &[u8]); 2] = [(16, &[0, 1]), (20, &[2])];
    let to = EntityRef { table: 5, id: Guid { hi: 6, lo: 7 }, name: span };
    packed(Flat::Null, 0, &[]);
    packed(Flat::Boolean(true), 1, &[(16, &[1])]);
    packed(Flat::Integer(-2), 2, &[(16, &minus_two[..4])]);
    packed(Flat::BigInteger(-2), 3, &[(16, &minus_two)]);
    packed(Flat::Double(0.1), 4, &[(16, &0.1_f64.to_le_bytes())]);
    packed(Flat::Decimal(number), 5, &decimal);
    packed(Flat::Money(number), 6, &decimal);
    packed(Flat::Text(span), 7, &spanned);
    packed(Flat::DateTime(-2), 8, &[(16, &minus_two)]);
    packed(Flat::Id(Guid { hi: 6, lo: 7 }), 9, &[(16, &[6]), (24, &[7])]);
    packed(Flat::Choice(-2), 10, &[(16, &minus_two[..4])]);
    packed(Flat::Choices(span), 11, &spanned);
    let lookup: [(usize, &[u8]); 5] =
        [(16, &[5]), (24, &[6]), (32, &[7]), (40, &[0, 1]), (44, &[2])];
    packed(Flat::Lookup(to), 12, &lookup);
    packed(Flat::Bytes(span), 13, &spanned);
    packed(Flat::Rows(9), 14, &[(16, &[9])]);
}

#[test]
fn rows_are_packed_as_the_world_lays_them_out() {
    let id = Guid { hi: 1, lo: 2 };
    let row = Row { id, first: 3, count: 4, first_key: 5, key_count: 6, row_version: 7 };
    let mut batch = PackedBatch::with_room(0, 1, 0);
    batch.row(row);
    let mut want = [0; 48];
    for (at, byte) in [(0, 1), (8, 2), (16, 3), (20, 4), (24, 5), (28, 6), (32, 7)] {
        want[at] = byte;
    }
    assert_eq!(batch.rows, want);
    assert_eq!(batch.slots(), 1);
}

#[test]
fn ids_are_halved_by_their_text_form() {
    let id: Uuid = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
    let guid = halves(id);
    assert_eq!((guid.hi, guid.lo), (0x0011_2233_4455_6677, 0x8899_aabb_ccdd_eeff));
    assert_eq!(joined(guid), id);
}
