"""Programs from Debian suites other than this machine's, unpacked beside the system and verified by apt's signatures.

fetch("cosign", "sid") gives the folder that holds /usr/bin/cosign; a failure is Missing, with its reason.
"""

import glob
import os
import shutil
import subprocess

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = os.environ.get("AIPACK_DEBIAN_MIRROR", "http://deb.debian.org/debian")


class Missing(Exception):
    """A program that cannot be had here, and why."""


def cache():
    return os.environ.get("AIPACK_TEST_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "aipack-test")


def run_apt(root, *command):
    # unstable's InRelease is signed for a week at a time; what matters here is who signed, not when.
    options = [f"Dir={root}", f"Dir::State::status={root}/var/lib/dpkg/status", "APT::Architecture=amd64", "APT::Architectures=amd64",
               "Acquire::Check-Valid-Until=false", "Acquire::Languages=none", "APT::Sandbox::User=root", "Acquire::Retries=2"]
    done = subprocess.run(["apt-get", "-q", *(word for option in options for word in ("-o", option)), *command], cwd=root,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise Missing(f"apt-get {' '.join(command)}: {done.stdout.decode(errors='replace').strip().splitlines()[-1]}")


def apt_root(suite):
    root = os.path.join(cache(), "apt", suite)
    if os.path.exists(os.path.join(root, "ready")):
        return root
    for folder in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d", "var/lib/dpkg",
                   "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    open(os.path.join(root, "var/lib/dpkg/status"), "w", encoding="utf-8").close()
    with open(os.path.join(root, "etc/apt/sources.list"), "w", encoding="utf-8") as sources:
        sources.write(f"deb [signed-by={KEYRING}] {MIRROR} {suite} main\n")
    run_apt(root, "update")
    open(os.path.join(root, "ready"), "w", encoding="utf-8").close()
    return root


def fetch(package, suite, with_dependencies=False):
    """The package's files, with those of everything that it depends on when that is asked for."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise Missing(f"no {program} on this machine")
    if os.uname().machine != "x86_64":
        raise Missing("the programs are fetched for amd64")
    if not os.path.exists(KEYRING):
        raise Missing(f"no {KEYRING}")
    tree = os.path.join(cache(), "tools", f"{package}-{suite}")
    if os.path.isdir(tree):
        return tree
    root = apt_root(suite)
    if with_dependencies:
        run_apt(root, "install", "--download-only", "--no-install-recommends", "-y", package)
        packages = glob.glob(os.path.join(root, "var/cache/apt/archives/*.deb"))
    else:
        run_apt(root, "download", package)
        packages = glob.glob(os.path.join(root, f"{package}_*.deb"))
    unpacking = f"{tree}.{os.getpid()}"
    os.makedirs(unpacking)
    for path in packages:
        subprocess.run(["dpkg-deb", "-x", path, unpacking], check=True)
    try:
        os.rename(unpacking, tree)
    except OSError:  # another test was faster
        shutil.rmtree(unpacking)
    return tree
