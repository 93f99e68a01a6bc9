#!/usr/bin/env python3
"""Records byte exchanges with a fresh Apache ZooKeeper into the .hex files beside this script.

    record.py --zookeeper FOLDER      a folder with conf/ and lib/, as its release has it

Each line of a file is one frame: `>` from the client, `<` from the server, `= closed` when the
server closed the connection; `#` names what follows, `== ` starts another connection.
"""

import argparse
import contextlib
import pathlib
import socket
import struct
import subprocess
import tempfile
import time

READ, ALL = 1, 31
WORLD = [(ALL, "world", "anyone")]
EPHEMERAL, SEQUENTIAL, CONTAINER, TTL = 1, 2, 4, 5


def int_(value): return struct.pack(">i", value)
def long_(value): return struct.pack(">q", value)
def bool_(value): return b"\1" if value else b"\0"
def buffer(value): return int_(-1) if value is None else int_(len(value)) + value
def text(value): return buffer(value.encode() if isinstance(value, str) else value)
def texts(values): return int_(len(values)) + b"".join(map(text, values))


def acls(values):
    if values is None:
        return int_(-1)
    entries = (int_(perms) + text(scheme) + text(id_) for perms, scheme, id_ in values)
    return int_(len(values)) + b"".join(entries)


def create(path, data=b"", acl=WORLD, flags=0, ttl=None):
    tail = b"" if ttl is None else long_(ttl)
    return text(path) + buffer(data) + acls(acl) + int_(flags) + tail


def delete(path, version=-1): return text(path) + int_(version)
def set_data(path, data, version=-1): return text(path) + buffer(data) + int_(version)
def watched(path, watch=False): return text(path) + bool_(watch)


def multi(*operations):
    body = b"".join(int_(kind) + b"\0" + int_(-1) + record for kind, record in operations)
    return body + int_(-1) + b"\1" + int_(-1)


class Connection:
    """One connection, writing down what goes over it."""

    def __init__(self, port, out):
        self.port, self.out, self.xid = port, out, 0
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.settimeout(5)

    def note(self, sign, frame):
        words = [frame[at:at + 4].hex() for at in range(0, len(frame), 4)]
        print(sign, *words, file=self.out)

    def send(self, payload):
        frame = int_(len(payload)) + payload
        self.note(">", frame)
        self.socket.sendall(frame)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                return None
            data += more
        return data

    def receive(self):
        try:
            length = self.exactly(4)
        except ConnectionResetError:
            length = None
        if length is None:
            print("= closed", file=self.out)
            return None
        payload = self.exactly(struct.unpack(">i", length)[0])
        self.note("<", length + payload)
        return payload

    def connect(self, title, session=0, password=b"\0" * 16, read_only=b"\0", timeout=30000,
                version=0, last_zxid=0):
        print(f"\n== {title}", file=self.out)
        self.send(int_(version) + long_(last_zxid) + int_(timeout) + long_(session)
                  + buffer(password) + read_only)
        return self.receive()

    def ask(self, title, opcode, record=b"", frames=1, xid=None):
        if xid is None:
            self.xid += 1
            xid = self.xid
        print(f"# {title}", file=self.out)
        self.send(int_(xid) + int_(opcode) + record)
        for _ in range(frames):
            self.receive()


def handshakes(port, out):
    first = Connection(port, out)
    answer = first.connect("a new session")
    session, password = struct.unpack(">q", answer[8:16])[0], answer[20:36]
    first.ask("close it", -11)
    first.receive()
    Connection(port, out).connect("a client without read-only byte", read_only=b"")
    Connection(port, out).connect("a client that likes read-only servers", read_only=b"\1")
    Connection(port, out).connect("odd version, odd timeout, a byte too many", version=77,
                                  timeout=-5, read_only=b"\0\xff")
    Connection(port, out).connect("a password that is null", password=None)
    gone = Connection(port, out)
    gone.connect("a session that is gone", session=session, password=password)
    gone.receive()
    gone = Connection(port, out)
    gone.connect("the same without read-only byte", session=session, password=password,
                 read_only=b"")
    gone.receive()
    Connection(port, out).connect("a client from the future", last_zxid=1 << 60)


def znodes(port, out):
    c = Connection(port, out)
    c.connect("one session")
    c.ask("create", 1, create("/a", b"data"))
    c.ask("create with null data", 1, create("/null", None))
    c.ask("create2, ephemeral and sequential", 15, create("/a/e-", b"x", flags=3))
    c.ask("createContainer", 19, create("/box", flags=CONTAINER))
    c.ask("createTTL", 21, create("/ttl", flags=TTL, ttl=60000))
    c.ask("create, twice", 1, create("/a"))
    c.ask("create without ACL", 1, create("/b", acl=None))
    c.ask("create with a null path", 1, create(None))
    c.ask("create with unknown flags", 1, create("/b", flags=9))
    c.ask("create2 with an ACL of many schemes", 15,
          create("/acl", acl=[(READ, "ip", "127.0.0.1/8"), (ALL, "digest", "u:aGFzaA=="),
                              (ALL, "world", "anyone")]))
    c.ask("exists", 3, watched("/a"))
    c.ask("exists, not there", 3, watched("/none"))
    c.ask("getData", 4, watched("/a"))
    c.ask("getData of null", 4, watched("/null"))
    c.ask("setData", 5, set_data("/a", b"more", 0))
    c.ask("setData, wrong version", 5, set_data("/a", b"more", 0))
    c.ask("setData with a null path", 5, set_data(None, b""))
    c.ask("setACL", 7, text("/acl") + acls(WORLD) + int_(0))
    c.ask("getACL", 6, text("/acl"))
    c.ask("getACL, not there", 6, text("/none"))
    c.ask("getChildren", 8, watched("/"))
    c.ask("getChildren of a leaf", 8, watched("/box"))
    c.ask("getChildren2", 12, watched("/a"))
    c.ask("getEphemerals", 103, text("/"))
    c.ask("getEphemerals of null", 103, text(None))
    c.ask("getAllChildrenNumber", 104, text("/"))
    c.ask("sync", 9, text("/a"))
    c.ask("sync of null", 9, text(None))
    c.ask("ping", 11, xid=-2)
    c.ask("ping with an xid of its own", 11)
    c.ask("auth digest", 100, int_(0) + text("digest") + buffer(b"user:secret"), xid=-4)
    c.ask("whoAmI", 107)
    c.ask("delete", 2, delete("/null"))
    c.ask("delete, not empty", 2, delete("/a"))
    c.ask("delete with a null path", 2, delete(None))
    c.ask("reconfig, switched off", 16, text("server.1=a:1:2;3")
          + text(None) + text(None) + long_(-1))
    c.ask("closeSession", -11)
    c.receive()


def multis(port, out):
    c = Connection(port, out)
    c.connect("one session")
    c.ask("every kind of write", 14, multi(
        (1, create("/m", b"1")), (15, create("/m/2", None)), (19, create("/m/3", flags=CONTAINER)),
        (21, create("/m/4", flags=TTL, ttl=60000)), (5, set_data("/m", b"2", 0)),
        (13, delete("/m", 1)), (2, delete("/m/2"))))
    c.ask("the third fails", 14, multi(
        (13, delete("/m")), (2, delete("/m/3")), (5, set_data("/none", b"")), (2, delete("/m"))))
    c.ask("empty", 14, multi())
    c.ask("create with container mode answers as createContainer", 14, multi(
        (1, create("/m/5", flags=CONTAINER))))
    c.ask("createTTL without TTL mode answers as create", 14, multi((21, create("/m/6", ttl=-1))))
    c.ask("createTTL with container mode", 14, multi((21, create("/m/7", flags=CONTAINER, ttl=9))))
    c.ask("createTTL with unknown flags fails alone", 14, multi(
        (21, create("/m/8", flags=9, ttl=-1)), (13, delete("/m"))))
    c.ask("createContainer with plain mode", 14, multi((19, create("/m/9"))))
    c.ask("ping between", 11, xid=-2)
    c.ask("create with unknown flags", 14, multi((1, create("/m/8", flags=9))))
    c.ask("ping after it", 11, xid=-2)
    c.ask("create2 with TTL mode", 14, multi((15, create("/m/8", flags=TTL))))
    c.ask("ping after it", 11, xid=-2)
    c.ask("create with null ACL", 14, multi((1, create("/m/8", acl=None))))
    c.ask("ping after it", 11, xid=-2)
    c.ask("createTTL with null ACL", 14, multi((21, create("/m/8", acl=None, flags=TTL, ttl=5))))
    c.ask("ping after it", 11, xid=-2)
    c.ask("null path", 14, multi((13, delete("/m")), (2, delete(None))))
    c.ask("ping after it", 11, xid=-2)
    c.ask("reads", 14, multi((4, watched("/m"))))
    c.ask("ping after it", 11, xid=-2)
    c.ask("reads and writes", 14, multi((4, watched("/m")), (2, delete("/m"))))
    c.ask("ping after it", 11, xid=-2)
    c.ask("an operation that has no place", 14, multi((7, text("/m") + acls(WORLD) + int_(-1))))
    c.ask("ping after it", 11, xid=-2)
    c.ask("no end", 14, multi((13, delete("/m")))[:-9])
    c.ask("ping after it", 11, xid=-2)
    c.ask("an end that says delete", 14, int_(2) + b"\1" + int_(5) + b"beyond the end")
    c.ask("multiRead, one of three fails", 22, multi(
        (4, watched("/m", True)), (8, watched("/m")), (4, watched("/none"))))
    c.ask("multiRead, empty", 22, multi())
    c.ask("multiRead with a write", 22, multi((4, watched("/m")), (2, delete("/m"))))
    c.ask("ping after it", 11, xid=-2)
    c.ask("multiRead of a null path", 22, multi((4, watched(None))))
    c.ask("multiRead of exists", 22, multi((3, watched("/m"))))
    c.ask("ping after it", 11, xid=-2)


def watches(port, out):
    c = Connection(port, out)
    c.connect("one session")
    c.ask("exists leaves a watch", 3, watched("/w", True))
    c.ask("create fires it", 1, create("/w"), frames=2)
    c.ask("getData leaves a watch", 4, watched("/w", True))
    c.ask("getChildren leaves a watch", 8, watched("/w", True))
    c.ask("setData fires one", 5, set_data("/w", b"1"), frames=2)
    c.ask("create fires the other", 1, create("/w/c"), frames=2)
    c.ask("addWatch, persistent", 106, text("/w") + int_(0))
    c.ask("addWatch, recursive", 106, text("/w") + int_(1))
    c.ask("addWatch of null", 106, text(None) + int_(0))
    c.ask("addWatch with an unknown mode", 106, text("/w") + int_(7))
    c.ask("checkWatches", 17, text("/w") + int_(3))
    c.ask("checkWatches of null", 17, text(None) + int_(3))
    c.ask("checkWatches with an unknown type", 17, text("/w") + int_(9))
    c.ask("delete fires both", 2, delete("/w/c"), frames=3)
    c.ask("removeWatches", 18, text("/w") + int_(3))
    c.ask("removeWatches, none there", 18, text("/w") + int_(3))
    c.ask("setWatches", 101, long_(0) + texts(["/w", "/gone"]) + texts(["/w"]) + texts(["/w"]),
          xid=-8, frames=5)
    c.ask("setWatches2", 105, long_(1 << 40) + texts([]) + texts([]) + texts([]) + texts(["/w"])
          + texts(["/w"]), xid=-8)
    c.ask("setWatches with a null list", 101, long_(0) + int_(-1) + texts([]) + texts([]), xid=-8)
    c.ask("setWatches with a null path", 101, long_(0) + texts([None]) + texts([]) + texts([]),
          xid=-8)
    c.ask("setWatches with a count below -1", 101, long_(1 << 40) + int_(-2) + texts([])
          + texts([]), xid=-8)


def refused(port, out):
    for title, opcode, record in [
            ("notification", 0, b""), ("an opcode of nobody's", 10, b""),
            ("an opcode of the future", 500, b""), ("check alone", 13, delete("/")),
            ("error", -1, b""), ("auth with an unknown scheme", 100,
                                 int_(0) + text("magic") + buffer(b"")),
            ("auth with a null scheme", 100, int_(0) + text(None) + buffer(None)),
            ("auth that ends early", 100, int_(0) + text("digest")),
            ("sasl with a null token", 102, buffer(None)),
            ("sasl that ends early", 102, b"\0"),
            ("no opcode", None, b"")]:
        c = Connection(port, out)
        c.connect(title)
        if opcode is None:
            c.send(int_(1))
        else:
            c.xid += 1
            c.send(int_(c.xid) + int_(opcode) + record)
        while c.receive():
            pass
    c = Connection(port, out)
    c.connect("records that end early or lie")
    c.ask("create that ends early", 1, create("/x")[:-1])
    c.ask("create with a length below -1", 1, int_(-2) + create("/x")[4:])
    c.ask("create with a length beyond the frame", 1, int_(1 << 30) + create("/x")[4:])
    c.ask("create with more ACL entries than bytes", 1, text("/x") + buffer(b"") + int_(1 << 30))
    c.ask("delete that ends early", 2, text("/x"))
    c.ask("getData of null", 4, watched(None))
    c.ask("exists of null", 3, watched(None))
    c.ask("getACL of null", 6, text(None))
    c.ask("getChildren of null", 8, watched(None))
    c.ask("getAllChildrenNumber of null", 104, text(None))
    c.ask("sync that ends early", 9, b"\0\0")
    c.ask("reconfig that ends early", 16, text(None))
    c.ask("removeWatches of null", 18, text(None) + int_(3))
    c.ask("whoAmI with bytes that it does not need", 107, b"more")
    c.ask("sasl with an empty token", 102, buffer(b""))
    c.ask("sync of bytes that are not UTF-8", 9,
          buffer(b"/\xff-\xc3-\xe2\x82-\xed\xa0\xbd\xed\xb8\x80-\xf0\x9f\x98-\xc0\x80-\xf8\x88"))
    c.ask("sync of halves of surrogates", 9,
          buffer(b"/\xed\xa0!\x80-\xed\xa0\xed-\xe0\x80-\xed\xa0"))
    c.ask("sync of odd fours", 9, buffer(b"/\xf4\x90\x80\x80-\xf0\x80\x80-\xf1\x80-\xf5-\xf0\x9f"))
    c.ask("ping: none of them took a zxid", 11, xid=-2)


PARTS = {"handshakes": handshakes, "znodes": znodes, "multis": multis, "watches": watches,
         "refused": refused}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def apache(home):
    """A fresh server on a port of its own, which is given."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = pathlib.Path(folder, "zoo.cfg")
        config.write_text(f"dataDir={folder}/data\nclientPort={port}\nclientPortAddress=127.0.0.1\n"
                          "admin.enableServer=false\nextendedTypesEnabled=true\ntickTime=2000\n")
        server = subprocess.Popen(
            ["java", "-cp", f"{home}/conf:{home}/lib/*",
             "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(config)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(300):
                time.sleep(0.1)
                try:
                    probe = socket.create_connection(("127.0.0.1", port))
                    probe.sendall(b"srvr")
                    if b"Mode" in probe.recv(4096):
                        break
                except OSError:
                    pass
            else:
                raise SystemExit("the server does not start")
            yield port
        finally:
            server.kill()
            server.wait()


def record(home, name, part):
    with apache(home) as port:
        with open(pathlib.Path(__file__).parent / f"{name}.hex", "w", encoding="ascii") as out:
            print("# Recorded by record.py on Apache ZooKeeper 3.9.5.", file=out)
            part(port, out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zookeeper", required=True)
    parser.add_argument("--part", choices=PARTS)
    arguments = parser.parse_args()
    for name, part in PARTS.items():
        if arguments.part in (None, name):
            record(arguments.zookeeper, name, part)


if __name__ == "__main__":
    main()
