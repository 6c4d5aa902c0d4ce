//! Runs against a real service: killed anywhere and resumed, interrupted, retried, reported.

use crate::home::{Home, said};
use crate::tap::Tap;
use std::fs;
use std::io::{BufRead as _, Write as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const ROWS: usize = 4_000;
/// A test gives up after this.
const PATIENCE: Duration = Duration::from_secs(120);

fn input(home: &Home, rows: usize, bad: &[usize]) {
    let mut text = String::from("Code,Label,Weight\n");
    for row in 0..rows {
        let weight = if bad.contains(&row) { "heavy".to_owned() } else { row.to_string() };
        text.push_str(&format!("C-{row},label {row},{weight}\n"));
    }
    fs::write(home.path("in.csv"), text).expect("written");
}

fn table(home: &Home) {
    fs::write(home.path("shape.csv"), "Code,Label,Weight\nC-1,one,1\n").expect("written");
    home.call(0, "table create new_crate --from shape.csv --key Code");
}

#[expect(clippy::disallowed_methods, reason = "how long a test waits for a process")]
fn now() -> Instant {
    Instant::now()
}

/// Starts a call and waits until the journal of run `r` has so many bytes, or the call has ended.
fn start_until(home: &Home, line: &str, bytes: u64) -> Child {
    let mut command = home.command(line);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let started = now();
    let journal = home.path("runs/r/journal");
    while child.try_wait().expect("a child").is_none() && started.elapsed() < PATIENCE {
        if fs::metadata(&journal).is_ok_and(|file| file.len() >= bytes) {
            break;
        }
        std::thread::yield_now();
    }
    child
}

#[test]
fn a_run_that_is_killed_at_twenty_points_ends_with_every_row_there_once() {
    let home = Home::start();
    table(&home);
    input(&home, ROWS, &[]);
    let set = "set new_crate in.csv --create-only -b 20 -j 4 --run r --journal runs";
    let mut line = set;
    let mut kills = 0;
    for point in 0..20u64 {
        let mut child = start_until(&home, line, 300 + point * 260);
        line = "run resume r --journal runs";
        if child.try_wait().expect("a child").is_none() {
            child.kill().expect("killed");
            kills += 1;
        }
        child.wait().expect("it is gone");
    }
    assert!(kills >= 10, "only {kills} kills met a run at work");
    home.call(0, "run resume r --journal runs");
    let report = home.call(0, "run report r --journal runs --json");
    let report: serde_json::Value = serde_json::from_str(said(&report)).expect("JSON");
    assert_eq!(report["outcomes"], serde_json::json!({"created": ROWS}), "{report}");
    assert_eq!(report["open"], 0);
    home.call(0, "get new_crate -o out.csv");
    let mut there: Vec<String> = fs::read_to_string(home.path("out.csv"))
        .expect("it was written")
        .lines()
        .skip(1)
        .map(str::to_owned)
        .collect();
    let mut wanted: Vec<String> = fs::read_to_string(home.path("in.csv"))
        .expect("it is there")
        .lines()
        .skip(1)
        .map(str::to_owned)
        .collect();
    there.sort();
    wanted.sort();
    assert!(there == wanted, "{} rows are there instead of {ROWS}", there.len());
    let again = home.call(0, "run resume r --journal runs");
    assert!(again.contains(&format!("{ROWS} rows: {ROWS} created")), "{again}");
}

#[test]
fn failed_rows_are_kept_retried_and_reported() {
    let home = Home::start();
    table(&home);
    input(&home, 100, &[7, 50]);
    let said = home.call(
        1,
        "set new_crate in.csv --create-only --run r --journal runs --rejects bad.csv --errors e.ndjson",
    );
    assert!(said.contains("98 created, 2 failed") && said.contains("run retry r"), "{said}");
    let list = home.call(0, "run list --journal runs");
    assert!(list.contains("r: 100 rows: 98 created, 2 failed"), "{list}");
    let rejects = fs::read_to_string(home.path("bad.csv")).expect("written");
    assert!(
        rejects.lines().nth(1).is_some_and(|line| line.contains("heavy") && line.contains(",9,"))
    );
    let changed = fs::read_to_string(home.path("in.csv")).expect("there").replace("heavy", "12345");
    fs::write(home.path("in.csv"), changed).expect("written");
    let refused = home.call(2, "run retry r --journal runs");
    assert!(refused.contains("has changed since the run began"), "{refused}");
    let said = home.call(0, "run retry r --journal runs --force");
    assert!(said.contains("100 rows: 100 created"), "{said}");
    // A run has one name, and only of letters.
    home.call(2, "set new_crate in.csv --create-only --run r --journal runs");
    home.call(2, "set new_crate in.csv --create-only --run ../r --journal runs");
    home.call(2, "set new_crate - --create-only --run s --journal runs");
    home.call(2, "run resume nothing --journal runs");
    // The file of rejects is input for another run.
    let text = rejects.replace("heavy", "1");
    fs::write(home.path("bad.csv"), text).expect("written");
    let said = home.call(1, "set new_crate bad.csv --create-only --rejects still.csv");
    assert!(said.contains("2 rows: 2 failed"), "their codes are taken: {said}");
}

#[test]
fn an_interrupt_lets_flights_finish_and_the_run_goes_on_later() {
    let home = Home::start();
    table(&home);
    input(&home, ROWS, &[]);
    let set = "set new_crate in.csv --create-only -b 10 -j 2 --run r --journal runs";
    let mut child = start_until(&home, set, 500);
    interrupt(child.id());
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    let report = home.call(0, "run report r --journal runs");
    assert!(report.contains(" created") && !report.contains("without an outcome"), "{report}");
    let said = home.call(0, "run resume r --journal runs");
    assert!(said.contains(&format!("{ROWS} rows: {ROWS} created")), "{said}");
}

#[test]
fn a_second_interrupt_ends_at_once_and_the_run_goes_on_later() {
    let home = Home::start();
    table(&home);
    input(&home, 200, &[]);
    let tap = Tap::before(home.url(), Some("CreateMultiple"));
    let mut command =
        home.command("set new_crate in.csv --create-only -b 10 -j 2 --run r --journal runs");
    let mut child = command
        .env("SHEAF_URL", &tap.address)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    while !tap.lines.recv_timeout(PATIENCE).expect("a message leaves").contains("CreateMultiple") {}
    interrupt(child.id());
    let mut said = String::new();
    let mut out = std::io::BufReader::new(child.stderr.take().expect("piped"));
    while !said.contains("once more ends at once") {
        assert!(out.read_line(&mut said).expect("text") > 0, "{said}");
    }
    // Nobody answers: by itself it would wait for half a minute.
    assert_eq!(child.try_wait().expect("a child"), None);
    let since = now();
    interrupt(child.id());
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    let said = home.call(0, &format!("run resume r --journal runs --url {}", home.url()));
    assert!(said.contains("200 rows: 200 created"), "{said}");
}

fn interrupt(id: u32) {
    let killed = std::process::Command::new("kill").args(["-INT", &id.to_string()]).status();
    assert!(killed.expect("kill runs").success());
}

#[test]
fn exit_codes_tell_how_a_run_ended() {
    let home = Home::start();
    table(&home);
    input(&home, 200, &(0..40).collect::<Vec<_>>());
    home.call(4, "set new_crate in.csv --create-only -b 10 -j 1 --max-errors 5");
    home.call(4, "set new_crate in.csv --create-only -b 10 -j 1 --fail-fast");
    home.call(4, "set new_crate in.csv --create-only -b 10 -j 1 --max-errors 10%");
    home.call(1, "set new_crate in.csv --upsert --match-on Code --max-errors 50%");
    home.call(2, "set new_nothing in.csv");
    home.call(2, "set new_crate nothing.csv");
    let mut file = fs::File::create(home.path("ok.csv")).expect("a file");
    writeln!(file, "Code,Label\nZ-1,z").expect("written");
    home.call(0, "set new_crate ok.csv --create-only");
}

#[test]
fn what_if_writes_nothing() {
    let home = Home::start();
    table(&home);
    input(&home, 300, &[5]);
    for width in ["1", "8"] {
        for size in ["1", "100"] {
            let line = format!("set new_crate in.csv --create-only -n -j {width} -b {size}");
            let said = home.call(1, &line);
            assert!(said.contains("set would be: 300 rows: 299 created, 1 failed"), "{said}");
        }
    }
    home.call(0, "get new_crate --headers logical -o none.csv");
    let text = fs::read_to_string(home.path("none.csv")).expect("written");
    assert_eq!(text.lines().count(), 1, "{text}");
    home.call(1, "set new_crate in.csv --create-only");
    home.call(0, "get new_crate --headers logical -o all.csv");
    for size in ["1", "100"] {
        let said = home.call(0, &format!("remove new_crate all.csv --what-if -b {size} -j 8"));
        assert!(said.contains("remove would be: 299 rows: 299 deleted"), "{said}");
    }
    home.call(0, "get new_crate --headers logical -o still.csv");
    let text = fs::read_to_string(home.path("still.csv")).expect("written");
    assert_eq!(text.lines().count(), 300);
    let said = home.call(0, "remove new_crate all.csv -y -b 100 -j 4");
    assert!(said.contains("299 rows: 299 deleted") && said.contains("requests"), "{said}");
}

#[test]
fn rows_of_a_stream_go_without_a_journal_unless_the_call_itself_asks_for_one() {
    let home = Home::start();
    table(&home);
    input(&home, 10, &[]);
    let piped = |flags: &str| {
        let rows = fs::File::open(home.path("in.csv")).expect("written");
        let call = format!("set new_crate - --create-only --format csv {flags}");
        let mut command = home.command(&call);
        command.env("SHEAF_RUNS", home.path("usual")).stdin(rows);
        command.output().expect("it runs")
    };
    for flag in ["--run r", "--journal other"] {
        let output = piped(flag);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let name = flag.split(' ').next().expect("a name");
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(&format!("`{name}` needs an input that can be read again")),
            "{said}"
        );
    }
    let output = piped("");
    assert!(output.status.success(), "{output:?}");
    assert!(!home.path("usual").exists());
}
