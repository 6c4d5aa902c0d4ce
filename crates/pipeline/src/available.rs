//! Which messages are made unavailable for which tables, and the rows that say so.
//!
//! A message that the configuration takes from a table is refused there, and its row of
//! `sdkmessagefilter` is gone as long as the configuration says so. Source: bulk.md 1.8 row 13 and 2.
//! Not here: reading a configuration file.
//! Invariant: a start with another configuration makes the rows true before the first message.

use crate::message::Write;
use crate::run::{Error, Pipeline};
use crate::seed;
use model::{
    Catalog, ColumnIndex, Fault, MessageName, Table, TableKind, TargetKey, Timestamp, Uuid, Value,
    code,
};
use query::{BoundQuery, ColumnRef, Paging};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use store::writes::{Delete, DeleteRow, InsertRow, Update, UpdateRow, WriteOp};
use store::{RowKey, WriteSet};

/// Messages that can be made unavailable: those that write.
const MESSAGES: [MessageName; 8] = [
    MessageName::Create,
    MessageName::Update,
    MessageName::Upsert,
    MessageName::Delete,
    MessageName::CreateMultiple,
    MessageName::UpdateMultiple,
    MessageName::UpsertMultiple,
    MessageName::DeleteMultiple,
];

/// How often the rows are compared anew when another node writes them, too.
const ROUNDS_MAX: usize = 4;

/// The column that says whether steps can be registered.
const STEPS: &str = "iscustomprocessingstepallowed";

/// Rows of `sdkmessagefilter` that one query reads.
const ROWS_PER_QUERY: u32 = 5_000;

/// What the configuration took away: logical names of tables, and messages.
pub(crate) type Unavailable = HashSet<(Box<str>, MessageName)>;

/// Why messages could not be made unavailable.
#[derive(Debug, thiserror::Error)]
pub enum UnavailableError {
    /// The configuration names a table that does not exist.
    #[error("`[unavailable]` names table `{table}`, which does not exist")]
    UnknownTable {
        /// What was written.
        table: String,
    },
    /// The configuration names something that is no message, or one that cannot be taken away.
    #[error(
        "`[unavailable]` names message `{message}` of table `{table}`; it can be Create, Update, \
         Upsert, Delete or one of their Multiple forms"
    )]
    UnknownMessage {
        /// The table.
        table: String,
        /// What was written.
        message: String,
    },
    /// The rows of `sdkmessagefilter` could not be read or written.
    #[error("cannot keep the rows of `sdkmessagefilter` true")]
    Rows(#[source] Box<store::Error>),
}

impl From<store::Error> for UnavailableError {
    fn from(error: store::Error) -> Self {
        Self::Rows(Box::new(error))
    }
}

/// Binds the names of a configuration: per table the messages.
fn bind(
    catalog: &Catalog,
    named: &BTreeMap<String, Vec<String>>,
) -> Result<Unavailable, UnavailableError> {
    let mut bound = Unavailable::new();
    for (table, messages) in named {
        let Some(known) = catalog.table(table) else {
            return Err(UnavailableError::UnknownTable { table: table.clone() });
        };
        for message in messages {
            let name = MESSAGES.into_iter().find(|name| name.as_str() == message);
            let name = name.ok_or_else(|| UnavailableError::UnknownMessage {
                table: table.clone(),
                message: message.clone(),
            })?;
            bound.insert((known.logical_name.clone(), name));
        }
    }
    Ok(bound)
}

/// Refuses a message that the configuration took from its table.
///
/// Targets without a name of their record are told first (`bulk.md` 1.8, row 11 before row 13): they
/// are left to the plan. An UpsertMultiple on a standard table needs both of its halves (2.1).
pub(crate) fn refuse(unavailable: &Unavailable, message: &Write) -> Result<(), Fault> {
    if unavailable.is_empty() {
        return Ok(());
    }
    let Write { name, table, targets, .. } = message;
    let taken = |name| unavailable.contains(&(table.logical_name.clone(), name));
    let halves = *name == MessageName::UpsertMultiple && table.kind == TableKind::Standard;
    let half_taken = taken(MessageName::CreateMultiple) || taken(MessageName::UpdateMultiple);
    let is_taken = taken(*name) || (halves && half_taken);
    if !is_taken {
        return Ok(());
    }
    let named = !matches!(name, MessageName::UpdateMultiple | MessageName::DeleteMultiple)
        || targets.iter().all(|target| matches!(target.key, TargetKey::Id(_)));
    if !named {
        return Ok(());
    }
    let text =
        format!("The message '{name}' is not supported for entity '{}'.", table.logical_name);
    Err(Fault::new(code::INVALID_ARGUMENT, text)
        .with_hint("the service's configuration makes it unavailable there"))
}

impl Pipeline {
    /// Makes messages unavailable: by logical name of a table, names of messages. What an earlier
    /// configuration took away and this one does not is there again.
    ///
    /// Errors: a table or message that is not known. Nothing is changed then.
    pub async fn make_unavailable(
        &mut self,
        named: &BTreeMap<String, Vec<String>>,
        now: Timestamp,
    ) -> Result<(), UnavailableError> {
        let mut rounds = 0;
        loop {
            let catalog = self.catalog();
            let unavailable = bind(&catalog, named)?;
            rounds += 1;
            match self.keep_filters_true(&catalog, &unavailable, now).await {
                Ok(()) => {
                    self.unavailable = unavailable;
                    return Ok(());
                }
                // Another node has changed definitions, or the same rows.
                Err(store::Error::StaleCatalog { .. } | store::Error::Rejected { .. })
                    if rounds < ROUNDS_MAX =>
                {
                    match self.refresh().await {
                        Ok(_) => {}
                        Err(Error::StaleCatalog) => continue,
                        Err(Error::Fault(fault)) => {
                            let why = fault.log.unwrap_or(fault.message);
                            return Err(store::Error::Schema { why }.into());
                        }
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One write that removes and adds rows of `sdkmessagefilter`; none when they are as they should be.
    async fn keep_filters_true(
        &self,
        catalog: &Arc<Catalog>,
        unavailable: &Unavailable,
        now: Timestamp,
    ) -> Result<(), store::Error> {
        let (Some(filter), Some(message)) =
            (catalog.table("sdkmessagefilter"), catalog.table("sdkmessage"))
        else {
            let why = "the store has no table `sdkmessagefilter`".to_owned();
            return Err(store::Error::Schema { why });
        };
        let Some(steps) = filter.index_of(STEPS) else { return Ok(()) };
        let present = self.present(catalog, filter, steps).await?;
        let taken: HashSet<Uuid> =
            unavailable.iter().map(|(table, name)| seed::filter_id(name.as_str(), table)).collect();
        let tables: Vec<_> =
            catalog.tables().iter().map(|table| table.definition().clone()).collect();
        let organization = self.organization();
        let mut all = seed::rows::filters(filter, message.id, &tables, organization, now);
        let WriteOp::Insert(missing) = &mut all else { return Ok(()) };
        // An older release may have said something else about steps.
        let cell = |row: &InsertRow| row.cells.iter().find(|cell| cell.column == steps).cloned();
        let other = |row: &&InsertRow| match (present.get(&row.id), cell(row)) {
            (Some(said), Some(cell)) => *said != cell.value && !taken.contains(&row.id),
            _ => false,
        };
        let change = |row: &InsertRow| UpdateRow {
            key: RowKey::Id(row.id),
            cells: cell(row).into_iter().collect(),
            binds: Vec::new(),
            expected_version: None,
        };
        let changed: Vec<UpdateRow> = missing.rows.iter().filter(other).map(change).collect();
        missing.rows.retain(|row| !present.contains_key(&row.id) && !taken.contains(&row.id));
        let removed: Vec<DeleteRow> = present
            .keys()
            .filter(|id| taken.contains(id))
            .map(|id| DeleteRow { key: RowKey::Id(*id), expected_version: None })
            .collect();
        let mut ops = Vec::new();
        if !removed.is_empty() {
            ops.push(WriteOp::Delete(Delete { table: Arc::clone(filter), rows: removed }));
        }
        if !missing.rows.is_empty() {
            ops.push(all);
        }
        if !changed.is_empty() {
            let constants = Vec::new();
            ops.push(WriteOp::Update(Update { table: filter.clone(), constants, rows: changed }));
        }
        if ops.is_empty() {
            return Ok(());
        }
        let user = organization.administrator;
        let writes = WriteSet { catalog: Arc::clone(catalog), now, user, ops, checks: Vec::new() };
        self.store().apply(writes).await.map(drop)
    }

    /// The ids of all rows of a table, and what a column says in each.
    async fn present(
        &self,
        catalog: &Arc<Catalog>,
        table: &Arc<Table>,
        column: ColumnIndex,
    ) -> Result<HashMap<Uuid, Value>, store::Error> {
        let mut found = HashMap::new();
        let mut query = BoundQuery {
            columns: [table.primary_key, column].map(ColumnRef::root).to_vec(),
            paging: Paging { size: ROWS_PER_QUERY, after: None, skip: 0, look_ahead: true },
            ..BoundQuery::by_key(catalog, table)
        };
        // A page after the other: there is no bound on the number of tables.
        loop {
            let page = self.store().read(&query).await?;
            let rows = || page.rows(query.columns.len());
            let after = rows().last().map(|last| vec![last[0].clone()]);
            found.extend(rows().filter_map(|row| Some((row[0].as_id()?, row[1].clone()))));
            if !page.more {
                return Ok(found);
            }
            query.paging.after = after;
        }
    }
}
