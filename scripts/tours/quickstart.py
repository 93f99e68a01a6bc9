#!/usr/bin/env python3
"""Runs the quick start of README.md as it stands there, so that it cannot rot.

Usage: quickstart.py ADDRESS:PORT CLASSPATH

A block of code below a line `<!-- runs: kazoo -->` or `<!-- runs: zkcli -->` is run against the
server; each line of the block below the next `<!-- prints -->` must come in its output, in order.
"""

import pathlib
import re
import subprocess
import sys

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
BLOCK = r"```\w*\n(.*?)```"
PAIR = re.compile(rf"<!-- runs: (\w+) -->\n{BLOCK}.*?<!-- prints -->\n{BLOCK}", re.DOTALL)
PLACE = "127.0.0.1:2181"


def run(kind, code, address, classpath):
    code = code.replace(PLACE, address)
    if kind == "kazoo":
        command, text = [sys.executable, "-c", code], None
    elif kind == "zkcli":
        command = ["java", "-cp", classpath, "org.apache.zookeeper.ZooKeeperMain"]
        command += ["-server", address, "-waitforconnection"]
        text = code + "quit\n"
    else:
        raise SystemExit(f"README.md: nothing is known that runs '{kind}'")
    done = subprocess.run(
        command,
        input=text,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=100,
        check=False,
    )
    return done.stdout


def main():
    address, classpath = sys.argv[1:3]
    pairs = PAIR.findall(README.read_text())
    failed = 0
    for kind, code, expected in pairs:
        output = run(kind, code, address, classpath)
        lines = iter(output.splitlines())
        missing = [due for due in expected.splitlines() if not any(due in line for line in lines)]
        if missing:
            failed += 1
            print(f"quick start, {kind}: {missing} missing in order in:\n{output}")
    if len(pairs) < 2:
        failed += 1
        print(f"quick start: {len(pairs)} blocks in README.md, at least 2 are due")
    print(f"quick start: {len(pairs)} blocks run; {max(len(pairs) - failed, 0)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
