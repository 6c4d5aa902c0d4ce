//! The Web API in process: requests in, answers out, over the reference store.

mod availability;
mod bulk;
mod definitions;
mod fetch_xml;
mod laws;
mod protocol;
mod queries;
mod records;
mod service;
