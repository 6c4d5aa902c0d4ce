//! Signed tokens: who made them, whether the signature holds, for whom and how long.
//!
//! Not here: where keys come from (`keys`, `signing`). Source: webapi.md 21.5.
//! Invariant: only RS256 and ES256; who signed decides which audiences count; the application's own
//! name counts only in a token without a person behind it.

use super::keys::{KeySource, NoKey};
use super::settings::{Accepted, AcceptedIssuer, bare};
use super::signing::Signing;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use model::{Timestamp, Uuid};
use pipeline::Claims;
use serde::Deserialize;
use std::sync::Arc;

/// How far clocks may differ.
const SKEW_SECONDS: i64 = 300;
/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 16_384;

/// Whose tokens are accepted.
pub(super) struct Checker {
    builtin: Option<Arc<Signing>>,
    /// For tokens of the built-in issuer, besides the host that is called.
    audiences: Arc<[String]>,
    issuers: Vec<(AcceptedIssuer, KeySource)>,
}

/// A token whose signature holds.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) claims: Claims,
    /// `None`: it is for whomever it is shown to.
    audience: Option<Audience>,
    not_before: i64,
    expires: i64,
}

#[derive(Clone, Debug)]
struct Audience {
    /// What the token says, without final slashes.
    named: Vec<String>,
    /// What counts.
    accepted: Arc<[String]>,
    /// The host that is called counts, too.
    host: bool,
}

/// Why a token is no good.
#[derive(Debug)]
pub(super) enum Refused {
    /// The token's fault.
    Bad(String),
    /// Ours, or its issuer's.
    NoKeys(String),
}

/// What is read of a token.
#[derive(Debug, Deserialize)]
struct Payload {
    iss: String,
    aud: OneOrMany,
    exp: f64,
    nbf: Option<f64>,
    oid: Option<String>,
    appid: Option<String>,
    azp: Option<String>,
    upn: Option<String>,
    unique_name: Option<String>,
    preferred_username: Option<String>,
    /// What a person has allowed an application to do in its name.
    scp: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Checked {
    /// A token that the configuration knows.
    pub(super) fn always(claims: Claims) -> Self {
        Self { claims, audience: None, not_before: i64::MIN, expires: i64::MAX }
    }

    /// Whether it holds now, for the address that is called.
    pub(super) fn holds(&self, now: Timestamp, origin: &str) -> Result<(), &'static str> {
        if now.0 >= self.expires.saturating_add(SKEW_SECONDS) {
            return Err("it has expired");
        }
        if now.0 < self.not_before.saturating_sub(SKEW_SECONDS) {
            return Err("it does not hold yet");
        }
        match &self.audience {
            Some(audience) if !audience.is_for(origin) => Err("it is for somebody else"),
            _ => Ok(()),
        }
    }
}

impl Audience {
    fn is_for(&self, origin: &str) -> bool {
        let here = host(origin);
        self.named.iter().any(|name| {
            self.accepted.contains(name)
                || (self.host && here.is_some_and(|here| is_host(name, here)))
        })
    }
}

/// Host of an origin, without its port.
fn host(origin: &str) -> Option<&str> {
    let (_, authority) = origin.split_once("://")?;
    let authority = authority.split('/').next().unwrap_or_default();
    let end = match authority.rfind(']') {
        Some(bracket) => bracket + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    authority.get(..end).filter(|host| !host.is_empty())
}

/// An address of this host, whatever scheme and port: one service may listen on several.
fn is_host(name: &str, here: &str) -> bool {
    host(name).is_some_and(|host| host.eq_ignore_ascii_case(here))
}

impl Checker {
    pub(super) fn new(accepted: &Accepted, builtin: Option<Arc<Signing>>) -> Self {
        let issuers = accepted
            .issuers
            .iter()
            .map(|issuer| (issuer.clone(), KeySource::new(issuer.keys.clone())));
        Self { builtin, audiences: accepted.audiences.clone().into(), issuers: issuers.collect() }
    }

    /// Checks everything that stays true of a token.
    pub(super) async fn check(&self, token: &str) -> Result<Checked, Refused> {
        let bad = |why: &str| Refused::Bad(why.to_owned());
        if token.len() > TOKEN_BYTES_MAX {
            return Err(bad("it is too long"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|error| bad(&error.to_string()))?;
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
            return Err(bad("it is signed neither by RS256 nor by ES256"));
        }
        // Nothing of it is believed yet but who might have signed it.
        let said: Payload = jsonwebtoken::dangerous::insecure_decode(token)
            .map_err(|error| bad(&error.to_string()))?
            .claims;
        let name = bare(&said.iss);
        let issuer = self.issuers.iter().find(|(issuer, _)| issuer.names.contains(&name));
        let kid = header.kid.as_deref();
        let key = match (issuer, &self.builtin) {
            (Some((_, keys)), _) => keys.key(kid).await,
            (None, Some(signing)) => signing.key(kid).await,
            (None, None) => return Err(bad("its issuer is not known")),
        };
        let key = key.map_err(|none| match none {
            NoKey::Unknown => bad("its key is not known"),
            NoKey::Unavailable(why) => Refused::NoKeys(why),
        })?;
        let payload = verify(token, header.alg, &key)?;
        let named = match payload.aud {
            OneOrMany::One(ref one) => vec![bare(one)],
            OneOrMany::Many(ref many) => many.iter().map(|name| bare(name)).collect(),
        };
        let accepted = match issuer {
            Some((issuer, _)) => issuer.audiences.clone().into(),
            None => self.audiences.clone(),
        };
        Ok(Checked {
            audience: Some(Audience { named, accepted, host: issuer.is_none() }),
            not_before: payload.nbf.map_or(i64::MIN, whole),
            expires: whole(payload.exp),
            claims: claims(&payload),
        })
    }
}

/// Checks the signature; times and audience are compared at every use.
fn verify(token: &str, algorithm: Algorithm, key: &DecodingKey) -> Result<Payload, Refused> {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    jsonwebtoken::decode(token, key, &validation)
        .map(|token| token.claims)
        .map_err(|error| Refused::Bad(error.to_string()))
}

/// Whom the token speaks of. An application stands for itself only where nobody stands behind it:
/// otherwise anyone who may use an application could act as its user.
fn claims(payload: &Payload) -> Claims {
    let id = |text: &Option<String>| text.as_deref().and_then(|text| Uuid::try_parse(text).ok());
    let some = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let name = some(&payload.upn)
        .or_else(|| some(&payload.unique_name))
        .or_else(|| some(&payload.preferred_username));
    let alone = name.is_none() && payload.scp.is_none();
    let application = id(&payload.appid).or_else(|| id(&payload.azp)).filter(|_| alone);
    Claims { object: id(&payload.oid), application, name: name.map(Into::into), user: None }
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
fn whole(seconds: f64) -> i64 {
    seconds as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(json: &str) -> Payload {
        let text = format!("{{\"iss\":\"i\",\"aud\":\"a\",\"exp\":1{json}}}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_application_counts_only_where_nobody_stands_behind_it() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let check = |json: &str, want: Claims| assert_eq!(claims(&payload(json)), want, "{json}");
        let application = Claims { application: Some(two), ..Claims::default() };
        check(&format!(",\"appid\":\"{two}\""), application.clone());
        check(&format!(",\"azp\":\"{two}\""), application);
        let both = Claims { object: Some(one), application: Some(two), ..Claims::default() };
        check(&format!(",\"oid\":\"{one}\",\"azp\":\"{two}\""), both);
        let person = Claims { object: Some(one), ..Claims::default() };
        check(&format!(",\"oid\":\"{one}\",\"azp\":\"{two}\",\"scp\":\"user\""), person);
        let named = Claims { name: Some("a@b".into()), ..Claims::default() };
        check(&format!(",\"appid\":\"{two}\",\"upn\":\"a@b\""), named.clone());
        check(",\"preferred_username\":\"a@b\",\"unique_name\":\"\"", named);
    }

    #[test]
    fn a_token_is_for_the_host_that_is_called_or_for_what_is_configured() {
        let check = |named: &str, accepted: &[&str], host: bool, origin: &str, want: bool| {
            let accepted = accepted.iter().map(|text| (*text).to_owned()).collect();
            let audience = Audience { named: vec![bare(named)], accepted, host };
            assert_eq!(audience.is_for(origin), want, "{named} {origin}");
        };
        check("https://org.example/", &[], true, "https://org.example:8443", true);
        check("https://ORG.example", &[], true, "http://org.example", true);
        check("https://[::1]:8443/", &[], true, "http://[::1]:8080", true);
        check("https://org.example.evil", &[], true, "https://org.example", false);
        check("https://org.example@evil", &[], true, "https://org.example", false);
        check("https://org.example/", &[], false, "https://org.example", false);
        check("https://org.example/", &["https://org.example"], false, "https://x", true);
        check("api://1", &["api://1"], true, "https://x", true);
        check("", &[], true, "", false);
    }

    #[test]
    fn clocks_may_differ_by_five_minutes() {
        let audience = None;
        let token =
            Checked { claims: Claims::default(), audience, not_before: 1_000, expires: 2_000 };
        for (now, want) in [(699, false), (700, true), (2_299, true), (2_300, false)] {
            assert_eq!(token.holds(Timestamp(now), "").is_ok(), want, "{now}");
        }
    }
}
