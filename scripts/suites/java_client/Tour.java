/*
 * What every group of cases uses: clients that note their events, a common print-out, and the list
 * of cases. A case prints lines that are the same from run to run: zxids counted from the case's
 * own root, sessions by name, no times.
 */
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

final class Tour {
    /** How long anything may take before a case gives up on it. */
    static final int WAIT_MS = 30_000;

    interface Case {
        void run(Tour tour) throws Exception;
    }

    interface Call {
        Object run() throws Exception;
    }

    final String address;
    private final Map<String, Case> cases = new LinkedHashMap<>();
    private final List<AutoCloseable> open = new ArrayList<>();
    private long base;

    Tour(String address) {
        this.address = address;
    }

    void add(String name, Case what) {
        if (cases.put(name, what) != null) {
            throw new IllegalStateException("two cases are called " + name);
        }
    }

    /** Runs the cases whose names contain one of the words; true if none broke down. */
    boolean run(List<String> words) {
        boolean fine = true;
        for (Map.Entry<String, Case> entry : cases.entrySet()) {
            if (!words.isEmpty() && words.stream().noneMatch(entry.getKey()::contains)) {
                continue;
            }
            System.out.println("> " + entry.getKey());
            long start = System.nanoTime();
            try {
                entry.getValue().run(this);
            } catch (Throwable cause) {
                fine = false;
                say("broke down: " + cause);
                cause.printStackTrace();
            }
            closeAll();
            long tookMs = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start);
            System.err.println(entry.getKey() + " (" + tookMs + " ms)");
        }
        return fine;
    }

    private void closeAll() {
        for (int at = open.size() - 1; at >= 0; at--) {
            try {
                open.get(at).close();
            } catch (Exception cause) {
                // Closed by its case already.
            }
        }
        open.clear();
    }

    /** Closes it at the end of the case. */
    <T extends AutoCloseable> T keep(T thing) {
        open.add(thing);
        return thing;
    }

    void say(String line) {
        // A line is a line, whatever is in a path.
        System.out.println(line.replaceAll("\\p{Cntrl}|\\p{Cs}|\\p{Co}", "?"));
    }

    /** What a call gives, or the name of its error. */
    void say(String what, Call call) {
        String outcome;
        try {
            outcome = text(call.run());
        } catch (KeeperException cause) {
            outcome = cause.code() + " " + cause.getPath();
        } catch (Exception cause) {
            outcome = cause.getClass().getSimpleName() + ": " + cause.getMessage();
        }
        say(what + ": " + outcome);
    }

    String text(Object value) {
        if (value == null) {
            return "null";
        } else if (value instanceof Stat stat) {
            return stat(stat);
        } else if (value instanceof byte[] data) {
            return data.length > 40 ? data.length + " bytes"
                : '"' + new String(data, StandardCharsets.UTF_8) + '"';
        }
        return value.toString();
    }

    /** Every field of a Stat but the times, which only have to be in order. */
    String stat(Stat stat) {
        String owner = stat.getEphemeralOwner() == 0 ? "0" : sessionName(stat.getEphemeralOwner());
        return "czxid " + zxid(stat.getCzxid()) + " mzxid " + zxid(stat.getMzxid()) + " pzxid "
            + zxid(stat.getPzxid()) + " v" + stat.getVersion() + " cv" + stat.getCversion() + " av"
            + stat.getAversion() + " owner " + owner + " " + stat.getDataLength() + " bytes "
            + stat.getNumChildren() + " children"
            + (stat.getMtime() < stat.getCtime() ? " mtime before ctime" : "");
    }

    String zxid(long zxid) {
        return zxid == 0 || zxid == -1 ? "" + zxid : String.format("%+d", zxid - base);
    }

    /** Sessions are named by the clients that this case has opened. */
    private String sessionName(long id) {
        for (AutoCloseable thing : open) {
            if (thing instanceof Client client && client.getSessionId() == id) {
                return client.name;
            }
        }
        return "another's";
    }

    /** A connected client. */
    Client client(String name) throws Exception {
        return client(name, address, 10_000);
    }

    Client client(String name, String where, int timeoutMs) throws Exception {
        Client client = keep(new Client(this, name, where, timeoutMs, false));
        client.awaitConnected();
        return client;
    }

    /** A client with the case's root, from which zxids are counted. */
    Client clientWithRoot(String root) throws Exception {
        Client client = client("c");
        Stat stat = new Stat();
        client.create(root, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, stat);
        base = stat.getCzxid();
        return client;
    }

    Proxy proxy() throws Exception {
        return keep(new Proxy(address));
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static void eventually(String what, Call question) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(WAIT_MS);
        while (!Boolean.TRUE.equals(question.run())) {
            if (System.nanoTime() > deadline) {
                throw new IllegalStateException("not within " + WAIT_MS + " ms: " + what);
            }
            Thread.sleep(10);
        }
    }

    /** A ZooKeeper client that notes the events of its default watcher. */
    static final class Client extends ZooKeeper {
        final String name;
        final Events events;
        private final Tour tour;

        Client(Tour tour, String name, String where, int timeoutMs, boolean readOnly)
            throws Exception {
            this(tour, name, where, timeoutMs, new Events(tour), readOnly);
        }

        private Client(Tour tour, String name, String where, int timeoutMs, Events events,
            boolean readOnly) throws Exception {
            super(where, timeoutMs, events, readOnly);
            this.name = name;
            this.tour = tour;
            this.events = events;
        }

        /** One that goes on with a session that is there. */
        Client(Tour tour, String name, String where, int timeoutMs, long id, byte[] password)
            throws Exception {
            this(tour, name, where, timeoutMs, new Events(tour), id, password);
        }

        private Client(Tour tour, String name, String where, int timeoutMs, Events events, long id,
            byte[] password) throws Exception {
            super(where, timeoutMs, events, id, password);
            this.name = name;
            this.tour = tour;
            this.events = events;
        }

        void awaitConnected() throws Exception {
            events.take("SyncConnected None null");
        }

        /** Returns when every event that was sent before has been noted. */
        void barrier() throws Exception {
            CountDownLatch done = new CountDownLatch(1);
            sync("/", (rc, path, context) -> done.countDown(), null);
            if (!done.await(WAIT_MS, TimeUnit.MILLISECONDS)) {
                throw new IllegalStateException("sync is not answered");
            }
        }

        String make(String path, CreateMode mode) throws Exception {
            return create(path, bytes("x"), Ids.OPEN_ACL_UNSAFE, mode);
        }

        String make(String path) throws Exception {
            return make(path, CreateMode.PERSISTENT);
        }

        /** Says what has come since the last time, without its order. */
        void sayEventsSorted(String what) throws Exception {
            barrier();
            tour.say(what + ": " + sorted(events.drain()));
        }

        /** Says what has come since the last time, in its order. */
        void sayEvents(String what) throws Exception {
            barrier();
            tour.say(what + ": " + events.drain());
        }
    }

    /** A watcher that writes down. */
    static final class Events implements Watcher {
        private final BlockingQueue<String> queue = new LinkedBlockingQueue<>();
        private final Tour tour;

        Events(Tour tour) {
            this.tour = tour;
        }

        @Override
        public void process(WatchedEvent event) {
            boolean ofSession = event.getType() == Event.EventType.None;
            String zxid = ofSession ? "" : " " + tour.zxid(event.getZxid());
            queue.add(event.getState() + " " + event.getType() + " " + event.getPath() + zxid);
        }

        /** Waits for the next event, which must start so. */
        String take(String expected) throws Exception {
            String event = queue.poll(WAIT_MS, TimeUnit.MILLISECONDS);
            if (event == null || !event.startsWith(expected)) {
                throw new IllegalStateException("expected " + expected + ", saw " + event);
            }
            return event;
        }

        /** The next event, whatever it is. */
        String next() throws Exception {
            return take("");
        }

        List<String> drain() {
            List<String> seen = new ArrayList<>();
            queue.drainTo(seen);
            return seen;
        }
    }

    static Object sorted(List<String> names) {
        return new TreeSet<>(names);
    }

    public static void main(String[] arguments) throws Exception {
        Tour tour = new Tour(arguments[0]);
        AsyncCases.add(tour);
        WatchCases.add(tour);
        MultiCases.add(tour);
        ZnodeCases.add(tour);
        SessionCases.add(tour);
        CuratorCases.add(tour);
        boolean fine = tour.run(Arrays.asList(arguments).subList(1, arguments.length));
        System.exit(fine ? 0 : 1);
    }
}
