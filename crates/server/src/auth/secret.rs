//! Secrets: made from the system's randomness, shown once, kept as hashes.
//!
//! Not here: rows (`pipeline`). Invariant: a secret is nowhere but in the hands of its user.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Characters of a secret that may be shown, so that people can tell it from others.
const HINT_CHARACTERS: usize = 3;

/// The system gave no randomness, or the hash could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no secret can be made: {0}")]
pub struct NoSecret(String);

/// A new secret or token: 256 random bits.
pub(crate) fn make() -> Result<String, NoSecret> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| NoSecret(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The beginning of a secret.
pub(crate) fn hint(secret: &str) -> String {
    secret.chars().take(HINT_CHARACTERS).collect()
}

/// What is kept of a user's secret. Cost: tens of milliseconds, on purpose.
pub(crate) fn hash(secret: &str) -> Result<String, NoSecret> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| NoSecret(error.to_string()))?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| NoSecret(error.to_string()))?;
    let hash = Argon2::default()
        .hash_password(secret.as_bytes(), &salt)
        .map_err(|error| NoSecret(error.to_string()))?;
    Ok(hash.to_string())
}

/// Whether a secret is the one that was hashed. Cost: as [`hash`].
pub(crate) fn fits(secret: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(secret.as_bytes(), &hash).is_ok())
}

/// What is kept of a token that we made ourselves: 256 random bits need no slow hash.
pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_fits_its_own_hash_alone() {
        let (one, two) = (make().expect("made"), make().expect("made"));
        assert_ne!(one, two);
        let kept = hash(&one).expect("hashed");
        assert!(kept.starts_with("$argon2id$") && !kept.contains(&one));
        assert!(fits(&one, &kept));
        assert!(!fits(&two, &kept));
        assert!(!fits(&one, "no hash"));
        assert_ne!(hash(&one).expect("hashed"), kept, "each has a salt of its own");
    }
}
