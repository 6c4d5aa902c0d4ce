//! `sheaf demo`: the service and the client at work on one machine, in a temporary directory.
//!
//! Loads generated rows over HTTP, reads them back and compares, then times the four ways of the
//! well-known benchmark. Everything is durable: the service answers after the rows are on disk.
//! Invariant: rows that do not come back as they went end the demo with an error.

use crate::args::{self, Demo};
use crate::connection;
use crate::output;
use crate::progress::{Progress, Total};
use crate::set::seconds;
use crate::signal;
use anyhow::{Context, bail};
use client::get::{Query, Reading};
use client::journal::Outcome;
use client::mapping::Rules;
use client::sender::Event;
use client::service::Service;
use client::set::{Call, Care, Options, Pace, Wish};
use client::source::Format;
use client::transport::{Address, Http, Method, Request};
use serde_json::{Value as Json, json};
use server::{Server, StoreChoice};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wire::batch::{Operation, Part};

/// The columns of the generated rows.
const COLUMNS: [&str; 8] = [
    "firstname",
    "lastname",
    "jobtitle",
    "emailaddress1",
    "telephone1",
    "birthdate",
    "address1_line1",
    "address1_city",
];

/// Records of each way of the benchmark.
const BENCHMARK_ROWS: usize = 100;

pub(crate) async fn demo(args: Demo) -> anyhow::Result<u8> {
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let store = StoreChoice::Directory(directory.path().join("data"));
    let server = Server::start(server::Options::new(listen, store)).await?;
    let url = format!("http://{}", server.address());
    output::note(&format!("service at {url}, rows in {}", directory.path().display()));
    let (stop, stopped) = oneshot::channel::<()>();
    let mut tasks = JoinSet::new();
    tasks.spawn(server.run(async move {
        // Also when the demo fails and drops its end.
        drop(stopped.await);
    }));
    let outcome = tokio::select! {
        outcome = act(&url, args.rows) => outcome.map(|()| false),
        () = signal::stopped() => Ok(true),
    };
    let interrupted = matches!(outcome, Ok(true));
    if outcome.is_ok() && !interrupted && !args.exit {
        output::line(&format!("the service goes on at {url}; Ctrl-C ends it"));
        output::note(&format!("try: curl '{url}/api/data/v9.2/contacts?$top=3&$select=fullname'"));
        signal::stopped().await;
    }
    drop(stop);
    while tasks.join_next().await.is_some() {}
    outcome?;
    Ok(if interrupted { 5 } else { 0 })
}

async fn act(url: &str, rows: u64) -> anyhow::Result<()> {
    let http = Http::new(&Address { url: url.to_owned(), ..Address::default() })?;
    let service = Service::new(Arc::new(http));
    let written = load(&service, rows).await?;
    compare(&service, rows, written).await?;
    benchmark(&service).await
}

/// Loads generated rows and gives their checksum.
async fn load(service: &Service, rows: u64) -> anyhow::Result<u64> {
    let checksum = Arc::new(AtomicU64::new(0));
    let input = Generated::new(rows, Arc::clone(&checksum));
    let options = Options {
        table: "contact".to_owned(),
        wish: Wish { create_only: true, ..Wish::default() },
        lookups: client::lookup::Rules::default(),
        retrieval_size: client::set::RETRIEVAL_SIZE,
        rules: Rules::default(),
        pace: Pace::default(),
        rejects: None,
        errors: None,
        seed: connection::seed(),
        selection: None,
        care: Care::default(),
        call: Call::default(),
        what_if: false,
        confirm: None,
        ordered: false,
        pass_thru: None,
    };
    let mut progress = Progress::new(args::Progress::Auto, Total::Rows(rows));
    let mut first_problem = None;
    let loaded = client::set::set(
        service,
        &options,
        Box::new(input),
        Format::Csv,
        None,
        None,
        &mut |event| match event {
            Event::Status(status) => progress.status(&status),
            Event::Ended { problem: Some(problem), .. } => {
                first_problem.get_or_insert_with(|| problem.clone());
            }
            Event::Ended { .. } | Event::Note(_) => {}
        },
    )
    .await;
    progress.finish();
    let loaded = loaded?;
    let took = progress.took();
    if let Some(problem) = first_problem {
        bail!("a generated row was refused: {problem}");
    }
    let counts = loaded.summary.counts;
    if counts.of(Outcome::Created) != rows {
        bail!("{rows} rows were to be created: {counts}");
    }
    output::line(&format!(
        "loaded {} rows into contact in {}: {} rows/s, {} requests, up to {} in flight",
        output::grouped(rows),
        seconds(took),
        output::grouped(output::rate(rows, took)),
        output::grouped(loaded.summary.requests),
        loaded.summary.in_flight_most
    ));
    Ok(checksum.load(Ordering::Relaxed))
}

/// Reads the rows back and compares their number and checksum.
async fn compare(service: &Service, rows: u64, written: u64) -> anyhow::Result<()> {
    let query = Query {
        table: "contact".to_owned(),
        columns: COLUMNS.map(str::to_owned).to_vec(),
        page_size: client::get::PAGE_ROWS_MAX,
        ..Query::default()
    };
    let reading = Reading::prepare(service, &query, Format::Csv).await?;
    let mut progress = Progress::new(args::Progress::Auto, Total::Rows(rows));
    let add = |sum: &mut u64, texts: &[String]| *sum = sum.wrapping_add(fingerprint(texts));
    let (read, fetched) = reading.texts(0u64, add, &mut |rows| progress.rows(rows)).await?;
    progress.finish();
    let took = progress.took();
    if fetched.rows != rows || read != written {
        bail!(
            "{} of {rows} rows came back, checksum {read:016x} instead of {written:016x}",
            fetched.rows
        );
    }
    output::line(&format!(
        "read {} rows back in {}: {} rows/s, checksum {read:016x} as written",
        output::grouped(rows),
        seconds(took),
        output::grouped(output::rate(rows, took))
    ));
    Ok(())
}

/// The same for equal rows, in any order of rows when summed up.
fn fingerprint<T: AsRef<str>>(texts: &[T]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for text in texts {
        text.as_ref().hash(&mut hasher);
    }
    hasher.finish()
}

/// CSV text of generated people, made while it is read.
struct Generated {
    rows: u64,
    next: u64,
    text: String,
    read: usize,
    checksum: Arc<AtomicU64>,
}

impl Generated {
    fn new(rows: u64, checksum: Arc<AtomicU64>) -> Self {
        let text = format!("{}\n", COLUMNS.join(","));
        Self { rows, next: 0, text, read: 0, checksum }
    }

    fn fill(&mut self) {
        self.text.clear();
        self.read = 0;
        let end = self.rows.min(self.next + 1_000);
        for number in self.next..end {
            let row = person(number);
            let sum = fingerprint(&row);
            // Only the reader adds; the others look after it has ended.
            self.checksum.fetch_add(sum, Ordering::Relaxed);
            writeln!(self.text, "{}", row.join(",")).expect("writing to a string does not fail");
        }
        self.next = end;
    }
}

impl Read for Generated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.read == self.text.len() {
            self.fill();
        }
        let rest = &self.text.as_bytes()[self.read..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        self.read += len;
        Ok(len)
    }
}

/// The same person for the same number.
fn person(number: u64) -> [String; COLUMNS.len()] {
    const FIRST: [&str; 12] = [
        "Ada", "Blaise", "Chiara", "Dmitri", "Elif", "Femi", "Grace", "Hedy", "Ivo", "Jørgen",
        "Kenji", "Lucía",
    ];
    const LAST: [&str; 10] = [
        "Abel", "Bauer", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ito",
        "Jansen",
    ];
    const JOBS: [&str; 5] = ["Buyer", "Engineer", "Accountant", "Driver", "Head of Sales"];
    const CITIES: [&str; 7] =
        ["Lisboa", "Zürich", "Kraków", "Oslo", "Nairobi", "Osaka", "San José"];
    let mut state = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut pick = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let mut of = |words: &[&'static str]| {
        let place = pick(words.len() as u64);
        words[usize::try_from(place).expect("a place in a short list")]
    };
    let (first, last, job, city) = (of(&FIRST), of(&LAST), of(&JOBS), of(&CITIES));
    let (year, month, day) = (1950 + pick(55), 1 + pick(12), 1 + pick(28));
    [
        first.to_owned(),
        format!("{last} {number}"),
        job.to_owned(),
        format!("person{number}@example.com"),
        format!("+{} 555 {:06}", 1 + pick(98), number % 1_000_000),
        format!("{year}-{month:02}-{day:02}"),
        format!("{} Long Road", 1 + pick(400)),
        city.to_owned(),
    ]
}

/// One way of writing: how its requests look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Single,
    BulkOfOne,
    Bulk,
    /// The single calls as parts of one `$batch`.
    Batch,
}

impl Way {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Single, "single calls"),
        (Self::BulkOfOne, "bulk messages of one"),
        (Self::Bulk, "one bulk message"),
        (Self::Batch, "one $batch"),
    ];
}

/// Times 100 creates and 100 updates by each way.
async fn benchmark(service: &Service) -> anyhow::Result<()> {
    let seed = connection::seed();
    let mut rows = Vec::new();
    let mut base = None;
    for (turn, (way, name)) in (0u64..).zip(Way::ALL) {
        let ids: Vec<String> = (0..BENCHMARK_ROWS as u64)
            .map(|number| seed.id((1 << 40) + turn * 1_000 + number).to_string())
            .collect();
        let creates = timed(service, requests(way, &ids, false)?).await?;
        let updates = timed(service, requests(way, &ids, true)?).await?;
        let both = creates + updates;
        let base = *base.get_or_insert(both);
        let ratio = base.as_secs_f64() / both.as_secs_f64().max(1e-9);
        rows.push(vec![
            name.to_owned(),
            format!("{:.1} ms", creates.as_secs_f64() * 1e3),
            format!("{:.1} ms", updates.as_secs_f64() * 1e3),
            format!("{:.1} ×", ratio),
        ]);
    }
    output::line("");
    output::line(&format!(
        "{BENCHMARK_ROWS} creates and {BENCHMARK_ROWS} updates, one connection:"
    ));
    output::table(&["way", "creates", "updates", "speed"], &rows);
    Ok(())
}

async fn timed(service: &Service, requests: Vec<Request>) -> anyhow::Result<Duration> {
    let started = Instant::now();
    for request in requests {
        service.ask(request, "a write of the benchmark").await?;
    }
    Ok(started.elapsed())
}

fn requests(way: Way, ids: &[String], update: bool) -> anyhow::Result<Vec<Request>> {
    let record = |(number, id): (usize, &String), with_id: bool| {
        let mut record = json!({
            "@odata.type": "Microsoft.Dynamics.CRM.contact",
            "lastname": format!("Benchmark {number}"),
            "jobtitle": if update { "updated" } else { "created" },
            "telephone1": "555",
        });
        if with_id {
            record["contactid"] = json!(id);
        }
        record
    };
    let numbered = || ids.iter().enumerate();
    let message = if update { "UpdateMultiple" } else { "CreateMultiple" };
    let bulk = |targets: Vec<Json>| {
        let body = json!({"Targets": targets}).to_string();
        Request::post(format!("contacts/Microsoft.Dynamics.CRM.{message}"), body)
    };
    Ok(match way {
        Way::Single => numbered()
            .map(|(number, id)| {
                if update {
                    let body = record((number, id), false).to_string();
                    Request {
                        method: Method::Patch,
                        ..Request::post(format!("contacts({id})"), body)
                    }
                    .with_header("If-Match", "*")
                } else {
                    Request::post("contacts", record((number, id), true).to_string())
                }
            })
            .collect(),
        Way::BulkOfOne => numbered().map(|row| bulk(vec![record(row, true)])).collect(),
        Way::Bulk => vec![bulk(numbered().map(|row| record(row, true)).collect())],
        Way::Batch => vec![batch(&requests(Way::Single, ids, update)?)?],
    })
}

/// One `$batch` with these requests; it fails with the first of them.
fn batch(requests: &[Request]) -> anyhow::Result<Request> {
    const BOUNDARY: &str = "batch_sheaf_demo";
    let mut parts = Vec::with_capacity(requests.len());
    for request in requests {
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(request.headers.iter().map(|(name, value)| (*name, value.as_str())));
        parts.push(Part::One(Operation {
            content_id: None,
            method: match request.method {
                Method::Get => "GET",
                Method::Post => "POST",
                Method::Patch => "PATCH",
                Method::Delete => "DELETE",
            },
            target: &request.path,
            headers,
            body: &request.body,
        }));
    }
    let body = wire::batch::encode(&parts, BOUNDARY)?;
    Ok(Request::post("$batch", body)
        .with_header("Content-Type", wire::batch::content_type(BOUNDARY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_rows_are_the_same_each_time_and_their_checksum_knows_no_order() {
        let mut text = String::new();
        let checksum = Arc::new(AtomicU64::new(0));
        let mut input = Generated::new(2_500, Arc::clone(&checksum));
        input.read_to_string(&mut text).expect("generated text");
        assert_eq!(text.lines().count(), 2_501);
        let sum = (0..2_500)
            .rev()
            .fold(0u64, |sum, number| sum.wrapping_add(fingerprint(&person(number))));
        assert_eq!(checksum.load(Ordering::Relaxed), sum);
    }
}
