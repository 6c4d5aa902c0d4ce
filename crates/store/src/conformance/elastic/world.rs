//! A store of elastic tables with the suite's definitions, and the only places where the suite touches
//! the store's API.
//!
//! Not here: what is tested.

use super::ElasticHarness;
use crate::apply_ops;
use crate::conformance::fixture::{
    TableBuilder, boolean, decimal, double, instant, integer, lookup, memo, options, text as short,
};
use crate::elastic::{
    ElasticAction, ElasticKey, ElasticOutcome, ElasticReason, ElasticStore, ElasticWrite,
};
use crate::{Result, SchemaOp};
use model::{
    Catalog, Cell, ColumnIndex, ColumnKind, Computed, DateTimeBehavior, Table, TableKind,
    Timestamp, Uuid, Value,
};
use query::{BoundQuery, ColumnRef, Compare, Filter, Order, Page, Paging};
use std::sync::Arc;

/// When everything in the suite happens, unless a test says otherwise.
pub const NOW: Timestamp = Timestamp(1_700_000_000);

/// Named values of one row.
pub type Cells<'a> = &'a [(&'a str, Value)];

/// A store and the definitions that the test is bound to.
pub struct World {
    /// The store.
    pub store: Arc<dyn ElasticStore>,
    /// The definitions.
    pub catalog: Arc<Catalog>,
    /// What the clock says.
    pub now: Timestamp,
}

/// What became of a write, without its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// It made the row.
    Made,
    /// It changed or deleted the row.
    Changed,
    /// It was refused.
    Refused(ElasticReason),
}

/// The elastic tables of the suite: `ship_ping` with every kind of column, and `ship_pong` like it.
fn tables() -> Vec<SchemaOp> {
    let elastic = |number, name: &str| {
        let mut table = TableBuilder::new(number, name)
            .column("PartitionId", short(1_024))
            .column("TTLInSeconds", integer())
            .column("ship_Label", short(200))
            .primary_name("ship_label")
            .column("ship_Note", memo())
            .column("ship_Payload", ColumnKind::Memo { max_length: 4_194_304, json: true })
            .column("ship_Count", integer())
            .column("ship_Total", ColumnKind::BigInt)
            .column("ship_Ratio", decimal(10, 900_000_000))
            .column("ship_Length", double())
            .column("ship_Fragile", boolean())
            .column("ship_SentAt", instant(DateTimeBehavior::UserLocal))
            .column("ship_DueOn", instant(DateTimeBehavior::DateOnly))
            .column("ship_Size", ColumnKind::Choice { options: options(&[1, 2]), default: None })
            .column("ship_Tags", ColumnKind::MultiChoice { options: options(&[1, 2, 3]) })
            .column("ship_Serial", ColumnKind::Guid)
            .column("ship_Parent", lookup("ship_parent", &["ship_ping"]))
            .column("ownerid", lookup("ownerid", &["systemuser"]))
            .computed("owninguser", lookup("owninguser", &["systemuser"]), |of| Computed::OwnerIn {
                owner: of("ownerid"),
                table: "systemuser".into(),
            })
            .build();
        table.kind = TableKind::Elastic;
        SchemaOp::CreateTable(Box::new(table))
    };
    let users = TableBuilder::new(1, "systemuser").column("name", short(160)).primary_name("name");
    vec![users.create(), elastic(21, "ship_ping"), elastic(22, "ship_pong")]
}

impl World {
    /// A fresh store of this engine.
    pub async fn open<H: ElasticHarness>() -> (H, Self) {
        let harness = H::open().await;
        let world = Self::over(harness.store());
        (harness, world)
    }

    /// The suite's definitions over a store.
    pub fn over(store: Arc<dyn ElasticStore>) -> Self {
        let catalog = apply_ops(&Catalog::default(), &tables()).expect("the tables can be made");
        Self { store, catalog: Arc::new(catalog), now: NOW }
    }

    /// The same store so many seconds later.
    #[must_use]
    pub fn later(&self, seconds: i64) -> Self {
        Self {
            store: self.store.clone(),
            catalog: self.catalog.clone(),
            now: Timestamp(self.now.0 + seconds),
        }
    }

    /// `ship_ping`.
    pub fn table(&self) -> Arc<Table> {
        self.table_named("ship_ping")
    }

    /// A table.
    pub fn table_named(&self, name: &str) -> Arc<Table> {
        self.catalog.table(name).expect("the suite's tables are there").clone()
    }

    /// The place of a column.
    pub fn column(&self, name: &str) -> ColumnIndex {
        let found = self.table().index_of(name);
        found.unwrap_or_else(|| panic!("`ship_ping` has no column `{name}`"))
    }

    /// Cells by column name.
    pub fn cells(&self, cells: Cells<'_>) -> Vec<Cell> {
        let cell = |(name, value): &(&str, Value)| Cell {
            column: self.column(name),
            value: value.clone(),
        };
        cells.iter().map(cell).collect()
    }

    /// The cells of a new row: these, and `partitionid` where the row has one.
    fn whole(&self, partition: Option<&str>, cells: Cells<'_>) -> Vec<Cell> {
        let mut cells = self.cells(cells);
        if let Some(partition) = partition {
            cells.push(Cell { column: self.column("partitionid"), value: text(partition) });
        }
        cells
    }

    /// A new row.
    pub fn insert(&self, (id, partition): Place<'_>, cells: Cells<'_>) -> ElasticWrite {
        write((id, partition), ElasticAction::Insert { cells: self.whole(partition, cells) })
    }

    /// A change of a row.
    pub fn update(&self, place: Place<'_>, cells: Cells<'_>) -> ElasticWrite {
        write(place, ElasticAction::Update { cells: self.cells(cells) })
    }

    /// A row to make or replace; `kept` are columns whose old value stays.
    pub fn replace(
        &self,
        (id, partition): Place<'_>,
        cells: Cells<'_>,
        kept: &[&str],
    ) -> ElasticWrite {
        let kept = kept.iter().map(|name| self.column(name)).collect();
        let cells = self.whole(partition, cells);
        write((id, partition), ElasticAction::Replace { cells, kept, must_not_exist: false })
    }

    /// A row to make that must not be there.
    pub fn make(&self, (id, partition): Place<'_>, cells: Cells<'_>) -> ElasticWrite {
        let (cells, kept) = (self.whole(partition, cells), Arc::default());
        write((id, partition), ElasticAction::Replace { cells, kept, must_not_exist: true })
    }

    /// Writes to `ship_ping`.
    pub async fn write(&self, writes: Vec<ElasticWrite>) -> Vec<ElasticOutcome> {
        let count = writes.len();
        let outcomes = self.try_write(&self.table(), writes).await.expect("the call is fine");
        assert_eq!(outcomes.len(), count, "one outcome per write");
        outcomes
    }

    /// Writes to a table.
    pub async fn try_write(
        &self,
        table: &Arc<Table>,
        writes: Vec<ElasticWrite>,
    ) -> Result<Vec<ElasticOutcome>> {
        self.store.write(table, self.now, writes).await
    }

    /// Writes and compares what becomes of each.
    pub async fn check(&self, writes: Vec<ElasticWrite>, want: &[Became]) {
        let told = writes.clone();
        let outcomes = self.write(writes).await;
        let got: Vec<Became> = outcomes.into_iter().map(became).collect();
        assert_eq!(got, want, "{told:?}");
    }

    /// Writes one row that must be written; answers its version.
    pub async fn run(&self, write: ElasticWrite) -> i64 {
        let told = write.clone();
        match self.write(vec![write]).await[..] {
            [ElasticOutcome::Written { version, .. }] => version,
            ref other => panic!("{told:?} becomes {other:?}"),
        }
    }

    /// A query over `ship_ping`: all columns, all rows, by primary key and then by partition.
    pub fn query(&self) -> BoundQuery {
        let table = self.table();
        let order = [table.primary_key, self.column("partitionid")];
        BoundQuery {
            catalog: self.catalog.clone(),
            columns: table.indexed_columns().map(|(index, _)| at(index)).collect(),
            table,
            joins: Vec::new(),
            filter: None,
            order: order.map(|column| Order { column: at(column), descending: false }).to_vec(),
            paging: Paging { size: 1_000_000, after: None, skip: 0, look_ahead: false },
            count_max: None,
            shape: query::Shape::default(),
        }
    }

    /// Reads a page that must succeed.
    pub async fn page(&self, query: &BoundQuery, partition: Option<&str>) -> Page {
        self.store.read(query, partition, self.now).await.expect("the query is fine")
    }

    /// The rows of a query.
    pub async fn rows(&self, query: &BoundQuery, partition: Option<&str>) -> Vec<Vec<Value>> {
        let page = self.page(query, partition).await;
        assert_eq!(page.cells.len(), page.rows * query.columns.len(), "one cell per column");
        page.rows(query.columns.len()).map(<[Value]>::to_vec).collect()
    }

    /// Every row of `ship_ping`, from a scan.
    pub async fn all(&self) -> Vec<Vec<Value>> {
        self.rows(&self.query(), None).await
    }

    /// The row at a place, read from its partition.
    pub async fn row(&self, (id, partition): Place<'_>) -> Option<Vec<Value>> {
        let mut query = self.query();
        query.filter = Some(by_id(&query, id));
        let partition = ElasticKey::new(id, partition).partition;
        let mut rows = self.rows(&query, Some(&partition)).await;
        assert!(rows.len() <= 1, "an id is there once in a partition");
        rows.pop()
    }

    /// One value of a row that must be there.
    pub async fn value(&self, place: Place<'_>, column: &str) -> Value {
        let row = self.row(place).await.unwrap_or_else(|| panic!("no row at {place:?}"));
        row[usize::from(self.column(column).0)].clone()
    }

    /// The version of a row that must be there.
    pub async fn version(&self, place: Place<'_>) -> i64 {
        match self.value(place, "versionnumber").await {
            Value::BigInt(version) => version,
            other => panic!("a version is a 64-bit number, not {other:?}"),
        }
    }
}

/// An id and a `partitionid`.
pub type Place<'a> = (Uuid, Option<&'a str>);

/// A write without a version.
pub fn write((id, partition): Place<'_>, action: ElasticAction) -> ElasticWrite {
    ElasticWrite {
        key: ElasticKey::new(id, partition),
        action,
        expected_version: None,
        reach: None,
    }
}

/// A delete.
pub fn delete(place: Place<'_>) -> ElasticWrite {
    write(place, ElasticAction::Delete)
}

/// The same write, on condition that the row has this version.
pub fn on(write: ElasticWrite, version: i64) -> ElasticWrite {
    ElasticWrite { expected_version: Some(version), ..write }
}

/// The filter for one id.
pub fn by_id(query: &BoundQuery, id: Uuid) -> Filter {
    Filter::Compare {
        column: at(query.table.primary_key),
        compare: Compare::Equal,
        value: Value::Guid(id),
    }
}

/// An outcome without its version.
pub fn became(outcome: ElasticOutcome) -> Became {
    match outcome {
        ElasticOutcome::Written { created: true, .. } => Became::Made,
        ElasticOutcome::Written { created: false, .. } => Became::Changed,
        ElasticOutcome::Refused(reason) => Became::Refused(reason),
    }
}

/// A column of the query's table.
pub fn at(column: ColumnIndex) -> ColumnRef {
    ColumnRef::root(column)
}

/// A text value; the empty text is null.
pub fn text(text: &str) -> Value {
    Value::text(text)
}
