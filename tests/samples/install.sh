#!/bin/sh
# What `make install` leaves must be enough: a program built with pkg-config against the installed library runs, and the
# installed command finds its installed model.  install.sh BUILD_FOLDER SOURCE_FOLDER
set -eu
build=$1 source=$2
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$build" --prefix "$prefix" >"$prefix/log"
export PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name motet.pc)")
cc "$source/samples/who.c" $(pkg-config --cflags --libs motet) -o "$prefix/who"
export LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
cd "$prefix"
"$prefix/who" "$prefix/share/motet/models/motet-cnn.onnx" "$source/samples/conversation.flac" >who.txt
"$prefix/bin/motet" diarize --quiet "$source/samples/conversation.flac" >turns.rttm
test "$(wc -l <who.txt)" = "$(wc -l <turns.rttm)"
# Nothing internal leaves the shared library.
if nm -D --defined-only "$LD_LIBRARY_PATH/libmotet.so" | awk '{ print $3 }' | grep -v '^motet_'; then
    echo "the names above should not be exported" >&2
    exit 1
fi
