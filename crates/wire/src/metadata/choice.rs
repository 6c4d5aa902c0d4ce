//! Option sets as JSON.
//!
//! Not here: what changes options (`option_action`).

use super::decode::parse;
use super::label::{self, LabelBody};
use super::member::Member;
use super::new_column::Path;
use crate::error::{Error, Result};
use crate::json;
use model::{
    ChoiceOption, ColumnIndex, ColumnKind, GlobalChoice, GlobalChoiceKey, Label, NewGlobalChoice,
    Table,
};
use serde::Deserialize;

/// The first value that an option without one gets: prefix 10000 of the default publisher.
const FIRST_VALUE: i32 = 100_000_000;
/// Options that a choice may have at most.
const OPTIONS_MAX: usize = 10_000;

/// An option set as it comes.
#[derive(Debug, Default, Deserialize)]
pub(super) struct OptionSetBody {
    #[serde(rename = "IsGlobal", default)]
    is_global: Option<bool>,
    #[serde(rename = "Name", default)]
    name: Option<String>,
    #[serde(rename = "MetadataId", default)]
    metadata_id: Option<String>,
    #[serde(rename = "Options", default)]
    options: Option<Vec<OptionBody>>,
    #[serde(rename = "TrueOption", default)]
    true_option: Option<OptionBody>,
    #[serde(rename = "FalseOption", default)]
    false_option: Option<OptionBody>,
}

#[derive(Debug, Default, Deserialize)]
struct OptionBody {
    #[serde(rename = "Value", default)]
    value: Option<i32>,
    #[serde(rename = "Label", default)]
    label: Option<LabelBody>,
    #[serde(rename = "State", default)]
    state: Option<i32>,
    #[serde(rename = "DefaultStatus", default)]
    default_status: Option<i32>,
    #[serde(rename = "Description", default)]
    description: Option<LabelBody>,
    #[serde(rename = "Color", default)]
    color: Option<String>,
    #[serde(rename = "ExternalValue", default)]
    external_value: Option<String>,
}

impl OptionSetBody {
    /// Whether it is a reference to a global choice.
    pub(super) fn is_global(&self) -> bool {
        self.is_global == Some(true)
    }

    /// The global choice that it refers to.
    pub(super) fn key(&self) -> Option<GlobalChoiceKey> {
        let id = self.metadata_id.as_deref().and_then(crate::literal::guid);
        let name = self.name.as_deref().filter(|name| !name.is_empty());
        match name {
            Some(name) => Some(GlobalChoiceKey::Name(name.into())),
            None => id.map(GlobalChoiceKey::Id),
        }
    }

    /// The options of a new choice. An option without a value gets the next free one.
    pub(super) fn into_new_options(self, member: &str) -> Result<Vec<ChoiceOption>> {
        let bodies = self.options.unwrap_or_default();
        let bad =
            |why: String| Error::BadDefinition { member: Path(member).member("Options"), why };
        if bodies.len() > OPTIONS_MAX {
            return Err(bad(format!("more than {OPTIONS_MAX} options")));
        }
        let mut taken: std::collections::HashSet<i32> = std::collections::HashSet::new();
        for value in bodies.iter().filter_map(|body| body.value) {
            if !taken.insert(value) {
                return Err(bad(format!("value {value} stands twice")));
            }
        }
        let mut next = FIRST_VALUE;
        Ok(bodies
            .into_iter()
            .map(|body| {
                let value = body.value.unwrap_or_else(|| {
                    while !taken.insert(next) {
                        next += 1;
                    }
                    next
                });
                option(value, body)
            })
            .collect())
    }

    /// The options as a service answers them; those without a value are left out.
    pub(super) fn into_known_options(self) -> Vec<ChoiceOption> {
        let bodies = self.options.unwrap_or_default().into_iter();
        bodies.filter_map(|body| Some(option(body.value?, body))).collect()
    }

    /// What `true` and `false` are called; `Yes` and `No` unless given.
    pub(super) fn into_labels(self) -> (Label, Label) {
        let named = |option: Option<OptionBody>, default: &str| {
            let label = label::of(option.and_then(|option| option.label));
            if label.texts.is_empty() { Label::english(default) } else { label }
        };
        (named(self.true_option, "Yes"), named(self.false_option, "No"))
    }
}

fn option(value: i32, body: OptionBody) -> ChoiceOption {
    ChoiceOption {
        value,
        label: label::of(body.label),
        state: body.state,
        default_status: body.default_status,
        description: label::of(body.description),
        color: body.color.filter(|color| !color.is_empty()).map(Into::into),
        external_value: body.external_value.filter(|value| !value.is_empty()).map(Into::into),
    }
}

#[derive(Debug, Deserialize)]
struct GlobalBody {
    #[serde(rename = "OptionSetType", default)]
    kind: Option<String>,
    #[serde(rename = "DisplayName", default)]
    display_name: Option<LabelBody>,
    #[serde(rename = "Description", default)]
    description: Option<LabelBody>,
    #[serde(flatten)]
    set: OptionSetBody,
}

/// Reads the body of `POST GlobalOptionSetDefinitions`.
///
/// Errors: [`Error::NotJson`], [`Error::BadDefinition`], [`Error::Unsupported`].
pub fn decode_choice(body: &[u8]) -> Result<NewGlobalChoice> {
    let body: GlobalBody = parse(body)?;
    match body.kind.as_deref() {
        None | Some("Picklist") => {}
        Some(other) => {
            let what = format!("a global option set of type `{}`", crate::error::cut(other));
            return Err(Error::Unsupported { what });
        }
    }
    let name = body.set.name.clone().ok_or_else(|| Path("").missing("Name"))?;
    Ok(NewGlobalChoice {
        name: name.into(),
        display_name: label::of(body.display_name),
        description: label::of(body.description),
        options: body.set.into_new_options("")?,
    })
}

/// Reads the body of `PUT GlobalOptionSetDefinitions(k)`: its labels; options have actions of their own.
///
/// Errors: as [`decode_choice`].
pub fn decode_choice_change(
    body: &[u8],
    old: &GlobalChoice,
    merge_labels: bool,
) -> Result<GlobalChoice> {
    let body: GlobalBody = parse(body)?;
    if body.set.name.as_deref().is_some_and(|name| *name != *old.name) {
        return Err(Path("").bad("Name", "it cannot change"));
    }
    let mut new = old.clone();
    label::changed(&mut new.display_name, body.display_name, merge_labels);
    label::changed(&mut new.description, body.description, merge_labels);
    Ok(new)
}

/// Appends the option set of a choice column.
pub(super) fn write(out: &mut Vec<u8>, table: &Table, index: ColumnIndex) {
    let column = table.column(index);
    let (kind, type_name) = match &column.kind {
        ColumnKind::Boolean { .. } => ("Boolean", "BooleanOptionSetMetadata"),
        ColumnKind::State { .. } => ("State", "OptionSetMetadata"),
        ColumnKind::Status { .. } => ("Status", "OptionSetMetadata"),
        _ => ("Picklist", "OptionSetMetadata"),
    };
    out.extend_from_slice(b"{\"@odata.type\":\"#Microsoft.Dynamics.CRM.");
    out.extend_from_slice(type_name.as_bytes());
    let settings = &column.settings;
    out.extend_from_slice(b"\",\"MetadataId\":");
    json::guid(out, settings.global_choice.unwrap_or(column.metadata_id));
    out.extend_from_slice(b",\"HasChanged\":null,\"IsCustomOptionSet\":");
    json::display(out, column.is_custom);
    out.extend_from_slice(b",\"IsGlobal\":");
    json::display(out, settings.global_choice.is_some());
    out.extend_from_slice(b",\"IsManaged\":false,\"Name\":");
    match &settings.global_choice_name {
        Some(name) => json::text(out, name),
        None => json::text(out, &format!("{}_{}", table.logical_name, column.logical_name)),
    }
    out.extend_from_slice(b",\"ExternalTypeName\":\"\",\"OptionSetType\":");
    json::text(out, kind);
    out.extend_from_slice(
        b",\"IntroducedVersion\":\"1.0.0.0\",\"ParentOptionSetName\":null,\"Description\":",
    );
    label::write(out, &column.description);
    out.extend_from_slice(b",\"DisplayName\":");
    label::write(out, &column.display_name);
    out.extend_from_slice(
        b",\"IsCustomizable\":{\"Value\":true,\"CanBeChanged\":true,\"ManagedPropertyLogicalName\":\"iscustomizable\"}",
    );
    match &column.kind {
        ColumnKind::Boolean { true_label, false_label, .. } => {
            out.extend_from_slice(b",\"TrueOption\":");
            write_option(out, 1, true_label, None);
            out.extend_from_slice(b",\"FalseOption\":");
            write_option(out, 0, false_label, None);
        }
        ColumnKind::Choice { options, .. }
        | ColumnKind::MultiChoice { options }
        | ColumnKind::State { options }
        | ColumnKind::Status { options } => {
            out.extend_from_slice(b",\"Options\":");
            write_options(out, &column.kind, options);
        }
        _ => out.extend_from_slice(b",\"Options\":[]"),
    }
    out.push(b'}');
}

/// Appends the options of a global choice.
pub(super) fn write_global_options(out: &mut Vec<u8>, options: &[ChoiceOption]) {
    let kind = ColumnKind::Choice { options: Vec::new(), default: None };
    write_options(out, &kind, options);
}

fn write_options(out: &mut Vec<u8>, kind: &ColumnKind, options: &[ChoiceOption]) {
    out.push(b'[');
    for option in options {
        json::comma(out);
        write_option(out, option.value, &option.label, Some((kind, option)));
    }
    out.push(b']');
}

type Read = for<'a> fn(&'a GlobalChoice) -> Member<'a>;

/// Every member of `OptionSetMetadata`, in order.
pub(super) const MEMBERS: &[(&str, Read)] = &[
    ("MetadataId", |this| Member::Guid(this.metadata_id)),
    ("HasChanged", |_| Member::Null),
    ("IsCustomOptionSet", |this| Member::Boolean(this.is_custom)),
    ("IsGlobal", |_| Member::Boolean(true)),
    ("IsManaged", |this| Member::Boolean(!this.is_custom)),
    ("Name", |this| Member::text(Some(&this.name))),
    ("ExternalTypeName", |_| Member::text(Some(""))),
    ("OptionSetType", |_| Member::text(Some("Picklist"))),
    ("IntroducedVersion", |_| Member::text(Some("1.0.0.0"))),
    ("ParentOptionSetName", |_| Member::Null),
    ("Description", |this| Member::Label(&this.description)),
    ("DisplayName", |this| Member::Label(&this.display_name)),
    ("IsCustomizable", |_| Member::Managed {
        value: true,
        can_be_changed: true,
        name: "iscustomizable",
    }),
    ("Options", |this| Member::GlobalOptions(&this.options)),
];

fn write_option(
    out: &mut Vec<u8>,
    value: i32,
    label: &Label,
    extra: Option<(&ColumnKind, &ChoiceOption)>,
) {
    out.push(b'{');
    match extra {
        Some((ColumnKind::State { .. }, option)) => {
            out.extend_from_slice(
                b"\"@odata.type\":\"#Microsoft.Dynamics.CRM.StateOptionMetadata\",\"DefaultStatus\":",
            );
            optional(out, option.default_status);
            out.extend_from_slice(b",\"InvariantName\":");
            json::text(out, option.label.shown().unwrap_or_default());
            out.push(b',');
        }
        Some((ColumnKind::Status { .. }, option)) => {
            out.extend_from_slice(
                b"\"@odata.type\":\"#Microsoft.Dynamics.CRM.StatusOptionMetadata\",\"State\":",
            );
            optional(out, option.state);
            out.extend_from_slice(b",\"TransitionData\":null,");
        }
        _ => {}
    }
    out.extend_from_slice(b"\"Value\":");
    json::integer(out, value);
    let plain = ChoiceOption::default();
    let option = extra.map_or(&plain, |(_, option)| option);
    out.extend_from_slice(b",\"Color\":");
    optional_text(out, option.color.as_deref());
    out.extend_from_slice(b",\"IsManaged\":false,\"ExternalValue\":");
    optional_text(out, option.external_value.as_deref());
    out.extend_from_slice(
        b",\"ParentValues\":[],\"Tag\":null,\"IsHidden\":false,\"MetadataId\":null,\"HasChanged\":null,\"Label\":",
    );
    label::write(out, label);
    out.extend_from_slice(b",\"Description\":");
    label::write(out, &option.description);
    out.push(b'}');
}

fn optional_text(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        Some(value) => json::text(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn optional(out: &mut Vec<u8>, value: Option<i32>) {
    match value {
        Some(value) => json::integer(out, value),
        None => out.extend_from_slice(b"null"),
    }
}
