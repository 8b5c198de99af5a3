"""A push that is killed goes on where it was, or says why it cannot."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
from conftest import AIPACK, SOURCE, run
from registries import test_registry

sys.path.insert(0, str(SOURCE / "tests/bench"))
from bench import MIB, external_model  # noqa: E402

WEIGHTS = 96 * MIB
CHUNK = 8 * MIB
KILLS = 20


@pytest.fixture(scope="module")
def big_layout(aipack, tmp_path_factory):
    directory = tmp_path_factory.mktemp("big")
    model = external_model(directory / "model", WEIGHTS)
    aipack("build", model, "--platform", "linux/amd64", "-t", "big:1", "-o", f"oci:{directory}/big.oci")
    return directory / "big.oci"


def push_words(layout, reference):
    return [AIPACK, "push", f"oci:{layout}:1", reference, "--json"]


def environment(state):
    return {**os.environ, "AIPACK_CACHE_DIR": str(state)}


def kill_after(seconds, words, state):
    """True when the push was still running."""
    process = subprocess.Popen(words, env=environment(state), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True


def blob_bytes(layout):
    return sum(blob.stat().st_size for blob in (pathlib.Path(layout) / "blobs/sha256").iterdir())


@pytest.mark.parametrize("dialect", ["full", "cannot_resume"])
def test_a_push_killed_at_twenty_points_is_finished_by_the_same_command(aipack, big_layout, dialect, tmp_path):
    seed = int(os.environ.get("AIPACK_TEST_SEED", time.time_ns() % 10**9))
    print("AIPACK_TEST_SEED =", seed)
    chance = random.Random(seed)
    options = ["--dialect", dialect, *(["--min-chunk", CHUNK] if dialect == "full" else [])]
    with test_registry(tmp_path / "measure", *options) as registry:
        began = time.monotonic()
        run(*push_words(big_layout, f"{registry.address}/big:1"), env=environment(tmp_path / "measure/state"))
        whole = time.monotonic() - began
        alone = registry.uploaded_bytes()
    assert alone >= WEIGHTS
    interrupted = 0
    said = 0
    for number in range(KILLS):
        place = tmp_path / f"kill-{number}"
        with test_registry(place, *options) as registry:
            words = push_words(big_layout, f"{registry.address}/big:1")
            interrupted += kill_after(chance.uniform(0.1, 0.95) * whole, words, place / "state")
            report = json.loads(run(*words, env=environment(place / "state")).stdout)
            # What arrived more than once, whichever of the two runs sent it.
            again = registry.uploaded_bytes() - alone
            if dialect == "full":
                assert again <= CHUNK + 64 * 1024, f"seed {seed}, kill {number}: {again} bytes were sent again"
                assert report["resent_bytes"] <= CHUNK
            else:
                said += any("start" in note or "again" in note for note in report["notes"])
            check = place / "check"
            aipack("pull", f"{registry.address}/big:1", f"oci:{check}:1")
            for blob in (check / "blobs/sha256").iterdir():
                assert run("sha256sum", blob).stdout.split()[0] == blob.name
            assert not list((place / "state/registry").rglob("*.upload")), "a finished upload leaves no journal"
            run("rm", "-rf", check)
    assert interrupted >= KILLS // 2, "the kills must fall into the push"
    if dialect == "cannot_resume":
        assert said > 0, "an upload that had to start over says so"
