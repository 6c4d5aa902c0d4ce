//! The rows of the bench and their JSON: ten columns, one of them a lookup, one an alternate key.
//!
//! In: a seed. Out: rows with ids in ascending order, and bodies of messages made before any clock runs.
//! Not here: sending them (`service`), storing them without the service (`bare`).
//! Invariant: alternate keys are their own folds (lower case, no trailing blank), so that the text the
//! service was given is found again in whichever column its index is made of.

use std::fmt::Write as _;

use bytes::Bytes;
use testkit::draw::Draw;
use uuid::Uuid;

/// Records in one bulk message.
pub(crate) const ROWS_PER_MESSAGE: usize = 1000;

/// One record: ten columns beside its id.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    /// The alternate key.
    pub(crate) code: String,
    /// The primary name, which has an index; random, so that the index is touched everywhere.
    name: String,
    city: String,
    note: String,
    count: u32,
    points: u64,
    cents: u64,
    paid: bool,
    due_day: u64,
    pub(crate) account: Uuid,
}

/// Names of one bench table: there is a fresh one for each group of lines.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// `bench_row0`, the logical name.
    pub(crate) table: String,
    /// `bench_row0s`, the entity set.
    pub(crate) set: String,
    /// The lookup's navigation property.
    pub(crate) navigation: String,
    /// The number in the names.
    pub(crate) number: usize,
}

impl Names {
    pub(crate) fn new(number: usize) -> Names {
        Names {
            table: format!("bench_row{number}"),
            set: format!("bench_row{number}s"),
            navigation: "bench_Account".to_owned(),
            number,
        }
    }
}

/// Draws rows one after another.
#[derive(Debug)]
pub(crate) struct Source {
    draw: Draw,
    count: u64,
    accounts: Vec<Uuid>,
}

impl Source {
    pub(crate) fn new(seed: u64, accounts: Vec<Uuid>) -> Source {
        Source { draw: Draw::new(seed), count: 0, accounts }
    }

    /// New rows: new ids, new keys.
    pub(crate) fn fresh(&mut self, rows: usize) -> Vec<Row> {
        (0..rows)
            .map(|_| {
                self.count += 1;
                let id = self.draw.ordered_id(self.count);
                let code = format!("{}-{}", self.draw.word(6), self.count);
                self.filled(id, code)
            })
            .collect()
    }

    /// The same records with every other column drawn anew.
    pub(crate) fn changed(&mut self, rows: &[Row]) -> Vec<Row> {
        rows.iter().map(|row| self.filled(row.id, row.code.clone())).collect()
    }

    fn filled(&mut self, id: Uuid, code: String) -> Row {
        let draw = &mut self.draw;
        let account = self.accounts[draw.index(self.accounts.len())];
        Row {
            id,
            code,
            name: format!("{} {}", draw.word(8), draw.word(10)),
            city: draw.word(12),
            note: format!("{} {} {}", draw.word(20), draw.word(20), draw.word(15)),
            count: u32::try_from(draw.below(1000)).expect("it is below 1000"),
            points: draw.below(1_000_000),
            cents: draw.below(10_000_000),
            paid: draw.below(2) == 1,
            due_day: draw.below(28) + 1,
            account,
        }
    }
}

impl Row {
    /// Every column but the alternate key, as JSON members.
    fn members(&self, names: &Names, out: &mut String) {
        let Row { name, city, note, count, points, cents, paid, due_day, account, .. } = self;
        let (whole, part) = (cents / 100, cents % 100);
        let navigation = &names.navigation;
        write!(
            out,
            r#""bench_name":"{name}","bench_city":"{city}","bench_note":"{note}","bench_count":{count},"bench_points":{points},"bench_price":{whole}.{part:02},"bench_paid":{paid},"bench_due":"2025-03-{due_day:02}T08:30:00Z","{navigation}@odata.bind":"/accounts({account})""#
        )
        .expect("a String takes everything");
    }
}

/// A body of `POST set`.
pub(crate) fn create_body(names: &Names, row: &Row) -> Bytes {
    let mut out = String::with_capacity(500);
    write!(out, r#"{{"{}id":"{}","bench_code":"{}","#, names.table, row.id, row.code)
        .expect("a String takes everything");
    row.members(names, &mut out);
    out.push('}');
    Bytes::from(out)
}

/// A body of CreateMultiple.
pub(crate) fn create_multiple_body(names: &Names, rows: &[Row]) -> Bytes {
    body(names, rows, |row, out| {
        write!(out, r#","{}id":"{}","bench_code":"{}""#, names.table, row.id, row.code)
    })
}

/// A body of UpdateMultiple: by id, every column but the alternate key.
pub(crate) fn update_multiple_body(names: &Names, rows: &[Row]) -> Bytes {
    body(names, rows, |row, out| write!(out, r#","{}id":"{}""#, names.table, row.id))
}

/// A body of UpsertMultiple: by alternate key.
pub(crate) fn upsert_multiple_body(names: &Names, rows: &[Row]) -> Bytes {
    body(names, rows, |row, out| {
        write!(out, r#","@odata.id":"{}(bench_code='{}')""#, names.set, row.code)
    })
}

fn body(
    names: &Names,
    rows: &[Row],
    identity: impl Fn(&Row, &mut String) -> std::fmt::Result,
) -> Bytes {
    let mut out = String::with_capacity(rows.len() * 480 + 20);
    out.push_str(r#"{"Targets":["#);
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write!(out, r#"{{"@odata.type":"Microsoft.Dynamics.CRM.{}""#, names.table)
            .expect("a String takes everything");
        identity(row, &mut out).expect("a String takes everything");
        out.push(',');
        row.members(names, &mut out);
        out.push('}');
    }
    out.push_str("]}");
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_with_ten_columns_and_an_identity_in_each_target() {
        let names = Names::new(3);
        let rows = Source::new(1, vec![Uuid::nil()]).fresh(5);
        let check = |body: Bytes, members: usize| {
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let targets = body["Targets"].as_array().unwrap();
            assert_eq!(targets.len(), 5);
            assert!(targets.iter().all(|target| target.as_object().unwrap().len() == members));
        };
        // Type, id and ten columns; type, id or address, and all columns but the key.
        check(create_multiple_body(&names, &rows), 12);
        check(update_multiple_body(&names, &rows), 11);
        check(upsert_multiple_body(&names, &rows), 11);
        let single: serde_json::Value =
            serde_json::from_slice(&create_body(&names, &rows[0])).unwrap();
        assert_eq!(single.as_object().unwrap().len(), 11);
    }

    #[test]
    fn changed_rows_keep_their_identity_and_nothing_else() {
        let mut source = Source::new(1, vec![Uuid::nil()]);
        let rows = source.fresh(1);
        let changed = source.changed(&rows);
        assert_eq!((changed[0].id, &changed[0].code), (rows[0].id, &rows[0].code));
        assert_ne!(changed[0].name, rows[0].name);
    }
}
