//! How definitions are kept: one JSON text per table, column, alternate key and relationship.
//!
//! In: definitions of `model`. Out: texts, and definitions back from them. Not here: physical names,
//! DDL, where the texts are kept; what a change makes of the definitions (`store::apply_ops`).
//! Invariant: what one release writes, a later one reads: members that are not known are ignored, and
//! members that are missing get a default. A kind that is not known is an error, never a guess.

pub(crate) mod changes;

use changes::Kind;
use model::{
    AlternateKey, Cascade, CascadeAction, Catalog, ChoiceOption, Column, ColumnId, ColumnIndex,
    ColumnKind, ColumnSettings, Computed, DateTimeBehavior, Decimal, Definitions, DeleteAction,
    GlobalChoice, IntegerFormat, Label, LocalizedText, LookupKind, LookupTarget, ManyToMany,
    ManyToManyEnd, Menu, MenuBehavior, MenuGroup, OneToMany, Ownership, RelationshipSettings,
    RequiredLevel, Table, TableDefinition, TableId, TableKind, TableSettings, TextFormat,
    Timestamp, Uuid,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The number of this layout: of the bookkeeping tables, of these texts and of physical rows.
///
/// A store that holds another number is not opened.
pub(crate) const LAYOUT: i32 = 1;

/// A text that holds no definition.
#[derive(Debug, thiserror::Error)]
#[error("the definition of {what} does not read: {text}")]
pub(crate) struct Unreadable {
    what: &'static str,
    text: String,
    source: serde_json::Error,
}

/// A table without its columns and keys, which are kept one by one.
pub(crate) fn encode_table(table: &TableDefinition) -> String {
    encode(&TableText(table))
}

/// A column.
pub(crate) fn encode_column(column: &Column) -> String {
    encode(&ColumnText(column))
}

/// An alternate key.
pub(crate) fn encode_key(key: &AlternateKey) -> String {
    encode(&KeyText(key))
}

/// A relationship.
pub(crate) fn encode_relationship(relationship: &OneToMany) -> String {
    encode(&RelationshipText(relationship))
}

/// A many-to-many relationship.
pub(crate) fn encode_many_to_many(many: &ManyToMany) -> String {
    encode(&ManyText(many))
}

/// A global choice.
pub(crate) fn encode_choice(choice: &GlobalChoice) -> String {
    encode(&ChoiceText(choice))
}

/// The highest number that a table ever had.
pub(crate) fn encode_numbers(table_number_max: u32) -> String {
    encode(&Numbers { table: table_number_max })
}

#[derive(Serialize, Deserialize)]
struct Numbers {
    #[serde(default)]
    table: u32,
}

/// The stored texts of every definition, each list in order of creation.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// Tables.
    pub(crate) tables: Vec<String>,
    /// Columns with the number of their table; within one table by place.
    pub(crate) columns: Vec<(TableId, String)>,
    /// Alternate keys with the number of their table; within one table by place.
    pub(crate) keys: Vec<(TableId, String)>,
    /// Relationships.
    pub(crate) relationships: Vec<String>,
    /// Other definitions: the number of their [`Kind`], and the text.
    pub(crate) others: Vec<(i64, String)>,
}

/// Puts the stored texts together.
pub(crate) fn assemble(version: u64, texts: &Texts) -> Result<Catalog, Unreadable> {
    let mut columns: BTreeMap<TableId, Vec<Column>> = BTreeMap::new();
    for (table, text) in &texts.columns {
        let OwnedColumn(column) = decode("a column", text)?;
        columns.entry(*table).or_default().push(column);
    }
    let mut keys: BTreeMap<TableId, Vec<AlternateKey>> = BTreeMap::new();
    for (table, text) in &texts.keys {
        let OwnedKey(key) = decode("an alternate key", text)?;
        keys.entry(*table).or_default().push(key);
    }
    let mut tables = Vec::with_capacity(texts.tables.len());
    for text in &texts.tables {
        let OwnedTable(mut table) = decode("a table", text)?;
        table.columns = columns.remove(&table.id).unwrap_or_default();
        table.keys = keys.remove(&table.id).unwrap_or_default();
        tables.push(Arc::new(Table::new(table)));
    }
    let relationships = texts
        .relationships
        .iter()
        .map(|text| decode("a relationship", text).map(|OwnedRelationship(found)| Arc::new(found)))
        .collect::<Result<_, _>>()?;
    let mut all = Definitions { tables, relationships, ..Definitions::default() };
    for (kind, text) in &texts.others {
        // A kind that a later release knows is an error, as an unknown kind of column is.
        if *kind == Kind::ManyToMany as i64 {
            let OwnedMany(many) = decode("a many-to-many relationship", text)?;
            all.many_to_many.push(Arc::new(many));
        } else if *kind == Kind::Choice as i64 {
            let OwnedChoice(choice) = decode("a global choice", text)?;
            all.choices.push(Arc::new(choice));
        } else {
            let numbers: Numbers = decode("the numbers", text)?;
            all.table_number_max = numbers.table;
        }
    }
    Ok(Catalog::of(version, all))
}

fn encode<T: Serialize>(definition: &T) -> String {
    serde_json::to_string(definition).expect("definitions have text keys and plain numbers only")
}

fn decode<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|source| Unreadable { what, text: text.to_owned(), source })
}

/// A pair of wrappers around a type of `model`: one borrows for writing, one owns what was read.
macro_rules! wrapped {
    ($borrowed:ident, $owned:ident, $of:ty, $by:literal) => {
        #[derive(Serialize)]
        struct $borrowed<'a>(#[serde(with = $by)] &'a $of);
        #[derive(Deserialize)]
        struct $owned(#[serde(with = $by)] $of);
    };
}

wrapped!(TableText, OwnedTable, TableDefinition, "TableForm");
wrapped!(ColumnText, OwnedColumn, Column, "ColumnForm");
wrapped!(KeyText, OwnedKey, AlternateKey, "KeyForm");
wrapped!(RelationshipText, OwnedRelationship, OneToMany, "RelationshipForm");
wrapped!(ManyText, OwnedMany, ManyToMany, "ManyForm");
wrapped!(ChoiceText, OwnedChoice, GlobalChoice, "GlobalChoiceForm");

#[derive(Serialize, Deserialize)]
#[serde(remote = "TableDefinition")]
struct TableForm {
    #[serde(with = "table_id")]
    id: TableId,
    #[serde(with = "text")]
    metadata_id: Uuid,
    logical_name: Box<str>,
    schema_name: Box<str>,
    entity_set_name: Box<str>,
    #[serde(default)]
    collection_schema_name: Box<str>,
    #[serde(default, with = "label")]
    display_name: Label,
    #[serde(default, with = "label")]
    display_collection_name: Label,
    #[serde(default, with = "label")]
    description: Label,
    #[serde(default)]
    object_type_code: i32,
    #[serde(with = "OwnershipForm")]
    ownership: Ownership,
    #[serde(default = "standard", with = "TableKindForm")]
    kind: TableKind,
    #[serde(default)]
    is_custom: bool,
    #[serde(default)]
    is_intersect: bool,
    #[serde(default)]
    is_activity: bool,
    #[serde(default)]
    has_notes: bool,
    #[serde(default)]
    has_activities: bool,
    #[serde(default = "yes")]
    change_tracking: bool,
    #[serde(default = "yes")]
    optimistic_concurrency: bool,
    #[serde(skip)]
    columns: Vec<Column>,
    #[serde(with = "column_index")]
    primary_key: ColumnIndex,
    #[serde(default, with = "column_index_option")]
    primary_name: Option<ColumnIndex>,
    #[serde(skip)]
    keys: Vec<AlternateKey>,
    #[serde(default, with = "TableSettingsForm")]
    settings: TableSettings,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TableSettings")]
struct TableSettingsForm {
    #[serde(default, with = "timestamp_option", skip_serializing_if = "Option::is_none")]
    created_on: Option<Timestamp>,
    #[serde(default, with = "timestamp_option", skip_serializing_if = "Option::is_none")]
    modified_on: Option<Timestamp>,
    #[serde(default)]
    is_audited: bool,
    #[serde(default)]
    column_number_max: u32,
    #[serde(default)]
    key_number_max: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Column")]
struct ColumnForm {
    #[serde(with = "column_id")]
    id: ColumnId,
    #[serde(with = "text")]
    metadata_id: Uuid,
    logical_name: Box<str>,
    schema_name: Box<str>,
    #[serde(default, with = "label")]
    display_name: Label,
    #[serde(default, with = "label")]
    description: Label,
    #[serde(with = "ColumnKindForm")]
    kind: ColumnKind,
    #[serde(default = "not_required", with = "RequiredLevelForm")]
    required: RequiredLevel,
    #[serde(default, with = "computed_option")]
    computed: Option<Computed>,
    #[serde(default)]
    is_custom: bool,
    #[serde(default)]
    is_indexed: bool,
    #[serde(default = "yes")]
    valid_for_create: bool,
    #[serde(default = "yes")]
    valid_for_update: bool,
    #[serde(default = "yes")]
    valid_for_read: bool,
    #[serde(default, with = "ColumnSettingsForm")]
    settings: ColumnSettings,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ColumnSettings")]
struct ColumnSettingsForm {
    #[serde(default, with = "timestamp_option", skip_serializing_if = "Option::is_none")]
    created_on: Option<Timestamp>,
    #[serde(default, with = "timestamp_option", skip_serializing_if = "Option::is_none")]
    modified_on: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_false")]
    is_secured: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    is_audited: bool,
    #[serde(default = "yes")]
    advanced_find: bool,
    #[serde(default, with = "IntegerFormatForm")]
    integer_format: IntegerFormat,
    #[serde(default, skip_serializing_if = "is_false")]
    is_rich_text: bool,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "uuid_option")]
    global_choice: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    global_choice_name: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_option: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auto_number: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number_seed: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ColumnKind", rename_all = "snake_case")]
enum ColumnKindForm {
    Guid,
    Text {
        max_length: u32,
        #[serde(default = "plain_text", with = "TextFormatForm")]
        format: TextFormat,
    },
    Memo {
        max_length: u32,
        #[serde(default)]
        json: bool,
    },
    Integer {
        min: i32,
        max: i32,
    },
    BigInt,
    Decimal {
        precision: u8,
        #[serde(with = "text")]
        min: Decimal,
        #[serde(with = "text")]
        max: Decimal,
    },
    Double {
        precision: u8,
        #[serde(with = "text")]
        min: f64,
        #[serde(with = "text")]
        max: f64,
    },
    Money {
        precision: u8,
        #[serde(with = "text")]
        min: Decimal,
        #[serde(with = "text")]
        max: Decimal,
    },
    Boolean {
        #[serde(default)]
        default: bool,
        #[serde(default, with = "label")]
        true_label: Label,
        #[serde(default, with = "label")]
        false_label: Label,
    },
    DateTime {
        #[serde(with = "BehaviorForm")]
        behavior: DateTimeBehavior,
        #[serde(default)]
        with_time: bool,
    },
    Choice {
        #[serde(default, with = "options")]
        options: Vec<ChoiceOption>,
        #[serde(default)]
        default: Option<i32>,
    },
    MultiChoice {
        #[serde(default, with = "options")]
        options: Vec<ChoiceOption>,
    },
    State {
        #[serde(default, with = "options")]
        options: Vec<ChoiceOption>,
    },
    Status {
        #[serde(default, with = "options")]
        options: Vec<ChoiceOption>,
    },
    Lookup {
        #[serde(default = "plain_lookup", with = "LookupKindForm")]
        kind: LookupKind,
        #[serde(with = "targets")]
        targets: Vec<LookupTarget>,
    },
    TableName,
    File {
        max_size_kb: u32,
    },
    Image {
        max_size_kb: u32,
        #[serde(default)]
        can_store_full_image: bool,
        #[serde(default)]
        is_primary: bool,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ChoiceOption")]
struct OptionForm {
    value: i32,
    #[serde(default, with = "label")]
    label: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_status: Option<i32>,
    #[serde(default, with = "label", skip_serializing_if = "is_empty")]
    description: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    color: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_value: Option<Box<str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "GlobalChoice")]
struct GlobalChoiceForm {
    #[serde(with = "text")]
    metadata_id: Uuid,
    name: Box<str>,
    #[serde(default, with = "label")]
    display_name: Label,
    #[serde(default, with = "label")]
    description: Label,
    #[serde(default, with = "options")]
    options: Vec<ChoiceOption>,
    #[serde(default)]
    is_custom: bool,
    #[serde(default, with = "timestamp_option", skip_serializing_if = "Option::is_none")]
    created_on: Option<Timestamp>,
    #[serde(default, with = "timestamp_option", skip_serializing_if = "Option::is_none")]
    modified_on: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LookupTarget")]
struct TargetForm {
    table: Box<str>,
    navigation: Box<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "LocalizedText")]
struct LocalizedForm {
    language: u16,
    text: Box<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Computed", rename_all = "snake_case")]
enum ComputedForm {
    FullName {
        #[serde(with = "column_index")]
        first: ColumnIndex,
        #[serde(with = "column_index")]
        last: ColumnIndex,
    },
    OwnerIn {
        #[serde(with = "column_index")]
        owner: ColumnIndex,
        table: Box<str>,
    },
    CopyOf {
        #[serde(with = "column_index")]
        column: ColumnIndex,
    },
    Nothing,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AlternateKey")]
struct KeyForm {
    id: u32,
    #[serde(with = "text")]
    metadata_id: Uuid,
    logical_name: Box<str>,
    schema_name: Box<str>,
    #[serde(default, with = "label")]
    display_name: Label,
    #[serde(with = "column_indexes")]
    columns: Vec<ColumnIndex>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OneToMany")]
struct RelationshipForm {
    #[serde(with = "text")]
    metadata_id: Uuid,
    schema_name: Box<str>,
    referenced_table: Box<str>,
    referenced_column: Box<str>,
    referencing_table: Box<str>,
    referencing_column: Box<str>,
    #[serde(default)]
    referenced_navigation: Box<str>,
    #[serde(default)]
    referencing_navigation: Box<str>,
    #[serde(with = "CascadeForm")]
    cascade: Cascade,
    #[serde(default)]
    is_custom: bool,
    #[serde(default)]
    is_hierarchical: bool,
    #[serde(default, with = "RelationshipSettingsForm")]
    settings: RelationshipSettings,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "RelationshipSettings")]
struct RelationshipSettingsForm {
    #[serde(default, with = "timestamp_option", skip_serializing_if = "Option::is_none")]
    created_on: Option<Timestamp>,
    #[serde(default, with = "timestamp_option", skip_serializing_if = "Option::is_none")]
    modified_on: Option<Timestamp>,
    #[serde(default = "yes")]
    advanced_find: bool,
    #[serde(default, with = "MenuForm")]
    menu: Menu,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Menu")]
struct MenuForm {
    #[serde(default = "use_collection_name", with = "MenuBehaviorForm")]
    behavior: MenuBehavior,
    #[serde(default = "details", with = "MenuGroupForm")]
    group: MenuGroup,
    #[serde(default)]
    order: Option<i32>,
    #[serde(default, with = "label")]
    label: Label,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ManyToMany")]
struct ManyForm {
    #[serde(with = "text")]
    metadata_id: Uuid,
    schema_name: Box<str>,
    intersect_table: Box<str>,
    #[serde(with = "ends")]
    ends: [ManyToManyEnd; 2],
    #[serde(default)]
    is_custom: bool,
    #[serde(default, with = "RelationshipSettingsForm")]
    settings: RelationshipSettings,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ManyToManyEnd")]
struct EndForm {
    table: Box<str>,
    navigation: Box<str>,
    column: Box<str>,
    #[serde(default, with = "MenuForm")]
    menu: Menu,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Cascade")]
struct CascadeForm {
    #[serde(with = "DeleteActionForm")]
    delete: DeleteAction,
    #[serde(default, with = "CascadeActionForm")]
    assign: CascadeAction,
    #[serde(default, with = "CascadeActionForm")]
    share: CascadeAction,
    #[serde(default, with = "CascadeActionForm")]
    unshare: CascadeAction,
    #[serde(default, with = "CascadeActionForm")]
    reparent: CascadeAction,
    #[serde(default, with = "CascadeActionForm")]
    merge: CascadeAction,
    #[serde(default, with = "CascadeActionForm")]
    archive: CascadeAction,
    #[serde(default, with = "CascadeActionForm")]
    rollup_view: CascadeAction,
}

/// Enumerations without values: their names in snake case.
macro_rules! plain_enum {
    ($form:ident, $of:literal: $($variant:ident),+) => {
        #[derive(Serialize, Deserialize)]
        #[serde(remote = $of, rename_all = "snake_case")]
        enum $form {
            $($variant),+
        }
    };
}

plain_enum!(DeleteActionForm, "DeleteAction": Cascade, RemoveLink, Restrict, NoCascade);
plain_enum!(CascadeActionForm, "CascadeAction": NoCascade, Cascade, Active, UserOwned);
plain_enum!(MenuBehaviorForm, "MenuBehavior": UseCollectionName, UseLabel, DoNotDisplay);
plain_enum!(MenuGroupForm, "MenuGroup": Details, Sales, Service, Marketing);
plain_enum!(IntegerFormatForm, "IntegerFormat": None, Duration, TimeZone, Language, Locale);
plain_enum!(OwnershipForm, "Ownership": User, Organization, Business, None);
plain_enum!(TableKindForm, "TableKind": Standard, Elastic);
plain_enum!(RequiredLevelForm, "RequiredLevel":
    None, Recommended, ApplicationRequired, SystemRequired);
plain_enum!(BehaviorForm, "DateTimeBehavior": UserLocal, DateOnly, TimeZoneIndependent);
plain_enum!(LookupKindForm, "LookupKind": Plain, Customer, Owner);
plain_enum!(TextFormatForm, "TextFormat":
    Text, Email, Url, Phone, TextArea, TickerSymbol, Json, RichText);

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

fn is_empty(label: &Label) -> bool {
    label.texts.is_empty()
}

fn use_collection_name() -> MenuBehavior {
    Menu::default().behavior
}

fn details() -> MenuGroup {
    Menu::default().group
}

fn standard() -> TableKind {
    TableKind::Standard
}

fn not_required() -> RequiredLevel {
    RequiredLevel::None
}

fn plain_text() -> TextFormat {
    TextFormat::Text
}

fn plain_lookup() -> LookupKind {
    LookupKind::Plain
}

/// Numbers that JSON would blur, and ids: as text.
mod text {
    use super::{Deserialize, Deserializer, Serializer};
    use serde::de::Error as _;
    use std::fmt::Display;
    use std::str::FromStr;

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        Box::<str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// A newtype over a number, written as the number.
macro_rules! number {
    ($module:ident, $of:ident, $number:ty) => {
        mod $module {
            use super::*;

            pub(super) fn serialize<S: Serializer>(value: &$of, to: S) -> Result<S::Ok, S::Error> {
                value.0.serialize(to)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$of, D::Error> {
                <$number>::deserialize(from).map($of)
            }
        }
    };
}

number!(table_id, TableId, u32);
number!(column_id, ColumnId, u32);
number!(column_index, ColumnIndex, u16);

mod column_index_option {
    use super::*;

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<ColumnIndex>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|index| index.0).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<ColumnIndex>, D::Error> {
        Ok(Option::<u16>::deserialize(from)?.map(ColumnIndex))
    }
}

/// An optional value of a type that is written as text or number.
macro_rules! optional {
    ($module:ident, $of:ty, $as:ty, $to:expr, $from:expr) => {
        mod $module {
            use super::*;

            #[expect(clippy::ref_option, reason = "the signature that serde calls")]
            pub(super) fn serialize<S: Serializer>(
                value: &Option<$of>,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                value.map($to).serialize(to)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<Option<$of>, D::Error> {
                use serde::de::Error as _;
                Option::<$as>::deserialize(from)?.map($from).transpose().map_err(D::Error::custom)
            }
        }
    };
}

optional!(timestamp_option, Timestamp, i64, |time| time.0, |seconds| {
    Ok::<_, std::convert::Infallible>(Timestamp(seconds))
});
optional!(uuid_option, Uuid, Box<str>, |id| id.to_string(), |text| text.parse::<Uuid>());

/// The two sides of a many-to-many relationship.
mod ends {
    use super::*;
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(
        value: &[ManyToManyEnd; 2],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        end_list::serialize(value, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<[ManyToManyEnd; 2], D::Error> {
        let ends = end_list::deserialize(from)?;
        ends.try_into().map_err(|_| D::Error::custom("a many-to-many relationship has two sides"))
    }
}

mod column_indexes {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        value: &[ColumnIndex],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(value.iter().map(|index| index.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<ColumnIndex>, D::Error> {
        Ok(Vec::<u16>::deserialize(from)?.into_iter().map(ColumnIndex).collect())
    }
}

mod computed_option {
    use super::*;

    #[derive(Serialize)]
    struct Borrowed<'a>(#[serde(with = "ComputedForm")] &'a Computed);
    #[derive(Deserialize)]
    struct Owned(#[serde(with = "ComputedForm")] Computed);

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        value: &Option<Computed>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Borrowed).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Computed>, D::Error> {
        Ok(Option::<Owned>::deserialize(from)?.map(|Owned(computed)| computed))
    }
}

/// A list of a type of `model`.
macro_rules! list {
    ($module:ident, $of:ident, $form:literal) => {
        mod $module {
            use super::*;

            #[derive(Serialize)]
            struct Borrowed<'a>(#[serde(with = $form)] &'a $of);
            #[derive(Deserialize)]
            struct Owned(#[serde(with = $form)] $of);

            pub(super) fn serialize<S: Serializer>(
                value: &[$of],
                to: S,
            ) -> Result<S::Ok, S::Error> {
                to.collect_seq(value.iter().map(Borrowed))
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<Vec<$of>, D::Error> {
                Ok(Vec::<Owned>::deserialize(from)?.into_iter().map(|Owned(each)| each).collect())
            }
        }
    };
}

list!(options, ChoiceOption, "OptionForm");
list!(targets, LookupTarget, "TargetForm");
list!(localized, LocalizedText, "LocalizedForm");
list!(end_list, ManyToManyEnd, "EndForm");

mod label {
    use super::*;

    pub(super) fn serialize<S: Serializer>(value: &Label, to: S) -> Result<S::Ok, S::Error> {
        localized::serialize(&value.texts, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Label, D::Error> {
        Ok(Label { texts: localized::deserialize(from)? })
    }
}

#[cfg(test)]
mod tests;
