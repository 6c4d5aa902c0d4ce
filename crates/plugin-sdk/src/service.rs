//! What a run may ask of the service: messages and queries, in the message's own transaction and one level deeper.

use crate::bindings::sheaf::plugin::organization_service as service;
use crate::bindings::sheaf::plugin::types as flat;
use crate::lists::{self, halves, id_of, payload_of};
use crate::value::{Guid, Record};
use std::fmt;

/// A fault that the service answered.
///
/// Inside a transaction a write that failed undoes the message whatever the plug-in answers; passed on with `?`, its
/// caller gets the code and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The code, as a signed number.
    pub code: i32,
    /// The text.
    pub message: String,
    /// Further details.
    pub details: Vec<(String, String)>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:08x} {}", self.code, self.message)
    }
}

impl std::error::Error for Fault {}

impl From<flat::Fault> for Fault {
    fn from(fault: flat::Fault) -> Self {
        Self { code: fault.code, message: fault.message, details: fault.details }
    }
}

impl Fault {
    pub(crate) fn into_flat(self) -> flat::Fault {
        flat::Fault { code: self.code, message: self.message, details: self.details }
    }
}

/// What became of a record of an upsert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upserted {
    /// Its id.
    pub id: Guid,
    /// It was made, not changed.
    pub created: bool,
}

/// Records that a query found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The records. Columns without a value are not among theirs.
    pub records: Vec<Record>,
    /// There are more.
    pub more: bool,
    /// What asks for the next ones.
    pub cookie: String,
    /// How many there are in all; none where it was not asked for.
    pub total: Option<u32>,
}

/// The service.
#[derive(Clone, Debug, Default)]
pub struct Service {
    caller: Caller,
    bypass_synchronous: bool,
    bypass_asynchronous: bool,
    tag: Option<String>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Caller {
    #[default]
    User,
    Initiating,
    System,
    Other(Guid),
}

/// `InvalidArgument`.
const INVALID_ARGUMENT: i32 = 0x8004_0203_u32.cast_signed();

impl Service {
    /// With the rights of who sent the request.
    #[must_use]
    pub fn as_initiating_user(mut self) -> Self {
        self.caller = Caller::Initiating;
        self
    }

    /// With all rights. The assembly must be trusted by an administrator.
    #[must_use]
    pub fn as_system(mut self) -> Self {
        self.caller = Caller::System;
        self
    }

    /// With the rights of another user. The step's user must be allowed to act for others.
    #[must_use]
    pub fn as_user(mut self, user: Guid) -> Self {
        self.caller = Caller::Other(user);
        self
    }

    /// Without synchronous steps; the user must be allowed to bypass them.
    #[must_use]
    pub fn bypass_synchronous(mut self) -> Self {
        self.bypass_synchronous = true;
        self
    }

    /// Without asynchronous steps; the user must be allowed to bypass them.
    #[must_use]
    pub fn bypass_asynchronous(mut self) -> Self {
        self.bypass_asynchronous = true;
        self
    }

    /// With a shared variable `tag` for the steps of the message.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    fn options(&self) -> service::Options {
        service::Options {
            caller: match self.caller {
                Caller::User => service::Caller::User,
                Caller::Initiating => service::Caller::InitiatingUser,
                Caller::System => service::Caller::System,
                Caller::Other(user) => service::Caller::AsUser(halves(user)),
            },
            bypass_sync: self.bypass_synchronous,
            bypass_async: self.bypass_asynchronous,
            tag: self.tag.clone(),
        }
    }

    /// Makes a record; answers its id.
    pub fn create(&self, record: &Record) -> Result<Guid, Fault> {
        let created = service::create(&one(record), &self.options())?;
        Ok(id_of(created))
    }

    /// Changes a record.
    pub fn update(&self, record: &Record) -> Result<(), Fault> {
        Ok(service::update(&one(record), &self.options())?)
    }

    /// Makes a record or changes it.
    pub fn upsert(&self, record: &Record) -> Result<Upserted, Fault> {
        Ok(upserted(service::upsert(&one(record), &self.options())?))
    }

    /// Deletes a record.
    pub fn delete(&self, table: &str, id: Guid) -> Result<(), Fault> {
        Ok(service::delete(&one(&Record::of(table, id)), &self.options())?)
    }

    /// Reads a record; without columns, all of them.
    pub fn retrieve(&self, table: &str, id: Guid, columns: &[&str]) -> Result<Record, Fault> {
        self.retrieve_by(&Record::of(table, id), columns)
    }

    /// Reads the record that is named by an id or an alternate key.
    pub fn retrieve_by(&self, record: &Record, columns: &[&str]) -> Result<Record, Fault> {
        let columns: Vec<String> = columns.iter().map(|column| (*column).to_owned()).collect();
        let found = service::retrieve(&one(record), &columns, &self.options())?;
        lists::records(&found, 0).into_iter().next().ok_or_else(|| invalid("there is no record"))
    }

    /// Reads the records of a FetchXML query.
    pub fn fetch(&self, fetch_xml: &str) -> Result<Page, Fault> {
        self.query(&service::Query::FetchXml(fetch_xml.to_owned()))
    }

    /// Reads the records of an entity set with OData options: `accounts?$select=name`.
    pub fn odata(&self, query: &str) -> Result<Page, Fault> {
        self.query(&service::Query::Odata(query.to_owned()))
    }

    fn query(&self, query: &service::Query) -> Result<Page, Fault> {
        let page = service::retrieve_multiple(query, &self.options())?;
        Ok(Page {
            records: lists::records(&page.data, 0),
            more: page.more,
            cookie: page.cookie,
            total: u32::try_from(page.total).ok(),
        })
    }

    /// Makes records of one table, all or none; answers their ids in order.
    pub fn create_multiple(&self, records: &[Record]) -> Result<Vec<Guid>, Fault> {
        let ids = service::create_multiple(&many(records)?, &self.options())?;
        Ok(ids.into_iter().map(id_of).collect())
    }

    /// Changes records of one table, all or none.
    pub fn update_multiple(&self, records: &[Record]) -> Result<(), Fault> {
        Ok(service::update_multiple(&many(records)?, &self.options())?)
    }

    /// Makes or changes records of one table, all or none.
    pub fn upsert_multiple(&self, records: &[Record]) -> Result<Vec<Upserted>, Fault> {
        let outcomes = service::upsert_multiple(&many(records)?, &self.options())?;
        Ok(outcomes.into_iter().map(upserted).collect())
    }

    /// Deletes records of one elastic table.
    pub fn delete_multiple(&self, records: &[Record]) -> Result<(), Fault> {
        Ok(service::delete_multiple(&many(records)?, &self.options())?)
    }
}

fn one(record: &Record) -> flat::Payload {
    payload_of(std::slice::from_ref(record))
}

fn many(records: &[Record]) -> Result<flat::Payload, Fault> {
    let mut tables = records.iter().map(|record| record.table.as_str());
    let first = tables.next().ok_or_else(|| invalid("a bulk message needs a record"))?;
    match tables.find(|table| *table != first) {
        Some(other) => Err(invalid(&format!(
            "a bulk message is about one table, not about `{first}` and `{other}`"
        ))),
        None => Ok(payload_of(records)),
    }
}

fn invalid(message: &str) -> Fault {
    Fault { code: INVALID_ARGUMENT, message: message.to_owned(), details: Vec::new() }
}

fn upserted(outcome: service::UpsertOutcome) -> Upserted {
    Upserted { id: id_of(outcome.id), created: outcome.created }
}
