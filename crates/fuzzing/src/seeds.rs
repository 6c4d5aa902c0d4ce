//! The requests of `conformance/` as beginnings: what a caller really sends.
//!
//! Out: for each reader the texts that are for it; for the whole service every request.
//! Not here: what comes back.

use percent_encoding::percent_decode_str;
use testkit::scenario::fixture::PREFIX;
use testkit::scenario::folder;
use testkit::scenario::parse::{Step, parse};

use crate::ground;

/// Texts longer than this only make runs slow.
const BYTES_MAX: usize = 4_000;

/// What the scenarios send.
pub struct Seeds {
    steps: Vec<Step>,
}

impl Seeds {
    /// Reads all files of `conformance/`.
    #[must_use]
    pub fn read() -> Self {
        let folder = folder::read(&folder::home(), PREFIX).expect("conformance/ is there");
        let files = folder.scenarios.iter().chain(&folder.fixture);
        let steps = files.flat_map(|file| parse(&file.text).expect("it can be read").steps);
        Self { steps: steps.collect() }
    }

    /// Whole requests, as [`Ground::ask`](crate::ground::Ground::ask) takes them.
    #[must_use]
    pub fn requests(&self) -> Vec<Vec<u8>> {
        let request = |step: &Step| {
            let path = step.path.replace(' ', "%20");
            let mut text = format!("{} {path}\n", step.method);
            for (name, value) in &step.headers {
                text.push_str(&format!("{name}: {value}\n"));
            }
            text.push('\n');
            text.push_str(&step.body);
            text.into_bytes()
        };
        short(self.steps.iter().map(request))
    }

    /// What is for the reader of this name.
    #[must_use]
    pub fn of(&self, reader: &str) -> Vec<Vec<u8>> {
        let option = |name: &'static str| {
            let values = self.steps.iter().filter_map(move |step| value(&step.path, name));
            short(values.map(String::into_bytes))
        };
        let bodies = |wanted: &dyn Fn(&Step) -> bool| {
            let bodies = self.steps.iter().filter(|step| !step.body.is_empty() && wanted(step));
            short(bodies.map(|step| step.body.clone().into_bytes()))
        };
        match reader {
            "options" => {
                let queries = self.steps.iter().filter_map(|step| step.path.split_once('?'));
                short(queries.map(|(_, query)| query.as_bytes().to_vec()))
            }
            "filter" => option("$filter"),
            "expand" => option("$expand"),
            "order" => option("$orderby"),
            "apply" => option("$apply"),
            "fetch" => option("fetchXml"),
            "sql" => option("sql"),
            "token" => short(tokens().into_iter()),
            "query_set" => bodies(&|step| step.path.ends_with("BulkDelete")),
            "batch" => bodies(&|step| step.path.ends_with("$batch")),
            "targets" => bodies(&|step| step.path.ends_with("Multiple")),
            "record" => bodies(&|step| step.method == "POST" || step.method == "PATCH"),
            "definition" => bodies(&|step| step.path.contains("Definitions")),
            "headers" => {
                let headers = self.steps.iter().flat_map(|step| &step.headers);
                short(headers.map(|(_, value)| value.clone().into_bytes()))
            }
            _ => Vec::new(),
        }
    }
}

/// What a service gives out itself, for the queries that the reader asks.
fn tokens() -> Vec<Vec<u8>> {
    let ground = ground::shared();
    let ask = |query: &str, start: &str, end: char| {
        let request = format!(
            "GET /api/data/v9.2/ship_crates?{query}\nPrefer: odata.maxpagesize=1,odata.include-annotations=\"*\"\n\n"
        );
        let response = ground.ask(request.as_bytes()).expect("it is a request");
        let text = String::from_utf8_lossy(response.body()).into_owned();
        let (_, token) = text.split_once(start).unwrap_or_else(|| panic!("no token: {text}"));
        let token = token.split(end).next().unwrap_or_default();
        percent_decode_str(token).decode_utf8_lossy().into_owned()
    };
    let fetch =
        "fetchXml=%3Cfetch%20count=%221%22%3E%3Centity%20name=%22ship_crate%22/%3E%3C/fetch%3E";
    [
        ask("$select=ship_label", "$skiptoken=", '"'),
        ask("$apply=groupby((ship_color))", "$skiptoken=", '"'),
        {
            // The attribute as it is asked for: decoded once.
            let cookie = ask(fetch, "fetchxmlpagingcookie\":\"", '}');
            cookie.replace("\\\"", "\"")
        },
    ]
    .map(String::into_bytes)
    .into()
}

fn short(texts: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> =
        texts.filter(|text| text.len() <= BYTES_MAX && !text.is_empty()).collect();
    texts.sort();
    texts.dedup();
    texts
}

fn value(path: &str, name: &str) -> Option<String> {
    let (_, query) = path.split_once('?')?;
    let value = query.split('&').find_map(|option| option.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}
