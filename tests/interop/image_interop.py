#!/usr/bin/env python3
"""Other people's tools judge the images that aipack writes.

    image_interop.py FIXTURE HELLO CASE

FIXTURE writes one small image in every form and codec (image_fixture.cpp); CASE is a function below. Exit code 77 means: skipped, with the reason
on stdout.
"""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

SKIPPED = 77
CODECS = ("none", "gzip", "zstd")
WEIGHTS_SIZE = 1_000_003
ALIGNMENT = 4096


class Skip(Exception):
    pass


def need(*tools):
    for tool in tools:
        if shutil.which(tool) is None:
            raise Skip(f"{tool} is not installed")


def run(*command, env=None, check=True):
    result = subprocess.run(command, text=True, capture_output=True, env=env)
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\nexit {result.returncode}\n{result.stdout}{result.stderr}")
    return result if not check else result.stdout


def version(text):
    return tuple(int(part) for part in text.split("+")[0].split("~")[0].split(".")[:3])


def expected_output(directory):
    """What hello prints in a correct image."""
    total = 0
    for byte in (directory / "weights.bin").read_bytes():
        total = (total * 31 + byte) % 1000003
    return f"uid=65532 size={WEIGHTS_SIZE} sum={total}"


def blob(layout, digest):
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


def host_architecture():
    names = {"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64"}
    return names.get(os.uname().machine, os.uname().machine)


# --- cases ---


def tar_members(directory, expected):
    """GNU tar and Python's tarfile agree on every plain layer; the weights' payload is aligned."""
    need("tar")
    for codec in CODECS:
        layout = directory / f"{codec}.oci"
        weights = blob(layout, expected[codec]["layers"][-1]["digest"])
        with tarfile.open(weights, "r:") as tar:
            names = tar.getnames()
            assert names == ["models", "models/weights.bin"], names
            member = tar.getmember("models/weights.bin")
            assert member.offset_data % ALIGNMENT == 0, member.offset_data
            assert member.size == WEIGHTS_SIZE
            assert tar.extractfile(member).read() == (directory / "weights.bin").read_bytes()
        target = directory / f"untar-{codec}"
        target.mkdir()
        output = subprocess.run(["tar", "-xf", weights, "-C", target], capture_output=True, text=True, check=True)
        assert output.stderr == "", output.stderr
        assert (target / "models/weights.bin").read_bytes() == (directory / "weights.bin").read_bytes()

    base = blob(directory / "none.oci", expected["none"]["layers"][0]["digest"])
    listing = run("tar", "-tvf", base)
    assert "a-first" in listing and "link to usr/share/a-first" in listing, listing
    with tarfile.open(base, "r:") as tar:
        assert tar.getmember("usr/share/z-last").islnk()
        assert tar.getmember("usr/share/" + "n" * 150).size == len("a name beyond ustar\n")
        assert all(member.uname == "" and member.gname == "" for member in tar.getmembers())
        assert tar.getnames() == sorted(tar.getnames(), key=lambda name: name.split("/"))
    for archive in directory.glob("*.tar"):
        output = subprocess.run(["tar", "-tf", archive], capture_output=True, text=True, check=True)
        assert output.stderr == "", output.stderr


def gzip_layers(directory, expected):
    """gzip and zstd themselves unpack the layers to the diff IDs."""
    need("gzip", "zstd")
    for codec, tool in (("gzip", "gzip"), ("zstd", "zstd")):
        for layer in expected[codec]["layers"][:-1]:
            plain = subprocess.run([tool, "-dc"], stdin=open(blob(directory / f"{codec}.oci", layer["digest"]), "rb"), capture_output=True, check=True)
            assert "sha256:" + hashlib.sha256(plain.stdout).hexdigest() == layer["diff_id"]


def skopeo(directory, expected):
    """skopeo inspects every form, and copies an index with all its platforms without changing a digest."""
    need("skopeo")
    policy = directory / "policy.json"
    policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    call = ("skopeo", "--policy", str(policy))
    architecture = host_architecture()
    for codec in CODECS:
        raw = run(*call, "inspect", "--raw", f"oci:{directory}/{codec}.oci:v1")
        assert "sha256:" + hashlib.sha256(raw.encode()).hexdigest() == expected[codec]["index"]
        for transport in (f"oci:{directory}/{codec}.oci:v1", f"oci-archive:{directory}/{codec}.oci.tar:v1",
                          f"oci:{directory}/{codec}-one.oci:v1", f"docker-archive:{directory}/{codec}.docker.tar"):
            for platform in ("amd64", "arm64", "riscv64") if "-one" not in transport and transport.startswith("oci") else (architecture,):
                facts = json.loads(run(*call, "--override-arch", platform, "inspect", transport))
                assert facts["Architecture"] == platform, (transport, facts)
                assert facts["Labels"]["org.opencontainers.image.title"] == "interop"
                assert len(facts["Layers"]) == 3
        copied = directory / f"copied-{codec}"
        run(*call, "copy", "--all", "--preserve-digests", f"oci:{directory}/{codec}.oci:v1", f"oci:{copied}:v1")
        index = json.loads((copied / "index.json").read_text())
        assert [entry["digest"] for entry in index["manifests"]] == [expected[codec]["index"]]
        run(*call, "copy", "--all", "--preserve-digests", f"oci-archive:{directory}/{codec}.oci.tar:v1", f"dir:{directory}/dir-{codec}")
        # A docker archive holds what a decompressing copy would make: same config, so same image ID.
        facts = json.loads(run(*call, "inspect", "--config", "--raw", f"docker-archive:{directory}/{codec}.docker.tar"))
        assert facts["rootfs"]["diff_ids"] == [layer["diff_id"] for layer in expected[codec]["layers"]]


def umoci(directory, expected):
    """umoci unpacks the gzip and the plain form (before 0.5 it reads no zstd)."""
    need("umoci")
    if os.geteuid() != 0:
        rootless = ("--rootless",)
    else:
        rootless = ()
    for codec in ("none", "gzip"):
        bundle = directory / f"bundle-{codec}"
        run("umoci", "unpack", *rootless, "--image", f"{directory}/{codec}-one.oci:v1", str(bundle))
        root = bundle / "rootfs"
        assert (root / "models/weights.bin").read_bytes() == (directory / "weights.bin").read_bytes()
        assert os.readlink(root / "bin") == "usr/bin"
        assert (root / "usr/share/a-first").samefile(root / "usr/share/z-last")
        config = json.loads((bundle / "config.json").read_text())
        assert config["process"]["args"] == ["/usr/bin/hello"]
        if not rootless:
            assert config["process"]["user"]["uid"] == 65532, config["process"]["user"]


def podman(directory, expected):
    """podman loads OCI and docker archives of every codec, and runs what it loaded."""
    need("podman")
    if os.geteuid() != 0:
        raise Skip("podman needs root here")
    call = ["podman", "--root", f"{directory}/podman/root", "--runroot", f"{directory}/podman/run", "--tmpdir", f"{directory}/podman/tmp",
            "--storage-driver", "vfs", "--events-backend", "none", "--cgroup-manager", "cgroupfs"]
    if shutil.which("runc"):
        call += ["--runtime", "runc"]
    probe = run(*call, "info", check=False)
    if probe.returncode != 0:
        raise Skip(f"podman does not work here: {probe.stderr.strip()}")
    # podman asks for more than a sandbox may give; what this process has is enough.
    files, processes = (resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
    limits = ("--ulimit", f"nofile={files}:{files}", "--ulimit", f"nproc={min(processes, 4096)}:{min(processes, 4096)}")
    for codec in CODECS:
        image_id = expected[codec]["config"].removeprefix("sha256:")
        for archive in (f"{codec}-one.oci.tar", f"{codec}.docker.tar"):
            run(*call, "load", "--input", str(directory / archive))
            run(*call, "image", "inspect", image_id)
            output = run(*call, "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "all", *limits, image_id)
            assert output.strip() == expected_output(directory), output
            run(*call, "rmi", "--force", image_id)


def docker(directory, expected):
    """A docker daemon (20.10 and newer) loads and runs docker archives of every codec: zstd layers are stored decompressed."""
    need("dockerd")
    if os.geteuid() != 0:
        raise Skip("dockerd needs root")
    home = Path(tempfile.mkdtemp(prefix="aipack-docker-"))  # short: a socket's path has 108 bytes
    # The client that came with the daemon: another one may speak only newer protocols.
    beside = Path(shutil.which("dockerd")).parent.parent / "bin" / "docker"
    call = (str(beside) if beside.exists() else "docker", "-H", f"unix://{home}/docker.sock")
    log = open(home / "log", "w+")
    daemon = subprocess.Popen(["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--data-root", f"{home}/data", "--exec-root",
                               f"{home}/exec", "--pidfile", f"{home}/pid", "-H", f"unix://{home}/docker.sock"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while run(*call, "version", check=False).returncode != 0:
            if daemon.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise Skip(f"dockerd does not start here: {log.read()[-400:]}")
            time.sleep(0.2)
        print(run(*call, "version", "--format", "docker {{.Server.Version}}").strip())
        for codec in CODECS:
            run(*call, "load", "--input", str(directory / f"{codec}.docker.tar"))
            image_id = run(*call, "image", "inspect", "--format", "{{.Id}}", f"interop/{codec}:v1").strip()
            assert image_id == expected[codec]["config"], image_id
            output = run(*call, "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "all", f"interop/{codec}:v1")
            assert output.strip() == expected_output(directory), output
            saved = directory / f"saved-{codec}.tar"
            run(*call, "save", "--output", str(saved), f"interop/{codec}:v1")
            read_back(directory, f"docker-archive:{saved}")
    finally:
        daemon.terminate()
        daemon.wait()
        log.close()
        shutil.rmtree(home, ignore_errors=True)


def foreign(directory, expected):
    """aipack reads what skopeo and umoci write."""
    need("skopeo", "umoci")
    policy = directory / "policy.json"
    policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    call = ("skopeo", "--policy", str(policy))
    source = f"oci:{directory}/gzip-one.oci:v1"
    for target in (f"oci:{directory}/skopeo.oci:v1", f"oci-archive:{directory}/skopeo.tar:v1", f"docker-archive:{directory}/skopeo.docker.tar:a/b:v1"):
        run(*call, "copy", source, target)
        read_back(directory, target.removesuffix(":a/b:v1"))
    layout = f"{directory}/umoci.oci"
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:v1")
    (directory / "added").write_text("by umoci")
    run("umoci", "insert", "--image", f"{layout}:v1", str(directory / "added"), "/usr/share/added")
    run("umoci", "insert", "--image", f"{layout}:v1", str(directory / "weights.bin"), "/models/weights.bin")
    run("umoci", "insert", "--image", f"{layout}:v1", "--whiteout", "/usr/share/added")
    read_back(directory, f"oci:{layout}:v1")


def read_back(directory, location):
    """aipack's own reader finds the weights in an image that another tool wrote."""
    content = subprocess.run([READER, location, "/models/weights.bin"], capture_output=True)
    assert content.returncode == 0, content.stderr
    assert content.stdout == (directory / "weights.bin").read_bytes(), location
    assert subprocess.run([READER, location, "/usr/share/added"], capture_output=True).returncode == 3


CASES = {case.__name__: case for case in (tar_members, gzip_layers, skopeo, umoci, podman, docker, foreign)}


def main():
    global READER
    fixture, READER, hello, case = sys.argv[1:]
    directory = Path(tempfile.mkdtemp(prefix="aipack-interop-"))
    try:
        expected = json.loads(run(fixture, hello, directory))
        CASES[case](directory, expected)
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    finally:
        remove(directory)
    print(f"{case}: ok")
    return 0


def remove(directory):
    """Engines clean up after a container behind our back: a directory may fill while it is being emptied."""
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
