#!/bin/bash
# Behaves as the entry point of the official image does: same variables, same hooks, same order.
set -Eeo pipefail

# value VARIABLE DEFAULT: from VARIABLE, or from the file that VARIABLE_FILE names; never both.
value() {
    local file_variable="${1}_FILE"
    if [ -n "${!1:-}" ] && [ -n "${!file_variable:-}" ]; then
        echo "error: both $1 and $file_variable are set (but are exclusive)" >&2
        exit 1
    fi
    if [ -n "${!file_variable:-}" ]; then export "$1"="$(<"${!file_variable}")"; else export "$1"="${!1:-$2}"; fi
    unset "$file_variable"
}

directories() {
    mkdir -p "$PGDATA" /run/postgresql
    chmod 0700 "$PGDATA" || :
    chmod 03775 /run/postgresql || :
    [ "$(id -u)" = 0 ] || return 0
    # Only what is not postgres' own: a chown of everything would copy a whole overlay for nothing.
    find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
    find /run/postgresql \! -user postgres -exec chown postgres '{}' +
}

refuse_without_password() {
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        echo "Error: Database is uninitialized and superuser password is not specified." >&2
        echo "       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser." >&2
        exit 1
    fi
}

initialise() {
    local options=()
    [ -z "$POSTGRES_INITDB_WALDIR" ] || options=(--waldir "$POSTGRES_INITDB_WALDIR")
    # shellcheck disable=SC2086  # POSTGRES_INITDB_ARGS is a list of words
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
        $POSTGRES_INITDB_ARGS "${options[@]}"
    printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"
}

in_database() {
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --no-password --no-psqlrc "$@"
}

create_database() {
    [ "$POSTGRES_DB" != postgres ] || return 0
    in_database --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db" ;'
}

hooks() {
    local hook
    for hook in /docker-entrypoint-initdb.d/*; do
        case $hook in
        *.sh)
            echo "$0: running $hook"
            # shellcheck disable=SC1090  # a hook without the executable bit is sourced, as upstream does
            if [ -x "$hook" ]; then "$hook"; else . "$hook"; fi
            ;;
        *.sql) echo "$0: running $hook" && in_database --dbname "$POSTGRES_DB" -f "$hook" ;;
        *.sql.gz) echo "$0: running $hook" && gunzip -c "$hook" | in_database --dbname "$POSTGRES_DB" ;;
        */\*) ;;
        *) echo "$0: ignoring $hook" ;;
        esac
    done
}

first_boot() {
    refuse_without_password
    initialise
    export PGPASSWORD="$POSTGRES_PASSWORD"
    pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p ${PGPORT:-5432}" -w start
    create_database
    hooks
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGPASSWORD
    echo
    echo 'PostgreSQL init process complete; ready for start up.'
    echo
}

main() {
    if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
    if [ "$1" = postgres ]; then
        directories
        if [ "$(id -u)" = 0 ]; then exec gosu postgres "$0" "$@"; fi
        value POSTGRES_PASSWORD ''
        value POSTGRES_USER postgres
        value POSTGRES_DB "$POSTGRES_USER"
        value POSTGRES_INITDB_ARGS ''
        : "${POSTGRES_HOST_AUTH_METHOD:=}" "${POSTGRES_INITDB_WALDIR:=}"
        # As upstream: a data directory that an interrupted first boot left half-made counts as made.
        if [ -s "$PGDATA/PG_VERSION" ]; then
            echo
            echo 'PostgreSQL Database directory appears to contain a database; Skipping initialization'
            echo
        else
            first_boot
        fi
    fi
    exec "$@"
}

main "$@"
