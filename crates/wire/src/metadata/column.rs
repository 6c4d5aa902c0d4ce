//! The members of the `…AttributeMetadata` types.
//!
//! Not here: companion columns (`<lookup>name`): they are not listed.

use super::member::Member;
use super::table::time;
use model::{
    Column, ColumnIndex, ColumnKind, DateTimeBehavior, IntegerFormat, LookupKind, RequiredLevel,
    Table, TextFormat,
};

type Read = for<'a> fn(&'a Table, ColumnIndex, &'a Column) -> Member<'a>;

/// The names of a kind of column: `AttributeType`, `AttributeTypeName`, and the type of the item.
struct Names {
    kind: &'static str,
    kind_name: &'static str,
    type_name: &'static str,
}

/// The kind under which a column is shown: the two lookups of an intersect table are plain ids.
pub(super) fn shown(table: &Table, index: ColumnIndex) -> &ColumnKind {
    match &table.column(index).kind {
        ColumnKind::Lookup { .. } if table.is_intersect => &ColumnKind::Guid,
        kind => kind,
    }
}

/// The type of the item, without `Microsoft.Dynamics.CRM.`.
pub(super) fn type_name(kind: &ColumnKind) -> &'static str {
    names(kind).type_name
}

fn names(kind: &ColumnKind) -> Names {
    let (kind, kind_name, type_name) = match kind {
        ColumnKind::Guid => {
            ("Uniqueidentifier", "UniqueidentifierType", "UniqueIdentifierAttributeMetadata")
        }
        ColumnKind::Text { .. } => ("String", "StringType", "StringAttributeMetadata"),
        ColumnKind::Memo { .. } => ("Memo", "MemoType", "MemoAttributeMetadata"),
        ColumnKind::Integer { .. } => ("Integer", "IntegerType", "IntegerAttributeMetadata"),
        ColumnKind::BigInt => ("BigInt", "BigIntType", "BigIntAttributeMetadata"),
        ColumnKind::Decimal { .. } => ("Decimal", "DecimalType", "DecimalAttributeMetadata"),
        ColumnKind::Double { .. } => ("Double", "DoubleType", "DoubleAttributeMetadata"),
        ColumnKind::Money { .. } => ("Money", "MoneyType", "MoneyAttributeMetadata"),
        ColumnKind::Boolean { .. } => ("Boolean", "BooleanType", "BooleanAttributeMetadata"),
        ColumnKind::DateTime { .. } => ("DateTime", "DateTimeType", "DateTimeAttributeMetadata"),
        ColumnKind::Choice { .. } => ("Picklist", "PicklistType", "PicklistAttributeMetadata"),
        ColumnKind::MultiChoice { .. } => {
            ("Virtual", "MultiSelectPicklistType", "MultiSelectPicklistAttributeMetadata")
        }
        ColumnKind::State { .. } => ("State", "StateType", "StateAttributeMetadata"),
        ColumnKind::Status { .. } => ("Status", "StatusType", "StatusAttributeMetadata"),
        ColumnKind::Lookup { kind: LookupKind::Plain, .. } => {
            ("Lookup", "LookupType", "LookupAttributeMetadata")
        }
        ColumnKind::Lookup { kind: LookupKind::Customer, .. } => {
            ("Customer", "CustomerType", "LookupAttributeMetadata")
        }
        ColumnKind::Lookup { kind: LookupKind::Owner, .. } => {
            ("Owner", "OwnerType", "LookupAttributeMetadata")
        }
        ColumnKind::TableName => ("EntityName", "EntityNameType", "EntityNameAttributeMetadata"),
        ColumnKind::File { .. } => ("Virtual", "FileType", "FileAttributeMetadata"),
        ColumnKind::Image { .. } => ("Virtual", "ImageType", "ImageAttributeMetadata"),
    };
    Names { kind, kind_name, type_name }
}

/// The members that every type has, in the order of a read without `$select`.
const COMMON: &[(&str, Read)] = &[
    ("AttributeOf", |_, _, _| Member::Null),
    ("AttributeType", |table, index, _| Member::text(Some(names(shown(table, index)).kind))),
    ("ColumnNumber", |_, index, _| Member::Integer(i64::from(index.0) + 1)),
    ("DeprecatedVersion", |_, _, _| Member::Null),
    ("IntroducedVersion", |_, _, _| Member::text(Some("1.0.0.0"))),
    ("EntityLogicalName", |table, _, _| Member::text(Some(&table.logical_name))),
    ("IsCustomAttribute", |_, _, column| Member::Boolean(column.is_custom)),
    ("IsPrimaryId", |table, index, _| Member::Boolean(index == table.primary_key)),
    ("IsValidODataAttribute", |_, _, _| Member::Boolean(true)),
    ("IsPrimaryName", |table, index, _| Member::Boolean(Some(index) == table.primary_name)),
    ("IsValidForCreate", |_, _, column| Member::Boolean(column.valid_for_create)),
    ("IsValidForRead", |_, _, column| Member::Boolean(column.valid_for_read)),
    ("IsValidForUpdate", |_, _, column| Member::Boolean(column.valid_for_update)),
    ("CanBeSecuredForRead", |_, _, _| Member::Boolean(false)),
    ("CanBeSecuredForCreate", |_, _, _| Member::Boolean(false)),
    ("CanBeSecuredForUpdate", |_, _, _| Member::Boolean(false)),
    ("IsSecured", |_, _, column| Member::Boolean(column.settings.is_secured)),
    ("IsRetrievable", |_, _, column| Member::Boolean(column.valid_for_read)),
    ("IsFilterable", |_, _, column| Member::Boolean(column.valid_for_read)),
    ("IsSearchable", |_, _, _| Member::Boolean(false)),
    ("IsManaged", |_, _, column| Member::Boolean(!column.is_custom)),
    ("LinkedAttributeId", |_, _, _| Member::Null),
    ("LogicalName", |_, _, column| Member::text(Some(&column.logical_name))),
    ("IsValidForForm", |_, _, _| Member::Boolean(false)),
    ("IsRequiredForForm", |_, _, _| Member::Boolean(false)),
    ("IsValidForGrid", |_, _, _| Member::Boolean(false)),
    ("SchemaName", |_, _, column| Member::text(Some(&column.schema_name))),
    ("ExternalName", |_, _, _| Member::Null),
    ("IsLogical", |_, _, column| Member::Boolean(column.computed.is_some())),
    ("IsDataSourceSecret", |_, _, _| Member::Boolean(false)),
    ("InheritsFrom", |_, _, _| Member::Null),
    ("CreatedOn", |_, _, column| time(column.settings.created_on)),
    ("ModifiedOn", |_, _, column| time(column.settings.modified_on)),
    ("SourceType", |_, _, _| Member::Integer(0)),
    ("AutoNumberFormat", |_, _, column| match column.kind {
        ColumnKind::Text { .. } => {
            Member::text(Some(column.settings.auto_number.as_deref().unwrap_or("")))
        }
        _ => Member::Null,
    }),
    ("MetadataId", |_, _, column| Member::Guid(column.metadata_id)),
    ("HasChanged", |_, _, _| Member::Null),
    ("AttributeTypeName", |table, index, _| Member::Name(names(shown(table, index)).kind_name)),
    ("Description", |_, _, column| Member::Label(&column.description)),
    ("DisplayName", |_, _, column| Member::Label(&column.display_name)),
    ("RequiredLevel", |_, _, column| Member::Required(column.required)),
    ("IsAuditEnabled", |_, _, column| {
        changeable(column.settings.is_audited, "canmodifyauditsettings")
    }),
    ("IsGlobalFilterEnabled", |_, _, _| managed(false, "canmodifyglobalfiltersettings")),
    ("IsSortableEnabled", |_, _, _| managed(true, "canmodifyissortablesettings")),
    ("IsCustomizable", |_, _, _| managed(true, "iscustomizable")),
    ("IsRenameable", |_, _, _| managed(false, "isrenameable")),
    ("IsValidForAdvancedFind", |_, _, column| {
        changeable(
            column.valid_for_read && column.settings.advanced_find,
            "canmodifysearchsettings",
        )
    }),
    ("CanModifyAdditionalSettings", |_, _, _| managed(false, "canmodifyadditionalsettings")),
    ("Settings", |_, _, _| Member::Nothing),
];

/// Every member that only some types have.
const SPECIAL: &[&str] = &[
    "CanChangeDateTimeBehavior",
    "DatabaseLength",
    "DateTimeBehavior",
    "DefaultFormValue",
    "DefaultValue",
    "Format",
    "FormatName",
    "FormulaDefinition",
    "ImeMode",
    "IsBaseCurrency",
    "IsEntityReferenceStored",
    "IsLocalizable",
    "MaxLength",
    "MaxSupportedValue",
    "MaxValue",
    "MinSupportedValue",
    "MinValue",
    "Precision",
    "PrecisionSource",
    "CalculationOf",
    "SourceTypeMask",
    "Targets",
    "YomiOf",
    "OptionSet",
    "GlobalOptionSet",
    "MaxSizeInKB",
    "IsPrimaryImage",
    "CanStoreFullImage",
    "MaxHeight",
    "MaxWidth",
];

const fn managed<'a>(value: bool, name: &'static str) -> Member<'a> {
    Member::Managed { value, can_be_changed: false, name }
}

const fn changeable<'a>(value: bool, name: &'static str) -> Member<'a> {
    Member::Managed { value, can_be_changed: true, name }
}

/// The members that only a kind of column has, in order.
fn special(kind: &ColumnKind) -> &'static [&'static str] {
    match kind {
        ColumnKind::Text { .. } => &[
            "Format",
            "FormatName",
            "ImeMode",
            "MaxLength",
            "YomiOf",
            "IsLocalizable",
            "DatabaseLength",
            "FormulaDefinition",
            "SourceTypeMask",
        ],
        ColumnKind::Memo { .. } => {
            &["Format", "FormatName", "ImeMode", "MaxLength", "IsLocalizable"]
        }
        ColumnKind::Integer { .. } => {
            &["Format", "MaxValue", "MinValue", "FormulaDefinition", "SourceTypeMask"]
        }
        ColumnKind::BigInt => &["MaxValue", "MinValue"],
        ColumnKind::Decimal { .. } => {
            &["MaxValue", "MinValue", "Precision", "ImeMode", "FormulaDefinition", "SourceTypeMask"]
        }
        ColumnKind::Double { .. } => &["ImeMode", "MaxValue", "MinValue", "Precision"],
        ColumnKind::Money { .. } => &[
            "ImeMode",
            "MaxValue",
            "MinValue",
            "Precision",
            "PrecisionSource",
            "CalculationOf",
            "IsBaseCurrency",
            "FormulaDefinition",
            "SourceTypeMask",
        ],
        ColumnKind::Boolean { .. } => &["DefaultValue", "FormulaDefinition", "SourceTypeMask"],
        ColumnKind::DateTime { .. } => &[
            "Format",
            "ImeMode",
            "SourceTypeMask",
            "FormulaDefinition",
            "MinSupportedValue",
            "MaxSupportedValue",
            "DateTimeBehavior",
            "CanChangeDateTimeBehavior",
        ],
        ColumnKind::Choice { .. }
        | ColumnKind::MultiChoice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => &["DefaultFormValue", "FormulaDefinition", "SourceTypeMask"],
        ColumnKind::Lookup { .. } => &["Targets", "Format"],
        ColumnKind::TableName => &["DefaultFormValue", "IsEntityReferenceStored"],
        ColumnKind::File { .. } => &["MaxSizeInKB"],
        ColumnKind::Image { .. } => {
            &["MaxSizeInKB", "CanStoreFullImage", "IsPrimaryImage", "MaxHeight", "MaxWidth"]
        }
        ColumnKind::Guid => &[],
    }
}

/// The members that a read returns only with `$expand`.
pub(super) fn expandable(kind: &ColumnKind) -> &'static [&'static str] {
    match kind {
        ColumnKind::Boolean { .. }
        | ColumnKind::Choice { .. }
        | ColumnKind::MultiChoice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. } => &["OptionSet", "GlobalOptionSet"],
        _ => &[],
    }
}

/// The members that a read without `$select` returns, in order.
pub(super) fn members(kind: &ColumnKind) -> Vec<&'static str> {
    let common = COMMON.iter().map(|(name, _)| *name);
    common.chain(special(kind).iter().copied()).collect()
}

/// Whether some type of column has the member.
pub(super) fn is_member_of_any(name: &str) -> bool {
    SPECIAL.contains(&name)
}

/// One member of a column. `None`: its type has none of that name.
#[expect(clippy::too_many_lines, reason = "one arm per member")]
pub(super) fn member<'a>(table: &'a Table, index: ColumnIndex, name: &str) -> Option<Member<'a>> {
    let column = table.column(index);
    if let Some((_, read)) = COMMON.iter().find(|(member, _)| *member == name) {
        return Some(read(table, index, column));
    }
    let kind = shown(table, index);
    if expandable(kind).contains(&name) {
        return Some(match name {
            "OptionSet" => Member::Options(table, index),
            _ if column.settings.global_choice.is_some() => Member::Options(table, index),
            _ => Member::Null,
        });
    }
    if !special(kind).contains(&name) {
        return None;
    }
    Some(match name {
        "Format" => match kind {
            ColumnKind::Integer { .. } => {
                Member::text(integer_format_name(column.settings.integer_format))
            }
            kind => format(kind),
        },
        "FormatName" => match kind {
            ColumnKind::Memo { .. } if column.settings.is_rich_text => Member::Name("RichText"),
            ColumnKind::Text { format, .. } => Member::Name(format_name(*format)),
            ColumnKind::Memo { json: true, .. } => Member::Name("Json"),
            _ => Member::Name("TextArea"),
        },
        "ImeMode" => Member::text(Some("Auto")),
        "IsLocalizable" | "IsBaseCurrency" | "IsEntityReferenceStored" => Member::Boolean(false),
        "SourceTypeMask" => Member::Integer(0),
        "MinSupportedValue" => Member::text(Some("1753-01-01T00:00:00Z")),
        "MaxSupportedValue" => Member::text(Some("9999-12-30T23:59:59Z")),
        "CanChangeDateTimeBehavior" => managed(false, "canchangedatetimebehavior"),
        "MaxLength" => length(kind, 1),
        "DatabaseLength" => length(kind, 2),
        "MinValue" => range(kind).0,
        "MaxValue" => range(kind).1,
        "Precision" => precision(kind),
        "PrecisionSource" => match kind {
            // 2: the precision of the currency, which has two digits.
            ColumnKind::Money { precision: 2, .. } => Member::Integer(2),
            _ => Member::Integer(0),
        },
        "DefaultValue" => match kind {
            ColumnKind::Boolean { default, .. } => Member::Boolean(*default),
            _ => Member::Null,
        },
        "DefaultFormValue" => match kind {
            ColumnKind::Choice { default, .. } => Member::Integer(default.unwrap_or(-1).into()),
            ColumnKind::TableName => Member::Null,
            ColumnKind::MultiChoice { .. } => {
                Member::Integer(column.settings.default_option.unwrap_or(-1).into())
            }
            _ => Member::Integer(-1),
        },
        "DateTimeBehavior" => match kind {
            ColumnKind::DateTime { behavior, .. } => Member::Name(behavior_name(*behavior)),
            _ => Member::Null,
        },
        "MaxSizeInKB" => match kind {
            ColumnKind::File { max_size_kb } | ColumnKind::Image { max_size_kb, .. } => {
                Member::Integer((*max_size_kb).into())
            }
            _ => Member::Null,
        },
        // Of the thumbnail.
        "MaxHeight" | "MaxWidth" => Member::Integer(144),
        "CanStoreFullImage" => match kind {
            ColumnKind::Image { can_store_full_image, .. } => {
                Member::Boolean(*can_store_full_image)
            }
            _ => Member::Null,
        },
        "IsPrimaryImage" => match kind {
            ColumnKind::Image { is_primary, .. } => Member::Boolean(*is_primary),
            _ => Member::Null,
        },
        "Targets" => match kind {
            ColumnKind::Lookup { targets, .. } => {
                Member::Texts(targets.iter().map(|target| &*target.table).collect())
            }
            _ => Member::Null,
        },
        _ => Member::Null,
    })
}

fn format<'a>(kind: &ColumnKind) -> Member<'a> {
    match kind {
        // The older enumeration has no name for the newer formats.
        ColumnKind::Text { format: TextFormat::Json | TextFormat::RichText, .. } => {
            Member::text(Some("Text"))
        }
        ColumnKind::Text { format, .. } => Member::text(Some(format_name(*format))),
        ColumnKind::Memo { .. } => Member::text(Some("TextArea")),
        ColumnKind::DateTime { with_time: true, .. } => Member::text(Some("DateAndTime")),
        ColumnKind::DateTime { .. } => Member::text(Some("DateOnly")),
        _ => Member::text(Some("None")),
    }
}

const INTEGER_FORMATS: [(&str, IntegerFormat); 5] = [
    ("None", IntegerFormat::None),
    ("Duration", IntegerFormat::Duration),
    ("TimeZone", IntegerFormat::TimeZone),
    ("Language", IntegerFormat::Language),
    ("Locale", IntegerFormat::Locale),
];

fn integer_format_name(format: IntegerFormat) -> Option<&'static str> {
    INTEGER_FORMATS.iter().find(|(_, known)| *known == format).map(|(name, _)| *name)
}

/// The format of a whole number by its name on the wire.
pub(super) fn integer_format_of(name: &str) -> Option<IntegerFormat> {
    INTEGER_FORMATS.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
}

fn length<'a>(kind: &ColumnKind, factor: i64) -> Member<'a> {
    match kind {
        ColumnKind::Text { max_length, .. } | ColumnKind::Memo { max_length, .. } => {
            Member::Integer(i64::from(*max_length) * factor)
        }
        _ => Member::Null,
    }
}

fn range<'a>(kind: &ColumnKind) -> (Member<'a>, Member<'a>) {
    match kind {
        ColumnKind::Integer { min, max } => {
            (Member::Integer((*min).into()), Member::Integer((*max).into()))
        }
        ColumnKind::BigInt => (Member::Integer(i64::MIN), Member::Integer(i64::MAX)),
        ColumnKind::Decimal { min, max, .. } | ColumnKind::Money { min, max, .. } => {
            (Member::Decimal(*min), Member::Decimal(*max))
        }
        ColumnKind::Double { min, max, .. } => (Member::Double(*min), Member::Double(*max)),
        _ => (Member::Null, Member::Null),
    }
}

fn precision<'a>(kind: &ColumnKind) -> Member<'a> {
    match kind {
        ColumnKind::Decimal { precision, .. }
        | ColumnKind::Double { precision, .. }
        | ColumnKind::Money { precision, .. } => Member::Integer((*precision).into()),
        _ => Member::Null,
    }
}

/// The name of a text format on the wire.
fn format_name(format: TextFormat) -> &'static str {
    match format {
        TextFormat::Text => "Text",
        TextFormat::Email => "Email",
        TextFormat::Url => "Url",
        TextFormat::Phone => "Phone",
        TextFormat::TextArea => "TextArea",
        TextFormat::TickerSymbol => "TickerSymbol",
        TextFormat::Json => "Json",
        TextFormat::RichText => "RichText",
    }
}

/// The text format of a name on the wire.
pub(super) fn format_of(name: &str) -> Option<TextFormat> {
    Some(match name {
        "Text" => TextFormat::Text,
        "Email" => TextFormat::Email,
        "Url" => TextFormat::Url,
        "Phone" => TextFormat::Phone,
        "TextArea" => TextFormat::TextArea,
        "TickerSymbol" => TextFormat::TickerSymbol,
        "Json" => TextFormat::Json,
        "RichText" => TextFormat::RichText,
        _ => return None,
    })
}

fn behavior_name(behavior: DateTimeBehavior) -> &'static str {
    match behavior {
        DateTimeBehavior::UserLocal => "UserLocal",
        DateTimeBehavior::DateOnly => "DateOnly",
        DateTimeBehavior::TimeZoneIndependent => "TimeZoneIndependent",
    }
}

/// The behaviour of a name on the wire.
pub(super) fn behavior_of(name: &str) -> Option<DateTimeBehavior> {
    Some(match name {
        "UserLocal" => DateTimeBehavior::UserLocal,
        "DateOnly" => DateTimeBehavior::DateOnly,
        "TimeZoneIndependent" => DateTimeBehavior::TimeZoneIndependent,
        _ => return None,
    })
}

/// The name of a required level on the wire.
pub(super) fn required_name_of(level: RequiredLevel) -> &'static str {
    super::member::required_name(level)
}

/// The required level of a name on the wire.
pub(super) fn required_of(name: &str) -> Option<RequiredLevel> {
    Some(match name {
        "None" => RequiredLevel::None,
        "Recommended" => RequiredLevel::Recommended,
        "ApplicationRequired" => RequiredLevel::ApplicationRequired,
        "SystemRequired" => RequiredLevel::SystemRequired,
        _ => return None,
    })
}
