//! The tables in which steps are registered.
//!
//! Source: plugins.md 3. Not here: what their rows must be (`registration`).

use super::{Builder, Seeded};
use crate::define::columns::{
    boolean, choice, column, date_time, integer, lookup, memo, state, status, text,
};
use model::{ColumnKind, DeleteAction, LookupKind, Ownership, TableDefinition};

/// Base64 of the largest component, and the longest configuration.
const CONTENT_UNITS_MAX: u32 = 1_073_741_823;
/// The longest list of columns.
const LIST_UNITS_MAX: u32 = 100_000;

/// In the order of their numbers.
pub(super) fn tables() -> Vec<TableDefinition> {
    vec![
        assembly(),
        plugin_type(),
        endpoint(),
        secure_config(),
        step(),
        image(),
        trace_log(),
        statistic(),
    ]
}

/// Their relationships, but for those of the system columns.
pub(super) const RELATIONSHIPS: &[Seeded] = &[
    (
        "pluginassembly_plugintype",
        "pluginassembly",
        "plugintype",
        "pluginassemblyid",
        "pluginassemblyid",
        DeleteAction::Cascade,
    ),
    (
        "plugintype_sdkmessageprocessingstep",
        "plugintype",
        "sdkmessageprocessingstep",
        "eventhandler",
        "eventhandler_plugintype",
        DeleteAction::Restrict,
    ),
    (
        "serviceendpoint_sdkmessageprocessingstep",
        "serviceendpoint",
        "sdkmessageprocessingstep",
        "eventhandler",
        "eventhandler_serviceendpoint",
        DeleteAction::Cascade,
    ),
    (
        "plugintypeid_sdkmessageprocessingstep",
        "plugintype",
        "sdkmessageprocessingstep",
        "plugintypeid",
        "plugintypeid",
        DeleteAction::Restrict,
    ),
    (
        "sdkmessageid_sdkmessageprocessingstep",
        "sdkmessage",
        "sdkmessageprocessingstep",
        "sdkmessageid",
        "sdkmessageid",
        DeleteAction::Cascade,
    ),
    (
        "sdkmessagefilterid_sdkmessageprocessingstep",
        "sdkmessagefilter",
        "sdkmessageprocessingstep",
        "sdkmessagefilterid",
        "sdkmessagefilterid",
        DeleteAction::Cascade,
    ),
    (
        "impersonatinguserid_sdkmessageprocessingstep",
        "systemuser",
        "sdkmessageprocessingstep",
        "impersonatinguserid",
        "impersonatinguserid",
        DeleteAction::NoCascade,
    ),
    (
        "sdkmessageprocessingstepsecureconfigid_sdkmessageprocessingstep",
        "sdkmessageprocessingstepsecureconfig",
        "sdkmessageprocessingstep",
        "sdkmessageprocessingstepsecureconfigid",
        "sdkmessageprocessingstepsecureconfigid",
        DeleteAction::RemoveLink,
    ),
    (
        "sdkmessageprocessingstepid_sdkmessageprocessingstepimage",
        "sdkmessageprocessingstep",
        "sdkmessageprocessingstepimage",
        "sdkmessageprocessingstepid",
        "sdkmessageprocessingstepid",
        DeleteAction::Cascade,
    ),
    (
        "SdkMessageProcessingStep_AsyncOperations",
        "sdkmessageprocessingstep",
        "asyncoperation",
        "owningextensionid",
        "owningextensionid",
        DeleteAction::Cascade,
    ),
    (
        "plugintype_plugintypestatistic",
        "plugintype",
        "plugintypestatistic",
        "plugintypeid",
        "plugintypeid",
        DeleteAction::Cascade,
    ),
];

/// What runs have traced. Source: plugins.md 5.4.
fn trace_log() -> TableDefinition {
    let modes = [(0, "Synchronous"), (1, "Asynchronous")];
    let kinds = [(0, "Unknown"), (1, "Plug-in"), (2, "Workflow Activity")];
    let mut table = Builder::new(
        "PluginTraceLog",
        "plugintracelogs",
        4619,
        Ownership::None,
        "Plug-in Trace Log",
    )
    .name("TypeName", "Type Name", 1_024)
    .with("MessageName", "Message Name", text(1_024))
    .with("PrimaryEntity", "Primary Entity", text(1_000))
    .with("Mode", "Mode", choice(&modes))
    .with("OperationType", "Operation Type", choice(&kinds))
    .with("Depth", "Depth", integer())
    .with("CorrelationId", "Correlation Id", ColumnKind::Guid)
    .with("RequestId", "Request Id", ColumnKind::Guid)
    .with("PluginStepId", "Plugin Step Id", ColumnKind::Guid)
    .with("PersistenceKey", "Persistence Key", ColumnKind::Guid)
    .with("MessageBlock", "Message Block", memo(10_240))
    .with("ExceptionDetails", "Exception Details", memo(1_048_576))
    .with("Configuration", "Configuration", memo(CONTENT_UNITS_MAX))
    .with("SecureConfiguration", "Secure Configuration", memo(CONTENT_UNITS_MAX))
    .with("Profile", "Profile", memo(CONTENT_UNITS_MAX))
    .with("PerformanceConstructorStartTime", "Constructor Start Time", date_time())
    .with("PerformanceConstructorDuration", "Constructor Duration", integer())
    .with("PerformanceExecutionStartTime", "Execution Start Time", date_time())
    .with("PerformanceExecutionDuration", "Execution Duration", integer())
    .with("IsSystemCreated", "System Created", boolean(false))
    .with("OrganizationId", "Organization Id", ColumnKind::Guid)
    .done();
    table.change_tracking = false;
    table
}

/// How often types ran, and how it went. Source: plugins.md 5.5.
fn statistic() -> TableDefinition {
    let mut table = Builder::new(
        "PluginTypeStatistic",
        "plugintypestatistics",
        4603,
        Ownership::None,
        "Plug-in Type Statistic",
    )
    .with_lookup("PluginTypeId", "Plugin Type", &[("plugintype", "plugintypeid")])
    .with("ExecuteCount", "Execution Count", integer())
    .with("FailureCount", "Failure Count", integer())
    .with("FailurePercent", "Failure Percent", integer())
    .with("AverageExecuteTimeInMilliseconds", "Average Execution Time", integer())
    .with("CrashCount", "Crash Count", integer())
    .with("CrashPercent", "Crash Percent", integer())
    .with("CrashContributionPercent", "Crash Contribution", integer())
    .with("TerminateCpuContributionPercent", "CPU Terminations", integer())
    .with("TerminateMemoryContributionPercent", "Memory Terminations", integer())
    .with("TerminateHandlesContributionPercent", "Handles Terminations", integer())
    .with("TerminateOtherContributionPercent", "Other Terminations", integer())
    .with("Sheaf_ExecuteMilliseconds", "Execution Time", ColumnKind::BigInt)
    .with("Sheaf_TimeCount", "Runs that took too long", integer())
    .with("Sheaf_MemoryCount", "Runs that wanted too much memory", integer())
    .done();
    table.change_tracking = false;
    table
}

fn assembly() -> TableDefinition {
    let isolation = [(1, "None"), (2, "Sandbox"), (3, "External")];
    let sources =
        [(0, "Database"), (1, "Disk"), (2, "Normal"), (3, "AzureWebApp"), (4, "File Store")];
    Builder::new("PluginAssembly", "pluginassemblies", 4605, Ownership::None, "Plug-in Assembly")
        .name("Name", "Name", 256)
        .with("Content", "Content", memo(CONTENT_UNITS_MAX))
        .with("Version", "Version", text(48))
        .with_read_only("Major", "Assembly Major", integer())
        .with_read_only("Minor", "Assembly Minor", integer())
        .with("Culture", "Culture", text(32))
        .with("PublicKeyToken", "Public Key Token", text(32))
        .with("IsolationMode", "Isolation Mode", choice(&isolation))
        .with("SourceType", "Source Type", choice(&sources))
        .with_read_only("SourceHash", "Source Hash", text(256))
        .with("Description", "Description", text(256))
        .with("Path", "Path", text(256))
        .with_read_only("IsManaged", "Is Managed", boolean(false))
        .with("IsHidden", "Hidden", boolean(false))
        .with("IsCustomizable", "Customizable", boolean(true))
        .with("IntroducedVersion", "Introduced Version", text(48))
        .done()
}

fn plugin_type() -> TableDefinition {
    let assembly = [("pluginassembly", "pluginassemblyid")];
    Builder::new("PluginType", "plugintypes", 4602, Ownership::None, "Plug-in Type")
        .name("Name", "Name", 256)
        .with("TypeName", "Type Name", text(256))
        .with("FriendlyName", "Friendly Name", text(256))
        .with("Description", "Description", text(256))
        .with_lookup("PluginAssemblyId", "Plugin Assembly", &assembly)
        .with("PluginTypeExportKey", "Plugin Type export key", text(256))
        .with("WorkflowActivityGroupName", "Workflow Activity Group Name", text(256))
        .with_read_only("AssemblyName", "Assembly Name", text(100))
        .with_read_only("Version", "Version", text(48))
        .with_read_only("Major", "Version Major", integer())
        .with_read_only("Minor", "Version Minor", integer())
        .with_read_only("Culture", "Culture", text(32))
        .with_read_only("PublicKeyToken", "Public Key Token", text(32))
        .with_read_only("IsWorkflowActivity", "Is Workflow Activity", boolean(false))
        .with_read_only("IsManaged", "Is Managed", boolean(false))
        .done()
}

fn endpoint() -> TableDefinition {
    let contracts = [
        (1, "OneWay"),
        (2, "Queue"),
        (3, "Rest"),
        (4, "TwoWay"),
        (5, "Topic"),
        (6, "Queue (Persistent)"),
        (7, "Event Hub"),
        (8, "Webhook"),
        (9, "Event Grid"),
    ];
    let authentications = [
        (1, "ACS"),
        (2, "SAS Key"),
        (3, "SAS Token"),
        (4, "Webhook Key"),
        (5, "Http Header"),
        (6, "Http Query String"),
        (7, "Connection String"),
        (8, "Access Key"),
    ];
    let formats = [(1, "Binary XML"), (2, "Json"), (3, "Text XML")];
    let modes = [(1, "Normal"), (2, "Federated")];
    let claims = [(1, "None"), (2, "UserId"), (3, "UserInfo")];
    let mut builder = Builder::new(
        "ServiceEndpoint",
        "serviceendpoints",
        4618,
        Ownership::None,
        "Service Endpoint",
    )
    .name("Name", "Name", 256)
    .with("Description", "Description", text(2_000))
    .with("Contract", "Contract", choice(&contracts))
    .with("Url", "Service Endpoint URL", text(2_000))
    .with("AuthType", "Specify authentication type", choice(&authentications));
    let mut secret = column("AuthValue", "Authentication Value", text(2_048));
    secret.valid_for_read = false;
    builder.add(secret);
    builder
        .with_read_only("IsAuthValueSet", "Is AuthValue Set", boolean(false))
        .with("MessageFormat", "Message Format", choice(&formats))
        .with("ConnectionMode", "Connection Mode", choice(&modes))
        .with("UserClaim", "User Claim", choice(&claims))
        .with("Path", "Path", text(160))
        .with("SolutionNamespace", "Namespace", text(160))
        .with("NamespaceAddress", "Namespace Address", text(160))
        .done()
}

fn secure_config() -> TableDefinition {
    Builder::new(
        "SdkMessageProcessingStepSecureConfig",
        "sdkmessageprocessingstepsecureconfigs",
        4616,
        Ownership::None,
        "Sdk Message Processing Step Secure Configuration",
    )
    .with("SecureConfig", "Secure Configuration", memo(CONTENT_UNITS_MAX))
    .done()
}

fn step() -> TableDefinition {
    let stages = [
        (5, "Initial Pre-operation (For internal use only)"),
        (10, "Pre-validation"),
        (15, "Internal Pre-operation Before External Plugins (For internal use only)"),
        (20, "Pre-operation"),
        (25, "Internal Pre-operation After External Plugins (For internal use only)"),
        (30, "Main Operation (For internal use only)"),
        (35, "Internal Post-operation Before External Plugins (For internal use only)"),
        (40, "Post-operation"),
        (45, "Internal Post-operation After External Plugins (For internal use only)"),
        (50, "Post-operation (Deprecated)"),
        (55, "Final Post-operation (For internal use only)"),
        (80, "Pre-Commit stage fired before transaction commit (For internal use only)"),
        (90, "Post-Commit stage fired after transaction commit (For internal use only)"),
    ];
    let modes = [(0, "Synchronous"), (1, "Asynchronous")];
    let deployments = [(0, "Server Only"), (1, "Client Only"), (2, "Both")];
    let sources = [(-1, "Internal"), (0, "Parent"), (1, "Child")];
    let handlers = [
        ("plugintype", "eventhandler_plugintype"),
        ("serviceendpoint", "eventhandler_serviceendpoint"),
    ];
    let secure =
        [("sdkmessageprocessingstepsecureconfig", "sdkmessageprocessingstepsecureconfigid")];
    let user = lookup(LookupKind::Plain, &[("systemuser", "impersonatinguserid")]);
    Builder::new(
        "SdkMessageProcessingStep",
        "sdkmessageprocessingsteps",
        4608,
        Ownership::None,
        "Sdk Message Processing Step",
    )
    .name("Name", "Name", 256)
    .with("Description", "Description", text(256))
    .with_lookup("SdkMessageId", "SDK Message", &[("sdkmessage", "sdkmessageid")])
    .with_lookup(
        "SdkMessageFilterId",
        "SdkMessage Filter",
        &[("sdkmessagefilter", "sdkmessagefilterid")],
    )
    .with("Stage", "Execution Stage", choice(&stages))
    .with("Mode", "Execution Mode", choice(&modes))
    .with("Rank", "Execution Order", integer())
    .with_lookup("EventHandler", "Event Handler", &handlers)
    .with_read_only("EventHandlerTypeCode", "Event Handler Type", ColumnKind::TableName)
    .with_lookup("PluginTypeId", "Plug-In Type", &[("plugintype", "plugintypeid")])
    .with("FilteringAttributes", "Filtering Attributes", memo(LIST_UNITS_MAX))
    .with("ImpersonatingUserId", "Impersonating User", user)
    .with("Configuration", "Configuration", memo(CONTENT_UNITS_MAX))
    .with_lookup(
        "SdkMessageProcessingStepSecureConfigId",
        "SDK Message Processing Step Secure Configuration",
        &secure,
    )
    .with("SupportedDeployment", "Deployment", choice(&deployments))
    .with("AsyncAutoDelete", "Asynchronous Automatic Delete", boolean(false))
    .with("InvocationSource", "Invocation Source", choice(&sources))
    .with("CanUseReadOnlyConnection", "Intent", boolean(false))
    .with("CanBeBypassed", "CanBeBypassed", boolean(true))
    .with("Category", "Category", text(100))
    .with("EventExpander", "EventExpander", text(256))
    .with("EnablePluginProfiler", "EnablePluginProfiler", boolean(false))
    .with("RuntimeIntegrationProperties", "Runtime Integration Properties", text(512))
    .with("IntroducedVersion", "Introduced Version", text(48))
    .with("IsCustomizable", "Customizable", boolean(true))
    .with("IsHidden", "Hidden", boolean(false))
    .with_read_only("IsManaged", "State", boolean(false))
    .with("statecode", "Status", state(&[(0, "Enabled", 1), (1, "Disabled", 2)]))
    .with("statuscode", "Status Reason", status(&[(1, "Enabled", 0), (2, "Disabled", 1)]))
    .done()
}

fn image() -> TableDefinition {
    let kinds = [(0, "PreImage"), (1, "PostImage"), (2, "Both")];
    Builder::new(
        "SdkMessageProcessingStepImage",
        "sdkmessageprocessingstepimages",
        4615,
        Ownership::None,
        "Sdk Message Processing Step Image",
    )
    .name("Name", "Name", 256)
    .with_lookup(
        "SdkMessageProcessingStepId",
        "SDK Message Processing Step",
        &[("sdkmessageprocessingstep", "sdkmessageprocessingstepid")],
    )
    .with("EntityAlias", "Entity Alias", text(256))
    .with("ImageType", "Image Type", choice(&kinds))
    .with("MessagePropertyName", "Message Property Name", text(256))
    .with("Attributes", "Attributes", memo(LIST_UNITS_MAX))
    .with("RelatedAttributeName", "Related Attribute Name", text(256))
    .with("Description", "Description", text(256))
    .with("IntroducedVersion", "Introduced Version", text(48))
    .with("IsCustomizable", "Customizable", boolean(true))
    .done()
}
