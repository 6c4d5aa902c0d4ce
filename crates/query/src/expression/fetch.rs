//! A QueryExpression as FetchXML text, as job rows show it.

use super::{ConditionExpression, FilterExpression, QueryExpression};
use crate::operator::fetch_name;

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
    text.push_str(match &*expression.operator {
        "Contains" => "like",
        "DoesNotContain" => "not-like",
        // Others are refused before a query is shown.
        other => fetch_name(other).unwrap_or(other),
    });
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
