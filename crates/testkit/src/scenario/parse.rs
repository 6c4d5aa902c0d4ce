//! From the text of a scenario file to a [`Scenario`]. Pure.
//!
//! Not here: what `~`, `…` and `$name` match (`compare`), sending (`play`).
//! Invariant: whatever is not understood is an error that names its line; nothing is skipped.

use serde_json::Value;

use super::compare;

/// What a real service is asked for when a path does not begin with a slash.
pub const SERVICE_ROOT: &str = "/api/data/v9.2/";

/// A `repeat` or `lines` line makes at most this many copies.
const REPEAT_MAX: usize = 20_000;

/// One file.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its first line.
    pub sentence: String,
    /// The rest of every `# source:` line.
    pub sources: Vec<String>,
    /// The kind of table that it plays on.
    pub tables: TableKind,
    /// Features of the service that it needs, by name.
    pub needs: Vec<String>,
    /// Requests and what must come back, in order.
    pub steps: Vec<Step>,
}

/// What `tables:` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Transactional tables.
    Standard,
    /// Partitioned tables.
    Elastic,
}

/// One request and its expectation.
#[derive(Debug, Clone)]
pub struct Step {
    /// The line of the request, from 1.
    pub line: usize,
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query, with blanks as written; placeholders not yet filled in.
    pub path: String,
    /// Header lines; placeholders not yet filled in.
    pub headers: Vec<(String, String)>,
    /// The body; empty means none.
    pub body: String,
    /// What must come back.
    pub expect: Expectation,
}

/// What must come back.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The line of the status, from 1.
    pub line: usize,
    /// The status code.
    pub status: u16,
    /// Headers that must be there, with the pattern of their value.
    pub headers: Vec<(String, String)>,
    /// Headers that must not be there.
    pub absent: Vec<String>,
    /// What the body must be.
    pub body: Body,
}

/// What a body must be.
#[derive(Debug, Clone)]
pub enum Body {
    /// Nothing is said about it.
    Any,
    /// JSON that contains this ([`compare::json`]).
    Json(Value),
    /// Text that matches this pattern as a whole.
    Text(String),
    /// Text with lines that match these patterns, in this order; others may stand between.
    Lines(Vec<String>),
}

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

type Parsed<T> = Result<T, Malformed>;

/// Reads the text of a file.
///
/// Errors: the first line that is not understood.
pub fn parse(text: &str) -> Parsed<Scenario> {
    let lines: Vec<&str> = text.lines().collect();
    let mut scenario = Scenario {
        sentence: String::new(),
        sources: Vec::new(),
        tables: TableKind::Standard,
        needs: Vec::new(),
        steps: Vec::new(),
    };
    let mut at = header(&lines, &mut scenario)?;
    while at < lines.len() {
        if lines[at].trim().is_empty() || lines[at].starts_with('#') {
            at += 1;
            continue;
        }
        let (step, next) = step(&lines, at)?;
        scenario.steps.push(step);
        at = next;
    }
    if scenario.steps.is_empty() {
        return Err(malformed(lines.len(), "there is no request"));
    }
    Ok(scenario)
}

fn malformed(line: usize, why: impl Into<String>) -> Malformed {
    Malformed { line, why: why.into() }
}

/// Reads the head of the file; returns where the first request may be.
fn header(lines: &[&str], scenario: &mut Scenario) -> Parsed<usize> {
    let first = lines.first().and_then(|line| line.strip_prefix("# ")).unwrap_or_default();
    if !first.ends_with('.') {
        return Err(malformed(1, "the first line is `# A sentence.`"));
    }
    first.clone_into(&mut scenario.sentence);
    let mut tables = None;
    let mut at = 1;
    while let Some(line) = lines.get(at) {
        let number = at + 1;
        if let Some(comment) = line.strip_prefix('#') {
            if let Some(source) = comment.trim().strip_prefix("source:") {
                scenario.sources.push(source.trim().to_owned());
            }
        } else if let Some(kind) = line.strip_prefix("tables:") {
            tables = Some(match kind.trim() {
                "standard" => TableKind::Standard,
                "elastic" => TableKind::Elastic,
                other => return Err(malformed(number, format!("no kind of table: `{other}`"))),
            });
        } else if let Some(needs) = line.strip_prefix("needs:") {
            scenario.needs.extend(needs.split(',').map(|need| need.trim().to_owned()));
        } else if line.trim().is_empty() || request_line(line).is_some() {
            break;
        } else {
            return Err(malformed(number, format!("not a line of a head: `{line}`")));
        }
        at += 1;
    }
    if scenario.sources.is_empty() {
        return Err(malformed(at, "there is no `# source:` line"));
    }
    scenario.tables =
        tables.ok_or_else(|| malformed(at, "there is no line `tables: standard|elastic`"))?;
    if scenario.tables == TableKind::Elastic && !scenario.needs.iter().any(|n| n == "elastic") {
        scenario.needs.push("elastic".to_owned());
    }
    Ok(at)
}

const METHODS: [&str; 8] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE"];

fn request_line(line: &str) -> Option<(&str, &str)> {
    let (method, path) = line.split_once(' ')?;
    let path = path.trim_end();
    (METHODS.contains(&method) && !path.is_empty()).then_some((method, path))
}

fn header_line(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (!name.is_empty() && name.bytes().all(is_name)).then_some((name, value.trim()))
}

/// Reads one request with its expectation; returns where the next may be.
fn step(lines: &[&str], start: usize) -> Parsed<(Step, usize)> {
    let line = start + 1;
    let Some((method, path)) = request_line(lines[start]) else {
        return Err(malformed(
            line,
            format!("neither a request nor a comment: `{}`", lines[start]),
        ));
    };
    let end = (start..lines.len())
        .find(|at| lines[*at] == "----")
        .ok_or_else(|| malformed(line, "the request has no `----` after it"))?;
    let mut at = start + 1;
    let mut headers = Vec::new();
    while at < end && !lines[at].is_empty() {
        let Some((name, value)) = header_line(lines[at]) else { break };
        headers.push((name.to_owned(), value.to_owned()));
        at += 1;
    }
    if at < end && lines[at].is_empty() {
        at += 1;
    }
    let body = repeated(&lines[at..end], at + 1)?;
    let next =
        (end + 1..lines.len()).find(|at| request_line(lines[*at]).is_some()).unwrap_or(lines.len());
    let expect = expectation(&lines[..next], end + 1)?;
    let (method, path) = (method.to_owned(), absolute(path));
    Ok((Step { line, method, path, headers, body, expect }, next))
}

fn absolute(path: &str) -> String {
    // A captured link is absolute; `$batch` and `$metadata` are segments.
    let is_capture =
        path.starts_with('$') && !["$batch", "$metadata"].iter().any(|s| path.starts_with(s));
    let is_absolute = path.starts_with('/') || path.starts_with("http") || is_capture;
    if is_absolute { path.to_owned() } else { format!("{SERVICE_ROOT}{path}") }
}

fn expectation(lines: &[&str], start: usize) -> Parsed<Expectation> {
    let line = start + 1;
    let first = lines.get(start).copied().unwrap_or_default();
    let (status, rest) = first.split_once(' ').unwrap_or((first, ""));
    let status = status.parse().map_err(|_| malformed(line, format!("no status: `{first}`")))?;
    let mut expect =
        Expectation { line, status, headers: Vec::new(), absent: Vec::new(), body: Body::Any };
    let mut at = start + 1;
    while let Some(text) = lines.get(at)
        && rest.is_empty()
    {
        if let Some(name) = text.strip_prefix('!') {
            expect.absent.push(name.trim().to_owned());
        } else if let Some(("body", _)) | None = header_line(text) {
            break;
        } else if let Some((name, value)) = header_line(text) {
            expect.headers.push((name.to_owned(), value.to_owned()));
        }
        at += 1;
    }
    let mut last = lines.len();
    while last > at && (lines[last - 1].trim().is_empty() || lines[last - 1].starts_with('#')) {
        last -= 1;
    }
    let below = &lines[at..last];
    expect.body = match below.first().and_then(|text| text.strip_prefix("body:")) {
        Some("") => Body::Lines(
            below[1..].iter().filter(|l| !l.is_empty()).map(|l| (*l).to_owned()).collect(),
        ),
        Some(text) if below.len() == 1 => Body::Text(text.trim().to_owned()),
        Some(_) => return Err(malformed(at + 2, "`body: text` is one line")),
        None => {
            let text = format!("{rest}\n{}", repeated(below, at + 1)?);
            match text.trim() {
                "" => Body::Any,
                text => Body::Json(compare::pattern(text).map_err(|why| malformed(line, why))?),
            }
        }
    };
    Ok(expect)
}

/// Joins lines. A line `repeat N: text` stands for N copies of the text with commas between, a line
/// `lines N: text` for N copies below each other, in which `\n` is a line break. `$i` in a copy is its
/// number from 0, `$i12` the same with twelve digits.
fn repeated(lines: &[&str], first: usize) -> Parsed<String> {
    let mut joined = Vec::new();
    for (offset, line) in lines.iter().enumerate() {
        joined.push(
            match (line.trim_start().strip_prefix("repeat "), line.strip_prefix("lines ")) {
                (Some(rest), _) => {
                    let (text, comma) =
                        rest.strip_suffix(',').map_or((rest, ""), |text| (text, ","));
                    format!("{}{comma}", copies(text, ",\n", first + offset)?)
                }
                (None, Some(rest)) => copies(&rest.replace("\\n", "\n"), "\n", first + offset)?,
                (None, None) => (*line).to_owned(),
            },
        );
    }
    Ok(joined.join("\n"))
}

/// `N: text` as N copies of the text.
fn copies(rest: &str, between: &str, line: usize) -> Parsed<String> {
    let bad = || malformed(line, format!("not `N: text` with N up to {REPEAT_MAX}"));
    let (count, text) = rest.split_once(": ").ok_or_else(bad)?;
    let count: usize = count.parse().map_err(|_| bad())?;
    if count > REPEAT_MAX {
        return Err(bad());
    }
    let copies: Vec<String> = (0..count)
        .map(|n| text.replace("$i12", &format!("{n:012}")).replace("$i", &n.to_string()))
        .collect();
    Ok(copies.join(between))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# It works.\n# source: bulk.md §1.3\ntables: standard\n\n";

    fn check(rest: &str, want: Result<&str, (usize, &str)>) {
        let shown = parse(&format!("{HEAD}{rest}")).map(|scenario| {
            let steps = scenario.steps.iter().map(|step| {
                let Expectation { status, headers, absent, body, .. } = &step.expect;
                let Step { method, path, headers: sent, body: text, .. } = step;
                format!(
                    "{method} {path} {sent:?} {text:?} -> {status} {headers:?} {absent:?} {body:?}"
                )
            });
            steps.collect::<Vec<_>>().join("\n")
        });
        let got = shown.as_deref().map_err(|bad| (bad.line, &*bad.why));
        assert_eq!(got, want, "{rest}");
    }

    #[test]
    fn a_request_has_headers_and_a_body_and_a_path_below_the_root() {
        check(
            "GET ship_crates?$top=1\nPrefer: a\n----\n200 {\"value\": []}\n",
            Ok(
                "GET /api/data/v9.2/ship_crates?$top=1 [(\"Prefer\", \"a\")] \"\" -> 200 [] [] Json(Object {\"value\": Array []})",
            ),
        );
        check(
            "POST /x\n{\"a\": 1}\n----\n204\nETag: ~\n!Location\n",
            Ok("POST /x [] \"{\\\"a\\\": 1}\" -> 204 [(\"ETag\", \"~\")] [\"Location\"] Any"),
        );
        check(
            "POST /x\nA: b\n\n--b\nC: d\n\n----\n200\nbody:\nHTTP/1.1 204~\n",
            Ok(
                "POST /x [(\"A\", \"b\")] \"--b\\nC: d\\n\" -> 200 [] [] Lines([\"HTTP/1.1 204~\"])",
            ),
        );
    }

    #[test]
    fn steps_follow_each_other_with_comments_between() {
        check(
            "GET /a\n----\n200\nbody: 2\n\n# And again.\nGET /b\n----\n404\n",
            Ok("GET /a [] \"\" -> 200 [] [] Text(\"2\")\nGET /b [] \"\" -> 404 [] [] Any"),
        );
    }

    #[test]
    fn a_repeated_line_is_numbered() {
        check(
            "POST /a\n[\nrepeat 2: \"n$i $i12\",\n3]\n----\n204\n",
            Ok(
                "POST /a [] \"[\\n\\\"n0 000000000000\\\",\\n\\\"n1 000000000001\\\",\\n3]\" -> 204 [] [] Any",
            ),
        );
        check(
            "POST /a\n\nlines 2: --b\\nn$i\n----\n204\n",
            Ok("POST /a [] \"--b\\nn0\\n--b\\nn1\" -> 204 [] [] Any"),
        );
        check("POST /a\nrepeat x: 1\n----\n204\n", Err((6, "not `N: text` with N up to 20000")));
    }

    #[test]
    fn what_is_not_understood_names_its_line() {
        check("", Err((4, "there is no request")));
        check("GET /a\n", Err((5, "the request has no `----` after it")));
        check("GET /a\n----\nfine\n", Err((7, "no status: `fine`")));
        check("fetch /a\n----\n200\n", Err((5, "neither a request nor a comment: `fetch /a`")));
        check(
            "GET /a\n----\n200 {\"a\": }\n",
            Err((7, "the expected JSON cannot be read: expected value at line 1 column 7")),
        );
    }

    #[test]
    fn a_head_names_its_source_and_its_tables() {
        let check = |text: &str, why: &str| {
            assert_eq!(parse(text).map(drop).map_err(|bad| bad.why).unwrap_err(), why);
        };
        check("It works.", "the first line is `# A sentence.`");
        check("# It works.\ntables: standard\n", "there is no `# source:` line");
        check("# It works.\n# source: x\n", "there is no line `tables: standard|elastic`");
        check("# It works.\n# source: x\ntables: all\n", "no kind of table: `all`");
        check("# It works.\n# source: x\nfeature: y\n", "not a line of a head: `feature: y`");
    }
}
