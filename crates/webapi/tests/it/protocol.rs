//! Routes, verbs, headers, functions, and answers before a request is read.

use crate::service::{Answer, ORIGIN, Service};
use model::Uuid;
use webapi::Challenge;

fn check_common(answer: &Answer) {
    let id = Uuid::from_u128(0x5eaf).to_string();
    assert_eq!(answer.header("odata-version"), "4.0");
    assert_eq!(answer.header("req_id"), id);
    assert_eq!(answer.header("x-ms-service-request-id"), id);
    assert_eq!(answer.header("x-ms-ratelimit-burst-remaining-xrm-requests"), "6000");
    assert_eq!(answer.header("x-ms-ratelimit-time-remaining-xrm-requests"), "1,200.00");
    assert!(answer.header("x-ms-dop-hint").parse::<u32>().expect("a number") >= 1);
    assert!(answer.header("access-control-expose-headers").contains("OData-EntityId"));
    assert_eq!(answer.header("content-disposition"), "");
    if answer.text.is_empty() {
        assert_eq!(answer.header("content-type"), "");
    }
}

#[tokio::test]
async fn every_answer_carries_the_common_headers() {
    let service = Service::with_crates().await;
    for (head, body) in [
        ("GET /", ""),
        ("GET /new_crates", ""),
        ("POST /new_crates", "{}"),
        ("GET /nope", ""),
        ("GET /outside", ""),
        ("TRACE /new_crates", ""),
        ("GET /new_crates/$count", ""),
    ] {
        check_common(&service.send(head, body).await);
    }
    let id = Uuid::from_u128(0x5eaf);
    let early = [
        (service.api.too_large(id), 413, "0x8004418a"),
        (service.api.busy(id), 503, "0x8004a001"),
        (service.api.unexpected(id), 500, "0x80040216"),
        (service.api.incomplete(id), 400, "0x80048d19"),
    ];
    for (response, status, code) in early {
        let answer = Answer::of(response);
        check_common(&answer);
        assert_eq!((answer.status.as_u16(), &answer.json["error"]["code"]), (status, &code.into()));
    }
    let challenge = Challenge {
        authorization_uri: "https://i/t/oauth2/authorize",
        resource_id: "https://sheaf.test/",
        rejected: true,
    };
    let answer = Answer::of(service.api.unauthorized(id, &challenge));
    assert_eq!(
        answer.header("www-authenticate"),
        "Bearer authorization_uri=https://i/t/oauth2/authorize, resource_id=https://sheaf.test/, error=\"invalid_token\""
    );
    assert_eq!(answer.status, 401);
    let busy = Answer::of(service.api.busy(id));
    assert!(busy.header("retry-after").parse::<u32>().is_ok());
}

#[tokio::test]
async fn the_root_lists_every_set_in_the_version_that_was_asked() {
    let service = Service::with_crates().await;
    for target in ["/API/data/V9.1", "/api/data/v9.1/", "//api//data/v9.1//"] {
        let answer =
            service.raw(http::Method::GET, target.to_owned(), http::HeaderMap::new(), Vec::new());
        let answer = answer.await;
        assert_eq!(answer.json["@odata.context"], format!("{ORIGIN}/api/data/v9.1/$metadata"));
        assert!(answer.column("name").contains(&"new_crates".to_owned()));
    }
}

#[tokio::test]
async fn addresses_that_name_nothing_are_404() {
    let service = Service::with_crates().await;
    let uri = "0x80060888";
    let id = service.ok("POST /new_crates", "{}").await.id();
    for (head, piece) in [
        ("GET /nope".to_owned(), "Resource not found for the segment 'nope'."),
        ("GET /api/data/v8.0/accounts".to_owned(), "No HTTP resource was found"),
        ("GET /api/nothing".to_owned(), "No HTTP resource was found"),
        (format!("GET /new_crates({id})/nope"), "'nope'"),
        ("POST /new_crates/Microsoft.Dynamics.CRM.Nope".to_owned(), "Microsoft.Dynamics.CRM.Nope"),
        ("POST /new_crates/CreateMultiple".to_owned(), "'CreateMultiple'"),
        (
            "GET /new_crates/Microsoft.Dynamics.CRM.CreateMultiple".to_owned(),
            "No HTTP resource was found that matches the request URI 'https://sheaf.test/api/data/v9.2/new_crates/Microsoft.Dynamics.CRM.CreateMultiple'.",
        ),
        ("GET /CreateEntities".to_owned(), "No HTTP resource was found"),
        ("GET /WhoAmI()/more".to_owned(), "'more'"),
    ] {
        service.refused(&head, "", (404, uri, piece)).await;
    }
}

#[tokio::test]
async fn what_is_not_there_yet_is_named() {
    let service = Service::with_crates().await;
    let id = service.ok("POST /new_crates", "{}").await.id();
    for (head, piece) in [
        ("GET /RetrieveAllEntities()".to_owned(), "RetrieveAllEntities"),
        (format!("PATCH /new_crates({id})/new_Holder"), "'new_Holder'"),
        ("GET /new_crates/Microsoft.Dynamics.CRM.account".to_owned(), "type cast"),
        ("GET /new_crates\nMSCRM.Unheard: 1".to_owned(), "mscrm.unheard"),
    ] {
        service.refused(&head, "", (501, "0x80040219", piece)).await;
    }
}

#[tokio::test]
async fn wrong_verbs_are_told_the_right_ones() {
    let service = Service::with_crates().await;
    for (head, allow) in [
        ("DELETE /new_crates", "GET, HEAD, POST"),
        ("POST /new_crates(11111111-2222-4333-8444-555555555501)", "GET, HEAD, PATCH, PUT, DELETE"),
        ("POST /new_crates/$count", "GET, HEAD"),
        ("PUT /new_crates/Microsoft.Dynamics.CRM.CreateMultiple", "POST"),
        ("POST /WhoAmI", "GET, HEAD"),
        ("POST /", "GET, HEAD"),
    ] {
        let answer = service.send(head, "").await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, allow), "{head}");
        assert_eq!(answer.json["error"]["code"], "0x80060888");
    }
}

#[tokio::test]
async fn bodies_must_be_json() {
    let service = Service::with_crates().await;
    for kind in
        ["application/json", "application/json;type=entry", "Application/JSON; charset=UTF-8"]
    {
        service.ok(&format!("POST /new_crates\nContent-Type: {kind}"), "{}").await;
    }
    service.ok("POST /new_crates", "{}").await;
    service.ok("GET /new_crates\nContent-Type: text/xml", "").await;
    for kind in ["text/plain", "multipart/mixed; boundary=x", "application/xml"] {
        let head = format!("POST /new_crates\nContent-Type: {kind}");
        service.refused(&head, "{}", (415, "0x80048d19", "not supported")).await;
    }
    let zipped = "POST /new_crates\nContent-Encoding: gzip";
    service.refused(zipped, "{}", (415, "0x80048d19", "gzip")).await;
    for body in ["", "[]", "\"{}\"", "{", "null"] {
        service.refused("POST /new_crates", body, (400, "0x80048d19", "Error identified")).await;
    }
}

#[tokio::test]
async fn sizes_are_limited() {
    let service = Service::with_crates().await;
    let long = format!("GET /new_crates?x={}", "y".repeat(33_000));
    service.refused(&long, "", (414, "0x80060888", "32768")).await;
    let small = webapi::WebApi::new(
        service.pipeline.clone(),
        webapi::Settings { body_bytes_max: 10, ..webapi::Settings::default() },
    );
    let service = Service { api: small, ..service };
    let body = r#"{"new_label":"too much"}"#;
    service.refused("POST /new_crates", body, (413, "0x8004418a", "too large")).await;
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let service = Service::with_crates().await;
    let get = service.send("GET /new_crates", "").await;
    let head = service.send("HEAD /new_crates", "").await;
    assert_eq!((head.status.as_u16(), &*head.text), (200, ""));
    assert_eq!(head.header("content-length"), get.text.len().to_string());
    assert_eq!(head.header("content-type"), get.header("content-type"));
}

#[tokio::test]
async fn harmless_headers_are_accepted_and_the_client_id_echoed() {
    let service = Service::with_crates().await;
    let user = service.pipeline.organization().administrator;
    let head = format!(
        "POST /new_crates\nMSCRM.SuppressDuplicateDetection: false\nMSCRM.BypassCustomPluginExecution: true\nMSCRM.BypassBusinessLogicExecution: CustomSync\nMSCRM.SolutionUniqueName: x\nMSCRM.SessionToken: 1\nMSCRMCallerID: {user}\nPrefer: respond-async, unheard=1\nx-ms-client-request-id: abc"
    );
    let answer = service.ok(&head, "{}").await;
    assert_eq!(answer.header("x-ms-client-request-id"), "abc");
    assert_eq!(answer.header("preference-applied"), "");
}

#[tokio::test]
async fn optional_parameters_that_cannot_be_meant_are_refused_by_name() {
    let service = Service::with_crates().await;
    let id = Uuid::from_u128(1);
    service.ok("POST /new_crates?tag=night+run", "{}").await;
    for (header, piece) in [
        ("MSCRM.BypassCustomPluginExecution: 1".to_owned(), "bypasscustompluginexecution"),
        ("MSCRM.SuppressDuplicateDetection: no".to_owned(), "suppressduplicatedetection"),
        ("MSCRM.BypassBusinessLogicExecution: All".to_owned(), "'All'"),
        (format!("MSCRM.BypassBusinessLogicExecutionStepIds: {id},{id},{id},{id}"), "3 steps"),
    ] {
        let head = format!("POST /new_crates\n{header}");
        service.refused(&head, "{}", (400, "0x80040203", piece)).await;
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_how_long_to_wait() {
    let service = Service::with_crates().await;
    let facets = webapi::Facets { requests: 1, ..webapi::Facets::DATAVERSE };
    let mut limiter = webapi::Limiter::new(facets);
    let (user, now) = (Uuid::nil(), std::time::Duration::from_secs(9));
    limiter.admit(now, user).expect("the first");
    let refusal = limiter.admit(now, user).expect_err("the second");
    let mut headers = http::HeaderMap::new();
    headers.insert("x-ms-client-request-id", http::HeaderValue::from_static("abc"));
    headers.insert("prefer", http::HeaderValue::from_static("odata.include-annotations=*"));
    let answer = Answer::of(service.api.limited(Uuid::nil(), &refusal, &headers));
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), "300");
    assert_eq!(answer.header("x-ms-ratelimit-burst-remaining-xrm-requests"), "0");
    assert_eq!(answer.header("x-ms-ratelimit-time-remaining-xrm-requests"), "1,200.00");
    assert_eq!(answer.header("x-ms-client-request-id"), "abc");
    assert_eq!(answer.header("content-type"), "application/json; odata.metadata=minimal");
    let error = &answer.json["error"];
    assert_eq!(error["code"], "0x80072322");
    assert_eq!(
        error["message"],
        "Number of requests exceeded the limit of 1 over time window of 300 seconds."
    );
    let name = "@Microsoft.PowerApps.CDS.ErrorDetails.ApiExceptionHttpStatusCode";
    assert_eq!(error[name], "429");
}

#[tokio::test]
async fn entitlements_count_every_target_and_one_for_all_else() {
    let service = Service::empty().await;
    let usage = |service: &Service, method: http::Method| {
        Answer::of(service.api.usage(Uuid::from_u128(0x5eaf), &method))
    };
    assert_eq!(usage(&service, http::Method::GET).json["value"], serde_json::json!([]));
    let target = r#"{"@odata.type":"Microsoft.Dynamics.CRM.account","name":"A"}"#;
    let body = format!(r#"{{"Targets":[{target},{target},{target}]}}"#);
    service.ok("POST /accounts/Microsoft.Dynamics.CRM.CreateMultiple", &body).await;
    service.ok("POST /accounts", r#"{"name":"B"}"#).await;
    service.ok("GET /accounts", "").await;
    service.send("GET /nope", "").await;
    let answer = usage(&service, http::Method::GET);
    check_common(&answer);
    let day = &answer.json["value"][0];
    assert_eq!((&day["messages"], &day["items"]), (&4.into(), &6.into()), "{}", answer.text);
    assert_eq!(day["day"], "2023-11-14");
    assert_eq!(day["user"], service.pipeline.organization().administrator.to_string());
    let refused = usage(&service, http::Method::POST);
    assert_eq!((refused.status.as_u16(), refused.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn a_named_node_sets_an_affinity_cookie_on_every_answer() {
    let service = Service::with_crates().await;
    let node = |name: Option<&str>| {
        let settings =
            webapi::Settings { node: name.map(str::to_owned), ..webapi::Settings::default() };
        let api = webapi::WebApi::new(service.pipeline.clone(), settings);
        Service { api, pipeline: service.pipeline.clone(), store: service.store.clone() }
    };
    assert_eq!(node(None).send("GET /WhoAmI", "").await.header("set-cookie"), "");
    let one = node(Some("one"));
    let cookie = one.send("GET /WhoAmI", "").await.header("set-cookie").to_owned();
    let value = cookie.strip_prefix("ARRAffinity=").expect("its name");
    let (hex, rest) = value.split_once(';').expect("attributes");
    assert!(hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{cookie}");
    assert_eq!(rest, " path=/; secure; HttpOnly");
    assert_eq!(one.send("GET /nope", "").await.header("set-cookie"), cookie);
    assert_ne!(node(Some("two")).send("GET /nope", "").await.header("set-cookie"), cookie);
    // A cookie that comes back means nothing here.
    one.ok("GET /WhoAmI\nCookie: ARRAffinity=00", "").await;
}

#[tokio::test]
async fn functions_answer() {
    let service = Service::with_crates().await;
    let organization = service.pipeline.organization();
    for path in ["/WhoAmI", "/WhoAmI()", "/WhoAmI?", "/Microsoft.Dynamics.CRM.WhoAmI()"] {
        let who = service.ok(&format!("GET {path}"), "").await;
        assert_eq!(who.json["UserId"], organization.administrator.to_string());
        assert_eq!(who.json["BusinessUnitId"], organization.business_unit.to_string());
        assert_eq!(who.json["OrganizationId"], organization.id.to_string());
    }
    let version = service.ok("GET /RetrieveVersion()", "").await;
    let version = version.json["Version"].as_str().expect("text").to_owned();
    assert!(version.starts_with("9.2.") && version.split('.').count() == 4, "{version}");
    let path = "/RetrieveCurrentOrganization(AccessType=Microsoft.Dynamics.CRM.EndpointAccessType'Default')";
    let detail = service.ok(&format!("GET {path}"), "").await;
    assert_eq!(detail.json["Detail"]["State"], "Enabled");
    assert_eq!(detail.json["Detail"]["Endpoints"]["Values"][0], format!("{ORIGIN}/"));
    service.refused("GET /WhoAmI(a=1)", "", (400, "0x80060888", "WhoAmI")).await;
    let unknown = "GET /RetrieveTotalRecordCount(EntityNames=['nope'])";
    service.refused(unknown, "", (404, "0x80040217", "nope")).await;
}

#[tokio::test]
async fn definitions_that_another_node_made_are_seen_at_once() {
    let here = Service::with_crates().await;
    let stores = Service::stores(&here.store);
    let pipeline = pipeline::Pipeline::open(stores, model::Timestamp(1_700_000_000), 2);
    let pipeline = std::sync::Arc::new(pipeline.await.expect("opens"));
    let api = webapi::WebApi::new(pipeline.clone(), webapi::Settings::default());
    let there = Service { api, pipeline, store: here.store.clone() };
    let column = r#"{"@odata.type":"Microsoft.Dynamics.CRM.IntegerAttributeMetadata","SchemaName":"new_Late","DisplayName":{"LocalizedLabels":[{"Label":"Late","LanguageCode":1033}]}}"#;
    here.ok("POST /EntityDefinitions(LogicalName='new_crate')/Attributes", column).await;
    // A new name: decoded once more on newer definitions.
    there.ok("POST /new_crates", r#"{"new_late":1}"#).await;
    here.ok(
        "POST /EntityDefinitions(LogicalName='new_crate')/Attributes",
        &column.replace("new_Late", "new_Later"),
    )
    .await;
    // Old names only: the store says that the definitions are old.
    there.ok("POST /new_crates", r#"{"new_late":2}"#).await;
    let page = there.ok("GET /new_crates?$select=new_late,new_later&$orderby=new_late", "").await;
    assert_eq!(page.column("new_late"), ["1", "2"]);
}
