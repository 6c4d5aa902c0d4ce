//! Shares that spread: rights that are inherited from the rows above.
//!
//! Rows of the table of shares say what a user or team may do with one row: what was given
//! (`accessrightsmask`) and what is inherited (`inheritedaccessrightsmask`). Both count.
//! Invariant: a row with neither is deleted; what was given is changed by nobody here.

use super::walk::{self, is_meant, lookup, state_column};
use super::{Change, Fate, Hold, Place, Reader, Row, Work, owner_column, rows_by, stored};
use model::{
    Catalog, Cell, ColumnIndex, ColumnKind, LookupValue, OneToMany, Spreading, Table, TableId,
    Uuid, Value,
};
use query::Page;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The table of shares.
pub(super) const TABLE: &str = "principalobjectaccess";

/// What creating rows is called among rights: it is not inherited from a row above.
const CREATE: i32 = 32;

/// A lookup that gets another row, or none.
#[derive(Debug)]
pub(super) struct Move {
    child: Uuid,
    link: Arc<OneToMany>,
    from: Option<LookupValue>,
    to: Option<LookupValue>,
}

/// A share that is given, changed or ended.
#[derive(Debug)]
pub(super) struct Given {
    object: Place,
    principal: Principal,
    gain: i32,
    lose: i32,
}

/// A user or team, as a row of shares names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Principal {
    id: Uuid,
    kind: Box<str>,
}

/// Rights that are lost, then gained.
#[derive(Clone, Copy, Debug, Default)]
struct Rights {
    lose: i32,
    gain: i32,
}

/// A row of shares.
#[derive(Clone, Debug)]
struct Share {
    id: Uuid,
    object: Uuid,
    object_table: Box<str>,
    principal: Principal,
    given: i32,
    inherited: i32,
}

/// The columns of the table of shares.
struct Columns {
    table: Arc<Table>,
    principal: ColumnIndex,
    principal_kind: ColumnIndex,
    object: ColumnIndex,
    object_kind: ColumnIndex,
    given: ColumnIndex,
    inherited: ColumnIndex,
}

impl Columns {
    fn of(catalog: &Catalog) -> Option<Self> {
        let table = Arc::clone(catalog.table(TABLE)?);
        let at = |name: &str| table.index_of(name);
        Some(Self {
            principal: at("principalid")?,
            principal_kind: at("principaltypecode")?,
            object: at("objectid")?,
            object_kind: at("objecttypecode")?,
            given: at("accessrightsmask")?,
            inherited: at("inheritedaccessrightsmask")?,
            table,
        })
    }

    /// The rows of shares whose column holds one of these ids.
    async fn read<R: Reader>(
        &self,
        reader: &mut R,
        catalog: &Arc<Catalog>,
        by: ColumnIndex,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<Share>, R::Error> {
        let columns = vec![
            self.table.primary_key,
            self.object,
            self.object_kind,
            self.principal,
            self.principal_kind,
            self.given,
            self.inherited,
        ];
        let query = rows_by(catalog, &self.table, by, ids, columns);
        let pages = reader.pages(vec![query], Hold::Change).await?;
        let share = |row: &[Value]| {
            Some(Share {
                id: row[0].as_id()?,
                object: row[1].as_id()?,
                object_table: text(&row[2])?,
                principal: Principal { id: row[3].as_id()?, kind: text(&row[4])? },
                given: mask(&row[5]),
                inherited: mask(&row[6]),
            })
        };
        Ok(pages.iter().flat_map(|page| page.rows(7)).filter_map(share).collect())
    }
}

impl Share {
    fn all(&self) -> i32 {
        self.given | self.inherited
    }

    fn object(&self, catalog: &Catalog) -> Option<Place> {
        Some((catalog.table(&self.object_table)?.id, self.object))
    }
}

/// The lookups of a table by which its rows inherit, each with its relationship.
pub(super) fn reparenting<'a>(
    catalog: &'a Catalog,
    table: &'a Table,
) -> impl Iterator<Item = (ColumnIndex, &'a Arc<OneToMany>)> {
    let inherits = owner_column(table).is_some() && table.kind == model::TableKind::Standard;
    catalog
        .referenced_by(&table.logical_name)
        .filter(move |_| inherits)
        .filter(|link| link.cascade.reparent != model::CascadeAction::NoCascade)
        .filter_map(|link| Some((table.index_of(&link.referencing_column)?, link)))
        .filter(|(column, _)| matches!(table.column(*column).kind, ColumnKind::Lookup { .. }))
}

/// The lookups that an operation sets to other rows; read before it.
pub(super) async fn moves<R: Reader>(
    reader: &mut R,
    work: &Work<'_>,
    rows: &[Row<'_>],
) -> Result<Vec<Move>, R::Error> {
    let links: Vec<(ColumnIndex, &Arc<OneToMany>)> =
        reparenting(work.catalog, work.table).collect();
    if links.is_empty() || Columns::of(work.catalog).is_none() {
        return Ok(Vec::new());
    }
    let columns: BTreeSet<ColumnIndex> = links.iter().map(|(column, _)| *column).collect();
    let written = |row: &Row<'_>| -> Vec<(ColumnIndex, Option<LookupValue>)> {
        let mut set: BTreeMap<ColumnIndex, Option<LookupValue>> = BTreeMap::new();
        for cell in row.cells.iter().filter(|cell| columns.contains(&cell.column)) {
            set.insert(cell.column, lookup(&cell.value));
        }
        set.into_iter().collect()
    };
    let set: Vec<(&Row<'_>, Vec<_>)> = rows
        .iter()
        .filter(|row| row.fate != Fate::Deleted)
        .map(|row| (row, written(row)))
        .filter(|(_, set)| !set.is_empty())
        .collect();
    let changed: Vec<Uuid> =
        set.iter().filter(|(row, _)| row.fate == Fate::Changed).map(|(row, _)| row.id).collect();
    let mut before: BTreeMap<(Uuid, ColumnIndex), LookupValue> = BTreeMap::new();
    if !changed.is_empty() {
        let key = work.table.primary_key;
        let wanted: Vec<ColumnIndex> =
            std::iter::once(key).chain(columns.iter().copied()).collect();
        let width = wanted.len();
        let query = rows_by(work.catalog, work.table, key, changed, wanted);
        for row in
            reader.pages(vec![query], Hold::Change).await?.iter().flat_map(|page| page.rows(width))
        {
            let Some(id) = row[0].as_id() else { continue };
            let values = columns.iter().zip(&row[1..]);
            before
                .extend(values.filter_map(|(column, value)| Some(((id, *column), lookup(value)?))));
        }
    }
    let mut moves = Vec::new();
    for (row, set) in set {
        for (column, to) in set {
            let from = before.get(&(row.id, column)).copied();
            if from == to {
                continue;
            }
            let ends = [from, to].into_iter().flatten().map(|end| end.table);
            let tables: BTreeSet<TableId> = ends.collect();
            for table in tables {
                let leads = |(at, link): &&(ColumnIndex, &Arc<OneToMany>)| {
                    let target = work.catalog.table(&link.referenced_table);
                    *at == column && target.is_some_and(|target| target.id == table)
                };
                let Some((_, link)) = links.iter().find(leads) else { continue };
                let own = |end: Option<LookupValue>| end.filter(|end| end.table == table);
                moves.push(Move {
                    child: row.id,
                    link: Arc::clone(link),
                    from: own(from),
                    to: own(to),
                });
            }
        }
    }
    Ok(moves)
}

/// The shares that an operation on their table changes; read before it.
pub(super) async fn given<R: Reader>(
    reader: &mut R,
    work: &Work<'_>,
    rows: &[Row<'_>],
) -> Result<Vec<Given>, R::Error> {
    if &*work.table.logical_name != TABLE || rows.is_empty() {
        return Ok(Vec::new());
    }
    let Some(columns) = Columns::of(work.catalog) else { return Ok(Vec::new()) };
    let old: Vec<Uuid> =
        rows.iter().filter(|row| row.fate != Fate::Made).map(|row| row.id).collect();
    let mut there: BTreeMap<Uuid, Share> = BTreeMap::new();
    if !old.is_empty() {
        let read = columns.read(reader, work.catalog, columns.table.primary_key, old).await?;
        there.extend(read.into_iter().map(|share| (share.id, share)));
    }
    let mut found = Vec::new();
    for row in rows {
        let cell = |column: ColumnIndex| {
            row.cells.iter().rev().find(|cell| cell.column == column).map(|cell| &cell.value)
        };
        let before = there.get(&row.id);
        let share = match (row.fate, before) {
            (Fate::Made, _) => (|| {
                Some(Share {
                    id: row.id,
                    object: cell(columns.object)?.as_id()?,
                    object_table: text(cell(columns.object_kind)?)?,
                    principal: Principal {
                        id: cell(columns.principal)?.as_id()?,
                        kind: text(cell(columns.principal_kind)?)?,
                    },
                    given: cell(columns.given).map_or(0, mask),
                    inherited: cell(columns.inherited).map_or(0, mask),
                })
            })(),
            (Fate::Changed, Some(before)) => Some(Share {
                given: cell(columns.given).map_or(before.given, mask),
                inherited: cell(columns.inherited).map_or(before.inherited, mask),
                ..before.clone()
            }),
            (Fate::Deleted, Some(before)) => {
                Some(Share { given: 0, inherited: 0, ..before.clone() })
            }
            (Fate::Changed | Fate::Deleted, None) => None,
        };
        let Some(share) = share else { continue };
        let old = before.map_or(0, Share::all);
        if let Some(object) = share.object(work.catalog) {
            let (gain, lose) = (share.all(), old & !share.all());
            found.push(Given { object, principal: share.principal, gain, lose });
        }
    }
    Ok(found)
}

/// What each reached row inherits, and no longer inherits.
type Wanted = BTreeMap<(Place, Principal), Rights>;

/// The changes of shares that follow.
pub(super) async fn spread<R: Reader>(
    reader: &mut R,
    work: &Work<'_>,
    moves: Vec<Move>,
    given: Vec<Given>,
) -> Result<Vec<Change>, R::Error> {
    let Some(columns) = Columns::of(work.catalog) else { return Ok(Vec::new()) };
    let mut wanted = Wanted::new();
    of_given(reader, work, &given, &mut wanted).await?;
    of_moves(reader, work, &columns, &moves, &mut wanted).await?;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let objects = wanted.keys().map(|((_, id), _)| *id);
    let there = columns.read(reader, work.catalog, columns.object, objects).await?;
    Ok(vec![change(work, &columns, &there, wanted)])
}

async fn of_given<R: Reader>(
    reader: &mut R,
    work: &Work<'_>,
    given: &[Given],
    wanted: &mut Wanted,
) -> Result<(), R::Error> {
    for spreading in [Spreading::Unshare, Spreading::Share] {
        let part = |share: &Given| match spreading {
            Spreading::Unshare => Rights { lose: share.lose, gain: 0 },
            _ => Rights { lose: 0, gain: share.gain },
        };
        let moves = |share: &Given| {
            let Rights { lose, gain } = part(share);
            lose | gain != 0
        };
        let starts: BTreeSet<(Place, usize)> = given
            .iter()
            .enumerate()
            .filter(|(_, share)| moves(share))
            .map(|(root, share)| (share.object, root))
            .collect();
        if starts.is_empty() {
            continue;
        }
        for (place, roots) in walk::shared(reader, work.catalog, spreading, starts).await? {
            for root in roots {
                add(wanted, place, &given[root].principal, part(&given[root]));
            }
        }
    }
    Ok(())
}

async fn of_moves<R: Reader>(
    reader: &mut R,
    work: &Work<'_>,
    columns: &Columns,
    moves: &[Move],
    wanted: &mut Wanted,
) -> Result<(), R::Error> {
    let above: BTreeSet<Uuid> =
        moves.iter().flat_map(|one| [one.from, one.to]).flatten().map(|end| end.id).collect();
    if above.is_empty() {
        return Ok(());
    }
    let shares = columns.read(reader, work.catalog, columns.object, above).await?;
    let mut of: BTreeMap<Place, Vec<&Share>> = BTreeMap::new();
    for share in &shares {
        if let Some(place) = share.object(work.catalog) {
            of.entry(place).or_default().push(share);
        }
    }
    let shared = |end: Option<LookupValue>| {
        end.and_then(|end| of.get(&(end.table, end.id))).map_or(&[][..], Vec::as_slice)
    };
    // Most rows come under a row that nobody shares.
    let moves: Vec<&Move> = moves
        .iter()
        .filter(|one| !shared(one.from).is_empty() || !shared(one.to).is_empty())
        .collect();
    if moves.is_empty() {
        return Ok(());
    }
    let meant = meant(reader, work, &moves).await?;
    let mut own: Vec<Vec<(Principal, Rights)>> = Vec::new();
    let mut starts: BTreeSet<(Place, usize)> = BTreeSet::new();
    for (root, one) in moves.iter().enumerate() {
        let mut rights = Vec::new();
        for share in shared(one.from) {
            let lose = share.all() & !CREATE;
            rights.push((share.principal.clone(), Rights { lose, gain: 0 }));
        }
        for share in shared(one.to).iter().filter(|_| meant.contains(&root)) {
            let gain = share.all() & !CREATE;
            rights.push((share.principal.clone(), Rights { lose: 0, gain }));
        }
        own.push(rights);
        starts.insert(((work.table.id, one.child), root));
    }
    let mut reached =
        walk::shared(reader, work.catalog, Spreading::Reparent, starts.clone()).await?;
    for (place, root) in starts {
        reached.entry(place).or_default().insert(root);
    }
    for (place, roots) in reached {
        for root in roots {
            for (principal, rights) in &own[root] {
                add(wanted, place, principal, *rights);
            }
        }
    }
    Ok(())
}

/// The places of the moves whose relationship means the row that is moved, as it is now.
async fn meant<R: Reader>(
    reader: &mut R,
    work: &Work<'_>,
    moves: &[&Move],
) -> Result<BTreeSet<usize>, R::Error> {
    let unconditional = model::CascadeAction::Cascade;
    let asks = |one: &&Move| one.to.is_some() && one.link.cascade.reparent != unconditional;
    let (mut facts, mut owners) = (BTreeMap::new(), BTreeMap::new());
    if moves.iter().any(asks)
        && let Some(owner) = owner_column(work.table)
    {
        let key = work.table.primary_key;
        let columns: Vec<ColumnIndex> =
            [key, owner].into_iter().chain(state_column(work.table)).collect();
        let width = columns.len();
        let asking = moves.iter().filter(|one| asks(one));
        let ids: Vec<Uuid> = asking.clone().map(|one| one.child).collect();
        let query = rows_by(work.catalog, work.table, key, ids, columns);
        let pages: Vec<Page> = reader.pages(vec![query], Hold::Change).await?;
        for row in pages.iter().flat_map(|page| page.rows(width)) {
            if let Some(id) = row[0].as_id() {
                let state = row.get(2).cloned().unwrap_or(Value::Null);
                facts.insert(id, (lookup(&row[1]), state));
            }
        }
        let above = asking.filter_map(|one| one.to.map(|to| (to.table, to.id)));
        let above: Vec<Place> = above.collect();
        owners = walk::owners(reader, work.catalog, above, Hold::Change).await?;
    }
    let is_meant_now = |one: &Move| {
        let action = one.link.cascade.reparent;
        let Some(to) = one.to else { return false };
        let above = owners.get(&(to.table, to.id)).copied().flatten();
        match facts.get(&one.child) {
            Some((own, state)) => is_meant(action, (*own, above), state),
            None => action == unconditional,
        }
    };
    Ok(moves.iter().enumerate().filter(|(_, one)| is_meant_now(one)).map(|(at, _)| at).collect())
}

fn add(wanted: &mut Wanted, place: Place, principal: &Principal, rights: Rights) {
    let held = wanted.entry((place, principal.clone())).or_default();
    held.lose |= rights.lose;
    held.gain |= rights.gain;
}

/// The rows of shares to make, to change and to delete.
fn change(work: &Work<'_>, columns: &Columns, there: &[Share], wanted: Wanted) -> Change {
    let known: BTreeMap<(Place, &Principal), &Share> = there
        .iter()
        .filter_map(|share| Some(((share.object(work.catalog)?, &share.principal), share)))
        .collect();
    let mut change = Change {
        table: Arc::clone(&columns.table),
        inserts: Vec::new(),
        updates: Vec::new(),
        deletes: Vec::new(),
    };
    let modified = work.modified(&columns.table);
    for ((place, principal), Rights { lose, gain }) in wanted {
        let inherited = |before: i32| (before & !lose) | gain;
        let cell = |mask: i32| Cell { column: columns.inherited, value: Value::Integer(mask) };
        match known.get(&(place, &principal)) {
            Some(share) => {
                let mask = inherited(share.inherited);
                if share.given | mask == 0 {
                    change.deletes.push(share.id);
                } else if mask != share.inherited {
                    let cells = std::iter::once(cell(mask)).chain(modified.iter().cloned());
                    change.updates.push((share.id, cells.collect()));
                }
            }
            None if gain != 0 => {
                let Some(table) = work.catalog.table_by_id(place.0) else { continue };
                let name = format!("share {} {} {}", table.logical_name, place.1, principal.id);
                let id = model::derived_id(&name);
                let mut cells = vec![
                    Cell { column: columns.object, value: Value::Guid(place.1) },
                    Cell {
                        column: columns.object_kind,
                        value: Value::Text(table.logical_name.clone()),
                    },
                    Cell { column: columns.principal, value: Value::Guid(principal.id) },
                    Cell { column: columns.principal_kind, value: Value::Text(principal.kind) },
                    Cell { column: columns.given, value: Value::Integer(0) },
                    cell(gain),
                ];
                let made = stored(&columns.table, "createdon");
                cells.extend(made.map(|column| Cell { column, value: Value::DateTime(work.now) }));
                cells.extend(modified.iter().cloned());
                change.inserts.push((id, cells));
            }
            None => {}
        }
    }
    change
}

fn mask(value: &Value) -> i32 {
    match value {
        Value::Integer(mask) => *mask,
        _ => 0,
    }
}

fn text(value: &Value) -> Option<Box<str>> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}
