#!/bin/sh
# Says of two builds which files are the same, and of those that differ what within: compare-builds.sh A B VERSION FILE…
# Runs in the tools tree. One line a file: "same NAME" or "differs NAME"; within a root, a disk or a kernel image the
# parts follow, indented.
set -eu
a=$1
b=$2
version=$3
shift 3
for name in "$@"; do
  if cmp -s "$a/$name" "$b/$name"; then
    echo "same    $name"
    continue
  fi
  echo "differs $name"
  case $name in
  *.root)
    for side in a b; do
      eval "file=\$$side/$name"
      fsck.erofs --extract=/tmp/root-$side --preserve "$file" >/dev/null 2>&1
    done
    diff -rq --no-dereference /tmp/root-a /tmp/root-b 2>/dev/null | head -100 | sed 's|/tmp/root-||g; s/^/          /' || :
    ;;
  *.efi)
    for section in .linux .ucode .initrd .cmdline .osrel .uname .sbat; do
      for side in a b; do
        eval "file=\$$side/$name"
        objcopy -O binary --only-section=$section "$file" /tmp/section-$side
      done
      cmp -s /tmp/section-a /tmp/section-b || echo "          section $section"
    done
    ;;
  *.raw) cmp -l "$a/$name" "$b/$name" | awk '{ print int($1 / 1048576) }' | uniq -c | head -20 | sed 's/^/          bytes in MiB: /' ;;
  esac
done
