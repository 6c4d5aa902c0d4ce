//! A step of the user's for every chunk of an input, several at a time.
//!
//! In: a stream of items, a step, one handle for each worker. Out: what the steps gave, chunk by chunk.
//! Not here: commands and their pipes (`cli`); what a step does.
//! Invariant: every item is in exactly one chunk and every chunk is given to exactly one step; at most
//! `width` chunks run, and at most `width` more are full and wait.

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Items in a chunk when nobody says.
pub const CHUNK_SIZE: usize = 50;

/// How an input is cut and worked on.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Items in a chunk; the last may have fewer.
    pub chunk_size: usize,
    /// Steps that run at a time.
    pub width: usize,
    /// A chunk that is not full starts when the input has given nothing for so long.
    pub flush_after: Option<Duration>,
    /// What steps gave comes in the order of the input.
    pub is_ordered: bool,
    /// When so many chunks have failed no further one starts.
    pub errors_max: Option<u64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            chunk_size: CHUNK_SIZE,
            width: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            flush_after: None,
            is_ordered: false,
            errors_max: None,
        }
    }
}

/// Some items of the input, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk<T> {
    /// Its number, from 0.
    pub number: u64,
    /// The ordinal of its first item.
    pub first: u64,
    /// The items; at least one.
    pub items: Vec<T>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Items that were read.
    pub items: u64,
    /// Chunks whose step ended well.
    pub well: u64,
    /// Chunks whose step failed.
    pub failed: u64,
    /// Chunks that no step was given.
    pub not_attempted: u64,
    /// It was stopped, or too many chunks failed.
    pub stopped_early: bool,
}

/// Gives every chunk of `input` to `step`, with the handle of the worker that it runs on, and tells
/// `observe` what each step gave: as soon as it is there, or in the order of the input.
///
/// Handles are cloned once for each worker. Once `stop` turns true no further chunk starts and those that
/// run may end. Nothing is read while as many chunks wait as may run; in order, no more than `2 × width`
/// results are kept.
/// Errors: none; what a step says of itself is `observe`'s.
pub async fn parallel<T, H, O, E, F>(
    settings: Settings,
    input: impl Stream<Item = T>,
    handle: &H,
    step: F,
    mut stop: Option<watch::Receiver<bool>>,
    mut observe: impl FnMut(u64, Result<O, E>),
) -> Summary
where
    H: Clone,
    F: Fn(Arc<H>, Chunk<T>) -> BoxFuture<'static, Result<O, E>>,
{
    let width = settings.width.max(1);
    let mut input = pin!(input);
    let mut cutter = Cutter::new(settings.chunk_size.max(1));
    let mut free: Vec<Arc<H>> = (0..width).map(|_| Arc::new(handle.clone())).collect();
    let mut running = FuturesUnordered::new();
    let mut kept: BTreeMap<u64, Result<O, E>> = BTreeMap::new();
    let mut next_told = 0;
    let mut summary = Summary::default();
    let mut is_open = true;
    loop {
        // A step may have seen the signal, and ended, before this loop was woken by it.
        summary.stopped_early |= stop.as_ref().is_some_and(|stop| *stop.borrow());
        // In order, a result waits for those before it: what runs ahead of them is bounded.
        while let Some(chunk) = cutter.full.front()
            && (!settings.is_ordered || chunk.number < next_told + 2 * width as u64)
            && !summary.stopped_early
            && let Some(own) = free.pop()
            && let Some(chunk) = cutter.full.pop_front()
        {
            let number = chunk.number;
            let ended = step(Arc::clone(&own), chunk);
            running.push(async move { (number, own, ended.await) });
        }
        let may_read = is_open && !summary.stopped_early && cutter.full.len() < width;
        if !may_read && running.is_empty() {
            break;
        }
        let due = settings.flush_after.and_then(|after| Some(cutter.stalled_since? + after));
        tokio::select! {
            biased;
            () = stopped(&mut stop), if !summary.stopped_early => summary.stopped_early = true,
            Some((number, own, result)) = running.next(), if !running.is_empty() => {
                free.push(own);
                match &result {
                    Ok(_) => summary.well += 1,
                    Err(_) => summary.failed += 1,
                }
                if settings.errors_max.is_some_and(|most| summary.failed >= most) {
                    summary.stopped_early = true;
                }
                if settings.is_ordered {
                    kept.insert(number, result);
                    while let Some(result) = kept.remove(&next_told) {
                        observe(next_told, result);
                        next_told += 1;
                    }
                } else {
                    observe(number, result);
                }
            }
            item = input.next(), if may_read => match item {
                Some(item) => {
                    summary.items += 1;
                    cutter.push(item);
                }
                None => {
                    is_open = false;
                    cutter.flush();
                }
            },
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if may_read && due.is_some() => {
                cutter.flush();
            }
        }
    }
    cutter.flush();
    summary.not_attempted = cutter.full.len() as u64;
    for (number, result) in kept {
        observe(number, result);
    }
    summary
}

/// Waits for the signal; for ever when there is none or nobody is left to give it.
async fn stopped(stop: &mut Option<watch::Receiver<bool>>) {
    if let Some(signal) = stop
        && signal.wait_for(|stop| *stop).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// Cuts items into chunks.
struct Cutter<T> {
    size: usize,
    open: Vec<T>,
    stalled_since: Option<Instant>,
    full: VecDeque<Chunk<T>>,
    number: u64,
    first: u64,
}

impl<T> Cutter<T> {
    fn new(size: usize) -> Self {
        let (open, full) = (Vec::new(), VecDeque::new());
        Self { size, open, stalled_since: None, full, number: 0, first: 0 }
    }

    fn push(&mut self, item: T) {
        self.open.push(item);
        self.stalled_since = Some(Instant::now());
        if self.open.len() >= self.size {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.stalled_since = None;
        if self.open.is_empty() {
            return;
        }
        let items = std::mem::take(&mut self.open);
        let (number, first) = (self.number, self.first);
        self.number += 1;
        self.first += items.len() as u64;
        self.full.push_back(Chunk { number, first, items });
    }
}
