//! Following the changes of tables: which can be, and for how long deleted rows are remembered.
//!
//! Source: webapi.md 16. Not here: tokens (`webapi`), remembering (`store`).

use crate::fault;
use crate::run::Pipeline;
use model::{Fault, Table, TableKind, Timestamp, code};

/// For how long a deleted row is remembered, in seconds: seven days. A token that is older is refused.
pub const REMEMBERED_SECONDS: i64 = 7 * 86_400;
/// Tokens are checked before rows are forgotten by this much, in seconds.
const GRACE_SECONDS: i64 = 86_400;

/// Refuses a table whose changes are not to be followed.
pub(crate) fn refuse_unfollowed(table: &Table) -> Result<(), Fault> {
    if table.change_tracking && table.kind == TableKind::Standard {
        return Ok(());
    }
    let text = format!("Entity {} isn't enabled for change tracking.", table.logical_name);
    Err(Fault::new(code::CHANGE_TRACKING_NOT_ENABLED, text))
}

impl Pipeline {
    /// Forgets deleted rows that no valid token asks for any more. For the service's own clock.
    ///
    /// Errors: a fault; nothing is lost by it.
    pub async fn forget_deleted(&self, now: Timestamp) -> Result<(), Fault> {
        let before = Timestamp(now.0 - REMEMBERED_SECONDS - GRACE_SECONDS);
        self.store().forget_deleted(before).await.map_err(fault::of_engine)
    }
}
