//! What happens by time: when sessions expire, when containers and TTL znodes go, when connections
//! are refused or dropped. Each window was seen on Apache ZooKeeper 3.9.5 (`BENCH_SERVER=apache`
//! runs the same cases against it). The windows leave room for a busy machine, and less than the
//! next wrong answer would need.

mod limits;
mod negotiation;
mod reaping;
mod sessions;
mod window;

use ringkeeper_bench::{cases, tour};

fn main() -> std::process::ExitCode {
    tour::main(&cases![
        negotiation::the_limits_are_two_and_twenty_ticks,
        negotiation::both_limits_can_be_set,
        negotiation::one_limit_can_be_set,
        sessions::an_idle_session_expires_within_a_tick_of_its_timeout,
        sessions::a_ping_starts_the_time_anew,
        sessions::a_request_starts_the_time_anew,
        sessions::expiry_closes_the_connection,
        sessions::a_broken_connection_leaves_the_session_its_time,
        sessions::a_session_that_is_taken_up_starts_anew,
        sessions::after_a_restart_a_session_has_its_full_timeout,
        reaping::containers_go_at_the_interval,
        reaping::a_container_that_was_never_used_stays,
        reaping::a_ttl_counts_from_the_creation,
        reaping::a_ttl_counts_from_the_last_change_of_data,
        reaping::a_ttl_does_not_count_from_children,
        limits::so_many_connections_of_an_address_and_no_more,
        limits::each_address_has_its_own_count,
        limits::a_closed_connection_makes_room,
        limits::sixty_by_default,
        limits::zero_is_no_limit,
        limits::a_refused_client_sees_the_end,
        limits::a_connection_without_a_session_is_dropped_in_time,
    ])
}
