//! Builds and starts the long programs: PostgreSQL for tests, the crash test, the load test, the bench.
//!
//! In: the arguments after the command's name, passed on as they are. Out: the program's own exit.
//! Not here: what the programs do (`crates/testkit/src/bin`, `bench`).
//! Invariant: a program is always built before it is started, in the one profile that CI builds, or in
//! `release` where numbers are wanted.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{House, clients, run_command};

/// The profile of everything that is tested; `release` is for what is measured.
pub(crate) const CI_PROFILE: &str = "ci";

/// `sheaf-soak`: the crash test.
pub(crate) fn soak(house: &House, arguments: &[String]) -> Result<()> {
    build(house, CI_PROFILE, &["sheaf", "testkit"])?;
    start(house, CI_PROFILE, "sheaf-soak", arguments)
}

/// `sheaf-load`: many rows through the client and back.
pub(crate) fn load(house: &House, arguments: &[String]) -> Result<()> {
    build(house, CI_PROFILE, &["sheaf", "testkit"])?;
    start(house, CI_PROFILE, "sheaf-load", arguments)
}

/// `bench`: the service against the bare engines, and the client against others.
pub(crate) fn bench(house: &House, arguments: &[String]) -> Result<()> {
    build(house, "release", &["sheaf", "testkit", "bench"])?;
    start_bench(house, "release", arguments)
}

/// The built bench, which finds installed clients to load rows with.
pub(crate) fn start_bench(
    house: &House,
    profile: &str,
    arguments: &[impl AsRef<OsStr>],
) -> Result<()> {
    let environment = clients::environment(house);
    start_with(house, profile, "bench", arguments, &environment)
}

/// `sheaf-play`: the scenarios against a running service.
pub(crate) fn play(house: &House, arguments: &[String]) -> Result<()> {
    build(house, CI_PROFILE, &["testkit"])?;
    run_command(Command::new(house.program(CI_PROFILE, "sheaf-play")).args(arguments))
}

/// Runs a command while a PostgreSQL of our own is up.
pub(crate) fn with_postgres(house: &House, arguments: &[String]) -> Result<()> {
    let command = match arguments {
        [first, rest @ ..] if first == "--" => rest,
        all => all,
    };
    ensure!(!command.is_empty(), "usage: cargo xtask pg -- COMMAND");
    build(house, CI_PROFILE, &["testkit"])?;
    install_postgres(house)?;
    run_command(Command::new(house.program(CI_PROFILE, "testkit-postgres")).arg("--").args(command))
}

/// Builds the programs of some packages.
pub(crate) fn build(house: &House, profile: &str, packages: &[&str]) -> Result<()> {
    let mut command = house.cargo(&["build", "--quiet", "--profile", profile, "--bins"]);
    for package in packages {
        command.args(["--package", package]);
    }
    run_command(&mut command)
}

/// The built service: the one that `SHEAF_BINARY` names, else one that is built now.
pub(crate) fn binary(house: &House) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("SHEAF_BINARY") {
        return Ok(PathBuf::from(path));
    }
    build(house, CI_PROFILE, &["sheaf"])?;
    Ok(house.program(CI_PROFILE, "sheaf"))
}

/// Starts a program with the built service beside it, PostgreSQL being installed if it needs that.
pub(crate) fn start(
    house: &House,
    profile: &str,
    name: &str,
    arguments: &[impl AsRef<OsStr>],
) -> Result<()> {
    start_with(house, profile, name, arguments, &[])
}

fn start_with(
    house: &House,
    profile: &str,
    name: &str,
    arguments: &[impl AsRef<OsStr>],
    environment: &[(&str, PathBuf)],
) -> Result<()> {
    let only_sqlite = arguments
        .windows(2)
        .any(|pair| pair[0].as_ref() == "--engine" && pair[1].as_ref() == "sqlite");
    if !only_sqlite {
        install_postgres(house)?;
    }
    run_command(
        Command::new(house.program(profile, name))
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("SHEAF_BINARY", house.program(profile, "sheaf"))
            .current_dir(&house.root),
    )
}

/// What plug-ins are built for.
const GUEST_TARGET: &str = "wasm32-unknown-unknown";

/// Adds the library of the guests' target to the toolchain, unless it is there.
pub(crate) fn install_guest_target() -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let found = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", GUEST_TARGET])
        .output()
        .context("rustc does not start")?;
    let directory = String::from_utf8_lossy(&found.stdout);
    if found.status.success() && Path::new(directory.trim()).is_dir() {
        return Ok(());
    }
    run_command(Command::new("rustup").args(["target", "add", GUEST_TARGET]))
}

/// Makes sure that PostgreSQL's programs are there: found, or installed with `apt-get`.
pub(crate) fn install_postgres(house: &House) -> Result<()> {
    let finder = [CI_PROFILE, "release"]
        .iter()
        .map(|profile| house.program(profile, "testkit-postgres"))
        .find(|program| program.is_file())
        .context("`testkit-postgres` is not built")?;
    let found = Command::new(&finder).arg("--find").status()?;
    if found.success() {
        return Ok(());
    }
    install(&["postgresql"])?;
    run_command(Command::new(&finder).arg("--find"))
}

/// Installs packages of the system with `apt-get`.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let apt_get = Command::new("apt-get").arg("--version").output();
    if !apt_get.is_ok_and(|output| output.status.success()) {
        let packages = packages.join(", ");
        bail!("not installed, and there is no `apt-get` to install it: {packages}");
    }
    let as_root = Command::new("id").arg("-u").output()?.stdout == b"0\n";
    let apt = |arguments: &[&str]| {
        let mut command = if as_root { Command::new("env") } else { Command::new("sudo") };
        run_command(command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments))
    };
    apt(&["update"])?;
    apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
}
