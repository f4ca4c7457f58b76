#!/usr/bin/env bash
# pictures.sh BUILD-FOLDER: makes the pictures of README and docs anew from what vtlsim prints.
# The screenshot of the viewer needs chromium and the modules of tests/web; without them it stays.
set -euo pipefail
vtlsim=$(cd "${1:-build/release}" && pwd)/vtlsim
cd "$(dirname "$0")/.."

quiet=insn,store,vmm-write,vmm-run,driver-write,msr,hypercall,interrupt-pending,interrupt-accepted,halt,regpage
svg() { "$vtlsim" trace "$2" --format svg --hide "$3" -o "$1"; }

mkdir -p docs/pictures docs/lessons/pictures
svg docs/pictures/race.svg scenarios/race/golden-g2.json "$quiet"
svg docs/lessons/pictures/1.svg scenarios/lessons/1-private-and-shared.json "$quiet,ipi-sent,ipi-landed"
svg docs/lessons/pictures/2.svg scenarios/lessons/2-return-and-reentry.json "$quiet,ipi-sent,ipi-landed"
svg docs/lessons/pictures/3.svg scenarios/lessons/3-intercept-message.json "$quiet,ipi-sent,ipi-landed"
svg docs/lessons/pictures/4.svg scenarios/sidecar/crash-shadow.json "$quiet,ipi-sent,ipi-landed"
svg docs/lessons/pictures/5.svg scenarios/race/golden-g2.json "$quiet,ipi-sent,ipi-landed"
"$vtlsim" trace scenarios/lessons/6-moving-rip.json --variant kvm=v2,act=p4 --format svg -o docs/lessons/pictures/6.svg

chromium=$(command -v chromium || command -v chromium-browser) || chromium=
if [[ -z $chromium ]] || ! (cd tests/web && npm ls) >/dev/null 2>&1; then
    echo "docs/pictures/timeline*.png stay as they are: no chromium, or no modules in tests/web"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$vtlsim" trace scenarios/sidecar/crash-shadow.json --format html -o "$dir/crash.html"
"$vtlsim" trace scenarios/race/golden-g2.json scenarios/race/golden-g14.json --format html -o "$dir/two.html"
CHROMIUM=$chromium node tests/web/pictures.mjs "$dir" docs/pictures
