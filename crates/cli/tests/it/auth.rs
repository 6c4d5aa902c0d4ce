//! `sheaf auth` and what calls do with profiles, against a real service and its own issuer.

#![cfg(unix)]

use crate::home::{BINARY, Home, said};
use std::fs;
use std::process::{Command, Output};

/// An application user of a home's service.
struct User {
    client_id: String,
    secret: String,
}

/// A service that lets nobody in without a token, and its users.
fn guarded(names: &[&str]) -> (Home, Vec<User>) {
    let mut users = Vec::new();
    let home = Home::start_guarded(|data| {
        for name in names {
            let added = Command::new(BINARY)
                .args(["user", "add", name, "--data"])
                .arg(data)
                .output()
                .expect("it runs");
            let text = String::from_utf8_lossy(&added.stdout).into_owned();
            let of = |name: &str| {
                let line = text.lines().find(|line| line.starts_with(name)).expect("a line");
                line.split_whitespace().last().expect("a word").to_owned()
            };
            users.push(User { client_id: of("client id"), secret: of("secret   ") });
        }
    });
    (home, users)
}

/// A call that finds its service by profiles alone.
fn command(home: &Home, line: &str) -> Command {
    let mut command = home.command(line);
    command.env_remove("SHEAF_URL").env_remove("SHEAF_CLIENT_SECRET");
    command
}

fn call(home: &Home, want: i32, line: &str) -> String {
    ended(&command(home, line).output().expect("it runs"), want, line)
}

fn ended(output: &Output, want: i32, line: &str) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(want), "sheaf {line}: {said}");
    said
}

fn log_in(home: &Home, user: &User, want: i32, line: &str) -> String {
    let line = format!("auth login {line} --client-id {}", user.client_id);
    let mut command = command(home, &line);
    command.env("SHEAF_CLIENT_SECRET", &user.secret);
    ended(&command.output().expect("it runs"), want, &line)
}

/// Every file below the home, but for the service's own.
fn texts(home: &Home) -> String {
    fn walk(path: &std::path::Path, all: &mut String) {
        for entry in fs::read_dir(path).expect("a list") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if !path.ends_with("data") && !path.ends_with("secrets") {
                    walk(&path, all);
                }
            } else {
                all.push_str(&String::from_utf8_lossy(&fs::read(&path).expect("it is read")));
            }
        }
    }
    let mut all = String::new();
    walk(&home.path(""), &mut all);
    all
}

#[test]
fn a_profile_is_made_tried_used_and_removed_and_its_secret_is_shown_nowhere() {
    let (home, users) = guarded(&["loader"]);
    let (user, url) = (&users[0], home.url());
    let text = log_in(&home, user, 0, &format!("work --url {url} --keep-in file"));
    assert!(said(&text).starts_with(&format!("work: {url} as user ")), "{text}");
    let mut all = text;
    // The first one counts where nothing is said.
    all += &call(&home, 0, "table list");
    all += &call(&home, 0, "auth list");
    assert!(all.contains("client-secret") && all.contains(&user.client_id), "{all}");
    all += &call(&home, 0, "auth list --json");
    all += &call(&home, 0, "auth test");
    fs::write(home.path("in.csv"), "lastname\nAda\nGrace\n").expect("written");
    all += &call(&home, 0, "set contact in.csv --create-only --run r --journal runs");
    assert!(all.contains("2 created"), "{all}");
    let mut loud = command(&home, "get contact -o - -c lastname");
    loud.env("SHEAF_LOG", "trace");
    all += &ended(&loud.output().expect("it runs"), 0, "get");
    all += &call(&home, 0, "run report r --journal runs --json");
    // A run is gone on with as the profile that it began with.
    log_in(&home, user, 0, &format!("other --url {url} --keep-in file --use"));
    all += &call(&home, 0, "run resume r --journal runs");
    assert!(texts(&home).contains("\"work\""), "the run names its profile");
    for text in [&all, &texts(&home)] {
        assert!(!text.contains(&user.secret), "{text}");
        assert!(!text.contains("eyJ"), "no token either: {text}");
    }
    call(&home, 0, "auth use work");
    call(&home, 0, "auth logout work");
    let text = call(&home, 3, "table list");
    assert!(text.contains("`sheaf auth login work`"), "{text}");
    call(&home, 0, "auth remove work");
    let text = call(&home, 2, "table list -p work");
    assert!(text.contains("there is other"), "{text}");
    assert!(!home.path("config/secrets/work").exists());
}

#[test]
fn a_secret_comes_from_standard_input_or_from_a_variable_each_time() {
    let (home, users) = guarded(&["loader"]);
    let (user, url) = (&users[0], home.url());
    fs::write(home.path("typed"), format!("{}\n", user.secret)).expect("written");
    let line =
        format!("auth login a --url {url} --client-id {} --keep-in file:s/e", user.client_id);
    let mut typed = command(&home, &line);
    typed.stdin(fs::File::open(home.path("typed")).expect("it is there"));
    ended(&typed.output().expect("it runs"), 0, &line);
    assert_eq!(fs::read_to_string(home.path("s/e")).expect("kept"), user.secret);
    call(&home, 0, "auth test a");
    let line =
        format!("auth login b --url {url} --client-id {} --keep-in env:MINE", user.client_id);
    let text = call(&home, 3, &line);
    assert!(text.contains("`MINE` is not set") && text.contains("not kept"), "{text}");
    let with = |line: &str, want| {
        let mut command = command(&home, line);
        ended(&command.env("MINE", &user.secret).output().expect("it runs"), want, line)
    };
    with(&line, 0);
    with("auth test b", 0);
    with("auth login a", 2);
    call(&home, 3, "auth test b");
    // One that is no file of its owner's alone is not used.
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(home.path("s/e"), fs::Permissions::from_mode(0o644)).expect("changed");
    let text = call(&home, 3, "auth test a");
    assert!(text.contains("can be read by others"), "{text}");
}

#[test]
fn what_is_wrong_with_a_credential_is_said_with_what_to_do_next() {
    let (home, users) = guarded(&["loader"]);
    let (user, url) = (&users[0], home.url());
    let wrong = User { client_id: user.client_id.clone(), secret: "not-this-one".to_owned() };
    let text = log_in(&home, &wrong, 3, &format!("a --url {url} --keep-in file"));
    assert!(text.contains("not its id") && !text.contains("not-this-one"), "{text}");
    assert!(!home.path("config/profiles.json").exists() && !home.path("config/secrets/a").exists());
    let stranger = User {
        client_id: "11111111-2222-3333-4444-555555555555".to_owned(),
        secret: user.secret.clone(),
    };
    let text = log_in(&home, &stranger, 3, &format!("a --url {url} --keep-in file"));
    assert!(text.contains("--client-id and at --tenant"), "{text}");
    let away =
        format!("a --url {url} --keep-in file --token-url http://127.0.0.1:9/t/oauth2/v2.0/token");
    let text = log_in(&home, user, 3, &away);
    assert!(text.contains("nobody gives a token") && text.contains("127.0.0.1:9"), "{text}");
    let text = log_in(&home, user, 3, &format!("a --url {url} --device-code --keep-in file"));
    assert!(text.contains("use a client secret"), "{text}");
    let text = log_in(&home, user, 7, "a --url http://127.0.0.1:9 --keep-in file");
    assert!(text.contains("is it running"), "{text}");
    let text = call(&home, 3, &format!("table list --url {url}"));
    assert!(text.contains("sheaf auth login"), "{text}");
    let text = call(&home, 2, &format!("auth login a --url {url} --tenant t --no-test"));
    assert!(text.contains("`--tenant` go with `--client-id`"), "{text}");
    let text = call(&home, 3, &format!("table list --url {url} --token nonsense"));
    assert!(text.contains("is not renewed") && !text.contains("nonsense"), "{text}");
    assert!(text.contains("warning: other users"), "{text}");
    assert!(!texts(&home).contains(&user.secret));
}

#[test]
fn several_profiles_share_a_load_and_are_refused_where_they_make_no_sense() {
    let (home, users) = guarded(&["one", "two"]);
    let url = home.url();
    for (name, user) in ["a", "b"].iter().zip(&users) {
        log_in(&home, user, 0, &format!("{name} --url {url} --keep-in file"));
    }
    let rows: String = (0..400).map(|number| format!("Ada {number}\n")).collect();
    fs::write(home.path("in.csv"), format!("lastname\n{rows}")).expect("written");
    let text = call(&home, 0, "set contact in.csv --create-only -b 10 -j 4 -p a,b");
    assert!(text.contains("400 created"), "{text}");
    let requests = |name: &str| -> u64 {
        let line =
            text.lines().find(|line| line.contains(&format!("as `{name}`"))).expect("a line");
        line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).expect("a number")
    };
    assert_eq!(requests("a") + requests("b"), 40, "{text}");
    assert!(requests("a") >= 10 && requests("b") >= 10, "{text}");
    // Each row was written as one of the two.
    let read = call(&home, 0, "get contact -o - -c createdby --format csv -p a");
    let creators: std::collections::BTreeSet<_> = read.lines().skip(1).collect();
    assert!(creators.len() >= 2, "{creators:?}");
    let text = call(
        &home,
        0,
        "remove contact --filter {\"lastname\":{\"operator\":\"begins-with\",\"value\":\"Ada\"}} --yes -p a -p b",
    );
    assert!(text.contains("400 deleted"), "{text}");
    let text = call(&home, 2, "get contact -p a,b");
    assert!(text.contains("give one `--profile`"), "{text}");
    let text = call(&home, 2, "set contact in.csv --create-only -j 1 -p a,b");
    assert!(text.contains("-j 1"), "{text}");
    let text = call(&home, 2, "set contact in.csv --create-only -p a,a");
    assert!(text.contains("named twice"), "{text}");
}

#[test]
fn identities_of_different_organizations_do_not_share_a_load() {
    let (home, other) = (Home::start(), Home::start());
    call(&home, 0, &format!("auth login a --url {}", home.url()));
    call(&home, 0, &format!("auth login b --url {}", other.url()));
    fs::write(home.path("in.csv"), "lastname\nAda\n").expect("written");
    let text = call(&home, 2, "set contact in.csv --create-only -p a,b");
    assert!(text.contains("different organizations"), "{text}");
}

#[test]
fn commands_of_parallel_get_a_token_that_stays_fresh_and_no_secret() {
    let (home, users) = guarded(&["one", "two"]);
    let url = home.url();
    for (name, user) in ["a", "b"].iter().zip(&users) {
        log_in(&home, user, 0, &format!("{name} --url {url} --keep-in file"));
    }
    let program = std::path::Path::new(BINARY).parent().expect("it is in a directory");
    let path = std::env::var("PATH").expect("there is one");
    let rows: String =
        (0..40).map(|number| format!("{{\"lastname\":\"Ada {number}\"}}\n")).collect();
    fs::write(home.path("in.ndjson"), rows).expect("written");
    let run = |line: &str, script: &str, input: &str| {
        let mut command = command(&home, line);
        command
            .args(["--", "sh", "-c", script])
            .env("PATH", format!("{}:{path}", program.display()))
            .stdin(fs::File::open(home.path(input)).expect("it is there"));
        ended(&command.output().expect("it runs"), 0, line)
    };
    // What a command finds, and that a token in a file counts before one that may have ended.
    let script = "env | grep ^SHEAF_ | sed s/=.*//; stat -c %a $SHEAF_TOKEN_FILE; \
                  SHEAF_TOKEN=ended sheaf set contact --create-only";
    let text = run("parallel --chunk-size 10 -p a,b", script, "in.ndjson");
    assert_eq!(text.matches("10 created").count(), 4, "{text}");
    assert_eq!(text.lines().filter(|line| *line == "600").count(), 4, "{text}");
    for name in ["SHEAF_URL", "SHEAF_TOKEN", "SHEAF_TOKEN_FILE", "SHEAF_CHUNK"] {
        assert_eq!(text.lines().filter(|line| *line == name).count(), 4, "{name}: {text}");
    }
    for name in ["SECRET", "CLIENT_ID", "SHEAF_PROFILE"] {
        assert!(!text.contains(name), "{text}");
    }
    let read = call(&home, 0, "get contact -o - -c createdby --format csv -p a");
    let creators: std::collections::BTreeSet<_> = read.lines().skip(1).collect();
    assert!(creators.len() >= 2, "chunks are dealt out: {creators:?}");
    // Nothing is left behind.
    let text = run("parallel --chunk-size 40 -p a", "echo $SHEAF_TOKEN_FILE", "in.ndjson");
    let file = text.lines().find(|line| line.contains("token-")).expect("a file");
    assert!(!std::path::Path::new(file).exists());
}
