//! Rows of a measurement's own: made up, sent, timed, and removed again.
//!
//! A row's id and texts follow from the run's seed and the row's ordinal alone, so that nothing needs to be
//! kept of rows that were sent but that they may be there.
//! Not here: what is measured (`methods`, `tune`).
//! Invariant: ordinals are used once; what may be there stands in `there` until it is known to be gone.

use super::Error;
use crate::controller::{SIZE_MAX, SIZE_MAX_ELASTIC, Setting};
use crate::encode::{Decision, Draft, Encoder};
use crate::ids::Seed;
use crate::journal::Outcome;
use crate::mapping;
use crate::problem::{Class, Problem};
use crate::remove;
use crate::request::Route;
use crate::rows::{Block, Entry, Operation};
use crate::sender::{self, BLOCKS_MAX, Event, Settings, Summary};
use crate::service::{Described, Service};
use crate::set::{self, Call, Care, Pace};
use futures_util::future::{Either, select};
use model::{Cell, Column, ColumnIndex, ColumnKind, Decimal, Table, TableKind, TextFormat, Value};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use uuid::Uuid;

/// What the names of all rows begin with.
pub const NAME: &str = "sheaf bench";

/// A table that is measured, and the rows in it that are ours.
pub(super) struct Trial<'a> {
    service: &'a Service,
    described: Described,
    route: Route,
    seed: Seed,
    /// Columns that rows give.
    columns: Vec<ColumnIndex>,
    /// Which bulk messages the table has.
    has_bulk: [bool; Operation::ALL.len()],
    /// What the service recommends as width.
    hint: Option<usize>,
    /// The next ordinal.
    next: u64,
    /// Ordinals whose rows may be there.
    there: BTreeSet<u64>,
    stop: Option<watch::Receiver<bool>>,
}

/// How rows travel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) width: Setting,
    pub(super) size: Setting,
    pub(super) has_bulk: [bool; Operation::ALL.len()],
    /// What does not work is told, and not done in another way.
    pub(super) is_strict: bool,
}

/// What came of sending rows once.
#[derive(Debug)]
pub(super) struct Course {
    /// Rows that ended well.
    pub(super) well: u64,
    /// Rows that failed.
    pub(super) failed: u64,
    /// From the start to the last answer.
    pub(super) took: Duration,
    /// The first failure.
    pub(super) problem: Option<Problem>,
    pub(super) summary: Summary,
}

impl Course {
    /// Rows per second.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub(super) fn rate(&self) -> f64 {
        self.well as f64 / self.took.as_secs_f64().max(1e-6)
    }
}

impl<'a> Trial<'a> {
    /// Looks at a table; writes nothing.
    ///
    /// `columns` are filled besides the name of a record.
    pub(super) async fn prepare(
        service: &'a Service,
        table: &str,
        columns: &[String],
        call: &Call,
        seed: Seed,
    ) -> Result<Self, Error> {
        let hint = service.width_hint().await?;
        let described = service.describe(table, |_, _| false).await?;
        let columns = columns_of(&described.table, columns).map_err(Error::Wish)?;
        let has_bulk = service.bulk_messages(&described.table).await?;
        // What is removed at the end may never have come to be.
        let route = set::route(&described, true, call);
        Ok(Self {
            service,
            described,
            route,
            seed,
            columns,
            has_bulk,
            hint,
            next: 0,
            there: BTreeSet::new(),
            stop: None,
        })
    }

    /// From now on this says when to stop.
    pub(super) fn stop_by(&mut self, stop: Option<watch::Receiver<bool>>) {
        self.stop = stop;
    }

    /// Logical name of the table.
    pub(super) fn table(&self) -> &str {
        &self.described.table.logical_name
    }

    /// Which bulk messages the table has.
    pub(super) fn has_bulk(&self) -> [bool; Operation::ALL.len()] {
        self.has_bulk
    }

    /// The most rows in a message.
    pub(super) fn size_max(&self) -> usize {
        match self.described.table.kind {
            TableKind::Standard => SIZE_MAX,
            TableKind::Elastic => SIZE_MAX_ELASTIC,
        }
    }

    /// Whether it is to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| *stop.borrow())
    }

    /// Ordinals that nobody has had.
    pub(super) fn fresh(&mut self, rows: u64) -> Range<u64> {
        let from = self.next;
        self.next += rows;
        from..self.next
    }

    /// As the client sends when nobody says how.
    pub(super) fn own_way(&self) -> Way {
        Way { width: Setting::Auto, size: Setting::Auto, has_bulk: self.has_bulk, is_strict: false }
    }

    /// Sends rows once, all of them made up before the clock starts.
    pub(super) async fn send(
        &mut self,
        operation: Operation,
        rows: Range<u64>,
        pass: u64,
        way: Way,
    ) -> Result<Course, Error> {
        let blocks = self.blocks(operation, rows, pass)?;
        let stop = self.stop.clone();
        Ok(self.send_blocks(blocks, self.settings(way), stop).await)
    }

    async fn send_blocks(
        &mut self,
        blocks: Vec<Block>,
        settings: Settings,
        stop: Option<watch::Receiver<bool>>,
    ) -> Course {
        let (sender, receiver) = mpsc::channel(BLOCKS_MAX);
        let (service, route, there) = (self.service, &self.route, &mut self.there);
        let sending = send(service, route, settings, receiver, stop, Duration::ZERO, there);
        let feed = async move {
            for block in blocks {
                if sender.send(block).await.is_err() {
                    break;
                }
            }
        };
        futures_util::future::join(Box::pin(sending), feed).await.0
    }

    /// Creates rows for a while. Rows that end before `learn` has passed do not count.
    pub(super) async fn create_for(
        &mut self,
        learn: Duration,
        measure: Duration,
        way: Way,
    ) -> Result<Course, Error> {
        // A value that cannot be written is found before anything is sent.
        drop(self.blocks(Operation::Create, self.next..self.next + 1, 0)?);
        let (stop_now, stop) = watch::channel(false);
        let (settings, route, service) = (self.settings(way), self.route.clone(), self.service);
        let (sender, receiver) = mpsc::channel(BLOCKS_MAX);
        let mut outer = self.stop.clone();
        let mut there = std::mem::take(&mut self.there);
        let course = {
            let sending =
                Box::pin(send(service, &route, settings, receiver, Some(stop), learn, &mut there));
            let ends = async {
                tokio::select! {
                    () = tokio::time::sleep(learn + measure) => {}
                    () = sender::stopped(&mut outer) => {}
                }
                stop_now.send_replace(true);
            };
            let feed = async {
                loop {
                    let rows = self.fresh(Block::ROWS_MAX as u64);
                    let blocks = self.blocks(Operation::Create, rows, 0).unwrap_or_default();
                    for block in blocks {
                        if sender.send(block).await.is_err() {
                            return;
                        }
                    }
                }
            };
            let both = std::pin::pin!(futures_util::future::join(ends, feed));
            match select(sending, both).await {
                Either::Left((course, _)) => course,
                Either::Right((_, sending)) => sending.await,
            }
        };
        self.there = there;
        Ok(course)
    }

    /// Removes whatever may be there. What could not be removed is an error, after `earlier`.
    ///
    /// It goes on where the run was stopped: that is what stopping means here.
    pub(super) async fn clear(&mut self, earlier: Option<Error>) -> Result<(), Error> {
        let rows: Vec<u64> = self.there.iter().copied().collect();
        if !rows.is_empty() {
            let settings = self.settings(self.own_way());
            let settings = Settings { keep_going: true, ..settings };
            let blocks = rows.chunks(Block::ROWS_MAX).map(|some| {
                let mut block = Block::default();
                some.iter().for_each(|row| self.add_deleted(&mut block, *row));
                block
            });
            let blocks = blocks.collect();
            self.send_blocks(blocks, settings, None).await;
        }
        let left: Vec<Uuid> = self.there.iter().map(|row| self.seed.id(*row)).collect();
        match (left.is_empty(), earlier) {
            (true, None) => Ok(()),
            (true, Some(earlier)) => Err(earlier),
            (false, earlier) => {
                let table = self.table().into();
                Err(Error::Left { table, left, source: earlier.map(Box::new) })
            }
        }
    }

    fn settings(&self, way: Way) -> Settings {
        let pace = Pace { width: way.width, size: way.size, ..Pace::default() };
        let care = Care { no_fallback: way.is_strict, ..Care::default() };
        set::settings(&self.described, pace, care, way.has_bulk, self.hint, self.seed)
    }

    fn blocks(
        &self,
        operation: Operation,
        rows: Range<u64>,
        pass: u64,
    ) -> Result<Vec<Block>, Error> {
        let Described { table, catalog } = self.described.clone();
        let mut encoder = Encoder::new(table, catalog, self.seed);
        let mut blocks = Vec::new();
        let mut block = Block::default();
        for ordinal in rows {
            let id = self.seed.id(ordinal);
            let decision = match operation {
                Operation::Create => Decision::Create,
                Operation::Update => Decision::Update { id, partition: None },
                Operation::Upsert => Decision::Upsert(None),
                Operation::Delete => {
                    self.add_deleted(&mut block, ordinal);
                    if block.is_full() {
                        blocks.push(std::mem::take(&mut block));
                    }
                    continue;
                }
                Operation::Upload | Operation::Associate | Operation::Disassociate => {
                    unreachable!("files and pairs are not measured")
                }
            };
            // A new row's id follows from its ordinal; the others name it.
            let given = (operation != Operation::Create).then_some(id);
            let draft = Draft {
                ordinal,
                line: ordinal + 1,
                id: given,
                cells: self.cells(ordinal, pass),
                ..Draft::default()
            };
            encoder.add(&mut block, &draft, decision, 1);
            if block.is_full() {
                blocks.push(std::mem::take(&mut block));
            }
        }
        if !block.is_empty() {
            blocks.push(block);
        }
        Ok(blocks)
    }

    fn add_deleted(&self, block: &mut Block, ordinal: u64) {
        let id = self.seed.id(ordinal);
        let table = &self.described.table;
        let body = block.write(|out| remove::write_body(out, table, id, None));
        let address = block.write(|out| out.extend_from_slice(id.to_string().as_bytes()));
        block.push(Entry {
            ordinal,
            operation: Operation::Delete,
            body,
            address,
            id: Some(id),
            ..Entry::default()
        });
    }

    fn cells(&self, ordinal: u64, pass: u64) -> Vec<Cell> {
        let table = &self.described.table;
        let value = |column: &Column| value_of(column, ordinal, pass, self.seed.random);
        let columns = self.columns.iter();
        columns.map(|index| Cell { column: *index, value: value(table.column(*index)) }).collect()
    }
}

/// Sends blocks and keeps account of what may be there. What ends before `learn` has passed does not count.
async fn send(
    service: &Service,
    route: &Route,
    settings: Settings,
    blocks: mpsc::Receiver<Block>,
    stop: Option<watch::Receiver<bool>>,
    learn: Duration,
    there: &mut BTreeSet<u64>,
) -> Course {
    let from = Instant::now() + learn;
    let (mut well, mut failed, mut last, mut problem) = (0, 0, from, None);
    let mut observe = |event: Event<'_>| {
        let Event::Ended { row, outcome, problem: why, .. } = event else { return };
        let entry = row.entry();
        match outcome {
            Outcome::Deleted | Outcome::Absent => {
                there.remove(&entry.ordinal);
            }
            Outcome::NotAttempted => return,
            // A row that failed may be there all the same, where its answer was lost.
            _ => {
                there.insert(entry.ordinal);
            }
        }
        let now = Instant::now();
        if outcome == Outcome::Failed {
            failed += 1;
            problem = problem.take().or_else(|| why.cloned());
        } else if now >= from {
            well += 1;
            last = now;
        }
    };
    let transport = service.transport();
    let summary = sender::run(transport, route, settings, blocks, stop, None, &mut observe).await;
    Course { well, failed, took: last.duration_since(from), problem, summary }
}

/// The columns that rows give: the name of the record, and those that are asked for.
fn columns_of(table: &Arc<Table>, names: &[String]) -> Result<Vec<ColumnIndex>, Problem> {
    let wrong = |text: String| Err(Problem::new(Class::Usage, text));
    let mut columns: Vec<ColumnIndex> = Vec::new();
    // Where the table has no name that can be written, rows have none.
    let can_be_named = |index: &ColumnIndex| can_make_up(table.column(*index));
    columns.extend(table.primary_name.filter(can_be_named));
    for name in names {
        let Some(index) = mapping::find(table, name) else {
            return wrong(format!("table `{}` has no column `{name}`", table.logical_name));
        };
        if !can_make_up(table.column(index)) {
            return wrong(format!(
                "values for column `{name}` cannot be made up: text, numbers, choices and yes or no can"
            ));
        }
        if !columns.contains(&index) {
            columns.push(index);
        }
    }
    Ok(columns)
}

fn can_make_up(column: &Column) -> bool {
    let kind = match &column.kind {
        ColumnKind::Text { format, .. } => {
            matches!(format, TextFormat::Text | TextFormat::TextArea)
        }
        ColumnKind::Memo { json, .. } => !json,
        ColumnKind::Choice { options, .. } => !options.is_empty(),
        ColumnKind::Integer { .. }
        | ColumnKind::BigInt
        | ColumnKind::Decimal { .. }
        | ColumnKind::Double { .. }
        | ColumnKind::Money { .. }
        | ColumnKind::Boolean { .. } => true,
        ColumnKind::Guid
        | ColumnKind::DateTime { .. }
        | ColumnKind::MultiChoice { .. }
        | ColumnKind::State { .. }
        | ColumnKind::Status { .. }
        | ColumnKind::Lookup { .. }
        | ColumnKind::TableName
        | ColumnKind::File { .. }
        | ColumnKind::Image { .. } => false,
    };
    kind && column.valid_for_create && column.valid_for_update
}

/// A value that fits the column, another one for each pass over the same row.
fn value_of(column: &Column, ordinal: u64, pass: u64, random: u64) -> Value {
    let number = i32::try_from((ordinal + pass) % 1_000_000).unwrap_or_default();
    let within = |min: Decimal, max: Decimal| Value::Decimal(Decimal::from(number).clamp(min, max));
    match &column.kind {
        ColumnKind::Text { max_length, .. } | ColumnKind::Memo { max_length, .. } => {
            let text = format!("{NAME} {:08x} {ordinal}.{pass}", random >> 32);
            // The end tells rows apart.
            let length = usize::try_from(*max_length).unwrap_or(usize::MAX).min(text.len());
            Value::text(text.get(text.len() - length..).unwrap_or_default())
        }
        ColumnKind::Integer { min, max } => Value::Integer(number.clamp(*min, *max)),
        ColumnKind::BigInt => Value::BigInt(i64::from(number)),
        ColumnKind::Decimal { min, max, .. } | ColumnKind::Money { min, max, .. } => {
            within(*min, *max)
        }
        ColumnKind::Double { min, max, .. } => Value::Double(f64::from(number).clamp(*min, *max)),
        ColumnKind::Boolean { .. } => Value::Boolean((ordinal + pass).is_multiple_of(2)),
        ColumnKind::Choice { options, .. } => {
            let place = usize::try_from(ordinal + pass).unwrap_or_default() % options.len();
            options.get(place).map_or(Value::Null, |option| Value::Integer(option.value))
        }
        // `can_make_up` lets no other column through.
        _ => Value::Null,
    }
}
