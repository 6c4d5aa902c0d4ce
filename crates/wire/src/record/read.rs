//! From the bytes of an answer to typed records, for clients of any service.
//!
//! Not here: requests. Properties that the table does not have, expanded records and annotations are
//! skipped: a service may know more than the definitions that the client holds.
//! Invariant: every cell has its column's type, but for a lookup whose table cannot be told (several
//! are possible and the annotation is missing): its value is the bare [`Value::Guid`].

use crate::error::{Error, Result, cut};
use crate::etag::{self, ETag};
use crate::literal;
use crate::record::LOOKUP_TABLE;
use model::{Catalog, Cell, ColumnIndex, ColumnKind, LookupValue, Table, TableId, Uuid, Value};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A page of records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadPage {
    /// The records, in order.
    pub records: Vec<ReadRecord>,
    /// Where the next page is.
    pub next_link: Option<String>,
    /// `@odata.count`
    pub count: Option<i64>,
}

/// A record as a service answers it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadRecord {
    /// Its primary key.
    pub id: Option<Uuid>,
    /// Its version, from the etag; none for etags that hold none.
    pub version: Option<i64>,
    /// Its columns but for the primary key, in order; null ones, too.
    pub cells: Vec<Cell>,
}

/// Reads a page: `{"value":[…]}`.
///
/// Errors: [`Error::BadAnswer`].
pub fn read_page(body: &[u8], table: &Table, catalog: &Catalog) -> Result<ReadPage> {
    let mut reader = Reader::new(table, catalog);
    let page = parse(body, PageSeed(&mut reader))?;
    reader.finish(page)
}

/// Reads one record.
///
/// Errors: [`Error::BadAnswer`].
pub fn read_one(body: &[u8], table: &Table, catalog: &Catalog) -> Result<ReadRecord> {
    let mut reader = Reader::new(table, catalog);
    let record = parse(body, RecordSeed(&mut reader))?;
    reader.finish(record)
}

/// Reads the answer of `CreateMultiple`.
///
/// Errors: [`Error::BadAnswer`].
pub fn read_ids(body: &[u8]) -> Result<Vec<Uuid>> {
    #[derive(serde::Deserialize)]
    struct Answer<'a> {
        #[serde(rename = "Ids", borrow)]
        ids: Vec<&'a RawValue>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|err| bad(&err.to_string()))?;
    answer
        .ids
        .into_iter()
        .map(|raw| {
            let text = literal::string(raw.get());
            text.as_deref()
                .and_then(literal::guid)
                .ok_or_else(|| bad(&format!("`{}` is no id", raw.get())))
        })
        .collect()
}

fn bad(detail: &str) -> Error {
    Error::BadAnswer { detail: cut(detail) }
}

fn parse<'de, S: DeserializeSeed<'de>>(body: &'de [u8], seed: S) -> Result<S::Value> {
    let text = std::str::from_utf8(body).map_err(|err| bad(&err.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut deserializer).map_err(|err| bad(&err.to_string()))?;
    deserializer.end().map_err(|err| bad(&err.to_string()))?;
    Ok(value)
}

/// What a property of an answer is.
#[derive(Clone, Copy)]
enum Property {
    Skipped,
    Etag,
    Column(ColumnIndex),
    /// The annotation that names the table of a lookup.
    LookupTable(ColumnIndex),
}

/// What is known while an answer is read.
struct Reader<'a> {
    table: &'a Table,
    catalog: &'a Catalog,
    /// The properties of the last record in their order.
    hints: Vec<(Box<str>, Property)>,
    /// The tables of this record's lookups, as annotated.
    pointed: Vec<(ColumnIndex, TableId)>,
    cells: usize,
    error: Option<Error>,
}

impl<'a> Reader<'a> {
    fn new(table: &'a Table, catalog: &'a Catalog) -> Self {
        Self { table, catalog, hints: Vec::new(), pointed: Vec::new(), cells: 0, error: None }
    }

    fn finish<T>(self, value: T) -> Result<T> {
        self.error.map_or(Ok(value), Err)
    }

    fn property(&mut self, place: usize, name: &str) -> Property {
        if let Some((known, property)) = self.hints.get(place)
            && &**known == name
        {
            return *property;
        }
        let property = match name.split_once('@') {
            None => self.table.index_of_value(name).map_or(Property::Skipped, Property::Column),
            Some(("", "odata.etag")) => Property::Etag,
            Some((column, LOOKUP_TABLE)) => {
                self.table.index_of_value(column).map_or(Property::Skipped, Property::LookupTable)
            }
            Some(_) => Property::Skipped,
        };
        match self.hints.get_mut(place) {
            Some(hint) => *hint = (name.into(), property),
            None => self.hints.push((name.into(), property)),
        }
        property
    }

    fn take(&mut self, property: Property, raw: &str, record: &mut ReadRecord) {
        match property {
            Property::Skipped => {}
            Property::Etag => {
                let text = literal::string(raw);
                if let Some(ETag::Version(version)) = text.as_deref().and_then(etag::parse) {
                    record.version = Some(version);
                }
            }
            Property::LookupTable(column) => {
                let name = literal::string(raw);
                if let Some(table) = name.and_then(|name| self.catalog.table(&name)) {
                    self.pointed.push((column, table.id));
                }
            }
            Property::Column(column) => {
                let kind = match &self.table.column(column).kind {
                    // Nobody writes the id of a file, but readers get it.
                    ColumnKind::File { .. } => &ColumnKind::Guid,
                    kind => kind,
                };
                match literal::from_json(kind, raw) {
                    Ok(value) if column == self.table.primary_key => record.id = value.as_id(),
                    Ok(value) => record.cells.push(Cell { column, value }),
                    Err(_) if self.error.is_none() => {
                        let name = self.table.value_name(column);
                        self.error = Some(bad(&format!("property `{name}` holds {raw}")));
                    }
                    Err(_) => {}
                }
            }
        }
    }

    /// Gives the lookups of a record their tables.
    fn resolve(&mut self, record: &mut ReadRecord) {
        self.cells = record.cells.len();
        for cell in &mut record.cells {
            let ColumnKind::Lookup { targets, .. } = &self.table.column(cell.column).kind else {
                continue;
            };
            let Value::Guid(id) = cell.value else { continue };
            let annotated =
                self.pointed.iter().find(|(column, _)| *column == cell.column).map(|(_, id)| *id);
            let only = match targets.as_slice() {
                [target] => self.catalog.table(&target.table).map(|table| table.id),
                _ => None,
            };
            if let Some(table) = annotated.or(only) {
                cell.value = Value::Lookup(LookupValue { table, id });
            }
        }
        self.pointed.clear();
    }
}

struct RecordSeed<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for RecordSeed<'_, '_> {
    type Value = ReadRecord;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ReadRecord, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_, '_> {
    type Value = ReadRecord;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReadRecord, A::Error> {
        let mut record =
            ReadRecord { cells: Vec::with_capacity(self.0.cells), ..ReadRecord::default() };
        let mut place = 0;
        while let Some(property) =
            map.next_key_seed(PropertySeed { reader: &mut *self.0, place })?
        {
            let raw: &'de RawValue = map.next_value()?;
            self.0.take(property, raw.get(), &mut record);
            place += 1;
        }
        self.0.resolve(&mut record);
        Ok(record)
    }
}

struct PropertySeed<'r, 'a> {
    reader: &'r mut Reader<'a>,
    place: usize,
}

impl<'de> DeserializeSeed<'de> for PropertySeed<'_, '_> {
    type Value = Property;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Property, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PropertySeed<'_, '_> {
    type Value = Property;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a property")
    }

    fn visit_str<E>(self, name: &str) -> Result<Property, E> {
        Ok(self.reader.property(self.place, name))
    }
}

struct RecordsSeed<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for RecordsSeed<'_, '_> {
    type Value = Vec<ReadRecord>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RecordsSeed<'_, '_> {
    type Value = Vec<ReadRecord>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut records = Vec::new();
        while let Some(record) = seq.next_element_seed(RecordSeed(&mut *self.0))? {
            records.push(record);
        }
        Ok(records)
    }
}

struct PageSeed<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for PageSeed<'_, '_> {
    type Value = ReadPage;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<ReadPage, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PageSeed<'_, '_> {
    type Value = ReadPage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReadPage, A::Error> {
        let mut page = ReadPage::default();
        let mut has_records = false;
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "value" => {
                    page.records = map.next_value_seed(RecordsSeed(&mut *self.0))?;
                    has_records = true;
                }
                "@odata.nextLink" => page.next_link = map.next_value()?,
                "@odata.count" => page.count = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_records { Ok(page) } else { Err(serde::de::Error::missing_field("value")) }
    }
}
