# Shared by the scripts of this folder: where the server's binary is. Sourced, never run.

# find_ringkeeper: prints the path of the binary, or says in one line on standard error what to do.
find_ringkeeper() {
  if [[ -n ${RINGKEEPER_BIN:-} ]]; then
    if [[ -f $RINGKEEPER_BIN && -x $RINGKEEPER_BIN ]]; then
      printf '%s\n' "$RINGKEEPER_BIN"
      return
    fi
    printf '%s: RINGKEEPER_BIN=%s cannot be run\n' "$(basename "$0")" "$RINGKEEPER_BIN" >&2
    return 1
  fi
  local here root candidate
  here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
  root="$(dirname "$(dirname "$here")")"
  for candidate in "$here" "$root/target/release" "$root/target/debug"; do
    if [[ -f $candidate/ringkeeper && -x $candidate/ringkeeper ]]; then
      printf '%s\n' "$candidate/ringkeeper"
      return
    fi
  done
  type -P ringkeeper && return
  printf '%s: no ringkeeper: set RINGKEEPER_BIN, build it, or put it on PATH\n' \
    "$(basename "$0")" >&2
  return 1
}
