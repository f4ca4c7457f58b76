#!/usr/bin/env bash
# An editor completes, explains and marks scenario files: tests/editor/schema.mjs. Skipped without node
# and npm, or where the language service cannot be had.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v node >/dev/null && command -v npm >/dev/null || exit 77
(($(node -p 'process.versions.node.split(".")[0]') >= 20)) || exit 77
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp tests/editor/package.json tests/editor/package-lock.json tests/editor/schema.mjs "$dir"
(cd "$dir" && timeout 120 npm ci --no-audit --no-fund >log 2>&1) || exit 77
node "$dir/schema.mjs" "$PWD"
