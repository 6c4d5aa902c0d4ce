//! TLS of the listener: given certificates, or those of a development authority.
//!
//! In reading order: [`Tls`] (what was asked for), [`Certificates`] (what is shown at the moment),
//! `authority` (who signs in development). Not here: sockets (`serve`), connections (`connection`).
//! Invariant: a connection keeps what it began with; a new certificate is shown to those that follow.

mod authority;

use crate::clock;
use crate::options::Error;
use arc_swap::ArcSwap;
use authority::Authority;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether a certificate of the development authority is near its end.
const LOOK_EVERY: Duration = Duration::from_secs(3_600);

/// Where certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// A development authority of our own, kept in this directory.
    Development {
        /// Where the authority is kept.
        directory: PathBuf,
        /// Names and addresses besides `localhost` and those that are listened on.
        names: Vec<String>,
    },
    /// A chain and its key, PEM.
    Files {
        /// The certificate, then those between it and its authority.
        certificates: PathBuf,
        /// Its key.
        key: PathBuf,
    },
}

/// What is shown to clients, and how it is made anew.
#[derive(Debug)]
pub(crate) struct Certificates {
    shown: ArcSwap<CertifiedKey>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Authority { authority: Box<Authority>, names: Vec<String> },
    Files { certificates: PathBuf, key: PathBuf },
}

impl Certificates {
    /// Reads or makes a certificate; `listened` are the addresses that it must hold for, too.
    pub(crate) fn open(tls: &Tls, listened: &[IpAddr]) -> Result<Arc<Self>, Error> {
        let source = match tls {
            Tls::Development { directory, names } => Source::Authority {
                authority: Box::new(Authority::open(directory, clock::now())?),
                names: authority::names(names, listened),
            },
            Tls::Files { certificates, key } => {
                Source::Files { certificates: certificates.clone(), key: key.clone() }
            }
        };
        let shown = ArcSwap::from_pointee(source.certificate()?);
        Ok(Arc::new(Self { shown, source }))
    }

    /// The file that clients of the development authority must trust.
    pub(crate) fn authority_file(&self) -> Option<PathBuf> {
        match &self.source {
            Source::Authority { authority, .. } => Some(authority.file()),
            Source::Files { .. } => None,
        }
    }

    /// What accepts connections.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::Tls { why: error.to_string() })?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Renews what is near its end, and reads given files anew at SIGHUP, until `stop`.
    pub(crate) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut hangups = Hangups::new();
        loop {
            let due = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => match &self.source {
                    Source::Authority { authority, .. } => authority.is_due(clock::now()),
                    Source::Files { .. } => false,
                },
                () = hangups.next() => true,
            };
            if !due {
                continue;
            }
            match self.source.certificate() {
                Ok(certificate) => {
                    self.shown.store(Arc::new(certificate));
                    tracing::info!("a new certificate is shown");
                }
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(
                        error,
                        "the certificate could not be renewed; the old one stays"
                    );
                }
            }
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown.load_full())
    }
}

impl Source {
    fn certificate(&self) -> Result<CertifiedKey, Error> {
        let (chain, key) = match self {
            Self::Authority { authority, names } => authority.issue(names, clock::now())?,
            Self::Files { certificates, key } => read(certificates, key)?,
        };
        let refused = |error: rustls::Error| Error::Tls { why: error.to_string() };
        let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(refused)?;
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(certified)
            }
            Err(error) => Err(refused(error)),
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(
    certificates: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let bad = |path: &Path, why: String| Error::TlsFile { path: path.into(), why };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificates).and_then(Iterator::collect);
    let chain = chain.map_err(|error| bad(certificates, error.to_string()))?;
    if chain.is_empty() {
        return Err(bad(certificates, "it holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error.to_string()))?;
    Ok((chain, key))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// Signals to read files anew, where there are such signals.
struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    #[cfg(unix)]
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self { signal: signal(SignalKind::hangup()).ok() }
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        std::future::pending().await
    }
}
