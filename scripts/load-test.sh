#!/usr/bin/env bash
# load-test.sh [SECONDS]: all three loads of `scumble load`, each that long (default 10), the one with
# clients against a fresh cluster of two processes. Leaves nothing behind. Exits 1 if anything was lost, repeated or out of order.
# SCUMBLE_BIN names a binary that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-10}
case $seconds in
  '' | *[!0-9]*) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
esac
if [ -z "${SCUMBLE_BIN:-}" ]; then
  cargo build --release --locked --quiet
  SCUMBLE_BIN=${CARGO_TARGET_DIR:-target}/release/scumble
fi

work=$(mktemp -d)
cluster=
finish() {
  status=$?
  trap - EXIT
  if [ -n "$cluster" ]; then
    kill "$cluster" 2>/dev/null || true
    wait "$cluster" || { echo "the cluster did not end well:" >&2; tail -n 20 "$work/cluster.log" >&2; status=1; }
  fi
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

failed=0
run() {
  echo "== scumble load $*"
  # Half a minute above its own bounds, a load hangs.
  timeout --kill-after=5 $((seconds + 60)) "$SCUMBLE_BIN" load "$@" || failed=1
  echo
}

run queue --threads 10 --messages-per-sec 100 --duration "$seconds" --db "$work/queue.db"
run polling --canvases 50 --poll-interval 50 --duration "$seconds" --db "$work/polling.db"

"$SCUMBLE_BIN" cluster --instances 2 --listen 127.0.0.1:0 --db "$work/cluster.db" >"$work/cluster.log" 2>&1 &
cluster=$!
urls=
for _ in $(seq 100); do
  urls=$(grep -o 'http://127\.0\.0\.1:[0-9]*' "$work/cluster.log" | sort -u || true)
  [ "$(wc -w <<<"$urls")" = 2 ] && break
  kill -0 "$cluster" 2>/dev/null || break
  sleep 0.1
done
if [ "$(wc -w <<<"$urls")" != 2 ]; then
  echo "the cluster did not start:" >&2
  cat "$work/cluster.log" >&2
  exit 1
fi
spread=()
for url in $urls; do spread+=(--url "$url"); done

run clients "${spread[@]}" --canvases 10 --clients-per-canvas 10 --cursor-rate 30 --object-rate 0.2 --duration "$seconds"
run clients "${spread[@]}" --canvases 10 --clients-per-canvas 10 --cursor-rate 0 --object-rate 0 --message-rate 10 --duration "$seconds"
exit "$failed"
