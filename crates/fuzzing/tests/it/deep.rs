//! Very deep nesting ends in a fault, not in the stack.
//!
//! Tests run on stacks of 2 MiB, as the workers of the service do, and without optimization their frames are
//! larger.

use fuzzing::ground::{self, Ground};
use fuzzing::readers::named;

/// Far more than any limit, more than an address can hold, and more than any stack.
const LEVELS: usize = 40_000;

fn check(reader: &str, before: &str, open: &str, middle: &str, close: &str, after: &str) {
    let reader = named(reader).expect("there is such a reader");
    for levels in [50, 90, 130, 1_000, 1_990, LEVELS] {
        let text =
            format!("{before}{}{middle}{}{after}", open.repeat(levels), close.repeat(levels));
        let taken = (reader.read)(text.as_bytes());
        // The client leaves out what it does not know, however deep it is.
        assert!(
            !taken || levels < 1_000 || reader.name == "answer",
            "{}: {levels} levels of {open}",
            reader.name
        );
        // Without the second half.
        (reader.read)(format!("{before}{}", open.repeat(levels)).as_bytes());
    }
}

#[test]
fn filters_nest_up_to_a_limit() {
    for (open, close) in [
        ("(", ")"),
        ("not ", ""),
        ("not (", ")"),
        ("ship_weight eq 1 and (", ")"),
        ("(ship_weight eq 1 or ", ")"),
        ("contains(tolower(", "),'a')"),
        ("ship_crate_leg/any(o:o/ship_Crate/", ")"),
        ("ship_Holder/ship_account_crate/any(o:", ")"),
        ("Microsoft.Dynamics.CRM.In(PropertyName='a',PropertyValues=[", "])"),
    ] {
        check("filter", "", open, "ship_weight eq 1", close, "");
    }
    check("filter", "contains(", "tolower(", "ship_label", ")", ",'a')");
    check("filter", "", "tolower(", "ship_label", ")", " eq 'a'");
    check("filter", "", "ship_Holder/", "name", "", " eq 'a'");
}

#[test]
fn expands_and_groups_nest_up_to_a_limit() {
    check("expand", "", "ship_Holder($expand=", "name", ")", "");
    check("expand", "", "ship_Holder($filter=(", "name eq 'a'", "))", "");
    check("expand", "", "(", "", ")", "");
    check("order", "", "ship_Holder/", "name", "", "");
    check("apply", "filter(", "(", "ship_weight eq 1", ")", ")/aggregate($count as n)");
    check("apply", "groupby(", "(", "ship_color", ")", ")");
    check("apply", "", "groupby((ship_color),", "aggregate($count as n)", ")", "");
    check("apply", "", "filter(ship_weight eq 1)/", "aggregate($count as n)", "", "");
}

#[test]
fn fetchxml_nests_up_to_a_limit() {
    let (before, after) = ("<fetch><entity name=\"ship_crate\">", "</entity></fetch>");
    check("fetch", before, "<filter>", "", "</filter>", after);
    let link = "<link-entity name=\"account\" from=\"accountid\" to=\"ship_holder\">";
    check("fetch", before, link, "", "</link-entity>", after);
    let link = "<filter><link-entity name=\"ship_leg\" from=\"ship_crate\" to=\"ship_crateid\" link-type=\"any\">";
    check("fetch", before, link, "", "</link-entity></filter>", after);
    check("fetch", "", "<a>", "", "</a>", "");
    check("fetch", "", "<!--", "", "-->", "");
    check("token", "", "<cookie>", "", "</cookie>", "");
}

#[test]
fn statements_nest_up_to_a_limit() {
    let before = "SELECT ship_label FROM ship_crate WHERE ";
    for (open, close) in [
        ("(", ")"),
        ("NOT ", ""),
        ("NOT (", ")"),
        ("ship_weight = 1 AND (", ")"),
        ("ship_weight IN (", ")"),
        ("ship_weight = -", ""),
        ("EXISTS (SELECT 1 FROM account WHERE ", ")"),
        ("CASE WHEN ", " THEN 1 END"),
        ("f(", ")"),
    ] {
        check("sql", before, open, "ship_weight = 1", close, "");
    }
    check("sql", "", "SELECT * FROM (", "SELECT 1", ")", "");
    check("sql", "", "WITH a AS (", "SELECT 1", ") SELECT 1", "");
    check("sql", "SELECT ship_label FROM ", "(", "ship_crate", ")", "");
    check("sql", "SELECT ship_label FROM ship_crate ", "JOIN (", "account", ") ON 1 = 1", "");
    check(
        "sql",
        "SELECT ship_label FROM ship_crate ",
        "UNION SELECT ship_label FROM ship_crate ",
        "",
        "",
        "",
    );
    // A long chain is no nesting, but a parser builds it as one.
    check("sql", before, "ship_weight = 1 AND ", "ship_weight = 1", "", "");
    check("sql", before, "ship_weight = 1 OR ", "ship_weight = 1", "", "");
    check("sql", &format!("{before}ship_weight = "), "1 + ", "1", "", "");
}

#[test]
fn json_nests_up_to_a_limit() {
    for reader in ["targets", "record", "definition", "query_set", "answer"] {
        for (before, after) in [
            ("", ""),
            ("{\"Targets\":[", "]}"),
            ("{\"ship_label\":", "}"),
            ("{\"Attributes\":", "}"),
            ("[{\"EntityName\":\"ship_crate\",\"Criteria\":", "}]"),
            ("{\"value\":[{\"a\":", "}]}"),
        ] {
            check(reader, before, "[", "", "]", after);
            check(reader, before, "{\"a\":", "1", "}", after);
        }
    }
    check(
        "query_set",
        "[{\"EntityName\":\"ship_crate\",\"Criteria\":",
        "{\"Filters\":[",
        "",
        "]}",
        "}]",
    );
    check("record", "", "{\"ship_Holder\":", "{}", "}", "");
    check("record", "", "{\"ship_crate_leg\":[{\"ship_Crate\":", "{}", "}]}", "");
    check("record", "", "{\"ship_crate_leg\":[", "{}", "]}", "");
}

#[test]
fn batches_and_addresses_nest_up_to_a_limit() {
    check(
        "batch",
        "--b\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
        "",
        "--b--\r\n",
        "",
    );
    check("reference", "", "(", "", ")", "");
    check("reference", "accounts", "(a=", "", ")", "");
}

fn ask(ground: &Ground, request: &str) {
    let response = ground.ask(request.as_bytes()).expect("it is a request");
    assert!(!response.status().is_success(), "{}", request.chars().take(200).collect::<String>());
    fuzzing::ground::law(&response, false).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn whole_requests_nest_up_to_a_limit() {
    let ground = ground::shared();
    // An address has at most 32,768 characters, one in a batch 65,536.
    for levels in [200, 7_000] {
        let (open, close) = ("(".repeat(levels), ")".repeat(levels));
        for target in [
            format!("ship_crates?$filter={open}ship_weight%20eq%201{close}"),
            format!("ship_crates{open}{close}"),
            format!("ship_crates?sql=SELECT%20a%20FROM%20ship_crate%20WHERE%20{open}1=1{close}"),
            format!(
                "ExecuteCosmosSqlQuery(QueryText=@p1,EntityLogicalName=@p2)?@p1='select*from%20c%20where%20{open}1{close}'&@p2='ship_ping'"
            ),
            format!(
                "ExecuteCosmosSqlQuery(QueryText=@p1,EntityLogicalName=@p2)?@p1='select*from%20c%20where%20{}1'&@p2='ship_ping'",
                "not%20".repeat(levels / 2)
            ),
            format!(
                "ExecuteCosmosSqlQuery(QueryText=@p1,EntityLogicalName=@p2,QueryParameters=@p3)?@p1='select*from%20c'&@p2='ship_ping'&@p3={}",
                "[".repeat(levels)
            ),
            format!("EntityDefinitions?$filter={open}LogicalName%20eq%20'a'{close}"),
            format!("EntityDefinitions?$expand={}a", "Attributes($expand=".repeat(levels / 4)),
            format!("RetrieveMetadataChanges(Query=@q)?@q={}", "{\"Criteria\":".repeat(levels / 4)),
            format!("RetrieveMetadataChanges(Query=@q)?@q={}", "{\"Filters\":[".repeat(levels / 4)),
            format!(
                "ship_crates(11111111-2222-4333-8444-555555555501)/{}x",
                "ship_Holder/".repeat(levels / 4)
            ),
        ] {
            ask(ground, &format!("GET /api/data/v9.2/{target}\n\n"));
        }
    }
    for levels in [130, LEVELS] {
        let list = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let object = format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        for nest in [list, object] {
            for (request, body) in [
                ("POST /api/data/v9.2/ship_crates", "{\"ship_notes\":~}"),
                ("POST /api/data/v9.2/ship_crates", "{\"ship_Holder\":~}"),
                (
                    "POST /api/data/v9.2/ship_crates/Microsoft.Dynamics.CRM.CreateMultiple",
                    "{\"Targets\":[~]}",
                ),
                ("POST /api/data/v9.2/BulkDelete", "{\"QuerySet\":~}"),
                ("POST /api/data/v9.2/EntityDefinitions", "{\"Attributes\":~}"),
                ("POST /api/data/v9.2/CreateEntities", "{\"Entities\":~}"),
                ("POST /api/data/v9.2/InsertOptionValue", "{\"Label\":~}"),
                ("POST /api/data/v9.2/GrantAccess", "{\"Target\":~}"),
                (
                    "PUT /api/data/v9.2/ship_crates(11111111-2222-4333-8444-555555555501)/ship_label",
                    "{\"value\":~}",
                ),
                (
                    "POST /api/data/v9.2/ship_crates(11111111-2222-4333-8444-555555555501)/ship_crate_leg/$ref",
                    "{\"@odata.id\":~}",
                ),
            ] {
                ask(ground, &format!("{request}\n\n{}", body.replace('~', &nest)));
            }
        }
    }
    // A text that is JSON itself.
    let nest = "[".repeat(40_000);
    ask(ground, &format!("POST /api/data/v9.2/ship_pings\n\n{{\"ship_payload\":\"{nest}\"}}"));
}
