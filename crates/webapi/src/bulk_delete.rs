//! `POST /BulkDelete`: makes a background job; the crate `jobs` runs it.
//!
//! Source: bulk.md 6.1. The queries are bound here once, so that their mistakes are answered at once;
//! the job keeps their text and binds it again when it runs.

use crate::api::{Attempt, Stop};
use crate::fault::{self, Problem, job as refused};
use crate::response;
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use model::{Table, Timestamp, Uuid};
use pipeline::job::NewJob;
use pipeline::privilege::{self, Action};
use pipeline::{Message, Need, Reply};
use query::expression;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Body<'a> {
    #[serde(borrow)]
    query_set: Option<&'a RawValue>,
    job_name: Option<String>,
    send_email_notification: Option<bool>,
    to_recipients: Option<Vec<Recipient>>,
    #[serde(rename = "CCRecipients")]
    cc_recipients: Option<Vec<Recipient>>,
    recurrence_pattern: Option<String>,
    start_date_time: Option<String>,
    source_import_id: Option<String>,
    run_now: Option<bool>,
    options: Option<JobOptions>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipient {
    #[serde(rename = "@odata.type")]
    type_name: Option<String>,
    systemuserid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct JobOptions {
    #[serde(rename = "@odata.type")]
    type_name: Option<String>,
    can_recover_deleted_records: Option<bool>,
    run_job_for_sandbox: Option<bool>,
}

/// Makes the job and answers its id.
pub(crate) async fn action(attempt: &Attempt<'_>) -> Result<Response<Bytes>, Stop> {
    match attempt.request.method {
        Method::POST => {}
        Method::GET => return Err(Problem::no_resource(&attempt.request.uri).into()),
        _ => return Err(attempt.only("POST").into()),
    }
    attempt.request.options.refuse_except(&[]).map_err(fault::of_query)?;
    let mut tables = Vec::new();
    let new = new_job(attempt, &mut tables)?;
    let mut needs = vec![Need::Named(privilege::BULK_DELETE)];
    for table in tables {
        needs.extend(
            [Action::Delete, Action::Read].map(|action| Need::OnTable(Arc::clone(&table), action)),
        );
    }
    attempt.pipeline.require(&attempt.context, &needs).await?;
    let Reply::Written(outcomes) = attempt.run(Message::StartJob(new)).await? else {
        tracing::error!("a new job was not answered with its id");
        return Err(Problem::unexpected().into());
    };
    let id = outcomes.first().map(|outcome| outcome.id.to_string());
    let root = &attempt.request.root;
    let body = json!({
        "@odata.context": format!("{root}$metadata#Microsoft.Dynamics.CRM.BulkDeleteResponse"),
        "JobId": id,
    });
    Ok(response::json(StatusCode::OK, body.to_string().into_bytes()))
}

/// Reads the job and the tables of its queries.
fn new_job(attempt: &Attempt<'_>, tables: &mut Vec<Arc<Table>>) -> Result<NewJob, Problem> {
    let body: Body<'_> = serde_json::from_slice(&attempt.request.body).map_err(refused::payload)?;
    let queries = body.query_set.ok_or_else(|| refused::required("QuerySet"))?.get();
    let name = body.job_name.ok_or_else(|| refused::required("JobName"))?;
    let send =
        body.send_email_notification.ok_or_else(|| refused::required("SendEmailNotification"))?;
    let to = body.to_recipients.ok_or_else(|| refused::required("ToRecipients"))?;
    let copy = body.cc_recipients.ok_or_else(|| refused::required("CCRecipients"))?;
    let pattern = body.recurrence_pattern.ok_or_else(|| refused::required("RecurrencePattern"))?;
    check_recipients(&to, &copy)?;
    if send && !(to.is_empty() && copy.is_empty()) {
        return Err(Problem::not_implemented(
            "The parameter 'SendEmailNotification' with recipients",
        ));
    }
    let start = match body.start_date_time.as_deref() {
        None => None,
        Some(text) => Some(Timestamp::parse(text).ok_or_else(|| {
            refused::payload(format_args!("'{text}' is no value of 'StartDateTime'"))
        })?),
    };
    let source = match body.source_import_id.as_deref() {
        None => None,
        Some(text) => Some(Uuid::try_parse(text).map_err(|_| {
            refused::payload(format_args!("'{text}' is no value of 'SourceImportId'"))
        })?),
    };
    // Documented as internal and without effect.
    let _run_now = body.run_now;
    if let Some(options) = &body.options {
        check_options(options)?;
    }
    let parsed = expression::parse(queries).map_err(refused::of_expression)?;
    let Some(first) = parsed.first() else {
        return Err(Problem::argument("'QuerySet' must hold at least one query."));
    };
    for query in &parsed {
        let asked = &attempt.request.options.context;
        let bound = expression::bind(&attempt.context.catalog, query, asked)
            .map_err(refused::of_expression)?;
        let table = &bound.table;
        tables.push(Arc::clone(table));
        if !pipeline::can_delete(table) {
            return Err(refused::not_deletable(&table.logical_name));
        }
    }
    Ok(NewJob {
        name: name.into(),
        start,
        source,
        pattern: pattern.trim().into(),
        table: first.table().trim().into(),
        queries: expression::to_fetch(&parsed).into(),
        data: queries.into(),
    })
}

/// Recipients are users by id.
fn check_recipients(to: &[Recipient], copy: &[Recipient]) -> Result<(), Problem> {
    for recipient in to.iter().chain(copy) {
        let named = recipient.type_name.as_deref();
        if named
            .is_some_and(|name| name.trim_start_matches('#') != "Microsoft.Dynamics.CRM.systemuser")
        {
            return Err(refused::payload("a recipient is no 'Microsoft.Dynamics.CRM.systemuser'"));
        }
        if Uuid::try_parse(&recipient.systemuserid).is_err() {
            return Err(refused::payload("'systemuserid' of a recipient is no guid"));
        }
    }
    Ok(())
}

fn check_options(options: &JobOptions) -> Result<(), Problem> {
    let named = options.type_name.as_deref();
    if named
        .is_some_and(|name| !name.starts_with("Microsoft.Dynamics.CRM.") && !name.starts_with('#'))
    {
        return Err(refused::payload("'@odata.type' of 'Options' is no type of the service"));
    }
    // There is no recycle bin to recover from, and no custom logic that a fast path could skip.
    let _fast = options.run_job_for_sandbox;
    if options.can_recover_deleted_records == Some(true) {
        return Err(Problem::not_implemented("The option 'CanRecoverDeletedRecords'"));
    }
    Ok(())
}
