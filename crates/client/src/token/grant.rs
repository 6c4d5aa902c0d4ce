//! One request to a token endpoint, and what its answer says.
//!
//! In: the fields of a form. Out: a token, or a [`Denial`]. Not here: when one is asked for (`token`), what a denial
//! means for the user (`advice`).
//! Invariant: no text that leaves here holds a secret that was sent.

use super::{LASTS, NoToken, TIMEOUT, refused};
use crate::secret::Secret;
use crate::transport::Error;
use serde::Deserialize;
use serde_json::Value as Json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A clock that is off by more than this is worth a word: tokens and assertions fail from there on.
const SKEW_MIN: Duration = Duration::from_secs(120);

/// What an issuer gave.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) token: Secret,
    pub(super) lasts: Duration,
    /// With what the next token may be asked for.
    pub(super) refresh: Option<Secret>,
}

/// Why an issuer gives no token, in OAuth's words.
#[derive(Debug, Default)]
pub(super) struct Denial {
    pub(super) error: String,
    pub(super) description: String,
    /// What the clock of this machine is ahead of the issuer's by, in seconds, where that is much.
    pub(super) skew: Option<i64>,
}

/// How an issuer answers.
#[derive(Debug)]
pub(super) enum Answer<T> {
    Yes(T),
    No(Denial),
}

/// Seconds since 1970, by this machine.
pub(super) fn wall() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "assertions and ends of tokens are said in wall time"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

/// What this machine's clock is ahead of an answer's date by, where that is much.
pub(crate) fn skew(date: Option<&str>) -> Option<i64> {
    let date = jiff::fmt::rfc2822::parse(date?).ok()?.timestamp().as_second();
    let ahead = wall() - date;
    (ahead.unsigned_abs() > SKEW_MIN.as_secs()).then_some(ahead)
}

/// Sends a form. `secrets` are those among its fields.
pub(super) async fn post(
    client: &reqwest::Client,
    url: &str,
    fields: &[(&str, &str)],
    secrets: &[&Secret],
) -> Result<Answer<Json>, NoToken> {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", crate::service::escaped(value)))
        .collect();
    let request = client
        .post(url)
        .timeout(TIMEOUT)
        .header("Accept", "application/json")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(pairs.join("&"));
    let answer = request.send().await.map_err(|error| unreachable(url, &error))?;
    let status = answer.status();
    let skew = skew(answer.headers().get("date").and_then(|date| date.to_str().ok()));
    let body = answer.bytes().await.map_err(|error| unreachable(url, &error))?;
    if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS {
        return Err(NoToken::Unreachable(Error::Issuer(format!("{url} answers {status}"))));
    }
    let json: Json = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        return match json {
            Json::Object(_) => Ok(Answer::Yes(json)),
            _ => Err(no_endpoint(url)),
        };
    }
    let text = |name: &str| {
        let text = json.get(name).and_then(Json::as_str).unwrap_or_default().trim().to_owned();
        secrets.iter().fold(text, |text, secret| secret.struck_out(&text))
    };
    let (error, description) = (text("error"), text("error_description"));
    if error.is_empty() {
        let text = format!(
            "{url} answers {} instead of a token: is it a token endpoint, and is the tenant the right one?",
            status.as_u16()
        );
        return Err(refused(&text));
    }
    Ok(Answer::No(Denial { error, description, skew }))
}

fn no_endpoint(url: &str) -> NoToken {
    refused(&format!("{url} answers no token: is it a token endpoint?"))
}

fn unreachable(url: &str, error: &reqwest::Error) -> NoToken {
    let chain = crate::transport::chain(error);
    let why = chain.strip_prefix(url).map_or(chain.as_str(), |rest| rest.trim_start_matches(": "));
    NoToken::Unreachable(Error::Issuer(format!("{url} cannot be reached: {why}")))
}

/// Reads the answer of a token endpoint.
pub(super) fn granted(url: &str, json: Json) -> Result<Granted, NoToken> {
    #[derive(Deserialize)]
    struct Given {
        access_token: String,
        #[serde(default)]
        expires_in: Json,
        #[serde(default)]
        refresh_token: Option<String>,
    }
    let given: Given = serde_json::from_value(json).map_err(|_| no_endpoint(url))?;
    Ok(Granted {
        token: Secret::new(given.access_token),
        lasts: lasts(&given.expires_in),
        refresh: given.refresh_token.map(Secret::new),
    })
}

/// Seconds, as a number or a text.
pub(super) fn lasts(expires_in: &Json) -> Duration {
    let text = expires_in.as_str().and_then(|text| text.trim().parse().ok());
    expires_in.as_u64().or(text).map_or(LASTS, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn how_long_a_token_lasts_may_be_a_number_or_a_text() {
        assert_eq!(lasts(&json!(10)), Duration::from_secs(10));
        assert_eq!(lasts(&json!("20")), Duration::from_secs(20));
        assert_eq!(lasts(&Json::Null), LASTS);
    }

    #[test]
    fn a_clock_that_is_far_off_is_noticed() {
        assert!(skew(Some("Sat, 01 Jan 2000 00:00:00 GMT")).is_some_and(|ahead| ahead > 0));
        assert!(skew(Some("Tue, 01 Jan 2999 00:00:00 GMT")).is_some_and(|ahead| ahead < 0));
        let now = jiff::Timestamp::from_second(wall()).expect("a time");
        let now = jiff::fmt::rfc2822::to_string(&now.to_zoned(jiff::tz::TimeZone::UTC));
        assert_eq!(skew(now.ok().as_deref()), None);
        assert_eq!(skew(None), None);
        assert_eq!(skew(Some("yesterday")), None);
    }
}
