#!/usr/bin/env bash
# fuzz.sh [SECONDS [TARGET...]]: builds the fuzz targets (all, or those named) and lets each look for
# so many seconds, keeping what it learns in build/fuzz/corpus. Without SECONDS, what the tests do: a
# fixed number of runs from a fixed seed. An input that fails stays in build/fuzz as TARGET-crash-*.
# Exits 77 where clang++-14 or its libFuzzer is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! echo 'extern "C" int LLVMFuzzerTestOneInput(const char*, long) { return 0; }' |
    clang++-14 -fsanitize=fuzzer,address,undefined -x c++ - -o /dev/null 2>/dev/null; then
    echo "no clang++-14 with libFuzzer and the sanitizers"
    exit 77
fi

seconds=${1:-}
shift || true
targets=("$@")
((${#targets[@]})) || targets=(executor scenario assembler exec_request)
mkdir -p build/fuzz
declare -A runs=([executor]=3000 [scenario]=3000 [assembler]=3000 [exec_request]=6000)

cmake --preset asan </dev/null >/dev/null
cmake --build --preset fuzz </dev/null

# What each starts from: small texts that are already in the repository.
make_seeds() {
    local folder=$1
    case $2 in
        scenario) cp scenarios/sidecar/golden-g18.json "$folder" ;;
        assembler) { echo -n x && cat model/vtl2/common.asm; } >"$folder/common" ;;
        exec_request)
            echo '{"id":1,"mode":"long64","regs":{"rax":"0x1","rip":"0x1000"},"mem":[{"addr":"0x1000","bytes":"90f4"}],"max_steps":2,"until":"hlt"}' >"$folder/nop"
            ;;
    esac
}

failed=0
for target in "${targets[@]}"; do
    arguments=(-max_len=4096 -timeout=60 -rss_limit_mb=4096 -print_final_stats=1
        -artifact_prefix="build/fuzz/$target-")
    [[ $target == executor ]] && arguments+=(-max_len=64)
    [[ -e tests/fuzz/$target.dict ]] && arguments+=(-dict="tests/fuzz/$target.dict")
    if [[ $seconds ]]; then
        arguments+=(-max_total_time="$seconds")
        corpus=build/fuzz/corpus/$target
        mkdir -p "$corpus"
    else
        arguments+=(-seed=1 -len_control=0 -runs="${runs[$target]}")
        corpus=$(mktemp -d)
    fi
    make_seeds "$corpus" "$target"
    if build/asan/fuzz/fuzz_"$target" "${arguments[@]}" "$corpus" >build/fuzz/"$target".log 2>&1; then
        echo "fuzz $target: $(grep -o 'number_of_executed_units: .*' build/fuzz/"$target".log) inputs"
        grep -o '^rows reached: [0-9]* of [0-9]*' build/fuzz/"$target".log || true
    else
        echo "fuzz $target: FAILED"
        tail -n 60 build/fuzz/"$target".log
        failed=1
    fi
    [[ $seconds ]] || rm -rf "$corpus"
done
exit "$failed"
