//! Why bytes were refused.
//!
//! Not here: fault codes, statuses and the platform's texts; `webapi` chooses them per variant.
//! Invariant: `index` is the place of the item in `Targets`; none for a single record and for URLs.

/// The answer of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why bytes were refused. Numbers in brackets are rows of the contract's validation table
/// (`bulk.md` 1.8); of several errors in one body the one with the lowest row is reported, and of
/// those the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// [1] The body is no JSON, or no object.
    #[error("the body is no JSON object: {detail}")]
    NotJson {
        /// What the parser says.
        detail: String,
    },
    /// [2] `Targets` is missing or null.
    #[error("`Targets` is missing")]
    TargetsMissing,
    /// [3] `Targets` is no list.
    #[error("`Targets` is not a list")]
    TargetsNotAList,
    /// [3] An item of `Targets` is no object.
    #[error("item {index} of `Targets` is not an object")]
    ItemNotAnObject {
        /// Its place.
        index: usize,
    },
    /// [3] The action has no such parameter.
    #[error("the action has no parameter `{name}`")]
    UnknownParameter {
        /// The member of the body.
        name: String,
    },
    /// [3] `ConcurrencyBehavior` is neither a name nor a number of the enumeration.
    #[error("`{literal}` is no concurrency behaviour")]
    BadConcurrencyBehavior {
        /// As it was sent.
        literal: String,
    },
    /// [4] `Targets` has no items.
    #[error("`Targets` is empty")]
    TargetsEmpty,
    /// [5] An item lacks `@odata.type`.
    #[error("item {index} of `Targets` has no `@odata.type`")]
    TypeMissing {
        /// Its place.
        index: usize,
    },
    /// [6] `@odata.type` names an unknown table.
    #[error("item {index} of `Targets` is of the unknown table `{name}`")]
    UnknownTable {
        /// The item's place.
        index: usize,
        /// The name, without `Microsoft.Dynamics.CRM.`.
        name: String,
    },
    /// [7] `@odata.type` names another table than the one that is bound.
    #[error("item {index} of `Targets` is of table `{name}`")]
    OtherTable {
        /// The item's place.
        index: usize,
        /// The other table.
        name: String,
        /// The first property of the item that is no annotation.
        first_column: Option<String>,
    },
    /// [8] The table has no such property.
    #[error("table `{table}` has no property `{property}`")]
    UnknownProperty {
        /// The item's place.
        index: Option<usize>,
        /// The property.
        property: String,
        /// Logical name of the table.
        table: Box<str>,
    },
    /// [8] A property stands twice in one object.
    #[error("property `{property}` stands twice in one object")]
    DuplicateProperty {
        /// The item's place; none at the top of the body, too.
        index: Option<usize>,
        /// The property.
        property: String,
    },
    /// [9] `x@odata.bind` where the table has no navigation property `x`.
    #[error("table `{table}` has no navigation property `{property}`")]
    UnknownNavigation {
        /// The item's place.
        index: Option<usize>,
        /// The navigation property, without `@odata.bind`.
        property: String,
        /// Logical name of the table.
        table: Box<str>,
    },
    /// [9] A navigation property holds a new record or a list of them.
    #[error("navigation property `{property}` holds a record (deep insert)")]
    DeepInsert {
        /// The item's place.
        index: Option<usize>,
        /// The navigation property.
        property: String,
    },
    /// [9] New records lie too deep in each other.
    #[error("navigation property `{property}` lies too deep")]
    NestedTooDeep {
        /// The item's place.
        index: Option<usize>,
        /// The navigation property.
        property: String,
    },
    /// [9] A collection-valued navigation property is bound.
    #[error("`{property}@odata.bind` binds a collection")]
    CollectionBind {
        /// The item's place.
        index: Option<usize>,
        /// The navigation property, without `@odata.bind`.
        property: String,
    },
    /// [10] A value that the column's type cannot hold.
    #[error("`{literal}` is no `{edm_type}` (property `{property}`)")]
    BadLiteral {
        /// The item's place.
        index: Option<usize>,
        /// The property, or the key column in a reference.
        property: String,
        /// As it was sent, without quotes, cut when long.
        literal: String,
        /// `Edm.Int32` and so on.
        edm_type: &'static str,
    },
    /// [10] A single-valued navigation property holds something other than null or a record.
    #[error("navigation property `{property}` holds a plain value")]
    NavigationValue {
        /// The item's place.
        index: Option<usize>,
        /// The navigation property.
        property: String,
        /// As it was sent, cut when long.
        literal: String,
    },
    /// [10] Text with U+0000, which no store can hold.
    #[error("property `{property}` holds invalid characters")]
    InvalidCharacters {
        /// The item's place.
        index: Option<usize>,
        /// The property.
        property: String,
    },
    /// [11] An item of an update or delete names no record.
    #[error("item {index} of `Targets` names no record")]
    IdMissing {
        /// Its place.
        index: usize,
    },
    /// [12] The names in a key are not those of the primary or of an alternate key.
    #[error("the key given for table `{table}` is none of its keys")]
    UndefinedKey {
        /// The item's place.
        index: Option<usize>,
        /// Logical name of the table.
        table: Box<str>,
    },
    /// [12] A reference names an unknown entity set.
    #[error("there is no entity set `{segment}`")]
    UnknownSet {
        /// The item's place.
        index: Option<usize>,
        /// The set's name as given.
        segment: String,
    },
    /// [12] A reference that does not read as one.
    #[error("`{text}` is no reference to a record")]
    BadReference {
        /// The item's place.
        index: Option<usize>,
        /// As it was sent, cut when long.
        text: String,
    },
    /// [12] A reference to a table that the property cannot point to.
    #[error("`{property}` cannot point to table `{table}`")]
    ReferenceTable {
        /// The item's place.
        index: Option<usize>,
        /// The navigation property, or `@odata.id`.
        property: String,
        /// Logical name of the table that the reference names.
        table: Box<str>,
    },
    /// Something valid that is not there yet. Names it.
    #[error("{what} is not supported")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// A definition lacks a member, or holds a value that the member cannot have.
    #[error("definition refused at `{member}`: {why}")]
    BadDefinition {
        /// The member, with its path (`Attributes[1].MaxLength`).
        member: String,
        /// What is wrong with it.
        why: String,
    },
    /// `OwnershipType` is neither `UserOwned` nor `OrganizationOwned`.
    #[error("`{given}` is no ownership that a new table can have")]
    BadOwnership {
        /// As it was sent.
        given: String,
    },
    /// An answer (not a request) does not have the shape that the contract gives it.
    #[error("the answer cannot be read: {detail}")]
    BadAnswer {
        /// What is wrong with it.
        detail: String,
    },
    /// A batch whose frame is not in order.
    #[error("the batch cannot be read: {detail}")]
    BadBatch {
        /// What is wrong with it.
        detail: String,
    },
    /// A batch with too many operations.
    #[error("the batch has more than {operations_max} operations")]
    BatchTooLong {
        /// How many are allowed.
        operations_max: usize,
    },
    /// Two operations of a change set have one Content-ID.
    #[error("Content-ID `{id}` stands twice in a change set")]
    ContentIdTwice {
        /// The Content-ID.
        id: String,
    },
    /// A reference to a Content-ID that no operation before has.
    #[error("no operation before has the Content-ID `{id}`")]
    UnknownContentId {
        /// The Content-ID, without `$`.
        id: String,
    },
    /// A record cannot be put on the wire: its table or lookup is not in the catalog.
    #[error("cannot be written: {why}")]
    NotEncodable {
        /// Why not.
        why: String,
    },
}

impl Error {
    /// The item's place in `Targets`, when one is to blame.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::ItemNotAnObject { index }
            | Self::TypeMissing { index }
            | Self::UnknownTable { index, .. }
            | Self::OtherTable { index, .. }
            | Self::IdMissing { index } => Some(*index),
            Self::UnknownProperty { index, .. }
            | Self::DuplicateProperty { index, .. }
            | Self::UnknownNavigation { index, .. }
            | Self::DeepInsert { index, .. }
            | Self::NestedTooDeep { index, .. }
            | Self::CollectionBind { index, .. }
            | Self::BadLiteral { index, .. }
            | Self::NavigationValue { index, .. }
            | Self::InvalidCharacters { index, .. }
            | Self::UndefinedKey { index, .. }
            | Self::UnknownSet { index, .. }
            | Self::BadReference { index, .. }
            | Self::ReferenceTable { index, .. } => *index,
            Self::NotJson { .. }
            | Self::TargetsMissing
            | Self::TargetsNotAList
            | Self::UnknownParameter { .. }
            | Self::BadConcurrencyBehavior { .. }
            | Self::TargetsEmpty
            | Self::Unsupported { .. }
            | Self::BadDefinition { .. }
            | Self::BadOwnership { .. }
            | Self::BadAnswer { .. }
            | Self::BadBatch { .. }
            | Self::BatchTooLong { .. }
            | Self::ContentIdTwice { .. }
            | Self::UnknownContentId { .. }
            | Self::NotEncodable { .. } => None,
        }
    }

    /// The property to blame, as it was sent.
    pub fn property(&self) -> Option<&str> {
        match self {
            Self::UnknownProperty { property, .. }
            | Self::DuplicateProperty { property, .. }
            | Self::UnknownNavigation { property, .. }
            | Self::DeepInsert { property, .. }
            | Self::NestedTooDeep { property, .. }
            | Self::CollectionBind { property, .. }
            | Self::BadLiteral { property, .. }
            | Self::NavigationValue { property, .. }
            | Self::InvalidCharacters { property, .. }
            | Self::ReferenceTable { property, .. } => Some(property),
            _ => None,
        }
    }

    /// The row of the validation table that this error belongs to; lower rows are reported first.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::NotJson { .. } => 1,
            Self::TargetsMissing => 2,
            Self::TargetsNotAList
            | Self::ItemNotAnObject { .. }
            | Self::UnknownParameter { .. }
            | Self::BadConcurrencyBehavior { .. } => 3,
            Self::TargetsEmpty => 4,
            Self::TypeMissing { .. } => 5,
            Self::UnknownTable { .. } => 6,
            Self::OtherTable { .. } => 7,
            Self::UnknownProperty { .. } | Self::DuplicateProperty { .. } => 8,
            Self::UnknownNavigation { .. }
            | Self::DeepInsert { .. }
            | Self::NestedTooDeep { .. }
            | Self::CollectionBind { .. } => 9,
            Self::BadLiteral { .. }
            | Self::NavigationValue { .. }
            | Self::InvalidCharacters { .. } => 10,
            Self::IdMissing { .. } => 11,
            Self::UndefinedKey { .. }
            | Self::UnknownSet { .. }
            | Self::BadReference { .. }
            | Self::ReferenceTable { .. } => 12,
            Self::Unsupported { .. }
            | Self::BadDefinition { .. }
            | Self::BadOwnership { .. }
            | Self::BadAnswer { .. }
            | Self::BadBatch { .. }
            | Self::BatchTooLong { .. }
            | Self::ContentIdTwice { .. }
            | Self::UnknownContentId { .. }
            | Self::NotEncodable { .. } => 13,
        }
    }

    /// The same error, blamed on an item.
    pub(crate) fn at(mut self, place: Option<usize>) -> Self {
        match &mut self {
            Self::UnknownProperty { index, .. }
            | Self::DuplicateProperty { index, .. }
            | Self::UnknownNavigation { index, .. }
            | Self::DeepInsert { index, .. }
            | Self::NestedTooDeep { index, .. }
            | Self::CollectionBind { index, .. }
            | Self::BadLiteral { index, .. }
            | Self::NavigationValue { index, .. }
            | Self::InvalidCharacters { index, .. }
            | Self::UndefinedKey { index, .. }
            | Self::UnknownSet { index, .. }
            | Self::BadReference { index, .. }
            | Self::ReferenceTable { index, .. } => *index = place,
            _ => {}
        }
        self
    }
}

/// Text for an error: cut when long, so that a fault stays readable.
pub(crate) fn cut(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => {
            let mut cut = text.get(..end).unwrap_or_default().to_owned();
            cut.push('…');
            cut
        }
        None => text.to_owned(),
    }
}
