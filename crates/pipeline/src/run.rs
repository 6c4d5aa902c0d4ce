//! The one function that runs a message.

use crate::{Message, Reply};
use model::{Caller, Catalog, Fault, Timestamp, Uuid};
use std::sync::Arc;
use store::StandardStore;

/// Runs messages against a store. One per process; shared by every request.
pub struct Pipeline {
    store: Arc<dyn StandardStore>,
}

/// What does not change in a request.
#[derive(Clone, Debug)]
pub struct Context {
    /// The definitions that the message is bound to.
    pub catalog: Arc<Catalog>,
    /// Who it runs for.
    pub caller: Caller,
    /// When the request came.
    pub now: Timestamp,
}

/// The ids that every node and request knows.
#[derive(Clone, Copy, Debug)]
pub struct Organization {
    /// `organizationid`.
    pub id: Uuid,
    /// The root business unit.
    pub business_unit: Uuid,
    /// The first system administrator.
    pub administrator: Uuid,
}

/// Why a message did not run.
#[derive(Debug)]
pub enum Error {
    /// The definitions have moved on: [`Pipeline::refresh`], bind anew, run once more.
    StaleCatalog,
    /// The caller's answer.
    Fault(Box<Fault>),
}

impl Pipeline {
    /// Opens the store, making and seeding the system tables where they are not there yet.
    pub async fn open(store: Arc<dyn StandardStore>, now: Timestamp) -> Result<Self, store::Error> {
        let _ = now;
        Ok(Self { store })
    }

    /// The newest definitions that this node has seen.
    pub fn catalog(&self) -> Arc<Catalog> {
        unreachable!("being written")
    }

    /// The organisation's ids.
    pub fn organization(&self) -> Organization {
        unreachable!("being written")
    }

    /// Loads the definitions anew if the stored ones have moved on; tells whether they had.
    pub async fn refresh(&self) -> Result<bool, Error> {
        let _ = &self.store;
        unreachable!("being written")
    }

    /// Runs a message.
    pub async fn run(&self, context: &Context, message: Message) -> Result<Reply, Error> {
        let _ = (context, message);
        unreachable!("being written")
    }
}
