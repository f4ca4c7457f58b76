#!/usr/bin/env bash
# start_up.sh VTLSIM [ROUNDS]: what starting the program and running one small scenario takes, as a
# multiple of /bin/true in the same run. The two take turns; the medians are compared. Exits with 1 if it is
# more than ten times.
set -euo pipefail
vtlsim=$1 rounds=${2:-200}
scenario=$(mktemp --suffix=.json)
trap 'rm -f "$scenario"' EXIT
echo '{"name":"n","why":"w","source":"s","guest":{"code":{"asm":"hlt"}},
    "expect":{"end":"guest-halted"}}' >"$scenario"

microseconds() {
    local start=${EPOCHREALTIME/./}
    "$@" >/dev/null
    echo $((${EPOCHREALTIME/./} - start))
}
for ((i = 0; i < rounds; ++i)); do
    echo "true $(microseconds /bin/true)"
    echo "vtlsim $(microseconds "$vtlsim" run "$scenario")"
done | sort -k1,1 -k2,2n | awk '
    { time[$1, ++count[$1]] = $2 }
    END {
        a = time["true", int((count["true"] + 1) / 2)]
        b = time["vtlsim", int((count["vtlsim"] + 1) / 2)]
        printf "/bin/true %d us, vtlsim run %d us: %.1f times\n", a, b, b / a
        exit b > 10 * a
    }'
