//! A house with a runner of plain functions, and short ways to register and run steps.

use crate::house::House;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Cell, Fault, LookupValue, MessageName, Target, TargetKey, Uuid, Value, derived_id};
use pipeline::step::{
    CallOptions, CellChange, HandlerKind, OfferedType, ParameterChange, ParameterValue, Ran,
    Record, Service, ServiceReply, ServiceRequest, StepAnswer, StepCall, StepFault, StepRunner,
};
use pipeline::{Condition, Write};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use store::RowOutcome;

pub(crate) type Running = Pin<Box<dyn Future<Output = Ran> + Send>>;
type Act = Arc<dyn Fn(StepCall, Arc<dyn Service>) -> Running + Send + Sync>;

/// One run, as the runner saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) step: Uuid,
    pub(crate) stage: i32,
    pub(crate) record: Option<usize>,
    pub(crate) targets: usize,
    pub(crate) call: StepCall,
}

/// Runs steps as functions, by the name of their type; a name without a function does nothing.
#[derive(Default)]
pub(crate) struct Native {
    acts: Mutex<HashMap<String, Act>>,
    seen: Mutex<Vec<Seen>>,
}

#[async_trait]
impl StepRunner for Native {
    async fn run(&self, call: StepCall, service: Arc<dyn Service>) -> Ran {
        let seen = Seen {
            step: call.step.id,
            stage: call.frame.stage,
            record: call.record,
            targets: call.targets.len(),
            call: call.clone(),
        };
        self.seen.lock().expect("no run has panicked").push(seen);
        let act =
            self.acts.lock().expect("no run has panicked").get(call.step.handler.name()).cloned();
        match act {
            Some(act) => act(call, service).await,
            None => Ran::with(StepAnswer::default()),
        }
    }

    /// A component is a list of type names.
    async fn inspect(&self, component: Arc<[u8]>) -> Result<Vec<OfferedType>, String> {
        let text = String::from_utf8(component.to_vec()).map_err(|_| "no text".to_owned())?;
        let offered = text.split(',').map(|name| OfferedType {
            name: name.into(),
            friendly_name: name.into(),
            description: "".into(),
        });
        Ok(offered.collect())
    }

    fn runs(&self, kind: HandlerKind) -> bool {
        kind == HandlerKind::Component
    }
}

pub(crate) struct World {
    pub(crate) house: House,
    pub(crate) native: Arc<Native>,
}

/// A step to register.
#[derive(Clone, Debug)]
pub(crate) struct New<'a> {
    /// Its type; also its name.
    pub(crate) handler: &'a str,
    pub(crate) message: &'a str,
    pub(crate) table: Option<&'a str>,
    pub(crate) stage: i32,
    /// 1 for an asynchronous step.
    pub(crate) mode: i32,
    pub(crate) rank: i32,
    pub(crate) filter: &'a str,
}

pub(crate) const CRATE: &str = "ship_crate";
const ASSEMBLY: Uuid = Uuid::from_u128(0xA55E);
const TYPES: [&str; 12] =
    ["a", "b", "c", "d", "e", "f", "writes", "refuses", "looks", "tags", "nests", "crashes"];

pub(crate) fn on<'a>(handler: &'a str, message: &'a str, stage: i32) -> New<'a> {
    New { handler, message, table: Some(CRATE), stage, mode: 0, rank: 1, filter: "" }
}

impl<'a> New<'a> {
    pub(crate) fn rank(self, rank: i32) -> Self {
        Self { rank, ..self }
    }

    pub(crate) fn filtered(self, filter: &'a str) -> Self {
        Self { filter, ..self }
    }
}

impl World {
    /// A house with an assembly whose types are those of [`TYPES`].
    pub(crate) async fn open() -> Self {
        Self::over(House::open().await).await
    }

    pub(crate) async fn over(house: House) -> Self {
        let native = Arc::new(Native::default());
        house.pipeline.run_steps_with(native.clone());
        let this = Self { house, native };
        let content = STANDARD.encode(TYPES.join(","));
        let cells = [("name", Value::text("Ship")), ("content", Value::text(content))];
        this.create("pluginassembly", ASSEMBLY, &cells).await.expect("an assembly");
        for name in TYPES {
            let assembly = this.to("pluginassembly", ASSEMBLY);
            let cells = [
                ("typename", Value::text(name)),
                ("friendlyname", Value::text(name)),
                ("pluginassemblyid", assembly),
            ];
            this.create("plugintype", type_id(name), &cells).await.expect("a type");
        }
        this
    }

    pub(crate) fn to(&self, table: &str, id: Uuid) -> Value {
        Value::Lookup(LookupValue { table: self.house.table(table).id, id })
    }

    pub(crate) async fn create(
        &self,
        table: &str,
        id: Uuid,
        cells: &[(&str, Value)],
    ) -> Result<Uuid, Fault> {
        let target = self.house.target_of(table, TargetKey::Id(id), cells);
        Ok(self.house.write(MessageName::Create, table, vec![target]).await?[0].id)
    }

    /// The cells of a step.
    pub(crate) fn cells(&self, new: &New<'_>) -> Vec<(&'static str, Value)> {
        let message = derived_id(&format!("sdkmessage {}", new.message));
        let mut cells = vec![
            ("name", Value::text(new.handler)),
            ("sdkmessageid", self.to("sdkmessage", message)),
            ("stage", Value::Integer(new.stage)),
            ("mode", Value::Integer(new.mode)),
            ("rank", Value::Integer(new.rank)),
            ("eventhandler", self.to("plugintype", type_id(new.handler))),
            ("filteringattributes", Value::text(new.filter)),
        ];
        if let Some(table) = new.table {
            let filter = derived_id(&format!("sdkmessagefilter {} {table}", new.message));
            cells.push(("sdkmessagefilterid", self.to("sdkmessagefilter", filter)));
        }
        cells
    }

    pub(crate) async fn try_register(&self, id: u128, new: &New<'_>) -> Result<Uuid, Fault> {
        let cells = self.cells(new);
        self.create("sdkmessageprocessingstep", Uuid::from_u128(id), &cells).await
    }

    pub(crate) async fn register(&self, id: u128, new: New<'_>) -> Uuid {
        self.try_register(id, &new).await.expect("the step is fine")
    }

    pub(crate) async fn try_image(
        &self,
        step: Uuid,
        (alias, kind, columns): (&str, i32, &str),
    ) -> Result<Uuid, Fault> {
        let cells = [
            ("name", Value::text(alias)),
            ("entityalias", Value::text(alias)),
            ("imagetype", Value::Integer(kind)),
            ("attributes", Value::text(columns)),
            ("sdkmessageprocessingstepid", self.to("sdkmessageprocessingstep", step)),
        ];
        let id = derived_id(&format!("{step} {alias} {kind}"));
        self.create("sdkmessageprocessingstepimage", id, &cells).await
    }

    /// What a type does.
    pub(crate) fn act<F>(
        &self,
        name: &str,
        act: impl Fn(StepCall, Arc<dyn Service>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Ran> + Send + 'static,
    {
        let act: Act = Arc::new(move |call, service| Box::pin(act(call, service)));
        self.native.acts.lock().expect("no run has panicked").insert(name.to_owned(), act);
    }

    /// What was run since the last time that somebody asked.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.native.seen.lock().expect("no run has panicked"))
    }

    /// The same in short: stage, step's message, its name, and the record or the number of targets.
    pub(crate) fn trace(&self) -> String {
        let line = |seen: Seen| {
            let what = match seen.record {
                Some(record) => format!("#{record}"),
                None if seen.call.is_bulk() => format!("all {}", seen.targets),
                None => "?".to_owned(),
            };
            format!("{} {} {} {what}", seen.stage, seen.call.step.message, seen.call.step.name)
        };
        self.seen().into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn crates(&self, labels: &[&str]) -> Vec<Target> {
        let target = |label: &&str| {
            self.house.target(TargetKey::None, &[("ship_label", Value::text(*label))])
        };
        labels.iter().map(target).collect()
    }

    pub(crate) async fn write(
        &self,
        name: MessageName,
        targets: Vec<Target>,
    ) -> Result<Vec<RowOutcome>, Fault> {
        self.house.write(name, CRATE, targets).await
    }

    pub(crate) async fn labels(&self) -> Vec<Value> {
        self.house.rows(CRATE, &["ship_label"]).await.into_iter().flatten().collect()
    }
}

pub(crate) fn type_id(name: &str) -> Uuid {
    derived_id(&format!("test type {name}"))
}

/// An answer that sets a column of every target.
pub(crate) fn sets(call: &StepCall, column: &str, value: Option<Value>) -> Ran {
    let column = call.frame.table.index_of(column).expect("the column exists");
    let change = |target| CellChange { target, column, value: value.clone() };
    let targets = (0..call.targets.len()).map(change).collect();
    Ran::with(StepAnswer { targets, ..StepAnswer::default() })
}

/// A refusal with this text.
pub(crate) fn refuses(message: &str) -> Ran {
    Ran::failed(StepFault::Refused {
        message: message.to_owned(),
        status: pipeline::step::OperationStatus::Failed,
        sub_error_code: 0,
        http_status: None,
        details: Vec::new(),
    })
}

/// A change of a shared variable.
pub(crate) fn shares(name: &str, value: &str) -> Ran {
    let value = Some(ParameterValue::One(Value::text(value)));
    let shared = vec![ParameterChange { name: name.into(), value }];
    Ran::with(StepAnswer { shared, ..StepAnswer::default() })
}

/// What a step sends: new crates with these labels.
pub(crate) fn creates(call: &StepCall, labels: &[&str]) -> ServiceRequest {
    let table = call.catalog.table(CRATE).expect("the table exists").clone();
    let column = table.index_of("ship_label").expect("the column exists");
    let target = |label: &&str| Target {
        cells: vec![Cell { column, value: Value::text(*label) }],
        ..Target::default()
    };
    let name = match labels.len() {
        1 => MessageName::Create,
        _ => MessageName::CreateMultiple,
    };
    let targets = labels.iter().map(target).collect();
    ServiceRequest::Write(Write { name, table, targets, condition: Condition::Any })
}

pub(crate) async fn sends(
    service: &Arc<dyn Service>,
    request: ServiceRequest,
) -> Result<ServiceReply, Fault> {
    service.execute(request, CallOptions::default()).await
}

/// The value of a column of a record, by name.
pub(crate) fn value(call: &StepCall, record: &Record, column: &str) -> Option<Value> {
    record.get(call.frame.table.index_of(column)?).cloned()
}
