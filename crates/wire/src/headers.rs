//! Names of the headers that the Web API reads and writes, in lower case.
//!
//! Not here: their values, and the names that every HTTP library knows.

/// The version of the OData protocol, `4.0`, on requests and answers.
pub const ODATA_VERSION: &str = "odata-version";
/// The highest version that the caller understands.
pub const ODATA_MAX_VERSION: &str = "odata-maxversion";
/// The URL of the record that was written.
pub const ODATA_ENTITY_ID: &str = "odata-entityid";
/// Preferences of the caller.
pub const PREFER: &str = "prefer";
/// Preferences that were honoured.
pub const PREFERENCE_APPLIED: &str = "preference-applied";
/// The service's id of the request.
pub const REQ_ID: &str = "req_id";
/// The same id.
pub const SERVICE_REQUEST_ID: &str = "x-ms-service-request-id";
/// The caller's id of the request; echoed.
pub const CLIENT_REQUEST_ID: &str = "x-ms-client-request-id";
/// The caller's id of a chain of requests.
pub const CORRELATION_ID: &str = "x-ms-correlation-id";
/// How many requests at once the service recommends.
pub const DOP_HINT: &str = "x-ms-dop-hint";
/// Requests left in the window.
pub const RATELIMIT_BURST_REMAINING: &str = "x-ms-ratelimit-burst-remaining-xrm-requests";
/// Execution time left in the window.
pub const RATELIMIT_TIME_REMAINING: &str = "x-ms-ratelimit-time-remaining-xrm-requests";
/// The state of an elastic table after a write.
pub const ELASTIC_SESSION_TOKEN: &str = "x-ms-session-token";
/// The state of an elastic table that a read must see.
pub const MSCRM_SESSION_TOKEN: &str = "mscrm.sessiontoken";
/// Impersonation by directory object id.
pub const CALLER_OBJECT_ID: &str = "callerobjectid";
/// Impersonation by `systemuserid`.
pub const MSCRM_CALLER_ID: &str = "mscrmcallerid";
/// The solution that a change of definitions belongs to.
pub const MSCRM_SOLUTION_UNIQUE_NAME: &str = "mscrm.solutionuniquename";
/// Keeps labels of other languages when definitions change.
pub const MSCRM_MERGE_LABELS: &str = "mscrm.mergelabels";
/// `false` asks for duplicate detection.
pub const MSCRM_SUPPRESS_DUPLICATE_DETECTION: &str = "mscrm.suppressduplicatedetection";
/// Runs no synchronous custom logic (older form).
pub const MSCRM_BYPASS_CUSTOM_PLUGIN_EXECUTION: &str = "mscrm.bypasscustompluginexecution";
/// Runs no custom logic of the named kinds.
pub const MSCRM_BYPASS_BUSINESS_LOGIC_EXECUTION: &str = "mscrm.bypassbusinesslogicexecution";
/// Runs no custom logic of the named steps.
pub const MSCRM_BYPASS_BUSINESS_LOGIC_EXECUTION_STEP_IDS: &str =
    "mscrm.bypassbusinesslogicexecutionstepids";
/// Starts no cloud flows.
pub const MSCRM_SUPPRESS_CALLBACK_REGISTRATION_EXPANDER_JOB: &str =
    "mscrm.suppresscallbackregistrationexpanderjob";
/// `Strong` asks a read of definitions to see the last write.
pub const CONSISTENCY: &str = "consistency";
/// The name of a file that is sent or got.
pub const FILE_NAME: &str = "x-ms-file-name";
/// The size of a file that is got.
pub const FILE_SIZE: &str = "x-ms-file-size";
/// `chunked` starts a transfer in parts.
pub const TRANSFER_MODE: &str = "x-ms-transfer-mode";
/// The size of a part that the service recommends.
pub const CHUNK_SIZE: &str = "x-ms-chunk-size";
/// The id of a background operation.
pub const BACKGROUND_OPERATION_ID: &str = "x-ms-dyn-backgroundoperationid";
