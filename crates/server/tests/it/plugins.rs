//! Plug-ins through the whole service: registered through the Web API, run by the host.

use crate::house::{Home, House};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use server::Options;
use std::sync::OnceLock;

mod elastic;
mod unruly;

/// A service whose compiled components are kept for all tests.
async fn house(home: Home) -> House {
    house_with(home, |_| {}).await
}

async fn house_with(home: Home, change: impl FnOnce(&mut Options)) -> House {
    let with_cache = |options: &mut Options| {
        options.config.plugins.cache = Some(testkit::guests::CACHE.into());
        change(options);
    };
    House::open_with(home, with_cache).await
}

/// The component of a guest, as rows of assemblies have it.
fn content(name: &str) -> String {
    static CONTENTS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    let place = usize::from(name == "unruly");
    let made = CONTENTS[place].get_or_init(|| {
        let module = testkit::guests::module(name).expect("the guests can be built");
        STANDARD.encode(plugin::componentize(&module).expect("it is of the world"))
    });
    made.clone()
}

/// A step to register.
struct Step<'a> {
    of_type: &'a str,
    message: &'a str,
    stage: i32,
    configuration: &'a str,
}

impl House {
    /// Creates a row that must be taken; answers its id.
    async fn made(&self, set: &str, row: &Value) -> String {
        let response = self.send(Method::POST, set, &row.to_string()).await;
        let status = response.status();
        let id = response.headers().get("odata-entityid").cloned();
        let text = response.text().await.expect("a whole body");
        assert_eq!(status, StatusCode::NO_CONTENT, "{set}: {text}");
        let id = id.expect("an address");
        id.to_str().expect("text").split(['(', ')']).nth(1).expect("an id").to_owned()
    }

    async fn one(&self, path: &str, column: &str) -> String {
        let (status, page) = self.json(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{page}");
        page["value"][0][column].as_str().expect("one row").to_owned()
    }

    async fn assembly(&self, name: &str) -> String {
        let row = json!({
            "name": name, "content": content(name), "version": "1.0.0.0", "culture": "neutral",
            "publickeytoken": "0000000000000000", "isolationmode": 2, "sourcetype": 0,
        });
        self.made("pluginassemblies", &row).await
    }

    async fn plugin_type(&self, assembly: &str, name: &str) -> String {
        let row = json!({
            "typename": name, "friendlyname": name, "name": name,
            "pluginassemblyid@odata.bind": format!("/pluginassemblies({assembly})"),
        });
        self.made("plugintypes", &row).await
    }

    /// Registers a step for contacts.
    async fn step(&self, of_type: &str, step: &Step<'_>) -> String {
        self.step_on(("contact", 0), of_type, step).await
    }

    /// Registers a step for a table, in a mode.
    async fn step_on(&self, (table, mode): (&str, i32), of_type: &str, step: &Step<'_>) -> String {
        let Step { message, stage, configuration, .. } = step;
        let path = format!("sdkmessages?$select=sdkmessageid&$filter=name eq '{message}'");
        let message_id = self.one(&path, "sdkmessageid").await;
        let path = format!(
            "sdkmessagefilters?$select=sdkmessagefilterid&$filter=sdkmessageid/name eq '{message}' \
             and primaryobjecttypecode eq '{table}'"
        );
        let filter = self.one(&path, "sdkmessagefilterid").await;
        let row = json!({
            "name": format!("{}: {message} of {table}", step.of_type), "stage": stage, "mode": mode,
            "rank": 1, "supporteddeployment": 0, "asyncautodelete": false,
            "configuration": configuration,
            "eventhandler_plugintype@odata.bind": format!("/plugintypes({of_type})"),
            "sdkmessageid@odata.bind": format!("/sdkmessages({message_id})"),
            "sdkmessagefilterid@odata.bind": format!("/sdkmessagefilters({filter})"),
        });
        self.made("sdkmessageprocessingsteps", &row).await
    }

    /// Registers an assembly, its type and a step of it.
    async fn plug_in(&self, assembly: &str, step: &Step<'_>) -> String {
        let assembly = self.assembly(assembly).await;
        let of_type = self.plugin_type(&assembly, step.of_type).await;
        self.step(&of_type, step).await
    }

    async fn create_contacts(&self, contacts: &[Value]) -> (StatusCode, Value) {
        let target = |contact: &Value| {
            let mut target = contact.clone();
            target["@odata.type"] = json!("Microsoft.Dynamics.CRM.contact");
            target
        };
        let targets: Vec<Value> = contacts.iter().map(target).collect();
        let path = "contacts/Microsoft.Dynamics.CRM.CreateMultiple";
        self.json(Method::POST, path, &json!({"Targets": targets}).to_string()).await
    }

    async fn contacts(&self) -> Vec<(String, String)> {
        let path = "contacts?$select=firstname,lastname&$orderby=lastname";
        let (status, page) = self.json(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let name = |row: &Value, column: &str| row[column].as_str().unwrap_or_default().to_owned();
        let rows = page["value"].as_array().expect("a page");
        rows.iter().map(|row| (name(row, "firstname"), name(row, "lastname"))).collect()
    }
}

const NORMALIZE: &str = "examples.contacts.normalize_names";
const REQUIRE: &str = "examples.contacts.require_last_name";

fn of<'a>(of_type: &'a str, message: &'a str, stage: i32) -> Step<'a> {
    Step { of_type, message, stage, configuration: "" }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_was_registered_over_the_wire_runs_with_the_next_message() {
    for home in Home::each() {
        let house = house(home).await;
        house.create_contacts(&[json!({"lastname": "before"})]).await;
        let step = house.plug_in("contacts", &of(NORMALIZE, "CreateMultiple", 20)).await;
        let (status, body) = house
            .create_contacts(&[
                json!({"firstname": "  ada  maria ", "lastname": "LOVELACE"}),
                json!({"lastname": "McDonald"}),
            ])
            .await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(body["Ids"].as_array().map(Vec::len), Some(2));
        // A single message raises the bulk event, too.
        house.made("contacts", &json!({"lastname": "HOPPER"})).await;
        let own = |name: &str| (String::new(), name.to_owned());
        let ada = ("Ada Maria".to_owned(), "Lovelace".to_owned());
        assert_eq!(house.contacts().await, [own("before"), own("Hopper"), ada, own("McDonald")]);
        let path = format!("sdkmessageprocessingsteps({step})");
        let (status, body) =
            house.json(Method::PATCH, &path, r#"{"statecode":1,"statuscode":2}"#).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
        house.made("contacts", &json!({"lastname": "ZUSE"})).await;
        assert!(house.contacts().await.contains(&own("ZUSE")), "a disabled step does not run");
        // What is registered is there after a start, and what was compiled, too.
        let (status, body) =
            house.json(Method::PATCH, &path, r#"{"statecode":0,"statuscode":1}"#).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
        let house = self::house(house.close().await).await;
        house.made("contacts", &json!({"lastname": "YOUNG"})).await;
        assert!(house.contacts().await.contains(&own("Young")));
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_target_of_a_thousand_that_is_refused_leaves_nothing_and_is_named() {
    for home in Home::each() {
        let house = house(home).await;
        house.plug_in("contacts", &of(REQUIRE, "CreateMultiple", 40)).await;
        let mut contacts: Vec<Value> =
            (0..1_000).map(|number| json!({"lastname": format!("L{number}")})).collect();
        contacts[731] = json!({"firstname": "No last name"});
        let body = json!({"Targets": contacts.iter().map(|contact| {
            let mut target = contact.clone();
            target["@odata.type"] = json!("Microsoft.Dynamics.CRM.contact");
            target
        }).collect::<Vec<_>>()});
        let url =
            format!("{}/api/data/v9.2/contacts/Microsoft.Dynamics.CRM.CreateMultiple", house.url);
        let request = house.client.post(url).header("content-type", "application/json");
        let request = request.header("prefer", "odata.include-annotations=\"*\"");
        let response = request.body(body.to_string()).send().await.expect("it answers");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let text = response.text().await.expect("a whole body");
        let error: Value = serde_json::from_str(&text).expect("JSON");
        let error = &error["error"];
        assert_eq!(error["code"], "0x80040265", "{error}");
        assert_eq!(error["message"], "A contact must have a last name.");
        let annotation = |name: &str| &error[format!("@Microsoft.PowerApps.CDS.{name}")];
        assert_eq!(annotation("ErrorDetails.failedRecordIndex"), "731", "{error}");
        let trace = annotation("TraceText").as_str().expect("traced");
        assert!(trace.contains("target 731 has no last name"), "{trace}");
        assert_eq!(house.contacts().await, []);
        contacts[731] = json!({"lastname": "Now"});
        let (status, body) = house.create_contacts(&contacts).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(house.contacts().await.len(), 1_000);
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_service_on_the_database_runs_a_new_step_with_its_next_message() {
    let [_, home] = Home::each();
    let Home::Postgres(url) = &home else { panic!("the second is PostgreSQL") };
    let other = Home::Postgres(url.clone());
    let (one, two) = (house(home).await, house(other).await);
    two.made("contacts", &json!({"lastname": "BEFORE"})).await;
    let step = one.plug_in("contacts", &of(NORMALIZE, "Create", 20)).await;
    two.made("contacts", &json!({"lastname": "HOPPER"})).await;
    let own = |name: &str| (String::new(), name.to_owned());
    assert_eq!(one.contacts().await, [own("BEFORE"), own("Hopper")]);
    let path = format!("sdkmessageprocessingsteps({step})");
    let (status, body) = one.json(Method::DELETE, &path, "").await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    two.made("contacts", &json!({"lastname": "ZUSE"})).await;
    assert_eq!(two.contacts().await, [own("BEFORE"), own("Hopper"), own("ZUSE")]);
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_whose_plug_ins_are_switched_off_registers_none_and_runs_none() {
    let on = house(Home::sqlite()).await;
    on.plug_in("contacts", &of(NORMALIZE, "Create", 20)).await;
    let off = house_with(on.close().await, |options| {
        options.config.plugins.enabled = false;
    });
    let off = off.await;
    let row = json!({"name": "x", "content": content("contacts"), "version": "2.0.0.0",
        "culture": "neutral", "isolationmode": 2, "sourcetype": 0});
    for (set, row) in [("pluginassemblies", row), ("contacts", json!({"lastname": "x"}))] {
        let (status, body) = off.json(Method::POST, set, &row.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(body["error"]["code"], "0x80081115", "{set}: {body}");
    }
    off.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plan_of_a_message_is_told_to_administrators() {
    let house = house(Home::sqlite()).await;
    let assembly = house.assembly("contacts").await;
    let (normalize, require) = (
        house.plugin_type(&assembly, NORMALIZE).await,
        house.plugin_type(&assembly, REQUIRE).await,
    );
    house.step(&normalize, &of(NORMALIZE, "CreateMultiple", 20)).await;
    house.step(&require, &of(REQUIRE, "Create", 10)).await;
    let path = "SheafExplainSteps(Message='CreateMultiple',Table='contact',Targets=1000)";
    let (status, body) = house.json(Method::GET, path, "").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let plan = &body["Plans"][0];
    let want = "CreateMultiple of contact, 1000 targets\n\
        PreValidation, before the transaction:\n  for each of 1000:\n    \
        1 Create \"examples.contacts.require_last_name: Create of contact\"\n\
        PreOperation, in the transaction, before the write:\n  once with 1000:\n    \
        1 CreateMultiple \"examples.contacts.normalize_names: CreateMultiple of contact\"\n";
    assert_eq!(plan["Text"], want);
    assert_eq!((&plan["Steps"][0]["Runs"], &plan["Steps"][1]["Runs"]), (&json!(1_000), &json!(1)));
    house.close().await;
}
