#!/bin/sh
# Becomes a program of the tools tree: run-in-tools.sh TREE DIR… -- COMMAND [ARG…]
# Owns: a root in a mount namespace of its own, of the tree's files, read-only, and the named directories at their own
# paths. The process stays what it was: its number is the program's. Its /dev has what QEMU needs and is not the
# host's; nothing is mounted for the host to see. Differs from image/in-tools in that: no PID namespace, KVM and TUN.
set -eu
if [ "${BRANCHBOX_TOOLS:-}" != inside ]; then
  BRANCHBOX_TOOLS=inside exec unshare --mount --propagation private /bin/sh "$0" "$@"
fi
tree=$1
shift
# One empty directory of the host, the same each time: what is mounted over it is seen by this run alone.
root=/run/branchbox-tools
mkdir -p "$root"
mount -t tmpfs -o mode=755 root "$root"
for entry in "$tree"/*; do
  name=${entry##*/}
  case $name in proc | sys | dev | tmp | run | var) continue ;; esac
  if [ -L "$entry" ]; then
    cp -P "$entry" "$root/$name"
  elif [ -d "$entry" ]; then
    mkdir "$root/$name"
    mount --bind "$entry" "$root/$name"
    mount -o remount,bind,ro "$root/$name"
  fi
done
mkdir "$root/proc" "$root/sys" "$root/dev" "$root/dev/net" "$root/tmp" "$root/run" "$root/var"
mount -t proc proc "$root/proc"
for device in null:1:3 zero:1:5 random:1:8 urandom:1:9 kvm:10:232 net/tun:10:200; do
  numbers=${device#*:}
  mknod -m 666 "$root/dev/${device%%:*}" c "${numbers%:*}" "${numbers#*:}"
done
[ -e /dev/kvm ] || rm "$root/dev/kvm"
ln -s /proc/self/fd "$root/dev/fd"
while [ "$1" != -- ]; do
  mkdir -p "$root$1"
  mount --bind "$1" "$root$1"
  shift
done
shift
unset BRANCHBOX_TOOLS
export TMPDIR=/tmp LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin
exec chroot "$root" "$@"
