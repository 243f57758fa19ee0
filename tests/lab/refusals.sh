#!/bin/bash
# Bad input: every fault is named at once, with a pointer and a cure, and what runs does not change. SAFE-03, SAFE-04.
. "$(dirname "$0")/scenario.sh"

lab up --no-servers --backends 1
start_daemon < <(config_all)
state() { printf '%s %s %s' "$(get config | jq .generation)" "$(program_id eth0)" "$(pool_map | cksum)"; }
before=$(state)

# refused NAME BODY STATUS POINTERS: the list of pointers must be exactly this.
refused() {
  local answer
  answer=$(api PUT config "$2" -H 'If-Match: *')
  is "$1: status" "$(status)" "$3"
  is "$1: faults" "$(jq -rc '[.errors[]?.pointer] | join(" ")' <<<"$answer")" "$4"
  holds "$1: each has a message and a cure" "$answer" '[.errors[]? | (.message | length > 5) and (.suggestion | length > 2)] | all'
  is "$1: nothing changed" "$(state)" "$before"
}
web='"services": [{"name": "web", "address": "10.0.0.100", "port": 80, "pool": "default"}]'
refused 'malformed JSON' '{"services": [}' 400 ''
refused 'not an object' '[1, 2]' 422 ''
refused 'unknown field' '{"servces": []}' 422 /servces
refused 'weight 0' '{"l4_backends": [{"ip": "10.0.1.11", "weight": 0}]}' 422 /l4_backends/0/weight
refused 'weight 101' '{"l4_backends": [{"ip": "10.0.1.11", "weight": 101}]}' 422 /l4_backends/0/weight
refused 'a weight that is a text' '{"l4_backends": [{"ip": "10.0.1.11", "weight": "5"}]}' 422 /l4_backends/0/weight
refused 'a weight that is no whole number' '{"l4_backends": [{"ip": "10.0.1.11", "weight": 1.5}]}' 422 /l4_backends/0/weight
refused 'a range that begins with port 0' '{"services": [{"name": "web", "address": "10.0.0.100", "port": 0, "portEnd": 9, "pool": "default"}]}' 422 /services/0/portEnd
refused 'port 65536' '{"services": [{"name": "web", "address": "10.0.0.100", "port": 65536, "pool": "default"}]}' 422 /services/0/port
refused 'a missing field' '{"services": [{"name": "web", "address": "10.0.0.100", "pool": "default"}]}' 422 /services/0/port
refused 'an address that is none' '{"l4_backends": ["10.0.1.300"]}' 422 /l4_backends/0
refused 'a loopback backend' '{"l4_backends": ["127.0.0.1"]}' 422 /l4_backends/0/ip
refused 'a duplicate backend' '{"l4_backends": ["10.0.1.11", "10.0.1.11"]}' 422 /l4_backends/1
refused 'a VIP that is also a backend' "{$web, \"l4_backends\": [\"10.0.0.100\"]}" 422 /services/0/address
refused 'a pool that does not exist' '{"services": [{"name": "web", "address": "10.0.0.100", "port": 80, "pool": "wbe"}], "pools": [{"name": "web"}]}' 422 /services/0/pool
refused 'two services on one address, port and protocol' '{"services": [{"name": "a", "address": "10.0.0.100", "port": 80, "pool": "default"}, {"name": "b", "address": "10.0.0.100", "port": 80, "pool": "default"}]}' 422 /services/1
refused 'IPv4 service, IPv6 nat backends' "{$web, \"l4_backends\": [\"fd00:1::11\"]}" 422 /services/0/pool
refused 'dsr with another port at the backend' '{"services": [{"name": "web", "address": "10.0.0.100", "port": 80, "pool": "p"}], "pools": [{"name": "p", "forwarding": "dsr-l2", "backends": [{"ip": "10.0.1.11", "port": 8080}]}]}' 422 /pools/0/backends/0/port
refused 'an interface that does not exist' '{"xdp": {"interfaces": [{"name": "eth7"}]}}' 422 /xdp/interfaces/0/name
refused 'a mode that is none' '{"xdp": {"interfaces": [{"name": "eth0", "mode": "NATIVE"}]}}' 422 /xdp/interfaces/0/mode
refused 'a table size that is none' '{"maglev": {"tableSize": 1000}}' 422 /maglev/tableSize
refused 'nat from a VIP' "{$web, \"nat\": {\"sourceAddresses\": [\"10.0.0.100\"]}}" 422 /nat/sourceAddresses/0
refused 'everything at once' '{"servces": 1, "services": [{"name": "web", "address": "10.0.0.999", "port": 65536, "pool": "nope"}], "l4_backends": [{"ip": "10.0.1.11", "weight": 0}, "10.0.1.12", "10.0.1.12"], "xdp": {"interfaces": [{"name": "eth9"}]}}' \
  422 '/services/0/address /services/0/port /l4_backends/0/weight /servces /l4_backends/2 /services/0/pool /xdp/interfaces/0/name'
jq -nc '{l4_backends: [range(4096) | {ip: "10.1.\(. / 256 | floor).\(. % 256)"}]}' >"$DIR/many"
refused 'too many backends' "@$DIR/many" 422 /l4_backends
jq -nc '{services: [range(512) | {name: "s\(.)", address: "10.0.0.100", port: (1000 + .), pool: "default"}]}' >"$DIR/many"
refused 'too many services' "@$DIR/many" 422 /services
jq -nc '{pools: [range(65) | {name: "p\(.)"}]}' >"$DIR/many"
refused 'too many pools' "@$DIR/many" 422 /pools
jq -nc '{xdp: {interfaces: [range(33) | {name: "e\(.)"}]}}' >"$DIR/many"
answer=$(api PUT config "@$DIR/many" -H 'If-Match: *')
holds 'too many interfaces' "$answer" '.status == 422 and ([.errors[].pointer] | index("/xdp/interfaces") != null)'
holds 'a word that is nearly right is suggested' "$(api PUT config '{"servces": []}' -H 'If-Match: *')" '.errors[0].suggestion | test("services")'

# Writes of the configuration say what they were made from.
api PUT config '{}' >/dev/null
is 'without If-Match a configuration is not replaced' "$(status)" 428
CONTENT=text/xml api PUT config '{}' -H 'If-Match: *' >/dev/null
is 'what is not JSON by its own word is refused' "$(status)" 415
api POST config '{"telemetry": {"intervalMs": 900}}' -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
is 'a change is accepted' "$(status)" 200
api POST config '{"telemetry": {"intervalMs": 800}}' -H "If-Match: \"$(($(get config | jq .generation) - 1))\"" >/dev/null
is 'a change of an older generation is refused' "$(status)" 412
before=$(state)
answer=$(api POST 'config?dryRun=true' '{"pools": [], "services": []}' -H 'If-Match: *')
holds 'a dry run answers with the plan' "$answer" '.applied == false and (.plan.steps | length) > 5'
is 'and changes nothing' "$(state)" "$before"
api GET nowhere >/dev/null
is 'what does not exist is a 404' "$(status) $(jq -r .status "$DIR/answer")" '404 404'
api DELETE stats >/dev/null
is 'what cannot be done is a 405' "$(status)" 405
api GET backends/10.9.9.9 >/dev/null
is 'a backend that does not exist is a 404' "$(status)" 404
head -c 9000000 /dev/zero | tr '\0' ' ' >"$DIR/huge"
api PUT config "@$DIR/huge" -H 'If-Match: *' >/dev/null
is 'a body without end is refused' "$(status)" 413
ok 'and the daemon lives' answers

# sluicectl says the same, with an exit code.
printf '{"l4_backends": [{"ip": "10.0.1.11", "weight": 0}]}' >"$DIR/bad.json"
if ctl config set "$DIR/bad.json" >"$DIR/output" 2>&1; then code=0; else code=$?; fi
ok 'sluicectl fails with a code of its own' test "$code" -gt 0
ok 'sluicectl names the field' grep -q /l4_backends/0/weight "$DIR/output"

# SAFE-04: the interface vanishes between choice and attach, and while it is attached.
lb ip link add gone0 type veth peer name gone1
lb ip link set gone0 up
answer=$(api POST 'interfaces/gone0/attach?dryRun=true' '{"mode": "DRV"}')
is 'an interface can be chosen' "$(status)" 200
lb ip link del gone0
answer=$(api POST interfaces/gone0/attach '{"mode": "DRV"}')
holds 'it is gone when it is to be attached: refused by name' "$answer" '(.status == 422 or .status == 404) and (tostring | test("gone0"))'
is 'and nothing changed' "$(state)" "$before"
lb ip link add gone0 type veth peer name gone1
lb ip link set gone0 up
api POST interfaces/gone0/attach '{"mode": "DRV"}' >/dev/null
is 'another interface is attached' "$(status)" 200
lb ip link del gone0
sleep 1.5
holds 'it goes while attached: the status says so' "$(get status)" '[.interfaces[] | select(.name == "gone0" or .interface == "gone0") | .problem // ""] | length == 1 and (.[0] | length) > 5'
ok 'eth0 keeps its program' test -n "$(program_id eth0)"
lb ip link add gone0 type veth peer name gone1
lb ip link set gone0 up
ok 'it is attached again when it comes back' until_true 10 sh -c "[ -n \"\$($root/lab/lab exec --prefix $PREFIX lb bpftool -j net show dev gone0 | jq -r '.[0].xdp[0].id // empty')\" ]"

# SAFE-03: without a capability nothing is attached, and one line says what is missing.
stop_daemon TERM
ctl --instance "$PREFIX" detach --all >/dev/null
for capability in net_admin bpf; do
  if lb capsh --drop=cap_$capability$([ $capability = bpf ] && echo ,cap_sys_admin) -- -c "exec '$(sluiced_path)' --instance '$PREFIX' --state-dir '$DIR/state' --run-dir '$DIR/run'" >"$DIR/output" 2>&1; then code=0; else code=$?; fi
  is "without CAP_${capability^^} the daemon ends with an error of one line" "$code $(wc -l <"$DIR/output")" '1 1'
  ok "it names CAP_${capability^^}" grep -q "CAP_${capability^^}" "$DIR/output"
  is 'nothing is attached' "$(program_id eth0)" ''
done
