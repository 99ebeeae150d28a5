#!/bin/sh
# Make the database at the first start, and run the server: what the entry point of postgres' image does.
set -eu
if [ "$(id -u)" = 0 ]; then
  mkdir -p /var/run/postgresql
  chown -R postgres "$PGDATA" /var/run/postgresql
  chmod 0700 "$PGDATA"
  exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  password=$(cat "${POSTGRES_PASSWORD_FILE:-/dev/null}")
  echo "${password:-${POSTGRES_PASSWORD:-}}" > /tmp/password
  initdb --username "$POSTGRES_USER" --pwfile /tmp/password --auth-host scram-sha-256 --auth-local trust --encoding UTF8
  rm /tmp/password
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  pg_ctl --wait start --options "-c listen_addresses=''"
  createdb --username "$POSTGRES_USER" "$POSTGRES_DB"
  for file in /docker-entrypoint-initdb.d/*.sql; do
    [ ! -f "$file" ] || psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" "$POSTGRES_DB" --file "$file"
  done
  pg_ctl --wait --mode fast stop
fi
exec "$@" -c listen_addresses='*'
