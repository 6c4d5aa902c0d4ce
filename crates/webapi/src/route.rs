//! What a path names: from segments to a resource, through one snapshot of the definitions.
//!
//! Not here: verbs (each area checks its own), options, bodies. Names are case-sensitive.
//! Invariant: what the platform has and this service has not is told apart from what neither has.

use crate::blocks::BlockMessage;
use crate::fault::{self, Payload, Problem};
use crate::metadata::{Operation, Place};
use crate::path::Segment;
use crate::records::Members;
use crate::records::files::is_file;
use crate::request::Request;
use crate::rights::{Bound, Sharing};
use http::Method;
use model::{
    Catalog, ColumnIndex, ColumnKind, MessageName, Table, TableKind, TargetKey, partition,
};
use std::sync::Arc;

/// What a path names.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// The list of entity sets.
    Service,
    /// `$metadata`
    Model,
    /// The records of a table.
    Collection(Arc<Table>),
    /// Their number.
    Count(Arc<Table>),
    /// One record.
    Record(Address),
    /// One value of a record.
    Property(Address, ColumnIndex),
    /// The same as plain text.
    RawProperty(Address, ColumnIndex),
    /// The bytes of a file or image; or, as plain bytes, by `/$value`.
    File(Address, ColumnIndex, bool),
    /// A message about blocks of files.
    Blocks(BlockMessage),
    /// The link of a lookup, by its navigation property.
    Link(Address, String),
    /// What lies behind a navigation property of a record; read only.
    Navigated(Address, Navigation),
    /// The members of a collection-valued navigation property.
    Members(Address, Members),
    /// The links of a collection-valued navigation property, or the link to one member.
    MemberLinks(Address, Members, Option<TargetKey>),
    /// A bulk action.
    Bulk(Arc<Table>, MessageName),
    /// Definitions.
    Metadata(Place),
    /// An unbound function, with what stands in its parentheses.
    Function(Function, String),
    /// An unbound operation on definitions, with what stands in its parentheses.
    Operation(Operation, String),
    /// The unbound action that starts a bulk delete.
    BulkDelete,
    /// An unbound action that shares a record.
    Share(Sharing),
    /// An operation on one user, team or role, with what stands in its parentheses.
    Rights(Address, Bound, String),
}

/// Which record, and how the caller wrote it.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) table: Arc<Table>,
    pub(crate) key: TargetKey,
}

/// A step through a navigation property.
#[derive(Clone, Debug)]
pub(crate) struct Navigation {
    /// The property.
    pub(crate) name: String,
    /// What is wanted behind it.
    pub(crate) wanted: Behind,
}

/// What is wanted behind a navigation property.
#[derive(Clone, Debug)]
pub(crate) enum Behind {
    /// The record or the records.
    Itself,
    /// How many records there are.
    Count,
    /// The addresses of the records.
    Links,
    /// A value of the record.
    Property(String),
    /// One record of the list, by what stands in the parentheses.
    Record(String),
}

/// The unbound functions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    WhoAmI,
    RetrieveVersion,
    RetrieveAvailableLanguages,
    RetrieveCurrentOrganization,
    RetrieveTotalRecordCount,
    ExecuteCosmosSqlQuery,
    InitializeFrom,
    ExplainSteps,
}

/// The namespace before bound operations and type casts.
pub(crate) const NAMESPACE: &str = "Microsoft.Dynamics.CRM.";

/// First segments that the platform has and this service has not yet.
const ABSENT: [&str; 9] = [
    "RetrieveAllEntities",
    "RetrieveEntity",
    "Merge",
    "Assign",
    "AssociateEntities",
    "DisassociateEntities",
    "RetrievePrincipalAccess",
    "RetrieveAadUserRoles",
    "principals",
];

/// Finds what a request names.
pub(crate) fn resolve(request: &Request, catalog: &Catalog) -> Result<Route, Problem> {
    let Some((first, rest)) = request.path.segments.split_first() else {
        return Ok(Route::Service);
    };
    if let Some(table) = catalog.table_of_set(&first.name) {
        let is_read = request.method == Method::GET;
        return of_table(first, rest, table, catalog, is_read);
    }
    match &*first.name {
        "$metadata" if first.key.is_none() => {
            end(rest)?;
            return Ok(Route::Model);
        }
        "EntityDefinitions" => {
            return crate::metadata::tables(first, rest, catalog).map(Route::Metadata);
        }
        "GlobalOptionSetDefinitions" => {
            return crate::metadata::choices(first, rest, catalog).map(Route::Metadata);
        }
        "ManagedPropertyDefinitions" if first.key.is_none() => {
            end(rest)?;
            return Ok(Route::Metadata(Place::ManagedProperties));
        }
        "RelationshipDefinitions" => {
            return crate::metadata::relationships(first, rest, catalog).map(Route::Metadata);
        }
        _ => {}
    }
    let short = first.name.strip_prefix(NAMESPACE).unwrap_or(&first.name);
    if let Some(operation) = Operation::named(short) {
        end(rest)?;
        return Ok(Route::Operation(operation, first.key.clone().unwrap_or_default()));
    }
    let function = match short {
        "WhoAmI" => Function::WhoAmI,
        "RetrieveVersion" => Function::RetrieveVersion,
        "RetrieveAvailableLanguages" => Function::RetrieveAvailableLanguages,
        "RetrieveCurrentOrganization" => Function::RetrieveCurrentOrganization,
        "RetrieveTotalRecordCount" => Function::RetrieveTotalRecordCount,
        "ExecuteCosmosSqlQuery" => Function::ExecuteCosmosSqlQuery,
        "InitializeFrom" => Function::InitializeFrom,
        "SheafExplainSteps" => Function::ExplainSteps,
        "BulkDelete" if first.key.is_none() => {
            end(rest)?;
            return Ok(Route::BulkDelete);
        }
        _ if BlockMessage::named(short).is_some() && first.key.is_none() => {
            end(rest)?;
            let message = BlockMessage::named(short).ok_or_else(|| Problem::no_segment(short))?;
            return Ok(Route::Blocks(message));
        }
        _ if first.key.is_none() && Sharing::named(short).is_some() => {
            end(rest)?;
            let sharing = Sharing::named(short).unwrap_or(Sharing::Grant);
            return Ok(Route::Share(sharing));
        }
        _ if ABSENT.contains(&short) => {
            return Err(Problem::not_implemented(format_args!("The resource '{short}'")));
        }
        _ => return Err(Problem::no_segment(&first.name)),
    };
    end(rest)?;
    Ok(Route::Function(function, first.key.clone().unwrap_or_default()))
}

/// Nothing may follow.
pub(crate) fn end(rest: &[Segment]) -> Result<(), Problem> {
    rest.first().map_or(Ok(()), |next| Err(Problem::no_segment(&next.name)))
}

fn of_table(
    first: &Segment,
    rest: &[Segment],
    table: &Arc<Table>,
    catalog: &Catalog,
    is_read: bool,
) -> Result<Route, Problem> {
    let Some(key) = &first.key else { return of_collection(rest, table, catalog) };
    let key = wire::reference::parse_key(key, table, catalog)
        .map_err(|err| fault::of_wire(err, Payload::of(MessageName::Retrieve, table)))?;
    let address = Address { table: Arc::clone(table), key };
    let rest = own_cast(rest, table);
    let Some((next, rest)) = rest.split_first() else { return Ok(Route::Record(address)) };
    if let Some(short) = next.name.strip_prefix(NAMESPACE) {
        if let Some(operation) = Bound::named(short, table) {
            end(rest)?;
            let arguments = next.key.clone().unwrap_or_default();
            return Ok(Route::Rights(address, operation, arguments));
        }
        return Err(bound(&next.name, catalog));
    }
    if next.key.is_none()
        && let Some(column) = table.index_of_value(&next.name).or_else(|| file(table, &next.name))
    {
        let is_file = is_file(&table.column(column).kind);
        return match rest {
            [] if is_file => Ok(Route::File(address, column, false)),
            [last] if is_file && last.name == "$value" => Ok(Route::File(address, column, true)),
            [] => Ok(Route::Property(address, column)),
            [last] if last.name == "$value" => Ok(Route::RawProperty(address, column)),
            [other, ..] => Err(Problem::no_segment(&other.name)),
        };
    }
    if next.key.is_none()
        && table.navigation(&next.name).is_some()
        && let [last] = rest
        && last.name == "$ref"
    {
        return Ok(Route::Link(address, next.name.clone()));
    }
    if is_read && let Some(navigation) = navigation(next, rest, table, catalog)? {
        return Ok(Route::Navigated(address, navigation));
    }
    let members = Members::of(catalog, table, &next.name);
    if let (Some(members), [last]) = (&members, rest)
        && last.name == "$ref"
    {
        let key = next.key.as_ref().map(|key| {
            wire::reference::parse_key(key, members.table(), catalog)
                .map_err(|err| fault::of_wire(err, Payload::of(MessageName::Retrieve, table)))
        });
        return Ok(Route::MemberLinks(address, members.clone(), key.transpose()?));
    }
    if let (Some(members), None, []) = (&members, &next.key, rest) {
        return Ok(Route::Members(address, members.clone()));
    }
    if table.navigation(&next.name).is_some() || members.is_some() {
        let what = "Addressing through";
        return Err(Problem::not_implemented(format_args!(
            "{what} the navigation property '{}'",
            next.name
        )));
    }
    Err(Problem::no_segment(&next.name))
}

/// What a read through a navigation property names; none where the segment is no such property.
fn navigation(
    next: &Segment,
    rest: &[Segment],
    table: &Table,
    catalog: &Catalog,
) -> Result<Option<Navigation>, Problem> {
    let name = next.name.clone();
    let rest = |table: Option<&Arc<Table>>| table.map_or(rest, |table| own_cast(rest, table));
    if table.navigation(&name).is_some() {
        if next.key.is_some() {
            return Ok(None);
        }
        let wanted = match rest(None) {
            [] => Behind::Itself,
            [last] if last.key.is_none() => Behind::Property(last.name.clone()),
            [other, ..] => return Err(Problem::no_segment(&other.name)),
        };
        return Ok(Some(Navigation { name, wanted }));
    }
    let Some(list) = query::odata::list_of(catalog, table, &name) else { return Ok(None) };
    let wanted = match (rest(Some(&list.table)), &next.key) {
        ([], None) => Behind::Itself,
        ([], Some(key)) => Behind::Record(key.clone()),
        ([last], None) if last.name == "$count" => Behind::Count,
        ([last], None) if last.name == "$ref" => Behind::Links,
        ([other, ..], _) => return Err(Problem::no_segment(&other.name)),
    };
    Ok(Some(Navigation { name, wanted }))
}

fn of_collection(
    rest: &[Segment],
    table: &Arc<Table>,
    catalog: &Catalog,
) -> Result<Route, Problem> {
    match own_cast(rest, table) {
        [] => Ok(Route::Collection(Arc::clone(table))),
        [last] if last.name == "$count" => Ok(Route::Count(Arc::clone(table))),
        [last] if last.key.is_none() && last.name.starts_with(NAMESPACE) => {
            let message = match last.name.strip_prefix(NAMESPACE) {
                Some("CreateMultiple") => MessageName::CreateMultiple,
                Some("UpdateMultiple") => MessageName::UpdateMultiple,
                Some("UpsertMultiple") => MessageName::UpsertMultiple,
                Some("DeleteMultiple") => MessageName::DeleteMultiple,
                _ => return Err(bound(&last.name, catalog)),
            };
            Ok(Route::Bulk(Arc::clone(table), message))
        }
        [other, ..] => Err(Problem::no_segment(&other.name)),
    }
}

/// A file or image column whose name is written in another case.
fn file(table: &Table, name: &str) -> Option<ColumnIndex> {
    let column = table.index_of(&name.to_lowercase())?;
    is_file(&table.column(column).kind).then_some(column)
}

/// Drops a cast to the table's own type, which changes nothing.
fn own_cast<'a>(rest: &'a [Segment], table: &Table) -> &'a [Segment] {
    match rest.split_first() {
        Some((next, rest))
            if next.key.is_none()
                && next.name.strip_prefix(NAMESPACE) == Some(&*table.logical_name) =>
        {
            rest
        }
        _ => rest,
    }
}

/// A bound operation or a cast that is not there.
fn bound(name: &str, catalog: &Catalog) -> Problem {
    let short = name.strip_prefix(NAMESPACE).unwrap_or(name);
    if catalog.table(short).is_some() {
        return Problem::not_implemented(format_args!("The type cast '{name}'"));
    }
    Problem::no_segment(name)
}

impl Address {
    /// The filter that holds for this record alone.
    pub(crate) fn filter(&self) -> query::Filter {
        let equals = |column, value: &model::Value| query::Filter::Compare {
            column: query::ColumnRef::root(column),
            compare: query::Compare::Equal,
            value: match value {
                model::Value::Lookup(lookup) => model::Value::Guid(lookup.id),
                other => other.clone(),
            },
        };
        match &self.key {
            TargetKey::Id(id) => equals(self.table.primary_key, &model::Value::Guid(*id)),
            // The read is of the record's own partition.
            TargetKey::Alternate(_) if self.table.kind == TableKind::Elastic => {
                let id = partition::parts(&self.table, &self.key).map(|(id, _)| id);
                equals(self.table.primary_key, &model::Value::Guid(id.unwrap_or_default()))
            }
            TargetKey::Alternate(key) => {
                let columns = &self.table.key(key.key).columns;
                let pairs = columns.iter().zip(&key.values);
                query::Filter::And(pairs.map(|(column, value)| equals(*column, value)).collect())
            }
            // An address always has a key; nothing has none.
            TargetKey::None => query::Filter::Or(Vec::new()),
        }
    }

    /// 404 in the words for this kind of key.
    pub(crate) fn missing(&self) -> Problem {
        match self.key {
            TargetKey::Id(id) => Problem::no_record(&self.table, id),
            TargetKey::Alternate(_) | TargetKey::None => Problem::no_record_with_key(&self.table),
        }
    }

    /// The absolute address, with the key as the caller wrote it.
    pub(crate) fn absolute(&self, root: &str) -> String {
        let mut address = root.to_owned();
        wire::reference::write(&mut address, &self.table, &self.key);
        address
    }
}

/// Whether a single value of this column can be written through its own address.
pub(crate) fn is_plain(kind: &ColumnKind) -> bool {
    !matches!(kind, ColumnKind::Lookup { .. })
}
