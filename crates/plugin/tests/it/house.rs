//! What runs need: definitions, a step, a call, and a service that remembers what it was asked.

use async_trait::async_trait;
use model::{Catalog, Cell, Fault, MessageName, Table, Timestamp, Uuid, Value, code};
use pipeline::step::{
    Assembly, CallOptions, Counted, Endpoint, Frame, Handler, Mode, Operand, PluginType, Ran,
    Record, Records, Service, ServiceReply, ServiceRequest, Stage, Step, StepCall, StepRunner,
    Users,
};
use pipeline::{Pipeline, RowOutcome, Stores};
use plugin::{Host, Settings};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::MemoryElasticStore;
use store::memory::MemoryStore;

pub(crate) const NOW: Timestamp = Timestamp(1_735_689_600);

/// The definitions that a new service has.
pub(crate) async fn catalog() -> Arc<Catalog> {
    let stores = Stores {
        standard: Arc::new(MemoryStore::new()),
        elastic: Some(Arc::new(MemoryElasticStore::new())),
    };
    Pipeline::open(stores, NOW, 1).await.expect("as the test has it").catalog()
}

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A step of a type.
pub(crate) fn step(component: &[u8], type_name: &str, configuration: &str) -> Arc<Step> {
    let hash = format!("{:x}", Checksum(component));
    let assembly = Assembly {
        id: id(1),
        name: "Tests".into(),
        version: "1.0.0.0".into(),
        culture: "neutral".into(),
        public_key_token: "null".into(),
        hash: hash.into(),
    };
    let of = PluginType { id: id(2), name: type_name.into(), assembly: Arc::new(assembly) };
    handled(Handler::Type(of), configuration)
}

/// A step of a webhook.
pub(crate) fn hook(endpoint: Endpoint) -> Arc<Step> {
    handled(Handler::Endpoint(endpoint), "")
}

fn handled(handler: Handler, configuration: &str) -> Arc<Step> {
    Arc::new(Step {
        id: id(0x7541_7616_4ea2_4711_8122_000d_3aa2_331c),
        name: "a step".into(),
        message: MessageName::CreateMultiple,
        table: None,
        filter: Uuid::nil(),
        stage: Stage::PreOperation,
        mode: Mode::Synchronous,
        rank: 1,
        filtering: Vec::new(),
        images: Vec::new(),
        handler,
        configuration: (!configuration.is_empty()).then(|| configuration.into()),
        secure_configuration: None,
        impersonating: None,
        can_be_bypassed: true,
        job_is_deleted: false,
    })
}

/// Tells components apart.
struct Checksum<'a>(&'a [u8]);

impl std::fmt::LowerHex for Checksum<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        write!(f, "{:016x}", hasher.finish())
    }
}

/// A call of a step with targets of a table.
pub(crate) fn call(
    catalog: &Arc<Catalog>,
    step: &Arc<Step>,
    message: MessageName,
    table: &str,
    targets: Vec<Record>,
) -> StepCall {
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    let request = id(0xf000 + u128::from(REQUESTS.fetch_add(1, Ordering::Relaxed)));
    let table = catalog.table(table).expect("as the test has it").clone();
    let primary_id = match message.is_bulk() {
        true => None,
        false => targets.first().and_then(|target| target.id),
    };
    StepCall {
        step: step.clone(),
        catalog: catalog.clone(),
        frame: Frame {
            message,
            table,
            primary_id: primary_id.unwrap_or_default(),
            stage: 20,
            mode: Mode::Synchronous,
            depth: 1,
            is_in_transaction: true,
            users: Users {
                user: id(3),
                initiating: id(4),
                authenticated: id(5),
                business_unit: id(6),
            },
            organization: id(7),
            correlation: id(8),
            request,
            operation: Uuid::nil(),
            operation_created_on: NOW,
            step: step.id,
            input: Vec::new(),
            shared: Vec::new(),
            sent: Arc::new([]),
        },
        operand: Operand::Entity,
        targets,
        pre_images: Vec::new(),
        post_images: Vec::new(),
        output: Vec::new(),
        parents: Vec::new(),
        record: None,
        now: NOW,
        remaining: Duration::from_secs(60),
        seat: None,
        counted: Counted::default(),
    }
}

/// A contact with a last name.
pub(crate) fn contact(catalog: &Catalog, last_name: &str) -> Record {
    record(
        catalog.table("contact").expect("as the test has it"),
        &[("lastname", Value::text(last_name))],
    )
}

pub(crate) fn record(table: &Table, cells: &[(&str, Value)]) -> Record {
    let cells = cells.iter().map(|(column, value)| Cell {
        column: table.index_of(column).expect("as the test has it"),
        value: value.clone(),
    });
    Record { cells: cells.collect(), ..Record::default() }
}

/// A host with these settings. Guests are compiled once for all tests that do not say otherwise.
pub(crate) fn host(settings: Settings) -> Arc<Host> {
    let cache = settings.cache.clone().or_else(|| Some(testkit::guests::CACHE.into()));
    Arc::new(Host::open(Settings { cache, ..settings }).expect("as the test has it"))
}

type Hook =
    Box<dyn Fn(ServiceRequest) -> futures::Pending<Result<ServiceReply, Fault>> + Send + Sync>;

pub(crate) mod futures {
    /// What a hook answers, later.
    pub(crate) type Pending<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;
}

/// A service that writes nowhere, and remembers what it was asked.
pub(crate) struct Fake {
    component: Arc<[u8]>,
    deadline: Instant,
    pub(crate) asked: Mutex<Vec<(ServiceRequest, CallOptions)>>,
    pub(crate) components_asked: AtomicUsize,
    /// What happens while a write is executed.
    hook: Option<Hook>,
}

impl Fake {
    pub(crate) fn new(component: &Arc<[u8]>) -> Arc<Self> {
        Self::until(component, Duration::from_secs(60))
    }

    #[expect(clippy::disallowed_methods, reason = "the deadline of a test")]
    pub(crate) fn until(component: &Arc<[u8]>, remaining: Duration) -> Arc<Self> {
        Arc::new(Self {
            component: component.clone(),
            deadline: Instant::now() + remaining,
            asked: Mutex::default(),
            components_asked: AtomicUsize::new(0),
            hook: None,
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the deadline of a test")]
    pub(crate) fn hooked(component: &Arc<[u8]>, remaining: Duration, hook: Hook) -> Arc<Self> {
        Arc::new(Self {
            component: component.clone(),
            deadline: Instant::now() + remaining,
            asked: Mutex::default(),
            components_asked: AtomicUsize::new(0),
            hook: Some(hook),
        })
    }
}

#[async_trait]
impl Service for Fake {
    async fn execute(
        &self,
        request: ServiceRequest,
        options: CallOptions,
    ) -> Result<ServiceReply, Fault> {
        self.asked.lock().expect("as the test has it").push((request.clone(), options));
        if let Some(hook) = &self.hook {
            return hook(request).await;
        }
        match request {
            ServiceRequest::Write(write) => {
                let refused = |value: &Value| *value == Value::text("refused");
                if write
                    .targets
                    .iter()
                    .any(|target| target.cells.iter().any(|cell| refused(&cell.value)))
                {
                    return Err(Fault::new(
                        code::DUPLICATE_RECORD,
                        "A record with these values already exists.",
                    ));
                }
                let outcomes = (0..write.targets.len())
                    .map(|number| RowOutcome { id: id(0xc0 + number as u128), created: true });
                Ok(ServiceReply::Written(outcomes.collect()))
            }
            ServiceRequest::Retrieve { table, .. } => Ok(ServiceReply::Records(Records {
                records: vec![Record { id: Some(id(0xaa)), ..Record::default() }],
                table,
                more: false,
                cookie: String::new(),
                total: None,
            })),
            ServiceRequest::RetrieveMultiple(_) => {
                Err(Fault::new(code::PRIVILEGE_DENIED, "You may not read."))
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the deadline of a test")]
    fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn component(&self) -> Result<Arc<[u8]>, Fault> {
        self.components_asked.fetch_add(1, Ordering::Relaxed);
        Ok(self.component.clone())
    }
}

/// Runs the unruly component on one contact, told what to do.
pub(crate) async fn run_unruly(host: &Host, catalog: &Arc<Catalog>, what: &str) -> Ran {
    run_told(host, catalog, &crate::guests::unruly(), what).await
}

/// Runs a component of unruly guests on one contact, told what to do.
pub(crate) async fn run_told(
    host: &Host,
    catalog: &Arc<Catalog>,
    component: &Arc<[u8]>,
    what: &str,
) -> Ran {
    let step = step(component, "unruly", what);
    let targets = vec![contact(catalog, "Doe")];
    let call = call(catalog, &step, MessageName::Create, "contact", targets);
    host.run(call, Fake::new(component)).await
}
