//! The development authority: one certificate that clients trust, and what it signs.
//!
//! Two files in a directory: `ca.pem` (for clients) and `ca.key.pem` (for the service alone). What the
//! service shows is made at every start and is never kept. Not here: who uses it.
//! Invariant: the authority is made once; whoever trusts its file trusts all later certificates.

use crate::options::Error;
use model::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca.key.pem";
const NAME: &str = "Sheaf development authority";
const DAY_SECONDS: i64 = 86_400;
/// How long the authority holds.
const AUTHORITY_DAYS: i64 = 3_650;
/// How long what it signs holds: no client accepts more than 398 days.
const LEAF_DAYS: i64 = 90;
/// It is renewed so many days before its end.
const RENEWAL_DAYS: i64 = 30;

/// Who signs.
#[derive(Debug)]
pub(super) struct Authority {
    directory: PathBuf,
    key: KeyPair,
    /// When what was signed last ends, in seconds since 1970.
    ends: AtomicI64,
}

impl Authority {
    /// Reads the authority of a directory, or makes it.
    pub(super) fn open(directory: &Path, now: Timestamp) -> Result<Self, Error> {
        let bad = |path: &Path, why: String| Error::TlsFile { path: path.into(), why };
        let (certificate, key_file) = (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| Error::TlsFile { path, why: error.to_string() }
        };
        let key = if key_file.exists() {
            if !certificate.exists() {
                let why = format!("it is missing, though {} is there", key_file.display());
                return Err(bad(&certificate, why));
            }
            let text = std::fs::read_to_string(&key_file).map_err(io(&key_file))?;
            KeyPair::from_pem(&text).map_err(|error| bad(&key_file, error.to_string()))?
        } else {
            let key = KeyPair::generate().map_err(failed)?;
            let ends = now.0 + AUTHORITY_DAYS * DAY_SECONDS;
            let made = parameters_of_authority(now, ends).self_signed(&key).map_err(failed)?;
            std::fs::create_dir_all(directory).map_err(io(directory))?;
            write(&certificate, &made.pem(), false).map_err(io(&certificate))?;
            write(&key_file, &key.serialize_pem(), true).map_err(io(&key_file))?;
            key
        };
        Ok(Self { directory: directory.into(), key, ends: AtomicI64::new(0) })
    }

    /// The file that clients must trust.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join(CERTIFICATE_FILE)
    }

    /// What was signed last is near its end.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        now.0 + RENEWAL_DAYS * DAY_SECONDS >= self.ends.load(Relaxed)
    }

    /// A new certificate for these names and addresses, with its key.
    pub(super) fn issue(
        &self,
        names: &[String],
        now: Timestamp,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
        let named = |error: rcgen::Error| Error::Tls {
            why: format!("no certificate can be made for {}: {error}", names.join(", ")),
        };
        let mut leaf = CertificateParams::new(names.to_vec()).map_err(named)?;
        let ends = now.0 + LEAF_DAYS * DAY_SECONDS;
        hold(&mut leaf, now.0 - DAY_SECONDS, ends);
        leaf.distinguished_name.push(DnType::CommonName, names.first().map_or("", String::as_str));
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        // Only its name and key go into what it signs, and these are always the same.
        let authority = parameters_of_authority(now, ends);
        let issuer = Issuer::from_params(&authority, &self.key);
        let made = leaf.signed_by(&key, &issuer).map_err(failed)?;
        self.ends.store(ends, Relaxed);
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((vec![made.der().clone()], PrivateKeyDer::Pkcs8(key)))
    }
}

/// The names that a certificate holds for: loopback always, what is listened on, and more as wished.
pub(super) fn names(more: &[String], listened: &[IpAddr]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    let listened = listened.iter().filter(|address| !address.is_unspecified());
    for name in listened.map(ToString::to_string).chain(more.iter().cloned()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn parameters_of_authority(now: Timestamp, ends: i64) -> CertificateParams {
    let mut authority = CertificateParams::default();
    hold(&mut authority, now.0 - DAY_SECONDS, ends);
    authority.distinguished_name.push(DnType::CommonName, NAME);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
}

/// Lets a certificate hold between two instants, by the day.
fn hold(certificate: &mut CertificateParams, from: i64, to: i64) {
    let day = |seconds: i64| {
        let date = Timestamp(seconds).date().to_string();
        let mut parts = date.split('-').map(|part| part.parse::<u16>().unwrap_or(1));
        let mut next = || parts.next().unwrap_or(1);
        let (year, month, day) = (next(), next(), next());
        let small = |number: u16| u8::try_from(number).unwrap_or(1);
        rcgen::date_time_ymd(i32::from(year), small(month), small(day))
    };
    (certificate.not_before, certificate.not_after) = (day(from), day(to));
}

fn failed(error: rcgen::Error) -> Error {
    Error::Tls { why: error.to_string() }
}

/// Writes a new file; a private one is for its owner alone.
fn write(path: &Path, text: &str, private: bool) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if private { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = private;
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_holds_for_loopback_what_is_listened_on_and_more() {
        let listened = ["127.0.0.1", "10.0.0.7", "0.0.0.0"].map(|text| text.parse().expect("one"));
        let names = names(&["org.example".to_owned(), "localhost".to_owned()], &listened);
        assert_eq!(names, ["localhost", "127.0.0.1", "::1", "10.0.0.7", "org.example"]);
    }

    #[test]
    fn the_authority_stays_and_what_it_signs_is_due_before_it_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let now = Timestamp(1_790_000_000);
        let authority = Authority::open(directory.path(), now).expect("made");
        let before = std::fs::read(authority.file()).expect("a file");
        assert!(authority.is_due(now));
        authority.issue(&["localhost".to_owned()], now).expect("signed");
        assert!(!authority.is_due(now));
        assert!(!authority.is_due(Timestamp(now.0 + 59 * DAY_SECONDS)));
        assert!(authority.is_due(Timestamp(now.0 + 60 * DAY_SECONDS)));
        let again = Authority::open(directory.path(), now).expect("read");
        assert_eq!(std::fs::read(again.file()).expect("a file"), before);
        assert_eq!(again.key.serialize_der(), authority.key.serialize_der());
    }

    #[test]
    fn a_name_that_cannot_be_certified_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let now = Timestamp(1_790_000_000);
        let authority = Authority::open(directory.path(), now).expect("made");
        let refused = authority.issue(&["bücher.example".to_owned()], now);
        let text = refused.map(drop).map_err(|error| error.to_string());
        assert!(text.expect_err("refused").contains("bücher.example"));
    }
}
