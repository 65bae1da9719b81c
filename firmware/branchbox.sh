#!/bin/sh
# /usr/bin/branchbox on a box and in a lab node: the bundle under the Node that came with it.
# The compile cache makes the second start of the command line about twice as fast as the first.
# What must cost little at rest is no Node.
if [ "${1:-}" = console ]; then
  shift
  exec /usr/lib/branchbox/console "$@"
fi
NODE_COMPILE_CACHE=${NODE_COMPILE_CACHE:-/var/cache/branchbox/compile}
export NODE_COMPILE_CACHE
exec /usr/lib/branchbox/node --disable-warning=ExperimentalWarning /usr/lib/branchbox/branchbox.mjs "$@"
