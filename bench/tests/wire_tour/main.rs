//! Tour of the protocol in bytes: what every client relies on, and what no client library can send.
//! Each expectation was seen on Apache ZooKeeper 3.9.5: `BENCH_SERVER=apache cargo test -p
//! ringkeeper-bench --test wire_tour` runs the same cases against it.

mod multi;
mod sessions;
mod watches;
mod znodes;

use ringkeeper_bench::{cases, tour};

fn main() -> std::process::ExitCode {
    tour::main(&cases![
        znodes::a_new_znode_has_one_zxid_in_its_stat,
        znodes::children_change_their_parent,
        znodes::set_data_checks_and_counts_versions,
        znodes::failed_writes_take_one_zxid,
        znodes::sequence_numbers_count_sibling_creates,
        znodes::null_data_is_not_empty_data,
        znodes::a_fresh_server_has_its_system_znodes,
        znodes::ephemerals_go_with_their_session,
        znodes::containers_go_when_their_last_child_went,
        znodes::ttl_znodes_go_when_they_are_idle,
        znodes::ttl_needs_extended_types,
        znodes::bad_paths_are_refused,
        znodes::delete_checks_in_order,
        znodes::create_checks_in_order,
        znodes::counts_and_lists,
        znodes::kinds_and_flags_may_disagree,
        znodes::null_and_relative_paths,
        znodes::a_megabyte_fits,
        multi::parts_share_one_zxid_and_see_each_other,
        multi::one_failure_undoes_everything,
        multi::each_kind_of_failure_has_its_code,
        multi::bad_lists_are_refused_whole,
        multi::multi_read_answers_each_part_by_itself,
        watches::each_kind_fires_once,
        watches::an_event_comes_before_the_reply_that_shows_it,
        watches::events_of_a_multi_come_in_its_order,
        watches::persistent_watches_stay,
        watches::recursive_watches_see_descendants,
        watches::watches_are_checked_and_removed_by_kind,
        watches::set_watches_catches_up,
        watches::events_need_read_permission,
        watches::the_end_of_a_session_fires_watches,
        sessions::the_timeout_is_clamped,
        sessions::the_read_only_byte_is_echoed_or_absent,
        sessions::odd_handshakes_are_accepted,
        sessions::a_client_that_has_seen_more_is_turned_away,
        sessions::a_session_is_resumed,
        sessions::a_wrong_password_is_an_expired_session,
        sessions::an_unknown_session_is_an_expired_session,
        sessions::a_second_connection_takes_the_session_over,
        sessions::requests_may_follow_the_handshake_at_once,
        sessions::silence_expires_a_session_and_pings_keep_it,
        sessions::sessions_survive_a_kill_of_the_server,
        sessions::sigterm_keeps_sessions,
        sessions::passwords_cannot_be_computed,
        sessions::nothing_runs_behind_a_close,
        sessions::too_many_connections_of_one_address,
        sessions::a_connection_without_a_session_is_dropped,
        sessions::old_and_new_clients_share_a_server,
        sessions::many_requests_in_flight_come_back_in_order,
    ])
}
