//! A column from its old definition and the body of a `PUT`.
//!
//! What the body does not name stays. Options are not changed by it: that is what the option actions
//! are for. Source: `metadata.md` 5.4.
//! Invariant: name, type and the form of values stay; a body that wants others is refused by member.

use super::super::column::{
    behavior_of, format_of, integer_format_of, required_name_of, required_of, type_name,
};
use super::{ColumnBody, FILE_KB_MAX, FlagBody, IMAGE_KB_MAX, Path, in_order, short_type};
use crate::error::{Result, cut};
use crate::metadata::decode::parse;
use crate::metadata::label::changed;
use model::{Column, ColumnKind, Decimal, RequiredLevel};

/// Reads the body of `PUT …/Attributes(k)`.
///
/// Errors: [`crate::Error::NotJson`], [`crate::Error::BadDefinition`], [`crate::Error::Unsupported`].
pub fn decode_column_change(body: &[u8], old: &Column, merge_labels: bool) -> Result<Column> {
    let body: ColumnBody<'_> = parse(body)?;
    let path = Path("");
    body.check_fixed(old, path)?;
    body.refuse_what_is_not_there(path)?;
    let mut new = old.clone();
    new.kind = body.changed_kind(old, path)?;
    if let Some(level) = body.required.as_ref().and_then(|level| level.value.as_deref()) {
        new.required = changed_level(old.required, level, path)?;
    }
    new.settings.is_secured = body.is_secured.unwrap_or(old.settings.is_secured);
    if let Some(flag) = body.is_audited.as_ref().filter(|flag| flag.value.is_some()) {
        new.settings.is_audited = FlagBody::is_on(Some(flag));
    }
    if let Some(flag) = body.advanced_find.as_ref().filter(|flag| flag.value.is_some()) {
        // What cannot be read is not offered, whatever is wished.
        new.settings.advanced_find = FlagBody::is_on(Some(flag)) || !old.valid_for_read;
    }
    if let Some(given) = &body.auto_number {
        new.settings.auto_number = super::pattern(Some(given));
    }
    if let (ColumnKind::Integer { .. }, Some(name)) = (&old.kind, body.format.as_deref()) {
        new.settings.integer_format = integer_format_of(name)
            .ok_or_else(|| path.bad("Format", format!("`{}`", cut(name))))?;
    }
    if let (ColumnKind::Memo { json: false, .. }, Some(name)) =
        (&old.kind, body.format_name.as_ref().and_then(|name| name.value.as_deref()))
    {
        new.settings.is_rich_text = name == "RichText";
    }
    if let (ColumnKind::MultiChoice { options }, Some(value)) = (&old.kind, body.default_form_value)
    {
        let known = options.iter().any(|option| option.value == value);
        if value != -1 && !known {
            return Err(path.bad("DefaultFormValue", format!("no option is {value}")));
        }
        new.settings.default_option = Some(value).filter(|value| *value != -1);
    }
    changed(&mut new.display_name, body.display_name, merge_labels);
    changed(&mut new.description, body.description, merge_labels);
    Ok(new)
}

fn changed_level(old: RequiredLevel, name: &str, path: Path<'_>) -> Result<RequiredLevel> {
    let level =
        required_of(name).ok_or_else(|| path.bad("RequiredLevel", format!("`{}`", cut(name))))?;
    let by_system = RequiredLevel::SystemRequired;
    if (old == by_system) != (level == by_system) {
        let why = format!("it cannot change from `{}`", required_name_of(old));
        return Err(path.bad("RequiredLevel", why));
    }
    Ok(level)
}

impl ColumnBody<'_> {
    fn check_fixed(&self, old: &Column, path: Path<'_>) -> Result<()> {
        if let Some(given) = &self.type_name {
            let own = type_name(&old.kind).strip_suffix("AttributeMetadata").unwrap_or_default();
            // A lookup of an intersect table shows as an id.
            let as_id = given.contains("UniqueIdentifier");
            if short_type(given) != Some(own) && !as_id {
                return Err(path.bad("@odata.type", "the type of a column cannot change"));
            }
        }
        if let Some(given) = &self.schema_name
            && **given != *old.schema_name
        {
            return Err(path.bad("SchemaName", "it cannot change"));
        }
        Ok(())
    }

    fn changed_kind(&self, old: &Column, path: Path<'_>) -> Result<ColumnKind> {
        let mut kind = old.kind.clone();
        match &mut kind {
            ColumnKind::Text { max_length, format } => {
                *max_length = self.max_length(path, 4_000.max(*max_length), *max_length)?;
                if let Some(name) = self.named_format() {
                    *format = format_of(name)
                        .ok_or_else(|| path.bad("FormatName", format!("`{}`", cut(name))))?;
                }
            }
            ColumnKind::Memo { max_length, json } => {
                *max_length = self.max_length(path, 1_048_576.max(*max_length), *max_length)?;
                if let Some(name) = self.format_name.as_ref().and_then(|name| name.value.as_ref())
                    && (name == "Json") != *json
                {
                    return Err(path.bad("FormatName", "a column cannot become one of JSON"));
                }
            }
            ColumnKind::Integer { min, max } => {
                *min = self.whole(path, "MinValue", self.min, *min)?;
                *max = self.whole(path, "MaxValue", self.max, *max)?;
                in_order(path, *min <= *max)?;
            }
            ColumnKind::Decimal { precision, min, max } => {
                *precision = self.precision(path, 10, *precision)?;
                self.change_range(path, min, max, 100_000_000_000)?;
            }
            ColumnKind::Money { precision, min, max } => {
                *precision = self.precision(path, 4, *precision)?;
                self.change_range(path, min, max, 922_337_203_685_477)?;
            }
            ColumnKind::Double { precision, min, max } => {
                *precision = self.precision(path, 5, *precision)?;
                *min = self.double(path, "MinValue", self.min, *min)?;
                *max = self.double(path, "MaxValue", self.max, *max)?;
                in_order(path, *min <= *max)?;
            }
            ColumnKind::Boolean { default, .. } => {
                *default = self.default_value.unwrap_or(*default);
            }
            ColumnKind::DateTime { behavior, with_time } => {
                let given = self.behavior.as_ref().and_then(|body| body.value.as_deref());
                if given.is_some_and(|name| behavior_of(name) != Some(*behavior)) {
                    return Err(path.bad("DateTimeBehavior", "it cannot change"));
                }
                match self.format.as_deref() {
                    None => {}
                    Some("DateOnly") => *with_time = false,
                    Some("DateAndTime") => *with_time = true,
                    Some(other) => return Err(path.bad("Format", format!("`{}`", cut(other)))),
                }
            }
            ColumnKind::Choice { options, default } => {
                if let Some(value) = self.default_form_value {
                    let known = options.iter().any(|option| option.value == value);
                    if value != -1 && !known {
                        return Err(path.bad("DefaultFormValue", format!("no option is {value}")));
                    }
                    *default = Some(value).filter(|value| *value != -1);
                }
            }
            ColumnKind::File { max_size_kb } => {
                *max_size_kb = self.max_size(path, FILE_KB_MAX, *max_size_kb)?;
            }
            ColumnKind::Image { max_size_kb, can_store_full_image, is_primary } => {
                *max_size_kb = self.max_size(path, IMAGE_KB_MAX, *max_size_kb)?;
                *can_store_full_image = self.can_store_full_image.unwrap_or(*can_store_full_image);
                *is_primary = self.is_primary_image.unwrap_or(*is_primary);
            }
            ColumnKind::Guid
            | ColumnKind::BigInt
            | ColumnKind::MultiChoice { .. }
            | ColumnKind::State { .. }
            | ColumnKind::Status { .. }
            | ColumnKind::Lookup { .. }
            | ColumnKind::TableName => {}
        }
        Ok(kind)
    }

    fn named_format(&self) -> Option<&str> {
        let name = self.format_name.as_ref().and_then(|name| name.value.as_deref());
        name.or(self.format.as_deref())
    }

    /// New limits; what was allowed before stays so, whatever the type's own limit is.
    fn change_range(
        &self,
        path: Path<'_>,
        min: &mut Decimal,
        max: &mut Decimal,
        most: i64,
    ) -> Result<()> {
        let most = Decimal::from(most).max(min.abs()).max(max.abs());
        if self.min.is_some() || self.max.is_some() {
            let (low, high) = self.decimals(path, most)?;
            if super::raw(self.min).is_some() {
                *min = low;
            }
            if super::raw(self.max).is_some() {
                *max = high;
            }
        }
        in_order(path, *min <= *max)
    }
}
