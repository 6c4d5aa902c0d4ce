//! Why a FetchXML query was not understood. Statuses and codes are chosen in `webapi`'s `fault.rs`.

use super::limits;
use crate::odata::limits as shared;

/// Why a FetchXML query was not understood. Nothing was read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The text is no XML, or XML that is not taken.
    #[error("malformed FetchXml: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
    },
    /// An element that does not belong there, or is not known.
    #[error("element `{name}` is not understood inside `{parent}`")]
    UnknownElement {
        /// The element.
        name: Box<str>,
        /// What it stands in.
        parent: Box<str>,
    },
    /// An element lacks an attribute.
    #[error("element `{element}` has no attribute `{name}`")]
    MissingAttribute {
        /// The element.
        element: Box<str>,
        /// The attribute.
        name: &'static str,
    },
    /// An element that must be there is not.
    #[error("there is no element `{name}`")]
    MissingElement {
        /// The element.
        name: &'static str,
    },
    /// An attribute that is neither true nor false.
    #[error("`{value}` is no value of `{name}`: true, false, 1 or 0 is wanted")]
    BadFlag {
        /// The attribute.
        name: &'static str,
        /// What was written.
        value: Box<str>,
    },
    /// A number out of its range.
    #[error("`{value}` is no value of `{name}`: a whole number from 1 is wanted")]
    BadNumber {
        /// The attribute.
        name: &'static str,
        /// What was written.
        value: Box<str>,
    },
    /// No such table.
    #[error("there is no table `{name}`")]
    UnknownTable {
        /// What was written.
        name: Box<str>,
    },
    /// No such column.
    #[error("table `{table}` has no column `{name}`")]
    UnknownColumn {
        /// Logical name of the table.
        table: Box<str>,
        /// What was written.
        name: Box<str>,
    },
    /// The query is about another table than the address.
    #[error("the query is about `{name}`, the address about `{table}`")]
    OtherTable {
        /// Logical name of the table of the address.
        table: Box<str>,
        /// The table of the query.
        name: Box<str>,
    },
    /// `from` without `to`, the other way round, or neither where it is not clear what is meant.
    #[error("link-entity `{name}` does not say both of `from` and `to`")]
    LinkPair {
        /// The joined table.
        name: Box<str>,
    },
    /// A kind of join that is not honoured, or does not exist.
    #[error("link type `{name}`")]
    LinkType {
        /// What was written.
        name: Box<str>,
    },
    /// An operator that is not honoured, or does not exist.
    #[error("condition operator `{name}`")]
    Operator {
        /// What was written.
        name: Box<str>,
    },
    /// An operator with more or fewer values than it takes.
    #[error("condition operator `{name}` does not take {count} values")]
    ValueCount {
        /// The operator.
        name: Box<str>,
        /// How many there are.
        count: usize,
    },
    /// A filter that is neither `and` nor `or`.
    #[error("`{value}` is no type of a filter")]
    FilterType {
        /// What was written.
        value: Box<str>,
    },
    /// A condition that cannot be.
    #[error("bad condition on `{column}`: {why}")]
    BadCondition {
        /// The column.
        column: Box<str>,
        /// What is wrong.
        why: &'static str,
    },
    /// A name for output that is none.
    #[error("`{name}` is no alias")]
    BadAlias {
        /// What was written.
        name: Box<str>,
    },
    /// A name for output that is there already.
    #[error("alias `{name}` stands twice")]
    DuplicateAlias {
        /// What was written.
        name: Box<str>,
    },
    /// No element has this alias.
    #[error("there is no alias `{name}`")]
    UnknownAlias {
        /// What was written.
        name: Box<str>,
    },
    /// An attribute of an aggregate query that is neither a key nor an aggregate.
    #[error("attribute `{name}` of an aggregate query is neither grouped nor aggregated")]
    PlainAttribute {
        /// The column.
        name: Box<str>,
    },
    /// An attribute that is both.
    #[error("attribute `{name}` is both grouped and aggregated")]
    GroupedAggregate {
        /// The column.
        name: Box<str>,
    },
    /// An attribute of an aggregate query without alias.
    #[error("attribute `{name}` of an aggregate query has no alias")]
    NoAlias {
        /// The column.
        name: Box<str>,
    },
    /// An aggregate that does not exist.
    #[error("there is no aggregate `{name}`")]
    UnknownAggregate {
        /// What was written.
        name: Box<str>,
    },
    /// An aggregate that the column does not have.
    #[error("bad aggregate of `{column}`: {why}")]
    BadAggregate {
        /// The column.
        column: Box<str>,
        /// What is wrong.
        why: &'static str,
    },
    /// A part of a date that cannot be grouped by.
    #[error("bad date grouping of `{column}`: {why}")]
    DateGrouping {
        /// The column.
        column: Box<str>,
        /// What is wrong.
        why: &'static str,
    },
    /// An aggregate query is ordered by an attribute instead of an alias.
    #[error("an aggregate query is ordered by attribute `{name}` instead of an alias")]
    OrderByAttribute {
        /// The column.
        name: Box<str>,
    },
    /// A query that is no aggregate query is ordered by an alias.
    #[error("a query without aggregates is ordered by alias `{name}`")]
    OrderByAlias {
        /// The alias.
        name: Box<str>,
    },
    /// `distinct` without any attribute.
    #[error("`distinct` without attributes")]
    DistinctNothing,
    /// A paging cookie of a query with another order.
    #[error("the paging cookie belongs to a query with another order")]
    CookieOfOtherOrder,
    /// An attribute that does not go with aggregates.
    #[error("`{name}`")]
    Aggregate {
        /// The attribute that asks for one.
        name: &'static str,
    },
    /// A paging cookie that this service did not make.
    #[error("the paging cookie was not made by this service")]
    BadCookie,
    /// A page that lies too far behind.
    #[error("page {page} begins behind row {}", limits::SKIPPED_ROWS_MAX)]
    PageTooDeep {
        /// The page.
        page: u32,
    },
    /// Too many conditions.
    #[error("the query has more than {} conditions", shared::CONDITIONS_MAX)]
    TooManyConditions,
    /// Too many link-entities.
    #[error("the query has more than {} link-entities", shared::JOINS_MAX)]
    TooManyLinks,
    /// Something that is understood and not honoured.
    #[error("{what} is not supported")]
    Refused {
        /// What, by name.
        what: Box<str>,
    },
    /// A value that does not fit its column, and what else OData has, too.
    #[error(transparent)]
    Query(#[from] crate::Error),
}

impl Error {
    pub(super) fn refused(what: impl Into<Box<str>>) -> Self {
        Self::Refused { what: what.into() }
    }
}
