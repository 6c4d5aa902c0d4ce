//! What a running step sends: messages one level deeper, in the transaction of its own message.
//!
//! Not here: the messages themselves, which are run as any other.
//! Source: plugins.md 1.3, 1.6, 6.2, 6.7.5. Invariant: when the run has ended, nothing more is executed.

use crate::fault;
use crate::message::{Message, Partly, Read, Reply};
use crate::privilege;
use crate::rights::Unreadable;
use crate::run::{Context, Error, Pipeline};
use crate::step::course::{Course, Transaction, Within, until};
use crate::step::plan::Bypass;
use crate::step::{
    As, CallOptions, Handler, QueryText, Record, Records, Service, ServiceReply, ServiceRequest,
    Step, StepCall,
};
use crate::trace::Log;
use async_trait::async_trait;
use model::{
    Caller, Catalog, Cell, ColumnIndex, Fault, MessageName, Table, TargetKey, Uuid, Value,
};
use query::odata::Options;
use query::{BoundQuery, ColumnRef, Compare, Filter, Paging};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Records that a query of a step answers at once (the platform's number).
const PAGE_SIZE_MAX: u32 = 5_000;

/// The service as one running step has it.
pub(super) struct Calls {
    sender: Arc<Sender>,
    /// One call at a time.
    one: Mutex<()>,
}

/// What sends the messages of one running step.
struct Sender {
    pipeline: Weak<Pipeline>,
    /// As the step's own messages are run.
    context: Context,
    step: Arc<Step>,
    /// Who sent the message around.
    initiating: Caller,
    over_at: Instant,
    has_ended: AtomicBool,
}

/// What a run shares with others of its request.
pub(super) struct Around {
    /// When their time is over.
    pub(super) over_at: Instant,
    /// Where they are traced.
    pub(super) log: Arc<Log>,
}

impl Calls {
    pub(super) fn new(
        pipeline: Weak<Pipeline>,
        context: &Context,
        call: &StepCall,
        around: Around,
    ) -> Self {
        let Around { over_at, log } = around;
        let frame = Arc::new(call.frame.clone());
        let within = Within {
            transaction: context.course.transaction().cloned(),
            depth: call.frame.depth + 1,
            correlation: call.frame.correlation,
            authenticated: call.frame.users.authenticated,
            parents: std::iter::once(frame).chain(call.parents.iter().cloned()).collect(),
            over_at,
            seat: call.seat.clone(),
            log,
        };
        let course = Course { within: Some(Arc::new(within)), ..Course::default() };
        let user = call.frame.users.user;
        let caller = match user == context.caller.user {
            true => context.caller,
            false => Caller { user, on_behalf_of: None, ..context.caller },
        };
        let sender = Sender {
            pipeline,
            context: Context { catalog: context.catalog.clone(), caller, now: context.now, course },
            step: call.step.clone(),
            initiating: context.caller,
            over_at,
            has_ended: AtomicBool::new(false),
        };
        Self { sender: Arc::new(sender), one: Mutex::new(()) }
    }

    /// The run is over.
    pub(super) fn end(&self) {
        self.sender.has_ended.store(true, Ordering::Release);
    }
}

impl Sender {
    fn transaction(&self) -> Option<&Transaction> {
        self.context.course.transaction()
    }

    fn pipeline(&self) -> Result<Arc<Pipeline>, Fault> {
        match self.pipeline.upgrade().filter(|_| !self.has_ended.load(Ordering::Acquire)) {
            Some(pipeline) => Ok(pipeline),
            None => Err(fault::step_has_ended()),
        }
    }

    /// The context of one message.
    async fn context(&self, pipeline: &Pipeline, options: &CallOptions) -> Result<Context, Error> {
        let mut context = self.context.clone();
        context.course.tag = options.tag.clone();
        context.course.bypass = Bypass {
            synchronous: options.bypass_synchronous,
            asynchronous: options.bypass_asynchronous,
            steps: Vec::new(),
        };
        context.caller = match options.caller {
            As::User => context.caller,
            As::Initiating => self.initiating,
            As::System => return Err(fault::assembly_is_not_trusted(&self.step).into()),
            As::Other(user) => {
                pipeline.impersonate(&context, crate::rights::Impersonated::User(user)).await?
            }
        };
        if options.bypass_synchronous || options.bypass_asynchronous {
            let access = pipeline.access(&context.catalog, context.caller).await?;
            access.require(privilege::BYPASS_LOGIC)?;
        }
        Ok(context)
    }

    async fn execute(
        self: Arc<Self>,
        request: ServiceRequest,
        options: CallOptions,
    ) -> Result<ServiceReply, Error> {
        let pipeline = self.pipeline()?;
        let context = self.context(&pipeline, &options).await?;
        match request {
            ServiceRequest::Write(write) => {
                match Box::pin(pipeline.run(&context, Message::Write(write))).await? {
                    Reply::Written(outcomes) => Ok(ServiceReply::Written(outcomes)),
                    Reply::Partly(Partly { outcomes, said, .. }) => {
                        let failures = outcomes.into_iter().filter_map(Result::err).collect();
                        Err(said.map_or_else(|| Fault::of_targets(failures), |said| *said).into())
                    }
                    _ => unreachable!("a write answers outcomes"),
                }
            }
            ServiceRequest::Retrieve { table, key, columns } => {
                let query = one(&context, &table, &key, &columns);
                let read = Read { name: MessageName::Retrieve, query };
                let Reply::Page(page) = pipeline.run(&context, Message::Read(read.clone())).await?
                else {
                    unreachable!("a read answers a page")
                };
                let width = read.query.columns.len();
                let Some(row) = page.rows(width).next() else {
                    return Err(fault::no_record_with(&table, &key).into());
                };
                let records = vec![record(&table, &read.query.columns, &[], row)];
                Ok(ServiceReply::Records(Records {
                    table,
                    records,
                    more: false,
                    cookie: String::new(),
                    total: None,
                }))
            }
            ServiceRequest::RetrieveMultiple(text) => {
                let records = pipeline.retrieve_multiple(&context, &text).await?;
                Ok(ServiceReply::Records(records))
            }
        }
    }
}

#[async_trait]
impl Service for Calls {
    async fn execute(
        &self,
        request: ServiceRequest,
        options: CallOptions,
    ) -> Result<ServiceReply, Fault> {
        let _one = self.one.lock().await;
        let writes = matches!(request, ServiceRequest::Write(_));
        if self.remaining().is_zero() {
            return Err(fault::step_time_over());
        }
        if let Some(transaction) = self.sender.transaction()
            && transaction.is_doomed().await
        {
            return Err(fault::of_engine(store::Error::Doomed));
        }
        let left = self.remaining();
        // A task of its own, which ends with this call: every level of messages has its own stack.
        let mut task = JoinSet::new();
        task.spawn(Arc::clone(&self.sender).execute(request, options));
        let done = match tokio::time::timeout(left, task.join_next()).await {
            Ok(Some(Ok(done))) => done,
            Ok(Some(Err(_)) | None) => Err(fault::call_panicked().into()),
            Err(_) => Err(fault::step_time_over().into()),
        };
        drop(task);
        if writes
            && done.is_err()
            && let Some(transaction) = self.sender.transaction()
        {
            transaction.doom().await;
        }
        done.map_err(|error| match error {
            Error::Fault(fault) => *fault,
            Error::StaleCatalog => fault::definitions_moved(),
        })
    }

    fn remaining(&self) -> Duration {
        until(self.sender.over_at)
    }

    async fn component(&self) -> Result<Arc<[u8]>, Fault> {
        let pipeline = self.sender.pipeline()?;
        let Handler::Type(of) = &self.sender.step.handler else {
            return Err(fault::no_component());
        };
        pipeline.component(&self.sender.context.catalog, &of.assembly).await
    }
}

impl Pipeline {
    async fn retrieve_multiple(
        &self,
        context: &Context,
        text: &QueryText,
    ) -> Result<Records, Error> {
        let settings = self.query_context(context, context.now).await?;
        let asked = Asked::parse(&context.catalog, settings, text)?;
        let access = self.access(&context.catalog, context.caller).await?;
        let query = asked.query().clone();
        let (query, _) = self.readable(context, &access, query, Unreadable::Refused).await?;
        let Reply::Page(page) = self.answer(context, &query, None).await? else {
            unreachable!("a read answers a page")
        };
        Ok(asked.records(&page))
    }
}

/// A bound query and how its values are called.
enum Asked {
    Fetched(Box<query::fetch::Fetched>),
    Parsed(Box<query::odata::Parsed>),
}

impl Asked {
    fn parse(
        catalog: &Arc<Catalog>,
        settings: query::Context,
        text: &QueryText,
    ) -> Result<Self, Fault> {
        let bad = |error: &dyn std::fmt::Display| fault::of_query_text(error);
        let unknown = |name: &str| fault::of_query_text(&format!("there is no table `{name}`"));
        match text {
            QueryText::FetchXml(text) => {
                let name = query::fetch::table_of(text).map_err(|error| bad(&error))?;
                let table = catalog.table(&name).ok_or_else(|| unknown(&name))?;
                let mut options = Options::default();
                options.page_size_max = PAGE_SIZE_MAX;
                options.context = settings;
                let fetched = query::fetch::parse(catalog, table, text, &options);
                Ok(Self::Fetched(Box::new(fetched.map_err(|error| bad(&error))?)))
            }
            QueryText::OData(text) => {
                let (set, raw) = text.split_once('?').unwrap_or((text, ""));
                let set = set.trim_matches('/');
                let table = catalog.table_of_set(set).ok_or_else(|| unknown(set))?;
                let mut options = Options::parse(raw).map_err(|error| bad(&error))?;
                options.page_size_max = PAGE_SIZE_MAX;
                options.context = settings;
                let parsed = query::odata::parse(catalog, table, &options);
                let parsed = parsed.map_err(|error| bad(&error))?;
                if !parsed.expanded.is_empty() {
                    return Err(bad(&"$expand is not available to steps"));
                }
                Ok(Self::Parsed(Box::new(parsed)))
            }
        }
    }

    fn query(&self) -> &BoundQuery {
        match self {
            Self::Fetched(fetched) => &fetched.listed.query,
            Self::Parsed(parsed) => &parsed.query,
        }
    }

    fn records(&self, page: &query::Page) -> Records {
        let query = self.query();
        let width = query.width();
        let table = query.table.clone();
        let rows = page.rows(width);
        let (records, cookie) = match self {
            Self::Fetched(fetched) => {
                let outputs = &fetched.listed.outputs;
                let columns: Vec<ColumnRef> = outputs.iter().map(|output| output.column).collect();
                let names: Vec<Option<Box<str>>> = outputs
                    .iter()
                    .map(|output| output.renamed.then(|| output.name.clone()))
                    .collect();
                let records = rows.map(|row| record(&table, &columns, &names, row)).collect();
                (records, fetched.cookie(page))
            }
            Self::Parsed(parsed) => {
                let shown = parsed.query.columns.get(..parsed.shown).unwrap_or_default();
                let records = rows.map(|row| record(&table, shown, &[], row)).collect();
                (records, parsed.next_token(page))
            }
        };
        Records {
            table,
            records,
            more: page.more,
            cookie: cookie.unwrap_or_default(),
            total: page.count,
        }
    }
}

/// A row as a record; values with names of their own are aliased.
fn record(
    table: &Table,
    columns: &[ColumnRef],
    names: &[Option<Box<str>>],
    row: &[Value],
) -> Record {
    let mut record = Record::default();
    for (place, (column, value)) in columns.iter().zip(row).enumerate() {
        match names.get(place) {
            _ if value.is_null() => {}
            Some(Some(name)) => record.aliased.push((name.clone(), value.clone())),
            _ if column.source == 0 => {
                if column.column == table.primary_key {
                    record.id = value.as_id();
                }
                if Some(column.column) == table.index_of("versionnumber")
                    && let Value::BigInt(version) = value
                {
                    record.version = Some(*version);
                }
                record.cells.push(Cell { column: column.column, value: value.clone() });
            }
            _ => {}
        }
    }
    record
}

/// The query for one record.
fn one(
    context: &Context,
    table: &Arc<Table>,
    key: &TargetKey,
    columns: &[ColumnIndex],
) -> BoundQuery {
    let equal = |column: ColumnIndex, value: Value| Filter::Compare {
        column: ColumnRef::root(column),
        compare: Compare::Equal,
        value,
    };
    let conditions = match key {
        TargetKey::None => vec![equal(table.primary_key, Value::Guid(Uuid::nil()))],
        TargetKey::Id(id) => vec![equal(table.primary_key, Value::Guid(*id))],
        TargetKey::Alternate(key) => {
            let columns = table.key(key.key).columns.iter().copied();
            let values = key.values.iter();
            let id = |value: &Value| value.as_id().map_or_else(|| value.clone(), Value::Guid);
            columns.zip(values).map(|(column, value)| equal(column, id(value))).collect()
        }
    };
    let all = || table.indexed_columns().map(|(index, _)| index).collect::<Vec<_>>();
    let mut wanted = if columns.is_empty() { all() } else { columns.to_vec() };
    if !wanted.contains(&table.primary_key) {
        wanted.push(table.primary_key);
    }
    BoundQuery {
        columns: wanted.into_iter().map(ColumnRef::root).collect(),
        filter: Some(Filter::And(conditions)),
        paging: Paging::first(1),
        ..BoundQuery::by_key(&context.catalog, table)
    }
}
