//! Options of choice columns, and choices that columns share.

use crate::{Label, Timestamp};
use uuid::Uuid;

/// One option of a choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChoiceOption {
    /// The number on the wire.
    pub value: i32,
    /// What it is called.
    pub label: Label,
    /// Status options: the state they belong to. State options: none.
    pub state: Option<i32>,
    /// State options: the status that a bare state change picks.
    pub default_status: Option<i32>,
    /// Description.
    pub description: Label,
    /// How it is shown, `#0000ff`.
    pub color: Option<Box<str>>,
    /// What another system calls it.
    pub external_value: Option<Box<str>>,
}

/// A choice that columns of several tables may be bound to.
///
/// Invariant: a column that is bound to it has exactly its options, in its own `kind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalChoice {
    /// Stable id.
    pub metadata_id: Uuid,
    /// Unique name, `new_colors`.
    pub name: Box<str>,
    /// Display name.
    pub display_name: Label,
    /// Description.
    pub description: Label,
    /// The options.
    pub options: Vec<ChoiceOption>,
    /// Made by a user of the service.
    pub is_custom: bool,
    /// When it was made.
    pub created_on: Option<Timestamp>,
    /// When it was last changed.
    pub modified_on: Option<Timestamp>,
}
