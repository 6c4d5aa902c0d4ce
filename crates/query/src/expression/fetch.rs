//! A QueryExpression as FetchXML text, as job rows show it.

use super::{ConditionExpression, FilterExpression, QueryExpression};

/// Operators under FetchXML's names; those of relative dates follow the rule of [`kebab`].
const NAMES: [(&str, &str); 16] = [
    ("Equal", "eq"),
    ("NotEqual", "ne"),
    ("GreaterThan", "gt"),
    ("GreaterEqual", "ge"),
    ("LessThan", "lt"),
    ("LessEqual", "le"),
    ("Contains", "like"),
    ("DoesNotContain", "not-like"),
    ("DoesNotBeginWith", "not-begin-with"),
    ("DoesNotEndWith", "not-end-with"),
    ("OlderThanXMinutes", "olderthan-x-minutes"),
    ("OlderThanXHours", "olderthan-x-hours"),
    ("OlderThanXDays", "olderthan-x-days"),
    ("OlderThanXWeeks", "olderthan-x-weeks"),
    ("OlderThanXMonths", "olderthan-x-months"),
    ("OlderThanXYears", "olderthan-x-years"),
];

/// The queries as FetchXML, one `fetch` after the other.
pub fn to_fetch(queries: &[QueryExpression]) -> String {
    let mut text = String::new();
    for query in queries {
        text.push_str("<fetch><entity name=\"");
        escape(&mut text, &query.entity_name);
        text.push_str("\">");
        if let Some(criteria) = &query.criteria {
            filter(&mut text, criteria);
        }
        text.push_str("</entity></fetch>");
    }
    text
}

fn filter(text: &mut String, expression: &FilterExpression) {
    let or = expression.filter_operator.as_deref() == Some("Or");
    text.push_str(if or { "<filter type=\"or\">" } else { "<filter type=\"and\">" });
    for each in expression.conditions.iter().flatten() {
        condition(text, each);
    }
    for each in expression.filters.iter().flatten() {
        filter(text, each);
    }
    text.push_str("</filter>");
}

fn condition(text: &mut String, expression: &ConditionExpression) {
    let contains = matches!(&*expression.operator, "Contains" | "DoesNotContain");
    text.push_str("<condition attribute=\"");
    escape(text, &expression.attribute_name);
    text.push_str("\" operator=\"");
    match NAMES.iter().find(|(name, _)| *name == expression.operator) {
        Some((_, name)) => text.push_str(name),
        None => kebab(text, &expression.operator),
    }
    text.push_str("\">");
    for item in expression.values.iter().flatten() {
        text.push_str("<value>");
        let plain = match &item.value {
            serde_json::Value::String(value) => value.clone(),
            other => other.to_string(),
        };
        escape(text, &if contains { format!("%{plain}%") } else { plain });
        text.push_str("</value>");
    }
    text.push_str("</condition>");
}

/// `OnOrBefore` as `on-or-before`.
fn kebab(text: &mut String, name: &str) {
    for (place, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && place > 0 {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
}

fn escape(text: &mut String, plain: &str) {
    for letter in plain.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            other => text.push(other),
        }
    }
}
