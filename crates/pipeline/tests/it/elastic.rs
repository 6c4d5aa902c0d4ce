//! Messages on elastic tables, as other rooms than the Web API send them.

use crate::house::{House, NOW, id};
use model::{
    Label, MessageName, NewColumn, NewTable, Ownership, RequiredLevel, TableKind, Target,
    TargetKey, TextFormat, Uuid, Value, code, partition,
};
use pipeline::{Condition, Definition, Error, Message, Pipeline, Reply, Stores, Write};
use std::sync::Arc;
use store::RowOutcome;
use store::memory::MemoryStore;

fn ping() -> NewTable {
    NewTable {
        schema_name: "ship_Ping".into(),
        entity_set_name: None,
        display_name: Label::english("Ping"),
        display_collection_name: Label::english("Pings"),
        description: Label::default(),
        ownership: Ownership::Organization,
        kind: TableKind::Elastic,
        has_notes: false,
        has_activities: false,
        change_tracking: None,
        settings: model::TableSettings::default(),
        columns: vec![NewColumn {
            schema_name: "ship_Source".into(),
            display_name: Label::english("Source"),
            description: Label::default(),
            required: RequiredLevel::None,
            kind: model::ColumnKind::Text { max_length: 10, format: TextFormat::Text },
            is_primary_name: true,
            global_choice: None,
            settings: model::ColumnSettings::default(),
        }],
    }
}

async fn with_pings() -> House {
    let house = House::open().await;
    house.define(Definition::CreateTables(vec![ping()])).await.expect("an elastic table");
    house
}

fn target(house: &House, number: u128, partition: &str, source: &str) -> Target {
    let cells = [("partitionid", Value::text(partition)), ("ship_source", Value::text(source))];
    house.target_of("ship_ping", id(number), &cells)
}

async fn sources(house: &House) -> Vec<Vec<Value>> {
    house.rows("ship_ping", &["ship_source", "partitionid"]).await
}

#[tokio::test]
async fn any_split_into_messages_gives_the_same_table() {
    let mut tables = Vec::new();
    for size in [1, 3, 7, 20] {
        let house = with_pings().await;
        let numbers: Vec<u128> = (0..20).collect();
        for (name, text) in [
            (MessageName::CreateMultiple, "first"),
            (MessageName::UpsertMultiple, "second"),
            (MessageName::UpdateMultiple, "third"),
        ] {
            for chunk in numbers.chunks(size) {
                let targets = chunk
                    .iter()
                    .map(|number| target(&house, number % 10, &format!("p{}", number / 10), text));
                house.write(name, "ship_ping", targets.collect()).await.expect("valid targets");
            }
        }
        let gone = numbers.iter().filter(|number| **number % 3 == 0);
        let gone: Vec<Target> = gone
            .map(|number| target(&house, number % 10, &format!("p{}", number / 10), ""))
            .collect();
        for chunk in gone.chunks(size) {
            house
                .write(MessageName::DeleteMultiple, "ship_ping", chunk.to_vec())
                .await
                .expect("there");
        }
        tables.push(sources(&house).await);
    }
    assert_eq!(tables[0].len(), 13);
    assert!(tables.windows(2).all(|pair| pair[0] == pair[1]), "{tables:?}");
}

#[tokio::test]
async fn a_bulk_message_answers_one_outcome_per_target() {
    let house = with_pings().await;
    let table = house.table("ship_ping");
    let targets = vec![
        target(&house, 1, "p", "ok"),
        target(&house, 2, "p", "longer than ten"),
        target(&house, 1, "p", "again"),
    ];
    let name = MessageName::CreateMultiple;
    let message = Write { name, table, targets, condition: Condition::Any };
    let Ok(Reply::Partly(partly)) = house.run(Message::Write(message)).await else {
        panic!("two targets fail")
    };
    let outcomes = partly.outcomes;
    assert_eq!(outcomes[0], Ok(RowOutcome { id: Uuid::from_u128(1), created: true }));
    let failed = |place: usize| outcomes[place].clone().expect_err("it fails");
    assert_eq!((failed(1).index, failed(1).code), (1, code::STRING_LENGTH_TOO_LONG));
    assert_eq!((failed(2).index, failed(2).code), (2, code::DUPLICATE_RECORD));
    assert!(house.pipeline.elastic_version().is_some());
}

#[tokio::test]
async fn a_single_message_is_a_bulk_of_one_and_fails_with_a_fault() {
    let house = with_pings().await;
    let again = || vec![target(&house, 1, "p", "s")];
    house.write(MessageName::Create, "ship_ping", again()).await.expect("a new row");
    let fault = house.write(MessageName::Create, "ship_ping", again()).await.expect_err("exists");
    assert_eq!((fault.code, fault.failures.len()), (code::DUPLICATE_RECORD, 0));
    let table = house.table("ship_ping");
    let key = partition::key(&table, Uuid::from_u128(1), Some("q"));
    let other = Target { key, ..Target::default() };
    let fault = house.write(MessageName::Delete, "ship_ping", vec![other]).await;
    assert_eq!(fault.expect_err("missing").code, code::RECORD_NOT_FOUND_BY_ENTITY_KEY);
    let nobody = Target { key: TargetKey::None, ..Target::default() };
    let fault = house.write(MessageName::Update, "ship_ping", vec![nobody]).await;
    assert_eq!(fault.expect_err("no id").code, code::OBJECT_DOES_NOT_EXIST);
}

#[tokio::test]
async fn without_a_store_for_them_elastic_tables_are_refused() {
    let stores = Stores { standard: Arc::new(MemoryStore::default()), elastic: None };
    let pipeline = Pipeline::open(stores, NOW, 1).await.expect("opens");
    let context = pipeline::Context {
        catalog: pipeline.catalog(),
        caller: pipeline.organization().caller(),
        now: NOW,
        course: pipeline::Course::default(),
    };
    let message = Message::Define(Definition::CreateTables(vec![ping()]));
    let Err(Error::Fault(fault)) = pipeline.run(&context, message).await else {
        panic!("there is no store")
    };
    assert_eq!(fault.code, code::NOT_SUPPORTED);
    assert!(fault.text().contains("no store for elastic tables"), "{}", fault.text());
}
