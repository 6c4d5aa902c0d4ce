//! Definitions of many tables as JSON against encoding a prepared document.
//!
//! In: how many rounds. Out: two lines without a target: the definitions of 500 tables with 60 columns
//! each, alone and with their columns.
//! Not here: making definitions, which is no more than what the lines need.
//! Invariant: the prepared document is what the service answered, parsed.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::http::Api;
use testkit::service::{Options, Service, Store};

use crate::Arguments;
use crate::report::{self, Line, Sample, Taken};
use crate::service::label;

const TABLES: usize = 500;
const TABLES_QUICK: usize = 10;
/// Columns of a table that the request names; the service adds its own.
const COLUMNS: usize = 60;
const SELECT: &str = "$select=LogicalName,SchemaName,EntitySetName,LogicalCollectionName,\
    ObjectTypeCode,OwnershipType,PrimaryIdAttribute,PrimaryNameAttribute,MetadataId,DisplayName";

/// Adds both lines.
pub(crate) async fn measure(arguments: &Arguments, lines: &mut Vec<Line>) -> Result<()> {
    let tables = if arguments.quick { TABLES_QUICK } else { TABLES };
    let name = |what: &str| {
        format!(
            "EntityDefinitions of {tables} tables with {COLUMNS} columns, {what} against encoding a prepared document"
        )
    };
    let asked = [
        (name("$select: tables"), format!("EntityDefinitions?{SELECT}")),
        (
            name("$expand=Attributes: columns"),
            "EntityDefinitions?$select=LogicalName&$expand=Attributes".to_owned(),
        ),
    ];
    if !asked.iter().any(|(name, _)| arguments.wants(name)) {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let store = Store::Data(directory.path().join("data"));
    let service = Service::start(Options::new(store, &directory.path().join("log"))?)?;
    let api = Api::new(&service.api())?;
    let started = Instant::now();
    for number in 0..tables {
        let answer = api.post("EntityDefinitions", definition(number)).await?;
        answer.expect(204).with_context(|| format!("table {number}"))?;
    }
    println!("{tables} tables were made in {:.1} s", started.elapsed().as_secs_f64());
    for (name, path) in asked.into_iter().filter(|(name, _)| arguments.wants(name)) {
        let mut line = Line::new(name, None);
        for round in 0..=arguments.rounds {
            let cpu = report::cpu_of(Some(service.id()))?;
            let started = Instant::now();
            let answer = api.get(&path).await?;
            let wall = started.elapsed();
            let cpu = report::cpu_of(Some(service.id()))?.saturating_sub(cpu);
            let document = answer.expect(200)?;
            let rows = count(&document, tables)?;
            let before = report::cpu_of(None)?;
            let started = Instant::now();
            let encoded = serde_json::to_vec(&document)?;
            let other_wall = started.elapsed();
            let other_cpu = report::cpu_of(None)?.saturating_sub(before);
            ensure!(encoded.len() > answer.body.len() / 2, "{} bytes", encoded.len());
            if round > 0 {
                let ours = Taken { wall, cpu: Some(cpu) };
                let other = Taken { wall: other_wall, cpu: Some(other_cpu) };
                line.samples.push(Sample { rows, ours, other });
            }
        }
        println!("{}", report::row(&line));
        lines.push(line);
    }
    service.stop()
}

/// Columns where there are any, else tables.
fn count(document: &Value, tables: usize) -> Result<usize> {
    let definitions = document["value"].as_array().context("definitions")?;
    ensure!(definitions.len() > tables, "{} tables", definitions.len());
    let columns = |table: &Value| table["Attributes"].as_array().map_or(0, Vec::len);
    let columns: usize = definitions.iter().map(columns).sum();
    ensure!(columns == 0 || columns > tables * COLUMNS, "{columns} columns");
    Ok(if columns == 0 { definitions.len() } else { columns })
}

fn definition(number: usize) -> String {
    let column = |place: usize| {
        let (kind, rest) = match place {
            0 => ("String", r#","IsPrimaryName":true,"MaxLength":100"#),
            _ => match place % 6 {
                0 => ("String", r#","MaxLength":200"#),
                1 => ("Integer", r#","MinValue":0,"MaxValue":1000000"#),
                2 => ("Decimal", r#","Precision":2"#),
                3 => ("DateTime", r#","Format":"DateAndTime""#),
                4 => ("Memo", r#","MaxLength":2000"#),
                _ => ("Double", r#","Precision":3"#),
            },
        };
        format!(
            r#"{{"@odata.type":"Microsoft.Dynamics.CRM.{kind}AttributeMetadata","SchemaName":"bench_Column{place}","DisplayName":{},"Description":{}{rest}}}"#,
            label(&format!("Column {place}")),
            label(&format!("What column {place} of table {number} is for"))
        )
    };
    let columns: Vec<String> = (0..COLUMNS).map(column).collect();
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"bench_Table{number}","DisplayName":{},"DisplayCollectionName":{},"OwnershipType":"UserOwned","HasActivities":false,"HasNotes":false,"Attributes":[{}]}}"#,
        label(&format!("Table {number}")),
        label(&format!("Tables {number}")),
        columns.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_has_its_columns() {
        let definition: Value = serde_json::from_str(&definition(7)).unwrap();
        assert_eq!(definition["Attributes"].as_array().map(Vec::len), Some(COLUMNS));
    }
}
