//! What `sheaf auth` takes.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Auth {
    #[command(subcommand)]
    pub(crate) command: AuthCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuthCommand {
    /// Makes a profile, or gives one a new secret, and tries it.
    Login(Box<AuthLogin>),
    /// Lists the profiles.
    List(AuthList),
    /// Chooses the profile that counts where nothing is said.
    Use(AuthNamed),
    /// Asks the service who calls, and says what is wrong where it does not tell.
    Test(AuthTest),
    /// Forgets the secret of a profile; the profile stays.
    Logout(AuthNamed),
    /// Removes a profile and its secret.
    Remove(AuthNamed),
}

#[derive(Debug, Args)]
pub(crate) struct AuthLogin {
    /// Name of the profile. What is not said stays as the profile has it
    pub(crate) name: String,
    /// Address of the service
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Client id of the application. Its secret is asked for, or read from SHEAF_CLIENT_SECRET or standard input
    #[arg(long, value_name = "GUID")]
    pub(crate) client_id: Option<String>,
    /// Its certificate instead of a secret: PEM with the certificate and its RSA key, which stay in that file
    #[arg(long, value_name = "FILE", requires = "client_id")]
    pub(crate) certificate: Option<PathBuf>,
    /// Lets a person sign in with a code, by this application
    #[arg(long, requires = "client_id", conflicts_with = "certificate")]
    pub(crate) device_code: bool,
    /// Command that prints a token, run whenever one is needed
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["client_id", "certificate", "device_code"])]
    pub(crate) token_command: Option<String>,
    /// Where to ask for tokens [default: where the service says]
    #[arg(long, value_name = "URL")]
    pub(crate) token_url: Option<String>,
    /// Tenant to ask for tokens, where the service does not say the right one
    #[arg(long, value_name = "GUID|DOMAIN")]
    pub(crate) tenant: Option<String>,
    /// Certificates of authorities to trust besides the system's, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Where the secret is kept: the operating system's key store, a file that you alone can read, or a variable from
    /// which it is taken each time [default: keystore]
    #[arg(long, value_name = "keystore|file|file:PATH|env:NAME", value_parser = keep_in)]
    pub(crate) keep_in: Option<KeepIn>,
    /// Makes it the profile that counts where nothing is said; the first one is so by itself
    #[arg(long = "use")]
    pub(crate) use_it: bool,
    /// Does not try it
    #[arg(long)]
    pub(crate) no_test: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuthList {
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuthNamed {
    /// Name of the profile
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct AuthTest {
    /// Names of profiles [default: the one that counts where nothing is said]
    pub(crate) names: Vec<String>,
}

/// Where a secret is kept, in the user's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeepIn {
    Keystore,
    /// A file of ours.
    File,
    FileAt(PathBuf),
    Variable(String),
}

fn keep_in(text: &str) -> Result<KeepIn, String> {
    match (text, text.split_once(':')) {
        ("keystore", _) => Ok(KeepIn::Keystore),
        ("file", _) => Ok(KeepIn::File),
        (_, Some(("file", path))) if !path.is_empty() => Ok(KeepIn::FileAt(path.into())),
        (_, Some(("env", name))) if !name.is_empty() => Ok(KeepIn::Variable(name.to_owned())),
        _ => Err("give keystore, file, file:PATH, or env:NAME".to_owned()),
    }
}
