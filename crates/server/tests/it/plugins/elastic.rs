//! Steps on elastic tables, asynchronous steps and the trace log, through the whole service on both engines.

use super::{Step, house};
use crate::house::{Home, House};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// How often jobs are looked at before a test gives up.
const LOOKS_MAX: usize = 600;

fn of<'a>(message: &'a str, stage: i32, configuration: &'a str) -> Step<'a> {
    Step { of_type: "unruly", message, stage, configuration }
}

fn label(text: &str) -> Value {
    json!({"LocalizedLabels": [{"Label": text, "LanguageCode": 1033}]})
}

/// A target: `new_source` is what steps look for, `new_note` what they write.
fn ping(number: u32, source: &str) -> Value {
    json!({
        "@odata.type": "Microsoft.Dynamics.CRM.new_ping",
        "new_pingid": format!("9a111111-0000-4000-8000-{number:012}"),
        "partitionid": format!("p{}", number % 2),
        "new_source": source,
    })
}

/// What became of the targets, as clients read it.
fn statuses(error: &Value) -> Vec<i64> {
    let name = "@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails";
    let text = error[name].as_str().unwrap_or_else(|| panic!("no details: {error}"));
    let list: Vec<Value> = serde_json::from_str(text).expect("a list");
    list.iter().map(|item| item["StatusCode"].as_i64().expect("a number")).collect()
}

impl House {
    async fn ok(&self, method: Method, path: &str, body: &Value) -> Value {
        let (status, answer) = self.json(method, path, &body.to_string()).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    async fn pings_table(&self) {
        let column = |name: &str, is_name: bool| {
            json!({
                "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": name,
                "IsPrimaryName": is_name, "MaxLength": 20, "DisplayName": label(name),
            })
        };
        let table = json!({
            "SchemaName": "new_Ping", "TableType": "Elastic", "OwnershipType": "UserOwned",
            "HasActivities": false, "HasNotes": false, "DisplayName": label("Ping"),
            "DisplayCollectionName": label("Pings"),
            "Attributes": [column("new_Source", true)],
        });
        self.ok(Method::POST, "EntityDefinitions", &table).await;
        let path = "EntityDefinitions(LogicalName='new_ping')/Attributes";
        self.ok(Method::POST, path, &column("new_Note", false)).await;
    }

    /// Sends a bulk message for its details.
    async fn bulk(&self, message: &str, targets: &[Value]) -> (StatusCode, Value) {
        let url = format!("{}/api/data/v9.2/new_pings/Microsoft.Dynamics.CRM.{message}", self.url);
        let request = self.client.post(url).header("content-type", "application/json");
        let request = request.header("prefer", "odata.include-annotations=\"*\"");
        let body = json!({"Targets": targets}).to_string();
        let response = request.body(body).send().await.expect("it answers");
        let status = response.status();
        let text = response.text().await.expect("a whole body");
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// Source and note of every row.
    async fn pings(&self) -> Vec<(String, String)> {
        let path = "new_pings?$select=new_source,new_note&$orderby=new_pingid";
        let page = self.ok(Method::GET, path, &Value::Null).await;
        let text = |row: &Value, column: &str| row[column].as_str().unwrap_or("-").to_owned();
        let rows = page["value"].as_array().expect("a page");
        rows.iter().map(|row| (text(row, "new_source"), text(row, "new_note"))).collect()
    }

    async fn remove_step(&self, step: &str) {
        let path = format!("sdkmessageprocessingsteps({step})");
        self.ok(Method::DELETE, &path, &Value::Null).await;
    }

    /// Waits until no job of a step is open; answers status and message name of all of them.
    async fn jobs_done(&self, count: usize) -> Vec<(i64, String)> {
        let path = "asyncoperations?$select=statuscode,statecode,messagename,message\
                    &$filter=operationtype eq 1";
        for _ in 0..LOOKS_MAX {
            let page = self.ok(Method::GET, path, &Value::Null).await;
            let jobs = page["value"].as_array().expect("a page");
            if jobs.len() == count && jobs.iter().all(|job| job["statecode"] == 3) {
                let told = |job: &Value| {
                    let name = job["messagename"].as_str().unwrap_or_default();
                    (job["statuscode"].as_i64().unwrap_or_default(), name.to_owned())
                };
                let mut told: Vec<_> = jobs.iter().map(told).collect();
                told.sort();
                return told;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the jobs of {count} runs do not end");
    }
}

fn rows(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(source, note)| ((*source).to_owned(), (*note).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_of_elastic_tables_run_on_both_engines() {
    for home in Home::each() {
        let house = house(home).await;
        house.pings_table().await;
        let assembly = house.assembly("unruly").await;
        let unruly = house.plugin_type(&assembly, "unruly").await;
        let table = ("new_ping", 0);
        house.step_on(table, &unruly, &of("CreateMultiple", 20, "mark new_note")).await;
        let pick = house.step_on(table, &unruly, &of("Create", 20, "pick bad")).await;
        // A single step refuses its record; what the bulk step has set is written of the others.
        let targets = [ping(1, "a"), ping(2, "bad"), ping(3, "c")];
        let (status, body) = house.bulk("CreateMultiple", &targets).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(body["error"]["code"], "0x80048d0b", "{body}");
        assert_eq!(statuses(&body["error"]), [201, 400, 201]);
        assert_eq!(house.pings().await, rows(&[("a", "marked"), ("c", "marked")]));
        // A single message raises both, and its answer is the step's.
        let (status, body) = house.json(Method::POST, "new_pings", r#"{"new_source":"bad"}"#).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(body["error"]["code"], "0x80040265", "{body}");
        assert_eq!(body["error"]["message"], "no bad", "{body}");
        assert_eq!(house.pings().await.len(), 2);
        house.remove_step(&pick).await;
        // A bulk step before the write refuses all, behind it the rows stay.
        let early = house.step_on(table, &unruly, &of("UpdateMultiple", 10, "pick bad")).await;
        let targets = [ping(1, "a2"), ping(3, "bad")];
        let (status, body) = house.bulk("UpdateMultiple", &targets).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(body["error"]["code"], "0x80040265", "{body}");
        assert_eq!(house.pings().await, rows(&[("a", "marked"), ("c", "marked")]));
        house.remove_step(&early).await;
        let late = house.step_on(table, &unruly, &of("UpdateMultiple", 40, "pick bad")).await;
        let (status, body) = house.bulk("UpdateMultiple", &targets).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let error = &body["error"];
        assert_eq!((&error["code"], &error["message"]), (&json!("0x80040265"), &json!("no bad")));
        assert_eq!(statuses(error), [400, 400]);
        assert_eq!(house.pings().await, rows(&[("a2", "marked"), ("bad", "marked")]));
        house.remove_step(&late).await;
        // An upsert is an event of its own, in both forms, and replaces the row.
        house.step_on(table, &unruly, &of("Upsert", 20, "mark new_note")).await;
        house.step_on(table, &unruly, &of("UpsertMultiple", 40, "pick bad")).await;
        let (status, body) = house.bulk("UpsertMultiple", &[ping(1, "u1"), ping(4, "u4")]).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
        let all = rows(&[("u1", "marked"), ("bad", "marked"), ("u4", "marked")]);
        assert_eq!(house.pings().await, all);
        // A single delete raises the bulk event with one reference.
        let last = house.step_on(table, &unruly, &of("DeleteMultiple", 20, "refuse stays")).await;
        let path = "new_pings(new_pingid=9a111111-0000-4000-8000-000000000001,partitionid='p1')";
        let (status, body) = house.json(Method::DELETE, path, "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(body["error"]["message"], "stays", "{body}");
        house.remove_step(&last).await;
        house.step_on(table, &unruly, &of("Delete", 10, "pick bad")).await;
        let (status, body) =
            house.bulk("DeleteMultiple", &[ping(1, ""), ping(3, ""), ping(9, "")]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(statuses(&body["error"]), [204, 204, 404]);
        assert_eq!(house.pings().await, rows(&[("u4", "marked")]));
        let path = "SheafExplainSteps(Message='UpsertMultiple',Table='new_ping',Targets=3)";
        let body = house.ok(Method::GET, path, &Value::Null).await;
        let want = "UpsertMultiple of new_ping, 3 targets\n\
            PreOperation, before the write:\n  for each of 3:\n    \
            1 Upsert \"unruly: Upsert of new_ping\"\n\
            PostOperation, after the write, which stays written:\n  once with 3:\n    \
            1 UpsertMultiple \"unruly: UpsertMultiple of new_ping\"\n";
        assert_eq!(body["Plans"][0]["Text"], want);
        house.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asynchronous_steps_and_traces_are_kept_on_both_engines() {
    for home in Home::each() {
        let house = house(home).await;
        house.pings_table().await;
        let organization =
            house.one("organizations?$select=organizationid", "organizationid").await;
        let path = format!("organizations({organization})");
        house.ok(Method::PATCH, &path, &json!({"plugintracelogsetting": 2})).await;
        let assembly = house.assembly("unruly").await;
        let unruly = house.plugin_type(&assembly, "unruly").await;
        for (table, message) in [
            ("contact", "Create"),
            ("contact", "CreateMultiple"),
            ("new_ping", "Create"),
            ("new_ping", "CreateMultiple"),
        ] {
            house.step_on((table, 1), &unruly, &of(message, 40, "pick bad")).await;
        }
        let contacts = [json!({"lastname": "fine"}), json!({"lastname": "bad"})];
        let (status, body) = house.create_contacts(&contacts).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let (status, body) = house.bulk("CreateMultiple", &[ping(1, "x"), ping(2, "bad")]).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        // One job for the bulk step, one for each record of the single one; what a run refuses stays written.
        let of_one_table = [(30, "Create"), (31, "Create"), (31, "CreateMultiple")];
        let told = house.jobs_done(6).await;
        let want: Vec<(i64, String)> = of_one_table
            .iter()
            .flat_map(|(status, name)| std::iter::repeat_n((*status, (*name).to_owned()), 2))
            .collect();
        assert_eq!(told, want);
        assert_eq!((house.contacts().await.len(), house.pings().await.len()), (2, 2));
        // Each run has traced; the log survives a restart.
        let house = self::house(house.close().await).await;
        let path = "plugintracelogs?$select=messagename,primaryentity,mode,messageblock,exceptiondetails\
                    &$orderby=primaryentity,messagename";
        let page = house.ok(Method::GET, path, &Value::Null).await;
        let logs = page["value"].as_array().expect("a page");
        let mut told: Vec<(String, bool)> = logs
            .iter()
            .map(|log| {
                assert_eq!(log["mode"], 1, "{log}");
                let text = |column: &str| log[column].as_str().unwrap_or_default();
                (text("messageblock").trim().to_owned(), text("exceptiondetails").is_empty())
            })
            .collect();
        told.sort();
        let line = |text: &str, is_fine| (text.to_owned(), is_fine);
        let want = [
            line("Create of 1 contact", false),
            line("Create of 1 contact", true),
            line("Create of 1 new_ping", false),
            line("Create of 1 new_ping", true),
            line("CreateMultiple of 2 contact", false),
            line("CreateMultiple of 2 new_ping", false),
        ];
        assert_eq!(told, want);
        house.close().await;
    }
}
