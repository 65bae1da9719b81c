#!/bin/sh
# Makes the initrd from the image's own tree: make-initrd.sh TREE BUSYBOX VERSION RECIPE TARGET
# Runs in the tools tree. RECIPE is image/initrd: init, modules.txt, programs.txt. VERSION is the kernel's. What root and
# initrd both do is a script of firmware/.
# Owns: what is in it, and that its bytes depend on nothing else (order, times, inode numbers).
set -eu
tree=$1
busybox=$2
version=$3
recipe=$4
target=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/run" "$root/sysroot" "$root/tmp" "$root/usr/bin" "$root/usr/sbin"
for link in bin sbin lib lib64; do ln -s "usr/$link" "$root/$link"; done
lines() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' "$1" | grep -v '^$'; }
put() { mkdir -p "$root${1%/*}" && cp -L "$tree$1" "$root$1"; }

cp "$busybox" "$root/usr/bin/busybox"
for applet in sh mount sleep reboot find cat sort xargs tail tr sed od mkdir switch_root echo rm readlink; do
  ln -s busybox "$root/usr/bin/$applet"
done
lines "$recipe/programs.txt" >"$work/programs"
while read -r program; do
  put "$program"
  chroot "$tree" ldd "$program" | grep -o '/[^ ]*' | sed 's|^/lib|/usr/lib|' >>"$work/libraries"
done <"$work/programs"
sort -u "$work/libraries" >"$work/libraries.once"
while read -r library; do put "$library"; done <"$work/libraries.once"

modules=/usr/lib/modules/$version
(cd "$tree$modules" && find kernel -name '*.ko' | sort) >"$work/all"
lines "$recipe/modules.txt" | sed -e 's/[.]/\\./g' -e 's/[*]/.*/g' -e 's|^|^kernel/|' -e 's/$/$/' >"$work/patterns"
idle=$(while read -r pattern; do grep -q "$pattern" "$work/all" || echo "$pattern"; done <"$work/patterns")
[ -z "$idle" ] || { printf 'make-initrd: no module of the tree fits:\n%s\n' "$idle" >&2; exit 1; }
grep -f "$work/patterns" "$work/all" >"$work/listed"
tr -d ':' <"$tree$modules/modules.dep" |
  awk 'NR == FNR { listed[$1]; next } $1 in listed { for (i = 1; i <= NF; i++) print $i }' "$work/listed" - |
  sort -u >"$work/kept"
while read -r module; do put "$modules/$module"; done <"$work/kept"
for table in modules.order modules.builtin modules.builtin.modinfo modules.softdep; do
  [ ! -e "$tree$modules/$table" ] || put "$modules/$table"
done
depmod -b "$root" "$version"
rm -f "$root$modules/modules.symbols"*

install -m 755 "$recipe/init" "$root/init"
mkdir -p "$root/usr/lib/branchbox"
for shared in boot-failed start-next; do
  install -m 755 "$recipe/../../firmware/$shared" "$root/usr/lib/branchbox/$shared"
done
find "$root" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
(cd "$root" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0) |
  zstd -q -10 -T1 >"$target"
