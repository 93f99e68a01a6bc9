//! Sessions: how they begin, move, come back and end.

use std::time::Duration;

use ringkeeper_bench::{servers::Settings, tour::Tour, wire::Failure};
use zookeeper_client::{Acls, Client, CreateMode, Error, EventType, SessionState};

use crate::{OPEN, connect, run};

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
                Err(Error::ConnectionLoss) => tokio::time::sleep(Duration::from_millis(20)).await,
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

pub(crate) fn timeouts_are_negotiated(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let address = tour.address().to_string();
        for (asked_ms, given_ms) in [(1, 1000), (5000, 5000), (90_000, 20_000)] {
            let client = Client::connector()
                .with_session_timeout(Duration::from_millis(asked_ms))
                .connect(&address)
                .await?;
            assert_eq!(client.session_timeout(), Duration::from_millis(given_ms));
        }
        Ok(())
    })
}

pub(crate) fn states_are_told(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let mut server = tour.private(Settings::new())?;
        let client = Client::connector()
            .with_session_timeout(Duration::from_secs(20))
            .connect(&server.address().to_string())
            .await?;
        let mut states = client.state_watcher();
        assert_eq!(states.state(), SessionState::SyncConnected);
        server.kill()?;
        assert_eq!(states.changed().await, SessionState::Disconnected);
        server.run()?;
        assert_eq!(states.changed().await, SessionState::SyncConnected);
        drop(client);
        assert_eq!(states.changed().await, SessionState::Closed);
        Ok(())
    })
}

pub(crate) fn pings_keep_a_session(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let address = tour.address().to_string();
        let client = Client::connector()
            .with_session_timeout(Duration::from_secs(1))
            .connect(&address)
            .await?;
        let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
        let (stat, _) = client.create("/c-alive", b"", &ephemeral).await?;
        // Three timeouts without a request of ours: the client's pings are all there is.
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(client.check_stat("/c-alive").await?, Some(stat));
        Ok(())
    })
}

pub(crate) fn an_idle_session_expires(tour: &Tour) -> Result<(), Failure> {
    run(async {
        let address = tour.address().to_string();
        let witness = connect(tour).await?;
        let client = Client::connector()
            .with_session_timeout(Duration::from_secs(1))
            .with_detached()
            .connect(&address)
            .await?;
        let ephemeral = CreateMode::Ephemeral.with_acls(Acls::anyone_all());
        client.create("/c-idle", b"", &ephemeral).await?;
        let (_, gone) = witness.check_and_watch_stat("/c-idle").await?;
        // Detached: the connection ends, the session does not.
        let session = client.into_session();
        assert_eq!(gone.changed().await.event_type, EventType::NodeDeleted);
        let late = Client::connector().with_session(session).connect(&address).await;
        assert_eq!(late.err(), Some(Error::SessionExpired));
        Ok(())
    })
}
