#!/usr/bin/env bash
# format.sh [--check]: puts every source file into the form of .clang-format, or checks that it is.
# Uses no git, so that it works on an exported tree as well.
set -euo pipefail
cd "$(dirname "$0")/.."
action=(-i)
[[ ${1:-} != --check ]] || action=(--dry-run --Werror)
find sim model runner cli tests bench \( -name '*.cpp' -o -name '*.hpp' \) -print0 |
    xargs -0 clang-format-14 "${action[@]}"
