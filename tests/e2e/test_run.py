"""The image answers under stock container engines, on all three architectures."""

import json
import os
import shutil
import time
import urllib.error

import pytest
from conftest import MODEL, PLATFORMS, QEMU, ask, check_predictions, daemon, free_port, needs, run, wait_until_ready


def container_alive(podman, name):
    state = json.loads(podman("inspect", name).stdout)[0]["State"]
    if not state["Running"]:
        return f"the container ended with {state['ExitCode']}: " + podman("logs", name, check=False).stderr
    return None


@pytest.mark.parametrize("platform", PLATFORMS)
def test_podman_serves_the_right_predictions(platform, layout, podman, request):
    directory, _ = layout
    if platform in QEMU:
        request.getfixturevalue("binfmt")
    architecture = platform.split("/")[1]
    image = podman("pull", "-q", "--arch", architecture, f"oci:{directory}:1").stdout.strip()
    port = free_port()
    with podman.serve(image, port) as name:
        wait_until_ready(port, lambda: container_alive(podman, name))
        check_predictions(port)
        logs = podman("logs", name)
        assert "Schema error" not in logs.stdout + logs.stderr
        began = time.monotonic()
        podman("stop", "-t", "60", name)
        assert json.loads(podman("inspect", name).stdout)[0]["State"]["ExitCode"] == 0, "the server must end cleanly on SIGTERM"
        assert time.monotonic() - began < 60


def test_podman_runs_the_zstd_layout_as_it_is(layout, podman):
    directory, _ = layout
    port = free_port()
    with podman.serve(f"oci:{directory}:1", port) as name:
        wait_until_ready(port, lambda: container_alive(podman, name))
        check_predictions(port)


@pytest.fixture(scope="module")
def docker(tmp_path_factory):
    """A Docker engine of our own. The client is the one that belongs to it: another may speak a newer protocol."""
    needs("dockerd")
    client = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else shutil.which("docker")
    if client is None:
        pytest.skip("docker is not installed")
    directory = tmp_path_factory.mktemp("docker")
    socket = directory / "docker.sock"

    def call(*arguments, **options):
        return run(client, "-H", f"unix://{socket}", *arguments, **options)

    with daemon("dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--data-root", directory / "data", "--exec-root",
                directory / "exec", "-p", directory / "pid", "-H", f"unix://{socket}", "--storage-driver", "vfs",
                ready=lambda: call("info", check=False).returncode == 0, log=directory / "dockerd.log"):
        yield call
    run("umount", directory / "exec/netns/default", check=False)  # dockerd leaves it mounted, and the folder could not be removed


def test_docker_loads_and_serves(aipack, docker, tmp_path):
    archive = tmp_path / "digits.tar"
    aipack("build", MODEL, "--platform", "linux/amd64", "-t", "digits:1", "-o", f"docker-archive:{archive}")
    assert "digits:1" in docker("load", "-i", archive).stdout
    port = free_port()
    container = docker("run", "-d", "--network=host", "--ulimit", "nofile=1024:1024", "--read-only", "--cap-drop=ALL", "digits:1", "--models",
                       "/models", "--port", port).stdout.strip()
    try:
        def alive():
            state = json.loads(docker("inspect", container).stdout)[0]["State"]
            return None if state["Running"] else "the container ended: " + docker("logs", container).stderr
        wait_until_ready(port, alive)
        check_predictions(port)
    finally:
        docker("rm", "-f", container, check=False)


def test_the_server_survives_wrong_requests(layout, podman):
    directory, _ = layout
    port = free_port()
    with podman.serve(f"oci:{directory}:1", port) as name:
        wait_until_ready(port, lambda: container_alive(podman, name))
        for body, word in [
            ({"inputs": [{"name": "pixel", "datatype": "FP32", "shape": [1, 64], "data": [0.0] * 64}]}, "pixel"),
            ({"inputs": [{"name": "pixels", "datatype": "FP32", "shape": [1, 63], "data": [0.0] * 63}]}, "pixels"),
            ({"inputs": [{"name": "pixels", "datatype": "INT64", "shape": [1, 64], "data": [0] * 64}]}, "pixels"),
            ({"inputs": []}, "pixels"),
        ]:
            with pytest.raises(urllib.error.HTTPError) as error:
                ask(port, "/v2/models/digits/infer", body)
            assert 400 <= error.value.code < 500
            assert word in json.loads(error.value.read())["error"]
        check_predictions(port)
