//! From a message of targets to one operation of the store: pure.
//!
//! In: a [`Write`], the caller, ids. Out: a [`Planned`] operation, or a fault that lists every failing
//! target. Not here: running it ([`crate::run`]).
//! Invariant: one operation, whatever the number of targets; a single message is a bulk of one.

use crate::check;
use crate::fault;
use crate::ids::IdSource;
use crate::message::{Condition, Write};
use crate::run::{Authority, Context, Organization};
use crate::seed::{self, Writable};
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
    /// What completes its rows once they are written.
    pub(crate) fill: Option<Fill>,
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
    /// It brings money and no currency: a row without one gets it.
    pub(crate) wants_currency: bool,
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
    let one_to_one = |op| Planned {
        op,
        target_of_row: (0..count).collect(),
        row_of_target: (0..count).collect(),
        fill: None,
    };
    match name {
        MessageName::Create | MessageName::CreateMultiple => {
            let rows = plan.inserts(targets, ids)?;
            let constants = insert_constants(&table, organization, context.caller, context.now);
            Ok(one_to_one(WriteOp::Insert(Insert { table, constants, rows })))
        }
        MessageName::Update | MessageName::UpdateMultiple => plan.updates(table.clone(), targets),
        MessageName::Upsert | MessageName::UpsertMultiple => {
            let (rows, fill) = plan.upserts(targets, ids, condition)?;
            let insert_constants =
                insert_constants(&table, organization, context.caller, context.now);
            let update_constants = update_constants(&table, context.caller, context.now);
            let op = Upsert { table, insert_constants, update_constants, rows };
            Ok(Planned { fill, ..one_to_one(WriteOp::Upsert(op)) })
        }
        MessageName::Delete => {
            let rows = plan.deletes(targets)?;
            Ok(one_to_one(WriteOp::Delete(Delete { table, rows })))
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

/// Refuses what the table is closed to.
pub(crate) fn refuse_by_table(message: &Write, authority: Authority) -> Result<(), Fault> {
    let Write { name, table, targets, .. } = message;
    let name = *name;
    let creates =
        !matches!(name, MessageName::Update | MessageName::UpdateMultiple | MessageName::Delete);
    let refused = match seed::writable(table) {
        Writable::Fully => false,
        Writable::NoDelete => name == MessageName::Delete,
        Writable::UpdateOnly => creates || name == MessageName::Delete,
        Writable::ReadOnly => authority == Authority::Caller,
    };
    if refused && name != MessageName::DeleteMultiple {
        return Err(Fault::new(code::NOT_SUPPORTED, "This action is not supported.").with_hint(
            format!(
                "`{name}` is not available for table `{}`; the service keeps its rows",
                table.logical_name
            ),
        ));
    }
    if name == MessageName::Update
        && !table.optimistic_concurrency
        && targets.iter().any(|target| target.expected_version.is_some())
    {
        return Err(fault::concurrency_not_enabled(table));
    }
    Ok(())
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

    fn inserts(&self, targets: Vec<Target>, ids: &IdSource) -> Result<Vec<InsertRow>, Fault> {
        let missing = targets.iter().filter(|target| target.key == TargetKey::None).count();
        let mut fresh = ids.take(missing, self.context.now).into_iter();
        self.each(targets, |target| {
            let id = match target.key {
                TargetKey::Id(id) => id,
                TargetKey::None => fresh.next().expect("one id was taken per target without one"),
                TargetKey::Alternate(_) => {
                    return Err(refused(
                        code::INVALID_ARGUMENT,
                        "A record cannot be created under an alternate key in '@odata.id'; send the key columns, or upsert.",
                    ));
                }
            };
            let Prepared { mut cells, insert_cells, binds, .. } =
                self.prepare(target.cells, target.binds)?;
            cells.extend(insert_cells);
            Ok(InsertRow { id, cells, binds })
        })
    }

    /// The first target that names a record counts, later ones are ignored (`bulk.md` 1.4).
    fn updates(&self, table: Arc<Table>, targets: Vec<Target>) -> Result<Planned, Fault> {
        let count = targets.len();
        let planned = self.each(targets, |target| {
            let key = match target.key {
                TargetKey::Id(id) => RowKey::Id(id),
                TargetKey::Alternate(key) if self.name == MessageName::Update => {
                    RowKey::Alternate(key)
                }
                TargetKey::Alternate(_) | TargetKey::None => {
                    return Err(refused(
                        code::OBJECT_DOES_NOT_EXIST,
                        "Entity Id must be specified for Operation",
                    ));
                }
            };
            let Prepared { cells, binds, wants_currency, .. } =
                self.prepare(target.cells, target.binds)?;
            let row = UpdateRow { key, cells, binds, expected_version: target.expected_version };
            Ok((row, wants_currency))
        })?;
        let mut seen = HashMap::with_capacity(count);
        let mut rows = Vec::with_capacity(count);
        let mut target_of_row = Vec::with_capacity(count);
        let mut row_of_target = Vec::with_capacity(count);
        let mut wanting = Vec::new();
        for (index, (row, wants_currency)) in planned.into_iter().enumerate() {
            let place = match row.key {
                RowKey::Id(id) => *seen.entry(id).or_insert(rows.len()),
                RowKey::Alternate(_) => rows.len(),
            };
            row_of_target.push(place);
            if place == rows.len() {
                wanting.extend(wants_currency.then(|| row.key.clone()));
                rows.push(row);
                target_of_row.push(index);
            }
        }
        let constants = update_constants(&table, self.context.caller, self.context.now);
        let fill = self.currency_fill(wanting);
        let op = WriteOp::Update(Update { table, constants, rows });
        Ok(Planned { op, target_of_row, row_of_target, fill })
    }

    fn upserts(
        &self,
        targets: Vec<Target>,
        ids: &IdSource,
        condition: Condition,
    ) -> Result<(Vec<UpsertRow>, Option<Fill>), Fault> {
        let missing =
            targets.iter().filter(|target| !matches!(target.key, TargetKey::Id(_))).count();
        let mut fresh = ids.take(missing, self.context.now).into_iter();
        let bulk = self.name.is_bulk();
        let mut wanting = Vec::new();
        let rows = self.each(targets, |target| {
            let Prepared { mut cells, mut insert_cells, binds, wants_currency } =
                self.prepare(target.cells, target.binds)?;
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
            wanting.extend(key.clone().filter(|_| wants_currency));
            Ok(UpsertRow {
                key,
                new_id,
                cells,
                insert_cells,
                binds,
                condition: upsert_condition,
                expected_version,
            })
        })?;
        Ok((rows, self.currency_fill(wanting)))
    }

    /// The base currency for those of these rows that have none.
    fn currency_fill(&self, rows: Vec<RowKey>) -> Option<Fill> {
        let mut prepared = Prepared::default();
        self.default_currency(&mut prepared);
        let cells = prepared.insert_cells;
        let table = self.context.catalog.table_by_id(self.table.id)?;
        (!rows.is_empty() && !cells.is_empty()).then(|| Fill { table: table.clone(), cells, rows })
    }

    fn deletes(&self, targets: Vec<Target>) -> Result<Vec<DeleteRow>, Fault> {
        self.each(targets, |target| {
            let key = match target.key {
                TargetKey::Id(id) => RowKey::Id(id),
                TargetKey::Alternate(key) => RowKey::Alternate(key),
                TargetKey::None => {
                    return Err(refused(
                        code::OBJECT_DOES_NOT_EXIST,
                        "Entity Id must be specified for Operation",
                    ));
                }
            };
            Ok(DeleteRow { key, expected_version: target.expected_version })
        })
    }

    /// Plans every target; when some fail, the fault lists all of them.
    fn each<T>(
        &self,
        targets: Vec<Target>,
        mut plan: impl FnMut(Target) -> Result<T, TargetRefused>,
    ) -> Result<Vec<T>, Fault> {
        let mut rows = Vec::with_capacity(targets.len());
        let mut failures = Vec::new();
        for (index, target) in targets.into_iter().enumerate() {
            let id = match target.key {
                TargetKey::Id(id) => Some(id),
                TargetKey::None | TargetKey::Alternate(_) => None,
            };
            match plan(target) {
                Ok(row) => rows.push(row),
                Err(refused) => failures.push(Failure {
                    index,
                    column: refused.column,
                    id,
                    code: refused.code,
                    message: refused.message,
                }),
            }
        }
        if failures.is_empty() { Ok(rows) } else { Err(fault::of_failures(self.name, failures)) }
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
            wants_currency: false,
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
        if creates && has_money && !has_currency {
            self.default_currency(&mut prepared);
        }
        prepared.wants_currency = updates && has_money && !has_currency;
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
            ("owningbusinessunit", _) => lookup(seed::BUSINESS_UNIT, caller.business_unit),
            ("organizationid", ColumnKind::Lookup { .. }) => {
                lookup(seed::ORGANIZATION, organization.id)
            }
            (_, ColumnKind::Boolean { default, .. }) => Value::Boolean(*default),
            (_, ColumnKind::Choice { default: Some(default), .. }) => Value::Integer(*default),
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
