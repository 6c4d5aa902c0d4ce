//! Single creates: against one bulk message, against a bulk message of one, and many at once.
//!
//! In: a place with a service. Out: a line for each comparison.
//! Not here: bulk messages against the bare engine (`bulk`).
//! Invariant: both sides of a line store as many rows, and take turns.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use testkit::http::Api;

use crate::bare::{Bare, Images, Keys};
use crate::latency::Relay;
use crate::report::{self, Line, Sample};
use crate::rows::{Names, ROWS_PER_MESSAGE, Source, create_body, create_multiple_body};
use crate::service::Place;
use crate::{Arguments, Engine};

const LATENCY: Duration = Duration::from_millis(2);
/// Requests of a turn when a message of one is compared with a single create.
const ONES: usize = 400;
const CREATORS: usize = 32;
/// Rows of a round of the many creators.
const CREATED: usize = 32 * 60;

/// Adds the lines that were asked for.
pub(crate) async fn measure(
    arguments: &Arguments,
    place: &Place,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let engine = place.engine.name();
    let bulk = match place.engine {
        Engine::Sqlite => 6.0,
        Engine::Postgres => 10.0,
    };
    let mut add = |line: Line| {
        println!("{}", report::row(&line));
        lines.push(line);
    };
    let name = format!("{engine}: one CreateMultiple of 1,000 against 1,000 single creates");
    if arguments.wants(&name) {
        let line = Line::new(name, Some(bulk));
        add(bulk_against_singles(arguments, place, &place.api, line).await?);
    }
    let name = format!(
        "{engine}, 2 ms farther away: one CreateMultiple of 1,000 against 1,000 single creates"
    );
    if arguments.wants(&name) {
        let address: SocketAddr = place
            .service
            .url()
            .trim_start_matches("http://")
            .parse()
            .context("the service's address")?;
        let relay = Relay::start(address, LATENCY).await?;
        let api = Api::new(&relay.api())?;
        let line = Line::new(name, Some(20.0));
        add(bulk_against_singles(arguments, place, &api, line).await?);
    }
    let name = format!("{engine}: CreateMultiple of one against Create");
    if arguments.wants(&name) {
        add(bulk_of_one(arguments, place, Line::new(name, Some(0.9))).await?);
    }
    if place.engine == Engine::Sqlite {
        let name =
            format!("{engine}: {CREATORS} concurrent single creators against bare one-row commits");
        if arguments.wants(&name) {
            add(many_creators(arguments, place, Line::new(name, Some(2.0))).await?);
        }
    }
    Ok(())
}

fn action(names: &Names) -> String {
    format!("{}/Microsoft.Dynamics.CRM.CreateMultiple", names.set)
}

async fn bulk_against_singles(
    arguments: &Arguments,
    place: &Place,
    api: &Api,
    mut line: Line,
) -> Result<Line> {
    let (names, _) = place.new_table().await?;
    let mut source = Source::new(arguments.seed, place.accounts.clone());
    for round in 0..=arguments.rounds {
        let rows = source.fresh(ROWS_PER_MESSAGE);
        let bulk = vec![create_multiple_body(&names, &rows)];
        let ours = place.send(api, &action(&names), bulk, 1, 200).await?;
        place.settle().await?;
        let rows = source.fresh(ROWS_PER_MESSAGE);
        let singles: Vec<Bytes> = rows.iter().map(|row| create_body(&names, row)).collect();
        let other = place.send(api, &names.set, singles, 1, 204).await?;
        place.settle().await?;
        if round > 0 {
            line.samples.push(Sample { rows: ROWS_PER_MESSAGE, ours, other });
        }
    }
    Ok(line)
}

async fn bulk_of_one(arguments: &Arguments, place: &Place, mut line: Line) -> Result<Line> {
    let (names, _) = place.new_table().await?;
    let mut source = Source::new(arguments.seed, place.accounts.clone());
    for round in 0..=arguments.rounds {
        let ones: Vec<Bytes> =
            source.fresh(ONES).chunks(1).map(|row| create_multiple_body(&names, row)).collect();
        let ours = place.send(&place.api, &action(&names), ones, 1, 200).await?;
        place.settle().await?;
        let singles: Vec<Bytes> =
            source.fresh(ONES).iter().map(|row| create_body(&names, row)).collect();
        let other = place.send(&place.api, &names.set, singles, 1, 204).await?;
        place.settle().await?;
        if round > 0 {
            line.samples.push(Sample { rows: ONES, ours, other });
        }
    }
    Ok(line)
}

async fn many_creators(arguments: &Arguments, place: &Place, mut line: Line) -> Result<Line> {
    let (names, mut bare) = place.new_table().await?;
    let mut source = Source::new(arguments.seed, place.accounts.clone());
    for round in 0..=arguments.rounds {
        let rows = source.fresh(CREATED);
        let singles: Vec<Bytes> = rows.iter().map(|row| create_body(&names, row)).collect();
        let ours = place.send(&place.api, &names.set, singles, CREATORS, 204).await?;
        place.settle().await?;
        if round == 0 {
            bare.learn(rows[0].id, &rows[0].code).await?;
        }
        let images = bare.read(&Keys::Ids(rows.iter().map(|row| row.id).collect())).await?;
        let (Bare::Sqlite(engine), Images::Sqlite(images)) = (&mut bare, images) else {
            anyhow::bail!("this line is about SQLite");
        };
        let other = tokio::task::block_in_place(|| engine.insert_singly(&images))?;
        if round > 0 {
            line.samples.push(Sample { rows: CREATED, ours, other });
        }
    }
    Ok(line)
}
