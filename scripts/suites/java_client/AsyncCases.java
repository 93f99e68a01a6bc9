/*
 * Every asynchronous call of the client, with what its callback is told, and the callbacks' order.
 */
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.AsyncCallback.Children2Callback;
import org.apache.zookeeper.AsyncCallback.ChildrenCallback;
import org.apache.zookeeper.AsyncCallback.Create2Callback;
import org.apache.zookeeper.AsyncCallback.DataCallback;
import org.apache.zookeeper.AsyncCallback.StatCallback;
import org.apache.zookeeper.AsyncCallback.StringCallback;
import org.apache.zookeeper.AsyncCallback.VoidCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Stat;

final class AsyncCases {
    private AsyncCases() {}

    /** Callbacks that write down what they are told. */
    private static final class Notes {
        final BlockingQueue<String> queue = new LinkedBlockingQueue<>();
        private final Tour tour;

        Notes(Tour tour) {
            this.tour = tour;
        }

        void note(int rc, String path, Object context, Object... rest) {
            StringBuilder line = new StringBuilder(context + ": " + Code.get(rc) + " " + path);
            for (Object value : rest) {
                line.append(" | ").append(tour.text(value));
            }
            queue.add(line.toString());
        }

        VoidCallback nothing() {
            return (rc, path, context) -> note(rc, path, context);
        }

        StringCallback name() {
            return (rc, path, context, name) -> note(rc, path, context, name);
        }

        Create2Callback nameAndStat() {
            return (rc, path, context, name, stat) -> note(rc, path, context, name, stat);
        }

        StatCallback stat() {
            return (rc, path, context, stat) -> note(rc, path, context, stat);
        }

        DataCallback data() {
            return (rc, path, context, data, stat) -> note(rc, path, context, data, stat);
        }

        ChildrenCallback names() {
            return (rc, path, context, names) ->
                note(rc, path, context, names == null ? null : Tour.sorted(names));
        }

        Children2Callback namesAndStat() {
            return (rc, path, context, names, stat) ->
                note(rc, path, context, names == null ? null : Tour.sorted(names), stat);
        }

        void say(int count) throws Exception {
            for (int at = 0; at < count; at++) {
                String line = queue.poll(Tour.WAIT_MS, TimeUnit.MILLISECONDS);
                tour.say(line == null ? "a callback is missing" : line);
            }
        }
    }

    static void add(Tour t) {
        t.add("async: every write, and its failures, in order", AsyncCases::writes);
        t.add("async: every read, and its failures, in order", AsyncCases::reads);
        t.add("async: watches, multi and the rest, in order", AsyncCases::others);
        t.add("async: two thousand calls of five kinds come back in their order", AsyncCases::many);
        t.add("async: an event is told before the callback that shows it", AsyncCases::eventFirst);
        t.add("async: calls before a close are answered", AsyncCases::beforeClose);
    }

    private static void writes(Tour t) throws Exception {
        var c = t.clientWithRoot("/aw");
        var notes = new Notes(t);
        List<ACL> open = Ids.OPEN_ACL_UNSAFE;
        byte[] x = Tour.bytes("x");
        c.create("/aw/a", x, open, CreateMode.PERSISTENT, notes.name(), "create");
        c.create("/aw/b", x, open, CreateMode.PERSISTENT, notes.nameAndStat(), "create2");
        c.create("/aw/s-", x, open, CreateMode.PERSISTENT_SEQUENTIAL, notes.name(), "sequential");
        c.create("/aw/es-", x, open, CreateMode.EPHEMERAL_SEQUENTIAL, notes.nameAndStat(),
            "ephemeral sequential");
        c.create("/aw/box", x, open, CreateMode.CONTAINER, notes.nameAndStat(), "container");
        c.create("/aw/ttl", x, open, CreateMode.PERSISTENT_WITH_TTL, notes.nameAndStat(), "ttl",
            600_000);
        c.create("/aw/a", x, open, CreateMode.PERSISTENT, notes.name(), "create, there");
        c.create("/aw/none/a", x, open, CreateMode.PERSISTENT, notes.nameAndStat(),
            "create2, no parent");
        c.create("/aw/es-0000000003/x", x, open, CreateMode.PERSISTENT, notes.name(),
            "below an ephemeral");
        c.create("/aw/acl", x, List.of(), CreateMode.PERSISTENT, notes.name(), "empty acl");
        c.setData("/aw/a", Tour.bytes("y"), 0, notes.stat(), "set");
        c.setData("/aw/a", Tour.bytes("y"), 7, notes.stat(), "set, wrong version");
        c.setData("/aw/none", x, -1, notes.stat(), "set, not there");
        c.setACL("/aw/a", Ids.READ_ACL_UNSAFE, 0, notes.stat(), "setACL");
        c.setACL("/aw/b", Ids.READ_ACL_UNSAFE, 3, notes.stat(), "setACL, wrong version");
        // Apache checks what comes right behind a setACL by the old ACL; we never do.
        notes.say(15);
        c.setACL("/aw/a", Ids.OPEN_ACL_UNSAFE, -1, notes.stat(), "setACL, not allowed");
        c.setData("/aw/a", x, -1, notes.stat(), "set, not allowed");
        c.delete("/aw/b", 4, notes.nothing(), "delete, wrong version");
        c.delete("/aw/b", 0, notes.nothing(), "delete");
        c.delete("/aw/b", 0, notes.nothing(), "delete, gone");
        c.delete("/aw", -1, notes.nothing(), "delete, not empty");
        notes.say(6);
    }

    private static void reads(Tour t) throws Exception {
        var c = t.clientWithRoot("/ar");
        c.make("/ar/a");
        c.make("/ar/e", CreateMode.EPHEMERAL);
        c.create("/ar/secret", Tour.bytes("s"), Arrays.asList(new ACL(30, Ids.ANYONE_ID_UNSAFE)),
            CreateMode.PERSISTENT);
        var notes = new Notes(t);
        c.exists("/ar/a", false, notes.stat(), "exists");
        c.exists("/ar/none", false, notes.stat(), "exists, not there");
        c.exists("/ar/secret", false, notes.stat(), "exists, secret");
        c.getData("/ar/e", false, notes.data(), "data");
        c.getData("/ar/none", false, notes.data(), "data, not there");
        c.getData("/ar/secret", false, notes.data(), "data, secret");
        c.getACL("/ar/a", new Stat(),
            (rc, path, context, acl, stat) -> notes.note(rc, path, context, acl, stat), "acl");
        c.getACL("/ar/none", new Stat(),
            (rc, path, context, acl, stat) -> notes.note(rc, path, context, acl, stat),
            "acl, not there");
        c.getChildren("/ar", false, notes.names(), "children");
        c.getChildren("/ar/none", false, notes.names(), "children, not there");
        c.getChildren("/ar", false, notes.namesAndStat(), "children2");
        c.getChildren("/ar/secret", false, notes.namesAndStat(), "children2, secret");
        c.getAllChildrenNumber("/ar", (rc, path, context, number) ->
            notes.note(rc, path, context, number), "number of children");
        c.getEphemerals("/ar", (rc, context, paths) -> notes.note(rc, null, context,
            Tour.sorted(paths)),
            "ephemerals");
        c.getEphemerals((rc, context, paths) -> notes.note(rc, null, context,
            Tour.sorted(paths)),
            "all ephemerals");
        c.getConfig(false, notes.data(), "config");
        c.sync("/ar", notes.nothing(), "sync");
        c.sync("/ar/none", notes.nothing(), "sync, not there");
        notes.say(18);
    }

    private static void others(Tour t) throws Exception {
        var c = t.clientWithRoot("/ao");
        var notes = new Notes(t);
        c.addWatch("/ao", AddWatchMode.PERSISTENT_RECURSIVE, notes.nothing(), "addWatch");
        c.multi(List.of(Op.create("/ao/a", Tour.bytes("x"), Ids.OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT), Op.setData("/ao/a", Tour.bytes("y"), 0)),
            (rc, path, context, results) -> notes.note(rc, path, context, results.size()), "multi");
        c.multi(List.of(Op.check("/ao/a", 1), Op.delete("/ao/none", -1)),
            (rc, path, context, results) -> notes.note(rc, path, context, results.size()),
            "multi that fails");
        c.removeWatches("/ao", c.events, WatcherType.Any, false, notes.nothing(), "remove");
        c.removeAllWatches("/ao", WatcherType.Any, false, notes.nothing(), "remove all, none");
        c.setData("/ao/a", Tour.bytes("z"), -1, notes.stat(), "set, nobody watches");
        notes.say(6);
        c.sayEvents("events");
    }

    private static void many(Tour t) throws Exception {
        var c = t.clientWithRoot("/am");
        int count = 2000;
        List<Integer> order = new ArrayList<>();
        List<String> failures = new ArrayList<>();
        var done = new CountDownLatch(count);
        for (int at = 0; at < count; at++) {
            int index = at;
            VoidCallback note = (rc, path, context) -> {
                order.add(index);
                if (rc != 0) {
                    failures.add(index + " " + Code.get(rc));
                }
                done.countDown();
            };
            switch (at % 5) {
                case 0 -> c.create("/am/" + at, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                    (StringCallback) (rc, path, x, name) -> note.processResult(rc, path, x), null);
                case 1 -> c.exists("/am/" + (at - 1), false,
                    (rc, path, x, stat) -> note.processResult(rc, path, x), null);
                case 2 -> c.setData("/am/" + (at - 2), Tour.bytes("d"), 0,
                    (rc, path, x, stat) -> note.processResult(rc, path, x), null);
                case 3 -> c.getData("/am/" + (at - 3), false,
                    (rc, path, x, data, stat) -> note.processResult(
                        stat.getVersion() == 1 ? rc : -1, path, x), null);
                default -> c.sync("/am", note, null);
            }
        }
        done.await(Tour.WAIT_MS, TimeUnit.MILLISECONDS);
        boolean ordered = true;
        for (int at = 0; at < order.size(); at++) {
            ordered &= order.get(at) == at;
        }
        t.say(order.size() + " callbacks, in order: " + ordered + ", failures: " + failures);
        t.say("root", () -> c.exists("/am", false));
    }

    private static void eventFirst(Tour t) throws Exception {
        var c = t.clientWithRoot("/ae");
        c.make("/ae/a");
        var lines = new LinkedBlockingQueue<String>();
        int rounds = 50;
        for (int at = 0; at < rounds; at++) {
            var done = new CountDownLatch(1);
            c.getData("/ae/a", event -> lines.add("event"), null);
            c.setData("/ae/a", Tour.bytes("" + at), -1, (rc, path, context, stat) -> {
                lines.add("reply");
                done.countDown();
            }, null);
            done.await(Tour.WAIT_MS, TimeUnit.MILLISECONDS);
        }
        boolean alternate = true;
        for (int at = 0; at < rounds; at++) {
            alternate &= "event".equals(lines.poll()) && "reply".equals(lines.poll());
        }
        t.say(rounds + " rounds, each time the event first: " + alternate);
    }

    private static void beforeClose(Tour t) throws Exception {
        var c = t.clientWithRoot("/ac");
        var notes = new Notes(t);
        c.make("/ac/e", CreateMode.EPHEMERAL);
        c.create("/ac/x", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, notes.name(), "create");
        c.exists("/ac/e", false, notes.stat(), "exists");
        c.close();
        notes.say(2);
        t.say("state " + c.getState());
        t.say("sync call", () -> c.exists("/ac", false));
        var d = t.client("d");
        t.say("seen by another", () -> Tour.sorted(d.getChildren("/ac", false)));
    }
}
