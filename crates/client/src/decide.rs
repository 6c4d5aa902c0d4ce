//! Which operation a row turns into: pure.
//!
//! In: what the user asked, a row, and the records that are there for it. Out: one decision for each
//! record that is meant, with the columns that are sent.
//! Not here: finding the records (`resolve`).
//! Source: `client.md` 3.1 and 3.2. Invariant: a match that is not clear writes nothing.

use crate::compare::are_equal;
use crate::encode::{Decision, Draft};
use crate::journal::Outcome;
use crate::parties::Role;
use crate::problem::{Class, Problem};
use crate::rows::Why;
use model::{Cell, ColumnIndex, KeyIndex, Table, Uuid};
use std::collections::HashSet;

/// How it is found out which operation a row turns into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The records that are there are looked at.
    #[default]
    Look,
    /// Every row is a new record.
    CreateOnly,
    /// The service finds out: by primary key, by this alternate key, or the row is new.
    Upsert(Option<KeyIndex>),
    /// Every row is a pair of a many-to-many table.
    Pair,
}

/// Records that one row may change.
const MATCHES_MAX: usize = 10_000;

/// What the user asked.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// How it is found out.
    pub mode: Mode,
    /// Columns that rows are matched by; the first list that finds something counts.
    pub match_on: Vec<Vec<ColumnIndex>>,
    /// Every record that a list finds is meant.
    pub allow_multiple: bool,
    /// Missing records are not made.
    pub no_create: bool,
    /// Records that are there are not changed.
    pub no_update: bool,
    /// All columns are sent, changed or not.
    pub update_all: bool,
    /// Columns that only new records get.
    pub no_update_columns: HashSet<ColumnIndex>,
    /// Lists of parties that only new records get.
    pub no_update_parties: Vec<Role>,
}

/// A record that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its primary key.
    pub id: Uuid,
    /// Its partition, where it has one.
    pub partition: Option<Box<str>>,
    /// The columns that were read.
    pub cells: Vec<Cell>,
}

impl Policy {
    /// What is decided without looking; none where records must be looked at.
    pub fn without_looking(&self, draft: &Draft, partition: Option<&str>) -> Option<Decision> {
        match (self.mode, draft.id) {
            (Mode::CreateOnly, _) => Some(Decision::Create),
            (Mode::Pair, _) => Some(Decision::Pair),
            (Mode::Upsert(key), _) => Some(Decision::Upsert(key)),
            (Mode::Look, Some(id))
                if self.update_all && self.match_on.is_empty() && !self.no_update =>
            {
                Some(Decision::Update { id, partition: partition.map(Box::from) })
            }
            (Mode::Look, None) if self.match_on.is_empty() => Some(match self.no_create {
                true => Decision::Skipped(Why::Missing, None),
                false => Decision::Create,
            }),
            (Mode::Look, _) => None,
        }
    }

    /// Whether the columns of the records are to be read.
    pub fn compares(&self) -> bool {
        !self.update_all && !self.no_update
    }

    /// The columns of a row that an update may change.
    pub fn update_cells(&self, cells: &[Cell]) -> Vec<Cell> {
        let is_kept = |cell: &&Cell| !self.no_update_columns.contains(&cell.column);
        cells.iter().filter(is_kept).cloned().collect()
    }

    /// Decides for the records that were found. Each decision goes with the columns that are sent.
    pub fn decide(
        &self,
        table: &Table,
        draft: &Draft,
        found: &[Stored],
    ) -> Vec<(Decision, Vec<Cell>)> {
        let alone = |decision| vec![(decision, draft.cells.clone())];
        if found.is_empty() {
            return alone(match self.no_create {
                true => Decision::Skipped(Why::Missing, draft.id),
                false => Decision::Create,
            });
        }
        if found.len() > 1 && !self.allow_multiple || found.len() > MATCHES_MAX {
            let ids: Vec<String> = found.iter().take(3).map(|one| one.id.to_string()).collect();
            let text = format!(
                "{} records match the row: {}; `--allow-multiple-matches` changes them all",
                found.len(),
                ids.join(", ")
            );
            return alone(Decision::Failed(Problem::new(Class::AmbiguousMatch, text)));
        }
        found.iter().map(|one| self.change(table, draft, one)).collect()
    }

    fn change(&self, table: &Table, draft: &Draft, stored: &Stored) -> (Decision, Vec<Cell>) {
        if self.no_update {
            return (Decision::Skipped(Why::Exists, Some(stored.id)), Vec::new());
        }
        let mut cells = self.update_cells(&draft.cells);
        if !self.update_all {
            cells.retain(|cell| {
                let column = table.column(cell.column);
                let there = stored.cells.iter().find(|there| there.column == cell.column);
                !(column.valid_for_read
                    && are_equal(column, &cell.value, there.map(|there| &there.value)))
            });
        }
        if cells.is_empty() {
            return (Decision::Settled(Outcome::Unchanged, Some(stored.id)), cells);
        }
        (Decision::Update { id: stored.id, partition: stored.partition.clone() }, cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use model::Value;

    const ID: Uuid = Uuid::from_u128(7);

    /// A row `name` = `a`, `whole` = 1, and how it is decided: operation and the columns sent.
    fn check(policy: &Policy, id: Option<Uuid>, found: &[(u128, &str, i32)], want: &str) {
        let (table, _) = testing::table();
        let cell = |name: &str, value| Cell { column: table.index_of(name).expect(name), value };
        let cells = |name: &str, whole| {
            vec![cell("new_name", Value::text(name)), cell("new_whole", Value::Integer(whole))]
        };
        let draft = Draft { id, cells: cells("a", 1), ..Draft::default() };
        let found: Vec<Stored> = found
            .iter()
            .map(|(id, name, whole)| Stored {
                id: Uuid::from_u128(*id),
                partition: None,
                cells: cells(name, *whole),
            })
            .collect();
        let decided = match policy.without_looking(&draft, None) {
            Some(decision) => vec![(decision, policy.update_cells(&draft.cells))],
            None => policy.decide(&table, &draft, &found),
        };
        let shown: Vec<String> = decided
            .iter()
            .map(|(decision, cells)| {
                let names: Vec<&str> =
                    cells.iter().map(|cell| &*table.column(cell.column).logical_name).collect();
                match decision {
                    Decision::Create => format!("create {}", names.join(",")),
                    Decision::Upsert(_) => "upsert".to_owned(),
                    Decision::Pair => "pair".to_owned(),
                    Decision::Update { id, .. } => {
                        format!("update {} {}", id.as_u128(), names.join(","))
                    }
                    Decision::Settled(outcome, id) => {
                        let id = id.map(|id| format!(" {}", id.as_u128()));
                        format!("{}{}", outcome.as_str(), id.unwrap_or_default())
                    }
                    Decision::Skipped(why, id) => {
                        let id = id.map(|id| format!(" {}", id.as_u128()));
                        format!("{}{}", why.as_str(), id.unwrap_or_default())
                    }
                    Decision::Failed(problem) => problem.class.as_str().to_owned(),
                }
            })
            .collect();
        assert_eq!(shown.join("; "), want, "{policy:?}");
    }

    fn matching() -> Policy {
        let (table, _) = testing::table();
        let name = table.index_of("new_name").expect("a column");
        Policy { match_on: vec![vec![name]], ..Policy::default() }
    }

    #[test]
    fn the_decision_table() {
        let policy = Policy { mode: Mode::CreateOnly, ..Policy::default() };
        check(&policy, Some(ID), &[], "create new_name,new_whole");
        let policy = Policy { mode: Mode::Upsert(None), ..Policy::default() };
        check(&policy, Some(ID), &[], "upsert");
        let policy = Policy { update_all: true, ..Policy::default() };
        check(&policy, Some(ID), &[], "update 7 new_name,new_whole");
        let policy = Policy::default();
        check(&policy, None, &[], "create new_name,new_whole");
        check(&policy, Some(ID), &[], "create new_name,new_whole");
        check(&policy, Some(ID), &[(7, "a", 2)], "update 7 new_whole");
        check(&policy, Some(ID), &[(7, "a", 1)], "unchanged 7");
        check(&matching(), None, &[], "create new_name,new_whole");
        check(&matching(), None, &[(9, "A", 1)], "update 9 new_name");
        let all = Policy { update_all: true, ..matching() };
        check(&all, None, &[(9, "a", 1)], "update 9 new_name,new_whole");
    }

    #[test]
    fn an_ambiguous_match_writes_nothing_unless_all_are_meant() {
        let two = [(1, "a", 1), (2, "a", 2)];
        check(&matching(), None, &two, "ambiguous-match");
        let all = Policy { allow_multiple: true, ..matching() };
        check(&all, None, &two, "unchanged 1; update 2 new_whole");
    }

    #[test]
    fn what_must_not_be_made_or_changed_is_skipped() {
        let no_create = Policy { no_create: true, ..Policy::default() };
        check(&no_create, None, &[], "missing");
        check(&no_create, Some(ID), &[], "missing 7");
        check(&no_create, Some(ID), &[(7, "a", 2)], "update 7 new_whole");
        let no_update = Policy { no_update: true, ..Policy::default() };
        check(&no_update, Some(ID), &[], "create new_name,new_whole");
        check(&no_update, Some(ID), &[(7, "b", 2)], "exists 7");
        let neither = Policy { no_create: true, no_update: true, ..Policy::default() };
        check(&neither, Some(ID), &[], "missing 7");
        check(&neither, Some(ID), &[(7, "b", 2)], "exists 7");
        check(&neither, None, &[], "missing");
    }

    #[test]
    fn columns_that_only_new_records_get_are_left_out_of_updates() {
        let (table, _) = testing::table();
        let only = |name: &str| HashSet::from([table.index_of(name).expect(name)]);
        let policy = Policy { no_update_columns: only("new_whole"), ..Policy::default() };
        check(&policy, Some(ID), &[], "create new_name,new_whole");
        check(&policy, Some(ID), &[(7, "a", 2)], "unchanged 7");
        check(&policy, Some(ID), &[(7, "b", 2)], "update 7 new_name");
        let policy = Policy { update_all: true, ..policy };
        check(&policy, Some(ID), &[], "update 7 new_name");
    }
}
