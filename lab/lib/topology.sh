# Namespaces, links, addresses and routes of the lab, and their removal. Sourced by lab/lab, which sets PREFIX, ARMS,
# FLAT, BACKENDS, MTU, VIP4, VIP6, THROUGH_LB, SERVERS and DIR.
# shellcheck shell=bash

# The backends of this lab, the spare included.
backend_names() {
  local i
  for ((i = 1; i <= BACKENDS; i++)); do echo "be$i"; done
  echo be4
}
# The last number of a backend's addresses.
backend_host() { case $1 in be4) echo 100 ;; *) echo $((10 + ${1#be})) ;; esac; }

# Runs a command in a node without the lab's mounts: these exist only once the nodes do.
in_net() {
  local node=$1
  shift
  nsenter --net="/run/netns/$PREFIX-$node" "$@"
}

# One node's set-up from standard input: lines for `ip -batch`, and "sysctl KEY VALUE" for /proc/sys/net.
configure() {
  local node=$1 word rest settings='' batch=''
  while read -r word rest; do
    case $word in
      '' | '#'*) ;;
      sysctl) settings+="$rest"$'\n' ;;
      *) batch+="$word $rest"$'\n' ;;
    esac
  done
  printf '%s' "$settings" | in_net "$node" bash -c 'while read -r key value; do echo "$value" > "/proc/sys/net/$key"; done'
  printf '%s' "$batch" | in_net "$node" ip -batch - || die "the addresses and routes of node $node were refused" \
    "the message above names the line; remove the lab with: lab down --prefix $PREFIX"
}

# Sending sides must not leave checksums or segments to a card that does not exist: XDP would see unfinished packets,
# and counters on both ends of a link would count different things.
plain_packets() {
  local node=$1 link
  shift
  for link; do in_net "$node" ethtool -K "$link" tx off tso off gso off gro off >/dev/null; done
}

attach_native() {
  local node=$1 link=$2 object
  object=$(bpf_object "$3")
  [ -r "$object" ] || die "$object is missing" "./run build"
  in_net "$node" ip link set dev "$link" xdpdrv obj "$object" sec "$(xdp_section)" ||
    die "$3 could not be attached to $link in node $node" "the message above is the kernel's"
}

# A frame that is larger than a page comes in several buffers, which only programs of this section take.
xdp_section() { [ "$MTU" -le 3400 ] && echo xdp || echo xdp.frags; }

add_link() { # NODE INTERFACE ROUTER-PORT MTU
  ip link add "$2" mtu "$4" netns "$PREFIX-$1" type veth peer name "$3" mtu "$4" netns "$PREFIX-router"
}

lab_up() {
  local node nodes
  lab_down
  mkdir -p "$DIR/ns" "$DIR/run" "$DIR/state"
  declare -p PREFIX ARMS FLAT BACKENDS MTU VIP4 VIP6 THROUGH_LB SERVERS SLUICE_BUILD | sed 's/^declare --/declare -g/' >"$DIR/settings"
  nodes="client router lb $(backend_names | tr '\n' ' ')"
  for node in $nodes; do
    ip netns add "$PREFIX-$node"
  done
  # A mount namespace of the lab's own holds its bpffs: what is pinned there goes with the lab.
  mount --bind "$DIR/ns" "$DIR/ns"
  mount --make-private "$DIR/ns"
  : >"$DIR/ns/mount"
  unshare --mount="$DIR/ns/mount" --propagation slave mount -t bpf bpf /sys/fs/bpf

  make_links
  configure router < <(describe_router)
  configure client < <(describe_client)
  configure lb < <(describe_lb)
  for node in $(backend_names); do configure "$node" < <(describe_backend "$node"); done

  # XDP_TX and redirects out of a veth arrive only where its peer has an XDP program too.
  attach_native router lb xdp_pass
  [ "$ARMS" = one ] || attach_native router lb1 xdp_pass
  for node in $(backend_names); do
    attach_native "$node" eth0 backend_decap
    plain_packets "$node" eth0
  done
  plain_packets client eth0
  plain_packets lb $(lb_links)
  # shellcheck disable=SC2046 # words are wanted
  plain_packets router client $(router_lb_ports) $(backend_names)
  start_counters
  [ -z "$SERVERS" ] || start_servers
}

lb_links() { [ "$ARMS" = one ] && echo eth0 || echo eth0 eth1; }
router_lb_ports() { [ "$ARMS" = one ] && echo lb || echo lb lb1; }

make_links() {
  local node
  # Links behind the router hold an encapsulated packet of full size.
  local behind=$((MTU + 100))
  if [ -n "$FLAT" ]; then add_link client eth0 client "$behind"; else add_link client eth0 client "$MTU"; fi
  add_link lb eth0 lb "$behind"
  [ "$ARMS" = one ] || add_link lb eth1 lb1 "$behind"
  for node in $(backend_names); do add_link "$node" eth0 "$node" "$behind"; done
}

describe_router() {
  local node hop4=10.0.1.2 hop6=fd00:1::2
  cat <<TEXT
sysctl ipv4/ip_forward 1
sysctl ipv6/conf/all/forwarding 1
sysctl ipv4/conf/all/rp_filter 0
sysctl ipv4/conf/default/rp_filter 0
sysctl ipv4/conf/all/send_redirects 0
sysctl ipv4/conf/default/send_redirects 0
link set lo up
link add br0 mtu $((MTU + 100)) type bridge stp_state 0 mcast_snooping 0
link set br0 up
TEXT
  # (the bridge is made here, so that its redirects are off from its first packet)
  for node in $(backend_names); do echo "link set $node master br0 up"; done
  if [ "$ARMS" = two ]; then
    echo "link set lb1 master br0 up"
    echo "link set lb up"
    echo "addr add 10.0.3.1/24 dev lb"
    echo "addr add fd00:3::1/64 dev lb nodad"
    hop4=10.0.3.2 hop6=fd00:3::2
  else
    echo "link set lb master br0 up"
  fi
  if [ -n "$FLAT" ]; then
    echo "link set client master br0 up"
  else
    echo "link set client up"
    echo "addr add 10.0.2.1/24 dev client"
    echo "addr add fd00:2::1/64 dev client nodad"
  fi
  echo "addr add 10.0.1.1/24 dev br0"
  echo "addr add fd00:1::1/64 dev br0 nodad"
  if [ -z "$FLAT" ]; then
    echo "route add $VIP4/32 via $hop4"
    echo "route add $VIP6/128 via $hop6"
  fi
}

# No other host can have a lab's addresses: nothing waits for duplicate address detection.
no_dad() { for link; do echo "sysctl ipv6/conf/$link/accept_dad 0"; done; }

describe_client() {
  no_dad eth0
  echo "link set lo up"
  echo "link set eth0 up"
  if [ -n "$FLAT" ]; then
    echo "addr add 10.0.1.10/24 dev eth0"
    echo "addr add fd00:1::10/64 dev eth0 nodad"
  else
    echo "addr add 10.0.2.10/24 dev eth0"
    echo "addr add fd00:2::10/64 dev eth0 nodad"
    echo "route add default via 10.0.2.1"
    echo "route add default via fd00:2::1"
  fi
}

# The balancer's kernel forwards nothing: what XDP does not take, it must not carry either.
describe_lb() {
  local link=eth0
  no_dad $(lb_links)
  cat <<TEXT
sysctl ipv4/ip_forward 0
sysctl ipv4/conf/all/rp_filter 0
sysctl ipv4/conf/default/rp_filter 0
link set lo up
link set eth0 up
TEXT
  if [ "$ARMS" = two ]; then
    link=eth1
    echo "link set eth1 up"
    echo "addr add 10.0.3.2/24 dev eth0"
    echo "addr add fd00:3::2/64 dev eth0 nodad"
  fi
  echo "addr add 10.0.1.2/24 dev $link"
  echo "addr add fd00:1::2/64 dev $link nodad"
  if [ -n "$FLAT" ]; then
    echo "addr add $VIP4/32 dev eth0"
    echo "addr add $VIP6/128 dev eth0 nodad"
  elif [ "$ARMS" = two ]; then
    echo "route add default via 10.0.3.1"
    echo "route add default via fd00:3::1"
  else
    echo "route add default via 10.0.1.1"
    echo "route add default via fd00:1::1"
  fi
}

# A backend holds the VIPs on lo, silent for ARP, so that it takes what dsr-l2 and dsr-ipip bring and answers from them.
describe_backend() {
  local host hop4=10.0.1.1 hop6=fd00:1::1
  host=$(backend_host "$1")
  [ -z "$THROUGH_LB" ] || hop4=10.0.1.2 hop6=fd00:1::2
  no_dad eth0
  cat <<TEXT
sysctl ipv4/conf/all/rp_filter 0
sysctl ipv4/conf/default/rp_filter 0
sysctl ipv4/conf/eth0/rp_filter 0
sysctl ipv4/conf/all/arp_ignore 1
sysctl ipv4/conf/all/arp_announce 2
sysctl ipv4/conf/all/accept_redirects 0
sysctl ipv4/conf/default/accept_redirects 0
link set lo up
link set eth0 up
addr add 10.0.1.$host/24 dev eth0
addr add fd00:1::$host/64 dev eth0 nodad
addr add $VIP4/32 dev lo
addr add $VIP6/128 dev lo nodad
route add default via $hop4 mtu $MTU
route add default via $hop6 mtu $MTU
TEXT
  if [ -n "$FLAT" ] && [ -n "$THROUGH_LB" ]; then
    echo "route add 10.0.1.10/32 via $hop4 mtu $MTU"
    echo "route add fd00:1::10/128 via $hop6 mtu $MTU"
  fi
}

# Removes the lab, whatever is left of it. Everything that runs in the lab runs in one of its namespaces, which is how
# it is found, whoever started it.
lab_down() {
  local node pids='' tries
  local -a names=()
  mapfile -t names < <(cd /run/netns 2>/dev/null && compgen -G "$PREFIX-*" | grep -E -- "^$PREFIX-(client|router|lb|be[1-4])\$")
  for node in "${names[@]}"; do pids+=" $(ip netns pids "$node" 2>/dev/null | tr '\n' ' ')"; done
  # shellcheck disable=SC2086 # a list of numbers
  if [ -n "${pids// /}" ]; then
    kill -TERM $pids 2>/dev/null || true
    for ((tries = 0; tries < 40; tries++)); do
      kill -0 $pids 2>/dev/null || break
      sleep 0.05
    done
    kill -KILL $pids 2>/dev/null || true
  fi
  if [ -e "$DIR/ns/mount" ]; then umount "$DIR/ns/mount" 2>/dev/null || true; fi
  if mountpoint -q "$DIR/ns"; then umount "$DIR/ns"; fi
  for node in "${names[@]}"; do ip netns del "$node"; done
  rm -rf "$DIR"
  rmdir "$LAB_RUN" 2>/dev/null || true
}

lab_status() {
  local node
  [ -r "$DIR/settings" ] || {
    say "there is no lab '$PREFIX'; make one: lab up --prefix $PREFIX"
    return 3
  }
  # shellcheck disable=SC1091 # made by lab_up
  . "$DIR/settings"
  say "lab '$PREFIX': $ARMS-armed${FLAT:+, flat}${THROUGH_LB:+, backends answer through the balancer}; VIPs $VIP4, $VIP6"
  for node in client router lb $(backend_names); do
    say "$node"
    in_net "$node" ip -br addr show | awk '$1 != "lo" || NF > 4 { printf "  %-12s", $1; for (i = 3; i <= NF; i++) if ($i !~ /^fe80/) printf " %s", $i; print "" }'
    ip netns pids "$PREFIX-$node" | while read -r pid; do
      printf '  process %-6s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-80)"
    done
  done
}
