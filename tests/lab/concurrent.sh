#!/bin/bash
# SAFE-08: six clients change the same pools at once, through the API and with sluicectl, while datagrams run. Every request gets
# an answer, every change is in the history once, what runs in the end is what is configured, every datagram reached a backend
# that there was, and all counters agree.
. "$(dirname "$0")/scenario.sh"

lab up
# What the balancer sends to MAC addresses that are nobody's; and what backends get, by address: numbers that owe nothing to Sluice.
macs=$(for node in be1 be2 be3 be4; do lab exec "$node" ip -j link show eth0 | jq -r '.[0].address'; done | paste -sd,)
lab exec router nft -f - <<TXT
table netdev watch { counter strange {}; counter known {}
  chain out { type filter hook ingress device lb priority 0;
    udp dport 53 ether daddr { $macs } counter name known accept
    udp dport 53 counter name strange
  }
}
TXT
watched() { lab exec router nft -j list counter netdev watch "$1" | jq '.nftables[] | .counter // empty | .packets'; }
got() { local sum=0 node; for node in be1 be2 be3 be4; do sum=$((sum + $(counter "$node" udp4_53))); done; echo "$sum"; }

start_daemon <<TXT
{
  "services": [{ "name": "dns", "address": "$VIP4", "port": 53, "protocol": "udp", "pool": "l2" },
               { "name": "nat", "address": "$VIP4", "port": 80, "pool": "nat" },
               { "name": "l2", "address": "$VIP4", "port": 81, "pool": "l2" }],
  "pools": [{ "name": "nat", "backends": [{ "ip": "10.0.1.11" }] },
            { "name": "l2", "forwarding": "dsr-l2", "backends": [{ "ip": "10.0.1.11" }] }],
  "xdp": { "interfaces": [{ "name": "eth0" }] }
}
TXT

# One client: its own answers' file, since they all ask at once. Prints the status of each request.
ask() { # METHOD PATH BODY
  curl -sS -m 30 --unix-socket "$DIR/run/$PREFIX.sock" -X "$1" -H 'Content-Type: application/json' ${3:+--data-binary "$3"} \
    "${@:4}" -o "$DIR/answer.$BASHPID" -w '%{http_code}\n' "http://sluice/api/v1/$2"
}
# Each goes on as long as the datagrams run, and then ends what it has begun.
running() { kill -0 "$stream" 2>/dev/null; }
comes_and_goes() { # POOL BACKEND: the only one who adds and removes it
  local i
  for ((i = 0; i == 0 || $(running && echo 1 || echo 0); i++)); do
    ask POST "pools/$1/backends" "{\"ip\": \"$2\"}"
    ask PATCH "pools/$1/backends/$2" "{\"weight\": $((i % 5 + 2))}"
    ask DELETE "pools/$1/backends/$2" ''
  done
}
quarrels() { # POOL BACKEND: two of them add and remove the same one
  while running; do
    ask POST "pools/$1/backends" "{\"ip\": \"$2\"}"
    ask DELETE "pools/$1/backends/$2" ''
  done
}
weighs() { # POOL, with sluicectl
  local i code
  for ((i = 1; i == 1 || $(running && echo 1 || echo 0); i++)); do
    ctl backend set 10.0.1.11 --pool "$1" --weight $((i % 9 + 1)) >/dev/null 2>&1 && code=0 || code=$?
    echo "exit $code"
    echo $((i % 9 + 1)) >"$DIR/weight"
  done
}
replaces() { # reads the whole document and puts it back changed, as who saw that generation
  local i generation read=$DIR/read.$BASHPID
  for ((i = 0; i == 0 || $(running && echo 1 || echo 0); i++)); do
    curl -sS -m 30 --unix-socket "$DIR/run/$PREFIX.sock" -o "$read" http://sluice/api/v1/config
    generation=$(jq .generation "$read")
    ask PUT config "$(jq -c --argjson i "$i" '.config | .telemetry.intervalMs = 500 + $i' "$read")" -H "If-Match: \"$generation\""
  done
}

generation=$(get config | jq .generation)
before_service=$(get stats | jq '.services[] | select(.name == "dns") | .packets')
before_got=$(got)
traffic stream --to "$VIP4:53" --count 30000 --rate 2500 --flows 200 --first-port 20000 >"$DIR/stream" &
stream=$!
comes_and_goes l2 10.0.1.12 >"$DIR/said.1" 2>&1 &
comes_and_goes nat 10.0.1.12 >"$DIR/said.2" 2>&1 &
quarrels l2 10.0.1.13 >"$DIR/said.3" 2>&1 &
quarrels l2 10.0.1.13 >"$DIR/said.4" 2>&1 &
weighs l2 >"$DIR/said.5" 2>&1 &
replaces >"$DIR/said.6" 2>&1 &
clients=$(jobs -p | tail -n 6)
# shellcheck disable=SC2086 # six numbers
wait $clients
wait $stream

echo "# answers: $(sort "$DIR"/said.* | uniq -c | tr -s ' \n' ' ')"
is 'every request was answered, and none with a failure' "$(cat "$DIR"/said.* | grep -vcE '^(200|201|404|409|412|exit 0)$')" 0
for one in 1 2; do
  times=$(grep -c '^201$' "$DIR/said.$one")
  is "who was alone with a backend met no conflict ($times times)" "$(sort "$DIR/said.$one" | uniq -c | tr -s ' \n' ' ')" " $((2 * times)) 200 $times 201 "
done
is 'nor did sluicectl' "$(sort -u "$DIR/said.5")" 'exit 0'
ok 'there were many of each' test "$(cat "$DIR"/said.* | grep -c '^201$')" -gt 20
added=$(cat "$DIR/said.3" "$DIR/said.4" | grep -c '^201$') removed=$(cat "$DIR/said.3" "$DIR/said.4" | grep -c '^200$')
is 'who quarrelled removed what was added, each once' "$added" "$removed"
made=$(cat "$DIR"/said.* | grep -cE '^(200|201|exit 0)$')
is 'every change that was accepted made one generation' "$(($(get config | jq .generation) - generation))" "$made"

# --- what is left is what there was in the beginning, but for weight and interval
config=$(get config)
holds 'the configuration is consistent' "$config" '[.config.pools[] | {name, backends: [.backends[].ip]}] | sort_by(.name) ==
  [{name: "l2", backends: ["10.0.1.11"]}, {name: "nat", backends: ["10.0.1.11"]}]'
holds 'with the last weight' "$config" '[.config.pools[] | select(.name == "l2") | .backends[0].weight] == [$weight]' --argjson weight "$(cat "$DIR/weight")"
answer=$(api PUT 'config?dryRun=true' "$(jq -c .config <<<"$config")" -H 'If-Match: *')
holds 'what runs is exactly that: there is nothing to plan' "$answer" '.plan.steps == []'
is 'backend_pool has two entries' "$(pool_map | jq length)" 2
holds 'and no slot belongs to anybody else' "$(get pools/l2)" '.tableSize == ([.backends[].slots] | add)'

# --- and every datagram was delivered to somebody who there was
sent=$(jq .sent "$DIR/stream")
arrived() { [ $(($(got) - before_got)) = "$sent" ]; }
ok "all $sent datagrams arrived at backends" until_true 10 arrived
is 'none went to anybody else' "$(watched strange)" 0
is 'the router saw the same number' "$(watched known)" "$sent"
agree() { [ $(($(get stats | jq '.services[] | select(.name == "dns") | .packets') - before_service)) = "$sent" ]; }
ok 'the service counted the same number' until_true 5 agree
holds 'nothing was dropped' "$(verdicts)" '[to_entries[] | select(.key | test("^(drop|aborted)")) | .value] | add // 0 == 0'
for port in 80 81; do
  holds "port $port serves" "$(traffic tcp --to "$VIP4:$port" --count 200 --first-port 40000)" '.answered == 200 and (.byServer | keys) == ["be1"]'
done
