#!/usr/bin/env bash
# The verbs of authors: new, fmt, asm, disasm, includes; and input that means harm, which gets exit status
# 2 within bounds of time and memory.
set -euo pipefail
vtlsim=$(cd "$1" && pwd)/vtlsim
cd "$(dirname "$0")/../.."
source_dir=$PWD
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

problems=0
problem() { echo "author: $*"; problems=$((problems + 1)); }
expect() {
    local wanted=$1 status=0
    shift
    "$vtlsim" "$@" >out 2>err </dev/null || status=$?
    ((status == wanted)) || problem "vtlsim $*: exit status $status, not $wanted: $(head -c 500 err)"
}
has() { grep -qF -- "$1" "$2" || problem "no '$1' in: $(head -c 1000 "$2")"; }

# --- new: every template runs as written, and is well laid out ---
mkdir made && cd made
"$vtlsim" new --list >../list
while read -r name _; do
    expect 0 new "$name" "my $name.json"
done <../list
has '"name": "my-minimal"' 'my minimal.json'
has '"./scenario.schema.json"' 'my minimal.json'
[[ -s scenario.schema.json ]] || problem "no schema beside the scenario"
expect 0 run .
expect 0 check .
expect 0 fmt --check .
expect 2 new minimal 'my minimal.json'
has 'is there already' err
expect 2 new minimul x.json
has 'did you mean "minimal"?' err
cd ..

# --- fmt ---
printf '{"name":"n", // here\n "why":"w","source":"s","guest":{"code":{"asm":"hlt"}},"expect":{"end":"guest-halted"}}' >f.json
expect 1 fmt --check f.json
has '+  "name": "n",  // here' out
expect 0 fmt f.json
expect 0 fmt --check f.json
expect 0 run f.json
echo '{' >bad.json
expect 2 fmt bad.json
[[ $(cat bad.json) == '{' ]] || problem "fmt changes a broken file"
(cd "$source_dir" && "$vtlsim" fmt --check scenarios examples >"$dir/out") || problem "layout: $(cat out)"
(cd "$source_dir" && "$vtlsim" check scenarios examples >/dev/null) || problem "a shipped scenario is wrong"

# --- includes ---
mkdir -p inc/sub other
echo '{"why":"a device","devices":[{"port":"0x3FE","reads":[5]}]}' >inc/sub/com.part.json
echo '{"guest":{"code":{"asm":["mov edx, 0x3FE","in al, dx","hlt"]}}}' >other/code.part.json
echo '{"name":"n","why":"w","source":"s","include":["sub/com.part.json","code.part.json"],
    "expect":{"end":"guest-halted","state":{"vtl0.rax":5}}}' >inc/main.json
expect 2 run inc
has 'inc/main.json:1:67: /include/1: there is no such file' err
expect 0 run inc --include other
expect 0 check inc --include other
sed 's#sub/com#../inc/sub/com#' inc/main.json >inc/up.json
expect 2 check inc/up.json --include other
has 'lies below the scenario' err
rm inc/up.json
ln -s "$dir/other/code.part.json" inc/link.part.json
sed 's#"code#"link#' inc/main.json >inc/link.json
expect 2 check inc/link.json
has 'a link leads out' err
rm inc/link.json

# --- asm and disasm ---
printf 'start:  mov eax, 5\n        jmp start\n' >code.asm
expect 0 asm code.asm
[[ $(cat out) == 'b8 05 00 00 00 eb f9' ]] || problem "asm: $(cat out)"
bytes=$(cat out)
expect 0 disasm $bytes
has 'jmp 0x1000' out
expect 0 disasm --bits 16 --origin 0x7c00 eb fe
has 'jmp 0x7c00' out
expect 0 asm code.asm --format binary -o code.bin
expect 0 disasm --binary --file code.bin
has 'mov eax, 0x5' out
expect 2 asm bad.json
has 'bad.json:1:1:' err
expect 2 disasm 9
expect 2 disasm zz
expect 2 asm no-such-file

# --- sarif ---
expect 2 check bad.json --format sarif
has '"startLine": 2' out
expect 0 check f.json --format sarif
has '"results": []' out

# --- harm: 400 MB of address space and ten seconds are enough (but not where sanitizers reserve terabytes) ---
limit=400000
grep -qE 'fsanitize=[a-z,-]*address' "$(dirname "$vtlsim")/CMakeCache.txt" && limit=unlimited
harm() {
    local status=0
    (ulimit -v $limit; exec timeout 10 "$vtlsim" check "$1") >out 2>err </dev/null || status=$?
    ((status == 2)) || problem "$1: exit status $status"
    [[ $(head -n 1 err) =~ ^$1:[0-9]+:[0-9]+: ]] || problem "$1: says $(head -c 300 err)"
}
{ printf '{"why":"'; head -c 50000000 /dev/zero | tr '\0' a; echo '"}'; } >huge.json
harm huge.json
head -c 15000000 huge.json >cut.json
harm cut.json
{ head -c 10000 /dev/zero | tr '\0' '['; head -c 10000 /dev/zero | tr '\0' ']'; } >deep.json
harm deep.json
{ printf '['; for ((i = 0; i < 9; ++i)); do printf '{"a":%.0s' {1..60}; printf '1'; printf '}%.0s' {1..60}; printf ','; done; echo '1]'; } >deep-and-wide.json
harm deep-and-wide.json
printf '{"name":"\xff\xfe"}' >utf8.json
harm utf8.json
{ printf '{'; for ((i = 0; i < 20000; ++i)); do printf '"a":1,'; done; echo '"a":1}'; } >twice.json
harm twice.json
{ printf '{'; for ((i = 0; i < 20000; ++i)); do printf '"k%d":1,' $i; done; echo '"a":1}'; } >keys.json
harm keys.json
echo '{"limits":{"steps":1e999,"memory":-1},"name":99999999999999999999}' >numbers.json
harm numbers.json
head -c 100000 /dev/urandom >noise.json
harm noise.json
: >empty.json
harm empty.json
printf '\0' >nul.json
harm nul.json

((problems == 0))
