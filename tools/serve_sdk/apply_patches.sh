#!/bin/sh
# Applies debian/patches/series of an unpacked source package, as dpkg-source does: apply_patches.sh DIRECTORY
set -eu
cd "$1"
# They carry security fixes: a source without them is not what is wanted.
[ -s debian/patches/series ]
sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' debian/patches/series | while read -r name _; do
  patch --quiet --strip=1 --forward --no-backup-if-mismatch <"debian/patches/$name"
done
