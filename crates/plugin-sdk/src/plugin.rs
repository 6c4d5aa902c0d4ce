//! What an author writes, and how the host reaches it.

use crate::bindings::exports::sheaf::plugin::lean_handler::{LeanContext, PluginType};
use crate::bindings::sheaf::plugin::types as flat;
use crate::context::Context;
use crate::service::Fault;
use crate::target::Target;
use std::sync::Once;

/// A plug-in: one type of an assembly.
pub trait Plugin {
    /// The name under which steps are registered: `typename`.
    const NAME: &'static str;
    /// A name for people.
    const FRIENDLY_NAME: &'static str = Self::NAME;
    /// What it does.
    const DESCRIPTION: &'static str = "";

    /// Runs once for each step and message: with one target, or with all targets of a bulk message.
    ///
    /// Errors: the message is undone where the request waits for the step.
    fn execute(ctx: &Context) -> Result;
}

/// What a run answers.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// Why a run fails.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// It refuses the message, with a text for the caller.
    Refuse(Box<Refuse>),
    /// A fault that the service answered to one of its calls.
    Fault(Fault),
    /// Anything else: the text is for the log only.
    Unexpected(String),
}

impl From<Refuse> for Error {
    fn from(refuse: Refuse) -> Self {
        Self::Refuse(Box::new(refuse))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What is to become of the operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// It failed.
    #[default]
    Failed,
    /// It is cancelled.
    Canceled,
    /// An asynchronous step wants to run again.
    Retry,
    /// It is suspended.
    Suspended,
    /// It succeeded.
    Succeeded,
}

/// What is shown where a refusal has no code of its own: -2146233088.
const SUB_ERROR_CODE: i32 = 0x8013_1500_u32.cast_signed();

/// A refusal: its text reaches the caller as it is.
#[derive(Clone, Debug)]
pub struct Refuse {
    message: String,
    status: Status,
    sub_error_code: i32,
    http_status: Option<u16>,
    details: Vec<(String, String)>,
}

impl Refuse {
    /// Refuses with a text.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            status: Status::default(),
            sub_error_code: SUB_ERROR_CODE,
            http_status: None,
            details: Vec::new(),
        }
    }

    /// Says what is to become of the operation.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Gives a code of the plug-in's own.
    #[must_use]
    pub fn code(mut self, code: i32) -> Self {
        self.sub_error_code = code;
        self
    }

    /// Asks for another HTTP status than 400: one of 400 to 599.
    #[must_use]
    pub fn http_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// Adds a detail for the caller.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.push((name.into(), value.into()));
        self
    }

    /// Names the target that is to blame, by id and place.
    #[must_use]
    pub fn target(self, target: &Target<'_>) -> Self {
        let id = target.id();
        let this = self.detail("failedRecordIndex", target.index().to_string());
        if id.is_zero() { this } else { this.detail("failedRecordId", id.to_string()) }
    }
}

/// A plug-in as the host finds it.
#[doc(hidden)]
pub fn type_of<P: Plugin>() -> PluginType {
    PluginType {
        type_name: P::NAME.to_owned(),
        friendly_name: P::FRIENDLY_NAME.to_owned(),
        description: P::DESCRIPTION.to_owned(),
    }
}

/// The name of a plug-in and its function.
#[doc(hidden)]
pub type Entry = (&'static str, fn(&Context) -> Result);

/// Runs the plug-in that a context names.
#[doc(hidden)]
pub fn dispatch(
    raw: LeanContext,
    plugins: &[Entry],
) -> std::result::Result<flat::ContextChanges, flat::PluginError> {
    trace_panics();
    let Some((_, execute)) = plugins.iter().find(|(name, _)| *name == raw.type_name) else {
        let text = format!("there is no type `{}` in this assembly", raw.type_name);
        return Err(flat::PluginError::Unexpected(text));
    };
    let context = Context::new(raw);
    match execute(&context) {
        Ok(()) => Ok(context.into_changes()),
        Err(error) => Err(of_error(error)),
    }
}

fn of_error(error: Error) -> flat::PluginError {
    match error {
        Error::Refuse(refuse) => flat::PluginError::InvalidExecution(flat::InvalidExecution {
            message: refuse.message,
            status: match refuse.status {
                Status::Failed => flat::OperationStatus::Failed,
                Status::Canceled => flat::OperationStatus::Canceled,
                Status::Retry => flat::OperationStatus::Retry,
                Status::Suspended => flat::OperationStatus::Suspended,
                Status::Succeeded => flat::OperationStatus::Succeeded,
            },
            sub_error_code: refuse.sub_error_code,
            http_status: refuse.http_status,
            details: refuse.details,
        }),
        Error::Fault(fault) => flat::PluginError::Fault(fault.into_flat()),
        Error::Unexpected(text) => flat::PluginError::Unexpected(text),
    }
}

/// A panic ends the instance; what it said is in the trace.
fn trace_panics() {
    static SET: Once = Once::new();
    SET.call_once(|| {
        std::panic::set_hook(Box::new(|panic| crate::logging::trace(&panic.to_string())));
    });
}

/// Makes an assembly of plug-ins: to be called once, at the root of a `cdylib`.
#[macro_export]
macro_rules! plugins {
    ($($plugin:ty),+ $(,)?) => {
        #[doc(hidden)]
        pub struct SheafPlugins;

        impl $crate::bindings::exports::sheaf::plugin::lean_handler::Guest for SheafPlugins {
            fn list_types()
            -> ::std::vec::Vec<$crate::bindings::exports::sheaf::plugin::lean_handler::PluginType> {
                ::std::vec![$($crate::type_of::<$plugin>()),+]
            }

            fn execute(
                ctx: $crate::bindings::exports::sheaf::plugin::lean_handler::LeanContext,
            ) -> ::std::result::Result<
                $crate::bindings::sheaf::plugin::types::ContextChanges,
                $crate::bindings::sheaf::plugin::types::PluginError,
            > {
                $crate::dispatch(
                    ctx,
                    &[$((
                        <$plugin as $crate::Plugin>::NAME,
                        <$plugin as $crate::Plugin>::execute
                            as fn(&$crate::Context) -> $crate::Result,
                    )),+],
                )
            }
        }

        // Elsewhere, where an author's own tests run, there is nobody to export to.
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export!(SheafPlugins with_types_in $crate::bindings);
    };
}
