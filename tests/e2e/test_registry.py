"""Images go to real registries and come back, and the tools of the field take them from there."""

import json
import os
import shutil
import ssl

import pytest
from conftest import MODEL, PLATFORMS, check_predictions, free_port, needs, run, wait_until_ready
from registries import docker_registry, htpasswd_settings, tls_files
from test_run import container_alive


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


def test_podman_pulls_and_serves(pushed, podman):
    reference, _ = pushed
    podman("pull", "-q", "--tls-verify=false", reference)
    port = free_port()
    with podman.serve(reference, port) as name:
        wait_until_ready(port, lambda: container_alive(podman, name))
        check_predictions(port)


def test_push_takes_a_layout_of_another_tool(aipack, layout, registry, tmp_path):
    needs("skopeo")
    directory, report = layout
    run("skopeo", "copy", "--all", f"oci:{directory}:1", f"oci:{tmp_path}/foreign:x")
    pushed = json.loads(aipack("push", f"oci:{tmp_path}/foreign:x", f"{registry}/foreign/digits:1", "--json").stdout)
    assert pushed["digest"] == report["digest"]


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
    assert "names no registry" in refused.stderr or "HOST/" in refused.stderr


def test_a_missing_repository_is_named(aipack, registry):
    refused = aipack("tags", f"{registry}/no/such", check=False)
    assert refused.returncode == 3
    assert "no/such" in refused.stderr
