//! From a message of targets of an elastic table to independent writes: pure.
//!
//! In: a [`Write`], the caller, ids. Out: [`Drafts`], one fate per target: what is to be written, or why
//! not. Then, when it is known which lookups exist, the writes; and from the store's outcomes those of
//! the targets. Not here: running it (`run::elastic`).
//! Invariant: a target that fails is no one else's business; only what hurts the message as a whole
//! (a record named twice in an upsert) refuses all of it.
//! Source: `bulk.md` 1.9, 7.2, 7.3, 7.7.

use crate::define::PARTITION_BYTES_MAX;
use crate::ids::IdSource;
use crate::message::{Condition, Write};
use crate::privilege::Action;
use crate::rights::guard::{self, About};
use crate::rights::{Access, Shares, owner_columns};
use crate::run::{Context, Organization};
use crate::write::{self, Plan, Principals, TargetRefused, refused};
use crate::{check, fault};
use model::{
    Bind, Catalog, Cell, ColumnIndex, Failure, Fault, LookupValue, MessageName, Table, Target,
    TargetKey, Uuid, Value, code, partition,
};
use query::Filter;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use store::alternate::{self, KeyParts};
use store::elastic::{
    ElasticAction, ElasticKey, ElasticOutcome, ElasticReason, ElasticWrite, Limit, Reach,
};
use store::{RowOutcome, writes};

/// What a partition may not contain.
const PARTITION_REFUSED: &[u8; 10] = b"/<>*%&:\\?+";

/// Columns that survive a replacement, if the target does not name them.
const KEPT: [&str; 7] = [
    "ownerid",
    "owningbusinessunit",
    "createdon",
    "createdby",
    "createdonbehalfby",
    "overriddencreatedon",
    "organizationid",
];

/// The targets of a message, each on its way to a write.
pub(crate) struct Drafts {
    name: MessageName,
    table: Arc<Table>,
    condition: Condition,
    /// What every written row gets unless it brings its own.
    constants: Vec<Cell>,
    targets: Vec<Draft>,
}

/// One target.
struct Draft {
    /// The record's id, given or new; none where the target names no record.
    id: Option<Uuid>,
    /// Addressed by id and partition, not by id alone.
    by_key: bool,
    fate: Fate,
}

enum Fate {
    /// Goes to the store.
    Row(Row),
    /// An earlier target names the same record and counts.
    SameAs(usize),
    Refused(TargetRefused),
}

struct Row {
    key: ElasticKey,
    is_new: bool,
    cells: Vec<Cell>,
    binds: Vec<Bind>,
    expected_version: Option<i64>,
    /// What the caller reaches, and what each limit is about.
    reach: Option<Box<Reach>>,
    about: Vec<About>,
}

/// What the lookups of a message point to and must exist.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) ids: BTreeSet<LookupValue>,
    /// Binds by alternate key, without repeats.
    pub(crate) binds: Vec<Bind>,
}

/// What of it exists.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) ids: BTreeSet<LookupValue>,
    pub(crate) binds: HashMap<BindKey, Uuid>,
}

/// A record by alternate key: table, key, and the values as they are compared.
pub(crate) type BindKey = (model::TableId, model::KeyIndex, KeyParts);

/// The comparable form of a bind; none for a key with a null, which no record has.
pub(crate) fn bind_key(bind: &Bind) -> Option<BindKey> {
    Some((bind.table.id, bind.key.key, alternate::parts_of_key(&bind.key)?))
}

/// Plans every target.
///
/// Errors: a fault of the whole message; nothing is to be written then.
pub(crate) fn plan(
    context: &Context,
    organization: Organization,
    principals: &Principals,
    ids: &IdSource,
    message: Write,
) -> Result<Drafts, Fault> {
    let Write { name, table, targets, condition } = message;
    let missing = targets.iter().filter(|target| target.key == TargetKey::None).count();
    let mut fresh = ids.take(missing, context.now).into_iter();
    let plan = Plan::of(context, organization, principals, &table, name);
    let constants = match name {
        MessageName::Update | MessageName::UpdateMultiple => {
            write::update_constants(&table, context.caller, context.now)
        }
        MessageName::Delete | MessageName::DeleteMultiple => Vec::new(),
        _ => write::insert_constants(&table, organization, context.caller, context.now),
    };
    let targets = targets.into_iter().map(|target| draft(&plan, &table, name, target, &mut fresh));
    let targets = targets.collect();
    let mut drafts = Drafts { name, table, condition, constants, targets };
    drafts.settle_repeats()?;
    Ok(drafts)
}

fn is_create(name: MessageName) -> bool {
    matches!(name, MessageName::Create | MessageName::CreateMultiple)
}

fn is_upsert(name: MessageName) -> bool {
    matches!(name, MessageName::Upsert | MessageName::UpsertMultiple)
}

fn is_delete(name: MessageName) -> bool {
    matches!(name, MessageName::Delete | MessageName::DeleteMultiple)
}

fn draft(
    plan: &Plan<'_>,
    table: &Table,
    name: MessageName,
    mut target: Target,
    fresh: &mut impl Iterator<Item = Uuid>,
) -> Draft {
    let makes = is_create(name) || is_upsert(name);
    let in_body = take_partition(table, &mut target);
    let named = partition::parts(table, &target.key);
    let by_key = matches!(named, Some((_, Some(_))));
    // The key form says it once and for all; a body can say no more than that again.
    let of_key = named.and_then(|(_, partition)| partition.map(Box::from));
    let partition: Option<Box<str>> = of_key.or(in_body);
    let given = named.map(|(id, _)| id);
    let is_new = given.is_none();
    let id = given.or_else(|| if makes { fresh.next() } else { None });
    let refuse = |refusal| Draft { id, by_key, fate: Fate::Refused(refusal) };
    let Some(row_id) = id else {
        let text = "Entity Id must be specified for Operation";
        return refuse(refused(code::OBJECT_DOES_NOT_EXIST, text));
    };
    let key = ElasticKey::new(row_id, partition.as_deref());
    let mut row = Row {
        key,
        is_new,
        cells: Vec::new(),
        binds: Vec::new(),
        expected_version: target.expected_version.filter(|_| name != MessageName::UpsertMultiple),
        reach: None,
        about: Vec::new(),
    };
    if is_delete(name) {
        return Draft { id, by_key, fate: Fate::Row(row) };
    }
    let prepared = match plan.prepare(target.cells, target.binds) {
        Ok(prepared) => prepared,
        Err(refusal) => return refuse(refusal),
    };
    if let Err(refusal) = check_time_to_live(table, &prepared.cells) {
        return refuse(refusal);
    }
    row.cells = prepared.cells;
    row.binds = prepared.binds;
    if makes {
        row.cells.extend(prepared.insert_cells);
        if let (Some(partition), Some(column)) = (partition, partition::column(table)) {
            if let Err(refusal) = check_partition(table, column, &partition) {
                return refuse(refusal);
            }
            row.cells.push(Cell { column, value: Value::Text(partition) });
        }
    }
    Draft { id, by_key, fate: Fate::Row(row) }
}

/// Takes the partition out of the target's values.
fn take_partition(table: &Table, target: &mut Target) -> Option<Box<str>> {
    let column = partition::column(table)?;
    let place = target.cells.iter().position(|cell| cell.column == column)?;
    match target.cells.remove(place).value {
        Value::Text(partition) => Some(partition),
        _ => None,
    }
}

fn check_partition(
    table: &Table,
    column: ColumnIndex,
    partition: &str,
) -> Result<(), TargetRefused> {
    let column = table.column(column);
    let refuse = |code, message| {
        Err(TargetRefused { code, message, column: Some(column.logical_name.clone()) })
    };
    if partition.len() > PARTITION_BYTES_MAX as usize {
        return refuse(
            code::STRING_LENGTH_TOO_LONG,
            format!(
                "A validation error occurred.  The length of the '{}' attribute of the '{}' entity exceeded the maximum allowed length of '{PARTITION_BYTES_MAX}'.",
                column.logical_name, table.logical_name
            ),
        );
    }
    if partition.bytes().any(|byte| PARTITION_REFUSED.contains(&byte)) {
        return refuse(
            code::INVALID_CHARACTERS_IN_FIELD,
            format!("The field '{}' contains one or more invalid characters.", column.logical_name),
        );
    }
    match check::value(table, column, Value::Text(partition.into())) {
        Ok(_) => Ok(()),
        Err(refusal) => Err(TargetRefused::in_column(column, refusal)),
    }
}

/// Zero seconds are refused: the range of the column leaves -1, which is never, and what is above.
fn check_time_to_live(table: &Table, cells: &[Cell]) -> Result<(), TargetRefused> {
    let Some(column) = table.index_of(partition::TIME_TO_LIVE) else { return Ok(()) };
    if cells.iter().all(|cell| cell.column != column || cell.value != Value::Integer(0)) {
        return Ok(());
    }
    let column = table.column(column);
    Err(TargetRefused {
        code: code::INTEGER_VALUE_OUT_OF_RANGE,
        message: format!(
            "A validation error occurred. The value of '{}' on record of type '{}' is outside the valid range.",
            column.logical_name, table.logical_name
        ),
        column: Some(column.logical_name.clone()),
    })
}

impl Drafts {
    /// A record that is named twice: an upsert is refused, of updates and deletes the first counts.
    /// Creates go to the store as they are: the second finds the first.
    fn settle_repeats(&mut self) -> Result<(), Fault> {
        if is_create(self.name) {
            return Ok(());
        }
        let mut first_by_key: HashMap<ElasticKey, usize> = HashMap::new();
        let mut repeats = Vec::new();
        for (index, draft) in self.targets.iter().enumerate() {
            let Fate::Row(row) = &draft.fate else { continue };
            let first = *first_by_key.entry(row.key.clone()).or_insert(index);
            if first < index {
                repeats.push((index, first));
            }
        }
        if is_upsert(self.name) && !repeats.is_empty() {
            let named = repeats.iter().map(|(index, _)| (*index, self.targets[*index].id));
            return Err(named_twice(self.name, named));
        }
        for (index, first) in repeats {
            self.targets[index].fate = Fate::SameAs(first);
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.targets.iter().filter_map(|draft| match &draft.fate {
            Fate::Row(row) => Some(row),
            Fate::SameAs(_) | Fate::Refused(_) => None,
        })
    }

    /// What the targets point to.
    pub(crate) fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default();
        let mut known = BTreeSet::new();
        for row in self.rows() {
            wanted.ids.extend(row.cells.iter().filter_map(|cell| match cell.value {
                Value::Lookup(lookup) if self.is_checked(cell.column) => Some(lookup),
                _ => None,
            }));
            for bind in &row.binds {
                if bind_key(bind).is_some_and(|key| known.insert(key)) {
                    wanted.binds.push(bind.clone());
                }
            }
        }
        wanted
    }

    fn is_checked(&self, column: ColumnIndex) -> bool {
        writes::is_checked(self.table.column(column))
    }

    /// Refuses the targets whose lookups point to nothing, and resolves those by alternate key.
    pub(crate) fn resolve(&mut self, context: &Context, found: &Found) {
        let table = Arc::clone(&self.table);
        for draft in &mut self.targets {
            let Fate::Row(row) = &mut draft.fate else { continue };
            if let Err(refusal) = resolve_row(&table, context, row, found) {
                draft.fate = Fate::Refused(refusal);
            }
        }
    }

    /// Gives every write the limits of its caller, and refuses what the caller may not make or point to.
    ///
    /// `pointed`: of the rows that are pointed to, those that are out of reach.
    pub(crate) fn limit(
        &mut self,
        access: &Access,
        catalog: &Catalog,
        shares: &Shares<'_>,
        (unable, pointed): (&BTreeSet<Uuid>, &BTreeSet<LookupValue>),
    ) {
        let table = Arc::clone(&self.table);
        let name = self.name;
        let (owner, unit) = owner_columns(&table);
        let limit = |action| access.filter(&table, action, 0, shares).map(Arc::new);
        let own = if is_delete(name) { Action::Delete } else { Action::Write };
        let [own_limit, append, assign] = [own, Action::Append, Action::Assign].map(limit);
        let is_free = own_limit.is_none() && append.is_none() && assign.is_none();
        let is_free = is_free && access.reaches_all(&table, Action::Create);
        if is_free && unable.is_empty() && pointed.is_empty() {
            return;
        }
        let constant = |cells: &[Cell], column: Option<ColumnIndex>| {
            let mut cells = cells.iter().rev().filter(|cell| Some(cell.column) == column);
            cells.next().map(|cell| cell.value.clone())
        };
        let constants = self.constants.clone();
        let making = access.making(&table);
        for draft in &mut self.targets {
            let Fate::Row(row) = &mut draft.fate else { continue };
            let new_owner = constant(&row.cells, owner);
            let id_of = |column| {
                let value = constant(&row.cells, column).or_else(|| constant(&constants, column));
                value.and_then(|value| value.as_id())
            };
            let links = row.cells.iter().any(|cell| guard::is_link(&table, cell.column));
            let may_make = making.out_of_reach(links, id_of(owner), id_of(unit)).is_none();
            let makes = is_create(name) || row.is_new;
            let far = row.cells.iter().find_map(|cell| match &cell.value {
                Value::Lookup(lookup) if pointed.contains(lookup) => Some(*lookup),
                _ => None,
            });
            if let Some(far) = far
                && let Some(target) = catalog.table_by_id(far.table)
            {
                let fault = access.out_of_reach(target, Action::AppendTo, far.id);
                draft.fate = Fate::Refused(refused(fault.code, &fault.message));
                continue;
            }
            if makes && !is_delete(name) && !may_make {
                let fault = guard::not_made(access, &table, draft.id);
                draft.fate = Fate::Refused(refused(fault.code, &fault.message));
                continue;
            }
            let mut reach = Reach { limits: Vec::new(), may_make };
            let mut about = Vec::new();
            let mut add = |of, allowed: Option<Arc<Filter>>, unless: Option<Cell>| {
                if let Some(allowed) = allowed {
                    reach.limits.push(Limit { allowed, unless });
                    about.push(of);
                }
            };
            add(About::Reach(own), own_limit.clone(), None);
            if links {
                add(About::Reach(Action::Append), append.clone(), None);
            }
            if let (Some(value), Some(column)) = (new_owner, owner) {
                let new = value.as_id();
                let unless = Some(Cell { column, value });
                add(About::Reach(Action::Assign), assign.clone(), unless.clone());
                if new.is_some_and(|new| unable.contains(&new)) {
                    add(About::NewOwner, Some(Arc::new(Filter::Or(Vec::new()))), unless);
                }
            }
            row.about = about;
            row.reach = Some(Box::new(reach));
        }
    }

    fn out_of_reach(
        &self,
        access: &Access,
        catalog: &Catalog,
        draft: &Draft,
        limit: Option<usize>,
    ) -> TargetRefused {
        let Fate::Row(row) = &draft.fate else {
            return refused(code::UNEXPECTED, "An unexpected error occurred.");
        };
        let about = limit.and_then(|limit| row.about.get(limit)).copied();
        let denial =
            store::Denial { row: 0, table: self.table.id, id: draft.id, exists: limit.is_some() };
        let about = about.unwrap_or(About::Reach(Action::Create));
        let fault = guard::denied(access, catalog, (about, &self.table), &denial);
        refused(fault.code, &fault.message)
    }

    /// What goes to the store, in order.
    pub(crate) fn writes(&self) -> Vec<ElasticWrite> {
        let kept: Arc<[ColumnIndex]> =
            KEPT.iter().filter_map(|name| self.table.index_of(name)).collect();
        self.rows().map(|row| self.write(row, &kept)).collect()
    }

    fn write(&self, row: &Row, kept: &Arc<[ColumnIndex]>) -> ElasticWrite {
        let names = |column: ColumnIndex| row.cells.iter().any(|cell| cell.column == column);
        let constants = self.constants.iter().filter(|cell| !names(cell.column)).cloned();
        let cells: Vec<Cell> = row.cells.iter().cloned().chain(constants).collect();
        let action = if is_delete(self.name) {
            ElasticAction::Delete
        } else if is_create(self.name) || row.is_new {
            ElasticAction::Insert { cells }
        } else if is_upsert(self.name) {
            // Who is created-by and when is never a replacement's to say; the owner is.
            let owner = ["ownerid", "owningbusinessunit"].map(|name| self.table.index_of(name));
            let kept = match kept
                .iter()
                .any(|column| names(*column) && owner.contains(&Some(*column)))
            {
                false => Arc::clone(kept),
                true => kept.iter().copied().filter(|one| !owner.contains(&Some(*one))).collect(),
            };
            let must_not_exist = self.condition == Condition::MustNotExist;
            ElasticAction::Replace { cells, kept, must_not_exist }
        } else {
            ElasticAction::Update { cells }
        };
        let (key, expected_version) = (row.key.clone(), row.expected_version);
        ElasticWrite { key, action, expected_version, reach: row.reach.clone() }
    }

    /// One outcome per target, from those of [`Self::writes`].
    pub(crate) fn outcomes(
        &self,
        access: &Access,
        catalog: &Catalog,
        written: &[ElasticOutcome],
    ) -> Vec<Result<RowOutcome, Failure>> {
        let mut written = written.iter();
        let mut outcomes: Vec<Result<RowOutcome, Failure>> = Vec::with_capacity(self.targets.len());
        for (index, draft) in self.targets.iter().enumerate() {
            let outcome = match &draft.fate {
                Fate::Row(_) => match written.next() {
                    Some(ElasticOutcome::Written { created, .. }) => {
                        Ok(RowOutcome { id: draft.id.unwrap_or_default(), created: *created })
                    }
                    Some(ElasticOutcome::Refused(ElasticReason::OutOfReach(limit))) => {
                        Err(self.out_of_reach(access, catalog, draft, *limit))
                    }
                    Some(ElasticOutcome::Refused(reason)) => {
                        Err(fault::of_elastic(&self.table, *reason, draft.id, draft.by_key))
                    }
                    None => Err(refused(code::UNEXPECTED, "An unexpected error occurred.")),
                },
                Fate::Refused(refusal) => Err(refusal.clone()),
                Fate::SameAs(first) => {
                    let first = outcomes.get(*first).cloned();
                    outcomes.extend(first.map(|first| repeated(first, index)));
                    continue;
                }
            };
            outcomes.push(outcome.map_err(|refusal| Failure {
                index,
                column: refusal.column,
                id: draft.id,
                code: refusal.code,
                message: refusal.message,
            }));
        }
        outcomes
    }
}

/// The fault of an upsert some of whose targets name the record of an earlier one.
pub(crate) fn named_twice(
    name: MessageName,
    repeats: impl IntoIterator<Item = (usize, Option<Uuid>)>,
) -> Fault {
    let text = "Duplicate records with the same key values were found in the 'Targets' parameter.";
    let failure = |(index, id)| Failure {
        index,
        column: None,
        id,
        code: code::INVALID_ARGUMENT,
        message: text.to_owned(),
    };
    fault::of_failures(name, repeats.into_iter().map(failure).collect())
}

/// The outcome of a later target that names the record of an earlier one: it made nothing.
pub(crate) fn repeated(
    first: Result<RowOutcome, Failure>,
    index: usize,
) -> Result<RowOutcome, Failure> {
    match first {
        Ok(outcome) => Ok(RowOutcome { created: false, ..outcome }),
        Err(failure) => Err(Failure { index, ..failure }),
    }
}

fn resolve_row(
    table: &Table,
    context: &Context,
    row: &mut Row,
    found: &Found,
) -> Result<(), TargetRefused> {
    let name_of = |table| {
        let table = context.catalog.table_by_id(table);
        table.map_or_else(String::new, |table| table.logical_name.to_string())
    };
    for cell in &row.cells {
        let Value::Lookup(lookup) = cell.value else { continue };
        let column = table.column(cell.column);
        if !writes::is_checked(column) || found.ids.contains(&lookup) {
            continue;
        }
        return Err(TargetRefused {
            code: code::OBJECT_DOES_NOT_EXIST,
            message: format!("{} With Id = {} Does Not Exist", name_of(lookup.table), lookup.id),
            column: Some(column.logical_name.clone()),
        });
    }
    for bind in std::mem::take(&mut row.binds) {
        let column = table.column(bind.column);
        let refuse = |code, message| {
            Err(TargetRefused { code, message, column: Some(column.logical_name.clone()) })
        };
        if partition::column(&bind.table).is_some() {
            return refuse(
                code::INVALID_ARGUMENT,
                format!(
                    "A lookup to a record of '{}' cannot name a partition.",
                    bind.table.logical_name
                ),
            );
        }
        let Some(id) = bind_key(&bind).and_then(|key| found.binds.get(&key).copied()) else {
            return refuse(
                code::RECORD_NOT_FOUND_BY_ENTITY_KEY,
                format!(
                    "A record with the specified key values does not exist in {} entity",
                    bind.table.logical_name
                ),
            );
        };
        let value = Value::Lookup(LookupValue { table: bind.table.id, id });
        row.cells.push(Cell { column: bind.column, value });
    }
    Ok(())
}

impl Wanted {
    /// The ids by the table that they are looked for in.
    pub(crate) fn by_table(&self) -> BTreeMap<model::TableId, Vec<Uuid>> {
        let mut by_table: BTreeMap<model::TableId, Vec<Uuid>> = BTreeMap::new();
        for lookup in &self.ids {
            by_table.entry(lookup.table).or_default().push(lookup.id);
        }
        by_table
    }
}
