#!/usr/bin/env bash
# The timeline in the README is what its command prints. VTLSIM_BLESS=1 writes it anew.
set -euo pipefail
build=$1
command=$(sed -n 's|^\$ build/release/vtlsim \(trace .*--hide.*\)$|\1|p' README.md | head -n 1)
[[ -n $command ]] || { echo "README.md has no trace command"; exit 1; }
made=$(mktemp) fresh=$(mktemp)
trap 'rm -f "$made" "$fresh"' EXIT
# shellcheck disable=SC2086  # the command's words
"$build/vtlsim" $command >"$made"
awk -v made="$made" '
    inside && /^```$/ { inside = 0 }
    !inside { print }
    /^\$ build\/release\/vtlsim trace .*--hide/ {
        while ((getline line < made) > 0) print line
        inside = 1
    }' README.md >"$fresh"
if [[ ${VTLSIM_BLESS:-} == 1 && -z ${CI:-} ]]; then
    cat "$fresh" >README.md
fi
diff -u README.md "$fresh" || {
    echo "README.md shows another timeline than the program prints: VTLSIM_BLESS=1 $0 $build"
    exit 1
}
