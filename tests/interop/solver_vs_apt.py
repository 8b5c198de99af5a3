#!/usr/bin/env python3
"""Compares aipack's resolver with apt over the real index of a Debian suite.

By hand; needs apt-get, `bench_resolve` (AIPACK_BUILD_BENCH=ON) and, without --index, a Debian mirror. Exits 77 (skipped) when one of
them is missing.

    tests/interop/solver_vs_apt.py --resolver build/release/bin/bench_resolve                 # 300 packages of trixie
    tests/interop/solver_vs_apt.py --resolver … --mirror http://ftp.debian.org/debian --sample 1000 --seed 7
    tests/interop/solver_vs_apt.py --make-root DIR --index trixie=Packages                    # only the root, for bench_resolve --apt-root

apt runs in a root of its own below a temporary directory: an empty dpkg status, the same Packages files behind `file:`, nothing of the
host but the program. Both are asked for one package at a time, without Recommends. A difference in the chosen set is a finding to read,
not a failure: apt's own solver takes the first alternative without looking back, and never an older version.
"""

import argparse
import hashlib
import lzma
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

SKIPPED = 77
SUITES = (("{}", "debian"), ("{}-updates", "debian"), ("{}-security", "debian-security"))


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def host_mirror():
    """The Debian mirror of the host's apt configuration."""
    for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]:
        try:
            text = path.read_text()
        except OSError:
            continue
        for url in re.findall(r"https?://\S+", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))):
            if url.rstrip("/").endswith("/debian"):
                return url.rstrip("/")
    return "http://ftp.debian.org/debian"


def download(mirror, suite, architecture, directory):
    indexes = []
    for pattern, archive in SUITES:
        name = pattern.format(suite)
        base = mirror if archive == "debian" else mirror.removesuffix("/debian") + "/debian-security"
        url = f"{base}/dists/{name}/main/binary-{architecture}/Packages.xz"
        try:
            with urllib.request.urlopen(url, timeout=60) as reply:
                text = lzma.decompress(reply.read())
        except (urllib.error.URLError, OSError) as error:
            skip(f"cannot download the index of {name}: {error}")
        path = directory / f"{name}.Packages"
        path.write_bytes(text)
        indexes.append((name, path))
    return indexes


def make_root(root, indexes, architecture):
    """A root in which apt-get knows exactly `indexes`, and nothing is installed."""
    root = root.resolve()
    for directory in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial",
                      "var/cache/apt/archives/partial", "var/lib/dpkg", "var/log/apt", "usr/lib/apt"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").write_text("")
    lines = []
    for suite, packages in indexes:
        below = root / "repository/dists" / suite / "main" / f"binary-{architecture}"
        below.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(packages, below / "Packages")
        content = packages.read_bytes()
        (root / "repository/dists" / suite / "Release").write_text(
            f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\nArchitectures: {architecture}\nComponents: main\n"
            f"SHA256:\n {hashlib.sha256(content).hexdigest()} {len(content)} main/binary-{architecture}/Packages\n")
        lines.append(f"deb [trusted=yes] file:{root}/repository {suite} main\n")
    (root / "etc/apt/sources.list").write_text("".join(lines))
    (root / "apt.conf").write_text(
        f'Dir "{root}";\nDir::State::status "{root}/var/lib/dpkg/status";\nDir::Bin::methods "/usr/lib/apt/methods";\n'
        f'APT::Architecture "{architecture}";\nAPT::Architectures {{ "{architecture}"; }};\nAPT::Sandbox::User "root";\n'
        'Acquire::Languages "none";\nAPT::Install-Recommends "false";\nDebug::NoLocking "true";\n')
    environment = dict(os.environ, APT_CONFIG=str(root / "apt.conf"), LC_ALL="C")
    done = subprocess.run(["apt-get", "update"], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        skip(f"apt-get update failed in the scratch root: {done.stderr.strip()}")
    return environment


def ask_apt(environment, name):
    done = subprocess.run(["apt-get", "--simulate", "--quiet=2", "--no-install-recommends", "install", name], env=environment,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    return dict(re.findall(r"^Inst (\S+) \((\S+)", done.stdout, re.MULTILINE))


def ask_aipack(resolver, indexes, cache, architecture, name):
    command = [resolver, "--once", str(cache), "--architecture", architecture]
    for suite, path in indexes:
        command += ["--index", f"{suite}={path}@{digest_of(path)}"]
    done = subprocess.run([*command, name], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        lines = done.stdout.splitlines()
        assert 1 <= len(lines) <= 10, done.stdout
        return None, lines
    if done.returncode != 0:
        sys.exit(f"the resolver failed on {name}: {done.stderr}")
    return dict(line.split()[:2] for line in done.stdout.splitlines()), []


DIGESTS = {}


def digest_of(path):
    if path not in DIGESTS:
        DIGESTS[path] = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    return DIGESTS[path]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolver", help="path of bench_resolve")
    parser.add_argument("--index", action="append", default=[], metavar="SUITE=FILE", help="uncompressed Packages files instead of a download")
    parser.add_argument("--mirror", default=os.environ.get("AIPACK_MIRROR"))
    parser.add_argument("--suite", default="trixie")
    parser.add_argument("--architecture", default="amd64")
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--make-root", type=pathlib.Path, metavar="DIR", help="only prepare DIR for apt-get, and stop")
    parser.add_argument("--verbose", action="store_true", help="show every difference")
    arguments = parser.parse_args()
    if not shutil.which("apt-get"):
        skip("no apt-get")

    with tempfile.TemporaryDirectory() as temporary:
        scratch = pathlib.Path(temporary)
        indexes = [(suite, pathlib.Path(path)) for suite, path in (item.split("=", 1) for item in arguments.index)]
        if not indexes:
            indexes = download(arguments.mirror or host_mirror(), arguments.suite, arguments.architecture, scratch)
        environment = make_root(arguments.make_root or scratch / "root", indexes, arguments.architecture)
        if arguments.make_root:
            return 0
        if not arguments.resolver or not os.access(arguments.resolver, os.X_OK):
            skip("no resolver: build with AIPACK_BUILD_BENCH=ON and name it by --resolver")

        names = sorted({line[9:] for _, path in indexes for line in path.read_text().splitlines() if line.startswith("Package: ")})
        sample = sorted(random.Random(arguments.seed).sample(names, min(arguments.sample, len(names))))
        same_answer = same_set = both = smaller = 0
        findings = []
        for name in sample:
            apt = ask_apt(environment, name)
            ours, why = ask_aipack(arguments.resolver, indexes, scratch / "cache", arguments.architecture, name)
            if (apt is None) != (ours is None):
                findings.append(f"{name}: apt {'refuses' if apt is None else 'accepts'}, aipack {'refuses: ' + why[0] if ours is None else 'accepts'}")
                continue
            same_answer += 1
            if apt is None:
                continue
            both += 1
            if apt == ours:
                same_set += 1
            else:
                smaller += set(ours) < set(apt)
                findings.append(f"{name}: only apt {sorted(apt.items() - ours.items())}, only aipack {sorted(ours.items() - apt.items())}")
        print(f"seed {arguments.seed}: {len(sample)} of {len(names)} packages of {arguments.suite} main {arguments.architecture}")
        print(f"same answer to 'can it be installed': {same_answer} ({100 * same_answer / len(sample):.1f} %)")
        print(f"same packages and versions:           {same_set} of {both} ({100 * same_set / max(1, both):.1f} %); aipack's set is a part of apt's in {smaller}")
        for finding in findings if arguments.verbose else findings[:10]:
            print("  " + finding)
        return 0


if __name__ == "__main__":
    sys.exit(main())
