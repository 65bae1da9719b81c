#!/bin/sh
# A provider's access concentrator inside a machine, in a network namespace of its own: provider.sh
#   up                                     at the other end of a new cable `line0`
#   between ACCESS UPSTREAM ADDRESS/LEN GATEWAY CLIENT DNS
#                                          at the card ACCESS; its one client is CLIENT on the network of the card UPSTREAM
#   pap | away
# On VLAN 7 of the cable there is a PPPoE server (Debian's pppoe-server, /run/line/pppoe-server, as whoever runs this put it
# there), with a place of its own for pppd's options and secrets. Secrets are read from standard input, in the form of
# chap-secrets; it asks for CHAP, and after `pap` each further session is asked for PAP, and no other way is taken.
set -eu
dir=/run/line
isp="ip netns exec isp"

# serve CARD OWN FIRST-CLIENT OPTION…, one option of pppd a word
serve() {
  card=$1 own=$2 first=$3
  shift 3
  $isp ip link set "$card" up
  $isp ip link add link "$card" name isp.7 type vlan id 7
  $isp ip link set isp.7 up
  $isp ip link set lo up
  mkdir -p $dir/ppp/plugins
  ln -s /usr/lib/pppd/*/pppoe.so $dir/ppp/plugins/rp-pppoe.so
  printf '%s\n' require-chap "$@" >$dir/ppp/options.server
  : >$dir/ppp/options
  (umask 077 && cat >$dir/ppp/chap-secrets && cp $dir/ppp/chap-secrets $dir/ppp/pap-secrets)
  systemd-run --quiet --unit=line-server $isp unshare --mount sh -c \
    "mount --bind $dir/ppp /etc/ppp && exec $dir/pppoe-server -F -k -I isp.7 -L $own -R $first -N 4 -O /etc/ppp/options.server"
}

case $1 in
up)
  ip netns add isp
  ip link add line0 type veth peer name isp0 netns isp
  serve isp0 203.0.113.1 203.0.113.50 'ms-dns 203.0.113.53' 'ms-dns 203.0.113.54'
  ;;
between)
  ip netns add isp
  ip link set "$2" netns isp
  ip link set "$3" netns isp
  $isp ip link set "$3" up
  $isp ip address add "$4" dev "$3"
  $isp ip route add default via "$5"
  $isp sysctl -qw net.ipv4.ip_forward=1
  # The network of UPSTREAM finds the client as if it were on it.
  serve "$2" "${4%/*}" "$6" proxyarp "ms-dns $7"
  ;;
# Its pppd of each session reads them anew.
pap) sed -i 's/^require-chap$/require-pap/' $dir/ppp/options.server ;;
away)
  systemctl stop line-server.service || :
  # Cards go back to the machine by themselves.
  ip netns delete isp || :
  ip link delete line0 || :
  rm -rf $dir
  ;;
esac
