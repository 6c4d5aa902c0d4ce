//! A FetchXML query that was not understood: its code and its words.
//!
//! Source: errors.md 4. All answer 400.

use super::{Problem, of_query};
use http::StatusCode;
use model::{ErrorCode, code};
use query::fetch::{Error, limits};

/// The answer to a FetchXML query that was not understood or is not honoured.
#[expect(clippy::too_many_lines, reason = "a table: one arm for each error")]
pub(crate) fn of_fetch(error: Error) -> Problem {
    let problem = |code: ErrorCode, text: String| Problem::new(StatusCode::BAD_REQUEST, code, text);
    match error {
        Error::Malformed { why } => {
            problem(code::INVALID_FETCH_XML, "Malformed FetchXml.".to_owned()).hint(why)
        }
        Error::UnknownElement { name, parent } => problem(
            code::INVALID_NODE,
            format!("Invalid Child Node, invalid node '{name}' in '{parent}'."),
        ),
        Error::MissingAttribute { element, name } => problem(
            code::ATTRIBUTE_NOT_FOUND,
            format!("The required attribute '{name}' is missing on element '{element}'."),
        ),
        Error::MissingElement { name } => {
            problem(code::ELEMENT_NOT_FOUND, format!("The element '{name}' was not found."))
        }
        Error::BadFlag { name, value } => {
            let code = match name {
                "distinct" => code::INVALID_DISTINCT,
                "groupby" => code::INVALID_GROUP_BY,
                "descending" => code::INVALID_DESCENDING,
                "useraworderby" => code::INVALID_USE_RAW_ORDER_BY,
                _ => code::INVALID_FETCH_XML,
            };
            problem(code, format!("Invalid value '{value}' for '{name}': it is true or false."))
        }
        Error::BadNumber { name, value } => problem(
            code::INVALID_FETCH_XML,
            format!("Invalid value '{value}' for '{name}': it is a whole number from 1."),
        ),
        Error::UnknownTable { name } => problem(
            code::QUERY_BUILDER_NO_ENTITY,
            format!(
                "The entity with a name = '{name}' with namemapping = 'Logical' was not found in \
                 the MetadataCache."
            ),
        )
        .about_a_name(),
        Error::UnknownColumn { table, name } => problem(
            code::QUERY_BUILDER_NO_ATTRIBUTE,
            format!(
                "'{table}' entity doesn't contain attribute with Name = '{name}' and NameMapping \
                 = 'Logical'."
            ),
        )
        .about_a_name(),
        Error::OtherTable { table, name } => problem(
            code::ENTITIES_DO_NOT_MATCH,
            format!(
                "The entity '{name}' of the FetchXml is not the entity '{table}' of the request."
            ),
        ),
        Error::LinkPair { name } => problem(
            code::ATTRIBUTE_PAIR_MISMATCH,
            format!("Link-entity '{name}' needs both of 'from' and 'to'."),
        ),
        Error::LinkType { name } => {
            problem(code::INVALID_LINK_TYPE, format!("Link type '{name}' is not supported."))
                .hint("inside of a filter: any, not any, all, not all; elsewhere: inner, outer, natural, matchfirstrowusingcrossapply, exists, in")
        }
        Error::Operator { name } => problem(
            code::INVALID_CONDITION_OPERATOR,
            format!("Condition operator '{name}' is not supported."),
        )
        .hint("there is no such operator, or it cannot be used so"),
        Error::ValueCount { name, count } => problem(
            code::INVALID_ARGUMENT,
            format!("Condition operator '{name}' does not take {count} values."),
        ),
        Error::FilterType { value } => problem(
            code::INVALID_FILTER_TYPE,
            format!("Invalid filter type '{value}': it is 'and' or 'or'."),
        ),
        Error::BadCondition { column, why } => {
            problem(code::BAD_CONDITION, format!("The condition on '{column}' is invalid."))
                .hint(why)
        }
        Error::BadAlias { name } => {
            problem(code::INVALID_ALIAS, format!("Invalid alias '{name}'."))
        }
        Error::DuplicateAlias { name } => {
            problem(code::DUPLICATE_ALIAS, format!("Alias '{name}' is not unique."))
        }
        Error::UnknownAlias { name } => {
            problem(code::ALIAS_DOES_NOT_EXIST, format!("Alias '{name}' does not exist."))
        }
        Error::BadCookie => problem(
            code::INVALID_PAGING_COOKIE,
            "The paging cookie is malformed or was not made by this service.".to_owned(),
        ),
        Error::CookieOfOtherOrder => problem(
            code::PAGING_ORDER_BY,
            "The order by columns of the query do not match those of the paging cookie.".to_owned(),
        ),
        Error::PageTooDeep { page } => problem(
            code::OVER_RETRIEVAL_UPPER_LIMIT_WITHOUT_PAGING_COOKIE,
            format!(
                "Page {page} begins behind row {}, which needs a paging cookie.",
                limits::SKIPPED_ROWS_MAX
            ),
        ),
        Error::PlainAttribute { name } => problem(
            code::ATTRIBUTE_WITH_AGGREGATE,
            format!(
                "An attribute can not be requested when an aggregate operation has been specified \
                 and its neither groupby not aggregate. NodeXml : {name}"
            ),
        ),
        Error::GroupedAggregate { name } => problem(
            code::ATTRIBUTE_CANNOT_BE_GROUP_BY_AND_AGGREGATE,
            format!("The attribute '{name}' cannot be both groupby and aggregate."),
        ),
        Error::NoAlias { name } => problem(
            code::NO_ALIAS,
            format!("An alias is required for attribute '{name}' of an aggregate query."),
        ),
        Error::UnknownAggregate { name } => {
            problem(code::INVALID_AGGREGATE, format!("Invalid aggregate '{name}'."))
        }
        Error::BadAggregate { column, why } => problem(
            code::INVALID_AGGREGATE_ATTRIBUTE,
            format!("The aggregate of attribute '{column}' is invalid."),
        )
        .hint(why),
        Error::DateGrouping { column, why } => problem(
            code::INVALID_DATE_GROUPING,
            format!("The dategrouping of attribute '{column}' is invalid."),
        )
        .hint(why),
        Error::OrderByAttribute { name } => problem(
            code::ORDER_BY_ATTRIBUTE,
            format!(
                "An attribute ('{name}') cannot be specified for an order clause for an aggregate \
                 Query. Use an alias"
            ),
        ),
        Error::OrderByAlias { name } => problem(
            code::ORDER_BY_ALIAS,
            format!(
                "An alias ('{name}') cannot be specified for an order clause for a non-aggregate \
                 Query. Use an attribute"
            ),
        ),
        Error::DistinctNothing => problem(
            code::NO_ATTRS_DISTINCT_CONFLICT,
            "The distinct query has no attributes.".to_owned(),
        ),
        Error::Aggregate { name } => problem(
            code::INVALID_AGGREGATE,
            format!("'{name}' is not supported beside or outside of an aggregate query."),
        ),
        Error::TooManyConditions => of_query(query::Error::TooManyConditions),
        Error::TooManyLinks => of_query(query::Error::TooManyJoins),
        Error::Refused { what } => of_query(query::Error::Refused { what }),
        Error::Query(error) => of_operator(error),
    }
}

/// What an operator does not take, under FetchXML's codes; the rest as for OData.
fn of_operator(error: query::Error) -> Problem {
    let problem = |code: ErrorCode, text: String| Problem::new(StatusCode::BAD_REQUEST, code, text);
    match error {
        query::Error::BadValue { operator, value } => problem(
            code::INVALID_ARGUMENT,
            format!("'{value}' is not a value of the condition operator '{operator}'."),
        ),
        query::Error::NotForColumn { operator, column, why } => problem(
            code::INVALID_CONDITION_OPERATOR,
            format!("Condition operator '{operator}' cannot be used with attribute '{column}'."),
        )
        .hint(why),
        error => of_query(error),
    }
}
