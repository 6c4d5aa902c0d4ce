//! What parsing costs grows as its input does: counted in bytes that are allocated, not in time.

use allocation_counter::measure;
use fuzzing::readers::named;

/// A text four times as long may cost so many times as much: a square would be sixteen.
const GROWTH_MAX: u64 = 7;
/// What does not depend on the length.
const FIXED_BYTES: u64 = 200_000;

fn check(reader: &str, before: &str, piece: &str, after: &str) {
    let reader = named(reader).expect("there is such a reader");
    let cost = |pieces: usize| {
        let text = format!("{before}{}{after}", piece.repeat(pieces));
        let read = || {
            (reader.read)(text.as_bytes());
        };
        measure(read).bytes_total
    };
    // What is made once is made now.
    cost(1);
    let pieces = 8_000 / piece.len().max(1) + 1;
    let (short, long) = (cost(pieces), cost(pieces * 4));
    assert!(
        long <= short * GROWTH_MAX + FIXED_BYTES,
        "{}: {piece} costs {short} and then {long} bytes",
        reader.name
    );
}

#[test]
fn options_cost_what_their_length_is() {
    check("options", "", "&x=1", "");
    check("options", "$select=", "ship_label,", "ship_label");
    check("options", "$select=", ",", "");
    check("options", "$filter=", "%20", "");
    check("filter", "", "ship_weight eq 1 and ", "ship_weight eq 1");
    check("filter", "", "ship_weight eq @p and ", "ship_weight eq 1");
    check("filter", "", "ship_Holder/", "name eq 'a'");
    check("filter", "ship_Holder/name eq ", "'", "");
    check(
        "filter",
        "Microsoft.Dynamics.CRM.In(PropertyName='ship_weight',PropertyValues=[",
        "\"1\",",
        "\"1\"])",
    );
    check("filter", "", "(", "");
    check("filter", "contains(ship_label,'", "[a]%", "')");
    check("filter", "ship_tags eq ", "1,", "1");
    check("expand", "", "ship_Holder,", "ship_Holder");
    check("expand", "ship_Holder(", "$select=name;", ")");
    check("expand", "ship_crate_leg($filter=", "ship_number eq 1 and ", "ship_number eq 1)");
    check("expand", "", "(", "");
    check("expand", "", "ship_Holder($expand=", "");
    check("order", "", "ship_label,", "ship_label");
    check("apply", "groupby((", "ship_color,", "ship_color))");
    check("apply", "aggregate(", "$count as n,", "$count as n)");
    check("apply", "", "filter(ship_weight eq 1)/", "aggregate($count as n)");
    check("apply", "", "filter()/", "aggregate($count as n)");
    check("apply", "", "/", "");
    check("token", "", "<cookie/>", "");
    check("token", "<cookie page=\"1\">", "<a last=\"1\"/>", "</cookie>");
}

#[test]
fn queries_cost_what_their_length_is() {
    let (before, after) = ("<fetch><entity name=\"ship_crate\">", "</entity></fetch>");
    check("fetch", before, "<attribute name=\"ship_label\"/>", after);
    check("fetch", before, "<order attribute=\"ship_label\"/>", after);
    check("fetch", before, "<filter/>", after);
    check(
        "fetch",
        before,
        "<filter><condition attribute=\"ship_weight\" operator=\"eq\" value=\"1\"/></filter>",
        after,
    );
    check("fetch", "<fetch ", "a=\"1\" ", "/>");
    check("fetch", before, "&amp;", after);
    check("fetch", "", "<!---->", "");
    check("fetch", "", "<a ", "");
    check("fetch", "", "<a>", "");
    check("sql", "SELECT ", "ship_label, ", "ship_label FROM ship_crate");
    check(
        "sql",
        "SELECT ship_label FROM ship_crate WHERE ",
        "ship_weight = 1 AND ",
        "ship_weight = 1",
    );
    check("sql", "SELECT ship_label FROM ship_crate WHERE ship_weight IN (", "1,", "1)");
    check("sql", "", ";", "");
    check("sql", "SELECT '", "''", "'");
    check("sql", "", "--\n", "");
    check("sql", "", "(", "");
    check("query_set", "[", "{\"EntityName\":\"ship_crate\"},", "{}]");
    check(
        "query_set",
        "[{\"EntityName\":\"ship_crate\",\"Criteria\":{\"Filters\":[",
        "{},",
        "{}]}}]",
    );
}

#[test]
fn bodies_cost_what_their_length_is() {
    check(
        "targets",
        "{\"Targets\":[",
        "{\"@odata.type\":\"Microsoft.Dynamics.CRM.ship_crate\"},",
        "{}]}",
    );
    check("targets", "{\"Targets\":[", "1,", "1]}");
    check("targets", "{", "\"a\":1,", "\"Targets\":[]}");
    check("record", "{", "\"ship_label\":\"a\",", "\"ship_weight\":1}");
    check("record", "{", "\"@x\":\"a\",", "\"ship_weight\":1}");
    check("record", "{", "\"nope\":\"a\",", "\"ship_weight\":1}");
    check("record", "{\"ship_crate_leg\":[", "{\"ship_number\":1},", "{}]}");
    check("record", "{\"ship_port_crate@odata.bind\":[", "\"ship_ports(1)\",", "\"\"]}");
    check("record", "{\"ship_tags\":\"", "1,", "1\"}");
    check("record", "{\"ship_Holder@odata.bind\":\"", "$1", "\"}");
    check("record", "", "{\"ship_Holder\":", "");
    check("definition", "{\"Attributes\":[", "{\"SchemaName\":\"a\"},", "{}]}");
    check("definition", "{\"KeyAttributes\":[", "\"a\",", "\"b\"]}");
    check("batch", "--b\r\n", "--b\r\n", "--b--\r\n");
    check("batch", "--b\r\n", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", "--b--");
    check("batch", "--b\r\nContent-Type: application/http\r\n\r\n", "A: b\r\n", "");
    check("batch", "--b\r\n", "\r\n", "--b--");
    check("batch", "", "a", "");
    check("reference", "ship_crates(ship_trackingno='", "%27", "')");
    check("reference", "ship_crates(", "ship_trackingno='a',", ")");
    check("reference", "", "/", "");
    check("headers", "", "a,", "");
    check("headers", "odata.include-annotations=", "a.b,", "*");
    check("headers", "", "\"", "");
    check("answer", "{\"value\":[", "{\"ship_label\":\"a\"},", "{}]}");
    check("answer", "{\"Ids\":[", "\"1\",", "\"\"]}");
}
