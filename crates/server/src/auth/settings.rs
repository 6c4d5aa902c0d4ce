//! What is accepted as a token: the `[auth]` section of the configuration, checked.
//!
//! ```toml
//! [auth]
//! builtin = true                                    # tokens of the built-in issuer
//! audiences = ["https://org.example/"]              # besides the address that is called
//!
//! [[auth.issuers]]
//! entra = "11111111-2222-3333-4444-555555555555"    # a tenant of Entra ID, or instead:
//! issuer = ["https://id.example/"]
//! discovery = "https://id.example/.well-known/openid-configuration"
//! jwks = "https://id.example/keys"                  # or a file; instead of `discovery`
//! authorize = "https://id.example/oauth2/authorize" # what the challenge names
//! audiences = ["https://org.example/"]
//!
//! [[auth.tokens]]                                   # tokens without a signature
//! token = "…"
//! user = "…"                                        # systemuserid or domain name
//! ```
//!
//! Not here: checking tokens. Invariant: an issuer of others is accepted for named audiences only.

use crate::config::Config;
use crate::options::Error;
use model::Uuid;
use pipeline::Claims;
use serde::Deserialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// Shortest token without a signature.
const OPAQUE_CHARACTERS_MIN: usize = 16;

/// The section, as written.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// Tokens of the built-in issuer are accepted.
    pub builtin: bool,
    /// What tokens may be meant for, besides the address that is called.
    pub audiences: Vec<String>,
    /// Other issuers.
    pub issuers: Vec<IssuerConfig>,
    /// Tokens without a signature.
    pub tokens: Vec<OpaqueConfig>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self { builtin: true, audiences: Vec::new(), issuers: Vec::new(), tokens: Vec::new() }
    }
}

/// One issuer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct IssuerConfig {
    /// A tenant of Entra ID, by id.
    pub entra: Option<String>,
    /// Values of `iss`.
    pub issuer: Vec<String>,
    /// Address of its discovery document.
    pub discovery: Option<String>,
    /// Address or file of its keys.
    pub jwks: Option<String>,
    /// What the challenge names.
    pub authorize: Option<String>,
    /// What its tokens may be meant for.
    pub audiences: Vec<String>,
}

/// One token without a signature.
#[derive(Clone, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct OpaqueConfig {
    /// The token.
    pub token: String,
    /// Whose it is: `systemuserid` or `domainname`.
    pub user: String,
}

/// The token stays out of logs.
impl std::fmt::Debug for OpaqueConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a token of {}", self.user)
    }
}

/// What is accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Accepted {
    pub(crate) builtin: bool,
    /// Without final slash.
    pub(crate) audiences: Vec<String>,
    pub(crate) issuers: Vec<AcceptedIssuer>,
    pub(crate) opaque: HashMap<Box<str>, Claims>,
    pub(crate) authorize: Option<String>,
}

/// An issuer whose tokens are accepted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AcceptedIssuer {
    /// Values of `iss`, without final slash.
    pub(crate) names: Vec<String>,
    pub(crate) keys: KeyPlace,
    /// Without final slash.
    pub(crate) audiences: Vec<String>,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    /// The document at this address names their address.
    Discovery(String),
    /// At this address.
    Address(String),
    /// In this file.
    File(PathBuf),
}

impl Accepted {
    /// Checks what was written.
    pub(crate) fn of(config: &Config) -> Result<Self, Error> {
        let auth = &config.auth;
        let mut accepted = Self {
            builtin: auth.builtin,
            audiences: auth.audiences.iter().map(|text| bare(text)).collect(),
            ..Self::default()
        };
        for (place, issuer) in auth.issuers.iter().enumerate() {
            let bad =
                |why: &str| Error::Auth { why: format!("`[[auth.issuers]]` {}: {why}", place + 1) };
            let (one, authorize) =
                issuer_of(issuer, &accepted.audiences).map_err(|why| bad(&why))?;
            let taken = |name: &String| accepted.issuers.iter().any(|it| it.names.contains(name));
            if let Some(name) = one.names.iter().find(|name| taken(name)) {
                return Err(bad(&format!("`{name}` is named by another one, too")));
            }
            accepted.authorize = accepted.authorize.or(authorize);
            accepted.issuers.push(one);
        }
        for OpaqueConfig { token, user } in &auth.tokens {
            let bad =
                |why: &str| Error::Auth { why: format!("`[[auth.tokens]]` of `{user}`: {why}") };
            if token.chars().count() < OPAQUE_CHARACTERS_MIN {
                return Err(bad(&format!(
                    "a token has {OPAQUE_CHARACTERS_MIN} characters at least"
                )));
            }
            if user.trim().is_empty() {
                return Err(bad("`user` is empty"));
            }
            let claims = match Uuid::try_parse(user.trim()) {
                Ok(id) => Claims { user: Some(id), ..Claims::default() },
                Err(_) => Claims { name: Some(user.trim().into()), ..Claims::default() },
            };
            if accepted.opaque.insert(token.as_str().into(), claims).is_some() {
                return Err(bad("another user has the same token"));
            }
        }
        if !accepted.builtin && accepted.issuers.is_empty() && accepted.opaque.is_empty() {
            let why = "`builtin = false` without `issuers` or `tokens` lets nobody in".to_owned();
            return Err(Error::Auth { why });
        }
        Ok(accepted)
    }
}

/// An issuer, and what the challenge says of it.
fn issuer_of(
    config: &IssuerConfig,
    audiences: &[String],
) -> Result<(AcceptedIssuer, Option<String>), String> {
    let IssuerConfig { entra, issuer, discovery, jwks, authorize, audiences: own } = config;
    let mut names: Vec<String> = issuer.iter().map(|name| bare(name)).collect();
    let mut found = discovery.clone();
    let mut authorize = authorize.clone();
    if let Some(tenant) = entra {
        let tenant = Uuid::try_parse(tenant)
            .map_err(|_| format!("`entra` is the id of a tenant, not `{tenant}`"))?;
        let root = format!("https://login.microsoftonline.com/{tenant}");
        names.extend([format!("https://sts.windows.net/{tenant}"), format!("{root}/v2.0")]);
        if found.is_none() && jwks.is_none() {
            found = Some(format!("{root}/v2.0/.well-known/openid-configuration"));
        }
        authorize = authorize.or_else(|| Some(format!("{root}/oauth2/authorize")));
    }
    if names.is_empty() || names.iter().any(String::is_empty) {
        return Err("say `entra`, or what `iss` reads in `issuer`".to_owned());
    }
    let keys = match (found, jwks.clone()) {
        (Some(address), None) => KeyPlace::Discovery(checked_address(address, "discovery")?),
        (None, Some(place)) if place.contains("://") => {
            KeyPlace::Address(checked_address(place, "jwks")?)
        }
        (None, Some(path)) => KeyPlace::File(path.into()),
        (None, None) => return Err("say `discovery` or `jwks`".to_owned()),
        (Some(_), Some(_)) => return Err("say one of `discovery` and `jwks`".to_owned()),
    };
    let audiences: Vec<String> =
        own.iter().map(|text| bare(text)).chain(audiences.iter().cloned()).collect();
    if audiences.is_empty() {
        let why = "say in `audiences` what its tokens are meant for: it may serve others, too";
        return Err(why.to_owned());
    }
    Ok((AcceptedIssuer { names, keys, audiences }, authorize))
}

/// Keys come over TLS, or from this machine.
pub(super) fn checked_address(address: String, key: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(&address).map_err(|error| format!("`{key}`: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    let address_of = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let local = host == "localhost" || address_of.is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(address),
        "http" if local => Ok(address),
        _ => Err(format!("`{key}` must begin with https:// (http:// only on this machine)")),
    }
}

/// Without final slash.
pub(super) fn bare(text: &str) -> String {
    text.trim().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Result<usize, &str>) {
        let config: Config = toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        match (Accepted::of(&config), want) {
            (Ok(accepted), Ok(issuers)) => assert_eq!(accepted.issuers.len(), issuers, "{text}"),
            (Err(error), Err(want)) => {
                let error = error.to_string();
                assert!(error.contains(want), "{text}: {error}");
            }
            (got, want) => panic!("{text}: is {got:?}, should be {want:?}"),
        }
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let tenant = "11111111-2222-3333-4444-555555555555";
        let issuer = |rest: &str| format!("[[auth.issuers]]\n{rest}");
        check("", Ok(0));
        check(&issuer(&format!("entra = \"{tenant}\"\naudiences = [\"https://o/\"]")), Ok(1));
        check(&issuer("entra = \"x\""), Err("`entra` is the id of a tenant"));
        check(&issuer(&format!("entra = \"{tenant}\"")), Err("audiences"));
        check(&issuer("jwks = \"keys.json\"\naudiences = [\"a\"]"), Err("`iss`"));
        let known = "issuer = [\"i\"]\naudiences = [\"a\"]\n";
        check(&issuer(known), Err("say `discovery` or `jwks`"));
        check(&issuer(&format!("{known}jwks = \"keys.json\"")), Ok(1));
        check(&issuer(&format!("{known}jwks = \"http://far/keys\"")), Err("https://"));
        check(&issuer(&format!("{known}jwks = \"http://127.0.0.1:1/k\"")), Ok(1));
        check(&issuer(&format!("{known}discovery = \"http://[::1]:1/k\"")), Ok(1));
        let both = format!("{known}jwks = \"k\"\ndiscovery = \"https://d\"");
        check(&issuer(&both), Err("one of"));
        let one = issuer(&format!("{known}jwks = \"k\"\n"));
        check(&format!("{one}{one}"), Err("another one"));
        check("[auth]\nbuiltin = false", Err("lets nobody in"));
        let token = |token: &str| format!("[[auth.tokens]]\ntoken = \"{token}\"\nuser = \"a\"\n");
        check(&token("short"), Err("16 characters"));
        check(&token("0123456789abcdef"), Ok(0));
        check(&token("0123456789abcdef").repeat(2), Err("the same token"));
    }

    #[test]
    fn a_tenant_of_entra_has_two_names_and_a_challenge() {
        let text = "[auth]\naudiences = [\"https://o/\"]\n[[auth.issuers]]\n\
                    entra = \"11111111-2222-3333-4444-555555555555\"";
        let accepted = Accepted::of(&toml::from_str(text).expect("read")).expect("accepted");
        let root = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555";
        let issuer = &accepted.issuers[0];
        assert_eq!(issuer.audiences, ["https://o"]);
        assert_eq!(
            issuer.names,
            [
                "https://sts.windows.net/11111111-2222-3333-4444-555555555555".to_owned(),
                format!("{root}/v2.0"),
            ]
        );
        let discovery = format!("{root}/v2.0/.well-known/openid-configuration");
        assert_eq!(issuer.keys, KeyPlace::Discovery(discovery));
        assert_eq!(accepted.authorize, Some(format!("{root}/oauth2/authorize")));
    }
}
