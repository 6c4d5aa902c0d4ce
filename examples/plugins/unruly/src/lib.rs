//! Plug-ins that misbehave, each in one way: what the host is tested with. Never register them where data matters.
//!
//! They are written against the bare world, because what an author of the SDK writes cannot answer garbage.

mod deeds;
mod echo;

use plugin_sdk::bindings::exports::sheaf::plugin::lean_handler::{Guest, LeanContext, PluginType};

/// The bindings of the lean form.
mod world {
    pub use plugin_sdk::bindings::sheaf::plugin::organization_service as service;
    pub use plugin_sdk::bindings::sheaf::plugin::tracing::trace;
    pub use plugin_sdk::bindings::sheaf::plugin::types::*;
}

struct Unruly;

impl Guest for Unruly {
    fn list_types() -> Vec<PluginType> {
        let named = |name: &str| PluginType {
            type_name: name.to_owned(),
            friendly_name: String::new(),
            description: String::new(),
        };
        deeds::TYPES.map(named).into()
    }

    fn execute(ctx: LeanContext) -> Result<world::ContextChanges, world::PluginError> {
        match ctx.configuration.as_str() {
            "echo" => plugin_sdk::dispatch(ctx, &[(deeds::TYPES[0], echo::echo)]),
            "greedy" => echo::greedy(),
            configuration => deeds::run(&deeds::About {
                configuration,
                depth: ctx.depth,
                random_seed: ctx.random_seed,
            }),
        }
    }
}

plugin_sdk::bindings::export!(Unruly with_types_in plugin_sdk::bindings);
