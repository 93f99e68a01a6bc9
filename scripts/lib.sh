# Shared by the scripts of this folder: paths, plain messages, and where the peers live.
# Sourced, never run.

set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="${RINGKEEPER_CACHE:-$root/.cache}"
zookeeper_dir="$cache/zookeeper-3.9.5"
venv="$cache/venv"
kazoo_tests_dir="$cache/kazoo-tests"
# The cargo that is told another target directory builds there: ask the same variable.
target="${CARGO_TARGET_DIR:-$root/target}"

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
fail() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# have COMMAND: whether it is installed.
have() { command -v "$1" >/dev/null 2>&1; }

# need COMMAND WHY: one clear line when it is missing.
need() { have "$1" || fail "'$1' is not installed; it is needed $2"; }

zookeeper_classpath() { printf '%s' "$zookeeper_dir/conf:$zookeeper_dir/lib/*"; }
