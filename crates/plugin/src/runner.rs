//! The host: what the pipeline hands steps to.
//!
//! Not here: guests ([`crate::seat`], [`crate::guest`]) and webhooks ([`crate::webhook`]) themselves.

use crate::component::{self, Components, NotReady};
use crate::guest::Alarm;
use crate::limits::Settings;
use crate::seat::{Event, Job, Seat, Seats};
use crate::webhook::{self, Webhooks};
use crate::{Error, engine};
use async_trait::async_trait;
use model::{Fault, code};
use pipeline::step::{
    Endpoint, Handler, HandlerKind, OfferedType, PluginType, Ran, Service, StepCall, StepFault,
    StepRunner,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// Runs components and sends webhooks. One per process.
pub struct Host {
    settings: Arc<Settings>,
    components: Arc<Components>,
    seats: Arc<Seats>,
    webhooks: Webhooks,
}

impl Host {
    /// Makes the host: its engine, the thread that ticks for it, its directory of compiled components.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        let engine = engine::open(&settings)?;
        Ok(Self {
            components: Arc::new(Components::open(engine, &settings)?),
            seats: Seats::new(settings.guests_max),
            webhooks: Webhooks::new(settings.webhooks.clone())?,
            settings: Arc::new(settings),
        })
    }

    /// Threads that were started for guests so far; at most [`Settings::guests_max`].
    pub fn threads_started(&self) -> usize {
        self.seats.started()
    }

    async fn run_guest(
        &self,
        call: StepCall,
        of: PluginType,
        service: Arc<dyn Service>,
    ) -> Result<Ran, StepFault> {
        let bytes = call.bytes();
        if bytes > self.settings.hand_over_bytes_max() {
            return Err(too_large(bytes));
        }
        let hash = &of.assembly.hash;
        let ready = self.components.ready(hash, service.component()).await;
        let ready = ready.map_err(|error| {
            StepFault::NotLoadable(match error {
                NotReady::Missing(fault) => fault.to_string(),
                NotReady::Refused(why) => why,
            })
        })?;
        let taken = call.seat.clone().and_then(|seat| seat.downcast::<Seat>().ok());
        let seat = match taken {
            Some(seat) => seat,
            None => self.seats.take(service.remaining()).await?,
        };
        let abandoned = Arc::new(AtomicBool::new(false));
        // Not held: an instance that is kept for the next record has its alarm until the seat is free, and the
        // service may hold the seat. A run that nobody awaits has no time left.
        let clock = Arc::downgrade(&service);
        let remaining = move || clock.upgrade().map_or(Duration::ZERO, |clock| clock.remaining());
        let alarm = Alarm { remaining: Arc::new(remaining), abandoned: abandoned.clone() };
        // A guest tells one thing and waits, or ends: there is never more than one event.
        let (events, told) = mpsc::channel(1);
        let is_trusted = self.settings.trusted.contains(hash);
        seat.run(Job {
            call,
            ready,
            settings: self.settings.clone(),
            engine: self.components.engine().clone(),
            alarm,
            is_trusted,
            events,
        })?;
        let guard = GiveUp { seat, abandoned };
        attend(&guard.seat, told, &*service).await
    }

    async fn run_webhook(
        &self,
        call: &StepCall,
        endpoint: &Endpoint,
        service: &dyn Service,
    ) -> Result<(), StepFault> {
        let bytes = call.bytes();
        if bytes > self.settings.context_bytes_max {
            return Err(too_large(bytes));
        }
        self.webhooks.send(call, endpoint, service.remaining()).await
    }
}

/// Answers the calls of a guest until it ends.
async fn attend(
    seat: &Seat,
    mut told: mpsc::Receiver<Event>,
    service: &dyn Service,
) -> Result<Ran, StepFault> {
    loop {
        match told.recv().await {
            Some(Event::Call(number, call)) => {
                let (request, options) = *call;
                let answer = service.execute(request, options).await;
                seat.answer(number, answer)?;
            }
            Some(Event::Ended(ran)) => return Ok(*ran),
            None => {
                return Err(StepFault::Crashed("the thread of the guest has ended".to_owned()));
            }
        }
    }
}

/// Ends a guest that nobody awaits any more.
struct GiveUp {
    seat: Arc<Seat>,
    abandoned: Arc<AtomicBool>,
}

impl Drop for GiveUp {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.seat.give_up();
    }
}

/// The documented fault of a context that is too large to be handed over.
fn too_large(bytes: u64) -> StepFault {
    let megabytes = bytes.div_ceil(1 << 20);
    let text = format!(
        "Message size exceeded when sending context to Sandbox. Message size: {megabytes} Mb"
    );
    StepFault::PassedOn(Box::new(
        Fault::new(code::UNEXPECTED, text)
            .with_hint("send fewer targets in one request, or give the images of the step columns"),
    ))
}

#[async_trait]
impl StepRunner for Host {
    async fn run(&self, call: StepCall, service: Arc<dyn Service>) -> Ran {
        let ran = match &call.step.handler {
            Handler::Type(of) => {
                let of = of.clone();
                self.run_guest(call, of, service).await
            }
            Handler::Endpoint(endpoint) => {
                let sent = self.run_webhook(&call, endpoint, &*service).await;
                sent.map(|()| Ran::with(pipeline::step::StepAnswer::default()))
            }
        };
        ran.unwrap_or_else(Ran::failed)
    }

    async fn enter(&self, wait_max: Duration) -> Result<pipeline::step::Seat, StepFault> {
        Ok(self.seats.take(wait_max).await?)
    }

    async fn inspect(&self, component: Arc<[u8]>) -> Result<Vec<OfferedType>, String> {
        let ready = self.components.prepare(component).await;
        let ready = ready.map_err(|error| match error {
            NotReady::Missing(fault) => fault.to_string(),
            NotReady::Refused(why) => why,
        })?;
        let (engine, settings) = (self.components.engine().clone(), self.settings.clone());
        let listed =
            tokio::task::spawn_blocking(move || component::types_of(&engine, &ready, &settings));
        listed.await.unwrap_or_else(|error| Err(format!("it could not be asked: {error}")))
    }

    fn check_endpoint(&self, endpoint: &Endpoint) -> Result<(), String> {
        let value = endpoint.auth_value.as_deref();
        let checked = webhook::check_auth(&endpoint.url, endpoint.auth_type, value);
        checked.map_err(|error| error.to_string())
    }

    fn runs(&self, kind: HandlerKind) -> bool {
        match kind {
            HandlerKind::Component | HandlerKind::Webhook => true,
        }
    }

    fn time_max(&self) -> Duration {
        self.settings.time_max
    }

    fn context_bytes_max(&self) -> u64 {
        self.settings.context_bytes_max
    }
}
