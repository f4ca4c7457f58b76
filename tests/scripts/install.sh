#!/usr/bin/env bash
# What `cmake --install` leaves works: the program runs, and a project that uses find_package(vtlsim)
# builds with the same compiler and flags and runs.
set -euo pipefail
build=$1
source_dir=$(dirname "$0")/../install
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
quietly() { "$@" >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }; }

quietly cmake --install "$build" --prefix "$dir/usr"
quietly cmake -S "$source_dir" -B "$dir/build" -G "$(cached CMAKE_GENERATOR)" \
    -D CMAKE_PREFIX_PATH="$dir/usr" -D CMAKE_BUILD_TYPE=Debug \
    -D CMAKE_CXX_COMPILER="$(cached CMAKE_CXX_COMPILER)" \
    -D CMAKE_CXX_FLAGS="$(cached CMAKE_CXX_FLAGS)"
quietly cmake --build "$dir/build"

version=$("$dir/build/consumer")
[[ $version == "$(cached CMAKE_PROJECT_VERSION)" ]] || {
    echo "the library says version '$version'"
    exit 1
}
printed=$("$dir/usr/bin/vtlsim" --version)
[[ $printed == *"$version"* ]] || {
    echo "vtlsim --version prints '$printed', not $version"
    exit 1
}

# The examples: a user's own handler, device and actor, in C++ and in C.
quietly cmake -S "$dir/usr/share/vtlsim/examples" -B "$dir/examples" -G "$(cached CMAKE_GENERATOR)" \
    -D CMAKE_PREFIX_PATH="$dir/usr" -D CMAKE_BUILD_TYPE=Debug \
    -D CMAKE_CXX_COMPILER="$(cached CMAKE_CXX_COMPILER)" \
    -D CMAKE_CXX_FLAGS="$(cached CMAKE_CXX_FLAGS)"
quietly cmake --build "$dir/examples"
for language in cpp c; do
    printed=$("$dir/examples/handler_$language" "$dir/usr/share/vtlsim/examples/guest.json") || {
        echo "the example handler_$language fails: $printed"
        exit 1
    }
    [[ $printed == *"rsi=12345679 rax=40000001 dma=d0d"* && $printed == PASS* ]] || {
        echo "the example handler_$language prints: $printed"
        exit 1
    }
done
"$dir/usr/bin/vtlsim" run "$dir/usr/share/vtlsim/scenarios" >/dev/null
