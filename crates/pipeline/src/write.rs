//! From a message of targets to one operation of the store: pure.
//!
//! In: a [`Write`], the caller, ids. Out: a [`Planned`] operation with the targets that are refused for
//! their values, or a fault of what is wrong before any value is looked at.
//! Not here: running it, and telling which fault is reported ([`crate::run`], [`crate::joined`]).
//! Invariant: one operation, whatever the number of targets; a single message is a bulk of one.

use crate::check;
use crate::fault;
use crate::ids::IdSource;
use crate::message::{Condition, Write};
use crate::needed;
use crate::note;
use crate::run::{Authority, Context, Organization};
use crate::seed::{self, Writable, user_settings};
use crate::settings;
use model::{
    Bind, Caller, Cell, ColumnIndex, ColumnKind, Decimal, Failure, Fault, LookupKind, LookupValue,
    MessageName, Table, Target, TargetKey, Timestamp, Uuid, Value, code,
};
use std::collections::HashMap;
use std::sync::Arc;
use store::RowKey;
use store::writes::{
    Delete, DeleteRow, Fill, Insert, InsertRow, Update, UpdateRow, Upsert, UpsertCondition,
    UpsertRow, WriteOp,
};

/// One operation, and which target each of its rows came from.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) op: WriteOp,
    /// Per row: its place in `Targets`.
    pub(crate) target_of_row: Vec<usize>,
    /// Per target: its row. Several targets share a row where later ones are ignored.
    pub(crate) row_of_target: Vec<usize>,
    /// The targets whose values are refused, ascending. Their rows hold no values and must not be kept.
    pub(crate) refused: Vec<Failure>,
    /// What completes its rows once they are written.
    pub(crate) fill: Option<Fill>,
}

/// A row per target, and the targets whose values are refused.
struct Drafted<T> {
    rows: Vec<T>,
    refused: Vec<Failure>,
}

/// Owners and currencies that are known to exist, with an owner's business unit.
pub(crate) type Principals = HashMap<LookupValue, Uuid>;

/// What all targets of a message share.
pub(crate) struct Plan<'a> {
    context: &'a Context,
    organization: Organization,
    principals: &'a Principals,
    table: &'a Table,
    name: MessageName,
    columns: Columns,
}

/// Columns with rules of their own, looked up once per message.
struct Columns {
    state: Option<ColumnIndex>,
    status: Option<ColumnIndex>,
    created_on: Option<ColumnIndex>,
    overridden_created_on: Option<ColumnIndex>,
    owner: Option<ColumnIndex>,
    owning_business_unit: Option<ColumnIndex>,
    currency: Option<ColumnIndex>,
    exchange_rate: Option<ColumnIndex>,
}

/// The values of one target, checked.
#[derive(Default)]
pub(crate) struct Prepared {
    pub(crate) cells: Vec<Cell>,
    pub(crate) insert_cells: Vec<Cell>,
    pub(crate) binds: Vec<Bind>,
}

/// Turns a message into one operation.
pub(crate) fn plan(
    context: &Context,
    organization: Organization,
    principals: &Principals,
    ids: &IdSource,
    message: Write,
) -> Result<Planned, Fault> {
    let Write { name, table, targets, condition } = message;
    let plan = Plan::of(context, organization, principals, &table, name);
    let count = targets.len();
    let one_to_one = |op, refused| Planned {
        op,
        target_of_row: (0..count).collect(),
        row_of_target: (0..count).collect(),
        refused,
        fill: None,
    };
    match name {
        MessageName::Create | MessageName::CreateMultiple => {
            let Drafted { rows, refused } = plan.inserts(targets, ids)?;
            let constants = insert_constants(&table, organization, context.caller, context.now);
            Ok(one_to_one(WriteOp::Insert(Insert { table, constants, rows }), refused))
        }
        MessageName::Update | MessageName::UpdateMultiple => {
            plan.updates(table.clone(), targets).map(|planned| plan.completed(planned))
        }
        MessageName::Upsert | MessageName::UpsertMultiple => {
            let Drafted { rows, refused } = plan.upserts(targets, ids, condition);
            let insert_constants =
                insert_constants(&table, organization, context.caller, context.now);
            let update_constants = update_constants(&table, context.caller, context.now);
            let table = table.clone();
            let op = Upsert { table, insert_constants, update_constants, rows };
            Ok(plan.completed(one_to_one(WriteOp::Upsert(op), refused)))
        }
        // A pair is a row of the table that holds them.
        MessageName::Associate => {
            let Drafted { rows, refused } = plan.inserts(targets, ids)?;
            let op = Insert { table, constants: Vec::new(), rows };
            Ok(one_to_one(WriteOp::Insert(op), refused))
        }
        MessageName::Delete | MessageName::Disassociate => {
            let rows = plan.deletes(targets)?;
            Ok(one_to_one(WriteOp::Delete(Delete { table, rows }), Vec::new()))
        }
        MessageName::DeleteMultiple => {
            Err(Fault::new(code::NOT_IMPLEMENTED, "DeleteMultiple has not yet been implemented.")
                .with_hint(
                    "a standard table takes single deletes; bulk deletes by query come with jobs",
                ))
        }
        MessageName::Retrieve | MessageName::RetrieveMultiple => {
            unreachable!("a read is not a Write; webapi makes a Read of it")
        }
    }
}

/// An operation that every store refuses: no row has this version. What is in a set with it is judged
/// and never kept.
pub(crate) fn impossible(table: &Arc<Table>) -> WriteOp {
    let row = UpdateRow {
        key: RowKey::Id(Uuid::nil()),
        cells: Vec::new(),
        binds: Vec::new(),
        expected_version: Some(i64::MIN),
    };
    WriteOp::Update(Update { table: table.clone(), constants: Vec::new(), rows: vec![row] })
}

/// The owners and currencies that a message names itself and that must be known before it is planned.
pub(crate) fn named_principals(message: &Write) -> Vec<LookupValue> {
    let columns = Columns::of(&message.table);
    let wanted = [columns.owner, columns.currency];
    let mut named: Vec<LookupValue> = message
        .targets
        .iter()
        .flat_map(|target| &target.cells)
        .filter(|cell| wanted.contains(&Some(cell.column)))
        .filter_map(|cell| match cell.value {
            Value::Lookup(lookup) => Some(lookup),
            _ => None,
        })
        .collect();
    named.sort_unstable();
    named.dedup();
    named
}

/// The message as it is meant: nobody makes rows of a table whose rows can only be changed, so an upsert
/// of one is an update.
pub(crate) fn settled(message: Write) -> Write {
    let is_update = message.name == MessageName::Upsert
        && message.condition == Condition::Any
        && seed::writable(&message.table) == Writable::UpdateOnly;
    let name = if is_update { MessageName::Update } else { message.name };
    Write { name, ..message }
}

/// Refuses what the table is closed to.
pub(crate) fn refuse_by_table(message: &Write, authority: Authority) -> Result<(), Fault> {
    let Write { name, table, targets, .. } = message;
    let name = *name;
    if matches!(name, MessageName::Associate | MessageName::Disassociate) {
        // Privileges of roles have a depth besides: actions of their own make them.
        let takes_pairs = table.is_intersect && &*table.logical_name != "roleprivileges";
        return if takes_pairs { Ok(()) } else { Err(unavailable(name, table)) };
    }
    let creates =
        !matches!(name, MessageName::Update | MessageName::UpdateMultiple | MessageName::Delete);
    let refused = match seed::writable(table) {
        Writable::Fully => false,
        Writable::NoDelete => name == MessageName::Delete,
        Writable::UpdateOnly => creates || name == MessageName::Delete,
        Writable::DeleteOnly => authority == Authority::Caller && name != MessageName::Delete,
        Writable::ReadOnly => authority == Authority::Caller,
    };
    if refused && name != MessageName::DeleteMultiple {
        return Err(unavailable(name, table));
    }
    if name == MessageName::Update
        && !table.optimistic_concurrency
        && targets.iter().any(|target| target.expected_version.is_some())
    {
        return Err(fault::concurrency_not_enabled(table));
    }
    Ok(())
}

fn unavailable(name: MessageName, table: &Table) -> Fault {
    Fault::new(code::NOT_SUPPORTED, "This action is not supported.").with_hint(format!(
        "`{name}` is not available for table `{}`; the service keeps its rows",
        table.logical_name
    ))
}

impl Columns {
    fn of(table: &Table) -> Self {
        let owner = table.index_of("ownerid").filter(|index| {
            matches!(table.column(*index).kind, ColumnKind::Lookup { kind: LookupKind::Owner, .. })
        });
        Self {
            state: table.index_of("statecode"),
            status: table.index_of("statuscode"),
            created_on: table.index_of("createdon"),
            overridden_created_on: table.index_of("overriddencreatedon"),
            owner,
            owning_business_unit: table.index_of("owningbusinessunit"),
            currency: table.index_of("transactioncurrencyid"),
            exchange_rate: table.index_of("exchangerate"),
        }
    }
}

impl<'a> Plan<'a> {
    pub(crate) fn of(
        context: &'a Context,
        organization: Organization,
        principals: &'a Principals,
        table: &'a Table,
        name: MessageName,
    ) -> Self {
        Self { context, organization, principals, table, name, columns: Columns::of(table) }
    }

    fn inserts(&self, targets: Vec<Target>, ids: &IdSource) -> Result<Drafted<InsertRow>, Fault> {
        let has_id = |target: &Target| matches!(target.key, TargetKey::Id(_));
        self.refuse_keys(
            &targets,
            |key| !matches!(key, TargetKey::Alternate(_)),
            refused(
                code::INVALID_ARGUMENT,
                "A record cannot be created under an alternate key in '@odata.id'; send the key columns, or upsert.",
            ),
        )?;
        let missing = targets.iter().filter(|target| !has_id(target)).count();
        let mut fresh = ids.take(missing, self.context.now).into_iter();
        Ok(self.each(targets, |target| {
            let id = match target.key {
                TargetKey::Id(id) => id,
                TargetKey::None | TargetKey::Alternate(_) => {
                    fresh.next().expect("one id was taken per target without one")
                }
            };
            let (prepared, refused) = self.prepared(target.cells, target.binds);
            let Prepared { mut cells, insert_cells, binds } = prepared;
            cells.extend(insert_cells);
            cells.extend(target.given);
            (InsertRow { id, cells, binds }, refused)
        }))
    }

    /// The first target that names a record counts, later ones are ignored (`bulk.md` 1.4).
    fn updates(&self, table: Arc<Table>, targets: Vec<Target>) -> Result<Planned, Fault> {
        let count = targets.len();
        let mut keys = self.row_keys(&targets, self.name == MessageName::Update)?.into_iter();
        let Drafted { rows: planned, refused } = self.each(targets, |target| {
            let key = keys.next().expect("one key was read per target");
            let (Prepared { mut cells, binds, .. }, refused) =
                self.prepared(target.cells, target.binds);
            cells.extend(target.given);
            let expected_version = target.expected_version;
            (UpdateRow { key, cells, binds, expected_version }, refused)
        });
        let mut seen = HashMap::with_capacity(count);
        let mut rows = Vec::with_capacity(count);
        let mut target_of_row = Vec::with_capacity(count);
        let mut row_of_target = Vec::with_capacity(count);
        for (index, row) in planned.into_iter().enumerate() {
            let place = match row.key {
                RowKey::Id(id) => *seen.entry(id).or_insert(rows.len()),
                RowKey::Alternate(_) => rows.len(),
            };
            row_of_target.push(place);
            if place == rows.len() {
                rows.push(row);
                target_of_row.push(index);
            }
        }
        let constants = update_constants(&table, self.context.caller, self.context.now);
        let op = WriteOp::Update(Update { table, constants, rows });
        Ok(Planned { op, target_of_row, row_of_target, refused, fill: None })
    }

    /// Adds that rows which get money and have no currency get the base currency.
    fn completed(&self, planned: Planned) -> Planned {
        let mut prepared = Prepared::default();
        self.default_currency(&mut prepared);
        let (table, cells) = (planned.op.table().clone(), prepared.insert_cells);
        if cells.is_empty() {
            return planned;
        }
        let wants = |cells: &[Cell], binds: &[Bind]| {
            let is_money = |cell: &Cell| {
                let kind = &self.table.column(cell.column).kind;
                matches!(kind, ColumnKind::Money { .. }) && !cell.value.is_null()
            };
            let is_currency = |column: ColumnIndex| Some(column) == self.columns.currency;
            cells.iter().any(is_money)
                && !cells.iter().any(|cell| is_currency(cell.column))
                && !binds.iter().any(|bind| is_currency(bind.column))
        };
        let rows: Vec<RowKey> = match &planned.op {
            WriteOp::Update(op) => {
                let wanting = op.rows.iter().filter(|row| wants(&row.cells, &row.binds));
                wanting.map(|row| row.key.clone()).collect()
            }
            // A new row gets it with its other values.
            WriteOp::Upsert(op) => {
                let wanting = op.rows.iter().filter(|row| wants(&row.cells, &row.binds));
                wanting.filter_map(|row| row.key.clone()).collect()
            }
            WriteOp::Insert(_) | WriteOp::Delete(_) | WriteOp::Fill(_) => Vec::new(),
        };
        let fill = (!rows.is_empty()).then_some(Fill { table, cells, rows });
        Planned { fill, ..planned }
    }

    fn upserts(
        &self,
        targets: Vec<Target>,
        ids: &IdSource,
        condition: Condition,
    ) -> Drafted<UpsertRow> {
        let missing =
            targets.iter().filter(|target| !matches!(target.key, TargetKey::Id(_))).count();
        let mut fresh = ids.take(missing, self.context.now).into_iter();
        let bulk = self.name.is_bulk();
        self.each(targets, |target| {
            let (prepared, refused) = self.prepared(target.cells, target.binds);
            let Prepared { mut cells, mut insert_cells, binds } = prepared;
            cells.extend(target.given);
            let mut upsert_condition = match condition {
                Condition::Any => UpsertCondition::Any,
                Condition::MustNotExist => UpsertCondition::MustNotExist,
            };
            let mut fresh = || fresh.next().expect("one id was taken per target without one");
            let (key, new_id) = match target.key {
                TargetKey::Id(id) => (Some(RowKey::Id(id)), id),
                TargetKey::None => (None, fresh()),
                TargetKey::Alternate(key) => {
                    let columns = &self.table.key(key.key).columns;
                    let (in_key, others): (Vec<Cell>, Vec<Cell>) =
                        cells.into_iter().partition(|cell| columns.contains(&cell.column));
                    cells = others;
                    if bulk && !in_key.is_empty() {
                        upsert_condition = UpsertCondition::KeyInBody;
                    }
                    for (column, value) in columns.iter().zip(&key.values) {
                        if !in_key.iter().any(|cell| cell.column == *column) {
                            insert_cells.push(Cell { column: *column, value: value.clone() });
                        }
                    }
                    insert_cells.extend(in_key);
                    (Some(RowKey::Alternate(key)), fresh())
                }
            };
            let expected_version = target.expected_version.filter(|_| !bulk);
            let condition = upsert_condition;
            let row =
                UpsertRow { key, new_id, cells, insert_cells, binds, condition, expected_version };
            (row, refused)
        })
    }

    fn deletes(&self, targets: Vec<Target>) -> Result<Vec<DeleteRow>, Fault> {
        let keys = self.row_keys(&targets, true)?;
        let row = |(key, target): (RowKey, Target)| DeleteRow {
            key,
            expected_version: target.expected_version,
        };
        Ok(keys.into_iter().zip(targets).map(row).collect())
    }

    /// The keys of records that must exist.
    fn row_keys(&self, targets: &[Target], takes_alternate: bool) -> Result<Vec<RowKey>, Fault> {
        let row_key = |key: &TargetKey| match key {
            TargetKey::Id(id) => Some(RowKey::Id(*id)),
            TargetKey::Alternate(key) if takes_alternate => Some(RowKey::Alternate(key.clone())),
            TargetKey::Alternate(_) | TargetKey::None => None,
        };
        let text = "Entity Id must be specified for Operation";
        self.refuse_keys(
            targets,
            |key| row_key(key).is_some(),
            refused(code::OBJECT_DOES_NOT_EXIST, text),
        )?;
        Ok(targets.iter().filter_map(|target| row_key(&target.key)).collect())
    }

    /// Refuses targets by how they name their records; that is told before any value (`bulk.md` 1.8).
    fn refuse_keys(
        &self,
        targets: &[Target],
        fits: impl Fn(&TargetKey) -> bool,
        why: TargetRefused,
    ) -> Result<(), Fault> {
        let wrong = targets.iter().enumerate().filter(|(_, target)| !fits(&target.key));
        let failures: Vec<Failure> =
            wrong.map(|(index, _)| why.clone().failure(index, None)).collect();
        if failures.is_empty() { Ok(()) } else { Err(fault::of_failures(self.name, failures)) }
    }

    /// Plans every target; where one is refused, its row is without values.
    fn each<T>(
        &self,
        targets: Vec<Target>,
        mut plan: impl FnMut(Target) -> (T, Option<TargetRefused>),
    ) -> Drafted<T> {
        let mut drafted = Drafted { rows: Vec::with_capacity(targets.len()), refused: Vec::new() };
        for (index, mut target) in targets.into_iter().enumerate() {
            let bad_image = target.bad_image.take().map(|bad| {
                target.cells.clear();
                target.given.clear();
                let column = Some(self.table.column(bad.column).logical_name.clone());
                TargetRefused { code: bad.code, message: bad.message.into(), column }
            });
            let id = match target.key {
                TargetKey::Id(id) => Some(id),
                TargetKey::None | TargetKey::Alternate(_) => None,
            };
            let (row, refused) = plan(target);
            let refused = bad_image.or(refused);
            drafted.rows.push(row);
            drafted.refused.extend(refused.map(|refused| refused.failure(index, id)));
        }
        drafted
    }

    /// The values of a target, or none and why they are refused.
    fn prepared(&self, cells: Vec<Cell>, binds: Vec<Bind>) -> (Prepared, Option<TargetRefused>) {
        match self.prepare(cells, binds) {
            Ok(prepared) => (prepared, None),
            Err(refused) => (Prepared::default(), Some(refused)),
        }
    }

    /// Drops what callers may not write, checks what is left and adds what follows from it.
    pub(crate) fn prepare(
        &self,
        cells: Vec<Cell>,
        binds: Vec<Bind>,
    ) -> Result<Prepared, TargetRefused> {
        let creates = !matches!(self.name, MessageName::Update | MessageName::UpdateMultiple);
        let updates = !matches!(self.name, MessageName::Create | MessageName::CreateMultiple);
        let mut prepared = Prepared {
            cells: Vec::with_capacity(cells.len() + 2),
            insert_cells: Vec::new(),
            binds,
        };
        let (mut state, mut status, mut has_money, mut has_currency) = (None, None, false, false);
        for Cell { column: index, value } in cells {
            let column = self.table.column(index);
            let on_create = column.valid_for_create && creates;
            let on_update = column.valid_for_update && updates;
            if column.computed.is_some() || !(on_create || on_update) {
                continue;
            }
            let value = check::value(self.table, column, value)
                .map_err(|refused| TargetRefused::in_column(column, refused))?;
            let place = Some(index);
            if place == self.columns.state || place == self.columns.status {
                // Both are never null: clearing one leaves it as it is.
                if let Value::Integer(number) = value {
                    *(if place == self.columns.state { &mut state } else { &mut status }) =
                        Some(number);
                }
                continue;
            }
            if place == self.columns.owner || place == self.columns.currency {
                has_currency |= place == self.columns.currency;
                if !self.principal(&mut prepared, index, &value)? {
                    continue;
                }
            }
            if place == self.columns.overridden_created_on {
                self.override_created_on(&mut prepared, index, value);
                continue;
            }
            has_money |= matches!(column.kind, ColumnKind::Money { .. }) && !value.is_null();
            let cell = Cell { column: index, value };
            if creates && updates && !on_update {
                prepared.insert_cells.push(cell);
            } else {
                prepared.cells.push(cell);
            }
        }
        self.complete_state(&mut prepared, state, status)?;
        if &*self.table.logical_name == note::TABLE {
            note::complete(self.table, &mut prepared)?;
        }
        if &*self.table.logical_name == user_settings::TABLE {
            settings::complete(self.table, &mut prepared, self.context.now)?;
        }
        if creates && has_money && !has_currency {
            self.default_currency(&mut prepared);
        }
        needed::check(self.table, &prepared, creates && !updates)?;
        Ok(prepared)
    }

    /// Checks an owner or currency against what exists. Tells whether the cell is to be written.
    fn principal(
        &self,
        prepared: &mut Prepared,
        column: ColumnIndex,
        value: &Value,
    ) -> Result<bool, TargetRefused> {
        let Value::Lookup(lookup) = value else {
            // An owner cannot be cleared: null leaves it as it is.
            return Ok(Some(column) != self.columns.owner);
        };
        let Some(unit) = self.principals.get(lookup) else {
            let table = self.context.catalog.table_by_id(lookup.table);
            let table = table.map_or("record", |table| &table.logical_name);
            let is_owner = Some(column) == self.columns.owner;
            return Err(TargetRefused {
                // An owner has a code of its own (errors.md).
                code: if is_owner { code::INVALID_OWNER_ID } else { code::OBJECT_DOES_NOT_EXIST },
                message: match is_owner {
                    true => "The owner ID is invalid or missing.".to_owned(),
                    false => format!("{table} With Id = {} Does Not Exist", lookup.id),
                },
                column: Some(self.table.column(column).logical_name.clone()),
            });
        };
        if let (true, Some(unit_column)) =
            (Some(column) == self.columns.owner, self.columns.owning_business_unit)
        {
            let value = Value::Lookup(LookupValue { table: seed::BUSINESS_UNIT, id: *unit });
            prepared.cells.push(Cell { column: unit_column, value });
        }
        Ok(true)
    }

    /// The given time shows as created-on, the true one as overridden-created-on.
    fn override_created_on(&self, prepared: &mut Prepared, column: ColumnIndex, value: Value) {
        if let (Value::DateTime(_), Some(created_on)) = (&value, self.columns.created_on) {
            prepared.insert_cells.push(Cell { column: created_on, value });
            prepared.insert_cells.push(Cell { column, value: Value::DateTime(self.context.now) });
        }
    }

    fn complete_state(
        &self,
        prepared: &mut Prepared,
        state: Option<i32>,
        status: Option<i32>,
    ) -> Result<(), TargetRefused> {
        if state.is_none() && status.is_none() {
            return Ok(());
        }
        let (state, status) =
            check::complete_state(self.table, state, status).map_err(|refused| TargetRefused {
                code: refused.code,
                message: refused.message,
                column: Some("statuscode".into()),
            })?;
        for (column, number) in [(self.columns.state, state), (self.columns.status, status)] {
            if let (Some(column), Some(number)) = (column, number) {
                prepared.cells.push(Cell { column, value: Value::Integer(number) });
            }
        }
        Ok(())
    }

    fn default_currency(&self, prepared: &mut Prepared) {
        if let Some(column) = self.columns.currency {
            let currency = LookupValue { table: seed::CURRENCY, id: self.organization.currency };
            prepared.insert_cells.push(Cell { column, value: Value::Lookup(currency) });
        }
        if let Some(column) = self.columns.exchange_rate {
            prepared.insert_cells.push(Cell { column, value: Value::Decimal(Decimal::ONE) });
        }
    }
}

/// Why one target cannot be written.
#[derive(Clone)]
pub(crate) struct TargetRefused {
    pub(crate) code: model::ErrorCode,
    pub(crate) message: String,
    pub(crate) column: Option<Box<str>>,
}

impl TargetRefused {
    pub(crate) fn failure(self, index: usize, id: Option<Uuid>) -> Failure {
        Failure { index, column: self.column, id, code: self.code, message: self.message }
    }

    pub(crate) fn in_column(column: &model::Column, refused: check::Refused) -> Self {
        Self {
            code: refused.code,
            message: refused.message,
            column: Some(column.logical_name.clone()),
        }
    }
}

pub(crate) fn refused(code: model::ErrorCode, message: &str) -> TargetRefused {
    TargetRefused { code, message: message.to_owned(), column: None }
}

/// What every new row gets unless it brings its own.
pub(crate) fn insert_constants(
    table: &Table,
    organization: Organization,
    caller: Caller,
    now: Timestamp,
) -> Vec<Cell> {
    let mut constants = Vec::new();
    let lookup = |table, id| Value::Lookup(LookupValue { table, id });
    for (index, column) in table.indexed_columns() {
        if column.computed.is_some() {
            continue;
        }
        let value = match (&*column.logical_name, &column.kind) {
            ("createdon" | "modifiedon", _) => Value::DateTime(now),
            ("createdby" | "modifiedby", _) => lookup(seed::SYSTEM_USER, caller.user),
            ("createdonbehalfby" | "modifiedonbehalfby", _) => match caller.on_behalf_of {
                Some(user) => lookup(seed::SYSTEM_USER, user),
                None => continue,
            },
            ("ownerid", ColumnKind::Lookup { kind: LookupKind::Owner, .. }) => {
                lookup(seed::SYSTEM_USER, caller.user)
            }
            ("activitytypecode", ColumnKind::TableName) if table.is_activity => {
                Value::Text(table.logical_name.clone())
            }
            ("owningbusinessunit", _) => lookup(seed::BUSINESS_UNIT, caller.business_unit),
            ("organizationid", ColumnKind::Lookup { .. }) => {
                lookup(seed::ORGANIZATION, organization.id)
            }
            (_, ColumnKind::Boolean { default, .. }) => Value::Boolean(*default),
            (_, ColumnKind::Choice { default: Some(default), .. }) => Value::Integer(*default),
            (_, ColumnKind::MultiChoice { .. }) => match column.settings.default_option {
                Some(default) => Value::Choices(Box::new([default])),
                None => continue,
            },
            (_, ColumnKind::State { options }) => match options.first() {
                Some(state) => Value::Integer(state.value),
                None => continue,
            },
            (_, ColumnKind::Status { .. }) => match default_status(table) {
                Some(status) => Value::Integer(status),
                None => continue,
            },
            _ => continue,
        };
        constants.push(Cell { column: index, value });
    }
    constants
}

/// The status of the first state.
fn default_status(table: &Table) -> Option<i32> {
    let states = table.index_of("statecode").map(|index| &table.column(index).kind);
    match states {
        Some(ColumnKind::State { options }) => {
            options.first().and_then(|state| state.default_status)
        }
        _ => None,
    }
}

/// What every changed row gets.
pub(crate) fn update_constants(table: &Table, caller: Caller, now: Timestamp) -> Vec<Cell> {
    let user = |id| Value::Lookup(LookupValue { table: seed::SYSTEM_USER, id });
    let values = [
        ("modifiedon", Value::DateTime(now)),
        ("modifiedby", user(caller.user)),
        ("modifiedonbehalfby", caller.on_behalf_of.map_or(Value::Null, user)),
    ];
    values
        .into_iter()
        .filter_map(|(name, value)| table.index_of(name).map(|column| Cell { column, value }))
        .collect()
}
