//! One script of client calls on every pair of engines: what is printed, written and answered is equal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use testkit::postgres::Cluster;
use testkit::service::{Options, Service, Store};

/// The program under test, built with this test.
const BINARY: &str = env!("CARGO_BIN_EXE_sheaf");

/// Input files by name.
const FILES: [(&str, &str); 7] = [
    (
        "crates.csv",
        "Code,Label,Weight,Seen At\nC-1,one,1,2025-01-01T00:00:00Z\nC-2,\"two, and\",2,\nC-3,three,,2025-01-03T00:00:00Z\n",
    ),
    ("crates-changed.csv", "Code,Label,Weight\nC-2,second,20\nC-4,fourth,4\n"),
    ("crates-gone.csv", "new_crateid\n9a111111-0000-4000-8000-0000000000ff\n"),
    ("pings.csv", "Source,Value,Seen At\na,1,2025-01-01T00:00:00Z\nb,2,\n"),
    (
        "pings-keyed.csv",
        "new_pingid,partitionid,new_source,new_value\n\
         9a111111-0000-4000-8000-000000000001,p,a,1\n\
         9a111111-0000-4000-8000-000000000001,q,b,2\n\
         9a111111-0000-4000-8000-000000000002,,c,3\n\
         9a111111-0000-4000-8000-000000000003,p,d,4\n",
    ),
    (
        "pings-changed.csv",
        "new_pingid,partitionid,new_value\n\
         9a111111-0000-4000-8000-000000000001,q,20\n\
         9a111111-0000-4000-8000-000000000004,q,40\n",
    ),
    (
        "pings-gone.csv",
        "new_pingid,partitionid\n\
         9a111111-0000-4000-8000-000000000002,\n\
         9a111111-0000-4000-8000-000000000001,p\n\
         9a111111-0000-4000-8000-0000000000ff,p\n",
    ),
];

/// Calls of `sheaf`, in order; `>` stands for a file that is read afterwards, and the number is the exit
/// code that must come.
const SCRIPT: [(i32, &str); 20] = [
    (0, "table create new_crate --from crates.csv --key Code"),
    (0, "table show new_crate"),
    (0, "set new_crate crates.csv --create-only"),
    (1, "set new_crate crates.csv --create-only --rejects >rejects.csv"),
    (0, "set new_crate crates-changed.csv --match-on Code"),
    (0, "get new_crate -c new_code,new_label,new_weight,new_seen_at --sort new_code -o >out.csv"),
    (0, "get new_crate -c new_label --filter new_weight%gt%3 --sort new_label- -o >out.ndjson"),
    (1, "remove new_crate crates-gone.csv -y"),
    (0, "remove new_crate crates-gone.csv -y --if-exists"),
    (0, "remove new_crate -y --filter new_weight%gt%3"),
    (0, "get new_crate -c new_code --sort new_code -o >out.csv"),
    (0, "table create new_ping --from pings.csv --elastic"),
    (0, "table show new_ping"),
    (0, "set new_ping pings-keyed.csv --create-only"),
    (1, "set new_ping pings-keyed.csv --create-only --rejects >rejects.csv"),
    (0, "set new_ping pings-changed.csv --upsert"),
    (0, "get new_ping --headers logical -o >out.csv"),
    (0, "remove new_ping pings-gone.csv -y --if-exists"),
    (0, "remove new_ping -y --filter new_value%gt%30"),
    (0, "get new_ping --headers logical -o >out.csv"),
];

/// Plays the script; answers what every call said and wrote.
fn play(store: Store, arguments: &[&str]) -> String {
    let home = TempDir::new().expect("a temporary directory");
    for (name, text) in FILES {
        fs::write(home.path().join(name), text).expect("a file can be written");
    }
    let options = Options {
        binary: PathBuf::from(BINARY),
        store,
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        log: home.path().join("log"),
    };
    let service = Service::start(options).expect("it starts");
    let mut told = String::new();
    for (want, line) in SCRIPT {
        let said = call(home.path(), service.url(), want, line);
        told.push_str(&said);
    }
    service.stop().expect("an orderly end");
    told
}

fn call(home: &Path, url: &str, want: i32, line: &str) -> String {
    let mut written = None;
    let arguments: Vec<String> = line
        .split(' ')
        .map(|word| {
            if let Some(file) = word.strip_prefix('>') {
                written = Some(home.join(file));
            }
            word.trim_start_matches('>').replace('%', " ")
        })
        .collect();
    let output = Command::new(BINARY)
        .args(&arguments)
        .args(["--url", url])
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), without_times(&text(&output.stderr)));
    assert_eq!(output.status.code(), Some(want), "sheaf {line}: {out}{err}");
    let file = written.map(|file| fs::read_to_string(file).expect("it was written"));
    format!("$ sheaf {line}\n{out}{err}{}\n", file.unwrap_or_default())
}

/// How long it took differs from run to run, and how many requests it took may.
fn without_times(text: &str) -> String {
    let line =
        |line: &str| line.split_once(" in ").map_or(line, |(before, _)| before).to_owned() + "\n";
    text.lines().map(line).collect()
}

#[test]
fn the_same_script_gives_the_same_results_on_all_engines() {
    let home = TempDir::new().expect("a temporary directory");
    let cluster = Cluster::shared().expect("PostgreSQL runs");
    let database = || cluster.create_database("script").expect("a database can be made");
    let embedded = play(Store::Data(home.path().join("a")), &[]);
    let last = embedded.rsplit_once("$ sheaf").map(|(_, last)| last).expect("calls");
    assert!(last.contains("9a111111-0000-4000-8000-000000000001,,20,,q"), "{embedded}");
    assert!(last.contains("9a111111-0000-4000-8000-000000000003,d,4,,p"), "{embedded}");
    assert_eq!(last.matches("9a111111").count(), 2, "{embedded}");
    assert_eq!(play(Store::Postgres(database()), &[]), embedded);
    let mixed = play(Store::Data(home.path().join("b")), &["--elastic-store", &database()]);
    assert_eq!(mixed, embedded);
}
