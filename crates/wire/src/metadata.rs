//! Definitions of tables, columns, keys and relationships as JSON, both directions.
//!
//! Not here: names, ids and system columns that the service adds (`pipeline`), `$filter` and paths
//! (`webapi`, on the typed members that [`Item::member`] answers).
//! Invariant: what is asked for and not there is refused by name, never dropped.

mod choice;
mod column;
mod csdl;
mod decode;
mod key;
mod label;
mod member;
mod new_column;
mod new_relationship;
mod option_action;
mod read;
mod relationship;
mod table;

pub use choice::{decode_choice, decode_choice_change};
pub use csdl::write_csdl;
pub use decode::{decode_column, decode_key, decode_table, decode_table_change, decode_tables};
pub use member::{Item, Member, write_item, write_members, write_type, write_typed_item};
pub use new_column::change::decode_column_change;
pub use new_relationship::{
    DecodedRelationship, decode_lookup, decode_many_to_many_change, decode_relationship,
    decode_relationship_change,
};
pub use option_action::{OptionAction, decode_option_action};
pub use read::read_table;
