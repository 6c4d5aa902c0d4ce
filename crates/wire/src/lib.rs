//! The Web API's bytes, both directions: shared by server and client.
//!
//! Not here: HTTP, URLs' query options (`query`), fault codes and statuses (`webapi` maps [`Error`]).
//! Invariant: no panic on any input; what is decoded already has its column's type.
//!
//! # What there is
//!
//! ```text
//! targets::decode(body: &[u8], message: MessageName, table: &Arc<Table>, catalog: &Catalog) -> Result<TargetList>
//! targets::decode_record(body: &[u8], table: &Arc<Table>, catalog: &Catalog) -> Result<Target>
//! targets::TargetList { targets: Vec<Target>, concurrency: Option<ConcurrencyBehavior> }
//! targets::ConcurrencyBehavior { Default, IfRowVersionMatches, AlwaysOverwrite }
//! targets::encode(out: &mut Vec<u8>, table: &Table, catalog: &Catalog, message: MessageName, targets: &[Target]) -> Result<()>
//! targets::encode_record(out: &mut Vec<u8>, table: &Table, catalog: &Catalog, target: &Target) -> Result<()>
//!
//! reference::parse_key(inside: &str, table: &Table, catalog: &Catalog) -> Result<TargetKey>   // percent-decoded
//! reference::parse(text: &str, catalog: &Catalog) -> Result<(Arc<Table>, TargetKey)>          // decodes percents itself
//! reference::write_key(out: &mut String, table: &Table, key: &TargetKey)                      // without parentheses, percent-encoded
//! reference::write(out: &mut String, table: &Table, key: &TargetKey)                          // `accounts(…)`
//!
//! record::Writer::new(table: &Table, catalog: &Catalog, columns: &[ColumnIndex], shown: usize) -> Writer
//!     .with_annotations(&AnnotationFilter)
//!     .with_names(&HashMap<LookupValue, Box<str>>)
//!     .with_inner(navigation: &str, key: usize, writer: Writer)                               // a record inside
//!     // `columns` is the layout of a row; the first `shown` are written; the key always; the version as etag
//! record::Writer::of_places(table, catalog, columns: &[(ColumnIndex, usize)], version: usize)    // inner records
//! record::Writer::of_outputs(table, catalog, outputs: &[Output], version: Option<usize>)         // FetchXML: own names, no nulls
//! record::write_page<'r>(out: &mut Vec<u8>, writer: &Writer, frame: &PageFrame, rows: impl Iterator<Item = &'r [Value]>)
//! record::begin_page(out, writer, frame), record::write_rows(out, writer, rows), record::end_page(out, frame)  // the same, part by part
//! record::PageFrame { context: &str, count: Option<u64>, count_limit_exceeded: bool, next_link: Option<&str>, paging_cookie: Option<&str>, metadata_version: Option<u64> }
//! record::write_one(out: &mut Vec<u8>, writer: &Writer, context: &str, row: &[Value])
//! record::write_ids(out: &mut Vec<u8>, root: &str, ids: impl Iterator<Item = Uuid>)           // CreateMultipleResponse
//! record::context(root: &str, table: &Table, selected: Option<&[ColumnIndex]>) -> String     // root ends in `/`
//! record::context_of_one(root, table, selected) -> String                                    // `…/$entity`
//! record::read_page(body: &[u8], table: &Table, catalog: &Catalog) -> Result<ReadPage>
//! record::read_one(body: &[u8], table: &Table, catalog: &Catalog) -> Result<ReadRecord>
//! record::read_ids(body: &[u8]) -> Result<Vec<Uuid>>
//! record::ReadPage { records: Vec<ReadRecord>, next_link: Option<String>, count: Option<i64> }
//! record::ReadRecord { id: Option<Uuid>, version: Option<i64>, cells: Vec<Cell> }
//!
//! error_body::write(out: &mut Vec<u8>, code: &str, message: &str, annotations: impl IntoIterator<Item = (name, value)>, filter: Option<&AnnotationFilter>)
//! error_body::read(body: &[u8]) -> ErrorBody { code: Option<ErrorCode>, message: String, annotations: BTreeMap<String, String> }
//!
//! batch::read(content_type: &str, body: &[u8]) -> Result<Vec<Part<Operation>>>               // service
//! batch::ResponseWriter::new(boundary: String), .answer(&Answer), .change_set(boundary, &[Answer]), .finish() -> Vec<u8>
//! batch::encode(&[Part<Operation>], boundary: &str) -> Result<Vec<u8>>                       // client
//! batch::read_response(content_type: &str, body: &[u8]) -> Result<Vec<Part<Answer>>>         // in the order of the requests
//! batch::resolve(body: &[u8], find: Fn(&str) -> Option<String>) -> Result<Cow<[u8]>>         // `$1` in a body
//!
//! prefer::Prefer::parse(values: impl Iterator<Item = &str>) -> Prefer   // never fails
//! prefer::AnnotationFilter::{parse(&str), matches(&self, name: &str) -> bool, as_written(&self) -> &str}
//! etag::parse(&str) -> Option<ETag>, etag::ETag { Any, Version(i64), Other }, etag::write(version: i64) -> String
//! headers::*                                                             // names as constants
//!
//! metadata::decode_table(body) -> Result<NewTable>                       // POST EntityDefinitions
//! metadata::decode_tables(body) -> Result<Vec<NewTable>>                 // CreateEntities
//! metadata::decode_column(body) -> Result<NewColumn>                     // POST …/Attributes
//! metadata::decode_key(body) -> Result<NewKey>                           // POST …/Keys
//! metadata::decode_relationship(body) -> Result<NewRelationship>         // POST RelationshipDefinitions
//! metadata::Item::{Table(&Table), Column(&Table, ColumnIndex), Key(&Table, KeyIndex), Relationship(&OneToMany)}
//!     .type_name() -> &'static str                  // `StringAttributeMetadata`
//!     .is_derived() -> bool                         // columns and relationships: `@odata.type` goes with them
//!     .id() -> Uuid
//!     .members() -> Vec<&'static str>               // what a read without `$select` returns, in order
//!     .expandable() -> &'static [&'static str]      // `OptionSet`, `GlobalOptionSet`
//!     .member(name) -> Option<Member>               // typed; expandable ones, too
//! metadata::Member::{write(&self, out), path(&self, name) -> Option<Member>}  // `RequiredLevel/Value`
//! metadata::write_members(out, &Item, select: Option<&[&str]>, expand: &[&str]) -> Result<()>  // no braces, commas itself
//! metadata::write_item(out, &Item, select, expand) -> Result<()>         // in braces
//! metadata::write_typed_item(out, &Item, select, expand) -> Result<()>   // with `@odata.type` first
//! metadata::write_type(out, &Item)                                       // only that member
//! metadata::read_table(body: &[u8]) -> Result<TableDefinition>           // client: EntityDefinitions(…)?$expand=Attributes,Keys,ManyToOneRelationships
//! ```

#![warn(clippy::indexing_slicing, clippy::string_slice)]

pub mod batch;
mod error;
pub mod error_body;
pub mod etag;
pub mod headers;
mod json;
mod literal;
pub mod metadata;
pub mod prefer;
pub mod record;
pub mod reference;
pub mod targets;

pub use error::{Error, Result};
