//! Tables and columns: the schema that everything else is bound to.

use crate::{ChoiceOption, Label, Timestamp};
use rust_decimal::Decimal;
use rustc_hash::FxHashMap;
use uuid::Uuid;

/// The number of a table in its organisation; its physical name is `t<n>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u32);

/// The number of a column within its table, never reused; its physical name is `c<n>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub u32);

/// The place of a column in [`TableDefinition::columns`].
///
/// Columns are only ever appended within one catalog history, or the catalog version moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnIndex(pub u16);

/// The place of an alternate key in [`TableDefinition::keys`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyIndex(pub u16);

/// What a table is, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TableDefinition {
    /// Its number.
    pub id: TableId,
    /// Its public id.
    pub metadata_id: Uuid,
    /// Lower-case unique name.
    pub logical_name: Box<str>,
    /// Mixed-case form of the logical name.
    pub schema_name: Box<str>,
    /// The URL segment.
    pub entity_set_name: Box<str>,
    /// Plural of the schema name.
    pub collection_schema_name: Box<str>,
    /// Singular display name.
    pub display_name: Label,
    /// Plural display name.
    pub display_collection_name: Label,
    /// Description.
    pub description: Label,
    /// The integer name that some callers use; custom tables from 10000.
    pub object_type_code: i32,
    /// Who owns its rows.
    pub ownership: Ownership,
    /// Standard or elastic.
    pub kind: TableKind,
    /// Made by a user of the service.
    pub is_custom: bool,
    /// A link table: the pairs of a many-to-many relationship, without system columns. Its two columns
    /// are lookups, so that a store checks and follows them; they read under their bare names, as ids.
    pub is_intersect: bool,
    /// An activity: its key is `activityid`.
    pub is_activity: bool,
    /// Notes can be attached.
    pub has_notes: bool,
    /// Activities can be attached.
    pub has_activities: bool,
    /// Changes can be followed.
    pub change_tracking: bool,
    /// Versions are compared when a caller sends one.
    pub optimistic_concurrency: bool,
    /// The columns; at most 1,000.
    pub columns: Vec<Column>,
    /// The primary key column.
    pub primary_key: ColumnIndex,
    /// The column that names a record.
    pub primary_name: Option<ColumnIndex>,
    /// The alternate keys; at most 10.
    pub keys: Vec<AlternateKey>,
    /// What most readers of a table need not know.
    pub settings: TableSettings,
}

/// What a table keeps beside what its rows need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableSettings {
    /// When it was made; none where a definition is older than this member.
    pub created_on: Option<Timestamp>,
    /// When it was last changed, its columns aside.
    pub modified_on: Option<Timestamp>,
    /// Changes of its rows are to be audited. Kept; nothing is recorded yet.
    pub is_audited: bool,
    /// The highest number that a column ever had; see [`TableDefinition::next_column_id`].
    pub column_number_max: u32,
    /// The highest number that an alternate key ever had; see [`TableDefinition::next_key_id`].
    pub key_number_max: u32,
}

impl TableDefinition {
    /// The number of the next column: numbers of columns that are gone are not given again.
    pub fn next_column_id(&self) -> ColumnId {
        let highest = self.columns.iter().map(|column| column.id.0).max().unwrap_or(0);
        ColumnId(highest.max(self.settings.column_number_max) + 1)
    }

    /// The number of the next alternate key: numbers of keys that are gone are not given again.
    pub fn next_key_id(&self) -> u32 {
        let highest = self.keys.iter().map(|key| key.id).max().unwrap_or(0);
        highest.max(self.settings.key_number_max) + 1
    }
}

/// What a column is, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its number.
    pub id: ColumnId,
    /// Its public id.
    pub metadata_id: Uuid,
    /// Lower-case name, unique in the table; the JSON property, but for lookups.
    pub logical_name: Box<str>,
    /// Mixed-case form of the logical name.
    pub schema_name: Box<str>,
    /// Display name.
    pub display_name: Label,
    /// Description.
    pub description: Label,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether a value is wished for.
    pub required: RequiredLevel,
    /// Where its value comes from, when it is not stored.
    pub computed: Option<Computed>,
    /// Made by a user of the service.
    pub is_custom: bool,
    /// A secondary index serves it.
    pub is_indexed: bool,
    /// A caller may give it on create; otherwise it is silently ignored.
    pub valid_for_create: bool,
    /// A caller may give it on update; otherwise it is silently ignored.
    pub valid_for_update: bool,
    /// It is returned; otherwise it reads null.
    pub valid_for_read: bool,
    /// What most readers of a column need not know.
    pub settings: ColumnSettings,
}

/// What a column keeps beside what its values need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSettings {
    /// When it was made; none where a definition is older than this member.
    pub created_on: Option<Timestamp>,
    /// When it was last changed.
    pub modified_on: Option<Timestamp>,
    /// Its values are for those alone who are given rights to it.
    pub is_secured: bool,
    /// Changes of its values are to be audited. Kept; nothing is recorded yet.
    pub is_audited: bool,
    /// Offered in advanced find.
    pub advanced_find: bool,
    /// Whole numbers: what they stand for.
    pub integer_format: IntegerFormat,
    /// Memos: the value is rich text.
    pub is_rich_text: bool,
    /// Choices: the metadata id of the global choice that it is bound to.
    pub global_choice: Option<Uuid>,
    /// Its name, which never changes.
    pub global_choice_name: Option<Box<str>>,
    /// Multi-select choices: the one option of a record that does not give any.
    pub default_option: Option<i32>,
    /// Texts: the pattern of the value that a new record gets which brings none.
    pub auto_number: Option<Box<str>>,
    /// The number that its counter begins with. There is a counter where this is one, and as long as the
    /// column is there: it outlives the pattern.
    pub number_seed: Option<i64>,
}

impl Default for ColumnSettings {
    fn default() -> Self {
        Self {
            created_on: None,
            modified_on: None,
            is_secured: false,
            is_audited: false,
            advanced_find: true,
            integer_format: IntegerFormat::default(),
            is_rich_text: false,
            global_choice: None,
            global_choice_name: None,
            default_option: None,
            auto_number: None,
            number_seed: None,
        }
    }
}

/// What a whole number stands for. Its values are the same in every format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntegerFormat {
    /// A number.
    #[default]
    None,
    /// Minutes.
    Duration,
    /// A time zone code.
    TimeZone,
    /// A language code.
    Language,
    /// A locale code.
    Locale,
}

impl Column {
    /// Whether an answer shows the column where nobody names one: an image is shown on request only.
    pub fn is_shown_unasked(&self) -> bool {
        self.valid_for_read && !matches!(self.kind, ColumnKind::Image { .. })
    }
}

/// What a column holds, with its limits.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnKind {
    /// Primary keys and unique identifiers.
    Guid,
    /// Single-line text.
    Text {
        /// Longest value, in UTF-16 units as the platform counts.
        max_length: u32,
        /// How it is meant.
        format: TextFormat,
    },
    /// Multi-line text.
    Memo {
        /// Longest value, in UTF-16 units.
        max_length: u32,
        /// Holds JSON text.
        json: bool,
    },
    /// Whole number.
    Integer {
        /// Smallest value.
        min: i32,
        /// Largest value.
        max: i32,
    },
    /// 64-bit whole number.
    BigInt,
    /// Exact decimal.
    Decimal {
        /// Digits after the point, 0 to 10.
        precision: u8,
        /// Smallest value.
        min: Decimal,
        /// Largest value.
        max: Decimal,
    },
    /// Floating point.
    Double {
        /// Digits after the point, 0 to 5.
        precision: u8,
        /// Smallest value.
        min: f64,
        /// Largest value.
        max: f64,
    },
    /// Money in the record's currency.
    Money {
        /// Digits after the point, 0 to 4.
        precision: u8,
        /// Smallest value.
        min: Decimal,
        /// Largest value.
        max: Decimal,
    },
    /// Yes or no.
    Boolean {
        /// The value of a record that does not give one.
        default: bool,
        /// What `true` is called.
        true_label: Label,
        /// What `false` is called.
        false_label: Label,
    },
    /// An instant or a day.
    DateTime {
        /// How zones are treated.
        behavior: DateTimeBehavior,
        /// The format is date and time, not date only.
        with_time: bool,
    },
    /// One of several options.
    Choice {
        /// The options.
        options: Vec<ChoiceOption>,
        /// The value of a record that does not give one.
        default: Option<i32>,
    },
    /// Several of several options.
    MultiChoice {
        /// The options.
        options: Vec<ChoiceOption>,
    },
    /// The state of a record.
    State {
        /// The options.
        options: Vec<ChoiceOption>,
    },
    /// The reason of a state.
    Status {
        /// The options, each with its state.
        options: Vec<ChoiceOption>,
    },
    /// A link to one record.
    Lookup {
        /// Plain, customer or owner.
        kind: LookupKind,
        /// The tables it may point to; at least one.
        targets: Vec<LookupTarget>,
    },
    /// The logical name of a table.
    TableName,
    /// A file: the value is the id of what is stored. Its name stands in the column `<name>_name`.
    File {
        /// Largest file, in units of 1,024 bytes.
        max_size_kb: u32,
    },
    /// An image: the value is its thumbnail in base64, shown only to those who ask for it. Beside it stand
    /// `<name>_timestamp`, `<name>_url` and `<name>id`.
    Image {
        /// Largest image, in units of 1,024 bytes.
        max_size_kb: u32,
        /// The image itself is kept beside its thumbnail.
        can_store_full_image: bool,
        /// It stands for the record; one per table.
        is_primary: bool,
    },
}

impl ColumnKind {
    /// The type under which the Web API knows the column.
    pub fn edm_type(&self) -> &'static str {
        match self {
            Self::Guid | Self::Lookup { .. } | Self::File { .. } => "Edm.Guid",
            Self::Image { .. } => "Edm.Binary",
            Self::Text { .. } | Self::Memo { .. } | Self::MultiChoice { .. } | Self::TableName => {
                "Edm.String"
            }
            Self::Integer { .. }
            | Self::Choice { .. }
            | Self::State { .. }
            | Self::Status { .. } => "Edm.Int32",
            Self::BigInt => "Edm.Int64",
            Self::Decimal { .. } | Self::Money { .. } => "Edm.Decimal",
            Self::Double { .. } => "Edm.Double",
            Self::Boolean { .. } => "Edm.Boolean",
            Self::DateTime { behavior: DateTimeBehavior::DateOnly, .. } => "Edm.Date",
            Self::DateTime { .. } => "Edm.DateTimeOffset",
        }
    }
}

/// A table that a lookup may point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupTarget {
    /// Logical name of the table.
    pub table: Box<str>,
    /// The navigation property that a writer uses.
    pub navigation: Box<str>,
}

/// The kinds of lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupKind {
    /// One target table, or several.
    Plain,
    /// An account or a contact.
    Customer,
    /// A user or a team.
    Owner,
}

/// Where the value of a column comes from, when it is not stored. Read-only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Computed {
    /// The non-empty ones of two text columns with a blank between.
    FullName {
        /// First part.
        first: ColumnIndex,
        /// Second part.
        last: ColumnIndex,
    },
    /// The owner, if it is a row of this table (`owninguser`, `owningteam`).
    OwnerIn {
        /// The owner column.
        owner: ColumnIndex,
        /// Logical name of the owner's table.
        table: Box<str>,
    },
    /// The same value as another column (`<money>_base` at rate 1, `ownerid` of a user).
    CopyOf {
        /// The other column.
        column: ColumnIndex,
    },
    /// Always empty (columns of features that are not there).
    Nothing,
}

/// How a text column is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// Plain text.
    Text,
    /// An e-mail address.
    Email,
    /// A URL.
    Url,
    /// A telephone number.
    Phone,
    /// Several lines.
    TextArea,
    /// A ticker symbol.
    TickerSymbol,
    /// JSON text.
    Json,
    /// Rich text.
    RichText,
}

/// How a date-time column treats zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateTimeBehavior {
    /// Stored in UTC, shown in the user's zone.
    UserLocal,
    /// A day.
    DateOnly,
    /// No conversion.
    TimeZoneIndependent,
}

/// Whether a value is wished for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredLevel {
    /// Not at all.
    None,
    /// Recommended.
    Recommended,
    /// Required by the application; not enforced by the service.
    ApplicationRequired,
    /// Required by the system.
    SystemRequired,
}

/// Who owns the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Users and teams.
    User,
    /// The organisation.
    Organization,
    /// A business unit.
    Business,
    /// Nobody.
    None,
}

/// The two kinds of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Transactional.
    Standard,
    /// Partitioned, partial success.
    Elastic,
}

/// An alternate key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlternateKey {
    /// Its number within the table, never reused; part of its index's physical name.
    pub id: u32,
    /// Its public id.
    pub metadata_id: Uuid,
    /// Lower-case unique name.
    pub logical_name: Box<str>,
    /// Mixed-case form.
    pub schema_name: Box<str>,
    /// Display name.
    pub display_name: Label,
    /// Its columns, in order; 1 to 16.
    pub columns: Vec<ColumnIndex>,
}

/// A table definition with its indexes: what the rest of the house holds as `Arc<Table>`.
#[derive(Debug, PartialEq)]
pub struct Table {
    definition: TableDefinition,
    by_name: FxHashMap<Box<str>, ColumnIndex>,
    by_value_name: FxHashMap<Box<str>, ColumnIndex>,
    by_navigation: FxHashMap<Box<str>, (ColumnIndex, usize)>,
    value_names: Vec<Box<str>>,
}

impl std::ops::Deref for Table {
    type Target = TableDefinition;

    fn deref(&self) -> &TableDefinition {
        &self.definition
    }
}

impl Table {
    /// Columns that a table may have at most.
    pub const COLUMNS_MAX: usize = 1_000;

    /// Indexes a definition.
    pub fn new(definition: TableDefinition) -> Self {
        let mut this = Self {
            by_name: FxHashMap::default(),
            by_value_name: FxHashMap::default(),
            by_navigation: FxHashMap::default(),
            value_names: Vec::with_capacity(definition.columns.len()),
            definition,
        };
        for (place, column) in this.definition.columns.iter().enumerate() {
            let index = ColumnIndex(u16::try_from(place).expect("at most 1,000 columns"));
            this.by_name.insert(column.logical_name.clone(), index);
            let value_name: Box<str> = match &column.kind {
                // An intersect table is its two ids: they read as such, and lead nowhere.
                ColumnKind::Lookup { .. } if this.definition.is_intersect => {
                    column.logical_name.clone()
                }
                ColumnKind::Lookup { targets, .. } => {
                    for (place, target) in targets.iter().enumerate() {
                        // `ownerid` is one navigation for users and teams: the first stands for both.
                        this.by_navigation
                            .entry(target.navigation.clone())
                            .or_insert((index, place));
                    }
                    format!("_{}_value", column.logical_name).into()
                }
                _ => column.logical_name.clone(),
            };
            this.by_value_name.insert(value_name.clone(), index);
            this.value_names.push(value_name);
        }
        this
    }

    /// The bare definition, to be changed and indexed anew.
    pub fn definition(&self) -> &TableDefinition {
        &self.definition
    }

    /// A column by its place.
    pub fn column(&self, index: ColumnIndex) -> &Column {
        &self.definition.columns[usize::from(index.0)]
    }

    /// The columns with their places.
    pub fn indexed_columns(&self) -> impl Iterator<Item = (ColumnIndex, &Column)> {
        self.definition.columns.iter().enumerate().map(|(place, column)| {
            (ColumnIndex(u16::try_from(place).expect("at most 1,000 columns")), column)
        })
    }

    /// The place of the column with this logical name (`primarycontactid`, `name`).
    pub fn index_of(&self, logical_name: &str) -> Option<ColumnIndex> {
        self.by_name.get(logical_name).copied()
    }

    /// The place of the column that reads under this JSON property (`_primarycontactid_value`, `name`).
    pub fn index_of_value(&self, value_name: &str) -> Option<ColumnIndex> {
        self.by_value_name.get(value_name).copied()
    }

    /// The JSON property under which a column reads: `_x_value` for lookups outside of intersect tables,
    /// else the logical name.
    pub fn value_name(&self, index: ColumnIndex) -> &str {
        &self.value_names[usize::from(index.0)]
    }

    /// The lookup column of a single-valued navigation property and its place in the column's targets.
    ///
    /// `ownerid` answers its first target; any of the column's targets is meant.
    pub fn navigation(&self, name: &str) -> Option<(ColumnIndex, usize)> {
        self.by_navigation.get(name).copied()
    }

    /// An alternate key by its place.
    pub fn key(&self, index: KeyIndex) -> &AlternateKey {
        &self.definition.keys[usize::from(index.0)]
    }

    /// The alternate key over exactly these columns, in any order.
    pub fn key_over(&self, columns: &[ColumnIndex]) -> Option<KeyIndex> {
        let place = self.definition.keys.iter().position(|key| {
            key.columns.len() == columns.len()
                && key.columns.iter().all(|column| columns.contains(column))
        })?;
        u16::try_from(place).ok().map(KeyIndex)
    }

    /// Logical name of the primary key column.
    pub fn primary_key_name(&self) -> &str {
        &self.column(self.definition.primary_key).logical_name
    }

    /// The place of the row version column; every table has one.
    pub fn version_column(&self) -> ColumnIndex {
        self.index_of("versionnumber").expect("every table has a versionnumber column")
    }
}
