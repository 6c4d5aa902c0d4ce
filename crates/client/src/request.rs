//! The requests that carry rows: pure.
//!
//! In: where to, what, and the rows. Out: a [`Request`].
//! Invariant: bodies are copied, never parsed again.

use crate::pairs;
use crate::rows::{Operation, Row};
use crate::service::{Described, escaped};
use crate::set::Call;
use crate::transport::{Method, Request};
use bytes::Bytes;
use uuid::Uuid;
use wire::batch::{self, Part};

/// Where the rows of a run go.
#[derive(Clone, Debug)]
pub struct Route {
    /// The entity set.
    pub set: Box<str>,
    /// Logical name of the primary key.
    pub primary_key: Box<str>,
    /// A message is one transaction (standard tables).
    pub is_atomic: bool,
    /// A record to delete that does not exist is no failure.
    pub if_exists: bool,
    /// Every upsert is answered with its record, so that it is known whether it was created.
    pub tells_created: bool,
    /// Headers that every request for a row has: whose call it is, what is bypassed.
    pub headers: Vec<(&'static str, String)>,
    /// The query option that every request for a row has, without `?`.
    pub query: Option<String>,
    /// The table, where records are to be read back.
    pub described: Option<Described>,
    /// Where pairs go, where the table holds them.
    pub pairs: Option<pairs::Way>,
}

impl Route {
    fn with_query(&self, path: String) -> String {
        self.with_options(path, None)
    }

    /// An address with the query option of every request, and perhaps one more.
    pub(crate) fn with_options(&self, mut path: String, more: Option<&str>) -> String {
        for option in [self.query.as_deref(), more].into_iter().flatten() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(option);
        }
        path
    }
}

/// Whatever the service wants to say about a failure, it should say.
const ANNOTATIONS: (&str, &str) = ("Prefer", "odata.include-annotations=\"*\"");

/// One bulk message with these rows.
pub fn bulk(route: &Route, operation: Operation, rows: &[Row]) -> Request {
    const OPEN: &[u8] = b"{\"Targets\":[";
    let bytes: usize = rows.iter().map(|row| row.body().len() + 1).sum();
    let mut body = Vec::with_capacity(OPEN.len() + bytes + 1);
    body.extend_from_slice(OPEN);
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&row.body());
    }
    body.extend_from_slice(b"]}");
    let path = format!("{}/Microsoft.Dynamics.CRM.{}", route.set, operation.bulk());
    let request = Request::post(route.with_query(path), body);
    with_headers(request.with_header(ANNOTATIONS.0, ANNOTATIONS.1), route, rows.first())
}

/// Adds what every request for a row has. All rows of a message are written for the same caller.
pub(crate) fn with_headers(mut request: Request, route: &Route, row: Option<&Row>) -> Request {
    request.headers.extend(route.headers.iter().cloned());
    if let Some(caller) = row.and_then(|row| row.entry().caller) {
        request.headers.push((CALLER, caller.to_string()));
    }
    request
}

/// What goes on a request that is no row's.
pub(crate) fn with_call(mut request: Request, call: &Call) -> Request {
    if let Some(tag) = &call.tag {
        let mark = if request.path.contains('?') { '&' } else { '?' };
        request.path = format!("{}{mark}tag={}", request.path, escaped(tag));
    }
    request.headers.extend(call.headers.iter().cloned());
    request
}

/// Says for whom something is done.
pub const CALLER: &str = "MSCRMCallerID";

/// A request for one row, without a bulk message.
pub fn single(route: &Route, row: &Row) -> Request {
    let address = || route.with_query(format!("{}({})", route.set, row.address()));
    let body = || Bytes::copy_from_slice(&row.body());
    let request = match row.operation() {
        Operation::Create => Request::post(route.with_query(route.set.to_string()), body()),
        Operation::Upsert if route.tells_created => {
            let select = format!("$select={}", route.primary_key);
            let path =
                route.with_options(format!("{}({})", route.set, row.address()), Some(&select));
            Request { method: Method::Patch, body: body(), ..Request::get(path) }
        }
        Operation::Update | Operation::Upsert => {
            Request { method: Method::Patch, body: body(), ..Request::get(address()) }
        }
        Operation::Delete => Request { method: Method::Delete, ..Request::get(address()) },
        Operation::Associate => {
            Request::post(route.with_query(way(route).associate(&row.address())), body())
        }
        Operation::Disassociate => {
            let path = route.with_query(way(route).disassociate(&row.address()));
            Request { method: Method::Delete, ..Request::get(path) }
        }
        Operation::Upload => unreachable!("files travel in requests of their own (`files`)"),
    };
    let request = match row.operation() {
        Operation::Update => request.with_header("If-Match", "*"),
        _ => request,
    };
    let prefer = match row.operation() {
        Operation::Upsert if route.tells_created => {
            format!("return=representation,{}", ANNOTATIONS.1)
        }
        _ => ANNOTATIONS.1.to_owned(),
    };
    with_headers(request.with_header(ANNOTATIONS.0, prefer), route, Some(row))
}

fn way(route: &Route) -> &pairs::Way {
    route.pairs.as_ref().expect("only rows of tables of pairs are associated")
}

/// One `$batch` with a request for each row; each succeeds or fails on its own. None when a row's text
/// would be taken for the boundary.
pub fn in_batch(route: &Route, rows: &[Row], boundary: &str) -> Option<Request> {
    let requests: Vec<Request> = rows.iter().map(|row| single(route, row)).collect();
    // From the root of the host: a path below the service's root is not understood everywhere.
    let targets: Vec<String> =
        requests.iter().map(|request| format!("/api/data/v9.2/{}", request.path)).collect();
    let parts: Vec<Part<batch::Operation<'_>>> = requests
        .iter()
        .zip(&targets)
        .map(|(request, target)| {
            let mut headers: Vec<(&str, &str)> =
                request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            if !request.body.is_empty() {
                headers.push(("Content-Type", "application/json"));
            }
            Part::One(batch::Operation {
                content_id: None,
                method: request.method.as_str(),
                target,
                headers,
                body: &request.body,
            })
        })
        .collect();
    let body = batch::encode(&parts, boundary).ok()?;
    let request = Request::post("$batch", body)
        .with_header("Content-Type", batch::content_type(boundary))
        .with_header("Prefer", "odata.continue-on-error");
    Some(with_headers(request, route, rows.first()))
}

/// Asks whether a row's record exists.
pub fn exists(route: &Route, row: &Row) -> Request {
    Request::get(format!("{}({})?$select={}", route.set, row.address(), route.primary_key))
}

/// Reads the columns that a row's body gives.
pub fn read_back(route: &Route, row: &Row, columns: &[&str]) -> Request {
    let columns = if columns.is_empty() { vec![&*route.primary_key] } else { columns.to_vec() };
    let path = format!("{}({})?$select={}", route.set, row.address(), columns.join(","));
    Request::get(path).with_header(
        "Prefer",
        format!("odata.include-annotations=\"{}\"", wire::record::LOOKUP_TABLE),
    )
}

/// Asks which of these records exist.
pub fn which(route: &Route, ids: &[Uuid]) -> Request {
    let key = &route.primary_key;
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
    let filter = format!(
        "Microsoft.Dynamics.CRM.In(PropertyName='{key}',PropertyValues=[{}])",
        ids.join(",")
    );
    Request::get(format!(
        "{}?$select={key}&$filter={}",
        route.set,
        crate::service::escaped(&filter)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::test_row;

    fn check(request: &Request, line: &str, body: &str) {
        assert_eq!(format!("{:?} {}", request.method, request.path), line);
        assert_eq!(std::str::from_utf8(&request.body), Ok(body));
    }

    #[test]
    fn rows_travel_as_they_were_encoded() {
        let route = Route {
            set: "contacts".into(),
            primary_key: "contactid".into(),
            is_atomic: true,
            if_exists: false,
            tells_created: false,
            headers: Vec::new(),
            query: None,
            described: None,
            pairs: None,
        };
        let row = |operation| test_row(0, operation, None, "{\"a\":1}");
        let id = "00000000-0000-0000-0000-000000000001";
        let two = [row(Operation::Create), row(Operation::Create)];
        check(
            &bulk(&route, Operation::Create, &two),
            "Post contacts/Microsoft.Dynamics.CRM.CreateMultiple",
            "{\"Targets\":[{\"a\":1},{\"a\":1}]}",
        );
        check(&single(&route, &row(Operation::Create)), "Post contacts", "{\"a\":1}");
        let patch = single(&route, &row(Operation::Update));
        check(&patch, &format!("Patch contacts({id})"), "{\"a\":1}");
        assert!(patch.headers.contains(&("If-Match", "*".to_owned())));
        check(&single(&route, &row(Operation::Delete)), &format!("Delete contacts({id})"), "");
        check(
            &exists(&route, &row(Operation::Create)),
            &format!("Get contacts({id})?$select=contactid"),
            "",
        );
    }

    #[test]
    fn headers_and_tag_go_on_every_request_for_a_row_and_into_every_part_of_a_batch() {
        let route = Route {
            set: "contacts".into(),
            primary_key: "contactid".into(),
            is_atomic: true,
            if_exists: false,
            tells_created: false,
            headers: vec![
                ("MSCRM.BypassBusinessLogicExecution", "CustomSync".to_owned()),
                ("MSCRM.SuppressDuplicateDetection", "false".to_owned()),
            ],
            query: Some("tag=load".to_owned()),
            described: None,
            pairs: Some(pairs::Way { set: "contacts".into(), navigation: "leads".into() }),
        };
        let operations = Operation::ALL.into_iter().filter(|operation| !operation.is_alone());
        let rows: Vec<Row> =
            operations.map(|operation| test_row(0, operation, None, "{\"a\":1}")).collect();
        let bypasses = |request: &Request| {
            assert!(request.path.contains("tag=load"), "{}", request.path);
            let are_there = route.headers.iter().all(|header| request.headers.contains(header));
            assert!(are_there, "{}", request.path);
        };
        for row in &rows {
            bypasses(&single(&route, row));
            if row.operation().may_be_bulk() {
                bypasses(&bulk(&route, row.operation(), std::slice::from_ref(row)));
            }
        }
        let request = in_batch(&route, &rows, "b").expect("it can be written");
        let read = batch::read("multipart/mixed; boundary=b", &request.body).expect("it reads");
        assert_eq!(read.len(), 6);
        for part in read.iter().flat_map(Part::items) {
            assert!(part.target.contains("tag=load") && part.target.starts_with("/api/data/"));
            for (name, value) in &route.headers {
                assert!(part.headers.contains(&(*name, value.as_str())), "{name}");
            }
        }
        let prefer = ("Prefer", "odata.continue-on-error".to_owned());
        assert!(request.headers.contains(&prefer) && request.headers.contains(&route.headers[0]));
    }
}
