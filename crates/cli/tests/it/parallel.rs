//! `sheaf parallel`: chunks of rows to commands, against a real service.

#![cfg(unix)]

use crate::home::{BINARY, Home};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A shell in the home's directory that finds `sheaf` and the service.
fn shell(home: &Home, script: &str) -> Command {
    let program = Path::new(BINARY).parent().expect("it is in a directory");
    let path = std::env::var("PATH").expect("there is one");
    let url = home.command("").get_envs().find_map(|(name, value)| {
        (name == "SHEAF_URL").then(|| value.expect("it is set").to_owned())
    });
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .env("PATH", format!("{}:{path}", program.display()))
        .env("SHEAF_URL", url.expect("the service has an address"))
        .current_dir(home.path(""))
        .stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ended(output: &Output, code: i32) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{}{said}", text(&output.stdout));
    said
}

/// So many numbered objects.
fn numbered(count: usize) -> String {
    (1..=count).map(|number| format!("{{\"n\":{number}}}\n")).collect()
}

#[test]
fn every_row_is_changed_once_by_a_whole_line_of_commands() {
    let home = Home::start();
    let rows: String = (0..1_000).map(|number| format!("Ada {number},old\n")).collect();
    fs::write(home.path("in.csv"), format!("lastname,jobtitle\n{rows}")).expect("written");
    home.call(0, "set contact in.csv --create-only");
    let line = "sheaf get contact --top 1000 | sheaf parallel --chunk-size 50 -j 8 -- \
                sh -c 'sed s/\\\"old\\\"/\\\"new\\\"/ | sheaf set contact --update-all-columns'";
    let output = shell(&home, line).output().expect("it runs");
    let said = ended(&output, 0);
    assert!(said.contains("1,000 rows in 20 chunks of 50: 20 well, 0 failed"), "{said}");
    // Each of the twenty commands says how many it has changed.
    let changed = said.lines().filter(|line| line.contains("50 updated")).count();
    assert_eq!(changed, 20, "{said}");
    let read = home.command("get contact -c lastname,jobtitle").output().expect("it runs");
    let mut rows: Vec<String> = text(&read.stdout).lines().skip(1).map(str::to_owned).collect();
    rows.sort_unstable();
    let mut want: Vec<String> = (0..1_000).map(|number| format!("Ada {number},new")).collect();
    want.sort_unstable();
    assert_eq!(rows, want);
}

#[test]
fn what_commands_write_comes_whole_and_in_order_if_wished() {
    let home = Home::start();
    fs::write(home.path("in.ndjson"), numbered(100)).expect("written");
    let slow = "parallel --input in.ndjson --chunk-size 7 -j 4 --ordered -- \
                sh -c 'if [ $SHEAF_CHUNK = 2 ]; then sleep 0.3; fi; cat'";
    let output = shell(&home, &format!("sheaf {slow}")).output().expect("it runs");
    ended(&output, 0);
    assert_eq!(text(&output.stdout), numbered(100));
    let free = "sheaf parallel --input in.ndjson --chunk-size 7 -j 4 -- cat";
    let output = shell(&home, free).output().expect("it runs");
    ended(&output, 0);
    let out = text(&output.stdout);
    let mut got: Vec<&str> = out.lines().collect();
    let all = numbered(100);
    let mut want: Vec<&str> = all.lines().collect();
    got.sort_unstable();
    want.sort_unstable();
    assert_eq!(got, want);
    // The last line of a command that does not end it.
    let open = "sheaf parallel --input in.ndjson --chunk-size 50 -- sh -c 'printf x'";
    let output = shell(&home, open).output().expect("it runs");
    assert_eq!(text(&output.stdout), "x\nx\n");
}

#[test]
fn rows_of_csv_are_objects_of_texts_without_empty_fields() {
    let home = Home::start();
    fs::write(home.path("in.csv"), "b,a\n1,\"x \"\"y\"\"\"\n,2\ntoo,many,fields\n")
        .expect("written");
    let output = shell(&home, "sheaf parallel --input in.csv -- cat").output().expect("it runs");
    let said = ended(&output, 1);
    assert_eq!(text(&output.stdout), "{\"b\":\"1\",\"a\":\"x \\\"y\\\"\"}\n{\"a\":\"2\"}\n");
    assert!(said.contains("in.csv:4: 3 fields under 2 headers"), "{said}");
}

#[test]
fn a_command_that_fails_fails_its_chunk_alone_and_its_rows_are_kept() {
    let home = Home::start();
    fs::write(home.path("in.ndjson"), numbered(40)).expect("written");
    let step = "sh -c 'if grep -q :15}; then echo no such thing >&2; exit 3; fi; echo well'";
    let line = format!(
        "sheaf parallel --input in.ndjson --chunk-size 10 -j 2 --rejects bad.ndjson -- {step}"
    );
    let output = shell(&home, &line).output().expect("it runs");
    let said = ended(&output, 1);
    assert_eq!(text(&output.stdout), "well\nwell\nwell\n");
    assert!(said.contains("chunk 2: no such thing"), "{said}");
    assert!(said.contains("chunk 2 (rows 11 to 20) failed: exit code 3; it said: no such thing"));
    assert!(said.contains("3 well, 1 failed, 0 not attempted"), "{said}");
    let kept = fs::read_to_string(home.path("bad.ndjson")).expect("it is there");
    let all = numbered(20);
    let want: String = all.lines().skip(10).map(|line| format!("{line}\n")).collect();
    assert_eq!(kept, want);
    let line = "sheaf parallel --input in.ndjson --chunk-size 10 -j 1 --max-errors 1 -- false";
    let said = ended(&shell(&home, line).output().expect("it runs"), 4);
    assert!(said.contains("0 well, 1 failed"), "{said}");
}

#[test]
fn output_comes_before_the_input_ends() {
    let home = Home::start();
    let mut command = shell(&home, "exec sheaf parallel --chunk-size 3 -j 2 -- cat");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for _ in 0..2 {
        input.write_all(numbered(3).as_bytes()).expect("it reads");
        for number in 1..=3 {
            let line = output.next().expect("a line").expect("it is text");
            assert_eq!(line, format!("{{\"n\":{number}}}"));
        }
    }
    drop(input);
    assert!(output.next().is_none());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn nothing_runs_without_rows_or_for_a_question() {
    let home = Home::start();
    let touch = "-- touch there";
    ended(&shell(&home, &format!("sheaf parallel {touch}")).output().expect("it runs"), 0);
    fs::write(home.path("in.ndjson"), numbered(101)).expect("written");
    let line = format!("sheaf parallel -n --input in.ndjson --chunk-size 20 {touch}");
    let said = ended(&shell(&home, &line).output().expect("it runs"), 0);
    assert!(said.contains("101 rows into 6 chunks") && said.contains("rows 1 to 20"), "{said}");
    assert!(!home.path("there").exists());
    let line = "sheaf parallel --input in.ndjson -- no-such-command-at-all";
    let said = ended(&shell(&home, line).output().expect("it runs"), 2);
    assert!(said.contains("cannot run `no-such-command-at-all`"), "{said}");
    ended(&shell(&home, "sheaf parallel --input none.csv -- cat").output().expect("it runs"), 2);
}

#[test]
fn an_interrupt_reaches_what_runs_and_no_further_chunk_starts() {
    let home = Home::start();
    fs::write(home.path("in.ndjson"), numbered(10)).expect("written");
    let script = "trap 'echo stopped >> told; exit 1' INT; echo begun >> told; \
                  while true; do sleep 0.05; done";
    fs::write(home.path("step.sh"), script).expect("written");
    let line = "exec sheaf parallel --input in.ndjson --chunk-size 2 -j 2 -- sh step.sh";
    let child = shell(&home, line).stderr(Stdio::piped()).spawn().expect("it runs");
    let told = || fs::read_to_string(home.path("told")).unwrap_or_default();
    while told().matches("begun").count() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().expect("it runs");
    assert!(sent.success());
    let said = ended(&child.wait_with_output().expect("it ends"), 5);
    assert!(said.contains("interrupted"), "{said}");
    assert_eq!(told().matches("stopped").count(), 2, "{}", told());
    assert_eq!(told().matches("begun").count(), 2, "{}", told());
}
