/* What the Java client 3.9 has besides. Arguments: address. */
import java.util.Arrays;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.Stat;

public class Newest extends Multi {
    @Override
    protected void newer() throws Exception {
        super.newer();
        zk.create("/c/box", null, Ids.OPEN_ACL_UNSAFE, CreateMode.CONTAINER, new Stat());
        zk.create("/c/ttl", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, new Stat(),
            600_000);
        zk.addWatch("/c", this, AddWatchMode.PERSISTENT_RECURSIVE);
        zk.addWatch("/c/box", this, AddWatchMode.PERSISTENT);
        zk.exists("/c/box", true);
        zk.removeAllWatches("/c/box", WatcherType.Data, false);
        zk.multi(Arrays.asList(Op.getData("/c/box"), Op.getChildren("/c/none")));
        zk.getEphemerals("/c");
        zk.getAllChildrenNumber("/c");
        zk.whoAmI();
        zk.getConfig(false, new Stat());
    }

    public static void main(String[] arguments) throws Exception {
        new Newest().run(arguments[0]);
    }
}
