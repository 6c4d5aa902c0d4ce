//! The privileges there are: eight per table, and those that are not about a table. Pure.
//!
//! Source: webapi.md 23.2, 23.3 and 23.7.
//! Not here: who has them (`rights`), their rows (`seed`).
//! Invariant: a privilege's id follows from its name, so that every node derives the same.

use model::{Ownership, TableDefinition, Uuid};

/// What a table privilege allows, and what a share gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// New rows.
    Create,
    /// Reading rows.
    Read,
    /// Changing rows.
    Write,
    /// Deleting rows.
    Delete,
    /// Putting a row of another table to a row: on the table with the lookup.
    Append,
    /// Being put to: on the table that the lookup points to.
    AppendTo,
    /// Giving rows to another owner.
    Assign,
    /// Sharing rows.
    Share,
}

/// Every action.
pub const ACTIONS: [Action; 8] = [
    Action::Create,
    Action::Read,
    Action::Write,
    Action::Delete,
    Action::Append,
    Action::AppendTo,
    Action::Assign,
    Action::Share,
];

impl Action {
    /// As it stands in a privilege's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Delete => "Delete",
            Self::Append => "Append",
            Self::AppendTo => "AppendTo",
            Self::Assign => "Assign",
            Self::Share => "Share",
        }
    }

    /// Its bit in a mask of access rights.
    pub fn bit(self) -> i32 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Append => 4,
            Self::AppendTo => 16,
            Self::Create => 32,
            Self::Delete => 65_536,
            Self::Share => 262_144,
            Self::Assign => 524_288,
        }
    }
}

/// The names of access rights in a mask, in the order of their bits.
const RIGHTS: [Action; 8] = [
    Action::Read,
    Action::Write,
    Action::Append,
    Action::AppendTo,
    Action::Create,
    Action::Delete,
    Action::Share,
    Action::Assign,
];

/// `ReadAccess, WriteAccess`; `None` for nothing.
pub fn rights_text(mask: i32) -> String {
    let names: Vec<String> = RIGHTS
        .iter()
        .filter(|action| mask & action.bit() != 0)
        .map(|action| format!("{}Access", action.name()))
        .collect();
    if names.is_empty() { "None".to_owned() } else { names.join(", ") }
}

/// Reads what [`rights_text`] writes, with or without blanks; `None` for a word that is no right.
pub fn rights_mask(text: &str) -> Option<i32> {
    let mut mask = 0;
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if word == "None" {
            continue;
        }
        let action = RIGHTS.iter().find(|action| word == format!("{}Access", action.name()))?;
        mask |= action.bit();
    }
    Some(mask)
}

/// Every mask that holds the right: conditions have no bit operators.
pub(crate) fn masks_with(action: Action) -> Vec<i32> {
    let others: Vec<i32> =
        RIGHTS.iter().filter(|other| **other != action).map(|other| other.bit()).collect();
    let mut masks = vec![action.bit()];
    for bit in others {
        let with: Vec<i32> = masks.iter().map(|mask| mask | bit).collect();
        masks.extend(with);
    }
    masks.sort_unstable();
    masks
}

/// Which of the rows a privilege reaches: the values of `privilegedepthmask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Own rows, and those of own teams.
    Basic,
    /// Rows of the own business unit.
    Local,
    /// Rows of the own business unit and those below.
    Deep,
    /// All rows.
    Global,
}

impl Depth {
    /// As it travels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Local => "Local",
            Self::Deep => "Deep",
            Self::Global => "Global",
        }
    }

    /// The depth with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Basic, Self::Local, Self::Deep, Self::Global]
            .into_iter()
            .find(|depth| depth.name() == name)
    }

    /// Its value in a row of `roleprivileges`.
    pub fn mask(self) -> i32 {
        match self {
            Self::Basic => 1,
            Self::Local => 2,
            Self::Deep => 4,
            Self::Global => 8,
        }
    }

    /// The depth of a row of `roleprivileges`; none for what is none.
    pub fn of_mask(mask: i32) -> Option<Self> {
        [Self::Global, Self::Deep, Self::Local, Self::Basic]
            .into_iter()
            .find(|depth| mask & depth.mask() != 0)
    }
}

/// May act for another user.
pub const ACT_ON_BEHALF: &str = "prvActOnBehalfOfAnotherUser";
/// May start a bulk delete.
pub const BULK_DELETE: &str = "prvBulkDelete";
/// May say when a record was created.
pub const OVERRIDE_CREATED_ON: &str = "prvOverrideCreatedOnCreatedBy";
/// May leave out synchronous custom logic, by the older header.
pub const BYPASS_PLUGINS: &str = "prvBypassCustomPlugins";
/// May leave out custom logic.
pub const BYPASS_LOGIC: &str = "prvBypassCustomBusinessLogic";

/// Privileges that are not about the rows of one table.
pub(crate) const GENERAL: [&str; 22] = [
    ACT_ON_BEHALF,
    BULK_DELETE,
    OVERRIDE_CREATED_ON,
    BYPASS_PLUGINS,
    BYPASS_LOGIC,
    "prvCreateEntity",
    "prvReadEntity",
    "prvWriteEntity",
    "prvDeleteEntity",
    "prvCreateAttribute",
    "prvReadAttribute",
    "prvWriteAttribute",
    "prvDeleteAttribute",
    "prvCreateRelationship",
    "prvReadRelationship",
    "prvWriteRelationship",
    "prvDeleteRelationship",
    "prvCreateOptionSet",
    "prvReadOptionSet",
    "prvWriteOptionSet",
    "prvDeleteOptionSet",
    "prvPublishCustomization",
];

/// The name of a table's privilege; none where the table has no such privilege.
///
/// All activities share theirs. Rows of intersect tables have none: what they link decides.
pub fn name(table: &TableDefinition, action: Action) -> Option<String> {
    if table.is_intersect || !is_there(table, action) {
        return None;
    }
    let subject = if table.is_activity { "Activity" } else { &table.schema_name };
    Some(format!("prv{}{subject}", action.name()))
}

/// Only rows with an owner of their own can be assigned and shared.
fn is_there(table: &TableDefinition, action: Action) -> bool {
    table.ownership == Ownership::User || !matches!(action, Action::Assign | Action::Share)
}

/// The id of a privilege.
pub fn id(name: &str) -> Uuid {
    model::privilege_id(name)
}

/// A privilege as its row shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privilege {
    /// Its name.
    pub name: String,
    /// What it allows; none for one that is not about rows.
    pub action: Option<Action>,
    /// It may be given at every depth, not only to all rows or none.
    pub has_depths: bool,
}

/// The privileges of a table.
pub fn of_table(table: &TableDefinition) -> Vec<Privilege> {
    if table.is_activity {
        // They are there from the beginning.
        return Vec::new();
    }
    named(table)
}

/// The privileges that a table's rows ask for, its own or shared ones.
pub fn named(table: &TableDefinition) -> Vec<Privilege> {
    let has_depths = matches!(table.ownership, Ownership::User | Ownership::Business);
    ACTIONS
        .iter()
        .filter_map(|action| {
            let name = name(table, *action)?;
            Some(Privilege { name, action: Some(*action), has_depths })
        })
        .collect()
}

/// Those that are not about one table: the general ones, and those of all activities.
pub(crate) fn general() -> impl Iterator<Item = Privilege> {
    let activities = ACTIONS.iter().map(|action| Privilege {
        name: format!("prv{}Activity", action.name()),
        action: Some(*action),
        has_depths: true,
    });
    GENERAL
        .iter()
        .map(|name| Privilege { name: (*name).to_owned(), action: None, has_depths: false })
        .chain(activities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_written_in_the_order_of_their_bits_and_read_back() {
        let mask = Action::Assign.bit() | Action::Read.bit() | Action::Write.bit();
        assert_eq!(rights_text(mask), "ReadAccess, WriteAccess, AssignAccess");
        assert_eq!(rights_mask("AssignAccess,ReadAccess, WriteAccess"), Some(mask));
        assert_eq!(rights_mask("None"), Some(0));
        assert_eq!(rights_text(0), "None");
        assert_eq!(rights_mask("ReadAcces"), None);
    }

    #[test]
    fn half_of_all_masks_hold_a_right() {
        let all: i32 = RIGHTS.iter().map(|action| action.bit()).sum();
        for action in ACTIONS {
            let masks = masks_with(action);
            assert_eq!(masks.len(), 128);
            assert!(masks.iter().all(|mask| mask & action.bit() != 0 && mask & !all == 0));
        }
    }

    #[test]
    fn the_deepest_bit_of_a_mask_counts() {
        assert_eq!(Depth::of_mask(1 | 4), Some(Depth::Deep));
        assert_eq!(Depth::of_mask(0), None);
        assert_eq!(Depth::of_name("Local"), Some(Depth::Local));
    }
}
