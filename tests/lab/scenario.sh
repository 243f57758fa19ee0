# What the scenarios share: a lab and a daemon of their own, the API, real traffic, and checks that say what a user
# would lose. Sourced first; the scenario's own lab is removed whatever happens.
# shellcheck shell=bash
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=lab/lib/common.sh
. "$root/lab/lib/common.sh"
require_kernel

PREFIX=t$(basename "$0" .sh | tr -cd a-z | cut -c1-9)
DIR=$LAB_RUN/$PREFIX
VIP4=10.0.0.100 VIP6=fd00:100::100
failures=0
undo=: # what must be taken back on the machine itself, however the scenario ends

lab() { "$root/lab/lab" "$1" --prefix "$PREFIX" "${@:2}"; }
lb() { lab exec lb "$@"; }
traffic() { lab exec client "$(lab_tool traffic)" "$@" || true; }
ctl() { lb "$(sluicectl_path)" --socket "$DIR/run/$PREFIX.sock" "$@"; }
# api METHOD PATH [BODY [CURL-OPTION …]]: the answer's body; its status is in $DIR/status.
api() {
  local method=$1 path=$2 body=()
  [ -z "${3:-}" ] || body=(-H "Content-Type: ${CONTENT:-application/json}" --data-binary "$3")
  curl -sS -m 30 --unix-socket "$DIR/run/$PREFIX.sock" -X "$method" "${body[@]}" "${@:4}" \
    -o "$DIR/answer" -w '%{http_code}' "http://sluice/api/v1/$path" >"$DIR/status"
  cat "$DIR/answer"
}
get() { api GET "$1"; }
status() { cat "$DIR/status"; }

finish() {
  local code=$?
  trap '' INT TERM HUP
  $undo || code=1
  if [ "$code" != 0 ] || [ "$failures" != 0 ]; then
    echo "--- the end of sluiced's log:"
    tail -n 20 "$DIR/sluiced.log" 2>/dev/null || true
    echo "not ok - $(basename "$0" .sh) ended with code $code and $failures failure(s)"
    code=1
  fi
  lab down || code=1
  exit "$code"
}
trap finish EXIT

# is SENTENCE ACTUAL EXPECTED
is() {
  if [ "$2" = "$3" ]; then echo "ok - $1"; else
    echo "not ok - $1"
    printf '  is:        %s\n  should be: %s\n' "$2" "$3"
    failures=$((failures + 1))
  fi
}
# ok SENTENCE COMMAND …: the command must succeed.
ok() {
  local sentence=$1
  shift
  if "$@" >"$DIR/said" 2>&1; then echo "ok - $sentence"; else
    echo "not ok - $sentence"
    sed 's/^/  /' "$DIR/said" | tail -n 20
    failures=$((failures + 1))
  fi
}
# holds SENTENCE JSON JQ-EXPRESSION [JQ-OPTION …]: the expression must be true of the document.
holds() {
  if jq -e "${@:4}" "$3" <<<"$2" >/dev/null 2>&1; then echo "ok - $1"; else
    echo "not ok - $1"
    printf '  %s\n  does not hold of %s\n' "$3" "$(head -c 1500 <<<"$2")"
    failures=$((failures + 1))
  fi
}
# until_true SECONDS COMMAND …: waits until the command succeeds.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.1
  done
}

# Starts the daemon with the configuration on standard input, or with none if that is empty.
start_daemon() {
  local config
  config=$(cat)
  [ -z "$config" ] || printf '%s' "$config" >"$DIR/config.jsonc"
  run_daemon ${config:+--config "$DIR/config.jsonc"}
}
# A scenario whose daemon is not to have all rights of root names in daemon_as what it is started by.
daemon_as=()
run_daemon() {
  setsid "$root/lab/lab" exec --prefix "$PREFIX" lb "${daemon_as[@]}" "$(sluiced_path)" --instance "$PREFIX" --state-dir "$DIR/state" \
    --run-dir "$DIR/run" "$@" >>"$DIR/sluiced.log" 2>&1 </dev/null &
  daemon=$!
  # The kernel checks the program first, which takes an emulated machine half a minute.
  until_true 180 answers_or_ended
  answers >/dev/null || die "sluiced does not answer: $(tail -n 5 "$DIR/sluiced.log")"
}
answers_or_ended() { answers || ! kill -0 "$daemon"; }
answers() { curl -fsS -m 1 --unix-socket "$DIR/run/$PREFIX.sock" http://sluice/healthz; }
# stop_daemon SIGNAL
stop_daemon() {
  kill "-$1" "$daemon"
  wait "$daemon" 2>/dev/null || true
}

# The program's id on an interface of the balancer; nothing if there is none.
program_id() { lb bpftool -j net show dev "$1" | jq -r '.[0].xdp[0].id // empty'; }
# Packets by "verdict reason" over all attached interfaces, and their sum.
verdicts() { get stats | jq -c '[.interfaces[].verdicts[] | {key: (.verdict + " " + .reason), value: .packets}] | map({(.key): .value}) | add // {}'; }
verdict_sum() { get stats | jq '[.interfaces[].verdicts[].packets] | add // 0'; }
# backend_pool as the kernel has it: entries that are in use, by id.
pool_map() { lb bpftool -j map dump pinned "$(map_path backend_pool)" | jq -c '[.[] | select(.formatted.value.flags != 0) | .formatted]'; }
map_path() { lb sh -c "ls -d /sys/fs/bpf/sluice/$PREFIX/v*/maps/$1"; }

# counter NODE NAME: packets that nftables counted there.
counter() { lab exec "$1" nft -j list counter inet lab "$2" | jq '.nftables[] | .counter // empty | .packets'; }

# A configuration with every way of forwarding; its argument is the content of xdp.interfaces, eth0 unless given.
config_all() {
  cat <<TXT
{
  "services": [
    { "name": "nat", "address": "$VIP4", "port": 80, "pool": "nat" },
    { "name": "dns", "address": "$VIP4", "port": 53, "protocol": "udp", "pool": "nat" },
    { "name": "l2", "address": "$VIP4", "port": 81, "pool": "l2" },
    { "name": "ipip", "address": "$VIP4", "port": 82, "pool": "ipip" },
    { "name": "nat6", "address": "$VIP6", "port": 80, "pool": "nat6" },
    { "name": "dns6", "address": "$VIP6", "port": 53, "protocol": "udp", "pool": "nat6" },
    { "name": "l26", "address": "$VIP6", "port": 81, "pool": "l26" },
    { "name": "ipip6", "address": "$VIP6", "port": 82, "pool": "ipip6" },
  ],
  "pools": [
    { "name": "nat", "backends": [{ "ip": "10.0.1.11" }, { "ip": "10.0.1.12" }] },
    { "name": "nat6", "backends": [{ "ip": "fd00:1::11" }, { "ip": "fd00:1::12" }] },
    { "name": "l2", "forwarding": "dsr-l2", "backends": [{ "ip": "10.0.1.11" }, { "ip": "10.0.1.12" }] },
    { "name": "l26", "forwarding": "dsr-l2", "backends": [{ "ip": "fd00:1::11" }, { "ip": "fd00:1::12" }] },
    { "name": "ipip", "forwarding": "dsr-ipip", "backends": [{ "ip": "10.0.1.11" }, { "ip": "10.0.1.12" }] },
    { "name": "ipip6", "forwarding": "dsr-ipip", "backends": [{ "ip": "fd00:1::11" }, { "ip": "fd00:1::12" }] },
  ],
  "xdp": { "interfaces": [${1:-{ \"name\": \"eth0\"\}}] },
}
TXT
}
