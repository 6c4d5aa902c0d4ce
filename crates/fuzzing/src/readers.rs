//! Every parser of outside bytes as a function of bytes.
//!
//! Out: whether the bytes were taken for right; a parser that panics panics here. Names are resolved in the
//! catalog of [`ground::shared`].
//! Not here: whether an answer is the right one.

use std::sync::Arc;

use model::{LookupKind, MessageName, Table};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use query::odata::{self, Options, apply};
use query::{Context, expression, fetch, sql};
use testkit::draw::Draw;
use wire::{batch, error_body, etag, metadata, prefer, record, reference, targets};

use crate::grammar;
use crate::ground::{self, Ground};

/// A parser.
#[derive(Clone, Copy)]
pub struct Reader {
    /// What it reads; also the name of the target in `fuzz/`.
    pub name: &'static str,
    /// The rule of the [`grammar`] that writes what it reads.
    pub rule: &'static str,
    /// Reads; tells whether the bytes were taken.
    pub read: fn(&[u8]) -> bool,
}

impl Reader {
    /// A text that is nearly right.
    #[must_use]
    pub fn write(&self, draw: &mut Draw) -> Vec<u8> {
        grammar::write(draw, self.rule).into_bytes()
    }
}

/// All of them.
pub const READERS: [Reader; 16] = [
    Reader { name: "options", rule: "options", read: options },
    Reader { name: "filter", rule: "filter", read: filter },
    Reader { name: "expand", rule: "expand", read: expand },
    Reader { name: "order", rule: "order", read: order },
    Reader { name: "apply", rule: "apply", read: apply },
    Reader { name: "fetch", rule: "fetch", read: fetch },
    Reader { name: "sql", rule: "sql", read: sql },
    Reader { name: "token", rule: "token", read: token },
    Reader { name: "query_set", rule: "query_set", read: query_set },
    Reader { name: "batch", rule: "batch", read: batch },
    Reader { name: "targets", rule: "targets", read: targets },
    Reader { name: "record", rule: "record", read: record },
    Reader { name: "definition", rule: "definition", read: definition },
    Reader { name: "reference", rule: "reference", read: reference },
    Reader { name: "headers", rule: "header_value", read: headers },
    Reader { name: "answer", rule: "answer", read: answer },
];

/// The reader of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Reader> {
    READERS.iter().find(|reader| reader.name == name)
}

fn crates() -> (&'static Ground, Arc<Table>) {
    let ground = ground::shared();
    (ground, ground.table("ship_crate"))
}

/// Options of a query string of which this is one value.
fn one_option(name: &str, bytes: &[u8]) -> Option<Options> {
    let text = String::from_utf8_lossy(bytes);
    let raw = format!("{name}={}", utf8_percent_encode(&text, NON_ALPHANUMERIC));
    let mut options = Options::parse(&raw).ok()?;
    options.context = context();
    Some(options)
}

fn no_options() -> Options {
    let mut options = Options::default();
    options.context = context();
    options
}

fn context() -> Context {
    let now = model::Timestamp(1_800_000_000);
    let id = model::Uuid::from_u128(0xA11CE);
    Context::with(now, id, id, query::Settings::default())
}

/// A whole query string, of many rows and of one.
pub fn options(bytes: &[u8]) -> bool {
    let (ground, table) = crates();
    let Ok(mut options) = Options::parse(&String::from_utf8_lossy(bytes)) else { return false };
    options.context = context();
    let all = query::Filter::And(Vec::new());
    drop(odata::parse_single(&ground.catalog, &table, &options, all));
    drop(odata::parse_count(&ground.catalog, &table, &options, None));
    odata::parse(&ground.catalog, &table, &options).is_ok()
}

fn one(name: &str, bytes: &[u8]) -> bool {
    let (ground, table) = crates();
    one_option(name, bytes)
        .is_some_and(|options| odata::parse(&ground.catalog, &table, &options).is_ok())
}

/// `$filter`
pub fn filter(bytes: &[u8]) -> bool {
    one("$filter", bytes)
}

/// `$expand`
pub fn expand(bytes: &[u8]) -> bool {
    one("$expand", bytes)
}

/// `$orderby`, and the same text as `$select`.
pub fn order(bytes: &[u8]) -> bool {
    one("$select", bytes);
    one("$orderby", bytes)
}

/// `$skiptoken`, and the same text as a cookie of FetchXML.
pub fn token(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let fetched = fetch(
        format!(
            "<fetch page=\"2\" paging-cookie=\"{escaped}\"><entity name=\"ship_crate\"/></fetch>"
        )
        .as_bytes(),
    );
    let (ground, table) = crates();
    let grouped = one_option("$skiptoken", bytes).is_some_and(|options| {
        let options = options.with("$apply", Some("groupby((ship_color))"));
        apply::parse(&ground.catalog, &table, &options).is_ok()
    });
    one("$skiptoken", bytes) || fetched || grouped
}

/// `$apply`
pub fn apply(bytes: &[u8]) -> bool {
    let (ground, table) = crates();
    one_option("$apply", bytes)
        .is_some_and(|options| apply::parse(&ground.catalog, &table, &options).is_ok())
}

/// `fetchXml=`
pub fn fetch(bytes: &[u8]) -> bool {
    let (ground, table) = crates();
    let options = no_options();
    fetch::parse(&ground.catalog, &table, &String::from_utf8_lossy(bytes), &options).is_ok()
}

/// `sql=`
pub fn sql(bytes: &[u8]) -> bool {
    let (ground, table) = crates();
    let options = no_options();
    sql::parse(&ground.catalog, &table, &options, &String::from_utf8_lossy(bytes)).is_ok()
}

/// `QuerySet` of a bulk delete.
pub fn query_set(bytes: &[u8]) -> bool {
    let ground = ground::shared();
    let Ok(queries) = expression::parse(&String::from_utf8_lossy(bytes)) else { return false };
    drop(expression::to_fetch(&queries));
    queries.iter().all(|query| expression::bind(&ground.catalog, query, &context()).is_ok())
}

/// A multipart body, its boundary that of the first line; also as answers.
pub fn batch(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let kind = format!("multipart/mixed; boundary={}", line.trim().trim_start_matches('-'));
    drop(batch::read_response(&kind, bytes));
    drop(batch::read(&line, bytes));
    let Ok(parts) = batch::read(&kind, bytes) else { return false };
    for operation in parts.iter().flat_map(batch::Part::items) {
        drop(batch::resolve(operation.body, |id| Some(format!("accounts({id})"))));
    }
    true
}

/// The body of a bulk message.
pub fn targets(bytes: &[u8]) -> bool {
    let ground = ground::shared();
    let mut taken = false;
    for name in ["ship_crate", "ship_ping"] {
        let table = ground.table(name);
        for message in [
            MessageName::CreateMultiple,
            MessageName::UpdateMultiple,
            MessageName::UpsertMultiple,
            MessageName::DeleteMultiple,
        ] {
            taken |= targets::decode(bytes, message, &table, &ground.catalog).is_ok();
        }
    }
    taken
}

/// The body of a single create or update.
pub fn record(bytes: &[u8]) -> bool {
    let (ground, table) = crates();
    drop(targets::decode_new(bytes, &table, &ground.catalog));
    drop(batch::resolve(bytes, |id| Some(format!("accounts({id})"))));
    targets::decode_record(bytes, &table, &ground.catalog).is_ok()
}

/// The body of a definition, of whatever.
pub fn definition(bytes: &[u8]) -> bool {
    let kinds = [LookupKind::Plain, LookupKind::Customer, LookupKind::Owner];
    let (_, table) = crates();
    drop(metadata::decode_table_change(bytes, &table, true));
    let mut taken = [
        metadata::decode_table(bytes).is_ok(),
        metadata::decode_tables(bytes).is_ok(),
        metadata::decode_column(bytes).is_ok(),
        metadata::decode_key(bytes).is_ok(),
        metadata::decode_relationship(bytes).is_ok(),
        metadata::decode_choice(bytes).is_ok(),
        metadata::decode_option_action(bytes).is_ok(),
    ]
    .contains(&true);
    for kind in kinds {
        taken |= metadata::decode_lookup(bytes, kind).is_ok();
    }
    taken
}

/// An address of a record, and the key inside of one.
pub fn reference(bytes: &[u8]) -> bool {
    let (ground, table) = crates();
    let text = String::from_utf8_lossy(bytes);
    let inside = reference::parse_key(&text, &table, &ground.catalog).is_ok();
    reference::parse(&text, &ground.catalog).is_ok() || inside
}

/// The value of a header.
pub fn headers(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let wanted = prefer::Prefer::parse([&*text]);
    let filter = prefer::AnnotationFilter::parse(&text);
    let _matches = filter.matches("OData.Community.Display.V1.FormattedValue");
    wanted != prefer::Prefer::default() || etag::parse(&text).is_some()
}

/// What a service answers, as the client reads it.
pub fn answer(bytes: &[u8]) -> bool {
    let (ground, table) = crates();
    drop(error_body::read(bytes));
    [
        record::read_page(bytes, &table, &ground.catalog).is_ok(),
        record::read_one(bytes, &table, &ground.catalog).is_ok(),
        record::read_ids(bytes).is_ok(),
        metadata::read_table(bytes).is_ok(),
    ]
    .contains(&true)
}
