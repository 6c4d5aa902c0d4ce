//! Definitions of tables, columns, keys and relationships as JSON, both directions.
//!
//! Not here: names, ids and system columns that the service adds (`pipeline`), `$filter` and paths
//! (`webapi`, on the typed members that [`Item::member`] answers).
//! Invariant: what is asked for and not there is refused by name, never dropped.

mod choice;
mod column;
mod decode;
mod key;
mod label;
mod member;
mod new_column;
mod new_relationship;
mod read;
mod relationship;
mod table;

pub use decode::{decode_column, decode_key, decode_table, decode_tables};
pub use member::{Item, Member, write_item, write_members, write_type, write_typed_item};
pub use new_relationship::{DecodedRelationship, decode_relationship};
pub use read::read_table;
