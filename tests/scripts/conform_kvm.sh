#!/usr/bin/env bash
# conform_kvm.sh BUILD: the model against this machine's /dev/kvm, where there is a usable one.
set -euo pipefail
vtlsim=$1/vtlsim
export TMPDIR=${TMPDIR:-/tmp}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

problem() {
    echo "$*" >&2
    exit 1
}

status=0
"$vtlsim" conform kvm >"$work/out" 2>&1 || status=$?
((status == 2)) || problem "conform kvm with nothing to do: status $status"
status=0
"$vtlsim" conform kvm --recording "$work/none.json" >"$work/out" 2>&1 || status=$?
((status == 2)) || problem "a recording that is not there: status $status"
for recording in tests/kvm/recordings/*.json; do
    "$vtlsim" conform kvm --recording "$recording" >"$work/out" || problem "$(cat "$work/out")"
done

"$vtlsim" conform kvm --table >"$work/out" || problem "$(cat "$work/out")"
if grep -q '^skipped:' "$work/out"; then
    cat "$work/out"
    exit 77
fi
grep -q '^0 cells differ' "$work/out" || problem "no table"
"$vtlsim" conform kvm scenarios/kvm >"$work/out" || problem "$(cat "$work/out")"
# An AP that is parked and never started blocks in KVM_RUN: a time limit ends it.
cat >"$work/parked.json" <<'END'
{ "name": "parked", "why": "w", "source": "kvm-pio.md 4.5", "evidence": "derived", "teaches": "t",
  "kvm": { "guest": { "mode": "real16", "code": { "at": "0x1000", "asm": ["in al, 0x80", "hlt"] } },
    "userspace": { "rules": [ { "when": { "reason": "io" }, "then": [ { "do": "mp-state", "value": 1 } ] } ] } },
  "expect": { "state": { "exits": "io,eagain" } } }
END
timeout 60 "$vtlsim" conform kvm "$work/parked.json" >"$work/out" || problem "a parked AP: $(cat "$work/out")"
for seed in 11 12 13; do
    "$vtlsim" conform kvm --random 300 --seed $seed >"$work/out" 2>/dev/null ||
        problem "$(cat "$work/out")"
done
"$vtlsim" conform kvm --random 100 --seed 14 --fresh --record "$work/recording.json" >"$work/out" 2>/dev/null ||
    problem "$(cat "$work/out")"
"$vtlsim" conform kvm --recording "$work/recording.json" >"$work/out" || problem "$(cat "$work/out")"
