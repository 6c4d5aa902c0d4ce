//! Tokens that another program gives: one that is run, or one that writes them to a file.
//!
//! Not here: when they are asked for (`token`).
//! Invariant: what the program writes to its standard error is passed on; its standard output never.

use super::grant::{Granted, lasts, wall};
use super::{NoToken, refused};
use crate::secret::Secret;
use crate::transport::Error;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// So long a program may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);
/// A token file is looked at again after this.
const FILE_LASTS: Duration = Duration::from_secs(2);

/// Runs a command; its standard output is a token, or JSON with one.
pub(super) async fn by_command(line: &str) -> Result<Granted, NoToken> {
    let mut command = shell(line);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = match tokio::time::timeout(COMMAND_TIMEOUT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(refused(&format!("the token command cannot be run: {error}")));
        }
        Err(_) => {
            let text =
                format!("the token command has not ended after {} s", COMMAND_TIMEOUT.as_secs());
            return Err(NoToken::Unreachable(Error::Issuer(text)));
        }
    };
    if !output.status.success() {
        let text =
            format!("the token command failed ({}): run it by hand to see why", output.status);
        return Err(refused(&text));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    read(text.trim()).ok_or_else(|| {
        refused("the token command writes no token: it should write one alone, or JSON with `access_token`")
    })
}

fn shell(line: &str) -> tokio::process::Command {
    #[cfg(unix)]
    {
        let mut command = tokio::process::Command::new("sh");
        command.arg("-c").arg(line);
        command
    }
    #[cfg(not(unix))]
    {
        let mut command = tokio::process::Command::new("cmd");
        command.arg("/C").arg(line);
        command
    }
}

/// Reads the token that another process keeps fresh in a file.
pub(super) fn by_file(path: &Path) -> Result<Granted, NoToken> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        refused(&format!("the token file `{}` cannot be read: {error}", path.display()))
    })?;
    match read(text.trim()) {
        Some(granted) => Ok(Granted { lasts: FILE_LASTS, ..granted }),
        None => Err(refused(&format!("the token file `{}` holds no token", path.display()))),
    }
}

/// A token alone, or JSON as token endpoints and the platform's own tools write it.
fn read(text: &str) -> Option<Granted> {
    if !text.starts_with('{') {
        let is_token = !text.is_empty() && !text.contains(char::is_whitespace);
        return is_token.then(|| Granted {
            token: Secret::new(text),
            lasts: left(text).unwrap_or(super::LASTS),
            refresh: None,
        });
    }
    let json: Json = serde_json::from_str(text).ok()?;
    let names = ["access_token", "accessToken", "token"];
    let token = names.iter().find_map(|name| json.get(name)?.as_str())?.trim();
    let lasts =
        match (json.get("expires_in").or_else(|| json.get("expiresIn")), json.get("expires_on")) {
            (Some(seconds), _) => lasts(seconds),
            (None, Some(at)) => {
                let at = at.as_i64().or_else(|| at.as_str()?.trim().parse().ok());
                at.map_or(super::LASTS, until)
            }
            (None, None) => left(token).unwrap_or(super::LASTS),
        };
    (!token.is_empty()).then(|| Granted { token: Secret::new(token), lasts, refresh: None })
}

/// How long a signed token still lasts, by what it says itself.
fn left(token: &str) -> Option<Duration> {
    let claims = token.split('.').nth(1)?;
    let claims: Json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    claims.get("exp")?.as_i64().map(until)
}

fn until(at: i64) -> Duration {
    Duration::from_secs(u64::try_from(at - wall()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Option<(&str, u64)>) {
        let got = read(text);
        let got = got.as_ref().map(|got| (got.token.expose(), got.lasts.as_secs()));
        // A second may pass.
        let fits = match (got, want) {
            (Some((token, lasts)), Some((name, seconds))) => {
                token == name && (seconds.saturating_sub(2)..=seconds).contains(&lasts)
            }
            (got, want) => got == want,
        };
        assert!(fits, "{text}: {got:?}");
    }

    #[test]
    fn a_token_is_written_alone_or_in_json() {
        check("abc", Some(("abc", 3_599)));
        check("", None);
        check("two words", None);
        check(r#"{"access_token": "a", "expires_in": "60"}"#, Some(("a", 60)));
        let soon = wall() + 90;
        check(&format!(r#"{{"accessToken": "a", "expires_on": {soon}}}"#), Some(("a", 90)));
        check(&format!(r#"{{"token": "a", "expires_on": "{soon}"}}"#), Some(("a", 90)));
        check(r#"{"nothing": 1}"#, None);
        check("{", None);
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{soon}}}"#));
        let token = format!("h.{claims}.s");
        check(&token, Some((&token, 90)));
        check("a.b.c", Some(("a.b.c", 3_599)));
    }
}
