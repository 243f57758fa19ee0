# What `demo --check` verifies: answers, shares, counters against nftables, checksums on the wire. Sourced by lab/demo.
# shellcheck shell=bash

CONNECTIONS=4000
faults=0
captures=()

fault() {
  printf '  \033[31mwrong:\033[0m %s\n' "$1"
  faults=$((faults + 1))
}

# service PORT PROTOCOL VIP POOL: one line each; the order is the order of the checks.
services() {
  cat <<TXT
web 80 tcp $VIP4 default
web-l2 81 tcp $VIP4 l2
web-ipip 82 tcp $VIP4 ipip
dns 53 udp $VIP4 default
web6 80 tcp [$VIP6] nat6
web6-l2 81 tcp [$VIP6] l2-6
web6-ipip 82 tcp [$VIP6] ipip6
dns6 53 udp [$VIP6] nat6
TXT
}

check_all() {
  local name port protocol vip pool
  while read -r name port protocol vip pool; do
    start_captures "$protocol" "$port"
    check_service "$name" "$port" "$protocol" "$vip" "$pool"
    check_captures "$name"
  done < <(services)
  check_counters
  if [ "$faults" = 0 ]; then
    step "all is well: every connection was answered, shares, counters and checksums are right"
  else
    die "$faults check(s) failed; they are marked 'wrong' above"
  fi
}

# Opens the connections of one service and compares who answered with the weights.
check_service() {
  local name=$1 port=$2 protocol=$3 vip=$4 pool=$5 result
  result=$(traffic "$protocol" --to "$vip:$port" --count $CONNECTIONS --first-port 10000 --concurrency 64) || true
  printf '  %-10s %s\n' "$name" "$(jq -c '{sent, answered, byServer}' <<<"$result")"
  [ "$(jq .answered <<<"$result")" = $CONNECTIONS ] ||
    fault "$name: $(jq -c '{answered, errors}' <<<"$result") of $CONNECTIONS exchanges"
  local weights
  # Backend 10.0.1.1N and fd00:1::1N is be N.
  weights=$(api "pools/$pool" | jq '[.backends[] | {key: ("be" + (.ip[-1:])), value: .weight}] | from_entries')
  while read -r line; do fault "$name: $line"; done < <(jq -r --argjson weights "$weights" '
    ($weights | add) as $total | (.byServer | add) as $all | . as $result | $weights | to_entries[]
    | (.value * 100 / $total) as $due | (($result.byServer[.key] // 0) * 100 / $all) as $got
    | select(($got - $due | fabs) > 3) | "\(.key) has \($got | round)% of the answers, its weight is \($due | round)%"' <<<"$result")
}

# A sample of what leaves and arrives at both ends of a service, with tcpdump's own check of every checksum.
start_captures() {
  local node
  for node in client be1 be2 be3; do
    lab exec "$node" timeout 60 tcpdump -i eth0 -nn -vv -l -c 1500 "$1 port $2" \
      >"$DIR/$node.capture" 2>"$DIR/$node.capture-log" &
    captures+=($!)
  done
  for node in client be1 be2 be3; do
    for _ in $(seq 100); do
      grep -q 'listening on' "$DIR/$node.capture-log" && break
      sleep 0.05
    done
  done
}

# Ends the captures of service NAME and looks at every checksum in them.
check_captures() {
  local node seen bad total=0
  kill "${captures[@]}" 2>/dev/null || true
  wait "${captures[@]}" 2>/dev/null || true
  captures=()
  for node in client be1 be2 be3; do
    seen=$(grep -cE 'cksum|udp sum ok' "$DIR/$node.capture" || true)
    bad=$(grep -cE 'incorrect|bad (udp|tcp) cksum|bad cksum' "$DIR/$node.capture" || true)
    [ "$seen" -gt 500 ] || fault "$1: only $seen packets with a checksum were captured in $node"
    [ "$bad" = 0 ] || fault "$1: $bad of $seen packets in $node have a wrong checksum"
    total=$((total + seen))
  done
  printf '  %-10s checksums of %s captured packets are looked at\n' '' "$total"
}

# nft COUNTER as JSON {name: packets} of a node.
nft_counters() {
  lab exec "$1" nft -j list counters | jq '[.nftables[] | .counter // empty | {key: .name, value: .packets}] | from_entries'
}

# Waits until nothing moves any more: the last FINs have passed.
settle() {
  local before='' now tries
  for ((tries = 0; tries < 50; tries++)); do
    now=$(api stats | jq -c '[.services[], .backends[] | .packets, .replyPackets]')
    [ "$now" != "$before" ] || return 0
    before=$now
    sleep 0.5
  done
}

# Every packet that the client sent or got, and every one that a backend got or sent, is one that Sluice counted.
check_counters() {
  local node stats client
  settle
  stats=$(api stats) client=$(nft_counters client)
  while read -r line; do fault "$line"; done < <(jq -r --argjson client "$client" '
    .services[] | . as $s | (if (.address | test(":")) then "6" else "4" end) as $family
    | "\(.protocol)\($family)_\(.port)" as $name
    | (select($client[$name] != .packets)
       | "service \($s.name): Sluice counted \(.packets) packets, the client sent \($client[$name])"),
      (select((.pool == "default" or .pool == "nat6") and $client["reply_" + $name] != .replyPackets)
       | "service \($s.name): Sluice counted \(.replyPackets) replies, the client got \($client["reply_" + $name])")' <<<"$stats")
  for node in be1 be2 be3; do
    while read -r line; do fault "$line"; done < <(jq -r --arg node "$node" --argjson nft "$(nft_counters "$node")" '
      {default: ["tcp4_80", "udp4_53"], nat6: ["tcp6_80", "udp6_53"], l2: ["tcp4_81"], "l2-6": ["tcp6_81"],
       ipip: ["tcp4_82"], ipip6: ["tcp6_82"]} as $names
      | .backends[] | select(.ip[-1:] == $node[-1:]) | .pool as $pool
      | ([$names[$pool][] | $nft[.]] | add) as $got | ([$names[$pool][] | $nft["reply_" + .]] | add) as $sent
      | (select($got != .packets) | "backend \(.id): Sluice counted \(.packets) packets, \($node) got \($got)"),
        (select(($pool == "default" or $pool == "nat6") and $sent != .replyPackets)
         | "backend \(.id): Sluice counted \(.replyPackets) replies, \($node) sent \($sent)")' <<<"$stats")
  done
  jq -r '"  counters   " + ([.services[].packets] | add | tostring) + " packets to services, all compared with nftables"' <<<"$stats"
}
