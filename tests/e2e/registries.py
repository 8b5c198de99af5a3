"""Real registries on the loopback interface: Debian's docker-registry with its ways of asking who is there."""

import contextlib
import json
import pathlib
import subprocess
import urllib.error
import urllib.request

import pytest
from conftest import AIPACK, daemon, free_port, needs, run


def answers(port, scheme="http", context=None):
    try:
        urllib.request.urlopen(f"{scheme}://127.0.0.1:{port}/v2/", timeout=2, context=context)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


@contextlib.contextmanager
def docker_registry(directory, settings=None, scheme="http", context=None):
    """Yields "127.0.0.1:PORT". `settings` are merged into its configuration."""
    needs("docker-registry")
    port = free_port()
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    configuration = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    for key, value in (settings or {}).items():
        configuration[key] = {**configuration[key], **value} if isinstance(configuration.get(key), dict) else value
    (directory / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
    with daemon("docker-registry", "serve", directory / "config.yml", ready=lambda: answers(port, scheme, context), log=directory / "registry.log"):
        yield f"127.0.0.1:{port}"


def htpasswd_settings(directory, user, password):
    needs("htpasswd")
    file = pathlib.Path(directory) / "htpasswd"
    line = subprocess.run(["htpasswd", "-niB", user], input=password, capture_output=True, text=True, check=True).stdout
    file.write_text(line)
    return {"auth": {"htpasswd": {"realm": "test", "path": str(file)}}}


def tls_files(directory):
    """A private authority and a certificate of it for 127.0.0.1: paths of ca, certificate and key."""
    needs("openssl")
    directory = pathlib.Path(directory)
    ca, ca_key, certificate, key = (directory / name for name in ("ca.crt", "ca.key", "server.crt", "server.key"))
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test authority",
        "-keyout", ca_key, "-out", ca)
    request = directory / "server.csr"
    run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out",
        request)
    extensions = directory / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1\n")
    run("openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out",
        certificate)
    return ca, certificate, key


class TestRegistry:
    """The scriptable registry of tests/support as a program, with a line of JSON for each request."""

    def __init__(self, address, log):
        self.address, self.log = address, log

    def requests(self):
        """Those that ended; a line that is just being written is left for later."""
        text = self.log.read_text() if self.log.exists() else ""
        return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]

    def uploaded_bytes(self):
        """Bytes of blobs that arrived, those of broken requests included."""
        return sum(request["received"] for request in self.requests() if request["method"] in ("PATCH", "PUT", "POST") and "/blobs/" in request["target"])

    def uploaded_for(self):
        """{digest: bytes} of the blobs that are there, in all sessions that were closed with them."""
        requests = self.requests()
        sessions = {request["upload"]: request["digest"] for request in requests if request["method"] == "PUT" and request["upload"] and request["status"] == 201}
        sums = {}
        for request in requests:
            if digest := sessions.get(request["upload"]):
                sums[digest] = sums.get(digest, 0) + request["received"]
        return sums


@contextlib.contextmanager
def test_registry(directory, *options):
    program = pathlib.Path(AIPACK).with_name("test_registry")
    if not program.exists():
        pytest.skip("test_registry is not built")
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "requests.jsonl"
    process = subprocess.Popen([program, "--log", log, "--until-stdin-closes", "--max-seconds", "900", *map(str, options)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    try:
        yield TestRegistry(process.stdout.readline().strip(), log)
    finally:
        process.stdin.close()
        process.wait(30)


test_registry.__test__ = False
TestRegistry.__test__ = False
