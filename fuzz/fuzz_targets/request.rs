//! Gives whole requests to a service in memory, which is made anew from time to time: some drop tables.

#![no_main]

use std::cell::RefCell;

use fuzzing::ground::{Ground, memory};
use tokio::runtime::Builder;

const REQUESTS_PER_GROUND: usize = 500;

thread_local! {
    static GROUND: RefCell<(usize, Option<Ground>)> = const { RefCell::new((0, None)) };
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    GROUND.with_borrow_mut(|(count, ground)| {
        if *count % REQUESTS_PER_GROUND == 0 {
            let runtime = Builder::new_current_thread().build().expect("a runtime starts");
            *ground = Some(Ground::new(memory(), runtime));
        }
        *count += 1;
        if let Some(ground) = ground {
            ground.check(bytes);
        }
    });
});
