#!/usr/bin/env bash
# The test program counts right, and notices when nothing ran: tests/selftest_tally.cpp.
set -euo pipefail
program=$1/vtlsim_tests

expect() {
    local expected=$1 expected_status=$2 status=0 output
    shift 2
    output=$("$program" "$@" 2>&1) || status=$?
    if [[ ${output##*$'\n'} != "$expected" || $status -ne $expected_status ]]; then
        echo "vtlsim_tests $*: expected '$expected' and status $expected_status," \
            "got '${output##*$'\n'}' and $status"
        exit 1
    fi
}
expect '1 passed, 3 failed, 1 skipped' 1 '[tally]'
expect '1 passed, 0 failed, 1 skipped' 0 '[tally]~[fails]'
expect '0 passed, 0 failed, 0 skipped' 1 '[no such tag]'
