//! Paths through a lookup that points to rows of several tables under one name: `ownerid/name`.
//!
//! Each table is joined; of the columns with that name at most one is of the record that is meant. A
//! condition holds if it holds for that one, or for null where no such record is meant.

use super::Parser;
use crate::{ColumnRef, Error, Filter};
use model::ColumnKind;
use std::sync::Arc;

/// A column in one of the tables, with the primary key of that table.
#[derive(Clone, Copy)]
pub(super) struct Choice {
    column: ColumnRef,
    key: ColumnRef,
}

impl Parser<'_> {
    /// The columns that a path may mean, if its last step but one is such a lookup.
    pub(super) fn several(&mut self, path: &str) -> Result<Option<Vec<Choice>>, Error> {
        let path = self.relative(path)?;
        let Some((before, name)) = path.rsplit_once('/') else { return Ok(None) };
        let (way, lookup) = match before.rsplit_once('/') {
            Some((way, lookup)) => (Some(way), lookup),
            None => (None, before),
        };
        let mut source = self.range.source;
        for step in way.into_iter().flat_map(|way| way.split('/')) {
            source = match self.scope.navigate(source, step) {
                Ok(source) => source,
                // The plain path tells what is wrong.
                Err(_) => return Ok(None),
            };
        }
        let table = Arc::clone(self.scope.source(source));
        let Some((column, _)) = table.navigation(lookup) else { return Ok(None) };
        let ColumnKind::Lookup { targets, .. } = &table.column(column).kind else {
            return Ok(None);
        };
        let targets: Vec<_> =
            targets.iter().filter(|target| *target.navigation == *lookup).collect();
        if targets.len() < 2 {
            return Ok(None);
        }
        let mut choices = Vec::new();
        for target in targets {
            let Some(other) = self.scope.catalog.table(&target.table).map(Arc::clone) else {
                continue;
            };
            if let Some(found) = other.index_of_value(name) {
                let source = self.scope.through(ColumnRef { source, column }, &target.table)?;
                choices.push(Choice {
                    column: ColumnRef { source, column: found },
                    key: ColumnRef { source, column: other.primary_key },
                });
            }
        }
        match choices.is_empty() {
            true => Err(Error::UnknownColumn {
                table: table.logical_name.clone(),
                name: format!("{lookup}/{name}").into(),
            }),
            false => Ok(Some(choices)),
        }
    }
}

/// The condition on whichever of the columns is meant.
pub(super) fn any_of(
    choices: &[Choice],
    condition: impl Fn(ColumnRef) -> Result<Filter, Error>,
) -> Result<Filter, Error> {
    let is = |choice: &Choice, negated| Filter::IsNull { column: choice.key, negated };
    let mut parts = Vec::with_capacity(choices.len() + 1);
    for choice in choices {
        parts.push(Filter::And(vec![is(choice, true), condition(choice.column)?]));
    }
    if let Some(first) = choices.first() {
        // No row of these tables: every one of the columns is null.
        let mut none: Vec<Filter> = choices.iter().map(|choice| is(choice, false)).collect();
        none.push(condition(first.column)?);
        parts.push(Filter::And(none));
    }
    Ok(Filter::Or(parts))
}
