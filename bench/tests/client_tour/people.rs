//! Who may do what: identities, ACLs, and the configuration that everybody may read.

use ringkeeper_bench::{
    servers::Settings,
    tour::{SUPER_DIGEST, Tour},
    wire::Failure,
};
use zookeeper_client::{Acl, Acls, AuthId, Client, CreateMode, Error, Permission};

use crate::{OPEN, connect, run};

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

pub(crate) fn each_permission_is_asked_for(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let (owner, other) = (connect(tour).await?, connect(tour).await?);
        let acls = [
            Acl::new(Permission::READ | Permission::CREATE, AuthId::anyone()),
            Acl::new(Permission::ALL, AuthId::new("digest", "c-boss:DAHJQA9LIqDyyrVAcjpznv0oz8o=")),
        ];
        let guarded = CreateMode::Persistent.with_acls(Acls::new(&acls));
        owner.create("/c-perms", b"", &guarded).await?;
        other.get_data("/c-perms").await?;
        other.create("/c-perms/a", b"", &OPEN).await?;
        assert_eq!(other.set_data("/c-perms", b"", None).await.err(), Some(Error::NoAuth));
        assert_eq!(other.delete("/c-perms/a", None).await.err(), Some(Error::NoAuth));
        let world = [Acl::new(Permission::ALL, AuthId::anyone())];
        assert_eq!(other.set_acl("/c-perms", &world, None).await.err(), Some(Error::NoAuth));
        let mut writer = other.new_multi_writer();
        writer.add_set_data("/c-perms", b"", None)?;
        assert!(writer.commit().await.is_err(), "a multi asks, too");
        Ok(())
    })
}

pub(crate) fn the_super_user_may_everything(tour: &Tour) -> Result<(), Failure> {
    run(async {
        assert!(SUPER_DIGEST.starts_with("super:"));
        let (owner, root) = (connect(tour).await?, connect(tour).await?);
        owner.auth("digest", b"c-private:secret").await?;
        let mine = CreateMode::Persistent.with_acls(Acls::creator_all());
        owner.create("/c-private", b"mine", &mine).await?;
        assert_eq!(root.get_data("/c-private").await.err(), Some(Error::NoAuth));
        root.auth("digest", b"super:test").await?;
        assert_eq!(root.get_data("/c-private").await?.0, b"mine");
        let users = root.list_auth_users().await?;
        assert!(users.iter().any(|user| user.scheme() == "super"), "{users:?}");
        Ok(())
    })
}

pub(crate) fn a_connector_brings_its_identity(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let address = tour.address().to_string();
        let client =
            Client::connector().with_auth("digest", b"c-early:x").connect(&address).await?;
        let mine = CreateMode::Persistent.with_acls(Acls::creator_all());
        client.create("/c-early", b"", &mine).await?;
        let (acl, _) = client.get_acl("/c-early").await?;
        assert!(acl[0].id().starts_with("c-early:"), "{acl:?}");
        let refused = Client::connector().with_auth("nonsense", b"").connect(&address).await;
        assert_eq!(refused.err(), Some(Error::AuthFailed));
        Ok(())
    })
}

pub(crate) fn hard_quotas_are_enforced(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let server = tour.private(Settings::new().line("enforceQuota", "true"))?;
        let client = Client::connect(&server.address().to_string()).await?;
        client.create("/c-quota", b"", &OPEN).await?;
        client.mkdir("/zookeeper/quota/c-quota", &OPEN).await?;
        let limits = b"count=-1,bytes=-1;byteHardLimit=10;countHardLimit=2";
        client.create("/zookeeper/quota/c-quota/zookeeper_limits", limits, &OPEN).await?;
        let use_ = b"count=1,bytes=0";
        client.create("/zookeeper/quota/c-quota/zookeeper_stats", use_, &OPEN).await?;
        client.create("/c-quota/a", b"", &OPEN).await?;
        let refused = client.create("/c-quota/b", b"", &OPEN).await;
        assert_eq!(refused.err(), Some(Error::QuotaExceeded));
        let refused = client.set_data("/c-quota/a", &[0; 11], None).await;
        assert_eq!(refused.err(), Some(Error::QuotaExceeded));
        client.set_data("/c-quota/a", &[0; 10], None).await?;
        Ok(())
    })
}
