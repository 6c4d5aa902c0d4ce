//! Why a row failed: one shape for what the client found and what the service answered.
//!
//! Not here: what to do about it (`verdict`, `retry`, `bisect`).

use model::ErrorCode;

/// The kind of a failure, as reports name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The row cannot be read: missing fields, bad JSON, bad encoding.
    Input,
    /// A value does not fit its column.
    Conversion,
    /// The row lacks what the operation needs, such as a key.
    Usage,
    /// A lookup value names no single record.
    UnresolvedLookup,
    /// A lookup value names several records.
    AmbiguousLookup,
    /// Several records match the row.
    AmbiguousMatch,
    /// The service refused the row.
    Rejected,
    /// The record does not exist.
    Absent,
    /// The service, or a gateway before it, was busy for too long.
    Busy,
    /// The service could not be reached for too long.
    Network,
    /// The service refused for too long because of contention in its store.
    Contention,
    /// The answer was lost and what happened cannot be told.
    Ambiguous,
    /// The row, or its message, is too large or too slow even alone.
    TooLarge,
    /// The caller is unknown or has no right.
    Access,
    /// The service does not know the message, the table or the column.
    Unsupported,
}

impl Class {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Conversion => "conversion",
            Self::Usage => "usage-row",
            Self::UnresolvedLookup => "unresolved-lookup",
            Self::AmbiguousLookup => "ambiguous-lookup",
            Self::AmbiguousMatch => "ambiguous-match",
            Self::Rejected => "rejected",
            Self::Absent => "absent",
            Self::Busy => "busy",
            Self::Network => "network",
            Self::Contention => "contention",
            Self::Ambiguous => "ambiguous",
            Self::TooLarge => "too-large",
            Self::Access => "access",
            Self::Unsupported => "unsupported",
        }
    }

    /// Whether `--retries` may try such a row again.
    pub fn may_be_retried(self) -> bool {
        !matches!(
            self,
            Self::Input
                | Self::Conversion
                | Self::Usage
                | Self::UnresolvedLookup
                | Self::AmbiguousLookup
                | Self::AmbiguousMatch
        )
    }
}

/// Why a row failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind.
    pub class: Class,
    /// The service's code.
    pub code: Option<ErrorCode>,
    /// What happened, in the service's words or ours.
    pub message: String,
    /// The column to blame, when known.
    pub column: Option<Box<str>>,
    /// The service's id of the request, for its support.
    pub request_id: Option<Box<str>>,
}

impl Problem {
    /// A problem that the client found.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, code: None, message: message.into(), column: None, request_id: None }
    }

    /// Names the column to blame.
    #[must_use]
    pub fn of_column(mut self, column: &str) -> Self {
        self.column = Some(column.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(code) = self.code {
            write!(f, "{code} ")?;
        }
        f.write_str(&self.message)
    }
}

/// At most 100 characters of a text, for messages.
pub fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(100) {
        None => text.into(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()).into(),
    }
}
