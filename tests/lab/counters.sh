#!/bin/bash
# BE-03, TST-03: counters are read to the packet, by the API, by sluicectl and by bpftool alike.
. "$(dirname "$0")/scenario.sh"

lab up --no-servers --backends 1
start_daemon <<TXT
{
  "services": [{ "name": "empty", "address": "$VIP4", "port": 80, "protocol": "udp", "pool": "empty" },
               { "name": "empty6", "address": "$VIP6", "port": 80, "protocol": "udp", "pool": "empty" }],
  "pools": [{ "name": "empty" }],
  "xdp": { "interfaces": [{ "name": "eth0" }] }
}
TXT
count() { jq --arg reason "$1" '[.interfaces[].verdicts[] | select(.reason == $reason) | .packets] | add // 0' <<<"$2"; }
# Sends that many datagrams to a port; nobody answers.
send() { traffic udp --to "$1" --count "$2" --timeout-ms 100 --concurrency 100 --rate 1000 --first-port 10000 >/dev/null; }

before=$(get stats)
for vip in "$VIP4" "[$VIP6]"; do
  send "$vip:4000" 500
  send "$vip:80" 250
done
sleep 2 # two read intervals
after=$(get stats)
is '1,000 passed packets are 1,000 in the counter' "$(($(count no-service "$after") - $(count no-service "$before")))" 1000
is '500 dropped packets are 500 in the counter' "$(($(count no-backend "$after") - $(count no-backend "$before")))" 500
is 'each service counts its own drops' "$(jq -c '[.services[].dropped]' <<<"$after")" '[250,250]'
is 'the totals are the sum of the verdicts' "$(jq .totals.packets <<<"$after")" "$(jq '[.interfaces[].verdicts[].packets] | add' <<<"$after")"
is 'the total of drops too' "$(jq .totals.drops <<<"$after")" 500
is 'sluicectl shows the same' "$(ctl stats --json | jq '[.interfaces[].verdicts[] | select(.reason == "no-backend") | .packets] | add')" 500
# The dump takes a moment, in which the kernel may speak to a neighbour: what counts is one without a packet meanwhile.
for _ in 1 2 3 4 5; do
  total=$(get stats | jq .totals.packets)
  raw=$(lb bpftool -j map dump pinned "$(map_path xdp_stats_map)" | jq '[.[].formatted.value.verdict[][][].packets] | add')
  [ "$(get stats | jq .totals.packets)" != "$total" ] || break
done
is 'and so does the sum over all CPUs of the kernel map' "$raw" "$total"
