//! From a wish for schema to a change of definitions: pure.
//!
//! In reading order: this file (tables, columns, keys, relationships), `names` (what a name may be),
//! `system` (the columns every table has), `columns` (columns made the short way), `many_to_many` (intersect
//! tables), `elastic` (what elastic tables have of their own, and what they refuse).
//! Source: `metadata.md` 4 to 8.

mod change;
mod choices;
pub(crate) mod columns;
mod elastic;
pub(crate) mod files;
mod images;
mod lookups;
pub(crate) mod many_to_many;
mod names;
mod numbers;
mod regarding;
pub(crate) mod remove;
pub(crate) mod system;

pub use choices::next_value as next_option_value;
pub(crate) use elastic::PARTITION_BYTES_MAX;

use crate::ids::IdSource;
use crate::message::Definition;
use crate::run::{Context, Organization};
use crate::seed;
use columns::{computed, decimal, lookup, push, read_only};
use model::{
    AlternateKey, Catalog, Column, ColumnIndex, ColumnKind, Computed, DateTimeBehavior, Fault,
    Label, LookupKind, NewColumn, NewKey, NewRelationship, NewTable, OneToMany, Ownership,
    RequiredLevel, Table, TableDefinition, TableId, TableKind, TextFormat, Uuid, code,
};
use store::{SchemaChange, SchemaOp};

/// Alternate keys that a table has at most.
const KEYS_MAX: usize = 10;
/// Columns that an alternate key has at most.
const KEY_COLUMNS_MAX: usize = 16;
/// Object type codes of custom tables start here.
const CUSTOM_TYPE_CODE_MIN: i32 = 10_000;

/// A planned change, and the metadata ids of what it makes.
pub(crate) struct Plan {
    pub(crate) change: SchemaChange,
    pub(crate) made: Vec<Uuid>,
    /// Logical name of the table that is changed, for texts.
    pub(crate) table: Box<str>,
    /// Tables that go: rows of elastic ones lie elsewhere.
    pub(crate) dropped: Vec<std::sync::Arc<Table>>,
}

/// Ids of new definitions.
struct Fresh<'a> {
    ids: &'a IdSource,
    context: &'a Context,
}

impl Fresh<'_> {
    fn id(&self) -> Uuid {
        self.ids.take(1, self.context.now).into_iter().next().expect("one id was asked for")
    }

    /// Gives a new table and its columns ids and times. Ids of custom definitions are not derived: a table
    /// made anew under the same name is another one.
    fn name_table(&self, table: &mut TableDefinition) {
        let now = Some(self.context.now);
        table.metadata_id = self.id();
        (table.settings.created_on, table.settings.modified_on) = (now, now);
        for column in &mut table.columns {
            self.name_column(column);
        }
    }

    /// Gives a new column an id and times.
    fn name_column(&self, column: &mut Column) {
        let now = Some(self.context.now);
        column.metadata_id = self.id();
        (column.settings.created_on, column.settings.modified_on) = (now, now);
    }
}

/// The privilege that a change of definitions needs.
pub(crate) fn privilege_of(definition: &Definition) -> &'static str {
    match definition {
        Definition::CreateTables(_) => "prvCreateEntity",
        Definition::CreateColumn { .. } => "prvCreateAttribute",
        Definition::CreateKey { .. } | Definition::DropKey { .. } | Definition::ChangeTable(_) => {
            "prvWriteEntity"
        }
        Definition::CreateRelationship(_)
        | Definition::CreateManyToMany(_)
        | Definition::CreateLookup(_) => "prvCreateRelationship",
        Definition::ChangeColumn { .. }
        | Definition::ChangeOptions { .. }
        | Definition::RestartNumbers { .. } => "prvWriteAttribute",
        Definition::ChangeRelationship(_) | Definition::ChangeManyToMany(_) => {
            "prvWriteRelationship"
        }
        Definition::CreateChoice(_) => "prvCreateOptionSet",
        Definition::ChangeChoice(_) => "prvWriteOptionSet",
        Definition::DropTable(_) => "prvDeleteEntity",
        Definition::DropColumn { .. } => "prvDeleteAttribute",
        Definition::DropRelationship(_) => "prvDeleteRelationship",
        Definition::DropChoice(_) => "prvDeleteOptionSet",
    }
}

/// Plans a change of definitions. `there` are the rows about tables that there are, where some are dropped.
#[expect(clippy::too_many_lines, reason = "one arm per definition")]
pub(crate) fn plan(
    context: &Context,
    organization: Organization,
    ids: &IdSource,
    definition: Definition,
    there: &[Uuid],
) -> Result<Plan, Fault> {
    let fresh = Fresh { ids, context };
    let mut dropped = Vec::new();
    let mut change = SchemaChange {
        catalog: context.catalog.clone(),
        ops: Vec::new(),
        rows: Vec::new(),
        checks: Vec::new(),
        now: context.now,
        user: context.caller.user,
    };
    let (made, table) = match definition {
        Definition::CreateTables(tables) => {
            let planned = new_tables(&context.catalog, &fresh, tables)?;
            let made = planned.iter().map(|table| table.metadata_id).collect();
            let name = planned.first().map(|table| table.logical_name.clone()).unwrap_or_default();
            for table in &planned {
                change.ops.push(SchemaOp::CreateTable(Box::new(table.clone())));
            }
            let relationships = planned.iter().flat_map(system::relationships);
            change.ops.extend(relationships.map(SchemaOp::AddRelationship));
            let wishes: Vec<regarding::Wish<'_>> = planned.iter().map(regarding::of_new).collect();
            change.ops.extend(regarding::plan(&context.catalog, &fresh, &wishes));
            change.rows.extend(rows_of_tables(context, organization, &planned));
            (made, name)
        }
        Definition::CreateColumn { table, column } => {
            let made = new_column(&table, &fresh, column, &mut change.ops)?;
            (vec![made], table.logical_name.clone())
        }
        Definition::CreateKey { table, key } => {
            let key = new_key(&table, &fresh, key)?;
            let made = key.metadata_id;
            change.ops.push(SchemaOp::AddKey { table: table.id, key });
            (vec![made], table.logical_name.clone())
        }
        Definition::CreateRelationship(relationship) => {
            let name = relationship.referencing_table.clone();
            let made = new_relationship(&context.catalog, &fresh, relationship, &mut change.ops)?;
            (vec![made], name)
        }
        Definition::CreateLookup(wish) => {
            let name = wish.relationships.first().map(|one| one.referencing_table.clone());
            let made = lookups::plan(&context.catalog, &fresh, wish, &mut change.ops)?;
            (made, name.unwrap_or_default())
        }
        Definition::CreateChoice(wish) => {
            let choice = choices::new(&context.catalog, &fresh, wish)?;
            let made = choice.metadata_id;
            change.ops.push(SchemaOp::PutChoice(choice));
            (vec![made], Box::default())
        }
        Definition::ChangeTable(to) => {
            let name = to.logical_name.clone();
            change.ops.extend(change::table(&context.catalog, &fresh, *to)?);
            (Vec::new(), name)
        }
        Definition::ChangeColumn { table, column } => {
            change.ops.extend(images::others(&table, &column));
            change.ops.push(change::column(&fresh, &table, *column)?);
            (Vec::new(), table.logical_name.clone())
        }
        Definition::ChangeRelationship(to) => {
            let name = to.referencing_table.clone();
            change.ops.push(change::relationship(&context.catalog, &fresh, *to)?);
            (Vec::new(), name)
        }
        Definition::ChangeManyToMany(to) => {
            let name = to.intersect_table.clone();
            change.ops.push(change::many_to_many(&fresh, *to));
            (Vec::new(), name)
        }
        Definition::ChangeChoice(mut to) => {
            to.modified_on = Some(context.now);
            change.ops.push(SchemaOp::PutChoice(*to));
            (Vec::new(), Box::default())
        }
        Definition::ChangeOptions { of, change: wish } => {
            let ops = choices::change(&context.catalog, &fresh, &of, &wish)?;
            change.ops.extend(ops);
            (Vec::new(), Box::default())
        }
        Definition::RestartNumbers { table, column, seed } => {
            change.ops.push(numbers::restart(&table, column, seed)?);
            (Vec::new(), table.logical_name.clone())
        }
        Definition::DropTable(table) => {
            let gone = remove::table(&context.catalog, &table, &mut change.ops)?;
            remove::rows(&mut change, &gone, there);
            dropped = gone.tables;
            (Vec::new(), table.logical_name.clone())
        }
        Definition::DropColumn { table, column } => {
            remove::column(&context.catalog, &table, column, &mut change.ops)?;
            (Vec::new(), table.logical_name.clone())
        }
        Definition::DropKey { table, key } => {
            remove::key(&table, key, &mut change.ops)?;
            (Vec::new(), table.logical_name.clone())
        }
        Definition::DropRelationship(id) => {
            let gone = remove::relationship(&context.catalog, id, &mut change.ops)?;
            remove::rows(&mut change, &gone, there);
            dropped = gone.tables;
            (Vec::new(), Box::default())
        }
        Definition::DropChoice(id) => {
            change.ops.push(choices::remove(&context.catalog, id)?);
            (Vec::new(), Box::default())
        }
        Definition::CreateManyToMany(wish) => {
            let (made, table) =
                many_to_many::plan(&context.catalog, &fresh, wish, &mut change.ops)?;
            let name = table.logical_name.clone();
            change.rows.extend(rows_of_tables(context, organization, &[table]));
            (vec![made], name)
        }
    };
    Ok(Plan { change, made, table, dropped })
}

/// The rows of system tables that go with new tables.
fn rows_of_tables(
    context: &Context,
    organization: Organization,
    tables: &[TableDefinition],
) -> Vec<store::WriteOp> {
    let find = |name: &str| {
        let table = context.catalog.table(name);
        table.cloned().unwrap_or_else(|| unreachable!("the seed has a table `{name}`"))
    };
    let (filter, message) = (find("sdkmessagefilter"), find("sdkmessage"));
    let mut rows =
        vec![seed::rows::filters(&filter, message.id, tables, organization, context.now)];
    let scene = seed::security::Scene { tables: &find, organization, now: context.now };
    rows.extend(seed::security::privileges(scene, tables, false));
    rows
}

/// The table of this name.
fn table_named<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a std::sync::Arc<Table>, Fault> {
    catalog.table(name).ok_or_else(|| {
        Fault::new(
            code::OBJECT_DOES_NOT_EXIST,
            format!("Could not find an entity with specified entity logicalname: {name}"),
        )
    })
}

/// Refuses the name of a relationship that exists.
fn relationship_is_free(catalog: &Catalog, name: &str) -> Result<(), Fault> {
    let one = catalog.relationships().iter().map(|one| &one.schema_name);
    let mut all = one.chain(catalog.many_to_many().iter().map(|many| &many.schema_name));
    if all.any(|other| other.eq_ignore_ascii_case(name)) {
        return Err(Fault::new(
            code::RELATIONSHIP_NAME_EXISTS,
            "A relationship with the specified name already exists. Please specify a unique name.",
        )
        .with_hint(format!("relationship `{name}` exists")));
    }
    Ok(())
}

/// Refuses a navigation property that a table has.
fn navigation_is_free(catalog: &Catalog, table: &Table, name: &str) -> Result<(), Fault> {
    let taken = table.navigation(name).is_some()
        || table.index_of_value(name).is_some()
        || catalog.referencing(&table.logical_name).any(|one| *one.referenced_navigation == *name)
        || catalog.many_to_many_by_navigation(&table.logical_name, name).is_some();
    if taken {
        return Err(Fault::new(
            code::DUPLICATE_ATTRIBUTE_SCHEMA_NAME,
            format!("Navigation property {name} already exists for entity {}.", table.logical_name),
        ));
    }
    Ok(())
}

/// Refuses a second parent of the same table.
fn check_parental(catalog: &Catalog, new: &OneToMany) -> Result<(), Fault> {
    if !new.cascade.is_parental() {
        return Ok(());
    }
    let mut others = catalog.referenced_by(&new.referencing_table);
    let other = others.find(|one| one.metadata_id != new.metadata_id && one.cascade.is_parental());
    match other {
        Some(other) => Err(Fault::new(
            code::INVALID_ARGUMENT,
            format!(
                "Entity {} has a parental relationship already: {}.",
                new.referencing_table, other.schema_name
            ),
        )
        .with_hint("only one relationship of a table cascades everything")),
        None => Ok(()),
    }
}

/// Refuses a hierarchy between two tables, and a second one of the same table.
fn check_hierarchy(catalog: &Catalog, new: &OneToMany) -> Result<(), Fault> {
    if !new.is_hierarchical {
        return Ok(());
    }
    let refuse = |why: String| Err(Fault::new(code::INVALID_ARGUMENT, why));
    let name = &new.schema_name;
    if new.referenced_table != new.referencing_table {
        return refuse(format!("Relationship {name} leads to another entity: it is no hierarchy."));
    }
    let mut others = catalog.referencing(&new.referenced_table);
    match others.find(|one| one.is_hierarchical && one.metadata_id != new.metadata_id) {
        Some(other) => refuse(format!(
            "Entity {} has a hierarchy already: {}.",
            new.referenced_table, other.schema_name
        )),
        None => Ok(()),
    }
}

/// The object type code of the next custom table.
fn next_type_code(catalog: &Catalog) -> i32 {
    let codes = catalog.tables().iter().map(|table| table.object_type_code + 1);
    codes.max().unwrap_or(0).max(CUSTOM_TYPE_CODE_MIN)
}

/// The fault of an alternate key over rows that are not unique.
pub(crate) fn existing_rows_not_unique(table: &str) -> Fault {
    Fault::new(
        code::INVALID_ENTITY_KEY_OPERATION,
        format!(
            "The key cannot be created: rows of entity '{table}' have equal values in its columns."
        ),
    )
    .with_hint("make the values unique, or empty one of them, and create the key again")
}

fn new_tables(
    catalog: &Catalog,
    fresh: &Fresh<'_>,
    wishes: Vec<NewTable>,
) -> Result<Vec<TableDefinition>, Fault> {
    let mut made: Vec<TableDefinition> = Vec::with_capacity(wishes.len());
    let first_number = catalog.table_number_max() + 1;
    let first_code = next_type_code(catalog);
    for (wish, (number, type_code)) in wishes.into_iter().zip((first_number..).zip(first_code..)) {
        let taken = |name: &str| {
            catalog.table(name).is_some() || made.iter().any(|other| &*other.logical_name == name)
        };
        let taken_set = |set: &str| {
            catalog.table_of_set(set).is_some()
                || made.iter().any(|other| &*other.entity_set_name == set)
        };
        names::check(&wish.schema_name, "Entity")?;
        let logical_name = wish.schema_name.to_lowercase();
        if taken(&logical_name) {
            return Err(Fault::new(
                code::INVALID_SCHEMA_NAME,
                "An entity with the specified name already exists. Please specify a unique name.",
            )
            .with_hint(format!("table `{logical_name}` exists")));
        }
        let set =
            wish.entity_set_name.clone().unwrap_or_else(|| names::plural(&logical_name).into());
        names::check_set(&set)?;
        if taken_set(&set) {
            return Err(Fault::new(
                code::INVALID_ENTITY_SET_NAME,
                format!(
                    "An entity with the specified entity set name {set} already exists. Specify a unique name."
                ),
            ));
        }
        made.push(new_table(fresh, wish, logical_name.into(), set, TableId(number), type_code)?);
    }
    if made.is_empty() {
        return Err(Fault::new(
            code::REQUIRED_FIELD_MISSING,
            "Required field 'Entities' is missing",
        ));
    }
    Ok(made)
}

fn new_table(
    fresh: &Fresh<'_>,
    wish: NewTable,
    logical_name: Box<str>,
    entity_set_name: Box<str>,
    id: TableId,
    object_type_code: i32,
) -> Result<TableDefinition, Fault> {
    if !matches!(wish.ownership, Ownership::User | Ownership::Organization) {
        return Err(Fault::new(
            code::INVALID_OWNERSHIP_TYPE,
            "The specified ownership type mask is not valid for this operation.",
        )
        .with_hint("`OwnershipType` is UserOwned or OrganizationOwned"));
    }
    let names = wish.columns.iter().filter(|column| column.is_primary_name).count();
    if names != 1 {
        return Err(Fault::new(
            code::INVALID_ARGUMENT,
            format!("Exactly one attribute must have IsPrimaryName set; {names} have."),
        ));
    }
    let mut key = read_only(&format!("{}Id", wish.schema_name), "", ColumnKind::Guid);
    key.display_name = wish.display_name.clone();
    key.required = RequiredLevel::SystemRequired;
    key.valid_for_create = true;
    key.is_custom = true;
    key.metadata_id = fresh.id();
    let mut columns = Vec::new();
    let primary_key = push(&mut columns, &logical_name, key);
    let mut table = TableDefinition {
        id,
        metadata_id: Uuid::nil(),
        collection_schema_name: names::plural(&wish.schema_name).into(),
        schema_name: wish.schema_name,
        entity_set_name,
        display_name: wish.display_name,
        display_collection_name: wish.display_collection_name,
        description: wish.description,
        object_type_code,
        ownership: wish.ownership,
        kind: wish.kind,
        is_custom: true,
        is_intersect: false,
        is_activity: false,
        has_notes: wish.has_notes,
        has_activities: wish.has_activities,
        change_tracking: wish.change_tracking.unwrap_or(true),
        optimistic_concurrency: true,
        settings: wish.settings,
        columns,
        primary_key,
        primary_name: None,
        keys: Vec::new(),
        logical_name,
    };
    for wish in wish.columns {
        let is_name = wish.is_primary_name;
        let added = add_column(&mut table, fresh, wish)?;
        if is_name {
            table.primary_name = Some(added);
        }
    }
    system::add_columns(&mut table);
    if table.kind == TableKind::Elastic {
        elastic::complete(&mut table, fresh.id());
    }
    fresh.name_table(&mut table);
    check_column_count(&table)?;
    Ok(table)
}

fn check_column_count(table: &TableDefinition) -> Result<(), Fault> {
    if table.columns.len() > Table::COLUMNS_MAX {
        return Err(Fault::new(
            code::INVALID_ARGUMENT,
            format!(
                "Table '{}' would have more than {} columns.",
                table.logical_name,
                Table::COLUMNS_MAX
            ),
        ));
    }
    Ok(())
}

/// Adds a wished column and its companions to a table's columns; answers its place.
fn add_column(
    table: &mut TableDefinition,
    fresh: &Fresh<'_>,
    mut wish: NewColumn,
) -> Result<ColumnIndex, Fault> {
    choices::bind(&fresh.context.catalog, &mut wish)?;
    names::check(&wish.schema_name, "Attribute")?;
    let logical_name = wish.schema_name.to_lowercase();
    if table.columns.iter().any(|column| *column.logical_name == *logical_name) {
        return Err(Fault::new(
            code::DUPLICATE_ATTRIBUTE_SCHEMA_NAME,
            format!("Attribute {logical_name} already exists for entity {}.", table.logical_name),
        ));
    }
    elastic::check_kind(table.kind, &wish)?;
    check_kind(table.kind, &wish)?;
    images::settle(table, &mut wish.kind);
    let mut column = columns::column(&wish.schema_name, "", wish.kind);
    column.display_name = wish.display_name;
    column.description = wish.description;
    column.required = wish.required;
    column.is_custom = true;
    column.settings = wish.settings;
    numbers::settle(table.kind, &mut column, fresh.context.now)?;
    fresh.name_column(&mut column);
    let is_money = matches!(column.kind, ColumnKind::Money { .. });
    let first = table.columns.len();
    let place = push_next(table, column.clone());
    files::companions(table, &column);
    if is_money {
        let twin = format!("{}_Base", column.schema_name);
        let mut base = computed(&twin, "", column.kind.clone(), Computed::CopyOf { column: place });
        let label = column.display_name.shown().unwrap_or(&column.schema_name);
        base.display_name = Label::english(format!("{label} (Base)"));
        push_next(table, base);
        add_currency(table);
    }
    for companion in table.columns.iter_mut().skip(first + 1) {
        companion.is_custom = companion.logical_name.starts_with(&*column.logical_name);
        fresh.name_column(companion);
    }
    Ok(place)
}

/// Adds a column with the next number of a table that may have lost some.
fn push_next(table: &mut TableDefinition, column: Column) -> ColumnIndex {
    let number = table.next_column_id();
    let name = table.logical_name.clone();
    let place = push(&mut table.columns, &name, column);
    if let Some(column) = table.columns.last_mut() {
        column.id = number;
    }
    place
}

/// The first money column of a table brings the record's currency and its rate.
fn add_currency(table: &mut TableDefinition) {
    let has = table.columns.iter().any(|column| &*column.logical_name == "transactioncurrencyid");
    if has {
        return;
    }
    let targets = [("transactioncurrency", "transactioncurrencyid")];
    let currency =
        columns::column("TransactionCurrencyId", "Currency", lookup(LookupKind::Plain, &targets));
    push_next(table, currency);
    push_next(table, read_only("ExchangeRate", "Exchange Rate", decimal(10)));
}

/// What a column may not be.
fn check_kind(table: TableKind, wish: &NewColumn) -> Result<(), Fault> {
    let refuse = |why: String| Err(Fault::new(code::INVALID_ARGUMENT, why));
    let name = &wish.schema_name;
    if wish.is_primary_name && !matches!(wish.kind, ColumnKind::Text { .. }) {
        return refuse(format!("The primary name attribute {name} must be of type String."));
    }
    match &wish.kind {
        ColumnKind::Text { format: TextFormat::Json, .. } | ColumnKind::Memo { json: true, .. }
            if table == TableKind::Standard =>
        {
            refuse(format!("Attribute {name}: the format Json is for elastic tables only."))
        }
        ColumnKind::Text { max_length, .. } if !(1..=4_000).contains(max_length) => {
            refuse(format!("Attribute {name}: MaxLength must be between 1 and 4000."))
        }
        ColumnKind::Memo { max_length, .. } if !(1..=1_048_576).contains(max_length) => {
            refuse(format!("Attribute {name}: MaxLength must be between 1 and 1048576."))
        }
        ColumnKind::Integer { min, max } if min > max => {
            refuse(format!("Attribute {name}: MinValue is larger than MaxValue."))
        }
        ColumnKind::Decimal { precision, min, max } if *precision > 10 || min > max => refuse(
            format!("Attribute {name}: Precision must be 0 to 10 and MinValue at most MaxValue."),
        ),
        ColumnKind::Money { precision, min, max } if *precision > 4 || min > max => refuse(
            format!("Attribute {name}: Precision must be 0 to 4 and MinValue at most MaxValue."),
        ),
        ColumnKind::Double { precision, min, max } if *precision > 5 || min > max => refuse(
            format!("Attribute {name}: Precision must be 0 to 5 and MinValue at most MaxValue."),
        ),
        ColumnKind::DateTime { behavior: DateTimeBehavior::DateOnly, with_time: true } => {
            refuse(format!("Attribute {name}: behavior DateOnly needs the format DateOnly."))
        }
        ColumnKind::Choice { options, default } => {
            check_options(name, options.iter().map(|option| option.value))?;
            match default {
                Some(default) if !options.iter().any(|option| option.value == *default) => refuse(
                    format!("Attribute {name}: the default {default} is not among its options."),
                ),
                _ => Ok(()),
            }
        }
        ColumnKind::MultiChoice { options } => {
            check_options(name, options.iter().map(|option| option.value))?;
            match wish.settings.default_option {
                Some(default) if !options.iter().any(|option| option.value == default) => refuse(
                    format!("Attribute {name}: the default {default} is not among its options."),
                ),
                _ => Ok(()),
            }
        }
        ColumnKind::State { .. }
        | ColumnKind::Status { .. }
        | ColumnKind::TableName
        | ColumnKind::Guid => {
            refuse(format!("Attribute {name}: this type is made by the system only."))
        }
        ColumnKind::Lookup { .. } => {
            refuse(format!("Attribute {name}: lookups are created through relationships."))
        }
        _ => Ok(()),
    }
}

fn check_options(name: &str, values: impl Iterator<Item = i32>) -> Result<(), Fault> {
    let mut values: Vec<i32> = values.collect();
    values.sort_unstable();
    match values.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Fault::new(
            code::INVALID_ARGUMENT,
            format!("Attribute {name}: the option value {} is given twice.", pair[0]),
        )),
        None => Ok(()),
    }
}

fn new_column(
    table: &Table,
    fresh: &Fresh<'_>,
    wish: NewColumn,
    ops: &mut Vec<SchemaOp>,
) -> Result<Uuid, Fault> {
    if wish.is_primary_name {
        return Err(Fault::new(
            code::INVALID_ARGUMENT,
            format!("Table '{}' has a primary name attribute already.", table.logical_name),
        ));
    }
    let mut definition = table.definition().clone();
    let before = definition.columns.len();
    let place = add_column(&mut definition, fresh, wish)?;
    check_column_count(&definition)?;
    let made = definition.columns[usize::from(place.0)].metadata_id;
    let brought_currency = table.index_of("transactioncurrencyid").is_none()
        && definition.columns.iter().any(|one| &*one.logical_name == "transactioncurrencyid");
    let added: Vec<Column> = definition.columns.drain(before..).collect();
    ops.extend(images::changed(table, &definition.columns));
    ops.extend(
        added
            .into_iter()
            .map(|column| SchemaOp::AddColumn { table: table.id, column: Box::new(column) }),
    );
    if brought_currency {
        let name = format!("transactioncurrency_{}", table.logical_name);
        ops.push(SchemaOp::AddRelationship(system::one_to_many(
            name,
            "transactioncurrency",
            &table.logical_name,
            "transactioncurrencyid",
            "transactioncurrencyid",
            model::DeleteAction::NoCascade,
        )));
    }
    Ok(made)
}

fn new_key(table: &Table, fresh: &Fresh<'_>, wish: NewKey) -> Result<AlternateKey, Fault> {
    elastic::check_key(table)?;
    names::check(&wish.schema_name, "EntityKey")?;
    let logical_name: Box<str> = wish.schema_name.to_lowercase().into();
    let refuse = |why: String| Fault::new(code::INVALID_ENTITY_KEY_OPERATION, why);
    if table.keys.len() >= KEYS_MAX {
        return Err(refuse(format!("Table '{}' has {KEYS_MAX} keys already.", table.logical_name)));
    }
    if wish.columns.is_empty() || wish.columns.len() > KEY_COLUMNS_MAX {
        return Err(refuse(format!("A key has 1 to {KEY_COLUMNS_MAX} attributes.")));
    }
    if table.keys.iter().any(|key| key.logical_name == logical_name) {
        return Err(Fault::new(
            code::ENTITY_KEY_NAME_EXISTS,
            format!("A key named {} exists for entity {}.", wish.schema_name, table.logical_name),
        ));
    }
    let mut columns = Vec::with_capacity(wish.columns.len());
    for name in &wish.columns {
        let index = table.index_of(name).ok_or_else(|| {
            Fault::new(
                code::QUERY_BUILDER_NO_ATTRIBUTE,
                format!(
                    "'{}' entity doesn't contain attribute with Name = '{name}' and NameMapping = 'Logical'.",
                    table.logical_name
                ),
            )
        })?;
        if columns.contains(&index) {
            return Err(refuse(format!("Attribute {name} is given twice in the key.")));
        }
        if !may_be_in_key(table.column(index)) {
            return Err(refuse(format!("Attribute {name} is of a type that a key cannot hold."))
                .with_hint("keys hold decimals, whole numbers, single-line texts, dates, lookups and choices"));
        }
        columns.push(index);
    }
    if table.key_over(&columns).is_some() {
        return Err(Fault::new(
            code::ENTITY_KEY_COLUMNS_EXIST,
            format!("A key over the same attributes exists for entity {}.", table.logical_name),
        ));
    }
    Ok(AlternateKey {
        id: table.next_key_id(),
        metadata_id: fresh.id(),
        logical_name,
        schema_name: wish.schema_name,
        display_name: wish.display_name,
        columns,
    })
}

fn may_be_in_key(column: &Column) -> bool {
    column.computed.is_none()
        && matches!(
            column.kind,
            ColumnKind::Text { .. }
                | ColumnKind::Integer { .. }
                | ColumnKind::Decimal { .. }
                | ColumnKind::DateTime { .. }
                | ColumnKind::Lookup { .. }
                | ColumnKind::Choice { .. }
        )
}

fn new_relationship(
    catalog: &Catalog,
    fresh: &Fresh<'_>,
    wish: NewRelationship,
    ops: &mut Vec<SchemaOp>,
) -> Result<Uuid, Fault> {
    names::check(&wish.schema_name, "Relationship")?;
    names::check(&wish.lookup_schema_name, "Attribute")?;
    let referenced = table_named(catalog, &wish.referenced_table)?;
    let referencing = table_named(catalog, &wish.referencing_table)?;
    let cascade = elastic::cascade_of(referenced, referencing, wish.cascade)?;
    relationship_is_free(catalog, &wish.schema_name)?;
    let navigation = wish.referencing_navigation.unwrap_or_else(|| wish.lookup_schema_name.clone());
    let mut definition = referencing.definition().clone();
    navigation_is_free(catalog, referencing, &navigation)?;
    let logical_name = wish.lookup_schema_name.to_lowercase();
    if referencing.index_of(&logical_name).is_some() {
        return Err(Fault::new(
            code::DUPLICATE_ATTRIBUTE_SCHEMA_NAME,
            format!(
                "Attribute {logical_name} already exists for entity {}.",
                referencing.logical_name
            ),
        ));
    }
    let targets = [(&*referenced.logical_name, &*navigation)];
    let mut column =
        columns::column(&wish.lookup_schema_name, "", lookup(LookupKind::Plain, &targets));
    column.display_name = wish.lookup_display_name;
    column.description = wish.lookup_description;
    column.required = wish.lookup_required;
    column.is_custom = true;
    // A lookup that cascades follow is indexed: deleting a row must not scan the tables that point to it.
    column.is_indexed = true;
    fresh.name_column(&mut column);
    push_next(&mut definition, column);
    check_column_count(&definition)?;
    let column = definition.columns.pop().expect("just pushed");
    ops.push(SchemaOp::AddColumn { table: referencing.id, column: Box::new(column) });
    let metadata_id = fresh.id();
    let now = Some(fresh.context.now);
    let relationship = OneToMany {
        metadata_id,
        referenced_table: referenced.logical_name.clone(),
        referenced_column: referenced.primary_key_name().into(),
        referencing_table: referencing.logical_name.clone(),
        referencing_column: logical_name.into(),
        referenced_navigation: wish
            .referenced_navigation
            .unwrap_or_else(|| wish.schema_name.clone()),
        referencing_navigation: navigation,
        schema_name: wish.schema_name,
        cascade,
        is_custom: true,
        is_hierarchical: wish.is_hierarchical,
        settings: model::RelationshipSettings {
            created_on: now,
            modified_on: now,
            ..wish.settings
        },
    };
    check_parental(catalog, &relationship)?;
    check_hierarchy(catalog, &relationship)?;
    ops.push(SchemaOp::AddRelationship(relationship));
    Ok(metadata_id)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use model::Timestamp;
    use std::sync::Arc;

    /// A user-owned table `ship_thing` with these columns after its key and name.
    pub(crate) fn table_with(columns: Vec<Column>) -> Table {
        let ids = IdSource::new(1);
        let context = context(Catalog::default());
        let fresh = Fresh { ids: &ids, context: &context };
        let mut made = new_table(
            &fresh,
            wish("ship_Thing"),
            "ship_thing".into(),
            "ship_things".into(),
            TableId(20),
            10_000,
        )
        .expect("a plain table");
        for column in columns {
            push(&mut made.columns, "ship_thing", column);
        }
        Table::new(made)
    }

    pub(crate) fn context(catalog: Catalog) -> Context {
        let caller = model::Caller {
            user: Uuid::from_u128(1),
            business_unit: Uuid::from_u128(2),
            on_behalf_of: None,
        };
        Context {
            catalog: Arc::new(catalog),
            caller,
            now: Timestamp(1_700_000_000),
            course: crate::step::Course::default(),
        }
    }

    pub(crate) fn wish(schema_name: &str) -> NewTable {
        NewTable {
            schema_name: schema_name.into(),
            entity_set_name: None,
            display_name: Label::english("Thing"),
            display_collection_name: Label::english("Things"),
            description: Label::default(),
            ownership: Ownership::User,
            kind: TableKind::Standard,
            has_notes: false,
            has_activities: false,
            change_tracking: None,
            settings: model::TableSettings::default(),
            columns: vec![NewColumn {
                schema_name: "ship_Name".into(),
                display_name: Label::english("Name"),
                description: Label::default(),
                required: RequiredLevel::None,
                kind: columns::text(100),
                is_primary_name: true,
                global_choice: None,
                settings: model::ColumnSettings::default(),
            }],
        }
    }

    fn check(wishes: Vec<NewTable>, want: Result<&[&str], model::ErrorCode>) {
        let ids = IdSource::new(1);
        let context = context(Catalog::default());
        let fresh = Fresh { ids: &ids, context: &context };
        let got = new_tables(&context.catalog, &fresh, wishes);
        let got = got.map(|tables| {
            tables.iter().map(|table| table.entity_set_name.to_string()).collect::<Vec<_>>()
        });
        assert_eq!(
            got.map_err(|fault| fault.code),
            want.map(|names| names.iter().map(ToString::to_string).collect())
        );
    }

    #[test]
    fn tables_get_their_names_and_collisions_are_refused() {
        check(vec![wish("ship_Crate"), wish("ship_Box")], Ok(&["ship_crates", "ship_boxes"]));
        check(vec![wish("ship_Crate"), wish("ship_crate")], Err(code::INVALID_SCHEMA_NAME));
        check(vec![wish("Crate")], Err(code::INVALID_NAME_PREFIX));
        let mut clash = wish("ship_Other");
        clash.entity_set_name = Some("ship_crates".into());
        check(vec![wish("ship_Crate"), clash], Err(code::INVALID_ENTITY_SET_NAME));
        let mut elastic = wish("ship_Ping");
        elastic.kind = TableKind::Elastic;
        check(vec![elastic], Ok(&["ship_pings"]));
        let mut nameless = wish("ship_Crate");
        nameless.columns.clear();
        check(vec![nameless], Err(code::INVALID_ARGUMENT));
        check(Vec::new(), Err(code::REQUIRED_FIELD_MISSING));
    }

    #[test]
    fn a_money_column_brings_its_twin_and_the_currency() {
        let mut table = table_with(Vec::new()).definition().clone();
        let ids = IdSource::new(1);
        let context = context(Catalog::default());
        let fresh = Fresh { ids: &ids, context: &context };
        let price = NewColumn {
            schema_name: "ship_Price".into(),
            display_name: Label::english("Price"),
            description: Label::default(),
            required: RequiredLevel::None,
            kind: columns::money(),
            is_primary_name: false,
            global_choice: None,
            settings: model::ColumnSettings::default(),
        };
        add_column(&mut table, &fresh, price).expect("a plain column");
        let table = Table::new(table);
        for name in ["ship_price", "ship_price_base", "transactioncurrencyid", "exchangerate"] {
            assert!(table.index_of(name).is_some(), "{name}");
        }
    }
}
