#!/bin/sh
# What somebody does on a fresh machine, in the README's order: job.sh [lab] [apps] [test]. Ends with the number of failures.
# Owns: the steps and what each must show. Does not own the machine it runs on (tree.ts, machine-init.sh, vm.ts).
set -u
cd /root/branchbox
failed=0
branchbox=./branchbox

step() {
  name=$1
  shift
  echo
  echo "== $name: $*"
  started=$(date +%s)
  if "$@"; then mark=ok; else
    mark=FAIL
    failed=$((failed + 1))
  fi
  echo "== $mark $name $(($(date +%s) - started)) s"
}
refused() { ! "$@"; }
app_answers() { [ "$($branchbox lab exec "$1" -- curl -sf --max-time 5 http://10.10.0.100)" = red-app ]; }
# The memory limit of the app, as the kernel holds it; of either version of cgroups.
app_is_limited() {
  find /sys/fs/cgroup -path '*branchbox-lab*' \( -name memory.max -o -name memory.limit_in_bytes \) \
    -exec grep -H '^[0-9]\{1,12\}$' {} +
}
in_kernel_where_it_can() {
  devices=$($branchbox lab exec branch1 -- ip -br link show type wireguard) || return
  echo "$devices"
  case $($branchbox lab exec branch1 -- branchbox check --json | tr -d ' \n') in
  *'"feature":"wireguard","present":true'*) [ -n "$devices" ] ;;
  *) [ -z "$devices" ] ;;
  esac
}
nothing_left() {
  left=$(
    ip netns list
    grep -E 'branchbox-lab|/bb-' /proc/self/mountinfo
    find /run/branchbox-lab /var/lib/branchbox-lab /sys/fs/cgroup -name '*branchbox-lab*' 2>/dev/null
    grep -lsz '^BRANCHBOX_LAB=' /proc/[0-9]*/environ
  )
  [ -z "$left" ] || { echo "$left"; return 1; }
}

for part in "$@"; do
  case $part in
  lab)
    step lab npm run lab
    step in-service $branchbox lab status
    step red-reaches-red $branchbox lab exec branch1-red -- ping -c3 10.10.0.12
    step app app_answers branch2-red
    step not-for-blue refused $branchbox lab exec branch1-blue -- curl -sf --max-time 3 http://10.10.0.100
    step limits app_is_limited
    step wireguard in_kernel_where_it_can
    step cut $branchbox lab cut branch1 internet
    step failed-over $branchbox lab exec branch1-red -- ping -c3 10.10.0.12
    step status $branchbox lab exec branch1 -- branchbox status
    step heal $branchbox lab heal branch1 internet
    step explain $branchbox lab exec branch1 -- branchbox explain link:br-10010
    step down $branchbox lab down
    step nothing-left nothing_left
    ;;
  apps) step apps ./launch node_modules/vitest/vitest.mjs run --project lab test/lab/containers.test.ts ;;
  test) step test npm test ;;
  *)
    echo "job.sh: there is no part $part" >&2
    exit 2
    ;;
  esac
done
exit "$failed"
