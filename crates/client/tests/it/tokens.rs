//! Tokens over real sockets: found by the challenge, renewed when they end, and never shown to strangers.

use client::secret::{Place, Secret};
use client::token::{Application, Certificate, Credential, Issuer, Person, Proof};
use client::transport::{Address, Error, Http, Request, Response, Transport};
use std::collections::VecDeque;
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
    /// How long tokens last, in seconds.
    lasts: Option<u64>,
    /// What the token endpoint answers next: status and body.
    answers: VecDeque<(&'static str, String)>,
    /// The date of its answers.
    date: Option<&'static str>,
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

    fn http(&self, change: impl FnOnce(&mut Application)) -> Http {
        let mut application = Application {
            client_id: "id".to_owned(),
            proof: Proof::Secret(Secret::new("s&cret")),
            issuer: Issuer::default(),
        };
        change(&mut application);
        self.http_as(Credential::Application(application))
    }

    fn http_as(&self, credential: Credential) -> Http {
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
    let date = state.date.map(|date| format!("Date: {date}\r\n")).unwrap_or_default();
    if (path.ends_with("/token") || path.ends_with("/devicecode"))
        && let Some((status, body)) = state.answers.pop_front()
    {
        return reply(status, &date, &body);
    }
    if path.ends_with("/token") {
        if !body.contains("client_secret=s%26cret") {
            let why = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid"}"#;
            return reply("401 Unauthorized", "", why);
        }
        state.given += 1;
        let body = format!(
            r#"{{"access_token":"t{}","expires_in":"{}"}}"#,
            state.given,
            state.lasts.unwrap_or(3_599)
        );
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
    let http = service.http(|secret| secret.proof = Proof::Secret(Secret::new("wrong")));
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
    let http = service.http(|secret| secret.issuer.token_url = Some(url));
    assert_eq!(get(&http).await.status, 200);
    assert_eq!(stranger.seen().len(), 1);
}

#[tokio::test]
async fn a_tenant_that_is_said_takes_the_place_of_the_services_own() {
    let service = Service::start(State { taken: Some(1), ..State::default() }).await;
    let http = service.http(|secret| secret.issuer.tenant = Some("mine".to_owned()));
    assert_eq!(get(&http).await.status, 200);
    assert_eq!(paths(&service.seen())[1], "POST /mine/oauth2/v2.0/token");
}

#[tokio::test]
async fn a_token_is_renewed_before_its_end_and_kept_while_its_renewal_fails() {
    // It is renewed when half of its time is over; one of no time is asked for each time.
    let service = Service::start(State { lasts: Some(0), ..State::default() }).await;
    let url = Some(format!("{}/t/oauth2/v2.0/token", service.url));
    let http = service.http(|application| application.issuer.token_url = url);
    for _ in 0..3 {
        assert_eq!(get(&http).await.status, 200);
    }
    assert_eq!(service.state.lock().expect("not poisoned").given, 3);
    // An issuer that is away does not matter while the token holds.
    let service = Service::start(State { lasts: Some(2), ..State::default() }).await;
    let url = Some(format!("{}/t/oauth2/v2.0/token", service.url));
    let http = service.http(|application| application.issuer.token_url = url);
    assert_eq!(get(&http).await.status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(1_050)).await;
    let away = ("503 Service Unavailable", String::new());
    service.state.lock().expect("not poisoned").answers.push_back(away);
    assert_eq!(get(&http).await.status, 200);
    let seen = service.seen();
    assert_eq!(seen.last().map(|(_, token)| token.as_str()), Some("t1"), "{seen:?}");
}

#[tokio::test]
async fn an_issuer_that_is_not_there_is_named_and_the_request_is_unsent() {
    let service = Service::start(State::default()).await;
    let url = "http://127.0.0.1:9/t/oauth2/v2.0/token";
    let http = service.http(|application| application.issuer.token_url = Some(url.to_owned()));
    let error = http.send(Request::get("x")).await.expect_err("no token");
    assert!(matches!(error, Error::Issuer(_)) && error.to_string().contains(url), "{error}");
    assert!(service.seen().is_empty(), "the service is not asked without a token");
}

#[tokio::test]
async fn what_an_issuer_says_holds_no_secret_and_what_to_do_next() {
    let denied = |number: u32| {
        let text = format!("AADSTS{number}: no, not with s&cret.\\r\\nTrace ID: 1");
        let body = format!(r#"{{"error":"invalid_client","error_description":"{text}"}}"#);
        ("401 Unauthorized", body)
    };
    for (number, want) in
        [(7_000_222, "has expired"), (700_016, "--tenant"), (90_002, "no such tenant")]
    {
        let state = State { taken: Some(1), answers: [denied(number)].into(), ..State::default() };
        let service = Service::start(state).await;
        let response = get(&service.http(|_| {})).await;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert!(response.status == 401 && text.contains(want), "{text}");
        assert!(!text.contains("s&cret"), "{text}");
    }
    let date = Some("Sat, 01 Jan 2000 00:00:00 GMT");
    let answers = [denied(700_024)].into();
    let service = Service::start(State { taken: Some(1), answers, date, ..State::default() }).await;
    let response = get(&service.http(|_| {})).await;
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert!(text.contains("this machine's clock is"), "{text}");
}

#[tokio::test]
async fn a_caller_who_is_not_taken_hears_what_to_do() {
    let service = Service::start(State { taken: Some(9), ..State::default() }).await;
    for (credential, want) in [
        (Credential::None, "sheaf auth login"),
        (Credential::Token(Secret::new("hush")), "is not renewed"),
    ] {
        let response = get(&service.http_as(credential)).await;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        assert!(response.status == 401 && text.contains(want), "{text}");
        assert!(!text.contains("hush"), "{text}");
    }
}

#[tokio::test]
async fn a_command_and_a_file_give_tokens_that_are_renewed() {
    let service = Service::start(State { taken: Some(1), ..State::default() }).await;
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("token");
    std::fs::write(&file, "t1\n").expect("written");
    let by_file = service.http_as(Credential::File(file.clone()));
    assert_eq!(get(&by_file).await.status, 200);
    #[cfg(unix)]
    let by_command = service.http_as(Credential::Command(format!("cat {}", file.display())));
    #[cfg(unix)]
    assert_eq!(get(&by_command).await.status, 200);
    service.state.lock().expect("not poisoned").taken = Some(2);
    std::fs::write(&file, "t2").expect("written");
    assert_eq!(get(&by_file).await.status, 200);
    #[cfg(unix)]
    assert_eq!(get(&by_command).await.status, 200);
    std::fs::remove_file(&file).expect("removed");
    service.state.lock().expect("not poisoned").taken = Some(3);
    let answer = get(&by_file).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(answer.status == 401 && text.contains("token file"), "{text}");
    #[cfg(unix)]
    {
        let failing = service.http_as(Credential::Command("exit 3".to_owned()));
        let text = String::from_utf8_lossy(&get(&failing).await.body).into_owned();
        assert!(text.contains("exit status: 3"), "{text}");
    }
}

fn person(service: &Service, kept: Place) -> Http {
    let issuer = Issuer::default();
    service.http_as(Credential::Person(Person { client_id: "app".to_owned(), issuer, kept }))
}

#[tokio::test]
async fn a_person_signs_in_with_a_code_and_stays_signed_in() {
    let home = tempfile::tempdir().expect("a directory");
    let kept = Place::File(home.path().join("kept"));
    let ok = "200 OK";
    let pending = || ("400 Bad Request", r#"{"error":"authorization_pending"}"#.to_owned());
    let begun = r#"{"device_code":"d1","user_code":"ABC","verification_uri":"https://go","interval":0,"expires_in":60}"#;
    let given = |token: &str, refresh: &str| {
        (
            ok,
            format!(
                r#"{{"access_token":"{token}","expires_in":3599,"refresh_token":"{refresh}"}}"#
            ),
        )
    };
    let answers = [(ok, begun.to_owned()), pending(), pending(), given("t0", "r1")].into();
    let service = Service::start(State { taken: Some(1), answers, ..State::default() }).await;
    let http = person(&service, kept.clone());
    let mut told = Vec::new();
    http.sign_in(&mut |prompt| told.push((prompt.url.clone(), prompt.code.clone())))
        .await
        .expect("signed in");
    assert_eq!(told, [("https://go".to_owned(), "ABC".to_owned())]);
    assert_eq!(kept.read().expect("kept"), Secret::new("r1"));
    let seen = service.seen();
    let endpoint = "POST /tenant/oauth2/v2.0/token";
    let begin = "POST /tenant/oauth2/v2.0/devicecode";
    assert_eq!(paths(&seen), ["GET /api/data/", begin, endpoint, endpoint, endpoint]);
    assert!(seen[1].1.contains("offline_access"), "{seen:?}");
    assert!(seen[2].1.contains("device_code=d1"), "{seen:?}");
    // The next process asks with what is kept, and keeps what comes back.
    service.state.lock().expect("not poisoned").answers.push_back(given("t1", "r2"));
    assert_eq!(get(&person(&service, kept.clone())).await.status, 200);
    let seen = service.seen();
    assert!(seen[1].1.contains("refresh_token=r1"), "{seen:?}");
    assert_eq!(kept.read().expect("kept"), Secret::new("r2"));
    // One that holds no longer says what to do.
    let ended = r#"{"error":"invalid_grant","error_description":"AADSTS700082: too old: r2"}"#;
    service
        .state
        .lock()
        .expect("not poisoned")
        .answers
        .push_back(("400 Bad Request", ended.to_owned()));
    let response = get(&person(&service, kept)).await;
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert!(response.status == 401 && text.contains("sign in again"), "{text}");
    assert!(!text.contains("r2"), "{text}");
}

#[tokio::test]
async fn a_sign_in_that_is_declined_or_too_late_keeps_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let kept = Place::File(home.path().join("kept"));
    let begun = |seconds: u32| {
        let text = format!(
            r#"{{"device_code":"d","user_code":"A","verification_uri":"u","interval":0,"expires_in":{seconds}}}"#
        );
        ("200 OK", text)
    };
    let denied = |error: &str| ("400 Bad Request", format!(r#"{{"error":"{error}"}}"#));
    for (answers, want) in [
        (vec![begun(60), denied("authorization_declined")], "declined"),
        (vec![begun(60), denied("expired_token")], "before the code ended"),
        (vec![begun(0)], "before the code ended"),
        (vec![denied("unsupported_grant_type")], "use a client secret"),
    ] {
        let state = State { taken: Some(1), answers: answers.into(), ..State::default() };
        let service = Service::start(state).await;
        let error = person(&service, kept.clone()).sign_in(&mut |_| {}).await.expect_err(want);
        assert!(error.to_string().contains(want), "{error}");
        assert!(kept.read().is_err());
    }
}

/// Made for this test alone: an RSA key and its certificate.
const CERTIFICATE: &str = include_str!("certificate.pem");
/// Of the certificate, as `openssl` finds it.
const THUMBPRINT: &str = "3gkQQ0YrhYVe9qV4Zu_tjK6CdFYUg26nq8uzbFPNkNI";
/// Of its key, by the same.
#[rustfmt::skip]
const MODULUS: [u8; 256] = [
    0xb7, 0x88, 0xc7, 0x5c, 0x65, 0x8e, 0x28, 0x58, 0x08, 0x5f, 0x84, 0x07, 0x32, 0x28, 0x21, 0x1d,
    0x0d, 0xb4, 0x1c, 0x6c, 0x6d, 0x6b, 0xbd, 0x8c, 0x11, 0xb3, 0x19, 0x1c, 0x62, 0x64, 0x89, 0x05,
    0x6b, 0x4e, 0x2b, 0x7e, 0xa3, 0xfd, 0x4b, 0xbd, 0xfc, 0x92, 0xe5, 0xaf, 0xac, 0xae, 0xa5, 0x54,
    0x6d, 0x87, 0x77, 0xc2, 0xc2, 0x66, 0xdd, 0xf2, 0x09, 0xdb, 0x8f, 0x94, 0x59, 0xc9, 0x42, 0x63,
    0xb4, 0x43, 0x46, 0x10, 0x44, 0xa2, 0x66, 0x39, 0x8c, 0x31, 0x6f, 0xed, 0x3a, 0x18, 0x87, 0xa5,
    0x8f, 0x7c, 0x56, 0xaa, 0xbd, 0xfa, 0xed, 0x83, 0xfa, 0x6c, 0x9a, 0x6c, 0xec, 0xcd, 0x24, 0x6e,
    0x78, 0x1f, 0x85, 0x44, 0x23, 0x5e, 0xad, 0xa4, 0x7b, 0xc3, 0xa9, 0x89, 0x28, 0x25, 0xa1, 0xbc,
    0xe6, 0x76, 0x0a, 0x32, 0x8c, 0xfd, 0xcf, 0x3c, 0xde, 0x08, 0xd7, 0x7b, 0x43, 0xc2, 0x3c, 0x86,
    0x4d, 0x4e, 0xf9, 0xe5, 0x8f, 0x97, 0xad, 0x33, 0x28, 0xb2, 0xab, 0x98, 0x3d, 0x31, 0x84, 0x88,
    0xe3, 0xf8, 0xbb, 0x6c, 0x20, 0x3c, 0xaf, 0xfe, 0xcf, 0x24, 0x5a, 0xef, 0x6d, 0x72, 0xfc, 0xd2,
    0x88, 0x70, 0x3f, 0xef, 0x59, 0xa0, 0x5c, 0xc8, 0xb2, 0xb6, 0x47, 0xd4, 0x71, 0xc6, 0x77, 0x61,
    0xa6, 0xe0, 0xec, 0x84, 0x90, 0x19, 0x66, 0xc8, 0x41, 0xdd, 0x98, 0x55, 0xda, 0xa9, 0x31, 0xfe,
    0x76, 0xc9, 0x23, 0xe4, 0x38, 0xde, 0xad, 0xc2, 0x1a, 0x1c, 0xb0, 0x4b, 0xff, 0x00, 0x6c, 0x3a,
    0x48, 0x17, 0x61, 0x30, 0xba, 0xcf, 0x09, 0x81, 0xa6, 0x49, 0x40, 0x68, 0x45, 0xaf, 0x0d, 0xce,
    0xb4, 0xf5, 0x6d, 0xe7, 0xee, 0x3c, 0xdd, 0xb9, 0x26, 0x89, 0xc1, 0x48, 0xfe, 0x6f, 0xe4, 0x53,
    0xd7, 0x96, 0x3b, 0x84, 0x9c, 0xd2, 0x71, 0x7d, 0xd7, 0x05, 0x4b, 0xd4, 0x43, 0x56, 0x5c, 0x8f,
];

#[tokio::test]
async fn an_application_proves_itself_with_its_certificate() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let given = ("200 OK", r#"{"access_token":"t1","expires_in":3599}"#.to_owned());
    let state = State { taken: Some(1), answers: [given].into(), ..State::default() };
    let service = Service::start(state).await;
    let certificate = Certificate::read(CERTIFICATE.as_bytes()).expect("a certificate");
    assert!(!format!("{certificate:?}").contains("PRIVATE"));
    let http = service.http(|application| {
        application.proof = Proof::Certificate(Arc::new(certificate));
    });
    assert_eq!(get(&http).await.status, 200);
    let seen = service.seen();
    let form = &seen[1].1;
    assert!(
        form.contains(
            "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        ),
        "{form}"
    );
    assert!(!form.contains("client_secret"), "{form}");
    let proof =
        form.split("client_assertion=").nth(1).expect("a proof").split('&').next().expect("it");
    let parts: Vec<&str> = proof.split('.').collect();
    let json = |part: &str| -> serde_json::Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
    };
    let (head, claims) = (json(parts[0]), json(parts[1]));
    assert_eq!(
        (head["alg"].as_str(), head["x5t#S256"].as_str()),
        (Some("PS256"), Some(THUMBPRINT))
    );
    assert_eq!(claims["aud"], format!("{}/tenant/oauth2/v2.0/token", service.url));
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("id"), Some("id")));
    let span = claims["exp"].as_i64().expect("a time") - claims["nbf"].as_i64().expect("a time");
    assert_eq!(span, 660);
    // Checked with the public key, by its parts.
    let public = ring::signature::RsaPublicKeyComponents {
        n: MODULUS.as_slice(),
        e: [1u8, 0, 1].as_slice(),
    };
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).expect("base64");
    let signed = format!("{}.{}", parts[0], parts[1]);
    public
        .verify(&ring::signature::RSA_PSS_2048_8192_SHA256, signed.as_bytes(), &signature)
        .expect("it is signed with the certificate's key");
}

#[test]
fn a_file_that_is_no_certificate_says_what_is_missing() {
    let read = |text: &str| Certificate::read(text.as_bytes()).expect_err(text).to_string();
    assert!(read("").contains("CERTIFICATE"));
    let end = "-----END CERTIFICATE-----\n";
    let alone = CERTIFICATE.split_inclusive(end).find(|part| part.contains("BEGIN CERTIFICATE"));
    let alone = alone.expect("a certificate");
    let alone = &alone[alone.find("-----BEGIN CERTIFICATE").expect("its begin")..];
    assert!(read(alone).contains("no private key"));
}
