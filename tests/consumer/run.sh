#!/bin/sh
# Installs the build tree into a fresh prefix, moves it, and builds three tiny projects against it: find_package, pkg-config, and the Python
# package. run.sh BUILD_DIR SOURCE_DIR COMPILER PYTHON
set -eu
build=$1 source=$2 compiler=$3 python=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/prefix" # nothing in an installed tree may name the place it was installed to
libdir=$(dirname "$(find "$work/prefix" -name 'libaipack.so' | head -n 1)")

cmake -S "$source/tests/consumer/find_package" -B "$work/find_package" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_CXX_COMPILER="$compiler" >/dev/null
cmake --build "$work/find_package" >/dev/null
"$work/find_package/consumer"

flags=$(PKG_CONFIG_PATH="$libdir/pkgconfig" pkg-config --cflags --libs aipack)
# shellcheck disable=SC2086
"$compiler" -std=c++20 "$source/tests/consumer/main.cpp" $flags -o "$work/by_pkg_config"
LD_LIBRARY_PATH=$libdir "$work/by_pkg_config"

package=$(dirname "$(find "$work/prefix" -path '*aipack/__init__.py' | head -n 1)")
if [ -d "$package" ]; then
  PYTHONPATH=$(dirname "$package") LD_LIBRARY_PATH=$libdir "$python" -c 'import aipack; print(aipack.__version__)'
fi

# The installed command finds its library and its data.
LD_LIBRARY_PATH=$libdir "$work/prefix/bin/aipack" runtimes | grep -q onnxruntime
echo "every consumer works"
