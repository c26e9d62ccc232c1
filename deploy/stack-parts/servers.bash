# The four servers: their configuration, how each is started, checked and ended. Sourced by deploy/stack.
# shellcheck shell=bash disable=SC2154,SC2034

bindir= # of the private PostgreSQL

gentle_signal() {
    case $1 in
        postgres) printf INT ;; # fast shutdown: open transactions are rolled back
        *) printf TERM ;;
    esac
}
rough_signal() {
    case $1 in
        postgres) printf QUIT ;; # its children end with it
        *) printf KILL ;;
    esac
}

# make_prefix makes the private PostgreSQL, with the extension that is built now.
make_prefix() {
    bindir=$("$repository/deploy/prefix" "$dir/prefix")
}

# configure writes what every server reads.
configure() {
    local file
    for file in postgresql.conf pg_hba.conf pgbouncer.ini redis.conf; do
        fill "$file"
    done
    put conf/pg_ident.conf </dev/null
    [ "$proxy_program" != none ] || return 0
    put conf/proxy.toml <"$repository/deploy/proxy.toml"
    if ! as_owner test -x "$proxy_program"; then
        # The owner cannot reach it, so that it needs a copy.
        cmp -s "$proxy_program" "$dir/muster-proxy" || install -m 755 "$proxy_program" "$dir/muster-proxy.new"
        [ ! -e "$dir/muster-proxy.new" ] || mv "$dir/muster-proxy.new" "$dir/muster-proxy"
        proxy_program=$dir/muster-proxy
    fi
}

# made_of NAME prints what a server's behaviour depends on; when it changes, start restarts the server.
made_of() {
    local program files
    case $1 in
        postgres)
            program=$bindir/postgres
            files=("$dir/conf/postgresql.conf" "$dir/conf/pg_hba.conf" "$repository/muster.so")
            ;;
        pgbouncer)
            program=$(pgbouncer_program)
            files=("$dir/conf/pgbouncer.ini")
            ;;
        redis)
            program=$(command -v redis-server)
            files=("$dir/conf/redis.conf")
            ;;
        proxy)
            program=$proxy_program
            files=("$dir/conf/proxy.toml")
            # Without one asked for, one that runs is left alone.
            [ "$program" != none ] || { cat "$dir/run/proxy.made-of"; return; }
            proxy_command | cksum
            ;;
    esac
    stat -Lc '%n %s %Y' "$program"
    cksum "${files[@]}"
}

# services NAME prints the services, and so the ports, that a server answers for.
services() {
    case $1 in
        proxy) [ "$proxy_program" = none ] || printf 'http\nadmin\nwire\n' ;;
        *) printf '%s\n' "$1" ;;
    esac
}

accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# check_ports refuses ports that make no sense or that somebody else has, before anything is started.
check_ports() {
    local name service number
    declare -A users
    for name in redis postgres pgbouncer proxy; do
        for service in $(services "$name"); do
            number=$(port "$service")
            # shellcheck disable=SC2015
            [[ $number =~ ^[0-9]{1,5}$ ]] && [ "$number" -ge 1 ] && [ "$number" -le 65535 ] ||
                die "$(port_variable "$service") must be a port from 1 to 65535, not \"$number\""
            [ -z "${users[$number]:-}" ] ||
                die "$(port_variable "${users[$number]}") and $(port_variable "$service") are both $number"
            users[$number]=$service
            if ! is_running "$name" && accepts "$number"; then
                die "port $number is taken by another program; set $(port_variable "$service") to a free one"
            fi
        done
    done
}

start_redis() {
    is_running redis && return
    say "starting Redis on port $(port redis)"
    spawn redis "$(command -v redis-server)" "$dir/conf/redis.conf"
    await redis 60 redis_answers
}
redis_answers() {
    [ "$(REDISCLI_AUTH=$(secret redis) redis-cli -h 127.0.0.1 -p "$(port redis)" --user muster ping)" = PONG ]
}

start_postgres() {
    is_running postgres && return
    make_cluster
    say "starting PostgreSQL on port $(port postgres)"
    local attempt memory
    # Whether POSIX shared memory works here is what initdb has found out: some containers lack it.
    memory=$(sed -n 's/^dynamic_shared_memory_type = \([a-z]*\).*/\1/p' "$dir/data/postgresql.conf")
    for attempt in 1 2 3 4 5; do
        spawn postgres "$bindir/postgres" -c "config_file=$dir/conf/postgresql.conf" \
            -c "dynamic_shared_memory_type=${memory:-posix}"
        sleep 0.1
        # After a crash the old server's children may still be letting go of its memory.
        is_running postgres || ! new_log postgres | grep -q 'pre-existing shared memory' || continue
        break
    done
    await postgres 120 "$bindir/pg_isready" -q -h "$dir/run" -p "$(port postgres)" -U postgres
}

pgbouncer_program() { PATH=$PATH:/usr/sbin command -v pgbouncer; }

start_pgbouncer() {
    if ! is_running pgbouncer; then
        say "starting pgbouncer on port $(port pgbouncer)"
        spawn pgbouncer "$(pgbouncer_program)" "$dir/conf/pgbouncer.ini"
    fi
    # One that ran all along may not have found a restarted PostgreSQL yet.
    await pgbouncer 30 pgbouncer_answers
}
pgbouncer_answers() {
    PGPASSFILE=$dir/secrets/pgpass as_owner "$bindir/psql" -XAtq -w -c 'SELECT 1' \
        "host=127.0.0.1 port=$(port pgbouncer) user=muster_app dbname=muster connect_timeout=5"
}

# proxy_command prints the proxy's command line, one argument a line.
proxy_command() {
    local login="host=$dir/run dbname=muster passfile=$dir/secrets/pgpass"
    printf '%s\n' "$proxy_program" --config "$dir/conf/proxy.toml" \
        --set "http.listen=127.0.0.1:$(port http)" \
        --set "admin.listen=127.0.0.1:$(port admin)" \
        --set "wire.listen=127.0.0.1:$(port wire)" \
        --set "wire.upstream=$dir/run:$(port pgbouncer)" \
        --set "database.conninfo=$login port=$(port pgbouncer) user=muster_app" \
        --set "pgbouncer.conninfo=host=$dir/run port=$(port pgbouncer) dbname=pgbouncer user=muster_stats passfile=$dir/secrets/pgpass" \
        --set "relay.conninfo=$login port=$(port postgres) user=muster_relay_login" \
        --set "redis.address=127.0.0.1:$(port redis)" \
        --set redis.username=muster \
        --set "redis.password_file=$dir/secrets/redis"
}

start_proxy() {
    [ "$proxy_program" != none ] || return 0
    is_running proxy && return
    say "starting the proxy: HTTP on port $(port http), admin on $(port admin), PostgreSQL's protocol on $(port wire)"
    local command
    mapfile -t command < <(proxy_command)
    spawn proxy "${command[@]}"
    await proxy 30 proxy_answers
}
proxy_answers() {
    local service
    for service in http admin wire; do
        accepts "$(port "$service")" || return 1
    done
    curl -fsS --max-time 5 "http://127.0.0.1:$(port http)/health/live"
}

# write_env writes down where everything is and how to get in.
write_env() {
    local tcp=127.0.0.1 app postgres
    app=muster_app:$(secret muster_app)
    postgres=postgres:$(secret postgres)
    put env <<EOT
MUSTER_STACK_DIR=$dir
MUSTER_BINDIR=$bindir
MUSTER_HTTP_URL=http://$tcp:$(port http)
MUSTER_ADMIN_URL=http://$tcp:$(port admin)
MUSTER_API_KEY=$(cat "$dir/secrets/api_key" 2>/dev/null || true)
MUSTER_WIRE_DSN=postgresql://$app@$tcp:$(port wire)/muster
MUSTER_PGBOUNCER_DSN=postgresql://$app@$tcp:$(port pgbouncer)/muster
MUSTER_POSTGRES_DSN=postgresql://$postgres@$tcp:$(port postgres)/muster
MUSTER_RELAY_DSN=postgresql://muster_relay_login:$(secret muster_relay_login)@$tcp:$(port postgres)/muster
MUSTER_REDIS_HOST=$tcp
MUSTER_REDIS_PORT=$(port redis)
MUSTER_REDIS_USERNAME=muster
MUSTER_REDIS_PASSWORD=$(secret redis)
MUSTER_REDIS_ADMIN_USERNAME=admin
MUSTER_REDIS_ADMIN_PASSWORD=$(secret redis_admin)
EOT
}
