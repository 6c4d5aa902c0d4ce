//! Batches: what is written is read back; what is cut or broken is an error, never a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::Error;
use wire::batch::{
    Answer, OPERATIONS_MAX, Operation, Part, ResponseWriter, content_type, encode, read,
    read_response, resolve, response_content_type,
};

/// An operation or answer that owns its texts: id, verb, target, headers, body, status.
type Owned = (Option<String>, String, String, Vec<(String, String)>, Vec<u8>, u16);

fn owned() -> impl Strategy<Value = Owned> {
    let header = ("[A-Za-z][A-Za-z-]{0,8}", "[!-~]([ -~ü]{0,20}[!-~])?");
    (
        proptest::option::of("[A-Za-z0-9_-]{1,6}"),
        "[A-Z]{3,6}",
        "[!-~]([ -~äé]{0,40}[!-~])?",
        vec(header, 0..4),
        proptest::option::of("\\{[ -~\r\nß]{0,60}\\}").prop_map(|body| body.unwrap_or_default()),
        200u16..599,
    )
        .prop_map(|(id, method, target, headers, body, status)| {
            (id, method, target, headers, body.into_bytes(), status)
        })
}

fn parts() -> impl Strategy<Value = Vec<Part<Owned>>> {
    let part =
        prop_oneof![owned().prop_map(Part::One), vec(owned(), 1..4).prop_map(Part::ChangeSet),];
    // Content-IDs are unique in a change set, and here in the whole batch.
    vec(part, 1..5).prop_map(|mut parts| {
        let mut count = 0;
        for part in &mut parts {
            let items = match part {
                Part::One(one) => std::slice::from_mut(one),
                Part::ChangeSet(several) => several.as_mut_slice(),
            };
            for item in items {
                count += 1;
                item.0 = item.0.as_ref().map(|id| format!("{id}.{count}"));
            }
        }
        parts
    })
}

fn map<'a, T>(parts: &'a [Part<Owned>], make: impl Fn(&'a Owned) -> T) -> Vec<Part<T>> {
    parts
        .iter()
        .map(|part| match part {
            Part::One(one) => Part::One(make(one)),
            Part::ChangeSet(set) => Part::ChangeSet(set.iter().map(&make).collect()),
        })
        .collect()
}

fn headers(item: &Owned) -> Vec<(&str, &str)> {
    item.3.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn operation(item: &Owned) -> Operation<'_> {
    Operation {
        content_id: item.0.as_deref(),
        method: &item.1,
        target: &item.2,
        headers: headers(item),
        body: &item.4,
    }
}

fn answer(item: &Owned) -> Answer<'_> {
    Answer {
        content_id: item.0.as_deref(),
        status: item.5,
        reason: "Some Reason",
        headers: headers(item),
        body: &item.4,
    }
}

fn written(parts: &[Part<Answer<'_>>]) -> Vec<u8> {
    let mut writer = ResponseWriter::new("batchresponse_1".to_owned());
    for part in parts {
        match part {
            Part::One(one) => writer.answer(one),
            Part::ChangeSet(set) => writer.change_set("changesetresponse_2", set),
        }
    }
    writer.finish()
}

proptest! {
    #[test]
    fn requests_are_read_back_as_they_were_written(parts in parts()) {
        let parts = map(&parts, operation);
        let bytes = encode(&parts, "batch_1").unwrap();
        prop_assert_eq!(read(&content_type("batch_1"), &bytes).unwrap(), parts);
    }

    #[test]
    fn answers_are_read_back_as_they_were_written(parts in parts()) {
        let parts = map(&parts, answer);
        let bytes = written(&parts);
        let kind = response_content_type("batchresponse_1");
        prop_assert_eq!(read_response(&kind, &bytes).unwrap(), parts);
    }

    #[test]
    fn line_feeds_alone_are_read_the_same(parts in parts()) {
        let parts = map(&parts, operation);
        let parts: Vec<_> = parts
            .into_iter()
            .filter(|part| part.items().iter().all(|one| !one.body.contains(&b'\r')))
            .collect();
        prop_assume!(!parts.is_empty());
        let bytes = String::from_utf8(encode(&parts, "b").unwrap()).unwrap().replace("\r\n", "\n");
        prop_assert_eq!(read(&content_type("b"), bytes.as_bytes()).unwrap(), parts);
    }

    #[test]
    fn a_cut_batch_is_refused(parts in parts(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&map(&parts, operation), "batch_1").unwrap();
        // Without the two hyphens of the closing delimiter and the line end behind them.
        let length = cut.index(bytes.len() - 4);
        let got = read(&content_type("batch_1"), &bytes[..length]);
        let is_refused = matches!(got, Err(Error::BadBatch { .. }));
        prop_assert!(is_refused);
        let bytes = written(&map(&parts, answer));
        let length = cut.index(bytes.len() - 4);
        let got = read_response(&response_content_type("batchresponse_1"), &bytes[..length]);
        let is_refused = matches!(got, Err(Error::BadAnswer { .. }));
        prop_assert!(is_refused);
    }

    #[test]
    fn a_changed_byte_never_panics(
        parts in parts(),
        places in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = encode(&map(&parts, operation), "b").unwrap();
        for (place, byte) in &places {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        drop(read(&content_type("b"), &bytes));
        let mut bytes = written(&map(&parts, answer));
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        drop(read_response(&response_content_type("batchresponse_1"), &bytes));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        kind in "(multipart/mixed; ?boundary=)?[ -~]{0,20}",
        body in vec(prop_oneof![Just(b'-'), Just(b'b'), Just(b'\n'), Just(b'"'), any::<u8>()], 0..200),
    ) {
        drop(read(&kind, &body));
        drop(read("multipart/mixed; boundary=b", &body));
        drop(read_response("multipart/mixed; boundary=b", &body));
        drop(resolve(&body, |_| None));
    }
}

fn part(text: &str) -> String {
    format!("--b\r\nContent-Type: application/http\r\n\r\n{text}\r\n")
}

fn check(body: &str, want: Result<usize, &str>) {
    let got = read("multipart/mixed; boundary=b", body.as_bytes());
    match (got, want) {
        (Ok(parts), Ok(count)) => assert_eq!(parts.len(), count, "{body}"),
        (Err(error), Err(piece)) => assert!(error.to_string().contains(piece), "{body}: {error}"),
        (got, want) => panic!("{body}: {got:?} instead of {want:?}"),
    }
}

#[test]
fn limits_of_a_batch_are_kept() {
    let one = part("GET a HTTP/1.1\r\n\r\n");
    check(&format!("{}--b--", one.repeat(OPERATIONS_MAX)), Ok(OPERATIONS_MAX));
    check(&format!("{}--b--", one.repeat(OPERATIONS_MAX + 1)), Err("more than 1000"));
    let set = |count: usize| {
        let inner = one.replace("--b", "--c").repeat(count);
        format!("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n{inner}--c--\r\n")
    };
    check(&format!("{}{}--b--", set(600), set(400)), Ok(2));
    check(&format!("{}{}--b--", set(600), set(401)), Err("more than 1000"));
    check(&format!("{}{one}--b--", set(1_000)), Err("more than 1000"));
    let header = |count: usize| {
        let headers = "X: y\r\n".repeat(count);
        format!("{}--b--", part(&format!("GET a HTTP/1.1\r\n{headers}\r\n")))
    };
    check(&header(64), Ok(1));
    check(&header(65), Err("more than 64 headers"));
}

#[test]
fn what_cannot_be_framed_is_not_written() {
    let good = Operation { method: "GET", target: "a", ..Operation::default() };
    let check = |parts: &[Part<Operation<'_>>], boundary: &str, want: bool| {
        assert_eq!(encode(parts, boundary).is_ok(), want, "{parts:?} {boundary}");
    };
    let one = |operation: Operation<'static>| [Part::One(operation)];
    check(&one(good.clone()), "batch_1", true);
    check(&one(good.clone()), "", false);
    check(&one(good.clone()), "a b", false);
    check(&[], "b", false);
    check(&[Part::ChangeSet(Vec::new())], "b", false);
    check(&vec![Part::One(good.clone()); OPERATIONS_MAX + 1], "b", false);
    check(&one(Operation { target: "a\r\nb", ..good.clone() }), "b", false);
    check(&one(Operation { method: "G T", ..good.clone() }), "b", false);
    check(&one(Operation { content_id: Some("a\n"), ..good.clone() }), "b", false);
    check(&one(Operation { headers: vec![("a", "b\r\nc: d")], ..good.clone() }), "b", false);
    check(&one(Operation { body: b"{}\n--b--", ..good.clone() }), "b", false);
    check(&one(Operation { body: b"{}\n --b--", ..good }), "b", true);
}

#[test]
fn answers_of_other_services_are_read() {
    let body = "--r\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        HTTP/1.1 204 NoContent\r\nOData-EntityId: https://h/api/data/v9.2/a(1)\r\n\r\n\r\n\
        --r\r\nContent-Type: multipart/mixed;boundary=\"s\"\r\n\r\n--s\r\nContent-Type: application/http\r\n\
        Content-ID: 2\r\n\r\nHTTP/1.1 412\r\nContent-Type: application/json\r\n\r\n{\"error\":{}}\r\n--s--\r\n--r--";
    let parts = read_response("multipart/mixed; boundary=r", body.as_bytes()).unwrap();
    let [Part::One(made), Part::ChangeSet(set)] = parts.as_slice() else { panic!("{parts:?}") };
    assert_eq!((made.status, made.body), (204, &b""[..]));
    assert_eq!(made.header("odata-entityid"), Some("https://h/api/data/v9.2/a(1)"));
    assert_eq!((set[0].status, set[0].content_id), (412, Some("2")));
    assert_eq!(set[0].body, b"{\"error\":{}}");
}
