#!/bin/sh
# Tries what the kernel of a machine offers, one feature a line: NAME ok | NAME: why not. Where two ends can show it, by
# packets that get there and by others that must not. Runs in it, as root, in a network namespace that is gone right after
# (unshare --net); the other end is a second one.
set -u
far=features-$$
ip netns add "$far"
trap 'ip netns del "$far"' EXIT

say() {
  name=$1
  shift
  # Not in a condition: there a shell goes on past what fails.
  said=$(set -e; "$@" 2>&1)
  if [ $? = 0 ]; then echo "$name ok"; else echo "$name: $said"; fi
}
over() { ip netns exec "$far" "$@"; }
# A cable: $1 here and $2 there.
cable() {
  ip link add "$1" type veth peer name "$2" netns "$far"
  ip link set "$1" up
  over ip link set "$2" up
}
address() { ip address add "$1.1/24" dev "$2"; over ip address add "$1.2/24" dev "$3"; }
reaches() { ping -q -n -i 0.2 -c "${count:-2}" -W 5 "$@"; }
not() { if "$@"; then echo "and yet: $*"; return 1; fi; }
# The smallest, and the largest, round trip in whole milliseconds, of what ping says last: rtt min/avg/max/mdev = …
least_ms() { sed -n 's|^rtt [^=]*= \([0-9]*\).*|\1|p'; }
most_ms() { sed -n 's|^rtt [^=]*= [^/]*/[^/]*/\([0-9]*\).*|\1|p'; }

# The same address is nowhere but in the VRF.
vrf() {
  cable v0 v1
  ip link add red type vrf table 1001
  ip link set red up
  ip link set v0 master red
  address 10.1.0 v0 v1
  reaches -I red 10.1.0.2
  not reaches -c 1 -W 1 10.1.0.2
}
# One tag leads to the other end, another one to nobody.
vlan() {
  cable t0 t1
  ip link add link t0 name t0.10 up type vlan id 10
  ip link add link t0 name t0.20 up type vlan id 20
  over ip link add link t1 name t1.10 up type vlan id 10
  address 10.2.0 t0.10 t1.10
  reaches 10.2.0.2
  ip address del 10.2.0.1/24 dev t0.10
  ip address add 10.2.0.1/24 dev t0.20
  not reaches -c 1 -W 1 10.2.0.2
}
wireguard() {
  cable w0 w1
  address 10.3.0 w0 w1
  ip link add wg0 type wireguard
  over ip link add wg0 type wireguard
  here=$(wg genkey) there=$(wg genkey)
  echo "$here" | wg set wg0 private-key /dev/stdin listen-port 51820 \
    peer "$(echo "$there" | wg pubkey)" endpoint 10.3.0.2:51820 allowed-ips 10.3.1.2/32
  echo "$there" | over wg set wg0 private-key /dev/stdin listen-port 51820 \
    peer "$(echo "$here" | wg pubkey)" allowed-ips 10.3.1.1/32
  ip link set wg0 up
  over ip link set wg0 up
  address 10.3.1 wg0 wg0
  reaches 10.3.1.2
  not reaches -c 1 -W 1 10.3.1.3
}
# Every frame goes over both cables: no packet is lost with the one, and none comes twice.
redundant() {
  kind=$1 net=$2
  shift 2
  cable "$kind"0 "$kind"1
  cable "$kind"2 "$kind"3
  ip link add "$kind" up type hsr slave1 "$kind"0 slave2 "$kind"2 "$@"
  over ip link add "$kind" up type hsr slave1 "$kind"1 slave2 "$kind"3 "$@"
  address "$net" "$kind" "$kind"
  reaches "$net.2"
  for cut in "$kind"1 "$kind"3; do
    over ip link set "$cut" down
    said=$(count=5 reaches "$net.2")
    echo "$said"
    not expr "$said" : '.*duplicates'
    over ip link set "$cut" up
  done
  over ip link set "$kind"1 down
  over ip link set "$kind"3 down
  not reaches -c 1 -W 1 "$net.2"
}
netem() {
  cable n0 n1
  address 10.6.0 n0 n1
  tc qdisc add dev n0 root netem delay 50ms
  [ "$(reaches 10.6.0.2 | least_ms)" -ge 50 ]
  tc qdisc change dev n0 root netem loss 100%
  not reaches -c 1 -W 1 10.6.0.2
}
# Of forty that come at once, of 1,428 bytes and so 11 ms of a megabit each, the last has waited for those before it.
cake() {
  cable c0 c1
  address 10.7.0 c0 c1
  # By itself ping has room for a packet or two in its socket, and waits for it.
  burst() { ping -q -n -S 1000000 -l 40 -c 40 -s 1386 10.7.0.2 | most_ms; }
  before=$(burst)
  tc qdisc add dev c0 root cake bandwidth 1Mbit
  after=$(burst)
  echo "the last of 40 packets took $before ms without and $after ms with 1 Mbit/s"
  [ "$after" -ge 200 ]
}
flowtable() {
  ip link add f0 type dummy
  nft -f - <<END
table inet f {
  flowtable fast { hook ingress priority 0; devices = { f0 }; }
  chain forward { type filter hook forward priority 0; ip protocol tcp flow add @fast; }
}
END
}
say vrf vrf
say vlan vlan
say bridge-vlan-filtering ip link add br0 type bridge vlan_filtering 1
say vxlan-vnifilter ip link add vx0 type vxlan external vnifilter dstport 4790
say wireguard wireguard
say prp redundant prp 10.4.0 proto 1
say hsr redundant hsr 10.5.0 version 1
say netem netem
say cake cake
say flowtable flowtable
say dummy ip link add d0 type dummy
