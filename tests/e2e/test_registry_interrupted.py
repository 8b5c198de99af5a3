"""A push that is killed goes on where it was, or says why it cannot. AIPACK_TEST_SEED repeats the moments of a failed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from conftest import AIPACK, SOURCE, run
from registries import test_registry

sys.path.insert(0, str(SOURCE / "tests/bench"))
from bench import MIB, external_model, weights_file  # noqa: E402

WEIGHTS = 96 * MIB
CHUNK = 8 * MIB
KILLS = 20
SLACK = 64 * 1024  # blobs that are too small for a journal

SHARD = 16 * MIB
SHARDS = 6
AT_ONCE = 2
SHARD_KILLS = 6


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


def random_moments():
    seed = int(os.environ.get("AIPACK_TEST_SEED", time.time_ns() % 10**9))
    print("AIPACK_TEST_SEED =", seed)
    return seed, random.Random(seed)


def start(words, state):
    return subprocess.Popen([str(word) for word in words], env=environment(state), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(process):
    """True when it was still running."""
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def kill_after(seconds, words, state):
    process = start(words, state)
    time.sleep(seconds)
    return kill(process)


def check_pulled(aipack, reference, directory):
    """Every blob is what its name says."""
    report = json.loads(aipack("pull", reference, f"oci:{directory}:1", "--json").stdout)
    for blob in (directory / "blobs/sha256").iterdir():
        assert run("sha256sum", blob).stdout.split()[0] == blob.name
    run("rm", "-rf", directory)
    return report["digest"]


@pytest.mark.parametrize("dialect", ["full", "cannot_resume"])
def test_a_push_killed_at_twenty_points_is_finished_by_the_same_command(aipack, big_layout, dialect, tmp_path):
    seed, chance = random_moments()
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
            where = f"seed {seed}, kill {number}: {again} bytes were sent again, and the report says {report}"
            if dialect == "full":
                assert again <= CHUNK + SLACK, where
                assert report["resent_bytes"] <= CHUNK, where
            elif again > SLACK:
                said += 1
                assert any("start" in note or "again" in note for note in report["notes"]), where
                assert report["resent_bytes"] >= again - SLACK, where
            check_pulled(aipack, f"{registry.address}/big:1", place / "check")
            assert not list((place / "state/registry").rglob("*.upload")), "a finished upload leaves no journal"
    assert interrupted >= KILLS // 2, "the kills must fall into the push"
    if dialect == "cannot_resume":
        assert said > 0, "some kill must fall into an upload that has to start over"


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shards")
    for number in range(SHARDS):
        weights_file(directory / f"model-{number}.bin", SHARD, seed=number)
    time.sleep(2.5)  # Digests of files that changed just now are not remembered.
    return directory


def test_a_build_that_is_killed_does_not_send_its_finished_shards_again(aipack, layout, shards, tmp_path):
    """Their digests are known to the next run, although nobody knew them when the first one began."""
    seed, chance = random_moments()
    options = ["--dialect", "full", "--min-chunk", CHUNK]

    def words(registry):
        return [AIPACK, "build", shards, "--base", f"oci:{layout[0]}:1", "--platform", "linux/amd64", "-t", f"{registry.address}/shards:1", "--push",
                "--concurrency", str(AT_ONCE), "--json"]

    with test_registry(tmp_path / "measure", *options) as registry:
        run(*words(registry), env=environment(tmp_path / "measure/state"))
        alone = registry.uploaded_bytes()
        sizes = {digest: size for digest, size in registry.uploaded_for().items() if SHARD < size < SHARD + MIB}
        ends = [request["ended_us"] for request in registry.requests() if request["method"] == "PUT" and request["digest"] in sizes]
        pace = (max(ends) - min(ends)) / 1e6 / SHARDS  # seconds from one shard to the next
        expected = check_pulled(aipack, f"{registry.address}/shards:1", tmp_path / "measure/check")
    assert len(sizes) == SHARDS
    interrupted = 0
    for number in range(SHARD_KILLS):
        place = tmp_path / f"kill-{number}"
        with test_registry(place, *options) as registry:
            def there(registry=registry):
                return sizes.keys() & registry.uploaded_for().keys()

            wanted = chance.randint(1, SHARDS - 2)
            process = start(words(registry), place / "state")
            while len(there()) < wanted and process.poll() is None:
                time.sleep(0.002)
            time.sleep(chance.uniform(0, pace))
            finished = there()
            time.sleep(max(0.02, pace / 4))  # the client reads the answer and notes the digest
            interrupted += kill(process)
            late = there() - finished
            report = json.loads(run(*words(registry), env=environment(place / "state")).stdout)
            assert report["digest"] == expected
            again = registry.uploaded_bytes() - alone
            where = f"seed {seed}, kill {number}: {again} bytes were sent again, {len(finished)} shards were there, {len(late)} at the last moment"
            assert finished, where
            received = registry.uploaded_for()
            assert all(received[digest] == sizes[digest] for digest in finished), where
            assert again <= AT_ONCE * CHUNK + sum(sizes[digest] for digest in late) + SLACK, where
            assert check_pulled(aipack, f"{registry.address}/shards:1", place / "check") == expected
            assert not list((place / "state/registry").rglob("*.upload")), "a finished upload leaves no journal"
    assert interrupted >= SHARD_KILLS // 2, "the kills must fall into the push"
