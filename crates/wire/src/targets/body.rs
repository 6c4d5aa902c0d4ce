//! The shape of a body: `{"Targets":[{…},…]}` or one record, walked in one pass.
//!
//! Not here: what the properties of a record mean (`decode`). Invariant: every value of the body is
//! consumed whatever is wrong with it, so that a body that is no JSON is always reported as such;
//! nothing here recurses deeper than the list of records.

use super::decode::{Decoder, Envelope, shown};
use super::property::Property;
use super::{ConcurrencyBehavior, NewRecord, TargetList};
use crate::error::{Error, Result, cut};
use crate::literal;
use model::{Catalog, MessageName, Table, Target};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Few targets take less text.
const TARGET_BYTES_MIN: usize = 64;
/// Targets that room is made for before they are read.
const TARGETS_EXPECTED_MAX: usize = 1_000;

pub(super) fn list(
    body: &[u8],
    message: MessageName,
    table: &Arc<Table>,
    catalog: &Catalog,
) -> Result<TargetList> {
    let mut decoder = Decoder::new(Some(message), table, catalog);
    let mut list = TargetList::default();
    // A list that grows is copied again and again.
    list.targets.reserve((body.len() / TARGET_BYTES_MIN).min(TARGETS_EXPECTED_MAX));
    parse(body, ListSeed { decoder: &mut decoder, list: &mut list })?;
    if list.targets.is_empty() {
        decoder.report(Error::TargetsEmpty);
    }
    decoder.finish_body(list)
}

pub(super) fn record(body: &[u8], table: &Arc<Table>, catalog: &Catalog) -> Result<Target> {
    let mut decoder = Decoder::new(None, table, catalog);
    let target = parse(body, RecordSeed { decoder: &mut decoder })?;
    decoder.finish_body(target)
}

/// Reads a new record that lies this deep in others.
pub(super) fn new_record(
    body: &[u8],
    table: &Arc<Table>,
    catalog: &Catalog,
    depth: usize,
) -> Result<NewRecord> {
    let mut decoder = Decoder::nesting(table, catalog, depth);
    let target = parse(body, RecordSeed { decoder: &mut decoder })?;
    let nested = decoder.take_nested();
    decoder.finish_body(NewRecord { table: Arc::clone(table), target, nested })
}

/// Runs a seed over the whole body. Text is checked first, so that strings which nobody reads are
/// UTF-8, too.
fn parse<'de, S: DeserializeSeed<'de>>(body: &'de [u8], seed: S) -> Result<S::Value> {
    let no_json = |detail: String| Error::NotJson { detail };
    let text = std::str::from_utf8(body).map_err(|err| no_json(err.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value =
        seed.deserialize(&mut deserializer).map_err(|err| no_json(cut(&err.to_string())))?;
    deserializer.end().map_err(|err| no_json(cut(&err.to_string())))?;
    Ok(value)
}

/// Reads one record.
struct RecordSeed<'r, 'a> {
    decoder: &'r mut Decoder<'a>,
}

impl<'de> DeserializeSeed<'de> for RecordSeed<'_, '_> {
    type Value = Target;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Target, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RecordSeed<'_, '_> {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Target, A::Error> {
        let decoder = self.decoder;
        let mut target = decoder.start_record();
        let mut envelope = Envelope::default();
        let mut place = 0;
        while let Some(property) =
            map.next_key_seed(PropertySeed { decoder: &mut *decoder, place })?
        {
            let raw: &'de RawValue = map.next_value()?;
            decoder.take(place, property, raw.get(), &mut target, &mut envelope);
            place += 1;
        }
        decoder.finish(&mut target, envelope);
        Ok(target)
    }
}

/// Reads the name of a property.
struct PropertySeed<'r, 'a> {
    decoder: &'r mut Decoder<'a>,
    place: usize,
}

impl<'de> DeserializeSeed<'de> for PropertySeed<'_, '_> {
    type Value = Property;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Property, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PropertySeed<'_, '_> {
    type Value = Property;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a property")
    }

    fn visit_str<E>(self, name: &str) -> Result<Property, E> {
        Ok(self.decoder.property(self.place, name))
    }
}

/// Reads the body of a bulk action.
struct ListSeed<'r, 'a> {
    decoder: &'r mut Decoder<'a>,
    list: &'r mut TargetList,
}

impl<'de> DeserializeSeed<'de> for ListSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ListSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `Targets`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { decoder, list } = self;
        let mut has_targets = false;
        let mut has_concurrency = false;
        while let Some(Text(name)) = map.next_key()? {
            let repeated = match &*name {
                "Targets" => std::mem::replace(&mut has_targets, true),
                "ConcurrencyBehavior" => std::mem::replace(&mut has_concurrency, true),
                _ => false,
            };
            if repeated {
                map.next_value::<IgnoredAny>()?;
                let property = name.into_owned();
                decoder.report(Error::DuplicateProperty { index: None, property });
                continue;
            }
            match &*name {
                "Targets" => map.next_value_seed(TargetsSeed {
                    decoder: &mut *decoder,
                    targets: &mut list.targets,
                })?,
                "ConcurrencyBehavior" => {
                    let raw: &'de RawValue = map.next_value()?;
                    list.concurrency = concurrency(raw.get());
                    if list.concurrency.is_none() {
                        let literal = shown(raw.get());
                        decoder.report(Error::BadConcurrencyBehavior { literal });
                    }
                }
                name => {
                    map.next_value::<IgnoredAny>()?;
                    if !name.contains('@') {
                        decoder.report(Error::UnknownParameter { name: cut(name) });
                    }
                }
            }
        }
        if !has_targets {
            decoder.report(Error::TargetsMissing);
        }
        Ok(())
    }
}

fn concurrency(raw: &str) -> Option<ConcurrencyBehavior> {
    match literal::string(raw).as_deref().unwrap_or(raw) {
        "Default" => Some(ConcurrencyBehavior::Default),
        "IfRowVersionMatches" => Some(ConcurrencyBehavior::IfRowVersionMatches),
        "AlwaysOverwrite" => Some(ConcurrencyBehavior::AlwaysOverwrite),
        _ => match raw {
            "0" => Some(ConcurrencyBehavior::Default),
            "1" => Some(ConcurrencyBehavior::IfRowVersionMatches),
            "2" => Some(ConcurrencyBehavior::AlwaysOverwrite),
            _ => None,
        },
    }
}

/// A text that is borrowed where it has no escapes.
struct Text<'de>(Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Reads `Targets`; whatever stands there is consumed.
struct TargetsSeed<'r, 'a> {
    decoder: &'r mut Decoder<'a>,
    targets: &'r mut Vec<Target>,
}

impl<'de> DeserializeSeed<'de> for TargetsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl TargetsSeed<'_, '_> {
    fn no_list<E>(self) -> Result<(), E> {
        self.decoder.report(Error::TargetsNotAList);
        Ok(())
    }
}

impl<'de> Visitor<'de> for TargetsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(target) = seq.next_element_seed(ItemSeed { decoder: &mut *self.decoder })? {
            self.targets.push(target);
            self.decoder.next_record();
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        drain(map)?;
        self.no_list()
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.decoder.report(Error::TargetsMissing);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.no_list()
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.no_list()
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.no_list()
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.no_list()
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.no_list()
    }
}

/// Reads one item of `Targets`; whatever stands there is consumed.
struct ItemSeed<'r, 'a> {
    decoder: &'r mut Decoder<'a>,
}

impl<'de> DeserializeSeed<'de> for ItemSeed<'_, '_> {
    type Value = Target;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Target, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl ItemSeed<'_, '_> {
    fn no_object<E>(self) -> Result<Target, E> {
        self.decoder.report_no_object();
        Ok(Target::default())
    }
}

impl<'de> Visitor<'de> for ItemSeed<'_, '_> {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Target, A::Error> {
        RecordSeed { decoder: self.decoder }.visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Target, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.no_object()
    }

    fn visit_unit<E>(self) -> Result<Target, E> {
        self.no_object()
    }

    fn visit_bool<E>(self, _: bool) -> Result<Target, E> {
        self.no_object()
    }

    fn visit_i64<E>(self, _: i64) -> Result<Target, E> {
        self.no_object()
    }

    fn visit_u64<E>(self, _: u64) -> Result<Target, E> {
        self.no_object()
    }

    fn visit_f64<E>(self, _: f64) -> Result<Target, E> {
        self.no_object()
    }

    fn visit_str<E>(self, _: &str) -> Result<Target, E> {
        self.no_object()
    }
}

/// Skips what is left of an object.
fn drain<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}
