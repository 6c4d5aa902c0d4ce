//! Faults of steps and of their registration.
//!
//! Source: plugins.md 3, 5.1; texts are the platform's as far as they are known.

use crate::step::{Handler, Step, StepFault};
use model::{Column, ErrorCode, Fault, Table, TargetKey, Uuid, code};

/// The code of a step that gave none of its own.
const SUB_ERROR_CODE: i32 = -2_146_233_088;

/// The fault of a message whose steps found no place to run in time.
pub(crate) fn no_place_for_steps() -> Fault {
    Fault::new(
        code::SANDBOX_NOT_AVAILABLE,
        "The plug-in execution failed because no Sandbox Hosts are currently available. Please check \
         that you have a Sandbox server configured and that it is running.",
    )
}

/// The fault of a run that failed, and whether it is the step's own (and not one that it passed on).
pub(crate) fn of_step(step: &Step, why: StepFault) -> (Fault, bool) {
    let crashed = |log: String| {
        let text = "The plug-in execution failed because the Sandbox Worker process crashed. This is \
                    typically due to an error in the plug-in code.";
        Fault::new(code::SANDBOX_CRASHED, text).with_log(log)
    };
    let fault = match why {
        StepFault::Refused { message, status, sub_error_code, http_status, details } => {
            let text = match message.is_empty() {
                true => "ISV code aborted the operation.".to_owned(),
                false => message,
            };
            let (code, status_of_answer) = match http_status {
                Some(400) => (code::STORE_ERROR, None),
                Some(404) => (code::STEP_NOT_FOUND, None),
                Some(500) => (code::STEP_FAILED, None),
                Some(other @ 400..=599) => (code::ISV_ABORTED, Some(other)),
                Some(_) | None => (code::ISV_ABORTED, None),
            };
            let sub = if sub_error_code == 0 { SUB_ERROR_CODE } else { sub_error_code };
            let mut fault = Fault::new(code, text)
                .with_detail("OperationStatus", status.number().to_string())
                .with_detail("SubErrorCode", sub.to_string());
            fault.http_status = status_of_answer;
            fault.details.extend(details);
            fault
        }
        StepFault::PassedOn(fault) => return (*fault, false),
        StepFault::Unexpected(log) => {
            Fault::new(code::ISV_UNEXPECTED, "An unexpected error occurred from ISV code.")
                .with_log(log)
        }
        StepFault::Crashed(log) => crashed(log),
        StepFault::MemoryLimit => crashed("memory limit".to_owned()),
        StepFault::TimeLimit => time_over(step.handler.name()),
        StepFault::NotLoadable(log) => {
            Fault::new(code::ASSEMBLY_NOT_LOADED, "Unable to load plug-in assembly.").with_log(log)
        }
        StepFault::TypeMissing => Fault::new(code::TYPE_NOT_LOADED, "Unable to load plug-in type."),
        StepFault::NoneFree => no_place_for_steps(),
        StepFault::Disabled => {
            Fault::new(code::SANDBOX_DISABLED, "Sandbox Plug-in execution is disabled.")
                .with_hint("this service runs no plug-ins")
        }
        StepFault::Webhook { code, message, log } => Fault::new(code, message).with_log(log),
    };
    (fault, true)
}

/// What the caller is told about a run that failed: which step, and what it traced (plugins.md 5.2).
pub(crate) fn of_failed_run(
    mut fault: Fault,
    step: &Step,
    (table, depth): (&Table, u32),
    trace: &[Box<str>],
) -> Fault {
    let (source, title) = match &step.handler {
        Handler::Type(of) => {
            let assembly = &of.assembly;
            let source = format!(
                "Plugin/{}, {}, Version={}, Culture={}, PublicKeyToken={}",
                of.name,
                assembly.name,
                assembly.version,
                assembly.culture,
                assembly.public_key_token
            );
            (source, format!("{}: {}", assembly.name, of.name))
        }
        Handler::Endpoint(of) => (format!("Plugin/{}", of.name), of.name.to_string()),
    };
    let lines: String = trace.iter().map(|line| format!("{line}\r\n")).collect();
    fault.trace = Some(format!(
        "\r\n[{title}]\r\n[{}: {}: {} of {}]\r\n\r\n{lines}\r\n\r\n",
        step.id,
        step.handler.name(),
        step.message,
        table.logical_name
    ));
    fault
        .with_detail("Plugin.ExceptionFromPluginExecute", step.handler.name())
        .with_detail("ApiExceptionSourceKey", source)
        .with_detail("ApiStepKey", step.id.to_string())
        .with_detail("ApiDepthKey", depth.to_string())
        .with_detail("ApiPluginSolutionNameKey", "Active")
        .with_detail("ApiStepSolutionNameKey", "Active")
}

fn time_over(name: &str) -> Fault {
    let text =
        format!("Didn't receive a response from the {name} plug-in within the 2:20-minute limit.");
    Fault::new(code::STEP_TIME_OVER, text)
}

/// A call of a step whose time is over.
pub(crate) fn step_time_over() -> Fault {
    time_over("running")
}

/// A call of a step that is no longer running.
pub(crate) fn step_has_ended() -> Fault {
    Fault::new(code::UNEXPECTED, "An unexpected error occurred.")
        .with_log("a step has called the service after its end")
}

/// A message of a step was given up by a panic.
pub(crate) fn call_panicked() -> Fault {
    Fault::new(code::UNEXPECTED, "An unexpected error occurred.")
        .with_log("a message of a step has panicked")
}

/// A job whose step was disabled or is no more.
pub(crate) fn step_is_gone(step: Uuid) -> Fault {
    Fault::new(code::TYPE_NOT_LOADED, "Unable to load plug-in type.")
        .with_hint(format!("step {step} is disabled or no longer registered"))
}

/// Steps of steps without end.
pub(crate) fn too_deep() -> Fault {
    Fault::new(
        code::DEPTH_TOO_HIGH,
        "This workflow job was canceled because the workflow that started it included an infinite \
         loop. Correct the workflow logic and try again. For information about workflow logic, see \
         Help.",
    )
}

/// What is handed to a step is too large.
pub(crate) fn context_too_large(bytes: u64) -> Fault {
    let megabytes = bytes as f64 / 1_048_576.0;
    let text = format!(
        "Message size exceeded when sending context to Sandbox. Message size: {megabytes:.2} Mb"
    );
    let mut fault = Fault::new(code::UNEXPECTED, text)
        .with_hint("send fewer targets in one request, or register images with fewer columns");
    // The caller's own doing, unlike other faults of this code.
    fault.http_status = Some(400);
    fault
}

/// A step went on behind a write that had failed.
pub(crate) fn transaction_count_reduced() -> Fault {
    Fault::new(
        code::TRANSACTION_COUNT_REDUCED,
        "ISV code reduced the open transaction count. Custom plug-ins should not catch exceptions from \
         OrganizationService calls and continue processing.",
    )
}

/// Definitions, and what moves their version on, cannot be changed inside a transaction.
pub(crate) fn other_isolation_level() -> Fault {
    Fault::new(
        code::INVALID_ARGUMENT,
        "You cannot start a transaction with a different isolation level than is already set on the \
         current transaction",
    )
}

/// The definitions have moved on behind the first step.
pub(crate) fn definitions_moved() -> Fault {
    Fault::new(code::SERVER_BUSY, "The definitions are being changed. Try again later.")
}

/// The user of a step is disabled.
pub(crate) fn step_user_disabled(user: Uuid, organization: Uuid) -> Fault {
    Fault::new(
        code::SYSTEM_USER_DISABLED,
        format!(
            "The user with SystemUserId={user} in OrganizationContext={organization} is disabled. \
             Disabled users cannot access the system. Consider enabling this user. Also, users are \
             disabled if they don't have a license assigned to them."
        ),
    )
}

/// A step asked for the rights of the service.
pub(crate) fn assembly_is_not_trusted(step: &Step) -> Fault {
    let text = format!("Principal with id {} is missing the rights of the system user.", step.id);
    Fault::new(code::PRIVILEGE_DENIED, text)
        .with_hint("no assembly may use the rights of the service itself")
}

/// A step puts ids into an answer that are none, or not as many as there are records.
pub(crate) fn step_changes_ids(name: &str, count: usize) -> Fault {
    let text = format!("The output parameter `{name}` must hold the ids of {count} records.");
    Fault::new(code::INVALID_ARGUMENT, text)
}

/// A step gives a record another id.
pub(crate) fn step_changes_id(table: &Table) -> Fault {
    let text = format!("A step cannot change the id of a record of `{}`.", table.logical_name);
    Fault::new(code::INVALID_ARGUMENT, text)
}

/// A step puts a record into another partition.
pub(crate) fn step_changes_partition(table: &Table) -> Fault {
    let text =
        format!("A step cannot change the partition of a record of `{}`.", table.logical_name);
    Fault::new(code::INVALID_ARGUMENT, text)
}

/// A step gives a column a value of another kind.
pub(crate) fn step_gives_other_kind(table: &Table, column: &Column) -> Fault {
    let text = format!(
        "Incorrect attribute value type: a step gave column `{}` of `{}` a value of another kind.",
        column.logical_name, table.logical_name
    );
    Fault::new(code::INVALID_ARGUMENT, text)
}

/// A query of a step that cannot be understood.
pub(crate) fn of_query_text(why: &dyn std::fmt::Display) -> Fault {
    Fault::new(code::INVALID_ARGUMENT, format!("The query of the step cannot be run: {why}"))
}

/// No record has this key.
pub(crate) fn no_record_with(table: &Table, key: &TargetKey) -> Fault {
    match key {
        TargetKey::Id(id) => super::no_record(table, *id),
        TargetKey::None => super::no_record(table, Uuid::nil()),
        TargetKey::Alternate(_) => Fault::new(
            code::RECORD_NOT_FOUND_BY_ENTITY_KEY,
            format!(
                "A record with the specified key values does not exist in {} entity",
                table.logical_name
            ),
        ),
    }
}

/// The handler of a step is no component, or its bytes are gone.
pub(crate) fn no_component() -> Fault {
    Fault::new(code::ASSEMBLY_NOT_LOADED, "Unable to load plug-in assembly.")
}

/// A registration that cannot be.
pub(crate) fn registration(why: impl std::fmt::Display) -> Fault {
    let text = "The plug-in assembly registration configuration is invalid.";
    Fault::new(code::REGISTRATION_INVALID, format!("{text}: {why}"))
}

/// The content of an assembly is not what it must be.
pub(crate) fn content(why: impl std::fmt::Display) -> Fault {
    let text = "Plug-in assembly does not contain the required types or assembly content cannot be \
                updated.";
    Fault::new(code::ASSEMBLY_CONTENT_INVALID, format!("{text}: {why}"))
}

/// A registration with a code of its own.
pub(crate) fn registration_as(code: ErrorCode, text: impl Into<String>) -> Fault {
    Fault::new(code, text)
}
