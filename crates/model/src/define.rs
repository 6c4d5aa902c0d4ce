//! What a caller asks for when it creates schema: before names, ids and system columns are added.

use crate::{
    Cascade, ChoiceOption, ColumnKind, ColumnSettings, Label, Menu, Ownership,
    RelationshipSettings, RequiredLevel, TableKind, TableSettings,
};
use uuid::Uuid;

/// A table as a caller asks for it.
#[derive(Clone, Debug)]
pub struct NewTable {
    /// Mixed-case name with prefix; its lower case is the logical name.
    pub schema_name: Box<str>,
    /// The entity set name, or none for the plural of the logical name.
    pub entity_set_name: Option<Box<str>>,
    /// Singular display name.
    pub display_name: Label,
    /// Plural display name.
    pub display_collection_name: Label,
    /// Description.
    pub description: Label,
    /// Who owns its rows.
    pub ownership: Ownership,
    /// Standard or elastic.
    pub kind: TableKind,
    /// Notes can be attached.
    pub has_notes: bool,
    /// Activities can be attached.
    pub has_activities: bool,
    /// Change tracking; none means the service's default.
    pub change_tracking: Option<bool>,
    /// What is kept beside; times and numbers are given by the service.
    pub settings: TableSettings,
    /// Its own columns; exactly one has `is_primary_name`.
    pub columns: Vec<NewColumn>,
}

/// A column as a caller asks for it.
#[derive(Clone, Debug)]
pub struct NewColumn {
    /// Mixed-case name with prefix; its lower case is the logical name.
    pub schema_name: Box<str>,
    /// Display name.
    pub display_name: Label,
    /// Description.
    pub description: Label,
    /// Whether a value is wished for.
    pub required: RequiredLevel,
    /// What it holds. Lookups come by [`NewRelationship`].
    pub kind: ColumnKind,
    /// This column names the record.
    pub is_primary_name: bool,
    /// The global choice that it is bound to; `kind` then holds no options yet.
    pub global_choice: Option<GlobalChoiceKey>,
    /// What is kept beside; times and the global choice are given by the service.
    pub settings: ColumnSettings,
}

/// How a caller names a global choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GlobalChoiceKey {
    /// By its metadata id.
    Id(Uuid),
    /// By its name.
    Name(Box<str>),
}

/// A global choice as a caller asks for it.
#[derive(Clone, Debug)]
pub struct NewGlobalChoice {
    /// Unique name with prefix.
    pub name: Box<str>,
    /// Display name.
    pub display_name: Label,
    /// Description.
    pub description: Label,
    /// The options.
    pub options: Vec<ChoiceOption>,
}

/// An alternate key as a caller asks for it.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Mixed-case name with prefix.
    pub schema_name: Box<str>,
    /// Display name.
    pub display_name: Label,
    /// Logical names of its columns, in order.
    pub columns: Vec<Box<str>>,
}

/// A one-to-many relationship with its lookup column, as a caller asks for it.
#[derive(Clone, Debug)]
pub struct NewRelationship {
    /// Unique name.
    pub schema_name: Box<str>,
    /// Logical name of the table that is pointed to.
    pub referenced_table: Box<str>,
    /// Logical name of the table that gets the lookup.
    pub referencing_table: Box<str>,
    /// The lookup column's schema name.
    pub lookup_schema_name: Box<str>,
    /// The lookup column's display name.
    pub lookup_display_name: Label,
    /// The lookup column's description.
    pub lookup_description: Label,
    /// Whether a value is wished for.
    pub lookup_required: RequiredLevel,
    /// Collection-valued navigation property, or none for the relationship's schema name.
    pub referenced_navigation: Option<Box<str>>,
    /// Single-valued navigation property, or none for the lookup's schema name.
    pub referencing_navigation: Option<Box<str>>,
    /// What happens to the referencing rows.
    pub cascade: Cascade,
    /// The one self-reference that hierarchy operators follow.
    pub is_hierarchical: bool,
    /// What is kept for readers of the definition.
    pub settings: RelationshipSettings,
}

/// A many-to-many relationship with its intersect table, as a caller asks for it.
#[derive(Clone, Debug)]
pub struct NewManyToMany {
    /// Unique name.
    pub schema_name: Box<str>,
    /// The name of the intersect table, or none for the relationship's.
    pub intersect_table: Option<Box<str>>,
    /// The two sides.
    pub ends: [NewManyToManyEnd; 2],
    /// Offered in advanced find.
    pub advanced_find: bool,
}

/// One side of a new many-to-many relationship.
#[derive(Clone, Debug)]
pub struct NewManyToManyEnd {
    /// Logical name of the table.
    pub table: Box<str>,
    /// Collection-valued navigation property of this table, or none for the relationship's name.
    pub navigation: Option<Box<str>>,
    /// How the other side's rows are listed beside a row of this table.
    pub menu: Menu,
}

/// Whose options are changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionsOf {
    /// A global choice's, and so those of every column that is bound to it.
    Global(Box<str>),
    /// A column's own.
    Column {
        /// Logical name of the table.
        table: Box<str>,
        /// Logical name of the column.
        column: Box<str>,
    },
}

/// A change of the options of a choice.
#[derive(Clone, Debug)]
pub enum OptionChange {
    /// A new option at the end. A status has a state.
    Insert(Box<ChoiceOption>),
    /// Other labels of an option. Absent ones stay.
    Update {
        /// The option.
        value: i32,
        /// What it is called from now on.
        label: Option<Label>,
        /// Description.
        description: Option<Label>,
        /// Texts in other languages stay.
        merge_labels: bool,
        /// States: the status that a bare state change picks from now on.
        default_status: Option<i32>,
    },
    /// An option goes; rows keep its value.
    Delete(i32),
    /// All values in their new order.
    Order(Vec<i32>),
}

/// A lookup to several tables, as a caller asks for it.
#[derive(Clone, Debug)]
pub struct NewLookup {
    /// Plain or customer.
    pub kind: crate::LookupKind,
    /// One relationship per target; each describes the same lookup.
    pub relationships: Vec<NewRelationship>,
}
