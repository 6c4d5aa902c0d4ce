//! Application users and their secrets, straight on the store: so the first one can be made before the
//! service runs.
//!
//! Not here: printing (`cli`), hashes (`auth::secret`). Invariant: everything is written by the pipeline.

use crate::auth::{explain, secret};
use crate::clock;
use crate::options::{Error, StoreChoice};
use crate::serve::open_standard;
use model::{Timestamp, Uuid};
use pipeline::{Credential, CredentialKind, Looked, Pipeline, Stores, User, Wanted};

/// Secrets that a user may have at once: one in use, and some that are being replaced.
const SECRETS_MAX: usize = 10;
const DAY_SECONDS: i64 = 86_400;

/// The users of a store.
pub struct Users {
    pipeline: Pipeline,
}

/// A user to make.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// What it is called; its `domainname`.
    pub name: String,
    /// Its application id; a new one where nothing is said.
    pub application: Option<Uuid>,
    /// Names of its roles.
    pub roles: Vec<String>,
}

/// A secret, shown this once.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// Its id, to remove it by.
    pub id: Uuid,
    /// The secret.
    pub secret: String,
    /// Until when it holds.
    pub expires: Option<Timestamp>,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] Error),
    /// No such user.
    #[error("there is no user `{0}` (give its name, systemuserid or application id)")]
    Unknown(String),
    /// Several users are called so.
    #[error("several users are called `{0}`: give the systemuserid or application id")]
    Ambiguous(String),
    /// The name or application is taken.
    #[error("there is a user {0} already")]
    Taken(String),
    /// The user stands for no application, so it cannot have secrets.
    #[error("user `{0}` has no application id: only application users have secrets")]
    NoApplication(String),
    /// No such role.
    #[error("there is no role `{0}` in the user's business unit; the user is there all the same")]
    NoRole(String),
    /// The user has as many secrets as it may have.
    #[error("user `{0}` has {SECRETS_MAX} secrets already: remove one first")]
    TooManySecrets(String),
    /// No such secret.
    #[error("user `{user}` has no secret `{secret}`")]
    NoSecret {
        /// The user.
        user: String,
        /// What was asked for.
        secret: String,
    },
    /// The randomness or the hash failed.
    #[error(transparent)]
    Secret(#[from] secret::NoSecret),
    /// The store or the pipeline refused.
    #[error("{0}")]
    Refused(String),
}

impl From<pipeline::Error> for UsersError {
    fn from(error: pipeline::Error) -> Self {
        Self::Refused(explain(&error))
    }
}

impl Users {
    /// Opens a store, making its tables where they are missing.
    ///
    /// Errors: a directory that a running service has open cannot be opened.
    pub async fn open(store: &StoreChoice) -> Result<Self, UsersError> {
        let (standard, failed) = open_standard(store).await?;
        let stores = Stores { standard, elastic: None };
        let pipeline = Pipeline::open(stores, clock::now(), clock::random());
        Ok(Self { pipeline: pipeline.await.map_err(failed)? })
    }

    /// The tenant of the built-in issuer: the organisation's id.
    pub fn tenant(&self) -> Uuid {
        self.pipeline.organization().id
    }

    /// All users, the system's own included.
    pub async fn list(&self) -> Result<Vec<User>, UsersError> {
        Ok(self.pipeline.users(Wanted::All, clock::now()).await?)
    }

    /// The user that is meant by a name, a `systemuserid` or an application id.
    pub async fn find(&self, text: &str) -> Result<User, UsersError> {
        let now = clock::now();
        let mut found = Vec::new();
        if let Ok(id) = Uuid::try_parse(text.trim()) {
            found = self.pipeline.users(Wanted::Id(id), now).await?;
            if found.is_empty() {
                found = self.pipeline.users(Wanted::Application(id), now).await?;
            }
        }
        if found.is_empty() && !text.trim().is_empty() {
            found = self.pipeline.users(Wanted::Name(text.trim()), now).await?;
        }
        match found.len() {
            0 => Err(UsersError::Unknown(text.to_owned())),
            1 => Ok(found.remove(0)),
            _ => Err(UsersError::Ambiguous(text.to_owned())),
        }
    }

    /// Makes an application user with a first secret.
    pub async fn add(&self, new: &NewUser) -> Result<(User, NewSecret), UsersError> {
        let now = clock::now();
        let application = new.application.unwrap_or_else(clock::request_id);
        let name = new.name.trim();
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(UsersError::Refused("a user's name is a line of text".to_owned()));
        }
        if !self.pipeline.users(Wanted::Name(name), now).await?.is_empty() {
            return Err(UsersError::Taken(format!("named `{name}`")));
        }
        if !self.pipeline.users(Wanted::Application(application), now).await?.is_empty() {
            return Err(UsersError::Taken(format!("of application {application}")));
        }
        let id = self.pipeline.add_application_user(name, application, now).await?;
        let user = self.find(&id.to_string()).await?;
        for role in &new.roles {
            self.give_role(&user, role).await?;
        }
        let secret = self.add_secret(&user, None).await?;
        Ok((user, secret))
    }

    /// Gives a user a role, by its name.
    pub async fn give_role(&self, user: &User, role: &str) -> Result<(), UsersError> {
        match self.pipeline.give_role(user, role, clock::now()).await? {
            true => Ok(()),
            false => Err(UsersError::NoRole(role.to_owned())),
        }
    }

    /// Keeps a user out, or lets it in again.
    pub async fn set_disabled(&self, user: &User, disabled: bool) -> Result<(), UsersError> {
        Ok(self.pipeline.set_user_disabled(user.id, disabled, clock::now()).await?)
    }

    /// Gives a user a further secret.
    pub async fn add_secret(
        &self,
        user: &User,
        days: Option<u32>,
    ) -> Result<NewSecret, UsersError> {
        if user.application.is_none() {
            return Err(UsersError::NoApplication(user.name.to_string()));
        }
        if self.secrets(user).await?.len() >= SECRETS_MAX {
            return Err(UsersError::TooManySecrets(user.name.to_string()));
        }
        let now = clock::now();
        let text = secret::make()?;
        let hashed = text.clone();
        let hash = tokio::task::spawn_blocking(move || secret::hash(&hashed)).await;
        let hash = hash.map_err(|error| UsersError::Refused(error.to_string()))??;
        let expires = days.map(|days| Timestamp(now.0 + i64::from(days) * DAY_SECONDS));
        let row = Credential {
            id: clock::request_id(),
            kind: CredentialKind::Secret,
            owner: Some(user.id),
            name: secret::hint(&text).into(),
            value: hash.into(),
            created: now,
            expires,
        };
        let id = row.id;
        self.pipeline.keep_credentials(&[row], &[], &[], now).await?;
        Ok(NewSecret { id, secret: text, expires })
    }

    /// A user's secrets: ids, beginnings and times.
    pub async fn secrets(&self, user: &User) -> Result<Vec<Credential>, UsersError> {
        let all = self.pipeline.credentials(Looked::Owner(user.id), clock::now()).await?;
        Ok(all.into_iter().filter(|row| row.kind == CredentialKind::Secret).collect())
    }

    /// Removes a secret, by its id, and the refresh tokens that it may have been used for.
    pub async fn remove_secret(&self, user: &User, id: Uuid) -> Result<(), UsersError> {
        let now = clock::now();
        let all = self.pipeline.credentials(Looked::Owner(user.id), now).await?;
        let is_meant = |row: &&Credential| row.id == id && row.kind == CredentialKind::Secret;
        if all.iter().find(is_meant).is_none() {
            let (user, secret) = (user.name.to_string(), id.to_string());
            return Err(UsersError::NoSecret { user, secret });
        }
        let refresh = |row: &&Credential| row.kind == CredentialKind::RefreshToken;
        let gone = all.iter().filter(refresh).map(|row| row.id).chain([id]);
        self.pipeline.keep_credentials(&[], &[], &gone.collect::<Vec<_>>(), now).await?;
        Ok(())
    }
}
