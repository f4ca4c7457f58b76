#!/usr/bin/env bash
# suite.sh all|PRESET...: builds the given presets and runs every test on each: the unit tests, the
# script tests, the scenarios; and compares the scenarios' results with those of the release build.
# `all` is release (g++, -O3, no assertions), asan (clang++, -O1, assertions), a short run of the fuzz
# targets and the checks that need no build.
# As many test programs run beside each other as there are processors.
# The last line is "N passed, N failed, N skipped"; exits non-zero if one failed or none passed.
set -euo pipefail
cd "$(dirname "$0")/.."

if (($# == 0)); then
    echo "usage: $0 all|PRESET..." >&2
    exit 2
fi

readonly time_limit=${VTLSIM_TEST_TIMEOUT:-1500}  # seconds, for each program started
readonly results=build/results  # <preset>.json of each build, <preset>-<part>.log of its tests
passed=0 failed=0 skipped=0
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

pass() { passed=$((passed + 1)); echo "ok       $1"; }
fail() { failed=$((failed + 1)); echo "FAILED   $1"; }
skip() { skipped=$((skipped + 1)); echo "skipped  $1"; }

bounded() { timeout --kill-after=10 "$time_limit" "$@" </dev/null; }

check_format() {
    if ! command -v clang-format-14 >/dev/null; then
        skip "formatting: no clang-format-14"
    elif tools/format.sh --check; then
        pass "formatting"
    else
        fail "formatting: try 'make format'"
    fi
}

check_fuzz_targets() {
    local status=0
    bounded tools/fuzz.sh || status=$?
    case $status in
        0) pass "fuzz targets" ;;
        77) skip "fuzz targets: no clang++-14 with libFuzzer" ;;
        *) fail "fuzz targets: exit status $status" ;;
    esac
}

# The test program counts its own cases. Dying without a last line, or an exit status that does not
# go with the counts, is one failure more.
run_unit_tests() {
    local name=$1 program=$2 log=$3 status=0 tally
    bounded "$program" >"$log" 2>&1 || status=$?
    cat "$log"
    tally=$(tail -n 1 "$log")
    if [[ $tally =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + BASH_REMATCH[3]))
        ((status == 0 || BASH_REMATCH[2] > 0)) || fail "$name: exit status $status"
    else
        fail "$name: ended without a count, exit status $status (124 = time limit)"
    fi
}

run_script_tests() {
    local build=$1 script name status
    for script in tests/scripts/*.sh; do
        name="$build $(basename "$script" .sh)"
        status=0
        bounded bash "$script" "$build" || status=$?
        case $status in
            0) pass "$name" ;;
            77) skip "$name" ;;
            *) fail "$name: exit status $status" ;;
        esac
    done
}

# Prints the member of the summary in the JSON that `vtlsim run` printed.
summary_of() {
    tr -d ' \n' <"$1" | grep -o '"summary":{[^}]*}' | grep -o "\"$2\":[0-9]*" | grep -o '[0-9]*$'
}

run_scenarios() {
    local name=$1 build=$2 json=$3 status=0 good bad total
    bounded "$build/vtlsim" run scenarios --format json >"$json" || status=$?
    if good=$(summary_of "$json" passed) && bad=$(summary_of "$json" failed) &&
        total=$(summary_of "$json" total); then
        echo "$name: $good passed, $bad failed"
        passed=$((passed + good))
        failed=$((failed + bad))
        ((total > 0)) || fail "$name: none ran"
        ((good + bad == total)) || fail "$name: passed and failed are not all of the $total"
        ((status == 0 || bad > 0)) || fail "$name: exit status $status"
    else
        fail "$name: no summary, exit status $status (124 = time limit)"
    fi
    ((status == 0)) || bounded "$build/vtlsim" run scenarios || true
}

# The results hold a hash of each event log: compiler and build type must not show in them.
compare_results() {
    local preset=$1 mine=$results/$1.json reference=$results/release.json
    [[ $preset == release ]] && return
    if [[ ! -e $reference ]]; then
        skip "$preset gives the same scenario results as release: release has not run"
    elif cmp "$mine" "$reference"; then
        pass "$preset gives the same scenario results as release"
    else
        fail "$preset gives other scenario results than release"
        diff "$reference" "$mine" | cut -c 1-200 | head -n 20 || true
    fi
}

build_preset() {
    local preset=$1
    echo "=== build of $preset"
    cmake --preset "$preset" </dev/null && cmake --build --preset "$preset" </dev/null
}

# What is wrong here, check_fuzz_targets says.
build_fuzz() {
    echo "=== build of the fuzz targets"
    { cmake --preset asan && cmake --build --preset fuzz; } </dev/null || true
}

test_units() { run_unit_tests "build/$1 unit tests" "build/$1/vtlsim_tests" "build/$1/unit.log"; }
test_rest() {
    run_script_tests "build/$1"
    run_scenarios "build/$1 scenarios" "build/$1" "$results/$1.json"
}

readonly places=$(nproc)
started=()

# start NAME COMMAND...: runs it in the background when there is a place, with counts of its own.
start() {
    local name=$1
    shift
    while (($(jobs -rp | wc -l) >= places)); do
        wait -n || true
    done
    echo "=== started: $name"
    started+=("$name")
    (
        passed=0 failed=0 skipped=0
        "$@"
        echo "$passed $failed $skipped" >"$results/$name.counts"
    ) >"$results/$name.log" 2>&1 &
}

finish() {
    local name counts
    wait
    for name in "${started[@]}"; do
        echo "=== $name"
        cat "$results/$name.log"
        if read -r -a counts <"$results/$name.counts"; then
            passed=$((passed + counts[0]))
            failed=$((failed + counts[1]))
            skipped=$((skipped + counts[2]))
        else
            fail "$name: ended without a count"
        fi
    done
}

tools/setup.sh test
mkdir -p "$results"
rm -f "$results"/*.counts
everything=false
presets=("$@")
if [[ $* == all ]]; then
    everything=true
    presets=(release asan)
fi

if $everything; then check_format; fi
built=()
for preset in "${presets[@]}"; do
    rm -f "$results/$preset.json"
    if [[ $preset =~ ^(clang|asan)$ ]] && ! command -v clang++-14 >/dev/null; then
        skip "preset $preset: no clang++-14"
    elif build_preset "$preset"; then
        built+=("$preset")
    else
        fail "build of $preset"
    fi
done
if $everything; then build_fuzz; fi

# What takes longest is built last.
for ((i = ${#built[@]} - 1; i >= 0; --i)); do
    start "${built[i]}-units" test_units "${built[i]}"
done
if $everything; then start fuzz check_fuzz_targets; fi
for preset in "${built[@]}"; do
    start "$preset-rest" test_rest "$preset"
done
finish
for preset in "${built[@]}"; do
    compare_results "$preset"
done

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
