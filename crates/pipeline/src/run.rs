//! The one function that runs a message.
//!
//! Not here: planning ([`crate::write`], [`crate::define`]), which is pure. This is the rim that awaits.
//! Invariant: a message reaches the store as one value; nothing here loops over rows around I/O.

mod elastic;
mod links;

use crate::available::{self, Unavailable};
use crate::define;
use crate::fault;
use crate::follow;
use crate::identity;
use crate::ids::IdSource;
use crate::images;
use crate::joined::{self, Joined, Told};
use crate::message::{Definition, DeletedRows, Message, Read, Reply, Write};
use crate::privilege;
use crate::registration;
use crate::rights::{self, Access, Shares, Unreadable, guard};
use crate::seed;
use crate::solution::{self, Solution};
use crate::stages::Steps;
use crate::statistics;
use crate::step::course::Course;
use crate::trace;
use crate::write::{self, Principals};
use crate::{job, steer};
use arc_swap::ArcSwap;
use model::{
    Caller, Catalog, ColumnKind, Failure, Fault, LookupValue, Table, TableKind, Timestamp, Uuid,
    Value, code,
};
use query::{BoundQuery, ColumnRef, Filter, Order, Page, Paging};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Arc, OnceLock, RwLock};
use store::elastic::ElasticStore;
use store::{Applied, Piece, RowOutcome, SchemaChange, StandardStore, TakeRows, WriteOp, WriteSet};

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
    /// Owners and currencies seen so far, and the version of the definitions that they were seen at.
    principals: RwLock<(u64, Principals)>,
    /// What users may do, as far as it was asked for.
    pub(crate) rights_cache: rights::Cache,
    /// Messages that the configuration took from tables.
    pub(crate) unavailable: Unavailable,
    /// Who runs steps.
    pub(crate) steps: OnceLock<Steps>,
    /// The steps there are, at one version of the definitions.
    pub(crate) registered: registration::Cache,
    /// Which runs of steps are traced.
    pub(crate) trace_settings: trace::Settings,
    /// What steps have done since that was last written.
    pub(crate) statistics: statistics::Counts,
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
    /// How the message came about, and what its sender wants of steps.
    pub course: Course,
}

impl Context {
    /// The same for the caller as its rows say it is.
    fn settled(&self, access: &Access) -> Self {
        Self {
            caller: rights::settled(self.caller, &access.own),
            catalog: Arc::clone(&self.catalog),
            now: self.now,
            course: self.course.clone(),
        }
    }
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
                made => made?.catalog,
            };
        }
        let id = organization_id(&*store, &catalog).await?;
        let present = match seed::lacks_rows_of_users(&catalog) {
            true => Some(rights::present(&*store, &catalog).await?),
            false => None,
        };
        let organization = seed::organization(id);
        if let Some(change) = seed::upgrade(&catalog, organization, now, present.as_ref()) {
            catalog = match store.change(change).await {
                // Another node was faster.
                Err(store::Error::StaleCatalog { .. }) => store.catalog().await?,
                made => made?.catalog,
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
            rights_cache: rights::Cache::default(),
            unavailable: Unavailable::default(),
            steps: OnceLock::new(),
            registered: registration::Cache::default(),
            trace_settings: trace::Settings::default(),
            statistics: statistics::Counts::default(),
        })
    }

    pub(crate) fn shared_store(&self) -> Arc<dyn StandardStore> {
        self.store.clone()
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
        let access = match message {
            Message::System(_) | Message::SystemRead(_) => None,
            _ => Some(self.access(&context.catalog, context.caller).await?),
        };
        let Some(access) = access else { return self.run_system(context, message).await };
        let context = &context.settled(&access);
        match message {
            Message::Write(message) if steer::is_about_a_job(&message) => {
                self.steer(context, &access, message).await
            }
            Message::Write(message) if message.table.kind == TableKind::Elastic => {
                self.write_elastic_with_steps(context, &access, message).await
            }
            Message::Write(message) => {
                match self
                    .write_with_steps(context, &access, vec![message], Authority::Caller)
                    .await
                {
                    Err(Error::Fault(fault)) => Err(Fault { write: None, ..*fault }.into()),
                    written => written,
                }
            }
            Message::WriteAll(messages) => {
                self.write_with_steps(context, &access, messages, Authority::Caller).await
            }
            Message::StartJob(new) => {
                access.require(privilege::BULK_DELETE)?;
                let ids = self.ids.take(2, context.now);
                let [id, detail] = ids[..] else { unreachable!("two ids were asked for") };
                let writes = job::rows(&context.catalog, context.now, (id, detail), new)?;
                self.write(context, writes, Authority::System).await?;
                Ok(Reply::Written(vec![RowOutcome { id, created: true }]))
            }
            Message::Read(read) => self.read_one_or_many(context, &access, read, None).await,
            Message::ReadPartition(read, partition) => {
                self.read_one_or_many(context, &access, read, Some(&partition)).await
            }
            Message::Walk(walk) => self.walk_elastic(context, &access, walk).await,
            Message::Names(query) => {
                if access.reaches_nothing(&query.table, privilege::Action::Read) {
                    return Ok(Reply::Page(Page::default()));
                }
                let (query, _) = self.readable(context, &access, query, Unreadable::Empty).await?;
                self.answer(context, &query, None).await
            }
            Message::Follow(table) => {
                follow::refuse_unfollowed(&table)?;
                access.require_all(&table, privilege::Action::Read)?;
                let version = self.store.follow(&context.catalog, table.id).await;
                version.map(Reply::Followed).map_err(not_about_rows)
            }
            Message::Deleted(DeletedRows { table, after, rows_max }) => {
                follow::refuse_unfollowed(&table)?;
                access.require_all(&table, privilege::Action::Read)?;
                let rows = self.store.deleted(&context.catalog, table.id, after, rows_max).await;
                rows.map(Reply::Deleted).map_err(not_about_rows)
            }
            Message::Rights(change) => self.change_rights(context, &access, change).await,
            Message::Define(definition) => {
                access.require(define::privilege_of(&definition))?;
                self.define(context, definition, None).await
            }
            Message::DefineIn(definition, solution) => {
                access.require(define::privilege_of(&definition))?;
                let solution = self.solution(context, &solution).await?;
                self.define(context, definition, Some(solution)).await
            }
            Message::System(_) | Message::SystemRead(_) => {
                unreachable!("the service's own messages went another way")
            }
        }
    }

    /// Runs a `RetrieveMultiple` as [`Pipeline::run`] does, and hands its rows over as they come: see
    /// [`StandardStore::read_in_parts`].
    pub async fn run_in_parts(
        &self,
        context: &Context,
        query: BoundQuery,
        take: TakeRows<'_>,
    ) -> Result<Page, Error> {
        let access = self.access(&context.catalog, context.caller).await?;
        let context = &context.settled(&access);
        let (query, _) = self.readable(context, &access, query, Unreadable::Refused).await?;
        let in_parts = context.course.transaction().is_none()
            && query.reads().all(|table| table.kind == TableKind::Standard);
        if in_parts {
            return self.store.read_in_parts(&query, take).await.map_err(not_about_rows);
        }
        let Reply::Page(mut page) = self.answer(context, &query, None).await? else {
            unreachable!("a query is answered with a page")
        };
        let cells = std::mem::take(&mut page.cells);
        if !cells.is_empty() {
            take(&cells);
        }
        Ok(page)
    }

    /// Runs a message of the service itself.
    async fn run_system(&self, context: &Context, message: Message) -> Result<Reply, Error> {
        match message {
            Message::System(messages) => {
                // Rows of callers that a job deletes have steps, as with any other delete.
                let steps = self.step_table(&context.catalog).await?;
                let waits = |write: &Write| steps.concerns(write.name, &write.table);
                if !messages.iter().any(waits) {
                    return self.write(context, messages, Authority::System).await;
                }
                let access = self.access(&context.catalog, context.caller).await?;
                let caller = rights::settled(context.caller, &access.own);
                let context = Context { caller, ..context.clone() };
                Box::pin(self.write_with_steps(&context, &access, messages, Authority::System))
                    .await
            }
            Message::SystemRead(query) => self.answer(context, &query, None).await,
            _ => unreachable!("only the service's own messages go this way"),
        }
    }

    /// Reads what the caller may see of a query.
    ///
    /// Errors: of one record that is there and that the caller may not read, that it may not.
    async fn read_one_or_many(
        &self,
        context: &Context,
        access: &Access,
        Read { name, query }: Read,
        partition: Option<&str>,
    ) -> Result<Reply, Error> {
        let is_one = name == model::MessageName::Retrieve;
        if is_one && query.table.kind == TableKind::Elastic && !query.joins.is_empty() {
            let page = self.read_linked(context, access, &query, partition).await?;
            return Ok(Reply::Page(page));
        }
        let wanted = is_one.then(|| existence(&query)).flatten();
        let (query, is_cut) = self.readable(context, access, query, Unreadable::Refused).await?;
        let reply = self.answer(context, &query, partition).await?;
        let is_empty = matches!(&reply, Reply::Page(page) if page.rows == 0);
        if let (true, true, Some(wanted)) = (is_cut, is_empty, wanted)
            && let Reply::Page(there) = self.answer(context, &wanted, partition).await?
            && let Some(id) = there.cells.first().and_then(Value::as_id)
        {
            return Err(access.out_of_reach(&query.table, privilege::Action::Read, id).into());
        }
        Ok(reply)
    }

    /// Answers a query from the store of its table.
    pub(crate) async fn answer(
        &self,
        context: &Context,
        query: &BoundQuery,
        partition: Option<&str>,
    ) -> Result<Reply, Error> {
        match query.table.kind {
            TableKind::Elastic => self.read_elastic(context, query, partition).await,
            TableKind::Standard if partition.is_some() => {
                Err(fault::no_partitions(&query.table).into())
            }
            TableKind::Standard if query.reads().any(|table| table.kind == TableKind::Elastic) => {
                Err(fault::no_links().into())
            }
            TableKind::Standard => self.read_in(context, query).await.map(Reply::Page),
        }
    }

    pub(crate) async fn read(&self, query: &BoundQuery) -> Result<Page, Error> {
        self.store.read(query).await.map_err(not_about_rows)
    }

    /// Reads in the transaction that the message is in, where there is one.
    pub(crate) async fn read_in(
        &self,
        context: &Context,
        query: &BoundQuery,
    ) -> Result<Page, Error> {
        match context.course.transaction() {
            Some(transaction) => transaction.read(query).await,
            None => self.read(query).await,
        }
    }

    /// Takes ids for records to come, ascending.
    ///
    /// A caller that must name a record before it is made gives it one of these.
    pub fn new_ids(&self, count: usize, now: Timestamp) -> Vec<Uuid> {
        self.ids.take(count, now)
    }

    /// Chances for values that nobody should guess or meet twice.
    pub(crate) fn chances(&self, count: usize) -> Vec<u64> {
        self.ids.chances(count)
    }

    /// Runs writes as one set of operations: all of them, or none.
    ///
    /// Errors: a fault that names its write: the first one that fails, and of it the lowest failing
    /// target. What is wrong before any value is looked at is told first, whatever the order.
    pub(crate) async fn write(
        &self,
        context: &Context,
        mut messages: Vec<Write>,
        authority: Authority,
    ) -> Result<Reply, Error> {
        let pieces = self.take_images(context, &mut messages).await?;
        let is_guarded = |message: &Write| {
            let writable = seed::writable(&message.table);
            let deletes = writable == seed::Writable::DeleteOnly
                && message.name == model::MessageName::Delete;
            authority == Authority::Caller || deletes || !writable.is_kept()
        };
        let access = match messages.iter().any(is_guarded) {
            true => Some(self.access(&context.catalog, context.caller).await?),
            false => None,
        };
        let mut named: Vec<LookupValue> =
            messages.iter().flat_map(write::named_principals).collect();
        named.sort_unstable();
        named.dedup();
        let principals = self.principals(context, &named).await?;
        let about_settings =
            messages.iter().any(|message| &*message.table.logical_name == "organization");
        let about_users = messages.iter().any(|message| identity::concerns(&message.table));
        let mut planned = Vec::with_capacity(messages.len());
        let mut refused = Vec::new();
        for (place, message) in messages.into_iter().enumerate() {
            let message = write::settled(message);
            let name = message.name;
            let guarded = access.as_ref().filter(|_| is_guarded(&message));
            let plan = || {
                if guarded.is_some() {
                    available::refuse(&self.unavailable, &message)?;
                }
                write::refuse_by_table(&message, authority)?;
                if let Some(access) = guarded {
                    guard::privileges(access, &context.catalog, &message)?;
                }
                write::plan(context, self.organization, &principals, &self.ids, message)
            };
            let mut plan = plan().map_err(|fault| fault.of_write(place))?;
            refused = std::mem::take(&mut plan.refused);
            planned.push((name, plan, guarded.is_some()));
            if !refused.is_empty() {
                break;
            }
        }
        if refused.is_empty() {
            Box::pin(self.number(context, &mut planned)).await?;
        }
        let set = self.guarded(context, access.as_ref(), &named, planned).await?;
        let told = Told::of(access.as_ref(), &context.catalog, &set);
        if !refused.is_empty() {
            return Err(self.refuse_values(context, set, refused, &told).await);
        }
        let (mut ops, writes, checks) = set.finish();
        ops.extend(self.unshare(context, &ops).await?);
        if !pieces.is_empty() {
            // Before the rows that name them: what no row names is forgotten.
            self.put_pieces(pieces).await?;
        }
        let applied = self.commit(context, ops, checks).await?;
        if about_users {
            self.identities_changed();
        }
        if about_settings {
            self.trace_settings.forget();
        }
        match applied {
            Ok(applied) => Ok(Reply::Written(
                writes.iter().flat_map(|write| write.outcomes(&applied.ops[write.op])).collect(),
            )),
            Err(store::Error::StaleCatalog { .. }) => Err(Error::StaleCatalog),
            Err(error) => Err(joined::fault(error, &writes, &told).into()),
        }
    }

    /// Reads the images of targets; answers the pieces of the pictures that are kept.
    async fn take_images(
        &self,
        context: &Context,
        messages: &mut [Write],
    ) -> Result<Vec<Piece>, Error> {
        let sent = images::take(messages);
        if sent.is_empty() {
            return Ok(Vec::new());
        }
        let made = tokio::task::spawn_blocking(|| images::make(sent)).await;
        let made = made.map_err(|error| {
            tracing::error!(%error, "reading images failed");
            Fault::new(code::UNEXPECTED, "An unexpected error occurred.")
        })?;
        Ok(images::give(messages, made, &self.ids, context.now))
    }

    /// Joins planned writes, each with what must hold for it.
    async fn guarded(
        &self,
        context: &Context,
        access: Option<&Access>,
        named: &[LookupValue],
        planned: Vec<(model::MessageName, write::Planned, bool)>,
    ) -> Result<Joined, Error> {
        let mut set = Joined::default();
        let Some(access) = access else {
            planned.into_iter().for_each(|(name, plan, _)| set.push(name, plan, Vec::new()));
            return Ok(set);
        };
        let ops = planned.iter().filter(|(_, _, guarded)| *guarded).map(|(_, plan, _)| &plan.op);
        let mut limited: Vec<&Arc<Table>> =
            ops.flat_map(|op| guard::limited(access, &context.catalog, op)).collect();
        limited.sort_unstable_by_key(|table| table.id);
        limited.dedup_by_key(|table| table.id);
        let limited: Vec<Arc<Table>> = limited.into_iter().cloned().collect();
        let shares = match limited.is_empty() {
            true => Shares::None,
            false => self.shares(context, &limited.iter().collect::<Vec<_>>()).await?,
        };
        let mut made = guard::Made::new();
        for (place, (name, plan, guarded)) in planned.into_iter().enumerate() {
            if !guarded {
                set.push(name, plan, Vec::new());
                continue;
            }
            let unable = self.unable(context, &plan.op, named).await?;
            let catalog = &context.catalog;
            let checks = guard::checks(access, catalog, &shares, &unable, &plan.op, &mut made);
            let checks = checks.map_err(|failures| {
                let of_target = |failure: Failure| Failure {
                    index: plan.target_of_row[failure.index],
                    ..failure
                };
                let mut failures: Vec<_> = failures.into_iter().map(of_target).collect();
                failures.sort_by_key(|failure| failure.index);
                fault::of_failures(name, failures).of_write(place)
            })?;
            set.push(name, plan, checks);
        }
        Ok(set)
    }

    /// Of the owners that a change of rows names, those who may not read its table, or one that an
    /// owner goes on to.
    async fn unable(
        &self,
        context: &Context,
        op: &WriteOp,
        named: &[LookupValue],
    ) -> Result<guard::Unable, Error> {
        let mut unable = guard::Unable::new();
        if !guard::assigns(op) {
            return Ok(unable);
        }
        let along = context.catalog.spreading_to(op.table().id, model::Spreading::Assign);
        // What owners may do is looked up once, whatever the number of tables.
        for table in std::iter::once(op.table()).chain(along) {
            unable.insert(table.id, self.unable_in(context, table, named).await?);
        }
        Ok(unable)
    }

    /// Of these owners, those who may not read a table.
    async fn unable_in(
        &self,
        context: &Context,
        table: &Table,
        named: &[LookupValue],
    ) -> Result<BTreeSet<Uuid>, Error> {
        if table.ownership != model::Ownership::User || named.is_empty() {
            return Ok(BTreeSet::new());
        }
        let team = context.catalog.table("team").map(|table| table.id);
        let of = |wanted: Option<model::TableId>| -> Vec<Uuid> {
            named.iter().filter(|one| Some(one.table) == wanted).map(|one| one.id).collect()
        };
        let (users, teams) = (of(Some(seed::SYSTEM_USER)), of(team));
        let found = self.rights_of(&context.catalog, &users, &teams).await?;
        let reads = |rights: &rights::Rights| {
            !matches!(rights.scope(table, privilege::Action::Read), rights::Scope::Nothing)
        };
        let able = |id: &Uuid| found.get(id).is_some_and(|rights| reads(rights));
        Ok(users.into_iter().chain(teams).filter(|id| !able(id)).collect())
    }

    /// Hands operations to the store. Rows that say who may do what move the version of the
    /// definitions on, so that every node sees them with its next statement.
    ///
    /// The outer error is one of the message itself.
    pub(crate) async fn commit(
        &self,
        context: &Context,
        mut ops: Vec<WriteOp>,
        checks: Vec<store::Check>,
    ) -> Result<Result<store::Applied, store::Error>, Error> {
        let moves = |op: &WriteOp| {
            rights::is_about_rights(op.table())
                || registration::is_registration(&op.table().logical_name)
        };
        if !ops.iter().any(moves) {
            return Ok(self.apply(context, ops, checks).await);
        }
        if context.course.transaction().is_some() {
            return Err(fault::other_isolation_level().into());
        }
        let catalog = self.whole_of(&context.catalog)?;
        let (now, user) = (context.now, context.caller.user);
        self.check_registration(context, &mut ops).await?;
        let more = self.rights_go_along(context, &mut ops).await?;
        ops.extend(more);
        let change = SchemaChange { catalog, ops: Vec::new(), rows: ops, checks, now, user };
        Ok(self.store.change(change).await.map(|changed| {
            self.install(changed.catalog);
            changed.applied
        }))
    }

    async fn apply(
        &self,
        context: &Context,
        ops: Vec<WriteOp>,
        checks: Vec<store::Check>,
    ) -> Result<Applied, store::Error> {
        let (catalog, now, user) = (context.catalog.clone(), context.now, context.caller.user);
        let writes = WriteSet { catalog, now, user, ops, checks };
        match context.course.transaction() {
            Some(transaction) => transaction.apply(writes).await,
            None => self.store.apply(writes).await,
        }
    }

    /// The fault of a set whose last write has targets that are refused for their values.
    ///
    /// The lowest failing target is told (`bulk.md` 1.7). So where rows come before the refused ones, the
    /// store judges them: in a set that it must refuse, so that nothing is kept.
    async fn refuse_values(
        &self,
        context: &Context,
        set: Joined,
        refused: Vec<Failure>,
        told: &Told<'_>,
    ) -> Error {
        let Joined { mut ops, writes, checks, .. } = set;
        let mut judged = None;
        if joined::has_rows_before(&writes, &refused) {
            ops.extend(ops.last().map(|last| write::impossible(last.table())));
            judged = match self.apply(context, ops, checks).await {
                Ok(_) => unreachable!("no row has the version that the last operation asks for"),
                Err(store::Error::StaleCatalog { .. }) => return Error::StaleCatalog,
                Err(error) => Some(error),
            };
        }
        joined::fault_of_values(judged, &writes, refused, told).into()
    }

    async fn define(
        &self,
        context: &Context,
        definition: Definition,
        solution: Option<Solution>,
    ) -> Result<Reply, Error> {
        self.refuse_elastic_without_store(&definition)?;
        let there = self.rows_about_dropped(context, &definition).await?;
        if let Some(solution) = &solution {
            solution::check(solution, &definition)?;
        }
        let kind = solution::component(&definition);
        let mut plan = define::plan(context, self.organization, &self.ids, definition, &there)?;
        if let Some(solution) = &solution {
            let rows =
                solution::rows(context, self.organization, &self.ids, (solution, kind), &plan.made);
            plan.change.rows.extend(rows);
        }
        plan.change.catalog = self.whole_of(&context.catalog)?;
        let (made, table, dropped) = (plan.made, plan.table, plan.dropped);
        match self.store.change(plan.change).await {
            Ok(changed) => {
                self.install(changed.catalog);
                self.drop_elastic(&dropped).await;
                Ok(Reply::Defined(made))
            }
            Err(store::Error::StaleCatalog { .. }) => Err(Error::StaleCatalog),
            Err(store::Error::Rejected { .. }) => {
                Err(define::existing_rows_not_unique(&table).into())
            }
            Err(error) => Err(fault::of_engine(error).into()),
        }
    }

    /// The unmanaged solution of this name.
    async fn solution(&self, context: &Context, name: &str) -> Result<Solution, Error> {
        let query = solution::query(context, name).ok_or_else(|| solution::unknown(name))?;
        let page = self.read(&query).await?;
        Ok(solution::of_row(&page.cells, name)?)
    }

    /// Ids of the rows of system tables that are about tables which a definition may drop.
    async fn rows_about_dropped(
        &self,
        context: &Context,
        definition: &Definition,
    ) -> Result<Vec<Uuid>, Error> {
        let catalog = &context.catalog;
        let intersect = |many: &Arc<model::ManyToMany>| catalog.table(&many.intersect_table);
        let tables: Vec<&Arc<Table>> = match definition {
            Definition::DropTable(table) => {
                let pairs = catalog.many_to_many_of(&table.logical_name);
                pairs.filter_map(intersect).chain([table]).collect()
            }
            Definition::DropRelationship(id) => {
                let mut pairs = catalog.many_to_many().iter();
                let pairs = pairs.find(|many| many.metadata_id == *id);
                pairs.and_then(intersect).into_iter().collect()
            }
            _ => Vec::new(),
        };
        let about: Vec<(&str, Uuid)> =
            tables.iter().flat_map(|table| define::remove::about(table)).collect();
        let mut there = Vec::new();
        // Two tables, whatever is dropped.
        for name in ["sdkmessagefilter", "privilege"] {
            let ids = about.iter().filter(|(of, _)| *of == name).map(|(_, id)| *id);
            let Some(table) = catalog.table(name) else { continue };
            let ids: Vec<Uuid> = ids.collect();
            if ids.is_empty() {
                continue;
            }
            let query = BoundQuery::of_ids(catalog, table, ids);
            let page = self.read(&query).await?;
            there.extend(page.cells.iter().filter_map(Value::as_id));
        }
        Ok(there)
    }

    /// Forgets the rows of elastic tables that are gone. Their numbers are not given again: what stays
    /// after a failure is out of reach.
    async fn drop_elastic(&self, dropped: &[Arc<Table>]) {
        for table in dropped.iter().filter(|table| table.kind == TableKind::Elastic) {
            let Some(store) = self.elastic.as_deref() else { continue };
            if let Err(error) = store.drop_table(table).await {
                tracing::warn!(%error, table = %table.logical_name, "rows of a dropped table stay");
            }
        }
    }

    /// Keeps the newest definitions; a slower request never brings older ones back.
    pub(crate) fn install(&self, catalog: Arc<Catalog>) {
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
            let known = |lookup: &LookupValue| Some((*lookup, *cache.1.get(lookup)?));
            match cache.0 == context.catalog.version() {
                true => named.iter().filter_map(known).collect(),
                false => Principals::new(),
            }
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
            let version = context.catalog.version();
            if cache.0 < version {
                *cache = (version, Principals::new());
            }
            if cache.0 == version {
                cache.1.extend(known.iter().map(|(lookup, unit)| (*lookup, *unit)));
            }
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

/// The query that tells whether the one record is there that a query asks for; none where that cannot
/// be told from the record alone.
fn existence(query: &BoundQuery) -> Option<BoundQuery> {
    let filter = query.filter.clone().filter(is_of_root)?;
    let key = ColumnRef::root(query.table.primary_key);
    Some(BoundQuery {
        joins: Vec::new(),
        columns: vec![key],
        filter: Some(filter),
        order: vec![Order { column: key, descending: false }],
        paging: Paging { size: 1, after: None, skip: 0, look_ahead: false },
        count_max: None,
        shape: query::Shape::default(),
        ..query.clone()
    })
}

/// Whether a condition is about the columns of the query's own table alone.
fn is_of_root(filter: &Filter) -> bool {
    match filter {
        Filter::And(parts) => parts.iter().all(is_of_root),
        Filter::Compare { column, .. } | Filter::IsNull { column, .. } => column.source == 0,
        _ => false,
    }
}

/// The rows with these ids: primary key and, where there is one, business unit.
fn principals_query(context: &Context, table: &Arc<Table>, lookups: &[LookupValue]) -> BoundQuery {
    let key = ColumnRef::root(table.primary_key);
    let unit = table
        .index_of("businessunitid")
        .filter(|index| matches!(table.column(*index).kind, ColumnKind::Lookup { .. }));
    BoundQuery {
        columns: std::iter::once(key).chain(unit.map(ColumnRef::root)).collect(),
        ..BoundQuery::of_ids(&context.catalog, table, lookups.iter().map(|lookup| lookup.id))
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
    let query = BoundQuery { paging: Paging::first(1), ..BoundQuery::by_key(catalog, table) };
    let page = store.read(&query).await?;
    page.cells.first().and_then(Value::as_id).ok_or_else(|| missing("organization"))
}
