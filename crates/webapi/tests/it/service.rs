//! A whole service in memory, and how tests speak to it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use model::{Timestamp, Uuid};
use pipeline::{Pipeline, Stores, UnavailableError};
use serde_json::Value;
use std::sync::Arc;
use store::MemoryElasticStore;
use store::memory::MemoryStore;
use webapi::{Incoming, Settings, WebApi};

/// The host under which tests address the service.
pub(crate) const ORIGIN: &str = "https://sheaf.test";
/// The root of every address.
pub(crate) const ROOT: &str = "/api/data/v9.2";

pub(crate) struct Service {
    pub(crate) api: WebApi,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) store: Arc<MemoryStore>,
}

/// An answer, with its body as JSON where it is some.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

const NOW: Timestamp = Timestamp(1_700_000_000);

impl Service {
    /// Rows of elastic tables are each service's own.
    pub(crate) fn stores(store: &Arc<MemoryStore>) -> Stores {
        Stores { standard: store.clone(), elastic: Some(Arc::new(MemoryElasticStore::new())) }
    }

    pub(crate) async fn empty() -> Self {
        let store = Arc::new(MemoryStore::new());
        let pipeline = Pipeline::open(Self::stores(&store), NOW, 1).await.expect("opens");
        let pipeline = Arc::new(pipeline);
        let api = WebApi::new(Arc::clone(&pipeline), Settings::default());
        Self { api, pipeline, store }
    }

    /// With messages that the configuration takes from tables.
    pub(crate) async fn with_unavailable(unavailable: &[(&str, &[&str])]) -> Self {
        Self::try_unavailable(unavailable).await.expect("the names are known")
    }

    pub(crate) async fn try_unavailable(
        unavailable: &[(&str, &[&str])],
    ) -> Result<Self, UnavailableError> {
        Self::over(Arc::new(MemoryStore::new()), unavailable).await
    }

    /// Another process over the same rows, with another configuration.
    pub(crate) async fn again_with_unavailable(self, unavailable: &[(&str, &[&str])]) -> Self {
        Self::over(self.store, unavailable).await.expect("the names are known")
    }

    async fn over(
        store: Arc<MemoryStore>,
        unavailable: &[(&str, &[&str])],
    ) -> Result<Self, UnavailableError> {
        let mut pipeline = Pipeline::open(Self::stores(&store), NOW, 1).await.expect("opens");
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let named = unavailable.iter().map(|(table, names)| ((*table).to_owned(), owned(names)));
        pipeline.make_unavailable(&named.collect(), NOW).await?;
        let pipeline = Arc::new(pipeline);
        let api = WebApi::new(Arc::clone(&pipeline), Settings::default());
        Ok(Self { api, pipeline, store })
    }

    /// With the table `new_crate`: name, weight, price, tracking number (alternate key), holder.
    pub(crate) async fn with_crates() -> Self {
        let this = Self::empty().await;
        this.ok("POST /EntityDefinitions", CRATE).await;
        let relationship = RELATIONSHIP;
        this.ok("POST /RelationshipDefinitions", relationship).await;
        let key = r#"{"SchemaName":"new_TrackingKey","KeyAttributes":["new_trackingno"],"DisplayName":{"LocalizedLabels":[{"Label":"Tracking","LanguageCode":1033}]}}"#;
        this.ok("POST /EntityDefinitions(LogicalName='new_crate')/Keys", key).await;
        this
    }

    /// Sends `GET /set?…`, with header lines below it; the root is put before the path.
    pub(crate) async fn send(&self, head: &str, body: &str) -> Answer {
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let (method, path) = line.split_once(' ').expect("a verb and a path");
        let target = match path.starts_with("/api") || path.starts_with("http") {
            true => path.to_owned(),
            false => format!("{ROOT}{path}"),
        };
        let mut map = HeaderMap::new();
        for line in headers.lines() {
            let (name, value) = line.split_once(':').expect("a header");
            let name = HeaderName::from_bytes(name.trim().as_bytes()).expect("a header name");
            map.append(name, HeaderValue::from_str(value.trim()).expect("a header value"));
        }
        let method = Method::from_bytes(method.as_bytes()).expect("a verb");
        self.raw(method, target, map, body.as_bytes().to_vec()).await
    }

    pub(crate) async fn raw(
        &self,
        method: Method,
        target: String,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Answer {
        let incoming = Incoming {
            method,
            target,
            headers,
            body: Bytes::from(body),
            origin: ORIGIN.to_owned(),
            caller: self.pipeline.organization().caller(),
            now: NOW,
            request_id: Uuid::from_u128(0x5eaf),
        };
        Answer::of(self.api.handle(incoming).await)
    }

    /// Sends what must succeed.
    pub(crate) async fn ok(&self, head: &str, body: &str) -> Answer {
        let answer = self.send(head, body).await;
        assert!(answer.status.is_success(), "{head}: {} {}", answer.status, answer.text);
        answer
    }

    /// Sends, and compares status and error code, and that the text contains a piece.
    pub(crate) async fn refused(&self, head: &str, body: &str, want: (u16, &str, &str)) {
        let answer = self.send(head, body).await;
        let error = &answer.json["error"];
        let got = (answer.status.as_u16(), error["code"].as_str().unwrap_or("none"));
        assert_eq!(got, (want.0, want.1), "{head} {body}: {}", answer.text);
        let text = error["message"].as_str().unwrap_or_default();
        assert!(text.contains(want.2), "{head} {body}: {text}");
    }
}

impl Answer {
    pub(crate) fn of(response: Response<Bytes>) -> Self {
        let (head, body) = response.into_parts();
        let text = String::from_utf8(body.to_vec()).expect("answers are text");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status: head.status, headers: head.headers, text, json }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The id in `OData-EntityId`.
    pub(crate) fn id(&self) -> Uuid {
        let address = self.header("odata-entityid");
        let inside = address.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inside.and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no id in `{address}`"))
    }

    /// One member of every record of a page.
    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        let rows = self.json["value"].as_array().unwrap_or_else(|| panic!("{}", self.text));
        rows.iter()
            .map(|row| match &row[name] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
            .collect()
    }
}

const CRATE: &str = r#"{
 "@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"new_Crate",
 "DisplayName":{"LocalizedLabels":[{"Label":"Crate","LanguageCode":1033}]},
 "DisplayCollectionName":{"LocalizedLabels":[{"Label":"Crates","LanguageCode":1033}]},
 "OwnershipType":"UserOwned","HasActivities":false,"HasNotes":false,
 "Attributes":[
  {"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"new_Label","IsPrimaryName":true,"MaxLength":100,
   "DisplayName":{"LocalizedLabels":[{"Label":"Label","LanguageCode":1033}]},"FormatName":{"Value":"Text"}},
  {"@odata.type":"Microsoft.Dynamics.CRM.IntegerAttributeMetadata","SchemaName":"new_Weight","MinValue":0,"MaxValue":1000,
   "DisplayName":{"LocalizedLabels":[{"Label":"Weight","LanguageCode":1033}]}},
  {"@odata.type":"Microsoft.Dynamics.CRM.DecimalAttributeMetadata","SchemaName":"new_Price","Precision":2,
   "DisplayName":{"LocalizedLabels":[{"Label":"Price","LanguageCode":1033}]}},
  {"@odata.type":"Microsoft.Dynamics.CRM.StringAttributeMetadata","SchemaName":"new_TrackingNo","MaxLength":50,
   "DisplayName":{"LocalizedLabels":[{"Label":"Tracking No","LanguageCode":1033}]}},
  {"@odata.type":"Microsoft.Dynamics.CRM.PicklistAttributeMetadata","SchemaName":"new_Color",
   "DisplayName":{"LocalizedLabels":[{"Label":"Color","LanguageCode":1033}]},
   "OptionSet":{"IsGlobal":false,"OptionSetType":"Picklist","Options":[
     {"Value":1,"Label":{"LocalizedLabels":[{"Label":"Red","LanguageCode":1033}]}},
     {"Value":2,"Label":{"LocalizedLabels":[{"Label":"Blue","LanguageCode":1033}]}}]}}
 ]}"#;

const RELATIONSHIP: &str = r#"{
 "@odata.type":"Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata","SchemaName":"new_account_crate",
 "ReferencedEntity":"account","ReferencedAttribute":"accountid","ReferencingEntity":"new_crate",
 "CascadeConfiguration":{"Delete":"Restrict"},
 "Lookup":{"@odata.type":"Microsoft.Dynamics.CRM.LookupAttributeMetadata","SchemaName":"new_Holder",
  "DisplayName":{"LocalizedLabels":[{"Label":"Holder","LanguageCode":1033}]}}}"#;
