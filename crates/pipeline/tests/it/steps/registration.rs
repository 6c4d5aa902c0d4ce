//! What can be registered, and when it takes effect.

use super::world::{CRATE, New, World, on};
use crate::house::{House, id};
use model::{Fault, MessageName, Uuid, Value, code};

async fn update(world: &World, step: u128, cells: &[(&str, Value)]) -> Result<(), Fault> {
    let target = world.house.target_of("sdkmessageprocessingstep", id(step), cells);
    world.house.write(MessageName::Update, "sdkmessageprocessingstep", vec![target]).await.map(drop)
}

// 3, 4: stages and modes.
#[tokio::test]
async fn stages_and_modes_that_cannot_be_are_refused() {
    let world = World::open().await;
    for stage in [5, 15, 25, 30, 35, 45, 50, 55, 80, 90] {
        let fault = world.try_register(1, &on("a", "Create", stage)).await.expect_err("internal");
        assert_eq!(fault.code, code::REGISTRATION_INVALID, "{stage}");
    }
    for stage in [10, 20, 40] {
        let mut cells = world.cells(&on("a", "Create", stage));
        cells.push(("asyncautodelete", Value::Boolean(true)));
        for cell in &mut cells {
            if cell.0 == "mode" {
                cell.1 = Value::Integer(1);
            }
        }
        let made = world.create("sdkmessageprocessingstep", Uuid::from_u128(1), &cells).await;
        match stage {
            40 => assert_eq!(made.expect("behind the write"), Uuid::from_u128(1)),
            _ => assert_eq!(made.expect_err("before it").code, code::REGISTRATION_INVALID),
        }
    }
}

// 50: messages and tables without steps.
#[tokio::test]
async fn messages_and_tables_that_take_no_steps_are_refused() {
    let world = World::open().await;
    let cases = [
        ("Create", "role", code::STEP_NOT_ALLOWED),
        ("Create", "sdkmessageprocessingstep", code::STEP_NOT_ALLOWED),
        ("Retrieve", CRATE, code::STEP_NOT_ALLOWED),
        ("Upsert", CRATE, code::STEP_NOT_ALLOWED),
        ("UpsertMultiple", CRATE, code::STEP_NOT_ALLOWED),
        ("DeleteMultiple", CRATE, code::STEP_NOT_ALLOWED),
    ];
    for (message, table, code) in cases {
        let new = New { table: Some(table), ..on("a", message, 20) };
        let fault = world.try_register(1, &new).await.expect_err("not there");
        assert_eq!(fault.code, code, "{message} {table}: {fault}");
    }
    let new = New { filter: "ship_nothing", ..on("a", "Update", 20) };
    let fault = world.try_register(1, &new).await.expect_err("no such column");
    assert_eq!(fault.code, code::REGISTRATION_INVALID);
}

// 5: what is disabled does not run; changes count from the next message on.
#[tokio::test]
async fn changes_take_effect_with_the_next_message() {
    let world = World::open().await;
    world.register(1, on("a", "Create", 20)).await;
    let run = async || {
        world.write(MessageName::Create, world.crates(&["x"])).await.expect("fine");
        world.seen().len()
    };
    assert_eq!(run().await, 1);
    let state = |state, status| {
        [("statecode", Value::Integer(state)), ("statuscode", Value::Integer(status))]
    };
    update(&world, 1, &state(1, 2)).await.expect("disabled");
    assert_eq!(run().await, 0);
    update(&world, 1, &state(0, 1)).await.expect("enabled");
    assert_eq!(run().await, 1);
    let target = world.house.target_of("sdkmessageprocessingstep", id(1), &[]);
    let name = MessageName::Delete;
    world.house.write(name, "sdkmessageprocessingstep", vec![target]).await.expect("deleted");
    assert_eq!(run().await, 0);
}

// 34: images that cannot be.
#[tokio::test]
async fn images_that_cannot_be_are_refused() {
    let world = World::open().await;
    let create = world.register(1, on("a", "CreateMultiple", 40)).await;
    let early = world.register(2, on("b", "Update", 20)).await;
    let delete = world.register(3, on("c", "Delete", 40)).await;
    let cases = [
        (create, 0, code::IMAGE_TYPE_NOT_SUPPORTED),
        (early, 1, code::NO_POST_IMAGE_BEFORE),
        (delete, 2, code::IMAGE_TYPE_NOT_SUPPORTED),
        (early, 7, code::REGISTRATION_INVALID),
    ];
    for (step, kind, code) in cases {
        let fault = world.try_image(step, ("i", kind, "")).await.expect_err("cannot be");
        assert!(fault.code == code || kind == 7, "{kind}: {fault}");
    }
    world.try_image(early, ("i", 0, "ship_label")).await.expect("fine");
    let fault = world.try_image(early, ("i", 2, "ship_label")).await.expect_err("post at 20");
    assert_eq!(fault.code, code::NO_POST_IMAGE_BEFORE);
    // A step cannot move away from under its image.
    world.try_image(create, ("after", 1, "ship_label")).await.expect("fine");
    let fault = update(&world, 1, &[("stage", Value::Integer(20))]).await.expect_err("its image");
    assert_eq!(fault.code, code::NO_POST_IMAGE_BEFORE);
}

// 67 to 70: assemblies and types.
#[tokio::test]
async fn assemblies_and_types_are_looked_into() {
    let world = World::open().await;
    let content = |text: &str| {
        use base64::Engine as _;
        Value::text(base64::engine::general_purpose::STANDARD.encode(text))
    };
    let one = Uuid::from_u128(0xA1);
    let named = |name: &str, value| [("name", Value::text(name)), ("content", value)];
    let cases = [
        (named("bad", Value::text("?")), code::ASSEMBLY_CONTENT_INVALID),
        (named("Ship", content("z")), code::ASSEMBLY_NOT_UNIQUE),
    ];
    for (cells, code) in cases {
        let fault = world.create("pluginassembly", one, &cells).await.expect_err("bad");
        assert_eq!(fault.code, code, "{fault}");
    }
    world.create("pluginassembly", one, &named("Other", content("p,q"))).await.expect("fine");
    let of_type = |name: &str| {
        [
            ("typename", Value::text(name)),
            ("friendlyname", Value::text(name)),
            ("pluginassemblyid", world.to("pluginassembly", one)),
        ]
    };
    let new = |number, name: &'static str| {
        let cells = of_type(name);
        let world = &world;
        async move { world.create("plugintype", Uuid::from_u128(number), &cells).await }
    };
    new(1, "p").await.expect("it offers p");
    assert_eq!(new(2, "p").await.expect_err("twice").code, code::TYPE_NOT_UNIQUE);
    assert_eq!(new(3, "r").await.expect_err("none").code, code::TYPE_NOT_IN_ASSEMBLY);
    let push = async |text: &str| {
        let target = world.house.target_of(
            "pluginassembly",
            model::TargetKey::Id(one),
            &[("content", content(text))],
        );
        world.house.write(MessageName::Update, "pluginassembly", vec![target]).await
    };
    assert_eq!(push("q").await.expect_err("p is gone").code, code::ASSEMBLY_CONTENT_INVALID);
    push("p,q,r").await.expect("fine");
    new(3, "r").await.expect("it offers r now");
    let hashes = world.house.rows("pluginassembly", &["sourcehash"]).await;
    assert!(hashes.iter().all(|row| matches!(&row[0], Value::Text(hash) if hash.len() == 64)));
    // What steps hang on stays.
    world.register(9, on("a", "Create", 20)).await;
    let target =
        world.house.target_of("plugintype", model::TargetKey::Id(super::world::type_id("a")), &[]);
    let fault = world.house.write(MessageName::Delete, "plugintype", vec![target]).await;
    assert_eq!(fault.expect_err("in use").code, code::CANNOT_DELETE_DUE_TO_ASSOCIATION);
}

#[tokio::test]
async fn a_service_that_runs_no_steps_registers_none() {
    let house = House::open().await;
    let cells = [("name", Value::text("x")), ("content", Value::text("eA=="))];
    let target = house.target_of("pluginassembly", id(1), &cells);
    let fault = house.write(MessageName::Create, "pluginassembly", vec![target]).await;
    assert_eq!(fault.expect_err("nobody runs it").code, code::SANDBOX_DISABLED);
}

#[tokio::test]
async fn a_dropped_table_takes_its_steps_with_it() {
    let world = World::open().await;
    world.register(1, on("a", "Create", 20)).await;
    let table = world.house.table(CRATE);
    world.house.define(pipeline::Definition::DropTable(table)).await.expect("it goes");
    assert!(world.house.rows("sdkmessageprocessingstep", &["name"]).await.is_empty());
}
