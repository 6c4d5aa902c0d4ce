//! Tokens over real sockets: found by the challenge, renewed when they end, and never shown to strangers.

use client::token::{ClientSecret, Credential};
use client::transport::{Address, Http, Request, Response, Transport};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A service with an issuer beside it.
struct Service {
    url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Where the challenge sends callers; its own issuer where nothing is said.
    authorize: Option<String>,
    /// Tokens that were given.
    given: u32,
    /// The token that is taken; none takes every request.
    taken: Option<u32>,
    /// Requests: verb and path, and the token or form that came with them.
    seen: Vec<(String, String)>,
}

impl Service {
    async fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(state));
        let (own, shared) = (url.clone(), state.clone());
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        drop(tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = String::new();
                let mut piece = vec![0; 8_192];
                // The head, then as many bytes as it announces.
                loop {
                    let read = stream.read(&mut piece).await.unwrap_or(0);
                    text.push_str(&String::from_utf8_lossy(&piece[..read]));
                    let length = text.to_lowercase().split("content-length: ").nth(1).map(|rest| {
                        let digits: String =
                            rest.chars().take_while(char::is_ascii_digit).collect();
                        digits.parse::<usize>().expect("a number")
                    });
                    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
                    if read == 0 || body.is_some_and(|body| body >= length.unwrap_or(0)) {
                        break;
                    }
                }
                let answer = answer(&text, &own, &mut shared.lock().expect("not poisoned"));
                drop(stream.write_all(answer.as_bytes()).await);
            }
        }));
        Self { url, state }
    }

    fn seen(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.state.lock().expect("not poisoned").seen)
    }

    fn http(&self, change: impl FnOnce(&mut ClientSecret)) -> Http {
        let mut secret = ClientSecret {
            client_id: "id".to_owned(),
            client_secret: "s&cret".to_owned(),
            token_url: None,
            tenant: None,
        };
        change(&mut secret);
        let credential = Credential::Secret(secret);
        Http::new(&Address { url: self.url.clone(), credential, ..Address::default() })
            .expect("an address")
    }
}

fn answer(text: &str, own: &str, state: &mut State) -> String {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let line: Vec<&str> = head.split(' ').collect();
    let (verb, path) = (line[0], line[1]);
    let token = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then(|| value.trim_start_matches("Bearer "))
    });
    let with = if verb == "POST" { body } else { token.unwrap_or_default() };
    state.seen.push((format!("{verb} {path}"), with.to_owned()));
    let reply = |status: &str, header: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{header}\r\n{body}",
            body.len()
        )
    };
    if path.ends_with("/token") {
        if !body.contains("client_secret=s%26cret") {
            let why = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid"}"#;
            return reply("401 Unauthorized", "", why);
        }
        state.given += 1;
        let body = format!(r#"{{"access_token":"t{}","expires_in":"3599"}}"#, state.given);
        return reply("200 OK", "", &body);
    }
    let is_taken = state.taken.is_none_or(|taken| token == Some(&format!("t{taken}")));
    if is_taken {
        return reply("200 OK", "", "{}");
    }
    let authorize =
        state.authorize.clone().unwrap_or_else(|| format!("{own}/tenant/oauth2/authorize"));
    let header =
        format!("WWW-Authenticate: Bearer authorization_uri={authorize}, resource_id={own}/\r\n");
    reply("401 Unauthorized", &header, r#"{"error":{"code":"0x80044302","message":"no"}}"#)
}

async fn get(http: &Http) -> Response {
    http.send(Request::get("x")).await.expect("an answer")
}

fn paths(seen: &[(String, String)]) -> Vec<&str> {
    seen.iter().map(|(path, _)| path.as_str()).collect()
}

#[tokio::test]
async fn the_challenge_leads_to_a_token_that_is_used_until_it_is_refused() {
    let service = Service::start(State { taken: Some(1), ..State::default() }).await;
    let http = service.http(|_| {});
    assert_eq!(get(&http).await.status, 200);
    assert_eq!(get(&http).await.status, 200);
    let seen = service.seen();
    let request = "GET /api/data/v9.2/x";
    let endpoint = "POST /tenant/oauth2/v2.0/token";
    assert_eq!(paths(&seen), ["GET /api/data/", endpoint, request, request]);
    let scope = format!("scope={}/.default", service.url);
    let want = format!("grant_type=client_credentials&client_id=id&client_secret=s%26cret&{scope}");
    assert_eq!((seen[0].1.as_str(), &seen[1].1, seen[2].1.as_str()), ("", &want, "t1"));
    // The service takes it no longer: one more is asked for, and the request is sent again.
    service.state.lock().expect("not poisoned").taken = Some(2);
    assert_eq!(get(&http).await.status, 200);
    assert_eq!(paths(&service.seen()), [request, endpoint, request]);
    // A service that takes none is not asked for ever.
    service.state.lock().expect("not poisoned").taken = Some(99);
    assert_eq!(get(&http).await.status, 401);
    assert_eq!(paths(&service.seen()), [request, endpoint, request]);
}

#[tokio::test]
async fn many_requests_at_once_ask_for_one_token() {
    let service = Service::start(State { taken: Some(1), ..State::default() }).await;
    let http = service.http(|_| {});
    let all = (0..8).map(|_| get(&http));
    for response in futures_util::future::join_all(all).await {
        assert_eq!(response.status, 200);
    }
    assert_eq!(service.state.lock().expect("not poisoned").given, 1);
}

#[tokio::test]
async fn a_refused_secret_is_a_refused_request() {
    let service = Service::start(State { taken: Some(1), ..State::default() }).await;
    let http = service.http(|secret| secret.client_secret = "wrong".to_owned());
    let response = get(&http).await;
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert!(response.status == 401 && text.contains("AADSTS7000215"), "{text}");
    assert_eq!(paths(&service.seen()), ["GET /api/data/", "POST /tenant/oauth2/v2.0/token"]);
}

#[tokio::test]
async fn a_service_that_takes_everybody_is_asked_without_a_token() {
    let service = Service::start(State::default()).await;
    let http = service.http(|_| {});
    assert_eq!(get(&http).await.status, 200);
    assert_eq!(paths(&service.seen()), ["GET /api/data/", "GET /api/data/v9.2/x"]);
    // Until it does so no longer.
    service.state.lock().expect("not poisoned").taken = Some(1);
    assert_eq!(get(&http).await.status, 200);
}

#[tokio::test]
async fn the_secret_is_not_sent_where_a_service_points() {
    let stranger = Service::start(State::default()).await;
    let authorize = Some(format!("{}/t/oauth2/authorize", stranger.url));
    let service = Service::start(State { authorize, taken: Some(1), ..State::default() }).await;
    let response = get(&service.http(|_| {})).await;
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert!(response.status == 401 && text.contains("--token-url"), "{text}");
    assert!(stranger.seen().is_empty());
    // Unless the user says so.
    let url = format!("{}/t/oauth2/v2.0/token", stranger.url);
    let http = service.http(|secret| secret.token_url = Some(url));
    assert_eq!(get(&http).await.status, 200);
    assert_eq!(stranger.seen().len(), 1);
}

#[tokio::test]
async fn a_tenant_that_is_said_takes_the_place_of_the_services_own() {
    let service = Service::start(State { taken: Some(1), ..State::default() }).await;
    let http = service.http(|secret| secret.tenant = Some("mine".to_owned()));
    assert_eq!(get(&http).await.status, 200);
    assert_eq!(paths(&service.seen())[1], "POST /mine/oauth2/v2.0/token");
}
