//! What outside texts look like, as rules: a table of data. [`write()`] draws a text from a rule.
//!
//! `«name»` in an alternative stands for a text of that rule. The first alternative of each rule is the
//! plainest: where a text has become long enough, only that one is taken, so that every text ends.
//! Not here: texts that are wrong on purpose (`mutate`).
//! Invariant: every rule that is named exists (a test looks).

use testkit::draw::Draw;

/// After so many rules only plain alternatives are taken.
const EXPANSIONS_MAX: usize = 120;

/// Draws a text.
///
/// # Panics
/// Where there is no such rule.
#[must_use]
pub fn write(draw: &mut Draw, rule: &str) -> String {
    let mut text = String::new();
    let mut left = EXPANSIONS_MAX;
    expand(draw, rule, &mut text, &mut left);
    text
}

fn expand(draw: &mut Draw, rule: &str, text: &mut String, left: &mut usize) {
    let alternatives = rules(rule);
    let place = if *left == 0 { 0 } else { draw.index(alternatives.len()) };
    *left = left.saturating_sub(1);
    let mut rest = alternatives[place];
    while let Some((before, after)) = rest.split_once('«') {
        text.push_str(before);
        let (name, after) = after.split_once('»').expect("a name ends");
        expand(draw, name, text, left);
        rest = after;
    }
    text.push_str(rest);
}

fn rules(name: &str) -> &'static [&'static str] {
    let found = RULES.iter().find(|(known, _)| *known == name);
    found.map(|(_, alternatives)| *alternatives).unwrap_or_else(|| panic!("no rule `{name}`"))
}

/// Rule and alternatives.
const RULES: &[(&str, &[&str])] = &[
    // Names and values.
    ("text_column", &["ship_label", "ship_trackingno", "ship_notes"]),
    (
        "number_column",
        &[
            "ship_weight",
            "ship_volume",
            "ship_ratio",
            "ship_price",
            "versionnumber",
            "statecode",
            "ship_color",
        ],
    ),
    ("date_column", &["ship_packedon", "ship_dueon", "createdon", "modifiedon"]),
    (
        "lookup_column",
        &["_ship_holder_value", "_ownerid_value", "_createdby_value", "_owningbusinessunit_value"],
    ),
    (
        "column",
        &[
            "ship_label",
            "«text_column»",
            "«number_column»",
            "«date_column»",
            "«lookup_column»",
            "ship_crateid",
            "ship_fragile",
            "ship_tags",
            "statuscode",
            "ship_nope",
        ],
    ),
    (
        "logical",
        &[
            "ship_label",
            "«text_column»",
            "«number_column»",
            "«date_column»",
            "ship_holder",
            "ownerid",
            "createdby",
            "ship_crateid",
            "ship_fragile",
            "ship_tags",
            "ship_nope",
        ],
    ),
    (
        "single",
        &[
            "ship_Holder",
            "createdby",
            "owninguser",
            "owningbusinessunit",
            "ownerid",
            "ship_Holder/primarycontactid",
            "ship_Holder/ship_Holder",
        ],
    ),
    ("list", &["ship_crate_leg", "ship_crate_seal", "ship_port_crate"]),
    (
        "path",
        &[
            "ship_label",
            "«column»",
            "ship_Holder/name",
            "ship_Holder/«account_column»",
            "ship_Holder/primarycontactid/fullname",
            "ownerid/fullname",
            "createdby/fullname",
        ],
    ),
    (
        "account_column",
        &["name", "accountnumber", "numberofemployees", "revenue", "createdon", "accountid"],
    ),
    (
        "id",
        &[
            "11111111-2222-4333-8444-555555555501",
            "11111111-2222-4333-8444-555555555701",
            "00000000-0000-0000-0000-000000000000",
            "{11111111-2222-4333-8444-555555555502}",
        ],
    ),
    (
        "whole",
        &[
            "5",
            "0",
            "-1",
            "2147483647",
            "-2147483649",
            "9223372036854775807",
            "99999999999999999999999999999999",
            "007",
        ],
    ),
    (
        "number",
        &[
            "5",
            "«whole»",
            "1.5",
            "-0.0",
            "1e3",
            "1e308",
            "1e999",
            "0.000000000000000000000000000001",
            ".5",
            "INF",
            "NaN",
        ],
    ),
    (
        "date",
        &[
            "2024-02-29",
            "2024-02-29T08:15:00Z",
            "1753-01-01",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59.9999999Z",
            "2024-13-01",
            "2024-02-29T24:00:00+14:00",
            "10000-01-01",
        ],
    ),
    (
        "inside",
        &[
            "a",
            "",
            "A b",
            "''",
            "%",
            "_",
            "[a-",
            "[^z]",
            "é",
            "\u{1F600}",
            "%27",
            "null",
            "2024-01-01",
        ],
    ),
    ("quoted", &["'«inside»'", "'«inside»«inside»'"]),
    (
        "value",
        &["«number»", "«quoted»", "«date»", "«id»", "null", "true", "false", "@p", "'«date»'"],
    ),
    // $filter
    ("compare", &["eq", "ne", "gt", "ge", "lt", "le"]),
    (
        "filter",
        &[
            "«leaf»",
            "«leaf» and «filter»",
            "«leaf» or «filter»",
            "(«filter»)",
            "not («filter»)",
            "not «leaf»",
            "(«filter») and («filter»)",
        ],
    ),
    (
        "leaf",
        &[
            "ship_weight eq 5",
            "«number_column» «compare» «number»",
            "«text_column» «compare» «quoted»",
            "«date_column» «compare» «date»",
            "«lookup_column» eq «id»",
            "«path» «compare» «value»",
            "«column» «compare» «column»",
            "«value» «compare» «column»",
            "contains(«path»,«quoted»)",
            "startswith(«path»,«quoted»)",
            "endswith(tolower(«path»),«quoted»)",
            "ship_fragile eq true",
            "ship_tags ne null",
            "«function»",
            "«lambda»",
        ],
    ),
    (
        "function",
        &[
            "Microsoft.Dynamics.CRM.Today(PropertyName='createdon')",
            "Microsoft.Dynamics.CRM.«no_argument»(PropertyName='«logical»')",
            "Microsoft.Dynamics.CRM.«number_argument»(PropertyName='«date_column»',PropertyValue=«whole»)",
            "Microsoft.Dynamics.CRM.In(PropertyName='«logical»',PropertyValues=[«strings»])",
            "Microsoft.Dynamics.CRM.Between(PropertyName='«logical»',PropertyValues=[«strings»])",
            "Microsoft.Dynamics.CRM.ContainValues(PropertyName='ship_tags',PropertyValues=[«strings»])",
            "ship_Holder/Microsoft.Dynamics.CRM.«no_argument»(PropertyName='createdon')",
            "Microsoft.Dynamics.CRM.Under(PropertyName='«logical»',PropertyValue='«id»')",
            "Microsoft.Dynamics.CRM.InFiscalPeriodAndYear(PropertyName='createdon',PropertyValue1=«whole»,PropertyValue2=«whole»)",
        ],
    ),
    (
        "no_argument",
        &[
            "Today",
            "Yesterday",
            "Last7Days",
            "ThisWeek",
            "NextYear",
            "ThisFiscalPeriod",
            "LastFiscalYear",
            "EqualUserId",
            "EqualUserOrUserTeams",
            "EqualUserLanguage",
            "NotEqualBusinessId",
            "Nope",
        ],
    ),
    (
        "number_argument",
        &[
            "LastXHours",
            "LastXDays",
            "NextXWeeks",
            "LastXMonths",
            "NextXYears",
            "OlderThanXMinutes",
            "OlderThanXYears",
            "LastXFiscalYears",
            "NextXFiscalPeriods",
            "InFiscalYear",
            "InFiscalPeriod",
        ],
    ),
    (
        "strings",
        &[
            "\"1\"",
            "\"«whole»\"",
            "\"«date»\",\"«date»\"",
            "\"«id»\"",
            "'a'",
            "\"\\u0041\",\"\\ud83d\\ude00\"",
            "1,2",
            "",
            "\"1\",«strings»",
        ],
    ),
    (
        "lambda",
        &[
            "ship_crate_leg/any()",
            "«list»/any(o:o/«leg_leaf»)",
            "«list»/all(o:o/«leg_leaf» or not (o/«leg_leaf»))",
            "ship_Holder/ship_account_crate/any(o:o/ship_crate_leg/any(p:p/ship_number eq 1))",
            "not «list»/any(o:o/createdon eq null)",
        ],
    ),
    (
        "leg_leaf",
        &[
            "ship_number eq 1",
            "ship_name «compare» «quoted»",
            "ship_number «compare» «number»",
            "createdon «compare» «date»",
            "ship_Crate/ship_label eq 'a'",
        ],
    ),
    // The other options
    ("order", &["ship_label", "«path»", "«path» asc", "«path» desc", "«column»,«order»"]),
    ("columns", &["ship_label", "«column»", "«column»,«columns»"]),
    (
        "expand",
        &[
            "ship_Holder",
            "«single»",
            "«single»($select=«columns»)",
            "«single»/$ref",
            "«single»($expand=«single»)",
            "«list»",
            "«list»($select=ship_name;$filter=«leg_leaf»;$orderby=createdon desc;$top=«whole»)",
            "«list»($expand=createdby($select=fullname))",
            "«expand»,«expand»",
            "ship_Holder($expand=ship_account_crate($select=ship_label;$filter=«leaf»))",
        ],
    ),
    (
        "apply",
        &[
            "aggregate($count as n)",
            "aggregate(«aggregates»)",
            "groupby((«keys»))",
            "groupby((«keys»),aggregate(«aggregates»))",
            "filter(«filter»)/«apply»",
        ],
    ),
    ("keys", &["ship_color", "«path»", "«path»,«keys»"]),
    (
        "aggregates",
        &["$count as n", "«path» with «method» as «alias»", "«aggregates»,«aggregates»"],
    ),
    ("method", &["sum", "average", "min", "max", "countdistinct", "nope"]),
    ("alias", &["a", "n", "ship_label", "_x1", "total"]),
    ("options", &["$select=ship_label", "«option»", "«option»&«options»"]),
    (
        "option",
        &[
            "$select=«columns»",
            "$filter=«filter»",
            "$orderby=«order»",
            "$top=«whole»",
            "$count=true",
            "$expand=«expand»",
            "$skiptoken=«token»",
            "%24top=«whole»",
            "@p=«value»",
            "$apply=«apply»",
            "tag=x",
            "cachebuster=«whole»",
            "$skip=1",
            "$filter=«column»%20eq%20%27%E4%27",
        ],
    ),
    (
        "token",
        &[
            "%3Ccookie%20pagenumber=%222%22%20/%3E",
            "<cookie pagenumber=\"«whole»\" pagingcookie=\"%253ccookie%2520page%253d%25221%2522%253e%253c%252fcookie%253e\" istracking=\"False\" />",
            "<cookie page=\"«whole»\"><ship_crateid last=\"{«id»}\" first=\"{«id»}\" /></cookie>",
            "<cookie page=\"1\"><ship_label last=\"«inside»\" first=\"\" /><ship_crateid last=\"«id»\" first=\"«id»\" /></cookie>",
            "AAEC",
            "«inside»",
        ],
    ),
    // FetchXML
    (
        "fetch",
        &[
            "<fetch><entity name=\"ship_crate\"/></fetch>",
            "<fetch «fetch_attributes»><entity name=\"ship_crate\">«entity_items»</entity></fetch>",
            "<fetch aggregate=\"true\"><entity name=\"ship_crate\">«aggregate_items»</entity></fetch>",
            "<?xml version=\"1.0\"?><!-- c --><fetch distinct=\"true\"><entity name=\"ship_crate\">«entity_items»</entity></fetch>",
        ],
    ),
    (
        "fetch_attributes",
        &[
            "",
            "top=\"«whole»\"",
            "count=\"«whole»\" page=\"«whole»\"",
            "returntotalrecordcount=\"true\"",
            "useraworderby=\"true\"",
            "no-lock='true' «fetch_attributes»",
        ],
    ),
    (
        "entity_items",
        &[
            "<attribute name=\"ship_label\"/>",
            "<attribute name=\"«logical»\"/>«entity_items»",
            "<attribute name=\"«logical»\" alias=\"«alias»\"/>«entity_items»",
            "<all-attributes/>",
            "<no-attrs/>",
            "<order attribute=\"«logical»\" descending=\"true\"/>«entity_items»",
            "<filter>«conditions»</filter>«entity_items»",
            "<filter type=\"or\">«conditions»<filter type=\"and\">«conditions»</filter></filter>",
            "<link-entity «link»>«link_items»</link-entity>«entity_items»",
            "<filter><link-entity «link_condition»><filter>«conditions»</filter></link-entity></filter>",
        ],
    ),
    (
        "link",
        &[
            "name=\"account\" from=\"accountid\" to=\"ship_holder\" alias=\"h\"",
            "name=\"account\" from=\"accountid\" to=\"ship_holder\" link-type=\"«link_type»\"",
            "name=\"ship_leg\" from=\"ship_crate\" to=\"ship_crateid\" link-type=\"«link_type»\" alias=\"«alias»\"",
            "name=\"systemuser\" from=\"systemuserid\" to=\"owninguser\"",
            "name=\"ship_seal\"",
        ],
    ),
    (
        "link_condition",
        &[
            "name=\"ship_leg\" from=\"ship_crate\" to=\"ship_crateid\" link-type=\"any\"",
            "name=\"ship_leg\" from=\"ship_crate\" to=\"ship_crateid\" link-type=\"«link_type»\"",
        ],
    ),
    (
        "link_type",
        &[
            "inner",
            "outer",
            "natural",
            "matchfirstrowusingcrossapply",
            "exists",
            "in",
            "any",
            "not any",
            "all",
            "not all",
            "nope",
        ],
    ),
    (
        "link_items",
        &[
            "",
            "<attribute name=\"name\"/>",
            "<attribute name=\"createdon\" alias=\"«alias»\"/>",
            "<filter><condition attribute=\"createdon\" operator=\"not-null\"/></filter>",
            "<order attribute=\"createdon\"/>",
            "<link-entity name=\"systemuser\" from=\"systemuserid\" to=\"createdby\"><attribute name=\"fullname\"/></link-entity>",
        ],
    ),
    (
        "conditions",
        &[
            "<condition attribute=\"ship_weight\" operator=\"eq\" value=\"5\"/>",
            "<condition attribute=\"«logical»\" operator=\"«operator»\" value=\"«fetch_value»\"/>",
            "<condition attribute=\"«logical»\" operator=\"«operator»\"><value>«fetch_value»</value><value>«fetch_value»</value></condition>",
            "<condition attribute=\"«logical»\" operator=\"«operator»\"/>",
            "<condition entityname=\"h\" attribute=\"name\" operator=\"like\" value=\"%a_[b]\"/>",
            "<condition attribute=\"«logical»\" operator=\"«operator»\" valueof=\"«logical»\"/>",
            "«conditions»«conditions»",
        ],
    ),
    (
        "operator",
        &[
            "eq",
            "ne",
            "neq",
            "gt",
            "ge",
            "lt",
            "le",
            "null",
            "not-null",
            "like",
            "not-like",
            "begins-with",
            "not-end-with",
            "in",
            "not-in",
            "between",
            "not-between",
            "contain-values",
            "not-contain-values",
            "on",
            "on-or-before",
            "not-on",
            "today",
            "last-seven-days",
            "this-month",
            "last-x-hours",
            "next-x-years",
            "olderthan-x-days",
            "last-x-fiscal-periods",
            "this-fiscal-year",
            "in-fiscal-year",
            "in-fiscal-period-and-year",
            "eq-userid",
            "eq-useroruserteams",
            "eq-businessid",
            "under",
            "eq-or-under",
            "above",
            "eq-userlanguage",
            "nope",
        ],
    ),
    (
        "fetch_value",
        &[
            "5",
            "«whole»",
            "«number»",
            "«date»",
            "«id»",
            "a",
            "&lt;&amp;&quot;",
            "&#x41;",
            "%",
            "«inside»",
        ],
    ),
    (
        "aggregate_items",
        &[
            "<attribute name=\"ship_crateid\" alias=\"n\" aggregate=\"count\"/>",
            "<attribute name=\"«logical»\" alias=\"«alias»\" aggregate=\"«fetch_method»\"/>«aggregate_items»",
            "<attribute name=\"«logical»\" alias=\"«alias»\" groupby=\"true\"/>«aggregate_items»",
            "<attribute name=\"«date_column»\" alias=\"«alias»\" groupby=\"true\" dategrouping=\"«grouping»\"/>",
            "<order alias=\"n\"/>«aggregate_items»",
        ],
    ),
    (
        "fetch_method",
        &["count", "countcolumn", "sum", "avg", "min", "max", "countcolumn\" distinct=\"true"],
    ),
    (
        "grouping",
        &["day", "week", "month", "quarter", "year", "fiscal-period", "fiscal-year", "nope"],
    ),
    // SQL
    (
        "sql",
        &[
            "SELECT ship_label FROM ship_crate",
            "SELECT «sql_items» FROM ship_crate «sql_rest»",
            "SELECT TOP «whole» «sql_items» FROM ship_crate c JOIN account a ON c.ship_holder = a.accountid «sql_rest»",
            "SELECT DISTINCT ship_color FROM ship_crate",
            "SELECT ship_color, COUNT(*) AS n FROM ship_crate GROUP BY ship_color ORDER BY n DESC",
            "SELECT a.name FROM ship_crate LEFT OUTER JOIN account AS a ON ship_crate.ship_holder = a.accountid WHERE «sql_condition»",
        ],
    ),
    (
        "sql_items",
        &[
            "ship_label",
            "«logical»",
            "«logical» AS «alias»",
            "«sql_items», «sql_items»",
            "COUNT(*) AS n",
            "SUM(ship_weight) AS s",
            "COUNT(DISTINCT ship_color) AS d",
            "[ship_label]",
            "\"ship_label\"",
            "ship_crate.ship_label",
        ],
    ),
    (
        "sql_rest",
        &[
            "",
            "WHERE «sql_condition»",
            "WHERE «sql_condition» ORDER BY «logical» DESC",
            "ORDER BY «logical» OFFSET «whole» ROWS FETCH NEXT «whole» ROWS ONLY",
            "GROUP BY «logical»",
        ],
    ),
    (
        "sql_condition",
        &[
            "ship_weight = 5",
            "«logical» «sql_compare» «sql_value»",
            "«logical» LIKE '%«inside»_'",
            "«logical» IN («sql_value», «sql_value»)",
            "«logical» BETWEEN «sql_value» AND «sql_value»",
            "«logical» IS NOT NULL",
            "(«sql_condition»)",
            "NOT «sql_condition»",
            "«sql_condition» AND «sql_condition»",
            "«sql_condition» OR («sql_condition»)",
            "«logical» = «logical»",
        ],
    ),
    ("sql_compare", &["=", "<>", "!=", "<", "<=", ">", ">="]),
    (
        "sql_value",
        &[
            "5",
            "«number»",
            "'«inside»'",
            "N'«inside»'",
            "'«date»'",
            "'«id»'",
            "NULL",
            "-1",
            "0x1F",
            "$1",
        ],
    ),
    // Bulk deletes
    (
        "query_set",
        &[
            "[{\"EntityName\":\"ship_crate\"}]",
            "[{\"@odata.type\":\"Microsoft.Dynamics.CRM.QueryExpression\",\"EntityName\":\"ship_crate\",\"ColumnSet\":{\"AllColumns\":false,\"Columns\":[\"«logical»\"]},\"Criteria\":«criteria»,\"Orders\":[{\"AttributeName\":\"«logical»\",\"OrderType\":\"Ascending\"}],\"Distinct\":false,\"NoLock\":true}]",
        ],
    ),
    (
        "criteria",
        &[
            "{\"FilterOperator\":\"And\",\"Conditions\":[]}",
            "{\"FilterOperator\":\"Or\",\"Conditions\":[«set_conditions»],\"Filters\":[]}",
            "{\"FilterOperator\":\"And\",\"Conditions\":[«set_conditions»],\"Filters\":[«criteria»]}",
        ],
    ),
    (
        "set_conditions",
        &[
            "{\"AttributeName\":\"ship_weight\",\"Operator\":\"Equal\",\"Values\":[{\"Value\":\"5\",\"Type\":\"System.Int32\"}]}",
            "{\"AttributeName\":\"«logical»\",\"Operator\":\"«set_operator»\",\"Values\":[{\"Value\":\"«fetch_value»\",\"Type\":\"System.«set_type»\"}]}",
            "{\"AttributeName\":\"«logical»\",\"Operator\":\"«set_operator»\",\"Values\":[]}",
            "«set_conditions»,«set_conditions»",
        ],
    ),
    (
        "set_operator",
        &[
            "Equal",
            "NotEqual",
            "GreaterThan",
            "LessEqual",
            "Like",
            "In",
            "NotIn",
            "Between",
            "Null",
            "NotNull",
            "Today",
            "LastXDays",
            "OlderThanXMonths",
            "ContainValues",
            "EqualUserId",
            "Under",
            "Nope",
        ],
    ),
    ("set_type", &["Int32", "String", "Guid", "DateTime", "Decimal", "Boolean", "Nope"]),
    // JSON
    (
        "json",
        &[
            "1",
            "«number»",
            "\"«inside»\"",
            "null",
            "true",
            "[]",
            "{}",
            "[«json»,«json»]",
            "{\"a\":«json»}",
            "\"\\u0000\"",
            "\"\\ud800\"",
            "-",
            "1e5",
            "\"«date»\"",
            "\"«id»\"",
        ],
    ),
    ("record", &["{}", "{«members»}", "{\"ship_label\":\"«inside»\",«members»}"]),
    (
        "members",
        &[
            "\"ship_weight\":5",
            "\"«column»\":«json»",
            "\"«number_column»\":«number»",
            "\"«date_column»\":\"«date»\"",
            "\"ship_tags\":\"1,2,«whole»\"",
            "\"ship_Holder@odata.bind\":\"«reference»\"",
            "\"ship_Holder\":null",
            "\"ship_Holder\":{\"name\":\"a\"}",
            "\"ship_crate_leg\":[{\"ship_name\":\"l\",\"ship_number\":«whole»}]",
            "\"ship_port_crate@odata.bind\":[\"ship_ports(11111111-2222-4333-8444-555555555801)\"]",
            "\"@odata.etag\":\"W/\\\"«whole»\\\"\"",
            "\"ownerid@odata.bind\":\"/systemusers(«id»)\"",
            "«members»,«members»",
        ],
    ),
    (
        "reference",
        &[
            "/accounts(11111111-2222-4333-8444-555555555701)",
            "accounts(«id»)",
            "https://sheaf.test/api/data/v9.2/accounts(«id»)",
            "/accounts(accountnumber='«inside»')",
            "ship_crates(ship_trackingno='T-1')",
            "ship_legs(ship_crateno='c',ship_number=«whole»)",
            "ship_seals(_ship_crate_value=«id»)",
            "ship_seals(ship_size=«number»,ship_kind=1,ship_closedon=«date»)",
            "ship_trackingno='%27%2F'",
            "$1",
            "ship_pings(ship_pingid=«id»,partitionid='p')",
        ],
    ),
    (
        "target",
        &[
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.ship_crate\",\"ship_crateid\":\"«id»\"}",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.ship_crate\",«members»}",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.ship_crate\",\"ship_crateid\":\"«id»\",«members»}",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.ship_crate\",\"@odata.id\":\"«reference»\",«members»}",
            "{\"@odata.type\":\"#Microsoft.Dynamics.CRM.ship_ping\",\"ship_pingid\":\"«id»\",\"partitionid\":\"«inside»\",\"ship_value\":«whole»}",
            "«json»",
        ],
    ),
    ("target_list", &["«target»", "«target»,«target_list»"]),
    (
        "targets",
        &[
            "{\"Targets\":[«target_list»]}",
            "{\"Targets\":[«target_list»],\"ConcurrencyBehavior\":\"AlwaysOverwrite\"}",
            "{\"ConcurrencyBehavior\":«json»,\"Targets\":«json»}",
        ],
    ),
    (
        "label",
        &[
            "{\"LocalizedLabels\":[{\"Label\":\"L\",\"LanguageCode\":1033}]}",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.Label\",\"LocalizedLabels\":[{\"Label\":\"«inside»\",\"LanguageCode\":«whole»}],\"UserLocalizedLabel\":null}",
            "«json»",
        ],
    ),
    (
        "attribute",
        &[
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.StringAttributeMetadata\",\"SchemaName\":\"new_Name\",\"IsPrimaryName\":true,\"MaxLength\":100,\"DisplayName\":«label»}",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.«attribute_type»AttributeMetadata\",\"SchemaName\":\"new_X«whole»\",\"DisplayName\":«label»,\"MinValue\":«number»,\"MaxValue\":«number»,\"Precision\":«whole»,\"MaxLength\":«whole»}",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.PicklistAttributeMetadata\",\"SchemaName\":\"new_P\",\"DisplayName\":«label»,\"OptionSet\":{\"IsGlobal\":false,\"OptionSetType\":\"Picklist\",\"Options\":[{\"Value\":«whole»,\"Label\":«label»}]}}",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.DateTimeAttributeMetadata\",\"SchemaName\":\"new_D\",\"DisplayName\":«label»,\"Format\":\"DateOnly\",\"DateTimeBehavior\":{\"Value\":\"«inside»\"}}",
        ],
    ),
    (
        "attribute_type",
        &[
            "Integer",
            "BigInt",
            "Decimal",
            "Double",
            "Money",
            "Memo",
            "Boolean",
            "MultiSelectPicklist",
            "Lookup",
            "File",
            "Image",
            "Uniqueidentifier",
            "Nope",
        ],
    ),
    (
        "definition",
        &[
            "«attribute»",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.EntityMetadata\",\"SchemaName\":\"new_T\",\"DisplayName\":«label»,\"DisplayCollectionName\":«label»,\"OwnershipType\":\"UserOwned\",\"HasActivities\":false,\"HasNotes\":false,\"IsActivity\":false,\"Attributes\":[«attribute»]}",
            "{\"SchemaName\":\"new_K\",\"DisplayName\":«label»,\"KeyAttributes\":[\"«logical»\",\"«logical»\"]}",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata\",\"SchemaName\":\"new_a_b\",\"ReferencedEntity\":\"account\",\"ReferencedAttribute\":\"accountid\",\"ReferencingEntity\":\"ship_crate\",\"CascadeConfiguration\":{\"Delete\":\"«cascade»\",\"Assign\":\"«cascade»\"},\"Lookup\":{\"@odata.type\":\"Microsoft.Dynamics.CRM.LookupAttributeMetadata\",\"SchemaName\":\"new_L\",\"DisplayName\":«label»}}",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata\",\"SchemaName\":\"new_n_n\",\"Entity1LogicalName\":\"ship_port\",\"Entity2LogicalName\":\"ship_crate\",\"IntersectEntityName\":\"new_n_n\"}",
            "{\"@odata.type\":\"Microsoft.Dynamics.CRM.OptionSetMetadata\",\"Name\":\"new_g\",\"DisplayName\":«label»,\"IsGlobal\":true,\"OptionSetType\":\"Picklist\",\"Options\":[{\"Value\":«whole»,\"Label\":«label»}]}",
            "{\"EntityLogicalName\":\"ship_crate\",\"AttributeLogicalName\":\"ship_color\",\"Value\":«whole»,\"Label\":«label»,\"SolutionUniqueName\":null}",
        ],
    ),
    ("cascade", &["RemoveLink", "Cascade", "Restrict", "NoCascade", "Active", "UserOwned", "Nope"]),
    (
        "answer",
        &[
            "{\"value\":[«record»]}",
            "{\"@odata.context\":\"x\",\"@odata.count\":«whole»,\"@odata.nextLink\":\"https://h/a?b\",\"value\":[«record»,«record»]}",
            "{\"Ids\":[\"«id»\"]}",
            "{\"error\":{\"code\":\"0x80040203\",\"message\":\"«inside»\",\"@Microsoft.PowerApps.CDS.ErrorDetails.a\":\"1\"}}",
            "{\"LogicalName\":\"t\",\"SchemaName\":\"T\",\"EntitySetName\":\"ts\",\"PrimaryIdAttribute\":\"tid\",\"Attributes\":[«attribute»],\"Keys\":[]}",
        ],
    ),
    (
        "header_value",
        &[
            "odata.include-annotations=\"*\"",
            "return=representation",
            "odata.include-annotations=\"«inside»,-OData.*\",odata.maxpagesize=«whole»",
            "respond-async, odata.maxpagesize=«whole»; odata.continue-on-error",
            "W/\"«whole»\"",
            "*",
            "\"«inside»\"",
            "odata.include-annotations=a.b,c.*,«header_value»",
        ],
    ),
    // Batches and requests
    (
        "batch",
        &[
            "--b\r\n«part»\r\n--b--\r\n",
            "--b\r\n«part»\r\n--b\r\n«part»\r\n--b--",
            "--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n«change»\n--c\n«change»\n--c--\n\n--b--\n",
            "--b\r\nContent-Type: multipart/mixed;boundary=\"c\"\r\n\r\n--c\r\n«change»\r\n--c--\r\n--b\r\n«part»\r\n--b--\r\n",
        ],
    ),
    (
        "part",
        &[
            "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nGET ship_crates?$top=1 HTTP/1.1\r\nAccept: application/json\r\n\r\n",
            "Content-Type: application/http\n\nGET /api/data/v9.2/ship_crates?«options» HTTP/1.1\n\n",
            "Content-Type: application/http\r\n\r\nPOST ship_crates HTTP/1.1\r\nContent-Type: application/json\r\n\r\n«record»",
            "Content-Type: application/http\r\n\r\nPOST ship_crates/Microsoft.Dynamics.CRM.«bulk» HTTP/1.1\r\n\r\n«targets»",
        ],
    ),
    (
        "change",
        &[
            "Content-Type: application/http\r\nContent-ID: 1\r\n\r\nPOST ship_crates HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}",
            "Content-Type: application/http\r\nContent-ID: «whole»\r\n\r\nPATCH $1 HTTP/1.1\r\n\r\n«record»",
            "Content-Type: application/http\r\nContent-ID: 3\r\n\r\nPOST ship_crates HTTP/1.1\r\n\r\n{\"ship_Holder@odata.bind\":\"$1\"}",
            "Content-Type: application/http\r\nContent-ID: 4\r\n\r\nDELETE ship_crates(«id») HTTP/1.1\r\nIf-Match: *\r\n\r\n",
            "Content-Type: application/http\r\nContent-ID: 5\r\n\r\nPUT $1/ship_Holder/$ref HTTP/1.1\r\n\r\n{\"@odata.id\":\"«reference»\"}",
        ],
    ),
    ("bulk", &["CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple"]),
    (
        "request",
        &[
            "GET /api/data/v9.2/ship_crates\n\n",
            "GET /api/data/v9.2/ship_crates?«encoded_options»\nPrefer: «header_value»\n\n",
            "GET /api/data/v9.2/«resource»\n\n",
            "POST /api/data/v9.2/ship_crates\nPrefer: return=representation\n\n«record»",
            "PATCH /api/data/v9.2/«resource»\nIf-Match: *\n\n«record»",
            "PUT /api/data/v9.2/«resource»\n\n{\"value\":«json»}",
            "DELETE /api/data/v9.2/«resource»\n\n",
            "POST /api/data/v9.2/«set»/Microsoft.Dynamics.CRM.«bulk»\n\n«targets»",
            "POST /api/data/v9.2/$batch\nContent-Type: multipart/mixed; boundary=b\nPrefer: odata.continue-on-error\n\n«batch»",
            "POST /api/data/v9.2/«definition_resource»\n\n«definition»",
            "POST /api/data/v9.2/BulkDelete\n\n{\"QuerySet\":«query_set»,\"JobName\":\"j\",\"SendEmailNotification\":false,\"ToRecipients\":[],\"CCRecipients\":[],\"RecurrencePattern\":\"FREQ=DAILY;INTERVAL=«whole»\",\"StartDateTime\":\"«date»\"}",
            "GET /api/data/v9.2/ExecuteCosmosSqlQuery(QueryText=@p1,EntityLogicalName=@p2)?@p1='«cosmos»'&@p2='ship_ping'\n\n",
            "POST /api/data/v9.2/ship_crates(11111111-2222-4333-8444-555555555501)/«list»/$ref\n\n{\"@odata.id\":\"«reference»\"}",
            "GET /api/data/v9.2/«definition_resource»\n\n",
            "HEAD /api/data/v9.2/«resource»\n\n",
        ],
    ),
    (
        "encoded_options",
        &[
            "$top=1",
            "$select=«columns»",
            "$top=«whole»&$count=true",
            "$filter=ship_weight%20«compare»%20«number»",
            "$orderby=«column»%20desc",
            "$expand=«single»",
            "$apply=groupby((ship_color),aggregate($count%20as%20n))",
            "$apply=aggregate(ship_weight%20with%20«method»%20as%20«alias»)",
            "«encoded_options»&«encoded_options»",
            "$filter=contains(«text_column»,'%25')",
            "$filter=«list»/any()",
            "$skiptoken=«token_safe»",
        ],
    ),
    (
        "token_safe",
        &[
            "%3Ccookie%20pagenumber=%222%22%20/%3E",
            "%3Ccookie%20pagenumber=%22«whole»%22%20/%3E",
            "x",
        ],
    ),
    (
        "set",
        &[
            "ship_crates",
            "ship_pings",
            "ship_legs",
            "accounts",
            "nopes",
            "asyncoperations",
            "systemusers",
        ],
    ),
    (
        "resource",
        &[
            "ship_crates(11111111-2222-4333-8444-555555555501)",
            "«set»(«id_bare»)",
            "ship_crates(ship_trackingno='T-1')",
            "ship_crates(11111111-2222-4333-8444-555555555501)/«column»",
            "ship_crates(11111111-2222-4333-8444-555555555501)/«list»?$count=true",
            "ship_crates(11111111-2222-4333-8444-555555555501)/ship_Holder/$ref",
            "ship_legs(ship_crateno='c',ship_number=1)",
            "ship_pings(11111111-2222-4333-8444-555555555901)?partitionId='p'",
            "ship_ports(11111111-2222-4333-8444-555555555801)/ship_chart/$value",
            "«set»/$count",
            "$metadata",
            "WhoAmI()",
            "RetrieveTotalRecordCount(EntityNames=@p)?@p=[\"ship_crate\"]",
            "«set»?$select=«column»/$value",
        ],
    ),
    (
        "id_bare",
        &[
            "11111111-2222-4333-8444-555555555501",
            "11111111-2222-4333-8444-555555555502",
            "00000000-0000-0000-0000-000000000000",
            "x",
        ],
    ),
    (
        "definition_resource",
        &[
            "EntityDefinitions",
            "EntityDefinitions(LogicalName='ship_crate')/Attributes",
            "EntityDefinitions(LogicalName='ship_crate')?$select=LogicalName&$expand=Attributes($select=LogicalName)",
            "EntityDefinitions?$filter=LogicalName%20eq%20'account'",
            "EntityDefinitions(LogicalName='ship_crate')/Keys",
            "RelationshipDefinitions",
            "GlobalOptionSetDefinitions",
            "InsertOptionValue",
            "CreateEntities",
            "EntityDefinitions(LogicalName='ship_crate')/Attributes(LogicalName='ship_color')/Microsoft.Dynamics.CRM.PicklistAttributeMetadata?$expand=OptionSet",
        ],
    ),
    (
        "cosmos",
        &[
            "select*from%20c",
            "select%20c.props.ship_source%20from%20c",
            "select%20top%20«whole»%20c.props.ship_payload.a[0]%20as%20x%20from%20c%20where%20«cosmos_condition»",
            "select%20count(1)%20from%20c",
        ],
    ),
    (
        "cosmos_condition",
        &[
            "c.props.ship_value%20=%20«whole»",
            "not(«cosmos_condition»)",
            "c.props.ship_value%20between%20-1%20and%20«number»",
            "contains(c.props.ship_source,%22s%22)%20and%20«cosmos_condition»",
            "c.props.ship_payload.a%20in%20(1,%22x%22,null)",
            "is_defined(c.props.nope)",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_that_is_named_exists_and_ends_by_its_first_alternative() {
        for (name, alternatives) in RULES {
            for alternative in *alternatives {
                for inner in alternative.split('«').skip(1) {
                    let (inner, _) = inner.split_once('»').expect("a name ends");
                    assert!(!rules(inner).is_empty(), "{name}");
                }
            }
            let (mut text, mut left) = (String::new(), 0);
            expand(&mut Draw::new(1), name, &mut text, &mut left);
        }
    }
}
