//! A service that keeps records, takes bulk messages, and misbehaves as it is told.
//!
//! One table `things`: `thingid`, an alternate key `k`, and `bad` for records that it refuses. The checks
//! run in the nastiest order: an alternate key is looked at before the primary key.

use async_trait::async_trait;
use client::transport::{Error, Method, Request, Response, Transport};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Normal,
    /// The request does not reach the service.
    Unsent,
    /// The answer is lost; nothing was done.
    LostBefore,
    /// The answer is lost; all was done.
    LostAfter,
    /// 429 with this wait.
    Throttled(u64),
    /// 429 for concurrency, without a wait.
    Crowded,
    /// 503 with the service's own code.
    Busy,
    /// 502 after all was done.
    GatewayAfter,
    /// A deadlock.
    Deadlock,
    /// The statement ran too long.
    TooSlow,
}

/// What a refusal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Nothing,
    First,
    All,
}

/// How the service behaves.
pub(crate) struct Script {
    /// The fate of the n-th request; those after the last are normal.
    pub(crate) fates: Vec<Fate>,
    pub(crate) names: Names,
    /// Rows succeed or fail one by one.
    pub(crate) is_elastic: bool,
    /// Bulk messages are refused.
    pub(crate) has_bulk: bool,
    /// Every write is refused for lack of a right.
    pub(crate) is_forbidden: bool,
    /// A message with more rows is too large.
    pub(crate) rows_max: usize,
    pub(crate) took: Duration,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            fates: Vec::new(),
            names: Names::Nothing,
            is_elastic: false,
            has_bulk: true,
            is_forbidden: false,
            rows_max: usize::MAX,
            took: Duration::from_millis(50),
        }
    }
}

#[derive(Default)]
pub(crate) struct State {
    /// By id: the alternate key and a counter of writes.
    pub(crate) records: BTreeMap<String, (Option<String>, u32)>,
    keys: HashMap<String, String>,
    /// The order in which values of `v` reached each record.
    pub(crate) history: HashMap<String, Vec<i64>>,
    pub(crate) requests: usize,
    pub(crate) writes: usize,
    in_flight: usize,
    pub(crate) in_flight_most: usize,
    busy: HashSet<String>,
    /// Two messages that name the same record were in flight together.
    pub(crate) overlaps: usize,
    /// When requests arrived, in milliseconds since the start.
    pub(crate) arrivals: Vec<u64>,
}

pub(crate) struct Simulated {
    script: Script,
    pub(crate) state: Mutex<State>,
    started: tokio::time::Instant,
}

struct Refusal {
    status: u16,
    code: &'static str,
    message: &'static str,
}

impl Simulated {
    pub(crate) fn new(script: Script) -> Self {
        let state = Mutex::new(State::default());
        Self { script, state, started: tokio::time::Instant::now() }
    }

    /// Why a record is refused, given what is there.
    fn refusal(state: &State, target: &Value, is_create: bool) -> Option<Refusal> {
        if target.get("bad").is_some() {
            return Some(Refusal { status: 400, code: "0x80044331", message: "too long" });
        }
        let id = target["thingid"].as_str().unwrap_or_default();
        if let Some(key) = target["k"].as_str()
            && is_create
            && state.keys.contains_key(key)
        {
            return Some(Refusal { status: 412, code: "0x80060892", message: "key violated" });
        }
        if is_create && state.records.contains_key(id) {
            return Some(Refusal {
                status: 412,
                code: "0x80040237",
                message: "matching key values",
            });
        }
        None
    }

    fn apply(state: &mut State, target: &Value) {
        let id = target["thingid"].as_str().unwrap_or_default().to_owned();
        let key = target["k"].as_str().map(str::to_owned);
        if let Some(key) = &key {
            state.keys.insert(key.clone(), id.clone());
        }
        if let Some(value) = target["v"].as_i64() {
            state.history.entry(id.clone()).or_default().push(value);
        }
        state.records.entry(id).or_insert((key, 0)).1 += 1;
    }

    fn write(&self, path: &str, body: &Value) -> Response {
        let mut state = self.state.lock().expect("no test panics while it holds the state");
        state.writes += 1;
        if self.script.is_forbidden {
            return error(403, "0x80040220", "missing privilege", &[]);
        }
        let (targets, is_bulk) = match body["Targets"].as_array() {
            Some(targets) => (targets.clone(), true),
            None => (vec![body.clone()], false),
        };
        if is_bulk && !self.script.has_bulk {
            return error(501, "0x80040219", "has not yet been implemented.", &[]);
        }
        if targets.len() > self.script.rows_max {
            return error(413, "0x8004418a", "too large", &[]);
        }
        let is_create = path.contains("CreateMultiple") || path == "things";
        if self.script.is_elastic && is_bulk {
            return Self::write_elastic(&mut state, &targets, is_create);
        }
        let mut failing = Vec::new();
        let mut scratch =
            State { records: state.records.clone(), keys: state.keys.clone(), ..State::default() };
        for (place, target) in targets.iter().enumerate() {
            match Self::refusal(&scratch, target, is_create) {
                Some(refusal) => failing.push((place, refusal)),
                None => Self::apply(&mut scratch, target),
            }
        }
        if let Some((place, first)) = failing.first() {
            let text = match self.script.names {
                Names::Nothing => first.message.to_owned(),
                Names::First | Names::All => format!("{} [Targets[{place}].c]", first.message),
            };
            let list: Vec<Value> = failing
                .iter()
                .map(|(place, item)| json!({"index": place, "code": item.code, "message": item.message}))
                .collect();
            let list = Value::from(list).to_string();
            let listed = [("Sheaf.Failures", list.as_str())];
            let annotations = if self.script.names == Names::All { &listed[..] } else { &[] };
            return error(first.status, first.code, &text, annotations);
        }
        for target in &targets {
            Self::apply(&mut state, target);
        }
        Response { status: 204, ..Response::default() }
    }

    fn write_elastic(state: &mut State, targets: &[Value], is_create: bool) -> Response {
        let mut items = Vec::new();
        let mut is_well = true;
        for (place, target) in targets.iter().enumerate() {
            let status = match Self::refusal(state, target, is_create) {
                Some(refusal) if refusal.status == 412 => 409,
                Some(refusal) => refusal.status,
                None => {
                    Self::apply(state, target);
                    201
                }
            };
            is_well &= status == 201;
            items.push(
                json!({"RequestIndex": place, "Id": target["thingid"], "StatusCode": status}),
            );
        }
        if is_well {
            return Response { status: 204, ..Response::default() };
        }
        let details = Value::from(items).to_string();
        let name = "Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails";
        error(400, "0x80048d0b", "One or more operations failed", &[(name, &details)])
    }

    fn delete(&self, id: &str) -> Response {
        let mut state = self.state.lock().expect("no test panics while it holds the state");
        state.writes += 1;
        match state.records.remove(id) {
            Some(_) => Response { status: 204, ..Response::default() },
            None => error(404, "0x80040217", "Does Not Exist", &[]),
        }
    }

    fn exists(&self, id: &str) -> Response {
        let state = self.state.lock().expect("no test panics while it holds the state");
        let status = if state.records.contains_key(id) { 200 } else { 404 };
        Response { status, body: "{}".into(), ..Response::default() }
    }

    fn carry_out(&self, request: &Request, body: &Value) -> Response {
        let id = request.path.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        let id = id.map(|(id, _)| id).unwrap_or_default();
        match request.method {
            Method::Get => self.exists(id),
            Method::Delete => self.delete(id),
            Method::Post | Method::Patch => self.write(&request.path, body),
        }
    }
}

fn error(status: u16, code: &str, message: &str, annotations: &[(&str, &str)]) -> Response {
    let mut error = json!({"code": code, "message": message});
    for (name, value) in annotations {
        error[format!("@{name}")] = json!(value);
    }
    Response { status, headers: Vec::new(), body: json!({"error": error}).to_string().into() }
}

#[async_trait]
impl Transport for Simulated {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let named: Vec<String> = match body["Targets"].as_array() {
            Some(targets) => targets
                .iter()
                .filter_map(|target| target["thingid"].as_str().map(str::to_owned))
                .collect(),
            None => Vec::new(),
        };
        let fate = {
            let mut state = self.state.lock().expect("no test panics while it holds the state");
            let fate = self.script.fates.get(state.requests).copied().unwrap_or(Fate::Normal);
            let arrived = u64::try_from(self.started.elapsed().as_millis()).expect("a short test");
            state.arrivals.push(arrived);
            state.requests += 1;
            state.in_flight += 1;
            state.in_flight_most = state.in_flight_most.max(state.in_flight);
            for id in &named {
                if !state.busy.insert(id.clone()) {
                    state.overlaps += 1;
                }
            }
            fate
        };
        tokio::time::sleep(self.script.took).await;
        let answer = match fate {
            Fate::Normal => Ok(self.carry_out(&request, &body)),
            Fate::Unsent => Err(Error::Unsent("connection refused".to_owned())),
            Fate::LostBefore => Err(Error::Lost("connection reset".to_owned())),
            Fate::LostAfter => {
                self.carry_out(&request, &body);
                Err(Error::Lost("connection reset".to_owned()))
            }
            Fate::GatewayAfter => {
                self.carry_out(&request, &body);
                Ok(Response { status: 502, body: "<html>".into(), ..Response::default() })
            }
            Fate::Throttled(seconds) => {
                let mut response = error(429, "0x80072322", "Number of requests exceeded", &[]);
                response.headers.push(("retry-after".to_owned(), seconds.to_string()));
                Ok(response)
            }
            Fate::Crowded => {
                let mut response = error(429, "0x80072326", "concurrent requests exceeded", &[]);
                response.headers.push(("retry-after".to_owned(), "1".to_owned()));
                Ok(response)
            }
            Fate::Busy => Ok(error(503, "0x8004a001", "busy", &[])),
            Fate::Deadlock => {
                Ok(error(500, "0x80044150", "Generic SQL error. Sql Number: 1205", &[]))
            }
            Fate::TooSlow => Ok(error(500, "0x80044151", "SQL timeout expired.", &[])),
        };
        let mut state = self.state.lock().expect("no test panics while it holds the state");
        state.in_flight -= 1;
        for id in &named {
            state.busy.remove(id);
        }
        answer
    }
}
