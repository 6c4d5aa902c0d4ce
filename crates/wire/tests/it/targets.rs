//! Request bodies: what they become, and which of several errors is reported.

use super::fixture::{A, B, catalog, table_of};
use expect_test::{Expect, expect};
use model::{Catalog, MessageName, Table, Target, TargetKey, Value};
use std::fmt::Write as _;
use wire::targets::{decode, decode_record};

/// A target in one line: key, version, then columns.
fn shown(target: &Target, table: &Table, catalog: &Catalog) -> String {
    let mut out = match &target.key {
        TargetKey::None => "-".to_owned(),
        TargetKey::Id(id) => id.to_string().chars().take(8).collect(),
        TargetKey::Alternate(key) => {
            format!("{}{:?}", table.key(key.key).schema_name, key.values)
        }
    };
    if let Some(version) = target.expected_version {
        write!(out, " v{version}").unwrap();
    }
    for cell in &target.cells {
        let name = &table.column(cell.column).logical_name;
        match &cell.value {
            Value::Lookup(lookup) => {
                let table = &catalog.table_by_id(lookup.table).unwrap().logical_name;
                let id: String = lookup.id.to_string().chars().take(8).collect();
                write!(out, " {name}={table}:{id}").unwrap();
            }
            value => write!(out, " {name}={value:?}").unwrap(),
        }
    }
    for bind in &target.binds {
        let name = &table.column(bind.column).logical_name;
        write!(out, " {name}={}:{:?}", bind.table.logical_name, bind.key.values).unwrap();
    }
    out
}

fn check_in(table: &str, message: MessageName, body: &str, want: &Expect) {
    let catalog = catalog();
    let table = table_of(&catalog, table);
    let got = match decode(body.as_bytes(), message, &table, &catalog) {
        Ok(list) => {
            let mut lines: Vec<String> =
                list.targets.iter().map(|target| shown(target, &table, &catalog)).collect();
            if let Some(concurrency) = list.concurrency {
                lines.push(format!("{concurrency:?}"));
            }
            lines.join("\n")
        }
        Err(error) => format!("{:?}: {error}", error.index()),
    };
    want.assert_eq(&got);
}

/// A body in which `T` stands for the type of crates and `A`, `B` for ids.
fn check(message: MessageName, body: &str, want: &Expect) {
    check_in("ship_crate", message, &expanded(body), want);
}

fn expanded(body: &str) -> String {
    body.replace("T,", "\"@odata.type\":\"Microsoft.Dynamics.CRM.ship_crate\",")
        .replace("T}", "\"@odata.type\":\"Microsoft.Dynamics.CRM.ship_crate\"}")
        .replace("<A>", A)
        .replace("<B>", B)
}

fn create(items: &str, want: &Expect) {
    check(MessageName::CreateMultiple, &format!("{{\"Targets\":[{items}]}}"), want);
}

fn update(items: &str, want: &Expect) {
    check(MessageName::UpdateMultiple, &format!("{{\"Targets\":[{items}]}}"), want);
}

fn upsert(items: &str, want: &Expect) {
    check(MessageName::UpsertMultiple, &format!("{{\"Targets\":[{items}]}}"), want);
}

fn single(body: &str, want: &Expect) {
    let catalog = catalog();
    let table = table_of(&catalog, "ship_crate");
    let got = match decode_record(expanded(body).as_bytes(), &table, &catalog) {
        Ok(target) => shown(&target, &table, &catalog),
        Err(error) => format!("{:?}: {error}", error.index()),
    };
    want.assert_eq(&got);
}

#[test]
fn members_of_an_item_come_in_any_order() {
    create(
        r#"{T,"ship_label":"a","ship_weight":12,"ship_Holder@odata.bind":"accounts(<A>)"},
           {"ship_weight":"13","ship_crateid":"<B>","ship_label":"b",T}"#,
        &expect![[r#"
            - ship_label=Text("a") ship_weight=Integer(12) ship_holder=account:0a7de3f2
            11111111 ship_weight=Integer(13) ship_label=Text("b")"#]],
    );
}

#[test]
fn every_type_of_column_is_decoded() {
    create(
        r##"{"@odata.type":"#Microsoft.Dynamics.CRM.ship_crate","ship_price":10.005,
            "ship_volume":123456789012345678.1234,"ship_ratio":0.1,"ship_serial":9007199254740993,
            "ship_uid":"<A>","ship_open":true,"ship_at":"2024-01-31T10:00:00+01:00",
            "ship_day":"2024-01-31","ship_size":2,"ship_tags":"5,1","ship_notes":"","versionnumber":7}"##,
        &expect![[
            r#"- ship_price=Decimal(10.01) ship_volume=Decimal(123456789012345678.123) ship_ratio=Double(0.1) ship_serial=BigInt(9007199254740993) ship_uid=Guid(0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10) ship_open=Boolean(true) ship_at=DateTime(Timestamp(1706691600)) ship_day=Date(Date(19753)) ship_size=Integer(2) ship_tags=Choices([1, 5]) ship_notes=Null versionnumber=BigInt(7)"#
        ]],
    );
}

#[test]
fn annotations_and_read_forms_of_lookups_are_ignored() {
    create(
        r#"{T,"@odata.etag":"W/\"1\"","@odata.context":"x","@odata.id":"nonsense","@other":{"a":[1]},
            "_ship_holder_value":"<A>","_ship_holder_value@Microsoft.Dynamics.CRM.lookuplogicalname":"account",
            "ship_weight@OData.Community.Display.V1.FormattedValue":"1,000","ship_weight":1000}"#,
        &expect!["- ship_weight=Integer(1000)"],
    );
}

#[test]
fn lookups_are_set_by_id_by_key_and_cleared() {
    create(
        r#"{T,"ship_Holder@odata.bind":"/accounts(<A>)"},
           {T,"ship_Holder@odata.bind":"https://host:8080/api/data/v9.2/accounts(accountid=<A>)"},
           {T,"ship_Holder@odata.bind":"/api/data/v9.0/accounts(accountnumber='a''b%20c')"},
           {T,"ship_Holder@odata.bind":null},{T,"ship_Holder":null},
           {T,"SHIP_HOLDER@odata.bind":"accounts(<A>)"},
           {T,"ownerid@odata.bind":"/teams(<B>)"},
           {T,"ship_customer_account@odata.bind":null,"ship_customer_contact@odata.bind":"/contacts(<B>)"},
           {T,"ship_customer_account@odata.bind":"/accounts(<A>)","ship_customer_contact":null},
           {T,"ship_customer_account@odata.bind":"/accounts(<A>)","ship_customer_contact@odata.bind":"/contacts(<B>)"}"#,
        &expect![[r#"
            - ship_holder=account:0a7de3f2
            - ship_holder=account:0a7de3f2
            - ship_holder=account:[Text("a'b c")]
            - ship_holder=Null
            - ship_holder=Null
            - ship_holder=account:0a7de3f2
            - ownerid=team:11111111
            - ship_customer=contact:11111111
            - ship_customer=account:0a7de3f2
            - ship_customer=contact:11111111"#]],
    );
}

#[test]
fn a_bind_that_cannot_be_is_refused_by_name() {
    create(
        r#"{T,"ship_Nobody@odata.bind":"accounts(<A>)"}"#,
        &expect!["Some(0): table `ship_crate` has no navigation property `ship_Nobody`"],
    );
    create(
        r#"{T,"ship_label@odata.bind":"accounts(<A>)"}"#,
        &expect!["Some(0): table `ship_crate` has no navigation property `ship_label`"],
    );
    create(
        r#"{T,"ship_Holder@odata.bind":"contacts(<A>)"}"#,
        &expect!["Some(0): `ship_Holder` cannot point to table `contact`"],
    );
    create(
        r#"{T,"ship_customer_account@odata.bind":"contacts(<A>)"}"#,
        &expect!["Some(0): `ship_customer_account` cannot point to table `contact`"],
    );
    create(
        r#"{T,"ship_Holder@odata.bind":"accounts(name='x')"}"#,
        &expect!["Some(0): the key given for table `account` is none of its keys"],
    );
    create(
        r#"{T,"ship_Holder@odata.bind":"nowhere(<A>)"}"#,
        &expect!["Some(0): there is no entity set `nowhere`"],
    );
    create(
        r#"{T,"ship_Holder@odata.bind":"$1"}"#,
        &expect!["Some(0): `$1` is no reference to a record"],
    );
    create(
        r#"{T,"ship_Holder@odata.bind":5}"#,
        &expect!["Some(0): `5` is no reference to a record"],
    );
    create(
        r#"{T,"leg_Crate_Legs@odata.bind":["legs(<A>)"]}"#,
        &expect!["Some(0): `leg_Crate_Legs@odata.bind` binds a collection"],
    );
}

#[test]
fn a_nested_record_is_a_deep_insert() {
    create(
        r#"{T,"ship_Holder":{"name":"x"}}"#,
        &expect!["Some(0): navigation property `ship_Holder` holds a record (deep insert)"],
    );
    create(
        r#"{T,"leg_Crate_Legs":[{"leg_number":1}]}"#,
        &expect!["Some(0): navigation property `leg_Crate_Legs` holds a record (deep insert)"],
    );
    create(
        r#"{T,"ship_Holder":"<A>"}"#,
        &expect!["Some(0): navigation property `ship_Holder` holds a plain value"],
    );
}

#[test]
fn a_property_is_known_by_its_exact_name_and_stands_once() {
    create(
        r#"{T,"Ship_Label":"x"}"#,
        &expect!["Some(0): table `ship_crate` has no property `Ship_Label`"],
    );
    create(
        r#"{T,"ship_holder":null}"#,
        &expect!["Some(0): table `ship_crate` has no property `ship_holder`"],
    );
    create(
        r#"{T,"_nothing_value":null}"#,
        &expect!["Some(0): table `ship_crate` has no property `_nothing_value`"],
    );
    create(
        r#"{T,"ship_label":"x"},{T,"ship_label":"x","ship_label":"y"}"#,
        &expect!["Some(1): property `ship_label` stands twice in one object"],
    );
    create(
        r#"{T,"ship_crateid":"<A>","ship_crateid":"<A>"}"#,
        &expect!["Some(0): property `ship_crateid` stands twice in one object"],
    );
}

#[test]
fn values_of_the_wrong_type_are_named() {
    create(
        r#"{T},{T,"ship_weight":"heavy"}"#,
        &expect!["Some(1): `heavy` is no `Edm.Int32` (property `ship_weight`)"],
    );
    create(
        r#"{T,"ship_at":"yesterday"}"#,
        &expect!["Some(0): `yesterday` is no `Edm.DateTimeOffset` (property `ship_at`)"],
    );
    create(
        r#"{T,"ship_crateid":"5"}"#,
        &expect!["Some(0): `5` is no `Edm.Guid` (property `ship_crateid`)"],
    );
    create(
        r#"{T,"ship_label":{"a":1}}"#,
        &expect![[r#"Some(0): `{"a":1}` is no `Edm.String` (property `ship_label`)"#]],
    );
    create(
        r#"{T,"ship_label":"a\u0000"}"#,
        &expect!["Some(0): property `ship_label` holds invalid characters"],
    );
    create(
        r#"{T,"ship_label":"\ud800"}"#,
        &expect![[r#"Some(0): `"\ud800"` is no `Edm.String` (property `ship_label`)"#]],
    );
}

#[test]
fn updates_name_their_record_and_may_name_its_version() {
    update(
        r#"{T,"ship_crateid":"<A>","@odata.etag":"W/\"2009110\"","ship_weight":15},
           {T,"@odata.id":"ship_crates(<B>)","@odata.etag":"\"7\""},
           {T,"@odata.id":"/ship_crates(<B>)","ship_crateid":"<A>","@odata.etag":null}"#,
        &expect![[r#"
            0a7de3f2 v2009110 ship_weight=Integer(15)
            11111111 v7
            0a7de3f2"#]],
    );
    update(
        r#"{T,"ship_crateid":"<A>"},{T}"#,
        &expect!["Some(1): item 1 of `Targets` names no record"],
    );
    update(
        r#"{T,"@odata.id":"ship_crates(ship_trackingno='T-1')"}"#,
        &expect!["Some(0): item 0 of `Targets` names no record"],
    );
    update(
        r#"{T,"ship_crateid":"<A>","@odata.etag":"seven"}"#,
        &expect!["Some(0): `seven` is no `Edm.String` (property `@odata.etag`)"],
    );
    check(
        MessageName::UpdateMultiple,
        r#"{"ConcurrencyBehavior":"IfRowVersionMatches","Targets":[{T,"ship_crateid":"<A>"}],"@tag":1}"#,
        &expect![[r#"
            0a7de3f2
            IfRowVersionMatches"#]],
    );
    check(
        MessageName::UpdateMultiple,
        r#"{"Targets":[{T,"ship_crateid":"<A>"}],"ConcurrencyBehavior":2}"#,
        &expect![[r#"
            0a7de3f2
            AlwaysOverwrite"#]],
    );
    check(
        MessageName::UpdateMultiple,
        r#"{"Targets":[{T,"ship_crateid":"<A>"}],"ConcurrencyBehavior":"1"}"#,
        &expect!["None: `1` is no concurrency behaviour"],
    );
}

#[test]
fn upserts_take_alternate_keys_and_ignore_etags() {
    upsert(
        r#"{T,"@odata.id":"ship_crates(ship_trackingno='T-1')","@odata.etag":"x","ship_trackingno":"T-2"},
           {T,"@odata.id":"ship_crates(<A>)"},{T,"ship_label":"no key"}"#,
        &expect![[r#"
            ship_TrackingKey[Text("T-1")] ship_trackingno=Text("T-2")
            0a7de3f2
            - ship_label=Text("no key")"#]],
    );
    upsert(
        r#"{T,"@odata.id":"accounts(<A>)"}"#,
        &expect!["Some(0): `@odata.id` cannot point to table `account`"],
    );
}

#[test]
fn elastic_records_are_named_by_key_and_partition() {
    check_in(
        "ship_ping",
        MessageName::DeleteMultiple,
        &expanded(
            r##"{"Targets":[{"@odata.type":"#Microsoft.Dynamics.CRM.ship_ping","@odata.id":
                "ship_pings(partitionId='dev-7',ship_pingid=<A>)"}]}"##,
        ),
        &expect![[
            r#"KeyForNoSqlEntityWithPKPartitionId[Guid(0a7de3f2-8c11-4f1c-9e35-5f4d1b1f7a10), Text("dev-7")]"#
        ]],
    );
}

#[test]
fn the_error_of_the_lowest_row_is_reported_and_of_those_the_first() {
    let body = |message, body: &str, want: Expect| check(message, body, &want);
    let create = MessageName::CreateMultiple;
    // 1: anything that is no JSON wins over all that came before.
    body(
        create,
        r#"{"Targets":[{"nothing":1},5],"x":1"#,
        expect![
            "None: the body is no JSON object: EOF while parsing an object at line 1 column 34"
        ],
    );
    body(
        create,
        r#"{"Targets":[]} x"#,
        expect!["None: the body is no JSON object: trailing characters at line 1 column 16"],
    );
    body(
        create,
        "[1]",
        expect![
            "None: the body is no JSON object: invalid type: sequence, expected an object with `Targets` at line 1 column 0"
        ],
    );
    body(
        create,
        "",
        expect!["None: the body is no JSON object: EOF while parsing a value at line 1 column 0"],
    );
    // 2
    body(create, r#"{"x":[],"ConcurrencyBehavior":7}"#, expect!["None: `Targets` is missing"]);
    body(create, r#"{"Targets":null}"#, expect!["None: `Targets` is missing"]);
    // 3 before 4 and 5
    body(create, r#"{"Targets":{"a":{}}}"#, expect!["None: `Targets` is not a list"]);
    body(create, r#"{"Targets":"x"}"#, expect!["None: `Targets` is not a list"]);
    body(
        create,
        r#"{"Targets":[{},[1]]}"#,
        expect!["Some(1): item 1 of `Targets` is not an object"],
    );
    body(create, r#"{"Targets":[null]}"#, expect!["Some(0): item 0 of `Targets` is not an object"]);
    body(
        create,
        r#"{"Targets":[],"Extra":1}"#,
        expect!["None: the action has no parameter `Extra`"],
    );
    // 4
    body(create, r#"{"Targets":[]}"#, expect!["None: `Targets` is empty"]);
    // 5 before 6, 7 and 8, and the first of two
    body(
        create,
        r#"{"Targets":[{T,"nothing":1},{"@odata.type":"Microsoft.Dynamics.CRM.account"},{"a":1},{}]}"#,
        expect!["Some(2): item 2 of `Targets` has no `@odata.type`"],
    );
    // 6 before 7
    body(
        create,
        r#"{"Targets":[{"@odata.type":"Microsoft.Dynamics.CRM.account"},{"@odata.type":"Microsoft.Dynamics.CRM.nothing"}]}"#,
        expect!["Some(1): item 1 of `Targets` is of the unknown table `nothing`"],
    );
    // 7 before 8
    body(
        create,
        r#"{"Targets":[{T,"nothing":1},{"name":"x","@odata.type":"Microsoft.Dynamics.CRM.account"}]}"#,
        expect!["Some(1): item 1 of `Targets` is of table `account`"],
    );
    // 8 before 9 before 10 before 12
    body(
        create,
        r#"{"Targets":[{T,"ship_Holder@odata.bind":"x","ship_weight":"x","y@odata.bind":"x","ship_Holder":{},"nothing":1,"nothing2":1}]}"#,
        expect!["Some(0): table `ship_crate` has no property `nothing`"],
    );
    body(
        create,
        r#"{"Targets":[{T,"ship_Holder@odata.bind":"x","ship_weight":"x","y@odata.bind":"x"}]}"#,
        expect!["Some(0): table `ship_crate` has no navigation property `y`"],
    );
    body(
        MessageName::UpdateMultiple,
        r#"{"Targets":[{T,"ship_Holder@odata.bind":"x"},{T,"ship_weight":"x"}]}"#,
        expect!["Some(1): `x` is no `Edm.Int32` (property `ship_weight`)"],
    );
    // 11 before 12
    body(
        MessageName::UpdateMultiple,
        r#"{"Targets":[{T,"ship_crateid":"<A>","ship_Holder@odata.bind":"x"},{T}]}"#,
        expect!["Some(1): item 1 of `Targets` names no record"],
    );
}

#[test]
fn another_table_is_blamed_with_the_first_column_of_the_item() {
    let catalog = catalog();
    let table = table_of(&catalog, "ship_crate");
    let body = r##"{"Targets":[{"@odata.id":"x","fullname":"y","@odata.type":"#Microsoft.Dynamics.CRM.contact"}]}"##;
    let error = decode(body.as_bytes(), MessageName::UpdateMultiple, &table, &catalog).unwrap_err();
    assert_eq!(
        error,
        wire::Error::OtherTable {
            index: 0,
            name: "contact".into(),
            first_column: Some("fullname".into())
        }
    );
}

#[test]
fn a_single_record_needs_no_type_and_a_record_that_was_read_is_accepted() {
    single("{}", &expect!["-"]);
    single(
        r##"{"@odata.context":"x","@odata.etag":"W/\"1\"","@odata.id":"nonsense","@odata.type":"#x",
            "ship_crateid":"<A>","ship_label":null,"_ownerid_value":"<B>"}"##,
        &expect!["0a7de3f2 ship_label=Null"],
    );
    single(r#"{"ship_crateid":null}"#, &expect!["-"]);
    single(
        r#"{"ship_Holder":{"name":"x"}}"#,
        &expect!["None: navigation property `ship_Holder` holds a record (deep insert)"],
    );
    single(r#"{"nothing":1}"#, &expect!["None: table `ship_crate` has no property `nothing`"]);
    single(
        "[]",
        &expect![
            "None: the body is no JSON object: invalid type: sequence, expected an object at line 1 column 0"
        ],
    );
}

#[test]
fn records_with_other_properties_than_the_last_one_are_read_alike() {
    create(
        r#"{T,"ship_label":"a","ship_weight":1},{T,"ship_weight":2,"ship_label":"b"},{T},
           {T,"ship_notes":"c"},{T,"ship_label":"d","ship_weight":4}"#,
        &expect![[r#"
            - ship_label=Text("a") ship_weight=Integer(1)
            - ship_weight=Integer(2) ship_label=Text("b")
            -
            - ship_notes=Text("c")
            - ship_label=Text("d") ship_weight=Integer(4)"#]],
    );
}
