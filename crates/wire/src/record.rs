//! Records in answers, written by the service and read by clients.
//!
//! Not here: which columns and rows (`query`), headers. Invariant: annotations stand before the
//! property they are on; the primary key is always there.

mod format;
mod inside;
mod read;
mod write;

pub use inside::{Children, Inside, Single};
pub use read::{ReadPage, ReadRecord, read_ids, read_one, read_page};
pub use write::{
    Changes, Output, PageFrame, Told, Writer, begin_page, context, context_of_one, end_page,
    write_ids, write_links, write_one, write_page, write_rows,
};

/// Annotation: the value as people read it.
pub const FORMATTED_VALUE: &str = "OData.Community.Display.V1.FormattedValue";
/// Annotation: the navigation property that a writer of the lookup must use.
pub const NAVIGATION_PROPERTY: &str = "Microsoft.Dynamics.CRM.associatednavigationproperty";
/// Annotation: the table that a lookup points to.
pub const LOOKUP_TABLE: &str = "Microsoft.Dynamics.CRM.lookuplogicalname";
/// Annotation of a collection: how many records there are, or -1.
pub const TOTAL_COUNT: &str = "Microsoft.Dynamics.CRM.totalrecordcount";
/// Annotation of a collection: there are more than were counted.
pub const TOTAL_COUNT_EXCEEDED: &str = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded";
/// Annotation of a collection: the version of the definitions.
pub const METADATA_VERSION: &str = "Microsoft.Dynamics.CRM.globalmetadataversion";
/// Annotation: the column behind a property with another name.
pub const ATTRIBUTE_NAME: &str = "OData.Community.Display.V1.AttributeName";
/// Annotation of a page of FetchXML: how the next page is asked for.
pub const PAGING_COOKIE: &str = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie";
/// Annotation of a page of FetchXML: there is a next page.
pub const MORE_RECORDS: &str = "Microsoft.Dynamics.CRM.morerecords";
