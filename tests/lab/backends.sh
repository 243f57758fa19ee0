#!/bin/bash
# BE-01, BE-02, BE-04, BE-09, TST-05 (TestXDPConfiguration), TST-25: what the API is told is what the kernel's maps hold
# and what packets meet, with the program left in place.
. "$(dirname "$0")/scenario.sh"

lab up
start_daemon </dev/null

generation() { get config | jq .generation; }
post() { api POST config "$1" -H "If-Match: \"$(generation)\""; }
# Addresses in backend_pool, as bpftool reads the kernel's map.
addresses() { pool_map | jq -r '[.[].value.address[0]] | sort | map([. % 256, (. / 256 | floor) % 256, (. / 65536 | floor) % 256, (. / 16777216 | floor)] | map(tostring) | join(".")) | sort | join(" ")'; }
shares() { jq -c '.answered as $all | .byServer | map_values(. * 100 / $all | round)' <<<"$1"; }
within() { # SENTENCE RESULT WEIGHTS
  holds "$1" "$2" '.answered as $all | (.byServer | add) as $got | ($weights | add) as $total | $all == .sent
    and ([$weights | to_entries[] | (.value * 100 / $total - (($result[.key] // 0) * 100 / $got)) | fabs <= 3] | all)
    and (.byServer | keys) == ($weights | keys)' --argjson weights "$3" --argjson result "$(jq -c .byServer <<<"$2")"
}

# TST-25: deploy, add backends, drive traffic, verify the distribution, all through the API.
api POST interfaces/eth0/attach '{"mode": "DRV"}' >/dev/null
is 'the program is deployed by the API' "$(status)" 200
program=$(program_id eth0)
ok 'the kernel shows it on eth0' test -n "$program"
api POST services '{"name": "web", "address": "'$VIP4'", "port": 80, "pool": "default"}' >/dev/null
is 'a service is added' "$(status)" 201
for body in '{"ip": "10.0.1.11"}' '{"ip": "10.0.1.12", "weight": 2}' '{"ip": "10.0.1.13"}'; do
  api POST backends "$body" >/dev/null
  is "a backend is added: $body" "$(status)" 201
done
result=$(traffic tcp --to "$VIP4:80" --count 4000 --first-port 10000 --concurrency 64)
within "4,000 connections follow the weights 1:2:1 within 3 points ($(shares "$result"))" "$result" '{"be1": 1, "be2": 2, "be3": 1}'

# BE-01
is 'backend_pool holds the three addresses' "$(addresses)" '10.0.1.11 10.0.1.12 10.0.1.13'
api POST backends '{"ip": "10.0.1.100"}' >/dev/null
is 'backend_pool holds the fourth after the API call' "$(addresses)" '10.0.1.100 10.0.1.11 10.0.1.12 10.0.1.13'
is 'the program is the same' "$(program_id eth0)" "$program"
result=$(traffic tcp --to "$VIP4:80" --count 4000 --first-port 20000 --concurrency 64)
within "new connections reach it ($(shares "$result"))" "$result" '{"be1": 1, "be2": 2, "be3": 1, "be4": 1}'

# BE-02
id=$(pool_map | jq '.[] | select(.value.address[0] / 16777216 | floor == 12) | .key')
api DELETE backends/10.0.1.12 '' >/dev/null
is 'a backend is removed' "$(status)" 200
is 'its entry is zeroed' "$(lb bpftool -j map lookup pinned "$(map_path backend_pool)" key hex $(printf '%02x %02x 00 00' $((id % 256)) $((id / 256))) |
  jq -c '[.value[] | select(. != "0x00")] | length')" 0
is 'the others own all slots of the table' "$(get pools/default | jq -c '[([.backends[].slots] | add), .tableSize]')" '[65537,65537]'
before=$(counter be2 tcp4_80)
result=$(traffic tcp --to "$VIP4:80" --count 1000 --first-port 30000 --concurrency 64)
within 'the others take its share' "$result" '{"be1": 1, "be3": 1, "be4": 1}'
is 'no packet reaches it any more' \
  "$(counter be2 tcp4_80)" "$before"
is 'the program is still the same' "$(program_id eth0)" "$program"

# BE-04
post '{"l4_backends": ["10.0.1.11", {"ip": "10.0.1.13", "weight": 3}, "10.0.1.12"]}' >/dev/null
is 'a list adds what is missing and removes what is left out' "$(status) $(addresses)" '200 10.0.1.11 10.0.1.12 10.0.1.13'
is 'it keeps the rest' "$(get config | jq -c '[.config.l4_backends[] | [.ip, .weight]]')" '[["10.0.1.11",1],["10.0.1.13",3],["10.0.1.12",1]]'
post '{"telemetry": {"intervalMs": 500}}' >/dev/null
is 'without the key nothing changes' "$(status) $(addresses)" '200 10.0.1.11 10.0.1.12 10.0.1.13'
before=$(generation)
answer=$(post '{"l4_backends": ["10.0.1.11", "10.0.1.100", "10.0.1.300"]}')
is 'one bad entry refuses the whole list' "$(status)" 422
holds 'and is named' "$answer" '[.errors[].pointer] == ["/l4_backends/2"]'
is 'and changes nothing' "$(generation) $(addresses)" "$before 10.0.1.11 10.0.1.12 10.0.1.13"

# TestXDPConfiguration: a configuration is posted, the maps are read back.
post '{"pools": [{"name": "other", "forwarding": "dsr-l2", "backends": [{"ip": "10.0.1.100"}]}],
       "services": [{"name": "web", "address": "'$VIP4'", "port": 80, "pool": "default"},
                    {"name": "other", "address": "'$VIP4'", "port": 81, "pool": "other"}]}' >/dev/null
is 'TestXDPConfiguration: accepted' "$(status)" 200
is 'TestXDPConfiguration: backend_pool' "$(addresses)" '10.0.1.100 10.0.1.11 10.0.1.12 10.0.1.13'
is 'TestXDPConfiguration: forwarding' "$(pool_map | jq -c '[.[].value.forwarding] | sort')" '[0,0,0,1]'
is 'TestXDPConfiguration: next hops' "$(pool_map | jq -r '[.[].value.ethernet[0:6] | map("0" + (if . < 16 then "" else "" end) + (. | tostring)) | join("")] | unique | length')" 4
is 'TestXDPConfiguration: service labels' \
  "$(lb bpftool -j map dump pinned "$(map_path service_labels)" | jq -r '[.[].formatted.value | select(.port != 0) | "\(.name | if type == "array" then map(if type == "string" then . else ([.] | implode) end) | join("") else . end | split("\u0000")[0]) \(.port)"] | sort | join(", ")')" 'other 81, web 80'

# BE-09: two services, two pools.
within 'the first service reaches its own pool only' "$(traffic tcp --to "$VIP4:80" --count 1000 --first-port 40000)" '{"be1": 1, "be2": 1, "be3": 3}'
within 'the second service reaches its own pool only' "$(traffic tcp --to "$VIP4:81" --count 100 --first-port 40000)" '{"be4": 1}'
before=$(get stats | jq '[.interfaces[].verdicts[] | select(.reason == "no-service") | .packets] | add // 0')
traffic udp --to "$VIP4:5300" --count 20 --timeout-ms 200 --first-port 40000 >/dev/null
is 'what is of no service goes on to the kernel' \
  "$(($(get stats | jq '[.interfaces[].verdicts[] | select(.reason == "no-service") | .packets] | add // 0') - before))" 20
