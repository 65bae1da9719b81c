#!/bin/sh
# Makes the disk of a bare Debian: make-bare-disk.sh TREE CMDLINE SCRATCH OUT
# Runs in the tools tree. TREE is the tree that the image is made of (image/trees.ts), before anything left it: the same
# packages, with what Debian starts of them by itself. Nothing of Branchbox is on it.
# Owns: what an installation adds to packages: fstab, a machine id, Debian's own initrd (initramfs-tools as it comes),
# systemd-boot with one entry; on one ext4 root beside an ESP. OUT is whole or absent.
set -eu
tree=$1
cmdline=$2
scratch=$3
out=$4
root=$scratch/root
esp=$scratch/esp
root_uuid=4a1b2f62-5d0e-4d6c-9a53-8f1d0c9e7b11
esp_uuid=8c0d9e57-2f3b-4f0a-8a65-1d2e3f4a5b22
mkdir -p "$scratch/upper" "$scratch/work" "$root" "$esp/EFI/BOOT" "$esp/loader/entries" "$esp/debian" /tmp/repart.d
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
mkdir -p "$root/boot/efi"
printf 'PARTUUID=%s / ext4 errors=remount-ro 0 1\nPARTUUID=%s /boot/efi vfat umask=0077 0 1\n' \
  $root_uuid $esp_uuid >"$root/etc/fstab"
echo debian >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost\n' >"$root/etc/hosts"
# One that was started before: a first start does more.
echo 5f0c1d2e3b4a49688776655443322110 >"$root/etc/machine-id"

version=$(cd "$root/usr/lib/modules" && echo *)
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
# Not update-initramfs, whose hooks look for an ESP.
chroot "$root" mkinitramfs -o "/boot/initrd.img-$version" "$version" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; exit 1; }
umount -R "$root/proc" "$root/dev"

cp "$root/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$esp/EFI/BOOT/BOOTX64.EFI"
cp "$root/boot/vmlinuz-$version" "$esp/debian/linux"
cp "$root/boot/initrd.img-$version" "$esp/debian/initrd"
# As the image's: nobody waits for a menu.
printf 'timeout 0\n' >"$esp/loader/loader.conf"
printf 'title Debian\nlinux /debian/linux\ninitrd /debian/initrd\noptions root=PARTUUID=%s ro %s\n' \
  $root_uuid "$cmdline" >"$esp/loader/entries/debian.conf"

printf '[Partition]\nType=esp\nFormat=vfat\nSizeMinBytes=512M\nSizeMaxBytes=512M\nUUID=%s\nCopyFiles=%s:/\n' \
  $esp_uuid "$esp" >/tmp/repart.d/10-esp.conf
printf '[Partition]\nType=root-x86-64\nFormat=ext4\nSizeMinBytes=6G\nSizeMaxBytes=6G\nUUID=%s\nCopyFiles=%s:/\n' \
  $root_uuid "$root" >/tmp/repart.d/20-root.conf
systemd-repart --empty=create --size=auto --offline=yes --dry-run=no --no-pager --no-legend \
  --definitions=/tmp/repart.d "$out.part" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; exit 1; }
mv -T "$out.part" "$out"
