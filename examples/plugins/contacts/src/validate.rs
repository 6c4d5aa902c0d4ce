//! Refuses contacts without a last name: the whole message is undone, and the caller is told which one it was.
//!
//! Register it for `CreateMultiple` of `contact` at PreValidation: refusing there is cheapest.

use plugin_sdk::{Context, Plugin, Refuse, Result, Value, trace};

pub struct RequireLastName;

impl Plugin for RequireLastName {
    const NAME: &'static str = "examples.contacts.require_last_name";
    const DESCRIPTION: &'static str = "Refuses contacts without a last name.";

    fn execute(ctx: &Context) -> Result {
        for target in ctx.targets() {
            let name = target.get("lastname");
            let is_there =
                name.as_ref().and_then(Value::as_text).is_some_and(|name| !name.trim().is_empty());
            if !is_there {
                trace!("target {} has no last name", target.index());
                return Err(Refuse::new("A contact must have a last name.").target(&target).into());
            }
        }
        Ok(())
    }
}
