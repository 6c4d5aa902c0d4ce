//! One query tree: what OData options (and later FetchXML) parse into, bound to the catalog.
//!
//! Not here: SQL (`store-standard`), HTTP, JSON. A [`BoundQuery`] names only columns that exist and
//! values of the right type; a store carries it out and checks nothing again.

mod error;
pub mod evaluate;
pub mod odata;
pub mod skiptoken;
mod tree;

pub use error::Error;
pub use evaluate::evaluate;
pub use tree::{BoundQuery, ColumnRef, Compare, Filter, Match, Order, Page, Paging};
