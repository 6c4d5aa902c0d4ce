//! What is counted.

use super::*;

struct Script(Mutex<Vec<(u64, Result<Response, Error>)>>);

#[async_trait]
impl Transport for Script {
    async fn send(&self, _: Request) -> Result<Response, Error> {
        let (millis, answer) = self.0.lock().expect("whole").remove(0);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        answer
    }
}

fn answer(status: u16, retry_after: &str) -> Result<Response, Error> {
    let headers = vec![("retry-after".to_owned(), retry_after.to_owned())];
    Ok(Response { status, headers, body: bytes::Bytes::from_static(b"1234567890") })
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_kind_and_status_with_their_times() {
    let script = vec![
        (100, answer(200, "")),
        (100, answer(429, "10")),
        (300, answer(429, "10")),
        (100, answer(204, "")),
        (50, Err(Error::Lost("gone".to_owned()))),
    ];
    let figures = Figures::default();
    let meter = Meter::new(Script(Mutex::new(script)), figures.clone());
    let bulk = "accounts/Microsoft.Dynamics.CRM.CreateMultiple?tag=a";
    for request in [
        Request::get("accounts?$top=1"),
        Request::post(bulk, "12345"),
        Request::post(bulk, "12345"),
        Request::post("$batch", "12345"),
        Request::post("$batch", "12345"),
    ] {
        drop(meter.send(request).await);
    }
    let mut stats = Stats::new(figures);
    let mut counts = Counts::default();
    counts.add(Outcome::Created, 8);
    counts.add(Outcome::NotAttempted, 2);
    let (halt, requests, in_flight_most, splits, detours) = (None, 5, 3, 4, 1);
    let identities = Vec::new();
    stats.end(&Summary { counts, halt, requests, in_flight_most, splits, detours, identities });
    let json = stats.json("set", Duration::from_secs(2));
    let check =
        |pointer: &str, want: Json| assert_eq!(json.pointer(pointer), Some(&want), "{pointer}");
    check("/requests/requests", 5.into());
    check("/requests/statuses", json!({"200": 1, "429": 2, "204": 1, "none": 1}));
    check("/requests_by_kind/POST CreateMultiple/requests", 2.into());
    check("/requests_by_kind/POST CreateMultiple/statuses", json!({"429": 2}));
    check("/requests_by_kind/POST $batch/bytes_received", 10.into());
    check("/requests_by_kind/POST $batch/bytes_sent", 22.into());
    check("/requests_by_kind/GET records/requests", 1.into());
    // The second pause began 300 ms after the first.
    check("/throttles", json!({"answers": 2, "seconds": 10.3}));
    check("/outcomes", json!({"created": 8, "not-attempted": 2}));
    check("/rows_per_second", 5.0.into());
    check("/width_most", 3.into());
    check("/fallbacks", json!({"messages_split": 4, "messages_by_batch": 1}));
    check("/requests/milliseconds/most", 300.0.into());
    let half = json.pointer("/requests/milliseconds/p50").and_then(Json::as_f64).expect("a figure");
    assert!((100.0..=102.0).contains(&half), "{half}");
    let lines = stats.lines("set", Duration::from_secs(2));
    assert!(lines[0].starts_with("requests: 5, 1"), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.starts_with("  POST CreateMultiple: 2 (2 × 429), ")),
        "{lines:?}"
    );
}

#[test]
fn percentiles_are_exact_within_two_percent() {
    let mut latencies = Latencies::default();
    assert_eq!(latencies.percentile(99), None);
    for millis in 1..=1_000 {
        latencies.add(Duration::from_millis(millis));
    }
    for share in [50, 95, 99, 100] {
        let got = latencies.percentile(share).expect("a figure");
        let want = 10.0 * f64::from(u32::try_from(share).expect("small"));
        assert!((got - want).abs() <= want * 0.02, "p{share} is {got}");
    }
}
