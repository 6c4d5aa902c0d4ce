//! The loop that sends rows: takes blocks in, keeps the allowed number of requests in flight, and
//! sees every row to its one outcome.
//!
//! In: blocks of encoded rows, a way to the service, a stop signal. Out: events and a [`Summary`].
//! Not here: what an answer means (`verdict`), the waiting rules (`retry`), how much at once
//! (`controller`), what travels together (`planner`). This is the rim: it reads the clock and awaits.
//! Invariant: every row that was taken up ends exactly once; memory does not grow with the input.

mod landing;

use crate::controller::{Controller, Setting};
use crate::ids::Dice;
use crate::journal::{Counts, Outcome};
use crate::planner::{Bounds, Chunk, Planner};
use crate::problem::{Class, Problem};
use crate::request::{self, Route};
use crate::retry::History;
use crate::rows::{Block, Operation, Row};
use crate::transport::{self, Response, Transport};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use model::ErrorCode;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// A body carries at most this many bytes.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Blocks between reader and sender: enough that neither waits for the other's next step.
pub const BLOCKS_MAX: usize = 8;

/// Rows wait at most so long for others to travel with.
const LINGER: Duration = Duration::from_secs(1);
/// After a stop, requests in flight get so long.
const GRACE: Duration = Duration::from_secs(30);

/// How a run sends.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Requests in flight.
    pub width: Setting,
    /// What the service recommends for it.
    pub width_hint: Option<usize>,
    /// Rows in a message.
    pub size: Setting,
    /// The most rows in a message that the table takes.
    pub size_max: usize,
    /// Bytes in a message.
    pub bytes_max: usize,
    /// Extra attempts for rows that failed.
    pub retries: u32,
    /// The wait before the first of them.
    pub initial_retry_delay: Duration,
    /// For jitter.
    pub random: u64,
}

/// What a run says while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A row has ended.
    Ended {
        /// The row.
        row: &'a Row,
        /// How.
        outcome: Outcome,
        /// Why, when it failed.
        problem: Option<&'a Problem>,
        /// How often it was sent.
        attempts: u32,
    },
    /// Something moved.
    Status(Status),
}

/// Where a run stands.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// The accounts so far.
    pub counts: Counts,
    /// Requests in flight.
    pub in_flight: usize,
    /// Rows in a new message.
    pub size: usize,
    /// Requests sent.
    pub requests: u64,
    /// How long everybody still pauses.
    pub paused: Option<Duration>,
}

/// Why a run stopped early.
#[derive(Clone, Debug)]
pub enum Halt {
    /// It was asked to.
    Interrupted,
    /// The service refuses whatever it is sent.
    Refused(Problem),
    /// The service could not be reached for too long.
    Unreachable(Problem),
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The accounts; all rows are closed.
    pub counts: Counts,
    /// Why it stopped early.
    pub halt: Option<Halt>,
    /// Requests sent.
    pub requests: u64,
    /// Most requests in flight at a time.
    pub in_flight_most: usize,
}

/// Sends every row of `blocks` and tells `observe` what became of each.
///
/// Errors: none; what goes wrong is an outcome of rows or the summary's halt.
/// Once `stop` turns true nothing new is sent and what is in flight may finish.
pub async fn run(
    transport: &dyn Transport,
    route: &Route,
    settings: Settings,
    mut blocks: mpsc::Receiver<Block>,
    mut stop: Option<watch::Receiver<bool>>,
    observe: &mut (dyn FnMut(Event<'_>) + Send),
) -> Summary {
    let mut sender = Sender::new(transport, route, settings, observe);
    let mut flights = FuturesUnordered::new();
    let mut input_open = true;
    loop {
        let now = Instant::now();
        if let Some(since) = sender.halted_at {
            input_open = false;
            sender.give_back(&mut blocks);
            if flights.is_empty() || now >= since + GRACE {
                break;
            }
        } else {
            sender.launch(now, input_open, &mut flights);
            if !input_open && flights.is_empty() && sender.is_empty() {
                break;
            }
        }
        let due = sender.due(now, input_open, flights.len());
        tokio::select! {
            biased;
            Some((serial, answer)) = flights.next(), if !flights.is_empty() => {
                sender.land(serial, &answer);
                sender.tell_status(flights.len());
            }
            () = stopped(&mut stop), if sender.halt.is_none() => {
                sender.stop_early(Halt::Interrupted);
            }
            block = blocks.recv(), if input_open && sender.has_room() => match block {
                Some(block) => sender.take_in(block),
                None => input_open = false,
            },
            () = tokio::time::sleep_until(due.unwrap_or(now)), if due.is_some() => {}
        }
    }
    // Whatever is in flight has used up its grace.
    drop(flights);
    sender.close()
}

/// Waits for the signal; for ever when there is none or nobody is left to give it.
async fn stopped(stop: &mut Option<watch::Receiver<bool>>) {
    if let Some(signal) = stop
        && signal.wait_for(|stop| *stop).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Rows on their way to one outcome together.
#[derive(Debug)]
struct Piece {
    operation: Operation,
    rows: Vec<Row>,
    history: History,
    /// An answer was lost: an earlier attempt may have been carried out.
    is_lost: bool,
    attempts: u32,
}

/// A request in flight.
struct Flight {
    piece: Piece,
    asks: Asks,
    /// The rows travel in a bulk message.
    is_bulk: bool,
    sent: Instant,
}

/// What a request is for.
enum Asks {
    /// To write its rows.
    Write,
    /// Whether the rows of a refused message exist after all.
    Exists(Box<Refused>),
}

/// A refusal that is kept until it is settled whether the rows exist.
struct Refused {
    problem: Problem,
    failing: Vec<crate::verdict::Failing>,
    alike: bool,
}

type Answer = Result<Response, transport::Error>;
type Flights<'a> = FuturesUnordered<BoxFuture<'a, (u64, Answer)>>;

/// A failed row that is tried again under `--retries`.
struct Later {
    row: Row,
    is_lost: bool,
    problem: Problem,
    attempts: u32,
}

struct Sender<'a> {
    transport: &'a dyn Transport,
    route: &'a Route,
    settings: Settings,
    observe: &'a mut (dyn FnMut(Event<'_>) + Send),
    control: Controller,
    planner: Planner,
    counts: Counts,
    dice: Dice,
    /// To be sent as soon as there is a slot.
    ready: VecDeque<Flight>,
    /// In flight, by serial number.
    flying: HashMap<u64, Flight>,
    /// To be sent at a time; the number keeps equal times apart.
    delayed: BTreeMap<(Instant, u64), Flight>,
    later: BTreeMap<(Instant, u64), Later>,
    /// Extra attempts used, by ordinal; only rows that failed and are tried again.
    extra: HashMap<u64, u32>,
    /// Bulk messages are to be had and wanted.
    has_bulk: bool,
    /// The code with which the last batch was refused for a reason that hits every row alike.
    alike: Option<Option<ErrorCode>>,
    open_since: Option<Instant>,
    halt: Option<Halt>,
    halted_at: Option<Instant>,
    requests: u64,
    in_flight_most: usize,
    serial: u64,
}

impl<'a> Sender<'a> {
    fn new(
        transport: &'a dyn Transport,
        route: &'a Route,
        settings: Settings,
        observe: &'a mut (dyn FnMut(Event<'_>) + Send),
    ) -> Self {
        let control =
            Controller::new(settings.width, settings.width_hint, settings.size, settings.size_max);
        Self {
            transport,
            route,
            settings,
            observe,
            has_bulk: control.size() > 1 || settings.size == Setting::Auto,
            control,
            planner: Planner::default(),
            counts: Counts::default(),
            dice: Dice::new(settings.random),
            ready: VecDeque::new(),
            flying: HashMap::new(),
            delayed: BTreeMap::new(),
            later: BTreeMap::new(),
            extra: HashMap::new(),
            alike: None,
            open_since: None,
            halt: None,
            halted_at: None,
            requests: 0,
            in_flight_most: 0,
            serial: 0,
        }
    }

    fn bounds(&self) -> Bounds {
        let rows_max = if self.has_bulk { self.control.size() } else { 1 };
        Bounds { rows_max, bytes_max: self.settings.bytes_max }
    }

    fn is_empty(&self) -> bool {
        self.waiting() == 0
    }

    /// Rows that are taken up and not in flight.
    fn waiting(&self) -> usize {
        let pieces = self.ready.iter().chain(self.delayed.values());
        self.planner.full()
            + self.planner.open()
            + self.planner.waiting()
            + self.later.len()
            + pieces.map(|flight| flight.piece.rows.len()).sum::<usize>()
    }

    /// Reading stops when twice as many messages wait as may be in flight.
    fn has_room(&self) -> bool {
        self.waiting() < (2 * self.control.width_ceiling() * self.bounds().rows_max).max(2)
    }

    fn take_in(&mut self, block: Block) {
        let block = Arc::new(block);
        for row in block.rows() {
            self.counts.take_up();
            match &row.entry().problem {
                Some(problem) => {
                    let problem = (**problem).clone();
                    self.end(&row, Outcome::Failed, Some(&problem), 0);
                }
                None => self.planner.push(row, self.bounds()),
            }
        }
    }

    /// Sends what may be sent now.
    fn launch(&mut self, now: Instant, input_open: bool, flights: &mut Flights<'a>) {
        self.wake(now);
        let width = self.control.width(now.into_std());
        while flights.len() < width {
            if !self.prepare(now, input_open && self.has_room()) {
                break;
            }
            let Some(flight) = self.ready.pop_front() else { break };
            flights.push(self.send(flight, now));
            self.in_flight_most = self.in_flight_most.max(flights.len());
        }
    }

    /// Sees to it that something is ready, if anything can be.
    fn prepare(&mut self, now: Instant, more_comes: bool) -> bool {
        if !self.ready.is_empty() {
            return true;
        }
        if self.planner.full() == 0 && self.planner.open() > 0 {
            let since = *self.open_since.get_or_insert(now);
            if !more_comes || now >= since + LINGER {
                self.planner.flush();
            }
        }
        if self.planner.open() == 0 {
            self.open_since = None;
        }
        match self.planner.take_chunk() {
            Some(Chunk { operation, rows }) => {
                let history = History::default();
                self.queue(Piece { operation, rows, history, is_lost: false, attempts: 0 });
                true
            }
            None => false,
        }
    }

    /// Puts a piece behind those that are ready, row by row where there are no bulk messages.
    fn queue(&mut self, piece: Piece) {
        let is_bulk = self.has_bulk && piece.operation != Operation::Delete;
        if is_bulk || piece.rows.len() == 1 {
            self.ready.push_back(Flight::write(piece, is_bulk));
            return;
        }
        let Piece { operation, rows, history, is_lost, attempts } = piece;
        for row in rows {
            let piece = Piece { operation, rows: vec![row], history, is_lost, attempts };
            self.ready.push_back(Flight::write(piece, false));
        }
    }

    fn send(&mut self, mut flight: Flight, now: Instant) -> BoxFuture<'a, (u64, Answer)> {
        let piece = &mut flight.piece;
        let first = piece.rows.first().expect("a piece has at least one row");
        let request = match (&flight.asks, flight.is_bulk) {
            (Asks::Exists(_), _) => request::exists(self.route, first),
            (Asks::Write, true) => request::bulk(self.route, piece.operation, &piece.rows),
            (Asks::Write, false) => request::single(self.route, first),
        };
        if matches!(flight.asks, Asks::Write) {
            piece.attempts += 1;
        }
        flight.sent = now;
        self.requests += 1;
        self.serial += 1;
        let (serial, transport) = (self.serial, self.transport);
        self.flying.insert(serial, flight);
        Box::pin(async move { (serial, transport.send(request).await) })
    }

    /// Moves what has become due to where it can be sent.
    fn wake(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                break;
            }
            self.ready.push_back(entry.remove());
        }
        while let Some(entry) = self.later.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let Later { row, is_lost, attempts, .. } = entry.remove();
            // Not through the planner: the row still holds its record's mark.
            let operation = row.entry().operation;
            let history = History::default();
            self.queue(Piece { operation, rows: vec![row], history, is_lost, attempts });
        }
    }

    /// When to look again though nothing happens.
    fn due(&self, now: Instant, input_open: bool, in_flight: usize) -> Option<Instant> {
        if let Some(since) = self.halted_at {
            return Some(since + GRACE);
        }
        let delayed = self.delayed.keys().chain(self.later.keys()).map(|(at, _)| *at).min();
        let paused = self.control.next_change().map(Instant::from_std);
        let linger = match self.open_since {
            Some(since) if input_open && in_flight < self.control.width_ceiling() => {
                Some(since + LINGER)
            }
            _ => None,
        };
        [delayed, paused, linger].into_iter().flatten().filter(|at| *at > now).min()
    }

    fn end(&mut self, row: &Row, outcome: Outcome, problem: Option<&Problem>, attempts: u32) {
        self.counts.close(outcome);
        self.extra.remove(&row.entry().ordinal);
        (self.observe)(Event::Ended { row, outcome, problem, attempts });
        self.planner.ended(row, self.bounds());
    }

    fn tell_status(&mut self, in_flight: usize) {
        let now = Instant::now().into_std();
        let paused = self.control.paused_until().map(|until| until.saturating_duration_since(now));
        let status = Status {
            counts: self.counts,
            in_flight,
            size: self.bounds().rows_max,
            requests: self.requests,
            paused: paused.filter(|paused| !paused.is_zero()),
        };
        (self.observe)(Event::Status(status));
    }

    fn stop_early(&mut self, halt: Halt) {
        if self.halt.is_none() {
            self.halt = Some(halt);
            self.halted_at = Some(Instant::now());
        }
    }

    /// After a stop: ends whatever is not in flight.
    fn give_back(&mut self, blocks: &mut mpsc::Receiver<Block>) {
        blocks.close();
        while let Ok(block) = blocks.try_recv() {
            self.take_in(block);
        }
        for row in self.planner.drain() {
            self.end(&row, Outcome::NotAttempted, None, 0);
        }
        let delayed = std::mem::take(&mut self.delayed).into_values();
        let flights: Vec<_> = self.ready.drain(..).chain(delayed).collect();
        for flight in flights {
            self.leave(&flight.piece);
        }
        for later in std::mem::take(&mut self.later).into_values() {
            self.end(&later.row, Outcome::Failed, Some(&later.problem), later.attempts);
        }
    }

    /// Ends the rows of a piece that is not sent any more.
    fn leave(&mut self, piece: &Piece) {
        for row in &piece.rows {
            if piece.is_lost {
                let problem = Problem::new(
                    Class::Ambiguous,
                    "the answer was lost and the run stopped before it could be settled",
                );
                self.end(row, Outcome::Failed, Some(&problem), piece.attempts);
            } else {
                self.end(row, Outcome::NotAttempted, None, piece.attempts);
            }
        }
    }

    /// Closes the accounts.
    fn close(mut self) -> Summary {
        for flight in std::mem::take(&mut self.flying).into_values() {
            self.leave(&Piece { is_lost: true, ..flight.piece });
        }
        debug_assert_eq!(self.counts.open(), 0, "every row has ended");
        self.tell_status(0);
        Summary {
            counts: self.counts,
            halt: self.halt,
            requests: self.requests,
            in_flight_most: self.in_flight_most,
        }
    }
}

impl Flight {
    fn write(piece: Piece, is_bulk: bool) -> Self {
        Self { piece, asks: Asks::Write, is_bulk, sent: Instant::now() }
    }
}
