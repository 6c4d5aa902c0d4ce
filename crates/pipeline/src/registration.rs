//! Steps as rows: which tables hold them, and the steps of one version of the definitions.
//!
//! Rows of these tables move the version of the definitions on, as those that say who may do what do: every
//! node sees a change with its next message.
//! In reading order: this file (from rows to [`StepTable`]), `check` (rows that are
//! written) and `rules` (what they must be).
//! Not here: the definitions of the tables (`seed`), running steps (`stages`).
//! Source: plugins.md 3.

mod check;
mod rules;

use crate::fault;
use crate::rights::load;
use crate::run::{Error, Pipeline, not_about_rows};
use crate::step::plan::{self, StepTable};
use crate::step::{Assembly, Endpoint, Handler, Mode, PluginType, Stage, Step, StepImage};
use model::{Catalog, Fault, LookupValue, MessageName, TableDefinition, TableKind, Uuid, Value};
use query::{ColumnRef, Compare, Filter};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The tables of registration.
pub(crate) const STEP: &str = "sdkmessageprocessingstep";
pub(crate) const IMAGE: &str = "sdkmessageprocessingstepimage";
pub(crate) const SECURE: &str = "sdkmessageprocessingstepsecureconfig";
pub(crate) const TYPE: &str = "plugintype";
pub(crate) const ASSEMBLY: &str = "pluginassembly";
pub(crate) const ENDPOINT: &str = "serviceendpoint";
pub(crate) const TABLES: [&str; 6] = [ASSEMBLY, TYPE, ENDPOINT, SECURE, STEP, IMAGE];

/// Whether rows of a table register steps.
pub(crate) fn is_registration(logical_name: &str) -> bool {
    TABLES.contains(&logical_name)
}

/// Messages that steps can be registered for, on some tables at least.
const MESSAGES: [MessageName; 8] = [
    MessageName::Create,
    MessageName::Update,
    MessageName::Upsert,
    MessageName::Delete,
    MessageName::CreateMultiple,
    MessageName::UpdateMultiple,
    MessageName::UpsertMultiple,
    MessageName::DeleteMultiple,
];

/// Whether a message is an event of its own on tables of a kind (plugins.md 3.1.5).
fn is_event(message: MessageName, kind: TableKind) -> bool {
    use MessageName as M;
    match message {
        M::Create | M::Update | M::Delete | M::CreateMultiple | M::UpdateMultiple => true,
        M::Upsert | M::UpsertMultiple | M::DeleteMultiple => kind == TableKind::Elastic,
        M::Associate | M::Disassociate | M::Retrieve | M::RetrieveMultiple => false,
    }
}

/// Whether steps can be registered for a message of a table.
pub(crate) fn takes_steps(message: &str, table: &TableDefinition) -> bool {
    let mut known = MESSAGES.into_iter().filter(|name| name.as_str() == message);
    known.any(|name| is_event(name, table.kind)) && plan::takes_steps(table)
}

/// The steps that were read last, and the version of the definitions that they were read at.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    kept: RwLock<Option<(u64, Arc<StepTable>)>>,
}

impl Pipeline {
    /// The enabled steps at a version of the definitions: read once per version and node.
    pub(crate) async fn step_table(&self, catalog: &Arc<Catalog>) -> Result<Arc<StepTable>, Error> {
        let version = catalog.version();
        {
            let kept = self.registered.kept.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((of, table)) = &*kept
                && *of == version
            {
                return Ok(table.clone());
            }
        }
        let table = Arc::new(StepTable::of(self.load_steps(catalog).await?));
        let mut kept = self.registered.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|(of, _)| *of < version) {
            *kept = Some((version, table.clone()));
        }
        Ok(table)
    }

    /// The bytes of a component.
    pub(crate) async fn component(
        &self,
        catalog: &Arc<Catalog>,
        assembly: &Assembly,
    ) -> Result<Arc<[u8]>, Fault> {
        let rows =
            self.some(catalog, ASSEMBLY, &["content"], Some(("pluginassemblyid", assembly.id)));
        let rows = rows.await.map_err(|error| match error {
            Error::Fault(fault) => *fault,
            Error::StaleCatalog => fault::definitions_moved(),
        })?;
        let text = rows.first().and_then(|row| text(row.first()?));
        let bytes = text.and_then(|text| check::bytes(&text).ok());
        bytes.map(Arc::from).ok_or_else(fault::no_component)
    }

    /// Some columns of the rows of a table; of one row, if a column says which.
    async fn some(
        &self,
        catalog: &Arc<Catalog>,
        table: &str,
        columns: &[&str],
        only: Option<(&str, Uuid)>,
    ) -> Result<Vec<Vec<Value>>, Error> {
        let Some(table) = catalog.table(table) else { return Ok(Vec::new()) };
        let filter = only.and_then(|(column, id)| {
            let column = ColumnRef::root(table.index_of(column)?);
            Some(Filter::Compare { column, compare: Compare::Equal, value: Value::Guid(id) })
        });
        let query = load::bound(catalog, table, columns, filter);
        load::rows(self.store(), query).await.map_err(not_about_rows)
    }

    async fn load_steps(&self, catalog: &Arc<Catalog>) -> Result<Vec<Step>, Error> {
        // Without steps one small query is all.
        let steps = self.some(catalog, STEP, &COLUMNS, None).await?;
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let assemblies = self.assemblies(catalog).await?;
        let types = self.types(catalog, &assemblies).await?;
        let endpoints = self.endpoints(catalog).await?;
        let columns = ["sdkmessageprocessingstepsecureconfigid", "secureconfig"];
        let secure: HashMap<Uuid, Box<str>> = self
            .some(catalog, SECURE, &columns, None)
            .await?
            .iter()
            .filter_map(|row| Some((row[0].as_id()?, text(&row[1])?)))
            .collect();
        let filters = self.filters(catalog).await?;
        let mut images = self.step_images(catalog).await?;
        let messages = crate::seed::rows::messages();
        let parts = Parts { catalog, types, endpoints, secure, filters, messages };
        let read = steps.iter().filter_map(|row| parts.step(row, &mut images));
        Ok(read.collect())
    }

    async fn assemblies(
        &self,
        catalog: &Arc<Catalog>,
    ) -> Result<HashMap<Uuid, Arc<Assembly>>, Error> {
        let columns =
            ["pluginassemblyid", "name", "version", "culture", "publickeytoken", "sourcehash"];
        let rows = self.some(catalog, ASSEMBLY, &columns, None).await?;
        let assembly = |row: &Vec<Value>| {
            let of = |place: usize| text(&row[place]).unwrap_or_default();
            let id = row[0].as_id()?;
            Some((
                id,
                Arc::new(Assembly {
                    id,
                    name: of(1),
                    version: of(2),
                    culture: of(3),
                    public_key_token: of(4),
                    hash: of(5),
                }),
            ))
        };
        Ok(rows.iter().filter_map(assembly).collect())
    }

    async fn types(
        &self,
        catalog: &Arc<Catalog>,
        assemblies: &HashMap<Uuid, Arc<Assembly>>,
    ) -> Result<HashMap<Uuid, Handler>, Error> {
        let rows = self
            .some(catalog, TYPE, &["plugintypeid", "typename", "pluginassemblyid"], None)
            .await?;
        let of = |row: &Vec<Value>| {
            let (id, name) = (row[0].as_id()?, text(&row[1])?);
            let assembly = assemblies.get(&row[2].as_id()?)?.clone();
            Some((id, Handler::Type(PluginType { id, name, assembly })))
        };
        Ok(rows.iter().filter_map(of).collect())
    }

    async fn endpoints(&self, catalog: &Arc<Catalog>) -> Result<HashMap<Uuid, Handler>, Error> {
        let columns = ["serviceendpointid", "name", "url", "authtype", "authvalue"];
        let rows = self.some(catalog, ENDPOINT, &columns, None).await?;
        let of = |row: &Vec<Value>| {
            let id = row[0].as_id()?;
            let endpoint = Endpoint {
                id,
                name: text(&row[1])?,
                url: text(&row[2])?,
                auth_type: number(&row[3])?,
                auth_value: text(&row[4]),
            };
            Some((id, Handler::Endpoint(endpoint)))
        };
        Ok(rows.iter().filter_map(of).collect())
    }

    /// The table of each filter.
    async fn filters(&self, catalog: &Arc<Catalog>) -> Result<HashMap<Uuid, Box<str>>, Error> {
        let columns = ["sdkmessagefilterid", "primaryobjecttypecode"];
        let rows = self.some(catalog, "sdkmessagefilter", &columns, None).await?;
        Ok(rows.iter().filter_map(|row| Some((row[0].as_id()?, text(&row[1])?))).collect())
    }

    async fn step_images(
        &self,
        catalog: &Arc<Catalog>,
    ) -> Result<HashMap<Uuid, Vec<StepImage>>, Error> {
        let columns = ["sdkmessageprocessingstepid", "entityalias", "imagetype", "attributes"];
        let mut images: HashMap<Uuid, Vec<StepImage>> = HashMap::new();
        for row in self.some(catalog, IMAGE, &columns, None).await? {
            let (Some(step), Some(alias)) = (row[0].as_id(), text(&row[1])) else { continue };
            let kind = number(&row[2]).unwrap_or_default();
            images.entry(step).or_default().push(StepImage {
                alias,
                before: matches!(kind, 0 | 2),
                after: matches!(kind, 1 | 2),
                columns: names(&row[3]),
            });
        }
        for images in images.values_mut() {
            images.sort_by(|one, two| one.alias.cmp(&two.alias));
        }
        Ok(images)
    }
}

/// The columns of a step, in the order in which they are read.
const COLUMNS: [&str; 17] = [
    "sdkmessageprocessingstepid",
    "name",
    "sdkmessageid",
    "sdkmessagefilterid",
    "stage",
    "mode",
    "rank",
    "filteringattributes",
    "eventhandler",
    "configuration",
    "sdkmessageprocessingstepsecureconfigid",
    "impersonatinguserid",
    "canbebypassed",
    "asyncautodelete",
    "statecode",
    "supporteddeployment",
    "plugintypeid",
];

/// What steps point to.
struct Parts<'a> {
    catalog: &'a Catalog,
    types: HashMap<Uuid, Handler>,
    endpoints: HashMap<Uuid, Handler>,
    secure: HashMap<Uuid, Box<str>>,
    filters: HashMap<Uuid, Box<str>>,
    messages: HashMap<Uuid, &'static str>,
}

impl Parts<'_> {
    /// A step; none where it is disabled, or for clients alone.
    fn step(&self, row: &[Value], images: &mut HashMap<Uuid, Vec<StepImage>>) -> Option<Step> {
        let is_enabled = number(&row[14]) == Some(0);
        let is_here = number(&row[15]).unwrap_or_default() != 1;
        if !is_enabled || !is_here {
            return None;
        }
        let id = row[0].as_id()?;
        let message = self.messages.get(&row[2].as_id()?)?;
        let message = MESSAGES.into_iter().find(|name| name.as_str() == *message)?;
        let filter = row[3].as_id();
        let table = match filter {
            Some(filter) => Some(self.catalog.table(self.filters.get(&filter)?)?.id),
            None => None,
        };
        let handler = row[8].as_id()?;
        let handler = self.types.get(&handler).or_else(|| self.endpoints.get(&handler))?.clone();
        let is_webhook = matches!(handler, Handler::Endpoint(_));
        Some(Step {
            id,
            name: text(&row[1]).unwrap_or_default(),
            message,
            table,
            filter: filter.unwrap_or_default(),
            stage: Stage::of(number(&row[4])?)?,
            mode: match number(&row[5]) {
                Some(1) => Mode::Asynchronous,
                _ => Mode::Synchronous,
            },
            rank: number(&row[6]).unwrap_or(1),
            filtering: names(&row[7]),
            images: images.remove(&id).unwrap_or_default(),
            handler,
            // A webhook has none (plugins.md 3.6.3).
            configuration: text(&row[9]).filter(|_| !is_webhook),
            secure_configuration: row[10]
                .as_id()
                .and_then(|id| self.secure.get(&id).cloned())
                .filter(|_| !is_webhook),
            impersonating: row[11].as_id(),
            can_be_bypassed: !matches!(row[12], Value::Boolean(false)),
            job_is_deleted: matches!(row[13], Value::Boolean(true)),
        })
    }
}

fn text(value: &Value) -> Option<Box<str>> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn number(value: &Value) -> Option<i32> {
    match value {
        Value::Integer(number) => Some(*number),
        _ => None,
    }
}

/// Names of columns in a list with commas, as they are compared.
fn names(value: &Value) -> Vec<Box<str>> {
    let Value::Text(text) = value else { return Vec::new() };
    let names = text.split(',').map(|name| name.trim().to_lowercase());
    names.filter(|name| !name.is_empty()).map(String::into_boxed_str).collect()
}

/// The row that a lookup points to, if it is one of this table.
fn id_in(catalog: &Catalog, value: Option<&Value>, table: &str) -> Option<Uuid> {
    match value {
        Some(Value::Lookup(LookupValue { table: of, id })) => {
            catalog.table_by_id(*of).filter(|of| &*of.logical_name == table).map(|_| *id)
        }
        _ => None,
    }
}
