//! One query tree: what OData options and FetchXML parse into, bound to the catalog.
//!
//! Not here: SQL (`store-standard`), HTTP, JSON. A [`BoundQuery`] names only columns that exist and
//! values of the right type; a store carries it out and checks nothing again.

mod context;
pub mod dates;
mod error;
pub mod evaluate;
pub mod expression;
pub mod fetch;
mod label;
pub mod listed;
pub mod odata;
mod operator;
mod pattern;
mod scope;
pub mod shape;
pub mod skiptoken;
pub mod sql;
mod tree;

pub use context::{Context, Settings};
pub use error::Error;
pub use evaluate::{evaluate, evaluate_joined};
pub use pattern::{Part, Pattern, Simple};
pub use shape::{Rows, Shape};
pub use tree::{
    BoundQuery, ColumnRef, Compare, Exists, Filter, HIERARCHY_LEVELS_MAX, Hierarchy, Join,
    JoinKind, Line, Match, Order, Page, Paging,
};
