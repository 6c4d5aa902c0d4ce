//! Why a query was not understood. Statuses and codes are chosen in `webapi`'s `fault.rs`.

use crate::odata::limits;

/// Why a query was not understood. Nothing was read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A name that is no column of the table.
    #[error("table `{table}` has no property `{name}`")]
    UnknownColumn {
        /// Logical name of the table.
        table: Box<str>,
        /// What was written.
        name: Box<str>,
    },
    /// The text does not follow the grammar.
    #[error("syntax error at position {position} in `{text}`")]
    Syntax {
        /// Place of the offending piece, in characters from 0.
        position: usize,
        /// The whole text.
        text: Box<str>,
    },
    /// The two sides of an operator have types that cannot be compared.
    #[error("`{left}` and `{right}` cannot be compared by {operator}")]
    IncompatibleTypes {
        /// `Edm` type of the left side.
        left: &'static str,
        /// `Edm` type of the right side.
        right: &'static str,
        /// The operator's name, `Equal`.
        operator: &'static str,
    },
    /// A literal that looks like its type and is none, or lies outside its range.
    #[error("`{text}` is no valid `{edm}`")]
    BadLiteral {
        /// What was written.
        text: Box<str>,
        /// The `Edm` type that is wanted.
        edm: &'static str,
    },
    /// A function that does not exist.
    #[error("there is no function `{name}`")]
    UnknownFunction {
        /// What was written.
        name: Box<str>,
    },
    /// A function that exists, with arguments that it does not take.
    #[error("function `{name}` does not take these arguments: {why}")]
    BadArguments {
        /// The function.
        name: Box<str>,
        /// What is wrong, in our words.
        why: &'static str,
    },
    /// `not` before a query function.
    #[error("`not` before a query function")]
    NotBeforeFunction,
    /// A term of `$select` that is no name.
    #[error("`{term}` is no term of $select")]
    BadTerm {
        /// What was written.
        term: Box<str>,
    },
    /// The same option twice.
    #[error("query option `{name}` is given twice")]
    DuplicateOption {
        /// The option.
        name: Box<str>,
    },
    /// An option that starts with `$` and does not exist.
    #[error("there is no query option `{name}`")]
    UnknownOption {
        /// The option.
        name: Box<str>,
    },
    /// An option with a value that it cannot have.
    #[error("`{value}` is no value of query option `{name}`")]
    BadOption {
        /// The option.
        name: Box<str>,
        /// What was written.
        value: Box<str>,
    },
    /// The query string is not UTF-8 after decoding.
    #[error("the query string is not UTF-8")]
    NotText,
    /// Something that is understood and not honoured.
    #[error("{what} is not supported")]
    Refused {
        /// What, by name: it ends up in the caller's answer.
        what: Box<str>,
    },
    /// The same, in the platform's words.
    #[error("{text}")]
    Refusal {
        /// The whole text.
        text: Box<str>,
    },
    /// The filter is nested too deeply.
    #[error("the filter is nested more than {} levels deep", limits::FILTER_DEPTH_MAX)]
    TooDeep,
    /// The filter has too many conditions.
    #[error("the filter has more than {} conditions", limits::CONDITIONS_MAX)]
    TooManyConditions,
    /// The query joins too many tables.
    #[error("the query joins more than {} tables", limits::JOINS_MAX)]
    TooManyJoins,
    /// One condition has too many values.
    #[error("a condition has more than {} values", limits::VALUES_MAX)]
    TooManyValues,
    /// A statement that is no SQL.
    #[error("malformed SQL: {why}")]
    Sql {
        /// What is wrong.
        why: Box<str>,
    },
    /// No such table.
    #[error("there is no table `{name}`")]
    UnknownTable {
        /// What was written.
        name: Box<str>,
    },
    /// The statement is about another table than the address.
    #[error("the query is about `{name}`, the address about `{table}`")]
    OtherTable {
        /// Logical name of the table of the address.
        table: Box<str>,
        /// The table of the query.
        name: Box<str>,
    },
    /// An operator with a number of values that it does not take.
    #[error("operator `{operator}` does not take {count} values")]
    ValueCount {
        /// The operator, as it was written.
        operator: Box<str>,
        /// How many there were.
        count: usize,
    },
    /// A value that the operator cannot work with.
    #[error("`{value}` is no value for operator `{operator}`")]
    BadValue {
        /// The operator, as it was written.
        operator: Box<str>,
        /// What was written.
        value: Box<str>,
    },
    /// An operator that the column does not take.
    #[error("operator `{operator}` does not take column `{column}`: {why}")]
    NotForColumn {
        /// The operator, as it was written.
        operator: Box<str>,
        /// Logical name of the column.
        column: Box<str>,
        /// Why, in our words.
        why: &'static str,
    },
    /// A condition is about the caller's settings, and the context has none: bind again with them.
    #[error("the settings of the caller are needed")]
    SettingsNeeded,
    /// The page token was not made by this service, or not for this query.
    #[error("the skip token is malformed or belongs to another query")]
    BadSkipToken,
}

impl Error {
    pub(crate) fn refused(what: impl Into<Box<str>>) -> Self {
        Self::Refused { what: what.into() }
    }
}
