//! What a step may change, and the change: pure.
//!
//! All of an answer is taken, or none of it: it is looked at as a whole first.
//! Not here: limits of columns (lengths, ranges, choices), which the write checks as it does a caller's.
//! Source: plugins.md 1.4, 1.7, 6.5.9.

use super::scene::{ID, IDS, Live, Scene};
use crate::fault;
use crate::step::course::TAG;
use crate::step::plan::Run;
use crate::step::{
    CellChange, Parameter, ParameterChange, ParameterValue, Stage, StepAnswer, StepFault,
};
use model::{Catalog, Column, ColumnKind, Fault, Table, Uuid, Value};

/// Why an answer is not taken.
pub(super) enum NotTaken {
    /// It makes no sense: as a crash.
    Malformed(String),
    /// It changes what a step may not change.
    Refused(Fault),
}

impl From<NotTaken> for Result<StepFault, Fault> {
    fn from(why: NotTaken) -> Self {
        match why {
            NotTaken::Malformed(text) => Ok(StepFault::Crashed(text)),
            NotTaken::Refused(fault) => Err(fault),
        }
    }
}

impl Scene {
    /// Takes what a run has answered. Lines are what is to be traced about it.
    pub(super) fn take(
        &mut self,
        catalog: &Catalog,
        run: &Run<'_>,
        answer: StepAnswer,
    ) -> Result<Vec<Box<str>>, NotTaken> {
        let records = self.records_of(run);
        let makes = self.makes(run);
        // Behind the write a change of a target has no effect.
        let changes = match run.stage.changes_targets() {
            true => answer.targets,
            false => Vec::new(),
        };
        for change in &changes {
            let Some(record) = records.get(change.target) else {
                let text = format!("it changed target {} of {}", change.target, records.len());
                return Err(NotTaken::Malformed(text));
            };
            check(catalog, &self.table, &self.records[*record], change, makes)?;
        }
        let mut traced = Vec::new();
        let ids = match run.stage {
            Stage::PostOperation => new_ids(&answer.output, run, records.len(), makes)?,
            Stage::PreValidation | Stage::PreOperation => None,
        };
        if let Some(ids) = ids {
            self.answer_ids(run, &ids);
        }
        let table = self.table.clone();
        for change in changes {
            let live = &mut self.records[records[change.target]];
            apply(&table, live, change);
        }
        if run.stage.changes_targets() {
            put(&mut self.input, answer.input);
        }
        let (mut shared, kept): (Vec<_>, Vec<_>) =
            answer.shared.into_iter().partition(|change| &*change.name != TAG);
        if !kept.is_empty() {
            traced.push("The shared variable `tag` cannot be changed.".into());
        }
        let of_form = self.shared(run);
        put(of_form.variables(run.stage), std::mem::take(&mut shared));
        if run.stage == Stage::PostOperation {
            let others = answer.output.into_iter();
            let others = others.filter(|change| !matches!(&*change.name, ID | IDS));
            put(of_form.output(), others.collect());
        }
        Ok(traced)
    }
}

fn put(parameters: &mut Vec<Parameter>, changes: Vec<ParameterChange>) {
    for ParameterChange { name, value } in changes {
        let place = parameters.iter().position(|known| known.name == name);
        match (place, value) {
            (Some(place), Some(value)) => parameters[place].value = value,
            (Some(place), None) => {
                parameters.remove(place);
            }
            (None, Some(value)) => parameters.push(Parameter { name, value }),
            (None, None) => {}
        }
    }
}

/// The ids that a step behind the write puts into the answer.
fn new_ids(
    output: &[ParameterChange],
    run: &Run<'_>,
    count: usize,
    makes: bool,
) -> Result<Option<Vec<Uuid>>, NotTaken> {
    if !makes {
        return Ok(None);
    }
    let wanted = if run.record.is_some() { ID } else { IDS };
    let Some(change) = output.iter().rev().find(|change| &*change.name == wanted) else {
        return Ok(None);
    };
    let wrong = || NotTaken::Refused(fault::step_changes_ids(wanted, count));
    match (&change.value, run.record) {
        (Some(ParameterValue::One(Value::Guid(id))), Some(_)) => Ok(Some(vec![*id])),
        (Some(ParameterValue::Ids(ids)), None) if ids.len() == count => Ok(Some(ids.clone())),
        _ => Err(wrong()),
    }
}

/// Refuses what a target cannot become.
fn check(
    catalog: &Catalog,
    table: &Table,
    live: &Live,
    change: &CellChange,
    makes: bool,
) -> Result<(), NotTaken> {
    let Some(column) = table.columns.get(usize::from(change.column.0)) else {
        let text = format!("it changed column {} of `{}`", change.column.0, table.logical_name);
        return Err(NotTaken::Malformed(text));
    };
    if change.column == table.primary_key {
        let is_same = change.value.as_ref().and_then(Value::as_id) == live.record.id;
        let is_new = makes && matches!(change.value, Some(Value::Guid(_)));
        return match is_same || is_new {
            true => Ok(()),
            false => Err(NotTaken::Refused(fault::step_changes_id(table))),
        };
    }
    match &change.value {
        Some(value) if !fits(catalog, column, value) => {
            Err(NotTaken::Refused(fault::step_gives_other_kind(table, column)))
        }
        _ => Ok(()),
    }
}

fn apply(table: &Table, live: &mut Live, change: CellChange) {
    let CellChange { column, value, .. } = change;
    if column == table.primary_key {
        live.record.id = value.as_ref().and_then(Value::as_id).or(live.record.id);
    }
    let value = value.map(tidied);
    if live.has_added(column) && live.record.get(column) == value.as_ref() {
        return;
    }
    live.change(column, value);
}

/// The form in which values are kept.
fn tidied(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::text(text),
        Value::Choices(choices) => {
            let mut choices = choices.into_vec();
            choices.sort_unstable();
            choices.dedup();
            match choices.is_empty() {
                true => Value::Null,
                false => Value::Choices(choices.into()),
            }
        }
        value => value,
    }
}

/// Whether a value is one of the column's kind.
fn fits(catalog: &Catalog, column: &Column, value: &Value) -> bool {
    use ColumnKind as K;
    match (value, &column.kind) {
        (Value::Null, _) => true,
        (Value::Lookup(lookup), K::Lookup { targets, .. }) => {
            let table = catalog.table_by_id(lookup.table);
            table.is_some_and(|table| {
                targets.iter().any(|target| target.table == table.logical_name)
            })
        }
        (Value::Text(_), K::Text { .. } | K::Memo { .. } | K::TableName)
        | (
            Value::Integer(_),
            K::Integer { .. } | K::Choice { .. } | K::State { .. } | K::Status { .. },
        )
        | (Value::BigInt(_), K::BigInt)
        | (Value::Decimal(_), K::Decimal { .. } | K::Money { .. })
        | (Value::Boolean(_), K::Boolean { .. })
        | (Value::Guid(_), K::Guid)
        | (Value::Choices(_), K::MultiChoice { .. }) => true,
        (Value::Double(number), K::Double { .. }) => number.is_finite(),
        (Value::DateTime(_), K::DateTime { behavior, .. }) => {
            !matches!(behavior, model::DateTimeBehavior::DateOnly)
        }
        (Value::Date(_), K::DateTime { behavior, .. }) => {
            matches!(behavior, model::DateTimeBehavior::DateOnly)
        }
        _ => false,
    }
}
