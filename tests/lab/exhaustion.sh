#!/bin/bash
# TST-16: descriptors, memory, room on the disk and entries run out in turn. Each time the one who asked gets an error that says
# what is missing, packets are forwarded as before, and when there is room again all goes on.
. "$(dirname "$0")/scenario.sh"

lab up --backends 2
lb ip link add spare0 type veth peer name spare1
complaints() { dmesg | grep -ciE 'warning:|oops|bug:|general protection|kasan|lockup' || true; }
complained=$(complaints)
next=10000
serves() { # SENTENCE
  holds "$1: connections are served" "$(traffic tcp --to "$VIP4:80" --count 50 --first-port $next)" '.answered == 50'
  next=$((next + 100))
}
program=
unchanged() { # SENTENCE: what runs is what ran before
  is "$1: the program stays" "$(program_id eth0)" "$program"
  holds "$1: what runs is what is configured" "$(get status)" '.drift == ""'
  serves "$1"
}
problem() { # SENTENCE WORDS: the last answer is a problem that says so
  holds "$1: the answer is a problem ($(status))" "$(cat "$DIR/answer")" '.status >= 400 and (.detail | length > 10) and (.type | startswith("urn:sluice:problem:"))'
  ok "$1: it says why" grep -qiE "$2" "$DIR/answer"
}
daemon_command() { printf "%q " "$(sluiced_path)" --instance "$PREFIX" --state-dir "$DIR/state" --run-dir "$DIR/run" "$@"; }
start_fails() { # SENTENCE WORDS COMMAND …
  local code
  if timeout 30 "$root/lab/lab" exec --prefix "$PREFIX" lb "${@:3}" >"$DIR/output" 2>&1 </dev/null; then code=0; else code=$?; fi
  is "$1: ends with an error" "$code" 1
  ok "$1: and says why" grep -qiE "$2" "$DIR/output"
  is "$1: nothing is attached" "$(program_id eth0)" ''
}
if_match() { echo "If-Match: \"$(get config | jq .generation)\""; }

# --- descriptors, before anything runs
config_all >"$DIR/config.jsonc"
for limit in 10 16 25; do
  start_fails "started with $limit descriptors" 'too many open files|descriptor' \
    prlimit --nofile="$limit:$limit" sh -c "exec $(daemon_command --config "$DIR/config.jsonc")"
  rm -rf "$DIR/state"/*
done

# --- memory, likewise: what the tables need counts for the group that the daemon is in
make_group() {
  if [ -d /sys/fs/cgroup/memory ]; then
    group=/sys/fs/cgroup/memory/$PREFIX limit=memory.limit_in_bytes
  else
    group=/sys/fs/cgroup/$PREFIX limit=memory.max
  fi
  mkdir "$group" && [ -w "$group/$limit" ]
}
if make_group 2>/dev/null; then
  trap 'ended=$?; set +e; rmdir "$group" 2>/dev/null; (exit $ended); finish' EXIT
  for mib in 20 40; do
    echo "${mib}M" >"$group/$limit"
    start_fails "started with $mib MiB" 'memory' sh -c "echo \$\$ >'$group/cgroup.procs'; exec $(daemon_command --config "$DIR/config.jsonc")"
    rm -rf "$DIR/state"/*
  done
  ok 'the group is empty again' until_true 10 rmdir "$group"
  trap finish EXIT
else
  echo 'skipped - this machine has no memory groups'
fi

# --- a running daemon
run_daemon --config "$DIR/config.jsonc" --listen 127.0.0.1:9181
pid=$(pgrep -n -f "sluiced --instance $PREFIX")
program=$(program_id eth0)
serves 'all is well'
echo "# $(ls "/proc/$pid/fd" | wc -l) descriptors, $(cat "/proc/$pid/fdinfo/"* | awk '/^memlock:/ { size = $2 } /^map_id:/ && !seen[$2]++ { sum += size } END { printf "%d", sum / 1048576 }') MiB of tables"
descriptors() { ls "/proc/$pid/fd" | wc -l; }
limit_descriptors() { prlimit --pid "$pid" --nofile="$1:1000"; }

limit_descriptors $(($(descriptors) + 2))
api POST interfaces/spare0/attach '{"mode": "DRV"}' >/dev/null
problem 'no descriptor for another program' 'too many open files'
is 'no descriptor for another program: nothing is attached there' "$(program_id spare0)" ''
unchanged 'no descriptor for another program'
limit_descriptors 1000
api POST interfaces/spare0/attach '{"mode": "DRV"}' >/dev/null
is 'with descriptors it is attached' "$(status)" 200
api POST interfaces/spare0/detach '' >/dev/null

limit_descriptors $(($(descriptors) + 3))
# The shell becomes sleep, which keeps the connections and ends them with itself.
"$root/lab/lab" exec --prefix "$PREFIX" lb \
  bash -c 'for _ in {1..60}; do exec {c}<>/dev/tcp/127.0.0.1/9181; done; exec sleep 60' >/dev/null 2>&1 </dev/null &
hog=$!
silent() { ! answers; }
ok 'sixty connections take all descriptors: the daemon answers no more' until_true 10 silent
serves 'no descriptor for another connection'
kill "$hog"
wait "$hog" 2>/dev/null || true
ok 'when they end the daemon answers again' until_true 40 answers
limit_descriptors 1000
unchanged 'descriptors again'

# --- memory: the largest access list needs more than there is
jq -nc '{security: {denyList: [range(100000) | "11.\(. / 65536 | floor).\(. / 256 | floor % 256).\(. % 256)"]}}' >"$DIR/list"
told='' said=no
for mib in 2 4 6 8 64; do
  prlimit --pid "$pid" --data=$(($(awk '/VmData/ { print $2 }' "/proc/$pid/status") * 1024 + (mib << 20))):unlimited
  : >"$DIR/answer"
  api POST config "@$DIR/list" -H "$(if_match)" >/dev/null 2>&1 || true
  told+=" $(status)"
  [ "$(status)" != 200 ] || break
  grep -q 'not enough memory\|Cannot allocate memory' "$DIR/answer" && said=yes
done
prlimit --pid "$pid" --data=unlimited:unlimited
echo "# answers with more and more memory:$told"
ok 'without memory the list is refused' test "${told:1:3}" != 200
is 'with a word on memory, once there is enough for that' "$said" yes
is 'the daemon lives' "$(pgrep -n -f "sluiced --instance $PREFIX")" "$pid"
ok 'with memory it answers' until_true 10 answers
unchanged 'memory again'
api POST config "@$DIR/list" -H "$(if_match)" >/dev/null
is 'and the list is taken' "$(status)" 200
jq -nc '{security: {denyList: [range(100001) | "11.\(. / 65536 | floor).\(. / 256 | floor % 256).\(. % 256)"]}}' >"$DIR/list"
api POST config "@$DIR/list" -H "$(if_match)" >/dev/null
is 'one entry more is refused by name' "$(status) $(jq -rc '[.errors[].pointer] | join(" ")' "$DIR/answer")" '422 /security/denyList'
unchanged 'a list too long'
api POST config '{"security": null}' -H "$(if_match)" >/dev/null

# --- the disk
stop_daemon TERM
cp -a "$DIR/state" "$DIR/kept"
lb mount -t tmpfs -o size=64M tmpfs "$DIR/state" # in the lab's own mount namespace, with which it goes
lb cp -a "$DIR/kept/." "$DIR/state/"
run_daemon
generation=$(get config | jq .generation)
lb dd if=/dev/zero of="$DIR/state/full" bs=4k 2>/dev/null || true
# More than what the store's files have room for by themselves.
jq -c '{security: {denyList: .security.denyList[0:50000]},
  pools: [{name: "nat", backends: [{ip: "10.0.1.11"}, {ip: "10.0.1.12"}, {ip: "10.0.1.100"}]}], services: []}' "$DIR/list" >"$DIR/large"
api POST config "@$DIR/large" -H "$(if_match)" >/dev/null
problem 'the disk is full' 'full|space|disk'
is 'the disk is full: the configuration stays' "$(get config | jq .generation)" "$generation"
is 'the disk is full: the backend is not in the kernel' "$(pool_map | jq '[.[] | select(.value.address[0] / 16777216 | floor == 100)] | length')" 0
unchanged 'the disk is full'
lb rm "$DIR/state/full"
api POST pools/nat/backends '{"ip": "10.0.1.100"}' >/dev/null
is 'with room the change is accepted' "$(status)" 201
stop_daemon TERM
is 'the kernel has no complaint' "$(complaints)" "$complained"
