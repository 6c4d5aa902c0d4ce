//! The caller's token: given, or asked for and renewed before it ends.
//!
//! In: [`Credential`]. Out: what stands in `Authorization`. In reading order: this file (what is held, and when it is renewed),
//! `endpoint` (where tokens come from), `grant` (asking), `certificate`, `device`, `handed` (the ways), `advice` (refusals).
//! Not here: sending requests to the service (`transport`), where secrets lie (`secret`).
//! Invariant: the secret goes to the endpoint that the user named, to the service's own host, or to one of
//! the platform's known sign-in hosts; never to whatever host an answer names.

pub(crate) mod advice;
mod certificate;
mod device;
mod endpoint;
pub(crate) mod grant;
mod handed;

pub use certificate::{BadCertificate, Certificate};
pub use device::Prompt;

use crate::secret::{Place, Secret};
use crate::transport::{Error, Response};
use advice::As;
use bytes::Bytes;
use endpoint::Endpoint;
use grant::{Answer, Granted};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Who calls.
#[derive(Clone, Default)]
pub enum Credential {
    /// Nobody in particular.
    #[default]
    None,
    /// The bearer of a token, which ends when it ends.
    Token(Secret),
    /// An application that proves itself.
    Application(Application),
    /// A person who has signed in.
    Person(Person),
    /// Whoever a command gives tokens for.
    Command(String),
    /// Whoever another process keeps a token for in a file.
    File(PathBuf),
}

/// An application that proves itself.
#[derive(Clone)]
pub struct Application {
    /// The client id.
    pub client_id: String,
    /// By what.
    pub proof: Proof,
    /// Who gives it tokens.
    pub issuer: Issuer,
}

/// By what an application proves itself.
#[derive(Clone)]
pub enum Proof {
    /// A secret that it shares with the issuer.
    Secret(Secret),
    /// The key of a certificate that the issuer knows.
    Certificate(Arc<Certificate>),
}

/// A person who has signed in.
#[derive(Clone)]
pub struct Person {
    /// The client id of the application that the person uses.
    pub client_id: String,
    /// Who gives it tokens.
    pub issuer: Issuer,
    /// Where the refresh token lies.
    pub kept: Place,
}

/// Who gives tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuer {
    /// Where tokens are asked for; by default the service says.
    pub token_url: Option<String>,
    /// The tenant, where the service does not say the right one.
    pub tenant: Option<String>,
}

/// Secrets stay out of logs.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => write!(f, "nobody"),
            Self::Token(_) => write!(f, "the bearer of a token"),
            Self::Application(Application { client_id, proof: Proof::Secret(_), .. }) => {
                write!(f, "application {client_id}")
            }
            Self::Application(Application { client_id, .. }) => {
                write!(f, "application {client_id} with a certificate")
            }
            Self::Person(person) => write!(f, "a person by application {}", person.client_id),
            Self::Command(_) => write!(f, "whoever a command gives tokens for"),
            Self::File(_) => write!(f, "whoever a file holds a token for"),
        }
    }
}

/// A token is renewed so long before its end, or when half of its time is over if that is later.
const RENEWAL: Duration = Duration::from_secs(300);
/// How long a token lasts whose issuer does not say.
const LASTS: Duration = Duration::from_secs(3_599);
/// A renewal that failed is tried again after this while the token still holds.
const RENEWAL_AGAIN: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(60);

/// The token of the moment.
pub(crate) struct Tokens {
    credential: Credential,
    /// `https://host`
    origin: String,
    /// Whoever asks for a token holds it, so that many requests ask once.
    held: tokio::sync::Mutex<Held>,
}

#[derive(Default)]
struct Held {
    endpoint: Option<Endpoint>,
    token: Option<Secret>,
    renew: Option<Instant>,
    ends: Option<Instant>,
    /// With what the next one is asked for, where it has changed since it was read.
    refresh: Option<Secret>,
}

/// Why there is no token.
#[derive(Debug)]
pub(crate) enum NoToken {
    /// The way to the issuer failed.
    Unreachable(Error),
    /// The issuer refused: for the caller this is a refused request.
    Refused(Response),
}

impl Tokens {
    pub(crate) fn new(credential: Credential, origin: String) -> Self {
        Self { credential, origin, held: tokio::sync::Mutex::default() }
    }

    /// A token that can be renewed: a refused one may be so because it has ended.
    pub(crate) fn can_renew(&self) -> bool {
        !matches!(self.credential, Credential::None | Credential::Token(_))
    }

    /// What can be done where the service does not take the caller, and the token cannot be renewed.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self.credential {
            Credential::None => Some(
                "the service wants to know who calls: `sheaf auth login`, or give `--profile`, `--client-id` or `--token`",
            ),
            Credential::Token(_) => Some(
                "the token has ended or is for another service; one that is given is not renewed: \
                 `sheaf auth login` makes a profile whose tokens are",
            ),
            _ => None,
        }
    }

    /// The present token; none where none is needed. `refused` is one that the service did not take.
    pub(crate) async fn bearer(
        &self,
        client: &reqwest::Client,
        refused: Option<&str>,
    ) -> Result<Option<Secret>, NoToken> {
        match &self.credential {
            Credential::None => return Ok(None),
            Credential::Token(token) => return Ok(Some(token.clone())),
            _ => {}
        }
        let mut held = self.held.lock().await;
        if refused.is_some() && held.endpoint == Some(Endpoint::NotNeeded) {
            held.endpoint = None;
        }
        let now = Instant::now();
        let good = held.token.clone().filter(|token| Some(token.expose()) != refused);
        if good.is_some() && held.renew.is_some_and(|renew| now < renew) {
            return Ok(good);
        }
        match self.ask(client, &mut held).await {
            Ok(Some(granted)) => {
                let Granted { token, lasts, .. } = granted;
                held.renew = Some(now + lasts.saturating_sub(RENEWAL).max(lasts / 2));
                held.ends = Some(now + lasts);
                Ok(Some(held.token.insert(token).clone()))
            }
            Ok(None) => Ok(None),
            // The one that is there still holds for a while.
            Err(why) if good.is_some() && held.ends.is_some_and(|ends| now < ends) => {
                tracing::warn!(why = %why.text(), "the token could not be renewed and still holds");
                held.renew = Some(now + RENEWAL_AGAIN);
                Ok(good)
            }
            Err(why) => Err(why),
        }
    }

    /// Until when the present token need not be asked for again.
    pub(crate) async fn renews_at(&self) -> Option<Instant> {
        self.held.lock().await.renew
    }

    async fn ask(
        &self,
        client: &reqwest::Client,
        held: &mut Held,
    ) -> Result<Option<Granted>, NoToken> {
        match &self.credential {
            Credential::None | Credential::Token(_) => Ok(None),
            Credential::Command(line) => handed::by_command(line).await.map(Some),
            Credential::File(path) => handed::by_file(path).map(Some),
            Credential::Application(application) => {
                let found = self.endpoint(client, &application.issuer, held).await?;
                let Endpoint::At { url, resource } = found else { return Ok(None) };
                as_application(client, application, &url, &Endpoint::scope(&resource))
                    .await
                    .map(Some)
            }
            Credential::Person(person) => {
                let found = self.endpoint(client, &person.issuer, held).await?;
                let Endpoint::At { url, resource } = found else { return Ok(None) };
                as_person(client, person, &url, &Endpoint::scope(&resource), held).await.map(Some)
            }
        }
    }

    async fn endpoint(
        &self,
        client: &reqwest::Client,
        issuer: &Issuer,
        held: &mut Held,
    ) -> Result<Endpoint, NoToken> {
        match &held.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => {
                let found = endpoint::find(client, issuer, &self.origin).await?;
                Ok(held.endpoint.insert(found).clone())
            }
        }
    }

    /// Lets a person sign in, and keeps what that gives where the credential says.
    pub(crate) async fn sign_in(
        &self,
        client: &reqwest::Client,
        tell: &mut (dyn FnMut(&Prompt) + Send),
    ) -> Result<(), NoToken> {
        let Credential::Person(person) = &self.credential else {
            return Err(refused("only a person signs in"));
        };
        let mut held = self.held.lock().await;
        let found = self.endpoint(client, &person.issuer, &mut held).await?;
        let Endpoint::At { url, resource } = found else {
            return Err(refused("the service takes everybody: there is nothing to sign in to"));
        };
        let scope = Endpoint::scope(&resource);
        let granted = device::sign_in(client, &url, &person.client_id, &scope, tell).await?;
        let Some(refresh) = granted.refresh else {
            return Err(refused(
                "the issuer gave no refresh token: it does not let this application have one",
            ));
        };
        keep(&person.kept, refresh).await
    }
}

impl NoToken {
    /// What is said about it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Unreachable(error) => error.to_string(),
            Self::Refused(response) => {
                let json: serde_json::Value =
                    serde_json::from_slice(&response.body).unwrap_or_default();
                json["error"]["message"].as_str().unwrap_or("no token").to_owned()
            }
        }
    }
}

async fn as_application(
    client: &reqwest::Client,
    application: &Application,
    url: &str,
    scope: &str,
) -> Result<Granted, NoToken> {
    let Application { client_id, proof, .. } = application;
    let start = [("grant_type", "client_credentials"), ("client_id", client_id.as_str())];
    let (answer, who) = match proof {
        Proof::Secret(secret) => {
            let fields = [start[0], start[1], ("client_secret", secret.expose()), ("scope", scope)];
            (grant::post(client, url, &fields, &[secret]).await?, As::Secret)
        }
        Proof::Certificate(certificate) => {
            let proof = certificate.proof(client_id, url, grant::wall());
            let proof = proof.ok_or_else(|| refused("the certificate's key does not sign"))?;
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let fields = [
                start[0],
                start[1],
                ("client_assertion_type", kind),
                ("client_assertion", proof.as_str()),
                ("scope", scope),
            ];
            let secrets = [&Secret::new(proof.as_str())];
            (grant::post(client, url, &fields, &secrets).await?, As::Certificate)
        }
    };
    match answer {
        Answer::Yes(json) => grant::granted(url, json),
        Answer::No(denial) => Err(refused(&advice::told(&denial, who))),
    }
}

/// Asks with the refresh token. Another process may have changed it meanwhile: then with that one.
async fn as_person(
    client: &reqwest::Client,
    person: &Person,
    url: &str,
    scope: &str,
    held: &mut Held,
) -> Result<Granted, NoToken> {
    let mut refresh = match held.refresh.clone() {
        Some(refresh) => refresh,
        None => read(&person.kept).await?,
    };
    let scope = format!("{scope} offline_access");
    loop {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", person.client_id.as_str()),
            ("refresh_token", refresh.expose()),
            ("scope", scope.as_str()),
        ];
        match grant::post(client, url, &fields, &[&refresh]).await? {
            Answer::Yes(json) => {
                let granted = grant::granted(url, json)?;
                if let Some(next) = granted.refresh.clone().filter(|next| *next != refresh) {
                    held.refresh = Some(next.clone());
                    // The old one may still do for the next call; this one goes on.
                    if let Err(why) = keep(&person.kept, next).await {
                        tracing::warn!(why = %why.text(), "the new refresh token is not kept");
                    }
                }
                return Ok(granted);
            }
            Answer::No(denial) => {
                let kept = read(&person.kept).await?;
                if denial.error != "invalid_grant" || kept == refresh {
                    return Err(refused(&advice::told(&denial, As::Person)));
                }
                held.refresh = Some(kept.clone());
                refresh = kept;
            }
        }
    }
}

async fn read(place: &Place) -> Result<Secret, NoToken> {
    let place = place.clone();
    let read = tokio::task::spawn_blocking(move || place.read()).await;
    match read {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(error)) => Err(refused(&format!("{error}: sign in again with `sheaf auth login`"))),
        Err(error) => Err(refused(&error.to_string())),
    }
}

async fn keep(place: &Place, secret: Secret) -> Result<(), NoToken> {
    let place = place.clone();
    match tokio::task::spawn_blocking(move || place.write(&secret)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(refused(&error.to_string())),
        Err(error) => Err(refused(&error.to_string())),
    }
}

/// A refusal as the service itself would send it, so that it is treated as one.
fn refused(why: &str) -> NoToken {
    let body = json!({"error": {"code": "0x80040204", "message": why}});
    NoToken::Refused(Response {
        status: 401,
        headers: Vec::new(),
        body: Bytes::from(body.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_shows_no_secret() {
        let secret = Application {
            client_id: "id".to_owned(),
            proof: Proof::Secret(Secret::new("hush")),
            issuer: Issuer::default(),
        };
        assert_eq!(format!("{:?}", Credential::Application(secret)), "application id");
        for credential in
            [Credential::Token(Secret::new("hush")), Credential::Command("print hush".to_owned())]
        {
            assert!(!format!("{credential:?}").contains("hush"));
        }
    }
}
