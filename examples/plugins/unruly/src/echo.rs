//! What came, handed back: so that a test sees that it came whole.

use crate::deeds;
use crate::world::{ContextChanges, PluginError, trace};
use plugin_sdk::bindings::sheaf::plugin::hand_over;
use plugin_sdk::{Context, Result, Value, trace};

/// Sets every column of every target to what it is, and shared variables to what else there is.
pub fn echo(ctx: &Context) -> Result {
    for target in ctx.targets() {
        let record = target.record();
        for (column, value) in record.cells {
            assert_eq!(target.get(&column), Some(value.clone()), "{column}");
            target.set(&column, value);
        }
        if let Some(before) = ctx.pre_image(target.index(), "before") {
            ctx.set_shared(&format!("before {}", target.index()), before.id());
        }
    }
    for name in ["ids", "records", "money", "choice", "bytes", "text"] {
        if let Some(value) = ctx.input(name) {
            ctx.set_shared(name, value);
        }
        if let Some(value) = ctx.output(name) {
            ctx.set_output(name, value);
        }
    }
    for parent in ctx.parents() {
        trace!("{} of {} at {:?}", parent.message, parent.table, parent.stage);
        for (name, value) in parent.shared {
            ctx.set_shared(&name, value);
        }
    }
    ctx.set_shared("targets", Value::Integer(ctx.len() as i32));
    Ok(())
}

/// Asks twice for what is given once.
pub fn greedy() -> std::result::Result<ContextChanges, PluginError> {
    let first = hand_over::take().is_some();
    let second = hand_over::take().is_some();
    trace(&format!("{first} {second}"));
    Ok(deeds::nothing())
}
