//! What filter objects turn into.

use super::*;
use crate::testing;

fn text_of(wanted: &Wanted) -> String {
    let (table, catalog) = testing::table();
    match text(wanted, &table, &catalog, None) {
        Ok(text) => text.unwrap_or_default(),
        Err(why) => format!("refused: {why}"),
    }
}

fn check(filters: &[&str], want: &str) {
    let filters = filters.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(text_of(&Wanted { filters, ..Wanted::default() }), want);
}

fn check_not(filter: &str, want: &str) {
    let excludes = vec![filter.to_owned()];
    assert_eq!(text_of(&Wanted { excludes, ..Wanted::default() }), want);
}

#[test]
fn members_are_all_meant_and_objects_are_alternatives() {
    check(&[], "");
    check(&[r#"{"new_name":"O'Neil"}"#], "new_name eq 'O''Neil'");
    check(&[r#"{"Name":"a","new_whole":2}"#], "(new_name eq 'a' and new_whole eq 2)");
    check(
        &[r#"{"new_name":"a"}"#, r#"{"new_whole":2}"#, "new_flag eq true"],
        "(new_name eq 'a' or new_whole eq 2 or (new_flag eq true))",
    );
    check(&[r#"{"new_name":null}"#], "new_name eq null");
    check(
        &[r#"{"new_name":["a","b\"c"]}"#],
        "Microsoft.Dynamics.CRM.In(PropertyName='new_name',PropertyValues=[\"a\",\"b\\\"c\"])",
    );
    check(&[r#"{"new_flag":"yes"}"#], "new_flag eq true");
    let id = "00000000-0000-0000-0000-000000000007";
    for value in [
        format!("\"{id}\""),
        format!("\"TableName=contact;Id={id}\""),
        format!("{{\"TableName\":\"contact\",\"Id\":\"{id}\"}}"),
    ] {
        check(&[&format!("{{\"new_many\":{value}}}")], &format!("_new_many_value eq {id}"));
    }
}

#[test]
fn operators_have_the_names_of_the_sdk_and_of_fetchxml() {
    check(&[r#"{"new_whole":{"operator":"gt","value":5}}"#], "new_whole gt 5");
    check(&[r#"{"new_whole:GreaterThan":5}"#], "new_whole gt 5");
    check(&[r#"{"new_whole":{"Operator":"NotNull"}}"#], "new_whole ne null");
    check(&[r#"{"new_whole:ne":null}"#], "new_whole ne null");
    check(
        &[r#"{"new_whole:Between":[1,9]}"#],
        "Microsoft.Dynamics.CRM.Between(PropertyName='new_whole',PropertyValues=[\"1\",\"9\"])",
    );
    for name in ["last-x-days", "LastXDays"] {
        check(
            &[&format!("{{\"new_at:{name}\":7}}")],
            "Microsoft.Dynamics.CRM.LastXDays(PropertyName='new_at',PropertyValue=7)",
        );
    }
    check(
        &[r#"{"new_at:on-or-after":"2024-02-29"}"#],
        "Microsoft.Dynamics.CRM.OnOrAfter(PropertyName='new_at',PropertyValue='2024-02-29T00:00:00Z')",
    );
    check(
        &[r#"{"new_colors:contain-values":[1]}"#],
        "Microsoft.Dynamics.CRM.ContainValues(PropertyName='new_colors',PropertyValues=[\"1\"])",
    );
    check(
        &[r#"{"createdon:ThisMonth":null}"#],
        "Microsoft.Dynamics.CRM.ThisMonth(PropertyName='createdon')",
    );
    for (pattern, want) in [
        ("a%", "startswith(new_name,'a')"),
        ("%a", "endswith(new_name,'a')"),
        ("%a%", "contains(new_name,'a')"),
        ("a", "new_name eq 'a'"),
        ("a%b", "(startswith(new_name,'a%b') and endswith(new_name,'b'))"),
    ] {
        check(&[&format!("{{\"new_name:Like\":\"{pattern}\"}}")], want);
    }
}

#[test]
fn groups_nest_and_their_opposites_are_pushed_to_the_conditions() {
    check(
        &[r#"{"or":[{"new_name":"a"},{"and":[{"new_whole":1},{"new_flag":true}]}]}"#],
        "(new_name eq 'a' or (new_whole eq 1 and new_flag eq true))",
    );
    check(
        &[r#"{"not":{"new_name":"a","new_whole:gt":1}}"#],
        "(new_name ne 'a' or (new_whole le 1 or new_whole eq null))",
    );
    check(&[r#"{"not":{"not":{"new_name":"a"}}}"#], "new_name eq 'a'");
    check(
        &[r#"{"xor":[{"new_name":"a"},{"new_whole":1}]}"#],
        "((new_name eq 'a' and new_whole ne 1) or (new_name ne 'a' and new_whole eq 1))",
    );
    check(
        &[r#"{"not":{"xor":[{"new_name":"a"},{"new_whole":1}]}}"#],
        "((new_name ne 'a' and new_whole ne 1) or (new_name eq 'a' and new_whole eq 1))",
    );
    check_not(r#"{"new_name:Like":"a%"}"#, "not startswith(new_name,'a')");
    check_not("new_whole gt 1", "not (new_whole gt 1)");
    check_not(
        r#"{"new_whole":[1,2]}"#,
        "(Microsoft.Dynamics.CRM.NotIn(PropertyName='new_whole',PropertyValues=[\"1\",\"2\"]) or \
         new_whole eq null)",
    );
    let wanted = Wanted {
        excludes: vec![r#"{"new_name":"a"}"#.to_owned(), r#"{"new_whole":1}"#.to_owned()],
        ..Wanted::default()
    };
    assert_eq!(text_of(&wanted), "(new_name ne 'a' and new_whole ne 1)");
    let wanted = Wanted { exclude_or: true, ..wanted };
    assert_eq!(text_of(&wanted), "(new_name ne 'a' or new_whole ne 1)");
}

#[test]
fn ids_are_listed_and_wrong_filters_are_refused_by_what_is_wrong() {
    let id = Uuid::from_u128(7);
    let wanted = Wanted { ids: vec![id], exclude_ids: vec![id], ..Wanted::default() };
    let list = format!("(PropertyName='new_thingid',PropertyValues=[\"{id}\"])");
    assert_eq!(
        text_of(&wanted),
        format!("Microsoft.Dynamics.CRM.In{list} and Microsoft.Dynamics.CRM.NotIn{list}")
    );
    let refused = |filter: &str, want: &str| {
        let said = text_of(&Wanted { filters: vec![filter.to_owned()], ..Wanted::default() });
        assert!(said.starts_with("refused") && said.contains(want), "{filter}: {said}");
    };
    refused(r#"{"nothing":1}"#, "has no column `nothing`");
    refused(r#"{"new_name:almost":1}"#, "`almost`");
    refused(r#"{"new_whole":"x"}"#, "new_whole");
    refused(r#"{"new_whole:Between":[1]}"#, "two values");
    refused(r#"{"not":{"new_at:Today":null}}"#, "cannot be negated");
    refused(r#"{"new_name":{"operator":"eq","valu":1}}"#, "`valu`");
    refused("{\"new_name\":", "no JSON");
    refused("{}", "no member");
    let nine = (0..9).map(|n| format!("{{\"new_whole\":{n}}}")).collect::<Vec<_>>().join(",");
    refused(&format!("{{\"xor\":[{nine}]}}"), "at most 8");
    let deep = "{\"not\":".repeat(40) + "{\"new_whole\":1}" + &"}".repeat(40);
    refused(&deep, "groups deep");
}
