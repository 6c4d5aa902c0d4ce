//! Lines of the run's trace, and records of the service's own log.

use crate::bindings::sheaf::plugin::{logging, tracing};

/// How much a record of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For who looks for a fault.
    Trace,
    /// For who develops.
    Debug,
    /// The usual course.
    Information,
    /// It went on, but something is not as it should be.
    Warning,
    /// It failed.
    Error,
    /// More than this run fails.
    Critical,
}

/// Adds a line to the run's trace; the newest 10 KB are kept.
pub fn trace(line: &str) {
    tracing::trace(line);
}

/// Adds a record to the service's log: at most 1,000 of them and 1 MiB in one run.
pub fn log(level: Level, message: &str, scope: &[(&str, &str)]) {
    let level = match level {
        Level::Trace => logging::Level::Trace,
        Level::Debug => logging::Level::Debug,
        Level::Information => logging::Level::Information,
        Level::Warning => logging::Level::Warning,
        Level::Error => logging::Level::Error,
        Level::Critical => logging::Level::Critical,
    };
    let scope: Vec<(String, String)> =
        scope.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    logging::log(level, message, &scope);
}

/// Adds a formatted line to the run's trace.
#[macro_export]
macro_rules! trace {
    ($($argument:tt)*) => {
        $crate::logging::trace(&::std::format!($($argument)*))
    };
}
