"""End-to-end tests drive the built `aipack` command as a user would, against the signed Debian archive.

Packages are fetched once per build tree (AIPACK_TEST_CACHE). What a machine lacks (a container engine, the right to register binfmt) is a skip
with its reason.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
AIPACK = os.environ.get("AIPACK_BIN", str(SOURCE / "build/release/bin/aipack"))
MODEL = SOURCE / "examples/models/digits.onnx"
SAMPLES = SOURCE / "examples/models/digits_samples.json"
PLATFORMS = ["linux/amd64", "linux/arm64", "linux/riscv64"]
TRIPLETS = {"linux/amd64": "x86_64-linux-gnu", "linux/arm64": "aarch64-linux-gnu", "linux/riscv64": "riscv64-linux-gnu"}
QEMU = {"linux/arm64": "aarch64", "linux/riscv64": "riscv64"}


def run(*command, check=True, **options):
    """Runs a command; a failure shows what it printed."""
    options.setdefault("timeout", 600)
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if check and result.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))} exited with {result.returncode}\n{result.stdout}\n{result.stderr}")
    return result


def needs(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="session")
def cache():
    directory = pathlib.Path(os.environ.get("AIPACK_TEST_CACHE", SOURCE / "build/test-cache"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def copy_cache(cache, to, leave_out=()):
    """aipack's own part of the shared cache, without what is named: a test may spoil it. Programs that tests fetched for themselves stay behind."""
    to.mkdir(exist_ok=True)
    for part in cache.iterdir():
        if part.name not in ("tools", "apt", "sigstore-js", *leave_out):
            (shutil.copytree if part.is_dir() else shutil.copy)(part, to / part.name)
    return to


@pytest.fixture(scope="session")
def aipack(cache):
    """Calls the command with the shared cache."""

    def call(*arguments, **options):
        environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        environment |= {"AIPACK_CACHE_DIR": str(cache), **options.pop("env", {})}
        return run(AIPACK, *arguments, env=environment, **options)

    return call


@pytest.fixture(scope="session")
def layout(aipack, tmp_path_factory):
    """The example for all three platforms, and the build's report."""
    directory = tmp_path_factory.mktemp("image") / "digits.oci"
    report = json.loads(aipack("build", MODEL, "--platform", "all", "-t", "digits:1", "-o", f"oci:{directory}", "--json").stdout)
    return directory, report


@pytest.fixture(scope="session")
def gzip_layout(aipack, tmp_path_factory):
    directory = tmp_path_factory.mktemp("gzip") / "digits.oci"
    aipack("build", MODEL, "--platform", "all", "-t", "digits:1", "-o", f"oci:{directory}", "--compress", "gzip:6")
    return directory


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(port, path, body=None, timeout=120):
    data = None if body is None else json.dumps(body).encode()
    call = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(call, timeout=timeout) as answer:
        return json.loads(answer.read() or b"null")


def wait_until_ready(port, alive, seconds=180):
    """Polls the readiness endpoint; `alive` says why the server cannot answer any more, or nothing."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=5) as answer:
                if answer.status == 200:
                    return
        if reason := alive():
            pytest.fail(reason)
        time.sleep(0.1)
    pytest.fail("the server did not become ready in time")


def check_predictions(port, model="digits"):
    """Every sample of the example: the right label, and the committed probabilities within 1e-5."""
    samples = json.loads(SAMPLES.read_text())["samples"]
    pixels = [value for sample in samples for value in sample["pixels"]]
    answer = ask(port, f"/v2/models/{model}/infer",
                     {"inputs": [{"name": "pixels", "datatype": "FP32", "shape": [len(samples), 64], "data": pixels}]})
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["label"]["data"] == [sample["label"] for sample in samples]
    probabilities = outputs["probabilities"]["data"]
    for i, sample in enumerate(samples):
        for j, expected in enumerate(sample["probabilities"]):
            assert abs(probabilities[10 * i + j] - expected) < 1e-5


@pytest.fixture(scope="session")
def binfmt():
    """Lets the kernel run foreign programs through qemu-user, for the session."""
    registry = pathlib.Path("/proc/sys/fs/binfmt_misc")
    if not (registry / "register").exists():
        if run("mount", "-t", "binfmt_misc", "binfmt_misc", registry, check=False).returncode != 0:
            pytest.skip("binfmt_misc cannot be mounted here")
    magics = {  # qemu's scripts/qemu-binfmt-conf.sh: e_ident and e_machine of 64-bit little-endian ELF, EXEC or DYN
        "aarch64": (r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
                    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"),
        "riscv64": (r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00",
                    r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"),
    }
    added = []
    for machine, (magic, mask) in magics.items():
        emulator = shutil.which(f"qemu-{machine}-static")
        if emulator is None:
            pytest.skip(f"qemu-{machine}-static is not installed")
        if not (registry / f"qemu-{machine}").exists():
            try:  # F: the kernel keeps the emulator open, so that images need not hold it
                (registry / "register").write_bytes(f":qemu-{machine}:M::{magic}:{mask}:{emulator}:F".encode())
            except OSError as error:
                pytest.skip(f"binfmt_misc refuses a registration: {error}")
            added.append(machine)
    yield
    for machine in added:
        with contextlib.suppress(OSError):
            (registry / f"qemu-{machine}").write_text("-1")


class Podman:
    """podman with the flags that work in most places, nested ones included, and storage of its own."""

    def __init__(self, directory):
        self.base = ["podman", "--runtime", "runc", "--root", str(directory / "root"), "--runroot", str(directory / "run"),
                     "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]

    def __call__(self, *arguments, **options):
        return run(*self.base, *arguments, **options)

    @contextlib.contextmanager
    def serve(self, image, port, *flags):
        """Runs an image as users are told to: read-only root, no capabilities, no new privileges."""
        name = f"aipack-test-{port}"
        self("run", "-d", "--name", name, "--network=host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--read-only",
             "--cap-drop=all", "--security-opt=no-new-privileges", *flags, image, "--models", "/models", "--port", port)
        try:
            yield name
        finally:
            self("rm", "-f", "-t", "1", name, check=False)


@pytest.fixture(scope="session")
def podman(tmp_path_factory):
    needs("podman", "runc")
    directory = tmp_path_factory.mktemp("podman")
    tool = Podman(directory)
    if tool("info", check=False).returncode != 0:
        pytest.skip("podman does not work here")
    yield tool
    tool("system", "reset", "--force", check=False)


@contextlib.contextmanager
def daemon(*command, ready, log):
    """A background process that is surely gone afterwards."""
    with open(log, "w") as output:
        process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"{command[0]} does not start here: {pathlib.Path(log).read_text()[-400:]}")
            time.sleep(0.2)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
