#!/bin/bash
# A change of a pool with direct return breaks no connection: 1,000 in each of dsr-l2 and dsr-ipip, some of them silent meanwhile,
# while SYNs of nobody arrive. When it is over nothing is remembered.
. "$(dirname "$0")/scenario.sh"

lab up --backends 3
start_daemon < <(config_all | sed 's/"xdp": {/"xdp": { "transitionSeconds": 20, "transitionHoldSeconds": 20,/')

change() { # POOL BACKEND BODY
  api PATCH "pools/$1/backends/$2" "$3" >/dev/null
  is "$1: $3 for $2 is accepted" "$(status)" 200
}

for one in "81 l2 10000" "82 ipip 20000"; do
  read -r port pool first <<<"$one"
  traffic hold --to "$VIP4:$port" --count 1000 --first-port "$first" --interval-ms 2000 --silent 100 --silence-ms 10000 \
    --length-s 70 >"$DIR/$pool.held" &
done
held=$(jobs -p | tail -n 2)
sleep 10
for pool in l2 ipip; do # two changes within one window: a backend more, another one with more weight
  api POST "pools/$pool/backends" '{"ip": "10.0.1.13"}' >/dev/null
  is "$pool: another backend is accepted" "$(status)" 201
  change "$pool" 10.0.1.12 '{"weight": 3}'
done
# SYNs of addresses that nobody has: they are answered into the void.
lab exec client "$(lab_tool traffic)" tcp --to "$VIP4:81" --count 2000 --first-port 40000 --timeout-ms 200 --concurrency 200 >/dev/null 2>&1 || true
sleep 8
for pool in l2 ipip; do
  change "$pool" 10.0.1.11 '{"drain": true}'
done
new=$(traffic tcp --to "$VIP4:81" --count 300 --first-port 45000)
holds 'a draining backend gets no new connection' "$new" '.answered == 300 and (.byServer | length) == 2'
# shellcheck disable=SC2086 # two numbers
wait $held
for pool in l2 ipip; do
  holds "$pool: none of 1,000 connections broke, nor moved" "$(cat "$DIR/$pool.held")" '.unopened == 0 and .broken == 0'
  holds "$pool: the draining backend kept its connections" "$(cat "$DIR/$pool.held")" '[.byServer[]] | length == 2 and min > 300'
done
ok 'when the connections have ended the tables settle' until_true 120 grep -q 'all slots of pool l2 are settled' "$DIR/sluiced.log"
ok 'both of them' until_true 60 grep -q 'all slots of pool ipip are settled' "$DIR/sluiced.log"

# --- a dead backend's connections are not waited for
traffic hold --to "$VIP4:81" --count 200 --first-port 50000 --interval-ms 500 --length-s 12 >"$DIR/dead.held" &
held=$!
sleep 5
change l2 10.0.1.13 '{"enabled": false}'
wait "$held" || true
holds 'a backend that is switched off loses its connections at once, and only its own' "$(cat "$DIR/dead.held")" \
  '.broken > 20 and .broken < 150'
