//! The unruly plug-ins in the whole form, built against version 1.0 of the world as it was published: components of that
//! version go on working, and misbehave as much as any.
//!
//! `wit/plugin.wit` beside this is that version. It never changes.

#[path = "../../unruly/src/deeds.rs"]
mod deeds;

use bindings::exports::sheaf::plugin::handler::{Guest, PluginType};
use world::{CellChange, ContextChanges, ExecutionContext, PluginError, Value};

mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "plugin" });
    use super::Unruly;
    export!(Unruly);
}

/// The bindings of the whole form.
mod world {
    pub use crate::bindings::sheaf::plugin::organization_service as service;
    pub use crate::bindings::sheaf::plugin::tracing::trace;
    pub use crate::bindings::sheaf::plugin::types::*;
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

    fn execute(ctx: ExecutionContext) -> Result<ContextChanges, PluginError> {
        match ctx.configuration.as_str() {
            "echo" => Ok(echo(ctx)),
            configuration => deeds::run(&deeds::About {
                configuration,
                depth: ctx.depth,
                random_seed: ctx.random_seed,
            }),
        }
    }
}

/// Sets every column of every target to what it is.
fn echo(ctx: ExecutionContext) -> ContextChanges {
    let mut changes = deeds::nothing();
    let batch = &ctx.data.batches[ctx.targets as usize];
    for (number, row) in batch.rows.iter().enumerate() {
        let cells = &batch.cells[row.first as usize..][..row.count as usize];
        changes.targets.extend(cells.iter().map(|cell| CellChange {
            row: number as u32,
            column: cell.column,
            value: Some(cell.value).filter(|value| !matches!(value, Value::Rows(_))),
        }));
    }
    changes.data = ctx.data;
    changes
}
