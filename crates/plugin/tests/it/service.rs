//! Guests inside of the service: registered as rows, run by messages, undone with them.

use crate::guests;
use crate::house::NOW;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{
    Cell, Fault, LookupValue, MessageName, Target, TargetKey, Uuid, Value, code, derived_id,
};
use pipeline::{Condition, Context, Course, Error, Message, Pipeline, Read, Reply, Stores, Write};
use plugin::Settings;
use query::{BoundQuery, ColumnRef, Order, Paging};
use std::sync::Arc;
use store::MemoryElasticStore;
use store::memory::MemoryStore;

struct House {
    pipeline: Arc<Pipeline>,
}

impl House {
    /// A service in memory with an assembly and these of its types.
    async fn with(component: &[u8], types: &[&str]) -> Self {
        let stores = Stores {
            standard: Arc::new(MemoryStore::new()),
            elastic: Some(Arc::new(MemoryElasticStore::new())),
        };
        let pipeline = Arc::new(Pipeline::open(stores, NOW, 1).await.expect("as the test has it"));
        let settings =
            Settings { guests_max: 2, memory_bytes_max: 32 << 20, ..Settings::default() };
        pipeline.run_steps_with(crate::house::host(settings));
        let this = Self { pipeline };
        let content = Value::text(STANDARD.encode(component));
        let cells = [("name", Value::text("Tests")), ("content", content)];
        this.create("pluginassembly", derived_id("assembly"), &cells)
            .await
            .expect("as the test has it");
        for name in types {
            let cells = [
                ("typename", Value::text(*name)),
                ("friendlyname", Value::text(*name)),
                ("pluginassemblyid", this.to("pluginassembly", derived_id("assembly"))),
            ];
            this.create("plugintype", derived_id(name), &cells).await.expect("as the test has it");
        }
        this
    }

    fn context(&self) -> Context {
        let caller = self.pipeline.organization().caller();
        Context { catalog: self.pipeline.catalog(), caller, now: NOW, course: Course::default() }
    }

    async fn run(&self, message: impl Fn(&Context) -> Message) -> Result<Reply, Fault> {
        loop {
            let context = self.context();
            match self.pipeline.run(&context, message(&context)).await {
                Ok(reply) => return Ok(reply),
                Err(Error::Fault(fault)) => return Err(*fault),
                Err(Error::StaleCatalog) => {
                    self.pipeline.refresh().await.map(drop).expect("as the test has it")
                }
            }
        }
    }

    async fn write(
        &self,
        name: MessageName,
        table: &str,
        targets: &[(TargetKey, Vec<(&str, Value)>)],
    ) -> Result<Reply, Fault> {
        let write = |context: &Context| {
            let table = context.catalog.table(table).expect("as the test has it").clone();
            let target = |(key, cells): &(TargetKey, Vec<(&str, Value)>)| {
                let cells = cells.iter().map(|(column, value)| Cell {
                    column: table.index_of(column).expect("as the test has it"),
                    value: value.clone(),
                });
                Target { key: key.clone(), cells: cells.collect(), ..Target::default() }
            };
            let targets = targets.iter().map(target).collect();
            Message::Write(Write { name, table: table.clone(), targets, condition: Condition::Any })
        };
        self.run(write).await
    }

    async fn create(&self, table: &str, id: Uuid, cells: &[(&str, Value)]) -> Result<Reply, Fault> {
        self.write(MessageName::Create, table, &[(TargetKey::Id(id), cells.to_vec())]).await
    }

    fn to(&self, table: &str, id: Uuid) -> Value {
        let table = self.pipeline.catalog().table(table).expect("as the test has it").id;
        Value::Lookup(LookupValue { table, id })
    }

    /// A step of a type for a message on contacts.
    async fn step(&self, handler: &str, message: &str, stage: i32, configuration: &str) {
        let name = derived_id(&format!("sdkmessage {message}"));
        let filter = derived_id(&format!("sdkmessagefilter {message} contact"));
        let cells = [
            ("name", Value::text(handler)),
            ("sdkmessageid", self.to("sdkmessage", name)),
            ("sdkmessagefilterid", self.to("sdkmessagefilter", filter)),
            ("stage", Value::Integer(stage)),
            ("mode", Value::Integer(0)),
            ("configuration", Value::text(configuration)),
            ("eventhandler", self.to("plugintype", derived_id(handler))),
        ];
        let id = derived_id(&format!("step {handler} {message} {stage} {configuration}"));
        self.create("sdkmessageprocessingstep", id, &cells).await.expect("as the test has it");
    }

    /// Contacts with these last names, in one message.
    async fn contacts(&self, names: &[&str]) -> Result<Reply, Fault> {
        let targets: Vec<_> = names
            .iter()
            .map(|name| (TargetKey::None, vec![("lastname", Value::text(*name))]))
            .collect();
        self.write(MessageName::CreateMultiple, "contact", &targets).await
    }

    /// The values of a column of all rows, sorted as text.
    async fn column(&self, table: &str, column: &str) -> Vec<String> {
        let read = self.run(|context| {
            let table = context.catalog.table(table).expect("as the test has it").clone();
            let key = ColumnRef::root(table.primary_key);
            let query = BoundQuery {
                catalog: context.catalog.clone(),
                columns: vec![ColumnRef::root(table.index_of(column).expect("as the test has it"))],
                table,
                joins: Vec::new(),
                filter: None,
                order: vec![Order { column: key, descending: false }],
                paging: Paging { size: 5_000, after: None, skip: 0, look_ahead: false },
                count_max: None,
                shape: query::Shape::default(),
            };
            Message::Read(Read { name: MessageName::RetrieveMultiple, query })
        });
        let Reply::Page(page) = read.await.expect("as the test has it") else { panic!("a page") };
        let mut values: Vec<String> = page
            .rows(1)
            .map(|row| match &row[0] {
                Value::Text(text) => text.to_string(),
                Value::Guid(id) => id.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        values.sort();
        values
    }
}

const CONTACTS: [&str; 3] = [
    "examples.contacts.normalize_names",
    "examples.contacts.require_last_name",
    "examples.contacts.write_audit",
];

async fn contacts() -> House {
    let house = House::with(&guests::contacts(), &CONTACTS).await;
    house.step(CONTACTS[1], "CreateMultiple", 10, "").await;
    house.step(CONTACTS[0], "CreateMultiple", 20, "").await;
    house.step(CONTACTS[2], "CreateMultiple", 40, "seen").await;
    house
}

#[tokio::test]
async fn bulk_steps_change_what_is_written_and_write_in_bulk_themselves() {
    let house = contacts().await;
    house.contacts(&["  doe ", "LOVELACE", "McDonald"]).await.unwrap();
    assert_eq!(house.column("contact", "lastname").await, ["Doe", "Lovelace", "McDonald"]);
    assert_eq!(house.column("annotation", "subject").await, ["seen", "seen", "seen"]);
}

#[tokio::test]
async fn a_single_create_raises_the_bulk_steps_too() {
    let house = contacts().await;
    let cells = [("lastname", Value::text("doe"))];
    house.create("contact", derived_id("one"), &cells).await.unwrap();
    assert_eq!(house.column("contact", "lastname").await, ["Doe"]);
    assert_eq!(house.column("annotation", "subject").await.len(), 1);
}

#[tokio::test]
async fn target_731_of_1000_refuses_all_of_them_and_is_named() {
    let house = contacts().await;
    let mut names = vec!["doe"; 1_000];
    names[731] = "";
    let fault = house.contacts(&names).await.unwrap_err();
    assert_eq!(
        (fault.code, &*fault.message),
        (code::ISV_ABORTED, "A contact must have a last name.")
    );
    let index = fault.details.iter().find(|(name, _)| &**name == "failedRecordIndex").unwrap();
    assert_eq!(index.1, "731");
    assert!(house.column("contact", "lastname").await.is_empty());
    assert!(house.column("annotation", "subject").await.is_empty());
}

#[tokio::test]
async fn a_guest_that_calls_itself_for_ever_is_stopped_and_all_is_undone() {
    let house = House::with(&guests::unruly(), &["unruly"]).await;
    house.step("unruly", "Create", 40, "call nested").await;
    let fault = house.contacts(&["doe"]).await.unwrap_err();
    assert_eq!(fault.code, code::DEPTH_TOO_HIGH);
    assert!(house.column("contact", "lastname").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_messages_with_steps_four_deep_share_two_threads_and_one_writer() {
    let house = Arc::new(House::with(&guests::unruly(), &["unruly"]).await);
    house.step("unruly", "Create", 40, "nest 4").await;
    let mut messages = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let house = house.clone();
        messages.spawn(async move {
            loop {
                match house.contacts(&["outer"]).await {
                    // The reference waits for nobody: who comes second is told so, and comes again.
                    Err(fault) if fault.code == code::SERVER_BUSY => {}
                    ended => break ended.map(drop),
                }
            }
        });
    }
    let ended =
        tokio::time::timeout(std::time::Duration::from_secs(100), messages.join_all()).await;
    for message in ended.expect("no message waits for another") {
        message.unwrap();
    }
    let names = house.column("contact", "lastname").await;
    assert_eq!(names.iter().filter(|name| *name == "outer").count(), 8);
    assert!(names.iter().filter(|name| *name == "nested").count() > 8);
}

#[tokio::test]
async fn a_message_whose_step_crashes_is_undone_and_the_next_one_is_served() {
    let house = House::with(&guests::unruly(), &["unruly"]).await;
    house.step("unruly", "UpdateMultiple", 40, "panic").await;
    house.contacts(&["doe"]).await.unwrap();
    let ids = house.column("contact", "contactid").await;
    let id: Uuid = ids[0].parse().unwrap();
    let change = [(TargetKey::Id(id), vec![("lastname", Value::text("changed"))])];
    let fault = house.write(MessageName::UpdateMultiple, "contact", &change).await.unwrap_err();
    assert_eq!(fault.code, code::SANDBOX_CRASHED);
    assert_eq!(house.column("contact", "lastname").await, ["doe"]);
    house.contacts(&["roe"]).await.unwrap();
}

#[tokio::test]
async fn what_is_no_component_is_not_stored() {
    let house = House::with(&guests::unruly(), &["unruly"]).await;
    let cells = [("name", Value::text("Bad")), ("content", Value::text(STANDARD.encode("bad")))];
    let fault = house.create("pluginassembly", derived_id("bad"), &cells).await.unwrap_err();
    assert_eq!(fault.code, code::ASSEMBLY_CONTENT_INVALID);
    assert!(fault.message.contains("it is no component"), "{}", fault.message);
    assert_eq!(house.column("pluginassembly", "name").await, ["Tests"]);
}
