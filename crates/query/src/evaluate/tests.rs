//! The reference evaluator on small tables; every engine's suite shows the rest.

use super::*;
use crate::tree::Paging;
use model::{
    Column, ColumnId, ColumnKind, Date, Label, LookupTarget, LookupValue, Ownership, RequiredLevel,
    TableDefinition, TableId, TableKind, TextFormat, Timestamp, Uuid,
};
use std::sync::Arc;

/// Columns: id, versionnumber, first, last, owner, computed full name, owner in `user`.
fn table() -> TableDefinition {
    let text = || ColumnKind::Text { max_length: 100, format: TextFormat::Text };
    let lookup = |name: &str| ColumnKind::Lookup {
        kind: model::LookupKind::Plain,
        targets: vec![LookupTarget { table: "user".into(), navigation: name.into() }],
    };
    let place = ColumnIndex;
    let columns = [
        ("userid", ColumnKind::Guid, None),
        ("versionnumber", ColumnKind::BigInt, None),
        ("first", text(), None),
        ("last", text(), None),
        ("owner", lookup("owner"), None),
        ("full", text(), Some(Computed::FullName { first: place(2), last: place(3) })),
        (
            "inside",
            lookup("inside"),
            Some(Computed::OwnerIn { owner: place(4), table: "user".into() }),
        ),
        ("again", text(), Some(Computed::CopyOf { column: place(5) })),
        ("nothing", text(), Some(Computed::Nothing)),
    ];
    let column =
        |(number, (name, kind, computed)): (u32, (&str, ColumnKind, Option<Computed>))| Column {
            id: ColumnId(number),
            metadata_id: Uuid::from_u128(number.into()),
            logical_name: name.into(),
            schema_name: name.into(),
            display_name: Label::default(),
            description: Label::default(),
            kind,
            required: RequiredLevel::None,
            computed,
            is_custom: true,
            is_indexed: false,
            valid_for_create: true,
            valid_for_update: true,
            valid_for_read: true,
            settings: model::ColumnSettings::default(),
        };
    TableDefinition {
        id: TableId(1),
        metadata_id: Uuid::nil(),
        logical_name: "user".into(),
        schema_name: "user".into(),
        entity_set_name: "users".into(),
        collection_schema_name: "users".into(),
        display_name: Label::default(),
        display_collection_name: Label::default(),
        description: Label::default(),
        object_type_code: 1,
        ownership: Ownership::None,
        kind: TableKind::Standard,
        is_custom: true,
        is_intersect: false,
        is_activity: false,
        has_notes: false,
        has_activities: false,
        change_tracking: false,
        optimistic_concurrency: true,
        settings: model::TableSettings::default(),
        columns: (0..).zip(columns).map(column).collect(),
        primary_key: place(0),
        primary_name: None,
        keys: Vec::new(),
    }
}

fn query() -> BoundQuery {
    let table = Arc::new(Table::new(table()));
    let column = |place| ColumnRef::root(ColumnIndex(place));
    BoundQuery {
        catalog: Arc::new(Catalog::new(1, vec![table.clone()], Vec::new())),
        table,
        joins: Vec::new(),
        columns: vec![column(0)],
        filter: None,
        order: vec![Order { column: column(0), descending: false }],
        paging: Paging { size: 10, after: None, skip: 0, look_ahead: true },
        count_max: None,
        shape: crate::Shape::default(),
    }
}

/// Rows 1 to 5 of first and last names; an empty one is null. Rows are as short as they can be.
fn rows() -> Vec<Vec<Value>> {
    let names = [("Ann", "Lee"), ("", "Lee"), ("bob ", ""), ("", ""), ("Bob", "Ax")];
    (1..)
        .zip(names)
        .map(|(number, (first, last))| {
            let id = Value::Guid(Uuid::from_u128(number));
            vec![id, Value::BigInt(1), Value::text(first), Value::text(last)]
        })
        .collect()
}

fn numbers(page: &Page) -> Vec<u128> {
    page.cells.iter().filter_map(Value::as_id).map(|id| id.as_u128()).collect()
}

fn check(change: impl FnOnce(&mut BoundQuery), want: &[u128], more: bool, count: Option<u64>) {
    let mut query = query();
    change(&mut query);
    let rows = rows();
    let page = evaluate(&query, rows.iter().map(Vec::as_slice));
    assert_eq!((numbers(&page).as_slice(), page.more, page.count), (want, more, count));
    assert_eq!(page.rows, want.len());
}

fn by(place: u16, descending: bool) -> Order {
    Order { column: ColumnRef::root(ColumnIndex(place)), descending }
}

#[test]
fn rows_come_in_order_with_nulls_first_or_last() {
    check(|_| {}, &[1, 2, 3, 4, 5], false, None);
    check(|query| query.order.insert(0, by(2, false)), &[2, 4, 1, 3, 5], false, None);
    check(|query| query.order.insert(0, by(2, true)), &[3, 5, 1, 2, 4], false, None);
    check(|query| query.order = vec![by(3, true), by(0, true)], &[2, 1, 5, 4, 3], false, None);
}

#[test]
fn a_page_starts_strictly_after_the_row_it_names() {
    let page = |size, after: Option<Vec<Value>>| {
        move |query: &mut BoundQuery| {
            query.order.insert(0, by(2, false));
            query.paging.size = size;
            query.paging.after = after;
            query.count_max = Some(3);
        }
    };
    let after = |first: Value, number| Some(vec![first, Value::Guid(Uuid::from_u128(number))]);
    check(page(2, None), &[2, 4], true, Some(4));
    check(page(2, after(Value::Null, 4)), &[1, 3], true, Some(4));
    check(page(2, after(Value::text("BOB"), 3)), &[5], false, Some(4));
    check(page(2, after(Value::text("bob"), 5)), &[], false, Some(4));
    check(page(0, None), &[], true, Some(4));
}

#[test]
fn computed_columns_read_filter_and_order() {
    let query = query();
    let user = |table| LookupValue { table: TableId(table), id: Uuid::from_u128(7) };
    let full = |owner: Value| {
        let row = [Value::Null, Value::Null, Value::text("Ann"), Value::text("Lee"), owner];
        complete(&query.catalog, &query.table, &row)
    };
    let inside = full(Value::Lookup(user(1)));
    assert_eq!(
        inside[5..],
        [Value::text("Ann Lee"), Value::Lookup(user(1)), Value::text("Ann Lee"), Value::Null]
    );
    assert_eq!(full(Value::Lookup(user(2)))[6], Value::Null);
    check(|query| query.order.insert(0, by(5, false)), &[4, 1, 3, 5, 2], false, None);
    let is = |text: &str| Filter::Compare {
        column: ColumnRef::root(ColumnIndex(7)),
        compare: Compare::Equal,
        value: Value::text(text),
    };
    check(|query| query.filter = Some(is("ANN LEE")), &[1], false, None);
    check(|query| query.filter = Some(is("lee")), &[2], false, None);
}

#[test]
fn conditions_are_true_or_false_and_never_unknown() {
    let column = |place| ColumnRef::root(ColumnIndex(place));
    let (first, last) = (column(2), column(3));
    let compare = |compare| Filter::Compare { column: first, compare, value: Value::text("BOB") };
    let columns = |compare| Filter::CompareColumns { left: first, compare, right: last };
    let text = |negated| Filter::Text {
        column: first,
        matches: Match::Contains,
        text: "O".into(),
        negated,
    };
    let list = |negated| Filter::In {
        column: first,
        values: vec![Value::text("ann "), Value::text("x")],
        negated,
    };
    let cases: [(Filter, &[u128]); 15] = [
        (compare(Compare::Equal), &[3, 5]),
        (compare(Compare::NotEqual), &[1, 2, 4]),
        (compare(Compare::Less), &[1]),
        (compare(Compare::LessOrEqual), &[1, 3, 5]),
        (compare(Compare::Greater), &[]),
        (columns(Compare::Equal), &[]),
        (columns(Compare::NotEqual), &[1, 2, 3, 5]),
        (columns(Compare::Greater), &[5]),
        (text(false), &[3, 5]),
        (text(true), &[1, 2, 4]),
        (list(false), &[1]),
        (list(true), &[2, 3, 4, 5]),
        (Filter::IsNull { column: last, negated: false }, &[3, 4]),
        (Filter::And(vec![text(true), list(true)]), &[2, 4]),
        (Filter::Or(vec![list(false), Filter::And(vec![text(false)])]), &[1, 3, 5]),
    ];
    let query = query();
    for (filter, want) in cases {
        let all = rows();
        let found =
            (1..).zip(&all).filter(|(_, row)| matches(&query.catalog, &query.table, &filter, row));
        let found: Vec<u128> = found.map(|(number, _)| number).collect();
        assert_eq!(found, want, "{filter:?}");
    }
}

#[test]
fn values_of_every_kind_have_an_order() {
    let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
    let guid = |number| Value::Guid(Uuid::from_u128(number));
    let lookup = |table, number| {
        Value::Lookup(LookupValue { table: TableId(table), id: Uuid::from_u128(number) })
    };
    let ascending = [
        vec![Value::Null, Value::text("_"), Value::text("A "), Value::text("b"), Value::text("ä")],
        vec![Value::Null, Value::Integer(i32::MIN), Value::Integer(-1), Value::Integer(0)],
        vec![Value::BigInt(i64::MIN), Value::BigInt(9), Value::BigInt(i64::MAX)],
        vec![decimal("-1.5"), decimal("-1.49"), decimal("0.00"), decimal("10")],
        vec![Value::Double(-0.1), Value::Double(0.0), Value::Double(f64::MIN_POSITIVE)],
        vec![Value::Boolean(false), Value::Boolean(true)],
        vec![Value::DateTime(Timestamp(-1)), Value::DateTime(Timestamp(0))],
        vec![Value::Date(Date(-1)), Value::Date(Date(0))],
        vec![guid(1), guid(2), guid(1 << 127)],
        vec![lookup(1, 1), lookup(2, 1), lookup(1, 2)],
    ];
    for values in ascending {
        for (left_place, left) in values.iter().enumerate() {
            for (right_place, right) in values.iter().enumerate() {
                assert_eq!(
                    compare(left, right),
                    left_place.cmp(&right_place),
                    "{left:?} {right:?}"
                );
            }
        }
    }
    let equal = [
        (Value::text("Ab "), Value::text("aB")),
        (decimal("1.0"), decimal("1.00")),
        (Value::Double(0.0), Value::Double(-0.0)),
        (lookup(1, 7), guid(7)),
        (guid(7), lookup(2, 7)),
        (Value::Integer(2), Value::BigInt(2)),
    ];
    for (left, right) in equal {
        assert_eq!(compare(&left, &right), Ordering::Equal, "{left:?} {right:?}");
    }
}
