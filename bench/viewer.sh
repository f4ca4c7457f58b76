#!/usr/bin/env bash
# viewer.sh BUILD-FOLDER: the trace viewer in headless chromium. Size and opening time of the crash's
# page, and how many events a second one can walk through where there are 100,000. Needs chromium, node
# and the modules of tests/web (tests/scripts/web.sh installs them).
set -euo pipefail
vtlsim=$(cd "${1:-build/release}" && pwd)/vtlsim
cd "$(dirname "$0")/.."
chromium=$(command -v chromium || command -v chromium-browser)

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/long.json" <<'EOF'
{
  "name": "long", "why": "a loop with loads, stores and port reads, for the viewer's speed", "source": "bench/viewer.sh",
  "guest": { "code": { "at": "0x1000", "asm": [
    "        mov     edx, 0x3FE",
    "        mov     ecx, 400",
    "again:  mov     [0x9000 + rcx * 8], rcx",
    "        add     rbx, [0x9000 + rcx * 8]",
    "        in      al, dx",
    "        dec     ecx",
    "        jnz     again",
    "        hlt" ] } },
  "limits": { "steps": 1000000 },
  "expect": { "end": "guest-halted" }
}
EOF
"$vtlsim" trace scenarios/sidecar/crash-shadow.json --format html -o "$dir/crash.html"
"$vtlsim" trace "$dir/long.json" --format html -o "$dir/long.html"
CHROMIUM=$chromium node tests/web/bench.mjs "$dir/crash.html" "$dir/long.html"
