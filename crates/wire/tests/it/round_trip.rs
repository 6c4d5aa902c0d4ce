//! What one side writes the other reads: bodies and answers.

use super::fixture::{catalog, table_of};
use model::{
    Bind, Catalog, Cell, ColumnIndex, ColumnKind, Date, DateTimeBehavior, Decimal, KeyIndex,
    KeyValue, LookupValue, MessageName, Table, Target, TargetKey, Timestamp, Uuid, Value,
};
use proptest::prelude::*;
use wire::record::{PageFrame, Writer, read_page, write_page};
use wire::targets::{decode, decode_record, encode, encode_record};

/// Any value that a column can hold, null included.
fn value(catalog: &Catalog, table: &Table, column: ColumnIndex) -> BoxedStrategy<Value> {
    let typed: BoxedStrategy<Value> = match &table.column(column).kind {
        ColumnKind::File { .. } | ColumnKind::Image { .. } => Just(Value::Null).boxed(),
        ColumnKind::Guid => any::<u128>().prop_map(|id| Value::Guid(Uuid::from_u128(id))).boxed(),
        ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::TableName => {
            "[^\\x00]{1,20}".prop_map(Value::text).boxed()
        }
        ColumnKind::Integer { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => any::<i32>().prop_map(Value::Integer).boxed(),
        ColumnKind::BigInt => any::<i64>().prop_map(Value::BigInt).boxed(),
        ColumnKind::Decimal { precision, .. } | ColumnKind::Money { precision, .. } => {
            let precision = u32::from(*precision);
            any::<i64>()
                .prop_map(move |units| Value::Decimal(Decimal::new(units, precision)))
                .boxed()
        }
        ColumnKind::Double { .. } => {
            any::<i32>().prop_map(|units| Value::Double(f64::from(units) / 100_000.0)).boxed()
        }
        ColumnKind::Boolean { .. } => any::<bool>().prop_map(Value::Boolean).boxed(),
        ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, .. } => {
            (Timestamp::MIN.date().0..=Timestamp::MAX.date().0)
                .prop_map(|day| Value::Date(Date(day)))
                .boxed()
        }
        ColumnKind::DateTime { .. } => (Timestamp::MIN.0..=Timestamp::MAX.0)
            .prop_map(|at| Value::DateTime(Timestamp(at)))
            .boxed(),
        ColumnKind::MultiChoice { .. } => proptest::collection::btree_set(any::<i32>(), 1..5)
            .prop_map(|values| Value::Choices(values.into_iter().collect()))
            .boxed(),
        ColumnKind::Lookup { targets, .. } => {
            let tables: Vec<_> =
                targets.iter().map(|target| catalog.table(&target.table).unwrap().id).collect();
            (proptest::sample::select(tables), any::<u128>())
                .prop_map(|(table, id)| {
                    Value::Lookup(LookupValue { table, id: Uuid::from_u128(id) })
                })
                .boxed()
        }
    };
    prop_oneof![4 => typed, 1 => Just(Value::Null)].boxed()
}

/// A row with a value for every column, the primary key first and never null.
fn row(catalog: &Catalog, table: &Table) -> BoxedStrategy<Vec<Value>> {
    let mut values: Vec<BoxedStrategy<Value>> =
        table.indexed_columns().map(|(column, _)| value(catalog, table, column)).collect();
    values[0] = any::<u128>().prop_map(|id| Value::Guid(Uuid::from_u128(id))).boxed();
    values.boxed()
}

fn target() -> BoxedStrategy<Target> {
    let catalog = catalog();
    let table = table_of(&catalog, "ship_crate");
    let account = table_of(&catalog, "account");
    let holder = table.index_of("ship_holder").unwrap();
    let columns = table.columns.len() - 1;
    let key = prop_oneof![
        Just(TargetKey::None),
        any::<u128>().prop_map(|id| TargetKey::Id(Uuid::from_u128(id))),
        "[^\\x00]{1,20}".prop_map(|text| TargetKey::Alternate(KeyValue {
            key: KeyIndex(0),
            values: [Value::text(text)].into()
        })),
    ];
    let bind = proptest::option::of("[^\\x00]{1,20}");
    let shown = proptest::collection::vec(any::<bool>(), columns);
    (key, row(&catalog, &table), shown, bind)
        .prop_map(move |(key, row, shown, bind)| {
            let cells = (1..=columns)
                .filter(|place| shown[*place - 1])
                .map(|place| Cell { column: ColumnIndex(place as u16), value: row[place].clone() })
                .filter(|cell| cell.column != holder || bind.is_none())
                .collect();
            let binds = bind
                .map(|text| Bind {
                    column: holder,
                    table: account.clone(),
                    key: KeyValue { key: KeyIndex(0), values: [Value::text(text)].into() },
                })
                .into_iter()
                .collect();
            Target { key, cells, binds, ..Target::default() }
        })
        .boxed()
}

fn shown(target: &Target) -> String {
    let binds: Vec<_> =
        target.binds.iter().map(|bind| (bind.column, bind.table.id, &bind.key)).collect();
    format!("{:?} {:?} {:?} {binds:?}", target.key, target.expected_version, target.cells)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_bulk_body_decodes_to_the_targets_it_was_made_of(
        targets in proptest::collection::vec(target(), 1..5)
    ) {
        let catalog = catalog();
        let table = table_of(&catalog, "ship_crate");
        let mut out = Vec::new();
        encode(&mut out, &table, &catalog, MessageName::UpsertMultiple, &targets).unwrap();
        let list = decode(&out, MessageName::UpsertMultiple, &table, &catalog).unwrap();
        let got: Vec<_> = list.targets.iter().map(shown).collect();
        let want: Vec<_> = targets.iter().map(shown).collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn a_single_body_decodes_to_the_target_it_was_made_of(mut target in target()) {
        let catalog = catalog();
        let table = table_of(&catalog, "ship_crate");
        let mut out = Vec::new();
        encode_record(&mut out, &table, &catalog, &target).unwrap();
        let got = decode_record(&out, &table, &catalog).unwrap();
        if let TargetKey::Alternate(_) = target.key {
            target.key = TargetKey::None;
        }
        prop_assert_eq!(shown(&got), shown(&target));
    }

    #[test]
    fn a_version_travels_with_an_update(id: u128, version in 0..i64::MAX) {
        let catalog = catalog();
        let table = table_of(&catalog, "ship_crate");
        let target = Target {
            key: TargetKey::Id(Uuid::from_u128(id)),
            expected_version: Some(version),
            ..Target::default()
        };
        let mut out = Vec::new();
        encode(&mut out, &table, &catalog, MessageName::UpdateMultiple, &[target]).unwrap();
        let list = decode(&out, MessageName::UpdateMultiple, &table, &catalog).unwrap();
        prop_assert_eq!(list.targets[0].expected_version, Some(version));
    }

    #[test]
    fn a_page_reads_back_as_the_rows_it_was_made_of(
        rows in proptest::collection::vec(
            { let catalog = catalog(); row(&catalog, &table_of(&catalog, "ship_crate")) }, 0..4)
    ) {
        let catalog = catalog();
        let table = table_of(&catalog, "ship_crate");
        let columns: Vec<_> = table.indexed_columns().map(|(column, _)| column).collect();
        let filter = wire::prefer::AnnotationFilter::parse("*");
        let writer =
            Writer::new(&table, &catalog, &columns, columns.len()).with_annotations(&filter);
        let mut out = Vec::new();
        write_page(&mut out, &writer, &PageFrame::default(), rows.iter().map(Vec::as_slice));
        let page = read_page(&out, &table, &catalog).unwrap();
        prop_assert_eq!(page.records.len(), rows.len());
        for (record, row) in page.records.iter().zip(&rows) {
            prop_assert_eq!(record.id, row[0].as_id());
            let got: Vec<_> = record.cells.iter().map(|cell| &cell.value).collect();
            let want: Vec<_> = row[1..].iter().collect();
            prop_assert_eq!(got, want);
        }
    }
}
