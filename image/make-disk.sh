#!/bin/sh
# Makes the raw disk: make-disk.sh DEFINITIONS SLOT UKI VERSION KEY CERTIFICATE OUT
# Runs in the tools tree. DEFINITIONS is repart.d; SLOT holds root, verity, roothash. KEY is a PEM file or a PKCS#11 URI.
# Owns: the ESP's content and the partition table. Everything after slot A is made by the box at its first boot.
set -eu
definitions=$1
slot=$2
uki=$3
version=$4
key=$5
certificate=$6
out=$7
esp=/tmp/esp
loader=/usr/lib/systemd/boot/efi/systemd-bootx64.efi

mkdir -p $esp/EFI/BOOT $esp/EFI/systemd $esp/EFI/Linux $esp/loader/keys/branchbox
"$(dirname "$0")/sign-efi.sh" "$key" "$certificate" $loader $esp/EFI/BOOT/BOOTX64.EFI
cp $esp/EFI/BOOT/BOOTX64.EFI $esp/EFI/systemd/systemd-bootx64.efi
cp "$uki" "$esp/EFI/Linux/branchbox_$version.efi"
# Nobody waits for a menu, nobody edits a signed command line; keys are enrolled by whoever owns the machine.
printf 'timeout 0\neditor no\nauto-entries no\nauto-firmware no\nsecure-boot-enroll off\n' >$esp/loader/loader.conf
find $esp -exec touch -d "@$SOURCE_DATE_EPOCH" {} +

# The two halves of the root hash (Discoverable Partitions Specification).
uuid() { echo "$1" | sed 's/^\(.\{8\}\)\(.\{4\}\)\(.\{4\}\)\(.\{4\}\)\(.\{12\}\)$/\1-\2-\3-\4-\5/'; }
roothash=$(cat "$slot/roothash")
cp -r "$definitions" /tmp/repart.d
printf 'CopyFiles=%s:/\n' $esp >>/tmp/repart.d/10-esp.conf
printf 'CopyBlocks=%s\nUUID=%s\n' "$slot/root" "$(uuid "$(echo "$roothash" | cut -c -32)")" >>/tmp/repart.d/20-root-a.conf
printf 'CopyBlocks=%s\nUUID=%s\n' "$slot/verity" "$(uuid "$(echo "$roothash" | cut -c 33-)")" >>/tmp/repart.d/21-verity-a.conf
rm -f "$out"
# The seed gives the disk's and the ESP's UUIDs; the installer gives each box its own.
systemd-repart --empty=create --size=auto --offline=yes --dry-run=no --no-pager --no-legend \
  --definitions=/tmp/repart.d --seed=6f1c6a1e-0f0b-4b7e-9d55-3c5f0b4f9a10 "$out" >/dev/null 2>/tmp/log || { cat /tmp/log >&2; exit 1; }
