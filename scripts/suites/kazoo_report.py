#!/usr/bin/env python3
"""Puts what Apache ZooKeeper and Ringkeeper did with kazoo's tests side by side.

Usage: kazoo_report.py short|full APACHE RINGKEEPER LATER TABLE
APACHE and RINGKEEPER are what kazoo_plugin.py writes, LATER is kazoo_later.txt, TABLE is written.
In the short form APACHE is the recorded one, and the table has what was chosen for Ringkeeper.

A case passes when it passes on both. What Apache itself does not pass is skipped, and so is what
needs something that comes later; neither counts as passed. An entry of LATER that passes, or that
names no case, is a failure: the list must shrink.
"""

import fnmatch
import sys


def read_later(path):
    """Patterns and why they must wait, in the order of the file."""
    later = {}
    with open(path) as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                pattern, reason = line.rstrip("\n").split("\t")
                later[pattern] = reason
    return later


def read_results(path):
    results = {}
    with open(path) as lines:
        for line in lines:
            case, result, reason = line.rstrip("\n").split("\t")
            results[case] = (result, reason)
    return results


def judge(apache, ringkeeper, waits_for):
    """Verdict and reason for one case; each side is a result and a reason."""
    if waits_for:
        if ringkeeper[0] == "passed":
            return "failed", f"stale entry in kazoo_later.txt: it passes ({waits_for})"
        return "skipped", waits_for
    if apache[0] == "not recorded":
        return "failed", "Apache's result is not recorded: run the full form with --record"
    if apache[0] != "passed":
        return "skipped", f"Apache {apache[0]}: {apache[1]}"
    if ringkeeper[0] == "passed":
        return "passed", ""
    return "failed", f"{ringkeeper[0]}: {ringkeeper[1]}"


def first_match(case, later):
    return next((later[pattern] for pattern in later if fnmatch.fnmatchcase(case, pattern)), None)


def rows(form, apache, ringkeeper, later):
    unknown = ("not recorded", "")
    missing = ("not run", "it ran on Apache, and not here")
    cases = list(apache) + [case for case in ringkeeper if case not in apache]
    for case in cases:
        waits_for = first_match(case, later)
        if form == "full" or case in ringkeeper or waits_for:
            sides = apache.get(case, unknown), ringkeeper.get(case, missing)
            yield case, sides[0][0], sides[1][0], *judge(*sides, waits_for)
    for pattern in later:
        if not fnmatch.filter(cases, pattern):
            yield pattern, "", "", "failed", "stale entry in kazoo_later.txt: no case has this name"


def main(form, apache, ringkeeper, later, table):
    judged = list(rows(form, read_results(apache), read_results(ringkeeper), read_later(later)))
    with open(table, "w") as out:
        out.write("case\tapache\tringkeeper\tverdict\treason\n")
        out.writelines("\t".join(row) + "\n" for row in judged)
    for case, _, _, verdict, reason in judged:
        if verdict == "failed":
            print(f"FAILED {case}: {reason}")
    skipped = sum(row[3] == "skipped" for row in judged)
    for side, name in enumerate(["Apache ZooKeeper", "Ringkeeper"], start=1):
        results = [row[side] for row in judged]
        names = ("passed", "failed", "skipped", "not run")
        counts = [f"{results.count(result)} {result}" for result in names]
        print(f"  on {name}: {', '.join(counts)}")
    good, bad = (sum(row[3] == verdict for row in judged) for verdict in ("passed", "failed"))
    print(f"kazoo: {good} passed, {bad} failed, {skipped} skipped")
    return bad == 0 and good > 0


if __name__ == "__main__":
    sys.exit(0 if main(*sys.argv[1:]) else 1)
