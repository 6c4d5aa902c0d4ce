//! The bodies of the actions that change options.
//!
//! Source: `metadata.md` 7.2. Not here: which values an option may have (`pipeline`).

use super::decode::parse;
use super::label::{self, LabelBody};
use super::new_column::Path;
use crate::error::Result;
use model::{Label, OptionsOf};
use serde::Deserialize;

/// What an action says: whose options, and whatever else it names.
#[derive(Clone, Debug)]
pub struct OptionAction {
    /// Whose options.
    pub of: OptionsOf,
    /// `Value`
    pub value: Option<i32>,
    /// `Label`
    pub label: Option<Label>,
    /// `Description`
    pub description: Option<Label>,
    /// `MergeLabels`; absent means that other languages go.
    pub merge_labels: bool,
    /// `Values`
    pub values: Option<Vec<i32>>,
    /// `StateCode`
    pub state: Option<i32>,
    /// `DefaultStatusCode`
    pub default_status: Option<i32>,
    /// `Color`
    pub color: Option<Box<str>>,
    /// `ExternalValue`
    pub external_value: Option<Box<str>>,
    /// `SolutionUniqueName`
    pub solution: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Body {
    #[serde(rename = "OptionSetName", default)]
    choice: Option<String>,
    #[serde(rename = "EntityLogicalName", default)]
    table: Option<String>,
    #[serde(rename = "AttributeLogicalName", default)]
    column: Option<String>,
    #[serde(rename = "Value", default)]
    value: Option<i32>,
    #[serde(rename = "Label", default)]
    label: Option<LabelBody>,
    #[serde(rename = "Description", default)]
    description: Option<LabelBody>,
    #[serde(rename = "MergeLabels", default)]
    merge_labels: Option<bool>,
    #[serde(rename = "Values", default)]
    values: Option<Vec<i32>>,
    #[serde(rename = "StateCode", default)]
    state: Option<i32>,
    #[serde(rename = "DefaultStatusCode", default)]
    default_status: Option<i32>,
    #[serde(rename = "Color", default)]
    color: Option<String>,
    #[serde(rename = "ExternalValue", default)]
    external_value: Option<String>,
    #[serde(rename = "SolutionUniqueName", default)]
    solution: Option<String>,
}

/// Reads the body of `InsertOptionValue` and its siblings.
///
/// Errors: [`crate::Error::NotJson`]; [`crate::Error::BadDefinition`] where it is not said whose options.
pub fn decode_option_action(body: &[u8]) -> Result<OptionAction> {
    let body: Body = parse(body)?;
    let given = |name: Option<String>| name.filter(|name| !name.is_empty());
    let of = match (given(body.choice), given(body.table), given(body.column)) {
        (Some(name), None, None) => OptionsOf::Global(name.into()),
        (None, Some(table), Some(column)) => {
            OptionsOf::Column { table: table.into(), column: column.into() }
        }
        (None, Some(_), None) => return Err(Path("").missing("AttributeLogicalName")),
        (None, None, Some(_)) => return Err(Path("").missing("EntityLogicalName")),
        _ => {
            return Err(Path("").bad(
                "OptionSetName",
                "either it, or EntityLogicalName and AttributeLogicalName are given",
            ));
        }
    };
    Ok(OptionAction {
        of,
        value: body.value,
        label: body.label.map(|label| label::of(Some(label))),
        description: body.description.map(|label| label::of(Some(label))),
        merge_labels: body.merge_labels.unwrap_or(false),
        values: body.values,
        state: body.state,
        default_status: body.default_status,
        color: given(body.color).map(Into::into),
        external_value: given(body.external_value).map(Into::into),
        solution: given(body.solution),
    })
}
