#!/usr/bin/env bash
# The trace viewer in a real browser, and mermaid's parser on the Mermaid output (tests/web). Pictures
# of every view stay in <build>/web-pictures. Skipped without chromium, node, or their modules.
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/../.."

skip() {
    echo "skipped: $*"
    exit 77
}
# Formats do not depend on how the program was built, and browsers take their time.
[[ $(basename "$build") != @(dev|asan|clang) ]] || skip "done with the preset release"
chromium=$(command -v chromium || command -v chromium-browser) || skip "no chromium"
command -v node >/dev/null || skip "no node"
(($(node -p 'process.versions.node.split(".")[0]') >= 18)) || skip "node is older than 18"
if ! (cd tests/web && npm ls >/dev/null 2>&1); then
    command -v npm >/dev/null || skip "no npm"
    (cd tests/web && timeout 300 npm ci --no-audit --no-fund --ignore-scripts >/dev/null 2>&1) ||
        skip "the modules of tests/web cannot be installed"
fi
export CHROMIUM=$chromium VTLSIM=$build/vtlsim PICTURES=$build/web-pictures
node --test --test-concurrency=1 tests/web/viewer.test.mjs
