//! A store with the suite's tables, and the only places where the suite touches the store's API.
//!
//! Not here: what is tested. Invariant: whatever a store refuses, `refused` also checks that nothing
//! of it was kept.

use super::Harness;
use super::fixture::{catalog_ops, id};
use crate::{
    Applied, Error, Reason, Rejection, Result, RowKey, SchemaChange, SchemaOp, StandardStore,
    WriteOp, WriteSet, writes,
};
use model::{
    Bind, Catalog, Cell, ColumnIndex, KeyIndex, KeyValue, LookupValue, Table, Timestamp, Uuid,
    Value,
};
use query::{BoundQuery, ColumnRef, Filter, Order, Page, Paging};
use std::collections::BTreeMap;
use std::sync::Arc;

/// When everything in the suite happens, unless a test says otherwise.
pub const NOW: Timestamp = Timestamp(1_700_000_000);

/// The user who does it.
pub const USER: Uuid = Uuid::from_u128(0xA11CE);

/// Named values of one row, to be bound to a table.
pub type Cells<'a> = &'a [(&'a str, Value)];

/// A store and the definitions that the test is bound to.
pub struct World {
    /// The store.
    pub store: Arc<dyn StandardStore>,
    /// The definitions as the test knows them.
    pub catalog: Arc<Catalog>,
}

/// Everything that a store holds: rows by id, by table name; versions apart.
pub type Contents = BTreeMap<Box<str>, BTreeMap<Uuid, Vec<Value>>>;

impl World {
    /// A fresh store of this engine with the suite's tables and one user.
    pub async fn open<H: Harness>() -> (H, Self) {
        let harness = H::open().await;
        let world = Self::over(harness.store()).await;
        (harness, world)
    }

    /// The suite's tables and one user in an empty store.
    pub async fn over(store: Arc<dyn StandardStore>) -> Self {
        let catalog = store.catalog().await.expect("an empty store has a catalog");
        let mut world = Self { store, catalog };
        world.change(catalog_ops()).await.expect("the suite's tables can be made");
        world.insert("systemuser", &[(USER, &[("name", text("Alice"))])]).await;
        world
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Arc<Table> {
        self.catalog.table(name).unwrap_or_else(|| panic!("no table `{name}`")).clone()
    }

    /// The place of a column.
    pub fn column(&self, table: &str, name: &str) -> ColumnIndex {
        let found = self.table(table).index_of(name);
        found.unwrap_or_else(|| panic!("`{table}` has no column `{name}`"))
    }

    /// A lookup to a row.
    pub fn to(&self, table: &str, id: Uuid) -> Value {
        Value::Lookup(LookupValue { table: self.table(table).id, id })
    }

    /// Cells by column name.
    pub fn cells(&self, table: &str, cells: Cells<'_>) -> Vec<Cell> {
        let cell = |(name, value): &(&str, Value)| Cell {
            column: self.column(table, name),
            value: value.clone(),
        };
        cells.iter().map(cell).collect()
    }

    /// An alternate key by its schema name.
    pub fn key(&self, table: &str, key: &str, values: &[Value]) -> KeyValue {
        let place = self.table(table).keys.iter().position(|found| &*found.schema_name == key);
        let place = place.unwrap_or_else(|| panic!("`{table}` has no key `{key}`"));
        KeyValue {
            key: KeyIndex(u16::try_from(place).expect("at most 10 keys")),
            values: values.into(),
        }
    }

    /// A lookup by alternate key.
    pub fn bind(&self, (table, column): (&str, &str), to: &str, key: KeyValue) -> Bind {
        Bind { column: self.column(table, column), table: self.table(to), key }
    }

    /// New rows.
    pub fn inserts(&self, table: &str, rows: &[(Uuid, Cells<'_>)]) -> writes::Insert {
        let row = |(id, cells): &(Uuid, Cells<'_>)| writes::InsertRow {
            id: *id,
            cells: self.cells(table, cells),
            binds: Vec::new(),
        };
        writes::Insert {
            table: self.table(table),
            constants: Vec::new(),
            rows: rows.iter().map(row).collect(),
        }
    }

    /// Changes of rows by id.
    pub fn updates(&self, table: &str, rows: &[(Uuid, Cells<'_>)]) -> writes::Update {
        let row = |(id, cells): &(Uuid, Cells<'_>)| writes::UpdateRow {
            key: RowKey::Id(*id),
            cells: self.cells(table, cells),
            binds: Vec::new(),
            expected_version: None,
        };
        writes::Update {
            table: self.table(table),
            constants: Vec::new(),
            rows: rows.iter().map(row).collect(),
        }
    }

    /// Rows to make or change.
    pub fn upserts(&self, table: &str, rows: Vec<writes::UpsertRow>) -> writes::Upsert {
        writes::Upsert {
            table: self.table(table),
            insert_constants: Vec::new(),
            update_constants: Vec::new(),
            rows,
        }
    }

    /// One row to make or change; `new_id` is the key's id when that is an id.
    pub fn upsert_row(
        &self,
        table: &str,
        key: Option<RowKey>,
        new_id: Uuid,
        cells: Cells<'_>,
    ) -> writes::UpsertRow {
        writes::UpsertRow {
            new_id: match &key {
                Some(RowKey::Id(id)) => *id,
                _ => new_id,
            },
            key,
            cells: self.cells(table, cells),
            insert_cells: Vec::new(),
            binds: Vec::new(),
            condition: writes::UpsertCondition::Any,
            expected_version: None,
        }
    }

    /// Deletes of rows by id.
    pub fn deletes(&self, table: &str, ids: &[Uuid]) -> writes::Delete {
        let row = |id: &Uuid| writes::DeleteRow { key: RowKey::Id(*id), expected_version: None };
        writes::Delete { table: self.table(table), rows: ids.iter().map(row).collect() }
    }

    /// Runs operations.
    pub async fn apply(&self, ops: Vec<WriteOp>) -> Result<Applied> {
        let catalog = self.catalog.clone();
        self.store.apply(WriteSet { catalog, now: NOW, user: USER, ops, checks: Vec::new() }).await
    }

    /// Runs one operation that must succeed.
    pub async fn run(&self, op: WriteOp) -> Applied {
        self.apply(vec![op]).await.expect("the operation is fine")
    }

    /// Inserts rows that are fine.
    pub async fn insert(&self, table: &str, rows: &[(Uuid, Cells<'_>)]) {
        self.run(WriteOp::Insert(self.inserts(table, rows))).await;
    }

    /// Updates rows that are fine.
    pub async fn update(&self, table: &str, rows: &[(Uuid, Cells<'_>)]) {
        self.run(WriteOp::Update(self.updates(table, rows))).await;
    }

    /// Runs operations that must be refused, and checks that nothing of them was kept.
    pub async fn refused(&self, ops: Vec<WriteOp>) -> (usize, Vec<Rejection>) {
        let before = self.contents_with_versions().await;
        let refused = match self.apply(ops).await {
            Err(Error::Rejected { op, rows }) => (op, rows),
            other => panic!("should be rejected, is {other:?}"),
        };
        assert_eq!(self.contents_with_versions().await, before, "a refused call leaves nothing");
        refused
    }

    /// Runs one operation that must be refused for these rows.
    pub async fn check_refused(&self, op: WriteOp, want: &[(usize, Reason)]) {
        let (_, rows) = self.refused(vec![op]).await;
        let got: Vec<_> = rows.into_iter().map(|row| (row.index, row.reason)).collect();
        assert_eq!(got, want);
    }

    /// Changes definitions.
    pub async fn change(&mut self, ops: Vec<SchemaOp>) -> Result<()> {
        self.change_with(ops, Vec::new()).await
    }

    /// Changes definitions and writes rows with them.
    pub async fn change_with(&mut self, ops: Vec<SchemaOp>, rows: Vec<WriteOp>) -> Result<()> {
        let catalog = self.catalog.clone();
        let checks = Vec::new();
        let change = SchemaChange { catalog, ops, rows, checks, now: NOW, user: USER };
        self.catalog = self.store.change(change).await?.catalog;
        Ok(())
    }

    /// A query over a table: all columns, all rows, by primary key.
    pub fn query(&self, table: &str) -> BoundQuery {
        let table = self.table(table);
        let order = vec![Order { column: at(table.primary_key), descending: false }];
        BoundQuery {
            catalog: self.catalog.clone(),
            columns: table.indexed_columns().map(|(index, _)| at(index)).collect(),
            table,
            joins: Vec::new(),
            filter: None,
            order,
            paging: Paging { size: 1_000_000, after: None, skip: 0, look_ahead: false },
            count_max: None,
            shape: query::Shape::default(),
        }
    }

    /// Reads a page that must succeed.
    pub async fn page(&self, query: &BoundQuery) -> Page {
        self.store.read(query).await.expect("the query is fine")
    }

    /// All rows of a table in order of their ids, each with all columns.
    pub async fn rows(&self, table: &str) -> Vec<Vec<Value>> {
        let query = self.query(table);
        rows_of(&query, &self.page(&query).await)
    }

    /// One value of a row that must exist.
    pub async fn value(&self, table: &str, id: Uuid, column: &str) -> Value {
        self.row(table, id).await.expect("the row exists")
            [usize::from(self.column(table, column).0)]
        .clone()
    }

    /// One row.
    pub async fn row(&self, table: &str, id: Uuid) -> Option<Vec<Value>> {
        let mut query = self.query(table);
        query.filter = Some(Filter::Compare {
            column: at(query.table.primary_key),
            compare: query::Compare::Equal,
            value: Value::Guid(id),
        });
        let page = self.page(&query).await;
        assert!(page.rows <= 1, "an id names one row");
        rows_of(&query, &page).pop()
    }

    /// The version of a row that must exist.
    pub async fn version(&self, table: &str, id: Uuid) -> i64 {
        match self.value(table, id, "versionnumber").await {
            Value::BigInt(version) => version,
            other => panic!("a version is a 64-bit number, not {other:?}"),
        }
    }

    /// The ids of a table's rows, ascending.
    pub async fn ids(&self, table: &str) -> Vec<Uuid> {
        let rows = self.rows(table).await;
        rows.iter().filter_map(|row| row[0].as_id()).collect()
    }

    /// Everything that the store holds.
    pub async fn contents_with_versions(&self) -> Contents {
        let mut contents = Contents::new();
        for table in self.catalog.tables() {
            let rows = self.rows(&table.logical_name).await;
            let rows = rows.into_iter().map(|row| (row[0].as_id().expect("an id"), row));
            contents.insert(table.logical_name.clone(), rows.collect());
        }
        contents
    }

    /// Everything that the store holds but versions: what two stores can agree on.
    pub async fn contents(&self) -> Contents {
        let mut contents = self.contents_with_versions().await;
        for table in self.catalog.tables() {
            let version = usize::from(table.version_column().0);
            for row in
                contents.get_mut(&table.logical_name).into_iter().flat_map(BTreeMap::values_mut)
            {
                row[version] = Value::Null;
            }
        }
        contents
    }
}

/// A column of the query's table.
pub fn at(column: ColumnIndex) -> ColumnRef {
    ColumnRef::root(column)
}

/// A page's rows, each its own.
pub fn rows_of(query: &BoundQuery, page: &Page) -> Vec<Vec<Value>> {
    assert_eq!(page.cells.len(), page.rows * query.width(), "one cell per row and column");
    page.rows(query.width()).map(<[Value]>::to_vec).collect()
}

/// A text value; the empty text is null.
pub fn text(text: &str) -> Value {
    Value::text(text)
}

/// The ids from `first`, that many.
pub fn ids(first: u128, count: u128) -> Vec<Uuid> {
    (first..first + count).map(id).collect()
}
