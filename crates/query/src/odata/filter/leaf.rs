//! Single conditions: a column against a literal, a column or a pattern.

use crate::odata::literal::{Fit, Literal};
use crate::operator::{Place, like};
use crate::{ColumnRef, Compare, Error, Filter};
use model::{Column, ColumnKind, Value};

/// On which side of the operator the column was written; for the error text.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Left,
    Right,
}

/// Holds for no row.
fn never() -> Filter {
    Filter::Or(Vec::new())
}

/// Holds for every row.
fn always() -> Filter {
    Filter::And(Vec::new())
}

/// A column against a literal. Null and the empty text are the same.
pub(crate) fn compare(
    definition: &Column,
    column: ColumnRef,
    compare: Compare,
    literal: &Literal,
    side: Side,
) -> Result<Filter, Error> {
    if *literal == Literal::Null {
        return Ok(match compare {
            Compare::Equal => Filter::IsNull { column, negated: false },
            Compare::NotEqual => Filter::IsNull { column, negated: true },
            _ => never(),
        });
    }
    if matches!(literal, Literal::Text(text) if text.is_empty()) && is_text(&definition.kind) {
        return Ok(match compare {
            Compare::Equal => Filter::IsNull { column, negated: false },
            Compare::NotEqual | Compare::Greater | Compare::GreaterOrEqual => {
                Filter::IsNull { column, negated: true }
            }
            Compare::Less | Compare::LessOrEqual => never(),
        });
    }
    if matches!(definition.kind, ColumnKind::MultiChoice { .. }) {
        return Err(Error::refused(format!(
            "comparing multi-select column `{}` with anything but null",
            definition.logical_name
        )));
    }
    let fit = literal.fit(definition)?.ok_or_else(|| {
        let (column, literal) = (definition.kind.edm_type(), literal.edm_type());
        let (left, right) = match side {
            Side::Left => (column, literal),
            Side::Right => (literal, column),
        };
        Error::IncompatibleTypes { left, right, operator: operator_name(compare) }
    })?;
    Ok(of_fit(column, compare, fit))
}

/// The comparison with a literal that stands somewhere among the column's values.
fn of_fit(column: ColumnRef, compare: Compare, fit: Fit) -> Filter {
    let not_null = Filter::IsNull { column, negated: true };
    let against = |compare, value| Filter::Compare { column, compare, value };
    match (fit, compare) {
        (Fit::Exact(value), _) => against(compare, value),
        (_, Compare::Equal) => never(),
        (_, Compare::NotEqual) => always(),
        (Fit::After(value), Compare::Greater | Compare::GreaterOrEqual) => {
            against(Compare::Greater, value)
        }
        (Fit::After(value), Compare::Less | Compare::LessOrEqual) => {
            against(Compare::LessOrEqual, value)
        }
        (Fit::Below, Compare::Greater | Compare::GreaterOrEqual)
        | (Fit::Above, Compare::Less | Compare::LessOrEqual) => not_null,
        (Fit::Below, Compare::Less | Compare::LessOrEqual)
        | (Fit::Above, Compare::Greater | Compare::GreaterOrEqual) => never(),
    }
}

/// A column against a column of the same type.
pub(crate) fn columns(
    sides: (&Column, &Column),
    left: ColumnRef,
    compare: Compare,
    right: ColumnRef,
) -> Result<Filter, Error> {
    comparable(sides, compare)?;
    Ok(Filter::CompareColumns { left, compare, right })
}

/// Whether columns of these types can be compared.
pub(crate) fn comparable(
    (first, second): (&Column, &Column),
    compare: Compare,
) -> Result<(), Error> {
    let compatible = match (class::of(first), class::of(second)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    };
    if !compatible {
        return Err(Error::IncompatibleTypes {
            left: first.kind.edm_type(),
            right: second.kind.edm_type(),
            operator: operator_name(compare),
        });
    }
    Ok(())
}

/// Which columns can be compared with each other.
pub(crate) mod class {
    use model::{Column, ColumnKind, DateTimeBehavior};

    /// Columns of one class hold the same variant of [`model::Value`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Class {
        Guid,
        Lookup,
        Text,
        Integer,
        BigInt,
        Decimal,
        Double,
        Boolean,
        Date,
        DateTime,
    }

    /// The class of a column; multi-select columns have none.
    pub(crate) fn of(column: &Column) -> Option<Class> {
        Some(match column.kind {
            ColumnKind::Guid | ColumnKind::File { .. } => Class::Guid,
            ColumnKind::Lookup { .. } => Class::Lookup,
            ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::TableName => {
                Class::Text
            }
            ColumnKind::Integer { .. }
            | ColumnKind::Choice { .. }
            | ColumnKind::State { .. }
            | ColumnKind::Status { .. } => Class::Integer,
            ColumnKind::BigInt => Class::BigInt,
            ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => Class::Decimal,
            ColumnKind::Double { .. } => Class::Double,
            ColumnKind::Boolean { .. } => Class::Boolean,
            ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, .. } => Class::Date,
            ColumnKind::DateTime { .. } => Class::DateTime,
            ColumnKind::MultiChoice { .. } | ColumnKind::Image { .. } => return None,
        })
    }

    /// Ids of rows.
    pub(crate) fn is_id(class: Class) -> bool {
        matches!(class, Class::Guid | Class::Lookup)
    }

    /// Values that every engine keeps in one form, so that they can join.
    pub(crate) fn is_exact(class: Class) -> bool {
        is_id(class) || matches!(class, Class::Text | Class::Integer | Class::BigInt)
    }
}

pub(crate) fn is_text(kind: &ColumnKind) -> bool {
    matches!(kind, ColumnKind::Text { .. } | ColumnKind::Memo { .. } | ColumnKind::TableName)
}

/// A text column against a pattern that stands anywhere, at the start or at the end of it.
pub(crate) fn matches(
    definition: &Column,
    column: ColumnRef,
    place: Place,
    function: &str,
    literal: &Literal,
) -> Result<Filter, Error> {
    let arguments = |why| Error::BadArguments { name: function.into(), why };
    if !is_text(&definition.kind) {
        return Err(arguments("the column holds no text"));
    }
    let Literal::Text(pattern) = literal else {
        return Err(arguments("the second one is a text"));
    };
    Ok(like(column, place, pattern))
}

fn operator_name(compare: Compare) -> &'static str {
    match compare {
        Compare::Equal => "Equal",
        Compare::NotEqual => "NotEqual",
        Compare::Greater => "GreaterThan",
        Compare::GreaterOrEqual => "GreaterThanOrEqual",
        Compare::Less => "LessThan",
        Compare::LessOrEqual => "LessThanOrEqual",
    }
}

/// A column among literals, or among none of them.
pub(crate) fn among(
    definition: &Column,
    column: ColumnRef,
    literals: Vec<Literal>,
    function: &str,
) -> Result<Filter, Error> {
    if matches!(definition.kind, ColumnKind::MultiChoice { .. }) {
        let why = "the column is a multi-select choice";
        return Err(Error::BadArguments { name: function.into(), why });
    }
    let mut values: Vec<Value> = Vec::with_capacity(literals.len());
    for literal in literals {
        let literal = literal.loosened(definition);
        if matches!(&literal, Literal::Text(text) if text.is_empty()) || literal == Literal::Null {
            let why = "a value is empty; compare with null instead";
            return Err(Error::BadArguments { name: function.into(), why });
        }
        let fit = literal.fit(definition)?.ok_or_else(|| Error::BadLiteral {
            text: format!("{literal:?}").into(),
            edm: definition.kind.edm_type(),
        })?;
        match fit {
            Fit::Exact(value) if !values.contains(&value) => values.push(value),
            // The column cannot hold it: no row is meant by it.
            Fit::Exact(_) | Fit::After(_) | Fit::Below | Fit::Above => {}
        }
    }
    if values.is_empty() {
        return Ok(never());
    }
    Ok(Filter::In { column, values, negated: false })
}
