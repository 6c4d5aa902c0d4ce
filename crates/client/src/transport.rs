//! How a request reaches the service: a door with the HTTP transport and the simulator behind it.
//!
//! Not here: what an answer means (`verdict`), when to send again (`retry`); but a token that has ended is
//! renewed here, once, and nothing was done meanwhile.
//! Invariant: [`Error::Unsent`] and [`Error::Issuer`] only when the service certainly has not seen the request.

use crate::secret::Secret;
use crate::token::{Credential, NoToken, Prompt, Tokens, advice, grant};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The methods that the client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates, and every bulk message.
    Post,
    /// Updates or upserts one record.
    Patch,
    /// Deletes one record.
    Delete,
}

impl Method {
    /// The verb.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path below the service root, or an absolute URL that the service gave.
    pub path: String,
    /// Headers besides those that every request has.
    pub headers: Vec<(&'static str, String)>,
    /// The body; empty for none. JSON unless a header says otherwise.
    pub body: Bytes,
}

impl Request {
    /// A request without body.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::Get, path: path.into(), headers: Vec::new(), body: Bytes::new() }
    }

    /// A request with a body.
    pub fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { method: Method::Post, path: path.into(), headers: Vec::new(), body: body.into() }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// One answer, read to its end.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The first value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Whether the status says success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The service has not seen the request.
    #[error("{0}")]
    Unsent(String),
    /// The service may have carried out the request.
    #[error("{0}")]
    Lost(String),
    /// The service has not seen the request: the issuer of tokens is not to be reached.
    #[error("no token for the service: {0}")]
    Issuer(String),
}

/// The way to the service.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one request and reads the whole answer.
    ///
    /// Errors: only when there is no complete answer; any HTTP status is an answer.
    async fn send(&self, request: Request) -> Result<Response, Error>;

    /// How many identities it sends as, each with limits of its own.
    fn identities(&self) -> usize {
        1
    }

    /// Sends as one of them; those are counted from 0.
    async fn send_as(&self, identity: usize, request: Request) -> Result<Response, Error> {
        debug_assert_eq!(identity, 0, "there is one alone");
        self.send(request).await
    }

    /// What the user calls one of them.
    fn name(&self, _identity: usize) -> &str {
        ""
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        (**self).send(request).await
    }

    fn identities(&self) -> usize {
        (**self).identities()
    }

    async fn send_as(&self, identity: usize, request: Request) -> Result<Response, Error> {
        (**self).send_as(identity, request).await
    }

    fn name(&self, identity: usize) -> &str {
        (**self).name(identity)
    }
}

/// HTTP/1.1 with kept-alive connections, without cookies.
pub struct Http {
    client: reqwest::Client,
    origin: String,
    root: String,
    tokens: Tokens,
}

/// Where the service is and who calls.
#[derive(Clone, Debug, Default)]
pub struct Address {
    /// `http://host:port`, with or without `/api/data/vX.Y`.
    pub url: String,
    /// Who calls.
    pub credential: Credential,
    /// Certificates of authorities that are trusted besides the system's, PEM.
    pub authorities: Option<Vec<u8>>,
}

/// The URL is unusable, or TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` is not usable as the service's address: {why}")]
pub struct BadAddress {
    url: String,
    why: String,
}

const API: &str = "/api/data/";
const WRITE_TIMEOUT: Duration = Duration::from_secs(240);
const READ_TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// As many idle connections as there can be requests in flight, and some for reads.
const IDLE_CONNECTIONS_MAX: usize = 64;

impl Http {
    /// Prepares the connections; nothing is sent yet. One per runtime.
    pub fn new(address: &Address) -> Result<Self, BadAddress> {
        let bad = |why: String| BadAddress { url: address.url.clone(), why };
        // An error only says that a provider is installed already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let url = reqwest::Url::parse(&address.url).map_err(|err| bad(err.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad("it must begin with http:// or https://".to_owned()));
        }
        let authorities = match &address.authorities {
            Some(pem) => reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|err| bad(format!("its authority cannot be read: {err}")))?,
            None => Vec::new(),
        };
        let client = reqwest::Client::builder()
            .tls_certs_merge(authorities)
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("sheaf/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|err| bad(err.to_string()))?;
        let base = address.url.trim_end_matches('/');
        let root =
            if base.contains(API) { format!("{base}/") } else { format!("{base}{API}v9.2/") };
        let origin = url.origin().ascii_serialization();
        let tokens = Tokens::new(address.credential.clone(), origin.clone());
        Ok(Self { client, origin, root, tokens })
    }

    /// The root that paths are below, with a final slash.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The caller's present token, asked for or renewed where it must be; none where none is needed.
    ///
    /// Errors: [`Error::Unsent`] where the issuer refuses, too.
    pub async fn token(&self) -> Result<Option<Secret>, Error> {
        self.tokens.bearer(&self.client, None).await.map_err(|none| match none {
            NoToken::Unreachable(error) => error,
            none @ NoToken::Refused(_) => Error::Issuer(none.text()),
        })
    }

    /// When the present token is to be asked for again; none where there is none, or none that is renewed.
    pub async fn token_renews_at(&self) -> Option<tokio::time::Instant> {
        self.tokens.renews_at().await
    }

    /// Lets the person of the credential sign in with a code, of which `tell` is told.
    ///
    /// Errors: [`Error::Issuer`] where the issuer refuses, too.
    pub async fn sign_in(&self, tell: &mut (dyn FnMut(&Prompt) + Send)) -> Result<(), Error> {
        self.tokens.sign_in(&self.client, tell).await.map_err(|none| match none {
            NoToken::Unreachable(error) => error,
            none @ NoToken::Refused(_) => Error::Issuer(none.text()),
        })
    }

    /// The token goes to the service only, whatever absolute URL an answer named.
    fn url_of(&self, path: &str) -> Result<String, Error> {
        if !path.contains("://") {
            return Ok(format!("{}{path}", self.root));
        }
        match reqwest::Url::parse(path) {
            Ok(url) if url.origin().ascii_serialization() == self.origin => Ok(path.to_owned()),
            // Behind a proxy the service may call itself by another name: keep path and query.
            Ok(url) => match (url.path().find(API), url.query()) {
                (Some(_), query) => Ok(format!(
                    "{}{}{}{}",
                    self.origin,
                    url.path(),
                    if query.is_some() { "?" } else { "" },
                    query.unwrap_or_default()
                )),
                (None, _) => {
                    Err(Error::Unsent(format!("the service named a foreign address: {path}")))
                }
            },
            Err(err) => Err(Error::Unsent(format!("bad address `{path}`: {err}"))),
        }
    }
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        let token = match self.tokens.bearer(&self.client, None).await {
            Ok(token) => token,
            Err(NoToken::Refused(response)) => return Ok(response),
            Err(NoToken::Unreachable(err)) => return Err(err),
        };
        if !self.tokens.can_renew() {
            return self
                .send_with(request, token.as_ref())
                .await
                .map(|answer| self.advised(answer));
        }
        let response = self.send_with(request.clone(), token.as_ref()).await?;
        if response.status != 401 {
            return Ok(response);
        }
        // Nothing was done: a request without a good token is not looked at.
        let refused = token.as_ref().map(Secret::expose).unwrap_or_default();
        match self.tokens.bearer(&self.client, Some(refused)).await {
            Ok(next) if next != token => {
                self.send_with(request, next.as_ref()).await.map(|answer| self.advised(answer))
            }
            Ok(_) | Err(NoToken::Unreachable(_)) => Ok(self.advised(response)),
            Err(NoToken::Refused(response)) => Ok(response),
        }
    }
}

impl Http {
    /// Adds to a refusal of the caller what can be done about it.
    fn advised(&self, mut response: Response) -> Response {
        if response.status != 401 {
            return response;
        }
        let mut json: serde_json::Value =
            serde_json::from_slice(&response.body).unwrap_or_default();
        let said =
            json["error"]["message"].as_str().unwrap_or("the service does not take the caller");
        let said = said.trim_end_matches('.');
        let clock = grant::skew(response.header("date")).map(advice::clock).unwrap_or_default();
        let next = self.tokens.advice().map(|next| format!(" → {next}")).unwrap_or_default();
        if clock.is_empty() && next.is_empty() {
            return response;
        }
        let said = format!("{said}{next}{clock}");
        let code = json["error"]["code"].take();
        let code = code.as_str().unwrap_or("0x80040204");
        let body = serde_json::json!({"error": {"code": code, "message": said}});
        response.body = body.to_string().into();
        response
    }

    async fn send_with(&self, request: Request, token: Option<&Secret>) -> Result<Response, Error> {
        let (method, timeout) = match request.method {
            Method::Get => (reqwest::Method::GET, READ_TIMEOUT),
            Method::Post => (reqwest::Method::POST, WRITE_TIMEOUT),
            Method::Patch => (reqwest::Method::PATCH, WRITE_TIMEOUT),
            Method::Delete => (reqwest::Method::DELETE, WRITE_TIMEOUT),
        };
        let mut builder = self
            .client
            .request(method, self.url_of(&request.path)?)
            .timeout(timeout)
            .header("Accept", "application/json")
            .header("OData-MaxVersion", "4.0")
            .header("OData-Version", "4.0");
        if let Some(token) = token {
            builder = builder.bearer_auth(token.expose());
        }
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        // Without this a request that may have a body and has none tells no length.
        if !request.body.is_empty() || matches!(request.method, Method::Post | Method::Patch) {
            let is_named = |(name, _): &(&str, String)| name.eq_ignore_ascii_case("content-type");
            if !request.headers.iter().any(is_named) {
                builder = builder.header("Content-Type", "application/json");
            }
            builder = builder.body(request.body);
        }
        let answer = builder.send().await.map_err(|err| no_answer(&err))?;
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
            .collect();
        let body = answer.bytes().await.map_err(|err| Error::Lost(chain(&err)))?;
        Ok(Response { status, headers, body })
    }
}

fn no_answer(err: &reqwest::Error) -> Error {
    if err.is_connect() || err.is_builder() {
        Error::Unsent(chain(err))
    } else {
        Error::Lost(chain(err))
    }
}

/// The texts of an error and its causes, without what they repeat of each other.
pub(crate) fn chain(err: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    // Its own text says no more than the address, unless it has no cause.
    let mut cause: Option<&dyn std::error::Error> =
        Some(std::error::Error::source(err).unwrap_or(err));
    while let Some(err) = cause {
        texts.push(err.to_string());
        cause = err.source();
    }
    let is_news = |place: &usize| {
        let later = texts.iter().skip(place + 1);
        !later
            .clone()
            .any(|other| texts[*place].contains(other.as_str()) || other.contains(&texts[*place]))
    };
    let news: Vec<&str> =
        (0..texts.len()).filter(is_news).map(|place| texts[place].as_str()).collect();
    match err.url() {
        Some(url) => format!("{url}: {}", news.join(": ")),
        None => news.join(": "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, path: &str, want: Option<&str>) {
        let http = Http::new(&Address { url: url.to_owned(), ..Address::default() }).expect(url);
        assert_eq!(http.url_of(path).ok().as_deref(), want, "{url} {path}");
    }

    #[test]
    fn paths_hang_below_the_root_and_absolute_links_stay_with_the_service() {
        let root = "http://127.0.0.1:8080/api/data/v9.2/";
        check("http://127.0.0.1:8080", "accounts", Some(&format!("{root}accounts")));
        check("http://127.0.0.1:8080/", "accounts", Some(&format!("{root}accounts")));
        check("http://h:1/api/data/v9.1", "a", Some("http://h:1/api/data/v9.1/a"));
        check(
            "http://h:1",
            "http://h:1/api/data/v9.2/a?$top=1",
            Some("http://h:1/api/data/v9.2/a?$top=1"),
        );
        check(
            "http://h:1",
            "https://inner/api/data/v9.2/a?b",
            Some("http://h:1/api/data/v9.2/a?b"),
        );
        check("http://h:1", "https://elsewhere/a", None);
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for url in ["", "localhost:8080", "ftp://x", "http://"] {
            let address = Address { url: url.to_owned(), ..Address::default() };
            assert!(Http::new(&address).is_err(), "{url}");
        }
    }
}
