//! `cargo xtask ci`: the one gate.
//!
//! In: nothing but the sources. Out: every stage's name, result and minutes, and success only if all passed.
//! Not here: the stages' work; each is a command that a developer can run alone.
//! Invariant: no stage is left out silently: what did not run stands in the summary as skipped.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::programs::{self, CI_PROFILE};
use crate::{House, clients, flights, run_command, tidy};

struct Stage {
    name: &'static str,
    what: &'static str,
    /// Runs the programs that the stage `build` makes.
    needs_build: bool,
    run: fn(&House) -> Result<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
    NotAsked,
}

const STAGES: &[Stage] = &[
    Stage {
        name: "tidy",
        what: "the house's rules",
        needs_build: false,
        run: |house| tidy::run(&house.root),
    },
    Stage {
        name: "format",
        what: "cargo fmt --check",
        needs_build: false,
        run: |house| run_command(&mut house.cargo(&["fmt", "--all", "--check"])),
    },
    Stage {
        name: "clippy",
        what: "lints, warnings are errors",
        needs_build: false,
        run: |house| {
            run_command(
                house.cargo(&["clippy", "--quiet", "--profile", CI_PROFILE, "--workspace"]).args([
                    "--all-targets",
                    "--all-features",
                    "--",
                    "-D",
                    "warnings",
                ]),
            )
        },
    },
    Stage {
        name: "build",
        what: "all programs and tests, one profile",
        needs_build: false,
        run: |house| {
            let profile = ["--quiet", "--profile", CI_PROFILE, "--workspace"];
            run_command(house.cargo(&["build"]).args(profile).arg("--bins"))?;
            run_command(house.cargo(&["test"]).args(profile).arg("--no-run"))
        },
    },
    Stage {
        name: "postgres",
        what: "found, or installed",
        needs_build: true,
        run: programs::install_postgres,
    },
    Stage {
        name: "guests",
        what: "the target that plug-ins are built for: found, or added",
        needs_build: false,
        run: |_| programs::install_guest_target(),
    },
    Stage {
        name: "test",
        what: "every suite, both engines",
        needs_build: true,
        run: |house| {
            let cargo = house.cargo(&[]);
            run_command(
                Command::new(house.program(CI_PROFILE, "testkit-postgres"))
                    .arg("--")
                    .arg(cargo.get_program())
                    .args(["test", "--profile", CI_PROFILE, "--workspace", "--no-fail-fast"])
                    .env("CARGO_TARGET_DIR", &house.target)
                    .env("SHEAF_BINARY", house.program(CI_PROFILE, "sheaf"))
                    // A tenth of the 100,000 random queries of `SHEAF_CASES=100`.
                    .env("SHEAF_QUERIES", "1000")
                    .current_dir(&house.root),
            )
        },
    },
    Stage {
        name: "clients",
        what: "released clients, unmodified, a service each",
        needs_build: true,
        run: |house| clients::run(house, &[]),
    },
    Stage {
        name: "load",
        what: "100,000 rows in and out, both engines",
        needs_build: true,
        run: |house| programs::start(house, CI_PROFILE, "sheaf-load", &["--rows", "100000"]),
    },
    Stage {
        name: "flights",
        what: "a real data set of four tables in one load, and again",
        needs_build: true,
        run: |house| {
            let binary = house.program(CI_PROFILE, "sheaf");
            flights::start(house, &binary, &["--rows", "20000"])
        },
    },
    Stage {
        name: "soak",
        what: "ten kills of each load, five of each bulk delete, five of the client, both engines",
        needs_build: true,
        run: |house| {
            let mut arguments = vec!["--kills", "10", "--rows", "100000"];
            arguments.extend(["--load-rows", "30000", "--load-kills", "5"]);
            arguments.extend(["--memory-rows", "1000000"]);
            programs::start(house, CI_PROFILE, "sheaf-soak", &arguments)
        },
    },
    Stage {
        name: "demo",
        what: "sheaf demo --exit",
        needs_build: true,
        run: |house| {
            run_command(Command::new(house.program(CI_PROFILE, "sheaf")).args(["demo", "--exit"]))
        },
    },
    Stage {
        name: "bench",
        what: "a quick run: that it runs, not its numbers",
        needs_build: true,
        run: |house| programs::start_bench(house, CI_PROFILE, &["--quick"]),
    },
];

/// Runs every stage, or those that are named, and prints the summary.
pub(crate) fn run(house: &House, only: &[String]) -> Result<ExitCode> {
    for name in only {
        ensure!(
            STAGES.iter().any(|stage| stage.name == name),
            "there is no stage `{name}`; there are {}",
            STAGES.iter().map(|stage| stage.name).collect::<Vec<_>>().join(", ")
        );
    }
    let mut results: Vec<(&Stage, Outcome, Duration)> = Vec::new();
    let mut is_built = true;
    for (number, stage) in STAGES.iter().enumerate() {
        if !only.is_empty() && !only.iter().any(|name| name == stage.name) {
            results.push((stage, Outcome::NotAsked, Duration::ZERO));
            continue;
        }
        println!("\n=== {}/{} {}: {}", number + 1, STAGES.len(), stage.name, stage.what);
        if stage.needs_build && !is_built {
            println!("=== {}: skipped, the build failed", stage.name);
            results.push((stage, Outcome::Skipped, Duration::ZERO));
            continue;
        }
        let started = now();
        let outcome = match (stage.run)(house) {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                println!("error: {error:#}");
                Outcome::Failed
            }
        };
        let taken = now().duration_since(started);
        println!("=== {}: {} after {}", stage.name, word(outcome), minutes(taken));
        if stage.name == "build" {
            is_built = outcome == Outcome::Passed;
        }
        results.push((stage, outcome, taken));
    }
    Ok(summary(&results))
}

fn summary(results: &[(&Stage, Outcome, Duration)]) -> ExitCode {
    println!("\n| Stage | What | Result | Minutes |\n| --- | --- | --- | --- |");
    for (stage, outcome, taken) in results {
        println!("| {} | {} | {} | {} |", stage.name, stage.what, word(*outcome), minutes(*taken));
    }
    let total: Duration = results.iter().map(|(_, _, taken)| *taken).sum();
    let passed = results
        .iter()
        .all(|(_, outcome, _)| matches!(outcome, Outcome::Passed | Outcome::NotAsked));
    let whole = results.iter().all(|(_, outcome, _)| *outcome != Outcome::NotAsked);
    let verdict = match (passed, whole) {
        (true, true) => "passed",
        (true, false) => "passed, as far as asked for",
        (false, _) => "FAILED",
    };
    println!("| all | | {verdict} | {} |", minutes(total));
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "skipped",
        Outcome::NotAsked => "not asked for",
    }
}

fn minutes(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() / 60.0)
}

#[expect(clippy::disallowed_methods, reason = "the gate is a rim: it measures its own stages")]
fn now() -> Instant {
    Instant::now()
}
