#!/bin/sh
# Makes what fills a slot: make-slot.sh TREE VERSION STAGED FIRMWARE_ROOT OUT
# Runs in the tools tree. STAGED holds payload/ and units/; OUT gets root, verity, roothash.
# Owns: the merge of tree and overlay, the file system, its hashes; their bytes depend on the input alone
# (SOURCE_DATE_EPOCH, UUIDs and salt of VERSION).
set -eu
tree=$1
version=$2
staged=$3
files=$4
out=$5
here=$(dirname "$0")
# Version 8 of RFC 9562: our own digest in a UUID's form.
digest() { printf '%s' "branchbox $1 $version" | sha256sum | cut -c -"$2"; }
uuid() { digest "$1" 32 | sed 's/^\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)\(.\{12\}\)$/\1-\2-8\3-8\4-\5/'; }

mkdir -p /tmp/layer/upper /tmp/layer/work /tmp/layer/root
mount -t overlay overlay -o "lowerdir=$tree,upperdir=/tmp/layer/upper,workdir=/tmp/layer/work" /tmp/layer/root
"$here/lay-over.sh" /tmp/layer/root "$version" "$staged/payload" "$staged/units" "$files"

rm -f "$out/root" "$out/verity"
# fragments: the ends of files are packed together, 11 MB less of 228.
mkfs.erofs --quiet -T "$SOURCE_DATE_EPOCH" --all-time -U "$(uuid root)" -L branchbox-root \
  -z "${BRANCHBOX_COMPRESSION:-lz4hc}" -C 65536 -E fragments "$out/root" /tmp/layer/root
veritysetup format --uuid "$(uuid verity)" --salt "$(digest salt 64)" --root-hash-file "$out/roothash" \
  "$out/root" "$out/verity" >/dev/null
# veritysetup makes its file for the owner alone; these are for everybody to check and to serve.
chmod 0644 "$out/root" "$out/verity" "$out/roothash"
