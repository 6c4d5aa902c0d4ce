//! The optional parameters of a request: what custom logic is told, and what it is spared.
//!
//! Source: bulk.md 8.9. They are read strictly, so that a typing error never runs what was meant to be
//! bypassed. There is no flow and no duplicate rule, so what is about those changes no answer.
//! Not here: headers that change an answer by themselves (`request`).

use crate::fault::Problem;
use http::HeaderMap;
use model::Uuid;
use pipeline::{Bypass, Course, Need, privilege};
use wire::headers;

/// How many steps one request may name (the platform's default).
const STEPS_MAX: usize = 3;

/// What the caller asks about custom logic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// No synchronous custom logic.
    pub(crate) bypass_sync: bool,
    /// The older header says so.
    pub(crate) by_older_header: bool,
    /// The newer header says so.
    pub(crate) by_newer_header: bool,
    /// No asynchronous custom logic.
    pub(crate) bypass_async: bool,
    /// None of these steps; ids that name none are ignored.
    pub(crate) bypass_steps: Vec<Uuid>,
    /// No flows are started.
    pub(crate) suppress_flows: bool,
    /// Duplicate rules are asked (there are none).
    pub(crate) detect_duplicates: bool,
    /// `?tag=`: a text for custom logic.
    pub(crate) tag: Option<String>,
}

/// Reads the headers and the option `tag`.
pub(crate) fn read(headers: &HeaderMap, tag: Option<&str>) -> Result<Parameters, Problem> {
    let mut this = Parameters { tag: tag.map(str::to_owned), ..Parameters::default() };
    this.bypass_sync =
        boolean(headers, headers::MSCRM_BYPASS_CUSTOM_PLUGIN_EXECUTION)?.unwrap_or(false);
    this.by_older_header = this.bypass_sync;
    this.suppress_flows =
        boolean(headers, headers::MSCRM_SUPPRESS_CALLBACK_REGISTRATION_EXPANDER_JOB)?
            .unwrap_or(false);
    this.detect_duplicates =
        !boolean(headers, headers::MSCRM_SUPPRESS_DUPLICATE_DETECTION)?.unwrap_or(true);
    let name = headers::MSCRM_BYPASS_BUSINESS_LOGIC_EXECUTION;
    for kind in items(headers, name)? {
        match kind {
            _ if kind.eq_ignore_ascii_case("CustomSync") => {
                this.bypass_sync = true;
                this.by_newer_header = true;
            }
            _ if kind.eq_ignore_ascii_case("CustomAsync") => this.bypass_async = true,
            _ => return Err(bad(name, kind, "CustomSync, CustomAsync or both")),
        }
    }
    let name = headers::MSCRM_BYPASS_BUSINESS_LOGIC_EXECUTION_STEP_IDS;
    for id in items(headers, name)? {
        let step = Uuid::try_parse(id).map_err(|_| bad(name, id, "ids of steps"))?;
        this.bypass_steps.push(step);
    }
    if this.bypass_steps.len() > STEPS_MAX {
        let text = format!("The header '{name}' names more than {STEPS_MAX} steps.");
        return Err(Problem::argument(text));
    }
    Ok(this)
}

impl Parameters {
    /// What a caller must be allowed to do for leaving out custom logic (bulk.md 8.9).
    pub(crate) fn needs(&self) -> Vec<Need> {
        let plugins = self.bypass_sync && self.by_older_header;
        let logic = self.bypass_async
            || !self.bypass_steps.is_empty()
            || (self.bypass_sync && self.by_newer_header);
        let plugins = plugins.then_some(Need::Named(privilege::BYPASS_PLUGINS));
        let logic = logic.then_some(Need::Named(privilege::BYPASS_LOGIC));
        plugins.into_iter().chain(logic).collect()
    }

    /// What steps are told, and which of them the caller leaves out.
    pub(crate) fn course(&self) -> Course {
        let bypass = Bypass {
            synchronous: self.bypass_sync,
            asynchronous: self.bypass_async,
            steps: self.bypass_steps.clone(),
        };
        Course::from_outside(bypass, self.tag.as_deref().map(Box::from))
    }

    /// Leaves a trace for whoever looks for what a client asked.
    pub(crate) fn trace(&self) {
        if *self != Self::default() {
            tracing::debug!(
                bypass_sync = self.bypass_sync,
                bypass_async = self.bypass_async,
                bypass_steps = self.bypass_steps.len(),
                suppress_flows = self.suppress_flows,
                detect_duplicates = self.detect_duplicates,
                tag = self.tag,
                "a request with optional parameters"
            );
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let text = format!("The header '{name}' was specified more than once.");
        return Err(Problem::argument(text));
    }
    let value = value.to_str().map_err(|_| bad(name, "?", "plain text"))?;
    Ok(Some(value.trim()))
}

/// `true` or `false` in any case.
fn boolean(headers: &HeaderMap, name: &str) -> Result<Option<bool>, Problem> {
    match text(headers, name)? {
        None => Ok(None),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(value) => Err(bad(name, value, "true or false")),
    }
}

/// A list with commas; quotes and blanks around items, or around all, do not count.
fn items<'a>(headers: &'a HeaderMap, name: &str) -> Result<Vec<&'a str>, Problem> {
    let list = text(headers, name)?.unwrap_or_default().split(',');
    let bare = |item: &'a str| item.trim_matches(|one: char| one == '"' || one.is_whitespace());
    Ok(list.map(bare).filter(|item| !item.is_empty()).collect())
}

fn bad(name: &str, value: &str, want: &str) -> Problem {
    Problem::argument(format!("The value '{value}' of the header '{name}' is not valid: {want}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    /// `Name: value` lines without `MSCRM.` to what was read, or to the text of the refusal.
    fn check(lines: &str, want: Result<Parameters, &str>) {
        let mut headers = HeaderMap::new();
        for line in lines.lines() {
            let (name, value) = line.split_once(':').expect("a header");
            let name = format!("mscrm.{}", name.trim().to_lowercase());
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_str(value.trim()).expect("a value"));
        }
        let got = read(&headers, None).map_err(|problem| problem.fault.message.to_string());
        match want {
            Ok(want) => assert_eq!(got, Ok(want), "{lines}"),
            Err(piece) => {
                let text = got.expect_err(lines);
                assert!(text.contains(piece), "{lines}: {text}");
            }
        }
    }

    #[test]
    fn nothing_asked_is_nothing_read() {
        check("", Ok(Parameters::default()));
        check("SuppressDuplicateDetection: true", Ok(Parameters::default()));
        check("BypassCustomPluginExecution: FALSE", Ok(Parameters::default()));
    }

    #[test]
    fn booleans_come_in_any_case() {
        let sync = Parameters { bypass_sync: true, ..Parameters::default() };
        let older = Parameters { by_older_header: true, ..sync.clone() };
        check("BypassCustomPluginExecution: True", Ok(older));
        let newer = Parameters { by_newer_header: true, ..sync };
        check("BypassBusinessLogicExecution: customsync", Ok(newer));
        let flows = Parameters { suppress_flows: true, ..Parameters::default() };
        check("SuppressCallbackRegistrationExpanderJob: tRUE", Ok(flows));
        let detect = Parameters { detect_duplicates: true, ..Parameters::default() };
        check("SuppressDuplicateDetection: False", Ok(detect));
    }

    #[test]
    fn lists_may_be_quoted_and_have_blanks() {
        let both = Parameters {
            bypass_sync: true,
            by_newer_header: true,
            bypass_async: true,
            ..Parameters::default()
        };
        check("BypassBusinessLogicExecution: CustomSync,CustomAsync", Ok(both.clone()));
        check("BypassBusinessLogicExecution: \"CustomSync, CustomAsync\"", Ok(both));
        let id = |n: u128| Uuid::from_u128(n);
        let two = Parameters { bypass_steps: vec![id(1), id(2)], ..Parameters::default() };
        let header = "BypassBusinessLogicExecutionStepIds";
        check(&format!("{header}: \"{}\" , {}", id(1), id(2)), Ok(two.clone()));
        check(&format!("{header}: \"{},{}\"", id(1), id(2)), Ok(two));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        check("BypassCustomPluginExecution: yes", Err("bypasscustompluginexecution"));
        check("BypassCustomPluginExecution:", Err("true or false"));
        check("SuppressDuplicateDetection: 0", Err("suppressduplicatedetection"));
        check("SuppressCallbackRegistrationExpanderJob: 1", Err("true or false"));
        check("BypassBusinessLogicExecution: Sync", Err("'Sync'"));
        check("BypassBusinessLogicExecutionStepIds: 1", Err("'1'"));
        let id = Uuid::nil();
        let four = format!("BypassBusinessLogicExecutionStepIds: {id},{id},{id},{id}");
        check(&four, Err("more than 3 steps"));
        let twice = "BypassCustomPluginExecution: true\nBypassCustomPluginExecution: false";
        check(twice, Err("more than once"));
    }
}
