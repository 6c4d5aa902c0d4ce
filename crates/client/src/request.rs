//! The requests that carry rows: pure.
//!
//! In: where to, what, and the rows. Out: a [`Request`].
//! Invariant: bodies are copied, never parsed again.

use crate::rows::{Operation, Row};
use crate::transport::{Method, Request};
use bytes::Bytes;

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
        body.extend_from_slice(row.body());
    }
    body.extend_from_slice(b"]}");
    let path = format!("{}/Microsoft.Dynamics.CRM.{}", route.set, operation.bulk());
    Request::post(path, body).with_header(ANNOTATIONS.0, ANNOTATIONS.1)
}

/// A request for one row, without a bulk message.
pub fn single(route: &Route, row: &Row) -> Request {
    let entry = row.entry();
    let address = || format!("{}({})", route.set, row.address());
    let request = match entry.operation {
        Operation::Create => Request::post(&*route.set, Bytes::copy_from_slice(row.body())),
        Operation::Update | Operation::Upsert => Request {
            method: Method::Patch,
            path: address(),
            headers: Vec::new(),
            body: Bytes::copy_from_slice(row.body()),
        },
        Operation::Delete => Request { method: Method::Delete, ..Request::get(address()) },
    };
    let request = match entry.operation {
        Operation::Update => request.with_header("If-Match", "*"),
        Operation::Create | Operation::Upsert | Operation::Delete => request,
    };
    request.with_header(ANNOTATIONS.0, ANNOTATIONS.1)
}

/// Asks whether a row's record exists.
pub fn exists(route: &Route, row: &Row) -> Request {
    Request::get(format!("{}({})?$select={}", route.set, row.address(), route.primary_key))
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
}
