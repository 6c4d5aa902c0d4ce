//! What can be wrong with the body of `BulkDelete`.
//!
//! Source: `bulk.md` 6.1. Not here: what the pipeline refuses (names, recurrence).

use super::{Problem, of_query};
use http::StatusCode;
use model::code;
use query::expression::Error;

/// The body is no JSON, or has members that do not belong there.
pub(crate) fn payload(why: impl std::fmt::Display) -> Problem {
    let text = format!("An error occurred while validating input parameters: {why}");
    Problem::new(StatusCode::BAD_REQUEST, code::PAYLOAD_ERROR, text)
}

/// A member that must be there is not.
pub(crate) fn required(name: &str) -> Problem {
    Problem::argument(format!("Required field '{name}' is missing"))
}

/// A table whose rows the service keeps.
pub(crate) fn not_deletable(table: &str) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        code::NOT_SUPPORTED,
        "This action is not supported.",
    )
    .hint(format!("rows of table `{table}` cannot be deleted"))
}

/// A query that was not understood or is not honoured.
pub(crate) fn of_expression(error: Error) -> Problem {
    let bad = |code, text: String| Problem::new(StatusCode::BAD_REQUEST, code, text);
    match error {
        Error::Malformed { why } => payload(why),
        Error::UnknownTable { name } => bad(
            code::QUERY_BUILDER_NO_ENTITY,
            format!(
                "The entity with a name = '{name}' with namemapping = 'Logical' was not found in the MetadataCache."
            ),
        )
        .about_a_name(),
        Error::UnknownOperator { name } => bad(
            code::INVALID_OPERATOR_CODE,
            format!("The specified operator '{name}' is not a valid condition operator."),
        ),
        Error::ValueCount { operator, count } => Problem::argument(format!(
            "The condition operator '{operator}' does not take {count} values."
        )),
        Error::BadValue { operator, value } => Problem::argument(format!(
            "'{value}' is not a value of the condition operator '{operator}'."
        )),
        Error::Refused { what } => {
            let mut what = what.into_string();
            if let Some(first) = what.get_mut(0..1) {
                first.make_ascii_uppercase();
            }
            Problem::not_implemented(what)
        }
        Error::Query(query::Error::UnknownColumn { table, name }) => bad(
            code::QUERY_BUILDER_NO_ATTRIBUTE,
            format!("'{table}' entity doesn't contain attribute with Name = '{name}'."),
        )
        .about_a_name(),
        Error::Query(query::Error::Refused { what }) => Problem::not_implemented(what),
        Error::Query(error) => of_query(error),
    }
}
