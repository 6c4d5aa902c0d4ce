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
    ///
    /// A text of the list wins over the user's: whoever changes a definition that was read changes the list,
    /// and sends the user's text back as it was.
    pub(super) fn into_label(self) -> Label {
        let first = self.shown.as_ref().map(TextBody::language);
        let mut label = Label::default();
        for text in self.texts.into_iter().flatten().chain(self.shown) {
            let language = text.language();
            if let Some(shown) = text.label
                && label.texts.iter().all(|known| known.language != language)
            {
                label.texts.push(LocalizedText { language, text: shown.into() });
            }
        }
        label.texts.sort_by_key(|text| Some(text.language) != first);
        label
    }
}

impl TextBody {
    fn language(&self) -> u16 {
        self.language.unwrap_or(Label::ENGLISH)
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

#[cfg(test)]
mod tests {
    use super::LabelBody;
    use expect_test::{Expect, expect};

    fn check(body: &str, want: Expect) {
        let body: LabelBody = serde_json::from_str(body).unwrap();
        let label = body.into_label();
        let texts = label.texts.iter().map(|text| format!("{} {}", text.language, text.text));
        want.assert_eq(&texts.collect::<Vec<_>>().join(", "));
    }

    #[test]
    fn a_text_of_the_list_wins_over_the_one_that_was_read() {
        let old = r#""UserLocalizedLabel":{"Label":"Before","LanguageCode":1033}"#;
        let new = r#"{"Label":"After","LanguageCode":1033}"#;
        let german = r#"{"Label":"Danach","LanguageCode":1031}"#;
        check(
            &format!(r#"{{"LocalizedLabels":[{german},{new}],{old}}}"#),
            expect!["1033 After, 1031 Danach"],
        );
        check(
            &format!(r#"{{"LocalizedLabels":[{german}],{old}}}"#),
            expect!["1033 Before, 1031 Danach"],
        );
        check(&format!("{{{old}}}"), expect!["1033 Before"]);
        check(
            &format!(r#"{{"LocalizedLabels":[{german},{new}]}}"#),
            expect!["1031 Danach, 1033 After"],
        );
    }
}
