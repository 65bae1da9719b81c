#!/bin/sh
# Copies what a directory holds over another: copy-over.sh FROM TO
# Owns: that modes are those of the image (0755 for directories and programs, 0644 for other files), whatever the umask
# was of who cloned the repository or made the keys: /usr itself takes the mode of firmware/root/usr, and a box on which
# only root may enter it runs no daemon.
set -eu
tar -C "$1" --mode='u=rwX,go=rX' --owner=0 --group=0 --numeric-owner -cf - . | tar -C "$2" -xpf -
