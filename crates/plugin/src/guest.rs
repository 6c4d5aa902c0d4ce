//! One instance of a component, and one run in it.
//!
//! In: a [`Run`] and a context. Out: what the guest answered, or how it ended. Not here: threads ([`crate::seat`]) and
//! the meaning of the lists ([`crate::codec`], [`crate::context`]).
//! Invariant: an instance that trapped is never entered again.

use crate::bindings::exports::sheaf::plugin::{handler, lean_handler};
use crate::bindings::sheaf::plugin::{hand_over, logging, tracing as traces, types};
use crate::component::{Form, Ready};
use crate::context;
use crate::limits::{Limiter, Settings};
use crate::trace::Trace;
use model::{Catalog, Fault};
use pipeline::step::{
    CallOptions, OfferedType, OperationStatus, ServiceReply, ServiceRequest, StepCall, StepFault,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};

/// How long a component may take to list its types.
const LISTING_MAX: Duration = Duration::from_secs(10);

/// What a crash leaves in the log, in bytes.
const CRASH_BYTES_MAX: usize = 4_096;

/// The service as a guest has it: blocking, one call at a time.
pub(crate) trait Calls {
    /// Executes a message. None when nobody waits for the run any more.
    fn execute(
        &mut self,
        request: ServiceRequest,
        options: CallOptions,
    ) -> Option<Result<ServiceReply, Fault>>;
}

/// When a run has to end.
#[derive(Clone)]
pub(crate) struct Alarm {
    /// How long it may still take.
    pub(crate) remaining: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// Nobody waits for it any more.
    pub(crate) abandoned: Arc<AtomicBool>,
}

impl Alarm {
    fn has_rung(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed) || (self.remaining)().is_zero()
    }
}

/// One run, as the functions that a guest calls see it.
pub(crate) struct Run {
    pub(crate) catalog: Arc<Catalog>,
    /// What it is about, until a guest of the lean form has taken it.
    pub(crate) hand_over: Option<Arc<StepCall>>,
    pub(crate) calls: Box<dyn Calls>,
    pub(crate) trace: Trace,
    pub(crate) logs: crate::trace::Logs,
    /// Its component may act as the service itself.
    pub(crate) is_trusted: bool,
    /// Faults that it was given.
    pub(crate) handed: Vec<Fault>,
}

/// What an instance carries for the functions that it calls.
pub(crate) struct State {
    limiter: Limiter,
    pub(crate) run: Option<Run>,
    alarm: Option<Alarm>,
    has_timed_out: bool,
}

/// An instance that may be entered.
pub(crate) struct Instance {
    store: Store<State>,
    handler: Handler,
}

/// What an instance exports.
enum Handler {
    Lean(lean_handler::Guest),
    Whole(handler::Guest),
}

/// What became of the instance of a run.
pub(crate) enum After {
    /// It may be entered again.
    Usable(Instance),
    /// It is gone.
    Gone,
}

impl Instance {
    /// Makes an instance. The alarm may ring in its start already.
    pub(crate) fn new(
        engine: &Engine,
        ready: &Ready,
        settings: &Settings,
        alarm: Alarm,
    ) -> Result<Self, StepFault> {
        let state = State {
            limiter: Limiter::new(settings),
            run: None,
            alarm: Some(alarm),
            has_timed_out: false,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limiter);
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            if state.alarm.as_ref().is_none_or(Alarm::has_rung) {
                state.has_timed_out = true;
                return Ok(UpdateDeadline::Interrupt);
            }
            Ok(UpdateDeadline::Continue(1))
        });
        ready_for_call(&mut store, settings);
        let made = ready.pre.instantiate(&mut store).and_then(|instance| match &ready.form {
            Form::Lean(export) => export.load(&mut store, &instance).map(Handler::Lean),
            Form::Whole(export) => export.load(&mut store, &instance).map(Handler::Whole),
        });
        match made {
            Ok(handler) => Ok(Self { store, handler }),
            Err(error) => Err(ending(store.data(), &error)),
        }
    }

    /// Runs the handler once.
    pub(crate) fn execute(
        mut self,
        settings: &Settings,
        run: Run,
        alarm: Alarm,
        call: &StepCall,
    ) -> (Result<types::ContextChanges, StepFault>, Run, After) {
        let remaining = (alarm.remaining)();
        let state = self.store.data_mut();
        state.run = Some(run);
        state.alarm = Some(alarm);
        state.limiter.was_refused = false;
        ready_for_call(&mut self.store, settings);
        let answer = match &self.handler {
            Handler::Lean(handler) => {
                handler.call_execute(&mut self.store, &context::head(call, remaining))
            }
            Handler::Whole(handler) => {
                handler.call_execute(&mut self.store, &context::whole(call, remaining))
            }
        };
        let run = self.store.data_mut().run.take().expect("the run was put there above");
        match answer {
            Ok(Ok(changes)) => (Ok(changes), run, After::Usable(self)),
            Ok(Err(error)) => (Err(failure(error, &run.handed)), run, After::Usable(self)),
            Err(error) => (Err(ending(self.store.data(), &error)), run, After::Gone),
        }
    }

    /// The types that the component lists.
    pub(crate) fn list(&mut self, settings: &Settings) -> Result<Vec<OfferedType>, StepFault> {
        ready_for_call(&mut self.store, settings);
        let offered = |name: String, friendly_name: String, description: String| OfferedType {
            name: name.into(),
            friendly_name: friendly_name.into(),
            description: description.into(),
        };
        let listed = match &self.handler {
            Handler::Lean(handler) => handler.call_list_types(&mut self.store).map(|listed| {
                let each = listed.into_iter();
                each.map(|of| offered(of.type_name, of.friendly_name, of.description)).collect()
            }),
            Handler::Whole(handler) => handler.call_list_types(&mut self.store).map(|listed| {
                let each = listed.into_iter();
                each.map(|of| offered(of.type_name, of.friendly_name, of.description)).collect()
            }),
        };
        listed.map_err(|error| ending(self.store.data(), &error))
    }
}

fn ready_for_call(store: &mut Store<State>, settings: &Settings) {
    store.set_epoch_deadline(1);
    if let Some(fuel) = settings.fuel {
        store.set_fuel(fuel).expect("the engine was made to count when this setting is there");
    }
}

/// Lists the types of a component in an instance that is made and dropped here.
pub(crate) fn list_types(
    engine: &Engine,
    ready: &Ready,
    settings: &Settings,
) -> Result<Vec<OfferedType>, String> {
    #[expect(clippy::disallowed_methods, reason = "nobody else watches over this call")]
    let deadline = Instant::now() + LISTING_MAX;
    #[expect(clippy::disallowed_methods, reason = "nobody else watches over this call")]
    let remaining = move || deadline.saturating_duration_since(Instant::now());
    let alarm = Alarm { remaining: Arc::new(remaining), abandoned: Arc::default() };
    let listed =
        Instance::new(engine, ready, settings, alarm).and_then(|mut this| this.list(settings));
    listed.map_err(|fault| match fault {
        StepFault::Crashed(why) => format!("it failed when asked for its types: {why}"),
        StepFault::MemoryLimit => "it took too much memory when asked for its types".to_owned(),
        StepFault::TimeLimit => "it took too long when asked for its types".to_owned(),
        other => format!("it could not be asked for its types: {other:?}"),
    })
}

/// How a run ended that did not answer.
fn ending(state: &State, error: &wasmtime::Error) -> StepFault {
    let trap = error.downcast_ref::<Trap>();
    if state.has_timed_out || matches!(trap, Some(Trap::Interrupt | Trap::OutOfFuel)) {
        return StepFault::TimeLimit;
    }
    if state.limiter.was_refused {
        return StepFault::MemoryLimit;
    }
    let mut text = format!("{error:?}");
    text.truncate(text.floor_char_boundary(CRASH_BYTES_MAX));
    StepFault::Crashed(text)
}

/// What an error means that a guest answered.
fn failure(error: types::PluginError, handed: &[Fault]) -> StepFault {
    match error {
        types::PluginError::InvalidExecution(refusal) => StepFault::Refused {
            message: refusal.message,
            status: match refusal.status {
                types::OperationStatus::Failed => OperationStatus::Failed,
                types::OperationStatus::Canceled => OperationStatus::Canceled,
                types::OperationStatus::Retry => OperationStatus::Retry,
                types::OperationStatus::Suspended => OperationStatus::Suspended,
                types::OperationStatus::Succeeded => OperationStatus::Succeeded,
            },
            sub_error_code: refusal.sub_error_code,
            http_status: refusal.http_status.filter(|status| (400..600).contains(status)),
            details: refusal.details.into_iter().map(|(key, value)| (key.into(), value)).collect(),
        },
        types::PluginError::Fault(passed) => {
            let known = handed.iter().find(|fault| {
                crate::service::code_of(fault) == passed.code && fault.text() == passed.message
            });
            match known {
                Some(fault) => StepFault::PassedOn(Box::new(fault.clone())),
                None => StepFault::Unexpected(format!(
                    "a fault that it was not given: {} {}",
                    passed.code, passed.message
                )),
            }
        }
        types::PluginError::Unexpected(text) => StepFault::Unexpected(text),
    }
}

impl types::Host for State {}

/// A hand-over that nobody has time for any more: it ends the guest.
#[derive(Debug, thiserror::Error)]
#[error("there is no time left")]
struct TooLate;

impl hand_over::Host for State {
    fn take(&mut self) -> wasmtime::Result<Option<hand_over::Given>> {
        // The alarm of the engine does not ring while the host works.
        if self.alarm.as_ref().is_none_or(Alarm::has_rung) {
            self.has_timed_out = true;
            return Err(TooLate.into());
        }
        let call = self.run.as_mut().and_then(|run| run.hand_over.take());
        Ok(call.map(|call| context::given(&call)))
    }
}

impl traces::Host for State {
    fn trace(&mut self, message: String) -> wasmtime::Result<()> {
        if let Some(run) = &mut self.run {
            run.trace.push(message);
        }
        Ok(())
    }
}

impl logging::Host for State {
    fn log(
        &mut self,
        level: logging::Level,
        message: String,
        scope: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        if let Some(run) = &mut self.run {
            run.logs.push(level, &message, &scope);
        }
        Ok(())
    }
}
