# A PostgreSQL cluster of one's own for the time of one script, with the extension as `make` built it.
# To be sourced, in the repository's root:
#
#   open_cluster NAME [-c setting=value]...
#
# makes the temporary directory $place, whose subdirectory $place/run belongs to the servers' user, starts
# PostgreSQL on a Unix socket there and sets $bindir, PGHOST and PGUSER. When the script ends, however it
# does, the server is ended and the directory removed; with KEEP=1 the directory stays.

# free_port prints a TCP port that nobody listens on, below those that the kernel gives out.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# PostgreSQL refuses to run as root.
as_owner=()
if [ "$(id -u)" -eq 0 ]; then
    as_owner=(setpriv --reuid=postgres --regid="$(id -g postgres)" --init-groups)
fi

server=
close_cluster() {
    if [ -n "$server" ]; then
        kill -INT "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    if [ "${KEEP:-0}" = 1 ]; then echo "kept: $place"; else rm -rf "$place"; fi
}

open_cluster() {
    local name=$1 back=$PWD
    shift
    place=$(mktemp -d "${TMPDIR:-/tmp}/muster-$name.XXXXXX")
    chmod 755 "$place"
    trap close_cluster EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    bindir=$(deploy/prefix "$place/prefix")
    mkdir "$place/run"
    [ "$(id -u)" -ne 0 ] || chown postgres "$place/run"
    cd "$place/run"  # the servers' user may not be able to enter the repository
    "${as_owner[@]}" "$bindir/initdb" -D "$place/run/data" -U postgres -E UTF8 --locale=C.UTF-8 -A trust --no-sync \
        >"$place/initdb.log" 2>&1 || { cat "$place/initdb.log"; exit 1; }
    # The shell makes background processes deaf to INT and QUIT, and they inherit it.
    "${as_owner[@]}" env --default-signal=INT,QUIT \
        "$bindir/postgres" -D "$place/run/data" -c listen_addresses= -c unix_socket_directories="$place/run" \
        -c shared_preload_libraries=muster -c fsync=off "$@" >"$place/postgres.log" 2>&1 &
    server=$!
    cd "$back"
    export PGHOST=$place/run PGUSER=postgres
    for _ in $(seq 600); do
        ! "$bindir/pg_isready" -q || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    cat "$place/postgres.log"
    exit 1
}
