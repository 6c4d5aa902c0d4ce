//! Two things that plain plug-ins do, for any table: a change of every target, and a refusal of some.

use plugin_sdk::{Context, Refuse, Result, trace};

/// Whether a configuration asks for one of them.
pub fn knows(configuration: &str) -> bool {
    ["mark ", "pick "].iter().any(|what| configuration.starts_with(what))
}

/// `mark COLUMN` sets a column of every target; `pick WORD` refuses targets with this text in some column.
pub fn run(ctx: &Context) -> Result {
    let (what, argument) = ctx.configuration().split_once(' ').unwrap_or_default();
    if what == "mark" {
        ctx.targets().for_each(|target| target.set(argument, "marked"));
        return Ok(());
    }
    trace!("{} of {} {}", ctx.message(), ctx.len(), ctx.table());
    for target in ctx.targets() {
        let cells = target.record().cells;
        if cells.iter().any(|(_, value)| value.as_text() == Some(argument)) {
            return Err(Refuse::new(format!("no {argument}")).into());
        }
    }
    Ok(())
}
