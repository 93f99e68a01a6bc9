/* What Java clients since 3.4 have besides: multi. Arguments: address. */
import java.util.Arrays;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.ZooDefs.Ids;

public class Multi extends Plain {
    @Override
    protected void newer() throws Exception {
        zk.multi(Arrays.asList(
            Op.create("/c/m", new byte[] {1}, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.setData("/c/m", new byte[] {2}, 0), Op.check("/c/m", 1), Op.delete("/c/m", 1)));
        try {
            zk.multi(Arrays.asList(Op.check("/c", 1), Op.delete("/c/none", -1)));
        } catch (KeeperException.NoNodeException expected) {
            zk.multi(Arrays.<Op>asList());
        }
    }

    public static void main(String[] arguments) throws Exception {
        new Multi().run(arguments[0]);
    }
}
