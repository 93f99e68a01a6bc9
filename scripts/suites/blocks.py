"""Compares what the same program printed against two servers, block by block, and writes the report
of a suite. A block is a line `> title` and the lines up to the next one; the k-th block of one side
belongs to the k-th of the other with that title.

Usage: blocks.py NAME REPORT APACHE RINGKEEPER [RECORDED]
       blocks.py NAME REPORT --recorded RECORDED RINGKEEPER

NAME is the suite's, REPORT the table to write; the other files have blocks. With --recorded, what
Apache ZooKeeper printed once stands in for a run of it. Where RECORDED is given behind a live run,
it must say the same as that run: one more row. Exit: 0 iff nothing failed.
"""

import difflib
import pathlib
import sys


def read_blocks(path):
    """A list of pairs: the title, made unique, and the lines."""
    blocks, seen = [], {}
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith("> "):
            title = line[2:]
            seen[title] = seen.get(title, 0) + 1
            name = title if seen[title] == 1 else f"{title} ({seen[title]})"
            blocks.append((name, []))
        else:
            blocks[-1][1].append(line)
    return blocks


def short(lines):
    """For a cell of the table: all lines in one, cut."""
    text = " / ".join(lines).replace("\t", " ")
    return text if len(text) <= 160 else text[:157] + "..."


def compare(apache, ringkeeper):
    """Rows of title, both sides, verdict and reason. A side's own `skipped:` line skips a case."""
    theirs, ours = dict(apache), dict(ringkeeper)
    titles = [title for title, _ in apache] + [t for t, _ in ringkeeper if t not in theirs]
    for title in titles:
        left, right = theirs.get(title), ours.get(title)
        if left is None or right is None:
            side = "Ringkeeper's run" if right is None else "Apache's run"
            verdict = "failed", f"not in {side}"
        elif any(line.startswith("broke down: ") for line in left + right):
            verdict = "failed", "it broke down"
        elif left == right:
            skipped = [line for line in left if line.startswith("skipped: ")]
            verdict = ("skipped", skipped[0][9:]) if skipped else ("passed", "")
        else:
            verdict = "failed", "they differ"
        yield title, left or [], right or [], *verdict


def main():
    name, report, *files = sys.argv[1:]
    recorded = None
    if files[0] == "--recorded":
        apache, ringkeeper = map(read_blocks, files[1:])
    else:
        apache, ringkeeper = map(read_blocks, files[:2])
        recorded = read_blocks(files[2]) if files[2:] else None
    rows = list(compare(apache, ringkeeper))
    if recorded is not None:
        same = recorded == apache
        rows.append(("(the recorded expectation is what Apache answers)", [], [],
                     "passed" if same else "failed", "" if same else "record it again"))
        if not same:
            flat = [["\n".join((f"> {title}", *lines)) for title, lines in side]
                    for side in (recorded, apache)]
            print("\n".join(difflib.unified_diff(*flat, "recorded", "apache", lineterm="", n=0)))
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    with open(report, "w", encoding="utf-8") as table:
        print("case", "apache", "ringkeeper", "verdict", "reason", sep="\t", file=table)
        for title, left, right, verdict, reason in rows:
            counts[verdict] += 1
            title = title.replace("\t", " ")
            print(title, short(left), short(right), verdict, reason, sep="\t", file=table)
            if verdict == "failed":
                print(f"\nFAILED: {title}: {reason}")
                print("\n".join(difflib.unified_diff(left, right, "apache", "ringkeeper",
                                                     lineterm="", n=2)))
    print(f"\n{name}: {counts['passed']} passed, {counts['failed']} failed, "
          f"{counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
