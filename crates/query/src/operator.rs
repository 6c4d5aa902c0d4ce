//! Condition operators: one list with the names that FetchXML, OData's query functions and the SDK's
//! QueryExpression give them, and one place that binds them.
//!
//! In reading order: [`Operator`], [`find`] (names), `bind` (what an operator makes of a column and
//! values), `names` (the list). Not here: grammar, OData's plain operators.
//! Source: query.md A6, B5, B6.

mod bind;
mod names;

pub(crate) use bind::{Asked, like};
pub(crate) use names::{Surface, fetch_name, find};

use crate::Compare;
use crate::dates::When;

/// What a condition asks of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    /// One value.
    Compare(Compare),
    /// No value.
    Null { negated: bool },
    /// Any number of values.
    In { negated: bool },
    /// Two values, inclusive.
    Between { negated: bool },
    /// One pattern.
    Like { place: Place, negated: bool },
    /// Choices of a multi-select column.
    Choices { negated: bool },
    /// The caller, and who belongs to the caller.
    User(User),
    /// A tree of rows, from the one whose id is the value.
    Hierarchy(Kin),
    /// A range of time.
    Date(When),
}

/// Where the pattern of a condition stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Whole,
    Start,
    End,
    Anywhere,
}

/// The caller, and who belongs to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Is,
    IsNot,
    Teams,
    OrTeams,
    OrBelow,
    OrBelowOrTeams,
    Unit,
    NotUnit,
    Language,
}

/// Rows of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kin {
    Under,
    UnderOrEqual,
    Above,
    AboveOrEqual,
    NotUnder,
}
