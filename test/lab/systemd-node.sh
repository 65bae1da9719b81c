#!/bin/sh
# A gateway's userland under a real systemd: two stages, as src/lab/node-init.sh.
#   enter  on the host: a cgroup of its own in the unified hierarchy, the other namespaces
#   init   becomes systemd as PID 1, with the units of the firmware and nothing else
# NODE_DIR (upper, work, root), NODE_LOWER (root tree:systemd's tree), NODE_NAME, NODE_NETNS, NODE_PAYLOAD, NODE_BINARY;
# or NODE_PACKAGE: a Debian package in the place of those two.
set -eu
if [ "$1" = enter ]; then
  unified=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
  own=$unified/$NODE_NAME
  mkdir -p "$own"
  echo $$ >"$own/cgroup.procs"
  exec nsenter --net="$NODE_NETNS" unshare --mount --uts --ipc --pid --cgroup --fork --kill-child --propagation private \
    /bin/sh "$0" init
fi
root=$NODE_DIR/root
mkdir -p "$root" "$NODE_DIR/upper" "$NODE_DIR/work"
mount -t overlay node -o "lowerdir=$NODE_LOWER,upperdir=$NODE_DIR/upper,workdir=$NODE_DIR/work" "$root"
# Docker's overlay2 cannot stand on an overlay.
mkdir -p "$NODE_DIR/docker" "$root/var/lib/docker"
mount --bind "$NODE_DIR/docker" "$root/var/lib/docker"

target=branchbox-gateway.target
if [ -n "${NODE_PACKAGE:-}" ]; then
  # As apt would: the package's own scripts, without a running systemd. A start of the machine does the rest.
  cp "$NODE_PACKAGE" "$root/package.deb"
  chroot "$root" dpkg --install /package.deb >&2
  rm "$root/package.deb"
  # Of a machine, and of no use in namespaces.
  ln -sfn /dev/null "$root/etc/systemd/system/ModemManager.service"
  ln -sfn /dev/null "$root/etc/systemd/system/apparmor.service"
  target=multi-user.target
else
  mkdir -p "$root/usr/lib/branchbox"
  mount --bind "$NODE_PAYLOAD" "$root/usr/lib/branchbox"
  mount --bind "$NODE_BINARY" "$root/usr/lib/branchbox/node"
  ln -sfn ../lib/branchbox/branchbox.sh "$root/usr/bin/branchbox"

  units=$root/usr/lib/systemd/system
  wants=$root/etc/systemd/system/branchbox-gateway.target.wants
  cp "$NODE_PAYLOAD"/units/* "$units/"
  mkdir -p "$wants"
  grep -l '^WantedBy=branchbox-gateway.target' "$NODE_PAYLOAD"/units/* | while read -r unit; do
    ln -sfn "/usr/lib/systemd/system/${unit##*/}" "$wants/${unit##*/}"
  done
fi

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o nosuid,nodev,mode=755 run "$root/run"
mount -t tmpfs -o nosuid,nodev,mode=1777 tmp "$root/tmp"
mount -t tmpfs -o nosuid,mode=755 dev "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/net"
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 net/tun:10:200; do
  numbers=${device#*:}
  mknod -m 666 "$root/dev/${device%%:*}" c "${numbers%:*}" "${numbers#*:}"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for setting in "$root"/proc/sys/net/bridge/bridge-nf-call-*tables; do [ ! -e "$setting" ] || echo 0 >"$setting"; done
cd "$root"
mkdir -p .host
pivot_root . .host
umount -l /.host
rmdir /.host
ip link set dev lo up
# The clock is the host's: nothing that runs here may set it, Debian's chrony.service among it.
exec setpriv --bounding-set=-sys_time --inh-caps=-sys_time env -i container=branchbox PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /usr/lib/systemd/systemd --unit=$target
