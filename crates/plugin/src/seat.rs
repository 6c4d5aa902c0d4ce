//! Threads on which guests run, and who may have one.
//!
//! A message that runs guests takes one seat, which is a thread and its place among those that may run at the same
//! time, and keeps it to its end. While a guest waits for a call of its own, its thread takes orders: the answer, or a
//! guest of the message that the call caused, which runs above it on the same thread. So what a seat causes never
//! waits for another seat, and messages that have theirs always come to an end.
//! Invariant: an order never waits: the thread that it is for is idle, or waits for it.

use crate::component::Ready;
use crate::context;
use crate::guest::{After, Alarm, Calls, Instance, Run};
use crate::limits::Settings;
use crate::trace::{Logs, Trace};
use model::{Fault, Uuid};
use pipeline::step::{
    CallOptions, Ran, ServiceReply, ServiceRequest, StepAnswer, StepCall, StepFault,
};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use wasmtime::Engine;

/// Orders that may wait for a thread: one run or answer for each depth of a message, and as many that it was given up.
const ORDERS_MAX: usize = 64;

/// Stack of a thread: guests of a message lie above each other, each with up to 1 MiB of its own.
const STACK_BYTES: usize = 32 << 20;

/// What a thread is told.
enum Order {
    /// Run a guest.
    Run(Box<Job>),
    /// The answer to the call of this number.
    Answer(u64, Box<Result<ServiceReply, Fault>>),
    /// A run was given up: look whether it is yours.
    GivenUp,
    /// The message has ended: drop its instances.
    Clear,
}

/// What a running guest tells whoever awaits it.
pub(crate) enum Event {
    /// It asks something of the service; the number goes into the answer.
    Call(u64, Box<(ServiceRequest, CallOptions)>),
    /// It has ended.
    Ended(Box<Ran>),
}

/// One run of a guest.
pub(crate) struct Job {
    pub(crate) call: StepCall,
    pub(crate) ready: Arc<Ready>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) engine: Engine,
    pub(crate) alarm: Alarm,
    pub(crate) is_trusted: bool,
    pub(crate) events: mpsc::Sender<Event>,
}

/// All seats of a process.
pub(crate) struct Seats {
    places: Arc<Semaphore>,
    idle: Mutex<Vec<SyncSender<Order>>>,
    /// Threads that were ever started.
    started: AtomicUsize,
}

/// A thread for one message. It goes back when the last who holds it lets go.
pub(crate) struct Seat {
    orders: SyncSender<Order>,
    seats: Arc<Seats>,
    _place: OwnedSemaphorePermit,
}

impl Seats {
    pub(crate) fn new(guests_max: usize) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(guests_max.max(1))),
            idle: Mutex::new(Vec::new()),
            started: AtomicUsize::new(0),
        })
    }

    /// Takes a seat, waiting for one to become free.
    pub(crate) async fn take(self: &Arc<Self>, wait_max: Duration) -> Result<Arc<Seat>, StepFault> {
        let place = tokio::time::timeout(wait_max, self.places.clone().acquire_owned()).await;
        let Ok(Ok(place)) = place else { return Err(StepFault::NoneFree) };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let orders = match idle {
            Some(orders) => orders,
            None => self.start()?,
        };
        Ok(Arc::new(Seat { orders, seats: self.clone(), _place: place }))
    }

    fn start(&self) -> Result<SyncSender<Order>, StepFault> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        // Room for the orders of the deepest message there can be; what stands in it is never more.
        let (sender, orders) = sync_channel(ORDERS_MAX);
        let thread = std::thread::Builder::new().name(format!("plugin-{number}"));
        match thread.stack_size(STACK_BYTES).spawn(move || work(orders)) {
            Ok(_) => Ok(sender),
            Err(error) => {
                tracing::error!(%error, "a thread for plug-ins could not be started");
                Err(StepFault::NoneFree)
            }
        }
    }

    /// Threads that were started so far; never more than may run at the same time.
    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }
}

impl Seat {
    pub(crate) fn run(&self, job: Job) -> Result<(), StepFault> {
        self.order(Order::Run(Box::new(job)))
    }

    pub(crate) fn answer(
        &self,
        number: u64,
        answer: Result<ServiceReply, Fault>,
    ) -> Result<(), StepFault> {
        self.order(Order::Answer(number, Box::new(answer)))
    }

    /// Wakes the thread, so that it looks for runs that were given up.
    pub(crate) fn give_up(&self) {
        // A thread with so many orders before this one looks anyway.
        drop(self.order(Order::GivenUp));
    }

    fn order(&self, order: Order) -> Result<(), StepFault> {
        self.orders.try_send(order).map_err(|error| {
            StepFault::Crashed(match error {
                TrySendError::Full(_) => "too many orders wait for the thread".to_owned(),
                TrySendError::Disconnected(_) => "the thread of the guest has ended".to_owned(),
            })
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.order(Order::Clear).is_ok() {
            let mut idle = self.seats.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(self.orders.clone());
        } else {
            // The thread is gone, so another may be started in its place.
            self.seats.started.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// An instance that waits for the next record of its message.
struct Kept {
    step: Uuid,
    request: Uuid,
    depth: u32,
    instance: Instance,
}

/// What a thread works at.
struct Desk {
    orders: Receiver<Order>,
    kept: RefCell<Vec<Kept>>,
}

fn work(orders: Receiver<Order>) {
    let desk = Rc::new(Desk { orders, kept: RefCell::default() });
    while let Ok(order) = desk.orders.recv() {
        match order {
            Order::Run(job) => desk.run(*job),
            Order::Clear => desk.kept.borrow_mut().clear(),
            // Of a run that is over.
            Order::Answer(..) | Order::GivenUp => {}
        }
    }
}

impl Desk {
    fn run(self: &Rc<Self>, job: Job) {
        let events = job.events.clone();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run_job(job)));
        let ran = caught.unwrap_or_else(|_| {
            Ran::failed(StepFault::Crashed("the host panicked; this is its defect".to_owned()))
        });
        // Nobody may be there any more.
        drop(events.blocking_send(Event::Ended(Box::new(ran))));
    }

    fn run_job(self: &Rc<Self>, job: Job) -> Ran {
        let Job { call, ready, settings, engine, alarm, is_trusted, events } = job;
        let call = Arc::new(call);
        let logs = Logs::new(call.step.id, call.frame.correlation, call.frame.depth);
        let calls = Asking { desk: self.clone(), events, abandoned: alarm.abandoned.clone() };
        let mut run = Run {
            catalog: call.catalog.clone(),
            hand_over: Some(call.clone()),
            calls: Box::new(calls),
            trace: Trace::default(),
            logs,
            is_trusted,
            handed: Vec::new(),
        };
        #[expect(clippy::disallowed_methods, reason = "measures what a trace row shows")]
        let began = Instant::now();
        let instance = self.instance(&call, &ready, &settings, &engine, alarm.clone());
        let preparing = began.elapsed();
        let answer = match instance {
            Err(fault) => Err(fault),
            Ok(instance) => {
                let (answer, after, back) = {
                    let (answer, run, after) = instance.execute(&settings, run, alarm, &call);
                    (answer, after, run)
                };
                run = back;
                if let After::Usable(instance) = after {
                    self.keep(&call, instance);
                }
                answer
            }
        };
        let answer: Result<StepAnswer, StepFault> =
            answer.and_then(|changes| context::read(&call, &changes));
        Ran { answer, trace: run.trace.into_lines(), preparing }
    }

    /// The instance that the step had for an earlier record of the message, or a new one.
    fn instance(
        &self,
        call: &StepCall,
        ready: &Ready,
        settings: &Settings,
        engine: &Engine,
        alarm: Alarm,
    ) -> Result<Instance, StepFault> {
        let (step, request, depth) = (call.step.id, call.frame.request, call.frame.depth);
        {
            let mut kept = self.kept.borrow_mut();
            // Messages of this depth or deeper that are not this one have ended.
            kept.retain(|kept| kept.depth < depth || kept.request == request);
            let found = kept.iter().position(|kept| kept.step == step && kept.request == request);
            if let Some(place) = found {
                return Ok(kept.swap_remove(place).instance);
            }
        }
        let mut instance = Instance::new(engine, ready, settings, alarm)?;
        let types = match ready.types.get() {
            Some(types) => types,
            None => {
                let listed = instance.list(settings)?;
                ready.types.get_or_init(|| listed.into_iter().map(|of| of.name).collect())
            }
        };
        match types.contains(call.step.handler.name()) {
            true => Ok(instance),
            false => Err(StepFault::TypeMissing),
        }
    }

    fn keep(&self, call: &StepCall, instance: Instance) {
        let (step, request, depth) = (call.step.id, call.frame.request, call.frame.depth);
        self.kept.borrow_mut().push(Kept { step, request, depth, instance });
    }
}

/// Asks the service, from the thread of a guest.
struct Asking {
    desk: Rc<Desk>,
    events: mpsc::Sender<Event>,
    abandoned: Arc<AtomicBool>,
}

impl Calls for Asking {
    fn execute(
        &mut self,
        request: ServiceRequest,
        options: CallOptions,
    ) -> Option<Result<ServiceReply, Fault>> {
        if self.abandoned.load(Ordering::Relaxed) {
            return None;
        }
        // One for all runs of the process: an answer that comes too late is nobody else's.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let event = Event::Call(number, Box::new((request, options)));
        self.events.blocking_send(event).ok()?;
        loop {
            match self.desk.orders.recv().ok()? {
                Order::Answer(of, answer) if of == number => return Some(*answer),
                // A guest of the message that this call caused.
                Order::Run(job) => self.desk.run(*job),
                Order::Answer(..) | Order::GivenUp | Order::Clear => {}
            }
            if self.abandoned.load(Ordering::Relaxed) {
                return None;
            }
        }
    }
}
