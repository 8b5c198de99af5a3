"""The command line: flags, environment, one-shot actions, and what is said when the process cannot start."""

import json
import pathlib
import re
import socket
import subprocess
import tempfile
import unittest

import models
import support
from support import Server, root, run


class Command(unittest.TestCase):
    def setUp(self):
        root()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def fails(self, done, code, *words):
        """One JSON line on standard error, which says the words; nothing on standard output."""
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        line = done.stderr.splitlines()[-1]
        entry = json.loads(line)
        self.assertEqual(entry["level"], "error")
        for word in words:
            self.assertIn(word, line)
        for other in done.stderr.splitlines():
            json.loads(other)

    def test_version_and_help(self):
        done = run(["--version"])
        self.assertRegex(done.stdout, r"^aipack-serve \d+\.\d+\.\d+\n$")
        done = run(["--help"])
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("Examples:", done.stdout)

    @staticmethod
    def readme():
        return (pathlib.Path(__file__).parents[2] / "tools/serve/README.md").read_text(encoding="utf-8")

    def test_every_flag_is_documented(self):
        documented = set(re.findall(r"^\| `--([a-z-]+)", self.readme(), re.MULTILINE))
        offered = set(re.findall(r"^  --([a-z-]+)", run(["--help"]).stdout, re.MULTILINE))
        self.assertEqual(documented, offered)

    def test_wrong_flags(self):
        for arguments, words in ((["--prot", "1"], ("--prot",)), (["--port"], ("--port", "missing")), (["--port", "x"], ("--port", "'x'")),
                                 (["--port", "65536"], ("65535",)), (["--threads", "0"], ("--threads",)), (["models"], ("'models'",)),
                                 (["--max-request-bytes", "1TB"], ("1TB",)), (["--log-level", "loud"], ("loud", "debug")),
                                 (["--log-format=xml"], ("xml", "json")), (["--models", ""], ("--models",)), (["--check=1"], ("--check",))):
            with self.subTest(arguments):
                self.fails(run(arguments), 2, "hint", *words)

    def test_environment(self):
        self.fails(run(["--check"], environment={"AIPACK_SERVE_PORT": "many"}), 2, "AIPACK_SERVE_PORT", "many")
        models.scalar(self.folder)
        done = run(["--check"], environment={"AIPACK_SERVE_MODELS": str(self.folder), "AIPACK_SERVE_MODEL_NAME": "renamed"})
        self.assertEqual(json.loads(done.stdout)["models"][0]["name"], "renamed")
        done = run(["--check", "--model-name", "again"],
                   environment={"AIPACK_SERVE_MODELS": str(self.folder), "AIPACK_SERVE_MODEL_NAME": "renamed"})
        self.assertEqual(json.loads(done.stdout)["models"][0]["name"], "again")

    def test_no_models(self):
        self.fails(run(["--models", self.folder / "nowhere"]), 3, "nowhere", "does not exist", "hint")
        self.fails(run(["--models", self.folder]), 3, "no *.onnx file", "hint")

    def test_broken_models(self):
        good = models.scalar(self.folder / "good").read_bytes()
        for name, data in (("empty", b""), ("text", b"not a model"), ("cut", good[:len(good) // 2])):
            with self.subTest(name):
                path = self.folder / f"{name}.onnx"
                path.write_bytes(data)
                self.fails(run(["--models", path]), 2, "cannot load model", f"{name}.onnx", "hint")
                path.unlink()

    def test_unknown_operator(self):
        models.identity(self.folder, "FP32", "future")
        path = self.folder / "future.onnx"
        path.write_bytes(path.read_bytes().replace(b"Identity", b"Identify"))
        self.fails(run(["--models", path]), 2, "cannot load model", "Identify")

    def test_names(self):
        models.scalar(self.folder)
        models.scalar(self.folder / "below")
        self.fails(run(["--models", self.folder]), 2, "are both 'scalar'", "rename")
        (self.folder / "below/scalar.onnx").rename(self.folder / "below/other.onnx")
        self.fails(run(["--models", self.folder, "--model-name", "x"]), 2, "there are 2", "--model-name")
        (self.folder / ".hidden").mkdir()
        models.scalar(self.folder / ".hidden")
        (self.folder / "below/deeper").mkdir()
        models.scalar(self.folder / "below/deeper")
        done = run(["--check", "--models", self.folder])
        self.assertEqual([m["name"] for m in json.loads(done.stdout)["models"]], ["other", "scalar"])

    def test_one_file(self):
        path = models.external_weights(self.folder)
        done = run(["--check", "--models", path])
        document = json.loads(done.stdout)
        self.assertEqual((done.returncode, done.stderr, len(document["models"])), (0, "", 1))
        self.assertTrue(document["runtime"]["path"].startswith(str(root())))

    def test_no_runtime(self):
        models.scalar(self.folder)
        line = support.command(["--check", "--models", self.folder])
        at = line.index("--runtime-library") + 1
        for path, words in ((self.folder, ("no libonnxruntime.so.*",)), (self.folder / "lib.so", ("lib.so",)),
                            (self.folder / "scalar.onnx", ("scalar.onnx",))):
            line[at] = str(path)
            self.fails(subprocess.run(line, capture_output=True, text=True, check=False), 3, "cannot open ONNX Runtime", "hint", *words)
        # A library that is another one.
        line[at] = str(support.library_folder(root(), support.NATIVE) / "libm.so.6")
        self.fails(subprocess.run(line, capture_output=True, text=True, check=False), 3, "OrtGetApiBase")

    def test_the_highest_library_is_taken(self):
        models.scalar(self.folder)
        real = next(support.library_folder(root(), support.NATIVE).glob("libonnxruntime.so.1.*.*"))
        libraries = self.folder / "lib"
        libraries.mkdir()
        (libraries / "libonnxruntime.so.1.9.0").write_text("not a library")
        (libraries / "libonnxruntime.so.1.100.0").symlink_to(real)
        line = support.command(["--check", "--models", self.folder])
        line[line.index("--runtime-library") + 1] = str(libraries)
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        self.assertEqual(json.loads(done.stdout)["runtime"]["path"], str(libraries / "libonnxruntime.so.1.100.0"))
        # One that does not open is passed over.
        (libraries / "libonnxruntime.so.1.200.0").write_text("not a library")
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        self.assertEqual(json.loads(done.stdout)["runtime"]["path"], str(libraries / "libonnxruntime.so.1.100.0"))

    def test_the_library_beside_its_own_libraries_is_found(self):
        """A root that is run in place, by its own loader, needs no flag."""
        models.scalar(self.folder)
        line = support.command(["--check", "--models", self.folder])
        at = line.index("--runtime-library")
        folder = line[at + 1]
        del line[at:at + 2]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(json.loads(done.stdout)["runtime"]["path"].startswith(folder + "/"))

    def test_predict(self):
        models.arithmetic(self.folder)
        value = {"datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
        request = json.dumps({"id": "7", "inputs": [dict(value, name="a"), dict(value, name="b")],
                              "outputs": [{"name": "sum", "parameters": {"binary_data": True}}]})
        done = run(["--models", self.folder, "--predict", "-"], stdin=request)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json.loads(done.stdout), {
            "model_name": "arithmetic", "model_version": "1", "id": "7",
            "outputs": [{"name": "sum", "datatype": "FP32", "shape": [1, 3], "data": [2, 4, 6]}]})
        (self.folder / "request.json").write_text(request)
        again = run(["--models", self.folder, "--predict", self.folder / "request.json"])
        self.assertEqual(again.stdout, done.stdout)
        self.fails(run(["--models", self.folder, "--predict", "-"], stdin="{}"), 2, '\\"inputs\\" is missing')
        self.fails(run(["--models", self.folder, "--predict", "-"], stdin="{"), 2, "byte 1")
        self.fails(run(["--models", self.folder, "--predict", self.folder / "none.json"]), 3, "none.json")
        models.scalar(self.folder)
        self.fails(run(["--models", self.folder, "--predict", "-"], stdin=request), 2, "model_name")
        named = json.dumps(dict(json.loads(request), model_name="arithmetic"))
        self.assertEqual(run(["--models", self.folder, "--predict", "-"], stdin=named).stdout, done.stdout)

    def test_port_in_use(self):
        models.scalar(self.folder)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.fails(run(["--models", self.folder, "--host", "127.0.0.1", "--port", port]), 4, str(port), "in use", "--port")
        self.fails(run(["--models", self.folder, "--host", "203.0.113.1", "--port", 0]), 4, "203.0.113.1")

    def test_text_log(self):
        models.scalar(self.folder)
        done = run(["--models", self.folder / "nowhere", "--log-format", "text"])
        self.assertRegex(done.stderr, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z error cannot read models: .* hint=\".*\"\n$")

    def test_requests_in_the_log(self):
        models.scalar(self.folder)
        with Server(self.folder, "--log-level", "info") as server:
            server.get("/v2/health/live")  # probes are for the debug level
            request = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [], "data": [3]}]}
            server.infer("scalar", request)
            entry, = (entry for entry in server.log() if entry["message"] == "request")
        self.assertEqual((entry["method"], entry["path"], entry["status"], entry["request_bytes"]),
                         ("POST", "/v2/models/scalar/infer", 200, len(json.dumps(request))))
        self.assertGreater(entry["milliseconds"], 0)


if __name__ == "__main__":
    unittest.main()
