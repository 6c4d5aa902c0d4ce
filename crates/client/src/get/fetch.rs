//! FetchXML: what a query reads, and the address of each of its pages. Pure.
//!
//! In: the text. Out: its table, its columns, and the same text with page, size and cookie.
//! Not here: what elements mean; the service says what is wrong with them.
//! Source: `query.md` B. Invariant: nothing but attributes of the `fetch` element is changed.

use crate::service::escaped;
use percent_encoding::percent_decode_str;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use std::borrow::Cow;

/// A query.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    /// The table that is read.
    pub(super) table: String,
    /// What is shown, in order.
    pub(super) attributes: Vec<Attribute>,
    /// The attributes of the `fetch` element.
    own: Vec<(String, String)>,
    /// What stands behind its start tag.
    rest: String,
}

/// Something that a query shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    /// A column of the table, under its own name.
    Own(String),
    /// Whatever comes under this name: an alias, or a column of a link.
    Property(String),
    /// Every column of the table.
    All,
}

/// How the next page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cookie {
    /// The number of the next page.
    pub(super) page: u64,
    /// What is put into the query.
    pub(super) inner: Option<String>,
}

impl Fetch {
    /// Reads a query as far as its pages and columns need it.
    ///
    /// Errors: what keeps it from being read.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut reader = quick_xml::Reader::from_str(text);
        let bad = |why: &dyn std::fmt::Display| format!("the FetchXML cannot be read: {why}");
        let mut fetch: Option<Self> = None;
        let mut found_table = None;
        // The elements that are open, with the alias of those that are links.
        let mut open: Vec<(String, Option<String>)> = Vec::new();
        loop {
            let event = reader.read_event().map_err(|err| bad(&err))?;
            let (start, is_empty) = match event {
                Event::Start(start) => (start, false),
                Event::Empty(start) => (start, true),
                Event::End(_) => {
                    open.pop();
                    continue;
                }
                Event::DocType(_) => return Err(bad(&"it has a document type")),
                Event::Eof => break,
                _ => continue,
            };
            let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
            let attributes = attributes(&start).map_err(|err| bad(&err))?;
            let of = |name: &str| {
                let found = attributes.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
            };
            match (open.as_slice(), fetch.as_mut(), name.as_str()) {
                ([], None, "fetch") if !is_empty => {
                    let at = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
                    fetch = Some(Self {
                        table: String::new(),
                        attributes: Vec::new(),
                        own: attributes.clone(),
                        rest: text.get(at..).unwrap_or_default().to_owned(),
                    });
                }
                ([], ..) => return Err(bad(&"it does not begin with `fetch`")),
                ([_], Some(_), "entity") => {
                    found_table = of("name");
                }
                (_, Some(fetch), "attribute" | "all-attributes")
                    if parent_of(&open) == Some("entity")
                        || parent_of(&open) == Some("link-entity") =>
                {
                    let link = open.last().and_then(|(_, alias)| alias.clone());
                    let is_link = parent_of(&open) == Some("link-entity");
                    fetch.attributes.push(shown(&name, of("name"), of("alias"), is_link, link)?);
                }
                _ => {}
            }
            if !is_empty {
                open.push((name, of("alias")));
            }
        }
        if !open.is_empty() {
            return Err(bad(&"it ends inside of an element"));
        }
        let mut fetch = fetch.ok_or_else(|| bad(&"it has no `fetch`"))?;
        fetch.table = found_table.ok_or_else(|| bad(&"its `entity` has no name"))?;
        Ok(fetch)
    }

    fn own(&self, name: &str) -> Option<&str> {
        self.own.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// The page that is read first.
    pub(super) fn first_page(&self) -> u64 {
        self.own("page").and_then(|page| page.parse().ok()).unwrap_or(1)
    }

    /// Whether the query itself says which page, or how many rows in all.
    pub(super) fn is_one_page(&self) -> bool {
        self.own("page").is_some() || self.own("top").is_some()
    }

    /// The address of a page.
    pub(super) fn path(&self, set: &str, page: u64, cookie: Option<&str>, size: u32) -> String {
        let mut more = Vec::new();
        // `top` does not go together with pages.
        if self.own("top").is_none() {
            more.push(("page", page.to_string()));
            if self.own("count").is_none() {
                more.push(("count", size.to_string()));
            }
            more.extend(cookie.map(|cookie| ("paging-cookie", cookie.to_owned())));
        }
        self.address(set, &more)
    }

    /// The address of a question for nothing but the number of rows.
    ///
    /// Errors: it cannot be counted.
    pub(super) fn counting_path(&self, set: &str) -> Result<String, String> {
        if self.own("aggregate").is_some_and(|word| word != "false" && word != "0") {
            return Err("groups of FetchXML are not counted: read them".to_owned());
        }
        if self.own("top").is_some() {
            return Err("FetchXML with `top` is not counted: leave `top` out".to_owned());
        }
        let more = ["page", "count", "returntotalrecordcount"].into_iter();
        let more: Vec<(&str, String)> =
            more.zip(["1", "1", "true"]).map(|(name, value)| (name, value.to_owned())).collect();
        Ok(self.address(set, &more))
    }

    fn address(&self, set: &str, more: &[(&str, String)]) -> String {
        let mut text = String::from("<fetch");
        let kept = self.own.iter().filter(|(name, _)| !more.iter().any(|(new, _)| new == name));
        let kept = kept.map(|(name, value)| (name.as_str(), value));
        for (name, value) in kept.chain(more.iter().map(|(name, value)| (*name, value))) {
            let value = quick_xml::escape::escape(value.as_str());
            text.push_str(&format!(" {name}=\"{value}\""));
        }
        text.push('>');
        text.push_str(&self.rest);
        format!("{set}?fetchXml={}", escaped(&text))
    }
}

fn parent_of(open: &[(String, Option<String>)]) -> Option<&str> {
    open.last().map(|(name, _)| name.as_str())
}

/// What an `attribute` or `all-attributes` shows.
fn shown(
    element: &str,
    name: Option<String>,
    alias: Option<String>,
    is_link: bool,
    link: Option<String>,
) -> Result<Attribute, String> {
    if element == "all-attributes" {
        return match is_link {
            true => Err("name the columns of a `link-entity` instead of `all-attributes`".into()),
            false => Ok(Attribute::All),
        };
    }
    match (alias, name, is_link, link) {
        (Some(alias), ..) => Ok(Attribute::Property(alias)),
        (None, None, ..) => Err("an `attribute` of the FetchXML has no name".to_owned()),
        (None, Some(name), false, _) => Ok(Attribute::Own(name)),
        (None, Some(name), true, Some(link)) => Ok(Attribute::Property(format!("{link}.{name}"))),
        (None, Some(name), true, None) => {
            Err(format!("give the `link-entity` of `{name}` an alias, so that it has a name"))
        }
    }
}

fn attributes(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|err| err.to_string())?;
        let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        let value: Cow<'_, str> =
            attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|err| err.to_string())?;
        all.push((name, value.into_owned()));
    }
    Ok(all)
}

/// What a page says about the next one.
pub(super) fn cookie(body: &[u8]) -> Option<Cookie> {
    #[derive(serde::Deserialize)]
    struct Answer {
        #[serde(rename = "@Microsoft.Dynamics.CRM.fetchxmlpagingcookie")]
        cookie: Option<String>,
        #[serde(rename = "@Microsoft.Dynamics.CRM.morerecords")]
        more: Option<bool>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    if answer.more == Some(false) {
        return None;
    }
    let text = answer.cookie?;
    let mut reader = quick_xml::Reader::from_str(&text);
    loop {
        let (Event::Start(start) | Event::Empty(start)) = reader.read_event().ok()? else {
            continue;
        };
        let attributes = attributes(&start).ok()?;
        let of = |name: &str| attributes.iter().find(|(known, _)| known == name);
        let page = of("pagenumber")?.1.parse().ok()?;
        let inner = of("pagingcookie").map(|(_, value)| decoded(&decoded(value)));
        return Some(Cookie { page, inner: inner.filter(|inner| !inner.is_empty()) });
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_has_the_number_and_the_cookie_that_the_last_one_said() {
        let text = "<fetch no-lock='true'><entity name='contact'><attribute name='fullname'/>\
            <attribute name='createdon' alias='made'/>\
            <filter><condition attribute='fullname' operator='eq' value='a&amp;b'/></filter>\
            <link-entity name='account' from='accountid' to='parentcustomerid' alias='a'>\
            <attribute name='name'/></link-entity></entity></fetch>";
        let fetch = Fetch::read(text).expect("it reads");
        assert_eq!(fetch.table, "contact");
        let property = |name: &str| Attribute::Property(name.to_owned());
        let shown = [Attribute::Own("fullname".to_owned()), property("made"), property("a.name")];
        assert_eq!(fetch.attributes, shown);
        let body = br#"{"value":[],"@Microsoft.Dynamics.CRM.fetchxmlpagingcookie":"<cookie pagenumber=\"2\" pagingcookie=\"%253ccookie%2520page%253d%25221%2522%253e%253c%252fcookie%253e\" istracking=\"False\" />","@Microsoft.Dynamics.CRM.morerecords":true}"#;
        let next = cookie(body).expect("there is a next page");
        assert_eq!(
            next,
            Cookie { page: 2, inner: Some("<cookie page=\"1\"></cookie>".to_owned()) }
        );
        let path = fetch.path("contacts", next.page, next.inner.as_deref(), 10);
        let path = decoded(&path);
        assert!(
            path.starts_with(
                "contacts?fetchXml=<fetch no-lock=\"true\" page=\"2\" count=\"10\" paging-cookie=\"&lt;cookie \
                 page=&quot;1&quot;&gt;&lt;/cookie&gt;\"><entity name='contact'>"
            ),
            "{path}"
        );
        assert!(path.contains("value='a&amp;b'") && path.ends_with("</fetch>"), "{path}");
        assert_eq!(cookie(b"{\"value\":[]}"), None);
    }

    #[test]
    fn a_query_that_cannot_be_shown_is_refused_by_what_is_missing() {
        let refused = |text: &str, want: &str| {
            let why = Fetch::read(text).expect_err(text);
            assert!(why.contains(want), "{text}: {why}");
        };
        refused("<entity/>", "does not begin with `fetch`");
        refused("<fetch><entity/></fetch>", "no name");
        refused("<fetch><entity name='a'>", "inside of an element");
        refused(
            "<fetch><entity name='a'><link-entity name='b'><attribute name='c'/></link-entity></entity></fetch>",
            "an alias",
        );
        refused(
            "<fetch><entity name='a'><link-entity name='b' alias='b'><all-attributes/></link-entity></entity></fetch>",
            "all-attributes",
        );
        let top = Fetch::read("<fetch top='5'><entity name='a'/></fetch>").expect("it reads");
        assert!(top.is_one_page() && top.counting_path("as").is_err());
        assert_eq!(
            decoded(&top.path("as", 1, None, 10)),
            "as?fetchXml=<fetch top=\"5\"><entity name='a'/></fetch>"
        );
    }
}
