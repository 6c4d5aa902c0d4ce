//! Relationships between tables.

use crate::{Label, Timestamp};
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
    /// What is kept for readers of the definition and changes nothing.
    pub settings: RelationshipSettings,
}

/// A many-to-many relationship: pairs of rows of two tables, kept as rows of a third.
///
/// The two tables may be one. A pair stands once in the intersect table: it has a unique key over its two
/// id columns, in the order of `ends`, and an index over the second one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManyToMany {
    /// Stable id.
    pub metadata_id: Uuid,
    /// Unique name, `systemuserroles_association`.
    pub schema_name: Box<str>,
    /// Logical name of the table that holds the pairs.
    pub intersect_table: Box<str>,
    /// The two sides: `Entity1` and `Entity2` of the Web API.
    pub ends: [ManyToManyEnd; 2],
    /// Made by a user of the service.
    pub is_custom: bool,
    /// What is kept for readers of the definition and changes nothing.
    pub settings: RelationshipSettings,
}

/// One side of a many-to-many relationship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManyToManyEnd {
    /// Logical name of the table.
    pub table: Box<str>,
    /// The collection-valued navigation property **of this table**, which leads to the other side.
    pub navigation: Box<str>,
    /// The column of the intersect table that holds ids of this table's rows.
    pub column: Box<str>,
    /// How the other side's rows are listed beside a row of this table.
    pub menu: Menu,
}

impl ManyToMany {
    /// The side that a navigation property starts from, then the side it leads to.
    ///
    /// Where both sides are one table and share the name, the first is the start.
    pub fn from(&self, table: &str, navigation: &str) -> Option<(&ManyToManyEnd, &ManyToManyEnd)> {
        let [first, second] = &self.ends;
        let is = |end: &ManyToManyEnd| *end.table == *table && *end.navigation == *navigation;
        if is(first) {
            Some((first, second))
        } else if is(second) {
            Some((second, first))
        } else {
            None
        }
    }
}

/// What a definition of a relationship keeps for its readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationshipSettings {
    /// When it was made; none where a definition is older than this member.
    pub created_on: Option<Timestamp>,
    /// When it was last changed.
    pub modified_on: Option<Timestamp>,
    /// Offered in advanced find.
    pub advanced_find: bool,
    /// How referencing rows are listed beside a referenced one; a many-to-many has one per side.
    pub menu: Menu,
}

impl Default for RelationshipSettings {
    fn default() -> Self {
        Self { created_on: None, modified_on: None, advanced_find: true, menu: Menu::default() }
    }
}

/// How related rows are listed beside a row (`AssociatedMenuConfiguration`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// Whether and under which name.
    pub behavior: MenuBehavior,
    /// Which group of the menu.
    pub group: MenuGroup,
    /// The place in the group.
    pub order: Option<i32>,
    /// The name, for [`MenuBehavior::UseLabel`].
    pub label: Label,
}

impl Default for Menu {
    fn default() -> Self {
        Self {
            behavior: MenuBehavior::UseCollectionName,
            group: MenuGroup::Details,
            order: Some(10_000),
            label: Label::default(),
        }
    }
}

/// Whether related rows are listed, and under which name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MenuBehavior {
    /// Under the plural of the table.
    UseCollectionName,
    /// Under a name of its own.
    UseLabel,
    /// Not at all.
    DoNotDisplay,
}

/// The groups of a menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MenuGroup {
    /// Details.
    Details,
    /// Sales.
    Sales,
    /// Service.
    Service,
    /// Marketing.
    Marketing,
}

/// What a change of the referenced row does to the referencing rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cascade {
    /// On delete of the referenced row.
    pub delete: DeleteAction,
    /// When the referenced row gets another owner.
    pub assign: CascadeAction,
    /// When the referenced row is shared.
    pub share: CascadeAction,
    /// When a share of the referenced row ends.
    pub unshare: CascadeAction,
    /// When the lookup gets another row.
    pub reparent: CascadeAction,
    /// When the referenced row is merged into another.
    pub merge: CascadeAction,
    /// When the referenced row is archived.
    pub archive: CascadeAction,
    /// Whether rows show in rollup views of the referenced one.
    pub rollup_view: CascadeAction,
}

impl Cascade {
    /// Nothing but what a delete does.
    pub const fn on_delete(delete: DeleteAction) -> Self {
        let none = CascadeAction::NoCascade;
        Self {
            delete,
            assign: none,
            share: none,
            unshare: none,
            reparent: none,
            merge: none,
            archive: none,
            rollup_view: none,
        }
    }

    /// Whether the referenced row is the parent of the referencing one: everything cascades.
    ///
    /// Merging is not asked for: rows of custom tables are never merged.
    pub fn is_parental(&self) -> bool {
        self.delete == DeleteAction::Cascade
            && [self.assign, self.share, self.unshare, self.reparent]
                .iter()
                .all(|action| *action == CascadeAction::Cascade)
    }
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

/// A change of a referenced row that spreads to the referencing ones as a relationship says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spreading {
    /// Another owner.
    Assign,
    /// A right that somebody gets by a share.
    Share,
    /// A right that somebody loses by a share.
    Unshare,
    /// Another row above: its shares are inherited.
    Reparent,
}

impl Cascade {
    /// Which referencing rows a change reaches.
    pub fn reach(&self, spreading: Spreading) -> CascadeAction {
        match spreading {
            Spreading::Assign => self.assign,
            Spreading::Share => self.share,
            Spreading::Unshare => self.unshare,
            Spreading::Reparent => self.reparent,
        }
    }
}

/// Which referencing rows a change of the referenced row reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CascadeAction {
    /// None.
    #[default]
    NoCascade,
    /// All.
    Cascade,
    /// Those that are active.
    Active,
    /// Those with the same owner.
    UserOwned,
}
