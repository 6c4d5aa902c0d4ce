//! `$filter`: what binds to what, and that printing and parsing undo each other.

use crate::sample;
use model::{ColumnIndex, ColumnKind, Date, Decimal, Table, Timestamp, Uuid, Value};
use proptest::prelude::*;
use query::odata::{self, Options};
use query::{ColumnRef, Compare, Error, Exists, Filter, Hierarchy, Line, Match, Pattern};
use std::fmt::Write;

fn parse(filter: &str, aliases: &str) -> Result<Filter, Error> {
    parse_any(filter, aliases).map(|filter| filter.expect("a filter"))
}

fn parse_any(filter: &str, aliases: &str) -> Result<Option<Filter>, Error> {
    let (catalog, table) = sample::catalog();
    let options = sample::options(filter, aliases)?;
    let parsed = odata::parse(&catalog, &table, &options)?;
    Ok(parsed.query.filter)
}

/// A filter as OData text, in the one form that parses back to the same tree.
fn print(table: &Table, filter: &Filter) -> String {
    print_in(table, filter, "")
}

/// The same inside of lambdas, whose range variable and slash come before every path.
fn print_in(table: &Table, filter: &Filter, range: &str) -> String {
    let bare = |column: &ColumnRef| match column.source {
        0 => table.value_name(column.column).to_owned(),
        source => format!("{source}/{}", table.value_name(column.column)),
    };
    let name = |column: &ColumnRef| format!("{range}{}", bare(column));
    match filter {
        Filter::And(all) => print_list(table, all, " and ", range),
        Filter::Or(any) => print_list(table, any, " or ", range),
        Filter::Compare { column, compare, value } => {
            format!("{} {} {}", name(column), operator(*compare), literal(value))
        }
        Filter::CompareColumns { left, compare, right } => {
            format!("{} {} {}", name(left), operator(*compare), name(right))
        }
        Filter::IsNull { column, negated } => {
            format!("{} {} null", name(column), if *negated { "ne" } else { "eq" })
        }
        Filter::In { column, values, negated } => {
            let function = if *negated { "NotIn" } else { "In" };
            let values = values.iter().map(|value| match value {
                Value::Text(text) => literal(&Value::Text(text.clone())),
                other => format!("\"{}\"", literal(other)),
            });
            let values = values.collect::<Vec<_>>().join(",");
            let name = bare(column);
            format!(
                "{range}Microsoft.Dynamics.CRM.{function}(PropertyName='{name}',PropertyValues=[{values}])"
            )
        }
        Filter::Choices { column, values, negated } => {
            let function = if *negated { "DoesNotContainValues" } else { "ContainValues" };
            let values = values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>();
            let (name, values) = (bare(column), values.join(","));
            format!(
                "{range}Microsoft.Dynamics.CRM.{function}(PropertyName='{name}',PropertyValues=[{values}])"
            )
        }
        Filter::Like { column, pattern, negated } => {
            let text = pattern.text().replace('\'', "''");
            let start = text.strip_suffix('%').expect("an open end");
            let not = if *negated { "not " } else { "" };
            format!("{not}startswith({},'{start}')", name(column))
        }
        Filter::Hierarchy(hierarchy) if !hierarchy.negated => {
            let Hierarchy { column, of, line, .. } = &**hierarchy;
            let function = if *line == Line::Under { "Under" } else { "Above" };
            let name = bare(column);
            format!(
                "{range}Microsoft.Dynamics.CRM.{function}(PropertyName='{name}',PropertyValue='{of}')"
            )
        }
        Filter::Exists(exists) => {
            let not = if exists.negated { "not " } else { "" };
            let inner = format!("{}o", range.trim_end_matches('/'));
            let filter = exists.filter.as_ref();
            let filter = filter
                .map(|filter| format!("{inner}:{}", print_in(table, filter, &format!("{inner}/"))));
            format!("{not}{range}held/any({})", filter.unwrap_or_default())
        }
        Filter::Hierarchy(_) | Filter::CompareOuter { .. } | Filter::Ranges { .. } => {
            unreachable!("not made here")
        }
        Filter::Text { column, matches, text, negated } => {
            let function = match matches {
                Match::Contains => "contains",
                Match::StartsWith => "startswith",
                Match::EndsWith => "endswith",
            };
            let mut pattern = String::new();
            for part in text.chars() {
                match part {
                    '%' | '_' | '[' => write!(pattern, "[{part}]").expect("to a string"),
                    '\'' => pattern.push_str("''"),
                    _ => pattern.push(part),
                }
            }
            let not = if *negated { "not " } else { "" };
            format!("{not}{function}({},'{pattern}')", name(column))
        }
    }
}

fn print_list(table: &Table, list: &[Filter], between: &str, range: &str) -> String {
    let items = list.iter().map(|item| match item {
        Filter::And(_) | Filter::Or(_) => format!("({})", print_in(table, item, range)),
        _ => print_in(table, item, range),
    });
    items.collect::<Vec<_>>().join(between)
}

fn operator(compare: Compare) -> &'static str {
    match compare {
        Compare::Equal => "eq",
        Compare::NotEqual => "ne",
        Compare::Greater => "gt",
        Compare::GreaterOrEqual => "ge",
        Compare::Less => "lt",
        Compare::LessOrEqual => "le",
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Integer(number) => number.to_string(),
        Value::BigInt(number) => number.to_string(),
        Value::Decimal(number) => number.to_string(),
        Value::Double(number) => format!("{number:e}"),
        Value::Boolean(yes) => yes.to_string(),
        Value::DateTime(at) => at.to_string(),
        Value::Date(day) => day.to_string(),
        Value::Guid(id) => id.to_string(),
        Value::Null | Value::Lookup(_) | Value::Choices(_) => unreachable!("no literal"),
    }
}

fn value_of(kind: &ColumnKind) -> BoxedStrategy<Value> {
    match kind {
        ColumnKind::Guid | ColumnKind::Lookup { .. } => {
            any::<u128>().prop_map(|id| Value::Guid(Uuid::from_u128(id))).boxed()
        }
        ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::TableName => {
            "\\PC{1,12}".prop_map(Value::text).boxed()
        }
        ColumnKind::BigInt => any::<i64>().prop_map(Value::BigInt).boxed(),
        ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => (-999_999i64..999_999)
            .prop_map(|number| Value::Decimal(Decimal::new(number, 2).normalize()))
            .boxed(),
        ColumnKind::Double { .. } => (-1e9f64..1e9).prop_map(Value::Double).boxed(),
        ColumnKind::Boolean { .. } => any::<bool>().prop_map(Value::Boolean).boxed(),
        ColumnKind::DateTime { behavior: model::DateTimeBehavior::DateOnly, .. } => {
            (-79_000i32..2_900_000).prop_map(|day| Value::Date(Date(day))).boxed()
        }
        ColumnKind::DateTime { .. } => (Timestamp::MIN.0..=Timestamp::MAX.0)
            .prop_map(|second| Value::DateTime(Timestamp(second)))
            .boxed(),
        _ => any::<i32>().prop_map(Value::Integer).boxed(),
    }
}

fn any_compare() -> impl Strategy<Value = Compare> {
    prop_oneof![
        Just(Compare::Equal),
        Just(Compare::NotEqual),
        Just(Compare::Greater),
        Just(Compare::GreaterOrEqual),
        Just(Compare::Less),
        Just(Compare::LessOrEqual),
    ]
}

fn any_leaf() -> BoxedStrategy<Filter> {
    let (_, table) = sample::catalog();
    let columns: Vec<(ColumnRef, ColumnKind)> = table
        .indexed_columns()
        .map(|(column, definition)| (ColumnRef::root(column), definition.kind.clone()))
        .filter(|(_, kind)| !matches!(kind, ColumnKind::MultiChoice { .. }))
        .collect();
    let against = (proptest::sample::select(columns.clone()), any_compare())
        .prop_flat_map(move |((column, kind), compare)| {
            value_of(&kind).prop_map(move |value| Filter::Compare { column, compare, value })
        })
        .boxed();
    let among = (proptest::sample::select(columns.clone()), any::<bool>())
        .prop_flat_map(|((column, kind), negated)| {
            let values = proptest::collection::vec(value_of(&kind), 1..4);
            values.prop_map(move |mut values| {
                let mut seen = Vec::new();
                values.retain(|value| {
                    let new = !seen.contains(value);
                    seen.push(value.clone());
                    new
                });
                Filter::In { column, values, negated }
            })
        })
        .boxed();
    let null = (proptest::sample::select(columns), any::<bool>())
        .prop_map(|((column, _), negated)| Filter::IsNull { column, negated })
        .boxed();
    let found = (
        prop_oneof![Just(Match::Contains), Just(Match::StartsWith), Just(Match::EndsWith)],
        "\\PC{1,12}",
        any::<bool>(),
    )
        .prop_map(|(matches, text, negated)| Filter::Text {
            column: ColumnRef::root(ColumnIndex(1)),
            matches,
            text: text.into(),
            negated,
        })
        .boxed();
    let columns = any_compare()
        .prop_map(|compare| Filter::CompareColumns {
            left: ColumnRef::root(ColumnIndex(5)),
            compare,
            right: ColumnRef::root(ColumnIndex(17)),
        })
        .boxed();
    let like = ("[A-c_%^\\[\\]-]{0,6}[_\\[]", any::<bool>())
        .prop_map(|(text, negated)| (format!("{text}%"), negated))
        .prop_filter("wild cards inside", |(text, _)| {
            Pattern::simple(text).is_none()
                && Pattern::parse(text).parts().last() == Some(&query::Part::Any)
        })
        .prop_map(|(text, negated)| Filter::Like {
            column: ColumnRef::root(ColumnIndex(1)),
            pattern: Pattern::parse(&text),
            negated,
        })
        .boxed();
    let choices = (proptest::collection::btree_set(1..5_i32, 1..4), any::<bool>())
        .prop_map(|(values, negated)| Filter::Choices {
            column: ColumnRef::root(ColumnIndex(12)),
            values: values.into_iter().collect(),
            negated,
        })
        .boxed();
    prop_oneof![
        2 => against,
        2 => among,
        1 => null,
        1 => found,
        1 => columns,
        1 => like,
        1 => choices,
    ]
    .boxed()
}

fn held(filter: Option<Filter>, negated: bool) -> Filter {
    let (_, table) = sample::catalog();
    let from = table.index_of("holder").expect("it exists");
    let mut exists = Exists::new(&table, from, ColumnRef::root(table.primary_key));
    exists.filter = filter;
    exists.negated = negated;
    exists.into()
}

fn any_filter() -> impl Strategy<Value = Filter> {
    any_leaf().prop_recursive(4, 24, 4, |inner| {
        let list = proptest::collection::vec(inner.clone(), 2..4);
        let related = (proptest::option::of(inner), any::<bool>());
        prop_oneof![
            list.clone().prop_map(Filter::And),
            list.prop_map(Filter::Or),
            related.prop_map(|(filter, negated)| held(filter, negated)),
        ]
    })
}

fn any_row() -> impl Strategy<Value = Vec<Value>> {
    let (_, table) = sample::catalog();
    let columns = table.indexed_columns().map(|(_, column)| match column.kind {
        ColumnKind::MultiChoice { .. } => proptest::collection::btree_set(1..5_i32, 0..3)
            .prop_map(|set| match set.is_empty() {
                true => Value::Null,
                false => Value::Choices(set.into_iter().collect()),
            })
            .boxed(),
        _ => prop_oneof![Just(Value::Null), value_of(&column.kind)].boxed(),
    });
    columns.collect::<Vec<_>>()
}

/// The filter with the row's own values in its comparisons.
fn aimed_at(row: &[Value], filter: Filter) -> Filter {
    let own = |list: Vec<Filter>| list.into_iter().map(|one| aimed_at(row, one)).collect();
    match filter {
        Filter::And(all) => Filter::And(own(all)),
        Filter::Or(any) => Filter::Or(own(any)),
        Filter::Compare { column, compare, value } => {
            let held = &row[usize::from(column.column.0)];
            let value = if held.is_null() { value } else { held.clone() };
            Filter::Compare { column, compare, value }
        }
        other => other,
    }
}

proptest! {
    #[test]
    fn printing_and_parsing_a_filter_gives_it_back(filter in any_filter()) {
        let (_, table) = sample::catalog();
        let text = print(&table, &filter);
        prop_assert_eq!(parse(&text, ""), Ok(filter), "{}", text);
    }

    #[test]
    fn a_row_is_held_by_a_filter_or_by_its_negation(
        filter in any_filter(), row in any_row(), swap in any::<bool>(),
    ) {
        let (catalog, table) = sample::catalog();
        // Values of the row stand in the filter, too, so that equality is met.
        let filter = if swap { aimed_at(&row, filter) } else { filter };
        let mut query = odata::parse(&catalog, &table, &Options::default()).expect("all").query;
        let mut holds = |filter: Filter| {
            query.filter = Some(filter);
            query::evaluate(&query, [row.as_slice()]).rows == 1
        };
        prop_assert_ne!(holds(filter.clone()), holds(odata::negate(filter)));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        drop(parse_any(&text, ""));
    }

    #[test]
    fn any_run_of_filter_words_is_read_or_refused(words in proptest::collection::vec(
        prop_oneof![
            Just("name"), Just("size"), Just("eq"), Just("gt"), Just("and"), Just("or"),
            Just("not"), Just("("), Just(")"), Just("'a'"), Just("5"), Just("null"), Just(","),
            Just("contains("), Just("Microsoft.Dynamics.CRM.In("), Just("PropertyName='size'"),
            Just("PropertyValues="), Just("["), Just("]"), Just("@a"), Just("/"), Just("any"),
            Just("held/any("), Just("o:"), Just("o/size"), Just("holder/"), Just("o/held/all("),
            Just("Microsoft.Dynamics.CRM.Today("), Just("tolower("),
        ],
        0..16,
    )) {
        drop(parse_any(&words.join(" "), "@a=5"));
    }
}

/// The tree of one text, printed, which is the text of the same tree.
fn check(text: &str, want: &str) {
    let (_, table) = sample::catalog();
    let filter = parse(text, "@n=5&@t='x'&@c=size").unwrap_or_else(|err| panic!("{text}: {err}"));
    assert_eq!(print(&table, &filter), want, "{text}");
}

fn check_refused(text: &str, want: &str) {
    let err = parse(text, "@c=size").expect_err(text).to_string();
    assert!(err.contains(want), "{text}: {err}");
}

#[test]
fn operators_bind_as_documented() {
    check("size eq 1 or size eq 2 and size eq 3", "size eq 1 or (size eq 2 and size eq 3)");
    check("(size eq 1 or size eq 2) and size eq 3", "(size eq 1 or size eq 2) and size eq 3");
    check("5 lt size", "size gt 5");
    check("5 eq size", "size eq 5");
    check("size eq @n and name eq @t", "size eq 5 and name eq 'x'");
    check("@c eq 5", "size eq 5");
    check("size eq @absent", "size eq null");
    check("weight gt target", "weight gt target");
    check("((size eq 1))", "size eq 1");
    check("tolower(name) eq 'X'", "name eq 'X'");
    check("contains(tolower(name),tolower('X'))", "contains(name,'X')");
    let id = "0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10";
    check(&format!("_holder_value gt {id}"), &format!("_holder_value gt {id}"));
}

/// The tree of one text over joined tables, and what is joined: per table, to which source's column.
fn check_joined(text: &str, want: &str, joins: &[(u16, &str)]) {
    let (catalog, table) = sample::catalog();
    let options = sample::options(text, "@n=5&@t='x'").expect("decodes");
    let query =
        odata::parse(&catalog, &table, &options).unwrap_or_else(|err| panic!("{err}")).query;
    let filter = query.filter.as_ref().expect("there is a filter");
    assert_eq!(print(&table, filter), want, "{text}");
    let made = query.joins.iter().map(|join| {
        assert_eq!((join.from, join.kind), (table.primary_key, query::JoinKind::Outer));
        (join.to.source, table.value_name(join.to.column))
    });
    assert_eq!(made.collect::<Vec<_>>(), joins, "{text}");
}

#[test]
fn a_path_reads_a_column_of_the_record_that_a_lookup_points_to() {
    let once: &[(u16, &str)] = &[(0, "_holder_value")];
    check_joined("holder/name eq @t", "1/name eq 'x'", once);
    check_joined("@t eq holder/name and size eq 1", "1/name eq 'x' and size eq 1", once);
    check_joined("holder/size gt 1 or holder/size eq 2", "1/size gt 1 or 1/size eq 2", once);
    check_joined("not (holder/size gt @n)", "1/size le 5 or 1/size eq null", once);
    check_joined("contains(holder/name,'a')", "contains(1/name,'a')", once);
    check_joined("name eq holder/name", "name eq 1/name", once);
    check_joined("holder/_holder_value eq null", "1/_holder_value eq null", once);
    check_joined(
        "holder/holder/name eq 'a' and holder/size eq 1",
        "2/name eq 'a' and 1/size eq 1",
        &[(0, "_holder_value"), (1, "_holder_value")],
    );
    check_joined(
        "Microsoft.Dynamics.CRM.In(PropertyName='holder/size',PropertyValues=[\"5\"])",
        "Microsoft.Dynamics.CRM.In(PropertyName='1/size',PropertyValues=[\"5\"])",
        once,
    );
}

#[test]
fn a_path_through_several_tables_reads_the_column_of_the_one_that_is_meant() {
    let (catalog, table) = sample::catalog();
    let bind = |text: &str| {
        let options = sample::options(text, "").expect("decodes");
        odata::parse(&catalog, &table, &options).unwrap_or_else(|err| panic!("{err}")).query
    };
    let query = bind("ownerid/name eq 'x'");
    let want = "(1/thingid ne null and 1/name eq 'x') or (1/thingid eq null and 1/name eq 'x')";
    assert_eq!(query.filter.map(|filter| print(&table, &filter)).as_deref(), Some(want));
    assert_eq!(query.joins.len(), 1);
    assert_eq!(bind("contains(ownerid/name,'x') or 'x' lt ownerid/name").joins.len(), 1);
    assert_eq!(bind("ownerid/versionnumber gt 1").joins.len(), 1);
    check_refused("ownerid/nothing eq 1", "`ownerid/nothing`");
    check_refused("ownerid/name eq ownerid/label", "several tables");
}

#[test]
fn a_path_that_leads_nowhere_or_too_far_is_named() {
    check_refused("holder/nam eq 1", "`nam`");
    check_refused("name/name eq 'a'", "`name`");
    check_refused("holder/holder eq null", "`holder`");
    check_refused("holder/ eq null", "`eq`");
    check_refused("holder//name eq null", "syntax error");
    check_refused("absent/name eq 'a'", "`absent`");
    let deep = "holder/".repeat(16);
    check_refused(&format!("{deep}name eq 'a'"), "15");
}

#[test]
fn not_is_the_exact_complement() {
    check("not (size eq 1)", "size ne 1");
    check("not (size gt 1)", "size le 1 or size eq null");
    check("not size gt 1", "size le 1 or size eq null");
    check("not (size eq 1 or name eq 'a')", "size ne 1 and name ne 'a'");
    check("not not size eq 1", "size eq 1");
    check("not (not (not (size gt 1)))", "size le 1 or size eq null");
    check(
        "not (size eq 1 and not (name eq 'a' or size gt 2))",
        "size ne 1 or (name eq 'a' or size gt 2)",
    );
    check("not contains(name,'a')", "not contains(name,'a')");
    check("not (name eq null)", "name ne null");
    check("not (weight gt target)", "weight le target or weight eq null or target eq null");
}

#[test]
fn literals_take_the_type_of_the_column() {
    check("name eq ''", "name eq null");
    check("name ne ''", "name ne null");
    check("null eq name", "name eq null");
    check("done eq 1", "done eq true");
    check("color eq '3'", "color eq 3");
    check("weight eq 1.50", "weight eq 1.5");
    check("weight gt 1.505", "weight gt 1.5");
    check("weight lt 1.505", "weight le 1.5");
    check("size ge 1.5", "size gt 1");
    check("size lt 1e3", "size lt 1000");
    check("size lt 99999999999", "size ne null");
    check("price gt 1e99", "");
    check("at ge 2024-01-31", "at ge 2024-01-31T00:00:00Z");
    check("at ge 2024-01-31T08:15:00.1234567+02:00", "at gt 2024-01-31T06:15:00Z");
    check("day eq 2024-01-31T08:15:00Z", "day eq 2024-01-31");
    let id = "0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10";
    for form in [format!("'{id}'"), format!("{{{id}}}"), id.to_uppercase(), id.to_owned()] {
        check(&format!("thingid eq {form}"), &format!("thingid eq {id}"));
        check(&format!("_holder_value ne {form}"), &format!("_holder_value ne {id}"));
    }
    check("tags eq null", "tags eq null");
    check("kind_of eq 'thing'", "kind_of eq 'thing'");
    check("contains(name,'')", "name ne null");
    check("contains(name, 'a[%]b[_]c[[]d')", "contains(name,'a[%]b[_]c[[]d')");
}

#[test]
fn query_functions_become_conditions() {
    let call =
        |name: &str, rest: &str| format!("Microsoft.Dynamics.CRM.{name}(PropertyName={rest})");
    check(
        &call("In", "'size',PropertyValues=[\"1\",2,'1']"),
        "Microsoft.Dynamics.CRM.In(PropertyName='size',PropertyValues=[\"1\",\"2\"])",
    );
    check(&call("Between", "'size',PropertyValues=['1','5']"), "size ge 1 and size le 5");
    check(
        &call("NotBetween", "'size',PropertyValues=['1','5']"),
        "(size lt 1 or size eq null) or (size gt 5 or size eq null)",
    );
    check(
        &call("On", "'at',PropertyValue='2024-01-31'"),
        "at ge 2024-01-31T00:00:00Z and at lt 2024-02-01T00:00:00Z",
    );
    check(&call("OnOrAfter", "'day',PropertyValue=2024-01-31"), "day ge 2024-01-31");
    check(&call("OnOrBefore", "'at',PropertyValue='2024-01-31'"), "at lt 2024-02-01T00:00:00Z");
    check(&call("Today", "'day'"), "day eq 2024-03-31");
    check(&call("ThisWeek", "'day'"), "day ge 2024-03-31 and day lt 2024-04-07");
    check(&call("LastXDays", "'day',PropertyValue=2"), "day ge 2024-03-29 and day le 2024-03-31");
    check(
        &call("InFiscalPeriodAndYear", "'day',PropertyValue1=2,PropertyValue2=2023"),
        "day ge 2023-04-01 and day lt 2023-07-01",
    );
    // Columns go by their logical names, too.
    let id = "0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10";
    let list = format!("PropertyValues=['{{{id}}}']");
    check(
        &call("In", &format!("'holder',{list}")),
        &format!(
            "Microsoft.Dynamics.CRM.In(PropertyName='_holder_value',PropertyValues=[\"{id}\"])"
        ),
    );
    check(
        &call("ContainValues", "'tags',PropertyValues=['3',1]"),
        "Microsoft.Dynamics.CRM.ContainValues(PropertyName='tags',PropertyValues=['1','3'])",
    );
    let me = "00000000-0000-0000-0000-0000000a11ce";
    check(&call("EqualUserId", "'thingid'"), &format!("thingid eq {me}"));
    check(&call("NotEqualUserId", "'holder'"), &format!("_holder_value ne {me}"));
    check(
        &call("EqualBusinessId", "'holder'"),
        "_holder_value eq 00000000-0000-0000-0000-0000000000b0",
    );
    check(
        &call("EqualUserLanguage", "'size'"),
        "Microsoft.Dynamics.CRM.In(PropertyName='size',PropertyValues=[\"-1\",\"1033\"])",
    );
    let under = |name: &str, function: &str| {
        format!("Microsoft.Dynamics.CRM.{function}(PropertyName='{name}',PropertyValue='{id}')")
    };
    check(&under("thingid", "Under"), &under("thingid", "Under"));
    check(&under("holder", "Above"), &under("_holder_value", "Above"));
    check(
        &under("thingid", "UnderOrEqual"),
        &format!("thingid eq {id} or {}", under("thingid", "Under")),
    );
}

#[test]
fn patterns_may_hold_wild_cards() {
    check("startswith(name,'a_b')", "startswith(name,'a_b')");
    check("startswith(name,'50%')", "startswith(name,'50')");
    check("contains(name,'%')", "name ne null");
    check("endswith(name,'a')", "endswith(name,'a')");
    check("contains(name,'[%]')", "contains(name,'[%]')");
    check("not startswith(name,'[A-C]x')", "not startswith(name,'[a-c]x')");
}

#[test]
fn lambdas_are_conditions_about_other_rows() {
    check("held/any()", "held/any()");
    check("held/any(o:o/size gt 5)", "held/any(o:o/size gt 5)");
    check(
        "held/any(x: x/size gt 5 and contains(x/name,'a'))",
        "held/any(o:o/size gt 5 and contains(o/name,'a'))",
    );
    check("held/any(x : 5 eq x/size)", "held/any(o:o/size eq 5)");
    check("held/any(x:5 eq x/size)", "held/any(o:o/size eq 5)");
    check("held/any(x:(x/size eq 5))", "held/any(o:o/size eq 5)");
    check("held/any(x:not (x/size gt 5))", "held/any(o:o/size le 5 or o/size eq null)");
    check("not held/any(x:x/size gt 5)", "not held/any(o:o/size gt 5)");
    check("held/all(x:x/size gt 5)", "not held/any(o:o/size le 5 or o/size eq null)");
    check("not held/all(x:x/size gt 5)", "held/any(o:o/size le 5 or o/size eq null)");
    check(
        "size eq 1 or held/any(a:a/held/any(b:b/size eq 1) and a/held/any())",
        "size eq 1 or held/any(o:o/held/any(oo:oo/size eq 1) and o/held/any())",
    );
    check(
        "held/any(o1:(o1/Microsoft.Dynamics.CRM.In(PropertyName='size',PropertyValues=['5','6'])))",
        "held/any(o:o/Microsoft.Dynamics.CRM.In(PropertyName='size',PropertyValues=[\"5\",\"6\"]))",
    );
    check_refused("held/all()", "syntax");
    check_refused("held/any(o:)", "syntax");
    check_refused("held/any(size eq 1)", "syntax");
    check_refused("held/any(o:size eq 1)", "range variable `o`");
    check_refused("held/any(o:o/held/any(p:o/size eq 1))", "range variable `p`");
    check_refused("held/any(o:Microsoft.Dynamics.CRM.Today(PropertyName='at'))", "range variable");
    check_refused("holder/any(o:o/size eq 1)", "single-valued");
    check_refused("nothing/any()", "`nothing`");
    check_refused("held/size eq 1", "collection-valued");
    let many = vec!["held/any()"; 16].join(" or ");
    check_refused(&many, "15");
}

#[test]
fn paths_inside_and_before_lambdas_are_joins_of_their_place() {
    let (catalog, table) = sample::catalog();
    let text = "holder/held/any(o:o/holder/size eq 1 and o/size eq 2) and holder/size eq 3";
    let options = sample::options(text, "").expect("decodes");
    let query = odata::parse(&catalog, &table, &options).expect("binds").query;
    assert_eq!(query.joins.len(), 1);
    let Some(Filter::And(parts)) = query.filter else { panic!("two parts") };
    let Filter::Exists(exists) = &parts[0] else { panic!("a lambda") };
    assert_eq!((exists.to.source, exists.joins.len()), (1, 1));
    let inner = exists.filter.as_ref().map(|filter| print(&table, filter));
    assert_eq!(inner.as_deref(), Some("1/size eq 1 and size eq 2"));
    // A query function of a path.
    let today = "holder/Microsoft.Dynamics.CRM.Today(PropertyName='day')";
    check_joined(today, "1/day eq 2024-03-31", &[(0, "_holder_value")]);
}

#[test]
fn what_is_not_honoured_is_named() {
    check_refused("toupper(name) eq 'x'", "toupper");
    check_refused("holder/length(name) eq 1", "function `holder/");
    check_refused("size add 1 eq 2", "add");
    check_refused("size in (1,2)", "`in`");
    check_refused("done", "without operator");
    check_refused("1 eq 1", "two literals");
    check_refused("tags eq '1'", "tags");
    check_refused("Microsoft.Dynamics.CRM.Nothing(PropertyName='at')", "no function");
    check_refused(
        "not Microsoft.Dynamics.CRM.In(PropertyName='size',PropertyValues=['1'])",
        "`not` before",
    );
}

#[test]
fn wrong_types_and_names_are_told_apart() {
    check_refused("weight eq 'a'", "`Edm.Decimal` and `Edm.String`");
    check_refused("'a' eq weight", "`Edm.String` and `Edm.Decimal`");
    check_refused("name eq 5", "`Edm.String` and `Edm.Int32`");
    check_refused("color eq 'red'", "`Edm.Int32` and `Edm.String`");
    check_refused("size eq weight", "`Edm.Int32` and `Edm.Decimal`");
    check_refused("at eq 2024-13-45", "2024-13-45");
    check_refused("nope eq 1", "no property `nope`");
    check_refused("holder eq null", "no property `holder`");
    check_refused("name eq 'a", "position 10");
    check_refused("name eq", "position 7");
    check_refused("name eq 'a' name", "position 12");
    check_refused("(size eq 1", "syntax");
    check_refused("size eq 1)", "syntax");
}

#[test]
fn depth_conditions_and_values_have_limits() {
    let nested = |levels: usize| format!("{}size eq 1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&nested(99), "").is_ok());
    assert_eq!(parse(&nested(100), ""), Err(Error::TooDeep));
    assert_eq!(parse(&"(".repeat(30_000), ""), Err(Error::TooDeep));
    let many = |count: usize| vec!["size eq 1"; count].join(" or ");
    assert!(parse(&many(500), "").is_ok());
    assert_eq!(parse(&many(501), ""), Err(Error::TooManyConditions));
    let list = |count: usize| {
        let values = (0..count).map(|value| value.to_string()).collect::<Vec<_>>().join(",");
        format!("Microsoft.Dynamics.CRM.In(PropertyName='size',PropertyValues=[{values}])")
    };
    assert!(parse(&list(2_000), "").is_ok());
    assert_eq!(parse(&list(2_001), ""), Err(Error::TooManyValues));
}
