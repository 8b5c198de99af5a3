"""cosign, notation and skopeo judge what aipack signs, and sign what aipack judges: sign_interop.py SIGN_FIXTURE CASE.

The programs and a registry come from Debian (debian_tools.py); everything runs on the loopback interface.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import debian_tools

SKIP = 77
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
PASSWORD = "correct horse"


def run(*command, expect=0, env=None, text=None):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=text,
                          env={**os.environ, **ENVIRONMENT, **(env or {})})
    if (done.returncode == 0) != (expect == 0):
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')}\n{done.stderr.decode(errors='replace')}")
    return done.stdout.decode()


def fixture(*arguments, expect=0):
    return run(FIXTURE, *arguments, expect=expect)


def program(name, suite):
    return os.path.join(debian_tools.fetch(name, suite), "usr/bin", name)


def hex_of(data):
    return hashlib.sha256(data).hexdigest()


class Registry:
    """docker-registry on a free loopback port, without the referrers API: clients use the fallback tag."""

    def __init__(self, folder):
        binary = program("docker-registry", "trixie")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.host = f"127.0.0.1:{probe.getsockname()[1]}"
        config = os.path.join(folder, "registry.yml")
        with open(config, "w", encoding="utf-8") as out:
            out.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
                      f"http: {{addr: \"{self.host}\"}}\n")
        self.process = subprocess.Popen([binary, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.request("GET", "/v2/")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        sys.exit("the registry does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def request(self, method, path, data=None, headers=None):
        url = path if path.startswith("http") else f"http://{self.host}{path}"
        return urllib.request.urlopen(urllib.request.Request(url, data=data, method=method, headers=headers or {}), timeout=20)

    def push_blob(self, data):
        place = self.request("POST", "/v2/t/m/blobs/uploads/", b"").headers["Location"]
        self.request("PUT", f"{place}{'&' if '?' in place else '?'}digest=sha256:{hex_of(data)}", data,
                     {"Content-Type": "application/octet-stream"})

    def push_manifest(self, data, reference="", media_type=OCI_MANIFEST):
        self.request("PUT", f"/v2/t/m/manifests/{reference or 'sha256:' + hex_of(data)}", data, {"Content-Type": media_type})

    def manifest(self, reference):
        return self.request("GET", f"/v2/t/m/manifests/{reference}", headers={"Accept": f"{OCI_MANIFEST}, {OCI_INDEX}"}).read()

    def image(self):
        """Pushes an image; (digest, size) of its manifest."""
        config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"config":{}}'
        layer = bytes(1024)
        config %= hex_of(layer).encode()
        for blob in (config, layer):
            self.push_blob(blob)
        descriptor = lambda kind, data: {"mediaType": kind, "digest": f"sha256:{hex_of(data)}", "size": len(data)}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST,
                               "config": descriptor("application/vnd.oci.image.config.v1+json", config),
                               "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)]}).encode()
        self.push_manifest(manifest, "1")
        return f"sha256:{hex_of(manifest)}", len(manifest)

    def push_listed(self, folder, listing):
        """What the fixture lists; referrers go into the fallback index as the specification asks."""
        for line in listing.splitlines():
            kind, name, *tag = line.split()
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            if kind == "blob":
                self.push_blob(data)
                continue
            self.push_manifest(data, tag[0] if tag else "")
            manifest = json.loads(data)
            if "subject" in manifest:
                self.add_referrer(manifest, data)

    def add_referrer(self, manifest, data):
        tag = manifest["subject"]["digest"].replace(":", "-")
        try:
            index = json.loads(self.manifest(tag))
        except urllib.error.HTTPError:
            index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        index["manifests"].append({"mediaType": OCI_MANIFEST, "digest": f"sha256:{hex_of(data)}", "size": len(data),
                                   "artifactType": manifest["artifactType"], "annotations": manifest["annotations"]})
        self.push_manifest(json.dumps(index).encode(), tag, OCI_INDEX)

    def pull_signatures(self, folder, digest):
        """Everything that refers to the image, into `folder`; the names of the manifests."""
        names = []
        tag = digest.replace(":", "-")
        found = []
        for suffix in (".sig", ".att", ""):
            try:
                found.append(self.manifest(tag + suffix))
            except urllib.error.HTTPError:
                continue
            if not suffix:
                found += [self.manifest(entry["digest"]) for entry in json.loads(found.pop())["manifests"]]
        for data in found:
            names.append(hex_of(data))
            with open(os.path.join(folder, names[-1]), "wb") as out:
                out.write(data)
            for layer in json.loads(data)["layers"]:
                with open(os.path.join(folder, layer["digest"].split(":")[1]), "wb") as out:
                    out.write(self.request("GET", f"/v2/t/m/blobs/{layer['digest']}").read())
        return names


class Bench:
    """A registry with one image, and a folder for files."""

    def __init__(self, work):
        self.work = work
        self.files = os.path.join(work, "files")
        os.mkdir(self.files)
        self.registry = Registry(work)
        self.digest, self.size = self.registry.image()
        self.repository = f"{self.registry.host}/t/m"
        self.reference = f"{self.repository}@{self.digest}"
        self.image = (OCI_MANIFEST, self.digest, self.size)

    def key(self, kind="p256", form="cosign", name="ours"):
        private, public = (os.path.join(self.work, f"{name}.{end}") for end in ("key", "pub"))
        fixture("keygen", kind, form, private, public)
        return private, public

    def sign(self, private):
        """By aipack, as a bundle and at the signature tag, for repository and tag."""
        listing = fixture("sign", private, self.files, *self.image, self.repository, f"{self.repository}:1")
        self.registry.push_listed(self.files, listing)

    def verify(self, trust, *more, expect=0):
        names = self.registry.pull_signatures(self.files, self.digest)
        return fixture("verify", trust, self.files, *self.image, *names, *more, expect=expect)


KINDS = ("p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "ed25519")


def case_keys(work, cosign, generation):
    """cosign reads aipack's keys and aipack reads cosign's, for keys of every kind."""
    blob = os.path.join(work, "blob")
    with open(blob, "wb") as out:
        out.write(b"some bytes")
    for kind in KINDS:
        private, public = os.path.join(work, f"{kind}.key"), os.path.join(work, f"{kind}.pub")
        fixture("keygen", kind, "cosign", private, public)
        with open(public, encoding="utf-8") as file:
            if run(cosign, "public-key", "--key", private).strip() != file.read().strip():
                sys.exit(f"{kind}: cosign reads another key")
        signature = os.path.join(work, "signature")
        with open(signature, "w", encoding="utf-8") as out:
            out.write(fixture("sign-blob", private, blob).strip())
        run(cosign, "verify-blob", "--key", public, "--signature", signature, "--insecure-ignore-tlog=true", blob)
        if generation == 3:  # cosign 2.5 imports no key at all, OpenSSL's neither
            plain, imported = os.path.join(work, f"{kind}.pem"), os.path.join(work, f"{kind}-imported")
            fixture("keygen", kind, "pkcs8", plain, os.path.join(work, f"{kind}-plain.pub"))
            run(cosign, "import-key-pair", "--key", plain, "--output-key-prefix", imported)
            with open(f"{imported}.pub", encoding="utf-8") as file:
                if fixture("public", f"{imported}.key").strip() != file.read().strip():
                    sys.exit(f"{kind}: aipack reads another key")
    run(cosign, "generate-key-pair", "--output-key-prefix", os.path.join(work, "theirs"))
    with open(os.path.join(work, "theirs.pub"), encoding="utf-8") as file:
        if fixture("public", os.path.join(work, "theirs.key")) != file.read():
            sys.exit("aipack reads another key than cosign made")


def cosign_verify(cosign, generation, public, *arguments, expect=0):
    run(cosign, "verify", "--key", public, "--insecure-ignore-tlog=true", *(["--allow-http-registry"] if generation == 2 else []),
        *arguments, expect=expect)


def case_ours(work, cosign, generation):
    """cosign verifies what aipack signs and attests, by keys of the kinds that both know."""
    for kind in ("p256", "p384", "rsa2048", "ed25519"):
        bench = Bench(tempfile.mkdtemp(dir=work))
        try:
            private, public = bench.key(kind)
            _, stranger = bench.key(kind, name="stranger")
            bench.sign(private)
            predicate = os.path.join(bench.work, "predicate.json")
            with open(predicate, "w", encoding="utf-8") as out:
                json.dump({"buildDefinition": {"buildType": "https://example.org/t", "externalParameters": {}},
                           "runDetails": {"builder": {"id": "https://example.org/b"}}}, out)
            bench.registry.push_listed(bench.files, fixture("attest", private, bench.files, *bench.image, "slsaprovenance1", predicate))
            cosign_verify(cosign, generation, public, "-a", "stage=release", bench.reference)
            cosign_verify(cosign, generation, public, "-a", "stage=test", bench.reference, expect=1)
            cosign_verify(cosign, generation, stranger, bench.reference, expect=1)
            attestation = ["--key", public, "--insecure-ignore-tlog=true", "--type", "slsaprovenance1", bench.reference]
            if generation == 2:
                root = os.path.join(bench.work, "root.json")
                with open(root, "w", encoding="utf-8") as out:
                    out.write('{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
                attestation = ["--new-bundle-format", "--trusted-root", root, *attestation]
            run(cosign, "verify-attestation", *attestation)
            bench.verify(f"key={public}", "annotation=stage=release")
            bench.verify(f"key={stranger}", expect=1)
        finally:
            bench.registry.stop()


def sign_with_cosign(cosign, generation, private, *arguments):
    run(cosign, "sign", "--key", private, "--tlog-upload=false", "-y", "--allow-http-registry",
        *(["--use-signing-config=false"] if generation == 3 else []), *arguments)


def case_theirs(work, cosign, generation):
    """aipack verifies what cosign signs and attests, in every form that this cosign writes."""
    forms = [[], ["--new-bundle-format=false"]] if generation == 3 else [[]]
    for kind in ("p256", "p384", "p521", "rsa2048", "ed25519"):
        for form in forms:
            bench = Bench(tempfile.mkdtemp(dir=work))
            try:
                private, public = bench.key(kind)
                _, stranger = bench.key(kind, name="stranger")
                sign_with_cosign(cosign, generation, private, "-a", "stage=release", *form, bench.reference)
                said = bench.verify(f"key={public}", "annotation=stage=release")
                print(f"cosign {generation} {kind} {' '.join(form)}: {said.splitlines()[0]}")
                bench.verify(f"key={public}", "annotation=stage=test", expect=1)
                bench.verify(f"key={stranger}", expect=1)
            finally:
                bench.registry.stop()
    bench = Bench(tempfile.mkdtemp(dir=work))
    try:
        private, public = bench.key()
        predicate = os.path.join(bench.work, "predicate.json")
        with open(predicate, "w", encoding="utf-8") as out:
            out.write('{"spdxVersion":"SPDX-2.3"}')
        run(cosign, "attest", "--key", private, "--tlog-upload=false", "-y", "--allow-http-registry", "--type", "spdxjson", "--predicate",
            predicate, *(["--use-signing-config=false"] if generation == 3 else []), bench.reference)
        bench.verify(f"key={public}", "type=https://spdx.dev/Document")
        bench.verify(f"key={public}", "type=https://cyclonedx.org/bom", expect=1)
        # The gap of cosign 3: its `verify` takes the attestation for a signature.
        said = bench.verify(f"key={public}", expect=1)
        if "there is no signature" not in said:
            sys.exit(f"an attestation passed for a signature:\n{said}")
    finally:
        bench.registry.stop()


def case_model(work, cosign, _):
    """cosign 3 verifies an OpenSSF model signature of aipack's."""
    private, public = os.path.join(work, "m.key"), os.path.join(work, "m.pub")
    fixture("keygen", "p256", "cosign", private, public)
    names = ("weights.bin", "a-b", "a/b")
    for name in names:
        path = os.path.join(work, "model", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(name)
    root, bundle = fixture("model", private, *(f"{name}={work}/model/{name}" for name in names)).splitlines()
    path = os.path.join(work, "model.sig")
    with open(path, "w", encoding="utf-8") as out:
        out.write(bundle)
    verify = ["verify-blob-attestation", "--bundle", path, "--key", public, "--insecure-ignore-tlog", "--type",
              "https://model_signing/signature/v1.0", "--digestAlg", "sha256", "--digest"]
    run(cosign, *verify, root)
    run(cosign, *verify, "0" * 64, expect=1)


def make_chain(folder):
    """A root and a leaf as notation wants them, by openssl: (key of the leaf, chain, root)."""
    if shutil.which("openssl") is None:
        raise debian_tools.Missing("no openssl on this machine")
    config = os.path.join(folder, "openssl.cnf")
    issuer = "https://issuer.example"
    with open(config, "w", encoding="utf-8") as out:
        out.write("[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nC=US\nST=WA\nO=Example\nCN=example\n"
                  "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
                  "[leaf]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n"
                  f"subjectAltName=email:release@example.org\n1.3.6.1.4.1.57264.1.1=DER:{issuer.encode().hex()}\n"
                  f"1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:{issuer}\n")
    path = lambda name: os.path.join(folder, name)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    run("openssl", "req", "-x509", *new_key, "-keyout", path("ca.pem"), "-out", path("ca.crt"), "-days", "30", "-config", config,
        "-extensions", "ca", "-subj", "/C=US/ST=WA/O=Example/CN=root")
    run("openssl", "req", *new_key, "-keyout", path("leaf.pem"), "-out", path("leaf.csr"), "-config", config)
    run("openssl", "x509", "-req", "-in", path("leaf.csr"), "-CA", path("ca.crt"), "-CAkey", path("ca.pem"), "-CAcreateserial",
        "-out", path("leaf.crt"), "-days", "20", "-extfile", config, "-extensions", "leaf")
    with open(path("chain.crt"), "w", encoding="utf-8") as out:
        for name in ("leaf.crt", "ca.crt"):
            with open(path(name), encoding="utf-8") as file:
                out.write(file.read())
    os.chmod(path("leaf.pem"), 0o600)
    return path("leaf.pem"), path("chain.crt"), path("ca.crt")


def case_notation(work, notation, _):
    """notation verifies what aipack signs, and aipack what notation signs, in both envelopes."""
    key, chain, root = make_chain(work)
    bench = Bench(tempfile.mkdtemp(dir=work))
    try:
        policy = os.path.join(work, "policy.json")
        with open(policy, "w", encoding="utf-8") as out:
            json.dump({"version": "1.0", "trustPolicies": [{"name": "t", "registryScopes": ["*"], "trustStores": ["ca:example"],
                       "signatureVerification": {"level": "strict"}, "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Example"]}]}, out)
        run(notation, "cert", "add", "--type", "ca", "--store", "example", root)
        run(notation, "policy", "import", policy)
        bench.registry.push_listed(bench.files, fixture("notation", key, chain, bench.files, *bench.image))
        run(notation, "verify", "--insecure-registry", "-m", "stage=release", bench.reference)
        run(notation, "verify", "--insecure-registry", "-m", "stage=test", bench.reference, expect=1)
        bench.verify(f"certificate={root}", "annotation=stage=release")
    finally:
        bench.registry.stop()
    for envelope in ("jws", "cose"):
        bench = Bench(tempfile.mkdtemp(dir=work))
        try:
            run(notation, "cert", "generate-test", f"theirs-{envelope}")
            run(notation, "sign", "--insecure-registry", "--signature-format", envelope, "--key", f"theirs-{envelope}",
                "-m", "stage=release", bench.reference)
            store = os.path.join(ENVIRONMENT["XDG_CONFIG_HOME"], f"notation/truststore/x509/ca/theirs-{envelope}",
                                 f"theirs-{envelope}.crt")
            bench.verify(f"certificate={store}", "annotation=stage=release")
            bench.verify(f"certificate={root}", expect=1)
        finally:
            bench.registry.stop()


def case_skopeo(work, cosign, _):
    """skopeo's policies accept aipack's signature tag: by repository, and by the default, which wants the tag."""
    tree = debian_tools.fetch("skopeo", "trixie", with_dependencies=True)
    loader = os.path.join(tree, "usr/lib64/ld-linux-x86-64.so.2")
    libraries = os.path.join(tree, "usr/lib/x86_64-linux-gnu")
    skopeo = [loader, "--library-path", libraries, os.path.join(tree, "usr/bin/skopeo")]
    bench = Bench(tempfile.mkdtemp(dir=work))
    try:
        private, public = bench.key()
        _, stranger = bench.key(name="stranger")
        bench.sign(private)
        registries = os.path.join(bench.work, "registries.d")
        os.mkdir(registries)
        with open(os.path.join(registries, "d.yaml"), "w", encoding="utf-8") as out:
            out.write(f"docker:\n  {bench.registry.host}:\n    use-sigstore-attachments: true\n")

        def copy(key, expect=0, **identity):
            policy = os.path.join(bench.work, "policy.json")
            rule = {"type": "sigstoreSigned", "keyPath": key, **identity}
            with open(policy, "w", encoding="utf-8") as out:
                json.dump({"default": [{"type": "reject"}], "transports": {"docker": {bench.registry.host: [rule]}}}, out)
            target = tempfile.mkdtemp(dir=bench.work)
            run(*skopeo, "--policy", policy, "--registries.d", registries, "copy", "--src-tls-verify=false",
                f"docker://{bench.repository}:1", f"dir:{target}", expect=expect)

        copy(public)
        copy(public, signedIdentity={"type": "matchRepository"})
        copy(public, signedIdentity={"type": "matchExact"})
        copy(public, signedIdentity={"type": "exactReference", "dockerReference": "r.example/other:1"}, expect=1)
        copy(stranger, expect=1)
    finally:
        bench.registry.stop()


def case_authority(work, cosign, _):
    """A certificate of a private authority: cosign 3 verifies aipack's signature, offline, and aipack its own."""
    key, chain, root = make_chain(work)
    with open(root, encoding="utf-8") as file:
        der = "".join(file.read().split("-----")[2].split())
    trusted = os.path.join(work, "trusted_root.json")
    with open(trusted, "w", encoding="utf-8") as out:
        json.dump({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1", "certificateAuthorities": [
            {"subject": {"organization": "Example", "commonName": "root"}, "uri": "https://ca.example",
             "certChain": {"certificates": [{"rawBytes": der}]}, "validFor": {"start": "2020-01-01T00:00:00Z"}}]}, out)
    bench = Bench(tempfile.mkdtemp(dir=work))
    try:
        bench.registry.push_listed(bench.files, fixture("sign-certified", key, chain, bench.files, *bench.image))
        for name, expect in (("release@example.org", 0), ("other@example.org", 1)):
            run(cosign, "verify", "--trusted-root", trusted, "--certificate-identity", name, "--certificate-oidc-issuer",
                "https://issuer.example", "--insecure-ignore-tlog", "--insecure-ignore-sct", bench.reference, expect=expect)
            bench.verify(f"root={trusted},{name},https://issuer.example", expect=expect)
    finally:
        bench.registry.stop()


CASES = {
    "keys_cosign2": (case_keys, "cosign", "trixie", 2),
    "keys_cosign3": (case_keys, "cosign", "sid", 3),
    "ours_cosign2": (case_ours, "cosign", "trixie", 2),
    "ours_cosign3": (case_ours, "cosign", "sid", 3),
    "theirs_cosign2": (case_theirs, "cosign", "trixie", 2),
    "theirs_cosign3": (case_theirs, "cosign", "sid", 3),
    "model_cosign3": (case_model, "cosign", "sid", 3),
    "authority_cosign3": (case_authority, "cosign", "sid", 3),
    "notation": (case_notation, "notation", "sid", 0),
    "skopeo": (case_skopeo, "docker-registry", "trixie", 0),
}


def main():
    global FIXTURE, ENVIRONMENT
    FIXTURE, name = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        home = os.path.join(work, "home")
        os.mkdir(home)
        ENVIRONMENT = {"HOME": home, "XDG_CONFIG_HOME": os.path.join(home, ".config"), "PASSWORD": PASSWORD, "COSIGN_PASSWORD": PASSWORD,
                       "TMPDIR": work}
        case, package, suite, generation = CASES[name]
        try:
            case(work, program(package, suite), generation)
        except debian_tools.Missing as reason:
            print(f"SKIPPED: {reason}")
            sys.exit(SKIP)


if __name__ == "__main__":
    main()
