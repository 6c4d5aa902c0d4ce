//! What a run costs, counted: requests by kind and status, how long they take, bytes, throttles, messages that had to
//! travel otherwise.
//!
//! In: the requests that pass a [`Meter`], the events of a run. Out: [`Stats`], as JSON or for people.
//! Invariant: memory does not grow with requests or rows; the figures by kind add up to the totals.

use crate::journal::{Counts, Outcome};
use crate::sender::{Event, Summary};
use crate::transport::{Error, Method, Request, Response, Transport};
use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Each step of the scale of latencies is so much longer than the one before: figures are exact within 2 %.
const STEP: f64 = 1.02;
/// From a microsecond to more than an hour.
const STEPS: usize = 1_120;

/// How long requests took.
#[derive(Clone, Debug)]
struct Latencies {
    counts: Box<[u64]>,
    count: u64,
    most: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; STEPS].into(), count: 0, most: Duration::ZERO }
    }
}

impl Latencies {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place on a short scale"
    )]
    fn add(&mut self, took: Duration) {
        let micros = (took.as_secs_f64() * 1e6).max(1.0);
        let place = (micros.ln() / STEP.ln()) as usize;
        if let Some(count) = self.counts.get_mut(place.min(STEPS - 1)) {
            *count += 1;
        }
        self.count += 1;
        self.most = self.most.max(took);
    }

    /// So many of a hundred took no longer, in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    fn percentile(&self, share: u64) -> Option<f64> {
        let wanted = (self.count * share).div_ceil(100).max(1);
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        let upper = STEP.powf((place + 1) as f64) / 1e3;
        Some(upper.min(self.most.as_secs_f64() * 1e3))
    }

    fn json(&self) -> Json {
        let of = |share| self.percentile(share).map(rounded);
        let most = (self.count > 0).then(|| rounded(self.most.as_secs_f64() * 1e3));
        json!({"p50": of(50), "p95": of(95), "p99": of(99), "most": most})
    }
}

fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Requests of one kind.
#[derive(Clone, Debug, Default)]
struct Kind {
    requests: u64,
    statuses: BTreeMap<u16, u64>,
    /// No whole answer came.
    unanswered: u64,
    bytes_sent: u64,
    bytes_received: u64,
    latencies: Latencies,
}

#[derive(Debug, Default)]
struct Wire {
    kinds: BTreeMap<String, Kind>,
    all: Kind,
    throttles: u64,
    /// Until when the service has asked to wait.
    paused_until: Option<Instant>,
    paused: Duration,
}

/// The figures of the requests that passed a [`Meter`]. Clones are the same figures.
#[derive(Clone, Debug, Default)]
pub struct Figures(Arc<Mutex<Wire>>);

/// A way to the service that counts what passes.
pub struct Meter<T> {
    inner: T,
    figures: Figures,
}

impl<T> Meter<T> {
    /// Counts into `figures`.
    pub fn new(inner: T, figures: Figures) -> Self {
        Self { inner, figures }
    }
}

#[async_trait]
impl<T: Transport> Transport for Meter<T> {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        self.send_as(0, request).await
    }

    fn identities(&self) -> usize {
        self.inner.identities()
    }

    async fn send_as(&self, identity: usize, request: Request) -> Result<Response, Error> {
        let kind = kind_of(&request);
        let bytes = (request.path.len() + request.body.len()) as u64;
        let started = Instant::now();
        let answer = self.inner.send_as(identity, request).await;
        self.figures.add(kind, bytes, started, &answer);
        answer
    }

    fn name(&self, identity: usize) -> &str {
        self.inner.name(identity)
    }
}

impl Figures {
    fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, name: String, bytes: u64, started: Instant, answer: &Result<Response, Error>) {
        let now = Instant::now();
        let mut wire = self.lock();
        let Wire { kinds, all, throttles, paused_until, paused } = &mut *wire;
        for kind in [kinds.entry(name).or_default(), all] {
            kind.requests += 1;
            kind.bytes_sent += bytes;
            kind.latencies.add(now - started);
            match answer {
                Ok(response) => {
                    *kind.statuses.entry(response.status).or_default() += 1;
                    kind.bytes_received += response.body.len() as u64;
                }
                Err(_) => kind.unanswered += 1,
            }
        }
        let Ok(response) = answer else { return };
        if response.status == 429 {
            *throttles += 1;
            let after = response.header("retry-after").and_then(|text| text.parse().ok());
            let after = after.map_or(crate::controller::PAUSE_UNSAID, Duration::from_secs);
            // Pauses that overlap are waited for once.
            let (from, until) = (paused_until.map_or(now, |until| until.max(now)), now + after);
            *paused += until.saturating_duration_since(from);
            *paused_until = Some(until.max(from));
        }
    }
}

/// The verb and what it is sent to: a bulk message, `$batch`, a record, or a set.
fn kind_of(request: &Request) -> String {
    let path = request.path.split('?').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let method = request.method.as_str();
    match last.rsplit_once("Dynamics.CRM.") {
        Some((_, message)) => format!("{method} {message}"),
        None if last == "$batch" => format!("{method} $batch"),
        None if path.contains("EntityDefinitions") => format!("{method} definitions"),
        None if request.method == Method::Get => format!("{method} records"),
        None => format!("{method} record"),
    }
}

/// The figures of a run.
#[derive(Debug, Default)]
pub struct Stats {
    figures: Figures,
    counts: Counts,
    /// Rows that were sent more than once, and how often beyond the first time.
    again: (u64, u64),
    size: Option<(usize, usize)>,
    width_most: usize,
    splits: u64,
    detours: u64,
    /// By a read, which has no outcomes.
    rows_read: u64,
}

impl Stats {
    /// With the figures of the requests.
    pub fn new(figures: Figures) -> Self {
        Self { figures, ..Self::default() }
    }

    /// Hears what happens.
    pub fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Ended { attempts, .. } if *attempts > 1 => {
                self.again = (self.again.0 + 1, self.again.1 + u64::from(attempts - 1));
            }
            Event::Ended { .. } | Event::Note(_) => {}
            Event::Status(status) => {
                let (least, most) = self.size.unwrap_or((status.size, status.size));
                self.size = Some((least.min(status.size), most.max(status.size)));
            }
        }
    }

    /// Hears how a run, or one of several, ended.
    pub fn end(&mut self, summary: &Summary) {
        self.counts.include(&summary.counts);
        self.width_most = self.width_most.max(summary.in_flight_most);
        self.splits += summary.splits;
        self.detours += summary.detours;
    }

    /// So many rows were read.
    pub fn read(&mut self, rows: u64) {
        self.rows_read += rows;
    }

    /// Everything, as one object.
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    pub fn json(&self, command: &str, took: Duration) -> Json {
        let wire = self.figures.lock();
        let ended = Outcome::ALL.iter().filter(|outcome| self.counts.of(**outcome) > 0);
        let ended = ended
            .map(|outcome| (outcome.as_str().replace(' ', "-"), self.counts.of(*outcome).into()));
        let kinds: Map<String, Json> =
            wire.kinds.iter().map(|(name, kind)| (name.clone(), kind.json())).collect();
        let seconds = took.as_secs_f64();
        json!({
            "command": command,
            "seconds": rounded(seconds),
            "rows": self.counts.read() + self.rows_read,
            "rows_per_second": rounded((self.counts.closed() + self.rows_read) as f64 / seconds.max(1e-3)),
            "outcomes": ended.collect::<Map<String, Json>>(),
            "requests": wire.all.json(),
            "requests_by_kind": kinds,
            "width_most": self.width_most,
            "batch_size": self.size.map(|(least, most)| json!({"least": least, "most": most})),
            "throttles": {"answers": wire.throttles, "seconds": rounded(wire.paused.as_secs_f64())},
            "rows_sent_again": {"rows": self.again.0, "times": self.again.1},
            "fallbacks": {"messages_split": self.splits, "messages_by_batch": self.detours},
            "peak_memory_bytes": peak_memory(),
        })
    }

    /// The same for people, line by line.
    pub fn lines(&self, command: &str, took: Duration) -> Vec<String> {
        let json = self.json(command, took);
        let text = |pointer: &str| json.pointer(pointer).map(Json::to_string).unwrap_or_default();
        let mut lines = vec![format!(
            "requests: {}, {} ms at p50, {} at p95, {} at p99, {} bytes sent, {} received",
            text("/requests/requests"),
            text("/requests/milliseconds/p50"),
            text("/requests/milliseconds/p95"),
            text("/requests/milliseconds/p99"),
            text("/requests/bytes_sent"),
            text("/requests/bytes_received"),
        )];
        for (name, kind) in json["requests_by_kind"].as_object().into_iter().flatten() {
            let statuses = kind["statuses"].as_object().into_iter().flatten();
            let statuses: Vec<String> =
                statuses.map(|(status, count)| format!("{count} × {status}")).collect();
            let (count, half) = (&kind["requests"], &kind["milliseconds"]["p50"]);
            lines.push(format!("  {name}: {count} ({}), {half} ms at p50", statuses.join(", ")));
        }
        if let Some(size) = json["batch_size"].as_object() {
            let (width, least, most) = (self.width_most, &size["least"], &size["most"]);
            lines.push(format!("width: {width} at most; rows in a message: {least} to {most}"));
        }
        lines.push(format!(
            "throttles: {} ({} s); rows sent again: {}; messages split: {}; messages sent by $batch after bad rows: {}",
            text("/throttles/answers"),
            text("/throttles/seconds"),
            text("/rows_sent_again/rows"),
            self.splits,
            self.detours,
        ));
        if let Some(bytes) = json["peak_memory_bytes"].as_u64() {
            lines.push(format!("memory: {} MiB at most", bytes >> 20));
        }
        lines
    }
}

impl Kind {
    fn json(&self) -> Json {
        let mut statuses: Map<String, Json> = self
            .statuses
            .iter()
            .map(|(status, count)| (status.to_string(), (*count).into()))
            .collect();
        if self.unanswered > 0 {
            statuses.insert("none".to_owned(), self.unanswered.into());
        }
        json!({
            "requests": self.requests,
            "statuses": statuses,
            "bytes_sent": self.bytes_sent,
            "bytes_received": self.bytes_received,
            "milliseconds": self.latencies.json(),
        })
    }
}

/// The most memory that this process has held, where the system says so (Linux).
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests;
