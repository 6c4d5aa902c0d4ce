//! Loads a file into a table: `load URL TABLE FILE`, rows matched by the alternate key `Code`.
//!
//! What a program needs that has rows and a table: a way to the service, options, and a look at what happens. A
//! file's name says how it is written and whether it is compressed.

use client::controller::Setting;
use client::ids::Seed;
use client::journal::Outcome;
use client::sender::Event;
use client::service::Service;
use client::set::{Call, Care, Options, Pace, RETRIEVAL_SIZE, Wish, set};
use client::source::open_rows;
use client::transport::{Address, Http};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    println!("{}", run(&words).await?);
    Ok(())
}

/// Loads, and says how it went.
pub(crate) async fn run(words: &[String]) -> Result<String, Box<dyn Error>> {
    let [url, table, file] = words else { return Err("give URL, TABLE and FILE".into()) };
    let (url, table, file) = (url.clone(), table.clone(), PathBuf::from(file));

    // Who calls: nobody here; `Credential` has tokens and client secrets.
    let service = Service::new(Arc::new(Http::new(&Address { url, ..Address::default() })?));

    let options = Options {
        table,
        // Records are found by `Code`; what is there already and equal is not sent.
        wish: Wish { match_on: vec![vec!["Code".to_owned()]], ..Wish::default() },
        lookups: client::lookup::Rules::default(),
        retrieval_size: RETRIEVAL_SIZE,
        rules: client::mapping::Rules::default(),
        // The width learns; messages have 100 rows.
        pace: Pace { size: Setting::Fixed(100), ..Pace::default() },
        rejects: None,
        errors: None,
        // Ids of new records grow from the seed: the same seed gives the same ids.
        seed: Seed { started_ms: 1_700_000_000_000, random: 42 },
        selection: None,
        care: Care::default(),
        call: Call::default(),
        what_if: false,
        confirm: None,
        ordered: false,
        pass_thru: None,
    };
    let (bytes, format) = open_rows(&file)?;

    let mut failed = Vec::new();
    let loaded = set(&service, &options, bytes, format, None, None, &mut |event| {
        if let Event::Ended { row, problem: Some(problem), .. } = event {
            failed.push(format!("line {}: {problem}", row.entry().line));
        }
    })
    .await?;

    // Every row has exactly one outcome, and they add up.
    let counts = loaded.summary.counts;
    match counts.of(Outcome::Failed) {
        0 => Ok(format!("{counts}; {} requests", loaded.summary.requests)),
        _ => Err(format!("{counts}: {}", failed.join("; ")).into()),
    }
}
