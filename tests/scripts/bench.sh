#!/usr/bin/env bash
# What the benchmarks execute, without their clock: both engines count the same instructions and end
# with the same registers. Skipped where the benchmarks are not built (make bench).
set -euo pipefail
bench=$1/bench
[[ -x $bench/bench_executor || -x $bench/bench_snapshot ]] || exit 77
for program in executor snapshot; do
    [[ ! -x $bench/bench_$program ]] || "$bench/bench_$program" --check
done
