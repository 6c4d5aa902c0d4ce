//! What is looked at before a component is stored, and how often one is compiled.

use crate::guests;
use crate::house::{Fake, call, catalog, host, step};
use model::MessageName;
use pipeline::step::{HandlerKind, StepFault, StepRunner};
use plugin::Settings;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What every component begins with, and every core module.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A section of a component.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut section = vec![id, u8::try_from(content.len()).expect("as the test has it")];
    section.extend_from_slice(content);
    section
}

fn named(name: &str) -> Vec<u8> {
    [&[0, u8::try_from(name.len()).expect("as the test has it")], name.as_bytes()].concat()
}

/// `(component (import NAME (instance)))`
fn importing(name: &str) -> Arc<[u8]> {
    let types = section(7, &[1, 0x42, 0]);
    let imports = section(10, &[&[1], named(name).as_slice(), &[5, 0]].concat());
    [COMPONENT, types.as_slice(), imports.as_slice()].concat().into()
}

/// `(component (component) (instance (instantiate 0)) (export NAME (instance 0)))`
fn exporting_nothing_as(name: &str) -> Arc<[u8]> {
    let inner = section(4, COMPONENT);
    let instances = section(5, &[1, 0, 0, 0]);
    let exports = section(11, &[&[1], named(name).as_slice(), &[5, 0, 0]].concat());
    [COMPONENT, inner.as_slice(), instances.as_slice(), exports.as_slice()].concat().into()
}

async fn refused(component: Arc<[u8]>) -> String {
    host(Settings::default()).inspect(component).await.expect_err("as the test has it")
}

#[tokio::test]
async fn a_component_tells_the_types_that_it_offers() {
    let host = host(Settings::default());
    let types = host.inspect(guests::contacts()).await.unwrap();
    let names: Vec<&str> = types.iter().map(|offered| &*offered.name).collect();
    assert_eq!(
        names,
        [
            "examples.contacts.write_audit",
            "examples.contacts.collect_ids",
            "examples.contacts.normalize_names",
            "examples.contacts.require_last_name",
        ]
    );
    assert_eq!(&*types[2].description, "Normalises first, middle and last names.");
    assert!(host.runs(HandlerKind::Component) && host.runs(HandlerKind::Webhook));
}

#[tokio::test]
async fn what_is_no_component_is_refused_with_a_reason() {
    assert!(refused(Arc::from(&b"hello"[..])).await.starts_with("it is no component"));
    assert!(refused(Arc::from(&b""[..])).await.starts_with("it is no component"));
    assert!(refused(MODULE.into()).await.contains("a core module, not a component"));
    let neither =
        "it exports neither `sheaf:plugin/lean-handler@1.1.0` nor `sheaf:plugin/handler@1.0.0`";
    assert_eq!(refused(COMPONENT.into()).await, neither);
    for version in ["handler@1.2.0", "lean-handler@1.2.0", "lean-handler@2.0.0"] {
        let component = exporting_nothing_as(&format!("sheaf:plugin/{version}"));
        assert_eq!(refused(component).await, neither);
    }
}

#[tokio::test]
async fn a_foreign_import_is_refused_by_name() {
    for name in [
        "wasi:cli/environment@0.2.0",
        "wasi:clocks/wall-clock@0.2.3",
        "sheaf:plugin/network@1.0.0",
        "sheaf:plugin/tracing@1.2.0",
        "sheaf:plugin/handing@1.1.0",
        "sheaf:plugin/tracing@2.0.0",
    ] {
        let why = refused(importing(name)).await;
        assert!(why.contains(&format!("`{name}`")), "{why}");
    }
}

#[tokio::test]
async fn an_export_of_another_shape_is_refused() {
    for export in ["handler@1.0.0", "handler@1.1.0", "lean-handler@1.1.0"] {
        let component = exporting_nothing_as(&format!("sheaf:plugin/{export}"));
        assert!(refused(component).await.starts_with("it is not of the world"), "{export}");
    }
}

#[tokio::test]
async fn a_type_that_the_component_does_not_offer_is_missing() {
    let (host, catalog) = (host(Settings::default()), catalog().await);
    let component = guests::unruly();
    let step = step(&component, "no.such.type", "idle");
    let call = call(&catalog, &step, MessageName::Create, "contact", Vec::new());
    let ran = host.run(call, Fake::new(&component)).await;
    assert!(matches!(ran.answer, Err(StepFault::TypeMissing)), "{:?}", ran.answer);
}

#[tokio::test]
async fn a_component_that_cannot_be_loaded_says_so_and_is_asked_for_again() {
    let (host, catalog) = (host(Settings::default()), catalog().await);
    let broken: Arc<[u8]> = Arc::from(&b"broken"[..]);
    let step = step(&broken, "unruly", "idle");
    let service = Fake::new(&broken);
    for asked in 1..=2 {
        let call = call(&catalog, &step, MessageName::Create, "contact", Vec::new());
        let ran = host.run(call, service.clone()).await;
        assert!(matches!(ran.answer, Err(StepFault::NotLoadable(_))), "{:?}", ran.answer);
        assert_eq!(service.components_asked.load(Ordering::Relaxed), asked);
    }
}

#[tokio::test]
async fn the_bytes_of_a_component_are_asked_for_once() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("components");
    let (host, catalog) =
        (host(Settings { cache: Some(cache.clone()), ..Settings::default() }), catalog().await);
    let component = guests::unruly();
    let step = step(&component, "unruly", "idle");
    let service = Fake::new(&component);
    let new = || call(&catalog, &step, MessageName::Create, "contact", Vec::new());
    let (one, two) =
        tokio::join!(host.run(new(), service.clone()), host.run(new(), service.clone()));
    assert!(one.answer.is_ok() && two.answer.is_ok());
    assert!(host.run(new(), service.clone()).await.answer.is_ok());
    assert_eq!(service.components_asked.load(Ordering::Relaxed), 1);
    assert_eq!(std::fs::read_dir(cache).expect("as the test has it").count(), 1);
}

#[tokio::test]
async fn instances_from_a_pool_run_the_same() {
    let settings = Settings { pooled: Some(8), memory_bytes_max: 16 << 20, ..Settings::default() };
    let (host, catalog) = (host(settings), catalog().await);
    for what in ["idle", "panic", "idle"] {
        let ran = crate::house::run_unruly(&host, &catalog, what).await;
        assert_eq!(ran.answer.is_ok(), what == "idle", "{:?}", ran.answer);
    }
}
