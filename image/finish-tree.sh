#!/bin/sh
# Makes the root tree of the image from Debian's packages as they were unpacked: finish-tree.sh RAW TARGET RECIPE
# Runs in the tools tree. RECIPE is the directory of prune.txt, modules.txt and microcode.txt.
# Owns: what leaves the tree, which modules stay, that nobody can log in with a password and who can with a key, and
# TARGET: root/, busybox, vmlinuz, microcode, kernel-version, packages.tsv (name, version, source, source version,
# architecture). TARGET is whole or absent.
# Does not own what of Branchbox is laid over it (payload.ts).
set -eu
raw=$1
target=$2
recipe=$3
part=$target.part
rm -rf --one-file-system "$part"
trap 'rm -rf --one-file-system "$part"' EXIT
mkdir -p "$part"
# Names of the same files: nothing below changes one in place.
cp -al "$raw" "$part/root"
root=$part/root

# --- what it is made of, before the package manager leaves
chroot "$root" dpkg-query -W \
  -f '${Package}\t${Version}\t${source:Package}\t${source:Version}\t${Architecture}\n' | sort >"$part/packages.tsv"

# --- for the initrd, whose one shell it is: the root has no use for it, and it can unpack packages among much else
cp "$root/usr/bin/busybox" "$part/busybox"

# --- kernel
version=$(cd "$root/usr/lib/modules" && echo *)
case $version in *' '* | '*') echo "finish-tree: one kernel is expected, found: $version" >&2; exit 1 ;; esac
echo "$version" >"$part/kernel-version"
cp "$root/boot/vmlinuz-$version" "$part/vmlinuz"

# --- modules: those that are listed and what they need
modules=$root/usr/lib/modules/$version
(cd "$modules" && find kernel -name '*.ko.xz' | sed 's/\.xz$//' | sort) >"$part/all"
lines() { sed -e 's/#.*//' -e 's/[[:space:]]*$//' "$1" | grep -v '^$'; }
# A glob as a regular expression over the whole path; the list speaks of paths below kernel/.
lines "$recipe/modules.txt" | sed -e 's/[.]/\\./g' -e 's/[*]/.*/g' -e 's|^|^kernel/|' -e 's/$/$/' >"$part/patterns"
idle=$(while read -r pattern; do grep -q "$pattern" "$part/all" || echo "$pattern"; done <"$part/patterns")
[ -z "$idle" ] || { printf 'finish-tree: no module fits this of modules.txt:\n%s\n' "$idle" >&2; exit 1; }
grep -f "$part/patterns" "$part/all" >"$part/listed"
# modules.dep names every module's needs in full, so one step is enough.
sed 's/\.xz//g' "$modules/modules.dep" | tr -d ':' |
  awk 'NR == FNR { listed[$1]; next } $1 in listed { for (i = 1; i <= NF; i++) print $i }' "$part/listed" - |
  sort -u >"$part/kept"
# Unpacked: the file system compresses them, and loading one then costs no xz.
while read -r module; do
  if grep -qxF "$module" "$part/kept"; then xz -dc "$modules/$module.xz" >"$modules/$module"; fi
  rm "$modules/$module.xz"
done <"$part/all"
find "$modules" -type d -empty -delete
rm -f "$modules"/modules.symbols* "$modules/build" "$modules/source"
depmod -b "$root" "$version"
rm -f "$modules"/modules.symbols*
rm "$part/all" "$part/patterns" "$part/listed" "$part/kept"

# --- microcode, as the kernel looks for it before any initrd (Documentation/arch/x86/microcode.rst)
place=$part/early/kernel/x86/microcode
mkdir -p "$place"
lines "$recipe/microcode.txt" | sort | while read -r model; do
  set -- "$root/usr/lib/firmware/intel-ucode/$model"-*
  [ -e "$1" ] || { echo "finish-tree: no microcode is for $model of microcode.txt" >&2; exit 1; }
  cat "$@"
done >"$place/GenuineIntel.bin"
cat "$root"/usr/lib/firmware/amd-ucode/*.bin >"$place/AuthenticAMD.bin"
find "$part/early" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
(cd "$part/early" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0) >"$part/microcode"
rm -r "$part/early"
# Of network cards alone: sound, radio and cameras have their drivers not here.
find "$root/usr/lib/firmware" -mindepth 1 -maxdepth 1 ! -name rtl_nic -exec rm -rf {} +

# --- what nobody needs on a box
idle=$(lines "$recipe/prune.txt" | while read -r glob; do
  # shellcheck disable=SC2086 # globs are meant to be expanded
  set -- $root$glob
  if [ -e "$1" ] || [ -L "$1" ]; then rm -rf --one-file-system "$@"; else echo "$glob"; fi
done)
[ -z "$idle" ] || { printf 'finish-tree: nothing fits this of prune.txt:\n%s\n' "$idle" >&2; exit 1; }
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -type l ! -name copyright -delete
find "$root/usr/share/doc" "$root/etc" -mindepth 1 -type d -empty -delete
find "$root" -xtype l -lname '/etc/alternatives/*' -delete
find "$root/etc/alternatives" -xtype l -delete

# --- nobody logs in: no account has a password, no program is root's whoever starts it
find "$root" -xdev -type f -perm /6000 | while read -r program; do
  # A new file: the tree of raw packages has the same one.
  cp -p "$program" "$part/program"
  chmod ug-s "$part/program"
  mv "$part/program" "$program"
done
# Nor does a day of a password's change stand there: it would be the day of the build.
awk -F : -v OFS=: '{ $2 = "!*"; $3 = ""; print }' "$raw/etc/shadow" >"$part/shadow"
chown --reference="$raw/etc/shadow" "$part/shadow"
chmod --reference="$raw/etc/shadow" "$part/shadow"
mv "$part/shadow" "$root/etc/shadow"

# --- but one account may log in, with a key, to look, where the desired state opens SSH (docs/ssh.md). No password fits `*`;
# sshd takes an account whose password begins with `!` for locked. 922: adduser counts up from 100, systemd-sysusers down
# from 999.
with() {
  awk -F : -v OFS=: "$2" "$root/etc/$1" >"$part/with"
  chown --reference="$root/etc/$1" "$part/with"
  chmod --reference="$root/etc/$1" "$part/with"
  mv "$part/with" "$root/etc/$1"
}
look=branchbox-look
if grep -qE "^$look:|^[^:]*:x:922:" "$root/etc/passwd" "$root/etc/group"; then
  echo "finish-tree: 922 or $look is taken in passwd or group" >&2
  exit 1
fi
with passwd "{ print } END { print \"$look:x:922:922::/:/bin/bash\" }"
with group "\$1 == \"systemd-journal\" { \$4 = \$4 (\$4 == \"\" ? \"\" : \",\") \"$look\" } { print } END { print \"$look:x:922:\" }"
with shadow "{ print } END { print \"$look:*:::::::\" }"
with gshadow "{ print } END { print \"$look:!*::\" }"
grep -q "^systemd-journal:.*$look" "$root/etc/group" || { echo 'finish-tree: there is no group systemd-journal' >&2; exit 1; }

# --- a package of which nothing is left is no part of it: nobody should look up the package manager's faults for a box. By
# files: directories stay. What was nothing but its licence stays too, others of its source are under it. Of these two the
# kernel image holds something (make-initrd.sh, ukify).
elsewhere='busybox-static systemd-boot-efi'
files_of() { (cd "$1" && find . ! -type d | sed -e 's/^[.]//' -e '/^\/usr\/share\/doc\//d'); }
files_of "$raw" >"$part/before"
files_of "$root" >"$part/after"
awk -v elsewhere="$elsewhere" '
  BEGIN { split(elsewhere, names, " "); for (i in names) kept[names[i]] }
  FILENAME == ARGV[1] { before[$0]; next }
  FILENAME == ARGV[2] { after[$0]; next }
  FNR == 1 { package = FILENAME; sub(/.*\//, "", package); sub(/(:[a-z0-9]+)?[.]list$/, "", package) }
  # dpkg knows some by /lib, which is a link.
  { sub(/^\/(bin|sbin|lib|lib64)\//, "/usr&") }
  $0 in before { had[package] }
  $0 in after { kept[package] }
  END { for (package in had) if (!(package in kept)) print package }
' "$part/before" "$part/after" "$raw"/var/lib/dpkg/info/*.list >"$part/gone"
awk -F '\t' 'FILENAME == ARGV[1] { gone[$0]; next } !($1 in gone)' "$part/gone" "$part/packages.tsv" >"$part/packages.part"
mv "$part/packages.part" "$part/packages.tsv"
rm "$part/before" "$part/after" "$part/gone"

rm -f "$root/etc/passwd-" "$root/etc/group-" "$root/etc/shadow-" "$root/etc/gshadow-" \
  "$root/etc/subuid-" "$root/etc/subgid-" "$root/etc/.pwd.lock"

mv -T "$part" "$target"
