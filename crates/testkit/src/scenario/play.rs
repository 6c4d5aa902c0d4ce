//! Plays one scenario file through a function that sends requests.
//!
//! In: the file's text, what the service can do, a [`Client`]. Out: an [`Outcome`]; failures name file and line.
//! Not here: which files there are (`folder`), what matches (`compare`).
//! Invariant: rows of other tables than the fixture's that a file made are deleted after it.

use serde_json::Value;

use super::compare::{self, Captures};
use super::fixture;
use super::parse::{self, Body, Expectation, Scenario, Step};

/// An answer is shown up to this many characters.
const SHOWN_CHARACTERS: usize = 1_200;

/// A request as it goes out.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query, percent-encoded, beginning with a slash.
    pub target: String,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// The body; empty means none.
    pub body: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

/// Where requests go.
pub struct Client<S> {
    /// `scheme://host[:port]`, as the service sees itself addressed.
    pub origin: String,
    /// What the names of the fixture's tables begin with there; [`fixture::PREFIX`] if nothing else was asked for.
    pub prefix: String,
    /// Sends one request; an error says that no answer came.
    pub send: S,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything came as expected.
    Passed,
    /// What did not.
    Failed(String),
    /// The service is not said to have this feature.
    Skipped {
        /// The name of the feature.
        need: String,
    },
}

impl<S: AsyncFn(Request) -> Result<Response, String>> Client<S> {
    /// Sends a request with the headers that every client sends.
    pub async fn request(&self, mut request: Request) -> Result<Response, String> {
        let has = |request: &Request, name: &str| {
            request.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
        };
        for (name, value) in
            [("Accept", "application/json"), ("OData-MaxVersion", "4.0"), ("OData-Version", "4.0")]
        {
            if !has(&request, name) {
                request.headers.push((name.to_owned(), value.to_owned()));
            }
        }
        if !request.body.is_empty() && !has(&request, "Content-Type") {
            request.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        (self.send)(request).await
    }

    /// Sends a request without headers of its own. `path` is below the service root.
    pub async fn plain(&self, method: &str, path: &str, body: &str) -> Result<Response, String> {
        let target = encoded(&format!("{}{path}", parse::SERVICE_ROOT));
        let (method, body) = (method.to_owned(), body.to_owned());
        self.request(Request { method, target, headers: Vec::new(), body }).await
    }

    /// Plays a file from empty fixture tables on. `place` is how failures name the file.
    pub async fn play(&self, place: &str, text: &str, features: &[String]) -> Outcome {
        let scenario = match parse::parse(text) {
            Ok(scenario) => scenario,
            Err(bad) => return Outcome::Failed(format!("{place}:{}: {}", bad.line, bad.why)),
        };
        if let Some(need) = scenario.needs.iter().find(|need| !features.contains(need)) {
            return Outcome::Skipped { need: need.clone() };
        }
        if let Err(why) = fixture::wipe(self, features).await {
            return Outcome::Failed(format!("{place}: the tables could not be emptied: {why}"));
        }
        let (outcome, made) = self.run(place, &scenario).await;
        for path in made.iter().rev() {
            // It may be gone already, by the file's own hand.
            drop(self.plain("DELETE", path, "").await);
        }
        outcome
    }

    /// Plays a file as it is, without emptying anything before or deleting anything afterwards.
    pub async fn steps(&self, place: &str, scenario: &Scenario) -> Outcome {
        self.run(place, scenario).await.0
    }

    /// Plays a file; beside its outcome, the addresses of what it made outside of the fixture's tables.
    async fn run(&self, place: &str, scenario: &Scenario) -> (Outcome, Vec<String>) {
        let mut captures = Captures::new();
        captures.insert("origin".to_owned(), self.origin.clone());
        let root = parse::SERVICE_ROOT.trim_end_matches('/');
        captures.insert("root".to_owned(), format!("{}{root}", self.origin));
        let mut made = Vec::new();
        let mut failure = None;
        for step in &scenario.steps {
            let request = self.filled(step, &captures);
            let answer = match self.request(request.clone()).await {
                Ok(answer) => answer,
                Err(why) => {
                    failure = Some(format!("{place}:{}: no answer: {why}", step.line));
                    break;
                }
            };
            made.extend(addresses(&request, &answer, &self.origin, &self.prefix));
            if let Some((line, why)) = mismatch(&step.expect, &answer, &mut captures) {
                failure = Some(report(place, line, &why, &request, &answer));
                break;
            }
        }
        (failure.map_or(Outcome::Passed, Outcome::Failed), made)
    }

    fn filled(&self, step: &Step, captures: &Captures) -> Request {
        let target = compare::fill(&step.path, captures, false);
        let target = target.strip_prefix(&self.origin).unwrap_or(&target);
        let is_json = step.body.trim_start().starts_with(['{', '[']);
        let headers = step.headers.iter();
        // Lines of a multipart body end so; the platform reads no others.
        let is_multipart = headers.clone().any(|(name, value)| {
            name.eq_ignore_ascii_case("Content-Type") && value.starts_with("multipart/")
        });
        let body = compare::fill(&step.body, captures, is_json);
        Request {
            method: step.method.clone(),
            target: encoded(target),
            headers: headers
                .map(|(name, value)| (name.clone(), compare::fill(value, captures, false)))
                .collect(),
            body: if is_multipart { body.replace('\n', "\r\n") + "\r\n" } else { body },
        }
    }
}

fn report(place: &str, line: usize, why: &str, request: &Request, answer: &Response) -> String {
    let cut = |text: &str| text.chars().take(SHOWN_CHARACTERS).collect::<String>();
    let mut text =
        format!("{place}:{line}: {why}\n    sent {} {}", request.method, cut(&request.target));
    text.push_str(&format!("\n    got  {} {}", answer.status, cut(&answer.body)));
    text
}

/// Where an answer is not what is expected: the line and how.
fn mismatch(
    want: &Expectation,
    got: &Response,
    captures: &mut Captures,
) -> Option<(usize, String)> {
    let line = want.line;
    if want.status != got.status {
        return Some((line, format!("expected status {}, got {}", want.status, got.status)));
    }
    let find = |name: &str| {
        let mut all = got.headers.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
        all.next().map(|(_, value)| value.as_str())
    };
    for (name, pattern) in &want.headers {
        match find(name) {
            None => return Some((line, format!("expected the header `{name}`, it is not there"))),
            Some(value) if compare::text(pattern, value, captures) => {}
            Some(value) => {
                return Some((line, format!("expected `{name}: {pattern}`, got `{value}`")));
            }
        }
    }
    for name in &want.absent {
        if let Some(value) = find(name) {
            return Some((line, format!("expected no header `{name}`, got `{value}`")));
        }
    }
    if matches!(got.status, 204 | 304) && !got.body.is_empty() {
        return Some((line, format!("expected no body with status {}", got.status)));
    }
    body_mismatch(&want.body, &got.body, captures).map(|why| (line, why))
}

fn body_mismatch(want: &Body, got: &str, captures: &mut Captures) -> Option<String> {
    match want {
        Body::Any => None,
        Body::Text(pattern) if compare::text(pattern, got, captures) => None,
        Body::Text(pattern) => Some(format!("expected the body `{pattern}`")),
        Body::Json(want) => match serde_json::from_str::<Value>(got) {
            Ok(got) => compare::json(want, Some(&got), captures),
            Err(error) => Some(format!("expected JSON: {error}")),
        },
        Body::Lines(patterns) => {
            let mut lines = got.lines();
            patterns
                .iter()
                .find(|pattern| {
                    !lines.any(|line| compare::text(pattern, line.trim_end(), captures))
                })
                .map(|pattern| format!("expected a line `{pattern}` (after the ones before it)"))
        }
    }
}

/// Paths of the records that an answer says were made, below the service root.
fn addresses(request: &Request, answer: &Response, origin: &str, prefix: &str) -> Vec<String> {
    let root = format!("{origin}{}", parse::SERVICE_ROOT);
    let in_head = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let in_parts = answer.body.lines().filter_map(|line| line.split_once(": "));
    let mut found: Vec<String> = in_head
        .chain(in_parts)
        .filter(|(name, _)| name.eq_ignore_ascii_case("OData-EntityId"))
        .filter_map(|(_, value)| value.trim().strip_prefix(&root))
        .map(str::to_owned)
        .collect();
    let path = request.target.strip_prefix(parse::SERVICE_ROOT).unwrap_or_default();
    if let Some((set, action)) = path.split_once('/')
        && action.ends_with("CreateMultiple")
        && let Ok(body) = serde_json::from_str::<Value>(&answer.body)
    {
        let ids = body["Ids"].as_array().into_iter().flatten().filter_map(Value::as_str);
        found.extend(ids.map(|id| format!("{set}({id})")));
    }
    found.retain(|path| !fixture::is_ours(path, prefix) && !path.starts_with("EntityDefinitions"));
    found
}

/// Percent-encodes what may not stand in a URL; what is encoded already stays.
fn encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b' '
            | b'"'
            | b'<'
            | b'>'
            | b'{'
            | b'}'
            | b'|'
            | b'\\'
            | b'^'
            | b'`'
            | b'#'
            | 0x7f.. => {
                encoded.push_str(&format!("%{byte:02X}"));
            }
            _ => encoded.push(char::from(byte)),
        }
    }
    encoded
}
