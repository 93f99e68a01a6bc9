/*
 * A TCP proxy in front of the server, to break connections as a network does: dropped, silent in
 * one direction, or unreachable. The server is not touched.
 */
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;

final class Proxy implements AutoCloseable {
    private final String host;
    private final int port;
    private final ServerSocket listener;
    private final List<Socket> sockets = new ArrayList<>();
    private volatile boolean refuses;
    private volatile boolean holdsAnswers;
    private volatile boolean holdsRequests;

    Proxy(String address) throws Exception {
        int colon = address.lastIndexOf(':');
        host = address.substring(0, colon);
        port = Integer.parseInt(address.substring(colon + 1));
        listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        start(this::accept);
    }

    String address() {
        return "127.0.0.1:" + listener.getLocalPort();
    }

    /** Ends every connection; the next one is let through. */
    void drop() {
        synchronized (sockets) {
            sockets.forEach(Proxy::closeQuietly);
            sockets.clear();
        }
        holdsAnswers = false;
        holdsRequests = false;
    }

    /** Ends every connection and lets none through until `admit`. */
    void refuse() {
        refuses = true;
        drop();
    }

    void admit() {
        refuses = false;
    }

    /** From now on answers do not reach the client. */
    void holdAnswers() {
        holdsAnswers = true;
    }

    /** From now on nothing goes either way. */
    void freeze() {
        holdsAnswers = true;
        holdsRequests = true;
    }

    private void accept() throws Exception {
        while (true) {
            Socket client = listener.accept();
            if (refuses) {
                client.close();
                continue;
            }
            Socket server = new Socket(host, port);
            client.setTcpNoDelay(true);
            server.setTcpNoDelay(true);
            synchronized (sockets) {
                sockets.add(client);
                sockets.add(server);
            }
            start(() -> pump(client, server, true));
            start(() -> pump(server, client, false));
        }
    }

    private void pump(Socket from, Socket to, boolean ofRequests) throws Exception {
        try (from; to) {
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            byte[] buffer = new byte[64 * 1024];
            for (int count = in.read(buffer); count >= 0; count = in.read(buffer)) {
                while ((ofRequests ? holdsRequests : holdsAnswers) && !to.isClosed()) {
                    Thread.sleep(5);
                }
                out.write(buffer, 0, count);
            }
        }
    }

    private interface Work {
        void run() throws Exception;
    }

    private static void start(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Exception cause) {
                // A connection that ended: that is what this class is for.
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    private static void closeQuietly(Socket socket) {
        try {
            socket.close();
        } catch (Exception cause) {
            // It is closed.
        }
    }

    @Override
    public void close() throws Exception {
        listener.close();
        drop();
    }
}
