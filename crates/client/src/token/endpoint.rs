//! Where tokens are asked for: as the user says, or as the service's challenge does.
//!
//! Invariant: a secret goes to the endpoint that the user named, to the service's own host, or to one of the
//! platform's known sign-in hosts; never to whatever host an answer names.

use super::{Issuer, NoToken, TIMEOUT, refused};

/// The platform's sign-in hosts.
const SIGN_IN_HOSTS: [&str; 4] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.windows.net",
];

/// Where tokens are asked for, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// The service takes requests without a token.
    NotNeeded,
    At {
        url: String,
        /// `https://host`, as the issuer knows the service.
        resource: String,
    },
}

impl Endpoint {
    /// The scope of a token for the service.
    pub(super) fn scope(resource: &str) -> String {
        format!("{}/.default", resource.trim_end_matches('/'))
    }
}

/// Finds it.
pub(super) async fn find(
    client: &reqwest::Client,
    issuer: &Issuer,
    origin: &str,
) -> Result<Endpoint, NoToken> {
    if let Some(url) = &issuer.token_url {
        return Ok(Endpoint::At { url: url.clone(), resource: origin.to_owned() });
    }
    let url = format!("{origin}/api/data/");
    let answer = client.get(url).timeout(TIMEOUT).send().await;
    // Without the service there is nothing to have a token for.
    let answer = answer.map_err(|error| {
        NoToken::Unreachable(crate::transport::Error::Unsent(crate::transport::chain(&error)))
    })?;
    if answer.status() != reqwest::StatusCode::UNAUTHORIZED {
        return Ok(Endpoint::NotNeeded);
    }
    let header = answer.headers().get("www-authenticate");
    let challenge = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(authorize) = parameter(challenge, "authorization_uri") else {
        return Err(refused("the service does not say where tokens come from: say --token-url"));
    };
    let url = endpoint(authorize, issuer.tenant.as_deref(), origin).map_err(|why| refused(&why))?;
    let resource = parameter(challenge, "resource_id").unwrap_or(origin).to_owned();
    Ok(Endpoint::At { url, resource })
}

/// The value of a parameter of a challenge, with or without quotes.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let (_, parameters) = challenge.trim().split_once(' ')?;
    parameters.split(',').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// The token endpoint beside an authorize address, on a host that may see the secret.
fn endpoint(authorize: &str, tenant: Option<&str>, origin: &str) -> Result<String, String> {
    let bad = || {
        format!("the service names no usable address for tokens (`{authorize}`): say --token-url")
    };
    let root = authorize.split("/oauth2/").next().unwrap_or_default();
    let mut url = reqwest::Url::parse(root).map_err(|_| bad())?;
    let own = reqwest::Url::parse(origin).ok();
    let is_own = own.as_ref().is_some_and(|own| own.origin() == url.origin());
    let host = url.host_str().unwrap_or_default();
    let is_known = url.scheme() == "https" && SIGN_IN_HOSTS.contains(&host);
    if !(is_own || is_known) {
        return Err(format!(
            "the service sends its callers to `{host}` for tokens; if the secret may go there, say \
             --token-url"
        ));
    }
    if let Some(tenant) = tenant {
        url.path_segments_mut().map_err(|()| bad())?.clear().push(tenant);
    }
    Ok(format!("{}/oauth2/v2.0/token", url.as_str().trim_end_matches('/')))
}

/// Where a sign-in by device code begins, beside the token endpoint.
pub(super) fn device(token_url: &str) -> Result<String, NoToken> {
    match token_url.strip_suffix("/token") {
        Some(root) => Ok(format!("{root}/devicecode")),
        None => Err(refused(&format!(
            "`{token_url}` does not end in `/token`, so that nobody knows where a sign-in by device code begins"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_with_and_without_quotes() {
        let plain = "Bearer authorization_uri=https://l/t/oauth2/authorize, resource_id=https://o/";
        assert_eq!(parameter(plain, "authorization_uri"), Some("https://l/t/oauth2/authorize"));
        assert_eq!(parameter(plain, "resource_id"), Some("https://o/"));
        let quoted = "Bearer realm=\"\", authorization_uri=\"https://l/t/oauth2/authorize\"";
        assert_eq!(parameter(quoted, "authorization_uri"), Some("https://l/t/oauth2/authorize"));
        assert_eq!(parameter(quoted, "resource_id"), None);
        assert_eq!(parameter("", "resource_id"), None);
    }

    fn check(authorize: &str, tenant: Option<&str>, origin: &str, want: Result<&str, &str>) {
        match (endpoint(authorize, tenant, origin), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{authorize}"),
            (Err(got), Err(want)) => assert!(got.contains(want), "{authorize}: {got}"),
            (got, want) => panic!("{authorize}: is {got:?}, should be {want:?}"),
        }
    }

    #[test]
    fn the_secret_goes_to_hosts_that_may_see_it_alone() {
        let origin = "https://org.example:8443";
        let own = format!("{origin}/t1/oauth2/authorize");
        check(&own, None, origin, Ok("https://org.example:8443/t1/oauth2/v2.0/token"));
        check(&own, Some("t2"), origin, Ok("https://org.example:8443/t2/oauth2/v2.0/token"));
        let entra = "https://login.microsoftonline.com/t/oauth2/authorize";
        check(entra, None, origin, Ok("https://login.microsoftonline.com/t/oauth2/v2.0/token"));
        check("https://evil.example/t/oauth2/authorize", None, origin, Err("evil.example"));
        check("http://org.example:8443/t/oauth2/authorize", None, origin, Err("org.example"));
        let plain = "http://login.microsoftonline.com/t/oauth2/authorize";
        check(plain, None, origin, Err("--token-url"));
        check("nonsense", None, origin, Err("--token-url"));
    }
}
