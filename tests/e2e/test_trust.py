"""One signed build is accepted by every verifier of the field, aipack verifies what they sign, and what was tampered with is refused."""

import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tarfile

import pytest
from conftest import AIPACK, MODEL, PLATFORMS, needs, run
from registries import docker_registry, test_registry

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from debian_tools import tool  # noqa: E402

PASSWORD = "correct horse"
SPDX, CYCLONEDX, PROVENANCE = "https://spdx.dev/Document", "https://cyclonedx.org/bom", "https://slsa.dev/provenance/v1"
QUICK = ("--compress", "zstd:3")  # what is signed does not matter here, and this is made in a second


@pytest.fixture(scope="module", autouse=True)
def password():
    os.environ["AIPACK_KEY_PASSWORD"] = os.environ["COSIGN_PASSWORD"] = PASSWORD
    yield
    del os.environ["AIPACK_KEY_PASSWORD"], os.environ["COSIGN_PASSWORD"]


@pytest.fixture(scope="module")
def keys(aipack, tmp_path_factory):
    """Ours and a stranger's: paths without their endings."""
    directory = tmp_path_factory.mktemp("keys")
    for name in ("ours", "stranger"):
        aipack("keygen", "-o", directory / name)
    return directory / "ours", directory / "stranger"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def signed(aipack, registry, keys):
    """One `aipack build --sign --push`: reference, report."""
    reference = f"{registry}/team/signed:1"
    report = json.loads(aipack("build", MODEL, "-t", reference, "--platform", "all", *QUICK, "--push", "--sign", "--key", f"{keys[0]}.key",
                               "--json").stdout)
    return reference, report


def verdict(aipack, *arguments, expect=0):
    result = aipack("verify", *arguments, "--json", check=False)
    assert result.returncode == expect, result.stdout + result.stderr
    return json.loads(result.stdout)


# --- keys

def test_keygen_writes_a_locked_private_key_that_only_its_owner_can_read(keys):
    private, public = pathlib.Path(f"{keys[0]}.key"), pathlib.Path(f"{keys[0]}.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert private.read_text().startswith("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----")
    assert public.read_text().startswith("-----BEGIN PUBLIC KEY-----")


def test_keygen_never_replaces_a_key(aipack, keys):
    before = pathlib.Path(f"{keys[0]}.key").read_bytes()
    result = aipack("keygen", "-o", keys[0], check=False)
    assert result.returncode == 2 and "it exists" in result.stderr
    assert pathlib.Path(f"{keys[0]}.key").read_bytes() == before


@pytest.mark.parametrize("fault, reason", [("wrong password", "password"), ("readable by others", "chmod 600"), ("no key", "key")])
def test_a_key_that_cannot_be_relied_on_signs_nothing(aipack, signed, keys, tmp_path, fault, reason):
    reference, _ = signed
    key = tmp_path / "ours.key"
    shutil.copy(f"{keys[0]}.key", key)
    key.chmod(0o644 if fault == "readable by others" else 0o600)
    if fault == "no key":
        key.write_text("no key")
    result = aipack("sign", reference, "--key", key, "-a", "never=written", check=False,
                    env={"AIPACK_KEY_PASSWORD": "wrong word" if fault == "wrong password" else PASSWORD})
    assert result.returncode == 5
    assert reason in result.stderr
    assert PASSWORD not in result.stderr and "wrong word" not in result.stderr
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", "-a", "never=written", expect=5)


# --- one build, every verifier

def test_the_build_signed_the_index_and_each_platform_and_said_what_it_attached(aipack, signed, keys):
    reference, report = signed
    images = 1 + len(PLATFORMS)
    assert report["attached"]["signatures"] == 2 * images
    # Two SBOMs and the provenance each, the findings and the model's own signature once.
    assert report["attached"]["attestations"] == 3 * images + 2
    judged = verdict(aipack, reference, "--key", f"{keys[0]}.pub", "--every-platform", "--attestation", "spdxjson", "--attestation", "cyclonedx",
                     "--attestation", "slsaprovenance1,/buildDefinition/buildType=https://aipack.dev/build/v1")
    assert judged["verified"] and judged["digest"] == report["digest"]
    assert [image["platform"] for image in judged["images"]] == [None, *PLATFORMS]


def test_who_is_not_trusted_is_refused_with_exit_5_and_a_reason_per_candidate(aipack, signed, keys):
    reference, _ = signed
    judged = verdict(aipack, reference, "--key", f"{keys[1]}.pub", expect=5)
    assert not judged["verified"] and len(judged["signatures"]) == 3
    assert all(signature["reason"] for signature in judged["signatures"])
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", "--key", f"{keys[1]}.pub", "--threshold", "2", expect=5)
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", "--attestation", "vuln", expect=5)


@pytest.mark.parametrize("suite, generation", [("trixie", 2), ("sid", 3)])
def test_cosign_verifies_signature_and_attestations(signed, keys, suite, generation, tmp_path):
    cosign = tool(suite, "cosign")
    reference, report = signed
    environment = {**os.environ, "HOME": str(tmp_path)}
    plain = ["--allow-http-registry"] if generation == 2 else []
    by_digest = reference.rpartition(":")[0] + "@" + report["digest"]
    for image in (reference, by_digest, *(f"{reference.rpartition(':')[0]}@{platform['digest']}" for platform in report["platforms"])):
        run(cosign, "verify", "--key", f"{keys[0]}.pub", "--insecure-ignore-tlog=true", *plain, image, env=environment)
        assert run(cosign, "verify", "--key", f"{keys[1]}.pub", "--insecure-ignore-tlog=true", *plain, image, env=environment,
                   check=False).returncode != 0
    root = tmp_path / "root.json"
    root.write_text('{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    bundles = ["--new-bundle-format", "--trusted-root", root] if generation == 2 else []
    for kind in ("slsaprovenance1", "spdxjson", "cyclonedx"):
        run(cosign, "verify-attestation", *bundles, "--key", f"{keys[0]}.pub", "--insecure-ignore-tlog=true", "--type", kind, reference,
            env=environment)


def trixies_skopeo():
    """Debian 12's has sigstore signatures patched out."""
    spec = importlib.util.spec_from_file_location("interop_tools", pathlib.Path(__file__).resolve().parents[1] / "interop/debian_tools.py")
    tools = importlib.util.module_from_spec(spec)  # the module of tests/support has the same name
    spec.loader.exec_module(tools)
    try:
        tree = pathlib.Path(tools.fetch("skopeo", "trixie", with_dependencies=True))
    except tools.Missing as reason:
        pytest.skip(str(reason))
    return [tree / "usr/lib64/ld-linux-x86-64.so.2", "--library-path", tree / "usr/lib/x86_64-linux-gnu", tree / "usr/bin/skopeo"]


def with_attachments(directory, host):
    """A registries.d that says where signatures are."""
    registries = directory / "registries.d"
    registries.mkdir()
    (registries / "d.yaml").write_text(f"docker:\n  {host}:\n    use-sigstore-attachments: true\n")
    return registries


def test_what_skopeo_signs_is_verified(aipack, registry, keys, tmp_path):
    skopeo = trixies_skopeo()
    aipack("build", MODEL, "-o", f"oci:{tmp_path}/plain.oci:1", *QUICK)
    reference = f"{registry}/team/by-skopeo:1"
    (tmp_path / "passphrase").write_text(PASSWORD)
    run(*skopeo, "--insecure-policy", "--registries.d", with_attachments(tmp_path, registry), "copy", "--all", "--dest-tls-verify=false",
        "--sign-by-sigstore-private-key", f"{keys[0]}.key", "--sign-passphrase-file", tmp_path / "passphrase", f"oci:{tmp_path}/plain.oci:1",
        f"docker://{reference}")
    judged = verdict(aipack, reference, "--key", f"{keys[0]}.pub", "--match", "exact")
    assert [signature["format"] for signature in judged["signatures"]] == ["simple-signing"]
    verdict(aipack, reference, "--key", f"{keys[1]}.pub", expect=5)


def test_skopeo_pulls_it_under_a_policy_that_wants_our_key(signed, keys, tmp_path):
    skopeo = trixies_skopeo()
    reference, _ = signed
    host = reference.split("/")[0]
    registries = with_attachments(tmp_path, host)
    for key, accepted in ((keys[0], True), (keys[1], False)):
        policy = tmp_path / "policy.json"
        policy.write_text(json.dumps({"default": [{"type": "reject"}], "transports": {"docker": {host: [
            {"type": "sigstoreSigned", "keyPath": f"{key}.pub"}]}}}))
        result = run(*skopeo, "--policy", policy, "--registries.d", registries, "copy", "--src-tls-verify=false", f"docker://{reference}",
                     f"dir:{tmp_path}/{key.name}", check=False)
        assert (result.returncode == 0) == accepted, result.stderr


VERIFY_JS = """
const {bundleFromJSON} = require('@sigstore/bundle');
const {Verifier, toSignedEntity} = require('@sigstore/verify');
const {createPublicKey} = require('crypto');
const fs = require('fs');
const key = {publicKey: createPublicKey(fs.readFileSync(process.argv[2])), validFor: () => true};
const trust = {certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [], publicKey: () => key};
const bundle = bundleFromJSON(JSON.parse(fs.readFileSync(process.argv[3])));
new Verifier(trust, {tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0, tsaThreshold: 0}).verify(toSignedEntity(bundle));
"""


@pytest.fixture(scope="module")
def sigstore_js(cache):
    needs("node", "npm")
    directory = cache / "sigstore-js"
    if not (directory / "node_modules/@sigstore/verify").exists():
        directory.mkdir(exist_ok=True)
        result = run("npm", "install", "--no-audit", "--no-fund", "--prefix", directory, "@sigstore/verify@3", "@sigstore/bundle@4", check=False)
        if result.returncode != 0:
            pytest.skip(f"@sigstore/verify cannot be installed: {result.stderr[-300:]}")
    (directory / "verify.js").write_text(VERIFY_JS)
    return directory / "verify.js"


def attached_bundles(aipack, reference, tmp_path):
    """Every bundle beside the index, as its layer has it."""
    aipack("pull", reference, f"oci:{tmp_path}/pulled")
    blobs = tmp_path / "pulled/blobs/sha256"
    digest = json.loads(aipack("inspect", reference, "--json").stdout)["digest"]
    for entry in json.loads((tmp_path / "pulled/index.json").read_text())["manifests"]:
        manifest = json.loads((blobs / entry["digest"].partition(":")[2]).read_text())
        if manifest.get("subject", {}).get("digest") == digest and "bundle" in manifest.get("artifactType", ""):
            yield blobs / manifest["layers"][0]["digest"].partition(":")[2]


def test_sigstore_js_verifies_every_bundle(aipack, signed, keys, sigstore_js, tmp_path):
    bundles = list(attached_bundles(aipack, signed[0], tmp_path))
    assert len(bundles) == 6
    for bundle in bundles:
        run("node", sigstore_js, f"{keys[0]}.pub", bundle)
        assert run("node", sigstore_js, f"{keys[1]}.pub", bundle, check=False).returncode != 0


def test_notation_verifies_when_it_was_asked_for(aipack, registry, tmp_path):
    notation = tool("sid", "notation")
    needs("openssl")
    key, chain, root = certificates(tmp_path)
    reference = f"{registry}/team/notation:1"
    aipack("build", MODEL, "-t", reference, *QUICK, "--push", "--sign", "--key", key, "--certificate", chain, "--sign-format",
           "bundle,simple-signing,notation")
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"version": "1.0", "trustPolicies": [{
        "name": "t", "registryScopes": ["*"], "trustStores": ["ca:example"], "signatureVerification": {"level": "strict"},
        "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Example"]}]}))
    run(notation, "cert", "add", "--type", "ca", "--store", "example", root, env=environment)
    run(notation, "policy", "import", policy, env=environment)
    run(notation, "verify", "--insecure-registry", reference, env=environment)
    strange = certificates(tmp_path / "strange")[2]
    strangers = {**environment, "XDG_CONFIG_HOME": str(tmp_path / "strangers")}
    run(notation, "cert", "add", "--type", "ca", "--store", "example", strange, env=strangers)
    run(notation, "policy", "import", policy, env=strangers)
    assert run(notation, "verify", "--insecure-registry", reference, env=strangers, check=False).returncode != 0
    verdict(aipack, reference, "--notation-certificate", strange, expect=5)
    judged = verdict(aipack, reference, "--notation-certificate", root, "--notation-subject", "C=US, ST=WA, O=Example")
    assert [signature["format"] for signature in judged["signatures"] if signature["verified"]] == ["notation-jws"]
    verdict(aipack, reference, "--trusted-root", root, "--certificate-identity", "release@example.org", "--attestation", "spdxjson")
    verdict(aipack, reference, "--trusted-root", root, "--certificate-identity", "other@example.org", expect=5)


def certificates(directory):
    """A private authority and a code-signing certificate: key, chain, root."""
    directory.mkdir(exist_ok=True)
    config = directory / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nC=US\nST=WA\nO=Example\nCN=example\n"
                      "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
                      "[leaf]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n"
                      "subjectAltName=email:release@example.org\n")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("openssl", "req", "-x509", *new_key, "-keyout", directory / "ca.pem", "-out", directory / "ca.crt", "-days", "30", "-config", config,
        "-extensions", "ca", "-subj", "/C=US/ST=WA/O=Example/CN=root")
    run("openssl", "req", *new_key, "-keyout", directory / "leaf.pem", "-out", directory / "leaf.csr", "-config", config)
    run("openssl", "x509", "-req", "-in", directory / "leaf.csr", "-CA", directory / "ca.crt", "-CAkey", directory / "ca.pem", "-CAcreateserial",
        "-out", directory / "leaf.crt", "-days", "20", "-extfile", config, "-extensions", "leaf")
    (directory / "chain.crt").write_text((directory / "leaf.crt").read_text() + (directory / "ca.crt").read_text())
    (directory / "leaf.pem").chmod(0o600)
    return directory / "leaf.pem", directory / "chain.crt", directory / "ca.crt"


# --- the other way round

@pytest.mark.parametrize("suite, generation", [("trixie", 2), ("sid", 3)])
def test_what_cosign_signs_and_attests_is_verified(aipack, registry, keys, suite, generation, tmp_path):
    cosign = tool(suite, "cosign")
    reference = f"{registry}/team/by-cosign{generation}:1"
    report = json.loads(aipack("build", MODEL, "-t", reference, *QUICK, "--push", "--json").stdout)
    by_digest = f"{reference.rpartition(':')[0]}@{report['digest']}"
    environment = {**os.environ, "HOME": str(tmp_path)}
    offline = ["--tlog-upload=false", "-y", "--allow-http-registry"] + (["--use-signing-config=false"] if generation == 3 else [])
    run(cosign, "sign", "--key", f"{keys[0]}.key", *offline, by_digest, env=environment)
    predicate = tmp_path / "spdx.json"
    predicate.write_text('{"spdxVersion":"SPDX-2.3"}')
    run(cosign, "attest", "--key", f"{keys[0]}.key", *offline, "--type", "spdxjson", "--predicate", predicate, by_digest, env=environment)
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", "--attestation", "spdxjson,/spdxVersion=SPDX-2.3")
    verdict(aipack, reference, "--key", f"{keys[1]}.pub", expect=5)


def test_attest_and_sign_add_to_what_is_there(aipack, registry, keys, tmp_path):
    reference = f"{registry}/team/later:1"
    aipack("build", MODEL, "-t", reference, *QUICK, "--push")
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", expect=5)
    aipack("sign", reference, "--key", f"{keys[0]}.key", "-a", "stage=release")
    aipack("sign", reference, "--key", f"{keys[1]}.key")
    scan = tmp_path / "scan.json"
    scan.write_text('{"scanner": {"result": "clean"}}')
    aipack("attest", reference, "--key", f"{keys[0]}.key", "--type", "https://example.org/scan/v1", "--predicate", scan)
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", "--key", f"{keys[1]}.pub", "--threshold", "2", "--every-platform")
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", "-a", "stage=release", "--attestation",
            "https://example.org/scan/v1,/scanner/result=clean")
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", "-a", "stage=test", expect=5)
    again = json.loads(aipack("sign", reference, "--key", f"{keys[0]}.key", "-a", "stage=release", "--json").stdout)
    assert again["signatures"] == 0 and again["present"] == 4


def test_a_signature_in_a_file_is_for_networks_that_are_apart(aipack, signed, keys, registry, tmp_path):
    reference = f"{registry}/team/apart:1"
    aipack("copy", signed[0], reference, "--no-referrers")
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", expect=5)
    aipack("sign", reference, "--key", f"{keys[0]}.key", "--bundle", tmp_path / "signature.json")
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", expect=5)
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", "--bundle", tmp_path / "signature.json")


# --- places, pulls and bases

@pytest.mark.parametrize("place", ["oci:{}/signed.oci:1", "oci-archive:{}/signed.tar:1"])
def test_layouts_and_archives_hold_their_signatures(aipack, keys, tmp_path, place):
    where = place.format(tmp_path)
    aipack("build", MODEL, "-t", "registry.example/team/signed:1", "-o", where, *QUICK, "--sign", "--key", f"{keys[0]}.key")
    verdict(aipack, where, "--key", f"{keys[0]}.pub", "--every-platform", "--attestation", "spdxjson", "--offline")


def test_signatures_travel_with_copies_into_another_registry(aipack, signed, keys, tmp_path):
    with test_registry(tmp_path / "other") as other:
        aipack("copy", signed[0], f"{other.address}/mirror/signed:1")
        verdict(aipack, f"{other.address}/mirror/signed:1", "--key", f"{keys[0]}.pub", "--every-platform", "--attestation", "spdxjson")


def test_pull_and_base_refuse_what_is_not_signed_by_the_key(aipack, signed, keys, registry, tmp_path):
    reference, report = signed
    aipack("pull", reference, f"oci:{tmp_path}/pulled", "--verify-key", f"{keys[0]}.pub")
    result = aipack("pull", reference, f"oci:{tmp_path}/refused", "--verify-key", f"{keys[1]}.pub", check=False)
    assert result.returncode == 5 and "cannot trust" in result.stderr
    assert not (tmp_path / "refused").exists()
    result = aipack("build", MODEL, "--base", reference, "-o", f"oci:{tmp_path}/on-base", "--verify-key", f"{keys[1]}.pub", check=False)
    assert result.returncode == 5
    assert not (tmp_path / "on-base").exists()
    aipack("build", MODEL, "--base", reference, "-o", f"oci:{tmp_path}/on-base", "--verify-key", f"{keys[0]}.pub")


def test_unsigned_sboms_are_referrers_of_their_types(aipack, registry):
    reference = f"{registry}/team/sboms:1"
    report = json.loads(aipack("build", MODEL, "-t", reference, *QUICK, "--push", "--sbom", "--json").stdout)
    assert report["attached"] == {"signatures": 0, "attestations": 0, "documents": 4, "present": 0}
    types = {referrer["artifact_type"] for referrer in json.loads(aipack("inspect", reference, "--json").stdout)["referrers"]}
    assert types == {"application/spdx+json", "application/vnd.cyclonedx+json"}


# --- a tag never names what was not signed

def test_a_registry_that_fails_while_it_is_signed_leaves_the_tag_alone(aipack, keys, tmp_path):
    build = ["build", MODEL, *QUICK, "--push", "--sign", "--key", f"{keys[0]}.key"]
    with test_registry(tmp_path / "count") as counting:
        aipack(*build, "-t", f"{counting.address}/team/model:1")
        requests = counting.requests()
    # Writes, whose numbers are nearly the same each time, and the proof, which may be asked for once more and then holds.
    writes = [number for number, request in enumerate(requests, 1) if request["method"] == "PUT" and "/manifests/" in request["target"]]
    seen = set()
    for number in [*writes[::5], len(requests) - 3, len(requests)]:
        with test_registry(tmp_path / str(number), "--fault", f"{number}:403") as failing:
            result = aipack(*build, "-t", f"{failing.address}/team/model:1", check=False)
            seen.add(result.returncode)
            tags = aipack("tags", f"{failing.address}/team/model", check=False).stdout.split()
            if result.returncode == 0:
                verdict(aipack, f"{failing.address}/team/model:1", "--key", f"{keys[0]}.pub")
            else:
                assert "1" not in tags
    assert seen != {0}


# --- verification dials nobody else

def connections(trace):
    """Targets of connect() in an strace log, those of name services left out."""
    return {line.partition("sa_family=AF_INET")[2].partition("}")[0] for line in trace.read_text().splitlines() if "sa_family=AF_INET" in line}


def test_verify_offline_opens_no_connection_but_to_the_registry(aipack, signed, keys, tmp_path):
    needs("strace")
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", trace, AIPACK, "verify", "--offline", "--key", f"{keys[0]}.pub"]
    result = run(*command, signed[0], check=False)
    if result.returncode != 0 and "ptrace" in result.stderr:
        pytest.skip("strace may not trace here")
    assert result.returncode == 0, result.stderr
    port = signed[0].split("/")[0].partition(":")[2]
    assert connections(trace), "nothing was traced"
    assert all(f"sin_port=htons({port})" in target and "127.0.0.1" in target for target in connections(trace))
    aipack("pull", signed[0], f"oci:{tmp_path}/pulled")
    run(*command, f"oci:{tmp_path}/pulled:1")
    assert "connect(" not in trace.read_text()


# --- the rebuild

@pytest.fixture(scope="module")
def rebuildable(aipack, registry, keys, tmp_path_factory):
    """Two platforms, with files and settings of the user's own."""
    extra = tmp_path_factory.mktemp("extra")
    (extra / "etc").mkdir()
    (extra / "etc/settings").write_text("x = 1\n")
    (extra / "etc/run").write_text("#!/bin/true\n")
    (extra / "etc/run").chmod(0o755)
    (extra / "etc/link").symlink_to("settings")
    reference = f"{registry}/team/rebuild:1"
    aipack("build", MODEL, "-t", reference, "--platform", "linux/amd64,linux/riscv64", *QUICK, "--file", f"{extra}/etc:/opt/etc", "--env", "A=b",
           "--label", "org.example.x=y", "--push", "--sign", "--key", f"{keys[0]}.key")
    return reference


def test_an_image_can_be_composed_again_from_its_provenance(aipack, rebuildable, keys):
    judged = verdict(aipack, rebuildable, "--key", f"{keys[0]}.pub", "--rebuild")
    assert judged["verified"] and judged["rebuild"]["verified"]
    assert judged["digest"] == judged["rebuild"]["rebuilt_digest"] and judged["rebuild"]["layers"] == []
    verdict(aipack, rebuildable, "--key", f"{keys[0]}.pub", "--rebuild", "--with-model", MODEL)
    # What is asked for beside the rebuild is asked for: another signer, an attestation.
    verdict(aipack, rebuildable, "--key", f"{keys[1]}.pub", "--rebuild", expect=5)
    verdict(aipack, rebuildable, "--key", f"{keys[0]}.pub", "--rebuild", "--attestation", "vuln", expect=5)


def blob_path(layout, digest):
    return layout / "blobs/sha256" / digest.partition(":")[2]


def store(layout, content):
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    blob_path(layout, digest).write_bytes(content)
    return {"digest": digest, "size": len(content)}


def with_one_byte_changed(layout, platform):
    """Flips one byte of a library in the runtime layer of one platform, as who holds the key could: every digest above it is right again.
    The new root's descriptor."""
    index_file = json.loads((layout / "index.json").read_text())
    root = next(entry for entry in index_file["manifests"] if entry["annotations"].get("org.opencontainers.image.ref.name") == "1")
    index = json.loads(blob_path(layout, root["digest"]).read_text())
    entry = next(item for item in index["manifests"] if f"{item['platform']['os']}/{item['platform']['architecture']}" == platform)
    manifest = json.loads(blob_path(layout, entry["digest"]).read_text())
    config = json.loads(blob_path(layout, manifest["config"]["digest"]).read_text())
    at = next(i for i, layer in enumerate(manifest["layers"]) if layer["annotations"]["dev.aipack.layer.purpose"] == "runtime")
    tar = bytearray(run_bytes("zstd", "-dcq", blob_path(layout, manifest["layers"][at]["digest"])))
    with tarfile.open(fileobj=__import__("io").BytesIO(bytes(tar))) as archive:
        member = next(item for item in archive if item.isfile() and "libre2.so" in item.name)
        tar[member.offset_data + member.size // 2] ^= 1
    config["rootfs"]["diff_ids"][at] = "sha256:" + hashlib.sha256(tar).hexdigest()
    plain = store(layout, run_bytes("zstd", "-3cq", data=bytes(tar)))
    manifest["layers"][at].update(plain)
    manifest["config"].update(store(layout, json.dumps(config).encode()))
    entry.update(store(layout, json.dumps(manifest).encode()))
    root.update(store(layout, json.dumps(index).encode()))
    index_file["manifests"] = [root]
    (layout / "index.json").write_text(json.dumps(index_file))


def run_bytes(*command, data=None):
    return subprocess.run([str(word) for word in command], input=data, capture_output=True, check=True).stdout


def test_a_byte_of_a_package_that_differs_is_found_and_its_layer_named(aipack, rebuildable, keys, tmp_path):
    needs("zstd")
    layout = tmp_path / "tampered"
    aipack("pull", rebuildable, f"oci:{layout}")
    provenance = next(statement["predicate"] for statement in statements(aipack, rebuildable, tmp_path) if statement["predicateType"] == PROVENANCE)
    (tmp_path / "provenance.json").write_text(json.dumps(provenance))
    with_one_byte_changed(layout, "linux/riscv64")
    aipack("sign", f"oci:{layout}:1", "--key", f"{keys[0]}.key")
    aipack("attest", f"oci:{layout}:1", "--key", f"{keys[0]}.key", "--type", "slsaprovenance1", "--predicate", tmp_path / "provenance.json")
    verdict(aipack, f"oci:{layout}:1", "--key", f"{keys[0]}.pub", "--attestation", "slsaprovenance1")
    judged = verdict(aipack, f"oci:{layout}:1", "--key", f"{keys[0]}.pub", "--rebuild", expect=5)
    assert [(layer["platform"], layer["purpose"]) for layer in judged["rebuild"]["layers"]] == [("linux/riscv64", "runtime")]
    assert "runtime layer of linux/riscv64" in judged["reason"]


def statements(aipack, reference, directory):
    import base64
    for bundle in attached_bundles(aipack, reference, directory):
        yield json.loads(base64.b64decode(json.loads(bundle.read_text())["dsseEnvelope"]["payload"]))


def test_two_builds_attach_the_same_statements(aipack, keys, registry, tmp_path):
    payloads = []
    for name in ("first", "second"):
        reference = f"{registry}/{name}/model:1"
        aipack("build", MODEL, "-t", reference, *QUICK, "--push", "--sign", "--key", f"{keys[0]}.key")
        (tmp_path / name).mkdir()
        payloads.append(sorted(json.dumps(statement) for statement in statements(aipack, reference, tmp_path / name)))
    assert payloads[0] == payloads[1]


def test_statements_follow_their_schemas(aipack, signed, tmp_path):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
    schemas = pytest.importorskip("schemas", reason="python3-jsonschema is not installed")
    found = {}
    for statement in statements(aipack, signed[0], tmp_path):
        schemas.validate_statement(statement)
        found[statement["predicateType"]] = statement["predicate"]
    schemas.validate_spdx(found[SPDX])
    schemas.validate_cyclonedx(found[CYCLONEDX])
    schemas.validate_slsa_v1(found[PROVENANCE])


def test_an_archive_can_be_signed_for_notation_and_says_what_it_holds(aipack, tmp_path):
    needs("openssl")
    key, chain, root = certificates(tmp_path)
    where = f"oci-archive:{tmp_path}/signed.tar:1"
    report = json.loads(aipack("build", MODEL, "-o", where, *QUICK, "--sign", "--key", key, "--certificate", chain, "--sign-format", "bundle,notation",
                               "--json").stdout)
    assert report["attached"] == {"signatures": 4, "attestations": 8, "documents": 0, "present": 0}
    verdict(aipack, where, "--notation-certificate", root, "--every-platform")


def test_a_layout_gets_podmans_form_under_the_name_that_it_will_have(aipack, keys, registry, tmp_path):
    aipack("build", MODEL, "-o", f"oci:{tmp_path}/plain.oci:1", *QUICK)
    result = aipack("sign", f"oci:{tmp_path}/plain.oci:1", "--key", f"{keys[0]}.key", "--format", "simple-signing", check=False)
    assert result.returncode == 2 and "--name" in result.stderr
    reference = f"{registry}/team/from-layout:1"
    aipack("sign", f"oci:{tmp_path}/plain.oci:1", "--key", f"{keys[0]}.key", "--name", reference)
    aipack("push", f"oci:{tmp_path}/plain.oci:1", reference, "--verify-key", f"{keys[0]}.pub")
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", "--match", "exact", "--ignore-format", "bundle")
    verdict(aipack, reference, "--key", f"{keys[0]}.pub", "--match", "exact", "--ignore-format", "simple-signing", expect=5)


def test_what_cannot_be_signed_is_refused_before_anything_is_built(aipack, keys, tmp_path):
    sign = ["build", MODEL, *QUICK, "--sign", "--key", f"{keys[0]}.key"]
    for arguments in (["-o", f"docker-archive:{tmp_path}/x.tar"], ["-o", f"oci:{tmp_path}/x.oci", "--sign-format", "notation"],
                      ["-o", f"oci:{tmp_path}/x.oci", "--sign-format", "simple-signing"], ["-o", f"oci:{tmp_path}/x.oci", "--sign-format", "pgp"]):
        result = aipack(*sign, *arguments, check=False)
        assert result.returncode == 2 and "hint:" in result.stderr, result.stderr
        assert list(tmp_path.iterdir()) == []


def test_words_of_strangers_do_not_paint_on_the_terminal(aipack, keys, tmp_path):
    place = f"oci:{tmp_path}/painted.oci:1"
    aipack("build", MODEL, "-o", place, *QUICK)
    (tmp_path / "predicate").write_text("{}")
    aipack("attest", place, "--key", f"{keys[1]}.key", "--type", "https://x.example/\033[2K\nverified", "--predicate", tmp_path / "predicate", check=False)
    shown = aipack("verify", place, "--key", f"{keys[0]}.pub", check=False).stdout
    assert "\033" not in shown and "\nverified" not in shown


# --- models

def test_a_model_is_signed_and_verified_by_itself(aipack, keys, tmp_path):
    model = tmp_path / "llm"
    (model / "a").mkdir(parents=True)
    for name in ("weights.bin", "a-b", "a/b"):
        (model / name).write_text(name)
    aipack("sign", "--model", model, "--key", f"{keys[0]}.key")
    verdict(aipack, "--model", model, "--key", f"{keys[0]}.pub")
    verdict(aipack, "--model", model, "--key", f"{keys[1]}.pub", expect=5)
    (model / "a/b").write_text("changed")
    assert verdict(aipack, "--model", model, "--key", f"{keys[0]}.pub", expect=5)["changed"] == ["a/b"]
    (model / "a/b").unlink()
    (model / "new").write_text("new")
    judged = verdict(aipack, "--model", model, "--key", f"{keys[0]}.pub", expect=5)
    assert judged["missing"] == ["a/b"] and judged["unsigned_files"] == ["new"]
    single = tmp_path / "m.onnx"
    shutil.copy(MODEL, single)
    aipack("sign", "--model", single, "--key", f"{keys[0]}.key")
    verdict(aipack, "--model", single, "--key", f"{keys[0]}.pub")


# --- tokens and time stamps have their own tests below unit.sign

def test_options_that_ask_for_nothing_are_refused(aipack, signed, keys):
    reference, _ = signed
    for arguments in (["verify", reference], ["sign", reference], ["build", MODEL, "--key", "x.key"], ["build", MODEL, "--verify-key", f"{keys[0]}.pub"]):
        result = aipack(*arguments, check=False, env={"AIPACK_KEY": ""})
        assert result.returncode in (2, 3), result.stderr
        assert "hint:" in result.stderr
