//! Keys of other issuers: fetched, kept, and fetched anew when a token names one that is not known.
//!
//! Not here: signatures (`token`). Invariant: nobody makes us fetch more often than [`FETCHES`] allow,
//! whatever tokens are shown; what was fetched holds on while the issuer cannot be reached.

use super::settings::{KeyPlace, checked_address};
use crate::clock;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Fetches at once, and how long one takes to come back.
const FETCHES: (u32, Duration) = (5, Duration::from_secs(30));
/// Keys are fetched anew after that time.
const FRESH: Duration = Duration::from_secs(24 * 3_600);
/// Largest document.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;
const FETCH_TIME_MAX: Duration = Duration::from_secs(10);

/// Why there is no key.
#[derive(Debug)]
pub(super) enum NoKey {
    /// The issuer has none of this name.
    Unknown,
    /// The issuer cannot be asked.
    Unavailable(String),
}

/// A budget of things that must not happen too often. Pure: it is handed the time.
#[derive(Debug)]
pub(super) struct Budget {
    left: u32,
    most: u32,
    each: Duration,
    since: Duration,
}

impl Budget {
    pub(super) fn new((most, each): (u32, Duration)) -> Self {
        Self { left: most, most, each, since: Duration::ZERO }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        while self.left < self.most && now.saturating_sub(self.since) >= self.each {
            self.left += 1;
            self.since += self.each;
        }
        if self.left == self.most {
            self.since = now;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

/// Where an issuer's keys come from, and those that are known.
pub(super) struct KeySource {
    place: KeyPlace,
    known: Mutex<Known>,
    fetching: tokio::sync::Mutex<Budget>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Arc<DecodingKey>>,
    since: Option<Duration>,
}

impl KeySource {
    pub(super) fn new(place: KeyPlace) -> Self {
        let fetching = tokio::sync::Mutex::new(Budget::new(FETCHES));
        Self { place, known: Mutex::default(), fetching }
    }

    /// The key of this name; the only one where a token names none.
    pub(super) async fn key(&self, kid: Option<&str>) -> Result<Arc<DecodingKey>, NoKey> {
        if let (Some(key), true) = self.look(kid) {
            return Ok(key);
        }
        let mut budget = self.fetching.lock().await;
        // Another request may have fetched meanwhile.
        let (key, fresh) = self.look(kid);
        if let (Some(key), true) = (&key, fresh) {
            return Ok(key.clone());
        }
        if !budget.take(clock::monotonic()) {
            return key.ok_or(NoKey::Unknown);
        }
        match fetch(&self.place).await {
            Ok(keys) => {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                *known = Known { keys, since: Some(clock::monotonic()) };
                drop(known);
                self.look(kid).0.ok_or(NoKey::Unknown)
            }
            Err(why) => match key {
                Some(key) => {
                    tracing::warn!(why, "an issuer's keys could not be fetched; the old ones hold");
                    Ok(key)
                }
                None => Err(NoKey::Unavailable(why)),
            },
        }
    }

    /// The key, and whether what is known is fresh.
    fn look(&self, kid: Option<&str>) -> (Option<Arc<DecodingKey>>, bool) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = match kid {
            Some(kid) => known.keys.get(kid),
            None if known.keys.len() == 1 => known.keys.values().next(),
            None => None,
        };
        let age = known.since.map(|since| clock::monotonic().saturating_sub(since));
        (key.cloned(), age.is_some_and(|age| age < FRESH))
    }
}

async fn fetch(place: &KeyPlace) -> Result<HashMap<String, Arc<DecodingKey>>, String> {
    #[derive(Deserialize)]
    struct Discovery {
        jwks_uri: String,
    }
    let text = match place {
        KeyPlace::File(path) => {
            let file = path.clone();
            let read = tokio::task::spawn_blocking(move || std::fs::read(file)).await;
            read.map_err(std::io::Error::other)
                .and_then(|read| read)
                .map_err(|error| format!("{}: {error}", path.display()))?
        }
        KeyPlace::Address(address) => get(address).await?,
        KeyPlace::Discovery(address) => {
            let document = get(address).await?;
            let Discovery { jwks_uri } =
                serde_json::from_slice(&document).map_err(|error| format!("{address}: {error}"))?;
            get(&checked_address(jwks_uri, "jwks_uri")?).await?
        }
    };
    read(&text)
}

/// The keys of a set that sign tokens. What is not understood is left out: an issuer may have others.
fn read(text: &[u8]) -> Result<HashMap<String, Arc<DecodingKey>>, String> {
    #[derive(Deserialize)]
    struct Keys {
        keys: Vec<serde_json::Value>,
    }
    let Keys { keys } = serde_json::from_slice(text).map_err(|error| format!("keys: {error}"))?;
    let set = JwkSet {
        keys: keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect(),
    };
    let signs = |key: &&Jwk| {
        let common = &key.common;
        let algorithm = common.key_algorithm;
        !matches!(common.public_key_use, Some(PublicKeyUse::Encryption))
            && matches!(algorithm, None | Some(KeyAlgorithm::RS256 | KeyAlgorithm::ES256))
    };
    let keys = set.keys.iter().filter(signs).filter_map(|key| {
        let decoding = DecodingKey::from_jwk(key).ok()?;
        Some((key.common.key_id.clone().unwrap_or_default(), Arc::new(decoding)))
    });
    Ok(keys.collect())
}

async fn get(address: &str) -> Result<Vec<u8>, String> {
    let told = |error: reqwest::Error| format!("{address}: {error}");
    let client = reqwest::Client::builder()
        .timeout(FETCH_TIME_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(told)?;
    let mut answer = client
        .get(address)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(told)?;
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(told)? {
        body.extend_from_slice(&piece);
        if body.len() > DOCUMENT_BYTES_MAX {
            return Err(format!("{address}: longer than {DOCUMENT_BYTES_MAX} bytes"));
        }
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up_and_comes_back_one_by_one() {
        let mut budget = Budget::new((2, Duration::from_secs(30)));
        let mut check = |second: u64, want: bool| {
            assert_eq!(budget.take(Duration::from_secs(second)), want, "{second}");
        };
        check(100, true);
        check(100, true);
        check(129, false);
        check(130, true);
        check(131, false);
        check(1_000, true);
        check(1_000, true);
        check(1_000, false);
    }

    #[test]
    fn keys_that_do_not_sign_or_are_not_understood_are_left_out() {
        let rsa = r#""kty":"RSA","n":"wU3fnNvw","e":"AQAB""#;
        let text = format!(
            r#"{{"keys":[{{"kid":"a","use":"sig",{rsa}}},{{"kid":"b","use":"enc",{rsa}}},
                {{"kid":"c","kty":"other"}},{{"kid":"d","alg":"RS512",{rsa}}},{{{rsa}}}]}}"#
        );
        let mut names: Vec<String> = read(text.as_bytes()).expect("a set").into_keys().collect();
        names.sort();
        assert_eq!(names, ["", "a"]);
        assert!(read(b"[]").is_err());
    }
}
