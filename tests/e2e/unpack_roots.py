"""Composes the example's image for every platform and unpacks each root: `unpack_roots.py DIRECTORY`, which gets amd64/, arm64/ and riscv64/.

The servers' own tests run on these roots: what they pass on is exactly what users get.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def unpack(architecture, root):
    with tempfile.TemporaryDirectory() as work:
        archive = pathlib.Path(work) / "image.tar"
        subprocess.run([os.environ["AIPACK_BIN"], "build", SOURCE / "examples/models/digits.onnx", "--platform", f"linux/{architecture}", "-q",
                        "-o", f"docker-archive:{archive}"], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "AIPACK_CACHE_DIR": os.environ["AIPACK_TEST_CACHE"]})
        subprocess.run(["tar", "-xf", archive, "-C", work], check=True)
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        for layer in json.loads((pathlib.Path(work) / "manifest.json").read_text())[0]["Layers"]:
            subprocess.run(["tar", "-xpf", pathlib.Path(work) / layer, "-C", root], check=True)


if __name__ == "__main__":
    for name in ("amd64", "arm64", "riscv64"):
        unpack(name, pathlib.Path(sys.argv[1]) / name)
