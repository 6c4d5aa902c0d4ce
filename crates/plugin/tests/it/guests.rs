//! Components to test with: the examples and the unruly ones.

use std::sync::{Arc, OnceLock};

/// The four plug-ins for contacts.
pub(crate) fn contacts() -> Arc<[u8]> {
    static BYTES: OnceLock<Arc<[u8]>> = OnceLock::new();
    BYTES.get_or_init(|| component("contacts")).clone()
}

/// What misbehaves as it is told.
pub(crate) fn unruly() -> Arc<[u8]> {
    static BYTES: OnceLock<Arc<[u8]>> = OnceLock::new();
    BYTES.get_or_init(|| component("unruly")).clone()
}

/// The same in the whole form, built against version 1.0 of the world.
pub(crate) fn unruly_whole() -> Arc<[u8]> {
    static BYTES: OnceLock<Arc<[u8]>> = OnceLock::new();
    BYTES.get_or_init(|| component("unruly_whole")).clone()
}

fn component(name: &str) -> Arc<[u8]> {
    let module = testkit::guests::module(name).expect("as the test has it");
    plugin::componentize(&module).expect("as the test has it").into()
}
