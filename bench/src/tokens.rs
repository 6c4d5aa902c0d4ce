//! What the check of a token costs a write: a service that asks for tokens against one that does not.
//!
//! In: how many rounds. Out: two lines without a target: CreateMultiple of 1,000 and of one.
//! Invariant: both services run the same program on stores of their own and get the same messages in turns.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tempfile::TempDir;
use testkit::http::Api;
use testkit::service::{Options, Service, Store, find_binary};
use uuid::Uuid;

use crate::Arguments;
use crate::report::{self, Line, Sample, Taken};
use crate::rows::{Names, ROWS_PER_MESSAGE, Source, create_multiple_body};
use crate::service::{definitions, send};

/// Messages of one round.
const MESSAGES: usize = 8;
const ONES: usize = 400;
const ACCOUNT: Uuid = Uuid::from_u128(0xacc0);

/// Adds both lines.
pub(crate) async fn measure(arguments: &Arguments, lines: &mut Vec<Line>) -> Result<()> {
    let name = |rows: &str| {
        format!("SQLite: CreateMultiple of {rows}, with a token that is checked against without")
    };
    let kinds = [(name("1,000"), ROWS_PER_MESSAGE, MESSAGES), (name("one"), 1, ONES)];
    if !kinds.iter().any(|(name, ..)| arguments.wants(name)) {
        return Ok(());
    }
    let (asking, open) = (Side::start(true).await?, Side::start(false).await?);
    let mut source = Source::new(arguments.seed, vec![ACCOUNT]);
    for (name, rows, messages) in kinds.into_iter().filter(|(name, ..)| arguments.wants(name)) {
        let mut line = Line::new(name, None);
        for round in 0..=arguments.rounds {
            let messages: Vec<Bytes> = (0..messages)
                .map(|_| create_multiple_body(&asking.names, &source.fresh(rows)))
                .collect();
            let count = messages.len() * rows;
            let ours = asking.send(messages.clone()).await?;
            let other = open.send(messages).await?;
            if round > 0 {
                line.samples.push(Sample { rows: count, ours, other });
            }
        }
        println!("{}", report::row(&line));
        lines.push(line);
    }
    asking.service.stop()?;
    open.service.stop()
}

/// A service with a table and somebody to write to it.
struct Side {
    service: Service,
    api: Api,
    names: Names,
    _directory: TempDir,
}

impl Side {
    async fn start(asks_for_tokens: bool) -> Result<Side> {
        let directory = tempfile::tempdir()?;
        let data = directory.path().join("data");
        let mut options =
            Options::new(Store::Data(data.clone()), &directory.path().join("service.log"))?;
        let user = if asks_for_tokens {
            options.arguments = ["--auth", "on"].map(str::to_owned).to_vec();
            let mut add = Command::new(find_binary()?);
            let added =
                add.args(["user", "add", "bench", "--admin", "--data"]).arg(&data).output()?;
            let said = String::from_utf8_lossy(&added.stderr);
            ensure!(added.status.success(), "no user: {said}");
            Some(String::from_utf8(added.stdout)?)
        } else {
            None
        };
        let service = Service::start(options)?;
        let mut api = Api::new(&service.api())?;
        if let Some(user) = user {
            let refused = api.get("WhoAmI").await?;
            ensure!(refused.status == 401, "{} without a token", refused.status);
            api = api.with_token(&token(&service, &api, &user).await?);
        }
        let account = format!(r#"{{"accountid":"{ACCOUNT}","name":"Account"}}"#);
        api.post("accounts", account).await?.expect(204)?;
        let names = Names::new(0);
        for (path, body) in definitions(&names) {
            api.post(&path, body).await?.expect(204)?;
        }
        Ok(Side { service, api, names, _directory: directory })
    }

    async fn send(&self, messages: Vec<Bytes>) -> Result<Taken> {
        let path = format!("{}/Microsoft.Dynamics.CRM.CreateMultiple", self.names.set);
        let before = report::cpu_of(Some(self.service.id()))?;
        let wall = send(&self.api, &path, messages, 1, 200).await?;
        let cpu = report::cpu_of(Some(self.service.id()))?.saturating_sub(before);
        Ok(Taken { wall, cpu: Some(cpu) })
    }
}

/// A token of the built-in issuer for the user that was printed.
async fn token(service: &Service, api: &Api, printed: &str) -> Result<String> {
    let line = |name: &str| {
        let value = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("  "));
        value.map(str::trim).with_context(|| format!("`{name}` in {printed}"))
    };
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope={}/.default",
        encoded(line("client id")?),
        encoded(line("secret")?),
        encoded(service.url())
    );
    let url = format!("{}/{}/oauth2/v2.0/token", service.url(), line("tenant")?);
    let kind = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    let answer = api.exchange("POST", &url, &[kind], form).await?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body)?;
    let token = body["access_token"].as_str();
    token.map(str::to_owned).with_context(|| format!("no token: {body}"))
}

fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let byte = |byte: u8| match plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
