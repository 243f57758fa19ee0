#!/bin/bash
# CFG-04, CFG-05, CFG-06, CFG-14: pools that remember all their flows choose by turns, by load and within limits, in every way of
# forwarding; a flow stays with its backend; a rebalance at once leaves nobody where the table does not lead.
. "$(dirname "$0")/scenario.sh"

lab up --backends 3
all='[{"ip": "10.0.1.11"}, {"ip": "10.0.1.12"}, {"ip": "10.0.1.13"}]'
start_daemon < <(config_all)

# change POOL SETTINGS: what the document says of a pool, the rest stays.
change() {
  api POST config "$(get config | jq -c --arg pool "$1" --argjson settings "$2" \
    '{pools: [.config.pools[] | if .name == $pool then . + $settings else . end]}')" \
    -H "If-Match: \"$(get config | jq .generation)\"" >"$DIR/change"
  is "$1: ${3:-$2} is accepted" "$(status)" 200
}
active() { get "pools/$1" | jq -c '[.backends[].activeConnections]'; }
sockets() { lab exec "$1" ss -Htn state established "( sport = :$2 )" | wc -l; }
counted() { verdicts | jq --arg name "$1" '.[$name] // 0'; }

next=10000
for one in "80 nat" "81 l2" "82 ipip"; do
  read -r port pool <<<"$one"
  change "$pool" "{\"backends\": $all, \"algorithm\": \"roundRobin\"}" 'round robin over three backends'
  result=$(traffic tcp --to "$VIP4:$port" --count 300 --first-port $next)
  holds "$pool: of 300 new flows each of three backends gets 100" "$result" '.answered == 300 and ([.byServer[]] == [100, 100, 100])'
  change "$pool" "$(jq -c '{backends: [.[0] + {weight: 3}, .[1], .[2]]}' <<<"$all")" 'a weight of 3'
  result=$(traffic tcp --to "$VIP4:$port" --count 300 --first-port $((next + 1000)))
  holds "$pool: with weights of 3, 1 and 1 they get 180, 60 and 60" "$result" '.answered == 300 and .byServer == {be1: 180, be2: 60, be3: 60}'
  next=$((next + 2000))
done
# Connections that are held on one backend; then two more come.
for one in "80 nat" "81 l2"; do
  read -r port pool <<<"$one"
  change "$pool" '{"backends": [{"ip": "10.0.1.11"}], "algorithm": "leastConnections"}' 'one backend'
  traffic hold --to "$VIP4:$port" --count 60 --first-port $next --interval-ms 1000 --length-s 14 >"$DIR/first.held" &
  first=$!
  sleep 3
  is "$pool: the balancer counts the connections that the backend has" "$(active "$pool")" "[$(sockets be1 "$port")]"
  change "$pool" "{\"backends\": $all}" 'two backends more'
  traffic hold --to "$VIP4:$port" --count 60 --first-port $((next + 1000)) --interval-ms 1000 --length-s 6 >"$DIR/more.held" &
  more=$!
  sleep 3
  is "$pool: and goes on counting" "$(active "$pool")" "[$(sockets be1 "$port"),$(sockets be2 "$port"),$(sockets be3 "$port")]"
  wait $more
  holds "$pool: 60 new connections go past the one that has 60 already" "$(cat "$DIR/more.held")" \
    '.unopened == 0 and .broken == 0 and .byServer == {be2: 30, be3: 30}'
  wait $first
  holds "$pool: whose own stay" "$(cat "$DIR/first.held")" '.broken == 0 and .byServer == {be1: 60}'
  next=$((next + 2000))
done

# Nobody gets more than he may have.
change l2 "$(jq -c '{algorithm: "maglev", backends: map(. + {maxConnections: 20})}' <<<"$all")" 'a limit of 20 connections each'
sleep 1
refused=$(counted 'drop connection-limit')
result=$(traffic hold --to "$VIP4:81" --count 100 --first-port $next --interval-ms 1000 --connect-ms 50 --length-s 8)
holds 'of 100 connections 60 are let in, 20 to each backend' "$result" '.byServer == {be1: 20, be2: 20, be3: 20} and .unopened == 40 and .broken == 0'
ok 'the counter says how many SYNs were turned away' test "$(counted 'drop connection-limit')" -ge $((refused + 40))
next=$((next + 1000))

# A table that changes and does not ask.
change l2 "{\"algorithm\": \"maglev\", \"connectionTracking\": \"exceptions\", \"backends\": $(jq -c '.[0:2] | map(. + {maxConnections: null})' <<<"$all")}" 'Maglev and exceptions'
api POST config '{"maglev": {"rebalanceStrategy": "immediate"}}' -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
is 'an immediate rebalance is accepted' "$(status)" 200
traffic hold --to "$VIP4:81" --count 300 --first-port $next --interval-ms 500 --length-s 9 >"$DIR/moved.held" &
held=$!
sleep 4
change l2 "{\"backends\": $all}" 'a third backend'
wait $held || true
holds 'a third of the connections belongs to the new backend now and breaks at once' "$(cat "$DIR/moved.held")" '.broken > 60 and .broken < 150'
ok 'and the plan said so' grep -q 'forget the flows of pool l2' "$DIR/change"

# Last, for UDP flows count until they have been silent for a minute.
change nat "$(jq -c '{algorithm: "roundRobin", backends: [.[0] + {weight: 3}, .[1], .[2]]}' <<<"$all")" 'round robin again'
result=$(traffic udp --to "$VIP4:53" --count 300 --first-port 9000)
holds 'UDP takes turns as well' "$result" '.answered == 300 and .byServer == {be1: 180, be2: 60, be3: 60}'
