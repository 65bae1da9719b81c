#!/bin/sh
# Tries what the kernel of a machine offers, one feature a line: NAME ok | NAME: why not. Runs in it, as root, in a
# network namespace that is gone right after (unshare --net).
try() {
  name=$1
  shift
  if said=$("$@" 2>&1); then echo "$name ok"; else echo "$name: $said"; fi
}
both() { ip link add "$1" type veth peer name "$2" && ip link set "$1" up && ip link set "$2" up; }
flowtable() {
  nft -f - <<END
table inet f {
  flowtable fast { hook ingress priority 0; devices = { a0, b0 }; }
  chain forward { type filter hook forward priority 0; ip protocol tcp flow add @fast; }
}
END
}
both a0 a1 && both b0 b1 && both c0 c1
try vrf ip link add red type vrf table 1001
try vlan ip link add link a0 name a0.10 type vlan id 10
try bridge-vlan-filtering ip link add br0 type bridge vlan_filtering 1
try vxlan-vnifilter ip link add vx0 type vxlan external vnifilter dstport 4790
try wireguard ip link add wg0 type wireguard
try prp ip link add prp0 type hsr slave1 a1 slave2 b1 proto 1
try hsr ip link add hsr0 type hsr slave1 c0 slave2 c1 version 1
try netem tc qdisc add dev a0 root netem delay 10ms loss 1%
try cake tc qdisc add dev b0 root cake bandwidth 10Mbit
try flowtable flowtable
try dummy ip link add d0 type dummy
