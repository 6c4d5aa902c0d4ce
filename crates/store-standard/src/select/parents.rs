//! The first rows of each parent, in one statement for all parents.
//!
//! Rows are numbered within their parent by a window, and those up to the wanted number are kept.
//! Invariant: rows come parent by parent, each in the order of the query.

use super::{Output, Select, Writer};
use crate::dialect::{Dialect, Param};
use query::BoundQuery;
use query::shape::PerParent;

pub(super) fn page(query: &BoundQuery, of: PerParent, dialect: &dyn Dialect) -> Select {
    let mut writer = Writer::new(query, dialect);
    let mut outputs = Vec::with_capacity(query.columns.len());
    let (mut outer, mut inner) = (Vec::new(), Vec::new());
    for column in &query.columns {
        let Some(operand) = writer.operand(*column) else {
            outputs.push(Output::Null);
            continue;
        };
        let place = outer.len();
        outputs.push(Output::At { place, storage: operand.storage });
        for expression in std::iter::once(operand.plain).chain(operand.lookup_table) {
            let name = format!("o{}", outer.len());
            inner.push(format!("{expression} AS {name}"));
            outer.push(name);
        }
    }
    let parent = writer.operand(of.parent);
    let mut parts: Vec<String> = Vec::new();
    if let Some(parent) = &parent {
        parts.push(parent.compared.clone());
        parts.extend(parent.lookup_table.clone());
    }
    let names: Vec<String> = (0..parts.len()).map(|place| format!("p{place}")).collect();
    inner.extend(parts.iter().zip(&names).map(|(part, name)| format!("{part} AS {name}")));
    let shown = if outer.is_empty() { "1".to_owned() } else { outer.join(", ") };
    writer.sql.push_str(&format!("SELECT {shown} FROM (SELECT "));
    for expression in inner {
        writer.sql.push_str(&expression);
        writer.sql.push_str(", ");
    }
    writer.sql.push_str("row_number() OVER (");
    if !parts.is_empty() {
        writer.sql.push_str(&format!("PARTITION BY {}", parts.join(", ")));
    }
    writer.order();
    writer.sql.push_str(") AS n");
    writer.from();
    writer.conditions(query.filter.as_ref(), None);
    writer.sql.push_str(") AS numbered WHERE ");
    match names.first() {
        Some(parent) => writer.sql.push_str(&format!("{parent} IS NOT NULL AND n <= ")),
        None => writer.sql.push_str("FALSE AND n <= "),
    }
    writer.param(Param::BigInt(i64::from(of.size)));
    writer.sql.push_str(" ORDER BY ");
    for name in names {
        writer.sql.push_str(&name);
        writer.sql.push_str(", ");
    }
    writer.sql.push('n');
    writer.limit(query);
    writer.finish(outputs)
}
