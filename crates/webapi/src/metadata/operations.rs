//! Functions and actions on definitions.
//!
//! In reading order: the list of them, actions on options, actions that make lookups, functions.
//! Source: metadata.md 4.6, 4.8, 6.3, 6.4, 7.2 and 8. Not here: `RetrieveMetadataChanges` (`changes`).

use super::{changes, write};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Problem};
use crate::response;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use model::{Catalog, ChoiceOption, LookupKind, OptionChange, OptionsOf, Table, TableKind, code};
use pipeline::Definition;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::metadata::OptionAction;

/// An unbound operation on definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    CreateEntities,
    CreatePolymorphicLookupAttribute,
    CreateCustomerRelationships,
    InsertOptionValue,
    UpdateOptionValue,
    DeleteOptionValue,
    OrderOption,
    InsertStatusValue,
    UpdateStateValue,
    ReactivateEntityKey,
    SetAutoNumberSeed,
    GetAutoNumberSeed,
    GetNextAutoNumberValue,
    PublishXml,
    PublishAllXml,
    CanBeReferenced,
    CanBeReferencing,
    CanManyToMany,
    GetValidManyToMany,
    GetValidReferencedEntities,
    GetValidReferencingEntities,
    RetrieveMetadataChanges,
    RetrieveAvailableLanguages,
}

const OPERATIONS: [(&str, Operation); 23] = [
    ("CreateEntities", Operation::CreateEntities),
    ("CreatePolymorphicLookupAttribute", Operation::CreatePolymorphicLookupAttribute),
    ("CreateCustomerRelationships", Operation::CreateCustomerRelationships),
    ("InsertOptionValue", Operation::InsertOptionValue),
    ("UpdateOptionValue", Operation::UpdateOptionValue),
    ("DeleteOptionValue", Operation::DeleteOptionValue),
    ("OrderOption", Operation::OrderOption),
    ("InsertStatusValue", Operation::InsertStatusValue),
    ("UpdateStateValue", Operation::UpdateStateValue),
    ("ReactivateEntityKey", Operation::ReactivateEntityKey),
    ("SetAutoNumberSeed", Operation::SetAutoNumberSeed),
    ("GetAutoNumberSeed", Operation::GetAutoNumberSeed),
    ("GetNextAutoNumberValue", Operation::GetNextAutoNumberValue),
    ("PublishXml", Operation::PublishXml),
    ("PublishAllXml", Operation::PublishAllXml),
    ("CanBeReferenced", Operation::CanBeReferenced),
    ("CanBeReferencing", Operation::CanBeReferencing),
    ("CanManyToMany", Operation::CanManyToMany),
    ("GetValidManyToMany", Operation::GetValidManyToMany),
    ("GetValidReferencedEntities", Operation::GetValidReferencedEntities),
    ("GetValidReferencingEntities", Operation::GetValidReferencingEntities),
    ("RetrieveMetadataChanges", Operation::RetrieveMetadataChanges),
    ("RetrieveAvailableLanguages", Operation::RetrieveAvailableLanguages),
];

impl Operation {
    /// The operation of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        OPERATIONS.iter().find(|(known, _)| *known == name).map(|(_, operation)| *operation)
    }

    fn name(self) -> &'static str {
        let found = OPERATIONS.iter().find(|(_, operation)| *operation == self);
        found.map_or("", |(name, _)| *name)
    }

    /// Whether it is asked by GET; the others are actions.
    fn is_function(self) -> bool {
        matches!(
            self,
            Self::CanBeReferenced
                | Self::CanBeReferencing
                | Self::CanManyToMany
                | Self::GetValidManyToMany
                | Self::GetValidReferencedEntities
                | Self::GetValidReferencingEntities
                | Self::RetrieveMetadataChanges
                | Self::RetrieveAvailableLanguages
        )
    }
}

/// Answers an operation; `arguments` is what stands in its parentheses, for functions.
pub(crate) async fn answer(
    attempt: &Attempt<'_>,
    operation: Operation,
    arguments: &str,
) -> Result<Response<Bytes>, Stop> {
    let method = &attempt.request.method;
    if operation.is_function() {
        if *method != Method::GET {
            return Err(attempt.only("GET, HEAD").into());
        }
        attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
        return Ok(function(attempt, operation, arguments)?);
    }
    match *method {
        Method::POST => {}
        Method::GET => return Err(Problem::no_resource(&attempt.request.uri).into()),
        _ => return Err(attempt.only("POST").into()),
    }
    match operation {
        Operation::CreateEntities => write::create_entities(attempt).await,
        Operation::CreatePolymorphicLookupAttribute => lookup(attempt, LookupKind::Plain).await,
        Operation::CreateCustomerRelationships => lookup(attempt, LookupKind::Customer).await,
        Operation::ReactivateEntityKey => Ok(reactivate(attempt)?),
        Operation::SetAutoNumberSeed
        | Operation::GetAutoNumberSeed
        | Operation::GetNextAutoNumberValue => numbers(attempt, operation).await,
        // Changes of definitions hold at once.
        Operation::PublishXml => {
            publish(attempt)?;
            Ok(response::empty(StatusCode::NO_CONTENT))
        }
        Operation::PublishAllXml => Ok(response::empty(StatusCode::NO_CONTENT)),
        _ => options(attempt, operation).await,
    }
}

fn refused(error: wire::Error) -> Problem {
    write::refused(error, "OptionSet")
}

fn missing(name: &str) -> Problem {
    Problem::argument(format!("Required field '{name}' is missing"))
}

/// The actions that change options.
async fn options(attempt: &Attempt<'_>, operation: Operation) -> Result<Response<Bytes>, Stop> {
    let body = wire::metadata::decode_option_action(&attempt.request.body).map_err(refused)?;
    let OptionAction { of, value, label, description, merge_labels, .. } = body.clone();
    let mut inserted = None;
    let change = match operation {
        Operation::InsertOptionValue | Operation::InsertStatusValue => {
            let catalog = &attempt.context.catalog;
            let value = match value {
                Some(value) => value,
                None => next_value(catalog, &of)?,
            };
            if operation == Operation::InsertStatusValue && body.state.is_none() {
                return Err(missing("StateCode").into());
            }
            inserted = Some(value);
            OptionChange::Insert(Box::new(ChoiceOption {
                value,
                label: label.ok_or_else(|| missing("Label"))?,
                description: description.unwrap_or_default(),
                state: body.state,
                color: body.color,
                external_value: body.external_value,
                ..ChoiceOption::default()
            }))
        }
        Operation::DeleteOptionValue => {
            OptionChange::Delete(value.ok_or_else(|| missing("Value"))?)
        }
        Operation::OrderOption => {
            OptionChange::Order(body.values.ok_or_else(|| missing("Values"))?)
        }
        _ => OptionChange::Update {
            value: value.ok_or_else(|| missing("Value"))?,
            label,
            description,
            merge_labels,
            default_status: body.default_status,
        },
    };
    let solution = body.solution.as_deref();
    let definition = Definition::ChangeOptions { of, change };
    write::define_in(attempt, definition, solution).await?;
    Ok(match inserted {
        Some(value) => answered(attempt, operation, &json!({"NewOptionValue": value})),
        None => response::empty(StatusCode::NO_CONTENT),
    })
}

fn next_value(catalog: &Catalog, of: &OptionsOf) -> Result<i32, Problem> {
    pipeline::next_option_value(catalog, of).map_err(Problem::from)
}

/// A function's or action's answer.
fn answered(attempt: &Attempt<'_>, operation: Operation, members: &Value) -> Response<Bytes> {
    let root = &attempt.request.root;
    let name = operation.name();
    let context = format!("{root}$metadata#Microsoft.Dynamics.CRM.{name}Response");
    let mut body = json!({"@odata.context": context});
    if let (Some(body), Some(members)) = (body.as_object_mut(), members.as_object()) {
        body.extend(members.clone());
    }
    response::json(StatusCode::OK, body.to_string().into_bytes())
}

/// The actions that make a lookup to several tables.
async fn lookup(attempt: &Attempt<'_>, kind: LookupKind) -> Result<Response<Bytes>, Stop> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "SolutionUniqueName", default)]
        solution: Option<String>,
    }
    let body = &attempt.request.body;
    let wish = wire::metadata::decode_lookup(body, kind)
        .map_err(|err| write::refused(err, "RelationshipDefinitions"))?;
    let solution = serde_json::from_slice::<Body>(body).ok().and_then(|body| body.solution);
    let definition = Definition::CreateLookup(wish);
    let mut made = write::define_in(attempt, definition, solution.as_deref()).await?;
    let column = made.pop().unwrap_or_default().to_string();
    let ids: Vec<String> = made.iter().map(ToString::to_string).collect();
    let operation = match kind {
        LookupKind::Customer => Operation::CreateCustomerRelationships,
        LookupKind::Plain | LookupKind::Owner => Operation::CreatePolymorphicLookupAttribute,
    };
    let members = json!({"RelationshipIds": ids, "AttributeId": column});
    Ok(answered(attempt, operation, &members))
}

/// A key is active from the moment it is there: there is nothing to activate again.
fn reactivate(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Problem> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "EntityLogicalName", default)]
        table: Option<String>,
        #[serde(rename = "EntityKeyLogicalName", default)]
        key: Option<String>,
    }
    let body: Body = parse(attempt)?;
    let table = body.table.ok_or_else(|| missing("EntityLogicalName"))?;
    let key = body.key.ok_or_else(|| missing("EntityKeyLogicalName"))?;
    let known = attempt
        .context
        .catalog
        .table(&table)
        .ok_or_else(|| Problem::no_definition("entity", &table))?;
    if known.keys.iter().all(|known| *known.logical_name != *key) {
        return Err(Problem::no_definition("key", &key));
    }
    Err(Problem::from(model::Fault::new(
        code::REACTIVATE_ENTITY_KEY_ONLY_FOR_FAILED_JOBS,
        "Reactivate entity key is only supported for failed job",
    )))
}

/// The actions about the counter of an auto-number column.
async fn numbers(attempt: &Attempt<'_>, operation: Operation) -> Result<Response<Bytes>, Stop> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "EntityName", default)]
        table: Option<String>,
        #[serde(rename = "AttributeName", default)]
        column: Option<String>,
        #[serde(rename = "Value", default)]
        seed: Option<i64>,
    }
    let Body { table, column, seed } = parse(attempt)?;
    let table = table.ok_or_else(|| missing("EntityName"))?;
    let column = column.ok_or_else(|| missing("AttributeName"))?;
    let known = attempt.context.catalog.table(&table);
    let known = known.ok_or_else(|| Problem::no_definition("entity", &table))?;
    let index = known.index_of(&column);
    let index = index.ok_or_else(|| Problem::no_definition("attribute", &column))?;
    let members = match operation {
        Operation::SetAutoNumberSeed => {
            let seed = seed.ok_or_else(|| missing("Value"))?;
            let definition =
                Definition::RestartNumbers { table: known.clone(), column: index, seed };
            write::define_in(attempt, definition, None).await?;
            return Ok(response::empty(StatusCode::NO_CONTENT));
        }
        Operation::GetAutoNumberSeed => {
            let seed = pipeline::number_seed(known, index).map_err(Problem::from)?;
            json!({"AutoNumberSeedValue": seed})
        }
        _ => {
            let next = attempt.pipeline.next_number(&attempt.context, known, index);
            json!({"NextAutoNumberValue": next.await?})
        }
    };
    Ok(answered(attempt, operation, &members))
}

fn parse<T: serde::de::DeserializeOwned>(attempt: &Attempt<'_>) -> Result<T, Problem> {
    serde_json::from_slice(&attempt.request.body).map_err(|err| {
        let detail = err.to_string();
        write::refused(wire::Error::NotJson { detail }, "Entity")
    })
}

fn publish(attempt: &Attempt<'_>) -> Result<(), Problem> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "ParameterXml", default)]
        xml: Option<String>,
    }
    let body: Body = parse(attempt)?;
    body.xml.map(drop).ok_or_else(|| missing("ParameterXml"))
}

/// The functions.
fn function(
    attempt: &Attempt<'_>,
    operation: Operation,
    arguments: &str,
) -> Result<Response<Bytes>, Problem> {
    let catalog = &attempt.context.catalog;
    let named = |parameter: &str| argument(attempt, operation, arguments, parameter);
    let table = |parameter: &str| -> Result<&Table, Problem> {
        let name = named(parameter)?;
        let found = catalog.table(&name);
        Ok(found.ok_or_else(|| Problem::no_definition("entity", &name))?)
    };
    let can = |name: &str, can: bool| json!({name: can});
    let names = |may: &dyn Fn(&Table) -> bool| {
        let names = catalog.tables().iter().filter(|table| may(table));
        let names: Vec<&str> = names.map(|table| &*table.logical_name).collect();
        json!({"EntityNames": names})
    };
    let members = match operation {
        Operation::CanBeReferenced => can("CanBeReferenced", may_be_related(table("EntityName")?)),
        Operation::CanBeReferencing => {
            can("CanBeReferencing", may_be_related(table("EntityName")?))
        }
        Operation::CanManyToMany => can("CanManyToMany", may_have_pairs(table("EntityName")?)),
        Operation::GetValidManyToMany => {
            none(operation, arguments)?;
            names(&may_have_pairs)
        }
        Operation::GetValidReferencedEntities => {
            let referencing = table("ReferencingEntityName")?;
            names(&|table| {
                let from_standard = referencing.kind == TableKind::Standard;
                may_be_related(table) && !(from_standard && table.kind == TableKind::Elastic)
            })
        }
        Operation::GetValidReferencingEntities => {
            let referenced = table("ReferencedEntityName")?;
            names(&|table| {
                let to_elastic = referenced.kind == TableKind::Elastic;
                may_be_related(table) && !(to_elastic && table.kind == TableKind::Standard)
            })
        }
        Operation::RetrieveAvailableLanguages => {
            none(operation, arguments)?;
            json!({"LocaleIds": [1033]})
        }
        _ => return changes::answer(attempt, arguments),
    };
    Ok(answered(attempt, operation, &members))
}

fn may_be_related(table: &Table) -> bool {
    !table.is_intersect
}

fn may_have_pairs(table: &Table) -> bool {
    !table.is_intersect && table.kind == TableKind::Standard
}

fn no_signature(operation: Operation) -> Problem {
    Problem::uri(format!(
        "No function signature for the function with name '{}' matches the specified arguments.",
        operation.name()
    ))
}

fn none(operation: Operation, arguments: &str) -> Result<(), Problem> {
    if arguments.trim().is_empty() { Ok(()) } else { Err(no_signature(operation)) }
}

/// The one argument of a function: `EntityName='account'`, or an alias.
fn argument(
    attempt: &Attempt<'_>,
    operation: Operation,
    arguments: &str,
    parameter: &str,
) -> Result<String, Problem> {
    let bad = || no_signature(operation);
    let (name, value) = arguments.split_once('=').ok_or_else(bad)?;
    if name.trim() != parameter {
        return Err(bad());
    }
    let value = match value.trim() {
        alias if alias.starts_with('@') => attempt.request.options.get(alias).ok_or_else(bad)?,
        value => value,
    };
    let text = value.trim().strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    text.map(|text| text.replace("''", "'")).ok_or_else(bad)
}
