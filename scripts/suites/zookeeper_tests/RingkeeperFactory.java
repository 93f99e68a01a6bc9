// Stands where the tests of Apache ZooKeeper start their server: ServerCnxnFactory loads the class that
// the property zookeeper.serverCnxnFactory names. The server it is given is never started; a
// process of Ringkeeper with the same settings serves the port instead.

import java.io.File;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.server.ServerCnxn;
import org.apache.zookeeper.server.ServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;
import org.apache.zookeeper.server.quorum.QuorumPeerConfig;

public class RingkeeperFactory extends ServerCnxnFactory {
    private static final String BINARY = System.getProperty("ringkeeper.binary");
    private static final File LOG = new File(System.getProperty("ringkeeper.log"));
    private static final long START_MS = 30_000;

    private InetSocketAddress address;
    private int connectionsPerHost;
    private Process process;

    @Override
    public void configure(InetSocketAddress wish, int perHost, int backlog, boolean isSecure)
            throws IOException {
        if (isSecure) {
            throw new UnsupportedOperationException("TLS");
        }
        // A port that is taken is an error here already, and port 0 becomes one that is free.
        try (ServerSocket probe = new ServerSocket()) {
            probe.setReuseAddress(true);
            probe.bind(wish);
            address = new InetSocketAddress(wish.getAddress(), probe.getLocalPort());
        }
        connectionsPerHost = perHost;
        initMaxCnxns();
    }

    @Override
    public void startup(ZooKeeperServer server, boolean isStarted)
            throws IOException, InterruptedException {
        setZooKeeperServer(server);
        File data = server.getTxnLogFactory().getSnapDir().getParentFile();
        File log = server.getTxnLogFactory().getDataLogDir().getParentFile();
        File file = new File(data, "zoo.cfg");
        Files.write(file.toPath(), settings(server, data, log));
        List<String> command = new ArrayList<>(List.of(
                BINARY, "serve", "--cores", "2", "--segment-mib", "8", "--allow-tmpfs"));
        for (String key : new TreeSet<>(System.getProperties().stringPropertyNames())) {
            if (key.matches("(zookeeper|znode|jute|readonlymode)\\..*")
                    && !key.equals(ZOOKEEPER_SERVER_CNXN_FACTORY)
                    && !key.equals("zookeeper.junit.threadid")) {
                command.add("-D" + key + "=" + System.getProperty(key));
            }
        }
        command.addAll(List.of("--", file.getPath()));
        Process started = new ProcessBuilder(command).redirectErrorStream(true)
                .redirectOutput(ProcessBuilder.Redirect.appendTo(LOG)).start();
        Runtime.getRuntime().addShutdownHook(new Thread(started::destroyForcibly));
        process = started;
        awaitPort();
    }

    private List<String> lines(ZooKeeperServer server) {
        List<String> lines = new ArrayList<>(List.of(
                "clientPort=" + address.getPort(),
                "tickTime=" + server.getTickTime(),
                "minSessionTimeout=" + server.getMinSessionTimeout(),
                "maxSessionTimeout=" + server.getMaxSessionTimeout(),
                "maxClientCnxns=" + connectionsPerHost));
        if (!address.getAddress().isAnyLocalAddress()) {
            lines.add("clientPortAddress=" + address.getAddress().getHostAddress());
        }
        if (QuorumPeerConfig.isReconfigEnabled()) {
            lines.add("reconfigEnabled=true");
        }
        return lines;
    }

    // The directories that Apache has made in its own form are not ours.
    private byte[] settings(ZooKeeperServer server, File data, File log) {
        List<String> lines = lines(server);
        for (Map.Entry<String, File> entry : Map.of("dataDir", data, "dataLogDir", log).entrySet()) {
            File folder = new File(entry.getValue(), "ringkeeper");
            folder.mkdirs();
            lines.add(entry.getKey() + "=" + folder.getAbsolutePath());
        }
        return (String.join("\n", lines) + "\n").getBytes();
    }

    private void awaitPort() throws IOException, InterruptedException {
        InetAddress host = address.getAddress();
        if (host.isAnyLocalAddress()) {
            host = InetAddress.getLoopbackAddress();
        }
        long deadline = System.currentTimeMillis() + START_MS;
        while (true) {
            if (!process.isAlive()) {
                throw new IOException("ringkeeper ended with " + process.exitValue());
            }
            try (Socket socket = new Socket(host, address.getPort())) {
                return;
            } catch (ConnectException error) {
                if (System.currentTimeMillis() > deadline) {
                    throw error;
                }
                Thread.sleep(20);
            }
        }
    }

    @Override
    public void shutdown() {
        if (process == null) {
            return;
        }
        process.destroy();
        try {
            if (!process.waitFor(20, TimeUnit.SECONDS)) {
                throw new IllegalStateException("ringkeeper did not stop");
            }
        } catch (InterruptedException error) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        process = null;
    }

    @Override
    public void join() throws InterruptedException {
        if (process != null) {
            process.waitFor();
        }
    }

    @Override
    public int getLocalPort() {
        return address.getPort();
    }

    @Override
    public InetSocketAddress getLocalAddress() {
        return address;
    }

    @Override
    public int getMaxClientCnxnsPerHost() {
        return connectionsPerHost;
    }

    // What follows looks into a server of the same process, or is for ensembles.

    @Override
    public void start() {
        throw new UnsupportedOperationException("a member of an ensemble");
    }

    @Override
    public void reconfigure(InetSocketAddress wish) {
        throw inside();
    }

    @Override
    public void setMaxClientCnxnsPerHost(int perHost) {
        throw inside();
    }

    @Override
    public void closeAll(ServerCnxn.DisconnectReason reason) {
        throw inside();
    }

    @Override
    public Iterable<ServerCnxn> getConnections() {
        throw inside();
    }

    @Override
    public Iterable<Map<String, Object>> getAllConnectionInfo(boolean isBrief) {
        throw inside();
    }

    @Override
    public void resetAllConnectionStats() {
        throw inside();
    }

    @Override
    public int getSocketListenBacklog() {
        throw inside();
    }

    private static UnsupportedOperationException inside() {
        return new UnsupportedOperationException("looks into the server's process");
    }
}
