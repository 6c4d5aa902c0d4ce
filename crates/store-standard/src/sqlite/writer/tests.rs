//! Groups: the queue is filled before the writer starts, so what forms a group is known.

use super::*;
use crate::refusals::Refusals;
use crate::sqlite::queue::Queue;
use crate::sqlite::{Synchronous, checkpoint, connection};
use model::{Cell, Value};
use std::sync::RwLock;
use store::RowKey;
use store::conformance::fixture::{TableBuilder, id, integer, text};
use store::writes::{Insert, InsertRow, Update, UpdateRow};

const AT: Timestamp = Timestamp(1_700_000_000);

/// A database with one table, and messages that wait for its writer.
struct Waiting {
    directory: tempfile::TempDir,
    shared: Arc<Shared>,
    answers: Vec<oneshot::Receiver<Result<Applied>>>,
}

impl Waiting {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let conn = connection::open_writer(&directory.path().join("db"), Synchronous::Normal);
        let catalog = catalog::load(&conn.expect("the database opens")).expect("it is empty");
        let shared = Arc::new(Shared {
            catalog: RwLock::new(Arc::new(catalog)),
            writes: Queue::new(64),
            reads: Queue::new(1),
            pieces: Queue::new(1),
            refusals: Refusals::default(),
            counts: Arc::default(),
        });
        let mut this = Self { directory, shared, answers: Vec::new() };
        let table = TableBuilder::new(1, "crate")
            .column("code", text(20))
            .column("count", integer())
            .key("code", &["code"]);
        let (answer, _) = oneshot::channel();
        let change = SchemaChange {
            catalog: this.shared.catalog(),
            ops: vec![table.create()],
            rows: Vec::new(),
            checks: Vec::new(),
            now: AT,
            user: id(0),
        };
        this.push(Job::Change { change: Box::new(change), answer });
        this.write(5_000);
        this.reopen();
        this
    }

    /// Takes messages again after the writer has ended.
    fn reopen(&mut self) {
        self.shared = Arc::new(Shared {
            catalog: RwLock::new(self.shared.catalog()),
            writes: Queue::new(64),
            reads: Queue::new(1),
            pieces: Queue::new(1),
            refusals: Refusals::default(),
            counts: Arc::default(),
        });
    }

    fn push(&self, job: Job) {
        assert!(self.shared.writes.push(job).is_ok(), "the queue has room");
    }

    fn message(&mut self, ops: Vec<WriteOp>) {
        let (answer, receiver) = oneshot::channel();
        let writes = WriteSet {
            catalog: self.shared.catalog(),
            now: AT,
            user: id(0),
            ops,
            checks: Vec::new(),
        };
        self.push(Job::Apply(Apply { writes, answer }));
        self.answers.push(receiver);
    }

    /// One message that inserts rows of these numbers; the number is id and code.
    fn insert(&mut self, numbers: impl IntoIterator<Item = u128>) {
        let table = self.shared.catalog().table("crate").expect("it was made").clone();
        let code = table.index_of("code").expect("it has codes");
        let row = |number: u128| InsertRow {
            id: id(number),
            cells: vec![Cell { column: code, value: Value::text(number.to_string()) }],
            binds: Vec::new(),
        };
        let rows = numbers.into_iter().map(row).collect();
        self.message(vec![WriteOp::Insert(Insert { table, constants: Vec::new(), rows })]);
    }

    /// Runs what waits; answers the number of commits.
    fn write(&mut self, group_rows_max: usize) -> u64 {
        let file = self.directory.path().join("db");
        let conn = connection::open_writer(&file, Synchronous::Normal).expect("it opens");
        let mut threads = Vec::new();
        let checkpoints = checkpoint::start(&file, Synchronous::Normal, &mut threads);
        let checkpoints = checkpoints.expect("the thread starts");
        self.shared.writes.close();
        let writer = start(
            conn,
            self.shared.clone(),
            checkpoints,
            group_rows_max,
            std::collections::HashSet::new(),
        );
        threads.push(writer.expect("the thread starts"));
        for thread in threads {
            thread.join().expect("the thread ends well");
        }
        self.shared.counts.now().commits
    }

    /// Whether each message passed, in order: `.` or the indexes of its failing rows.
    fn verdicts(&mut self) -> String {
        let verdict = |mut answer: oneshot::Receiver<Result<Applied>>| match answer.try_recv() {
            Ok(Ok(_)) => ".".to_owned(),
            Ok(Err(Error::Rejected { op, rows })) => {
                let rows: Vec<String> = rows.iter().map(|row| row.index.to_string()).collect();
                format!("{op}[{}]", rows.join(","))
            }
            other => format!("{other:?}"),
        };
        let verdicts: Vec<String> = self.answers.drain(..).map(verdict).collect();
        verdicts.join(" ")
    }

    fn rows(&self) -> i64 {
        let conn = Connection::open(self.directory.path().join("db")).expect("it opens");
        conn.query_row("SELECT count(*) FROM t1", [], |row| row.get(0)).expect("t1 is there")
    }
}

#[test]
fn what_waits_is_written_under_one_commit() {
    let mut waiting = Waiting::new();
    for number in 0..10 {
        waiting.insert([number]);
    }
    assert_eq!(waiting.write(5_000), 1);
    assert_eq!(waiting.verdicts(), ". . . . . . . . . .");
    assert_eq!(waiting.rows(), 10);
}

#[test]
fn a_group_ends_before_it_has_too_many_rows() {
    let mut waiting = Waiting::new();
    for first in [0, 100, 200, 300, 400] {
        waiting.insert(first..first + 4);
    }
    assert_eq!(waiting.write(8), 3);
    assert_eq!(waiting.rows(), 20);
}

#[test]
fn a_message_above_the_limit_is_a_group_of_its_own() {
    let mut waiting = Waiting::new();
    waiting.insert(0..100);
    waiting.insert([200]);
    assert_eq!(waiting.write(8), 2);
    assert_eq!(waiting.rows(), 101);
}

#[test]
fn a_failing_message_takes_nobody_with_it() {
    let mut waiting = Waiting::new();
    waiting.insert([1, 2]);
    waiting.insert([3, 1, 4, 2]);
    waiting.insert([5]);
    waiting.insert([4]);
    assert_eq!(waiting.write(5_000), 1);
    assert_eq!(waiting.verdicts(), ". 0[1,3] . .");
    assert_eq!(waiting.rows(), 4);
}

#[test]
fn a_failing_operation_undoes_the_ones_before_it_and_is_named() {
    let mut waiting = Waiting::new();
    waiting.insert([1]);
    let table = waiting.shared.catalog().table("crate").expect("it was made").clone();
    let count = table.index_of("count").expect("it has counts");
    let row = |number| UpdateRow {
        key: RowKey::Id(id(number)),
        cells: vec![Cell { column: count, value: Value::Integer(1) }],
        binds: Vec::new(),
        expected_version: None,
    };
    let insert = Insert {
        table: table.clone(),
        constants: Vec::new(),
        rows: vec![InsertRow { id: id(2), cells: Vec::new(), binds: Vec::new() }],
    };
    let rows = [1, 2, 3, 2].map(row).to_vec();
    let update = Update { table, constants: Vec::new(), rows };
    waiting.message(vec![WriteOp::Insert(insert), WriteOp::Update(update)]);
    waiting.insert([7]);
    assert_eq!(waiting.write(5_000), 1);
    assert_eq!(waiting.verdicts(), ". 1[2] .");
    assert_eq!(waiting.rows(), 2);
}

#[test]
fn groups_that_fail_often_are_isolated_at_once() {
    // Ten groups of two messages, the second of each failing: all but it pass, whichever way the
    // group is run.
    let mut waiting = Waiting::new();
    for number in 0..10 {
        waiting.insert([number]);
        waiting.insert([number]);
    }
    assert_eq!(waiting.write(2), 10);
    assert_eq!(waiting.verdicts(), [". 0[0]"; 10].join(" "));
    assert_eq!(waiting.rows(), 10);
}

#[test]
fn messages_of_many_rows_get_a_transaction_each_where_groups_fail_often() {
    let mut waiting = Waiting::new();
    for group in 0..10 {
        let first = group * 1_000;
        waiting.insert(first..first + 300);
        waiting.insert(first + 299..first + 599);
        waiting.insert(first + 600..first + 900);
    }
    // Four groups fail until that is often; the two good messages of each of the others are committed alone.
    assert_eq!(waiting.write(900), 4 + 6 * 2);
    assert_eq!(waiting.verdicts(), [". 0[0] ."; 10].join(" "));
    assert_eq!(waiting.rows(), 6_000);
}

#[test]
fn a_message_whose_caller_has_gone_is_written_all_the_same() {
    let mut waiting = Waiting::new();
    waiting.insert([1]);
    waiting.answers.clear();
    assert_eq!(waiting.write(5_000), 1);
    assert_eq!(waiting.rows(), 1);
}

#[test]
fn versions_go_on_above_what_was_given_before() {
    let mut waiting = Waiting::new();
    waiting.insert([1]);
    waiting.write(5_000);
    let version = |number: u128| -> i64 {
        let conn = Connection::open(waiting.directory.path().join("db")).expect("it opens");
        conn.query_row("SELECT c2 FROM t1 WHERE c1 = ?1", [id(number).as_bytes()], |row| row.get(0))
            .expect("the row is there")
    };
    assert_eq!(version(1), 1);
    let conn = Connection::open(waiting.directory.path().join("db")).expect("it opens");
    let reserved = catalog::row_version_reserved(&conn).expect("it reads");
    assert_eq!(reserved, 1 + VERSIONS_RESERVED);
}
