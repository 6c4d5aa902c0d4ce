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
        ("GET /$metadata".to_owned(), "$metadata"),
        ("POST /$batch".to_owned(), "$batch"),
        ("POST /BulkDelete".to_owned(), "BulkDelete"),
        ("GET /RetrieveMetadataChanges(Query=@p)".to_owned(), "RetrieveMetadataChanges"),
        (format!("GET /new_crates({id})/new_Holder"), "'new_Holder'"),
        (format!("PUT /new_crates({id})/new_Holder/$ref"), "$ref"),
        ("GET /new_crates/Microsoft.Dynamics.CRM.account".to_owned(), "type cast"),
        ("GET /new_crates\nCallerObjectId: 1".to_owned(), "CallerObjectId"),
        (format!("GET /new_crates\nMSCRMCallerID: {id}"), "MSCRMCallerID"),
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
