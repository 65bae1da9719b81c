#!/bin/sh
# Signs a program for the firmware: sign-efi.sh KEY CERTIFICATE PROGRAM OUT
# Runs in the tools tree. KEY is a PEM file or a PKCS#11 URI.
set -eu
source=file
case $1 in pkcs11:*) source=provider:pkcs11 ;; esac
/usr/lib/systemd/systemd-sbsign sign --private-key-source=$source --private-key="$1" --certificate="$2" \
  --output="$4" "$3" >/dev/null
