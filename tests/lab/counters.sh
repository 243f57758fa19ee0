#!/bin/bash
# BE-03, TST-03: counters are read to the packet, by the API, by sluicectl and by bpftool alike. MET-06: the time that packets
# take in the program is what the kernel says too.
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

# What the program says of its time, beside what the kernel says of all runs while it measures. Its figures hold the kernel's
# own reading of the clock as well, ours do not.
api POST config '{"services": [{"name": "timed", "address": "'"$VIP4"'", "port": 53, "protocol": "udp", "pool": "timed"}],
  "pools": [{"name": "timed", "forwarding": "dsr-l2", "backends": [{"ip": "10.0.1.11"}]}]}' \
  -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
is 'a service whose packets go to a backend is there' "$(status)" 200
measuring=$(sysctl -n kernel.bpf_stats_enabled)
undo="sysctl -qw kernel.bpf_stats_enabled=$measuring"
runs() { lb bpftool -j prog show id "$(program_id eth0)" | jq -c '[.run_time_ns // 0, .run_cnt // 0]'; }
timed() { get stats | jq -c '.interfaces[] | select(.interface == "eth0") | .timing | [.nanoseconds, .samples]'; }
sysctl -qw kernel.bpf_stats_enabled=1
runs_before=$(runs) timed_before=$(timed)
traffic stream --to "$VIP4:53" --rate 20000 --count 120000 --flows 100 >/dev/null
runs_after=$(runs) timed_after=$(timed)
$undo && undo=:
figures=$(jq -nc --argjson k0 "$runs_before" --argjson k1 "$runs_after" --argjson t0 "$timed_before" --argjson t1 "$timed_after" \
  '{runs: ($k1[1] - $k0[1]), kernel: (($k1[0] - $k0[0]) / ($k1[1] - $k0[1])),
    samples: ($t1[1] - $t0[1]), mean: (($t1[0] - $t0[0]) / ($t1[1] - $t0[1]))}')
echo "# time in the program, ns a packet: $figures"
holds 'about one packet in 1,024 is timed' "$figures" '.samples >= .runs / 1024 * 0.9 - 2 and .samples <= .runs / 1024 + 10'
holds 'the mean of the samples is of the order of what the kernel measures' "$figures" '.mean < .kernel * 4 and .mean > .kernel / 4'
holds 'the buckets hold every sample' "$(get stats)" \
  '.interfaces[] | select(.interface == "eth0") | .timing | .samples == ([.buckets[].samples] | add) and .p50.fromNs <= .p99.fromNs'
shown() { ctl stats | grep -E "$1"; }
ok 'sluicectl shows it' shown '^eth0 +[0-9]+ +[0-9.]+ (ns|us)'
