//! What the service keeps to tell who calls: hashes of secrets, refresh tokens, keys that sign tokens.
//!
//! Rows of a table of its own, written as any other rows are, but not among the definitions that
//! callers see: no request can name it. Not here: making or checking any of them (`server`).
//! Invariant: a change is one message, all of it or nothing.

use crate::fault;
use crate::message::{Condition, Message, Write};
use crate::run::{Context, Error, Pipeline};
use crate::seed::kept;
use model::{Cell, Fault, MessageName, Table, Target, TargetKey, Timestamp, Uuid, Value};
use query::{BoundQuery, ColumnRef, Compare, Filter, Paging};
use std::sync::Arc;

/// Rows that one query reads.
const ROWS_PER_QUERY: u32 = 5_000;

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// The hash of a user's secret.
    Secret,
    /// A key that signs tokens.
    SigningKey,
    /// The hash of a refresh token.
    RefreshToken,
}

impl CredentialKind {
    fn number(self) -> i32 {
        match self {
            Self::Secret => 1,
            Self::SigningKey => 2,
            Self::RefreshToken => 3,
        }
    }

    fn of(number: i32) -> Option<Self> {
        [Self::Secret, Self::SigningKey, Self::RefreshToken]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// One of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: Uuid,
    /// What it is.
    pub kind: CredentialKind,
    /// The user whose it is; nobody's for keys.
    pub owner: Option<Uuid>,
    /// How people tell it from others.
    pub name: Box<str>,
    /// What is kept of it.
    pub value: Box<str>,
    /// Since when it is there. The store fills it in.
    pub created: Timestamp,
    /// Until when it holds; for ever where nothing is said.
    pub expires: Option<Timestamp>,
}

/// Its value stays out of logs.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, kind, owner, name, created, expires, value: _ } = self;
        write!(f, "{kind:?} {id} `{name}` of {owner:?}, {created} to {expires:?}")
    }
}

/// Which credentials are looked for.
#[derive(Clone, Copy, Debug)]
pub enum Looked {
    /// The one with this id.
    Id(Uuid),
    /// All of one user.
    Owner(Uuid),
    /// All of one kind.
    Kind(CredentialKind),
}

impl Pipeline {
    /// The credentials that are looked for, oldest first, those that hold no longer included.
    pub async fn credentials(
        &self,
        looked: Looked,
        now: Timestamp,
    ) -> Result<Vec<Credential>, Error> {
        loop {
            let context = self.whole_context(now);
            let table = table(&context)?;
            let compare = |name: &str, value: Value| {
                let column = table.index_of(name)?;
                Some(Filter::Compare { column: column.into(), compare: Compare::Equal, value })
            };
            let filter = match looked {
                Looked::Id(id) => compare(kept::ID, Value::Guid(id)),
                Looked::Owner(id) => compare("userid", Value::Guid(id)),
                Looked::Kind(kind) => compare("kind", Value::Integer(kind.number())),
            };
            let query = first_columns(&context, table, &kept::COLUMNS, filter, ROWS_PER_QUERY)?;
            match self.read(&query).await {
                Err(Error::StaleCatalog) => drop(self.refresh().await?),
                Err(error) => return Err(error),
                Ok(page) => {
                    let rows = page.rows(kept::COLUMNS.len());
                    let mut found: Vec<Credential> = rows.filter_map(credential).collect();
                    found.sort_by_key(|credential| (credential.created, credential.id));
                    return Ok(found);
                }
            }
        }
    }

    /// Adds, changes (those with the id of one that is there) and removes credentials, as one message.
    ///
    /// Errors: one to add is there already, or one to change or remove is not there any more; nothing is
    /// done then.
    pub async fn keep_credentials(
        &self,
        add: &[Credential],
        change: &[Credential],
        remove: &[Uuid],
        now: Timestamp,
    ) -> Result<(), Error> {
        loop {
            let context = self.whole_context(now);
            let table = table(&context)?;
            let writes = [
                (MessageName::CreateMultiple, targets(table, add)),
                (MessageName::UpdateMultiple, targets(table, change)),
                (MessageName::Delete, remove.iter().map(|id| named(*id, Vec::new())).collect()),
            ];
            let writes: Vec<Write> = writes
                .into_iter()
                .filter(|(_, targets)| !targets.is_empty())
                .map(|(name, targets)| Write {
                    name,
                    table: table.clone(),
                    targets,
                    condition: Condition::Any,
                })
                .collect();
            match self.run(&context, Message::System(writes)).await {
                Err(Error::StaleCatalog) => drop(self.refresh().await?),
                done => return done.map(drop),
            }
        }
    }

    /// The service itself, with its own tables among the definitions.
    fn whole_context(&self, now: Timestamp) -> Context {
        Context {
            catalog: self.whole_catalog(),
            caller: self.organization().caller(),
            now,
            course: crate::step::Course::default(),
        }
    }
}

fn table(context: &Context) -> Result<&Arc<Table>, Fault> {
    context.catalog.table(kept::TABLE).ok_or_else(|| fault::no_system_table(kept::TABLE))
}

fn named(id: Uuid, cells: Vec<Cell>) -> Target {
    Target { key: TargetKey::Id(id), cells, ..Target::default() }
}

fn targets(table: &Table, credentials: &[Credential]) -> Vec<Target> {
    let target = |credential: &Credential| {
        let Credential { id, kind, owner, name, value, created: _, expires } = credential;
        let values = [
            ("kind", Value::Integer(kind.number())),
            ("userid", owner.map_or(Value::Null, Value::Guid)),
            ("name", Value::text(name.clone())),
            ("value", Value::text(value.clone())),
            ("expireson", expires.map_or(Value::Null, Value::DateTime)),
        ];
        let cell = |(name, value)| Some(Cell { column: table.index_of(name)?, value });
        named(*id, values.into_iter().filter_map(cell).collect())
    };
    credentials.iter().map(target).collect()
}

fn credential(row: &[Value]) -> Option<Credential> {
    let text = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        _ => "".into(),
    };
    let time = |value: &Value| if let Value::DateTime(at) = value { Some(*at) } else { None };
    let [id, kind, owner, name, value, expires, created] = row else { return None };
    let Value::Integer(kind) = kind else { return None };
    Some(Credential {
        id: id.as_id()?,
        kind: CredentialKind::of(*kind)?,
        owner: owner.as_id(),
        name: text(name),
        value: text(value),
        created: time(created)?,
        expires: time(expires),
    })
}

/// A query of some columns of the first rows by primary key.
pub(crate) fn first_columns(
    context: &Context,
    table: &Arc<Table>,
    columns: &[&str],
    filter: Option<Filter>,
    size: u32,
) -> Result<BoundQuery, Fault> {
    let columns: Option<Vec<ColumnRef>> =
        columns.iter().map(|name| table.index_of(name).map(ColumnRef::root)).collect();
    Ok(BoundQuery {
        columns: columns.ok_or_else(|| fault::no_system_table(&table.logical_name))?,
        filter,
        paging: Paging::first(size),
        ..BoundQuery::by_key(&context.catalog, table)
    })
}
