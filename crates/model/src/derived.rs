//! Ids that follow from names, so that every node and run derives the same.

use crate::{Ownership, TableDefinition};
use uuid::Uuid;

/// The namespace of derived ids.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x5eaf_0000_0000_5000_8000_0000_0000_0001);

/// The id of a named thing.
pub fn derived_id(name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// The id of a privilege, by its name.
pub fn privilege_id(name: &str) -> Uuid {
    derived_id(&format!("privilege {name}"))
}

/// The actions of a table's privileges, as they stand in their names: `prvCreateAccount`.
///
/// Pairs have none of their own; what nobody owns is neither assigned nor shared.
pub fn privilege_actions(table: &TableDefinition) -> &'static [&'static str] {
    const ALL: &[&str] =
        &["Create", "Read", "Write", "Delete", "Assign", "Share", "Append", "AppendTo"];
    const UNOWNED: &[&str] = &["Create", "Read", "Write", "Delete", "Append", "AppendTo"];
    match table.ownership {
        _ if table.is_intersect => &[],
        Ownership::User => ALL,
        Ownership::Organization | Ownership::Business | Ownership::None => UNOWNED,
    }
}
