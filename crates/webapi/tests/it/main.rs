//! The Web API in process: requests in, answers out, over the reference store.

mod availability;
mod batch;
mod bulk;
mod bulk_delete;
mod change_sets;
mod definitions;
mod definitions_change;
mod elastic;
mod elastic_bulk;
mod elastic_cosmos;
mod elastic_definitions;
mod explain;
mod fetch_xml;
mod impersonation;
mod laws;
mod limits;
mod model;
mod protocol;
mod queries;
mod records;
mod service;
mod shapes;
