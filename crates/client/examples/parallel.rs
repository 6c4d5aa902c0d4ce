//! Works on many items at once: `parallel URL`, every item a step of the program's own with a connection of its own.
//!
//! The items are numbers here, and a step asks the service who calls; think of rows and of whatever they need.

use client::parallel::{Settings, parallel};
use client::service::Service;
use client::transport::{Address, Http, Request};
use futures_util::{FutureExt, stream};
use std::error::Error;
use std::sync::Arc;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    println!("{}", run(&words).await?);
    Ok(())
}

/// Works, and says how it went.
pub(crate) async fn run(words: &[String]) -> Result<String, Box<dyn Error>> {
    let [url] = words else { return Err("give URL".into()) };
    let url = url.clone();
    let service = Service::new(Arc::new(Http::new(&Address { url, ..Address::default() })?));

    // 1,000 items in chunks of 50, at most four at a time; what steps give comes in the order of the items.
    let settings = Settings { chunk_size: 50, width: 4, is_ordered: true, ..Settings::default() };
    let items = stream::iter(0..1_000_u32);

    let mut sums = Vec::new();
    let summary = parallel(
        settings,
        items,
        // Cloned once for each of the four workers: clones share connections and token.
        &service,
        |service: Arc<Service>, chunk| {
            async move {
                let who = service.ask(Request::get("WhoAmI"), "who calls").await;
                who.map(|_| chunk.items.iter().sum::<u32>()).map_err(|err| err.to_string())
            }
            .boxed()
        },
        None,
        // What became of each chunk: an error fails its chunk alone.
        |number, result| sums.push((number, result)),
    )
    .await;

    let total: u32 = sums.iter().filter_map(|(_, sum)| sum.as_ref().ok()).sum();
    if let Some((number, Err(why))) = sums.iter().find(|(_, sum)| sum.is_err()) {
        return Err(format!("chunk {number} failed: {why}").into());
    }
    let chunks = summary.well;
    Ok(format!("{} items in {chunks} chunks; the sum is {total}", summary.items))
}
