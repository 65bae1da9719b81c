#!/bin/sh
# Makes the signed kernel image that the boot loader starts: make-uki.sh TREE VERSION CMDLINE KEY CERTIFICATE OUT INITRD…
# Runs in the tools tree. TREE is what finish-tree.sh made; KEY is a PEM file or a PKCS#11 URI.
set -eu
tree=$1
version=$2
cmdline=$3
key=$4
certificate=$5
out=$6
shift 6
initrds=
for initrd in "$@"; do initrds="$initrds --initrd=$initrd"; done
{
  grep -v '^IMAGE_' "$tree/root/usr/lib/os-release"
  printf 'IMAGE_ID=branchbox\nIMAGE_VERSION=%s\n' "$version"
} >/tmp/os-release
# shellcheck disable=SC2086 # no path of ours has a space
ukify build --linux="$tree/vmlinuz" --microcode="$tree/microcode" $initrds --cmdline="$cmdline" \
  --os-release=@/tmp/os-release --uname="$(cat "$tree/kernel-version")" --output=/tmp/unsigned.efi >/dev/null
"$(dirname "$0")/sign-efi.sh" "$key" "$certificate" /tmp/unsigned.efi "$out"
