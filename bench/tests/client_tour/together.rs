//! Several operations as one, and locks, which are made of them.

use std::time::Duration;

use ringkeeper_bench::{tour::Tour, wire::Failure};
use tokio::time::timeout;
use zookeeper_client::{
    Acls, CreateMode, Error, EventType, LockOptions, LockPrefix, MultiReadResult, MultiWriteError,
    MultiWriteResult,
};

use crate::{OPEN, connect, run};

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

pub(crate) fn a_multi_numbers_its_creates(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let client = connect(tour).await?;
        client.create("/c-numbers", b"", &OPEN).await?;
        let sequential = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
        let mut writer = client.new_multi_writer();
        for _ in 0..3 {
            writer.add_create("/c-numbers/n-", b"", &sequential)?;
        }
        let mut paths = Vec::new();
        let mut zxids = Vec::new();
        for result in writer.commit().await? {
            let MultiWriteResult::Create { path, stat } = result else {
                return Err(format!("{result:?}").into());
            };
            paths.push(path);
            zxids.push(stat.czxid);
        }
        let expected = [0, 1, 2].map(|number| format!("/c-numbers/n-{number:010}"));
        assert_eq!(paths, expected);
        assert!(zxids.iter().all(|zxid| *zxid == zxids[0]), "one zxid: {zxids:?}");
        Ok(())
    })
}

pub(crate) fn a_failed_multi_says_which_part(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let client = connect(tour).await?;
        client.mkdir("/c-which/full", &OPEN).await?;
        client.create("/c-which/full/child", b"", &OPEN).await?;
        for (place, expected) in
            [Error::NoNode, Error::NodeExists, Error::NotEmpty, Error::BadVersion]
                .iter()
                .enumerate()
        {
            let mut writer = client.new_multi_writer();
            for _ in 0..place {
                writer.add_check_version("/c-which", 0)?;
            }
            match expected {
                Error::NoNode => writer.add_set_data("/c-which/none", b"", None)?,
                Error::NodeExists => writer.add_create("/c-which/full", b"", &OPEN)?,
                Error::NotEmpty => writer.add_delete("/c-which/full", None)?,
                _ => writer.add_set_data("/c-which", b"", Some(3))?,
            }
            writer.add_delete("/c-which/full/child", None)?;
            let failed =
                MultiWriteError::OperationFailed { index: place, source: expected.clone() };
            assert_eq!(writer.commit().await.err(), Some(failed));
        }
        assert!(client.check_stat("/c-which/full/child").await?.is_some());
        Ok(())
    })
}

pub(crate) fn an_empty_multi_is_answered(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let client = connect(tour).await?;
        assert_eq!(client.new_multi_writer().commit().await?, Vec::new());
        assert_eq!(client.new_multi_reader().commit().await?.len(), 0);
        Ok(())
    })
}

pub(crate) fn a_multi_tells_watchers(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let (watcher, writer) = (connect(tour).await?, connect(tour).await?);
        writer.create("/c-told", b"", &OPEN).await?;
        let (_, _, data) = watcher.get_and_watch_data("/c-told").await?;
        let (_, children) = watcher.list_and_watch_children("/c-told").await?;
        let (_, created) = watcher.check_and_watch_stat("/c-told/a").await?;
        let mut multi = writer.new_multi_writer();
        multi.add_create("/c-told/a", b"", &OPEN)?;
        multi.add_set_data("/c-told", b"new", None)?;
        multi.commit().await?;
        let created = created.changed().await;
        assert_eq!(created.event_type, EventType::NodeCreated);
        let (data, children) = (data.changed().await, children.changed().await);
        assert_eq!(data.event_type, EventType::NodeDataChanged);
        assert_eq!(children.event_type, EventType::NodeChildrenChanged);
        assert_eq!((data.zxid, children.zxid), (created.zxid, created.zxid), "one change");
        Ok(())
    })
}

pub(crate) fn a_lock_makes_its_ancestors(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let client = connect(tour).await?;
        let container = CreateMode::Container.with_acls(Acls::anyone_all());
        let options = LockOptions::new(Acls::anyone_all()).with_ancestor_options(container)?;
        let prefix = LockPrefix::new_shared("/c-locks/deep/n-")?;
        let held = client.lock(prefix, b"me", options).await?;
        let path = held.lock_path().to_owned();
        assert_eq!(client.get_data(&path).await?.0, b"me");
        let mut writer = held.new_check_writer();
        writer.add_create("/c-locks-done", b"", &OPEN)?;
        writer.commit().await?;
        drop(held);
        let (stat, gone) = client.check_and_watch_stat(&path).await?;
        if stat.is_some() {
            assert_eq!(gone.changed().await.event_type, EventType::NodeDeleted);
        }
        Ok(())
    })
}
