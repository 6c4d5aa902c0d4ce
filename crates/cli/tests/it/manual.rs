//! Completions, the manual, and what `--stats` says.

use crate::home::{BINARY, Home};
use std::fs;
use std::process::{Command, Stdio};

fn output(words: &[&str]) -> String {
    let output = Command::new(BINARY).args(words).stdin(Stdio::null()).output().expect("it runs");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn shells_get_completions_of_every_command_and_option() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let text = output(&["completions", shell]);
        for word in ["match-on", "lookup-missing", "completions", "resume", "step"] {
            assert!(text.contains(word), "{shell} does not know `{word}`");
        }
        // Values, too, where the shell's form has them.
        assert!(shell == "powershell" || text.contains("ndjson"), "{shell}");
    }
    // The shell itself finds nothing wrong, and completes.
    let script = format!(
        "{}\nCOMP_WORDS=(sheaf set --reje) COMP_CWORD=2\n_sheaf sheaf --reje set\necho \"${{COMPREPLY[@]}}\"",
        output(&["completions", "bash"])
    );
    let bash = Command::new("bash").args(["-c", &script]).output();
    if let Ok(bash) = bash {
        let said = String::from_utf8_lossy(&bash.stdout).into_owned();
        assert_eq!(said.trim(), "--rejects", "{}", String::from_utf8_lossy(&bash.stderr));
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let page = output(&["man"]);
    assert!(page.contains(".TH sheaf 1") && page.contains("sheaf\\-set(1)"), "{page}");
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let into = directory.path().join("man1");
    output(&["man", "--dir", into.to_str().expect("text")]);
    for page in ["sheaf.1", "sheaf-set.1", "sheaf-get.1", "sheaf-run-resume.1"] {
        assert!(into.join(page).exists(), "{page} is not there");
    }
    let page = fs::read_to_string(into.join("sheaf-set.1")).expect("text");
    assert!(page.contains("match\\-on") && page.contains("\\-\\-stats"), "{page}");
}

#[test]
fn what_a_run_cost_is_told_in_figures_that_add_up() {
    let home = Home::start();
    let rows: String = (0..250).map(|row| format!("C-{row},{row}\n")).collect();
    fs::write(home.path("in.csv"), format!("Code,Weight\n{rows}C-x,heavy\n")).expect("written");
    fs::write(home.path("shape.csv"), "Code,Weight\nC-1,1\n").expect("written");
    home.call(0, "table create new_crate --from shape.csv --key Code");
    home.call(1, "set new_crate in.csv --create-only -b 100 -j 2 --stats s.json");
    let read = |name: &str| -> serde_json::Value {
        let text = fs::read_to_string(home.path(name)).expect("written");
        serde_json::from_str(&text).expect("JSON")
    };
    let stats = read("s.json");
    assert_eq!(stats["command"], "set");
    assert_eq!(stats["rows"], 251);
    assert_eq!(stats["outcomes"], serde_json::json!({"created": 250, "failed": 1}));
    let bulk = &stats["requests_by_kind"]["POST CreateMultiple"];
    assert_eq!((&bulk["requests"], &bulk["statuses"]), (&3.into(), &serde_json::json!({"200": 3})));
    assert!(bulk["milliseconds"]["p99"].as_f64().is_some_and(|p99| p99 > 0.0), "{stats}");
    let kinds = stats["requests_by_kind"].as_object().expect("kinds");
    let sum = |name: &str| kinds.values().filter_map(|kind| kind[name].as_u64()).sum::<u64>();
    for name in ["requests", "bytes_sent", "bytes_received"] {
        assert_eq!(stats["requests"][name], sum(name), "{name}");
    }
    assert_eq!(stats["batch_size"], serde_json::json!({"least": 100, "most": 100}));
    assert!(stats["width_most"].as_u64().is_some_and(|most| (1..=2).contains(&most)), "{stats}");
    if cfg!(target_os = "linux") {
        assert!(
            stats["peak_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20),
            "{stats}"
        );
    }
    home.call(0, "get new_crate -o out.csv --stats g.json");
    assert_eq!((&read("g.json")["command"], &read("g.json")["rows"]), (&"get".into(), &250.into()));
    let said = home.call(0, "remove new_crate --filter new_weight^lt^100 --yes --stats -");
    assert!(said.contains("  POST $batch: 1 (1 × 200)"), "{said}");
    home.call(2, "set new_crate in.csv --stats in.csv");
}
