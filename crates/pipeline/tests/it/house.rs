//! A pipeline over the reference store, with one custom table, and short ways to use it.

use model::{
    Caller, Catalog, Cell, ColumnKind, Fault, KeyIndex, KeyValue, Label, MessageName, NewColumn,
    NewKey, NewRelationship, NewTable, Ownership, RequiredLevel, Table, TableKind, Target,
    TargetKey, TextFormat, Timestamp, Uuid, Value,
};
use pipeline::{
    Condition, Context, Definition, Error, Message, Pipeline, Read, Reply, Stores, Write,
};
use query::{BoundQuery, ColumnRef, Order, Page, Paging};
use std::sync::Arc;
use store::memory::MemoryStore;
use store::{MemoryElasticStore, RowOutcome};

pub(crate) const NOW: Timestamp = Timestamp(1_750_000_000);

pub(crate) struct House {
    pub(crate) pipeline: Arc<Pipeline>,
}

impl House {
    /// A seeded organisation with the table `ship_crate` of the contract's examples.
    pub(crate) async fn open() -> Self {
        let standard = Arc::new(MemoryStore::default());
        let elastic = Arc::new(MemoryElasticStore::new());
        Self::over(Stores { standard, elastic: Some(elastic) }).await
    }

    /// The same in these stores, which are empty.
    pub(crate) async fn over(stores: Stores) -> Self {
        let pipeline = Pipeline::open(stores, NOW, 42).await.expect("the stores open");
        let house = Self { pipeline: Arc::new(pipeline) };
        house.define(Definition::CreateTables(vec![crate_table()])).await.expect("a plain table");
        let key = NewKey {
            schema_name: "ship_TrackingKey".into(),
            display_name: Label::english("Tracking"),
            columns: vec!["ship_trackingno".into()],
        };
        let table = house.table("ship_crate");
        house.define(Definition::CreateKey { table, key }).await.expect("a plain key");
        let relationship = holder();
        house.define(Definition::CreateRelationship(relationship)).await.expect("a plain lookup");
        house
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.pipeline.catalog()
    }

    pub(crate) fn table(&self, name: &str) -> Arc<Table> {
        self.catalog().table(name).expect("the table exists").clone()
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            catalog: self.catalog(),
            caller: self.caller(),
            now: NOW,
            course: pipeline::Course::default(),
        }
    }

    pub(crate) fn caller(&self) -> Caller {
        self.pipeline.organization().caller()
    }

    pub(crate) async fn run(&self, message: Message) -> Result<Reply, Fault> {
        match self.pipeline.run(&self.context(), message).await {
            Ok(reply) => Ok(reply),
            Err(Error::Fault(fault)) => Err(*fault),
            Err(Error::StaleCatalog) => panic!("the context was taken from the newest catalog"),
        }
    }

    pub(crate) async fn define(&self, definition: Definition) -> Result<Vec<Uuid>, Fault> {
        match self.run(Message::Define(definition)).await? {
            Reply::Defined(made) => Ok(made),
            other => panic!("a definition answered {other:?}"),
        }
    }

    pub(crate) async fn write(
        &self,
        name: MessageName,
        table: &str,
        targets: Vec<Target>,
    ) -> Result<Vec<RowOutcome>, Fault> {
        let table = self.table(table);
        let message = Write { name, table, targets, condition: Condition::Any };
        match self.run(Message::Write(message)).await? {
            Reply::Written(outcomes) => Ok(outcomes),
            other => panic!("a write answered {other:?}"),
        }
    }

    /// Every row of a table, by the named columns, in order of the primary key.
    pub(crate) async fn rows(&self, table: &str, columns: &[&str]) -> Vec<Vec<Value>> {
        let table = self.table(table);
        let column = |name: &str| ColumnRef::root(table.index_of(name).expect("the column exists"));
        let query = BoundQuery {
            catalog: self.catalog(),
            table: table.clone(),
            joins: Vec::new(),
            columns: columns.iter().map(|name| column(name)).collect(),
            filter: None,
            order: vec![Order { column: ColumnRef::root(table.primary_key), descending: false }],
            paging: Paging { size: 5_000, after: None, skip: 0, look_ahead: false },
            count_max: None,
            shape: query::Shape::default(),
        };
        let page = match self
            .run(Message::Read(Read { name: MessageName::RetrieveMultiple, query }))
            .await
        {
            Ok(Reply::Page(page)) => page,
            other => panic!("a read answered {other:?}"),
        };
        Page::rows(&page, columns.len()).map(<[Value]>::to_vec).collect()
    }

    /// A target of `ship_crate`, by column name.
    pub(crate) fn target(&self, key: TargetKey, cells: &[(&str, Value)]) -> Target {
        self.target_of("ship_crate", key, cells)
    }

    pub(crate) fn target_of(&self, table: &str, key: TargetKey, cells: &[(&str, Value)]) -> Target {
        let table = self.table(table);
        let cells = cells
            .iter()
            .map(|(name, value)| Cell {
                column: table.index_of(name).expect("the column exists"),
                value: value.clone(),
            })
            .collect();
        Target { key, cells, ..Target::default() }
    }
}

/// The lookup of a crate to the account that holds it.
pub(crate) fn holder() -> NewRelationship {
    NewRelationship {
        schema_name: "ship_account_crate".into(),
        referenced_table: "account".into(),
        referencing_table: "ship_crate".into(),
        lookup_schema_name: "ship_Holder".into(),
        lookup_display_name: Label::english("Holder"),
        lookup_description: Label::default(),
        lookup_required: RequiredLevel::None,
        referenced_navigation: None,
        referencing_navigation: None,
        cascade: model::Cascade::on_delete(model::DeleteAction::RemoveLink),
        is_hierarchical: false,
        settings: model::RelationshipSettings::default(),
    }
}

/// A column of text that names the row.
pub(crate) fn text_column() -> NewColumn {
    let columns = crate_table().columns;
    columns.into_iter().next().expect("the first column is the name")
}

/// The key of a crate by its tracking number.
pub(crate) fn tracked(number: &str) -> TargetKey {
    TargetKey::Alternate(KeyValue { key: KeyIndex(0), values: Box::new([Value::text(number)]) })
}

pub(crate) fn id(number: u128) -> TargetKey {
    TargetKey::Id(Uuid::from_u128(number))
}

/// A column whose name begins with `ship_`.
pub(crate) fn column(schema_name: &str, kind: ColumnKind, is_primary_name: bool) -> NewColumn {
    NewColumn {
        schema_name: schema_name.into(),
        display_name: Label::english(&schema_name[5..]),
        description: Label::default(),
        required: RequiredLevel::None,
        kind,
        is_primary_name,
        global_choice: None,
        settings: model::ColumnSettings::default(),
    }
}

pub(crate) fn crate_table() -> NewTable {
    let text = |max_length| ColumnKind::Text { max_length, format: TextFormat::Text };
    NewTable {
        schema_name: "ship_Crate".into(),
        entity_set_name: None,
        display_name: Label::english("Crate"),
        display_collection_name: Label::english("Crates"),
        description: Label::default(),
        ownership: Ownership::User,
        kind: TableKind::Standard,
        has_notes: false,
        has_activities: false,
        change_tracking: None,
        settings: model::TableSettings::default(),
        columns: vec![
            column("ship_Label", text(100), true),
            column("ship_Weight", ColumnKind::Integer { min: 0, max: 1_000 }, false),
            column("ship_TrackingNo", text(40), false),
            column(
                "ship_Price",
                ColumnKind::Money { precision: 2, min: (-1000).into(), max: 1_000_000.into() },
                false,
            ),
        ],
    }
}
