//! Who is let in: real sockets, real TLS, tokens of our own issuer and of another one.

mod other;

use crate::house::install_provider;
use other::OtherIssuer;
use reqwest::{Certificate, Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use server::{
    ADMINISTRATOR, AuthMode, Error, IssuerConfig, Listen, NewUser, OpaqueConfig, Options, Server,
    StoreChoice, Tls, Users, UsersError,
};
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use testkit::postgres::Cluster;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const NAME: &str = "org.example";

/// A service with TLS and a plain address beside it, and a user who may ask for tokens.
struct Guarded {
    /// `https://127.0.0.1:PORT`
    secure: String,
    /// `http://127.0.0.1:PORT`
    plain: String,
    client: Client,
    tenant: String,
    client_id: String,
    user_id: String,
    secret: String,
    _home: TempDir,
    _stop: oneshot::Sender<()>,
    _running: JoinHandle<()>,
}

fn any_port(tls: bool) -> Listen {
    Listen { address: SocketAddr::from(([127, 0, 0, 1], 0)), tls }
}

impl Guarded {
    async fn open() -> Self {
        Self::open_with(|_, _| {}).await
    }

    async fn open_with(change: impl FnOnce(&mut Options, &str)) -> Self {
        let home = TempDir::new().expect("a directory");
        let store = StoreChoice::Directory(home.path().join("data"));
        Self::open_on(home, store, change).await
    }

    async fn open_on(
        home: TempDir,
        store: StoreChoice,
        change: impl FnOnce(&mut Options, &str),
    ) -> Self {
        install_provider();
        let users = Users::open(&store).await.expect("the store opens");
        let roles = vec!["Basic User".to_owned()];
        let new = NewUser { name: "loader".to_owned(), application: None, roles };
        let roles = vec![ADMINISTRATOR.to_owned()];
        let chief = NewUser { name: "chief".to_owned(), application: None, roles };
        let (user, secret) = users.add(&new).await.expect("a user");
        users.add(&chief).await.expect("a further user");
        let tenant = users.tenant().to_string();
        drop(users);
        let mut options = Options::new(any_port(false).address, store);
        options.listen.push(any_port(true));
        options.auth = AuthMode::On;
        let directory = home.path().join("tls");
        options.tls = Some(Tls::Development { directory, names: vec![NAME.to_owned()] });
        change(&mut options, &user.id.to_string());
        let server = Server::start(options).await.expect("the service starts");
        let urls: Vec<String> = server.addresses().iter().map(ToString::to_string).collect();
        let authority = std::fs::read(server.authority_file().expect("one")).expect("a file");
        let authority = Certificate::from_pem(&authority).expect("a certificate");
        let (stop, stopped) = oneshot::channel::<()>();
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        let running = tokio::spawn(server.run(async {
            drop(stopped.await);
        }));
        let client = Client::builder().no_proxy().tls_certs_only([authority]).build();
        Self {
            plain: urls[0].clone(),
            secure: urls[1].clone(),
            client: client.expect("a client"),
            tenant,
            client_id: user.application.expect("an application user").to_string(),
            user_id: user.id.to_string(),
            secret: secret.secret,
            _home: home,
            _stop: stop,
            _running: running,
        }
    }

    /// Asks for a token by form.
    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let body: Vec<String> = fields
            .iter()
            .map(|(name, value)| {
                let value: String = value
                    .bytes()
                    .map(|byte| match byte {
                        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                            char::from(byte).to_string()
                        }
                        _ => format!("%{byte:02X}"),
                    })
                    .collect();
                format!("{name}={value}")
            })
            .collect();
        let request = self
            .client
            .post(format!("{}/{path}", self.secure))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), json_of(answer).await)
    }

    /// A good token.
    async fn token(&self) -> String {
        let scope = format!("{}/.default", self.secure);
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", &*self.client_id),
            ("client_secret", &*self.secret),
            ("scope", &*scope),
        ];
        let (status, answer) = self.form("common/oauth2/v2.0/token", &fields).await;
        assert_eq!(status, 200, "{answer}");
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.request(Method::GET, format!("{}{path}", self.secure))
    }

    async fn who(&self, token: &str) -> (u16, Value) {
        let request = self.get("/api/data/v9.2/WhoAmI").bearer_auth(token);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), json_of(answer).await)
    }

    /// The request is let in as the user of the test.
    async fn accepts(&self, token: &str) {
        let (status, answer) = self.who(token).await;
        assert_eq!((status, &answer["UserId"]), (200, &json!(self.user_id)), "{answer}");
    }

    async fn rejects(&self, token: &str) {
        let request = self.get("/api/data/v9.2/WhoAmI").bearer_auth(token);
        let answer = request.send().await.expect("an answer");
        let challenge = header(&answer, "www-authenticate");
        assert!(challenge.ends_with(", error=\"invalid_token\""), "{challenge}");
        assert_eq!((answer.status().as_u16(), code(answer).await), (401, json!("0x80040204")));
    }
}

fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned()
}

async fn json_of(answer: Response) -> Value {
    let text = answer.text().await.expect("a body");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn code(answer: Response) -> Value {
    json_of(answer).await["error"]["code"].clone()
}

#[tokio::test]
async fn who_brings_no_token_is_told_where_to_get_one() {
    let house = Guarded::open().await;
    for path in ["/api/data/", "/api/data/v9.2/", "/api/data/v9.2/WhoAmI", "/nonsense", "/usage"] {
        let answer = house.get(path).send().await.expect("an answer");
        let want = format!(
            "Bearer authorization_uri={}/{}/oauth2/authorize, resource_id={}/",
            house.secure, house.tenant, house.secure
        );
        assert_eq!(header(&answer, "www-authenticate"), want, "{path}");
        assert_eq!((answer.status().as_u16(), code(answer).await), (401, json!("0x80044302")));
    }
    let answer = house.get("/health").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    house.rejects("nonsense").await;
    let basic = house.get("/api/data/v9.2/WhoAmI").basic_auth("a", Some("b")).send().await;
    assert_eq!(code(basic.expect("an answer")).await, json!("0x80044302"));
}

#[tokio::test]
async fn a_body_of_who_is_not_let_in_is_not_waited_for() {
    let house = Guarded::open().await;
    let url = format!("{}/api/data/v9.2/accounts", house.secure);
    let answer = house.client.post(url).body("x".repeat(300_000)).send().await;
    assert_eq!(answer.expect("an answer").status(), 401);
}

#[tokio::test]
async fn client_credentials_give_a_token_on_both_endpoints() {
    let house = Guarded::open().await;
    house.accepts(&house.token().await).await;
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", &*house.client_id),
        ("client_secret", &*house.secret),
        ("resource", &*house.secure),
    ];
    let (status, answer) = house.form("common/oauth2/token", &fields).await;
    assert_eq!(status, 200, "{answer}");
    for name in ["expires_in", "expires_on", "resource", "ext_expires_in"] {
        assert!(answer[name].is_string(), "{name}: {answer}");
    }
    house.accepts(answer["access_token"].as_str().expect("a token")).await;
    // The header instead of the body.
    let scope = format!("grant_type=client_credentials&scope={}/.default", house.secure);
    let request = house
        .client
        .post(format!("{}/{}/oauth2/v2.0/token", house.secure, house.tenant))
        .basic_auth(&house.client_id, Some(&house.secret))
        .body(scope);
    let answer = json_of(request.send().await.expect("an answer")).await;
    assert_eq!((&answer["expires_in"], &answer["token_type"]), (&json!(3599), &json!("Bearer")));
    house.accepts(answer["access_token"].as_str().expect("a token")).await;
}

#[tokio::test]
async fn nodes_of_one_database_share_users_secrets_and_keys() {
    let database = Cluster::shared().expect("PostgreSQL runs").create_database("auth");
    let store = StoreChoice::Postgres(database.expect("a database can be made"));
    let home = TempDir::new().expect("a directory");
    let one = Guarded::open_on(home, store.clone(), |_, _| {}).await;
    let token = one.token().await;
    one.accepts(&token).await;
    let mut options = Options::new(any_port(false).address, store.clone());
    options.auth = AuthMode::On;
    let two = Server::start(options).await.expect("the service starts");
    let url = format!("http://{}/api/data/v9.2/WhoAmI", two.address());
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    drop(tokio::spawn(two.run(std::future::pending())));
    let who = || async {
        let answer = one.client.get(&url).bearer_auth(&token).send().await.expect("an answer");
        (answer.status().as_u16(), json_of(answer).await)
    };
    let (status, answer) = who().await;
    assert_eq!((status, &answer["UserId"]), (200, &json!(one.user_id)), "{answer}");
    // Users are kept while the services run; both hear of it.
    let users = Users::open(&store).await.expect("the store opens");
    let user = users.find("loader").await.expect("a user");
    users.set_disabled(&user, true).await.expect("disabled");
    let mut rounds = 0;
    while who().await.0 != 403 || one.who(&token).await.0 != 403 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        rounds += 1;
        assert!(rounds < 150, "a disabled user is out within five seconds");
    }
}

#[tokio::test]
async fn secrets_come_and_go_one_by_one() {
    let home = TempDir::new().expect("a directory");
    let store = StoreChoice::Directory(home.path().join("data"));
    let users = Users::open(&store).await.expect("the store opens");
    let id = "11111111-2222-3333-4444-555555555555".parse().expect("a GUID");
    let new = NewUser { name: "Loader".to_owned(), application: Some(id), roles: Vec::new() };
    let (user, first) = users.add(&new).await.expect("a user");
    assert_eq!((user.application, &*user.name, user.disabled), (Some(id), "Loader", false));
    let taken = NewUser { application: None, ..new.clone() };
    assert!(matches!(users.add(&taken).await, Err(UsersError::Taken(_))));
    let taken = NewUser { name: "other".to_owned(), ..new };
    assert!(matches!(users.add(&taken).await, Err(UsersError::Taken(_))));
    let second = users.add_secret(&user, Some(30)).await.expect("a secret");
    assert!(second.expires.is_some() && first.secret != second.secret);
    for found in [user.id.to_string(), id.to_string(), "LOADER".to_owned()] {
        assert_eq!(users.find(&found).await.expect("found").id, user.id);
    }
    let listed = users.secrets(&user).await.expect("a list");
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|one| !one.value.contains(&first.secret)));
    users.remove_secret(&user, first.id).await.expect("removed");
    let gone = users.remove_secret(&user, first.id).await;
    assert!(matches!(gone, Err(UsersError::NoSecret { .. })));
    let person = users.find("administrator").await.expect("a user");
    let refused = users.add_secret(&person, None).await;
    assert!(matches!(refused, Err(UsersError::NoApplication(_))));
    assert!(matches!(users.find("nobody").await, Err(UsersError::Unknown(_))));
    let refused = users.give_role(&user, "No Role").await;
    assert!(matches!(refused, Err(UsersError::NoRole(_))));
    for _ in 0..2 {
        users.give_role(&user, "Basic User").await.expect("given, and had already");
    }
    // The data directory has one process.
    assert!(matches!(Users::open(&store).await, Err(UsersError::Open(_))));
}

#[tokio::test]
async fn what_the_token_endpoint_refuses_it_names() {
    let house = Guarded::open().await;
    let scope = format!("{}/.default", house.secure);
    let other = "99999999-0000-0000-0000-000000000000";
    for (grant, client, secret, want) in [
        (
            "client_credentials",
            &*house.client_id,
            "wrong",
            (401, "invalid_client", "AADSTS7000215"),
        ),
        ("client_credentials", other, &*house.secret, (401, "invalid_client", "AADSTS700016")),
        ("client_credentials", "no-guid", &*house.secret, (401, "invalid_client", "AADSTS700016")),
        ("password", &*house.client_id, "x", (400, "unsupported_grant_type", "password")),
        ("authorization_code", &*house.client_id, "x", (400, "unsupported_grant_type", "_code")),
        ("refresh_token", &*house.client_id, "x", (400, "invalid_request", "refresh_token")),
    ] {
        let fields = [
            ("grant_type", grant),
            ("client_id", client),
            ("client_secret", secret),
            ("scope", &*scope),
        ];
        let (status, answer) = house.form("common/oauth2/v2.0/token", &fields).await;
        assert_eq!((status, answer["error"].as_str()), (want.0, Some(want.1)), "{answer}");
        assert!(answer["error_description"].to_string().contains(want.2), "{answer}");
    }
    let (status, answer) = house.form("common/oauth2/v2.0/devicecode", &[]).await;
    assert_eq!((status, &answer["error"]), (400, &json!("unsupported_grant_type")));
    let answer = house.get("/common/oauth2/authorize?response_type=code").send().await;
    assert_eq!(answer.expect("an answer").status(), 400);
    let answer = house.get("/common/oauth2/v2.0/token").send().await.expect("an answer");
    assert_eq!(answer.status(), 405);
    // The way of development alone.
    let identity = house.get("/msi/token?resource=x").header("X-IDENTITY-HEADER", "x").send().await;
    assert_eq!(identity.expect("an answer").status(), 401);
}

#[tokio::test]
async fn a_refresh_token_is_given_where_it_is_asked_for_and_replaced_when_used() {
    let house = Guarded::open().await;
    let scope = format!("{}/.default offline_access", house.secure);
    let client = [("client_id", &*house.client_id), ("client_secret", &*house.secret)];
    let ask = [&client[..], &[("grant_type", "client_credentials"), ("scope", &scope)]].concat();
    let (_, answer) = house.form("common/oauth2/v2.0/token", &ask).await;
    let first = answer["refresh_token"].as_str().expect("one").to_owned();
    let renew = |token: &str| {
        let (token, house, client) = (token.to_owned(), &house, &client);
        async move {
            let fields = [
                &client[..],
                &[
                    ("grant_type", "refresh_token"),
                    ("refresh_token", &token),
                    ("redirect_uri", "http://localhost"),
                    ("resource", &house.secure),
                ],
            ];
            house.form("common/oauth2/token", &fields.concat()).await
        }
    };
    let (status, answer) = renew(&first).await;
    assert_eq!(status, 200, "{answer}");
    house.accepts(answer["access_token"].as_str().expect("a token")).await;
    let second = answer["refresh_token"].as_str().expect("one").to_owned();
    assert_ne!(first, second);
    assert_eq!(renew(&second).await.0, 200);
    // The answer may have been lost: the one before works for a while.
    assert_eq!(renew(&first).await.0, 200);
    let (status, answer) = renew("nonsense").await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
}

#[tokio::test]
async fn discovery_leads_from_an_authority_to_keys_that_fit() {
    let house = Guarded::open().await;
    for (tenant, version) in [("common", "/v2.0"), (&*house.tenant, "/v2.0"), ("adfs", "")] {
        let path = format!("/{tenant}{version}/.well-known/openid-configuration");
        let answer = json_of(house.get(&path).send().await.expect("an answer")).await;
        let root = format!("{}/{tenant}", house.secure);
        assert_eq!(answer["issuer"], json!(format!("{root}{version}")));
        let token_endpoint = format!("{root}/oauth2{version}/token");
        assert_eq!(answer["token_endpoint"], json!(token_endpoint));
        for name in ["authorization_endpoint", "device_authorization_endpoint"] {
            assert!(answer[name].is_string(), "{name}");
        }
        let keys = answer["jwks_uri"].as_str().expect("an address").to_owned();
        let keys = json_of(house.client.get(keys).send().await.expect("an answer")).await;
        assert_eq!(
            (&keys["keys"][0]["kty"], &keys["keys"][0]["alg"]),
            (&json!("RSA"), &json!("RS256"))
        );
        assert!(keys["keys"][0].get("d").is_none(), "nothing private is told");
    }
    let path = format!(
        "/common/discovery/instance?api-version=1.1&authorization_endpoint={}/t1/oauth2/v2.0/authorize",
        house.secure
    );
    let answer = json_of(house.get(&path).send().await.expect("an answer")).await;
    let want = format!("{}/t1/v2.0/.well-known/openid-configuration", house.secure);
    assert_eq!(answer["tenant_discovery_endpoint"], json!(want));
    let host = house.secure.trim_start_matches("https://");
    assert_eq!(answer["metadata"][0]["aliases"], json!([host]));
}

#[tokio::test]
async fn a_token_for_another_service_is_rejected() {
    let house = Guarded::open().await;
    let token = |resource: String| {
        let house = &house;
        async move {
            let fields = [
                ("grant_type", "client_credentials"),
                ("client_id", &*house.client_id),
                ("client_secret", &*house.secret),
                ("resource", &*resource),
            ];
            let (_, answer) = house.form("common/oauth2/token", &fields).await;
            answer["access_token"].as_str().expect("a token").to_owned()
        }
    };
    house.rejects(&token("https://elsewhere.example".to_owned()).await).await;
    house.accepts(&token(format!("{}/", house.secure)).await).await;
    // The same service by its other address.
    house.accepts(&token(house.plain.clone()).await).await;
    let good = house.token().await;
    let plain = format!("{}/api/data/v9.2/WhoAmI", house.plain);
    let answer = house.client.get(plain).bearer_auth(&good).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_token_that_was_changed_is_rejected() {
    let house = Guarded::open().await;
    let good = house.token().await;
    let parts: Vec<&str> = good.split('.').collect();
    house.rejects(&format!("{}.{}.", parts[0], parts[1])).await;
    house
        .rejects(&format!("{}.{}.{}", parts[0], parts[1], parts[2].replace(['A', 'B', 'C'], "D")))
        .await;
    // {"alg":"none","typ":"JWT"}
    house.rejects(&format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1])).await;
    let bytes = parts[1].replace(['a', 'b'], "c");
    house.rejects(&format!("{}.{bytes}.{}", parts[0], parts[2])).await;
    house.accepts(&good).await;
}

#[tokio::test]
async fn a_disabled_user_is_out_within_a_second_and_an_enabled_one_in() {
    let opaque = "0123456789abcdef0123456789abcdef";
    let house = Guarded::open_with(|options, _| {
        let user = "administrator".to_owned();
        options.config.auth.tokens = vec![OpaqueConfig { token: opaque.to_owned(), user }];
    })
    .await;
    let token = house.token().await;
    house.accepts(&token).await;
    let set = |disabled: bool| {
        let house = &house;
        async move {
            let url = format!("{}/api/data/v9.2/systemusers({})", house.secure, house.user_id);
            let request = house.client.patch(url).bearer_auth(opaque);
            let request = request.header("content-type", "application/json");
            let answer = request.body(json!({"isdisabled": disabled}).to_string()).send().await;
            assert_eq!(answer.expect("an answer").status(), 204);
        }
    };
    set(true).await;
    let (status, answer) = house.who(&token).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("0x8004a112")));
    let scope = format!("{}/.default", house.secure);
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", &*house.client_id),
        ("client_secret", &*house.secret),
        ("scope", &*scope),
    ];
    let (status, answer) = house.form("common/oauth2/v2.0/token", &fields).await;
    assert_eq!((status, &answer["error"]), (400, &json!("unauthorized_client")));
    set(false).await;
    house.accepts(&token).await;
}

#[tokio::test]
async fn opaque_tokens_are_those_of_the_configuration() {
    let house = Guarded::open_with(|options, user| {
        let token =
            |token: &str, user: &str| OpaqueConfig { token: token.into(), user: user.into() };
        options.config.auth.tokens = vec![
            token("loader-0123456789", user),
            token("nobody-0123456789", "nobody@example.com"),
        ];
    })
    .await;
    house.accepts("loader-0123456789").await;
    house.rejects("loader-0123456780").await;
    let (status, answer) = house.who("nobody-0123456789").await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("0x80072560")));
}

#[tokio::test]
async fn rows_are_made_by_the_user_of_the_token_also_in_a_batch() {
    let house = Guarded::open().await;
    let token = house.token().await;
    let body = "--b\r\nContent-Type: application/http\r\n\r\nPOST /api/data/v9.2/accounts HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{\"name\":\"A\"}\r\n--b--\r\n";
    let url = format!("{}/api/data/v9.2/$batch", house.secure);
    let request = house.client.post(url).bearer_auth(&token);
    let answer =
        request.header("content-type", "multipart/mixed;boundary=b").body(body).send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
    let path = "/api/data/v9.2/accounts?$select=_createdby_value,_ownerid_value";
    let answer = house.get(path).bearer_auth(&token).send().await.expect("an answer");
    let rows = json_of(answer).await;
    assert_eq!(rows["value"][0]["_createdby_value"], json!(house.user_id), "{rows}");
    assert_eq!(rows["value"][0]["_ownerid_value"], json!(house.user_id), "{rows}");
    assert!(rows["@odata.context"].to_string().contains(&house.secure), "{rows}");
}

#[tokio::test]
async fn limits_count_by_the_user_of_the_token() {
    let opaque = "0123456789abcdef0123456789abcdef";
    let house = Guarded::open_with(|options, _| {
        let user = "administrator".to_owned();
        let chief =
            OpaqueConfig { token: "chief-0123456789abcdef".to_owned(), user: "chief".to_owned() };
        let administrator = OpaqueConfig { token: opaque.to_owned(), user };
        options.config.auth.tokens = vec![administrator, chief];
        options.limits.facets = server::Facets { requests: 2, ..server::Facets::DATAVERSE };
    })
    .await;
    let token = house.token().await;
    for want in [200, 200, 429] {
        assert_eq!(house.who(&token).await.0, want);
    }
    // Who is not let in uses nothing up.
    for _ in 0..4 {
        house.rejects("nonsense").await;
    }
    assert_eq!(house.who(opaque).await.0, 200);
    let usage = house.get("/usage").bearer_auth(opaque).send().await.expect("an answer");
    let usage = json_of(usage).await;
    let of = |user: &str| {
        let days = usage["value"].as_array().expect("a list").iter();
        days.filter(|day| day["user"] == user)
            .filter_map(|day| day["messages"].as_u64())
            .sum::<u64>()
    };
    assert_eq!(of(&house.user_id), 2, "{usage}");
    // Whoever has the role is an administrator, too.
    let chief = house.get("/usage").bearer_auth("chief-0123456789abcdef").send().await;
    assert_eq!(chief.expect("an answer").status(), 200);
    let refused = house.get("/usage").bearer_auth(&token).send().await.expect("an answer");
    assert_eq!((refused.status().as_u16(), code(refused).await), (403, json!("0x80040220")));
}

#[tokio::test]
async fn no_request_reaches_what_the_service_keeps_for_itself() {
    let opaque = "0123456789abcdef0123456789abcdef";
    let house = Guarded::open_with(|options, _| {
        let user = "administrator".to_owned();
        options.config.auth.tokens = vec![OpaqueConfig { token: opaque.to_owned(), user }];
    })
    .await;
    let fetch = "%3Cfetch%3E%3Centity%20name%3D%22sheaf_credential%22%2F%3E%3C%2Ffetch%3E";
    let linked = "%3Cfetch%3E%3Centity%20name%3D%22account%22%3E%3Clink-entity%20name%3D%22sheaf_credential%22%20from%3D%22userid%22%20to%3D%22accountid%22%2F%3E%3C%2Fentity%3E%3C%2Ffetch%3E";
    for path in [
        "sheaf_credentials".to_owned(),
        "EntityDefinitions(LogicalName='sheaf_credential')".to_owned(),
        format!("sheaf_credentials?fetchXml={fetch}"),
        format!("accounts?fetchXml={fetch}"),
        format!("accounts?fetchXml={linked}"),
    ] {
        let answer = house.get(&format!("/api/data/v9.2/{path}")).bearer_auth(opaque).send().await;
        let answer = answer.expect("an answer");
        assert!(matches!(answer.status().as_u16(), 400 | 404), "{path}: {}", answer.status());
    }
    for path in ["", "EntityDefinitions?$select=LogicalName", "sdkmessagefilters"] {
        let answer = house.get(&format!("/api/data/v9.2/{path}")).bearer_auth(opaque).send().await;
        let text = answer.expect("an answer").text().await.expect("a body");
        assert!(text.contains("account") && !text.contains("sheaf_credential"), "{path}: {text}");
    }
    // A table that a caller makes is made beside it, and its own name is taken.
    let table = |name: &str| {
        let label = json!({"LocalizedLabels": [{"Label": "A", "LanguageCode": 1033}]});
        json!({
            "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata", "SchemaName": name,
            "DisplayName": label, "DisplayCollectionName": label, "OwnershipType": "UserOwned",
            "HasActivities": false, "HasNotes": false,
            "Attributes": [{
                "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata",
                "SchemaName": "new_Name", "IsPrimaryName": true, "MaxLength": 100,
                "FormatName": {"Value": "Text"}, "RequiredLevel": {"Value": "None"},
                "DisplayName": label,
            }],
        })
    };
    for (name, want) in [("new_Thing", 204), ("sheaf_Credential", 400)] {
        let url = format!("{}/api/data/v9.2/EntityDefinitions", house.secure);
        let request = house.client.post(url).bearer_auth(opaque);
        let request = request.header("content-type", "application/json");
        let answer = request.body(table(name).to_string()).send().await.expect("an answer");
        let status = answer.status().as_u16();
        assert_eq!(status, want, "{name}: {}", answer.text().await.expect("a body"));
    }
    // What it keeps is there all the same.
    house.accepts(&house.token().await).await;
}

/// Tokens of another issuer, by its discovery document.
#[tokio::test]
async fn tokens_of_a_configured_issuer_are_checked_by_its_keys() {
    let other = OtherIssuer::start().await;
    let house = Guarded::open_with(|options, _| {
        options.config.auth.issuers = vec![IssuerConfig {
            issuer: vec![other.name()],
            discovery: Some(other.discovery()),
            audiences: vec!["https://org.example/".to_owned()],
            authorize: Some("https://id.example/oauth2/authorize".to_owned()),
            ..IssuerConfig::default()
        }];
    })
    .await;
    let application = json!(house.client_id);
    let good = |change: Value| {
        let mut claims = json!({
            "iss": other.name(), "aud": "https://org.example", "appid": application,
            "exp": other::now() + 600, "nbf": other::now() - 10,
        });
        let (claims_map, changes) = (claims.as_object_mut(), change.as_object());
        claims_map.expect("one").extend(changes.expect("one").clone());
        claims
    };
    for algorithm in ["RS256", "ES256"] {
        house.accepts(&other.sign(algorithm, &good(json!({})))).await;
    }
    let rejected = [
        json!({"exp": other::now() - 301}),
        json!({"nbf": other::now() + 310}),
        json!({"aud": "https://elsewhere"}),
        json!({"aud": house.secure}),
        json!({"aud": []}),
        json!({"iss": "https://other.example"}),
    ];
    for change in rejected {
        house.rejects(&other.sign("RS256", &good(change))).await;
    }
    let accepted = [
        json!({"exp": other::now() - 200}),
        json!({"nbf": other::now() + 200}),
        json!({"aud": "https://org.example/"}),
        json!({"aud": ["x", "https://org.example"]}),
        json!({"iss": format!("{}/", other.name())}),
    ];
    for change in accepted {
        house.accepts(&other.sign("RS256", &good(change))).await;
    }
    // A person who uses an application is not the application.
    let person = good(json!({"upn": "someone@example.com", "scp": "user_impersonation"}));
    let (status, answer) = house.who(&other.sign("RS256", &person)).await;
    assert_eq!((status, &answer["error"]["code"]), (403, &json!("0x80072560")));
    let answer = house.get("/api/data/v9.2/").send().await.expect("an answer");
    let challenge = header(&answer, "www-authenticate");
    assert!(challenge.contains("authorization_uri=https://id.example/oauth2/authorize,"));
}

#[tokio::test]
async fn new_keys_of_an_issuer_are_fetched_and_nonsense_does_not_make_us_fetch_for_ever() {
    let mut other = OtherIssuer::start().await;
    let house = Guarded::open_with(|options, _| {
        options.config.auth.issuers = vec![IssuerConfig {
            issuer: vec![other.name()],
            jwks: Some(other.keys()),
            audiences: vec!["https://org.example/".to_owned()],
            ..IssuerConfig::default()
        }];
    })
    .await;
    let claims = json!({
        "iss": other.name(), "aud": "https://org.example", "appid": house.client_id,
        "exp": other::now() + 600,
    });
    let old = other.sign("RS256", &claims);
    house.accepts(&old).await;
    assert_eq!(other.fetches(), 1);
    house.accepts(&other.sign("ES256", &claims)).await;
    assert_eq!(other.fetches(), 1, "its keys are known");
    let before = other.rotate();
    house.accepts(&other.sign("RS256", &claims)).await;
    assert_eq!(other.fetches(), 2);
    house
        .rejects(
            &before.sign(
                "RS256",
                &json!({"exp": other::now() + 601, "iss": other.name(), "aud": "x"}),
            ),
        )
        .await;
    for number in 0..20 {
        let mut claims = claims.clone();
        claims["exp"] = json!(other::now() + 700 + number);
        house.rejects(&other.sign_as("RS256", &format!("unknown {number}"), &claims)).await;
    }
    assert!(other.fetches() <= 6, "{} fetches", other.fetches());
    house.accepts(&other.sign("RS256", &claims)).await;
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_our_trouble_not_the_callers() {
    let house = Guarded::open_with(|options, _| {
        options.config.auth.issuers = vec![IssuerConfig {
            issuer: vec!["https://id.example".to_owned()],
            jwks: Some("http://127.0.0.1:9/keys".to_owned()),
            audiences: vec!["x".to_owned()],
            ..IssuerConfig::default()
        }];
    })
    .await;
    let other = OtherIssuer::start().await;
    let token = other.sign("RS256", &json!({"iss": "https://id.example", "aud": "x", "exp": 1}));
    let (status, answer) = house.who(&token).await;
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("0x8004a001")));
}

#[tokio::test]
async fn names_of_the_certificate_are_those_that_were_asked_for() {
    let house = Guarded::open().await;
    let port: u16 = house.secure.rsplit(':').next().expect("a port").parse().expect("a number");
    let ca = std::fs::read(house._home.path().join("tls/ca.pem")).expect("a file");
    let resolved = |name: &str| {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Client::builder()
            .no_proxy()
            .tls_certs_only([Certificate::from_pem(&ca).expect("a certificate")])
            .resolve(name, address)
            .build()
            .expect("a client")
    };
    for name in [NAME, "localhost"] {
        let url = format!("https://{name}:{port}/api/data/v9.2/");
        let answer = resolved(name).get(&url).send().await.expect("an answer");
        let challenge = header(&answer, "www-authenticate");
        assert!(challenge.contains(&format!("resource_id=https://{name}:{port}/")), "{challenge}");
    }
    let url = format!("https://elsewhere.example:{port}/");
    assert!(resolved("elsewhere.example").get(&url).send().await.is_err(), "it names another host");
    let stranger = Client::builder().no_proxy().build().expect("a client");
    assert!(stranger.get(format!("{}/health", house.secure)).send().await.is_err());
    // Who speaks plain HTTP to the TLS address gets no answer, and hurts nobody.
    assert!(house.client.get(house.secure.replace("https", "http")).send().await.is_err());
    assert_eq!(house.get("/health").send().await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn what_a_proxy_says_counts_from_this_machine() {
    let house = Guarded::open().await;
    let request = house.client.get(format!("{}/api/data/v9.2/", house.plain));
    let request = request.header("x-forwarded-proto", "https");
    let answer = request.header("x-forwarded-host", "front.example").send().await;
    let challenge = header(&answer.expect("an answer"), "www-authenticate");
    assert!(challenge.contains("resource_id=https://front.example/"), "{challenge}");
}

#[tokio::test]
async fn authentication_is_off_on_loopback_alone() {
    let home = TempDir::new().expect("a directory");
    let store = || StoreChoice::Directory(home.path().to_owned());
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let start = |auth: AuthMode, listen: &[SocketAddr], tls: bool| {
        let mut options = Options::new(listen[0], store());
        options.listen = listen.iter().map(|address| Listen { address: *address, tls }).collect();
        options.auth = auth;
        async move { Server::start(options).await.map(|server| server.checks_tokens()) }
    };
    let near = any_port(false).address;
    let refused = start(AuthMode::Off, &[near, everywhere], false).await;
    assert!(matches!(refused, Err(Error::NotLoopback(address)) if address == everywhere));
    assert!(start(AuthMode::ByAddress, &[near, everywhere], false).await.expect("it starts"));
    assert!(!start(AuthMode::ByAddress, &[near], false).await.expect("it starts"));
    assert!(start(AuthMode::On, &[near], false).await.expect("it starts"));
    let refused = start(AuthMode::On, &[near], true).await;
    assert!(matches!(refused, Err(Error::NoCertificate(_))));
}

#[tokio::test]
async fn in_development_anyone_gets_a_token_and_any_token_will_do() {
    let house = Guarded::open_with(|options, _| options.auth = AuthMode::Off).await;
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", "11111111-2222-3333-4444-555555555555"),
        ("client_secret", "anything"),
        ("scope", "https://org.crm.dynamics.com/.default"),
    ];
    let (status, answer) = house.form("some-tenant/oauth2/v2.0/token", &fields).await;
    assert_eq!(status, 200, "{answer}");
    let (status, who) = house.who(answer["access_token"].as_str().expect("a token")).await;
    assert_eq!(status, 200);
    assert_ne!(who["UserId"], json!(house.user_id), "the administrator");
    assert_eq!(house.who("nonsense").await, (200, who.clone()));
    let none = house.get("/api/data/v9.2/WhoAmI").send().await.expect("an answer");
    assert_eq!(json_of(none).await["UserId"], who["UserId"]);
    let path = "/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fhost";
    let answer = house.get(path).header("X-IDENTITY-HEADER", "x").send().await;
    let answer = json_of(answer.expect("an answer")).await;
    assert_eq!(
        (&answer["resource"], &answer["token_type"]),
        (&json!("https://host"), &json!("Bearer"))
    );
    assert!(
        answer["expires_on"].as_str().expect("text").parse::<u64>().expect("seconds")
            > other::now()
    );
    assert_eq!(house.get(path).send().await.expect("an answer").status(), 400);
}

#[tokio::test]
async fn given_certificates_are_used_and_wrong_ones_are_told() {
    let home = TempDir::new().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let store = StoreChoice::Directory(home.path().join("data"));
    let start = |certificates: &std::path::Path, key: &std::path::Path| {
        let mut options = Options::new(any_port(true).address, store.clone());
        options.listen = vec![any_port(true)];
        let (certificates, key) = (certificates.to_owned(), key.to_owned());
        options.tls = Some(Tls::Files { certificates, key });
        Server::start(options)
    };
    let (chain, key) = other::certificate();
    let (_, foreign) = other::certificate();
    let (chain, key) = (write("chain.pem", &chain), write("key.pem", &key));
    let foreign = write("foreign.pem", &foreign);
    let server = start(&chain, &key).await.expect("it starts");
    assert!(server.address().port() > 0 && server.authority_file().is_none());
    drop(server);
    let empty = write("empty.pem", "");
    for (chain, key) in [(&empty, &key), (&chain, &empty), (&chain, &foreign), (&key, &key)] {
        let refused = start(chain, key).await;
        assert!(matches!(refused, Err(Error::TlsFile { .. } | Error::Tls { .. })));
    }
}
