//! A step for every chunk: each item once, never more at a time than allowed, in virtual time.

use client::parallel::{Chunk, Settings, Summary, parallel};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// A connection that counts how often it was cloned.
struct Handle(Arc<AtomicUsize>);

impl Clone for Handle {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

#[derive(Default)]
struct Seen {
    chunks: Vec<(u64, u64, Vec<u64>)>,
    running: usize,
    running_most: usize,
}

const PLAIN: Settings =
    Settings { chunk_size: 10, width: 3, flush_after: None, is_ordered: false, errors_max: None };

/// A step that takes longer the smaller its number is in every five, and fails for every chunk named.
fn step(
    seen: &Arc<Mutex<Seen>>,
    fails: &'static [u64],
) -> impl Fn(Arc<()>, Chunk<u64>) -> BoxFuture<'static, Result<u64, u64>> + use<> {
    let seen = Arc::clone(seen);
    move |_, chunk| {
        let seen = Arc::clone(&seen);
        Box::pin(async move {
            let number = chunk.number;
            {
                let mut seen = seen.lock().expect("no panics");
                seen.chunks.push((number, chunk.first, chunk.items));
                seen.running += 1;
                seen.running_most = seen.running_most.max(seen.running);
            }
            tokio::time::sleep(Duration::from_millis(100 * (5 - number % 5))).await;
            seen.lock().expect("no panics").running -= 1;
            if fails.contains(&number) { Err(number) } else { Ok(number) }
        })
    }
}

async fn play(items: u64, settings: Settings, fails: &'static [u64]) -> (Summary, Seen, Vec<u64>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut told = Vec::new();
    let observe = |number, result: Result<u64, u64>| {
        assert_eq!(result, if fails.contains(&number) { Err(number) } else { Ok(number) });
        told.push(number);
    };
    let summary =
        parallel(settings, stream::iter(0..items), &(), step(&seen, fails), None, observe).await;
    let seen = std::mem::take(&mut *seen.lock().expect("no panics"));
    (summary, seen, told)
}

#[tokio::test(start_paused = true)]
async fn every_item_is_in_one_chunk_and_chunks_start_in_order() {
    for (items, sizes) in [
        (0, vec![]),
        (1, vec![1]),
        (9, vec![9]),
        (10, vec![10]),
        (95, [[10; 9].to_vec(), vec![5]].concat()),
    ] {
        let (summary, seen, mut told) = play(items, PLAIN, &[]).await;
        let got: Vec<usize> = seen.chunks.iter().map(|(_, _, items)| items.len()).collect();
        assert_eq!(got, sizes);
        let all: Vec<u64> = seen.chunks.iter().flat_map(|(_, _, items)| items.clone()).collect();
        assert_eq!(all, (0..items).collect::<Vec<_>>());
        assert!(seen.chunks.iter().all(|(_, first, items)| items[0] == *first));
        told.sort_unstable();
        assert_eq!(told, (0..sizes.len() as u64).collect::<Vec<_>>());
        let want = Summary { items, well: sizes.len() as u64, ..Summary::default() };
        assert_eq!(summary, want);
        assert_eq!(seen.running_most, sizes.len().min(3));
    }
}

#[tokio::test(start_paused = true)]
async fn what_steps_give_comes_in_order_if_wished_and_else_as_it_is_there() {
    let (_, _, told) = play(200, PLAIN, &[]).await;
    assert!(!told.is_sorted(), "{told:?}");
    let (_, seen, told) = play(200, Settings { is_ordered: true, ..PLAIN }, &[3]).await;
    assert_eq!(told, (0..20).collect::<Vec<_>>());
    assert_eq!(seen.running_most, 3);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_fails_its_chunk_alone_unless_too_many_do() {
    let (summary, seen, _) = play(200, PLAIN, &[0, 7]).await;
    assert_eq!(summary, Summary { items: 200, well: 18, failed: 2, ..Summary::default() });
    assert_eq!(seen.chunks.len(), 20);
    let (summary, seen, told) = play(200, Settings { errors_max: Some(1), ..PLAIN }, &[4]).await;
    assert!(summary.stopped_early && summary.failed == 1, "{summary:?}");
    assert!(seen.chunks.len() < 20 && told.len() == seen.chunks.len());
    assert_eq!(summary.well + summary.failed, seen.chunks.len() as u64);
    let left = summary.items.div_ceil(10) - seen.chunks.len() as u64;
    assert_eq!(summary.not_attempted, left, "{summary:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handle_is_cloned_once_for_each_worker_and_never_used_by_two_steps_at_a_time() {
    let clones = Arc::new(AtomicUsize::new(0));
    let handle = Handle(Arc::clone(&clones));
    let busy = Arc::new(Mutex::new(HashSet::new()));
    let step = move |own: Arc<Handle>, _: Chunk<u64>| -> BoxFuture<'static, Result<(), ()>> {
        let busy = Arc::clone(&busy);
        Box::pin(async move {
            let which = Arc::as_ptr(&own) as usize;
            assert!(busy.lock().expect("no panics").insert(which), "two steps use it");
            tokio::time::sleep(Duration::from_millis(10)).await;
            busy.lock().expect("no panics").remove(&which);
            Ok(())
        })
    };
    let summary = parallel(PLAIN, stream::iter(0..500), &handle, step, None, |_, _| {}).await;
    assert_eq!(summary.well, 50);
    assert_eq!(clones.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_read_than_runs_and_waits() {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let input = stream::iter(0..10_000u64).inspect(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let stuck = |_: Arc<()>, _: Chunk<u64>| -> BoxFuture<'static, Result<(), ()>> {
        Box::pin(std::future::pending())
    };
    let run = parallel(PLAIN, input, &(), stuck, None, |_, _| {});
    tokio::time::timeout(Duration::from_secs(60), run).await.expect_err("its steps never end");
    assert_eq!(read.load(Ordering::Relaxed), 60, "three chunks run and three wait");
}

#[tokio::test(start_paused = true)]
async fn results_come_before_the_input_ends_and_short_chunks_start_when_it_stalls() {
    let (sender, receiver) = tokio::sync::mpsc::channel::<u64>(4);
    let input =
        stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    let told = Arc::new(Mutex::new(Vec::new()));
    let (seen, heard) = (Arc::new(Mutex::new(Seen::default())), Arc::clone(&told));
    let settings = Settings { flush_after: Some(Duration::from_secs(5)), ..PLAIN };
    let observe = move |number, _: Result<u64, u64>| heard.lock().expect("no panics").push(number);
    let run = parallel(settings, input, &(), step(&seen, &[]), None, observe);
    let feed = async {
        for item in 0..13 {
            sender.send(item).await.expect("somebody reads");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(*told.lock().expect("no panics"), [0], "the full chunk is done");
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(*told.lock().expect("no panics"), [0, 1], "the short one, too");
        drop(sender);
    };
    let (summary, ()) = futures_util::future::join(run, feed).await;
    assert_eq!((summary.items, summary.well), (13, 2));
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_steps_end_and_starts_no_more() {
    let (stop, signal) = watch::channel(false);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let run =
        parallel(PLAIN, stream::iter(0..1_000), &(), step(&seen, &[]), Some(signal), |_, _| {});
    let halt = async {
        tokio::time::sleep(Duration::from_millis(250)).await;
        stop.send_replace(true);
    };
    let (summary, ()) = futures_util::future::join(run, halt).await;
    assert!(summary.stopped_early, "{summary:?}");
    assert_eq!(seen.lock().expect("no panics").running, 0);
    assert_eq!(summary.well, seen.lock().expect("no panics").chunks.len() as u64);
}
