//! Who gets a token: the grants of the token endpoint.
//!
//! In: a form. Out: [`Granted`], or why not. Not here: addresses, the token itself (`issuer`).
//! Invariant: outside development no token without a secret that fits; a refresh token works once, and
//! for ten minutes more, so that a lost answer locks nobody out.

use super::form::Form;
use super::{Denied, Issuer};
use crate::auth::{explain, secret};
use crate::clock;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, header};
use model::{Timestamp, Uuid};
use percent_encoding::percent_decode_str;
use pipeline::{Credential, CredentialKind, Looked, Pipeline, User, Wanted};
use serde::{Deserialize, Serialize};

/// How long a token holds.
pub(crate) const TOKEN_SECONDS: i64 = 3_599;
/// How long a refresh token holds.
const REFRESH_SECONDS: i64 = 90 * 86_400;
/// How long a refresh token holds after it was used.
const USED_SECONDS: i64 = 600;

/// What a client asks for.
#[derive(Debug)]
pub(super) struct Wish {
    kind: Kind,
    client: String,
    secret: Option<String>,
    /// What the token is for, where the client says so.
    audience: Option<String>,
    origin: String,
    /// A refresh token, too.
    offline: bool,
}

#[derive(Debug)]
enum Kind {
    ClientCredentials,
    RefreshToken(String),
}

/// What a client gets.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) user: Uuid,
    /// The user in a directory.
    pub(super) object: Option<Uuid>,
    pub(super) application: Uuid,
    pub(super) audience: String,
    pub(super) refresh_token: Option<String>,
}

/// What is kept of a refresh token.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    digest: String,
    audience: String,
}

impl Wish {
    pub(super) fn read(
        form: &Form,
        headers: &HeaderMap,
        second: bool,
        origin: &str,
    ) -> Result<Self, Denied> {
        let kind = match form.need("grant_type")? {
            "client_credentials" => Kind::ClientCredentials,
            "refresh_token" => Kind::RefreshToken(form.need("refresh_token")?.to_owned()),
            other => {
                let text = format!(
                    "The grant type '{other}' is not supported: this issuer takes \
                     client_credentials and refresh_token."
                );
                return Err(Denied::new("unsupported_grant_type", 70_003, text));
            }
        };
        if form.get("client_assertion").is_some() {
            let text = "Client assertions are not supported: send 'client_secret'.";
            return Err(Denied::client(700_027, text));
        }
        let (client, secret) = match basic(headers)? {
            Some((client, secret)) => (client, Some(secret)),
            None => {
                (form.need("client_id")?.to_owned(), form.get("client_secret").map(str::to_owned))
            }
        };
        let scopes: Vec<&str> = form.get("scope").unwrap_or_default().split(' ').collect();
        let offline = scopes.contains(&"offline_access");
        let audience = match form.get("resource") {
            Some(resource) if !second => Some(resource.to_owned()),
            Some(_) => {
                let text = "The parameter 'resource' is not supported here: send 'scope'.";
                return Err(Denied::new("invalid_request", 901_002, text));
            }
            None => audience(&scopes)?,
        };
        if second && audience.is_none() && matches!(kind, Kind::ClientCredentials) {
            form.need("scope")?;
            let text = "The scope must name what the token is for: '<address>/.default'.";
            return Err(Denied::new("invalid_scope", 70_011, text));
        }
        Ok(Self { kind, client, secret, audience, origin: origin.to_owned(), offline })
    }
}

/// What scopes ask a token for: `https://org/.default` is for `https://org`.
fn audience(scopes: &[&str]) -> Result<Option<String>, Denied> {
    const OF_OPENID: [&str; 5] = ["", "openid", "profile", "email", "offline_access"];
    let mut audiences = scopes
        .iter()
        .filter(|scope| !OF_OPENID.contains(scope))
        .map(|scope| scope.rsplit_once('/').map_or(*scope, |(audience, _)| audience).to_owned());
    let first = audiences.next();
    match (&first, audiences.find(|other| Some(other) != first.as_ref())) {
        (_, None) => Ok(first),
        (_, Some(_)) => {
            let text = "The scopes name more than one resource.";
            Err(Denied::new("invalid_scope", 28_000, text))
        }
    }
}

/// Client and secret of the header (RFC 6749 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Denied> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let bad = || Denied::client(7_000_216, "The header 'Authorization' cannot be read.");
    let text = value.to_str().map_err(|_| bad())?;
    let Some((scheme, rest)) = text.split_once(' ') else { return Err(bad()) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(bad());
    }
    let pair = STANDARD.decode(rest.trim()).ok().and_then(|pair| String::from_utf8(pair).ok());
    let (client, secret) = pair.as_deref().and_then(|pair| pair.split_once(':')).ok_or_else(bad)?;
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Ok(Some((plain(client), plain(secret))))
}

impl Granted {
    /// A token of development: for the administrator, whoever asks.
    pub(super) fn to_anyone(
        pipeline: &Pipeline,
        application: Option<Uuid>,
        audience: String,
    ) -> Self {
        let user = pipeline.organization().administrator;
        let application = application.unwrap_or(user);
        Self { user, object: None, application, audience, refresh_token: None }
    }

    fn to(user: &User, application: Uuid, audience: String) -> Self {
        let (user, object) = (user.id, user.object);
        Self { user, object, application, audience, refresh_token: None }
    }
}

impl Issuer {
    pub(super) async fn grant(&self, wish: Wish) -> Result<Granted, Denied> {
        if self.development {
            let application = Uuid::try_parse(&wish.client).ok();
            let audience = wish.audience.unwrap_or(wish.origin);
            let mut granted = Granted::to_anyone(&self.pipeline, application, audience);
            granted.refresh_token = match wish.kind {
                Kind::RefreshToken(same) => Some(same),
                Kind::ClientCredentials if wish.offline => Some(made()?),
                Kind::ClientCredentials => None,
            };
            return Ok(granted);
        }
        let (user, application) = self.client(&wish).await?;
        match &wish.kind {
            Kind::ClientCredentials => {
                let audience = wish.audience.unwrap_or(wish.origin);
                let mut granted = Granted::to(&user, application, audience);
                if wish.offline {
                    let (token, row) = refresh_token(&user, &granted.audience)?;
                    let own = self.credentials(Looked::Owner(user.id)).await?;
                    self.keep(&[row], &[], &over(&own)).await?;
                    granted.refresh_token = Some(token);
                }
                Ok(granted)
            }
            Kind::RefreshToken(token) => self.refresh(&user, application, &wish, token).await,
        }
    }

    /// The application user whose secret was sent.
    async fn client(&self, wish: &Wish) -> Result<(User, Uuid), Denied> {
        let unknown = || {
            let text = format!("Application with identifier '{}' was not found.", wish.client);
            Denied::client(700_016, text)
        };
        let id = Uuid::try_parse(&wish.client).map_err(|_| unknown())?;
        let Some(secret) = wish.secret.clone() else {
            let text = "The request body must contain the following parameter: 'client_secret'.";
            return Err(Denied::client(7_000_218, text));
        };
        let users = self.pipeline.users(Wanted::Application(id), clock::now()).await;
        let users = users.map_err(|error| Denied::failed(&explain(&error)))?;
        let user = users.into_iter().next().ok_or_else(unknown)?;
        let now = clock::now();
        let hashes: Vec<Box<str>> = self
            .credentials(Looked::Owner(user.id))
            .await?
            .into_iter()
            .filter(|row| row.kind == CredentialKind::Secret)
            .filter(|row| row.expires.is_none_or(|end| now < end))
            .map(|row| row.value)
            .collect();
        let permit = self.hashes.acquire().await;
        let fits = tokio::task::spawn_blocking(move || {
            hashes.iter().any(|hash| secret::fits(&secret, hash))
        });
        let fits = fits.await.map_err(|error| Denied::failed(&error))?;
        drop(permit);
        if !fits {
            let text = "Invalid client secret provided. Ensure the secret being sent in the request \
                        is the client secret value, not the client secret ID.";
            return Err(Denied::client(7_000_215, text));
        }
        if user.disabled {
            let text = format!("Application '{}' is disabled.", wish.client);
            return Err(Denied::new("unauthorized_client", 7_000_112, text));
        }
        Ok((user, id))
    }

    async fn refresh(
        &self,
        user: &User,
        application: Uuid,
        wish: &Wish,
        token: &str,
    ) -> Result<Granted, Denied> {
        let bad = || {
            let text = "The provided value for the input parameter 'refresh_token' is not valid.";
            Denied::new("invalid_grant", 9_002_313, text)
        };
        let now = clock::now();
        let own = self.credentials(Looked::Owner(user.id)).await?;
        let id = id_of(token);
        let row = own.iter().find(|row| row.id == id && row.kind == CredentialKind::RefreshToken);
        let row = row.filter(|row| row.expires.is_some_and(|end| now < end)).ok_or_else(bad)?;
        let kept: Kept = serde_json::from_str(&row.value).map_err(|_| bad())?;
        if kept.digest != URL_SAFE_NO_PAD.encode(secret::digest(token)) {
            return Err(bad());
        }
        let audience = wish.audience.clone().unwrap_or(kept.audience);
        let (next, new) = refresh_token(user, &audience)?;
        let soon = Timestamp(now.0 + USED_SECONDS);
        let expires = row.expires.map(|end| end.min(soon));
        let used = Credential { expires, ..row.clone() };
        self.keep(&[new], &[used], &over(&own)).await?;
        let granted = Granted::to(user, application, audience);
        Ok(Granted { refresh_token: Some(next), ..granted })
    }

    async fn credentials(&self, looked: Looked) -> Result<Vec<Credential>, Denied> {
        let rows = self.pipeline.credentials(looked, clock::now()).await;
        rows.map_err(|error| Denied::failed(&explain(&error)))
    }

    async fn keep(
        &self,
        add: &[Credential],
        change: &[Credential],
        remove: &[Uuid],
    ) -> Result<(), Denied> {
        let done = self.pipeline.keep_credentials(add, change, remove, clock::now()).await;
        done.map_err(|error| Denied::failed(&explain(&error)))
    }
}

/// Refresh tokens that hold no longer.
fn over(rows: &[Credential]) -> Vec<Uuid> {
    let now = clock::now();
    let is_over = |row: &&Credential| {
        row.kind == CredentialKind::RefreshToken && row.expires.is_none_or(|end| end <= now)
    };
    rows.iter().filter(is_over).map(|row| row.id).collect()
}

fn refresh_token(user: &User, audience: &str) -> Result<(String, Credential), Denied> {
    let token = made()?;
    let now = clock::now();
    let digest = URL_SAFE_NO_PAD.encode(secret::digest(&token));
    let kept = Kept { digest, audience: audience.to_owned() };
    let value = serde_json::to_string(&kept).map_err(|error| Denied::failed(&error))?;
    let row = Credential {
        id: id_of(&token),
        kind: CredentialKind::RefreshToken,
        owner: Some(user.id),
        name: secret::hint(&token).into(),
        value: value.into(),
        created: now,
        expires: Some(Timestamp(now.0 + REFRESH_SECONDS)),
    };
    Ok((token, row))
}

fn made() -> Result<String, Denied> {
    secret::make().map_err(|error| Denied::failed(&error))
}

/// The row of a refresh token: found by its key, without a look at others.
fn id_of(token: &str) -> Uuid {
    let digest = secret::digest(token);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(digest.get(..16).unwrap_or(&[0; 16]));
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, second: bool, want: Result<Option<&str>, &str>) {
        let form = Form::parse(body.as_bytes()).expect("a form");
        let wish = Wish::read(&form, &HeaderMap::new(), second, "https://h");
        let got = wish.as_ref().map(|wish| wish.audience.as_deref()).map_err(|no| no.error);
        assert_eq!(got, want, "{body}");
    }

    #[test]
    fn what_a_token_is_for_is_said_by_scope_or_resource() {
        let ask = "grant_type=client_credentials&client_id=x&client_secret=y";
        check(&format!("{ask}&scope=https://o/.default"), true, Ok(Some("https://o")));
        check(&format!("{ask}&scope=https://o//.default"), true, Ok(Some("https://o/")));
        let offline = format!("{ask}&scope=https://o/.default offline_access openid");
        check(&offline, true, Ok(Some("https://o")));
        check(&format!("{ask}&resource=https://o/"), false, Ok(Some("https://o/")));
        check(ask, false, Ok(None));
        check(ask, true, Err("invalid_request"));
        check(&format!("{ask}&scope=openid"), true, Err("invalid_scope"));
        check(&format!("{ask}&scope=https://o/a https://p/b"), true, Err("invalid_scope"));
        check(&format!("{ask}&resource=https://o/"), true, Err("invalid_request"));
        let refresh = "grant_type=refresh_token&refresh_token=r&client_id=x&client_secret=y";
        check(refresh, true, Ok(None));
        check("grant_type=refresh_token&client_id=x", true, Err("invalid_request"));
        check("grant_type=password&client_id=x", true, Err("unsupported_grant_type"));
        check("client_id=x", true, Err("invalid_request"));
        check(&format!("{ask}&client_assertion=z"), true, Err("invalid_client"));
    }

    #[test]
    fn client_and_secret_may_stand_in_the_head() {
        let mut headers = HeaderMap::new();
        assert!(basic(&headers).expect("none").is_none());
        let value = format!("Basic {}", STANDARD.encode("id%2B:se%3Acret:"));
        headers.insert(header::AUTHORIZATION, value.parse().expect("a value"));
        let pair = basic(&headers).expect("read").expect("there");
        assert_eq!(pair, ("id+".to_owned(), "se:cret:".to_owned()));
        headers.insert(header::AUTHORIZATION, "Bearer x".parse().expect("a value"));
        assert!(basic(&headers).is_err());
    }
}
