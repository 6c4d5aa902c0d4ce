//! Rows of a CSV file, and a checksum of such files that knows no order.
//!
//! In: a seed. Out: files with what CSV files have: leading zeros, exact decimals, dates, quotes, line breaks, empty
//! cells.
//! Not here: loading them.
//! Invariant: a file and what came back are compared as text, cell by cell, by their columns' names.

use std::collections::hash_map::DefaultHasher;
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};

use crate::draw::Draw;

/// The columns; the first one differs from row to row.
pub const HEADERS: [&str; 9] =
    ["Label", "Tracking No", "Weight", "Pieces", "Fragile", "Shipped", "Seen At", "City", "Remark"];

/// Writes a file of so many rows.
pub fn write_rows(file: &Path, rows: u64, seed: u64) -> Result<()> {
    let mut draw = Draw::new(seed);
    let mut out = csv::Writer::from_writer(BufWriter::new(File::create(file)?));
    out.write_record(HEADERS)?;
    for row in 0..rows {
        let remark = match draw.below(8) {
            0 => format!("said \"{}\", then left", draw.word(6)),
            1 => format!("two\nlines, {}", draw.word(5)),
            2 => format!("Zürich, Łódź, 東京 {}", draw.word(4)),
            3 => String::new(),
            _ => format!("{} {}", draw.word(12), draw.word(9)),
        };
        let day = 1 + draw.below(28);
        out.write_record([
            format!("Crate {row}"),
            format!("{:010}", draw.below(10_000_000_000)),
            format!("{}.{:02}", draw.below(5000), draw.below(100)),
            draw.below(100).to_string(),
            if draw.below(2) == 0 { "false" } else { "true" }.to_owned(),
            format!("2024-{:02}-{day:02}", 1 + draw.below(12)),
            format!(
                "2025-06-{day:02}T{:02}:{:02}:{:02}Z",
                draw.below(24),
                draw.below(60),
                draw.below(60)
            ),
            if draw.below(5) == 0 { String::new() } else { draw.word(8) },
            remark,
        ])?;
    }
    out.flush()?;
    Ok(())
}

/// The same for the same rows in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    /// How many.
    pub rows: u64,
    /// The sum of a hash of each.
    pub sum: u64,
}

/// Adds up a hash of every row. Columns are taken in the order of [`HEADERS`], wherever they stand; other
/// columns do not count.
pub fn checksum(file: &Path) -> Result<Checksum> {
    let mut reader = csv::Reader::from_path(file)?;
    let headers = reader.headers()?.clone();
    let places: Vec<usize> = HEADERS
        .iter()
        .map(|wanted| {
            let place = headers.iter().position(|header| header == *wanted);
            place.with_context(|| {
                format!("{} has no column `{wanted}`: {headers:?}", file.display())
            })
        })
        .collect::<Result<_>>()?;
    let mut checksum = Checksum { rows: 0, sum: 0 };
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let mut hasher = DefaultHasher::new();
        for &place in &places {
            record.get(place).hash(&mut hasher);
        }
        checksum.rows += 1;
        checksum.sum = checksum.sum.wrapping_add(hasher.finish());
    }
    Ok(checksum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Checksum {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        checksum(file.path()).unwrap()
    }

    #[test]
    fn the_checksum_knows_neither_order_of_rows_nor_of_columns_but_every_cell() {
        let head = HEADERS.join(",");
        let one = of(&format!("{head}\n1,2,3,4,5,6,7,8,9\na,b,c,d,e,f,g,h,i\n"));
        assert_eq!(one, of(&format!("{head}\na,b,c,d,e,f,g,h,i\n1,2,3,4,5,6,7,8,9\n")));
        let turned: Vec<&str> = HEADERS.iter().rev().copied().collect();
        let turned = turned.join(",");
        assert_eq!(one, of(&format!("x,{turned}\n0,9,8,7,6,5,4,3,2,1\n0,i,h,g,f,e,d,c,b,a\n")));
        assert_ne!(one, of(&format!("{head}\n1,2,3,4,5,6,7,8,0\na,b,c,d,e,f,g,h,i\n")));
    }
}
