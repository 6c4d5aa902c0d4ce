//! Definitions for tests: short builders, and the small catalog that the suite runs on.
//!
//! Public under the feature `conformance`, for the tests of other crates, too.
//! Invariant: ids are derived from names, so that two runs build the same definitions.

use crate::SchemaOp;
use model::{
    AlternateKey, Cascade, ChoiceOption, Column, ColumnId, ColumnIndex, ColumnKind, Computed,
    DateTimeBehavior, Decimal, DeleteAction, Label, LookupKind, LookupTarget, ManyToMany,
    ManyToManyEnd, OneToMany, Ownership, RequiredLevel, TableDefinition, TableId, TableKind,
    TextFormat, Uuid,
};

/// A small readable id: `00000000-0000-0000-0000-00000000002a` for 42.
pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// The id that belongs to a name, the same in every run.
pub fn metadata_id(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())
}

/// Single-line text.
pub fn text(max_length: u32) -> ColumnKind {
    ColumnKind::Text { max_length, format: TextFormat::Text }
}

/// Multi-line text.
pub fn memo() -> ColumnKind {
    ColumnKind::Memo { max_length: 1_048_576, json: false }
}

/// A whole number of the whole 32-bit range.
pub fn integer() -> ColumnKind {
    ColumnKind::Integer { min: i32::MIN, max: i32::MAX }
}

/// A decimal of this many digits after the point, within plus and minus `max`.
pub fn decimal(precision: u8, max: i64) -> ColumnKind {
    ColumnKind::Decimal { precision, min: Decimal::from(-max), max: Decimal::from(max) }
}

/// Money of four digits after the point and the widest range.
pub fn money() -> ColumnKind {
    let max = Decimal::from(MONEY_MAX);
    ColumnKind::Money { precision: 4, min: -max, max }
}

/// The largest whole amount of money.
pub const MONEY_MAX: i64 = 922_337_203_685_477;

/// A double of five digits after the point.
pub fn double() -> ColumnKind {
    ColumnKind::Double { precision: 5, min: -1e11, max: 1e11 }
}

/// Yes or no.
pub fn boolean() -> ColumnKind {
    ColumnKind::Boolean {
        default: false,
        true_label: Label::english("Yes"),
        false_label: Label::english("No"),
    }
}

/// An instant.
pub fn instant(behavior: DateTimeBehavior) -> ColumnKind {
    ColumnKind::DateTime { behavior, with_time: behavior != DateTimeBehavior::DateOnly }
}

/// Options of these values.
pub fn options(values: &[i32]) -> Vec<ChoiceOption> {
    let option = |value: &i32| ChoiceOption {
        value: *value,
        label: Label::english(format!("Option {value}")),
        state: None,
        default_status: None,
        ..ChoiceOption::default()
    };
    values.iter().map(option).collect()
}

/// A lookup to any of these tables; with several, each navigation is `<column>_<table>`.
pub fn lookup(column: &str, tables: &[&str]) -> ColumnKind {
    lookup_of(LookupKind::Plain, column, tables)
}

/// The owner of a row, one of these tables' rows.
pub fn owner(tables: &[&str]) -> ColumnKind {
    lookup_of(LookupKind::Owner, "ownerid", tables)
}

fn lookup_of(kind: LookupKind, column: &str, tables: &[&str]) -> ColumnKind {
    let target = |table: &&str| LookupTarget {
        table: (*table).into(),
        navigation: match tables {
            [_] => column.into(),
            _ => format!("{column}_{table}").into(),
        },
    };
    ColumnKind::Lookup { kind, targets: tables.iter().map(target).collect() }
}

/// A column that callers may give and read. Its number is given by [`TableBuilder`].
pub fn column(schema_name: &str, kind: ColumnKind) -> Column {
    let logical_name: Box<str> = schema_name.to_lowercase().into();
    Column {
        id: ColumnId(0),
        metadata_id: metadata_id(&format!("column {schema_name}")),
        display_name: Label::english(schema_name),
        description: Label::default(),
        logical_name,
        schema_name: schema_name.into(),
        kind,
        required: RequiredLevel::None,
        computed: None,
        is_custom: true,
        is_indexed: false,
        valid_for_create: true,
        valid_for_update: true,
        valid_for_read: true,
        settings: model::ColumnSettings::default(),
    }
}

/// The column of this definition that comes next, as [`SchemaOp::AddColumn`] wants it.
pub fn next_column(table: &TableDefinition, schema_name: &str, kind: ColumnKind) -> Column {
    let last = table.columns.iter().map(|column| column.id.0).max().unwrap_or(0);
    let mut column = column(schema_name, kind);
    column.id = ColumnId(last + 1);
    column.metadata_id = metadata_id(&format!("{}.{schema_name}", table.logical_name));
    column
}

/// An alternate key over these columns, with the next number.
pub fn key(table: &TableDefinition, schema_name: &str, columns: &[&str]) -> AlternateKey {
    AlternateKey {
        id: table.keys.iter().map(|key| key.id).max().unwrap_or(0) + 1,
        metadata_id: metadata_id(&format!("key {}.{schema_name}", table.logical_name)),
        logical_name: schema_name.to_lowercase().into(),
        schema_name: schema_name.into(),
        display_name: Label::english(schema_name),
        columns: columns.iter().map(|name| place_of(table, name)).collect(),
    }
}

/// The place of a column in a definition; the test is wrong if it is not there.
pub fn place_of(table: &TableDefinition, name: &str) -> ColumnIndex {
    let place = table.columns.iter().position(|column| &*column.logical_name == name);
    let place = place.unwrap_or_else(|| panic!("`{}` has no column `{name}`", table.logical_name));
    ColumnIndex(u16::try_from(place).expect("at most 1,000 columns"))
}

/// A relationship: `referencing_column` of `referencing_table` points to `referenced_table`.
pub fn relationship(
    schema_name: &str,
    (referencing_table, referencing_column): (&str, &str),
    referenced_table: &str,
    delete: DeleteAction,
) -> OneToMany {
    OneToMany {
        metadata_id: metadata_id(&format!("relationship {schema_name}")),
        schema_name: schema_name.into(),
        referenced_table: referenced_table.into(),
        referenced_column: format!("{referenced_table}id").into(),
        referencing_table: referencing_table.into(),
        referencing_column: referencing_column.into(),
        referenced_navigation: schema_name.into(),
        referencing_navigation: referencing_column.into(),
        cascade: Cascade::on_delete(delete),
        is_custom: true,
        is_hierarchical: false,
        settings: model::RelationshipSettings::default(),
    }
}

/// Builds a table definition: primary key and `versionnumber` first, then columns in order.
pub struct TableBuilder {
    definition: TableDefinition,
}

impl TableBuilder {
    /// Starts a table of this number and name; its key column is the name and `id`.
    pub fn new(number: u32, schema_name: &str) -> Self {
        let logical_name = schema_name.to_lowercase();
        let definition = TableDefinition {
            id: TableId(number),
            metadata_id: metadata_id(&format!("table {schema_name}")),
            schema_name: schema_name.into(),
            entity_set_name: format!("{logical_name}s").into(),
            collection_schema_name: format!("{schema_name}s").into(),
            display_name: Label::english(schema_name),
            display_collection_name: Label::english(format!("{schema_name}s")),
            description: Label::default(),
            object_type_code: 10_000 + i32::try_from(number).expect("a small number"),
            ownership: Ownership::Organization,
            kind: TableKind::Standard,
            is_custom: true,
            is_intersect: false,
            is_activity: false,
            has_notes: false,
            has_activities: false,
            change_tracking: false,
            optimistic_concurrency: true,
            settings: model::TableSettings::default(),
            columns: Vec::new(),
            primary_key: ColumnIndex(0),
            primary_name: None,
            keys: Vec::new(),
            logical_name: logical_name.into(),
        };
        Self { definition }
            .column(&format!("{schema_name}id"), ColumnKind::Guid)
            .column("versionnumber", ColumnKind::BigInt)
    }

    /// Adds a column.
    #[must_use]
    pub fn column(mut self, schema_name: &str, kind: ColumnKind) -> Self {
        let column = next_column(&self.definition, schema_name, kind);
        self.definition.columns.push(column);
        self
    }

    /// Adds a computed column; `of` answers the places of the columns before it.
    #[must_use]
    pub fn computed(
        mut self,
        schema_name: &str,
        kind: ColumnKind,
        from: impl Fn(&dyn Fn(&str) -> ColumnIndex) -> Computed,
    ) -> Self {
        let mut column = next_column(&self.definition, schema_name, kind);
        column.computed = Some(from(&|name| place_of(&self.definition, name)));
        column.valid_for_create = false;
        column.valid_for_update = false;
        self.definition.columns.push(column);
        self
    }

    /// Adds `modifiedon` and `modifiedby`, which a cascade writes.
    #[must_use]
    pub fn modified(self) -> Self {
        self.column("modifiedon", instant(DateTimeBehavior::UserLocal))
            .column("modifiedby", lookup("modifiedby", &["systemuser"]))
    }

    /// Says which column names a record.
    #[must_use]
    pub fn primary_name(mut self, name: &str) -> Self {
        self.definition.primary_name = Some(place_of(&self.definition, name));
        self
    }

    /// Adds an alternate key.
    #[must_use]
    pub fn key(mut self, schema_name: &str, columns: &[&str]) -> Self {
        let key = key(&self.definition, schema_name, columns);
        self.definition.keys.push(key);
        self
    }

    /// The definition.
    pub fn build(self) -> TableDefinition {
        self.definition
    }

    /// The operation that makes the table.
    pub fn create(self) -> SchemaOp {
        SchemaOp::CreateTable(Box::new(self.definition))
    }
}

/// The suite's catalog, from an empty one: `systemuser`, `team`, `account`, `contact`, `ship_crate`
/// with every kind of column, `ship_line` with a lookup to it for every delete action.
pub fn catalog_ops() -> Vec<SchemaOp> {
    let named = |number, name: &str| {
        TableBuilder::new(number, name).column("name", text(160)).primary_name("name")
    };
    let mut ops = vec![
        named(1, "systemuser").create(),
        named(2, "team").create(),
        named(3, "account")
            .column("accountnumber", text(20))
            .modified()
            .key("account_number", &["accountnumber"])
            .create(),
        named(4, "contact").modified().create(),
        crate_table().create(),
        named(6, "ship_line")
            .modified()
            .column("ship_code", text(40))
            .column("ship_cascade", lookup("ship_cascade", &["ship_crate"]))
            .column("ship_link", lookup("ship_link", &["ship_crate"]))
            .column("ship_hold", lookup("ship_hold", &["ship_crate"]))
            .column("ship_loose", lookup("ship_loose", &["ship_crate"]))
            .key("ship_linecode", &["ship_code"])
            .create(),
    ];
    let relationships = [
        ("account_crates", ("ship_crate", "ship_holder"), "account", DeleteAction::RemoveLink),
        ("contact_crates", ("ship_crate", "ship_holder"), "contact", DeleteAction::RemoveLink),
        ("crate_crates", ("ship_crate", "ship_parent"), "ship_crate", DeleteAction::Cascade),
        ("crate_cascade", ("ship_line", "ship_cascade"), "ship_crate", DeleteAction::Cascade),
        ("crate_link", ("ship_line", "ship_link"), "ship_crate", DeleteAction::RemoveLink),
        ("crate_hold", ("ship_line", "ship_hold"), "ship_crate", DeleteAction::Restrict),
        ("crate_loose", ("ship_line", "ship_loose"), "ship_crate", DeleteAction::NoCascade),
    ];
    ops.extend(relationships.map(|(name, referencing, referenced, delete)| {
        SchemaOp::AddRelationship(relationship(name, referencing, referenced, delete))
    }));
    ops
}

/// `ship_crate`: a column of every kind, stored and computed, a plain key and a composite one.
fn crate_table() -> TableBuilder {
    let users = ["systemuser", "team"];
    TableBuilder::new(5, "ship_crate")
        .column("createdon", instant(DateTimeBehavior::UserLocal))
        .column("createdby", lookup("createdby", &["systemuser"]))
        .modified()
        .column("ownerid", lookup_of(LookupKind::Owner, "ownerid", &users))
        .computed("owninguser", lookup("owninguser", &["systemuser"]), |of| Computed::OwnerIn {
            owner: of("ownerid"),
            table: "systemuser".into(),
        })
        .computed("owningteam", lookup("owningteam", &["team"]), |of| Computed::OwnerIn {
            owner: of("ownerid"),
            table: "team".into(),
        })
        .column("statecode", ColumnKind::State { options: options(&[0, 1]) })
        .column("statuscode", ColumnKind::Status { options: options(&[1, 2]) })
        .column("ship_Label", text(200))
        .primary_name("ship_label")
        .column("ship_TrackingNo", text(100))
        .column("ship_Note", memo())
        .column("ship_Payload", ColumnKind::Memo { max_length: 1_048_576, json: true })
        .column("ship_Count", integer())
        .column("ship_Total", ColumnKind::BigInt)
        .column("ship_Weight", decimal(2, 100_000_000_000))
        .column("ship_Ratio", decimal(10, 900_000_000))
        .column("ship_Price", money())
        .computed("ship_Price_base", money(), |of| Computed::CopyOf { column: of("ship_price") })
        .column("ship_Length", double())
        .column("ship_Fragile", boolean())
        .column("ship_SentAt", instant(DateTimeBehavior::UserLocal))
        .column("ship_ArrivesAt", instant(DateTimeBehavior::TimeZoneIndependent))
        .column("ship_DueOn", instant(DateTimeBehavior::DateOnly))
        .column("ship_Size", ColumnKind::Choice { options: options(&[1, 2, 3]), default: None })
        .column("ship_Tags", ColumnKind::MultiChoice { options: options(&[1, 2, 3, 4]) })
        .column("ship_Serial", ColumnKind::Guid)
        .column("ship_SourceTable", ColumnKind::TableName)
        .column(
            "ship_Holder",
            lookup_of(LookupKind::Customer, "ship_holder", &["account", "contact"]),
        )
        .column("ship_Parent", lookup("ship_parent", &["ship_crate"]))
        .computed("ship_Title", text(301), |of| Computed::FullName {
            first: of("ship_label"),
            last: of("ship_trackingno"),
        })
        .computed("ship_Nothing", integer(), |_| Computed::Nothing)
        .key("ship_Tracking", &["ship_trackingno"])
        .key("ship_Slot", &["ship_holder", "ship_count"])
}

/// A many-to-many relationship `crate_accounts` between `ship_crate` and `account`, with its intersect
/// table `ship_crate_account`.
pub fn pair_ops(catalog: &model::Catalog) -> Vec<SchemaOp> {
    let mut table = TableBuilder::new(catalog.table_number_max() + 1, "ship_crate_account")
        .column("ship_crateid", lookup("ship_crateid", &["ship_crate"]))
        .column("accountid", lookup("accountid", &["account"]))
        .key("ship_crate_account_pair", &["ship_crateid", "accountid"])
        .build();
    table.is_intersect = true;
    for column in table.columns.iter_mut().skip(2) {
        column.is_indexed = true;
    }
    let end = |table: &str, column: &str| ManyToManyEnd {
        table: table.into(),
        navigation: "crate_accounts".into(),
        column: column.into(),
        menu: model::Menu::default(),
    };
    vec![
        SchemaOp::CreateTable(Box::new(table)),
        SchemaOp::AddManyToMany(ManyToMany {
            metadata_id: metadata_id("relationship crate_accounts"),
            schema_name: "crate_accounts".into(),
            intersect_table: "ship_crate_account".into(),
            ends: [end("ship_crate", "ship_crateid"), end("account", "accountid")],
            is_custom: true,
            settings: model::RelationshipSettings::default(),
        }),
    ]
}
