#!/bin/bash
# TST-19, SAFE-03: without a right nothing is attached and nothing is left behind, and one sentence says which right is missing and
# what to do. With just the rights that the documents name a plain user's daemon does everything.
. "$(dirname "$0")/scenario.sh"

lab up --backends 2
daemon_command() { printf "%q " "$(sluiced_path)" --instance "$PREFIX" --state-dir "$DIR/state" --run-dir "$DIR/run" "$@"; }
plain=(setpriv --reuid=65533 --regid=65533 --clear-groups --no-new-privs)
left() { lb find /sys/fs/bpf -mindepth 1 | wc -l; ls "$DIR/run" "$DIR/state"; program_id eth0; }
clean=$(left)
refused() { # NAME WORDS COMMAND …: ends with 1 and one line that has these words, and leaves nothing
  local code word
  if timeout 30 "$root/lab/lab" exec --prefix "$PREFIX" lb "${@:3}" >"$DIR/output" 2>&1 </dev/null; then code=0; else code=$?; fi
  is "$1: one line, and an exit code" "$code $(wc -l <"$DIR/output")" '1 1'
  for word in $2; do ok "$1: it says $word" grep -qF "$word" "$DIR/output"; done
  is "$1: nothing is left behind" "$(left)" "$clean"
}

# --- the daemon
all='CAP_NET_ADMIN CAP_BPF CAP_NET_RAW CAP_PERFMON AmbientCapabilities= root'
refused 'as a plain user' "$all" "${plain[@]}" sh -c "exec $(daemon_command)"
for capability in net_admin bpf net_raw perfmon; do
  also=
  case $capability in bpf | perfmon) also=,cap_sys_admin ;; esac # which contains them
  refused "root without CAP_${capability^^}" "CAP_${capability^^} AmbientCapabilities=" \
    capsh --drop=cap_$capability$also -- -c "exec $(daemon_command)"
  others=+net_admin,+bpf,+net_raw,+perfmon
  others=${others/+$capability/-$capability}
  refused "a plain user with all but CAP_${capability^^}" "CAP_${capability^^} AmbientCapabilities=" \
    setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps="$others" --ambient-caps="${others//-/-}" sh -c "exec $(daemon_command)"
done
capable=(setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all,+net_admin,+bpf,+net_raw,+perfmon
  --inh-caps=+net_admin,+bpf,+net_raw,+perfmon --ambient-caps=+net_admin,+bpf,+net_raw,+perfmon)
refused 'with the rights but a folder that is not its own' "$DIR" "${capable[@]}" sh -c "exec $(daemon_command)"

# --- just the four, and folders of its own
chown -R 65534:65534 "$DIR/run" "$DIR/state"
daemon_as=("${capable[@]}")
start_daemon < <(config_all)
ok 'a plain user with the four capabilities attaches' test -n "$(program_id eth0)"
is 'it is no root' "$(stat -c %u "/proc/$(pgrep -n -f "sluiced --instance $PREFIX")")" 65534
for port in 80 81 82; do
  holds "and serves port $port" "$(traffic tcp --to "$VIP4:$port" --count 100 --first-port 10000)" '.answered == 100'
done
ok 'it reloads the program' ctl program reload
ok 'it rolls back' ctl program reload eth0
stop_daemon KILL
run_daemon
ok 'its next daemon adopts what runs' grep -q 'adopted a running data plane' "$DIR/sluiced.log"
holds 'and finds nothing wrong' "$(get status)" '.drift == "" and ([.interfaces[].attached] | all)'
api POST pools/nat/backends '{"ip": "10.0.1.100"}' >/dev/null
is 'and changes it' "$(status)" 201
api POST config '{"rateLimit": {"packetsPerSecond": 1000000, "action": "pass", "mark": 7}}' -H "If-Match: \"$(get config | jq .generation)\"" >/dev/null
is 'marks of packets beyond a limit need no more' "$(status)" 200
holds 'and packets follow' "$(traffic tcp --to "$VIP4:80" --count 300 --first-port 12000)" '.answered == 300 and (.byServer | length) == 3'

# --- sluicectl
if lb "${plain[@]}" "$(sluicectl_path)" --socket "$DIR/run/$PREFIX.sock" status >"$DIR/output" 2>&1; then code=0; else code=$?; fi
is 'sluicectl as another user: its exit code says that there is no right' "$code $(wc -l <"$DIR/output")" '3 1'
ok 'sluicectl as another user: it says what to do' grep -qE "no right to open .*$PREFIX.sock; run sluicectl as root" "$DIR/output"
program=$(program_id eth0)
stop_daemon KILL
for what in eth0 --all; do
  if lb "${plain[@]}" "$(sluicectl_path)" --instance "$PREFIX" --socket "$DIR/run/$PREFIX.sock" detach "$what" >"$DIR/output" 2>&1; then code=0; else code=$?; fi
  ok "sluicectl detach $what as a plain user without a daemon: an exit code" test "$code" -gt 0
  ok "sluicectl detach $what as a plain user without a daemon: says what is missing" grep -qE 'CAP_|root' "$DIR/output"
  is "sluicectl detach $what as a plain user without a daemon: changes nothing" "$(program_id eth0)" "$program"
done
ok 'as root it takes all off' ctl --instance "$PREFIX" detach --all
is 'and nothing is attached' "$(program_id eth0)" ''
