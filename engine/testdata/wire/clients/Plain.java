/* What every Java client since 3.3 can say. Arguments: address. */
import java.util.concurrent.Semaphore;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

public class Plain implements Watcher {
    private final Semaphore connected = new Semaphore(0);
    protected ZooKeeper zk;

    @Override
    public void process(WatchedEvent event) {
        if (event.getType() == Event.EventType.None
            && event.getState() == Event.KeeperState.SyncConnected) {
            connected.release();
        }
    }

    void run(String address) throws Exception {
        zk = new ZooKeeper(address, 4000, this);
        connected.acquire();
        zk.create("/c", "data".getBytes(), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        zk.create("/c/e-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL);
        zk.exists("/c", true);
        zk.setData("/c", "more".getBytes(), 0);
        try {
            zk.setData("/c", "more".getBytes(), 0);
        } catch (KeeperException.BadVersionException expected) {
            zk.getData("/c", true, new Stat());
        }
        zk.getChildren("/c", true);
        zk.getChildren("/c", false, new Stat());
        zk.addAuthInfo("digest", "user:secret".getBytes());
        zk.create("/c/mine", new byte[0], Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        zk.getACL("/c/mine", new Stat());
        zk.setACL("/c/mine", Ids.OPEN_ACL_UNSAFE, -1);
        zk.exists("/c/later", true);
        newer();
        // Long enough for a ping.
        Thread.sleep(2000);
        // The proxy cuts the connection behind the answer.
        zk.exists("/cut", false);
        connected.acquire();
        zk.delete("/c/mine", -1);
        zk.close();
    }

    /** What later clients have besides. */
    protected void newer() throws Exception {}

    public static void main(String[] arguments) throws Exception {
        new Plain().run(arguments[0]);
    }
}
