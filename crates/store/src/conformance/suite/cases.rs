//! Queries as text with the rows that they answer: the engine and the reference evaluator must both
//! answer these.
//!
//! The files in `conformance/cases` hold lines of these forms; blank lines and lines with `#` say
//! nothing:
//!
//! ```text
//! row ship_crate 1; ship_label=Alpha; ship_count=5; ship_holder=account:1
//! @ now=2024-05-15T17:45:30Z zone=35 fiscal=4-1-2003 user=1 language=1033
//! ship_count eq 5 => 1 3
//! <condition attribute='ship_count' operator='eq' value='5'/> => 1 3
//! name eq 5 => ! Edm.String
//! ```
//!
//! A query is an OData filter on `ship_crate`, or what a FetchXML `entity` of that table holds (bare
//! conditions stand in a filter). Behind the arrow stand the ids of the rows in order, or a part of the
//! error. A line with `@` sets the context of those below.
//! Not here: joins, orders and pages, which have tests of their own.

use crate::SchemaOp;
use crate::conformance::Harness;
use crate::conformance::fixture::{TableBuilder, id, lookup, next_column, pair_ops, relationship};
use crate::conformance::world::{World, rows_of};
use model::{
    ColumnKind, Date, DateTimeBehavior, Decimal, DeleteAction, Table, Timestamp, Uuid, Value,
};
use query::dates::{Fiscal, PeriodKind, zone_of_code};
use query::odata::{self, Options};
use query::{BoundQuery, Context, Settings, fetch};
use std::collections::HashMap;

const TABLE: &str = "ship_crate";

const FILTERS: &str = include_str!("../cases/filters.txt");

/// Cases in all files, at least: a file that is cut off must not pass.
const CASES_MIN: usize = 1_000;

/// Every case of the files, one after the other, on one store.
pub async fn query_cases_agree<H: Harness>() {
    let (_harness, world) = world::<H>().await;
    let mut failures = Vec::new();
    let mut count = 0;
    let contents = write_rows(&world, FILTERS).await;
    let mut context = context_of("");
    for (number, line) in (1..).zip(FILTERS.lines()) {
        let line = line.trim();
        if let Some(settings) = line.strip_prefix('@') {
            context = context_of(settings);
            continue;
        }
        let Some((text, want)) = line.rsplit_once("=>").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        count += 1;
        let got = answer(&world, &contents, text.trim(), &context).await;
        if let Err(why) = judge(got, want.trim()) {
            failures.push(format!("line {number}: {line}\n  {why}"));
        }
    }
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    assert!(count >= CASES_MIN, "only {count} cases");
}

fn judge(got: Result<Vec<u128>, String>, want: &str) -> Result<(), String> {
    match (got, want.strip_prefix('!')) {
        (Ok(ids), None) => {
            let got = ids.iter().map(u128::to_string).collect::<Vec<_>>().join(" ");
            if got == want { Ok(()) } else { Err(format!("answers {got}")) }
        }
        (Err(error), Some(part)) if error.contains(part.trim()) => Ok(()),
        (Err(error), _) => Err(format!("fails: {error}")),
        (Ok(ids), Some(_)) => Err(format!("answers {ids:?}")),
    }
}

/// The rows of every table.
type Contents = HashMap<Box<str>, Vec<Vec<Value>>>;

/// What the store answers; an error also where the evaluator answers something else.
async fn answer(
    world: &World,
    contents: &Contents,
    text: &str,
    context: &Context,
) -> Result<Vec<u128>, String> {
    let query = bind(world, text, context)?;
    let rows =
        |table: &Table| contents.get(&table.logical_name).into_iter().flatten().map(Vec::as_slice);
    let want = ids(&query, &query::evaluate_joined(&query, rows));
    let got = world.store.read(&query).await.map_err(|error| format!("{error:?}"))?;
    let got = ids(&query, &got);
    if got == want { Ok(got) } else { Err(format!("store {got:?}, evaluator {want:?}")) }
}

fn ids(query: &BoundQuery, page: &query::Page) -> Vec<u128> {
    let key = query
        .columns
        .iter()
        .position(|column| column.source == 0 && column.column == query.table.primary_key);
    let key = key.expect("the key is read");
    rows_of(query, page).iter().filter_map(|row| row[key].as_id()).map(|id| id.as_u128()).collect()
}

fn bind(world: &World, text: &str, context: &Context) -> Result<BoundQuery, String> {
    let (catalog, table) = (&world.catalog, world.table(TABLE));
    let mut options = Options::default();
    if text.starts_with('<') {
        options.context = context.clone();
        let inside = match text.starts_with("<condition") {
            true => format!("<filter>{text}</filter>"),
            false => text.to_owned(),
        };
        let text = format!("<fetch><entity name='{TABLE}'>{inside}</entity></fetch>");
        let fetched = fetch::parse(catalog, &table, &text, &options);
        return fetched.map(|fetched| fetched.listed.query).map_err(|error| error.to_string());
    }
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut options =
        Options::parse(&format!("$filter={encoded}")).map_err(|error| error.to_string())?;
    options.context = context.clone();
    let parsed = odata::parse(catalog, &table, &options);
    parsed.map(|parsed| parsed.query).map_err(|error| error.to_string())
}

/// `now=… zone=… fiscal=month-day-type user=… language=…`
fn context_of(text: &str) -> Context {
    let mut settings = Settings::default();
    let mut context = Context::default();
    for (name, value) in text.split_whitespace().filter_map(|part| part.split_once('=')) {
        let number = || value.parse::<i32>().expect("a number");
        match name {
            "now" => context.now = Timestamp::parse(value).expect("an instant"),
            "zone" => settings.zone = zone_of_code(number()).expect("a zone"),
            "user" => context.user = uuid(value),
            "unit" => context.business_unit = uuid(value),
            "language" => settings.language = number(),
            "fiscal" => {
                let mut parts = value.split('-');
                let mut part = || parts.next().expect("three parts");
                let month = part().parse().expect("a month");
                let day = part().parse().expect("a day");
                let kind = part().parse().ok().and_then(PeriodKind::of_code);
                settings.fiscal = Fiscal { month, day, kind: kind.expect("a type") };
            }
            other => panic!("no setting `{other}`"),
        }
    }
    Context::with(context.now, context.user, context.business_unit, settings)
}

fn uuid(text: &str) -> Uuid {
    id(text.trim().parse().expect("a small number"))
}

/// The suite's tables, with a tree of users and members of teams beside.
async fn world<H: Harness>() -> (H, World) {
    let (harness, mut world) = World::open::<H>().await;
    let users = world.table("systemuser");
    let parent = next_column(
        users.definition(),
        "parentsystemuserid",
        lookup("parentsystemuserid", &["systemuser"]),
    );
    let members = TableBuilder::new(7, "teammembership")
        .column("systemuserid", ColumnKind::Guid)
        .column("teamid", ColumnKind::Guid);
    let mut tree =
        relationship("crate_tree", (TABLE, "ship_parent"), TABLE, DeleteAction::NoCascade);
    tree.is_hierarchical = true;
    let ops = vec![
        SchemaOp::AddColumn { table: users.id, column: Box::new(parent) },
        members.create(),
        SchemaOp::AddRelationship(tree),
    ];
    world.change(ops).await.expect("the tables can be made");
    world.change(pair_ops(&world.catalog)).await.expect("the pairs can be made");
    (harness, world)
}

/// Writes the rows of a file, table by table in its order; answers what is there then.
async fn write_rows(world: &World, text: &str) -> Contents {
    let mut tables = vec!["systemuser"];
    for line in text.lines().filter_map(|line| line.trim().strip_prefix("row ")) {
        let mut parts = line.split(';').map(str::trim);
        let (name, number) = parts.next().and_then(|head| head.split_once(' ')).expect("a head");
        let table = world.table(name);
        let cells: Vec<(&str, Value)> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(column, text)| (column, value(world, &table, column, text)))
            .collect();
        world.insert(name, &[(uuid(number), &cells)]).await;
        if !tables.contains(&name) {
            tables.push(name);
        }
    }
    let mut contents = Contents::new();
    for table in tables {
        contents.insert(table.into(), world.rows(table).await);
    }
    contents
}

fn value(world: &World, table: &Table, column: &str, text: &str) -> Value {
    let place = table.index_of(column).unwrap_or_else(|| panic!("no column `{column}`"));
    match &table.column(place).kind {
        ColumnKind::Guid | ColumnKind::File { .. } => Value::Guid(uuid(text)),
        ColumnKind::Lookup { targets, .. } => match text.split_once(':') {
            Some((table, number)) => world.to(table, uuid(number)),
            None => world.to(&targets[0].table, uuid(text)),
        },
        ColumnKind::Text { .. }
        | ColumnKind::Memo { .. }
        | ColumnKind::TableName
        | ColumnKind::Image { .. } => Value::text(text),
        ColumnKind::BigInt => Value::BigInt(text.parse().expect("a number")),
        ColumnKind::Decimal { .. } | ColumnKind::Money { .. } => {
            Value::Decimal(text.parse::<Decimal>().expect("a decimal").normalize())
        }
        ColumnKind::Double { .. } => Value::Double(text.parse().expect("a number")),
        ColumnKind::Boolean { .. } => Value::Boolean(text == "true"),
        ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, .. } => {
            Value::Date(Date::parse(text).expect("a day"))
        }
        ColumnKind::DateTime { .. } => Value::DateTime(Timestamp::parse(text).expect("an instant")),
        ColumnKind::MultiChoice { .. } => {
            Value::Choices(text.split(',').map(|one| one.parse().expect("a number")).collect())
        }
        ColumnKind::Integer { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => Value::Integer(text.parse().expect("a number")),
    }
}
