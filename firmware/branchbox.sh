#!/bin/sh
# /usr/bin/branchbox on a box and in a lab node: the bundle under the Node that came with it.
# The compile cache makes the second start of the command line about twice as fast as the first.
# What must cost little at rest is no Node; what it is, is said there with all else.
case "${1:-} ${2:-}" in
  'console --help' | 'console -h') ;;
  'console '*)
    shift
    exec /usr/lib/branchbox/console "$@"
    ;;
esac
# Who uses the box's own keys is told whether its TPM can hold them; Node takes a provider at its start or never.
openssl=
case ${1:-} in agent | identity)
  TPM2OPENSSL_TCTI=${TPM2OPENSSL_TCTI:-device:/dev/tpmrm0}
  BRANCHBOX_TPM=$(/usr/lib/branchbox/tpm-ready)
  # tpm-make-key
  PATH=$PATH:/usr/lib/branchbox
  export TPM2OPENSSL_TCTI BRANCHBOX_TPM PATH
  case $BRANCHBOX_TPM in ready*) openssl=--openssl-config=/usr/lib/branchbox/openssl-tpm.cnf ;; esac ;;
esac
NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE:-/var/cache/branchbox/compile}
export NODE_COMPILE_CACHE
exec /usr/lib/branchbox/node $openssl --disable-warning=ExperimentalWarning /usr/lib/branchbox/branchbox.mjs "$@"
