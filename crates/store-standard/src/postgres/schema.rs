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
use super::numbers;
use crate::counters;
use crate::layout::changes::{self, Changes, Part};
use crate::layout::{self, LAYOUT, Texts};
use crate::names::{self, Storage};
use model::{
    AlternateKey, Catalog, Column, ColumnIndex, ColumnKind, DeleteAction, KeyIndex, Table,
    TableDefinition, TableId, TableKind,
};
use std::sync::Arc;
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
CREATE TABLE IF NOT EXISTS sheaf_definition (
    place int4 NOT NULL UNIQUE, kind int4 NOT NULL, id uuid NOT NULL, definition text NOT NULL,
    PRIMARY KEY (kind, id));
CREATE SEQUENCE IF NOT EXISTS sheaf_version;";

/// Makes the bookkeeping objects where they are absent, and refuses a database of another layout.
pub(super) async fn open(session: &mut Session) -> Result<(), Error> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match layout_of(session).await {
            Ok((LAYOUT, true)) => return Ok(()),
            // Of an older release: only what came later is made.
            Ok((LAYOUT, false)) => {}
            Ok((found, _)) => {
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

/// The layout of the database, and whether it has every bookkeeping table; [`Error::Names`] if it has
/// none.
async fn layout_of(session: &mut Session) -> Result<(i32, bool), Error> {
    let steps = vec![Step::run(
        "SELECT layout::int8, \
         (SELECT count(*) FROM pg_class WHERE oid = to_regclass('sheaf_definition'))::int8 \
         FROM sheaf_catalog WHERE id = 1",
        Vec::new(),
    )];
    let answers = session.fly("reading the layout of the database", steps).await?;
    let unreadable = |fault: Fault| engine("reading the layout of the database", fault);
    let row = answers.first().and_then(|rows| rows.first());
    let row = row.ok_or(Fault::Answer("sheaf_catalog has no row")).map_err(unreadable)?;
    let layout = decode::int8(row, 0).map_err(unreadable)?;
    let is_whole = decode::int8(row, 1).map_err(unreadable)? > 0;
    let layout = i32::try_from(layout);
    let layout = layout.map_err(|error| engine("reading the layout of the database", error))?;
    Ok((layout, is_whole))
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
        run("SELECT definition, kind::int8 FROM sheaf_definition ORDER BY place"),
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
    let others = answers[6].iter().map(|row| {
        let kind = decode::int8(row, 1).map_err(unreadable)?;
        Ok((kind, decode::text(row, 0).map_err(unreadable)?))
    });
    let texts = Texts {
        tables: texts(2)?,
        columns: owned_texts(3)?,
        keys: owned_texts(4)?,
        relationships: texts(5)?,
        others: others.collect::<Result<_, Error>>()?,
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
///
/// What stands in `before` and not in `after` goes first, then tables and columns are made, then what
/// is built over them: indexes and keys.
pub(super) fn plan(before: &Catalog, after: &Catalog, ops: &[SchemaOp]) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    for table in before.tables().iter().filter(|table| table.kind == TableKind::Standard) {
        if after.table_by_id(table.id).is_none() {
            plan.ddl(format!("DROP TABLE {}", names::table(table.id)));
        }
    }
    for table in after.tables().iter().filter(|table| table.kind == TableKind::Standard) {
        match before.table_by_id(table.id) {
            None => create_table(&mut plan, after, table),
            Some(old) if Arc::ptr_eq(old, table) && same_links(before, after, table) => continue,
            Some(old) => change_table(&mut plan, before, after, old, table)?,
        }
        check_size(table)?;
    }
    for table in after.tables().iter().filter(|table| table.kind == TableKind::Standard) {
        let old = before.table_by_id(table.id);
        for key in &table.keys {
            if old.is_some_and(|old| old.keys.iter().any(|known| known.id == key.id)) {
                continue;
            }
            if old.is_some() {
                add_folds(&mut plan, before, table, key);
            }
            add_key(&mut plan, table, key, place_of_key(ops, table.id, key.id))?;
        }
    }
    let counters = counters::changes(before, after, ops);
    numbers::changed(&counters).for_each(|command| plan.ddl(command));
    save(&mut plan, before, after);
    Ok(plan)
}

/// The operation that makes a key over rows that exist.
fn place_of_key(ops: &[SchemaOp], of: TableId, number: u32) -> Option<usize> {
    ops.iter().position(
        |op| matches!(op, SchemaOp::AddKey { table, key } if *table == of && key.id == number),
    )
}

/// Whether the same lookups of a table are followed by deletes, so that the same indexes serve them.
fn same_links(before: &Catalog, after: &Catalog, table: &Table) -> bool {
    let links = |catalog: &Catalog| -> Vec<(Box<str>, DeleteAction)> {
        let own = catalog.referenced_by(&table.logical_name);
        own.map(|one| (one.referencing_column.clone(), one.cascade.delete)).collect()
    };
    links(before) == links(after)
}

fn refuse(why: String) -> Error {
    Error::Store(store::Error::Schema { why })
}

/// The table with all its columns after the change, and their indexes.
fn create_table(plan: &mut Plan, catalog: &Catalog, table: &Table) {
    let columns = physical(catalog, table);
    let parts: Vec<String> =
        columns.into_iter().map(|(name, declared)| format!("{name} {declared}")).collect();
    plan.ddl(format!("CREATE TABLE {} ({})", names::table(table.id), parts.join(", ")));
    for (index, _) in table.indexed_columns() {
        add_index(plan, catalog, table, index);
    }
}

/// Brings a table that exists from one definition to another.
fn change_table(
    plan: &mut Plan,
    before: &Catalog,
    after: &Catalog,
    old: &Table,
    new: &Table,
) -> Result<(), Error> {
    let name = names::table(new.id);
    for column in &new.columns {
        let known = old.columns.iter().find(|known| known.id == column.id);
        let fitted = known.is_some_and(|known| entry_bytes(known) <= INDEX_ENTRY_BYTES_MAX);
        if fitted && entry_bytes(column) > INDEX_ENTRY_BYTES_MAX {
            // Values may now be longer than what an index takes.
            let index = names::column_index(new.id, column.id);
            plan.ddl(format!("DROP INDEX IF EXISTS {index}"));
        }
    }
    for key in new.keys.iter().filter(|key| old.keys.iter().any(|known| known.id == key.id)) {
        check_key_size(new, key)?;
    }
    for key in &old.keys {
        if new.keys.iter().all(|kept| kept.id != key.id) {
            plan.ddl(format!("DROP INDEX {}", names::key_index(old.id, key)));
        }
    }
    for (column, tables) in names::lost_targets(before, old, new) {
        let (own, of) = (names::column(column), names::lookup_table(column));
        let numbers: Vec<String> = tables.iter().map(|table| table.0.to_string()).collect();
        plan.ddl(format!(
            "UPDATE {name} SET {own} = NULL, {of} = NULL WHERE {of} IN ({})",
            numbers.join(", ")
        ));
    }
    let had = physical(before, old);
    let has = physical(after, new);
    let mut parts = Vec::new();
    for (column, _) in &had {
        if has.iter().all(|(kept, _)| kept != column) {
            // Its indexes go with it.
            parts.push(format!("DROP COLUMN {column}"));
        }
    }
    for (column, declared) in &has {
        if had.iter().all(|(known, _)| known != column) {
            parts.push(format!("ADD COLUMN {column} {declared}"));
        }
    }
    if !parts.is_empty() {
        plan.ddl(format!("ALTER TABLE {name} {}", parts.join(", ")));
    }
    for (index, _) in new.indexed_columns() {
        add_index(plan, after, new, index);
    }
    Ok(())
}

/// Names of the physical columns of a table, each with what it is declared as.
fn physical(catalog: &Catalog, table: &Table) -> Vec<(String, String)> {
    let columns = table.indexed_columns();
    columns.flat_map(|(index, column)| physical_columns(catalog, table, index, column)).collect()
}

/// Names and types of what a column is kept in; nothing for a computed one.
fn physical_columns(
    catalog: &Catalog,
    table: &Table,
    index: ColumnIndex,
    column: &Column,
) -> Vec<(String, String)> {
    if !names::is_stored(column) {
        return Vec::new();
    }
    let storage = names::storage(catalog, table, index);
    let form = Form::of(storage);
    let collation = if form == Form::Text { " COLLATE \"C\"" } else { "" };
    let mut declaration = format!("{}{collation}", form.name());
    if index == table.primary_key {
        declaration.push_str(" PRIMARY KEY");
    } else if index == table.version_column() {
        declaration.push_str(" NOT NULL");
    }
    let mut parts = vec![(names::column(column.id), declaration)];
    if names::has_lookup_table(column) {
        parts.push((names::lookup_table(column.id), "int4".to_owned()));
    }
    if let Storage::Text { .. } = storage {
        parts.push((names::folded(column.id), "text COLLATE \"C\"".to_owned()));
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
    check_key_size(table, key)?;
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

fn check_key_size(table: &Table, key: &AlternateKey) -> Result<(), Error> {
    let bytes: u64 = key.columns.iter().map(|column| entry_bytes(table.column(*column))).sum();
    if bytes > INDEX_ENTRY_BYTES_MAX {
        return Err(refuse(format!(
            "alternate key `{}.{}` may hold {bytes} bytes, and PostgreSQL indexes at most \
             {INDEX_ENTRY_BYTES_MAX}: choose shorter columns",
            table.logical_name, key.logical_name
        )));
    }
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

/// Stores what a change made of the definitions and raises the version.
fn save(plan: &mut Plan, before: &Catalog, after: &Catalog) {
    let changes = changes::between(before, after);
    let numbers = |tables: &mut dyn Iterator<Item = &TableId>| -> Vec<i64> {
        tables.map(|table| i64::from(table.0)).collect()
    };
    let mut delete = |text: &'static str, tables: Vec<i64>| {
        if !tables.is_empty() {
            plan.steps.push(Step::run(text, vec![Bound::numbers(&tables)]));
        }
    };
    delete(
        "DELETE FROM sheaf_table WHERE id = ANY($1::int8[])",
        numbers(&mut changes.tables_gone.iter()),
    );
    delete(
        "DELETE FROM sheaf_column WHERE table_id = ANY($1::int8[])",
        numbers(&mut changes.tables_gone.iter().chain(&changes.columns_cleared)),
    );
    delete(
        "DELETE FROM sheaf_key WHERE table_id = ANY($1::int8[])",
        numbers(&mut changes.tables_gone.iter().chain(&changes.keys_cleared)),
    );
    save_tables(plan, &changes);
    save_parts(plan, "sheaf_column (table_id, place, definition)", &changes.columns);
    save_parts(plan, "sheaf_key (table_id, place, definition)", &changes.keys);
    save_relationships(plan, &changes);
    save_others(plan, &changes);
    plan.steps
        .push(Step::run("UPDATE sheaf_catalog SET version = version + 1 WHERE id = 1", Vec::new()));
}

fn save_tables(plan: &mut Plan, changes: &Changes) {
    let changed = &changes.tables_changed;
    if !changed.is_empty() {
        let ids: Vec<i64> = changed.iter().map(|(table, _)| i64::from(table.0)).collect();
        let texts: Vec<String> = changed.iter().map(|(_, text)| text.clone()).collect();
        plan.steps.push(Step::run(
            "UPDATE sheaf_table SET definition = d \
             FROM unnest($1::int8[], $2::text[]) AS u(t, d) WHERE id = t",
            vec![Bound::numbers(&ids), Bound::texts(&texts)],
        ));
    }
    if !changes.tables.is_empty() {
        let ids: Vec<i64> = changes.tables.iter().map(|(table, ..)| i64::from(table.0)).collect();
        let texts: Vec<String> = changes.tables.iter().map(|(.., text)| text.clone()).collect();
        plan.steps.push(Step::run(
            "INSERT INTO sheaf_table (id, place, definition) \
             SELECT t, (SELECT coalesce(max(place), -1) FROM sheaf_table) + n, d \
             FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY AS u(t, d, n)",
            vec![Bound::numbers(&ids), Bound::texts(&texts)],
        ));
    }
}

fn save_parts(plan: &mut Plan, into: &str, parts: &[Part]) {
    if parts.is_empty() {
        return;
    }
    let tables: Vec<i64> = parts.iter().map(|part| i64::from(part.table.0)).collect();
    let place = |part: &Part| i64::try_from(part.place).expect("a table has at most 1,000 columns");
    let places: Vec<i64> = parts.iter().map(place).collect();
    let texts: Vec<String> = parts.iter().map(|part| part.text.clone()).collect();
    plan.steps.push(Step::run(
        format!(
            "INSERT INTO {into} \
             SELECT t, p, d FROM unnest($1::int8[], $2::int8[], $3::text[]) AS u(t, p, d)"
        ),
        vec![Bound::numbers(&tables), Bound::numbers(&places), Bound::texts(&texts)],
    ));
}

fn save_relationships(plan: &mut Plan, changes: &Changes) {
    if !changes.relationships_gone.is_empty() {
        plan.steps.push(Step::run(
            "DELETE FROM sheaf_relationship \
             WHERE definition::json ->> 'schema_name' = ANY($1::text[])",
            vec![Bound::texts(&changes.relationships_gone)],
        ));
    }
    let columns = |list: &[(String, String)]| {
        let (names, texts): (Vec<String>, Vec<String>) = list.iter().cloned().unzip();
        (names, texts)
    };
    if !changes.relationships_changed.is_empty() {
        let (names, texts) = columns(&changes.relationships_changed);
        plan.steps.push(Step::run(
            "UPDATE sheaf_relationship SET definition = d \
             FROM unnest($1::text[], $2::text[]) AS u(s, d) \
             WHERE definition::json ->> 'schema_name' = s",
            vec![Bound::texts(&names), Bound::texts(&texts)],
        ));
    }
    if !changes.relationships.is_empty() {
        let (_, texts) = columns(&changes.relationships);
        plan.steps.push(Step::run(
            "INSERT INTO sheaf_relationship (place, definition) \
             SELECT (SELECT coalesce(max(place), -1) FROM sheaf_relationship) + n, d \
             FROM unnest($1::text[]) WITH ORDINALITY AS u(d, n)",
            vec![Bound::texts(&texts)],
        ));
    }
}

fn save_others(plan: &mut Plan, changes: &Changes) {
    if !changes.gone.is_empty() {
        let kinds: Vec<i64> = changes.gone.iter().map(|(kind, _)| *kind as i64).collect();
        plan.steps.push(Step::run(
            "DELETE FROM sheaf_definition USING unnest($1::int8[], $2::uuid[]) AS u(k, i) \
             WHERE kind = k AND id = i",
            vec![Bound::numbers(&kinds), Bound::ids(changes.gone.iter().map(|(_, id)| id))],
        ));
    }
    if !changes.put.is_empty() {
        let kinds: Vec<i64> = changes.put.iter().map(|(kind, ..)| *kind as i64).collect();
        let texts: Vec<String> = changes.put.iter().map(|(.., text)| text.clone()).collect();
        plan.steps.push(Step::run(
            "INSERT INTO sheaf_definition (place, kind, id, definition) \
             SELECT (SELECT coalesce(max(place), -1) FROM sheaf_definition) + n, k, i, d \
             FROM unnest($1::int8[], $2::uuid[], $3::text[]) WITH ORDINALITY AS u(k, i, d, n) \
             ON CONFLICT (kind, id) DO UPDATE SET definition = excluded.definition",
            vec![
                Bound::numbers(&kinds),
                Bound::ids(changes.put.iter().map(|(_, id, _)| id)),
                Bound::texts(&texts),
            ],
        ));
    }
}
