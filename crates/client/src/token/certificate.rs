//! An application's certificate, and the proofs that are signed with its key.
//!
//! In: a PEM file with an RSA key and its certificate. Out: signed assertions, one for each request for a token.
//! Source: Microsoft's "certificate credentials"; RFC 7523.
//! Invariant: the key leaves as nothing but signatures.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A proof holds so long, in seconds.
const PROOF_HOLDS: i64 = 600;
/// So much before now it begins, for clocks that are a little ahead.
const PROOF_BEGAN: i64 = 60;

/// A certificate with its key.
pub struct Certificate {
    key: RsaKeyPair,
    /// SHA-256 of the certificate, in base64url.
    thumbprint: String,
}

/// Why a file is none of a certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// No certificate in it.
    #[error("it holds no `CERTIFICATE` in PEM")]
    NoCertificate,
    /// No key in it.
    #[error(
        "it holds no private key in PEM beside the certificate (one that is protected by a password is not read; \
         `openssl pkcs12 -in FILE.pfx -nodes -out FILE.pem` takes both out of a .pfx file)"
    )]
    NoKey,
    /// A key of another kind, or a bad one.
    #[error("its key cannot be used: RSA of 2048 to 4096 bits is taken ({0})")]
    Key(String),
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "certificate {}", self.thumbprint)
    }
}

impl Certificate {
    /// Reads a certificate and its key.
    pub fn read(pem: &[u8]) -> Result<Self, BadCertificate> {
        let certificate =
            CertificateDer::from_pem_slice(pem).map_err(|_| BadCertificate::NoCertificate)?;
        let key = match PrivateKeyDer::from_pem_slice(pem).map_err(|_| BadCertificate::NoKey)? {
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            _ => return Err(BadCertificate::Key("it is an elliptic curve's".to_owned())),
        };
        let key = key.map_err(|error| BadCertificate::Key(error.to_string()))?;
        let digest = digest::digest(&digest::SHA256, &certificate);
        Ok(Self { key, thumbprint: URL_SAFE_NO_PAD.encode(digest) })
    }

    /// A proof for one request to a token endpoint.
    pub(super) fn proof(&self, client_id: &str, endpoint: &str, now: i64) -> Option<String> {
        let random = SystemRandom::new();
        let mut id = [0; 16];
        random.fill(&mut id).ok()?;
        let header = serde_json::json!({"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = serde_json::json!({
            "aud": endpoint,
            "iss": client_id,
            "sub": client_id,
            "jti": URL_SAFE_NO_PAD.encode(id),
            "iat": now,
            "nbf": now - PROOF_BEGAN,
            "exp": now + PROOF_HOLDS,
        });
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PSS_SHA256, &random, signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
