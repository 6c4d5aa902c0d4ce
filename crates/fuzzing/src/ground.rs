//! A service with the tables of `conformance/fixture` and some rows, and what must hold of every answer.
//!
//! In: requests as text (`POST /path`, header lines, an empty line, the body). Out: the first law that an
//! answer breaks. Not here: where requests come from.
//! Invariant: no clock: every request comes at the same moment.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use model::{Catalog, Table, Timestamp, Uuid};
use pipeline::{Pipeline, Stores};
use serde_json::Value;
use store::MemoryElasticStore;
use store::memory::MemoryStore;
use testkit::scenario::fixture::{self, PREFIX};
use testkit::scenario::folder;
use testkit::scenario::play;
use tokio::runtime::{Builder, Runtime};
use webapi::{Incoming, Settings, WebApi};

const ORIGIN: &str = "https://sheaf.test";
const NOW: Timestamp = Timestamp(1_800_000_000);
const FEATURES: [&str; 5] = ["batch", "elastic", "fetchxml", "jobs", "navigation-filter"];

/// Rows to begin with, so that queries have something to find.
const ROWS: [(&str, &str); 6] = [
    (
        "accounts",
        r#"{"accountid":"11111111-2222-4333-8444-555555555701","name":"Ada","numberofemployees":3}"#,
    ),
    (
        "ship_crates",
        r#"{"ship_crateid":"11111111-2222-4333-8444-555555555501","ship_label":"A b","ship_weight":5,"ship_trackingno":"T-1","ship_volume":1.5,"ship_ratio":0.5,"ship_price":9.99,"ship_fragile":true,"ship_color":1,"ship_tags":"1,2","ship_packedon":"2024-02-29T08:15:00Z","ship_dueon":"2024-03-01","ship_notes":"n","ship_Holder@odata.bind":"/accounts(11111111-2222-4333-8444-555555555701)"}"#,
    ),
    (
        "ship_crates",
        r#"{"ship_crateid":"11111111-2222-4333-8444-555555555502","ship_label":"%_[a]"}"#,
    ),
    (
        "ship_legs",
        r#"{"ship_legid":"11111111-2222-4333-8444-555555555601","ship_name":"L","ship_crateno":"c","ship_number":1,"ship_Crate@odata.bind":"/ship_crates(11111111-2222-4333-8444-555555555501)"}"#,
    ),
    (
        "ship_ports",
        r#"{"ship_portid":"11111111-2222-4333-8444-555555555801","ship_name":"P","ship_depth":-1}"#,
    ),
    (
        "ship_pings",
        r#"{"ship_pingid":"11111111-2222-4333-8444-555555555901","ship_source":"s","ship_value":1,"partitionid":"p","ship_payload":"{\"a\":[1,{\"b\":null}]}"}"#,
    ),
];

/// A service.
pub struct Ground {
    api: WebApi,
    pipeline: Arc<Pipeline>,
    runtime: Runtime,
    /// Its tables, as they were in the beginning.
    pub catalog: Arc<Catalog>,
}

/// Rows in memory only.
#[must_use]
pub fn memory() -> Stores {
    Stores {
        standard: Arc::new(MemoryStore::new()),
        elastic: Some(Arc::new(MemoryElasticStore::default())),
    }
}

/// The tables that parsers bind to: made once.
pub fn shared() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let runtime = Builder::new_current_thread().build().expect("a runtime starts");
        Ground::new(memory(), runtime)
    })
}

impl Ground {
    /// A service over stores that are empty; they were opened on this runtime, if they need one.
    #[must_use]
    pub fn new(stores: Stores, runtime: Runtime) -> Self {
        let pipeline = runtime.block_on(Pipeline::open(stores, NOW, 1)).expect("the store opens");
        let pipeline = Arc::new(pipeline);
        let api = WebApi::new(Arc::clone(&pipeline), Settings::default());
        let catalog = pipeline.catalog();
        let mut this = Self { api, pipeline, runtime, catalog };
        this.prepare();
        this.catalog = this.pipeline.catalog();
        this
    }

    fn prepare(&self) {
        let folder = folder::read(&folder::home(), PREFIX).expect("conformance/ is there");
        let send = async |request: play::Request| {
            let mut headers = HeaderMap::new();
            for (name, value) in &request.headers {
                let name =
                    HeaderName::from_bytes(name.as_bytes()).map_err(|err| err.to_string())?;
                let value = HeaderValue::from_str(value).map_err(|err| err.to_string())?;
                headers.append(name, value);
            }
            let method =
                Method::from_bytes(request.method.as_bytes()).map_err(|err| err.to_string())?;
            let body = Bytes::from(request.body);
            let response = self.api.handle(self.incoming(method, request.target, headers, body));
            let (head, body) = response.await.into_parts();
            let body = String::from_utf8_lossy(&body).into_owned();
            Ok(play::Response { status: head.status.as_u16(), headers: Vec::new(), body })
        };
        let client = play::Client { origin: ORIGIN.to_owned(), prefix: PREFIX.to_owned(), send };
        let features = FEATURES.map(str::to_owned);
        let made = async {
            fixture::prepare(&client, &folder.fixture, &features).await?;
            for (set, body) in ROWS {
                let answer = client.plain("POST", set, body).await?;
                if answer.status != 204 {
                    return Err(format!("{set}: {}", answer.body));
                }
            }
            Ok(())
        };
        self.runtime.block_on(made).unwrap_or_else(|why: String| panic!("no ground: {why}"));
    }

    /// A table by its logical name.
    #[must_use]
    pub fn table(&self, name: &str) -> Arc<Table> {
        Arc::clone(self.catalog.table(name).expect("the fixture has it"))
    }

    fn incoming(
        &self,
        method: Method,
        target: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Incoming {
        Incoming {
            method,
            target,
            headers,
            body,
            origin: ORIGIN.to_owned(),
            caller: self.pipeline.organization().caller(),
            now: NOW,
            request_id: Uuid::from_u128(0x5eaf),
        }
    }

    /// Sends a request; none if the text is nothing that HTTP would let through.
    #[must_use]
    pub fn ask(&self, request: &[u8]) -> Option<Response<Bytes>> {
        let (method, target, headers, body) = parse(request)?;
        let incoming = self.incoming(method, target, headers, Bytes::copy_from_slice(body));
        Some(self.runtime.block_on(self.api.handle(incoming)))
    }

    /// Sends a request and checks the answer. Tells whether it was answered, and not refused.
    ///
    /// # Panics
    /// Where a law does not hold.
    pub fn check(&self, request: &[u8]) -> bool {
        let Some(response) = self.ask(request) else { return false };
        let is_head = request.starts_with(b"HEAD ");
        if let Err(why) = law(&response, is_head) {
            panic!("{why}");
        }
        response.status().is_success()
    }
}

/// `POST /path`, header lines, an empty line, the body.
fn parse(request: &[u8]) -> Option<(Method, String, HeaderMap, &[u8])> {
    let place = request.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match place {
        Some(place) => (request.get(..place)?, request.get(place + 2..)?),
        None => (request, &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    // What a server takes for an address: the octets of RFC 3986 and whatever is beyond ASCII.
    let is_address = target.starts_with('/')
        && target.chars().all(|one| !one.is_whitespace() && !one.is_control());
    if !is_address {
        return None;
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some((method, target.to_owned(), headers, body))
}

/// What must hold of every answer: no fault of the service, and errors in their envelope.
///
/// Errors: what does not hold.
pub fn law(response: &Response<Bytes>, is_head: bool) -> Result<(), String> {
    let status = response.status();
    let body = response.body();
    if is_head {
        return if body.is_empty() {
            envelope(status, None)
        } else {
            Err("HEAD has a body".into())
        };
    }
    let kind = response
        .headers()
        .get("content-type")
        .map_or("", |kind| kind.to_str().unwrap_or("no text"));
    if kind.starts_with("multipart/mixed") {
        let parts = wire::batch::read_response(kind, body)
            .map_err(|error| format!("the answer to a batch cannot be read: {error}"))?;
        for answer in parts.iter().flat_map(wire::batch::Part::items) {
            let status = StatusCode::from_u16(answer.status)
                .map_err(|_| format!("a part has status {}", answer.status))?;
            envelope(status, Some(answer.body))?;
        }
        return Ok(());
    }
    if kind.starts_with("application/json") {
        serde_json::from_slice::<Value>(body)
            .map_err(|error| format!("{status} is no JSON: {error}: {}", shown(body)))?;
    }
    envelope(status, Some(body))
}

fn envelope(status: StatusCode, body: Option<&[u8]>) -> Result<(), String> {
    // What is not there yet is said to be so; nothing else may be the service's fault.
    if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        return Err(format!("{status}: {}", body.map(shown).unwrap_or_default()));
    }
    let Some(body) = body.filter(|_| status.is_client_error() || status.is_server_error()) else {
        return Ok(());
    };
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| format!("{status} is no JSON: {error}: {}", shown(body)))?;
    let code = body["error"]["code"].as_str().unwrap_or_default();
    let digits = code.strip_prefix("0x").unwrap_or_default();
    let is_code = digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let is_documented = documented().contains(&format!("| `{code}` |"));
    let has_text = body["error"]["message"].as_str().is_some_and(|text| !text.is_empty());
    if is_code && is_documented && has_text {
        return Ok(());
    }
    Err(format!("{status} without a documented code and a text: {body}"))
}

fn documented() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let path = folder::home().join("../docs/errors.md");
        std::fs::read_to_string(path).expect("docs/errors.md is there")
    })
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(600).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, kind: &str, body: &'static str, want: Result<(), &str>) {
        let mut response = Response::new(Bytes::from_static(body.as_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        let value = HeaderValue::from_str(kind).expect("text");
        response.headers_mut().insert("content-type", value);
        let got = law(&response, false);
        match want {
            Ok(()) => assert_eq!(got, Ok(())),
            Err(piece) => assert!(got.as_ref().is_err_and(|why| why.contains(piece)), "{got:?}"),
        }
    }

    #[test]
    fn a_law_notices_what_breaks_it() {
        let json = "application/json; odata.metadata=minimal";
        let fault = r#"{"error":{"code":"0x80040203","message":"m"}}"#;
        check(200, json, "{}", Ok(()));
        check(200, json, "{", Err("is no JSON"));
        check(400, json, fault, Ok(()));
        check(501, json, fault, Ok(()));
        check(500, json, fault, Err("500"));
        check(400, json, r#"{"error":{"code":"0x12345678","message":"m"}}"#, Err("documented"));
        check(400, json, r#"{"error":{"code":"0x80040203","message":""}}"#, Err("documented"));
        check(404, "text/plain", "no", Err("is no JSON"));
        let batch =
            "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 500 x\r\n\r\n{}\r\n--b--\r\n";
        check(200, "multipart/mixed; boundary=b", batch, Err("500"));
        check(200, "multipart/mixed; boundary=c", batch, Err("cannot be read"));
    }
}
