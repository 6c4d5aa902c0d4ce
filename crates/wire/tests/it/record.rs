//! Answers with records, written and read back.

use super::fixture::{A, B, catalog, id, table_of};
use expect_test::{Expect, expect};
use model::{Catalog, ColumnIndex, Date, Decimal, LookupValue, Table, Timestamp, Value};
use std::collections::HashMap;
use wire::prefer::AnnotationFilter;
use wire::record::{
    Changes, PageFrame, Writer, begin_page, context, context_of_one, end_page, read_ids, read_one,
    read_page, write_ids, write_one, write_page, write_rows,
};

fn columns(table: &Table, names: &str) -> Vec<ColumnIndex> {
    names.split(' ').map(|name| table.index_of(name).unwrap()).collect()
}

fn lookup(catalog: &Catalog, table: &str, text: &str) -> Value {
    Value::Lookup(LookupValue { table: catalog.table(table).unwrap().id, id: id(text) })
}

const NAMES: &str = "ship_label ship_weight ship_price ship_volume ship_ratio ship_open ship_at \
                     ship_day ship_size ship_tags ship_holder ship_customer ship_crateid versionnumber";

fn row(catalog: &Catalog) -> Vec<Value> {
    vec![
        Value::text("Crate \"A\"\n"),
        Value::Integer(1_234_567),
        Value::Decimal(Decimal::new(-20_000, 0)),
        Value::Decimal(Decimal::new(15_005, 1)),
        Value::Double(0.5),
        Value::Boolean(true),
        Value::DateTime(Timestamp::parse("2023-04-07T14:59:01Z").unwrap()),
        Value::Date(Date::parse("2024-01-31").unwrap()),
        Value::Integer(2),
        Value::Choices([1, 5].into()),
        lookup(catalog, "account", A),
        lookup(catalog, "contact", B),
        Value::Guid(id(B)),
        Value::BigInt(502_186),
    ]
}

fn check(filter: Option<&str>, shown: usize, row: &[Value], want: &Expect) {
    let catalog = catalog();
    let table = table_of(&catalog, "ship_crate");
    let columns = columns(&table, NAMES);
    let filter = filter.map(AnnotationFilter::parse);
    let names = HashMap::from([(
        LookupValue { table: catalog.table("account").unwrap().id, id: id(A) },
        Box::from("Holder"),
    )]);
    let mut writer = Writer::new(&table, &catalog, &columns, shown).with_names(&names);
    if let Some(filter) = &filter {
        writer = writer.with_annotations(filter);
    }
    let mut out = Vec::new();
    let context = context_of_one("https://h/api/data/v9.2/", &table, columns.get(..1));
    write_one(&mut out, &writer, &context, row);
    want.assert_eq(&String::from_utf8(out).unwrap().replace(",\"", ",\n\""));
}

#[test]
fn a_record_has_etag_selected_columns_and_always_its_key() {
    let catalog = catalog();
    check(
        None,
        12,
        &row(&catalog),
        &expect![[r#"
            {"@odata.context":"https://h/api/data/v9.2/$metadata#ship_crates(ship_label)/$entity",
            "@odata.etag":"W/\"502186\"",
            "ship_label":"Crate \"A\"\n",
            "ship_weight":1234567,
            "ship_price":-20000.00,
            "ship_volume":1500.500,
            "ship_ratio":0.5,
            "ship_open":true,
            "ship_at":"2023-04-07T14:59:01Z",
            "ship_day":"2024-01-31",
            "ship_size":2,
            "ship_tags":"1,5",
            "_ship_holder_value":"0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10",
            "_ship_customer_value":"11111111-2222-4333-8444-555555555501",
            "ship_crateid":"11111111-2222-4333-8444-555555555501"}"#]],
    );
    check(
        None,
        0,
        &row(&catalog),
        &expect![[r#"
            {"@odata.context":"https://h/api/data/v9.2/$metadata#ship_crates(ship_label)/$entity",
            "@odata.etag":"W/\"502186\"",
            "ship_crateid":"11111111-2222-4333-8444-555555555501"}"#]],
    );
    check(
        Some("*"),
        2,
        &[Value::Null, Value::Null],
        &expect![[r#"
            {"@odata.context":"https://h/api/data/v9.2/$metadata#ship_crates(ship_label)/$entity",
            "ship_label":null,
            "ship_weight":null,
            "ship_crateid":null}"#]],
    );
}

#[test]
fn annotations_stand_before_their_property() {
    check(
        Some("*"),
        12,
        &row(&catalog()),
        &expect![[r#"
            {"@odata.context":"https://h/api/data/v9.2/$metadata#ship_crates(ship_label)/$entity",
            "@odata.etag":"W/\"502186\"",
            "ship_label":"Crate \"A\"\n",
            "ship_weight@OData.Community.Display.V1.FormattedValue":"1,234,567",
            "ship_weight":1234567,
            "ship_price@OData.Community.Display.V1.FormattedValue":"-$20,000.00",
            "ship_price":-20000.00,
            "ship_volume@OData.Community.Display.V1.FormattedValue":"1,500.500",
            "ship_volume":1500.500,
            "ship_ratio@OData.Community.Display.V1.FormattedValue":"0.50000",
            "ship_ratio":0.5,
            "ship_open@OData.Community.Display.V1.FormattedValue":"Open",
            "ship_open":true,
            "ship_at@OData.Community.Display.V1.FormattedValue":"4/7/2023 2:59 PM",
            "ship_at":"2023-04-07T14:59:01Z",
            "ship_day@OData.Community.Display.V1.FormattedValue":"1/31/2024",
            "ship_day":"2024-01-31",
            "ship_size@OData.Community.Display.V1.FormattedValue":"Two",
            "ship_size":2,
            "ship_tags@OData.Community.Display.V1.FormattedValue":"One; Five",
            "ship_tags":"1,5",
            "_ship_holder_value@OData.Community.Display.V1.FormattedValue":"Holder",
            "_ship_holder_value@Microsoft.Dynamics.CRM.associatednavigationproperty":"ship_Holder",
            "_ship_holder_value@Microsoft.Dynamics.CRM.lookuplogicalname":"account",
            "_ship_holder_value":"0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10",
            "_ship_customer_value@Microsoft.Dynamics.CRM.associatednavigationproperty":"ship_customer_contact",
            "_ship_customer_value@Microsoft.Dynamics.CRM.lookuplogicalname":"contact",
            "_ship_customer_value":"11111111-2222-4333-8444-555555555501",
            "ship_crateid":"11111111-2222-4333-8444-555555555501"}"#]],
    );
    check(
        Some("Microsoft.Dynamics.CRM.lookuplogicalname"),
        11,
        &[Value::Null, Value::Integer(5)],
        &expect![[r#"
            {"@odata.context":"https://h/api/data/v9.2/$metadata#ship_crates(ship_label)/$entity",
            "ship_label":null,
            "ship_weight":5,
            "ship_price":null,
            "ship_volume":null,
            "ship_ratio":null,
            "ship_open":null,
            "ship_at":null,
            "ship_day":null,
            "ship_size":null,
            "ship_tags":null,
            "_ship_holder_value":null,
            "ship_crateid":null}"#]],
    );
}

#[test]
fn a_page_has_context_counts_rows_and_link() {
    let catalog = catalog();
    let table = table_of(&catalog, "account");
    let columns = columns(&table, "name accountid versionnumber");
    let filter = AnnotationFilter::parse("*");
    let frame = PageFrame {
        context: &context("/", &table, None),
        count: Some(2),
        count_limit_exceeded: false,
        next_link: Some("https://h/next"),
        paging_cookie: None,
        metadata_version: Some(9),
        changes: Changes::default(),
    };
    let rows = [
        vec![Value::text("a"), Value::Guid(id(A)), Value::BigInt(1)],
        vec![Value::Null, Value::Guid(id(B)), Value::BigInt(2)],
    ];
    let mut out = Vec::new();
    let writer = Writer::new(&table, &catalog, &columns, 1);
    write_page(&mut out, &writer, &frame, rows.iter().map(Vec::as_slice));
    expect![[r##"{"@odata.context":"/$metadata#accounts","@odata.count":2,"value":[{"@odata.etag":"W/\"1\"","name":"a","accountid":"0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10"},{"@odata.etag":"W/\"2\"","name":null,"accountid":"11111111-2222-4333-8444-555555555501"}],"@odata.nextLink":"https://h/next"}"##]]
    .assert_eq(&String::from_utf8(out.clone()).unwrap());

    let mut in_parts = Vec::new();
    begin_page(&mut in_parts, &writer, &frame);
    for row in &rows {
        write_rows(&mut in_parts, &writer, [row.as_slice()]);
        write_rows(&mut in_parts, &writer, []);
    }
    end_page(&mut in_parts, &frame);
    assert_eq!(String::from_utf8(in_parts), String::from_utf8(out.clone()));

    let page = read_page(&out, &table, &catalog).unwrap();
    assert_eq!(page.count, Some(2));
    assert_eq!(page.next_link.as_deref(), Some("https://h/next"));
    let versions: Vec<_> = page.records.iter().map(|record| (record.id, record.version)).collect();
    assert_eq!(versions, [(Some(id(A)), Some(1)), (Some(id(B)), Some(2))]);

    let mut out = Vec::new();
    let writer = writer.with_annotations(&filter);
    write_page(&mut out, &writer, &PageFrame { count: None, next_link: None, ..frame }, []);
    expect![[r##"{"@odata.context":"/$metadata#accounts","@Microsoft.Dynamics.CRM.totalrecordcount":-1,"@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded":false,"@Microsoft.Dynamics.CRM.globalmetadataversion":"9","value":[]}"##]]
    .assert_eq(&String::from_utf8(out).unwrap());
}

#[test]
fn a_lookup_of_several_tables_is_read_with_its_annotation_and_without_as_a_bare_id() {
    let catalog = catalog();
    let table = table_of(&catalog, "ship_crate");
    let read = |body: &str| {
        let record = read_one(body.replace("<A>", A).as_bytes(), &table, &catalog).unwrap();
        record.cells.first().unwrap().value.clone()
    };
    assert_eq!(read(r#"{"_ship_holder_value":"<A>"}"#), lookup(&catalog, "account", A));
    assert_eq!(read(r#"{"_ship_customer_value":"<A>"}"#), Value::Guid(id(A)));
    assert_eq!(
        read(
            r#"{"_ship_customer_value":"<A>",
                "_ship_customer_value@Microsoft.Dynamics.CRM.lookuplogicalname":"contact"}"#
        ),
        lookup(&catalog, "contact", A)
    );
}

#[test]
fn answers_of_other_services_may_hold_more_than_is_known() {
    let catalog = catalog();
    let table = table_of(&catalog, "account");
    let body = format!(
        "\u{feff}{{\"@odata.context\":\"x\",\"value\":[{{\"@odata.etag\":\"\\\"opaque\\\"\",\"name\":\"a\",\
         \"unknown\":{{\"deep\":[1]}},\"nav@odata.nextLink\":\"y\",\"accountid\":\"{A}\"}}],\"@x\":null}}"
    );
    let page = read_page(body.as_bytes(), &table, &catalog).unwrap();
    assert_eq!(page.records.len(), 1);
    assert_eq!(page.records.first().unwrap().version, None);
    assert!(read_page(b"{}", &table, &catalog).is_err());
    assert!(read_page(b"{\"value\":[{\"name\":5}]}", &table, &catalog).is_err());
    assert!(read_page(b"{\"value\":[5]}", &table, &catalog).is_err());
}

#[test]
fn the_ids_of_a_bulk_create_are_written_and_read() {
    let mut out = Vec::new();
    write_ids(&mut out, "https://h/api/data/v9.2/", [id(A), id(B)]);
    expect![[r##"{"@odata.context":"https://h/api/data/v9.2/$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse","Ids":["0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10","11111111-2222-4333-8444-555555555501"]}"##]]
    .assert_eq(&String::from_utf8(out.clone()).unwrap());
    assert_eq!(read_ids(&out), Ok(vec![id(A), id(B)]));
    assert!(read_ids(b"{\"Ids\":[5]}").is_err());
    assert!(read_ids(b"{}").is_err());
}
