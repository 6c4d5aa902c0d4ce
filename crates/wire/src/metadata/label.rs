//! Labels as JSON.
//!
//! Not here: choosing a language. Invariant: the first text is the one that is shown.

use crate::json;
use model::{Label, LocalizedText};
use serde::Deserialize;

/// A label as it comes: everything but the texts is optional, `@odata.type` included.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct LabelBody {
    #[serde(rename = "LocalizedLabels", default)]
    texts: Option<Vec<TextBody>>,
    #[serde(rename = "UserLocalizedLabel", default)]
    shown: Option<TextBody>,
}

#[derive(Clone, Debug, Deserialize)]
struct TextBody {
    #[serde(rename = "Label", default)]
    label: Option<String>,
    #[serde(rename = "LanguageCode", default)]
    language: Option<u16>,
}

impl LabelBody {
    /// The label; the text of the user's language comes first.
    pub(super) fn into_label(self) -> Label {
        let mut label = Label::default();
        for text in self.shown.into_iter().chain(self.texts.into_iter().flatten()) {
            let language = text.language.unwrap_or(Label::ENGLISH);
            if let Some(shown) = text.label
                && label.texts.iter().all(|known| known.language != language)
            {
                label.texts.push(LocalizedText { language, text: shown.into() });
            }
        }
        label
    }
}

/// The label of an optional member.
pub(super) fn of(body: Option<LabelBody>) -> Label {
    body.map(LabelBody::into_label).unwrap_or_default()
}

/// Takes a label from a body over: added to the languages there are, or in their place.
pub(super) fn changed(label: &mut Label, body: Option<LabelBody>, merge: bool) {
    if let Some(body) = body {
        let given = body.into_label();
        *label = if merge { label.merged(given) } else { given };
    }
}

/// Appends a label.
pub(super) fn write(out: &mut Vec<u8>, label: &Label) {
    out.extend_from_slice(b"{\"LocalizedLabels\":[");
    for text in &label.texts {
        json::comma(out);
        write_text(out, text);
    }
    out.extend_from_slice(b"],\"UserLocalizedLabel\":");
    match label.texts.first() {
        Some(text) => write_text(out, text),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

/// Appends one language of a label.
pub(super) fn write_text(out: &mut Vec<u8>, text: &LocalizedText) {
    out.extend_from_slice(b"{\"Label\":");
    json::text(out, &text.text);
    out.extend_from_slice(b",\"LanguageCode\":");
    json::integer(out, text.language);
    out.extend_from_slice(
        b",\"IsManaged\":false,\"MetadataId\":\"00000000-0000-0000-0000-000000000000\",\"HasChanged\":null}",
    );
}
