//! Tour with the Rust client `zookeeper-client`, which this project did not write: what its users
//! call, once each. `BENCH_SERVER=apache` runs it against the original.

use std::{future::Future, time::Duration};

use ringkeeper_bench::{
    cases,
    servers::Settings,
    tour::{self, Tour},
    wire::Failure,
};
use tokio::{runtime::Builder, time::timeout};
use zookeeper_client::{
    Acl, Acls, AddWatchMode, AuthId, Client, CreateMode, CreateOptions, Error, EventType,
    LockOptions, LockPrefix, MultiReadResult, MultiWriteError, MultiWriteResult, Permission,
};

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
        together::multi_writes,
        together::failed_multi_writes_nothing,
        together::multi_reads,
        together::check_writer,
        together::a_lock_is_held_by_one,
        watching::one_time_watches,
        watching::persistent_watches,
        watching::recursive_watches,
        watching::removed_watches_are_silent,
        people::auth_and_acl,
        people::users_are_listed,
        people::config_can_be_read_and_watched,
        sessions::a_session_moves_to_another_client,
        sessions::ephemerals_end_with_their_client,
        sessions::a_client_comes_back_after_a_restart,
        sessions::an_old_session_has_expired,
        sessions::sync_and_read_own_writes,
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

mod znodes {
    use super::*;

    pub(crate) fn create_modes(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            let (stat, _) = client.create("/c-modes", b"data", &OPEN).await?;
            assert_eq!(client.get_data("/c-modes").await?, (b"data".to_vec(), stat));
            let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
            let (stat, _) = client.create("/c-modes/e", b"", &ephemeral).await?;
            assert_eq!(stat.ephemeral_owner, client.session_id().0);
            assert_eq!(client.list_ephemerals("/c-modes").await?, ["/c-modes/e"]);
            let refused = client.create("/c-modes/e/x", b"", &OPEN).await;
            assert_eq!(refused.err(), Some(Error::NoChildrenForEphemerals));
            assert_eq!(client.list_children("/c-modes").await?, ["e"]);
            Ok(())
        })
    }

    pub(crate) fn sequence_numbers(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            client.create("/c-seq", b"", &OPEN).await?;
            let sequential = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
            for expected in 0..3 {
                let (_, number) = client.create("/c-seq/n-", b"", &sequential).await?;
                assert_eq!(number.into_i64(), expected);
            }
            let ephemeral = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
            let (_, number) = client.create("/c-seq/e-", b"", &ephemeral).await?;
            assert_eq!(number.to_string(), "0000000003");
            Ok(())
        })
    }

    pub(crate) fn stats_and_versions(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            let (created, _) = client.create("/c-stat", b"1", &OPEN).await?;
            let set = client.set_data("/c-stat", b"22", Some(0)).await?;
            assert_eq!((set.version, set.data_length, set.czxid), (1, 2, created.czxid));
            assert!(created.mzxid < set.mzxid);
            let refused = client.set_data("/c-stat", b"", Some(0)).await;
            assert_eq!(refused.err(), Some(Error::BadVersion));
            assert_eq!(client.check_stat("/c-stat").await?, Some(set));
            assert_eq!(client.delete("/c-stat", Some(0)).await.err(), Some(Error::BadVersion));
            client.delete("/c-stat", Some(1)).await?;
            assert_eq!(client.check_stat("/c-stat").await?, None);
            Ok(())
        })
    }

    pub(crate) fn errors_have_names(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            client.create("/c-err", b"", &OPEN).await?;
            client.create("/c-err/child", b"", &OPEN).await?;
            assert_eq!(client.get_data("/c-none").await.err(), Some(Error::NoNode));
            assert_eq!(client.get_children("/c-none").await.err(), Some(Error::NoNode));
            assert_eq!(client.set_data("/c-none", b"", None).await.err(), Some(Error::NoNode));
            assert_eq!(client.create("/c-none/x", b"", &OPEN).await.err(), Some(Error::NoNode));
            assert_eq!(client.create("/c-err", b"", &OPEN).await.err(), Some(Error::NodeExists));
            assert_eq!(client.delete("/c-err", None).await.err(), Some(Error::NotEmpty));
            assert_eq!(client.delete("/c-none", None).await.err(), Some(Error::NoNode));
            assert_eq!(client.get_acl("/c-none").await.err(), Some(Error::NoNode));
            Ok(())
        })
    }

    pub(crate) fn directories_and_counts(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            client.mkdir("/c-dir/a/b/c", &OPEN).await?;
            assert_eq!(client.count_descendants_number("/c-dir").await?, 3);
            let (children, stat) = client.get_children("/c-dir").await?;
            assert_eq!((children, stat.num_children), (vec!["a".to_owned()], 1));
            Ok(())
        })
    }

    pub(crate) fn ttl_and_container(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            client.create("/c-ttl", b"", &OPEN.with_ttl(Duration::from_millis(300))).await?;
            let container = CreateMode::Container.with_acls(Acls::anyone_all());
            let (stat, _) = client.create("/c-box", b"", &container).await?;
            assert_eq!(stat.ephemeral_owner, 0);
            client.create("/c-box/a", b"", &OPEN).await?;
            let (_, _, watcher) = client.get_and_watch_data("/c-ttl").await?;
            assert_eq!(watcher.changed().await.event_type, EventType::NodeDeleted);
            let (_, _, watcher) = client.get_and_watch_data("/c-box").await?;
            client.delete("/c-box/a", None).await?;
            assert_eq!(watcher.changed().await.event_type, EventType::NodeDeleted);
            Ok(())
        })
    }

    pub(crate) fn chroot_hides_its_parents(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            client.create("/c-root", b"top", &OPEN).await?;
            let inner = client.clone().chroot("/c-root").map_err(|_| "a good chroot")?;
            inner.create("/x", b"in", &OPEN).await?;
            assert_eq!(client.get_data("/c-root/x").await?.0, b"in");
            assert_eq!(inner.get_data("/").await?.0, b"top");
            assert_eq!(inner.list_children("/").await?, ["x"]);
            Ok(())
        })
    }

    pub(crate) fn requests_are_answered_in_order(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            let created = client.create("/c-order", b"0", &OPEN);
            let before = client.get_data("/c-order");
            let set = client.set_data("/c-order", b"1", None);
            let after = client.get_data("/c-order");
            let (after, set, before, created) = tokio::join!(after, set, before, created);
            created?;
            assert_eq!((before?.0, after?.0), (b"0".to_vec(), b"1".to_vec()));
            assert_eq!(set?.version, 1);
            Ok(())
        })
    }
}

mod together {
    use super::*;

    pub(crate) fn multi_writes(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            client.create("/c-multi", b"", &OPEN).await?;
            let mut writer = client.new_multi_writer();
            writer.add_check_version("/c-multi", 0)?;
            writer.add_create("/c-multi/a", b"a", &OPEN)?;
            writer.add_set_data("/c-multi/a", b"b", Some(0))?;
            writer.add_delete("/c-multi/a", Some(1))?;
            let results = writer.commit().await?;
            assert_eq!(results.len(), 4);
            assert_eq!(results[0], MultiWriteResult::Check);
            assert!(
                matches!(&results[1], MultiWriteResult::Create { path, .. } if path == "/c-multi/a")
            );
            assert!(matches!(&results[2], MultiWriteResult::SetData { stat } if stat.version == 1));
            assert_eq!(results[3], MultiWriteResult::Delete);
            Ok(())
        })
    }

    pub(crate) fn failed_multi_writes_nothing(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            client.create("/c-fail", b"", &OPEN).await?;
            let mut writer = client.new_multi_writer();
            writer.add_create("/c-fail/a", b"", &OPEN)?;
            writer.add_check_version("/c-fail", 7)?;
            let expected = MultiWriteError::OperationFailed { index: 1, source: Error::BadVersion };
            assert_eq!(writer.commit().await.err(), Some(expected));
            assert_eq!(client.check_stat("/c-fail/a").await?, None);
            Ok(())
        })
    }

    pub(crate) fn multi_reads(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            let (_, _) = client.create("/c-read", b"r", &OPEN).await?;
            let (stat, _) = client.create("/c-read/child", b"c", &OPEN).await?;
            let mut reader = client.new_multi_reader();
            reader.add_get_data("/c-read/child")?;
            reader.add_get_data("/c-none")?;
            reader.add_get_children("/c-read")?;
            let results = reader.commit().await?;
            let MultiReadResult::Data { data, stat: seen } = &results[0] else {
                return Err(format!("{results:?}").into());
            };
            assert_eq!((data.as_slice(), seen), (&b"c"[..], &stat));
            assert!(matches!(&results[1], MultiReadResult::Error { err: Error::NoNode }));
            let MultiReadResult::Children { children } = &results[2] else {
                return Err(format!("{results:?}").into());
            };
            assert_eq!(children, &["child"]);
            Ok(())
        })
    }

    pub(crate) fn check_writer(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            client.create("/c-check", b"", &OPEN).await?;
            let mut writer = client.new_check_writer("/c-check", Some(0))?;
            writer.add_create("/c-check/a", b"", &OPEN)?;
            writer.commit().await?;
            client.set_data("/c-check", b"", None).await?;
            let mut writer = client.new_check_writer("/c-check", Some(0))?;
            writer.add_delete("/c-check/a", None)?;
            assert!(writer.commit().await.is_err());
            assert!(client.check_stat("/c-check/a").await?.is_some());
            Ok(())
        })
    }

    pub(crate) fn a_lock_is_held_by_one(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let (first, second) = (connect(tour).await?, connect(tour).await?);
            first.create("/c-lock", b"", &OPEN).await?;
            let prefix = || LockPrefix::new_curator("/c-lock", "latch-");
            let held = first.lock(prefix()?, b"1", Acls::anyone_all()).await?;
            held.create("/c-lock-data", b"by one", &OPEN).await?;
            let options = LockOptions::from(Acls::anyone_all());
            let waiting = second.lock(prefix()?, b"2", options);
            tokio::pin!(waiting);
            let early = timeout(Duration::from_millis(200), &mut waiting).await;
            assert!(early.is_err(), "the second waits");
            drop(held);
            let held = waiting.await?;
            held.set_data("/c-lock-data", b"by two", Some(0)).await?;
            Ok(())
        })
    }
}

mod watching {
    use super::*;

    pub(crate) fn one_time_watches(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let (watcher, writer) = (connect(tour).await?, connect(tour).await?);
            let (stat, created) = watcher.check_and_watch_stat("/c-once").await?;
            assert_eq!(stat, None);
            let (stat, _) = writer.create("/c-once", b"", &OPEN).await?;
            let event = created.changed().await;
            assert_eq!(
                (event.event_type, event.path.as_str()),
                (EventType::NodeCreated, "/c-once")
            );
            assert_eq!(event.zxid, stat.czxid);
            let (_, _, changed) = watcher.get_and_watch_data("/c-once").await?;
            let (_, _, children) = watcher.get_and_watch_children("/c-once").await?;
            writer.set_data("/c-once", b"1", None).await?;
            assert_eq!(changed.changed().await.event_type, EventType::NodeDataChanged);
            writer.create("/c-once/a", b"", &OPEN).await?;
            assert_eq!(children.changed().await.event_type, EventType::NodeChildrenChanged);
            Ok(())
        })
    }

    pub(crate) fn persistent_watches(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let (watcher, writer) = (connect(tour).await?, connect(tour).await?);
            let mut events = watcher.watch("/c-pers", AddWatchMode::Persistent).await?;
            writer.create("/c-pers", b"", &OPEN).await?;
            writer.set_data("/c-pers", b"", None).await?;
            writer.create("/c-pers/a", b"", &OPEN).await?;
            writer.delete("/c-pers/a", None).await?;
            writer.delete("/c-pers", None).await?;
            for expected in [
                EventType::NodeCreated,
                EventType::NodeDataChanged,
                EventType::NodeChildrenChanged,
                EventType::NodeChildrenChanged,
                EventType::NodeDeleted,
            ] {
                let event = events.changed().await;
                assert_eq!((event.event_type, event.path.as_str()), (expected, "/c-pers"));
            }
            Ok(())
        })
    }

    pub(crate) fn recursive_watches(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let (watcher, writer) = (connect(tour).await?, connect(tour).await?);
            let mut events = watcher.watch("/c-rec", AddWatchMode::PersistentRecursive).await?;
            writer.mkdir("/c-rec/a/b", &OPEN).await?;
            writer.set_data("/c-rec/a", b"", None).await?;
            for (kind, path) in [
                (EventType::NodeCreated, "/c-rec"),
                (EventType::NodeCreated, "/c-rec/a"),
                (EventType::NodeCreated, "/c-rec/a/b"),
                (EventType::NodeDataChanged, "/c-rec/a"),
            ] {
                let event = events.changed().await;
                assert_eq!((event.event_type, event.path.as_str()), (kind, path));
            }
            Ok(())
        })
    }

    pub(crate) fn removed_watches_are_silent(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let (watcher, writer) = (connect(tour).await?, connect(tour).await?);
            let dropped = watcher.watch("/c-drop", AddWatchMode::PersistentRecursive).await?;
            drop(dropped);
            writer.create("/c-drop", b"", &OPEN).await?;
            let mut events = watcher.watch("/c-drop", AddWatchMode::Persistent).await?;
            writer.set_data("/c-drop", b"", None).await?;
            assert_eq!(events.changed().await.event_type, EventType::NodeDataChanged);
            Ok(())
        })
    }
}

mod people {
    use super::*;

    pub(crate) fn auth_and_acl(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let (owner, other) = (connect(tour).await?, connect(tour).await?);
            owner.auth("digest", b"c-owner:secret").await?;
            let mine = CreateMode::Persistent.with_acls(Acls::creator_all());
            owner.create("/c-acl", b"mine", &mine).await?;
            assert_eq!(other.get_data("/c-acl").await.err(), Some(Error::NoAuth));
            assert_eq!(other.check_stat("/c-acl").await.err(), Some(Error::NoAuth));
            let unknown = other.create("/c-acl2", b"", &mine).await;
            assert_eq!(unknown.err(), Some(Error::InvalidAcl));
            let (acl, stat) = owner.get_acl("/c-acl").await?;
            assert_eq!((acl.len(), acl[0].scheme(), stat.aversion), (1, "digest", 0));
            let world = [Acl::new(Permission::READ, AuthId::anyone())];
            let stat = owner.set_acl("/c-acl", &world, Some(0)).await?;
            assert_eq!(stat.aversion, 1);
            assert_eq!(other.get_data("/c-acl").await?.0, b"mine");
            Ok(())
        })
    }

    pub(crate) fn users_are_listed(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            client.auth("digest", b"c-user:x").await?;
            let users = client.list_auth_users().await?;
            let shown: Vec<_> = users.iter().map(|user| (user.scheme(), user.user())).collect();
            assert!(shown.contains(&("digest", "c-user")), "{shown:?}");
            assert!(shown.contains(&("ip", "127.0.0.1")), "{shown:?}");
            let refused = client.auth("nonsense", b"").await;
            assert_eq!(refused.err(), Some(Error::AuthFailed));
            Ok(())
        })
    }

    pub(crate) fn config_can_be_read_and_watched(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let client = connect(tour).await?;
            let (data, stat) = client.get_config().await?;
            assert_eq!((data, stat.version), (Vec::new(), 0));
            let (_, _, watcher) = client.get_and_watch_config().await?;
            drop(watcher);
            Ok(())
        })
    }
}

mod sessions {
    use super::*;

    pub(crate) fn a_session_moves_to_another_client(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let address = tour.address().to_string();
            let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
            let first = Client::connector().with_detached().connect(&address).await?;
            let (stat, _) = first.create("/c-move", b"", &ephemeral).await?;
            let id = first.session_id();
            let session = first.into_session();
            let second = Client::connector().with_session(session).connect(&address).await?;
            assert_eq!(second.session_id(), id);
            assert_eq!(second.check_stat("/c-move").await?, Some(stat));
            Ok(())
        })
    }

    pub(crate) fn ephemerals_end_with_their_client(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let (owner, witness) = (connect(tour).await?, connect(tour).await?);
            let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
            owner.create("/c-end", b"", &ephemeral).await?;
            let (_, watcher) = witness.check_and_watch_stat("/c-end").await?;
            drop(owner);
            assert_eq!(watcher.changed().await.event_type, EventType::NodeDeleted);
            Ok(())
        })
    }

    pub(crate) fn a_client_comes_back_after_a_restart(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let mut server = tour.private(Settings::new())?;
            let address = server.address().to_string();
            let client = Client::connector()
                .with_session_timeout(Duration::from_secs(20))
                .connect(&address)
                .await?;
            let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
            let (stat, _) = client.create("/c-back", b"", &ephemeral).await?;
            let (_, _, watcher) = client.get_and_watch_data("/c-back").await?;
            server.kill()?;
            server.run()?;
            let seen = loop {
                match client.check_stat("/c-back").await {
                    Err(Error::ConnectionLoss) => {
                        tokio::time::sleep(Duration::from_millis(20)).await
                    }
                    other => break other?,
                }
            };
            assert_eq!(seen, Some(stat));
            client.set_data("/c-back", b"1", Some(0)).await?;
            let event = watcher.changed().await;
            assert_eq!(event.event_type, EventType::NodeDataChanged, "the watch came back, too");
            Ok(())
        })
    }

    pub(crate) fn an_old_session_has_expired(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let address = tour.address().to_string();
            let client = Client::connector().with_detached().connect(&address).await?;
            let copy = client.session().clone();
            drop(client.into_session());
            let owner = Client::connector().with_session(copy.clone()).connect(&address).await?;
            drop(owner);
            // The owner's drop closes the session: wait until the server says so.
            loop {
                let again = Client::connector().with_detached().with_session(copy.clone());
                match again.connect(&address).await {
                    Err(Error::SessionExpired) => return Ok(()),
                    Err(other) => return Err(other.into()),
                    Ok(early) => drop(early),
                }
            }
        })
    }

    pub(crate) fn sync_and_read_own_writes(tour: &Tour) -> Result<(), Failure> {
        run(async {
            let (writer, reader) = (connect(tour).await?, connect(tour).await?);
            writer.create("/c-sync", b"0", &OPEN).await?;
            for round in 1..=50_u8 {
                writer.set_data("/c-sync", &[round], None).await?;
                reader.sync("/c-sync").await?;
                assert_eq!(reader.get_data("/c-sync").await?.0, [round]);
            }
            Ok(())
        })
    }
}
