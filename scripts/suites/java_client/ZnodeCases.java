/*
 * Znodes through the client: modes, Stats, data at the limits, long lists, ACLs, chroot.
 */
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

final class ZnodeCases {
    private ZnodeCases() {}

    static void add(Tour t) {
        t.add("znodes: every create mode, name and Stat", ZnodeCases::modes);
        t.add("znodes: Stats follow what happens", ZnodeCases::stats);
        t.add("znodes: null, empty and odd data", ZnodeCases::data);
        t.add("znodes: names that are not ASCII", ZnodeCases::names);
        t.add("znodes: paths that no server should see", ZnodeCases::badPaths);
        t.add("znodes: data at jute.maxbuffer", ZnodeCases::atTheLimit);
        t.add("znodes: a list of children longer than a megabyte", ZnodeCases::longList);
        t.add("znodes: sequence numbers count creates", ZnodeCases::sequences);
        t.add("znodes: ephemerals, numbers and lists", ZnodeCases::counts);
        t.add("znodes: config is there for every client", ZnodeCases::config);
        t.add("chroot: paths are cut on the way out and in", ZnodeCases::chroot);
        t.add("chroot: one that is not there", ZnodeCases::absentChroot);
        t.add("acl: each permission opens its operations", ZnodeCases::permissions);
        t.add("acl: schemes, auth and versions", ZnodeCases::acls);
        t.add("acl: who am I", ZnodeCases::whoAmI);
        t.add("acl: bad authentication ends the client", ZnodeCases::badAuth);
    }

    private static void modes(Tour t) throws Exception {
        var c = t.clientWithRoot("/zm");
        for (CreateMode mode : CreateMode.values()) {
            for (int round = 0; round < 2; round++) {
                String path = "/zm/" + mode.toFlag() + "-";
                t.say(mode + " " + round, () -> {
                    Stat stat = new Stat();
                    String name = mode.isTTL()
                        ? c.create(path, null, Ids.OPEN_ACL_UNSAFE, mode, stat, 600_000)
                        : c.create(path, null, Ids.OPEN_ACL_UNSAFE, mode, stat);
                    return name + " " + t.stat(stat);
                });
            }
            t.say("without Stat", () -> c.make("/zm/" + mode.toFlag() + "+", mode));
        }
        t.say("root", () -> c.exists("/zm", false));
    }

    private static void stats(Tour t) throws Exception {
        var c = t.clientWithRoot("/zs");
        c.make("/zs/a");
        t.say("made", () -> c.exists("/zs/a", false));
        t.say("set", () -> c.setData("/zs/a", Tour.bytes("longer"), 0));
        c.make("/zs/a/b");
        t.say("child", () -> c.exists("/zs/a", false));
        t.say("acl", () -> c.setACL("/zs/a", Ids.OPEN_ACL_UNSAFE, 0));
        t.say("set to null", () -> c.setData("/zs/a", null, 1));
        t.say("wrong version", () -> c.setData("/zs/a", null, 1));
        t.say("wrong ACL version", () -> c.setACL("/zs/a", Ids.OPEN_ACL_UNSAFE, 0));
        c.delete("/zs/a/b", -1);
        Stat stat = new Stat();
        c.getData("/zs/a", false, stat);
        t.say("data: " + t.stat(stat));
        c.getChildren("/zs/a", false, stat);
        t.say("children: " + t.stat(stat));
        c.getACL("/zs/a", stat);
        t.say("acl: " + t.stat(stat));
        t.say("parent", () -> c.exists("/zs", false));
    }

    private static void data(Tour t) throws Exception {
        var c = t.clientWithRoot("/zd");
        c.create("/zd/null", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        c.create("/zd/empty", new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        byte[] all = new byte[256];
        for (int at = 0; at < all.length; at++) {
            all[at] = (byte) at;
        }
        c.create("/zd/all", all, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        t.say("null", () -> c.getData("/zd/null", false, null));
        t.say("empty", () -> c.getData("/zd/empty", false, null).length);
        t.say("all", () -> java.util.Arrays.equals(all, c.getData("/zd/all", false, null)));
        c.setData("/zd/all", null, -1);
        t.say("set to null", () -> c.getData("/zd/all", false, null));
    }

    private static void names(Tour t) throws Exception {
        var c = t.clientWithRoot("/zn");
        for (String name : List.of("Käse", "日本", "😀", "a b", "%2F", "...", "-", "\ud83d")) {
            t.say("a name", () -> {
                String path = c.make("/zn/" + name);
                return path + " " + t.stat(c.exists(path, false));
            });
        }
        t.say("children", () -> Tour.sorted(c.getChildren("/zn", false)));
    }

    private static void badPaths(Tour t) throws Exception {
        var c = t.clientWithRoot("/zb");
        for (String path : List.of("", "zb", "/zb/", "/zb//a", "/zb/.", "/zb/../a", "/zb/\u0000",
            "/zb/\u0001", "/zb/\ue000", "/zb/\ufff0")) {
            t.say("create", () -> c.make(path));
        }
        t.say("root", () -> c.make("/"));
        t.say("delete the root", () -> {
            c.delete("/", -1);
            return "done";
        });
        t.say("below zookeeper", () -> c.make("/zookeeper/zb"));
        t.say("quota", () -> Tour.sorted(c.getChildren("/zookeeper", false)));
        t.say("delete", () -> {
            c.delete("/zookeeper/zb", -1);
            return "done";
        });
        t.say("root", () -> c.exists("/zb", false));
    }

    private static void atTheLimit(Tour t) throws Exception {
        var c = t.clientWithRoot("/zl");
        c.make("/zl/a");
        // Header, path with its length, length of the data, version.
        int around = 8 + 4 + "/zl/a".length() + 4 + 4;
        for (int frame : List.of(1_000_000, 1_048_574, 1_048_575)) {
            t.say(frame + " bytes", () -> c.setData("/zl/a", new byte[frame - around], -1));
        }
        t.say("read back", () -> c.getData("/zl/a", false, null));
        t.say("one more", () -> c.setData("/zl/a", new byte[1_048_576 - around], -1));
        t.say(c.events.next());
        t.say(c.events.next());
        t.say("the session is there", () -> c.exists("/zl/a", false));
    }

    private static void longList(Tour t) throws Exception {
        var c = t.clientWithRoot("/zv");
        String pad = "x".repeat(200);
        int count = 6000;
        var done = new java.util.concurrent.CountDownLatch(count);
        for (int at = 0; at < count; at++) {
            c.create("/zv/" + pad + at, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                (rc, path, context, name) -> done.countDown(), null);
        }
        done.await();
        t.say("listed", () -> c.getChildren("/zv", false).size());
        t.say("listed once each",
            () -> new java.util.HashSet<>(c.getChildren("/zv", false)).size());
        t.say("counted", () -> c.getAllChildrenNumber("/zv"));
        t.say("root", () -> c.exists("/zv", false));
    }

    private static void sequences(Tour t) throws Exception {
        var c = t.clientWithRoot("/zq");
        t.say("first", () -> c.make("/zq/s-", CreateMode.PERSISTENT_SEQUENTIAL));
        c.make("/zq/plain");
        t.say("after a plain one", () -> c.make("/zq/s-", CreateMode.PERSISTENT_SEQUENTIAL));
        c.delete("/zq/plain", -1);
        t.say("after a delete", () -> c.make("/zq/s-", CreateMode.PERSISTENT_SEQUENTIAL));
        t.say("no prefix", () -> c.make("/zq/", CreateMode.PERSISTENT_SEQUENTIAL));
        t.say("ephemeral", () -> c.make("/zq/e", CreateMode.EPHEMERAL_SEQUENTIAL));
        c.make("/zq/0000000005");
        t.say("in the way", () -> c.make("/zq/", CreateMode.PERSISTENT_SEQUENTIAL));
    }

    private static void counts(Tour t) throws Exception {
        var c = t.clientWithRoot("/zc");
        var d = t.client("d");
        c.make("/zc/a");
        for (String path : List.of("/zc/e2", "/zc/e1", "/zc/a/e", "/zcx")) {
            c.make(path, CreateMode.EPHEMERAL);
        }
        d.make("/zc/theirs", CreateMode.EPHEMERAL);
        t.say("all of ours", () -> Tour.sorted(c.getEphemerals()));
        t.say("below the root", () -> Tour.sorted(c.getEphemerals("/zc")));
        t.say("below a", () -> Tour.sorted(c.getEphemerals("/zc/a")));
        t.say("below nothing", () -> Tour.sorted(c.getEphemerals("/zc/none")));
        t.say("the other's", () -> Tour.sorted(d.getEphemerals("/zc")));
        t.say("number", () -> c.getAllChildrenNumber("/zc"));
        t.say("number of nothing", () -> c.getAllChildrenNumber("/zc/none"));
    }

    private static void config(Tour t) throws Exception {
        var c = t.clientWithRoot("/zf");
        t.say("config", () -> {
            Stat stat = new Stat();
            return '"' + new String(c.getConfig(false, stat)) + "\" " + t.stat(stat);
        });
        t.say("watched", () -> c.getConfig(true, new Stat()));
        t.say("acl", () -> c.getACL("/zookeeper/config", null));
    }

    private static void chroot(Tour t) throws Exception {
        var c = t.clientWithRoot("/ch");
        c.make("/ch/root");
        var d = t.client("d", t.address + "/ch/root", 10_000);
        t.say("create", () -> d.make("/a"));
        t.say("sequential", () -> d.make("/s-", CreateMode.EPHEMERAL_SEQUENTIAL));
        t.say("sequence at the top", () -> d.make("/", CreateMode.PERSISTENT_SEQUENTIAL));
        t.say("root", () -> d.exists("/", false));
        t.say("children", () -> Tour.sorted(d.getChildren("/", false)));
        t.say("ephemerals", () -> Tour.sorted(d.getEphemerals("/")));
        t.say("ephemerals, all", () -> Tour.sorted(d.getEphemerals()));
        d.addWatch("/", org.apache.zookeeper.AddWatchMode.PERSISTENT_RECURSIVE);
        d.exists("/a", true);
        t.say("set", () -> d.setData("/a", null, 0));
        MultiCases.sayMulti(t, "multi", d, List.of(MultiCases.create("/m", CreateMode.PERSISTENT),
            org.apache.zookeeper.Op.check("/a", 1)));
        MultiCases.sayMulti(t, "multi that fails", d,
            List.of(org.apache.zookeeper.Op.delete("/none", 0)));
        t.say("not there", () -> d.getData("/none", false, null));
        d.sayEvents("events");
        t.say("seen from outside", () -> Tour.sorted(c.getChildren("/ch/root", false)));
        t.say("config is not below it", () -> d.getConfig(false, null).length);
    }

    private static void absentChroot(Tour t) throws Exception {
        var c = t.clientWithRoot("/ca");
        var d = t.client("d", t.address + "/ca/none", 10_000);
        t.say("create", () -> d.make("/a"));
        t.say("exists", () -> d.exists("/", false));
        t.say("the root itself", () -> d.make("/"));
        t.say("create", () -> d.make("/a"));
        t.say("seen from outside", () -> c.getChildren("/ca/none", false));
    }

    private static void permissions(Tour t) throws Exception {
        var c = t.clientWithRoot("/ap");
        for (int perms : List.of(0, Perms.READ, Perms.WRITE, Perms.CREATE, Perms.DELETE,
            Perms.ADMIN)) {
            String path = "/ap/" + perms;
            c.make(path);
            c.make(path + "/child");
            c.setACL(path, Arrays.asList(new ACL(perms, Ids.ANYONE_ID_UNSAFE)), -1);
            t.say(perms + " exists", () -> c.exists(path, false));
            t.say(perms + " get", () -> c.getData(path, false, null));
            t.say(perms + " list", () -> c.getChildren(path, false));
            t.say(perms + " count", () -> c.getAllChildrenNumber(path));
            t.say(perms + " getACL", () -> c.getACL(path, null));
            t.say(perms + " set", () -> c.setData(path, null, -1));
            t.say(perms + " create", () -> c.make(path + "/new"));
            t.say(perms + " delete", () -> {
                c.delete(path + "/child", -1);
                return "done";
            });
            t.say(perms + " setACL", () -> c.setACL(path, Ids.OPEN_ACL_UNSAFE, -1));
        }
    }

    private static void acls(Tour t) throws Exception {
        var c = t.clientWithRoot("/aa");
        c.addAuthInfo("digest", Tour.bytes("user:secret"));
        t.say("creator", () -> c.create("/aa/a", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
        t.say("acl", () -> c.getACL("/aa/a", null));
        t.say("many", () -> c.create("/aa/b", null, Arrays.asList(
            new ACL(Perms.READ, new Id("ip", "127.0.0.1/8")),
            new ACL(Perms.ALL, new Id("digest", "user:yT8ucy1MpXRlmwHDRrkkA+x5tPc=")),
            new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE),
            new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE)), CreateMode.PERSISTENT));
        t.say("acl", () -> c.getACL("/aa/b", null));
        t.say("null acl", () -> c.create("/aa/c", null, null, CreateMode.PERSISTENT));
        for (Id id : List.of(new Id("ip", "1.2.3"), new Id("digest", "x"), new Id("auth", "x"),
            new Id("world", "x"), new Id("none", "x"), new Id("", ""), new Id("sasl", "x"),
            new Id("x509", "CN=x"), new Id("super", ""))) {
            t.say("acl of " + id.getScheme(), () -> c.create("/aa/" + id.getScheme() + "-", null,
                Arrays.asList(new ACL(Perms.ALL, id)), CreateMode.EPHEMERAL_SEQUENTIAL));
        }
        var d = t.client("d");
        t.say("without auth", () -> d.getData("/aa/a", false, null));
        t.say("masked", () -> d.getACL("/aa/b", null));
        d.addAuthInfo("digest", Tour.bytes("super:test"));
        t.say("super", () -> d.getData("/aa/a", false, null));
        t.say("version", () -> d.setACL("/aa/a", Ids.READ_ACL_UNSAFE, 1));
        t.say("version", () -> d.setACL("/aa/a", Ids.READ_ACL_UNSAFE, 0));
    }

    private static void whoAmI(Tour t) throws Exception {
        var c = t.clientWithRoot("/ww");
        for (String user : List.of("", "a:b", "a:b", "a:c", "colonless", ":", "super:test")) {
            if (!user.isEmpty()) {
                c.addAuthInfo("digest", Tour.bytes(user));
            }
            t.say("with " + user, () -> Tour.sorted(c.whoAmI().stream()
                .map(info -> info.getAuthScheme() + "=" + info.getUser())
                .collect(Collectors.toList())) + " of " + c.whoAmI().size());
        }
    }

    private static void badAuth(Tour t) throws Exception {
        for (String scheme : List.of("digest", "nonsense", "sasl", "world", "ip")) {
            var c = t.client(scheme);
            boolean asNull = scheme.equals("digest");
            c.addAuthInfo(scheme, asNull ? null : Tour.bytes("x"));
            t.say(scheme, () -> c.exists("/", false) != null);
            t.say(scheme + ": " + c.events.drain() + " " + c.getState());
        }
    }
}
