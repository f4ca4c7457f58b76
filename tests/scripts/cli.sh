#!/usr/bin/env bash
# The command line: every exit status, messages of one line, output files, closed pipes.
set -euo pipefail
vtlsim=$(cd "$1" && pwd)/vtlsim
cd "$(dirname "$0")/../.."
crash=$PWD/tests/golden/crash.json
golden=$PWD/tests/golden/crash.trace
dir=$(mktemp -d)
trap 'chmod -R u+rwx "$dir"; rm -rf "$dir"' EXIT
cd "$dir"

problems=0
problem() { echo "cli: $*"; problems=$((problems + 1)); }

# expect STATUS STDERR ARGUMENTS...: STDERR is the whole of it, '' for nothing. Leaves stdout in `out`.
expect() {
    local wanted=$1 message=$2 status=0
    shift 2
    "$vtlsim" "$@" >out 2>err </dev/null || status=$?
    ((status == wanted)) || problem "vtlsim $*: exit status $status, not $wanted"
    [[ $(cat err) == "$message" ]] || problem "vtlsim $*: says '$(cat err)', not '$message'"
}
# The same, where stdout is TEXT.
expect_out() {
    local text=$1
    shift
    expect "$@"
    [[ $(cat out) == "$text" ]] || problem "vtlsim ${*:3}: prints '$(cat out)', not '$text'"
}

head='"name":"n","why":"w","source":"s"'
halts="{$head,\"guest\":{\"code\":{\"asm\":\"hlt\"}},\"expect\":{\"end\":"
echo "$halts\"guest-halted\"}}" >pass.json
echo "$halts\"stuck\"}}" >fail.json
echo "{$head,\"guest\":{\"code\":{\"asm\":\"a: jmp a\"}},\"expect\":{\"end\":\"guest-halted\"}}" >endless.json
echo "{$head,\"guest\":{\"code\":{\"asm\":\"getsec\"}},\"expect\":{\"end\":\"not-modelled\"}}" >gap.json
echo "{$head,
  \"guest\":{\"code\":{\"asm\":[\"mov eax, 1\", \"hlt %\"]}},\"expect\":{\"end\":\"guest-halted\"}}" >bad.json
bad="bad.json:2:49: /guest/code/asm: unexpected character '%'"
mkdir empty

# --- run ---
expect 0 '' run pass.json
[[ $(tail -n 1 out) == '1 passed, 0 failed' ]] || problem "no count at the end"
expect 1 '' run fail.json
expect 1 '' run gap.json
expect 1 '' run pass.json fail.json endless.json
expect 3 '' run endless.json pass.json
"$vtlsim" check bad.json 2>err >out || true
bad=$(cat err)
[[ $bad =~ ^bad.json:2:[0-9]+:\ /guest/code/asm:\ .+$ && $bad != *$'\n'* ]] || problem "bad.json: $bad"
expect 2 "$bad" run bad.json
expect 2 "$bad" run pass.json bad.json fail.json
[[ $(tail -n 1 out) == '1 passed, 2 failed' ]] || problem "a bad file keeps others from running"
expect 2 'missing.json:1:1: cannot open the file: No such file or directory' run missing.json
expect 2 'empty:1:1: no scenario (*.json) in this folder' run empty
expect 2 'vtlsim: run needs a scenario file or a folder (see vtlsim --help)' run
expect 2 "$bad" run pass.json bad.json --format json

if ((EUID != 0)); then  # root may read everything
    cp pass.json secret.json
    chmod 0 secret.json
    expect 2 'secret.json:1:1: cannot open the file: Permission denied' run secret.json
    mkdir -p closed/below
    cp pass.json closed
    chmod 0 closed/below
    expect 2 'closed:1:1: cannot read the folder: Permission denied' run closed
fi

# --- folders: all of them, by path, other files left alone ---
mkdir -p tree/b/c tree/a
for name in tree/b/c/1 tree/z tree/a/2 tree/a/10 tree/b/0; do
    sed "s/\"n\"/\"${name//\//.}\"/" pass.json >$name.json
done
echo 'not a scenario' >tree/a/notes.txt
expect 0 '' run tree -v
[[ $(sed -n 's/^PASS   \([^ ]*\).*/\1/p' out | paste -sd' ') == \
    'tree.a.10 tree.a.2 tree.b.0 tree.b.c.1 tree.z' ]] || problem "order of a folder: $(cat out)"
ln -s nowhere tree/link.json
expect 2 'tree/link.json:1:1: cannot open the file: No such file or directory' run tree

# --- JSON: one object, the same in every run ---
expect 2 "$bad" run --format json pass.json fail.json bad.json endless.json empty/../gap.json
cp out first
expect 2 "$bad" run --format json pass.json fail.json bad.json endless.json empty/../gap.json
cmp first out || problem "two runs, two results"
if command -v python3 >/dev/null; then
    python3 - <<'PYTHON' || problem "the JSON is not as the design says"
import json, re
report = json.load(open("first"))
assert list(report) == ["results", "summary"], report
assert report["summary"] == {"passed": 1, "failed": 4, "total": 5}
assert [r["status"] for r in report["results"]] == ["pass", "fail", "error", "limit", "error"]
for r in report["results"]:
    assert list(r) == ["scenario", "file", "variant", "status", "failures", "steps", "hash"], r
    assert r["variant"] == {}
    assert (r["status"] == "pass") == (r["failures"] == [])
    for f in r["failures"]:
        assert list(f) == ["expectation", "expected", "got", "step"], f
        assert all(isinstance(f[k], str) for k in ("expectation", "expected", "got"))
    assert re.fullmatch("[0-9a-f]{16}", r["hash"]) or r["file"] == "bad.json"
PYTHON
fi
expect 2 'empty:1:1: no scenario (*.json) in this folder' run --format json empty
grep -q '"total": 1' out || problem "an empty folder is not in the JSON"

# --- usage ---
hint='(see vtlsim --help)'
verbs=$("$vtlsim" 2>&1 | sed -n 's/^vtlsim: no verb given \(([a-z, ]*)\) .*/\1/p') || true
[[ $verbs == *run* && $verbs == *trace* && $verbs == *check* ]] || problem "no verb: '$verbs'"
expect 2 "vtlsim: unknown verb \"rnu\"; did you mean \"run\"? $hint" rnu pass.json
expect 2 "vtlsim: unknown verb \"frobnicate\" $verbs $hint" frobnicate
expect 2 "vtlsim: The following argument was not expected: --fast $hint" run --fast pass.json
expect 2 "vtlsim: --format: xml not in {text,json,junit,tap} $hint" run --format xml pass.json
expect 2 "vtlsim: files is required $hint" trace
expect 2 "vtlsim: two runs beside each other need --format html $hint" trace pass.json fail.json
expect 2 "vtlsim: trace shows one run, or two beside each other $hint" trace pass.json pass.json pass.json --format html
for format in html json lanes mermaid perfetto svg; do
    expect 0 '' trace pass.json --format $format
    cp out first
    expect 0 '' trace pass.json --format $format
    cmp -s out first || problem "trace --format $format: not the same twice"
    expect 3 '' trace endless.json --format $format
done
expect 2 "vtlsim: check needs a scenario file or a folder $hint" check
expect 2 "vtlsim: what: colours not in {switches,kvm-switches,invariants,events,registers,instructions} $hint" list colours
expect 0 '' --help
expect 0 '' run --help
expect 0 '' --version

# --- check, list, schema ---
expect_out '2 files are well-formed' 0 '' check pass.json fail.json
expect_out '1 file is well-formed' 0 '' check pass.json
expect_out '' 2 "$bad" check pass.json bad.json
expect_out '' 2 'empty:1:1: no scenario (*.json) in this folder' check empty
for what in switches kvm-switches invariants events registers instructions; do
    expect 0 '' list "$what"
    [[ -s out ]] || problem "list $what prints nothing"
done
expect 0 '' schema
cmp -s out "$OLDPWD/docs/scenario.schema.json" || problem "docs/scenario.schema.json is old"

# --- trace ---
expect 0 '' trace "$crash"
diff -u "$golden" out || problem "the trace of the crash is not the golden one"
expect 3 '' trace endless.json
expect 1 '' trace gap.json
expect 2 "$bad" trace bad.json
expect 0 '' trace "$crash" --hide insn,store
grep -q ' insn ' out && problem "--hide insn shows instructions"
expect 2 "vtlsim: --hide: unknown event \"insm\"; did you mean \"insn\"? $hint" trace "$crash" --hide insm
expect 2 "vtlsim: --variant: pass.json has no variants $hint" trace pass.json --variant a=b
sed 's/"expect"/"variants":{"switches":{"gpr_model":["shared","shadow"],"vmm_fix":["V0"]}},"expect"/' \
    pass.json >variants.json
first=gpr_model=shared,vmm_fix=V0
expect 2 "vtlsim: --variant is needed: this scenario has several; the first is $first $hint" trace variants.json
expect 2 "vtlsim: --variant: there is no \"gpr_model=shadw\"; the first is $first $hint" \
    trace variants.json --variant gpr_model=shadw
expect 0 '' trace variants.json --variant gpr_model=shadow,vmm_fix=V0
cp out one
expect 0 '' trace variants.json --variant vmm_fix=V0,gpr_model=shadow
cmp one out || problem "the order of switches in --variant matters"

# --- output files ---
expect_out '' 0 '' trace "$crash" -o trace.txt
cmp trace.txt "$golden" || problem "-o writes something else"
[[ ! -e trace.txt.tmp ]] || problem "a temporary file is left"
expect 2 'no/such/folder/x: cannot be written: No such file or directory' trace "$crash" -o no/such/folder/x
expect 2 'empty: cannot be written: Is a directory' trace "$crash" -o empty
expect 0 '' trace "$crash" -o /dev/null
[[ -c /dev/null ]] || problem "/dev/null is a file now"
if [[ -c /dev/full ]]; then
    status=0
    "$vtlsim" trace "$crash" >/dev/full 2>err || status=$?
    [[ $status == 2 && $(cat err) == 'standard output: cannot be written: No space left on device' ]] ||
        problem "a full disk: exit status $status, '$(cat err)'"
fi

# --- a reader that goes away ---
for arguments in "run fail.json" "trace $crash" "list registers" "schema"; do
    status=0
    # The reader is gone before the writer starts.
    { sleep 0.2; "$vtlsim" $arguments 2>err || echo $? >status; } | true
    [[ ! -s err ]] || problem "closed pipe, vtlsim $arguments: says '$(cat err)'"
    if [[ -e status ]]; then
        status=$(cat status)
        rm status
    fi
    case $arguments in
        run*) wanted=1 ;;
        *) wanted=0 ;;
    esac
    ((status == wanted)) || problem "closed pipe, vtlsim $arguments: exit status $status"
done

((problems == 0))
