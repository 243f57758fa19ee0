#!/bin/bash
# SAFE-07: a bound that the daemon guarantees does not hold, for a service's table is made to begin beyond the arena past it.
# The packets that meet it are aborted and counted; all others go on, the kernel complains of nothing, one change mends it.
. "$(dirname "$0")/scenario.sh"

lab up --backends 2
start_daemon < <(config_all)
maps=$(dirname "$(map_path backend_pool)")
spoil() { lb "$(lab_tool tables)" spoil "$maps" "$1"; }
complaints() { dmesg | grep -ciE 'xdp|bpf|warning:|oops|bug:|general protection|kasan|lockup' || true; }
aborted() { verdicts | jq '[to_entries[] | select(.key | startswith("aborted")) | .value] | add // 0'; }
received() { lb ethtool -S eth0 | awk '/rx_queue_[0-9]+_xdp_packets:/ { sum += $2 } END { print sum }'; }
counted_all() { [ "$(received)" = "$(verdict_sum)" ]; }

complained=$(complaints) program=$(program_id eth0)
for port in 80 81 82; do
  holds "before: port $port answers" "$(traffic tcp --to "$VIP4:$port" --count 100 --first-port 10000)" '.answered == 100'
done
is 'before: nothing was aborted' "$(aborted)" 0
for one in "80 nat" "82 ipip"; do
  traffic hold --to "$VIP4:${one% *}" --count 100 --first-port 20000 --interval-ms 200 --length-s 12 >"$DIR/${one#* }.held" &
done
held=$(jobs -p | tail -n 2)
standing() { [ "$(for node in be1 be2; do lab exec "$node" ss -Htn state established '( sport = :80 or sport = :82 )'; done | wc -l)" -ge 200 ]; }
ok '200 connections stand on the other services' until_true 10 standing

ok 'the table of port 81 begins beyond the arena' spoil "$VIP4:81"
spoilt=$(traffic tcp --to "$VIP4:81" --count 200 --first-port 12000 --timeout-ms 300)
holds 'nothing comes through port 81 any more' "$spoilt" '.answered == 0'
ok 'each of its packets was aborted and counted' test "$(aborted)" -ge 200
holds 'with the reason that says so' "$(verdicts)" '.["aborted table-bound"] >= 200'
holds 'and its service counts them as dropped' "$(get stats)" '.services[] | select(.name == "l2") | .dropped >= 200'
for port in 80 82; do
  holds "meanwhile: port $port answers" "$(traffic tcp --to "$VIP4:$port" --count 300 --first-port 14000)" '.answered == 300'
done
ok 'the same happens to the nat service of port 80' spoil "$VIP4:80"
before=$(aborted)
holds 'no new flow is opened there' "$(traffic tcp --to "$VIP4:80" --count 100 --first-port 16000 --timeout-ms 300)" '.answered == 0'
ok 'its SYNs were aborted and counted' test "$(aborted)" -ge $((before + 100))
ok 'every frame that XDP received has exactly one verdict, aborted ones too' until_true 20 counted_all
is 'the program stays attached' "$(program_id eth0)" "$program"
ok 'the daemon answers' answers
# shellcheck disable=SC2086 # two numbers
wait $held
for name in nat ipip; do
  holds "no connection of $name that stood before broke" "$(cat "$DIR/$name.held")" '.unopened == 0 and .broken == 0 and .answers > 2000'
done

# Every change of services, addresses or pools builds a front anew and puts it in the spoilt one's place.
ok 'a change of another service is accepted' ctl service set ipip --answer-echo
for port in 80 81 82; do
  holds "after it: port $port answers" "$(traffic tcp --to "$VIP4:$port" --count 100 --first-port 18000)" '.answered == 100'
done
before=$(aborted)
traffic tcp --to "$VIP4:81" --count 100 --first-port 22000 >/dev/null
is 'and nothing is aborted any more' "$(aborted)" "$before"
is 'the kernel has no complaint' "$(complaints)" "$complained"
