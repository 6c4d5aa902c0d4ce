//! Writes a note about every contact that was written: all of them with one bulk message, in the same transaction.
//!
//! Register it for `CreateMultiple` and `UpdateMultiple` of `contact` at PostOperation. The configuration may give another
//! subject than "written".

use plugin_sdk::{Context, Lookup, Plugin, Record, Result, trace};

pub struct WriteAudit;

impl Plugin for WriteAudit {
    const NAME: &'static str = "examples.contacts.write_audit";
    const DESCRIPTION: &'static str = "Writes a note about every contact that was written.";

    fn execute(ctx: &Context) -> Result {
        // What is written here must not be written about: notes are no contacts, but be safe against loops.
        if ctx.depth() > 1 || ctx.is_empty() {
            return Ok(());
        }
        let subject = match ctx.configuration() {
            "" => "written",
            subject => subject,
        };
        let notes: Vec<Record> = ctx
            .targets()
            .map(|target| {
                Record::new("annotation")
                    .with("subject", subject)
                    .with("notetext", format!("{} by {}", ctx.message(), ctx.initiating_user()))
                    .with("objectid", Lookup::new("contact", target.id()))
            })
            .collect();
        let ids = ctx.service().create_multiple(&notes)?;
        trace!("{} notes", ids.len());
        Ok(())
    }
}
