"""Whatever goes wrong: one clear error, the documented exit code, nothing half-written, and the same command succeeds afterwards."""

import http.server
import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

import pytest
from conftest import AIPACK, MODEL, copy_cache, run


def leftovers(directory):
    """Temporary names that a finished or killed command must not leave beside its results."""
    return [path for path in pathlib.Path(directory).rglob("*") if ".aipack-tmp" in path.name]


def check_error(result, code):
    assert result.returncode == code, result.stderr
    assert [line for line in result.stderr.splitlines() if line.startswith("aipack: error: cannot ")], result.stderr
    assert result.stderr.count("aipack: error:") == 1


@pytest.mark.parametrize("content", [b"", b"\x08", b"not a model", b"\x7fELF" + b"\0" * 60, b"version https://git-lfs.github.com/spec/v1\n",
                                     b"PK\x03\x04" + b"\0" * 64, b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"])
def test_what_is_no_model_is_refused(content, aipack, tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(content)
    result = aipack("build", model, "-o", f"oci:{tmp_path}/x.oci", check=False)
    assert result.returncode in (2, 5)
    assert result.stderr.startswith("aipack: error: cannot ")
    assert not (tmp_path / "x.oci").exists()


def test_truncated_and_flipped_models_never_crash_the_analysis(aipack, tmp_path):
    original = MODEL.read_bytes()
    chance = random.Random(20260912)
    for round_ in range(60):
        data = bytearray(original)
        if round_ % 2:
            del data[chance.randrange(1, len(data)):]
        else:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        (tmp_path / "model.onnx").write_bytes(data)
        assert aipack("analyze", tmp_path / "model.onnx", "--json", check=False).returncode in (0, 2, 5)


def test_errors_are_records_with_json(aipack, tmp_path):
    result = aipack("analyze", tmp_path / "absent.onnx", "--json", check=False)
    assert result.returncode == 3 and result.stdout == ""
    record = json.loads(result.stderr)["error"]
    assert record["code"] == "not_found" and "absent.onnx" in record["message"]


@pytest.mark.parametrize("arguments, code, word", [
    (["biuld"], 2, "did you mean 'build'"),
    (["build"], 2, "MODEL"),
    (["build", "x.onnx", "--platfrom", "all"], 2, "did you mean '--platform'"),
    (["build", str(MODEL), "--platform", "linux/vax"], 2, "vax"),
    (["build", str(MODEL), "--compress", "lzma"], 2, "lzma"),
    (["build", str(MODEL), "--user", "root"], 2, "numeric"),
    (["build", str(MODEL), "--runtime", "onnxrutime"], 3, "onnxrutime"),
    (["build", str(MODEL), "--package", "no-such-package-here"], 3, "no-such-package-here"),
    (["inspect", "oci:/nowhere"], 3, "/nowhere"),
])
def test_wrong_commands_say_what_is_wrong(arguments, code, word, aipack, tmp_path):
    result = aipack(*arguments, check=False, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert word in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_reaches_out_of_its_folder_is_refused(aipack, tmp_path):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"\0" * 16)
    for location in ["../secret.bin", str(tmp_path / "secret.bin"), "*/_ORT_MEM_ADDR_/*"]:
        weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
        for key, value in {"location": location, "offset": "0", "length": "16"}.items():
            entry = weight.external_data.add()
            entry.key, entry.value = key, value
        value_info = helper.make_tensor_value_info
        graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [value_info("x", TensorProto.FLOAT, [4])],
                                  [value_info("y", TensorProto.FLOAT, [4])], [weight])
        (folder / "m.onnx").write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString())
        result = aipack("build", folder / "m.onnx", "-o", f"oci:{tmp_path}/x.oci", check=False)
        assert result.returncode in (2, 5), result.stderr
        assert "ONNX-EXT" in result.stderr


class StallingMirror(http.server.BaseHTTPRequestHandler):
    """Answers, then says nothing more."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"-----BEGIN PGP SIGNED MESSAGE-----\n")
        self.wfile.flush()
        self.server.released.wait(120)

    def log_message(self, *_):
        pass


class LyingMirror(http.server.BaseHTTPRequestHandler):
    """Serves something else than Debian under every name."""

    def do_GET(self):
        body = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSuite: trixie\n-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(request):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), request.param)
    server.released = threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/debian"
    server.released.set()
    server.shutdown()


@pytest.mark.parametrize("mirror", [LyingMirror], indirect=True)
def test_a_mirror_without_debians_signature_is_not_believed(mirror, aipack, tmp_path):
    result = aipack("build", MODEL, "--mirror", mirror, "-o", f"oci:{tmp_path}/x.oci", check=False, env={"AIPACK_CACHE_DIR": str(tmp_path / "cache")})
    check_error(result, 5)
    assert "cannot verify InRelease" in result.stderr


@pytest.mark.parametrize("mirror", [StallingMirror], indirect=True)
def test_ctrl_c_ends_a_stalled_download_at_once(mirror, tmp_path):
    process = subprocess.Popen([AIPACK, "build", str(MODEL), "--mirror", mirror, "-o", f"oci:{tmp_path}/x.oci"], stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "AIPACK_CACHE_DIR": str(tmp_path / "cache")})
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert time.monotonic() - began < 10
    assert not (tmp_path / "x.oci").exists()


def test_a_closed_port_is_reported_as_unavailable(aipack, tmp_path):
    result = aipack("build", MODEL, "--mirror", "http://127.0.0.1:9/debian", "-o", f"oci:{tmp_path}/x.oci", check=False,
                    env={"AIPACK_CACHE_DIR": str(tmp_path / "cache")})
    check_error(result, 4)


def test_a_tampered_package_is_never_unpacked(cache, aipack, layout, tmp_path):
    """A package in the cache whose bytes were changed is noticed, not used."""
    copy = copy_cache(cache, tmp_path / "cache", ("compositions", "layers", "unpacked"))
    packages = sorted(path for path in (copy / "packages").rglob("*") if path.is_file() and path.stat().st_size > 1000)
    assert packages
    for package in packages:
        data = bytearray(package.read_bytes())
        data[len(data) // 2] ^= 1
        package.chmod(0o644)
        package.write_bytes(data)
    result = aipack("build", MODEL, "--offline", "-o", f"oci:{tmp_path}/x.oci", check=False, env={"AIPACK_CACHE_DIR": str(copy)})
    assert result.returncode in (4, 5), result.stderr
    # With the network back the damage is repaired.
    aipack("build", MODEL, "-o", f"oci:{tmp_path}/x.oci", env={"AIPACK_CACHE_DIR": str(copy)})


def test_sigkill_at_any_point_leaves_a_state_that_the_same_command_completes(layout, cache, tmp_path):
    _, report = layout
    chance = random.Random(7)
    copy = copy_cache(cache, tmp_path / "cache", ("compositions", "layers"))
    command = [AIPACK, "build", str(MODEL), "--platform", "all", "-t", "digits:1", "-o", f"oci:{tmp_path}/k.oci", "--json", "--compress", "zstd:3"]
    environment = {**os.environ, "AIPACK_CACHE_DIR": str(copy)}
    for round_ in range(8):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        time.sleep(chance.uniform(0.02, 1.0))
        process.kill()
        process.wait()
        for blob in (tmp_path / "k.oci/blobs/sha256").glob("*") if (tmp_path / "k.oci").exists() else []:
            if len(blob.name) == 64:
                import hashlib
                assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name, "a partial blob has its final name"
    finished = json.loads(run(*command, env=environment).stdout)
    clean = json.loads(run(*[word.replace("k.oci", "clean.oci") for word in command], env=environment).stdout)
    assert finished["digest"] == clean["digest"]
    assert leftovers(tmp_path / "k.oci") == []


def test_a_full_disk_is_one_clear_error(aipack, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    if run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", full, check=False).returncode != 0:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        result = aipack("build", MODEL, "-o", f"oci:{full}/x.oci", check=False)
        check_error(result, 6)
        assert "hint:" in result.stderr
        assert leftovers(full) == []
        run("mount", "-o", "remount,size=200m", full)
        aipack("build", MODEL, "-o", f"oci:{full}/x.oci")
    finally:
        run("umount", full, check=False)


def test_a_folder_that_is_no_layout_is_left_alone(aipack, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("keep me")
    result = aipack("build", MODEL, "-o", f"oci:{tmp_path}/mine", check=False)
    check_error(result, 2)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_build_that_fails_while_composing_leaves_no_layout(aipack, tmp_path):
    result = aipack("build", MODEL, "--entrypoint", "/usr/bin/no-such-program", "-o", f"oci:{tmp_path}/x.oci", check=False)
    check_error(result, 3)
    assert not (tmp_path / "x.oci").exists()


def test_a_damaged_layer_in_the_cache_is_made_again(layout, cache, aipack, tmp_path):
    _, report = layout
    copy = copy_cache(cache, tmp_path / "cache")
    for layer in (copy / "layers/sha256").iterdir():
        data = bytearray(layer.read_bytes())
        data[len(data) // 2] ^= 1
        layer.chmod(0o644)
        layer.write_bytes(data)
    again = json.loads(aipack("build", MODEL, "--platform", "all", "-t", "digits:1", "-o", f"oci:{tmp_path}/x.oci", "--json",
                              env={"AIPACK_CACHE_DIR": str(copy)}).stdout)
    assert again["digest"] == report["digest"]


def test_a_lock_that_was_tampered_with_or_is_contradicted_is_refused(aipack, tmp_path):
    lock = tmp_path / "aipack.lock"
    aipack("plan", MODEL, "-o", lock)
    result = aipack("build", MODEL, "--locked", lock, "--package", "tzdata", "-o", f"oci:{tmp_path}/x.oci", check=False)
    check_error(result, 2)
    pinned = json.loads(lock.read_text())
    pinned["images"][0]["runtime"]["entrypoint"] = []
    lock.write_text(json.dumps(pinned))
    check_error(aipack("build", MODEL, "--locked", lock, "-o", f"oci:{tmp_path}/x.oci", check=False), 5)


@pytest.mark.parametrize("name", ["a/b", ".hidden", ""])
def test_a_name_that_cannot_be_served_is_refused(name, aipack, tmp_path):
    if not name:
        (tmp_path / ".onnx").write_bytes(MODEL.read_bytes())
        arguments = [tmp_path / ".onnx"]
    else:
        arguments = [MODEL, "--model-name", name]
    check_error(aipack("build", *arguments, "-o", f"oci:{tmp_path}/x.oci", check=False), 2)


def test_prune_removes_only_what_is_aipacks_own(aipack, tmp_path):
    mine = tmp_path / "Documents/thesis.txt"
    mine.parent.mkdir()
    mine.write_text("years of work")
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/x.deb").write_text("again")
    aipack("cache", "prune", "--older-than", "0", "--cache-dir", tmp_path)
    assert mine.exists() and not (tmp_path / "packages/x.deb").exists()
