//! Making, changing and ending definitions.
//!
//! Source: metadata.md 4.1, 4.2, 4.6, 4.7, 5.1, 5.4, 5.5, 6, 7.1, 8 and 10.1.

use super::{Place, Related, Within, read};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Payload, Problem};
use crate::response;
use bytes::Bytes;
use http::{Response, StatusCode};
use model::{ColumnIndex, GlobalChoice, MessageName, Table, Uuid};
use pipeline::{Definition, Message, Reply};
use serde_json::json;
use std::sync::Arc;
use wire::metadata::DecodedRelationship;

/// `POST /EntityDefinitions`
pub(super) async fn table(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let table = wire::metadata::decode_table(&attempt.request.body)
        .map_err(|err| refused(err, "EntityDefinitions"))?;
    let made = define(attempt, Definition::CreateTables(vec![table])).await?;
    answer_made(attempt, "EntityDefinitions", &made)
}

/// `POST /CreateEntities`
pub(super) async fn create_entities(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let tables = wire::metadata::decode_tables(&attempt.request.body)
        .map_err(|err| refused(err, "CreateEntities"))?;
    let made = define(attempt, Definition::CreateTables(tables)).await?;
    let ids: Vec<String> = made.iter().map(Uuid::to_string).collect();
    let root = &attempt.request.root;
    let body = json!({
        "@odata.context":
            format!("{root}$metadata#Microsoft.Dynamics.CRM.CreateEntitiesResponse"),
        "EntityIds": ids,
    });
    Ok(response::json(StatusCode::OK, body.to_string().into_bytes()))
}

/// `POST /EntityDefinitions(k)/Attributes`
pub(super) async fn column(
    attempt: &Attempt<'_>,
    within: &Within,
) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let column = wire::metadata::decode_column(&attempt.request.body)
        .map_err(|err| refused(err, "Attributes"))?;
    let definition = Definition::CreateColumn { table: within.table.clone(), column };
    let made = define(attempt, definition).await?;
    answer_made(attempt, &format!("{}/Attributes", within.address), &made)
}

/// `POST /EntityDefinitions(k)/Keys`
pub(super) async fn key(attempt: &Attempt<'_>, within: &Within) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let key =
        wire::metadata::decode_key(&attempt.request.body).map_err(|err| refused(err, "Keys"))?;
    let definition = Definition::CreateKey { table: within.table.clone(), key };
    let made = define(attempt, definition).await?;
    answer_made(attempt, &format!("{}/Keys", within.address), &made)
}

/// `POST /RelationshipDefinitions`
pub(super) async fn relationship(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let relationship = wire::metadata::decode_relationship(&attempt.request.body)
        .map_err(|err| refused(err, "RelationshipDefinitions"))?;
    let definition = match relationship {
        DecodedRelationship::OneToMany(wish) => Definition::CreateRelationship(wish),
        DecodedRelationship::ManyToMany(wish) => Definition::CreateManyToMany(wish),
    };
    let made = define(attempt, definition).await?;
    answer_made(attempt, "RelationshipDefinitions", &made)
}

/// `POST /GlobalOptionSetDefinitions`
pub(super) async fn choice(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let choice = wire::metadata::decode_choice(&attempt.request.body)
        .map_err(|err| refused(err, "GlobalOptionSetDefinitions"))?;
    let made = define(attempt, Definition::CreateChoice(choice)).await?;
    answer_made(attempt, "GlobalOptionSetDefinitions", &made)
}

/// `PUT /EntityDefinitions(k)`
pub(super) async fn change_table(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let (body, merge) = (&attempt.request.body, attempt.request.merge_labels);
    let to = wire::metadata::decode_table_change(body, table, merge)
        .map_err(|err| refused(err, "EntityDefinitions"))?;
    define(attempt, Definition::ChangeTable(Box::new(to))).await?;
    Ok(address_of(attempt, "EntityDefinitions", &[table.metadata_id]))
}

/// `PUT /EntityDefinitions(k)/Attributes(k)[/cast]`
pub(super) async fn change_column(
    attempt: &Attempt<'_>,
    within: &Within,
    index: ColumnIndex,
) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let table = &within.table;
    let (body, merge) = (&attempt.request.body, attempt.request.merge_labels);
    let column = wire::metadata::decode_column_change(body, table.column(index), merge)
        .map_err(|err| refused(err, "Attributes"))?;
    let id = column.metadata_id;
    let definition =
        Definition::ChangeColumn { table: Arc::clone(table), column: Box::new(column) };
    define(attempt, definition).await?;
    Ok(address_of(attempt, &format!("{}/Attributes", within.address), &[id]))
}

/// `PUT /RelationshipDefinitions(k)[/cast]`
pub(super) async fn change_relationship(
    attempt: &Attempt<'_>,
    related: &Related,
) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let (body, merge) = (&attempt.request.body, attempt.request.merge_labels);
    let refused = |err| refused(err, "RelationshipDefinitions");
    let (definition, id) = match related {
        Related::One(one) => {
            let to = wire::metadata::decode_relationship_change(body, one, merge);
            let to = Box::new(to.map_err(refused)?);
            (Definition::ChangeRelationship(to), one.metadata_id)
        }
        Related::Many(many) => {
            let to = wire::metadata::decode_many_to_many_change(body, many, merge);
            let to = Box::new(to.map_err(refused)?);
            (Definition::ChangeManyToMany(to), many.metadata_id)
        }
    };
    define(attempt, definition).await?;
    Ok(address_of(attempt, "RelationshipDefinitions", &[id]))
}

/// `PUT /GlobalOptionSetDefinitions(k)[/cast]`
pub(super) async fn change_choice(
    attempt: &Attempt<'_>,
    choice: &GlobalChoice,
) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    let (body, merge) = (&attempt.request.body, attempt.request.merge_labels);
    let to = wire::metadata::decode_choice_change(body, choice, merge)
        .map_err(|err| refused(err, "GlobalOptionSetDefinitions"))?;
    define(attempt, Definition::ChangeChoice(Box::new(to))).await?;
    Ok(address_of(attempt, "GlobalOptionSetDefinitions", &[choice.metadata_id]))
}

/// `DELETE` of a definition.
pub(super) async fn remove(
    attempt: &Attempt<'_>,
    definition: Definition,
) -> Result<Response<Bytes>, Stop> {
    check(attempt)?;
    define(attempt, definition).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

/// Refuses options.
fn check(attempt: &Attempt<'_>) -> Result<(), Problem> {
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)
}

pub(super) fn refused(error: wire::Error, set: &str) -> Problem {
    fault::of_wire(error, Payload { message: MessageName::Create, table: set, set })
}

/// Runs a change; the solution that it belongs to stands in the head or in the query.
async fn define(attempt: &Attempt<'_>, definition: Definition) -> Result<Vec<Uuid>, Stop> {
    define_in(attempt, definition, None).await
}

/// The same, with the solution that the body names.
pub(super) async fn define_in(
    attempt: &Attempt<'_>,
    definition: Definition,
    solution: Option<&str>,
) -> Result<Vec<Uuid>, Stop> {
    let request = attempt.request;
    let in_query = request.options.get("SolutionUniqueName");
    let named = [solution, in_query, request.solution.as_deref()];
    let solution = named.into_iter().flatten().find(|name| !name.is_empty());
    let message = match solution {
        Some(name) => Message::DefineIn(definition, name.into()),
        None => Message::Define(definition),
    };
    match attempt.run(message).await? {
        Reply::Defined(made) => Ok(made),
        Reply::Written(_)
        | Reply::Partly(_)
        | Reply::Followed(_)
        | Reply::Deleted(_)
        | Reply::Page(_)
        | Reply::Walked(_) => {
            tracing::error!("a definition was not answered with ids");
            Err(Problem::unexpected().into())
        }
    }
}

/// 204 with the address of what was made, or 201 with its definition where `Prefer` asks for that.
fn answer_made(
    attempt: &Attempt<'_>,
    collection: &str,
    made: &[Uuid],
) -> Result<Response<Bytes>, Stop> {
    let mut response = address_of(attempt, collection, made);
    if !attempt.request.prefer.return_representation {
        return Ok(response);
    }
    let Some(id) = made.first() else { return Ok(response) };
    let catalog = attempt.pipeline.catalog();
    let Some(place) = Place::of_id(collection, *id, &catalog) else { return Ok(response) };
    let body = read::whole(attempt, &catalog, &place)?;
    let mut shown = response::json(StatusCode::CREATED, body);
    for name in ["odata-entityid", "location"] {
        if let Some(value) = response.headers_mut().remove(name) {
            shown.headers_mut().insert(http::HeaderName::from_static(name), value);
        }
    }
    response::put_applied(&mut shown, &["return=representation".to_owned()]);
    Ok(shown)
}

/// 204 with the address of what was made.
fn address_of(attempt: &Attempt<'_>, collection: &str, made: &[Uuid]) -> Response<Bytes> {
    match made.first() {
        Some(id) => response::written(&format!("{}{collection}({id})", attempt.request.root)),
        None => response::empty(StatusCode::NO_CONTENT),
    }
}
