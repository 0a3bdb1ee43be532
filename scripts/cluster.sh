#!/usr/bin/env bash
# Starts `scumble cluster` behind a real nginx, prints the URL, and ends both on Ctrl-C.
#
#   scripts/cluster.sh [--instances N] [--port P] [--base-port B] [--db FILE] [-- FLAGS OF SERVE]
#
# --port is nginx's (default: a free one), --base-port the first process's (default: N free ones in a row),
# --db the relay's file (default: in the temporary folder, gone at the end). SCUMBLE_BIN names the program
# (default: target/release/scumble, then target/debug/scumble, then the PATH). Nothing is installed.
#
# Job control gives each part its own process group: Ctrl-C reaches this script alone, which ends them in order.
set -euo pipefail
set -m

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
instances=3 port='' base='' db=''

die() { echo "cluster.sh: $*" >&2; exit 2; }

while [ $# -gt 0 ]; do
    case $1 in
        --instances | --port | --base-port | --db)
            [ $# -ge 2 ] || die "$1 needs a value"
            case $1 in
                --instances) instances=$2 ;;
                --port) port=$2 ;;
                --base-port) base=$2 ;;
                --db) db=$2 ;;
            esac
            shift 2
            ;;
        --) shift; break ;;
        -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) die "$1: no such option (flags of serve come after --)" ;;
    esac
done
for number in "$instances" ${port:+"$port"} ${base:+"$base"}; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || die "$number: must be a positive number"
done

nginx=$(command -v nginx || ls /usr/sbin/nginx 2>/dev/null || true)
[ -n "$nginx" ] || die "nginx is missing: install it (Debian: apt-get install nginx) and try again"
scumble=${SCUMBLE_BIN:-}
for candidate in "$here/target/release/scumble" "$here/target/debug/scumble" "$(command -v scumble || true)"; do
    if [ -z "$scumble" ] && [ -x "$candidate" ]; then scumble=$candidate; fi
done
[ -x "$scumble" ] || die "scumble is missing: build it (cargo build --release) or name it in SCUMBLE_BIN"

# Whether nobody listens there. Somebody may take it before we do: then the start fails and says so.
is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
are_free() {
    local first=$1 count=$2 p
    for ((p = first; p < first + count; p++)); do is_free "$p" || return 1; done
}
free_run() {
    local count=$1 candidate
    for _ in $(seq 200); do
        candidate=$((RANDOM % 12000 + 18000))
        if are_free "$candidate" "$count"; then echo "$candidate"; return; fi
    done
    die "found no $count free ports in a row; name some with --port and --base-port"
}
# One run for all, so that nginx's port is never one of the processes'.
run=$(free_run $((instances + 1)))
port=${port:-$run}
base=${base:-$((run + 1))}
is_free "$port" || die "--port $port is taken"
are_free "$base" "$instances" || die "--base-port $base: $instances free ports are needed from there on"

folder=$(mktemp -d "${TMPDIR:-/tmp}/scumble-cluster.XXXXXX")
db=${db:-$folder/scumble.db}
pids=()

end() {
    trap - EXIT INT TERM
    # The relay first: its clients are told to come back before nginx goes.
    for pid in "${pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 0' INT TERM

servers=''
for ((p = base; p < base + instances; p++)); do
    servers+="        server 127.0.0.1:$p max_fails=0;\\n"
done
sed -e "s/^\( *listen\) .*/\1 127.0.0.1:$port;/" \
    -e "0,/^ *server 127\.0\.0\.1:/s/^ *server 127\.0\.0\.1:.*/SERVERS/" \
    -e "/^ *server 127\.0\.0\.1:/d" \
    "$here/nginx/scumble.conf" | sed -e "s/^SERVERS$/$servers/" >"$folder/nginx.conf"
"$nginx" -t -q -p "$folder" -c "$folder/nginx.conf" || die "nginx does not accept the configuration"

"$scumble" cluster --instances "$instances" --listen "127.0.0.1:$base" --db "$db" "$@" &
pids+=($!)
"$nginx" -p "$folder" -c "$folder/nginx.conf" -g 'daemon off;' &
pids+=($!)

for ((p = base; p < base + instances; p++)); do
    for attempt in $(seq 100); do
        "$scumble" stats --url "http://127.0.0.1:$p" >/dev/null 2>&1 && break
        kill -0 "${pids[0]}" 2>/dev/null || { echo "cluster.sh: scumble cluster ended" >&2; exit 1; }
        [ "$attempt" -lt 100 ] || { echo "cluster.sh: nothing answers on port $p" >&2; exit 1; }
        sleep 0.1
    done
done
echo "ready: http://127.0.0.1:$port ($instances processes from port $base on, access log $folder/access.log)"

# Until Ctrl-C, or until one of the two ends by itself.
wait -n "${pids[@]}" || true
echo "cluster.sh: a part ended by itself" >&2
exit 1
