//! Which records a read is about: from the user's objects and texts to one OData `$filter`. Pure.
//!
//! In: filters (JSON objects, or OData texts as they are), what is left out, ids, names. Out: the text
//! of `$filter`, if there is anything to say.
//! Not here: FetchXML (`get::fetch`), conditions on keys of many rows (`ask`).
//! Source: `client.md` 5. Invariant: a filter and its negation name every record exactly once, those
//! without a value, too.

mod criteria;
mod operator;

pub use criteria::criteria;

use crate::ask::literal;
use crate::convert::{Converter, Reading};
use crate::mapping;
use crate::problem::shortened;
use crate::zone::Zone;
use model::{Catalog, ColumnIndex, ColumnKind, Table, Value};
use operator::{Operand, Operator};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

/// Members of an `xor` group.
const XOR_MAX: usize = 8;
/// Groups within groups.
const DEPTH_MAX: usize = 32;

/// Which records are meant, in the user's words.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// JSON objects or OData texts; a record needs one of them.
    pub filters: Vec<String>,
    /// JSON objects or OData texts that a record must not fulfil.
    pub excludes: Vec<String>,
    /// A record needs to miss one of `excludes` only, not all.
    pub exclude_or: bool,
    /// Primary keys.
    pub ids: Vec<Uuid>,
    /// Primary keys that are left out.
    pub exclude_ids: Vec<Uuid>,
    /// Values of the primary name.
    pub names: Vec<String>,
    /// Only active records, unless a filter speaks of that itself.
    pub active_only: bool,
}

/// What a text asks for.
enum Tree {
    /// OData, as given.
    Text(String),
    /// All of them.
    All(Vec<Tree>),
    /// One of them at least.
    Any(Vec<Tree>),
    /// One of them and no more.
    One(Vec<Tree>),
    Not(Box<Tree>),
    Condition(Condition),
}

struct Condition {
    column: ColumnIndex,
    operator: Operator,
    values: Vec<Json>,
}

/// The table whose columns are meant.
struct Scope<'a> {
    table: &'a Table,
    catalog: &'a Catalog,
    /// What values mean.
    reading: Reading,
}

/// The text of `$filter`; none where every record is meant. Times without a zone are of `zone`, or UTC.
///
/// Errors: what is wrong with the wish.
pub fn text(
    wanted: &Wanted,
    table: &Table,
    catalog: &Catalog,
    zone: Option<&Zone>,
) -> Result<Option<String>, String> {
    let reading = Reading { zone: zone.cloned(), ..Reading::default() };
    let scope = Scope { table, catalog, reading };
    let trees = |texts: &[String]| -> Result<Vec<Tree>, String> {
        texts.iter().map(|text| scope.tree(text)).collect()
    };
    let (filters, excludes) = (trees(&wanted.filters)?, trees(&wanted.excludes)?);
    let state = state_column(table);
    let mut parts = Vec::new();
    if wanted.active_only
        && let Some((column, active)) = state
        && !filters.iter().chain(&excludes).any(|tree| tree.names(table, column))
    {
        parts.push(format!("{} eq {active}", table.value_name(column)));
    }
    if !filters.is_empty() {
        parts.push(scope.write(&Tree::Any(filters), false)?);
    }
    if !excludes.is_empty() {
        let excluded = if wanted.exclude_or { Tree::All(excludes) } else { Tree::Any(excludes) };
        parts.push(scope.write(&excluded, true)?);
    }
    let list = |function: &str, ids: &[Uuid]| {
        let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
        let key = table.primary_key_name();
        function_of(function, key, &format!(",PropertyValues=[{}]", ids.join(",")))
    };
    if !wanted.ids.is_empty() {
        parts.push(list("In", &wanted.ids));
    }
    if !wanted.exclude_ids.is_empty() {
        parts.push(list("NotIn", &wanted.exclude_ids));
    }
    if !wanted.names.is_empty() {
        let column = table.definition().primary_name.ok_or_else(|| {
            format!("table `{}` has no column that names its records", table.logical_name)
        })?;
        let name = table.value_name(column);
        let any: Vec<String> = wanted
            .names
            .iter()
            .map(|text| format!("{name} eq {}", literal(&Value::text(text.as_str()))))
            .collect();
        parts.push(group(any, " or "));
    }
    Ok(match parts.len() {
        0 => None,
        _ => Some(parts.join(" and ")),
    })
}

/// Whether a wish says more than the table.
pub fn is_any(wanted: &Wanted) -> bool {
    !(wanted.filters.is_empty()
        && wanted.excludes.is_empty()
        && wanted.ids.is_empty()
        && wanted.exclude_ids.is_empty()
        && wanted.names.is_empty()
        && !wanted.active_only)
}

/// The column that tells active records from others, and what it holds for them.
pub fn state_column(table: &Table) -> Option<(ColumnIndex, &'static str)> {
    let state = table.index_of("statecode").map(|column| (column, "0"));
    state.or_else(|| table.index_of("isdisabled").map(|column| (column, "false")))
}

fn group(parts: Vec<String>, word: &str) -> String {
    match parts.as_slice() {
        [only] => only.clone(),
        _ => format!("({})", parts.join(word)),
    }
}

fn function_of(function: &str, column: &str, rest: &str) -> String {
    format!("Microsoft.Dynamics.CRM.{function}(PropertyName='{column}'{rest})")
}

impl Tree {
    fn names(&self, table: &Table, column: ColumnIndex) -> bool {
        match self {
            Self::Text(text) => {
                let name = &table.column(column).logical_name;
                let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
                words.any(|word| word == &**name)
            }
            Self::All(trees) | Self::Any(trees) | Self::One(trees) => {
                trees.iter().any(|tree| tree.names(table, column))
            }
            Self::Not(tree) => tree.names(table, column),
            Self::Condition(condition) => condition.column == column,
        }
    }
}

impl Scope<'_> {
    fn tree(&self, text: &str) -> Result<Tree, String> {
        let text = text.trim();
        if !text.starts_with('{') {
            return match text.is_empty() {
                true => Err("a filter is empty".to_owned()),
                false => Ok(Tree::Text(text.to_owned())),
            };
        }
        match serde_json::from_str(text) {
            Ok(Json::Object(members)) => self.object(&members, 0),
            Ok(_) => Err(format!("filter `{}` is no JSON object", shortened(text))),
            Err(err) => Err(format!("filter `{}` is no JSON: {err}", shortened(text))),
        }
    }

    /// All members of an object must hold.
    fn object(&self, members: &Map<String, Json>, depth: usize) -> Result<Tree, String> {
        if depth > DEPTH_MAX {
            return Err(format!("filters go at most {DEPTH_MAX} groups deep"));
        }
        if members.is_empty() {
            return Err("a filter object has no member".to_owned());
        }
        let mut all = Vec::with_capacity(members.len());
        for (name, value) in members {
            let group = name.to_ascii_lowercase();
            all.push(match group.as_str() {
                "and" => Tree::All(self.members(name, value, depth)?),
                "or" => Tree::Any(self.members(name, value, depth)?),
                "not" => Tree::Not(Box::new(Tree::All(self.members(name, value, depth)?))),
                "xor" => {
                    let trees = self.members(name, value, depth)?;
                    if trees.len() > XOR_MAX {
                        return Err(format!("`xor` takes at most {XOR_MAX} filters"));
                    }
                    Tree::One(trees)
                }
                _ => Tree::Condition(self.condition(name, value)?),
            });
        }
        Ok(Tree::All(all))
    }

    /// The filters of a group: one object, or a list of them.
    fn members(&self, name: &str, value: &Json, depth: usize) -> Result<Vec<Tree>, String> {
        let items = match value {
            Json::Array(items) if !items.is_empty() => items.as_slice(),
            Json::Object(members) if name.eq_ignore_ascii_case("not") => {
                return Ok(vec![self.object(members, depth + 1)?]);
            }
            // The conditions of one object are the members of the group.
            Json::Object(members) => {
                let alone = |(name, value): (&String, &Json)| {
                    self.object(&Map::from_iter([(name.clone(), value.clone())]), depth + 1)
                };
                return members.iter().map(alone).collect();
            }
            _ => return Err(format!("`{name}` takes an object, or a list of objects")),
        };
        let object = |item: &Json| match item {
            Json::Object(members) => self.object(members, depth + 1),
            _ => Err(format!("`{name}` takes objects, not `{item}`")),
        };
        items.iter().map(object).collect()
    }

    /// `"column": value`, `"column": {"operator": …, "value": …}` or `"column:Operator": value`.
    fn condition(&self, name: &str, value: &Json) -> Result<Condition, String> {
        let (named, operator) = match name.rsplit_once(':') {
            Some((named, word)) if mapping::find(self.table, name).is_none() => {
                (named, Some(word.to_owned()))
            }
            _ => (name, None),
        };
        let column = mapping::find(self.table, named).ok_or_else(|| {
            format!("table `{}` has no column `{named}`", self.table.logical_name)
        })?;
        let (operator, value) = match value {
            Json::Object(members) if operator.is_none() && has(members, "operator").is_some() => {
                if let Some(other) = members.keys().find(|name| {
                    !["operator", "value"].iter().any(|own| name.eq_ignore_ascii_case(own))
                }) {
                    return Err(format!("`{named}` takes `operator` and `value`, not `{other}`"));
                }
                let word = has(members, "operator").and_then(Json::as_str);
                let word = word.ok_or_else(|| format!("the operator of `{named}` is no text"))?;
                (Some(word.to_owned()), has(members, "value").unwrap_or(&Json::Null))
            }
            value => (operator, value),
        };
        let operator = match (operator, value) {
            (Some(word), _) => operator::find(&word).ok_or_else(|| {
                format!("`{word}` of `{named}` is no operator that a filter object knows")
            })?,
            (None, Json::Array(_)) => operator::IN,
            (None, _) => operator::EQUAL,
        };
        let mut values = match value {
            Json::Array(items) => items.clone(),
            Json::Null => Vec::new(),
            value => vec![value.clone()],
        };
        let operator = match (operator.is_equality(), values.as_slice()) {
            // Equal to nothing, and to one of several.
            (Some(is_equal), []) => operator::null(is_equal),
            (Some(is_equal), [_, _, ..]) => operator::listed(is_equal),
            _ => operator,
        };
        match operator.operand {
            Operand::None => values.clear(),
            Operand::One if values.len() != 1 => {
                return Err(format!("`{}` of `{named}` takes one value", operator.name));
            }
            Operand::Two if values.len() != 2 => {
                return Err(format!("`{}` of `{named}` takes two values", operator.name));
            }
            Operand::Listed if values.is_empty() => {
                return Err(format!("`{}` of `{named}` takes at least one value", operator.name));
            }
            Operand::One | Operand::Two | Operand::Listed => {}
        }
        Ok(Condition { column, operator, values })
    }

    fn write(&self, tree: &Tree, negated: bool) -> Result<String, String> {
        let each = |trees: &[Tree], negated: bool, word: &str| -> Result<String, String> {
            let parts: Result<Vec<String>, String> =
                trees.iter().map(|tree| self.write(tree, negated)).collect();
            Ok(group(parts?, word))
        };
        match (tree, negated) {
            (Tree::Text(text), false) => Ok(format!("({text})")),
            (Tree::Text(text), true) => Ok(format!("not ({text})")),
            (Tree::All(trees), false) | (Tree::Any(trees), true) => each(trees, negated, " and "),
            (Tree::Any(trees), false) | (Tree::All(trees), true) => each(trees, negated, " or "),
            (Tree::Not(tree), negated) => self.write(tree, !negated),
            (Tree::One(trees), false) => {
                let mut ways = Vec::with_capacity(trees.len());
                for true_one in 0..trees.len() {
                    let parts: Result<Vec<String>, String> = trees
                        .iter()
                        .enumerate()
                        .map(|(place, tree)| self.write(tree, place != true_one))
                        .collect();
                    ways.push(group(parts?, " and "));
                }
                Ok(group(ways, " or "))
            }
            (Tree::One(trees), true) => {
                // None of them, or two at least.
                let mut ways = Vec::new();
                let parts: Result<Vec<String>, String> =
                    trees.iter().map(|tree| self.write(tree, true)).collect();
                ways.push(group(parts?, " and "));
                for (place, one) in trees.iter().enumerate() {
                    for other in trees.iter().skip(place + 1) {
                        let both = [self.write(one, false)?, self.write(other, false)?];
                        ways.push(group(both.into(), " and "));
                    }
                }
                Ok(group(ways, " or "))
            }
            (Tree::Condition(condition), negated) => self.comparison(condition, negated),
        }
    }

    fn comparison(&self, condition: &Condition, negated: bool) -> Result<String, String> {
        let Condition { column, operator, values } = condition;
        let name = self.table.value_name(*column);
        let values: Result<Vec<Value>, String> =
            values.iter().map(|value| self.value(*column, operator, value)).collect();
        operator::write(operator, name, &self.table.column(*column).logical_name, &values?, negated)
    }

    /// A value as the column holds it, or as the operator wants it.
    fn value(
        &self,
        index: ColumnIndex,
        operator: &Operator,
        value: &Json,
    ) -> Result<Value, String> {
        let column = self.table.column(index);
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Number(number) => number.to_string(),
            Json::Bool(value) => value.to_string(),
            Json::Object(members) => match has(members, "id").and_then(Json::as_str) {
                Some(id) => id.to_owned(),
                None => return Err(format!("`{value}` is no value of `{}`", column.logical_name)),
            },
            Json::Null | Json::Array(_) => {
                return Err(format!("`{value}` is no value of `{}`", column.logical_name));
            }
        };
        let wrong = |why: String| format!("`{}`: {why}", column.logical_name);
        if operator.takes_number() {
            return text
                .trim()
                .parse()
                .map(Value::BigInt)
                .map_err(|_| wrong(format!("`{}` is no whole number", shortened(&text))));
        }
        if operator.takes_text() {
            return Ok(Value::text(text));
        }
        match &column.kind {
            ColumnKind::Lookup { .. } => {
                let converter = Converter::new(column, self.catalog);
                let id = match converter.read(&text) {
                    Ok(Value::Lookup(lookup)) => Some(lookup.id),
                    _ => Uuid::try_parse(text.trim()).ok(),
                };
                let id = id
                    .ok_or_else(|| wrong(format!("`{}` is no id of a record", shortened(&text))))?;
                Ok(Value::Guid(id))
            }
            // Each of its values is compared alone.
            ColumnKind::MultiChoice { .. } => {
                match Converter::new(column, self.catalog).read(&text) {
                    Ok(Value::Choices(values)) => match *values {
                        [value] => Ok(Value::Integer(value)),
                        _ => Err(wrong(format!("`{}` is not one choice", shortened(&text)))),
                    },
                    Ok(other) => Ok(other),
                    Err(why) => Err(wrong(why)),
                }
            }
            _ => {
                let converter = Converter::new(column, self.catalog);
                converter.reading(column, &self.reading).read(&text).map_err(wrong)
            }
        }
    }
}

/// A member by its name in any case.
fn has<'a>(members: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    members.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
