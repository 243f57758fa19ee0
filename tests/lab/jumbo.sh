#!/bin/bash
# LB-16: at an MTU of 9,000 frames come in several buffers. The multi-buffer variant of the program is attached there, takes
# segments of more than 8 KiB through every way of forwarding, and goes again when the MTU does.
. "$(dirname "$0")/scenario.sh"

at() { # PORT FAMILY
  if [ "$2" = 4 ]; then printf '%s:%s' "$VIP4" "$1"; else printf '[%s]:%s' "$VIP6" "$1"; fi
}
# keep PORT FAMILY: uploads, and says what came of it: the answer, and whether a backend has just what was sent.
keep() {
  local answer
  rm -f "$DIR"/be?/body/*
  answer=$(lab exec client curl -sS -m 20 --data-binary "@$DIR/upload" "http://$(at "$1" "$2")/keep" 2>&1 || true)
  printf '%s, %s' "$answer" "$(cat "$DIR"/be?/body/* | sha256sum | cut -d' ' -f1)"
}
# The packets and bytes of a service, from clients or (nat) to them; and the mean size of what came since.
service() { get stats | jq -c --arg name "$1" '.services[] | select(.name == $name)'; }
mean() { # NAME BEFORE KIND: packets or replyPackets
  service "$1" | jq --argjson before "$2" --arg kind "$3" '
    {packets: "bytes", replyPackets: "replyBytes"}[$kind] as $bytes | (.[$bytes] - $before[$bytes]) / (.[$kind] - $before[$kind])'
}
variant() { get interfaces | jq --arg name "${1:-eth0}" '.[] | select(.name == $name).attached.multiBuffer'; }
is_variant() { [ "$(variant)" = "$1" ]; }
link_id() { lb bpftool -j link show pinned "/sys/fs/bpf/sluice/$PREFIX/$(lb sh -c "ls /sys/fs/bpf/sluice/$PREFIX" | grep '^v')/links/eth0" | jq .id; }
services() { printf '%s\n' '80 nat' '81 l2' '82 ipip'; }

# transfers WHERE: everything through every service, both ways.
transfers() {
  local port name family answer before
  for family in 4 6; do
    while read -r port name; do
      [ "$family" = 4 ] || name+=6
      before=$(service "$name")
      is "$1, $name: an upload of 20 MB arrives as it was sent" "$(keep "$port" "$family")" "taken 20000000, $sum"
      holds "$1, $name: in frames of more than 8,000 bytes" "$(mean "$name" "$before" packets)" '. > 8000'
      before=$(service "$name")
      answer=$(traffic download --to "$(at "$port" "$family")" --path /big --limit-s 20)
      holds "$1, $name: a download of 16 MiB arrives as it was sent" "$answer" '.complete and .intact'
      # Direct return passes the balancer by; what the client got is its own affair.
      case $name in nat*) holds "$1, $name: whose frames pass the balancer with more than 8,000 bytes" "$(mean "$name" "$before" replyPackets)" '. > 8000' ;; esac
    done < <(services)
  done
}

lab up --backends 2 --mtu 9000
head -c 20000000 /dev/urandom >"$DIR/upload"
sum=$(sha256sum <"$DIR/upload" | cut -d' ' -f1)
config_all >"$DIR/config.jsonc"
run_daemon
ok 'the plan says which variant it would attach' grep -E 'attach eth0 .*multi-buffer' <(ctl plan "$DIR/config.jsonc")
ok 'it is attached at an MTU of 9,100' ctl config set "$DIR/config.jsonc"
is 'in the multi-buffer variant' "$(variant)" true
ok 'which the operator can see' grep -E '^eth0 .* multi ' <(ctl interface list)
transfers 'one-armed'
is 'nothing was dropped' "$(verdicts | jq '[to_entries[] | select(.key | test("^(drop|aborted)"))] | length')" 0

link=$(link_id)
traffic hold --to "$(at 80 4)" --count 50 --interval-ms 200 --length-s 10 >"$DIR/held" &
holding=$!
lab exec router ip link set lb mtu 1500
lb ip link set eth0 mtu 1500
ok 'the MTU of Ethernet brings the plain variant' until_true 10 is_variant false
holds 'which balances' "$(traffic tcp --to "$(at 81 4)" --count 200)" '.answered == 200'
lb ip link set eth0 mtu 9100
ok 'and the old MTU the multi-buffer one' until_true 10 is_variant true
lab exec router ip link set lb mtu 9100
is 'each time in place' "$(link_id)" "$link"
wait "$holding"
holds 'no open connection broke' "$(cat "$DIR/held")" '.broken == 0 and .unopened == 0'
is 'and large segments pass again' "$(keep 82 4)" "taken 20000000, $sum"
is 'a reload stays with the variant' "$(ctl program reload eth0 >/dev/null && variant)" true
stop_daemon KILL
run_daemon --config "$DIR/config.jsonc"
is 'and so does the next daemon' "$(variant)" true

lab down
lab up --arms two --backends 2 --mtu 9000
head -c 20000000 /dev/urandom >"$DIR/upload"
sum=$(sha256sum <"$DIR/upload" | cut -d' ' -f1)
start_daemon < <(config_all '{ "name": "eth0" }, { "name": "eth1" }')
is 'two arms: both have the multi-buffer variant' "$(variant eth0) $(variant eth1)" 'true true'
transfers 'two-armed'
