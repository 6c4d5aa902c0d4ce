//! The caller's token: given, or asked for with a client's secret and renewed before it ends.
//!
//! In: [`Credential`]. Out: what stands in `Authorization`. Without a token endpoint the service's own
//! challenge names it. Not here: sending requests to the service (`transport`).
//! Invariant: the secret goes to the endpoint that the user named, to the service's own host, or to one of
//! the platform's known sign-in hosts; never to whatever host an answer names.

use crate::transport::{Error, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio::time::Instant;

/// Who calls.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credential {
    /// Nobody in particular.
    #[default]
    None,
    /// The bearer of a token.
    Token(String),
    /// An application with a secret.
    Secret(ClientSecret),
}

/// An application with a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientSecret {
    /// The client id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Where tokens are asked for; by default the service says.
    pub token_url: Option<String>,
    /// The tenant, where the service does not say the right one.
    pub tenant: Option<String>,
}

/// Secrets stay out of logs.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => write!(f, "nobody"),
            Self::Token(_) => write!(f, "the bearer of a token"),
            Self::Secret(secret) => write!(f, "application {}", secret.client_id),
        }
    }
}

/// The platform's sign-in hosts.
const SIGN_IN_HOSTS: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.windows.net",
];
/// A token is renewed so long before its end, or when half of its time is over if that is later.
const RENEWAL: Duration = Duration::from_secs(300);
/// How long a token lasts whose issuer does not say.
const LASTS: Duration = Duration::from_secs(3_599);
const TIMEOUT: Duration = Duration::from_secs(60);

/// The token of the moment.
pub(crate) struct Tokens {
    credential: Credential,
    /// `https://host`
    origin: String,
    held: tokio::sync::Mutex<Held>,
}

#[derive(Default)]
struct Held {
    endpoint: Option<Endpoint>,
    token: Option<String>,
    renew: Option<Instant>,
}

/// Where tokens are asked for, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Endpoint {
    /// The service takes requests without a token.
    NotNeeded,
    At {
        url: String,
        scope: String,
    },
}

/// Why there is no token.
#[derive(Debug)]
pub(crate) enum NoToken {
    /// The way to the issuer failed.
    Unreachable(Error),
    /// The issuer refused: for the caller this is a refused request.
    Refused(Response),
}

impl Tokens {
    pub(crate) fn new(credential: Credential, origin: String) -> Self {
        Self { credential, origin, held: tokio::sync::Mutex::default() }
    }

    /// A token that can be renewed: a refused one may be so because it has ended.
    pub(crate) fn can_renew(&self) -> bool {
        matches!(self.credential, Credential::Secret(_))
    }

    /// The present token; none where none is needed. `refused` is one that the service did not take.
    pub(crate) async fn bearer(
        &self,
        client: &reqwest::Client,
        refused: Option<&str>,
    ) -> Result<Option<String>, NoToken> {
        let secret = match &self.credential {
            Credential::None => return Ok(None),
            Credential::Token(token) => return Ok(Some(token.clone())),
            Credential::Secret(secret) => secret,
        };
        let mut held = self.held.lock().await;
        if refused.is_some() && held.endpoint == Some(Endpoint::NotNeeded) {
            held.endpoint = None;
        }
        let now = Instant::now();
        let is_fresh = held.renew.is_some_and(|renew| now < renew);
        if is_fresh && held.token.is_some() && held.token.as_deref() != refused {
            return Ok(held.token.clone());
        }
        let endpoint = match &held.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => {
                let found = self.find(client, secret).await?;
                held.endpoint.insert(found).clone()
            }
        };
        let Endpoint::At { url, scope } = endpoint else { return Ok(None) };
        let (token, lasts) = ask(client, secret, &url, &scope).await?;
        held.renew = Some(now + lasts.saturating_sub(RENEWAL).max(lasts / 2));
        Ok(held.token.insert(token).clone().into())
    }

    /// Where tokens are asked for: as the user says, or as the service's challenge does.
    async fn find(
        &self,
        client: &reqwest::Client,
        secret: &ClientSecret,
    ) -> Result<Endpoint, NoToken> {
        let scope = |resource: &str| format!("{}/.default", resource.trim_end_matches('/'));
        if let Some(url) = &secret.token_url {
            return Ok(Endpoint::At { url: url.clone(), scope: scope(&self.origin) });
        }
        let url = format!("{}/api/data/", self.origin);
        let answer = client.get(url).timeout(TIMEOUT).send().await;
        let answer = answer.map_err(|error| unreachable(&error))?;
        if answer.status() != reqwest::StatusCode::UNAUTHORIZED {
            return Ok(Endpoint::NotNeeded);
        }
        let header = answer.headers().get("www-authenticate");
        let challenge = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some(authorize) = parameter(challenge, "authorization_uri") else {
            return Err(refused(
                "the service does not say where tokens come from: say --token-url",
            ));
        };
        let url = endpoint(authorize, secret.tenant.as_deref(), &self.origin)
            .map_err(|why| refused(&why))?;
        let resource = parameter(challenge, "resource_id").unwrap_or(&self.origin);
        Ok(Endpoint::At { url, scope: scope(resource) })
    }
}

/// The value of a parameter of a challenge, with or without quotes.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let (_, parameters) = challenge.trim().split_once(' ')?;
    parameters.split(',').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// The token endpoint beside an authorize address, on a host that may see the secret.
fn endpoint(authorize: &str, tenant: Option<&str>, origin: &str) -> Result<String, String> {
    let bad = || {
        format!("the service names no usable address for tokens (`{authorize}`): say --token-url")
    };
    let root = authorize.split("/oauth2/").next().unwrap_or_default();
    let mut url = reqwest::Url::parse(root).map_err(|_| bad())?;
    let own = reqwest::Url::parse(origin).ok();
    let is_own = own.as_ref().is_some_and(|own| own.origin() == url.origin());
    let host = url.host_str().unwrap_or_default();
    let is_known = url.scheme() == "https" && SIGN_IN_HOSTS.contains(&host);
    if !(is_own || is_known) {
        return Err(format!(
            "the service sends its callers to `{host}` for tokens; if the secret may go there, say \
             --token-url"
        ));
    }
    if let Some(tenant) = tenant {
        url.path_segments_mut().map_err(|()| bad())?.clear().push(tenant);
    }
    Ok(format!("{}/oauth2/v2.0/token", url.as_str().trim_end_matches('/')))
}

async fn ask(
    client: &reqwest::Client,
    secret: &ClientSecret,
    url: &str,
    scope: &str,
) -> Result<(String, Duration), NoToken> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        #[serde(default)]
        expires_in: Json,
    }
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", &*secret.client_id),
        ("client_secret", &*secret.client_secret),
        ("scope", scope),
    ];
    let body = fields.map(|(name, value)| format!("{name}={}", crate::service::escaped(value)));
    let request = client
        .post(url)
        .timeout(TIMEOUT)
        .header("Accept", "application/json")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(body.join("&"));
    let answer = request.send().await.map_err(|error| unreachable(&error))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| unreachable(&error))?;
    if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS {
        let text = format!("{url}: the issuer of tokens answers {status}");
        return Err(NoToken::Unreachable(Error::Unsent(text)));
    }
    if !status.is_success() {
        return Err(refused(&told(&body, url, status.as_u16())));
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| refused(&format!("{url} answers no token: is it a token endpoint?")))?;
    Ok((answer.access_token, lasts(&answer.expires_in)))
}

/// Seconds, as a number or a text.
fn lasts(expires_in: &Json) -> Duration {
    let text = expires_in.as_str().and_then(|text| text.trim().parse().ok());
    expires_in.as_u64().or(text).map_or(LASTS, Duration::from_secs)
}

/// What the issuer says, in OAuth's form.
fn told(body: &[u8], url: &str, status: u16) -> String {
    let json: Json = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default();
    match (text("error"), text("error_description")) {
        ("", _) => format!("{url} answers {status} instead of a token"),
        (error, "") => format!("no token: {error}"),
        (error, why) => format!("no token: {error}: {why}"),
    }
}

/// A refusal as the service itself would send it, so that it is treated as one.
fn refused(why: &str) -> NoToken {
    let body = json!({"error": {"code": "0x80040204", "message": why}});
    NoToken::Refused(Response {
        status: 401,
        headers: Vec::new(),
        body: Bytes::from(body.to_string()),
    })
}

fn unreachable(error: &reqwest::Error) -> NoToken {
    NoToken::Unreachable(Error::Unsent(crate::transport::chain(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_with_and_without_quotes() {
        let plain = "Bearer authorization_uri=https://l/t/oauth2/authorize, resource_id=https://o/";
        assert_eq!(parameter(plain, "authorization_uri"), Some("https://l/t/oauth2/authorize"));
        assert_eq!(parameter(plain, "resource_id"), Some("https://o/"));
        let quoted = "Bearer realm=\"\", authorization_uri=\"https://l/t/oauth2/authorize\"";
        assert_eq!(parameter(quoted, "authorization_uri"), Some("https://l/t/oauth2/authorize"));
        assert_eq!(parameter(quoted, "resource_id"), None);
        assert_eq!(parameter("", "resource_id"), None);
    }

    fn check(authorize: &str, tenant: Option<&str>, origin: &str, want: Result<&str, &str>) {
        match (endpoint(authorize, tenant, origin), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{authorize}"),
            (Err(got), Err(want)) => assert!(got.contains(want), "{authorize}: {got}"),
            (got, want) => panic!("{authorize}: is {got:?}, should be {want:?}"),
        }
    }

    #[test]
    fn the_secret_goes_to_hosts_that_may_see_it_alone() {
        let origin = "https://org.example:8443";
        let own = format!("{origin}/t1/oauth2/authorize");
        check(&own, None, origin, Ok("https://org.example:8443/t1/oauth2/v2.0/token"));
        check(&own, Some("t2"), origin, Ok("https://org.example:8443/t2/oauth2/v2.0/token"));
        let entra = "https://login.microsoftonline.com/t/oauth2/authorize";
        check(entra, None, origin, Ok("https://login.microsoftonline.com/t/oauth2/v2.0/token"));
        check("https://evil.example/t/oauth2/authorize", None, origin, Err("evil.example"));
        check("http://org.example:8443/t/oauth2/authorize", None, origin, Err("org.example"));
        let plain = "http://login.microsoftonline.com/t/oauth2/authorize";
        check(plain, None, origin, Err("--token-url"));
        check("nonsense", None, origin, Err("--token-url"));
    }

    #[test]
    fn how_long_a_token_lasts_may_be_a_number_or_a_text() {
        assert_eq!(lasts(&json!(10)), Duration::from_secs(10));
        assert_eq!(lasts(&json!("20")), Duration::from_secs(20));
        assert_eq!(lasts(&Json::Null), LASTS);
    }

    #[test]
    fn a_credential_shows_no_secret() {
        let secret = ClientSecret {
            client_id: "id".to_owned(),
            client_secret: "hush".to_owned(),
            token_url: None,
            tenant: None,
        };
        assert_eq!(format!("{:?}", Credential::Secret(secret)), "application id");
        assert!(!format!("{:?}", Credential::Token("hush".to_owned())).contains("hush"));
    }
}
