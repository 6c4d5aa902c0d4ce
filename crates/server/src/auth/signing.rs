//! The built-in issuer's keys: made when the first token is asked for, kept in the store so that all
//! nodes sign with them, and changed every ninety days.
//!
//! In development they are of this process alone, so that nothing it gave away holds elsewhere.
//! Not here: what is signed (`issuer`). Invariant: a key that signs no more is known for a day on, which
//! is longer than any token of it holds.

use super::explain;
use super::keys::{Budget, NoKey};
use crate::clock;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use model::{Timestamp, Uuid};
use pipeline::{Credential, CredentialKind, Looked, Pipeline};
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, rand_core::OsRng};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const KEY_BITS: usize = 2_048;
/// A key signs for so long.
const KEY_SECONDS: i64 = 90 * 86_400;
/// A key that signs no more is known for so long.
const AFTER_SECONDS: i64 = 86_400;
/// Keys are read anew after that time: another node may have made one.
const FRESH: Duration = Duration::from_secs(300);
/// Reads of the store because of a key that is not known, and how long one takes to come back.
const READS: (u32, Duration) = (20, Duration::from_secs(1));

/// The keys, as far as they have been needed.
pub(crate) struct Signing {
    /// Where keys are kept.
    home: Home,
    known: Mutex<Known>,
    loading: tokio::sync::Mutex<Budget>,
}

enum Home {
    Store(Arc<Pipeline>),
    Memory(Mutex<Vec<Credential>>),
}

#[derive(Clone, Default)]
struct Known {
    /// Newest last.
    keys: Arc<[Key]>,
    since: Option<Duration>,
}

struct Key {
    name: String,
    created: Timestamp,
    expires: Option<Timestamp>,
    encoding: EncodingKey,
    decoding: Arc<DecodingKey>,
    /// As others read it.
    public: Value,
}

/// Why nothing can be signed; for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct CannotSign(String);

impl Signing {
    /// Keys that all nodes share.
    pub(crate) fn shared(pipeline: Arc<Pipeline>) -> Self {
        Self::of(Home::Store(pipeline))
    }

    /// Keys of this process.
    pub(crate) fn development() -> Self {
        Self::of(Home::Memory(Mutex::default()))
    }

    fn of(home: Home) -> Self {
        let loading = tokio::sync::Mutex::new(Budget::new(READS));
        Self { home, known: Mutex::default(), loading }
    }

    /// The key of this name, to check a signature.
    pub(super) async fn key(&self, kid: Option<&str>) -> Result<Arc<DecodingKey>, NoKey> {
        let kid = kid.ok_or(NoKey::Unknown)?;
        let find = |keys: &[Key]| {
            let now = clock::now();
            let key = keys.iter().find(|key| key.name == kid && key.is_known(now));
            key.map(|key| key.decoding.clone())
        };
        let known = self.known();
        if let (Some(key), true) = (find(&known.keys), known.is_fresh()) {
            return Ok(key);
        }
        let mut budget = self.loading.lock().await;
        let known = self.known();
        let found = find(&known.keys);
        if (found.is_some() && known.is_fresh()) || !budget.take(clock::monotonic()) {
            return found.ok_or(NoKey::Unknown);
        }
        let keys = self.load().await.map_err(|error| NoKey::Unavailable(error.to_string()))?;
        find(&keys).ok_or(NoKey::Unknown)
    }

    /// Signs a token.
    pub(crate) async fn sign(&self, claims: &impl Serialize) -> Result<String, CannotSign> {
        let keys = self.ready().await?;
        let key = keys.last().ok_or_else(|| CannotSign("there is no key".to_owned()))?;
        let mut header = Header::new(Algorithm::RS256);
        header.kid = Some(key.name.clone());
        jsonwebtoken::encode(&header, claims, &key.encoding)
            .map_err(|error| CannotSign(error.to_string()))
    }

    /// All keys whose tokens hold, as a set for others.
    pub(crate) async fn published(&self) -> Result<Value, CannotSign> {
        let now = clock::now();
        let keys = self.ready().await?;
        let known = keys.iter().filter(|key| key.is_known(now)).map(|key| key.public.clone());
        Ok(json!({"keys": known.collect::<Vec<_>>()}))
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys, with one among them that may sign now.
    async fn ready(&self) -> Result<Arc<[Key]>, CannotSign> {
        let can_sign = |keys: &[Key]| keys.last().is_some_and(|key| key.signs(clock::now()));
        let known = self.known();
        if known.is_fresh() && can_sign(&known.keys) {
            return Ok(known.keys);
        }
        let _one_at_a_time = self.loading.lock().await;
        let known = self.known();
        if known.is_fresh() && can_sign(&known.keys) {
            return Ok(known.keys);
        }
        let keys = self.load().await?;
        if can_sign(&keys) {
            return Ok(keys);
        }
        self.make(&keys).await?;
        self.load().await
    }

    async fn load(&self) -> Result<Arc<[Key]>, CannotSign> {
        let rows = self.home.rows().await?;
        let keys: Arc<[Key]> = rows.iter().filter_map(Key::read).collect();
        let known = Known { keys: keys.clone(), since: Some(clock::monotonic()) };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(keys)
    }

    /// Makes a key that signs from now on; those before it are known for a day. Two nodes may do so at
    /// once: both keys hold, the later one signs.
    async fn make(&self, before: &[Key]) -> Result<(), CannotSign> {
        let made = tokio::task::spawn_blocking(|| {
            let key =
                RsaPrivateKey::new(&mut OsRng, KEY_BITS).map_err(|error| error.to_string())?;
            key.to_pkcs1_der().map(|der| STANDARD.encode(der.as_bytes())).map_err(|e| e.to_string())
        });
        let value =
            made.await.map_err(|error| CannotSign(error.to_string()))?.map_err(CannotSign)?;
        let now = clock::now();
        let add = Credential {
            id: clock::request_id(),
            kind: CredentialKind::SigningKey,
            owner: None,
            name: "RS256".into(),
            value: value.into(),
            created: now,
            expires: None,
        };
        let rows = self.home.rows().await?;
        let is_over = |row: &&Credential| row.expires.is_some_and(|end| end <= now);
        let gone: Vec<Uuid> = rows.iter().filter(is_over).map(|row| row.id).collect();
        let ends = Timestamp(now.0 + AFTER_SECONDS);
        let old = |row: &&Credential| {
            row.expires.is_none() && before.iter().any(|key| key.name == row.id.to_string())
        };
        let change: Vec<Credential> = rows
            .iter()
            .filter(old)
            .map(|row| Credential { expires: Some(ends), ..row.clone() })
            .collect();
        match &self.home {
            Home::Store(pipeline) => pipeline
                .keep_credentials(&[add], &change, &gone, now)
                .await
                .map_err(|error| CannotSign(explain(&error))),
            Home::Memory(rows) => {
                let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
                rows.retain(|row| !gone.contains(&row.id));
                for row in rows.iter_mut().filter(|row| change.iter().any(|it| it.id == row.id)) {
                    row.expires = Some(ends);
                }
                rows.push(add);
                Ok(())
            }
        }
    }
}

impl Home {
    /// Oldest first.
    async fn rows(&self) -> Result<Vec<Credential>, CannotSign> {
        match self {
            Self::Store(pipeline) => pipeline
                .credentials(Looked::Kind(CredentialKind::SigningKey), clock::now())
                .await
                .map_err(|error| CannotSign(explain(&error))),
            Self::Memory(rows) => Ok(rows.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.since.is_some_and(|since| clock::monotonic().saturating_sub(since) < FRESH)
    }
}

impl Key {
    fn read(row: &Credential) -> Option<Self> {
        let der = STANDARD.decode(row.value.as_bytes()).ok()?;
        let key = match RsaPrivateKey::from_pkcs1_der(&der) {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(%error, key = %row.id, "a signing key in the store is no key");
                return None;
            }
        };
        let number = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
        let name = row.id.to_string();
        let decoding = Arc::new(DecodingKey::from_rsa_raw_components(&n, &e));
        let public = json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": name, "x5t": name,
            "n": number(n), "e": number(e),
        });
        let encoding = EncodingKey::from_rsa_der(&der);
        let (created, expires) = (row.created, row.expires);
        Some(Self { name, created, expires, encoding, decoding, public })
    }

    fn signs(&self, now: Timestamp) -> bool {
        self.expires.is_none() && now.0 < self.created.0 + KEY_SECONDS
    }

    fn is_known(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}
