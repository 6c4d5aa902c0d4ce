//! An issuer of others: two keys, their set over plain HTTP, and what they sign.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, rand_core::OsRng};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "tokens are about the present")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A certificate for `localhost` that signed itself, and its key: PEM.
pub(crate) fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("made");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// The keys of a time.
#[derive(Clone)]
pub(crate) struct Keys {
    name: u32,
    rsa: EncodingKey,
    elliptic: EncodingKey,
    public: Value,
}

impl Keys {
    fn make(name: u32) -> Self {
        let key = RsaPrivateKey::new(&mut OsRng, 2_048).expect("a key");
        let pair = rcgen::KeyPair::generate().expect("a key");
        // An uncompressed point: 4, then both coordinates.
        let (x, y) = pair.public_key_raw()[1..].split_at(32);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (text(&key.n().to_bytes_be()), text(&key.e().to_bytes_be()));
        let public = json!({"keys": [
            {"kty": "RSA", "use": "sig", "kid": format!("RS256 {name}"), "n": n, "e": e},
            {"kty": "EC", "crv": "P-256", "kid": format!("ES256 {name}"), "x": text(x), "y": text(y)},
        ]});
        Self {
            name,
            rsa: EncodingKey::from_rsa_der(key.to_pkcs1_der().expect("written").as_bytes()),
            elliptic: EncodingKey::from_ec_der(&pair.serialize_der()),
            public,
        }
    }

    pub(crate) fn sign(&self, algorithm: &str, claims: &Value) -> String {
        self.sign_as(algorithm, &format!("{algorithm} {}", self.name), claims)
    }

    fn sign_as(&self, algorithm: &str, kid: &str, claims: &Value) -> String {
        let (algorithm, key) = match algorithm {
            "ES256" => (Algorithm::ES256, &self.elliptic),
            _ => (Algorithm::RS256, &self.rsa),
        };
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.to_owned());
        jsonwebtoken::encode(&header, claims, key).expect("signed")
    }
}

/// A running issuer.
pub(crate) struct OtherIssuer {
    root: String,
    keys: Keys,
    shown: Arc<Mutex<Value>>,
    fetches: Arc<AtomicU32>,
}

impl OtherIssuer {
    pub(crate) async fn start() -> Self {
        let keys = tokio::task::spawn_blocking(|| Keys::make(1)).await.expect("made");
        let shown = Arc::new(Mutex::new(keys.public.clone()));
        let fetches = Arc::new(AtomicU32::new(0));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let root = format!("http://{}", listener.local_addr().expect("an address"));
        let serve = serve(listener, root.clone(), shown.clone(), fetches.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        drop(tokio::spawn(serve));
        Self { root, keys, shown, fetches }
    }

    /// `iss`
    pub(crate) fn name(&self) -> String {
        format!("{}/tenant", self.root)
    }

    pub(crate) fn discovery(&self) -> String {
        format!("{}/discovery", self.root)
    }

    pub(crate) fn keys(&self) -> String {
        format!("{}/keys", self.root)
    }

    /// How often the keys were fetched.
    pub(crate) fn fetches(&self) -> u32 {
        self.fetches.load(SeqCst)
    }

    /// Changes the keys; answers those of before.
    pub(crate) fn rotate(&mut self) -> Keys {
        let next = Keys::make(self.keys.name + 1);
        *self.shown.lock().expect("not poisoned") = next.public.clone();
        std::mem::replace(&mut self.keys, next)
    }

    pub(crate) fn sign(&self, algorithm: &str, claims: &Value) -> String {
        self.keys.sign(algorithm, claims)
    }

    pub(crate) fn sign_as(&self, algorithm: &str, kid: &str, claims: &Value) -> String {
        self.keys.sign_as(algorithm, kid, claims)
    }
}

async fn serve(
    listener: TcpListener,
    root: String,
    shown: Arc<Mutex<Value>>,
    fetches: Arc<AtomicU32>,
) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut head = vec![0; 4_096];
        let read = stream.read(&mut head).await.unwrap_or(0);
        let head = String::from_utf8_lossy(&head[..read]).into_owned();
        let body = match head.split(' ').nth(1) {
            Some("/discovery") => json!({"jwks_uri": format!("{root}/keys")}).to_string(),
            Some("/keys") => {
                fetches.fetch_add(1, SeqCst);
                shown.lock().expect("not poisoned").to_string()
            }
            _ => "{}".to_owned(),
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        // A client that has gone away is no matter.
        drop(stream.write_all(answer.as_bytes()).await);
    }
}
