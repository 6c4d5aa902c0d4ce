//! Laws of parsing and binding queries.

mod filters;
mod options;
mod paging;
mod sample;
