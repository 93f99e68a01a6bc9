/*
 * Recipes of Curator 5, which most Java programs use instead of the bare client.
 */
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.retry.RetryOneTime;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;

final class CuratorCases {
    private CuratorCases() {}

    static void add(Tour t) {
        t.add("curator: create with all that it can", CuratorCases::creates);
        t.add("curator: transaction", CuratorCases::transaction);
        t.add("curator: watches and config", CuratorCases::watches);
        t.add("curator: LeaderLatch passes on", CuratorCases::leaderLatch);
        t.add("curator: InterProcessMutex", CuratorCases::mutex);
        t.add("curator: read-write lock and semaphore", CuratorCases::otherLocks);
        t.add("curator: PersistentNode comes back", CuratorCases::persistentNode);
        t.add("curator: PersistentTtlNode is kept alive", CuratorCases::ttlNode);
        t.add("curator: CuratorCache follows", CuratorCases::cache);
        t.add("curator: SimpleDistributedQueue", CuratorCases::queue);
        t.add("curator: barriers", CuratorCases::barriers);
        t.add("curator: counters", CuratorCases::counters);
        t.add("curator: GroupMember", CuratorCases::group);
        t.add("curator: a lost session is told, and a new one is made", CuratorCases::lost);
    }

    private static CuratorFramework start(Tour t, String where, int timeoutMs) throws Exception {
        CuratorFramework curator = t.keep(CuratorFrameworkFactory.newClient(where, timeoutMs,
            10_000, new RetryOneTime(100)));
        curator.start();
        curator.blockUntilConnected();
        return curator;
    }

    private static CuratorFramework start(Tour t) throws Exception {
        return start(t, t.address, 10_000);
    }

    private static void creates(Tour t) throws Exception {
        t.clientWithRoot("/kc");
        var curator = start(t);
        t.say("parents", () -> curator.create().creatingParentsIfNeeded().forPath("/kc/a/b/c"));
        t.say("container parents", () -> curator.create().creatingParentContainersIfNeeded()
            .forPath("/kc/boxes/box/a"));
        Stat stat = new Stat();
        t.say("storing the Stat", () -> curator.create().storingStatIn(stat).forPath("/kc/s",
            Tour.bytes("x")));
        t.say(t.stat(stat));
        t.say("or set", () -> curator.create().orSetData().forPath("/kc/s", Tour.bytes("y")));
        t.say("container", () -> curator.create().withMode(CreateMode.CONTAINER)
            .forPath("/kc/box"));
        t.say("ttl", () -> curator.create().withTtl(600_000)
            .withMode(CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL).forPath("/kc/ttl-"));
        t.say("protected", () -> curator.create().withProtection()
            .withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/kc/p-")
            .replaceAll("[0-9a-f-]{36}", "(id)"));
        t.say("idempotent", () -> curator.create().idempotent().forPath("/kc/s", Tour.bytes("y")));
        t.say("compressed", () -> {
            curator.create().compressed().forPath("/kc/z", Tour.bytes("text"));
            return new String(curator.getData().decompressed().forPath("/kc/z"));
        });
        t.say("delete with children", () -> curator.delete().guaranteed().deletingChildrenIfNeeded()
            .forPath("/kc/a"));
        t.say("quietly", () -> curator.delete().quietly().forPath("/kc/a"));
    }

    private static void transaction(Tour t) throws Exception {
        t.clientWithRoot("/kt");
        var curator = start(t);
        t.say("results", () -> {
            var lines = new ArrayList<String>();
            for (var result : curator.transaction().forOperations(
                curator.transactionOp().create().forPath("/kt/a", Tour.bytes("x")),
                curator.transactionOp().create().withMode(CreateMode.EPHEMERAL).forPath("/kt/e"),
                curator.transactionOp().setData().withVersion(0).forPath("/kt/a", Tour.bytes("y")),
                curator.transactionOp().check().withVersion(1).forPath("/kt/a"),
                curator.transactionOp().delete().forPath("/kt/e"))) {
                lines.add(result.getType() + " " + result.getResultPath() + " "
                    + t.text(result.getResultStat()));
            }
            return lines;
        });
        t.say("fails", () -> curator.transaction().forOperations(
            curator.transactionOp().delete().forPath("/kt/a"),
            curator.transactionOp().check().forPath("/kt/none")));
    }

    private static void watches(Tour t) throws Exception {
        t.clientWithRoot("/kw");
        var curator = start(t);
        var events = new Tour.Events(t);
        curator.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE).usingWatcher(events)
            .forPath("/kw");
        curator.create().forPath("/kw/a");
        curator.setData().forPath("/kw/a", null);
        t.say(events.next());
        t.say(events.next());
        curator.watchers().removeAll().forPath("/kw");
        t.say(events.next());
        t.say("config", () -> curator.getConfig().forEnsemble());
        t.say("seen by Curator", () -> curator.getCurrentConfig());
    }

    private static void leaderLatch(Tour t) throws Exception {
        t.clientWithRoot("/kl");
        List<LeaderLatch> latches = new ArrayList<>();
        for (int at = 0; at < 3; at++) {
            var latch = new LeaderLatch(start(t), "/kl/latch", "latch " + at);
            latch.start();
            latches.add(latch);
            int count = at + 1;
            Tour.eventually("it takes part", () -> latch.getParticipants().size() == count);
        }
        for (int at = 0; at < 3; at++) {
            var latch = latches.get(at);
            t.say("leads: " + latch.await(Tour.WAIT_MS, TimeUnit.MILLISECONDS));
            t.say("all agree", () -> latches.get(2).getLeader().getId());
            latch.close();
        }
    }

    private static void mutex(Tour t) throws Exception {
        var c = t.clientWithRoot("/km");
        c.create("/km/counter", Tour.bytes("0"), org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE,
            CreateMode.PERSISTENT);
        List<Thread> threads = new ArrayList<>();
        BlockingQueue<String> causes = new LinkedBlockingQueue<>();
        for (int at = 0; at < 5; at++) {
            var curator = start(t);
            var thread = new Thread(() -> {
                try {
                    var mutex = new InterProcessMutex(curator, "/km/lock");
                    for (int round = 0; round < 4; round++) {
                        mutex.acquire();
                        mutex.acquire();
                        int value = Integer.parseInt(new String(
                            curator.getData().forPath("/km/counter")));
                        curator.setData().forPath("/km/counter", Tour.bytes("" + (value + 1)));
                        mutex.release();
                        mutex.release();
                    }
                } catch (Exception cause) {
                    causes.add(cause.toString());
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        t.say("counter", () -> c.getData("/km/counter", false, null));
        t.say("failures: " + causes);
    }

    private static void otherLocks(Tour t) throws Exception {
        t.clientWithRoot("/ko");
        var one = new InterProcessReadWriteLock(start(t), "/ko/rw");
        var two = new InterProcessReadWriteLock(start(t), "/ko/rw");
        one.readLock().acquire();
        t.say("a second reader: " + two.readLock().acquire(10, TimeUnit.SECONDS));
        t.say("a writer: " + two.writeLock().acquire(0, TimeUnit.SECONDS));
        two.readLock().release();
        one.readLock().release();
        t.say("a writer now: " + two.writeLock().acquire(10, TimeUnit.SECONDS));
        t.say("a reader: " + one.readLock().acquire(0, TimeUnit.SECONDS));
        two.writeLock().release();
        var semaphore = new InterProcessSemaphoreV2(start(t), "/ko/semaphore", 2);
        t.say("leases: " + (semaphore.acquire(2, 10, TimeUnit.SECONDS).size()));
        t.say("one more: " + semaphore.acquire(1, TimeUnit.SECONDS));
        t.say("nodes", () -> semaphore.getParticipantNodes().size());
    }

    private static void persistentNode(Tour t) throws Exception {
        var c = t.clientWithRoot("/kp");
        var proxy = t.proxy();
        var curator = start(t, proxy.address(), 1000);
        var node = t.keep(new PersistentNode(curator, CreateMode.EPHEMERAL, false, "/kp/node",
            Tour.bytes("x")));
        node.start();
        t.say("made: " + node.waitForInitialCreate(Tour.WAIT_MS, TimeUnit.MILLISECONDS));
        long first = c.exists("/kp/node", false).getCzxid();
        c.delete("/kp/node", -1);
        Tour.eventually("it comes back", () -> c.exists("/kp/node", false) != null);
        t.say("a new one: " + (c.exists("/kp/node", false).getCzxid() > first));
        long owner = c.exists("/kp/node", false).getEphemeralOwner();
        proxy.freeze();
        Tour.eventually("its session expires", () -> c.exists("/kp/node", false) == null);
        proxy.drop();
        Tour.eventually("it comes back", () -> c.exists("/kp/node", false) != null);
        t.say("another session's: " + (c.exists("/kp/node", false).getEphemeralOwner() != owner));
        t.say("data", () -> c.getData("/kp/node", false, null));
    }

    private static void ttlNode(Tour t) throws Exception {
        var c = t.clientWithRoot("/kn");
        var curator = start(t);
        var node = new PersistentTtlNode(curator, "/kn/node", 4000, Tour.bytes("x"));
        node.start();
        t.say("made: " + node.waitForInitialCreate(Tour.WAIT_MS, TimeUnit.MILLISECONDS));
        long czxid = c.exists("/kn/node", false).getCzxid();
        Thread.sleep(7000);
        t.say("after more than its life", () ->
            c.exists("/kn/node", false).getCzxid() == czxid);
        node.close();
        Tour.eventually("it goes", () -> c.exists("/kn/node", false) == null);
        t.say("gone when nobody touches it");
    }

    private static void cache(Tour t) throws Exception {
        var c = t.clientWithRoot("/ka");
        var proxy = t.proxy();
        var curator = start(t, proxy.address(), 10_000);
        c.make("/ka/a");
        c.make("/ka/a/b");
        var events = new LinkedBlockingQueue<String>();
        var ready = new java.util.concurrent.CountDownLatch(1);
        var cache = t.keep(CuratorCache.build(curator, "/ka"));
        cache.listenable().addListener(new org.apache.curator.framework.recipes.cache
            .CuratorCacheListener() {
            @Override
            public void event(Type type, org.apache.curator.framework.recipes.cache.ChildData old,
                org.apache.curator.framework.recipes.cache.ChildData now) {
                var which = now == null ? old : now;
                events.add(type + " " + which.getPath() + " v" + which.getStat().getVersion());
            }

            @Override
            public void initialized() {
                ready.countDown();
            }
        });
        cache.start();
        ready.await(Tour.WAIT_MS, TimeUnit.MILLISECONDS);
        sayEvents(t, "at first", events, 3);
        c.setData("/ka/a", null, -1);
        sayEvents(t, "set", events, 1);
        c.make("/ka/c");
        sayEvents(t, "made", events, 1);
        c.delete("/ka/a/b", -1);
        sayEvents(t, "deleted", events, 1);
        proxy.refuse();
        Tour.eventually("it is cut off", () -> !curator.getZookeeperClient().isConnected());
        c.make("/ka/d");
        c.delete("/ka/c", -1);
        proxy.admit();
        sayEvents(t, "missed while cut off", events, 2);
        t.say("size " + cache.size());
    }

    private static void sayEvents(Tour t, String what, BlockingQueue<String> events, int count)
        throws Exception {
        var seen = new TreeSet<String>();
        for (int at = 0; at < count; at++) {
            String event = events.poll(Tour.WAIT_MS, TimeUnit.MILLISECONDS);
            seen.add(event == null ? "(missing)" : event);
        }
        t.say(what + ": " + seen);
    }

    private static void queue(Tour t) throws Exception {
        t.clientWithRoot("/kq");
        var giver = new SimpleDistributedQueue(start(t), "/kq/queue");
        var taker = new SimpleDistributedQueue(start(t), "/kq/queue");
        for (int at = 0; at < 5; at++) {
            giver.offer(Tour.bytes("item " + at));
        }
        for (int at = 0; at < 5; at++) {
            t.say("taken", taker::take);
        }
        t.say("empty", taker::poll);
        new Thread(() -> {
            try {
                giver.offer(Tour.bytes("late"));
            } catch (Exception cause) {
                cause.printStackTrace();
            }
        }).start();
        t.say("waited for", () -> taker.poll(10, TimeUnit.SECONDS));
    }

    private static void barriers(Tour t) throws Exception {
        t.clientWithRoot("/kb");
        var curator = start(t);
        var setter = new DistributedBarrier(curator, "/kb/barrier");
        setter.setBarrier();
        var waiter = new DistributedBarrier(start(t), "/kb/barrier");
        t.say("held: " + !waiter.waitOnBarrier(300, TimeUnit.MILLISECONDS));
        setter.removeBarrier();
        t.say("open: " + waiter.waitOnBarrier(10, TimeUnit.SECONDS));
        List<Thread> threads = new ArrayList<>();
        BlockingQueue<String> notes = new LinkedBlockingQueue<>();
        for (int at = 0; at < 3; at++) {
            var barrier = new DistributedDoubleBarrier(start(t), "/kb/double", 3);
            var thread = new Thread(() -> {
                try {
                    notes.add("entered " + barrier.enter(20, TimeUnit.SECONDS) + " left "
                        + barrier.leave(20, TimeUnit.SECONDS));
                } catch (Exception cause) {
                    notes.add(cause.toString());
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
        t.say("three: " + notes);
    }

    private static void counters(Tour t) throws Exception {
        t.clientWithRoot("/ke");
        var curator = start(t);
        var number = new DistributedAtomicLong(curator, "/ke/long", new RetryOneTime(10));
        number.increment();
        number.add(41L);
        t.say("sum " + number.get().postValue());
        var one = t.keep(new SharedCount(curator, "/ke/count", 7));
        var two = t.keep(new SharedCount(start(t), "/ke/count", 0));
        one.start();
        two.start();
        var old = one.getVersionedValue();
        one.setCount(9);
        Tour.eventually("the other follows", () -> two.getCount() == 9);
        t.say("with an old version: " + one.trySetCount(old, 10));
        t.say("with the right one: " + one.trySetCount(one.getVersionedValue(), 11));
    }

    private static void group(Tour t) throws Exception {
        t.clientWithRoot("/kg");
        var one = new GroupMember(start(t), "/kg/group", "one", Tour.bytes("1"));
        var two = new GroupMember(start(t), "/kg/group", "two", Tour.bytes("2"));
        one.start();
        two.start();
        Tour.eventually("they see each other", () -> one.getCurrentMembers().size() == 2);
        t.say("members " + new TreeSet<>(one.getCurrentMembers().keySet()));
        two.close();
        Tour.eventually("one is alone", () -> one.getCurrentMembers().size() == 1);
        t.say("members " + one.getCurrentMembers().keySet());
        one.close();
    }

    private static void lost(Tour t) throws Exception {
        var c = t.clientWithRoot("/ks");
        var proxy = t.proxy();
        var curator = start(t, proxy.address(), 1000);
        BlockingQueue<String> states = new LinkedBlockingQueue<>();
        curator.getConnectionStateListenable().addListener((client, state) ->
            states.add(state.toString()));
        curator.create().withMode(CreateMode.EPHEMERAL).forPath("/ks/e");
        long first = curator.getZookeeperClient().getZooKeeper().getSessionId();
        proxy.freeze();
        Tour.eventually("it expires", () -> c.exists("/ks/e", false) == null);
        proxy.drop();
        // The first CONNECTED may be told before the listener is there, or behind.
        for (String state = ""; state != null && !state.equals("RECONNECTED");) {
            state = states.poll(Tour.WAIT_MS, TimeUnit.MILLISECONDS);
            if (!"CONNECTED".equals(state)) {
                t.say("" + state);
            }
        }
        t.say("a new session", () ->
            curator.getZookeeperClient().getZooKeeper().getSessionId() != first);
    }
}
