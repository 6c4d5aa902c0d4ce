//! Nobody reads or writes what their roles do not grant: random organisations against a naive model.

mod world;

use crate::house::{self, House};
use model::code;
use proptest::prelude::*;
use world::{Along, Met, live};

fn run(seed: u64, rounds: usize) -> (Met, Along) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async { live(House::open().await, seed, rounds).await })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn nobody_reads_or_writes_what_their_roles_do_not_grant(seed in any::<u64>()) {
        run(seed, 4);
    }
}

#[test]
fn the_random_organisations_meet_every_answer() {
    let (mut met, mut along) = (Met::new(), Along::new());
    for seed in [3, 1 << 20, 0x5eed_0000, 0xdead_beef, 77, 1_234_567, 5, 6, 7, 8] {
        let life = run(seed, 8);
        for (code, count) in life.0 {
            *met.entry(code).or_default() += count;
        }
        for (what, count) in life.1 {
            *along.entry(what).or_default() += count;
        }
    }
    let wanted = [
        None,
        Some(code::PRIVILEGE_DENIED),
        Some(code::ACCESS_DENIED),
        Some(code::OBJECT_DOES_NOT_EXIST),
        Some(code::PRINCIPAL_PRIVILEGE_DENIED),
        Some(code::USER_NOT_ASSIGNED_ROLES),
        Some(code::ENTITY_LOOP_BEING_CREATED),
    ];
    for code in wanted {
        let count = met.get(&code.map(|code| code.0)).copied().unwrap_or(0);
        assert!(count > 0, "{code:?} was never met: {met:?}");
    }
    for what in ["assign", "delete", "share", "unshare", "reparent"] {
        let count = along.get(what).copied().unwrap_or(0);
        assert!(count > 0, "no row ever went along by {what}: {along:?}");
    }
    let often = |code: Option<u32>| met.get(&code).copied().unwrap_or(0) > 30;
    assert!(often(None), "success is met often: {met:?}");
    assert!(often(Some(code::ACCESS_DENIED.0)), "and so is a row out of reach: {met:?}");
}
