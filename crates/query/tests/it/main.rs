//! Laws of parsing and binding queries.

mod fetch;
mod filters;
mod options;
mod paging;
mod sample;
