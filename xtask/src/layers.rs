//! Who may depend on whom: the table of `ARCHITECTURE.md`, and what heavy trees sit where.
//!
//! In: the manifests of the workspace. Out: complaints, one sentence each.
//! Not here: rules about sources and documents (`tidy`).
//! Invariant: an edge that is not in [`LAYERS`] does not exist, and a crate that is not there is refused.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toml::Table;

/// A crate's directory name and the crates of ours that it may depend on.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("query", &["model"]),
    ("store", &["model", "query"]),
    ("store-standard", &["model", "query", "store"]),
    ("store-elastic", &["model", "query", "store"]),
    ("pipeline", &["model", "query", "store"]),
    ("plugin", &["model", "pipeline"]),
    ("jobs", &["model", "query", "store", "pipeline"]),
    ("webapi", &["model", "wire", "query", "pipeline"]),
    (
        "server",
        &[
            "model",
            "wire",
            "query",
            "store",
            "store-standard",
            "store-elastic",
            "pipeline",
            "plugin",
            "jobs",
            "webapi",
        ],
    ),
    ("client", &["model", "wire"]),
    // The binary needs the words of the library it drives: `model` and `wire` lie below `client`.
    ("cli", &["client", "server", "model", "wire"]),
    ("plugin-sdk", &[]),
    ("testkit", &[]),
    // It speaks to every parser, and to a whole service in memory.
    ("fuzzing", &["model", "wire", "query", "store", "pipeline", "webapi", "testkit"]),
    ("xtask", &[]),
    // The elastic line drives the store itself and the limiter's its pure code; all others drive the
    // built service.
    ("bench", &["testkit", "model", "store", "store-elastic", "webapi"]),
];

/// What any crate's tests may use besides its own layers.
const FOR_TESTS: &[&str] = &["testkit"];

/// What the tests of one crate may use besides: those of `webapi` play requests against the reference store, those
/// of `plugin` run a service on it, those of `fuzzing` work against every store.
const FOR_TESTS_OF: &[(&str, &[&str])] = &[
    ("webapi", &["store"]),
    ("plugin", &["query", "store"]),
    ("fuzzing", &["store-standard", "store-elastic"]),
];

/// Dependencies that are heavy to build, and the only crates that may have them.
const HEAVY: &[(&str, &[&str])] = &[
    ("rusqlite", &["store-standard", "bench"]),
    ("libsqlite3-sys", &["store-standard"]),
    ("tokio-postgres", &["store-standard", "store-elastic", "bench"]),
    ("deadpool-postgres", &["store-standard"]),
    ("fjall", &["store-elastic", "bench"]),
    ("scylla", &["store-elastic", "bench"]),
    ("wasmtime", &["plugin"]),
];

/// Checks every manifest below `root`.
pub(crate) fn check(root: &Path, complaints: &mut Vec<String>) -> Result<()> {
    for directory in crate_directories(root)? {
        let name =
            directory.file_name().context("a crate has a name")?.to_string_lossy().into_owned();
        let manifest = directory.join("Cargo.toml");
        let text = fs::read_to_string(&manifest)?;
        let manifest: Table =
            toml::from_str(&text).with_context(|| format!("{} is no TOML", manifest.display()))?;
        check_manifest(&name, &manifest, complaints);
    }
    Ok(())
}

/// The directories that hold a `Cargo.toml` of the workspace.
pub(crate) fn crate_directories(root: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut directories = vec![root.join("xtask"), root.join("bench")];
    for entry in fs::read_dir(root.join("crates"))? {
        directories.push(entry?.path());
    }
    directories.retain(|directory| directory.join("Cargo.toml").is_file());
    directories.sort();
    Ok(directories)
}

fn check_manifest(name: &str, manifest: &Table, complaints: &mut Vec<String>) {
    let Some(layers) = find(LAYERS, name) else {
        complaints.push(format!("crate `{name}` is not in the layer table (xtask/src/layers.rs)"));
        return;
    };
    for section in ["dependencies", "build-dependencies"] {
        for (dependency, value) in section_of(manifest, section) {
            if is_ours(dependency) && !layers.contains(&dependency) {
                complaints.push(format!("crate `{name}` may not depend on `{dependency}`"));
            }
            check_entry(name, dependency, value, complaints);
        }
    }
    let for_tests_of = find(FOR_TESTS_OF, name).unwrap_or_default();
    for (dependency, value) in section_of(manifest, "dev-dependencies") {
        // A crate may turn on its own features for its own tests.
        if dependency == name {
            continue;
        }
        if is_ours(dependency)
            && ![layers, FOR_TESTS, for_tests_of].iter().any(|list| list.contains(&dependency))
        {
            complaints.push(format!("the tests of `{name}` may not depend on `{dependency}`"));
        }
        check_entry(name, dependency, value, complaints);
    }
}

fn check_entry(name: &str, dependency: &str, value: &toml::Value, complaints: &mut Vec<String>) {
    let from_workspace = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
    if !from_workspace {
        complaints.push(format!(
            "crate `{name}` names `{dependency}` itself: versions live in [workspace.dependencies]"
        ));
    }
    if let Some(homes) = find(HEAVY, dependency)
        && !homes.contains(&name)
    {
        complaints.push(format!(
            "crate `{name}` may not depend on `{dependency}`: that tree belongs to {}",
            homes.join(", ")
        ));
    }
}

fn section_of<'a>(
    manifest: &'a Table,
    section: &str,
) -> impl Iterator<Item = (&'a str, &'a toml::Value)> {
    manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten()
        .map(|(dependency, value)| (dependency.as_str(), value))
}

fn is_ours(dependency: &str) -> bool {
    find(LAYERS, dependency).is_some()
}

fn find<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, manifest: &str, want: &[&str]) {
        let mut complaints = Vec::new();
        check_manifest(name, &toml::from_str(manifest).unwrap(), &mut complaints);
        assert_eq!(complaints, want);
    }

    #[test]
    fn an_edge_of_the_table_passes_and_any_other_is_named() {
        check("wire", "[dependencies]\nmodel.workspace = true", &[]);
        check(
            "wire",
            "[dependencies]\nquery.workspace = true",
            &["crate `wire` may not depend on `query`"],
        );
        check("client", "[dev-dependencies]\ntestkit.workspace = true", &[]);
        check(
            "client",
            "[dev-dependencies]\nserver.workspace = true",
            &["the tests of `client` may not depend on `server`"],
        );
    }

    #[test]
    fn a_heavy_tree_stays_in_its_home() {
        check("store-standard", "[dependencies]\nrusqlite.workspace = true", &[]);
        check(
            "webapi",
            "[dependencies]\nrusqlite.workspace = true",
            &[
                "crate `webapi` may not depend on `rusqlite`: that tree belongs to store-standard, bench",
            ],
        );
    }

    #[test]
    fn a_version_outside_the_workspace_table_and_an_unknown_crate_are_refused() {
        check(
            "model",
            "[dependencies]\nuuid = \"1\"",
            &["crate `model` names `uuid` itself: versions live in [workspace.dependencies]"],
        );
        check("misc", "", &["crate `misc` is not in the layer table (xtask/src/layers.rs)"]);
    }
}
