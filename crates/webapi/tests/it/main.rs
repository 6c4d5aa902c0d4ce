//! The Web API in process: requests in, answers out, over the reference store.

mod batch;
mod bulk;
mod change_sets;
mod definitions;
mod laws;
mod protocol;
mod queries;
mod records;
mod service;
