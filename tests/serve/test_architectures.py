"""What was cross compiled: every program's form, and that it serves under an emulator.

AIPACK_TEST_ROOT_ARM64 and AIPACK_TEST_ROOT_RISCV64 name unpacked roots like AIPACK_TEST_ROOT; without them only --version runs,
against the cross compiler's own C library.
"""

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

import models
import support

MACHINES = {"amd64": 62, "arm64": 183, "riscv64": 243}  # e_machine
MOST_BYTES = 1_000_000
MOST_COMPRESSED_BYTES = 400_000
OLDEST = {"GLIBC": (2, 36), "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13)}  # Debian 12


class Form(unittest.TestCase):
    def each(self):
        for architecture in MACHINES:
            with self.subTest(architecture):
                yield architecture, support.program(architecture)

    def test_headers(self):
        if not shutil.which("readelf"):
            self.skipTest("no readelf")
        for architecture, path in self.each():
            data = path.read_bytes()
            self.assertEqual(struct.unpack_from("<HH", data, 16), (3, MACHINES[architecture]))  # ET_DYN: position independent
            text = subprocess.run(["readelf", "-dlVW", path], capture_output=True, text=True, check=True).stdout
            needed = set(re.findall(r"NEEDED.*\[(.*)\]", text))
            self.assertLessEqual(needed, {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1",
                                          support.ARCHITECTURES[architecture][2]})
            self.assertIn("BIND_NOW", text)
            self.assertIn("GNU_RELRO", text)
            self.assertNotIn("TEXTREL", text)
            self.assertNotRegex(text, r"RUNPATH|RPATH")
            self.assertRegex(text, r"GNU_STACK .* RW ")
            for name, version in re.findall(r"Name: (GLIBC|GLIBCXX|CXXABI)_([\d.]+)", text):
                self.assertLessEqual(tuple(map(int, version.split("."))), OLDEST[name])

    def test_size(self):
        for _, path in self.each():
            data = path.read_bytes()
            self.assertLess(len(data), MOST_BYTES)
            self.assertLess(len(zlib.compress(data, 9)), MOST_COMPRESSED_BYTES)

    def test_no_path_of_the_build_machine(self):
        source = str(pathlib.Path(__file__).resolve().parents[2])
        for _, path in self.each():
            data = path.read_bytes()
            for folder in (source, str(path.resolve().parents[3])):
                self.assertNotIn(folder.encode(), data)

    def test_version(self):
        for architecture, path in self.each():
            triplet, machine, _ = support.ARCHITECTURES[architecture]
            line = [str(path), "--version"]
            if architecture != support.NATIVE:
                emulator = shutil.which(f"qemu-{machine}-static")
                if not emulator or not os.path.isdir(f"/usr/{triplet}/lib"):
                    self.skipTest(f"no emulator or C library for {architecture}")
                line = [emulator, "-L", f"/usr/{triplet}", *line]
            done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, r"^aipack-serve \d+\.\d+\.\d+\n$")


class Emulated(unittest.TestCase):
    def serve(self, architecture):
        folder = os.environ.get(f"AIPACK_TEST_ROOT_{architecture.upper()}")
        if not folder:
            self.skipTest(f"AIPACK_TEST_ROOT_{architecture.upper()} names no unpacked root")
        folder = pathlib.Path(folder)
        value = {"datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6.5]}
        request = {"inputs": [dict(value, name="a"), dict(value, name="b")]}
        with tempfile.TemporaryDirectory() as place:
            models.arithmetic(place)
            models.zipmap(place)
            # Nothing of the hundreds of lines that this library prints while it is loaded may be seen.
            with support.Server(place, architecture=architecture, folder=folder) as server:
                self.assertEqual(server.infer("arithmetic", request).json["outputs"][0]["data"], [2, 4, 6, 8, 10, 13])
                reply = server.infer("zipmap", {"inputs": [dict(value, name="x")]})
                self.assertEqual(reply.json["outputs"][0]["data"], value["data"])
                self.assertEqual(server.infer("arithmetic", "{").status, 400)
            named = json.dumps(dict(request, model_name="arithmetic"))
            done = support.run(["--models", place, "--predict", "-"], architecture, folder, stdin=named)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertEqual(json.loads(done.stdout)["outputs"][0]["data"], [2, 4, 6, 8, 10, 13])

    def test_arm64(self):
        self.serve("arm64")

    def test_riscv64(self):
        self.serve("riscv64")


if __name__ == "__main__":
    unittest.main()
