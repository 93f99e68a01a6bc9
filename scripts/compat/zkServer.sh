#!/usr/bin/env bash
# Starts, stops and asks a Ringkeeper server in the way operators' scripts use the zkServer.sh of
# Apache ZooKeeper: same commands, same variables, same words on standard output.
#
# Usage: zkServer.sh [--config DIR] COMMAND [ZOO_CFG]
#   COMMAND  start, start-foreground, stop, restart, status, version or print-cmd
#   ZOO_CFG  a file of the configuration directory by its name, or a path; default zoo.cfg
# Variables: docs/operations.md, "The doors of ZooKeeper's start scripts".
set -uf

here="$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
java="$here/java"
source "$here/find-ringkeeper.sh"
# Longer than the server waits for its port. What lives then recovers its log: that is STARTED too.
start_wait_tenths=100
# The server ends within a second of the signal; a disk that hangs may hold it up.
stop_wait_tenths=600

usage() {
  printf 'Usage: %s [--config <conf-dir>] %s\n' "$0" \
    '{start|start-foreground|stop|version|restart|status|print-cmd}' >&2
}

# property KEY FILE: its value as Java reads it, the last one counts. Blanks around it are dropped.
property() {
  sed -nE "s/^\s*$1\s*[=:[:space:]]\s*(.*\S)\s*$/\1/p" "$2" 2>/dev/null | tail -n 1
}

is_running() { [[ -s $pid_file ]] && kill -0 "$(<"$pid_file")" 2>/dev/null; }

# still_running PID: one that has ended may stay in the table until somebody asks for its exit code.
still_running() {
  local stat
  { stat="$(<"/proc/$1/stat")"; } 2>/dev/null && [[ ${stat##*) } != Z* ]]
}

# ask HOST PORT: what the server answers to `srvr`.
ask() {
  # shellcheck disable=SC2016
  timeout 10 bash -c 'exec 3<>"/dev/tcp/$0/$1" && printf srvr >&3 && cat <&3' "$1" "$2" 2>/dev/null
}

# Folders beside this one where they are laid out so, else those of a system.
find_config() {
  conf_dir="$here/../conf" log_dir="$here/../logs"
  [[ -d $conf_dir ]] || conf_dir=/etc/zookeeper log_dir=/var/log/zookeeper
  conf_dir="${ZOOCFGDIR:-$conf_dir}"
  local file
  for file in zookeeper-env.sh java.env; do
    # shellcheck disable=SC1090
    [[ ! -f $conf_dir/$file ]] || source "$conf_dir/$file"
  done
  config="${1:-${ZOOCFG:-zoo.cfg}}"
  [[ $config == */* ]] || config="$conf_dir/$config"
  printf 'Using config: %s\n' "$config" >&2
}

# What every command but `version` needs to know.
read_environment() {
  log_dir="${ZOO_LOG_DIR:-$log_dir}"
  out_file="$log_dir/zookeeper-${USER:-}-server-$HOSTNAME.out"
  data_dir="$(property dataDir "$config")"
  pid_file="${ZOOPIDFILE:-$data_dir/zookeeper_server.pid}"
  local flags=()
  # Split at blanks, and nothing in it is a pattern of file names.
  read -r -a flags -d '' <<<"${SERVER_JVMFLAGS:-} ${JVMFLAGS:-}"
  [[ -z ${ZOO_DATADIR_AUTOCREATE_DISABLE:-} ]] ||
    flags=(-Dzookeeper.datadir.autocreate=false ${flags[@]+"${flags[@]}"})
  server=("$java" "-Dzookeeper.log.dir=$log_dir"
    "-Dzookeeper.log.file=${ZOO_LOG_FILE:-zookeeper-${USER:-}-server-$HOSTNAME.log}"
    ${flags[@]+"${flags[@]}"} org.apache.zookeeper.server.quorum.QuorumPeerMain "$config")
}

# Without its directory there is no place for the pid file.
make_directories() {
  local log
  if [[ -n ${ZOO_DATADIR_AUTOCREATE_DISABLE:-} ]]; then
    log="$(property dataLogDir "$config")"
    if [[ ! -d $data_dir ]]; then
      printf 'ZooKeeper data directory is missing at %s: make it\n' "$data_dir"
      exit 1
    fi
    if [[ -n $log && ! -d $log ]]; then
      printf 'ZooKeeper txnlog directory is missing at %s: make it\n' "$log"
      exit 1
    fi
  fi
  [[ -n ${ZOOPIDFILE:-} || -z $data_dir ]] || mkdir -p "$data_dir"
  [[ -z ${ZOOPIDFILE:-} ]] || mkdir -p "$(dirname "$ZOOPIDFILE")"
  mkdir -p "$log_dir"
}

start() {
  printf 'Starting zookeeper ... '
  if is_running; then
    printf 'already running as process %s.\n' "$(<"$pid_file")"
    exit 1
  fi
  # Before the fork: what an earlier server said must not be taken for what this one says.
  : >"$out_file"
  nohup "${server[@]}" >>"$out_file" 2>&1 </dev/null &
  local pid=$! tenth
  if ! printf '%s' "$pid" >"$pid_file"; then
    printf 'FAILED TO WRITE PID\n'
    exit 1
  fi
  for ((tenth = 0; tenth < start_wait_tenths; tenth++)); do
    if ! still_running "$pid"; then
      printf 'FAILED TO START\n'
      tail -n 5 "$out_file" >&2
      exit 1
    fi
    ! grep -q 'serving.*address' "$out_file" || break
    sleep 0.1
  done
  printf 'STARTED\n'
}

stop() {
  printf 'Stopping zookeeper ... '
  if [[ ! -f $pid_file ]]; then
    printf 'no zookeeper to stop (could not find file %s)\n' "$pid_file"
    return
  fi
  local pid tenth
  pid="$(<"$pid_file")"
  kill "$pid"
  rm "$pid_file"
  for ((tenth = 0; tenth < stop_wait_tenths; tenth++)); do
    still_running "$pid" || break
    sleep 0.1
  done
  printf 'STOPPED\n'
}

# find_client_port: sets `host` and `port`, from the configuration or the server's own line.
find_client_port() {
  host="$(property clientPortAddress "$config")"
  port="$(property clientPort "$config")"
  if [[ $port =~ ^[0-9]+$ ]]; then return; fi
  local id dynamic line=
  id="$(cat "$data_dir/myid" 2>/dev/null)"
  if [[ ! $id =~ ^[0-9]+$ ]]; then
    echo "myid could not be determined, will not able to locate clientPort in the server configs."
    return
  fi
  line="$(property "server\.$id" "$config")"
  if [[ $line != *\;* ]]; then
    echo "Client port not found in static config file. Looking in dynamic config file."
    dynamic="$(property dynamicConfigFile "$config")"
    [[ -z $dynamic ]] || line="$(property "server\.$id" "$dynamic")"
  fi
  if [[ ${line#*;} =~ ^(\[?([^]]*)\]?:)?([0-9]+) && $line == *\;* ]]; then
    host="${BASH_REMATCH[2]}" port="${BASH_REMATCH[3]}"
  else
    echo "Client port not found in the server configs"
  fi
}

status() {
  local host port mode
  find_client_port
  if [[ ! $port =~ ^[0-9]+$ ]]; then
    echo "Unable to find either secure or unsecure client port in any configs. Terminating."
    exit 1
  fi
  host="${host:-localhost}"
  echo "Client port found: $port. Client address: $host. Client SSL: false."
  mode="$(ask "$host" "$port" | grep Mode)"
  if [[ -z $mode ]]; then
    echo "Error contacting service. It is probably not running."
    exit 1
  fi
  printf '%s\n' "$mode"
}

# Ours, and the release of ZooKeeper whose behaviour it is.
version() {
  local binary words
  binary="$(find_ringkeeper)" || return
  words="$("$binary" --version)" || return
  printf 'Ringkeeper %s, as Apache ZooKeeper, version 3.9.5\n' "${words##* }"
}

if [[ ${1:-} == --config ]]; then
  ZOOCFGDIR="${2:-}"
  shift $(($# > 1 ? 2 : 1))
fi
case "${1:-}" in
  version)
    version
    exit
    ;;
  start | start-foreground | stop | restart | status | print-cmd) ;;
  *)
    usage
    exit 0
    ;;
esac
find_config "${2:-}"
read_environment
case "$1" in
  start)
    make_directories
    start
    ;;
  start-foreground)
    make_directories
    [[ -n ${ZOO_NOEXEC:-} ]] || exec "${server[@]}"
    "${server[@]}"
    ;;
  stop) stop ;;
  restart)
    stop
    make_directories
    start
    ;;
  status) status ;;
  print-cmd)
    printf '%q ' "${server[@]}"
    printf '> %q 2>&1 < /dev/null\n' "$out_file"
    ;;
esac
