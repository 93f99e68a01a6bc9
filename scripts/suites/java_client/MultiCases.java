/*
 * multi and multiRead through the client's builders: each kind of operation, each kind of failure
 * at each place, and what the results say.
 */
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;

final class MultiCases {
    private MultiCases() {}

    static void add(Tour t) {
        t.add("multi: every kind of write in one", MultiCases::everyKind);
        t.add("multi: the builder, synchronous and asynchronous", MultiCases::builder);
        t.add("multi: empty", MultiCases::empty);
        t.add("multi: parts see each other and share a zxid", MultiCases::together);
        for (int place = 0; place < 3; place++) {
            int at = place;
            t.add("multi: each failure at place " + place, tour -> failures(tour, at));
        }
        t.add("multi: two failures, the first counts", MultiCases::twoFailures);
        t.add("multi: a hundred creates", MultiCases::hundred);
        t.add("multi: the last znode of a container", MultiCases::container);
        t.add("multiRead: data and children, some fail", MultiCases::reads);
        t.add("multiRead: empty", tour -> {
            var c = tour.clientWithRoot("/mre");
            tour.say("results", () -> text(tour, c.multi(List.of())));
        });
    }

    static String text(Tour t, List<OpResult> results) {
        List<String> lines = new ArrayList<>();
        for (OpResult result : results) {
            String line = result.getClass().getSimpleName();
            if (result instanceof OpResult.ErrorResult error) {
                line += " " + KeeperException.Code.get(error.getErr());
            } else if (result instanceof OpResult.CreateResult create) {
                line += " " + create.getPath() + (create.getStat() == null ? ""
                    : " " + t.stat(create.getStat()));
            } else if (result instanceof OpResult.SetDataResult set) {
                line += " " + t.stat(set.getStat());
            } else if (result instanceof OpResult.GetDataResult data) {
                line += " " + t.text(data.getData()) + " " + t.stat(data.getStat());
            } else if (result instanceof OpResult.GetChildrenResult children) {
                line += " " + Tour.sorted(children.getChildren());
            }
            lines.add(line);
        }
        return lines.toString();
    }

    /** Results, or the error with what it carries. */
    static void sayMulti(Tour t, String what, Tour.Client c, List<Op> ops) throws Exception {
        try {
            t.say(what + ": " + text(t, c.multi(ops)));
        } catch (KeeperException cause) {
            List<OpResult> parts = cause.getResults();
            String results = parts == null ? "no results" : text(t, parts);
            t.say(what + ": " + cause.code() + " " + cause.getPath() + " " + results);
        }
    }

    static Op create(String path, CreateMode mode) {
        return Op.create(path, Tour.bytes("x"), Ids.OPEN_ACL_UNSAFE, mode);
    }

    private static void everyKind(Tour t) throws Exception {
        var c = t.clientWithRoot("/mk");
        sayMulti(t, "results", c, List.of(create("/mk/a", CreateMode.PERSISTENT),
            create("/mk/e", CreateMode.EPHEMERAL),
            create("/mk/s-", CreateMode.PERSISTENT_SEQUENTIAL),
            create("/mk/es-", CreateMode.EPHEMERAL_SEQUENTIAL),
            create("/mk/box", CreateMode.CONTAINER),
            Op.create("/mk/ttl", Tour.bytes("x"), Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT_WITH_TTL, 600_000),
            Op.create("/mk/ts-", Tour.bytes("x"), Ids.OPEN_ACL_UNSAFE,
                CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, 600_000),
            Op.setData("/mk/a", Tour.bytes("yy"), 0), Op.check("/mk/a", 1),
            Op.delete("/mk/a", 1)));
        t.say("root", () -> c.exists("/mk", false));
        t.say("children", () -> Tour.sorted(c.getChildren("/mk", false)));
        for (String name : List.of("e", "box", "ttl", "ts-0000000006")) {
            t.say(name, () -> c.exists("/mk/" + name, false));
        }
    }

    private static void builder(Tour t) throws Exception {
        var c = t.clientWithRoot("/mb");
        t.say("commit", () -> text(t, c.transaction()
            .create("/mb/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
            .check("/mb/a", 0).setData("/mb/a", Tour.bytes("d"), 0).delete("/mb/a", 1).commit()));
        var done = new java.util.concurrent.CompletableFuture<String>();
        c.transaction().check("/mb", 0).delete("/mb/a", -1).commit((rc, path, context, results) ->
            done.complete(KeeperException.Code.get(rc) + " " + text(t, results)), null);
        t.say("fails in the background: " + done.get());
    }

    private static void empty(Tour t) throws Exception {
        var c = t.clientWithRoot("/me");
        sayMulti(t, "results", c, List.of());
        sayMulti(t, "check alone", c, List.of(Op.check("/me", 0)));
        t.say("root", () -> c.setData("/me", null, -1));
    }

    private static void together(Tour t) throws Exception {
        var c = t.clientWithRoot("/mt");
        sayMulti(t, "results", c, List.of(create("/mt/a", CreateMode.PERSISTENT),
            create("/mt/a/b", CreateMode.PERSISTENT), Op.delete("/mt/a/b", 0),
            Op.setData("/mt/a", Tour.bytes("1"), 0), Op.setData("/mt/a", Tour.bytes("2"), 1),
            Op.check("/mt/a", 2), create("/mt/a/c", CreateMode.EPHEMERAL)));
        t.say("a", () -> c.exists("/mt/a", false));
        t.say("c", () -> c.exists("/mt/a/c", false));
        t.say("root", () -> c.exists("/mt", false));
        t.say("the next", () -> c.setData("/mt", null, -1));
    }

    private static void failures(Tour t, int place) throws Exception {
        String root = "/mf" + place;
        var c = t.clientWithRoot(root);
        c.make(root + "/full");
        c.make(root + "/full/child");
        c.make(root + "/e", CreateMode.EPHEMERAL);
        c.create(root + "/closed", null, Arrays.asList(new ACL(Perms.ADMIN, Ids.ANYONE_ID_UNSAFE)),
            CreateMode.PERSISTENT);
        List<Op> failing = List.of(Op.check(root + "/none", -1), Op.check(root, 5),
            Op.delete(root + "/none", -1), Op.delete(root + "/full", -1), Op.delete(root + "/e", 3),
            Op.setData(root + "/none", null, -1), Op.setData(root, null, 8),
            create(root, CreateMode.PERSISTENT), create(root + "/none/x", CreateMode.PERSISTENT),
            create(root + "/e/x", CreateMode.PERSISTENT), create(root + "/closed/x",
                CreateMode.PERSISTENT), Op.setData(root + "/closed", null, -1),
            Op.check(root + "/closed", -1), Op.create(root + "/acl", null,
                Arrays.asList(new ACL(Perms.ALL, new Id("nobody", "x"))), 0));
        for (int at = 0; at < failing.size(); at++) {
            List<Op> ops = new ArrayList<>(List.of(create(root + "/new", CreateMode.EPHEMERAL),
                Op.setData(root, null, -1)));
            ops.add(place, failing.get(at));
            sayMulti(t, "failure " + at, c, ops);
        }
        t.say("root", () -> c.exists(root, false));
        t.say("the next", () -> c.setData(root, null, -1));
        t.say("children", () -> Tour.sorted(c.getChildren(root, false)));
    }

    private static void twoFailures(Tour t) throws Exception {
        var c = t.clientWithRoot("/m2");
        sayMulti(t, "results", c, List.of(Op.check("/m2", 0), Op.check("/m2", 7),
            Op.delete("/m2/none", -1), create("/m2/a", CreateMode.PERSISTENT)));
        t.say("children", () -> c.getChildren("/m2", false));
    }

    private static void hundred(Tour t) throws Exception {
        var c = t.clientWithRoot("/mh");
        List<Op> ops = new ArrayList<>();
        for (int at = 0; at < 100; at++) {
            ops.add(create("/mh/s-", CreateMode.PERSISTENT_SEQUENTIAL));
        }
        List<OpResult> results = c.multi(ops);
        t.say("the last: " + text(t, results.subList(99, 100)));
        t.say("root", () -> c.exists("/mh", false));
        ops.add(Op.check("/mh", 1));
        t.say("one more that fails", () -> c.multi(ops));
        t.say("root", () -> c.exists("/mh", false));
        t.say("the next number", () -> c.make("/mh/s-", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    private static void container(Tour t) throws Exception {
        var c = t.clientWithRoot("/mc");
        sayMulti(t, "made", c, List.of(create("/mc/box", CreateMode.CONTAINER),
            create("/mc/box/a", CreateMode.PERSISTENT)));
        c.exists("/mc/box", true);
        sayMulti(t, "emptied", c, List.of(Op.delete("/mc/box/a", -1)));
        t.say(c.events.next());
    }

    private static void reads(Tour t) throws Exception {
        var c = t.clientWithRoot("/mr");
        c.make("/mr/a");
        c.create("/mr/closed", null, Arrays.asList(new ACL(Perms.ADMIN, Ids.ANYONE_ID_UNSAFE)),
            CreateMode.PERSISTENT);
        sayMulti(t, "results", c, List.of(Op.getData("/mr/a"), Op.getChildren("/mr"),
            Op.getData("/mr/none"), Op.getChildren("/mr/none"), Op.getData("/mr/closed"),
            Op.getChildren("/mr/a")));
        t.say("the next", () -> c.setData("/mr", null, -1));
    }
}
