"""The README's blocks run as they stand."""

import itertools
import os
import pathlib
import re
import shutil
import subprocess
import sys

from conftest import AIPACK, MODEL, SOURCE
from registries import docker_registry

sys.path.insert(0, str(SOURCE / "tests/support"))
from debian_tools import tool  # noqa: E402

README = (SOURCE / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def environment(cache):
    return {**os.environ, "AIPACK_CACHE_DIR": str(cache), "PATH": f"{pathlib.Path(AIPACK).parent}:{os.environ['PATH']}"}


def test_every_command_of_the_console_blocks_succeeds(cache, tmp_path):
    shutil.copy(MODEL, tmp_path)
    commands = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    assert len(commands) >= 6
    for command in commands:
        result = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(cache), capture_output=True, text=True, timeout=600)
        assert result.returncode == 0, f"{command}\n{result.stderr}"


def test_the_registry_block_runs_against_a_registry(cache, aipack, layout, tmp_path):
    """The commands as they stand, but for the registry's name and the password's way in."""
    [block] = [block for block in blocks("sh") if "aipack login" in block]
    shutil.copy(MODEL, tmp_path)
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm/model.safetensors").write_bytes(bytes(2 << 20))
    with docker_registry(tmp_path / "registry") as address:
        aipack("push", f"oci:{layout[0]}:1", f"{address}/vllm:0.6")
        for line in block.splitlines():
            command = line.partition(" #")[0].replace("registry.example", address)
            if command.startswith("aipack login"):
                command += " -u ci --password-stdin --authfile auth.json"
            result = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(cache), capture_output=True, text=True, timeout=600, input="word\n")
            assert result.returncode == 0, f"{command}\n{result.stderr}"
        assert result.stdout.split() == ["1"]


def test_the_trust_block_runs_against_a_registry(cache, tmp_path):
    """The commands as they stand, but for the registry's name; the last one is cosign's."""
    [block] = [block for block in blocks("sh") if "aipack keygen" in block]
    shutil.copy(MODEL, tmp_path)
    words = {**environment(cache), "AIPACK_KEY_PASSWORD": "correct horse", "HOME": str(tmp_path)}
    with docker_registry(tmp_path / "registry") as address:
        for line in block.splitlines():
            command = line.partition(" #")[0].replace("registry.example", address)
            if command.startswith("cosign "):
                command = str(tool("sid", "cosign")) + command.removeprefix("cosign")
            result = subprocess.run(command, shell=True, cwd=tmp_path, env=words, capture_output=True, text=True, timeout=600)
            assert result.returncode == 0, f"{command}\n{result.stderr}"


def test_the_python_block_runs(cache, tmp_path):
    shutil.copy(MODEL, tmp_path)
    build = pathlib.Path(AIPACK).parent.parent
    [code] = blocks("python")
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=600,
                            env={**environment(cache), "PYTHONPATH": str(build / "python"), "AIPACK_DATA_DIR": str(build / "share/aipack")})
    assert result.returncode == 0, result.stderr
    assert "linux/riscv64" in result.stdout


def test_the_cpp_block_is_the_example_that_is_built(cache, tmp_path):
    [code] = blocks("cpp")
    assert code == (SOURCE / "examples/cpp/build_image.cpp").read_text()
    assert len(code.splitlines()) <= 20
    build = pathlib.Path(AIPACK).parent.parent
    result = subprocess.run([build / "bin/example_build_image", MODEL, tmp_path / "x.oci", cache, build / "share/aipack"],
                            capture_output=True, text=True, timeout=600)
    # The example is as strict as the library's defaults: a mirror in the middle of an update is an error that names the suite.
    mirror_is_behind = result.returncode == 1 and "announced" in result.stderr and "trixie-" in result.stderr
    assert result.stdout.startswith("sha256:") or mirror_is_behind, result.stderr


def test_the_manual_page_knows_every_verb_and_option_of_the_help(aipack):
    manual = (SOURCE / "tools/aipack/aipack.1.md").read_text()
    verbs = re.findall(r"^  ([a-z]+) {2,}", aipack("--help").stdout, re.MULTILINE)
    assert {"build", "plan", "analyze", "inspect", "why"} <= set(verbs)
    helps = [aipack(verb, "--help").stdout for verb in verbs] + [aipack("cache", "prune", "--help").stdout]
    options = set(itertools.chain.from_iterable(re.findall(r"^  (?:-\w,)?(--[a-z0-9-]+)", text, re.MULTILINE) for text in helps))
    assert len(options) > 20
    assert [verb for verb in verbs if f"**{verb}" not in manual] == []
    assert [option for option in sorted(options) if f"**{option}**" not in manual] == []
    for text in helps[:-1]:
        assert "Examples:" in text
