//! What each kind of row that registers steps must be.
//!
//! Not here: which rows are written (`check`).
//! Source: plugins.md 3.2 to 3.7. Invariant: what a rule adds follows from the rows alone.

use super::check::bytes;
use super::{ASSEMBLY, ENDPOINT, IMAGE, MESSAGES, STEP, TYPE, id_in, names, takes_steps};
use crate::fault::{content, registration, registration_as};
use crate::seed;
use crate::step::{Endpoint, HandlerKind, OfferedType, Stage, StepRunner};
use model::{Catalog, Fault, LookupValue, MessageName, Table, Uuid, Value, code};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

/// The values of a row by column name.
pub(super) type Values = BTreeMap<Box<str>, Value>;

/// The rows there are, and those that are being written.
pub(super) struct World<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) rows: BTreeMap<&'static str, BTreeMap<Uuid, Values>>,
    /// The table of each filter.
    pub(super) filters: HashMap<Uuid, Box<str>>,
    /// The types that components offer, as far as somebody has looked.
    pub(super) offered: BTreeMap<Uuid, Vec<OfferedType>>,
    pub(super) runner: &'a dyn StepRunner,
}

/// What is asked about one row.
pub(super) struct Look {
    pub(super) id: Uuid,
    pub(super) is_new: bool,
    /// The columns that are written.
    pub(super) changed: BTreeSet<Box<str>>,
}

impl World<'_> {
    pub(super) fn row(&self, table: &str, id: Uuid) -> Option<&Values> {
        self.rows.get(table)?.get(&id)
    }

    pub(super) fn put(&mut self, table: &str, id: Uuid, values: Values) {
        if let Some(rows) = self.rows.get_mut(table) {
            rows.insert(id, values);
        }
    }

    fn of(&self, table: &str) -> impl Iterator<Item = (&Uuid, &Values)> {
        self.rows.get(table).into_iter().flatten()
    }

    /// Looks at a row as it will be, and completes it.
    pub(super) async fn check(
        &mut self,
        table: &str,
        look: &Look,
        values: &mut Values,
    ) -> Result<(), Fault> {
        match table {
            ASSEMBLY => self.assembly(look, values).await,
            TYPE => self.plugin_type(look, values),
            ENDPOINT => self.endpoint(look, values),
            STEP => self.step(look, values),
            IMAGE => self.image(look, values),
            _ => Ok(()),
        }
    }

    async fn assembly(&mut self, look: &Look, values: &mut Values) -> Result<(), Fault> {
        self.runs(HandlerKind::Component)?;
        required(values, "name")?;
        let sent = text(values, "content").map(str::to_owned);
        if look.is_new && sent.is_none() {
            return Err(content("there is no `content`"));
        }
        default(values, "version", Value::text("1.0.0.0"));
        default(values, "culture", Value::text("neutral"));
        default(values, "publickeytoken", Value::text("null"));
        default(values, "isolationmode", Value::Integer(2));
        default(values, "sourcetype", Value::Integer(0));
        if number(values, "isolationmode") != Some(2) {
            return Err(registration("`isolationmode` must be 2"));
        }
        if number(values, "sourcetype") != Some(0) {
            let text = "The source type of the assembly is not supported: `sourcetype` must be 0.";
            return Err(registration_as(code::INVALID_ASSEMBLY_SOURCE, text));
        }
        let version = text(values, "version").unwrap_or_default();
        let parts: Option<Vec<i32>> = version.split('.').map(|part| part.parse().ok()).collect();
        let Some([major, minor, ..]) = parts.as_deref() else {
            return Err(registration(format!("`version` '{version}' is no version")));
        };
        let (major, minor) = (*major, *minor);
        values.insert("major".into(), Value::Integer(major));
        values.insert("minor".into(), Value::Integer(minor));
        let is_same = |other: &Values| {
            let equal =
                |name| text(values, name).map(model::fold) == text(other, name).map(model::fold);
            equal("name")
                && equal("culture")
                && equal("publickeytoken")
                && number(other, "major") == Some(major)
                && number(other, "minor") == Some(minor)
        };
        if self.of(ASSEMBLY).any(|(id, other)| *id != look.id && is_same(other)) {
            let text = "Plug-in assembly fullnames must be unique (ignoring the version build and \
                        revision number).";
            return Err(registration_as(code::ASSEMBLY_NOT_UNIQUE, text));
        }
        let Some(sent) = sent.filter(|_| look.changed.contains("content")) else { return Ok(()) };
        let component: Arc<[u8]> = Arc::from(bytes(&sent)?);
        let offered = self.runner.inspect(component.clone()).await.map_err(content)?;
        let is_offered =
            |name: Option<&str>| offered.iter().any(|offer| Some(&*offer.name) == name);
        let orphan = self.of(TYPE).find(|(_, of)| {
            let is_own = of.get("pluginassemblyid").and_then(Value::as_id) == Some(look.id);
            is_own && !is_offered(text(of, "typename"))
        });
        if let Some((_, of)) = orphan {
            let name = text(of, "typename").unwrap_or_default();
            return Err(content(format!("type `{name}` is registered and no longer in it")));
        }
        values.insert("sourcehash".into(), Value::text(hash(&component)));
        self.offered.insert(look.id, offered);
        Ok(())
    }

    fn plugin_type(&self, look: &Look, values: &mut Values) -> Result<(), Fault> {
        required(values, "typename")?;
        required(values, "friendlyname")?;
        let assembly = id_in(self.catalog, values.get("pluginassemblyid"), ASSEMBLY);
        let assembly = assembly.ok_or_else(|| registration("`pluginassemblyid` is missing"))?;
        let name = text(values, "typename").unwrap_or_default().to_owned();
        let offered = self.offered.get(&assembly);
        if !offered.is_some_and(|all| all.iter().any(|one| *one.name == *name)) {
            let text = format!("The plug-in assembly has no type `{name}`.");
            return Err(registration_as(code::TYPE_NOT_IN_ASSEMBLY, text));
        }
        let is_twice = self.of(TYPE).any(|(id, other)| {
            *id != look.id
                && other.get("pluginassemblyid").and_then(Value::as_id) == Some(assembly)
                && text(other, "typename") == Some(&name)
        });
        if is_twice {
            let text =
                format!("Plug-in type names must be unique: `{name}` is registered already.");
            return Err(registration_as(code::TYPE_NOT_UNIQUE, text));
        }
        default(values, "name", Value::text(name));
        let of = self.row(ASSEMBLY, assembly);
        for (column, from) in [
            ("assemblyname", "name"),
            ("version", "version"),
            ("culture", "culture"),
            ("publickeytoken", "publickeytoken"),
            ("major", "major"),
            ("minor", "minor"),
        ] {
            if let Some(value) = of.and_then(|of| of.get(from)) {
                values.insert(column.into(), value.clone());
            }
        }
        Ok(())
    }

    fn endpoint(&self, look: &Look, values: &mut Values) -> Result<(), Fault> {
        self.runs(HandlerKind::Webhook)?;
        required(values, "name")?;
        default(values, "messageformat", Value::Integer(2));
        default(values, "connectionmode", Value::Integer(1));
        default(values, "userclaim", Value::Integer(1));
        if number(values, "contract") != Some(8) {
            return Err(registration("`contract` must be 8, a webhook"));
        }
        if number(values, "messageformat") != Some(2) {
            return Err(registration("`messageformat` must be 2, JSON"));
        }
        let auth_type = number(values, "authtype").filter(|kind| matches!(kind, 4..=6));
        let auth_type = auth_type.ok_or_else(|| {
            registration("`authtype` must be 4 (webhook key), 5 (headers) or 6 (query)")
        })?;
        let url = text(values, "url").unwrap_or_default();
        let loopback = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
        let is_loopback = loopback.iter().any(|start| {
            let rest = url.strip_prefix(start);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/', '?']))
        });
        if !url.starts_with("https://") && !is_loopback {
            return Err(registration("`url` must begin with `https://`, or be on this machine"));
        }
        let endpoint = Endpoint {
            id: look.id,
            name: text(values, "name").unwrap_or_default().into(),
            url: url.into(),
            auth_type,
            auth_value: text(values, "authvalue").map(Box::from),
        };
        self.runner.check_endpoint(&endpoint).map_err(|why| {
            let code = match auth_type {
                6 => code::WEBHOOK_QUERY_INVALID,
                _ => code::WEBHOOK_HEADERS_INVALID,
            };
            registration_as(code, format!("The webhook is not valid: {why}"))
        })?;
        values.insert("isauthvalueset".into(), Value::Boolean(endpoint.auth_value.is_some()));
        Ok(())
    }

    fn runs(&self, kind: HandlerKind) -> Result<(), Fault> {
        let what = match kind {
            _ if self.runner.runs(kind) => return Ok(()),
            HandlerKind::Component => "plug-ins",
            HandlerKind::Webhook => "webhooks",
        };
        Err(Fault::new(code::SANDBOX_DISABLED, "Sandbox Plug-in execution is disabled.")
            .with_hint(format!("this service runs no {what}")))
    }

    /// The message and table that a step is about.
    fn about(&self, values: &Values) -> Result<(MessageName, Option<&Arc<Table>>), Fault> {
        let message = values.get("sdkmessageid").and_then(Value::as_id);
        let message = message.ok_or_else(|| registration("`sdkmessageid` is missing"))?;
        let name = seed::rows::messages().get(&message).copied();
        let name = name.ok_or_else(|| registration("there is no such message"))?;
        let not_allowed = || {
            let text = "Custom SdkMessageProcessingStep is not allowed on the specified message and \
                        entity.";
            registration_as(code::STEP_NOT_ALLOWED, text)
        };
        let known = MESSAGES.into_iter().find(|known| known.as_str() == name);
        let known = known.ok_or_else(not_allowed)?;
        let Some(filter) = values.get("sdkmessagefilterid").and_then(Value::as_id) else {
            return Ok((known, None));
        };
        let table = self.filters.get(&filter).and_then(|name| self.catalog.table(name));
        let Some(table) = table else {
            // A message without a filter on the table, named as if it had one.
            let of = |table: &Arc<Table>| seed::filter_id(name, &table.logical_name) == filter;
            return Err(match self.catalog.tables().iter().any(of) {
                true => not_allowed(),
                false => registration("there is no such message filter"),
            });
        };
        if seed::filter_id(name, &table.logical_name) != filter {
            return Err(registration("the message filter is one of another message"));
        }
        match takes_steps(name, table) {
            true => Ok((known, Some(table))),
            false => Err(not_allowed()),
        }
    }

    fn step(&self, look: &Look, values: &mut Values) -> Result<(), Fault> {
        required(values, "name")?;
        default(values, "rank", Value::Integer(1));
        default(values, "supporteddeployment", Value::Integer(0));
        default(values, "invocationsource", Value::Integer(0));
        let (message, table) = self.about(values)?;
        let stage = number(values, "stage").and_then(Stage::of);
        let stage = stage.ok_or_else(|| registration("`stage` must be 10, 20 or 40"))?;
        match number(values, "mode") {
            Some(0) => {}
            Some(1) if stage == Stage::PostOperation => {}
            Some(1) => return Err(registration("`mode` 1 goes with `stage` 40 alone")),
            _ => return Err(registration("`mode` must be 0 or 1")),
        }
        let secure = values.get("sdkmessageprocessingstepsecureconfigid").and_then(Value::as_id);
        if secure.is_some() && number(values, "supporteddeployment") != Some(0) {
            let text = "The secure configuration is for steps on the server alone.";
            return Err(registration_as(code::SECURE_CONFIG_ON_SERVER_ONLY, text));
        }
        self.handler(look, values)?;
        let filtering = names(values.get("filteringattributes").unwrap_or(&Value::Null));
        if let (Some(table), MessageName::Update | MessageName::UpdateMultiple) = (table, message)
            && let Some(unknown) = filtering.iter().find(|name| table.index_of(name).is_none())
        {
            let why = format!("`{}` has no column `{unknown}`", table.logical_name);
            return Err(registration(why));
        }
        // What it has been given must still fit.
        let own = |image: &Values| {
            image.get("sdkmessageprocessingstepid").and_then(Value::as_id) == Some(look.id)
        };
        let mut images = self.of(IMAGE).filter(|(_, image)| own(image));
        images.try_for_each(|(id, image)| self.fits(*id, (look.id, values), image))
    }

    /// The handler, by either name; the other name says the same.
    fn handler(&self, look: &Look, values: &mut Values) -> Result<(), Fault> {
        let is_by_type =
            look.changed.contains("plugintypeid") && !look.changed.contains("eventhandler");
        let named = if is_by_type { "plugintypeid" } else { "eventhandler" };
        let value = values.get(named).cloned().unwrap_or(Value::Null);
        let Value::Lookup(LookupValue { table, id }) = value else {
            return Err(registration("there is no handler: `eventhandler` is missing"));
        };
        let (table, kind) = match self.catalog.table_by_id(table).map(|table| &*table.logical_name)
        {
            Some(TYPE) => (TYPE, HandlerKind::Component),
            Some(ENDPOINT) => (ENDPOINT, HandlerKind::Webhook),
            _ => return Err(registration("the handler is neither a type nor an endpoint")),
        };
        if self.row(table, id).is_none() {
            return Err(registration(format!("there is no handler {id} in `{table}`")));
        }
        self.runs(kind)?;
        values.insert("eventhandlertypecode".into(), Value::text(table));
        let plugin_type = if table == TYPE { value.clone() } else { Value::Null };
        values.insert("plugintypeid".into(), plugin_type);
        values.insert("eventhandler".into(), value);
        Ok(())
    }

    fn image(&self, look: &Look, values: &mut Values) -> Result<(), Fault> {
        required(values, "name")?;
        let step = values.get("sdkmessageprocessingstepid").and_then(Value::as_id);
        let step = step.ok_or_else(|| registration("`sdkmessageprocessingstepid` is missing"))?;
        let of = self.row(STEP, step);
        let of = of.ok_or_else(|| registration(format!("there is no step {step}")))?;
        let name = values.get("name").cloned().unwrap_or(Value::Null);
        default(values, "entityalias", name);
        self.fits(look.id, (step, of), values)?;
        let property = match self.about(of)?.0 {
            MessageName::Create => "Id",
            MessageName::CreateMultiple => "Ids",
            MessageName::UpdateMultiple | MessageName::DeleteMultiple => "Targets",
            _ => "Target",
        };
        default(values, "messagepropertyname", Value::text(property));
        Ok(())
    }

    /// Refuses an image that its step cannot have.
    fn fits(&self, id: Uuid, (step, of): (Uuid, &Values), image: &Values) -> Result<(), Fault> {
        let (message, table) = self.about(of)?;
        let kinds = |values: &Values| match number(values, "imagetype") {
            Some(0) => Some((true, false)),
            Some(1) => Some((false, true)),
            Some(2) => Some((true, true)),
            _ => None,
        };
        let (before, after) =
            kinds(image).ok_or_else(|| registration("`imagetype` must be 0, 1 or 2"))?;
        if matches!(message, MessageName::Upsert | MessageName::UpsertMultiple) {
            let text = format!("Message '{message}' does not support image registration.");
            return Err(registration_as(code::IMAGE_NOT_SUPPORTED, text));
        }
        let has_none_before = matches!(message, MessageName::Create | MessageName::CreateMultiple);
        let has_none_after = matches!(message, MessageName::Delete | MessageName::DeleteMultiple);
        if (has_none_before && before) || (has_none_after && after) {
            let text = format!("Message {message} does not support this image type.");
            return Err(registration_as(code::IMAGE_TYPE_NOT_SUPPORTED, text));
        }
        if after && number(of, "stage").and_then(Stage::of) != Some(Stage::PostOperation) {
            let text = "PreEvent step registration does not support Post Image.";
            return Err(registration_as(code::NO_POST_IMAGE_BEFORE, text));
        }
        let columns = names(image.get("attributes").unwrap_or(&Value::Null));
        if let Some(table) = table
            && let Some(unknown) = columns.iter().find(|name| table.index_of(name).is_none())
        {
            let why = format!("`{}` has no column `{unknown}`", table.logical_name);
            return Err(registration(why));
        }
        let alias = text(image, "entityalias");
        let is_taken = self.of(IMAGE).any(|(other_id, other)| {
            let same_step =
                other.get("sdkmessageprocessingstepid").and_then(Value::as_id) == Some(step);
            let overlaps = kinds(other).is_some_and(|(b, a)| (b && before) || (a && after));
            *other_id != id && same_step && text(other, "entityalias") == alias && overlaps
        });
        if is_taken {
            let alias = alias.unwrap_or_default();
            let text =
                format!("The step has an image of this kind with the alias `{alias}` already.");
            return Err(Fault::new(code::INVALID_ARGUMENT, text));
        }
        Ok(())
    }
}

/// What tells one component from another.
fn hash(component: &[u8]) -> String {
    let mut hash = String::new();
    for byte in Sha256::digest(component) {
        write!(hash, "{byte:02x}").expect("writing to a text does not fail");
    }
    hash
}

fn text<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
    match values.get(name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn number(values: &Values, name: &str) -> Option<i32> {
    match values.get(name) {
        Some(Value::Integer(number)) => Some(*number),
        _ => None,
    }
}

fn required(values: &Values, name: &str) -> Result<(), Fault> {
    match text(values, name) {
        Some(_) => Ok(()),
        None => Err(registration(format!("`{name}` is missing"))),
    }
}

fn default(values: &mut Values, name: &str, value: Value) {
    let known = values.entry(name.into()).or_insert(Value::Null);
    if known.is_null() {
        *known = value;
    }
}
