#!/bin/bash
# SAFE-05, TST-14: random and mutated frames over the link harm nobody: real connections go on, every frame that XDP received
# has one verdict and none is aborted, and the kernel complains of nothing.
. "$(dirname "$0")/scenario.sh"

FRAMES=200000
lab up --backends 2
start_daemon < <(config_all)
api POST config '{"xdp":{"fragments":"reassemble"}}' -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
is 'fragments are followed' "$(status)" 200

mac=$(lb ip -j link show eth0 | jq -r '.[0].address')
# Frames that the driver handed to XDP; what redirects and answers make is not among them.
received() { lb ethtool -S eth0 | awk '/rx_queue_[0-9]+_xdp_packets:/ { sum += $2 } END { print sum }'; }
complaints() { dmesg | grep -ciE 'invalid xdp action|warning:|oops|bug:|general protection|kasan|lockup' || true; }

complained=$(complaints)
traffic tcp --to "$VIP4:80" --count 200 --first-port 12000 >"$DIR/before"
holds 'connections work before' "$(cat "$DIR/before")" '.answered == 200'
before=$(verdicts)
lab exec router "$SLUICE_BUILD/fuzz/frame_sender" lb "$mac" "$FRAMES" >"$DIR/sent" &
sender=$!
traffic tcp --to "$VIP4:80" --count 300 --first-port 14000 --rate 100 >"$DIR/tcp"
traffic tcp --to "$VIP4:81" --count 300 --first-port 16000 --rate 100 >"$DIR/tcp81"
wait "$sender"
holds 'nat connections go on meanwhile' "$(cat "$DIR/tcp")" '.answered == 300'
holds 'connections by direct return go on meanwhile' "$(cat "$DIR/tcp81")" '.answered == 300'
sent=$(cat "$DIR/sent")
holds "the frames were sent: $sent" "$sent" ". >= $FRAMES * 0.99"

# Equal in a moment without packets: what is in flight is counted by one a moment before the other.
for _ in 1 2 3 4 5 6 7 8 9 10; do
  sleep 1.1
  driver=$(received) sum=$(verdict_sum)
  [ "$driver" != "$sum" ] || break
done
is 'every frame that XDP received has exactly one verdict' "$sum" "$driver"
after=$(verdicts)
holds 'the malformed ones were counted as what they are' "$after" \
  '[.["pass malformed"], .["pass truncated"], .["pass not-ours"], .["pass not-ip"], .["pass fragment"], .["drop extension-chain"]]
   | all(. > 0)'
holds 'they are one figure' "$(get stats)" \
  '.totals.malformed == ([.interfaces[].verdicts[] | select(.reason == "truncated" or .reason == "malformed") | .packets] | add)'
holds 'and the frames were seen' "$after" \
  '([.[]] | add) - ([$before[]] | add) >= $frames' --argjson before "$before" --argjson frames "$((sent * 99 / 100))"
is 'the program aborted none' "$(jq '[to_entries[] | select(.key | startswith("aborted")) | .value] | add // 0' <<<"$after")" 0
is 'the kernel has no new complaint' "$(complaints)" "$complained"
traffic tcp --to "$VIP4:80" --count 200 --first-port 18000 >"$DIR/after"
holds 'connections work afterwards' "$(cat "$DIR/after")" '.answered == 200'
