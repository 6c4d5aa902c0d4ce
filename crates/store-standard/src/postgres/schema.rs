//! Definitions in the database: the first objects, loading them, and changes of them as DDL.
//!
//! Bookkeeping: `sheaf_catalog` (one row: layout and version), one table per kind of definition, and the
//! sequence `sheaf_version` for row versions. Texts of definitions: `layout`.
//! Not here: rows (`execute`).
//! Invariant: definitions change only under the lock on the row of `sheaf_catalog`, in one transaction
//! with the tables that they describe.

use super::connection::{Session, Step};
use super::decode;
use super::encode::{Bound, Form};
use super::error::{Error, Fault, engine};
use crate::layout::{self, LAYOUT, Texts};
use crate::names::{self, Storage};
use model::{
    AlternateKey, Catalog, Column, ColumnIndex, ColumnKind, KeyIndex, Table, TableDefinition,
    TableId, TableKind,
};
use store::{Reason, Rejection, SchemaOp};

/// Columns that a PostgreSQL table may have.
const PHYSICAL_COLUMNS_MAX: usize = 1_600;
/// Bytes that an index entry may have, less its own head: a third of a page.
const INDEX_ENTRY_BYTES_MAX: u64 = 2_650;
/// Bytes that one UTF-16 unit takes at most in UTF-8, folded or not.
const BYTES_PER_UNIT_MAX: u64 = 3;
/// How often two nodes that start at the same moment may get in each other's way.
const CREATE_ATTEMPTS_MAX: usize = 10;

const OBJECTS: &str = "\
CREATE TABLE IF NOT EXISTS sheaf_catalog (
    id int4 PRIMARY KEY CHECK (id = 1), layout int4 NOT NULL, version int8 NOT NULL);
CREATE TABLE IF NOT EXISTS sheaf_table (
    id int4 PRIMARY KEY, place int4 NOT NULL UNIQUE, definition text NOT NULL);
CREATE TABLE IF NOT EXISTS sheaf_column (
    table_id int4 NOT NULL, place int4 NOT NULL, definition text NOT NULL,
    PRIMARY KEY (table_id, place));
CREATE TABLE IF NOT EXISTS sheaf_key (
    table_id int4 NOT NULL, place int4 NOT NULL, definition text NOT NULL,
    PRIMARY KEY (table_id, place));
CREATE TABLE IF NOT EXISTS sheaf_relationship (
    place int4 PRIMARY KEY, definition text NOT NULL);
CREATE SEQUENCE IF NOT EXISTS sheaf_version;";

/// Makes the bookkeeping objects where they are absent, and refuses a database of another layout.
pub(super) async fn open(session: &mut Session) -> Result<(), Error> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match layout_of(session).await {
            Ok(LAYOUT) => return Ok(()),
            Ok(found) => {
                let fault = Fault::Layout { found, known: LAYOUT };
                return Err(engine("opening the database", fault));
            }
            Err(Error::Names(_)) => {}
            Err(error) => return Err(error),
        }
        // Another node may do the same at this moment: whoever is second fails on a catalog index of
        // the server, or finds everything there.
        let steps = vec![
            Step::command("BEGIN"),
            Step::command(OBJECTS),
            Step::run(
                "INSERT INTO sheaf_catalog (id, layout, version) VALUES (1, $1::int4, 0) \
                 ON CONFLICT (id) DO NOTHING",
                vec![Bound::int4(LAYOUT)],
            ),
            Step::command("COMMIT"),
        ];
        match session.fly("making the bookkeeping tables", steps).await {
            Ok(_) => {}
            Err(error) if attempt >= CREATE_ATTEMPTS_MAX => return Err(error),
            Err(error) => {
                session.roll_back().await;
                tracing::debug!(%error, "another node makes the bookkeeping tables, too");
            }
        }
    }
}

/// The layout of the database; [`Error::Names`] if it has none.
async fn layout_of(session: &mut Session) -> Result<i32, Error> {
    let steps = vec![Step::run("SELECT layout::int8 FROM sheaf_catalog WHERE id = 1", Vec::new())];
    let answers = session.fly("reading the layout of the database", steps).await?;
    let unreadable = |fault: Fault| engine("reading the layout of the database", fault);
    let row = answers.first().and_then(|rows| rows.first());
    let row = row.ok_or(Fault::Answer("sheaf_catalog has no row")).map_err(unreadable)?;
    let layout = decode::int8(row, 0).map_err(unreadable)?;
    i32::try_from(layout).map_err(|error| engine("reading the layout of the database", error))
}

/// Loads every definition from one snapshot.
pub(super) async fn load(session: &mut Session) -> Result<Catalog, Error> {
    let run = |text: &'static str| Step::run(text, Vec::new());
    let steps = vec![
        Step::command("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        run("SELECT version FROM sheaf_catalog WHERE id = 1"),
        run("SELECT definition FROM sheaf_table ORDER BY place"),
        run("SELECT definition, table_id::int8 FROM sheaf_column ORDER BY table_id, place"),
        run("SELECT definition, table_id::int8 FROM sheaf_key ORDER BY table_id, place"),
        run("SELECT definition FROM sheaf_relationship ORDER BY place"),
        Step::command("COMMIT"),
    ];
    let answers = session.fly("loading definitions", steps).await?;
    let unreadable = |fault: Fault| engine("loading definitions", fault);
    let version = answers[1].first().ok_or(Fault::Answer("sheaf_catalog has no row"));
    let version = version.and_then(|row| decode::int8(row, 0)).map_err(unreadable)?;
    let version = u64::try_from(version).map_err(|error| engine("loading definitions", error))?;
    let texts = |place: usize| -> Result<Vec<String>, Error> {
        answers[place].iter().map(|row| decode::text(row, 0).map_err(unreadable)).collect()
    };
    let owned_texts = |place: usize| -> Result<Vec<(TableId, String)>, Error> {
        let rows = answers[place].iter();
        rows.map(|row| {
            let table = decode::int8(row, 1).map_err(unreadable)?;
            let table =
                u32::try_from(table).map_err(|error| engine("loading definitions", error))?;
            Ok((TableId(table), decode::text(row, 0).map_err(unreadable)?))
        })
        .collect()
    };
    let texts = Texts {
        tables: texts(2)?,
        columns: owned_texts(3)?,
        keys: owned_texts(4)?,
        relationships: texts(5)?,
    };
    layout::assemble(version, &texts).map_err(|error| engine("loading definitions", error))
}

/// What a change of definitions does to the database, and which of its operations each step is for.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The steps, in order.
    pub(super) steps: Vec<Step>,
    /// Steps that make the index of a key over rows that exist: the step, the operation, the key.
    keys: Vec<(usize, usize, KeyIndex)>,
}

impl Plan {
    fn ddl(&mut self, text: String) {
        self.steps.push(Step::command(text));
    }

    /// The answer where a step met rows that share a key.
    pub(super) fn rejection(&self, step: usize) -> Option<store::Error> {
        let (_, op, key) = self.keys.iter().find(|(place, ..)| *place == step)?;
        let reason = Reason::DuplicateKey { key: *key };
        Some(store::Error::Rejected {
            op: *op,
            rows: vec![Rejection { index: 0, id: None, reason }],
        })
    }
}

/// Plans a change; `after` are the definitions behind it.
pub(super) fn plan(before: &Catalog, after: &Catalog, ops: &[SchemaOp]) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    let mut created: Vec<TableId> = Vec::new();
    for (place, op) in ops.iter().enumerate() {
        if is_elastic(after, op) {
            continue;
        }
        match op {
            SchemaOp::CreateTable(definition) => {
                let table = table(after, definition.id)?;
                created.push(table.id);
                create_table(&mut plan, after, table);
            }
            SchemaOp::AddColumn { table: id, column } => {
                if !created.contains(id) {
                    add_column(&mut plan, after, table(after, *id)?, column);
                }
            }
            SchemaOp::AddKey { table: id, key } => {
                let table = table(after, *id)?;
                if !created.contains(id) {
                    add_folds(&mut plan, before, table, key);
                }
                add_key(&mut plan, table, key, Some(place))?;
            }
            SchemaOp::AddRelationship(relationship) => {
                if let Some(table) = after.table(&relationship.referencing_table)
                    && let Some(index) = table.index_of(&relationship.referencing_column)
                {
                    add_index(&mut plan, after, table, index);
                }
            }
        }
    }
    for op in ops {
        if let SchemaOp::CreateTable(definition) = op
            && !is_elastic(after, op)
        {
            for key in &definition.keys {
                add_key(&mut plan, table(after, definition.id)?, key, None)?;
            }
        }
    }
    for table in after.tables().iter().filter(|table| table.kind == TableKind::Standard) {
        check_size(table)?;
    }
    save(&mut plan, before, after);
    Ok(plan)
}

/// Whether an operation is about an elastic table: its rows lie elsewhere, so it has no physical table.
fn is_elastic(after: &Catalog, op: &SchemaOp) -> bool {
    let table = match op {
        SchemaOp::CreateTable(table) => return table.kind == TableKind::Elastic,
        SchemaOp::AddColumn { table, .. } | SchemaOp::AddKey { table, .. } => {
            after.table_by_id(*table)
        }
        SchemaOp::AddRelationship(relationship) => after.table(&relationship.referencing_table),
    };
    table.is_some_and(|table| table.kind == TableKind::Elastic)
}

fn table(catalog: &Catalog, id: TableId) -> Result<&Table, Error> {
    let found = catalog.table_by_id(id);
    found
        .map(|table| &**table)
        .ok_or_else(|| refuse(format!("there is no table with number {}", id.0)))
}

fn refuse(why: String) -> Error {
    Error::Store(store::Error::Schema { why })
}

/// The table with all its columns after the change, and their indexes.
fn create_table(plan: &mut Plan, catalog: &Catalog, table: &Table) {
    let mut parts = Vec::new();
    for (index, column) in table.indexed_columns() {
        parts.extend(physical_columns(catalog, table, index, column));
    }
    plan.ddl(format!("CREATE TABLE {} ({})", names::table(table.id), parts.join(", ")));
    for (index, _) in table.indexed_columns() {
        add_index(plan, catalog, table, index);
    }
}

fn add_column(plan: &mut Plan, catalog: &Catalog, table: &Table, column: &Column) {
    let Some(index) = table.index_of(&column.logical_name) else { return };
    let parts: Vec<String> = physical_columns(catalog, table, index, column)
        .into_iter()
        .map(|part| format!("ADD COLUMN {part}"))
        .collect();
    if !parts.is_empty() {
        plan.ddl(format!("ALTER TABLE {} {}", names::table(table.id), parts.join(", ")));
    }
    add_index(plan, catalog, table, index);
}

/// Names and types of what a column is kept in; nothing for a computed one.
fn physical_columns(
    catalog: &Catalog,
    table: &Table,
    index: ColumnIndex,
    column: &Column,
) -> Vec<String> {
    if !names::is_stored(column) {
        return Vec::new();
    }
    let storage = names::storage(catalog, table, index);
    let form = Form::of(storage);
    let collation = if form == Form::Text { " COLLATE \"C\"" } else { "" };
    let mut declaration = format!("{} {}{collation}", names::column(column.id), form.name());
    if index == table.primary_key {
        declaration.push_str(" PRIMARY KEY");
    } else if index == table.version_column() {
        declaration.push_str(" NOT NULL");
    }
    let mut parts = vec![declaration];
    if names::has_lookup_table(column) {
        parts.push(format!("{} int4", names::lookup_table(column.id)));
    }
    if let Storage::Text { .. } = storage {
        parts.push(format!("{} text COLLATE \"C\"", names::folded(column.id)));
    }
    parts
}

/// The index of a column that has one. Text that may be too long for an index entry goes without.
fn add_index(plan: &mut Plan, catalog: &Catalog, table: &Table, index: ColumnIndex) {
    let column = table.column(index);
    if !names::is_indexed(catalog, table, index) || entry_bytes(column) > INDEX_ENTRY_BYTES_MAX {
        return;
    }
    // Nulls first, as queries order them; read backwards it is descending with nulls last.
    plan.ddl(format!(
        "CREATE INDEX IF NOT EXISTS {} ON {} ({} NULLS FIRST)",
        names::column_index(table.id, column.id),
        names::table(table.id),
        names::index_part(table, index)
    ));
}

/// Bytes that a value takes in an index entry, at most.
fn entry_bytes(column: &Column) -> u64 {
    match &column.kind {
        ColumnKind::Text { max_length, .. } | ColumnKind::Memo { max_length, .. } => {
            u64::from(*max_length) * BYTES_PER_UNIT_MAX
        }
        // Numbers of 28 digits, ids and the like; table names have at most 100 letters.
        _ => 32,
    }
}

/// Folds every text of the columns that only now are searched by index. Until now the fold was kept
/// only where `lower` does not find it.
fn add_folds(plan: &mut Plan, before: &Catalog, table: &Table, key: &AlternateKey) {
    let Some(old) = before.table_by_id(table.id) else { return };
    let mut sets = Vec::new();
    for index in &key.columns {
        let column = table.column(*index);
        let existed = usize::from(index.0) < old.columns.len();
        if names::is_folded(table, *index) && existed && !names::is_folded(old, *index) {
            let (plain, folded) = (names::column(column.id), names::folded(column.id));
            sets.push(format!("{folded} = coalesce({folded}, lower(rtrim({plain}, ' ')))"));
        }
    }
    if !sets.is_empty() {
        plan.ddl(format!("UPDATE {} SET {}", names::table(table.id), sets.join(", ")));
    }
}

fn add_key(
    plan: &mut Plan,
    table: &Table,
    key: &AlternateKey,
    op: Option<usize>,
) -> Result<(), Error> {
    let bytes: u64 = key.columns.iter().map(|column| entry_bytes(table.column(*column))).sum();
    if bytes > INDEX_ENTRY_BYTES_MAX {
        return Err(refuse(format!(
            "alternate key `{}.{}` may hold {bytes} bytes, and PostgreSQL indexes at most \
             {INDEX_ENTRY_BYTES_MAX}: choose shorter columns",
            table.logical_name, key.logical_name
        )));
    }
    if let Some(op) = op
        && let Some(place) = table.keys.iter().position(|other| other.id == key.id)
        && let Ok(place) = u16::try_from(place)
    {
        plan.keys.push((plan.steps.len(), op, KeyIndex(place)));
    }
    let parts: Vec<String> =
        key.columns.iter().map(|column| names::index_part(table, *column)).collect();
    plan.ddl(format!(
        "CREATE UNIQUE INDEX {} ON {} ({})",
        names::key_index(table.id, key),
        names::table(table.id),
        parts.join(", ")
    ));
    Ok(())
}

fn check_size(table: &TableDefinition) -> Result<(), Error> {
    let physical: usize = table
        .columns
        .iter()
        .filter(|column| names::is_stored(column))
        .map(|column| {
            let companion = names::has_lookup_table(column) || names::is_text(column);
            1 + usize::from(companion)
        })
        .sum();
    if physical > PHYSICAL_COLUMNS_MAX {
        return Err(refuse(format!(
            "table `{}` needs {physical} columns in PostgreSQL, which has at most \
             {PHYSICAL_COLUMNS_MAX}: text columns and lookups with several targets take two",
            table.logical_name
        )));
    }
    Ok(())
}

/// Stores what is new in the definitions and raises the version.
fn save(plan: &mut Plan, before: &Catalog, after: &Catalog) {
    let mut columns = Owned::default();
    let mut keys = Owned::default();
    let mut tables = Owned::default();
    for (place, table) in after.tables().iter().enumerate() {
        let old = before.table_by_id(table.id);
        if old.is_none() {
            tables.push(table.id, place, layout::encode_table(table));
        }
        let (old_columns, old_keys) = old.map_or((0, 0), |old| (old.columns.len(), old.keys.len()));
        for (place, column) in table.columns.iter().enumerate().skip(old_columns) {
            columns.push(table.id, place, layout::encode_column(column));
        }
        for (place, key) in table.keys.iter().enumerate().skip(old_keys) {
            keys.push(table.id, place, layout::encode_key(key));
        }
    }
    tables.save(plan, "sheaf_table (id, place, definition)");
    columns.save(plan, "sheaf_column (table_id, place, definition)");
    keys.save(plan, "sheaf_key (table_id, place, definition)");
    let mut relationships = Owned::default();
    let new = after.relationships().iter().enumerate().skip(before.relationships().len());
    for (place, relationship) in new {
        relationships.push(TableId(0), place, layout::encode_relationship(relationship));
    }
    if !relationships.texts.is_empty() {
        plan.steps.push(Step::run(
            "INSERT INTO sheaf_relationship (place, definition) \
             SELECT p, d FROM unnest($1::int8[], $2::text[]) AS u(p, d)",
            vec![Bound::numbers(&relationships.places), Bound::texts(&relationships.texts)],
        ));
    }
    plan.steps
        .push(Step::run("UPDATE sheaf_catalog SET version = version + 1 WHERE id = 1", Vec::new()));
}

/// Definitions that belong to tables.
#[derive(Default)]
struct Owned {
    tables: Vec<i64>,
    places: Vec<i64>,
    texts: Vec<String>,
}

impl Owned {
    fn push(&mut self, table: TableId, place: usize, text: String) {
        self.tables.push(i64::from(table.0));
        self.places.push(i64::try_from(place).expect("a catalog has fewer definitions than that"));
        self.texts.push(text);
    }

    fn save(&self, plan: &mut Plan, into: &str) {
        if self.texts.is_empty() {
            return;
        }
        plan.steps.push(Step::run(
            format!(
                "INSERT INTO {into} \
                 SELECT t, p, d FROM unnest($1::int8[], $2::int8[], $3::text[]) AS u(t, p, d)"
            ),
            vec![
                Bound::numbers(&self.tables),
                Bound::numbers(&self.places),
                Bound::texts(&self.texts),
            ],
        ));
    }
}
