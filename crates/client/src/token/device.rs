//! A person signs in with a code, on whatever device has a browser.
//!
//! In: client id and issuer. Out: a refresh token, with which tokens are asked for from then on.
//! Source: RFC 8628; Microsoft's "device authorization grant".
//! Invariant: the issuer is asked no more often than it says.

use super::grant::{self, Answer, Denial, Granted};
use super::{NoToken, advice, refused};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// Asked so often where the issuer does not say.
const INTERVAL: Duration = Duration::from_secs(5);
/// A code holds so long where the issuer does not say.
const HOLDS: u64 = 900;

/// What the person is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Where to go.
    pub url: String,
    /// What to type there.
    pub code: String,
}

/// Lets a person sign in.
pub(super) async fn sign_in(
    client: &reqwest::Client,
    token_url: &str,
    client_id: &str,
    scope: &str,
    tell: &mut (dyn FnMut(&Prompt) + Send),
) -> Result<Granted, NoToken> {
    #[derive(Deserialize)]
    struct Begun {
        device_code: String,
        user_code: String,
        #[serde(alias = "verification_url")]
        verification_uri: String,
        #[serde(default)]
        interval: Option<u64>,
        #[serde(default)]
        expires_in: Option<u64>,
    }
    let url = super::endpoint::device(token_url)?;
    let scope = format!("{scope} offline_access openid profile");
    let fields = [("client_id", client_id), ("scope", scope.as_str())];
    let begun = match grant::post(client, &url, &fields, &[]).await? {
        Answer::Yes(json) => json,
        Answer::No(denial) => return Err(denied(&denial)),
    };
    let begun: Begun = serde_json::from_value(begun).map_err(|_| {
        refused(&format!("{url} answers no code: does it know sign-in by device code?"))
    })?;
    tell(&Prompt { url: begun.verification_uri, code: begun.user_code });
    let mut interval = begun.interval.map_or(INTERVAL, Duration::from_secs);
    let end = Instant::now() + Duration::from_secs(begun.expires_in.unwrap_or(HOLDS));
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", client_id),
        ("device_code", begun.device_code.as_str()),
    ];
    while Instant::now() < end {
        tokio::time::sleep(interval).await;
        let denial = match grant::post(client, token_url, &fields, &[]).await {
            Ok(Answer::Yes(json)) => return grant::granted(token_url, json),
            Ok(Answer::No(denial)) => denial,
            // The person is still at it: the network may come back meanwhile.
            Err(NoToken::Unreachable(_)) => {
                interval = (interval * 2).min(Duration::from_secs(60));
                continue;
            }
            Err(refused) => return Err(refused),
        };
        match denial.error.as_str() {
            "authorization_pending" => {}
            "slow_down" => interval += INTERVAL,
            "access_denied" | "authorization_declined" => {
                return Err(refused("the sign-in was declined"));
            }
            "expired_token" | "code_expired" => break,
            _ => return Err(denied(&denial)),
        }
    }
    Err(refused("nobody signed in before the code ended: begin again"))
}

fn denied(denial: &Denial) -> NoToken {
    refused(&advice::told(denial, advice::As::Person))
}
