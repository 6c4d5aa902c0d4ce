//! The built-in token issuer: discovery, keys, and tokens for application users.
//!
//! In reading order: [`Issuer::endpoint`] (which path), [`Issuer::answer`], `grant` (who gets a token).
//! In development it gives a token to anyone. Source: webapi.md 21.3 and clients.md 1.5.
//! Not here: checking tokens. Invariant: an error is OAuth's JSON, never ours, and never names a secret.

mod form;
mod grant;

use super::signing::Signing;
use crate::clock;
use bytes::Bytes;
use form::Form;
use grant::{Granted, Wish};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use pipeline::Pipeline;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Longest body of a token request.
pub(crate) const BODY_BYTES_MAX: usize = 65_536;
/// Hashes of secrets that are compared at once: each takes 19 MiB and a core for a moment.
const HASHES_MAX: usize = 2;
/// Token requests that are open at once; more are sent away.
const REQUESTS_MAX: usize = 64;

/// Gives tokens.
pub(crate) struct Issuer {
    pipeline: Arc<Pipeline>,
    signing: Arc<Signing>,
    /// Nothing is checked.
    development: bool,
    hashes: Semaphore,
    open: Semaphore,
}

/// One of the issuer's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The first segment: any tenant is ours.
    tenant: String,
    kind: EndpointKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndpointKind {
    /// The discovery document; with or without `/v2.0` in what it names.
    Discovery {
        second: bool,
    },
    Instance,
    Keys,
    Token {
        second: bool,
    },
    Authorize,
    DeviceCode,
    ManagedIdentity,
}

/// What is wrong with a request, in OAuth's words.
#[derive(Debug)]
struct Denied {
    status: StatusCode,
    error: &'static str,
    /// Number of the platform's description.
    number: u32,
    text: String,
}

impl Denied {
    fn new(error: &'static str, number: u32, text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, number, text: text.into() }
    }

    fn client(number: u32, text: impl Into<String>) -> Self {
        let status = StatusCode::UNAUTHORIZED;
        Self { status, ..Self::new("invalid_client", number, text) }
    }

    fn failed(why: &dyn std::fmt::Display) -> Self {
        tracing::error!(%why, "no token could be given");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, ..Self::new("server_error", 90_033, "A transient error has occurred.") }
    }
}

impl Issuer {
    pub(crate) fn new(pipeline: Arc<Pipeline>, signing: Arc<Signing>, development: bool) -> Self {
        let (hashes, open) = (Semaphore::new(HASHES_MAX), Semaphore::new(REQUESTS_MAX));
        Self { pipeline, signing, development, hashes, open }
    }

    /// The address that a path names, if it is one of ours.
    pub(crate) fn endpoint(&self, path: &str) -> Option<Endpoint> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (tenant, rest) = segments.split_first()?;
        let kind = match rest {
            ["v2.0", ".well-known", "openid-configuration"] => {
                EndpointKind::Discovery { second: true }
            }
            [".well-known", "openid-configuration"] => EndpointKind::Discovery { second: false },
            ["discovery", "instance"] => EndpointKind::Instance,
            ["discovery", "v2.0", "keys"] | ["discovery", "keys"] => EndpointKind::Keys,
            ["oauth2", "v2.0", "token"] => EndpointKind::Token { second: true },
            ["oauth2", "token"] => EndpointKind::Token { second: false },
            ["oauth2", "v2.0", "authorize"] | ["oauth2", "authorize"] => EndpointKind::Authorize,
            ["oauth2", "v2.0", "devicecode"] | ["oauth2", "devicecode"] => EndpointKind::DeviceCode,
            ["token"] if *tenant == "msi" && self.development => EndpointKind::ManagedIdentity,
            _ => return None,
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let named = tenant.bytes().all(plain) && !tenant.eq_ignore_ascii_case("api");
        named.then(|| Endpoint { tenant: (*tenant).to_owned(), kind })
    }

    /// Answers a request to one of the issuer's addresses.
    pub(crate) async fn answer(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        query: &str,
        headers: &HeaderMap,
        body: &[u8],
        origin: &str,
    ) -> Response<Bytes> {
        let answer = match (endpoint.kind, method) {
            (EndpointKind::Discovery { second }, &Method::GET) => {
                Ok(discovery(&endpoint.tenant, second, origin))
            }
            (EndpointKind::Instance, &Method::GET) => Ok(instance(query, origin)),
            (EndpointKind::Keys, &Method::GET) => {
                self.signing.published().await.map_err(|error| Denied::failed(&error))
            }
            (EndpointKind::Token { second }, &Method::POST) => {
                self.token(endpoint, second, headers, body, origin).await
            }
            (EndpointKind::ManagedIdentity, &Method::GET) => {
                self.managed_identity(query, headers, origin).await
            }
            (EndpointKind::Authorize, _) => Err(Denied::new(
                "unsupported_response_type",
                70_005,
                "This issuer has no sign-in page: interactive sign-in is not supported. Use \
                 grant_type=client_credentials at the token endpoint.",
            )),
            (EndpointKind::DeviceCode, _) => Err(Denied::new(
                "unsupported_grant_type",
                70_003,
                "Sign-in by device code is not supported. Use grant_type=client_credentials at the \
                 token endpoint.",
            )),
            _ => Err(Denied {
                status: StatusCode::METHOD_NOT_ALLOWED,
                ..Denied::new(
                    "invalid_request",
                    900_561,
                    format!("The endpoint does not accept {method} requests."),
                )
            }),
        };
        match answer {
            Ok(value) => json_response(StatusCode::OK, &value),
            Err(denied) => denied.response(),
        }
    }

    async fn token(
        &self,
        endpoint: &Endpoint,
        second: bool,
        headers: &HeaderMap,
        body: &[u8],
        origin: &str,
    ) -> Result<Value, Denied> {
        let Ok(_place) = self.open.try_acquire() else {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let text = "Too many tokens are being asked for. Try again later.";
            return Err(Denied { status, ..Denied::new("temporarily_unavailable", 90_015, text) });
        };
        let wish = Wish::read(&Form::parse(body)?, headers, second, origin)?;
        let granted = self.grant(wish).await?;
        let issuer = issuer_name(&endpoint.tenant, second, origin);
        self.reply(&issuer, second, &granted).await
    }

    async fn managed_identity(
        &self,
        query: &str,
        headers: &HeaderMap,
        origin: &str,
    ) -> Result<Value, Denied> {
        // Its client proves by the header that nobody tricked it into asking.
        if !headers.contains_key("x-identity-header") {
            let text = "The header 'X-IDENTITY-HEADER' is missing.";
            return Err(Denied::new("invalid_request", 900_144, text));
        }
        let form = Form::parse(query.as_bytes())?;
        let resource = form.get("resource").unwrap_or(origin).to_owned();
        let application = form.get("client_id").and_then(|id| id.parse().ok());
        let granted = Granted::to_anyone(&self.pipeline, application, resource);
        let issuer = issuer_name("common", false, origin);
        let token = self.signed(&issuer, false, &granted).await?;
        Ok(json!({
            "access_token": token,
            "expires_on": (clock::now().0 + grant::TOKEN_SECONDS).to_string(),
            "resource": granted.audience,
            "token_type": "Bearer",
        }))
    }

    async fn reply(&self, issuer: &str, second: bool, granted: &Granted) -> Result<Value, Denied> {
        let token = self.signed(issuer, second, granted).await?;
        let (now, lasts) = (clock::now().0, grant::TOKEN_SECONDS);
        let mut reply = match second {
            true => json!({
                "token_type": "Bearer", "expires_in": lasts, "ext_expires_in": lasts,
                "access_token": token,
            }),
            // All of them are texts there.
            false => json!({
                "token_type": "Bearer", "expires_in": lasts.to_string(),
                "ext_expires_in": lasts.to_string(), "expires_on": (now + lasts).to_string(),
                "not_before": now.to_string(), "resource": granted.audience,
                "access_token": token,
            }),
        };
        if let (Some(refresh), Some(reply)) = (&granted.refresh_token, reply.as_object_mut()) {
            reply.insert("refresh_token".to_owned(), json!(refresh));
        }
        Ok(reply)
    }

    async fn signed(
        &self,
        issuer: &str,
        second: bool,
        granted: &Granted,
    ) -> Result<String, Denied> {
        let now = clock::now().0;
        let mut claims = json!({
            "aud": granted.audience, "iss": issuer, "iat": now, "nbf": now,
            "exp": now + grant::TOKEN_SECONDS, "idtyp": "app",
            "sub": granted.user.to_string(),
            "tid": self.pipeline.organization().id.to_string(),
            "uti": clock::request_id().to_string(),
        });
        if let Some(claims) = claims.as_object_mut() {
            let (name, method, version) = match second {
                true => ("azp", "azpacr", "2.0"),
                false => ("appid", "appidacr", "1.0"),
            };
            claims.insert(name.to_owned(), json!(granted.application.to_string()));
            claims.insert(method.to_owned(), json!("1"));
            claims.insert("ver".to_owned(), json!(version));
            if let Some(object) = granted.object {
                claims.insert("oid".to_owned(), json!(object.to_string()));
            }
        }
        self.signing.sign(&claims).await.map_err(|error| Denied::failed(&error))
    }
}

fn issuer_name(tenant: &str, second: bool, origin: &str) -> String {
    if second { format!("{origin}/{tenant}/v2.0") } else { format!("{origin}/{tenant}/") }
}

fn discovery(tenant: &str, second: bool, origin: &str) -> Value {
    let root = format!("{origin}/{tenant}");
    let version = if second { "/v2.0" } else { "" };
    json!({
        "issuer": issuer_name(tenant, second, origin).trim_end_matches('/'),
        "authorization_endpoint": format!("{root}/oauth2{version}/authorize"),
        "token_endpoint": format!("{root}/oauth2{version}/token"),
        "device_authorization_endpoint": format!("{root}/oauth2{version}/devicecode"),
        "jwks_uri": format!("{root}/discovery{version}/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": ["client_credentials", "refresh_token"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["offline_access"],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nbf", "oid", "tid", "ver"],
    })
}

fn instance(query: &str, origin: &str) -> Value {
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    // The document of the tenant that is asked about; any tenant is ours.
    let tenant = Form::parse(query.as_bytes())
        .ok()
        .and_then(|form| form.get("authorization_endpoint").map(str::to_owned))
        .and_then(|address| reqwest::Url::parse(&address).ok())
        .and_then(|url| url.path_segments()?.next().map(str::to_owned))
        .filter(|tenant| !tenant.is_empty())
        .unwrap_or_else(|| "common".to_owned());
    json!({
        "tenant_discovery_endpoint":
            format!("{origin}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [
            {"preferred_network": host, "preferred_cache": host, "aliases": [host]},
        ],
    })
}

impl Denied {
    fn response(self) -> Response<Bytes> {
        let Self { status, error, number, text } = self;
        let id = clock::request_id().to_string();
        let body = json!({
            "error": error,
            "error_description": format!("AADSTS{number}: {text} Trace ID: {id}"),
            "error_codes": [number],
            "timestamp": clock::now().to_string(),
            "trace_id": id,
            "correlation_id": id,
        });
        json_response(status, &body)
    }
}

fn json_response(status: StatusCode, value: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, json);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    if status == StatusCode::UNAUTHORIZED {
        // RFC 6749 5.2: a client that tried `Authorization` is told which scheme.
        let basic = HeaderValue::from_static("Basic realm=\"token\"");
        headers.insert(header::WWW_AUTHENTICATE, basic);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    }
    response
}
