"""Signing at its edges: keys in tokens, time stamps, many signers at once, weights that are read once."""

import http.server
import json
import os
import subprocess
import sys
import threading

import pytest
from conftest import AIPACK, MODEL, SOURCE, needs, run
from registries import docker_registry

sys.path.insert(0, str(SOURCE / "tests/bench"))
from bench import MIB, external_model  # noqa: E402

QUICK = ("--compress", "zstd:3")  # what is signed does not matter here, and this is made in a second
TOKEN_MODULE = "/usr/lib/softhsm/libsofthsm2.so"
SIGNERS = 64


@pytest.fixture(scope="module")
def key(aipack, tmp_path_factory):
    """A key without a password: path without ending."""
    path = tmp_path_factory.mktemp("keys") / "ours"
    aipack("keygen", "-o", path, "--format", "pkcs8")
    return path


def verdict(aipack, *arguments, expect=0):
    result = aipack("verify", *arguments, "--json", check=False)
    assert result.returncode == expect, result.stdout + result.stderr
    return json.loads(result.stdout)


# --- tokens

@pytest.fixture
def token(tmp_path):
    """A SoftHSM token with a key that cannot be read: environment, public key."""
    needs("softhsm2-util", "pkcs11-tool", "openssl")
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}\n")
    environment = {"SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf"), "AIPACK_PIN": "1234"}
    everything = {**os.environ, **environment}
    run("softhsm2-util", "--init-token", "--free", "--label", "aipack", "--so-pin", "4321", "--pin", "1234", env=everything)
    tool = ["pkcs11-tool", "--module", TOKEN_MODULE, "--login", "--pin", "1234"]
    run(*tool, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "signer", "--id", "01", env=everything)
    run(*tool, "--read-object", "--type", "pubkey", "--label", "signer", "-o", tmp_path / "public.der", env=everything)
    run("openssl", "pkey", "-pubin", "-inform", "DER", "-in", tmp_path / "public.der", "-out", tmp_path / "public.pem")
    return environment, tmp_path / "public.pem"


def test_a_key_in_a_token_signs_a_build(aipack, token, key, tmp_path):
    environment, public = token
    words = ("build", MODEL, "-o", f"oci:{tmp_path}/token.oci:1", *QUICK, "--sign", "--key", "pkcs11:token=aipack;object=signer;type=private",
             "--pkcs11-module", TOKEN_MODULE)
    refused = aipack(*words, env={**environment, "AIPACK_PIN": "0000"}, check=False)
    if "engine" in refused.stderr and "not installed" in refused.stderr:
        pytest.skip("OpenSSL's PKCS#11 engine is not installed")
    assert refused.returncode == 5, refused.stderr
    assert "1234" not in refused.stderr and "0000" not in refused.stderr
    assert not (tmp_path / "token.oci").exists()
    aipack(*words, env=environment)
    judged = verdict(aipack, f"oci:{tmp_path}/token.oci:1", "--key", public, "--every-platform", "--attestation", "slsaprovenance1")
    assert judged["verified"]
    verdict(aipack, f"oci:{tmp_path}/token.oci:1", "--key", f"{key}.pub", expect=5)


# --- time stamps

TSA = """
[req]
distinguished_name = dn
prompt = no
[dn]
O = Example
CN = example
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = codeSigning
subjectAltName = email:release@example.org
[clock]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = tsa_config
[tsa_config]
serial = {directory}/serial
signer_cert = {directory}/clock.crt
certs = {directory}/root.crt
signer_key = {directory}/clock.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
"""


@pytest.fixture
def authority(tmp_path):
    """An authority for certificates and time stamps: folder with root.crt, leaf.key and leaf.crt, URL of the clock, the list of its answers."""
    needs("openssl")
    directory = tmp_path / "authority"
    directory.mkdir()
    config = directory / "openssl.cnf"
    config.write_text(TSA.format(directory=directory))
    (directory / "serial").write_text("01\n")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", config]
    run("openssl", "req", "-x509", *new_key, "-keyout", directory / "root.key", "-out", directory / "root.crt", "-days", "30", "-extensions", "root",
        "-subj", "/O=Example/CN=root")
    for name in ("leaf", "clock"):
        run("openssl", "req", *new_key, "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.csr", "-subj", f"/O=Example/CN={name}")
        run("openssl", "x509", "-req", "-in", directory / f"{name}.csr", "-CA", directory / "root.crt", "-CAkey", directory / "root.key",
            "-CAcreateserial", "-out", directory / f"{name}.crt", "-days", "20", "-extfile", config, "-extensions", name)
        (directory / f"{name}.key").chmod(0o600)
    answers = []
    turn = threading.Lock()

    class Clock(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            with turn:
                (directory / "question").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
                run("openssl", "ts", "-reply", "-config", config, "-queryfile", directory / "question", "-out", directory / "answer")
                answers.append((directory / "answer").read_bytes())
                answer = answers[-1]
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Clock)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield directory, f"http://127.0.0.1:{server.server_port}/", answers
    server.shutdown()
    server.server_close()


def test_a_time_stamping_authority_proves_when_it_was_signed(aipack, authority, tmp_path):
    directory, clock, answers = authority
    place = f"oci:{tmp_path}/stamped.oci:1"
    words = ("build", MODEL, "-o", place, *QUICK, "--sign", "--key", directory / "leaf.key", "--certificate", directory / "leaf.crt", "--timestamp-server")
    refused = aipack(*words, clock.replace("http://127.0.0.1", "http://127.0.0.1:1/"), check=False)
    assert refused.returncode != 0 and not (tmp_path / "stamped.oci").exists()
    aipack(*words, clock)
    assert answers
    stamped = [blob for blob in (tmp_path / "stamped.oci/blobs/sha256").iterdir() if b"rfc3161Timestamps" in blob.read_bytes()]
    assert len(stamped) >= 2  # each bundle has one of its own
    whose = ("--trusted-root", directory / "root.crt", "--certificate-identity", "release@example.org")
    verdict(aipack, place, *whose, "--every-platform")
    # Under another authority neither the certificate nor the stamp counts.
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", directory / "other.key", "-out",
        directory / "other.crt", "-days", "30", "-config", directory / "openssl.cnf", "-extensions", "root")
    verdict(aipack, place, "--trusted-root", directory / "other.crt", "--certificate-identity", "release@example.org", expect=5)


# --- many at once

def test_sixty_four_processes_that_sign_at_once_lose_nothing(aipack, key, tmp_path):
    with docker_registry(tmp_path / "registry") as address:  # without the referrers API
        reference = f"{address}/team/busy:1"
        aipack("build", MODEL, "-t", reference, *QUICK, "--push")
        environment = {**os.environ, "AIPACK_CACHE_DIR": str(tmp_path / "state")}
        processes = [subprocess.Popen([AIPACK, "sign", reference, "--key", f"{key}.key", "--root-only", "-a", f"signer={number}", "-q"],
                                      env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for number in range(SIGNERS)]
        for process in processes:
            assert process.wait(600) == 0, process.stderr.read()
            process.stderr.close()
        # Of each the bundle, and at the tag one signature for the repository and one for repository:tag.
        judged = verdict(aipack, reference, "--key", f"{key}.pub")
        assert sum(signature["verified"] for signature in judged["signatures"]) == 3 * SIGNERS
        for number in (0, SIGNERS // 2, SIGNERS - 1):
            judged = verdict(aipack, reference, "--key", f"{key}.pub", "-a", f"signer={number}")
            assert sum(signature["verified"] for signature in judged["signatures"]) == 3


# --- weights

def has_model_signature(judged):
    return any("model_signing" in attestation["predicate_type"] for attestation in judged["attestations"])


def test_a_large_model_is_composed_again_from_the_digest_of_its_layer(aipack, key, tmp_path):
    model = external_model(tmp_path / "model", 65 * MIB)
    place = f"oci:{tmp_path}/large.oci:1"
    report = json.loads(aipack("build", model, "-o", place, *QUICK, "--sign", "--key", f"{key}.key", "--json").stdout)
    assert any("no signature of its own" in note for note in report["notes"])
    report = verdict(aipack, place, "--key", f"{key}.pub", "--attestation", "slsaprovenance1", "--rebuild")
    assert "bit for bit the same" in json.dumps(report)
    # With digests and a signature of its own it is another statement about the same image.
    whole = f"oci:{tmp_path}/whole.oci:1"
    again = json.loads(aipack("build", model, "-o", whole, *QUICK, "--sign", "--key", f"{key}.key", "--sign-large-models", "--json").stdout)
    assert again["notes"] == [] and again["digest"] == json.loads(aipack("inspect", place, "--json").stdout)["digest"]
    assert has_model_signature(verdict(aipack, whole, "--key", f"{key}.pub", "--rebuild"))
    assert not has_model_signature(verdict(aipack, place, "--key", f"{key}.pub"))


def test_options_of_signing_without_signing_are_refused(aipack, tmp_path):
    refused = aipack("build", MODEL, "-o", f"oci:{tmp_path}/x.oci", "--sign-large-models", check=False)
    assert refused.returncode == 2 and "--sign" in refused.stderr
