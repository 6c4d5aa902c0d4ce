//! Fields of a form, as OAuth's clients post them.

use super::Denied;
use std::borrow::Cow;

/// The fields of a form.
#[derive(Debug, Default)]
pub(super) struct Form {
    fields: Vec<(String, String)>,
}

impl Form {
    /// Reads `a=b&c=d`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Denied> {
        let own =
            |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
        let this = Self { fields: form_urlencoded::parse(body).map(own).collect() };
        let twice = this.fields.iter().enumerate().find(|(place, (name, _))| {
            this.fields.iter().take(*place).any(|(other, _)| other == name)
        });
        match twice {
            Some((_, (name, _))) => {
                let text = format!("The request has the parameter '{name}' more than once.");
                Err(Denied::new("invalid_request", 9_000_411, text))
            }
            None => Ok(this),
        }
    }

    /// The value of a field; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.fields.iter().find(|(other, _)| other == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// The value of a field that must be there.
    pub(super) fn need(&self, name: &str) -> Result<&str, Denied> {
        self.get(name).ok_or_else(|| {
            let text = format!("The request body must contain the following parameter: '{name}'.");
            Denied::new("invalid_request", 900_144, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_no_field_comes_twice() {
        let form = Form::parse(b"a=x+y&b=%2B%20&c=&d=https%3A%2F%2Fh%2F.default").expect("a form");
        assert_eq!((form.get("a"), form.get("b")), (Some("x y"), Some("+")));
        assert_eq!((form.get("c"), form.get("d")), (None, Some("https://h/.default")));
        assert!(form.need("c").is_err());
        assert!(Form::parse(b"a=1&a=2").is_err());
    }
}
