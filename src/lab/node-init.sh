#!/bin/sh
# Makes one lab node: its namespaces, its root, then tini as its PID 1. Stages, told apart by the argument:
#   enter  on the host: joins the node's network namespace and cgroup, makes the other namespaces
#   leave  only with cgroup version 2: in the cgroup namespace of the node, leaves its root for a leaf
#   init   PID 1 of the node, with the host's files still in sight: mounts, turns the root over, becomes tini
# Owns: mounts and devices of a node. Does not own links (wiring.ts) nor what runs in it (LAB_COMMAND).
# Nothing is mounted in the host's mount namespace, and the host's /dev is never bound: a shell in a node
# that redirects to /dev/null must not be able to harm the host's.
set -eu

cgroup_kind=none
[ -d /sys/fs/cgroup ] && cgroup_kind=v1
[ -f /sys/fs/cgroup/cgroup.controllers ] && cgroup_kind=v2
cgroup_path=branchbox-lab/$BRANCHBOX_LAB/$BRANCHBOX_NODE

# Limits of containers need these controllers all the way down.
hand_on() {
  for controller in cpu memory pids; do
    echo "+$controller" >"$1/cgroup.subtree_control" ||
      echo "node-init: $1 does not hand on the cgroup controller $controller: limits of apps will not hold" >&2
  done
}

namespaces='--mount --uts --ipc --pid --fork --propagation private'
if [ "$1" = enter ]; then
  if [ "$cgroup_kind" = v2 ]; then
    at=/sys/fs/cgroup
    for part in branchbox-lab "$BRANCHBOX_LAB" "$BRANCHBOX_NODE"; do
      hand_on "$at"
      at=$at/$part
      # Of an earlier life of this node: handing on already, so it would let nobody in.
      [ "$part" != "$BRANCHBOX_NODE" ] || [ ! -d "$at" ] || find "$at" -depth -type d -exec rmdir {} \;
      mkdir -p "$at"
    done
    echo $$ >"$at/cgroup.procs"
    exec nsenter --net="$LAB_NETNS" unshare --cgroup /bin/sh "$0" leave
  fi
  # shellcheck disable=SC2086 # words
  exec nsenter --net="$LAB_NETNS" unshare $namespaces /bin/sh "$0" init
fi
if [ "$1" = leave ]; then
  # A cgroup that hands on controllers may hold no process, and unshare stays behind as the parent of PID 1.
  leaf=/sys/fs/cgroup/$cgroup_path/init
  mkdir -p "$leaf"
  echo $$ >"$leaf/cgroup.procs"
  # shellcheck disable=SC2086 # words
  exec unshare $namespaces /bin/sh "$0" init
fi

# The host's /proc is still the one in sight, so this is the host's number of this process.
read -r host_pid _ </proc/self/stat
root=$LAB_RUN/root
mkdir -p "$root" "$LAB_STATE/upper" "$LAB_STATE/work"
# /var on plain disk: Docker's overlay2 cannot stand on an overlay. Filled once, then it is the node's own.
[ -d "$LAB_STATE/var" ] || { cp -a "$LAB_TREE/var" "$LAB_STATE/var.part" && mv -T "$LAB_STATE/var.part" "$LAB_STATE/var"; }

mount -t overlay "$BRANCHBOX_NODE" -o "lowerdir=$LAB_TREE,upperdir=$LAB_STATE/upper,workdir=$LAB_STATE/work" "$root"
mount --bind "$LAB_STATE/var" "$root/var"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o nosuid,nodev,mode=755 run "$root/run"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmp "$root/tmp"
ln -sfn /run "$LAB_STATE/var/run"

mount -t tmpfs -o nosuid,mode=755 dev "$root/dev"
node() { mknod -m "$2" "$root/dev/$1" c "$3" "$4"; }
node null 666 1 3
node zero 666 1 5
node full 666 1 7
node random 666 1 8
node urandom 666 1 9
node tty 666 5 0
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/net"
node net/tun 666 10 200
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o nosuid,nodev,mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"

case $cgroup_kind in
v1)
  # Each hierarchy's own subdirectory: containers of this node land below it, and `lab down` finds them there.
  # Read before the first mount: the loop would follow its own additions for ever.
  hierarchies=$(grep ' cgroup ' /proc/self/mounts | cut -d ' ' -f 2)
  mount -t tmpfs -o nosuid,nodev,noexec,mode=755 cgroup "$root/sys/fs/cgroup"
  for at in $hierarchies; do
    own=$at/$cgroup_path
    mkdir -p "$own"
    if [ -f "$own/cpuset.cpus" ]; then
      # A new cpuset is empty, and an empty one takes no process: filled from above, level by level.
      level=$at
      for part in branchbox-lab "$BRANCHBOX_LAB" "$BRANCHBOX_NODE"; do
        cat "$level/cpuset.cpus" >"$level/$part/cpuset.cpus"
        cat "$level/cpuset.mems" >"$level/$part/cpuset.mems"
        level=$level/$part
      done
    fi
    mkdir -p "$root/sys/fs/cgroup/${at##*/}"
    mount --bind "$own" "$root/sys/fs/cgroup/${at##*/}"
  done
  ;;
v2)
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
  hand_on "$root/sys/fs/cgroup"
  ;;
esac

mkdir -p "$root/usr/lib/branchbox"
mount --bind "$LAB_PAYLOAD" "$root/usr/lib/branchbox"
mount --bind "$LAB_NODE_BINARY" "$root/usr/lib/branchbox/node"
mount -o remount,bind,ro "$root/usr/lib/branchbox"
ln -sfn ../lib/branchbox/branchbox.sh "$root/usr/bin/branchbox"
ln -sfn ../lib/branchbox/lab/systemctl "$root/usr/bin/systemctl"

hostname "$BRANCHBOX_NODE" 2>/dev/null || echo "$BRANCHBOX_NODE" >/proc/sys/kernel/hostname
# Where Docker's kernel module is loaded, bridged frames would pass the IP firewall; in no node they may.
for setting in "$root"/proc/sys/net/bridge/bridge-nf-call-*tables; do
  [ ! -e "$setting" ] || echo 0 >"$setting"
done
if [ "$LAB_ROLE" = provider ]; then
  echo 1 >"$root/proc/sys/net/ipv4/ip_forward"
  echo 1 >"$root/proc/sys/net/ipv6/conf/all/forwarding"
fi

# As in the image: what the agent wrote of the uplinks' own servers is what an engine that pulls an image asks.
case $LAB_ROLE in
  hub | branch) ln -sfn ../run/branchbox/resolv.conf "$root/etc/resolv.conf" ;;
esac

exec 9>"$LAB_RUN/ready"
echo "$host_pid" >"$LAB_RUN/pid"
cd "$root"
mkdir -p .host
pivot_root . .host
umount -l /.host
rmdir /.host
ip link set dev lo up
[ ! -f /etc/branchbox-lab/provider.nft ] || nft -f /etc/branchbox-lab/provider.nft
echo ready >&9
exec 9>&-
# The clock is the host's: nothing that runs here may set it.
# shellcheck disable=SC2086 # words of a command that the lab itself chose
exec setpriv --bounding-set=-sys_time --inh-caps=-sys_time env -i BRANCHBOX_LAB="$BRANCHBOX_LAB" BRANCHBOX_NODE="$BRANCHBOX_NODE" HOME=/root LANG=C.UTF-8 \
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin tini -- $LAB_COMMAND
