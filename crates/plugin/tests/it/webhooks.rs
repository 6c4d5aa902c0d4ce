//! Deliveries to a real listener: headers, bodies, who is let in, what is tried again.

use crate::house::{Fake, NOW, call, catalog, contact, hook, host, id};
use model::{MessageName, Timestamp, Uuid, Value};
use pipeline::step::{
    Endpoint, Frame, Image, Mode, Operand, Parameter, ParameterValue, Record, StepCall, StepFault,
    StepRunner,
};
use plugin::{Host, Settings, webhook};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// One request as it came.
#[derive(Clone, Debug, Default)]
struct Seen {
    head: String,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut found = lines.filter_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        found.next()
    }
}

/// A receiver that answers these statuses, one for each request; after the last it keeps silent.
struct Receiver {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: tokio::task::JoinSet<()>,
}

async fn receiver(answers: &[&str]) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("as the test has it");
    let port = listener.local_addr().expect("as the test has it").port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = seen.clone();
    let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let mut held = Vec::new();
        let mut answers = answers.into_iter();
        while let Ok((mut socket, _)) = listener.accept().await {
            let request = read(&mut socket).await;
            told.lock().expect("as the test has it").push(request);
            match answers.next() {
                Some(status) => {
                    let answer = format!(
                        "HTTP/1.1 {status}\r\ncontent-length: 4\r\nconnection: close\r\n\r\nword"
                    );
                    socket.write_all(answer.as_bytes()).await.expect("as the test has it");
                }
                None => held.push(socket),
            }
        }
    });
    Receiver { port, seen, _tasks: tasks }
}

async fn read(socket: &mut tokio::net::TcpStream) -> Seen {
    let mut bytes = Vec::new();
    loop {
        let mut piece = vec![0; 65_536];
        let count = socket.read(&mut piece).await.expect("as the test has it");
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut seen = Seen { head: head.to_owned(), body: body.to_owned() };
            let length = seen
                .header("content-length")
                .map_or(0, |length| length.parse().expect("as the test has it"));
            if seen.body.len() >= length || count == 0 {
                seen.body.truncate(length);
                return seen;
            }
        }
        assert!(count > 0, "the request was cut");
    }
}

fn open() -> Settings {
    let webhooks = webhook::Settings {
        organization: "sheaf.example".to_owned(),
        allow_loopback: true,
        attempt_max: Duration::from_secs(2),
        ..webhook::Settings::default()
    };
    Settings { webhooks, ..Settings::default() }
}

fn endpoint(url: String, auth_type: i32, auth_value: &str) -> Endpoint {
    Endpoint {
        id: id(0x77),
        name: "crate hook".into(),
        url: url.into(),
        auth_type,
        auth_value: Some(auth_value.into()),
    }
}

async fn sent(host: &Host, mut call: StepCall, endpoint: Endpoint) -> Result<(), StepFault> {
    let step = hook(endpoint);
    call.step = step;
    let nothing: Arc<[u8]> = Arc::from(&b""[..]);
    host.run(call, Fake::new(&nothing)).await.answer.map(drop)
}

async fn simple() -> StepCall {
    let catalog = catalog().await;
    let targets = vec![contact(&catalog, "a/b \"c\"")];
    let step = hook(endpoint("https://hooks.example/".to_owned(), 4, "k"));
    call(&catalog, &step, MessageName::Create, "contact", targets)
}

fn code_of(result: Result<(), StepFault>) -> u32 {
    let Err(StepFault::Webhook { code, .. }) = result else { panic!("{result:?}") };
    code.0
}

#[tokio::test]
async fn a_delivery_has_the_documented_headers_and_the_secret_as_a_header() {
    let receiver = receiver(&["204 No Content"]).await;
    let url = format!("http://127.0.0.1:{}/crates?keep=1", receiver.port);
    let value = r#"<settings><setting name="x-key" value="secret" /></settings>"#;
    let call = simple().await;
    sent(&host(open()), call.clone(), endpoint(url, 5, value)).await.unwrap();
    let seen = receiver.seen.lock().unwrap()[0].clone();
    assert!(seen.head.starts_with("POST /crates?keep=1 HTTP/1.1\r\n"), "{}", seen.head);
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("x-key", "secret"),
        ("x-ms-dynamics-organization", "sheaf.example"),
        ("x-ms-dynamics-entity-name", "contact"),
        ("x-ms-dynamics-request-name", "Create"),
        ("x-ms-correlation-request-id", &call.frame.correlation.to_string()),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert!(seen.header("x-request-id").unwrap().parse::<Uuid>().is_ok());
    assert_eq!(seen.header("x-ms-dynamics-msg-size-exceeded"), None);
    assert_eq!(seen.body, webhook::write_body(&call).text);
    assert!(seen.body.contains(r#"{"key":"lastname","value":"a\/b \"c\""}"#), "{}", seen.body);
}

#[tokio::test]
async fn keys_and_pairs_stand_in_the_query() {
    let receiver = receiver(&["200 OK", "299 Fine"]).await;
    let url = format!("http://127.0.0.1:{}/x?keep=1", receiver.port);
    let (host, call) = (host(open()), simple().await);
    sent(&host, call.clone(), endpoint(url.clone(), 4, "s&t")).await.unwrap();
    sent(&host, call, endpoint(url, 6, r#"{"a":"1","b":"2"}"#)).await.unwrap();
    let seen = receiver.seen.lock().unwrap().clone();
    assert!(seen[0].head.starts_with("POST /x?keep=1&code=s%26t HTTP/1.1"), "{}", seen[0].head);
    assert!(seen[1].head.starts_with("POST /x?keep=1&a=1&b=2 HTTP/1.1"), "{}", seen[1].head);
}

#[tokio::test]
async fn only_a_receiver_that_is_not_ready_is_tried_once_more() {
    let (host, call) = (host(open()), simple().await);
    for (answers, code, attempts) in [
        (vec!["301 Moved"], 0x8005_0201, 1),
        (vec!["400 Bad Request"], 0x8005_0201, 1),
        (vec!["500 Internal Server Error"], 0x8005_0201, 1),
        (vec!["503 Service Unavailable", "503 Service Unavailable"], 0x8005_0201, 2),
        (vec!["502 Bad Gateway", "200 OK"], 0, 2),
        (vec!["504 Gateway Timeout", "400 Bad Request"], 0x8005_0201, 2),
    ] {
        let receiver = receiver(&answers).await;
        let url = format!("http://127.0.0.1:{}/x", receiver.port);
        let result = sent(&host, call.clone(), endpoint(url, 4, "k")).await;
        match code {
            0 => assert!(result.is_ok(), "{answers:?}: {result:?}"),
            code => assert_eq!(code_of(result), code, "{answers:?}"),
        }
        let seen = receiver.seen.lock().unwrap();
        assert_eq!(seen.len(), attempts, "{answers:?}");
        if let [first, second] = &seen[..] {
            assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
        }
    }
}

#[tokio::test]
async fn silence_and_closed_doors_have_codes_of_their_own() {
    let call = simple().await;
    let silent = receiver(&[]).await;
    let url = format!("http://127.0.0.1:{}/x", silent.port);
    let mut settings = open();
    settings.webhooks.attempt_max = Duration::from_millis(200);
    let result = sent(&host(settings), call.clone(), endpoint(url, 4, "k")).await;
    assert_eq!(code_of(result), 0x8005_0202);
    assert_eq!(silent.seen.lock().unwrap().len(), 1);

    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("http://127.0.0.1:{port}/x");
    let result = sent(&host(open()), call.clone(), endpoint(url.clone(), 4, "topsecret")).await;
    let Err(StepFault::Webhook { code, log, .. }) = result else { panic!("{result:?}") };
    assert_eq!(code.0, 0x8005_0205);
    assert!(!log.contains("topsecret"), "{log}");

    // Where private addresses are closed, nothing is even tried.
    let result =
        sent(&host(Settings::default()), call.clone(), endpoint(url.clone(), 4, "k")).await;
    assert_eq!(code_of(result), 0x8005_0205);
    let mut off = open();
    off.webhooks.enabled = false;
    assert_eq!(
        code_of(sent(&host(off), call.clone(), endpoint(url.clone(), 4, "k")).await),
        0x8005_0206
    );
    assert_eq!(
        code_of(sent(&host(open()), call.clone(), endpoint(url.clone(), 5, "x")).await),
        0x8005_0203
    );
    assert_eq!(code_of(sent(&host(open()), call, endpoint(url, 6, "x")).await), 0x8005_0204);
}

#[tokio::test]
async fn a_body_that_is_too_large_loses_the_large_members_and_keeps_the_ids() {
    let receiver = receiver(&["200 OK"]).await;
    let url = format!("http://127.0.0.1:{}/x", receiver.port);
    let catalog = catalog().await;
    let step = hook(endpoint(url.clone(), 4, "k"));
    let ids: Vec<Uuid> = (0..200).map(|number| id(0x9000 + number)).collect();
    let targets =
        ids.iter().map(|id| Record { id: Some(*id), ..contact(&catalog, &"x".repeat(1_400)) });
    let mut call = call(&catalog, &step, MessageName::UpdateMultiple, "contact", targets.collect());
    call.output = vec![Parameter { name: "Ids".into(), value: ParameterValue::Ids(ids.clone()) }];
    sent(&host(open()), call.clone(), endpoint(url, 4, "k")).await.unwrap();
    let seen = receiver.seen.lock().unwrap()[0].clone();
    assert_eq!(seen.header("x-ms-dynamics-msg-size-exceeded"), Some("true"));
    assert!(seen.body.len() < webhook::BODY_BYTES_MAX);
    let json: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    for member in [
        "ParentContext",
        "InputParameters",
        "PreEntityImages",
        "PostEntityImages",
        "PreEntityImagesCollection",
        "PostEntityImagesCollection",
    ] {
        assert_eq!(json.get(member), Some(&serde_json::Value::Null), "{member}");
    }
    assert_eq!(json["OutputParameters"][0]["value"][199], ids[199].to_string());
    assert_eq!(json["SheafTargetIds"][0], ids[0].to_string());

    // What stays too large even so is not sent.
    call.output = vec![Parameter {
        name: "long".into(),
        value: ParameterValue::One(Value::text("y".repeat(300_000))),
    }];
    assert_eq!(
        code_of(
            sent(&host(open()), call, endpoint("http://127.0.0.1:1/x".to_owned(), 4, "k")).await
        ),
        0x8005_0207
    );
}

/// The body of the documented example of a single message, with ids and times made the same.
#[tokio::test]
async fn a_body_is_that_of_the_documented_example() {
    let catalog = catalog().await;
    let step = hook(endpoint("https://hooks.example/".to_owned(), 4, "k"));
    let key: Uuid = "9a111111-0000-4000-8000-000000000001".parse().unwrap();
    let mut target = contact(&catalog, "A-1");
    target.id = Some(key);
    let table = catalog.table("contact").unwrap();
    let mut cells = vec![
        ("contactid", Value::Guid(key)),
        ("statecode", Value::Integer(0)),
        ("createdon", Value::DateTime(Timestamp(1_735_689_600))),
        ("donotemail", Value::Boolean(true)),
        ("description", Value::Null),
    ];
    let user = catalog.table("systemuser").unwrap();
    cells.push(("modifiedby", Value::Lookup(model::LookupValue { table: user.id, id: id(9) })));
    let cells = cells
        .into_iter()
        .map(|(column, value)| model::Cell { column: table.index_of(column).unwrap(), value });
    cells.for_each(|cell| target.cells.push(cell));
    let mut call = call(&catalog, &step, MessageName::Create, "contact", vec![target.clone()]);
    call.frame.primary_id = key;
    call.frame.stage = 40;
    call.output =
        vec![Parameter { name: "id".into(), value: ParameterValue::One(Value::Guid(key)) }];
    call.post_images =
        vec![Image { alias: "after".into(), rows: vec![Some(contact(&catalog, "A-1"))] }];
    let tag = Parameter { name: "tag".into(), value: ParameterValue::One(Value::text("import")) };
    call.frame.shared = vec![tag.clone()];
    call.parents = vec![Arc::new(Frame {
        stage: 30,
        primary_id: Uuid::nil(),
        step: Uuid::nil(),
        input: vec![Parameter {
            name: "SuppressDuplicateDetection".into(),
            value: ParameterValue::One(Value::Boolean(false)),
        }],
        sent: Arc::new([contact(&catalog, "A-1")]),
        ..call.frame.clone()
    })];
    let n = r":http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts";
    let step_id = step.id;
    let request = call.frame.request;
    let users = format!(
        r#""BusinessUnitId":"{}","CorrelationId":"{}","Depth":1,"InitiatingUserId":"{}","#,
        id(6),
        id(8),
        id(4)
    );
    let middle = format!(
        r#""IsExecutingOffline":false,"IsInTransaction":true,"IsOfflinePlayback":false,"IsolationMode":1,"MessageName":"Create","Mode":0,"OperationCreatedOn":"\/Date(1735689600000+0000)\/","OperationId":"{}","OrganizationId":"{}","OrganizationName":"sheaf","#,
        Uuid::nil(),
        id(7)
    );
    let extension = format!(
        r#""OwningExtension":{{"Id":"{step_id}","KeyAttributes":[],"LogicalName":"sdkmessageprocessingstep","Name":null,"RowVersion":null}},"#
    );
    let rest = |id: Uuid| {
        format!(
            r#""EntityState":null,"FormattedValues":[],"Id":"{id}","KeyAttributes":[],"LogicalName":"contact","RelatedEntities":[],"RowVersion":null}}"#
        )
    };
    let nil = Uuid::nil();
    let tail = |primary: Uuid, stage: u32| {
        format!(
            r#""PrimaryEntityId":"{primary}","PrimaryEntityName":"contact","RequestId":"{request}","SecondaryEntityName":"none","SharedVariables":[{{"key":"tag","value":"import"}}],"Stage":{stage},"UserId":"{}"}}"#,
            id(3)
        )
    };
    let want = format!(
        r#"{{{users}"InputParameters":[{{"key":"Target","value":{{"__type":"Entity{n}","Attributes":[{{"key":"lastname","value":"A-1"}},{{"key":"contactid","value":"{key}"}},{{"key":"statecode","value":{{"__type":"OptionSetValue{n}","Value":0}}}},{{"key":"createdon","value":"\/Date(1735689600000)\/"}},{{"key":"donotemail","value":true}},{{"key":"description","value":null}},{{"key":"modifiedby","value":{{"__type":"EntityReference{n}","Id":"{by}","KeyAttributes":[],"LogicalName":"systemuser","Name":null,"RowVersion":null}}}}],{of_key}}}],{middle}"OutputParameters":[{{"key":"id","value":"{key}"}}],{extension}"ParentContext":{{{users}"InputParameters":[{{"key":"Target","value":{{"__type":"Entity{n}","Attributes":[{{"key":"lastname","value":"A-1"}}],{of_nil}}},{{"key":"SuppressDuplicateDetection","value":false}}],{middle}"OutputParameters":[],{extension}"ParentContext":null,"PostEntityImages":[],"PreEntityImages":[],{outer},"PostEntityImages":[{{"key":"after","value":{{"Attributes":[{{"key":"lastname","value":"A-1"}}],{of_nil}}}],"PreEntityImages":[],{inner}"#,
        by = id(9),
        of_key = rest(key),
        of_nil = rest(nil),
        outer = tail(nil, 30),
        inner = tail(key, 40),
    );
    assert_eq!(webhook::write_body(&call).text, want);
    assert_eq!(call.now, NOW);
}

#[tokio::test]
async fn bulk_bodies_have_a_collection_and_images_for_each_target() {
    let catalog = catalog().await;
    let step = hook(endpoint("https://hooks.example/".to_owned(), 4, "k"));
    let targets = vec![contact(&catalog, "A"), contact(&catalog, "B")];
    let mut call = call(&catalog, &step, MessageName::UpdateMultiple, "contact", targets);
    call.frame.mode = Mode::Asynchronous;
    call.pre_images =
        vec![Image { alias: "before".into(), rows: vec![Some(contact(&catalog, "C")), None] }];
    let json: serde_json::Value = serde_json::from_str(&webhook::write_body(&call).text).unwrap();
    let targets = &json["InputParameters"][0];
    assert_eq!(targets["key"], "Targets");
    assert_eq!(
        targets["value"]["__type"],
        "EntityCollection:http://schemas.microsoft.com/xrm/2011/Contracts"
    );
    assert_eq!(targets["value"]["Entities"][1]["Attributes"][0]["value"], "B");
    assert_eq!(targets["value"]["Entities"][1].get("__type"), None);
    assert_eq!(json["PreEntityImages"], serde_json::json!([]));
    let images = &json["PreEntityImagesCollection"];
    assert_eq!(images[0][0]["key"], "before");
    assert_eq!(images[1], serde_json::json!([]));
    assert_eq!(json["PostEntityImagesCollection"], serde_json::json!([[], []]));
    assert_eq!(json["Mode"], 1);

    call.frame.message = MessageName::DeleteMultiple;
    call.operand = Operand::Reference;
    call.targets = vec![Record { id: Some(id(1)), ..Record::default() }];
    let json: serde_json::Value = serde_json::from_str(&webhook::write_body(&call).text).unwrap();
    let reference = &json["InputParameters"][0]["value"][0];
    assert_eq!(reference["LogicalName"], "contact");
    assert_eq!(reference.get("__type"), None);
}
