//! A pipeline over the reference store, workers, and a clock that stands still unless it is moved.

use jobs::{Host, Worker};
use model::{
    Cell, Fault, Label, MessageName, NewRelationship, RequiredLevel, Target, TargetKey, Timestamp,
    Uuid, Value,
};
use pipeline::job::NewJob;
use pipeline::{Condition, Context, Definition, Error, Message, Pipeline, Read, Reply, Write};
use query::{BoundQuery, ColumnRef, Compare, Filter, Order, Paging};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use store::MemoryElasticStore;
use store::elastic::ElasticStore;
use store::memory::MemoryStore;

pub(crate) const NOW: i64 = 1_750_000_000;
/// Deletes every account whose name begins with `old`.
pub(crate) const OLD_ACCOUNTS: &str = r#"[{"EntityName":"account","Criteria":{"FilterOperator":"And","Conditions":[{"AttributeName":"name","Operator":"BeginsWith","Values":[{"Type":"System.String","Value":"old"}]}]}}]"#;
/// Deletes every lead whose subject is `old`. Nothing points to the leads of these tests.
pub(crate) const OLD_LEADS: &str = r#"[{"EntityName":"lead","Criteria":{"FilterOperator":"And","Conditions":[{"AttributeName":"subject","Operator":"Equal","Values":[{"Value":"old","Type":"System.String"}]}]}}]"#;

pub(crate) struct House {
    pub(crate) pipeline: Arc<Pipeline>,
    now: Arc<AtomicI64>,
}

/// What both rows of a job say.
#[derive(Debug, PartialEq)]
pub(crate) struct Report {
    pub(crate) status: i32,
    pub(crate) detail_status: i32,
    pub(crate) successes: i32,
    pub(crate) failures: i32,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::over(Arc::new(MemoryElasticStore::default())).await
    }

    /// A house with this store of elastic tables.
    pub(crate) async fn over(elastic: Arc<dyn ElasticStore>) -> Self {
        let stores =
            pipeline::Stores { standard: Arc::new(MemoryStore::default()), elastic: Some(elastic) };
        let pipeline = Pipeline::open(stores, Timestamp(NOW), 42).await.expect("it opens");
        Self { pipeline: Arc::new(pipeline), now: Arc::new(AtomicI64::new(NOW)) }
    }

    /// Takes messages from a table, as a configuration does. Nobody else has the pipeline yet.
    pub(crate) async fn take_away(&mut self, table: &str, messages: &[&str]) {
        let messages = messages.iter().map(|name| (*name).to_owned()).collect();
        let named = [(table.to_owned(), messages)].into();
        let pipeline = Arc::get_mut(&mut self.pipeline).expect("nobody else has it");
        pipeline.make_unavailable(&named, Timestamp(NOW)).await.expect("known names");
    }

    /// A lead that points to an account holds it.
    pub(crate) async fn restrict(&self) {
        let relationship = NewRelationship {
            schema_name: "new_account_lead".into(),
            referenced_table: "account".into(),
            referencing_table: "lead".into(),
            lookup_schema_name: "new_Holder".into(),
            lookup_display_name: Label::english("Holder"),
            lookup_description: Label::default(),
            lookup_required: RequiredLevel::None,
            referenced_navigation: None,
            referencing_navigation: None,
            cascade: model::Cascade::on_delete(model::DeleteAction::Restrict),
            is_hierarchical: false,
            settings: model::RelationshipSettings::default(),
        };
        let define = Message::Define(Definition::CreateRelationship(relationship));
        self.run(define).await.expect("a plain relationship");
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            catalog: self.pipeline.catalog(),
            caller: self.pipeline.organization().caller(),
            now: Timestamp(self.now.load(Ordering::SeqCst)),
            course: pipeline::Course::default(),
        }
    }

    pub(crate) fn worker(&self, host: &str) -> Worker {
        let now = self.now.clone();
        let clock = Arc::new(move || Timestamp(now.load(Ordering::SeqCst)));
        Worker::new(self.pipeline.clone(), Host(host.into()), clock)
    }

    pub(crate) async fn run(&self, message: Message) -> Result<Reply, Fault> {
        match self.pipeline.run(&self.context(), message).await {
            Ok(reply) => Ok(reply),
            Err(Error::Fault(fault)) => Err(*fault),
            Err(Error::StaleCatalog) => panic!("the context was taken from the newest catalog"),
        }
    }

    pub(crate) async fn write(
        &self,
        name: MessageName,
        table: &str,
        targets: Vec<Target>,
    ) -> Result<Vec<Uuid>, Fault> {
        let table = self.pipeline.catalog().table(table).expect("it exists").clone();
        let write = Write { name, table, targets, condition: Condition::Any };
        match self.run(Message::Write(write)).await? {
            Reply::Written(outcomes) => Ok(outcomes.iter().map(|outcome| outcome.id).collect()),
            other => panic!("a write answered {other:?}"),
        }
    }

    /// Makes rows with one value each.
    pub(crate) async fn make(
        &self,
        table: &str,
        count: usize,
        values: &[(&str, Value)],
    ) -> Vec<Uuid> {
        let catalog = self.pipeline.catalog();
        let definition = catalog.table(table).expect("it exists");
        let cells: Vec<Cell> = values
            .iter()
            .map(|(name, value)| Cell {
                column: definition.index_of(name).expect("the column exists"),
                value: value.clone(),
            })
            .collect();
        let target = || Target { cells: cells.clone(), ..Target::default() };
        let targets = (0..count).map(|_| target()).collect();
        self.write(MessageName::CreateMultiple, table, targets).await.expect("plain rows")
    }

    pub(crate) async fn start(&self, data: &str) -> Uuid {
        self.start_with(data, |_| {}).await
    }

    pub(crate) async fn start_with(&self, data: &str, change: impl FnOnce(&mut NewJob)) -> Uuid {
        let mut new = NewJob {
            name: "purge".into(),
            start: None,
            source: None,
            pattern: "".into(),
            data: data.into(),
            queries: "<fetch/>".into(),
            table: "account".into(),
        };
        change(&mut new);
        match self.run(Message::StartJob(new)).await.expect("a plain job") {
            Reply::Written(outcomes) => outcomes[0].id,
            other => panic!("a new job answered {other:?}"),
        }
    }

    /// A caller's PATCH of the job.
    pub(crate) async fn patch(&self, job: Uuid, values: &[(&str, Value)]) -> Result<(), Fault> {
        let catalog = self.pipeline.catalog();
        let table = catalog.table("asyncoperation").expect("it exists");
        let cells = values.iter().map(|(name, value)| Cell {
            column: table.index_of(name).expect("the column exists"),
            value: value.clone(),
        });
        let target =
            Target { key: TargetKey::Id(job), cells: cells.collect(), ..Target::default() };
        self.write(MessageName::Upsert, "asyncoperation", vec![target]).await.map(drop)
    }

    /// Every row of a table whose column is this id, by the named columns.
    pub(crate) async fn rows(
        &self,
        table: &str,
        by: Option<(&str, Uuid)>,
        columns: &[&str],
    ) -> Vec<Vec<Value>> {
        let catalog = self.pipeline.catalog();
        let table = catalog.table(table).expect("it exists").clone();
        let at = |name: &str| ColumnRef::root(table.index_of(name).expect("the column exists"));
        let key = ColumnRef::root(table.primary_key);
        let query = BoundQuery {
            catalog: catalog.clone(),
            joins: Vec::new(),
            columns: columns.iter().map(|name| at(name)).collect(),
            filter: by.map(|(name, id)| Filter::Compare {
                column: at(name),
                compare: Compare::Equal,
                value: Value::Guid(id),
            }),
            order: vec![Order { column: key, descending: false }],
            paging: Paging { size: 100_000, after: None, skip: 0, look_ahead: false },
            count_max: None,
            shape: query::Shape::default(),
            table,
        };
        let read = Read { name: MessageName::RetrieveMultiple, query };
        match self.run(Message::Read(read)).await.expect("a read") {
            Reply::Page(page) => page.rows(columns.len()).map(<[Value]>::to_vec).collect(),
            other => panic!("a read answered {other:?}"),
        }
    }

    pub(crate) async fn count(&self, table: &str) -> usize {
        self.rows(table, None, &["versionnumber"]).await.len()
    }

    pub(crate) async fn report(&self, job: Uuid) -> Report {
        let number = |value: &Value| match value {
            Value::Integer(number) => *number,
            other => panic!("{other:?} is no number"),
        };
        let by = Some(("asyncoperationid", job));
        let rows = self.rows("asyncoperation", by, &["statuscode"]).await;
        let columns = ["statuscode", "successcount", "failurecount"];
        let details = self.rows("bulkdeleteoperation", by, &columns).await;
        Report {
            status: number(&rows[0][0]),
            detail_status: number(&details[0][0]),
            successes: number(&details[0][1]),
            failures: number(&details[0][2]),
        }
    }
}

/// Steps until there is nothing to do.
pub(crate) async fn exhaust(worker: &mut Worker) {
    for _ in 0..100_000 {
        if !worker.step().await.expect("a step") {
            return;
        }
    }
    panic!("the worker does not come to an end");
}

pub(crate) fn report(status: i32, successes: i32, failures: i32) -> Report {
    Report { status, detail_status: status, successes, failures }
}
