//! Znodes: made, changed, listed, counted and deleted.

use std::time::Duration;

use ringkeeper_bench::{tour::Tour, wire::Failure};
use zookeeper_client::{Acls, CreateMode, Error, EventType};

use crate::{OPEN, connect, run};

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

pub(crate) fn data_of_every_size_comes_back(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let client = connect(tour).await?;
        client.create("/c-size", b"", &OPEN).await?;
        for size in [0, 1, 4096, 1_000_000] {
            let data = vec![u8::try_from(size % 251)?; size];
            let stat = client.set_data("/c-size", &data, None).await?;
            assert_eq!(usize::try_from(stat.data_length)?, size);
            assert_eq!(client.get_data("/c-size").await?, (data, stat));
        }
        Ok(())
    })
}

pub(crate) fn children_change_their_parents_stat(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let client = connect(tour).await?;
        let (parent, _) = client.create("/c-parent", b"", &OPEN).await?;
        let (child, _) = client.create("/c-parent/a", b"", &OPEN).await?;
        let after_create = client.get_data("/c-parent").await?.1;
        assert_eq!(
            (after_create.cversion, after_create.num_children, after_create.pzxid),
            (1, 1, child.czxid)
        );
        assert_eq!((after_create.mzxid, after_create.version), (parent.mzxid, 0));
        client.delete("/c-parent/a", None).await?;
        let after_delete = client.get_data("/c-parent").await?.1;
        assert_eq!((after_delete.cversion, after_delete.num_children), (2, 0));
        assert!(after_create.pzxid < after_delete.pzxid);
        Ok(())
    })
}

pub(crate) fn ephemerals_are_listed_by_prefix(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let (client, other) = (connect(tour).await?, connect(tour).await?);
        client.mkdir("/c-eph/in", &OPEN).await?;
        let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
        for path in ["/c-eph/a", "/c-eph/b", "/c-eph/in/c"] {
            client.create(path, b"", &ephemeral).await?;
        }
        other.create("/c-eph/others", b"", &ephemeral).await?;
        let mut all = client.list_ephemerals("/").await?;
        all.sort();
        assert_eq!(all, ["/c-eph/a", "/c-eph/b", "/c-eph/in/c"]);
        assert_eq!(client.list_ephemerals("/c-eph/in").await?, ["/c-eph/in/c"]);
        assert_eq!(other.list_ephemerals("/c-eph").await?, ["/c-eph/others"]);
        Ok(())
    })
}

pub(crate) fn sequence_numbers_ignore_deletes(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let client = connect(tour).await?;
        client.create("/c-gap", b"", &OPEN).await?;
        let sequential = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
        client.create("/c-gap/n-", b"", &sequential).await?;
        client.delete("/c-gap/n-0000000000", None).await?;
        // Every create counts, whatever its kind.
        client.create("/c-gap/plain", b"", &OPEN).await?;
        let (_, number) = client.create("/c-gap/n-", b"", &sequential).await?;
        assert_eq!(number.into_i64(), 2);
        let (_, number) = client.create("/c-gap/m-", b"", &sequential).await?;
        assert_eq!(number.into_i64(), 3);
        Ok(())
    })
}

pub(crate) fn a_ttl_znode_looks_persistent(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let client = connect(tour).await?;
        let hour = OPEN.with_ttl(Duration::from_hours(1));
        let (stat, _) = client.create("/c-hour", b"ttl", &hour).await?;
        assert_eq!((stat.ephemeral_owner, stat.data_length), (0, 3));
        client.create("/c-hour/child", b"", &OPEN).await?;
        let sequential = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
        let sequential = sequential.with_ttl(Duration::from_hours(1));
        let (_, number) = client.create("/c-hour/n-", b"", &sequential).await?;
        assert_eq!(number.into_i64(), 1);
        assert_eq!(client.list_ephemerals("/c-hour").await?, [""; 0]);
        Ok(())
    })
}
