//! What conditions about the present and about the caller mean.
//!
//! Pure data that binding is handed. The settings cost reads, so they may be left out at first: a
//! condition that needs them then answers [`Error::SettingsNeeded`], and the query is bound once more.
//! Not here: reading them (`pipeline`), what operators make of them (`dates`, `operator`).

use crate::Error;
use crate::dates::Fiscal;
use jiff::tz::TimeZone;
use model::{Timestamp, Uuid};
use std::sync::OnceLock;

/// When a query is asked, and by whom.
#[derive(Clone, Debug)]
pub struct Context {
    /// The present: one instant for the whole query.
    pub now: Timestamp,
    /// `systemuserid` of the caller.
    pub user: Uuid,
    /// The caller's business unit.
    pub business_unit: Uuid,
    /// What the caller and the organisation have set; empty until somebody has read it.
    pub settings: OnceLock<Settings>,
}

/// What the caller and the organisation have set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The caller's time zone.
    pub zone: TimeZone,
    /// The organisation's fiscal calendar.
    pub fiscal: Fiscal,
    /// The caller's language, as a locale id.
    pub language: i32,
}

impl Default for Settings {
    /// UTC, quarters from the first of January, English.
    fn default() -> Self {
        Self { zone: TimeZone::UTC, fiscal: Fiscal::default(), language: 1033 }
    }
}

impl Default for Context {
    /// The epoch, nobody, and no settings read.
    fn default() -> Self {
        Self {
            now: Timestamp(0),
            user: Uuid::nil(),
            business_unit: Uuid::nil(),
            settings: OnceLock::new(),
        }
    }
}

impl Context {
    /// A context whose settings are known.
    pub fn with(now: Timestamp, user: Uuid, business_unit: Uuid, settings: Settings) -> Self {
        Self { now, user, business_unit, settings: OnceLock::from(settings) }
    }

    pub(crate) fn settings(&self) -> Result<&Settings, Error> {
        self.settings.get().ok_or(Error::SettingsNeeded)
    }
}
