#!/bin/bash
# SAFE-06: with every flow table full, flows that are only half open yield first, established ones stay, and new flows are
# balanced as before. The large table is filled from outside (three million connections would take minutes), the others by floods
# of SYNs over the link.
. "$(dirname "$0")/scenario.sh"

lab up
for node in be1 be2 be3; do # the flood ends here, and is counted
  lab exec "$node" nft -f - <<'TXT'
table inet flood { counter taken {}; counter nat {}
  chain early { type filter hook prerouting priority raw
    tcp flags & (syn | ack) == syn tcp window 1 tcp dport 81 counter name taken drop
    tcp flags & (syn | ack) == syn tcp window 1 counter name nat drop
  }
}
TXT
done
taken() { lab exec "$1" nft -j list counter inet flood taken | jq '.nftables[] | .counter // empty | .packets'; }
all='[{"ip": "10.0.1.11"}, {"ip": "10.0.1.12"}, {"ip": "10.0.1.13"}]'
start_daemon <<TXT
{
  "services": [{ "name": "nat", "address": "$VIP4", "port": 80, "pool": "nat" },
               { "name": "nat6", "address": "$VIP6", "port": 80, "pool": "nat6" },
               { "name": "l2", "address": "$VIP4", "port": 81, "pool": "l2" },
               { "name": "ipip", "address": "$VIP4", "port": 82, "pool": "ipip" }],
  "pools": [{ "name": "nat", "backends": $all },
            { "name": "nat6", "backends": [{"ip": "fd00:1::11"}, {"ip": "fd00:1::12"}, {"ip": "fd00:1::13"}] },
            { "name": "l2", "forwarding": "dsr-l2", "connectionTracking": "full", "backends": $all },
            { "name": "ipip", "forwarding": "dsr-ipip", "connectionTracking": "full", "backends": $all }],
  "xdp": { "interfaces": [{ "name": "eth0" }] }
}
TXT
maps=$(dirname "$(map_path backend_pool)")
free() { lb "$(lab_tool tables)" free "$maps"; }
counted() { verdicts | jq --arg name "$1" '.[$name] // 0'; }
flood() { lab exec client "$(lab_tool traffic)" syns --to "$1" --count "$2" --seed "$3"; }
established() { # connections that stand at the backends, whoever has them
  local node sum=0
  for node in be1 be2 be3; do sum=$((sum + $(lab exec "$node" ss -Htn state established '( sport >= :80 and sport <= :82 )' | wc -l))); done
  [ "$sum" -ge "$1" ]
}

for one in "$VIP4:80 nat" "[$VIP6]:80 nat6" "$VIP4:81 l2" "$VIP4:82 ipip"; do
  traffic hold --to "${one% *}" --count 100 --first-port 20000 --interval-ms 500 --length-s 30 >"$DIR/${one#* }.held" &
done
held=$(jobs -p | tail -n 4)
ok '400 connections stand' until_true 20 established 400
sleep 1.5 # each has asked once more: its flow is in the large table

# nat: a half-open flow holds one of a backend's 12,000 ports of ours. A flood that takes them all keeps nobody out.
for one in "$VIP4:80 nat 42000" "[$VIP6]:80 nat6 44000"; do
  read -r to name first <<<"$one"
  flood "$to" 120000 "$first" >/dev/null
  result=$(traffic tcp --to "$to" --count 300 --first-port "$first")
  holds "$name: 300 new connections right after a flood of SYNs are answered, by all backends" "$result" \
    '.answered == 300 and ([.byServer[]] | length == 3 and min > 60)'
done
is 'no SYN found all ports taken' "$(counted 'drop no-port')" 0

filled=$(lb "$(lab_tool tables)" fill "$maps")
ok "the large table is full: $filled flows of others" test "$filled" -gt 3000000
is 'no place is left there' "$(free | jq .flows)" 0

# One SYN after the other takes a place of the small table, until it is full and long beyond.
sent=$(flood "$VIP4:81" 500000 1)
echo "# $sent"
ok "the small table is full: $(free | jq .opening) places are left" test "$(free | jq .opening)" -lt 4000
is 'nobody was refused for want of a place' "$(counted 'drop flow-table-full')" 0
shares=$(jq -nc "[$(taken be1), $(taken be2), $(taken be3)]")
holds "new flows are balanced by hash: $shares" "$shares" '(add as $all | $all > 300000 and all(. > $all * 0.3 and . < $all * 0.37))'

# New connections, whose half-open flows take the places of the flood's; where they go on they find no place in the large table.
# Of the same second one may throw out another before it is established: about one in three thousand.
for one in "80 nat 30000" "81 l2 32000" "82 ipip 34000"; do
  read -r port name first <<<"$one"
  result=$(traffic tcp --to "$VIP4:$port" --count 300 --first-port "$first")
  holds "$name: 300 new connections are answered, by all backends" "$result" '.answered >= 298 and ([.byServer[]] | length == 3 and min > 60)'
done
# And while the flood runs.
flood "$VIP4:81" 150000 2 >"$DIR/sent" &
flooder=$!
result=$(traffic tcp --to "$VIP4:81" --count 300 --first-port 40000 --rate 200)
holds 'l2: and so are 300 while the flood goes on' "$result" '.answered == 300 and (.byServer | length) == 3'
wait $flooder

# shellcheck disable=SC2086 # four numbers
wait $held
for name in nat nat6 l2 ipip; do
  holds "$name: no connection that stood before broke or moved" "$(cat "$DIR/$name.held")" '.unopened == 0 and .broken == 0 and .answers > 3000'
done
is 'nothing was aborted' "$(verdicts | jq '[to_entries[] | select(.key | startswith("aborted")) | .value] | add // 0')" 0
