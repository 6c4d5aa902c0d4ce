//! `--confirm` at a terminal, which `script` of util-linux imitates.

use crate::home::{BINARY, Home};
use crate::tap::Tap;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

fn crates() -> Home {
    let home = Home::start();
    let rows: Vec<String> = (1..=9).map(|number| format!("C-{number},{number}\n")).collect();
    fs::write(home.path("in.csv"), format!("Code,Weight\n{}", rows.concat())).expect("written");
    home.call(0, "table create new_crate --from in.csv --key Code");
    home
}

/// Makes a call at a terminal where somebody types; answers its exit code and what stood there.
fn at_terminal(home: &Home, url: &str, line: &str, typed: &str) -> (i32, String) {
    let mut child = Command::new("script")
        .args(["-qec", &format!("{BINARY} {line}"), "/dev/null"])
        .env("SHEAF_URL", url)
        .env("SHEAF_CONFIG", home.path("config"))
        .env_remove("SHEAF_RUNS")
        .env_remove("SHEAF_PROFILE")
        .current_dir(home.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`script` is there");
    let mut keys = child.stdin.take().expect("a pipe");
    keys.write_all(typed.as_bytes()).expect("typed");
    keys.flush().expect("typed");
    let output = child.wait_with_output().expect("it ends");
    drop(keys);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().expect("a code"), said)
}

#[test]
fn a_no_at_the_terminal_writes_nothing() {
    let home = crates();
    let tap = Tap::before(home.url(), None);
    let line = "set new_crate in.csv --confirm -b 3";
    let (code, said) = at_terminal(&home, &tap.address, line, "no\nn\nNo\n");
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("create 3 rows of table `new_crate` (line 2, line 3, line 4)?"),
        "{said}"
    );
    assert!(said.contains("9 rows: 9 skipped"), "{said}");
    assert_eq!(tap.seen("POST "), Vec::<String>::new());
    assert!(home.call(0, "get new_crate --count").starts_with("0"));
    // One batch, then all that come; something else is asked about again.
    let (code, said) = at_terminal(&home, &tap.address, line, "n\nperhaps\na\n");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("9 rows: 6 created, 3 skipped"), "{said}");
    assert_eq!(tap.seen("POST ").len(), 2);
    // `remove` asks for each batch instead of once.
    let line = "remove new_crate --filter new_weight^gt^0 -i -b 4".replace('^', "\\ ");
    let (code, said) = at_terminal(&home, &tap.address, &line, "n\ny\n");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("delete 4 rows of table `new_crate` ("), "{said}");
    assert!(said.contains("6 rows: 4 skipped, 2 deleted"), "{said}");
    assert!(home.call(0, "get new_crate --count").starts_with("4"));
}

#[test]
fn who_quits_at_the_terminal_may_go_on_later() {
    let home = crates();
    let line = "set new_crate in.csv -i -b 3 --run a --journal runs";
    let (code, said) = at_terminal(&home, home.url(), line, "y\nq\n");
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("3 created, 6 not attempted"), "{said}");
    let (code, said) = at_terminal(&home, home.url(), "run resume a --journal runs", "a\n");
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("9 rows: 9 created"), "{said}");
}

#[test]
fn without_a_terminal_nobody_is_asked_and_nothing_is_sent() {
    let home = crates();
    let tap = Tap::before(home.url(), None);
    for line in ["set new_crate in.csv -i", "remove new_crate --filter new_weight^gt^0 --confirm"] {
        let said = home.call(2, &format!("{line} --url {}", tap.address));
        assert!(said.contains("`--confirm` needs a terminal"), "{said}");
    }
    assert_eq!(tap.seen("HTTP"), Vec::<String>::new());
    // Where nothing is written there is nothing to ask about.
    home.call(0, "set new_crate in.csv -i -n");
    let line = "remove new_crate --filter {\"new_weight\":1} -i --via job";
    let said = home.call(2, line);
    assert!(said.contains("`--confirm` does not go with `--via job`"), "{said}");
}
