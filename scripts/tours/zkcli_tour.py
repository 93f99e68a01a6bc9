#!/usr/bin/env python3
"""Tour with zkCli 3.9, the Java client: a session of commands whose output is compared, line by
line, with what the same session printed against Apache ZooKeeper 3.9.5.

Usage: zkcli_tour.py ADDRESS:PORT CLASSPATH [--record]

--record writes the expectation instead of comparing: run it against Apache ZooKeeper only.
What differs from run to run (zxids, times, session ids) is numbered in the order of appearance, so
that equal stays equal. Watch events come on a thread of their own: their order among themselves is
compared, their place in the output is not.
"""

import difflib
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
EXPECTED = HERE / "zkcli_expected.txt"
WAIT = 120


def run(address, classpath):
    commands = (HERE / "zkcli_session.txt").read_text()
    java = ["java", "-cp", classpath, "org.apache.zookeeper.ZooKeeperMain", "-server", address]
    done = subprocess.run(
        java + ["-waitforconnection"],
        input=commands,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=WAIT,
        check=False,
    )
    return done.stdout


def normalized(output, address):
    numbers = {}

    def number(kind):
        def replace(match):
            key = (kind, match.group(0))
            if re.fullmatch(r"0x0|-1|0", match.group(0)):
                return match.group(0)
            if key not in numbers:
                numbers[key] = sum(1 for other in numbers if other[0] == kind) + 1
            return f"<{kind} {numbers[key]}>"

        return replace

    lines, events = [], []
    for line in output.splitlines():
        line = re.sub(r"\[zk: .*?\] ?", "> ", line).replace(address, "<server>")
        line = re.sub(r"(?<=(?:[cmp]Zxid = ))0x[0-9a-f]+", number("zxid"), line)
        line = re.sub(r"(?<=zxid: )-?\d+", number("event"), line)
        line = re.sub(r"(?<=ephemeralOwner = )0x[0-9a-f]+", number("owner"), line)
        line = re.sub(r"(?<=[cm]time = ).*", "<time>", line)
        line = re.sub(r"Session id: 0x[0-9a-f]+", "Session id: <session>", line)
        if re.fullmatch(r"\[.*\]", line):
            # The protocol promises no order of names.
            line = "[" + ", ".join(sorted(line[1:-1].split(", "))) + "]"
        if re.match(r"\d\d:\d\d:\d\d", line) or not line.strip() or line == "WATCHER::":
            continue  # what the client's own logging says, and the empty lines around events
        (events if "WatchedEvent" in line else lines).append(line)
    # An event may land behind a prompt on the same line.
    events = [event[event.index("WatchedEvent") :] for event in events]
    return lines + ["", "-- events --"] + events


def main():
    address, classpath = sys.argv[1:3]
    seen = normalized(run(address, classpath), address)
    if "--record" in sys.argv:
        EXPECTED.write_text("\n".join(seen) + "\n")
        print(f"recorded {len(seen)} lines")
        return 0
    expected = EXPECTED.read_text().splitlines()
    if seen == expected:
        print(f"zkCli tour: {len(seen)} lines as Apache ZooKeeper answered; 1 passed, 0 failed")
        return 0
    print("\n".join(difflib.unified_diff(expected, seen, "apache", "seen", lineterm="", n=2)))
    print("zkCli tour: 0 passed, 1 failed")
    return 1


if __name__ == "__main__":
    sys.exit(main())
