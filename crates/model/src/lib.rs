//! The vocabulary of Sheaf: tables, columns, values, targets, faults and codes.
//!
//! Not here: bytes, engines, async, clocks. Whoever needs the time is given it.
//! Invariant: a value of a type here already keeps that type's promise; nobody checks again.

mod caller;
mod catalog;
mod choice;
pub mod code;
mod define;
mod derived;
mod fault;
mod fold;
mod label;
pub mod partition;
mod relationship;
mod table;
mod target;
mod time;
mod value;

pub use caller::Caller;
pub use catalog::{Catalog, Definitions};
pub use choice::{ChoiceOption, GlobalChoice};
pub use code::ErrorCode;
pub use define::{
    GlobalChoiceKey, NewColumn, NewGlobalChoice, NewKey, NewLookup, NewManyToMany,
    NewManyToManyEnd, NewRelationship, NewTable, OptionChange, OptionsOf,
};
pub use derived::{NAMESPACE, derived_id, privilege_actions, privilege_id};
pub use fault::{Failure, Fault};
pub use fold::{fold, fold_part};
pub use label::{Label, LocalizedText};
pub use relationship::{
    Cascade, CascadeAction, DeleteAction, ManyToMany, ManyToManyEnd, Menu, MenuBehavior, MenuGroup,
    OneToMany, RelationshipSettings, Spreading,
};
pub use table::{
    AlternateKey, Column, ColumnId, ColumnIndex, ColumnKind, ColumnSettings, Computed,
    DateTimeBehavior, IntegerFormat, KeyIndex, LookupKind, LookupTarget, Ownership, RequiredLevel,
    Table, TableDefinition, TableId, TableKind, TableSettings, TextFormat,
};
pub use target::{BadImage, Bind, Cell, KeyValue, MessageName, Target, TargetKey};
pub use time::{Date, Timestamp};
pub use value::{LookupValue, Value};

pub use rust_decimal::Decimal;
pub use uuid::Uuid;
