//! The one function that runs a message.
//!
//! Not here: planning ([`crate::write`], [`crate::define`]), which is pure. This is the rim that awaits.
//! Invariant: a message reaches the store as one value; nothing here loops over rows around I/O.

mod elastic;

use crate::available::{self, Unavailable};
use crate::define;
use crate::fault;
use crate::follow;
use crate::identity;
use crate::ids::IdSource;
use crate::joined::{self, Joined};
use crate::message::{Definition, DeletedRows, Message, Read, Reply, Write};
use crate::seed;
use crate::write::{self, Principals};
use crate::{job, steer};
use arc_swap::ArcSwap;
use model::{
    Caller, Catalog, ColumnKind, Failure, Fault, LookupValue, Table, TableKind, Timestamp, Uuid,
    Value,
};
use query::{BoundQuery, ColumnRef, Filter, Order, Page, Paging};
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, RwLock};
use store::elastic::ElasticStore;
use store::{Applied, RowOutcome, StandardStore, WriteOp, WriteSet};

/// Runs messages against a store. One per process; shared by every request.
pub struct Pipeline {
    store: Arc<dyn StandardStore>,
    elastic: Option<Arc<dyn ElasticStore>>,
    /// The highest version that a write to an elastic table got.
    elastic_version: AtomicI64,
    definitions: ArcSwap<Definitions>,
    /// Rises when rows were written that say who somebody is.
    pub(crate) identities: AtomicU64,
    organization: Organization,
    ids: IdSource,
    /// Owners and currencies seen so far. Their rows are never deleted, so what is here stays true.
    principals: RwLock<Principals>,
    /// Messages that the configuration took from tables.
    pub(crate) unavailable: Unavailable,
}

/// One version of the definitions.
struct Definitions {
    /// What is stored.
    whole: Arc<Catalog>,
    /// What callers may name.
    shown: Arc<Catalog>,
}

impl Definitions {
    fn new(whole: Arc<Catalog>) -> Self {
        Self { shown: seed::kept::shown(&whole), whole }
    }
}

/// Where rows lie.
#[derive(Clone)]
pub struct Stores {
    /// Rows of standard tables, and all definitions.
    pub standard: Arc<dyn StandardStore>,
    /// Rows of elastic tables. Without it none can be made.
    pub elastic: Option<Arc<dyn ElasticStore>>,
}

/// What does not change in a request.
#[derive(Clone, Debug)]
pub struct Context {
    /// The definitions that the message is bound to.
    pub catalog: Arc<Catalog>,
    /// Who it runs for.
    pub caller: Caller,
    /// When the request came.
    pub now: Timestamp,
}

/// The ids that every node and request knows.
#[derive(Clone, Copy, Debug)]
pub struct Organization {
    /// `organizationid`.
    pub id: Uuid,
    /// The root business unit.
    pub business_unit: Uuid,
    /// The first system administrator.
    pub administrator: Uuid,
    /// The base currency.
    pub currency: Uuid,
}

impl Organization {
    /// The first system administrator as a caller.
    pub fn caller(&self) -> Caller {
        Caller { user: self.administrator, business_unit: self.business_unit, on_behalf_of: None }
    }
}

/// On whose behalf rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    /// A caller's: what the service keeps is closed to it.
    Caller,
    /// The service's own: its tables may be written, too.
    System,
}

/// Why a message did not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The definitions have moved on: [`Pipeline::refresh`], bind anew, run once more.
    #[error("the definitions have moved on")]
    StaleCatalog,
    /// The caller's answer.
    #[error(transparent)]
    Fault(Box<Fault>),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// Rows of `systemuser`, `team` or `transactioncurrency` that one query asks for at most.
const PRINCIPALS_PER_QUERY: u32 = 5_000;

impl Pipeline {
    /// Opens the stores, making and seeding the system tables where they are not there yet.
    ///
    /// `entropy` starts the ids of this process; it must differ between processes.
    pub async fn open(stores: Stores, now: Timestamp, entropy: u128) -> Result<Self, store::Error> {
        let Stores { standard: store, elastic } = stores;
        let ids = IdSource::new(entropy);
        let mut catalog = store.catalog().await?;
        if catalog.tables().is_empty() {
            let id = ids.take(1, now).into_iter().next().expect("one id was asked for");
            let change = seed::plan(catalog, seed::organization(id), now);
            catalog = match store.change(change).await {
                // Another node was faster.
                Err(store::Error::StaleCatalog { .. }) => store.catalog().await?,
                made => made?,
            };
        }
        let id = organization_id(&*store, &catalog).await?;
        if let Some(change) = seed::upgrade(&catalog, seed::organization(id), now) {
            catalog = match store.change(change).await {
                // Another node was faster.
                Err(store::Error::StaleCatalog { .. }) => store.catalog().await?,
                made => made?,
            };
        }
        Ok(Self {
            store,
            elastic,
            elastic_version: AtomicI64::new(0),
            definitions: ArcSwap::from_pointee(Definitions::new(catalog)),
            identities: AtomicU64::new(0),
            organization: seed::organization(id),
            ids,
            principals: RwLock::default(),
            unavailable: Unavailable::default(),
        })
    }

    pub(crate) fn store(&self) -> &dyn StandardStore {
        &*self.store
    }

    /// The newest definitions that this node has seen, as far as callers may name them.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.definitions.load().shown.clone()
    }

    /// The same with the tables that the service keeps for itself.
    pub(crate) fn whole_catalog(&self) -> Arc<Catalog> {
        self.definitions.load().whole.clone()
    }

    /// The organisation's ids.
    pub fn organization(&self) -> Organization {
        self.organization
    }

    /// The same for definitions as callers see them: a change of definitions is one of all of them.
    pub(crate) fn whole_of(&self, shown: &Catalog) -> Result<Arc<Catalog>, Error> {
        let whole = self.whole_catalog();
        match whole.version() == shown.version() {
            true => Ok(whole),
            false => Err(Error::StaleCatalog),
        }
    }

    /// Loads the definitions anew if the stored ones have moved on; tells whether they had.
    pub async fn refresh(&self) -> Result<bool, Error> {
        let stored = self.store.catalog_version().await.map_err(fault::of_engine)?;
        if stored == self.definitions.load().whole.version() {
            return Ok(false);
        }
        let catalog = self.store.catalog().await.map_err(fault::of_engine)?;
        self.install(catalog);
        Ok(true)
    }

    /// Runs a message.
    ///
    /// Errors: a fault, and then nothing of the message is kept; or [`Error::StaleCatalog`].
    pub async fn run(&self, context: &Context, message: Message) -> Result<Reply, Error> {
        match message {
            Message::Write(message) if steer::is_about_a_job(&message) => {
                self.steer(context, message).await
            }
            Message::Write(message) if message.table.kind == TableKind::Elastic => {
                self.write_elastic(context, message).await
            }
            Message::Write(message) => {
                match self.write(context, vec![message], Authority::Caller).await {
                    Err(Error::Fault(fault)) => Err(Fault { write: None, ..*fault }.into()),
                    written => written,
                }
            }
            Message::WriteAll(messages) => self.write(context, messages, Authority::Caller).await,
            Message::System(messages) => self.write(context, messages, Authority::System).await,
            Message::StartJob(new) => {
                let ids = self.ids.take(2, context.now);
                let [id, detail] = ids[..] else { unreachable!("two ids were asked for") };
                let writes = job::rows(&context.catalog, context.now, (id, detail), new)?;
                self.write(context, writes, Authority::System).await?;
                Ok(Reply::Written(vec![RowOutcome { id, created: true }]))
            }
            Message::Read(Read { query, .. }) if query.table.kind == TableKind::Elastic => {
                self.read_elastic(context, &query, None).await
            }
            Message::ReadPartition(Read { query, .. }, partition) => {
                self.read_elastic(context, &query, Some(&partition)).await
            }
            Message::Read(Read { query, .. }) => self.read(&query).await.map(Reply::Page),
            Message::Follow(table) => {
                follow::refuse_unfollowed(&table)?;
                let version = self.store.follow(&context.catalog, table.id).await;
                version.map(Reply::Followed).map_err(not_about_rows)
            }
            Message::Deleted(DeletedRows { table, after, rows_max }) => {
                follow::refuse_unfollowed(&table)?;
                let rows = self.store.deleted(&context.catalog, table.id, after, rows_max).await;
                rows.map(Reply::Deleted).map_err(not_about_rows)
            }
            Message::Define(definition) => self.define(context, definition).await,
        }
    }

    pub(crate) async fn read(&self, query: &BoundQuery) -> Result<Page, Error> {
        self.store.read(query).await.map_err(not_about_rows)
    }

    /// Takes ids for records to come, ascending.
    ///
    /// A caller that must name a record before it is made gives it one of these.
    pub fn new_ids(&self, count: usize, now: Timestamp) -> Vec<Uuid> {
        self.ids.take(count, now)
    }

    /// Runs writes as one set of operations: all of them, or none.
    ///
    /// Errors: a fault that names its write: the first one that fails, and of it the lowest failing
    /// target. What is wrong before any value is looked at is told first, whatever the order.
    pub(crate) async fn write(
        &self,
        context: &Context,
        messages: Vec<Write>,
        authority: Authority,
    ) -> Result<Reply, Error> {
        let mut named: Vec<LookupValue> =
            messages.iter().flat_map(write::named_principals).collect();
        named.sort_unstable();
        named.dedup();
        let principals = self.principals(context, &named).await?;
        let about_users = messages.iter().any(|message| identity::concerns(&message.table));
        let mut set = Joined::default();
        for (place, message) in messages.into_iter().enumerate() {
            let name = message.name;
            let kept = seed::writable(&message.table) == seed::Writable::ReadOnly;
            if authority == Authority::Caller || !kept {
                available::refuse(&self.unavailable, &message)
                    .map_err(|fault| fault.of_write(place))?;
            }
            write::refuse_by_table(&message, authority).map_err(|fault| fault.of_write(place))?;
            let mut planned =
                write::plan(context, self.organization, &principals, &self.ids, message)
                    .map_err(|fault| fault.of_write(place))?;
            let refused = std::mem::take(&mut planned.refused);
            set.push(name, planned);
            if !refused.is_empty() {
                return Err(self.refuse_values(context, set, refused).await);
            }
        }
        let (ops, writes) = set.finish();
        let applied = self.apply(context, ops).await;
        if about_users {
            self.identities_changed();
        }
        match applied {
            Ok(applied) => Ok(Reply::Written(
                writes.iter().flat_map(|write| write.outcomes(&applied.ops[write.op])).collect(),
            )),
            Err(store::Error::StaleCatalog { .. }) => Err(Error::StaleCatalog),
            Err(error) => Err(joined::fault(error, &writes).into()),
        }
    }

    async fn apply(&self, context: &Context, ops: Vec<WriteOp>) -> Result<Applied, store::Error> {
        let (catalog, now, user) = (context.catalog.clone(), context.now, context.caller.user);
        self.store.apply(WriteSet { catalog, now, user, ops }).await
    }

    /// The fault of a set whose last write has targets that are refused for their values.
    ///
    /// The lowest failing target is told (`bulk.md` 1.7). So where rows come before the refused ones, the
    /// store judges them: in a set that it must refuse, so that nothing is kept.
    async fn refuse_values(&self, context: &Context, set: Joined, refused: Vec<Failure>) -> Error {
        let Joined { mut ops, writes, .. } = set;
        let mut judged = None;
        if joined::has_rows_before(&writes, &refused) {
            ops.extend(ops.last().map(|last| write::impossible(last.table())));
            judged = match self.apply(context, ops).await {
                Ok(_) => unreachable!("no row has the version that the last operation asks for"),
                Err(store::Error::StaleCatalog { .. }) => return Error::StaleCatalog,
                Err(error) => Some(error),
            };
        }
        joined::fault_of_values(judged, &writes, refused).into()
    }

    async fn define(&self, context: &Context, definition: Definition) -> Result<Reply, Error> {
        self.refuse_elastic_without_store(&definition)?;
        let mut plan = define::plan(context, self.organization, &self.ids, definition)?;
        plan.change.catalog = self.whole_of(&context.catalog)?;
        let made = plan.made;
        let table = plan.table;
        match self.store.change(plan.change).await {
            Ok(catalog) => {
                self.install(catalog);
                Ok(Reply::Defined(made))
            }
            Err(store::Error::StaleCatalog { .. }) => Err(Error::StaleCatalog),
            Err(store::Error::Rejected { .. }) => {
                Err(define::existing_rows_not_unique(&table).into())
            }
            Err(error) => Err(fault::of_engine(error).into()),
        }
    }

    /// Keeps the newest definitions; a slower request never brings older ones back.
    fn install(&self, catalog: Arc<Catalog>) {
        let newer = Arc::new(Definitions::new(catalog));
        self.definitions.rcu(|known| match known.whole.version() < newer.whole.version() {
            true => newer.clone(),
            false => known.clone(),
        });
    }

    /// The named owners and currencies that exist.
    async fn principals(
        &self,
        context: &Context,
        named: &[LookupValue],
    ) -> Result<Principals, Error> {
        let mut known: Principals = {
            let cache = self.principals.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            named.iter().filter_map(|lookup| Some((*lookup, *cache.get(lookup)?))).collect()
        };
        let unknown: Vec<LookupValue> =
            named.iter().filter(|lookup| !known.contains_key(lookup)).copied().collect();
        for lookups in unknown.chunk_by(|a, b| a.table == b.table) {
            let Some(table) =
                lookups.first().and_then(|first| context.catalog.table_by_id(first.table))
            else {
                continue;
            };
            for some in lookups.chunks(PRINCIPALS_PER_QUERY as usize) {
                let query = principals_query(context, table, some);
                let columns = query.columns.len();
                let page = self.store.read(&query).await.map_err(not_about_rows)?;
                let found = page.rows(columns).filter_map(|row| {
                    let id = row.first().and_then(Value::as_id)?;
                    let unit = row.get(1).and_then(Value::as_id);
                    Some((
                        LookupValue { table: table.id, id },
                        unit.unwrap_or(self.organization.business_unit),
                    ))
                });
                known.extend(found);
            }
        }
        if !unknown.is_empty() {
            let mut cache =
                self.principals.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            cache.extend(known.iter().map(|(lookup, unit)| (*lookup, *unit)));
        }
        Ok(known)
    }
}

pub(crate) fn not_about_rows(error: store::Error) -> Error {
    match error {
        store::Error::StaleCatalog { .. } => Error::StaleCatalog,
        error => fault::of_engine(error).into(),
    }
}

/// The rows with these ids: primary key and, where there is one, business unit.
fn principals_query(context: &Context, table: &Arc<Table>, lookups: &[LookupValue]) -> BoundQuery {
    let key = ColumnRef::root(table.primary_key);
    let unit = table
        .index_of("businessunitid")
        .filter(|index| matches!(table.column(*index).kind, ColumnKind::Lookup { .. }));
    BoundQuery {
        catalog: context.catalog.clone(),
        table: table.clone(),
        joins: Vec::new(),
        columns: std::iter::once(key).chain(unit.map(ColumnRef::root)).collect(),
        filter: Some(Filter::In {
            column: key,
            values: lookups.iter().map(|lookup| Value::Guid(lookup.id)).collect(),
            negated: false,
        }),
        order: vec![Order { column: key, descending: false }],
        paging: Paging { size: PRINCIPALS_PER_QUERY, after: None, skip: 0, look_ahead: false },
        count_max: None,
    }
}

/// Reads the id of the one row of `organization`.
async fn organization_id(
    store: &dyn StandardStore,
    catalog: &Arc<Catalog>,
) -> Result<Uuid, store::Error> {
    let missing = |what: &str| store::Error::Schema {
        why: format!("the store holds definitions, but no {what}; it was not made by this service"),
    };
    let table = catalog.table("organization").ok_or_else(|| missing("table `organization`"))?;
    let key = ColumnRef::root(table.primary_key);
    let query = BoundQuery {
        catalog: catalog.clone(),
        table: table.clone(),
        joins: Vec::new(),
        columns: vec![key],
        filter: None,
        order: vec![Order { column: key, descending: false }],
        paging: Paging { size: 1, after: None, skip: 0, look_ahead: false },
        count_max: None,
    };
    let page = store.read(&query).await?;
    page.cells.first().and_then(Value::as_id).ok_or_else(|| missing("organization"))
}
