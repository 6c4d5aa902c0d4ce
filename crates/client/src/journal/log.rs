//! The journal of a run: which rows were sent and how they ended, kept so that a kill loses nothing.
//!
//! In: ordinals before a request leaves, outcomes after its answer. Out: lines of text that are only
//! ever added, each with a check sum; and, read again, the [`Past`] of a run.
//! Not here: where the file lies and what else is known of a run (`run`), and what a resumed run does
//! about rows that were sent and have no outcome (`sender`).
//! Invariant: cut at any byte, it reads as a journal that is somewhat older.

use crate::journal::{Counts, Outcome};
use std::collections::HashMap;
use std::io::{self, Write};

/// The word of rows that are about to be sent.
const SENT: &str = "sent";

/// Writes a journal.
pub struct Log {
    out: Box<dyn Write + Send>,
    sent: Vec<u64>,
    ended: Vec<(Outcome, u64)>,
    /// Rows of several parts that have not all ended, and the parts that are left.
    parts: HashMap<u64, (u16, Outcome)>,
}

impl Log {
    /// Goes on with a journal. What `out` flushes, it keeps.
    pub fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out, sent: Vec::new(), ended: Vec::new(), parts: HashMap::new() }
    }

    /// A row is about to be sent.
    pub fn sent(&mut self, ordinal: u64) {
        self.sent.push(ordinal);
    }

    /// One of the `parts` of a row has ended; the row ends with the last of them, and as failed if one
    /// of them failed.
    pub fn ended(&mut self, ordinal: u64, outcome: Outcome, parts: u16) {
        if parts <= 1 {
            self.ended.push((outcome, ordinal));
            return;
        }
        let entry = self.parts.entry(ordinal).or_insert((parts, outcome));
        entry.0 -= 1;
        if outcome == Outcome::Failed {
            entry.1 = outcome;
        }
        if let (0, outcome) = *entry {
            self.parts.remove(&ordinal);
            self.ended.push((outcome, ordinal));
        }
    }

    /// Writes what was told since the last time.
    ///
    /// Errors: those of the medium; nothing may be sent then.
    pub fn write(&mut self) -> io::Result<()> {
        if self.sent.is_empty() && self.ended.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        // What was sent and has ended since is written in this order, so that the end counts.
        line(&mut text, SENT, &mut self.sent);
        self.ended.sort_unstable_by_key(|(outcome, ordinal)| (*outcome as usize, *ordinal));
        for group in self.ended.chunk_by(|one, other| one.0 == other.0) {
            let Some((outcome, _)) = group.first() else { continue };
            let mut ordinals: Vec<u64> = group.iter().map(|(_, ordinal)| *ordinal).collect();
            line(&mut text, outcome.as_str(), &mut ordinals);
        }
        self.sent.clear();
        self.ended.clear();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// `created 0-99,150 #1a2b3c4d`.
fn line(out: &mut String, word: &str, ordinals: &mut [u64]) {
    use std::fmt::Write as _;
    if ordinals.is_empty() {
        return;
    }
    ordinals.sort_unstable();
    let start = out.len();
    out.push_str(&word.replace(' ', "-"));
    let mut mark = ' ';
    for range in ordinals.chunk_by(|one, other| one + 1 == *other) {
        let (Some(first), Some(last)) = (range.first(), range.last()) else { continue };
        let written = match first == last {
            true => write!(out, "{mark}{first}"),
            false => write!(out, "{mark}{first}-{last}"),
        };
        written.expect("writing to a string does not fail");
        mark = ',';
    }
    let sum = check_sum(out.as_bytes().get(start..).unwrap_or_default());
    writeln!(out, " #{sum:08x}").expect("writing to a string does not fail");
}

/// FNV-1a.
fn check_sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// What a journal knows of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing: it was never sent.
    Unknown,
    /// It was sent, and how it ended was not seen.
    Sent,
    /// It has ended.
    Ended(Outcome),
}

/// What a journal tells of a run so far.
///
/// Cost: one byte for every row up to the last that is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    states: Vec<u8>,
    ends_in_line: bool,
}

/// A journal names no more rows than this.
const ORDINALS_MAX: u64 = 1 << 36;
const STATE_SENT: u8 = 1;
const STATE_ENDED: u8 = 2;

impl Past {
    /// Reads a journal. Lines that are torn are passed over.
    pub fn read(text: &[u8]) -> Self {
        let mut past =
            Self { ends_in_line: !text.is_empty() && !text.ends_with(b"\n"), ..Self::default() };
        for line in text.split(|byte| *byte == b'\n') {
            past.take(line);
        }
        past
    }

    /// Whether its last line is torn, so that the next must begin on a line of its own.
    pub fn ends_in_line(&self) -> bool {
        self.ends_in_line
    }

    /// What is known of a row.
    pub fn of(&self, ordinal: u64) -> State {
        let state = usize::try_from(ordinal).ok().and_then(|place| self.states.get(place));
        match state.copied().unwrap_or(0) {
            0 => State::Unknown,
            STATE_SENT => State::Sent,
            other => match Outcome::ALL.get(usize::from(other - STATE_ENDED)) {
                Some(outcome) => State::Ended(*outcome),
                None => State::Unknown,
            },
        }
    }

    /// The accounts of the rows that have ended and that `counts` says yes to.
    pub fn counts(&self, counts: impl Fn(Outcome) -> bool) -> Counts {
        let mut rows = [0u64; Outcome::ALL.len()];
        for state in &self.states {
            if let Some(row) = usize::from(*state).checked_sub(usize::from(STATE_ENDED))
                && let Some(row) = rows.get_mut(row)
            {
                *row += 1;
            }
        }
        let mut all = Counts::default();
        for (outcome, rows) in Outcome::ALL.into_iter().zip(rows) {
            if counts(outcome) {
                all.add(outcome, rows);
            }
        }
        all
    }

    /// Rows that were sent and have no outcome.
    pub fn open(&self) -> u64 {
        self.states.iter().filter(|state| **state == STATE_SENT).count() as u64
    }

    fn take(&mut self, line: &[u8]) -> Option<()> {
        let line = std::str::from_utf8(line).ok()?;
        let (content, sum) = line.rsplit_once(" #")?;
        let is_whole = u32::from_str_radix(sum, 16).ok()? == check_sum(content.as_bytes());
        let (word, ranges) = content.split_once(' ').filter(|_| is_whole)?;
        let state = match word {
            SENT => STATE_SENT,
            word => {
                let is_it = |outcome: &Outcome| outcome.as_str().replace(' ', "-") == word;
                let place = Outcome::ALL.iter().position(is_it)?;
                STATE_ENDED + u8::try_from(place).ok()?
            }
        };
        for range in ranges.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            if first > last || last >= ORDINALS_MAX {
                return None;
            }
            let (first, last) = (usize::try_from(first).ok()?, usize::try_from(last).ok()?);
            if self.states.len() <= last {
                self.states.resize(last + 1, 0);
            }
            self.states.get_mut(first..=last)?.fill(state);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A medium that can be looked at.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panics").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn journal() -> Vec<u8> {
        let shared = Shared::default();
        let mut log = Log::new(Box::new(shared.clone()));
        (0..100).for_each(|ordinal| log.sent(ordinal));
        log.write().expect("written");
        for ordinal in (0..100).rev() {
            let outcome = if ordinal == 7 { Outcome::Failed } else { Outcome::Created };
            log.ended(ordinal, outcome, 1);
        }
        [100, 102, 103].into_iter().for_each(|ordinal| log.sent(ordinal));
        log.write().expect("written");
        log.ended(102, Outcome::Updated, 2);
        log.write().expect("written");
        shared.0.lock().expect("no panics").clone()
    }

    #[test]
    fn a_journal_tells_what_was_sent_and_how_it_ended() {
        let text = journal();
        let shown = String::from_utf8(text.clone()).expect("it is text");
        let words: Vec<_> = shown.lines().filter_map(|line| line.rsplit_once(" #")).collect();
        let words: Vec<_> = words.into_iter().map(|(words, _)| words).collect();
        assert_eq!(words, ["sent 0-99", "sent 100,102-103", "created 0-6,8-99", "failed 7"]);
        let past = Past::read(&text);
        assert_eq!(past.of(6), State::Ended(Outcome::Created));
        assert_eq!(past.of(7), State::Ended(Outcome::Failed));
        // One part of two is no end.
        assert_eq!((past.of(101), past.of(102)), (State::Unknown, State::Sent));
        assert_eq!((past.of(5_000), past.open()), (State::Unknown, 3));
        assert_eq!(past.counts(|_| true).to_string(), "100 rows: 99 created, 1 failed");
    }

    #[test]
    fn a_journal_that_is_cut_at_any_byte_is_an_older_journal() {
        let text = journal();
        let mut earlier = Past::default();
        for end in 0..=text.len() {
            let past = Past::read(&text[..end]);
            for ordinal in 0..110 {
                let (was, is) = (earlier.of(ordinal), past.of(ordinal));
                let goes_on = was == is || was == State::Unknown || was == State::Sent;
                assert!(goes_on, "{end}: {ordinal} was {was:?} and is {is:?}");
            }
            // Whatever is added behind a torn line counts.
            let mut more = text[..end].to_vec();
            if past.ends_in_line() {
                more.push(b'\n');
            }
            line_of(&mut more, "deleted", 105);
            assert_eq!(Past::read(&more).of(105), State::Ended(Outcome::Deleted), "{end}");
            earlier = past;
        }
    }

    fn line_of(out: &mut Vec<u8>, word: &str, ordinal: u64) {
        let mut text = String::new();
        line(&mut text, word, &mut [ordinal]);
        out.extend_from_slice(text.as_bytes());
    }

    #[test]
    fn bytes_that_are_no_journal_name_no_rows() {
        for text in ["created 5", "created 5 #00000000", "sent 9-2 #0", "\u{0}", "x #y", ""] {
            assert_eq!(Past::read(text.as_bytes()).counts(|_| true).read(), 0, "{text}");
        }
    }
}
