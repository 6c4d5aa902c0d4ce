//! Random histories of writes: the engine and the reference must agree in every outcome and then in
//! everything that they hold.
//!
//! Values come from tiny pools, so that ids, keys and lookups collide often.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::random::for_cases;
use crate::conformance::world::{NOW, USER, World, text};
use crate::memory::MemoryStore;
use crate::writes::{DeleteRow, InsertRow, UpdateRow, UpsertCondition, UpsertRow};
use crate::{Applied, Error, Reason, Rejection, RowKey, WriteOp};
use model::{Cell, Uuid, Value};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The operations of one message.
type Step = Vec<Op>;

#[derive(Clone, Debug)]
struct Op {
    kind: Kind,
    table: &'static Shape,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Insert,
    Update,
    Upsert,
    Delete,
}

/// A row of any kind of operation; each kind takes what it has a use for.
#[derive(Clone, Debug)]
struct Row {
    id: u8,
    /// A number of the key text instead of the id, or nothing at all (upserts).
    key: Named,
    /// For each column of the shape, what to write.
    fields: [Option<u8>; 6],
    /// An account number to bind the holder of a crate by.
    bind: Option<u8>,
    version: Expected,
    condition: UpsertCondition,
}

#[derive(Clone, Copy, Debug)]
enum Named {
    ById,
    ByKey(u8),
    Not,
}

#[derive(Clone, Copy, Debug)]
enum Expected {
    Any,
    Right,
    Wrong,
}

/// The columns that a history writes; the second one is the table's plain key.
#[derive(Debug)]
struct Shape {
    table: &'static str,
    key: &'static str,
    columns: [&'static str; 6],
}

static CRATES: Shape = Shape {
    table: "ship_crate",
    key: "ship_Tracking",
    columns: [
        "ship_label",
        "ship_trackingno",
        "ship_count",
        "ship_holder",
        "ship_parent",
        "modifiedon",
    ],
};

static LINES: Shape = Shape {
    table: "ship_line",
    key: "ship_linecode",
    columns: ["ship_loose", "ship_code", "ship_cascade", "ship_link", "ship_hold", "modifiedon"],
};

/// Texts of which some are equal to a key.
const TEXTS: [&str; 12] = ["", "a", "A ", "b", "Ä", "ä", "c", "d", "e", "f ", "g", "h"];

/// The ids that are there before a message: most rows mean one of these.
struct Present {
    crates: Vec<Uuid>,
    lines: Vec<Uuid>,
}

impl Present {
    async fn of(world: &World) -> Self {
        Self { crates: world.ids(CRATES.table).await, lines: world.ids(LINES.table).await }
    }

    /// An id of a row that is there; for the highest numbers one that most likely is not.
    fn pick(&self, shape: &Shape, number: u8) -> Uuid {
        let ids = if shape.table == CRATES.table { &self.crates } else { &self.lines };
        match usize::from(number).checked_rem(ids.len()) {
            Some(place) if number < 11 => ids[place],
            _ => id(u128::from(number)),
        }
    }
}

fn rows() -> impl Strategy<Value = Row> {
    let named = prop_oneof![
        8 => Just(Named::ById),
        2 => (1..12_u8).prop_map(Named::ByKey),
        1 => Just(Named::Not),
    ];
    let version = prop_oneof![12 => Just(Expected::Any), 3 => Just(Expected::Right), 1 => Just(Expected::Wrong)];
    let condition = prop_oneof![
        12 => Just(UpsertCondition::Any),
        1 => Just(UpsertCondition::MustNotExist),
        1 => Just(UpsertCondition::KeyInBody),
    ];
    let field = || option::weighted(0.3, 0..12_u8);
    let fields = [field(), field(), field(), field(), field(), field()];
    (0..12_u8, named, fields, option::weighted(0.1, 1..4_u8), version, condition).prop_map(
        |(id, key, fields, bind, version, condition)| Row {
            id,
            key,
            fields,
            bind,
            version,
            condition,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![
        3 => Just(Kind::Insert),
        3 => Just(Kind::Update),
        3 => Just(Kind::Upsert),
        2 => Just(Kind::Delete),
    ];
    let table = any::<bool>().prop_map(|crates| if crates { &CRATES } else { &LINES });
    let op =
        (kind, table, vec(rows(), 1..4)).prop_map(|(kind, table, rows)| Op { kind, table, rows });
    vec(vec(op, 1..3), 1..30)
}

/// Turns operations into what one store takes; both stores get the same but for versions.
struct Binder<'a> {
    world: &'a World,
    present: &'a Present,
    /// Place of the message in its history.
    step: usize,
}

impl Binder<'_> {
    /// The operation as this store takes it; what the contract forbids is left out.
    async fn op(&self, place: usize, op: &Op) -> WriteOp {
        let shape = op.table;
        let constant = |name: &str, value: Value| self.world.cells(shape.table, &[(name, value)]);
        let created = constant("modifiedon", Value::DateTime(NOW));
        let modified = constant("modifiedby", self.world.to("systemuser", USER));
        match op.kind {
            Kind::Insert => {
                let mut insert = self.world.inserts(shape.table, &[]);
                insert.constants = created;
                for (index, row) in op.rows.iter().enumerate() {
                    insert.rows.push(InsertRow {
                        id: self.new_id(place, index, shape, row),
                        cells: self.cells(shape, row, false),
                        binds: self.binds(shape, row),
                    });
                }
                WriteOp::Insert(insert)
            }
            Kind::Update => {
                let mut update = self.world.updates(shape.table, &[]);
                update.constants = modified;
                for (row, key) in self.once(op) {
                    update.rows.push(UpdateRow {
                        expected_version: self.expected(shape, row, &key).await,
                        key,
                        cells: self.cells(shape, row, false),
                        binds: self.binds(shape, row),
                    });
                }
                WriteOp::Update(update)
            }
            Kind::Upsert => {
                let mut upsert = self.world.upserts(shape.table, Vec::new());
                upsert.insert_constants = created;
                upsert.update_constants = modified;
                for (index, row) in op.rows.iter().enumerate() {
                    let new_id = self.new_id(place, index, shape, row);
                    upsert.rows.push(self.upsert_row(shape, row, new_id).await);
                }
                WriteOp::Upsert(upsert)
            }
            Kind::Delete => {
                let mut delete = self.world.deletes(shape.table, &[]);
                for (row, key) in self.once(op) {
                    let expected_version = self.expected(shape, row, &key).await;
                    delete.rows.push(DeleteRow { key, expected_version });
                }
                WriteOp::Delete(delete)
            }
        }
    }

    /// The rows of an update or delete with their keys: no record twice. A key other than the id
    /// stands alone, as nobody knows yet which record it names.
    fn once<'o>(&self, op: &'o Op) -> Vec<(&'o Row, RowKey)> {
        if let [first, ..] = &op.rows[..]
            && let Named::ByKey(number) = first.key
        {
            return vec![(first, self.by_key(op.table, number))];
        }
        let mut seen = BTreeSet::new();
        let rows = op.rows.iter().map(|row| (row, self.present.pick(op.table, row.id)));
        rows.filter(|(_, id)| seen.insert(*id)).map(|(row, id)| (row, RowKey::Id(id))).collect()
    }

    async fn upsert_row(&self, shape: &Shape, row: &Row, new_id: Uuid) -> UpsertRow {
        let by_key = match row.key {
            Named::ByKey(number) => Some(number),
            Named::ById | Named::Not => None,
        };
        let key = match row.key {
            Named::ByKey(number) => Some(self.by_key(shape, number)),
            // Every third one is new.
            Named::ById if row.id.is_multiple_of(3) => Some(RowKey::Id(new_id)),
            Named::ById => Some(RowKey::Id(self.present.pick(shape, row.id))),
            Named::Not => None,
        };
        let expected_version = match &key {
            Some(key) => self.expected(shape, row, key).await,
            None => None,
        };
        let insert_cells = by_key.map(|number| {
            self.world.cells(shape.table, &[(shape.columns[1], text(TEXTS[usize::from(number)]))])
        });
        UpsertRow {
            cells: self.cells(shape, row, by_key.is_some()),
            insert_cells: insert_cells.unwrap_or_default(),
            new_id: match &key {
                Some(RowKey::Id(id)) => *id,
                Some(RowKey::Alternate(_)) | None => new_id,
            },
            key,
            binds: self.binds(shape, row),
            condition: row.condition,
            expected_version,
        }
    }

    /// A new id; for the highest numbers one that is taken.
    fn new_id(&self, place: usize, index: usize, shape: &Shape, row: &Row) -> Uuid {
        match row.id {
            10.. => self.present.pick(shape, row.id - 10),
            _ => id(1_000 + (self.step * 64 + place * 8 + index) as u128),
        }
    }

    fn by_key(&self, shape: &Shape, number: u8) -> RowKey {
        let value = text(TEXTS[usize::from(number)]);
        RowKey::Alternate(self.world.key(shape.table, shape.key, &[value]))
    }

    /// The cells that the row writes; without the key column when the key is told apart.
    fn cells(&self, shape: &Shape, row: &Row, without_key: bool) -> Vec<Cell> {
        let bound = row.bind.is_some() && shape.table == CRATES.table;
        let written = shape.columns.iter().zip(row.fields).enumerate();
        let cells: Vec<(&str, Value)> = written
            .filter(|(place, _)| !(without_key && *place == 1))
            .filter(|(place, _)| !(bound && shape.columns[*place] == "ship_holder"))
            .filter_map(|(_, (column, field))| Some((*column, self.value(column, field?))))
            .collect();
        self.world.cells(shape.table, &cells)
    }

    fn binds(&self, shape: &Shape, row: &Row) -> Vec<model::Bind> {
        let Some(number) = row.bind.filter(|_| shape.table == CRATES.table) else {
            return Vec::new();
        };
        let value = text(TEXTS[usize::from(number)]);
        let key = self.world.key("account", "account_number", &[value]);
        vec![self.world.bind((shape.table, "ship_holder"), "account", key)]
    }

    async fn expected(&self, shape: &Shape, row: &Row, key: &RowKey) -> Option<i64> {
        match (row.version, key) {
            (Expected::Any, _) | (Expected::Right, RowKey::Alternate(_)) => None,
            (Expected::Wrong, _) => Some(-1),
            (Expected::Right, RowKey::Id(id)) => {
                let row = self.world.row(shape.table, *id).await?;
                let version = self.world.table(shape.table).version_column();
                match row[usize::from(version.0)] {
                    Value::BigInt(version) => Some(version),
                    _ => None,
                }
            }
        }
    }

    fn value(&self, column: &str, number: u8) -> Value {
        if number == 0 {
            return Value::Null;
        }
        match column {
            "ship_count" => Value::Integer(i32::from(number % 4)),
            "modifiedon" => Value::DateTime(model::Timestamp(i64::from(number))),
            // Two accounts exist.
            "ship_holder" if number == 11 => self.world.to("account", id(3)),
            "ship_holder" => self.world.to("account", id(1 + u128::from(number % 2))),
            "ship_parent" | "ship_cascade" | "ship_link" | "ship_hold" | "ship_loose" => {
                self.world.to("ship_crate", self.present.pick(&CRATES, number))
            }
            _ => text(TEXTS[usize::from(number)]),
        }
    }
}

pub async fn random_histories_agree_with_the_reference<H: Harness>() {
    for_cases(steps(), 16, async |steps: &Vec<Step>| {
        let (_harness, engine) = World::open::<H>().await;
        let reference = World::over(Arc::new(MemoryStore::new())).await;
        let (one, two) = ([("accountnumber", text("a"))], [("accountnumber", text("B"))]);
        for world in [&engine, &reference] {
            world.insert("account", &[(id(1), &one), (id(2), &two)]).await;
            seed(world).await;
        }
        for (place, step) in steps.iter().enumerate() {
            let agreed = agree(&engine, &reference, place, step).await;
            agreed.map_err(|why| format!("step {place}: {why}"))?;
        }
        Ok(())
    })
    .await;
}

/// A few crates and lines that point to each other in every way.
async fn seed(world: &World) {
    let to = |number| world.to(CRATES.table, id(number));
    let crates: [&[(&str, Value)]; 6] = [
        &[("ship_trackingno", text("a"))],
        &[("ship_parent", to(101)), ("ship_trackingno", text("b"))],
        &[("ship_parent", to(101)), ("ship_holder", world.to("account", id(1)))],
        &[("ship_parent", to(103)), ("ship_trackingno", text("Ä"))],
        &[],
        &[("ship_parent", to(106)), ("ship_holder", world.to("account", id(2)))],
    ];
    let lines: [&[(&str, Value)]; 6] = [
        &[("ship_cascade", to(101)), ("ship_code", text("a"))],
        &[("ship_cascade", to(104)), ("ship_hold", to(103))],
        &[("ship_link", to(102)), ("ship_loose", to(105))],
        &[("ship_link", to(104)), ("ship_cascade", to(106)), ("ship_code", text("c"))],
        &[("ship_hold", to(105))],
        &[],
    ];
    for (shape, first, rows) in [(&CRATES, 101, crates), (&LINES, 201, lines)] {
        let rows: Vec<_> = (first..).map(id).zip(rows).collect();
        world.insert(shape.table, &rows).await;
    }
}

/// Runs one message on both and compares what they answer and hold.
async fn agree(engine: &World, reference: &World, place: usize, step: &Step) -> Result<(), String> {
    let before = last_version(engine).await;
    let present = Present::of(reference).await;
    let bind = |world| Binder { world, present: &present, step: place };
    let got = run(&bind(engine), step).await?;
    let want = run(&bind(reference), step).await?;
    if got != want {
        return Err(format!("answers {got:?}, the reference {want:?}"));
    }
    let (held, should) = (engine.contents().await, reference.contents().await);
    if held != should {
        return Err(format!("holds {held:?}, the reference {should:?}"));
    }
    if let (Ok(applied), Some(op)) = (&got, step.last())
        && !matches!(op.kind, Kind::Delete)
        && let Some(rows) = applied.ops.last()
    {
        let mut last = before;
        for row in rows {
            let version = engine.version(op.table.table, row.id).await;
            if version <= last {
                return Err(format!("version {version} of {} is not above {last}", row.id));
            }
            last = version;
        }
    }
    Ok(())
}

type Answer = Result<Applied, (usize, Vec<Rejection>)>;

async fn run(binder: &Binder<'_>, step: &Step) -> Result<Answer, String> {
    let mut ops = Vec::new();
    for (place, op) in step.iter().enumerate() {
        ops.push(binder.op(place, op).await);
    }
    match binder.world.apply(ops).await {
        Ok(applied) => Ok(Ok(applied)),
        Err(Error::Rejected { op, mut rows }) => {
            for row in &mut rows {
                // Each store counts its own versions.
                if let Reason::VersionMismatch { actual } = &mut row.reason {
                    *actual = 0;
                }
            }
            Ok(Err((op, rows)))
        }
        Err(other) => Err(format!("fails with {other:?}")),
    }
}

async fn last_version(world: &World) -> i64 {
    let mut last = 0;
    for (table, rows) in world.contents_with_versions().await {
        let version = usize::from(world.table(&table).version_column().0);
        for row in rows.values() {
            if let Value::BigInt(version) = row[version] {
                last = last.max(version);
            }
        }
    }
    last
}
