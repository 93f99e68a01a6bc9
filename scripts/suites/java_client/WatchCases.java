/*
 * Watches of every kind: what is told, in which order, and how they are removed.
 */
import java.util.Arrays;
import java.util.List;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;

final class WatchCases {
    private WatchCases() {}

    static void add(Tour t) {
        t.add("watch: one-time watches of data, children and existence", WatchCases::oneTime);
        t.add("watch: a deleted znode tells each watcher once", WatchCases::deleted);
        t.add("watch: a persistent watch stays", WatchCases::persistent);
        t.add("watch: a recursive watch sees descendants", WatchCases::recursive);
        t.add("watch: several kinds by one client on one path", WatchCases::kinds);
        t.add("watch: two watchers of one client", WatchCases::twoWatchers);
        t.add("watch: the events of a multi", WatchCases::ofMulti);
        t.add("watch: the end of a session is an event", WatchCases::sessionEnd);
        t.add("watch: who may not read is not told", WatchCases::secret);
        for (WatcherType type : WatcherType.values()) {
            t.add("watch: remove " + type + " of every kind that is there",
                tour -> removeEach(tour, type));
            t.add("watch: remove all " + type + ", none there", tour -> removeNone(tour, type));
        }
        t.add("watch: remove one watcher of two", WatchCases::removeOneOfTwo);
        t.add("watch: a removed watch is silent at the server, too", WatchCases::removedIsSilent);
        t.add("watch: modes replace each other", WatchCases::modesReplace);
        t.add("watch: recursive watches on the root", WatchCases::wholeTree);
        t.add("watch: a container that goes is told", WatchCases::containerGoes);
        t.add("watch: a TTL znode that goes is told", WatchCases::ttlGoes);
    }

    private static void oneTime(Tour t) throws Exception {
        var c = t.clientWithRoot("/w1");
        t.say("exists", () -> c.exists("/w1/a", true));
        c.make("/w1/a");
        c.sayEvents("created");
        c.getData("/w1/a", true, null);
        c.getChildren("/w1/a", true);
        c.setData("/w1/a", Tour.bytes("y"), -1);
        c.sayEvents("set");
        c.setData("/w1/a", Tour.bytes("z"), -1);
        c.make("/w1/a/b");
        c.sayEvents("set again, child created");
        c.exists("/w1/a", true);
        c.getChildren("/w1/a", true);
        c.setData("/w1/a/b", Tour.bytes("z"), -1);
        c.setACL("/w1/a", Ids.OPEN_ACL_UNSAFE, -1);
        c.sayEvents("child's data and ACL are nobody's business");
        c.delete("/w1/a/b", -1);
        c.sayEvents("child deleted");
        c.delete("/w1/a", -1);
        c.sayEvents("deleted");
        t.say("no watch on what is not there", () -> c.getData("/w1/none", true, null));
        c.make("/w1/none");
        c.sayEvents("created");
    }

    private static void deleted(Tour t) throws Exception {
        var c = t.clientWithRoot("/wd");
        c.make("/wd/a");
        var other = new Tour.Events(t);
        c.getData("/wd/a", true, null);
        c.getChildren("/wd/a", true);
        c.exists("/wd/a", true);
        c.getChildren("/wd/a", other);
        c.addWatch("/wd/a", other, AddWatchMode.PERSISTENT);
        c.getChildren("/wd", true);
        c.delete("/wd/a", -1);
        c.sayEvents("default watcher");
        t.say("another watcher: " + other.drain());
    }

    private static void persistent(Tour t) throws Exception {
        var c = t.clientWithRoot("/wp");
        c.addWatch("/wp/a", AddWatchMode.PERSISTENT);
        c.make("/wp/a");
        c.make("/wp/a/b");
        c.setData("/wp/a", Tour.bytes("1"), -1);
        c.setData("/wp/a", Tour.bytes("2"), -1);
        c.setData("/wp/a/b", Tour.bytes("2"), -1);
        c.delete("/wp/a/b", -1);
        c.delete("/wp/a", -1);
        c.make("/wp/a", CreateMode.EPHEMERAL);
        c.sayEvents("events");
    }

    private static void recursive(Tour t) throws Exception {
        var c = t.clientWithRoot("/wr");
        c.addWatch("/wr", AddWatchMode.PERSISTENT_RECURSIVE);
        c.make("/wr/a");
        c.make("/wr/a/b");
        c.make("/wr/a/b/s-", CreateMode.EPHEMERAL_SEQUENTIAL);
        c.setData("/wr/a/b", Tour.bytes("1"), -1);
        c.setData("/wr", Tour.bytes("1"), -1);
        c.delete("/wr/a/b/s-0000000000", -1);
        c.delete("/wr/a/b", -1);
        c.delete("/wr/a", -1);
        c.make("/wrong");
        c.delete("/wrong", -1);
        c.sayEvents("events");
    }

    private static void kinds(Tour t) throws Exception {
        var c = t.clientWithRoot("/wk");
        c.make("/wk/a");
        c.addWatch("/wk", AddWatchMode.PERSISTENT_RECURSIVE);
        c.addWatch("/wk/a", AddWatchMode.PERSISTENT);
        c.getData("/wk/a", true, null);
        c.getChildren("/wk/a", true);
        c.setData("/wk/a", Tour.bytes("1"), -1);
        c.sayEvents("set");
        c.make("/wk/a/b");
        c.sayEvents("child created");
        c.delete("/wk/a/b", -1);
        c.delete("/wk/a", -1);
        c.sayEvents("deleted");
    }

    private static void twoWatchers(Tour t) throws Exception {
        var c = t.clientWithRoot("/w2");
        var one = new Tour.Events(t);
        var two = new Tour.Events(t);
        c.getData("/w2", one, null);
        c.getData("/w2", one, null);
        c.exists("/w2", two);
        c.addWatch("/w2", two, AddWatchMode.PERSISTENT);
        c.setData("/w2", null, -1);
        c.setData("/w2", null, -1);
        c.barrier();
        t.say("one: " + one.drain());
        t.say("two: " + two.drain());
    }

    private static void ofMulti(Tour t) throws Exception {
        var c = t.clientWithRoot("/wm");
        c.addWatch("/wm", AddWatchMode.PERSISTENT_RECURSIVE);
        c.getChildren("/wm", true);
        c.multi(List.of(Op.create("/wm/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.create("/wm/a/b", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
            Op.setData("/wm/a", null, -1), Op.delete("/wm/a/b", -1), Op.check("/wm", -1)));
        c.sayEvents("events");
        t.say("that fails", () -> c.multi(List.of(Op.delete("/wm/a", -1), Op.check("/wm", 9))));
        c.sayEvents("events");
    }

    private static void sessionEnd(Tour t) throws Exception {
        var c = t.clientWithRoot("/ws");
        var d = t.client("d");
        d.make("/ws/a", CreateMode.EPHEMERAL);
        d.make("/ws/b", CreateMode.EPHEMERAL);
        c.addWatch("/ws", AddWatchMode.PERSISTENT_RECURSIVE);
        c.exists("/ws/a", true);
        c.getChildren("/ws", true);
        d.close();
        c.barrier();
        // The order of a session's ephemerals is Apache's of a hash set.
        t.say("events: " + Tour.sorted(c.events.drain()));
        t.say("root", () -> c.exists("/ws", false));
    }

    private static void secret(Tour t) throws Exception {
        var c = t.clientWithRoot("/wx");
        var admin = t.client("d");
        admin.addAuthInfo("digest", Tour.bytes("super:test"));
        c.make("/wx/a");
        c.addWatch("/wx", AddWatchMode.PERSISTENT_RECURSIVE);
        c.getData("/wx/a", true, null);
        admin.setACL("/wx/a",
            Arrays.asList(new ACL(Perms.ALL & ~Perms.READ, Ids.ANYONE_ID_UNSAFE)), -1);
        admin.setData("/wx/a", null, -1);
        c.sayEvents("closed to us");
        admin.setACL("/wx/a", Ids.OPEN_ACL_UNSAFE, -1);
        admin.setData("/wx/a", null, -1);
        c.sayEvents("open again");
        t.say("addWatch on it", () -> {
            admin.setACL("/wx/a", Arrays.asList(new ACL(Perms.ADMIN, Ids.ANYONE_ID_UNSAFE)), -1);
            c.addWatch("/wx/a", AddWatchMode.PERSISTENT);
            return "allowed";
        });
        admin.delete("/wx/a", -1);
        c.sayEvents("deleted");
    }

    private static void watchAll(Tour.Client c, String path) throws Exception {
        c.getData(path, true, null);
        c.getChildren(path, true);
        c.addWatch(path, AddWatchMode.PERSISTENT);
        c.addWatch(path + "/deep", AddWatchMode.PERSISTENT_RECURSIVE);
    }

    private static void removeEach(Tour t, WatcherType type) throws Exception {
        String root = "/rm-" + type.getIntValue();
        var c = t.clientWithRoot(root);
        c.make(root + "/deep");
        watchAll(c, root);
        for (String path : List.of(root, root + "/deep")) {
            t.say("remove at " + path, () -> {
                c.removeWatches(path, c.events, type, false);
                return "done";
            });
            c.sayEventsSorted("events");
            t.say("again", () -> {
                c.removeAllWatches(path, type, false);
                return "done";
            });
            c.sayEventsSorted("events");
        }
        c.setData(root, null, -1);
        c.make(root + "/b");
        c.make(root + "/deep/c");
        c.sayEvents("what is left");
    }

    private static void removeNone(Tour t, WatcherType type) throws Exception {
        String root = "/rn-" + type.getIntValue();
        var c = t.clientWithRoot(root);
        t.say("all", () -> {
            c.removeAllWatches(root, type, false);
            return "done";
        });
        t.say("one", () -> {
            c.removeWatches(root, c.events, type, false);
            return "done";
        });
        t.say("root", () -> c.exists(root, false));
    }

    private static void removeOneOfTwo(Tour t) throws Exception {
        var c = t.clientWithRoot("/ro");
        var one = new Tour.Events(t);
        var two = new Tour.Events(t);
        c.getData("/ro", one, null);
        c.getData("/ro", two, null);
        c.removeWatches("/ro", one, WatcherType.Data, false);
        c.setData("/ro", null, -1);
        c.barrier();
        t.say("one: " + one.drain());
        t.say("two: " + two.drain());
    }

    private static void removedIsSilent(Tour t) throws Exception {
        var c = t.clientWithRoot("/rs");
        var mine = new Tour.Events(t);
        c.addWatch("/rs", mine, AddWatchMode.PERSISTENT_RECURSIVE);
        c.setData("/rs", null, -1);
        c.removeAllWatches("/rs", WatcherType.PersistentRecursive, false);
        c.setData("/rs", null, -1);
        c.make("/rs/a");
        c.barrier();
        t.say("events: " + mine.drain());
    }

    private static void modesReplace(Tour t) throws Exception {
        var c = t.clientWithRoot("/wz");
        c.addWatch("/wz", AddWatchMode.PERSISTENT);
        c.addWatch("/wz", AddWatchMode.PERSISTENT_RECURSIVE);
        c.make("/wz/a");
        c.make("/wz/a/b");
        c.setData("/wz", null, -1);
        c.sayEvents("persistent, then recursive");
        c.addWatch("/wz", AddWatchMode.PERSISTENT);
        c.setData("/wz/a/b", null, -1);
        c.make("/wz/c");
        c.sayEvents("persistent again");
    }

    private static void wholeTree(Tour t) throws Exception {
        var c = t.clientWithRoot("/wt");
        c.addWatch("/", AddWatchMode.PERSISTENT_RECURSIVE);
        c.make("/wt/a");
        c.setData("/wt/a", null, -1);
        c.delete("/wt/a", -1);
        c.sayEvents("events");
        c.removeAllWatches("/", WatcherType.Any, false);
        c.sayEvents("removed");
    }

    private static void containerGoes(Tour t) throws Exception {
        var c = t.clientWithRoot("/wc");
        c.make("/wc/box", CreateMode.CONTAINER);
        c.make("/wc/box/a");
        t.say("box", () -> c.exists("/wc/box", true));
        c.delete("/wc/box/a", -1);
        t.say(c.events.next());
        t.say("root", () -> c.exists("/wc", false));
    }

    private static void ttlGoes(Tour t) throws Exception {
        var c = t.clientWithRoot("/wl");
        c.create("/wl/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 1000);
        t.say("ttl", () -> c.exists("/wl/a", true));
        t.say(c.events.next());
        t.say("root", () -> c.exists("/wl", false));
    }
}
