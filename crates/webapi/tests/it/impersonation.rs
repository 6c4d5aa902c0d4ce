//! Who may act for others: a caller that is not the administrator. What an administrator meets is in
//! `conformance/rights`.

use crate::service::{Answer, ORIGIN, ROOT, Service};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use model::{Caller, Timestamp, Uuid};
use webapi::Incoming;

/// Asks as this user, for the other one.
async fn ask(service: &Service, user: Uuid, whom: Option<Uuid>) -> Answer {
    let mut headers = HeaderMap::new();
    if let Some(whom) = whom {
        let value = HeaderValue::from_str(&whom.to_string()).expect("text");
        headers.insert(HeaderName::from_static("mscrmcallerid"), value);
    }
    let business_unit = service.pipeline.organization().caller().business_unit;
    let incoming = Incoming {
        method: Method::GET,
        target: format!("{ROOT}/accounts?$select=name"),
        headers,
        body: Bytes::new(),
        origin: ORIGIN.to_owned(),
        caller: Caller { user, business_unit, on_behalf_of: None },
        now: Timestamp(1_700_000_000),
        request_id: Uuid::from_u128(0x5eaf),
    };
    Answer::of(service.api.handle(incoming).await)
}

/// A new user with the role of this name.
async fn user(service: &Service, name: &str, role: &str) -> Uuid {
    let unit = service.pipeline.organization().caller().business_unit;
    let body = format!(
        "{{\"firstname\":\"{name}\",\"lastname\":\"User\",\"domainname\":\"{name}@sheaf.test\"}}"
    );
    let id = service.ok("POST /systemusers", &body).await.id();
    let roles = format!(
        "GET /roles?$select=roleid&$filter=name%20eq%20'{role}'%20and%20_businessunitid_value%20eq%20{unit}"
    );
    let role = service.ok(&roles, "").await.column("roleid").remove(0);
    let link = format!("POST /systemusers({id})/systemuserroles_association/$ref");
    service.ok(&link, &format!("{{\"@odata.id\":\"{ORIGIN}{ROOT}/roles({role})\"}}")).await;
    id
}

#[tokio::test]
async fn only_who_has_the_privilege_acts_for_another() {
    let service = Service::empty().await;
    let basic = user(&service, "Basic", "Basic%20User").await;
    let other = user(&service, "Other", "Basic%20User").await;
    assert_eq!(ask(&service, basic, None).await.status, 200);
    // Oneself is nobody else.
    assert_eq!(ask(&service, basic, Some(basic)).await.status, 200);
    let refused = ask(&service, basic, Some(other)).await;
    let code = &refused.json["error"]["code"];
    assert_eq!((refused.status.as_u16(), code), (403, &"0x8004a110".into()), "{}", refused.text);
    // A privilege of the role Delegate; rights are those that both have.
    let delegate = user(&service, "Delegate", "Delegate").await;
    let answer = ask(&service, delegate, Some(other)).await;
    assert_ne!(answer.json["error"]["code"], "0x8004a110", "{}", answer.text);
}
