//! Filter objects as the criteria of a `QueryExpression`, for jobs of the service.
//!
//! Invariant: what criteria cannot say is refused by name, never left out.

use super::{Condition, Scope, Tree};
use crate::convert::Reading;
use model::{Catalog, Table, Value};
use serde_json::{Value as Json, json};

/// The criteria of one filter object.
///
/// Errors: what is wrong with it, or what criteria cannot say.
pub fn criteria(text: &str, table: &Table, catalog: &Catalog) -> Result<Json, String> {
    let scope = Scope { table, catalog, reading: Reading::default() };
    let tree = scope.tree(text)?;
    match scope.part(&tree)? {
        Part::Group(group) => Ok(group),
        Part::Condition(condition) => Ok(group("And", vec![Part::Condition(condition)])),
    }
}

enum Part {
    Group(Json),
    Condition(Json),
}

fn group(operator: &str, parts: Vec<Part>) -> Json {
    let (mut conditions, mut filters) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Condition(condition) => conditions.push(condition),
            Part::Group(group) => filters.push(group),
        }
    }
    let mut group = json!({"FilterOperator": operator, "Conditions": conditions});
    if !filters.is_empty() {
        group["Filters"] = filters.into();
    }
    group
}

impl Scope<'_> {
    fn part(&self, tree: &Tree) -> Result<Part, String> {
        let each = |operator: &str, trees: &[Tree]| -> Result<Part, String> {
            if let [only] = trees {
                return self.part(only);
            }
            let parts: Result<Vec<Part>, String> =
                trees.iter().map(|tree| self.part(tree)).collect();
            Ok(Part::Group(group(operator, parts?)))
        };
        match tree {
            Tree::All(trees) => each("And", trees),
            Tree::Any(trees) => each("Or", trees),
            Tree::Condition(condition) => self.criterion(condition).map(Part::Condition),
            Tree::Text(_) => Err("a job takes a filter object, not OData text".to_owned()),
            Tree::Not(_) => Err("a job takes no `not`: give the opposite operators".to_owned()),
            Tree::One(_) => Err("a job takes no `xor`".to_owned()),
        }
    }

    fn criterion(&self, condition: &Condition) -> Result<Json, String> {
        let Condition { column, operator, values } = condition;
        let values: Result<Vec<Json>, String> = values
            .iter()
            .map(|value| self.value(*column, operator, value).and_then(|value| typed(&value)))
            .collect();
        Ok(json!({
            "AttributeName": self.table.column(*column).logical_name,
            "Operator": operator.name,
            "Values": values?,
        }))
    }
}

/// A value with the name of its type, as the SDK calls it.
fn typed(value: &Value) -> Result<Json, String> {
    let (text, kind) = match value {
        Value::Text(text) => (text.to_string(), "String"),
        Value::Integer(number) => (number.to_string(), "Int32"),
        Value::BigInt(number) => (number.to_string(), "Int64"),
        Value::Decimal(number) => (number.to_string(), "Decimal"),
        Value::Double(number) => (number.to_string(), "Double"),
        Value::Boolean(value) => (value.to_string(), "Boolean"),
        Value::DateTime(at) => (at.to_string(), "DateTime"),
        Value::Date(day) => (day.to_string(), "DateTime"),
        Value::Guid(id) => (id.to_string(), "Guid"),
        Value::Lookup(lookup) => (lookup.id.to_string(), "Guid"),
        Value::Null | Value::Choices(_) => return Err("a job takes no such value".to_owned()),
    };
    Ok(json!({"Value": text, "Type": format!("System.{kind}")}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn filter_objects_are_criteria_or_are_refused() {
        let (table, catalog) = testing::table();
        let check = |text: &str, want: Result<Json, &str>| {
            let got = criteria(text, &table, &catalog);
            match want {
                Ok(want) => assert_eq!(got, Ok(want), "{text}"),
                Err(part) => assert!(got.expect_err(text).contains(part), "{text}"),
            }
        };
        let condition = |name: &str, operator: &str, values: Json| json!({"AttributeName": name, "Operator": operator, "Values": values});
        let five = json!([{"Value": "5", "Type": "System.Int32"}]);
        let less = condition("new_whole", "LessThan", five);
        check(
            r#"{"new_whole": {"operator": "lt", "value": 5}}"#,
            Ok(json!({"FilterOperator": "And", "Conditions": [less]})),
        );
        check(
            r#"{"new_whole:lt": 5, "or": [{"new_name": "a"}, {"new_name": null}]}"#,
            Ok(json!({
                "FilterOperator": "And",
                "Conditions": [less],
                "Filters": [{"FilterOperator": "Or", "Conditions": [
                    condition("new_name", "Equal", json!([{"Value": "a", "Type": "System.String"}])),
                    condition("new_name", "Null", json!([])),
                ]}],
            })),
        );
        check("new_whole lt 5", Err("not OData text"));
        check(r#"{"not": {"new_whole": 5}}"#, Err("no `not`"));
        check(r#"{"xor": [{"new_whole": 5}, {"new_whole": 6}]}"#, Err("no `xor`"));
        check(r#"{"nothing": 5}"#, Err("no column"));
    }
}
