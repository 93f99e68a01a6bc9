#!/usr/bin/env python3
"""Tour with zkCli 3.9, the Java client: a session of commands whose output is compared, command by
command, with what the same session printed against Apache ZooKeeper 3.9.5.

Usage: zkcli_tour.py ADDRESS:PORT CLASSPATH [--record | --save FILE]

--record writes the expectation instead of comparing: run it against Apache ZooKeeper only. --save
writes what was seen into FILE. Both have one block for each command: the command, what it printed,
and the watch events that came with it.

Commands go in one at a time, and a mark that zkCli answers by itself says where one's output ends.
zxids are counted from that of the first znode, sessions in the order of their appearance; only
times of day are left out. zkCli without a terminal library prints no prompt.
"""

import difflib
import pathlib
import queue
import re
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
EXPECTED = HERE / "zkcli_expected.txt"
# Without a session in between: what a script does. Each is a process of its own.
ONE_SHOTS = ["create /one-shot x", "get -s /one-shot", "get /none", "-r ls /", "delete /one-shot",
             "nonsense"]
# How the help starts that zkCli prints when it does not know a command.
USAGE = "ZooKeeper -server host:port -client-configuration"
WAIT = 60


class ZkCli:
    """One zkCli, told what to do line by line."""

    def __init__(self, address, classpath):
        self.process = subprocess.Popen(
            ["java", "-Xmx256m", "-Dfile.encoding=UTF-8",
             "-Dsun.stdout.encoding=UTF-8", "-Dsun.stderr.encoding=UTF-8", "-cp", classpath,
             "org.apache.zookeeper.ZooKeeperMain", "-server", address, "-waitforconnection"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            encoding="utf-8", bufsize=1)
        self.printed = queue.Queue()
        self.marks = 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.printed.put(line.rstrip("\n"))
        self.printed.put(None)

    def lines_until(self, is_last):
        """Lines up to the one that `is_last` says, or to the end of the process."""
        lines, deadline = [], time.monotonic() + WAIT
        while True:
            try:
                line = self.printed.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                return lines + [f"(nothing more within {WAIT} s)"]
            if line is None:
                return lines
            if is_last(line):
                return lines
            lines.append(line)

    def tell(self, command, event_count):
        """What `command` prints, its events included: `event_count` of them are waited for."""
        self.process.stdin.write(command + "\n")
        if command == "quit":
            return self.lines_until(lambda _: False)
        # No command: zkCli itself says so, connected or not, behind all that it has done.
        self.marks += 1
        self.process.stdin.write(f"mark{self.marks}\n")
        lines = self.lines_until(lambda line: line.endswith(f"not found mark{self.marks}"))
        usage = max((at for at, line in enumerate(lines) if line.startswith(USAGE)), default=0)
        lines[usage:] = [line for line in lines[usage:] if "WatchedEvent" in line]
        missing = event_count - sum("WatchedEvent" in line for line in lines)
        while missing > 0:
            seen = []
            lines += self.lines_until(lambda line: seen.append(line) or "WatchedEvent" in line)
            lines.append(seen[-1] if seen else "(an event is missing)")
            missing = missing - 1 if seen and "WatchedEvent" in seen[-1] else 0
        return lines


def session(address, classpath):
    """Pairs of a command and the lines that it printed."""
    zkcli = ZkCli(address, classpath)
    blocks = [("(start)", zkcli.lines_until(lambda line: line.startswith("JLine")))]
    try:
        for line in (HERE / "zkcli_session.txt").read_text(encoding="utf-8").splitlines():
            if line.startswith("#"):
                continue
            order, count, command = re.fullmatch(r"(~ )?(?:!(\d) )?(.*)", line).groups()
            lines = zkcli.tell(command.replace("{server}", address), int(count or 0))
            blocks.append((command, without_order(lines) if order else lines))
        blocks.append(("(exit code)", [str(zkcli.process.wait(WAIT))]))
    except BrokenPipeError:
        blocks.append(("(zkCli ended)", []))
    finally:
        zkcli.process.kill()
    for words in ONE_SHOTS:
        done = subprocess.run(
            ["java", "-cp", classpath, "org.apache.zookeeper.ZooKeeperMain", "-server", address,
             "-waitforconnection", *words.split()],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT, check=False)
        blocks.append((f"zkCli {words}", [*done.stdout.splitlines(), f"exit {done.returncode}"]))
    return blocks


def without_order(lines):
    """Sorted; an ACL's permissions stay with their identity, which is the line before."""
    return sorted(re.sub(r"\n: ", " : ", "\n".join(lines)).split("\n"))


class Normalizer:
    """Makes two runs comparable: what counts from run to run is counted from a common start."""

    def __init__(self, address, blocks):
        self.address = address
        self.sessions = []
        printed = "\n".join(line for _, lines in blocks for line in lines)
        found = re.search(r"cZxid = 0x([1-9a-f][0-9a-f]*)", printed)
        self.base = int(found[1], 16) if found else 0

    def zxid(self, number):
        return str(number) if number in (0, -1) else f"<{number - self.base:+d}>"

    def session(self, text):
        if text == "0x0":
            return text
        if text not in self.sessions:
            self.sessions.append(text)
        return f"<session {self.sessions.index(text) + 1}>"

    def line(self, line):
        line = line.replace(self.address, "{server}")
        line = re.sub(r"(?<=[cmp]Zxid = )0x[0-9a-f]+", lambda m: self.zxid(int(m[0], 16)), line)
        line = re.sub(r"(?<=zxid: )-?\d+", lambda m: self.zxid(int(m[0])), line)
        line = re.sub(r"(?<=ephemeralOwner = )0x[0-9a-f]+", lambda m: self.session(m[0]), line)
        if not line.endswith("1970"):
            line = re.sub(r"(?<=[cm]time = ).*", "<time>", line)
        if re.fullmatch(r"\[.*\]", line):
            # The protocol promises no order of names.
            line = "[" + ", ".join(sorted(line[1:-1].split(", "))) + "]"
        return line

    def block(self, command, lines):
        """Printed lines first, then the events: these come on a thread of their own."""
        printed, events = [], []
        for line in lines:
            if re.match(r"\d\d:\d\d:\d\d", line) or not line.strip() or line == "WATCHER::":
                continue  # what the client's own logging says, and the empty lines around events
            if "WatchedEvent" in line:
                events.append(self.line(line[line.index("WatchedEvent"):]))
            else:
                printed.append(self.line(line))
        if command.startswith("ls -R"):
            printed.sort()
        return [f"> {command}", *printed, *events]


def seen_lines(address, classpath):
    blocks = session(address, classpath)
    normalizer = Normalizer(address, blocks)
    return [line for command, lines in blocks for line in normalizer.block(command, lines)]


def main():
    address, classpath = sys.argv[1:3]
    seen = seen_lines(address, classpath)
    text = "\n".join(seen) + "\n"
    if "--save" in sys.argv:
        pathlib.Path(sys.argv[sys.argv.index("--save") + 1]).write_text(text, encoding="utf-8")
        return 0
    if "--record" in sys.argv:
        EXPECTED.write_text(text, encoding="utf-8")
        print(f"recorded {len(seen)} lines")
        return 0
    expected = EXPECTED.read_text(encoding="utf-8").splitlines()
    if seen == expected:
        print(f"zkCli tour: {len(seen)} lines as Apache ZooKeeper answered; 1 passed, 0 failed")
        return 0
    print("\n".join(difflib.unified_diff(expected, seen, "apache", "seen", lineterm="", n=2)))
    print("zkCli tour: 0 passed, 1 failed")
    return 1


if __name__ == "__main__":
    sys.exit(main())
