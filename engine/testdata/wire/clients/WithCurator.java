/* A short conversation of Curator 5. Arguments: address. */
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.RetryOneTime;
import org.apache.zookeeper.CreateMode;

public class WithCurator {
    public static void main(String[] arguments) throws Exception {
        CuratorFramework curator =
            CuratorFrameworkFactory.newClient(arguments[0], 30000, 10000, new RetryOneTime(100));
        curator.start();
        curator.blockUntilConnected();
        curator.create().creatingParentContainersIfNeeded().forPath("/k/a", new byte[] {1});
        curator.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
            .forPath("/k/p-");
        curator.transaction().forOperations(
            curator.transactionOp().create().forPath("/k/t"),
            curator.transactionOp().delete().forPath("/k/t"));
        InterProcessMutex mutex = new InterProcessMutex(curator, "/k/lock");
        mutex.acquire();
        mutex.release();
        curator.checkExists().forPath("/cut");
        // Sent again by itself, on the next connection.
        curator.checkExists().forPath("/k/a");
        curator.delete().deletingChildrenIfNeeded().forPath("/k");
        curator.close();
    }
}
