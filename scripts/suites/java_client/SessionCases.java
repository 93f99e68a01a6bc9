/*
 * Sessions and connections: moved, cut, silent, expired; what comes back with them, what must not.
 */
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooDefs.Ids;

final class SessionCases {
    private SessionCases() {}

    static void add(Tour t) {
        t.add("session: timeouts are negotiated", SessionCases::timeouts);
        t.add("session: a client that likes read-only servers", SessionCases::readOnly);
        t.add("session: idle for several timeouts", SessionCases::idle);
        t.add("session: moved to a second client", SessionCases::moved);
        t.add("session: two clients fight over one", SessionCases::fight);
        t.add("session: a wrong password is an expired session", SessionCases::wrongPassword);
        t.add("session: an unknown session has expired", SessionCases::unknown);
        t.add("session: expiry is told and ephemerals go", SessionCases::expiry);
        t.add("session: close ends it at once", SessionCases::closed);
        t.add("session: moved by a new list of servers", SessionCases::newServers);
        t.add("reconnect: what did not change is not told", SessionCases::nothingChanged);
        t.add("reconnect: what changed is told once", SessionCases::changed);
        t.add("reconnect: persistent and recursive watches go on", SessionCases::persistentGoOn);
        t.add("reconnect: removed watches stay removed", SessionCases::removedStay);
        t.add("reconnect: four thousand watches", SessionCases::manyWatches);
        t.add("reconnect: watches below a chroot", SessionCases::chroot);
        t.add("reconnect: authentication comes back", SessionCases::auth);
        t.add("reconnect: calls under way are lost, not done twice", SessionCases::underWay);
        t.add("reconnect: twenty times in a row", SessionCases::often);
        t.add("together: eight clients take one lock in turns", SessionCases::lock);
        t.add("together: thirty clients, one counter by versions", SessionCases::counter);
    }

    private static void timeouts(Tour t) throws Exception {
        for (int asked : List.of(700, 999, 1000, 1001, 4321, 20_000, 20_001, 1_000_000)) {
            var c = t.client("c", t.address, asked);
            t.say(asked + ": " + c.getSessionTimeout());
            c.close();
        }
    }

    private static void readOnly(Tour t) throws Exception {
        var c = t.keep(new Tour.Client(t, "c", t.address, 10_000, true));
        c.awaitConnected();
        t.say("state " + c.getState());
        t.say("write", () -> c.make("/ro-client", CreateMode.EPHEMERAL));
    }

    private static void idle(Tour t) throws Exception {
        var c = t.client("c", t.address, 1000);
        c.make("/idle", CreateMode.EPHEMERAL);
        Thread.sleep(3500);
        t.say("still there", () -> c.exists("/idle", false).getEphemeralOwner()
            == c.getSessionId());
        t.say("events: " + c.events.drain());
    }

    private static Tour.Client again(Tour t, String name, String where, Tour.Client old)
        throws Exception {
        return t.keep(new Tour.Client(t, name, where, old.getSessionTimeout(), old.getSessionId(),
            old.getSessionPasswd()));
    }

    private static void moved(Tour t) throws Exception {
        var watcher = t.clientWithRoot("/sm");
        var proxy = t.proxy();
        var c = t.client("old", proxy.address(), 10_000);
        c.make("/sm/e", CreateMode.EPHEMERAL);
        c.getData("/sm/e", true, null);
        watcher.addWatch("/sm", AddWatchMode.PERSISTENT_RECURSIVE);
        // What the old client had is cut off: it must not come back and take the session again.
        proxy.freeze();
        var d = again(t, "new", t.address, c);
        d.awaitConnected();
        t.say("same session: " + (d.getSessionId() == c.getSessionId()));
        t.say("same password: " + java.util.Arrays.equals(d.getSessionPasswd(),
            c.getSessionPasswd()));
        t.say("ephemeral", () -> d.exists("/sm/e", false).getEphemeralOwner() == d.getSessionId());
        d.setData("/sm/e", Tour.bytes("moved"), 0);
        d.sayEvents("watches did not move with it");
        watcher.sayEvents("nothing but the set");
        proxy.refuse();
        t.say("old: " + c.events.next());
        d.close();
        watcher.sayEvents("closed by the new one");
        proxy.admit();
        t.say("old: " + c.events.next());
    }

    private static void fight(Tour t) throws Exception {
        var c = t.clientWithRoot("/sf");
        var old = t.client("old");
        old.make("/sf/e", CreateMode.EPHEMERAL);
        var d = again(t, "new", t.address, old);
        d.awaitConnected();
        t.say("old: " + old.events.next());
        // It comes back by itself and takes the session from the new one.
        t.say("old: " + old.events.next());
        t.say("new: " + d.events.next());
        t.say("ephemeral", () -> c.exists("/sf/e", false) != null);
        d.close();
    }

    private static void wrongPassword(Tour t) throws Exception {
        var c = t.clientWithRoot("/sw");
        c.make("/sw/e", CreateMode.EPHEMERAL);
        byte[] wrong = c.getSessionPasswd().clone();
        wrong[3] ^= 1;
        var d = t.keep(new Tour.Client(t, "d", t.address, 10_000, c.getSessionId(), wrong));
        t.say("thief: " + d.events.next());
        t.say("thief", () -> d.exists("/sw", false));
        // Apache closes the owner's connection before it looks at the password; we leave it alone.
        Tour.eventually("the owner is connected", () -> {
            try {
                return c.exists("/sw/e", false) != null;
            } catch (org.apache.zookeeper.KeeperException.ConnectionLossException cause) {
                return false;
            }
        });
        t.say("owner", () -> c.getData("/sw/e", false, null));
        t.say("owner's ephemeral", () -> c.exists("/sw/e", false) != null);
    }

    private static void unknown(Tour t) throws Exception {
        var d = t.keep(new Tour.Client(t, "d", t.address, 10_000, 4711, new byte[16]));
        t.say(d.events.next() + " " + d.getState());
    }

    private static void expiry(Tour t) throws Exception {
        var watcher = t.clientWithRoot("/se");
        var proxy = t.proxy();
        var c = t.client("gone", proxy.address(), 1000);
        c.make("/se/a", CreateMode.EPHEMERAL);
        watcher.exists("/se/a", true);
        c.exists("/se", true);
        proxy.freeze();
        // Sessions that earlier cases left behind may expire first: zxids are not compared here.
        t.say("others: " + watcher.events.next().replaceFirst(" [+]\\d+$", ""));
        proxy.drop();
        t.say("gone: " + c.events.next());
        t.say("gone: " + c.events.next());
        t.say("state " + c.getState());
        t.say("call", () -> c.exists("/se", false));
        t.say("others", () -> watcher.exists("/se", false).getNumChildren());
    }

    private static void closed(Tour t) throws Exception {
        var watcher = t.clientWithRoot("/sc");
        var c = t.client("c");
        for (int at = 0; at < 50; at++) {
            c.make("/sc/e" + at, CreateMode.EPHEMERAL);
        }
        c.close();
        t.say("children", () -> watcher.getChildren("/sc", false));
        t.say("root", () -> watcher.exists("/sc", false));
        t.say("events: " + c.events.drain() + " " + c.getState());
        var d = again(t, "again", t.address, c);
        t.say("again: " + d.events.next());
    }

    private static void newServers(Tour t) throws Exception {
        var one = t.proxy();
        var two = t.proxy();
        var c = t.client("c", one.address(), 10_000);
        c.make("/sn-" + c.getSessionId(), CreateMode.EPHEMERAL);
        long id = c.getSessionId();
        c.exists("/sn", true);
        c.updateServerList(two.address());
        one.refuse();
        t.say(c.events.next());
        t.say(c.events.next());
        t.say("same session: " + (id == c.getSessionId()));
        c.make("/sn", CreateMode.EPHEMERAL);
        c.sayEvents("the watch went along");
    }

    /** Cuts the connection, lets another client do something, and waits for the way back. */
    private static void cut(Tour t, Proxy proxy, Tour.Client c, Tour.Call meanwhile)
        throws Exception {
        proxy.refuse();
        t.say(c.events.take("Disconnected None null"));
        meanwhile.run();
        proxy.admit();
        // Events of what was missed may come before or behind this one: it is waited for alone.
        List<String> before = new ArrayList<>();
        for (String event = c.events.next(); !event.startsWith("SyncConnected None null");
            event = c.events.next()) {
            before.add(event);
        }
        // The watches are sent behind the handshake.
        c.barrier();
        t.say("SyncConnected, events before it: " + before);
    }

    private static void leaveWatches(Tour.Client c, String root) throws Exception {
        for (String name : List.of("data", "kids", "gone", "gone-kids")) {
            c.make(root + "/" + name);
        }
        c.getData(root + "/data", true, null);
        c.getChildren(root + "/kids", true);
        c.exists(root + "/later", true);
        c.exists(root + "/data", true);
        c.getData(root + "/gone", true, null);
        c.getChildren(root + "/gone-kids", true);
        c.make(root + "/p");
        c.make(root + "/r");
        c.addWatch(root + "/p", AddWatchMode.PERSISTENT);
        c.addWatch(root + "/r", AddWatchMode.PERSISTENT_RECURSIVE);
        c.events.drain();
    }

    private static void nothingChanged(Tour t) throws Exception {
        var other = t.clientWithRoot("/rn");
        var proxy = t.proxy();
        var c = t.client("p", proxy.address(), 10_000);
        leaveWatches(c, "/rn");
        cut(t, proxy, c, () -> other.make("/rn/unwatched"));
        c.sayEvents("no false ones");
        for (String name : List.of("data", "gone", "p", "r")) {
            other.setData("/rn/" + name, null, -1);
        }
        other.make("/rn/kids/a");
        other.make("/rn/later");
        other.make("/rn/r/a");
        other.delete("/rn/gone-kids", -1);
        c.sayEvents("and none is lost");
        other.setData("/rn/data", null, -1);
        other.make("/rn/kids/b");
        c.sayEvents("once only");
    }

    private static void changed(Tour t) throws Exception {
        var other = t.clientWithRoot("/rc");
        var proxy = t.proxy();
        var c = t.client("p", proxy.address(), 10_000);
        leaveWatches(c, "/rc");
        cut(t, proxy, c, () -> {
            other.setData("/rc/data", null, -1);
            other.setData("/rc/data", null, -1);
            other.make("/rc/kids/a");
            other.make("/rc/later");
            other.delete("/rc/gone", -1);
            other.delete("/rc/gone-kids", -1);
            return null;
        });
        c.barrier();
        t.say("caught up: " + Tour.sorted(c.events.drain()));
        other.setData("/rc/data", null, -1);
        other.make("/rc/kids/b");
        other.setData("/rc/later", null, -1);
        other.make("/rc/gone");
        c.sayEvents("used up");
        t.say("fresh ones", () -> c.exists("/rc/data", true));
        other.setData("/rc/data", null, -1);
        c.sayEvents("work");
    }

    private static void persistentGoOn(Tour t) throws Exception {
        var other = t.clientWithRoot("/rp");
        var proxy = t.proxy();
        var c = t.client("p", proxy.address(), 10_000);
        leaveWatches(c, "/rp");
        cut(t, proxy, c, () -> {
            other.setData("/rp/p", null, -1);
            other.make("/rp/r/missed");
            other.delete("/rp/r/missed", -1);
            return null;
        });
        c.sayEvents("what was missed is not told");
        for (int round = 0; round < 2; round++) {
            other.setData("/rp/p", null, -1);
            other.make("/rp/p/" + round);
            other.make("/rp/r/" + round);
            other.setData("/rp/r/" + round, null, -1);
            c.sayEvents("but what comes is");
            cut(t, proxy, c, () -> null);
        }
    }

    private static void removedStay(Tour t) throws Exception {
        var other = t.clientWithRoot("/rr");
        var proxy = t.proxy();
        var c = t.client("p", proxy.address(), 10_000);
        leaveWatches(c, "/rr");
        c.removeAllWatches("/rr/data", org.apache.zookeeper.Watcher.WatcherType.Data, false);
        c.removeAllWatches("/rr/p", org.apache.zookeeper.Watcher.WatcherType.Any, false);
        c.sayEvents("removed");
        cut(t, proxy, c, () -> other.setData("/rr/data", null, -1));
        other.setData("/rr/p", null, -1);
        other.setData("/rr/gone", null, -1);
        c.sayEvents("events");
    }

    private static void manyWatches(Tour t) throws Exception {
        var other = t.clientWithRoot("/rm");
        var proxy = t.proxy();
        var c = t.client("p", proxy.address(), 10_000);
        String pad = "x".repeat(150);
        int count = 4000;
        var done = new CountDownLatch(count);
        for (int at = 0; at < count; at++) {
            c.exists("/rm/" + pad + at, true, (rc, path, context, stat) -> done.countDown(), null);
        }
        done.await(Tour.WAIT_MS, TimeUnit.MILLISECONDS);
        cut(t, proxy, c, () -> {
            other.make("/rm/" + pad + 0);
            return other.make("/rm/" + pad + (count - 1));
        });
        c.barrier();
        t.say("missed: " + c.events.drain().size());
        var made = new CountDownLatch(count - 2);
        for (int at = 1; at < count - 1; at++) {
            other.create("/rm/" + pad + at, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                (rc, path, context, name) -> made.countDown(), null);
        }
        made.await(Tour.WAIT_MS, TimeUnit.MILLISECONDS);
        c.barrier();
        t.say("later: " + c.events.drain().size());
    }

    private static void chroot(Tour t) throws Exception {
        var other = t.clientWithRoot("/rx");
        var proxy = t.proxy();
        other.make("/rx/a");
        var c = t.client("p", proxy.address() + "/rx", 10_000);
        c.getData("/a", true, null);
        c.exists("/b", true);
        c.getChildren("/", true);
        c.addWatch("/", AddWatchMode.PERSISTENT_RECURSIVE);
        cut(t, proxy, c, () -> {
            other.setData("/rx/a", null, -1);
            return other.make("/rx/b");
        });
        c.barrier();
        t.say("caught up: " + Tour.sorted(c.events.drain()));
        other.make("/rx/c");
        c.sayEvents("events");
    }

    private static void auth(Tour t) throws Exception {
        var other = t.clientWithRoot("/ra");
        var proxy = t.proxy();
        var c = t.client("p", proxy.address(), 10_000);
        c.addAuthInfo("digest", Tour.bytes("one:1"));
        c.addAuthInfo("digest", Tour.bytes("two:2"));
        c.create("/ra/mine", Tour.bytes("secret"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        c.getData("/ra/mine", true, null);
        cut(t, proxy, c, () -> other.exists("/ra", false));
        t.say("mine", () -> c.getData("/ra/mine", false, null));
        t.say("not theirs", () -> other.getData("/ra/mine", false, null));
        t.say("who am I", () -> c.whoAmI().size());
        c.setData("/ra/mine", null, -1);
        c.sayEvents("events");
    }

    private static void underWay(Tour t) throws Exception {
        var other = t.clientWithRoot("/ru");
        var proxy = t.proxy();
        var c = t.client("p", proxy.address(), 10_000);
        BlockingQueue<String> notes = new LinkedBlockingQueue<>();
        proxy.holdAnswers();
        for (int at = 0; at < 10; at++) {
            c.create("/ru/s-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL,
                (rc, path, context, name) -> notes.add(context + " " + Code.get(rc)), at);
        }
        Tour.eventually("all are done", () -> other.getChildren("/ru", false).size() == 10);
        proxy.drop();
        for (int at = 0; at < 10; at++) {
            t.say(notes.poll(Tour.WAIT_MS, TimeUnit.MILLISECONDS));
        }
        t.say(c.events.next());
        t.say(c.events.next());
        t.say("root", () -> c.exists("/ru", false));
    }

    private static void often(Tour t) throws Exception {
        var other = t.clientWithRoot("/rt");
        var proxy = t.proxy();
        var c = t.client("p", proxy.address(), 10_000);
        c.make("/rt/e", CreateMode.EPHEMERAL);
        c.addWatch("/rt", AddWatchMode.PERSISTENT_RECURSIVE);
        c.exists("/rt/once", true);
        long id = c.getSessionId();
        int changes = 0;
        for (int round = 0; round < 20; round++) {
            proxy.drop();
            c.events.take("Disconnected None null");
            c.awaitConnected();
            // The watches are sent behind the handshake.
            c.barrier();
            other.setData("/rt", Tour.bytes("" + round), -1);
            c.barrier();
            changes += c.events.drain().size();
        }
        t.say("events: " + changes);
        other.make("/rt/once");
        c.sayEvents("the one-time watch, and the recursive one");
        t.say("same session: " + (id == c.getSessionId()));
        t.say("ephemeral", () -> other.exists("/rt/e", false) != null);
    }

    /** The documented recipe: the lowest number has the lock, others watch the one before. */
    private static String lockOnce(Tour.Client c, String root) throws Exception {
        String mine = c.make(root + "/lock-", CreateMode.EPHEMERAL_SEQUENTIAL);
        String name = mine.substring(root.length() + 1);
        while (true) {
            List<String> waiting = new ArrayList<>(c.getChildren(root, false));
            waiting.sort(null);
            int place = waiting.indexOf(name);
            if (place == 0) {
                return mine;
            }
            var gone = new CountDownLatch(1);
            if (c.exists(root + "/" + waiting.get(place - 1), event -> gone.countDown()) != null
                && !gone.await(Tour.WAIT_MS, TimeUnit.MILLISECONDS)) {
                throw new IllegalStateException("nobody gives the lock up");
            }
        }
    }

    private static void inThreads(int count, Tour.Call work) throws Exception {
        List<Thread> threads = new ArrayList<>();
        List<Exception> causes = new ArrayList<>();
        for (int at = 0; at < count; at++) {
            Thread thread = new Thread(() -> {
                try {
                    work.run();
                } catch (Exception cause) {
                    synchronized (causes) {
                        causes.add(cause);
                    }
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        if (!causes.isEmpty()) {
            throw causes.get(0);
        }
    }

    private static void lock(Tour t) throws Exception {
        var c = t.clientWithRoot("/tl");
        c.make("/tl/locks");
        c.create("/tl/counter", Tour.bytes("0"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        inThreads(8, () -> {
            try (var mine = new Tour.Client(t, "c", t.address, 20_000, false)) {
                mine.awaitConnected();
                for (int round = 0; round < 5; round++) {
                    String held = lockOnce(mine, "/tl/locks");
                    // Nothing but the lock keeps others from between the read and the write.
                    byte[] data = mine.getData("/tl/counter", false, null);
                    int value = Integer.parseInt(new String(data));
                    mine.setData("/tl/counter", Tour.bytes("" + (value + 1)), -1);
                    mine.delete(held, -1);
                }
            }
            return null;
        });
        t.say("counter", () -> c.getData("/tl/counter", false, null));
        t.say("locks", () -> c.getChildren("/tl/locks", false));
        t.say("the next number", () -> c.make("/tl/locks/lock-", CreateMode.EPHEMERAL_SEQUENTIAL));
    }

    private static void counter(Tour t) throws Exception {
        var c = t.clientWithRoot("/tc");
        c.setData("/tc", Tour.bytes("0"), -1);
        inThreads(30, () -> {
            try (var mine = new Tour.Client(t, "c", t.address, 20_000, false)) {
                mine.awaitConnected();
                while (true) {
                    var stat = new org.apache.zookeeper.data.Stat();
                    int value = Integer.parseInt(new String(mine.getData("/tc", false, stat)));
                    try {
                        mine.setData("/tc", Tour.bytes("" + (value + 1)), stat.getVersion());
                        return null;
                    } catch (org.apache.zookeeper.KeeperException.BadVersionException cause) {
                        // Another one was faster: read again.
                    }
                }
            }
        });
        t.say("counter", () -> c.getData("/tc", false, null));
        t.say("versions", () -> c.exists("/tc", false).getVersion());
    }
}
