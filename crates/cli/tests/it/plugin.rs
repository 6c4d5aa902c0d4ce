//! `sheaf plugin`: from a compiled module to a step that runs, against a real service.

use crate::home::Home;
use serde_json::Value;
use std::fs;

fn home() -> Home {
    home_with("", "")
}

/// A service with more of the configuration's section, and with these limits.
fn home_with(plugins: &str, limits: &str) -> Home {
    let config = format!("[plugins]\ncache = {:?}\n{plugins}", testkit::guests::CACHE);
    let home = Home::start_with(&config, limits);
    let module = testkit::guests::path("contacts").expect("the guests can be built");
    fs::copy(module, home.path("contacts.wasm")).expect("copied");
    home
}

/// What a call writes to standard output, as JSON.
fn json(home: &Home, line: &str) -> Value {
    let output = home.command(line).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(0), "sheaf {line}: {}", text(&output.stderr));
    serde_json::from_str(&text(&output.stdout)).expect("JSON")
}

fn last_names(home: &Home) -> Vec<String> {
    home.call(0, "get contact --headers logical -c lastname -o rows.csv");
    let text = fs::read_to_string(home.path("rows.csv")).expect("written");
    let mut names: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
    names.sort();
    names
}

const NORMALIZE: &str = "examples.contacts.normalize_names";

#[test]
fn a_compiled_module_becomes_a_step_that_runs_and_can_be_stopped() {
    let home = home();
    let said = home.call(0, "plugin push contacts.wasm");
    assert!(said.contains(NORMALIZE) && said.contains("created assembly contacts"), "{said}");
    let line =
        format!("plugin step add --type {NORMALIZE} --message CreateMultiple --table Contact");
    let said = home.call(0, &line);
    let id = said.lines().next().expect("an id").to_owned();
    assert_eq!(id.len(), 36, "{said}");
    fs::write(home.path("in.csv"), "lastname\nHOPPER\nMcDonald\n").expect("written");
    home.call(0, "set contact in.csv --create-only");
    assert_eq!(last_names(&home), ["Hopper", "McDonald"]);
    let step = format!("{NORMALIZE}:^CreateMultiple^of^contact");
    let said = home.call(0, &format!("plugin step disable {step}"));
    assert!(said.contains("is disabled"), "{said}");
    fs::write(home.path("in.csv"), "lastname\nZUSE\n").expect("written");
    home.call(0, "set contact in.csv --create-only");
    assert_eq!(last_names(&home), ["Hopper", "McDonald", "ZUSE"]);
    let said = home.call(0, "plugin list");
    assert!(said.contains("disabled") && said.contains("pre-operation"), "{said}");
    assert_eq!(json(&home, &format!("plugin step enable {id} --json"))["enabled"], true);
    home.call(0, "set contact in.csv --create-only");
    assert_eq!(last_names(&home), ["Hopper", "McDonald", "ZUSE", "Zuse"]);
    home.call(0, &format!("plugin step remove {id}"));
    home.call(2, &format!("plugin step enable {step}"));
    assert_eq!(json(&home, "plugin list --json")["steps"], serde_json::json!([]));
}

#[test]
fn a_push_changes_what_is_there_and_removes_types_only_when_told() {
    let home = home();
    let first = json(&home, "plugin push contacts.wasm --name Ship --json");
    assert_eq!(
        (&first["created"], first["types"].as_array().map(Vec::len)),
        (&true.into(), Some(4))
    );
    let again =
        json(&home, "plugin push contacts.wasm --name Ship --assembly-version 1.0.7.0 --json");
    assert_eq!((&again["created"], &again["assembly"]), (&false.into(), &first["assembly"]));
    assert_eq!(again["types"][0]["id"], first["types"][0]["id"]);
    let listed = json(&home, "plugin list --json");
    assert_eq!(listed["assemblies"][0]["version"], "1.0.7.0");
    assert_eq!(listed["assemblies"][0]["types"].as_array().map(Vec::len), Some(4));
    // Another plug-in under the name: its types are others.
    let other = testkit::guests::path("unruly").expect("the guests can be built");
    fs::copy(other, home.path("unruly.wasm")).expect("copied");
    home.call(0, &format!("plugin step add --type {NORMALIZE} --message Create --table contact"));
    let said = home.call(2, "plugin push unruly.wasm --name Ship");
    assert!(said.contains("no longer offers") && said.contains("--prune"), "{said}");
    // A type with a step stays, and so does everything else.
    let said = home.call(1, "plugin push unruly.wasm --name Ship --prune");
    assert!(said.contains("0x80040227"), "{said}");
    home.call(0, &format!("plugin step remove {NORMALIZE}:^Create^of^contact"));
    let pruned = json(&home, "plugin push unruly.wasm --name Ship --prune --json");
    assert_eq!(pruned["types"][0]["name"], "unruly");
    // What is no plug-in is told before anything is sent.
    fs::write(home.path("bad.wasm"), "hello").expect("written");
    let said = home.call(2, "plugin push bad.wasm");
    assert!(said.contains("it is no component"), "{said}");
    home.call(2, "plugin push missing.wasm");
}

#[test]
fn a_step_that_cannot_be_registered_leaves_nothing() {
    let home = home();
    home.call(0, "plugin push contacts.wasm");
    let add = format!("plugin step add --type {NORMALIZE} --table contact");
    home.call(2, "plugin step add --type no.such --message Create --table contact");
    home.call(2, &format!("{add} --message NoSuchMessage"));
    let said = home.call(1, &format!("{add} --message Create --image pre"));
    assert!(said.contains("0x8004416d"), "{said}");
    let said = home.call(1, &format!("{add} --message Update --filter no_such"));
    assert!(said.contains("0x80044170") && said.contains("no_such"), "{said}");
    assert_eq!(json(&home, "plugin list --json")["steps"], serde_json::json!([]));
}

#[test]
fn the_plan_of_a_message_says_what_runs_and_what_waits_for_other_columns() {
    let home = home();
    home.call(0, "plugin push contacts.wasm");
    let add = format!("plugin step add --type {NORMALIZE} --table contact");
    let image = "--image pre:before=lastname --stage post-operation";
    home.call(0, &format!("{add} --message UpdateMultiple --name bulk {image}"));
    home.call(0, &format!("{add} --message Update --name names --filter lastname --rank 7"));
    let said = home.call(0, "plugin explain UpdateMultiple Contact --targets 100");
    assert!(said.starts_with("UpdateMultiple of contact, 100 targets"), "{said}");
    assert!(
        said.contains("once with 100:\n    1 UpdateMultiple \"bulk\" pre before(lastname)"),
        "{said}"
    );
    assert!(said.contains("for each of 100:\n    7 Update \"names\" if lastname"), "{said}");
    let line = "plugin explain UpdateMultiple contact --columns firstname";
    let said = home.call(0, line);
    assert!(said.contains("left out") && !said.contains("for each of"), "{said}");
    let plans = json(&home, &format!("{line} --json"));
    let due: Vec<&Value> =
        plans[0]["Steps"].as_array().expect("steps").iter().map(|step| &step["IsDue"]).collect();
    assert_eq!(due, [&Value::Bool(false), &Value::Bool(true)]);
    assert_eq!(plans[0]["Steps"][0]["Handler"], NORMALIZE);
    // An Upsert is planned as both that it may be.
    let said = home.call(0, "plugin explain Upsert contact");
    assert!(said.contains("Create of contact") && said.contains("Update of contact"), "{said}");
    home.call(1, "plugin explain UpdateMultiple contact --columns no_such");
    home.call(1, "plugin explain Update contact --targets 5");
    home.call(1, "plugin explain Nothing contact");
}

#[test]
fn what_a_plug_in_has_traced_is_shown_where_the_organization_keeps_it() {
    let home = home();
    home.call(0, "plugin push contacts.wasm");
    let of_type = "examples.contacts.require_last_name";
    home.call(0, &format!("plugin step add --type {of_type} --message Create --table contact"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let api = home.api();
    runtime.expect("a runtime").block_on(async {
        let answer = api.get("organizations?$select=organizationid").await.expect("it answers");
        let found = answer.expect(200).expect("one row");
        let id = found["value"][0]["organizationid"].as_str().expect("an id").to_owned();
        let path = format!("organizations({id})");
        let answer = api.patch(&path, r#"{"plugintracelogsetting":1}"#).await.expect("it answers");
        assert_eq!(answer.status, 204);
        let answer = api.post("contacts", r#"{"firstname":"No"}"#).await.expect("it answers");
        assert_eq!(answer.status, 400);
    });
    let said = home.call(0, "plugin trace --failed");
    assert!(said.contains(&format!("{of_type} Create of contact")), "{said}");
    assert!(said.contains("target 0 has no last name"), "{said}");
    let row = json(&home, &format!("plugin trace --type {of_type} --top 1 --json"));
    let correlation = row["correlationid"].as_str().expect("an id").to_owned();
    let said = home.call(0, &format!("plugin trace --correlation {correlation}"));
    assert!(said.contains(of_type), "{said}");
    let said = home.call(0, "plugin trace --type no.such");
    assert!(said.contains("nothing was traced"), "{said}");
    home.call(2, "plugin trace --correlation x");
}

/// What a process holds: open files, threads, and memory in KiB.
#[cfg(target_os = "linux")]
fn held(process: u32) -> (usize, usize, u64) {
    let count =
        |what: &str| fs::read_dir(format!("/proc/{process}/{what}")).expect("it runs").count();
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let resident = status.lines().find(|line| line.starts_with("VmRSS")).expect("on Linux");
    let digits = resident.chars().filter(char::is_ascii_digit);
    (count("fd"), count("task"), digits.collect::<String>().parse().expect("a number"))
}

#[cfg(target_os = "linux")]
#[test]
fn a_thousand_guests_that_fail_leave_nothing_behind() {
    // Each fails in its own way; a loop costs its whole time, so there are fewer of them. The first one waits for its
    // component, too, which on a busy machine is a matter of seconds.
    const WAYS: [(&str, &str); 8] = [
        ("panic", "0x8004418d"),
        ("bounds", "0x8004418d"),
        ("stack", "0x8004418d"),
        ("allocate", "0x8004418d"),
        ("garbage row", "0x8004418d"),
        ("garbage utf8", "0x8004418d"),
        ("nest 99", "0x80044182"),
        ("refuse no", "0x80040265"),
    ];
    let home = home_with(
        "memory_bytes = 24_000_000\n",
        "step_seconds = 15\nrequests = 0\nexecution_seconds = 0\n",
    );
    let module = testkit::guests::path("unruly").expect("the guests can be built");
    fs::copy(module, home.path("unruly.wasm")).expect("copied");
    home.call(0, "plugin push unruly.wasm");
    let said = home.call(0, "plugin step add --type unruly --message Create --table contact");
    let step = said.lines().next().expect("an id").to_owned();
    let api = home.api();
    let fails = async |what: &str, code: &str, times: usize| {
        let path = format!("sdkmessageprocessingsteps({step})");
        let row = serde_json::json!({"configuration": what}).to_string();
        let answer = api.patch(&path, row).await.expect("it answers");
        assert_eq!(answer.status, 204);
        for _ in 0..times {
            let answer = api.post("contacts", r#"{"lastname":"x"}"#).await.expect("it answers");
            let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
            assert_eq!(body["error"]["code"], code, "{what}: {body}");
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let round = async |times: usize| {
            for (what, code) in WAYS {
                fails(what, code, times).await;
            }
            fails("loop", "0x80081111", 1).await;
        };
        round(30).await;
        let (files, threads, memory) = held(home.process());
        round(125).await;
        let after = held(home.process());
        assert!(after.0 <= files + 2, "files: {files}, then {}", after.0);
        assert!(after.1 <= threads + 2, "threads: {threads}, then {}", after.1);
        assert!(after.2 <= memory + 24 * 1024, "KiB of memory: {memory}, then {}", after.2);
        fails("idle", "", 0).await;
        let answer = api.post("contacts", r#"{"lastname":"fine"}"#).await.expect("it answers");
        assert_eq!(answer.status, 204);
    });
    assert_eq!(last_names(&home), ["fine"]);
}
