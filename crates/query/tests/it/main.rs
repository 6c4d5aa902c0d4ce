//! Laws of parsing and binding queries.

mod contract;
mod expressions;
mod fetch;
mod filters;
mod options;
mod paging;
mod sample;
mod sql;
