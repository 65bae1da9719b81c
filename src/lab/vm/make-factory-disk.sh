#!/bin/sh
# Makes the disk of one machine as the factory leaves it: make-factory-disk.sh IMAGE TARGET SIZE FACTORY KEY CERTIFICATE
# Runs in the tools tree. Owns: a copy of the image (the same bits) with two things added: the factory partition with
# the files of the directory FACTORY, and in the ESP an add-on of the boot stub, signed with the Secure Boot key, that
# adds to the kernel's command line. TARGET is whole or absent. Needs no loop device.
set -eu
image=$1
target=$2
size=$3
factory=$4
key=$5
certificate=$6
# The log on COM1 and a root shell on COM2: their driver is built into the kernel, and no getty stands in the way.
# Init says through the kernel what it does, so that each line of the log has its time.
cmdline='console=ttyS0 systemd.show_status=no systemd.log_target=kmsg printk.devkmsg=on systemd.debug_shell=ttyS1'
esp_type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B

scratch=$(mktemp -d)
trap 'rm -rf "$scratch" "$target.part"' EXIT
quietly() { "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; exit 1; }; }
# Where a partition begins, in bytes, by a word of its line.
start_of() {
  at=$(sfdisk --dump "$target.part" | sed -n "s/.*start= *\([0-9]*\),.*$1.*/\1/p" | head -n 1)
  [ -n "$at" ] || { echo "make-factory-disk: $image has no partition with $1" >&2; exit 1; }
  echo $((at * 512))
}
cp --sparse=always "$image" "$target.part"
truncate --size="$size" "$target.part"
quietly sfdisk --relocate gpt-bak-std "$target.part"

echo 'size=16MiB, type=linux, name="branchbox-factory"' >"$scratch/factory"
quietly sfdisk --append "$target.part" <"$scratch/factory"
quietly mke2fs -q -t ext4 -d "$factory" -E "offset=$(start_of branchbox-factory)" "$target.part" 16M

quietly ukify build --cmdline="$cmdline" --signtool=sbsign --secureboot-private-key="$key" \
  --secureboot-certificate="$certificate" --output="$scratch/lab.addon.efi"
esp="$target.part@@$(start_of "type=$esp_type")"
for directory in ::/loader ::/loader/addons; do
  mdir -i "$esp" "$directory" >"$scratch/log" 2>&1 || quietly mmd -i "$esp" "$directory"
done
quietly mcopy -o -i "$esp" "$scratch/lab.addon.efi" ::/loader/addons/lab.addon.efi
mv -T "$target.part" "$target"
