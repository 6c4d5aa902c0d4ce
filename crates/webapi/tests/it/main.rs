//! The Web API in process: requests in, answers out, over the reference store.

mod bulk;
mod definitions;
mod elastic;
mod elastic_bulk;
mod elastic_cosmos;
mod elastic_definitions;
mod laws;
mod protocol;
mod queries;
mod records;
mod service;
