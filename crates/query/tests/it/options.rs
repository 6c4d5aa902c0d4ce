//! `$select`, `$orderby`, `$top` and what is refused.

use crate::sample;
use model::{ColumnId, Table, TableKind};
use proptest::prelude::*;
use query::odata::{self, Options, Parsed};
use std::sync::Arc;

fn parse(raw: &str) -> Result<Parsed, query::Error> {
    let (catalog, table) = sample::catalog();
    odata::parse(&catalog, &table, &Options::parse(raw)?)
}

fn names(parsed: &Parsed) -> Vec<&str> {
    let table = &parsed.query.table;
    parsed.query.columns.iter().map(|column| table.value_name(column.column)).collect()
}

/// The shown columns before the bar, the hidden ones after it.
fn check_columns(raw: &str, want: &str) {
    let parsed = parse(raw).expect(raw);
    let names = names(&parsed);
    let (shown, hidden) = names.split_at(parsed.shown);
    assert_eq!(format!("{} | {}", shown.join(" "), hidden.join(" ")).trim(), want, "{raw}");
}

#[test]
fn the_key_and_the_version_are_always_read_and_the_key_always_shown() {
    check_columns("$select=name", "name thingid | versionnumber");
    check_columns("$select=thingid,name,name", "thingid name | versionnumber");
    check_columns("$select=name,+versionnumber", "name versionnumber thingid |");
    check_columns("$select=_holder_value", "_holder_value thingid | versionnumber");
    check_columns("$select=holder", "_holder_value thingid | versionnumber");
    check_columns("$select=price", "price _transactioncurrencyid_value thingid | versionnumber");
    check_columns("$select=name&$orderby=size desc", "name thingid | versionnumber size");
    assert_eq!(parse("").expect("all").shown, 21);
}

fn check_order(raw: &str, want: &str) {
    check_order_of(&parse(raw).expect(raw), raw, want);
}

fn check_order_of(parsed: &Parsed, raw: &str, want: &str) {
    let table = &parsed.query.table;
    let order = parsed.query.order.iter().map(|key| {
        let name = table.value_name(key.column.column);
        let source = Some(key.column.source).filter(|source| *source > 0);
        let source = source.map_or_else(String::new, |source| format!("{source}/"));
        format!("{source}{name}{}", if key.descending { "-" } else { "" })
    });
    assert_eq!(order.collect::<Vec<_>>().join(" "), want, "{raw}");
}

#[test]
fn the_order_always_ends_with_the_key() {
    check_order("", "thingid");
    check_order("$orderby=name", "name thingid");
    check_order("$orderby=name%20asc,size+desc", "name size- thingid");
    check_order("$orderby=thingid desc,name", "thingid-");
    check_order("$orderby=name,name desc", "name thingid");
    check_order("$orderby=@c desc&@c=size", "size- thingid");
    check_order("$orderby=holder/size desc,size", "1/size- size thingid");
    check_order("$orderby=holder/thingid", "1/thingid thingid");
    check_order("$orderby=_holder_value", "1/name thingid");
    check_order("$orderby=holder/_holder_value,_holder_value", "2/name 1/name thingid");
    check_order("$orderby=holder/name,_holder_value desc", "1/name thingid");
}

#[test]
fn on_elastic_tables_the_partition_follows_the_key() {
    let (catalog, table) = sample::catalog();
    let mut definition = table.definition().clone();
    definition.kind = TableKind::Elastic;
    let name = table.index_of("name").expect("a text column");
    let mut partition = table.column(name).clone();
    (partition.id, partition.logical_name) = (ColumnId(9_999), "partitionid".into());
    definition.columns.push(partition);
    let table = Arc::new(Table::new(definition));
    let check = |raw: &str, want: &str| {
        let options = Options::parse(raw).expect(raw);
        check_order_of(&odata::parse(&catalog, &table, &options).expect(raw), raw, want);
    };
    check("", "thingid partitionid");
    check("$orderby=name desc", "name- thingid partitionid");
    check("$orderby=thingid desc,name", "thingid- partitionid");
    check("$orderby=partitionid desc,size", "partitionid- size thingid");
}

fn check_refused(raw: &str, want: &str) {
    let text = parse(raw).map(|parsed| parsed.shown).expect_err(raw).to_string();
    assert!(text.contains(want), "{raw}: {text}");
}

#[test]
fn what_cannot_be_selected_or_sorted_by_is_named() {
    check_refused("$select=nam", "`nam`");
    check_refused("$select=name,", "``");
    check_refused("$select=holder/name", "holder/name");
    check_refused("$orderby=notes", "memo column `notes`");
    check_refused("$orderby=tags", "tags");
    check_refused("$orderby=label,caption", "6000");
    check_refused("$orderby=holder/nam", "`nam`");
    check_refused("$orderby=holder/,name", "``");
    check_refused("$orderby=holder/notes", "memo column `holder/notes`");
    check_refused("$orderby=name/name", "`name`");
    check_refused("$orderby=name up", "name up");
    check_refused("$orderby=,", ",");
    check_refused("$orderby=@c", "@c");
    check_refused("$top=-1", "-1");
    check_refused("$top=x", "x");
    check_refused("$count=yes", "yes");
    check_refused("$expand=absent", "`absent`");
    check_refused("$skip=1", "$skip");
    check_refused("fetchXml=x", "fetchXml");
    check_refused("$odd=1", "$odd");
}

fn check_paging(raw: &str, preferred: Option<u32>, want: (u32, bool)) {
    let (catalog, table) = sample::catalog();
    let mut options = Options::parse(raw).expect(raw);
    options.page_size = preferred;
    let paging = odata::parse(&catalog, &table, &options).expect(raw).query.paging;
    assert_eq!((paging.size, paging.look_ahead), want, "{raw} {preferred:?}");
}

#[test]
fn top_bounds_the_answer_only_without_a_page_size() {
    check_paging("", None, (5_000, true));
    check_paging("", Some(10), (10, true));
    check_paging("", Some(90_000), (5_000, true));
    check_paging("$top=3", None, (3, false));
    check_paging("$top=0", None, (0, false));
    check_paging("$top=90000", None, (5_000, false));
    check_paging("$top=99999999999999999999", None, (5_000, false));
    check_paging("$top=3", Some(10), (10, true));
}

proptest! {
    #[test]
    fn any_query_string_is_read_or_refused(raw in "\\PC{0,80}") {
        drop(parse(&raw));
    }

    #[test]
    fn any_value_of_a_known_option_is_read_or_refused(
        name in "(select|filter|orderby|top|count|skiptoken|expand)", value in "[ -~]{0,60}",
    ) {
        drop(parse(&format!("${name}={value}")));
    }

    #[test]
    fn any_run_of_expand_words_is_read_or_refused(words in proptest::collection::vec(
        prop_oneof![
            Just("holder"), Just("("), Just(")"), Just("$select="), Just("$expand="), Just("name"),
            Just(","), Just(";"), Just("'"), Just("="), Just("/"),
        ],
        0..24,
    )) {
        drop(parse(&format!("$expand={}", words.concat())));
    }
}
