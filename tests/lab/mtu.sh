#!/bin/bash
# LB-05, LB-06: on a path of 1,500 bytes uploads through dsr-ipip complete, because clients are told what fits; downloads through
# a narrower network complete, because the router's errors reach the backend of the flow, by nat turned back. Pings are answered
# on request.
. "$(dirname "$0")/scenario.sh"

counted() { verdicts | jq --arg name "$1" '.[$name] // 0'; }
# upload PORT FAMILY SECONDS: what the backend says that it took.
upload() {
  local vip=$VIP4
  [ "$2" = 4 ] || vip="[$VIP6]"
  lab exec client curl -sS -m "$3" --data-binary "@$DIR/upload" "http://$vip:$1/upload" 2>&1
}
# The path MTU that a node has learnt towards an address, as it sends from another.
learnt() { lab exec "$1" ip route get "$2" ${3:+from "$3"} | grep -oE 'mtu (lock )?[0-9]+' | grep -oE '[0-9]+'; }
has_learnt() { [ "$(learnt "$1" "$2" "$3")" = "$4" ]; }
forget() {
  local node
  for node; do
    lab exec "$node" ip route flush cache
    lab exec "$node" ip -6 route flush cache
  done
}

lab up --backends 2
head -c 2000000 /dev/urandom >"$DIR/upload"
# Between router and balancer there is nothing more than Ethernet has; the outer header must fit into it.
lb ip link set eth0 mtu 1500
lab exec router ip link set lb mtu 1500
start_daemon < <(config_all)

for one in '4 1480' '6 1460'; do
  family=${one% *} fits=${one#* } vip=VIP${one% *}
  told=$(counted 'tx too-big-told')
  is "dsr-ipip, IPv$family: an upload of 2 MB arrives whole" "$(upload 82 "$family" 20)" 'taken 2000000'
  is "dsr-ipip, IPv$family: the client has learnt what fits" "$(learnt client "${!vip}")" "$fits"
  ok "dsr-ipip, IPv$family: the counter says that it was told" test "$(counted 'tx too-big-told')" -gt "$told"
done
is 'nothing was dropped in silence' "$(counted 'drop too-big')" 0
told=$(counted 'tx too-big-told')
is 'what the client has learnt holds for the next upload' "$(upload 82 4 20)" 'taken 2000000'
is 'which needs no telling' "$(counted 'tx too-big-told')" "$told"

forget client
is 'dsr-l2 adds nothing: an upload in full packets arrives' "$(upload 81 4 20)" 'taken 2000000'
is 'and nobody was told anything' "$(counted 'tx too-big-told')" "$told"

# A client that forbids no fragmentation hears nothing: the balancer does not fragment.
lab exec client sh -c 'echo 1 > /proc/sys/net/ipv4/ip_no_pmtu_disc'
holds 'without DF the upload stands still' "{\"said\": $(upload 82 4 2 | jq -Rs .)}" '.said | test("timed out")'
ok 'and the counter says why' test "$(counted 'drop too-big')" -gt 0
lab exec client sh -c 'echo 0 > /proc/sys/net/ipv4/ip_no_pmtu_disc'

# From here on the network towards the client is narrower than the client knows: the router tells who sends into it.
lab exec router ip link set client mtu 1300
for family in 4 6; do
  if [ "$family" = 4 ]; then vip=$VIP4 to=$VIP4 client=10.0.2.10; else vip="[$VIP6]" to=$VIP6 client=fd00:2::10; fi
  for port in 81 82; do
    forget be1 be2
    errors=$(counted 'tx icmp-error')
    result=$(traffic download --to "$vip:$port" --path '/big?rate=16m' --limit-s 20)
    holds "port $port, IPv$family: a download through a network of 1,300 bytes arrives whole" "$result" '.complete and .intact'
    ok "port $port, IPv$family: the router's errors went to a backend" test "$(counted 'tx icmp-error')" -gt "$errors"
    server=$(jq -r .server <<<"$result")
    other=be1
    [ "$server" = be2 ] || other=be2
    is "port $port, IPv$family: the backend of the flow has learnt it" "$(learnt "$server" "$client" "$to")" 1300
    is "port $port, IPv$family: the other backend has not" "$(learnt "$other" "$client" "$to")" 1500
  done
done

# By nat, what a backend sends is for the balancer, and so is what it learns: the router's error is turned back.
for family in 4 6; do
  if [ "$family" = 4 ]; then vip=$VIP4 own=10.0.1.2; else vip="[$VIP6]" own=fd00:1::2; fi
  forget be1 be2
  errors=$(counted 'tx icmp-error')
  result=$(traffic download --to "$vip:80" --path '/big?rate=16m' --limit-s 20)
  holds "nat, IPv$family: a download through a network of 1,300 bytes arrives whole" "$result" '.complete and .intact'
  ok "nat, IPv$family: the router's errors went to a backend" test "$(counted 'tx icmp-error')" -gt "$errors"
  server=$(jq -r .server <<<"$result")
  is "nat, IPv$family: the backend has learnt it for packets to the balancer" "$(learnt "$server" "$own")" 1300
done
# And what a backend says of a client's packet reaches the client, from the VIP that it knows.
for family in 4 6; do
  if [ "$family" = 4 ]; then vip=$VIP4 pool=nat; else vip=$VIP6 pool=nat6; fi
  api POST services "{\"name\": \"closed$family\", \"address\": \"$vip\", \"port\": 9999, \"protocol\": \"udp\", \"pool\": \"$pool\"}" >/dev/null
  is "IPv$family: a service whose backends do not listen" "$(status)" 201
  said=$(lab exec client timeout 5 bash -c "exec 3<>/dev/udp/$vip/9999; for i in 1 2 3 4 5; do echo \$i >&3 || exit; sleep 0.2; done" 2>&1 || true)
  holds "nat, IPv$family: a client of a closed UDP port is told that it is" "$(jq -n --arg said "$said" '{$said}')" \
    '.said | test("refused")'
done

# A router may quote as little as eight bytes behind the IP header: the ports of a UDP flow, and not one byte of data.
api POST config "$(get config | jq -c '{services: [.config.services[]
  | if .name == "dns" then .pool = "l2" elif .name == "dns6" then .pool = "ipip6" else . end]}')" \
  -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
is 'DNS moves to direct return' "$(status)" 200
for family in 4 6; do
  if [ "$family" = 4 ]; then vip=$VIP4 to=$VIP4 client=10.0.2.10 seen=10.0.2.10; else vip="[$VIP6]" to=$VIP6 client=fd00:2::10 seen="[fd00:2::10]"; fi
  forget be1 be2
  server=$(traffic udp --to "$vip:53" --count 1 --first-port 40000 | jq -r '.byServer | keys[0]')
  other=be1
  [ "$server" = be1 ] && other=be2
  holds "IPv$family: a router quotes a header and eight bytes" \
    "$(lab exec router "$(lab_tool traffic)" too-big --to "$vip:53" --about "$seen:40000" --mtu 1290)" \
    '.quoted == $size' --argjson size $((family == 4 ? 28 : 48))
  ok "IPv$family: that suffices for the backend of the flow to learn it" until_true 5 has_learnt "$server" "$client" "$to" 1290
  is "IPv$family: and no other does" "$(learnt "$other" "$client" "$to")" 1500
done

# Nobody holds the VIPs here: pings are answered by XDP or not at all.
ping_vip() { lab exec client ping -n -c 3 -i 0.2 -W 1 "$1" 2>&1 | grep -oE '[0-9]+ received'; }
for vip in "$VIP4" "$VIP6"; do is "a ping of $vip is the kernel's, which does not answer" "$(ping_vip "$vip")" '0 received'; done
ctl service set l2 --answer-echo >/dev/null
ctl service set l26 --answer-echo >/dev/null
for vip in "$VIP4" "$VIP6"; do is "$vip answers once a service says so" "$(ping_vip "$vip")" '3 received'; done
is 'and each ping is counted' "$(counted 'tx echo')" 6
ctl service set l2 --pass-echo >/dev/null
is 'until no service says so any more' "$(ping_vip "$VIP4")" '0 received'
