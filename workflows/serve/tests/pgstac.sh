#!/bin/sh
# Polls a real STAC API: stac-fastapi.pgstac over a PostgreSQL of its own, which it starts and ends.
#   workflows/serve/tests/pgstac.sh [ITEMS]
# Wants PostgreSQL with PostGIS (Debian: postgresql-15-postgis-3) and python3 with venv; says so where they are not there.
set -eu
cd "$(dirname "$0")/../../.."

say() { printf '%s\n' "pgstac: $*" >&2; }
not_run() { say "*** NOT RUN: $* ***"; exit 3; }

programs=
for initdb in $(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -rV) "$(command -v initdb || true)"; do
    folder=$(dirname "$initdb")
    if [ -x "$folder/createdb" ] && [ -f "$("$folder/pg_config" --sharedir)/extension/postgis.control" ]; then
        programs=$folder
        break
    fi
done
[ -n "$programs" ] ||
    not_run "no PostgreSQL with PostGIS: apt-get install --no-install-recommends postgresql-15-postgis-3"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/skysense/pgstac
python=$cache/bin/python
if ! "$python" -c 'import stac_fastapi.pgstac, pypgstac, psycopg' 2>/dev/null; then
    say "installing stac-fastapi.pgstac and pypgstac into $cache"
    { python3 -m venv "$cache" && "$cache/bin/pip" install -q 'stac-fastapi.pgstac[server]' 'pypgstac[psycopg]' >&2; } ||
        not_run "stac-fastapi.pgstac cannot be installed"
fi

home=$(mktemp -d)
# PostgreSQL does not run as root.
as=
if [ "$(id -u)" = 0 ]; then
    as="setpriv --reuid=postgres --regid=postgres --clear-groups"
    chown postgres "$home"
fi
server=
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    $as "$programs/pg_ctl" -D "$home/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$home"
}
trap end EXIT
trap 'exit 1' INT TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
PGHOST=127.0.0.1 PGPORT=$(free_port) PGUSER=stac PGPASSWORD=stac PGDATABASE=stac
export PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE

cd "$home"
$as "$programs/initdb" -D "$home/data" -U stac -A trust >"$home/initdb.log" 2>&1 || { cat "$home/initdb.log" >&2; exit 1; }
$as "$programs/pg_ctl" -D "$home/data" -w -l "$home/data/log" \
    -o "-p $PGPORT -h 127.0.0.1 -k $home/data -c fsync=off" start >/dev/null || { cat "$home/data/log" >&2; exit 1; }
"$programs/createdb" stac
"$cache/bin/pypgstac" migrate >/dev/null
cd - >/dev/null

port=$(free_port)
ENABLE_TRANSACTIONS_EXTENSIONS=TRUE "$python" -m uvicorn --host 127.0.0.1 --port "$port" --factory stac_fastapi.pgstac.app:create_app \
    >"$home/api.log" 2>&1 &
server=$!
waited=0
until python3 -c "import urllib.request as r; r.urlopen('http://127.0.0.1:$port/', timeout=2)" 2>/dev/null; do
    waited=$((waited + 1))
    if [ "$waited" -gt 60 ] || ! kill -0 "$server" 2>/dev/null; then
        cat "$home/api.log" >&2
        say "the STAC API does not start"
        exit 1
    fi
    sleep 1
done
say "stac-fastapi.pgstac answers at http://127.0.0.1:$port"

cargo build --workspace --example skysense_test_plugin
SKYSENSE_TEST_PGSTAC=127.0.0.1:$port SKYSENSE_TEST_ITEMS=${1:-60} \
    cargo test --workspace --test serve -- pgstac --nocapture
