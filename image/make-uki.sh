#!/bin/sh
# Makes the signed kernel image that the boot loader starts: make-uki.sh TREE VERSION CMDLINE KEYS OUT INITRD…
# Runs in the tools tree. TREE is what finish-tree.sh made; KEYS holds db.key and db.crt.
set -eu
tree=$1
version=$2
cmdline=$3
keys=$4
out=$5
shift 5
initrds=
for initrd in "$@"; do initrds="$initrds --initrd=$initrd"; done
{
  grep -v '^IMAGE_' "$tree/root/usr/lib/os-release"
  printf 'IMAGE_ID=branchbox\nIMAGE_VERSION=%s\n' "$version"
} >/tmp/os-release
# shellcheck disable=SC2086 # no path of ours has a space
ukify build --linux="$tree/vmlinuz" $initrds --cmdline="$cmdline" --os-release=@/tmp/os-release \
  --uname="$(cat "$tree/kernel-version")" \
  --signtool=systemd-sbsign --no-sign-kernel \
  --secureboot-private-key="$keys/db.key" --secureboot-certificate="$keys/db.crt" --output="$out" >/dev/null
