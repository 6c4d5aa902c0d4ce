//! The tests of the suite, by subject. Each is listed in [`crate::standard_store_suite!`].

pub mod cases;
pub mod changes;
pub mod checks;
pub mod definitions;
pub mod deletes;
pub mod follow;
pub mod histories;
pub mod keys;
pub mod lifetime;
pub mod numbers;
pub mod pieces;
pub mod queries;
pub mod random_queries;
pub mod refusals;
pub mod related;
pub mod schema;
pub mod shapes;
pub mod spreads;
pub mod transactions;
pub mod values;
pub mod versions;
