//! Watches of every kind.

use ringkeeper_bench::{tour::Tour, wire::Failure};
use zookeeper_client::{AddWatchMode, EventType};

use crate::{OPEN, connect, run};

pub(crate) fn one_time_watches(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let (watcher, writer) = (connect(tour).await?, connect(tour).await?);
        let (stat, created) = watcher.check_and_watch_stat("/c-once").await?;
        assert_eq!(stat, None);
        let (stat, _) = writer.create("/c-once", b"", &OPEN).await?;
        let event = created.changed().await;
        assert_eq!((event.event_type, event.path.as_str()), (EventType::NodeCreated, "/c-once"));
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

pub(crate) fn watchers_on_one_path_are_told_each(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let (watcher, writer) = (connect(tour).await?, connect(tour).await?);
        writer.create("/c-each", b"", &OPEN).await?;
        let (_, _, first) = watcher.get_and_watch_data("/c-each").await?;
        let (_, second) = watcher.check_and_watch_stat("/c-each").await?;
        let mut persistent = watcher.watch("/c-each", AddWatchMode::Persistent).await?;
        let mut recursive = watcher.watch("/c-each", AddWatchMode::PersistentRecursive).await?;
        writer.set_data("/c-each", b"1", None).await?;
        for event in [
            first.changed().await,
            second.changed().await,
            persistent.changed().await,
            recursive.changed().await,
        ] {
            assert_eq!(event.event_type, EventType::NodeDataChanged);
        }
        writer.delete("/c-each", None).await?;
        assert_eq!(persistent.changed().await.event_type, EventType::NodeDeleted);
        assert_eq!(recursive.changed().await.event_type, EventType::NodeDeleted);
        Ok(())
    })
}

#[expect(deprecated, reason = "a drop does not wait for the server's answer, this does")]
pub(crate) fn a_watch_is_removed_by_name(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let (watcher, writer) = (connect(tour).await?, connect(tour).await?);
        writer.create("/c-named", b"", &OPEN).await?;
        let (_, _, data) = watcher.get_and_watch_data("/c-named").await?;
        let (_, children) = watcher.list_and_watch_children("/c-named").await?;
        data.remove().await?;
        writer.set_data("/c-named", b"1", None).await?;
        writer.create("/c-named/a", b"", &OPEN).await?;
        assert_eq!(children.changed().await.event_type, EventType::NodeChildrenChanged);
        let persistent = watcher.watch("/c-named", AddWatchMode::Persistent).await?;
        persistent.remove().await?;
        let recursive = watcher.watch("/c-named", AddWatchMode::PersistentRecursive).await?;
        recursive.remove().await?;
        Ok(())
    })
}

pub(crate) fn a_chroot_shortens_the_paths_of_events(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let writer = connect(tour).await?;
        writer.create("/c-short", b"", &OPEN).await?;
        let inner = connect(tour).await?.chroot("/c-short").map_err(|_| "a good chroot")?;
        let (_, created) = inner.check_and_watch_stat("/x").await?;
        let mut all = inner.watch("/", AddWatchMode::PersistentRecursive).await?;
        writer.create("/c-short/x", b"", &OPEN).await?;
        assert_eq!(created.changed().await.path, "/x");
        assert_eq!(all.changed().await.path, "/x");
        writer.set_data("/c-short", b"1", None).await?;
        assert_eq!(all.changed().await.path, "/");
        Ok(())
    })
}

pub(crate) fn a_crowd_of_watchers_is_told(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let writer = connect(tour).await?;
        let (stat, _) = writer.create("/c-crowd", b"", &OPEN).await?;
        let mut watchers = Vec::new();
        for _ in 0..50 {
            let client = connect(tour).await?;
            let (_, seen, watcher) = client.get_and_watch_data("/c-crowd").await?;
            assert_eq!(seen, stat);
            watchers.push((client, watcher));
        }
        let zxid = writer.set_data("/c-crowd", b"1", None).await?.mzxid;
        for (_client, watcher) in watchers {
            assert_eq!(watcher.changed().await.zxid, zxid);
        }
        Ok(())
    })
}
