# The whole private stack, as `make run` starts it, for the time of one benchmark: with free ports, in a
# temporary directory, ended and removed when the script ends, however it does. To be sourced, in the
# repository's root:
#
#   open_stack NAME [1]          starts it, with the demo data if 1; sets $place, $bindir, $key (premium) and the
#                                variables that deploy/stack env prints
#   load_dataset                 bench/dataset.sql in it
#   start_proxy NAME SETTING...  one more proxy, on ports of its own: ${http[NAME]} and ${admin[NAME]}; its
#                                process is ${pids[NAME]}
#   start NAME COMMAND...        any other server; waits until it accepts connections on ${http[NAME]}
#   sql ARGUMENT...              psql as the database's owner
# shellcheck shell=bash disable=SC2154

declare -A pids=() http=() admin=()

close_stack() {
    local name
    trap '' INT TERM
    for name in "${!pids[@]}"; do
        kill "${pids[$name]}" 2>/dev/null || true
    done
    for name in "${!pids[@]}"; do
        wait "${pids[$name]}" 2>/dev/null || true
    done
    MUSTER_STACK_DIR=$place/stack deploy/stack clean >/dev/null 2>&1 || true
    if [ "${KEEP:-0}" = 1 ]; then echo "kept: $place"; else rm -rf "$place"; fi
}

# free_port sets $free to a port of 127.0.0.1 that nobody listens on, below those of outgoing connections.
free_port() {
    local port
    for port in $(shuf -i 20000-32000 -n 100); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            free=$port
            return
        fi
    done
    echo "no free port" >&2
    exit 1
}

open_stack() {
    local line service
    place=$(mktemp -d "${TMPDIR:-/tmp}/muster-$1.XXXXXX")
    chmod 755 "$place"
    trap close_stack EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    for service in HTTP ADMIN WIRE PGBOUNCER POSTGRES REDIS; do
        free_port
        export "MUSTER_${service}_PORT=$free"
    done
    export MUSTER_STACK_DIR=$place/stack MUSTER_DEMO=${2:-0}
    deploy/stack start >"$place/stack.log" 2>&1 || { cat "$place/stack.log"; exit 1; }
    while IFS= read -r line; do
        case $line in MUSTER_*=*) export "${line?}" ;; esac
    done < <(deploy/stack env)
    bindir=$MUSTER_BINDIR
    key=$MUSTER_API_KEY
    http[stack]=$MUSTER_HTTP_PORT admin[stack]=$MUSTER_ADMIN_PORT
}

sql() { "$bindir/psql" -XAtq -v ON_ERROR_STOP=1 "$MUSTER_POSTGRES_DSN" "$@"; }

load_dataset() {
    echo "loading 10,000 agents, 100,000 goals, 1,000 tools, 50,000 links and 2,000,000 events"
    PGOPTIONS='-c client_min_messages=warning' sql -f bench/dataset.sql
    sql -c CHECKPOINT
}

start() {
    local name=$1
    shift
    "$@" >"$place/$name.log" 2>&1 &
    pids[$name]=$!
    for _ in $(seq 300); do
        ! (exec 3<>"/dev/tcp/127.0.0.1/${http[$name]}") 2>/dev/null || return 0
        kill -0 "${pids[$name]}" 2>/dev/null || break
        sleep 0.1
    done
    echo "$name did not start:" >&2
    tail -n 20 "$place/$name.log" >&2
    exit 1
}

start_proxy() {
    local name=$1 setting settings=() command
    shift
    # The stack's own proxy leads the relay, and says how a proxy of this stack is to be started.
    mapfile -d '' -t command <"/proc/$(cat "$MUSTER_STACK_DIR/run/proxy.pid")/cmdline"
    free_port
    http[$name]=$free
    free_port
    admin[$name]=$free
    free_port
    for setting in "http.listen=127.0.0.1:${http[$name]}" "admin.listen=127.0.0.1:${admin[$name]}" \
        "wire.listen=127.0.0.1:$free" relay.enabled=false log.level=warn "$@"; do
        settings+=(--set "$setting")
    done
    start "$name" "${command[@]}" "${settings[@]}"
    for _ in $(seq 100); do
        ! curl -fsS "http://127.0.0.1:${http[$name]}/health/ready" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    echo "$name is not ready: $(curl -sS "http://127.0.0.1:${http[$name]}/health/ready")" >&2
    exit 1
}
