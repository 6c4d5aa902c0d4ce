//! `$metadata`, read back as clients read it.

use crate::service::Service;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// An element with its attributes and children.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
}

impl Element {
    fn of(start: &BytesStart<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let attributes = start.attributes().map(|attribute| {
            let attribute = attribute.expect("a sound attribute");
            let value =
                quick_xml::escape::unescape(std::str::from_utf8(&attribute.value).expect("UTF-8"));
            (text(attribute.key.as_ref()), value.expect("sound text").into_owned())
        });
        Self {
            name: text(start.name().as_ref()),
            attributes: attributes.collect(),
            children: Vec::new(),
        }
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    fn first(&self, name: &str) -> &Element {
        let mut found = self.children.iter().filter(|child| child.name == name);
        found.next().unwrap_or_else(|| panic!("{} has no {name}", self.name))
    }

    fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

fn read(text: &str) -> Element {
    let mut reader = Reader::from_str(text);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(start) => open.push(Element::of(&start)),
            Event::Empty(start) => {
                open.last_mut().expect("the document").children.push(Element::of(&start))
            }
            Event::End(_) => {
                let done = open.pop().expect("an open element");
                open.last_mut().expect("the document").children.push(done);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    open.pop().expect("the document")
}

async fn model(service: &Service, head: &str) -> Element {
    let answer = service.ok(head, "").await;
    assert_eq!(answer.header("content-type"), "application/xml; charset=utf-8");
    assert!(answer.text.starts_with("<?xml version=\"1.0\" encoding=\"utf-8\"?>"));
    read(&answer.text)
}

/// The first schema right below the data services, where clients look.
fn schema(document: &Element) -> &Element {
    document.first("edmx:Edmx").first("edmx:DataServices").first("Schema")
}

const PAIRS: &str = r#"{"@odata.type":"Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata","SchemaName":"new_crate_account","Entity1LogicalName":"new_crate","Entity2LogicalName":"account","IntersectEntityName":"new_Crate_Accounts"}"#;

#[tokio::test]
async fn every_table_has_its_key_and_all_its_properties() {
    let service = Service::with_crates().await;
    service.ok("POST /RelationshipDefinitions", PAIRS).await;
    let document = model(&service, "GET /$metadata\nAccept: application/json").await;
    let schema = schema(&document);
    assert_eq!(schema.get("Namespace"), "Microsoft.Dynamics.CRM");
    let catalog = service.pipeline.catalog();
    for table in catalog.tables() {
        let found = schema.all("EntityType").find(|one| one.get("Name") == &*table.logical_name);
        let found = found.unwrap_or_else(|| panic!("{} is missing", table.logical_name));
        let key = found.first("Key").first("PropertyRef").get("Name");
        assert_eq!(key, table.primary_key_name());
        let own: Vec<&str> = found.all("Property").map(|one| one.get("Name")).collect();
        assert!(own.contains(&key), "{key} is among the type's own properties");
        let names: BTreeSet<&str> = own.iter().copied().collect();
        assert_eq!(names.len(), own.len(), "no property stands twice");
        let want: BTreeSet<&str> =
            table.indexed_columns().map(|(index, _)| table.value_name(index)).collect();
        assert_eq!(names, want);
    }
    let crates = schema.all("EntityType").find(|one| one.get("Name") == "new_crate").unwrap();
    let kind = |name: &str| {
        let found = crates.all("Property").find(|one| one.get("Name") == name);
        found.map(|one| one.get("Type"))
    };
    assert_eq!(kind("new_label"), Some("Edm.String"));
    assert_eq!(kind("new_price"), Some("Edm.Decimal"));
    assert_eq!(kind("_new_holder_value"), Some("Edm.Guid"));
    assert_eq!(kind("createdon"), Some("Edm.DateTimeOffset"));
}

#[tokio::test]
async fn what_the_model_names_it_declares() {
    let service = Service::with_crates().await;
    service.ok("POST /RelationshipDefinitions", PAIRS).await;
    let document = model(&service, "GET /$metadata").await;
    let schema = schema(&document);
    let declared: HashSet<String> = ["EntityType", "ComplexType"]
        .into_iter()
        .flat_map(|kind| schema.all(kind))
        .map(|one| format!("mscrm.{}", one.get("Name")))
        .collect();
    let is_known = |kind: &str| {
        let inner = kind.strip_prefix("Collection(").and_then(|kind| kind.strip_suffix(')'));
        let kind = inner.unwrap_or(kind);
        kind.starts_with("Edm.") || declared.contains(kind)
    };
    let types: BTreeMap<&str, &Element> =
        schema.all("EntityType").map(|one| (one.get("Name"), one)).collect();
    for (name, one) in &types {
        let base = one.get("BaseType");
        assert!(base.is_empty() || declared.contains(base), "{name}: {base}");
        let properties: HashSet<&str> = one.all("Property").map(|one| one.get("Name")).collect();
        let mut navigations = HashSet::new();
        for navigation in one.all("NavigationProperty") {
            let kind = navigation.get("Type");
            assert!(is_known(kind), "{name}: {kind}");
            let navigation_name = navigation.get("Name");
            assert!(!properties.contains(navigation_name), "{name}.{navigation_name}");
            assert!(navigations.insert(navigation_name), "{name}.{navigation_name} twice");
            for constraint in navigation.all("ReferentialConstraint") {
                assert_eq!(navigation.get("Nullable"), "false");
                assert!(properties.contains(constraint.get("Property")));
                let target = types[kind.trim_start_matches("mscrm.")];
                let key = constraint.get("ReferencedProperty");
                assert!(target.all("Property").any(|one| one.get("Name") == key), "{name}: {key}");
            }
        }
    }
    let pairs: Vec<&Element> = ["new_crate", "account"]
        .into_iter()
        .filter_map(|name| {
            let mut all = types[name].all("NavigationProperty");
            all.find(|one| one.get("Name") == "new_crate_account")
        })
        .collect();
    assert_eq!(pairs.len(), 2);
    assert_eq!(pairs[0].get("Type"), "Collection(mscrm.account)");
    assert_eq!(pairs[1].get("Partner"), "new_crate_account");
    let holder =
        types["new_crate"].all("NavigationProperty").find(|one| one.get("Name") == "new_Holder");
    assert_eq!(holder.expect("the lookup").get("Partner"), "new_account_crate");
}

#[tokio::test]
async fn the_model_the_service_and_the_definitions_list_the_same_tables() {
    let service = Service::with_crates().await;
    service.ok("POST /RelationshipDefinitions", PAIRS).await;
    let document = model(&service, "GET /$metadata").await;
    let container = schema(&document).first("EntityContainer");
    let mut model: Vec<String> =
        container.all("EntitySet").map(|one| one.get("Name").to_owned()).collect();
    let listed = service.ok("GET /", "").await;
    let mut sets: Vec<String> =
        listed.column("name").iter().map(|name| (*name).to_owned()).collect();
    let definitions = service.ok("GET /EntityDefinitions?$select=EntitySetName", "").await;
    let mut defined: Vec<String> =
        definitions.column("EntitySetName").iter().map(|name| (*name).to_owned()).collect();
    model.sort();
    sets.sort();
    defined.sort();
    assert_eq!(model, sets);
    assert_eq!(model, defined);
    let names: HashSet<&str> = model.iter().map(String::as_str).collect();
    for set in container.all("EntitySet") {
        for binding in set.all("NavigationPropertyBinding") {
            assert!(names.contains(binding.get("Target")), "{}", binding.get("Target"));
        }
    }
}

#[tokio::test]
async fn annotations_come_when_they_are_asked_for() {
    let service = Service::with_crates().await;
    let plain = service.ok("GET /$metadata", "").await;
    assert!(!plain.text.contains("<Annotation "));
    for head in [
        "GET /$metadata?annotations=true",
        "GET /$metadata\nPrefer: odata.include-annotations=\"*\"",
    ] {
        let document = model(&service, head).await;
        let crates = schema(&document);
        let crates = crates.all("EntityType").find(|one| one.get("Name") == "new_crate").unwrap();
        let terms: Vec<&str> = crates.all("Annotation").map(|one| one.get("Term")).collect();
        assert!(terms.contains(&"OData.Community.Keys.V1.AlternateKeys"), "{terms:?}");
        let created = crates.all("Property").find(|one| one.get("Name") == "createdon").unwrap();
        assert_eq!(created.first("Annotation").get("Term"), "Org.OData.Core.V1.Permissions");
    }
    service.refused("POST /$metadata", "", (405, "0x80060888", "POST")).await;
    service.refused("GET /$metadata?$filter=x", "", (400, "0x80060888", "$filter")).await;
}
