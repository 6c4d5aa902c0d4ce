//! What follows from the document of a note: its size.
//!
//! Source: webapi.md, seed table `annotation`. Not here: files of file columns (`files`).

use crate::write::{Prepared, TargetRefused};
use model::{Cell, Table, Value, code};

/// The table of notes.
pub(crate) const TABLE: &str = "annotation";

/// Checks the document of a note and adds its size.
pub(crate) fn complete(table: &Table, prepared: &mut Prepared) -> Result<(), TargetRefused> {
    let (Some(body), Some(size)) = (table.index_of("documentbody"), table.index_of("filesize"))
    else {
        return Ok(());
    };
    let given = prepared.cells.iter().find(|cell| cell.column == body).map(|cell| &cell.value);
    let value = match given {
        None => return Ok(()),
        Some(Value::Text(text)) => match bytes_of(text) {
            Some(bytes) => Value::Integer(bytes),
            None => {
                return Err(TargetRefused {
                    code: code::INVALID_ARGUMENT,
                    message: "The value of 'documentbody' is not base64.".to_owned(),
                    column: Some("documentbody".into()),
                });
            }
        },
        Some(_) => Value::Null,
    };
    prepared.cells.push(Cell { column: size, value });
    Ok(())
}

/// How many bytes base64 text stands for; none if it is none.
fn bytes_of(text: &str) -> Option<i32> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let fits = text.len().is_multiple_of(4) && padding <= 2 && digits.bytes().all(is_digit);
    fits.then(|| i32::try_from(text.len() / 4 * 3 - padding).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_measured_or_refused() {
        for (text, bytes) in [("", 0), ("YQ==", 1), ("YWI=", 2), ("YWJj", 3), ("YWJjZA==", 4)] {
            assert_eq!(bytes_of(text), Some(bytes), "{text}");
        }
        for bad in ["YQ", "Y===", "Y Q=", "YWJj\n", "ä===", "=YWJ"] {
            assert_eq!(bytes_of(bad), None, "{bad}");
        }
    }
}
