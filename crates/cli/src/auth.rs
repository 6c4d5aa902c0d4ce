//! `sheaf auth …`: connections by name.
//!
//! Not here: what a profile is and where secrets lie (`client::profile`, `client::secret`), which profile a call uses (`connection`).
//! Invariant: no secret is printed; a profile that did not work when it was tried is not kept.

use crate::args::{Auth, AuthCommand, AuthList, AuthLogin, AuthTest, KeepIn, Usage};
use crate::connection;
use crate::exit;
use crate::output;
use client::profile::{Identity, Profile, Profiles};
use client::secret::{Place, Secret};
use client::service::Service;
use client::transport::Http;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) async fn auth(args: Auth) -> anyhow::Result<u8> {
    let file = connection::profiles_file()?;
    match args.command {
        AuthCommand::Login(login) => log_in(&file, *login).await,
        AuthCommand::List(list) => show(&file, &list),
        AuthCommand::Use(named) => choose(&file, named.name),
        AuthCommand::Test(test) => try_all(&file, test).await,
        AuthCommand::Logout(named) => log_out(&file, &named.name, false),
        AuthCommand::Remove(named) => log_out(&file, &named.name, true),
    }
}

async fn log_in(file: &Path, login: AuthLogin) -> anyhow::Result<u8> {
    Profiles::check_name(&login.name)?;
    let mut profiles = Profiles::read(file)?;
    let before = profiles.profiles.get(&login.name).cloned();
    let profile = profile(&login, before.as_ref())?;
    let name = login.name;
    let place = profile.identity.place().cloned();
    // What was there before comes back where the new one does not work.
    let kept = place.as_ref().and_then(|place| place.read().ok());
    let done = establish(&name, &profile, !login.no_test).await;
    let who = match done {
        Ok(who) => who,
        Err(error) => {
            if let Some(place) = &place {
                let restored = match &kept {
                    Some(secret) => place.write(secret),
                    None => place.forget(),
                };
                if let Err(error) = restored {
                    output::note(&format!("sheaf: {error}"));
                }
            }
            return Err(error.context(format!("profile `{name}` is not kept")));
        }
    };
    // A secret that lay elsewhere is not left behind.
    if let Some(old) = before.as_ref().and_then(|before| before.identity.place())
        && Some(old) != place.as_ref()
    {
        old.forget()?;
    }
    // Another call may have changed the file meanwhile.
    profiles = Profiles::read(file)?;
    if login.use_it || profiles.profiles.is_empty() {
        profiles.default = Some(name.clone());
    }
    profiles.profiles.insert(name.clone(), profile.clone());
    profiles.write(file)?;
    output::line(&format!("{name}: {}{}", profile.url, who.unwrap_or_default()));
    if matches!(place, Some(Place::Keystore(_))) && cfg!(target_os = "linux") {
        output::note(
            "the secret is in the kernel's key store, which forgets it when the machine restarts; \
             `--keep-in file` keeps it for longer",
        );
    }
    Ok(0)
}

/// Keeps the secret, or lets the person sign in, and tries what came of it.
async fn establish(
    name: &str,
    profile: &Profile,
    is_tried: bool,
) -> anyhow::Result<Option<String>> {
    match &profile.identity {
        Identity::ClientSecret { secret: Place::Environment(_), .. }
        | Identity::Nobody
        | Identity::Certificate { .. }
        | Identity::Command { .. } => {}
        Identity::ClientSecret { secret, .. } => {
            let given = tokio::task::spawn_blocking(ask_secret).await??;
            secret.write(&given)?;
        }
        Identity::DeviceCode { .. } => {
            let http = connection::open_profile(name, profile)?;
            let mut tell = |prompt: &client::token::Prompt| {
                output::note(&format!("open {} and give the code {}", prompt.url, prompt.code));
            };
            http.sign_in(&mut tell).await?;
        }
    }
    let http = connection::open_profile(name, profile)?;
    if is_tried { Ok(Some(who(http).await?)) } else { Ok(None) }
}

async fn who(http: Http) -> anyhow::Result<String> {
    let caller = Service::new(Arc::new(http)).who(0).await?;
    Ok(format!(" as user {} of organization {}", caller.user, caller.organization))
}

/// The secret, from where nobody sees it.
fn ask_secret() -> anyhow::Result<Secret> {
    if let Some(secret) = std::env::var("SHEAF_CLIENT_SECRET").ok().filter(|text| !text.is_empty())
    {
        return Ok(Secret::new(secret));
    }
    let text = if std::io::stdin().is_terminal() {
        output::note("client secret (it is not shown):");
        console::Term::stderr().read_secure_line()?
    } else {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        line
    };
    match text.trim_end_matches(['\r', '\n']) {
        "" => {
            let text = "there is no secret: type it, set SHEAF_CLIENT_SECRET, or give it on standard input";
            Err(Usage(text.to_owned()).into())
        }
        text => Ok(Secret::new(text)),
    }
}

/// What the arguments make of a profile.
fn profile(login: &AuthLogin, before: Option<&Profile>) -> anyhow::Result<Profile> {
    let url = login.url.clone().or_else(|| before.map(|before| before.url.clone()));
    let Some(url) = url else {
        return Err(
            Usage(format!("there is no profile `{}` yet: give its `--url`", login.name)).into()
        );
    };
    let identity = identity(login, before.map(|before| &before.identity), &url)?;
    if identity.client_id().is_none() && (login.token_url.is_some() || login.tenant.is_some()) {
        let text =
            "`--token-url` and `--tenant` go with `--client-id`: nobody else asks for tokens";
        return Err(Usage(text.to_owned()).into());
    }
    let of = |said: &Option<String>, before: Option<&Option<String>>| {
        said.clone().or_else(|| before.cloned().flatten())
    };
    let ca = match &login.ca {
        Some(path) => Some(absolute(path)?),
        None => before.and_then(|before| before.ca.clone()),
    };
    Ok(Profile {
        url,
        ca,
        token_url: of(&login.token_url, before.map(|before| &before.token_url)),
        tenant: of(&login.tenant, before.map(|before| &before.tenant)),
        identity,
    })
}

fn identity(login: &AuthLogin, before: Option<&Identity>, url: &str) -> anyhow::Result<Identity> {
    let place = match &login.keep_in {
        Some(KeepIn::Keystore) => Some(Place::Keystore(format!("{} at {url}", login.name))),
        Some(KeepIn::File) => {
            let secrets = connection::config_directory()?.join("secrets");
            Some(Place::File(absolute(&secrets.join(&login.name))?))
        }
        Some(KeepIn::FileAt(path)) => Some(Place::File(absolute(path)?)),
        Some(KeepIn::Variable(name)) => Some(Place::Environment(name.clone())),
        None => None,
    };
    let place_or = |before: Option<&Place>| {
        let keystore = || Place::Keystore(format!("{} at {url}", login.name));
        place.clone().or_else(|| before.cloned()).unwrap_or_else(keystore)
    };
    let before_place = before.and_then(Identity::place);
    if let Some(command) = &login.token_command {
        no_place(login)?;
        return Ok(Identity::Command { command: command.clone() });
    }
    if let Some(client_id) = login.client_id.clone() {
        if let Some(file) = &login.certificate {
            no_place(login)?;
            return Ok(Identity::Certificate { client_id, file: absolute(file)? });
        }
        let secret = place_or(before_place);
        if !login.device_code {
            return Ok(Identity::ClientSecret { client_id, secret });
        }
        if let Place::Environment(name) = secret {
            let text = format!(
                "`--keep-in env:{name}`: what a sign-in gives changes with time and cannot be kept in a variable"
            );
            return Err(Usage(text).into());
        }
        return Ok(Identity::DeviceCode { client_id, secret });
    }
    match before {
        Some(Identity::ClientSecret { client_id, secret }) => Ok(Identity::ClientSecret {
            client_id: client_id.clone(),
            secret: place_or(Some(secret)),
        }),
        Some(Identity::DeviceCode { client_id, secret }) => Ok(Identity::DeviceCode {
            client_id: client_id.clone(),
            secret: place_or(Some(secret)),
        }),
        Some(other) => {
            no_place(login)?;
            Ok(other.clone())
        }
        None => {
            no_place(login)?;
            Ok(Identity::Nobody)
        }
    }
}

fn no_place(login: &AuthLogin) -> Result<(), Usage> {
    match login.keep_in {
        None => Ok(()),
        Some(_) => Err(Usage("`--keep-in`: there is no secret to keep".to_owned())),
    }
}

/// Profiles are used from any directory.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}

fn show(file: &Path, list: &AuthList) -> anyhow::Result<u8> {
    let profiles = Profiles::read(file)?;
    let is_default = |name: &str| profiles.default.as_deref() == Some(name);
    if list.json {
        for (name, profile) in &profiles.profiles {
            let json = serde_json::json!({
                "name": name,
                "url": profile.url,
                "kind": profile.identity.kind(),
                "client_id": profile.identity.client_id(),
                "tenant": profile.tenant,
                "secret": profile.identity.place().map(Place::to_string),
                "default": is_default(name),
            });
            output::line(&json.to_string());
        }
        return Ok(0);
    }
    if profiles.profiles.is_empty() {
        output::note("there are no profiles; `sheaf auth login NAME --url …` makes one");
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = profiles
        .profiles
        .iter()
        .map(|(name, profile)| {
            let mark = if is_default(name) { "*" } else { "" };
            let place = profile.identity.place().map(Place::to_string).unwrap_or_default();
            vec![
                name.clone(),
                mark.to_owned(),
                profile.url.clone(),
                profile.identity.kind().to_owned(),
                profile.identity.client_id().unwrap_or_default().to_owned(),
                place,
            ]
        })
        .collect();
    output::table(&["name", "", "url", "kind", "client id", "secret"], &rows);
    Ok(0)
}

fn choose(file: &Path, name: String) -> anyhow::Result<u8> {
    let mut profiles = Profiles::read(file)?;
    profiles.find(&name)?;
    output::note(&format!("`{name}` counts where nothing is said"));
    profiles.default = Some(name);
    profiles.write(file)?;
    Ok(0)
}

async fn try_all(file: &Path, test: AuthTest) -> anyhow::Result<u8> {
    let profiles = Profiles::read(file)?;
    let names = match (test.names.is_empty(), &profiles.default) {
        (false, _) => test.names,
        (true, Some(name)) => vec![name.clone()],
        (true, None) => {
            let text = "no profile is in use: name one, or choose one with `sheaf auth use`";
            return Err(Usage(text.to_owned()).into());
        }
    };
    let mut worst = 0;
    for name in names {
        let profile = profiles.find(&name)?;
        let tried = match connection::open_profile(&name, profile) {
            Ok(http) => who(http).await,
            Err(error) => Err(error),
        };
        match tried {
            Ok(who) => output::line(&format!("{name}: {}{who}", profile.url)),
            Err(error) => {
                output::note(&format!("{name}: {error:#}"));
                worst = worst.max(exit::code_of(&error));
            }
        }
    }
    Ok(worst)
}

fn log_out(file: &Path, name: &str, is_removed: bool) -> anyhow::Result<u8> {
    let mut profiles = Profiles::read(file)?;
    let profile = profiles.find(name)?;
    match profile.identity.place() {
        Some(Place::Environment(variable)) => {
            output::note(&format!("the secret of `{name}` is in {variable}: unset it yourself"));
        }
        Some(place) => {
            place.forget()?;
            output::note(&format!("the secret of `{name}` is forgotten"));
        }
        None => output::note(&format!("`{name}` has no secret that is kept here")),
    }
    if is_removed {
        profiles.profiles.remove(name);
        if profiles.default.as_deref() == Some(name) {
            profiles.default = None;
        }
        profiles.write(file)?;
        output::note(&format!("profile `{name}` is removed"));
    }
    Ok(0)
}
