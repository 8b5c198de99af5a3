"""Starts the real server against a real ONNX Runtime, and talks to it.

AIPACK_TEST_ROOT   an unpacked root (or distribution root) with libonnxruntime and everything it needs
AIPACK_SERVE_DIR   the build's share/aipack/serve, with a folder for each architecture
"""

import atexit
import contextlib
import http.client
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

import models

ARCHITECTURES = {
    "amd64": ("x86_64-linux-gnu", "x86_64", "ld-linux-x86-64.so.2"),
    "arm64": ("aarch64-linux-gnu", "aarch64", "ld-linux-aarch64.so.1"),
    "riscv64": ("riscv64-linux-gnu", "riscv64", "ld-linux-riscv64-lp64d.so.1"),
}
NATIVE = {"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64"}.get(platform.machine(), "amd64")
START_SECONDS = 60
STOP_SECONDS = 60


def program(architecture=NATIVE):
    folder = os.environ.get("AIPACK_SERVE_DIR")
    if not folder:
        raise unittest.SkipTest("AIPACK_SERVE_DIR does not name the built servers")
    path = pathlib.Path(folder) / architecture / "aipack-serve"
    if not path.exists():
        raise unittest.SkipTest(f"no aipack-serve for {architecture} was built")
    return path


def root():
    folder = os.environ.get("AIPACK_TEST_ROOT")
    if not folder:
        raise unittest.SkipTest("AIPACK_TEST_ROOT names no unpacked root with libonnxruntime")
    return pathlib.Path(folder)


def library_folder(folder, architecture):
    return folder / "usr/lib" / ARCHITECTURES[architecture][0]


def loader(folder, architecture):
    triplet, _, name = ARCHITECTURES[architecture]
    for place in (f"usr/lib/{triplet}", "usr/lib64", "usr/lib", "lib64", "lib"):
        path = folder / place / name
        if path.exists():
            return path
    raise unittest.SkipTest(f"no {name} in {folder}")


def command(arguments, architecture=NATIVE, folder=None):
    """The command line that runs the server with the root's own loader and libraries, without entering the root."""
    folder = folder or root()
    libraries = library_folder(folder, architecture)
    line = [str(loader(folder, architecture)), "--library-path", str(libraries), str(program(architecture)),
            "--runtime-library", str(libraries), *map(str, arguments)]
    if architecture != NATIVE:
        emulator = shutil.which(f"qemu-{ARCHITECTURES[architecture][1]}-static")
        if not emulator:
            raise unittest.SkipTest(f"no user-mode emulator for {architecture}")
        line.insert(0, emulator)
    return line


def run(arguments, architecture=NATIVE, folder=None, stdin="", environment=None):
    """Runs the server to its end; for --check, --predict and failures."""
    return subprocess.run(command(arguments, architecture, folder), input=stdin, capture_output=True, text=True, timeout=120,
                          env={**os.environ, **(environment or {})})


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


class Server:
    """A running server; a context manager that stops it and fails if it does not stop cleanly."""

    def __init__(self, models_path, *arguments, architecture=NATIVE, folder=None, preexec=None):
        self.log_file = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            command(["--models", models_path, "--host", "127.0.0.1", "--port", "0", "--log-level", "debug", *arguments],
                    architecture, folder),
            stdout=subprocess.PIPE, stderr=self.log_file, preexec_fn=preexec)
        try:
            self.port = self.wait_for("listening")["port"]
            self.wait_for("ready")
        except BaseException:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.log_file.close()
            raise

    def log(self):
        self.log_file.flush()
        with open(f"/proc/self/fd/{self.log_file.fileno()}", encoding="utf-8") as again:
            text = again.read()
        # Every line is ours: what the runtime prints must not get here. The last one may not be finished yet.
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def wait_for(self, message, seconds=START_SECONDS):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for entry in self.log():
                if entry["message"] == message:
                    return entry
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}: {self.log()}")
            time.sleep(0.01)
        raise AssertionError(f"no '{message}' in the log: {self.log()}")

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None):
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers or {})
            return Reply(connection.getresponse())

    def get(self, path):
        return self.request("GET", path)

    def infer(self, model, document, version=None):
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"
        body = document if isinstance(document, (str, bytes)) else json.dumps(document)
        return self.request("POST", path, body, {"Content-Type": "application/json"})

    def infer_binary(self, model, document, binary, header_length=None):
        text = json.dumps(document).encode()
        length = len(text) if header_length is None else header_length
        return self.request("POST", f"/v2/models/{model}/infer", text + binary,
                            {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(length)})

    def raw(self, data, half_close=True, timeout=60):
        """Sends bytes as they are and returns everything that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            with contextlib.suppress(OSError):  # the server may refuse before it has everything
                connection.sendall(data)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while part := connection.recv(65536):
                    received += part
            return received

    def metric(self, name, **labels):
        """The value of one sample, 0 when it is not there."""
        for line in self.get("/metrics").body.decode().splitlines():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
            if not match or match[1] != name:
                continue
            found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            if all(found.get(key) == value for key, value in labels.items()):
                return float(match[3])
        return 0.0

    def terminate(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self):
        try:
            return self.process.wait(STOP_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            output = self.process.stdout.read()
            self.process.stdout.close()
            assert output == b"", output

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.terminate()
        try:
            if not self.process.stdout.closed:
                code = self.wait()
                if kind is None and code != 0:
                    raise AssertionError(f"the server ended with {code}: {self.log()[-5:]}")
        finally:
            self.log_file.close()


_shared_models = None


def shared_models():
    """A folder with every model, written once a process."""
    global _shared_models
    if _shared_models is None:
        _shared_models = tempfile.TemporaryDirectory()
        atexit.register(_shared_models.cleanup)
        models.write_all(_shared_models.name)
    return _shared_models.name


class ServerTest(unittest.TestCase):
    """Tests that share one server with every model."""

    arguments = ()

    @classmethod
    def setUpClass(cls):
        root()
        cls.server = Server(shared_models(), *cls.arguments)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def one(self, model, datatype, shape, data, name="x", **more):
        """An inference with one input; returns the reply."""
        return self.server.infer(model, {"inputs": [
            {"name": name, "datatype": datatype, "shape": shape, "data": data}], **more})

    def refused(self, reply, status, *words):
        """Asserts a refusal that says all the words, and that the server still serves."""
        self.assertEqual(reply.status, status, reply.body)
        self.assertEqual(reply.headers["Content-Type"], "application/json")
        for word in words:
            self.assertIn(word, reply.error)
        self.assertEqual(self.server.get("/v2/health/ready").status, 200)


def in_background(function, *arguments):
    """Runs a call in a thread; the returned object's join() gives its result."""

    class Call(threading.Thread):
        def run(self):
            try:
                self.result = function(*arguments)
            except Exception as error:  # handed to whoever joins
                self.result = error

        def join(self, timeout=60):
            super().join(timeout)
            if self.is_alive():
                raise AssertionError("the call does not end")
            return self.result

    call = Call(daemon=True)
    call.start()
    return call
