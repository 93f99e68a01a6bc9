"""A pytest plugin: writes what became of every case of kazoo's tests, one line each, at once.

A line is `case<TAB>result<TAB>reason` with result passed, failed or skipped. Every case that was
chosen stands there first as failed without a result, so a process that hangs or dies loses nothing;
the last line of a case counts. From the environment:

KAZOO_RESULTS  the file that the lines are added to
KAZOO_LATER    a list of patterns, see kazoo_later.txt
KAZOO_ONLY     run what this pattern matches; without it, run what no pattern of the list matches
"""

import fnmatch
import os
import random
import socket

import kazoo_report

# One server takes the first five, and the next server is ten ports further.
PORTS_PER_SERVER = 10
REASON_LENGTH = 160

worst = {}


def pytest_configure(config):
    """Asks for ports: outside of those that the system gives to clients, which come and go."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        end = int(limits.read().split()[0]) - PORTS_PER_SERVER
    while True:
        first = random.randrange(10_000, max(end, 10_001))
        if all(is_free(port) for port in range(first, first + PORTS_PER_SERVER)):
            break
    os.environ["ZOOKEEPER_PORT_OFFSET"] = str(first)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


def case_name(nodeid):
    """`kazoo/tests/test_lock.py::KazooLockTests::test_1` is test_lock.KazooLockTests.test_1."""
    path, *names = nodeid.split("::")
    return ".".join([os.path.basename(path).removesuffix(".py"), *names])


def write(case, result, reason):
    reason = " ".join(reason.split())[:REASON_LENGTH]
    with open(os.environ["KAZOO_RESULTS"], "a") as results:
        results.write(f"{case}\t{result}\t{reason}\n")


def is_chosen(case, only, later):
    if only:
        return fnmatch.fnmatchcase(case, only)
    return not any(fnmatch.fnmatchcase(case, pattern) for pattern in later)


def pytest_collection_modifyitems(config, items):
    only = os.environ.get("KAZOO_ONLY")
    later = kazoo_report.read_later(os.environ["KAZOO_LATER"])
    chosen = [item for item in items if is_chosen(case_name(item.nodeid), only, later)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_collection_finish(session):
    for item in session.items:
        write(case_name(item.nodeid), "failed", "no result: it did not end")


def pytest_runtest_logreport(report):
    """A case has three reports: before, itself, after. It is as bad as the worst of them."""
    case = case_name(report.nodeid)
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message if crash else str(report.longrepr)
        worst[case] = ("failed", message.strip().split("\n")[0])
    elif report.skipped and case not in worst:
        worst[case] = ("skipped", str(report.longrepr[2]))
    if report.when == "teardown":
        write(case, *worst.get(case, ("passed", "")))
