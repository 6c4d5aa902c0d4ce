//! Plug-ins of Sheaf in Rust.
//!
//! A plug-in is a type with a name and a function. It gets a [`Context`], reads and changes the target records, and may
//! ask the service for more. The same function serves a step of a single message (one target) and of a bulk message
//! (all targets at once): write the loop once, register it for `CreateMultiple`.
//!
//! ```
//! use plugin_sdk::{Context, Plugin, Refuse, Result};
//!
//! struct Positive;
//!
//! impl Plugin for Positive {
//!     const NAME: &'static str = "ship.crate.positive";
//!
//!     fn execute(ctx: &Context) -> Result {
//!         for target in ctx.targets() {
//!             if target.get("ship_weight").and_then(|weight| weight.as_integer()) < Some(0) {
//!                 return Err(Refuse::new("A crate weighs something.").target(&target).into());
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! plugin_sdk::plugins!(Positive);
//! # fn main() {}
//! ```
//!
//! Build it with `cargo build --target wasm32-unknown-unknown` as a `cdylib`; `sheaf plugin push` makes a component of it.
//! In reading order: `plugin` (what you write), `context` and `target` (what you get), `value`, `service` (what you may
//! ask), `logging`, `lists` and `given` (the flat form in which all of it crosses, the latter when it is first asked for; you
//! never see it).
//! Invariant: a run changes what its targets and variables were set to, and nothing else.

#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::let_underscore_must_use,
    clippy::too_many_lines,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    reason = "generated from the world"
)]
#[doc(hidden)]
pub mod bindings {
    //! The world, generated.
    wit_bindgen::generate!({
        path: "../../wit",
        world: "lean-plugin",
        pub_export_macro: true,
        default_bindings_module: "plugin_sdk::bindings",
    });
}
mod context;
mod given;
mod lists;
pub mod logging;
mod plugin;
mod service;
mod target;
mod value;

pub use context::{Context, Mode, Parent, Stage};
pub use plugin::{Entry, Error, Plugin, Refuse, Result, Status, dispatch, type_of};
pub use service::{Fault, Page, Service, Upserted};
pub use target::{Image, Target};
pub use value::{Decimal, Guid, Lookup, Record, Value};
