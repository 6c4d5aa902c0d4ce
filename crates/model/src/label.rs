//! Labels: display texts in several languages.

/// A display text in one or more languages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// One text per language, the organisation's base language first.
    pub texts: Vec<LocalizedText>,
}

/// A text and its language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalizedText {
    /// The Windows language code, 1033 for English.
    pub language: u16,
    /// What is shown.
    pub text: Box<str>,
}

impl Label {
    /// The language code of English (United States), the organisation's base language.
    pub const ENGLISH: u16 = 1033;

    /// A label in the base language only.
    pub fn english(text: impl Into<Box<str>>) -> Self {
        Self { texts: vec![LocalizedText { language: Self::ENGLISH, text: text.into() }] }
    }

    /// This label with the texts of another one: they replace those of their languages, others stay.
    #[must_use]
    pub fn merged(&self, with: Self) -> Self {
        let mut texts = self.texts.clone();
        for text in with.texts {
            match texts.iter_mut().find(|known| known.language == text.language) {
                Some(known) => *known = text,
                None => texts.push(text),
            }
        }
        Self { texts }
    }

    /// The text to show: the first one, if there is any.
    pub fn shown(&self) -> Option<&str> {
        self.texts.first().map(|text| &*text.text)
    }
}
