//! Lookups to several tables: polymorphic ones, and customers.
//!
//! Source: `metadata.md` 6.3 and 6.4. Invariant: the column and all its relationships come together.

use super::columns::{self, lookup};
use super::{Fresh, elastic, names, push_next, relationship_is_free, table_named};
use model::{
    Catalog, Fault, LookupKind, NewLookup, NewRelationship, OneToMany, RelationshipSettings,
    TableKind, Uuid, code,
};
use store::SchemaOp;

/// Tables that one lookup may lead to at most.
const TARGETS_MAX: usize = 100;

fn refuse<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(code::INVALID_ARGUMENT, why.into()))
}

/// Plans the column and its relationships; answers their ids, then the column's.
pub(super) fn plan(
    catalog: &Catalog,
    fresh: &Fresh<'_>,
    wish: NewLookup,
    ops: &mut Vec<SchemaOp>,
) -> Result<Vec<Uuid>, Fault> {
    let NewLookup { kind, relationships } = wish;
    let Some(first) = relationships.first() else {
        return refuse("A lookup needs at least one relationship.");
    };
    if relationships.len() > TARGETS_MAX {
        return refuse(format!("A lookup leads to at most {TARGETS_MAX} entities."));
    }
    check(catalog, kind, &relationships)?;
    names::check(&first.lookup_schema_name, "Attribute")?;
    let table = table_named(catalog, &first.referencing_table)?;
    if table.kind == TableKind::Elastic && relationships.len() > 1 {
        return refuse("A lookup of an elastic table leads to one entity.");
    }
    let logical_name = first.lookup_schema_name.to_lowercase();
    if table.index_of(&logical_name).is_some() {
        return Err(Fault::new(
            code::DUPLICATE_ATTRIBUTE_SCHEMA_NAME,
            format!("Attribute {logical_name} already exists for entity {}.", table.logical_name),
        ));
    }
    let navigations: Vec<Box<str>> = relationships
        .iter()
        .map(|one| match &one.referencing_navigation {
            Some(given) => given.clone(),
            None => format!("{}_{}", first.lookup_schema_name, one.referenced_table).into(),
        })
        .collect();
    let targets: Vec<(&str, &str)> = relationships
        .iter()
        .zip(&navigations)
        .map(|(one, navigation)| (&*one.referenced_table, &**navigation))
        .collect();
    for navigation in &navigations {
        super::navigation_is_free(catalog, table, navigation)?;
    }
    let mut column = columns::column(&first.lookup_schema_name, "", lookup(kind, &targets));
    column.display_name = first.lookup_display_name.clone();
    column.description = first.lookup_description.clone();
    column.required = first.lookup_required;
    column.is_custom = true;
    column.is_indexed = true;
    fresh.name_column(&mut column);
    let column_id = column.metadata_id;
    let mut definition = table.definition().clone();
    push_next(&mut definition, column);
    super::check_column_count(&definition)?;
    let column = definition.columns.pop().expect("just pushed");
    ops.push(SchemaOp::AddColumn { table: table.id, column: Box::new(column) });
    let now = Some(fresh.context.now);
    let mut made = Vec::new();
    for (one, navigation) in relationships.into_iter().zip(navigations) {
        let referenced = table_named(catalog, &one.referenced_table)?;
        let relationship = OneToMany {
            metadata_id: fresh.id(),
            referenced_table: referenced.logical_name.clone(),
            referenced_column: referenced.primary_key_name().into(),
            referencing_table: table.logical_name.clone(),
            referencing_column: logical_name.as_str().into(),
            referenced_navigation: one
                .referenced_navigation
                .unwrap_or_else(|| one.schema_name.clone()),
            referencing_navigation: navigation,
            cascade: elastic::cascade_of(referenced, table, one.cascade)?,
            is_custom: true,
            is_hierarchical: false,
            settings: RelationshipSettings { created_on: now, modified_on: now, ..one.settings },
            schema_name: one.schema_name,
        };
        super::check_parental(catalog, &relationship)?;
        made.push(relationship.metadata_id);
        ops.push(SchemaOp::AddRelationship(relationship));
    }
    made.push(column_id);
    Ok(made)
}

/// What must hold between the relationships of one lookup.
fn check(catalog: &Catalog, kind: LookupKind, wishes: &[NewRelationship]) -> Result<(), Fault> {
    for (place, one) in wishes.iter().enumerate() {
        names::check(&one.schema_name, "Relationship")?;
        relationship_is_free(catalog, &one.schema_name)?;
        let before = wishes.iter().take(place);
        for other in before {
            if other.schema_name.eq_ignore_ascii_case(&one.schema_name)
                || other.referenced_table == one.referenced_table
            {
                return refuse(format!(
                    "Relationship {}: its name and its referenced entity stand once.",
                    one.schema_name
                ));
            }
        }
        if one.referencing_table != wishes[0].referencing_table {
            return refuse("The relationships of a lookup have one referencing entity.");
        }
        if one.is_hierarchical {
            return refuse("A lookup to several entities is no hierarchy.");
        }
    }
    if kind == LookupKind::Customer {
        let mut tables: Vec<&str> = wishes.iter().map(|one| &*one.referenced_table).collect();
        tables.sort_unstable();
        if tables != ["account", "contact"] {
            return refuse("A customer column leads to account and contact.");
        }
    }
    Ok(())
}
