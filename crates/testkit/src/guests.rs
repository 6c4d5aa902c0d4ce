//! Plug-ins to test with: those of `examples/plugins`, built from their sources once for all tests.
//!
//! In: a name. Out: the core module that cargo makes of it.
//! Not here: making a component of it; that is the product's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

/// Where the services of tests may keep compiled components, so that each is compiled once.
pub const CACHE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/guests/code");

/// The file of a plug-in: `contacts`, `unruly`.
pub fn path(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    let directory = built.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(directory.join(format!("{name}.wasm")))
}

/// The core module of a plug-in.
pub fn module(name: &str) -> Result<Vec<u8>> {
    let path = path(name)?;
    std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Builds all of them in a directory of their own.
fn build() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = root.join("target/guests");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--release", "--locked"])
        .args(["--target", "wasm32-unknown-unknown"])
        .arg("--manifest-path")
        .arg(root.join("examples/plugins/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        // What the outer build is told is not for this one.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let status = command.status().context("cargo does not start")?;
    ensure!(
        status.success(),
        "the guests cannot be built; is their target there? rustup target add wasm32-unknown-unknown"
    );
    Ok(target.join("wasm32-unknown-unknown/release"))
}
