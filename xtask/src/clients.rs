//! `cargo xtask clients`: released clients of the Web API, unmodified, against a fresh service each.
//!
//! In: the folders of `clients/`: pinned packages and a suite in the client's own language. Out: what was run,
//! and success only if every suite ran at least one test, left none out and failed none.
//! Not here: what a client is asked to do (`clients/*/`).
//! Invariant: nothing is installed outside of the build directory, and no client talks to anything but loopback.

mod languages;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::programs;
use crate::{House, run_command};
use languages::Languages;
pub(crate) use languages::python as system_python;

/// How long a fresh service may take until it listens.
const START_MS_MAX: u64 = 60_000;
/// How long a suite may take.
const SUITE_MS_MAX: u64 = 300_000;
/// How often is looked whether something has happened.
const STEP_MS: u64 = 50;

struct ClientPackage {
    /// The folder in `clients/`, and the name of the package in its registry.
    name: &'static str,
    language: Language,
    /// Host names that the client has fixed: the service's certificate holds for them, and the suite leads
    /// them to loopback. `None` is a client that takes plain http, where everybody is administrator.
    tls_names: Option<&'static [&'static str]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Python,
    Node,
}

/// An organisation of Microsoft's cloud, and where its users sign in.
const CLOUD: &[&str] = &["org.crm.dynamics.com", "login.microsoftonline.com"];

/// What leads those names to loopback, in both languages.
const LOOPBACK: &str = "loopback";

const CLIENTS: &[ClientPackage] = &[
    ClientPackage {
        name: "airbyte-source-microsoft-dataverse",
        language: Language::Python,
        tls_names: Some(CLOUD),
    },
    ClientPackage { name: "dataverse-api", language: Language::Python, tls_names: None },
    ClientPackage { name: "dynamics-web-api", language: Language::Node, tls_names: None },
    ClientPackage { name: "mcp-dataverse", language: Language::Node, tls_names: Some(CLOUD) },
    ClientPackage {
        name: "powerplatform-dataverse-client",
        language: Language::Python,
        tls_names: Some(&[]),
    },
    ClientPackage { name: "tap-ms-dynamics", language: Language::Python, tls_names: Some(CLOUD) },
    ClientPackage { name: "xrm-webapi", language: Language::Node, tls_names: Some(CLOUD) },
];

/// Runs the suites of all clients, or of those that are named, against the built service.
pub(crate) fn run(house: &House, only: &[String]) -> Result<()> {
    let clients = chosen(house, only)?;
    let languages = languages::find(house, &clients)?;
    let binary = programs::binary(house)?;
    let mut lines = Vec::new();
    let mut failed = Vec::new();
    for client in clients {
        println!("--- {}", client.name);
        match run_one(house, &binary, &languages, client) {
            Ok(line) => lines.push(line),
            Err(error) => {
                println!("error: {error:#}");
                lines.push(format!("| {} | | FAILED |", client.name));
                failed.push(client.name);
            }
        }
    }
    println!("\n| Client | Version | Tests |\n| --- | --- | --- |\n{}", lines.join("\n"));
    ensure!(failed.is_empty(), "not as expected: {}", failed.join(", "));
    Ok(())
}

/// Where installed clients are and what runs those of Node, as environment variables, for the bench. Installs nothing.
pub(crate) fn environment(house: &House) -> [(&'static str, PathBuf); 2] {
    [("SHEAF_CLIENTS", house.target.join("clients")), ("SHEAF_NODE", languages::found_node(house))]
}

fn home_of(house: &House, client: &ClientPackage) -> PathBuf {
    house.target.join("clients").join(client.name)
}

/// The clients to run. A folder that the table does not know, or the other way round, is an error.
fn chosen(house: &House, only: &[String]) -> Result<Vec<&'static ClientPackage>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(house.root.join("clients"))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name() != LOOPBACK {
            folders.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    folders.sort();
    let mut names: Vec<&str> = CLIENTS.iter().map(|client| client.name).collect();
    names.sort_unstable();
    ensure!(folders == names, "`clients/` has {folders:?}, `xtask/src/clients.rs` has {names:?}");
    for name in only {
        ensure!(names.contains(&name.as_str()), "there is no client `{name}`; there are {names:?}");
    }
    let is_chosen =
        |client: &&ClientPackage| only.is_empty() || only.iter().any(|name| name == client.name);
    Ok(CLIENTS.iter().filter(is_chosen).collect())
}

/// Installs one client, starts a service for it and runs its suite. Returns its line of the summary.
fn run_one(
    house: &House,
    binary: &Path,
    languages: &Languages,
    client: &ClientPackage,
) -> Result<String> {
    let source = house.root.join("clients").join(client.name);
    let home = home_of(house, client);
    let version = install(&source, &home, languages, client)?;
    let service = Service::start(binary, &home, client.tls_names)?;
    let loopback = house.root.join("clients").join(LOOPBACK);
    let mut command = suite(&source, &home, languages, client.language);
    command
        .env("PYTHONPATH", &loopback)
        .env("NODE_OPTIONS", format!("--require \"{}\"", loopback.join("loopback.js").display()))
        .envs(service.environment.iter().map(|(name, value)| (name, value)));
    let (status, printed) = run_to_end(&mut command, &home.join("suite.log"))?;
    let count = match verdict(status, &printed, client.language) {
        Ok(count) => count,
        Err(error) => {
            println!("{printed}");
            return Err(error.context(format!("the service's output: {}", service.log.display())));
        }
    };
    println!("{} {version}: {count} tests passed", client.name);
    Ok(format!("| {} | {version} | {count} |", client.name))
}

/// Installs what the lock names, unless just that is there already. Returns the client's version.
fn install(
    source: &Path,
    home: &Path,
    languages: &Languages,
    client: &ClientPackage,
) -> Result<String> {
    let (lock_name, version_key) = match client.language {
        Language::Python => ("requirements.txt", format!("{}==", client.name)),
        Language::Node => ("package-lock.json", format!("\"{}\": \"", client.name)),
    };
    let lock = fs::read_to_string(source.join(lock_name))
        .with_context(|| format!("clients/{}/{lock_name}", client.name))?;
    let version = lock
        .split_once(&version_key)
        .and_then(|(_, rest)| rest.split(['"', '\n', ' ']).next())
        .with_context(|| format!("{lock_name} does not pin {}", client.name))?
        .to_owned();
    let installed = home.join("installed.lock");
    if fs::read_to_string(&installed).is_ok_and(|text| text == lock) {
        return Ok(version);
    }
    if home.exists() {
        fs::remove_dir_all(home)?;
    }
    fs::create_dir_all(home)?;
    match client.language {
        Language::Python => {
            let mut command = Command::new(&languages.python);
            run_command(command.args(["-m", "venv"]).arg(home.join("venv")))?;
            run_command(
                Command::new(python(home))
                    .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                    .args(["--no-deps", "-r"])
                    .arg(source.join(lock_name)),
            )?;
            // Nothing that a package needs is missing from the list.
            run_command(Command::new(python(home)).args(["-m", "pip", "check"]))?;
        }
        Language::Node => {
            for name in ["package.json", lock_name] {
                fs::copy(source.join(name), home.join(name))?;
            }
            run_command(
                Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .args(["--loglevel", "error"])
                    .current_dir(home),
            )?;
        }
    }
    fs::write(installed, lock)?;
    Ok(version)
}

fn python(home: &Path) -> PathBuf {
    home.join("venv/bin/python")
}

/// The client's own runner over the files of its folder.
fn suite(source: &Path, home: &Path, languages: &Languages, language: Language) -> Command {
    match language {
        Language::Python => {
            let mut command = Command::new(python(home));
            command
                .args(["-B", "-m", "unittest", "discover", "--verbose", "--start-directory"])
                .arg(source)
                .current_dir(home);
            command
        }
        Language::Node => {
            let mut command = Command::new(&languages.node);
            command
                .args(["--test", "--test-reporter=tap"])
                .arg(source.join("suite.test.js"))
                .env("NODE_PATH", home.join("node_modules"))
                .current_dir(home);
            command
        }
    }
}

/// Runs a suite and returns all that it printed.
fn run_to_end(command: &mut Command, log: &Path) -> Result<(ExitStatus, String)> {
    let file = File::create(log)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let mut child = command.spawn().context("could not start the suite")?;
    for _ in 0..SUITE_MS_MAX / STEP_MS {
        if let Some(status) = child.try_wait()? {
            return Ok((status, String::from_utf8_lossy(&fs::read(log)?).into_owned()));
        }
        std::thread::sleep(Duration::from_millis(STEP_MS));
    }
    child.kill()?;
    child.wait()?;
    bail!("the suite did not end within {SUITE_MS_MAX} ms: {}", log.display())
}

/// How many tests ran, if all of them passed and none was left out.
fn verdict(status: ExitStatus, printed: &str, language: Language) -> Result<u32> {
    let number_after = |word: &str| {
        let line = printed.lines().rev().find_map(|line| line.strip_prefix(word));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u32>().ok())
    };
    let (count, left_out) = match language {
        Language::Python => {
            let left_out = printed.contains("(skipped=") || printed.contains("(expected failures=");
            (number_after("Ran "), u32::from(left_out))
        }
        Language::Node => {
            let left_out = ["# skipped ", "# todo ", "# cancelled "].map(number_after);
            (number_after("# tests "), left_out.into_iter().flatten().sum())
        }
    };
    ensure!(status.success(), "the suite ended with {status}");
    let count = count.context("the suite did not tell how many tests ran")?;
    ensure!(count > 0, "the suite ran no test");
    ensure!(left_out == 0, "the suite left tests out");
    Ok(count)
}

/// A `sheaf serve` of its own; it ends with this value.
struct Service {
    child: Child,
    /// What the suite needs to know, as environment variables.
    environment: Vec<(&'static str, String)>,
    log: PathBuf,
}

impl Service {
    /// Starts on a free port of loopback, with an empty data directory. With TLS there is one application
    /// user, and nobody else is let in.
    fn start(binary: &Path, home: &Path, tls_names: Option<&[&str]>) -> Result<Service> {
        let data = home.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        let mut environment = Vec::new();
        let mut options = Vec::new();
        if let Some(names) = tls_names {
            environment = add_user(binary, &data)?;
            let authority = data.join("tls/ca.pem").display().to_string();
            for name in ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"] {
                environment.push((name, authority.clone()));
            }
            options.extend(["--listen-tls", "127.0.0.1:0", "--tls", "dev", "--auth", "on"]);
            options.extend(names.iter().flat_map(|name| ["--tls-name", name]));
            environment.push(("SHEAF_HOSTS", names.join(",")));
        }
        let log = home.join("serve.log");
        let file = File::create(&log)?;
        let child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .args(options)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("could not start {}", binary.display()))?;
        let mut service = Service { child, environment, log };
        let plain = service.wait_for("listening on http:")?;
        if tls_names.is_some() {
            let port = service.wait_for("listening on https:")?;
            let port = port.rsplit(':').next().unwrap_or_default().to_owned();
            service.environment.push(("SHEAF_URL", format!("https://127.0.0.1:{port}")));
            service.environment.push(("SHEAF_PORT", port));
            service.environment.push(("SHEAF_PLAIN_URL", format!("http:{plain}")));
        } else {
            service.environment.push(("SHEAF_URL", format!("http:{plain}")));
        }
        Ok(service)
    }

    /// What follows these words on a line of the service's output.
    fn wait_for(&mut self, words: &str) -> Result<String> {
        for _ in 0..START_MS_MAX / STEP_MS {
            let printed = fs::read_to_string(&self.log)?;
            // Without its end the line may still be on its way.
            let mut whole =
                printed.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
            if let Some(rest) = whole.find_map(|line| line.strip_prefix(words)) {
                return Ok(rest.to_owned());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the service ended with {status}:\n{printed}");
            }
            std::thread::sleep(Duration::from_millis(STEP_MS));
        }
        bail!(
            "the service did not print `{words}` within {START_MS_MAX} ms: {}",
            self.log.display()
        )
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Makes an application user with a secret, before the service has its data.
fn add_user(binary: &Path, data: &Path) -> Result<Vec<(&'static str, String)>> {
    let mut command = Command::new(binary);
    let output = command.args(["user", "add", "suite", "--admin", "--data"]).arg(data).output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "no user: {}", String::from_utf8_lossy(&output.stderr));
    let line = |name: &str| {
        let value = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("  "));
        value.map(|value| value.trim().to_owned()).with_context(|| format!("`{name}` of the user"))
    };
    Ok(vec![
        ("SHEAF_CLIENT_ID", line("client id")?),
        ("SHEAF_CLIENT_SECRET", line("secret")?),
        ("SHEAF_TENANT", line("tenant")?),
    ])
}
