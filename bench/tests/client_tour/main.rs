//! Tour with the Rust client `zookeeper-client`, which this project did not write: what its users
//! call, call by call. `BENCH_SERVER=apache` runs it against the original.

mod people;
mod sessions;
mod together;
mod watching;
mod znodes;

use std::{future::Future, time::Duration};

use ringkeeper_bench::{
    cases,
    tour::{self, Tour},
    wire::Failure,
};
use tokio::{runtime::Builder, time::timeout};
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions};

/// A persistent znode that is open to everybody.
const OPEN: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

fn main() -> std::process::ExitCode {
    tour::main(&cases![
        znodes::create_modes,
        znodes::sequence_numbers,
        znodes::stats_and_versions,
        znodes::errors_have_names,
        znodes::directories_and_counts,
        znodes::ttl_and_container,
        znodes::chroot_hides_its_parents,
        znodes::requests_are_answered_in_order,
        znodes::data_of_every_size_comes_back,
        znodes::children_change_their_parents_stat,
        znodes::ephemerals_are_listed_by_prefix,
        znodes::sequence_numbers_ignore_deletes,
        znodes::a_ttl_znode_looks_persistent,
        together::multi_writes,
        together::failed_multi_writes_nothing,
        together::multi_reads,
        together::check_writer,
        together::a_lock_is_held_by_one,
        together::a_multi_numbers_its_creates,
        together::a_failed_multi_says_which_part,
        together::an_empty_multi_is_answered,
        together::a_multi_tells_watchers,
        together::a_lock_makes_its_ancestors,
        watching::one_time_watches,
        watching::persistent_watches,
        watching::recursive_watches,
        watching::removed_watches_are_silent,
        watching::watchers_on_one_path_are_told_each,
        watching::a_watch_is_removed_by_name,
        watching::a_chroot_shortens_the_paths_of_events,
        watching::a_crowd_of_watchers_is_told,
        people::auth_and_acl,
        people::users_are_listed,
        people::config_can_be_read_and_watched,
        people::each_permission_is_asked_for,
        people::the_super_user_may_everything,
        people::a_connector_brings_its_identity,
        people::hard_quotas_are_enforced,
        sessions::a_session_moves_to_another_client,
        sessions::ephemerals_end_with_their_client,
        sessions::a_client_comes_back_after_a_restart,
        sessions::an_old_session_has_expired,
        sessions::sync_and_read_own_writes,
        sessions::timeouts_are_negotiated,
        sessions::states_are_told,
        sessions::pings_keep_a_session,
        sessions::an_idle_session_expires,
    ])
}

/// Lets the client's tasks run on tokio: it asks the thread for a way to spawn them.
struct OnTokio;

impl spawns_core::Spawn for OnTokio {
    fn spawn(&self, task: spawns_core::Task) {
        drop(tokio::spawn(Box::into_pin(task.future)));
    }
}

/// Runs a story, for half a minute at most.
fn run(story: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let _scope = spawns_core::enter(&OnTokio);
    runtime.block_on(async { timeout(Duration::from_secs(30), story).await? })
}

async fn connect(tour: &Tour) -> Result<Client, Failure> {
    Ok(Client::connect(&tour.address().to_string()).await?)
}
