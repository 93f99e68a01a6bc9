//! What users of ZooKeeper and of its clones have suffered from, one case each, named after the
//! pain. Each expectation was seen on Apache ZooKeeper 3.9.5 (`BENCH_SERVER=apache` runs the same
//! cases against it); where Apache itself is the pain, the case says so.

mod counters;
mod requests;
mod sessions;
mod sizes;
mod watching;

use ringkeeper_bench::{cases, tour};

fn main() -> std::process::ExitCode {
    tour::main(&cases![
        counters::cversion_counts_creates_and_deletes,
        counters::pzxid_is_the_last_change_of_children,
        counters::a_failed_multi_leaves_no_gap_in_sequence_numbers,
        counters::sequence_numbers_go_on_after_a_restart,
        counters::set_acl_is_not_a_change_of_data,
        requests::create2_answers_path_and_stat,
        requests::add_watch_is_answered_with_a_body,
        requests::containers_are_created_with_their_own_opcode,
        requests::ttl_znodes_may_have_children,
        requests::ttl_and_container_owners_are_hidden,
        requests::sync_of_a_path_that_is_not_there,
        requests::an_unknown_request_costs_the_connection_only,
        requests::exists_of_what_may_not_be_read,
        requests::acl_hashes_are_hidden,
        requests::a_check_alone_is_not_offered,
        watching::set_watches_by_its_old_opcode,
        watching::set_watches_by_its_new_opcode,
        watching::a_watch_is_not_fired_twice_after_a_reconnect,
        watching::a_reconnect_without_changes_fires_nothing,
        watching::persistent_watches_come_back_without_events,
        watching::an_event_is_never_behind_the_read_that_shows_it,
        sessions::a_session_moves_to_another_connection,
        sessions::a_session_moves_with_its_ephemerals_through_a_restart,
        sessions::the_old_connection_of_a_moved_session_cannot_write,
        sessions::a_session_that_only_reads_does_not_expire,
        sessions::a_session_id_that_was_lost_stays_lost,
        sessions::a_wrong_password_does_not_harm_the_owner,
        sessions::no_ghost_is_left_by_a_create_before_a_close,
        sessions::no_ghost_is_left_by_an_expiry_after_a_restart,
        sessions::ephemerals_of_a_session_closed_before_a_restart_stay_gone,
        sessions::requests_sent_with_the_handshake_are_not_lost,
        sessions::a_storm_of_reconnects_keeps_every_session,
        sessions::a_client_that_saw_the_future_is_turned_away,
        sizes::a_request_over_the_limit_costs_the_connection_not_the_session,
        sizes::a_list_of_children_over_the_limit_is_sent_whole,
        sizes::a_restart_reads_transactions_of_any_size,
        sizes::a_smaller_limit_after_a_restart_reads_what_is_there,
        sizes::a_multi_over_the_limit_is_refused_whole,
        sizes::set_watches_may_come_in_many_parts,
    ])
}
