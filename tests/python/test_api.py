"""The Python face of the engine."""

import doctest
import importlib.util
import json
import os
import pathlib
import signal
import threading

import pytest

import aipack

SOURCE = pathlib.Path(__file__).resolve().parents[2]
MODEL = SOURCE / "examples/models/digits.onnx"


@pytest.fixture(scope="session")
def engine():
    return aipack.Engine(cache_dir=os.environ.get("AIPACK_TEST_CACHE", SOURCE / "build/test-cache"))


@pytest.fixture(scope="session")
def plan(engine):
    return engine.plan(MODEL, platforms="linux/amd64")


@pytest.fixture(scope="session")
def image(engine, plan, tmp_path_factory):
    output = f"oci:{tmp_path_factory.mktemp('image')}/digits.oci:1"
    return output, engine.build_plan(plan, output=output)


def test_analyze_gives_typed_values(engine):
    model = engine.analyze(MODEL)
    assert model.format == "onnx" and model.name == "digits"
    assert [(tensor.name, tensor.element_type, tensor.shape) for tensor in model.inputs] == [("pixels", "float", ("batch", 64))]
    assert model.parameter_count > 0 and model.size_bytes == MODEL.stat().st_size
    assert [verdict.supported for verdict in engine.verdicts(model, "linux/riscv64") if verdict.name == "onnxruntime"] == [True]


def test_plan_pins_packages_and_writes_a_lock(plan):
    names = {package.name for package in plan.packages["linux/amd64"]}
    assert {"libonnxruntime1.21", "libc6"} <= names
    lock = json.loads(plan.lock())
    assert lock["images"][0]["platform"] == "linux/amd64"


def test_build_reports_layers_and_inspect_reads_them_back(image):
    output, report = image
    platform = report.platforms[0]
    assert [layer.purpose for layer in platform.layers] == ["base", "runtime", "server", "model"]
    assert "libonnxruntime1.21" in [package.name for package in platform.packages]
    assert any(item.reason for item in platform.dropped)
    stored = aipack.inspect(output)
    assert stored.digest == report.digest
    assert [layer.digest for layer in stored.images[0].layers] == [layer.digest for layer in platform.layers]
    assert json.loads(stored.images[0].config_json)["config"]["User"] == "65532:65532"


def test_a_lock_gives_the_same_digest(engine, plan, image, tmp_path):
    locked = engine.plan(MODEL, platforms="linux/amd64", lock=plan.lock())
    assert engine.build_plan(locked, output=f"oci:{tmp_path}/locked.oci:1").digest == image[1].digest


def test_why_gives_the_chain(engine, image):
    chain = engine.why(image[0], "/usr/lib/x86_64-linux-gnu/libre2.so.11")
    assert chain[0].path == "/usr/bin/aipack-serve"
    assert chain[-1].path.startswith("/usr/lib/x86_64-linux-gnu/libre2.so.11")
    assert chain[-1].package == "libre2-11"


def test_sbom_lists_packages_and_the_model(engine, image):
    spdx = json.loads(engine.sbom(image[0]))
    assert spdx["spdxVersion"] == "SPDX-2.3"
    declared = {package["name"]: package["licenseDeclared"] for package in spdx["packages"]}
    assert {"libonnxruntime1.21", "libc6", "digits"} <= declared.keys()
    assert declared["zlib1g"] == "Zlib"
    platform = json.loads(engine.sbom(image[0], "cyclonedx-json", "linux/amd64"))
    assert platform["metadata"]["component"]["version"] == image[1].platforms[0].digest
    assert aipack.sbom(image[0]) == engine.sbom(image[0])
    with pytest.raises(aipack.InvalidInputError):
        engine.sbom(image[0], "yaml")


def test_a_signed_build_is_trusted_by_its_key_and_by_no_other(engine, plan, tmp_path):
    key = aipack.make_key(tmp_path / "ours.key", "correct horse")
    stranger = aipack.make_key(tmp_path / "stranger.key", "correct horse")
    place = f"oci:{tmp_path}/signed.oci:1"
    report = engine.build_plan(plan, output=place, tag="r.example/digits:1", key=key, sign_large_models=True)
    assert report.attached.signatures == 4 and report.attached.attestations == 8
    (tmp_path / "ours.pub").write_text(key.public_key)
    judged = engine.verify(place, [tmp_path / "ours.pub"], attestations=["spdxjson", "slsaprovenance1"], every_platform=True)
    assert judged and judged.digest == report.digest
    assert [image.platform for image in judged.images] == [None, "linux/amd64"]
    refused = engine.verify(place, [stranger.public_key])
    assert not refused and all(signature.reason for signature in refused.images[0].signatures)
    assert engine.sign(place, aipack.read_key(tmp_path / "stranger.key", "correct horse"), annotations={"stage": "test"}).signatures == 2
    assert engine.verify(place, [key.public_key, stranger.public_key], threshold=2)
    assert engine.verify(place, [stranger.public_key], annotations={"stage": "test"})


def test_keys_are_opened_with_their_password_and_never_replaced(tmp_path):
    aipack.make_key(tmp_path / "k", "correct horse", "ed25519")
    with pytest.raises(aipack.AlreadyExistsError):
        aipack.make_key(tmp_path / "k", "correct horse")
    for password in ("wrong", None):
        with pytest.raises(aipack.UnauthenticatedError):
            aipack.read_key(tmp_path / "k", password)
    (tmp_path / "k").chmod(0o644)
    with pytest.raises(aipack.DeniedError):
        aipack.read_key(tmp_path / "k", "correct horse")


def test_progress_arrives_as_typed_events(engine, plan, tmp_path):
    events = []
    engine.build_plan(plan, output=f"oci:{tmp_path}/p.oci:1", progress=events.append)
    kinds = {event.kind for event in events}
    assert kinds <= {"begin", "advance", "end"}
    assert sum(event.kind == "begin" for event in events) == sum(event.kind == "end" for event in events)


def test_an_exception_of_the_callback_stops_the_work_and_is_raised(engine, tmp_path):
    class Enough(Exception):
        pass

    def callback(event):
        raise Enough

    # Compressed differently from what the cache has, so that there is work to be stopped.
    with pytest.raises(Enough):
        engine.build(MODEL, platforms="linux/amd64", compress="zstd:2", output=f"oci:{tmp_path}/x.oci:1", progress=callback)


def test_every_error_code_has_its_exception():
    from aipack import _errors

    codes = ["invalid_input", "not_found", "already_exists", "unsupported", "corrupt", "unsatisfiable", "unauthenticated", "denied",
             "unavailable", "io", "cancelled", "internal"]
    for code in codes:
        error = _errors.from_code(code, "cannot x", ["while y"], "do z")
        assert isinstance(error, aipack.Error) and error.code == code
        assert str(error) == "cannot x" and error.context == ["while y"] and error.hint == "do z"
    assert issubclass(aipack.NotFoundError, LookupError) and issubclass(aipack.InvalidInputError, ValueError)
    assert issubclass(aipack.UnavailableError, ConnectionError) and issubclass(aipack.LocalIOError, OSError)


def test_errors_carry_code_and_message(engine, tmp_path):
    with pytest.raises(aipack.NotFoundError) as caught:
        engine.analyze(tmp_path / "absent.onnx")
    assert caught.value.code == "not_found" and "absent.onnx" in str(caught.value)
    with pytest.raises(aipack.UnsupportedError):
        engine.plan(MODEL, platforms="linux/vax")
    with pytest.raises(ValueError):
        engine.plan(MODEL, platforms="/")
    with pytest.raises(TypeError):
        engine.plan(MODEL, platfroms="all")
    (tmp_path / "bad.onnx").write_bytes(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
    with pytest.raises(aipack.Error) as caught:
        engine.analyze(tmp_path / "bad.onnx")
    assert caught.value.code in ("corrupt", "invalid_input", "unsupported")


def test_ctrl_c_is_a_keyboard_interrupt(engine, tmp_path):
    import http.server

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            released.wait(60)

        def log_message(self, *_):
            pass

    released = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            aipack.Engine(cache_dir=tmp_path).plan(MODEL, mirror=f"http://127.0.0.1:{server.server_address[1]}/debian")
    finally:
        released.set()
        server.shutdown()


def test_engines_are_safe_to_share_between_threads(engine):
    results = []
    threads = [threading.Thread(target=lambda: results.append(engine.analyze(MODEL).parameter_count)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and len(set(results)) == 1


def test_the_committed_stubs_are_what_the_module_says():
    spec = importlib.util.spec_from_file_location("make_stubs", SOURCE / "python/make_stubs.py")
    make_stubs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_stubs)
    assert make_stubs.stubs() == (SOURCE / "python/src/aipack/_core.pyi").read_text()


def test_the_examples_in_docstrings_run(monkeypatch):
    monkeypatch.chdir(SOURCE)
    assert doctest.testmod(aipack).failed == 0


def test_without_a_home_nothing_is_remembered_of_signatures(monkeypatch, tmp_path):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setattr(pathlib.Path, "home", no_home)
    assert aipack._defaults.verdict_key() == ""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert aipack._defaults.verdict_key() == str(tmp_path / "aipack/verdict.key")
