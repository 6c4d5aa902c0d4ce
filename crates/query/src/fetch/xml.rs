//! XML text to a tree of elements: what FetchXML is read from.
//!
//! No document type, no entities but the five of XML itself, a bound on depth and on the number of
//! elements. Comments, declarations and processing instructions are skipped.
//! Not here: what an element means.

use super::Error;
use super::limits::{DEPTH_MAX, ELEMENTS_MAX};
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// An element with all that it holds.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    /// Its text, without that of its children.
    pub(super) text: String,
}

impl Element {
    /// An attribute by name; blanks around it do not count.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim)
    }

    /// An attribute exactly as written.
    pub(super) fn raw(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An attribute that must be there and not empty.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, Error> {
        self.attribute(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Error::MissingAttribute { element: self.name.as_str().into(), name })
    }

    /// `true`, `false`, `1` or `0`; false when absent.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, Error> {
        self.flag_or(name, false)
    }

    /// The same with another value when absent.
    pub(super) fn flag_or(&self, name: &'static str, absent: bool) -> Result<bool, Error> {
        match self.attribute(name) {
            None => Ok(absent),
            Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(value) => Err(Error::BadFlag { name, value: value.into() }),
        }
    }
}

/// Reads a document: its one root element.
pub(super) fn read(text: &str) -> Result<Element, Error> {
    let mut reader = Reader::from_str(text);
    // The first stands for the document.
    let mut open = vec![Element::default()];
    let mut elements = 0_usize;
    loop {
        let event = reader.read_event().map_err(malformed)?;
        elements += usize::from(matches!(event, Event::Start(_) | Event::Empty(_)));
        if elements > ELEMENTS_MAX || open.len() > DEPTH_MAX {
            return Err(Error::Malformed {
                why: format!("it has more than {ELEMENTS_MAX} elements or {DEPTH_MAX} levels"),
            });
        }
        match event {
            Event::Start(start) => open.push(element(&start)?),
            Event::Empty(start) => {
                let empty = element(&start)?;
                if let Some(parent) = open.last_mut() {
                    parent.children.push(empty);
                }
            }
            Event::End(_) => {
                if let (Some(done), Some(parent)) = (open.pop(), open.last_mut()) {
                    parent.children.push(done);
                }
            }
            Event::Text(part) => put(&mut open, &part.decode().map_err(malformed)?),
            Event::CData(part) => put(&mut open, &part.decode().map_err(malformed)?),
            Event::GeneralRef(reference) => {
                match reference.resolve_char_ref().map_err(malformed)? {
                    Some(character) => put(&mut open, character.encode_utf8(&mut [0; 4])),
                    None => {
                        let name = reference.decode().map_err(malformed)?;
                        let text = resolve_predefined_entity(&name).ok_or_else(|| {
                            Error::Malformed { why: format!("there is no entity `{name}`") }
                        })?;
                        put(&mut open, text);
                    }
                }
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::DocType(_) => {
                return Err(Error::Malformed { why: "it has a document type".to_owned() });
            }
            Event::Eof => break,
        }
    }
    let document = match (open.pop(), open.is_empty()) {
        (Some(document), true) => document,
        _ => return Err(Error::Malformed { why: "it ends inside an element".to_owned() }),
    };
    if !document.text.trim().is_empty() {
        return Err(Error::Malformed { why: "there is text outside of its element".to_owned() });
    }
    let mut roots = document.children.into_iter();
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root),
        (None, _) => Err(Error::Malformed { why: "it is empty".to_owned() }),
        (Some(_), Some(_)) => {
            Err(Error::Malformed { why: "it has more than one element at its top".to_owned() })
        }
    }
}

fn put(open: &mut [Element], text: &str) {
    if let Some(inner) = open.last_mut() {
        inner.text.push_str(text);
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, Error> {
    let name = String::from_utf8(start.name().as_ref().to_vec()).map_err(malformed)?;
    let mut this = Element { name, ..Element::default() };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(malformed)?;
        let name = String::from_utf8(attribute.key.as_ref().to_vec()).map_err(malformed)?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(malformed)?;
        this.attributes.push((name, value.into_owned()));
    }
    Ok(this)
}

fn malformed(error: impl std::fmt::Display) -> Error {
    Error::Malformed { why: error.to_string() }
}
