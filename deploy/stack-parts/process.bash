# One server process: started in the background, known again by its pid and start time, waited for, ended.
# Sourced by deploy/stack.
# shellcheck shell=bash disable=SC2154,SC2034

readonly stop_order=(proxy pgbouncer postgres redis)

pid_of() { cat "$dir/run/$1.pid" 2>/dev/null || true; }

# birth PID sets `born` to what tells this process from a later one with the same number; fails when there
# is none.
birth() {
    local stat boot
    born=
    read -r boot </proc/sys/kernel/random/boot_id
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*) } # past the program's name, which may hold anything
    # shellcheck disable=SC2086
    set -- $stat
    [ "$1" != Z ] || return 1
    born="$boot ${20}"
}

# is_running says whether the process that start began is still there.
is_running() {
    local pid
    pid=$(pid_of "$1")
    [ -n "$pid" ] && birth "$pid" && [ "$born" = "$(cat "$dir/run/$1.birth" 2>/dev/null)" ]
}

any_running() {
    local name
    for name in "${stop_order[@]}"; do
        ! is_running "$name" || return 0
    done
    return 1
}

# is_current says whether a server runs with the settings and program it would be started with now.
is_current() { [ "$(cat "$dir/run/$1.made-of" 2>/dev/null)" = "$(made_of "$1")" ]; }

# trim_log keeps a log that has grown large as one predecessor.
trim_log() {
    local log=$dir/log/$1.log
    if [ -f "$log" ] && [ "$(stat -c %s "$log")" -gt 10000000 ]; then
        as_owner mv "$log" "$log.1"
    fi
}

# enough_descriptors lifts the soft limit: every client of pgbouncer or the proxy is one or two.
enough_descriptors() {
    local most
    most=$(ulimit -Hn)
    if [ "$most" = unlimited ] || [ "$most" -gt 32768 ]; then most=32768; fi
    ulimit -Sn "$most" || true
}

# spawn NAME COMMAND... starts a server in a session of its own, so that no Ctrl-C or hang-up meant for
# the caller reaches it, and without the caller's descriptors (make's jobserver, the lock). The process
# notes its own number before it becomes the server and while it still holds the lock: whoever has the
# lock next knows of every server, wherever start was interrupted.
spawn() {
    local name=$1 log=$dir/log/$1.log pid
    shift
    trim_log "$name"
    as_owner touch "$log"
    log_start[$name]=$(stat -c %s "$log")
    made_of "$name" | put "run/$name.made-of"
    rm -f "$dir/run/$name.pid" "$dir/run/$name.birth"
    (
        umask 077
        enough_descriptors
        birth "$BASHPID"
        printf '%s\n' "$born" >"$dir/run/$name.birth"
        printf '%s\n' "$BASHPID" >"$dir/run/$name.pid"
        local fd
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            [ "$fd" -le 2 ] || eval "exec $fd>&-"
        done
        # The shell makes background processes deaf to INT and QUIT, and they inherit it.
        if [ "$(id -un)" = "$owner" ]; then
            exec env --default-signal=INT,QUIT setsid "$@"
        fi
        exec env --default-signal=INT,QUIT setsid \
            setpriv --reuid="$owner" --regid="$(id -g "$owner")" --init-groups "$@"
    ) </dev/null >>"$log" 2>&1 &
    pid=$!
    while [ ! -s "$dir/run/$name.pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
    disown "$pid" 2>/dev/null || true
    [ "$(id -un)" = "$owner" ] || chown "$owner:$(id -g "$owner")" "$dir/run/$name."{birth,pid}
}

# new_log prints what a server has written since this call spawned it, or all its log.
declare -A log_start=()
new_log() { tail -c "+$((${log_start[$1]:-0} + 1))" "$dir/log/$1.log"; }

fail() {
    printf 'stack: %s did not %s; the end of its log, %s:\n' "$1" "$2" "$dir/log/$1.log" >&2
    new_log "$1" | tail -n 12 | sed 's/^/    /' >&2
    exit 1
}

# await NAME SECONDS CHECK... waits until the check succeeds.
await() {
    local name=$1 seconds=$2 begun=$SECONDS
    shift 2
    until "$@" >/dev/null 2>&1; do
        is_running "$name" || fail "$name" "start"
        [ $((SECONDS - begun)) -lt "$seconds" ] || fail "$name" "get ready within $seconds seconds"
        sleep 0.05
    done
}

forget_dead() {
    is_running "$1" || rm -f "$dir/run/$1.pid" "$dir/run/$1.birth" "$dir/run/$1.made-of"
}

# stop_servers NAME... ends servers in the order that lets each finish its work, at most 30 seconds
# each, then without ceremony: data survive that too, since both databases recover from their logs.
stop_servers() {
    local name pid signal
    for name in "${stop_order[@]}"; do
        case " $* " in *" $name "*) ;; *) continue ;; esac
        is_running "$name" || continue
        pid=$(pid_of "$name")
        for signal in "$(gentle_signal "$name")" "$(rough_signal "$name")"; do
            kill -s "$signal" "$pid" 2>/dev/null || true
            wait_gone "$name" && break
            printf 'stack: %s does not end; sending a stronger signal\n' "$name" >&2
        done
        forget_dead "$name"
    done
}

wait_gone() {
    local begun=$SECONDS
    while is_running "$1"; do
        [ $((SECONDS - begun)) -lt 30 ] || return 1
        sleep 0.05
    done
}
