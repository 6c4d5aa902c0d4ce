//! The answers to a `$batch`: one for each of its rows, each with its own verdict.
//!
//! Invariant: a row is judged by its own answer; a row without one was not carried out and is sent again.

use super::settle::blaming;
use super::{Answer, Flight, Piece, Refused, Sender, Way};
use crate::problem::{Class, Problem};
use crate::rows::Row;
use crate::transport::Response;
use crate::verdict::{self, Sent, Transient, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;
use wire::batch::{self, Part};

/// Rows that wait for the same reason.
struct Waiting {
    rows: Vec<Row>,
    is_lost: bool,
    why: Transient,
    after: Option<Duration>,
    problem: Problem,
}

impl Sender<'_> {
    pub(super) fn land_batch(&mut self, flight: Flight, answer: &Answer) {
        let Flight { mut piece, sent, ticket, .. } = flight;
        let whole = Sent { operation: piece.operation, rows: piece.rows.len(), is_bulk: false };
        let response = match verdict::judge(whole, answer) {
            Verdict::Done => answer.as_ref().expect("only an answer goes well"),
            // Some services give the status of a part as that of the whole.
            Verdict::Rejected { .. } if answer.as_ref().is_ok_and(is_multipart) => {
                answer.as_ref().expect("it is an answer")
            }
            verdict => return self.failed(piece, Way::Batch, verdict),
        };
        let answers = match read(response) {
            Ok(answers) if !answers.is_empty() => answers,
            unreadable => {
                let why = unreadable.err().unwrap_or_else(|| "it holds nothing".to_owned());
                let text = format!("the answer to a `$batch` cannot be read: {why}");
                let problem = Problem::new(Class::Ambiguous, text);
                return self.lost(piece, Way::Batch, Transient::Busy, None, problem);
            }
        };
        let mut rows = std::mem::take(&mut piece.rows);
        let unanswered = rows.split_off(answers.len().min(rows.len()));
        self.pool.of(piece.identity).went_well(
            ticket,
            rows.len(),
            tokio::time::Instant::now() - sent,
        );
        self.land_parts(&piece, &rows, answers);
        if !unanswered.is_empty() {
            self.queue_like(Piece { rows: unanswered, ..piece.fresh() }, Way::Batch);
        }
    }

    fn land_parts(&mut self, piece: &Piece, rows: &[Row], answers: Vec<Response>) {
        let mut waiting: BTreeMap<u8, Waiting> = BTreeMap::new();
        let mut throttled: Option<(Vec<Row>, Verdict)> = None;
        let mut alike: Vec<(Row, Problem)> = Vec::new();
        let mut any_well = false;
        for (row, response) in rows.iter().zip(answers) {
            let sent = Sent { operation: row.operation(), rows: 1, is_bulk: false };
            let one = |rows| Piece { rows, ..piece.fresh() };
            let answer = Ok(response);
            match verdict::judge(sent, &answer) {
                Verdict::Done => {
                    any_well = true;
                    self.end_told(row, piece, &answer);
                }
                slow @ Verdict::SlowDown { .. } => {
                    throttled.get_or_insert_with(|| (Vec::new(), slow)).0.push(row.clone());
                }
                Verdict::Again { why, after, problem } => {
                    add(&mut waiting, row, false, why, after, problem);
                }
                Verdict::Unknown { why, after, problem } => {
                    add(&mut waiting, row, true, why, after, problem);
                }
                Verdict::Rejected { problem, alike: true, .. } => {
                    alike.push((row.clone(), problem));
                }
                Verdict::Rejected { problem, failing, .. } => {
                    let problem = failing.into_iter().next().map_or(problem, |own| own.problem);
                    let failing = vec![blaming(0, problem.clone())];
                    let refused = Refused { problem, failing, alike: false };
                    self.rejected(one(vec![row.clone()]), Way::Single, refused);
                }
                Verdict::Partly(failing) => {
                    let text = "the service refused the record";
                    let problem = failing.into_iter().next().map(|own| own.problem);
                    let problem = problem.unwrap_or_else(|| Problem::new(Class::Rejected, text));
                    self.bad_row(row, &problem, piece, Way::Single);
                }
                other => self.failed(one(vec![row.clone()]), Way::Single, other),
            }
        }
        if any_well {
            self.alike = None;
            self.throttled_since = None;
        }
        self.land_alike(piece, alike, any_well);
        for (_, Waiting { rows, is_lost, why, after, problem }) in waiting {
            let piece = Piece { rows, history: piece.history, ..piece.fresh() };
            let way = if piece.rows.len() > 1 { Way::Batch } else { Way::Single };
            match is_lost {
                true => self.lost(piece, way, why, after, problem),
                false => self.wait(piece, way, why, after, problem),
            }
        }
        if let Some((rows, verdict)) = throttled {
            let way = if rows.len() > 1 { Way::Batch } else { Way::Single };
            self.failed(Piece { rows, ..piece.fresh() }, way, verdict);
        }
    }

    /// Refusals that hit every row alike count as those of one message, unless some rows went well.
    fn land_alike(&mut self, piece: &Piece, rows: Vec<(Row, Problem)>, any_well: bool) {
        let Some((_, problem)) = rows.first().cloned() else { return };
        if any_well {
            for (row, problem) in &rows {
                self.fail(row, problem, piece);
            }
            return;
        }
        let rows = rows.into_iter().map(|(row, _)| row).collect();
        let refused = Refused { problem, failing: Vec::new(), alike: true };
        self.refused(Piece { rows, ..piece.fresh() }, Way::Batch, refused);
    }
}

fn add(
    waiting: &mut BTreeMap<u8, Waiting>,
    row: &Row,
    is_lost: bool,
    why: Transient,
    after: Option<Duration>,
    problem: Problem,
) {
    let key = 2 * (why as u8) + u8::from(is_lost);
    let entry = waiting.entry(key).or_insert_with(|| Waiting {
        rows: Vec::new(),
        is_lost,
        why,
        after,
        problem,
    });
    entry.rows.push(row.clone());
    entry.after = entry.after.max(after);
}

fn is_multipart(response: &Response) -> bool {
    response.header("content-type").is_some_and(|kind| kind.trim().starts_with("multipart/"))
}

/// The answers in order, each as if it had come alone.
fn read(response: &Response) -> Result<Vec<Response>, String> {
    let kind = response.header("content-type").ok_or("it has no content type")?;
    let parts = batch::read_response(kind, &response.body).map_err(|err| err.to_string())?;
    let answers = parts.iter().flat_map(Part::items).map(|answer| Response {
        status: answer.status,
        headers: answer
            .headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), (*value).to_owned()))
            .collect(),
        body: response.body.slice_ref(answer.body),
    });
    Ok(answers.collect())
}
