//! An activity with another list of who takes part: `PATCH emails(…)` with `email_activity_parties`.
//!
//! The list is the whole one: parties that were there go, the new ones come, with the change itself as one transaction.
//! Source: webapi.md 12.6; that the list is replaced as a whole is unverified. Not here: parties of new activities
//! (`deep`), reading the body (`wire::targets`).
//! Invariant: no other collection comes along with a change.

use super::write::Prepared;
use super::{members, read};
use crate::api::{Attempt, Stop};
use crate::fault::{self, Problem};
use crate::route::Address;
use model::{Cell, ColumnIndex, LookupValue, MessageName, Table, Target, TargetKey, Value};
use pipeline::{Condition, Write};
use query::odata::{self, Options};
use std::sync::Arc;
use wire::targets::{Nested, NewRecord};

const PARTY: &str = "activityparty";
const ROLE: &str = "participationtypemask";
/// Parties that stay unless others of their role are given: whom the activity is about, and its owner.
const KEPT: [i32; 2] = [8, 9];
/// Parties of one activity that can be replaced.
const PARTIES_MAX: u32 = 10_000;

/// The parties that an activity is to have.
pub(super) struct Parties {
    table: Arc<Table>,
    /// Its column that points to the activity.
    column: ColumnIndex,
    targets: Vec<Target>,
}

/// The body of a change that gives parties and no other collection. None for all others, what cannot be read among
/// them: it is told as that of any change.
pub(super) fn decode(attempt: &Attempt<'_>, table: &Arc<Table>) -> Option<(Target, Parties)> {
    if !table.is_activity {
        return None;
    }
    let catalog = &attempt.context.catalog;
    let record = wire::targets::decode_new(&attempt.request.body, table, catalog).ok()?;
    let NewRecord { target, mut nested, .. } = record;
    match (nested.pop(), nested.is_empty()) {
        (Some(Nested::Children { table, column, records }), true)
            if &*table.logical_name == PARTY
                && records.iter().all(|record| record.nested.is_empty()) =>
        {
            let targets = records.into_iter().map(|record| record.target).collect();
            Some((target, Parties { table, column, targets }))
        }
        _ => None,
    }
}

impl Parties {
    /// Adds what makes them the only ones.
    pub(super) async fn prepare(
        self,
        attempt: &Attempt<'_>,
        address: &Address,
        prepared: &mut Prepared,
    ) -> Result<(), Stop> {
        let Self { table, column, mut targets } = self;
        let own = members::id_of(attempt, address).await?;
        let role = table.index_of(ROLE).ok_or_else(Problem::unexpected)?;
        let given = |kept: i32| {
            let is_role = |cell: &Cell| cell.column == role && cell.value == Value::Integer(kept);
            targets.iter().any(|target| target.cells.iter().any(is_role))
        };
        let stays =
            |role: Option<i32>| role.is_some_and(|role| KEPT.contains(&role) && !given(role));
        let there = present(attempt, &table, [column, role], own).await?;
        let gone = there.into_iter().filter(|(_, role)| !stays(*role));
        let gone = gone.map(|(id, _)| Target { key: TargetKey::Id(id), ..Target::default() });
        let gone: Vec<Target> = gone.collect();
        let value = Value::Lookup(LookupValue { table: address.table.id, id: own });
        for target in &mut targets {
            target.cells.push(Cell { column, value: value.clone() });
        }
        let write = |name, targets: Vec<Target>| {
            let table = Arc::clone(&table);
            (!targets.is_empty()).then_some(Write {
                name,
                table,
                targets,
                condition: Condition::Any,
            })
        };
        prepared.before.extend(write(MessageName::Delete, gone));
        prepared.after.extend(write(MessageName::Create, targets));
        Ok(())
    }
}

/// The parties that an activity has now, with their roles.
async fn present(
    attempt: &Attempt<'_>,
    table: &Arc<Table>,
    [column, role]: [ColumnIndex; 2],
    own: model::Uuid,
) -> Result<Vec<(model::Uuid, Option<i32>)>, Stop> {
    let filter = query::Filter::Compare {
        column: query::ColumnRef::root(column),
        compare: query::Compare::Equal,
        value: Value::Guid(own),
    };
    let catalog = &attempt.context.catalog;
    let mut parsed = odata::parse_single(catalog, table, &Options::default(), filter)
        .map_err(fault::of_query)?;
    parsed.query.columns =
        vec![query::ColumnRef::root(table.primary_key), query::ColumnRef::root(role)];
    parsed.query.paging.size = PARTIES_MAX + 1;
    let page = read::run(attempt, MessageName::RetrieveMultiple, parsed.query).await?;
    if page.rows > PARTIES_MAX as usize {
        let text = format!("An activity with more than {PARTIES_MAX} parties cannot get others.");
        return Err(Problem::argument(text).into());
    }
    let of = |row: &[Value]| {
        let role = match row.get(1) {
            Some(Value::Integer(role)) => Some(*role),
            _ => None,
        };
        Some((row.first().and_then(Value::as_id)?, role))
    };
    Ok(page.rows(2).filter_map(of).collect())
}
