#!/usr/bin/env bash
# setup.sh [build|test|bench]: installs what is missing to build (the default), to build and test,
# or to build and benchmark. Debian and its relatives only; elsewhere it says what is needed.
set -euo pipefail

purpose=${1:-build}
required=(make cmake ninja-build g++ libzydis-dev libzycore-dev libfmt-dev nlohmann-json3-dev
    libcli11-dev libvalijson-dev libxxhash-dev libmpfr-dev catch2)
optional=()  # without these something is skipped
case $purpose in
    build) ;;
    test)
        optional+=(clang-14 libclang-rt-14-dev clang-format-14 nasm libunicorn-dev libbenchmark-dev
            chromium libxml2-utils perl)
        # A newer one than Debian's, from elsewhere, will do.
        command -v node >/dev/null || optional+=(nodejs)
        command -v npm >/dev/null || optional+=(npm)
        ;;
    bench) required+=(libunicorn-dev libbenchmark-dev) ;;
    *)
        echo "usage: $0 [build|test|bench]" >&2
        exit 2
        ;;
esac

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    cat <<'EOF'
This is not a Debian machine, so nothing is installed for you. vtlsim needs:
  CMake 3.25, Ninja, a C++20 compiler (g++ 12 or clang++ 14 and newer),
  Zydis 4.0 with Zycore, fmt 9.1, nlohmann-json 3.11, CLI11 2.1, valijson 1.0, xxHash 0.8, MPFR 4.2,
  and for the tests Catch2 2.13 or 3, clang++-14 with its compiler-rt (libFuzzer), clang-format-14,
  nasm, Unicorn 2.0, xmllint, perl, node 20 and npm, and for those of the trace viewer chromium.
EOF
    exit 0
fi

is_installed() {
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

missing_of() {
    local package
    for package in "$@"; do
        is_installed "$package" || echo "$package"
    done
}

mapfile -t missing_required < <(missing_of "${required[@]}")
mapfile -t missing_optional < <(missing_of "${optional[@]}")
((${#missing_required[@]} + ${#missing_optional[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
    as_root=(sudo -n)  # never asks
    if ! sudo -n true 2>/dev/null; then
        echo "Packages are missing, and only root may install them. Please run:" >&2
        echo "    apt-get install ${missing_required[*]} ${missing_optional[*]}" >&2
        ((${#missing_required[@]} == 0))  # what is only optional may stay missing
        exit
    fi
fi
apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

echo "Installing: ${missing_required[*]} ${missing_optional[*]}"
apt update || echo "apt-get update failed; trying with the lists there are"
if ((${#missing_required[@]})); then
    apt install -y --no-install-recommends "${missing_required[@]}"
fi
for package in "${missing_optional[@]}"; do
    apt install -y --no-install-recommends "$package" || echo "$package is not to be had here; going on without it"
done
