#!/usr/bin/env bash
# vtlsim exec as a peer sees it: an answer a line, in order, and at once.
set -euo pipefail
vtlsim=$1/vtlsim
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { echo "$1"; exit 1; }

# Interactive: each answer arrives while the input is still open.
mkfifo "$work/in" "$work/out"
"$vtlsim" exec <"$work/in" >"$work/out" &
peer=$!
exec 3>"$work/in" 4<"$work/out"
for id in 1 2 3; do
    echo "{\"id\":$id,\"mode\":\"long64\",\"mem\":[{\"addr\":\"0xfff0\",\"bytes\":\"90f4\"}],\"max_steps\":5}" >&3
    read -r -t 60 answer <&4 || fail "no answer to request $id while the input is open"
    [[ $answer == "{\"id\":$id,\"steps\":2,\"outcome\":{\"kind\":\"hlt\"},"* ]] || fail "got $answer"
done
exec 3>&-
wait "$peer" || fail "status $? at the end of the input"

# Many lines, good and bad ones: as many answers, in order, the same each time.
awk 'BEGIN {
    for (i = 0; i < 30000; ++i)
        if (i % 10 == 9) print "{\"id\":" i ",\"mode\":";
        else print "{\"id\":" i ",\"mode\":\"long64\",\"regs\":{\"rip\":\"0x1000\",\"rsi\":\"0x" i "000\"}," \
                   "\"mem\":[{\"addr\":\"0x1000\",\"bytes\":\"c60607\"}]}"
}' >"$work/requests"
"$vtlsim" exec <"$work/requests" >"$work/answers" || fail "status $? over many lines"
[[ $(wc -l <"$work/answers") -eq 30000 ]] || fail "$(wc -l <"$work/answers") answers to 30000 lines"
[[ $(grep -c '"error"' "$work/answers") -eq 3000 ]] || fail "not 3000 errors"
grep -o '^{"id":[0-9]\+' "$work/answers" | cut -d: -f2 >"$work/ids"
awk '{ n = $1 } n <= last && NR > 1 { exit 1 } { last = n }' "$work/ids" || fail "out of order"
"$vtlsim" exec <"$work/requests" | cmp -s - "$work/answers" || fail "two runs differ"
