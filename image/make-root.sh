#!/bin/sh
# Makes a root tree of Debian 13: make-root.sh TARGET PACKAGES COMPONENTS [SOURCES]
# Owns: the recipe (its bytes are part of the tree's name), the lock, and that TARGET is whole or absent.
# Does not own: which packages (packages*.txt), where trees are kept, what is laid over one.
# COMPONENTS of Debian's archive, by commas. SOURCES is a file of apt lines; without it mmdebstrap's own default mirror
# serves.
set -eu
target=$1
packages=$2
components=$3
sources=${4:-}

mkdir -p "$(dirname "$target")"
exec 9>"$target.lock"
flock 9
# Somebody else made it while this waited.
[ -d "$target" ] && exit 0

part="$target.part"
rm -rf --one-file-system "$part"
trap 'rm -rf --one-file-system "$part"' EXIT
include=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' "$packages" | grep -v '^$' | paste -s -d , -)
set -- --variant=minbase --components="$components" --include="$include" \
  --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  trixie "$part"
[ -z "$sources" ] || set -- "$@" "$sources"
# INITRD: a kernel's package makes none; the image has its own (make-initrd.sh). What mmdebstrap mounts ends with it, also
# where it is killed: a part that something is still mounted in could not be taken away, nor made again.
INITRD=No unshare --mount mmdebstrap "$@"
# A tree with nobody's identity: each node makes or is given its own.
rm -f "$part/etc/machine-id" "$part/etc/hostname" "$part/etc/resolv.conf"
mv -T "$part" "$target"
trap - EXIT
