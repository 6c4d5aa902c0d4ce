//! `sheaf bench` measures and leaves nothing behind: against a real service.

use crate::home::Home;
use serde_json::Value;
use std::process::Stdio;

/// Records of a table.
fn left(home: &Home, table: &str, columns: &str) -> usize {
    home.call(0, &format!("get {table} -c {columns} -o left.csv"));
    let text = std::fs::read_to_string(home.path("left.csv")).expect("written");
    text.lines().skip(1).count()
}

/// Makes a call that must end with this code; answers what it wrote to standard output.
fn found(home: &Home, want: i32, line: &str) -> Value {
    let output = home.command(line).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(want), "sheaf {line}: {said}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn methods_are_measured_on_a_standard_table_and_nothing_is_written_unasked() {
    let home = Home::start();
    std::fs::write(home.path("in.csv"), "name\nMine\n").expect("written");
    home.call(0, "set account in.csv --create-only");
    let said = home.call(2, "bench methods account --rows 20");
    assert!(said.contains("450 rows in table `account`") && said.contains("--yes"), "{said}");
    assert_eq!(left(&home, "account", "name"), 1);
    let line = "bench methods account --rows 20 --rounds 2 --yes -c numberofemployees,donotemail";
    let said = home.call(0, line);
    for want in ["one bulk", "one $batch", "bulk of one", "not there: DeleteMultiple", "±"] {
        assert!(said.contains(want), "{want}: {said}");
    }
    let report = found(&home, 0, &format!("{line} --json"));
    let cells = report["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), 20);
    for cell in cells {
        let is_missing = cell["operation"] == "delete"
            && ["bulk", "bulk-of-one"].iter().any(|method| cell["method"] == *method);
        assert_eq!(cell["missing"] == "DeleteMultiple", is_missing, "{cell}");
        let rounds = cell["rounds"].as_array().expect("rounds");
        assert_eq!(rounds.len(), if is_missing { 0 } else { 2 }, "{cell}");
        for round in rounds {
            assert_eq!((&round["rows"], &round["failed"]), (&20.into(), &0.into()), "{cell}");
            let requests = match cell["method"].as_str().expect("a method") {
                "single" | "bulk-of-one" => 20,
                _ => 1,
            };
            assert_eq!(round["requests"], requests, "{cell}");
        }
    }
    assert_eq!(left(&home, "account", "name"), 1);
    let said = home.call(2, "bench methods account --yes -c createdon");
    assert!(said.contains("`createdon` cannot be made up"), "{said}");
    home.call(2, "bench methods nothing --yes");
    home.call(2, "bench methods account --yes -j 53");
}

#[test]
fn an_elastic_table_has_every_method_and_takes_a_hundred_rows_in_a_message() {
    let home = Home::start();
    std::fs::write(home.path("in.csv"), "Name,Level\na,1\n").expect("written");
    home.call(0, "table create mote --from in.csv --elastic");
    let report = found(&home, 0, "bench methods mote --rows 150 --rounds 1 --yes --json");
    assert_eq!(report["size"], 100);
    for cell in report["cells"].as_array().expect("cells") {
        assert_eq!(cell["missing"], Value::Null, "{cell}");
        assert_eq!(cell["rounds"][0]["rows"], 150, "{cell}");
    }
    assert_eq!(left(&home, "mote", "Name"), 0);
}

#[test]
fn the_learned_setting_stands_beside_the_grid() {
    let home = Home::start();
    home.call(2, "bench tune account");
    let line = "bench tune account --widths 1,2 --sizes 1,50 --seconds 0.3 --learn 0.5 --yes";
    let said = home.call(0, line);
    for want in ["width 2", "best of the grid: width", "learned: width", "of the best"] {
        assert!(said.contains(want), "{want}: {said}");
    }
    let report = found(&home, 0, &format!("{line} --json"));
    assert_eq!(report["grid"].as_array().map(Vec::len), Some(4));
    assert!(report["learned"]["share_of_best"].as_f64().is_some_and(|share| share > 0.0));
    assert_eq!(left(&home, "account", "name"), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_stop_in_the_middle_removes_the_rows_and_is_told() {
    let home = Home::start();
    for line in [
        "bench methods account --rows 50000 --rounds 1 --methods own --yes",
        "bench tune account --widths 2 --sizes 100 --seconds 60 --yes",
    ] {
        let mut command = home.command(line);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
        let seen = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let said = home.call(0, "get account -c name --top 1");
            said.contains("sheaf bench")
        });
        assert!(seen, "{line}: no row came");
        let id = child.id().to_string();
        let killed = std::process::Command::new("kill").args(["-TERM", &id]).status();
        assert!(killed.expect("`kill` runs").success());
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(5), "{line}: {said}");
        assert!(said.contains("all rows were removed"), "{line}: {said}");
        assert_eq!(left(&home, "account", "name"), 0, "{line}");
    }
}
