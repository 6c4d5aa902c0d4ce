//! Removal by a background job of the service: the criteria go there, and it deletes what they name.
//!
//! Not here: criteria (`filter`). Source: `client.md` 4 rule 8.
//! Invariant: a job is begun once; a lost answer is told and never guessed at.

use crate::filter;
use crate::request::with_call;
use crate::service::{self, Service, escaped, read};
use crate::set::Call;
use crate::transport::Request;
use model::Uuid;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at a job.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Why there is no job, or why it cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// The filter.
    #[error("{0}")]
    Wish(String),
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// It came to its end by itself.
    pub is_well: bool,
    /// Its status.
    pub status: i64,
    /// Rows that it deleted.
    pub deleted: u64,
    /// Rows that it could not delete.
    pub failed: u64,
}

/// Hands what a filter object names to a job, whose id is answered.
pub async fn begin(
    service: &Service,
    table: &str,
    filter: &str,
    call: &Call,
) -> Result<Uuid, Error> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "JobId")]
        job: String,
    }
    let doing = "to begin a bulk delete";
    let described = service.describe(table, |_, _| true).await?;
    let criteria =
        filter::criteria(filter, &described.table, &described.catalog).map_err(Error::Wish)?;
    let name = &described.table.logical_name;
    let body = json!({
        "JobName": format!("sheaf remove {name}"),
        "SendEmailNotification": false,
        "ToRecipients": [],
        "CCRecipients": [],
        "RecurrencePattern": "",
        "QuerySet": [{
            "@odata.type": "Microsoft.Dynamics.CRM.QueryExpression",
            "EntityName": name,
            "Criteria": criteria,
        }],
    });
    let request = with_call(Request::post("BulkDelete", body.to_string()), call);
    let response = service.ask(request, doing).await?;
    let job = read::<Answer>(&response, doing)?.job;
    Uuid::try_parse(&job).map_err(|_| {
        let why = format!("`{job}` is no id");
        Error::Service(service::Error::Unreadable { doing: doing.to_owned(), why })
    })
}

/// Waits for the end of a job; none when it was asked to stop before.
pub async fn follow(
    service: &Service,
    job: Uuid,
    mut stop: watch::Receiver<bool>,
) -> Result<Option<Ended>, Error> {
    #[derive(Deserialize)]
    struct State {
        statecode: i64,
        statuscode: i64,
    }
    #[derive(Deserialize)]
    struct Page {
        value: Vec<Counts>,
    }
    #[derive(Deserialize)]
    struct Counts {
        successcount: Option<u64>,
        failurecount: Option<u64>,
    }
    const COMPLETED: i64 = 3;
    const SUCCEEDED: i64 = 30;
    let doing = "how a bulk delete stands";
    loop {
        let path = format!("asyncoperations({job})?$select=statecode,statuscode");
        let response = service.ask(Request::get(path), doing).await?;
        let state: State = read(&response, doing)?;
        if state.statecode == COMPLETED {
            let filter = escaped(&format!("_asyncoperationid_value eq {job}"));
            let path =
                format!("bulkdeleteoperations?$select=successcount,failurecount&$filter={filter}");
            let response = service.ask(Request::get(path), doing).await?;
            let page: Page = read(&response, doing)?;
            let sum = |of: fn(&Counts) -> Option<u64>| page.value.iter().filter_map(of).sum();
            return Ok(Some(Ended {
                is_well: state.statuscode == SUCCEEDED,
                status: state.statuscode,
                deleted: sum(|counts| counts.successcount),
                failed: sum(|counts| counts.failurecount),
            }));
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(None),
            () = tokio::time::sleep(LOOK_AFTER) => {}
        }
    }
}
