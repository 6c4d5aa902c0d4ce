//! From the properties of a record to a target, by the columns of its table.
//!
//! Not here: the shape of the body (`body`), types of values (`literal`), references (`reference`).
//! Invariant: of the errors of a body the first one of the lowest row is kept.

use super::body;
use super::deep::{NESTING_MAX, Nested, Nesting, NewRecord, Pairs};
use super::property::{Property, classify};
use crate::error::{Error, Result, cut};
use crate::etag::{self, ETag};
use crate::literal::{self, Refusal};
use crate::reference;
use model::{
    Bind, Catalog, Cell, ColumnIndex, ColumnKind, LookupValue, MessageName, Table, TableKind,
    Target, TargetKey, Value, partition,
};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

/// How `@odata.type` names a table.
const TYPE_PREFIX: &str = "Microsoft.Dynamics.CRM.";

/// What is known while a body is read.
pub(super) struct Decoder<'a> {
    /// The bulk action; none for a single record.
    message: Option<MessageName>,
    table: &'a Arc<Table>,
    catalog: &'a Catalog,
    /// The record that is being read, in the list.
    index: usize,
    /// The error to report, as far as it is known.
    worst: Option<Error>,
    /// The properties of the last record in their order: most records repeat it.
    hints: Vec<(Box<str>, Property)>,
    /// Per column: one more than the last record that had it. Tells repeats without a search.
    stamps: Vec<usize>,
    /// How many cells the last record had.
    cells: usize,
    /// The first property of the record that is no annotation.
    first_column: String,
    /// What the record brings along; none where it may not.
    nesting: Option<Nesting>,
}

/// What one record says besides its columns.
#[derive(Default)]
pub(super) struct Envelope {
    has_key: bool,
    has_type: bool,
    by_reference: Option<TargetKey>,
    other_table: Option<Error>,
    has_first_column: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(
        message: Option<MessageName>,
        table: &'a Arc<Table>,
        catalog: &'a Catalog,
    ) -> Self {
        Self {
            message,
            table,
            catalog,
            index: 0,
            worst: None,
            hints: Vec::new(),
            stamps: vec![0; table.columns.len()],
            cells: 0,
            first_column: String::new(),
            nesting: None,
        }
    }

    /// Reads one new record, which lies this deep in others and may bring others along.
    pub(super) fn nesting(table: &'a Arc<Table>, catalog: &'a Catalog, depth: usize) -> Self {
        let nesting = Some(Nesting { depth, ..Nesting::default() });
        Self { nesting, ..Self::new(None, table, catalog) }
    }

    /// What the record brought along.
    pub(super) fn take_nested(&mut self) -> Vec<Nested> {
        self.nesting.take().map(|nesting| nesting.found).unwrap_or_default()
    }

    /// An empty record with room for as many cells as the last one had.
    pub(super) fn start_record(&self) -> Target {
        Target { cells: Vec::with_capacity(self.cells), ..Target::default() }
    }

    /// Goes on to the next item of the list.
    pub(super) fn next_record(&mut self) {
        self.index += 1;
    }

    pub(super) fn report_no_object(&mut self) {
        self.report(Error::ItemNotAnObject { index: self.index });
    }

    /// The answer: what was read, or the error to report.
    pub(super) fn finish_body<T>(self, value: T) -> Result<T> {
        self.worst.map_or(Ok(value), Err)
    }

    /// Keeps an error if it outranks the one that is known.
    pub(super) fn report(&mut self, error: Error) {
        if self.worst.as_ref().is_none_or(|worst| error.rank() < worst.rank()) {
            self.worst = Some(error);
        }
    }

    /// The index to blame: none for a single record.
    fn place(&self) -> Option<usize> {
        self.message.map(|_| self.index)
    }

    /// What the property at this place of the record means.
    pub(super) fn property(&mut self, place: usize, name: &str) -> Property {
        if let Some((known, property)) = self.hints.get(place)
            && &**known == name
        {
            return *property;
        }
        let property = classify(name, self.table, self.catalog);
        match self.hints.get_mut(place) {
            Some(hint) => *hint = (name.into(), property),
            None => self.hints.push((name.into(), property)),
        }
        property
    }

    /// The name of the property that was just read.
    fn name(&self, place: usize) -> String {
        self.hints.get(place).map_or_else(String::new, |(name, _)| cut(name))
    }

    fn base_name(&self, place: usize) -> String {
        let mut name = self.name(place);
        if let Some(end) = name.find('@') {
            name.truncate(end);
        }
        name
    }

    /// Marks a column as given in this record; tells whether it already was.
    fn stamp(&mut self, column: ColumnIndex) -> bool {
        let now = self.index + 1;
        match self.stamps.get_mut(usize::from(column.0)) {
            Some(stamp) => std::mem::replace(stamp, now) == now,
            None => false,
        }
    }

    /// Takes one property into the record.
    pub(super) fn take(
        &mut self,
        place: usize,
        property: Property,
        raw: &str,
        target: &mut Target,
        envelope: &mut Envelope,
    ) {
        match property {
            Property::Ignored => {}
            Property::Type => self.take_type(raw, envelope),
            Property::Id => self.take_id(raw, envelope),
            Property::Etag => self.take_etag(raw, target),
            Property::PrimaryKey => self.take_key(place, raw, target, envelope),
            Property::Column(column) => self.take_value(place, column, raw, target),
            Property::Bind(column, nav) => self.take_bind(place, column, nav, raw, target),
            Property::Navigation(column, _) if raw == "null" => {
                if !self.stamp(column) {
                    target.cells.push(Cell { column, value: Value::Null });
                }
            }
            Property::Navigation(column, nav) if self.may_nest(raw) => {
                self.take_parent(place, column, nav, raw, target);
            }
            Property::Collection if self.may_nest(raw) => self.take_children(place, raw),
            Property::Navigation(..) | Property::Collection => self.refuse_record(place, raw),
            Property::CollectionBind if self.nesting.is_some() => self.take_links(place, raw),
            Property::CollectionBind => {
                let property = self.base_name(place);
                self.report(Error::CollectionBind { index: self.place(), property });
            }
            Property::UnknownNavigation => {
                let property = self.base_name(place);
                let table = self.table.logical_name.clone();
                self.report(Error::UnknownNavigation { index: self.place(), property, table });
            }
            Property::Unknown => {
                let property = self.name(place);
                let table = self.table.logical_name.clone();
                self.report(Error::UnknownProperty { index: self.place(), property, table });
            }
        }
        if !envelope.has_first_column
            && !matches!(property, Property::Type | Property::Id | Property::Etag)
        {
            envelope.has_first_column = true;
            self.first_column.clear();
            if let Some((name, _)) = self.hints.get(place) {
                self.first_column.push_str(name.split('@').next().unwrap_or_default());
            }
            envelope.has_first_column = !self.first_column.is_empty();
        }
    }

    fn take_type(&mut self, raw: &str, envelope: &mut Envelope) {
        if self.message.is_none() {
            return;
        }
        let Some(text) = literal::string(raw).filter(|text| !text.is_empty()) else { return };
        envelope.has_type = true;
        let name = text.strip_prefix('#').unwrap_or(&text);
        let name = name.strip_prefix(TYPE_PREFIX);
        if name == Some(&*self.table.logical_name) {
            return;
        }
        let index = self.index;
        envelope.other_table = Some(match name {
            Some(name) if self.catalog.table(name).is_some() => {
                Error::OtherTable { index, name: name.to_owned(), first_column: None }
            }
            _ => Error::UnknownTable { index, name: cut(name.unwrap_or(&text)) },
        });
    }

    fn take_id(&mut self, raw: &str, envelope: &mut Envelope) {
        let reads_id = matches!(
            self.message,
            Some(
                MessageName::UpdateMultiple
                    | MessageName::UpsertMultiple
                    | MessageName::DeleteMultiple
            )
        );
        if !reads_id || raw == "null" {
            return;
        }
        let Some(text) = literal::string(raw) else {
            self.report(Error::BadReference { index: self.place(), text: cut(raw) });
            return;
        };
        match reference::parse(&text, self.catalog) {
            Ok((table, key)) if table.id == self.table.id => envelope.by_reference = Some(key),
            Ok((table, _)) => self.report(Error::ReferenceTable {
                index: self.place(),
                property: "@odata.id".to_owned(),
                table: table.logical_name.clone(),
            }),
            Err(error) => self.report(error.at(self.place())),
        }
    }

    fn take_etag(&mut self, raw: &str, target: &mut Target) {
        let reads_etag =
            matches!(self.message, Some(MessageName::UpdateMultiple | MessageName::DeleteMultiple));
        if !reads_etag || raw == "null" {
            return;
        }
        match literal::string(raw).as_deref().map(etag::parse) {
            Some(None | Some(ETag::Any)) => {}
            Some(Some(ETag::Version(version))) => target.expected_version = Some(version),
            // Tags of elastic rows are opaque: one that was never given out matches no row.
            Some(Some(ETag::Other)) if self.table.kind == TableKind::Elastic => {
                target.expected_version = Some(i64::MIN);
            }
            Some(Some(ETag::Other)) | None => self.report(Error::BadLiteral {
                index: self.place(),
                property: "@odata.etag".to_owned(),
                literal: shown(raw),
                edm_type: "Edm.String",
            }),
        }
    }

    fn take_key(&mut self, place: usize, raw: &str, target: &mut Target, envelope: &mut Envelope) {
        if std::mem::replace(&mut envelope.has_key, true) {
            self.report_duplicate(place);
        }
        match literal::from_json(&ColumnKind::Guid, raw) {
            Ok(Value::Guid(id)) => target.key = TargetKey::Id(id),
            Ok(_) => {}
            Err(refusal) => self.report_value(place, self.table.primary_key, raw, refusal),
        }
    }

    fn take_value(&mut self, place: usize, column: ColumnIndex, raw: &str, target: &mut Target) {
        if self.stamp(column) {
            self.report_duplicate(place);
            return;
        }
        match literal::from_json(&self.table.column(column).kind, raw) {
            Ok(value) => target.cells.push(Cell { column, value }),
            Err(refusal) => self.report_value(place, column, raw, refusal),
        }
    }

    fn take_bind(
        &mut self,
        place: usize,
        column: ColumnIndex,
        nav: usize,
        raw: &str,
        target: &mut Target,
    ) {
        let repeated = self.stamp(column);
        if raw == "null" {
            if !repeated {
                target.cells.push(Cell { column, value: Value::Null });
            }
            return;
        }
        if repeated {
            // Null or another table of the same column: what names a record last counts.
            target.cells.retain(|cell| cell.column != column);
            target.binds.retain(|bind| bind.column != column);
        }
        let Some(text) = literal::string(raw) else {
            self.report(Error::BadReference { index: self.place(), text: cut(raw) });
            return;
        };
        let (table, key) = match reference::parse(&text, self.catalog) {
            Ok(found) => found,
            Err(error) => {
                self.report(error.at(self.place()));
                return;
            }
        };
        if !points_to(self.table, column, nav, &table) {
            let property = self.base_name(place);
            let table = table.logical_name.clone();
            self.report(Error::ReferenceTable { index: self.place(), property, table });
            return;
        }
        match key {
            TargetKey::Id(id) => {
                let value = Value::Lookup(LookupValue { table: table.id, id });
                target.cells.push(Cell { column, value });
            }
            TargetKey::Alternate(key) => target.binds.push(Bind { column, table, key }),
            TargetKey::None => {}
        }
    }

    /// Whether this is a record or a list, and such may stand here.
    fn may_nest(&self, raw: &str) -> bool {
        self.nesting.is_some() && matches!(raw.as_bytes().first(), Some(b'{' | b'['))
    }

    /// `nav: {…}`: a new record that this one will point to.
    fn take_parent(
        &mut self,
        place: usize,
        column: ColumnIndex,
        nav: usize,
        raw: &str,
        target: &mut Target,
    ) {
        if self.stamp(column) {
            self.report_duplicate(place);
            return;
        }
        let ColumnKind::Lookup { targets, .. } = &self.table.column(column).kind else { return };
        let Some(named) = targets.get(nav) else { return };
        let same = targets.iter().filter(|target| target.navigation == named.navigation).count();
        let table = self.catalog.table(&named.table).filter(|_| same == 1);
        let (Some(table), true) = (table, raw.starts_with('{')) else {
            self.refuse_record(place, raw);
            return;
        };
        debug_assert!(target.cells.iter().all(|cell| cell.column != column));
        if let Some(record) = self.nested(place, table, raw) {
            self.found(Nested::Parent { column, record });
        }
    }

    /// `nav: [{…}]`: new records that will point to this one.
    fn take_children(&mut self, place: usize, raw: &str) {
        let name = self.name(place);
        if self.repeats(&name) {
            self.report_duplicate(place);
            return;
        }
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw) else {
            let (index, literal) = (self.place(), shown(raw));
            self.report(Error::NavigationValue { index, property: name, literal });
            return;
        };
        let pairs = Pairs::of(self.catalog, self.table, &name);
        let child = self.child(&name);
        let Some(table) = child.map(|(table, _)| table).or(pairs.as_ref().map(|it| &it.members))
        else {
            self.refuse_record(place, raw);
            return;
        };
        let mut records = Vec::with_capacity(items.len());
        for item in items {
            if !item.get().starts_with('{') {
                let (index, literal) = (self.place(), shown(item.get()));
                self.report(Error::NavigationValue { index, property: name, literal });
                return;
            }
            let Some(record) = self.nested(place, table, item.get()) else { return };
            let Some((_, column)) = child else {
                records.push(record);
                continue;
            };
            let own = &record.target;
            let points = own.cells.iter().any(|cell| cell.column == column)
                || own.binds.iter().any(|bind| bind.column == column)
                || record.nested.iter().any(|nested| nested.is_parent(column));
            if points {
                // It says itself where it points to, and its place says so, too.
                let property = table.value_name(column).to_owned();
                self.report(Error::DuplicateProperty { index: self.place(), property });
                return;
            }
            records.push(record);
        }
        match (child, pairs) {
            (Some((table, column)), _) => {
                let table = Arc::clone(table);
                self.found(Nested::Children { table, column, records });
            }
            (None, Some(pairs)) => self.found(Nested::Paired { pairs, records }),
            (None, None) => {}
        }
    }

    /// `nav@odata.bind: ["/contacts(…)"]`: records there are that will point to this one.
    fn take_links(&mut self, place: usize, raw: &str) {
        let (index, name) = (self.place(), self.base_name(place));
        let Ok(items) = serde_json::from_str::<Vec<Cow<'_, str>>>(raw) else {
            self.report(Error::BadReference { index, text: cut(raw) });
            return;
        };
        let pairs = Pairs::of(self.catalog, self.table, &name);
        let child = self.child(&name);
        let table = child.map(|(table, _)| table).or(pairs.as_ref().map(|it| &it.members));
        let Some(table) = table.map(Arc::clone) else {
            self.report(Error::CollectionBind { index, property: name });
            return;
        };
        if table.kind == TableKind::Elastic || self.table.kind == TableKind::Elastic {
            let what = "Linking records of elastic tables".to_owned();
            self.report(Error::Unsupported { what });
            return;
        }
        let mut keys = Vec::with_capacity(items.len());
        for item in &items {
            match reference::parse(item, self.catalog) {
                Ok((named, key)) if named.id == table.id => keys.push(key),
                Ok((other, _)) => {
                    let table = other.logical_name.clone();
                    self.report(Error::ReferenceTable { index, property: name, table });
                    return;
                }
                Err(error) => {
                    self.report(error.at(index));
                    return;
                }
            }
        }
        match (child, pairs) {
            (Some((_, column)), _) => self.found(Nested::Links { table, column, keys }),
            (None, Some(pairs)) => self.found(Nested::PairLinks { pairs, keys }),
            (None, None) => {}
        }
    }

    /// The table whose lookup column is the other side of a collection.
    fn child(&self, navigation: &str) -> Option<(&'a Arc<Table>, ColumnIndex)> {
        let relationship = self
            .catalog
            .referencing(&self.table.logical_name)
            .find(|relationship| &*relationship.referenced_navigation == navigation)?;
        let table = self.catalog.table(&relationship.referencing_table)?;
        Some((table, table.index_of(&relationship.referencing_column)?))
    }

    fn nested(&mut self, place: usize, table: &Arc<Table>, raw: &str) -> Option<NewRecord> {
        let depth = self.nesting.as_ref().map_or(0, |nesting| nesting.depth) + 1;
        if depth > NESTING_MAX {
            let property = self.name(place);
            self.report(Error::NestedTooDeep { index: self.place(), property });
            return None;
        }
        if table.kind == TableKind::Elastic || self.table.kind == TableKind::Elastic {
            self.report(Error::Unsupported { what: "Deep insert with elastic tables".to_owned() });
            return None;
        }
        match body::new_record(raw.as_bytes(), table, self.catalog, depth) {
            Ok(record) => Some(record),
            Err(error) => {
                self.report(error);
                None
            }
        }
    }

    /// Whether this collection was given before in the record.
    fn repeats(&mut self, name: &str) -> bool {
        let Some(nesting) = &mut self.nesting else { return false };
        let repeats = nesting.collections.iter().any(|known| known == name);
        if !repeats {
            nesting.collections.push(name.to_owned());
        }
        repeats
    }

    fn found(&mut self, nested: Nested) {
        if let Some(nesting) = &mut self.nesting {
            nesting.found.push(nested);
        }
    }

    /// A navigation property that holds a record, a list, or a plain value.
    fn refuse_record(&mut self, place: usize, raw: &str) {
        let (index, property) = (self.place(), self.name(place));
        self.report(match raw.as_bytes().first() {
            Some(b'{' | b'[') => Error::DeepInsert { index, property },
            _ => Error::NavigationValue { index, property, literal: shown(raw) },
        });
    }

    fn report_duplicate(&mut self, place: usize) {
        let property = self.name(place);
        self.report(Error::DuplicateProperty { index: self.place(), property });
    }

    fn report_value(&mut self, place: usize, column: ColumnIndex, raw: &str, refusal: Refusal) {
        let (index, property) = (self.place(), self.name(place));
        self.report(match refusal {
            Refusal::Type => Error::BadLiteral {
                index,
                property,
                literal: shown(raw),
                edm_type: self.table.column(column).kind.edm_type(),
            },
            Refusal::Characters => Error::InvalidCharacters { index, property },
        });
    }

    /// Ends a record: which one it is, and whether it is one of this table at all.
    pub(super) fn finish(&mut self, target: &mut Target, envelope: Envelope) {
        self.cells = target.cells.len();
        let Some(message) = self.message else { return };
        let index = self.index;
        if let Some(mut error) = envelope.other_table {
            if let Error::OtherTable { first_column, .. } = &mut error
                && envelope.has_first_column
            {
                *first_column = Some(cut(&self.first_column));
            }
            self.report(error);
        } else if !envelope.has_type {
            self.report(Error::TypeMissing { index });
        }
        if let Some(key) = envelope.by_reference {
            match (&target.key, partition::parts(self.table, &key)) {
                (TargetKey::None, _) => target.key = key,
                // An elastic record's id in the item, its partition in the reference.
                (TargetKey::Id(id), Some((_, Some(partition)))) => {
                    target.key = partition::key(self.table, *id, Some(partition));
                }
                _ => {}
            }
        }
        let needs_record =
            matches!(message, MessageName::UpdateMultiple | MessageName::DeleteMultiple);
        let names_record = match &target.key {
            TargetKey::None => false,
            TargetKey::Id(_) => true,
            // The contract: no alternate keys in updates of standard tables.
            TargetKey::Alternate(_) => self.table.kind == TableKind::Elastic,
        };
        if needs_record && !names_record {
            self.report(Error::IdMissing { index });
        }
    }
}

/// Whether a navigation property may point to a table. `ownerid` is one for several tables.
fn points_to(table: &Table, column: ColumnIndex, nav: usize, pointed: &Table) -> bool {
    let ColumnKind::Lookup { targets, .. } = &table.column(column).kind else { return false };
    let Some(named) = targets.get(nav) else { return false };
    targets
        .iter()
        .any(|target| target.navigation == named.navigation && target.table == pointed.logical_name)
}

/// The literal for an error text: strings without quotes.
pub(super) fn shown(raw: &str) -> String {
    match literal::string(raw) {
        Some(text) => cut(&text),
        None => cut(raw),
    }
}
