//! The suite that every engine of elastic tables passes.
//!
//! An engine implements [`ElasticHarness`] and calls [`crate::elastic_store_suite!`] once in its tests;
//! the macro lists every test. `SHEAF_CASES` and `SHEAF_SEED` as for standard tables.
//! Not here: what an engine promises beyond the contract (groups, a full queue, crashes).

#[doc(hidden)]
pub mod histories;
#[doc(hidden)]
pub mod lifetime;
#[doc(hidden)]
pub mod outcomes;
#[doc(hidden)]
pub mod partitions;
#[doc(hidden)]
pub mod queries;
#[doc(hidden)]
pub mod ttl;
#[doc(hidden)]
pub mod values;
#[doc(hidden)]
pub mod walks;
pub mod world;

use crate::elastic::ElasticStore;
use async_trait::async_trait;
use std::sync::Arc;

/// How the suite opens stores of one engine.
#[async_trait]
pub trait ElasticHarness: Send + Sync + Sized + 'static {
    /// A fresh store without rows, apart from all others.
    async fn open() -> Self;

    /// The store.
    fn store(&self) -> Arc<dyn ElasticStore>;

    /// Drops the store as a stopped process does and opens what it left behind.
    ///
    /// A store that keeps nothing beyond its process answers the same store again.
    async fn reopen(&mut self);
}

/// Makes one test of each part of the suite for an [`ElasticHarness`].
///
/// The calling crate needs `tokio` with `macros` and `rt-multi-thread` as a dev-dependency.
#[macro_export]
macro_rules! elastic_store_suite {
    ($harness:ty) => {
        $crate::elastic_store_suite! { @list $harness:
            values {
                every_kind_of_column_reads_back_as_written
                a_column_made_later_is_null_in_older_rows
                computed_columns_follow_their_sources
                a_call_without_writes_does_nothing
                rows_over_the_limit_are_refused
                many_rows_of_one_call_read_back
            }
            outcomes {
                every_action_on_a_row_that_is_there_and_on_none
                every_action_with_the_right_the_wrong_and_no_version
                an_update_changes_only_the_columns_it_names
                a_replace_leaves_nothing_but_the_kept_columns
                a_refused_row_leaves_the_others_of_its_call_written
                later_writes_of_a_call_see_earlier_ones
                versions_are_ticks_that_only_rise
                tables_are_apart_and_one_can_be_forgotten
            }
            partitions {
                the_same_id_in_two_partitions_is_two_rows
                a_row_without_partition_lies_under_the_text_of_its_id
                partitions_are_told_apart_by_every_byte
                a_row_stays_in_its_partition
                rows_are_read_by_their_keys_over_partitions
            }
            ttl {
                a_row_is_gone_in_the_second_in_which_its_time_is_over
                a_row_whose_time_is_over_is_absent_for_every_action
                a_change_restarts_the_clock
                a_row_without_a_time_stays
                expire_removes_only_rows_whose_time_is_over
                expire_takes_at_most_as_many_as_it_may
                a_row_made_again_is_not_expired_by_its_old_time
            }
            queries {
                a_page_of_a_partition_and_a_scan
                rows_are_found_by_id_within_a_partition
                filters_and_orders_hold_in_both
                pages_follow_each_other_in_a_partition
                pages_follow_each_other_over_partitions_that_share_ids
                counts_stop_at_their_cap
                output_columns_come_in_the_order_asked_for
            }
            walks {
                a_walk_sees_every_row_once_whatever_its_steps
                a_walk_answers_what_matches_and_looks_at_no_more_rows_than_it_may
                a_walk_passes_rows_whose_time_is_over
                a_walk_goes_on_behind_a_row_that_is_gone
                rows_that_come_while_somebody_walks_are_seen_once_or_not
                a_walk_through_nothing_is_over_at_once
                a_walk_of_many_rows_looks_at_as_many_as_it_may
            }
            lifetime {
                everything_survives_a_reopen
                versions_go_on_after_a_reopen
                one_of_many_inserts_of_a_row_is_written
                one_of_many_changes_of_a_version_is_written
                calls_of_many_tasks_keep_every_row
            }
            histories {
                random_histories_agree_with_the_reference
            }
        }
    };
    (@list $harness:ty: $($module:ident { $($name:ident)* })*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                // Boxed: a test's future is large, and its size is of no interest.
                ::std::boxed::Box::pin(
                    $crate::conformance::elastic::$module::$name::<$harness>()
                ).await;
            }
        )*)*
    };
}
