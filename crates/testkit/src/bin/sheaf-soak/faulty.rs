//! A service that is hard to reach: a proxy that refuses some requests, and cuts some connections after the service has
//! done what it was asked.
//!
//! In: the address of a service, shares and a seed. Out: an address, and how often what happened.
//! Not here: what a client makes of it (`client`).
//! Invariant: a request that is refused here has not reached the service; one whose connection is cut was carried out
//! and answered.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use testkit::draw::Draw;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Of a hundred requests so many are answered 429 or 503, …
const REFUSED: u64 = 2;
/// … and so many are carried out, and their answer is lost.
const CUT: u64 = 1;
/// A head is no longer than this.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) cut: AtomicU64,
}

/// Relays requests until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    url: String,
    pub(crate) tally: Arc<Tally>,
    _tasks: JoinSet<()>,
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Relayed,
    TooMany,
    Unavailable,
    Cut,
}

impl Proxy {
    /// Listens on a free port of loopback.
    pub(crate) async fn start(service: &str, seed: u64) -> Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let target = service.strip_prefix("http://").context("a plain address")?.to_owned();
        let tally = Arc::new(Tally::default());
        let draw = Arc::new(Mutex::new(Draw::new(seed)));
        let counted = Arc::clone(&tally);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let (target, draw) = (target.clone(), Arc::clone(&draw));
                let tally = Arc::clone(&counted);
                connections.spawn(async move {
                    // A broken connection is the client's to notice: its end is closed, too.
                    let _ended = relay(near, &target, &draw, &tally).await;
                });
            }
        });
        Ok(Proxy { url, tally, _tasks: tasks })
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn relay(near: TcpStream, target: &str, draw: &Mutex<Draw>, tally: &Tally) -> Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (mut near, mut far) = (BufReader::new(near), BufReader::new(far));
    while let Some(request) = message(&mut near, true).await? {
        tally.requests.fetch_add(1, Ordering::Relaxed);
        let fate = {
            let mut draw = draw.lock().map_err(|_| anyhow::anyhow!("a draw panicked"))?;
            fate(draw.below(100), draw.below(2))
        };
        if matches!(fate, Fate::TooMany | Fate::Unavailable) {
            tally.refused.fetch_add(1, Ordering::Relaxed);
            near.write_all(refusal(fate).as_bytes()).await?;
            continue;
        }
        far.write_all(&request).await?;
        let answer = message(&mut far, false).await?.context("an answer")?;
        if fate == Fate::Cut {
            tally.cut.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        near.write_all(&answer).await?;
    }
    Ok(())
}

/// What becomes of a request, by two draws.
fn fate(of_hundred: u64, of_two: u64) -> Fate {
    match (of_hundred, of_two) {
        (..REFUSED, 0) => Fate::TooMany,
        (..REFUSED, _) => Fate::Unavailable,
        (drawn, _) if drawn < REFUSED + CUT => Fate::Cut,
        _ => Fate::Relayed,
    }
}

fn refusal(fate: Fate) -> String {
    let (status, body) = match fate {
        Fate::TooMany => (
            "429 Too Many Requests",
            r#"{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit"}}"#,
        ),
        Fate::Unavailable | Fate::Relayed | Fate::Cut => ("503 Service Unavailable", "busy"),
    };
    format!("HTTP/1.1 {status}\r\nretry-after: 1\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// One whole message of HTTP/1.1; none where the connection ended before it began.
async fn message(from: &mut BufReader<TcpStream>, is_request: bool) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let (mut length, mut is_chunked, mut has_body) = (0, false, true);
    loop {
        let start = bytes.len();
        if from.read_until(b'\n', &mut bytes).await? == 0 {
            ensure!(start == 0, "a message without its end");
            return Ok(None);
        }
        ensure!(bytes.len() < HEAD_BYTES_MAX, "a head without its end");
        let line = String::from_utf8_lossy(&bytes[start..]).trim_end().to_ascii_lowercase();
        if start == 0 {
            let status = line.split(' ').nth(1).unwrap_or_default();
            has_body = is_request || !matches!(status, "204" | "304");
        } else if line.is_empty() {
            break;
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        } else if let Some(value) = line.strip_prefix("transfer-encoding:") {
            is_chunked = value.contains("chunked");
        }
    }
    if !has_body {
        return Ok(Some(bytes));
    }
    if !is_chunked {
        exactly(from, length, &mut bytes).await?;
        return Ok(Some(bytes));
    }
    loop {
        let start = bytes.len();
        ensure!(from.read_until(b'\n', &mut bytes).await? > 0, "a chunk without its end");
        let line = String::from_utf8_lossy(&bytes[start..]).into_owned();
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).context("the length of a chunk")?;
        if size == 0 {
            // Trailers, if any, and an empty line.
            loop {
                let start = bytes.len();
                ensure!(from.read_until(b'\n', &mut bytes).await? > 0, "a body without its end");
                if bytes[start..].trim_ascii().is_empty() {
                    return Ok(Some(bytes));
                }
            }
        }
        exactly(from, size + 2, &mut bytes).await?;
    }
}

async fn exactly(from: &mut BufReader<TcpStream>, more: usize, to: &mut Vec<u8>) -> Result<()> {
    let start = to.len();
    to.resize(start + more, 0);
    from.read_exact(&mut to[start..]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_requests_two_are_refused_and_one_is_cut() {
        let fates: Vec<Fate> = (0..100).map(|drawn| fate(drawn, drawn % 2)).collect();
        let count = |fate| fates.iter().filter(|other| **other == fate).count();
        let counts = [Fate::TooMany, Fate::Unavailable, Fate::Cut, Fate::Relayed].map(count);
        assert_eq!(counts, [1, 1, 1, 97]);
    }

    #[tokio::test]
    async fn whole_messages_are_read_whatever_says_where_they_end() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut writer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (reader, _) = listener.accept().await.unwrap();
        let texts = [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ];
        writer.write_all(texts.concat().as_bytes()).await.unwrap();
        drop(writer);
        let mut reader = BufReader::new(reader);
        for text in texts {
            let read = message(&mut reader, false).await.unwrap();
            assert_eq!(read.as_deref(), Some(text.as_bytes()));
        }
        assert_eq!(message(&mut reader, false).await.unwrap(), None);
    }
}
