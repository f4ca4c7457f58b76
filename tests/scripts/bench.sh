#!/usr/bin/env bash
# What the benchmarks execute, without their clock: both engines count the same instructions and end
# with the same registers. Skipped where the benchmarks are not built (make bench).
set -euo pipefail
bench=$1/bench/bench_executor
[[ -x $bench ]] || exit 77
"$bench" --check
