//! Deep insert: one new record with all that it brings along, as one list of writes.
//!
//! Every record gets its id first, so that the others can point to it. Then records are written level
//! by level: what a record points to lies one level before it, what points to it one level behind. A
//! level is one write per table, however many records it has.
//! Source: webapi.md 10.6 and 12.5. Not here: reading the body (`wire::targets`).

use super::members;
use super::write::{Prepared, Shown};
use crate::api::Attempt;
use model::{Cell, ColumnIndex, LookupValue, MessageName, Table, TableId, Target, TargetKey};
use model::{Uuid, Value};
use pipeline::{Condition, Write};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::targets::{Nested, NewRecord, Pairs};

/// Records of one table on one level.
type Group = (Arc<Table>, Vec<Target>);

/// One record with its table.
type One = (Arc<Table>, Target);

/// The writes so far.
#[derive(Default)]
struct Writes {
    /// By level and table; the outermost record is not among them.
    new: BTreeMap<(i32, TableId), Group>,
    /// By table and lookup column: records there are, that are to point to new ones.
    linked: BTreeMap<(TableId, ColumnIndex), Group>,
    /// By the table that holds them: pairs.
    paired: BTreeMap<TableId, Group>,
}

/// The writes of a new record with what it brings along.
pub(super) fn prepare(attempt: &Attempt<'_>, mut record: NewRecord, shown: Shown) -> Prepared {
    let missing = count_without_id(&record);
    let mut ids = attempt.pipeline.new_ids(missing, attempt.context.now).into_iter();
    give_ids(&mut record, &mut ids);
    let mut writes = Writes::default();
    let (table, target) = writes.split(record, 0);
    let Writes { new, linked, paired } = writes;
    let of = |name| move |(table, targets): Group| write(name, table, targets);
    let (before, behind): (Vec<_>, Vec<_>) =
        new.into_iter().partition(|((level, _), _)| *level < 0);
    let groups = |groups: Vec<(_, Group)>| groups.into_iter().map(|(_, group)| group);
    let after = groups(behind).map(of(MessageName::Create));
    let linked = linked.into_values().map(of(MessageName::Update));
    let paired = paired.into_values().map(of(MessageName::Associate));
    Prepared {
        before: groups(before).map(of(MessageName::Create)).collect(),
        write: write(MessageName::Create, table, vec![target]),
        after: after.chain(linked).chain(paired).collect(),
        shown,
    }
}

fn write(name: MessageName, table: Arc<Table>, targets: Vec<Target>) -> Write {
    Write { name, table, targets, condition: Condition::Any }
}

fn count_without_id(record: &NewRecord) -> usize {
    let nested = record.nested.iter().flat_map(inner).map(count_without_id).sum::<usize>();
    nested + usize::from(record.target.key == TargetKey::None)
}

fn inner(nested: &Nested) -> &[NewRecord] {
    match nested {
        Nested::Parent { record, .. } => std::slice::from_ref(record),
        Nested::Children { records, .. } | Nested::Paired { records, .. } => records,
        Nested::Links { .. } | Nested::PairLinks { .. } => &[],
    }
}

fn give_ids(record: &mut NewRecord, ids: &mut impl Iterator<Item = Uuid>) {
    if record.target.key == TargetKey::None {
        record.target.key = ids.next().map_or(TargetKey::None, TargetKey::Id);
    }
    for nested in &mut record.nested {
        match nested {
            Nested::Parent { record, .. } => give_ids(record, ids),
            Nested::Children { records, .. } | Nested::Paired { records, .. } => {
                records.iter_mut().for_each(|record| give_ids(record, ids));
            }
            Nested::Links { .. } | Nested::PairLinks { .. } => {}
        }
    }
}

impl Writes {
    /// Takes what a record of this level brings along; answers the record itself.
    fn split(&mut self, record: NewRecord, level: i32) -> One {
        let NewRecord { table, mut target, nested } = record;
        let own = pointer(table.id, &target.key);
        for nested in nested {
            match nested {
                Nested::Parent { column, record } => {
                    let value = pointer(record.table.id, &record.target.key);
                    target.cells.push(Cell { column, value });
                    self.add(record, level - 1);
                }
                Nested::Children { column, records, .. } => {
                    for mut record in records {
                        record.target.cells.push(Cell { column, value: own.clone() });
                        self.add(record, level + 1);
                    }
                }
                Nested::Paired { pairs, records } => {
                    for record in records {
                        self.pair(&pairs, &own, record.target.key.clone());
                        self.add(record, level + 1);
                    }
                }
                Nested::PairLinks { pairs, keys } => {
                    keys.into_iter().for_each(|key| self.pair(&pairs, &own, key));
                }
                Nested::Links { table, column, keys } => {
                    let (_, targets) = self
                        .linked
                        .entry((table.id, column))
                        .or_insert_with(|| (table, Vec::new()));
                    targets.extend(keys.into_iter().map(|key| {
                        let cells = vec![Cell { column, value: own.clone() }];
                        Target { key, cells, ..Target::default() }
                    }));
                }
            }
        }
        (table, target)
    }

    fn pair(&mut self, pairs: &Pairs, own: &Value, member: TargetKey) {
        let (_, targets) = self
            .paired
            .entry(pairs.table.id)
            .or_insert_with(|| (Arc::clone(&pairs.table), Vec::new()));
        let mut target = Target::default();
        target.cells.push(Cell { column: pairs.own, value: own.clone() });
        members::point(&mut target, pairs.other, &pairs.members, &member);
        targets.push(target);
    }

    fn add(&mut self, record: NewRecord, level: i32) {
        let (table, target) = self.split(record, level);
        let (_, targets) = self.new.entry((level, table.id)).or_insert_with(|| (table, Vec::new()));
        targets.push(target);
    }
}

/// What a lookup to the record holds.
fn pointer(table: TableId, key: &TargetKey) -> Value {
    match key {
        TargetKey::Id(id) => Value::Lookup(LookupValue { table, id: *id }),
        // Every record got an id, and new ones are not named by alternate keys.
        TargetKey::None | TargetKey::Alternate(_) => Value::Null,
    }
}
