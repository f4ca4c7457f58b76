#!/usr/bin/env bash
# docs/lessons: each command is run, and what a page says that it prints is there, in that order.
# `vtlsim learn` lists the pages, and prints them.
set -euo pipefail
vtlsim=$(cd "$1" && pwd)/vtlsim
cd "$(dirname "$0")/../.."

problems=0
problem() { echo "lessons: $*"; problems=$((problems + 1)); }

# in_order WANTED GOT: each line of WANTED, blanks at the ends apart, is part of a line of GOT, later
# ones further down.
in_order() {
    awk 'NR == FNR { sub(/^[ \t]+/, ""); sub(/[ \t]+$/, ""); wanted[n++] = $0; next }
         at < n && index($0, wanted[at]) { ++at }
         END { if (at < n) { print wanted[at]; exit 1 } }' "$1" "$2"
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin"
ln -s "$vtlsim" "$dir/bin/vtlsim"
export PATH=$dir/bin:$PATH

commands=0
run_block() {  # of page $1: command $2, wanted lines in $dir/wanted
    [[ -n $2 ]] || return 0
    commands=$((commands + 1))
    bash -c "$2" >"$dir/got" 2>/dev/null </dev/null || true
    local missing
    missing=$(in_order "$dir/wanted" "$dir/got") || problem "$1: '$2' does not print '$missing'"
    [[ -s $dir/wanted ]] || problem "$1: '$2' has no output to check"
}

pages=(docs/lessons/[1-9]*.md)
for page in "${pages[@]}"; do
    block= command=
    while IFS= read -r line; do
        if [[ $line == '```console' ]]; then
            block=yes command=
        elif [[ $block && $line == '```' ]]; then
            run_block "$page" "$command"
            block=
        elif [[ $block && $line == '$ '* ]]; then
            run_block "$page" "$command"
            command=${line#\$ }
            : >"$dir/wanted"
        elif [[ $block ]]; then
            echo "$line" >>"$dir/wanted"
        fi
    done <"$page"
    name=$(basename "$page" .md)
    [[ $(PAGER=false vtlsim learn "${name%%-*}") == "$(cat "$page")" ]] || problem "learn ${name%%-*} is not $page"
    vtlsim learn | grep -qF "$page" || problem "learn does not list $page"
    picture=docs/lessons/$(grep -o 'pictures/[0-9]*\.svg' "$page") || problem "$page has no picture"
    [[ -s $picture ]] || problem "$page: no $picture"
done
((commands > 0)) || problem "no command was run"
status=0
vtlsim learn nothing >/dev/null 2>"$dir/err" || status=$?
((status == 2)) || problem "learn nothing: exit status $status"
echo "${#pages[@]} lessons, $commands commands"
exit $((problems > 0))
