//! A relay in front of a service that notes every request that passes, as the wire has it.
//!
//! In: connections of any client that speaks plain HTTP/1.1. Out: the same bytes on the other side, and [`Passed`]: verbs
//! and addresses in the order in which they came; those inside of a `$batch` one by one.
//! Not here: answers; they go back unread.
//! Invariant: a request that cannot be told apart from the next one ends its connection, so that none passes unseen.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 256 << 10;
const BUFFER_BYTES: usize = 64 << 10;

/// A request that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Its verb.
    pub method: String,
    /// Its address without what all of the service have in common, and without its query.
    pub path: String,
}

impl Passed {
    /// Whether it may change rows.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.method != "GET"
    }
}

/// A relay that runs. It ends with this value.
#[derive(Debug)]
pub struct Relay {
    url: String,
    passed: Arc<Mutex<Vec<Passed>>>,
    _connections: JoinSet<()>,
}

impl Relay {
    /// Listens on a free port of loopback; `service` is `http://HOST:PORT`.
    pub async fn start(service: &str) -> Result<Relay> {
        let to = service.strip_prefix("http://").context("only plain HTTP passes")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let passed: Arc<Mutex<Vec<Passed>>> = Arc::default();
        let mut accepting = JoinSet::new();
        let notes = Arc::clone(&passed);
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (to, notes) = (to.clone(), Arc::clone(&notes));
                connections.spawn(async move {
                    // What goes wrong ends the connection, which the client sees.
                    let _ended = connect(client, &to, &notes).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Relay { url, passed, _connections: accepting })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What has passed since the last time that this was asked.
    #[must_use]
    pub fn take(&self) -> Vec<Passed> {
        std::mem::take(&mut *self.passed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn connect(client: TcpStream, to: &str, notes: &Mutex<Vec<Passed>>) -> Result<()> {
    let service = TcpStream::connect(to).await?;
    client.set_nodelay(true)?;
    service.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_service, mut to_service) = service.into_split();
    let there = async {
        let mut reader = Reader::default();
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = from_client.read(&mut buffer).await?;
            if count == 0 {
                to_service.shutdown().await?;
                return Ok(());
            }
            // Noted before it passes: who sees its answer finds it here.
            let seen = reader.read(&buffer[..count])?;
            notes.lock().unwrap_or_else(PoisonError::into_inner).extend(seen);
            to_service.write_all(&buffer[..count]).await?;
        }
    };
    let back = async {
        tokio::io::copy(&mut from_service, &mut to_client).await?;
        to_client.shutdown().await?;
        anyhow::Ok(())
    };
    tokio::try_join!(there, back)?;
    Ok(())
}

/// Tells requests of one connection apart.
#[derive(Default)]
struct Reader {
    /// The head of the next request, as far as it is there; of a `$batch` its body, too.
    held: Vec<u8>,
    /// Bytes of a body that are still to come, and are not looked at.
    left: usize,
}

impl Reader {
    fn read(&mut self, mut bytes: &[u8]) -> Result<Vec<Passed>> {
        let mut seen = Vec::new();
        loop {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            self.held.extend_from_slice(&bytes[skipped..]);
            bytes = &[];
            let Some(end) = self.held.windows(4).position(|four| four == b"\r\n\r\n") else {
                if self.held.len() > HEAD_BYTES_MAX {
                    bail!("the head of a request has no end");
                }
                return Ok(seen);
            };
            let head = std::str::from_utf8(&self.held[..end])?.to_owned();
            let length = body_length(&head)?;
            let (method, path) = request_line(head.lines().next().unwrap_or_default())
                .with_context(|| format!("`{head}` is no request"))?;
            let whole = end + 4 + length;
            if path == "$batch" {
                if self.held.len() < whole {
                    return Ok(seen);
                }
                let body = String::from_utf8_lossy(&self.held[end + 4..whole]).into_owned();
                let inner = body.lines().filter_map(request_line);
                seen.extend(inner.map(|(method, path)| Passed { method, path }));
            } else {
                seen.push(Passed { method, path });
            }
            let there = whole.min(self.held.len());
            self.left = whole - there;
            self.held.drain(..there);
        }
    }
}

/// How long the body is that follows a head.
fn body_length(head: &str) -> Result<usize> {
    let mut length = 0;
    for line in head.lines().skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            bail!("a body without a length");
        }
    }
    Ok(length)
}

/// `GET /api/data/v9.2/accounts?… HTTP/1.1`
fn request_line(line: &str) -> Option<(String, String)> {
    let (method, rest) = line.split_once(' ')?;
    let address = rest.trim_end().strip_suffix(" HTTP/1.1")?;
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let path = address.split('?').next()?;
    let path = path.split_once("/api/data/v9.2/").map_or(path, |(_, path)| path);
    Some((method.to_owned(), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_however_their_bytes_come() {
        let batch = "--b\r\nContent-Type: application/http\r\n\r\nGET accounts?$filter=x HTTP/1.1\r\n\r\n\r\n--b\r\n\
                     Content-Type: application/http\r\n\r\nPATCH /api/data/v9.2/accounts(1) HTTP/1.1\r\n\r\n{}\r\n--b--\r\n";
        let body = "GET no HTTP/1.1\r\n\r\nDELETE no.";
        let text = format!(
            "GET /api/data/v9.2/WhoAmI HTTP/1.1\r\nHost: x\r\n\r\n\
             POST /api/data/v9.2/accounts HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}\
             POST /api/data/v9.2/$batch HTTP/1.1\r\ncontent-length: {}\r\n\r\n{batch}\
             GET /api/data/v9.2/contacts?$top=1 HTTP/1.1\r\n\r\n",
            body.len(),
            batch.len()
        );
        let want = "GET WhoAmI, POST accounts, GET accounts, PATCH accounts(1), GET contacts";
        for size in [1, 2, 7, 64, 1_000] {
            let mut reader = Reader::default();
            let mut seen = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                seen.extend(reader.read(piece).unwrap());
            }
            let got: Vec<String> =
                seen.iter().map(|one| format!("{} {}", one.method, one.path)).collect();
            assert_eq!(got.join(", "), want, "{size} bytes at a time");
        }
        let chunked = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(Reader::default().read(chunked).is_err());
    }
}
