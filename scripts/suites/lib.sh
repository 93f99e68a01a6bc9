# Shared by the suites: where reports go, and how two runs of one tour become a table.
# Sourced, never run.
#
# A suite gets CONFORMANCE_DIR (where reports go) and CONFORMANCE_SHORT (`yes`: the short form), and
# writes NAME.tsv with one row per case: case, apache, ringkeeper, verdict, reason.

source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
reports="${CONFORMANCE_DIR:-$target/conformance}"
short="${CONFORMANCE_SHORT:-no}"

# tour_suite NAME TEST: runs the cases of the test binary TEST against both servers. The short form
# leaves Apache out: what the cases expect is what it answered.
tour_suite() {
  local name="$1" test="$2" logs
  logs="$reports/$name"
  cd "$root"
  mkdir -p "$logs"
  rm -f "$logs"/*.log
  cargo build --quiet --package ringkeeper
  cargo test --quiet --no-run --package ringkeeper-bench --test "$test"
  if [ "$short" = yes ]; then
    step "$name: against Apache ZooKeeper: not in the short form"
  else
    scripts/fetch-peers zookeeper
    run_tour apache "$test" "$logs/apache.log"
  fi
  run_tour ringkeeper "$test" "$logs/ringkeeper.log"
  table_of_tours "$logs/apache.log" "$logs/ringkeeper.log" >"$reports/$name.tsv"
  last_line "$name"
}

# run_tour SERVER TEST LOG: a failed case is a line of the log, not the end of the suite.
run_tour() {
  step "$2 against $1"
  BENCH_SERVER="$1" cargo test --quiet --package ringkeeper-bench --test "$2" 2>&1 | tee "$3" || true
}

# table_of_tours APACHE_LOG RINGKEEPER_LOG: a case passes when each server that it ran against passed
# it. A log that is not there is "not run"; a case that is missing from a log that is there failed:
# its tour ended early.
table_of_tours() {
  awk -v apache_log="$1" -v ringkeeper_log="$2" '
    function read_log(path, outcome, why, line, words) {
      while ((getline line < path) > 0) {
        ran[path] = 1
        if (line !~ /^test [a-z0-9_:]+ \.\.\. (ok|FAILED|ignored)/) continue
        split(line, words, " ")
        if (!(words[2] in known)) { known[words[2]] = 1; cases[++count] = words[2] }
        outcome[words[2]] = words[4] == "ignored" ? "not run" : words[4]
        sub(/^test [^ ]+ \.\.\. (ok|FAILED|ignored) ?(\([0-9]+ ms\))?:? ?/, "", line)
        gsub(/\t/, " ", line)
        why[words[2]] = line
      }
    }
    function shown(path, outcome, key) {
      if (!(path in ran)) return "not run"
      return key in outcome ? outcome[key] : "missing"
    }
    BEGIN {
      OFS = "\t"
      print "case", "apache", "ringkeeper", "verdict", "reason"
      read_log(apache_log, apache, apache_why)
      read_log(ringkeeper_log, ringkeeper, ringkeeper_why)
      for (i = 1; i <= count; i++) {
        key = cases[i]
        a = shown(apache_log, apache, key)
        r = shown(ringkeeper_log, ringkeeper, key)
        passed = r == "ok" && (a == "ok" || a == "not run")
        reason = apache_why[key] (apache_why[key] && ringkeeper_why[key] ? "; " : "") \
          ringkeeper_why[key]
        print key, a, r, (passed ? "passed" : "failed"), (passed && a == "ok" ? "" : reason)
      }
    }
  '
}

# last_line NAME: counts the table's verdicts. An empty table is a failure, not a success.
last_line() {
  awk -F '\t' -v name="$1" '
    NR > 1 { tally[$4]++ }
    END {
      if (NR < 2) tally["failed"]++
      printf "%s: %d passed, %d failed, %d skipped\n", \
        name, tally["passed"], tally["failed"], tally["skipped"]
      exit tally["failed"] > 0
    }
  ' "$reports/$1.tsv"
}
