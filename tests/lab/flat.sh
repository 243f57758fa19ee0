#!/bin/bash
# LB-09: client, balancer and backends on one link. The balancer's kernel holds the VIPs and answers ARP and neighbour
# solicitations; XDP takes the packets of the services, the kernel keeps everything else.
. "$(dirname "$0")/scenario.sh"

lab up --flat --backends 2
start_daemon < <(config_all)
lab exec client ip neigh flush all
for vip in "$VIP4" "[$VIP6]"; do
  address=${vip//[][]/}
  lab exec client ip route replace "$address" dev eth0
  for port in 80 81 82; do
    result=$(traffic tcp --to "$vip:$port" --count 200 --first-port 12000)
    holds "$vip port $port: all are answered" "$result" '.answered == 200 and (.byServer | length) == 2'
  done
  is "the balancer answered for $address" "$(lab exec client ip -j neigh show "$address" | jq -r '.[0].lladdr')" \
    "$(lb ip -j link show eth0 | jq -r '.[0].address')"
  ok "ping of $address is the kernel's to answer" lab exec client ping -c 2 -i 0.2 -W 2 "$address"
done
