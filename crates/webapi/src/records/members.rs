//! The links of a collection: `/set(key)/nav/$ref`, the link to one member, and all members at once.
//!
//! In a one-to-many relationship a link is the lookup of the member: adding one is an update of the member,
//! taking it away empties its lookup, if it points here. In a many-to-many relationship it is a row of the
//! table that holds the pairs. Source: webapi.md 19, clients.md 4.8.
//! Not here: reading through collections, the link of a lookup (`link`).

use super::link::Reference;
use super::write::{Prepared, Shown};
use super::{property, read};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Payload, Problem};
use crate::route::Address;
use bytes::Bytes;
use http::{Method, Response};
use model::{
    Bind, Catalog, Cell, ColumnIndex, KeyValue, LookupValue, MessageName, Table, TableId,
    TableKind, Target, TargetKey, Uuid, Value,
};
use pipeline::{Condition, Write};
use query::odata::{self, Options};
use serde::Deserialize;
use std::sync::Arc;
use wire::targets::Pairs;

/// Members that can be replaced at once.
const MEMBERS_MAX: u32 = 50_000;

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
    /// The records that are paired with one of the table.
    Pairs(Pairs),
}

impl Members {
    /// Finds a collection-valued navigation property.
    pub(crate) fn of(catalog: &Catalog, table: &Table, navigation: &str) -> Option<Self> {
        let relationship = catalog
            .referencing(&table.logical_name)
            .find(|relationship| &*relationship.referenced_navigation == navigation);
        let Some(relationship) = relationship else {
            return Pairs::of(catalog, table, navigation).map(Self::Pairs);
        };
        let members = catalog.table(&relationship.referencing_table)?;
        let column = members.index_of(&relationship.referencing_column)?;
        Some(Self::Children { table: Arc::clone(members), column })
    }

    /// The table of the members.
    pub(crate) fn table(&self) -> &Arc<Table> {
        match self {
            Self::Children { table, .. } => table,
            Self::Pairs(pairs) => &pairs.members,
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
    let by_option = request.options.get("$id");
    match (&request.method, member, by_option) {
        (&Method::POST, None, None) => {
            let key = parse(attempt, members, &Reference::read(attempt, payload)?.id)?;
            Ok(link(address, members, key))
        }
        (&Method::DELETE, Some(key), None) => unlink(attempt, address, members, key.clone()).await,
        (&Method::DELETE, None, Some(id)) => {
            let key = parse(attempt, members, id)?;
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

/// The key of a member from a reference to it.
fn parse(attempt: &Attempt<'_>, members: &Members, text: &str) -> Result<TargetKey, Problem> {
    let payload = Payload::of(MessageName::Update, members.table());
    let (table, key) = wire::reference::parse(text, &attempt.context.catalog)
        .map_err(|err| fault::of_wire(err, payload))?;
    if table.id == members.table().id {
        return Ok(key);
    }
    let (property, table) = ("@odata.id".to_owned(), table.logical_name.clone());
    Err(fault::of_wire(wire::Error::ReferenceTable { index: None, property, table }, payload))
}

/// Adds a link.
fn link(address: &Address, members: &Members, member: TargetKey) -> Prepared {
    match members {
        Members::Children { table, column } => {
            let mut target = Target { key: member, ..Target::default() };
            point(&mut target, *column, &address.table, &address.key);
            Prepared::of_one(table, MessageName::Update, target, Shown::Nothing)
        }
        Members::Pairs(pairs) => {
            let target = pair(pairs, address, &member);
            Prepared::of_one(&pairs.table, MessageName::Associate, target, Shown::Nothing)
        }
    }
}

/// A pair of the addressed record with a member.
fn pair(pairs: &Pairs, address: &Address, member: &TargetKey) -> Target {
    let mut target = Target::default();
    point(&mut target, pairs.own, &address.table, &address.key);
    point(&mut target, pairs.other, &pairs.members, member);
    target
}

/// Lets a lookup point to the record with this key.
pub(super) fn point(target: &mut Target, column: ColumnIndex, table: &Arc<Table>, key: &TargetKey) {
    match key {
        TargetKey::Id(id) => {
            let value = Value::Lookup(LookupValue { table: table.id, id: *id });
            target.cells.push(Cell { column, value });
        }
        TargetKey::Alternate(key) => {
            let (table, key) = (Arc::clone(table), key.clone());
            target.binds.push(Bind { column, table, key });
        }
        // An address always has a key.
        TargetKey::None => {}
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
            let own = id_of(attempt, address).await?;
            let here = LookupValue { table: address.table.id, id: own };
            let mut targets = Vec::new();
            if points_to == Some(here) {
                let cells = vec![Cell { column: *column, value: Value::Null }];
                // Whoever moves the member elsewhere in between is not undone.
                let expected_version = version.filter(|_| table.optimistic_concurrency);
                targets.push(Target { key: of.key, cells, expected_version, ..Target::default() });
            }
            let (name, table) = (MessageName::Update, Arc::clone(table));
            let write = Write { name, table, targets, condition: Condition::Any };
            Ok(Prepared::of_write(write, Shown::Nothing))
        }
        Members::Pairs(pairs) => {
            let own = id_of(attempt, address).await?;
            let of = Address { table: Arc::clone(&pairs.members), key: member };
            let other = id_of(attempt, &of).await?;
            let key = pair_key(pairs, (address.table.id, own), other);
            let target = Target { key, ..Target::default() };
            let name = MessageName::Disassociate;
            Ok(Prepared::of_one(&pairs.table, name, target, Shown::Nothing))
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

/// The id of a record that may be named by an alternate key.
pub(super) async fn id_of(attempt: &Attempt<'_>, address: &Address) -> Result<Uuid, Stop> {
    if let TargetKey::Id(id) = address.key {
        return Ok(id);
    }
    let value = property::fetch_alone(attempt, address, address.table.primary_key).await?;
    value.as_id().ok_or_else(|| address.missing().into())
}

/// How a pair is named in its table.
fn pair_key(pairs: &Pairs, (table, own): (TableId, Uuid), other: Uuid) -> TargetKey {
    let Some(key) = pairs.table.key_over(&[pairs.own, pairs.other]) else { return TargetKey::None };
    let of = |column: &ColumnIndex| match *column == pairs.own {
        true => Value::Lookup(LookupValue { table, id: own }),
        false => Value::Lookup(LookupValue { table: pairs.members.id, id: other }),
    };
    let values = pairs.table.key(key).columns.iter().map(of).collect();
    TargetKey::Alternate(KeyValue { key, values })
}

/// `PUT /set(key)/nav`: exactly these records are members from now on.
pub(crate) async fn replace(
    attempt: &Attempt<'_>,
    address: &Address,
    members: &Members,
) -> Result<Response<Bytes>, Stop> {
    let request = attempt.request;
    if request.method != Method::PUT {
        return Err(Problem::not_implemented("Addressing through a collection").into());
    }
    request.options.refuse_except(&[]).map_err(fault::of_query)?;
    let Members::Pairs(pairs) = members else {
        let what = "Replacing the members of a one-to-many relationship";
        return Err(Problem::not_implemented(what).into());
    };
    let payload = Payload::of(MessageName::Update, &pairs.members);
    let body: References = serde_json::from_slice(&request.body)
        .map_err(|err| fault::of_wire(wire::Error::NotJson { detail: err.to_string() }, payload))?;
    let own = id_of(attempt, address).await?;
    let mut wanted: Vec<Uuid> = Vec::new();
    for reference in &body.value {
        let key = parse(attempt, members, &reference.id)?;
        let of = Address { table: Arc::clone(&pairs.members), key };
        // Members are named by their ids; a look-up is made for each one that is named by a key.
        let id = id_of(attempt, &of).await?;
        if !wanted.contains(&id) {
            wanted.push(id);
        }
    }
    let present = members_of(attempt, pairs, own).await?;
    let gone = present.iter().filter(|id| !wanted.contains(id));
    let gone = gone.map(|id| {
        let key = pair_key(pairs, (address.table.id, own), *id);
        Target { key, ..Target::default() }
    });
    let new = wanted.iter().filter(|id| !present.contains(id));
    let here = Address { table: Arc::clone(&address.table), key: TargetKey::Id(own) };
    let new = new.map(|id| pair(pairs, &here, &TargetKey::Id(*id)));
    let write = |name, targets: Vec<Target>| {
        let (table, condition) = (Arc::clone(&pairs.table), Condition::Any);
        Write { name, table, targets, condition }
    };
    let prepared = Prepared {
        before: vec![write(MessageName::Disassociate, gone.collect())],
        ..Prepared::of_write(write(MessageName::Associate, new.collect()), Shown::Nothing)
    };
    prepared.run(attempt).await
}

/// `{"value":[{"@odata.id":"contacts(…)"}]}`
#[derive(Deserialize)]
struct References {
    value: Vec<Reference>,
}

/// The ids of the members that a record has now.
async fn members_of(attempt: &Attempt<'_>, pairs: &Pairs, own: Uuid) -> Result<Vec<Uuid>, Stop> {
    let filter = query::Filter::Compare {
        column: query::ColumnRef::root(pairs.own),
        compare: query::Compare::Equal,
        value: Value::Guid(own),
    };
    let catalog = &attempt.context.catalog;
    let mut parsed = odata::parse_single(catalog, &pairs.table, &Options::default(), filter)
        .map_err(fault::of_query)?;
    let key = query::ColumnRef::root(pairs.table.primary_key);
    // The order is by the key, which is among the columns.
    parsed.query.columns = vec![query::ColumnRef::root(pairs.other), key];
    parsed.query.paging.size = MEMBERS_MAX + 1;
    let page = read::run(attempt, MessageName::RetrieveMultiple, parsed.query).await?;
    if page.rows > MEMBERS_MAX as usize {
        return Err(Problem::argument(format!(
            "A record with more than {MEMBERS_MAX} members cannot get others at once."
        ))
        .into());
    }
    Ok(page.rows(2).filter_map(|row| row.first().and_then(Value::as_id)).collect())
}
