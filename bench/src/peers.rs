//! Our client against those of others, loading the same rows into the same service: near, and 50 ms away.
//!
//! In: the programs in `peers/`, and the packages that `cargo xtask clients` has installed. Out: a line for each peer and
//! distance, and how much of the time the service itself was at work.
//! Not here: whether these clients work (`clients/`).
//! Invariant: all of them read the same file, talk TLS with a token, and what they loaded is counted before a round
//! counts. The peers' clock starts behind the start of their language; ours is that of the whole process.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use testkit::draw::Draw;
use testkit::service::{Options, Service, Store, find_binary};

use crate::Arguments;
use crate::latency::Relay;
use crate::report::{self, Line, Sample, Taken};

/// What the lines begin with.
pub(crate) const NAME: &str = "Loads, against other clients";
/// Names the folder in which `cargo xtask clients` installs packages.
pub(crate) const CLIENTS_VARIABLE: &str = "SHEAF_CLIENTS";
/// Names the Node that they are installed for.
const NODE_VARIABLE: &str = "SHEAF_NODE";
const PYTHON_PACKAGE: &str = "powerplatform-dataverse-client";
const NODE_PACKAGE: &str = "dynamics-web-api";
const PYTHON: &str = "powerplatform-dataverse-client/venv/bin/python";
const NODE_MODULES: &str = "dynamics-web-api/node_modules";
const ROWS: usize = 100_000;
const ROWS_QUICK: usize = 2_000;
/// Rows of those that send one after the other, and rounds of everything.
const ROWS_SINGLE: usize = 1_000;
const ROWS_SINGLE_QUICK: usize = 20;
const ROUNDS_MAX: usize = 3;
const FAR: Duration = Duration::from_millis(50);

/// Another client, and how it is used.
#[derive(Debug, Clone, Copy)]
struct Peer {
    name: &'static str,
    /// Microsoft's SDK for Python, or dynamics-web-api.
    is_python: bool,
    /// Rows in a list or batch; 0 is all of them at once.
    size: usize,
    /// The least ratio that is asked for near and far.
    targets: [Option<f64>; 2],
}

const PEERS: [Peer; 5] = [
    Peer {
        name: "Microsoft's SDK for Python, `records.create` of a list of 1,000",
        is_python: true,
        size: 1_000,
        targets: [Some(1.0), Some(4.0)],
    },
    Peer {
        name: "dynamics-web-api, `executeBatch` of 1,000 creates",
        is_python: false,
        size: 1_000,
        targets: [Some(2.0), Some(4.0)],
    },
    Peer {
        name: "Microsoft's SDK for Python, `records.create` of one list",
        is_python: true,
        size: 0,
        targets: [None, None],
    },
    Peer {
        name: "Microsoft's SDK for Python, `records.create` of a record",
        is_python: true,
        size: 1,
        targets: [None, None],
    },
    Peer {
        name: "dynamics-web-api, `create` of a record",
        is_python: false,
        size: 1,
        targets: [None, None],
    },
];

/// The service and what clients need to know of it.
struct Place {
    directory: TempDir,
    service: Service,
    address: SocketAddr,
    environment: Vec<(&'static str, OsString)>,
    sheaf: PathBuf,
    packages: PathBuf,
    node: OsString,
    tables: usize,
}

/// One load: how long, and how much of it the service worked.
#[derive(Debug, Clone, Copy)]
struct Load {
    rows: usize,
    taken: Taken,
}

/// Adds the lines that were asked for.
pub(crate) async fn measure(arguments: &Arguments, lines: &mut Vec<Line>) -> Result<()> {
    let mut group = Vec::new();
    for (far, words) in [(false, "near"), (true, "50 ms away")] {
        // A quick run sees every way once.
        let ways = if far && arguments.quick { &PEERS[..2] } else { &PEERS[..] };
        for &peer in ways {
            let target = peer.targets[usize::from(far)];
            group.push((peer, far, Line::new(format!("{NAME}, {words}: {}", peer.name), target)));
        }
    }
    group.retain(|(_, _, line)| arguments.wants(&line.name));
    if group.is_empty() {
        return Ok(());
    }
    let packages = match packages() {
        Ok(packages) => packages,
        // Who asks for these lines wants to know; a run of everything goes on without them.
        Err(why) if arguments.only.is_empty() => {
            println!("{NAME}: not measured: {why:#}");
            return Ok(());
        }
        Err(why) => return Err(why),
    };
    let mut place = Place::prepare(arguments, packages)?;
    let relay = Relay::start(place.address, FAR).await?;
    let mut shares = vec![[Vec::new(), Vec::new()]; group.len()];
    let rounds = if arguments.quick { 1 } else { arguments.rounds.min(ROUNDS_MAX) };
    for _ in 0..rounds {
        for (number, (peer, far, line)) in group.iter_mut().enumerate() {
            let address = if *far { relay.address() } else { place.address };
            let rows = if peer.size == 1 { singles_of(arguments) } else { rows_of(arguments) };
            // What blocks the thread must not be the runtime that relays.
            let (ours, other) = tokio::task::block_in_place(|| place.round(address, *peer, rows))?;
            let Some(other) = other else { continue };
            shares[number][0].push(share(ours));
            shares[number][1].push(share(other));
            line.samples.push(Sample { rows: ours.rows, ours: ours.taken, other: other.taken });
        }
    }
    let mut text = String::from(
        "\nThe service's own CPU time as a share of the time of a load (a core is 100 %):\n\n\
         | Load | With ours | With the other |\n| --- | --- | --- |\n",
    );
    for ((_, _, line), [ours, other]) in group.iter().zip(&mut shares) {
        println!("{}", report::row(line));
        if let (Some(ours), Some(other)) = (median(ours), median(other)) {
            writeln!(text, "| {} | {ours:.0} % | {other:.0} % |", line.name)?;
        }
    }
    println!("{text}");
    lines.extend(group.into_iter().map(|(_, _, line)| line));
    Ok(())
}

/// The folder in which the peers are installed.
fn packages() -> Result<PathBuf> {
    let packages = std::env::var_os(CLIENTS_VARIABLE).map(PathBuf::from);
    let packages = packages.with_context(|| format!("`{CLIENTS_VARIABLE}` does not say where"))?;
    for path in [PYTHON, NODE_MODULES] {
        let path = packages.join(path);
        ensure!(
            path.exists(),
            "{} is not there: `cargo xtask clients {PYTHON_PACKAGE} {NODE_PACKAGE}` installs it",
            path.display()
        );
    }
    Ok(packages)
}

fn rows_of(arguments: &Arguments) -> usize {
    if arguments.quick { ROWS_QUICK } else { ROWS }
}

fn singles_of(arguments: &Arguments) -> usize {
    if arguments.quick { ROWS_SINGLE_QUICK } else { ROWS_SINGLE }
}

fn share(load: Load) -> f64 {
    let cpu = load.taken.cpu.unwrap_or_default();
    100.0 * cpu.as_secs_f64() / load.taken.wall.as_secs_f64()
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl Place {
    fn prepare(arguments: &Arguments, packages: PathBuf) -> Result<Place> {
        let directory = tempfile::Builder::new().prefix("sheaf-bench-peers-").tempdir()?;
        let (data, sheaf) = (directory.path().join("data"), find_binary()?);
        let mut environment = add_user(&sheaf, &data)?;
        let mut options =
            Options::new(Store::Data(data.clone()), &directory.path().join("service.log"))?;
        let address = free_address()?;
        let listen = address.to_string();
        options.arguments =
            ["--listen-tls", &listen, "--tls", "dev", "--auth", "on"].map(str::to_owned).to_vec();
        let service = Service::start(options)?;
        let authority = data.join("tls/ca.pem");
        ensure!(authority.is_file(), "the service has made no authority");
        for name in ["SHEAF_CA", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
            environment.push((name, authority.clone().into()));
        }
        let node = std::env::var_os(NODE_VARIABLE).unwrap_or_else(|| "node".into());
        let place =
            Place { directory, service, address, environment, sheaf, packages, node, tables: 0 };
        place.write_rows(rows_of(arguments), arguments.seed)?;
        Ok(place)
    }

    /// The file that everybody reads, and one that a table is made from.
    fn write_rows(&self, rows: usize, seed: u64) -> Result<()> {
        let mut draw = Draw::new(seed);
        let mut json = String::new();
        let mut csv = String::from("Name,Code,City,Note,Count,Points,Price\n");
        for row in 0..rows {
            let (name, city) = (format!("{} {}", draw.word(8), draw.word(10)), draw.word(12));
            let note = format!("{} {} {}", draw.word(20), draw.word(20), draw.word(15));
            let (count, points) = (draw.below(1000), draw.below(1_000_000));
            let (whole, part) = (draw.below(100_000), draw.below(100));
            let code = format!("{}-{row}", draw.word(6));
            writeln!(
                json,
                r#"{{"peer_name":"{name}","peer_code":"{code}","peer_city":"{city}","peer_note":"{note}","peer_count":{count},"peer_points":{points},"peer_price":{whole}.{part:02}}}"#
            )?;
            writeln!(csv, "{name},{code},{city},{note},{count},{points},{whole}.{part:02}")?;
        }
        fs::write(self.path("rows.ndjson"), json)?;
        fs::write(self.path("rows.csv"), csv)?;
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The same rows by both, either into a table of its own. None where the peer's way is refused.
    fn round(
        &mut self,
        address: SocketAddr,
        peer: Peer,
        rows: usize,
    ) -> Result<(Load, Option<Load>)> {
        let ours = self.ours(address, rows)?;
        let other = self.other(address, peer, rows)?;
        Ok((ours, other))
    }

    /// An empty table of seven columns with an alternate key; its logical name.
    fn new_table(&mut self) -> Result<String> {
        let name = format!("peer_row{}", self.tables);
        self.tables += 1;
        let file = self.path("rows.csv").display().to_string();
        let prefix =
            ["table", "create", &name, "--from", &file, "--prefix", "peer_", "--key", "Code"];
        self.sheaf(self.address, &prefix)?;
        Ok(name)
    }

    fn ours(&mut self, address: SocketAddr, rows: usize) -> Result<Load> {
        let table = self.new_table()?;
        let file = self.some_rows(rows)?.display().to_string();
        let before = report::cpu_of_all_threads(self.service.id())?;
        let started = Instant::now();
        self.sheaf(address, &["set", &table, &file, "--create-only", "--progress", "none"])?;
        let wall = started.elapsed();
        let cpu = report::cpu_of_all_threads(self.service.id())?.saturating_sub(before);
        self.check(&table, rows)?;
        Ok(Load { rows, taken: Taken { wall, cpu: Some(cpu) } })
    }

    fn other(&mut self, address: SocketAddr, peer: Peer, rows: usize) -> Result<Option<Load>> {
        let table = self.new_table()?;
        let (program, script, what) = if peer.is_python {
            (self.packages.join(PYTHON).into_os_string(), "load.py", table.clone())
        } else {
            (self.node.clone(), "load.js", format!("{table}s"))
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script);
        let modules = self.packages.join(NODE_MODULES);
        let mut command = Command::new(program);
        command
            .arg(script)
            .arg(what)
            .arg(self.path("rows.ndjson"))
            .args([peer.size.to_string(), rows.to_string()])
            .env("NODE_PATH", modules);
        let before = report::cpu_of_all_threads(self.service.id())?;
        let output = self.run(&mut command, address)?;
        let cpu = report::cpu_of_all_threads(self.service.id())?.saturating_sub(before);
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            // One list of everything is what the documentation shows; whether it is taken is the service's to say.
            ensure!(peer.size == 0, "{}: {said}", peer.name);
            println!("{}: refused: {}", peer.name, last.chars().take(300).collect::<String>());
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&output.stdout);
        let words: Vec<&str> = said.split_whitespace().collect();
        let [.., "loaded", loaded, "rows", "in", seconds, "s"] = words.as_slice() else {
            bail!("{} said {said}", peer.name);
        };
        ensure!(*loaded == rows.to_string(), "{} loaded {loaded} of {rows} rows", peer.name);
        self.check(&table, rows)?;
        let wall = Duration::from_secs_f64(seconds.parse()?);
        Ok(Some(Load { rows, taken: Taken { wall, cpu: Some(cpu) } }))
    }

    /// The first rows of the file, as a file.
    fn some_rows(&self, rows: usize) -> Result<PathBuf> {
        let whole = self.path("rows.ndjson");
        let text = fs::read_to_string(&whole)?;
        if text.lines().count() == rows {
            return Ok(whole);
        }
        let some: String = text.split_inclusive('\n').take(rows).collect();
        let path = self.path("some.ndjson");
        fs::write(&path, some)?;
        Ok(path)
    }

    /// That all rows are there.
    fn check(&self, table: &str, rows: usize) -> Result<()> {
        let said = self.sheaf(self.address, &["get", table, "--count"])?;
        ensure!(said.trim() == rows.to_string(), "`{table}` has {said} rows, not {rows}");
        Ok(())
    }

    /// Runs our client; what it wrote to standard output.
    fn sheaf(&self, address: SocketAddr, arguments: &[&str]) -> Result<String> {
        let output = self.run(Command::new(&self.sheaf).args(arguments), address)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "sheaf {}: {said}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn run(&self, command: &mut Command, address: SocketAddr) -> Result<Output> {
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("SHEAF_URL", format!("https://{address}"))
            .env_remove("SHEAF_RUNS")
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("could not run {}", command.get_program().display()))
    }
}

/// A port that nobody has. Another program may take it before the service does; then the service does not start.
fn free_address() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?)
}

/// Makes an application user, before the service has its data.
fn add_user(sheaf: &Path, data: &Path) -> Result<Vec<(&'static str, OsString)>> {
    let mut command = Command::new(sheaf);
    let output = command.args(["user", "add", "bench", "--admin", "--data"]).arg(data).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "no user: {}", String::from_utf8_lossy(&output.stderr));
    let line = |name: &str| {
        let value = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("  "));
        value.map(|value| value.trim().into()).with_context(|| format!("`{name}` of the user"))
    };
    Ok(vec![
        ("SHEAF_CLIENT_ID", line("client id")?),
        ("SHEAF_CLIENT_SECRET", line("secret")?),
        ("SHEAF_TENANT", line("tenant")?),
    ])
}
