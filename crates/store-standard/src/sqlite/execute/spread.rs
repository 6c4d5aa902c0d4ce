//! What an operation does to rows beyond its own, and rows that would be above themselves.
//!
//! Not here: the rules (`store::spread`). There is one writer, so nothing needs a lock.

use super::rows::{self, Draft, Kind};
use super::{Work, check, delete};
use crate::sqlite::error::Halt;
use crate::sqlite::session::Session;
use model::{Catalog, Cell, Table, Uuid};
use query::{BoundQuery, Page};
use std::future::Future;
use std::sync::Arc;
use store::Rejection;
use store::judge::Resolved;
use store::spread::{self, Before, Change, Fate, Hold, Row};

/// Reads inside the transaction.
pub(super) struct Reading<'s, 'c>(pub(super) &'s Session<'c>);

impl spread::Reader for Reading<'_, '_> {
    type Error = Halt;

    fn pages(
        &mut self,
        queries: Vec<BoundQuery>,
        _hold: Hold,
    ) -> impl Future<Output = Result<Vec<Page>, Halt>> + Send {
        let pages: Result<Vec<Page>, Halt> =
            queries.iter().map(|query| check::read(self.0, query)).collect();
        std::future::ready(pages)
    }
}

/// Refuses rows that would form a circle, and looks at what hangs on the others.
pub(super) fn before(
    work: &Work<'_, '_>,
    table: &Arc<Table>,
    constants: &[Cell],
    drafts: &[Draft<'_>],
) -> Result<Before, Halt> {
    let cells = drafts.iter().flat_map(Draft::cells);
    if !spread::may_spread(work.catalog, table, cells) {
        return Ok(Before::default());
    }
    let mut reader = Reading(work.session);
    let moved = drafts
        .iter()
        .map(|draft| (draft.id, draft.kind == Kind::Insert, draft.cells().collect::<Vec<_>>()));
    if spread::at_once(spread::chain::has_loop(&mut reader, work.catalog, table, moved))? {
        return Err(Halt::Refused);
    }
    let rows: Vec<Row<'_>> = drafts
        .iter()
        .map(|draft| Row {
            id: draft.id,
            fate: match draft.kind {
                Kind::Insert => Fate::Made,
                Kind::Update => Fate::Changed,
            },
            cells: draft.cells().collect(),
        })
        .collect();
    spread::at_once(of(work, table, constants).before(&mut reader, &rows))
}

/// The same for rows to delete.
pub(super) fn before_delete(
    work: &Work<'_, '_>,
    table: &Arc<Table>,
    ids: &[Uuid],
) -> Result<Before, Halt> {
    if !spread::may_spread(work.catalog, table, std::iter::empty()) {
        return Ok(Before::default());
    }
    let row = |id: &Uuid| Row { id: *id, fate: Fate::Deleted, cells: Vec::new() };
    let rows: Vec<Row<'_>> = ids.iter().map(row).collect();
    spread::at_once(of(work, table, &[]).before(&mut Reading(work.session), &rows))
}

/// Writes what follows, once the operation's own rows are written.
pub(super) fn after(
    work: &mut Work<'_, '_>,
    table: &Arc<Table>,
    constants: &[Cell],
    before: Before,
) -> Result<(), Halt> {
    let changes = {
        let mut reader = Reading(work.session);
        spread::at_once(of(work, table, constants).after(&mut reader, before))?
    };
    for Change { table, inserts, updates, deletes } in changes {
        let mut drafts: Vec<Draft<'_>> = Vec::with_capacity(inserts.len() + updates.len());
        for (kind, written) in [(Kind::Insert, &inserts), (Kind::Update, &updates)] {
            drafts.extend(written.iter().map(|(id, cells)| Draft {
                kind,
                id: *id,
                parts: [cells, &[], &[]],
            }));
        }
        rows::write(work, &table, &[], &[], &drafts)?;
        if !deletes.is_empty() {
            delete::remove(work, &table, &deletes.into_iter().collect())?;
        }
    }
    Ok(())
}

/// Of the rows that passed the judge, refuses those that would form a circle.
pub(in crate::sqlite) fn refuse_loops(
    session: &Session<'_>,
    catalog: &Arc<Catalog>,
    table: &Arc<Table>,
    verdicts: &mut [Result<Resolved, Rejection>],
) -> Result<(), Halt> {
    let mut reader = Reading(session);
    spread::at_once(spread::chain::refuse(&mut reader, catalog, table, verdicts))
}

fn of<'w>(
    work: &'w Work<'_, '_>,
    table: &'w Arc<Table>,
    constants: &'w [Cell],
) -> spread::Work<'w> {
    spread::Work { catalog: work.catalog, table, constants, now: work.now, user: work.user }
}
