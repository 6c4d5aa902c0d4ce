//! Every bound on a FetchXML query, with its name; those of filters and joins are OData's, too.

/// Elements inside each other (our own: 15 link-entities and filters nest far less).
pub const DEPTH_MAX: usize = 64;
/// Elements of one document (our own: 500 conditions of 2,000 values are more than a URL holds).
pub const ELEMENTS_MAX: usize = 20_000;
/// Rows that a page number may lie behind; further pages need a paging cookie.
pub const SKIPPED_ROWS_MAX: u32 = 50_000;
/// Characters of one value of `in`.
pub const IN_VALUE_CHARACTERS_MAX: usize = 850;
