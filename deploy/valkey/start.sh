#!/bin/sh
# start.sh server|sentinel: starts a Valkey server, or a Sentinel, with what docs/operate.md asks for.
#
#   VALKEY_PASSWORD   of all servers and Sentinels; must be set
#   VALKEY_MAXMEMORY  bytes of data, as in "1gb"; past it publications are refused
#   VALKEY_FSYNC      always (each write is on the disk before it is acknowledged), or everysec
#   VALKEY_NAME       this server's name for the others; with Sentinels only
#   VALKEY_PRIMARY    host:port of the primary when the set is first started; empty on the primary itself
#   VALKEY_PORT       6379, or 26379 for a Sentinel
#   VALKEY_DATA       /data
#
# Who is primary is written to $VALKEY_DATA by Valkey itself, so a server that comes back after a
# failover comes back as what it was last. Everything else is said anew at each start.
set -eu
: "${VALKEY_PASSWORD:?is not set}"
case $VALKEY_PASSWORD in
*[!A-Za-z0-9._~-]*) echo "start.sh: VALKEY_PASSWORD may have letters, digits and . _ ~ - (it stands in addresses)." >&2; exit 1 ;;
esac
data=${VALKEY_DATA:-/data}
primary=${VALKEY_PRIMARY:-}
umask 077

case ${1:-} in
server)
    conf=$data/valkey.conf
    if [ ! -e "$conf" ]; then
        echo "dir $data" >"$conf"
        [ -z "$primary" ] || echo "replicaof ${primary%:*} ${primary##*:}" >>"$conf"
    fi
    # Read from standard input, since anybody on a machine may read a program's arguments.
    exec valkey-server "$conf" - <<EOF
port ${VALKEY_PORT:-6379}
requirepass $VALKEY_PASSWORD
primaryauth $VALKEY_PASSWORD
appendonly yes
appendfsync ${VALKEY_FSYNC:-always}
maxmemory ${VALKEY_MAXMEMORY:?is not set}
maxmemory-policy noeviction
${VALKEY_NAME:+replica-announce-ip $VALKEY_NAME}
EOF
    ;;
sentinel)
    : "${primary:?VALKEY_PRIMARY is not set}"
    conf=$data/sentinel.conf
    if [ ! -e "$conf" ]; then
        {
            echo "dir $data"
            echo "port ${VALKEY_PORT:-26379}"
            echo "sentinel resolve-hostnames yes"
            echo "sentinel announce-hostnames yes"
            [ -z "${VALKEY_NAME:-}" ] || echo "sentinel announce-ip $VALKEY_NAME"
            echo "sentinel monitor shards ${primary%:*} ${primary##*:} 2"
            echo "sentinel down-after-milliseconds shards ${VALKEY_DOWN_AFTER:-5000}"
            echo "sentinel failover-timeout shards 30000"
            echo "sentinel parallel-syncs shards 1"
            echo "sentinel auth-pass shards $VALKEY_PASSWORD"
            echo "sentinel sentinel-pass $VALKEY_PASSWORD"
            echo "requirepass $VALKEY_PASSWORD"
        } >"$conf"
    fi
    exec valkey-server "$conf" --sentinel
    ;;
*)
    echo "start.sh: server or sentinel?" >&2
    exit 2
    ;;
esac
