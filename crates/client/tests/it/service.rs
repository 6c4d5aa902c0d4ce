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
use uuid::Uuid;
use wire::batch;

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
    /// Bulk messages answer with the ids of new records.
    pub(crate) tells_ids: bool,
    /// Every write is refused for lack of a right.
    pub(crate) is_forbidden: bool,
    /// A message with more rows is too large.
    pub(crate) rows_max: usize,
    /// The share of faults in a hundred, drawn for each request beyond `fates`, and what they are drawn from.
    pub(crate) faults: Option<(u64, Chance)>,
    /// A `$batch` is answered no further than this.
    pub(crate) parts_max: usize,
    pub(crate) took: Duration,
    /// How many identities call.
    pub(crate) identities: usize,
    /// For so many seconds the first request of an identity throttles it.
    pub(crate) throttles: Vec<u64>,
    /// Headers that every request for a row is to have.
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// Numbers drawn from a seed (the public-domain splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }

    fn fate(&mut self) -> Fate {
        match self.below(9) {
            0 => Fate::Unsent,
            1 => Fate::LostBefore,
            2 | 3 => Fate::LostAfter,
            4 => Fate::GatewayAfter,
            5 => Fate::Throttled(self.below(20)),
            6 => Fate::Crowded,
            7 => Fate::Busy,
            _ => Fate::Deadlock,
        }
    }
}

impl Default for Script {
    fn default() -> Self {
        Self {
            fates: Vec::new(),
            names: Names::Nothing,
            is_elastic: false,
            has_bulk: true,
            tells_ids: true,
            is_forbidden: false,
            rows_max: usize::MAX,
            faults: None,
            parts_max: usize::MAX,
            took: Duration::from_millis(50),
            identities: 1,
            throttles: Vec::new(),
            headers: Vec::new(),
        }
    }
}

#[derive(Default)]
pub(crate) struct State {
    /// The request at hand wants duplicates to be found.
    pub(crate) detects: bool,
    /// By id: the alternate key and a counter of writes.
    pub(crate) records: BTreeMap<String, (Option<String>, u32)>,
    /// The newest value of `v` by id.
    pub(crate) values: HashMap<String, i64>,
    chance: Option<Chance>,
    /// Ids that were given to records which came without.
    given: u128,
    /// How many `$batch` requests came.
    pub(crate) batches: usize,
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
    /// By identity: requests in flight, the most at a time, when they arrived, and until when it was told to wait.
    pub(crate) callers: Vec<Caller>,
    /// Requests of an identity that had been told to wait.
    pub(crate) impatient: usize,
}

/// What the service sees of one identity.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    in_flight: usize,
    pub(crate) in_flight_most: usize,
    pub(crate) arrivals: Vec<u64>,
    /// Between these: what leaves in the instant in which the answer comes cannot know of it.
    paused: (u64, u64),
}

impl State {
    fn arrived(&mut self, identity: usize, now: u64) {
        let caller = &mut self.callers[identity];
        caller.arrivals.push(now);
        caller.in_flight += 1;
        caller.in_flight_most = caller.in_flight_most.max(caller.in_flight);
        if (caller.paused.0 + 1..caller.paused.1).contains(&now) {
            self.impatient += 1;
        }
    }

    fn left(&mut self, identity: usize, now: u64, fate: Fate) {
        let caller = &mut self.callers[identity];
        caller.in_flight -= 1;
        let wait = match fate {
            Fate::Throttled(seconds) => seconds,
            Fate::Crowded => 1,
            _ => return,
        };
        caller.paused = (now, caller.paused.1.max(now + wait * 1_000));
    }
}

pub(crate) struct Simulated {
    script: Script,
    pub(crate) state: Mutex<State>,
    started: tokio::time::Instant,
}

/// What a write asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    Update,
    Upsert,
}

struct Refusal {
    status: u16,
    code: &'static str,
    message: &'static str,
}

impl Simulated {
    pub(crate) fn new(script: Script) -> Self {
        let chance = script.faults.as_ref().map(|(_, chance)| chance.clone());
        let callers = vec![Caller::default(); script.identities];
        let state = Mutex::new(State { chance, callers, ..State::default() });
        Self { script, state, started: tokio::time::Instant::now() }
    }

    /// The client is gone: what it had in flight is nobody's any more. From now on nothing fails if so
    /// wished.
    pub(crate) fn forget_client(&self, is_well: bool) {
        let mut state = self.state.lock().expect("no test panics while it holds the state");
        state.in_flight = 0;
        state.busy.clear();
        // The next one starts without knowing of a pause.
        state.callers.iter_mut().for_each(|caller| *caller = Caller::default());
        if is_well {
            state.chance = None;
        }
    }

    /// Why a record is refused, given what is there.
    fn refusal(state: &State, target: &Value, kind: Kind) -> Option<Refusal> {
        if state.detects && target.get("twin").is_some() {
            let message = "A record was not created or updated because a duplicate of the current record already exists.";
            return Some(Refusal { status: 412, code: "0x80040333", message });
        }
        let is_create = kind == Kind::Create;
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
        if kind == Kind::Update && !state.records.contains_key(id) {
            return Some(Refusal { status: 404, code: "0x80040217", message: "Does Not Exist" });
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
            state.values.insert(id.clone(), value);
        }
        state.records.entry(id).or_insert((key, 0)).1 += 1;
    }

    fn write(&self, path: &str, body: &Value, must_exist: bool) -> Response {
        let mut state = self.state.lock().expect("no test panics while it holds the state");
        state.writes += 1;
        if self.script.is_forbidden {
            return error(403, "0x80040220", "missing privilege", &[]);
        }
        let (mut targets, is_bulk) = match body["Targets"].as_array() {
            Some(targets) => (targets.clone(), true),
            None => (vec![body.clone()], false),
        };
        if is_bulk && !self.script.has_bulk {
            return error(501, "0x80040219", "has not yet been implemented.", &[]);
        }
        if targets.len() > self.script.rows_max {
            return error(413, "0x8004418a", "too large", &[]);
        }
        let kind = match path {
            "things" => Kind::Create,
            path if path.contains("CreateMultiple") => Kind::Create,
            path if path.contains("UpdateMultiple") || must_exist => Kind::Update,
            _ => Kind::Upsert,
        };
        let mut ids: Vec<Value> = Vec::new();
        if kind == Kind::Create {
            for target in targets.iter_mut().filter(|target| target.get("thingid").is_none()) {
                state.given += 1;
                target["thingid"] = json!(Uuid::from_u128(state.given << 64).to_string());
                ids.push(target["thingid"].clone());
            }
        }
        if self.script.is_elastic && is_bulk {
            return Self::write_elastic(&mut state, &targets, kind);
        }
        let mut failing = Vec::new();
        let mut scratch = State {
            records: state.records.clone(),
            keys: state.keys.clone(),
            detects: state.detects,
            ..State::default()
        };
        for (place, target) in targets.iter().enumerate() {
            match Self::refusal(&scratch, target, kind) {
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
        match ids.as_slice() {
            [] => Response { status: 204, ..Response::default() },
            [Value::String(id)] if !is_bulk => {
                let address = format!("https://host/api/data/v9.2/things({id})");
                let headers = vec![("odata-entityid".to_owned(), address)];
                Response { status: 204, headers, ..Response::default() }
            }
            _ if !self.script.tells_ids => Response { status: 204, ..Response::default() },
            ids => {
                let body = json!({"Ids": ids}).to_string().into();
                Response { status: 200, body, ..Response::default() }
            }
        }
    }

    fn write_elastic(state: &mut State, targets: &[Value], kind: Kind) -> Response {
        let mut items = Vec::new();
        let mut is_well = true;
        for (place, target) in targets.iter().enumerate() {
            let status = match Self::refusal(state, target, kind) {
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
            let ids: Vec<&Value> = targets.iter().map(|target| &target["thingid"]).collect();
            let body = json!({"Ids": ids}).to_string().into();
            return Response { status: 200, body, ..Response::default() };
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

    fn read(&self, id: &str) -> Response {
        let state = self.state.lock().expect("no test panics while it holds the state");
        match state.records.get(id) {
            None => error(404, "0x80040217", "Does Not Exist", &[]),
            Some((key, _)) => {
                let record = json!({"thingid": id, "k": key, "v": state.values.get(id)});
                Response { status: 200, body: record.to_string().into(), ..Response::default() }
            }
        }
    }

    /// Which of the ids in a filter are there.
    fn which(&self, path: &str) -> Response {
        let state = self.state.lock().expect("no test panics while it holds the state");
        let path = path.replace("%22", "\"");
        let ids = path.split('"').filter(|part| state.records.contains_key(*part));
        let found: Vec<Value> = ids.map(|id| json!({"thingid": id})).collect();
        let body = json!({"value": found}).to_string().into();
        Response { status: 200, body, ..Response::default() }
    }

    fn carry_out(&self, request: &Request) -> Response {
        if request.path == "$batch" {
            return self.carry_out_parts(request);
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let id = request.path.strip_prefix("things(").and_then(|rest| rest.split_once(')'));
        let id = id.map(|(id, _)| id);
        let must_exist = request.headers.iter().any(|(name, _)| *name == "If-Match");
        let detection = ("MSCRM.SuppressDuplicateDetection", "false".to_owned());
        self.state.lock().expect("no test panics while it holds the state").detects =
            request.headers.contains(&detection);
        match (request.method, id) {
            (Method::Get, Some(id)) => self.read(id),
            (Method::Get, None) => self.which(&request.path),
            (Method::Delete, id) => self.delete(id.unwrap_or_default()),
            (Method::Post | Method::Patch, _) => self.write(&request.path, &body, must_exist),
        }
    }

    fn carry_out_parts(&self, request: &Request) -> Response {
        self.state.lock().expect("no test panics while it holds the state").batches += 1;
        let (_, kind) =
            request.headers.iter().find(|(name, _)| *name == "Content-Type").expect("a type");
        let parts = batch::read(kind, &request.body).expect("the client writes whole batches");
        let mut writer = batch::ResponseWriter::new("answers".to_owned());
        for part in parts.iter().flat_map(batch::Part::items).take(self.script.parts_max) {
            let method = match part.method {
                "POST" => Method::Post,
                "PATCH" => Method::Patch,
                "DELETE" => Method::Delete,
                _ => Method::Get,
            };
            let path = part.target.strip_prefix("/api/data/v9.2/").expect("from the root");
            let told = ["If-Match", "MSCRM.SuppressDuplicateDetection"].into_iter();
            let headers = told.filter_map(|told| {
                let given = part.headers.iter().find(|(name, _)| *name == told);
                given.map(|(_, value)| (told, (*value).to_owned()))
            });
            let inner = Request {
                method,
                path: path.to_owned(),
                headers: headers.collect(),
                body: part.body.to_vec().into(),
            };
            let response = self.carry_out(&inner);
            writer.answer(&batch::Answer {
                content_id: None,
                status: response.status,
                reason: "said",
                headers: [("Content-Type", "application/json")]
                    .into_iter()
                    .chain(response.header("odata-entityid").map(|id| ("OData-EntityId", id)))
                    .collect(),
                body: &response.body,
            });
        }
        let kind = batch::response_content_type(writer.boundary());
        let headers = vec![("content-type".to_owned(), kind)];
        Response { status: 200, headers, body: writer.finish().into() }
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
        self.send_as(0, request).await
    }

    fn identities(&self) -> usize {
        self.script.identities
    }

    async fn send_as(&self, identity: usize, request: Request) -> Result<Response, Error> {
        // The ids in the text, wherever they stand.
        let text = String::from_utf8_lossy(&request.body);
        let ids = text.split("\"thingid\":\"").skip(1).filter_map(|rest| rest.split('"').next());
        let named: Vec<String> = ids.map(str::to_owned).collect();
        let is_early;
        let fate = {
            let mut state = self.state.lock().expect("no test panics while it holds the state");
            let share = self.script.faults.as_ref().map_or(0, |(share, _)| *share);
            let drawn = state
                .chance
                .as_mut()
                .and_then(|chance| (chance.below(100) < share).then(|| chance.fate()));
            let scripted = self.script.fates.get(state.requests).copied();
            let first = match state.callers[identity].arrivals.is_empty() {
                true => self.script.throttles.get(identity).filter(|seconds| **seconds > 0),
                false => None,
            };
            let throttled = first.map(|seconds| Fate::Throttled(*seconds));
            let fate = throttled.or(scripted).or(drawn).unwrap_or(Fate::Normal);
            // Half of the requests are carried out as soon as they arrive.
            is_early = state.chance.as_mut().is_some_and(|chance| chance.below(2) == 0);
            let arrived = u64::try_from(self.started.elapsed().as_millis()).expect("a short test");
            state.arrivals.push(arrived);
            state.requests += 1;
            state.in_flight += 1;
            state.in_flight_most = state.in_flight_most.max(state.in_flight);
            state.arrived(identity, arrived);
            for id in &named {
                if !state.busy.insert(id.clone()) {
                    state.overlaps += 1;
                }
            }
            fate
        };
        let is_carried_out = matches!(fate, Fate::Normal | Fate::LostAfter | Fate::GatewayAfter);
        let mut done = (is_carried_out && is_early).then(|| self.carry_out(&request));
        tokio::time::sleep(self.script.took).await;
        if is_carried_out && done.is_none() {
            done = Some(self.carry_out(&request));
        }
        let answer = match fate {
            Fate::Normal => Ok(done.expect("it was carried out")),
            Fate::Unsent => Err(Error::Unsent("connection refused".to_owned())),
            Fate::LostBefore | Fate::LostAfter => Err(Error::Lost("connection reset".to_owned())),
            Fate::GatewayAfter => {
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
        let now = u64::try_from(self.started.elapsed().as_millis()).expect("a short test");
        state.left(identity, now, fate);
        for id in &named {
            state.busy.remove(id);
        }
        answer
    }
}
