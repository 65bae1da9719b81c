#!/bin/sh
# Runs a command on a machine made of a root tree, on this kernel: machine-init.sh enter TREE COMMAND…
#   enter  on the host: takes a cgroup of its own, makes mount, PID, UTS, IPC and cgroup namespaces
#   init   with the host's files still in sight: mounts, turns the root over, becomes the machine's PID 1
# Owns: mounts and devices of the machine. Does not own what is in TREE (tree.ts) nor what runs (run.ts).
# The network namespace is the host's: the machine installs packages as the host does. Everything else that a lab
# makes (/run/netns, mounts, processes, cgroups) is the machine's own and ends with it.
set -eu

stage=$1
tree=$2
shift 2

if [ "$stage" = enter ]; then
  # Of version 1 each hierarchy, of version 2 the one: the machine sees its own place as the root of all cgroups.
  while read -r _ at type _; do
    case $type in cgroup | cgroup2) ;; *) continue ;; esac
    own=$at/branchbox-host-$$
    mkdir -p "$own"
    if [ -f "$own/cpuset.cpus" ] && [ "$type" = cgroup ]; then
      # A new cpuset is empty, and an empty one takes no process.
      cat "$at/cpuset.cpus" >"$own/cpuset.cpus"
      cat "$at/cpuset.mems" >"$own/cpuset.mems"
    fi
    if [ "$type" = cgroup2 ]; then
      for controller in cpu memory pids; do
        echo "+$controller" >"$at/cgroup.subtree_control" 2>/dev/null || :
      done
    fi
    echo $$ >"$own/cgroup.procs"
  done </proc/self/mounts
  exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child --propagation private \
    /bin/sh "$0" init "$tree" "$@"
fi

mount --bind "$tree" "$tree"
cd "$tree"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o nosuid,nodev,mode=755 run run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmp tmp

# The host's /dev is never bound: what a shell in the machine does to /dev/null must stay in the machine.
mount -t tmpfs -o nosuid,mode=755 dev dev
node() { mknod -m "$2" "dev/$1" c "$3" "$4"; }
node null 666 1 3
node zero 666 1 5
node full 666 1 7
node random 666 1 8
node urandom 666 1 9
node tty 666 5 0
# Disks of tests are files.
node loop-control 660 10 237
for number in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do mknod -m 660 "dev/loop$number" b 7 "$number"; done
mkdir dev/pts dev/shm dev/net
node net/tun 666 10 200
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr

# Read before the first mount: the loop would follow its own additions for ever.
hierarchies=$(awk '$3 == "cgroup" || $3 == "cgroup2" { print $2, $3, $4 }' /proc/self/mounts)
case $hierarchies in
*' cgroup '*)
  mount -t tmpfs -o nosuid,nodev,noexec,mode=755 cgroup sys/fs/cgroup
  echo "$hierarchies" | while read -r at type options; do
    mkdir -p "sys/fs/cgroup/${at##*/}"
    case $type in
    cgroup) mount -t cgroup -o "$(echo "$options" | sed 's/^rw,//; s/relatime,//; s/nosuid,//; s/nodev,//; s/noexec,//')" cgroup "sys/fs/cgroup/${at##*/}" ;;
    cgroup2) mount -t cgroup2 cgroup2 "sys/fs/cgroup/${at##*/}" ;;
    esac
  done
  ;;
*) mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup ;;
esac

hostname "$(cat etc/hostname)" 2>/dev/null || cat etc/hostname >/proc/sys/kernel/hostname
mkdir -p .host
pivot_root . .host
umount -l /.host
rmdir /.host
cd /root
# Not exec: this shell stays PID 1 and reaps what a lab's dead nodes leave.
code=0
"$@" || code=$?
exit "$code"
