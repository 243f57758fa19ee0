#!/bin/bash
# CFG-08 to CFG-10, LB-15: datagrams of 4,000 bytes to a VIP are dropped, left to the kernel, or arrive whole at one backend, as the
# configuration says; a service serves a range of ports, or all that no other one has.
. "$(dirname "$0")/scenario.sh"

counted() { verdicts | jq --arg name "$1" '.[$name] // 0'; }
fragments() { # HOW
  api POST config "{\"xdp\": {\"fragments\": \"$1\"}}" -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
  is "fragments: $1 is accepted" "$(status)" 200
}
datagrams() { traffic datagram --to "$1" --count 20 --size "$2" --first-port "$3" --timeout-ms 400; }

lab up --backends 2
for node in be1 be2; do
  for at in "$VIP4:5300" "[$VIP6]:5300" "$VIP4:5377"; do
    lab exec $node "$(lab_tool traffic)" take --at "$at" --name $node --length-s 100 >/dev/null 2>&1 &
  done
done
more='{ "name": "big-l2", "address": "'$VIP4'", "port": 5300, "protocol": "udp", "pool": "l2" },'
more+='{ "name": "range", "address": "'$VIP4'", "port": 5370, "portEnd": 5379, "protocol": "udp", "pool": "l2" },'
more+='{ "name": "big-ipip6", "address": "'$VIP6'", "port": 5300, "protocol": "udp", "pool": "ipip6" },'
start_daemon < <(config_all | sed "s|\"services\": \[|&$more|")

holds 'whole datagrams arrive, by both backends' "$(datagrams "$VIP4:5300" 1000 11000)" \
  '.answered == 20 and .torn == 0 and (.byServer | length) == 2'
holds 'a service for a range of ports serves one of them' "$(datagrams "$VIP4:5377" 1000 11100)" '.answered == 20 and .torn == 0'
before=$(counted 'pass no-service')
datagrams "$VIP4:5380" 100 11200 >/dev/null
ok 'and not the one behind it' test "$(counted 'pass no-service')" -ge $((before + 20))

fragments drop
before=$(counted 'drop fragment')
holds 'drop: no large datagram is answered' "$(datagrams "$VIP4:5300" 4000 12000)" '.answered == 0'
is 'drop: all 60 fragments are counted' "$(($(counted 'drop fragment') - before))" 60
holds 'drop: whole packets pass' "$(datagrams "$VIP4:5300" 1000 12100)" '.answered == 20'

fragments pass
before=$(counted 'pass fragment') dropped=$(counted 'drop fragment')
datagrams "$VIP4:5300" 4000 13000 >/dev/null
is 'pass: the kernel gets all 60 fragments' "$(($(counted 'pass fragment') - before))" 60
is 'pass: and none is dropped' "$(counted 'drop fragment')" "$dropped"

fragments reassemble
for one in "$VIP4:5300" "[$VIP6]:5300" "$VIP4:5377"; do
  result=$(datagrams "$one" 4000 14000)
  holds "reassemble: datagrams of 4,000 bytes to $one arrive whole" "$result" '.answered == 20 and .torn == 0'
  holds "reassemble: each at one backend, by both" "$result" '(.byServer | length) == 2'
done
holds 'reassemble: 20,000 bytes as well' "$(datagrams "$VIP4:5300" 20000 15000)" '.answered == 20 and .torn == 0'
is 'and none came before its first' "$(counted 'drop fragment-early')" 0

# Every port that no other service has.
api POST config "$(get config | jq -c '{services: (.config.services + [{name: "rest", address: "'$VIP4'", port: 0, protocol: "udp", pool: "l2"}])}')" \
  -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
is 'a service for every other port is accepted' "$(status)" 200
for node in be1 be2; do
  lab exec $node "$(lab_tool traffic)" take --at "$VIP4:6001" --name $node --length-s 20 >/dev/null 2>&1 &
done
sleep 0.5
holds 'it serves a port that nobody named' "$(datagrams "$VIP4:6001" 1000 16000)" '.answered == 20 and (.byServer | length) == 2'
holds 'and the range keeps its own' "$(get services | jq -c '{range: [.services[] | select(.name == "range")][0].stats.packets}')" '.range >= 80'
datagrams "$VIP4:5377" 1000 17000 >/dev/null
holds 'still' "$(get services | jq -c '{rest: [.services[] | select(.name == "rest")][0].stats.packets}')" '.rest == 20'
