#!/bin/bash
# LB-09, TST-07, GOAL-01: two-armed, two interfaces that balance at once, replies through the balancer with the client's
# address preserved; detaching one interface leaves the other alone.
. "$(dirname "$0")/scenario.sh"

lab up --arms two --backends 2
# The spare is a second client, on the backends' side: it must not hold the VIPs itself.
lab exec be4 ip addr del "$VIP4/32" dev lo
lab exec be4 ip route add "$VIP4/32" via 10.0.1.2
inside() { lab exec be4 "$(lab_tool traffic)" "$@" || true; }

start_daemon < <(config_all '{ "name": "eth0" }, { "name": "eth1" }')
first=$(program_id eth0) second=$(program_id eth1)
ok 'both interfaces have a program of their own' test -n "$first" -a -n "$second" -a "$first" != "$second"

for vip in "$VIP4" "[$VIP6]"; do
  for port in 80 82; do
    holds "two-armed, $vip port $port: all are answered" \
      "$(traffic tcp --to "$vip:$port" --count 200 --first-port 12000)" '.answered == 200 and (.byServer | length) == 2'
  done
  holds "two-armed, $vip UDP: all are answered" \
    "$(traffic udp --to "$vip:53" --count 200 --first-port 12000)" '.answered == 200 and (.byServer | length) == 2'
done
holds 'nat goes in by eth0 and its replies by eth1' "$(get stats)" '
  [.interfaces[] | {key: .interface, value: [.verdicts[] | .verdict + " " + .reason]}] | from_entries
  | (.eth0 | index("redirect nat") != null) and (.eth1 | index("redirect nat-reply") != null)'

inside tcp --to "$VIP4:81" --count 300 --first-port 20000 --rate 300 >"$DIR/inside" &
other=$!
holds 'clients on both sides at once: eth0' "$(traffic tcp --to "$VIP4:82" --count 300 --first-port 20000 --rate 300)" '.answered == 300'
wait "$other"
holds 'clients on both sides at once: eth1' "$(cat "$DIR/inside")" '.answered == 300'

api POST interfaces/eth1/detach '' >/dev/null
is 'eth1 is detached' "$(status) $(program_id eth1)" '200 '
is 'eth0 keeps its program' "$(program_id eth0)" "$first"
holds 'eth0 goes on balancing' "$(traffic tcp --to "$VIP4:82" --count 200 --first-port 13000)" '.answered == 200'
holds 'eth1 balances no more' "$(inside tcp --to "$VIP4:81" --count 3 --timeout-ms 300)" '.answered == 0'
api POST interfaces/eth1/attach '{"mode": "DRV"}' >/dev/null
holds 'eth1 balances again once it is attached' "$(inside tcp --to "$VIP4:81" --count 200 --first-port 14000)" '.answered == 200'

# The backends' way back leads through the balancer from here on: nat may keep the client's address.
for node in be1 be2; do
  lab exec "$node" ip route replace default via 10.0.1.2 mtu 1500
  lab exec "$node" ip route replace default via fd00:1::2 mtu 1500
done
edit='[.config.pools[] | if (.name | startswith("nat")) then .preserveClientAddress = true else . end]'
api POST config "{\"pools\": $(get config | jq -c "$edit")}" -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
is 'the client is to be preserved' "$(status)" 200
for one in "$VIP4 10.0.2.10" "[$VIP6] fd00:2::10"; do
  result=$(traffic tcp --to "${one% *}:80" --count 200 --first-port 15000)
  holds "preserved client, ${one% *}: all are answered" "$result" '.answered == 200 and (.byServer | length) == 2'
  is "preserved client, ${one% *}: backends see the client" "$(jq -r '.bySource | keys[]' <<<"$result")" "${one#* }"
  is "preserved client, ${one% *}: with its port" "$(jq .samePort <<<"$result")" 200
  holds "preserved client, ${one% *}: UDP" "$(traffic udp --to "${one% *}:53" --count 100 --first-port 15000)" '.answered == 100'
done
is 'the balancer holds no socket' "$(lb ss -Hatun | wc -l)" 0
