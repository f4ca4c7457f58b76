#!/usr/bin/env bash
# What `vtlsim run` does for CI: choosing, shards, order, known failures, budgets, golden traces,
# reports that other tools read.
set -euo pipefail
vtlsim=$(cd "$1" && pwd)/vtlsim
cd "$(dirname "$0")/../.."
source_dir=$PWD
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset CI

problems=0
problem() { echo "runner: $*"; problems=$((problems + 1)); }
# expect STATUS ARGUMENTS...: leaves `out` and `err`.
expect() {
    local wanted=$1 status=0
    shift
    "$vtlsim" "$@" >out 2>err </dev/null || status=$?
    ((status == wanted)) || problem "vtlsim $*: exit status $status, not $wanted: $(cat err)"
}
has() { grep -qF -- "$1" "$2" || problem "no '$1' in: $(head -c 2000 "$2")"; }

# scenario NAME MORE END
scenario() {
    echo "{\"name\":\"$1\",\"why\":\"w\",\"source\":\"s\",\"guest\":{\"code\":{\"asm\":\"hlt\"}},
        $2 \"expect\":{\"end\":\"$3\"}}" >"$1.json"
}
mkdir all && cd all
vary='"variants":{"switches":{"gpr_model":["shared","shadow"],"vmm_fix":["V0","V2"]},
    "exclude":[{"gpr_model":"shared","vmm_fix":"V2"}]},'
scenario a '"tags":["quick"],' guest-halted
scenario b '' stuck
scenario c "\"tags\":[\"quick\",\"many\"],$vary" guest-halted
scenario d '"xfail":"not <fixed> & \"late\"",' stuck
scenario e '"xfail":"fixed # long ago",' guest-halted

# --- choosing ---
expect 0 run . --list
[[ $(cut -d' ' -f1 out | paste -sd' ') == \
    'a b c[gpr_model=shared,vmm_fix=V0] c[gpr_model=shadow,vmm_fix=V0] c[gpr_model=shadow,vmm_fix=V2] d e' ]] ||
    problem "--list: $(cat out)"
cp out everything
for i in 1 2 3; do
    expect 0 run . --list --shard $i/3
    cat out >>shards
done
[[ $(sort shards) == "$(sort everything)" ]] || problem "the shards are not the whole"
expect 0 run . --tag quick --format json
has '"total": 4' out
expect 0 run . --filter 'c[*V2]' --format json
has '"total": 1' out
expect 0 run c.json --variant vmm_fix=V2,gpr_model=shadow --format json
has '"total": 1' out
expect 2 run . --filter nothing-like-it
has 'no scenario is like that' err
expect 2 run . --shard 4/3
expect 0 run a.json --shard 2/2

# --- quiet, order, known failures ---
expect 0 run a.json c.json
[[ $(cat out) == '4 passed, 0 failed' ]] || problem "passes are not quiet: $(cat out)"
expect 1 run .
has 'FAIL   b  guest-halted' out
has 'XFAIL  d  guest-halted' out
has 'XPASS  e  guest-halted' out
has 'run   vtlsim run ./b.json' out
has '5 passed, 2 failed' out
expect 1 run . --fail-fast --format json
has '"total": 2' out
expect 1 run . --failed-first
expect 1 run . --failed-first --fail-fast --format json
has '"total": 1' out
has '"scenario": "b"' out
expect 0 run a.json --failed-first
[[ -e .vtlsim-failed && ! -s .vtlsim-failed ]] || problem "what passes is still in the list"
for jobs in 1 4; do
    expect 1 run . --jobs $jobs --format json --repeat 2
    cp out jobs.$jobs
done
cmp jobs.1 jobs.4 || problem "the number of threads shows"

# --- budgets ---
expect 3 run a.json --max-steps 5
has 'within 5 steps' out
expect 3 run a.json --max-memory 4096

# --- golden traces ---
scenario g '"golden":{"hide":["insn"]},' guest-halted
expect 1 run g.json
has 'there is none: --bless writes it' out
status=0
CI=1 "$vtlsim" run g.json --bless >out 2>err || status=$?
((status == 2)) && [[ ! -e g.trace ]] || problem "--bless works in CI"
expect 0 run g.json --bless
has '+++ g.trace' err
expect 0 run g.json
cp g.trace old.trace
sed -i 's/guest-halted$/stuck/' g.trace
expect 1 run g.json
has 'golden trace g.trace, line' out
expect 0 run g.json --bless
has '-' err
cmp -s g.trace old.trace || problem "--bless does not restore the trace"
echo 'no trace' >other.trace
expect 0 run . --bless --filter g  # a filter prunes nothing
[[ -e old.trace ]] || problem "--bless with a filter deletes files"
expect 1 run . --bless
[[ ! -e old.trace && -e other.trace && -e g.trace ]] || problem "--bless does not prune: $(ls)"

# --- determinism ---
cd "$source_dir"
"$vtlsim" run scenarios --verify-determinism >"$dir/out" || problem "runs differ: $(cat "$dir/out")"

((problems == 0))
