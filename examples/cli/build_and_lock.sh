#!/bin/sh
# Pins every input of an image, then builds exactly that, twice: build_and_lock.sh MODEL FOLDER
set -eu
aipack plan "$1" --platform all -q -o "$2/aipack.lock"
first=$(aipack build "$1" --platform all --locked "$2/aipack.lock" -q -o "oci:$2/first.oci:1")
second=$(aipack build "$1" --platform all --locked "$2/aipack.lock" -q --offline -o "oci:$2/second.oci:1")
[ "$first" = "$second" ] && echo "$first"
