"""Makes one table of what the tests of Apache ZooKeeper found on both servers.

Usage: report.py LOGS INSIDE TABLE CLASS...

LOGS has a folder for each server that was asked, with one of JUnit's files for each class. INSIDE lists
what may fail on Ringkeeper because it looks into the server's process.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


def results(folder, name):
    """{test: why it failed, or ""} of one class; None where the class did not end."""
    files = sorted((folder / name).glob("TEST-*.xml"))
    if not files:
        return None
    found = {}
    for case in (case for file in files for case in ElementTree.parse(file).iter("testcase")):
        test = f"{name}.{case.get('name')}"
        bad = [case.find(kind) for kind in ("failure", "error", "skipped")]
        bad = [kind for kind in bad if kind is not None]
        found[test] = ""
        if bad:
            words = bad[0].get("message") or bad[0].get("type") or bad[0].tag
            found[test] = re.sub(r"\s+", " ", words)[:200]
    return found


def reasons(file):
    """{test, or class: why it may fail on Ringkeeper}."""
    lines = Path(file).read_text().splitlines()
    return dict(line.split("\t", 1) for line in lines if line and not line.startswith("#"))


def row(test, apache, ours, inside):
    """The verdict about one test, and its reason."""
    if apache is not None and apache.get(test, "missing"):
        return SKIPPED, f"Apache ZooKeeper: {apache.get(test, 'no result')}"
    why = ours.get(test, "no result")
    if not why:
        return PASSED, ""
    method = re.sub(r"\(.*", "", test)
    reason = inside.get(method)
    return (SKIPPED, reason) if reason else (FAILED, why)


def shown(found, test):
    if found is None:
        return "not run"
    if test not in found:
        return "missing"
    return "failed" if found[test] else "ok"


def main(logs, inside, table, *names):
    inside = reasons(inside)
    logs = Path(logs)
    counts = {PASSED: 0, FAILED: 0, SKIPPED: 0}
    lines = ["case\tapache\tringkeeper\tverdict\treason"]
    for name in names:
        apache = results(logs / "apache", name) if (logs / "apache").exists() else None
        ours = results(logs / "ringkeeper", name) or {}
        tests = {**(apache or {}), **ours} or {f"{name}.(the class)": ""}
        for test in sorted(tests):
            verdict, reason = row(test, apache, ours, inside)
            counts[verdict] += 1
            fields = [test, shown(apache, test), shown(ours, test), verdict, reason]
            lines.append("\t".join(fields))
            if verdict == FAILED:
                print(f"FAILED {test}: {reason}")
    Path(table).write_text("\n".join(lines) + "\n")
    print("zookeeper:", ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return counts[FAILED] > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
