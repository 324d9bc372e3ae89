#!/bin/sh
# Installs what motet builds from, out of Debian's own packages, when something is missing; with MOTET_PACKAGES, those too.
set -eu
packages="build-essential cmake ninja-build pkg-config libprotobuf-c-dev protobuf-c-compiler libonnx-dev libsndfile1-dev
libsoxr-dev libpulse-dev libfftw3-dev libjansson-dev libpcre2-dev libcmocka-dev ${MOTET_PACKAGES:-}"

missing=
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi
echo "installing from Debian:$missing"
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing
