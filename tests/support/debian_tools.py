"""Tools of the field out of other Debian suites, unpacked beside the system: apt fetches and verifies them in a root of its own.

`tool("sid", "crane")` gives the path of its program, or skips the test with the reason why it cannot be had.
"""

import fcntl
import os
import pathlib
import shutil
import subprocess

import pytest

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
CACHE = pathlib.Path(os.environ.get("AIPACK_TEST_CACHE", pathlib.Path(__file__).resolve().parents[2] / "build/test-cache")) / "tools"


def mirror():
    """The archive that this machine's apt uses, else Debian's default."""
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"], capture_output=True, text=True)
    for site in listed.stdout.split():
        if site.rstrip("/").endswith("/debian"):
            return site.rstrip("/")
    return "http://ftp.debian.org/debian"


def apt_root(suite):
    """Options for apt-get that keep everything of it below one folder, with one suite."""
    root = CACHE / f"apt-{suite}"
    for folder in ("lists/partial", "archives/partial", "etc/preferences.d", "etc/apt.conf.d", "etc/trusted.gpg.d"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "status").touch()
    # Unstable suites on a mirror that stands still outlive their Valid-Until; what the tools are compared with does not change.
    (root / "sources.list").write_text(f"deb [signed-by={KEYRING} check-valid-until=no] {mirror()} {suite} main\n")
    settings = {"Dir::Etc::sourcelist": root / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::State::lists": root / "lists",
                "Dir::State::status": root / "status", "Dir::Cache": root, "Dir::Cache::archives": root / "archives",
                "Dir::Etc::preferencesparts": root / "etc/preferences.d", "APT::Sandbox::User": "root", "Acquire::Languages": "none",
                "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false"}
    return root, [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def tool(suite, package, program=None):
    if not pathlib.Path(KEYRING).exists() or shutil.which("apt-get") is None:
        pytest.skip(f"{package} comes from Debian's {suite}, which needs apt and the Debian archive keyring")
    program = program or package
    place = CACHE / f"{package}-{suite}"
    binary = place / "usr/bin" / program
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            root, options = apt_root(suite)
            if not any((root / "lists").glob("*_Packages*")):
                update = subprocess.run(["apt-get", *options, "update", "-q"], capture_output=True, text=True)
                if update.returncode != 0:
                    pytest.skip(f"Debian's {suite} cannot be read: {update.stderr[-300:]}")
            download = subprocess.run(["apt-get", *options, "download", "-q", package], cwd=root, capture_output=True, text=True)
            archives = sorted(root.glob(f"{package}_*.deb"))
            if download.returncode != 0 or not archives:
                pytest.skip(f"{package} of Debian's {suite} cannot be fetched: {download.stderr[-300:]}")
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run(["dpkg-deb", "-x", archives[-1], place], check=True)
    if not binary.exists():
        pytest.skip(f"{package} of Debian's {suite} has no {program}")
    if subprocess.run([binary, "version"], capture_output=True).returncode == 127:
        pytest.skip(f"{program} of Debian's {suite} does not run on this system")
    return binary
