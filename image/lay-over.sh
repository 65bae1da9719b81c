#!/bin/sh
# Lays Branchbox over a root tree: lay-over.sh ROOT VERSION PAYLOAD UNITS FIRMWARE_ROOT
# Owns: where things go in the image's root, the links of a root that is never written to, and which units start.
# Does not own the files themselves (image/payload.ts, firmware/root).
set -eu
root=$1
version=$2
payload=$3
units=$4
files=$5

copy="$(dirname "$0")/copy-over.sh"
mkdir -p "$root/usr/lib/branchbox"
"$copy" "$payload" "$root/usr/lib/branchbox"
"$copy" "$units" "$root/usr/lib/systemd/system"
"$copy" "$files" "$root"
ln -sfn ../lib/branchbox/branchbox.sh "$root/usr/bin/branchbox"
ln -sfn multi-user.target "$root/usr/lib/systemd/system/default.target"
mkdir -p "$root/usr/lib/systemd/system/multi-user.target.wants"
ln -sfn ../branchbox-gateway.target "$root/usr/lib/systemd/system/multi-user.target.wants/branchbox-gateway.target"
printf 'IMAGE_ID=branchbox\nIMAGE_VERSION=%s\n' "$version" >>"$root/usr/lib/os-release"

# The root is never written to: what a box knows of itself is below /var or /run.
: >"$root/etc/machine-id"
echo branchbox >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 branchbox\n::1 localhost\n' >"$root/etc/hosts"
ln -sfn ../run/branchbox/resolv.conf "$root/etc/resolv.conf"
rm -f "$root/etc/fstab" "$root/etc/mtab"
ln -s ../proc/self/mounts "$root/etc/mtab"
mkdir -p "$root/etc/branchbox/factory" "$root/efi" "$root/var/lib/branchbox"
mv "$root/etc/frr" "$root/var/lib/branchbox/frr"
ln -s ../var/lib/branchbox/frr "$root/etc/frr"
ln -sfn /run "$root/var/run"
# What packages expect to find below /var: systemd-tmpfiles puts it onto the data partition (tmpfiles.d/var.conf).
mkdir -p "$root/usr/share/factory"
mv "$root/var" "$root/usr/share/factory/var"
# Where the data partition is not there, a sandbox still wants a place for a /var/tmp of its own (rescue).
mkdir -p -m 1777 "$root/var/tmp"

rm -rf "$root/etc/systemd/system"
mkdir -p "$root/etc/systemd/system"
# Remounts what /etc/fstab says, which there is none of.
ln -s /dev/null "$root/etc/systemd/system/systemd-remount-fs.service"
# It says each link that it makes.
systemctl --root="$root" preset-all --preset-mode=enable-only >/tmp/log 2>&1 || { cat /tmp/log >&2; exit 1; }
