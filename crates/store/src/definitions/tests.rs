//! What a schema change may do to definitions.

use super::*;
use crate::conformance::fixture::{
    self, TableBuilder, catalog_ops, key, next_column, relationship,
};

fn check(ops: Vec<SchemaOp>, want: Result<(), &str>) {
    let catalog = apply_ops(&Catalog::default(), &catalog_ops()).unwrap();
    let got = apply_ops(&catalog, &ops).map(|after| assert_eq!(after.version(), 2));
    let got = got.map_err(|err| match err {
        Error::Schema { why } => why,
        other => panic!("should be a schema error, is {other:?}"),
    });
    assert_eq!(got.as_ref().map_err(String::as_str).copied(), want);
}

fn crates() -> Arc<Table> {
    let catalog = apply_ops(&Catalog::default(), &catalog_ops()).unwrap();
    catalog.table("ship_crate").unwrap().clone()
}

fn add_key(id: u32, name: &str, columns: &[&str]) -> SchemaOp {
    let table = crates();
    let mut key = key(table.definition(), name, columns);
    key.id = id;
    SchemaOp::AddKey { table: table.id, key }
}

fn add_relationship(name: &str, column: (&str, &str), to: &str, delete: DeleteAction) -> SchemaOp {
    SchemaOp::AddRelationship(relationship(name, column, to, delete))
}

#[test]
fn later_operations_see_earlier_ones() {
    let table = TableBuilder::new(70, "x_box")
        .column("x_crate", fixture::lookup("x_crate", &["ship_crate"]));
    let definition = table.build();
    let column = next_column(&definition, "x_code", fixture::text(10));
    let mut wider = definition.clone();
    wider.columns.push(column.clone());
    check(
        vec![
            SchemaOp::CreateTable(Box::new(definition)),
            SchemaOp::AddColumn { table: TableId(70), column: Box::new(column) },
            SchemaOp::AddKey { table: TableId(70), key: key(&wider, "x_Key", &["x_code"]) },
            add_relationship("x_r", ("x_box", "x_crate"), "ship_crate", DeleteAction::Cascade),
        ],
        Ok(()),
    );
    check(Vec::new(), Ok(()));
}

#[test]
fn taken_names_and_numbers_are_refused() {
    check(vec![TableBuilder::new(5, "x_box").create()], Err("number 5 of table `x_box` is taken"));
    check(
        vec![TableBuilder::new(70, "team").create()],
        Err("metadata id of table `team` is taken"),
    );
    let mut box_table = TableBuilder::new(70, "x_box").build();
    box_table.entity_set_name = "teams".into();
    check(vec![SchemaOp::CreateTable(Box::new(box_table))], Err("entity set `teams` exists"));
    let table = crates();
    let add = |name: &str| {
        let mut column = next_column(table.definition(), "x_new", fixture::integer());
        column.logical_name = name.into();
        column
    };
    let column = Box::new(add("ship_label"));
    check(
        vec![SchemaOp::AddColumn { table: table.id, column }],
        Err("column `ship_crate.ship_label` exists"),
    );
    let mut column = Box::new(add("x_new"));
    column.id = table.columns[3].id;
    check(
        vec![SchemaOp::AddColumn { table: table.id, column }],
        Err("number 4 of column `ship_crate.x_new` is taken"),
    );
    let column = Box::new(add("x_new"));
    check(vec![SchemaOp::AddColumn { table: TableId(99), column }], Err("no table has number 99"));
    check(
        vec![add_key(3, "ship_Tracking", &["ship_label"])],
        Err("alternate key `ship_crate.ship_tracking` exists"),
    );
    check(
        vec![add_key(2, "x_Key", &["ship_label"])],
        Err("number 2 of alternate key `ship_crate.x_key` is taken"),
    );
    check(
        vec![add_key(3, "x_Key", &["ship_count", "ship_holder"])],
        Err("alternate key `ship_crate.x_key` has the columns of another key"),
    );
    check(
        vec![add_relationship(
            "CRATE_hold",
            ("ship_line", "ship_link"),
            "ship_crate",
            DeleteAction::Restrict,
        )],
        Err("relationship `CRATE_hold` exists"),
    );
}

#[test]
fn what_cannot_work_is_refused() {
    let refused = "alternate key `ship_crate.x_key` does not name 1 to 16 different stored columns";
    check(vec![add_key(3, "x_Key", &[])], Err(refused));
    check(vec![add_key(3, "x_Key", &["ship_title"])], Err(refused));
    check(vec![add_key(3, "x_Key", &["ship_label", "ship_label"])], Err(refused));
    let mut table = TableBuilder::new(70, "x_box").build();
    table.columns.pop();
    check(
        vec![SchemaOp::CreateTable(Box::new(table))],
        Err("table `x_box` has no stored 64-bit column `versionnumber`"),
    );
    let mut table = TableBuilder::new(70, "x_box").build();
    table.primary_key = ColumnIndex(1);
    check(
        vec![SchemaOp::CreateTable(Box::new(table))],
        Err("table `x_box` has no stored guid as primary key"),
    );
    let itself = TableBuilder::new(70, "x_box")
        .computed("x_copy", fixture::integer(), |_| Computed::CopyOf { column: ColumnIndex(2) });
    check(
        vec![itself.create()],
        Err("column `x_box.x_copy` is computed from a column that is not there before it"),
    );
    let wide = (0..1_000).fold(TableBuilder::new(70, "x_box"), |table, number| {
        table.column(&format!("x_{number}"), fixture::integer())
    });
    check(vec![wide.create()], Err("table `x_box` has more than 1000 columns"));
    let keys = (3..12).map(|id| {
        let columns = [
            "ship_label",
            "ship_note",
            "ship_size",
            "ship_weight",
            "ship_dueon",
            "ship_sentat",
            "ship_total",
            "ship_serial",
            "ship_price",
        ];
        add_key(id, &format!("x_{id}"), &[columns[usize::try_from(id).unwrap() - 3]])
    });
    check(keys.collect(), Err("table `ship_crate` has more than 10 alternate keys"));
}

#[test]
fn relationships_need_a_lookup_that_their_cascade_can_act_on() {
    let new = |column: &str, to: &str, delete| {
        vec![add_relationship("x_r", ("ship_crate", column), to, delete)]
    };
    let cascade = DeleteAction::Cascade;
    check(new("ship_parent", "nothing", cascade), Err("relationship `x_r`: no table `nothing`"));
    for (column, to) in
        [("ship_label", "account"), ("ship_holder", "team"), ("owninguser", "systemuser")]
    {
        let why = format!(
            "relationship `x_r`: `ship_crate.{column}` is no lookup to `{to}` that its cascade can act on"
        );
        check(new(column, to, cascade), Err(&why));
    }
    check(new("owninguser", "systemuser", DeleteAction::NoCascade), Ok(()));
    let mut link = relationship("x_r", ("ship_line", "ship_link"), "ship_crate", cascade);
    link.referenced_column = "ship_label".into();
    check(
        vec![SchemaOp::AddRelationship(link)],
        Err("relationship `x_r`: `ship_label` is not the primary key of `ship_crate`"),
    );
}
