#!/bin/bash
# GOAL-01, LB-01 to LB-04, LB-17: real TCP and UDP over both families in every way of forwarding, one-armed.
. "$(dirname "$0")/scenario.sh"

# The balancer's namespace holds no TCP or UDP socket at all.
sockets() { lb ss -Hatun | wc -l; }
router_sent() { lab exec router ip -s -j link show lb | jq '.[0].stats64.tx.packets'; }

# visit NAME VIP PORT CLIENT-SEEN [udp]
visit() {
  local result
  result=$(traffic "${5:-tcp}" --to "$2:$3" --count 200 --first-port 12000)
  holds "$1: 200 of 200 exchanges are answered, by both backends" "$result" \
    '.answered == 200 and (.byServer | keys) == ["be1", "be2"]'
  if [ -n "$4" ]; then
    is "$1: backends see $4" "$(jq -rc '.bySource | keys | join(" ")' <<<"$result")" "$4"
  fi
}
# While a download runs through the balancer. download NAME VIP PORT
download() {
  traffic download --to "$2:$3" --path '/big?rate=16m' >"$DIR/download" &
  local client=$!
  sleep 0.4
  is "$1: the balancer holds no socket of a flow that runs" "$(sockets)" 0
  wait "$client"
  holds "$1: 16 MiB arrive byte by byte" "$(cat "$DIR/download")" '.complete and .intact'
}

lab up --backends 2
start_daemon < <(config_all)

for family in 4 6; do
  if [ "$family" = 4 ]; then vip=$VIP4 client=10.0.2.10 own=10.0.1.2; else vip="[$VIP6]" client=fd00:2::10 own=fd00:1::2; fi
  visit "nat, IPv$family TCP" "$vip" 80 "$own"
  visit "nat, IPv$family UDP" "$vip" 53 '' udp
  visit "dsr-l2, IPv$family TCP" "$vip" 81 "$client"
  visit "dsr-ipip, IPv$family TCP" "$vip" 82 "$client"
  download "nat, IPv$family" "$vip" 80
  download "dsr-l2, IPv$family" "$vip" 81
  download "dsr-ipip, IPv$family" "$vip" 82
done

# UDP without translation: the DNS services move to the pools of direct return, one after the other.
for kind in l2 ipip; do
  api POST config "$(get config | jq -c --arg kind "$kind" '{services: [.config.services[]
    | if .name == "dns" then .pool = $kind elif .name == "dns6" then .pool = $kind + "6" else . end]}')" \
    -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
  is "DNS moves to dsr-$kind" "$(status)" 200
  lab exec be1 nft flush set inet lab seen4
  lab exec be1 nft flush set inet lab seen6
  visit "dsr-$kind, IPv4 UDP" "$VIP4" 53 '' udp
  visit "dsr-$kind, IPv6 UDP" "[$VIP6]" 53 '' udp
  ok "dsr-$kind: the backend sees the client's address in UDP" \
    sh -c "$root/lab/lab exec --prefix $PREFIX be1 nft list set inet lab seen4 | grep -q '10.0.2.10 . udp . 53'"
  ok "dsr-$kind: over IPv6 too" \
    sh -c "$root/lab/lab exec --prefix $PREFIX be1 nft list set inet lab seen6 | grep -q 'fd00:2::10 . udp . 53'"
done

stats=$(get stats)
holds 'dsr: replies pass the balancer by' "$stats" '[.services[] | select(.name | test("l2|ipip")) | .replyPackets] | add == 0'
holds 'nat: replies come through the balancer' "$stats" '[.services[] | select(.name | test("nat|dns")) | .replyPackets > 0] | all'
is 'dsr-l2: every packet that the balancer counted is one that the client sent' \
  "$(jq '.services[] | select(.name == "l2") | .packets' <<<"$stats")" "$(counter client tcp4_81)"

# IPv4 in IPv6: the service's VIP is IPv4, its backends have IPv6 addresses.
api POST config '{"services": '"$(get config | jq -c '[.config.services[] | if .name == "ipip" then .pool = "ipip6" else . end]')"'}' \
  -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
is 'a service moves to a pool of the other family' "$(status)" 200
before=$(get stats | jq '[.interfaces[].verdicts[] | select(.reason == "dsr-ipip6") | .packets] | add')
visit 'dsr-ipip, IPv4 in IPv6' "$VIP4" 82 10.0.2.10
after=$(get stats | jq '[.interfaces[].verdicts[] | select(.reason == "dsr-ipip6") | .packets] | add')
ok 'IPv4 in IPv6 left in an IPv6 header' test "$after" -gt $((before + 800))

# LB-17: what the router handed to the balancer's link is what the verdicts sum to. Both are read while nothing moves:
# neighbour discovery may add a packet at any time.
balance() {
  local before sum after
  for _ in $(seq 50); do
    before=$(router_sent)
    sleep 0.2
    sum=$(verdict_sum) after=$(router_sent)
    [ "$before" != "$after" ] || break
  done
  echo $((after - sum))
}
uncounted=$(balance) # what came before the program was attached
visit 'dsr-ipip, IPv6 TCP again' "[$VIP6]" 82 fd00:2::10
traffic udp --to "$VIP4:5353" --count 50 --timeout-ms 300 >/dev/null # no service: passes to a kernel that refuses it
is 'the verdicts sum to the packets that the link delivered' "$(balance)" "$uncounted"
holds 'what no service wants passes to the kernel' "$(verdicts)" '."pass no-service" >= 50'
