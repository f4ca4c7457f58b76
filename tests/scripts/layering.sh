#!/usr/bin/env bash
# Dependencies point one way, cli -> runner -> model -> sim: no layer includes one above it.
set -euo pipefail
cd "$(dirname "$0")/../.."

status=0
forbid() {
    local layer=$1 above=$2 found
    if found=$(grep -rnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[\"<](\.\./)*($above)/" \
        --include='*.cpp' --include='*.hpp' --include='*.h' --include='*.def' "$layer"); then
        echo "$layer/ must not include from a layer above it:"
        echo "$found"
        status=1
    fi
}
forbid sim 'model|runner|api|cli|tests|bench'
forbid model 'runner|api|cli|tests|bench'
forbid runner 'cli|api|tests|bench'
forbid api 'cli|tests|bench'
forbid cli 'tests|bench'
exit $status
