#!/usr/bin/env python3
"""Captures conversations of real clients with a real Apache ZooKeeper into the client-*.hex files
beside this script: a proxy between the two writes each frame down, as record.py does.

    capture.py --cache FOLDER [--client NAME]...

FOLDER is the one that scripts/fetch-peers fills (zookeeper, kazoo, java-clients). The other clients
need go, npm and node, gcc with libzookeeper-mt-dev, and cargo. What a client says is in clients/.
Answers are written where they came: a client may have asked more before. Two kinds of frames lie in
the order of their arrival, not of their meaning. A client that asks for `/cut` loses its connection
behind the answer: so each shows how it comes back.
"""

import argparse
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading

from record import apache

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = HERE / "clients"
ROOT = HERE.parents[2]


class Proxy:
    """Passes bytes on and keeps the frames of each connection in the order of their arrival."""

    def __init__(self, port):
        self.port, self.lock, self.lines = port, threading.Lock(), []
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def address(self):
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.port))
            connection = {"lines": [], "cut": None, "sockets": (client, server)}
            with self.lock:
                self.connections.append(connection)
            for sign, source, target in ((">", client, server), ("<", server, client)):
                thread = threading.Thread(
                    target=self.pump, args=(connection, sign, source, target), daemon=True)
                thread.start()

    def pump(self, connection, sign, source, target):
        waiting = b""
        try:
            while data := source.recv(65536):
                waiting += data
                while len(waiting) >= 4 and len(waiting) >= 4 + int.from_bytes(waiting[:4]):
                    size = 4 + int.from_bytes(waiting[:4])
                    frame, waiting = waiting[:size], waiting[size:]
                    # Written down before it is passed on: no answer overtakes its request.
                    is_cut = self.note(connection, sign, frame)
                    target.sendall(frame)
                    if is_cut:
                        return
        except OSError:
            pass
        finally:
            for end in connection["sockets"]:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def note(self, connection, sign, frame):
        words = " ".join(frame[at:at + 4].hex() for at in range(0, len(frame), 4))
        with self.lock:
            connection["lines"].append(f"{sign} {words}")
            if sign == ">" and b"/cut" in frame:
                connection["cut"] = frame[4:8]
            return sign == "<" and connection["cut"] == frame[4:8]

    def write(self, name, title, note):
        with self.lock, open(HERE / f"client-{name}.hex", "w", encoding="ascii") as out:
            print(f"# Captured by capture.py: {title}, with Apache ZooKeeper 3.9.5.", file=out)
            if note:
                print(f"# {note}", file=out)
            for number, connection in enumerate(self.connections, 1):
                print(f"\n== connection {number}", file=out)
                print("\n".join(connection["lines"]), file=out)


def run(*words, **more):
    subprocess.run([str(word) for word in words], check=True, timeout=120, **more)


def java(cache, address, folder, main, sources, client_jars):
    """Compiles and runs a Java program with these jars before those of logging."""
    lib = cache / "zookeeper-3.9.5/lib"
    quiet = [cache / "zookeeper-3.9.5/conf", *lib.glob("slf4j-api-*"), *lib.glob("logback-*")]
    path = ":".join(str(part) for part in [folder, *client_jars, *quiet])
    run("javac", "-nowarn", "-cp", path, "-d", folder, *(CLIENTS / f"{s}.java" for s in sources))
    run("java", "-Dzookeeper.sasl.client=false", "-cp", path, main, address)


def newest_jars(cache):
    return (cache / "zookeeper-3.9.5/lib").glob("*.jar")


def old_java(version, main, *sources):
    def client(cache, address, folder):
        jars = (cache / "java-clients" / version).glob("*.jar")
        java(cache, address, folder, main, sources, jars)
    return client


def java_395(cache, address, folder):
    java(cache, address, folder, "Newest", ("Plain", "Multi", "Newest"), newest_jars(cache))


def curator(cache, address, folder):
    jars = [*(cache / "java-clients/curator").glob("*.jar"), *newest_jars(cache)]
    java(cache, address, folder, "WithCurator", ("WithCurator",), jars)


def zkcli(cache, address, _folder):
    path = f"{cache}/zookeeper-3.9.5/conf:{cache}/zookeeper-3.9.5/lib/*"
    with open(CLIENTS / "zkcli.txt", encoding="utf-8") as session:
        subprocess.run(["java", "-cp", path, "org.apache.zookeeper.ZooKeeperMain", "-server",
                        address, "-waitforconnection"], stdin=session, check=False, timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kazoo(cache, address, _folder):
    run(cache / "venv/bin/python", CLIENTS / "with_kazoo.py", address)


def go(_cache, address, folder):
    shutil.copy(CLIENTS / "with_go.go", folder / "main.go")
    (folder / "go.mod").write_text(
        "module capture\n\ngo 1.21\n\nrequire github.com/go-zookeeper/zk v1.0.4\n")
    run("go", "mod", "tidy", cwd=folder)
    run("go", "run", ".", address, cwd=folder, stderr=subprocess.DEVNULL)


def node(_cache, address, folder):
    run("npm", "install", "--silent", "node-zookeeper-client@1.1.3", cwd=folder)
    shutil.copy(CLIENTS / "with_node.js", folder)
    run("node", "with_node.js", address, cwd=folder)


def c(_cache, address, folder):
    run("gcc", "-DTHREADED", "-o", folder / "client", CLIENTS / "with_c.c", "-lzookeeper_mt")
    run(folder / "client", address)


def rust(_cache, address, _folder):
    run("cargo", "run", "--quiet", "-p", "ringkeeper-bench", "--example", "conversation", address,
        cwd=ROOT)


CLIENT_RUNS = {
    "java-3.3.6": ("the Java client 3.3.6", old_java("3.3.6", "Plain", "Plain")),
    "java-3.4.10": ("the Java client 3.4.10", old_java("3.4.10", "Multi", "Plain", "Multi")),
    "java-3.5.10": ("the Java client 3.5.10", old_java("3.5.10", "Multi", "Plain", "Multi")),
    "java-3.9.5": ("the Java client 3.9.5", java_395),
    "zkcli": ("zkCli 3.9.5", zkcli),
    "curator": ("Curator 5.7.1 over the Java client 3.9.5", curator),
    "kazoo": ("kazoo 2.11.0", kazoo),
    "go": ("go-zookeeper/zk 1.0.4", go),
    "node": ("node-zookeeper-client 1.1.3", node),
    "c": ("the C client of Debian's libzookeeper-mt", c),
    "rust": ("the Rust crate zookeeper-client", rust),
}


# What a reader should look at: written below the title.
PIPELINED = "Comes back with auth and setWatches before the answer to its handshake."
NOTES = {
    "java-3.3.6": "No read-only byte, and so none in the answer. " + PIPELINED,
    "java-3.4.10": "setWatches has an xid of its own, not -8. " + PIPELINED,
    "java-3.5.10": "setWatches has an xid of its own, not -8. " + PIPELINED,
    "java-3.9.5": "setWatches2 has an xid of its own, not -8. " + PIPELINED,
    "zkcli": "Deletes a tree by one multi.",
    "curator": "Reads and watches /zookeeper/config first; containers as parents.",
    "kazoo": "Watches are not set again after a reconnect.",
    "go": "No read-only byte; auth and setWatches have xids of their own, not -4 and -8.",
    "node": "No read-only byte; the first xid is 0; setWatches has an xid of its own.",
    "rust": "A ping right behind the handshake; auth has an xid of its own, the same one again.",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", required=True, type=pathlib.Path)
    parser.add_argument("--client", choices=CLIENT_RUNS, action="append")
    arguments = parser.parse_args()
    cache = arguments.cache.resolve()
    for name in arguments.client or CLIENT_RUNS:
        title, client = CLIENT_RUNS[name]
        print(title)
        with apache(cache / "zookeeper-3.9.5") as port, tempfile.TemporaryDirectory() as folder:
            proxy = Proxy(port)
            client(cache, proxy.address(), pathlib.Path(folder))
            proxy.write(name, title, NOTES.get(name))
    # Threads wait in accept.
    os._exit(0)


if __name__ == "__main__":
    main()
