//! Plug-ins at a service: assemblies, their types, steps, what runs, and what was traced.
//!
//! Any service with the Dataverse registration tables takes these calls; [`explain`] needs one of ours.
//! Not here: looking into components (`server`), printing (`cli`).
//! Invariant: what is not understood is refused before anything is written.

use crate::service::{self, Service, escaped, read};
use crate::transport::{Method, Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value as Json, json};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service is not there or refused.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// Nothing has this name.
    #[error("there is no {what} `{name}`")]
    Missing {
        /// What was looked for.
        what: &'static str,
        /// As given.
        name: String,
    },
    /// Several have this name.
    #[error("there are several {what} `{name}`: {of}")]
    Several {
        /// What was looked for.
        what: &'static str,
        /// As given.
        name: String,
        /// How they are told apart.
        of: String,
    },
    /// Registered types that the new component does not offer.
    #[error(
        "the component no longer offers {}, which {} registered; `--prune` removes them first",
        .0.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        if .0.len() == 1 { "is" } else { "are" }
    )]
    Orphans(Vec<String>),
}

/// A component to put into a service.
#[derive(Clone, Debug)]
pub struct Push<'a> {
    /// What the assembly is called.
    pub name: &'a str,
    /// Its version; none keeps that of an assembly that is there.
    pub version: Option<&'a str>,
    /// The component.
    pub bytes: &'a [u8],
    /// The names of the types that it offers, with what they say of themselves.
    pub types: &'a [(String, String)],
    /// Removes registered types that it does not offer any more.
    pub prune: bool,
}

/// What came of a push.
#[derive(Clone, Debug, Serialize)]
pub struct Pushed {
    /// `pluginassemblyid`.
    pub assembly: String,
    /// Its name.
    pub name: String,
    /// It was not there before.
    pub created: bool,
    /// Its types.
    pub types: Vec<PushedType>,
    /// Names of types that were removed.
    pub removed: Vec<String>,
}

/// A type that a component offers.
#[derive(Clone, Debug, Serialize)]
pub struct PushedType {
    /// `typename`.
    pub name: String,
    /// `plugintypeid`.
    pub id: String,
    /// What it says of itself.
    pub description: String,
    /// It was not registered before.
    pub created: bool,
}

/// A step to register.
#[derive(Clone, Debug)]
pub struct NewStep<'a> {
    /// `typename` of its handler.
    pub of_type: &'a str,
    /// Name of the handler's assembly, where several have such a type.
    pub assembly: Option<&'a str>,
    /// The message.
    pub message: &'a str,
    /// Logical name of the table; none for every table of the message.
    pub table: Option<&'a str>,
    /// What it is called; none for type, message and table.
    pub name: Option<&'a str>,
    /// 10, 20 or 40.
    pub stage: i32,
    /// It runs behind the message, as a job.
    pub asynchronous: bool,
    /// Order among the steps of its stage.
    pub rank: i32,
    /// Columns of which one must be there.
    pub filter: &'a [String],
    /// What it gets of rows as they were and are.
    pub images: &'a [NewImage],
    /// What its handler is told.
    pub configuration: Option<&'a str>,
}

/// An image of a new step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImage {
    /// What the handler knows it by.
    pub alias: String,
    /// 0 before, 1 after, 2 both.
    pub kind: i32,
    /// Its columns; none for all.
    pub columns: Vec<String>,
}

/// A step that was registered.
#[derive(Clone, Debug, Serialize)]
pub struct AddedStep {
    /// `sdkmessageprocessingstepid`.
    pub step: String,
    /// Its name.
    pub name: String,
}

/// What is registered.
#[derive(Clone, Debug, Serialize)]
pub struct Registered {
    /// Assemblies, each with its types.
    pub assemblies: Vec<Assembly>,
    /// Steps.
    pub steps: Vec<Step>,
}

/// A registered assembly.
#[derive(Clone, Debug, Serialize)]
pub struct Assembly {
    /// `pluginassemblyid`.
    pub id: String,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// SHA-256 of its component.
    pub hash: String,
    /// Names of its registered types.
    pub types: Vec<String>,
}

/// A registered step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// `sdkmessageprocessingstepid`.
    pub id: String,
    /// Name.
    pub name: String,
    /// Type or endpoint that it runs.
    pub handler: String,
    /// Message.
    pub message: String,
    /// Table; none for every table of the message.
    pub table: Option<String>,
    /// 10, 20 or 40.
    pub stage: i64,
    /// As a job.
    pub asynchronous: bool,
    /// Order.
    pub rank: i64,
    /// Columns of which one must be there, parted by commas.
    pub filter: Option<String>,
    /// It runs.
    pub enabled: bool,
}

/// Which traces.
#[derive(Clone, Debug)]
pub struct Traces<'a> {
    /// At most so many, the newest.
    pub top: u32,
    /// Of this type alone.
    pub of_type: Option<&'a str>,
    /// Of this request and everything that it caused.
    pub correlation: Option<&'a str>,
    /// Of runs that failed.
    pub failed: bool,
}

/// Puts a component into a service: makes its assembly or changes it in place, and registers its types.
pub async fn push(service: &Service, push: &Push<'_>) -> Result<Pushed, Error> {
    let path = format!(
        "pluginassemblies?$select=pluginassemblyid,name,version&$filter={}&@name={}",
        escaped("name eq @name"),
        literal(push.name)
    );
    let mut there = rows(service, path, "the assemblies").await?;
    if let Some(version) = push.version {
        there.retain(|row| line_of(&text(row, "version")) == line_of(version));
    }
    let content = STANDARD.encode(push.bytes);
    let (assembly, created, known) = match &there[..] {
        [] => {
            let row = json!({
                "name": push.name,
                "content": content,
                "version": push.version.unwrap_or("1.0.0.0"),
                "culture": "neutral",
                "publickeytoken": "0000000000000000",
                "isolationmode": 2,
                "sourcetype": 0,
            });
            let doing = format!("to create assembly `{}`", push.name);
            (create(service, "pluginassemblies", &row, &doing).await?, true, Vec::new())
        }
        [row] => (text(row, "pluginassemblyid"), false, types_of(service, row).await?),
        several => {
            return Err(Error::Several {
                what: "assemblies",
                name: push.name.to_owned(),
                of: list(several.iter().map(|row| text(row, "version"))),
            });
        }
    };
    let offered = |name: &str| push.types.iter().any(|(other, _)| other == name);
    let orphans: Vec<&(String, String)> = known.iter().filter(|(name, _)| !offered(name)).collect();
    if !orphans.is_empty() && !push.prune {
        return Err(Error::Orphans(orphans.iter().map(|(name, _)| name.clone()).collect()));
    }
    for (name, id) in &orphans {
        let doing = format!("to remove type `{name}`");
        send(service, Method::Delete, format!("plugintypes({id})"), None, &doing).await?;
    }
    if !created {
        let mut row = json!({"content": content});
        if let Some(version) = push.version {
            row["version"] = json!(version);
        }
        let doing = format!("to change assembly `{}`", push.name);
        let path = format!("pluginassemblies({assembly})");
        send(service, Method::Patch, path, Some(&row), &doing).await?;
    }
    let mut types = Vec::new();
    // A component has a few types, and one call makes one row.
    for (name, description) in push.types {
        let there = known.iter().find(|(other, _)| other == name);
        let id = match there {
            Some((_, id)) => id.clone(),
            None => {
                let row = json!({
                    "typename": name,
                    "friendlyname": name,
                    "name": name,
                    "description": description,
                    "pluginassemblyid@odata.bind": format!("/pluginassemblies({assembly})"),
                });
                let doing = format!("to register type `{name}`");
                create(service, "plugintypes", &row, &doing).await?
            }
        };
        let (name, description) = (name.clone(), description.clone());
        types.push(PushedType { name, id, description, created: there.is_none() });
    }
    let removed = orphans.into_iter().map(|(name, _)| name.clone()).collect();
    Ok(Pushed { assembly, name: push.name.to_owned(), created, types, removed })
}

/// Registers a step with its images; where an image is refused, no step is left.
pub async fn add_step(service: &Service, step: &NewStep<'_>) -> Result<AddedStep, Error> {
    let of_type = find_type(service, step).await?;
    let (message, filter) = find_event(service, step.message, step.table).await?;
    let table = step.table.unwrap_or("every table");
    let name = match step.name {
        Some(name) => name.to_owned(),
        None => format!("{}: {} of {table}", step.of_type, step.message),
    };
    let mut row = json!({
        "name": name,
        "stage": step.stage,
        "mode": i32::from(step.asynchronous),
        "rank": step.rank,
        "supporteddeployment": 0,
        "asyncautodelete": false,
        "eventhandler_plugintype@odata.bind": format!("/plugintypes({of_type})"),
        "sdkmessageid@odata.bind": format!("/sdkmessages({message})"),
    });
    if let Some(filter) = filter {
        row["sdkmessagefilterid@odata.bind"] = json!(format!("/sdkmessagefilters({filter})"));
    }
    if !step.filter.is_empty() {
        row["filteringattributes"] = json!(step.filter.join(","));
    }
    if let Some(configuration) = step.configuration {
        row["configuration"] = json!(configuration);
    }
    let id = create(service, STEPS, &row, &format!("to register step `{name}`")).await?;
    for image in step.images {
        let row = json!({
            "name": image.alias,
            "entityalias": image.alias,
            "imagetype": image.kind,
            "messagepropertyname": property(step.message),
            "attributes": (!image.columns.is_empty()).then(|| image.columns.join(",")),
            "sdkmessageprocessingstepid@odata.bind": format!("/{STEPS}({id})"),
        });
        let doing = format!("the image `{}` of step `{name}`", image.alias);
        if let Err(error) = create(service, "sdkmessageprocessingstepimages", &row, &doing).await {
            // The first error is what the caller has to hear.
            drop(remove_step(service, &id).await);
            return Err(error);
        }
    }
    Ok(AddedStep { step: id, name })
}

/// Lets a step run, or keeps it from it. By id or name; answers its id.
pub async fn enable_step(service: &Service, step: &str, enabled: bool) -> Result<String, Error> {
    let id = find_step(service, step).await?;
    let row = match enabled {
        true => json!({"statecode": 0, "statuscode": 1}),
        false => json!({"statecode": 1, "statuscode": 2}),
    };
    let doing = format!("to change step `{step}`");
    send(service, Method::Patch, format!("{STEPS}({id})"), Some(&row), &doing).await?;
    Ok(id)
}

/// Takes a step and its images out, by id or name; answers its id.
pub async fn remove_step(service: &Service, step: &str) -> Result<String, Error> {
    let id = find_step(service, step).await?;
    let doing = format!("to remove step `{step}`");
    send(service, Method::Delete, format!("{STEPS}({id})"), None, &doing).await?;
    Ok(id)
}

/// What is registered.
pub async fn registered(service: &Service) -> Result<Registered, Error> {
    let path = "pluginassemblies?$select=pluginassemblyid,name,version,sourcehash&$orderby=name";
    let assemblies = rows(service, path.to_owned(), "the assemblies").await?;
    let path =
        "plugintypes?$select=plugintypeid,typename,_pluginassemblyid_value&$orderby=typename";
    let types = rows(service, path.to_owned(), "the types").await?;
    let path = "serviceendpoints?$select=serviceendpointid,name";
    let endpoints = rows(service, path.to_owned(), "the endpoints").await?;
    let path = format!(
        "{STEPS}?$select=sdkmessageprocessingstepid,name,stage,mode,rank,statecode,filteringattributes,\
         _eventhandler_value&$expand=sdkmessageid($select=name),sdkmessagefilterid($select=primaryobjecttypecode)\
         &$orderby={}",
        escaped("stage asc,rank asc,name asc")
    );
    let steps = rows(service, path, "the steps").await?;
    let assembly = |row: &Json| {
        let id = text(row, "pluginassemblyid");
        let own = types.iter().filter(|of| text(of, "_pluginassemblyid_value") == id);
        Assembly {
            name: text(row, "name"),
            version: text(row, "version"),
            hash: text(row, "sourcehash"),
            types: own.map(|of| text(of, "typename")).collect(),
            id,
        }
    };
    let named = |rows: &[Json], key: &str, name: &str, id: &str| {
        rows.iter().find(|row| text(row, key) == id).map(|row| text(row, name))
    };
    let step = |row: &Json| {
        let handler = text(row, "_eventhandler_value");
        let of_type = named(&types, "plugintypeid", "typename", &handler);
        let endpoint = || named(&endpoints, "serviceendpointid", "name", &handler);
        let below = |parent: &str, name: &str| {
            let value = row.get(parent).and_then(|parent| parent.get(name));
            value.and_then(Json::as_str).map(str::to_owned)
        };
        let number = |name: &str| row.get(name).and_then(Json::as_i64).unwrap_or_default();
        Step {
            id: text(row, "sdkmessageprocessingstepid"),
            name: text(row, "name"),
            handler: of_type.or_else(endpoint).unwrap_or_default(),
            message: below("sdkmessageid", "name").unwrap_or_default(),
            table: below("sdkmessagefilterid", "primaryobjecttypecode"),
            stage: number("stage"),
            asynchronous: number("mode") == 1,
            rank: number("rank"),
            filter: Some(text(row, "filteringattributes")).filter(|filter| !filter.is_empty()),
            enabled: number("statecode") == 0,
        }
    };
    Ok(Registered {
        assemblies: assemblies.iter().map(assembly).collect(),
        steps: steps.iter().map(step).collect(),
    })
}

/// Which steps would run for a message: the answer of `SheafExplainSteps`, plans with `Text` and `Steps`.
pub async fn explain(
    service: &Service,
    message: &str,
    table: &str,
    targets: Option<u32>,
    columns: Option<&[String]>,
) -> Result<Vec<Json>, Error> {
    let mut names = "Message=@message,Table=@table".to_owned();
    let mut values = format!("@message={}&@table={}", literal(message), literal(table));
    if let Some(targets) = targets {
        names.push_str(&format!(",Targets={targets}"));
    }
    if let Some(columns) = columns {
        names.push_str(",Columns=@columns");
        values.push_str(&format!("&@columns={}", escaped(&json!(columns).to_string())));
    }
    let doing = "to explain a message (only services of Sheaf do)";
    let path = format!("SheafExplainSteps({names})?{values}");
    let response = service.ask(Request::get(path), doing).await?;
    let mut answer: Json = read(&response, doing)?;
    match answer.get_mut("Plans").map(Json::take) {
        Some(Json::Array(plans)) => Ok(plans),
        _ => Err(unreadable(doing, "it has no `Plans`").into()),
    }
}

/// The newest rows of the trace log, the oldest of them first.
pub async fn traces(service: &Service, traces: &Traces<'_>) -> Result<Vec<Json>, Error> {
    let mut filter = Vec::new();
    let mut values = String::new();
    if let Some(name) = traces.of_type {
        filter.push("typename eq @type".to_owned());
        values.push_str(&format!("&@type={}", literal(name)));
    }
    if let Some(correlation) = traces.correlation {
        filter.push(format!("correlationid eq {correlation}"));
    }
    if traces.failed {
        filter.push("exceptiondetails ne null".to_owned());
    }
    let filter = match filter.is_empty() {
        true => String::new(),
        false => format!("&$filter={}", escaped(&filter.join(" and "))),
    };
    let path = format!(
        "plugintracelogs?$select=createdon,typename,messagename,primaryentity,mode,depth,correlationid,requestid,\
         pluginstepid,messageblock,exceptiondetails,performanceexecutionduration&$orderby={}&$top={}{filter}{values}",
        escaped("createdon desc"),
        traces.top
    );
    let mut found = rows(service, path, "the trace log").await?;
    found.reverse();
    Ok(found)
}

/// The set of steps.
const STEPS: &str = "sdkmessageprocessingsteps";

/// The request property that names the rows of an image.
fn property(message: &str) -> &'static str {
    match message {
        "Create" => "Id",
        "CreateMultiple" => "Ids",
        "UpdateMultiple" | "DeleteMultiple" | "UpsertMultiple" => "Targets",
        _ => "Target",
    }
}

/// Major and minor version: what tells assemblies of one name apart.
fn line_of(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

/// Names and ids of the registered types of an assembly.
async fn types_of(service: &Service, assembly: &Json) -> Result<Vec<(String, String)>, Error> {
    let id = text(assembly, "pluginassemblyid");
    let filter = escaped(&format!("_pluginassemblyid_value eq {id}"));
    let path = format!("plugintypes?$select=plugintypeid,typename&$filter={filter}");
    let types = rows(service, path, "the types of an assembly").await?;
    Ok(types.iter().map(|row| (text(row, "typename"), text(row, "plugintypeid"))).collect())
}

async fn find_type(service: &Service, step: &NewStep<'_>) -> Result<String, Error> {
    let path = format!(
        "plugintypes?$select=plugintypeid,assemblyname&$filter={}&@type={}",
        escaped("typename eq @type"),
        literal(step.of_type)
    );
    let mut found = rows(service, path, "the types").await?;
    if let Some(assembly) = step.assembly {
        found.retain(|row| text(row, "assemblyname") == assembly);
    }
    let of = |row: &Json| text(row, "assemblyname");
    one_of(&found, "type", step.of_type, "plugintypeid", of)
}

/// The ids of a message, and of its filter for a table.
async fn find_event(
    service: &Service,
    message: &str,
    table: Option<&str>,
) -> Result<(String, Option<String>), Error> {
    let path = format!(
        "sdkmessages?$select=sdkmessageid&$filter={}&@message={}",
        escaped("name eq @message"),
        literal(message)
    );
    let found = rows(service, path, "the messages").await?;
    let id = one_of(&found, "message", message, "sdkmessageid", |row| text(row, "sdkmessageid"))?;
    let Some(table) = table else { return Ok((id, None)) };
    let path = format!(
        "sdkmessagefilters?$select=sdkmessagefilterid&$filter={}&@table={}",
        escaped(&format!("_sdkmessageid_value eq {id} and primaryobjecttypecode eq @table")),
        literal(table)
    );
    let found = rows(service, path, "the tables of a message").await?;
    let missing = || Error::Missing { what: "such message of table", name: table.to_owned() };
    let filter = found.first().map(|row| text(row, "sdkmessagefilterid")).ok_or_else(missing)?;
    Ok((id, Some(filter)))
}

async fn find_step(service: &Service, step: &str) -> Result<String, Error> {
    if let Ok(id) = model::Uuid::try_parse(step) {
        return Ok(id.to_string());
    }
    let path = format!(
        "{STEPS}?$select=sdkmessageprocessingstepid&$filter={}&@step={}",
        escaped("name eq @step"),
        literal(step)
    );
    let found = rows(service, path, "the steps").await?;
    let id = |row: &Json| text(row, "sdkmessageprocessingstepid");
    one_of(&found, "step", step, "sdkmessageprocessingstepid", id)
}

/// The id of the one row that was found.
fn one_of(
    found: &[Json],
    what: &'static str,
    name: &str,
    key: &str,
    told_apart_by: impl Fn(&Json) -> String,
) -> Result<String, Error> {
    let name = name.to_owned();
    match found {
        [] => Err(Error::Missing { what, name }),
        [row] => Ok(text(row, key)),
        several => {
            let of = list(several.iter().map(told_apart_by));
            Err(Error::Several { what, name, of })
        }
    }
}

fn list(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join(", ")
}

fn text(row: &Json, name: &str) -> String {
    row.get(name).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// A text in the value of a query option.
fn literal(text: &str) -> String {
    escaped(&format!("'{}'", text.replace('\'', "''")))
}

/// The rows of a query, page by page.
async fn rows(service: &Service, path: String, doing: &str) -> Result<Vec<Json>, Error> {
    let mut rows = Vec::new();
    let mut next = Some(path);
    while let Some(path) = next.take() {
        let response = service.ask(Request::get(path), doing).await?;
        let mut page: Json = read(&response, doing)?;
        match page.get_mut("value").map(Json::take) {
            Some(Json::Array(more)) => rows.extend(more),
            _ => return Err(unreadable(doing, "it has no `value`").into()),
        }
        next = page.get("@odata.nextLink").and_then(Json::as_str).map(str::to_owned);
    }
    Ok(rows)
}

async fn send(
    service: &Service,
    method: Method,
    path: String,
    row: Option<&Json>,
    doing: &str,
) -> Result<Response, Error> {
    let body = row.map(Json::to_string).unwrap_or_default();
    let mut request = Request { method, ..Request::post(path, body) };
    if method == Method::Patch {
        // What is not there must not come to be.
        request = request.with_header("if-match", "*");
    }
    Ok(service.ask(request, doing).await?)
}

/// Creates a row; answers its id.
async fn create(service: &Service, set: &str, row: &Json, doing: &str) -> Result<String, Error> {
    let response = send(service, Method::Post, set.to_owned(), Some(row), doing).await?;
    let address = response.header("odata-entityid").unwrap_or_default();
    let id = address.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    Ok(id.ok_or_else(|| unreadable(doing, "it names no record"))?.to_owned())
}

fn unreadable(doing: &str, why: &str) -> service::Error {
    service::Error::Unreadable { doing: doing.to_owned(), why: why.to_owned() }
}
