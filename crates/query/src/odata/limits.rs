//! Every bound on a query, with its name.
//!
//! Source: query.md E10; those marked so are our own.

/// Records in one page, and the greatest `$top`.
pub const PAGE_SIZE_MAX: u32 = 5_000;
/// Rows that a count tells apart; more read as this many.
pub const COUNT_MAX: u32 = 5_000;
/// Conditions in one `$filter`.
pub const CONDITIONS_MAX: usize = 500;
/// Tables that one query joins: link-entities, and the tables behind navigation paths.
pub const JOINS_MAX: usize = 15;
/// Navigation properties in `$expand`, those inside others included.
pub const EXPANDED_MAX: usize = 15;
/// Records that the lists of one `$expand` may hold together (our own: an answer is built in memory).
pub const EXPANDED_RECORDS_MAX: u32 = 250_000;
/// Source rows of one aggregate on the platform.
pub const AGGREGATED_ROWS_MAX: u64 = 50_000;
/// Values in one `In` or `NotIn`.
pub const VALUES_MAX: usize = 2_000;
/// Parentheses and `not`s around one condition (our own: what a stack bears without thought).
pub const FILTER_DEPTH_MAX: usize = 100;
/// Columns in `$orderby` (our own: more decide nothing, and each lengthens the next page's address).
pub const ORDER_KEYS_MAX: usize = 32;
/// Columns that one query groups by (our own, as above).
pub const GROUP_KEYS_MAX: usize = 32;
/// Aggregates of one query (our own: each is worked out for every group).
pub const AGGREGATES_MAX: usize = 100;
/// Columns of one SELECT (our own: a table has no more).
pub const SELECTED_MAX: usize = 1_000;
/// Rows that a page may leave out.
pub const SKIPPED_ROWS_MAX: u32 = 50_000;
/// UTF-16 units that the text columns of `$orderby` may hold together (our own: the next page's
/// address carries their values and must stay below [`URL_CHARACTERS_MAX`]).
pub const ORDER_TEXT_UNITS_MAX: u32 = 6_000;
/// Characters in a URL.
pub const URL_CHARACTERS_MAX: usize = 32_768;
/// Options in one query string (our own: no request needs as many, and each is compared with all).
pub const OPTIONS_MAX: usize = 256;
