//! The links of a collection: `/set(key)/nav/$ref`, and the link to one member.
//!
//! In a one-to-many relationship a link is the lookup of the member: adding one is an update of the member,
//! taking it away empties its lookup, if it points here. Source: webapi.md 19, clients.md 4.8.
//! Not here: reading through collections, the link of a lookup (`link`).

use super::link::Reference;
use super::write::{Prepared, Shown};
use super::{property, read};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Payload, Problem};
use crate::route::Address;
use bytes::Bytes;
use http::{Method, Response};
use model::{Bind, Catalog, Cell, ColumnIndex, LookupValue, MessageName, Table, Target, TargetKey};
use model::{TableKind, Value};
use pipeline::{Condition, Write};
use query::odata::{self, Options};
use std::sync::Arc;

/// What a collection-valued navigation property of a table leads to.
#[derive(Clone, Debug)]
pub(crate) enum Members {
    /// The records whose lookup points to one of the table.
    Children {
        /// Their table.
        table: Arc<Table>,
        /// Their lookup.
        column: ColumnIndex,
    },
}

impl Members {
    /// Finds a collection-valued navigation property.
    pub(crate) fn of(catalog: &Catalog, table: &Table, navigation: &str) -> Option<Self> {
        let relationship = catalog
            .referencing(&table.logical_name)
            .find(|relationship| &*relationship.referenced_navigation == navigation)?;
        let members = catalog.table(&relationship.referencing_table)?;
        let column = members.index_of(&relationship.referencing_column)?;
        Some(Self::Children { table: Arc::clone(members), column })
    }

    /// The table of the members.
    pub(crate) fn table(&self) -> &Arc<Table> {
        match self {
            Self::Children { table, .. } => table,
        }
    }
}

/// `/set(key)/nav/$ref` and `/set(key)/nav(key)/$ref`
pub(crate) async fn member_links(
    attempt: &Attempt<'_>,
    address: &Address,
    members: &Members,
    member: Option<&TargetKey>,
) -> Result<Response<Bytes>, Stop> {
    if attempt.request.method == Method::GET {
        return Err(Problem::not_implemented("Reading the links of a collection").into());
    }
    prepare(attempt, address, members, member).await?.run(attempt).await
}

/// `POST /set(key)/nav/$ref`, `DELETE /set(key)/nav(key)/$ref` and `DELETE /set(key)/nav/$ref?$id=…`
pub(super) async fn prepare(
    attempt: &Attempt<'_>,
    address: &Address,
    members: &Members,
    member: Option<&TargetKey>,
) -> Result<Prepared, Stop> {
    let request = attempt.request;
    request.options.refuse_except(&["$id"]).map_err(fault::of_query)?;
    let elastic = |table: &Table| table.kind == TableKind::Elastic;
    if elastic(&address.table) || elastic(members.table()) {
        return Err(Problem::not_implemented("Linking records of elastic tables").into());
    }
    let payload = Payload::of(MessageName::Update, members.table());
    let parse = |text: &str| -> Result<TargetKey, Problem> {
        let catalog = &attempt.context.catalog;
        let (table, key) =
            wire::reference::parse(text, catalog).map_err(|err| fault::of_wire(err, payload))?;
        if table.id == members.table().id {
            return Ok(key);
        }
        let (property, table) = ("@odata.id".to_owned(), table.logical_name.clone());
        let error = wire::Error::ReferenceTable { index: None, property, table };
        Err(fault::of_wire(error, payload))
    };
    let by_option = request.options.get("$id");
    match (&request.method, member, by_option) {
        (&Method::POST, None, None) => {
            let key = parse(&Reference::read(attempt, payload)?.id)?;
            Ok(link(address, members, key))
        }
        (&Method::DELETE, Some(key), None) => unlink(attempt, address, members, key.clone()).await,
        (&Method::DELETE, None, Some(id)) => {
            let key = parse(id)?;
            unlink(attempt, address, members, key).await
        }
        (&Method::DELETE, None, None) => Err(Problem::argument(
            "The link to remove must be named: '$ref?$id=set(id)', or 'nav(id)/$ref'.",
        )
        .into()),
        (_, None, _) => Err(attempt.only("GET, HEAD, POST, DELETE").into()),
        (_, Some(_), _) => Err(attempt.only("DELETE").into()),
    }
}

/// Adds a link.
fn link(address: &Address, members: &Members, member: TargetKey) -> Prepared {
    match members {
        Members::Children { table, column } => {
            let mut target = Target { key: member, ..Target::default() };
            match &address.key {
                TargetKey::Id(id) => {
                    let value = Value::Lookup(LookupValue { table: address.table.id, id: *id });
                    target.cells.push(Cell { column: *column, value });
                }
                TargetKey::Alternate(key) => target.binds.push(Bind {
                    column: *column,
                    table: Arc::clone(&address.table),
                    key: key.clone(),
                }),
                // An address always has a key.
                TargetKey::None => {}
            }
            Prepared::of_one(table, MessageName::Update, target, Shown::Nothing)
        }
    }
}

/// Takes a link away.
async fn unlink(
    attempt: &Attempt<'_>,
    address: &Address,
    members: &Members,
    member: TargetKey,
) -> Result<Prepared, Stop> {
    match members {
        Members::Children { table, column } => {
            let of = Address { table: Arc::clone(table), key: member };
            let (points_to, version) = lookup_of(attempt, &of, *column).await?;
            let points_here = match (&address.key, points_to) {
                (_, None) => false,
                (TargetKey::Id(id), Some(to)) => {
                    to == (LookupValue { table: address.table.id, id: *id })
                }
                (_, Some(to)) => {
                    let key = address.table.primary_key;
                    let own = property::fetch_alone(attempt, address, key).await?;
                    to.table == address.table.id && own.as_id() == Some(to.id)
                }
            };
            let mut targets = Vec::new();
            if points_here {
                let cells = vec![Cell { column: *column, value: Value::Null }];
                // Whoever moves the member elsewhere in between is not undone.
                let expected_version = version.filter(|_| table.optimistic_concurrency);
                targets.push(Target { key: of.key, cells, expected_version, ..Target::default() });
            }
            let (name, table) = (MessageName::Update, Arc::clone(table));
            let write = Write { name, table, targets, condition: Condition::Any };
            Ok(Prepared::of_write(write, Shown::Nothing))
        }
    }
}

/// What the lookup of a record points to, and the record's version.
async fn lookup_of(
    attempt: &Attempt<'_>,
    address: &Address,
    column: ColumnIndex,
) -> Result<(Option<LookupValue>, Option<i64>), Stop> {
    let catalog = &attempt.context.catalog;
    let mut parsed =
        odata::parse_single(catalog, &address.table, &Options::default(), address.filter())
            .map_err(fault::of_query)?;
    let version = address.table.version_column();
    parsed.query.columns = vec![query::ColumnRef::root(column), query::ColumnRef::root(version)];
    let page = read::single(attempt, address, parsed.query).await?;
    let mut cells = page.cells.into_iter();
    match (cells.next(), cells.next()) {
        (Some(Value::Lookup(lookup)), Some(Value::BigInt(version))) => {
            Ok((Some(lookup), Some(version)))
        }
        (Some(_), _) => Ok((None, None)),
        (None, _) => Err(address.missing().into()),
    }
}
