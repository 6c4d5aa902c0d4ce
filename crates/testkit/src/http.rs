//! Plain requests to the Web API: bytes out, status and bytes back.
//!
//! In: a path and a prepared body. Out: an [`Answer`], whatever its status.
//! Not here: retries, meaning, or anything of our own client: shared code would hide a shared mistake.
//! Invariant: an `Err` says that no whole answer came; what the service did then is unknown.

use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;

/// A message of a thousand rows takes well under a second; recovery after a crash comes before listening.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);

/// One service's Web API. Cheap to clone; connections are kept and shared.
#[derive(Debug, Clone)]
pub struct Api {
    client: reqwest::Client,
    root: String,
    /// What stands in `Authorization`.
    bearer: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// What came back, headers included.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The status code.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// What came back, its body in the pieces in which it came: putting them together costs as much as receiving them.
#[derive(Debug, Clone)]
pub struct Pieces {
    /// The status code.
    pub status: u16,
    /// The pieces of the body.
    pub body: Vec<Bytes>,
}

impl Pieces {
    /// The last bytes of the body, so many at most.
    pub fn tail(&self, length: usize) -> Vec<u8> {
        let mut from = self.body.len();
        let mut found = 0;
        while let Some(piece) = from.checked_sub(1).filter(|_| found < length) {
            found += self.body[piece].len();
            from = piece;
        }
        let mut tail = self.body[from..].concat();
        tail.drain(..tail.len().saturating_sub(length));
        tail
    }
}

impl Api {
    /// `root` is the URL of the Web API with a slash at its end: `http://…/api/data/v9.2/`.
    pub fn new(root: &str) -> Result<Api> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Only fails if there is one already, which serves as well.
            let _installed = rustls::crypto::ring::default_provider().install_default();
        });
        let client = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .timeout(ANSWER_PATIENCE)
            .build()
            .context("could not make an HTTP client")?;
        Ok(Api { client, root: root.to_owned(), bearer: None })
    }

    /// The same connections, with this token in every request but [`Api::exchange`]s.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Api {
        Api { bearer: Some(format!("Bearer {token}")), ..self.clone() }
    }

    /// The same service with connections of its own, for a runtime of its own.
    pub fn anew(&self) -> Result<Api> {
        Ok(Api { bearer: self.bearer.clone(), ..Api::new(&self.root)? })
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
        self.send(Method::POST, path, Some(body.into())).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
        self.send(Method::PATCH, path, Some(body.into())).await
    }

    /// `GET`; `path` may also be an absolute URL, as in a next link.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, None).await
    }

    /// Reads a collection page by page; returns how many rows there were.
    pub async fn get_pages(
        &self,
        path: &str,
        mut take: impl FnMut(Vec<Value>) -> Result<()>,
    ) -> Result<usize> {
        let mut count = 0;
        let mut next = path.to_owned();
        loop {
            let mut page = self.get(&next).await?.expect(200)?;
            match page.get_mut("value").map(Value::take) {
                Some(Value::Array(rows)) => {
                    count += rows.len();
                    take(rows)?;
                }
                _ => bail!("`{next}` answered no `value`"),
            }
            match page.get("@odata.nextLink").and_then(Value::as_str) {
                Some(link) => next = link.to_owned(),
                None => return Ok(count),
            }
        }
    }

    /// `GET` of an absolute URL with these headers, the body as it comes.
    pub async fn pieces(&self, url: &str, headers: &[(&str, &str)]) -> Result<Pieces> {
        let mut request = self.client.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send().await?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            body.push(piece);
        }
        Ok(Pieces { status: response.status().as_u16(), body })
    }

    /// Any request at an absolute URL, with exactly these headers.
    pub async fn exchange(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        body: impl Into<Bytes>,
    ) -> Result<Exchange> {
        let mut request = self.client.request(Method::from_bytes(method.as_bytes())?, url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = body.into();
        // Without this a `POST` without a body has no length, which some services refuse.
        let has_body = !body.is_empty() || matches!(method, "POST" | "PATCH" | "PUT");
        let response = if has_body { request.body(body) } else { request }.send().await?;
        let status = response.status().as_u16();
        let lines = response.headers().iter();
        let headers = lines
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        Ok(Exchange { status, headers, body: response.bytes().await? })
    }

    async fn send(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Answer> {
        let is_absolute = path.starts_with("http://") || path.starts_with("https://");
        let url = if is_absolute { path.to_owned() } else { format!("{}{path}", self.root) };
        let mut request = self
            .client
            .request(method, url)
            .header("Accept", "application/json")
            .header("OData-Version", "4.0");
        if let Some(bearer) = &self.bearer {
            request = request.header("Authorization", bearer);
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok(Answer { status, body: response.bytes().await? })
    }
}

impl Answer {
    /// The body as JSON, null if it is empty; fails, showing the answer, if the status is another.
    pub fn expect(&self, status: u16) -> Result<Value> {
        if self.status != status {
            let text = String::from_utf8_lossy(&self.body);
            let shown: String = text.chars().take(600).collect();
            bail!("answered {} instead of {status}: {shown}", self.status);
        }
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).context("the answer is no JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_body_reaches_over_its_pieces() {
        let body = ["one", "two", "three"].map(Bytes::from).to_vec();
        let pieces = Pieces { status: 200, body };
        assert_eq!(pieces.tail(4), b"hree");
        assert_eq!(pieces.tail(7), b"wothree");
        assert_eq!(pieces.tail(100), b"onetwothree");
        assert_eq!(Pieces { status: 200, body: Vec::new() }.tail(5), b"");
    }
}
