//! One suite for every backplane: each sentence of the contract in `src/backplane.rs` has a test here that is named for it.
//!
//! A test is a function over a [`cluster::Cluster`], "instances that form one relay". `suite!` lists
//! those that hold for one instance, `suite_across!` those that need several.

mod cluster;
mod harness;
mod recorder;
#[path = "../support/redis_server.rs"]
mod redis_server;

mod directory;
mod ephemeral;
mod model;
mod order;
mod outcomes;
mod presence;
mod reading;
mod restart;
mod state;

/// The tests of the suite for one kind of cluster, by the module they are in.
macro_rules! tests {
    ($cluster:ty; $($module:ident: $($name:ident)*;)*) => {
        $($(#[test] fn $name() { crate::$module::$name::<$cluster>(); })*)*
    };
}

macro_rules! suite {
    ($cluster:ty) => {
        tests! { $cluster;
            order: all_instances_see_one_contiguous_order an_authors_entries_keep_their_order
                canvases_are_numbered_apart a_frame_says_what_was_sent
                every_entry_is_delivered_or_answered_once what_is_delivered_is_committed;
            reading: after_open_nothing_is_missed a_later_sink_replaces_an_earlier_one
                read_fills_what_a_sink_lost a_read_keeps_to_its_budget
                a_position_that_never_was_is_gone an_expired_position_is_gone
                a_quiet_canvas_is_recoverable;
            outcomes: a_resent_op_is_a_duplicate an_update_of_nothing_is_ignored
                an_object_over_the_limit_is_refused one_object_too_many_is_refused
                objects_over_the_bytes_of_a_canvas_are_refused
                op_numbers_may_be_skipped later_ops_wait_for_a_refused_one a_flood_keeps_its_order;
            state: a_snapshot_is_not_before_the_head a_snapshot_and_the_stream_make_the_state
                objects_follow_their_messages logs_follow_their_messages
                a_chat_message_names_its_author
                the_chat_history_is_bounded;
            presence: a_join_is_told_before_it_is_answered a_join_says_what_was_acked
                presence_tables_converge a_new_connection_takes_the_place
                a_lost_client_is_away_and_may_come_back a_lost_client_is_gone_after_the_grace
                a_clean_leave_is_told_at_once a_client_belongs_to_its_first_subject;
            ephemeral: signals_come_round_once_in_order cursors_come_round_once;
            directory: a_canvas_is_found_without_being_opened what_is_published_takes_its_place
                what_is_published_twice_is_a_duplicate what_cannot_be_published_says_why
                a_published_op_belongs_to_its_subject an_op_of_somebody_elses_client_is_refused a_deleted_canvas_begins_anew
                a_kicked_connection_is_told_everywhere
                a_post_comes_to_the_instance_of_its_stream;
            model: random_entries_end_as_in_the_model;
        }
    };
}

macro_rules! suite_across {
    ($cluster:ty) => {
        tests! { $cluster;
            outcomes: a_resent_op_is_a_duplicate_on_every_instance
                the_bytes_of_a_canvas_are_counted_over_all_instances;
            restart: a_shutdown_commits_what_was_taken_and_leaves_no_one_behind
                a_new_instance_goes_on_where_the_old_one_was
                an_instance_that_shut_down_refuses;
        }
    };
}

/// The in-process backplane as the server uses it.
mod memory {
    suite!(crate::cluster::Memory);
}

/// Several instances of the in-process backplane over one relay.
mod memory_peers {
    suite!(crate::cluster::MemoryPeers);
    suite_across!(crate::cluster::MemoryPeers);
}

mod log;
mod mending;
mod redis;
mod replicated;
mod sqlite;
