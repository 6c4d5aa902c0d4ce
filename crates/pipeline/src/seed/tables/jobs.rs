//! The tables of background jobs.
//!
//! Source: bulk.md 6, plugins.md 5.3. Not here: what is in their rows (`job`, `stages::queue`).

use super::Builder;
use crate::define::columns::{
    boolean, choice, column, date_time, double, integer, lookup, memo, state, status, text,
};
use model::{ColumnKind, LookupKind, Ownership, TableDefinition};

/// Longest text of a job's queries: a condition may list any number of values.
const QUERY_UNITS_MAX: u32 = 1_073_741_823;

pub(super) fn async_operation() -> TableDefinition {
    let kinds = [
        (1, "System Event"),
        (10, "Workflow"),
        (13, "Bulk Delete"),
        (23, "Bulk Delete Subprocess"),
        (54, "Execute Async Request"),
        (63, "EntityKey Index Creation"),
        (91, "CascadeDelete"),
    ];
    let owning = [("sdkmessageprocessingstep", "owningextensionid")];
    let regarding = [
        ("account", "regardingobjectid_account"),
        ("contact", "regardingobjectid_contact"),
        ("lead", "regardingobjectid_lead"),
    ];
    let mut builder =
        Builder::new("AsyncOperation", "asyncoperations", 4700, Ownership::User, "System Job")
            .name("Name", "System Job Name", 256)
            .with("OperationType", "System Job Type", choice(&kinds))
            .with("statecode", "Status", job_state())
            .with("statuscode", "Status Reason", job_status(&[]))
            .with("MessageName", "Message Name", text(160))
            .with("Message", "Message", memo(1_048_576))
            .with("FriendlyMessage", "Friendly message", memo(1_048_576))
            .with("ErrorCode", "Error Code", integer())
            .with("PrimaryEntityType", "Primary Entity Type", ColumnKind::TableName)
            .with("CorrelationId", "Correlation Id", ColumnKind::Guid)
            .with("RequestId", "Request", ColumnKind::Guid)
            .with("Depth", "Depth", integer())
            .with("Data", "Data", memo(QUERY_UNITS_MAX))
            .with("StartedOn", "Started On", date_time())
            .with("CompletedOn", "Completed On", date_time())
            .with("PostponeUntil", "Postpone Until", date_time())
            .with("RetryCount", "Retry Count", integer())
            .with_lookup("OwningExtensionId", "Owning Extension", &owning)
            .with("RegardingObjectId", "Regarding", lookup(LookupKind::Plain, &regarding))
            .with("ExecutionTimeSpan", "Execution Time Span", double())
            .with("RecurrencePattern", "Recurrence Pattern", text(256))
            .with("RecurrenceStartTime", "Recurrence Start", date_time())
            .with("HostId", "Host", text(256))
            .with("Sheaf_LeaseUntil", "Lease Until", date_time())
            .with("Sheaf_StartVersion", "Version at Start", ColumnKind::BigInt)
            .with("Sheaf_Position", "Last Record", ColumnKind::Guid)
            .with("Sheaf_Partition", "Partition of the Last Record", memo(2_048))
            .with("Sheaf_Pending", "Records at Hand", memo(crate::job::PENDING_UNITS_MAX));
    // What a run gets, as it was read for it: more than the job's owner may read.
    let mut run = column("Sheaf_Run", "Run", memo(QUERY_UNITS_MAX));
    run.valid_for_read = false;
    builder.add(run);
    builder.done()
}

fn job_state() -> ColumnKind {
    state(&[(0, "Ready", 0), (1, "Suspended", 10), (2, "Locked", 20), (3, "Completed", 30)])
}

fn job_status(more: &[(i32, &str, i32)]) -> ColumnKind {
    let mut all = vec![(0, "Waiting For Resources", 0), (10, "Waiting", 1)];
    all.extend_from_slice(more);
    all.extend_from_slice(&[
        (20, "In Progress", 2),
        (21, "Pausing", 2),
        (22, "Canceling", 2),
        (30, "Succeeded", 3),
        (31, "Failed", 3),
        (32, "Canceled", 3),
    ]);
    status(&all)
}

pub(super) fn bulk_delete_operation() -> TableDefinition {
    Builder::new(
        "BulkDeleteOperation",
        "bulkdeleteoperations",
        4424,
        Ownership::User,
        "Bulk Delete Operation",
    )
    .name("Name", "Name", 256)
    .with_lookup("AsyncOperationId", "System Job", &[("asyncoperation", "asyncoperationid")])
    .with("statecode", "Status", job_state())
    .with("statuscode", "Status Reason", job_status(&[(11, "Retrying", 1), (12, "Paused", 1)]))
    .with("SuccessCount", "Deleted", integer())
    .with("FailureCount", "Failures", integer())
    .with("IsRecurring", "Recurring", boolean(false))
    .with("NextRun", "Next Run", date_time())
    .with("OrderedQuerySetXml", "Query", memo(QUERY_UNITS_MAX))
    .with("ProcessingQEIndex", "Processing Query Index", integer())
    .done()
}

pub(super) fn bulk_delete_failure() -> TableDefinition {
    let regarding =
        [("account", "regardingobjectid_account"), ("contact", "regardingobjectid_contact")];
    Builder::new(
        "BulkDeleteFailure",
        "bulkdeletefailures",
        4425,
        Ownership::None,
        "Bulk Delete Failure",
    )
    .with_lookup(
        "BulkDeleteOperationId",
        "Bulk Deletion Operation",
        &[("bulkdeleteoperation", "bulkdeleteoperationid")],
    )
    .with("ErrorNumber", "Error Code", integer())
    .with("ErrorDescription", "Error Description", text(512))
    .with("OrderedQueryIndex", "Query Index", integer())
    .with("RegardingObjectId", "Regarding", lookup(LookupKind::Plain, &regarding))
    .with("RegardingObjectTypeCode", "Regarding Type", ColumnKind::TableName)
    .done()
}
