//! Components to test with: the examples and the unruly ones, built from their sources.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

/// The four plug-ins for contacts.
pub(crate) fn contacts() -> Arc<[u8]> {
    static BYTES: OnceLock<Arc<[u8]>> = OnceLock::new();
    BYTES.get_or_init(|| component("contacts")).clone()
}

/// What misbehaves as it is told.
pub(crate) fn unruly() -> Arc<[u8]> {
    static BYTES: OnceLock<Arc<[u8]>> = OnceLock::new();
    BYTES.get_or_init(|| component("unruly")).clone()
}

fn component(name: &str) -> Arc<[u8]> {
    let module = std::fs::read(built().join(format!("{name}.wasm"))).expect("as the test has it");
    plugin::componentize(&module).expect("as the test has it").into()
}

/// Builds all guests once, in a directory of their own, and answers where they are.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
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
        let status = command.status().expect("cargo starts");
        assert!(
            status.success(),
            "the guests cannot be built; is their target there? rustup target add wasm32-unknown-unknown"
        );
        target.join("wasm32-unknown-unknown/release")
    })
}
