//! A service and its definitions: who am I, which tables there are, what a table is, making one.
//!
//! Not here: rows (`set`, `get`, `remove`).
//! Invariant: definitions are read once, before rows move; a failure here is a failure of the call.

use crate::infer::Proposal;
use crate::problem::{Class, Problem};
use crate::rows::Operation;
use crate::transport::{self, Request, Response, Transport};
use crate::verdict::{self, Sent, Verdict};
use crate::{controller, definition};
use futures_util::StreamExt;
use futures_util::future::{try_join, try_join_all};
use model::{Catalog, ColumnIndex, ColumnKind, Table, TableDefinition, TableId, TableKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::Duration;

/// What is escaped in the value of a query option.
pub(crate) const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b',')
    .remove(b'(')
    .remove(b')')
    .remove(b'\'')
    .remove(b'/')
    .remove(b':');

/// How often a request outside a run is sent before it fails.
const ATTEMPTS_MAX: u32 = 4;
/// Definitions of a lookup's tables that are asked for at once.
const DEFINITIONS_AT_ONCE: usize = 8;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Why a call failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no service there.
    #[error("no answer from the service (is it running, and is that its address?)")]
    Unreachable(#[from] transport::Error),
    /// Who gives tokens for the service is not to be reached.
    #[error(
        "nobody gives a token for the service (look at the network, and at --token-url and --tenant)"
    )]
    NoToken(#[source] transport::Error),
    /// The service refused.
    #[error("the service refused {doing}: {problem}")]
    Refused {
        /// What was asked.
        doing: String,
        /// Its answer.
        problem: Problem,
    },
    /// The answer is none that the contract knows.
    #[error("the service's answer to {doing} cannot be read: {why}")]
    Unreadable {
        /// What was asked.
        doing: String,
        /// What is wrong with it.
        why: String,
    },
    /// Identities of one run do not call the same service.
    #[error("`{one}` and `{other}` reach different organizations: rows of one run go to one alone")]
    Strangers {
        /// An identity.
        one: String,
        /// Another one.
        other: String,
    },
    /// No table of this name.
    #[error("there is no table `{name}`{}", hint(similar))]
    NoTable {
        /// As given.
        name: String,
        /// Tables with similar names.
        similar: Vec<String>,
    },
}

fn hint(similar: &[String]) -> String {
    if similar.is_empty() { String::new() } else { format!(" (there is {})", similar.join(", ")) }
}

/// A table in a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    /// Logical name.
    pub logical_name: String,
    /// The URL segment.
    #[serde(default)]
    pub entity_set_name: Option<String>,
    /// Made by a user of the service.
    #[serde(default)]
    pub is_custom_entity: bool,
    #[serde(default)]
    display_name: Json,
}

impl Listed {
    /// The display name.
    pub fn shown(&self) -> Option<&str> {
        let label = self.display_name.get("UserLocalizedLabel").filter(|label| label.is_object());
        label.or_else(|| self.display_name.get("LocalizedLabels")?.get(0))?.get("Label")?.as_str()
    }
}

/// A table with the tables that its lookups point to.
#[derive(Clone, Debug)]
pub struct Described {
    /// The table.
    pub table: Arc<Table>,
    /// It and the tables that were asked for.
    pub catalog: Arc<Catalog>,
}

/// Whom the service takes its caller for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Id of the user.
    pub user: String,
    /// Id of the organization.
    pub organization: String,
    /// How many requests at once the service recommends.
    pub width_hint: Option<usize>,
}

/// A service.
#[derive(Clone)]
pub struct Service {
    transport: Arc<dyn Transport>,
}

impl Service {
    /// Uses a way to the service.
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// The way to it.
    pub fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// Sends one request; what passes is waited for a few times.
    ///
    /// Errors: any answer that is not a success.
    pub async fn ask(&self, request: Request, doing: &str) -> Result<Response, Error> {
        self.ask_as(None, request, doing).await
    }

    /// The same as one of several identities.
    async fn ask_as(
        &self,
        identity: Option<usize>,
        request: Request,
        doing: &str,
    ) -> Result<Response, Error> {
        let sent = Sent { operation: Operation::Upsert, rows: 1, is_bulk: false };
        let mut attempt = 1;
        loop {
            let answer = match identity {
                None => self.transport.send(request.clone()).await,
                Some(identity) => self.transport.send_as(identity, request.clone()).await,
            };
            let wait = match verdict::judge(sent, &answer) {
                Verdict::SlowDown { after, .. } => Some(after.unwrap_or(controller::PAUSE_UNSAID)),
                // A service that is not there is said at once.
                Verdict::Again { after, .. } if attempt < ATTEMPTS_MAX && answer.is_ok() => {
                    attempt += 1;
                    Some(after.unwrap_or(FIRST_WAIT * (1 << attempt)))
                }
                // What may have been carried out is repeated only where that changes nothing.
                Verdict::Unknown { after, .. }
                    if attempt < ATTEMPTS_MAX && request.method == transport::Method::Get =>
                {
                    attempt += 1;
                    Some(after.unwrap_or(FIRST_WAIT * (1 << attempt)))
                }
                _ => None,
            };
            if let Some(wait) = wait {
                tokio::time::sleep(wait).await;
                continue;
            }
            let response = answer.map_err(|error| match error {
                transport::Error::Issuer(_) => Error::NoToken(error),
                transport::Error::Unsent(_) | transport::Error::Lost(_) => {
                    Error::Unreachable(error)
                }
            })?;
            if response.is_success() {
                return Ok(response);
            }
            return Err(refused(&response, doing));
        }
    }

    /// How many requests at once the service recommends; also tells whether it is there at all, and
    /// whether it lets every identity in.
    pub async fn width_hint(&self) -> Result<Option<usize>, Error> {
        let first = self.who(0).await?;
        for identity in 1..self.transport.identities() {
            let other = self.who(identity).await?;
            if other.organization != first.organization {
                return Err(Error::Strangers {
                    one: self.transport.name(0).to_owned(),
                    other: self.transport.name(identity).to_owned(),
                });
            }
        }
        Ok(first.width_hint)
    }

    /// Whom the service takes an identity for.
    pub async fn who(&self, identity: usize) -> Result<Caller, Error> {
        let name = self.transport.name(identity);
        let doing = match name {
            "" => "to say who calls".to_owned(),
            name => format!("to say who `{name}` is"),
        };
        let response = self.ask_as(Some(identity), Request::get("WhoAmI"), &doing).await?;
        let hint = response.header(wire::headers::DOP_HINT);
        let width_hint = hint.and_then(|hint| hint.trim().parse().ok());
        let who: Json = serde_json::from_slice(&response.body).unwrap_or_default();
        let text = |name: &str| who.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
        Ok(Caller { user: text("UserId"), organization: text("OrganizationId"), width_hint })
    }

    /// Every table.
    pub async fn tables(&self) -> Result<Vec<Listed>, Error> {
        #[derive(Deserialize)]
        struct Page {
            value: Vec<Listed>,
        }
        let doing = "the list of tables";
        let path = "EntityDefinitions?$select=LogicalName,EntitySetName,DisplayName,IsCustomEntity";
        let response = self.ask(Request::get(path), doing).await?;
        let page: Page = read(&response, doing)?;
        Ok(page.value)
    }

    /// The logical name that `name` means: logical name, entity set, with prefix, display name.
    pub async fn resolve(&self, name: &str) -> Result<String, Error> {
        let tables = self.tables().await?;
        let lower = name.trim().to_lowercase();
        let with_prefix = format!("{}{lower}", crate::mapping::DEFAULT_PREFIX);
        let suffix = format!("_{lower}");
        let only = |accept: &dyn Fn(&Listed) -> bool| {
            let mut found = tables.iter().filter(|table| accept(table));
            let first = found.next()?;
            found.next().is_none().then(|| first.logical_name.clone())
        };
        only(&|table| table.logical_name == lower)
            .or_else(|| {
                only(&|table| {
                    table
                        .entity_set_name
                        .as_deref()
                        .is_some_and(|set| set.eq_ignore_ascii_case(&lower))
                })
            })
            .or_else(|| only(&|table| table.logical_name == with_prefix))
            .or_else(|| {
                only(&|table| table.is_custom_entity && table.logical_name.ends_with(&suffix))
            })
            .or_else(|| {
                only(&|table| table.shown().is_some_and(|shown| shown.to_lowercase() == lower))
            })
            .ok_or_else(|| {
                let alike = tables.iter().filter(|table| table.logical_name.contains(&lower));
                let similar = alike.take(5).map(|table| format!("`{}`", table.logical_name));
                Error::NoTable { name: name.to_owned(), similar: similar.collect() }
            })
    }

    /// A table by any of its names. `wanted` says for which lookup columns the tables that they
    /// point to are needed.
    pub async fn describe(
        &self,
        name: &str,
        wanted: impl Fn(&Table, ColumnIndex) -> bool,
    ) -> Result<Described, Error> {
        let logical_name = self.resolve(name).await?;
        let table = Table::new(self.definition(&logical_name, 1).await?);
        let mut pointed: Vec<Box<str>> = Vec::new();
        for (index, column) in table.indexed_columns() {
            if let ColumnKind::Lookup { targets, .. } = &column.kind
                && wanted(&table, index)
            {
                let others = targets.iter().map(|target| target.table.clone());
                pointed.extend(others.filter(|other| *other != table.logical_name));
            }
        }
        pointed.sort();
        pointed.dedup();
        let table = Arc::new(table);
        let mut tables = vec![Arc::clone(&table)];
        let asked =
            pointed.iter().map(|name| async move { (name, self.definition(name, 0).await) });
        let mut answers = futures_util::stream::iter(asked).buffered(DEFINITIONS_AT_ONCE);
        while let Some((name, answer)) = answers.next().await {
            let number = u32::try_from(tables.len() + 1).unwrap_or(u32::MAX);
            match answer {
                Ok(definition) => {
                    let definition = TableDefinition { id: TableId(number), ..definition };
                    tables.push(Arc::new(Table::new(definition)));
                }
                // A service may name tables that it does not have; values for them are then refused.
                Err(Error::Refused { problem, .. }) if problem.class != Class::Access => {
                    tracing::debug!(table = %name, %problem, "a lookup's table cannot be read");
                }
                Err(err) => return Err(err),
            }
        }
        Ok(Described { table, catalog: Arc::new(Catalog::new(0, tables, Vec::new())) })
    }

    /// The definition of a table, with the options of its choices.
    pub(crate) async fn definition(
        &self,
        logical_name: &str,
        number: u32,
    ) -> Result<TableDefinition, Error> {
        let doing = format!("the definition of table `{logical_name}`");
        let root = format!("EntityDefinitions(LogicalName='{logical_name}')");
        let path = format!("{root}?$expand=Attributes,Keys,ManyToOneRelationships");
        let response = self.ask(Request::get(path), &doing).await?;
        let mut json: Json = read(&response, &doing)?;
        // A handful at most, and none needs the other: far away, each would cost a whole way there and back.
        let answers = definition::missing_options(&json).into_iter().map(|kind| {
            let path = format!(
                "{root}/Attributes/Microsoft.Dynamics.CRM.{kind}?$select=LogicalName&$expand=OptionSet"
            );
            self.ask(Request::get(path), &doing)
        });
        for response in try_join_all(answers).await? {
            definition::add_options(&mut json, &read(&response, &doing)?);
        }
        definition::sort_columns(&mut json);
        let body = json.to_string();
        let mut table = wire::metadata::read_table(body.as_bytes())
            .map_err(|err| Error::Unreadable { doing, why: err.to_string() })?;
        table.id = TableId(number);
        Ok(table)
    }

    /// Which bulk messages a table has, by [`Operation`]: asked, never tried out. Elastic tables have all.
    pub async fn bulk_messages(
        &self,
        table: &Table,
    ) -> Result<[bool; Operation::ALL.len()], Error> {
        if table.kind == TableKind::Elastic {
            return Ok(Operation::ALL.map(Operation::may_be_bulk));
        }
        let (has_create, has_update) = try_join(
            self.has_message(Operation::Create, &table.logical_name),
            self.has_message(Operation::Update, &table.logical_name),
        )
        .await?;
        // Standard tables have no filter for `UpsertMultiple`: it is there where both others are.
        Ok(Operation::ALL.map(|operation| match operation {
            Operation::Create => has_create,
            Operation::Update => has_update,
            Operation::Upsert => has_create && has_update,
            _ => false,
        }))
    }

    async fn has_message(&self, operation: Operation, table: &str) -> Result<bool, Error> {
        let message = operation.bulk();
        let doing = format!("whether table `{table}` has {message}");
        let path = format!(
            "sdkmessagefilters?$select=sdkmessagefilterid&$filter={}&@message='{message}'&@table='{table}'",
            escaped("sdkmessageid/name eq @message and primaryobjecttypecode eq @table")
        );
        let response = self.ask(Request::get(path), &doing).await?;
        let page: Json = read(&response, &doing)?;
        Ok(page.get("value").and_then(Json::as_array).is_some_and(|rows| !rows.is_empty()))
    }

    /// Makes a table, and its alternate key if there is one.
    pub async fn create_table(&self, proposal: &Proposal) -> Result<(), Error> {
        let name = &proposal.table.schema_name;
        let body = definition::table(&proposal.table);
        self.ask(Request::post("EntityDefinitions", body), &format!("to create table `{name}`"))
            .await?;
        if let Some(key) = &proposal.key {
            let logical_name = name.to_lowercase();
            let path = format!("EntityDefinitions(LogicalName='{logical_name}')/Keys");
            let body = definition::key(key);
            self.ask(Request::post(path, body), &format!("to create the key over `{key}`")).await?;
        }
        Ok(())
    }
}

fn refused(response: &Response, doing: &str) -> Error {
    let body = wire::error_body::read(&response.body);
    let message = if body.message.is_empty() {
        format!("status {} without a text", response.status)
    } else {
        body.message
    };
    let class = match response.status {
        401 | 403 => Class::Access,
        404 => Class::Absent,
        _ => Class::Rejected,
    };
    let problem = Problem { code: body.code, ..Problem::new(class, message) };
    Error::Refused { doing: doing.to_owned(), problem }
}

pub(crate) fn read<'a, T: Deserialize<'a>>(
    response: &'a Response,
    doing: &str,
) -> Result<T, Error> {
    serde_json::from_slice(&response.body)
        .map_err(|err| Error::Unreadable { doing: doing.to_owned(), why: err.to_string() })
}

/// Escapes the value of a query option.
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}
