# What runs in the lab's nodes: stock web and DNS servers, and packet counters of nftables. Sourced by lab/lab.
# shellcheck shell=bash

start_servers() {
  local node i
  mkdir -p "$DIR/www"
  # 16 MiB in lines of 16 bytes that number themselves: a reader can tell at which byte a download went wrong.
  seq -f %015.0f 1 1048576 >"$DIR/www/big"
  for node in $(backend_names); do
    mkdir -p "$DIR/$node"
    web_configuration "$node" >"$DIR/$node/nginx.conf"
    in_net "$node" nginx -c "$DIR/$node/nginx.conf" -p "$DIR/$node" -e "$DIR/$node/nginx.log" ||
      die "nginx did not start in $node" "see $DIR/$node/nginx.log"
    in_net "$node" dnsmasq --conf-file=/dev/null --pid-file="$DIR/$node/dnsmasq.pid" --user=root --group=root \
      --no-hosts --no-resolv --bind-interfaces --cache-size=0 --local=/lab/ --log-facility="$DIR/$node/dnsmasq.log" \
      --listen-address="10.0.1.$(backend_host "$node"),fd00:1::$(backend_host "$node"),$VIP4,$VIP6" \
      --host-record="whoami.lab,10.0.1.$(backend_host "$node")" --txt-record="whoami.lab,$node" ||
      die "dnsmasq did not start in $node" "see $DIR/$node/dnsmasq.log"
  done
  for node in $(backend_names); do
    for ((i = 0; i < 100; i++)); do
      [ "$(in_net "$node" ss -Hlnt '( sport = :80 or sport = :82 )' | wc -l)" -ge 4 ] && break
      sleep 0.05
    done
    [ "$i" -lt 100 ] || die "nginx does not listen in $node" "see $DIR/$node/nginx.log"
  done
}

# Every answer names the backend and the client as the backend saw it. `/big?rate=1m` is a slow download. `/upload` answers
# with the bytes that it took, once it has all of them: the inner request is made only then. What `/keep` took stays in the
# node's folder `body`.
web_configuration() {
  cat <<TEXT
user root;
worker_processes 1;
pid $DIR/$1/nginx.pid;
error_log $DIR/$1/nginx.log warn;
events { worker_connections 8192; }
http {
  access_log off;
  default_type text/plain;
  client_body_temp_path $DIR/$1/body;
  proxy_temp_path $DIR/$1/proxy;
  fastcgi_temp_path $DIR/$1/fastcgi;
  uwsgi_temp_path $DIR/$1/uwsgi;
  scgi_temp_path $DIR/$1/scgi;
  map \$arg_rate \$rate { '' 0; default \$arg_rate; }
  server {
    listen 80 backlog=4096; listen 81 backlog=4096; listen 82 backlog=4096; listen 8080 backlog=4096;
    listen [::]:80 ipv6only=on backlog=4096; listen [::]:81 ipv6only=on backlog=4096;
    listen [::]:82 ipv6only=on backlog=4096; listen [::]:8080 ipv6only=on backlog=4096;
    root $DIR/www;
    add_header X-Backend $1;
    location / { return 200 "$1 \$remote_addr \$remote_port \$server_port\n"; }
    location = /big { limit_rate \$rate; }
    location = /upload { client_max_body_size 64m; proxy_pass http://127.0.0.1:8080/taken; }
    location = /keep { client_max_body_size 64m; client_body_in_file_only on; proxy_pass http://127.0.0.1:8080/taken; }
    location = /taken { client_max_body_size 64m; return 200 "taken \$content_length\n"; }
  }
}
TEXT
}

# Counters that owe nothing to Sluice: in the client by service, in each backend by protocol, family and port. A lab's
# link carries whole packets (no segmentation offload), so one packet here is one packet there.
start_counters() {
  local node
  client_ruleset | in_net client nft -f - || die "nftables refused the client's counters" \
    "boot a kernel with CONFIG_NF_TABLES_INET, such as Debian 12's"
  for node in $(backend_names); do
    backend_ruleset | in_net "$node" nft -f - || die "nftables refused the counters of $node" \
      "boot a kernel with CONFIG_NF_TABLES_INET, such as Debian 12's"
  done
}

counted='tcp_80 tcp_81 tcp_82 tcp_8080 udp_53'

declare_counters() {
  local family name
  for family in 4 6; do
    for name in $counted; do echo "  counter ${name/_/${family}_} {}; counter reply_${name/_/${family}_} {};"; done
  done
}

# FAMILY DIRECTION: one rule a counter. MATCH is what else must hold of the packet (a VIP).
count_rules() {
  local family=$1 direction=$2 match=$3 name protocol port
  for name in $counted; do
    protocol=${name%_*} port=${name#*_}
    case $direction in
      there) echo "    $match $protocol dport $port counter name ${protocol}${family}_$port" ;;
      back) echo "    $match $protocol sport $port counter name reply_${protocol}${family}_$port" ;;
    esac
  done
}

client_ruleset() {
  cat <<TEXT
table inet lab {
$(declare_counters)
  chain output { type filter hook output priority 0;
$(count_rules 4 there "ip daddr $VIP4")
$(count_rules 6 there "ip6 daddr $VIP6")
  }
  chain input { type filter hook input priority 0;
$(count_rules 4 back "ip saddr $VIP4")
$(count_rules 6 back "ip6 saddr $VIP6")
  }
}
TEXT
}

# The sets tell which addresses a backend was called from.
backend_ruleset() {
  cat <<TEXT
table inet lab {
$(declare_counters)
  set seen4 { type ipv4_addr . inet_proto . inet_service; flags dynamic; size 4096; }
  set seen6 { type ipv6_addr . inet_proto . inet_service; flags dynamic; size 4096; }
  chain input { type filter hook input priority 0;
$(count_rules 4 there "meta nfproto ipv4")
$(count_rules 6 there "meta nfproto ipv6")
    meta l4proto { tcp, udp } th dport { 53, 80-82, 8080 } update @seen4 { ip saddr . meta l4proto . th dport }
    meta l4proto { tcp, udp } th dport { 53, 80-82, 8080 } update @seen6 { ip6 saddr . meta l4proto . th dport }
  }
  chain output { type filter hook output priority 0;
$(count_rules 4 back "meta nfproto ipv4")
$(count_rules 6 back "meta nfproto ipv6")
  }
}
TEXT
}
