//! Codes and texts for bodies and keys that `wire` refused.
//!
//! Source: bulk.md 1.8 (its rows are named below), webapi.md 10, errors.md 2.

use super::Problem;
use http::StatusCode;
use model::{ErrorCode, Failure, Fault, MessageName, Table, code};
use wire::Error;

/// Where the bytes came from, for the texts.
#[derive(Clone, Copy)]
pub(crate) struct Payload<'a> {
    /// The message that was asked for.
    pub(crate) message: MessageName,
    /// Logical name of the table that is bound; the type's name for definitions.
    pub(crate) table: &'a str,
    /// The entity set in the address.
    pub(crate) set: &'a str,
}

impl<'a> Payload<'a> {
    /// A body or key for a table.
    pub(crate) fn of(message: MessageName, table: &'a Table) -> Self {
        Self { message, table: &table.logical_name, set: &table.entity_set_name }
    }
}

/// A body or key that was refused.
#[expect(clippy::too_many_lines, reason = "one table: every error with its code and text")]
pub(crate) fn of_wire(error: Error, payload: Payload<'_>) -> Problem {
    let bound = payload.table;
    let odata =
        |detail: String| of_payload(payload, &format!("Microsoft.OData.ODataException: {detail}"));
    let (index, property) = (error.index(), error.property().map(Box::from));
    let (code, text) = match &error {
        // Rows 1 and 3.
        Error::NotJson { detail } => of_payload(payload, detail),
        Error::TargetsNotAList => odata("'Targets' is not an array.".to_owned()),
        Error::ItemNotAnObject { index } => {
            odata(format!("item {index} of 'Targets' is not an object."))
        }
        Error::UnknownParameter { name } => odata(format!(
            "The parameter '{name}' in the request payload is not a valid parameter for the operation '{}'.",
            payload.message
        )),
        Error::BadConcurrencyBehavior { literal } => odata(format!(
            "Cannot convert the literal '{literal}' to the expected type 'Microsoft.Dynamics.CRM.ConcurrencyBehavior'."
        )),
        // Row 2.
        Error::TargetsMissing => (code::INVALID_ARGUMENT, match payload.message {
            MessageName::UpsertMultiple => {
                "'Targets' should be one of the parameters for UpsertMultiple.".to_owned()
            }
            _ => "Required field 'Targets' is missing".to_owned(),
        }),
        // Row 4.
        Error::TargetsEmpty => (
            code::UNEXPECTED,
            "System.ArgumentException: The value of the parameter 'Targets' cannot be null or empty."
                .to_owned(),
        ),
        // Row 5.
        Error::TypeMissing { index } => {
            odata(format!("item {index} of 'Targets' has no '@odata.type'."))
        }
        // Row 6.
        Error::UnknownTable { name, .. } => (code::QUERY_BUILDER_NO_ENTITY, format!(
            "The entity with a name = '{name}' with namemapping = 'Logical' was not found in the MetadataCache."
        )),
        // Row 7.
        Error::OtherTable { first_column, name, .. } => match payload.message {
            MessageName::UpdateMultiple => (code::QUERY_BUILDER_NO_ATTRIBUTE, format!(
                "'{bound}' entity doesn't contain attribute with Name = '{}' and NameMapping = 'Logical'.",
                first_column.as_deref().unwrap_or_default()
            )),
            _ => (code::INVALID_ARGUMENT, format!(
                "This entity cannot be added to the specified collection. The collection can have entities with PlatformName = {bound} while this entity has Platform Name: {name}"
            )),
        },
        // Row 8.
        Error::UnknownProperty { property, table, .. } => odata(format!(
            "The property '{property}' does not exist on type 'Microsoft.Dynamics.CRM.{table}'. Make sure to only use property names that are defined by the type."
        )),
        Error::DuplicateProperty { property, .. } => odata(format!(
            "Multiple properties with the name '{property}' were detected in a resource or a complex value."
        )),
        // Row 9.
        Error::UnknownNavigation { property, .. } => odata(format!(
            "An undeclared property '{property}' which only has property annotations in the payload but no property value was found in the payload. In OData, only declared navigation properties and declared named streams can be represented as properties without values."
        )),
        Error::DeepInsert { .. } => {
            let text = match payload.message {
                MessageName::Update | MessageName::Upsert => {
                    "Deep update of navigation properties is not allowed.".to_owned()
                }
                message => format!("Deep insert is not supported in {message}."),
            };
            (code::INVALID_ARGUMENT, text)
        }
        Error::NestedTooDeep { property, .. } => (code::INVALID_ARGUMENT, format!(
            "The records in '{property}' are nested more than {} levels deep.",
            wire::targets::NESTING_MAX
        )),
        Error::CollectionBind { property, .. } => (
            code::INVALID_ARGUMENT,
            format!("Binding the collection '{property}' is not supported in {}.", payload.message),
        ),
        // Row 10.
        Error::BadLiteral { literal, edm_type, .. } => {
            odata(format!("Cannot convert the literal '{literal}' to the expected type '{edm_type}'."))
        }
        Error::NavigationValue { property, literal, .. } => odata(format!(
            "Cannot convert the literal '{literal}' to the expected type of the navigation property '{property}'."
        )),
        Error::InvalidCharacters { property, .. } => (
            code::INVALID_CHARACTERS_IN_FIELD,
            format!("The field '{property}' contains one or more invalid characters."),
        ),
        // Row 11.
        Error::IdMissing { .. } => {
            (code::OBJECT_DOES_NOT_EXIST, "Entity Id must be specified for Operation".to_owned())
        }
        // Row 12.
        Error::UndefinedKey { table, .. } => (code::URI_ERROR, format!(
            "The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.{table}'. Ensure that the names and number of key properties match the declared or alternate key properties for the resource 'Microsoft.Dynamics.CRM.{table}'."
        )),
        Error::UnknownSet { segment, .. } => {
            (code::URI_ERROR, format!("Resource not found for the segment '{segment}'."))
        }
        Error::BadReference { text, .. } => {
            (code::URI_ERROR, format!("The reference '{text}' is not a valid address of a record."))
        }
        Error::ReferenceTable { property, table, .. } => (
            code::URI_ERROR,
            format!("'{property}' cannot refer to a record of type 'Microsoft.Dynamics.CRM.{table}'."),
        ),
        Error::Unsupported { what } => {
            return Problem::not_implemented(what);
        }
        Error::BadBatch { detail } => return Problem::malformed_batch(detail),
        Error::BatchTooLong { operations_max } => return Problem::batch_too_long(*operations_max),
        Error::ContentIdTwice { id } => (code::URI_ERROR, format!(
            "The content ID '{id}' was found more than once in the same change set or same batch request. Content IDs have to be unique across all operations of a change set."
        )),
        Error::UnknownContentId { id } => (
            code::URI_ERROR,
            format!("Content-ID Reference: '${id}' does not exist in the batch context."),
        ),
        Error::BadDefinition { member, why } => {
            (code::INVALID_ARGUMENT, format!("The member '{member}' of the definition is invalid: {why}"))
        }
        Error::BadOwnership { given } => {
            (code::INVALID_OWNERSHIP_TYPE, format!("The ownership type '{given}' is not valid."))
        }
        Error::BadAnswer { .. } | Error::NotEncodable { .. } => {
            tracing::error!(%error, "an answer could not be made");
            return Problem::unexpected();
        }
    };
    let fault = match index {
        Some(index) => Fault::of_targets(vec![Failure {
            index,
            column: property,
            id: None,
            code,
            message: text,
        }]),
        None => Fault::new(code, text),
    };
    let mut problem = Problem::of(status_of(code), fault);
    problem.unknown_name = matches!(
        error,
        Error::UnknownTable { .. }
            | Error::UnknownProperty { .. }
            | Error::UnknownNavigation { .. }
            | Error::UndefinedKey { .. }
            | Error::UnknownSet { .. }
            | Error::BadLiteral { .. }
    );
    problem
}

fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        code::OBJECT_DOES_NOT_EXIST => StatusCode::NOT_FOUND,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The text of row 1, which all payload errors share.
fn of_payload(payload: Payload<'_>, detail: &str) -> (ErrorCode, String) {
    let set = payload.set;
    let text = format!(
        "Error identified in Payload provided by the user for Entity :'{set}', For more information on this error please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : {detail}"
    );
    (code::PAYLOAD_ERROR, text)
}
