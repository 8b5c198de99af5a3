"""SBOMs of the example's image: complete, valid, the same wherever the image lies and whenever it is asked for."""

import hashlib
import json
import re
import sys

import pytest
from conftest import MODEL, PLATFORMS, SOURCE
from registries import docker_registry

sys.path.insert(0, str(SOURCE / "tests/interop"))
schemas = pytest.importorskip("schemas", reason="python3-jsonschema is not installed")

FORMATS = {"spdx-json": schemas.validate_spdx, "cyclonedx-json": schemas.validate_cyclonedx}


@pytest.fixture(scope="module")
def documents(layout, aipack):
    """{(format, platform): text}; platform None is the index."""
    directory, _ = layout
    wanted = [(name, platform) for name in FORMATS for platform in (None, *PLATFORMS)]
    return {(name, platform): aipack("sbom", f"oci:{directory}:1", "--format", name, *(["--platform", platform] if platform else [])).stdout
            for name, platform in wanted}


def test_every_document_is_valid(documents):
    for (name, _), text in documents.items():
        FORMATS[name](json.loads(text))
        assert text.endswith("}\n")


def test_each_document_is_about_what_was_asked_for(documents, layout):
    _, report = layout
    digests = {None: report["digest"]} | {item["platform"]: item["digest"] for item in report["platforms"]}
    for (name, platform), text in documents.items():
        document = json.loads(text)
        if name == "cyclonedx-json":
            assert document["metadata"]["component"]["version"] == digests[platform]
        else:
            described = next(item["relatedSpdxElement"] for item in document["relationships"] if item["relationshipType"] == "DESCRIBES")
            subject = next(item for item in document["packages"] if item["SPDXID"] == described)
            assert subject["versionInfo"] == digests[platform]


def test_every_package_and_model_file_is_listed_with_its_licence(documents, layout):
    _, report = layout
    model = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    for item in report["platforms"]:
        packages = {(package["name"], package["version"]) for package in item["packages"]}
        spdx = json.loads(documents["spdx-json", item["platform"]])
        listed = {(package["name"], package["versionInfo"]): package for package in spdx["packages"]
                  if any(reference["referenceLocator"].startswith("pkg:deb/") for reference in package.get("externalRefs", []))}
        assert listed.keys() == packages
        for package in listed.values():
            assert package["licenseDeclared"] != "NOASSERTION", package["name"]
            assert len(package["checksums"][0]["checksumValue"]) == 64
        files = {file["fileName"]: file["checksums"] for file in spdx["files"]}
        assert {"algorithm": "SHA256", "checksumValue": model} in files["./models/digits.onnx"]

        cyclonedx = json.loads(documents["cyclonedx-json", item["platform"]])
        libraries = {(component["name"], component["version"]) for component in cyclonedx["components"] if component["type"] == "library"}
        assert libraries == packages
        assert all(component.get("licenses") for component in cyclonedx["components"] if component["type"] == "library")
        models = [component for component in cyclonedx["components"] if component["type"] == "machine-learning-model"]
        assert [component["name"] for component in models] == ["digits"]
        assert {"alg": "SHA-256", "content": model} in models[0]["components"][0]["hashes"]
        assert models[0]["modelCard"]["modelParameters"]["inputs"] == [{"format": "pixels: float[batch, 64]"}]
        server = next(component for component in cyclonedx["components"] if component["name"] == "aipack-serve")
        assert server["licenses"] == [{"license": {"id": "Apache-2.0", "acknowledgement": "declared"}}]


def test_well_known_packages_have_the_licences_that_everyone_knows(documents):
    spdx = json.loads(documents["spdx-json", "linux/amd64"])
    declared = {package["name"]: package["licenseDeclared"] for package in spdx["packages"]}
    assert declared["zlib1g"] == "Zlib"
    assert declared["libonnxruntime1.21"].startswith("MIT")
    assert "LGPL-2.1-or-later" in declared["libc6"]


def test_asking_again_gives_the_same_bytes(documents, layout, aipack, tmp_path):
    directory, _ = layout
    for (name, platform), text in documents.items():
        if platform in (None, "linux/arm64"):
            file = tmp_path / "again.json"
            aipack("sbom", f"oci:{directory}:1", "--format", name, *(["--platform", platform] if platform else []), "-o", file, "-j", "1")
            assert file.read_text() == text


def test_an_archive_of_the_image_gives_the_same_bytes(documents, layout, aipack, tmp_path):
    directory, _ = layout
    aipack("copy", f"oci:{directory}:1", f"oci-archive:{tmp_path}/digits.tar:1")
    for name in FORMATS:
        assert aipack("sbom", f"oci-archive:{tmp_path}/digits.tar:1", "--format", name).stdout == documents[name, None]


def test_a_registry_gives_the_same_bytes(documents, layout, aipack, tmp_path):
    directory, _ = layout
    with docker_registry(tmp_path / "registry") as address:
        aipack("push", f"oci:{directory}:1", f"{address}/other/name:1")
        for (name, platform), text in documents.items():
            if platform in (None, "linux/riscv64"):
                options = ["--platform", platform] if platform else []
                assert aipack("sbom", f"{address}/other/name:1", "--format", name, *options).stdout == text


def test_another_build_gives_the_same_documents(documents, aipack, tmp_path):
    aipack("build", MODEL, "--platform", "all", "-t", "digits:1", "-o", f"oci:{tmp_path}/again.oci")
    for name in FORMATS:
        assert aipack("sbom", f"oci:{tmp_path}/again.oci:1", "--format", name).stdout == documents[name, None]


def test_what_a_build_attaches_is_what_the_verb_prints(documents, layout, aipack, tmp_path):
    """One document of each format for the index and for each platform, byte for byte."""
    _, report = layout
    digests = {report["digest"]: None} | {item["digest"]: item["platform"] for item in report["platforms"]}
    formats = {"application/spdx+json": "spdx-json", "application/vnd.cyclonedx+json": "cyclonedx-json"}
    aipack("build", MODEL, "--platform", "all", "-t", "digits:1", "-o", f"oci:{tmp_path}/attached.oci", "--sbom")
    blobs = tmp_path / "attached.oci/blobs/sha256"
    attached = {}
    for blob in blobs.iterdir():
        data = blob.read_bytes()
        if data.startswith(b"{") and b'"artifactType"' in data:
            manifest = json.loads(data)
            [layer] = manifest["layers"]
            key = (formats[manifest["artifactType"]], digests[manifest["subject"]["digest"]])
            attached[key] = (blobs / layer["digest"].removeprefix("sha256:")).read_text()
    assert attached == documents


def test_the_table_is_for_people(layout, aipack):
    directory, _ = layout
    text = aipack("sbom", f"oci:{directory}:1", "--format", "table").stdout
    assert re.search(r"^  zlib1g +\S+ +trixie\S* +Zlib$", text, re.MULTILINE)
    assert "/models/digits.onnx" in text
    for platform in PLATFORMS:
        assert platform in text


def test_json_is_a_record_with_the_document(documents, layout, aipack, tmp_path):
    directory, report = layout
    record = json.loads(aipack("sbom", f"oci:{directory}:1", "--json").stdout)
    assert record["subject"] == report["digest"] and record["media_type"] == "application/spdx+json"
    assert record["document"] == json.loads(documents["spdx-json", None])
    assert record["digest"] == "sha256:" + hashlib.sha256(documents["spdx-json", None].encode()).hexdigest()
    written = json.loads(aipack("sbom", f"oci:{directory}:1", "--json", "-o", tmp_path / "x.json").stdout)
    assert written["file"] == str(tmp_path / "x.json") and "document" not in written


def test_what_aipack_did_not_build_is_refused(aipack, tmp_path):
    layout = tmp_path / "foreign"
    blobs = layout / "blobs/sha256"
    blobs.mkdir(parents=True)

    def put(document):
        data = json.dumps(document).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    config = put({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    manifest = put({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config}})
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", **manifest}]}))
    result = aipack("sbom", f"oci:{layout}", check=False)
    assert result.returncode == 2
    assert "aipack did not build it" in result.stderr and "hint:" in result.stderr


def test_models_on_a_base_are_listed_and_the_rest_is_called_incomplete(aipack, layout, tmp_path):
    """On a base that aipack built its packages are known; they come out of the same record."""
    directory, _ = layout
    aipack("build", MODEL, "--base", f"oci:{directory}:1", "--model-name", "second", "-t", "two:1", "-o", f"oci:{tmp_path}/two.oci",
           "--platform", "linux/amd64")
    for name, judge in FORMATS.items():
        document = json.loads(aipack("sbom", f"oci:{tmp_path}/two.oci:1", "--format", name).stdout)
        judge(document)
        text = json.dumps(document)
        assert "pkg:deb/debian/libc6@" in text and "/models/" in text
