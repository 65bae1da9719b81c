#!/bin/sh
# Makes an initrd to be put after the real one: its init panics the kernel. For tests of going back: make-panic.sh TARGET
# Runs in the tools tree.
set -eu
mkdir /tmp/panic
cat >/tmp/panic/init <<'INIT'
#!/usr/bin/sh
mount -t proc proc /proc
echo c >/proc/sysrq-trigger
INIT
chmod 755 /tmp/panic/init
touch -d "@$SOURCE_DATE_EPOCH" /tmp/panic/init
cd /tmp/panic && echo init | cpio -o -H newc --quiet --reproducible -R 0:0 | zstd -q >"$1"
