//! Many-to-many relationships and the tables that hold their pairs.
//!
//! Source: `metadata.md` 6.2, `webapi.md` 17.1. Not here: making and removing pairs (`associate`).
//! Invariant: an intersect table is an id, two lookups, a version and what the system adds by hand; a
//! pair stands in it once.

use super::columns::{column, lookup, push, read_only};
use super::{Fresh, names, relationship_is_free, table_named};
use model::{
    AlternateKey, Catalog, ColumnKind, Fault, Label, LookupKind, ManyToMany, ManyToManyEnd,
    NewManyToMany, Ownership, RelationshipSettings, RequiredLevel, Table, TableDefinition, TableId,
    TableKind, Uuid, code,
};
use store::SchemaOp;

/// Names of an intersect table, beside those of its columns.
pub(crate) struct Intersect<'a> {
    pub(crate) schema_name: &'a str,
    pub(crate) key_schema_name: &'a str,
    pub(crate) entity_set_name: &'a str,
    pub(crate) object_type_code: i32,
    /// Schema names of the two columns, each with the table that it points to.
    pub(crate) ends: [(&'a str, &'a str); 2],
}

/// An intersect table; its number and its own metadata id are still to be given.
pub(crate) fn intersect(names: &Intersect<'_>) -> TableDefinition {
    let logical_name: Box<str> = names.schema_name.to_lowercase().into();
    let mut columns = Vec::new();
    let mut key = read_only(names.key_schema_name, names.schema_name, ColumnKind::Guid);
    key.valid_for_create = true;
    key.required = RequiredLevel::SystemRequired;
    let primary_key = push(&mut columns, &logical_name, key);
    let ends = names.ends.map(|(schema_name, target)| {
        let navigation = schema_name.to_lowercase();
        let kind = lookup(LookupKind::Plain, &[(target, &navigation)]);
        let mut end = column(schema_name, schema_name, kind);
        end.valid_for_update = false;
        // Deletes of either side look for their pairs here.
        end.is_indexed = true;
        push(&mut columns, &logical_name, end)
    });
    push(
        &mut columns,
        &logical_name,
        read_only("VersionNumber", "Version Number", ColumnKind::BigInt),
    );
    TableDefinition {
        id: TableId(0),
        metadata_id: Uuid::nil(),
        schema_name: names.schema_name.into(),
        entity_set_name: names.entity_set_name.into(),
        collection_schema_name: names.entity_set_name.into(),
        display_name: Label::default(),
        display_collection_name: Label::default(),
        description: Label::default(),
        object_type_code: names.object_type_code,
        ownership: Ownership::None,
        kind: TableKind::Standard,
        is_custom: false,
        is_intersect: true,
        is_activity: false,
        has_notes: false,
        has_activities: false,
        change_tracking: false,
        optimistic_concurrency: false,
        settings: model::TableSettings::default(),
        columns,
        primary_key,
        primary_name: None,
        keys: vec![AlternateKey {
            id: 1,
            metadata_id: super::columns::derived_id(&format!("pair {logical_name}")),
            logical_name: format!("{logical_name}_pair").into(),
            schema_name: format!("{}_Pair", names.schema_name).into(),
            display_name: Label::default(),
            columns: ends.to_vec(),
        }],
        logical_name,
    }
}

/// Plans a relationship with its intersect table; answers the relationship's id and the table.
pub(super) fn plan(
    catalog: &Catalog,
    fresh: &Fresh<'_>,
    wish: NewManyToMany,
    ops: &mut Vec<SchemaOp>,
) -> Result<(Uuid, TableDefinition), Fault> {
    names::check(&wish.schema_name, "Relationship")?;
    relationship_is_free(catalog, &wish.schema_name)?;
    let given = wish.intersect_table.unwrap_or_else(|| wish.schema_name.clone());
    names::check(&given, "Entity")?;
    let logical_name = given.to_lowercase();
    let set = format!("{logical_name}set");
    if catalog.table(&logical_name).is_some() || catalog.table_of_set(&set).is_some() {
        return Err(Fault::new(
            code::INVALID_SCHEMA_NAME,
            "An entity with the specified name already exists. Please specify a unique name.",
        )
        .with_hint(format!("table `{logical_name}` exists: choose another IntersectEntityName")));
    }
    let [first, second] = wish.ends;
    let tables = [table_named(catalog, &first.table)?, table_named(catalog, &second.table)?];
    tables.iter().try_for_each(|table| may_take_part(table))?;
    let keys = tables.map(|table| &*table.column(table.primary_key).schema_name);
    // Tables that share the name of their key (activities) are told apart as one table's two sides are.
    let columns = match tables[0].primary_key_name() == tables[1].primary_key_name() {
        true => [format!("{}One", keys[0]), format!("{}Two", keys[1])],
        false => keys.map(str::to_owned),
    };
    let navigation = |given: Option<Box<str>>| given.unwrap_or_else(|| wish.schema_name.clone());
    let ends = [
        ManyToManyEnd {
            table: first.table,
            navigation: navigation(first.navigation),
            column: columns[0].to_lowercase().into(),
            menu: first.menu,
        },
        ManyToManyEnd {
            table: second.table,
            navigation: navigation(second.navigation),
            column: columns[1].to_lowercase().into(),
            menu: second.menu,
        },
    ];
    for (end, table) in ends.iter().zip(tables) {
        super::navigation_is_free(catalog, table, &end.navigation)?;
    }
    let mut table = intersect(&Intersect {
        schema_name: &given,
        key_schema_name: &format!("{given}Id"),
        entity_set_name: &set,
        object_type_code: super::next_type_code(catalog),
        ends: [(&columns[0], &ends[0].table), (&columns[1], &ends[1].table)],
    });
    table.id = TableId(catalog.table_number_max() + 1);
    table.is_custom = true;
    fresh.name_table(&mut table);
    ops.push(SchemaOp::CreateTable(Box::new(table.clone())));
    let metadata_id = fresh.id();
    ops.push(SchemaOp::AddManyToMany(ManyToMany {
        metadata_id,
        schema_name: wish.schema_name.clone(),
        intersect_table: table.logical_name.clone(),
        ends,
        is_custom: true,
        settings: RelationshipSettings {
            created_on: Some(fresh.context.now),
            modified_on: Some(fresh.context.now),
            advanced_find: wish.advanced_find,
            ..RelationshipSettings::default()
        },
    }));
    Ok((metadata_id, table))
}

/// Refuses tables that cannot be a side.
fn may_take_part(table: &Table) -> Result<(), Fault> {
    let refuse = |hint: String| {
        Err(Fault::new(code::NOT_SUPPORTED, "This action is not supported.").with_hint(hint))
    };
    if table.kind == TableKind::Elastic {
        return refuse(format!(
            "table `{}` is elastic: many-to-many relationships of elastic tables are not served",
            table.logical_name
        ));
    }
    if !can_take_part(table) {
        return refuse(format!(
            "table `{}` cannot be a side of a many-to-many relationship",
            table.logical_name
        ));
    }
    Ok(())
}

/// Whether a table can be a side of a many-to-many relationship.
pub(crate) fn can_take_part(table: &TableDefinition) -> bool {
    !table.is_intersect && table.kind == TableKind::Standard
}
