//! The loop that sends rows: takes blocks in, keeps the allowed number of requests in flight, and
//! sees every row to its one outcome.
//!
//! In: blocks of encoded rows, a way to the service, a stop signal. Out: events and a [`Summary`].
//! Not here: what an answer means (`verdict`), the waiting rules (`retry`), how much at once
//! (`controller`), what travels together (`planner`). This is the rim: it reads the clock and awaits.
//! Invariant: every row that was taken up ends exactly once; memory does not grow with the input; with
//! a journal, nothing leaves before the journal says so.

mod batch;
mod landing;
mod settle;

use crate::controller::{Controller, Setting};
use crate::ids::Dice;
use crate::journal::log::Log;
use crate::journal::{Counts, Outcome};
use crate::planner::{Bounds, Chunk, Planner};
use crate::problem::{Class, Problem};
use crate::request::{self, Route};
use crate::retry::History;
use crate::rows::{Block, Operation, Row, Sent};
use crate::transport::{self, Response, Transport};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use model::ErrorCode;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// A body carries at most this many bytes.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// Blocks between reader and sender: enough that neither waits for the other's next step.
pub const BLOCKS_MAX: usize = 8;

/// Rows wait at most so long for others to travel with.
const LINGER: Duration = Duration::from_secs(1);
/// Ids in one question which of them are there: an address stays below 12 kB.
const WHICH_ROWS_MAX: usize = 250;
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
    /// Which bulk messages the table has, by [`Operation`]; the others travel in `$batch`.
    pub has_bulk: [bool; Operation::ALL.len()],
    /// After so many bad rows in one message its other rows travel in `$batch`.
    pub bisect_limit: u32,
    /// Rows of a refused message all fail, for measuring.
    pub no_fallback: bool,
    /// A refusal that would hit every row does not stop the run.
    pub keep_going: bool,
    /// When so many rows have failed nothing new is sent.
    pub errors_max: Option<ErrorsMax>,
    /// Throttling that goes on for longer stops the run.
    pub throttle_max: Option<Duration>,
    /// Nothing is sent; rows end as they would if all went well.
    pub what_if: bool,
}

/// How many bad rows in one message are told apart before its other rows travel in `$batch`.
pub const BISECT_LIMIT: u32 = 8;

impl Default for Settings {
    fn default() -> Self {
        Self {
            width: Setting::Auto,
            width_hint: None,
            size: Setting::Auto,
            size_max: crate::controller::SIZE_MAX,
            bytes_max: BODY_BYTES_MAX,
            retries: 0,
            initial_retry_delay: Duration::from_secs(5),
            random: 0,
            has_bulk: [true, true, true, false],
            bisect_limit: BISECT_LIMIT,
            no_fallback: false,
            keep_going: false,
            errors_max: None,
            throttle_max: None,
            what_if: false,
        }
    }
}

/// How many rows may fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ErrorsMax {
    /// So many.
    Rows(u64),
    /// So many of a hundred that have ended; looked at from the hundredth on.
    Percent(f64),
}

impl ErrorsMax {
    #[expect(clippy::cast_precision_loss, reason = "a share of rows")]
    fn is_passed(self, counts: &Counts) -> bool {
        let (failed, closed) = (counts.of(Outcome::Failed), counts.closed());
        match self {
            Self::Rows(rows) => failed >= rows,
            Self::Percent(share) => closed >= 100 && failed as f64 * 100.0 > share * closed as f64,
        }
    }
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
        /// It failed, but its record was written: only what follows the write failed.
        is_partial: bool,
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
    /// More rows failed than may.
    TooManyErrors,
    /// The journal cannot be written.
    Journal(String),
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
/// Once `stop` turns true nothing new is sent and what is in flight may finish. With a `log` every row
/// stands there before it is sent, and its outcome once it is known.
pub async fn run(
    transport: &dyn Transport,
    route: &Route,
    settings: Settings,
    mut blocks: mpsc::Receiver<Block>,
    mut stop: Option<watch::Receiver<bool>>,
    log: Option<&mut Log>,
    observe: &mut (dyn FnMut(Event<'_>) + Send),
) -> Summary {
    let mut sender = Sender::new(transport, route, settings, log, observe);
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
                sender.keep_journal();
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
    /// An answer was lost: an earlier attempt with these rows may have been carried out.
    is_lost: bool,
    attempts: u32,
    /// How many rows of the message that this is a part of turned out bad.
    bad: Arc<AtomicU32>,
}

/// How rows travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In a bulk message.
    Bulk,
    /// As requests of their own in a `$batch`.
    Batch,
    /// One row, one request.
    Single,
}

/// A request in flight.
struct Flight {
    piece: Piece,
    asks: Asks,
    way: Way,
    sent: Instant,
}

/// What a request is for.
enum Asks {
    /// To write its rows.
    Write,
    /// Whether the rows of a refused message exist after all.
    Exists(Box<Refused>),
    /// Whether the record that is in a row's way is its own.
    Compare(Box<Refused>),
    /// Which of its rows an earlier run has created.
    Which,
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
    log: Option<&'a mut Log>,
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
    /// Since when every answer was a throttle.
    throttled_since: Option<Instant>,
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
        log: Option<&'a mut Log>,
        observe: &'a mut (dyn FnMut(Event<'_>) + Send),
    ) -> Self {
        let control =
            Controller::new(settings.width, settings.width_hint, settings.size, settings.size_max);
        Self {
            transport,
            route,
            settings,
            log,
            observe,
            throttled_since: None,
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
        Bounds { rows_max: self.control.size(), bytes_max: self.settings.bytes_max }
    }

    /// How rows of an operation travel.
    fn way(&self, operation: Operation, rows: usize) -> Way {
        let is_alone = self.settings.size == Setting::Fixed(1);
        match self.settings.has_bulk[operation as usize] && !is_alone {
            true => Way::Bulk,
            false if rows > 1 => Way::Batch,
            false => Way::Single,
        }
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
        if block.is_empty() {
            // Whoever reads waits for rows that are here to end.
            self.planner.flush();
        }
        for row in block.rows() {
            self.counts.take_up();
            match &row.entry().problem {
                Some(problem) => {
                    let problem = (**problem).clone();
                    self.end(&row, Outcome::Failed, Some(&problem), 0);
                }
                None => match row.entry().settled {
                    Some(outcome) => self.end(&row, outcome, None, 0),
                    None if self.settings.what_if => {
                        self.end(&row, landing::well(row.operation()), None, 0);
                    }
                    None => self.planner.push(row, self.bounds()),
                },
            }
        }
        self.keep_journal();
    }

    /// Writes to the journal what has ended.
    fn keep_journal(&mut self) -> bool {
        match self.log.as_mut().map_or(Ok(()), |log| log.write()) {
            Ok(()) => true,
            Err(err) => {
                self.stop_early(Halt::Journal(err.to_string()));
                false
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
            let Some(mut flight) = self.ready.pop_front() else { break };
            self.gather(&mut flight);
            if let Some(log) = &mut self.log {
                flight.piece.rows.iter().for_each(|row| log.sent(row.entry().ordinal));
            }
            if !self.keep_journal() {
                self.ready.push_front(flight);
                break;
            }
            flights.push(self.send(flight, now));
            self.in_flight_most = self.in_flight_most.max(flights.len());
        }
    }

    /// When many rows of a message turned out bad, what is left of it travels in one `$batch`.
    fn gather(&mut self, flight: &mut Flight) {
        let is_bulk = flight.way == Way::Bulk && matches!(flight.asks, Asks::Write);
        let bad = &flight.piece.bad;
        if !is_bulk || bad.load(Ordering::Relaxed) < self.settings.bisect_limit {
            return;
        }
        let bad = Arc::clone(bad);
        let mut rest = VecDeque::with_capacity(self.ready.len());
        for mut other in self.ready.drain(..) {
            let is_of_same = Arc::ptr_eq(&other.piece.bad, &bad)
                && other.way == Way::Bulk
                && matches!(other.asks, Asks::Write)
                && flight.piece.rows.len() + other.piece.rows.len() <= crate::controller::SIZE_MAX;
            if is_of_same {
                flight.piece.rows.append(&mut other.piece.rows);
                flight.piece.is_lost |= other.piece.is_lost;
            } else {
                rest.push_back(other);
            }
        }
        self.ready = rest;
        flight.way = if flight.piece.rows.len() > 1 { Way::Batch } else { Way::Single };
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
                // What an earlier run may have created is asked about first.
                let (unsure, sure): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| {
                    let entry = row.entry();
                    entry.sent == Sent::Yes
                        && entry.id_is_ours
                        && row.operation() == Operation::Create
                });
                for rows in unsure.chunks(WHICH_ROWS_MAX) {
                    let piece = Piece::of(operation, rows.to_vec());
                    let way = self.way(operation, rows.len());
                    self.ready.push_back(Flight { asks: Asks::Which, ..Flight::write(piece, way) });
                }
                if !sure.is_empty() {
                    self.queue(Piece::of(operation, sure));
                }
                true
            }
            None => false,
        }
    }

    /// Puts a piece behind those that are ready.
    fn queue(&mut self, piece: Piece) {
        let way = self.way(piece.operation, piece.rows.len());
        self.ready.push_back(Flight::write(piece, way));
    }

    fn send(&mut self, mut flight: Flight, now: Instant) -> BoxFuture<'a, (u64, Answer)> {
        let piece = &mut flight.piece;
        let first = piece.rows.first().expect("a piece has at least one row");
        self.requests += 1;
        self.serial += 1;
        let request = match (&flight.asks, flight.way) {
            (Asks::Exists(_), _) => request::exists(self.route, first),
            (Asks::Compare(_), _) => settle::read_back(self.route, first),
            (Asks::Which, _) => {
                let ids: Vec<_> = piece.rows.iter().filter_map(|row| row.entry().id).collect();
                request::which(self.route, &ids)
            }
            (Asks::Write, Way::Bulk) => request::bulk(self.route, piece.operation, &piece.rows),
            (Asks::Write, Way::Single) => request::single(self.route, first),
            (Asks::Write, Way::Batch) => {
                let boundary = format!("batch_{:016x}_{}", self.settings.random, self.serial);
                match request::in_batch(self.route, &piece.rows, &boundary) {
                    Some(request) => request,
                    // Text of a row looks like the boundary: its message as a whole is sent instead.
                    None => {
                        flight.way = Way::Bulk;
                        request::bulk(self.route, piece.operation, &piece.rows)
                    }
                }
            }
        };
        if matches!(flight.asks, Asks::Write) {
            piece.attempts += 1;
        }
        flight.sent = now;
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
            let piece = Piece::of(row.operation(), vec![row]);
            self.queue(Piece { is_lost, attempts, ..piece });
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

    /// Ends a row, or goes on to what follows its write.
    fn end(&mut self, row: &Row, outcome: Outcome, problem: Option<&Problem>, attempts: u32) {
        if problem.is_none()
            && outcome != Outcome::NotAttempted
            && !self.settings.what_if
            && let Some(next) = row.follow_up()
        {
            match &self.halt {
                None => return self.planner.push_follow_up(next, self.bounds()),
                Some(_) => {
                    let problem = Problem::new(
                        Class::Ambiguous,
                        "the record was written, and the run stopped before what follows",
                    );
                    return self.close_row(&next, Outcome::Failed, Some(&problem), attempts, false);
                }
            }
        }
        let outcome = match (row.is_follow_up(), outcome) {
            // The row ends as its own write did.
            (true, Outcome::Updated) => landing::well(row.entry().operation),
            _ => outcome,
        };
        self.close_row(row, outcome, problem, attempts, true);
    }

    fn close_row(
        &mut self,
        row: &Row,
        outcome: Outcome,
        problem: Option<&Problem>,
        attempts: u32,
        is_final: bool,
    ) {
        let entry = row.entry();
        self.counts.close(outcome);
        self.extra.remove(&entry.ordinal);
        if is_final
            && outcome != Outcome::NotAttempted
            && let Some(log) = &mut self.log
        {
            log.ended(entry.ordinal, outcome, entry.parts);
        }
        let is_partial = row.is_follow_up() && outcome == Outcome::Failed;
        (self.observe)(Event::Ended { row, outcome, problem, attempts, is_partial });
        self.planner.ended(row, self.bounds());
        if self.settings.errors_max.is_some_and(|most| most.is_passed(&self.counts)) {
            self.stop_early(Halt::TooManyErrors);
        }
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
            self.leave(&Piece::of(row.operation(), vec![row]));
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
            if piece.is_lost || row.is_follow_up() || row.entry().sent == Sent::Yes {
                let problem = Problem::new(
                    Class::Ambiguous,
                    "the answer was lost and the run stopped before it could be settled",
                );
                // The journal keeps it open: the next part of the run settles it.
                self.close_row(row, Outcome::Failed, Some(&problem), piece.attempts, false);
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
        self.keep_journal();
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
    fn write(piece: Piece, way: Way) -> Self {
        Self { piece, asks: Asks::Write, way, sent: Instant::now() }
    }
}

impl Piece {
    /// Before its first attempt.
    fn of(operation: Operation, rows: Vec<Row>) -> Self {
        Self {
            operation,
            rows,
            history: History::default(),
            is_lost: false,
            attempts: 0,
            bad: Arc::default(),
        }
    }
}
