//! One member of a definition, typed, so that reading, `$select` and `$filter` share one table.
//!
//! Not here: which members each kind of definition has (`table`, `column`, `key`, `relationship`).

use super::{choice, column, key, label, relationship, table};
use crate::error::{Error, Result, cut};
use crate::json;
use model::{
    Cascade, ChoiceOption, ColumnIndex, Decimal, GlobalChoice, KeyIndex, Label, LocalizedText,
    ManyToMany, Menu, OneToMany, RequiredLevel, Table, Uuid,
};
use std::borrow::Cow;

/// A definition that can be read.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// `EntityMetadata`
    Table(&'a Table),
    /// One of the `…AttributeMetadata` types.
    Column(&'a Table, ColumnIndex),
    /// `EntityKeyMetadata`
    Key(&'a Table, KeyIndex),
    /// `OneToManyRelationshipMetadata`
    Relationship(&'a OneToMany),
    /// `ManyToManyRelationshipMetadata`
    ManyToMany(&'a ManyToMany),
    /// `OptionSetMetadata`, global.
    Choice(&'a GlobalChoice),
}

/// The value of a member.
#[derive(Clone, Debug)]
pub enum Member<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// An exact number.
    Decimal(Decimal),
    /// A floating point number.
    Double(f64),
    /// Text; names of enumerations and times, too.
    Text(Cow<'a, str>),
    /// An id.
    Guid(Uuid),
    /// A list of texts.
    Texts(Vec<&'a str>),
    /// `{"Value":"StringType"}`
    Name(&'static str),
    /// A yes/no property that a solution may lock.
    Managed {
        /// Its value.
        value: bool,
        /// It is not locked.
        can_be_changed: bool,
        /// Its logical name.
        name: &'static str,
    },
    /// `RequiredLevel`
    Required(RequiredLevel),
    /// A label in its languages.
    Label(&'a Label),
    /// One language of a label.
    Localized(&'a LocalizedText),
    /// The options of a choice column.
    Options(&'a Table, ColumnIndex),
    /// The options of a global choice.
    GlobalOptions(&'a [ChoiceOption]),
    /// `CascadeConfiguration`
    Cascade(Cascade),
    /// `AssociatedMenuConfiguration`
    Menu(&'a Menu),
    /// The privileges of a table.
    Privileges(&'a Table),
    /// An empty list.
    Nothing,
}

impl<'a> Member<'a> {
    /// A text, or null.
    pub(super) fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(Cow::Borrowed(text)))
    }

    /// Goes one step down: `RequiredLevel/Value`. `None`: there is no such member.
    pub fn path(&self, name: &str) -> Option<Member<'a>> {
        match (self, name) {
            (Self::Name(value), "Value") => Some(Self::Text(Cow::Borrowed(value))),
            (Self::Managed { value, .. }, "Value") => Some(Self::Boolean(*value)),
            (Self::Managed { can_be_changed, .. }, "CanBeChanged") => {
                Some(Self::Boolean(*can_be_changed))
            }
            (Self::Managed { name, .. }, "ManagedPropertyLogicalName") => {
                Some(Self::Text(Cow::Borrowed(name)))
            }
            (Self::Required(level), "Value") => {
                Some(Self::Text(Cow::Borrowed(required_name(*level))))
            }
            (Self::Required(level), "CanBeChanged") => {
                Some(Self::Boolean(*level != RequiredLevel::SystemRequired))
            }
            (Self::Required(_), "ManagedPropertyLogicalName") => {
                Some(Self::Text(Cow::Borrowed(REQUIRED_PROPERTY)))
            }
            (Self::Label(label), "UserLocalizedLabel") => {
                Some(label.texts.first().map_or(Self::Null, Self::Localized))
            }
            (Self::Localized(text), "Label") => Some(Self::Text(Cow::Borrowed(&text.text))),
            (Self::Localized(text), "LanguageCode") => {
                Some(Self::Integer(i64::from(text.language)))
            }
            (Self::Cascade(cascade), _) => relationship::cascade_member(*cascade, name)
                .map(|action| Self::Text(Cow::Borrowed(action))),
            (Self::Menu(menu), _) => relationship::menu_member(menu, name),
            // A step below nothing is nothing, as in OData.
            (Self::Null, _) => Some(Self::Null),
            _ => None,
        }
    }

    /// Appends its JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Boolean(value) => json::display(out, value),
            Self::Integer(value) => json::integer(out, *value),
            Self::Decimal(value) => json::display(out, value),
            Self::Double(value) if value.is_finite() => {
                out.extend_from_slice(ryu::Buffer::new().format_finite(*value).as_bytes());
            }
            Self::Double(_) => out.extend_from_slice(b"null"),
            Self::Text(text) => json::text(out, text),
            Self::Guid(id) => json::guid(out, *id),
            Self::Texts(texts) => {
                out.push(b'[');
                for text in texts {
                    json::comma(out);
                    json::text(out, text);
                }
                out.push(b']');
            }
            Self::Name(value) => {
                out.extend_from_slice(b"{\"Value\":");
                json::text(out, value);
                out.push(b'}');
            }
            Self::Managed { value, can_be_changed, name } => {
                managed(out, if *value { "true" } else { "false" }, *can_be_changed, name);
            }
            Self::Required(level) => {
                let value = format!("\"{}\"", required_name(*level));
                let can_be_changed = *level != RequiredLevel::SystemRequired;
                managed(out, &value, can_be_changed, REQUIRED_PROPERTY);
            }
            Self::Label(value) => label::write(out, value),
            Self::Localized(text) => label::write_text(out, text),
            Self::Options(table, column) => choice::write(out, table, *column),
            Self::GlobalOptions(options) => choice::write_global_options(out, options),
            Self::Cascade(cascade) => relationship::write_cascade(out, *cascade),
            Self::Menu(menu) => relationship::write_menu(out, menu),
            Self::Privileges(table) => table::write_privileges(out, table),
            Self::Nothing => out.extend_from_slice(b"[]"),
        }
    }
}

const REQUIRED_PROPERTY: &str = "canmodifyrequirementlevelsettings";

/// Appends a managed property whose value is given as JSON.
fn managed(out: &mut Vec<u8>, value: &str, can_be_changed: bool, name: &str) {
    json::display(
        out,
        format_args!(
            "{{\"Value\":{value},\"CanBeChanged\":{can_be_changed},\"ManagedPropertyLogicalName\":\"{name}\"}}"
        ),
    );
}

/// The name of a required level on the wire.
pub(super) fn required_name(level: RequiredLevel) -> &'static str {
    match level {
        RequiredLevel::None => "None",
        RequiredLevel::Recommended => "Recommended",
        RequiredLevel::ApplicationRequired => "ApplicationRequired",
        RequiredLevel::SystemRequired => "SystemRequired",
    }
}

impl<'a> Item<'a> {
    /// The name of its type, without `Microsoft.Dynamics.CRM.`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Table(_) => "EntityMetadata",
            Self::Column(table, index) => column::type_name(column::shown(table, *index)),
            Self::Key(..) => "EntityKeyMetadata",
            Self::Relationship(_) => "OneToManyRelationshipMetadata",
            Self::ManyToMany(_) => "ManyToManyRelationshipMetadata",
            Self::Choice(_) => "OptionSetMetadata",
        }
    }

    /// Whether it is one of several types of a collection, so that a read names its type.
    pub fn is_derived(&self) -> bool {
        matches!(
            self,
            Self::Column(..) | Self::Relationship(_) | Self::ManyToMany(_) | Self::Choice(_)
        )
    }

    /// Its public id.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Table(table) => table.metadata_id,
            Self::Column(table, index) => table.column(*index).metadata_id,
            Self::Key(table, index) => table.key(*index).metadata_id,
            Self::Relationship(relationship) => relationship.metadata_id,
            Self::ManyToMany(many) => many.metadata_id,
            Self::Choice(choice) => choice.metadata_id,
        }
    }

    /// The members that a read without `$select` returns, in order.
    pub fn members(&self) -> Vec<&'static str> {
        match self {
            Self::Table(_) => table::MEMBERS.iter().map(|(name, _)| *name).collect(),
            Self::Column(table, index) => column::members(column::shown(table, *index)),
            Self::Key(..) => key::MEMBERS.iter().map(|(name, _)| *name).collect(),
            Self::Relationship(_) => relationship::MEMBERS.iter().map(|(name, _)| *name).collect(),
            Self::ManyToMany(_) => {
                relationship::MANY_MEMBERS.iter().map(|(name, _)| *name).collect()
            }
            Self::Choice(_) => choice::MEMBERS.iter().map(|(name, _)| *name).collect(),
        }
    }

    /// The members that a read returns only with `$expand`, the collections of a table aside.
    pub fn expandable(&self) -> &'static [&'static str] {
        match self {
            Self::Column(table, index) => column::expandable(column::shown(table, *index)),
            Self::Table(_)
            | Self::Key(..)
            | Self::Relationship(_)
            | Self::ManyToMany(_)
            | Self::Choice(_) => &[],
        }
    }

    /// One member by its name, expandable ones included. `None`: the type has no such member.
    pub fn member(&self, name: &str) -> Option<Member<'a>> {
        match self {
            Self::Table(table) => {
                let (_, read) = table::MEMBERS.iter().find(|(member, _)| *member == name)?;
                Some(read(table))
            }
            Self::Column(table, index) => column::member(table, *index, name),
            Self::Key(table, index) => {
                let (_, read) = key::MEMBERS.iter().find(|(member, _)| *member == name)?;
                Some(read(table, table.key(*index)))
            }
            Self::Relationship(relationship) => {
                let (_, read) = relationship::MEMBERS.iter().find(|(member, _)| *member == name)?;
                Some(read(relationship))
            }
            Self::ManyToMany(many) => {
                let mut members = relationship::MANY_MEMBERS.iter();
                let (_, read) = members.find(|(member, _)| *member == name)?;
                Some(read(many))
            }
            Self::Choice(choice) => {
                let (_, read) = choice::MEMBERS.iter().find(|(member, _)| *member == name)?;
                Some(read(choice))
            }
        }
    }
}

/// Appends members without braces, with commas between them and after what stands there already.
///
/// `select` names the members; none means all. `MetadataId` is always written. A member that only
/// other types have is left out, as a mixed collection needs it; `expand` names members of
/// [`Item::expandable`], others in it are left out.
///
/// Errors: [`Error::UnknownProperty`] when no type of the item's collection has a selected member.
pub fn write_members(
    out: &mut Vec<u8>,
    item: &Item<'_>,
    select: Option<&[&str]>,
    expand: &[&str],
) -> Result<()> {
    let mut write = |name: &str, value: &Member<'_>| {
        json::comma(out);
        json::name(out, name);
        value.write(out);
    };
    match select {
        None => {
            for name in item.members() {
                if let Some(value) = item.member(name) {
                    write(name, &value);
                }
            }
        }
        Some(names) => {
            for name in names {
                if *name == "MetadataId" || item.expandable().contains(name) {
                    continue;
                }
                match item.member(name) {
                    Some(value) => write(name, &value),
                    None if is_of_sibling(item, name) => {}
                    None => {
                        return Err(Error::UnknownProperty {
                            index: None,
                            property: cut(name),
                            table: item.type_name().into(),
                        });
                    }
                }
            }
            write("MetadataId", &Member::Guid(item.id()));
        }
    }
    for name in item.expandable() {
        if expand.contains(name)
            && let Some(value) = item.member(name)
        {
            write(name, &value);
        }
    }
    Ok(())
}

/// Appends an item in braces, as a read through a type cast does.
///
/// Errors: as [`write_members`].
pub fn write_item(
    out: &mut Vec<u8>,
    item: &Item<'_>,
    select: Option<&[&str]>,
    expand: &[&str],
) -> Result<()> {
    out.push(b'{');
    write_members(out, item, select, expand)?;
    out.push(b'}');
    Ok(())
}

/// Appends an item in braces; items of [`Item::is_derived`] say their type first, as in a mixed
/// collection and in a single read.
///
/// Errors: as [`write_members`].
pub fn write_typed_item(
    out: &mut Vec<u8>,
    item: &Item<'_>,
    select: Option<&[&str]>,
    expand: &[&str],
) -> Result<()> {
    out.push(b'{');
    write_type(out, item);
    write_members(out, item, select, expand)?;
    out.push(b'}');
    Ok(())
}

/// Appends `"@odata.type":"#…"` for an item of [`Item::is_derived`], nothing for others.
pub fn write_type(out: &mut Vec<u8>, item: &Item<'_>) {
    if item.is_derived() {
        json::comma(out);
        out.extend_from_slice(b"\"@odata.type\":\"#Microsoft.Dynamics.CRM.");
        out.extend_from_slice(item.type_name().as_bytes());
        out.push(b'"');
    }
}

/// Whether another type in the same collection has the member.
fn is_of_sibling(item: &Item<'_>, name: &str) -> bool {
    match item {
        Item::Column(..) => column::is_member_of_any(name),
        Item::Relationship(_) | Item::ManyToMany(_) => relationship::is_member_of_any(name),
        Item::Table(_) | Item::Key(..) | Item::Choice(_) => false,
    }
}
