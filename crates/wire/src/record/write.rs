//! From rows to the bytes of an answer.
//!
//! Names and annotations of columns are laid out once per answer; a row is then appends only.
//! Not here: which rows. Invariant: an answer is one complete JSON value.

use super::format::formatted;
use super::inside::Inside;
use super::{
    ATTRIBUTE_NAME, FORMATTED_VALUE, LOOKUP_TABLE, METADATA_VERSION, MORE_RECORDS,
    NAVIGATION_PROPERTY, PAGING_COOKIE, TOTAL_COUNT, TOTAL_COUNT_EXCEEDED,
};
use crate::prefer::AnnotationFilter;
use crate::{etag, json};
use model::{
    Catalog, ColumnIndex, ColumnKind, LookupValue, Table, TableId, TableKind, Uuid, Value,
};
use std::borrow::Cow;
use std::collections::HashMap;

/// How the rows of one answer are written.
#[derive(Debug)]
pub struct Writer<'a> {
    table: &'a Table,
    catalog: &'a Catalog,
    /// The columns that are written.
    properties: Vec<PropertyLayout<'a>>,
    /// Where the row version stands in a row.
    version: Option<usize>,
    annotations: Option<&'a AnnotationFilter>,
    names: Option<&'a HashMap<LookupValue, Box<str>>>,
    /// Properties without a value are left out.
    sparse: bool,
    /// Records that are written inside.
    inner: Vec<Inside<'a>>,
}

/// A column of an answer under a name of its own.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// The table that it is of.
    pub table: &'a Table,
    /// The column.
    pub column: ColumnIndex,
    /// The property that it becomes.
    pub name: &'a str,
    /// The property is not the column's own: the column's name is worth an annotation.
    pub renamed: bool,
    /// What the value is.
    pub told: Told,
}

/// What a value tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A value of the column's kind.
    Value,
    /// A number of rows or values.
    Count,
    /// A part of a date.
    DatePart,
}

impl<'a> Output<'a> {
    fn own(table: &'a Table, column: ColumnIndex, name: &'a str) -> Self {
        Self { table, column, name, renamed: false, told: Told::Value }
    }
}

/// One column of an answer.
#[derive(Debug)]
struct PropertyLayout<'a> {
    kind: &'a ColumnKind,
    told: Told,
    /// The property.
    label: &'a str,
    /// The column's own name, where the property has another one.
    attribute: Option<&'a str>,
    /// Where its value stands in a row.
    place: usize,
    /// `"name":`
    name: Vec<u8>,
    /// `"name@…AttributeName":"column",`, where the annotation is wanted.
    attribute_name: Vec<u8>,
    /// `"name@…FormattedValue":`, where the annotation is wanted.
    formatted: Vec<u8>,
    /// Per table that a lookup may point to: both its annotations with values and commas.
    lookups: Vec<(TableId, Vec<u8>)>,
}

/// What stands around the rows of a page.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageFrame<'a> {
    /// `@odata.context`, see [`context`].
    pub context: &'a str,
    /// `@odata.count`, when it was asked for.
    pub count: Option<u64>,
    /// There are more records than were counted.
    pub count_limit_exceeded: bool,
    /// `@odata.nextLink`
    pub next_link: Option<&'a str>,
    /// More rows follow a page of FetchXML: the cookie that says how to ask for them.
    pub paging_cookie: Option<&'a str>,
    /// The version of the definitions, for its annotation.
    pub metadata_version: Option<u64>,
    /// What a page of changes has besides.
    pub changes: Changes<'a>,
}

/// What a page of changes has besides the rows that changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changes<'a> {
    /// `@odata.deltaLink`, on the last page.
    pub delta_link: Option<&'a str>,
    /// The context of a row that was deleted: `…#accounts/$deletedEntity`.
    pub deleted_context: &'a str,
    /// The rows that were deleted; they stand behind the others.
    pub deleted: &'a [Uuid],
}

impl<'a> Writer<'a> {
    /// Prepares to write rows of a table.
    ///
    /// Shape: `columns` says what the values of a row are, in order. The first `shown` of them are
    /// written, and the primary key wherever it is; the version (`versionnumber`) becomes the etag
    /// wherever it is. Both should be among `columns`.
    pub fn new(
        table: &'a Table,
        catalog: &'a Catalog,
        columns: &[ColumnIndex],
        shown: usize,
    ) -> Self {
        let version = table.index_of("versionnumber");
        let properties = columns
            .iter()
            .enumerate()
            .filter(|(place, column)| *place < shown || **column == table.primary_key)
            .map(|(place, column)| {
                let name = table.value_name(*column);
                PropertyLayout::new(Output::own(table, *column, name), place)
            })
            .collect();
        Self {
            table,
            catalog,
            properties,
            version: columns.iter().position(|column| Some(*column) == version),
            annotations: None,
            names: None,
            sparse: false,
            inner: Vec::new(),
        }
    }

    /// Prepares to write records of a table from rows in which they stand anywhere.
    ///
    /// Shape: `columns` with their places in a row; the version stands at `version`.
    pub fn of_places(
        table: &'a Table,
        catalog: &'a Catalog,
        columns: &[(ColumnIndex, usize)],
        version: usize,
    ) -> Self {
        let properties = columns.iter().map(|(column, place)| {
            let name = table.value_name(*column);
            PropertyLayout::new(Output::own(table, *column, name), *place)
        });
        Self {
            table,
            catalog,
            properties: properties.collect(),
            version: Some(version),
            annotations: None,
            names: None,
            sparse: false,
            inner: Vec::new(),
        }
    }

    /// Writes records inside, after the properties.
    #[must_use]
    pub fn with_inner(mut self, inside: Inside<'a>) -> Self {
        self.inner.push(inside);
        self
    }

    /// Prepares to write rows whose properties have names of their own; those without a value are
    /// left out.
    ///
    /// Shape: the values of a row begin with those of `outputs`; the version stands at `version`.
    pub fn of_outputs(
        table: &'a Table,
        catalog: &'a Catalog,
        outputs: &[Output<'a>],
        version: Option<usize>,
    ) -> Self {
        let properties =
            outputs.iter().enumerate().map(|(place, output)| PropertyLayout::new(*output, place));
        Self {
            table,
            catalog,
            properties: properties.collect(),
            version,
            annotations: None,
            names: None,
            sparse: true,
            inner: Vec::new(),
        }
    }

    /// Writes the annotations that a caller asked for, too.
    #[must_use]
    pub fn with_annotations(mut self, filter: &'a AnnotationFilter) -> Self {
        self.annotations = Some(filter);
        for property in &mut self.properties {
            property.annotations(self.catalog, filter);
        }
        self
    }

    /// Gives the names of records that lookups point to, for their formatted values.
    #[must_use]
    pub fn with_names(mut self, names: &'a HashMap<LookupValue, Box<str>>) -> Self {
        self.names = Some(names);
        self
    }

    /// The table whose rows are written.
    pub fn table(&self) -> &'a Table {
        self.table
    }

    /// Appends etag and properties, without braces.
    pub(super) fn members(&self, out: &mut Vec<u8>, row: &[Value]) {
        let mut first = true;
        if let Some(Value::BigInt(version)) = self.version.and_then(|place| row.get(place)) {
            match self.table.kind {
                TableKind::Standard => {
                    out.extend_from_slice(b"\"@odata.etag\":\"W/\\\"");
                    json::integer(out, *version);
                    out.extend_from_slice(b"\\\"\"");
                }
                TableKind::Elastic => {
                    out.extend_from_slice(b"\"@odata.etag\":");
                    json::text(out, &etag::write_for(TableKind::Elastic, *version));
                }
            }
            first = false;
        }
        for property in &self.properties {
            let value = row.get(property.place).unwrap_or(&Value::Null);
            if self.sparse && value.is_null() {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            if self.annotations.is_some() && !value.is_null() {
                property.annotate(out, value, self.names);
            }
            out.extend_from_slice(&property.name);
            let kind = match property.told {
                Told::Value => property.kind,
                Told::Count | Told::DatePart => &ColumnKind::BigInt,
            };
            json::value(out, kind, value);
        }
        for inner in &self.inner {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            inner.write(out, row);
        }
    }

    fn wants(&self, annotation: &str) -> bool {
        self.annotations.is_some_and(|filter| filter.matches(annotation))
    }
}

impl<'a> PropertyLayout<'a> {
    fn new(output: Output<'a>, place: usize) -> Self {
        let Output { table, column, name: label, renamed, told } = output;
        let definition = table.column(column);
        let mut name = Vec::new();
        json::name(&mut name, label);
        Self {
            kind: &definition.kind,
            told,
            label,
            attribute: renamed.then_some(&*definition.logical_name),
            place,
            name,
            attribute_name: Vec::new(),
            formatted: Vec::new(),
            lookups: Vec::new(),
        }
    }

    /// Lays out the annotations that are wanted.
    fn annotations(&mut self, catalog: &Catalog, filter: &AnnotationFilter) {
        let name = self.label;
        if filter.matches(FORMATTED_VALUE) {
            json::name(&mut self.formatted, &format!("{name}@{FORMATTED_VALUE}"));
        }
        if let Some(attribute) = self.attribute.filter(|_| filter.matches(ATTRIBUTE_NAME)) {
            json::name(&mut self.attribute_name, &format!("{name}@{ATTRIBUTE_NAME}"));
            json::text(&mut self.attribute_name, attribute);
            self.attribute_name.push(b',');
        }
        let ColumnKind::Lookup { targets, .. } = self.kind else { return };
        for target in targets {
            let Some(pointed) = catalog.table(&target.table) else { continue };
            let mut laid_out = Vec::new();
            for (annotation, text) in
                [(NAVIGATION_PROPERTY, &target.navigation), (LOOKUP_TABLE, &target.table)]
            {
                if filter.matches(annotation) {
                    json::name(&mut laid_out, &format!("{name}@{annotation}"));
                    json::text(&mut laid_out, text);
                    laid_out.push(b',');
                }
            }
            self.lookups.push((pointed.id, laid_out));
        }
    }

    /// Appends the annotations of a value that is not null, each with a comma after it.
    fn annotate(
        &self,
        out: &mut Vec<u8>,
        value: &Value,
        names: Option<&HashMap<LookupValue, Box<str>>>,
    ) {
        out.extend_from_slice(&self.attribute_name);
        if !self.formatted.is_empty() {
            let text = match value {
                Value::Lookup(lookup) => {
                    names.and_then(|names| names.get(lookup)).map(|name| Cow::Borrowed(&**name))
                }
                _ => match self.told {
                    Told::Value => formatted(self.kind, value),
                    Told::Count => formatted(&ColumnKind::BigInt, value),
                    Told::DatePart => match value {
                        Value::Integer(part) => Some(part.to_string()),
                        _ => None,
                    },
                }
                .map(Cow::Owned),
            };
            if let Some(text) = text {
                out.extend_from_slice(&self.formatted);
                json::text(out, &text);
                out.push(b',');
            }
        }
        if let Value::Lookup(lookup) = value
            && let Some((_, laid_out)) =
                self.lookups.iter().find(|(table, _)| *table == lookup.table)
        {
            out.extend_from_slice(laid_out);
        }
    }
}

/// Appends a page: context, counts, rows, next link.
///
/// Each row has one value per column that the writer was made with.
pub fn write_page<'r>(
    out: &mut Vec<u8>,
    writer: &Writer<'_>,
    frame: &PageFrame<'_>,
    rows: impl IntoIterator<Item = &'r [Value]>,
) {
    begin_page(out, writer, frame);
    write_rows(out, writer, rows);
    end_page(out, frame);
}

/// Appends what stands before the rows of a page. Of the frame it needs all but the links.
pub fn begin_page(out: &mut Vec<u8>, writer: &Writer<'_>, frame: &PageFrame<'_>) {
    out.extend_from_slice(b"{\"@odata.context\":");
    json::text(out, frame.context);
    if writer.wants(TOTAL_COUNT) {
        member(out, TOTAL_COUNT);
        match frame.count {
            Some(count) => json::integer(out, count),
            None => out.extend_from_slice(b"-1"),
        }
    }
    if writer.wants(TOTAL_COUNT_EXCEEDED) {
        member(out, TOTAL_COUNT_EXCEEDED);
        json::display(out, frame.count_limit_exceeded);
    }
    if let Some(cookie) = frame.paging_cookie {
        if writer.wants(PAGING_COOKIE) {
            member(out, PAGING_COOKIE);
            json::text(out, cookie);
        }
        if writer.wants(MORE_RECORDS) {
            member(out, MORE_RECORDS);
            json::display(out, true);
        }
    }
    if let Some(version) = frame.metadata_version
        && writer.wants(METADATA_VERSION)
    {
        member(out, METADATA_VERSION);
        json::text(out, &version.to_string());
    }
    if let Some(count) = frame.count {
        out.extend_from_slice(b",\"@odata.count\":");
        json::integer(out, count);
    }
    out.extend_from_slice(b",\"value\":[");
}

/// Appends some rows of a page: the first ones, or those behind what was appended last.
pub fn write_rows<'r>(
    out: &mut Vec<u8>,
    writer: &Writer<'_>,
    rows: impl IntoIterator<Item = &'r [Value]>,
) {
    for row in rows {
        json::comma(out);
        out.push(b'{');
        writer.members(out, row);
        out.push(b'}');
    }
}

/// Appends what stands behind the rows of a page.
pub fn end_page(out: &mut Vec<u8>, frame: &PageFrame<'_>) {
    for id in frame.changes.deleted {
        json::comma(out);
        out.extend_from_slice(b"{\"@odata.context\":");
        json::text(out, frame.changes.deleted_context);
        out.extend_from_slice(b",\"id\":");
        json::guid(out, *id);
        out.extend_from_slice(b",\"reason\":\"deleted\"}");
    }
    out.push(b']');
    if let Some(link) = frame.changes.delta_link {
        out.extend_from_slice(b",\"@odata.deltaLink\":");
        json::text(out, link);
    }
    if let Some(link) = frame.next_link {
        out.extend_from_slice(b",\"@odata.nextLink\":");
        json::text(out, link);
    }
    out.push(b'}');
}

/// Appends one record with its context.
pub fn write_one(out: &mut Vec<u8>, writer: &Writer<'_>, context: &str, row: &[Value]) {
    out.extend_from_slice(b"{\"@odata.context\":");
    json::text(out, context);
    out.push(b',');
    writer.members(out, row);
    out.push(b'}');
}

/// Appends a list of addresses, with the context of links. `root` ends in a slash.
pub fn write_links(
    out: &mut Vec<u8>,
    root: &str,
    addresses: impl IntoIterator<Item = String>,
    next_link: Option<&str>,
) {
    out.extend_from_slice(b"{\"@odata.context\":");
    json::text(out, &format!("{root}$metadata#Collection($ref)"));
    out.extend_from_slice(b",\"value\":[");
    for address in addresses {
        json::comma(out);
        out.extend_from_slice(b"{\"@odata.id\":");
        json::text(out, &address);
        out.push(b'}');
    }
    out.push(b']');
    if let Some(link) = next_link {
        out.extend_from_slice(b",\"@odata.nextLink\":");
        json::text(out, link);
    }
    out.push(b'}');
}

/// Appends the answer of `CreateMultiple`. `root` ends in a slash.
pub fn write_ids(out: &mut Vec<u8>, root: &str, ids: impl IntoIterator<Item = Uuid>) {
    out.extend_from_slice(b"{\"@odata.context\":");
    json::text(out, &format!("{root}$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"));
    out.extend_from_slice(b",\"Ids\":[");
    for id in ids {
        json::comma(out);
        json::guid(out, id);
    }
    out.extend_from_slice(b"]}");
}

/// The context URL of a page of records. `root` ends in a slash; `selected` are the columns that the
/// caller named, in its order.
pub fn context(root: &str, table: &Table, selected: Option<&[ColumnIndex]>) -> String {
    let mut context = format!("{root}$metadata#{}", table.entity_set_name);
    if let Some(columns) = selected {
        let names: Vec<&str> = columns.iter().map(|column| table.value_name(*column)).collect();
        context.push('(');
        context.push_str(&names.join(","));
        context.push(')');
    }
    context
}

/// The context URL of one record; see [`context`].
pub fn context_of_one(root: &str, table: &Table, selected: Option<&[ColumnIndex]>) -> String {
    let mut context = context(root, table, selected);
    context.push_str("/$entity");
    context
}

/// Appends `,"@name":`.
fn member(out: &mut Vec<u8>, annotation: &str) {
    out.extend_from_slice(b",\"@");
    out.extend_from_slice(annotation.as_bytes());
    out.extend_from_slice(b"\":");
}
