#!/usr/bin/env python3
"""Tour with kazoo, the Python client: what its users call, against any ZooKeeper-compatible server.

Usage: kazoo_tour.py ADDRESS:PORT      (scripts/tour runs it on Apache ZooKeeper and on Ringkeeper)

The server needs extendedTypesEnabled, the super digest of the password "test", every four-letter
word, and ticks of 500 ms. Ends with "N passed, M failed" and exit code 0 when all passed.
"""

import sys
import threading
import time
import traceback

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import (
    AuthFailedError,
    BadArgumentsError,
    BadVersionError,
    InvalidACLError,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
    SessionExpiredError,
)
from kazoo.protocol.states import EventType
from kazoo.recipe.watchers import ChildrenWatch, DataWatch
from kazoo.security import OPEN_ACL_UNSAFE, make_acl, make_digest_acl

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:2181"
WAIT = 10


def connect(**options):
    client = KazooClient(hosts=ADDRESS, timeout=options.pop("timeout", 10), **options)
    client.start(timeout=WAIT)
    return client


def abandon(client):
    """Drops the connection and lets nobody say goodbye: the session goes on without a client."""
    client._stopped.set()
    client._connection._socket.shutdown(2)
    client._connection.stop()


def fails(error, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except error as cause:
        return cause
    raise AssertionError(f"{error.__name__} expected")


class Events:
    """Collects watch events and waits for them."""

    def __init__(self):
        self.seen = []
        self.arrived = threading.Condition()

    def __call__(self, event):
        with self.arrived:
            self.seen.append(event)
            self.arrived.notify_all()

    def expect(self, *expected):
        with self.arrived:
            self.arrived.wait_for(lambda: len(self.seen) >= len(expected), WAIT)
            seen = [(event.type, event.path) for event in self.seen]
        assert seen == list(expected), f"{seen} where {expected} was due"


def eventually(question, what, wait=WAIT):
    deadline = time.monotonic() + wait
    while not question():
        assert time.monotonic() < deadline, f"{what}: not within {wait} s"
        time.sleep(0.02)


def create_read_write_delete(zk):
    path, stat = zk.create("/k-basic", b"one", include_data=True)
    assert path == "/k-basic" and stat.czxid == stat.mzxid == stat.pzxid and stat.version == 0
    assert zk.get("/k-basic") == (b"one", stat)
    after = zk.set("/k-basic", b"two!", version=0)
    assert (after.version, after.dataLength, after.czxid) == (1, 4, stat.czxid)
    assert after.mzxid > stat.mzxid and after.mtime >= stat.mtime
    fails(BadVersionError, zk.set, "/k-basic", b"", version=0)
    fails(BadVersionError, zk.delete, "/k-basic", version=7)
    fails(NodeExistsError, zk.create, "/k-basic", b"")
    assert zk.exists("/k-basic") == after
    zk.delete("/k-basic", version=1)
    assert zk.exists("/k-basic") is None
    fails(NoNodeError, zk.get, "/k-basic")


def kinds_of_znodes(zk):
    zk.create("/k-kinds", b"")
    assert zk.create("/k-kinds/s-", b"", sequence=True) == "/k-kinds/s-0000000000"
    assert zk.create("/k-kinds/e-", b"", sequence=True, ephemeral=True) == "/k-kinds/e-0000000001"
    zk.create("/k-kinds/e", b"", ephemeral=True)
    assert zk.exists("/k-kinds/e").ephemeralOwner == zk.client_id[0]
    fails(NoChildrenForEphemeralsError, zk.create, "/k-kinds/e/x", b"")
    zk.create("/k-kinds/a/b/c", b"deep", makepath=True)
    assert sorted(zk.get_children("/k-kinds")) == ["a", "e", "e-0000000001", "s-0000000000"]
    fails(NotEmptyError, zk.delete, "/k-kinds/a")
    children, stat = zk.get_children("/k-kinds", include_data=True)
    assert stat.numChildren == len(children) == 4
    zk.delete("/k-kinds", recursive=True)
    assert zk.exists("/k-kinds") is None


def sync_and_own_writes(zk):
    zk.create("/k-sync", b"0")
    other = connect()
    for number in range(20):
        zk.set("/k-sync", str(number).encode())
        assert zk.get("/k-sync")[0] == str(number).encode()
        other.sync("/k-sync")
        assert other.get("/k-sync")[0] == str(number).encode()
    other.stop()
    other.close()


def transactions(zk):
    zk.create("/k-multi", b"")
    transaction = zk.transaction()
    transaction.check("/k-multi", version=0)
    transaction.create("/k-multi/a", b"1")
    transaction.set_data("/k-multi/a", b"2", version=0)
    transaction.create("/k-multi/s-", b"", sequence=True)
    transaction.delete("/k-multi/a", version=1)
    results = transaction.commit()
    assert results[0] is True and results[1] == "/k-multi/a" and results[2].version == 1
    assert results[3] == "/k-multi/s-0000000001" and results[4] is True
    transaction = zk.transaction()
    transaction.create("/k-multi/b", b"")
    transaction.check("/k-multi", version=9)
    transaction.create("/k-multi/c", b"")
    kinds = [type(result) for result in transaction.commit()]
    assert kinds == [RolledBackError, BadVersionError, RuntimeInconsistency], kinds
    assert zk.get_children("/k-multi") == ["s-0000000001"]


def one_time_watches(zk):
    other = connect()
    events = Events()
    assert zk.exists("/k-watch", watch=events) is None
    other.create("/k-watch", b"")
    events.expect((EventType.CREATED, "/k-watch"))
    events = Events()
    zk.get("/k-watch", watch=events)
    other.set("/k-watch", b"1")
    other.set("/k-watch", b"2")
    events.expect((EventType.CHANGED, "/k-watch"))
    events = Events()
    zk.get_children("/k-watch", watch=events)
    other.create("/k-watch/a", b"")
    events.expect((EventType.CHILD, "/k-watch"))
    events = Events()
    zk.exists("/k-watch/a", watch=events)
    other.delete("/k-watch/a")
    events.expect((EventType.DELETED, "/k-watch/a"))
    other.stop()
    other.close()


def watch_recipes(zk):
    zk.create("/k-recipe", b"0")
    data, children = [], []
    DataWatch(zk, "/k-recipe", lambda value, stat: data.append(value))
    ChildrenWatch(zk, "/k-recipe", lambda names: children.append(sorted(names)))
    zk.set("/k-recipe", b"1")
    eventually(lambda: data[-1] == b"1", "the data watch")
    zk.create("/k-recipe/a", b"")
    eventually(lambda: children[-1] == ["a"], "the child watch")


def permissions(zk):
    acl = make_digest_acl("k-user", "secret", all=True)
    zk.create("/k-acl", b"mine", acl=[acl])
    fails(NoAuthError, zk.get, "/k-acl")
    fails(NoAuthError, zk.set, "/k-acl", b"")
    fails(NoAuthError, zk.get_acls, "/k-acl")
    owner = connect(auth_data=[("digest", "k-user:secret")])
    assert owner.get("/k-acl")[0] == b"mine"
    assert owner.get_acls("/k-acl")[0] == [acl]
    reader = make_acl("world", "anyone", read=True)
    assert owner.set_acls("/k-acl", [acl, reader], version=0).aversion == 1
    assert zk.get("/k-acl")[0] == b"mine"
    fails(NoAuthError, zk.set, "/k-acl", b"")
    fails(InvalidACLError, zk.create, "/k-bad", b"", acl=[make_acl("nonsense", "x", all=True)])
    root = connect(auth_data=[("digest", "super:test")])
    root.set("/k-acl", b"super may")
    root.delete("/k-acl")
    for client in (owner, root):
        client.stop()
        client.close()


def bad_authentication(_zk):
    stranger = connect()
    fails(AuthFailedError, stranger.add_auth, "nonsense", "x")
    stranger.stop()
    stranger.close()


def sessions_are_resumed(_zk):
    first = connect()
    first.create("/k-session", b"", ephemeral=True)
    czxid = first.exists("/k-session").czxid
    client_id = first.client_id
    abandon(first)
    second = connect(client_id=client_id)
    assert second.client_id[0] == client_id[0]
    assert second.exists("/k-session").czxid == czxid
    second.stop()
    second.close()


def a_broken_connection_comes_back(_zk):
    client = connect()
    states = []
    client.add_listener(states.append)
    client.create("/k-broken", b"", ephemeral=True)
    events = Events()
    client.get("/k-broken", watch=events)
    session = client.client_id[0]
    client._connection._socket.shutdown(2)
    eventually(lambda: KazooState.SUSPENDED in states, "the client notices")
    eventually(lambda: client.connected, "the client is back")
    assert client.client_id[0] == session
    # kazoo tells a watcher that the connection broke, and forgets it.
    events.expect((EventType.NONE, None))
    events = Events()
    client.get("/k-broken", watch=events)
    client.set("/k-broken", b"1")
    events.expect((EventType.CHANGED, "/k-broken"))
    client.stop()
    client.close()


def a_wrong_password_is_refused(_zk):
    owner = connect()
    owner.create("/k-thief", b"", ephemeral=True)
    session = owner.client_id[0]
    thief = KazooClient(hosts=ADDRESS, timeout=10, client_id=(session, b"x" * 16))
    thief.start(timeout=WAIT)
    # kazoo answers the refusal with a new session.
    assert thief.client_id[0] != session
    # Apache ZooKeeper closes the owner's connection on the way: it comes back by itself.
    eventually(lambda: owner.connected, "the owner is connected")
    assert owner.exists("/k-thief") is not None
    for client in (thief, owner):
        client.stop()
        client.close()


def ephemerals_end_with_their_session(zk):
    owner = connect()
    owner.create("/k-end", b"", ephemeral=True)
    events = Events()
    zk.exists("/k-end", watch=events)
    owner.stop()
    owner.close()
    events.expect((EventType.DELETED, "/k-end"))


def silence_expires_a_session(zk):
    silent = connect(timeout=1)
    silent.create("/k-silent", b"", ephemeral=True)
    abandon(silent)
    eventually(lambda: zk.exists("/k-silent") is None, "the session expires")


def locks_and_elections(zk):
    order = []
    other = connect()
    mine, theirs = zk.Lock("/k-lock", "mine"), other.Lock("/k-lock", "theirs")
    assert mine.acquire(timeout=WAIT)

    def wait():
        with theirs:
            order.append("theirs")

    thread = threading.Thread(target=wait)
    thread.start()
    eventually(lambda: len(mine.contenders()) == 2, "two contenders")
    assert mine.contenders() == ["mine", "theirs"]
    order.append("mine")
    mine.release()
    thread.join(WAIT)
    assert order == ["mine", "theirs"], order
    election = zk.Election("/k-election", "me")
    election.run(lambda: order.append("leader"))
    assert order[-1] == "leader"
    other.stop()
    other.close()


def recipes(zk):
    counter = zk.Counter("/k-counter")
    for _ in range(10):
        counter += 1
    assert counter.value == 10
    queue = zk.LockingQueue("/k-queue")
    queue.put_all([b"a", b"b"])
    assert queue.get(timeout=WAIT) == b"a" and queue.consume()
    assert queue.get(timeout=WAIT) == b"b" and queue.consume()
    barrier = zk.Barrier("/k-barrier")
    barrier.create()
    assert not barrier.wait(0.05)
    barrier.remove()
    assert barrier.wait(WAIT)
    semaphore = zk.Semaphore("/k-semaphore", max_leases=2)
    assert semaphore.acquire()
    assert len(semaphore.lease_holders()) == 1
    semaphore.release()
    party = zk.Party("/k-party", "guest")
    party.join()
    assert list(party) == ["guest"]
    party.leave()
    partitioner = zk.SetPartitioner("/k-set", set=("x", "y"), time_boundary=0.5)
    eventually(lambda: partitioner.acquired or partitioner.wait_for_acquire(1), "the set", 30)
    assert sorted(partitioner) == ["x", "y"]
    partitioner.finish()


def many_requests_in_flight(zk):
    zk.create("/k-async", b"")
    created = [zk.create_async("/k-async/n-", b"x" * 50, sequence=True) for _ in range(500)]
    names = [result.get(timeout=WAIT) for result in created]
    assert names == sorted(names) and len(set(names)) == 500
    reads = [zk.get_async(name) for name in names]
    assert all(read.get(timeout=WAIT)[0] == b"x" * 50 for read in reads)
    assert zk.exists("/k-async").numChildren == 500
    zk.delete("/k-async", recursive=True)


def paths_and_values(zk):
    for path in ("/k-ünïcode", "/k-日本語", "/k with space", "/k.dots..more"):
        zk.create(path, b"")
        assert zk.exists(path)
        zk.delete(path)
    fails(BadArgumentsError, zk.create, "/k-\u0001", b"")
    fails(BadArgumentsError, zk.delete, "/zookeeper")
    zk.create("/k-large", b"\0" * 900_000)
    assert len(zk.get("/k-large")[0]) == 900_000
    zk.delete("/k-large")


def four_letter_words(zk):
    assert zk.server_version() >= (3, 9)
    assert zk.command(b"ruok") == "imok"
    assert "Mode: standalone" in zk.command(b"srvr")
    assert "zk_znode_count\t" in zk.command(b"mntr")
    assert "\n/" not in zk.command(b"conf") and "clientPort=" in zk.command(b"conf")


def chroot(zk):
    zk.create("/k-chroot", b"")
    inner = KazooClient(hosts=ADDRESS + "/k-chroot")
    inner.start(timeout=WAIT)
    assert inner.create("/x", b"in") == "/x"
    assert inner.get_children("/") == ["x"] and zk.get("/k-chroot/x")[0] == b"in"
    events = Events()
    inner.get("/x", watch=events)
    zk.set("/k-chroot/x", b"out")
    events.expect((EventType.CHANGED, "/x"))
    inner.stop()
    inner.close()


def an_expired_session_starts_anew(_zk):
    first = connect()
    client_id = first.client_id
    first.stop()
    first.close()
    late = KazooClient(hosts=ADDRESS, client_id=client_id)
    late.start(timeout=WAIT)
    assert late.client_id[0] != client_id[0]
    late.stop()
    late.close()


def closed_clients_say_so(_zk):
    client = connect()
    client.stop()
    client.close()
    fails((SessionExpiredError, Exception), client.get, "/")


def open_acl_is_shown(zk):
    zk.create("/k-open", b"")
    acls, stat = zk.get_acls("/k-open")
    assert acls == OPEN_ACL_UNSAFE and stat.aversion == 0


CASES = [
    create_read_write_delete,
    kinds_of_znodes,
    sync_and_own_writes,
    transactions,
    one_time_watches,
    watch_recipes,
    permissions,
    open_acl_is_shown,
    bad_authentication,
    sessions_are_resumed,
    a_broken_connection_comes_back,
    a_wrong_password_is_refused,
    ephemerals_end_with_their_session,
    silence_expires_a_session,
    an_expired_session_starts_anew,
    closed_clients_say_so,
    locks_and_elections,
    recipes,
    many_requests_in_flight,
    paths_and_values,
    four_letter_words,
    chroot,
]


def main():
    failed = 0
    for case in CASES:
        zk = connect()
        started = time.monotonic()
        try:
            case(zk)
            verdict = "ok"
        except Exception:  # noqa: BLE001: every failure of a case is a failed case
            traceback.print_exc()
            verdict, failed = "FAILED", failed + 1
        finally:
            zk.stop()
            zk.close()
        print(f"kazoo {case.__name__} ... {verdict} ({time.monotonic() - started:.2f} s)", flush=True)
    print(f"kazoo tour: {len(CASES) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
