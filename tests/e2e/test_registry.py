"""Images go to real registries and come back, and the tools of the field take them from there."""

import json
import pathlib
import shutil
import ssl
import sys

import pytest
from conftest import MODEL, PLATFORMS, check_predictions, daemon, free_port, needs, run, wait_until_ready
from registries import docker_registry, htpasswd_settings, tls_files
from test_run import container_alive, docker  # noqa: F401 (a fixture)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from debian_tools import tool  # noqa: E402


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def pushed(aipack, registry):
    """The example, built straight into a registry, and the build's report."""
    reference = f"{registry}/team/digits:1"
    report = json.loads(aipack("build", MODEL, "-t", reference, "--platform", "all", "--push", "--json").stdout)
    return reference, report


def test_the_pushed_index_is_the_one_that_a_layout_holds(pushed, layout):
    reference, report = pushed
    assert report["reference"] == f"docker://{reference}"
    assert report["digest"] == layout[1]["digest"]
    assert report["pushed"][0]["sent"]["count"] > 0


def test_a_push_of_what_is_there_asks_at_most_three_questions(aipack, pushed):
    reference, _ = pushed
    report = json.loads(aipack("build", MODEL, "-t", reference, "--platform", "all", "--push", "--json").stdout)
    assert report["pushed"][0]["unchanged"]
    assert report["requests"] <= 3
    assert report["pushed"][0]["sent_bytes"] == 0


def test_tags_lists_what_was_pushed(aipack, pushed):
    reference, _ = pushed
    repository = reference.rpartition(":")[0]
    assert aipack("tags", repository).stdout.split() == ["1"]
    assert json.loads(aipack("tags", repository, "--json").stdout)["tags"] == ["1"]


def test_inspect_and_why_read_from_a_registry(aipack, pushed, layout):
    reference, report = pushed
    shown = json.loads(aipack("inspect", reference, "--json").stdout)
    assert shown["digest"] == report["digest"]
    assert [image["platform"] for image in shown["images"]] == PLATFORMS
    chain = aipack("why", reference, "/usr/lib/x86_64-linux-gnu/libre2.so.11", "--platform", "linux/amd64").stdout
    assert "libonnxruntime" in chain


def test_pull_gives_the_layout_back_byte_for_byte(aipack, pushed, tmp_path):
    reference, report = pushed
    aipack("pull", reference, f"oci:{tmp_path}/copy")
    assert json.loads(aipack("inspect", f"oci:{tmp_path}/copy:1", "--json").stdout)["digest"] == report["digest"]
    run("skopeo", "inspect", "--raw", f"oci:{tmp_path}/copy:1") if shutil.which("skopeo") else None
    for blob in (tmp_path / "copy/blobs/sha256").iterdir():
        assert run("sha256sum", blob).stdout.split()[0] == blob.name


def test_one_platform_can_be_pulled_as_a_docker_archive(aipack, pushed, tmp_path):
    reference, _ = pushed
    archive = tmp_path / "digits.tar"
    aipack("pull", reference, f"docker-archive:{archive}", "--platform", "linux/arm64")
    needs("skopeo")
    assert json.loads(run("skopeo", "inspect", "--config", f"docker-archive:{archive}").stdout)["architecture"] == "arm64"


def test_copy_within_a_registry_mounts_and_sends_nothing(aipack, pushed, registry):
    reference, report = pushed
    copied = json.loads(aipack("copy", reference, f"{registry}/other/place:2", "--json").stdout)
    assert copied["digest"] == report["digest"]
    assert copied["sent"]["count"] == 0
    assert copied["mounted"]["count"] > 0
    assert copied["sent_bytes"] == 0


def test_skopeo_copies_the_whole_index(pushed, tmp_path):
    needs("skopeo")
    reference, _ = pushed
    run("skopeo", "copy", "--all", "--src-tls-verify=false", f"docker://{reference}", f"oci:{tmp_path}/out:1")


def test_crane_finds_nothing_to_complain_about(aipack, pushed, registry):
    crane = tool("sid", "crane")
    reference, _ = pushed
    # Without --fast crane takes every layer for gzip, and so refuses all zstd and plain ones, whoever made them.
    run(crane, "validate", "--remote", reference, "--insecure", "--fast")
    in_gzip = f"{registry}/team/all-gzip:1"
    aipack("build", MODEL, "-t", in_gzip, "--platform", "all", "--compress", "gzip:6", "--compress-models", "gzip:1", "--push")
    run(crane, "validate", "--remote", in_gzip, "--insecure")


def test_containerd_pulls_every_platform(pushed, tmp_path):
    needs("containerd", "ctr")
    reference, _ = pushed
    socket = tmp_path / "c.sock"
    configuration = tmp_path / "config.toml"
    configuration.write_text(f'version = 2\nroot = "{tmp_path}/root"\nstate = "{tmp_path}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
                             f'[grpc]\naddress = "{socket}"\n')
    ctr = ["ctr", "--address", socket]
    with daemon("containerd", "--config", configuration, ready=lambda: run(*ctr, "version", check=False).returncode == 0,
                log=tmp_path / "containerd.log"):
        run(*ctr, "images", "pull", "--plain-http", "--all-platforms", "--snapshotter", "native", reference)
        assert reference in run(*ctr, "images", "ls").stdout


def test_docker_20_pulls_the_gzip_form(aipack, docker, registry):
    reference = f"{registry}/team/digits-gzip:1"
    aipack("build", MODEL, "-t", reference, "--platform", "all", "--compress", "gzip:6", "--push")
    docker("pull", reference)
    assert "linux/amd64" in docker("inspect", "--format", "{{.Os}}/{{.Architecture}}", reference).stdout


def test_podman_pulls_and_serves(pushed, podman):
    reference, _ = pushed
    podman("pull", "-q", "--tls-verify=false", reference)
    port = free_port()
    with podman.serve(reference, port) as name:
        wait_until_ready(port, lambda: container_alive(podman, name))
        check_predictions(port)


def test_push_takes_a_layout_of_another_tool(aipack, layout, registry, tmp_path):
    needs("skopeo")
    directory, _ = layout
    run("skopeo", "copy", "--all", f"oci:{directory}:1", f"oci:{tmp_path}/foreign:x")
    theirs = json.loads((tmp_path / "foreign/index.json").read_text())["manifests"][0]["digest"]
    pushed = json.loads(aipack("push", f"oci:{tmp_path}/foreign:x", f"{registry}/foreign/digits:1", "--json").stdout)
    assert pushed["digest"] == theirs


def test_a_registry_with_passwords_wants_a_login_and_gets_it(aipack, layout, tmp_path):
    directory, report = layout
    settings = htpasswd_settings(tmp_path, "ci", "s3cret-word")
    with docker_registry(tmp_path / "registry", settings) as address:
        auth_file = tmp_path / "auth.json"
        refused = aipack("push", f"oci:{directory}:1", f"{address}/a:1", "--authfile", tmp_path / "none.json", check=False,
                         env={"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / "no")})
        assert refused.returncode != 0
        refused = aipack("push", f"oci:{directory}:1", f"{address}/a:1", check=False, env={"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path / "no")})
        assert refused.returncode == 4
        assert f"aipack login {address}" in refused.stderr
        wrong = aipack("login", address, "-u", "ci", "--password-stdin", "--authfile", auth_file, input="wrong\n", check=False)
        assert wrong.returncode == 4 and not auth_file.exists()
        login = aipack("login", address, "-u", "ci", "--password-stdin", "--authfile", auth_file, input="s3cret-word\n", check=True)
        assert "s3cret-word" not in login.stdout + login.stderr
        assert auth_file.stat().st_mode & 0o777 == 0o600
        pushed = aipack("push", f"oci:{directory}:1", f"{address}/a:1", "--authfile", auth_file, "--json", "-v")
        assert json.loads(pushed.stdout)["digest"] == report["digest"]
        assert "s3cret-word" not in pushed.stderr and "Basic" not in pushed.stderr
        by_environment = aipack("tags", f"{address}/a", env={"AIPACK_REGISTRY": address, "AIPACK_REGISTRY_USER": "ci",
                                                             "AIPACK_REGISTRY_PASSWORD": "s3cret-word", "HOME": str(tmp_path)})
        assert by_environment.stdout.split() == ["1"]
        aipack("logout", address, "--authfile", auth_file)
        assert address not in auth_file.read_text()


def test_a_private_authority_is_trusted_when_it_is_named(aipack, layout, tmp_path):
    directory, report = layout
    ca, certificate, key = tls_files(tmp_path)
    settings = {"http": {"tls": {"certificate": str(certificate), "key": str(key)}}}
    context = ssl.create_default_context(cafile=ca)
    with docker_registry(tmp_path / "registry", settings, "https", context) as address:
        config = tmp_path / "config"
        (config / "aipack").mkdir(parents=True)
        environment = {"XDG_CONFIG_HOME": str(config), "HOME": str(tmp_path)}
        (config / "aipack/registries.toml").write_text(f'[[registry]]\nlocation = "{address}"\nca-file = "{tmp_path}/other.crt"\n')
        tls_other = tmp_path / "other"
        tls_other.mkdir()
        shutil.copy(tls_files(tls_other)[0], tmp_path / "other.crt")
        refused = aipack("push", f"oci:{directory}:1", f"{address}/a:1", env=environment, check=False)
        assert refused.returncode == 4 and "certificate" in refused.stderr
        (config / "aipack/registries.toml").write_text(f'[[registry]]\nlocation = "{address}"\nca-file = "{ca}"\n')
        pushed = aipack("push", f"oci:{directory}:1", f"{address}/a:1", "--json", env=environment)
        assert json.loads(pushed.stdout)["digest"] == report["digest"]


def test_load_puts_the_image_into_an_engine(aipack, podman, tmp_path):
    storage = tmp_path / "storage.conf"  # podman finds the same storage as the fixture's
    words = podman.base
    root, runroot = words[words.index("--root") + 1], words[words.index("--runroot") + 1]
    storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{root}"\nrunroot = "{runroot}"\n')
    aipack("build", MODEL, "-t", "localhost/loaded:1", "--load=podman", env={"CONTAINERS_STORAGE_CONF": str(storage)})
    assert "localhost/loaded" in podman("images", "--format", "{{.Repository}}").stdout


def test_a_name_without_a_registry_cannot_be_pushed(aipack):
    refused = aipack("build", MODEL, "-t", "digits:1", "--push", check=False)
    assert refused.returncode == 2
    assert "names no registry" in refused.stderr and "HOST/REPOSITORY" in refused.stderr


def test_a_missing_repository_is_named(aipack, registry):
    refused = aipack("tags", f"{registry}/no/such", check=False)
    assert refused.returncode == 3
    assert "no/such" in refused.stderr


def other_model(directory):
    """The example's classifier under another name."""
    directory.mkdir(parents=True, exist_ok=True)
    return shutil.copy(MODEL, directory / "figures.onnx")


def test_a_base_of_another_tool_gets_a_model_and_keeps_its_layers_where_they_are(aipack, gzip_layout, tmp_path, podman):
    """The base is in Docker's own format, written by skopeo; the registry's log tells that its layers were mounted, not moved."""
    needs("skopeo")
    with docker_registry(tmp_path / "registry") as address:
        base = f"{address}/foreign/server:1"
        run("skopeo", "copy", "--format", "v2s2", "--dest-tls-verify=false", f"oci:{gzip_layout}:1", f"docker://{base}")
        layers = json.loads(run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{base}").stdout)["layers"]
        log = tmp_path / "registry/registry.log"
        before = len(log.read_text())
        reference = f"{address}/team/extended:1"
        report = json.loads(aipack("build", other_model(tmp_path / "model"), "--base", base, "-t", reference, "--push", "--json").stdout)
        requests = log.read_text()[before:]
        assert report["pushed"][0]["mounted"]["count"] == len({layer["digest"] for layer in layers})
        for layer in layers:
            assert f'GET /v2/foreign/server/blobs/{layer["digest"]}' not in requests
        podman("pull", "-q", "--tls-verify=false", reference)
        port = free_port()
        with podman.serve(reference, port) as name:
            wait_until_ready(port, lambda: container_alive(podman, name))
            check_predictions(port)
            check_predictions(port, "figures")


def test_a_folder_of_any_model_goes_onto_a_base(aipack, layout, tmp_path):
    directory, _ = layout
    model = tmp_path / "llm"
    (model / "sub").mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "sub/weights.safetensors").write_bytes(bytes(5 << 20))
    words = ("build", model, "--base", f"oci:{directory}:1", "--platform", "all", "--file", f"{MODEL}:/opt/x/digits.onnx", "--env", "A=b", "--json")
    first = json.loads(aipack(*words, "-o", f"oci:{tmp_path}/out:1").stdout)
    again = json.loads(aipack(*words, "-o", f"oci-archive:{tmp_path}/out.tar").stdout)
    assert first["digest"] == again["digest"]
    shown = json.loads(aipack("inspect", f"oci:{tmp_path}/out:1", "--json").stdout)
    assert [image["platform"] for image in shown["images"]] == PLATFORMS
    config = shown["images"][0]["config"]["config"]
    assert "A=b" in config["Env"] and config["User"] == "65532:65532"
    needs("skopeo", "umoci")
    run("skopeo", "copy", f"oci:{tmp_path}/out:1", f"dir:{tmp_path}/dir")
    lock = tmp_path / "aipack.lock"
    aipack("plan", model, "--base", f"oci:{directory}:1", "--platform", "all", "--file", f"{MODEL}:/opt/x/digits.onnx", "--env", "A=b", "-o", lock)
    locked = json.loads(aipack(*words, "--locked", lock, "-o", f"oci:{tmp_path}/locked:1").stdout)
    assert locked["digest"] == first["digest"]


def test_a_base_without_the_platform_says_which_it_has(aipack, layout):
    directory, _ = layout
    refused = aipack("build", MODEL, "--base", f"oci:{directory}:1", "--platform", "linux/s390x", "-o", "oci:/nonexistent/x", check=False)
    assert refused.returncode != 0
    assert "linux/amd64" in refused.stderr


def test_a_push_that_fails_leaves_the_layout_that_was_written_before_it(aipack, tmp_path):
    refused = aipack("build", MODEL, "-o", f"oci:{tmp_path}/kept:1", "-t", f"127.0.0.1:{free_port()}/nobody/digits:1", "--push", check=False)
    assert refused.returncode == 4
    assert json.loads(aipack("inspect", f"oci:{tmp_path}/kept:1", "--json").stdout)["images"]


def test_load_puts_the_image_into_docker(aipack, docker):
    aipack("build", MODEL, "-t", "loaded:1", "--load=docker", env={"DOCKER_HOST": docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").stdout.strip()})
    assert "loaded:1" in docker("images", "--format", "{{.Repository}}:{{.Tag}}").stdout
