//! The body of a new column.
//!
//! Not here: names and prefixes (`pipeline`). Invariant: the limits of a column are within those of
//! its type; what a column of ours cannot be is refused by name.

pub(super) mod change;

use super::choice::OptionSetBody;
use super::column::{behavior_of, format_of, integer_format_of, required_of};
use super::label::{self, LabelBody};
use crate::error::{Error, Result, cut};
use crate::literal;
use model::{
    ColumnKind, ColumnSettings, DateTimeBehavior, Decimal, GlobalChoiceKey, NewColumn,
    RequiredLevel, TextFormat,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A new column as it comes. Members that say nothing here are skipped.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ColumnBody<'a> {
    #[serde(rename = "@odata.type", default)]
    pub(super) type_name: Option<String>,
    #[serde(rename = "AttributeType", default)]
    pub(super) kind: Option<String>,
    #[serde(rename = "SchemaName", default)]
    pub(super) schema_name: Option<String>,
    #[serde(rename = "DisplayName", default)]
    pub(super) display_name: Option<LabelBody>,
    #[serde(rename = "Description", default)]
    pub(super) description: Option<LabelBody>,
    #[serde(rename = "RequiredLevel", default)]
    pub(super) required: Option<ValueBody>,
    #[serde(rename = "IsPrimaryName", default)]
    is_primary_name: Option<bool>,
    #[serde(rename = "IsSecured", default)]
    is_secured: Option<bool>,
    #[serde(rename = "IsAuditEnabled", default)]
    pub(super) is_audited: Option<FlagBody>,
    #[serde(rename = "SourceType", default)]
    source_type: Option<i64>,
    #[serde(rename = "AutoNumberFormat", default)]
    pub(super) auto_number: Option<String>,
    #[serde(rename = "MaxLength", default)]
    max_length: Option<i64>,
    #[serde(rename = "Format", default)]
    format: Option<String>,
    #[serde(rename = "FormatName", default)]
    format_name: Option<ValueBody>,
    #[serde(rename = "MinValue", default, borrow)]
    min: Option<&'a RawValue>,
    #[serde(rename = "MaxValue", default, borrow)]
    max: Option<&'a RawValue>,
    #[serde(rename = "Precision", default)]
    precision: Option<i64>,
    #[serde(rename = "PrecisionSource", default)]
    precision_source: Option<i64>,
    #[serde(rename = "DefaultValue", default)]
    default_value: Option<bool>,
    #[serde(rename = "DefaultFormValue", default)]
    default_form_value: Option<i32>,
    #[serde(rename = "DateTimeBehavior", default)]
    behavior: Option<ValueBody>,
    #[serde(rename = "OptionSet", default)]
    option_set: Option<OptionSetBody>,
    #[serde(rename = "GlobalOptionSet@odata.bind", default)]
    global_option_set: Option<String>,
    #[serde(rename = "MaxSizeInKB", default)]
    max_size_kb: Option<i64>,
    #[serde(rename = "CanStoreFullImage", default)]
    can_store_full_image: Option<bool>,
    #[serde(rename = "IsPrimaryImage", default)]
    is_primary_image: Option<bool>,
    #[serde(rename = "IsValidForAdvancedFind", default)]
    advanced_find: Option<FlagBody>,
}

/// `{"Value":"Text"}`
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ValueBody {
    #[serde(rename = "Value", default)]
    pub(super) value: Option<String>,
}

/// `{"Value":true}`
#[derive(Debug, Default, Deserialize)]
pub(super) struct FlagBody {
    #[serde(rename = "Value", default)]
    pub(super) value: Option<bool>,
}

impl FlagBody {
    pub(super) fn is_on(this: Option<&Self>) -> bool {
        this.is_some_and(|this| this.value == Some(true))
    }
}

/// Where in a body a member stands, for errors.
#[derive(Clone, Copy)]
pub(super) struct Path<'a>(pub(super) &'a str);

impl Path<'_> {
    pub(super) fn member(self, name: &str) -> String {
        if self.0.is_empty() { name.to_owned() } else { format!("{}.{name}", self.0) }
    }

    pub(super) fn bad(self, name: &str, why: impl Into<String>) -> Error {
        Error::BadDefinition { member: self.member(name), why: why.into() }
    }

    pub(super) fn missing(self, name: &str) -> Error {
        self.bad(name, "it is missing")
    }

    fn unsupported(self, name: &str, value: &str) -> Error {
        Error::Unsupported { what: format!("`{}` `{}`", self.member(name), cut(value)) }
    }
}

/// The pattern of an auto-number column; empty text is none.
fn pattern(given: Option<&str>) -> Option<Box<str>> {
    given.filter(|pattern| !pattern.is_empty()).map(Box::from)
}

impl ColumnBody<'_> {
    /// The column, checked against the limits of its type.
    pub(super) fn into_new(self, path: Path<'_>) -> Result<NewColumn> {
        self.refuse_what_is_not_there(path)?;
        let schema_name = self.schema_name.clone().ok_or_else(|| path.missing("SchemaName"))?;
        let required = required(self.required.as_ref(), path)?;
        let is_primary_name = self.is_primary_name == Some(true);
        let settings = self.settings(path)?;
        let global_choice = self.global_choice(path)?;
        let display_name = label::of(self.display_name);
        let description = label::of(self.description);
        let this = Self { display_name: None, description: None, ..self };
        let kind = this.into_kind(path, global_choice.is_some())?;
        Ok(NewColumn {
            schema_name: schema_name.into(),
            display_name,
            description,
            required,
            kind,
            is_primary_name,
            global_choice,
            settings,
        })
    }

    fn refuse_what_is_not_there(&self, path: Path<'_>) -> Result<()> {
        // Kept without effect, it would promise a secret that is none.
        if self.is_secured == Some(true) {
            return Err(path.unsupported("IsSecured", "true"));
        }
        if let Some(source) = self.source_type.filter(|source| *source != 0) {
            return Err(path.unsupported("SourceType", &source.to_string()));
        }
        Ok(())
    }

    fn settings(&self, path: Path<'_>) -> Result<ColumnSettings> {
        let default = ColumnSettings::default();
        let is_whole = self.short_type(path)? == "Integer";
        let is_memo = self.short_type(path)? == "Memo";
        let is_multiple = self.short_type(path)? == "MultiSelectPicklist";
        let memo_format = self.format_name.as_ref().and_then(|name| name.value.as_deref());
        Ok(ColumnSettings {
            is_secured: self.is_secured.unwrap_or(false),
            is_audited: FlagBody::is_on(self.is_audited.as_ref()),
            advanced_find: self.advanced_find.as_ref().and_then(|flag| flag.value).unwrap_or(true),
            integer_format: match self.format.as_deref().filter(|_| is_whole) {
                None => default.integer_format,
                Some(name) => integer_format_of(name)
                    .ok_or_else(|| path.bad("Format", format!("`{}`", cut(name))))?,
            },
            is_rich_text: is_memo && memo_format == Some("RichText"),
            default_option: self.default_form_value.filter(|value| is_multiple && *value != -1),
            auto_number: pattern(self.auto_number.as_deref()),
            ..default
        })
    }

    /// The global choice that the column is bound to: by a bind, or by an option set that is global.
    fn global_choice(&self, path: Path<'_>) -> Result<Option<GlobalChoiceKey>> {
        if let Some(bind) = &self.global_option_set {
            let bad = || path.bad("GlobalOptionSet@odata.bind", format!("`{}`", cut(bind)));
            return global_choice_of(bind).map(Some).ok_or_else(bad);
        }
        let set = self.option_set.as_ref().filter(|set| set.is_global());
        set.map(|set| set.key().ok_or_else(|| path.missing("OptionSet.Name"))).transpose()
    }

    /// `String`, `Memo` and so on: from `@odata.type`, else from `AttributeType`.
    fn short_type(&self, path: Path<'_>) -> Result<String> {
        if let Some(name) = &self.type_name {
            return short_type(name)
                .map(str::to_owned)
                .ok_or_else(|| path.bad("@odata.type", format!("`{}` is no column", cut(name))));
        }
        self.kind.clone().ok_or_else(|| path.missing("@odata.type"))
    }

    #[expect(clippy::too_many_lines, reason = "one arm per type")]
    fn into_kind(self, path: Path<'_>, is_global: bool) -> Result<ColumnKind> {
        let short = self.short_type(path)?;
        match short.as_str() {
            "String" => {
                let max_length = self.max_length(path, 4_000, 100)?;
                Ok(ColumnKind::Text { max_length, format: self.text_format(path)? })
            }
            "Memo" => {
                let max_length = self.max_length(path, 1_048_576, 2_000)?;
                Ok(ColumnKind::Memo { max_length, json: self.memo_is_json(path)? })
            }
            "Integer" => {
                let min = self.whole(path, "MinValue", self.min, i32::MIN)?;
                let max = self.whole(path, "MaxValue", self.max, i32::MAX)?;
                in_order(path, min <= max)?;
                Ok(ColumnKind::Integer { min, max })
            }
            "BigInt" => Ok(ColumnKind::BigInt),
            "Decimal" => {
                let precision = self.precision(path, 10, 2)?;
                let (min, max) = self.decimals(path, Decimal::from(100_000_000_000_i64))?;
                Ok(ColumnKind::Decimal { precision, min, max })
            }
            "Double" => {
                let precision = self.precision(path, 5, 2)?;
                let min = self.double(path, "MinValue", self.min, -DOUBLE_MAX)?;
                let max = self.double(path, "MaxValue", self.max, DOUBLE_MAX)?;
                in_order(path, min <= max)?;
                Ok(ColumnKind::Double { precision, min, max })
            }
            "Money" => {
                let precision = self.money_precision(path)?;
                let (min, max) = self.decimals(path, Decimal::from(922_337_203_685_477_i64))?;
                Ok(ColumnKind::Money { precision, min, max })
            }
            "Boolean" => {
                let (true_label, false_label) = self.option_set.unwrap_or_default().into_labels();
                let default = self.default_value.unwrap_or(false);
                Ok(ColumnKind::Boolean { default, true_label, false_label })
            }
            "DateTime" => self.date_time(path),
            "Picklist" | "MultiSelectPicklist" if is_global => {
                let default = self.default_form_value.filter(|value| *value != -1);
                Ok(match short.as_str() {
                    "Picklist" => ColumnKind::Choice { options: Vec::new(), default },
                    _ => ColumnKind::MultiChoice { options: Vec::new() },
                })
            }
            "Picklist" => {
                let default = self.default_form_value.filter(|value| *value != -1);
                let options = self
                    .option_set
                    .unwrap_or_default()
                    .into_new_options(&path.member("OptionSet"))?;
                if let Some(value) = default
                    && options.iter().all(|option| option.value != value)
                {
                    return Err(path.bad("DefaultFormValue", format!("no option is {value}")));
                }
                Ok(ColumnKind::Choice { options, default })
            }
            "MultiSelectPicklist" => {
                let default = self.default_form_value.filter(|value| *value != -1);
                let options = self
                    .option_set
                    .unwrap_or_default()
                    .into_new_options(&path.member("OptionSet"))?;
                if let Some(value) = default
                    && options.iter().all(|option| option.value != value)
                {
                    return Err(path.bad("DefaultFormValue", format!("no option is {value}")));
                }
                Ok(ColumnKind::MultiChoice { options })
            }
            "File" => {
                Ok(ColumnKind::File { max_size_kb: self.max_size(path, FILE_KB_MAX, 32_768)? })
            }
            "Image" => Ok(ColumnKind::Image {
                max_size_kb: self.max_size(path, IMAGE_KB_MAX, 10_240)?,
                can_store_full_image: self.can_store_full_image.unwrap_or(false),
                is_primary: self.is_primary_image.unwrap_or(false),
            }),
            "Lookup" | "Customer" => Err(path.bad(
                "@odata.type",
                "a lookup is made by its relationship, at `RelationshipDefinitions`",
            )),
            other => Err(Error::Unsupported { what: format!("a column of type `{}`", cut(other)) }),
        }
    }

    fn max_length(&self, path: Path<'_>, most: u32, default: u32) -> Result<u32> {
        let Some(given) = self.max_length else { return Ok(default) };
        u32::try_from(given)
            .ok()
            .filter(|length| (1..=most).contains(length))
            .ok_or_else(|| path.bad("MaxLength", format!("{given} is not within 1 and {most}")))
    }

    fn text_format(&self, path: Path<'_>) -> Result<TextFormat> {
        let (member, name) = match self.format_name.as_ref().and_then(|name| name.value.as_ref()) {
            Some(name) => ("FormatName", name),
            None => match &self.format {
                Some(name) => ("Format", name),
                None => return Ok(TextFormat::Text),
            },
        };
        format_of(name).ok_or_else(|| path.unsupported(member, name))
    }

    fn memo_is_json(&self, path: Path<'_>) -> Result<bool> {
        let name = self.format_name.as_ref().and_then(|name| name.value.as_deref());
        match name.or(self.format.as_deref()) {
            None | Some("TextArea" | "Text" | "RichText") => Ok(false),
            Some("Json") => Ok(true),
            Some(other) => Err(path.unsupported("FormatName", other)),
        }
    }

    fn max_size(&self, path: Path<'_>, most: u32, default: u32) -> Result<u32> {
        let Some(given) = self.max_size_kb else { return Ok(default) };
        u32::try_from(given)
            .ok()
            .filter(|size| (1..=most).contains(size))
            .ok_or_else(|| path.bad("MaxSizeInKB", format!("{given} is not within 1 and {most}")))
    }

    fn precision(&self, path: Path<'_>, most: u8, default: u8) -> Result<u8> {
        let Some(given) = self.precision else { return Ok(default) };
        u8::try_from(given)
            .ok()
            .filter(|precision| *precision <= most)
            .ok_or_else(|| path.bad("Precision", format!("{given} is not within 0 and {most}")))
    }

    /// Money: the precision of the organisation and of its one currency is 2.
    fn money_precision(&self, path: Path<'_>) -> Result<u8> {
        let own = self.precision(path, 4, 2)?;
        match self.precision_source.unwrap_or(2) {
            0 => Ok(own),
            1 | 2 => Ok(2),
            other => Err(path.bad("PrecisionSource", format!("{other} is not within 0 and 2"))),
        }
    }

    fn whole(
        &self,
        path: Path<'_>,
        name: &str,
        given: Option<&RawValue>,
        default: i32,
    ) -> Result<i32> {
        match raw(given) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| path.bad(name, format!("`{}` is no Int32", cut(text))))
            }
        }
    }

    fn decimals(&self, path: Path<'_>, most: Decimal) -> Result<(Decimal, Decimal)> {
        let read = |name, given, default| match raw(given) {
            None => Ok(default),
            Some(text) => literal::decimal(text)
                .filter(|value| value.abs() <= most)
                .ok_or_else(|| path.bad(name, format!("`{}` is beyond {most}", cut(text)))),
        };
        let min = read("MinValue", self.min, -most)?;
        let max = read("MaxValue", self.max, most)?;
        in_order(path, min <= max)?;
        Ok((min, max))
    }

    fn double(
        &self,
        path: Path<'_>,
        name: &str,
        given: Option<&RawValue>,
        default: f64,
    ) -> Result<f64> {
        match raw(given) {
            None => Ok(default),
            Some(text) => {
                text.parse::<f64>().ok().filter(|value| value.abs() <= DOUBLE_MAX).ok_or_else(
                    || path.bad(name, format!("`{}` is beyond {DOUBLE_MAX}", cut(text))),
                )
            }
        }
    }

    fn date_time(&self, path: Path<'_>) -> Result<ColumnKind> {
        let behavior = match self.behavior.as_ref().and_then(|body| body.value.as_deref()) {
            None => DateTimeBehavior::UserLocal,
            Some(name) => behavior_of(name)
                .ok_or_else(|| path.bad("DateTimeBehavior", format!("`{}`", cut(name))))?,
        };
        let with_time = match self.format.as_deref() {
            None => behavior != DateTimeBehavior::DateOnly,
            Some("DateOnly") => false,
            Some("DateAndTime") if behavior != DateTimeBehavior::DateOnly => true,
            Some(other) => {
                let why = format!("`{}` does not go with the column's behaviour", cut(other));
                return Err(path.bad("Format", why));
            }
        };
        Ok(ColumnKind::DateTime { behavior, with_time })
    }
}

/// Largest file and image, in units of 1,024 bytes.
const FILE_KB_MAX: u32 = 10_485_760;
const IMAGE_KB_MAX: u32 = 30_720;

/// The global choice of a bind: `/GlobalOptionSetDefinitions(guid)` or `…(Name='x')`, also absolute.
pub(super) fn global_choice_of(bind: &str) -> Option<GlobalChoiceKey> {
    let (_, key) = bind.rsplit_once("GlobalOptionSetDefinitions(")?;
    let key = key.strip_suffix(')')?.trim();
    if let Some(id) = literal::guid(key.strip_prefix("MetadataId=").unwrap_or(key)) {
        return Some(GlobalChoiceKey::Id(id));
    }
    let name = key.strip_prefix("Name=").unwrap_or(key);
    let name = name.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(GlobalChoiceKey::Name(name.replace("''", "'").into()))
}

/// The widest range of a Double column.
const DOUBLE_MAX: f64 = 100_000_000_000.0;

fn in_order(path: Path<'_>, holds: bool) -> Result<()> {
    if holds { Ok(()) } else { Err(path.bad("MinValue", "it is above MaxValue")) }
}

fn raw(given: Option<&RawValue>) -> Option<&str> {
    given.map(RawValue::get).filter(|text| *text != "null")
}

/// `String` of `#Microsoft.Dynamics.CRM.ComplexStringAttributeMetadata`.
pub(super) fn short_type(name: &str) -> Option<&str> {
    let name = name.strip_prefix('#').unwrap_or(name);
    let name = name.strip_prefix("Microsoft.Dynamics.CRM.")?.strip_suffix("AttributeMetadata")?;
    let name = name.strip_prefix("Complex").unwrap_or(name);
    (!name.is_empty()).then_some(name)
}

/// The required level of a new column.
pub(super) fn required(body: Option<&ValueBody>, path: Path<'_>) -> Result<RequiredLevel> {
    match body.and_then(|body| body.value.as_deref()) {
        None => Ok(RequiredLevel::None),
        Some(name) => match required_of(name) {
            Some(RequiredLevel::SystemRequired) => {
                Err(path.bad("RequiredLevel", "only the system's columns are `SystemRequired`"))
            }
            Some(level) => Ok(level),
            None => Err(path.bad("RequiredLevel", format!("`{}`", cut(name)))),
        },
    }
}
