"""Real registries on the loopback interface: Debian's docker-registry with its ways of asking who is there."""

import contextlib
import json
import pathlib
import subprocess
import urllib.error
import urllib.request

from conftest import daemon, free_port, needs, run


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
