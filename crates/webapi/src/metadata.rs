//! Definitions of tables, columns, keys and relationships over the Web API.
//!
//! In reading order: this file (which address is what), `read`, `filter` and `options` (below it),
//! `write`. Not here: the members of definitions (`wire::metadata`), making them (`pipeline`).
//! Source: metadata.md 1 to 8.

mod filter;
mod options;
mod read;
mod write;

pub(crate) use write::create_entities;

use crate::api::{Attempt, Stop};
use crate::fault::Problem;
use crate::path::Segment;
use crate::route::{NAMESPACE, end};
use bytes::Bytes;
use http::{Method, Response};
use model::{Catalog, ColumnIndex, KeyIndex, ManyToMany, OneToMany, Table, Uuid};
use std::sync::Arc;
use wire::metadata::Item;

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
        ("Privileges", _) => Err(Problem::not_implemented(format_args!(
            "The collection 'EntityDefinitions(…)/{}'",
            next.name
        ))),
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
    let is = |id: Uuid, name: &str| match &key {
        Key::Id(wanted) => id == *wanted,
        Key::Name(wanted) => name == &**wanted,
    };
    let mut one = catalog.relationships().iter();
    let mut many = catalog.many_to_many().iter();
    let one = one.find(|one| is(one.metadata_id, &one.schema_name)).cloned().map(Related::One);
    let found = one.or_else(|| {
        many.find(|many| is(many.metadata_id, &many.schema_name)).cloned().map(Related::Many)
    });
    let found = found.ok_or_else(|| Problem::no_definition("relationship", &key.to_string()))?;
    Ok(Place::Relationship(found, cast))
}

/// The type cast that ends an address, if any.
fn cast(rest: &[Segment]) -> Result<Option<Box<str>>, Problem> {
    let Some((next, rest)) = rest.split_first() else { return Ok(None) };
    let name = next.name.strip_prefix(NAMESPACE).filter(|_| next.key.is_none());
    let Some(name) = name.filter(|name| name.ends_with("Metadata")) else {
        return Err(match &*next.name {
            "OptionSet" | "GlobalOptionSet" => Problem::not_implemented(format_args!(
                "The address '…/{}'; expand it instead, which",
                next.name
            )),
            _ => Problem::no_segment(&next.name),
        });
    };
    match rest.first() {
        Some(last) if last.name == "OptionSet" || last.name == "GlobalOptionSet" => {
            Err(Problem::not_implemented(format_args!("The address '…/{}'", last.name)))
        }
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

/// Reads or makes definitions.
pub(crate) async fn answer(attempt: &Attempt<'_>, place: Place) -> Result<Response<Bytes>, Stop> {
    let method = &attempt.request.method;
    if *method == Method::GET {
        return Ok(read::answer(attempt, &place)?);
    }
    match place {
        Place::Tables if *method == Method::POST => write::table(attempt).await,
        Place::Columns(within) if *method == Method::POST => write::column(attempt, &within).await,
        Place::Keys(within) if *method == Method::POST => write::key(attempt, &within).await,
        Place::Relationships(None) if *method == Method::POST => write::relationship(attempt).await,
        Place::Tables | Place::Columns(_) | Place::Keys(_) | Place::Relationships(_) => {
            Err(attempt.only("GET, HEAD, POST").into())
        }
        Place::ManyToOne(_) | Place::OneToMany(_) | Place::ManyToMany(_) => {
            Err(attempt.only("GET, HEAD").into())
        }
        Place::Table(_) | Place::Column(..) | Place::Key(..) | Place::Relationship(..) => {
            if *method == Method::PUT {
                Err(Problem::not_implemented("Changing a definition by PUT").into())
            } else if *method == Method::DELETE {
                Err(Problem::not_implemented("Deleting a definition by DELETE").into())
            } else {
                Err(attempt.only("GET, HEAD").into())
            }
        }
    }
}
