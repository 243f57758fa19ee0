#!/bin/bash
# LB-10: a client keeps its backend over many connections, until it has been silent for the time-out; also where flows take turns,
# which would otherwise send every connection to another backend.
. "$(dirname "$0")/scenario.sh"

lab up --backends 3
all='[{"ip": "10.0.1.11"}, {"ip": "10.0.1.12"}, {"ip": "10.0.1.13"}]'
start_daemon < <(config_all)

change() { # JSON-MERGE
  api POST config "$1" -H "If-Match: \"$(get config | jq .generation)\"" >"$DIR/change"
}
pools() { # SETTINGS: of the pools nat and l2
  change "$(get config | jq -c --argjson settings "$1" \
    '{pools: [.config.pools[] | if .name == "nat" or .name == "l2" then . + $settings else . end]}')"
}
one_of() { holds "$1" "$2" '.answered == .sent and (.byServer | length) == 1'; }
server() { jq -r '.byServer | keys[0]' <<<"$1"; }

change '{"xdp": {"flowTimeouts": {"affinitySeconds": 16}}}'
is 'a time-out of 16 seconds is accepted' "$(status)" 200
pools "{\"backends\": $all, \"algorithm\": \"roundRobin\"}"
for one in "80 nat" "81 l2"; do
  read -r port pool <<<"$one"
  holds "$pool: without affinity, connections of a client are spread" "$(traffic tcp --to "$VIP4:$port" --count 60 --first-port 10000)" \
    '.byServer == {be1: 20, be2: 20, be3: 20}'
done
pools '{"affinity": "source"}'
is 'affinity is accepted' "$(status)" 200
for round in 1 2; do
  for one in "80 nat" "81 l2"; do
    read -r port pool <<<"$one"
    first=$(traffic tcp --to "$VIP4:$port" --count 1 --first-port $((20000 + round * 1000)))
    home=$(server "$first")
    [ "$round" = 1 ] || ok "$pool: after the time-out it took its turn like any other: $home" test "$home" != "${before[$port]}"
    before[port]=$home
    # All in one go, and some half a time-out later: they count as signs of life.
    result=$(traffic tcp --to "$VIP4:$port" --count 150 --first-port $((30000 + round * 1000)) --concurrency 1)
    one_of "$pool: 150 connections of a client go to one backend" "$result"
    is "$pool: to that of its first" "$(server "$result")" "$home"
  done
  sleep 9
  for one in "80 nat" "81 l2"; do
    read -r port pool <<<"$one"
    result=$(traffic tcp --to "$VIP4:$port" --count 10 --first-port $((40000 + round * 1000)))
    is "$pool: nine seconds later the client is still at home" "$(jq -c '.byServer | keys' <<<"$result")" "[\"${before[$port]}\"]"
  done
  [ "$round" = 2 ] || sleep 9
  for one in "80 nat" "81 l2"; do
    read -r port pool <<<"$one"
    [ "$round" = 2 ] || is "$pool: nor does it leave while it speaks every nine seconds" \
      "$(server "$(traffic tcp --to "$VIP4:$port" --count 1 --first-port $((50000 + round * 1000)))")" "${before[$port]}"
  done
  [ "$round" = 2 ] || sleep 18 # of silence
done
