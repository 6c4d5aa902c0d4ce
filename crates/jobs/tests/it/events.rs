//! Asynchronous steps: queued with their message, run later by a worker. 9, 23, 79, 89, 90, 91 of plugins.md 7.

use crate::elastic;
use crate::house::{House, NOW, OLD_LEADS, exhaust, report};
use async_trait::async_trait;
use model::{
    Cell, LookupValue, MessageName, Target, TargetKey, Timestamp, Uuid, Value, derived_id,
};
use pipeline::step::{
    CallOptions, HandlerKind, Mode, OfferedType, OperationStatus, Ran, Service, ServiceRequest,
    StepAnswer, StepCall, StepFault, StepRunner,
};
use pipeline::{Condition, Write};
use std::sync::{Arc, Mutex};

/// What a type does, by its name.
const TYPES: [&str; 6] = ["notes", "fails", "again", "writes", "refuses", "picks"];

/// Runs the types of these tests and remembers what it was given.
#[derive(Default)]
struct Native {
    seen: Mutex<Vec<StepCall>>,
}

#[async_trait]
impl StepRunner for Native {
    async fn run(&self, call: StepCall, service: Arc<dyn Service>) -> Ran {
        self.seen.lock().expect("no run has panicked").push(call.clone());
        let refused = |status| {
            Ran::failed(StepFault::Refused {
                message: "no".to_owned(),
                status,
                sub_error_code: 0,
                http_status: None,
                details: Vec::new(),
            })
        };
        match call.step.handler.name() {
            "fails" | "refuses" => {
                let mut ran = refused(OperationStatus::Failed);
                ran.trace = vec!["traced".into()];
                ran
            }
            "picks" if is_picked(call.targets[0].id.expect("it has one")) => {
                refused(OperationStatus::Failed)
            }
            "again" => refused(OperationStatus::Retry),
            "writes" => {
                let table = call.catalog.table("lead").expect("it exists").clone();
                let column = table.index_of("subject").expect("it exists");
                let cells = vec![Cell { column, value: Value::text("of a job") }];
                let targets = vec![Target { cells, ..Target::default() }];
                let condition = Condition::Any;
                let write = Write { name: MessageName::Create, table, targets, condition };
                let request = ServiceRequest::Write(write);
                service.execute(request, CallOptions::default()).await.expect("it is written");
                refused(OperationStatus::Failed)
            }
            _ => Ran::with(StepAnswer::default()),
        }
    }

    async fn inspect(&self, _: Arc<[u8]>) -> Result<Vec<OfferedType>, String> {
        let offered = TYPES.map(|name| OfferedType {
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

struct World {
    house: House,
    native: Arc<Native>,
}

/// A step to register.
struct New<'a> {
    handler: &'a str,
    message: &'a str,
    is_async: bool,
    more: Vec<(&'static str, Value)>,
}

fn queued<'a>(handler: &'a str, message: &'a str) -> New<'a> {
    New { handler, message, is_async: true, more: Vec::new() }
}

impl World {
    async fn open() -> Self {
        let house = House::open().await;
        let native = Arc::new(Native::default());
        house.pipeline.run_steps_with(native.clone());
        let this = Self { house, native };
        // Four letters of base64: what is in it is not looked at here.
        let cells = vec![("name", Value::text("Ship")), ("content", Value::text("QUJD"))];
        let assembly = this.create("pluginassembly", id(0xA55E), cells).await;
        for name in TYPES {
            let cells = vec![
                ("typename", Value::text(name)),
                ("friendlyname", Value::text(name)),
                ("pluginassemblyid", this.to("pluginassembly", assembly)),
            ];
            this.create("plugintype", derived_id(name), cells).await;
        }
        this
    }

    fn to(&self, table: &str, id: Uuid) -> Value {
        let table = self.house.pipeline.catalog().table(table).expect("it exists").id;
        Value::Lookup(LookupValue { table, id })
    }

    async fn create(&self, table: &str, id: Uuid, cells: Vec<(&'static str, Value)>) -> Uuid {
        let target = self.target(table, TargetKey::Id(id), cells);
        self.house.write(MessageName::Create, table, vec![target]).await.expect("it is fine")[0]
    }

    fn target(&self, table: &str, key: TargetKey, cells: Vec<(&'static str, Value)>) -> Target {
        let catalog = self.house.pipeline.catalog();
        let table = catalog.table(table).expect("it exists");
        let cell = |(name, value)| {
            let column = table.index_of(name).expect("the column exists");
            Cell { column, value }
        };
        Target { key, cells: cells.into_iter().map(cell).collect(), ..Target::default() }
    }

    async fn register(&self, step: u128, new: New<'_>) -> Uuid {
        self.register_on("account", step, new).await
    }

    async fn register_on(&self, table: &str, step: u128, new: New<'_>) -> Uuid {
        let message = derived_id(&format!("sdkmessage {}", new.message));
        let filter = derived_id(&format!("sdkmessagefilter {} {table}", new.message));
        let mut cells = vec![
            ("name", Value::text(new.handler)),
            ("sdkmessageid", self.to("sdkmessage", message)),
            ("sdkmessagefilterid", self.to("sdkmessagefilter", filter)),
            ("stage", Value::Integer(40)),
            ("mode", Value::Integer(i32::from(new.is_async))),
            ("eventhandler", self.to("plugintype", derived_id(new.handler))),
        ];
        let more = new.more;
        cells.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
        cells.extend(more);
        self.create("sdkmessageprocessingstep", id(step), cells).await
    }

    async fn accounts(&self, count: usize) -> Vec<Uuid> {
        self.house.make("account", count, &[("name", Value::text("x"))]).await
    }

    fn seen(&self) -> Vec<StepCall> {
        std::mem::take(&mut self.native.seen.lock().expect("no run has panicked"))
    }

    async fn jobs(&self, columns: &[&str]) -> Vec<Vec<Value>> {
        self.house.rows("asyncoperation", None, columns).await
    }

    async fn statuses(&self) -> Vec<i32> {
        let number = |row: Vec<Value>| match row[0] {
            Value::Integer(number) => number,
            ref other => panic!("{other:?} is no number"),
        };
        self.jobs(&["statuscode"]).await.into_iter().map(number).collect()
    }

    async fn job(&self) -> Uuid {
        self.jobs(&["asyncoperationid"]).await[0][0].as_id().expect("a key")
    }

    async fn work(&self) {
        exhaust(&mut self.house.worker("a")).await;
    }
}

/// The rows that the type `picks` holds.
fn is_picked(id: Uuid) -> bool {
    id.as_u128().is_multiple_of(5)
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

// 90: one job for each single step and record, one for a bulk step; none of a message that is undone.
#[tokio::test]
async fn a_message_queues_its_asynchronous_steps_with_what_it_writes() {
    let world = World::open().await;
    let step = world.register(1, queued("notes", "Create")).await;
    world.register(2, queued("notes", "CreateMultiple")).await;
    let accounts = world.accounts(3).await;
    assert_eq!(world.seen().len(), 0, "nothing runs before a worker comes");
    let columns = ["messagename", "statecode", "statuscode", "operationtype", "primaryentitytype"];
    let rows = world.jobs(&columns).await;
    let row = |message: &str| {
        let numbers = [0, 0, 1].map(Value::Integer);
        let [state, status, kind] = numbers;
        vec![Value::text(message), state, status, kind, Value::text("account")]
    };
    assert_eq!(rows, [row("CreateMultiple"), row("Create"), row("Create"), row("Create")]);
    let columns = ["owningextensionid", "regardingobjectid", "depth", "name", "retrycount"];
    let first = world.jobs(&columns).await[1].clone();
    let want = [
        world.to("sdkmessageprocessingstep", step),
        world.to("account", accounts[0]),
        Value::Integer(1),
        Value::text("notes"),
        Value::Integer(0),
    ];
    assert_eq!(first, want);
    world.work().await;
    assert_eq!(world.statuses().await, [30; 4]);
    let seen = world.seen();
    let targets: Vec<usize> = seen.iter().map(|call| call.targets.len()).collect();
    assert_eq!(targets, [3, 1, 1, 1]);
    // A synchronous step that refuses leaves none.
    let refusing = New { is_async: false, ..queued("refuses", "Create") };
    world.register(3, refusing).await;
    let target = world.target("account", TargetKey::None, vec![("name", Value::text("y"))]);
    world.house.write(MessageName::Create, "account", vec![target]).await.expect_err("it refuses");
    assert_eq!(world.statuses().await.len(), 4);
}

#[tokio::test]
async fn a_run_gets_what_its_message_had_and_a_job_of_its_own() {
    let world = World::open().await;
    let step = world.register(1, queued("notes", "Update")).await;
    let cells = vec![
        ("name", Value::text("before")),
        ("entityalias", Value::text("before")),
        ("imagetype", Value::Integer(2)),
        ("attributes", Value::text("name,revenue")),
        ("sdkmessageprocessingstepid", world.to("sdkmessageprocessingstep", step)),
    ];
    world.create("sdkmessageprocessingstepimage", id(9), cells).await;
    let account = world.accounts(1).await[0];
    let revenue = Value::Decimal(model::Decimal::new(1_250, 2));
    let cells = vec![("name", Value::text("new")), ("revenue", revenue.clone())];
    let target = world.target("account", TargetKey::Id(account), cells);
    world.house.write(MessageName::Update, "account", vec![target]).await.expect("fine");
    // What happens to the row meanwhile is not in the run.
    world.house.pass(3);
    let target = world.target("account", TargetKey::Id(account), Vec::new());
    world.house.write(MessageName::Delete, "account", vec![target]).await.expect("fine");
    world.work().await;
    let seen = world.seen();
    let [call] = &seen[..] else { panic!("{seen:?}") };
    let frame = &call.frame;
    assert_eq!((frame.mode, frame.stage, frame.depth), (Mode::Asynchronous, 40, 1));
    assert!(!frame.is_in_transaction && !call.parents[0].is_in_transaction);
    assert_eq!(frame.operation, world.job().await);
    assert_eq!(call.parents[0].operation, frame.operation);
    assert_eq!((frame.primary_id, call.parents[0].stage), (account, 30));
    let rows = world.jobs(&["correlationid", "requestid"]).await;
    assert_eq!(rows, [[Value::Guid(frame.correlation), Value::Guid(frame.request)]]);
    let column = |name: &str| frame.table.index_of(name).expect("it exists");
    let name = |record: &pipeline::step::Record| record.get(column("name")).cloned();
    assert_eq!(name(&call.targets[0]), Some(Value::text("new")));
    assert_eq!(call.targets[0].get(column("revenue")), Some(&revenue));
    assert_eq!(call.parents[0].sent.len(), 1);
    let before = call.pre_images[0].rows[0].as_ref().expect("it was there");
    let after = call.post_images[0].rows[0].as_ref().expect("it was there");
    assert_eq!((name(before), name(after)), (Some(Value::text("x")), Some(Value::text("new"))));
    let times = world.jobs(&["startedon", "completedon", "hostid", "sheaf_leaseuntil"]).await;
    let at = Value::DateTime(Timestamp(NOW + 3));
    assert_eq!(times, [[at.clone(), at, Value::Null, Value::Null]]);
}

// 79: the failure is in the job, and what the run wrote stays.
#[tokio::test]
async fn a_run_that_fails_ends_its_job_and_keeps_what_it_wrote() {
    let world = World::open().await;
    world.register(1, queued("writes", "Create")).await;
    world.register(2, queued("fails", "Create")).await;
    world.accounts(1).await;
    world.work().await;
    assert_eq!(world.statuses().await, [31, 31]);
    assert_eq!(world.house.count("account").await, 1);
    assert_eq!(world.house.count("lead").await, 1);
    let rows = world.jobs(&["errorcode", "friendlymessage", "message"]).await;
    assert_eq!(rows[1][..2], [Value::Integer(-2_147_220_891), Value::text("no")]);
    assert!(matches!(&rows[1][2], Value::Text(text) if text.contains("traced")));
    // Neither is tried again.
    world.house.pass(3_600);
    world.seen();
    world.work().await;
    assert_eq!(world.seen().len(), 0);
}

#[tokio::test]
async fn a_job_that_succeeded_is_deleted_where_its_step_says_so() {
    let world = World::open().await;
    let deleted = || vec![("asyncautodelete", Value::Boolean(true))];
    world.register(1, New { more: deleted(), ..queued("notes", "Create") }).await;
    world.register(2, New { more: deleted(), ..queued("fails", "Create") }).await;
    world.accounts(1).await;
    assert_eq!(world.statuses().await, [0, 0]);
    world.work().await;
    assert_eq!(world.statuses().await, [31]);
}

// 89: four attempts, then 31.
#[tokio::test]
async fn a_run_that_asks_for_it_is_made_four_times() {
    let world = World::open().await;
    world.register(1, queued("again", "Create")).await;
    world.accounts(1).await;
    for (retries, pause) in [(1, 10), (2, 60), (3, 300)] {
        world.work().await;
        assert_eq!(world.seen().len(), 1);
        assert_eq!(
            world.jobs(&["statuscode", "retrycount"]).await,
            [[10, retries].map(Value::Integer)]
        );
        world.house.pass(pause - 1);
        world.work().await;
        assert_eq!(world.seen().len(), 0, "it waits {pause} seconds");
        world.house.pass(1);
    }
    world.work().await;
    assert_eq!((world.seen().len(), world.statuses().await), (1, vec![31]));
}

#[tokio::test]
async fn callers_cancel_pause_and_postpone_jobs_of_steps() {
    let world = World::open().await;
    world.register(1, queued("notes", "Create")).await;
    let number = Value::Integer;
    world.accounts(1).await;
    let job = world.job().await;
    let later = Value::DateTime(Timestamp(NOW + 100));
    world.house.patch(job, &[("postponeuntil", later)]).await.expect("it has not begun");
    world.work().await;
    assert_eq!(world.statuses().await, [10]);
    world.house.pass(100);
    // It is paused behind the claim, and resumed.
    let mut worker = world.house.worker("a");
    assert!(worker.step().await.expect("it claims"));
    world.house.patch(job, &[("statecode", number(1))]).await.expect("it runs");
    exhaust(&mut worker).await;
    assert_eq!((world.seen().len(), world.statuses().await), (0, vec![10]));
    world.house.patch(job, &[("statecode", number(0))]).await.expect("it waits");
    let mut worker = world.house.worker("a");
    assert!(worker.step().await.expect("it claims"));
    let cancel = [("statecode", number(3)), ("statuscode", number(32))];
    world.house.patch(job, &cancel).await.expect("it runs");
    exhaust(&mut worker).await;
    assert_eq!((world.seen().len(), world.statuses().await), (0, vec![32]));
    world.house.patch(job, &[("name", Value::text("mine"))]).await.expect_err("not theirs");
}

// 91: at least once.
#[tokio::test]
async fn a_job_whose_worker_was_killed_runs_again() {
    let world = World::open().await;
    world.register(1, queued("notes", "Create")).await;
    world.accounts(1).await;
    let mut worker = world.house.worker("a");
    assert!(worker.step().await.expect("it claims"));
    drop(worker);
    let mut other = world.house.worker("b");
    assert!(!other.step().await.expect("it is not his"));
    world.house.pass(179);
    assert!(!other.step().await.expect("it is not his yet"));
    world.house.pass(1);
    exhaust(&mut other).await;
    assert_eq!((world.seen().len(), world.statuses().await), (1, vec![30]));
    // Under its old name a worker takes back what it had at once.
    world.accounts(1).await;
    let mut worker = world.house.worker("a");
    assert!(worker.step().await.expect("it claims"));
    drop(worker);
    world.work().await;
    assert_eq!((world.seen().len(), world.statuses().await), (1, vec![30, 30]));
}

#[tokio::test]
async fn a_step_that_is_disabled_fails_its_jobs_and_one_that_goes_takes_them_along() {
    let world = World::open().await;
    let step = world.register(1, queued("notes", "Create")).await;
    world.accounts(1).await;
    let table = "sdkmessageprocessingstep";
    let cells = vec![("statecode", Value::Integer(1)), ("statuscode", Value::Integer(2))];
    let target = world.target(table, TargetKey::Id(step), cells);
    world.house.write(MessageName::Update, table, vec![target]).await.expect("it is disabled");
    world.work().await;
    assert_eq!((world.seen().len(), world.statuses().await), (0, vec![31]));
    let target = world.target(table, TargetKey::Id(step), Vec::new());
    world.house.write(MessageName::Delete, table, vec![target]).await.expect("it goes");
    assert!(world.statuses().await.is_empty());
}

// A job that deletes runs the steps of what it deletes; what a step holds is a failure of the job.
#[tokio::test]
async fn a_bulk_delete_runs_the_steps_of_its_rows() {
    let world = World::open().await;
    let held = New { is_async: false, ..queued("picks", "Delete") };
    world.register_on("lead", 1, held).await;
    let leads = world.house.make("lead", 40, &[("subject", Value::text("old"))]).await;
    let held: Vec<Uuid> = leads.iter().copied().filter(|id| is_picked(*id)).collect();
    let gone = leads.len() - held.len();
    assert!(!held.is_empty() && gone > 0, "{leads:?}");
    let job = world.house.start(OLD_LEADS).await;
    world.work().await;
    let count = |of: usize| i32::try_from(of).expect("small");
    assert_eq!(world.house.report(job).await, report(30, count(gone), count(held.len())));
    assert_eq!(world.house.count("lead").await, held.len());
    let failures =
        world.house.rows("bulkdeletefailure", None, &["errornumber", "errordescription"]);
    let want = vec![Value::Integer(-2_147_220_891), Value::text("no")];
    assert_eq!(failures.await, vec![want; held.len()]);
    // Where none refuses, a thousand go in one transaction, each with its step.
    world.seen();
    let step = id(1);
    let table = "sdkmessageprocessingstep";
    let target = world.target(table, TargetKey::Id(step), Vec::new());
    world.house.write(MessageName::Delete, table, vec![target]).await.expect("it goes");
    let free = New { is_async: false, ..queued("notes", "Delete") };
    world.register_on("lead", 2, free).await;
    world.register_on("lead", 3, queued("notes", "Delete")).await;
    let job = world.house.start(OLD_LEADS).await;
    let mut worker = world.house.worker("a");
    for _ in 0..8 {
        worker.step().await.expect("a step");
    }
    assert_eq!(world.house.report(job).await, report(30, count(held.len()), 0));
    world.work().await;
    let seen = world.seen();
    let of = |mode| seen.iter().filter(|call| call.frame.mode == mode).count();
    assert_eq!((of(Mode::Synchronous), of(Mode::Asynchronous)), (held.len(), held.len()));
    assert_eq!(world.house.count("lead").await, 0);
}

// The same where there is no transaction: a row that a single step holds is a failure, the others go with theirs.
#[tokio::test]
async fn a_bulk_delete_of_an_elastic_table_runs_the_steps_of_its_rows() {
    let world = World::open().await;
    elastic::define(&world.house).await;
    let early = |new: New<'static>| New { is_async: false, ..new };
    let held = early(queued("picks", "Delete"));
    let held = New { more: vec![("stage", Value::Integer(20))], ..held };
    world.register_on("ship_ping", 1, held).await;
    world.register_on("ship_ping", 2, early(queued("notes", "DeleteMultiple"))).await;
    world.register_on("ship_ping", 3, queued("notes", "Delete")).await;
    elastic::make(&world.house, 0..60, "old").await;
    let ids = world.house.rows("ship_ping", None, &["ship_pingid"]).await;
    let is_held = |row: &&Vec<Value>| row[0].as_id().is_some_and(is_picked);
    let held = ids.iter().filter(is_held).count();
    let gone = ids.len() - held;
    assert!(held > 0 && gone > 0, "{ids:?}");
    let job = world.house.start(elastic::OLD_PINGS).await;
    world.work().await;
    world.house.pass(1);
    world.work().await;
    let count = |of: usize| i32::try_from(of).expect("small");
    assert_eq!(world.house.report(job).await, report(30, count(gone), count(held)));
    assert_eq!(world.house.count("ship_ping").await, held);
    let seen = world.seen();
    let of = |name: MessageName, mode| {
        let is_one = |call: &&StepCall| call.step.message == name && call.frame.mode == mode;
        seen.iter().filter(is_one).map(|call| call.targets.len()).collect::<Vec<_>>()
    };
    assert_eq!(of(MessageName::Delete, Mode::Synchronous), vec![1; held + gone]);
    assert_eq!(of(MessageName::DeleteMultiple, Mode::Synchronous), [gone]);
    assert_eq!(of(MessageName::Delete, Mode::Asynchronous), vec![1; gone]);
}
