//! A function or operator of a filter that is not known, or does not take what it was given.
//!
//! Source: errors.md 3; query.md A6. All answer 400.

use super::Problem;
use query::Error;

/// The answer, in OData's words.
pub(super) fn of_operator(error: Error) -> Problem {
    let uri = |text: String| Problem::uri(text);
    match error {
        Error::UnknownFunction { name } => {
            uri(format!("An unknown function with name '{name}' was found."))
        }
        Error::BadArguments { name, why } => uri(format!(
            "No function signature for the function with name '{name}' matches the specified \
             arguments."
        ))
        .hint(why),
        Error::NotBeforeFunction => Problem::uri(
            "Not operator along with the Custom Named Condition operators is not allowed.",
        ),
        Error::ValueCount { operator, count } => {
            uri(format!("The operator '{operator}' does not take {count} values."))
        }
        Error::BadValue { operator, value } => {
            uri(format!("'{value}' is not a value of the operator '{operator}'."))
        }
        Error::NotForColumn { operator, column, why } => {
            uri(format!("The operator '{operator}' cannot be used with column '{column}'."))
                .hint(why)
        }
        _ => Problem::unexpected(),
    }
}
