//! `sheaf-play`: plays the scenarios of `conformance/` over HTTP against a running service.
//!
//! In: the service's URL. Out: every failure with file and line, the counts, exit code 1 if any failed.
//! Not here: what a file means (`testkit::scenario`), starting a service.
//! Invariant: only rows of the fixture's tables, and rows that the files made, are deleted there.

#![expect(clippy::print_stdout, reason = "a command-line tool speaks on standard output")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use testkit::http::Api;
use testkit::scenario::play::{Client, Outcome, Request, Response};
use testkit::scenario::{fixture, folder, parse};

/// Plays scenario files against a service.
#[derive(Debug, Parser)]
struct Arguments {
    /// `scheme://host[:port]` of the service.
    url: String,
    /// Only files whose path contains this.
    filter: Option<String>,
    /// A bearer token, sent with every request.
    #[arg(long)]
    token: Option<String>,
    /// What the service has beyond standard tables: `batch`, `elastic`, … Files that need others are skipped.
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// What the names of the fixture's tables begin with there; made if they are absent.
    #[arg(long, default_value = fixture::PREFIX)]
    prefix: String,
    /// Another folder of scenario files.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let prefix = &arguments.prefix;
    ensure!(
        prefix.ends_with('_') && prefix.len() <= 9,
        "`--prefix` is 2 to 8 letters and digits and an underscore, as in `{}`",
        fixture::PREFIX
    );
    let home = arguments.folder.clone().unwrap_or_else(folder::home);
    let mut files = folder::read(&home, prefix)?;
    if let Some(piece) = &arguments.filter {
        files.scenarios.retain(|file| file.place.contains(piece));
        ensure!(!files.scenarios.is_empty(), "no file's path contains `{piece}`");
    }
    let origin = arguments.url.trim_end_matches('/').to_owned();
    let api = Api::new(&format!("{origin}{}", parse::SERVICE_ROOT))?;
    let token = arguments.token.clone();
    let base = origin.clone();
    let send = async move |mut request: Request| {
        if let Some(token) = &token {
            request.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        }
        send(&api, &base, request).await.map_err(|error| format!("{error:#}"))
    };
    let client = Client { origin, prefix: prefix.clone(), send };
    let made = fixture::prepare(&client, &files.fixture, &arguments.features).await;
    made.map_err(|why| anyhow!("{why}")).context("the fixture's tables cannot be made")?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    for file in &files.scenarios {
        outcomes.push(client.play(&file.place, &file.text, &arguments.features).await);
    }
    fixture::wipe(&client, &arguments.features).await.map_err(|why| anyhow!("{why}"))?;
    let (summary, is_good) = folder::summary(&arguments.url, &outcomes);
    println!("{summary}");
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn send(api: &Api, origin: &str, request: Request) -> Result<Response> {
    let url = format!("{origin}{}", request.target);
    let answer = api.exchange(&request.method, &url, &request.headers, request.body).await?;
    Ok(Response {
        status: answer.status,
        headers: answer.headers,
        body: String::from_utf8_lossy(&answer.body).into_owned(),
    })
}
