//! The bulk messages against the bare engine: create, update, upsert; one client and eight.
//!
//! In: a place with a service. Out: three lines for each number of clients.
//! Not here: single creates (`singles`).
//! Invariant: in every round the bare side stores the rows of that round, right after our side.

use anyhow::{Context, Result};
use bytes::Bytes;

use crate::bare::{Bare, Images, Keys};
use crate::report::{self, Line, Sample, Taken};
use crate::rows::{
    Names, ROWS_PER_MESSAGE, Row, Source, create_multiple_body, update_multiple_body,
    upsert_multiple_body,
};
use crate::service::Place;
use crate::{Arguments, Engine};

const CLIENTS_MANY: usize = 8;
/// Messages of one client in one round.
const MESSAGES_PER_CLIENT: usize = 3;
/// One client alone sends more, so that a round is long enough to be measured.
const MESSAGES_OF_ONE: usize = 8;

/// What the design promises: the share of the bare engine's speed.
fn target(engine: Engine, clients: usize, message: &str) -> Option<f64> {
    match (engine, clients, message) {
        (Engine::Sqlite, 1, "CreateMultiple") => Some(0.60),
        (Engine::Sqlite, CLIENTS_MANY, "CreateMultiple") => Some(0.85),
        (Engine::Postgres, CLIENTS_MANY, "CreateMultiple") => Some(0.75),
        _ => None,
    }
}

/// Adds the lines that were asked for.
pub(crate) async fn measure(
    arguments: &Arguments,
    place: &Place,
    lines: &mut Vec<Line>,
) -> Result<()> {
    for clients in [1, CLIENTS_MANY] {
        let mut group: Vec<Line> = ["CreateMultiple", "UpdateMultiple", "UpsertMultiple"]
            .map(|message| {
                let plural = if clients == 1 { "client" } else { "clients" };
                let engine = place.engine.name();
                Line::new(
                    format!("{engine}, {clients} {plural}: {message} of 1,000 against bare"),
                    target(place.engine, clients, message),
                )
            })
            .into();
        if !group.iter().any(|line| arguments.wants(&line.name)) {
            continue;
        }
        let mut bench = Group::prepare(arguments, place, clients).await?;
        for round in 0..=arguments.rounds {
            let samples = [bench.create().await?, bench.update().await?, bench.upsert().await?];
            // The first round warms both sides up.
            if round > 0 {
                for (line, sample) in group.iter_mut().zip(samples) {
                    line.samples.push(sample);
                }
            }
        }
        for line in group {
            println!("{}", report::row(&line));
            lines.push(line);
        }
    }
    Ok(())
}

/// One table on both sides and what its rounds need.
struct Group<'a> {
    place: &'a Place,
    names: Names,
    bare: Bare,
    source: Source,
    clients: usize,
    messages: usize,
    /// The rows of the last create, which the next update and upsert are about.
    known: Vec<Vec<Row>>,
}

impl<'a> Group<'a> {
    async fn prepare(arguments: &Arguments, place: &'a Place, clients: usize) -> Result<Group<'a>> {
        let (names, bare) = place.new_table().await?;
        let messages = if clients == 1 { MESSAGES_OF_ONE } else { clients * MESSAGES_PER_CLIENT };
        let source = Source::new(arguments.seed, place.accounts.clone());
        let mut group = Group { place, names, bare, source, clients, messages, known: Vec::new() };
        // The first message tells the bare side which column is which.
        let first = group.source.fresh(ROWS_PER_MESSAGE);
        let body = create_multiple_body(&group.names, &first);
        group.send("CreateMultiple", vec![body]).await.context("the first message")?;
        group.bare.learn(first[0].id, &first[0].code).await?;
        let images = group.bare.read(&ids(&first)).await?;
        group.bare.insert(vec![images], 1).await?;
        for _ in 0..arguments.preload / ROWS_PER_MESSAGE / messages {
            group.create().await?;
        }
        Ok(group)
    }

    async fn create(&mut self) -> Result<Sample> {
        let chunks: Vec<Vec<Row>> =
            (0..self.messages).map(|_| self.source.fresh(ROWS_PER_MESSAGE)).collect();
        let bodies = chunks.iter().map(|rows| create_multiple_body(&self.names, rows)).collect();
        let ours = self.send("CreateMultiple", bodies).await?;
        let after = self.read(chunks.iter().map(|rows| ids(rows))).await?;
        let other = self.bare.insert(after, self.clients).await?;
        let rows = chunks.iter().map(Vec::len).sum();
        self.known = chunks;
        Ok(Sample { rows, ours, other })
    }

    async fn update(&mut self) -> Result<Sample> {
        let before = self.read(self.known.iter().map(|rows| ids(rows))).await?;
        let chunks: Vec<Vec<Row>> =
            self.known.iter().map(|rows| self.source.changed(rows)).collect();
        let bodies = chunks.iter().map(|rows| update_multiple_body(&self.names, rows)).collect();
        let ours = self.send("UpdateMultiple", bodies).await?;
        let after = self.read(chunks.iter().map(|rows| ids(rows))).await?;
        let other = self.bare.update(before, after, self.clients).await?;
        let rows = chunks.iter().map(Vec::len).sum();
        Ok(Sample { rows, ours, other })
    }

    /// Half of each message exists.
    async fn upsert(&mut self) -> Result<Sample> {
        let half = ROWS_PER_MESSAGE / 2;
        let known = self.known.clone();
        let before = self.read(known.iter().map(|rows| ids(&rows[..half]))).await?;
        let mut chunks: Vec<Vec<Row>> =
            known.iter().map(|rows| self.source.changed(&rows[..half])).collect();
        for rows in &mut chunks {
            rows.extend(self.source.fresh(half));
        }
        let bodies = chunks.iter().map(|rows| upsert_multiple_body(&self.names, rows)).collect();
        let ours = self.send("UpsertMultiple", bodies).await?;
        let codes =
            |rows: &Vec<Row>| Keys::Codes(rows.iter().map(|row| row.code.clone()).collect());
        let after = self.read(chunks.iter().map(codes)).await?;
        let other = self.bare.upsert(before, after, self.clients).await?;
        let rows = chunks.iter().map(Vec::len).sum();
        Ok(Sample { rows, ours, other })
    }

    async fn send(&self, message: &str, bodies: Vec<Bytes>) -> Result<Taken> {
        let path = format!("{}/Microsoft.Dynamics.CRM.{message}", self.names.set);
        let status = if message == "CreateMultiple" { 200 } else { 204 };
        let taken = self.place.send(&self.place.api, &path, bodies, self.clients, status).await?;
        self.place.settle().await?;
        Ok(taken)
    }

    async fn read(&self, keys: impl Iterator<Item = Keys>) -> Result<Vec<Images>> {
        let mut messages = Vec::new();
        for keys in keys {
            messages.push(self.bare.read(&keys).await?);
        }
        Ok(messages)
    }
}

fn ids(rows: &[Row]) -> Keys {
    Keys::Ids(rows.iter().map(|row| row.id).collect())
}
