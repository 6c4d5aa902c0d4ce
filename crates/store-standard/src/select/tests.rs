//! Statements as text: what the suite cannot see, such as where an index can start.

use super::*;
use crate::sqlite::dialect::Sqlite;
use model::{Table, Uuid};
use query::{Exists, Join, JoinKind, Paging};
use std::sync::Arc;
use store::conformance::fixture::{TableBuilder, decimal, integer, lookup, place_of, text};
use store::{SchemaOp, apply_ops};

const SELECT: &str = "SELECT c1 FROM t7";

fn catalog() -> Arc<Catalog> {
    let ops: Vec<SchemaOp> = vec![
        TableBuilder::new(3, "account").create(),
        TableBuilder::new(4, "contact").create(),
        TableBuilder::new(7, "crate")
            .column("name", text(100)) // c3
            .primary_name("name")
            .column("note", text(100)) // c4
            .column("count", integer()) // c5
            .column("weight", decimal(2, 1_000)) // c6
            .column("holder", lookup("holder", &["account", "contact"])) // c7
            .create(),
    ];
    Arc::new(apply_ops(&Catalog::default(), &ops).expect("the tables are sound"))
}

fn of(table: &Table, name: &str) -> ColumnRef {
    ColumnRef::root(place_of(table.definition(), name))
}

/// The statement of a query: `want` is its text between the table and the limit.
fn check(ask: impl FnOnce(&Table, &mut BoundQuery), want: &str) {
    let catalog = catalog();
    let table = catalog.table("crate").expect("it was made").clone();
    let mut query = BoundQuery {
        paging: Paging { size: 10, after: None, skip: 0, look_ahead: true },
        ..BoundQuery::by_key(&catalog, &table)
    };
    ask(&table, &mut query);
    let select = page(&query, &Sqlite);
    let limit = format!(" LIMIT ?{}", select.params.len());
    let text = select.sql.strip_prefix(SELECT).and_then(|text| text.strip_suffix(&limit));
    assert_eq!(text, Some(want), "{}", select.sql);
    assert_eq!(select.params.last(), Some(&Param::BigInt(11)));
}

fn check_filter(filter: impl FnOnce(&Table) -> Filter, want: &str) {
    let want = format!(" WHERE {want} ORDER BY c1");
    check(|table, query| query.filter = Some(filter(table)), &want);
}

fn compare(table: &Table, name: &str, compare: Compare, value: Value) -> Filter {
    Filter::Compare { column: of(table, name), compare, value }
}

#[test]
fn text_is_compared_by_its_fold_where_it_is_kept_and_by_function_elsewhere() {
    let a = || Value::text("A ");
    check_filter(|table| compare(table, "name", Compare::Equal, a()), "c3f = ?1");
    check_filter(|table| compare(table, "note", Compare::Greater, a()), "fold(c4) > ?1");
    check_filter(
        |table| compare(table, "note", Compare::NotEqual, a()),
        "fold(c4) IS DISTINCT FROM ?1",
    );
}

#[test]
fn the_start_of_a_text_is_a_range() {
    let starts = |table: &Table, text: &str, negated| Filter::Text {
        column: of(table, "name"),
        matches: Match::StartsWith,
        text: text.into(),
        negated,
    };
    check_filter(|table| starts(table, "Ab", false), "(c3f >= ?1 AND c3f < ?2)");
    check_filter(|table| starts(table, "Ab", true), "(c3 IS NULL OR c3f < ?1 OR c3f >= ?2)");
    check_filter(|table| starts(table, "\u{10ffff}", false), "(c3f >= ?1)");
    check_filter(|table| starts(table, "", false), "c3 IS NOT NULL");
    check_filter(|table| starts(table, "", true), "c3 IS NULL");
    assert_eq!(successor("ab").as_deref(), Some("ac"));
    assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
    assert_eq!(successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
}

#[test]
fn a_decimal_between_two_values_of_the_column_is_compared_with_the_lower_one() {
    let number = |text: &str| Value::Decimal(text.parse().expect("a decimal"));
    let weight = |how, text: &str| {
        let value = number(text);
        move |table: &Table| compare(table, "weight", how, value)
    };
    check_filter(weight(Compare::Equal, "1.5"), "c6 = ?1");
    check_filter(weight(Compare::Equal, "1.505"), "FALSE");
    check_filter(weight(Compare::NotEqual, "1.505"), "TRUE");
    check_filter(weight(Compare::GreaterOrEqual, "1.505"), "c6 > ?1");
    check_filter(weight(Compare::Less, "-1.505"), "c6 <= ?1");
    check_filter(weight(Compare::Less, "79228162514264337593543950335"), "c6 IS NOT NULL");
    check_filter(weight(Compare::Greater, "79228162514264337593543950335"), "FALSE");
    assert_eq!(scaled("-1.505".parse().expect("a decimal"), 2), None);
    assert_eq!(scaled("-1.50".parse().expect("a decimal"), 1), Some(-15));
}

#[test]
fn lists_are_one_parameter_whatever_their_length() {
    let list = |table: &Table, count: i32, negated| Filter::In {
        column: of(table, "count"),
        values: (0..count).map(Value::Integer).collect(),
        negated,
    };
    let want = "c5 IN (SELECT value FROM rarray(?1))";
    check_filter(|table| list(table, 1, false), want);
    check_filter(|table| list(table, 1_000, false), want);
    check_filter(
        |table| list(table, 2, true),
        "(c5 IS NULL OR c5 NOT IN (SELECT value FROM rarray(?1)))",
    );
    check_filter(|table| list(table, 0, false), "FALSE");
    check_filter(|table| list(table, 0, true), "TRUE");
}

#[test]
fn a_page_after_a_row_starts_where_an_index_can() {
    let after = |orders: &[(&str, bool)], values: Vec<Value>| {
        let orders: Vec<(String, bool)> =
            orders.iter().map(|(name, descending)| ((*name).into(), *descending)).collect();
        move |table: &Table, query: &mut BoundQuery| {
            let key = query.order.remove(0);
            query.order = orders
                .iter()
                .map(|(name, descending)| Order {
                    column: of(table, name),
                    descending: *descending,
                })
                .collect();
            query.order.push(key);
            query.paging.after = Some(values);
        }
    };
    let key = || Value::Guid(Uuid::nil());
    check(after(&[], vec![key()]), " WHERE ((c1 > ?1)) ORDER BY c1");
    check(
        after(&[("name", false)], vec![Value::text("a"), key()]),
        " WHERE (c3f >= ?1 AND (c3f > ?2 OR (c3f = ?3 AND (c1 > ?4)))) ORDER BY c3f, c1",
    );
    check(
        after(&[("name", true)], vec![Value::text("a"), key()]),
        " WHERE (((c3f < ?1 OR c3 IS NULL) OR (c3f = ?2 AND (c1 > ?3)))) ORDER BY c3f DESC, c1",
    );
    check(
        after(&[("count", true)], vec![Value::Null, key()]),
        " WHERE ((FALSE OR (c5 IS NULL AND (c1 > ?1)))) ORDER BY c5 DESC, c1",
    );
}

#[test]
fn a_lookup_with_several_targets_is_ordered_by_id_and_then_by_table() {
    check(
        |table, query| {
            query.order.insert(0, Order { column: of(table, "holder"), descending: true });
        },
        " ORDER BY c7 DESC, c7t DESC, c1",
    );
}

#[test]
fn joined_tables_and_their_columns_have_aliases() {
    let catalog = catalog();
    let table = catalog.table("crate").expect("it was made").clone();
    let account = catalog.table("account").expect("it was made").clone();
    let mut query = BoundQuery {
        paging: Paging { size: 10, after: None, skip: 20, look_ahead: true },
        ..BoundQuery::by_key(&catalog, &table)
    };
    let own = |source, name: &str| ColumnRef { source, ..of(&table, name) };
    let join =
        |to, kind, on| Join { table: account.clone(), from: account.primary_key, to, kind, on };
    query.joins.push(join(own(0, "holder"), JoinKind::Outer, None));
    let heavy = Filter::Compare {
        column: own(2, "count"),
        compare: Compare::Greater,
        value: Value::Integer(5),
    };
    query.joins.push(Join {
        table: table.clone(),
        from: of(&table, "name").column,
        to: own(0, "note"),
        kind: JoinKind::Inner,
        on: Some(heavy),
    });
    query.filter = Some(Filter::IsNull { column: own(2, "weight"), negated: true });
    query.columns.push(ColumnRef { source: 1, column: account.primary_key });
    assert_eq!(
        page(&query, &Sqlite).sql,
        "SELECT j0.c1, j1.c1 FROM t7 AS j0 LEFT JOIN t3 AS j1 ON j1.c1 = j0.c7 AND 3 = j0.c7t \
         JOIN t7 AS j2 ON j2.c3f = fold(j0.c4) AND j2.c5 > ?1 WHERE j2.c6 IS NOT NULL \
         ORDER BY j0.c1 LIMIT ?2 OFFSET ?3"
    );
}

#[test]
fn rows_of_other_tables_are_looked_for_under_names_of_their_own() {
    let catalog = catalog();
    let account = catalog.table("account").expect("it was made").clone();
    let holder = |table: &Table| of(table, "holder");
    let by_key = |to| Exists::new(&account, account.primary_key, to);
    check_filter(
        |table| by_key(holder(table)).into(),
        "EXISTS (SELECT 1 FROM t3 AS e1s0 WHERE e1s0.c1 = t7.c7 AND 3 = t7.c7t)",
    );
    let heavy = |table: &Table| compare(table, "count", Compare::Greater, Value::Integer(5));
    check(
        |table, query| {
            // The table of the query itself, two levels deep.
            let own = query.table.clone();
            let inner =
                Exists::new(&own, holder(&own).column, ColumnRef::root(account.primary_key));
            let lighter = Filter::CompareOuter {
                column: of(table, "count"),
                compare: Compare::Less,
                levels: 2,
                outer: of(table, "count"),
                negated: false,
            };
            let inner = inner.with(Filter::And(vec![heavy(table), lighter])).negate();
            query.filter = Some(by_key(holder(table)).with(inner.into()).into());
        },
        " WHERE EXISTS (SELECT 1 FROM t3 AS e1s0 WHERE e1s0.c1 = t7.c7 AND 3 = t7.c7t AND \
         NOT EXISTS (SELECT 1 FROM t7 AS e2s0 WHERE e2s0.c7 = e1s0.c1 AND e2s0.c7t = 3 AND \
         (e2s0.c5 > ?1 AND (e2s0.c5 < t7.c5)))) ORDER BY c1",
    );
    let mut joined = by_key(ColumnRef::root(account.primary_key));
    joined.joins.push(Join {
        table: account.clone(),
        from: account.primary_key,
        to: ColumnRef::root(account.primary_key),
        kind: JoinKind::Inner,
        on: None,
    });
    check_filter(
        |table| {
            joined.to = holder(table);
            Filter::And(vec![joined.into(), heavy(table)])
        },
        "(EXISTS (SELECT 1 FROM t3 AS e1s0 JOIN t3 AS e1s1 ON e1s1.c1 = e1s0.c1 \
         WHERE e1s0.c1 = t7.c7 AND 3 = t7.c7t) AND c5 > ?1)",
    );
}
