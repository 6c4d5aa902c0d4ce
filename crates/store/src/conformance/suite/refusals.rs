//! Every reason for which a row is refused, and what is told.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{Cells, World, ids, text};
use crate::writes::{Delete, UpsertCondition, UpsertRow};
use crate::{Reason, RowKey, WriteOp};
use model::{KeyIndex, LookupValue, TableId, Uuid, Value};

const TABLE: &str = "ship_crate";

/// Crates 1 to 3 with tracking numbers `T-1` to `T-3`, account 21 with number `A-1`.
async fn three<H: Harness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    let cells = |number: i32| [("ship_trackingno", text(&format!("T-{number}")))];
    let (one, two, three) = (cells(1), cells(2), cells(3));
    world.insert(TABLE, &[(id(1), &one), (id(2), &two), (id(3), &three)]).await;
    world.insert("account", &[(id(21), &[("accountnumber", text("A-1"))])]).await;
    (harness, world)
}

fn insert(world: &World, rows: &[(Uuid, Cells<'_>)]) -> WriteOp {
    WriteOp::Insert(world.inserts(TABLE, rows))
}

fn update(world: &World, rows: &[(Uuid, Cells<'_>)]) -> WriteOp {
    WriteOp::Update(world.updates(TABLE, rows))
}

fn upsert(world: &World, rows: Vec<UpsertRow>) -> WriteOp {
    WriteOp::Upsert(world.upserts(TABLE, rows))
}

fn by_tracking(world: &World, number: &str) -> RowKey {
    RowKey::Alternate(world.key(TABLE, "ship_Tracking", &[text(number)]))
}

/// An upsert by tracking number that brings the number for a new row.
fn upsert_tracking(world: &World, number: &str, new: u128) -> UpsertRow {
    let mut row = world.upsert_row(TABLE, Some(by_tracking(world, number)), id(new), &[]);
    row.insert_cells = world.cells(TABLE, &[("ship_trackingno", text(number))]);
    row
}

fn duplicate_key(place: u16) -> Reason {
    Reason::DuplicateKey { key: KeyIndex(place) }
}

pub async fn a_lookup_to_no_row_is_refused<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let (account, contact) = (world.table("account").id, world.table("contact").id);
    let holder = world.column(TABLE, "ship_holder");
    let parent = world.column(TABLE, "ship_parent");
    let missing = |column, table, number| Reason::LookupMissing { column, table, id: id(number) };
    let to_account = |number| [("ship_holder", world.to("account", id(number)))];
    let (fine, lost) = (to_account(21), to_account(22));
    // The id is there, in another table.
    let wrong_table = [("ship_holder", world.to("contact", id(21)))];
    let no_table =
        [("ship_holder", Value::Lookup(LookupValue { table: TableId(4_000), id: id(21) }))];
    let both =
        [("ship_parent", world.to(TABLE, id(99))), ("ship_holder", world.to("account", id(22)))];
    let want = [
        (1, missing(holder, account, 22)),
        (2, missing(holder, contact, 21)),
        (3, missing(holder, TableId(4_000), 21)),
        (4, missing(holder.min(parent), account, 22)),
    ];
    let cells: [Cells<'_>; 5] = [&fine, &lost, &wrong_table, &no_table, &both];
    let new: Vec<_> = ids(100, 5).into_iter().zip(cells).collect();
    world.check_refused(insert(&world, &new), &want).await;
    let rows = new.iter().map(|(id, cells)| world.upsert_row(TABLE, None, *id, cells)).collect();
    world.check_refused(upsert(&world, rows), &want).await;
    let old = [(id(1), &fine[..]), (id(3), &lost[..]), (id(2), &wrong_table[..])];
    world
        .check_refused(
            update(&world, &old),
            &[(1, missing(holder, account, 22)), (2, missing(holder, contact, 21))],
        )
        .await;
    // A row that is changed by this operation, but not made, is no help; a constant counts, too.
    let mut op = world.inserts(TABLE, &[(id(100), &[]), (id(101), &fine)]);
    op.constants = world.cells(TABLE, &lost);
    world.check_refused(WriteOp::Insert(op), &[(0, missing(holder, account, 22))]).await;
}

pub async fn lookups_that_the_caller_has_checked_are_not_checked_again<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let nobody = world.to("systemuser", id(404));
    let cells = [
        ("createdby", nobody.clone()),
        ("modifiedby", nobody.clone()),
        ("ownerid", nobody.clone()),
    ];
    world.insert(TABLE, &[(id(1), &cells)]).await;
    assert_eq!(world.value(TABLE, id(1), "ownerid").await, nobody);
}

pub async fn a_bind_that_finds_nothing_is_refused<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let column = world.column(TABLE, "ship_holder");
    let lost = |number: &str| {
        let key = world.key("account", "account_number", &[text(number)]);
        vec![world.bind((TABLE, "ship_holder"), "account", key)]
    };
    let reason = Reason::LookupKeyMissing { column, table: world.table("account").id };
    let mut op = world.inserts(TABLE, &[(id(7), &[]), (id(8), &[]), (id(9), &[])]);
    op.rows[0].binds = lost("A-7");
    op.rows[1].binds = lost("A-1");
    op.rows[2].binds = lost("A-8");
    let want = [(0, reason.clone()), (2, reason.clone())];
    world.check_refused(WriteOp::Insert(op), &want).await;
    let mut op = world.updates(TABLE, &[(id(1), &[]), (id(2), &[])]);
    op.rows[1].binds = lost("A-7");
    world.check_refused(WriteOp::Update(op), &[(1, reason.clone())]).await;
    let mut row = world.upsert_row(TABLE, None, id(9), &[]);
    row.binds = lost("A-7");
    world.check_refused(upsert(&world, vec![row]), &[(0, reason)]).await;
}

pub async fn a_missing_row_is_refused_by_id_and_by_key<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let rows = [(id(7), &[][..]), (id(1), &[]), (id(8), &[]), (id(2), &[])];
    let mut op = world.updates(TABLE, &rows);
    op.rows[2].key = by_tracking(&world, "T-8");
    op.rows[3].key = by_tracking(&world, "T-2");
    let want = [(0, Reason::Missing), (2, Reason::KeyMissing)];
    world.check_refused(WriteOp::Update(op.clone()), &want).await;
    let (_, rows) = world.refused(vec![WriteOp::Update(op)]).await;
    assert_eq!((rows[0].id, rows[1].id), (Some(id(7)), None));
    let mut op: Delete = world.deletes(TABLE, &[id(7), id(1), id(8), id(2)]);
    op.rows[2].key = by_tracking(&world, "T-8");
    op.rows[3].key = by_tracking(&world, "T-2");
    world.check_refused(WriteOp::Delete(op), &want).await;
}

pub async fn a_target_named_twice_in_an_upsert_is_refused<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let by_id =
        |number: u128| world.upsert_row(TABLE, Some(RowKey::Id(id(number))), id(number), &[]);
    let rows = vec![
        upsert_tracking(&world, "T-1", 50),
        by_id(2),
        by_id(9),
        by_id(1),
        upsert_tracking(&world, "T-7", 51),
        upsert_tracking(&world, "t-2", 52),
        upsert_tracking(&world, "t-7 ", 53),
        by_id(9),
        by_id(1),
        by_id(3),
    ];
    let twice = |first| Reason::DuplicateTarget { first };
    let want = [(3, twice(0)), (5, twice(1)), (6, twice(4)), (7, twice(2)), (8, twice(0))];
    world.check_refused(upsert(&world, rows), &want).await;
}

pub async fn conditions_of_upserts_are_kept<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let by_id =
        |number: u128| world.upsert_row(TABLE, Some(RowKey::Id(id(number))), id(number), &[]);
    let must_not = |mut row: UpsertRow| {
        row.condition = UpsertCondition::MustNotExist;
        row
    };
    let in_body = |mut row: UpsertRow| {
        row.condition = UpsertCondition::KeyInBody;
        row
    };
    let rows = vec![must_not(by_id(7)), must_not(by_id(1)), by_id(2)];
    world.check_refused(upsert(&world, rows), &[(1, Reason::Exists)]).await;
    let rows = vec![
        in_body(upsert_tracking(&world, "T-2", 50)),
        in_body(upsert_tracking(&world, "T-8", 51)),
        must_not(upsert_tracking(&world, "T-9", 52)),
        must_not(upsert_tracking(&world, "T-1", 53)),
    ];
    let want = [(1, Reason::KeyInBody), (3, Reason::Exists)];
    world.check_refused(upsert(&world, rows), &want).await;
    let rows = vec![
        must_not(by_id(7)),
        in_body(upsert_tracking(&world, "T-2", 50)),
        must_not(upsert_tracking(&world, "T-9", 52)),
    ];
    let applied = world.run(upsert(&world, rows)).await;
    let created: Vec<_> = applied.ops[0].iter().map(|row| (row.id, row.created)).collect();
    assert_eq!(created, [(id(7), true), (id(2), false), (id(52), true)]);
}

pub async fn another_version_is_refused<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let mut versions = Vec::new();
    for number in 1..=3 {
        versions.push(world.version(TABLE, id(number)).await);
    }
    let old = versions[1];
    world.update(TABLE, &[(id(2), &[])]).await;
    let actual = world.version(TABLE, id(2)).await;
    let want = [(1, Reason::VersionMismatch { actual })];
    let mut updates = world.updates(TABLE, &[(id(1), &[]), (id(2), &[]), (id(3), &[])]);
    updates.rows[0].expected_version = Some(versions[0]);
    updates.rows[1].expected_version = Some(old);
    world.check_refused(WriteOp::Update(updates.clone()), &want).await;
    let mut deletes = world.deletes(TABLE, &[id(1), id(2), id(3)]);
    deletes.rows[1].expected_version = Some(old);
    deletes.rows[2].expected_version = Some(versions[2]);
    world.check_refused(WriteOp::Delete(deletes.clone()), &want).await;
    let by_id =
        |number: u128| world.upsert_row(TABLE, Some(RowKey::Id(id(number))), id(number), &[]);
    let mut rows = vec![by_id(9), by_id(2), by_id(3)];
    // A row that does not exist yet has no version to differ.
    rows[0].expected_version = Some(1);
    rows[1].expected_version = Some(old);
    world.check_refused(upsert(&world, rows.clone()), &want).await;
    rows[1].expected_version = Some(actual);
    world.run(upsert(&world, rows)).await;
    updates.rows[1].expected_version = Some(world.version(TABLE, id(2)).await);
    updates.rows[2].expected_version = Some(world.version(TABLE, id(3)).await);
    world.run(WriteOp::Update(updates)).await;
    deletes.rows[1].expected_version = Some(world.version(TABLE, id(2)).await);
    deletes.rows[2].expected_version = Some(world.version(TABLE, id(3)).await);
    world.run(WriteOp::Delete(deletes)).await;
    assert_eq!(world.ids(TABLE).await, [id(9)]);
}

pub async fn a_primary_key_is_given_once<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let rows = [7, 2, 8, 7, 9, 7].map(|number| (id(number), &[][..]));
    let want = [(1, Reason::DuplicateId), (3, Reason::DuplicateId), (5, Reason::DuplicateId)];
    world.check_refused(insert(&world, &rows), &want).await;
    let (_, rejections) = world.refused(vec![insert(&world, &rows)]).await;
    assert_eq!(rejections[0].id, Some(id(2)));
    // The new id of an upsert without a key, or by another key, may be taken, too.
    let rows = vec![
        world.upsert_row(TABLE, None, id(1), &[]),
        upsert_tracking(&world, "T-7", 2),
        world.upsert_row(TABLE, None, id(9), &[]),
    ];
    let want = [(0, Reason::DuplicateId), (1, Reason::DuplicateId)];
    world.check_refused(upsert(&world, rows), &want).await;
}

pub async fn an_alternate_key_is_given_once<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let number = |number: &str| [("ship_trackingno", text(number))];
    let (one, seven, seven_again) = (number("T-1"), number("T-7"), number("T-7"));
    let rows = [(id(7), &one[..]), (id(8), &seven), (id(9), &seven_again), (id(10), &[])];
    let want = [(0, duplicate_key(0)), (2, duplicate_key(0))];
    world.check_refused(insert(&world, &rows), &want).await;
    let rows = [(id(1), &seven[..]), (id(2), &one[..]), (id(3), &seven_again[..])];
    // Crate 1 has given `T-1` up when crate 2 takes it; `T-7` is taken by then.
    world.check_refused(update(&world, &rows), &[(2, duplicate_key(0))]).await;
    let mut to_one = world.upsert_row(TABLE, Some(RowKey::Id(id(2))), id(2), &one);
    world.check_refused(upsert(&world, vec![to_one.clone()]), &[(0, duplicate_key(0))]).await;
    to_one.key = None;
    to_one.new_id = id(44);
    let rows = vec![upsert_tracking(&world, "T-5", 45), to_one];
    world.check_refused(upsert(&world, rows), &[(1, duplicate_key(0))]).await;
}

pub async fn every_failing_row_is_listed_in_order<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let holder = world.column(TABLE, "ship_holder");
    let account = world.table("account").id;
    let lost = [("ship_holder", world.to("account", id(404)))];
    let taken = [("ship_trackingno", text("t-3"))];
    let free = [("ship_trackingno", text("T-30"))];
    let rows = [
        (id(10), &free[..]),
        (id(11), &taken[..]),
        (id(12), &lost[..]),
        (id(13), &[]),
        (id(1), &[]),
        (id(14), &free[..]),
        (id(12), &[]),
        (id(11), &[]),
        (id(12), &[]),
    ];
    // Rows 11 and 12 fail the first time and are free the second time.
    let want = [
        (1, duplicate_key(0)),
        (2, Reason::LookupMissing { column: holder, table: account, id: id(404) }),
        (4, Reason::DuplicateId),
        (5, duplicate_key(0)),
        (8, Reason::DuplicateId),
    ];
    world.check_refused(insert(&world, &rows), &want).await;
}

pub async fn the_first_reason_of_a_row_is_told<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let parent = world.column(TABLE, "ship_parent");
    let holder = world.column(TABLE, "ship_holder");
    let crates = world.table(TABLE).id;
    let account = world.table("account").id;
    let key = world.key("account", "account_number", &[text("A-404")]);
    let bind = vec![world.bind((TABLE, "ship_holder"), "account", key)];
    let lost = [("ship_parent", world.to(TABLE, id(404))), ("ship_trackingno", text("T-1"))];
    let taken = [("ship_trackingno", text("T-1"))];
    let no_row = Reason::LookupMissing { column: parent, table: crates, id: id(404) };
    let no_key = Reason::LookupKeyMissing { column: holder, table: account };
    // A lookup by id before one by key, both before the row itself, that before its version.
    let rows = [(id(404), &lost[..]), (id(404), &taken[..]), (id(405), &taken[..])];
    let mut op = world.updates(TABLE, &rows);
    op.rows[0].binds = bind.clone();
    op.rows[1].binds = bind.clone();
    for row in &mut op.rows {
        row.expected_version = Some(-5);
    }
    op.rows[1].key = by_tracking(&world, "T-404");
    let want = [(0, no_row.clone()), (1, no_key.clone()), (2, Reason::Missing)];
    world.check_refused(WriteOp::Update(op), &want).await;
    // The primary key before alternate keys; the lowest of several alternate keys.
    let mut op = world.inserts(TABLE, &[(id(2), &taken), (id(50), &lost)]);
    op.rows[1].binds = bind.clone();
    world
        .check_refused(WriteOp::Insert(op), &[(0, Reason::DuplicateId), (1, no_row.clone())])
        .await;
    // In an upsert: twice the same target, then its condition, then its version, then its keys.
    let version = world.version(TABLE, id(2)).await;
    let row = |number: u128| {
        let mut row = world.upsert_row(TABLE, Some(RowKey::Id(id(number))), id(number), &taken);
        row.expected_version = Some(-5);
        row
    };
    let mut rows = vec![row(2), row(2), row(3), row(3)];
    rows[1].condition = UpsertCondition::MustNotExist;
    rows[2].condition = UpsertCondition::MustNotExist;
    rows[3].binds = bind;
    let want = [
        (0, Reason::VersionMismatch { actual: version }),
        (1, Reason::DuplicateTarget { first: 0 }),
        (2, Reason::Exists),
        (3, no_key),
    ];
    world.check_refused(upsert(&world, rows), &want).await;
}

pub async fn the_first_failing_operation_is_told<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let ops = vec![
        insert(&world, &[(id(10), &[])]),
        insert(&world, &[(id(11), &[]), (id(10), &[])]),
        insert(&world, &[(id(1), &[])]),
    ];
    let (op, rows) = world.refused(ops).await;
    assert_eq!(op, 1);
    let rows: Vec<_> = rows.into_iter().map(|row| (row.index, row.id, row.reason)).collect();
    assert_eq!(rows, [(1, Some(id(10)), Reason::DuplicateId)]);
}

pub async fn a_failure_at_row_999_leaves_nothing<H: Harness>() {
    let (_harness, world) = three::<H>().await;
    let mut numbers = ids(1_000, 1_000);
    let cells: Vec<_> = numbers.iter().map(|id| [("ship_label", text(&id.to_string()))]).collect();
    numbers[999] = id(2);
    let rows: Vec<_> = numbers.iter().zip(&cells).map(|(id, cells)| (*id, &cells[..])).collect();
    world.check_refused(insert(&world, &rows), &[(999, Reason::DuplicateId)]).await;
    world.insert(TABLE, &rows[..999]).await;
    let mut updates = world.updates(TABLE, &rows);
    updates.rows[999].cells = world.cells(TABLE, &[("ship_trackingno", text("T-1"))]);
    world.check_refused(WriteOp::Update(updates), &[(999, duplicate_key(0))]).await;
    let mut missing: Vec<Uuid> = numbers[..999].to_vec();
    missing.push(id(5_000));
    let deletes = WriteOp::Delete(world.deletes(TABLE, &missing));
    world.check_refused(deletes, &[(999, Reason::Missing)]).await;
    // A whole operation before the failing one goes with it.
    let ops = vec![
        WriteOp::Delete(world.deletes(TABLE, &numbers[..999])),
        insert(&world, &[(id(1), &[])]),
    ];
    assert_eq!(world.refused(ops).await.0, 1);
}
