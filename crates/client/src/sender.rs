//! The loop that sends rows: takes blocks in, keeps the allowed number of requests in flight, and
//! sees every row to its one outcome.
//!
//! In: blocks of encoded rows, a way to the service, a stop signal. Out: events and a [`Summary`].
//! Not here: what an answer means (`verdict`), the waiting rules (`retry`), how much at once
//! (`controller`), what travels together (`planner`). This is the rim: it reads the clock and awaits.
//! Invariant: every row that was taken up ends exactly once; memory does not grow with the input; with
//! a journal, nothing leaves before the journal says so; the pause of one identity holds no other.

mod batch;
mod consent;
mod ending;
mod landing;
mod launch;
mod made;
mod settings;
mod settle;
mod told;

pub use settings::{BISECT_LIMIT, ErrorsMax, Settings};
pub use told::{Event, Halt, Note, Status, Summary, Used};

use crate::controller::{Point, Pool, Shares, Ticket};
use crate::ids::Dice;
use crate::journal::log::Log;
use crate::journal::{Counts, Outcome};
use crate::planner::{Bounds, Planner};
use crate::problem::{Class, Problem};
use crate::request::Route;
use crate::retry::History;
use crate::rows::{Block, Operation, Row, Why};
use crate::transport::{self, Response, Transport};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use model::{ErrorCode, Uuid};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
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
/// Deleted records that are remembered, so that a further row for one is told apart from a wrong one.
const REMOVED_MAX: usize = 1 << 20;
/// After a stop, requests in flight get so long.
const GRACE: Duration = Duration::from_secs(30);
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
            reply = consent::reply(&mut sender.asking), if sender.asking.is_some() => {
                sender.answered(reply);
                sender.keep_journal();
                sender.tell_status(flights.len());
            }
            block = blocks.recv(), if input_open && sender.has_room() => match block {
                Some(block) => {
                    sender.take_in(block);
                    // Rows that need no request have ended, too.
                    sender.tell_status(flights.len());
                }
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
pub(crate) async fn stopped(stop: &mut Option<watch::Receiver<bool>>) {
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
    /// Who sent it last.
    identity: usize,
    /// Somebody has agreed that it is sent, where that is asked.
    is_agreed: bool,
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
    ticket: Ticket,
    /// Which of those that send has it, from 1; 0 before that.
    worker: usize,
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
    pool: Pool,
    used: Vec<Used>,
    planner: Planner,
    /// The size that full chunks were cut for.
    planned: usize,
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
    /// Marks of records that this run has deleted, up to a bound.
    removed: HashSet<u64>,
    open_since: Option<Instant>,
    /// The batch that somebody is asked about.
    asking: Option<consent::Open>,
    agreed_to_all: bool,
    /// Why the row that ends is left out, where the row itself does not say.
    why: Option<Why>,
    /// The record of the row that ends, where the answer told it.
    made: Option<Uuid>,
    /// Which of those that send are busy.
    workers: Vec<bool>,
    /// Whose answer is being looked at.
    worker: Option<usize>,
    /// The width and size that were told last.
    told: Option<Point>,
    /// Behind the last row that was taken up.
    taken: u64,
    halt: Option<Halt>,
    halted_at: Option<Instant>,
    /// Files add to it while they are sent.
    requests: Arc<AtomicU64>,
    in_flight_most: usize,
    splits: u64,
    detours: u64,
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
        let identities = transport.identities();
        let pool = Pool::new(Shares {
            identities,
            width: settings.width,
            hint: settings.width_hint,
            size: settings.size,
            size_max: settings.size_max,
        });
        let random = settings.random;
        let name = |identity| Used { name: transport.name(identity).to_owned(), ..Used::default() };
        let used = (0..identities).map(name).collect();
        Self {
            transport,
            route,
            settings,
            log,
            observe,
            throttled_since: None,
            pool,
            used,
            planner: Planner::default(),
            planned: 0,
            counts: Counts::default(),
            dice: Dice::new(random),
            ready: VecDeque::new(),
            flying: HashMap::new(),
            delayed: BTreeMap::new(),
            later: BTreeMap::new(),
            extra: HashMap::new(),
            alike: None,
            removed: HashSet::new(),
            open_since: None,
            asking: None,
            agreed_to_all: false,
            why: None,
            made: None,
            workers: Vec::new(),
            worker: None,
            told: None,
            taken: 0,
            halt: None,
            halted_at: None,
            requests: Arc::default(),
            in_flight_most: 0,
            splits: 0,
            detours: 0,
            serial: 0,
        }
    }

    fn bounds(&self) -> Bounds {
        Bounds { rows_max: self.pool.size(), bytes_max: self.settings.bytes_max }
    }

    /// How rows of an operation travel.
    fn way(&self, operation: Operation, rows: &[Row]) -> Way {
        match self.has_bulk(operation, rows) {
            true => Way::Bulk,
            false if rows.len() > 1 => Way::Batch,
            false => Way::Single,
        }
    }

    fn has_bulk(&self, operation: Operation, rows: &[Row]) -> bool {
        self.settings.has_bulk[operation as usize] && rows.iter().all(Row::may_be_bulk)
    }

    fn is_empty(&self) -> bool {
        self.waiting() == 0
    }

    /// Rows that are taken up and not in flight.
    fn waiting(&self) -> usize {
        let asked = self.asking.as_ref().map(|open| &open.flight);
        let pieces = self.ready.iter().chain(self.delayed.values()).chain(asked);
        self.planner.full()
            + self.planner.open()
            + self.planner.waiting()
            + self.later.len()
            + pieces.map(|flight| flight.piece.rows.len()).sum::<usize>()
    }

    /// Reading stops when twice as many messages wait as may be in flight.
    fn has_room(&self) -> bool {
        let most = (2 * self.pool.width_ceiling() * self.bounds().rows_max).max(2);
        let (waiting, is_idle) = (self.waiting(), self.flying.is_empty());
        // Where nothing is under way, only what comes can bring the head on.
        let is_behind = self.settings.head.as_ref().is_some_and(|head| {
            self.taken.saturating_sub(head.get()) >= most as u64 && !(waiting == 0 && is_idle)
        });
        waiting < most && !is_behind
    }

    fn take_in(&mut self, block: Block) {
        let block = Arc::new(block);
        if block.is_empty() {
            // Whoever reads waits for rows that are here to end.
            self.planner.flush();
        }
        if block.looked > 0 {
            self.note(Note::Looked(block.looked));
        }
        for row in block.rows() {
            self.taken = self.taken.max(row.entry().ordinal + 1);
            self.counts.take_up();
            match &row.entry().problem {
                Some(problem) => {
                    let problem = (**problem).clone();
                    self.end(&row, Outcome::Failed, Some(&problem), 0);
                }
                None => match row.entry().settled {
                    Some(outcome) => self.end(&row, outcome, None, 0),
                    None if self.was_made_perhaps(&row) => {
                        let text = "an earlier part of the run sent the row, and how that ended was not seen";
                        self.end_ambiguous(&row, &Problem::new(Class::Ambiguous, text), 0);
                    }
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

    /// When to look again though nothing happens.
    fn due(&self, now: Instant, input_open: bool, in_flight: usize) -> Option<Instant> {
        if let Some(since) = self.halted_at {
            return Some(since + GRACE);
        }
        let delayed = self.delayed.keys().chain(self.later.keys()).map(|(at, _)| *at).min();
        let paused = self.pool.next_change(now.into_std()).map(Instant::from_std);
        let linger = match self.open_since {
            Some(since) if input_open && in_flight < self.pool.width_ceiling() => {
                Some(since + LINGER)
            }
            _ => None,
        };
        [delayed, paused, linger].into_iter().flatten().filter(|at| *at > now).min()
    }

    fn tell_status(&mut self, in_flight: usize) {
        let now = Instant::now().into_std();
        let paused = self.pool.paused_until(now).map(|until| until.saturating_duration_since(now));
        let status = Status {
            counts: self.counts,
            in_flight,
            size: self.bounds().rows_max,
            requests: self.requests.load(Ordering::Relaxed),
            paused: paused.filter(|paused| !paused.is_zero()),
        };
        (self.observe)(Event::Status(status));
        let point = Point { width: self.pool.width_ceiling(), size: self.bounds().rows_max };
        if self.told != Some(point) {
            self.told = Some(point);
            self.note(Note::Pace(point));
        }
    }

    fn note(&mut self, note: Note) {
        (self.observe)(Event::Note(note));
    }
}

impl Flight {
    fn write(piece: Piece, way: Way) -> Self {
        let (sent, ticket) = (Instant::now(), Ticket::default());
        Self { piece, asks: Asks::Write, way, sent, ticket, worker: 0 }
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
            identity: 0,
            is_agreed: false,
        }
    }
}
