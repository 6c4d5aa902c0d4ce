//! Relationships between tables.

use uuid::Uuid;

/// A one-to-many relationship: the lookup column of one table that points to rows of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneToMany {
    /// Stable id.
    pub metadata_id: Uuid,
    /// Unique name, `new_order_line`.
    pub schema_name: Box<str>,
    /// Logical name of the table that is pointed to.
    pub referenced_table: Box<str>,
    /// Its primary key column.
    pub referenced_column: Box<str>,
    /// Logical name of the table that has the lookup.
    pub referencing_table: Box<str>,
    /// Logical name of the lookup column.
    pub referencing_column: Box<str>,
    /// Collection-valued navigation property of the referenced table.
    pub referenced_navigation: Box<str>,
    /// Single-valued navigation property of the referencing table.
    pub referencing_navigation: Box<str>,
    /// What happens to the referencing rows.
    pub cascade: Cascade,
    /// Made by a user of the service.
    pub is_custom: bool,
    /// The one self-reference that hierarchy operators follow.
    pub is_hierarchical: bool,
}

/// What a change of the referenced row does to the referencing rows.
///
/// Assign, share and the like come with ownership; today only delete is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cascade {
    /// On delete of the referenced row.
    pub delete: DeleteAction,
}

/// What deleting the referenced row does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteAction {
    /// Deletes the referencing rows, too.
    Cascade,
    /// Empties the lookup.
    RemoveLink,
    /// Refuses while a referencing row exists.
    Restrict,
    /// Leaves the value dangling; system relationships only.
    NoCascade,
}
