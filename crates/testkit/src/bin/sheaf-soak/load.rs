//! What the crash test sends: bulk messages whose rows say which message they belong to.
//!
//! In: a worker with numbers of its own. Out: what it sent and whether an answer came.
//! Not here: comparing that with the stored rows (`ledger`).
//! Invariant: a message belongs to one worker, and its ids follow from its number, so that what is found
//! after a crash can be told whole, absent or broken.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail, ensure};
use testkit::draw::Draw;
use testkit::http::{Answer, Api};
use uuid::Uuid;

/// Rows of a message: mostly few, sometimes as many as a client sends at most.
const ROWS_FEW: u64 = 120;
const ROWS_MANY: u64 = 1000;

/// One message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The number of the message that made the rows.
    pub(crate) message: u64,
    /// How many rows it has.
    pub(crate) rows: u64,
    /// The stamp that its rows get: 0 when they are made, higher with each update.
    pub(crate) stamp: u64,
    /// A positive answer came.
    pub(crate) is_acknowledged: bool,
}

/// One connection's worth of load.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) number: u64,
    workers: u64,
    draw: Draw,
    next: u64,
    stamp: u64,
    /// Whole messages of this run, which may be updated.
    made: Vec<(u64, u64)>,
    sent: Vec<Sent>,
}

impl Worker {
    pub(crate) fn new(number: u64, workers: u64, seed: u64) -> Worker {
        Worker {
            number,
            workers,
            draw: Draw::new(seed ^ (number + 1).wrapping_mul(0x9e37_79b9)),
            next: 0,
            stamp: 0,
            made: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// What was sent since the last call, in order. Rows of an unanswered message are never touched again.
    pub(crate) fn finished(&mut self) -> Vec<Sent> {
        self.made.clear();
        std::mem::take(&mut self.sent)
    }

    /// Sends one message after another until it is told to stop or the service is gone.
    pub(crate) async fn run(&mut self, api: &Api, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            let (action, body, sent, status) = self.draw_message();
            let path = format!("soak_rows/Microsoft.Dynamics.CRM.{action}");
            let answer = api.post(&path, body).await;
            let is_acknowledged = match &answer {
                Ok(answer) if answer.status == status => {
                    check_ids(answer, action, &sent)?;
                    true
                }
                // The service says that its database is gone, or that it is going itself.
                Ok(answer) if answer.status >= 500 => false,
                Ok(answer) => {
                    answer.expect(status)?;
                    bail!("{action}: unexpected answer");
                }
                Err(_) => false,
            };
            self.sent.push(Sent { is_acknowledged, ..sent });
            if !is_acknowledged {
                return Ok(());
            }
            if sent.stamp == 0 {
                self.made.push((sent.message, sent.rows));
            }
        }
        Ok(())
    }

    /// Half new messages, by CreateMultiple or UpsertMultiple; half updates of older ones of this run.
    fn draw_message(&mut self) -> (&'static str, String, Sent, u16) {
        let kind = self.draw.below(4);
        if kind < 2 && !self.made.is_empty() {
            let (message, rows) = self.made[self.draw.index(self.made.len())];
            self.stamp += 1;
            let stamp = self.stamp;
            let sent = Sent { message, rows, stamp, is_acknowledged: false };
            return ("UpdateMultiple", body(&sent, false), sent, 204);
        }
        let message = self.next * self.workers + self.number;
        self.next += 1;
        let most = if self.draw.below(10) == 0 { ROWS_MANY } else { ROWS_FEW };
        let rows = 1 + self.draw.below(most);
        let sent = Sent { message, rows, stamp: 0, is_acknowledged: false };
        if kind == 3 {
            ("UpsertMultiple", body(&sent, true), sent, 204)
        } else {
            ("CreateMultiple", body(&sent, true), sent, 200)
        }
    }
}

/// Row `index` of a message.
pub(crate) fn id_of(message: u64, index: u64) -> Uuid {
    Uuid::from_u128((u128::from(message) << 64) | (0b10 << 62) | u128::from(index))
}

fn body(sent: &Sent, is_new: bool) -> String {
    let Sent { message, rows, stamp, .. } = sent;
    let mut out = String::from(r#"{"Targets":["#);
    for index in 0..*rows {
        let comma = if index == 0 { "" } else { "," };
        let id = id_of(*message, index);
        let write = write!(
            out,
            r#"{comma}{{"@odata.type":"Microsoft.Dynamics.CRM.soak_row","soak_rowid":"{id}","soak_stamp":{stamp}"#
        );
        write.expect("a String takes everything");
        if is_new {
            let write = write!(
                out,
                r#","soak_name":"row {index} of {message}","soak_message":{message},"soak_code":"{message}-{index}""#
            );
            write.expect("a String takes everything");
        }
        out.push('}');
    }
    out.push_str("]}");
    out
}

fn check_ids(answer: &Answer, action: &str, sent: &Sent) -> Result<()> {
    if action != "CreateMultiple" {
        return Ok(());
    }
    let answer = answer.expect(200)?;
    let want: Vec<String> =
        (0..sent.rows).map(|index| id_of(sent.message, index).to_string()).collect();
    ensure!(
        answer["Ids"] == serde_json::json!(want),
        "CreateMultiple answered other ids than it was given"
    );
    Ok(())
}

/// The definition of a table with a name, a code and whole numbers, of this kind.
pub(crate) fn table(schema_name: &str, kind: &str, numbers: &[&str]) -> String {
    let column = |kind: &str, name: &str, rest: &str| {
        format!(
            r#"{{"@odata.type":"Microsoft.Dynamics.CRM.{kind}AttributeMetadata","SchemaName":"soak_{name}","DisplayName":{}{rest}}}"#,
            label(name)
        )
    };
    let mut columns = vec![
        column("String", "Name", r#","IsPrimaryName":true,"MaxLength":100"#),
        column("String", "Code", r#","MaxLength":40"#),
    ];
    columns.extend(numbers.iter().map(|name| column("Integer", name, "")));
    format!(
        r#"{{"@odata.type":"Microsoft.Dynamics.CRM.EntityMetadata","SchemaName":"{schema_name}","TableType":"{kind}","DisplayName":{0},"DisplayCollectionName":{0},"OwnershipType":"UserOwned","HasActivities":false,"HasNotes":false,"Attributes":[{1}]}}"#,
        label("Rows"),
        columns.join(",")
    )
}

fn label(text: &str) -> String {
    format!(r#"{{"LocalizedLabels":[{{"Label":"{text}","LanguageCode":1033}}]}}"#)
}

/// Makes the table: the number of the message, a stamp, and an alternate key, so that a message is more
/// than one index.
pub(crate) async fn make_table(api: &Api) -> Result<()> {
    let definition = table("soak_Row", "Standard", &["Message", "Stamp"]);
    api.post("EntityDefinitions", definition).await?.expect(204)?;
    let key = format!(
        r#"{{"SchemaName":"soak_CodeKey","DisplayName":{},"KeyAttributes":["soak_code"]}}"#,
        label("Code")
    );
    api.post("EntityDefinitions(LogicalName='soak_row')/Keys", key).await?.expect(204)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_two_workers_never_share_a_number_and_bodies_are_json() {
        let mut numbers = std::collections::HashSet::new();
        for worker in 0..2 {
            let mut worker = Worker::new(worker, 2, 9);
            for _ in 0..50 {
                let (_, body, sent, _) = worker.draw_message();
                let body: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert_eq!(body["Targets"].as_array().unwrap().len() as u64, sent.rows);
                assert!(numbers.insert(sent.message));
            }
        }
    }
}
