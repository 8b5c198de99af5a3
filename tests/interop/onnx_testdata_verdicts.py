#!/usr/bin/python3
"""Compares aipack's verdicts on the ONNX project's own test models with what Debian's ONNX Runtime really loads.

Two steps, because the library runs on Debian 13 and aipack may not:

  1. In a Debian 13 system, container or chroot (with /proc) that has libonnxruntime1.21, libonnx-testdata and python3:

       python3 onnx_testdata_verdicts.py load > loaded.tsv

     creates a session for each model through the C API and prints error code (0: loaded), path and message.

  2. Where aipack is built, with the models of the same package below DIR (its usr/share/libonnx-testdata/data):

       python3 onnx_testdata_verdicts.py compare --judge build/dev/bin/onnx_verdicts \\
           --catalog build/dev/share/aipack/runtimes --models DIR [--loaded loaded.tsv]

     prints the confusion matrix and every disagreement, and fails when less than 99.5 % agree, when a model that cannot be loaded is
     accepted, or when a model brought aipack down. Without --loaded it uses onnx_testdata_1.21.tsv beside this script, the list of
     the models that 1.21.0 of Debian 13 did not load.

Models that compare words in the locale en_US.UTF-8 are refused although most of them load: without that locale in the image they
fail at the first request. The comparison names them and does not count them as disagreements.
"""

import argparse
import collections
import ctypes
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE_FOLDER = "/usr/share/libonnx-testdata/data"
LEAST_AGREEMENT = 0.995
SKIP = 77


def load(library):
    """The few entries of the C API's function table that a session needs (onnxruntime_c_api.h, struct OrtApi)."""
    pointer = ctypes.c_void_p
    lib = ctypes.CDLL(library)
    lib.OrtGetApiBase.restype = pointer
    base = ctypes.cast(lib.OrtGetApiBase(), ctypes.POINTER(pointer))
    table = ctypes.cast(ctypes.CFUNCTYPE(pointer, ctypes.c_uint32)(base[0])(17), ctypes.POINTER(pointer))

    def entry(index, result, *arguments):
        return ctypes.CFUNCTYPE(result, *arguments)(table[index])
    error_code, error_message = entry(1, ctypes.c_int, pointer), entry(2, ctypes.c_char_p, pointer)
    create = entry(7, pointer, pointer, ctypes.c_char_p, pointer, ctypes.POINTER(pointer))
    release_status, release_session = entry(93, None, pointer), entry(95, None, pointer)
    environment, options = pointer(), pointer()
    assert not entry(3, pointer, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(pointer))(4, b"verdicts", ctypes.byref(environment))
    assert not entry(10, pointer, ctypes.POINTER(pointer))(ctypes.byref(options))
    assert not entry(24, pointer, pointer, ctypes.c_int)(options, 1)  # one thread
    for path in sorted(pathlib.Path(PACKAGE_FOLDER).rglob("*.onnx")):
        session = pointer()
        status = create(environment, str(path).encode(), options, ctypes.byref(session))
        name = path.relative_to(PACKAGE_FOLDER)
        if not status:
            print(0, name, "", sep="\t")
            release_session(session)
            continue
        print(error_code(status), name, " ".join(error_message(status).decode(errors="replace").split())[:200], sep="\t")
        release_status(status)
    return 0


def compare(options):
    models = options.models and pathlib.Path(options.models)
    if not models or not models.is_dir():
        print("no folder of test models: unpack Debian's libonnx-testdata and name its usr/share/libonnx-testdata/data")
        return SKIP
    refused = {}
    for line in options.loaded.read_text(encoding="utf-8").splitlines():
        code, name, message = line.split("\t")
        if code != "0":
            refused[name] = message
    paths = sorted(models.rglob("*.onnx"))
    judge = subprocess.run([options.judge, options.catalog, "linux/amd64"], input="".join("%s\n" % p for p in paths), text=True,
                           stdout=subprocess.PIPE, check=False)
    if judge.returncode != 0:
        print("the judge ended with %d" % judge.returncode)
        return 1
    matrix, disagreements, locale = collections.Counter(), [], []
    lines = judge.stdout.splitlines()
    for line in lines:
        path, verdict, cause = line.split("\t", 2)
        name = str(pathlib.Path(path).relative_to(models))
        loads, serves = name not in refused, verdict == "serve"
        matrix[loads, serves] += 1
        if loads and not serves and "locale" in cause:
            locale.append(name)
        elif loads != serves:
            disagreements.append((name, verdict, cause, refused.get(name, "it loads")))
    print("%d models           aipack serves   aipack refuses" % len(lines))
    for loads in (True, False):
        print("%-18s %14d %16d" % ("loads" if loads else "does not load", matrix[loads, True], matrix[loads, False]))
    for name in locale:
        print("loads, but cannot run without the locale: %s" % name)
    for disagreement in disagreements:
        print("disagreement: %s\n  aipack: %s %s\n  library: %s" % disagreement)
    agreement = 1 - len(disagreements) / max(1, len(lines))
    print("agreement %.2f %%" % (100 * agreement))
    return 0 if len(lines) == len(paths) and agreement >= LEAST_AGREEMENT and matrix[False, True] == 0 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    loader = verbs.add_parser("load")
    loader.add_argument("--library", default="libonnxruntime.so.1.21")
    comparer = verbs.add_parser("compare")
    comparer.add_argument("--judge", required=True)
    comparer.add_argument("--catalog", required=True)
    comparer.add_argument("--models", default=os.environ.get("AIPACK_ONNX_TESTDATA", ""), help="default: AIPACK_ONNX_TESTDATA")
    comparer.add_argument("--loaded", type=pathlib.Path, default=HERE / "onnx_testdata_1.21.tsv")
    options = parser.parse_args()
    return load(options.library) if options.verb == "load" else compare(options)


if __name__ == "__main__":
    sys.exit(main())
