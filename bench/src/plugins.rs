//! What steps cost a bulk message: none, an empty one, the same logic once and a thousand times, a webhook.
//!
//! In: how many rounds. Out: four lines; one has a target.
//! Not here: what a guest does by itself; its own language decides that.
//! Invariant: all services run the same program on stores of their own and get the same messages in turns.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tempfile::TempDir;
use testkit::guests;
use testkit::http::Api;
use testkit::service::{Options, Service, Store, find_binary};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::Arguments;
use crate::report::{self, Line, Sample, Taken};
use crate::rows::{Names, ROWS_PER_MESSAGE, Source, create_multiple_body};
use crate::service::{definitions, send};

/// Messages of one round.
const MESSAGES: usize = 8;
const CLIENTS_MANY: usize = 8;
const MESSAGES_OF_MANY: usize = 24;
/// What is left of the rows per second with an empty bulk step.
const TARGET: f64 = 0.92;
const ACCOUNT: Uuid = Uuid::from_u128(0xacc0);

/// The step of a service.
#[derive(Clone, Copy, Debug)]
enum Logic {
    None,
    /// A guest that does nothing.
    Empty,
    /// A receiver on this machine that does nothing.
    Webhook,
    /// The example that normalises names of contacts, for this message.
    Names(&'static str),
}

/// Adds the lines.
pub(crate) async fn measure(arguments: &Arguments, lines: &mut Vec<Line>) -> Result<()> {
    let empty = |clients: &str| {
        format!(
            "SQLite, {clients}: CreateMultiple of 1,000 with an empty bulk step against without"
        )
    };
    let one = (MESSAGES, 1);
    let many = (MESSAGES_OF_MANY, CLIENTS_MANY);
    let bulk = Logic::Names("CreateMultiple");
    let kinds = [
        (empty("1 client"), Some(TARGET), Logic::Empty, Logic::None, one),
        (empty("8 clients"), None, Logic::Empty, Logic::None, many),
        (
            "SQLite: logic in one bulk step of 1,000 against the same as single steps".to_owned(),
            None,
            bulk,
            Logic::Names("Create"),
            one,
        ),
        (
            "SQLite: an empty bulk step against a webhook on this machine".to_owned(),
            None,
            Logic::Empty,
            Logic::Webhook,
            one,
        ),
    ];
    for (name, target, ours, other, (messages, clients)) in kinds {
        if !arguments.wants(&name) {
            continue;
        }
        let (ours, other) = (Side::start(ours).await?, Side::start(other).await?);
        let mut source = Source::new(arguments.seed, vec![ACCOUNT]);
        let mut line = Line::new(name, target);
        for round in 0..=arguments.rounds {
            let bodies: Vec<Bytes> = (0..messages).map(|_| ours.body(&mut source)).collect();
            let rows = messages * ROWS_PER_MESSAGE;
            // Whoever goes first would always find the disk in the same state.
            let (ours, other) = if round % 2 == 0 {
                let ours = ours.send(bodies.clone(), clients).await?;
                (ours, other.send(bodies, clients).await?)
            } else {
                let other = other.send(bodies.clone(), clients).await?;
                (ours.send(bodies, clients).await?, other)
            };
            if round > 0 {
                line.samples.push(Sample { rows, ours, other });
            }
        }
        println!("{}", report::row(&line));
        lines.push(line);
    }
    Ok(())
}

/// A service with a step, and somebody to write to it.
struct Side {
    service: Service,
    api: Api,
    names: Names,
    logic: Logic,
    _receiver: JoinSet<()>,
    _directory: TempDir,
}

impl Side {
    async fn start(logic: Logic) -> Result<Side> {
        let directory = tempfile::tempdir()?;
        let store = Store::Data(directory.path().join("data"));
        let service = Service::start(Options::new(store, &directory.path().join("service.log"))?)?;
        let api = Api::new(&service.api())?;
        let account = format!(r#"{{"accountid":"{ACCOUNT}","name":"Account"}}"#);
        api.post("accounts", account).await?.expect(204)?;
        let names = Names::new(0);
        for (path, body) in definitions(&names) {
            api.post(&path, body).await?.expect(204)?;
        }
        let mut receiver = JoinSet::new();
        let table = &names.table;
        match logic {
            Logic::None => {}
            Logic::Empty => {
                push(&service, "unruly")?;
                let step =
                    ["--type", "unruly", "--message", "CreateMultiple", "--configuration", "idle"];
                add_step(&service, &step, table)?;
            }
            Logic::Names(message) => {
                push(&service, "contacts")?;
                let name = "examples.contacts.normalize_names";
                add_step(&service, &["--type", name, "--message", message], "contact")?;
            }
            Logic::Webhook => add_webhook(&api, table, &mut receiver).await?,
        }
        Ok(Side { service, api, names, logic, _receiver: receiver, _directory: directory })
    }

    /// A message of new rows.
    fn body(&self, source: &mut Source) -> Bytes {
        let rows = source.fresh(ROWS_PER_MESSAGE);
        if !matches!(self.logic, Logic::Names(_)) {
            return create_multiple_body(&self.names, &rows);
        }
        let targets: Vec<String> = rows
            .iter()
            .map(|row| {
                format!(
                    r#"{{"@odata.type":"Microsoft.Dynamics.CRM.contact","contactid":"{}","firstname":" ada  maria ","lastname":"LOVELACE"}}"#,
                    row.id
                )
            })
            .collect();
        format!(r#"{{"Targets":[{}]}}"#, targets.join(",")).into()
    }

    async fn send(&self, messages: Vec<Bytes>, clients: usize) -> Result<Taken> {
        let set = if matches!(self.logic, Logic::Names(_)) { "contacts" } else { &self.names.set };
        let path = format!("{set}/Microsoft.Dynamics.CRM.CreateMultiple");
        let before = report::cpu_of(Some(self.service.id()))?;
        let wall = send(&self.api, &path, messages, clients, 200).await?;
        let cpu = report::cpu_of(Some(self.service.id()))?.saturating_sub(before);
        Ok(Taken { wall, cpu: Some(cpu) })
    }
}

/// Puts a plug-in of the examples into a service, as its users do.
fn push(service: &Service, name: &str) -> Result<()> {
    let file = guests::path(name)?;
    sheaf(service, &["plugin", "push", &file.to_string_lossy()])
}

fn add_step(service: &Service, step: &[&str], table: &str) -> Result<()> {
    let line: Vec<&str> = ["plugin", "step", "add", "--table", table]
        .into_iter()
        .chain(step.iter().copied())
        .collect();
    sheaf(service, &line)
}

fn sheaf(service: &Service, line: &[&str]) -> Result<()> {
    let output =
        Command::new(find_binary()?).args(line).env("SHEAF_URL", service.url()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "sheaf {}: {said}", line.join(" "));
    Ok(())
}

/// Registers a webhook for the bulk message, and listens for it.
async fn add_webhook(api: &Api, table: &str, receiver: &mut JoinSet<()>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    receiver.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move { drop(receive(stream).await) });
        }
    });
    let (endpoint, step) = (Uuid::from_u128(0xe0d), Uuid::from_u128(0x57e9));
    let row = serde_json::json!({
        "serviceendpointid": endpoint.to_string(), "name": "bench", "contract": 8, "url": url,
        "authtype": 4, "authvalue": "key", "messageformat": 2, "connectionmode": 1, "userclaim": 1,
    });
    api.post("serviceendpoints", row.to_string()).await?.expect(204)?;
    let path = format!(
        "sdkmessagefilters?$select=sdkmessagefilterid,_sdkmessageid_value&$filter=sdkmessageid/name eq 'CreateMultiple' \
         and primaryobjecttypecode eq '{table}'"
    );
    let found = api.get(&path).await?.expect(200)?;
    let of = |name: &str| {
        found["value"][0][name].as_str().map(str::to_owned).with_context(|| format!("no {name}"))
    };
    let (filter, message) = (of("sdkmessagefilterid")?, of("_sdkmessageid_value")?);
    let row = serde_json::json!({
        "sdkmessageprocessingstepid": step.to_string(), "name": "bench", "stage": 20, "mode": 0,
        "rank": 1, "supporteddeployment": 0, "asyncautodelete": false,
        "eventhandler_serviceendpoint@odata.bind": format!("/serviceendpoints({endpoint})"),
        "sdkmessageid@odata.bind": format!("/sdkmessages({message})"),
        "sdkmessagefilterid@odata.bind": format!("/sdkmessagefilters({filter})"),
    });
    api.post("sdkmessageprocessingsteps", row.to_string()).await?.expect(204)?;
    Ok(())
}

/// Reads requests and says thanks, until the other side has no more.
async fn receive(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or_default();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
    }
}
