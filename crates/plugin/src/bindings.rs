//! What the worlds of `wit/plugin.wit` are in Rust, on the host's side: one world that has the exports of both.
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
    inline: "
        package sheaf:host;
        world both {
            include sheaf:plugin/plugin@1.1.0;
            include sheaf:plugin/lean-plugin@1.1.0;
        }
    ",
    world: "sheaf:host/both",
    imports: { default: trappable },
    additional_derives: [PartialEq],
});
