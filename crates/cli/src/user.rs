//! `sheaf user …`: who may ask the service for tokens, straight on its store.
//!
//! Not here: what is written (`server`). Invariant: a secret is printed once, to standard output.

use crate::args::{
    Usage, User as Args, UserAdd, UserCommand, UserNamed, UserRole, UserSecretAdd,
    UserSecretCommand, UserSecretRemove, UserStore,
};
use crate::output;
use crate::serve;
use model::Uuid;
use server::{ADMINISTRATOR, NewSecret, NewUser, Users, UsersError};

pub(crate) async fn user(args: Args) -> anyhow::Result<u8> {
    match args.command {
        UserCommand::Add(args) => add(args).await?,
        UserCommand::List(store) => list(store).await?,
        UserCommand::Role(args) => give(args).await?,
        UserCommand::Disable(named) => disable(named, true).await?,
        UserCommand::Enable(named) => disable(named, false).await?,
        UserCommand::Secret(args) => match args.command {
            UserSecretCommand::Add(args) => add_secret(args).await?,
            UserSecretCommand::List(named) => list_secrets(named).await?,
            UserSecretCommand::Remove(args) => remove_secret(args).await?,
        },
    }
    Ok(0)
}

async fn add(args: UserAdd) -> anyhow::Result<()> {
    let application = args.application_id.as_deref().map(|text| id(text, "--application-id"));
    let admin = args.admin || args.role.is_empty();
    let roles = roles(args.role, admin);
    let new = NewUser { name: args.name, application: application.transpose()?, roles };
    let users = open(args.store).await?;
    let (user, secret) = users.add(&new).await.map_err(wrong)?;
    output::line(&format!("user            {}", user.name));
    output::line(&format!("systemuserid    {}", user.id));
    output::line(&format!("client id       {}", user.application.unwrap_or_default()));
    show_secret(&secret);
    show_endpoint(&users);
    output::note(&format!("its roles: {}; say `--role NAME` for others", new.roles.join(", ")));
    Ok(())
}

async fn give(args: UserRole) -> anyhow::Result<()> {
    let users = open(args.named.store).await?;
    let user = users.find(&args.named.user).await.map_err(wrong)?;
    for role in roles(args.role, args.admin) {
        users.give_role(&user, &role).await.map_err(wrong)?;
        output::note(&format!("{} has the role {role}", user.name));
    }
    Ok(())
}

fn roles(mut roles: Vec<String>, admin: bool) -> Vec<String> {
    if admin {
        roles.push(ADMINISTRATOR.to_owned());
    }
    roles
}

async fn list(store: UserStore) -> anyhow::Result<()> {
    let users = open(store).await?;
    output::line("systemuserid\tapplicationid\tstate\tname");
    for user in users.list().await? {
        let application = user.application.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let state = if user.disabled { "disabled" } else { "enabled" };
        output::line(&format!("{}\t{application}\t{state}\t{}", user.id, user.name));
    }
    Ok(())
}

async fn disable(named: UserNamed, disabled: bool) -> anyhow::Result<()> {
    let users = open(named.store).await?;
    let user = users.find(&named.user).await.map_err(wrong)?;
    users.set_disabled(&user, disabled).await?;
    output::note(&format!("{} is {}", user.name, if disabled { "disabled" } else { "enabled" }));
    Ok(())
}

async fn add_secret(args: UserSecretAdd) -> anyhow::Result<()> {
    let users = open(args.named.store).await?;
    let user = users.find(&args.named.user).await.map_err(wrong)?;
    let secret = users.add_secret(&user, args.days).await.map_err(wrong)?;
    output::line(&format!("client id       {}", user.application.unwrap_or_default()));
    show_secret(&secret);
    show_endpoint(&users);
    Ok(())
}

async fn list_secrets(named: UserNamed) -> anyhow::Result<()> {
    let users = open(named.store).await?;
    let user = users.find(&named.user).await.map_err(wrong)?;
    output::line("id\tbegins with\tmade\texpires");
    for secret in users.secrets(&user).await? {
        let expires = secret.expires.map_or_else(|| "never".to_owned(), |end| end.to_string());
        output::line(&format!("{}\t{}\t{}\t{expires}", secret.id, secret.name, secret.created));
    }
    Ok(())
}

async fn remove_secret(args: UserSecretRemove) -> anyhow::Result<()> {
    let secret = id(&args.id, "--id")?;
    let users = open(args.named.store).await?;
    let user = users.find(&args.named.user).await.map_err(wrong)?;
    users.remove_secret(&user, secret).await.map_err(wrong)?;
    output::note("removed; tokens that were given for it hold on for an hour at most");
    Ok(())
}

async fn open(store: UserStore) -> anyhow::Result<Users> {
    let store = serve::store(store.data, store.store)?;
    Ok(Users::open(&store).await?)
}

fn id(text: &str, flag: &str) -> Result<Uuid, Usage> {
    Uuid::try_parse(text.trim()).map_err(|_| Usage(format!("`{flag}` is a GUID, not `{text}`")))
}

fn show_secret(secret: &NewSecret) {
    output::line(&format!("secret id       {}", secret.id));
    output::line(&format!("secret          {}", secret.secret));
    if let Some(expires) = secret.expires {
        output::line(&format!("expires         {expires}"));
    }
    output::note("the secret is shown this once: only its hash is kept");
}

fn show_endpoint(users: &Users) {
    let tenant = users.tenant();
    output::line(&format!("tenant          {tenant}"));
    output::line(&format!("token endpoint  <address of the service>/{tenant}/oauth2/v2.0/token"));
}

/// What was asked for cannot be: a wrong call.
fn wrong(error: UsersError) -> anyhow::Error {
    match error {
        UsersError::Unknown(_)
        | UsersError::Ambiguous(_)
        | UsersError::Taken(_)
        | UsersError::NoApplication(_)
        | UsersError::NoRole(_)
        | UsersError::TooManySecrets(_)
        | UsersError::NoSecret { .. } => Usage(error.to_string()).into(),
        UsersError::Open(_) | UsersError::Secret(_) | UsersError::Refused(_) => error.into(),
    }
}
