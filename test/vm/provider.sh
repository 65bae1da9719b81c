#!/bin/sh
# A provider at the other end of the cable `line0`, inside a machine: provider.sh up | pap | away. On its VLAN 7 there is a
# PPPoE server (Debian's pppoe-server, /run/line/pppoe-server, as whoever runs this put it there) in a network namespace
# of its own, with a place of its own for pppd's options and secrets. `up` reads the secrets from standard input, in the
# form of chap-secrets, and asks for CHAP; after `pap` each further session is asked for PAP, and no other way is taken.
set -eu
dir=/run/line
case $1 in
up)
  ip netns add isp
  ip link add line0 type veth peer name isp0 netns isp
  isp="ip netns exec isp"
  $isp ip link set isp0 up
  $isp ip link add link isp0 name isp0.7 type vlan id 7
  $isp ip link set isp0.7 up
  $isp ip link set lo up
  mkdir -p $dir/ppp/plugins
  ln -s /usr/lib/pppd/*/pppoe.so $dir/ppp/plugins/rp-pppoe.so
  printf '%s\n' require-chap 'ms-dns 203.0.113.53' 'ms-dns 203.0.113.54' >$dir/ppp/options.server
  : >$dir/ppp/options
  (umask 077 && cat >$dir/ppp/chap-secrets && cp $dir/ppp/chap-secrets $dir/ppp/pap-secrets)
  systemd-run --quiet --unit=line-server $isp unshare --mount sh -c \
    "mount --bind $dir/ppp /etc/ppp && exec $dir/pppoe-server -F -k -I isp0.7 -L 203.0.113.1 -R 203.0.113.50 -N 4 -O /etc/ppp/options.server"
  ;;
# Its pppd of each session reads them anew.
pap) sed -i 's/^require-chap$/require-pap/' $dir/ppp/options.server ;;
away)
  systemctl stop line-server.service || :
  ip netns delete isp || :
  ip link delete line0 || :
  rm -rf $dir
  ;;
esac
