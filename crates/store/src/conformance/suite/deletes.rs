//! Deletes and what they do to the rows that point to the deleted ones.

use crate::conformance::Harness;
use crate::conformance::fixture::id;
use crate::conformance::world::{Cells, NOW, USER, World, text};
use crate::{Reason, RowKey, WriteOp};
use model::{Uuid, Value};

const CRATES: &str = "ship_crate";
const LINES: &str = "ship_line";

/// Crates 1 to 4; 2 hangs on 1, 3 on 2; 4 stands alone.
async fn crates<H: Harness>() -> (H, World) {
    let (harness, world) = World::open::<H>().await;
    let parent = |number| [("ship_parent", world.to(CRATES, id(number)))];
    let (one, two) = (parent(1), parent(2));
    let rows = [(id(1), &[][..]), (id(2), &one), (id(3), &two), (id(4), &[])];
    world.insert(CRATES, &rows).await;
    (harness, world)
}

/// A line that points to a crate by this column.
async fn line(world: &World, number: u128, column: &str, to: u128) {
    world.insert(LINES, &[(id(number), &[(column, world.to(CRATES, id(to)))])]).await;
}

fn delete(world: &World, numbers: &[u128]) -> WriteOp {
    let ids: Vec<Uuid> = numbers.iter().copied().map(id).collect();
    WriteOp::Delete(world.deletes(CRATES, &ids))
}

async fn check(world: &World, table: &str, numbers: &[u128]) {
    let want: Vec<Uuid> = numbers.iter().copied().map(id).collect();
    assert_eq!(world.ids(table).await, want);
}

fn held() -> Reason {
    Reason::Referenced { relationship: "crate_hold".into() }
}

pub async fn a_delete_removes_the_row<H: Harness>() {
    let (_harness, world) = crates::<H>().await;
    let applied = world.run(delete(&world, &[4, 3])).await;
    let rows: Vec<_> = applied.ops[0].iter().map(|row| (row.id, row.created)).collect();
    assert_eq!(rows, [(id(4), false), (id(3), false)]);
    check(&world, CRATES, &[1, 2]).await;
    world.check_refused(delete(&world, &[4]), &[(0, Reason::Missing)]).await;
}

pub async fn a_delete_names_rows_by_key_too<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    let number = [("accountnumber", text("A-1"))];
    world.insert("account", &[(id(1), &number), (id(2), &[])]).await;
    let mut op = world.deletes("account", &[id(0)]);
    op.rows[0].key = RowKey::Alternate(world.key("account", "account_number", &[text("a-1")]));
    assert_eq!(world.run(WriteOp::Delete(op)).await.ops[0][0].id, id(1));
    check(&world, "account", &[2]).await;
}

pub async fn cascade_deletes_what_hangs_on_the_row<H: Harness>() {
    let (_harness, world) = crates::<H>().await;
    line(&world, 10, "ship_cascade", 3).await;
    line(&world, 11, "ship_cascade", 4).await;
    line(&world, 12, "ship_link", 3).await;
    let applied = world.run(delete(&world, &[1])).await;
    assert_eq!(applied.ops[0].len(), 1, "only the targets are told");
    check(&world, CRATES, &[4]).await;
    check(&world, LINES, &[11, 12]).await;
    assert!(world.value(LINES, id(12), "ship_link").await.is_null());
    // A row that hangs on the deleted one in two ways goes with it.
    let twice = [("ship_cascade", world.to(CRATES, id(4))), ("ship_link", world.to(CRATES, id(4)))];
    world.insert(LINES, &[(id(13), &twice)]).await;
    // A circle ends.
    let to_itself = [("ship_parent", world.to(CRATES, id(4)))];
    world.update(CRATES, &[(id(4), &to_itself)]).await;
    world.run(delete(&world, &[4])).await;
    check(&world, CRATES, &[]).await;
    check(&world, LINES, &[12]).await;
}

pub async fn remove_link_empties_the_lookup_and_marks_the_row<H: Harness>() {
    let (_harness, world) = crates::<H>().await;
    let both: Cells<'_> = &[
        ("ship_link", world.to(CRATES, id(4))),
        ("ship_loose", world.to(CRATES, id(1))),
        ("name", text("kept")),
    ];
    world.insert(LINES, &[(id(10), both)]).await;
    line(&world, 11, "ship_link", 1).await;
    let version = world.version(LINES, id(10)).await;
    let untouched = world.row(LINES, id(11)).await;
    world.run(delete(&world, &[4])).await;
    let want = [
        ("ship_link", Value::Null),
        ("ship_loose", world.to(CRATES, id(1))),
        ("name", text("kept")),
        ("modifiedon", Value::DateTime(NOW)),
        ("modifiedby", world.to("systemuser", USER)),
    ];
    for (column, value) in want {
        assert_eq!(world.value(LINES, id(10), column).await, value, "{column}");
    }
    assert!(world.version(LINES, id(10)).await > version);
    assert_eq!(world.row(LINES, id(11)).await, untouched);
}

pub async fn restrict_refuses_while_a_row_points_there<H: Harness>() {
    let (_harness, world) = crates::<H>().await;
    line(&world, 10, "ship_hold", 4).await;
    line(&world, 11, "ship_link", 3).await;
    world.check_refused(delete(&world, &[3, 4]), &[(1, held())]).await;
    world.check_refused(delete(&world, &[4, 9]), &[(0, held()), (1, Reason::Missing)]).await;
    world.run(WriteOp::Delete(world.deletes(LINES, &[id(10)]))).await;
    world.run(delete(&world, &[3, 4])).await;
    check(&world, CRATES, &[1, 2]).await;
}

pub async fn restrict_deep_in_a_cascade_names_the_target<H: Harness>() {
    let (_harness, world) = crates::<H>().await;
    line(&world, 10, "ship_hold", 3).await;
    world.check_refused(delete(&world, &[4, 1]), &[(1, held())]).await;
    world.check_refused(delete(&world, &[2, 4, 1]), &[(0, held()), (2, held())]).await;
    // A holder that goes with the same delete does not hold.
    world.update(LINES, &[(id(10), &[("ship_cascade", world.to(CRATES, id(2)))])]).await;
    world.run(delete(&world, &[1])).await;
    check(&world, CRATES, &[4]).await;
    check(&world, LINES, &[]).await;
}

pub async fn no_cascade_leaves_the_value<H: Harness>() {
    let (_harness, world) = crates::<H>().await;
    line(&world, 10, "ship_loose", 4).await;
    let before = world.row(LINES, id(10)).await;
    world.run(delete(&world, &[4])).await;
    assert_eq!(world.row(LINES, id(10)).await, before);
    // The row can be changed; only what is written is checked.
    world.update(LINES, &[(id(10), &[("name", text("new"))])]).await;
    let again = [("ship_loose", world.to(CRATES, id(4)))];
    let op = WriteOp::Update(world.updates(LINES, &[(id(10), &again)]));
    let reason = Reason::LookupMissing {
        column: world.column(LINES, "ship_loose"),
        table: world.table(CRATES).id,
        id: id(4),
    };
    world.check_refused(op, &[(0, reason)]).await;
}

pub async fn deleted_rows_do_not_hold_each_other<H: Harness>() {
    let (_harness, world) = crates::<H>().await;
    line(&world, 10, "ship_hold", 3).await;
    line(&world, 11, "ship_cascade", 4).await;
    let hold = [("ship_hold", world.to(CRATES, id(4)))];
    world.update(LINES, &[(id(11), &hold)]).await;
    // Line 11 goes with crate 4, which it holds. A parent and its child are targets, child last.
    world.run(delete(&world, &[4])).await;
    world.run(WriteOp::Delete(world.deletes(LINES, &[id(10)]))).await;
    let applied = world.run(delete(&world, &[1, 3, 2])).await;
    let told: Vec<_> = applied.ops[0].iter().map(|row| row.id).collect();
    assert_eq!(told, [id(1), id(3), id(2)]);
    check(&world, CRATES, &[]).await;
}

pub async fn a_lookup_to_another_table_is_left_alone<H: Harness>() {
    let (_harness, world) = World::open::<H>().await;
    // An account and a contact with the same id.
    world.insert("account", &[(id(1), &[])]).await;
    world.insert("contact", &[(id(1), &[])]).await;
    let to_account = [("ship_holder", world.to("account", id(1)))];
    let to_contact = [("ship_holder", world.to("contact", id(1)))];
    world.insert(CRATES, &[(id(5), &to_account), (id(6), &to_contact)]).await;
    world.run(WriteOp::Delete(world.deletes("account", &[id(1)]))).await;
    assert!(world.value(CRATES, id(5), "ship_holder").await.is_null());
    assert_eq!(world.value(CRATES, id(6), "ship_holder").await, world.to("contact", id(1)));
}
