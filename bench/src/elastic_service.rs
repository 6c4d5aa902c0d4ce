//! Elastic tables through the whole service: bulk messages over HTTP against the bare engine.
//!
//! In: how many rounds. Out: a line for the report.
//! Not here: the bare side (`elastic`).
//! Invariant: after each of our rounds the service ends in an orderly way, the bytes that it has written
//! are read back from its files, and the bare side writes those very keys and values.

use std::fmt::Write as _;

use anyhow::Result;
use bytes::Bytes;
use model::Uuid;
use testkit::draw::Draw;
use testkit::http::Api;
use testkit::service::{Options, Service, Store};

use crate::Arguments;
use crate::elastic::{CALLS_PER_ROUND, ROWS_PER_CALL, read_back, run_bare};
use crate::report::{self, Line, Sample, Taken};
use crate::service::send;

const IN_FLIGHT: usize = 8;
const NAME: &str =
    "Elastic through the service, 8 in flight: CreateMultiple of 100 against the bare LSM";
const PATH: &str = "bench_pings/Microsoft.Dynamics.CRM.CreateMultiple";

/// Measures both sides in turns.
pub(crate) async fn measure(arguments: &Arguments, lines: &mut Vec<Line>) -> Result<()> {
    if !arguments.wants(NAME) {
        return Ok(());
    }
    let mut line = Line::new(NAME, Some(0.5));
    let directory = tempfile::tempdir()?;
    let (data, other) = (directory.path().join("data"), directory.path().join("bare"));
    let options = Options::new(Store::Data(data.clone()), &directory.path().join("log"))?;
    let mut source = Source { draw: Draw::new(arguments.seed), count: 0 };
    let calls = if arguments.quick { CALLS_PER_ROUND / 10 } else { CALLS_PER_ROUND };
    // The first round lays down the rows that are there before, the second warms up: neither counts.
    for round in 0..=arguments.rounds + 1 {
        let calls = if round == 0 { arguments.preload.div_ceil(ROWS_PER_CALL) } else { calls };
        let service = Service::start(options.clone())?;
        let api = Api::new(&service.api())?;
        if round == 0 {
            api.post("EntityDefinitions", definition()).await?.expect(204)?;
        }
        let (bodies, ids): (Vec<Bytes>, Vec<Vec<Uuid>>) = (0..calls).map(|_| source.call()).unzip();
        let before = report::cpu_of(Some(service.id()))?;
        let wall = send(&api, PATH, bodies, IN_FLIGHT, 200).await?;
        let cpu = report::cpu_of(Some(service.id()))?.saturating_sub(before);
        service.stop()?;
        let images = read_back(&data.join("elastic"), &ids)?;
        let other = run_bare(&other, images, IN_FLIGHT)?;
        if round > 1 {
            let (rows, ours) = (calls * ROWS_PER_CALL, Taken { wall, cpu: Some(cpu) });
            line.samples.push(Sample { rows, ours, other });
        }
    }
    println!("{}", report::row(&line));
    lines.push(line);
    Ok(())
}

/// Draws messages of new rows.
struct Source {
    draw: Draw,
    count: u64,
}

impl Source {
    /// One message and the ids of its rows: of one partition, ascending.
    fn call(&mut self) -> (Bytes, Vec<Uuid>) {
        let draw = &mut self.draw;
        let partition = format!("device-{}", draw.below(1_000));
        let mut body = String::from(r#"{"Targets":["#);
        let mut ids = Vec::with_capacity(ROWS_PER_CALL);
        for row in 0..ROWS_PER_CALL {
            self.count += 1;
            let id = draw.ordered_id(self.count);
            let comma = if row == 0 { "" } else { "," };
            let name = format!("{} {}", draw.word(8), draw.word(10));
            let note = format!("{} {} {}", draw.word(20), draw.word(20), draw.word(15));
            let write = write!(
                body,
                r#"{comma}{{"@odata.type":"Microsoft.Dynamics.CRM.bench_ping","bench_pingid":"{id}","partitionid":"{partition}","bench_name":"{name}","bench_city":"{}","bench_note":"{note}","bench_count":{},"bench_points":{},"bench_ratio":{}.5,"bench_paid":{}}}"#,
                draw.word(12),
                draw.below(1_000),
                draw.below(1_000_000),
                draw.below(1_000),
                draw.below(2) == 1,
            );
            write.expect("a String takes everything");
            ids.push(id);
        }
        body.push_str("]}");
        (body.into(), ids)
    }
}

/// The table of the store's own line, as the Web API makes it.
fn definition() -> String {
    let label =
        |text: &str| format!(r#"{{"LocalizedLabels":[{{"Label":"{text}","LanguageCode":1033}}]}}"#);
    let column = |kind: &str, name: &str, rest: &str| {
        format!(
            r#"{{"@odata.type":"Microsoft.Dynamics.CRM.{kind}AttributeMetadata","SchemaName":"bench_{name}","DisplayName":{}{rest}}}"#,
            label(name)
        )
    };
    let columns = [
        column("String", "Name", r#","IsPrimaryName":true,"MaxLength":100"#),
        column("String", "City", r#","MaxLength":100"#),
        column("String", "Note", r#","MaxLength":100"#),
        column("Integer", "Count", ""),
        column("Integer", "Points", ""),
        column("Double", "Ratio", r#","Precision":5"#),
        column("Boolean", "Paid", r#","DefaultValue":false"#),
    ];
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"bench_Ping","TableType":"Elastic","DisplayName":{},"DisplayCollectionName":{},"OwnershipType":"UserOwned","HasActivities":false,"HasNotes":false,"Attributes":[{}]}}"#,
        label("Ping"),
        label("Pings"),
        columns.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_the_definition_are_json() {
        let mut source = Source { draw: Draw::new(1), count: 0 };
        let (body, ids) = source.call();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["Targets"].as_array().map(Vec::len), Some(ids.len()));
        assert!(ids.is_sorted());
        serde_json::from_str::<serde_json::Value>(&definition()).unwrap();
    }
}
