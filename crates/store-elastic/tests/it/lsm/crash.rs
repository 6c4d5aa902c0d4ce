//! Crashes: what was answered is there, whatever happens to the process.
//!
//! A killed process loses no page of the operating system, so the kill tests the journal and its replay;
//! a copy whose journal is cut tests a write that the disk has seen in part.

use super::{Lsm, options};
use model::Uuid;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use store::conformance::elastic::world::{NOW, World, text};
use store::conformance::fixture::id;
use store_elastic::LsmStore;

/// Where the child writes.
const DIRECTORY: &str = "SHEAF_TEST_ELASTIC_CRASH";
/// Rows of one call of the child.
const ROWS: u128 = 20;
/// Calls that are to be answered before the kill.
const CALLS: u128 = 60;

fn open(path: &Path) -> World {
    World::over(LsmStore::open_with(path, options()).expect("the store opens"))
}

/// Row `row` of call `call`.
fn row(call: u128, row: u128) -> Uuid {
    id(call * ROWS + row)
}

async fn write_call(world: &World, call: u128) {
    let label = [("ship_label", text(&"x".repeat(500)))];
    let insert = |number| world.insert((row(call, number), Some("p")), &label);
    world.write((0..ROWS).map(insert).collect()).await;
}

/// The calls whose rows are all there; it is an error if some call is there in part.
async fn whole_calls(world: &World) -> BTreeSet<u128> {
    let ids: BTreeSet<Uuid> = world.all().await.iter().filter_map(|row| row[0].as_id()).collect();
    let calls: BTreeSet<u128> = ids.iter().map(|id| id.as_u128() / ROWS).collect();
    for call in &calls {
        let there = (0..ROWS).filter(|number| ids.contains(&row(*call, *number))).count();
        assert_eq!(there as u128, ROWS, "call {call} was one commit");
    }
    calls
}

/// The child: writes until it is killed, and tells of every call that was answered. Where nobody has
/// asked for it, it is no test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child_that_writes_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let world = open(Path::new(&directory));
    for call in 0.. {
        write_call(&world, call).await;
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nanswered {call}").and_then(|()| out.flush()).expect("the parent listens");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answered_call_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    // Three times over the same files: what was replayed is replayed again.
    let mut answered = BTreeSet::new();
    for round in 1..=3 {
        let path = directory.path().join(format!("{}", round % 2));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lsm::crash::the_child_that_writes_until_it_is_killed"])
            .args(["--nocapture", "--test-threads", "1"])
            .env(DIRECTORY, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = |line: &str| line.strip_prefix("answered ")?.parse::<u128>().ok();
        let mut here = BTreeSet::new();
        for line in &mut lines {
            here.extend(told(&line.unwrap()));
            if here.last().is_some_and(|call| *call >= CALLS) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died counts, too.
        here.extend(lines.map_while(Result::ok).filter_map(|line| told(&line)));
        assert!(here.len() as u128 > CALLS, "the child was killed while it wrote");
        let world = open(&path);
        let there = whole_calls(&world).await;
        assert!(there.is_superset(&here), "{here:?} were answered, {there:?} are there");
        assert!(there.len() <= here.len() + 1, "one call at most was on its way");
        world.store.write(&world.table(), NOW, Vec::new()).await.unwrap();
        answered.extend(here);
    }
    assert!(!answered.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_the_open_files_has_every_answered_call() {
    let harness = <Lsm as store::conformance::elastic::ElasticHarness>::open().await;
    let world = World::over(harness.node().clone());
    for call in 0..CALLS {
        write_call(&world, call).await;
    }
    let copy = tempfile::tempdir().unwrap();
    copy_files(harness.path(), copy.path());
    assert_eq!(whole_calls(&open(copy.path())).await, (0..CALLS).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_cut_anywhere_leaves_a_beginning_of_the_calls() {
    let directory = tempfile::tempdir().unwrap();
    let world = open(directory.path());
    let mut lengths = Vec::new();
    for call in 0..12 {
        write_call(&world, call).await;
        lengths.push(used(&fs::read(journal(directory.path())).unwrap()));
    }
    let end = *lengths.last().unwrap();
    for cut in (0..24).map(|part| end * part / 24).chain(lengths.clone()).chain([end - 1]) {
        let copy = tempfile::tempdir().unwrap();
        copy_files(directory.path(), copy.path());
        let journal = journal(copy.path());
        fs::OpenOptions::new().write(true).open(journal).unwrap().set_len(cut as u64).unwrap();
        let world = open(copy.path());
        let there = whole_calls(&world).await;
        let synced = lengths.iter().filter(|length| **length <= cut).count() as u128;
        assert!(there.is_superset(&(0..synced).collect()), "{there:?} of {synced} at {cut}");
        assert_eq!(there, (0..there.len() as u128).collect(), "a beginning, at {cut}");
        // And it goes on from there.
        write_call(&world, 1_000).await;
        assert!(whole_calls(&world).await.contains(&1_000));
    }
}

/// The one journal of a small store.
fn journal(directory: &Path) -> PathBuf {
    let journals: Vec<PathBuf> = files_in(directory)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "jnl"))
        .collect();
    let [journal] = &journals[..] else { panic!("{journals:?} is not one journal") };
    journal.clone()
}

/// Bytes up to the last that is not zero: a journal may be longer than what it holds.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for path in files_in(from) {
        let target = to.join(path.file_name().expect("a file has a name"));
        if path.is_dir() {
            copy_files(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).expect("a directory can be read");
    files.map(|file| file.expect("a directory can be read").path()).collect()
}
