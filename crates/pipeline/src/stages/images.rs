//! Rows as they were before the write, and as they are after it.
//!
//! One query for all records and all columns that any step of the message wants (plugins.md 1.8.3); more
//! only where there are more records than one query names.
//! Not here: which steps want images (`plan`).

use super::scene::Scene;
use crate::run::{Context, Error, Pipeline};
use crate::step::plan::Run;
use crate::step::{Image, Record, Stage, StepImage};
use model::{Cell, ColumnIndex, MessageName, Table, TableKind, Uuid, Value};
use query::{BoundQuery, ColumnRef};
use std::collections::HashMap;
use std::sync::Arc;

/// Ids that one query names at most.
const IDS_PER_QUERY: usize = 5_000;

/// By the place of its record: the row, if it is there.
pub(super) type Rows = Arc<[Option<Record>]>;

impl Pipeline {
    /// The images that a run gets: before, after.
    pub(super) async fn images(
        &self,
        context: &Context,
        scene: &mut Scene,
        run: &Run<'_>,
    ) -> Result<(Vec<Image>, Vec<Image>), Error> {
        use MessageName as M;
        let name = run.step.message;
        let has_before =
            matches!(name, M::Update | M::UpdateMultiple | M::Delete | M::DeleteMultiple);
        let has_after = run.stage == Stage::PostOperation
            && matches!(name, M::Create | M::CreateMultiple | M::Update | M::UpdateMultiple);
        let wants_before = has_before && run.step.images.iter().any(|image| image.before);
        let wants_after = has_after && run.step.images.iter().any(|image| image.after);
        let mut images = (Vec::new(), Vec::new());
        if wants_before {
            let is_inside = context.course.transaction().is_some();
            let known =
                scene.before.clone().filter(|(inside, _)| *inside == is_inside || !is_inside);
            let rows = match known {
                Some((_, rows)) => rows,
                None => {
                    let rows = self.rows_of(context, scene, |image| image.before).await?;
                    scene.before = Some((is_inside, rows.clone()));
                    rows
                }
            };
            images.0 = project(scene, run, &rows, |image| image.before);
        }
        if wants_after {
            let rows = match &scene.after {
                Some(rows) => rows.clone(),
                None => {
                    let rows = self.rows_of(context, scene, |image| image.after).await?;
                    scene.after = Some(rows.clone());
                    rows
                }
            };
            images.1 = project(scene, run, &rows, |image| image.after);
        }
        Ok(images)
    }

    /// What must be read before the write for steps behind it.
    pub(super) async fn read_before(
        &self,
        context: &Context,
        scene: &mut Scene,
    ) -> Result<(), Error> {
        let is_known = scene.before.as_ref().is_some_and(|(inside, _)| *inside);
        let wants = |turn: &crate::step::plan::Turn| {
            turn.stage == Stage::PostOperation
                && turn.steps.iter().any(|step| step.images.iter().any(|image| image.before))
        };
        let mut turns = scene.plan.turns.iter().chain(&scene.plan.queued);
        if is_known || !turns.any(wants) {
            return Ok(());
        }
        let rows = self.rows_of(context, scene, |image| image.before).await?;
        scene.before = Some((true, rows));
        Ok(())
    }

    async fn rows_of(
        &self,
        context: &Context,
        scene: &Scene,
        wants: impl Fn(&StepImage) -> bool,
    ) -> Result<Rows, Error> {
        if scene.table.kind == TableKind::Elastic {
            return self.elastic_rows_of(context, scene, wants).await;
        }
        let table = &scene.table;
        let columns = columns_of(scene, wants);
        let ids: Vec<Uuid> = scene.records.iter().filter_map(|live| live.record.id).collect();
        let mut found = HashMap::with_capacity(ids.len());
        for some in ids.chunks(IDS_PER_QUERY) {
            let query = query_of(context, table, &columns, some);
            let page = self.read_in(context, &query).await?;
            for row in page.rows(query.columns.len()) {
                let Some(id) = row.first().and_then(Value::as_id) else { continue };
                found.insert(id, record(table, &columns, id, row));
            }
        }
        let row = |live: &super::scene::Live| live.record.id.and_then(|id| found.get(&id).cloned());
        Ok(scene.records.iter().map(row).collect())
    }
}

/// The columns of all images of one kind, without the primary key.
pub(super) fn columns_of(scene: &Scene, wants: impl Fn(&StepImage) -> bool) -> Vec<ColumnIndex> {
    let table = &scene.table;
    let names = scene.plan.image_columns(wants).unwrap_or_default();
    let is_wanted =
        |column: &model::Column| names.is_empty() || names.contains(&column.logical_name);
    table
        .indexed_columns()
        .filter(|(index, column)| *index != table.primary_key && is_wanted(column))
        .map(|(index, _)| index)
        .collect()
}

/// A stored row; `row` begins with what is none of the columns.
pub(super) fn record(table: &Table, columns: &[ColumnIndex], id: Uuid, row: &[Value]) -> Record {
    let cells = columns.iter().zip(&row[1..]).filter(|(_, value)| !value.is_null());
    let cells = cells.map(|(column, value)| Cell { column: *column, value: value.clone() });
    let key = Cell { column: table.primary_key, value: Value::Guid(id) };
    Record { id: Some(id), cells: cells.chain([key]).collect(), ..Record::default() }
}

/// The images of one kind that a step has asked for, each with its columns alone.
fn project(
    scene: &Scene,
    run: &Run<'_>,
    rows: &[Option<Record>],
    wants: impl Fn(&StepImage) -> bool,
) -> Vec<Image> {
    let table = &scene.table;
    let records = scene.records_of(run);
    let image = |image: &StepImage| {
        let keeps = |cell: &&Cell| {
            let column = table.column(cell.column);
            image.columns.is_empty()
                || cell.column == table.primary_key
                || image.columns.contains(&column.logical_name)
        };
        let one = |record: &usize| {
            let row = rows.get(*record)?.as_ref()?;
            if image.columns.is_empty() {
                return Some(row.clone());
            }
            let cells = row.cells.iter().filter(keeps).cloned().collect();
            Some(Record { cells, ..row.clone() })
        };
        Image { alias: image.alias.clone(), rows: records.iter().map(one).collect() }
    };
    run.step.images.iter().filter(|image| wants(image)).map(image).collect()
}

fn query_of(
    context: &Context,
    table: &Arc<Table>,
    columns: &[ColumnIndex],
    ids: &[Uuid],
) -> BoundQuery {
    let key = ColumnRef::root(table.primary_key);
    let columns = columns.iter().map(|column| ColumnRef::root(*column));
    BoundQuery {
        columns: std::iter::once(key).chain(columns).collect(),
        ..BoundQuery::of_ids(&context.catalog, table, ids.iter().copied())
    }
}
