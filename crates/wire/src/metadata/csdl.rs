//! The model as CSDL: the XML that `$metadata` answers.
//!
//! In: a catalog. Out: one document, every table with all of its own properties, whatever its base type:
//! callers do not look at base types. Source: `webapi.md` 3. Not here: definitions as JSON (`member`).
//! Invariant: every type, property and navigation that is named in it is declared in it.

use super::column;
use model::{Catalog, Column, ColumnIndex, ColumnKind, Label, ManyToMany, OneToMany, Table};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, Event};
use std::collections::HashSet;
use std::io::Result;

type Xml = Writer<Vec<u8>>;

/// Functions without parameters of a table: name, parameters, and the members of their answer.
const FUNCTIONS: &[(&str, &[Typed], &[Typed])] = &[
    (
        "WhoAmI",
        &[],
        &[("BusinessUnitId", "Edm.Guid"), ("UserId", "Edm.Guid"), ("OrganizationId", "Edm.Guid")],
    ),
    ("RetrieveVersion", &[], &[("Version", "Edm.String")]),
    (
        "RetrieveTotalRecordCount",
        &[("EntityNames", "Collection(Edm.String)")],
        &[("EntityRecordCountCollection", "mscrm.EntityRecordCountCollection")],
    ),
];

/// A name and its type.
type Typed = (&'static str, &'static str);

/// Complex types beside the answers of functions.
const COMPLEX: &[(&str, &[Typed])] = &[
    (
        "EntityRecordCountCollection",
        &[
            ("Count", "Edm.Int32"),
            ("IsReadOnly", "Edm.Boolean"),
            ("Keys", "Collection(Edm.String)"),
            ("Values", "Collection(Edm.Int64)"),
        ],
    ),
    (
        "BooleanManagedProperty",
        &[
            ("Value", "Edm.Boolean"),
            ("CanBeChanged", "Edm.Boolean"),
            ("ManagedPropertyLogicalName", "Edm.String"),
        ],
    ),
];

/// Writes the document; with annotations, what the model knows beyond types.
pub fn write_csdl(catalog: &Catalog, annotated: bool) -> Vec<u8> {
    let mut xml = Writer::new(Vec::with_capacity(catalog.tables().len() * 4_096));
    document(&mut xml, catalog, annotated).expect("a vector takes every byte");
    xml.into_inner()
}

fn document(xml: &mut Xml, catalog: &Catalog, annotated: bool) -> Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    let namespace = ("xmlns:edmx", "http://docs.oasis-open.org/odata/ns/edmx");
    let root = xml.create_element("edmx:Edmx").with_attributes([("Version", "4.0"), namespace]);
    root.write_inner_content(|xml| {
        xml.create_element("edmx:DataServices").write_inner_content(|xml| {
            let schema = xml.create_element("Schema").with_attributes([
                ("Namespace", "Microsoft.Dynamics.CRM"),
                ("Alias", "mscrm"),
                ("xmlns", "http://docs.oasis-open.org/odata/ns/edm"),
            ]);
            schema.write_inner_content(|xml| schema_content(xml, catalog, annotated))?;
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(())
}

fn schema_content(xml: &mut Xml, catalog: &Catalog, annotated: bool) -> Result<()> {
    bases(xml)?;
    for table in catalog.tables() {
        entity_type(xml, catalog, table, annotated)?;
    }
    for (name, members) in COMPLEX {
        complex_type(xml, name, members)?;
    }
    for (name, _, answer) in FUNCTIONS {
        complex_type(xml, &format!("{name}Response"), answer)?;
    }
    for (name, parameters, _) in FUNCTIONS {
        xml.create_element("Function").with_attribute(("Name", *name)).write_inner_content(
            |xml| {
                for (parameter, kind) in *parameters {
                    xml.create_element("Parameter")
                        .with_attributes([
                            ("Name", *parameter),
                            ("Type", *kind),
                            ("Nullable", "false"),
                        ])
                        .write_empty()?;
                }
                let answer = format!("mscrm.{name}Response");
                xml.create_element("ReturnType")
                    .with_attributes([("Type", answer.as_str()), ("Nullable", "false")])
                    .write_empty()?;
                Ok(())
            },
        )?;
    }
    container(xml, catalog, annotated)
}

/// The types that others derive from.
fn bases(xml: &mut Xml) -> Result<()> {
    let base = |xml: &mut Xml, attributes: &[(&str, &str)]| -> Result<()> {
        let element = xml.create_element("EntityType");
        element.with_attributes(attributes.iter().copied()).write_empty()?;
        Ok(())
    };
    base(xml, &[("Name", "crmbaseentity"), ("Abstract", "true")])?;
    base(xml, &[("Name", "expando"), ("BaseType", "mscrm.crmbaseentity"), ("OpenType", "true")])?;
    base(xml, &[("Name", "crmmodelbaseentity"), ("Abstract", "true")])?;
    for (name, parent, key) in [
        ("principal", "crmbaseentity", "ownerid"),
        ("MetadataBase", "crmmodelbaseentity", "MetadataId"),
    ] {
        let parent = format!("mscrm.{parent}");
        let mut attributes = vec![("Name", name), ("BaseType", parent.as_str())];
        if name == "MetadataBase" {
            attributes.push(("Abstract", "true"));
        }
        xml.create_element("EntityType").with_attributes(attributes).write_inner_content(
            |xml| {
                key_of(xml, key)?;
                property(xml, key, "Edm.Guid", |_| Ok(()))
            },
        )?;
    }
    Ok(())
}

fn key_of(xml: &mut Xml, name: &str) -> Result<()> {
    xml.create_element("Key").write_inner_content(|xml| {
        xml.create_element("PropertyRef").with_attribute(("Name", name)).write_empty()?;
        Ok(())
    })?;
    Ok(())
}

fn property(
    xml: &mut Xml,
    name: &str,
    kind: &str,
    inside: impl FnOnce(&mut Xml) -> Result<()>,
) -> Result<()> {
    let mut attributes = vec![("Name", name), ("Type", kind)];
    match kind {
        "Edm.String" => attributes.push(("Unicode", "false")),
        "Edm.Decimal" => attributes.push(("Scale", "Variable")),
        _ => {}
    }
    // What is inside decides between `<a/>` and `<a>…</a>`.
    let mut inner = Writer::new(Vec::new());
    inside(&mut inner)?;
    let inner = inner.into_inner();
    let element = xml.create_element("Property").with_attributes(attributes);
    if inner.is_empty() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|xml| std::io::Write::write_all(xml.get_mut(), &inner))?;
    Ok(())
}

/// The base type of a table: users and teams are principals.
fn base_of(table: &Table) -> &'static str {
    match &*table.logical_name {
        "systemuser" | "team" => "mscrm.principal",
        _ => "mscrm.crmbaseentity",
    }
}

fn entity_type(xml: &mut Xml, catalog: &Catalog, table: &Table, annotated: bool) -> Result<()> {
    let attributes = [("Name", &*table.logical_name), ("BaseType", base_of(table))];
    xml.create_element("EntityType").with_attributes(attributes).write_inner_content(|xml| {
        key_of(xml, table.primary_key_name())?;
        let key = table.primary_key;
        let others = table.indexed_columns().filter(|(index, _)| *index != key);
        for (index, column) in std::iter::once((key, table.column(key))).chain(others) {
            column_property(xml, table, index, column, annotated)?;
        }
        let mut named: HashSet<&str> =
            table.indexed_columns().map(|(index, _)| table.value_name(index)).collect();
        for one in catalog.referenced_by(&table.logical_name) {
            if named.insert(&one.referencing_navigation) {
                single(xml, table, one)?;
            }
        }
        for one in catalog.referencing(&table.logical_name) {
            if named.insert(&one.referenced_navigation) {
                let partner = &one.referencing_navigation;
                several(xml, &one.referenced_navigation, &one.referencing_table, partner)?;
            }
        }
        for many in catalog.many_to_many_of(&table.logical_name) {
            pairs(xml, table, many, &mut named)?;
        }
        if annotated {
            annotation(xml, "Org.OData.Core.V1.Description", &table.description)?;
            keys(xml, table)?;
        }
        Ok(())
    })?;
    Ok(())
}

fn column_property(
    xml: &mut Xml,
    table: &Table,
    index: ColumnIndex,
    column: &Column,
    annotated: bool,
) -> Result<()> {
    let kind = column::shown(table, index).edm_type();
    property(xml, table.value_name(index), kind, |xml| {
        if !annotated {
            return Ok(());
        }
        annotation(xml, "Org.OData.Core.V1.Description", &column.description)?;
        let is_lookup = matches!(column.kind, ColumnKind::Lookup { .. });
        if is_lookup || !(column.valid_for_create || column.valid_for_update) {
            xml.create_element("Annotation")
                .with_attribute(("Term", "Org.OData.Core.V1.Permissions"))
                .write_inner_content(|xml| {
                    let member =
                        quick_xml::events::BytesText::new("Org.OData.Core.V1.PermissionType/Read");
                    xml.create_element("EnumMember").write_text_content(member)?;
                    Ok(())
                })?;
        }
        if column.computed.is_some() {
            xml.create_element("Annotation")
                .with_attributes([("Term", "Org.OData.Core.V1.Computed"), ("Bool", "true")])
                .write_empty()?;
        }
        Ok(())
    })
}

fn annotation(xml: &mut Xml, term: &str, label: &Label) -> Result<()> {
    if let Some(text) = label.shown().filter(|text| !text.is_empty()) {
        let attributes = [("Term", term), ("String", text)];
        xml.create_element("Annotation").with_attributes(attributes).write_empty()?;
    }
    Ok(())
}

/// The type that a lookup leads to: users and teams together are principals.
fn target_of(table: &Table, one: &OneToMany) -> String {
    let column = table.index_of(&one.referencing_column).map(|index| &table.column(index).kind);
    match column {
        Some(ColumnKind::Lookup { kind: model::LookupKind::Owner, .. }) => {
            "mscrm.principal".to_owned()
        }
        _ => format!("mscrm.{}", one.referenced_table),
    }
}

fn single(xml: &mut Xml, table: &Table, one: &OneToMany) -> Result<()> {
    let kind = target_of(table, one);
    let key = if kind == "mscrm.principal" { "ownerid" } else { &one.referenced_column };
    let attributes = [
        ("Name", &*one.referencing_navigation),
        ("Type", kind.as_str()),
        ("Nullable", "false"),
        ("Partner", &*one.referenced_navigation),
    ];
    let element = xml.create_element("NavigationProperty").with_attributes(attributes);
    element.write_inner_content(|xml| {
        let property = format!("_{}_value", one.referencing_column);
        xml.create_element("ReferentialConstraint")
            .with_attributes([("Property", property.as_str()), ("ReferencedProperty", key)])
            .write_empty()?;
        Ok(())
    })?;
    Ok(())
}

fn several(xml: &mut Xml, name: &str, table: &str, partner: &str) -> Result<()> {
    let kind = format!("Collection(mscrm.{table})");
    xml.create_element("NavigationProperty")
        .with_attributes([("Name", name), ("Type", kind.as_str()), ("Partner", partner)])
        .write_empty()?;
    Ok(())
}

fn pairs<'a>(
    xml: &mut Xml,
    table: &Table,
    many: &'a ManyToMany,
    named: &mut HashSet<&'a str>,
) -> Result<()> {
    let [first, second] = &many.ends;
    for (start, end) in [(first, second), (second, first)] {
        if start.table == table.logical_name && named.insert(&start.navigation) {
            several(xml, &start.navigation, &end.table, &end.navigation)?;
        }
    }
    Ok(())
}

/// The alternate keys of a table.
fn keys(xml: &mut Xml, table: &Table) -> Result<()> {
    if table.keys.is_empty() {
        return Ok(());
    }
    let term = ("Term", "OData.Community.Keys.V1.AlternateKeys");
    xml.create_element("Annotation").with_attribute(term).write_inner_content(|xml| {
        xml.create_element("Collection").write_inner_content(|xml| {
            for key in &table.keys {
                let kind = ("Type", "OData.Community.Keys.V1.AlternateKey");
                let record = xml.create_element("Record").with_attribute(kind);
                record.write_inner_content(|xml| {
                    let value = xml.create_element("PropertyValue");
                    value.with_attribute(("Property", "Key")).write_inner_content(|xml| {
                        xml.create_element("Collection").write_inner_content(|xml| {
                            key.columns
                                .iter()
                                .try_for_each(|column| key_part(xml, table.value_name(*column)))
                        })?;
                        Ok(())
                    })?;
                    Ok(())
                })?;
            }
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(())
}

fn key_part(xml: &mut Xml, name: &str) -> Result<()> {
    let record = ("Type", "OData.Community.Keys.V1.PropertyRef");
    xml.create_element("Record").with_attribute(record).write_inner_content(|xml| {
        xml.create_element("PropertyValue")
            .with_attributes([("Property", "Alias"), ("String", name)])
            .write_empty()?;
        xml.create_element("PropertyValue")
            .with_attributes([("Property", "Name"), ("PropertyPath", name)])
            .write_empty()?;
        Ok(())
    })?;
    Ok(())
}

fn complex_type(xml: &mut Xml, name: &str, members: &[Typed]) -> Result<()> {
    xml.create_element("ComplexType").with_attribute(("Name", name)).write_inner_content(
        |xml| members.iter().try_for_each(|(name, kind)| property(xml, name, kind, |_| Ok(()))),
    )?;
    Ok(())
}

fn container(xml: &mut Xml, catalog: &Catalog, annotated: bool) -> Result<()> {
    xml.create_element("EntityContainer").with_attribute(("Name", "System")).write_inner_content(
        |xml| {
            for table in catalog.tables() {
                entity_set(xml, catalog, table, annotated)?;
            }
            for (name, ..) in FUNCTIONS {
                let function = format!("Microsoft.Dynamics.CRM.{name}");
                xml.create_element("FunctionImport")
                    .with_attributes([("Name", *name), ("Function", function.as_str())])
                    .write_empty()?;
            }
            Ok(())
        },
    )?;
    Ok(())
}

fn entity_set(xml: &mut Xml, catalog: &Catalog, table: &Table, annotated: bool) -> Result<()> {
    let kind = format!("Microsoft.Dynamics.CRM.{}", table.logical_name);
    let attributes = [("Name", &*table.entity_set_name), ("EntityType", kind.as_str())];
    xml.create_element("EntitySet").with_attributes(attributes).write_inner_content(|xml| {
        let mut named: HashSet<&str> =
            table.indexed_columns().map(|(index, _)| table.value_name(index)).collect();
        let binding = |xml: &mut Xml, path: &str, to: &str| -> Result<()> {
            let Some(target) = catalog.table(to) else { return Ok(()) };
            xml.create_element("NavigationPropertyBinding")
                .with_attributes([("Path", path), ("Target", &*target.entity_set_name)])
                .write_empty()?;
            Ok(())
        };
        for one in catalog.referenced_by(&table.logical_name) {
            // Owners are of two sets: no one set is theirs.
            if named.insert(&one.referencing_navigation)
                && target_of(table, one) != "mscrm.principal"
            {
                binding(xml, &one.referencing_navigation, &one.referenced_table)?;
            }
        }
        for one in catalog.referencing(&table.logical_name) {
            if named.insert(&one.referenced_navigation) {
                binding(xml, &one.referenced_navigation, &one.referencing_table)?;
            }
        }
        for many in catalog.many_to_many_of(&table.logical_name) {
            let [first, second] = &many.ends;
            for (start, end) in [(first, second), (second, first)] {
                if start.table == table.logical_name && named.insert(&start.navigation) {
                    binding(xml, &start.navigation, &end.table)?;
                }
            }
        }
        if annotated {
            let supported = if table.change_tracking { "true" } else { "false" };
            let term = ("Term", "Org.OData.Capabilities.V1.ChangeTracking");
            xml.create_element("Annotation").with_attribute(term).write_inner_content(|xml| {
                xml.create_element("Record").write_inner_content(|xml| {
                    xml.create_element("PropertyValue")
                        .with_attributes([("Property", "Supported"), ("Bool", supported)])
                        .write_empty()?;
                    Ok(())
                })?;
                Ok(())
            })?;
        }
        Ok(())
    })?;
    Ok(())
}
