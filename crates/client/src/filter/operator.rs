//! The operators of filter objects: their names, what they take, how OData says them and their opposites.
//!
//! Names are those of the SDK and of FetchXML; case, `-` and `_` do not count.
//! Invariant: where there is no text for an operator's opposite, the opposite is refused by name.

use crate::ask::literal;
use model::Value;

/// How many values an operator takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    None,
    One,
    Two,
    Listed,
}

/// How an operator is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `column word value`; the second is the opposite's word, the third whether the opposite holds for
    /// records without a value only when that is said.
    Word { word: &'static str, opposite: &'static str, misses_null: bool },
    /// `column eq null`, or not.
    Null { negated: bool },
    /// A function of text.
    Text { place: Place, negated: bool },
    /// A query function, and the one that says the opposite.
    Function { name: &'static str, opposite: Option<&'static str> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    End,
    Anywhere,
    Pattern,
}

/// An operator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator {
    /// Its name in the SDK.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) operand: Operand,
    form: Form,
}

impl Operator {
    /// Whether it says «equal» (true) or «not equal».
    pub(super) fn is_equality(&self) -> Option<bool> {
        match self.form {
            Form::Word { word: "eq", .. } => Some(true),
            Form::Word { word: "ne", .. } => Some(false),
            _ => None,
        }
    }

    /// Its value is a number whatever the column is.
    pub(super) fn takes_number(&self) -> bool {
        self.name.contains("X") || self.name.contains("Fiscal")
    }

    /// Its value is a text whatever the column is.
    pub(super) fn takes_text(&self) -> bool {
        matches!(self.form, Form::Text { .. })
    }
}

const fn word(
    name: &'static str,
    word: &'static str,
    opposite: &'static str,
    misses_null: bool,
) -> Operator {
    Operator { name, operand: Operand::One, form: Form::Word { word, opposite, misses_null } }
}

const fn text(name: &'static str, place: Place, negated: bool) -> Operator {
    Operator { name, operand: Operand::One, form: Form::Text { place, negated } }
}

const fn pair(name: &'static str, operand: Operand, opposite: &'static str) -> Operator {
    Operator { name, operand, form: Form::Function { name, opposite: Some(opposite) } }
}

const fn function(name: &'static str, operand: Operand) -> Operator {
    Operator { name, operand, form: Form::Function { name, opposite: None } }
}

pub(super) const EQUAL: Operator = word("Equal", "eq", "ne", false);
const NOT_EQUAL: Operator = word("NotEqual", "ne", "eq", false);
pub(super) const IN: Operator = pair("In", Operand::Listed, "NotIn");
const NOT_IN: Operator = pair("NotIn", Operand::Listed, "In");

/// Whether there is a value.
pub(super) fn null(is_null: bool) -> Operator {
    let name = if is_null { "Null" } else { "NotNull" };
    Operator { name, operand: Operand::None, form: Form::Null { negated: !is_null } }
}

/// Equal to one of several, or to none.
pub(super) fn listed(is_in: bool) -> Operator {
    if is_in { IN } else { NOT_IN }
}

const ALL: &[Operator] = &[
    EQUAL,
    NOT_EQUAL,
    word("GreaterThan", "gt", "le", true),
    word("GreaterEqual", "ge", "lt", true),
    word("LessThan", "lt", "ge", true),
    word("LessEqual", "le", "gt", true),
    text("Like", Place::Pattern, false),
    text("NotLike", Place::Pattern, true),
    text("BeginsWith", Place::Start, false),
    text("DoesNotBeginWith", Place::Start, true),
    text("EndsWith", Place::End, false),
    text("DoesNotEndWith", Place::End, true),
    text("Contains", Place::Anywhere, false),
    text("DoesNotContain", Place::Anywhere, true),
    IN,
    NOT_IN,
    pair("Between", Operand::Two, "NotBetween"),
    pair("NotBetween", Operand::Two, "Between"),
    pair("ContainValues", Operand::Listed, "DoesNotContainValues"),
    pair("DoesNotContainValues", Operand::Listed, "ContainValues"),
    pair("EqualUserId", Operand::None, "NotEqualUserId"),
    pair("NotEqualUserId", Operand::None, "EqualUserId"),
    pair("EqualBusinessId", Operand::None, "NotEqualBusinessId"),
    pair("NotEqualBusinessId", Operand::None, "EqualBusinessId"),
    function("EqualUserTeams", Operand::None),
    function("EqualUserOrUserTeams", Operand::None),
    function("EqualUserOrUserHierarchy", Operand::None),
    function("EqualUserOrUserHierarchyAndTeams", Operand::None),
    function("EqualUserLanguage", Operand::None),
    pair("Under", Operand::One, "NotUnder"),
    pair("NotUnder", Operand::One, "Under"),
    function("UnderOrEqual", Operand::One),
    function("Above", Operand::One),
    function("AboveOrEqual", Operand::One),
    function("On", Operand::One),
    function("OnOrAfter", Operand::One),
    function("OnOrBefore", Operand::One),
    function("Today", Operand::None),
    function("Yesterday", Operand::None),
    function("Tomorrow", Operand::None),
    function("Last7Days", Operand::None),
    function("Next7Days", Operand::None),
    function("LastWeek", Operand::None),
    function("ThisWeek", Operand::None),
    function("NextWeek", Operand::None),
    function("LastMonth", Operand::None),
    function("ThisMonth", Operand::None),
    function("NextMonth", Operand::None),
    function("LastYear", Operand::None),
    function("ThisYear", Operand::None),
    function("NextYear", Operand::None),
    function("LastXHours", Operand::One),
    function("LastXDays", Operand::One),
    function("LastXWeeks", Operand::One),
    function("LastXMonths", Operand::One),
    function("LastXYears", Operand::One),
    function("NextXHours", Operand::One),
    function("NextXDays", Operand::One),
    function("NextXWeeks", Operand::One),
    function("NextXMonths", Operand::One),
    function("NextXYears", Operand::One),
    function("OlderThanXMinutes", Operand::One),
    function("OlderThanXHours", Operand::One),
    function("OlderThanXDays", Operand::One),
    function("OlderThanXWeeks", Operand::One),
    function("OlderThanXMonths", Operand::One),
    function("OlderThanXYears", Operand::One),
    function("LastFiscalPeriod", Operand::None),
    function("ThisFiscalPeriod", Operand::None),
    function("NextFiscalPeriod", Operand::None),
    function("LastFiscalYear", Operand::None),
    function("ThisFiscalYear", Operand::None),
    function("NextFiscalYear", Operand::None),
    function("LastXFiscalPeriods", Operand::One),
    function("LastXFiscalYears", Operand::One),
    function("NextXFiscalPeriods", Operand::One),
    function("NextXFiscalYears", Operand::One),
    function("InFiscalPeriod", Operand::One),
    function("InFiscalYear", Operand::One),
    function("InFiscalPeriodAndYear", Operand::Two),
    function("InOrBeforeFiscalPeriodAndYear", Operand::Two),
    function("InOrAfterFiscalPeriodAndYear", Operand::Two),
];

/// Names of FetchXML and others that are not the SDK's with dashes.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("eq", "equal"),
    ("ne", "notequal"),
    ("neq", "notequal"),
    ("gt", "greaterthan"),
    ("ge", "greaterequal"),
    ("greaterthanorequal", "greaterequal"),
    ("lt", "lessthan"),
    ("le", "lessequal"),
    ("lessthanorequal", "lessequal"),
    ("notbeginwith", "doesnotbeginwith"),
    ("startswith", "beginswith"),
    ("notendwith", "doesnotendwith"),
    ("notcontainvalues", "doesnotcontainvalues"),
    ("equserid", "equaluserid"),
    ("neuserid", "notequaluserid"),
    ("eqbusinessid", "equalbusinessid"),
    ("nebusinessid", "notequalbusinessid"),
    ("equserteams", "equaluserteams"),
    ("equseroruserteams", "equaluseroruserteams"),
    ("equseroruserhierarchy", "equaluseroruserhierarchy"),
    ("equseroruserhierarchyandteams", "equaluseroruserhierarchyandteams"),
    ("equserlanguage", "equaluserlanguage"),
    ("eqorunder", "underorequal"),
    ("eqorabove", "aboveorequal"),
    ("lastsevendays", "last7days"),
    ("nextsevendays", "next7days"),
];

/// The operator of a name.
pub(super) fn find(name: &str) -> Option<Operator> {
    let key: String = name
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == key);
    let key = other.map_or(key.as_str(), |(_, own)| own);
    match key {
        "null" | "isnull" => return Some(null(true)),
        "notnull" | "isnotnull" => return Some(null(false)),
        _ => {}
    }
    ALL.iter().find(|operator| operator.name.eq_ignore_ascii_case(key)).copied()
}

/// The text of a condition. `column` is the property that is compared, `name` the logical name.
///
/// Errors: there is no such text.
pub(super) fn write(
    operator: &Operator,
    column: &str,
    name: &str,
    values: &[Value],
    negated: bool,
) -> Result<String, String> {
    let first = values.first().unwrap_or(&Value::Null);
    match operator.form {
        Form::Null { negated: other } => {
            let word = if negated == other { "eq" } else { "ne" };
            Ok(format!("{column} {word} null"))
        }
        Form::Word { word, opposite, misses_null } => {
            let value = literal(first);
            Ok(match (negated, misses_null) {
                (false, _) => format!("{column} {word} {value}"),
                (true, false) => format!("{column} {opposite} {value}"),
                (true, true) => format!("({column} {opposite} {value} or {column} eq null)"),
            })
        }
        Form::Text { place, negated: other } => text_of(place, column, first, negated != other),
        Form::Function { name: function, opposite } => {
            let rest = arguments(operator, values);
            match (negated, opposite) {
                (false, _) => Ok(super::function_of(function, name, &rest)),
                (true, Some(opposite)) => {
                    let text = super::function_of(opposite, name, &rest);
                    Ok(match function.starts_with("Not") || function.starts_with("DoesNot") {
                        true => text,
                        // Records without a value are not in the list either.
                        false => format!("({text} or {column} eq null)"),
                    })
                }
                (true, None) => Err(format!(
                    "`{function}` of `{name}` cannot be negated: say what is meant with `--fetch`"
                )),
            }
        }
    }
}

fn arguments(operator: &Operator, values: &[Value]) -> String {
    let quoted = |value: &Value| {
        let text = match value {
            Value::Text(text) => text.to_string(),
            other => literal(other),
        };
        serde_json::Value::from(text).to_string()
    };
    match (operator.operand, values) {
        (Operand::Two, [one, other]) if operator.takes_number() => {
            format!(",PropertyValue1={},PropertyValue2={}", literal(one), literal(other))
        }
        (Operand::One, [one]) => match one {
            Value::BigInt(number) => format!(",PropertyValue={number}"),
            other => format!(",PropertyValue='{}'", literal(other).trim_matches('\'')),
        },
        (Operand::None, _) => String::new(),
        _ => {
            let values: Vec<String> = values.iter().map(quoted).collect();
            format!(",PropertyValues=[{}]", values.join(","))
        }
    }
}

fn text_of(place: Place, column: &str, value: &Value, negated: bool) -> Result<String, String> {
    let Value::Text(pattern) = value else {
        return Ok(format!("{column} {} null", if negated { "ne" } else { "eq" }));
    };
    let call = |function: &str, text: &str| {
        format!("{function}({column},{})", literal(&Value::text(text)))
    };
    let both = match place {
        Place::Start => vec![call("startswith", pattern)],
        Place::End => vec![call("endswith", pattern)],
        Place::Anywhere => vec![call("contains", pattern)],
        Place::Pattern => match (pattern.strip_prefix('%'), pattern.strip_suffix('%')) {
            (Some(_), Some(_)) if pattern.len() > 1 => {
                vec![call("contains", pattern.get(1..pattern.len() - 1).unwrap_or_default())]
            }
            (Some(rest), _) => vec![call("endswith", rest)],
            (None, Some(rest)) => vec![call("startswith", rest)],
            (None, None) => match pattern.rsplit_once('%') {
                // What ends with the last part and begins with all of it has that part at its end.
                Some((_, last)) => vec![call("startswith", pattern), call("endswith", last)],
                None if !pattern.contains(['_', '[']) => {
                    let word = if negated { "ne" } else { "eq" };
                    return Ok(format!("{column} {word} {}", literal(value)));
                }
                None => {
                    return Err(format!(
                        "pattern `{pattern}` of `{column}` has no `%`: say it with `--fetch`"
                    ));
                }
            },
        },
    };
    let both: Vec<String> =
        both.into_iter().map(|part| if negated { format!("not {part}") } else { part }).collect();
    Ok(super::group(both, if negated { " or " } else { " and " }))
}
