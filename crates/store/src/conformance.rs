//! The suite that every engine of standard tables passes; feature `conformance`.
//!
//! An engine implements [`Harness`] and calls [`crate::standard_store_suite!`] once in its tests: the
//! macro lists every test, so that no engine can leave one out. `SHEAF_CASES` is the number of random
//! cases per random test (a few by default), `SHEAF_SEED` another seed for them, `SHEAF_QUERIES` the
//! number of queries of each case of random queries.
//! Not here: what an engine promises beyond the contract (statement counts, speed, crashes).

pub mod elastic;
pub mod families;
pub mod fixture;
mod random;
#[doc(hidden)]
pub mod suite;
pub mod world;

use crate::StandardStore;
use async_trait::async_trait;
use std::sync::Arc;

/// How the suite opens stores of one engine.
#[async_trait]
pub trait Harness: Send + Sync + Sized + 'static {
    /// A fresh store without tables, apart from all others.
    async fn open() -> Self;

    /// The store.
    fn store(&self) -> Arc<dyn StandardStore>;

    /// Drops the store as a stopped process does and opens what it left behind.
    ///
    /// A store that keeps nothing beyond its process answers the same store again.
    async fn reopen(&mut self);
}

/// Makes one test of each part of the suite for a [`Harness`].
///
/// The calling crate needs `tokio` with `macros` and `rt-multi-thread` as a dev-dependency.
#[macro_export]
macro_rules! standard_store_suite {
    ($harness:ty) => {
        $crate::standard_store_suite! { @list $harness:
            values {
                every_kind_of_column_reads_back_as_written
                limits_of_every_kind_read_back
                text_keeps_its_characters_case_and_blanks
                a_column_that_nobody_names_is_null
                constants_fill_in_unless_the_row_brings_its_own
                computed_columns_follow_their_sources
                many_rows_read_back
                operations_without_rows_do_nothing
            }
            changes {
                an_update_changes_only_the_columns_it_names
                two_column_sets_in_one_update
                more_than_eight_column_sets_in_one_update
                an_update_by_alternate_key_finds_its_row
                an_operation_sees_the_operations_before_it
                upsert_by_id_makes_or_changes
                upsert_by_alternate_key_makes_or_changes
                upsert_without_a_key_makes_a_row
                upsert_takes_the_constants_of_its_case
                binds_by_alternate_key_point_to_the_row
                a_lookup_may_point_to_a_row_of_the_same_operation
                an_update_to_null_empties_the_column
                rows_are_completed_where_they_are_empty
            }
            checks {
                rows_that_meet_the_condition_pass
                rows_that_do_not_are_denied_and_all_of_them_told
                a_checked_row_may_be_named_by_an_alternate_key
                a_row_that_is_not_there_passes_unless_it_must_be
                a_row_with_the_spared_value_passes
                a_check_sees_the_operations_before_its_own
                the_first_failing_check_is_told
                rows_that_go_along_are_checked
                checks_hold_for_the_rows_of_a_change_of_definitions
            }
            refusals {
                a_lookup_to_no_row_is_refused
                lookups_that_the_caller_has_checked_are_not_checked_again
                a_bind_that_finds_nothing_is_refused
                a_missing_row_is_refused_by_id_and_by_key
                a_target_named_twice_in_an_upsert_is_refused
                conditions_of_upserts_are_kept
                another_version_is_refused
                a_primary_key_is_given_once
                an_alternate_key_is_given_once
                every_failing_row_is_listed_in_order
                the_first_reason_of_a_row_is_told
                the_first_failing_operation_is_told
                a_failure_at_row_999_leaves_nothing
            }
            keys {
                rows_with_a_null_in_a_key_are_exempt
                keys_compare_folded_text
                composite_keys_compare_every_part
                keys_are_judged_row_by_row
                a_key_given_up_earlier_is_free
                an_update_that_keeps_its_key_is_fine
                a_deleted_row_frees_its_keys
                keys_of_every_kind_find_their_row
            }
            versions {
                versions_ascend_with_the_index
                every_write_takes_a_higher_version
                a_refused_call_changes_no_version
            }
            deletes {
                a_delete_removes_the_row
                a_delete_names_rows_by_key_too
                cascade_deletes_what_hangs_on_the_row
                remove_link_empties_the_lookup_and_marks_the_row
                restrict_refuses_while_a_row_points_there
                restrict_deep_in_a_cascade_names_the_target
                no_cascade_leaves_the_value
                deleted_rows_do_not_hold_each_other
                a_lookup_to_another_table_is_left_alone
            }
            spreads {
                a_new_owner_goes_on_to_the_rows_that_a_relationship_means
                a_row_that_would_be_above_itself_is_refused
                rows_that_a_new_owner_goes_on_to_are_checked
                random_messages_spread_as_the_model_says
            }
            queries {
                comparisons_of_every_kind
                comparisons_of_text_are_folded
                comparisons_with_null
                text_matches
                lists_of_values
                columns_against_columns
                both_and_either
                order_by_every_kind_in_both_directions
                order_of_text_is_the_order_of_its_fold
                pages_follow_each_other_over_ties_and_nulls
                pages_look_ahead_only_when_asked
                pages_in_parts_are_those_that_are_read_whole
                counts_stop_at_their_cap
                output_columns_come_in_the_order_asked_for
                filters_and_orders_work_on_computed_columns
            }
            related {
                rows_are_found_by_what_points_to_them
                rows_are_found_by_what_they_point_to
                conditions_about_other_rows_nest_and_join
                rows_are_compared_with_the_row_outside
            }
            schema {
                a_new_table_can_be_written_at_once
                a_new_column_is_null_in_rows_that_exist
                a_new_key_holds_for_rows_that_exist
                a_new_key_over_equal_rows_is_refused
                a_change_that_collides_leaves_nothing
                rows_of_a_change_are_written_with_it_or_not_at_all
                stale_definitions_are_refused
                definitions_load_as_they_were_made
            }
            follow {
                deleted_rows_of_a_followed_table_are_remembered
                rows_that_go_with_another_are_remembered
                a_row_that_is_there_again_is_not_deleted
                what_is_forgotten_is_gone
                a_refused_delete_is_not_remembered
                following_is_bound_to_definitions
                no_change_is_lost_under_concurrent_writes
            }
            definitions {
                pairs_go_with_either_side
                a_pair_stands_once_and_both_sides_exist
                what_is_dropped_goes_with_its_values
                a_dropped_column_moves_the_places_behind_it
                numbers_of_what_is_gone_are_not_given_again
                a_lookup_that_loses_a_target_is_emptied_there
                changed_definitions_load_as_they_were_changed
                what_others_depend_on_stays
            }
            numbers {
                numbers_ascend_from_the_seed_of_each_counter
                counters_go_on_after_a_reopen
                a_counter_is_restarted_with_any_number
                a_counter_outlives_its_pattern_and_goes_with_its_column
                a_column_without_a_counter_has_no_numbers
                numbers_are_bound_to_definitions
                many_tasks_get_different_numbers
                numbers_are_taken_in_an_open_transaction
            }
            pieces {
                pieces_of_files_read_back
                pieces_survive_a_reopen
                pieces_that_no_row_names_are_forgotten
            }
            transactions {
                what_is_written_in_between_is_read_and_then_kept
                versions_of_a_transaction_ascend_and_go_on
                a_dropped_transaction_leaves_nothing
                a_refusal_tells_its_rows_and_dooms_the_transaction
                a_missing_row_is_told_in_a_transaction
                a_transaction_ends_when_its_time_is_over
                a_transaction_is_bound_to_definitions
            }
            lifetime {
                everything_survives_a_reopen
                versions_go_on_after_a_reopen
                writes_of_many_tasks_keep_every_row
                changes_of_one_row_by_many_tasks_are_all_judged
                reads_during_writes_see_whole_messages
            }
            histories {
                random_histories_agree_with_the_reference
            }
            shapes {
                groups_add_up_exactly
                groups_of_text_are_made_by_its_fold
                dates_are_grouped_by_their_parts
                instants_are_grouped_by_their_local_days
                groups_are_ordered_paged_and_counted
                rows_without_keys_are_one_group
                the_first_partner_is_the_only_one
                every_parent_has_its_first_rows
                labels_order_pages_of_choices
            }
            random_queries {
                random_queries_agree_with_the_evaluator
            }
            cases {
                query_cases_agree
            }
        }
    };
    (@list $harness:ty: $($module:ident { $($name:ident)* })*) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                // Boxed: a test's future is large, and its size is of no interest.
                ::std::boxed::Box::pin($crate::conformance::suite::$module::$name::<$harness>()).await;
            }
        )*)*
    };
}
