//! Which rows of a refused operation failed, and why.
//!
//! Runs where the rows are as the operation found them: after what it wrote was rolled back, or instead of writing
//! (`judged`). The rules are `store::judge`; here the facts are read, each kind by one statement bound anew. What hangs on a
//! row to delete is walked per target, so that each one is told for itself.
//! Not here: running the operations before the refused one again (`writer`).

use super::error::{Halt, malformed, statement_failed};
use super::execute::{find_one, key_sql, pointers, refuse_loops, version_sql};
use super::reader::value_of;
use super::session::{Lent, Session};
use crate::dialect::Param;
use crate::names::{self, LookupTable, Storage};
use crate::select;
use model::{
    Catalog, ColumnIndex, ColumnKind, DeleteAction, KeyIndex, OneToMany, Table, TableId, Uuid,
    Value,
};
use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use store::alternate::{KeyPart, KeyParts};
use store::judge::{Resolved, Rows, judge};
use store::{Reason, Rejection, Result, WriteOp};

/// The failing rows of an operation, ascending. Never empty.
pub(super) fn diagnose(
    session: &Session<'_>,
    catalog: &Arc<Catalog>,
    op: &WriteOp,
) -> Result<Vec<Rejection>> {
    let rows = failing(session, catalog, op)?;
    if rows.is_empty() {
        return Err(malformed("an operation was refused, but none of its rows is to blame"));
    }
    Ok(rows)
}

/// The failing rows of an operation that was not tried, ascending.
pub(super) fn failing(
    session: &Session<'_>,
    catalog: &Arc<Catalog>,
    op: &WriteOp,
) -> Result<Vec<Rejection>> {
    let stored = Stored {
        session,
        catalog,
        own: op.table().id,
        failed: RefCell::default(),
        known: RefCell::default(),
        lent: RefCell::default(),
    };
    let mut verdicts = judge(&stored, op);
    if let WriteOp::Delete(op) = op {
        hold(&stored, &op.table, &mut verdicts);
    }
    if !matches!(op, WriteOp::Delete(_) | WriteOp::Fill(_)) {
        refuse_loops(session, catalog, op.table(), &mut verdicts).map_err(|halt| match halt {
            Halt::Failed(error) => error,
            Halt::Refused => malformed("a read was refused"),
        })?;
    }
    if let Some(source) = stored.failed.into_inner() {
        return Err(statement_failed(source));
    }
    Ok(verdicts.into_iter().filter_map(Result::err).collect())
}

/// The rows of the database as the judge asks for them.
struct Stored<'s, 'c> {
    session: &'s Session<'c>,
    catalog: &'s Catalog,
    /// The table of the operation.
    own: TableId,
    /// The first error; answers after it do not matter.
    failed: RefCell<Option<rusqlite::Error>>,
    /// Versions of other tables that were read: owners and currencies are the same in row after row.
    known: RefCell<HashMap<(TableId, Uuid), Option<i64>>>,
    /// The statement of each kind of question.
    lent: RefCell<HashMap<Question, Lent<'s, 'c>>>,
}

/// A question that is asked for row after row.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    /// The version of a row.
    Version(TableId),
    /// The row with an alternate key.
    Key(TableId, KeyIndex),
}

impl<'s, 'c> Stored<'s, 'c> {
    /// Asks with the question's statement, which is made when it is asked for the first time.
    fn ask<T>(
        &self,
        question: Question,
        sql: impl FnOnce() -> String,
        ask: impl FnOnce(&mut Lent<'s, 'c>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let mut lent = self.lent.borrow_mut();
        match lent.entry(question) {
            Entry::Occupied(mut statement) => ask(statement.get_mut()),
            Entry::Vacant(place) => ask(place.insert(self.session.statement(&sql())?)),
        }
    }

    fn note<T: Default>(&self, answer: rusqlite::Result<T>) -> T {
        answer.unwrap_or_else(|error| {
            self.failed.borrow_mut().get_or_insert(error);
            T::default()
        })
    }

    fn cell(&self, table: &Table, id: Uuid, column: ColumnIndex) -> rusqlite::Result<Value> {
        let definition = table.column(column);
        let storage = names::storage(self.catalog, table.definition(), column);
        let mut sql = format!("SELECT {}", names::column(definition.id));
        if storage == Storage::Lookup(LookupTable::Column) {
            sql.push_str(&format!(", {}", names::lookup_table(definition.id)));
        }
        sql.push_str(&format!(
            " FROM {} WHERE {} = ?1",
            names::table(table.id),
            names::column(table.column(table.primary_key).id)
        ));
        let mut statement = self.session.statement(&sql)?;
        statement.raw_bind_parameter(1, id.as_bytes().as_slice())?;
        let mut rows = statement.raw_query();
        match rows.next()? {
            Some(row) => value_of(row, 0, storage),
            None => Ok(Value::Null),
        }
    }

    fn pointers(&self, relationship: &OneToMany, targets: &HashSet<Uuid>) -> Vec<Uuid> {
        let targets: Vec<Uuid> = targets.iter().copied().collect();
        self.note(pointers(self.session, self.catalog, relationship, &targets))
    }
}

impl Rows for Stored<'_, '_> {
    fn version(&self, table: TableId, id: Uuid) -> Option<i64> {
        if let Some(known) = self.known.borrow().get(&(table, id)) {
            return *known;
        }
        let definition = self.catalog.table_by_id(table)?;
        let sql = || version_sql(definition.definition());
        let version = self.note(self.ask(Question::Version(table), sql, |statement| {
            statement.raw_bind_parameter(1, id.as_bytes().as_slice())?;
            statement.raw_query().next()?.map(|row| row.get(0)).transpose()
        }));
        if table != self.own {
            self.known.borrow_mut().insert((table, id), version);
        }
        version
    }

    fn value(&self, table: &Table, id: Uuid, column: ColumnIndex) -> Value {
        // `Value` has no default: an error is noted, and null answered.
        self.note(self.cell(table, id, column).map(Some)).unwrap_or(Value::Null)
    }

    fn find(&self, table: &Table, key: KeyIndex, parts: &KeyParts) -> Option<Uuid> {
        let params = table
            .key(key)
            .columns
            .iter()
            .zip(parts)
            .map(|(column, part)| {
                param(names::storage(self.catalog, table.definition(), *column), part)
            })
            .collect();
        let (question, sql) = (Question::Key(table.id, key), || key_sql(table, key));
        self.note(self.ask(question, sql, |statement| find_one(statement, params)))
    }

    fn keeps(&self, table: &Table, column: ColumnIndex) -> bool {
        matches!(table.column(column).kind, ColumnKind::Lookup { .. })
            || table.keys.iter().any(|key| key.columns.contains(&column))
    }
}

/// A part of an alternate key as its index keeps it; none for what no row can hold.
fn param(storage: Storage, part: &KeyPart) -> Option<Param> {
    Some(match (storage, part) {
        (_, KeyPart::Text(text)) => Param::Text(text.to_string()),
        (_, KeyPart::Integer(number) | KeyPart::Time(number)) => Param::BigInt(*number),
        (Storage::Decimal { scale }, KeyPart::Decimal(number)) => {
            Param::BigInt(select::scaled(*number, scale)?)
        }
        (_, KeyPart::Decimal(_)) => return None,
        (_, KeyPart::Boolean(flag)) => Param::Boolean(*flag),
        (_, KeyPart::Id(id)) => Param::Guid(*id),
        (Storage::Double, KeyPart::Other(bits)) => Param::Double(f64::from_bits(*bits.first()?)),
        (_, KeyPart::Other(bits)) => {
            let choices: Option<Vec<i32>> =
                bits.iter().map(|bits| i32::try_from(bits.cast_signed()).ok()).collect();
            Param::Text(select::choices_text(&choices?))
        }
    })
}

/// Rows of several tables.
type Places = BTreeMap<TableId, HashSet<Uuid>>;

/// Refuses the targets of a delete that a row which stays holds by Restrict.
fn hold(stored: &Stored<'_, '_>, table: &Table, verdicts: &mut [Result<Resolved, Rejection>]) {
    let closures: Vec<Option<Places>> = verdicts
        .iter()
        .map(|verdict| verdict.as_ref().ok().map(|row| closure(stored, table.id, row.id())))
        .collect();
    let mut deleted = Places::new();
    for (table, ids) in closures.iter().flatten().flatten() {
        deleted.entry(*table).or_default().extend(ids);
    }
    for (index, (verdict, closure)) in verdicts.iter_mut().zip(&closures).enumerate() {
        if let (Ok(row), Some(closure)) = (&*verdict, closure)
            && let Some(relationship) = holder(stored, closure, &deleted)
        {
            let reason = Reason::Referenced { relationship };
            *verdict = Err(Rejection { index, id: Some(row.id()), reason });
        }
    }
}

/// The row and what hangs on it by Cascade.
fn closure(stored: &Stored<'_, '_>, table: TableId, id: Uuid) -> Places {
    let mut found = Places::from([(table, HashSet::from([id]))]);
    let mut level = vec![(table, HashSet::from([id]))];
    while let Some((table, ids)) = level.pop() {
        for relationship in stored.catalog.referencing_by(table, DeleteAction::Cascade) {
            let Some(side) = stored.catalog.table(&relationship.referencing_table) else {
                continue;
            };
            let seen = found.entry(side.id).or_default();
            let mut fresh = HashSet::new();
            for id in stored.pointers(relationship, &ids) {
                if seen.insert(id) {
                    fresh.insert(id);
                }
            }
            if !fresh.is_empty() {
                level.push((side.id, fresh));
            }
        }
    }
    found
}

/// The first relationship of the catalog by which a row that stays holds one of these.
fn holder(stored: &Stored<'_, '_>, rows: &Places, deleted: &Places) -> Option<Box<str>> {
    let holds = |relationship: &OneToMany| {
        let referenced = stored.catalog.table(&relationship.referenced_table)?;
        let side = stored.catalog.table(&relationship.referencing_table)?;
        let going = deleted.get(&side.id);
        let held = stored
            .pointers(relationship, rows.get(&referenced.id)?)
            .iter()
            .any(|id| going.is_none_or(|going| !going.contains(id)));
        held.then_some(())
    };
    stored
        .catalog
        .relationships()
        .iter()
        .filter(|relationship| relationship.cascade.delete == DeleteAction::Restrict)
        .find(|relationship| holds(relationship).is_some())
        .map(|relationship| relationship.schema_name.clone())
}
