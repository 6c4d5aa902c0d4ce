//! Collects the ids of the contacts in `Targets`, for later steps and for the trace.
//!
//! Register it for `CreateMultiple` or `UpdateMultiple` of `contact` at PostOperation: the ids are there then.

use plugin_sdk::{Context, Plugin, Record, Result, Value, trace};

pub struct CollectIds;

impl Plugin for CollectIds {
    const NAME: &'static str = "examples.contacts.collect_ids";
    const DESCRIPTION: &'static str =
        "Puts the ids of all contacts into the shared variable `contactids`.";

    fn execute(ctx: &Context) -> Result {
        if ctx.table() != "contact" {
            return Ok(());
        }
        let ids: Vec<_> = ctx.targets().map(|target| target.id()).collect();
        trace!("{} of {} contacts", ctx.message(), ids.len());
        for id in &ids {
            trace!("{id}");
        }
        let ids = ids.into_iter().map(|id| Record::of("", id)).collect();
        ctx.set_shared("contactids", Value::Records(ids));
        Ok(())
    }
}
