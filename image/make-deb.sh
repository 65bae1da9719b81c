#!/bin/sh
# Makes the Debian package for a machine that is already there: make-deb.sh STAGED VERSION PACKAGES FIRMWARE_ROOT OUT
# Runs in the tools tree. STAGED holds payload/ and units/; PACKAGES is packages.txt, FIRMWARE_ROOT firmware/root.
# Owns: what of Branchbox such a machine gets, and which of Debian's services give way to ours.
# Its disk, boot and updates stay the machine's own: no slots, no verity.
set -eu
staged=$1
version=$2
packages=$3
files=$4
out=$5
# dpkg knows no `^`.
debian_version=$(printf '%s' "$version" | tr '^' '+')
maintainer='Branchbox maintainers <maintainers@branchbox.example>'
root=/tmp/deb
units=$root/usr/lib/systemd/system

mkdir -p $root/DEBIAN $root/usr/bin $root/usr/lib/branchbox $units $root/etc/systemd/system
cp -R "$staged/payload/." $root/usr/lib/branchbox/
ln -s ../lib/branchbox/branchbox.sh $root/usr/bin/branchbox
cp -R "$staged/units/." $units/
# What of the image's root has nothing to do with its disk.
(cd "$files" && cp --parents -R usr/lib/modules-load.d usr/lib/udev/rules.d \
  usr/lib/systemd/system/branchbox-identity.service.d \
  usr/lib/systemd/system/branchbox-no-identity.service $root)
# Each unit is wanted by what it says itself, and the gateway by a start of the machine: nothing is left to enabling.
for unit in $units/*.service $units/*.timer $units/*.path; do
  [ -f "$unit" ] || continue
  for wanting in $(sed -n 's/^WantedBy=//p' "$unit"); do
    mkdir -p "$units/$wanting.wants"
    ln -s "../${unit##*/}" "$units/$wanting.wants/${unit##*/}"
  done
done
mkdir -p $units/multi-user.target.wants
ln -s ../branchbox-gateway.target $units/multi-user.target.wants/branchbox-gateway.target
# Ours in the place of Debian's of the same name; files of another package may not be replaced, but overridden. By links: a
# file there would be the administrator's, stay when the package is removed, and start what is not there any more.
for unit in containerd.service docker.service; do
  mv "$units/$unit" $root/usr/lib/branchbox/
  ln -s "/usr/lib/branchbox/$unit" "$root/etc/systemd/system/$unit"
done
# Debian's way to start what we start ourselves: two of a kind would fight over routes and sockets.
# So would two clients on a port, each with its own default route: of the ways in which a Debian has its network, none goes on.
for unit in frr.service docker.socket mosquitto.service ssh.service ssh.socket \
  networking.service ifup@.service systemd-networkd.service systemd-networkd.socket NetworkManager.service dhcpcd.service; do
  ln -s /dev/null "$root/etc/systemd/system/$unit"
done

depends=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' "$packages" | grep -v '^$' | paste -s -d , - | sed 's/,/, /g')
# Debian Policy 12.5.
mkdir -p $root/usr/share/doc/branchbox
cat >$root/usr/share/doc/branchbox/copyright <<'COPYRIGHT'
Branchbox is licensed under the Apache License, Version 2.0: /usr/share/common-licenses/Apache-2.0.

The package holds code of packages of npm, and Node.js. Their licences: /usr/lib/branchbox/licences.txt.
COPYRIGHT
# Debian Policy 12.7. With no revision of Debian's in the version there is no other changelog to tell it from.
case $version in *-*) changelog=changelog.Debian ;; *) changelog=changelog ;; esac
gzip -9n >"$root/usr/share/doc/branchbox/$changelog.gz" <<CHANGELOG
branchbox ($debian_version) trixie; urgency=medium

  * Version $version. What changed is in the history of its sources.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
CHANGELOG
# systemd's version is Debian 13's: on an older Debian FRR lacks a daemon and sandboxes mean something else.
cat >$root/DEBIAN/control <<CONTROL
Package: branchbox
Version: $debian_version
Architecture: amd64
Maintainer: $maintainer
Section: net
Priority: optional
Installed-Size: $(du -sk --apparent-size $root | cut -f 1)
Depends: systemd (>= 257), udev, kmod, passwd, $depends
Recommends: ppp, openssh-server, modemmanager, tpm2-openssl (>= 1.3), tpm2-tools
Description: SD-WAN branch gateway
 Encrypted tunnels over several uplinks, segments of tenants across sites, their containers on them. Takes over the
 network ports of the machine that it is installed on; what it is, comes from /etc/branchbox/factory.
CONTROL
cat >$root/DEBIAN/postinst <<'SCRIPT'
#!/bin/sh
set -e
case $1 in
configure) ;;
abort-remove)
  # prerm had stopped it.
  [ ! -d /run/systemd/system ] || systemctl start branchbox-gateway.target || :
  exit 0
  ;;
*) exit 0 ;;
esac
# Whom SSH lets in where the desired state opens it (docs/ssh.md). No password fits `*`, and sshd does not take it for locked.
getent passwd branchbox-look >/dev/null ||
  useradd --system --user-group --home-dir / --no-create-home --shell /bin/bash --password '*' branchbox-look
usermod --append --groups systemd-journal branchbox-look
# Whom the container engine and chrony ask for names, as in the image: the agent writes it, of what the uplinks say
# (src/agent/resolvConf.ts), and until then it says what was there. Who wrote that comes with no start any more.
own=/run/branchbox/resolv.conf
before=/etc/resolv.conf.before-branchbox
if [ "$(readlink /etc/resolv.conf || :)" != $own ]; then
  mkdir -p ${own%/*}
  [ -e $own ] || cp -L /etc/resolv.conf $own 2>/dev/null || :
  # In a container it is mounted there, and stays.
  { [ ! -e /etc/resolv.conf ] && [ ! -L /etc/resolv.conf ]; } || mv -T /etc/resolv.conf $before || :
  [ -e /etc/resolv.conf ] || ln -s $own /etc/resolv.conf
fi
# In an image that is being built there is no systemd to tell.
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
systemctl stop frr.service docker.socket mosquitto.service || :
modprobe br_netfilter || :
systemctl restart containerd.service docker.service ||
  echo 'branchbox: the container engine did not start (journalctl -u docker.service). Apps wait for it; all else runs.' >&2
systemctl restart branchbox-gateway.target
# An upgrade: the new code runs; traffic goes on meanwhile.
systemctl try-restart branchbox-agent.service branchbox-identity.service
# Stopped here, it would take away the line that somebody may be installing by.
for unit in networking systemd-networkd NetworkManager dhcpcd; do
  ! systemctl -q is-active $unit.service ||
    echo "branchbox: $unit still holds this machine's ports. Restart the machine: it does not come again then." >&2
done
SCRIPT
cat >$root/DEBIAN/prerm <<'SCRIPT'
#!/bin/sh
set -e
[ "$1" = remove ] && [ -d /run/systemd/system ] || exit 0
systemctl stop branchbox-gateway.target branchbox-ssh.service branchbox-agent.service branchbox-identity.service \
  frr-bgpd.service frr-bfdd.service frr-staticd.service frr-zebra.service frr-mgmtd.service || :
SCRIPT
cat >$root/DEBIAN/postrm <<'SCRIPT'
#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload || :
if [ "$1" = remove ] && [ "$(readlink /etc/resolv.conf || :)" = /run/branchbox/resolv.conf ]; then
  rm /etc/resolv.conf
  mv -T /etc/resolv.conf.before-branchbox /etc/resolv.conf 2>/dev/null || :
fi
[ "$1" = purge ] || exit 0
# The mark of a reset that was cut too: another installation would go on with it, over what the engine of others has by then.
rm -rf /var/lib/branchbox /var/cache/branchbox /var/lib/branchbox-factory-reset
userdel branchbox-look || :
SCRIPT
chmod -R u=rwX,go=rX $root
chmod 755 $root/DEBIAN/postinst $root/DEBIAN/prerm $root/DEBIAN/postrm
# What `dpkg --verify` holds the files on a machine against.
(cd $root && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
find $root -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zzstd -z12 --build $root "$out" >/dev/null
