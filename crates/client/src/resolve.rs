//! Between reading and sending: rows are looked at in windows, their lookups found, their records
//! compared, and what they turn into is decided and encoded.
//!
//! In: drafts in input order. Out: blocks of encoded rows.
//! Not here: what is decided (`decide`), names (`lookup`), the form of questions (`ask`).
//! Invariant: a row that may mean the record of an earlier row waits until that one has ended; no
//! request is made for a single row where one for many will do.

use crate::ask::{Question, key_text};
use crate::decide::{Mode, Policy, Stored};
use crate::encode::{self, Decision, Draft, Encoder};
use crate::files::{self, Comparer, Either, Given, Kept};
use crate::journal::Outcome;
use crate::lookup::{Lookups, Missing};
use crate::matching::{self, Match, values_of};
use crate::parties::{Finder, PartyList};
use crate::problem::{Class, Problem};
use crate::rows::Block;
use crate::service::{self, Described, Service};
use model::{Cell, ColumnIndex, ColumnKind, Value};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use wire::record::ReadRecord;

/// Rows that are looked at together.
pub const WINDOW_ROWS: usize = 2_000;
/// Rows that are gathered while they name few records that are to be looked up, …
const GATHERED_MAX: usize = 5 * WINDOW_ROWS;
/// … and for how long at most.
const GATHERING_MAX: Duration = Duration::from_millis(250);
/// Rows that may wait for earlier ones before reading stops.
const WAITING_MAX: usize = 4 * WINDOW_ROWS;

/// Which keys of rows are on their way.
#[derive(Default)]
pub struct Underway {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    marks: HashMap<u64, u32>,
    rows: HashMap<u64, (u16, Vec<u64>)>,
}

impl Underway {
    /// One of the entries of a row has ended.
    pub fn ended(&self, ordinal: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { marks, rows } = &mut *state;
        let Some((parts, _)) = rows.get_mut(&ordinal) else { return };
        *parts -= 1;
        if *parts > 0 {
            return;
        }
        for mark in rows.remove(&ordinal).map(|(_, marks)| marks).into_iter().flatten() {
            if let Some(count) = marks.get_mut(&mark) {
                *count -= 1;
                if *count == 0 {
                    marks.remove(&mark);
                }
            }
        }
        self.changed.notify_one();
    }

    fn begin(&self, ordinal: u64, parts: u16, marks: Vec<u64>) {
        if marks.is_empty() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for mark in &marks {
            *state.marks.entry(*mark).or_default() += 1;
        }
        state.rows.insert(ordinal, (parts, marks));
    }

    fn has_any(&self, marks: &[u64]) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        marks.iter().any(|mark| state.marks.contains_key(mark))
    }
}

/// A row that waits for earlier ones.
struct Waiting {
    draft: Draft,
    /// What it waits for.
    awaited: Vec<u64>,
    /// What it may have in common with later rows, which wait behind it.
    marks: Vec<u64>,
}

/// A row of a window.
struct Item {
    draft: Draft,
    /// What it may have in common with other rows.
    marks: Vec<u64>,
    decided: Option<Vec<(Decision, Vec<Cell>)>>,
    /// The files of each decision, where they are fewer than the row gives.
    files: HashMap<usize, Vec<(ColumnIndex, Given)>>,
    /// The lists of parties of each decision.
    parties: HashMap<usize, Vec<PartyList>>,
}

/// The record that a decision may change.
fn changed(decision: &Decision) -> Option<model::Uuid> {
    match decision {
        Decision::Update { id, .. } | Decision::Settled(Outcome::Unchanged, Some(id)) => Some(*id),
        _ => None,
    }
}

/// Looks at rows.
pub struct Resolver<'a> {
    service: &'a Service,
    described: Described,
    policy: Policy,
    lookups: Lookups,
    encoder: Option<Encoder>,
    underway: &'a Underway,
    rows_max: usize,
    /// Stored files that are compared at a time.
    width: usize,
    headers: Vec<(&'static str, String)>,
    /// The table has lookups to itself by name, so that a row may wait for the row that it names.
    names_itself: bool,
    /// Where rows may have lists of parties.
    parties: Option<Finder>,
}

impl<'a> Resolver<'a> {
    /// Prepares.
    #[expect(clippy::too_many_arguments, reason = "the one place where all of them meet")]
    pub fn new(
        service: &'a Service,
        described: Described,
        policy: Policy,
        lookups: Lookups,
        encoder: Encoder,
        underway: &'a Underway,
        rows_max: usize,
        width: usize,
        headers: Vec<(&'static str, String)>,
    ) -> Self {
        let table = &described.table;
        let names_itself = table.columns.iter().any(|column| match &column.kind {
            model::ColumnKind::Lookup { targets, .. } => {
                column.valid_for_create
                    && targets.iter().any(|target| target.table == table.logical_name)
            }
            _ => false,
        });
        Self {
            service,
            described,
            policy,
            lookups,
            encoder: Some(encoder),
            underway,
            rows_max,
            width,
            headers,
            names_itself,
            parties: None,
        }
    }

    /// Rows may have lists of parties, which are rows of this table.
    ///
    /// Errors: the table is not what it should be.
    pub fn with_parties(self, described: Option<Described>) -> Result<Self, Problem> {
        let newest = self.lookups.newest();
        let finder =
            |described| Finder::new(described, newest, self.rows_max, self.headers.clone());
        Ok(Self { parties: described.map(finder).transpose()?, ..self })
    }

    /// Takes drafts until there are no more, or nobody wants their blocks.
    ///
    /// Errors: a question that the service does not answer; rows that were not handed on are not sent.
    pub async fn run(
        mut self,
        mut drafts: mpsc::Receiver<Vec<Draft>>,
        blocks: mpsc::Sender<Block>,
    ) -> Result<(), service::Error> {
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut is_open = true;
        loop {
            let mut window = self.take_ready(&mut waiting);
            if is_open && waiting.len() < WAITING_MAX {
                if window.is_empty() {
                    if !waiting.is_empty() && blocks.send(Block::default()).await.is_err() {
                        return Ok(());
                    }
                    tokio::select! {
                        more = drafts.recv() => match more {
                            Some(more) => window.extend(more),
                            None => is_open = false,
                        },
                        () = self.underway.changed.notified(), if !waiting.is_empty() => {}
                    }
                }
                while window.len() < WINDOW_ROWS {
                    match drafts.try_recv() {
                        Ok(more) => window.extend(more),
                        Err(mpsc::error::TryRecvError::Disconnected) => {
                            is_open = false;
                            break;
                        }
                        Err(mpsc::error::TryRecvError::Empty) => break,
                    }
                }
            } else if window.is_empty() && !waiting.is_empty() {
                // An empty block tells the sender not to wait for more.
                if blocks.send(Block::default()).await.is_err() {
                    return Ok(());
                }
                self.underway.changed.notified().await;
                continue;
            }
            if window.is_empty() {
                if !is_open && waiting.is_empty() {
                    return Ok(());
                }
                continue;
            }
            if is_open && waiting.is_empty() {
                is_open = gather(&self.lookups, self.rows_max, &mut window, &mut drafts).await;
            }
            for block in self.look_at(window, &mut waiting).await? {
                if blocks.send(block).await.is_err() {
                    return Ok(());
                }
            }
        }
    }

    /// The waiting rows that need not wait any more, in input order. A row behind one that still waits
    /// for the same stays behind it.
    fn take_ready(&self, waiting: &mut Vec<Waiting>) -> Vec<Draft> {
        let mut ready = Vec::new();
        let mut blocked: HashSet<u64> = HashSet::new();
        let mut still = Vec::new();
        for row in waiting.drain(..) {
            let is_blocked = row.awaited.iter().any(|mark| blocked.contains(mark))
                || self.underway.has_any(&row.awaited);
            blocked.extend(row.awaited.iter().chain(&row.marks));
            if is_blocked {
                still.push(row);
            } else {
                ready.push(row.draft);
            }
        }
        *waiting = still;
        ready
    }

    async fn look_at(
        &mut self,
        mut window: Vec<Draft>,
        waiting: &mut Vec<Waiting>,
    ) -> Result<Vec<Block>, service::Error> {
        window.sort_by_key(|draft| draft.ordinal);
        let mut open: Vec<&mut Draft> = window
            .iter_mut()
            .filter(|draft| draft.problem.is_none() && !draft.open.is_empty())
            .collect();
        let mut missing: HashMap<u64, Vec<Missing>> = HashMap::new();
        if !open.is_empty() {
            let answers = self.lookups.resolve(self.service, &mut open).await?;
            let rows = open.iter().map(|draft| draft.ordinal);
            missing.extend(rows.zip(answers).filter(|(_, missing)| !missing.is_empty()));
        }
        if let Some(parties) = &mut self.parties {
            parties.settle(self.service, &mut window).await?;
        }
        // The first row that holds a mark back; only rows behind it wait for it.
        let mut blocked: HashMap<u64, u64> = HashMap::new();
        for row in waiting.iter() {
            hold(&mut blocked, &row.awaited, row.draft.ordinal);
            hold(&mut blocked, &row.marks, row.draft.ordinal);
        }
        let mut items = Vec::with_capacity(window.len());
        let mut owed: Vec<(usize, Missing)> = Vec::new();
        for draft in window {
            let marks = self.marks(&draft);
            let names: Vec<u64> = missing
                .get(&draft.ordinal)
                .into_iter()
                .flatten()
                .filter_map(|missing| missing.own_name.as_ref().map(|name| mark_of_name(name)))
                .collect();
            // It waits for an earlier row of the same key, or of the name that it needs.
            let awaited: Vec<u64> = marks
                .iter()
                .filter(|_| draft.problem.is_none() && self.looks(&draft))
                .chain(&names)
                .copied()
                .collect();
            let ordinal = draft.ordinal;
            let is_held = |mark| blocked.get(mark).is_some_and(|first| *first < ordinal);
            if awaited.iter().any(is_held) || self.underway.has_any(&awaited) {
                hold(&mut blocked, &marks, ordinal);
                waiting.push(Waiting { draft, awaited, marks });
                continue;
            }
            hold(&mut blocked, &marks, ordinal);
            let gone = missing.remove(&draft.ordinal).unwrap_or_default();
            owed.extend(gone.into_iter().map(|missing| (items.len(), missing)));
            let (files, parties) = (HashMap::new(), HashMap::new());
            items.push(Item { draft, marks, decided: None, files, parties });
        }
        waiting.sort_by_key(|row| row.draft.ordinal);
        self.settle_missing(&mut items, owed).await?;
        let looked = items.iter().filter(|item| self.looks(&item.draft)).count();
        self.decide(&mut items).await?;
        let mut blocks = self.encode(items, waiting).await;
        if let Some(first) = blocks.first_mut() {
            first.looked = looked;
        }
        Ok(blocks)
    }

    /// Settles the lookups of these rows whose records were not found.
    async fn settle_missing(
        &mut self,
        items: &mut [Item],
        mut missing: Vec<(usize, Missing)>,
    ) -> Result<(), service::Error> {
        let is_good = |at: usize| items.get(at).is_some_and(|item| item.draft.problem.is_none());
        missing.retain(|(at, _)| is_good(*at));
        let all: Vec<&Missing> = missing.iter().map(|(_, missing)| missing).collect();
        let made = self.lookups.make(self.service, &all).await?;
        for ((at, Missing { column, .. }), made) in missing.into_iter().zip(made) {
            let Some(Item { draft, .. }) = items.get_mut(at) else { continue };
            let is_null = self.lookups.missing_is_null();
            match made {
                Ok(value) => draft.cells.push(Cell { column, value: Value::Lookup(value) }),
                Err(problem) if is_null && problem.class == Class::UnresolvedLookup => {
                    draft.cells.push(Cell { column, value: Value::Null });
                }
                Err(problem) => {
                    draft.problem.get_or_insert(problem);
                }
            }
        }
        items.iter_mut().for_each(|item| item.draft.open.clear());
        Ok(())
    }

    /// Whether records are looked at for a row.
    fn looks(&self, draft: &Draft) -> bool {
        self.policy.without_looking(draft, None).is_none()
    }

    /// What a row may have in common with others: its key, its match keys, its name.
    fn marks(&self, draft: &Draft) -> Vec<u64> {
        let mut marks = Vec::new();
        if self.policy.mode == Mode::Look {
            marks.extend(draft.id.map(encode::mark_of_id));
            for (place, list) in self.policy.match_on.iter().enumerate() {
                if let Some(values) = values_of(draft, list) {
                    marks.push(hash(&(place, key_text(&values))));
                }
            }
        }
        if self.names_itself
            && let Some(column) = self.described.table.definition().primary_name
            && let Some(value) = draft.value(column)
        {
            marks.push(mark_of_name(&key_text([value])));
        }
        marks
    }

    async fn decide(&self, items: &mut [Item]) -> Result<(), service::Error> {
        let mut looking: Vec<usize> = Vec::new();
        for (place, item) in items.iter_mut().enumerate() {
            if item.draft.problem.is_some() {
                let reason = Decision::Settled(Outcome::Failed, None);
                item.decided = Some(vec![(reason, Vec::new())]);
                continue;
            }
            let partition = matching::partition_of(&self.described.table, &item.draft.cells);
            match self.policy.without_looking(&item.draft, partition.as_deref()) {
                Some(decision) => {
                    let cells = match decision {
                        Decision::Update { .. } => self.policy.update_cells(&item.draft.cells),
                        _ => item.draft.cells.clone(),
                    };
                    let mut files = item.draft.files.clone();
                    if matches!(decision, Decision::Update { .. }) {
                        files.retain(|(column, _)| !self.policy.no_update_columns.contains(column));
                    }
                    let is_all = cells.is_empty() && files.is_empty();
                    item.files.insert(0, files);
                    let decision = match decision {
                        Decision::Update { id, .. } if is_all => {
                            Decision::Settled(Outcome::Unchanged, Some(id))
                        }
                        decision => decision,
                    };
                    item.decided = Some(vec![(decision, cells)]);
                }
                None => looking.push(place),
            }
        }
        let mut found = self.find(items, &looking).await?;
        for place in looking {
            let Some(item) = items.get_mut(place) else { continue };
            let stored = found.remove(&place).unwrap_or_default();
            let has_key = item.draft.id.is_some()
                || self.policy.match_on.iter().any(|list| values_of(&item.draft, list).is_some());
            item.decided = Some(match has_key {
                true => self.policy.decide(&self.described.table, &item.draft, &stored),
                false => {
                    let text = "the row has no value for a column that it is to be matched on";
                    vec![(Decision::Failed(Problem::new(Class::Usage, text)), Vec::new())]
                }
            });
            if let Some(item) = items.get_mut(place) {
                self.keep_files(item, &stored);
            }
        }
        self.compare_bytes(items).await?;
        self.keep_parties(items).await
    }

    /// What lists of parties mean for what was decided: a change gives the whole list, or none where nothing differs.
    async fn keep_parties(&self, items: &mut [Item]) -> Result<(), service::Error> {
        let Some(finder) = &self.parties else { return Ok(()) };
        let policy = &self.policy;
        let mut ids = Vec::new();
        for item in items.iter().filter(|item| !item.draft.parties.is_empty()) {
            ids.extend(item.decided.iter().flatten().filter_map(|(decision, _)| changed(decision)));
        }
        let stored = finder.stored(self.service, &ids).await?;
        for item in items {
            let given = &item.draft.parties;
            if given.is_empty() {
                continue;
            }
            for (place, (decision, _)) in item.decided.iter_mut().flatten().enumerate() {
                let lists = match changed(decision) {
                    None => given.clone(),
                    Some(id) => {
                        let kept =
                            |list: &&PartyList| !policy.no_update_parties.contains(&list.role);
                        let given: Vec<PartyList> = given.iter().filter(kept).cloned().collect();
                        let there = stored.get(&id).map_or(&[][..], Vec::as_slice);
                        finder.change(given, there, policy.compares())
                    }
                };
                if let (Decision::Settled(Outcome::Unchanged, Some(id)), false) =
                    (&*decision, lists.is_empty())
                {
                    *decision = Decision::Update { id: *id, partition: None };
                }
                item.parties.insert(place, lists);
            }
        }
        Ok(())
    }

    /// Of the files of a row those that its records do not hold already, as far as values tell.
    fn keep_files(&self, item: &mut Item, stored: &[Stored]) {
        if item.draft.files.is_empty() {
            return;
        }
        for (place, (decision, cells)) in item.decided.iter_mut().flatten().enumerate() {
            let (Decision::Update { id, .. } | Decision::Settled(Outcome::Unchanged, Some(id))) =
                &*decision
            else {
                continue;
            };
            let there = stored.iter().find(|one| one.id == *id);
            let value = |column: ColumnIndex| {
                let cells = there.into_iter().flat_map(|one| &one.cells);
                cells.filter(|cell| cell.column == column).map(|cell| &cell.value).next()
            };
            let is_kept = |(column, given): &&(ColumnIndex, Given)| {
                let is_image =
                    matches!(self.described.table.column(*column).kind, ColumnKind::Image { .. });
                !self.policy.no_update_columns.contains(column)
                    && (is_image
                        || !self.policy.compares()
                        || files::by_value(given, value(*column)) != Some(true))
            };
            let kept: Vec<_> = item.draft.files.iter().filter(is_kept).cloned().collect();
            if !kept.is_empty() && cells.is_empty() {
                let partition = there.and_then(|one| one.partition.clone());
                *decision = Decision::Update { id: *id, partition };
            }
            item.files.insert(place, kept);
        }
    }

    /// Leaves out files and images whose bytes are there already.
    async fn compare_bytes(&self, items: &mut [Item]) -> Result<(), service::Error> {
        if !self.policy.compares() {
            return Ok(());
        }
        let table = &self.described.table;
        let mut questions: Vec<Kept<'_>> = Vec::new();
        let mut places = Vec::new();
        for (at, item) in items.iter().enumerate() {
            for (place, (decision, cells)) in item.decided.iter().flatten().enumerate() {
                let Decision::Update { id, .. } = decision else { continue };
                let files = item.files.get(&place).into_iter().flatten();
                let files = files.filter_map(|(column, given)| {
                    given.path().map(|path| (*column, Either::File(path)))
                });
                let images = cells.iter().filter_map(|cell| match &cell.value {
                    Value::Text(text)
                        if matches!(table.column(cell.column).kind, ColumnKind::Image { .. }) =>
                    {
                        Some((cell.column, Either::Base64(text)))
                    }
                    _ => None,
                });
                for (column, given) in files.chain(images) {
                    questions.push(Kept { id: *id, column, given });
                    places.push((at, place, column));
                }
            }
        }
        if questions.is_empty() {
            return Ok(());
        }
        let (service, headers) = (self.service, &self.headers);
        let comparer = Comparer { service, table, headers, width: self.width };
        let equal = comparer.equal(&questions).await?;
        drop(questions);
        for (number, (at, place, column)) in places.into_iter().enumerate() {
            let Some(item) = items.get_mut(at).filter(|_| equal.contains(&number)) else {
                continue;
            };
            let files = item.files.entry(place).or_default();
            files.retain(|(other, _)| *other != column);
            let is_without_files = files.is_empty();
            let decided = item.decided.as_mut().and_then(|decided| decided.get_mut(place));
            let Some((decision, cells)) = decided else { continue };
            cells.retain(|cell| cell.column != column);
            if let Decision::Update { id, .. } = decision
                && cells.is_empty()
                && is_without_files
            {
                *decision = Decision::Settled(Outcome::Unchanged, Some(*id));
            }
        }
        Ok(())
    }

    /// The records that are there for the rows at these places.
    async fn find(
        &self,
        items: &[Item],
        places: &[usize],
    ) -> Result<HashMap<usize, Vec<Stored>>, service::Error> {
        let table = &self.described.table;
        let drafts: Vec<&Draft> =
            places.iter().filter_map(|place| items.get(*place)).map(|item| &item.draft).collect();
        let mut select: BTreeSet<ColumnIndex> = BTreeSet::new();
        if self.policy.compares() {
            let cells = drafts.iter().flat_map(|draft| &draft.cells);
            let readable = cells.filter(|cell| table.column(cell.column).valid_for_read);
            select.extend(readable.map(|cell| cell.column));
            // Of a file its id is read; an image would come as a whole thumbnail.
            let files = drafts.iter().flat_map(|draft| &draft.files).map(|(column, _)| *column);
            select
                .extend(files.filter(|column| {
                    matches!(table.column(*column).kind, ColumnKind::File { .. })
                }));
        }
        let select: Vec<ColumnIndex> = select.into_iter().collect();
        let question = Question {
            service: self.service,
            table,
            catalog: &self.described.catalog,
            headers: &self.headers,
        };
        let matching = Match { question, lists: &self.policy.match_on, rows_max: self.rows_max };
        let found = matching.find(&drafts, &select).await?;
        let stored = found.into_iter().map(|records| {
            records.into_iter().map(|record| self.stored(record)).collect::<Vec<_>>()
        });
        Ok(places.iter().copied().zip(stored).collect())
    }

    fn stored(&self, record: ReadRecord) -> Stored {
        let partition = matching::partition_of(&self.described.table, &record.cells);
        Stored { id: record.id.unwrap_or_default(), partition, cells: record.cells }
    }

    /// Encodes what was decided. A row for a record that another one is on its way to waits.
    async fn encode(&mut self, items: Vec<Item>, waiting: &mut Vec<Waiting>) -> Vec<Block> {
        let mut taken: HashSet<u64> = HashSet::new();
        let mut ready = Vec::with_capacity(items.len());
        for Item { draft, mut marks, decided, files, parties } in items {
            let decided = decided.unwrap_or_default();
            let records: Vec<u64> = decided
                .iter()
                .filter(|_| self.policy.mode == Mode::Look)
                .filter_map(|(decision, _)| match decision {
                    Decision::Update { id, .. }
                    | Decision::Settled(_, Some(id))
                    | Decision::Skipped(_, Some(id)) => Some(encode::mark_of_id(*id)),
                    _ => None,
                })
                .filter(|mark| !marks.contains(mark))
                .collect();
            let is_taken = records.iter().any(|mark| taken.contains(mark));
            if is_taken || self.underway.has_any(&records) {
                waiting.push(Waiting { draft, awaited: records, marks });
                continue;
            }
            marks.extend(records);
            taken.extend(&marks);
            let parts = u16::try_from(decided.len()).unwrap_or(u16::MAX);
            self.underway.begin(draft.ordinal, parts, marks);
            ready.push((draft, decided, files, parties, parts));
        }
        waiting.sort_by_key(|row| row.draft.ordinal);
        let mut encoder = self.encoder.take().expect("it is put back below");
        let encoded = tokio::task::spawn_blocking(move || {
            // Rows are kept until all of their block have ended: small blocks keep few.
            let mut blocks = Vec::new();
            let mut block = Block::default();
            for (mut draft, decided, mut files, mut parties, parts) in ready {
                let given = std::mem::take(&mut draft.files);
                for (place, (decision, cells)) in decided.into_iter().enumerate() {
                    draft.cells = cells;
                    draft.files = files.remove(&place).unwrap_or_else(|| given.clone());
                    draft.parties = parties.remove(&place).unwrap_or_default();
                    encoder.add(&mut block, &draft, decision, parts);
                }
                if block.is_full() {
                    // Those of one table are much alike.
                    let next = Block::with_room(block.bytes().min(Block::BYTES_MAX) * 17 / 16);
                    blocks.push(std::mem::replace(&mut block, next));
                }
            }
            if !block.is_empty() {
                blocks.push(block);
            }
            (encoder, blocks)
        });
        let (encoder, blocks) = encoded.await.expect("encoding does not panic");
        self.encoder = Some(encoder);
        blocks
    }
}

/// Takes more rows while there are names to ask for, but fewer than one question may have; whether there may be more rows.
async fn gather(
    lookups: &Lookups,
    names_max: usize,
    window: &mut Vec<Draft>,
    drafts: &mut mpsc::Receiver<Vec<Draft>>,
) -> bool {
    let mut unknown = HashSet::new();
    let mut noted = 0;
    let enough = tokio::time::sleep(GATHERING_MAX);
    tokio::pin!(enough);
    loop {
        lookups.note_unknown(window.get(noted..).unwrap_or_default(), &mut unknown);
        noted = window.len();
        if unknown.is_empty() || unknown.len() >= names_max || window.len() >= GATHERED_MAX {
            return true;
        }
        tokio::select! {
            more = drafts.recv() => match more {
                Some(more) => window.extend(more),
                None => return false,
            },
            () = &mut enough => return true,
        }
    }
}

fn hold(blocked: &mut HashMap<u64, u64>, marks: &[u64], ordinal: u64) {
    for mark in marks {
        let first = blocked.entry(*mark).or_insert(ordinal);
        *first = ordinal.min(*first);
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn mark_of_name(key: &str) -> u64 {
    hash(&("name", key))
}

#[cfg(test)]
mod tests;
