//! What a request may cost: the numbers, by name or from a file.
//!
//! In: `off`, `dataverse`, or TOML. Out: [`Limits`]. A key that a file does not have keeps the platform's
//! number; 0 switches its limit off; an unknown key is refused by name.
//! Source: bulk.md 8.1 and 8.8; aggregates: the platform's query limits. Not here: counting (`webapi`), refusing (`admission`, `connection`).

use crate::options::Error;
use serde::Deserialize;
use std::path::Path;
use std::time::Duration;
use webapi::Facets;

/// What a request may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The three facets of service protection, per user.
    pub facets: Facets,
    /// Bytes of one request body; `usize::MAX` for no limit but memory's.
    pub message_bytes: usize,
    /// Bytes of what one step receives; `usize::MAX` for no limit but memory's.
    pub context_bytes: usize,
    /// How long a request may take from its head to its answer; zero for no limit.
    pub request_time: Duration,
    /// How long all synchronous steps of a request may run; zero for no limit.
    pub step_time: Duration,
    /// Rows that one aggregate may read; `None` for any number. Kept for aggregates.
    pub aggregate_rows: Option<u64>,
}

/// The keys of a file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requests: Option<u32>,
    execution_seconds: Option<u32>,
    concurrent: Option<u32>,
    window_seconds: Option<u32>,
    message_bytes: Option<u64>,
    context_bytes: Option<u64>,
    request_seconds: Option<u32>,
    step_seconds: Option<u32>,
}

impl Limits {
    /// Largest request body by default: 128 MiB.
    pub const MESSAGE_BYTES: usize = 134_217_728;
    /// Largest context of a step by default: 116.85 MB.
    pub const CONTEXT_BYTES: usize = 122_526_105;

    /// No facets; sizes and times hold all the same.
    pub const OFF: Self = Self {
        facets: Facets::OFF,
        message_bytes: Self::MESSAGE_BYTES,
        context_bytes: Self::CONTEXT_BYTES,
        request_time: Duration::from_secs(240),
        step_time: Duration::from_secs(120),
        aggregate_rows: None,
    };

    /// The platform's numbers.
    pub const DATAVERSE: Self =
        Self { facets: Facets::DATAVERSE, aggregate_rows: Some(50_000), ..Self::OFF };

    /// `off`, `dataverse`, or the path of a TOML file.
    pub fn named(name: &str) -> Result<Self, Error> {
        match name {
            "off" => Ok(Self::OFF),
            "dataverse" => Ok(Self::DATAVERSE),
            file => Self::read(Path::new(file)),
        }
    }

    /// Reads a file.
    fn read(path: &Path) -> Result<Self, Error> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::LimitsFile { file: file.clone(), source })?;
        Self::parse(&text).map_err(|why| Error::Limits { file, why })
    }

    /// Reads TOML; the error says what is wrong with it.
    fn parse(text: &str) -> Result<Self, String> {
        let file: File =
            toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let Facets { requests, execution_seconds, concurrent, window_seconds } = Facets::DATAVERSE;
        let facets = Facets {
            requests: file.requests.unwrap_or(requests),
            execution_seconds: file.execution_seconds.unwrap_or(execution_seconds),
            concurrent: file.concurrent.unwrap_or(concurrent),
            window_seconds: file.window_seconds.unwrap_or(window_seconds),
        };
        if facets.window_seconds > Facets::WINDOW_SECONDS_MAX {
            return Err(format!(
                "`window_seconds` may be {} at most, not {}",
                Facets::WINDOW_SECONDS_MAX,
                facets.window_seconds
            ));
        }
        let time = |seconds: Option<u32>, or: Duration| {
            seconds.map_or(or, |seconds| Duration::from_secs(seconds.into()))
        };
        Ok(Self {
            facets,
            message_bytes: bytes(file.message_bytes, Self::MESSAGE_BYTES),
            context_bytes: bytes(file.context_bytes, Self::CONTEXT_BYTES),
            request_time: time(file.request_seconds, Self::OFF.request_time),
            step_time: time(file.step_seconds, Self::OFF.step_time),
            aggregate_rows: Self::DATAVERSE.aggregate_rows,
        })
    }
}

/// A number of bytes: 0 is as many as there are.
fn bytes(given: Option<u64>, or: usize) -> usize {
    match given {
        None => or,
        Some(0) => usize::MAX,
        Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Result<Limits, &str>) {
        match (Limits::parse(text), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{text}"),
            (Err(got), Err(want)) => assert!(got.contains(want), "{text}: {got}"),
            (got, want) => panic!("{text}: {got:?} and not {want:?}"),
        }
    }

    #[test]
    fn a_missing_key_keeps_the_platforms_number() {
        let facets = Facets { requests: 8_000, concurrent: 100, ..Facets::DATAVERSE };
        check("", Ok(Limits::DATAVERSE));
        check("requests = 8_000\nconcurrent = 100", Ok(Limits { facets, ..Limits::DATAVERSE }));
        let all = "requests = 1\nexecution_seconds = 2\nconcurrent = 3\nwindow_seconds = 4\n\
                   message_bytes = 5\ncontext_bytes = 6\nrequest_seconds = 7\nstep_seconds = 8";
        let want = Limits {
            facets: Facets { requests: 1, execution_seconds: 2, concurrent: 3, window_seconds: 4 },
            message_bytes: 5,
            context_bytes: 6,
            request_time: Duration::from_secs(7),
            step_time: Duration::from_secs(8),
            ..Limits::DATAVERSE
        };
        check(all, Ok(want));
    }

    #[test]
    fn zero_switches_one_off() {
        check("message_bytes = 0", Ok(Limits { message_bytes: usize::MAX, ..Limits::DATAVERSE }));
        check(
            "request_seconds = 0",
            Ok(Limits { request_time: Duration::ZERO, ..Limits::DATAVERSE }),
        );
        let none = "requests = 0\nexecution_seconds = 0\nconcurrent = 0";
        check(none, Ok(Limits { facets: Facets::OFF, ..Limits::DATAVERSE }));
        assert!(!Limits::OFF.facets.any());
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        check("request = 5", Err("unknown field `request`"));
        check("requests = -1", Err("-1"));
        check("requests = \"many\"", Err("many"));
        check("requests = 1\nrequests = 2", Err("requests"));
        check("window_seconds = 3601", Err("`window_seconds` may be 3600 at most"));
        check("[requests]\nmax = 1", Err("requests"));
    }

    #[test]
    fn names_and_files_are_told_apart() {
        assert_eq!(Limits::named("off").ok(), Some(Limits::OFF));
        assert_eq!(Limits::named("dataverse").ok(), Some(Limits::DATAVERSE));
        let missing = Limits::named("no/such/limits.toml").map_err(|error| error.to_string());
        assert_eq!(missing, Err("cannot read the limits file `no/such/limits.toml`".to_owned()));
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "concurrent = 2").expect("written");
        let limits = Limits::named(&file.path().display().to_string()).expect("read");
        assert_eq!(limits.facets.concurrent, 2);
    }
}
