//! The one place that prints, and that asks.

use std::io::Write;

/// A line of data, on standard output. Nobody who has stopped listening is an error.
pub(crate) fn line(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// A line about data, on standard error.
pub(crate) fn note(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// Asks on standard error and reads the answer from standard input: whether it was yes.
pub(crate) fn confirm(question: &str) -> std::io::Result<bool> {
    let answer = answer(&format!("{question} [y/N] "))?.unwrap_or_default();
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks on standard error and reads a line from standard input; none at its end.
pub(crate) fn answer(question: &str) -> std::io::Result<Option<String>> {
    let mut err = std::io::stderr();
    write!(err, "{question}")?;
    err.flush()?;
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer)?;
    Ok((read > 0).then_some(answer))
}

/// A table with aligned columns, on standard output. Numbers stand to the right.
pub(crate) fn table(headers: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = headers.iter().map(|header| header.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let print = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (place, (cell, width)) in cells.zip(&widths).enumerate() {
            if place > 0 {
                text.push_str("  ");
            }
            let pad = " ".repeat(width - cell.chars().count());
            let is_number = cell.starts_with(|first: char| first.is_ascii_digit());
            let (before, after) = if is_number { (&*pad, "") } else { ("", &*pad) };
            text.push_str(before);
            text.push_str(cell);
            text.push_str(after);
        }
        line(text.trim_end());
    };
    print(&mut headers.iter().copied());
    for row in rows {
        print(&mut row.iter().map(String::as_str));
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rows per second, rounded.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure for people"
)]
pub(crate) fn rate(rows: u64, took: std::time::Duration) -> u64 {
    (rows as f64 / took.as_secs_f64().max(1e-3)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_by_thousands() {
        for (number, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), want);
        }
    }
}
