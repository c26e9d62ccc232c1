# Where the stack lives and as whom it runs: settings, the directory and its owner, secrets, templates.
# Sourced by deploy/stack.
# shellcheck shell=bash disable=SC2154,SC2034

asked_dir=${MUSTER_STACK_DIR:-$repository/.stack}
case $asked_dir in /*) ;; *) asked_dir=$PWD/$asked_dir ;; esac
proxy_program=${MUSTER_PROXY:-$repository/build/release/muster-proxy}
case $proxy_program in /* | none) ;; *) proxy_program=$PWD/$proxy_program ;; esac
demo=${MUSTER_DEMO:-0}

# port SERVICE prints the port of http, admin, wire, pgbouncer, postgres or redis.
port() {
    case $1 in
        http) printf %s "${MUSTER_HTTP_PORT:-8002}" ;;
        admin) printf %s "${MUSTER_ADMIN_PORT:-8003}" ;;
        wire) printf %s "${MUSTER_WIRE_PORT:-6433}" ;;
        pgbouncer) printf %s "${MUSTER_PGBOUNCER_PORT:-6432}" ;;
        postgres) printf %s "${MUSTER_POSTGRES_PORT:-6431}" ;;
        redis) printf %s "${MUSTER_REDIS_PORT:-6430}" ;;
    esac
}
port_variable() { printf 'MUSTER_%s_PORT' "${1^^}"; }

# The caller's own PostgreSQL settings (PGHOST, PGOPTIONS …) must not reach into the stack.
for variable in "${!PG@}"; do
    case $variable in PG_CONFIG) ;; *) unset "$variable" ;; esac
done
export LC_ALL=C.UTF-8 TZ=UTC

dir=   # the stack's real directory
owner= # the user whom its files and servers belong to

# as_owner runs a command as the stack's owner.
as_owner() {
    if [ "$(id -un)" = "$owner" ]; then
        "$@"
    else
        setpriv --reuid="$owner" --regid="$(id -g "$owner")" --init-groups "$@"
    fi
}

# choose_owner sets the owner: the user whose directory it is, else the caller, but never root, as whom
# PostgreSQL refuses to run.
choose_owner() {
    owner=$(id -un)
    if [ -d "$asked_dir" ]; then
        local present
        present=$(stat -Lc %U "$asked_dir")
        if [ "$(id -u)" -ne 0 ] && [ "$present" != "$owner" ]; then
            die "$asked_dir belongs to user $present: run this as that user or as root"
        fi
        owner=$present
    fi
    [ "$owner" != root ] || owner=postgres
    getent passwd "$owner" >/dev/null ||
        die "there is no user $owner to run the servers as; deploy/packages run installs PostgreSQL, which makes it"
}

# open_existing_place sets dir and owner of a stack that was made before; fails when there is none.
open_existing_place() {
    choose_owner
    [ -f "$asked_dir/made-by-muster" ] || return 1
    dir=$(cd "$asked_dir" && pwd -P)
    cd "$dir" || exit
}

# open_place makes the directory if need be. A directory that the owner cannot reach, or whose path is
# too long for a socket or would need quoting in four configuration languages, is made under /var/tmp
# instead, with a link in its place.
open_place() {
    if open_existing_place; then return; fi
    if [ -L "$asked_dir" ] && [ ! -e "$asked_dir" ]; then
        rm "$asked_dir" # the place it pointed to is gone
    fi
    if [ -e "$asked_dir" ] && ! rmdir "$asked_dir" 2>/dev/null; then
        die "$asked_dir is there and is not a stack's directory; set MUSTER_STACK_DIR to another"
    fi
    local parent
    (umask 022 && mkdir -p "$(dirname "$asked_dir")")
    parent=$(cd "$(dirname "$asked_dir")" && pwd -P)
    dir=$parent/$(basename "$asked_dir")
    if [ ${#dir} -le 80 ] && [[ $dir =~ ^[A-Za-z0-9/._+-]+$ ]] && as_owner test -x "$parent"; then
        mkdir -m 700 "$dir"
    else
        dir=$(mktemp -d /var/tmp/muster-stack.XXXXXXXX)
        ln -s "$dir" "$asked_dir"
        say "the stack's files are in $dir: user $owner could not use $asked_dir"
    fi
    [ "$(id -u)" -ne 0 ] || chown "$owner:$(id -g "$owner")" "$dir"
    cd "$dir" || exit
    as_owner mkdir -m 700 -p run log conf secrets redis
    put made-by-muster <<<"deploy/stack clean removes this directory"
}

# remove_place removes the directory, and the link to it.
remove_place() {
    cd /
    rm -rf "$dir"
    [ ! -L "$asked_dir" ] || rm "$asked_dir"
}

# exclusively lets one call at a time change the stack.
exclusively() {
    as_owner touch "$dir/lock"
    exec {lock}<"$dir/lock"
    flock -w 120 "$lock" || die "another deploy/stack works in $dir since two minutes"
}

# put FILE writes its input to a file of the stack, all of it or nothing, for the owner's eyes only.
put() {
    # The inner shell expands its own argument.
    # shellcheck disable=SC2016
    as_owner sh -c 'umask 077; cat >"$1.new" && mv "$1.new" "$1"' sh "$dir/$1"
}

secret() { cat "$dir/secrets/$1"; }

# make_secrets makes each password once.
make_secrets() {
    local name
    for name in postgres muster_app muster_relay_login pgbouncer_auth muster_stats redis redis_admin; do
        if [ ! -s "$dir/secrets/$name" ]; then
            od -An -v -tx1 -N16 /dev/urandom | tr -d ' \n' | put "secrets/$name"
        fi
    done
    put secrets/pgbouncer_users <<EOT
"pgbouncer_auth" "$(secret pgbouncer_auth)"
"muster_stats" "$(secret muster_stats)"
EOT
    # libpq takes the first line that fits; the proxy's connection strings name this file.
    put secrets/pgpass <<EOT
*:*:*:postgres:$(secret postgres)
*:*:*:muster_app:$(secret muster_app)
*:*:*:muster_relay_login:$(secret muster_relay_login)
*:*:pgbouncer:muster_stats:$(secret muster_stats)
EOT
}

sha256() { printf %s "$1" | sha256sum | cut -d ' ' -f 1; }

# fill FILE writes conf/FILE from its template in deploy/.
fill() {
    local text
    text=$(cat "$repository/deploy/$1")
    text=${text//@DIR@/$dir}
    text=${text//@POSTGRES_PORT@/$(port postgres)}
    text=${text//@PGBOUNCER_PORT@/$(port pgbouncer)}
    text=${text//@REDIS_PORT@/$(port redis)}
    text=${text//@REDIS_HASH@/$(sha256 "$(secret redis)")}
    text=${text//@REDIS_ADMIN_HASH@/$(sha256 "$(secret redis_admin)")}
    put "conf/$1" <<<"$text"
}
