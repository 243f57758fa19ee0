#!/bin/bash
# PROG-13, PROG-14, OPS-03, OPS-04, TST-29: ten reloads, an upgrade, a rollback, a crash and an upgrade to another layout of maps
# under a flood of numbered packets. Every number must arrive, once; open connections and counters live on.
. "$(dirname "$0")/scenario.sh"

# The flood's way: client src0 -> lb in0 -> lb out0 -> be1 dst0, native XDP all along. Half of it is dsr-ipip, half nat.
renice -n -15 -p $$ >/dev/null # the flood and the verifier need both cores of a small machine, whatever else it does
lab up --backends 2
ip link add in0 netns "$PREFIX-lb" type veth peer name src0 netns "$PREFIX-client"
ip link add out0 netns "$PREFIX-lb" type veth peer name dst0 netns "$PREFIX-be1"
quiet() { # NODE LINK [ADDRESS]
  lab exec "$1" ip link set "$2" addrgenmode none
  [ -z "${3:-}" ] || lab exec "$1" ip addr add "$3" dev "$2"
  lab exec "$1" ip link set "$2" mtu 1600 up
}
quiet client src0
quiet lb in0
quiet lb out0 10.9.0.1/24
quiet be1 dst0 10.9.0.11/24
mkdir "$DIR/programs"
cp "$SLUICE_BUILD/tests/bpf/versions/"xdp_lb-*.o "$DIR/programs"
start() { run_daemon --programs "$DIR/programs" "$@"; }
services='{ "name": "flood-ipip", "address": "10.0.0.100", "port": 9000, "protocol": "udp", "pool": "flood-ipip" },
  { "name": "flood-nat", "address": "10.0.0.100", "port": 9001, "protocol": "udp", "pool": "flood-nat" },'
pools='{ "name": "flood-ipip", "forwarding": "dsr-ipip", "backends": [{ "ip": "10.9.0.11" }] },
  { "name": "flood-nat", "backends": [{ "ip": "10.9.0.11" }] },'
config=$(config_all '{ "name": "eth0" }, { "name": "in0" }')
config=${config/'"services": ['/'"services": ['"$services"}
printf '%s' "${config/'"pools": ['/'"pools": ['"$pools"}" >"$DIR/config.jsonc"
start --config "$DIR/config.jsonc"
mac=$(lb ip -j link show in0 | jq -r '.[0].address')
flood() { # SECONDS AT MOST; in the background: the process becomes the tool, and a signal reaches it
  exec "$(lab_tool flood)" --from "$PREFIX-client:src0" --to "$PREFIX-be1:dst0" --target "$VIP4:9000" --mac "$mac" --seconds "$1"
}
stop_flood() {
  kill -TERM "$flooder" 2>/dev/null || true
  wait "$flooder" || true
}
# What the services of the flood have counted.
counted() { get stats | jq '[.services[] | select(.name | startswith("flood")) | .packets] | add'; }
programs() { get programs | jq -c "[.interfaces[] | {interface, tag: .program.tag, version: .program.version, before: .previous.version}]"; }
tags() { programs | jq -c '[.[].tag] | unique'; }
# complete NAME REPORT: every number that was sent has arrived, once.
complete() {
  echo "# $1: $(jq -r '"\(.sent) packets in \(.seconds | . * 10 | round / 10) s, \(.perSecond) a second, window full \(.windowFull) times; \(.missing) missing, \(.twice) twice"' "$2")"
  holds "$1: every number arrives, and none twice" "$(jq -n 'input? // {}' "$2")" '.sent > 100000 and .missing == 0 and .twice == 0 and .strange == 0'
}

# --- what the way takes when nothing is done to it
(flood 2) >"$DIR/undisturbed"
complete 'undisturbed' "$DIR/undisturbed"
rate=$(jq .perSecond "$DIR/undisturbed")

# --- reloads, upgrade, rollback, crash under a flood
for one in "80 nat 10000" "81 l2 20000"; do
  read -r port name first <<<"$one"
  traffic hold --to "$VIP4:$port" --count 50 --first-port "$first" --interval-ms 500 --length-s 30 >"$DIR/$name.held" &
done
held=$(jobs -p | tail -n 2)
before=$(counted)
flood 85 >"$DIR/changes" &
flooder=$!
sleep 1
first=$(tags) last=$before
grows() { # SENTENCE
  local now
  now=$(counted)
  ok "$1: the counters go on from where they were" test "$now" -gt "$last"
  last=$now
}
for one in 1 2 3 4 5 6 7 8 9 10; do
  which=in0 # the flood's; the connections' interface too at the first and the last
  case $one in 1 | 10) which= ;; esac
  ok "reload $one${which:+ of $which}" ctl program reload $which
  get programs | jq '.interfaces[] | select(.interface == "in0") | .program.id' >>"$DIR/ids"
done
is 'each put another program there' "$(sort -u "$DIR/ids" | wc -l)" 10
grows 'ten reloads'
is 'the same code is attached' "$(tags)" "$first"
ok 'an upgrade to another version' ctl program reload --version next --reason 'new packet path'
ok 'its tag is the attached one' test "$(tags)" != "$first"
holds 'the version is told, and the one before' "$(get programs)" \
  '[.interfaces[] | .program.version == "next" and .outdated and (.previous.version | length > 0)] | length == 2 and all'
grows 'upgrade'
ok 'a rollback' ctl program rollback
is 'the tag of the version before is the attached one' "$(tags)" "$first"
grows 'rollback'
ok 'back to the newer version' ctl program rollback
upgraded=$(tags)
stop_daemon KILL
sleep 1
start
is 'killed and started again: the version stays, though it is not the built-in one' "$(tags)" "$upgraded"
ok 'and the log says so' grep -q 'program reload eth0' "$DIR/sluiced.log"
grows 'killed and started again'
ok 'a rollback to what an earlier daemon loaded' ctl program rollback in0
is 'of one interface' "$(programs | jq -c '[.[] | .version == "next"]')" '[true,false]'
api POST programs/in0/reload '{"version": "abi"}' >"$DIR/refused"
is 'a version with another layout of maps is refused' "$(status)" 501
holds 'with the reason and the cure' "$(cat "$DIR/refused")" '.detail | contains("layout 999") and contains("Start that one")'
api POST programs/in0/reload '{"version": "shape"}' >"$DIR/refused"
holds 'and so is one with a map of another shape' "$(cat "$DIR/refused")" '.detail | contains("nat_flows")'
sleep 1
stop_flood
complete 'ten reloads, upgrade, rollbacks, crash' "$DIR/changes"
is 'the services counted every packet of it' "$(($(counted) - before))" "$(jq .sent "$DIR/changes")"

# --- another layout of maps, as an older daemon would leave it
# shellcheck disable=SC2086 # two numbers
wait $held
for name in nat l2; do
  holds "$name: none of 50 connections broke" "$(cat "$DIR/$name.held")" '.unopened == 0 and .broken == 0 and .answers > 500'
done
link=$(lb bpftool -j net show dev in0 | jq '.[0].xdp[0].id')
flood 30 >"$DIR/layout" &
flooder=$!
sleep 1
stop_daemon KILL
lb sh -c "mv /sys/fs/bpf/sluice/$PREFIX/v* /sys/fs/bpf/sluice/$PREFIX/v1"
start
holds 'the interfaces of another layout are taken over' "$(get status)" '.drift == "" and ([.interfaces[].attached] | all)'
ok 'the program is another one' test "$(lb bpftool -j net show dev in0 | jq '.[0].xdp[0].id')" != "$link"
ok 'the log says what is not carried over' grep -q 'flows of nat.* are not carried over' "$DIR/sluiced.log"
ok 'the old layout is gone' lb sh -c "! test -e /sys/fs/bpf/sluice/$PREFIX/v1"
sleep 1
stop_flood
complete 'taken over from another layout' "$DIR/layout"
holds 'new connections are balanced' "$(traffic tcp --to "$VIP4:80" --count 100 --first-port 30000)" '.answered == 100'
echo "# offered: $rate packets a second undisturbed; the window of 192 packets under way keeps veth's queues from overflowing"
