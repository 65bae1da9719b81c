#!/bin/sh
# Signs a program for the firmware: sign-efi.sh KEY CERTIFICATE PROGRAM OUT
# Runs in the tools tree. KEY is a PEM file or a PKCS#11 URI.
# The time of signing, which a signature holds, is SOURCE_DATE_EPOCH: two builds of a commit are the same.
set -eu
FAKETIME=$(date -u -d "@$SOURCE_DATE_EPOCH" '+%Y-%m-%d %H:%M:%S')
TZ=UTC LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1
export FAKETIME TZ LD_PRELOAD
source=file
case $1 in pkcs11:*) source=provider:pkcs11 ;; esac
/usr/lib/systemd/systemd-sbsign sign --private-key-source=$source --private-key="$1" --certificate="$2" \
  --output="$4" "$3" >/dev/null
