//! What must hold for rows before an operation: who passes, what is told, and what was locked away.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{NOW, USER, World, text};
use crate::{
    Check, CheckRow, Denial, Error, Purpose, Reason, RowKey, SchemaChange, Spreads, WriteOp,
    WriteSet,
};
use model::{Uuid, Value};
use query::{ColumnRef, Compare, Filter};

const TABLE: &str = "ship_crate";

/// Crates 1 to 3 by their labels `mine`, `mine`, `theirs`; a line of crate 1 and one of crate 2.
async fn three<H: Harness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    let crates = |label: &str, number: i32| {
        [("ship_label", text(label)), ("ship_trackingno", text(&format!("T-{number}")))]
    };
    let (one, two, three) = (crates("mine", 1), crates("mine", 2), crates("theirs", 3));
    world.insert(TABLE, &[(id(1), &one), (id(2), &two), (id(3), &three)]).await;
    let child =
        |number| [("ship_label", text("theirs")), ("ship_parent", world.to(TABLE, id(number)))];
    world.insert(TABLE, &[(id(11), &child(1))]).await;
    (harness, world)
}

fn mine(world: &World) -> Filter {
    Filter::Compare {
        column: ColumnRef::root(world.column(TABLE, "ship_label")),
        compare: Compare::Equal,
        value: text("mine"),
    }
}

fn check(world: &World, op: usize, keys: Vec<RowKey>) -> Check {
    let row = |(row, key)| CheckRow { row, key, must_exist: false, unless: None };
    Check {
        op,
        table: world.table(TABLE),
        rows: keys.into_iter().enumerate().map(row).collect(),
        allowed: mine(world),
        unless: None,
        purpose: Purpose::Change,
        spreads: Spreads::Delete,
        cascades: Vec::new(),
        owners: None,
    }
}

fn ids(numbers: &[u128]) -> Vec<RowKey> {
    numbers.iter().map(|number| RowKey::Id(id(*number))).collect()
}

fn relabel(world: &World, numbers: &[u128]) -> WriteOp {
    let cells = [("ship_label", text("new"))];
    let rows: Vec<(Uuid, &[(&str, Value)])> =
        numbers.iter().map(|number| (id(*number), &cells[..])).collect();
    WriteOp::Update(world.updates(TABLE, &rows))
}

async fn apply(world: &World, ops: Vec<WriteOp>, checks: Vec<Check>) -> Result<(), Error> {
    let catalog = world.catalog.clone();
    world.store.apply(WriteSet { catalog, now: NOW, user: USER, ops, checks }).await.map(drop)
}

/// Runs operations that a check stops, and sees that nothing of them was kept.
async fn denied(world: &World, ops: Vec<WriteOp>, checks: Vec<Check>) -> (usize, Vec<Denial>) {
    let before = world.contents_with_versions().await;
    let denied = match apply(world, ops, checks).await {
        Err(Error::Denied { check, rows }) => (check, rows),
        other => panic!("should be denied, is {other:?}"),
    };
    assert_eq!(world.contents_with_versions().await, before, "a denied call leaves nothing");
    denied
}

fn exists(world: &World, row: usize, number: u128) -> Denial {
    Denial { row, table: world.table(TABLE).id, id: Some(id(number)), exists: true }
}

pub async fn rows_that_meet_the_condition_pass<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let checks = vec![check(&world, 0, ids(&[1, 2]))];
    apply(&world, vec![relabel(&world, &[1, 2])], checks).await.expect("both are mine");
}

pub async fn rows_that_do_not_are_denied_and_all_of_them_told<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let checks = vec![check(&world, 0, ids(&[3, 1, 11]))];
    let got = denied(&world, vec![relabel(&world, &[3, 1, 11])], checks).await;
    assert_eq!(got, (0, vec![exists(&world, 0, 3), exists(&world, 2, 11)]));
}

pub async fn a_checked_row_may_be_named_by_an_alternate_key<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let by = |number: &str| RowKey::Alternate(world.key(TABLE, "ship_Tracking", &[text(number)]));
    let checks = vec![check(&world, 0, vec![by("T-1"), by("T-3"), by("T-9")])];
    let got = denied(&world, vec![relabel(&world, &[1])], checks).await;
    assert_eq!(got, (0, vec![exists(&world, 1, 3)]));
}

pub async fn a_row_that_is_not_there_passes_unless_it_must_be<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let free = check(&world, 0, ids(&[99]));
    let refused = apply(&world, vec![relabel(&world, &[99])], vec![free.clone()]).await;
    match refused {
        Err(Error::Rejected { rows, .. }) => assert_eq!(rows[0].reason, Reason::Missing),
        other => panic!("the operation tells that the row is missing, not {other:?}"),
    }
    let mut bound = free;
    bound.rows[0].must_exist = true;
    let got = denied(&world, vec![relabel(&world, &[1])], vec![bound]).await;
    let absent = Denial { row: 0, table: world.table(TABLE).id, id: Some(id(99)), exists: false };
    assert_eq!(got, (0, vec![absent]));
}

pub async fn a_row_with_the_spared_value_passes<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let mut spared = check(&world, 0, ids(&[3, 11]));
    spared.unless = Some(world.column(TABLE, "ship_trackingno"));
    spared.rows[0].unless = Some(text("T-3"));
    spared.rows[1].unless = Some(text("T-3"));
    let got = denied(&world, vec![relabel(&world, &[1])], vec![spared]).await;
    assert_eq!(got, (0, vec![exists(&world, 1, 11)]));
}

pub async fn a_check_sees_the_operations_before_its_own<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let cells = [("ship_label", text("mine"))];
    let ops = || {
        let make_mine = WriteOp::Update(world.updates(TABLE, &[(id(3), &cells)]));
        vec![make_mine, relabel(&world, &[3])]
    };
    let got = denied(&world, ops(), vec![check(&world, 0, ids(&[3]))]).await;
    assert_eq!(got, (0, vec![exists(&world, 0, 3)]));
    apply(&world, ops(), vec![check(&world, 1, ids(&[3]))]).await.expect("it is mine by then");
}

pub async fn the_first_failing_check_is_told<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let checks = vec![
        check(&world, 0, ids(&[1])),
        check(&world, 0, ids(&[3])),
        check(&world, 0, ids(&[11])),
    ];
    let got = denied(&world, vec![relabel(&world, &[1])], checks).await;
    assert_eq!(got, (1, vec![exists(&world, 0, 3)]));
}

pub async fn rows_that_go_along_are_checked<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let along = |op| Check {
        purpose: Purpose::Delete,
        cascades: vec![(world.table(TABLE), mine(&world))],
        ..check(&world, op, ids(&[1]))
    };
    let delete = || WriteOp::Delete(world.deletes(TABLE, &[id(1)]));
    let got = denied(&world, vec![delete()], vec![along(0)]).await;
    assert_eq!(got, (0, vec![exists(&world, 0, 11)]));
    let cells = [("ship_label", text("mine"))];
    world.update(TABLE, &[(id(11), &cells)]).await;
    apply(&world, vec![delete()], vec![along(0)]).await.expect("both are mine now");
}

pub async fn checks_hold_for_the_rows_of_a_change_of_definitions<H: Harness>() {
    let (_harness, mut world) = three::<H>().await;
    let change = |world: &World, number| SchemaChange {
        catalog: world.catalog.clone(),
        ops: Vec::new(),
        rows: vec![relabel(world, &[number])],
        checks: vec![check(world, 0, ids(&[number]))],
        now: NOW,
        user: USER,
    };
    let before = world.catalog.version();
    match world.store.change(change(&world, 3)).await {
        Err(Error::Denied { check: 0, rows }) => assert_eq!(rows, vec![exists(&world, 0, 3)]),
        other => panic!("should be denied, is {other:?}"),
    }
    assert_eq!(world.store.catalog_version().await.expect("a version"), before);
    let changed = world.store.change(change(&world, 1)).await.expect("it is mine");
    assert_eq!(changed.catalog.version(), before + 1, "the version moves on without definitions");
    assert_eq!(changed.applied.ops.len(), 1, "and what became of the rows is told");
    world.catalog = changed.catalog;
    assert_eq!(world.store.catalog_version().await.expect("a version"), before + 1);
}
