//! One call of writes: looked up, decided, written on condition, and again for what moved meanwhile.
//!
//! A call of nothing but inserts of different rows is not looked up: the statement itself tells which
//! rows were there.
//! Invariant: a write has its outcome once the statement that carries it has answered for its row; all
//! writes to one row get theirs together.

use super::clock;
use super::connection::Connection;
use super::error::{Error, engine};
use super::statements;
use crate::codec::{Columns, decode, encode};
use crate::key::escape;
use futures_util::future::join_all;
use model::{Table, Timestamp, Uuid, Value};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use store::elastic::{ElasticAction, ElasticOutcome, ElasticReason, ElasticWrite};
use store::elastic_rows::{Change, Current, VersionClock, decide, is_over};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

/// Longest partition that an index of PostgreSQL takes beside an id, in bytes.
const PARTITION_BYTES_MAX: usize = 2_000;

/// The escaped partition and the id of a row.
type Place = (Box<str>, Uuid);

/// A call on its way.
pub(super) struct Call {
    table: Arc<Table>,
    now: Timestamp,
    /// Every write with its place.
    writes: Vec<(Place, ElasticWrite)>,
    outcomes: Vec<Option<ElasticOutcome>>,
}

/// What is to be written to one row, if it has not moved.
#[derive(Default)]
struct Draft {
    /// Its version in the database, over or not; none where it is not there.
    seen: Option<i64>,
    expires_at: Option<Timestamp>,
    /// The row as the call has left it so far; none where it is not there or over.
    values: Option<Vec<Value>>,
    version: i64,
    is_changed: bool,
    /// What became of the call's writes to it, by index.
    outcomes: Vec<(usize, ElasticOutcome)>,
}

/// Rows as parallel arrays, in the order of their keys.
#[derive(Default)]
struct Rows<'d> {
    partitions: Vec<&'d str>,
    ids: Vec<Uuid>,
    versions: Vec<i64>,
    expires_at: Vec<Option<i64>>,
    bodies: Vec<Vec<u8>>,
    seen: Vec<i64>,
}

impl Call {
    pub(super) fn new(table: &Arc<Table>, now: Timestamp, writes: Vec<ElasticWrite>) -> Self {
        let outcome = |write: &ElasticWrite| {
            let fits = escape(&write.key.partition).len() <= PARTITION_BYTES_MAX;
            (!fits).then_some(ElasticOutcome::Refused(ElasticReason::TooLarge))
        };
        let outcomes = writes.iter().map(outcome).collect();
        let place =
            |write: ElasticWrite| ((escape(&write.key.partition).into(), write.key.id), write);
        let writes = writes.into_iter().map(place).collect();
        Self { table: table.clone(), now, writes, outcomes }
    }

    pub(super) fn is_done(&self) -> bool {
        self.outcomes.iter().all(Option::is_some)
    }

    /// The outcomes of a call that is done.
    pub(super) fn into_outcomes(self) -> Vec<ElasticOutcome> {
        self.outcomes.into_iter().flatten().collect()
    }

    /// Tries every write that has no outcome yet.
    pub(super) async fn attempt(
        &mut self,
        connection: &mut Connection,
        versions: &Mutex<VersionClock>,
    ) -> Result<(), Error> {
        if self.is_all_new() {
            return self.insert(connection, versions).await;
        }
        let mut drafts = self.look_up(connection).await?;
        self.decide(&mut drafts, versions);
        self.write(connection, drafts).await
    }

    /// The indexes of the writes that have no outcome yet.
    fn open(&self) -> impl Iterator<Item = usize> {
        self.outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_none()).map(|(at, _)| at)
    }

    /// Nothing but inserts of different rows.
    fn is_all_new(&self) -> bool {
        let mut places = HashSet::new();
        self.open().all(|index| {
            let (place, write) = &self.writes[index];
            matches!(write.action, ElasticAction::Insert { .. })
                && write.expected_version.is_none()
                && places.insert(place)
        })
    }

    async fn insert(
        &mut self,
        connection: &mut Connection,
        versions: &Mutex<VersionClock>,
    ) -> Result<(), Error> {
        const DOING: &str = "inserting elastic rows";
        let mut drafts: BTreeMap<Place, Draft> = BTreeMap::new();
        let mut refused = Vec::new();
        for index in self.open() {
            let (place, write) = &self.writes[index];
            match decide(&self.table, self.now, None, write.clone()) {
                Ok(Change::Put { values, expires_at, .. }) => {
                    let version = clock(versions).next(self.now);
                    // Until the statement tells otherwise.
                    let exists = ElasticOutcome::Refused(ElasticReason::Exists);
                    let draft = Draft {
                        values: Some(values),
                        expires_at,
                        version,
                        outcomes: vec![(index, exists)],
                        ..Draft::default()
                    };
                    drafts.insert(place.clone(), draft);
                }
                // An insert deletes nothing.
                Ok(Change::Delete) => {}
                Err(reason) => refused.push((index, ElasticOutcome::Refused(reason))),
            }
        }
        let mut written = Vec::new();
        if !drafts.is_empty() {
            let rows = Rows::of(&self.table, drafts.iter());
            let statement = connection.prepared(&statements::insert(self.table.id)).await?;
            let client = &connection.client;
            let now = self.now.0;
            let mut params = rows.params();
            params.push(&now);
            let answer = client.query(&statement, &params).await;
            for row in answer.map_err(|error| Error::of(DOING, error))? {
                let version: i64 = row.try_get(2).map_err(|error| engine(DOING, error))?;
                written.push((place_of(&row)?, version));
            }
        }
        for (place, version) in written {
            if let Some(draft) = drafts.get_mut(&place) {
                let made = ElasticOutcome::Written { created: true, version };
                draft.outcomes.iter_mut().for_each(|(_, outcome)| *outcome = made);
            }
        }
        let told = drafts.into_values().flat_map(|draft| draft.outcomes);
        for (index, outcome) in told.chain(refused) {
            self.outcomes[index] = Some(outcome);
        }
        Ok(())
    }

    /// The rows that the open writes name, as they are.
    async fn look_up(&self, connection: &mut Connection) -> Result<BTreeMap<Place, Draft>, Error> {
        const DOING: &str = "looking up elastic rows";
        let places = self.open().map(|index| (self.writes[index].0.clone(), Draft::default()));
        let mut drafts: BTreeMap<Place, Draft> = places.collect();
        let partitions: Vec<&str> = drafts.keys().map(|(partition, _)| &**partition).collect();
        let ids: Vec<Uuid> = drafts.keys().map(|(_, id)| *id).collect();
        let statement = connection.prepared(&statements::look_up(self.table.id)).await?;
        let rows = connection.client.query(&statement, &[&partitions, &ids]).await;
        let rows = rows.map_err(|error| Error::of(DOING, error))?;
        let columns = Columns::of(&self.table);
        for row in rows {
            let place = place_of(&row)?;
            let version: i64 = row.try_get(2).map_err(|error| engine(DOING, error))?;
            let expires_at: Option<i64> = row.try_get(3).map_err(|error| engine(DOING, error))?;
            let body: &[u8] = row.try_get(4).map_err(|error| engine(DOING, error))?;
            let expires_at = expires_at.map(Timestamp);
            let values = match is_over(expires_at, self.now) {
                true => None,
                false => Some(decode(&columns, place.1, version, body)?),
            };
            let draft =
                Draft { seen: Some(version), expires_at, values, version, ..Draft::default() };
            drafts.insert(place, draft);
        }
        Ok(drafts)
    }

    /// Decides every open write, in order, on the rows that were looked up.
    fn decide(&self, drafts: &mut BTreeMap<Place, Draft>, versions: &Mutex<VersionClock>) {
        let mut clock = clock(versions);
        let highest = drafts.values().filter_map(|draft| draft.seen).max().unwrap_or(0);
        *clock = VersionClock::after(clock.last().max(highest));
        for index in self.open() {
            let (place, write) = &self.writes[index];
            let Some(draft) = drafts.get_mut(place) else { continue };
            let current =
                draft.values.as_deref().map(|values| Current { version: draft.version, values });
            let outcome = match decide(&self.table, self.now, current, write.clone()) {
                Ok(change) => {
                    draft.is_changed = true;
                    draft.version = clock.next(self.now);
                    let created = match change {
                        Change::Put { created, values, expires_at } => {
                            (draft.values, draft.expires_at) = (Some(values), expires_at);
                            created
                        }
                        Change::Delete => {
                            draft.values = None;
                            false
                        }
                    };
                    ElasticOutcome::Written { created, version: draft.version }
                }
                Err(reason) => ElasticOutcome::Refused(reason),
            };
            draft.outcomes.push((index, outcome));
        }
    }

    /// Writes the drafts in one flight; writes to rows that have moved stay open.
    async fn write(
        &mut self,
        connection: &mut Connection,
        drafts: BTreeMap<Place, Draft>,
    ) -> Result<(), Error> {
        const DOING: &str = "writing looked-up rows";
        let chosen = |draft: &Draft, was_there: bool, is_there: bool| {
            draft.is_changed
                && draft.seen.is_some() == was_there
                && draft.values.is_some() == is_there
        };
        let rows = |was_there, is_there| {
            let those = drafts.iter().filter(move |(_, draft)| chosen(draft, was_there, is_there));
            Rows::of(&self.table, those)
        };
        let (new, changed, deleted) = (rows(false, true), rows(true, true), rows(true, false));
        let mut sent: Vec<(Statement, Vec<&(dyn ToSql + Sync)>)> = Vec::new();
        let table = self.table.id;
        if !new.ids.is_empty() {
            sent.push((
                connection.prepared(&statements::insert_absent(table)).await?,
                new.params(),
            ));
        }
        if !changed.ids.is_empty() {
            let mut params = changed.params();
            params.push(&changed.seen);
            sent.push((connection.prepared(&statements::update_seen(table)).await?, params));
        }
        if !deleted.ids.is_empty() {
            let params: Vec<&(dyn ToSql + Sync)> =
                vec![&deleted.partitions, &deleted.ids, &deleted.seen];
            sent.push((connection.prepared(&statements::delete_seen(table)).await?, params));
        }
        let client = &connection.client;
        let answers =
            join_all(sent.iter().map(|(statement, params)| client.query(statement, params))).await;
        let mut written: HashSet<Place> = HashSet::new();
        let mut failed = None;
        for answer in answers {
            // Each statement stands alone: what the others wrote is written.
            match answer.map_err(|error| Error::of(DOING, error)) {
                Ok(rows) => {
                    for row in rows {
                        written.insert(place_of(&row)?);
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        drop((new, changed, deleted));
        for (place, draft) in drafts {
            // A row that is gone before and after is as it was looked up, and so is an unchanged one.
            let needs_writing =
                draft.is_changed && (draft.seen.is_some() || draft.values.is_some());
            if !needs_writing || written.contains(&place) {
                for (index, outcome) in draft.outcomes {
                    self.outcomes[index] = Some(outcome);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

impl<'d> Rows<'d> {
    fn of(table: &Table, drafts: impl Iterator<Item = (&'d Place, &'d Draft)>) -> Self {
        let mut rows = Self::default();
        for ((partition, id), draft) in drafts {
            let mut body = Vec::new();
            if let Some(values) = &draft.values {
                encode(table, values, &mut body);
            }
            rows.partitions.push(partition);
            rows.ids.push(*id);
            rows.versions.push(draft.version);
            rows.expires_at.push(draft.expires_at.map(|at| at.0));
            rows.bodies.push(body);
            rows.seen.push(draft.seen.unwrap_or(0));
        }
        rows
    }

    /// Everything but `seen`, in the order of the statements.
    fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        vec![&self.partitions, &self.ids, &self.versions, &self.expires_at, &self.bodies]
    }
}

/// The place in the first two columns of an answer.
fn place_of(row: &Row) -> Result<Place, Error> {
    let read = || -> Result<Place, tokio_postgres::Error> {
        let partition: &str = row.try_get(0)?;
        Ok((partition.into(), row.try_get(1)?))
    };
    read().map_err(|error| engine("reading the place of a row", error))
}
