//! Codes of registrations and runs that nothing else here shows.

use super::world::{CRATE, World, on, type_id};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{MessageName, TargetKey, Uuid, Value, code};
use pipeline::step::{OperationStatus, Ran, StepFault};

// 67, 69 of plugins.md 7, and 3.4: what an assembly must be.
#[tokio::test]
async fn assemblies_of_other_sources_and_too_large_ones_are_refused() {
    let world = World::open().await;
    let large = STANDARD.encode(vec![b'a'; 16 * 1_024 * 1_024 + 1]);
    let cases = [
        ("QUJD".to_owned(), 1, code::INVALID_ASSEMBLY_SOURCE),
        (large, 0, code::ASSEMBLY_TOO_LARGE),
    ];
    for (content, source, code) in cases {
        let cells = [
            ("name", Value::text("Other")),
            ("content", Value::text(content)),
            ("sourcetype", Value::Integer(source)),
        ];
        let made = world.create("pluginassembly", Uuid::from_u128(7), &cells).await;
        assert_eq!(made.expect_err("it is refused").code, code);
    }
}

// 3.2: a secure configuration is for the server alone.
#[tokio::test]
async fn a_secure_configuration_does_not_go_to_clients() {
    let world = World::open().await;
    let table = "sdkmessageprocessingstepsecureconfig";
    let secret = [("secureconfig", Value::text("secret"))];
    let secret = world.create(table, Uuid::from_u128(8), &secret).await.expect("fine");
    let mut cells = world.cells(&on("a", "Create", 20));
    cells.push(("sdkmessageprocessingstepsecureconfigid", world.to(table, secret)));
    for (deployment, is_fine) in [(0, true), (1, false), (2, false)] {
        let mut cells = cells.clone();
        cells.push(("supporteddeployment", Value::Integer(deployment)));
        let step = Uuid::from_u128(20 + u128::from(deployment.unsigned_abs()));
        let made = world.create("sdkmessageprocessingstep", step, &cells).await;
        match is_fine {
            true => assert_eq!(made.expect("on the server"), step),
            false => {
                let fault = made.expect_err("on clients, too");
                assert_eq!(fault.code, code::SECURE_CONFIG_ON_SERVER_ONLY);
            }
        }
    }
    assert_ne!(type_id("a"), secret);
}

// 84, and what cannot be loaded.
#[tokio::test]
async fn refusals_with_a_status_and_runs_that_cannot_be_loaded_have_their_codes() {
    let world = World::open().await;
    world.register(1, on("crashes", "Create", 20)).await;
    let refused = |http_status| StepFault::Refused {
        message: "not here".to_owned(),
        status: OperationStatus::Failed,
        sub_error_code: 0,
        http_status: Some(http_status),
        details: Vec::new(),
    };
    let cases = [
        (refused(404), code::STEP_NOT_FOUND, "not here"),
        (refused(500), code::STEP_FAILED, "not here"),
        (refused(400), code::STORE_ERROR, "not here"),
        (refused(403), code::ISV_ABORTED, "not here"),
        (
            StepFault::NotLoadable("why".into()),
            code::ASSEMBLY_NOT_LOADED,
            "Unable to load plug-in assembly.",
        ),
        (StepFault::TypeMissing, code::TYPE_NOT_LOADED, "Unable to load plug-in type."),
    ];
    for (why, code, text) in cases {
        world.act("crashes", move |_, _| {
            let why = why.clone();
            async move { Ran::failed(why) }
        });
        let target = world.house.target_of(CRATE, TargetKey::None, &[]);
        let fault = world.write(MessageName::Create, vec![target]).await.expect_err("it fails");
        assert_eq!((fault.code, &*fault.message), (code, text));
        assert_eq!(fault.http_status, (code == code::ISV_ABORTED).then_some(403));
    }
}
