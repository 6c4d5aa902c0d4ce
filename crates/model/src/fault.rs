//! A fault: an error as a caller sees it.

use crate::ErrorCode;
use uuid::Uuid;

/// An error as a caller sees it: a code and a text, and where it happened.
///
/// `message` is for the caller; `log` is for the operator and never leaves the service.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The 32-bit fault code.
    pub code: ErrorCode,
    /// The text for the caller, without the ` [Targets[i].column]` tail.
    pub message: String,
    /// What the caller can do, appended after ` | sheaf: `.
    pub hint: Option<String>,
    /// The failing targets of a bulk message, ascending by index; the first is the reported one.
    pub failures: Vec<Failure>,
    /// Of several writes in one transaction: the one that failed, from 0.
    pub write: Option<usize>,
    /// `ErrorDetails` entries: name without prefix, value as text.
    pub details: Vec<(Box<str>, String)>,
    /// The status of the answer, where who refused has chosen it.
    pub http_status: Option<u16>,
    /// What custom code has traced, for the caller.
    pub trace: Option<String>,
    /// The text for the log.
    pub log: Option<String>,
}

/// One failing target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Place in `Targets`, from 0.
    pub index: usize,
    /// Logical name of the column, when one is to blame.
    pub column: Option<Box<str>>,
    /// The record's id, when known.
    pub id: Option<Uuid>,
    /// Code of this target's fault.
    pub code: ErrorCode,
    /// Text of this target's fault.
    pub message: String,
}

impl Fault {
    /// A fault of the whole request.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            failures: Vec::new(),
            write: None,
            details: Vec::new(),
            http_status: None,
            trace: None,
            log: None,
        }
    }

    /// A fault of failing targets, ascending by index: code and text are those of the first.
    ///
    /// `failures` must not be empty.
    pub fn of_targets(failures: Vec<Failure>) -> Self {
        let first = failures.first().expect("a fault of targets has at least one failing target");
        let mut this = Self::new(first.code, first.message.clone());
        this.failures = failures;
        this
    }

    /// Adds what the caller can do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds an `ErrorDetails` entry.
    #[must_use]
    pub fn with_detail(mut self, name: impl Into<Box<str>>, value: impl Into<String>) -> Self {
        self.details.push((name.into(), value.into()));
        self
    }

    /// Says which of several writes failed.
    #[must_use]
    pub fn of_write(mut self, place: usize) -> Self {
        self.write = Some(place);
        self
    }

    /// Adds what only the log may hold.
    #[must_use]
    pub fn with_log(mut self, log: impl Into<String>) -> Self {
        self.log = Some(log.into());
        self
    }

    /// The whole text for the caller: message, ` [Targets[i].column]` tail and hint.
    pub fn text(&self) -> String {
        let mut text = self.message.clone();
        if let Some(first) = self.failures.first() {
            text.push_str(&format!(" [Targets[{}]", first.index));
            if let Some(column) = &first.column {
                text.push('.');
                text.push_str(column);
            }
            text.push(']');
        }
        if let Some(hint) = &self.hint {
            text.push_str(" | sheaf: ");
            text.push_str(hint);
        }
        text
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.text())
    }
}

impl std::error::Error for Fault {}
