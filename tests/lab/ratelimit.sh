#!/bin/bash
# CFG-15 to CFG-19: the limit of all services holds over two CPUs at once, the burst is exact after a pause, a backend's limit
# holds back only that backend, and packets that pass beyond a limit have their mark. What went through is counted by nftables
# in the backends, and compared with the time that the sender took.
. "$(dirname "$0")/scenario.sh"

mark=0x51ce
lab up --arms two --no-servers --backends 2
# The spare is a second client, on the backends' side: it must not hold the VIPs itself.
lab exec be4 ip addr del "$VIP4/32" dev lo
lab exec be4 ip route add "$VIP4/32" via 10.0.1.2
for node in be1 be2; do
  lab exec "$node" nft -f - <<'TXT'
table inet taken { counter every {}
  chain early { type filter hook prerouting priority raw; meta l4proto udp th dport { 53, 54 } counter name every drop
  }
}
TXT
done
lb nft -f - <<TXT
table inet excess { counter marked {}; counter unmarked {}
  chain early { type filter hook prerouting priority raw; meta mark $mark counter name marked drop
    meta l4proto udp th dport { 53, 54 } counter name unmarked drop
  }
}
TXT
count() { lab exec "$1" nft -j list counter inet "$2" "$3" | jq '.nftables[] | .counter // empty | .packets'; }
taken() { count "$1" taken every; }
all_taken() { echo $(($(taken be1) + $(taken be2))); }
# counted VERDICT REASON: packets over both interfaces.
counted() {
  get stats | jq --arg verdict "$1" --arg reason "$2" \
    '[.interfaces[].verdicts[] | select(.verdict == $verdict and .reason == $reason) | .packets] | add // 0'
}
configure() {
  api POST config "$1" -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
  [ "$(status)" = 200 ] || die "the configuration is refused: $(cat "$DIR/answer")"
}
stream() { lab exec "$1" "$(lab_tool traffic)" stream --to "$VIP4:$2" "${@:3}"; }
# between SENTENCE ACTUAL LEAST MOST
between() { ok "$1: $2 of $3 to $4" awk -v x="$2" -v a="$3" -v b="$4" 'BEGIN { exit !(a <= x && x <= b) }'; }
calc() { awk "BEGIN { printf \"%.0f\", $1 }"; }

start_daemon <<TXT
{
  "services": [{ "name": "dns", "address": "$VIP4", "port": 53, "protocol": "udp", "pool": "l2" },
               { "name": "other", "address": "$VIP4", "port": 54, "protocol": "udp", "pool": "l2" }],
  "pools": [{ "name": "l2", "forwarding": "dsr-l2", "backends": [{ "ip": "10.0.1.11" }, { "ip": "10.0.1.12" }] }],
  "xdp": { "interfaces": [{ "name": "eth0" }, { "name": "eth1" }] },
  "rateLimit": { "packetsPerSecond": 5000, "burst": 500 }
}
TXT

# Two clients, on two interfaces, two CPUs and two services, twice the limit together.
cpu=$(($(nproc) > 1 ? 1 : 0))
before=$(all_taken) limited=$(counted drop rate-limited)
start=$EPOCHREALTIME
stream be4 54 --rate 5000 --count 30000 --cpu $cpu --flows 20 >"$DIR/inside" &
other=$!
outside=$(stream client 53 --rate 5000 --count 30000 --cpu 0 --flows 20)
wait "$other"
end=$EPOCHREALTIME
through=$(($(all_taken) - before))
sleep 2 # two read intervals
limited=$(($(counted drop rate-limited) - limited))
took=$(jq -s 'map(.seconds) | max' <<<"$outside $(cat "$DIR/inside")")
is 'both clients sent all' "$(jq -s -c 'map(.sent)' <<<"$outside $(cat "$DIR/inside")")" '[30000,30000]'
is 'every datagram went through or was counted as limited' "$((through + limited))" 60000
# No more than the bucket and what came in since: not by a single datagram.
between 'twice the limit over two CPUs: no more than burst and rate' "$through" 1 "$(calc "500 + 5000 * ($end - $start) + 1")"
between 'and within 10 % of the limit' "$through" "$(calc "0.9 * 5000 * $took")" "$(calc "1.1 * 5000 * $took")"
cpus=$(lb bpftool -j map dump pinned "$(map_path xdp_stats_map)" |
  jq '[.[].formatted.value.verdict | [.[][][].packets] | add | select(. > 5000)] | length')
is 'all CPUs took part' "$cpus" "$((cpu + 1))"
holds 'each service counts what was held back of it' "$(get stats)" '[.services[].dropped] | add == $limited and all(. > 5000)' \
  --argjson limited "$limited"

# 100 packets a second refill a burst of 300 in three seconds.
configure '{ "rateLimit": { "packetsPerSecond": 100, "burst": 300 } }'
for round in 1 2; do
  sleep 4
  before=$(all_taken)
  sent=$(stream client 53 --rate 20000 --count 2000)
  through=$(($(all_taken) - before))
  between "after a pause exactly the burst, then the rate ($round)" "$through" 300 \
    "$(calc "int(300 + 100 * $(jq .seconds <<<"$sent") + 1)")"
  sleep 4
  before=$(all_taken)
  seconds=$(stream client 53 --rate 1000 --count 6000 | jq .seconds)
  between "and goes on at the rate ($round)" "$(($(all_taken) - before))" "$(calc "300 + 0.97 * 100 * $seconds")" \
    "$(calc "int(300 + 100 * $seconds + 1)")"
done

# One backend's own limit: the other one goes on as before.
configure '{ "rateLimit": null, "pools": [{ "name": "l2", "forwarding": "dsr-l2", "backends": [
  { "ip": "10.0.1.11", "rateLimit": { "packetsPerSecond": 500, "burst": 50 } }, { "ip": "10.0.1.12" }] }] }'
be1=$(taken be1) be2=$(taken be2) limited=$(counted drop rate-limited)
sent=$(stream client 53 --rate 4000 --count 16000 --flows 200)
seconds=$(jq .seconds <<<"$sent") be1=$(($(taken be1) - be1)) be2=$(($(taken be2) - be2))
sleep 2
limited=$(($(counted drop rate-limited) - limited))
between 'the limited backend gets its limit' "$be1" "$(calc "0.9 * 500 * $seconds")" "$(calc "1.1 * 500 * $seconds + 50")"
between 'the other one all of its share' "$be2" 4000 12000
is 'nothing else is missing' "$((be1 + be2 + limited))" 16000
holds 'the backend counts what was held back of it, and only that one does' "$(get stats)" \
  '[.backends[].dropped] | sort == [0, $limited]' --argjson limited "$limited"

# Beyond the limit to the kernel, with a mark.
configure "{ \"rateLimit\": { \"packetsPerSecond\": 1000, \"burst\": 100, \"action\": \"pass\", \"mark\": $((mark)) },
  \"pools\": [{ \"name\": \"l2\", \"forwarding\": \"dsr-l2\", \"backends\": [{ \"ip\": \"10.0.1.11\" }, { \"ip\": \"10.0.1.12\" }] }] }"
before=$(all_taken) marked=$(count lb excess marked)
stream be4 54 --rate 3000 --count 6000 --cpu $cpu --flows 20 >"$DIR/inside" &
other=$!
stream client 53 --rate 3000 --count 6000 --cpu 0 --flows 20 >"$DIR/outside"
wait "$other"
sleep 2
through=$(($(all_taken) - before)) marked=$(($(count lb excess marked) - marked))
ok 'there was an excess' test "$marked" -gt 3000
is 'nftables counted the mark on every packet of the excess' "$marked" "$((12000 - through))"
is 'and so did XDP' "$(counted pass rate-limited)" "$marked"
is 'no packet came to the kernel without it' "$(count lb excess unmarked)" 0
stop_daemon KILL
marked=$(count lb excess marked)
stream client 53 --rate 4000 --count 4000 >/dev/null
ok 'marks are written without a daemon' test "$(count lb excess marked)" -gt "$((marked + 1000))"
run_daemon
configure '{ "rateLimit": { "action": "drop", "mark": null } }'
is "the kernel's side is gone with the action" "$(lb tc filter show dev eth0 ingress)$(lb tc qdisc show dev eth0 | grep clsact || true)" ''
