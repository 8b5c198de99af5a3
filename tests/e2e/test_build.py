"""What `aipack build` makes, how it stays the same, and what it says about itself."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import pytest
from conftest import AIPACK, MODEL, PLATFORMS, TRIPLETS, copy_cache, needs, run

MAX_COMPRESSED_BYTES = 11_000_000  # everything but the model, per architecture


def test_the_image_without_its_model_stays_within_the_budget(layout):
    _, report = layout
    for platform in report["platforms"]:
        size = sum(layer["size_bytes"] for layer in platform["layers"] if layer["purpose"] != "model")
        assert size <= MAX_COMPRESSED_BYTES, f"{platform['platform']}: {size} bytes"


def test_layers_are_cut_by_purpose_and_the_weights_are_shared(layout):
    _, report = layout
    assert [platform["platform"] for platform in report["platforms"]] == PLATFORMS
    weights = set()
    for platform in report["platforms"]:
        purposes = [layer["purpose"] for layer in platform["layers"]]
        assert purposes == ["base", "runtime", "server", "model"]
        assert len(platform["layers"]) <= 10
        model = platform["layers"][-1]
        assert model["media_type"] == "application/vnd.oci.image.layer.v1.tar"
        assert model["digest"] == model["diff_id"]
        weights.add(model["digest"])
    assert len(weights) == 1


def test_every_blob_of_the_layout_has_the_digest_it_is_named_by(layout):
    directory, report = layout
    blobs = list((directory / "blobs/sha256").iterdir())
    assert blobs
    for blob in blobs:
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    index = json.loads((directory / "index.json").read_text())
    assert [entry["digest"] for entry in index["manifests"]] == [report["digest"]]


def test_skopeo_reads_each_platform(layout):
    needs("skopeo")
    directory, _ = layout
    for platform in PLATFORMS:
        config = json.loads(run("skopeo", "inspect", "--config", "--override-arch", platform.split("/")[1], f"oci:{directory}:1").stdout)
        assert config["architecture"] == platform.split("/")[1]
        assert config["config"]["User"] == "65532:65532"
        assert config["config"]["Entrypoint"] == ["/usr/bin/aipack-serve"]
        assert "8080/tcp" in config["config"]["ExposedPorts"]


def seeded_cache(cache, directory):
    """Downloaded packages and indexes are shared; everything that was computed from them is not."""
    return copy_cache(cache, directory, ("compositions", "layers", "unpacked", "digests", "answers", "solv", "solve"))


def test_two_builds_in_different_surroundings_give_one_digest(layout, cache, tmp_path):
    _, report = layout
    needs("taskset")
    (tmp_path / "cache").mkdir()
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    shutil.copy(MODEL, elsewhere / "digits.onnx")
    os.utime(elsewhere / "digits.onnx", (86400, 86400))
    environment = {**os.environ, "AIPACK_CACHE_DIR": str(seeded_cache(cache, tmp_path / "cache")), "TZ": "Pacific/Kiritimati",
                   "LC_ALL": "C.UTF-8", "LANG": "tr_TR.UTF-8"}
    result = subprocess.run(
        ["sh", "-c", 'umask 077; exec taskset -c 0 "$0" build digits.onnx --platform all -t digits:1 -o oci:out.oci --json', AIPACK],
        cwd=elsewhere, env=environment, capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["digest"] == report["digest"]


def test_a_second_build_writes_nothing_and_gives_the_same_digest(layout, aipack):
    directory, report = layout
    again = json.loads(aipack("build", MODEL, "--platform", "all", "-t", "digits:1", "-o", f"oci:{directory}", "--json").stdout)
    assert again["digest"] == report["digest"]
    assert again["written"]["new_bytes"] == 0


def test_source_date_epoch_is_the_time_of_the_image(aipack, tmp_path):
    for _ in range(2):
        aipack("build", MODEL, "-o", f"oci:{tmp_path}/dated.oci:1", "--json", env={"SOURCE_DATE_EPOCH": "1700000000"})
    inspected = json.loads(aipack("inspect", f"oci:{tmp_path}/dated.oci:1", "--json").stdout)
    assert inspected["images"][0]["config"]["created"] == "2023-11-14T22:13:20Z"
    result = aipack("build", MODEL, "-o", f"oci:{tmp_path}/x.oci", check=False, env={"SOURCE_DATE_EPOCH": "soon"})
    assert result.returncode == 2 and "SOURCE_DATE_EPOCH" in result.stderr


def test_a_lock_pins_everything_and_builds_offline(layout, aipack, cache, tmp_path):
    _, report = layout
    lock = tmp_path / "aipack.lock"
    aipack("plan", MODEL, "--platform", "all", "-o", lock)
    pinned = json.loads(lock.read_text())
    for image in pinned["images"]:
        assert image["releases"] and all(release["in_release_digest"].startswith("sha256:") for release in image["releases"])
        assert image["packages"] and all(package["digest"].startswith("sha256:") for package in image["packages"])
    # Nothing that was composed before: the packages themselves must come from the cache.
    (tmp_path / "cache").mkdir()
    seeded = seeded_cache(cache, tmp_path / "cache")
    locked = json.loads(aipack("build", MODEL, "--platform", "all", "-t", "digits:1", "--locked", lock, "--offline", "--mirror",
                               "http://127.0.0.1:9/debian", "-o", f"oci:{tmp_path}/locked.oci", "--json", env={"AIPACK_CACHE_DIR": str(seeded)}).stdout)
    assert locked["digest"] == report["digest"]


def test_a_lock_of_another_model_is_refused(aipack, tmp_path):
    lock = tmp_path / "aipack.lock"
    aipack("plan", MODEL, "-o", lock)
    pinned = json.loads(lock.read_text())
    pinned["models"][0]["files"][0]["digest"] = "sha256:" + "0" * 64
    lock.write_text(json.dumps(pinned))
    result = aipack("build", MODEL, "--locked", lock, "-o", f"oci:{tmp_path}/x.oci", check=False)
    assert result.returncode == 2
    assert "is not the one it pins" in result.stderr and "hint:" in result.stderr
    assert not (tmp_path / "x.oci").exists()


def test_why_prints_the_chain_from_the_entrypoint(layout, aipack):
    directory, _ = layout
    for platform, triplet in TRIPLETS.items():
        text = aipack("why", f"oci:{directory}:1", f"/usr/lib/{triplet}/libre2.so.11", "--platform", platform).stdout
        lines = text.splitlines()
        assert "/usr/bin/aipack-serve" in lines[0]
        assert any("libonnxruntime.so.1.21" in line for line in lines)
        assert "libre2.so.11" in text


def test_why_says_what_dropped_a_file(layout, aipack):
    directory, _ = layout
    result = aipack("why", f"oci:{directory}:1", "/usr/share/doc/libc6/changelog.Debian.gz", "--platform", "linux/amd64", check=False)
    assert result.returncode == 3
    assert "it is not in the image" in result.stderr


def test_plan_and_inspect_say_what_the_image_holds_and_why(layout, aipack):
    directory, _ = layout
    plan = aipack("plan", MODEL, "--platform", "linux/amd64").stdout
    assert "libonnxruntime1.21" in plan and "asked for" in plan and "DROPPED BECAUSE" in plan
    inspected = aipack("inspect", f"oci:{directory}:1").stdout
    for platform in PLATFORMS:
        assert platform in inspected
    assert "runtime" in inspected and "65532:65532" in inspected


def test_scanners_find_every_package_with_its_licence(layout, aipack, tmp_path):
    """The package database and the copyright files of what is in the image, read from the unpacked root."""
    root = unpack(aipack, tmp_path)
    status = sorted(path for path in (root / "var/lib/dpkg/status.d").iterdir() if path.suffix != ".md5sums")
    names = [path.name for path in status]
    assert "libc6" in names and "libonnxruntime1.21" in names
    for path in status:
        text = path.read_text()
        assert f"Package: {path.name}\n" in text and "Status: install ok installed\n" in text
        copyright_file = root / "usr/share/doc" / path.name / "copyright"
        assert copyright_file.resolve().is_file(), path.name
    for sums in (root / "var/lib/dpkg/status.d").glob("*.md5sums"):
        for line in sums.read_text().splitlines():
            digest, name = line.split(maxsplit=1)
            assert hashlib.md5((root / name).read_bytes()).hexdigest() == digest, name


def unpack(aipack, directory, platform="linux/amd64"):
    """An image's root file system, by GNU tar."""
    archive = directory / "image.tar"
    aipack("build", MODEL, "--platform", platform, "-t", "digits:1", "-o", f"docker-archive:{archive}")
    (directory / "save").mkdir()
    run("tar", "-xf", archive, "-C", directory / "save")
    root = directory / "root"
    root.mkdir()
    for layer in json.loads((directory / "save/manifest.json").read_text())[0]["Layers"]:
        run("tar", "-xpf", directory / "save" / layer, "-C", root)
    return root


def test_the_image_has_no_shell_and_nothing_setuid(aipack, tmp_path):
    root = unpack(aipack, tmp_path)
    assert not [name for name in ("sh", "bash", "dash", "busybox") if (root / "usr/bin" / name).exists()]
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert path.stat().st_mode & 0o6000 == 0, path
    assert os.readlink(root / "bin") == "usr/bin" and os.readlink(root / "lib64") == "usr/lib64"
    assert (root / "etc/ssl/certs/ca-certificates.crt").read_text().count("BEGIN CERTIFICATE") > 100
    assert "65532" in (root / "etc/passwd").read_text()


def test_umoci_unpacks_the_gzip_form(gzip_layout, tmp_path):
    needs("umoci", "skopeo")
    single = tmp_path / "single"
    run("skopeo", "copy", "--override-arch", "amd64", f"oci:{gzip_layout}:1", f"oci:{single}:1")
    run("umoci", "unpack", "--image", f"{single}:1", tmp_path / "bundle")
    assert (tmp_path / "bundle/rootfs/models/digits.onnx").read_bytes() == MODEL.read_bytes()


def test_the_weights_payload_starts_on_a_page(layout):
    directory, report = layout
    layer = report["platforms"][0]["layers"][-1]
    blob = (directory / "blobs/sha256" / layer["digest"].removeprefix("sha256:")).read_bytes()
    at = blob.find(MODEL.read_bytes())
    assert at > 0 and at % 4096 == 0
