#!/bin/bash
# LB-08: next hops are the daemon's affair, kept fresh while packets flow; what a packet loses is counted. MET-12: for the
# backend that was out of reach.
. "$(dirname "$0")/scenario.sh"

lab up --backends 2
start_daemon <<TXT
{
  "services": [{ "name": "dns", "address": "$VIP4", "port": 53, "protocol": "udp", "pool": "l2" },
               { "name": "dns6", "address": "$VIP6", "port": 53, "protocol": "udp", "pool": "l26" },
               { "name": "web", "address": "$VIP4", "port": 81, "pool": "l2" },
               { "name": "alone", "address": "$VIP4", "port": 54, "protocol": "udp", "pool": "alone" }],
  "pools": [{ "name": "l2", "forwarding": "dsr-l2", "backends": [{ "ip": "10.0.1.11" }, { "ip": "10.0.1.12" }] },
            { "name": "l26", "forwarding": "dsr-l2", "backends": [{ "ip": "fd00:1::11" }, { "ip": "fd00:1::12" }] },
            { "name": "alone", "forwarding": "dsr-l2", "backends": [{ "ip": "10.0.1.12" }] }],
  "xdp": { "interfaces": [{ "name": "eth0" }] }
}
TXT

is 'backends are resolved before the first packet' "$(get stats | jq '[.backends[].unresolved] | add')" 0
flush() { for _ in 1 2 3 4 5; do lb ip neigh flush all 2>/dev/null || true; sleep 0.4; done; }
for one in "$VIP4 4 dns" "[$VIP6] 6 dns6"; do
  read -r vip family name <<<"$one"
  flush &
  result=$(traffic udp --to "$vip:53" --count 3000 --rate 1000 --first-port 10000 --timeout-ms 4000 --concurrency 500)
  wait $!
  sleep 0.5
  stats=$(get stats | jq --arg name "$name" '.services[] | select(.name == $name)')
  lost=$(jq .failed <<<"$result")
  echo "# IPv$family: five flushes while 3,000 queries ran: $lost lost, $(jq -c '{packets, dropped, unresolved}' <<<"$stats")"
  is "IPv$family: what was lost is what the counter of unresolved packets says" "$(jq .unresolved <<<"$stats")" "$lost"
  is "IPv$family: and nothing else was dropped" "$(jq .dropped <<<"$stats")" "$lost"
  ok "IPv$family: at most the packets of one resolution each" test "$lost" -le 50
  is "IPv$family: every other packet arrived at a backend" \
    "$(($(counter be1 "udp${family}_53") + $(counter be2 "udp${family}_53")))" "$(jq .packets <<<"$stats")"
done

# A server gets a new network card and announces it.
lab exec be1 sysctl -qw net.ipv4.conf.eth0.arp_notify=1
lab exec be1 ip link set eth0 address 02:00:00:00:77:01
sleep 0.5
holds 'a backend with a new MAC address is reached' \
  "$(traffic tcp --to "$VIP4:81" --count 300 --first-port 20000)" '.answered == 300 and (.byServer | length) == 2'

# A server goes without a word: it leaves the table once its neighbour entry fails, and comes back. The kernel asks again
# every 15 to 45 s; here every 1 to 3 s.
lb sysctl -qw net.ipv4.neigh.eth0.base_reachable_time_ms=2000
lab exec be2 ip link set eth0 down
ok 'a silent backend becomes unroutable' until_true 60 sh -c \
  "curl -s --unix-socket $DIR/run/$PREFIX.sock http://sluice/api/v1/pools/l2/backends/10.0.1.12 | jq -e '.state == \"unroutable\" and .slots == 0'"
holds 'its flows go to the other' "$(traffic tcp --to "$VIP4:81" --count 300 --first-port 30000)" \
  '.answered == 300 and (.byServer | keys) == ["be1"]'
# Where it is the only one its packets are lost, and counted for it.
unreachable() { get stats | jq -c '[.errors[] | select(.kind == "unreachable" and .pool == "alone") | [.backend, .packets]]'; }
lose() { traffic udp --to "$VIP4:54" --count "$1" --timeout-ms 100 --concurrency 100 --first-port "$2" >/dev/null; }
is 'no packet was lost to the backend that is alone before' "$(unreachable)" '[]'
lose 20 50000
is 'packets that meet an unreachable backend are counted and name it' "$(unreachable)" '[["alone/10.0.1.12",20]]'
holds 'and are in the backend'"'"'s own counters' "$(get stats)" \
  '[.backends[] | select(.pool == "alone") | [.unresolved, .dropped, .packets]] == [[20, 20, 0]]'
holds 'the status lists who is out of reach, and why' "$(get status)" \
  '[.unroutable[] | select(.id == "alone/10.0.1.12") | .problem | length > 0] == [true]'
shown() { ctl stats | grep -E "$1"; }
ok 'sluicectl shows it' shown '^unreachable +alone/10\.0\.1\.12 +20 '
lab exec be2 ip link set eth0 up
lab exec be2 ip route replace default via 10.0.1.1 mtu 1500
ok 'it comes back by itself' until_true 60 sh -c \
  "curl -s --unix-socket $DIR/run/$PREFIX.sock http://sluice/api/v1/pools/l2/backends/10.0.1.12 | jq -e '.state == \"active\" and .slots > 0'"
holds 'and takes its share' "$(traffic tcp --to "$VIP4:81" --count 300 --first-port 40000)" \
  '.answered == 300 and (.byServer | length) == 2'

# No route is the other reason.
lb ip route add unreachable 10.0.1.12/32
ok 'a backend without a route is out of reach' until_true 60 sh -c \
  "curl -s --unix-socket $DIR/run/$PREFIX.sock http://sluice/api/v1/pools/alone/backends/10.0.1.12 | jq -e '.state == \"unroutable\"'"
lose 7 51000
is 'its packets are added to its counter' "$(unreachable)" '[["alone/10.0.1.12",27]]'
holds 'the status says that it is the route' "$(get status)" \
  '[.unroutable[] | select(.id == "alone/10.0.1.12") | .problem | test("route")] == [true]'
lb ip route del unreachable 10.0.1.12/32
ok 'it comes back with its route' until_true 60 sh -c \
  "curl -s --unix-socket $DIR/run/$PREFIX.sock http://sluice/api/v1/status | jq -e '[.unroutable[] | select(.id == \"alone/10.0.1.12\")] == []'"
