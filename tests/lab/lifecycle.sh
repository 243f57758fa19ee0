#!/bin/bash
# TST-06, and what a user loses if the daemon dies: nothing. Attach and detach leave nothing behind.
. "$(dirname "$0")/scenario.sh"

lab up --backends 2
start_daemon < <(config_all)

# --- the daemon dies while a download runs
program=$(program_id eth0)
traffic tcp --to "$VIP4:80" --count 100 --first-port 10000 >/dev/null
counted=$(get stats | jq '.services[] | select(.name == "nat") | .packets')
for one in "nat 80" "dsr-l2 81"; do
  traffic download --to "$VIP4:${one#* }" --path '/big?rate=2m' >"$DIR/${one% *}.download" &
done
downloads=$(jobs -p | tail -n 2)
sleep 1
stop_daemon KILL
for port in 80 81 82; do
  holds "killed: new connections to port $port are balanced without a daemon" \
    "$(traffic tcp --to "$VIP4:$port" --count 100 --first-port 11000)" '.answered == 100 and (.byServer | length) == 2'
done
run_daemon
ok 'the next daemon adopts what runs' grep -q 'adopted a running data plane' "$DIR/sluiced.log"
is 'the program is the same' "$(program_id eth0)" "$program"
ok 'counters lived on' test "$(get stats | jq '.services[] | select(.name == "nat") | .packets')" -gt "$counted"
holds 'what runs is what is configured' "$(get status)" '.drift == null or .drift == ""'
# shellcheck disable=SC2086 # two numbers
wait $downloads
for one in nat dsr-l2; do
  holds "the $one download went on as if nothing had happened" "$(cat "$DIR/$one.download")" '.complete and .intact and .longestGapMs < 3000'
done
api POST pools/nat/backends '{"ip": "10.0.1.100"}' >/dev/null
is 'the next daemon changes what the first one made' "$(status)" 201
holds 'and packets follow' "$(traffic tcp --to "$VIP4:80" --count 300 --first-port 12000)" '.answered == 300 and (.byServer | length) == 3'

# --- asked to stop
stop_daemon TERM
ok 'SIGTERM: the end is said' grep -q 'goes on forwarding' "$DIR/sluiced.log"
ok 'SIGTERM: the socket is gone' test ! -e "$DIR/run/$PREFIX.sock"
is 'SIGTERM: the program stays' "$(program_id eth0)" "$program"
holds 'SIGTERM: traffic goes on' "$(traffic tcp --to "$VIP4:82" --count 100 --first-port 13000)" '.answered == 100'
run_daemon --config "$DIR/config.jsonc"
is 'the same configuration file does not undo what was changed since' "$(get pools/nat | jq '.backends | length')" 3

# --- a hundred cycles
fds() { ls "/proc/$(pgrep -f "sluiced --instance $PREFIX" | tail -n 1)/fd" | wc -l; }
pins() { lb find /sys/fs/bpf -path "*/sluice/*" -type f | sort; }
cycle() {
  api POST interfaces/eth0/attach '{"mode": "DRV"}' >/dev/null
  [ "$(status)" = 200 ]
  lb bpftool -j net show dev eth0 | jq -r '.[0].xdp[0].id' >>"$DIR/programs"
  lb bpftool -j prog show id "$(tail -n 1 "$DIR/programs")" | jq -r '.map_ids[]' >>"$DIR/maps"
  api POST interfaces/eth0/detach '' >/dev/null
  [ "$(status)" = 200 ]
}
api POST interfaces/eth0/detach '' >/dev/null
before_fds=$(fds) before_pins=$(pins)
for _ in $(seq 100); do cycle || break; done
is '100 cycles of attach and detach' "$(sort -u "$DIR/programs" | wc -l)" 100
is 'no descriptor is left over' "$(fds)" "$before_fds"
is 'no pin is left over' "$(pins)" "$before_pins"
is 'nothing is attached' "$(program_id eth0)" ''
left() { for id in $(sort -u "$DIR/programs"); do lb bpftool prog show id "$id" 2>/dev/null; done; }
ok 'no program is left in the kernel' until_true 5 sh -c "[ -z \"\$($(declare -f left lb lab); root=$root PREFIX=$PREFIX DIR=$DIR; left)\" ]"
pinned=$(lb sh -c "for m in /sys/fs/bpf/sluice/$PREFIX/v*/maps/*; do bpftool -j map show pinned \$m; done" | jq -r .id | sort -u)
left_maps() { for id in $(sort -u "$DIR/maps" | grep -vxF "$pinned"); do lb bpftool map show id "$id" 2>/dev/null; done; }
is 'no map is left in the kernel' "$(left_maps)" ''

# --- taken off without a daemon
api POST interfaces/eth0/attach '{"mode": "DRV"}' >/dev/null
if lb "$(sluicectl_path)" --instance "$PREFIX" detach --all >"$DIR/output" 2>&1; then code=0; else code=$?; fi
is 'sluicectl does not go past a daemon whose socket it does not find' "$code $(grep -c 'does not answer there' "$DIR/output")" '3 1'
ok 'the program stays' test -n "$(program_id eth0)"
stop_daemon KILL
ok 'sluicectl detach works without a daemon' ctl --instance "$PREFIX" detach eth0
is 'the program is off' "$(program_id eth0)" ''
ok 'sluicectl detach --all works without a daemon' ctl --instance "$PREFIX" detach --all
is 'nothing is pinned any more' "$(pins)" ''
