//! Definitions of tables, columns, keys and relationships over the Web API.
//!
//! In reading order: this file (which address is what), `read`, `filter` and `options` (below it),
//! `write`. Not here: the members of definitions (`wire::metadata`), making them (`pipeline`).
//! Source: metadata.md 1 to 8.

mod changes;
mod filter;
mod operations;
mod options;
mod read;
mod write;

pub(crate) use operations::{Operation, answer as operate};

use crate::api::{Attempt, Stop};
use crate::fault::{self, Problem};
use crate::path::Segment;
use crate::response;
use crate::route::{NAMESPACE, end};
use bytes::Bytes;
use http::{Method, Response};
use model::{Catalog, ColumnIndex, GlobalChoice, KeyIndex, ManyToMany, OneToMany, Table, Uuid};
use pipeline::Definition;
use std::sync::Arc;
use wire::metadata::Item;

/// The annotation by which `Prefer` asks for those of `$metadata`.
const DESCRIPTION: &str = "Org.OData.Core.V1.Description";

/// What an address below the definitions names.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// `EntityDefinitions`
    Tables,
    /// `EntityDefinitions(k)`
    Table(Arc<Table>),
    /// `EntityDefinitions(k)/Attributes[/cast]`
    Columns(Within),
    /// `EntityDefinitions(k)/Attributes(k)[/cast]`
    Column(Within, ColumnIndex),
    /// `EntityDefinitions(k)/Keys`
    Keys(Within),
    /// `EntityDefinitions(k)/Keys(k)`
    Key(Within, KeyIndex),
    /// `EntityDefinitions(k)/ManyToOneRelationships`
    ManyToOne(Arc<Table>),
    /// `EntityDefinitions(k)/OneToManyRelationships`
    OneToMany(Arc<Table>),
    /// `EntityDefinitions(k)/ManyToManyRelationships`
    ManyToMany(Arc<Table>),
    /// `RelationshipDefinitions[/cast]`
    Relationships(Option<Box<str>>),
    /// `RelationshipDefinitions(k)[/cast]`
    Relationship(Related, Option<Box<str>>),
    /// `EntityDefinitions(k)/Attributes(k)/cast/OptionSet`, or `GlobalOptionSet`
    OptionSet(Within, ColumnIndex, Box<str>),
    /// `GlobalOptionSetDefinitions[/cast]`
    Choices(Option<Box<str>>),
    /// `GlobalOptionSetDefinitions(k)[/cast]`
    Choice(Arc<GlobalChoice>, Option<Box<str>>),
    /// `ManagedPropertyDefinitions`: there are none.
    ManagedProperties,
}

impl Place {
    /// A definition that was just made, by its collection and its id.
    fn of_id(collection: &str, id: Uuid, catalog: &Catalog) -> Option<Self> {
        let (_, part) = collection.rsplit_once('/').unwrap_or(("", collection));
        let holder = |has: &dyn Fn(&Table) -> bool| {
            catalog.tables().iter().find(|table| has(table)).cloned()
        };
        let within = |table: Arc<Table>| Within { address: collection.into(), table, cast: None };
        Some(match part {
            "EntityDefinitions" => Self::Table(catalog.table_by_metadata_id(id)?.clone()),
            "Attributes" => {
                let has = |table: &Table| table.columns.iter().any(|one| one.metadata_id == id);
                let table = holder(&has)?;
                let (index, _) =
                    table.indexed_columns().find(|(_, column)| column.metadata_id == id)?;
                Self::Column(within(table), index)
            }
            "Keys" => {
                let table = holder(&|table| table.keys.iter().any(|one| one.metadata_id == id))?;
                let place = table.keys.iter().position(|one| one.metadata_id == id)?;
                let place = u16::try_from(place).ok()?;
                Self::Key(within(table), KeyIndex(place))
            }
            "RelationshipDefinitions" => Self::Relationship(related(catalog, &Key::Id(id))?, None),
            _ => Self::Choice(catalog.choice_by_metadata_id(id)?.clone(), None),
        })
    }
}

/// A relationship of either kind.
#[derive(Clone, Debug)]
pub(crate) enum Related {
    One(Arc<OneToMany>),
    Many(Arc<ManyToMany>),
}

impl Related {
    fn item(&self) -> Item<'_> {
        match self {
            Self::One(one) => Item::Relationship(one),
            Self::Many(many) => Item::ManyToMany(many),
        }
    }
}

/// A place inside one table.
#[derive(Clone, Debug)]
pub(crate) struct Within {
    table: Arc<Table>,
    /// The table's address as it was written, for the addresses of what is made.
    address: Box<str>,
    /// The type that is asked for, without namespace.
    cast: Option<Box<str>>,
}

/// Below `EntityDefinitions`.
pub(crate) fn tables(
    first: &Segment,
    rest: &[Segment],
    catalog: &Catalog,
) -> Result<Place, Problem> {
    let Some(key) = &first.key else {
        end(rest)?;
        return Ok(Place::Tables);
    };
    let table = table_by_key(key, catalog)?;
    let Some((next, rest)) = rest.split_first() else { return Ok(Place::Table(table)) };
    let within =
        |cast| Within { table: Arc::clone(&table), address: first.raw.as_str().into(), cast };
    match (&*next.name, &next.key) {
        ("Attributes", None) => Ok(Place::Columns(within(cast(rest)?))),
        ("Attributes", Some(key)) => {
            let column = column_by_key(key, &table)?;
            if let Some((last, before)) = rest.split_last()
                && (last.name == "OptionSet" || last.name == "GlobalOptionSet")
                && last.key.is_none()
            {
                let within = within(cast(before)?);
                return Ok(Place::OptionSet(within, column, last.name.as_str().into()));
            }
            Ok(Place::Column(within(cast(rest)?), column))
        }
        ("Keys", None) => {
            end(rest)?;
            Ok(Place::Keys(within(None)))
        }
        ("Keys", Some(key)) => {
            end(rest)?;
            let key = key_by_key(key, &table)?;
            Ok(Place::Key(within(None), key))
        }
        ("ManyToOneRelationships", None) => {
            end(rest)?;
            Ok(Place::ManyToOne(table))
        }
        ("OneToManyRelationships", None) => {
            end(rest)?;
            Ok(Place::OneToMany(table))
        }
        ("ManyToManyRelationships", None) => {
            end(rest)?;
            Ok(Place::ManyToMany(table))
        }
        _ => Err(Problem::no_segment(&next.name)),
    }
}

/// Below `RelationshipDefinitions`.
pub(crate) fn relationships(
    first: &Segment,
    rest: &[Segment],
    catalog: &Catalog,
) -> Result<Place, Problem> {
    let cast = cast(rest)?;
    let Some(key) = &first.key else { return Ok(Place::Relationships(cast)) };
    let key = Key::parse(key, &["SchemaName", "LogicalName"])?;
    let found = related(catalog, &key);
    let found = found.ok_or_else(|| Problem::no_definition("relationship", &key.to_string()))?;
    Ok(Place::Relationship(found, cast))
}

/// The relationship of either kind with this key.
fn related(catalog: &Catalog, key: &Key) -> Option<Related> {
    let is = |id: Uuid, name: &str| match key {
        Key::Id(wanted) => id == *wanted,
        Key::Name(wanted) => name == &**wanted,
    };
    let mut one = catalog.relationships().iter();
    let mut many = catalog.many_to_many().iter();
    let one = one.find(|one| is(one.metadata_id, &one.schema_name)).cloned().map(Related::One);
    one.or_else(|| {
        many.find(|many| is(many.metadata_id, &many.schema_name)).cloned().map(Related::Many)
    })
}

/// Below `GlobalOptionSetDefinitions`.
pub(crate) fn choices(
    first: &Segment,
    rest: &[Segment],
    catalog: &Catalog,
) -> Result<Place, Problem> {
    let cast = cast(rest)?;
    let Some(key) = &first.key else { return Ok(Place::Choices(cast)) };
    let key = Key::parse(key, &["Name"])?;
    let found = match &key {
        Key::Id(id) => catalog.choice_by_metadata_id(*id),
        Key::Name(name) => catalog.choice(name),
    };
    let found = found.ok_or_else(|| Problem::no_definition("optionset", &key.to_string()))?;
    Ok(Place::Choice(Arc::clone(found), cast))
}

/// The type cast that ends an address, if any.
fn cast(rest: &[Segment]) -> Result<Option<Box<str>>, Problem> {
    let Some((next, rest)) = rest.split_first() else { return Ok(None) };
    let name = next.name.strip_prefix(NAMESPACE).filter(|_| next.key.is_none());
    let Some(name) = name.filter(|name| name.ends_with("Metadata")) else {
        return Err(Problem::no_segment(&next.name));
    };
    match rest.first() {
        Some(last) => Err(Problem::no_segment(&last.name)),
        None => Ok(Some(name.into())),
    }
}

/// The key of a definition.
enum Key {
    Id(Uuid),
    Name(String),
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Key {
    /// Reads a bare guid, `MetadataId=guid`, `Name='x'` with one of these names, or `'x'`.
    fn parse(inside: &str, names: &[&str]) -> Result<Self, Problem> {
        let bad = || {
            Problem::uri(format!(
                "The key '{inside}' in the request URI is not valid. Use MetadataId or {}.",
                names.join(" or ")
            ))
        };
        let inside = inside.trim();
        let bare = inside.trim_start_matches('{').trim_end_matches('}');
        if let Ok(id) = Uuid::try_parse(bare) {
            return Ok(Self::Id(id));
        }
        let (name, value) = match inside.split_once('=') {
            Some((name, value)) => (Some(name.trim()), value.trim()),
            None => (None, inside),
        };
        if name == Some("MetadataId") {
            let bare = value.trim_matches(['\'', '{', '}']);
            return Uuid::try_parse(bare).map(Self::Id).map_err(|_| bad());
        }
        if name.is_some_and(|name| !names.contains(&name)) {
            return Err(bad());
        }
        let text = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
        Ok(Self::Name(text.ok_or_else(bad)?.replace("''", "'")))
    }
}

fn table_by_key(key: &str, catalog: &Catalog) -> Result<Arc<Table>, Problem> {
    let key = Key::parse(key, &["LogicalName"])?;
    let found = match &key {
        Key::Id(id) => catalog.table_by_metadata_id(*id),
        Key::Name(name) => catalog.table(name),
    };
    found.cloned().ok_or_else(|| Problem::no_definition("entity", &key.to_string()))
}

fn column_by_key(key: &str, table: &Table) -> Result<ColumnIndex, Problem> {
    let key = Key::parse(key, &["LogicalName"])?;
    let found = match &key {
        Key::Id(id) => table
            .indexed_columns()
            .find(|(_, column)| column.metadata_id == *id)
            .map(|(index, _)| index),
        Key::Name(name) => table.index_of(name),
    };
    found.ok_or_else(|| Problem::no_definition("attribute", &key.to_string()))
}

fn key_by_key(key: &str, table: &Table) -> Result<KeyIndex, Problem> {
    let key = Key::parse(key, &["LogicalName", "SchemaName"])?;
    let place = table.keys.iter().position(|known| match &key {
        Key::Id(id) => known.metadata_id == *id,
        Key::Name(name) => *known.logical_name == **name || *known.schema_name == **name,
    });
    place
        .and_then(|place| u16::try_from(place).ok())
        .map(KeyIndex)
        .ok_or_else(|| Problem::no_definition("key", &key.to_string()))
}

/// `GET $metadata`: everything as XML, whatever is accepted.
///
/// With annotations by `annotations=true` or where `Prefer` asks for all of them.
pub(crate) fn model(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    let request = attempt.request;
    if request.method != Method::GET {
        return Err(attempt.only("GET, HEAD").into());
    }
    request.options.refuse_except(&[]).map_err(fault::of_query)?;
    let wanted = request.options.get("annotations").is_some_and(|value| value == "true");
    let preferred = request.prefer.include_annotations.as_ref();
    let annotated = wanted || preferred.is_some_and(|filter| filter.matches(DESCRIPTION));
    Ok(response::xml(wire::metadata::write_csdl(&attempt.context.catalog, annotated)))
}

/// Reads or makes definitions.
pub(crate) async fn answer(attempt: &Attempt<'_>, place: Place) -> Result<Response<Bytes>, Stop> {
    let method = &attempt.request.method;
    if *method == Method::GET {
        return Ok(read::answer(attempt, &place)?);
    }
    if *method == Method::POST {
        return match place {
            Place::Tables => write::table(attempt).await,
            Place::Columns(within) if within.cast.is_none() => {
                write::column(attempt, &within).await
            }
            Place::Keys(within) => write::key(attempt, &within).await,
            Place::Relationships(None) => write::relationship(attempt).await,
            Place::Choices(None) => write::choice(attempt).await,
            place => Err(attempt.only(allowed(&place)).into()),
        };
    }
    if *method == Method::PUT {
        return match place {
            Place::Table(table) => write::change_table(attempt, &table).await,
            Place::Column(within, column) => write::change_column(attempt, &within, column).await,
            Place::Relationship(related, _) => write::change_relationship(attempt, &related).await,
            Place::Choice(choice, _) => write::change_choice(attempt, &choice).await,
            place => Err(attempt.only(allowed(&place)).into()),
        };
    }
    if *method == Method::DELETE
        && let Some(definition) = dropped(&place)
    {
        return write::remove(attempt, definition).await;
    }
    Err(attempt.only(allowed(&place)).into())
}

/// What a DELETE of a place drops.
fn dropped(place: &Place) -> Option<Definition> {
    Some(match place {
        Place::Table(table) => Definition::DropTable(Arc::clone(table)),
        Place::Column(within, column) => {
            Definition::DropColumn { table: Arc::clone(&within.table), column: *column }
        }
        Place::Key(within, key) => {
            Definition::DropKey { table: Arc::clone(&within.table), key: *key }
        }
        Place::Relationship(Related::One(one), _) => Definition::DropRelationship(one.metadata_id),
        Place::Relationship(Related::Many(many), _) => {
            Definition::DropRelationship(many.metadata_id)
        }
        Place::Choice(choice, _) => Definition::DropChoice(choice.metadata_id),
        _ => return None,
    })
}

/// The verbs of a place.
fn allowed(place: &Place) -> &'static str {
    match place {
        Place::Tables
        | Place::Columns(_)
        | Place::Keys(_)
        | Place::Relationships(_)
        | Place::Choices(_) => "GET, HEAD, POST",
        Place::Table(_) | Place::Column(..) | Place::Relationship(..) | Place::Choice(..) => {
            "GET, HEAD, PUT, DELETE"
        }
        Place::Key(..) => "GET, HEAD, DELETE",
        Place::ManyToOne(_)
        | Place::OneToMany(_)
        | Place::ManyToMany(_)
        | Place::OptionSet(..)
        | Place::ManagedProperties => "GET, HEAD",
    }
}
