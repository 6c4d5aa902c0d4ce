//! What the world of `wit/plugin.wit` is in Rust, on the host's side.
//!
//! Not here: any meaning; that is in `codec` (rows and values) and `service` (what guests call).
//! Invariant: nothing is written by hand below; a change of the world shows up as a compile error elsewhere.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::let_underscore_must_use,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "generated from the world"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "plugin",
    imports: { default: trappable },
    additional_derives: [PartialEq],
});
