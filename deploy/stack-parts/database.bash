# What is in PostgreSQL: the cluster, the database with its roles, the API key, the demo data.
# Sourced by deploy/stack.
# shellcheck shell=bash disable=SC2154,SC2034

# sql FILE runs a script as superuser, over the private socket. Its input comes before the script: a
# password belongs neither into a command line nor into a file.
run_sql() {
    cat - "$repository/deploy/$1" | as_owner "$bindir/psql" -XAtq -v ON_ERROR_STOP=1 -f - \
        "host=$dir/run port=$(port postgres) user=postgres dbname=${2:-muster}"
}

query() {
    as_owner "$bindir/psql" -XAtq -v ON_ERROR_STOP=1 -c "$1" \
        "host=$dir/run port=$(port postgres) user=postgres dbname=${2:-muster}"
}

# make_cluster makes the data directory, whole or not at all.
make_cluster() {
    local version
    version=$("$bindir/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    if [ -d "$dir/data" ]; then
        [ "$(cat "$dir/data/PG_VERSION")" = "$version" ] ||
            die "the data in $dir are of PostgreSQL $(cat "$dir/data/PG_VERSION"), this is $version; make clean-stack starts anew"
        return
    fi
    say "making a PostgreSQL $version cluster in $dir/data"
    rm -rf "$dir/data.new"
    if ! as_owner "$bindir/initdb" -D "$dir/data.new" -U postgres -E UTF8 --locale=C.UTF-8 -A trust \
        >"$dir/log/initdb.log" 2>&1; then
        tail -n 12 "$dir/log/initdb.log" >&2
        die "initdb failed; its log is $dir/log/initdb.log"
    fi
    mv "$dir/data.new" "$dir/data"
}

# set_up_database makes the database, roles and extension where they are missing.
set_up_database() {
    local sum
    if [ -z "$(query "SELECT 1 FROM pg_database WHERE datname = 'muster'" postgres)" ]; then
        query 'CREATE DATABASE muster' postgres
    fi
    run_sql bootstrap.sql <<EOT || die "could not set up the database \"muster\""
\set postgres_password '$(secret postgres)'
\set app_password '$(secret muster_app)'
\set relay_password '$(secret muster_relay_login)'
\set pgbouncer_password '$(secret pgbouncer_auth)'
EOT
    sum=$(cksum <"$repository/extension/muster--1.0.sql")
    if [ ! -f "$dir/extension-sum" ]; then
        put extension-sum <<<"$sum"
    elif [ "$(cat "$dir/extension-sum")" != "$sum" ]; then
        say "note: the extension's SQL has changed since this database was made; make clean-stack starts anew"
    fi
}

# make_api_key makes the stack's key, once: its text is stored nowhere else.
make_api_key() {
    [ ! -s "$dir/secrets/api_key" ] || return 0
    query "SELECT muster.create_api_key('stack', tier => 'premium')" | put secrets/api_key
}

# load_demo loads the demo data into a stack that holds no data yet.
load_demo() {
    [ "$demo" = 1 ] && [ ! -f "$dir/demo-loaded" ] || return 0
    if [ "$(query 'SELECT EXISTS (SELECT FROM public.agents) OR EXISTS (SELECT FROM public.tools)
                       OR EXISTS (SELECT FROM public.tool_executions) OR EXISTS (SELECT FROM public.events)')" = f ]; then
        say "loading the demo data: 1,000 agents"
        run_sql demo.sql </dev/null
    fi
    put demo-loaded </dev/null
}
