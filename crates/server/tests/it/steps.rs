//! Steps on both engines: their transaction, statements, many at once, and several nodes.

use crate::house::install_provider;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{
    Cell, Fault, LookupValue, MessageName, Target, TargetKey, Timestamp, Uuid, Value, code,
    derived_id,
};
use pipeline::step::{
    CallOptions, HandlerKind, OfferedType, OperationStatus, Ran, Service, ServiceRequest,
    StepAnswer, StepCall, StepFault, StepRunner,
};
use pipeline::{Condition, Context, Course, Error, Message, Pipeline, Read, Reply, Stores, Write};
use query::{BoundQuery, ColumnRef, Order, Paging};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::StandardStore;
use store_standard::{PostgresStore, SqliteOptions, SqliteStore};
use tempfile::TempDir;
use testkit::postgres::Cluster;
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp(1_750_000_000);
/// How deep the step `nests` goes.
const DEPTH: u32 = 4;

/// Three types: `counts` does nothing, `nests` makes a record below each down to [`DEPTH`], `refuses`
/// does what its name says.
#[derive(Default)]
struct Native {
    runs: AtomicUsize,
}

#[async_trait]
impl StepRunner for Native {
    async fn run(&self, call: StepCall, service: Arc<dyn Service>) -> Ran {
        self.runs.fetch_add(1, Ordering::SeqCst);
        match call.step.handler.name() {
            "nests" if call.frame.depth < DEPTH => {
                let request = ServiceRequest::Write(creates(&call.catalog, 2));
                match service.execute(request, CallOptions::default()).await {
                    Ok(_) => Ran::with(StepAnswer::default()),
                    Err(fault) => Ran::failed(StepFault::PassedOn(Box::new(fault))),
                }
            }
            "refuses" => Ran::failed(StepFault::Refused {
                message: "no".to_owned(),
                status: OperationStatus::Failed,
                sub_error_code: 0,
                http_status: None,
                details: Vec::new(),
            }),
            _ => Ran::with(StepAnswer::default()),
        }
    }

    async fn inspect(&self, _: Arc<[u8]>) -> Result<Vec<OfferedType>, String> {
        let offered = ["counts", "nests", "refuses"].map(|name| OfferedType {
            name: name.into(),
            friendly_name: name.into(),
            description: "".into(),
        });
        Ok(offered.into())
    }

    fn runs(&self, kind: HandlerKind) -> bool {
        kind == HandlerKind::Component
    }
}

fn creates(catalog: &model::Catalog, count: usize) -> Write {
    let table = catalog.table("account").expect("a seeded table").clone();
    let column = table.index_of("name").expect("a seeded column");
    let target =
        Target { cells: vec![Cell { column, value: Value::text("x") }], ..Target::default() };
    let name = MessageName::CreateMultiple;
    Write { name, table, targets: vec![target; count], condition: Condition::Any }
}

struct Node {
    pipeline: Arc<Pipeline>,
    native: Arc<Native>,
}

impl Node {
    async fn over(standard: Arc<dyn StandardStore>, entropy: u128) -> Self {
        let stores = Stores { standard, elastic: None };
        let pipeline = Pipeline::open(stores, NOW, entropy).await.expect("the store opens");
        let (pipeline, native) = (Arc::new(pipeline), Arc::new(Native::default()));
        pipeline.run_steps_with(native.clone());
        Self { pipeline, native }
    }

    fn context(&self) -> Context {
        let caller = self.pipeline.organization().caller();
        Context { catalog: self.pipeline.catalog(), caller, now: NOW, course: Course::default() }
    }

    /// Runs a message as `webapi` does: anew on newer definitions.
    async fn run(&self, message: impl Fn(&Context) -> Message) -> Result<Reply, Fault> {
        loop {
            let context = self.context();
            match self.pipeline.run(&context, message(&context)).await {
                Ok(reply) => return Ok(reply),
                Err(Error::Fault(fault)) => return Err(*fault),
                Err(Error::StaleCatalog) => {
                    self.pipeline.refresh().await.expect("newer definitions");
                }
            }
        }
    }

    async fn create(&self, table: &str, id: Uuid, cells: &[(&str, Value)]) {
        let made = self.run(|context| {
            let table = context.catalog.table(table).expect("a seeded table").clone();
            let cell = |(name, value): &(&str, Value)| Cell {
                column: table.index_of(name).expect("a seeded column"),
                value: value.clone(),
            };
            let cells = cells.iter().map(cell).collect();
            let targets = vec![Target { key: TargetKey::Id(id), cells, ..Target::default() }];
            let condition = Condition::Any;
            Message::Write(Write { name: MessageName::Create, table, targets, condition })
        });
        made.await.expect("the row is fine");
    }

    fn to(&self, table: &str, id: Uuid) -> Value {
        let table = self.pipeline.catalog().table(table).expect("a seeded table").id;
        Value::Lookup(LookupValue { table, id })
    }

    async fn register(&self, handler: &str, message: &str, stage: i32) -> Uuid {
        let (assembly, of_type) = (derived_id("assembly"), derived_id(handler));
        if self.count("pluginassembly").await == 0 {
            let content = Value::text(STANDARD.encode("x"));
            self.create(
                "pluginassembly",
                assembly,
                &[("name", Value::text("x")), ("content", content)],
            )
            .await;
        }
        let cells = [
            ("typename", Value::text(handler)),
            ("friendlyname", Value::text(handler)),
            ("pluginassemblyid", self.to("pluginassembly", assembly)),
        ];
        self.create("plugintype", of_type, &cells).await;
        let step = derived_id(&format!("step {handler}"));
        let name = derived_id(&format!("sdkmessage {message}"));
        let filter = derived_id(&format!("sdkmessagefilter {message} account"));
        let cells = [
            ("name", Value::text(handler)),
            ("sdkmessageid", self.to("sdkmessage", name)),
            ("sdkmessagefilterid", self.to("sdkmessagefilter", filter)),
            ("stage", Value::Integer(stage)),
            ("mode", Value::Integer(0)),
            ("eventhandler", self.to("plugintype", of_type)),
        ];
        self.create("sdkmessageprocessingstep", step, &cells).await;
        step
    }

    async fn write(&self, count: usize) -> Result<Reply, Fault> {
        self.run(|context| Message::Write(creates(&context.catalog, count))).await
    }

    async fn count(&self, table: &str) -> usize {
        let read = self.run(|context| {
            let table = context.catalog.table(table).expect("a seeded table").clone();
            let key = ColumnRef::root(table.primary_key);
            let query = BoundQuery {
                catalog: context.catalog.clone(),
                table,
                joins: Vec::new(),
                columns: vec![key],
                filter: None,
                order: vec![Order { column: key, descending: false }],
                paging: Paging { size: 5_000, after: None, skip: 0, look_ahead: false },
                count_max: None,
                shape: query::Shape::default(),
            };
            Message::Read(Read { name: MessageName::RetrieveMultiple, query })
        });
        match read.await {
            Ok(Reply::Page(page)) => page.rows,
            other => panic!("should be a page, is {other:?}"),
        }
    }
}

async fn sqlite() -> (TempDir, Arc<SqliteStore>) {
    let directory = TempDir::new().expect("a temporary directory");
    let store = SqliteStore::open(directory.path(), SqliteOptions::default());
    (directory, store.expect("the store opens"))
}

async fn postgres() -> Arc<PostgresStore> {
    install_provider();
    let cluster = Cluster::shared().expect("PostgreSQL runs");
    let database = cluster.create_database("steps").expect("a database can be made");
    PostgresStore::open(&database).await.expect("the store opens")
}

/// What a nested message of two targets makes of each message of `count`.
fn made_by(count: usize) -> usize {
    count + 2 * (usize::try_from(DEPTH).expect("small") - 1)
}

async fn what_steps_write_is_kept_or_undone_with_the_message(node: Node) {
    node.register("nests", "CreateMultiple", 40).await;
    node.write(3).await.expect("all levels are fine");
    assert_eq!(node.count("account").await, made_by(3));
    node.register("refuses", "Create", 40).await;
    let fault = node.write(3).await.expect_err("it is refused");
    assert_eq!(fault.code, code::ISV_ABORTED);
    assert_eq!(node.count("account").await, made_by(3), "nothing of any level is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_steps_write_is_kept_or_undone_with_the_message_on_sqlite() {
    let (_directory, store) = sqlite().await;
    what_steps_write_is_kept_or_undone_with_the_message(Node::over(store, 1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_steps_write_is_kept_or_undone_with_the_message_on_postgresql() {
    let store = postgres().await;
    what_steps_write_is_kept_or_undone_with_the_message(Node::over(store, 1).await).await;
}

async fn many_messages_with_nested_steps_do_not_block_each_other(node: Node) {
    const MESSAGES: usize = 16;
    node.register("nests", "CreateMultiple", 20).await;
    let node = Arc::new(node);
    let mut tasks = JoinSet::new();
    for _ in 0..MESSAGES {
        let node = node.clone();
        tasks.spawn(async move { node.write(2).await.map(drop) });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("the task ran to its end").expect("the message is fine");
    }
    assert_eq!(node.count("account").await, MESSAGES * made_by(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_with_nested_steps_do_not_block_each_other_on_sqlite() {
    let (_directory, store) = sqlite().await;
    many_messages_with_nested_steps_do_not_block_each_other(Node::over(store, 1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_with_nested_steps_do_not_block_each_other_on_postgresql() {
    let store = postgres().await;
    many_messages_with_nested_steps_do_not_block_each_other(Node::over(store, 1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_runs_a_new_step_with_its_next_message() {
    let store = postgres().await;
    let (one, other) = (Node::over(store.clone(), 1).await, Node::over(store, 2).await);
    other.write(1).await.expect("no steps yet");
    let step = one.register("counts", "Create", 20).await;
    other.write(5).await.expect("fine");
    assert_eq!(other.native.runs.load(Ordering::SeqCst), 5);
    let gone = other.run(|context| {
        let table = context.catalog.table("sdkmessageprocessingstep").expect("seeded").clone();
        let targets = vec![Target { key: TargetKey::Id(step), ..Target::default() }];
        let condition = Condition::Any;
        Message::Write(Write { name: MessageName::Delete, table, targets, condition })
    });
    gone.await.expect("it is deleted");
    one.write(5).await.expect("fine");
    assert_eq!(one.native.runs.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_do_not_depend_on_the_number_of_targets() {
    let (_directory, store) = sqlite().await;
    let node = Node::over(store.clone(), 1).await;
    let step = node.register("counts", "CreateMultiple", 40).await;
    let image = [
        ("name", Value::text("after")),
        ("entityalias", Value::text("after")),
        ("imagetype", Value::Integer(1)),
        ("sdkmessageprocessingstepid", node.to("sdkmessageprocessingstep", step)),
    ];
    node.create("sdkmessageprocessingstepimage", derived_id("image"), &image).await;
    node.write(2).await.expect("the steps are known from now on");
    let mut used = [0; 2];
    for (used, count) in used.iter_mut().zip([2, 1_000]) {
        let before = store.statements().used;
        node.write(count).await.expect("fine");
        *used = store.statements().used - before;
    }
    assert_eq!(used[0], used[1]);
}
