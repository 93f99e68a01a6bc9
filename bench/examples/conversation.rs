//! A short conversation of the crate `zookeeper-client`, for `engine/testdata/wire/capture.py`,
//! which writes down what it sends. Usage: conversation ADDRESS

use ringkeeper_bench::wire::Failure;
use tokio::runtime::Builder;
use zookeeper_client::{Acls, AddWatchMode, Client, CreateMode, Error};

/// Lets the client's tasks run on tokio: it asks the thread for a way to spawn them.
struct OnTokio;

impl spawns_core::Spawn for OnTokio {
    fn spawn(&self, task: spawns_core::Task) {
        drop(tokio::spawn(Box::into_pin(task.future)));
    }
}

fn main() -> Result<(), Failure> {
    let address = std::env::args().nth(1).ok_or("usage: conversation ADDRESS")?;
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let _scope = spawns_core::enter(&OnTokio);
    runtime.block_on(talk(&address))
}

async fn talk(address: &str) -> Result<(), Failure> {
    let open = CreateMode::Persistent.with_acls(Acls::anyone_all());
    let queue = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
    let client = Client::connect(address).await?;
    client.create("/r", b"data", &open).await?;
    client.create("/r/e-", b"", &queue).await?;
    let (_, watcher) = client.check_and_watch_stat("/r").await?;
    client.set_data("/r", b"more", Some(0)).await?;
    watcher.changed().await;
    assert_eq!(client.set_data("/r", b"more", Some(0)).await, Err(Error::BadVersion));
    let (_, _, _data_watcher) = client.get_and_watch_data("/r").await?;
    let (_, _children_watcher) = client.list_and_watch_children("/r").await?;
    let _watcher = client.watch("/r", AddWatchMode::PersistentRecursive).await?;
    client.auth("digest", b"user:secret").await?;
    client.create("/r/mine", b"", &CreateMode::Persistent.with_acls(Acls::creator_all())).await?;
    client.get_acl("/r/mine").await?;
    let mut multi = client.new_multi_writer();
    multi.add_create("/r/m", b"1", &open)?;
    multi.add_set_data("/r/m", b"2", Some(0))?;
    multi.add_check_version("/r/m", 1)?;
    multi.add_delete("/r/m", Some(1))?;
    multi.commit().await?;
    client.sync("/r").await?;
    // The proxy cuts the connection behind the answer; the next request waits for another one.
    client.check_stat("/cut").await.ok();
    while client.delete("/r/mine", None).await == Err(Error::ConnectionLoss) {}
    drop(client);
    Ok(())
}
